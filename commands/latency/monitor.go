package latency

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// samplesKept is the number of samples of a series.
const samplesKept = 160

// A Monitor has the samples of all events. The zero value has none.
type Monitor struct {
	series []*Series
}

// A Series has the samples of one event.
type Series struct {
	Event   string
	Samples []Sample // oldest first; at least one
	Worst   int64    // ms, since the last reset
}

// A Sample is the longest time of the event in one second.
type Sample struct {
	Unix int64 // seconds
	Ms   int64
}

// Add adds a sample of an event.
func (m *Monitor) Add(event string, unix, ms int64) {
	l := m.Of([]byte(event))
	if l == nil {
		l = &Series{Event: event}
		m.series = append(m.series, l)
	}
	l.add(unix, ms)
}

func (l *Series) add(unix, ms int64) {
	l.Worst = max(l.Worst, ms)
	if n := len(l.Samples); n > 0 && l.Samples[n-1].Unix == unix {
		l.Samples[n-1].Ms = max(l.Samples[n-1].Ms, ms)
		return
	}
	if len(l.Samples) == samplesKept {
		copy(l.Samples, l.Samples[1:])
		l.Samples = l.Samples[:samplesKept-1]
	}
	l.Samples = append(l.Samples, Sample{unix, ms})
}

// Series returns all series, in the order of their first samples. It is valid until the monitor is changed.
func (m *Monitor) Series() []*Series { return m.series }

// Of returns the series of an event, nil if it has no samples.
func (m *Monitor) Of(event []byte) *Series {
	for _, l := range m.series {
		if string(event) == l.Event {
			return l
		}
	}
	return nil
}

// Reset deletes the series of the events for which gone returns true, and returns their number.
func (m *Monitor) Reset(gone func(event string) bool) int {
	before := len(m.series)
	m.series = slices.DeleteFunc(m.series, func(l *Series) bool { return gone(l.Event) })
	return before - len(m.series)
}

// A graph has graphRows rows; in each row a column has the height of one of graphSteps. Series with more than graphColumns
// samples continue below.
const (
	graphColumns = 80
	graphRows    = 4
	graphSteps   = "_o#"
)

// Graph draws the samples as columns, and below each, from top to bottom, how long ago it was. now is in Unix seconds.
func (l *Series) Graph(now int64) string {
	low, high := int64(math.MaxInt64), int64(0)
	for _, p := range l.Samples {
		low, high = min(low, p.Ms), max(high, p.Ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n", l.Event, high, low, l.Worst)
	b.WriteString(strings.Repeat("-", graphColumns) + "\n")
	for start := 0; start < len(l.Samples); start += graphColumns {
		part := l.Samples[start:min(start+graphColumns, len(l.Samples))]
		if start > 0 {
			b.WriteByte('\n')
		}
		labels, depth := make([]string, len(part)), 0
		for i, p := range part {
			labels[i] = ago(now - p.Unix)
			depth = max(depth, len(labels[i]))
		}
		for row := graphRows - 1; row >= 0; row-- {
			for _, p := range part {
				// The height of the column, in steps, above the bottom of this row.
				switch h := columnHeight(p.Ms-low, high-low) - row*len(graphSteps); {
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

// columnHeight returns the highest step of a column for v, from 0 to span.
func columnHeight(v, span int64) int {
	const steps = graphRows * len(graphSteps)
	return min(int(v*int64(steps)/max(span, 1)), steps-1)
}

// ago formats a time span in its largest unit.
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

// Report returns the text of LATENCY DOCTOR at a time, in Unix seconds. limit is latency-monitor-threshold, slower is
// slowlog-log-slower-than.
func (m *Monitor) Report(now, limit, slower int64) string {
	if len(m.series) == 0 {
		if limit == 0 {
			return "Latency monitoring is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n"
		}
		return "Nothing has held this server for longer than the threshold.\n"
	}
	var b strings.Builder
	b.WriteString("What has held this server for longer than the threshold:\n\n")
	for i, l := range m.series {
		st := l.analyse(now)
		fmt.Fprintf(&b, "%d. %s: %d latency spikes (average %dms, mean deviation %dms, period %.2f sec). Worst all time event %dms.\n",
			i+1, l.Event, len(l.Samples), st.mean, st.deviation, st.period, l.Worst)
	}
	b.WriteString("\n")
	advise := func(event, format string, args ...any) {
		if m.Of([]byte(event)) != nil {
			fmt.Fprintf(&b, "- "+format+"\n", args...)
		}
	}
	switch {
	case slower < 0:
		advise("command", "The slow log is off: CONFIG SET slowlog-log-slower-than %d makes it name the commands.", limit*1000)
	case slower > limit*1000:
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

// stats sum up a series; times in ms, period in seconds between two samples.
type stats struct {
	mean, deviation int64
	period          float64
}

func (l *Series) analyse(now int64) stats {
	n := int64(len(l.Samples))
	st := stats{period: float64(max(now-l.Samples[0].Unix, 1)) / float64(n)}
	for _, p := range l.Samples {
		st.mean += p.Ms
	}
	st.mean /= n
	for _, p := range l.Samples {
		st.deviation += max(p.Ms-st.mean, st.mean-p.Ms)
	}
	st.deviation /= n
	return st
}
