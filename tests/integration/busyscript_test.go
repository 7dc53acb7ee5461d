package integration

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// endless are scripts that never end, each in a way of its own.
var endless = map[string]string{
	"loop":               "while true do end",
	"repeat":             "repeat until false",
	"pcall":              "while true do pcall(function() while true do end end) end",
	"pcall of an error":  "while true do pcall(error, 'x') end",
	"xpcall":             "while true do xpcall(function() while true do end end, function() while true do end end) end",
	"redis.pcall":        "while true do redis.pcall('get') end",
	"coroutine":          "local co = coroutine.wrap(function() while true do end end) co()",
	"coroutines":         "while true do local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) coroutine.resume(co) end",
	"sort":               "table.sort({3, 2, 1}, function() while true do end end)",
	"sorts":              "local t = {} for i = 1, 1000 do t[i] = -i end while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end",
	"gsub":               "string.gsub('aaa', 'a', function() while true do end end)",
	"metamethod":         "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
	"tail call":          "local function f() return f() end return f()",
	"pattern":            "return string.match(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40))",
	"patterns":           "while true do string.find(string.rep('a', 1000), '.-b') end",
	"concat":             "local t = {} for i = 1, 1000 do t[i] = 'x' end while true do table.concat(t) end",
	"cjson":              "local s = '[' .. string.rep('[],', 1000) .. '1]' while true do cjson.decode(s) end",
	"cmsgpack":           "local t = {} for i = 1, 1000 do t[i] = i end while true do cmsgpack.unpack(cmsgpack.pack(t)) end",
	"commands":           "while true do redis.call('exists', 'no') end",
	"generic for":        "for _ in function() return 1 end do end",
	"string.rep":         "while true do string.rep('x', 1000000) end",
	"loaded":             "loadstring('while true do end')()",
	"pcall in coroutine": "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
}

