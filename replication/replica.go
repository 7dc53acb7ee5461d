package replication

// A Replica is the connection of a server that asked us for the stream, or of a tool that reads a dump. Its states, with
// what INFO calls them:
//
//	Handshake   it has sent REPLCONF only
//	WaitStart   wait_bgsave: it needs a payload, and no snapshot was taken for it yet. We send newlines
//	WaitEnd     wait_bgsave: the snapshot was taken. We send the payload if it is streamed, and newlines while a file
//	            is being written
//	SendBulk    send_bulk: we send the file
//	Online      online: we send the stream. After a streamed payload we wait for the first ACK (awaitAck), because
//	            Redis finds the payload's mark only at the end of what it has read
//
// Its output is, in this order: front (replies, newlines, frames), the payload, the stream from its cursor. From the moment
// of the snapshot on, the cursor keeps the stream in the backlog, however long the replica reads the payload.

import (
	"net"
	"strconv"
)

// State is where a replica stands.
type State int

// The states of a replica's connection.
const (
	Handshake State = iota
	WaitStart
	WaitEnd
	SendBulk
	Online
)

// String returns the name that INFO gives.
func (s State) String() string {
	return [...]string{"handshake", "wait_bgsave", "wait_bgsave", "send_bulk", "online"}[s]
}

// Replica is a connection that asked for the stream, or is about to.
type Replica struct {
	// Ctx is the owner's: the client.
	Ctx any
	// Addr is the IP that the connection comes from.
	Addr string

	State         State
	ListeningPort int    // REPLCONF listening-port
	AnnouncedIP   string // REPLCONF ip-address
	Version       string // REPLCONF version
	EOF, Psync2   bool   // REPLCONF capa
	RDBOnly       bool   // REPLCONF rdb-only
	Filtered      bool   // REPLCONF rdb-filter-only was given
	WithFunctions bool   // Filtered: with functions; keys are never asked for
	AckOffset     int64  // what it has applied
	FackOffset    int64  // what it has on disk; -1 if it does not say
	AckTime       int64  // when it said so last, ms

	n         *Node
	old       bool   // it used SYNC: it sends no acknowledgements
	awaitAck  bool   // Online, and the stream begins with the next ACK
	closed    bool   // it has left the node
	front     []byte // output before everything else
	payload   *Payload
	reading   Cursor // in payload
	stream    Cursor // in the backlog
	since     int64  // when it asked
	newline   int64  // when the last newline went out
	progress  int64  // when it last took payload, or had nothing to take
	softSince int64  // since when its output is over the soft limit; 0: it is not
}

// IP returns what INFO shows: the announced address or that of the connection.
func (r *Replica) IP() string {
	if r.AnnouncedIP != "" {
		return r.AnnouncedIP
	}
	return r.Addr
}

// Name returns address and port for the log.
func (r *Replica) Name() string {
	if r.ListeningPort > 0 {
		return net.JoinHostPort(r.IP(), strconv.Itoa(r.ListeningPort))
	}
	return r.IP() + ":<unknown-replica-port>"
}

// Attached reports whether the connection has sent PSYNC or SYNC: flag S of CLIENT LIST.
func (r *Replica) Attached() bool { return r.State != Handshake }

// Lag returns the seconds since the last acknowledgement; 0 for those that send none.
func (r *Replica) Lag(now int64) int64 {
	if r.old || r.AckTime == 0 {
		return 0
	}
	return max(now-r.AckTime, 0) / 1000
}

// streaming reports whether the stream follows front and payload in the output.
func (r *Replica) streaming() bool { return r.State == Online && !r.awaitAck && !r.RDBOnly }

// Pending reports whether there is output to write now.
func (r *Replica) Pending() bool {
	if len(r.front) > 0 || r.payload != nil && r.reading.pos < r.payload.end {
		return true
	}
	return r.payload == nil && r.streaming() && r.stream.pos < r.n.Backlog.shown
}

// Output appends the next output, at most most bytes, to bufs. The slices are valid until Wrote, or any other method, is
// called.
func (r *Replica) Output(bufs [][]byte, most int) [][]byte {
	if len(r.front) > 0 {
		b := r.front[:min(len(r.front), most)]
		bufs = append(bufs, b)
		most -= len(b)
	}
	if r.payload != nil {
		bufs, _ = r.reading.slices(bufs, r.payload.end, most)
		return bufs
	}
	if r.streaming() {
		bufs, _ = r.stream.slices(bufs, r.n.Backlog.shown, most)
	}
	return bufs
}

// Wrote advances the output by size bytes. The owner calls it after it has written them to the socket.
func (r *Replica) Wrote(now int64, size int) {
	if k := min(size, len(r.front)); k > 0 {
		r.front = r.front[k:]
		if size -= k; len(r.front) == 0 {
			r.front = nil
		}
	}
	if r.payload != nil {
		if size > 0 {
			r.progress = now
			r.reading.advance(size)
		}
		r.n.payloadRead(now, r)
		return
	}
	if size > 0 && r.stream.open() {
		r.stream.advance(size)
	}
}

// OutputMemory returns how many bytes of output the replica has not read yet: omem of CLIENT LIST.
func (r *Replica) OutputMemory() int64 {
	m := int64(len(r.front))
	if r.payload != nil {
		m += r.payload.end - r.reading.pos
	}
	if r.stream.open() {
		m += r.n.Backlog.shown - r.stream.pos
	}
	return m
}

