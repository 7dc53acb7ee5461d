package commands

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// What a string command leaves behind besides its reply: what is propagated, how much dirty counts, which events
// happen, the deadline. Each case begins with an empty server.
func TestStringEffects(t *testing.T) {
	const now = testEpoch
	at := func(ms int64) string { return strconv.FormatInt(now+ms, 10) }
	big := strings.Repeat("z", 600)
	cases := []struct {
		setup, cmd string // setup: commands separated by "; "
		feed       string // "" = nothing, "=" = as it came
		dirty      int64
		events     string
	}{
		{"", "set k v", "=", 1, "set k"},
		{"", "SET k v", "=", 1, "set k"},
		{"", "set k v EX 10", "SET k v PXAT " + at(10_000), 1, "set k; expire k"},
		{"", "set k v px 10", "SET k v PXAT " + at(10), 1, "set k; expire k"},
		{"", "set k v px 10 nx", "SET k v PXAT " + at(10), 1, "set k; expire k"},
		{"", "set k v exat 1800000000", "SET k v PXAT 1800000000000", 1, "set k; expire k"},
		{"", "set k v pxat 1800000000001", "=", 1, "set k; expire k"},
		{"", "set k v pxat 1800000000001 get", "=", 1, "keymiss k; set k; expire k"},
		{"", "set k v get px 10", "SET k v PXAT " + at(10), 1, "keymiss k; set k; expire k"},
		{"", "set k v GET nx gEt", "set k v nx", 1, "keymiss k; set k"},
		{"set k w ex 9", "set k v get keepttl", "set k v keepttl", 1, "set k"},
		{"set k w", "set k v nx", "", 0, ""},
		{"set k w", "set k v nx get", "", 0, ""},
		{"", "set k v xx", "", 0, ""},
		{"", "set k v keepttl", "=", 1, "set k"},
		{"set k w", "set k v xx keepttl", "=", 1, "set k"},
		{"set k w", "set k v ifeq w", "SET k v", 1, "set k"},
		{"set k w", "set k v ifeq w keepttl get", "SET k v KEEPTTL", 1, "set k"},
		{"set k w", "set k v ifeq w ex 1", "SET k v PXAT " + at(1000), 1, "set k; expire k"},
		{"set k w", "set k v pxat 1800000000001 ifeq w", "SET k v PXAT 1800000000001", 1, "set k; expire k"},
		{"set k w", "set k v ifeq x", "", 0, ""},
		{"", "set k v ifeq x", "", 0, ""},

		{"", "setex k 10 v", "SET k v PXAT " + at(10_000), 1, "set k; expire k"},
		{"", "psetex k 10 v", "SET k v PXAT " + at(10), 1, "set k; expire k"},
		{"", "setex k 0 v", "", 0, ""},
		{"", "setnx k v", "=", 1, "set k"},
		{"set k w", "setnx k v", "", 0, ""},
		{"", "getset k v", "SET k v", 1, "keymiss k; set k"},
		{"", "mset a 1 b 2 a 3", "=", 3, "set a; set b; set a"},
		{"", "mset a 1 b", "", 0, ""},
		{"", "msetnx a 1 b 2", "=", 2, "set a; set b"},
		{"set b 1", "msetnx a 1 b 2", "", 0, ""},

		{"", "getdel k", "", 0, "keymiss k"},
		{"set k v", "getdel k", "DEL k", 1, "del k"},
		{"set k v", "getex k", "", 0, ""},
		{"", "getex k ex 1", "", 0, "keymiss k"},
		{"set k v", "getex k ex 10", "PEXPIREAT k " + at(10_000), 1, "expire k"},
		{"set k v", "getex k px 10", "PEXPIREAT k " + at(10), 1, "expire k"},
		{"set k v", "getex k exat 1800000000", "PEXPIREAT k 1800000000000", 1, "expire k"},
		{"set k v", "getex k pxat " + at(1), "PEXPIREAT k " + at(1), 1, "expire k"},
		{"set k v", "getex k pxat " + at(0), "DEL k", 1, "del k"},
		{"set k v", "getex k exat 1", "DEL k", 1, "del k"},
		{"set k v", "getex k persist", "", 0, ""},
		{"set k v ex 1", "getex k persist", "PERSIST k", 1, "persist k"},
		{"set k v", "getex k ex 0", "", 0, ""},

		{"", "append k v", "=", 1, "append k"},
		{"set k v", "append k v", "=", 1, "append k"},
		{"set k " + big, "append k v", "=", 1, "append k"},
		{"", "setrange k 1 v", "=", 1, "setrange k"},
		{"set k v", "setrange k 1 v", "=", 1, "setrange k"},
		{"", "setrange k -1 v", "", 0, ""},
		{"set k v", "setrange k 536870912 v", "", 0, ""},

		{"", "incr k", "=", 1, "incrby k"},
		{"set k 5", "decr k", "=", 1, "incrby k"},
		{"set k 5", "incrby k 7", "=", 1, "incrby k"},
		{"set k 5", "decrby k 7", "=", 1, "incrby k"},
		{"set k x", "incr k", "", 0, ""},
		{"set k 9223372036854775807", "incr k", "", 0, ""},
		{"", "decrby k -9223372036854775808", "", 0, ""},
		{"", "incrbyfloat k 1.50", "SET k 1.5 KEEPTTL", 1, "incrbyfloat k"},
		{"set k 5", "incrbyfloat k -2", "SET k 3 KEEPTTL", 1, "incrbyfloat k"},
		{"set k 5", "incrbyfloat k inf", "", 0, ""},

		{"set k v", "get k", "", 0, ""},
		{"set k v", "mget k nokey", "", 0, "keymiss nokey"},
		{"set k v", "strlen k", "", 0, ""},
		{"set k v", "getrange k 0 0", "", 0, ""},
		{"set k v", "lcs k k", "", 0, ""},
	}
	for _, tc := range cases {
		ts := newTestServer(t)
		if tc.setup != "" {
			for _, line := range strings.Split(tc.setup, "; ") {
				if got := ts.doLine(line); got != "+OK\r\n" {
					t.Fatalf("%s: %q", line, got)
				}
			}
		}
		ts.recordFeed()
		ts.recordEvents()
		dirty := ts.Dirty
		reply := ts.doLine(tc.cmd)
		want := tc.feed
		if want == "=" {
			want = tc.cmd
		}
		if got := ts.propagated(); got != want {
			t.Errorf("%s | %s: propagated %q, want %q (reply %q)", tc.setup, tc.cmd, got, want, reply)
		}
		if got := ts.Dirty - dirty; got != tc.dirty {
			t.Errorf("%s | %s: dirty %d, want %d", tc.setup, tc.cmd, got, tc.dirty)
		}
		if got := ts.happened(); got != tc.events {
			t.Errorf("%s | %s: events %q, want %q", tc.setup, tc.cmd, got, tc.events)
		}
	}
}

