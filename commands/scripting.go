package commands

import (
	"cmp"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/process"
	"ferrous/commands/scripting"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/eventloop/resp"
	"ferrous/lua"
	"ferrous/rdb"
)

// Scripts and functions: EVAL, FCALL, SCRIPT and FUNCTION. The language is package lua.
//
// A script runs commands through Server.call, as EXEC does, with an inner client (scripts.client) that has the caller's
// user and begins with the caller's database. Its writer holds the reply of one command, which the engine turns into a value.
// What the script changes is propagated as one transaction (Server.pendingOps), inside EXEC as a part of EXEC's. The clock that
// expiry and TIME see stands still from the script's start to its end.
//
// A script that runs longer than busy-reply-threshold gives the loop back between its steps; see busy.go.

// scripts is what a server has of scripts.
type scripts struct {
	engine    *lua.Engine
	libraries *scripting.Libraries
	client    *Client // runs the commands of scripts
	testing   bool    // DEBUG SET-DISABLE-DENY-SCRIPTS
	reply     scripting.Reply
	last      *session.Entry // the command that a script called last

	// Of the script that runs.
	caller   *Client // nil while none runs
	name     string  // of the function
	eval     bool    // it is a script and no function
	readOnly bool
	wrote    bool   // a write command was called
	slow     bool   // it has yielded
	allowOOM bool   // its commands are not refused while memory is full
	repl     int    // redis.set_repl
	now      int64  // the clock that it sees, Unix ms
	micros   int64  // the same in Unix microseconds
	clock    int64  // monotonic time at the end of its last command, or later: when the next one begins
	ticks    uint64 // of the engine when clock was read
	started  int64  // monotonic time: that of the request
}

// newScripts makes the server's engine.
func (s *Server) newScripts() {
	x := &s.scripts
	x.engine = lua.New((*bridge)(s))
	x.libraries = scripting.NewLibraries(x.engine)
	x.client = s.newInnerClient()
	x.engine.Pace.Every, s.busy.slow = scriptTurn, s.giveTurn
	x.engine.MemoryLimit = process.SystemMemory() / 4
}

// scriptKeys is the key spec of commands whose keys are as many as the argument behind the script says.
func scriptKeys(flags session.KeyFlags, notes string) []session.KeySpec {
	return []session.KeySpec{{Flags: flags, Notes: notes, Index: 2, KeyNum: 0, FirstKey: 1, NumStep: 1}}
}

func scriptArgs(name string) []session.Arg {
	return []session.Arg{session.StringArg(name), session.IntArg("numkeys"), session.KeyArg("key").Opt().Many(),
		session.StringArg("arg").Opt().Many()}
}

const (
	scriptRun   = session.NoScript | session.SkipMonitor | session.MayReplicate | session.NoMandatoryKeys | session.Stale
	scriptRunRO = session.NoScript | session.SkipMonitor | session.NoMandatoryKeys | session.Stale | session.ReadOnly
	// What COMMAND INFO says of the keys.
	anyUseOfKeys  = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
	anyReadOfKeys = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
)

var (
	cacheFlushArgs = []session.Arg{session.OneOf("flush-type", session.TokenWord("async", "ASYNC", ""),
		session.TokenWord("sync", "SYNC", "")).Opt()}
	allShards   = []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	allNodes    = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
	oneOfShards = []string{"request_policy:all_shards", "response_policy:one_succeeded"}
)

