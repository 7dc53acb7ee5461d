package introspection

import (
	"ferrous/commands/glob"
	"ferrous/commands/session"
)

// COMMAND shows clients the command table, in the shapes of Redis 7.2. Nothing here depends on a single command.

var commandRow = session.Command{
	Name: "command", Arity: -1, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandAll,
	Group: session.GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of commands of the server",
	Summary: "Describes all commands.", Hints: session.AnyOrder,
	Subs: []session.Command{
		{Name: "count", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandCount,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Counts the commands of the server."},
		{Name: "docs", Arity: -2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandDocs,
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands asked for",
			Summary: "Documents some commands, or all.", Hints: session.AnyOrder, Args: commandNames},
		{Name: "getkeys", Arity: -3, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandGetKeys,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of arguments of the command",
			Summary: "Finds the keys among the arguments of a command.", Args: commandLine},
		{Name: "getkeysandflags", Arity: -3, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandGetKeysAndFlags,
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of arguments of the command",
			Summary: "Finds the keys among the arguments of a command, and what it does with them.", Args: commandLine},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandHelp,
			Group: session.GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "info", Arity: -2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandInfo,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of commands asked for",
			Summary: "Describes some commands, or all.", Hints: session.AnyOrder, Args: commandNames,
			History: []session.Change{{"7.0.0", "Without a name it describes all commands."}}},
		{Name: "list", Arity: -2, Flags: session.Loading | session.Stale, ACL: session.CatConnection, Handler: commandList,
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands of the server",
			Summary: "Names the commands.", Hints: session.AnyOrder,
			Args: []session.Arg{{Name: "filterby", Token: "FILTERBY", Type: session.ArgOneOf, Optional: true, Args: []session.Arg{
				session.TokenArg("module-name", session.ArgString, "MODULE", ""),
				session.TokenArg("category", session.ArgString, "ACLCAT", ""),
				session.TokenArg("pattern", session.ArgPattern, "PATTERN", "")}}}},
	},
}

var (
	commandNames = []session.Arg{session.StringArg("command-name").Opt().Many()}
	commandLine  = []session.Arg{session.StringArg("command"), session.StringArg("arg").Opt().Many()}
)

const (
	errInvalidCommand     = "ERR Invalid command specified"
	errNoKeyArgs          = "ERR The command has no key arguments"
	errInvalidNumberArgs  = "ERR Invalid number of arguments specified for command"
	errInvalidCommandArgs = "ERR Invalid arguments specified for command"
)

func commandAll(c *session.Client) {
	list := c.Core.Registry.List
	c.W.Array(len(list))
	for _, e := range list {
		writeInfo(c, e)
	}
}

func commandCount(c *session.Client) { c.W.Int(int64(len(c.Core.Registry.List))) }

func commandInfo(c *session.Client) {
	if len(c.Args) == 2 {
		commandAll(c)
		return
	}
	names := c.Args[2:]
	c.W.Array(len(names))
	for _, name := range names {
		if e := c.Core.Registry.Named(name); e != nil {
			writeInfo(c, e)
		} else {
			c.W.Null()
		}
	}
}

func commandDocs(c *session.Client) {
	if len(c.Args) == 2 {
		list := c.Core.Registry.List
		c.W.Map(len(list))
		for _, e := range list {
			writeDocs(c, e)
		}
		return
	}
	m, n := c.W.BeginMap(), 0
	for _, name := range c.Args[2:] {
		if e := c.Core.Registry.Named(name); e != nil {
			writeDocs(c, e)
			n++
		}
	}
	c.W.EndMap(m, n)
}

func commandList(c *session.Client) {
	wanted := func(*session.Entry) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) != 5 || !c.Is(2, "filterby"):
		c.Error(session.ErrSyntax)
		return
	case c.Is(3, "module"):
		wanted = func(*session.Entry) bool { return false } // there are no modules
	case c.Is(3, "aclcat"):
		cat := session.CategoryNamed(c.Args[4])
		wanted = func(e *session.Entry) bool { return e.Cats&cat != 0 }
	case c.Is(3, "pattern"):
		wanted = func(e *session.Entry) bool { return glob.Match(c.Args[4], []byte(e.Full), true) }
	default:
		c.Error(session.ErrSyntax)
		return
	}
	m, n := c.W.BeginArray(), 0
	show := func(e *session.Entry) {
		if wanted(e) {
			c.W.BulkString(e.Full)
			n++
		}
	}
	for _, e := range c.Core.Registry.List {
		show(e)
		for _, s := range e.Order {
			show(s)
		}
	}
	c.W.EndArray(m, n)
}

func commandGetKeys(c *session.Client) { findKeys(c, false) }

func commandGetKeysAndFlags(c *session.Client) { findKeys(c, true) }

