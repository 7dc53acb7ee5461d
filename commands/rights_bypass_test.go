package commands

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// What is checked must be what is used. A user who may touch a* (and options' names) sends requests of all commands with keys, many of them
// mangled so that they almost make sense: options twice, words that end in a zero byte, keys where none are expected. Whatever
// the reply, no record of b* may be looked up or replaced: looking one up moves its access clock.

// guarded is what is seen of a record that must be left alone.
type guarded struct {
	r     *record.Record
	clock uint32
}

func (ts *testServer) fillTyped(prefix string) {
	for i, line := range []string{"SET %s 10", "RPUSH %s 1 2 3 x", "SADD %s 1 2 x", "HSET %s f v g 1", "ZADD %s 1 x 2 y",
		"GEOADD %s 1 1 m 2 2 n", "PFADD %s x y", "XADD %s 1-1 f v"} {
		ts.doLine(fmt.Sprintf(line, fmt.Sprintf("%s%d", prefix, i)))
	}
	// The stream has a group that reads again and again, and an entry that is pending.
	stream := prefix + "7"
	ts.do("XGROUP", "CREATE", stream, "s", "0")
	ts.do("XREADGROUP", "GROUP", "s", "s", "STREAMS", stream, ">")
	for i := range 3 {
		ts.do("XADD", stream, fmt.Sprintf("2-%d", i), "f", "v")
	}
}

const typedKeys = 8

// prying is a script that touches whatever it is given, as far as it may.
const prying = `for _, words in ipairs({KEYS, ARGV}) do
	for _, key in ipairs(words) do
		redis.pcall('GET', key)
		redis.pcall('EXPIRE', key, 100000)
	end
end
return 1`

// rightTexts are strings with which commands succeed.
var rightTexts = map[string]string{"ID": "0", "id": "0", "start": "0", "end": "9", "last-id": "2-2", "min-idle-time": "0",
	"threshold": "2", "script": prying, "sha1": fmt.Sprintf("%x", sha1.Sum([]byte(prying))), "function": "pry"}

// newBypassServer has a user who may touch only a* and words in upper case, which are options, and a client of that user.
func newBypassServer(t *testing.T) (*testServer, *Client) {
	ts := newTestServer(t)
	ts.doLine("ACL SETUSER u on nopass +@all &* ~a* ~[A-Z]*")
	ts.do("SCRIPT", "LOAD", prying)
	ts.do("FUNCTION", "LOAD", "#!lua name=pry\nredis.register_function{function_name='pry', flags={'no-writes'}, callback=function(KEYS, ARGV)\n"+
		prying+"\nend}")
	c := ts.client()
	ts.doAs(c, "AUTH", "u", "x")
	return ts, c
}

// tokens collects the words that stand for themselves in a grammar.
func tokens(dst []string, args []session.Arg) []string {
	for i := range args {
		if args[i].Token != "" {
			dst = append(dst, args[i].Token)
		}
		dst = tokens(dst, args[i].Args)
	}
	return dst
}

// mangle makes a request almost right.
func mangle(rng *rand.Rand, words, known []string) []string {
	words = slices.Clone(words)
	at := func() int { return 1 + rng.IntN(len(words)) } // a place behind the name, the end included
	forbidden := func() string { return fmt.Sprintf("b%d", rng.IntN(typedKeys)) }
	for range rng.IntN(4) {
		i, j := at(), at()
		switch rng.IntN(9) {
		case 0: // a part twice
			words = slices.Insert(words, i, slices.Clone(words[min(i, j):max(i, j)])...)
		case 1:
			words = slices.Insert(words, i, forbidden())
		case 2:
			if i < len(words) {
				words[i] = forbidden()
			}
		case 3:
			if len(known) > 0 {
				words = slices.Insert(words, i, known[rng.IntN(len(known))], forbidden())
			}
		case 4:
			if len(known) > 0 {
				words = slices.Insert(words, i, known[rng.IntN(len(known))]+"\x00z", forbidden())
			}
		case 5:
			if i < len(words) && slices.Contains(known, words[i]) {
				words[i] = strings.ToLower(words[i]) + "\x00z"
			}
		case 6:
			if i < len(words) {
				words = slices.Delete(words, i, i+1)
			}
		case 7:
			if i < len(words) {
				words[i] = []string{"0", "-1", "2", "3", "7"}[rng.IntN(5)]
			}
		case 8:
			if i < len(words) && j < len(words) {
				words[i], words[j] = words[j], words[i]
			}
		}
	}
	return words
}

