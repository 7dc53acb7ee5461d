package commands

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ferrous/commands/histogram"
	"ferrous/commands/session"
)

// Latency monitoring: what held the loop for at least latency-monitor-threshold milliseconds, by event. Events are those
// of Redis that happen here: command and fast-command (a command of that flag), expire-cycle (a step of background
// expiry).
//
// A series keeps the worst sample of each second in which there was one, the last latencySamples of them.

const latencySamples = 160

// latencySeries are the samples of one event.
type latencySeries struct {
	event   string
	samples []latencyPoint // oldest first
	worst   int64          // ms, since the last reset
}

type latencyPoint struct {
	unix int64 // seconds
	ms   int64
}

// latencySample files a sample if it is above the threshold.
func (s *Server) latencySample(event string, ms int64) {
	limit := s.Config.LatencyMonitorMs
	if limit <= 0 || ms < limit {
		return
	}
	l := s.latencyOf([]byte(event))
	if l == nil {
		l = &latencySeries{event: event}
		s.latency = append(s.latency, l)
	}
	l.add(s.Keyspace.Now/1000, ms)
}

func (l *latencySeries) add(unix, ms int64) {
	l.worst = max(l.worst, ms)
	if n := len(l.samples); n > 0 && l.samples[n-1].unix == unix {
		l.samples[n-1].ms = max(l.samples[n-1].ms, ms)
		return
	}
	if len(l.samples) == latencySamples {
		copy(l.samples, l.samples[1:])
		l.samples = l.samples[:latencySamples-1]
	}
	l.samples = append(l.samples, latencyPoint{unix, ms})
}

// latencyOf returns the series of an event, nil if nothing has been filed.
func (s *Server) latencyOf(event []byte) *latencySeries {
	for _, l := range s.latency {
		if string(event) == l.event {
			return l
		}
	}
	return nil
}

var latencyCommand = session.Command{
	Name: "latency", Arity: -2, Group: session.GroupServer, Since: "2.8.13", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about what held the server up.",
	Subs: []session.Command{
		{Name: "doctor", Arity: 2, Flags: configSub, Handler: connected(latencyDoctor),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)",
			Summary: "Reports on all events, with advice.", Hints: allNodesSpecial},
		{Name: "graph", Arity: 3, Flags: configSub, Handler: connected(latencyGraph),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Draws the samples of an event.",
			Hints: allNodesSpecial, Args: []session.Arg{session.StringArg("event")}},
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, Handler: connected(latencyHelp),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "histogram", Arity: -2, Flags: configSub, Handler: connected(latencyHistogram),
			Group: session.GroupServer, Since: "7.0.0", Complexity: "O(N) in the number of commands that have been executed.",
			Summary: "Tells how long the executions of commands took.", Hints: allNodesSpecial,
			Args: []session.Arg{session.StringArg("command").Opt().Many()}},
		{Name: "history", Arity: 3, Flags: configSub, Handler: connected(latencyHistory),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Tells the samples of an event.",
			Hints: allNodesSpecial, Args: []session.Arg{session.StringArg("event")}},
		{Name: "latest", Arity: 2, Flags: configSub, Handler: connected(latencyLatest),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Tells the latest sample of each event.",
			Hints: allNodesSpecial},
		{Name: "reset", Arity: -2, Flags: configSub, Handler: connected(latencyReset),
			Group: session.GroupServer, Since: "2.8.13", Complexity: "O(1)", Summary: "Deletes the samples of events.",
			Hints: []string{"request_policy:all_nodes", "response_policy:agg_sum"},
			Args:  []session.Arg{session.StringArg("event").Opt().Many()}},
	},
}

var allNodesSpecial = []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}

func latencyHistogram(c *Client) {
	m, n := c.W.BeginMap(), 0
	one := func(e *session.Entry) {
		if e.Times != nil {
			c.W.BulkString(e.Full)
			c.durations(e.Times)
			n++
		}
	}
	if len(c.Args) == 2 {
		for _, e := range c.srv.Registry.Shown {
			one(e)
		}
	}
	for _, name := range c.Args[2:] {
		if e := c.srv.Registry.Named(name); e != nil {
			one(e)
			for _, sub := range e.Order {
				one(sub)
			}
		}
	}
	c.W.EndMap(m, n)
}

