package commands

import (
	"fmt"
	"strconv"
	"testing"
)

func TestZSetEffects(t *testing.T) {
	runEffects(t, newTestServer(t, "zset-max-listpack-entries", "4"), []effectStep{
		{"ZADD z 1 a 2 b 1 a", ":2\r\n", "ZADD z 1 a 2 b 1 a", "zadd z", 2},
		{"ZADD z 1 a", ":0\r\n", "", "", 0},
		{"ZADD z CH 3 a 2 b 3 c", ":2\r\n", "ZADD z CH 3 a 2 b 3 c", "zadd z", 2},
		{"ZADD z NX 9 a", ":0\r\n", "", "", 0},
		{"ZADD z XX INCR 1 nope", "$-1\r\n", "", "", 0},
		{"ZADD z INCR 0.5 a", "$3\r\n3.5\r\n", "ZADD z INCR 0.5 a", "zincr z", 1},
		{"ZINCRBY z 1 a", "$3\r\n4.5\r\n", "ZINCRBY z 1 a", "zincr z", 1},
		{"ZINCRBY z 0 a", "$3\r\n4.5\r\n", "", "", 0},
		{"ZINCRBY z inf a", "$3\r\ninf\r\n", "ZINCRBY z inf a", "zincr z", 1},
		{"ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)\r\n", "", "", 0},
		{"ZADD none XX 1 a", ":0\r\n", "", "", 0},
		{"ZADD z 5 d 6 e", ":2\r\n", "ZADD z 5 d 6 e", "zadd z", 2},
		{"OBJECT ENCODING z", "$8\r\nskiplist\r\n", "", "", 0},
		{"ZREM z nope", ":0\r\n", "", "", 0},
		{"ZREM z a nope", ":1\r\n", "ZREM z a nope", "zrem z", 1},
		{"ZRANGESTORE s z 0 1", ":2\r\n", "ZRANGESTORE s z 0 1", "zrangestore s", 1},
		{"OBJECT ENCODING s", "$8\r\nlistpack\r\n", "", "", 0},
		{"COPY z y", ":1\r\n", "COPY z y", "copy_to y", 1},
		{"ZUNIONSTORE u 2 z s", ":4\r\n", "ZUNIONSTORE u 2 z s", "zunionstore u", 1},
		{"ZINTERSTORE u 2 z s", ":2\r\n", "ZINTERSTORE u 2 z s", "zinterstore u", 1},
		{"ZDIFFSTORE u 2 z s", ":2\r\n", "ZDIFFSTORE u 2 z s", "zdiffstore u", 1},
		{"ZDIFFSTORE u 2 s z", ":0\r\n", "ZDIFFSTORE u 2 s z", "del u", 1},
		{"ZDIFFSTORE u 2 s z", ":0\r\n", "", "", 0},
		{"ZREMRANGEBYRANK y 0 0", ":1\r\n", "ZREMRANGEBYRANK y 0 0", "zremrangebyrank y", 1},
		{"ZREMRANGEBYSCORE y 7 8", ":0\r\n", "", "", 0},
		{"ZREMRANGEBYSCORE y 5 6", ":2\r\n", "ZREMRANGEBYSCORE y 5 6", "zremrangebyscore y", 2},
		{"ZREMRANGEBYLEX y - +", ":1\r\n", "ZREMRANGEBYLEX y - +", "zremrangebylex y; del y", 1},
		{"ZPOPMIN z 0", "*0\r\n", "", "", 0},
		{"ZPOPMIN z", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n", "ZPOPMIN z", "zpopmin z", 1},
		{"ZPOPMAX z 2", "*4\r\n$1\r\ne\r\n$1\r\n6\r\n$1\r\nd\r\n$1\r\n5\r\n", "ZPOPMAX z 2", "zpopmax z", 2},
		{"ZMPOP 2 none z MAX COUNT 5", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n", "ZPOPMAX z 1", "zpopmax z; del z", 1},
		{"ZMPOP 2 none z MIN", "*-1\r\n", "", "", 0},
		{"ZPOPMIN s 5", "*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\nc\r\n$1\r\n3\r\n", "ZPOPMIN s 5", "zpopmin s; del s", 2},
	})
}

// TestZSetSnapshot changes sorted sets in all ways while a snapshot holds them.
func TestZSetSnapshot(t *testing.T) {
	s := newTestServer(t)
	for i := range 300 {
		n := strconv.Itoa(i)
		s.do("ZADD", "large", n, "m"+n)
		s.do("ZADD", "small"+n, "1", "a", "2.5", "b", n, n)
	}
	changeUnderSnapshot(t, s, func() {
		for i := range 600 {
			n := strconv.Itoa(i)
			s.do("ZADD", "large", n, "new"+n)
			s.do("ZADD", "large", n, "m"+strconv.Itoa(i*3%300))
			s.do("ZREM", "large", "m"+strconv.Itoa(i*7%300))
			s.do("ZPOPMAX", "small"+strconv.Itoa(i*5%300))
			s.do("ZINCRBY", "small"+strconv.Itoa(i%300), "0.5", "a")
			s.do("ZREMRANGEBYRANK", "small"+strconv.Itoa(i*11%300), "0", "0")
			s.do("ZUNIONSTORE", "small"+strconv.Itoa(i*13%300), "2", "small1", "small"+n)
		}
	})
	if got := s.do("ZSCORE", "large", "new599"); got != "$3\r\n599\r\n" {
		t.Errorf("a change during the snapshot is lost: %q", got)
	}
}

func TestZSetAllocations(t *testing.T) {
	s := newTestServer(t)
	for i := range 2000 {
		n := strconv.Itoa(i)
		s.do("ZADD", "large", n+".5", "member:"+n)
		s.do("ZADD", "small", strconv.Itoa(i%100)+".5", "m"+strconv.Itoa(i%100))
	}
	wantNoAllocations(t, s,
		"ZADD large 7.5 member:7", "ZADD small 7.5 m7",
		"ZADD large 7.25 member:7; ZADD large 7.75 member:7",
		"ZADD large 800.5 member:7; ZADD large 7.5 member:7",
		"ZADD small 80.5 m7; ZADD small 17.5 m7",
		"ZADD large 1 member:7 2 member:9; ZADD large 3 member:7 4 member:9",
		"ZINCRBY large 1 member:7; ZINCRBY large -1 member:7",
		"ZSCORE large member:7", "ZSCORE small m7", "ZSCORE large none", "ZMSCORE large member:7 member:8",
		"ZRANK large member:7 WITHSCORE", "ZCARD large", "ZREM large none", "ZCOUNT large 5 (500",
		"ZRANGE large 5 200 WITHSCORES", "ZRANGE small (5 50 BYSCORE LIMIT 0 20", "ZRANGE large [member:1 (member:2 BYLEX",
		"ZPOPMIN large", "ZPOPMAX large", "ZPOPMIN large 3",
	)
}

// TestScannedScores holds in which notation ZSCAN gives scores: Redis's two.
func TestScannedScores(t *testing.T) {
	s := newTestServer(t, "zset-max-listpack-entries", "0")
	s.do("ZADD", "large", "0.1", "a")
	s.do("CONFIG", "SET", "zset-max-listpack-entries", "10")
	s.do("ZADD", "small", "0.1", "a")
	for key, want := range map[string]string{"large": "0.10000000000000001", "small": "0.1"} {
		want = fmt.Sprintf("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$%d\r\n%s\r\n", len(want), want)
		if got := s.do("ZSCAN", key, "0"); got != want {
			t.Errorf("ZSCAN %s: %q, want %q", key, got, want)
		}
	}
}