// refill makes the keys a* and b* that they are to be at the beginning.
func (ts *testServer) refill() {
	ts.doLine("FLUSHALL")
	ts.fillTyped("a")
	ts.fillTyped("b")
}

// guardedRun runs a request of a user who may access a* and words in upper case only. broken is what the request did to another
// key, "" for nothing.
func (ts *testServer) guardedRun(c *Client, words []string) (reply, broken string) {
	db := ts.Keyspace.DBs()[0]
	name := []byte("b0")
	var before [typedKeys]guarded
	for i := range before {
		name[1] = '0' + byte(i)
		r := db.Peek(name)
		before[i] = guarded{r, r.Clock()}
	}
	ts.now += 10_000
	reply = ts.doAs(c, words...)
	for i, g := range before {
		name[1] = '0' + byte(i)
		if r := db.Peek(name); r != g.r || r.Clock() != g.clock {
			return reply, fmt.Sprintf("%q touched b%d and answered %q", words, i, reply)
		}
	}
	for _, w := range words {
		if w != "" && w[0] != 'a' && !('A' <= w[0] && w[0] <= 'Z') && db.Peek([]byte(w)) != nil && !(len(w) == 2 && w[0] == 'b' && w[1] < '0'+typedKeys) {
			return reply, fmt.Sprintf("%q made the key %q and answered %q", words, w, reply)
		}
	}
	if c.tx != nil {
		ts.endTransaction(c) // of WATCH
	}
	return reply, ""
}

func TestNoWayAroundKeys(t *testing.T) { random.Repeat(t, testNoWayAroundKeys) }

func testNoWayAroundKeys(t *testing.T) {
	rng := random.New(t)
	ts, c := newBypassServer(t)
	key := func() string {
		prefix := "a"
		if rng.IntN(10) == 0 {
			prefix = "b"
		}
		return fmt.Sprintf("%s%d", prefix, rng.IntN(typedKeys))
	}
	ran, refused := make(map[string]int), 0
	all := 0
	walk(ts, func(e *session.Entry) {
		if !e.HasKeys() {
			return
		}
		known := tokens(nil, e.Args)
		for n := range 300 {
			if n%40 == 0 {
				ts.refill()
			}
			g := sampler{rng: rng, key: key, texts: rightTexts}
			reply, broken := ts.guardedRun(c, mangle(rng, g.request(e), known))
			if broken != "" {
				t.Fatalf("%s", broken)
			}
			if strings.HasPrefix(reply, "-NOPERM") {
				refused++
			} else if reply[0] != '-' {
				ran[e.Full]++
				all++
			}
		}
	})
	if all < 1000 || refused < 1000 {
		t.Errorf("%d requests were executed and %d refused", all, refused)
	}
	for _, name := range []string{"eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "xack", "xdel", "xrange"} {
		if ran[name] == 0 {
			t.Errorf("no request of %s was executed", name)
		}
	}
}

