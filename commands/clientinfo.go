package commands

import (
	"reflect"
	"strconv"

	"ferrous/commands/session"
)

// What CLIENT LIST shows of a client, and what clients cost in memory.
//
// Memory. A connection with nothing in flight holds no buffers. Its cost is then fixed: the Client and what the event
// loop, evio and the kernel's tables in Go keep for it (clientBytes). What it holds besides is counted in Client.held:
// input that waits for the rest of its request, output that the socket does not take, names, queued commands, watched keys,
// subscriptions. account brings the sums in Server.heldBytes and, by class, Server.classMemory up to date after each packet
// and once a cron round (output drains between packets), so that used_memory needs no walk over the clients. tot-mem shows
// the same figures.
//
// The input window. Redis gives every client that sends something a query buffer of at least 16 KiB, and shows its free space
// as qbuf-free. Ferrous reads all connections through one buffer. qbuf-free is the buffer that Redis's rules would give the
// client (window, below): the size of its largest recent packet or argument, at least windowMin while it is active, nothing
// after two idle seconds. It is a figure only: tot-mem and used_memory do not include it.
//
// tot-mem is what maxmemory-clients looks at. There an argument that is under way counts with the length that was announced for
// it, as in Redis, which allocates it at once; to used_memory only what has been allocated counts.
//
// The reply buffer. Clients have no reply buffers either: replies are written from one shared buffer. Like qbuf-free, rbs and
// rbp are figures only: the size of the reply buffer that Redis's rules would give the client, and the longest recent reply
// (replyBuffer, below). Output that the socket does not take is memory; obl (of a client that runs CLIENT LIST in a pipeline),
// oll and omem show it.

const (
	windowMin    = 16 << 10 // granted to a client that sends something
	windowBig    = 32 << 10 // above this a window follows the recent peak
	windowSlack  = 4 << 10  // unused space that is worth taking back
	windowIdleMs = 2000     // idle for longer, a client loses its window

	// connBytes is what a connection costs beside its Client: the event loop's and evio's structures, the slot in
	// Server.clients, the poller's entry. Measured as resident memory of 10,000 idle connections.
	connBytes = 400
)

// clientBytes is what an idle client costs.
var clientBytes = int(reflect.TypeFor[Client]().Size()) + connBytes

// window is the query buffer that Redis's rules would give the client; see above.
type window struct {
	size int // bytes
	peak int // most bytes that were waiting, or were announced for one argument, since cron looked last
}

// note records that n bytes were waiting, or that an argument of n bytes was announced, to come in one piece.
func (w *window) note(n int) {
	w.peak = max(w.peak, n)
	w.size = max(w.size, windowMin, n)
}

// shrink takes back what the client has not used lately. used are the bytes that wait now, announced is the length of
// the argument that is under way.
func (w *window) shrink(used, announced int, idleMs int64) {
	if w.size-used > windowSlack {
		if idleMs > windowIdleMs {
			w.size = used
		} else if w.size > windowBig && w.size/2 > w.peak {
			w.size = max(used, w.peak, announced)
		}
	}
	w.peak = max(used, announced)
}

const (
	replyBufferMin     = 1 << 10
	replyBufferMax     = 16 << 10 // granted at first
	replyBufferResetMs = 5000
)

// replyBuffer is the size of a client's reply buffer by Redis's rules, and its recent peak; see above.
type replyBuffer struct {
	size, peak int16  // bytes; peak is the longest reply since the time of
	since      uint32 // Unix ms, the lower bits
}

// replyBufferRules are how the sizes change; DEBUG REPLYBUFFER sets them.
type replyBufferRules struct {
	fixed   bool
	resetMs int64 // how long a peak is remembered, -1 = for ever
}

// note records that n bytes of replies were sent in one piece.
func (r *replyBuffer) note(n int) { r.peak = max(r.peak, int16(min(n, int(r.size)))) }

// adapt halves or doubles the size by what was used of the buffer lately.
func (r *replyBuffer) adapt(rules replyBufferRules, now int64) {
	if rules.fixed {
		return
	}
	switch half := r.size / 2; {
	case half > replyBufferMin && r.peak < half:
		r.size = max(replyBufferMin, r.peak+1)
	case r.size < replyBufferMax && r.peak == r.size:
		r.size = min(replyBufferMax, 2*r.size)
	}
	if rules.resetMs >= 0 && int64(uint32(now)-r.since) > rules.resetMs {
		r.peak, r.since = 0, uint32(now)
	}
}

