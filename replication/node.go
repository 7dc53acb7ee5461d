package replication

// A Node has a role. As a master it makes the stream itself (Feed); as a replica it takes the stream of its master (link.go)
// and Feed does nothing. Both have a backlog and replicas. A change of role disconnects all replicas: they reconnect, learn
// the new replid, and continue by a partial synchronisation.
//
//	             ReplicaOf, a failover that has begun
//	master ------------------------------------------> replica
//	       <------------------------------------------
//	        ReplicaOfNoOne, PSYNC FAILOVER, a failover that was refused
//
// What is done once a second depends on the time that has passed, not on the number of ticks.

import "fmt"

// Settings are the directives that may change at any time; call SettingsChanged after it.
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
	// Loadable returns why a payload that begins with these nine bytes cannot be loaded, or "".
	Loadable func(head []byte) string
	// Fault plants a mistake, for the test that shows that the simulator finds it.
	Fault Fault
}

// Fault is a mistake made on purpose.
type Fault int

// The mistakes.
const (
	NoFault              Fault = iota
	FaultOffset                // a replica asks for one byte too few
	FaultSelect                // a promoted replica uses the database that it had selected as a master
	FaultHalfTransaction       // the offset moves within transactions
)

// Node is the replication of a server. Make it with New.
type Node struct {
	Settings Settings
	History  History
	Backlog  Backlog

	// WritesRefused is true while min-replicas-to-write is not met: the owner replies NOREPLICAS to writes of clients.
	WritesRefused bool
	// Counters of INFO's section stats.
	SyncFull, SyncPartialOK, SyncPartialErr int64

	opt     Options
	actions []Action
	taken   []Action // what Take gave last

	// As a master.
	replicas  []*Replica
	selected  int   // the database that the stream has selected; -1: the next command selects
	pinged    int64 // when the last ping went out
	alone     int64 // since when there are no replicas; 0: there are, or Tick has not looked yet
	job       *Job  // the job that is asked for or runs
	busyUntil int64 // another snapshot is in progress: when to ask for the job again; 0: none is
	dump      *Job  // the BGSAVE of the server itself, while it runs
	waiters   []*Waiter
	fsynced   int64 // offset up to which all changes are on our own disk
	askAcks   bool  // EndRound sends GETACK
	failover  failover

	// As a replica.
	host     string // "": a master
	port     int
	link     *Link
	cached   bool  // History and streamDB are such that the master may continue them
	streamDB int   // the database that the master's stream has selected at History.Offset
	retryAt  int64 // when to connect next, while link is nil
	downAt   int64 // since when the link is down
	second   int64 // when Tick last did what is done once a second
}

// New makes the node of a master without replicas and without history.
func New(o Options, s Settings) *Node {
	n := &Node{Settings: s, opt: o, selected: -1}
	n.History.Restart(o.NewID())
	return n
}

// Take returns what has to be done, in order. The owner calls it until it returns nothing.
func (n *Node) Take() []Action {
	if len(n.actions) == 0 {
		return nil
	}
	clear(n.taken)
	n.taken, n.actions = n.actions, n.taken[:0]
	return n.taken
}

func (n *Node) do(a Action) { n.actions = append(n.actions, a) }

func (n *Node) logf(level Level, format string, args ...any) {
	n.do(Log{level, fmt.Sprintf(format, args...)})
}

// Tick lets time pass. It is to be called at least ten times a second.
func (n *Node) Tick(now int64) {
	n.tickWaiters(now)
	n.tickFailover(now)
	if n.IsReplica() {
		n.tickLink(now)
	}
	n.startJobs(now)
	n.tickReplicas(now)
	n.trimMany()
	if now-n.second >= 1000 || now < n.second {
		n.second = now
		n.everySecond(now)
	}
	n.countGood(now)
}

// Quiet reports whether Tick has nothing to do for others: a master without replicas, on which nobody waits.
func (n *Node) Quiet() bool {
	return !n.IsReplica() && len(n.replicas) == 0 && len(n.waiters) == 0 && n.failover.state == noFailover
}