// IFEQ is Valkey's: no redis-server to compare with knows it.
func TestSetIfEqual(t *testing.T) {
	const (
		ok     = "+OK\r\n"
		null   = "$-1\r\n"
		syntax = "-" + session.ErrSyntax + "\r\n"
	)
	cases := []struct {
		old   string // "" = no key
		cmd   string
		reply string
		value string // afterwards
	}{
		{"a", "set k b ifeq a", ok, "b"},
		{"a", "set k b IFEQ A", null, "a"},
		{"", "set k b ifeq a", null, ""},
		{"a", "set k b ifeq a get", "$1\r\na\r\n", "b"},
		{"a", "set k b get ifeq x", "$1\r\na\r\n", "a"},
		{"", "set k b get ifeq x", null, ""},
		{"12", "set k 13 ifeq 12", ok, "13"},
		{"12", "set k 13 ifeq 012", null, "12"},
		{"12", "set k 13 ifeq 1", null, "12"},
		{"a", "set k b ifeq ifeq", null, "a"},
		{"a", "set k b ifeq", syntax, "a"},
		{"a", "set k b nx ifeq a", syntax, "a"},
		{"a", "set k b ifeq a xx", syntax, "a"},
		{"a", "set k b ifeq a ifeq a", syntax, "a"},
		{"a", "set k b ifeq a ex 0", "-ERR invalid expire time in 'set' command\r\n", "a"},
		{"a", "getex k ifeq a", syntax, "a"},
	}
	for _, tc := range cases {
		ts := newTestServer(t)
		if tc.old != "" {
			ts.do("set", "k", tc.old)
		}
		if got := ts.doLine(tc.cmd); got != tc.reply {
			t.Errorf("%q | %s: reply %q, want %q", tc.old, tc.cmd, got, tc.reply)
		}
		want := null
		if tc.value != "" {
			want = fmt.Sprintf("$%d\r\n%s\r\n", len(tc.value), tc.value)
		}
		if got := ts.do("get", "k"); got != want {
			t.Errorf("%q | %s: then %q, want %q", tc.old, tc.cmd, got, want)
		}
	}

	ts := newTestServer(t)
	// Options are C strings.
	if got := ts.do("set", "k", "v", "nx\x00y"); got != ok {
		t.Errorf("an option with a zero byte behind: %q", got)
	}
	if got := ts.do("set", "k", "v", "nx\x01"); got != syntax {
		t.Errorf("an option with something behind: %q", got)
	}
	ts.c.proto = 3
	if got := ts.doLine("set k v ifeq x"); got != "_\r\n" {
		t.Errorf("RESP3: %q", got)
	}
	value := strings.Repeat("l", 1000)
	ts.do("set", "k", value, "ex", "100")
	if got := ts.do("set", "k", "short", "ifeq", value, "keepttl"); got != ok {
		t.Errorf("long value: %q", got)
	}
	if got := ts.deadlineOf("k"); got != testEpoch+100_000 {
		t.Errorf("KEEPTTL: deadline %d", got-testEpoch)
	}
}