// findKeys replies with the keys of the request behind the two words and, if flags is set, with the flags of each key.
func findKeys(c *session.Client, flags bool) {
	args := c.Args[2:]
	e, unknownSub := c.Core.Registry.Lookup(args)
	switch {
	case e == nil || unknownSub:
		c.Error(errInvalidCommand)
		return
	case !e.HasKeys():
		c.Error(errNoKeyArgs)
		return
	case e.Arity > 0 && len(args) != e.Arity || len(args) < -e.Arity:
		c.Error(errInvalidNumberArgs)
		return
	}
	keys := e.FindKeys(nil, args)
	if len(keys) == 0 && e.Flags&session.NoMandatoryKeys == 0 {
		c.Error(errInvalidCommandArgs)
		return
	}
	c.W.Array(len(keys))
	for _, k := range keys {
		if flags {
			c.W.Array(2)
		}
		c.W.Bulk(args[k.Pos])
		if flags {
			writeFlags(c, k.Flags, keyFlagNames)
		}
	}
}

func commandHelp(c *session.Client) {
	c.Help("(no subcommand)",
		"    Describe all commands.",
		"COUNT",
		"    Count the commands.",
		"DOCS [<command-name> ...]",
		"    Document the named commands, or all.",
		"GETKEYS <full-command>",
		"    Find the keys in a command with its arguments.",
		"GETKEYSANDFLAGS <full-command>",
		"    Find the keys in a command with its arguments, and what is done with them.",
		"INFO [<command-name> ...]",
		"    Describe the named commands, or all.",
		"LIST [FILTERBY MODULE|ACLCAT|PATTERN <value>]",
		"    Name the commands, or those that the filter lets through.")
}

// writeInfo writes a command as COMMAND INFO shows it.
func writeInfo(c *session.Client, e *session.Entry) {
	first, last, step := e.LegacyRange()
	w := c.W
	w.Array(10)
	w.BulkString(e.Full)
	w.Int(int64(e.Arity))
	flags := e.Flags
	if e.Movable() {
		flags |= session.MovableKeys
	}
	writeFlags(c, flags, flagNames)
	w.Int(int64(first))
	w.Int(int64(last))
	w.Int(int64(step))
	writeCategories(c, e.Cats)
	w.Set(len(e.Hints))
	for _, h := range e.Hints {
		w.BulkString(h)
	}
	w.Set(len(e.Keys))
	for i := range e.Keys {
		writeKeySpec(c, &e.Keys[i])
	}
	if e.Subs == nil {
		w.Set(0)
		return
	}
	w.Array(len(e.Order))
	for _, s := range e.Order {
		writeInfo(c, s)
	}
}

// writeCategories writes a set of ACL categories.
func writeCategories(c *session.Client, cats session.Category) {
	m, n := c.W.BeginSet(), 0
	for i, name := range session.CategoryNames {
		if cats&(1<<i) != 0 {
			c.W.Status("@" + name)
			n++
		}
	}
	c.W.EndSet(m, n)
}

// writeKeySpec writes a key spec as nested maps.
func writeKeySpec(c *session.Client, k *session.KeySpec) {
	w := c.W
	pair := func(name string, n int) {
		w.BulkString(name)
		w.Int(int64(n))
	}
	// begin opens the map of one of the two searches: its kind, and the map of its n parameters.
	begin := func(search, kind string, n int) {
		w.BulkString(search)
		w.Map(2)
		w.BulkString("type")
		w.BulkString(kind)
		w.BulkString("spec")
		w.Map(n)
	}
	if k.Notes != "" {
		w.Map(4)
		w.BulkString("notes")
		w.BulkString(k.Notes)
	} else {
		w.Map(3)
	}
	w.BulkString("flags")
	writeFlags(c, k.Flags, keyFlagNames)
	switch {
	case k.Unknown:
		begin("begin_search", "unknown", 0)
	case k.Keyword != "":
		begin("begin_search", "keyword", 2)
		w.BulkString("keyword")
		w.BulkString(k.Keyword)
		pair("startfrom", k.StartFrom)
	default:
		begin("begin_search", "index", 1)
		pair("index", k.Index)
	}
	switch {
	case k.Unknown:
		begin("find_keys", "unknown", 0)
	case k.Step != 0:
		begin("find_keys", "range", 3)
		pair("lastkey", k.Last)
		pair("keystep", k.Step)
		pair("limit", k.Limit)
	default:
		begin("find_keys", "keynum", 3)
		pair("keynumidx", k.KeyNum)
		pair("firstkey", k.FirstKey)
		pair("keystep", k.NumStep)
	}
}

