package commands

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/introspection"
	"ferrous/commands/logging"
)

func check(t *testing.T, s *testServer, rows [][2]string) {
	t.Helper()
	for _, r := range rows {
		if got := s.doLine(r[0]); got != r[1] {
			t.Errorf("%s: %q, want %q", r[0], got, r[1])
		}
	}
}

func TestConfigEffects(t *testing.T) {
	s := newTestServer(t)
	check(t, s, [][2]string{
		{"CONFIG SET proto-max-bulk-len 2097152 client-query-buffer-limit 3145728", "+OK\r\n"},
		{"CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 3 lfu-decay-time 7", "+OK\r\n"},
		{"CONFIG SET slowlog-log-slower-than 5 latency-monitor-threshold 2", "+OK\r\n"},
	})
	if s.limits.MaxBulk != 2<<20 || s.limits.MaxBuffered != 3<<20 {
		t.Errorf("limits are %+v", s.limits)
	}
	if s.Keyspace.LFU == nil || s.Keyspace.LFU.LogFactor != 3 || s.Keyspace.LFU.DecayTime != 7 {
		t.Errorf("LFU is %+v", s.Keyspace.LFU)
	}
	if s.slowNanos != 5000 {
		t.Errorf("slowNanos is %d", s.slowNanos)
	}
	check(t, s, [][2]string{
		{"CONFIG SET maxmemory-policy allkeys-lru", "+OK\r\n"},
		{"CONFIG SET slowlog-log-slower-than -1", "+OK\r\n"},
	})
	if s.Keyspace.LFU != nil {
		t.Error("LFU goes on under an LRU policy")
	}
	if s.slowNanos != 2e6 {
		t.Errorf("slowNanos is %d", s.slowNanos)
	}
}

