package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"ferrous/commands/web"
)

// families returns all families of /metrics.
func families() []*web.Family {
	var out []*web.Family
	for i := range metricRows {
		out = append(out, &metricRows[i].Family)
	}
	return append(out, web.RuntimeFamilies...)
}

// The manual's table of metrics is made from the rows.
func TestReadmeMetrics(t *testing.T) {
	const path, from, to = "../packaging/manual/metrics.md", "-update -->\n", "<!-- /metrics -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	manual := string(text)
	i, j := strings.Index(manual, from), strings.Index(manual, to)
	if i < 0 || j < 0 {
		t.Fatal("the markers of the table are missing")
	}
	i += len(from)
	var b strings.Builder
	b.WriteString("\n| metric | type | label | what it tells |\n| --- | --- | --- | --- |\n")
	for _, f := range families() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, f.Label, f.Help)
	}
	b.WriteString("\n")
	switch table := b.String(); {
	case manual[i:j] == table:
	case !*update:
		t.Fatal("metrics.md does not list the metrics that exist: run go test ./commands -run Readme -update")
	default:
		if err := os.WriteFile(path, []byte(manual[:i]+table+manual[j:]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The dashboard and the alert rules name metrics that exist.
func TestDashboardNamesMetrics(t *testing.T) {
	known := map[string]bool{}
	for _, f := range families() {
		known[f.Name] = true
		if f.Kind == web.Histogram {
			known[f.Name+"_bucket"], known[f.Name+"_sum"], known[f.Name+"_count"] = true, true, true
		}
	}
	for path, least := range map[string]int{"../packaging/grafana/ferrous.json": 20, "../packaging/prometheus/ferrous-alerts.yml": 8} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON", path)
		}
		names := map[string]bool{}
		for _, name := range regexp.MustCompile(`\bferrous_[a-z0-9_]+`).FindAllString(string(text), -1) {
			names[name] = true
			if !known[name] {
				t.Errorf("%s names %s, which does not exist", path, name)
			}
		}
		if len(names) < least {
			t.Errorf("%s names %d metrics only", path, len(names))
		}
	}
}

// Copying the figures costs O(commands): it is the same with many keys, clients and databases of any size.
func TestMetricsAllocate(t *testing.T) {
	s := newTestServer(t)
	s.do("SET", "a", "b")
	few := testing.AllocsPerRun(10, func() { s.copyMetrics() })
	for i := range 5000 {
		s.do("SET", fmt.Sprint("k", i), "v")
	}
	for range 200 {
		s.client()
	}
	if many := testing.AllocsPerRun(10, func() { s.copyMetrics() }); many > few+5 {
		t.Errorf("%v allocations with few keys and clients, %v with many", few, many)
	}
}

// First lines that are HTTP's, and those that are not.
func TestIsHTTP(t *testing.T) {
	for in, want := range map[string]httpness{
		"":                                     mayBeHTTP,
		"G":                                    mayBeHTTP,
		"GET /":                                mayBeHTTP,
		"GET /a b":                             mayBeHTTP,
		"GET / HTTP/1.1":                       mayBeHTTP,
		"GET / HTTP/1.1\r\n":                   surelyHTTP,
		"GET /x?y HTTP/1.0\nHost: a":           surelyHTTP,
		"GET / HTTP/1.1 \r\n":                  notHTTP,
		"GET / http/1.1\r\n":                   notHTTP,
		"GET  / HTTP/1.1\r\n":                  notHTTP,
		"GET /\r\n":                            notHTTP,
		"GET a\r\n":                            notHTTP,
		"get / HTTP/1.1\r\n":                   notHTTP,
		"*1\r\n$4\r\nPING\r\n":                 notHTTP,
		"GET /" + strings.Repeat("x", maxHead): notHTTP,
	} {
		if got := isHTTP([]byte(in)); got != want {
			t.Errorf("%.40q: %v, want %v", in, got, want)
		}
	}
}

// FuzzIsHTTP: what begins a request decides the same whether it comes whole or in pieces.
func FuzzIsHTTP(f *testing.F) {
	for _, seed := range []string{"GET / HTTP/1.1\r\n\r\n", "GET /metrics\r\n", "GET /x HTTP/1.1", "*2\r\n", "PING\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := isHTTP(in)
		for i := range in {
			switch got := isHTTP(in[:i]); {
			case got == mayBeHTTP:
			case got != whole:
				t.Fatalf("%q: %v, but %v after %d bytes", in, whole, got, i)
			default:
				return
			}
		}
	})
}
