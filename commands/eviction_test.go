package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/commands/process"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
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
			// Under LFU a round looks at a third of the keys that it looks at otherwise.
			samples := "5"
			if strings.HasSuffix(c.policy, "lfu") {
				samples = "15"
			}
			s := newTestServer(t, "maxmemory-policy", c.policy, "maxmemory-samples", samples, "maxmemory-eviction-tenacity", "100")
			// More victims of each kind than the hand takes in its first turn, in which each round has enough of them.
			const n = 400
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

// TestOOM checks the refusals.
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
	s := startServer(t)
	control, waiter := s.dial(), s.dial()
	waiter.send("BLMOVE from to LEFT LEFT 0\r\n")
	s.eventually("it waits", func() bool { return s.blocking.clients == 1 })
	control.do("MULTI", ok)
	control.do("RPUSH from x", "+QUEUED\r\n")
	control.do("CONFIG SET maxmemory 1", "+QUEUED\r\n")
	control.do("EXEC", "*2\r\n:1\r\n"+ok)
	waiter.expect("-" + errOOM + "\r\n")
	control.do("CONFIG SET maxmemory 0", ok)
	control.do("LLEN from", ":1\r\n")
	control.do("LLEN to", ":0\r\n")
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

// TestEvictionLatency holds that latency monitoring sees evictions, and the deletions within them.
func TestEvictionLatency(t *testing.T) {
	s := newTestServer(t, "maxmemory-policy", "allkeys-lru", "latency-monitor-threshold", "2", "maxmemory-eviction-tenacity", "100")
	s.do("SET", "k", strings.Repeat("v", 1000))
	s.Keyspace.OnRemove = func(*keyspace.DB, *record.Record) { time.Sleep(5 * time.Millisecond) }
	s.limitBy(-10)
	s.do("PING")
	s.Keyspace.OnRemove = nil
	for _, event := range []string{"eviction-cycle", "eviction-del"} {
		if got := s.do("LATENCY", "HISTORY", event); !strings.HasPrefix(got, "*1\r\n") {
			t.Errorf("LATENCY HISTORY %s: %q", event, got)
		}
	}
}

// TestEvictionAllocatesLittle holds that a full cache makes next to no garbage: new keys take the memory of those that are
// evicted for them. Tables that split or merge still allocate, and so does the timing wheel.
func TestEvictionAllocatesLittle(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-ttl"} {
		t.Run(policy, func(t *testing.T) {
			s := newTestServer(t, "maxmemory-policy", policy, "maxmemory-eviction-tenacity", "100")
			argv, most := requests("SET key:000000 " + strings.Repeat("v", 100))[0], 16
			if strings.HasPrefix(policy, "volatile") {
				most = 64
				argv = append(argv, []byte("PX"), []byte("10000000"))
			}
			n := 0
			fresh := func() {
				n++
				for i, k := len(argv[1])-1, n; k > 0; i, k = i-1, k/10 {
					argv[1][i] = byte('0' + k%10)
				}
				s.now++
				s.run(s.c, argv)
			}
			for range 5000 {
				fresh()
			}
			s.limitBy(0)
			for range 5000 {
				fresh()
			}
			before, evicted := allocated(), s.stats.evictedKeys
			const writes = 10_000
			for range writes {
				fresh()
			}
			took, evicted := allocated()-before, s.stats.evictedKeys-evicted
			if evicted < writes*9/10 {
				t.Errorf("%d writes evicted %d keys", writes, evicted)
			}
			if took > writes*most {
				t.Errorf("%d bytes were allocated for each write", took/writes)
			}
			checkBytes(t, s, policy)
		})
	}
}

// allocated returns the bytes that the process has ever allocated.
func allocated() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.TotalAlloc)
}

