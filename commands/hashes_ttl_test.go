package commands

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// at is a deadline that many milliseconds after the test's clock starts.
func at(ms int64) string { return strconv.FormatInt(testEpoch+ms, 10) }

// ints is the reply of an array of integers.
func ints(n ...int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(n))
	for _, i := range n {
		fmt.Fprintf(&b, ":%d\r\n", i)
	}
	return b.String()
}

// bulks is the reply of an array of strings, "-" for null.
func bulks(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		if w == "-" {
			b.WriteString("$-1\r\n")
		} else {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	return b.String()
}

// expireActively runs background expiry at the test's time.
func (ts *testServer) expireActively() {
	ts.Keyspace.Now = ts.now
	for ts.Keyspace.ActiveExpire(func() int64 { return ts.now }, func() bool { return true }) {
	}
}

// smallAndLarge runs a test with hashes in both representations.
func smallAndLarge(t *testing.T, test func(t *testing.T, ts *testServer)) {
	for _, entries := range []string{"128", "0"} {
		t.Run("entries "+entries, func(t *testing.T) {
			test(t, newTestServer(t, "hash-max-listpack-entries", entries, "enable-debug-command", "yes"))
		})
	}
}

// TestHashDeadlineEffects has the replies, propagated forms, events and counts of Redis 7.4.1, and of Redis 8.0 where
// commands came with it.
func TestHashDeadlineEffects(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		runEffects(t, ts, []effectStep{
			{"HSET h a 1 b 2 c 3 d 4", ":4\r\n", "HSET h a 1 b 2 c 3 d 4", "hset h", 4},
			{"HEXPIRE h 10 FIELDS 2 a nope", ints(1, -2), "HPEXPIREAT h " + at(10_000) + " FIELDS 1 a", "hexpire h", 1},
			{"HPEXPIRE h 5000 NX FIELDS 2 a b", ints(0, 1), "HPEXPIREAT h " + at(5000) + " NX FIELDS 1 b", "hexpire h", 1},
			{"HEXPIREAT h " + at(20_000)[:10] + " GT FIELDS 3 a b c", ints(1, 1, 0), "HPEXPIREAT h " + at(20_000) + " GT FIELDS 2 a b", "hexpire h", 2},
			{"HPEXPIREAT h " + at(9000) + " LT FIELDS 2 a c", ints(1, 1), "HPEXPIREAT h " + at(9000) + " LT FIELDS 2 a c", "hexpire h", 2},
			{"HPEXPIREAT h " + at(9001) + " xx fields 2 a d", ints(1, 0), "HPEXPIREAT h " + at(9001) + " xx fields 1 a", "hexpire h", 1},
			{"HPEXPIREAT h " + at(9001) + " LT FIELDS 1 a", ints(0), "", "", 0},
			{"HPEXPIRE h 1 FIELDS 1 nope", ints(-2), "", "", 0},
			{"HPEXPIRE nokey 1 FIELDS 2 a b", ints(-2, -2), "", "", 0},
			{"HPEXPIRETIME h FIELDS 5 a b c d nope", ints(testEpoch+9001, testEpoch+20_000, testEpoch+9000, -1, -2), "", "", 0},
			{"HEXPIRETIME h FIELDS 2 a b", ints(testEpoch/1000+10, testEpoch/1000+20), "", "", 0},
			{"HPTTL h FIELDS 2 a b", ints(9001, 20_000), "", "", 0},
			{"HTTL h FIELDS 2 a b", ints(10, 20), "", "", 0},
			{"HTTL nokey FIELDS 2 a b", ints(-2, -2), "", "keymiss nokey", 0},

			{"HPERSIST h FIELDS 3 a d nope", ints(1, -1, -2), "HPERSIST h FIELDS 3 a d nope", "hpersist h", 1},
			{"HPERSIST h FIELDS 2 a nope", ints(-1, -2), "", "", 0},
			{"HPERSIST nokey FIELDS 1 a", ints(-2), "", "", 0},
			{"HINCRBY h b 1", ":3\r\n", "HINCRBY h b 1", "hincrby h", 1},
			{"HINCRBYFLOAT h b 1", "$1\r\n4\r\n", "MULTI; HSET h b 4; HPEXPIREAT h " + at(20_000) + " FIELDS 1 b; EXEC", "hincrbyfloat h", 1},
			{"HPTTL h FIELDS 1 b", ints(20_000), "", "", 0},
			{"HSET h b 5 d 6", ":0\r\n", "HSET h b 5 d 6", "hset h", 2},
			{"HPTTL h FIELDS 2 b c", ints(-1, 9000), "", "", 0},
			{"HMSET h c 3", "+OK\r\n", "HMSET h c 3", "hset h", 1},
			{"HPTTL h FIELDS 1 c", ints(-1), "", "", 0},

			// A deadline that has passed.
			{"HPEXPIRE h 50 FIELDS 2 a c", ints(1, 1), "HPEXPIREAT h " + at(50) + " FIELDS 2 a c", "hexpire h", 2},
			{"HEXPIREAT h 1 NX FIELDS 3 a b nope", ints(0, 2, -2), "HDEL h b", "hdel h", 1},
			{"HPEXPIRE h 0 FIELDS 2 a c", ints(2, 2), "MULTI; HDEL h a; HDEL h c; EXEC", "hdel h", 2},
			{"HEXPIREAT h 0 FIELDS 2 d d", ints(2, -2), "HDEL h d", "hdel h; del h", 1},
			{"EXISTS h", ":0\r\n", "", "keymiss h", 0},

			{"HSET h a 1 b 2 c 3", ":3\r\n", "HSET h a 1 b 2 c 3", "hset h", 3},
			{"HGETDEL h FIELDS 2 a nope", bulks("1", "-"), "HDEL h a nope", "hdel h", 1},
			{"HGETDEL h FIELDS 1 nope", bulks("-"), "", "", 0},
			{"HGETDEL nokey FIELDS 2 a b", bulks("-", "-"), "", "", 0},
			{"HGETDEL h FIELDS 3 b b c", bulks("2", "-", "3"), "HDEL h b b c", "hdel h; del h", 2},

			{"HSET h a 1 b 2 c 3", ":3\r\n", "HSET h a 1 b 2 c 3", "hset h", 3},
			{"HGETEX h FIELDS 2 a nope", bulks("1", "-"), "", "", 0},
			{"HGETEX nokey EX 1 FIELDS 2 a b", bulks("-", "-"), "", "", 0},
			{"HGETEX h EX 10 FIELDS 2 a nope", bulks("1", "-"), "HPEXPIREAT h " + at(10_000) + " FIELDS 1 a", "hexpire h", 1},
			{"HGETEX h PXAT " + at(7000) + " FIELDS 2 b c", bulks("2", "3"), "HPEXPIREAT h " + at(7000) + " FIELDS 2 b c", "hexpire h", 2},
			{"HGETEX h px 30 FIELDS 1 c", bulks("3"), "HPEXPIREAT h " + at(30) + " FIELDS 1 c", "hexpire h", 1},
			{"HGETEX h EXAT " + at(8000)[:10] + " FIELDS 1 c", bulks("3"), "HPEXPIREAT h " + at(8000) + " FIELDS 1 c", "hexpire h", 1},
			{"HPTTL h FIELDS 3 a b c", ints(10_000, 7000, 8000), "", "", 0},
			{"HGETEX h FIELDS 1 a", bulks("1"), "", "", 0},
			{"HGETEX h PERSIST FIELDS 2 a nope", bulks("1", "-"), "HPERSIST h FIELDS 1 a", "hpersist h", 1},
			{"HGETEX h PERSIST FIELDS 1 a", bulks("1"), "", "", 0},
			{"HPTTL h FIELDS 2 a b", ints(-1, 7000), "", "", 0},
			{"HGETEX h PXAT 5 FIELDS 2 a nope", bulks("1", "-"), "HDEL h a", "hdel h", 1},
			{"HGETEX h EX 0 FIELDS 2 b c", bulks("2", "3"), "MULTI; HDEL h b; HDEL h c; EXEC", "hdel h; del h", 2},

			{"HSETEX h FXX FIELDS 1 a 1", ":0\r\n", "", "", 0},
			{"HSETEX h FNX EX 10 FIELDS 2 a 1 b 2", ":1\r\n", "HSETEX h FNX PXAT " + at(10_000) + " FIELDS 2 a 1 b 2", "hset h; hexpire h", 2},
			{"HSETEX h FNX FIELDS 2 b 3 c 4", ":0\r\n", "", "", 0},
			{"HSETEX h FXX FIELDS 2 b 3 c 4", ":0\r\n", "", "", 0},
			{"HSETEX h FXX KEEPTTL FIELDS 2 b 3 a 4", ":1\r\n", "HSETEX h FXX KEEPTTL FIELDS 2 b 3 a 4", "hset h", 2},
			{"HMGET h a b", bulks("4", "3"), "", "", 0},
			{"HPTTL h FIELDS 2 a b", ints(10_000, 10_000), "", "", 0},
			{"HSETEX h FIELDS 1 b 5", ":1\r\n", "HSETEX h FIELDS 1 b 5", "hset h", 1},
			{"HSETEX h PX 70 FIELDS 1 c 6", ":1\r\n", "HSETEX h PXAT " + at(70) + " FIELDS 1 c 6", "hset h; hexpire h", 1},
			{"HSETEX h pxat " + at(80) + " FIELDS 1 c 7", ":1\r\n", "HSETEX h pxat " + at(80) + " FIELDS 1 c 7", "hset h; hexpire h", 1},
			{"HSETEX h EXAT " + at(9000)[:10] + " fnx FIELDS 1 d 8", ":1\r\n", "HSETEX h PXAT " + at(9000) + " fnx FIELDS 1 d 8", "hset h; hexpire h", 1},
			{"HPTTL h FIELDS 4 a b c d", ints(10_000, -1, 80, 9000), "", "", 0},
			{"HSETEX h PXAT 1 FIELDS 2 a 1 z 1", ":1\r\n", "MULTI; HDEL h a; HDEL h z; EXEC", "hset h; hdel h", 2},
			{"HLEN h", ":3\r\n", "", "", 0},
			{"HSETEX new PXAT 1 FIELDS 1 a 1", ":1\r\n", "HDEL new a", "hset new; hdel new; del new", 1},
			{"EXISTS new", ":0\r\n", "", "keymiss new", 0},

			{"HPEXPIRE h 90 FIELDS 1 b", ints(1), "HPEXPIREAT h " + at(90) + " FIELDS 1 b", "hexpire h", 1},
			{"COPY h copy", ":1\r\n", "COPY h copy", "copy_to copy", 1},
			{"HPTTL copy FIELDS 3 b c d", ints(90, 80, 9000), "", "", 0},
			{"RENAME copy name", "+OK\r\n", "RENAME copy name", "rename_from copy; rename_to name", 1},
			{"HPTTL name FIELDS 3 b c d", ints(90, 80, 9000), "", "", 0},
			{"HDEL name b d", ":2\r\n", "HDEL name b d", "hdel name", 2},
			{"HDEL name c", ":1\r\n", "HDEL name c", "hdel name; del name", 1},
		})
		if got := ts.infoField("keyspace", "db0"); got != "keys=1,expires=0,avg_ttl=0,subexpiry=1" {
			t.Errorf("INFO: %s", got)
		}
		ts.doLine("FLUSHALL")
		if n := ts.Keyspace.DBs()[0].FieldExpires(); n != 0 {
			t.Errorf("%d hashes with deadlines after FLUSHALL", n)
		}
	})
}

