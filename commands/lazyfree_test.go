package commands

import (
	"fmt"
	"strings"
	"testing"
)

// What INFO's lazyfreed_objects counts, as Redis 7.2.6 does: values that take more than 64 steps to free and whose key is
// deleted lazily. (Redis counts, besides, the copies of sets that SUNION and SPOP of a whole set make on their way; here they
// make none.) In the steps "many TYPE key n" makes a value of n elements, each of which is a step; a directive is set by "=
// name value".
var lazyfreeCases = []struct {
	name  string
	steps string
	freed int64
}{
	{"nothing", "SET k v; UNLINK k; UNLINK nosuch; FLUSHALL ASYNC", 0},
	{"the threshold", "many hash k 64; UNLINK k", 0},
	{"above the threshold", "many hash k 65; UNLINK k", 1},
	{"many keys", "many hash a 65; many set b 65; many zset c 65; SET d v; UNLINK a b c d", 3},
	{"one piece", "= hash-max-listpack-entries 512; many hash k 512; UNLINK k", 0},
	{"integers", "= set-max-intset-entries 512; many intset k 512; UNLINK k", 0},
	{"nodes of a list", "= list-max-listpack-size 1; many list k 65; UNLINK k", 1},
	{"few nodes of a list", "= list-max-listpack-size 100; many list k 500; UNLINK k", 0},
	{"nodes of a stream", "= stream-node-max-entries 1; many stream k 100; UNLINK k", 1},
	{"few nodes of a stream", "many stream k 100; UNLINK k", 0},
	{"pending entries", "many stream k 100; XGROUP CREATE k g 0; XREADGROUP GROUP g c COUNT 70 STREAMS k >; UNLINK k", 1},
	{"few pending entries", "many stream k 100; XGROUP CREATE k g 0; XREADGROUP GROUP g c COUNT 50 STREAMS k >; UNLINK k", 0},
	{"pending entries of two groups", "many stream k 100; XGROUP CREATE k a 0; XGROUP CREATE k b 0;" +
		"XREADGROUP GROUP a c COUNT 35 STREAMS k >; UNLINK k", 1},
	{"DEL", "many hash k 65; DEL k", 0},
	{"DEL, lazily", "= lazyfree-lazy-user-del yes; many hash k 65; DEL k", 1},
	{"replaced", "many hash k 65; SET k v", 0},
	{"replaced by SET", "= lazyfree-lazy-server-del yes; many hash k 65; SET k v; SET k w", 1},
	{"replaced by a collection", "= lazyfree-lazy-server-del yes; many set k 65; many set l 65; SINTERSTORE k l", 1},
	{"replaced by nothing", "= lazyfree-lazy-server-del yes; many set k 65; SINTERSTORE k l", 1},
	{"replaced by RENAME", "= lazyfree-lazy-server-del yes; many hash k 65; many hash l 65; RENAME k l", 1},
	{"renamed", "= lazyfree-lazy-server-del yes; many hash k 65; RENAME k l; MOVE l 1", 0},
	{"replaced by COPY", "= lazyfree-lazy-server-del yes; many hash k 65; many hash l 65; COPY k l REPLACE", 1},
	{"deadlines", "= lazyfree-lazy-server-del yes; many hash k 65; PEXPIRE k 100; PERSIST k; PEXPIRE k 200", 0},
	{"emptied by SPOP", "= lazyfree-lazy-server-del yes; many set k 65; SPOP k 65", 1},
	{"nearly emptied by SPOP", "= lazyfree-lazy-server-del yes; many set k 700; SPOP k 699", 1},
	{"deleted element by element", "= lazyfree-lazy-server-del yes; many set k 65; SPOP k; HDEL l f", 0},
	{"expired", "many hash k 65; PEXPIRE k 10; wait; EXISTS k", 0},
	{"expired, lazily", "= lazyfree-lazy-expire yes; many hash k 65; PEXPIRE k 10; wait; EXISTS k", 1},
	{"a deadline that has passed", "= lazyfree-lazy-expire yes; many hash k 65; PEXPIRE k -1", 1},
	{"FLUSHALL SYNC", "= lazyfree-lazy-user-flush yes; SET k v; FLUSHALL SYNC", 0},
	{"FLUSHALL", "SET k v; FLUSHALL", 0},
	{"FLUSHALL, lazily", "= lazyfree-lazy-user-flush yes; SET k v; FLUSHALL", 1},
	{"FLUSHALL ASYNC counts every key", "SET k v; SET l v; many hash m 65; SELECT 1; SET n v; FLUSHALL ASYNC", 4},
	{"FLUSHDB ASYNC", "SET k v; SELECT 1; SET k v; SET l v; FLUSHDB ASYNC", 2},
	{"64 scripts", "scripts 64; SCRIPT FLUSH ASYNC", 0},
	{"65 scripts", "scripts 65; SCRIPT FLUSH ASYNC", 65},
	{"65 scripts at once", "scripts 65; SCRIPT FLUSH SYNC", 0},
	{"64 functions", "functions 64; FUNCTION FLUSH ASYNC", 0},
	{"65 functions", "functions 65; FUNCTION FLUSH ASYNC", 65},
	{"RESETSTAT", "SET k v; FLUSHALL ASYNC; CONFIG RESETSTAT", 0},
}

