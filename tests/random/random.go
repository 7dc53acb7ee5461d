// Package random gives tests their randomness. All of it comes from one seed for the process, which FERROUS_SEED sets and every
// failing test prints with the command that replays it.
//
// A package whose tests fill hash tables fixes their hash function with the same seed, in a test file:
//
//	func init() { table.FixHash(random.Process()) }
//
// FERROUS_STRESS makes the tests long: they ask Stress, or are run by Repeat.
package random

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// process returns the seed of this process.
var process = sync.OnceValue(func() uint64 {
	text := os.Getenv("FERROUS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic("FERROUS_SEED is no number: " + text)
	}
	return n
})

// Process returns the seed of this process.
func Process() uint64 { return process() }

// drawn is what a test has had of seeds.
type drawn struct {
	test  testing.TB // the run of the test that had the last one
	runs  int        // runs of the test (go test -count) so far
	seeds int        // in all of them
}

var (
	mu     sync.Mutex
	byName = map[string]*drawn{}
)

// Seed returns a seed for a test, another one each time. If the test fails it logs the command that replays it.
func Seed(t testing.TB) uint64 {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	d := byName[t.Name()]
	if d == nil {
		d = new(drawn)
		byName[t.Name()] = d
	}
	d.seeds++
	if d.test != t {
		d.test = t
		d.runs++
		runs := d.runs
		t.Cleanup(func() {
			if t.Failed() {
				t.Log("to run it again: " + replay(t.Name(), runs))
			}
		})
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", process(), t.Name(), d.seeds)
	return h.Sum64()
}

// replay is the command that runs a test again with its seeds; it failed in that run.
func replay(name string, run int) string {
	stress := ""
	if Stress() {
		stress = "FERROUS_STRESS=1 "
	}
	return fmt.Sprintf("%sFERROUS_SEED=%d go test -count=%d -run '^%s$'",
		stress, process(), run, strings.ReplaceAll(name, "/", "$/^"))
}

// New returns a source of random numbers for a test. It belongs to one goroutine.
func New(t testing.TB) *rand.Rand {
	t.Helper()
	return rand.New(rand.NewPCG(Seed(t), 1))
}

// Stress reports whether tests are to run long.
func Stress() bool { return os.Getenv("FERROUS_STRESS") != "" }

// Repeat runs a random test once, or many times with other seeds where tests are to run long.
func Repeat(t *testing.T, test func(t *testing.T)) {
	if !Stress() {
		test(t)
		return
	}
	for i := range repeats {
		if !t.Run(strconv.Itoa(i), test) {
			return
		}
	}
}

// repeats is how often Repeat runs a test that is to run long.
const repeats = 50