// TestHashDeadlineErrors has the texts of Redis 7.4.1, of Redis 8.0 for its commands, and their order.
func TestHashDeadlineErrors(t *testing.T) {
	const (
		arity    = "wrong number of arguments for '%s' command"
		missing  = "Mandatory argument FIELDS is missing or not at the right position"
		mismatch = "The `numfields` parameter must match the number of arguments"
		number   = "Number of fields must be a positive integer"
		negative = "invalid expire time, must be >= 0"
		invalid  = "invalid expire time in '%s' command"
		integer  = "value is not an integer or out of range"
		one      = "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
		wrong    = "WRONGTYPE Operation against a key holding the wrong kind of value"
	)
	ts := newTestServer(t)
	ts.doLine("SET string x")
	ts.doLine("HSET h a 1")
	for _, c := range []struct{ line, want string }{
		{"HEXPIRE h 10 FIELDS 1", arity},
		{"HEXPIRE string x FIELDS 1 a", wrong},
		{"HEXPIRE h x FIELDS 1 a", integer},
		{"HEXPIRE h -1 GT 1 a b", negative},
		{"HEXPIRE h 70368744178 FIELDS 1 a", invalid},
		{"HEXPIRE h 70368744177 FIELDS 1 a", invalid},
		{"HEXPIREAT h 70368744178 FIELDS 1 a", invalid},
		{"HPEXPIRE h 70368744177663 FIELDS 1 a", invalid},
		{"HPEXPIREAT h 70368744177664 FIELDS 1 a", invalid},
		{"HPEXPIREAT h 9223372036854775808 FIELDS 1 a", integer},
		{"HPEXPIRE h 1 FIELD 1 a", missing},
		{"HPEXPIRE h 1 GT LT FIELDS 1 a", missing},
		{"HPEXPIRE h 1 FIELDS 0 a", "Parameter `numFields` should be greater than 0"},
		{"HPEXPIRE h 1 FIELDS x a", "Parameter `numFields` should be greater than 0"},
		{"HPEXPIRE h 1 FIELDS 2 a", mismatch},
		{"HPEXPIRE nokey 1 FIELDS 1 a b", mismatch},
		{"HPEXPIRE h 1 NX FIELDS 1", mismatch},
		{"HTTL h FIELDS 1", arity},
		{"HTTL string x 1 a", wrong},
		{"HTTL h FIELD 1 a", missing},
		{"HPTTL h FIELDS 0 a", number},
		{"HEXPIRETIME h FIELDS 2 a", mismatch},
		{"HPEXPIRETIME h FIELDS a a", number},
		{"HPERSIST h FIELDS 1", arity},
		{"HPERSIST string x 1 a", wrong},
		{"HPERSIST h a 1 b", missing},
		{"HPERSIST h FIELDS -1 a", number},
		{"HPERSIST nokey FIELDS 2 a", mismatch},

		{"HGETDEL h FIELDS 1", arity},
		{"HGETDEL string FIELDZ 1 a", wrong},
		{"HGETDEL h XFIELDX 1 a", missing},
		{"HGETDEL h FIELDS 0 a", number},
		{"HGETDEL h FIELDS 9223372036854775808 a", number},
		{"HGETDEL h FIELDS 2 a", mismatch},
		{"HGETEX h FIELDS 1", arity},
		{"HGETEX string EX x FIELDS 1 a", wrong},
		{"HGETEX h EX x FIELDS 1 a", integer},
		{"HGETEX h PX -1 FIELDS 1 a", negative},
		{"HGETEX h EXAT 70368744178 FIELDS 1 a", invalid},
		{"HGETEX h KEEPTTL FIELDS 1 a", missing},
		{"HGETEX h EX 1 PERSIST FIELDS 1 a", missing},
		{"HGETEX h EX 1 FIELDS", arity},
		{"HGETEX h PERSIST FIELDS 0 a", number},
		{"HGETEX h PERSIST FIELDS 2 a", mismatch},
		{"HSETEX h FIELDS 1 a", arity},
		{"HSETEX h FNX FIELDS 1 a", arity},
		{"HSETEX h FIELDS 0 a 1", "invalid number of fields"},
		{"HSETEX h FIELDS x a 1", "invalid number of fields"},
		{"HSETEX h FIELDS 2 a 1", arity},
		{"HSETEX h FIELDS 1 a 1 b", arity},
		{"HSETEX h FNX FXX FIELDS 1 a 1", "Only one of FXX or FNX arguments can be specified"},
		{"HSETEX h EX 1 PX 1 FIELDS 1 a 1", one},
		{"HSETEX h KEEPTTL EX 1 FIELDS 1 a 1", one},
		{"HSETEX h EX 1 KEEPTTL FIELDS 1 a 1", one},
		{"HSETEX h FNX EX FIELDS 1 a 1", integer},
		{"HSETEX h EX 1 FNX PERSIST", "unknown argument: PERSIST"},
		{"HSETEX h KEEPTTL FNX nothing EX", "unknown argument: nothing"},
		{"HSETEX h FNX PX 1 EX", one},
		{"HSETEX h EX -1 FIELDS 1 a 1", negative},
		{"HSETEX h PXAT 70368744177664 FIELDS 1 a 1", invalid},
		{"HSETEX string x FIELDS 1 a 1", "unknown argument: x"},
		{"HSETEX string FIELDS 1 a 1", wrong},
	} {
		want := c.want
		if strings.Contains(want, "%s") {
			want = fmt.Sprintf(want, strings.ToLower(strings.Fields(c.line)[0]))
		}
		if want != wrong {
			want = "ERR " + want
		}
		if got := ts.doLine(c.line); got != "-"+want+"\r\n" {
			t.Errorf("%s: %q, want %q", c.line, got, want)
		}
	}
	if got := ts.doLine("HGETALL h"); got != bulks("a", "1") {
		t.Errorf("errors have changed the hash: %q", got)
	}
}

