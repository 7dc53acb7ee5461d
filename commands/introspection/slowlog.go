package introspection

import (
	"strconv"

	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// SLOWLOG shows the slow log of package latency, to which dispatch adds entries.

var slowlogRow = session.Command{
	Name: "slowlog", Arity: -2, Group: session.GroupServer, Since: "2.2.12", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about the log of slow commands.",
	Subs: []session.Command{
		{Name: "get", Arity: -2, Flags: session.Admin | session.Loading | session.Stale, Handler: slowlogGet,
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(N) in the number of entries returned",
			Summary: "Tells the latest entries.", Args: []session.Arg{session.IntArg("count").Opt()},
			History: []session.Change{{"4.0.0", "An entry has the client's address and name."}},
			Hints:   []string{"request_policy:all_nodes", "nondeterministic_output"}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: slowlogHelp,
			Group: session.GroupServer, Since: "6.2.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "len", Arity: 2, Flags: session.Admin | session.Loading | session.Stale, Handler: slowlogLen,
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(1)", Summary: "Counts the entries.",
			Hints: []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"}},
		{Name: "reset", Arity: 2, Flags: session.Admin | session.Loading | session.Stale, Handler: slowlogReset,
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(1)", Summary: "Deletes the entries.",
			Hints: session.AllNodesSucceed},
	},
}

const (
	slowlogDefaultCount = 10
	errSlowlogCount     = "ERR count should be greater than or equal to -1"
)

func slowlogGet(c *session.Client) {
	all := c.Core.SlowLog.Entries()
	count := int64(slowlogDefaultCount)
	if len(c.Args) > 3 {
		c.Error(session.ErrUnknownSubOrArity(c.Args))
		return
	}
	if len(c.Args) == 3 {
		n, ok := resp.ParseInt(c.Args[2])
		if !ok || n < -1 {
			c.Error(errSlowlogCount)
			return
		}
		if count = n; n == -1 {
			count = int64(len(all))
		}
	}
	all = all[len(all)-int(min(count, int64(len(all)))):]
	c.W.Array(len(all))
	for i := len(all) - 1; i >= 0; i-- {
		e := &all[i]
		c.W.Array(6)
		c.W.Int(e.ID)
		c.W.Int(e.Unix)
		c.W.Int(e.Micros)
		c.W.Array(len(e.Args))
		for _, a := range e.Args {
			c.W.BulkString(a)
		}
		c.W.BulkString(e.Addr)
		c.W.BulkString(e.Name)
	}
}

func slowlogLen(c *session.Client) { c.W.Int(int64(len(c.Core.SlowLog.Entries()))) }

func slowlogReset(c *session.Client) {
	c.Core.SlowLog.Reset()
	c.W.OK()
}

func slowlogHelp(c *session.Client) {
	c.Help("GET [<count>]",
		"    Tell the latest entries (default "+strconv.Itoa(slowlogDefaultCount)+", -1 for all). An entry is a list:",
		"    number, time, microseconds, arguments, address and name of the client.",
		"LEN",
		"    Count the entries.",
		"RESET",
		"    Delete the entries.")
}
