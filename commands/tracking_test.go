package commands

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// invalid is the push that invalidates keys.
func invalid(keys ...string) string { return ">2\r\n$10\r\ninvalidate\r\n" + array(keys...) }

func (ts *testServer) tracker(options ...string) *Client {
	c := ts.client()
	c.proto = 3
	ts.doAs(c, append([]string{"CLIENT", "TRACKING", "ON"}, options...)...)
	return c
}

// Keys that expire, lazily or in the background, are invalid.
func TestTrackingExpiry(t *testing.T) {
	ts := newTestServer(t)
	a := ts.tracker()
	ts.do("SET", "k", "v", "PX", "100")
	ts.do("SET", "l", "v", "PX", "100")
	ts.doAs(a, "MGET", "k", "l")
	ts.now += 1000
	ts.do("GET", "k")
	if got := ts.waiting(a); got != invalid("k") {
		t.Errorf("lazily: %q", got)
	}
	ts.Keyspace.Now = ts.now
	ts.Keyspace.ActiveExpire(func() int64 { return ts.now }, func() bool { return false })
	if got := ts.waiting(a); got != invalid("l") {
		t.Errorf("in the background: %q", got)
	}
	ts.do("SET", "m", "v", "PX", "100")
	ts.doAs(a, "GET", "m")
	ts.now += 1000
	if got := ts.doAs(a, "GET", "m"); got != "_\r\n"+invalid("m") {
		t.Errorf("by its own command: %q", got)
	}
}

// A key's expiry is nobody's doing: NOLOOP does not hide it in mode BCAST.
func TestBroadcastExpiryWithNoloop(t *testing.T) {
	ts := newTestServer(t)
	a := ts.tracker("BCAST", "NOLOOP")
	ts.do("SET", "k", "v", "PX", "100")
	ts.endRound(a)
	ts.now += 1000
	ts.doAs(a, "GET", "k")
	ts.doAs(a, "SET", "own", "v")
	if got := ts.endRound(a)[0]; got != invalid("k") {
		t.Errorf("%q", got)
	}
}

// Nor does it hide the expiry or the eviction of a key that a client remembers.
func TestExpiryAndEvictionWithNoloop(t *testing.T) {
	ts := newTestServer(t, "maxmemory-policy", "volatile-random")
	a := ts.tracker("NOLOOP")
	ts.do("SET", "k", "v", "PX", "100")
	ts.doAs(a, "GET", "k")
	ts.now += 1000
	if got := ts.doAs(a, "GET", "k"); got != "_\r\n"+invalid("k") {
		t.Errorf("expired: %q", got)
	}
	ts.do("SET", "l", "v", "EX", "100")
	ts.doAs(a, "GET", "l")
	ts.limitBy(-10)
	if got := ts.doAs(a, "PING"); got != invalid("l")+"+PONG\r\n" {
		t.Errorf("evicted: %q", got)
	}
}

// TestEvictionBeforeReply: a client hears of the keys that had to make room for its command before the reply, which may speak of
// new ones; also one that gets no replies.
func TestEvictionBeforeReply(t *testing.T) {
	ts := newTestServer(t, "maxmemory-policy", "volatile-random", "notify-keyspace-events", "Ke")
	evicted := func(key string) string {
		return ">4\r\n$8\r\npmessage\r\n$4\r\n__k*\r\n" +
			"$" + strconv.Itoa(len("__keyspace@0__:")+len(key)) + "\r\n__keyspace@0__:" + key + "\r\n$7\r\nevicted\r\n"
	}
	for _, tc := range []struct {
		request []string
		reply   string
	}{
		{[]string{"GET", "k"}, "_\r\n"},
		{[]string{"SET", "k", strings.Repeat("v", 100)}, "-" + errOOM + "\r\n"},
		{[]string{"CLIENT", "REPLY", "SKIP"}, ""},
		{[]string{"CLIENT", "REPLY", "OFF"}, ""},
	} {
		a := ts.tracker()
		ts.doAs(a, "PSUBSCRIBE", "__k*")
		ts.do("CONFIG", "SET", "maxmemory", "0")
		ts.do("SET", "k", "v", "EX", "100")
		ts.doAs(a, "GET", "k")
		ts.limitBy(-1000)
		if got, want := ts.doAs(a, tc.request...), evicted("k")+invalid("k")+tc.reply; got != want {
			t.Errorf("%q: %q, want %q", tc.request, got, want)
		}
	}
}

// Of a script those keys are remembered that its commands read, and not those that it names, also if it may only read.
func TestTrackingOfScripts(t *testing.T) {
	ts := newTestServer(t)
	a := ts.tracker()
	ts.do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function{function_name='none', flags={'no-writes'}, callback=function() return 1 end}")
	for _, request := range [][]string{
		{"EVAL", "return 1", "2", "named", "read"},
		{"EVAL_RO", "return 1", "2", "named", "read"},
		{"EVALSHA_RO", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "2", "named", "read"},
		{"FCALL", "none", "2", "named", "read"},
		{"FCALL_RO", "none", "2", "named", "read"},
	} {
		if got := ts.doAs(a, request...); got != ":1\r\n" {
			t.Errorf("%q: %q", request, got)
		}
		ts.do("MSET", "named", "1", "read", "1")
		if got := ts.waiting(a); got != "" {
			t.Errorf("%q, which reads nothing: %q", request, got)
		}
	}
	for _, command := range []string{"EVAL", "EVAL_RO"} {
		ts.doAs(a, command, "return redis.call('get', 'read')", "1", "named")
		ts.do("MSET", "named", "1", "read", "1")
		if got := ts.waiting(a); got != invalid("read") {
			t.Errorf("%s that reads: %q", command, got)
		}
	}
}

