package commands

import (
	"slices"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
	"ferrous/replication"
)

// Blocking commands: BLPOP and its like wait until a key that they name holds a value of their type.
//
// # Waiting
//
// A handler that finds nothing calls Client.Block. Block copies the request (blocked), stops the client, whose further requests
// stay in its parser, and puts a wait of the client into the queue of each key. blocking.waiting finds the queues: database,
// key, queue. A queue is a linked list in the order of arrival, so that entering and leaving cost the same however many clients
// wait. A waiting client costs no time: it is in lists, and in the heap of timers if it has a timeout.
//
// # Serving
//
// While clients wait, Keyspace.OnAdd is called for every key that comes into being, whatever made it: a push, RENAME, COPY, MOVE,
// SORT with STORE, a key of another type being overwritten. Core.Ready is called for streams that existed before (XADD, XGROUP
// DESTROY), waitersSwapped for SWAPDB. If the key has a queue, the queue is marked ready.
//
// After the command (for EXEC: after the whole transaction), serveBlocked handles the ready queues. As long as the key holds
// a value of the type that the next client waits for, that client's request is executed again from the start, with all
// checks, as if it had just arrived. It takes from the first of its keys that holds something. If the request makes other
// keys ready, as BLMOVE does, their queues are served before any other client's command. If it blocks again, because the key
// does not hold enough, it moves to the end of the queues with its old deadline.
//
// While a group has delivered all entries of its stream, all its waiting consumers (Wait.Group) would find nothing. So
// serveQueue asks the stream before it executes such a request, and skips the other consumers of a group that has nothing
// left: an added entry costs the same however many consumers of the group wait.
//
// The reply is written to the client's socket at once. Requests that it sent while it waited run in a later round (resumed).
//
// XREADGROUP also waits for the deletion of its key (Wait.Gone): Keyspace.OnRemove is called for deleted keys, waitersFlushed for
// emptied databases. The request then runs again whatever the key holds, and replies with the error. With CLAIM it also runs
// again when a pending entry may have become old enough (Wait.Again).
//
// # Leaving
//
// unblock takes a client out of all queues: before it is served, at its timeout, by CLIENT UNBLOCK, or when its connection ends.
// A connection that is known to be lost but not yet closed is never served.

// blocked is a request that waits.
type blocked struct {
	c        *Client
	args     [][]byte
	buf      []byte      // bytes of args
	kind     record.Type // what it waits for
	gone     bool        // or for a key to go
	grouped  bool        // it finds nothing while group has all entries
	group    []byte
	waits    []wait // one for each key
	deadline int64  // Unix ms, 0 = none
	again    int64  // when it runs again in any case, Unix ms; 0 = never
	spent    int64  // nanoseconds that it ran so far
	timer    *eventloop.Timer
	waiter   *replication.Waiter
	file     bool            // it waits for the append-only file, too
	answer   func(c *Client) // replies at the end of a wait that is not for keys, however it ends; nil for keys
}

// wait is the place of a blocked client in the queue of a key.
type wait struct {
	q          *waitQueue
	b          *blocked
	group      *groupQueue // nil if it is not grouped
	prev, next *wait
}

// groupQueue counts the clients in the queue of a stream that wait for the entries of one group.
type groupQueue struct {
	name string
	n    int
	done bool // while the queue is served: the group has delivered all entries
}

// waitQueue holds the clients that wait for a key, in the order of arrival.
type waitQueue struct {
	db          *keyspace.DB
	key         string
	first, last *wait
	n           int
	gone        int  // how many of them wait for the key to be deleted
	ready       bool // in Server.blocking.ready
	groups      []*groupQueue
}

// blocking is the server's part.
type blocking struct {
	waiting  map[*keyspace.DB]map[string]*waitQueue
	clients  int // that wait
	timed    int // clients that wait with a timeout
	gone     int // clients that wait for keys to be deleted
	keys     int // queues
	goneKeys int // queues with a client that waits for the key to be deleted
	ready    []*waitQueue
	serving  bool
	w        resp.Writer // for replies to clients that are served within another's turn
	resumed  []*Client   // that have requests left from while they waited
	retrying *blocked    // the request that is executed again
	free     []*blocked
}