// held is the memory that the client holds beyond clientBytes.
func (c *Client) held() int {
	n := c.parser.Capacity()
	if c.conn != nil {
		n += c.conn.QueuedMem()
	}
	if c.ident != nil {
		n += len(c.ident.name) + len(c.ident.libName) + len(c.ident.libVer)
	}
	if c.deferred != nil {
		n += argBytes(c.deferred)
	}
	if c.blocked != nil {
		n += cap(c.blocked.buf)
	}
	if c.pushes != nil {
		n += c.pushes.mem()
	}
	return n + c.tx.mem()
}

func argBytes(args [][]byte) int {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	return n
}

// totalMemory is tot-mem as it is accounted for.
func (c *Client) totalMemory() int { return clientBytes + c.counted + c.announced }

// account brings the account of clients' memory up to date with c.
func (s *Server) account(c *Client) { s.setAccount(c, c.held(), c.parser.Coming()) }

// setAccount accounts for n bytes that a client holds, and for those that it has announced.
func (s *Server) setAccount(c *Client, n, announced int) {
	class := int8(c.outputClass())
	if n == c.counted && announced == c.announced && class == c.countedAs || c.orderIndex < 0 {
		return
	}
	s.heldBytes += n - c.counted
	s.classMemory[c.countedAs] -= c.totalMemory()
	c.counted, c.announced, c.countedAs = n, announced, class
	s.classMemory[class] += c.totalMemory()
	if s.eviction.limit > 0 {
		s.sortClient(c)
	}
}

// remember adds a client to the registry.
func (s *Server) remember(c *Client) {
	s.clients[c.id] = c
	s.countRoom()
	c.orderIndex = int32(len(s.order))
	s.order = append(s.order, c)
	s.classMemory[c.countedAs] += clientBytes
	if s.eviction.limit > 0 {
		s.sortClient(c)
	}
}

// forget removes a client from the registry. It may be called twice.
func (s *Server) forget(c *Client) {
	if s.clients[c.id] != c {
		return
	}
	delete(s.clients, c.id)
	s.countRoom()
	last := len(s.order) - 1
	s.order[c.orderIndex] = s.order[last]
	s.order[c.orderIndex].orderIndex = c.orderIndex
	s.order[last] = nil
	s.order = s.order[:last]
	s.heldBytes -= c.counted
	s.classMemory[c.countedAs] -= c.totalMemory()
	c.counted, c.announced, c.orderIndex = 0, 0, -1
	s.sortClient(c)
	s.stopWaiting(c)
	s.endTransaction(c)
	s.forgetPushes(c)
	s.replicaGone(c)
}

// clientsMemory is what all clients cost.
func (s *Server) clientsMemory() int { return len(s.clients)*clientBytes + s.heldBytes }

// clientPeaks are the largest input and output of one client in the last peakSeconds, a slot a second. Input is noted with
// each packet, since it is gone from the buffer that all clients share when cron comes.
type clientPeaks struct {
	slots  [peakSeconds]struct{ in, out int }
	second int64
}

// peakSeconds is for how many seconds the largest buffers are remembered, as in Redis.
const peakSeconds = 8

// advance clears the slots between the last second and the present one.
func (p *clientPeaks) advance(second int64) {
	for range min(second-p.second, peakSeconds) {
		p.second++
		p.slots[uint64(p.second)%peakSeconds] = struct{ in, out int }{}
	}
	p.second = second
}

func (p *clientPeaks) note(in, out int) {
	s := &p.slots[uint64(p.second)%peakSeconds]
	s.in, s.out = max(s.in, in), max(s.out, out)
}

func (p *clientPeaks) max() (in, out int) {
	for _, s := range p.slots {
		in, out = max(in, s.in), max(out, s.out)
	}
	return in, out
}

// clientTick is cron's look at one client.
func (s *Server) clientTick(c *Client) {
	s.account(c)
	if c.window.size > 0 {
		c.window.shrink(c.parser.Buffered(), c.parser.Announced(), s.Keyspace.Now-c.lastActive)
	}
	c.replyBuffer.adapt(s.replyBufferRules, s.Keyspace.Now)
	if c.counted > 0 {
		out := 0
		if c.conn != nil {
			out = c.conn.QueuedMem()
		}
		s.peaks.note(c.parser.Capacity(), out)
	}
}

// info is the client's line of CLIENT LIST, without the line's end.
func (c *Client) info() string { return string(c.appendInfo(nil)) }

