package commands

import (
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Transactions: MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//
// # The queue
//
// A client has a transaction (Client.tx) from MULTI or WATCH until EXEC, DISCARD, UNWATCH or the end of its connection. After
// MULTI, Server.admit queues each command that may run and replies QUEUED. A command that may not run makes EXEC fail
// (EXECABORT). The queue is a list of table entries and one buffer with the bytes of all arguments, so that queueing allocates
// nothing once the buffers have grown. The server keeps some used transactions for the next clients. Queued bytes count
// against client-query-buffer-limit.
//
// EXEC runs the commands one after the other through Server.call, without asking admit again. All of them see the time of EXEC,
// so that no key expires between them. What they propagate is collected in pendingOps. At the end the sinks get it: one command
// as it is, several between MULTI and EXEC.
//
// # Watching
//
// Server.watched finds the watches of a key: database, key, watches. touchWatched is among Core.Listeners only while there are
// watches, so that otherwise modifying a key costs nothing. A watch belongs to a database number: SWAPDB exchanges the contents
// of two databases, and so touches the watched keys that exist in one of them.
//
// A key that had expired when it was watched counts as missing (watch.expired): deleting it then is no change. A key that
// expires between WATCH and EXEC has changed, whether it was deleted or not.

// transaction is what a client has between MULTI or WATCH and EXEC.
type transaction struct {
	open    bool // MULTI was sent
	failed  bool // a command was refused: EXEC will be
	touched bool // a watched key was changed: EXEC will answer null
	running bool // EXEC is at work
	scripts bool // a queued command runs a script
	flags   session.Flags
	lacks   session.Flags // that some queued command does not have
	queue   []queuedCommand
	data    []byte // bytes of the arguments of all queued commands
	ends    []int  // where each argument ends in data
	args    [][]byte
	watches []*watch
	watched int // bytes of the names of watched keys
}

// queuedCommand is a command and its number of arguments.
type queuedCommand struct {
	e *session.Entry
	n int
}

// watch is one key watched by one client.
type watch struct {
	c       *Client
	db      *keyspace.DB
	key     string
	expired bool // the key was there and had expired
}

const transactionFlags = session.NoScript | session.Loading | session.Stale | session.Fast | session.AllowBusy

var transactionCommands = []session.Command{
	{Name: "discard", Arity: 1, Flags: transactionFlags, ACL: session.CatTransaction, Handler: connected(discard),
		Group: session.GroupTransactions, Since: "2.0.0", Complexity: "O(N) in the number of queued commands",
		Summary: "Ends a transaction without executing it."},
	{Name: "exec", Arity: 1, Flags: session.NoScript | session.Loading | session.Stale | session.SkipSlowlog, ACL: session.CatTransaction, Handler: connected(exec),
		Group: session.GroupTransactions, Since: "1.2.0", Complexity: "Depends on the queued commands",
		Summary: "Executes the queued commands of a transaction."},
	{Name: "multi", Arity: 1, Flags: transactionFlags, ACL: session.CatTransaction, Handler: connected(multi),
		Group: session.GroupTransactions, Since: "1.2.0", Complexity: "O(1)", Summary: "Begins a transaction."},
	{Name: "unwatch", Arity: 1, Flags: transactionFlags, ACL: session.CatTransaction, Handler: connected(unwatch),
		Group: session.GroupTransactions, Since: "2.2.0", Complexity: "O(1)", Summary: "Forgets the watched keys."},
	{Name: "watch", Arity: -2, Flags: transactionFlags, ACL: session.CatTransaction, Handler: connected(watchKeys),
		Group: session.GroupTransactions, Since: "2.2.0", Complexity: "O(1) for each key",
		Summary: "Makes the next transaction depend on keys being unchanged.",
		Keys:    session.KeyRange(session.KeyRO, -1, 1), Args: []session.Arg{session.KeyArg("key").Many()}},
}

const (
	errNestedMulti    = "ERR MULTI calls can not be nested"
	errDiscardNoMulti = "ERR DISCARD without MULTI"
	errExecNoMulti    = "ERR EXEC without MULTI"
	errWatchInMulti   = "ERR WATCH inside MULTI is not allowed"
	errNoMulti        = "ERR Command not allowed inside a transaction"
	errExecAbort      = "EXECABORT Transaction discarded because of previous errors."
)

// errExecRefused is the error of an EXEC that was refused itself; reason is the error otherwise given.
func errExecRefused(reason string) string {
	return "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(reason, "ERR ")
}

// runsInMulti are the commands that are executed at once inside MULTI too.
var runsInMulti = map[string]bool{"exec": true, "discard": true, "multi": true, "watch": true, "quit": true,
	"reset": true}

// inMulti reports whether the client is between MULTI and EXEC.
func (c *Client) inMulti() bool { return c.tx != nil && c.tx.open }

// transaction returns the client's transaction, a new one if it has none.
func (c *Client) transaction() *transaction {
	if c.tx == nil {
		free := &c.srv.freeTx
		if n := len(*free); n > 0 {
			c.tx = (*free)[n-1]
			*free = (*free)[:n-1]
		} else {
			c.tx = new(transaction)
		}
	}
	return c.tx
}

// Used transactions that the server keeps for the next clients.
const (
	keptTransactions = 64
	keptData         = 16 << 10 // bytes of arguments that a kept one has room for
	keptQueue        = 128      // commands
)

// endTransaction forgets the client's transaction: queue, flags and watches.
func (s *Server) endTransaction(c *Client) {
	tx := c.tx
	if tx == nil {
		return
	}
	s.unwatchAll(c)
	c.tx = nil
	// EXEC may still be reading a transaction whose client ends meanwhile: it is not given to another client.
	if !tx.running && len(s.freeTx) < keptTransactions && cap(tx.data) <= keptData && cap(tx.queue) <= keptQueue &&
		cap(tx.ends) <= 4*keptQueue {
		clear(tx.queue)
		clear(tx.args)
		*tx = transaction{queue: tx.queue[:0], data: tx.data[:0], ends: tx.ends[:0], args: tx.args[:0]}
		s.freeTx = append(s.freeTx, tx)
	}
}

// watchBytes is what a watch costs beside the name of its key, with its shares of the maps that find it.
const watchBytes = 128

// mem is the memory that the queue and the watches hold.
func (tx *transaction) mem() int {
	if tx == nil {
		return 0
	}
	n := len(tx.watches)*watchBytes + tx.watched
	if tx.open {
		n += cap(tx.data) + 16*cap(tx.queue) + 8*cap(tx.ends)
	}
	return n
}

// enqueue puts the client's command into its queue, unless the transaction has failed already. flags are those of the command or,
// of a script with a shebang, those that it has declared.
func (s *Server) enqueue(c *Client, e *session.Entry, flags session.Flags) {
	tx := c.tx
	if !tx.failed && !tx.touched {
		for _, a := range c.Args {
			tx.data = append(tx.data, a...)
			tx.ends = append(tx.ends, len(tx.data))
		}
		tx.queue = append(tx.queue, queuedCommand{e, len(c.Args)})
		tx.flags |= flags
		tx.lacks |= ^flags
		tx.scripts = tx.scripts || e.Scripted
		if limit := s.limits.MaxBuffered; limit > 0 && int64(len(tx.data)) > limit && c.conn != nil {
			s.Logf(config.LogWarning, "Closing client that reached max query buffer length: %s", c.describe())
			s.stats.queryBufDisconnections++
			s.w.Reset()
			c.stopped = true
			c.conn.CloseNow()
			return
		}
	}
	c.W.Status("QUEUED")
}

func multi(c *Client) {
	tx := c.transaction()
	if tx.open {
		c.Error(errNestedMulti)
		return
	}
	tx.open = true
	c.W.OK()
}

func discard(c *Client) {
	if !c.inMulti() {
		c.Error(errDiscardNoMulti)
		return
	}
	c.srv.endTransaction(c)
	c.W.OK()
}

func exec(c *Client) {
	s := c.srv
	if !c.inMulti() {
		c.Error(errExecNoMulti)
		return
	}
	switch tx := c.tx; {
	case tx.failed:
		c.Error(errExecAbort)
	case tx.touched || s.watchedExpired(tx):
		c.W.NullArray()
	default:
		s.unwatchAll(c)
		c.runQueue(tx)
	}
	s.endTransaction(c)
}

// runQueue executes the queued commands.
func (c *Client) runQueue(tx *transaction) {
	s := c.srv
	args, e, now, dirty := c.Args, c.Cmd, s.Keyspace.Now, s.Dirty
	tx.running, s.pendingOps.open = true, true
	c.W.Array(len(tx.queue))
	start, arg, clock := 0, 0, s.nanos()
	for _, q := range tx.queue {
		tx.args = tx.args[:0]
		for _, end := range tx.ends[arg : arg+q.n] {
			tx.args = append(tx.args, tx.data[start:end:end])
			start = end
		}
		arg += q.n
		c.Args = tx.args
		s.Keyspace.Now = now
		if c.bounded() {
			if msg := s.forbidden(c, q.e, true); msg != "" {
				c.Cmd = nil
				c.Error(msg)
				q.e.Rejected++
				continue
			}
		}
		clock = s.call(c, q.e, clock)
		s.reap()
	}
	s.Keyspace.Now = now
	c.Args, c.Cmd = args, e
	tx.running = false
	s.feedPending()
	if s.Dirty != dirty {
		c.PropagateNothing() // its commands have been propagated one by one
	}
}

func watchKeys(c *Client) {
	if c.inMulti() {
		c.Error(errWatchInMulti)
		return
	}
	tx := c.transaction()
	if !tx.touched {
		for _, key := range c.Args[1:] {
			c.srv.watch(c, key)
		}
	}
	c.W.OK()
}

func unwatch(c *Client) {
	// Inside MULTI it is queued; when EXEC runs it there are no watches any more.
	if c.tx != nil && !c.tx.open {
		c.srv.endTransaction(c)
	}
	c.W.OK()
}

// watch makes the client watch a key of its database.
func (s *Server) watch(c *Client, key []byte) {
	keys := s.watched[c.DB]
	for _, w := range keys[string(key)] {
		if w.c == c {
			return
		}
	}
	if keys == nil {
		keys = make(map[string][]*watch)
		if s.watched == nil {
			s.watched = make(map[*keyspace.DB]map[string][]*watch)
		}
		s.watched[c.DB] = keys
	}
	r := c.DB.PeekStale(key)
	w := &watch{c: c, db: c.DB, key: string(key), expired: r != nil && s.Keyspace.Expired(r)}
	keys[w.key] = append(keys[w.key], w)
	c.tx.watches = append(c.tx.watches, w)
	c.tx.watched += len(key)
	s.listen()
}

// unwatchAll ends all watches of the client.
func (s *Server) unwatchAll(c *Client) {
	if len(c.tx.watches) == 0 {
		return
	}
	for _, w := range c.tx.watches {
		keys := s.watched[w.db]
		list := keys[w.key]
		for i, x := range list {
			if x == w {
				last := len(list) - 1
				list[i], list[last] = list[last], nil
				list = list[:last]
				break
			}
		}
		if len(list) > 0 {
			keys[w.key] = list
			continue
		}
		delete(keys, w.key)
		if len(keys) == 0 {
			delete(s.watched, w.db)
		}
	}
	c.tx.watches, c.tx.watched = nil, 0
	s.listen()
}

// listen sets Core.Listeners to those that are needed now: watches and tracking.
func (s *Server) listen() {
	watches, tracks := len(s.watched) > 0, s.tracking.clients > 0
	want := 0
	if watches {
		want++
	}
	if tracks {
		want++
	}
	if want == len(s.Listeners) && (want != 1 || s.listensForTracking == tracks) {
		return
	}
	s.Listeners, s.listensForTracking = nil, tracks
	if watches {
		s.Listeners = append(s.Listeners, s.touchWatched)
	}
	if tracks {
		s.Listeners = append(s.Listeners, s.trackedModified)
	}
}

// touchWatched is called for each modified key. For whole databases watchFlushed and watchSwapped are called before they change.
func (s *Server) touchWatched(db *keyspace.DB, key []byte) {
	if key == nil {
		return
	}
	for _, w := range s.watched[db][string(key)] {
		if w.expired {
			if r := db.PeekStale(key); r == nil || s.Keyspace.Expired(r) {
				w.expired = false // an expired key is deleted: it was missing before and is missing now
				continue
			}
		}
		w.c.tx.touched = true
	}
}

// watchedExpired reports whether a key has expired since the transaction began to watch it.
func (s *Server) watchedExpired(tx *transaction) bool {
	for _, w := range tx.watches {
		if w.expired {
			continue
		}
		if r := w.db.PeekStale([]byte(w.key)); r != nil && s.Keyspace.Expired(r) {
			return true
		}
	}
	return false
}

// watchFlushed is called before the database loses all its keys.
func (s *Server) watchFlushed(db *keyspace.DB) { s.watchReplaced(db, nil) }

// watchSwapped is called before two databases exchange their contents.
func (s *Server) watchSwapped(a, b *keyspace.DB) {
	s.watchReplaced(a, b)
	s.watchReplaced(b, a)
}

// watchReplaced touches the watched keys of db whose presence or value changes when the contents of by, which is nil for
// none, take the place of its own.
func (s *Server) watchReplaced(db, by *keyspace.DB) {
	for key, list := range s.watched[db] {
		before := db.PeekStale([]byte(key)) != nil
		after, stale := false, false
		if by != nil {
			if r := by.PeekStale([]byte(key)); r != nil {
				after, stale = true, s.Keyspace.Expired(r)
			}
		}
		if !before && !after {
			continue
		}
		for _, w := range list {
			switch missing := w.expired || !before; {
			case missing && !after:
				w.expired = false
			case missing && stale:
				w.expired = true
			default:
				w.c.tx.touched = true
			}
		}
	}
}
