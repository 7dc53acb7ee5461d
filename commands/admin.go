package commands

import (
	"math/rand/v2"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/session"
)

// Commands about the server as a whole. ACL is in aclcmd.go, CONFIG in configcmd.go, DEBUG in debug.go, MEMORY in memory.go,
// MONITOR in monitor.go, SHUTDOWN in lifecycle.go; COMMAND, LATENCY and SLOWLOG are in package introspection.

var serverCommands = []session.Command{
	aclCommand,
	configCommand,
	debugRow,
	lolwutRow,
	memoryCommand,
	moduleCommand,
	monitorCommand,
	shutdownCommand,
	{Name: "time", Arity: 1, Flags: session.Loading | session.Stale | session.Fast, Handler: connected(timeNow),
		Group: session.GroupServer, Since: "2.6.0", Complexity: "O(1)", Summary: "Tells the time of the server's clock.",
		Hints: []string{"nondeterministic_output"}},
}

// timeNow replies with the Unix time in seconds and the microseconds of the present second.
func timeNow(c *Client) {
	now := c.srv.wall + c.srv.nanos()/1000
	if c == c.srv.scripts.client {
		now = c.srv.scripts.micros
	}
	c.W.Array(2)
	c.W.BulkInt(now / 1e6)
	c.W.BulkInt(now % 1e6)
}

// MODULE. There are no modules: Redis's are libraries for its C interface, which a server in another language cannot run.
// The command is here for the tools that ask which ones are loaded, and to refuse them as Redis refuses a library that it
// cannot load.

// moduleSub is what the subcommands that change something have in common.
const moduleSub = session.NoAsyncLoading | session.Admin | session.NoScript | session.Protected

var moduleCommand = session.Command{
	Name: "module", Arity: -2, Group: session.GroupServer, Since: "4.0.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about modules, of which there are none.",
	Subs: []session.Command{
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(moduleHelp),
			Group: session.GroupServer, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "list", Arity: 2, Flags: session.Admin | session.NoScript, Handler: func(c *session.Client) { c.W.Array(0) },
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1), since there are none",
			Summary: "Lists the modules that are loaded: none.", Hints: []string{"nondeterministic_output_order"}},
		{Name: "load", Arity: -3, Flags: moduleSub, Handler: connected(moduleLoad),
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Refuses to load a module.",
			Args: []session.Arg{session.StringArg("path"), session.StringArg("arg").Opt().Many()}},
		{Name: "loadex", Arity: -3, Flags: moduleSub, Handler: connected(moduleLoad),
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Refuses to load a module with settings of its own.",
			Args: []session.Arg{session.StringArg("path"),
				{Name: "configs", Type: session.ArgBlock, Token: "CONFIG", Optional: true, Multiple: true, MultipleToken: true,
					Args: []session.Arg{session.StringArg("name"), session.StringArg("value")}},
				{Name: "args", Type: session.ArgString, Token: "ARGS", Optional: true, Multiple: true}}},
		{Name: "unload", Arity: 3, Flags: moduleSub, Handler: func(c *session.Client) { c.Error(errNoModule) },
			Group: session.GroupServer, Since: "4.0.0", Complexity: "O(1)", Summary: "Tells that no such module is loaded.",
			Args: []session.Arg{session.StringArg("name")}},
	},
}

const (
	errModuleLoad = "ERR Error loading the extension. Please check the server logs."
	errNoModule   = "ERR Error unloading module: no such module with that name"
)

func moduleLoad(c *Client) {
	c.srv.Logf(config.LogWarning, "Module %s failed to load: this server does not run modules", session.CString(c.Args[2]))
	c.Error(errModuleLoad)
}

func moduleHelp(c *Client) {
	c.Help(
		"LIST",
		"    List the modules that are loaded: there are none.",
		"LOAD <path> [<arg> ...]",
		"    Refuse to load a module.",
		"LOADEX <path> [CONFIG <name> <value> ...] [ARGS <arg> ...]",
		"    Refuse to load a module with settings of its own.",
		"UNLOAD <name>",
		"    Tell that no such module is loaded.",
	)
}

// LOLWUT: a picture by the computer, and the version. The picture is the maze of the one-line program
// 10 PRINT CHR$(205.5+RND(1)); : GOTO 10, which came with the Commodore 64 in 1982; see Montfort and others, "10 PRINT",
// MIT Press 2012.

var lolwutRow = session.Command{
	Name: "lolwut", Arity: -1, Flags: session.ReadOnly | session.Fast, Handler: connected(lolwut), Group: session.GroupServer, Since: "5.0.0",
	Summary: "Shows a picture drawn by the computer, and the version.",
	Args:    []session.Arg{session.TokenArg("version", session.ArgInteger, "VERSION", "").Opt()},
}

// The size of the picture.
const (
	mazeColumns = 66
	mazeRows    = 16
	mazeMost    = 1000 // columns or rows
)

// lolwut replies with the picture, whose columns and rows may follow the version. The versions 5 and 6, and none, have
// one; others, as in Redis 7, have not.
func lolwut(c *Client) {
	columns, rows := int64(mazeColumns), int64(mazeRows)
	sizes := c.Args[1:]
	if len(c.Args) > 2 && c.Is(1, "version") {
		version, ok := c.Int64Arg(2)
		if !ok {
			return
		}
		sizes = c.Args[3:]
		if version != 5 && version != 6 {
			c.W.Verbatim("txt", versionLine)
			return
		}
	}
	for i, size := range []*int64{&columns, &rows} {
		if i >= len(sizes) {
			break
		}
		n, ok := c.Int64Arg(len(c.Args) - len(sizes) + i)
		if !ok {
			return
		}
		*size = min(max(n, 1), mazeMost)
	}
	var b strings.Builder
	for range rows {
		for range columns {
			b.WriteRune([2]rune{'╱', '╲'}[rand.IntN(2)])
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n10 PRINT CHR$(205.5+RND(1)); : GOTO 10 -- a maze, Commodore 64, 1982. " + versionLine)
	c.W.Verbatim("txt", b.String())
}

const versionLine = "Redis ver. " + RedisVersion + "\n"