// TestExpiredFieldsWhenMet lets fields expire without background expiry and meets them with each command.
func TestExpiredFieldsWhenMet(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		ts.recordFeed()
		ts.recordEvents()
		for _, c := range []struct{ line, reply, fed, events string }{
			{"HGET h a", "$-1\r\n", "HDEL h a", "hexpired h"},
			{"HGET h c", "$1\r\n3\r\n", "", ""},
			{"HMGET h a b c", bulks("-", "-", "3"), "MULTI; HDEL h a; HDEL h b; EXEC", "hexpired h"},
			{"HEXISTS h a", ":0\r\n", "HDEL h a", "hexpired h"},
			{"HSTRLEN h a", ":0\r\n", "HDEL h a", "hexpired h"},
			{"HLEN h", ":4\r\n", "", ""},
			{"HGETALL h", bulks("c", "3", "d", "4"), "", ""},
			{"HKEYS h", bulks("c", "d"), "", ""},
			{"HVALS h", bulks("3", "4"), "", ""},
			{"HSCAN h 0", "*2\r\n$1\r\n0\r\n" + bulks("c", "3", "d", "4"), "", ""},
			{"HRANDFIELD h 5", bulks("c", "d"), "MULTI; HDEL h a; HDEL h b; EXEC", "hexpired h"},
			{"HTTL h FIELDS 2 a c", ints(-2, 1000), "", ""},
			{"HPEXPIRETIME h FIELDS 1 a", ints(-2), "", ""},
			{"HSET h a 5", ":1\r\n", "MULTI; HDEL h a; HSET h a 5; EXEC", "hexpired h; hset h"},
			{"HSETNX h a 5", ":1\r\n", "MULTI; HDEL h a; HSETNX h a 5; EXEC", "hexpired h; hset h"},
			{"HINCRBY h a 5", ":5\r\n", "MULTI; HDEL h a; HINCRBY h a 5; EXEC", "hexpired h; hincrby h"},
			{"HINCRBYFLOAT h a 5", "$1\r\n5\r\n", "MULTI; HDEL h a; HSET h a 5; EXEC", "hexpired h; hincrbyfloat h"},
			{"HDEL h a", ":1\r\n", "HDEL h a", "hdel h"},
			{"HEXPIRE h 5 FIELDS 1 a", ints(-2), "HDEL h a", "hexpired h"},
			{"HPERSIST h FIELDS 2 a d", ints(-2, -1), "HDEL h a", "hexpired h"},
			{"HGETDEL h FIELDS 2 a d", bulks("-", "4"), "MULTI; HDEL h a; HDEL h a d; EXEC", "hexpired h; hdel h"},
			{"HGETEX h EX 5 FIELDS 1 a", bulks("-"), "HDEL h a", "hexpired h"},
			{"HSETEX h FXX FIELDS 1 a 1", ":0\r\n", "HDEL h a", "hexpired h"},
			{"HSETEX h FNX FIELDS 1 a 1", ":1\r\n", "MULTI; HDEL h a; HSETEX h FNX FIELDS 1 a 1; EXEC", "hexpired h; hset h"},
			{"EXISTS h", ":1\r\n", "", ""},
			{"HMGET gone a b a", bulks("-", "-", "-"), "MULTI; HDEL gone a; HDEL gone b; EXEC", "hexpired gone; del gone"},
			{"HRANDFIELD gone", "$-1\r\n", "MULTI; HDEL gone a; HDEL gone b; EXEC", "hexpired gone; del gone"},
			{"HSET gone a 1 b 1", ":2\r\n", "MULTI; HDEL gone a; HDEL gone b; HSET gone a 1 b 1; EXEC", "hexpired gone; del gone; hset gone"},
			{"HGETALL gone", "*0\r\n", "", ""},
		} {
			ts.now = testEpoch
			ts.doLine("FLUSHALL")
			ts.doLine("HSET h a 1 b 2 c 3 d 4")
			ts.doLine("HPEXPIRE h 10 FIELDS 2 a b")
			ts.doLine("HPEXPIRE h 1000000 FIELDS 1 c")
			ts.doLine("HSETEX gone PX 10 FIELDS 2 a 1 b 2")
			ts.now += 10
			if got := ts.doLine("HMGET h a b"); got != bulks("1", "2") {
				t.Fatalf("gone in the millisecond of the deadline: %q", got)
			}
			ts.now++
			ts.propagated()
			ts.happened()
			before := ts.Keyspace.ExpiredFields
			if got := ts.doLine(c.line); !sameElements(got, c.reply) {
				t.Errorf("%s: replied %q, want %q", c.line, got, c.reply)
			}
			fed := ts.propagated()
			if strings.HasPrefix(c.line, "HRANDFIELD") {
				// In whatever order: their deadlines are the same.
				fed = strings.Replace(fed, "h b; HDEL h a", "h a; HDEL h b", 1)
				fed = strings.Replace(fed, "gone b; HDEL gone a", "gone a; HDEL gone b", 1)
			}
			if fed != c.fed {
				t.Errorf("%s: propagated %q, want %q", c.line, fed, c.fed)
			}
			if got := ts.happened(); got != c.events {
				t.Errorf("%s: events %q, want %q", c.line, got, c.events)
			}
			want := int64(strings.Count(c.fed, "HDEL"))
			if strings.Contains(c.events, "hdel") {
				want--
			}
			if got := ts.Keyspace.ExpiredFields - before; got != want {
				t.Errorf("%s: %d fields are counted as expired, want %d", c.line, got, want)
			}
			checkBytes(t, ts, c.line)

			// Background expiry deletes the rest.
			ts.expireActively()
			if got := ts.do("HMGET", "h", "b", "c"); got != bulks("-", "3") {
				t.Errorf("%s: afterwards %q", c.line, got)
			}
			checkBytes(t, ts, c.line+" and background expiry")
		}
	})
}

