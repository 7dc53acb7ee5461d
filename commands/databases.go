package commands

import (
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Commands on whole databases. A command that changes all keys at once must also handle the clients that watch keys, are
// blocked on them or track them.

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

func flushdb(c *Client) { c.flush(c.DB) }

func flushall(c *Client) { c.flush(c.srv.Keyspace.DBs()...) }

// flushType reads the last argument of a FLUSH with so many arguments in all: SYNC or ASYNC, or it is left out and the
// directive lazyfree-lazy-user-flush decides. Both do the same here, the collector reclaims memory in the background; ASYNC
// alone is counted as lazy freeing. It reports false for any other word.
func (c *Client) flushType(arity int) (lazily, ok bool) {
	switch {
	case len(c.Args) == arity-1:
		return c.srv.Config.LazyfreeUserFlush, true
	case len(c.Args) != arity:
		return false, false
	}
	lazily = c.Is(arity-1, "async")
	return lazily, lazily || c.Is(arity-1, "sync")
}

// emptyAll deletes all keys of all databases before other data are loaded; lazily is as for FLUSHALL ASYNC.
func (s *Server) emptyAll(lazily bool) { s.emptyDatabases(lazily, s.Keyspace.DBs()...) }

// emptyDatabases deletes all keys and returns how many there were; lazily is as for FLUSHALL ASYNC.
func (s *Server) emptyDatabases(lazily bool, dbs ...*keyspace.DB) int64 {
	n := int64(0)
	for _, db := range dbs {
		s.watchFlushed(db)
		s.waitersFlushed(db)
		n += int64(db.Flush(lazily))
		s.databaseModified(db)
	}
	s.trackedFlushed(lazily)
	return n
}

func (c *Client) flush(dbs ...*keyspace.DB) {
	lazily, ok := c.flushType(2)
	if !ok {
		c.Error(session.ErrSyntax)
		return
	}
	n := c.srv.emptyDatabases(lazily, dbs...)
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