func TestTrackingTableLimit(t *testing.T) {
	ts := newTestServer(t, "tracking-table-max-keys", "10")
	a := ts.tracker("NOLOOP")
	told := 0
	for i := range 500 {
		told += strings.Count(ts.doAs(a, "GET", fmt.Sprint("key", i)), "invalidate")
	}
	if n := len(ts.tracking.keys); n != 10 || told != 490 {
		t.Errorf("%d keys, %d told", n, told)
	}
	// A limit that is lowered is reached in steps.
	ts.do("CONFIG", "SET", "tracking-table-max-keys", "0")
	for i := range 5000 {
		ts.doAs(a, "GET", fmt.Sprint("key", i))
	}
	ts.do("CONFIG", "SET", "tracking-table-max-keys", "100")
	for range 30 {
		ts.doAs(a, "PING")
	}
	if n := len(ts.tracking.keys); n != 100 {
		t.Errorf("%d keys after the limit was lowered", n)
	}
	ts.checkTracking(t)
}

// checkTracking compares the table's accounts with its content.
func (ts *testServer) checkTracking(t *testing.T) {
	t.Helper()
	tt := &ts.tracking
	items, dead, bytes := 0, 0, 0
	of := map[int64]int{}
	for key, v := range tt.keys {
		bytes += len(key)
		for _, id := range append([]int64{v.id}, v.more...) {
			items++
			of[id]++
			if ts.clients[id] == nil {
				dead++
			}
		}
		if !slices.IsSorted(v.more) || slices.Contains(v.more, v.id) {
			t.Fatalf("%s: %v", key, v)
		}
	}
	if items != tt.items || dead != tt.dead || bytes != tt.keyBytes {
		t.Fatalf("%d items, %d dead, %d bytes; the accounts say %d, %d, %d", items, dead, bytes, tt.items, tt.dead, tt.keyBytes)
	}
	for id, c := range ts.clients {
		if c.pushes != nil && c.pushes.track != nil && *tt.count(c.pushes.track) != of[id] {
			t.Fatalf("client %d has %d entries, its account says %d", id, of[id], *tt.count(c.pushes.track))
		}
	}
}

// Entries of clients that have gone are swept out in the end.
func TestTrackingSweep(t *testing.T) {
	ts := newTestServer(t)
	stays := ts.tracker()
	for round := range 20 {
		c := ts.tracker()
		for i := range 300 {
			ts.doAs(c, "GET", fmt.Sprint("key", (i*7+round*100)%3000))
			if i%5 == 0 {
				ts.doAs(stays, "GET", fmt.Sprint("key", (i*11)%3000))
			}
			if i%31 == 0 {
				ts.do("SET", fmt.Sprint("key", (i*7)%3000), "v")
			}
		}
		ts.forget(c)
		ts.checkTracking(t)
	}
	ts.endRound()
	if ts.tracking.dead == 0 {
		t.Fatal("no client has left entries behind")
	}
	for range 1000 {
		ts.sweepTracked()
		ts.checkTracking(t)
	}
	ts.checkTracking(t)
	if ts.tracking.dead != 0 {
		t.Errorf("%d entries of clients that have gone", ts.tracking.dead)
	}
	ts.doAs(stays, "CLIENT", "TRACKING", "OFF")
	if ts.tracking.keys != nil || ts.tracking.Bytes() != 0 {
		t.Error("the table outlives the last client that tracks")
	}
	ts.doAs(stays, "CLIENT", "TRACKING", "ON")
	ts.doAs(stays, "GET", "k")
	ts.checkTracking(t)
}

// Reading a key again costs nothing, nor does anything while nobody tracks.
func TestTrackingAllocations(t *testing.T) {
	ts := newTestServer(t)
	get, set := [][]byte{[]byte("GET"), []byte("k")}, [][]byte{[]byte("SET"), []byte("k"), []byte("v")}
	ts.run(ts.c, set)
	if n := allocations(200, func() { ts.run(ts.c, get); ts.run(ts.c, set) }); n > 0 {
		t.Errorf("while nobody tracks: %v allocations", n)
	}
	a := ts.tracker()
	ts.run(a, get)
	if n := allocations(200, func() { ts.run(a, get) }); n > 0 {
		t.Errorf("reading again: %v allocations", n)
	}
	other := [][]byte{[]byte("SET"), []byte("other"), []byte("v")}
	ts.run(ts.c, other)
	if n := allocations(200, func() { ts.run(ts.c, other) }); n > 0 {
		t.Errorf("writing what nobody has: %v allocations", n)
	}
}

// Clients in mode BCAST get one message a round and prefix, with the keys in order; those with NOLOOP not their own.
func TestBroadcastOncePerRound(t *testing.T) {
	ts := newTestServer(t)
	all, some, loop := ts.tracker("BCAST"), ts.tracker("BCAST", "PREFIX", "b", "PREFIX", "c"), ts.tracker("BCAST", "NOLOOP")
	ts.do("MSET", "b2", "1", "a", "1", "b1", "1", "c", "1")
	ts.doAs(loop, "SET", "d", "1")
	ts.doAs(loop, "SET", "a", "2")
	ts.do("SET", "d", "3")
	out := ts.endRound(all, some, loop)
	want := []string{invalid("a", "b1", "b2", "c", "d"), invalid("b1", "b2") + invalid("c"), invalid("b1", "b2", "c", "d")}
	if !slices.Equal(out, want) {
		t.Errorf("%q\nwant %q", out, want)
	}
	ts.doAs(loop, "SET", "mine", "1")
	if got := ts.endRound(loop)[0]; got != "" {
		t.Errorf("only own keys: %q", got)
	}
}
