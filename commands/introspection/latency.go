package introspection

import (
	"ferrous/commands/histogram"
	"ferrous/commands/session"
)

// LATENCY: the samples of package latency, one series for each event that blocked the loop for at least
// latency-monitor-threshold milliseconds; and the histograms of the execution times of commands. The events are those of
// Redis that exist in this server.

const latencySub = session.Admin | session.NoScript | session.Loading | session.Stale

var latencyRow = session.Command{
	Name: "latency", Arity: -2, Group: session.GroupServer, Since: "2.8.13", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about what held the server up.",
	Subs: []session.Command{
		{Name: "doctor", Arity: 2, Flags: latencySub, Handler: latencyDoctor,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)",
			Summary: "Reports on all events, with advice.", Hints: allNodesSpecial},
		{Name: "graph", Arity: 3, Flags: latencySub, Handler: latencyGraph,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Draws the samples of an event.",
			Hints: allNodesSpecial, Args: []session.Arg{session.StringArg("event")}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: latencyHelp,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "histogram", Arity: -2, Flags: latencySub, Handler: latencyHistogram,
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands that have been executed.",
			Summary: "Tells how long the executions of commands took.", Hints: allNodesSpecial,
			Args: []session.Arg{session.StringArg("command").Opt().Many()}},
		{Name: "history", Arity: 3, Flags: latencySub, Handler: latencyHistory,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Tells the samples of an event.",
			Hints: allNodesSpecial, Args: []session.Arg{session.StringArg("event")}},
		{Name: "latest", Arity: 2, Flags: latencySub, Handler: latencyLatest,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Tells the latest sample of each event.",
			Hints: allNodesSpecial},
		{Name: "reset", Arity: -2, Flags: latencySub, Handler: latencyReset,
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Deletes the samples of events.",
			Hints: []string{"request_policy:all_nodes", "response_policy:agg_sum"},
			Args:  []session.Arg{session.StringArg("event").Opt().Many()}},
	},
}

var allNodesSpecial = []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}

func latencyHistogram(c *session.Client) {
	m, n := c.W.BeginMap(), 0
	one := func(e *session.Entry) {
		if e.Times != nil {
			c.W.BulkString(e.Full)
			durations(c, e.Times)
			n++
		}
	}
	if len(c.Args) == 2 {
		for _, e := range c.Core.Registry.Shown {
			one(e)
		}
	}
	for _, name := range c.Args[2:] {
		if e := c.Core.Registry.Named(name); e != nil {
			one(e)
			for _, sub := range e.Order {
				one(sub)
			}
		}
	}
	c.W.EndMap(m, n)
}

// durations replies with the counts of a histogram.
func durations(c *session.Client, h *histogram.Histogram) {
	c.W.Map(2)
	c.W.BulkString("calls")
	c.W.Int(h.Total())
	c.W.BulkString("histogram_usec")
	m, n := c.W.BeginMap(), 0
	h.Cumulative(func(nanos, count int64) {
		c.W.Int(nanos / 1000)
		c.W.Int(count)
		n++
	})
	c.W.EndMap(m, n)
}

func latencyLatest(c *session.Client) {
	c.W.Array(len(c.Core.Latency.Series()))
	for _, l := range c.Core.Latency.Series() {
		last := l.Samples[len(l.Samples)-1]
		c.W.Array(4)
		c.W.BulkString(l.Event)
		c.W.Int(last.Unix)
		c.W.Int(last.Ms)
		c.W.Int(l.Worst)
	}
}

func latencyHistory(c *session.Client) {
	l := c.Core.Latency.Of(c.Args[2])
	if l == nil {
		c.W.Array(0)
		return
	}
	c.W.Array(len(l.Samples))
	for _, p := range l.Samples {
		c.W.Array(2)
		c.W.Int(p.Unix)
		c.W.Int(p.Ms)
	}
}

func latencyReset(c *session.Client) {
	named := func(event string) bool {
		for i := range c.Args[2:] {
			if c.Is(i+2, event) {
				return true
			}
		}
		return len(c.Args) == 2
	}
	c.W.Int(int64(c.Core.Latency.Reset(named)))
}

func latencyGraph(c *session.Client) {
	l := c.Core.Latency.Of(c.Args[2])
	if l == nil {
		c.Error("ERR No samples available for event '" + session.CString(c.Args[2]) + "'")
		return
	}
	c.W.Verbatim("txt", l.Graph(c.Core.Keyspace.Now/1000))
}

func latencyDoctor(c *session.Client) {
	cfg := c.Core.Config
	c.W.Verbatim("txt", c.Core.Latency.Report(c.Core.Keyspace.Now/1000, cfg.LatencyMonitorMs, cfg.SlowlogLogSlowerThanUs))
}

func latencyHelp(c *session.Client) {
	c.Help("DOCTOR",
		"    Report on all events, with advice.",
		"GRAPH <event>",
		"    Draw the samples of an event.",
		"HISTOGRAM [<command> ...]",
		"    Tell how many executions of commands took up to how many microseconds.",
		"HISTORY <event>",
		"    Tell the samples of an event with their times.",
		"LATEST",
		"    Tell the latest sample of each event.",
		"RESET [<event> ...]",
		"    Delete the samples of the events named, or all.")
}
