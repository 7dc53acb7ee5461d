package replication

// Settings are the directives that may change at any time.
type Settings struct {
	BacklogSize         int64 // repl-backlog-size, bytes
	BacklogTTL          int64 // repl-backlog-ttl, seconds; 0: never
	Timeout             int64 // repl-timeout, seconds
	PingPeriod          int64 // repl-ping-replica-period, seconds
	Diskless            bool  // repl-diskless-sync
	DisklessDelay       int64 // repl-diskless-sync-delay, seconds
	DisklessMaxReplicas int   // repl-diskless-sync-max-replicas; 0: no limit
	MinReplicas         int   // min-replicas-to-write; 0: off
	MinReplicasMaxLag   int64 // min-replicas-max-lag, seconds; 0: off
	OutputHard          int64 // client-output-buffer-limit replica: bytes, 0: no limit
	OutputSoft          int64
	OutputSoftSeconds   int64

	AnnounceIP   string // replica-announce-ip
	AnnouncePort int    // replica-announce-port; 0: Port
	Port         int    // the port that we listen on
	MasterUser   string // masteruser
	MasterAuth   string // masterauth
	AOF          bool   // appendonly: FACK is sent to the master, WAITAOF counts our own file
}

// Options are what a Node is made from.
type Options struct {
	// NewID makes a random id of 40 hex digits.
	NewID func() string
	// Loadable tells why a payload that begins with these nine bytes cannot be loaded, or "".
	Loadable func(head []byte) string
}

// Node is the replication of a server. Make it with New.
type Node struct {
	Settings Settings
	History  History
	Backlog  Backlog

	// WritesRefused tells that min-replicas-to-write is not met: writes of clients are answered with NOREPLICAS.
	WritesRefused bool
	// Counters of INFO's section stats.
	SyncFull, SyncPartialOK, SyncPartialErr int64

	opt     Options
	actions []Action
}

// New makes the node of a master without replicas.
func New(o Options, s Settings) *Node {
	n := &Node{Settings: s, opt: o}
	n.History.Restart(o.NewID())
	return n
}

// Take returns what has to be done, in order. The slice is valid until the next call.
func (n *Node) Take() []Action { return nil }

// Tick lets time pass. It is to be called at least ten times a second.
func (n *Node) Tick(now int64) {}

// EndRound ends a round of the loop: it asks for acknowledgements if clients wait, and drops replicas over the output limit.
func (n *Node) EndRound(now int64) {}

// IsReplica tells whether the server has a master.
func (n *Node) IsReplica() bool { return false }

// MasterHost and MasterPort name the master of a replica.
func (n *Node) Master() (host string, port int) { return "", 0 }

// Active tells whether Feed would do anything but count: whether there is a backlog.
func (n *Node) Active() bool { return false }

// Feed appends a command that changed database db to the stream; -1 for MULTI and EXEC. On a replica it does nothing. The
// slices are copied.
func (n *Node) Feed(db int, argv [][]byte) {}

// FeedEncoded is Feed for a command that is encoded already, as a RESP array of bulks.
func (n *Node) FeedEncoded(db int, raw []byte) {}

// ReplicaOf makes the server a replica of host and port. It tells false if it is that already.
func (n *Node) ReplicaOf(now int64, host string, port int) bool { return false }

// ReplicaOfNoOne makes the server a master.
func (n *Node) ReplicaOfNoOne(now int64) {}

// Restore takes over the history of the dump that was loaded at start. asReplica tells that a master is configured: then the
// history is continued; a master begins a new one that the old one leads to.
func (n *Node) Restore(now int64, a Aux, asReplica bool) {}

// Aux returns what a dump that is made now says of the history; false: nothing.
func (n *Node) Aux() (a Aux, ok bool) { return Aux{}, false }

// ChangeID is DEBUG CHANGE-REPL-ID.
func (n *Node) ChangeID() {}

// PingReplicas sends a ping at once: DEBUG REPLICATE and tests.
func (n *Node) PingReplicas() {}