// writeDocs writes a command's name and its documentation as COMMAND DOCS shows it.
func writeDocs(c *session.Client, e *session.Entry) {
	w := c.W
	w.BulkString(e.Full)
	m, n := w.BeginMap(), 0
	text := func(name, s string) {
		if s != "" {
			w.BulkString(name)
			w.BulkString(s)
			n++
		}
	}
	text("summary", e.Summary)
	text("since", e.Since)
	text("group", string(e.Group))
	text("complexity", e.Complexity)
	if e.Deprecated != "" || e.SysCmd {
		w.BulkString("doc_flags")
		f, k := w.BeginSet(), 0
		if e.Deprecated != "" {
			w.Status("deprecated")
			k++
		}
		if e.SysCmd {
			w.Status("syscmd")
			k++
		}
		w.EndSet(f, k)
		n++
	}
	text("deprecated_since", e.Deprecated)
	text("replaced_by", e.ReplacedBy)
	if e.History != nil {
		w.BulkString("history")
		w.Set(len(e.History))
		for _, h := range e.History {
			w.Array(2)
			w.BulkString(h[0])
			w.BulkString(h[1])
		}
		n++
	}
	if e.Args != nil {
		w.BulkString("arguments")
		writeArgDocs(c, e.Args)
		n++
	}
	if e.Subs != nil {
		w.BulkString("subcommands")
		w.Map(len(e.Order))
		for _, s := range e.Order {
			writeDocs(c, s)
		}
		n++
	}
	w.EndMap(m, n)
}

// writeArgDocs writes a list of arguments, each a map, with their subarguments.
func writeArgDocs(c *session.Client, args []session.Arg) {
	w := c.W
	w.Array(len(args))
	for i := range args {
		a := &args[i]
		m, n := w.BeginMap(), 0
		text := func(name, s string) {
			if s != "" {
				w.BulkString(name)
				w.BulkString(s)
				n++
			}
		}
		text("name", a.Name)
		text("type", session.ArgTypeNames[a.Type])
		nested := a.Type == session.ArgOneOf || a.Type == session.ArgBlock
		switch {
		case nested:
		case a.Display != "":
			text("display_text", a.Display)
		default:
			text("display_text", a.Name)
		}
		if a.Type == session.ArgKey || a.Key > 0 {
			w.BulkString("key_spec_index")
			w.Int(int64(a.Key))
			n++
		}
		text("token", a.Token)
		text("since", a.Since)
		text("deprecated_since", a.Deprecated)
		if a.Optional || a.Multiple || a.MultipleToken {
			w.BulkString("flags")
			f, k := w.BeginSet(), 0
			for _, flag := range []struct {
				set  bool
				name string
			}{{a.Optional, "optional"}, {a.Multiple, "multiple"}, {a.MultipleToken, "multiple_token"}} {
				if flag.set {
					w.Status(flag.name)
					k++
				}
			}
			w.EndSet(f, k)
			n++
		}
		if nested {
			w.BulkString("arguments")
			writeArgDocs(c, a.Args)
			n++
		}
		w.EndMap(m, n)
	}
}

// flagName is a flag and its name in replies.
type flagName[F ~uint16 | ~uint32] struct {
	flag F
	name string
}

// flagNames are the flags that COMMAND INFO shows, in its order. The others are for the server itself.
var flagNames = []flagName[session.Flags]{{session.Write, "write"}, {session.ReadOnly, "readonly"}, {session.DenyOOM, "denyoom"}, {session.Admin, "admin"},
	{session.PubSub, "pubsub"}, {session.NoScript, "noscript"}, {session.Blocking, "blocking"}, {session.Loading, "loading"}, {session.Stale, "stale"},
	{session.SkipMonitor, "skip_monitor"}, {session.SkipSlowlog, "skip_slowlog"}, {session.Asking, "asking"}, {session.Fast, "fast"},
	{session.NoAuth, "no_auth"}, {session.NoMandatoryKeys, "no_mandatory_keys"}, {session.NoAsyncLoading, "no_async_loading"},
	{session.NoMulti, "no_multi"}, {session.MovableKeys, "movablekeys"}, {session.AllowBusy, "allow_busy"}}

// keyFlagNames are the flags of keys in the order in which they are shown.
var keyFlagNames = []flagName[session.KeyFlags]{{session.KeyRO, "RO"}, {session.KeyRW, "RW"}, {session.KeyOW, "OW"}, {session.KeyRM, "RM"},
	{session.KeyAccess, "access"}, {session.KeyUpdate, "update"}, {session.KeyInsert, "insert"}, {session.KeyDelete, "delete"}, {session.KeyNotKey, "not_key"},
	{session.KeyIncomplete, "incomplete"}, {session.KeyVariable, "variable_flags"}}

// writeFlags writes the names of a set of flags.
func writeFlags[F ~uint16 | ~uint32](c *session.Client, flags F, names []flagName[F]) {
	m, n := c.W.BeginSet(), 0
	for _, f := range names {
		if flags&f.flag != 0 {
			c.W.Status(f.name)
			n++
		}
	}
	c.W.EndSet(m, n)
}
