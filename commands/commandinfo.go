package commands

import (
	"bytes"
	"math"

	"ferrous/commands/glob"
)

// COMMAND tells clients what the command table says, in the shapes of Redis 7.2. It is the table's reader for the wire
// as keyspecs.go is the one for dispatch: nothing about any single command is known here.

var commandCommand = Command{
	Name: "command", Arity: -1, Flags: Loading | Stale, ACL: CatConnection, Handler: commandAll,
	Group: GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of commands of the server",
	Summary: "Describes all commands.", Hints: anyOrder,
	Subs: []Command{
		{Name: "count", Arity: 2, Flags: Loading | Stale, ACL: CatConnection, Handler: commandCount,
			Group: GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Counts the commands of the server."},
		{Name: "docs", Arity: -2, Flags: Loading | Stale, ACL: CatConnection, Handler: commandDocs,
			Group: GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands asked for",
			Summary: "Documents some commands, or all.", Hints: anyOrder, Args: commandNames},
		{Name: "getkeys", Arity: -3, Flags: Loading | Stale, ACL: CatConnection, Handler: commandGetKeys,
			Group: GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of arguments of the command",
			Summary: "Finds the keys among the arguments of a command.", Args: commandLine},
		{Name: "getkeysandflags", Arity: -3, Flags: Loading | Stale, ACL: CatConnection, Handler: commandGetKeysAndFlags,
			Group: GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of arguments of the command",
			Summary: "Finds the keys among the arguments of a command, and what it does with them.", Args: commandLine},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatConnection, Handler: commandHelp,
			Group: GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "info", Arity: -2, Flags: Loading | Stale, ACL: CatConnection, Handler: commandInfo,
			Group: GroupServer, Since: "2.8.13", Complexity: "O(N) in the number of commands asked for",
			Summary: "Describes some commands, or all.", Hints: anyOrder, Args: commandNames,
			History: []Change{{"7.0.0", "Without a name it describes all commands."}}},
		{Name: "list", Arity: -2, Flags: Loading | Stale, ACL: CatConnection, Handler: commandList,
			Group: GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands of the server",
			Summary: "Names the commands.", Hints: anyOrder,
			Args: []Arg{{Name: "filterby", Token: "FILTERBY", Type: ArgOneOf, Optional: true, Args: []Arg{
				aTokenArg("module-name", ArgString, "MODULE", ""),
				aTokenArg("category", ArgString, "ACLCAT", ""),
				aTokenArg("pattern", ArgPattern, "PATTERN", "")}}}},
	},
}

var (
	anyOrder     = []string{"nondeterministic_output_order"}
	commandNames = []Arg{aString("command-name").optional().multiple()}
	commandLine  = []Arg{aString("command"), aString("arg").optional().multiple()}
)

const (
	errInvalidCommand     = "ERR Invalid command specified"
	errNoKeyArgs          = "ERR The command has no key arguments"
	errInvalidNumberArgs  = "ERR Invalid number of arguments specified for command"
	errInvalidCommandArgs = "ERR Invalid arguments specified for command"
)

func commandAll(c *Client) {
	list := c.srv.reg.list
	c.w.Array(len(list))
	for _, e := range list {
		c.commandInfo(e)
	}
}

func commandCount(c *Client) { c.w.Int(int64(len(c.srv.reg.list))) }

func commandInfo(c *Client) {
	if len(c.args) == 2 {
		commandAll(c)
		return
	}
	names := c.args[2:]
	c.w.Array(len(names))
	for _, name := range names {
		if e := c.srv.reg.named(name); e != nil {
			c.commandInfo(e)
		} else {
			c.w.Null()
		}
	}
}

func commandDocs(c *Client) {
	if len(c.args) == 2 {
		list := c.srv.reg.list
		c.w.Map(len(list))
		for _, e := range list {
			c.commandDocs(e)
		}
		return
	}
	m, n := c.w.BeginMap(), 0
	for _, name := range c.args[2:] {
		if e := c.srv.reg.named(name); e != nil {
			c.commandDocs(e)
			n++
		}
	}
	c.w.EndMap(m, n)
}