var scriptingCommands = []session.Command{
	{Name: "eval", Arity: -3, Flags: scriptRun, ACL: session.CatScripting, Handler: connected(eval),
		Group: session.GroupScripting, Since: "2.6.0", Complexity: "Depends on the script.", Summary: "Runs a Lua script.",
		Keys: scriptKeys(session.KeyRW|session.KeyAccess|session.KeyUpdate, anyUseOfKeys), Args: scriptArgs("script")},
	{Name: "evalsha", Arity: -3, Flags: scriptRun, ACL: session.CatScripting, Handler: connected(evalSHA),
		Group: session.GroupScripting, Since: "2.6.0", Complexity: "Depends on the script.",
		Summary: "Runs a cached Lua script, named by its SHA1.",
		Keys:    scriptKeys(session.KeyRW|session.KeyAccess|session.KeyUpdate, ""), Args: scriptArgs("sha1")},
	{Name: "eval_ro", Arity: -3, Flags: scriptRunRO, ACL: session.CatScripting, Handler: connected(eval),
		Group: session.GroupScripting, Since: "7.0.0", Complexity: "Depends on the script.",
		Summary: "Runs a Lua script that only reads.",
		Keys:    scriptKeys(session.KeyRO|session.KeyAccess, anyReadOfKeys), Args: scriptArgs("script")},
	{Name: "evalsha_ro", Arity: -3, Flags: scriptRunRO, ACL: session.CatScripting, Handler: connected(evalSHA),
		Group: session.GroupScripting, Since: "7.0.0", Complexity: "Depends on the script.",
		Summary: "Runs a cached Lua script that only reads, named by its SHA1.",
		Keys:    scriptKeys(session.KeyRO|session.KeyAccess, ""), Args: scriptArgs("sha1")},
	{Name: "fcall", Arity: -3, Flags: scriptRun, ACL: session.CatScripting, Handler: connected(fcall),
		Group: session.GroupScripting, Since: "7.0.0", Complexity: "Depends on the function.", Summary: "Calls a function.",
		Keys: scriptKeys(session.KeyRW|session.KeyAccess|session.KeyUpdate, anyUseOfKeys), Args: scriptArgs("function")},
	{Name: "fcall_ro", Arity: -3, Flags: scriptRunRO, ACL: session.CatScripting, Handler: connected(fcall),
		Group: session.GroupScripting, Since: "7.0.0", Complexity: "Depends on the function.",
		Summary: "Calls a function that only reads.",
		Keys:    scriptKeys(session.KeyRO|session.KeyAccess, anyReadOfKeys), Args: scriptArgs("function")},
	{Name: "script", Arity: -2, Group: session.GroupScripting, Since: "2.6.0", Complexity: "Depends on the subcommand.",
		Summary: "Container of commands about the script cache.",
		Subs: []session.Command{
			{Name: "debug", Arity: 3, Flags: session.NoScript, ACL: session.CatScripting,
				Handler: scriptDebug, Group: session.GroupScripting, Since: "3.2.0",
				Complexity: "O(1)", Summary: "Is refused: there is no debugger of scripts.",
				Args: []session.Arg{session.OneOf("mode", session.TokenWord("yes", "YES", ""),
					session.TokenWord("sync", "SYNC", ""), session.TokenWord("no", "NO", ""))}},
			{Name: "exists", Arity: -3, Flags: session.NoScript, ACL: session.CatScripting, Handler: connected(scriptExists),
				Group: session.GroupScripting, Since: "2.6.0", Complexity: "O(N) in the number of SHA1s",
				Summary: "Tells which scripts are cached.",
				Hints:   []string{"request_policy:all_shards", "response_policy:agg_logical_and"},
				Args:    []session.Arg{session.StringArg("sha1").Many()}},
			{Name: "flush", Arity: -2, Flags: session.NoScript, ACL: session.CatScripting, Handler: connected(scriptFlush),
				Group: session.GroupScripting, Since: "2.6.0", Complexity: "O(N) in the number of cached scripts",
				Summary: "Empties the script cache.",
				History: []session.Change{{"6.2.0", "The modifiers `ASYNC` and `SYNC`."}}, Hints: allNodes,
				Args: []session.Arg{cacheFlushArgs[0].From("6.2.0")}},
			{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatScripting, Handler: scriptHelp,
				Group: session.GroupScripting, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
			{Name: "kill", Arity: 2, Flags: session.NoScript | session.AllowBusy, ACL: session.CatScripting,
				Handler: connected(scriptKill), Group: session.GroupScripting, Since: "2.6.0", Complexity: "O(1)",
				Summary: "Ends the script that runs.", Hints: oneOfShards},
			{Name: "load", Arity: 3, Flags: session.NoScript | session.Stale, ACL: session.CatScripting, Handler: connected(scriptLoad),
				Group: session.GroupScripting, Since: "2.6.0", Complexity: "O(N) in the length of the script",
				Summary: "Puts a script into the script cache.", Hints: allNodes, Args: []session.Arg{session.StringArg("script")}},
			{Name: "show", Arity: 3, Flags: session.NoScript, ACL: session.CatScripting, Handler: connected(scriptShow),
				Group: session.GroupScripting, Since: "8.0.0", Complexity: "O(1)", Summary: "Returns the text of a cached script.",
				Args: []session.Arg{session.StringArg("sha1")}},
		}},
	{Name: "function", Arity: -2, Group: session.GroupScripting, Since: "7.0.0", Complexity: "Depends on the subcommand.",
		Summary: "Container of commands about function libraries.",
		Subs: []session.Command{
			{Name: "delete", Arity: 3, Flags: session.NoScript | session.Write, ACL: session.CatScripting, Handler: connected(functionDelete),
				Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(1)", Summary: "Deletes a library and its functions.",
				Hints: allShards, Args: []session.Arg{session.StringArg("library-name")}},
			{Name: "dump", Arity: 2, Flags: session.NoScript, ACL: session.CatScripting, Handler: connected(functionDump),
				Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(N) in the number of functions",
				Summary: "Returns all libraries as one payload."},
			{Name: "flush", Arity: -2, Flags: session.NoScript | session.Write, ACL: session.CatScripting, Handler: connected(functionFlush),
				Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(N) in the number of functions",
				Summary: "Deletes all libraries.", Hints: allShards, Args: cacheFlushArgs},
			{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatScripting, Handler: functionHelp,
				Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
			{Name: "kill", Arity: 2, Flags: session.NoScript | session.AllowBusy, ACL: session.CatScripting,
				Handler: connected(functionKill), Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(1)",
				Summary: "Ends the function that runs.", Hints: oneOfShards},
			{Name: "list", Arity: -2, Flags: session.NoScript, ACL: session.CatScripting,
				Handler: connected(func(c *Client) { c.srv.scripts.libraries.List(&c.Client) }),
				Group:   session.GroupScripting, Since: "7.0.0", Complexity: "O(N) in the number of functions",
				Summary: "Describes all libraries.", Hints: []string{"nondeterministic_output_order"},
				Args: []session.Arg{session.TokenArg("library-name-pattern", session.ArgString, "LIBRARYNAME", "").Opt(),
					session.TokenWord("withcode", "WITHCODE", "").Opt()}},
			{Name: "load", Arity: -3, Flags: session.NoScript | session.Write | session.DenyOOM, ACL: session.CatScripting,
				Handler: connected(functionLoad), Group: session.GroupScripting, Since: "7.0.0",
				Complexity: "O(1), compiling aside", Summary: "Makes a library.", Hints: allShards,
				Args: []session.Arg{session.TokenWord("replace", "REPLACE", "").Opt(), session.StringArg("function-code")}},
			{Name: "restore", Arity: -3, Flags: session.NoScript | session.Write | session.DenyOOM, ACL: session.CatScripting,
				Handler: connected(functionRestore), Group: session.GroupScripting, Since: "7.0.0",
				Complexity: "O(N) in the number of functions", Summary: "Makes the libraries of a payload.", Hints: allShards,
				Args: []session.Arg{session.StringArg("serialized-value"), session.OneOf("policy",
					session.TokenWord("flush", "FLUSH", ""), session.TokenWord("append", "APPEND", ""),
					session.TokenWord("replace", "REPLACE", "")).Opt()}},
			{Name: "stats", Arity: 2, Flags: session.NoScript | session.AllowBusy, ACL: session.CatScripting,
				Handler: connected(functionStats), Group: session.GroupScripting, Since: "7.0.0", Complexity: "O(1)",
				Summary: "Tells about the function that runs, and the engines.",
				Hints:   []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"}},
		}},
}

// runsScripts are the commands that may run a script, DEBUG with its form LOADAOF.
var runsScripts = map[string]bool{"eval": true, "evalsha": true, "eval_ro": true, "evalsha_ro": true, "fcall": true,
	"fcall_ro": true, "debug": true}

const (
	errScriptDebug   = "ERR SCRIPT DEBUG is not supported: there is no debugger of scripts"
	errDebugMode     = "ERR Use SCRIPT DEBUG YES/SYNC/NO"
	errScriptFlush   = "ERR SCRIPT FLUSH only support SYNC|ASYNC option"
	errFunctionFlush = "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"
	errManyKeys      = "ERR Number of keys can't be greater than number of args"
	errNegativeKeys  = "ERR Number of keys can't be negative"
	errBadNumKeys    = "ERR Bad number of keys provided"
	errNoFunction    = "ERR Function not found"
	errNoLibrary     = "ERR Library not found"
	errNoCode        = "ERR Function code is missing"
	errPolicy        = "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
	errWriteScript   = "ERR Can not execute a script with write flag using *_ro command."
	errNotBusy       = "NOTBUSY No scripts in execution right now."
	errUnkillable    = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait " +
		"the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
	errUnkillableByMaster = "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed."
)

// numKeys parses the number of keys of EVAL and FCALL. On failure it has replied, with bad where it is no number.
func (c *Client) numKeys(bad string) (n int, ok bool) {
	x, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		c.Error(bad)
	case x > int64(len(c.Args)-3):
		c.Error(errManyKeys)
	case x < 0:
		c.Error(errNegativeKeys)
	default:
		return int(x), true
	}
	return 0, false
}

// scriptDebug leaves a connection as it is: without a debugger.
func scriptDebug(c *session.Client) {
	switch {
	case c.Is(2, "no"):
		c.W.OK()
	case c.Is(2, "yes"), c.Is(2, "sync"):
		c.Error(errScriptDebug)
	default:
		c.Error(errDebugMode)
	}
}

func eval(c *Client) {
	s := c.srv
	s.showScript(c)
	n, ok := c.numKeys(session.ErrNotInteger)
	if !ok {
		return
	}
	e := s.scripts.engine
	script := e.FindText(c.Args[1])
	if script == nil {
		var err error
		if script, err = e.Load(c.Args[1], lua.FromEval); err != nil {
			c.Error("ERR " + err.Error())
			return
		}
	}
	s.runScript(c, script, nil, n)
}

func evalSHA(c *Client) {
	s := c.srv
	s.showScript(c)
	if len(c.Args[1]) != 40 {
		c.Error(lua.ErrNoScript)
		return
	}
	n, ok := c.numKeys(session.ErrNotInteger)
	if !ok {
		return
	}
	e := s.scripts.engine
	script := e.Find(c.Args[1])
	if script == nil {
		c.Error(lua.ErrNoScript)
		return
	}
	e.Keep(script)
	s.runScript(c, script, nil, n)
}

func fcall(c *Client) {
	s := c.srv
	s.showScript(c)
	f := s.scripts.libraries.Function(c.Args[1])
	if f == nil {
		c.Error(errNoFunction)
		return
	}
	n, ok := c.numKeys(errBadNumKeys)
	if !ok {
		return
	}
	s.runScript(c, nil, f, n)
}

// showScript shows a request that runs a script to the monitors before the commands of the script.
func (s *Server) showScript(c *Client) {
	if len(s.monitors) > 0 {
		s.show(c)
	}
}

const errScriptDisk = "but it's currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for " +
	"read only scripts."

// refusedScript returns the error of a script that may not begin, or "". Without a shebang its commands are looked at one by
// one. Admission has refused nearly all of these with other texts: what is left are scripts in a transaction that were not
// known when they were queued.
func (s *Server) refusedScript(c *Client, flags lua.Flags) string {
	obeyed, replica := c.Trusted, s.isReplica()
	stale := replica && s.sync.down && !s.Config.ReplicaServeStaleData && !obeyed
	switch p := &s.persist; {
	case flags&lua.CompatMode != 0:
		if stale {
			return errMasterDown
		}
		return ""
	case stale && flags&lua.AllowStale == 0:
		return "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not set on the script."
	case flags&lua.NoWrites != 0:
		return ""
	case replica && s.Config.ReplicaReadOnly && !obeyed:
		return "READONLY Can not run script with write flag on readonly replica"
	case obeyed:
		return ""
	case p.failed && s.Config.StopWritesOnBgsaveError && len(s.Config.Save) > 0:
		return "MISCONF Redis is configured to save RDB snapshots, " + errScriptDisk
	case s.refusing && s.aof.on() && s.aof.file.Failure() != "":
		return "MISCONF Redis is configured to persist data to AOF, " + errScriptDisk + " AOF error: " + s.aof.file.Failure()
	case c.Cmd.Flags&session.ReadOnly != 0:
		return errWriteScript
	case !replica && s.sync.node.WritesRefused:
		return errNoReplicas
	case s.evict.full && flags&lua.AllowOOM == 0:
		return errScriptOOM
	}
	return ""
}

// flagsOf returns the flags of a request that runs a script: those of its command or, where the script has declared its own,
// what these amount to.
func (x *scripts) flagsOf(e *session.Entry, args [][]byte) session.Flags {
	declared := lua.CompatMode
	switch e.Name {
	case "debug":
	case "fcall", "fcall_ro":
		if f := x.libraries.Function(args[1]); f != nil {
			declared = f.Flags
		}
	case "eval", "eval_ro":
		declared = lua.DeclaredFlags(args[1])
	default:
		if script := x.engine.Find(args[1]); script != nil {
			declared = script.Flags
		}
	}
	if declared&lua.CompatMode != 0 {
		return e.Flags
	}
	flags := e.Flags &^ (session.Stale | session.DenyOOM | session.Write | session.MayReplicate)
	if declared&(lua.AllowOOM|lua.NoWrites) == 0 {
		flags |= session.DenyOOM
	}
	if declared&lua.NoWrites == 0 {
		flags |= session.Write
	}
	if declared&lua.AllowStale != 0 {
		flags |= session.Stale
	}
	return flags
}

// runScript runs a script, or a function if script is nil, with the first keys arguments as keys, and replies.
func (s *Server) runScript(c *Client, script *lua.Script, f *lua.Function, keys int) {
	var name string
	var flags lua.Flags
	if script != nil {
		name, flags = script.SHA, script.Flags
	} else {
		name, flags = f.Name, f.Flags
	}
	if msg := s.refusedScript(c, flags); msg != "" {
		c.Error(msg)
		return
	}
	x := &s.scripts
	x.caller, x.name, x.eval = c, name, script != nil
	x.readOnly = c.Cmd.Flags&session.ReadOnly != 0 || flags&lua.CompatMode == 0 && flags&lua.NoWrites != 0
	x.allowOOM = flags&(lua.CompatMode|lua.AllowOOM) == lua.AllowOOM
	x.wrote, x.slow, x.repl = false, false, lua.ReplAll
	x.now, x.started = s.Keyspace.Now, s.began
	x.micros = s.wall + x.started/1000
	x.clock = x.started
	x.client.DB, x.client.user, x.client.authed, x.client.NoTouch = c.DB, c.user, c.authed, c.NoTouch
	x.client.W.Proto = 2
	dirty, outermost := s.Dirty, !s.pendingOps.open
	s.pendingOps.open = true
	s.setPace()
	x.reply.C = &c.Client
	args := c.Args[3:]
	var err error
	if script != nil {
		err = x.engine.Run(script, args[:keys], args[keys:], &x.reply)
	} else {
		err = x.engine.RunFunction(f, args[:keys], args[keys:], &x.reply)
	}
	if err != nil {
		e := err.(*lua.Error)
		x.reply.Error(e.Text, e.Counted)
	}
	x.caller = nil
	x.client.user = nil
	s.Keyspace.Now = x.now
	if outermost {
		s.feedPending()
	}
	if s.Dirty != dirty {
		c.PropagateNothing() // the commands were, one by one
	}
}

// InScript implements session.Host.
func (c *Client) InScript() bool { return c == c.srv.scripts.client }

// bridge is the server as its scripts see it; it implements lua.Bridge.
type bridge Server

// Call implements lua.Bridge.
func (b *bridge) Call(argv [][]byte) []byte {
	s := (*Server)(b)
	x := &s.scripts
	c := x.client
	c.Args = argv
	c.W.Reset()
	e := x.last
	if e == nil || len(argv[0]) != len(e.Name) || !session.EqualFold(argv[0], e.Name) {
		var unknownSub bool
		e, unknownSub = s.Registry.Lookup(argv)
		if e == nil || unknownSub {
			return s.refuseInner(nil, "ERR "+lua.ErrUnknownCommand)
		}
		if e.Parent == nil && e.Subs == nil && !e.Renamed {
			x.last = e
		}
	}
	if e.Arity > 0 && len(argv) != e.Arity || len(argv) < -e.Arity || e.Handler == nil {
		return s.refuseInner(e, "ERR "+lua.ErrWrongArity)
	}
	if e.Flags&session.NoScript != 0 && !(x.testing && forTests(e, argv)) {
		return s.refuseInner(e, "ERR "+lua.ErrNotAllowed)
	}
	if c.user != nil && c.user.Limited() {
		if why, pos := s.check(c.user, e, argv); why != 0 {
			object := e.Full
			if pos > 0 {
				object = string(argv[pos])
			}
			s.logDenial(x.caller, why, object)
			return s.refuseInner(e, "ERR ACL failure in script: "+errDenied(why, c.user, e))
		}
	}
	if x.readOnly && e.Flags&(session.Write|session.MayReplicate) != 0 {
		return s.refuseInner(e, "ERR "+lua.ErrReadOnlyScript)
	}
	if s.refusing && !x.caller.Trusted {
		if s.refusedByRole(0, ^e.Flags) != "" {
			return s.refuseInner(e, "ERR Can not execute the command on a stale replica")
		}
	}
	if e.Flags&session.Write != 0 {
		if s.refusing && !x.wrote && !x.caller.Trusted {
			if msg := cmp.Or(s.diskRefusal(), s.refusedByRole(e.Flags, 0)); msg != "" {
				return s.refuseInner(e, msg)
			}
		}
		if e.Flags&session.DenyOOM != 0 && s.evict.full && !x.wrote && !x.allowOOM && !x.caller.Trusted {
			return s.refuseInner(e, errOOM)
		}
		x.wrote = true
	}
	s.Keyspace.Now = x.now
	ops := len(s.pendingOps.ops)
	if n := x.engine.Ticks(); n != x.ticks { // what Lua did since is no time of this command
		x.ticks, x.clock = n, s.nanos()
	}
	x.clock = s.call(c, e, x.clock)
	s.Keyspace.Now = x.now
	s.pendingOps.limit(ops, x.repl&lua.ReplAOF != 0, x.repl&lua.ReplReplica != 0)
	return c.W.Buf
}

// forTests reports whether DEBUG SET-DISABLE-DENY-SCRIPTS allows scripts a command that they may not run otherwise. Redis allows
// them all then; here only those which test suites use, so that no script can get at the client that runs it.
func forTests(e *session.Entry, argv [][]byte) bool {
	return e.Full == "client|list" ||
		e.Name == "debug" && len(argv) > 1 && (session.EqualFold(argv[1], "protocol") || session.EqualFold(argv[1], "sleep"))
}

// refuseInner answers a script's command that may not run.
func (s *Server) refuseInner(e *session.Entry, msg string) []byte {
	c := s.scripts.client
	c.Cmd = nil
	c.Error(msg)
	if e != nil {
		e.Rejected++
	}
	return c.W.Buf
}

// SetProtocol implements lua.Bridge.
func (b *bridge) SetProtocol(version int) { b.scripts.client.W.Proto = version }

// Log implements lua.Bridge.
func (b *bridge) Log(level int, text string) {
	(*Server)(b).Logf([...]config.LogLevel{config.LogDebug, config.LogVerbose, config.LogNotice, config.LogWarning}[level], "%s", text)
}

// SetRepl implements lua.Bridge.
func (b *bridge) SetRepl(flags int) { b.scripts.repl = flags }

// CheckACL implements lua.Bridge.
func (b *bridge) CheckACL(argv [][]byte) (allowed, known bool) {
	s := (*Server)(b)
	e, unknownSub := s.Registry.Lookup(argv)
	if e == nil || unknownSub {
		return false, false
	}
	u := s.scripts.client.user
	if u == nil {
		return true, true
	}
	why, _ := s.check(u, e, argv)
	return why == 0, true
}

func scriptExists(c *Client) {
	c.W.Array(len(c.Args) - 2)
	for _, sha := range c.Args[2:] {
		if len(sha) == 40 && c.srv.scripts.engine.Find(sha) != nil {
			c.W.Int(1)
		} else {
			c.W.Int(0)
		}
	}
}

func scriptFlush(c *Client) {
	lazily, ok := c.flushType(3)
	if !ok {
		c.Error(errScriptFlush)
		return
	}
	if n := c.srv.scripts.engine.Count(); lazily && n > keyspace.LazyThreshold {
		c.srv.Keyspace.LazilyFreed += int64(n)
	}
	c.srv.scripts.engine.Flush()
	c.W.OK()
}

func scriptLoad(c *Client) {
	script, err := c.srv.scripts.engine.Load(c.Args[2], lua.FromLoad)
	if err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	c.W.BulkString(script.SHA)
}

func scriptShow(c *Client) {
	if len(c.Args[2]) == 40 {
		if script := c.srv.scripts.engine.Find(c.Args[2]); script != nil {
			c.W.BulkString(script.Body)
			return
		}
	}
	c.Error("NOSCRIPT No matching script.")
}

func scriptKill(c *Client) { c.srv.killScript(c, true) }

func functionKill(c *Client) { c.srv.killScript(c, false) }

func functionLoad(c *Client) {
	replace := false
	for i := 2; i < len(c.Args)-1; i++ {
		if !c.Is(i, "replace") {
			c.Error("ERR Unknown option given: " + session.CString(c.Args[i]))
			return
		}
		replace = true
	}
	name, err := c.srv.scripts.libraries.Load(c.Args[len(c.Args)-1], replace)
	if err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	c.srv.Dirty++
	c.W.BulkString(name)
}

func functionDelete(c *Client) {
	if !c.srv.scripts.libraries.Delete(string(c.Args[2])) {
		c.Error(errNoLibrary)
		return
	}
	c.srv.Dirty++
	c.W.OK()
}

func functionFlush(c *Client) {
	if len(c.Args) > 3 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	lazily, ok := c.flushType(3)
	if !ok {
		c.Error(errFunctionFlush)
		return
	}
	if _, n := c.srv.scripts.libraries.Count(); lazily && n > keyspace.LazyThreshold {
		c.srv.Keyspace.LazilyFreed += int64(n)
	}
	c.srv.scripts.libraries = scripting.NewLibraries(c.srv.scripts.engine)
	c.srv.Dirty++
	c.W.OK()
}

func functionDump(c *Client) { c.W.Bulk(rdb.DumpLibraries(c.srv.scripts.libraries.Codes())) }

func functionRestore(c *Client) {
	if len(c.Args) > 4 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	flush, replace := false, false
	if len(c.Args) == 4 {
		flush, replace = c.Is(3, "flush"), c.Is(3, "replace")
		if !flush && !replace && !c.Is(3, "append") {
			c.Error(errPolicy)
			return
		}
	}
	s := c.srv
	if err := rdb.VerifyPayload(c.Args[2], !s.SkipChecksum); err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	libraries := scripting.NewLibraries(s.scripts.engine)
	err := rdb.ReadLibraries(c.Args[2], func(code []byte) error {
		_, err := libraries.Load(code, false)
		return err
	})
	if err == nil && !flush {
		err = s.scripts.libraries.Join(libraries, replace)
	}
	if err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	if flush {
		s.scripts.libraries = libraries
	}
	s.Dirty++
	c.W.OK()
}

func functionStats(c *Client) {
	s := c.srv
	x := &s.scripts
	if x.caller != nil && x.eval {
		c.Error(errBusyScript)
		return
	}
	c.W.Map(2)
	c.W.BulkString("running_script")
	if x.caller == nil {
		c.W.Null()
	} else {
		c.W.Map(3)
		c.W.BulkString("name")
		c.W.BulkString(x.name)
		c.W.BulkString("command")
		c.W.Array(len(s.busy.args))
		for _, a := range s.busy.args {
			c.W.Bulk(a)
		}
		c.W.BulkString("duration_ms")
		c.W.Int((s.nanos() - x.started) / int64(time.Millisecond))
	}
	libraries, functions := x.libraries.Count()
	c.W.BulkString("engines")
	c.W.Map(1)
	c.W.BulkString(lua.EngineName)
	c.W.Map(2)
	c.W.BulkString("libraries_count")
	c.W.Int(int64(libraries))
	c.W.BulkString("functions_count")
	c.W.Int(int64(functions))
}

func scriptHelp(c *session.Client) {
	c.Help(
		"DEBUG (YES|SYNC|NO)",
		"    Is refused: there is no debugger of scripts.",
		"EXISTS <sha1> [<sha1> ...]",
		"    Tell which of the scripts are cached.",
		"FLUSH [ASYNC|SYNC]",
		"    Empty the script cache.",
		"KILL",
		"    End the script that runs.",
		"LOAD <script>",
		"    Put a script into the script cache without running it.",
		"SHOW <sha1>",
		"    Return the text of a cached script.",
	)
}

func functionHelp(c *session.Client) {
	c.Help(
		"DELETE <LIBRARY NAME>",
		"    Delete a library and its functions.",
		"DUMP",
		"    Return all libraries as one payload, for FUNCTION RESTORE.",
		"FLUSH [ASYNC|SYNC]",
		"    Delete all libraries.",
		"KILL",
		"    End the function that runs.",
		"LIST [LIBRARYNAME PATTERN] [WITHCODE]",
		"    Describe the libraries whose name matches the pattern, with their code if asked for.",
		"LOAD [REPLACE] <FUNCTION CODE>",
		"    Make a library.",
		"RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
		"    Make the libraries of a payload: in place of all, beside those that exist (the default, which fails if",
		"    one of them has the same name), or in place of those of the same name.",
		"STATS",
		"    Tell which function runs, with which command and for how long, and what the engines hold.",
	)
}