// TestRemovedKeysAreToldRight writes keys of few sizes over each other, so that each takes the memory of another, and compares
// what listeners, events and the stream are told with the keys that it wrote.
func TestRemovedKeysAreToldRight(t *testing.T) {
	rnd := random.New(t)
	s := newTestServer(t, "maxmemory-policy", "allkeys-random", "maxmemory-eviction-tenacity", "100")
	s.recordFeed()
	s.recordEvents()
	want := map[string]string{}
	gone := func() {
		for _, event := range s.events {
			name, key, _ := strings.Cut(event, " ")
			if name != "evicted" && name != "expired" && name != "del" && name != "rename_from" {
				continue
			}
			if _, found := want[key]; !found {
				t.Fatalf("event %q, but there is no such key", event)
			}
			delete(want, key)
		}
		s.happened()
		for _, cmd := range s.fed {
			if words := strings.Fields(cmd); words[0] == "DEL" && (len(words) != 2 || want[words[1]] != "") {
				t.Fatalf("propagated: %q, but the key is there", cmd)
			}
		}
		s.propagated()
	}
	key := func() string { return fmt.Sprintf("key:%03d", rnd.IntN(400)) }
	for i := range 30_000 {
		if i == 3000 {
			s.limitBy(-2000)
		}
		k, value := key(), strings.Repeat(strconv.Itoa(i), 1+rnd.IntN(30))
		switch rnd.IntN(8) {
		case 0:
			s.do("DEL", k)
			gone()
		case 1:
			reply, had := s.do("GETDEL", k), want[k]
			if at := strings.Index(reply, "\r\n"); had != "" && (at < 0 || reply[at+2:] != had+"\r\n") {
				gone()
				if want[k] != "" {
					t.Fatalf("GETDEL %s: %q, want %q", k, reply, had)
				}
			}
			gone()
		case 2:
			to := key()
			had := want[k]
			reply := s.do("RENAME", k, to)
			moved := reply == "+OK\r\n"
			gone()
			if moved {
				if had == "" {
					t.Fatalf("RENAME of %s, which was evicted before", k)
				}
				want[to] = had
				if to == k {
					want[k] = had
				}
			}
		case 3:
			s.do("SET", k, value, "PX", "50")
			gone()
			want[k] = value
		case 4:
			s.now += int64(rnd.IntN(20))
			s.Keyspace.Now = s.now
			s.Keyspace.ActiveExpire(func() int64 { return s.now }, func() bool { return false })
			gone()
		default:
			s.do("SET", k, value)
			gone()
			want[k] = value
		}
		if i%500 == 0 {
			s.do("PING")
			gone()
			for k, v := range want {
				if r := s.Keyspace.DBs()[0].PeekStale([]byte(k)); r == nil || string(r.AppendTo(nil)) != v {
					t.Fatalf("step %d: key %s is not what it was", i, k)
				}
			}
			if n := s.Keyspace.DBs()[0].Len(); n != len(want) {
				t.Fatalf("step %d: %d keys, want %d", i, n, len(want))
			}
		}
	}
	if s.stats.evictedKeys == 0 || s.Keyspace.ExpiredKeys == 0 {
		t.Errorf("%d keys were evicted, %d expired", s.stats.evictedKeys, s.Keyspace.ExpiredKeys)
	}
	checkBytes(t, s, "after all")
}

// infoNumber returns a field of INFO as a number.
func (ts *testServer) infoNumber(t *testing.T, section, name string) int {
	t.Helper()
	n, err := strconv.Atoi(ts.infoField(section, name))
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return n
}

// TestExceededTime holds that the time over the limit is counted, whether it lasts or is over.
func TestExceededTime(t *testing.T) {
	const total, current = "total_eviction_exceeded_time", "current_eviction_exceeded_time"
	s := newTestServer(t)
	s.do("SET", "k", strings.Repeat("v", 1000))
	if a, b := s.infoNumber(t, "stats", total), s.infoNumber(t, "stats", current); a != 0 || b != 0 {
		t.Errorf("before: %d and %d ms", a, b)
	}
	s.limitBy(-10)
	s.do("PING")
	time.Sleep(5 * time.Millisecond)
	a, b := s.infoNumber(t, "stats", total), s.infoNumber(t, "stats", current)
	if a < 5 || b < 5 || b > a+1 {
		t.Errorf("over the limit for 5 ms: %d and %d ms", a, b)
	}
	s.do("DEL", "k")
	s.do("PING")
	if a, b = s.infoNumber(t, "stats", total), s.infoNumber(t, "stats", current); a < 5 || b != 0 {
		t.Errorf("below the limit again: %d and %d ms", a, b)
	}
	before := a
	time.Sleep(5 * time.Millisecond)
	if a = s.infoNumber(t, "stats", total); a != before {
		t.Errorf("the time below the limit counts: %d ms, %d before", a, before)
	}
}