// deadlineOf returns a key's deadline; 0 if there is no such key.
func (ts *testServer) deadlineOf(key string) int64 {
	r := ts.Keyspace.DBs()[0].PeekStale([]byte(key))
	if r == nil {
		return 0
	}
	return r.Expiry()
}

func TestStringDeadlines(t *testing.T) {
	const now = testEpoch
	none := record.NoExpiry
	for _, tc := range []struct {
		cmd  string
		want int64 // deadline of k, which holds "1" until now+5000 before
	}{
		{"get k", now + 5000},
		{"set k 2", none},
		{"set k 2 keepttl", now + 5000},
		{"set k 2 ex 3", now + 3000},
		{"set k 2 ex 3 ex 4", now + 4000},
		{"set k 2 exat 1800000000", 1800000000000},
		{"set k 2 pxat 5", 5},
		{"set k 2 nx", now + 5000},
		{"set k 2 px 0", now + 5000},
		{"setex k 7 2", now + 7000},
		{"psetex k 7 2", now + 7},
		{"getset k 2", none},
		{"mset k 2", none},
		{"getex k", now + 5000},
		{"getex k ex 8", now + 8000},
		{"getex k persist", none},
		{"getex k px 1 persist", now + 5000}, // a syntax error
		{"getex k pxat 5", 0},
		{"incr k", now + 5000},
		{"incrbyfloat k 1", now + 5000},
		{"append k 1", now + 5000},
		{"setrange k 700 1", now + 5000},
	} {
		for _, value := range []string{"1", strings.Repeat("1", 600)} {
			ts := newTestServer(t)
			ts.do("set", "k", value, "px", "5000")
			reply := ts.doLine(tc.cmd)
			if len(value) > 1 && strings.HasPrefix(tc.cmd, "incr") {
				continue
			}
			if got := ts.deadlineOf("k"); got != tc.want {
				t.Errorf("%s (%d bytes): deadline %d, want %d (reply %q)", tc.cmd, len(value), got, tc.want, reply)
			}
		}
	}
}

func TestStringExpiry(t *testing.T) {
	ts := newTestServer(t)
	ts.recordFeed()
	ts.doLine("set k old px 10")
	ts.propagated()
	ts.now += 10
	if got := ts.doLine("get k"); got != "$3\r\nold\r\n" {
		t.Errorf("at its deadline a key is there still, got %q", got)
	}
	ts.now++
	if got := ts.doLine("append k new"); got != ":3\r\n" {
		t.Errorf("append to an expired key: %q", got)
	}
	if got := ts.propagated(); got != "MULTI; DEL k; append k new; EXEC" {
		t.Errorf("propagated %q", got)
	}
	if got := ts.deadlineOf("k"); got != record.NoExpiry {
		t.Errorf("the new key has the old deadline %d", got)
	}
	ts.doLine("set k 1 px 10")
	ts.now += 11
	if got := ts.doLine("set k 2 xx"); got != "$-1\r\n" {
		t.Errorf("set xx of an expired key: %q", got)
	}
	// A replica that may be written to: expired keys are missing but stay until the master says so.
	ts.doLine("set k old px 10")
	ts.now += 11
	ts.Keyspace.KeepExpired = true
	for _, cmd := range []string{"setrange k 1 x", "incr n", "set k v nx"} {
		ts.doLine(cmd)
	}
	if n := ts.Keyspace.DBs()[0].Len(); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	ts.doLine("set p v")
	if got := ts.doLine("getex p pxat 5"); got != "$1\r\nv\r\n" || ts.deadlineOf("p") != 5 {
		t.Errorf("getex in the past on a replica: %q, deadline %d", got, ts.deadlineOf("p"))
	}
}

