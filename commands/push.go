package commands

import (
	"ferrous/commands/pubsub"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// Messages that clients get without a request: messages of channels, keyspace events, invalidations of cached keys, lines of
// MONITOR. A client that may get such messages has a pushes (Client.pushes); all others pay one nil pointer.
//
// # The outbox
//
// A message is encoded once for each protocol that a receiver speaks, into a chunk of memory that all receivers share. The queue
// of a client is a list of parts of chunks. Usually the next message for a client lies right behind the last one; then the
// client's part becomes longer and nothing else happens. So a message to 10,000 subscribers costs 10,000 times a pointer and
// two numbers, and a packet of a thousand messages to them costs no more. At the end of the round (Server.Flush) each client's
// parts are written with one call; after that the chunks are used again. A message of at least bigMessage bytes gets a chunk of
// its own, which connections that are slow to read may keep without copying.
//
// The end of a round costs the loop a turn (eventloop.RequestFlush), which pays if the messages of many packets are written
// together. If a round has the messages of one packet only, as from a single publisher, endPacket writes them at the end of
// that packet instead. The last rounds decide which of the two is done.
//
// If maxOutbox bytes have gathered before the end of the round, they are written at once.
//
// # The order of messages and replies
//
// Messages that wait when a client's turn begins are sent before the replies of that turn. Messages to the client whose command
// is running are sent after the reply to that command (for EXEC: to the whole transaction), as in Redis: they are collected in
// outbox.own, and finish puts them behind the reply. Those of keys that were evicted to make room for the command stand before
// its reply: the key that the reply speaks of may be a new one. CLIENT REPLY OFF and SKIP suppress replies, not messages.

const (
	chunkSize  = 32 << 10
	bigMessage = 16 << 10 // half a chunk: the rest of one would be left empty
	maxOutbox  = 1 << 20
	keptChunks = 8  // empty ones, for the next rounds
	partBytes  = 24 // memory of a part
)

// pushes is what a client gets unasked: its subscriptions, its tracking, and the messages that wait to be sent.
type pushes struct {
	subs [channelKinds]pubsub.Set[*Client]

	track   *tracking // nil until CLIENT TRACKING ON
	monitor bool

	waits  bool // in outbox.clients
	part   part // what is to be sent, in order: this,
	parts  []part
	nparts int // 0: nothing, 1: part, more: parts too
}

// prefixBytes is what a client in mode BCAST costs for each of its prefixes.
const prefixBytes = 64

// mem is the memory of the client's subscriptions and prefixes. Waiting messages are not counted: they are written within a
// round.
func (q *pushes) mem() int {
	n := 0
	for i := range q.subs {
		n += q.subs[i].Bytes()
	}
	if q.track != nil {
		n += len(q.track.prefixes) * prefixBytes
	}
	return n
}

// part is a piece of a chunk.
type part struct {
	ch       *chunk
	from, to int // a line of MONITOR may take more than 2 GiB
}

func (p part) bytes() []byte { return p.ch.buf[p.from:p.to:p.to] }

// chunk is memory that messages are encoded into.
type chunk struct {
	buf []byte
	big bool // one message, which is never written over
}

// outbox is what waits for clients.
type outbox struct {
	clients  []*Client        // that something waits for
	chunks   [2]*chunk        // that messages are put into, by protocol
	used     []*chunk         // these and the full ones
	free     []*chunk         // empty ones
	bytes    int              // encoded since the last flush
	inPacket bool             // whose end sees to the flush
	put      bool             // something, by the packet that is being worked off
	packets  int              // that have put something in since the last flush
	direct   int              // how many packets to come may flush at their end
	flushing bool             // the end of the round has come
	early    bool             // messages may be about changes that are not in the append-only file yet
	own      []byte           // for the client whose turn it is, behind the reply
	stale    [][]byte         // keys whose invalidations the running client gets behind its reply; a nil key means all
	gather   []byte           // scratch of flush
	raw      []byte           // scratch of invalidations
	event    []byte           // scratch of keyspace events
	keyRefs  []session.KeyRef // scratch of tracking
}

// pushMemory is the memory of what is known of subscriptions and tracked keys.
func (s *Server) pushMemory() int {
	n := s.tracking.Bytes()
	for i := range s.channels.registries {
		n += s.channels.registries[i].Bytes()
	}
	return n
}

// ensurePushes returns the client's pushes, which it makes if there are none.
func (c *Client) ensurePushes() *pushes {
	if c.pushes == nil {
		c.pushes = new(pushes)
	}
	return c.pushes
}

// message goes to any number of clients. It is a push, or under RESP2 an array, of n words and then raw, which is encoded
// already; with n = 0 it is raw alone.
type message struct {
	words [4][]byte
	n     int
	raw   []byte
	parts [2]part // what it is encoded to, by protocol
}

// protoIndex is the place of a protocol in lists of two.
func protoIndex(proto int) int {
	if proto == 3 {
		return 1
	}
	return 0
}

// maxFraming is more than what the protocol adds to the words of a message.
const maxFraming = 160

// queueMessage puts a message into a client's queue.
func (s *Server) queueMessage(c *Client, m *message) {
	i := protoIndex(int(c.proto))
	p := m.parts[i]
	if p.ch == nil {
		p = s.outbox.encode(m, i)
		m.parts[i] = p
	}
	s.deliver(c, p)
}

// encode puts a message into a chunk.
func (o *outbox) encode(m *message, i int) part {
	size := maxFraming + len(m.raw)
	for _, word := range m.words[:m.n] {
		size += len(word)
	}
	ch := o.chunkFor(i, size)
	from := len(ch.buf)
	w := resp.Writer{Buf: ch.buf, Proto: i + 2}
	if m.n > 0 {
		n := m.n
		if m.raw != nil {
			n++
		}
		w.Push(n)
		for _, word := range m.words[:m.n] {
			w.Bulk(word)
		}
	}
	w.Raw(m.raw)
	ch.buf = w.Buf
	o.bytes += len(ch.buf) - from
	return part{ch, from, len(ch.buf)}
}

// chunkFor returns a chunk for protocol i with room for n bytes.
func (o *outbox) chunkFor(i, n int) *chunk {
	if n >= bigMessage {
		return &chunk{buf: make([]byte, 0, n), big: true}
	}
	ch := o.chunks[i]
	if ch != nil && cap(ch.buf)-len(ch.buf) >= n {
		return ch
	}
	if k := len(o.free); k > 0 {
		ch = o.free[k-1]
		o.free = o.free[:k-1]
	} else {
		ch = &chunk{buf: make([]byte, 0, chunkSize)}
	}
	o.used = append(o.used, ch)
	o.chunks[i] = ch
	return ch
}

// deliver puts an encoded message into the client's queue.
func (s *Server) deliver(c *Client, p part) {
	o, q := &s.outbox, c.ensurePushes()
	if c == s.current {
		o.own = append(o.own, p.bytes()...)
		return
	}
	o.put = true
	switch {
	case q.nparts == 0:
		q.part, q.nparts = p, 1
		if !q.waits {
			q.waits = true
			o.clients = append(o.clients, c)
			if len(o.clients) == 1 && !o.flushing && !o.inPacket {
				s.loop.RequestFlush()
			}
		}
	case q.nparts == 1 && q.part.ch == p.ch && q.part.to == p.from:
		q.part.to = p.to
	case q.nparts > 1 && q.parts[q.nparts-2].ch == p.ch && q.parts[q.nparts-2].to == p.from:
		q.parts[q.nparts-2].to = p.to
	default:
		q.parts = append(q.parts, p)
		q.nparts++
		o.bytes += partBytes
	}
}

// learnEvery is after how many packets that flushed at their end a whole round is looked at again.
const learnEvery = 32

// endPacket flushes the messages that this packet queued for other clients: now, or at the end of the round.
func (s *Server) endPacket() {
	o := &s.outbox
	o.inPacket = false
	s.fileTouched()
	if s.sync.feed.put {
		s.endFed()
	}
	if !o.put {
		return
	}
	o.put = false
	o.packets++
	if o.direct > 0 && o.packets == 1 && s.aof.file.Buffered() == 0 {
		o.direct--
		s.flushOutbox()
		return
	}
	s.loop.RequestFlush()
}

// relieveOutbox sends the waiting messages if there are many. It must not be called between two deliveries of one message.
// Within a round the messages get as far as the queues of their connections only: the append-only file comes first.
func (s *Server) relieveOutbox() {
	if o := &s.outbox; o.bytes > maxOutbox {
		o.early = !o.flushing
		s.flushOutbox()
		o.early = false
	}
}

// flushOutbox sends what waits.
func (s *Server) flushOutbox() {
	o := &s.outbox
	if len(o.clients) == 0 {
		o.packets = 0
		return
	}
	for i, c := range o.clients {
		o.clients[i] = nil
		if q := c.pushes; q != nil {
			q.waits = false
			if q.nparts > 0 && c.conn != nil {
				s.sendParts(c, q)
			}
		}
	}
	o.clients = o.clients[:0]
	if o.flushing {
		o.direct = 0
		if o.packets == 1 {
			o.direct = learnEvery
		}
	}
	o.packets = 0
	o.chunks = [2]*chunk{}
	for i, ch := range o.used {
		if len(o.free) < keptChunks {
			ch.buf = ch.buf[:0]
			o.free = append(o.free, ch)
		}
		o.used[i] = nil
	}
	o.used = o.used[:0]
	o.bytes = 0
}

// sendParts writes what waits for a client. While the changes that it is about are not in the append-only file, it is held as
// replies are.
func (s *Server) sendParts(c *Client, q *pushes) {
	c.forgetSoft()
	if a := &s.aof; a.on() && (s.outbox.early || a.file.Postponed()) {
		s.holdReply(c.conn)
	}
	total := 0
	if q.nparts == 1 {
		total = s.sendPart(c, q.part)
	} else {
		buf := s.outbox.gather[:0]
		if q.part.ch.big {
			total += s.sendPart(c, q.part)
		} else {
			buf = append(buf, q.part.bytes()...)
		}
		for _, p := range q.parts {
			if p.ch.big || len(buf) > flushAbove {
				total += len(buf)
				c.conn.Send(buf)
				buf = buf[:0]
			}
			if p.ch.big {
				total += s.sendPart(c, p)
			} else {
				buf = append(buf, p.bytes()...)
			}
		}
		total += len(buf)
		c.conn.Send(buf)
		s.outbox.gather = buf
	}
	q.empty()
	s.stats.netOut += int64(total)
	s.stats.writes++
	if c.conn.Queued() > 0 {
		s.checkOutputLimits(c)
		s.account(c)
	}
}

// sendPart writes one part and returns its length.
func (s *Server) sendPart(c *Client, p part) int {
	if p.ch.big {
		c.conn.SendOwned(p.bytes())
	} else {
		c.conn.Send(p.bytes())
	}
	return p.to - p.from
}

// keptParts is the longest list of parts that a client keeps room for.
const keptParts = 8

// empty forgets what waits.
func (q *pushes) empty() {
	q.part, q.nparts = part{}, 0
	if cap(q.parts) > keptParts {
		q.parts = nil
	} else {
		clear(q.parts)
		q.parts = q.parts[:0]
	}
}

// takeWaiting puts what waits for a client in front of the replies of the turn that it begins.
func (s *Server) takeWaiting(c *Client) {
	q := c.pushes
	if q == nil || q.nparts == 0 || c.conn == nil {
		return
	}
	s.w.Raw(q.part.bytes())
	for _, p := range q.parts {
		s.w.Raw(p.bytes())
	}
	q.empty()
}

// finish appends to the reply what was queued for the client during its turn: messages, then invalidations.
func (s *Server) finish(c *Client) {
	c.endCaching()
	s.sendOwn(c)
}

// sendOwn appends to the reply, or to what stands before it, the messages that are queued for the client whose turn it is.
func (s *Server) sendOwn(c *Client) {
	o := &s.outbox
	if len(o.stale) > 0 {
		s.sendStaleKeys(c)
	}
	if len(o.own) > 0 {
		s.w.Raw(o.own)
		o.own = reusable(o.own)
	}
}

// reusable returns a buffer that has been used, empty, to be used again: nil if it is too large to be kept.
func reusable(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

// suppressed reports whether the reply to the command that runs is not to be sent.
func (c *Client) suppressed() bool { return c.replyOff || c.replySkip == 1 }

// keepConfirmation keeps a confirmation, all that the client's writer has got since start, from being suppressed with the reply:
// CLIENT REPLY does not concern what is a push.
func (c *Client) keepConfirmation(start int) {
	if !c.suppressed() {
		return
	}
	o := &c.srv.outbox
	c.ensurePushes()
	o.own = append(o.own, c.W.Buf[min(start, len(c.W.Buf)):]...)
	c.W.Truncate(start)
}

// endPushes ends subscriptions, tracking and MONITOR of a client.
func (s *Server) endPushes(c *Client) {
	if c.pushes != nil {
		s.unsubscribeAll(c)
		s.stopTracking(c)
		s.stopMonitor(c)
	}
}

// forgetPushes is called when the client is gone.
func (s *Server) forgetPushes(c *Client) {
	if c.pushes != nil {
		s.endPushes(c)
		s.forgetTracking(c)
		c.pushes.empty()
	}
}

// executed is called for each executed command while there are monitors or tracking clients. again says that it was
// blocked before.
func (s *Server) executed(c *Client, e *session.Entry, again bool) {
	if !again {
		s.showCommand(c)
	}
	if s.tracking.clients > 0 {
		s.rememberKeys(c, e)
		s.limitTracked()
	}
}

// refusedHere returns the error if a monitor, or a subscriber under RESP2, may not send the command, or "". flags are the
// command's, those of EXEC with the queued ones.
func (c *Client) refusedHere(e *session.Entry, flags session.Flags) string {
	switch {
	case c.proto == 2 && !e.WhileSubscribed && c.subscribed():
		return errNotSubscribed(e.Full)
	case c.pushes.monitor && flags&(session.ReadOnly|mayChange) != 0:
		return errNoKeyspace
	}
	return ""
}