// sameElements compares replies; the elements of arrays may be in any order, since a large hash has none.
func sameElements(a, b string) bool {
	count := func(s string) map[string]int {
		m := map[string]int{}
		for _, line := range strings.Split(s, "\r\n") {
			m[line]++
		}
		return m
	}
	return a == b || strings.HasPrefix(a, "*") && maps.Equal(count(a), count(b))
}

func TestFieldsExpireInBackground(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		ts.recordFeed()
		ts.recordEvents()
		ts.doLine("HSET h a 1 b 2 c 3")
		ts.doLine("HPEXPIRE h 10 FIELDS 1 b")
		ts.doLine("HPEXPIRE h 20 FIELDS 2 a c")
		ts.propagated()
		ts.happened()
		watcher := ts.client()
		ts.doAs(watcher, "WATCH", "h")
		for _, step := range []struct {
			ms          int64
			fed, events string
		}{
			{10, "", ""},
			{1, "HDEL h b", "hexpired h"},
			{9, "", ""},
			{1, "HDEL h a; HDEL h c", "hexpired h; del h"},
			{1000, "", ""},
		} {
			ts.now += step.ms
			ts.expireActively()
			fed := ts.propagated()
			if fed == "HDEL h c; HDEL h a" {
				fed = "HDEL h a; HDEL h c" // fields with the same deadline
			}
			if events := ts.happened(); fed != step.fed || events != step.events {
				t.Errorf("after %d ms: propagated %q, events %q; want %q, %q", ts.now-testEpoch, fed, events, step.fed, step.events)
			}
			checkBytes(t, ts, "background expiry")
		}
		ts.doAs(watcher, "MULTI")
		ts.doAs(watcher, "PING")
		if got := ts.doAs(watcher, "EXEC"); got != "*-1\r\n" {
			t.Errorf("a watched hash has lost fields, EXEC says %q", got)
		}
		if got := ts.infoField("stats", "expired_subkeys"); got != "3" {
			t.Errorf("expired_subkeys is %s", got)
		}
		ts.doLine("CONFIG RESETSTAT")
		if got := ts.infoField("stats", "expired_subkeys"); got != "0" {
			t.Errorf("expired_subkeys is %s after RESETSTAT", got)
		}
	})
}

