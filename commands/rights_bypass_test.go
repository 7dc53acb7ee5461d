package commands

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ferrous/datatypes/record"
)

// What is checked must be what is used. A user who may touch a* sends requests of all commands with keys, many of them
// mangled so that they almost make sense: options twice, words that end in a zero byte, keys where none are expected. Whatever
// the reply, no record of b* may be looked up or replaced: looking one up moves its access clock.

// guarded is what is seen of a record that must be left alone.
type guarded struct {
	r     *record.Record
	clock uint32
}

func (ts *testServer) fillTyped(prefix string) {
	for i, line := range []string{"SET %s 10", "RPUSH %s 1 2 3 x", "SADD %s 1 2 x", "HSET %s f v g 1", "ZADD %s 1 x 2 y",
		"GEOADD %s 1 1 m 2 2 n", "PFADD %s x y"} {
		ts.doLine(fmt.Sprintf(line, fmt.Sprintf("%s%d", prefix, i)))
	}
}

const typedKeys = 7

// tokens collects the words that stand for themselves in a grammar.
func tokens(dst []string, args []Arg) []string {
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

func TestNoWayAroundKeys(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	ts := newTestServer(t)
	ts.doLine("ACL SETUSER u on nopass +@all &* ~a*")
	c := ts.client()
	ts.doAs(c, "AUTH", "u", "x")
	key := func() string {
		prefix := "a"
		if rng.IntN(10) == 0 {
			prefix = "b"
		}
		return fmt.Sprintf("%s%d", prefix, rng.IntN(typedKeys))
	}
	ran, refused := 0, 0
	walk(ts, func(e *entry) {
		if !e.hasKeys() {
			return
		}
		known := tokens(nil, e.Args)
		for n := range 300 {
			if n%40 == 0 {
				ts.doLine("FLUSHALL")
				ts.fillTyped("a")
				ts.fillTyped("b")
			}
			g := sampler{rng: rng, key: key}
			words := mangle(rng, g.request(e), known)
			var before [typedKeys]guarded
			for i := range before {
				r := ts.ks.DBs()[0].Peek(fmt.Appendf(nil, "b%d", i))
				before[i] = guarded{r, r.Clock()}
			}
			ts.now += 10_000
			reply := ts.doAs(c, words...)
			for i, g := range before {
				r := ts.ks.DBs()[0].Peek(fmt.Appendf(nil, "b%d", i))
				if r != g.r || r.Clock() != g.clock {
					t.Fatalf("seed %d: %q touched b%d and answered %q", seed, words, i, reply)
				}
			}
			if strings.HasPrefix(reply, "-NOPERM") {
				refused++
			} else if reply[0] != '-' {
				ran++
			}
			if c.tx != nil {
				ts.endTransaction(c) // of WATCH
			}
		}
	})
	if ran < 1000 || refused < 1000 {
		t.Errorf("seed %d: %d requests were executed and %d refused", seed, ran, refused)
	}
}
