package replication

// State is where a replica stands.
type State int

// The states of a replica's connection.
const (
	Handshake State = iota // it has not asked for the stream yet
	WaitStart              // it waits for a snapshot to be taken: wait_bgsave
	WaitEnd                // it waits for the file to be complete: wait_bgsave
	SendBulk               // it gets the payload: send_bulk
	Online                 // it gets the stream: online
)

// String returns the name that INFO gives.
func (s State) String() string {
	return [...]string{"handshake", "wait_bgsave", "wait_bgsave", "send_bulk", "online"}[s]
}

// Replica is a connection that asked for the stream, or is about to.
type Replica struct {
	// Ctx is the owner's: the client.
	Ctx any
	// Addr is the address that the connection comes from.
	Addr string

	State         State
	ListeningPort int    // REPLCONF listening-port
	AnnouncedIP   string // REPLCONF ip-address
	Version       string // REPLCONF version
	EOF, Psync2   bool   // REPLCONF capa
	RDBOnly       bool   // REPLCONF rdb-only
	Filtered      bool   // REPLCONF rdb-filter-only was given
	WithData      bool   // Filtered: with keys
	WithFunctions bool   // Filtered: with functions
	AckOffset     int64  // what it has applied
	FackOffset    int64  // what it has on disk; -1 if it does not say
	AckTime       int64  // when it said so last, ms
}

// IP returns what INFO shows: the announced address or that of the connection.
func (r *Replica) IP() string { return "" }

// Name returns IP and port for the log.
func (r *Replica) Name() string { return "" }

// Attached tells whether the connection has asked for the stream: flag S of CLIENT LIST.
func (r *Replica) Attached() bool { return r.State != Handshake }

// Lag returns the seconds since the last acknowledgement.
func (r *Replica) Lag(now int64) int64 { return 0 }

// Pending tells whether there is output to write now.
func (r *Replica) Pending() bool { return false }

// Output appends the next output, at most max bytes, to bufs.
func (r *Replica) Output(bufs [][]byte, max int) [][]byte { return bufs }

// Wrote tells that so much of it was written.
func (r *Replica) Wrote(now int64, size int) {}

// OutputMemory returns the bytes of the stream and the payload that it has still to get (omem of CLIENT LIST).
func (r *Replica) OutputMemory() int64 { return 0 }

// NewReplica makes the replica of a connection that sends REPLCONF, PSYNC or SYNC for the first time.
func (n *Node) NewReplica(now int64, ctx any, addr string) *Replica {
	return &Replica{Ctx: ctx, Addr: addr}
}

// Replicas returns those that asked for the stream, in the order in which they did. The slice is the node's.
func (n *Node) Replicas() []*Replica { return nil }

// ReplicaClosed tells that the connection has ended.
func (n *Node) ReplicaClosed(now int64, r *Replica) {}

// ReplicaAlive tells that an empty line came from it.
func (n *Node) ReplicaAlive(now int64, r *Replica) {}
