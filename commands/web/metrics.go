package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The text format of Prometheus (version 0.0.4). A Family is what has HELP and TYPE; its samples differ by one label at most.

// Kind is the type of a family.
type Kind uint8

// The types.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

func (k Kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// A Family is a metric: its name with the prefix ferrous_ and the unit, its type, what it tells, and the name of its label, ""
// for none. Names are stable: a later version may add families and values of labels, and keeps those that there are.
type Family struct {
	Name  string
	Kind  Kind
	Label string
	Help  string
}

// A Sample is one value of a family. A histogram has Buckets instead: how many observations there are in each, those above
// the last bound in one more; Value is then the sum of all observations.
type Sample struct {
	Label   string
	Value   float64
	Buckets []uint64
}

// A Metric is a family with its samples. Bounds are the upper bounds of a histogram's buckets.
type Metric struct {
	*Family
	Bounds  []float64
	Samples []Sample
}

// appendText appends metrics in the text format. Labels that would be equal in it are numbered: two replicas without a port, or
// codes of errors with different bytes that are no UTF-8. Prometheus refuses all of a text that has a sample twice.
func appendText(b []byte, metrics []Metric) []byte {
	for _, m := range metrics {
		seen := make(map[string]int)
		b = append(b, "# HELP "+m.Name+" "+escapeHelp.Replace(m.Help)+"\n# TYPE "+m.Name+" "+m.Kind.String()+"\n"...)
		for _, s := range m.Samples {
			label := ""
			if m.Label != "" {
				text := strings.ToValidUTF8(s.Label, "\uFFFD")
				for seen[text]++; seen[text] > 1; seen[text]++ {
					text = fmt.Sprintf("%s (%d)", text, seen[text])
				}
				label = m.Label + `="` + escapeLabel.Replace(text) + `"`
			}
			if m.Kind == Histogram {
				b = appendHistogram(b, m, label, s)
				continue
			}
			b = appendSample(b, m.Name, label, s.Value)
		}
	}
	return b
}

func appendHistogram(b []byte, m Metric, label string, s Sample) []byte {
	n := uint64(0)
	for i, count := range s.Buckets {
		n += count
		bound := "+Inf"
		if i < len(m.Bounds) {
			bound = formatValue(m.Bounds[i])
		}
		le := `le="` + bound + `"`
		if label != "" {
			le = label + "," + le
		}
		b = appendSample(b, m.Name+"_bucket", le, float64(n))
	}
	b = appendSample(b, m.Name+"_sum", label, s.Value)
	return appendSample(b, m.Name+"_count", label, float64(n))
}

func appendSample(b []byte, name, labels string, value float64) []byte {
	b = append(b, name...)
	if labels != "" {
		b = append(b, "{"+labels+"}"...)
	}
	b = append(b, ' ')
	b = append(b, formatValue(value)...)
	return append(b, '\n')
}

func formatValue(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

var (
	escapeHelp  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
