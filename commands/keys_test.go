package commands

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"ferrous/datatypes/keyspace"
)

// effect is a command with all that it should do.
type effect struct {
	line   string
	reply  string
	fed    string // what is propagated
	events string
	dirty  int64
}

func (ts *testServer) expect(t *testing.T, steps []effect) {
	t.Helper()
	for _, e := range steps {
		dirty := ts.Dirty
		reply := ts.doLine(e.line)
		if reply != e.reply {
			t.Errorf("%s: reply %q, want %q", e.line, reply, e.reply)
		}
		if got := ts.propagated(); got != e.fed {
			t.Errorf("%s: propagated %q, want %q", e.line, got, e.fed)
		}
		if got := ts.happened(); got != e.events {
			t.Errorf("%s: events %q, want %q", e.line, got, e.events)
		}
		if got := ts.Dirty - dirty; got != e.dirty {
			t.Errorf("%s: dirty grew by %d, want %d", e.line, got, e.dirty)
		}
	}
}

// quiet runs commands and forgets what they did.
func (ts *testServer) quiet(lines ...string) {
	for _, l := range lines {
		ts.doLine(l)
	}
	ts.propagated()
	ts.happened()
}

func TestKeyEffects(t *testing.T) {
	ts := newTestServer(t)
	ts.recordFeed()
	ts.recordEvents()
	ts.quiet("MSET a 1 b 2 c 3", "SET t v PXAT 1800000000000")
	ts.expect(t, []effect{
		{"DEL a nokey a b", ":2\r\n", "DEL a nokey a b", "del a; del b", 2},
		{"DEL nokey", ":0\r\n", "", "", 0},
		{"UNLINK c", ":1\r\n", "UNLINK c", "del c", 1},
		{"EXISTS t t nokey", ":2\r\n", "", "keymiss nokey", 0},
		{"TOUCH t nokey", ":1\r\n", "", "keymiss nokey", 0},
		{"TYPE nokey", "+none\r\n", "", "keymiss nokey", 0},
		{"OBJECT ENCODING nokey", "$-1\r\n", "", "", 0},

		{"RENAME nokey x", "-ERR no such key\r\n", "", "", 0},
		{"RENAME t t", "+OK\r\n", "", "", 0},
		{"RENAMENX t t", ":0\r\n", "", "", 0},
		{"RENAME t u", "+OK\r\n", "RENAME t u", "rename_from t; rename_to u", 1},
		{"PEXPIRETIME u", ":1800000000000\r\n", "", "", 0},
		{"EXISTS t", ":0\r\n", "", "keymiss t", 0},
		{"SET w old", "+OK\r\n", "SET w old", "set w", 1},
		{"RENAMENX u w", ":0\r\n", "", "", 0},
		{"RENAME u w", "+OK\r\n", "RENAME u w", "new w; rename_from u; rename_to w", 1},
		{"GET w", "$1\r\nv\r\n", "", "", 0},
		{"RENAMENX w x", ":1\r\n", "RENAMENX w x", "rename_from w; rename_to x", 1},

		{"COPY x x", "-ERR source and destination objects are the same\r\n", "", "", 0},
		{"COPY nokey y", ":0\r\n", "", "keymiss nokey", 0},
		{"COPY x y", ":1\r\n", "COPY x y", "copy_to y", 1},
		{"COPY x y", ":0\r\n", "", "", 0},
		{"COPY x y REPLACE", ":1\r\n", "COPY x y REPLACE", "new y; copy_to y", 1},
		{"PEXPIRETIME y", ":1800000000000\r\n", "", "", 0},
		{"COPY x x DB 3", ":1\r\n", "COPY x x DB 3", "copy_to x", 1},
		{"MOVE x 3", ":0\r\n", "", "", 0},
		{"MOVE y 3", ":1\r\n", "MOVE y 3", "move_from y; move_to y", 1},
		{"MOVE y 3", ":0\r\n", "", "", 0},
		{"MOVE x 0", "-ERR source and destination objects are the same\r\n", "", "", 0},
		{"DBSIZE", ":1\r\n", "", "", 0},

		{"SWAPDB 0 3", "+OK\r\n", "SWAPDB 0 3", "", 1},
		{"DBSIZE", ":2\r\n", "", "", 0},
		{"SWAPDB 0 0", "+OK\r\n", "SWAPDB 0 0", "", 1},
		{"SELECT 3", "+OK\r\n", "", "", 0},
		{"DBSIZE", ":1\r\n", "", "", 0},
		{"FLUSHDB ASYNC", "+OK\r\n", "FLUSHDB ASYNC", "", 1},
		{"FLUSHDB", "+OK\r\n", "FLUSHDB", "", 0},
		{"FLUSHDB NOW", "-ERR syntax error\r\n", "", "", 0},
		{"FLUSHALL", "+OK\r\n", "FLUSHALL", "", 2},
		{"FLUSHALL SYNC", "+OK\r\n", "FLUSHALL SYNC", "", 0},
		{"RANDOMKEY", "$-1\r\n", "", "", 0},
	})
}