// What OBJECT ENCODING says afterwards.
func TestStringEncodings(t *testing.T) {
	a44, a45 := strings.Repeat("a", 44), strings.Repeat("a", 45)
	for _, tc := range []struct{ cmds, want string }{
		{"set k 12", "int"},
		{"set k -9223372036854775808", "int"},
		{"set k 9223372036854775808", "embstr"},
		{"set k 012", "embstr"},
		{"set k " + a44, "embstr"},
		{"set k " + a45, "raw"},
		{"append k 12", "int"},
		{"append k " + a44, "embstr"},
		{"set k 12; append k 3", "raw"},
		{"set k a; append k b", "raw"},
		{"set k 12; append k 3; incr k", "int"},
		{"set k 12; append k 3; set k a", "embstr"},
		{"setrange k 0 a", "raw"},
		{"set k 1; setrange k 1 2", "raw"},
		{"set k 1; incrbyfloat k 1", "embstr"},
		{"incrbyfloat k 1; incr k", "int"},
		{"incrbyfloat k 1e44", "raw"},
		{"set k " + a45 + "; set k 1", "int"},
		{"mset k 1", "int"},
		{"setex k 9 1", "int"},
		{"getset k 1", "int"},
	} {
		ts := newTestServer(t)
		for _, cmd := range strings.Split(tc.cmds, "; ") {
			if got := ts.doLine(cmd); got[0] == '-' {
				t.Errorf("%s: %q", cmd, got)
			}
		}
		if got := ts.Keyspace.DBs()[0].Peek([]byte("k")).Encoding().String(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.cmds, got, tc.want)
		}
	}
}

func TestStringAllocs(t *testing.T) {
	ts := newTestServer(t)
	long := strings.Repeat("l", 2000)
	ts.do("mset", "s", "some value", "n", "123456789", "long", long, "f", "10.5")
	ts.do("set", "e", "value", "ex", "100")
	ts.do("append", "long", "x") // gives it room to grow
	for _, tc := range []struct {
		cmd string
		max float64
	}{
		{"get s", 0}, {"get n", 0}, {"get long", 0}, {"get nokey", 0},
		{"set s other bytes", 0}, {"set n 5", 0}, {"set e value ex 50", 0}, {"set e other keepttl", 0},
		{"set s value xx get", 0}, {"set s value nx", 0}, {"set s v ifeq x", 0},
		{"setex e 50 value", 0}, {"psetex e 50000 value", 0}, {"setnx s v", 0},
		{"mget s n long nokey", 0}, {"mset s a n 5", 0}, {"msetnx a 1 n 5", 0},
		{"incr n", 0}, {"decr n", 0}, {"incrby n 7", 0}, {"decrby n 7", 0},
		{"strlen long", 0}, {"getrange n 0 2", 0}, {"getrange long 5 800", 0},
		{"getex e ex 20", 0}, {"getex e", 0}, {"append long x", 0.1}, {"setrange long 10 abc", 0},
		{"getdel nokey", 0},
		{"incrbyfloat f 0.25", 1},
	} {
		words := strings.Fields(tc.cmd)
		if tc.cmd == "set s other bytes" {
			words = []string{"set", "s", "other bytes"}
		}
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		ts.now += 1000
		if got := allocations(100, func() { ts.run(ts.c, args) }); got > tc.max {
			t.Errorf("%s: %v allocations, want at most %v (reply %.40q)", tc.cmd, got, tc.max, ts.w.Buf)
		}
	}
}

// Random commands against a map of Go strings, with snapshots taken now and then: a snapshot must hold what the map
// held when it was taken, whatever is done to the keys meanwhile, and memory must be accounted to the byte.
func TestStringModel(t *testing.T) { random.Repeat(t, testStringModel) }