// TestFieldsKeptExpired: while keys do not expire (CLIENT PAUSE, replicas), fields are hidden and stay.
func TestFieldsKeptExpired(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		ts.doLine("HSET h a 1 b 2")
		ts.doLine("HPEXPIRE h 10 FIELDS 1 a")
		ts.recordFeed()
		ts.recordEvents()
		ts.Keyspace.KeepExpired = true
		ts.now += 100
		for _, c := range []struct{ line, reply string }{
			{"HGET h a", "$-1\r\n"},
			{"HEXISTS h a", ":0\r\n"},
			{"HGETALL h", bulks("b", "2")},
			{"HRANDFIELD h 7", bulks("b")},
			{"HRANDFIELD h -3", bulks("b", "b", "b")},
			{"HRANDFIELD h", "$1\r\nb\r\n"},
			{"HTTL h FIELDS 1 a", ints(-2)},
			{"HLEN h", ":2\r\n"},
		} {
			if got := ts.doLine(c.line); got != c.reply {
				t.Errorf("%s: %q, want %q", c.line, got, c.reply)
			}
		}
		ts.expireActively()
		if fed, events := ts.propagated(), ts.happened(); fed != "" || events != "" {
			t.Errorf("propagated %q, events %q", fed, events)
		}
		// What another server says about such a field is done.
		if got := ts.doLine("HPEXPIREAT h 0 FIELDS 1 b"); got != ints(1) {
			t.Errorf("a deadline in the past: %q", got)
		}
		if got := ts.doLine("HPERSIST h FIELDS 1 a"); got != ints(1) {
			t.Errorf("HPERSIST: %q", got)
		}
		if got := ts.doLine("HMGET h a b"); got != bulks("1", "-") {
			t.Errorf("HMGET: %q", got)
		}
		ts.Keyspace.KeepExpired = false
		ts.expireActively()
		if got := ts.doLine("HLEN h"); got != ":1\r\n" {
			t.Errorf("HLEN: %q", got)
		}
	})
}

