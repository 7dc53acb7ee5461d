package commands

import (
	"strconv"
	"strings"
	"testing"
)

func TestListEffects(t *testing.T) {
	runEffects(t, newTestServer(t, "list-max-listpack-size", "4"), []effectStep{
		{"LPUSHX l a", ":0\r\n", "", "", 0},
		{"RPUSH l a b c", ":3\r\n", "RPUSH l a b c", "rpush l", 3},
		{"LPUSH l 1", ":4\r\n", "LPUSH l 1", "lpush l", 1},
		{"OBJECT ENCODING l", "$8\r\nlistpack\r\n", "", "", 0},
		{"RPUSHX l d e", ":6\r\n", "RPUSHX l d e", "rpush l", 2},
		{"OBJECT ENCODING l", "$9\r\nquicklist\r\n", "", "", 0},
		{"LSET l 0 0", "+OK\r\n", "LSET l 0 0", "lset l", 1},
		{"LSET l 9 0", "-ERR index out of range\r\n", "", "", 0},
		{"LINSERT l AFTER a z", ":7\r\n", "LINSERT l AFTER a z", "linsert l", 1},
		{"LINSERT l AFTER nope z", ":-1\r\n", "", "", 0},
		{"LREM l 0 nope", ":0\r\n", "", "", 0},
		{"LREM l 0 z", ":1\r\n", "LREM l 0 z", "lrem l", 1},
		{"LTRIM l 0 -1", "+OK\r\n", "", "ltrim l", 0},
		{"LTRIM l 1 -2", "+OK\r\n", "LTRIM l 1 -2", "ltrim l", 2},
		{"LPOP l 0", "*0\r\n", "", "", 0},
		{"LPOP l", "$1\r\na\r\n", "LPOP l", "lpop l", 1},
		{"LRANGE l 0 -1", "*3\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n", "", "", 0},
		{"LMOVE l m LEFT RIGHT", "$1\r\nb\r\n", "LMOVE l m LEFT RIGHT", "rpush m; lpop l", 1},
		{"RPOPLPUSH l l", "$1\r\nd\r\n", "RPOPLPUSH l l", "lpush l; rpop l", 1},
		{"OBJECT ENCODING l", "$8\r\nlistpack\r\n", "", "", 0},
		{"LMPOP 2 none l RIGHT COUNT 9", "*2\r\n$1\r\nl\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n", "RPOP l 2", "rpop l; del l", 2},
		{"LMPOP 2 none l RIGHT", "*-1\r\n", "", "", 0},
		{"RPOPLPUSH m l", "$1\r\nb\r\n", "RPOPLPUSH m l", "lpush l; rpop m; del m", 1},
		{"COPY l m", ":1\r\n", "COPY l m", "copy_to m", 1},
		{"RPOP l 5", "*1\r\n$1\r\nb\r\n", "RPOP l 5", "rpop l; del l", 1},
		{"LTRIM m 5 9", "+OK\r\n", "LTRIM m 5 9", "ltrim m; del m", 1},
		{"RPUSH l a a", ":2\r\n", "RPUSH l a a", "rpush l", 2},
		{"LREM l 0 a", ":2\r\n", "LREM l 0 a", "lrem l; del l", 2},
	})
}

// A replacement that is large by itself makes a list large before the index is looked at, as in Redis 7.2; it is not a
// change.
func TestListGrowsBeforeItFails(t *testing.T) {
	for _, line := range []string{"LSET l 5 ", "LINSERT l BEFORE nope "} {
		s := newTestServer(t)
		s.do("RPUSH", "l", "a")
		dirty := s.Dirty
		s.doLine(line + strings.Repeat("x", 10000))
		if got := s.do("OBJECT", "ENCODING", "l"); got != "$9\r\nquicklist\r\n" {
			t.Errorf("after %sthe encoding is %q", line, got)
		}
		if s.Dirty != dirty {
			t.Errorf("%scounts as a change", line)
		}
		checkBytes(t, s, line)
	}
}