// Buffers of requests that no longer wait, kept for the next ones.
const (
	keptBlocked    = 1024
	keptBlockedBuf = 1 << 10 // bytes of arguments
	keptWaits      = 16      // keys
)

const (
	errUnblocked     = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	errUnblockReason = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
)

// MayBlock reports whether the client may wait: not inside a transaction, and not one that has no connection.
func (c *Client) MayBlock() bool { return c.conn != nil && !c.master && !c.inMulti() }

// Block makes the client wait until one of the keys, arguments of the request that runs, holds a value of a kind.
// The handler must not have replied or changed anything.
func (c *Client) Block(kind record.Type, keys [][]byte, deadline int64) {
	c.Wait(session.Wait{Kind: kind, Keys: keys, Deadline: deadline})
}

// Wait is Block with all that may be said about waiting. The handler may have changed something, but not replied.
func (c *Client) Wait(w session.Wait) {
	s := c.srv
	bl := &s.blocking
	b := bl.retrying
	if b == nil {
		if n := len(bl.free); n > 0 {
			b = bl.free[n-1]
			bl.free = bl.free[:n-1]
		} else {
			b = new(blocked)
		}
		if w.Args == nil {
			w.Args = c.Args
		}
		b.keep(w.Args)
		b.deadline = w.Deadline
	}
	first := bl.retrying == nil
	bl.retrying = nil
	if b.again = w.Again; b.again != 0 || first && b.deadline != 0 {
		s.startTimeout(b)
	}
	b.c, b.kind, b.gone = c, w.Kind, w.Gone
	b.grouped, b.group = w.Group != nil, append(b.group[:0], w.Group...)
	c.blocked, c.stopped = b, true
	bl.clients++
	if b.deadline != 0 {
		bl.timed++
	}
	if b.gone {
		bl.gone++
	}
	if cap(b.waits) < len(w.Keys) {
		b.waits = make([]wait, 0, len(w.Keys)) // others point into it: it must not move
	}
	for _, key := range w.Keys {
		s.join(b, key)
	}
	s.hearOfKeys()
}

// keep copies the arguments.
func (b *blocked) keep(args [][]byte) {
	b.buf, b.args = b.buf[:0], b.args[:0]
	n := argBytes(args)
	if cap(b.buf) < n {
		b.buf = make([]byte, 0, n)
	}
	for _, a := range args {
		b.buf = append(b.buf, a...)
		b.args = append(b.args, b.buf[len(b.buf)-len(a):len(b.buf):len(b.buf)])
	}
}

// join puts a client at the end of the queue for a key of its database.
func (s *Server) join(b *blocked, key []byte) {
	bl, db := &s.blocking, b.c.DB
	q := bl.waiting[db][string(key)]
	if q == nil {
		q = &waitQueue{db: db, key: string(key)}
		if bl.waiting == nil {
			bl.waiting = make(map[*keyspace.DB]map[string]*waitQueue)
		}
		if bl.waiting[db] == nil {
			bl.waiting[db] = make(map[string]*waitQueue)
		}
		bl.waiting[db][q.key] = q
		bl.keys++
	} else if q.last.b == b {
		return // the key is named twice
	}
	b.waits = append(b.waits, wait{q: q, b: b, prev: q.last})
	w := &b.waits[len(b.waits)-1]
	if b.grouped {
		w.group = q.enter(b.group)
	}
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.n++
	if b.gone {
		if q.gone++; q.gone == 1 {
			bl.goneKeys++
		}
	}
}

// enter counts one more client that waits for the entries of a group.
func (q *waitQueue) enter(name []byte) *groupQueue {
	for _, g := range q.groups {
		if g.name == string(name) {
			g.n++
			return g
		}
	}
	g := &groupQueue{name: string(name), n: 1}
	q.groups = append(q.groups, g)
	return g
}

