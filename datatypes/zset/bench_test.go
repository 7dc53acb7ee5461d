package zset

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
)

const benchMembers = 1000000

// cpu returns the processor time of the process, which other load on the machine disturbs less than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchMember writes the i-th member of 16 bytes, in no order.
func benchMember(k *[16]byte, i int) []byte {
	binary.BigEndian.PutUint64(k[:], uint64(i)*0x9e3779b97f4a7c15)
	return k[:]
}

func benchSet(gen *cow.Generation, n int) *ZSet {
	rnd := rand.New(rand.NewPCG(1, 2))
	z := New(gen)
	var k [16]byte
	for i := range n {
		z.Set(benchMember(&k, i), rnd.Float64())
	}
	return z
}

func BenchmarkInsert(b *testing.B) {
	var used time.Duration
	for b.Loop() {
		start := cpu()
		benchSet(new(cow.Generation), benchMembers)
		used += cpu() - start
	}
	b.ReportMetric(float64(used)/float64(b.N)/benchMembers, "cpu-ns/member")
}

func BenchmarkAtOneMillion(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	z := benchSet(new(cow.Generation), benchMembers)
	runtime.GC()
	runtime.ReadMemStats(&after)
	rnd := rand.New(rand.NewPCG(3, 4))
	var k [16]byte
	b.Run("Bytes", func(b *testing.B) {
		for b.Loop() {
			sink += z.Len()
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchMembers, "B/member")
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/benchMembers, "inuse-B/member")
		b.ReportMetric(float64(z.records)/benchMembers, "record-B/member")
		b.ReportMetric(float64(z.table.Size())/benchMembers, "table-B/member")
		b.ReportMetric(float64(z.tree.Size())/benchMembers, "tree-B/member")
	})
	for _, bench := range []struct {
		name string
		fn   func(k []byte)
	}{
		{"Score", func(k []byte) { z.Score(k) }},
		{"Rank", func(k []byte) { z.Rank(k) }},
		{"Set", func(k []byte) { z.Set(k, rnd.Float64()) }},
		{"Increment", func(k []byte) { e := z.Find(k); z.Update(e, e.Record.Score()+1e-9) }},
		{"RemoveSet", func(k []byte) { z.Remove(k); z.Set(k, rnd.Float64()) }},
		{"Range100", func(k []byte) {
			it := z.Iter(z.ScoreSpan(ScoreRange{Min: rnd.Float64(), Max: 1}).Limit(0, 100, false), false)
			for r := it.Next(); r != nil; r = it.Next() {
				sink += len(r.Key())
			}
		}},
		{"PopMinSet", func(k []byte) { z.PopMin(); z.Set(k, rnd.Float64()) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				bench.fn(benchMember(&k, rnd.IntN(benchMembers)))
			}
			b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkUnderSnapshot reports the slowest single change while a snapshot of five million members is held, with the
// collector at work and without, in processor time of the thread that makes it: on a busy machine the clock shows mostly
// the wait for a processor.
func BenchmarkUnderSnapshot(b *testing.B) {
	const members = 5000000
	gen := new(cow.Generation)
	recs := make([]*record.Record, members)
	var k [16]byte
	for i := range recs {
		recs[i] = record.NewScore(benchMember(&k, i), float64(i))
	}
	z, err := Build(gen, recs)
	if err != nil {
		b.Fatal(err)
	}
	for name, percent := range map[string]int{"GC": 25, "NoGC": -1} {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			runtime.GC()
			defer debug.SetGCPercent(debug.SetGCPercent(percent))
			gen.Pin()
			defer gen.Unpin()
			start := thread()
			z = z.Fork()
			fork := thread() - start
			rnd := rand.New(rand.NewPCG(5, 6))
			var slowest, wall time.Duration
			for b.Loop() {
				i := rnd.IntN(2 * members)
				score := float64(rnd.IntN(members))
				clock, start := time.Now(), thread()
				if i&7 == 0 {
					z.Remove(benchMember(&k, i))
				} else {
					z.Set(benchMember(&k, i), score)
				}
				slowest = max(slowest, thread()-start)
				wall = max(wall, time.Since(clock))
			}
			b.ReportMetric(float64(fork)/1e3, "fork-cpu-µs")
			b.ReportMetric(float64(slowest)/1e3, "slowest-cpu-µs")
			b.ReportMetric(float64(wall)/1e3, "slowest-wall-µs")
		})
	}
}

var sink int
