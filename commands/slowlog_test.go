package commands

import (
	"fmt"
	"strings"
	"testing"
)

// logged runs a line as if it had taken some microseconds.
func (ts *testServer) logged(micros int64, words ...string) {
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	c := ts.c
	e, _ := ts.Registry.Lookup(args)
	ts.Keyspace.Now = ts.now
	c.Args, c.Cmd = args, e
	if nanos := micros * 1000; nanos >= ts.slowNanos {
		ts.logSlow(c, e, nanos)
		ts.latencyOfCall(e, nanos)
	}
	c.Args, c.Cmd = nil, nil
	for _, a := range args {
		for i := range a {
			a[i] = '#'
		}
	}
}

// entries renders the slow log, newest entry first.
func (ts *testServer) entries() string {
	var out []string
	for i := len(ts.SlowLog.Entries()) - 1; i >= 0; i-- {
		e := ts.SlowLog.Entries()[i]
		out = append(out, fmt.Sprintf("%d@%d %dus %s", e.ID, e.Unix, e.Micros, strings.Join(e.Args, " ")))
	}
	return strings.Join(out, "; ")
}

func TestSlowlog(t *testing.T) {
	// The durations are longer than the test's own commands can take on a busy machine.
	s := newTestServer(t, "slowlog-log-slower-than", "1000000000", "slowlog-max-len", "3")
	s.logged(999_999_999, "get", "a")
	s.logged(1_000_000_000, "get", "b")
	s.now += 5000
	s.logged(5_000_000_000, "set", "c", "1")
	if got, want := s.entries(), "1@1700000005 5000000000us set c 1; 0@1700000000 1000000000us get b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.do("CLIENT", "SETNAME", "bob")
	s.logged(2_000_000_000, "ping")
	check(t, s, [][2]string{
		{"SLOWLOG LEN", ":3\r\n"},
		{"SLOWLOG GET 1", "*1\r\n*6\r\n:2\r\n:1700000005\r\n:2000000000\r\n*1\r\n$4\r\nping\r\n$3\r\n?:0\r\n$3\r\nbob\r\n"},
		{"SLOWLOG GET 0", "*0\r\n"},
		{"SLOWLOG GET -2", "-ERR count should be greater than or equal to -1\r\n"},
		{"SLOWLOG GET x", "-ERR count should be greater than or equal to -1\r\n"},
		{"SLOWLOG GET 1 2", "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.\r\n"},
	})
	s.logged(2_000_000_000, "ping", "x")
	if got, want := s.entries(), "3@1700000005 2000000000us ping x; 2@1700000005 2000000000us ping; 1@1700000005 5000000000us set c 1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	check(t, s, [][2]string{{"CONFIG SET slowlog-max-len 1", "+OK\r\n"}, {"SLOWLOG LEN", ":1\r\n"}, {"SLOWLOG RESET", "+OK\r\n"},
		{"SLOWLOG LEN", ":0\r\n"}, {"CONFIG SET slowlog-log-slower-than -1", "+OK\r\n"}})
	s.logged(1e12, "get", "a")
	check(t, s, [][2]string{{"SLOWLOG LEN", ":0\r\n"}, {"CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 100", "+OK\r\n"}})
	s.doLine("GET a")
	if got := s.SlowLog.Entries(); len(got) != 2 || strings.Join(got[1].Args, " ") != "GET a" || got[1].ID != 5 {
		t.Errorf("with 0 everything is logged, and numbers go on: %+v", got)
	}
}

func TestSlowlogArguments(t *testing.T) {
	s := newTestServer(t, "slowlog-log-slower-than", "0")
	long := strings.Repeat("x", 128)
	many := strings.Fields("mset" + strings.Repeat(" k v", 20))
	for _, tt := range []struct {
		words []string
		want  string
	}{
		{[]string{"get", long}, "get " + long},
		{[]string{"get", long + "yz"}, "get " + long + "... (2 more bytes)"},
		{many[:32], strings.Join(many[:32], " ")},
		{many[:33], strings.Join(many[:31], " ") + " ... (2 more arguments)"},
		{[]string{"auth", "secret"}, "auth (redacted)"},
		{[]string{"AUTH", "user", "secret"}, "AUTH (redacted) (redacted)"},
		{[]string{"hello", "3", "setname", "x", "AUTH", "user", "secret"}, "hello 3 setname x AUTH (redacted) (redacted)"},
		{[]string{"hello", "3"}, "hello 3"},
		{[]string{"config", "set", "maxmemory", "1", "requirepass", "secret", "MasterAuth", "secret"},
			"config set maxmemory 1 requirepass (redacted) MasterAuth (redacted)"},
	} {
		s.logged(1, tt.words...)
		got := strings.Join(s.SlowLog.Entries()[len(s.SlowLog.Entries())-1].Args, " ")
		if got != tt.want {
			t.Errorf("%.60q is logged as %q", tt.words, got)
		}
	}
}