// TestHashEncodings follows OBJECT ENCODING, as Redis 7.4.1 answers it.
func TestHashEncodings(t *testing.T) {
	ts := newTestServer(t, "hash-max-listpack-entries", "4", "hash-max-listpack-value", "8")
	for _, c := range []struct{ line, encoding string }{
		{"HSET h a 1 b 2 c 3", "listpack"},
		{"HTTL h FIELDS 1 a", "listpack"},
		{"HPERSIST h FIELDS 1 a", "listpack"},
		{"HGETEX h FIELDS 1 a", "listpack"},
		{"HEXPIRE h 10 XX FIELDS 2 a nope", "listpackex"},
		{"HDEL h a", "listpackex"},
		{"HEXPIRE h 10 FIELDS 1 b", "listpackex"},
		{"COPY h h2 REPLACE", "listpackex"},
		{"HPERSIST h FIELDS 1 b", "listpackex"},
		{"HSET h b 1 d 2 e 3", "listpackex"},
		{"HSET h f 1", "hashtable"},
		{"HEXPIRE h 10 FIELDS 1 b", "hashtable"},
		{"DEL h", ""},
		{"HSETEX h FIELDS 1 a 1", "listpack"},
		{"HGETEX h PERSIST FIELDS 1 a", "listpackex"},
		{"DEL h", ""},
		{"HSETEX h EX 10 FIELDS 1 a 1", "listpackex"},
		{"HSETEX h EX 10 FIELDS 1 b 123456789", "hashtable"},
		{"HTTL h FIELDS 2 a b", "hashtable"},
	} {
		reply := ts.doLine(c.line)
		if strings.HasPrefix(reply, "-") {
			t.Fatalf("%s: %s", c.line, reply)
		}
		want := "$-1\r\n"
		if c.encoding != "" {
			want = fmt.Sprintf("$%d\r\n%s\r\n", len(c.encoding), c.encoding)
		}
		if got := ts.doLine("OBJECT ENCODING h"); got != want {
			t.Errorf("%s: encoding %q, want %s", c.line, got, c.encoding)
		}
	}
	if got := ts.doLine("HTTL h FIELDS 2 a b"); got != ints(10, 10) {
		t.Errorf("deadlines were lost on the way: %q", got)
	}
}