func TestExpireEffects(t *testing.T) {
	const gone = testEpoch - 1
	ts := newTestServer(t)
	ts.recordFeed()
	ts.recordEvents()
	ts.quiet("MSET a 1 b 2 c 3 d 4 e 5")
	ts.expect(t, []effect{
		{"EXPIRE nokey 10", ":0\r\n", "", "", 0},
		{"EXPIRE a 10", ":1\r\n", "PEXPIREAT a 1700000010000", "expire a", 1},
		{"TTL a", ":10\r\n", "", "", 0},
		{"EXPIRE a 20 XX GT", ":1\r\n", "PEXPIREAT a 1700000020000 XX GT", "expire a", 1},
		{"EXPIRE a 20 GT", ":0\r\n", "", "", 0},
		{"EXPIRE a 20 LT", ":0\r\n", "", "", 0},
		{"EXPIRE a 20 NX", ":0\r\n", "", "", 0},
		{"EXPIRE b 20 XX", ":0\r\n", "", "", 0},
		{"EXPIRE b 20 GT", ":0\r\n", "", "", 0},
		{"PEXPIRE b 20 LT", ":1\r\n", "PEXPIREAT b 1700000000020 LT", "expire b", 1},
		{"EXPIREAT c 1700000001", ":1\r\n", "PEXPIREAT c 1700000001000", "expire c", 1},
		{"PEXPIREAT c 1700000001499", ":1\r\n", "PEXPIREAT c 1700000001499", "expire c", 1},
		{"EXPIRETIME c", ":1700000001\r\n", "", "", 0},
		{"PEXPIREAT c 1700000001500 nx", ":0\r\n", "", "", 0},
		{"pexpireat c 1700000001500 xx", ":1\r\n", "pexpireat c 1700000001500 xx", "expire c", 1},
		{"EXPIRETIME c", ":1700000002\r\n", "", "", 0},
		{"TTL c", ":2\r\n", "", "", 0},
		{"PTTL c", ":1500\r\n", "", "", 0},
		{"PERSIST c", ":1\r\n", "PERSIST c", "persist c", 1},
		{"PERSIST c", ":0\r\n", "", "", 0},
		{"PERSIST nokey", ":0\r\n", "", "", 0},
		{"TTL c", ":-1\r\n", "", "", 0},
		{"TTL nokey", ":-2\r\n", "", "keymiss nokey", 0},
		// A deadline that has come deletes.
		{fmt.Sprint("PEXPIREAT c ", testEpoch), ":1\r\n", "DEL c", "del c", 1},
		{fmt.Sprint("PEXPIREAT d ", gone, " GT"), ":0\r\n", "", "", 0},
		{"EXPIRE d -1 LT", ":1\r\n", "DEL d", "del d", 1},
		{"EXPIRE e 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n", "", "", 0},
		{"PEXPIRE e 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n", "", "", 0},
		{"PEXPIREAT e 9223372036854775807", ":1\r\n", "PEXPIREAT e 9223372036854775807", "expire e", 1},
		{"EXPIRETIME e", ":9223372036854776\r\n", "", "", 0},
		{"EXPIRE e -9223372036854776", "-ERR invalid expire time in 'expire' command\r\n", "", "", 0},
		{"EXPIRE e 1 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n", "", "", 0},
		{"EXPIRE e x LT GT", "-ERR GT and LT options at the same time are not compatible\r\n", "", "", 0},
		{"EXPIRE e x y", "-ERR Unsupported option y\r\n", "", "", 0},
		{"EXPIRE nokey x", "-ERR value is not an integer or out of range\r\n", "", "", 0},
	})
	ts.Config.LazyfreeExpire = true
	ts.expect(t, []effect{{"EXPIRE e 0", ":1\r\n", "UNLINK e", "del e", 1}})
}

