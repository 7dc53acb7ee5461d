package commands

import (
	"math"
	"regexp"
	"runtime/metrics"
	"strings"
	"testing"
)

// titles returns the section titles of a report.
func titles(report string) string {
	var out []string
	for _, l := range strings.Split(report, "\r\n") {
		if s, is := strings.CutPrefix(l, "# "); is {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func TestInfoSections(t *testing.T) {
	ts := newTestServer(t)
	const (
		byDefault = "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace"
		all       = "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster Keyspace"
	)
	for _, x := range []struct{ names, want string }{
		{"", byDefault},
		{"default", byDefault},
		{"DEFAULT cpu Default", byDefault},
		{"all", all},
		{"Everything", all},
		{"all cpu everything", all},
		{"cpu", "CPU"},
		{"CPU cpu Cpu", "CPU"},
		{"keyspace server", "Server Keyspace"}, // in the report's order
		{"commandSTATS", "Commandstats"},
		{"default commandstats latencystats", all},
		{"modules module_list", "Modules"},
		{"nothing", ""},
		{"debug", "Debug"},
		{"debug all", all + " Debug"},
		{"nothing cluster", "Cluster"},
	} {
		var names [][]byte
		for _, n := range strings.Fields(x.names) {
			names = append(names, []byte(n))
		}
		if got := titles(ts.infoReport(names)); got != x.want {
			t.Errorf("INFO %s\n got %s\nwant %s", x.names, got, x.want)
		}
	}
}

func TestInfoForm(t *testing.T) {
	ts := newTestServer(t)
	ts.do("SET", "k", "v")
	ts.do("NOSUCH")
	ts.do("GET")
	report := ts.infoReport([][]byte{[]byte("all")})
	lineForm := regexp.MustCompile(`^(# [A-Z][A-Za-z]+|[a-z0-9_|]+:.*|errorstat_[A-Z]+:count=\d+)$`)
	seen := map[string]bool{}
	lines := strings.Split(report, "\r\n")
	if lines[len(lines)-1] != "" {
		t.Error("the last line has no end")
	}
	for i, l := range lines[:len(lines)-1] {
		if l == "" {
			if !strings.HasPrefix(lines[i+1], "# ") {
				t.Errorf("line %d is empty and not before a section", i)
			}
			continue
		}
		if !lineForm.MatchString(l) || strings.ContainsAny(l, "\r\n") {
			t.Errorf("line %q", l)
		}
		name, _, _ := strings.Cut(l, ":")
		if seen[name] {
			t.Errorf("twice: %s", name)
		}
		seen[name] = true
	}
	if got := ts.do("INFO", "cluster"); got != "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n" {
		t.Errorf("RESP2: %q", got)
	}
	ts.do("HELLO", "3")
	if got := ts.do("INFO", "cluster"); got != "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n" {
		t.Errorf("RESP3: %q", got)
	}
}

// infoField returns a field of INFO.
func (ts *testServer) infoField(section, name string) string {
	for _, l := range strings.Split(ts.infoReport([][]byte{[]byte(section)}), "\r\n") {
		if v, is := strings.CutPrefix(l, name+":"); is {
			return v
		}
	}
	return "missing"
}

func TestInfoCounts(t *testing.T) {
	ts := newTestServer(t)
	for _, line := range []string{"SET k v", "GET k", "GET none", "GET", "INCR k", "NOSUCH", "AUTH a b"} {
		ts.doLine(line)
	}
	for _, x := range []struct{ section, name, want string }{
		{"stats", "total_commands_processed", "5"},
		{"stats", "keyspace_hits", "1"},
		{"stats", "keyspace_misses", "1"},
		{"stats", "total_error_replies", "4"},
		{"stats", "acl_access_denied_auth", "1"},
		{"persistence", "rdb_changes_since_last_save", "1"},
		{"errorstats", "errorstat_ERR", "count=3"},
		{"errorstats", "errorstat_WRONGPASS", "count=1"},
		{"keyspace", "db0", "keys=1,expires=0,avg_ttl=0"},
		{"keyspace", "db1", "missing"},
		{"clients", "connected_clients", "1"},
		{"server", "run_id", ts.runID},
		{"server", "redis_version", RedisVersion},
		{"replication", "master_replid", ts.sync.node.History.ID},
	} {
		if got := ts.infoField(x.section, x.name); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
	if len(ts.sync.node.History.ID) != 40 || ts.sync.node.History.ID == ts.runID {
		t.Errorf("replid %q, runid %q", ts.sync.node.History.ID, ts.runID)
	}
	stat := regexp.MustCompile(`^calls=2,usec=\d+,usec_per_call=\d+\.\d\d,rejected_calls=1,failed_calls=0$`)
	if got := ts.infoField("commandstats", "cmdstat_get"); !stat.MatchString(got) {
		t.Errorf("cmdstat_get: %s", got)
	}
	if got := ts.infoField("commandstats", "cmdstat_ping"); got != "missing" {
		t.Errorf("a command that nobody called: %s", got)
	}
}

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 1023: "1023B", 1024: "1.00K", 1536: "1.50K", 1 << 20: "1.00M", 5 << 30: "5.00G", 1 << 40: "1.00T",
		1 << 50: "1.00P",
	} {
		if got := humanBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestHistogramMicros(t *testing.T) {
	h := &metrics.Float64Histogram{
		Counts:  []uint64{0, 98, 1, 1},
		Buckets: []float64{math.Inf(-1), 1e-6, 5e-6, 1e-3, math.Inf(1)},
	}
	for p, want := range map[float64]int64{0.5: 5, 0.98: 5, 0.99: 1000, 1: 1000} {
		if got := histogramMicros(h, p); got != want {
			t.Errorf("%v: %d, want %d", p, got, want)
		}
	}
	if got := histogramMicros(&metrics.Float64Histogram{Counts: []uint64{0}, Buckets: []float64{0, 1}}, 1); got != 0 {
		t.Errorf("without samples: %d", got)
	}
}

// The memory section must agree with the accounts behind it.
func TestInfoMemory(t *testing.T) {
	ts := newTestServer(t)
	ts.do("SET", "k", strings.Repeat("x", 1000))
	num := func(name string) int64 {
		n := int64(0)
		for _, d := range ts.infoField("memory", name) {
			n = n*10 + int64(d-'0')
		}
		return n
	}
	if used := num("used_memory"); used != int64(ts.usedMemory()) || used < 1000 {
		t.Errorf("used_memory %d, account %d", used, ts.usedMemory())
	}
	if num("used_memory") != num("used_memory_overhead")+num("used_memory_dataset") {
		t.Error("overhead and dataset do not add up")
	}
	if num("used_memory_dataset") < 1000 || num("used_memory_rss") < 1<<20 || num("total_system_memory") < 1<<20 {
		t.Error(ts.infoReport([][]byte{[]byte("memory")}))
	}
	if n := num("mem_clients_normal"); n != int64(clientBytes) {
		t.Errorf("mem_clients_normal %d, want %d", n, clientBytes)
	}
}