// say adds to the front.
func (r *Replica) say(s string) { r.front = append(r.front, s...) }

// NewReplica makes the Replica of a connection that sends REPLCONF, PSYNC or SYNC for the first time. ip is the peer's.
func (n *Node) NewReplica(ctx any, ip string) *Replica {
	return &Replica{Ctx: ctx, Addr: ip, FackOffset: -1, n: n}
}

// Replicas returns those that asked for the stream, in the order in which they did. The slice is the node's.
func (n *Node) Replicas() []*Replica { return n.replicas }

// ReplicaClosed removes a replica. The owner calls it when the connection has ended.
func (n *Node) ReplicaClosed(now int64, r *Replica) {
	if r.Attached() && !r.closed {
		n.forget(now, r)
	}
}

// ReplicaAlive resets the replica's timeout. The owner calls it for each empty line, which replicas send while they load.
func (n *Node) ReplicaAlive(now int64, r *Replica) { r.AckTime = now }

// attach adds a connection that asked for the stream.
func (n *Node) attach(now int64, r *Replica) {
	r.since, r.AckTime, r.newline, r.progress = now, now, now, now
	if len(n.replicas) == 0 {
		n.pinged = now
	}
	n.replicas = append(n.replicas, r)
	n.alone = 0
}

// forget removes a replica from the node.
func (n *Node) forget(now int64, r *Replica) {
	for i, other := range n.replicas {
		if other == r {
			n.replicas = append(n.replicas[:i:i], n.replicas[i+1:]...)
			break
		}
	}
	if len(n.replicas) == 0 {
		n.alone = now
	}
	n.release(r)
	n.countGood(now)
}

// release frees what a replica holds: its place in the backlog, its payload, its job.
func (n *Node) release(r *Replica) {
	r.closed = true
	r.front = nil
	r.stream.close()
	r.leavePayload(n)
	n.leaveJob(r)
	n.trimMany()
}

// closeReplicas disconnects all replicas, because the replid changes.
func (n *Node) closeReplicas() {
	all := n.replicas
	n.replicas = nil
	for _, r := range all {
		n.do(CloseReplica{Replica: r})
		n.release(r)
	}
}

// online returns how many replicas get the stream.
func (n *Node) online() int {
	k := 0
	for _, r := range n.replicas {
		if r.State == Online {
			k++
		}
	}
	return k
}

// putOnline begins the stream of a replica that has read its payload.
func (n *Node) putOnline(now int64, r *Replica) {
	r.State = Online
	r.AckTime = now
	if r.RDBOnly {
		n.logf(Notice, "RDB transfer completed, rdb only replica (%s) should be disconnected asap", r.Name())
		n.do(CloseReplica{Replica: r, AfterOutput: true})
		n.forget(now, r)
		return
	}
	if !r.awaitAck {
		n.logf(Notice, "Synchronization with replica %s succeeded", r.Name())
	}
	n.countGood(now)
}

// acked handles REPLCONF ACK; fack is -1 without FACK.
func (n *Node) acked(now int64, r *Replica, offset, fack int64) {
	if r.State == Handshake || r.closed {
		return
	}
	r.AckTime = now
	r.AckOffset = max(r.AckOffset, offset)
	r.FackOffset = max(r.FackOffset, fack)
	if r.State == Online && r.awaitAck {
		r.awaitAck = false
		n.logf(Notice, "Synchronization with replica %s succeeded", r.Name())
	}
	if len(n.waiters) > 0 {
		n.checkWaiters()
	}
	if n.WritesRefused {
		n.countGood(now)
	}
	n.checkFailover(now)
}

// tickReplicas sends newlines to replicas that wait for a payload, and disconnects those that have timed out.
func (n *Node) tickReplicas(now int64) {
	limit := n.Settings.Timeout * 1000
	for i := 0; i < len(n.replicas); i++ {
		r := n.replicas[i]
		waiting := r.State == WaitStart || r.State == WaitEnd && r.payload == nil
		if waiting && now-r.newline >= 1000 {
			r.newline = now
			if len(r.front) < 64 {
				r.say("\n")
			}
		}
		reason := ""
		switch r.State {
		case Online:
			if !r.old && now-r.AckTime > limit {
				reason = "streaming sync"
			}
		case WaitEnd:
			if r.payload == nil || r.reading.pos == r.payload.end {
				r.progress = now
			}
			if now-r.progress > limit {
				reason = "full sync"
			}
		}
		if reason != "" {
			n.logf(Warning, "Disconnecting timedout replica (%s): %s", reason, r.Name())
			n.do(CloseReplica{Replica: r})
			n.forget(now, r)
			i--
		}
	}
}

// overLimit reports whether a replica exceeds client-output-buffer-limit. A limit below repl-backlog-size counts as that
// size, because the backlog keeps so much anyway.
func (n *Node) overLimit(now int64, r *Replica) bool {
	s := &n.Settings
	used := r.OutputMemory()
	if s.OutputHard > 0 && used > max(s.OutputHard, s.BacklogSize) {
		return true
	}
	if s.OutputSoft == 0 || used <= max(s.OutputSoft, s.BacklogSize) {
		r.softSince = 0
		return false
	}
	if r.softSince == 0 {
		r.softSince = now
	}
	return now-r.softSince > s.OutputSoftSeconds*1000
}
