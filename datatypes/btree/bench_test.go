package btree

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
)

// cpu returns the processor time that the process has used, which other load on the machine disturbs less than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchItems = 1000000

func benchRecords(score func(rnd *rand.Rand) float64) []*record.Record {
	rnd := rand.New(rand.NewPCG(1, 2))
	recs := make([]*record.Record, benchItems)
	var member [16]byte
	for i := range recs {
		binary.BigEndian.PutUint64(member[:], rnd.Uint64())
		recs[i] = record.NewScore(member[:], score(rnd))
	}
	return recs
}

var benchScores = []struct {
	name  string
	score func(rnd *rand.Rand) float64
}{
	{"uniform", func(rnd *rand.Rand) float64 { return rnd.Float64() }},
	{"integer", func(rnd *rand.Rand) float64 { return float64(rnd.IntN(1 << 24)) }},
	{"equal", func(rnd *rand.Rand) float64 { return 0 }},
}

func benchTree(recs []*record.Record) *Tree {
	t := New(new(cow.Generation))
	for _, r := range recs {
		t.Insert(r)
	}
	return t
}

func BenchmarkInsert(b *testing.B) {
	for _, s := range benchScores {
		b.Run(s.name, func(b *testing.B) {
			recs := benchRecords(s.score)
			b.ReportAllocs()
			var used time.Duration
			for b.Loop() {
				start := cpu()
				benchTree(recs)
				used += cpu() - start
			}
			b.ReportMetric(float64(used)/float64(b.N)/benchItems, "cpu-ns/item")
		})
	}
}

func BenchmarkAtOneMillion(b *testing.B) {
	for _, s := range benchScores {
		recs := benchRecords(s.score)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		tree := benchTree(recs)
		runtime.GC()
		runtime.ReadMemStats(&after)
		rnd := rand.New(rand.NewPCG(3, 4))
		run := func(name string, fn func(r *record.Record)) {
			b.Run(s.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				start := cpu()
				for b.Loop() {
					fn(recs[rnd.IntN(len(recs))])
				}
				b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/benchItems, "B/item")
				b.ReportMetric(float64(tree.Size())/benchItems, "Size/item")
			})
		}
		run("nothing", func(r *record.Record) { sink += len(r.Key()) }) // the cost of visiting a record anywhere
		run("Rank", func(r *record.Record) { tree.Rank(r.Score(), r.Key()) })
		run("At", func(r *record.Record) { tree.At(rnd.IntN(benchItems)) })
		run("Range100", func(r *record.Record) {
			var c Cursor
			c.Seek(&tree.View, rnd.IntN(benchItems-100))
			for range 100 {
				c.Next()
			}
		})
		run("Update", func(r *record.Record) { tree.Update(r, r, s.score(rnd)) })
		run("UpdateInPlace", func(r *record.Record) { tree.Update(r, r, r.Score()) })
		run("DeleteInsert", func(r *record.Record) { tree.Delete(r); tree.Insert(r) })
	}
}

var sink int