func (n *Node) everySecond(now int64) {
	if n.IsReplica() {
		n.alone = 0
		return
	}
	s := &n.Settings
	if n.pinged == 0 {
		n.pinged = now
	}
	if len(n.replicas) > 0 {
		n.alone = 0
		if now-n.pinged >= s.PingPeriod*1000 && n.failover.state == noFailover {
			n.Ping(now)
		}
		return
	}
	if n.alone == 0 {
		n.alone = now
	}
	if s.BacklogTTL > 0 && n.Backlog.active && now-n.alone > s.BacklogTTL*1000 {
		// Without a backlog the stream is not kept, and Feed counts each command as one byte. So these offsets must not
		// belong to the old replid.
		n.History.Restart(n.opt.NewID())
		n.Backlog.drop()
		n.logf(Notice, "Replication backlog freed after %d seconds without connected replicas.", s.BacklogTTL)
	}
}

// EndRound ends a round of the loop. It sends GETACK if clients wait for acknowledgements, and disconnects replicas over
// their output buffer limit.
func (n *Node) EndRound(now int64) {
	if n.askAcks {
		n.askAcks = false
		// A failover pauses clients, and nothing may be added to the stream meanwhile.
		if !n.IsReplica() && n.failover.state == noFailover && n.online() > 0 {
			n.Feed(-1, getack)
		}
	}
	for i := 0; i < len(n.replicas); i++ {
		if r := n.replicas[i]; n.overLimit(now, r) {
			n.do(CloseReplica{Replica: r, OutputLimit: true})
			n.forget(now, r)
			i--
		}
	}
}

var (
	getack = words("REPLCONF", "GETACK", "*")
	ping   = words("ping")
)

// Ping sends a ping to replicas.
func (n *Node) Ping(now int64) {
	n.pinged = now
	n.Feed(-1, ping)
}

// IsReplica reports whether the server has a master.
func (n *Node) IsReplica() bool { return n.host != "" }

// Master returns host and port of the master of a replica.
func (n *Node) Master() (host string, port int) { return n.host, n.port }

// Active reports whether Feed does more than count: whether there is a stream.
func (n *Node) Active() bool { return n.Backlog.active && n.host == "" }

// Feed appends a command that changed database db to the stream; -1 for commands that concern none. On a replica it does
// nothing. The slices are copied. The append-only file encodes its commands for itself: what a SET costs less if both shared one
// encoding (0.03 of 1.4 µs) does not pay for another path.
func (n *Node) Feed(db int, argv [][]byte) {
	b := &n.Backlog
	switch {
	case n.host != "":
		return
	case !b.active:
		// WAITAOF compares this offset with the one that the last fsync covers.
		n.History.Offset++
		return
	case db >= 0 && db != n.selected:
		n.selected = db
		b.command(words("SELECT", fmt.Sprint(db)))
	}
	b.command(argv)
	n.History.Offset, b.shown = b.end, b.end
	n.trim()
}

// trim frees what is older than the backlog's size.
func (n *Node) trim() {
	if b := &n.Backlog; b.end-b.start() > n.Settings.BacklogSize {
		b.trim(b.shown-n.Settings.BacklogSize, trimmed)
	}
}

// trimMany is trim after a replica has left that may have held much.
func (n *Node) trimMany() {
	if b := &n.Backlog; b.end-b.start() > n.Settings.BacklogSize {
		b.trim(b.shown-n.Settings.BacklogSize, trimmedMany)
	}
}

// SettingsChanged applies new Settings. The owner calls it after it has changed them.
func (n *Node) SettingsChanged(now int64) {
	n.countGood(now)
	if b := &n.Backlog; b.active {
		// Chunks that exist keep their size; the next one has the new size.
		b.size = int(min(max(n.Settings.BacklogSize/16, minChunk), maxChunk))
		b.spare = nil
		n.trim()
	}
}

// needBacklog begins a backlog if there is none, for a history that continues.
func (n *Node) needBacklog() {
	if !n.Backlog.active {
		n.Backlog.begin(n.History.Offset, n.Settings.BacklogSize)
	}
}