// leave counts one client less.
func (q *waitQueue) leave(g *groupQueue) {
	if g.n--; g.n == 0 {
		q.groups = slices.DeleteFunc(q.groups, func(other *groupQueue) bool { return other == g })
	}
}

// finish marks a group whose entries have all been delivered. It reports whether no client in the queue may find something any
// more.
func (q *waitQueue) finish(g *groupQueue) bool {
	g.done = true
	n := q.n
	for _, g := range q.groups {
		if g.done {
			n -= g.n
		}
	}
	return n == 0
}

// unblock takes a waiting client out of all queues and lets it go on. Its request is returned, to be given to retry or
// release.
func (s *Server) unblock(c *Client) *blocked {
	b, bl := c.blocked, &s.blocking
	c.blocked, c.stopped = nil, c.closing || c.doomed
	for i := range b.waits {
		w := &b.waits[i]
		q := w.q
		if w.prev == nil {
			q.first = w.next
		} else {
			w.prev.next = w.next
		}
		if w.next == nil {
			q.last = w.prev
		} else {
			w.next.prev = w.prev
		}
		if b.gone {
			if q.gone--; q.gone == 0 {
				bl.goneKeys--
			}
		}
		if w.group != nil {
			q.leave(w.group)
		}
		if q.n--; q.n == 0 {
			delete(bl.waiting[q.db], q.key)
			bl.keys--
		}
		*w = wait{}
	}
	b.waits = b.waits[:0]
	bl.clients--
	if b.deadline != 0 {
		bl.timed--
	}
	if b.gone {
		bl.gone--
	}
	return b
}

// release ends a request that waits no longer.
func (s *Server) release(b *blocked) {
	bl := &s.blocking
	if b.deadline != 0 || b.again != 0 {
		b.timer.Stop()
	}
	s.hearOfKeys()
	if b.waiter != nil {
		s.sync.node.CancelWait(b.waiter)
		b.waiter, b.file = nil, false
	}
	b.c, b.spent, b.answer = nil, 0, nil
	if len(bl.free) < keptBlocked && cap(b.buf) <= keptBlockedBuf && cap(b.waits) <= keptWaits {
		bl.free = append(bl.free, b)
	}
}

// startTimeout sets the timer of a request with a deadline, or with a time to run again.
func (s *Server) startTimeout(b *blocked) {
	due := b.deadline
	if due == 0 || b.again != 0 && b.again < due {
		due = b.again
	}
	d := time.Duration(min(due-s.Keyspace.Now, maxPause)) * time.Millisecond
	if b.timer == nil {
		b.timer = s.loop.AfterFunc(d, func() { s.timedOut(b) })
	} else {
		b.timer.Reset(d)
	}
}

// timedOut is called when the time of a waiting request is over.
func (s *Server) timedOut(b *blocked) {
	if s.busy.on {
		s.busy.late = append(s.busy.late, b)
		return
	}
	s.setNow(s.nanos())
	switch now := s.Keyspace.Now; {
	case b.deadline != 0 && now >= b.deadline:
		s.endWait(b.c, "")
	case b.again != 0 && now >= b.again:
		s.afterServing(s.retry(b.c, s.nanos()))
	default:
		s.startTimeout(b) // the timer was set for less, or the clock was set back
	}
}

// afterServing does what follows on serving clients outside the turn of a command.
func (s *Server) afterServing(now int64) {
	if len(s.blocking.ready) > 0 {
		s.serveBlocked(now)
	}
	if s.unsettled {
		s.settle()
	}
	s.fileTouched()
}

// endWait ends a client's wait with an error, or as its timeout does.
func (s *Server) endWait(c *Client, errText string) {
	b := s.unblock(c)
	outer := s.takeTurn(c)
	c.Cmd, c.Args = c.last, b.args
	if errText != "" {
		c.Error(errText)
	} else if b.answer != nil {
		b.answer(c)
	} else {
		c.W.NullArray()
	}
	if c.replyOff || c.replySkip > 0 {
		s.w.Reset()
	}
	c.replySkip = 0
	s.countCall(c, c.Cmd, b.spent)
	s.endTurn(c, outer)
	s.release(b)
}