// shortestFor returns the shortest request of a command, with a key of the type that it is for.
func shortestFor(e *session.Entry) []string {
	typed := map[session.Group]string{session.GroupList: "a1", session.GroupSet: "a2", session.GroupHash: "a3", session.GroupSortedSet: "a4", session.GroupGeo: "a5",
		session.GroupHyperLogLog: "a6", session.GroupStream: "a7"}
	g := sampler{texts: rightTexts, key: func() string {
		if e.Name == "sort" || e.Name == "sort_ro" {
			return "a1"
		}
		return cmp.Or(typed[e.Group], "a0")
	}}
	words := g.request(e)
	if e.Name == "sort" || e.Name == "sort_ro" {
		words = append(words, "ALPHA") // its elements are no numbers
	}
	for i, w := range words {
		switch {
		case w != "s":
		case e.Group == session.GroupGeo:
			words[i] = "m" // a member of a5
		case e.Name == "migrate":
			words[i] = "" // a host that needs no look-up
		}
	}
	return words
}

// eachList calls f for every list of n words.
func eachList(words []string, n int, f func([]string)) {
	list := make([]string, n)
	var fill func(i int)
	fill = func(i int) {
		if i == n {
			f(list)
			return
		}
		for _, w := range words {
			list[i] = w
			fill(i + 1)
		}
	}
	fill(0)
}

// Options in the place of other options' arguments: SORT a1 STORE by STORE b1 stores at b1. Behind the shortest request of
// each command with keys comes every list of up to four words, as long as these are not too many, within it every list of up
// to two (XREAD has its options in front of the keys), and random longer ones behind or within it, all made of the command's
// own words, of keys and of numbers. Only the words and a* may be touched.
func TestNoOptionHidesKey(t *testing.T) { random.Repeat(t, testNoOptionHidesKey) }

func testNoOptionHidesKey(t *testing.T) {
	rng := random.New(t)
	ts, c := newBypassServer(t)
	ran := make(map[string]int)
	total := 0
	run := func(e *session.Entry, words []string) {
		if total%40 == 0 {
			ts.refill()
		}
		total++
		reply, broken := ts.guardedRun(c, words)
		if broken != "" {
			t.Fatalf("%s", broken)
		}
		if reply[0] != '-' {
			ran[e.Full]++
		}
	}
	walk(ts, func(e *session.Entry) {
		known := tokens(nil, e.Args)
		if !e.HasKeys() || len(known) == 0 {
			return
		}
		slices.Sort(known)
		known = slices.Compact(known)
		// Words that are all alike to what finds keys are left out, so that the lists stay few.
		known = slices.DeleteFunc(known, func(w string) bool {
			return slices.Contains([]string{"M", "KM", "FT", "MI", "WITHCOORD", "WITHHASH", "DESC"}, strings.ToUpper(w))
		})
		head, name := shortestFor(e), len(strings.Split(e.Full, "|"))
		alphabet := append(known, "a0", "a4", "b1", "s", "2")
		for length, lists := 1, len(alphabet); length <= 4 && lists <= 30_000; length, lists = length+1, lists*len(alphabet) {
			eachList(alphabet, length, func(list []string) {
				run(e, append(slices.Clone(head), list...))
				for at := name; length <= 2 && at < len(head); at++ {
					run(e, slices.Insert(slices.Clone(head), at, list...))
				}
			})
		}
		for range 200 * len(known) {
			var list []string
			for range 4 + rng.IntN(4) {
				list = append(list, alphabet[rng.IntN(len(alphabet))])
			}
			at := len(head)
			if rng.IntN(2) == 0 {
				at = name + rng.IntN(len(head)-name)
			}
			run(e, slices.Insert(slices.Clone(head), at, list...))
		}
	})
	for _, name := range []string{"sort", "sort_ro", "georadius", "georadiusbymember", "georadius_ro", "geosearchstore", "set",
		"zunionstore", "zinter", "sintercard", "lmpop", "zmpop", "copy", "bitfield", "memory|usage", "getex",
		"xread", "xreadgroup", "xadd", "xtrim", "xautoclaim", "xclaim", "xpending", "xgroup|setid", "xsetid"} {
		if ran[name] == 0 {
			t.Errorf("no request of %s was executed", name)
		}
	}
	t.Logf("%d requests; executed: %v", total, ran)
}