func commandList(c *Client) {
	wanted := func(*entry) bool { return true }
	switch {
	case len(c.args) == 2:
	case len(c.args) != 5 || !c.is(2, "filterby"):
		c.error(errSyntax)
		return
	case c.is(3, "module"):
		wanted = func(*entry) bool { return false } // there are no modules
	case c.is(3, "aclcat"):
		cat := categoryNamed(c.args[4])
		wanted = func(e *entry) bool { return e.cats&cat != 0 }
	case c.is(3, "pattern"):
		wanted = func(e *entry) bool { return glob.Match(c.args[4], []byte(e.full), true) }
	default:
		c.error(errSyntax)
		return
	}
	m, n := c.w.BeginArray(), 0
	show := func(e *entry) {
		if wanted(e) {
			c.w.BulkString(e.full)
			n++
		}
	}
	for _, e := range c.srv.reg.list {
		show(e)
		for _, s := range e.order {
			show(s)
		}
	}
	c.w.EndArray(m, n)
}

func commandGetKeys(c *Client) { c.commandGetKeys(false) }

func commandGetKeysAndFlags(c *Client) { c.commandGetKeys(true) }

func (c *Client) commandGetKeys(flags bool) {
	args := c.args[2:]
	e, unknownSub := c.srv.reg.lookup(args)
	switch {
	case e == nil || unknownSub:
		c.error(errInvalidCommand)
		return
	case !e.hasKeys():
		c.error(errNoKeyArgs)
		return
	case e.Arity > 0 && len(args) != e.Arity || len(args) < -e.Arity:
		c.error(errInvalidNumberArgs)
		return
	}
	keys := e.keys(nil, args)
	if len(keys) == 0 && e.Flags&NoMandatoryKeys == 0 {
		c.error(errInvalidCommandArgs)
		return
	}
	c.w.Array(len(keys))
	for _, k := range keys {
		if flags {
			c.w.Array(2)
		}
		c.w.Bulk(args[k.Pos])
		if flags {
			writeFlags(c, k.Flags, keyFlagNames)
		}
	}
}

func commandHelp(c *Client) {
	c.help("(no subcommand)",
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

// named returns the entry of a name as COMMAND INFO takes it, "get" or "config|get" in any case; nil if there is none.
func (g *registry) named(name []byte) *entry {
	parent, sub, isSub := bytes.Cut(name, []byte{'|'})
	e := find(g.byName, parent)
	if e == nil || !isSub {
		return e
	}
	return find(e.subs, sub)
}

// categoryNamed returns the ACL category of a name in any case, 0 if there is none.
func categoryNamed(name []byte) Category {
	for i, n := range CategoryNames {
		if equalFold(name, n) {
			return 1 << i
		}
	}
	return 0
}

// commandInfo writes what COMMAND INFO tells of a command.
func (c *Client) commandInfo(e *entry) {
	first, last, step := e.legacyRange()
	w := c.w
	w.Array(10)
	w.BulkString(e.full)
	w.Int(int64(e.Arity))
	flags := e.Flags
	if e.movable() {
		flags |= MovableKeys
	}
	writeFlags(c, flags, flagNames)
	w.Int(int64(first))
	w.Int(int64(last))
	w.Int(int64(step))
	c.categories(e.cats)
	w.Set(len(e.Hints))
	for _, h := range e.Hints {
		w.BulkString(h)
	}
	w.Set(len(e.Keys))
	for i := range e.Keys {
		c.keySpec(&e.Keys[i])
	}
	if e.subs == nil {
		w.Set(0)
		return
	}
	w.Array(len(e.order))
	for _, s := range e.order {
		c.commandInfo(s)
	}
}

// categories writes a set of ACL categories.
func (c *Client) categories(cats Category) {
	m, n := c.w.BeginSet(), 0
	for i, name := range CategoryNames {
		if cats&(1<<i) != 0 {
			c.w.Status("@" + name)
			n++
		}
	}
	c.w.EndSet(m, n)
}

// keySpec writes a key spec as nested maps.
func (c *Client) keySpec(k *KeySpec) {
	w := c.w
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

// commandDocs writes a command's name and what COMMAND DOCS tells of it.
func (c *Client) commandDocs(e *entry) {
	w := c.w
	w.BulkString(e.full)
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
			w.BulkString(h.Since)
			w.BulkString(h.What)
		}
		n++
	}
	if e.Args != nil {
		w.BulkString("arguments")
		c.argDocs(e.Args)
		n++
	}
	if e.subs != nil {
		w.BulkString("subcommands")
		w.Map(len(e.order))
		for _, s := range e.order {
			c.commandDocs(s)
		}
		n++
	}
	w.EndMap(m, n)
}

// argDocs writes a list of arguments, each a map, with what they consist of.
func (c *Client) argDocs(args []Arg) {
	w := c.w
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
		text("type", ArgTypeNames[a.Type])
		nested := a.Type == ArgOneOf || a.Type == ArgBlock
		switch {
		case nested:
		case a.Display != "":
			text("display_text", a.Display)
		default:
			text("display_text", a.Name)
		}
		if a.Type == ArgKey || a.Key > 0 {
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
			c.argDocs(a.Args)
			n++
		}
		w.EndMap(m, n)
	}
}