// durations replies with what a histogram holds.
func (c *Client) durations(h *histogram.Histogram) {
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

func latencyLatest(c *Client) {
	c.W.Array(len(c.srv.latency))
	for _, l := range c.srv.latency {
		last := l.samples[len(l.samples)-1]
		c.W.Array(4)
		c.W.BulkString(l.event)
		c.W.Int(last.unix)
		c.W.Int(last.ms)
		c.W.Int(l.worst)
	}
}

func latencyHistory(c *Client) {
	l := c.srv.latencyOf(c.Args[2])
	if l == nil {
		c.W.Array(0)
		return
	}
	c.W.Array(len(l.samples))
	for _, p := range l.samples {
		c.W.Array(2)
		c.W.Int(p.unix)
		c.W.Int(p.ms)
	}
}

func latencyReset(c *Client) {
	s := c.srv
	before := len(s.latency)
	if len(c.Args) == 2 {
		s.latency = nil
	}
	for i := range c.Args[2:] {
		s.latency = slices.DeleteFunc(s.latency, func(l *latencySeries) bool { return c.Is(i+2, l.event) })
	}
	c.W.Int(int64(before - len(s.latency)))
}

func latencyGraph(c *Client) {
	l := c.srv.latencyOf(c.Args[2])
	if l == nil {
		c.Error("ERR No samples available for event '" + session.CString(c.Args[2]) + "'")
		return
	}
	c.W.Verbatim("txt", l.graph(c.srv.Keyspace.Now/1000))
}

// A graph has graphRows rows, in each of which a column can be filled to the height of one of graphSteps; wide series
// go on below after graphColumns.
const (
	graphColumns = 80
	graphRows    = 4
	graphSteps   = "_o#"
)

// graph draws the samples as columns, under each how long ago it was, top down.
func (l *latencySeries) graph(now int64) string {
	low, high := int64(math.MaxInt64), int64(0)
	for _, p := range l.samples {
		low, high = min(low, p.ms), max(high, p.ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n", l.event, high, low, l.worst)
	b.WriteString(strings.Repeat("-", graphColumns) + "\n")
	for start := 0; start < len(l.samples); start += graphColumns {
		part := l.samples[start:min(start+graphColumns, len(l.samples))]
		if start > 0 {
			b.WriteByte('\n')
		}
		labels, depth := make([]string, len(part)), 0
		for i, p := range part {
			labels[i] = ago(now - p.unix)
			depth = max(depth, len(labels[i]))
		}
		for row := graphRows - 1; row >= 0; row-- {
			for _, p := range part {
				// The height of the column, in steps, that stands above the foot of this row.
				switch h := columnHeight(p.ms-low, high-low) - row*len(graphSteps); {
				case h < 0:
					b.WriteByte(' ')
				case h >= len(graphSteps):
					b.WriteByte('|')
				default:
					b.WriteByte(graphSteps[h])
				}
			}
			b.WriteByte('\n')
		}
		b.WriteString(strings.Repeat(" ", len(part)) + "\n")
		for i := range depth {
			for _, s := range labels {
				if i < len(s) {
					b.WriteByte(s[i])
				} else {
					b.WriteByte(' ')
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// columnHeight is the topmost step of a column of v in 0 to span.
func columnHeight(v, span int64) int {
	const steps = graphRows * len(graphSteps)
	return min(int(v*int64(steps)/max(span, 1)), steps-1)
}

// ago writes a time span in its largest unit.
func ago(seconds int64) string {
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm", seconds/60)
	case seconds < 24*3600:
		return fmt.Sprintf("%dh", seconds/3600)
	}
	return fmt.Sprintf("%dd", seconds/(24*3600))
}

func latencyDoctor(c *Client) { c.W.Verbatim("txt", c.srv.latencyReport()) }

// latencyReport is the text of LATENCY DOCTOR.
func (s *Server) latencyReport() string {
	limit := s.Config.LatencyMonitorMs
	if len(s.latency) == 0 {
		if limit == 0 {
			return "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n"
		}
		return "Nothing has held this server for longer than the threshold.\n"
	}
	var b strings.Builder
	b.WriteString("What has held this server for longer than the threshold:\n\n")
	for i, l := range s.latency {
		st := l.analyse(s.Keyspace.Now / 1000)
		fmt.Fprintf(&b, "%d. %s: %d latency spikes (average %dms, mean deviation %dms, period %.2f sec). Worst all time event %dms.\n",
			i+1, l.event, len(l.samples), st.mean, st.deviation, st.period, l.worst)
	}
	b.WriteString("\n")
	advise := func(event, format string, args ...any) {
		if s.latencyOf([]byte(event)) != nil {
			fmt.Fprintf(&b, "- "+format+"\n", args...)
		}
	}
	switch us := s.Config.SlowlogLogSlowerThanUs; {
	case us < 0:
		advise("command", "The slow log is off: CONFIG SET slowlog-log-slower-than %d makes it name the commands.", limit*1000)
	case us > limit*1000:
		advise("command", "The slow log has a higher threshold than latency monitoring: CONFIG SET "+
			"slowlog-log-slower-than %d makes it name the commands.", limit*1000)
	default:
		advise("command", "SLOWLOG GET names the commands that were slow.")
	}
	advise("command", "Commands over many elements at once hold everybody: ask for parts (SCAN, ranges with LIMIT).")
	advise("fast-command", "Commands that do little were slow: the machine did not give the process a processor. "+
		"Lower its load, or see whether its host is shared; redis-cli --intrinsic-latency 100 measures it.")
	advise("expire-cycle", "Very many keys expire at the same moment: spread their deadlines.")
	return b.String()
}

// latencyStats sum up a series; times in ms, period in seconds between two samples.
type latencyStats struct {
	mean, deviation int64
	period          float64
}

func (l *latencySeries) analyse(now int64) latencyStats {
	n := int64(len(l.samples))
	st := latencyStats{period: float64(max(now-l.samples[0].unix, 1)) / float64(n)}
	for _, p := range l.samples {
		st.mean += p.ms
	}
	st.mean /= n
	for _, p := range l.samples {
		st.deviation += max(p.ms-st.mean, st.mean-p.ms)
	}
	st.deviation /= n
	return st
}

func latencyHelp(c *Client) {
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
