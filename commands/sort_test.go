package commands

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

func TestSortEffects(t *testing.T) {
	runEffects(t, newTestServer(t), []effectStep{
		{"RPUSH l 3 1 2", ":3\r\n", "RPUSH l 3 1 2", "rpush l", 3},
		{"SORT l", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", "", "", 0},
		{"SORT l DESC LIMIT 0 1", "*1\r\n$1\r\n3\r\n", "", "", 0},
		{"SORT l STORE d", ":3\r\n", "SORT l STORE d", "sortstore d", 3},
		{"LRANGE d 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n", "", "", 0},
		{"SORT l GET # GET # LIMIT 1 1 STORE d", ":2\r\n", "SORT l GET # GET # LIMIT 1 1 STORE d", "sortstore d", 2},
		{"SORT nokey STORE none", ":0\r\n", "", "keymiss nokey", 0},
		{"SORT l LIMIT 9 1 STORE d", ":0\r\n", "SORT l LIMIT 9 1 STORE d", "del d", 1},
		{"SORT l STORE l", ":3\r\n", "SORT l STORE l", "sortstore l", 3},
		{"SET d x EX 100", "+OK\r\n", "SET d x PXAT 1700000100000", "set d; expire d", 1},
		{"SORT l DESC STORE d", ":3\r\n", "SORT l DESC STORE d", "sortstore d", 3},
		{"TTL d", ":-1\r\n", "", "", 0},
		{"SORT l BY w_* GET w_*", "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "",
			"keymiss w_1; keymiss w_2; keymiss w_3; keymiss w_1; keymiss w_2; keymiss w_3", 0},
		{"SORT_RO l STORE d", "-ERR syntax error\r\n", "", "", 0},
		{"RPUSH l a", ":4\r\n", "RPUSH l a", "rpush l", 1},
		{"SORT l STORE d", "-ERR One or more scores can't be converted into double\r\n", "", "", 0},
		{"SADD s b a", ":2\r\n", "SADD s b a", "sadd s", 2},
		// A set is in no order that replicas would share: what is stored of it is sorted.
		{"SORT s BY nosort DESC STORE d", ":2\r\n", "SORT s BY nosort DESC STORE d", "sortstore d", 2},
		{"LRANGE d 0 -1", "*2\r\n$1\r\nb\r\n$1\r\na\r\n", "", "", 0},
	})
}

// SORT with STORE counts in the memory of the database what it stores.
func TestSortStoreBytes(t *testing.T) {
	s := newTestServer(t)
	for i := range 3000 {
		s.do("RPUSH", "l", strconv.Itoa(i)+strings.Repeat("x", i%50))
	}
	s.do("SORT", "l", "ALPHA", "STORE", "d")
	checkBytes(t, s, "SORT ALPHA STORE")
	s.do("SORT", "l", "ALPHA", "LIMIT", "0", "5", "STORE", "d")
	checkBytes(t, s, "SORT LIMIT STORE")
}

// sortedReply makes the reply to SORT of numbers.
func sortedReply(nums []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(nums))
	for _, n := range nums {
		s := strconv.Itoa(n)
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(s), s)
	}
	return b.String()
}

// LIMIT selects from what the whole order would be, in both directions, of all sources.
func TestSortLimitModel(t *testing.T) { random.Repeat(t, testSortLimitModel) }