// flagName is a flag and its name on the wire.
type flagName[F ~uint16 | ~uint32] struct {
	flag F
	name string
}

// flagNames are the flags that COMMAND INFO shows, in its order. The others are for the server itself.
var flagNames = []flagName[Flags]{{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"},
	{PubSub, "pubsub"}, {NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"}, {Stale, "stale"},
	{SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Asking, "asking"}, {Fast, "fast"},
	{NoAuth, "no_auth"}, {NoMandatoryKeys, "no_mandatory_keys"}, {NoAsyncLoading, "no_async_loading"},
	{NoMulti, "no_multi"}, {MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"}}

// keyFlagNames are the flags of keys in the order in which they are shown.
var keyFlagNames = []flagName[KeyFlags]{{KeyRO, "RO"}, {KeyRW, "RW"}, {KeyOW, "OW"}, {KeyRM, "RM"},
	{KeyAccess, "access"}, {KeyUpdate, "update"}, {KeyInsert, "insert"}, {KeyDelete, "delete"}, {KeyNotKey, "not_key"},
	{KeyIncomplete, "incomplete"}, {KeyVariable, "variable_flags"}}

// writeFlags writes the names of a set of flags.
func writeFlags[F ~uint16 | ~uint32](c *Client, flags F, names []flagName[F]) {
	m, n := c.w.BeginSet(), 0
	for _, f := range names {
		if flags&f.flag != 0 {
			c.w.Status(f.name)
			n++
		}
	}
	c.w.EndSet(m, n)
}

// legacyRange describes the command's keys the way clients did before key specs: the first and the last key's places
// and the distance between two (zeros: none). The range joins the specs that lie at fixed places one after the other;
// last is negative where it counts from the end.
func (cmd *Command) legacyRange() (first, last, step int) {
	if len(cmd.Keys) == 1 {
		if k := &cmd.Keys[0]; k.fixed() {
			return k.Index, k.lastPlace(), k.Step
		}
		return 0, 0, 0
	}
	first = math.MaxInt
	before := 0
	for i := range cmd.Keys {
		k := &cmd.Keys[i]
		if !k.fixed() || !k.follows(before) {
			continue
		}
		first = min(first, k.Index)
		// A place counted from the end is behind all that are counted from the start.
		if l := k.lastPlace(); uint(l) > uint(last) {
			last = l
		}
		before = last
	}
	if first == math.MaxInt {
		return 0, 0, 0
	}
	return first, last, 1
}

// movable reports whether legacyRange does not tell all keys.
func (cmd *Command) movable() bool {
	before := 0
	for i := range cmd.Keys {
		k := &cmd.Keys[i]
		if !k.fixed() || k.Flags&KeyIncomplete != 0 {
			return true
		}
		if len(cmd.Keys) > 1 {
			if !k.follows(before) {
				return true
			}
			before = k.lastPlace()
		}
	}
	return false
}

// fixed reports whether the keys are at places that do not depend on other arguments.
func (k *KeySpec) fixed() bool { return !k.Unknown && k.Keyword == "" && k.Step != 0 }

// follows reports whether the keys are in a row that begins behind the place before, 0 standing for anywhere.
func (k *KeySpec) follows(before int) bool {
	return k.Step == 1 && (before == 0 || before == k.Index-1)
}

// lastPlace is the place of the last key, counted from the end if negative.
func (k *KeySpec) lastPlace() int {
	if k.Last < 0 {
		return k.Last
	}
	return k.Index + k.Last
}
