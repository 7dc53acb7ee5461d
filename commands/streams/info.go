package streams

import (
	"strings"

	"ferrous/commands/session"
	"ferrous/datatypes/stream"
)

// XINFO.

// fullCount is how many entries of each kind XINFO STREAM FULL shows unless COUNT says otherwise.
const fullCount = 10

func xinfoStream(c *session.Client) {
	s, ok := infoKey(c)
	if !ok {
		return
	}
	full, count := len(c.Args) > 3, int64(fullCount)
	if full && (len(c.Args) != 4 && len(c.Args) != 6 || !c.Is(3, "full") || len(c.Args) == 6 && !c.Is(4, "count")) {
		c.Error(errSubSyntax(c))
		return
	}
	if len(c.Args) == 6 {
		if count, ok = c.Int64Arg(5); !ok {
			return
		}
		if count < 0 {
			count = fullCount
		}
	}
	if full {
		c.W.Map(9)
	} else {
		c.W.Map(10)
	}
	field(c, "length", int64(s.Len()))
	field(c, "radix-tree-keys", int64(s.NumNodes()))
	field(c, "radix-tree-nodes", int64(s.NumNodes()+1))
	idField(c, "last-generated-id", s.Last)
	idField(c, "max-deleted-entry-id", s.MaxDeleted)
	field(c, "entries-added", int64(s.Added))
	idField(c, "recorded-first-entry-id", s.First)
	if !full {
		field(c, "groups", int64(len(s.Groups())))
		edge(c, s, "first-entry", false)
		edge(c, s, "last-entry", true)
		return
	}
	c.W.BulkString("entries")
	writeRange(c, s, stream.ID{}, stream.MaxID, false, count)
	c.W.BulkString("groups")
	c.W.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		fullGroup(c, s, g, int(count))
	}
}

// errSubSyntax replies that a subcommand's arguments are wrong.
func errSubSyntax(c *session.Client) string {
	return "ERR unknown subcommand or wrong number of arguments for '" + session.Quoted(c.Args[1], 128) + "'. Try " +
		strings.ToUpper(session.CString(c.Args[0])) + " HELP."
}

// infoKey returns the stream at the key of XINFO. If there is none it has replied.
func infoKey(c *session.Client) (s *stream.Stream, ok bool) {
	s, ok = readStream(c, c.Args[2])
	if ok && s == nil {
		c.Error(session.ErrNoKey)
		return nil, false
	}
	return s, ok
}

func field(c *session.Client, name string, n int64) {
	c.W.BulkString(name)
	c.W.Int(n)
}

func idField(c *session.Client, name string, id stream.ID) {
	c.W.BulkString(name)
	writeID(c, id)
}

func nameField(c *session.Client, name []byte) {
	c.W.BulkString("name")
	c.W.Bulk(name)
}

// edge is the first or the last entry.
func edge(c *session.Client, s *stream.Stream, name string, last bool) {
	c.W.BulkString(name)
	var it stream.Iter
	it.Start(s, stream.ID{}, stream.MaxID, last)
	if it.Next() {
		writeEntry(c, &it)
	} else {
		c.W.Null()
	}
}

// progress replies with how far a group has read: entries-read and lag.
func progress(c *session.Client, s *stream.Stream, g *stream.Group) {
	c.W.BulkString("entries-read")
	if g.Read == stream.Unknown {
		c.W.Null()
	} else {
		c.W.Int(g.Read)
	}
	c.W.BulkString("lag")
	if lag, ok := s.Lag(g); ok {
		c.W.Int(lag)
	} else {
		c.W.Null()
	}
}

// ownerName returns the name of a pending entry's consumer; "" if it has none.
func ownerName(g *stream.Group, p stream.Pending) []byte {
	if owner := g.Owner(p); owner != nil {
		return owner.Name()
	}
	return []byte{}
}

func fullGroup(c *session.Client, s *stream.Stream, g *stream.Group, count int) {
	c.W.Map(7)
	nameField(c, g.Name())
	idField(c, "last-delivered-id", g.Last)
	progress(c, s, g)
	field(c, "pel-count", int64(g.NumPending()))
	c.W.BulkString("pending")
	var it stream.PendingIter
	m, n := c.W.BeginArray(), 0
	for it.Start(g, stream.ID{}); (count == 0 || n < count) && it.Next(); n++ {
		p := it.Pending()
		c.W.Array(4)
		writeID(c, it.ID())
		c.W.Bulk(ownerName(g, p))
		c.W.Int(p.Time)
		c.W.Int(int64(p.Count))
	}
	c.W.EndArray(m, n)
	c.W.BulkString("consumers")
	c.W.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		c.W.Map(5)
		nameField(c, consumer.Name())
		field(c, "seen-time", consumer.Seen)
		field(c, "active-time", consumer.Active)
		field(c, "pel-count", int64(consumer.NumPending()))
		c.W.BulkString("pending")
		m, n := c.W.BeginArray(), 0
		consumer.EachPending(func(id stream.ID) bool {
			if count != 0 && n == count {
				return false
			}
			p, _ := g.Pending(id)
			c.W.Array(3)
			writeID(c, id)
			c.W.Int(p.Time)
			c.W.Int(int64(p.Count))
			n++
			return true
		})
		c.W.EndArray(m, n)
	}
}

func xinfoGroups(c *session.Client) {
	s, ok := infoKey(c)
	if !ok {
		return
	}
	c.W.Array(len(s.Groups()))
	for _, g := range s.Groups() {
		c.W.Map(6)
		nameField(c, g.Name())
		field(c, "consumers", int64(len(g.Consumers())))
		field(c, "pending", int64(g.NumPending()))
		idField(c, "last-delivered-id", g.Last)
		progress(c, s, g)
	}
}

func xinfoConsumers(c *session.Client) {
	s, ok := infoKey(c)
	if !ok {
		return
	}
	g := s.Group(c.Args[3])
	if g == nil {
		c.Error(errNoGroupFor(c.Args[3], c.Args[2]))
		return
	}
	now := c.Core.Keyspace.Now
	c.W.Array(len(g.Consumers()))
	for _, consumer := range g.Consumers() {
		inactive := consumer.Active
		if inactive != -1 {
			inactive = now - inactive
		}
		c.W.Map(4)
		nameField(c, consumer.Name())
		field(c, "pending", int64(consumer.NumPending()))
		field(c, "idle", max(now-consumer.Seen, 0))
		field(c, "inactive", inactive)
	}
}

func xinfoHelp(c *session.Client) {
	c.Help("CONSUMERS <key> <groupname>",
		"    Show consumers of <groupname>.",
		"GROUPS <key>",
		"    Show the stream consumer groups.",
		"STREAM <key> [FULL [COUNT <count>]",
		"    Show information about the stream.")
}