// TestConfigListeners: what the reactor cannot change is refused, and everything stays as it was.
// What loading depends on does not change under it.
func TestConfigWhileLoading(t *testing.T) {
	s := newTestServer(t, "enable-protected-configs", "yes")
	s.beginLoading(1)
	check(t, s, [][2]string{
		{"CONFIG SET dir /", "-" + errLoading + "\r\n"},
		{"CONFIG SET loglevel debug appendonly yes", "-" + errLoading + "\r\n"},
		{"CONFIG SET repl-diskless-load swapdb", "-" + errLoading + "\r\n"},
		{"CONFIG SET nosuch 1 appendonly yes", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"},
		{"CONFIG GET loglevel", "*2\r\n$8\r\nloglevel\r\n$6\r\nnotice\r\n"},
		{"CONFIG SET loglevel debug", "+OK\r\n"},
	})
	s.endLoading()
	check(t, s, [][2]string{{"CONFIG SET repl-diskless-load swapdb", "+OK\r\n"}})
}

func TestConfigListeners(t *testing.T) {
	s := newTestServer(t)
	for _, line := range []string{"CONFIG SET timeout 5 port 7777", "CONFIG SET timeout 5 bind 127.0.0.2"} {
		got := s.doLine(line)
		name := strings.Fields(line)[4]
		if !strings.HasPrefix(got, "-ERR CONFIG SET failed (possibly related to argument '"+name+"') - ") {
			t.Errorf("%s: %q", line, got)
		}
	}
	check(t, s, [][2]string{
		{"CONFIG GET port", "*2\r\n$4\r\nport\r\n$4\r\n6379\r\n"},
		{"CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n"},
		{"CONFIG SET port 6379", "+OK\r\n"},
	})
	if got := s.do("CONFIG", "SET", "bind", "* -::*"); got != "+OK\r\n" {
		t.Errorf("the addresses that are bound: %q", got)
	}
}

func TestConfigRewrite(t *testing.T) {
	s := newTestServer(t)
	check(t, s, [][2]string{{"CONFIG REWRITE", "-ERR The server is running without a config file\r\n"}})

	path := filepath.Join(t.TempDir(), "ferrous.conf")
	if err := os.WriteFile(path, []byte("# mine\ntimeout 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := config.ParseArgs([]string{"ferrous", path}, nil, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := New(inv.Config, logging.New(logging.Options{Level: logging.Nothing}))
	if err != nil {
		t.Fatal(err)
	}
	s = &testServer{Server: srv, now: testEpoch}
	s.c = s.client()
	check(t, s, [][2]string{{"CONFIG SET timeout 6 maxclients 123", "+OK\r\n"}, {"CONFIG REWRITE", "+OK\r\n"}})
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# mine\n", "timeout 6\n", "maxclients 123\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file lacks %q:\n%s", want, text)
		}
	}
}

func TestResetStat(t *testing.T) {
	s := newTestServer(t)
	s.doLine("SET k v")
	s.doLine("GET k")
	s.doLine("GET nosuch")
	s.doLine("nosuch")
	s.Keyspace.ExpiredKeys = 3
	s.stats.peakMemory = 1 << 40
	check(t, s, [][2]string{{"CONFIG RESETSTAT", "+OK\r\n"}})
	if s.Counters.Hits != 0 || s.Counters.Misses != 0 || s.Counters.ErrorReplies != 0 || s.Keyspace.ExpiredKeys != 0 || len(s.Errors) != 0 {
		t.Errorf("left: %+v, %+v, %d expired, errors %v", s.stats, s.Counters, s.Keyspace.ExpiredKeys, s.Errors)
	}
	if e := s.Registry.ByName["get"]; e.Calls != 0 || e.Nanos != 0 || e.Times != nil {
		t.Errorf("GET still has %d calls", e.Calls)
	}
	if s.stats.peakMemory != 1<<40 {
		t.Error("the peak of memory is gone")
	}
}

// TestDigest compares with digests that Redis 7.2 gave for the same data.
func TestDigest(t *testing.T) {
	s := newTestServer(t)
	check(t, s, [][2]string{
		{"DEBUG DIGEST", "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can " +
			"run it from a local connection, otherwise you need to set this option in the configuration file, and then " +
			"restart the server.\r\n"}})
	s = newTestServer(t, "enable-debug-command", "yes")
	check(t, s, [][2]string{
		{"DEBUG DIGEST", "+0000000000000000000000000000000000000000\r\n"},
		{"DEBUG POPULATE 3", "+OK\r\n"},
		{"DEBUG DIGEST", "+f25db52166a7d712fb7362fd197165342e2b7442\r\n"},
		{"SET i 123", "+OK\r\n"},
		{"SET j 12345678901234567890 PX 100000", "+OK\r\n"},
		{"DEBUG DIGEST-VALUE i j nosuch", "*3\r\n+89f7f51b707418f666d5b45e053bd5bbbf82ac2b\r\n+97758b90ea9fbdc04232da88eb2b707e77fb0fb5\r\n+0000000000000000000000000000000000000000\r\n"},
		{"DEBUG DIGEST", "+84a5ca3029ae6049f0a86a6c0befb7d8e2636904\r\n"},
	})
	// A deadline counts, but not when it is; nor do encodings and the order of insertion.
	one := s.doLine("DEBUG DIGEST")
	s.doLine("SET j 12345678901234567890 PX 999999")
	s.doLine("SET i 12")
	s.doLine("APPEND i 3")
	if got := s.doLine("DEBUG DIGEST"); got != one {
		t.Errorf("the digest of equal data differs: %q", got)
	}
	s.doLine("SELECT 3")
	s.doLine("SET x y")
	if got := s.doLine("DEBUG DIGEST"); got != "+303fcdb22e1150fc62ce70c2c89f8371c92b492c\r\n" {
		t.Errorf("with a second database: %q", got)
	}
}

func TestDebugPopulate(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	s.recordFeed()
	s.doLine("SET k:1 mine")
	s.propagated()
	check(t, s, [][2]string{
		{"DEBUG POPULATE 12 k 10", "+OK\r\n"},
		{"GET k:1", "$4\r\nmine\r\n"},
		{"GET k:0", "$10\r\nvalue:0\x00\x00\x00\r\n"},
		{"GET k:11", "$10\r\nvalue:11\x00\x00\r\n"},
		{"DEBUG POPULATE 1 cut 3", "+OK\r\n"},
		{"GET cut:0", "$3\r\nval\r\n"},
		{"DEBUG POPULATE -1", "-ERR value is out of range, must be positive\r\n"},
		{"DEBUG POPULATE x", "-ERR value is out of range, must be positive\r\n"},
	})
	if got := s.propagated(); got != "" || s.Dirty != 1 {
		t.Errorf("propagated %q, dirty %d", got, s.Dirty)
	}
}

func TestDebugForms(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	unknown := "-ERR unknown subcommand or wrong number of arguments for '"
	check(t, s, [][2]string{
		{"DEBUG nosuch", unknown + "nosuch'. Try DEBUG HELP.\r\n"},
		{"debug sleep", unknown + "sleep'. Try DEBUG HELP.\r\n"},
		{"DEBUG ERROR oops", "-oops\r\n"},
		{"DEBUG OBJECT nosuch", "-ERR no such key\r\n"},
		{"DEBUG HTSTATS 99", "-ERR Out of range database\r\n"},
		{"DEBUG PROTOCOL verbatim", "$25\r\nThis is a verbatim\nstring\r\n"},
		{"DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command\r\n"},
	})
	if n := s.Errors["oops"]; n != 0 {
		t.Error("DEBUG ERROR was counted as an error of the server")
	}
	if got := s.do("DEBUG", "ERROR", "a\r\nb"); got != "-a  b\r\n" {
		t.Errorf("an error with a line break: %q", got)
	}
	help := s.doLine("DEBUG HELP")
	for _, f := range slices.Concat(introspection.DebugForms, debugForms()) {
		if !strings.Contains(help, "+"+strings.ToUpper(f.Name)) {
			t.Errorf("the help lacks %s", f.Name)
		}
	}
	s.c.proto = 3
	if got, want := s.doLine("DEBUG PROTOCOL attrib"), "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"+
		"$39\r\nSome real reply following the attribute\r\n"; got != want {
		t.Errorf("attrib: %q", got)
	}
}

func TestDebugObject(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	for _, tt := range []struct{ value, encoding, length string }{
		{"0", "int", "2"}, {"-128", "int", "2"}, {"128", "int", "3"}, {"32768", "int", "5"},
		{"2147483648", "int", "11"}, {"abc", "embstr", "4"}, {strings.Repeat("x", 63), "raw", "64"},
		{strings.Repeat("x", 64), "raw", "66"}, {strings.Repeat("x", 16384), "raw", "16389"},
	} {
		s.do("SET", "k", tt.value)
		s.now += 3000
		got := s.doLine("DEBUG OBJECT k")
		want := " refcount:1 encoding:" + tt.encoding + " serializedlength:" + tt.length + " lru:"
		if !strings.HasPrefix(got, "+Value at:0x") || !strings.Contains(got, want) || !strings.HasSuffix(got, "idle:3\r\n") {
			t.Errorf("%.20s: %q lacks %q", tt.value, got, want)
		}
	}
}

func TestHashTableStats(t *testing.T) {
	s := newTestServer(t, "enable-debug-command", "yes")
	empty := s.doLine("DEBUG HTSTATS 0 full")
	if strings.Count(empty, "No stats available for empty dictionaries") != 2 {
		t.Errorf("of an empty database: %q", empty)
	}
	for _, n := range []string{"5", "1000", "30000"} {
		s.doLine("DEBUG POPULATE " + n)
		s.doLine("EXPIRE key:1 100")
		st := s.Keyspace.DBs()[0].TableStats()
		records, buckets := 0, 0
		for i, k := range st.Chains {
			records += i * k
			buckets += k
		}
		if records != s.Keyspace.DBs()[0].Len() || buckets != st.Buckets || st.Used > st.Buckets || st.Longest != len(st.Chains)-1 ||
			st.Overflow > st.Reserve || records > st.Slots {
			t.Errorf("with %s keys: %+v", n, st)
		}
		got := s.doLine("DEBUG HTSTATS 0 full")
		if !strings.Contains(got, " number of elements: "+n+"\n") || !strings.Contains(got, "[Expires HT]\nTiming wheel stats:\n number of elements: 1\n") {
			t.Errorf("with %s keys: %s", n, got)
		}
	}
}

func TestTime(t *testing.T) {
	s := newTestServer(t)
	before := time.Now().UnixMicro()
	v := readReply(t, s.doLine("TIME"))
	after := time.Now().UnixMicro()
	if len(v) != 2 {
		t.Fatalf("%v", v)
	}
	// The server's clock runs from its start; it may have drifted by less than a tick of cron.
	const slack = 1e6
	if us := v[0]*1e6 + v[1]; us < before-slack || us > after+slack || v[1] >= 1e6 {
		t.Errorf("%v is not between %d and %d", v, before, after)
	}
}

// readReply returns the numbers of an array of bulks.
func readReply(t *testing.T, reply string) []int64 {
	t.Helper()
	var out []int64
	for i, line := range strings.Split(strings.TrimSuffix(reply, "\r\n"), "\r\n") {
		if i == 0 || line[0] == '$' {
			continue
		}
		n := int64(0)
		for _, d := range line {
			if d < '0' || d > '9' {
				t.Fatalf("%q is not a number", line)
			}
			n = n*10 + int64(d-'0')
		}
		out = append(out, n)
	}
	return out
}

func TestMemoryUsage(t *testing.T) {
	s := newTestServer(t)
	s.do("SET", "small", "v")
	s.do("SET", "large", strings.Repeat("x", 100_000))
	before := s.Keyspace.Bytes()
	s.do("DEL", "large")
	freed := before - s.Keyspace.Bytes()
	s.do("SET", "large", strings.Repeat("x", 100_000))
	check(t, s, [][2]string{
		{"MEMORY USAGE nosuch", "$-1\r\n"},
		{"MEMORY USAGE small SAMPLES -1", "-ERR syntax error\r\n"},
		{"MEMORY USAGE small SAMPLES", "-ERR syntax error\r\n"},
		{"MEMORY USAGE small SAMPLES x", "-ERR value is not an integer or out of range\r\n"},
		{"MEMORY USAGE small SAMPLES 0", ":16\r\n"},
		{"MEMORY USAGE large", ":" + itoa(freed) + "\r\n"},
	})
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func TestMemoryDoctor(t *testing.T) {
	const mb = 1 << 20
	sound := memoryFigures{used: 100 * mb, peak: 110 * mb, rss: 120 * mb, allocated: 110 * mb, active: 112 * mb,
		resident: 118 * mb, allocatorFrag: 1.02, allocatorOverhead: 1.05, rssOverhead: 1.02, fragmentation: 1.2}
	for _, tt := range []struct {
		name   string
		change func(m *memoryFigures)
		want   string
	}{
		{"nothing", func(*memoryFigures) {}, "Nothing about"},
		{"tiny", func(m *memoryFigures) { m.used = 4 * mb }, "next to no data"},
		{"peak", func(m *memoryFigures) { m.peak = 151 * mb }, " * Peak: 151.00M"},
		{"rss", func(m *memoryFigures) { m.fragmentation, m.rss = 1.5, 150*mb }, " * Resident memory: the process holds 1.50"},
		{"fragmentation", func(m *memoryFigures) { m.allocatorFrag, m.active = 1.2, 132*mb }, " * Fragmentation: 22.00M"},
		{"idle", func(m *memoryFigures) { m.allocatorOverhead, m.resident = 1.2, 134*mb }, " * Idle heap: 22.00M"},
		{"outside", func(m *memoryFigures) { m.rssOverhead, m.rss = 1.3, 140*mb }, " * Outside the heap: 22.00M"},
		{"clients", func(m *memoryFigures) { m.clients = 3 * mb }, " * Clients: a client takes 1.50M"},
	} {
		m := sound
		tt.change(&m)
		got := m.report(2)
		if !strings.Contains(got, tt.want) || strings.Count(got, " * ") > 1 {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

func TestShutdownForms(t *testing.T) {
	s := newTestServer(t)
	check(t, s, [][2]string{
		{"SHUTDOWN foo", "-ERR syntax error\r\n"},
		{"SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n"},
		{"SHUTDOWN NOW ABORT", "-ERR syntax error\r\n"},
		{"SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n"},
	})
	if s.shutdown.begun {
		t.Error("the server is going down")
	}
}

// TestShutdown sends SHUTDOWN and more in one packet: what follows is not executed, and the server ends.
func TestShutdown(t *testing.T) {
	s := startServer(t)
	s.on(func() {}) // it listens
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("SET a 1\r\nSHUTDOWN NOSAVE NOW FORCE\r\nSET b 2\r\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n := 0
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	for err == nil {
		var k int
		k, err = conn.Read(buf[n:])
		n += k
	}
	if string(buf[:n]) != "+OK\r\n" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	if db := s.Keyspace.DBs()[0]; db.PeekStale([]byte("a")) == nil || db.PeekStale([]byte("b")) != nil {
		t.Error("not exactly what came before SHUTDOWN was executed")
	}
	if s.ExitCode() != 0 {
		t.Errorf("exit code %d", s.ExitCode())
	}
}
