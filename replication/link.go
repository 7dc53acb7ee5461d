package replication

// LinkState is where the link to the master stands.
type LinkState int

// The states of the link.
const (
	LinkNone       LinkState = iota // no master
	LinkConnect                     // must connect: connect
	LinkConnecting                  // Dial was asked for: connecting
	LinkHandshake                   // PING to PSYNC: handshake
	LinkTransfer                    // the payload comes: sync
	LinkLoading                     // it has come and is being loaded: sync
	LinkConnected                   // the stream: connected
)

// String returns the name that ROLE gives.
func (s LinkState) String() string {
	return [...]string{"none", "connect", "connecting", "handshake", "sync", "sync", "connected"}[s]
}

// Link is one connection to the master.
type Link struct {
	// Ctx is the owner's: the connection.
	Ctx any

	Host string
	Port int
}

// LinkInfo is what INFO and ROLE tell of the link.
type LinkInfo struct {
	State         LinkState
	LastIO        int64 // when something came last, ms; 0: link is down
	DownSince     int64 // since when it is down, ms
	ReadOffset    int64 // slave_read_repl_offset; -1 before the first synchronisation
	AppliedOffset int64 // slave_repl_offset
	Size          int64 // of the payload that comes; -1 unknown
	Read          int64 // bytes of it that have come
	TransferIO    int64 // when the last of them came, ms
	TransferStart int64 // when the first came, ms
}

// LinkInfo returns the state of the link.
func (n *Node) LinkInfo() LinkInfo { return LinkInfo{} }

// Link returns the link that there is, or nil.
func (n *Node) Link() *Link { return nil }

// Dialed tells that a link is connected, or why not.
func (n *Node) Dialed(now int64, l *Link, err error) {}

// Received takes what came from the master. It returns the part that belongs to the stream, which is a part of p.
func (n *Node) Received(now int64, l *Link, p []byte) (stream []byte) { return nil }

// Executed tells that a command of the stream was executed: consumed bytes of the stream since LinkUp are parsed. inMulti tells
// that a transaction is open after it.
func (n *Node) Executed(now int64, l *Link, consumed int64, inMulti bool) {}

// LinkClosed tells that the connection ended.
func (n *Node) LinkClosed(now int64, l *Link, err error) {}

// LinkBroken tells that the stream is garbage.
func (n *Node) LinkBroken(now int64, l *Link, reason string) {}

// StreamDB tells which database the stream has selected.
func (n *Node) StreamDB(l *Link, db int) {}
