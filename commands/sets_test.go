package commands

import (
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/record"
)

func TestSetEffects(t *testing.T) {
	runEffects(t, newTestServer(t), []effectStep{
		{"SADD s 1 2 1", ":2\r\n", "SADD s 1 2 1", "sadd s", 2},
		{"SADD s 1", ":0\r\n", "", "", 0},
		{"SADD s a b", ":2\r\n", "SADD s a b", "sadd s", 2},
		{"SREM s nope", ":0\r\n", "", "", 0},
		{"SREM s a nope 1", ":2\r\n", "SREM s a nope 1", "srem s", 2},
		{"SMOVE s d 2", ":1\r\n", "SMOVE s d 2", "srem s; sadd d", 2},
		{"SADD d b", ":1\r\n", "SADD d b", "sadd d", 1},
		{"SMOVE s d b", ":1\r\n", "SMOVE s d b", "srem s; del s", 1},
		{"SMOVE s d b", ":0\r\n", "", "", 0},
		{"SMOVE d d b", ":1\r\n", "", "", 0},
		{"SUNIONSTORE u d d", ":2\r\n", "SUNIONSTORE u d d", "sunionstore u", 1},
		{"SINTERSTORE i d u", ":2\r\n", "SINTERSTORE i d u", "sinterstore i", 1},
		{"SDIFFSTORE i d u", ":0\r\n", "SDIFFSTORE i d u", "del i", 1},
		{"SDIFFSTORE i d u", ":0\r\n", "", "", 0},
		{"SINTERSTORE u d none", ":0\r\n", "SINTERSTORE u d none", "keymiss none; del u", 1},
		{"SREM d 2 b c", ":2\r\n", "SREM d 2 b c", "srem d; del d", 2},
		{"SADD one 7", ":1\r\n", "SADD one 7", "sadd one", 1},
		{"SPOP one", "$1\r\n7\r\n", "SREM one 7", "spop one; del one", 1},
		{"SADD one x", ":1\r\n", "SADD one x", "sadd one", 1},
		{"SPOP one 0", "*0\r\n", "", "", 0},
		{"SPOP one 5", "*1\r\n$1\r\nx\r\n", "DEL one", "spop one; del one", 1},
		{"SPOP one 5", "*0\r\n", "", "", 0},
		{"CONFIG SET lazyfree-lazy-server-del yes", "+OK\r\n", "", "", 0},
		{"SADD one x", ":1\r\n", "SADD one x", "sadd one", 1},
		{"SPOP one 1", "*1\r\n$1\r\nx\r\n", "UNLINK one", "spop one; del one", 1},
	})
}

// TestSPopPropagation pops many members in all ways and runs what was propagated on a second server, which must come to
// the same.
func TestSPopPropagation(t *testing.T) {
	for _, tc := range []struct {
		prefix string
		size   int
		count  int
		now    record.Encoding // of what is left
	}{
		{"", 100, 10, record.IntSet},
		{"", 500, 490, record.IntSet},
		{"", 3000, 2900, record.ListPack},
		{"m", 100, 3, record.ListPack},
		{"m", 100, 97, record.ListPack},
		{"m", 3000, 1500, record.HashTable},
		{"m", 3000, 2990, record.ListPack},
		{"m", 3000, 2600, record.HashTable},
	} {
		s, replica := newTestServer(t), newTestServer(t)
		args := []string{"SADD", "s"}
		for i := range tc.size {
			args = append(args, tc.prefix+strconv.Itoa(i))
		}
		s.do(args...)
		replica.do(args...)
		s.do("EXPIRE", "s", "1000")
		s.recordFeed()
		before := s.Dirty
		reply := s.do("SPOP", "s", strconv.Itoa(tc.count))
		if want := "*" + strconv.Itoa(tc.count) + "\r\n"; !strings.HasPrefix(reply, want) {
			t.Errorf("SPOP %d of %d: replied %.20q", tc.count, tc.size, reply)
		}
		if d := s.Dirty - before; d != int64(tc.count) {
			t.Errorf("SPOP %d of %d: %d changes", tc.count, tc.size, d)
		}
		checkBytes(t, s, "SPOP")
		for _, line := range s.fed {
			if line != "MULTI" && line != "EXEC" {
				replica.doLine(line)
			}
			if words := strings.Fields(line); len(words) > 1024+2 {
				t.Errorf("a propagated command of %d words", len(words))
			}
		}
		if s.do("PERSIST", "s") != ":1\r\n" {
			t.Error("SPOP with a count removes the deadline")
		}
		if a, b := s.do("DEBUG", "DIGEST-VALUE", "s"), replica.do("DEBUG", "DIGEST-VALUE", "s"); a != b {
			t.Errorf("SPOP %d of %d: what was propagated gives another set", tc.count, tc.size)
		}
		if n := s.do("SCARD", "s"); n != ":"+strconv.Itoa(tc.size-tc.count)+"\r\n" {
			t.Errorf("SPOP %d of %d leaves %q", tc.count, tc.size, n)
		}
		if e := s.do("OBJECT", "ENCODING", "s"); !strings.Contains(e, "\n"+tc.now.String()+"\r") {
			t.Errorf("SPOP %d of %d leaves a %q, want %s", tc.count, tc.size, e, tc.now)
		}
	}
}

// TestSetSnapshot changes sets in all ways while a snapshot holds them.
func TestSetSnapshot(t *testing.T) {
	s := newTestServer(t)
	for i := range 300 {
		n := strconv.Itoa(i)
		s.do("SADD", "large", "m"+n)
		s.do("SADD", "ints"+n, "1", "2", n)
		s.do("SADD", "small"+n, "a", "b", n)
	}
	changeUnderSnapshot(t, s, func() {
		for i := range 600 {
			n := strconv.Itoa(i)
			s.do("SADD", "large", "new"+n)
			s.do("SREM", "large", "m"+strconv.Itoa(i*7%300))
			s.do("SADD", "ints"+strconv.Itoa(i%300), "7000"+n)
			s.do("SADD", "small"+strconv.Itoa(i*3%300), "new"+n)
			s.do("SPOP", "small"+strconv.Itoa(i*5%300))
			s.do("SMOVE", "ints"+strconv.Itoa(i*11%300), "large", "1")
		}
	})
	if got := s.do("SISMEMBER", "large", "new599"); got != ":1\r\n" {
		t.Errorf("a change during the snapshot is lost: %q", got)
	}
}

func TestSetAllocations(t *testing.T) {
	s := newTestServer(t)
	for i := range 1000 {
		n := strconv.Itoa(i)
		s.do("SADD", "large", "member:"+n)
		s.do("SADD", "small", "m"+strconv.Itoa(i%100))
		s.do("SADD", "ints", strconv.Itoa(i%100))
	}
	wantNoAllocations(t, s,
		"SADD large member:7", "SADD small m7", "SADD ints 7", "SISMEMBER large member:7", "SISMEMBER small m7", "SISMEMBER ints 7",
		"SMISMEMBER large member:7 none", "SREM large none", "SREM ints none", "SCARD large", "SRANDMEMBER ints", "SRANDMEMBER small",
	)
}