func testStringModel(t *testing.T) {
	steps := 60_000
	if testing.Short() {
		steps = 10_000
	}
	rnd := random.New(t)
	ts := newTestServer(t)
	db := ts.Keyspace.DBs()[0]
	model := map[string]string{}
	bulk := func(s string, ok bool) string {
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s)
	}
	value := func() string {
		switch rnd.IntN(4) {
		case 0:
			return strconv.Itoa(rnd.IntN(2000) - 1000)
		case 1:
			return strings.Repeat("w", rnd.IntN(60))
		case 2:
			return strings.Repeat("x", rnd.IntN(700))
		}
		return strconv.FormatUint(rnd.Uint64(), 36)
	}
	var snap *keyspace.Snapshot
	var frozen map[string]string
	checkSnap := func() {
		n := 0
		snap.Walk(func(_ int, r *record.Record) bool {
			n++
			if got, want := string(r.AppendTo(nil)), frozen[string(r.Key())]; got != want {
				t.Fatalf("snapshot: %s is %.50q, want %.50q", r.Key(), got, want)
			}
			return true
		})
		if n != len(frozen) {
			t.Fatalf("snapshot: %d keys, want %d", n, len(frozen))
		}
		snap.Release()
		snap = nil
	}
	for step := range steps {
		if rnd.IntN(200) == 0 {
			if snap != nil {
				checkSnap()
			} else {
				var err error
				if snap, err = ts.Keyspace.Snapshot(); err != nil {
					t.Fatal(err)
				}
				frozen = make(map[string]string, len(model))
				for k, v := range model {
					frozen[k] = v
				}
			}
		}
		key := "key:" + strconv.Itoa(rnd.IntN(40))
		old, exists := model[key]
		var words []string
		var want string
		switch v := value(); rnd.IntN(11) {
		case 0:
			words, want = []string{"get", key}, bulk(old, exists)
		case 1:
			words, want = []string{"set", key, v}, "+OK\r\n"
			model[key] = v
		case 2:
			words, want = []string{"getset", key, v}, bulk(old, exists)
			model[key] = v
		case 3, 4:
			words, want = []string{"append", key, v}, fmt.Sprintf(":%d\r\n", len(old)+len(v))
			model[key] = old + v
		case 5, 6:
			at := rnd.IntN(len(old) + 20)
			words = []string{"setrange", key, strconv.Itoa(at), v}
			now := old
			if v != "" {
				b := append([]byte(old), make([]byte, max(0, at+len(v)-len(old)))...)
				copy(b[at:], v)
				now = string(b)
				model[key] = now
			}
			want = fmt.Sprintf(":%d\r\n", len(now))
		case 7:
			by := rnd.IntN(100)
			words = []string{"incrby", key, strconv.Itoa(by)}
			n, err := strconv.ParseInt(old, 10, 64)
			if !exists {
				n, err = 0, nil
			} else if strconv.FormatInt(n, 10) != old {
				err = strconv.ErrSyntax
			}
			if want = "-" + session.ErrNotInteger + "\r\n"; err == nil {
				model[key] = strconv.FormatInt(n+int64(by), 10)
				want = ":" + model[key] + "\r\n"
			}
		case 8:
			words, want = []string{"getdel", key}, bulk(old, exists)
			delete(model, key)
		case 9:
			words, want = []string{"setnx", key, v}, ":0\r\n"
			if !exists {
				model[key], want = v, ":1\r\n"
			}
		case 10:
			words, want = []string{"getex", key, "ex", "1000"}, bulk(old, exists)
			if rnd.IntN(2) == 0 {
				words = []string{"getex", key, "persist"}
			}
		}
		if got := ts.do(words...); got != want {
			t.Fatalf("step %d: %.80q: got %.80q, want %.80q", step, words, got, want)
		}
		if step%500 == 0 {
			sum := db.Overhead()
			db.Each(func(r *record.Record) bool {
				sum += keyspace.Size(r)
				return true
			})
			if got := db.Bytes(); got != sum || db.Len() != len(model) {
				t.Fatalf("step %d: %d bytes accounted, %d there; %d keys, want %d", step, got, sum, db.Len(), len(model))
			}
		}
	}
	if snap != nil {
		checkSnap()
	}
}

func BenchmarkStrings(b *testing.B) {
	for _, cmd := range []string{"get s", "set s value", "set s value ex 100", "get n", "incr n", "incrbyfloat f 0.1",
		"mget s n s n", "append s2 x", "getrange long 100 200"} {
		b.Run(strings.ReplaceAll(cmd, " ", "_"), func(b *testing.B) {
			ts := newTestServer(b)
			ts.do("mset", "s", "value", "n", "12", "f", "1.5", "long", strings.Repeat("l", 1000))
			var args [][]byte
			for _, w := range strings.Fields(cmd) {
				args = append(args, []byte(w))
			}
			b.ReportAllocs()
			for b.Loop() {
				ts.run(ts.c, args)
			}
		})
	}
}