// latencyReport is the text of LATENCY DOCTOR.
func (ts *testServer) latencyReport() string {
	return ts.Latency.Report(ts.Keyspace.Now/1000, ts.Config.LatencyMonitorMs, ts.Config.SlowlogLogSlowerThanUs)
}

func TestLatency(t *testing.T) {
	// The durations are longer than the test's own commands can take on a busy machine.
	s := newTestServer(t, "latency-monitor-threshold", "1000000", "slowlog-log-slower-than", "-1")
	check(t, s, [][2]string{{"LATENCY LATEST", "*0\r\n"}, {"LATENCY HISTORY command", "*0\r\n"},
		{"LATENCY GRAPH command", "-ERR No samples available for event 'command'\r\n"}})
	s.logged(999900000, "set", "a", "1")
	check(t, s, [][2]string{{"LATENCY LATEST", "*0\r\n"}})
	s.logged(3000000000, "set", "a", "1")
	s.logged(2000000000, "set", "a", "1") // the same second: the worse one stays
	s.now += 61_000
	s.logged(1000000000, "set", "a", "1")
	s.logged(5000000000, "get", "a")
	s.latencySample("expire-cycle", 900_000)
	s.latencySample("expire-cycle", 1_200_000)
	check(t, s, [][2]string{
		{"LATENCY LATEST", "*3\r\n*4\r\n$7\r\ncommand\r\n:1700000061\r\n:1000000\r\n:3000000\r\n" +
			"*4\r\n$12\r\nfast-command\r\n:1700000061\r\n:5000000\r\n:5000000\r\n" +
			"*4\r\n$12\r\nexpire-cycle\r\n:1700000061\r\n:1200000\r\n:1200000\r\n"},
		{"LATENCY HISTORY command", "*2\r\n*2\r\n:1700000000\r\n:3000000\r\n*2\r\n:1700000061\r\n:1000000\r\n"},
	})
	if got, want := s.Latency.Series()[0].Graph(1_700_000_062), "command - high 3000000 ms, low 1000000 ms (all time high 3000000 ms)\n"+
		strings.Repeat("-", 80)+"\n# \n| \n| \n|_\n  \n11\nms\n"; got != want {
		t.Errorf("graph:\n%s\nwant\n%s", got, want)
	}
	report := s.latencyReport()
	for _, want := range []string{"1. command: 2 latency spikes (average 2000000ms, mean deviation 1000000ms, period 30.50 sec). Worst all time event 3000000ms.\n",
		"2. fast-command: 1 ", "The slow log is off: CONFIG SET slowlog-log-slower-than 1000000000 "} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	check(t, s, [][2]string{{"LATENCY RESET COMMAND nosuch", ":1\r\n"}, {"LATENCY HISTORY command", "*0\r\n"},
		{"LATENCY RESET", ":2\r\n"}, {"LATENCY LATEST", "*0\r\n"}})
	s.doLine("CONFIG SET latency-monitor-threshold 0")
	s.logged(1e9, "get", "a")
	s.latencySample("expire-cycle", 1e6)
	if len(s.Latency.Series()) != 0 {
		t.Error("samples were kept though monitoring is off")
	}
	if !strings.HasPrefix(s.latencyReport(), "Latency monitoring is off.") {
		t.Error(s.latencyReport())
	}
}

// TestSlowIsCheap: what is not slow costs nothing but a comparison.
func TestSlowIsCheap(t *testing.T) {
	s := newTestServer(t)
	s.doLine("SET a 1")
	args := [][]byte{[]byte("get"), []byte("a")}
	if n := allocations(100, func() { s.run(s.c, args) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