// TestHashDigest compares with what Redis 7.4.1 answers to DEBUG DIGEST-VALUE for the same hash: a deadline counts, but
// not when it is.
func TestHashDigest(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		value := func() string { return ts.doLine("DEBUG DIGEST-VALUE h") }
		ts.doLine("HSET h a 1 b 2")
		plain := value()
		ts.doLine("HPEXPIRE h 1000 FIELDS 1 a")
		const want = "*1\r\n+c07db73128914a41e685572f9d83e5ec946f598d\r\n"
		if got := value(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		ts.doLine("HPEXPIRE h 2000 FIELDS 1 a")
		if got := value(); got != want {
			t.Errorf("with another deadline %q, want %q", got, want)
		}
		ts.doLine("HPERSIST h FIELDS 1 a")
		if got := value(); got != plain {
			t.Errorf("without deadlines %q, before %q", got, plain)
		}
	})
}

func TestDebugListpack(t *testing.T) {
	smallAndLarge(t, func(t *testing.T, ts *testServer) {
		ts.doLine("HSETEX h EX 10 FIELDS 1 a 1")
		ts.doLine("HSET plain a 1")
		ts.doLine("SADD set a b")
		ts.doLine("RPUSH list a b")
		ts.doLine("ZADD zset 1 a")
		ts.doLine("SET string a")
		const printed, refused = "+Listpack structure printed on stdout\r\n", "-ERR Not a listpack encoded object.\r\n"
		hashes := printed
		if ts.Config.HashMaxListpackEntries == 0 {
			hashes = refused
		}
		check(t, ts, [][2]string{
			{"DEBUG LISTPACK h", hashes},
			{"DEBUG LISTPACK plain", hashes},
			{"DEBUG LISTPACK set", printed},
			{"DEBUG LISTPACK list", printed},
			{"DEBUG LISTPACK zset", printed},
			{"DEBUG LISTPACK string", refused},
			{"DEBUG LISTPACK nokey", "-ERR no such key\r\n"},
		})
	})
}

// TestHashDeadlineSnapshot changes hashes in all ways, lets fields expire with and without background expiry, and compares
// what a snapshot's reader sees meanwhile with the state when it was taken.
func TestHashDeadlineSnapshot(t *testing.T) { random.Repeat(t, testHashDeadlineSnapshot) }