// A turn keeps the client that is being served, and its replies, while another client is served in between.
type turn struct {
	current *Client
	w       resp.Writer
}

// takeTurn begins to serve a client in the middle of another one's turn, with a reply buffer of its own.
func (s *Server) takeTurn(c *Client) turn {
	outer := turn{s.current, s.w}
	s.w = s.blocking.w
	s.w.Reset()
	s.w.Proto = int(c.proto)
	s.current = c
	s.limitReply(c)
	s.takeWaiting(c)
	return outer
}

// endTurn sends the replies and returns to the client that was being served before. Requests that the client sent while it
// waited run in a later round.
func (s *Server) endTurn(c *Client, outer turn) {
	c.Args = nil
	s.send(c)
	s.account(c)
	c.lastActive = s.Keyspace.Now
	if c.closing {
		c.conn.CloseAfterSend()
	} else if !c.stopped && c.parser.Buffered() > 0 {
		bl := &s.blocking
		bl.resumed = append(bl.resumed, c)
		if len(bl.resumed) == 1 {
			s.loop.Post(s.resumeUnblocked)
		}
	}
	s.blocking.w, s.w = s.w, outer.w
	s.current = outer.current
}

// resumeUnblocked runs what clients sent while they waited.
func (s *Server) resumeUnblocked() {
	clients := s.blocking.resumed
	s.blocking.resumed = nil
	for _, c := range clients {
		if s.clients[c.id] != c || c.stopped {
			continue
		}
		now := s.nanos()
		s.setNow(now)
		c.parser.Begin(nil)
		s.process(c, now)
	}
}

// hearOfKeys sets the callbacks of the keyspace: they are called only while clients wait for keys, or while the event "new" is
// published.
func (s *Server) hearOfKeys() {
	s.Ready, s.Keyspace.OnRemove = nil, nil
	if s.blocking.clients > 0 {
		s.Ready = s.keyReady
	}
	if s.blocking.gone > 0 {
		s.Keyspace.OnRemove = s.keyRemoved
	}
	switch want := s.blocking.clients > 0 || s.Config.NotifyKeyspaceEvents&config.NotifyNew != 0; {
	case !want:
		s.Keyspace.OnAdd = nil
	case s.Keyspace.OnAdd == nil:
		s.Keyspace.OnAdd = s.keyAdded
	}
}

// keyAdded is Keyspace.OnAdd: it is called for each new key, and each whose type has changed.
func (s *Server) keyAdded(db *keyspace.DB, r *record.Record, replaced bool) {
	if !replaced {
		s.Notify(config.NotifyNew, "new", r.Key(), db)
	}
	if s.blocking.clients == 0 {
		return
	}
	switch r.Type() {
	case record.List, record.ZSet, record.Stream:
		s.keyReady(db, r.Key())
	default:
		if s.blocking.gone > 0 {
			s.keyReady(db, r.Key())
		}
	}
}

// keyReady is Core.Ready: clients that wait for the key may find something in it.
func (s *Server) keyReady(db *keyspace.DB, key []byte) {
	if q := s.blocking.waiting[db][string(key)]; q != nil {
		s.markReady(q)
	}
}

// keyRemoved is Keyspace.OnRemove: it is called for each key that is deleted. A key may expire while no command runs; the loop
// then serves the clients in a turn of its own.
func (s *Server) keyRemoved(db *keyspace.DB, r *record.Record) {
	if q := s.blocking.waiting[db][string(r.Key())]; q != nil && q.gone > 0 && !q.ready {
		s.markReady(q)
		s.loop.Post(func() {
			if len(s.blocking.ready) > 0 {
				now := s.nanos()
				s.setNow(now)
				s.afterServing(now)
			}
		})
	}
}