// dialFor returns a connection that waits long for replies. The server has accepted it and counted it: it has answered, be it
// with BUSY.
func dialFor(t *testing.T, s *harness.Server) *harness.Conn {
	t.Helper()
	c, err := harness.DialConn("tcp", s.Addr, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	doOn(t, c, "PING")
	return c
}

func doOn(t *testing.T, c *harness.Conn, words ...string) string {
	t.Helper()
	v, err := c.Do(words...)
	if err != nil {
		t.Fatalf("%q: %v", words, err)
	}
	return v.String()
}

// A script that never ends is killed from a new connection, whatever it is in; meanwhile others get BUSY, and one that has
// written cannot be killed.
func TestBusyScript(t *testing.T) {
	s := harness.StartFerrous(t)
	c, other := dialFor(t, s), dialFor(t, s)
	doOn(t, other, "CONFIG", "SET", "busy-reply-threshold", "1")
	var slowest time.Duration
	for name, script := range endless {
		if err := c.Send("EVAL", script, "0"); err != nil {
			t.Fatal(err)
		}
		for !strings.Contains(doOn(t, other, "PING"), "BUSY") {
		}
		if got := doOn(t, other, "SHUTDOWN"); !strings.Contains(got, "BUSY") {
			t.Errorf("SHUTDOWN while a script is busy: %s", got)
		}
		if got := doOn(t, other, "FUNCTION", "KILL"); !strings.Contains(got, "BUSY") {
			t.Errorf("FUNCTION KILL of a script: %s", got)
		}
		began := time.Now()
		killer := dialFor(t, s)
		if got := doOn(t, killer, "SCRIPT", "KILL"); !strings.Contains(got, "OK") {
			t.Errorf("%s: SCRIPT KILL: %s", name, got)
		}
		_ = killer.Close()
		if v, err := c.Read(); err != nil || !strings.Contains(v.String(), "Script killed by user with SCRIPT KILL...") {
			t.Errorf("%s: reply %v, error %v", name, v, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	t.Logf("from the killer's connect to the script's error: at most %v", slowest)
	if err := c.Send("EVAL", "redis.call('set', 'k', 'v') while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(doOn(t, other, "PING"), "BUSY") {
	}
	if got := doOn(t, other, "SCRIPT", "KILL"); !strings.Contains(got, "UNKILLABLE") {
		t.Errorf("SCRIPT KILL of a script that has written: %s", got)
	}
	if err := other.Send("SHUTDOWN", "NOSAVE"); err != nil {
		t.Fatal(err)
	}
	if v, err := other.Read(); err == nil {
		t.Errorf("SHUTDOWN NOSAVE while a script is busy: %v", v)
	}
}

// untilConnections is the end of a script that runs until the server has received so many connections: the test says when
// it ends.
const untilConnections = `
  repeat for _ = 1, 50000 do end until tonumber(string.match(redis.call('info', 'stats'), 'total_connections_received:(%d+)')) >= tonumber(ARGV[1])
  redis.call('set', 'end', redis.call('exists', 'dies'))`

// busyOptions are those of the servers that TestBusyServer compares.
var busyOptions = []string{"--lua-time-limit", "50", "--notify-keyspace-events", "KEA", "--repl-diskless-sync-delay", "0"}

// While a script is busy, many clients connect and get BUSY errors; no key expires, no snapshot starts, no blocked client is
// served or times out, and replicas get nothing. All of that happens when the script has ended. redis-server passes, too.
func TestBusyServer(t *testing.T) {
	t.Run("ferrous", func(t *testing.T) { testBusyServer(t, harness.StartFerrous) })
	t.Run("redis", func(t *testing.T) { testBusyServer(t, harness.StartRedis) })
}

func testBusyServer(t *testing.T, start func(testing.TB, ...string) *harness.Server) {
	const connections = 1000
	if err := harness.RaiseOpenFiles(4 * connections); err != nil {
		t.Skip(err)
	}
	s, replica := start(t, busyOptions...), start(t, busyOptions...)
	ctl, follower := dialFor(t, s), dialFor(t, replica)
	doOn(t, follower, "REPLICAOF", "127.0.0.1", strconv.Itoa(s.Port))
	eventually(t, "the replica follows", func() bool {
		info, err := follower.Info("replication")
		return err == nil && info["master_link_status"] == "up"
	})
	events := dialFor(t, s)
	events.Must("PSUBSCRIBE", "__keyevent@0__:*")
	waits, timesOut, runs := dialFor(t, s), dialFor(t, s), dialFor(t, s)
	send := func(c *harness.Conn, words ...string) {
		t.Helper()
		if err := c.Send(words...); err != nil {
			t.Fatal(err)
		}
	}
	send(waits, "BLPOP", "pushed", "0")
	send(timesOut, "BLPOP", "nothing", "0.3")
	eventually(t, "two clients wait", func() bool {
		info, err := ctl.Info("clients")
		return err == nil && info["blocked_clients"] == "2"
	})
	ctl.Must("SET", "dies", "1", "PX", "150")
	ctl.Must("CONFIG", "SET", "save", "1 1")
	info, err := ctl.Info("stats")
	if err != nil {
		t.Fatal(err)
	}
	sofar, _ := strconv.Atoi(info["total_connections_received"])
	last := sofar + connections + 200 // the connection that ends the script
	send(runs, "EVAL", "redis.call('rpush', 'pushed', 'x')"+untilConnections, "0", strconv.Itoa(last))
	send(runs, "PING")
	isBusy := func() bool { return strings.HasPrefix(doOn(t, ctl, "GET", "dies"), "BUSY") }
	eventually(t, "the script is busy", isBusy)
	began := time.Now()

	// Connections that open, ask and get BUSY.
	asked := [][]string{{"PING"}, {"GET", "x"}, {"FLUSHALL"}, {"INFO"}, {"EVAL", "return 1", "0"}}
	took := make([]time.Duration, connections)
	replies := make([]string, connections)
	var all sync.WaitGroup
	for worker := range 20 {
		all.Go(func() {
			for i := worker; i < connections; i += 20 {
				before := time.Now()
				c, err := harness.DialConn("tcp", s.Addr, time.Minute)
				if err != nil {
					replies[i] = err.Error()
					continue
				}
				v, err := c.Do(asked[i%len(asked)]...)
				replies[i] = fmt.Sprint(v.String(), err)
				took[i] = time.Since(before)
				if i%10 > 0 { // the others stay open
					_ = c.Close()
				} else {
					t.Cleanup(func() { _ = c.Close() })
				}
			}
		})
	}
	all.Wait()
	for i, r := range replies {
		if !strings.HasPrefix(r, "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.") {
			t.Fatalf("connection %d: %s", i, r)
		}
	}
	slices.Sort(took)
	t.Logf("%d connections, each with its reply: median %v, 99%% %v, slowest %v", connections, took[connections/2], took[connections*99/100],
		took[connections-1])

	// What is allowed, and the order of refusals.
	c := dialFor(t, s)
	for _, want := range [][2]string{
		{"GET", "ERR wrong number of arguments for 'get' command"},
		{"NOSUCH", "ERR unknown command 'NOSUCH'"},
		{"HELLO 2", "*"}, {"WATCH k", "OK"}, {"UNWATCH", "OK"}, {"MULTI", "OK"}, {"SET k v", "BUSY "}, {"EXEC", "EXECABORT "},
		{"MULTI", "OK"}, {"DISCARD", "OK"}, {"RESET", "RESET"}, {"SCRIPT KILL", "UNKILLABLE "}, {"FUNCTION KILL", "UNKILLABLE "},
		{"FUNCTION STATS", "BUSY "}, {"SCRIPT FLUSH", "BUSY "}, {"FUNCTION FLUSH", "BUSY "}, {"FUNCTION LIST", "BUSY "},
		{"EVAL return 0", "BUSY "}, {"BGSAVE", "BUSY "}, {"SAVE", "BUSY "}, {"SHUTDOWN", "BUSY "},
		{"PSYNC ? -1", "BUSY "}, {"REPLCONF listening-port 1", "OK"}, {"CLIENT LIST", "BUSY "}, {"CONFIG GET save", "BUSY "}, {"INFO", "BUSY "},
	} {
		if got := doOn(t, c, strings.Fields(want[0])...); want[1] != "*" && !strings.HasPrefix(got, want[1]) {
			t.Errorf("%s: %s", want[0], got)
		}
	}

	// Longer than all that waits takes: a second for the snapshot, which cron looks for ten times a second.
	for time.Since(began) < 1500*time.Millisecond {
		if !isBusy() {
			t.Fatal("the script has ended")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := doOn(t, follower, "EXISTS", "pushed", "end"); got != "0" {
		t.Errorf("the replica has %s keys of the script", got)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "dump.rdb")); err == nil {
		t.Error("a snapshot while a script is busy")
	}

	// The end.
	for range 300 {
		c, err := harness.DialConn("tcp", s.Addr, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for i, want := range []string{"(nil)", "PONG"} {
		if got, err := runs.Read(); err != nil || got.String() != want {
			t.Errorf("reply %d of the script's client: %v, %v", i, got, err)
		}
	}
	if v, err := waits.Read(); err != nil || v.String() != "[pushed x]" {
		t.Errorf("the client that waits: %v, %v", v, err)
	}
	if v, err := timesOut.Read(); err != nil || v.String() != "(nil)" {
		t.Errorf("the client whose time is over: %v, %v", v, err)
	}
	if got := doOn(t, ctl, "GET", "end"); got != "1" {
		t.Errorf("the key with a deadline at the script's end: %s", got)
	}
	var order []string
	for len(order) < 7 {
		v, err := events.Read()
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, strings.TrimPrefix(v.Elems[2].Str, "__keyevent@0__:")+" "+v.Elems[3].Str)
	}
	ended, expired := slices.Index(order, "set end"), slices.Index(order, "expired dies")
	if ended < 0 || expired < ended || slices.Index(order, "lpop pushed") < ended {
		t.Errorf("events %q", order)
	}
	eventually(t, "a snapshot", func() bool {
		_, err := os.Stat(filepath.Join(s.Dir, "dump.rdb"))
		return err == nil
	})
	eventually(t, "the replica has it", func() bool { return doOn(t, follower, "GET", "end") == "1" })
	if got := doOn(t, follower, "EXISTS", "pushed", "dies"); got != "0" {
		t.Errorf("the replica has %s keys that are gone", got)
	}
}

// What a script writes first when it is already busy is written: the refusals of a busy server are not for the script.
func TestBusyScriptWritesLate(t *testing.T) {
	s := harness.StartFerrous(t, "--lua-time-limit", "1")
	ctl, runs := dialFor(t, s), dialFor(t, s)
	info, err := ctl.Info("stats")
	if err != nil {
		t.Fatal(err)
	}
	sofar, _ := strconv.Atoi(info["total_connections_received"])
	if err := runs.Send("EVAL", untilConnections+" return redis.call('incr', 'n')", "0", strconv.Itoa(sofar+1)); err != nil {
		t.Fatal(err)
	}
	for !strings.HasPrefix(doOn(t, ctl, "PING"), "BUSY") {
	}
	dialFor(t, s)
	if v, err := runs.Read(); err != nil || v.String() != "1" {
		t.Errorf("%v, %v", v, err)
	}
}

// A client that goes away while its script is busy takes nothing with it: the script ends, its reply goes nowhere, and others
// are served.
func TestBusyScriptOfGoneClient(t *testing.T) {
	s := harness.StartFerrous(t, "--lua-time-limit", "1")
	ctl, gone := dialFor(t, s), dialFor(t, s)
	info, err := ctl.Info("stats")
	if err != nil {
		t.Fatal(err)
	}
	sofar, _ := strconv.Atoi(info["total_connections_received"])
	if err := gone.Send("EVAL", untilConnections+" return redis.call('incr', 'whole')", "0", strconv.Itoa(sofar+10)); err != nil {
		t.Fatal(err)
	}
	if err := gone.Send("INCR", "behind"); err != nil {
		t.Fatal(err)
	}
	for !strings.HasPrefix(doOn(t, ctl, "PING"), "BUSY") {
	}
	_ = gone.Close()
	for range 10 {
		doOn(t, dialFor(t, s), "PING")
	}
	eventually(t, "the script's end", func() bool { return doOn(t, ctl, "GET", "whole") == "1" })
	eventually(t, "the client's end", func() bool { return !strings.Contains(doOn(t, ctl, "CLIENT", "LIST"), "cmd=eval") })
	if got := doOn(t, ctl, "GET", "behind"); got != "(nil)" {
		t.Errorf("what the client asked for behind the script was done: %s", got)
	}
}

// chain is a script that raises as many counters as there are keys, with some work in between, and changes other data in ways
// that do not follow from its text. It is busy for a while.
const chain = `
  for i, key in ipairs(KEYS) do
    for _ = 1, tonumber(ARGV[1]) do end
    redis.call('incr', key)
    if i % 7 == 0 then
      redis.call('rpush', 'times', table.concat(redis.call('time'), '.'))
      redis.call('sadd', 'drawn', math.random(1000))
      redis.call('spop', 'drawn')
      redis.call('set', 'dies' .. math.random(10), i, 'px', math.random(100000, 200000))
      redis.call('hincrbyfloat', 'sums', key, math.random())
    end
  end`

// A server is killed while scripts are busy, over and over: each script is in the append-only file as a whole or not at all, and
// all that were answered are. What the file gives is what there was, whatever the scripts drew or asked the clock.
func TestKillBusyScript(t *testing.T) {
	n := *kills
	if n == 0 {
		n = 10
	}
	seed := random.Seed(t)
	rnd := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = "c" + strconv.Itoa(i)
	}
	answered, sent, before := 0, 0, ""
	for life := range n + 2 {
		s, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Args: []string{"--appendonly", "yes",
			"--appendfsync", []string{"always", "everysec", "no"}[rnd.IntN(3)], "--aof-use-rdb-preamble", []string{"yes", "no"}[rnd.IntN(2)],
			"--lua-time-limit", "1", "--auto-aof-rewrite-percentage", "30", "--auto-aof-rewrite-min-size", "10kb",
			"--enable-debug-command", "yes"}})
		if err != nil {
			t.Fatal(err)
		}
		c := s.Dial(t)
		found := c.Must(append([]string{"MGET"}, keys...)...)
		first := int(found.Elems[0].Int())
		for i, v := range found.Elems {
			if int(v.Int()) != first {
				t.Errorf("life %d: %s is %s, %s is %d", life, keys[i], v, keys[0], first)
			}
		}
		if first < answered || first > sent {
			t.Errorf("life %d: %d scripts are in the file, %d were sent and %d answered", life, first, sent, answered)
		}
		now := c.Must("DEBUG", "DIGEST").Str
		if before != "" && now != before {
			t.Errorf("life %d: digest %s, before %s", life, now, before)
		}
		before = ""
		answered, sent = first, first
		if life > n {
			s.Kill()
			break
		}
		killed := make(chan bool)
		if life == n || rnd.IntN(3) == 0 { // quietly, and the data are compared
			for range 1 + rnd.IntN(5) {
				sent++
				if v, err := c.Do(slices.Concat([]string{"EVAL", chain, strconv.Itoa(len(keys))}, keys, []string{"1000"})...); err != nil || v.IsError() {
					t.Fatal(v, err)
				}
				answered++
			}
			before = c.Must("DEBUG", "DIGEST").Str
			s.Kill()
			continue
		}
		length := time.Duration(rnd.Int64N(int64(100 * time.Millisecond)))
		go func() {
			time.Sleep(length)
			s.Kill()
			close(killed)
		}()
		for {
			sent++
			v, err := c.Do(slices.Concat([]string{"EVAL", chain, strconv.Itoa(len(keys))}, keys, []string{strconv.Itoa(10 * (answered % 1000))})...)
			if err != nil {
				break
			}
			if v.IsError() {
				t.Error(v)
			}
			answered++
		}
		<-killed
	}
}

// busyInFile is what clients are answered while an append-only file is loaded whose script is busy.
var busyInFile = [][2]string{
	{"PING", "LOADING "}, {"GET x", "LOADING "}, {"GET", "ERR wrong number"}, {"SCRIPT KILL", "LOADING "}, {"FUNCTION KILL", "LOADING "},
	{"FUNCTION STATS", "LOADING "}, {"BGSAVE", "LOADING "}, {"BGREWRITEAOF", "LOADING "}, {"REPLICAOF NO ONE", "LOADING "},
	{"EVAL return 0", "LOADING "}, {"SCRIPT FLUSH", "LOADING "}, {"INFO", "BUSY "}, {"CONFIG SET hz 20", "BUSY "}, {"CLIENT LIST", "BUSY "},
	{"SUBSCRIBE x", "BUSY "}, {"SLOWLOG LEN", "BUSY "}, {"SHUTDOWN", "BUSY "}, {"SHUTDOWN SAVE", "BUSY "}, {"MULTI", "OK"},
	{"SET a 1", "LOADING "}, {"EXEC", "EXECABORT "}, {"HELLO 2", "*"}, {"RESET", "RESET"},
}

// writeSlowFile writes an append-only file with a script that is busy until the server has received so many connections, and
// a busy one in a transaction before it.
func writeSlowFile(t *testing.T, dir string, connections int) {
	t.Helper()
	slow := "redis.call('incr', 'runs')" + untilConnections
	var file []byte
	for _, args := range [][]string{
		{"SELECT", "0"}, {"SET", "dies", "1", "PXAT", strconv.FormatInt(time.Now().Add(200*time.Millisecond).UnixMilli(), 10)},
		{"MULTI"}, {"INCR", "before"}, {"EVAL", slow, "0", strconv.Itoa(connections - 5)}, {"INCR", "before"}, {"EXEC"},
		{"EVAL", slow, "0", strconv.Itoa(connections)}, {"SET", "after", "1"},
	} {
		file = harness.AppendCommand(file, args...)
	}
	folder := filepath.Join(dir, "appendonlydir")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"appendonly.aof.7.incr.aof": string(file), "appendonly.aof.manifest": "file appendonly.aof.7.incr.aof seq 7 type i\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// slowFileOptions are those of servers that load what writeSlowFile has written.
var slowFileOptions = []string{"--lua-time-limit", "20", "--appendonly", "yes", "--bind", "127.0.0.1", "--save", "1 1"}

// busyLoading looks whether clients are served while a server loads a slow script, until the script ends.
func busyLoading(t *testing.T, addr, dir string) {
	t.Helper()
	dial := func() *harness.Conn {
		c, err := harness.DialConn("tcp", addr, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	c := dial()
	eventually(t, "the script is busy", func() bool { return strings.HasPrefix(doOn(t, c, "INFO"), "BUSY ") })
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) { // longer than a save waits
		for _, want := range busyInFile {
			if got := doOn(t, c, strings.Fields(want[0])...); want[1] != "*" && !strings.HasPrefix(got, want[1]) {
				t.Fatalf("%s: %s", want[0], got)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dump.rdb")); err == nil {
		t.Error("a snapshot while a script of the file is busy")
	}
	eventually(t, "the scripts' end", func() bool { return !strings.HasPrefix(doOn(t, dial(), "PING"), "LOADING ") })
	// Both scripts have seen the key whose time was over: the file deletes what has expired.
	for key, want := range map[string]string{"runs": "2", "before": "2", "after": "1", "end": "1"} {
		if got := doOn(t, c, "GET", key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if got := doOn(t, c, "GET", "dies"); got != "(nil)" {
		t.Errorf("the key that has expired is %s", got)
	}
}

// A slow script in an append-only file gives clients their turns, at a start and in DEBUG LOADAOF, where redis-server passes, too.
func TestBusyScriptInFile(t *testing.T) {
	const last = 30
	t.Run("start", func(t *testing.T) {
		dir, port := t.TempDir(), freePort(t)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		writeSlowFile(t, dir, last)
		exited, _ := startNow(t, dir, slices.Concat(slowFileOptions, []string{"--port", strconv.Itoa(port)})...)
		if v := firstReply(t, "tcp", addr, exited, "SET", "a", "1"); !strings.HasPrefix(v.Str, "LOADING ") {
			t.Fatalf("the first reply is %q", v)
		}
		busyLoading(t, addr, dir)
	})
	for name, start := range map[string]func(testing.TB, ...string) *harness.Server{"ferrous": harness.StartFerrous, "redis": harness.StartRedis} {
		t.Run("DEBUG LOADAOF of "+name, func(t *testing.T) {
			s := start(t, append(slowFileOptions, "--enable-debug-command", "yes")...)
			loads, timesOut, watches := dialFor(t, s), dialFor(t, s), dialFor(t, s)
			watches.Must("WATCH", "end")
			info, err := loads.Info("stats")
			if err != nil {
				t.Fatal(err)
			}
			sofar, _ := strconv.Atoi(info["total_connections_received"])
			writeSlowFile(t, s.Dir, sofar+last)
			if err := timesOut.Send("BLPOP", "nothing", "0.3"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a client waits", func() bool {
				info, err := loads.Info("clients")
				return err == nil && info["blocked_clients"] == "1"
			})
			if err := loads.Send("DEBUG", "LOADAOF"); err != nil {
				t.Fatal(err)
			}
			if err := loads.Send("GET", "after"); err != nil {
				t.Fatal(err)
			}
			busyLoading(t, s.Addr, s.Dir)
			for _, want := range []string{"OK", "1"} {
				if v, err := loads.Read(); err != nil || v.String() != want {
					t.Errorf("%v %v, want %s", v, err, want)
				}
			}
			if v, err := timesOut.Read(); err != nil || v.String() != "(nil)" {
				t.Errorf("the client whose time is over: %v, %v", v, err)
			}
			if n := strings.Count(s.Logs(), "Slow script detected: "); n != 2 {
				t.Errorf("%d slow scripts in the log, want 2:\n%s", n, s.Logs())
			}
		})
	}
}

// A server that loads a slow script can be ended, and its file is as it was.
func TestEndWithBusyScriptInFile(t *testing.T) {
	for _, how := range []string{"SHUTDOWN NOSAVE", "SIGTERM"} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, DEBUG LOADAOF %v", how, again), func(t *testing.T) {
				port := freePort(t)
				dir, addr := t.TempDir(), net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
				args := slices.Concat(slowFileOptions, []string{"--port", strconv.Itoa(port), "--enable-debug-command", "yes"})
				if !again {
					writeSlowFile(t, dir, 1<<30)
				}
				cmd := exec.Command(harness.NeedFerrous(t), args...)
				cmd.Dir = dir
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = cmd.Process.Kill() })
				firstReply(t, "tcp", addr, nil, "PING")
				c, err := harness.DialConn("tcp", addr, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				if again {
					doOn(t, c, "SET", "a", "1")
					writeSlowFile(t, dir, 1<<30)
					loads, err := harness.DialConn("tcp", addr, time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = loads.Close() })
					if err := loads.Send("DEBUG", "LOADAOF"); err != nil {
						t.Fatal(err)
					}
				}
				eventually(t, "the script is busy", func() bool { return strings.HasPrefix(doOn(t, c, "INFO"), "BUSY ") })
				before := readAll(t, dir)
				if how == "SIGTERM" {
					err = cmd.Process.Signal(syscall.SIGTERM)
				} else {
					err = c.Send(strings.Fields(how)...)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Errorf("the server ended with %v", err)
				}
				if after := readAll(t, dir); !maps.Equal(before, after) {
					t.Errorf("files before %q, after %q", before, after)
				}
			})
		}
	}
}

// readAll returns what the files of the append-only file and the dump hold, by their paths.
func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	paths, _ := filepath.Glob(filepath.Join(dir, "appendonlydir", "*"))
	for _, path := range append(paths, filepath.Join(dir, "dump.rdb")) {
		text, err := os.ReadFile(path)
		if err == nil {
			files[path] = string(text)
		}
	}
	return files
}

// EXEC is refused while a script is busy, whatever is queued: it would run in the middle of the script, or another script in it.
func TestExecWhileBusy(t *testing.T) {
	s := harness.StartFerrous(t, "--busy-reply-threshold", "20", "--save", "")
	queues := [][]string{{"FUNCTION STATS"}, {"INCR x", "FUNCTION STATS"}, {"INCR x", "HELLO 2"}, {"EVAL return(1) 0", "SCRIPT KILL"}, {"SCRIPT KILL"},
		{"INCR x", "UNWATCH"}, {"FCALL f 0", "AUTH a"}, {}}
	var before []*harness.Conn
	queue := func(commands []string, want string) *harness.Conn {
		c := dialFor(t, s)
		for _, command := range append([]string{"MULTI"}, commands...) {
			if got := doOn(t, c, strings.Fields(command)...); command != "MULTI" && !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", command, got)
			}
		}
		return c
	}
	for _, commands := range queues {
		before = append(before, queue(commands, "QUEUED"))
	}
	runs, ctl := dialFor(t, s), dialFor(t, s)
	if err := runs.Send("EVAL", "redis.call('get', 'x') while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); !strings.HasPrefix(doOn(t, ctl, "PING"), "BUSY "); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the script is not busy")
		}
	}
	for i, commands := range queues {
		for _, c := range []*harness.Conn{before[i], queue(commands[len(commands)/2:], "")} {
			if got := doOn(t, c, "EXEC"); !strings.HasPrefix(got, "EXECABORT Transaction discarded because of: BUSY ") {
				t.Errorf("%q: EXEC answers %s", commands, got)
			}
			if got := doOn(t, c, "EXEC"); !strings.HasPrefix(got, "EXECABORT Transaction discarded because of: BUSY ") {
				t.Errorf("%q: a second EXEC answers %s", commands, got)
			}
		}
	}
	if got := doOn(t, ctl, "SCRIPT", "KILL"); got != "OK" {
		t.Errorf("SCRIPT KILL: %s", got)
	}
	if v, err := runs.Read(); err != nil || !strings.HasPrefix(v.Str, "ERR Script killed by user") {
		t.Errorf("the script ends with %v, %v", v, err)
	}
	if got := doOn(t, ctl, "EXISTS", "x"); got != "0" {
		t.Errorf("%s keys", got)
	}
}

// A signal that comes while a script is busy waits for its end: the last snapshot has all of its changes.
func TestSignalWhileBusy(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := harness.StartFerrous(t, "--busy-reply-threshold", "1", "--save", "3600 1")
		runs, ctl := dialFor(t, s), dialFor(t, s)
		err := runs.Send("EVAL", "redis.call('set', 'a', 1) for i = 1, 3e7 do local x = i * 2 end "+
			"redis.call('set', 'b', 2) return 7", "0")
		if err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(time.Minute); !strings.HasPrefix(doOn(t, ctl, "PING"), "BUSY "); {
			if time.Now().After(until) {
				t.Fatal("the script is not busy")
			}
		}
		if err := s.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if v, err := runs.Read(); err != nil || v.String() != "7" {
			t.Errorf("%v: the script answers %v, %v", signal, v, err)
		}
		if code, err := s.Wait(time.Minute); err != nil || code != 0 {
			t.Fatalf("%v: it ends with %d, %v", signal, code, err)
		}
		again := harness.StartFerrous(t, "--dir", s.Dir)
		if got := dialFor(t, again).Must("MGET", "a", "b").String(); got != "[1 2]" {
			t.Errorf("%v: the snapshot has %s", signal, got)
		}
	}
}