func testHashDeadlineSnapshot(t *testing.T) {
	rnd := random.New(t)
	ts := newTestServer(t, "hash-max-listpack-entries", "20")
	db := ts.Keyspace.DBs()[0]
	contents := func(each func(func(*record.Record) bool)) map[string]string {
		m := map[string]string{}
		each(func(r *record.Record) bool {
			if h := keyspace.ValueOf(r).(*hash.Hash); h != nil {
				h.EachField(func(field, value hash.Value, when int64) bool {
					name := string(r.Key()) + "/" + string(field.AppendTo(nil))
					m[name] = string(value.AppendTo(nil)) + "/" + strconv.FormatInt(when, 10)
					return true
				})
			}
			return true
		})
		return m
	}
	step := func() {
		key := "h" + strconv.Itoa(rnd.IntN(10))
		f, g := "f"+strconv.Itoa(rnd.IntN(40)), "f"+strconv.Itoa(rnd.IntN(40))
		ms := strconv.Itoa(rnd.IntN(60))
		switch rnd.IntN(14) {
		case 0, 1, 2:
			ts.do("HSET", key, f, strings.Repeat("v", rnd.IntN(40)), g, ms)
		case 3, 4:
			ts.do("HPEXPIRE", key, ms, "FIELDS", "2", f, g)
		case 5:
			ts.do("HSETEX", key, "PX", ms, "FIELDS", "2", f, ms, g, ms)
		case 6:
			ts.do("HPERSIST", key, "FIELDS", "1", f)
		case 7:
			ts.do("HINCRBYFLOAT", key, f, "1.5")
		case 8:
			ts.do("HDEL", key, f)
		case 9:
			ts.do("HGETEX", key, "EX", ms, "FIELDS", "1", f)
		case 10:
			ts.do("COPY", key, "h"+strconv.Itoa(rnd.IntN(10)), "REPLACE")
		case 11:
			ts.do("RENAME", key, "h"+strconv.Itoa(rnd.IntN(10)))
		case 12:
			ts.do("HRANDFIELD", key, "3")
		default:
			ts.do("HMGET", key, f, g)
		}
		if rnd.IntN(4) == 0 {
			ts.now += rnd.Int64N(4)
		}
		if rnd.IntN(20) == 0 {
			ts.expireActively()
			if n := db.FieldExpires(); n > db.Len() {
				t.Fatalf("%d hashes with deadlines among %d", n, db.Len())
			}
		}
	}
	for range 20 {
		for range 200 {
			step()
		}
		want := contents(db.Each)
		snap, err := ts.Keyspace.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		seen := make(chan map[string]string)
		go func() {
			seen <- contents(func(fn func(*record.Record) bool) {
				snap.Walk(func(_ int, r *record.Record) bool { return fn(r) })
			})
		}()
		for range 300 {
			step()
		}
		if got := <-seen; !maps.Equal(got, want) {
			t.Fatal("the snapshot is not the state when it was taken")
		}
		snap.Release()
		checkBytes(t, ts, "after a snapshot")
	}
	ts.now += 100_000
	ts.expireActively()
	if n := db.FieldExpires(); n != 0 {
		t.Errorf("%d hashes have deadlines after all have passed", n)
	}
	if ts.Keyspace.ExpiredFields < 100 {
		t.Errorf("only %d fields have expired", ts.Keyspace.ExpiredFields)
	}
	db.Each(func(r *record.Record) bool {
		if keyspace.Size(r) <= 0 || keyspace.ValueOf(r).(*hash.Hash).Len() == 0 {
			t.Errorf("%s is empty", r.Key())
		}
		return true
	})
}

func TestHashDeadlineAllocations(t *testing.T) {
	ts := newTestServer(t)
	for i := range 1000 {
		f := "field:" + strconv.Itoa(i)
		ts.do("HSETEX", "large", "EX", strconv.Itoa(100+i), "FIELDS", "1", f, "value")
		if i < 20 {
			ts.do("HSETEX", "small", "EX", strconv.Itoa(100+i), "FIELDS", "1", f, "value")
		}
	}
	ts.do("HSETEX", "small", "EX", "50", "FIELDS", "1", "n", "10000")
	ts.do("HSETEX", "large", "EX", "50", "FIELDS", "1", "n", "10000")
	wantNoAllocations(t, ts,
		"HEXPIRE small 1000 FIELDS 1 field:7", "HEXPIRE large 100 FIELDS 1 field:7", "HPEXPIRE large 150000 FIELDS 1 field:7",
		"HTTL small FIELDS 2 field:1 nope", "HTTL large FIELDS 2 field:1 nope", "HGET small field:7", "HGET large field:7",
		"HMGET large field:1 field:2", "HINCRBY small n 1", "HINCRBY large n 1", "HPERSIST large FIELDS 1 nope",
		"HGETEX large FIELDS 1 field:3", "HSETEX large KEEPTTL FIELDS 1 field:3 eulav",
	)
}