// TestMemoryPercent holds that maxmemory in per cent is a share of what the machine or the cgroup has.
func TestMemoryPercent(t *testing.T) {
	have := process.AvailableMemory()
	if have == 0 {
		t.Skip("the system does not tell how much memory there is")
	}
	s := newTestServer(t, "maxmemory", "75%")
	check := func(percent int64) {
		t.Helper()
		want := int(have / 100 * percent)
		if s.evict.limit != want || s.infoNumber(t, "memory", "maxmemory") != want {
			t.Errorf("%d%%: the limit is %d, INFO has %d, want %d", percent, s.evict.limit, s.infoNumber(t, "memory", "maxmemory"), want)
		}
	}
	check(75)
	if got := s.do("CONFIG", "SET", "maxmemory", "40%"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	check(40)
	s.do("CONFIG", "SET", "maxmemory", "100mb")
	if s.evict.limit != 100<<20 {
		t.Errorf("100mb after per cent: the limit is %d", s.evict.limit)
	}
	for _, wrong := range []string{"0%", "101%", "-5%", "%", "5 %", "5.5%"} {
		if got := s.do("CONFIG", "SET", "maxmemory", wrong); !strings.HasPrefix(got, "-") {
			t.Errorf("maxmemory %s: %q", wrong, got)
		}
	}
}

// TestRestoredClocks holds that RESTORE gives a key the idle time or the frequency that it names, by which it is evicted.
func TestRestoredClocks(t *testing.T) {
	s := newTestServer(t, "maxmemory-policy", "allkeys-lru", "maxmemory-eviction-tenacity", "100")
	s.do("SET", "k", "value")
	payload := s.do("DUMP", "k")
	_, payload, _ = strings.Cut(payload, "\r\n")
	payload = strings.TrimSuffix(payload, "\r\n")
	s.do("DEL", "k")
	s.recordFeed()
	for i := range 20 {
		s.do("RESTORE", fmt.Sprint("k", i), "0", payload, "IDLETIME", strconv.Itoa(100+(i*7)%20))
	}
	if got := s.do("OBJECT", "IDLETIME", "k3"); got != ":101\r\n" {
		t.Errorf("idle time: %q", got)
	}
	s.fed = s.fed[:0]
	s.limitBy(-10)
	s.do("PING")
	if got := s.propagated(); got != "DEL k17" { // 100 + 119%20
		t.Errorf("of keys idle for 100 to 119 s was evicted: %q", got)
	}
	s.do("CONFIG", "SET", "maxmemory", "0")
	s.do("FLUSHALL")
	s.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
	for i := range 20 {
		s.do("RESTORE", fmt.Sprint("k", i), "0", payload, "FREQ", strconv.Itoa(100+(i*7)%20))
	}
	if got := s.do("OBJECT", "FREQ", "k3"); got != ":101\r\n" {
		t.Errorf("frequency: %q", got)
	}
	s.fed = s.fed[:0]
	s.limitBy(-10)
	s.do("PING")
	if got := s.propagated(); got != "DEL k0" {
		t.Errorf("of keys with frequencies of 100 to 119 was evicted: %q", got)
	}
}

// TestMemoryFigures checks that MEMORY STATS, INFO memory and the check of maxmemory agree.
func TestMemoryFigures(t *testing.T) {
	s := newTestServer(t, "maxmemory", "200mb")
	for i := range 3000 {
		s.do("SET", fmt.Sprint("key", i), strings.Repeat("v", i%900), "EX", "1000")
	}
	s.do("EVAL", "return 1", "0")
	s.account(s.c)
	stats := map[string]int{}
	lines := strings.Split(s.do("MEMORY", "STATS"), "\r\n")
	for i := 0; i+2 < len(lines); i++ {
		if n, found := strings.CutPrefix(lines[i+2], ":"); found && strings.HasPrefix(lines[i], "$") {
			stats[lines[i+1]], _ = strconv.Atoi(n)
		}
	}
	for stat, field := range map[string]string{"total.allocated": "used_memory", "startup.allocated": "used_memory_startup",
		"overhead.total": "used_memory_overhead", "dataset.bytes": "used_memory_dataset", "lua.caches": "used_memory_scripts_eval",
		"clients.normal": "mem_clients_normal", "aof.buffer": "mem_aof_buffer", "replication.backlog": "mem_replication_backlog"} {
		if want := s.infoNumber(t, "memory", field); stats[stat] != want {
			t.Errorf("MEMORY STATS %s is %d, INFO's %s %d", stat, stats[stat], field, want)
		}
	}
	db := s.Keyspace.DBs()[0]
	if stats["keys.count"] != 3000 || stats["overhead.hashtable.main"]+stats["overhead.hashtable.expires"] != db.Overhead() {
		t.Errorf("%d keys, %d and %d bytes of tables, want %d", stats["keys.count"], stats["overhead.hashtable.main"],
			stats["overhead.hashtable.expires"], db.Overhead())
	}
	records := 0
	db.Each(func(r *record.Record) bool { records += keyspace.Size(r); return true })
	if stats["dataset.bytes"] != records {
		t.Errorf("the dataset is %d bytes, the records take %d", stats["dataset.bytes"], records)
	}
	if used := s.infoNumber(t, "memory", "used_memory"); used != s.countedMemory()+s.infoNumber(t, "memory", "mem_not_counted_for_evict") {
		t.Errorf("used_memory is %d; %d count", used, s.countedMemory())
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

// TestCommandsLeaveEvictionToTheTimer: while the timer evicts, commands evict what has been added, and more only if the timer
// has not come for long.
func TestCommandsLeaveEvictionToTheTimer(t *testing.T) {
	s := newTestServer(t, "maxmemory-policy", "allkeys-random")
	for i := range 3000 {
		s.do("SET", fmt.Sprint("key", i), "value")
	}
	s.limitBy(-100_000)
	e := &s.evict
	e.running, e.low, e.ended = true, s.Keyspace.Bytes(), s.nanos()+int64(time.Hour)
	if got := s.do("PING"); got != "+PONG\r\n" || s.stats.evictedKeys != 0 {
		t.Errorf("%q, and %d keys went", got, s.stats.evictedKeys)
	}
	for range 10 {
		if got := s.do("SET", "new", strings.Repeat("v", 8000)); got != "+OK\r\n" {
			t.Errorf("SET is answered %q", got)
		}
		s.do("DEL", "new")
		s.do("SET", "new", strings.Repeat("v", 8000))
		for range 20 {
			s.do("PING") // 500 microseconds each
		}
		if got := s.Keyspace.Bytes(); got > e.low || got < e.low-20_000 {
			t.Errorf("the keyspace has %d bytes, %d after the timer's last step", got, e.low)
		}
	}
	if e.full || e.since == 0 {
		t.Errorf("full %v, over the limit since %d", e.full, e.since)
	}
	e.ended = s.nanos() - int64(evictionPause)
	before, low := s.stats.evictedKeys, e.low
	if s.do("PING"); s.stats.evictedKeys == before || e.low >= low {
		t.Error("nothing goes although the timer has not come for long")
	}
	checkBytes(t, s, "the timer's eviction")
}

// A limit that is raised holds at once: the bound that the collector has for the former limit is none for keys.
func TestLimitIsNotTheCollectors(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	ts := newTestServer(t)
	ts.do("CONFIG", "SET", "maxmemory", "2gb")
	if ts.evict.limit != 2<<30 {
		t.Errorf("the limit is %d", ts.evict.limit)
	}
}
