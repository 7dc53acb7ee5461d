// Package simulation runs servers of package replication in one process, on a clock, a network and disks that are
// simulated, so that thousands of bad days pass in a minute and each can be replayed.
//
// # The parts
//
//	world.go    World: the clock and the queue of events, the only source of chance, what is checked at all times
//	network.go  connections: bytes that are delayed, split, stalled and cut
//	server.go   server: a model keyspace around a replication.Node, driven as commands drives it; its disk
//	stream.go   the commands of the model and the parser of the stream
//	plan.go     Plan: what happens in a run; how it ends
//
// # The model
//
// A keyspace is a map of databases; its commands are such that one that is missing, doubled, in another order or in the
// wrong database shows in the digest (APPEND, INCR, SET, DEL, FLUSHDB, alone and in MULTI).
//
// # What is checked
//
// Always: a history says what the data are. Whenever a server stands at an offset of a replid, its digest is remembered;
// another server, or the same later, at this point must have the same digest. The stream must never be garbage, and the
// node must never panic. At the end, after faults have ceased and one server was made the master of all: all links come
// up, with equal replids, offsets and digests. Plans without faults that may lose something also check that nothing that was
// acknowledged is missing, and that nobody needed a full synchronisation who had done one before.
//
// A run is a function of its Plan and seed: Run twice gives the same trace.
package simulation

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// World is one run.
type World struct {
	now     int64 // ms
	rng     *rand.Rand
	queue   events
	seq     int64
	servers []*server
	points  map[point]seen
	plan    Plan

	trace   uint64 // hash of all that happened
	lines   []string
	verbose bool
	failure string

	acked []string // tokens that were acknowledged and must not be lost
	token int
}

// point is a place in a history.
type point struct {
	id     string
	offset int64
}

type seen struct {
	digest uint64
	who    string
}

type event struct {
	at  int64
	seq int64
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(e any)   { *q = append(*q, e.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// at has a function run after delay ms.
func (w *World) at(delay int64, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + max(delay, 0), w.seq, do})
}

// until lets time pass until t, or until something fails.
func (w *World) until(t int64) {
	for w.failure == "" && len(w.queue) > 0 && w.queue[0].at <= t {
		e := heap.Pop(&w.queue).(event)
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = max(w.now, t)
}

// chance returns true in one of n cases.
func (w *World) chance(n int) bool { return n > 0 && w.rng.IntN(n) == 0 }

// between draws from lo to hi.
func (w *World) between(lo, hi int) int { return lo + w.rng.IntN(hi-lo+1) }

// pick draws one of a slice.
func pick[T any](w *World, s []T) T { return s[w.rng.IntN(len(s))] }

// logf notes what happens: for the trace, and for the reader if the run is verbose.
func (w *World) logf(format string, args ...any) {
	line := fmt.Sprintf("%8d ", w.now) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	fmt.Fprint(h, w.trace, line)
	w.trace = h.Sum64()
	if w.verbose {
		w.lines = append(w.lines, line)
	}
}

// fail ends the run.
func (w *World) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.logf("FAILED: %s", w.failure)
	}
}

// check compares a server's data with what others had at the same point of the same history.
func (w *World) check(s *server) {
	p := point{s.node.History.ID, s.node.History.Offset}
	was, ok := w.points[p]
	if !ok {
		w.points[p] = seen{s.data.digest, s.name}
		return
	}
	if was.digest != s.data.digest {
		w.fail("%s at offset %d of %s: digest %x, but %s had %x", s.name, p.offset, p.id[:8], s.data.digest, was.who, was.digest)
	}
}

// newID makes a replid.
func (w *World) newID() string {
	return fmt.Sprintf("%016x%016x%08x", w.rng.Uint64(), w.rng.Uint64(), w.rng.Uint32())
}
