package commands

import (
	"strconv"
	"strings"
	"testing"
)

func TestHashEffects(t *testing.T) {
	long := strings.Repeat("x", 100)
	runEffects(t, newTestServer(t), []effectStep{
		{"HSET h a 1 b 2 a 3", ":2\r\n", "HSET h a 1 b 2 a 3", "hset h", 3},
		{"HMSET h a 1 b 2", "+OK\r\n", "HMSET h a 1 b 2", "hset h", 2},
		{"HSETNX h a 5", ":0\r\n", "", "", 0},
		{"HSETNX h c 5", ":1\r\n", "HSETNX h c 5", "hset h", 1},
		{"HINCRBY h c 2", ":7\r\n", "HINCRBY h c 2", "hincrby h", 1},
		{"HINCRBY h c x", "-ERR value is not an integer or out of range\r\n", "", "", 0},
		{"HINCRBYFLOAT h c 0.50", "$3\r\n7.5\r\n", "HSET h c 7.5", "hincrbyfloat h", 1},
		{"HINCRBY h c 2", "-ERR hash value is not an integer\r\n", "", "", 0},
		{"HSET h long " + long, ":1\r\n", "HSET h long " + long, "hset h", 1},
		{"HSET h long " + long + long, ":0\r\n", "HSET h long " + long + long, "hset h", 1},
		{"HSET h long 1", ":0\r\n", "HSET h long 1", "hset h", 1},
		{"HDEL h nope", ":0\r\n", "", "", 0},
		{"HDEL h a a nope b", ":2\r\n", "HDEL h a a nope b", "hdel h", 2},
		{"HDEL h c long", ":2\r\n", "HDEL h c long", "hdel h; del h", 2},
		{"HGET h c", "$-1\r\n", "", "keymiss h", 0},
		{"HINCRBY h n 3", ":3\r\n", "HINCRBY h n 3", "hincrby h", 1},
		{"COPY h h2", ":1\r\n", "COPY h h2", "copy_to h2", 1},
		{"HDEL h n", ":1\r\n", "HDEL h n", "hdel h; del h", 1},
	})
}

// TestHashSnapshot changes hashes in all ways while a snapshot holds them.
func TestHashSnapshot(t *testing.T) {
	s := newTestServer(t)
	for i := range 300 {
		n := strconv.Itoa(i)
		s.do("HSET", "large", "f"+n, "v"+n)
		s.do("HSET", "small"+n, "a", "1", "b", n, "c", strings.Repeat("y", 40))
	}
	changeUnderSnapshot(t, s, func() {
		for i := range 600 {
			n := strconv.Itoa(i)
			s.do("HSET", "large", "f"+n, "new")
			s.do("HDEL", "large", "f"+strconv.Itoa(i*7%300))
			s.do("HINCRBY", "small"+strconv.Itoa(i%300), "b", "1")
			s.do("HSET", "small"+strconv.Itoa(i*3%300), "a", "2", "d", strings.Repeat("z", i))
			s.do("HDEL", "small"+strconv.Itoa(i*5%300), "c")
		}
	})
	if got := s.do("HGET", "small6", "d"); got != "$502\r\n"+strings.Repeat("z", 502)+"\r\n" {
		t.Errorf("small6 has %q", got)
	}
}

func TestHashAllocations(t *testing.T) {
	s := newTestServer(t)
	for i := range 1000 {
		s.do("HSET", "large", "field:"+strconv.Itoa(i), "value")
	}
	s.do("HSET", "small", "field:7", "value", "n", "10000")
	s.do("HSET", "large", "n", "10000")
	wantNoAllocations(t, s,
		"HSET small field:7 eulav", "HGET small field:7", "HSET large field:7 eulav", "HGET large field:7",
		"HINCRBY small n 1", "HINCRBY large n 1", "HEXISTS large field:7", "HSTRLEN large n", "HLEN large",
		"HMGET large field:1 field:2 none", "HDEL large none", "HSETNX large n 5",
	)
}