// Redis has an index of 64 bits cut to 32 in LSET; Ferrous refuses what is out of range.
func TestListSetFarIndex(t *testing.T) {
	s := newTestServer(t)
	s.do("RPUSH", "l", "a")
	for _, i := range []string{"4294967296", "-4294967296", "9223372036854775807", "-9223372036854775808"} {
		if got := s.do("LSET", "l", i, "b"); got != "-ERR index out of range\r\n" {
			t.Errorf("LSET l %s: %q", i, got)
		}
	}
}

// TestListSnapshot changes lists in all ways while a snapshot holds them.
func TestListSnapshot(t *testing.T) {
	s := newTestServer(t, "list-compress-depth", "1", "list-max-listpack-size", "-1")
	pad := strings.Repeat("p", 90)
	for i := range 300 {
		n := strconv.Itoa(i)
		s.do("RPUSH", "large"+strconv.Itoa(i%3), n+pad, n, "x", pad+n)
		s.do("RPUSH", "small"+n, "a", n, "b", pad)
	}
	changeUnderSnapshot(t, s, func() {
		for i := range 600 {
			n := strconv.Itoa(i)
			large, small, other := "large"+strconv.Itoa(i%3), "small"+strconv.Itoa(i*7%300), "small"+strconv.Itoa(i*3%300)
			s.do("LPUSH", large, n)
			s.do("RPOP", large)
			s.do("LSET", large, strconv.Itoa(i%100), n+pad)
			s.do("LINSERT", large, "AFTER", n, "new")
			s.do("LREM", large, "-1", "x")
			s.do("LPOS", large, "x", "COUNT", "0")
			s.do("LRANGE", large, "0", "-1")
			s.do("LMOVE", large, small, "RIGHT", "LEFT")
			s.do("RPUSH", small, n, pad)
			s.do("LPOP", other)
			s.do("LMOVE", other, other, "LEFT", "RIGHT")
			s.do("LTRIM", other, "1", "-1")
			s.do("COPY", large, "copy", "REPLACE")
		}
	})
	s.do("FLUSHALL")
	if got := s.do("LLEN", "large0"); got != ":0\r\n" {
		t.Errorf("after FLUSHALL large0 has %q", got)
	}
}

func TestListPackedThreshold(t *testing.T) {
	s := newTestServer(t, "list-max-listpack-size", "2", "enable-debug-command", "yes")
	for _, bad := range []string{"x", "5gb"} {
		if got := s.do("DEBUG", "QUICKLIST-PACKED-THRESHOLD", bad); !strings.HasPrefix(got, "-ERR argument must be a memory value") {
			t.Errorf("threshold %s: %q", bad, got)
		}
	}
	s.do("DEBUG", "QUICKLIST-PACKED-THRESHOLD", "10b")
	s.do("RPUSH", "l", "a", "0123456789", "b", "c", "d")
	got := s.do("DEBUG", "OBJECT", "l")
	if !strings.Contains(got, " ql_nodes:4 ql_avg_node:1.25 ql_listpack_max:2 ql_compressed:0 ql_uncompressed_size:43") {
		t.Errorf("DEBUG OBJECT: %q", got)
	}
}

func TestListAllocations(t *testing.T) {
	s := newTestServer(t)
	for i := range 3000 {
		s.do("RPUSH", "large", "element:"+strconv.Itoa(i))
	}
	s.do("RPUSH", "small", "a", "b", "10000", "d")
	s.do("RPUSH", "other", "a", "b")
	wantNoAllocations(t, s,
		"LPUSH small element; LPOP small", "RPUSH small element; RPOP small",
		"LPUSH large element:7; LPOP large", "RPUSH large element:7; RPOP large",
		"LPUSHX large 1 2 3; LPOP large 3",
		"LMOVE small other LEFT LEFT; LMOVE other small LEFT LEFT", "RPOPLPUSH large large; LMOVE large large LEFT RIGHT",
		"LRANGE large 1000 1100", "LRANGE small 0 -1", "LINDEX large 1500", "LLEN large",
		"LSET large 1500 element:1500", "LPOS large element:1000", "LREM large 0 none",
	)
}