// waitersFlushed is called before a database loses all its keys.
func (s *Server) waitersFlushed(db *keyspace.DB) {
	if s.blocking.gone == 0 {
		return
	}
	for key, q := range s.blocking.waiting[db] {
		if q.gone > 0 && db.PeekStale([]byte(key)) != nil {
			s.markReady(q)
		}
	}
}

func (s *Server) markReady(q *waitQueue) {
	if !q.ready {
		q.ready = true
		s.blocking.ready = append(s.blocking.ready, q)
	}
}

// waitersSwapped is called after two databases have exchanged their contents. Clients wait for keys of a database number, so
// that the keys that came may be what they wait for.
func (s *Server) waitersSwapped(dbs ...*keyspace.DB) {
	for _, db := range dbs {
		for key, q := range s.blocking.waiting[db] {
			if q.gone > 0 || db.PeekStale([]byte(key)) != nil {
				s.markReady(q)
			}
		}
	}
}

// serveBlocked serves the clients that wait for keys that have become ready. now is the monotonic time; serveBlocked returns the
// time at which it ends.
func (s *Server) serveBlocked(now int64) int64 {
	bl := &s.blocking
	bl.serving = true
	for i := 0; i < len(bl.ready); i++ { // it may grow meanwhile
		q := bl.ready[i]
		bl.ready[i] = nil
		q.ready = false
		now = s.serveQueue(q, now)
	}
	bl.ready = bl.ready[:0]
	bl.serving = false
	return now
}

// serveQueue serves the clients that wait for a key, as long as the key has something for them.
func (s *Server) serveQueue(q *waitQueue, now int64) int64 {
	key := []byte(q.key)
	for _, g := range q.groups {
		g.done = false
	}
	w := q.first
	for n := q.n; n > 0 && w != nil; n-- { // one who waits again comes last, and has had its turn
		r := q.db.PeekStale(key) // only a command that looks for an expired key deletes it
		there := r != nil && !s.Keyspace.Expired(r)
		if !there && q.gone == 0 {
			break
		}
		next, c := w.next, w.b.c
		if g := w.group; g != nil && !g.done && there && r.Type() == record.Stream &&
			!record.Value[stream.Stream](r).HasNews(w.b.group) && q.finish(g) {
			break
		}
		switch {
		case w.group != nil && w.group.done:
		case c.conn.Closing():
			s.release(s.unblock(c))
		case w.b.gone || there && w.b.kind == r.Type():
			now = s.retry(c, now)
		}
		w = next
	}
	return now
}

// retry executes the request of a waiting client again.
func (s *Server) retry(c *Client, now int64) int64 {
	bl := &s.blocking
	b := s.unblock(c)
	outer := s.takeTurn(c)
	bl.retrying = b
	c.Args = b.args
	now = s.execute(c, now)
	if bl.retrying != nil { // it did not block again
		bl.retrying = nil
		s.release(b)
	}
	s.endTurn(c, outer)
	return now
}

var clientUnblockRow = session.Command{
	Name: "unblock", Arity: -3, Flags: session.Admin | session.NoScript | session.Loading | session.Stale, ACL: session.CatConnection, Handler: connected(clientUnblock),
	Group: session.GroupConnection, Since: "5.0.0", Complexity: "O(log N) with N the number of connections",
	Summary: "Ends the waiting of a client that is blocked by a command.",
	Args: []session.Arg{session.IntArg("client-id"),
		session.OneOf("unblock-type", session.TokenWord("timeout", "TIMEOUT", ""), session.TokenWord("error", "ERROR", "")).Opt()},
}

func clientUnblock(c *Client) {
	if len(c.Args) > 4 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	text := ""
	if len(c.Args) == 4 {
		switch {
		case c.Is(3, "timeout"):
		case c.Is(3, "error"):
			text = errUnblocked
		default:
			c.Error(errUnblockReason)
			return
		}
	}
	id, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	// A client that CLIENT PAUSE holds back is not blocked by a command.
	target := c.srv.clients[id]
	if target == nil || target.blocked == nil {
		c.W.Int(0)
		return
	}
	c.srv.endWait(target, text)
	c.W.Int(1)
}