func testSortLimitModel(t *testing.T) {
	r := random.New(t)
	for range 200 {
		s := newTestServer(t, "list-max-listpack-size", "8", "list-compress-depth", "1")
		n := 1 + r.IntN(300)
		nums := make([]int, n)
		for i := range nums {
			nums[i] = r.IntN(2*n) - n
			s.do("RPUSH", "list", strconv.Itoa(nums[i]))
			s.do("SADD", "set", strconv.Itoa(nums[i]))
			s.do("SET", "w_"+strconv.Itoa(nums[i]), strconv.Itoa(-nums[i]))
		}
		slices.Sort(nums)
		distinct := slices.Compact(slices.Clone(nums))
		offset, count := r.IntN(n+2), r.IntN(n+2)
		for key, want := range map[string][]int{"list": nums, "set": distinct} {
			for _, desc := range []bool{false, true} {
				want := slices.Clone(want)
				args := []string{"SORT", key, "LIMIT", strconv.Itoa(offset), strconv.Itoa(count)}
				if desc {
					slices.Reverse(want)
					args = append(args, "DESC")
				}
				want = want[min(offset, len(want)):min(offset+count, len(want))]
				if got := s.do(args...); got != sortedReply(want) {
					t.Fatalf("%q: %q, want %q", args, got, sortedReply(want))
				}
				if !desc {
					args = append(args, "BY", "w_*", "DESC") // the weights are negated
				} else {
					args = append(args[:len(args)-1], "BY", "w_*")
				}
				if got := s.do(args...); got != sortedReply(want) {
					t.Fatalf("%q: %q, want %q", args, got, sortedReply(want))
				}
			}
		}
	}
}

// A pattern that names a field sees fields that have not expired only.
func TestSortHashFields(t *testing.T) {
	s := newTestServer(t)
	s.do("RPUSH", "l", "1", "2")
	s.do("HSET", "h1", "f", "a", "g", "x")
	s.do("HSET", "h2", "f->", "b", "f", "c")
	s.do("SET", "k1", "s1")
	s.do("SET", "k2->", "s2")
	for _, c := range []struct{ pattern, want string }{
		{"h*->f", "$1\r\na\r\n$1\r\nc\r\n"},
		{"h*->f->", "$-1\r\n$1\r\nb\r\n"},
		{"k*->", "$-1\r\n$2\r\ns2\r\n"},
		{"k*", "$2\r\ns1\r\n$-1\r\n"},
		{"k*->f", "$-1\r\n$-1\r\n"},
		{"h*", "$-1\r\n$-1\r\n"},
		{"k1", "$-1\r\n$-1\r\n"},
		{"#", "$1\r\n1\r\n$1\r\n2\r\n"},
	} {
		if got := s.do("SORT", "l", "GET", c.pattern); got != "*2\r\n"+c.want {
			t.Errorf("GET %s: %q, want %q", c.pattern, got, c.want)
		}
	}
}

func BenchmarkSort(b *testing.B) {
	s := newTestServer(b)
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		s.do("RPUSH", "l", strconv.Itoa(r.IntN(1<<30)))
	}
	for _, line := range []string{"SORT l LIMIT 0 10", "SORT l STORE d", "SORT l ALPHA STORE d", "SORT l BY nosort LIMIT 50000 10"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.doLine(line)
			}
		})
	}
}

// SORT makes a small sorted set large, as in Redis; a snapshot that holds it still sees the small one.
func TestSortConvertsUnderSnapshot(t *testing.T) {
	s := newTestServer(t)
	s.do("ZADD", "z", "3", "1", "2", "2", "1", "3")
	snap, err := s.Keyspace.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.do("SORT", "z", "LIMIT", "0", "2"); got != sortedReply([]int{1, 2}) {
		t.Errorf("SORT: %q", got)
	}
	if got := s.do("SORT", "z", "BY", "nosort", "LIMIT", "1", "2"); got != sortedReply([]int{2, 1}) {
		t.Errorf("SORT BY nosort: %q", got)
	}
	if got := s.do("SORT", "z", "BY", "nosort", "DESC", "LIMIT", "0", "1"); got != sortedReply([]int{1}) {
		t.Errorf("SORT BY nosort DESC: %q", got)
	}
	if got := s.do("OBJECT", "ENCODING", "z"); got != "$8\r\nskiplist\r\n" {
		t.Errorf("encoding %q", got)
	}
	seen := 0
	snap.Walk(func(_ int, r *record.Record) bool {
		seen++
		if e := keyspace.Encoding(r); e != record.ListPack {
			t.Errorf("the snapshot sees %v", e)
		}
		return true
	})
	snap.Release()
	if seen != 1 {
		t.Errorf("the snapshot saw %d keys", seen)
	}
	checkBytes(t, s, "SORT")
}
