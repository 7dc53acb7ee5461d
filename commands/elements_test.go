package commands

import (
	"strings"
	"testing"
)

// BenchmarkElements runs what adds one element to a collection and takes it out again, or changes one that is there.
func BenchmarkElements(b *testing.B) {
	for _, lines := range []string{
		"lpush l element; lpop l", "rpush l element; rpop l", "sadd s member:7", "sadd s new; srem s new",
		"hset h field:7 value", "hset h new value; hdel h new", "hincrby h n 1", "zadd z 7 member:7", "zadd z 1 new; zrem z new", "zincrby z 1 member:7",
	} {
		b.Run(strings.ReplaceAll(lines, " ", "_"), func(b *testing.B) {
			s := newTestServer(b)
			for _, line := range []string{"rpush l a b c d", "sadd s member:7 a b", "hset h field:7 value n 10000", "zadd z 1 a 2 b 3 member:7"} {
				s.doLine(line)
			}
			requests := requests(lines)
			b.ReportAllocs()
			for b.Loop() {
				for _, args := range requests {
					s.run(s.c, args)
				}
			}
		})
	}
}