// lazyfreeSteps returns the commands of such steps.
func lazyfreeSteps(steps string) (commands []string) {
	for step := range strings.SplitSeq(steps, ";") {
		step = strings.TrimSpace(step)
		var kind, key string
		var n int
		if _, err := fmt.Sscanf(step, "many %s %s %d", &kind, &key, &n); err == nil {
			form := map[string]string{"hash": "HSET %s field:%d v", "set": "SADD %s member:%d", "intset": "SADD %s %d",
				"zset": "ZADD %s 1 member:%d", "list": "RPUSH %s element:%d", "stream": "XADD %s %d-1 f v"}[kind]
			for i := range n {
				commands = append(commands, fmt.Sprintf(form, key, i+1))
			}
		} else if _, err := fmt.Sscanf(step, "scripts %d", &n); err == nil {
			for i := range n {
				commands = append(commands, fmt.Sprintf("SCRIPT LOAD return(%d)", i))
			}
		} else if _, err := fmt.Sscanf(step, "functions %d", &n); err == nil {
			for i := range n {
				commands = append(commands, fmt.Sprintf("FUNCTION LOAD #!lua_name=l%d\nredis.register_function('f%d',function()end)", i, i))
			}
		} else if name, ok := strings.CutPrefix(step, "= "); ok {
			commands = append(commands, "CONFIG SET "+name)
		} else {
			commands = append(commands, step)
		}
	}
	return commands
}

func TestLazyfreedObjects(t *testing.T) {
	for _, tc := range lazyfreeCases {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestServer(t, "hash-max-listpack-entries", "0", "set-max-listpack-entries", "0", "zset-max-listpack-entries", "0")
			for _, command := range lazyfreeSteps(tc.steps) {
				if command == "wait" {
					s.now += 20
					continue
				}
				words := strings.Split(command, " ")
				for i, w := range words {
					words[i] = strings.Replace(w, "_", " ", 1) // in a function's first line
				}
				if reply := s.do(words...); reply[0] == '-' {
					t.Fatalf("%s: %s", command, reply)
				}
			}
			wantLazyfreed(t, s, tc.freed)
		})
	}
}

func wantLazyfreed(t *testing.T, s *testServer, want int64) {
	t.Helper()
	info := s.do("INFO", "memory")
	if line := fmt.Sprintf("\r\nlazyfreed_objects:%d\r\n", want); !strings.Contains(info, line) || !strings.Contains(info, "\r\nlazyfree_pending_objects:0\r\n") {
		t.Errorf("%d counted, should be %d:\n%s", s.Keyspace.LazilyFreed, want, info)
	}
}

// Evicted values count with lazyfree-lazy-eviction, and a table of more than 64 tracked keys with FLUSHALL ASYNC.
func TestLazyfreedElsewhere(t *testing.T) {
	for lazily, want := range map[string]int64{"no": 0, "yes": 1} {
		s := newTestServer(t, "hash-max-listpack-entries", "0", "lazyfree-lazy-eviction", lazily)
		for _, command := range lazyfreeSteps("many hash k 65") {
			s.doLine(command)
		}
		s.doLine("CONFIG SET maxmemory-policy allkeys-random")
		s.doLine("CONFIG SET maxmemory 1")
		s.doLine("SET l v")
		if s.Keyspace.DBs()[0].Len() != 0 {
			t.Fatal("nothing was evicted")
		}
		wantLazyfreed(t, s, want)
	}
	for keys, want := range map[int]int64{20: 20, 64: 128} {
		s := newTestServer(t)
		s.doLine("HELLO 3")
		s.doLine("CLIENT TRACKING ON")
		for i := range keys {
			key := fmt.Sprint("key:", i)
			s.do("SET", key, "v")
			s.do("GET", key)
		}
		s.doLine("FLUSHALL ASYNC")
		wantLazyfreed(t, s, want)
	}
}