func (c *Client) appendInfo(b []byte) []byte {
	num := func(name string, n int) {
		b = append(b, name...)
		b = strconv.AppendInt(b, int64(n), 10)
	}
	text := func(name, s string) {
		b = append(b, name...)
		b = append(b, s...)
	}
	id := identity{}
	if c.ident != nil {
		id = *c.ident
	}
	addr, laddr, fd := "?:0", "?:0", -1
	queued, chunks, queuedMem := 0, 0, 0
	if c.conn != nil {
		addr, laddr, fd = c.conn.RemoteAddr(), c.conn.LocalAddr(), c.conn.FD()
		queued, chunks, queuedMem = c.conn.Queued(), c.conn.QueuedChunks(), c.conn.QueuedMem()
	}
	if c.attached() {
		queuedMem = int(c.replica.OutputMemory())
	}
	unsent := 0
	if c == c.srv.current {
		unsent = len(c.W.Buf)
	}
	held := c.held() + c.parser.Coming()
	if c == c.srv.current {
		held = c.counted + c.announced // its parser is reading the shared buffer
	}
	now := c.srv.Keyspace.Now / 1000
	waiting := c.parser.Buffered()
	argMem := c.parser.ArgBytes() + argBytes(c.Args) + argBytes(c.deferred)
	if c.blocked != nil {
		argMem += cap(c.blocked.buf)
	}

	num("id=", int(c.id))
	text(" addr=", addr)
	text(" laddr=", laddr)
	num(" fd=", fd)
	text(" name=", c.shownName())
	num(" age=", int(now-c.created/1000))
	num(" idle=", int(now-c.lastActive/1000))
	b = append(b, " flags="...)
	b = c.appendFlags(b)
	num(" db=", c.DB.ID)
	num(" sub=", c.subscriptions(kindChannel))
	num(" psub=", c.subscriptions(kindPattern))
	num(" ssub=", c.subscriptions(kindShard))
	if c.inMulti() {
		num(" multi=", len(c.tx.queue))
	} else {
		num(" multi=", -1)
	}
	num(" qbuf=", waiting)
	num(" qbuf-free=", max(c.window.size-waiting, 0))
	num(" argv-mem=", argMem)
	num(" multi-mem=", c.tx.mem())
	num(" rbs=", int(c.replyBuffer.size))
	num(" rbp=", int(c.replyBuffer.peak))
	num(" obl=", unsent)
	num(" oll=", chunks)
	num(" omem=", queuedMem)
	num(" tot-mem=", clientBytes+held)
	b = append(b, " events=r"...)
	if queued > 0 {
		b = append(b, 'w')
	}
	b = append(b, " cmd="...)
	if c.last != nil {
		b = append(b, c.last.Full...)
	} else {
		b = append(b, "NULL"...)
	}
	text(" user=", c.userName())
	num(" redir=", int(c.redirection()))
	num(" resp=", int(c.proto))
	text(" lib-name=", id.libName)
	text(" lib-ver=", id.libVer)
	return b
}

// appendFlags appends the letters of the client's states, in Redis's order.
func (c *Client) appendFlags(b []byte) []byte {
	n := len(b)
	if c.monitors() {
		b = append(b, 'O')
	}
	if c.attached() {
		b = append(b, 'S')
	}
	if c.master {
		b = append(b, 'M')
	}
	if c.subscribed() {
		b = append(b, 'P')
	}
	if c.inMulti() {
		b = append(b, 'x')
	}
	if c.deferred != nil || c.blocked != nil {
		b = append(b, 'b')
	}
	if t := c.tracks(); t != nil {
		b = append(b, 't')
		if t.broken {
			b = append(b, 'R')
		}
		if t.bcast {
			b = append(b, 'B')
		}
	}
	if c.tx != nil && c.tx.touched {
		b = append(b, 'd')
	}
	if c.closing {
		b = append(b, 'c')
	} else if c.conn != nil && c.conn.Closing() {
		b = append(b, 'A')
	}
	if c.conn != nil && c.conn.IsUnix() {
		b = append(b, 'U')
	}
	if c.noEvict {
		b = append(b, 'e')
	}
	if c.NoTouch {
		b = append(b, 'T')
	}
	if len(b) == n {
		b = append(b, 'N')
	}
	return b
}

// debugReplyBuffer is DEBUG REPLYBUFFER.
func debugReplyBuffer(c *Client) {
	rules := &c.srv.replyBufferRules
	switch {
	case c.Is(2, "resizing"):
		rules.fixed = !c.SwitchArg(3)
	case !c.Is(2, "peak-reset-time"):
		c.Error(session.ErrUnknownSubOrArity(c.Args[:2]))
		return
	case c.Is(3, "never"):
		rules.resetMs = -1
	case c.Is(3, "reset"):
		rules.resetMs = replyBufferResetMs
	default:
		ms, ok := c.Int64Arg(3)
		if !ok {
			return
		}
		rules.resetMs = ms
	}
	c.W.OK()
}