// TestExpiredKeys moves the clock past deadlines: keys exist in their last millisecond and not after it. A command that finds
// an expired key first propagates its deletion, in one transaction with its own effects.
func TestExpiredKeys(t *testing.T) {
	for _, c := range []struct{ line, last, after, fed, events string }{
		{"EXISTS k", ":1\r\n", ":0\r\n", "DEL k", "expired k; keymiss k"},
		{"TOUCH k", ":1\r\n", ":0\r\n", "DEL k", "expired k; keymiss k"},
		{"TYPE k", "+string\r\n", "+none\r\n", "DEL k", "expired k; keymiss k"},
		{"PTTL k", ":0\r\n", ":-2\r\n", "DEL k", "expired k; keymiss k"},
		{"OBJECT ENCODING k", "$6\r\nembstr\r\n", "$-1\r\n", "DEL k", "expired k"},
		{"DEL k", ":1\r\n", ":0\r\n", "DEL k", "expired k"},
		{"PERSIST k", ":1\r\n", ":0\r\n", "DEL k", "expired k"},
		{"EXPIRE k 100", ":1\r\n", ":0\r\n", "DEL k", "expired k"},
		{"RENAME k x", "+OK\r\n", "-ERR no such key\r\n", "DEL k", "expired k"},
		{"RENAMENX o k", ":0\r\n", ":1\r\n", "MULTI; DEL k; RENAMENX o k; EXEC", "expired k; rename_from o; rename_to k"},
		{"MOVE k 1", ":1\r\n", ":0\r\n", "DEL k", "expired k"},
		{"COPY k x", ":1\r\n", ":0\r\n", "DEL k", "expired k; keymiss k"},
		{"COPY o k", ":0\r\n", ":1\r\n", "MULTI; DEL k; COPY o k; EXEC", "expired k; copy_to k"},
		{"SCAN 0 COUNT 1000 MATCH k", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n", "*2\r\n$1\r\n0\r\n*0\r\n", "DEL k", "expired k"},
		{"SCAN 0 COUNT 1000 MATCH k TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n", "*2\r\n$1\r\n0\r\n*0\r\n", "DEL k", "expired k"},
		{"SCAN 0 COUNT 1000 MATCH x", "*2\r\n$1\r\n0\r\n*0\r\n", "*2\r\n$1\r\n0\r\n*0\r\n", "", ""},
		{"KEYS k", "*1\r\n$1\r\nk\r\n", "*0\r\n", "", ""},
		{"KEYS [k]", "*1\r\n$1\r\nk\r\n", "*0\r\n", "", ""},
		{"DBSIZE", ":2\r\n", ":2\r\n", "", ""},
	} {
		for _, late := range []bool{false, true} {
			ts := newTestServer(t)
			ts.recordFeed()
			ts.recordEvents()
			ts.quiet("SET k v PX 10", "SET o v")
			ts.now += 10
			want := c.last
			if late {
				ts.now++
				want = c.after
			}
			if got := ts.doLine(c.line); got != want {
				t.Errorf("%s, late %v: %q, want %q", c.line, late, got, want)
			}
			fed, events := ts.propagated(), ts.happened()
			if late && (fed != c.fed || events != c.events) {
				t.Errorf("%s: propagated %q with events %q, want %q with %q", c.line, fed, events, c.fed, c.events)
			}
			if strings.Contains(events, "expired") && ts.Keyspace.ExpiredKeys != 1 {
				t.Errorf("%s: %d keys counted as expired", c.line, ts.Keyspace.ExpiredKeys)
			}
		}
	}
}

// dbSink records for which database something is propagated.
type dbSink struct{ got []string }

func (s *dbSink) Feed(db int, argv [][]byte) {
	s.got = append(s.got, fmt.Sprintf("%d:%s", db, argv[0]))
}

func TestPropagatedDatabase(t *testing.T) {
	ts := newTestServer(t)
	sink := &dbSink{}
	ts.quiet("SELECT 2", "SET k v", "SET old v PX 1", "SELECT 1", "SET k v", "SET dead v PX 1")
	ts.Sinks = append(ts.Sinks, sink)
	ts.now += 5
	ts.doLine("COPY k dead DB 2") // nothing expires in 2
	ts.doLine("COPY k old DB 2")  // the old one of 2 does
	ts.doLine("RENAME dead x")    // nothing to rename, but it expired here
	ts.doLine("MOVE k 3")         // a change of 1, as far as the stream is concerned
	ts.doLine("FLUSHALL")         // of any
	ts.doLine("FLUSHDB")          // of 1, though empty
	want := "1:COPY -1:MULTI 2:DEL 1:COPY -1:EXEC 1:DEL 1:MOVE 1:FLUSHALL 1:FLUSHDB"
	if got := strings.Join(sink.got, " "); got != want {
		t.Errorf("propagated %s, want %s", got, want)
	}
}

// TestModifiedKeys checks the calls of the listeners: once for each changed key, with a nil key for a whole database.
func TestModifiedKeys(t *testing.T) {
	ts := newTestServer(t)
	var told []string
	ts.Listeners = append(ts.Listeners, func(db *keyspace.DB, key []byte) {
		if key == nil {
			key = []byte("*")
		}
		told = append(told, fmt.Sprintf("%d:%s", db.ID, key))
	})
	for _, c := range []struct{ line, want string }{
		{"MSET a 1 b 2", "0:a 0:b"},
		{"DEL a nokey", "0:a"},
		{"RENAME b c", "0:b 0:c"},
		{"COPY c d DB 1", "1:d"},
		{"MOVE c 2", "0:c 2:c"},
		{"EXPIRE c 10", ""},
		{"SELECT 2", ""},
		{"EXPIRE c 10", "2:c"},
		{"EXPIRE c 0", "2:c"},
		{"SWAPDB 1 3", "1:* 3:*"},
		{"SWAPDB 1 1", ""},
		{"FLUSHDB", "2:*"},
	} {
		told = told[:0]
		ts.doLine(c.line)
		if got := strings.Join(told, " "); got != c.want {
			t.Errorf("%s: told of %q, want %q", c.line, got, c.want)
		}
	}
	told = told[:0]
	ts.doLine("FLUSHALL")
	if len(told) != 16 {
		t.Errorf("FLUSHALL told of %q", told)
	}
}

// TestCopyIsIndependent changes copies and originals of all lengths, which must not show in the other.
func TestCopyIsIndependent(t *testing.T) {
	ts := newTestServer(t)
	for _, value := range []string{"7", "text", strings.Repeat("r", 300), strings.Repeat("o", 5000)} {
		ts.do("SET", "a", value)
		ts.do("COPY", "a", "b", "REPLACE")
		ts.do("COPY", "a", "b", "DB", "1", "REPLACE")
		if ea, eb := ts.do("OBJECT", "ENCODING", "a"), ts.do("OBJECT", "ENCODING", "b"); ea != eb {
			t.Errorf("%d bytes: a copy of %q is %q", len(value), ea, eb)
		}
		ts.do("SETRANGE", "a", "0", "A")
		ts.do("APPEND", "b", "B")
		want := func(key, value string) {
			t.Helper()
			if got := ts.do("GET", key); got != fmt.Sprintf("$%d\r\n%s\r\n", len(value), value) {
				t.Errorf("%s is %.40q, want %.40q", key, got, value)
			}
		}
		want("a", "A"+value[1:])
		want("b", value+"B")
		ts.do("SELECT", "1")
		want("b", value)
		ts.do("SELECT", "0")
	}
}

// TestAccessClocks checks which commands count as an access.
func TestAccessClocks(t *testing.T) {
	ts := newTestServer(t)
	for _, c := range []struct {
		line    string
		touches bool
		noTouch bool // under CLIENT NO-TOUCH
	}{
		{"GET k", true, false},
		{"TOUCH k", true, true},
		{"EXISTS k", false, false},
		{"TYPE k", false, false},
		{"TTL k", false, false},
		{"OBJECT ENCODING k", false, false},
		{"OBJECT IDLETIME k", false, false},
		{"SCAN 0 TYPE string", false, false},
		{"KEYS *", false, false},
		{"EXPIRE k 100000", true, false},
		{"COPY k x REPLACE", true, false},
		{"RENAME k k", true, false},
	} {
		for _, noTouch := range []bool{false, true} {
			ts.quiet("SET k v")
			ts.c.NoTouch = noTouch
			ts.now += 50_000
			ts.doLine(c.line)
			want := ":50\r\n"
			if noTouch && c.noTouch || !noTouch && c.touches {
				want = ":0\r\n"
			}
			if got := ts.doLine("OBJECT IDLETIME k"); got != want {
				t.Errorf("%s, no-touch %v: idle for %q, want %q", c.line, noTouch, got, want)
			}
			ts.c.NoTouch = false
		}
	}
}

func TestHitStatistics(t *testing.T) {
	ts := newTestServer(t)
	ts.quiet("SET k v", "SET l v")
	for _, c := range []struct {
		line         string
		hits, misses int64
	}{
		{"EXISTS k nokey k", 2, 1},
		{"TOUCH k nokey", 1, 1},
		{"TYPE k", 1, 0},
		{"TTL nokey", 0, 1},
		{"OBJECT REFCOUNT k", 1, 0},
		{"OBJECT REFCOUNT nokey", 0, 1},
		{"DEL nokey", 0, 0},
		{"PERSIST k", 0, 0},
		{"COPY k x", 1, 0},
		{"RENAME x y", 0, 0},
		{"DEL y", 0, 0},
		{"SCAN 0 COUNT 100", 0, 0},
		{"SCAN 0 COUNT 100 TYPE string", 2, 0},
		{"SCAN 0 COUNT 100 MATCH k TYPE list", 1, 0},
		{"KEYS *", 0, 0},
		{"RANDOMKEY", 0, 0},
	} {
		ts.Counters.Hits, ts.Counters.Misses = 0, 0
		ts.doLine(c.line)
		if ts.Counters.Hits != c.hits || ts.Counters.Misses != c.misses {
			t.Errorf("%s: %d hits, %d misses; want %d, %d", c.line, ts.Counters.Hits, ts.Counters.Misses, c.hits, c.misses)
		}
	}
}

func TestKeysPatterns(t *testing.T) {
	ts := newTestServer(t)
	all := []string{"", "a", "ab", "abc", "user:1", "user:2", "user:10", "x*y", "x?y", "x[y", "x\\y", "\x00", "\xff"}
	for _, k := range all {
		ts.do("SET", k, "v")
	}
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"*", all},
		{"", []string{""}},
		{"ab", []string{"ab"}},
		{"nokey", nil},
		{"ab*", []string{"ab", "abc"}},
		{"user:?", []string{"user:1", "user:2"}},
		{"user:*", []string{"user:1", "user:2", "user:10"}},
		{"x\\*y", []string{"x*y"}},
		{"x?y", []string{"x*y", "x?y", "x[y", "x\\y"}},
		{"?", []string{"a", "\x00", "\xff"}},
		{"zz*", nil},
	} {
		m := fmt.Sprintf("*%d\r\n", len(c.want))
		got := ts.do("KEYS", c.pattern)
		sorted := slices.Clone(c.want)
		sort.Strings(sorted)
		for _, k := range sorted {
			if !strings.Contains(got[len(m)-1:], fmt.Sprintf("\n$%d\r\n%s\r\n", len(k), k)) {
				t.Errorf("KEYS %q lacks %q: %q", c.pattern, k, got)
			}
		}
		if !strings.HasPrefix(got, m) {
			t.Errorf("KEYS %q: %q, want %d keys", c.pattern, got, len(c.want))
		}
	}
}

// TestKeyCommandAllocs holds the promise that frequent commands allocate nothing.
func TestKeyCommandAllocs(t *testing.T) {
	ts := newTestServer(t)
	ts.quiet("SET k v PX 100000000", "SET p v PX 100000000", "SET n 1")
	wantNoAllocations(t, ts, "EXISTS k", "EXISTS nokey", "TTL k", "PTTL nokey", "TYPE k", "TOUCH k", "DEL nokey",
		"UNLINK nokey nokey2", "EXPIRE k 200000", "PEXPIREAT k 1800000000000", "PERSIST n", "DBSIZE", "RANDOMKEY",
		"OBJECT ENCODING k", "SELECT 0", "SCAN 0 COUNT 10")
}
