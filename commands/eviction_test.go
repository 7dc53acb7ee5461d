package commands

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// limitBy sets the limit to what is in use and some more bytes.
func (ts *testServer) limitBy(bytes int) {
	ts.do("CONFIG", "SET", "maxmemory", strconv.Itoa(ts.countedMemory()+bytes))
}

// TestPolicies looks at which keys go.
func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		policy string
		gone   string // what is in the names of the keys that go
		stay   string // how the names of keys begin that must stay
	}{
		{"allkeys-lru", "idle", "used"}, {"volatile-lru", "vidle", "idle"},
		{"allkeys-lfu", "idle", "used"}, {"volatile-lfu", "vidle", "idle"},
		{"volatile-ttl", "vidle", "vused"}, {"volatile-random", "v", "idle"}, {"allkeys-random", "", "none"},
		{"allkeys-lrm", "", "written"}, {"allkeys-lrm", "", "vwritten"}, {"volatile-lrm", "v", "vwritten"},
	} {
		t.Run(c.policy, func(t *testing.T) {
			s := newTestServer(t, "maxmemory-policy", c.policy, "maxmemory-eviction-tenacity", "100")
			const n = 200
			for i := range n {
				s.do("SET", fmt.Sprint("idle", i), "value")
				s.do("SET", fmt.Sprint("used", i), "value")
				s.do("SET", fmt.Sprint("written", i), "value")
				s.do("SET", fmt.Sprint("vidle", i), "value", "EX", strconv.Itoa(1000+i))
				s.do("SET", fmt.Sprint("vused", i), "value", "EX", strconv.Itoa(5000+i))
				s.do("SET", fmt.Sprint("vwritten", i), "value", "EX", strconv.Itoa(5000+i))
			}
			for range 20 {
				s.now += 2000
				for i := range n {
					for _, key := range []string{"used", "vused"} {
						s.do("GET", fmt.Sprint(key, i))
					}
					for _, key := range []string{"written", "vwritten"} {
						s.do("APPEND", fmt.Sprint(key, i), "")
						s.do("SETRANGE", fmt.Sprint(key, i), "0", "v")
					}
				}
			}
			s.do("CONFIG", "RESETSTAT")
			s.recordFeed()
			s.limitBy(-50 * 64)
			s.do("PING")
			gone := int(s.stats.evictedKeys)
			if gone == 0 || gone > 150 {
				t.Errorf("%d keys went", gone)
			}
			left := map[string]bool{}
			for _, db := range s.Keyspace.DBs() {
				db.Each(func(r *record.Record) bool { left[string(r.Key())] = true; return true })
			}
			for _, cmd := range s.fed {
				verb, key, _ := strings.Cut(cmd, " ")
				if verb != "DEL" || left[key] {
					t.Fatalf("propagated: %q", cmd)
				}
				if !strings.Contains(key, c.gone) || strings.HasPrefix(key, c.stay) {
					t.Errorf("%s went", key)
				}
			}
			if len(s.fed) != gone {
				t.Errorf("%d deletions were propagated of %d", len(s.fed), gone)
			}
			checkBytes(t, s, c.policy)
		})
	}
}

// TestVolatileTTL holds that the keys with the earliest deadlines go, exactly, whatever the deadlines have become.
func TestVolatileTTL(t *testing.T) {
	s := newTestServer(t, "maxmemory-policy", "volatile-ttl", "maxmemory-eviction-tenacity", "100")
	deadline := map[string]int64{}
	set := func(key string, ttl int64) {
		s.do("SET", key, "value", "PX", fmt.Sprint(ttl))
		deadline[key] = s.now + ttl
	}
	rnd := keyspace.New(1, 5)
	random := func(n int64) int64 { return int64(rnd.Random() % uint64(n)) }
	for i := range 5000 {
		set(fmt.Sprint("key", i), 100_000+random(1e9))
	}
	s.recordFeed()
	for range 60 {
		for range 10 {
			key := fmt.Sprint("key", random(6000))
			if deadline[key] == 0 || random(3) > 0 {
				set(key, 100_000+random(1e9))
			} else {
				s.do("DEL", key)
				delete(deadline, key)
			}
		}
		s.fed = s.fed[:0]
		s.limitBy(-200)
		s.do("PING")
		s.do("CONFIG", "SET", "maxmemory", "0")
		for _, cmd := range s.fed {
			key := strings.TrimPrefix(cmd, "DEL ")
			for other, when := range deadline {
				if when < deadline[key] {
					t.Fatalf("%s with %d went before %s with %d", key, deadline[key], other, when)
				}
			}
			delete(deadline, key)
		}
		if len(s.fed) == 0 {
			t.Fatal("nothing went")
		}
	}
	checkBytes(t, s, "volatile-ttl")
}