// ReplicaOf makes the server a replica of host and port. It returns false if the server is that already. The owner refuses
// the command while FailoverState is not no-failover.
func (n *Node) ReplicaOf(now int64, host string, port int) bool {
	if n.host == host && n.port == port {
		n.logf(Notice, "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed.")
		return false
	}
	n.setMaster(now, host, port)
	return true
}

// Boot makes the server a replica at its start, before it serves clients. Its data have the history that Restore set, or none.
func (n *Node) Boot(now int64, host string, port int) {
	n.host, n.port = host, port
	n.retryAt, n.downAt = now, now
}

func (n *Node) setMaster(now int64, host string, port int) {
	wasMaster := n.host == ""
	if wasMaster {
		n.logf(Notice, "Before turning into a replica, using my own master parameters to synthesize a cached master: "+
			"I may be able to synchronize with the new master with just a partial transfer.")
		n.cached = true
		n.streamDB = max(n.selected, 0)
		n.needBacklog()
	}
	n.closeLink()
	if wasMaster {
		n.closeReplicas()
	} // else sub-replicas stay connected until a full resync, or until the new master has another replid
	n.host, n.port = host, port
	n.retryAt, n.downAt = now, now
	n.endWaiters()
	n.WritesRefused = false
	n.do(RoleChanged{Replica: true})
	n.connect(now)
}

// ReplicaOfNoOne makes the server a master. It returns false if the server is a master already.
func (n *Node) ReplicaOfNoOne(now int64) bool {
	if n.host == "" {
		return false
	}
	n.promote(now)
	return true
}

func (n *Node) promote(now int64) {
	n.closeLink()
	n.closeReplicas()
	n.host, n.port = "", 0
	if n.cached {
		n.shiftID()
	} else {
		// The data may differ from the history's, so the old replid must not name them.
		n.History.Restart(n.opt.NewID())
		n.Backlog.drop()
	}
	n.cached = false
	// Replicas that continue by the old replid may have any database selected, so the next command needs a SELECT.
	if n.opt.Fault != FaultSelect {
		n.selected = -1
	}
	n.needBacklog()
	n.pinged, n.alone = now, now
	n.do(RoleChanged{Replica: false})
	n.countGood(now)
}

// shiftID gives the history a new replid and keeps the old one as replid2.
func (n *Node) shiftID() {
	n.History.Shift(n.opt.NewID())
	n.logf(Notice, "Setting secondary replication ID to %s, valid up to offset: %d. New replication ID is %s",
		n.History.ID2, n.History.SecondOffset, n.History.ID)
}

// Restore takes over the history of the dump that was loaded at the start. With asReplica (the configuration names a master)
// the history continues under its replid. A master begins a new history with the dump's replid as replid2, so that
// replicas with exactly the dump's data can continue.
func (n *Node) Restore(now int64, a Aux, asReplica bool) {
	if len(a.ID) != len(NoID) || a.Offset < 0 {
		return
	}
	h := &n.History
	if asReplica {
		h.Restart(a.ID)
		h.Offset = a.Offset
		n.cached, n.streamDB = true, a.StreamDB
	} else {
		h.ID2, h.SecondOffset = a.ID, a.Offset+1
		h.Offset = a.Offset
		n.alone = now
	}
	n.Backlog.begin(h.Offset, n.Settings.BacklogSize)
}

// Aux returns the aux fields of a dump that is made now; false if there is no history that a replica could continue.
func (n *Node) Aux() (a Aux, ok bool) {
	switch {
	case n.host == "" && n.Backlog.active:
		return Aux{n.History.ID, n.History.Offset, max(n.selected, 0)}, true
	case n.host != "" && n.cached:
		return Aux{n.History.ID, n.History.Offset, n.streamDB}, true
	}
	return Aux{}, false
}

// ChangeID is DEBUG CHANGE-REPL-ID.
func (n *Node) ChangeID() {
	n.logf(Notice, "Changing replication IDs after receiving change-repl-id")
	n.History.Restart(n.opt.NewID())
}

// Deadline returns when Tick should be called at the latest, ms; 0: whenever.
func (n *Node) Deadline() int64 {
	first := n.failover.deadline
	for _, w := range n.waiters {
		if w.deadline != 0 && (first == 0 || w.deadline < first) {
			first = w.deadline
		}
	}
	return first
}
