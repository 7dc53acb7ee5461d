package commands

import (
	"fmt"
	"math"
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// The slow log: commands that took at least slowlog-log-slower-than microseconds, the last slowlog-max-len of them.
//
// Dispatch compares a command's time with Server.slowNanos, the lower of the thresholds of the slow log and of latency
// monitoring; only what is slower comes here (logSlow), so that the logs cost one comparison when nothing is. The time of
// a command counts from the end of the request before it in the same packet. A command that waits is filed when its wait
// has ended, however it does, with the time that it worked.
//
// An entry copies its arguments, cut to size as in Redis, and without the secrets among them.

const (
	slowlogMaxArgs   = 32  // arguments of an entry; the last tells how many more there were
	slowlogMaxString = 128 // bytes of an argument
)

// slowlog is the log, oldest entry first.
type slowlog struct {
	entries []slowEntry
	nextID  int64
}

type slowEntry struct {
	id     int64
	unix   int64 // seconds
	micros int64
	args   []string
	addr   string
	name   string
}

// applyThresholds keeps slowNanos in step with the directives behind it.
func (s *Server) applyThresholds() error {
	s.slowNanos = math.MaxInt64
	if us := s.Config.SlowlogLogSlowerThanUs; us >= 0 && us < math.MaxInt64/1000 {
		s.slowNanos = us * 1000
	}
	if ms := s.Config.LatencyMonitorMs; ms > 0 && ms < math.MaxInt64/1000000 {
		s.slowNanos = min(s.slowNanos, ms*1000000)
	}
	s.slowlog.trim(s.Config.SlowlogMaxLen)
	return nil
}

// logSlow files a command, the client's, that took at least slowNanos.
func (s *Server) logSlow(c *Client, e *session.Entry, nanos int64) {
	if us := s.Config.SlowlogLogSlowerThanUs; us >= 0 && nanos/1000 >= us && e.Flags&session.SkipSlowlog == 0 {
		s.slowlog.add(c, nanos/1000, s.Config.SlowlogMaxLen)
	}
}

// latencyOfCall tells latency monitoring of a command that held the loop for at least slowNanos.
func (s *Server) latencyOfCall(e *session.Entry, nanos int64) {
	event := "command"
	if e.Flags&session.Fast != 0 {
		event = "fast-command"
	}
	s.latencySample(event, nanos/1e6)
}

func (l *slowlog) add(c *Client, micros int64, limit int) {
	e := slowEntry{id: l.nextID, unix: c.srv.Keyspace.Now / 1000, micros: micros, addr: "?:0", args: slowArgs(c)}
	l.nextID++
	if c.conn != nil {
		e.addr = c.conn.RemoteAddr()
	}
	e.name = c.shownName()
	l.entries = append(l.entries, e)
	l.trim(limit)
}

func (l *slowlog) trim(limit int) {
	if n := len(l.entries) - limit; n > 0 {
		clear(l.entries[:n])
		l.entries = l.entries[n:]
	}
}

// slowArgs copies the arguments of the client's command as an entry shows them.
func slowArgs(c *Client) []string {
	secret := c.secrets()
	out := make([]string, 0, min(len(c.Args), slowlogMaxArgs))
	for i, a := range c.Args {
		switch {
		case len(c.Args) > slowlogMaxArgs && i == slowlogMaxArgs-1:
			return append(out, fmt.Sprintf("... (%d more arguments)", len(c.Args)-i))
		case secret != nil && secret(i):
			out = append(out, "(redacted)")
		case len(a) > slowlogMaxString:
			out = append(out, fmt.Sprintf("%s... (%d more bytes)", a[:slowlogMaxString], len(a)-slowlogMaxString))
		default:
			out = append(out, string(a))
		}
	}
	return out
}

// secrets returns a function that tells which arguments of the client's command must not be shown to others, nil if
// all may.
func (c *Client) secrets() func(i int) bool {
	switch c.Cmd.Full {
	case "acl|setuser":
		return func(i int) bool { return i > 1 }
	case "auth":
		return func(i int) bool { return i > 0 }
	case "hello":
		for i := 2; i+2 < len(c.Args); i++ {
			if c.Is(i, "auth") {
				return func(j int) bool { return j == i+1 || j == i+2 }
			}
		}
	case "migrate":
		return migrateSecrets(c.Args)
	case "config|set":
		return func(i int) bool { return i > 2 && i%2 == 1 && c.srv.Config.HasFlag(c.Arg(i-1), config.Sensitive) }
	}
	return nil
}

var slowlogCommand = session.Command{
	Name: "slowlog", Arity: -2, Group: session.GroupServer, Since: "2.2.12", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about the log of slow commands.",
	Subs: []session.Command{
		{Name: "get", Arity: -2, Flags: session.Admin | session.Loading | session.Stale, Handler: connected(slowlogGet),
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(N) in the number of entries returned",
			Summary: "Tells the latest entries.", Args: []session.Arg{session.IntArg("count").Opt()},
			History: []session.Change{{"4.0.0", "An entry has the client's address and name."}},
			Hints:   []string{"request_policy:all_nodes", "nondeterministic_output"}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(slowlogHelp),
			Group: session.GroupServer, Since: "6.2.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "len", Arity: 2, Flags: session.Admin | session.Loading | session.Stale, Handler: connected(slowlogLen),
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(1)", Summary: "Counts the entries.",
			Hints: []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"}},
		{Name: "reset", Arity: 2, Flags: session.Admin | session.Loading | session.Stale, Handler: connected(slowlogReset),
			Group: session.GroupServer, Since: "2.2.12", Complexity: "O(1)", Summary: "Deletes the entries.",
			Hints: allNodesSucceed},
	},
}

const (
	slowlogDefaultCount = 10
	errSlowlogCount     = "ERR count should be greater than or equal to -1"
)

func slowlogGet(c *Client) {
	all := c.srv.slowlog.entries
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
		c.W.Int(e.id)
		c.W.Int(e.unix)
		c.W.Int(e.micros)
		c.W.Array(len(e.args))
		for _, a := range e.args {
			c.W.BulkString(a)
		}
		c.W.BulkString(e.addr)
		c.W.BulkString(e.name)
	}
}

func slowlogLen(c *Client) { c.W.Int(int64(len(c.srv.slowlog.entries))) }

func slowlogReset(c *Client) {
	c.srv.slowlog.entries = nil
	c.W.OK()
}

func slowlogHelp(c *Client) {
	c.Help("GET [<count>]",
		"    Tell the latest entries (default "+strconv.Itoa(slowlogDefaultCount)+", -1 for all). An entry is a list:",
		"    number, time, microseconds, arguments, address and name of the client.",
		"LEN",
		"    Count the entries.",
		"RESET",
		"    Delete the entries.")
}