// TestOOM goes through the refusals.
func TestOOM(t *testing.T) {
	s := newTestServer(t)
	s.do("SET", "list", "x")
	s.do("DEL", "list")
	s.limitBy(-1)
	const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	want := func(reply string, words ...string) {
		t.Helper()
		if got := s.do(words...); got != reply {
			t.Errorf("%q: %q, want %q", words, got, reply)
		}
	}
	want(oom, "SET", "k", "v")
	want("$-1\r\n", "GET", "k")
	want(":0\r\n", "DEL", "k")
	want("+OK\r\n", "MULTI")
	want(oom, "GET", "k")
	want("-EXECABORT Transaction discarded because of previous errors.\r\n", "EXEC")
	s.do("CONFIG", "SET", "maxmemory", "0")
	want("+OK\r\n", "MULTI")
	want("+QUEUED\r\n", "GET", "k")
	other := s.client()
	s.doAs(other, "CONFIG", "SET", "maxmemory", "1")
	want("*1\r\n$-1\r\n", "EXEC")
	s.do("CONFIG", "SET", "maxmemory", "0")
	want("+OK\r\n", "MULTI")
	want("+QUEUED\r\n", "SET", "k", "v")
	s.doAs(other, "CONFIG", "SET", "maxmemory", "1")
	want("-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n", "EXEC")

	// Scripts: without a shebang command by command, with one as a whole.
	begins := func(reply string, words ...string) {
		t.Helper()
		if got := s.do(words...); !strings.HasPrefix(got, reply) {
			t.Errorf("%q: %q, want %q", words, got, reply)
		}
	}
	begins("-OOM command not allowed when used memory > 'maxmemory'. script: ", "EVAL", "return redis.call('set','x',1)", "1", "x")
	want(":1\r\n", "EVAL", "return redis.pcall('set','x',1).err and 1", "1", "x")
	want("$-1\r\n", "EVAL", "return redis.call('get','x')", "1", "x")
	want("+OK\r\n", "EVAL", "redis.call('del','x') return redis.call('set','x',1)", "1", "x") // it has written before
	want(oom, "EVAL", "#!lua\nreturn 1", "0")                                                 // a script that may write is flagged denyoom
	want(":1\r\n", "EVAL", "#!lua flags=no-writes\nreturn 1", "0")
	want("+OK\r\n", "EVAL", "#!lua flags=allow-oom\nreturn redis.call('set','x',1)", "1", "x")
	s.do("CONFIG", "SET", "maxmemory", "0")
	want("+OK\r\n", "EVAL", "#!lua\nreturn redis.call('set','x',1)", "1", "x")
}

// TestOOMServedLater holds that a command that waited is refused like any other.
func TestOOMServedLater(t *testing.T) {
	s := newTestServer(t)
	waiter := s.client()
	s.doAs(waiter, "BLMOVE", "from", "to", "LEFT", "LEFT", "0")
	s.do("MULTI")
	s.do("RPUSH", "from", "x")
	s.do("CONFIG", "SET", "maxmemory", "1")
	s.do("EXEC")
	s.do("CONFIG", "SET", "maxmemory", "0")
	if n := s.do("LLEN", "from") + s.do("LLEN", "to"); n != ":1\r\n:0\r\n" {
		t.Errorf("after BLMOVE was refused: %q", n)
	}
}

