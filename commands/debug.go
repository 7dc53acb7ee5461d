package commands

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ferrous/commands/crash"
	"ferrous/commands/introspection"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// DEBUG: access to the server's internals, for test suites and for debugging. Unlike other containers it is one command:
// the first argument and the number of arguments choose the subcommand.

var debugRow = session.Command{
	Name: "debug", Arity: -2, Flags: session.Admin | session.NoScript | session.Loading | session.Stale | session.Protected, Handler: connected(debugCommand),
	Group: session.GroupServer, Since: "1.0.0", Complexity: "Depends on the subcommand.", SysCmd: true,
	Summary: "Container of commands for tests of the server.",
}

// debugForms lists the subcommands that need the server.
func debugForms() []introspection.DebugForm {
	const any = math.MaxInt
	return []introspection.DebugForm{
		form("aof-flush-sleep", 3, 3, debugFlushSleep, "AOF-FLUSH-SLEEP <microseconds>",
			"    Wait before each write of the append-only file; 0 to wait no more."),
		form("assert", 2, 2, debugAssert, "ASSERT",
			"    Crash the server as a failed assertion does."),
		form("change-repl-id", 2, 2, debugChangeReplID, "CHANGE-REPL-ID",
			"    Give the stream of replication another name: replicas that come back get all data."),
		form("config-rewrite-force-all", 2, 2, debugRewriteAll, "CONFIG-REWRITE-FORCE-ALL",
			"    CONFIG REWRITE with every parameter, also those at their default."),
		form("loadaof", 2, 2, debugLoadAOF, "LOADAOF",
			"    Write what is left to the append-only file, empty the databases and load it again."),
		form("panic", 2, 2, debugPanic, "PANIC",
			"    Crash the server as a panic does."),
		form("pause-cron", 3, 3, debugPauseCron, "PAUSE-CRON <0|1>",
			"    Stop the server's periodic work, or go on with it."),
		form("populate", 3, 5, debugPopulate, "POPULATE <count> [<prefix>] [<size>]",
			"    Make <count> strings with keys <prefix>:<number> (key:<number>), as far as they",
			"    do not exist. Nothing is propagated."),
		form("reload", 2, any, debugReload, "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
			"    Save all data, empty the databases and load the file again; without saving, without",
			"    emptying, and replacing keys that are there, as the options say."),
		form("replybuffer", 4, 4, debugReplyBuffer, "REPLYBUFFER <subcommand>",
			"    Change the rules by which rbs and rbp of CLIENT LIST follow what clients are answered:",
			"    * RESIZING <0|1>: whether rbs changes",
			"    * PEAK-RESET-TIME <milliseconds>|NEVER|RESET: how long rbp is remembered"),
		form("replicate", 3, any, debugReplicate, "REPLICATE <command> [<arg> ...]",
			"    Send a command to replicas that is not executed here."),
		form("segfault", 2, 2, debugSegfault, "SEGFAULT",
			"    Crash the server as a wrong memory access does."),
		form("set-active-expire", 3, 3, debugSetActiveExpire, "SET-ACTIVE-EXPIRE <0|1>",
			"    Leave expired keys until somebody asks for them (0), or delete them on time (1)."),
		form("set-disable-deny-scripts", 3, 3, debugDenyScripts, "SET-DISABLE-DENY-SCRIPTS <0|1>",
			"    Let scripts call CLIENT LIST and DEBUG PROTOCOL, for tests."),
	}
}

// form is a subcommand that needs the server: its word, the numbers of arguments that it takes with both words, and its form
// and, indented, what it does.
func form(name string, least, most int, run func(c *Client), help ...string) introspection.DebugForm {
	return introspection.DebugForm{Name: name, Min: least, Max: most, Run: connected(run), Help: help}
}

func debugCommand(c *Client) {
	forms := slices.Concat(introspection.DebugForms, debugForms(), invariantForms())
	slices.SortFunc(forms, func(a, b introspection.DebugForm) int { return strings.Compare(a.Name, b.Name) })
	if len(c.Args) == 2 && c.Is(1, "help") {
		var lines []string
		for _, f := range forms {
			lines = append(lines, f.Help...)
		}
		c.Help(lines...)
		return
	}
	for _, f := range forms {
		if n := len(c.Args); c.Is(1, f.Name) && f.Min <= n && n <= f.Max {
			f.Run(&c.Client)
			return
		}
	}
	c.Error(session.ErrUnknownSubOrArity(c.Args))
}

func debugRewriteAll(c *Client) {
	if err := c.srv.Config.Rewrite(true); err != nil {
		c.Error(err.Error())
		return
	}
	c.W.OK()
}

func debugSetActiveExpire(c *Client) {
	s := c.srv
	s.activeOff = !c.SwitchArg(2)
	if !s.activeOff {
		s.expAt = 0
		s.rearmExpiry()
	}
	c.W.OK()
}

func debugDenyScripts(c *Client) {
	c.srv.scripts.testing = c.SwitchArg(2)
	c.W.OK()
}

func debugPauseCron(c *Client) {
	c.srv.cronPaused = c.SwitchArg(2)
	c.W.OK()
}

// debugPopulate makes keys that are not propagated: it is for tests of one server.
func debugPopulate(c *Client) {
	count, ok := c.NotNegative(2)
	if !ok {
		return
	}
	prefix := []byte("key")
	if len(c.Args) > 3 {
		prefix = c.Args[3]
	}
	size := int64(0)
	if len(c.Args) > 4 {
		if size, ok = c.NotNegative(4); !ok {
			return
		}
		if size > c.srv.Config.ProtoMaxBulkLen {
			c.Error(session.ErrTooLong)
			return
		}
	}
	key := append(bytes.Clone(prefix), ':')
	value := make([]byte, size)
	for i := range count {
		key = strconv.AppendInt(key[:len(prefix)+1], i, 10)
		if c.DB.Peek(key) != nil {
			continue
		}
		var buf [32]byte
		text := strconv.AppendInt(append(buf[:0], "value:"...), i, 10)
		if size > 0 {
			clear(value[:min(len(value), len(buf))])
			copy(value, text)
			text = value
		}
		c.DB.SetString(key, text, record.NoExpiry)
		c.srv.KeyModified(c.DB, key)
	}
	c.srv.rearmExpiry()
	c.W.OK()
}

func debugPanic(*Client) { panic(fmt.Sprintf("DEBUG PANIC called at Unix time %d", time.Now().Unix())) }

func debugAssert(*Client) { panic(crash.Assertion{Expr: "1 == 2"}) }

// debugSegfault writes to memory that may only be read.
func debugSegfault(*Client) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	page[0] = 1
}
