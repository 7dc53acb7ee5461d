package streams

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// XGROUP and XACK.

const (
	errBusyGroup   = "BUSYGROUP Consumer Group name already exists"
	errEntriesRead = "ERR value for ENTRIESREAD must be positive or -1"
	errGroupKey    = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM " +
		"option to create an empty stream automatically."
)

func errNoGroupFor(group, key []byte) string {
	return "NOGROUP No such consumer group '" + session.CString(group) + "' for key name '" + session.CString(key) + "'"
}

// groupOptions reads the options of XGROUP CREATE and SETID. On failure it has replied.
func groupOptions(c *session.Client, create bool) (mkStream bool, read int64, ok bool) {
	read = stream.Unknown
	for i := 5; i < len(c.Args); i++ {
		switch {
		case create && c.Is(i, "mkstream"):
			mkStream = true
		case c.Is(i, "entriesread") && i+1 < len(c.Args):
			i++
			if read, ok = c.Int64Arg(i); !ok {
				return false, 0, false
			}
			if read < 0 && read != stream.Unknown {
				c.Error(errEntriesRead)
				return false, 0, false
			}
		default:
			c.Error(errSubSyntax(c))
			return false, 0, false
		}
	}
	return mkStream, read, true
}

// lastArg parses argument 4, an ID or $ for the last one of the stream, which may be nil. On failure it has replied.
func lastArg(c *session.Client, s *stream.Stream, strict bool) (id stream.ID, ok bool) {
	if isWord(c.Args[4], '$') {
		if s != nil {
			id = s.Last
		}
		return id, true
	}
	if id, ok = parseID(c.Args[4], 0, strict); !ok {
		c.Error(errID)
	}
	return id, ok
}

func xgroupCreate(c *session.Client) {
	mkStream, read, ok := groupOptions(c, true)
	if !ok {
		return
	}
	key, name := c.Args[2], c.Args[3]
	r, ok := c.WriteTyped(key, record.Stream)
	if !ok {
		return
	}
	if r == nil && !mkStream {
		c.Error(errGroupKey)
		return
	}
	if len(c.Args) > 8 {
		c.Error(errSubSyntax(c))
		return
	}
	s := session.ValueOf[stream.Stream](c, r)
	last, ok := lastArg(c, s, true)
	if !ok {
		return
	}
	if s == nil {
		s = stream.New(c.Gen())
		s.AddGroup(name, last, read, c.Gen())
		put(c, key, s)
		c.Modified(key)
	} else {
		if s.Group(name) != nil {
			c.Error(errBusyGroup)
			return
		}
		e := own(c, r)
		e.AddGroup(name, last, read, c.Gen())
		e.done(c)
		c.Core.Dirty++
	}
	c.W.OK()
	c.Notify(config.NotifyStream, "xgroup-create", key)
}

// existingGroup finds the key and the group that a subcommand of XGROUP names. If there is no such key, or no such group
// though it is needed, it has replied.
func existingGroup(c *session.Client, needed bool) (r *record.Record, g *stream.Group, ok bool) {
	key, name := c.Args[2], c.Args[3]
	if r, ok = c.WriteTyped(key, record.Stream); !ok {
		return nil, nil, false
	}
	if r == nil {
		c.Error(errGroupKey)
		return nil, nil, false
	}
	g = record.Value[stream.Stream](r).Group(name)
	if g == nil && needed {
		c.Error(errNoGroupFor(name, key))
		return nil, nil, false
	}
	return r, g, true
}

func xgroupSetID(c *session.Client) {
	_, read, ok := groupOptions(c, false)
	if !ok {
		return
	}
	r, _, ok := existingGroup(c, true)
	if !ok {
		return
	}
	if len(c.Args) != 5 && len(c.Args) != 7 {
		c.Error(errSubSyntax(c))
		return
	}
	last, ok := lastArg(c, record.Value[stream.Stream](r), false)
	if !ok {
		return
	}
	g := ownGroup(c, r, c.Args[2], c.Args[3])
	g.Last, g.Read = last, read
	g.done(c)
	c.W.OK()
	c.Core.Dirty++
	c.Notify(config.NotifyStream, "xgroup-setid", c.Args[2])
}

func xgroupDestroy(c *session.Client) {
	r, g, ok := existingGroup(c, false)
	if !ok {
		return
	}
	if g == nil {
		c.W.Int(0)
		return
	}
	key := c.Args[2]
	e := own(c, r)
	e.RemoveGroup(c.Args[3])
	e.done(c)
	c.W.Int(1)
	c.Core.Dirty++
	c.Notify(config.NotifyStream, "xgroup-destroy", key)
	signal(c, key) // unblocks the group's waiting consumers: they get NOGROUP
}

func xgroupCreateConsumer(c *session.Client) {
	r, g, ok := existingGroup(c, true)
	if !ok {
		return
	}
	if g.Consumer(c.Args[4]) != nil {
		c.W.Int(0)
		return
	}
	e := ownGroup(c, r, c.Args[2], c.Args[3])
	e.addConsumer(c, c.Args[4])
	e.done(c)
	c.W.Int(1)
}

func xgroupDelConsumer(c *session.Client) {
	r, g, ok := existingGroup(c, true)
	if !ok {
		return
	}
	if g.Consumer(c.Args[4]) == nil {
		c.W.Int(0)
		return
	}
	e := ownGroup(c, r, c.Args[2], c.Args[3])
	pending, _ := e.RemoveConsumer(e.Group, c.Args[4], c.Gen())
	e.done(c)
	c.Core.Dirty++
	c.Notify(config.NotifyStream, "xgroup-delconsumer", c.Args[2])
	c.W.Int(int64(pending))
}

func xgroupHelp(c *session.Client) {
	c.Help("CREATE <key> <groupname> <id|$> [option]",
		"    Create a new consumer group. Options are:",
		"    * MKSTREAM",
		"      Create the empty stream if it does not exist.",
		"    * ENTRIESREAD entries_read",
		"      Set the group's entries_read counter (internal use).",
		"CREATECONSUMER <key> <groupname> <consumer>",
		"    Create a new consumer in the specified group.",
		"DELCONSUMER <key> <groupname> <consumer>",
		"    Remove the specified consumer.",
		"DESTROY <key> <groupname>",
		"    Remove the specified group.",
		"SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
		"    Set the current group ID and entries_read counter.")
}

// xack removes entries from the pending entries of a group.
func xack(c *session.Client) {
	key, name := c.Args[1], c.Args[2]
	r := c.Read(key)
	g, ok := groupOf(c, r, name)
	if !ok {
		return
	}
	if g == nil {
		c.W.Int(0)
		return
	}
	ids := c.Args[3:]
	if !checkIDs(c, ids) {
		return
	}
	e, n := ownGroup(c, r, key, name), 0
	for _, b := range ids {
		if e.Ack(e.Group, knownID(b), c.Gen()) {
			n++
		}
	}
	e.done(c)
	c.Core.Dirty += int64(n)
	c.W.Int(int64(n))
}
