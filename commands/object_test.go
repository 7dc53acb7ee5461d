package commands

import (
	"strings"
	"testing"

	"ferrous/commands/session"
)

func TestObjectEncoding(t *testing.T) {
	ts := newTestServer(t)
	for _, c := range []struct{ setup, want string }{
		{"SET k 1", "int"},
		{"SET k 9223372036854775808", "embstr"},
		{"SET k " + strings.Repeat("x", 44), "embstr"},
		{"SET k " + strings.Repeat("x", 45), "raw"},
		{"SET k " + strings.Repeat("x", 5000), "raw"},
		{"APPEND k y", "raw"},
		{"SETRANGE k 0 1", "raw"},
	} {
		if strings.HasPrefix(c.setup, "SETR") || strings.HasPrefix(c.setup, "APP") {
			ts.doLine("SET k v")
		}
		ts.doLine(c.setup)
		if got := ts.doLine("OBJECT ENCODING k"); !strings.Contains(got, "\n"+c.want+"\r") {
			t.Errorf("%.20s: %q, want %s", c.setup, got, c.want)
		}
	}
}

// TestObjectRefCount: Redis shares small integers where no access clock forbids it.
func TestObjectRefCount(t *testing.T) {
	const shared, own = ":2147483647\r\n", ":1\r\n"
	for _, c := range []struct {
		value, memory, policy string
		want                  string
	}{
		{"0", "0", "allkeys-lru", shared},
		{"9999", "0", "noeviction", shared},
		{"10000", "0", "noeviction", own},
		{"-1", "0", "noeviction", own},
		{"text", "0", "noeviction", own},
		{"5", "1000mb", "noeviction", shared},
		{"5", "1000mb", "volatile-ttl", shared},
		{"5", "1000mb", "allkeys-random", shared},
		{"5", "1000mb", "allkeys-lru", own},
		{"5", "1000mb", "volatile-lru", own},
		{"5", "1000mb", "allkeys-lfu", own},
	} {
		ts := newTestServer(t, "maxmemory", c.memory, "maxmemory-policy", c.policy)
		ts.do("SET", "k", c.value)
		if got := ts.doLine("OBJECT REFCOUNT k"); got != c.want {
			t.Errorf("%s with maxmemory %s and %s: %q, want %q", c.value, c.memory, c.policy, got, c.want)
		}
	}
}

func TestObjectClocks(t *testing.T) {
	ts := newTestServer(t)
	ts.doLine("SET k v")
	ts.now += 12_999
	if got := ts.doLine("OBJECT IDLETIME k"); got != ":12\r\n" {
		t.Errorf("idle for %q", got)
	}
	if got := ts.doLine("OBJECT FREQ k"); got != "-"+session.ErrNotLFU+"\r\n" {
		t.Errorf("frequency %q", got)
	}
	ts.doLine("GET k")
	if got := ts.doLine("OBJECT IDLETIME k"); got != ":0\r\n" {
		t.Errorf("idle for %q after GET", got)
	}

	ts = newTestServer(t, "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", "0", "lfu-decay-time", "1")
	ts.doLine("SET k v")
	for range 3 {
		ts.doLine("GET k")
	}
	if got := ts.doLine("OBJECT FREQ k"); got != ":8\r\n" {
		t.Errorf("frequency %q after three accesses, want 5 + 3", got)
	}
	ts.now += 2 * 60_000
	if got := ts.doLine("OBJECT FREQ k"); got != ":6\r\n" {
		t.Errorf("frequency %q two minutes later, want 6", got)
	}
	ts.doLine("TOUCH k")
	if got := ts.doLine("OBJECT FREQ k"); got != ":7\r\n" {
		t.Errorf("frequency %q after TOUCH, want 7", got)
	}
	if got := ts.doLine("OBJECT IDLETIME k"); got != "-"+session.ErrLFU+"\r\n" {
		t.Errorf("idle for %q", got)
	}
	for _, sub := range []string{"FREQ", "IDLETIME", "ENCODING", "REFCOUNT"} {
		if got := ts.do("OBJECT", sub, "nokey"); got != "$-1\r\n" {
			t.Errorf("OBJECT %s of nothing: %q", sub, got)
		}
	}
}

func TestObjectHelp(t *testing.T) {
	ts := newTestServer(t)
	help := ts.doLine("OBJECT HELP")
	for _, row := range ts.Registry.ByName["object"].Subs {
		if name := strings.ToUpper(row.Name); !strings.Contains(help, "\r\n+"+name) {
			t.Errorf("the help lacks %s: %q", name, help)
		}
	}
	if got := ts.doLine("OBJECT FOO k"); got != "-ERR unknown subcommand 'FOO'. Try OBJECT HELP.\r\n" {
		t.Errorf("an unknown subcommand: %q", got)
	}
	if got := ts.doLine("object encoding"); got != "-ERR wrong number of arguments for 'object|encoding' command\r\n" {
		t.Errorf("without a key: %q", got)
	}
}
