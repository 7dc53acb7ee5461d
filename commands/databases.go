package commands

import (
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Commands on whole databases. What changes all keys at once concerns the clients that watch keys, wait for them or track them.

var databaseCommands = []session.Command{
	{Name: "flushall", Arity: -1, Flags: session.Write, ACL: session.CatKeyspace | session.CatDangerous, Handler: connected(flushall),
		Group: session.GroupServer, Since: "1.0.0",
		Complexity: "O(1), however many keys there are; ASYNC and SYNC make no difference.",
		Summary:    "Deletes all keys of all databases.",
		History:    flushHistory, Hints: flushHints, Args: flushArgs},
	{Name: "flushdb", Arity: -1, Flags: session.Write, ACL: session.CatKeyspace | session.CatDangerous, Handler: connected(flushdb),
		Group: session.GroupServer, Since: "1.0.0",
		Complexity: "O(1), however many keys there are; ASYNC and SYNC make no difference.",
		Summary:    "Deletes all keys of the selected database.",
		History:    flushHistory, Hints: flushHints, Args: flushArgs},
	{Name: "swapdb", Arity: 3, Flags: session.Write | session.Fast, ACL: session.CatKeyspace | session.CatDangerous, Handler: connected(swapdb),
		Group: session.GroupServer, Since: "4.0.0",
		Complexity: "O(N) with N the number of clients that watch keys of the two databases or wait for them.",
		Summary:    "Exchanges the contents of two databases.",
		Args:       []session.Arg{session.IntArg("index1"), session.IntArg("index2")}},
}

// databaseModified reports that all keys of a database, present and missing ones, may have changed: after FLUSHDB and SWAPDB.
// Listeners get nil for the key.
func (s *Server) databaseModified(db *keyspace.DB) { s.KeyModified(db, nil) }

func swapdb(c *Client) {
	a, ok := c.IntArg(1, session.ErrFirstDB)
	if !ok {
		return
	}
	b, ok := c.IntArg(2, session.ErrSecondDB)
	if !ok {
		return
	}
	dbs := c.srv.Keyspace.DBs()
	if a < 0 || a >= len(dbs) || b < 0 || b >= len(dbs) {
		c.Error(session.ErrDBIndex)
		return
	}
	if a != b {
		c.srv.watchSwapped(dbs[a], dbs[b])
		c.srv.Keyspace.Swap(dbs[a], dbs[b])
		c.srv.waitersSwapped(dbs[a], dbs[b])
		c.srv.databaseModified(dbs[a])
		c.srv.databaseModified(dbs[b])
	}
	c.srv.Dirty++
	c.W.OK()
}

func flushdb(c *Client) {
	if c.flushMode() {
		c.flush(c.DB)
	}
}

func flushall(c *Client) {
	if c.flushMode() {
		c.flush(c.srv.Keyspace.DBs()...)
	}
}

// flushMode checks the only argument, SYNC or ASYNC, which both do the same here: the keys are gone at once, and the
// collector reclaims their memory in the background. On failure it has replied.
func (c *Client) flushMode() bool {
	if len(c.Args) == 1 || len(c.Args) == 2 && (c.Is(1, "sync") || c.Is(1, "async")) {
		return true
	}
	c.Error(session.ErrSyntax)
	return false
}

// emptyDatabases deletes all keys and returns how many there were.
func (s *Server) emptyDatabases(dbs ...*keyspace.DB) int64 {
	n := int64(0)
	for _, db := range dbs {
		s.watchFlushed(db)
		s.waitersFlushed(db)
		n += int64(db.Flush())
		s.databaseModified(db)
	}
	s.trackedFlushed()
	return n
}

func (c *Client) flush(dbs ...*keyspace.DB) {
	n := c.srv.emptyDatabases(dbs...)
	c.srv.Dirty += n
	if len(dbs) == len(c.srv.Keyspace.DBs()) {
		c.srv.saveFlushed()
	}
	if n == 0 {
		// It is propagated even so: a replica may hold keys that are gone here.
		c.PropagateAlso(c.Args...)
	}
	c.W.OK()
}

var (
	flushHistory = []session.Change{
		{"4.0.0", "Added the `ASYNC` mode."},
		{"6.2.0", "Added the `SYNC` mode."}}
	flushHints = []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	flushArgs  = []session.Arg{session.OneOf("flush-type",
		session.TokenWord("async", "ASYNC", "4.0.0"), session.TokenWord("sync", "SYNC", "6.2.0")).Opt()}
)