// TestEvictionEffects looks at what an eviction brings about.
func TestEvictionEffects(t *testing.T) {
	s := newTestServer(t, "maxmemory-policy", "allkeys-random", "notify-keyspace-events", "Ke", "lazyfree-lazy-eviction", "yes")
	s.recordFeed()
	s.recordEvents()
	s.do("SET", "k", strings.Repeat("v", 1000))
	s.fed = s.fed[:0]
	s.happened()
	watcher := s.client()
	s.doAs(watcher, "WATCH", "k")
	s.limitBy(-10)
	s.do("PING")
	if got := s.propagated(); got != "UNLINK k" {
		t.Errorf("propagated: %s", got)
	}
	if got := s.happened(); !strings.Contains(got, "evicted") {
		t.Errorf("events: %s", got)
	}
	s.doAs(watcher, "MULTI")
	if got := s.doAs(watcher, "EXEC"); got != "*-1\r\n" {
		t.Errorf("EXEC of a watched key that was evicted: %q", got)
	}
	if info := s.do("INFO", "stats"); !strings.Contains(info, "\r\nevicted_keys:1\r\n") {
		t.Error(slices.Collect(strings.Lines(info)))
	}
}

// TestMemoryComesBack holds that used_memory is what it was when everything has been deleted again, for every kind of
// thing that holds memory.
func TestMemoryComesBack(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct{ name, fill, undo string }{
		{"strings", "SET k%d v%d", "DEL k%d"},
		{"long strings", "SET k%d " + long, "DEL k%d"},
		{"overwritten", "SET k%d a; SET k%d " + long + "; SET k%d 12; APPEND k%d " + long, "DEL k%d"},
		{"deadlines", "SET k%d v EX 1%d", "DEL k%d"},
		{"hashes", "HSET h f%d v%d; HSET h f%d " + long + "; HSET h%d a b", "HDEL h f%d; DEL h%d"},
		{"field deadlines", "HSET h f%d v%d; HPEXPIRE h 1%d FIELDS 1 f%d", "HDEL h f%d"},
		{"lists", "RPUSH l v%d " + long + "; RPUSH l%d x", "LPOP l 2; DEL l%d"},
		{"sets", "SADD s m%d; SADD s %d; SADD n %d", "SREM s m%d %d; SREM n %d"},
		{"sorted sets", "ZADD z %d m%d; ZADD z %d " + long + "%d; ZADD z%d 1 a", "ZREM z m%d " + long + "%d; DEL z%d"},
		{"streams", "XADD x 1-%d f v%d; XADD x%d 1-1 a b; XGROUP CREATE x%d g 0; XREADGROUP GROUP g c STREAMS x%d >", "XDEL x 1-%d; DEL x%d"},
		{"HyperLogLogs", "PFADD p%d a b c", "DEL p%d"},
		{"databases", "SELECT 3; SET k%d v; SELECT 0", "SELECT 3; DEL k%d; SELECT 0"},
		{"channels", "SUBSCRIBE c%d; PSUBSCRIBE p%d", "UNSUBSCRIBE c%d; PUNSUBSCRIBE p%d"},
		{"watched keys", "WATCH k%d", "UNWATCH"},
		{"users", "ACL SETUSER u%d on >secret%d ~a%d*", "ACL DELUSER u%d"},
		{"scripts", "EVAL return(%d) 0", "SCRIPT FLUSH"},
		{"tracking", "CLIENT TRACKING on; SET k%d v; GET k%d; CLIENT TRACKING off", "DEL k%d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t)
			run := func(lines string, i int) {
				for line := range strings.SplitSeq(lines, "; ") {
					line = strings.ReplaceAll(line, "%d", strconv.Itoa(i+1))
					if reply := s.doLine(line); strings.HasPrefix(reply, "-") {
						t.Fatalf("%.80s: %s", line, reply)
					}
					s.account(s.c)
				}
			}
			used := func() int {
				s.Keyspace.ActiveExpire(func() int64 { return s.now }, func() bool { return false })
				return s.usedMemory()
			}
			run(c.fill, 0)
			run(c.undo, 0)
			run("DEL x h l s n z", 0)
			before := used()
			for range 2 {
				const n = 700
				for i := range n {
					run(c.fill, i)
				}
				if grown := used(); grown < before+8*n && c.name != "lists" {
					t.Errorf("%d things took %d bytes", n, grown-before)
				}
				checkBytes(t, s, c.name)
				for i := range n {
					run(c.undo, i)
				}
				run("DEL x", 0)
				if after := used(); after != before {
					t.Errorf("%d bytes are in use when all is undone, %d were before", after, before)
				}
			}
		})
	}
}
