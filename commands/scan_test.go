package commands

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/eventloop/resp"
	"ferrous/tests/random"
)

func TestParseCursor(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"0", 0, true},
		{"", 0, true},
		{"42", 42, true},
		{"007", 7, true},
		{"+42", 42, true},
		{"-1", 1<<64 - 1, true},
		{"-18446744073709551615", 1, true},
		{"18446744073709551615", 1<<64 - 1, true},
		{"18446744073709551616", 0, false},
		{"-18446744073709551616", 0, false},
		{"5\x00junk", 5, true},
		{"\x00", 0, true},
		{" 5", 0, false},
		{"\t5", 0, false},
		{"5 ", 0, false},
		{"5x", 0, false},
		{"x", 0, false},
		{"-", 0, false},
		{"+", 0, false},
		{"+-5", 0, false},
		{"--5", 0, false},
		{"1_000", 0, false},
		{"0x10", 0, false},
	} {
		if got, ok := session.ParseCursor([]byte(c.text)); ok != c.ok || got != c.want {
			t.Errorf("%q: %d %v, want %d %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

// scanAll iterates with these options and returns how often each key was returned, and the number of calls.
func (ts *testServer) scanAll(t *testing.T, options string) (seen map[string]int, calls int) {
	t.Helper()
	seen = map[string]int{}
	for cursor := "0"; ; {
		reply := ts.doLine("SCAN " + cursor + " " + options)
		v, err := resp.NewReader(strings.NewReader(reply)).Read()
		if err != nil || v.Type != resp.Array || len(v.Elems) != 2 || v.Elems[0].Type != resp.BulkString {
			t.Fatalf("SCAN %s %s: %q", cursor, options, reply)
		}
		for _, e := range v.Elems[1].Elems {
			seen[string(e.Str)]++
		}
		calls++
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			return seen, calls
		}
		if calls > 100_000 {
			t.Fatalf("SCAN %s does not come to an end; cursor %s", options, cursor)
		}
	}
}

func TestScanIterations(t *testing.T) {
	ts := newTestServer(t)
	for i := range 5000 {
		ts.do("SET", "key:"+strconv.Itoa(i), "v")
	}
	for _, c := range []struct {
		options            string
		keys               int
		minCalls, maxCalls int
	}{
		{"", 5000, 300, 600},
		{"COUNT 100", 5000, 30, 60},
		{"COUNT 1000000", 5000, 1, 1},
		{"COUNT 9223372036854775807", 5000, 1, 1},
		{"MATCH key:1?", 10, 300, 600},
		{"MATCH key:1? COUNT 10000", 10, 1, 1},
		{"MATCH nothing COUNT 5000", 0, 1, 2},
		{"TYPE string COUNT 100", 5000, 30, 60},
		{"TYPE STRING COUNT 100", 5000, 30, 60},
		{"TYPE zset COUNT 100", 0, 30, 60},
		{"TYPE nonsense COUNT 100", 0, 30, 60},
	} {
		seen, calls := ts.scanAll(t, c.options)
		if len(seen) != c.keys || calls < c.minCalls || calls > c.maxCalls {
			t.Errorf("SCAN %s: %d keys in %d calls, want %d in %d to %d", c.options, len(seen), calls, c.keys, c.minCalls, c.maxCalls)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("SCAN %s: %s was returned %d times though nothing changed", c.options, k, n)
			}
		}
	}
	if cap(ts.Scanned) > 1024 {
		t.Errorf("room for %d records is kept", cap(ts.Scanned))
	}
	for _, r := range ts.Scanned[:cap(ts.Scanned)] {
		if r != nil {
			t.Fatal("a record is kept from being collected")
		}
	}
}

// TestScanExpired scans thousands of expired keys: they are deleted, notified and propagated, and not returned.
func TestScanExpired(t *testing.T) {
	for _, options := range []string{"COUNT 50", "COUNT 50 TYPE string", "COUNT 50 TYPE hash"} {
		ts := newTestServer(t)
		ts.recordFeed()
		for i := range 2000 {
			if i%2 == 0 {
				ts.do("SET", "dead:"+strconv.Itoa(i), "v", "PX", "5")
			} else {
				ts.do("SET", "live:"+strconv.Itoa(i), "v")
			}
		}
		ts.propagated()
		ts.now += 6
		if seen, _ := ts.scanAll(t, "COUNT 50 MATCH live:*"); len(seen) != 1000 || ts.Keyspace.ExpiredKeys != 0 {
			t.Errorf("with a pattern that none of the expired matches: %d keys, %d deleted", len(seen), ts.Keyspace.ExpiredKeys)
		}
		seen, _ := ts.scanAll(t, options)
		want := 1000
		if strings.Contains(options, "hash") {
			want = 0
		}
		for k := range seen {
			if !strings.HasPrefix(k, "live:") {
				t.Fatalf("SCAN %s returned %q", options, k)
			}
		}
		if len(seen) != want || ts.Keyspace.ExpiredKeys != 1000 || ts.doLine("DBSIZE") != ":1000\r\n" {
			t.Errorf("SCAN %s: %d keys, %d deleted; want %d, 1000", options, len(seen), ts.Keyspace.ExpiredKeys, want)
		}
		if n := strings.Count(ts.propagated(), "DEL dead:"); n != 1000 {
			t.Errorf("SCAN %s: %d deletions were propagated", options, n)
		}
	}
}

// TestScanUnderWrites iterates while the table grows and shrinks by a large factor: what stays is returned.
func TestScanUnderWrites(t *testing.T) {
	ts := newTestServer(t)
	for i := range 1000 {
		ts.do("SET", "stay:"+strconv.Itoa(i), "v")
	}
	seen := map[string]bool{}
	n := 0
	for cursor, calls := "0", 0; ; calls++ {
		v, err := resp.NewReader(strings.NewReader(ts.do("SCAN", cursor, "COUNT", "7"))).Read()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range v.Elems[1].Elems {
			seen[string(e.Str)] = true
		}
		if cursor = string(v.Elems[0].Str); cursor == "0" {
			break
		}
		if calls > 1_000_000 {
			t.Fatal("no end")
		}
		if calls%40 < 20 { // add many keys, then delete all, and so on
			for range 500 {
				ts.do("SET", "go:"+strconv.Itoa(n), "v")
				n++
			}
		} else if n > 0 {
			for range min(n, 500) {
				n--
				ts.do("DEL", "go:"+strconv.Itoa(n))
			}
		}
	}
	for i := range 1000 {
		if !seen["stay:"+strconv.Itoa(i)] {
			t.Fatalf("key %d was not returned", i)
		}
	}
}

// FuzzScan gives SCAN arbitrary words: the reply is one value of the protocol, whatever they are.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"0", "0 COUNT 5", "-1 MATCH [a-", "99 TYPE x COUNT 0", "0 MATCH * MATCH k? COUNT 3", "+7\x00 COUNT 9e9"} {
		f.Add([]byte(s))
	}
	ts := newTestServer(f)
	for i := range 200 {
		ts.do("SET", fmt.Sprint("k", i), "v")
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		args := append([][]byte{[]byte("SCAN")}, bytes.Split(line, []byte(" "))...)
		r := resp.NewReader(bytes.NewReader(ts.run(ts.c, args)))
		v, err := r.Read()
		if err != nil || r.Buffered() != 0 {
			t.Fatalf("SCAN %q: %q %v", line, ts.w.Buf, err)
		}
		if v.Err() == nil && (len(v.Elems) != 2 || v.Elems[1].Type != resp.Array) {
			t.Fatalf("SCAN %q: %s", line, v)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	ts := newTestServer(b)
	rnd := random.New(b)
	for range 100_000 {
		ts.do("SET", strconv.FormatUint(rnd.Uint64(), 36), "v")
	}
	args := [][]byte{[]byte("SCAN"), []byte("0"), []byte("COUNT"), []byte("100")}
	b.ReportAllocs()
	for b.Loop() {
		ts.run(ts.c, args)
	}
}
