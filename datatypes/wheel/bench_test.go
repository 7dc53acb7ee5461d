package wheel

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"
)

// deadlines are the shapes that the benchmarks measure.
var deadlines = []struct {
	name string
	at   func(i uint64) int64
}{
	{"within a minute", func(i uint64) int64 { return epoch + 1 + int64(mix(i)%60_000) }},
	{"within an hour", func(i uint64) int64 { return epoch + 1 + int64(mix(i)%3_600_000) }},
	{"within a day", func(i uint64) int64 { return epoch + 1 + int64(mix(i)%86_400_000) }},
	{"within a year", func(i uint64) int64 { return epoch + 1 + int64(mix(i)%31_536_000_000) }},
	{"in an hour, one ms", func(i uint64) int64 { return epoch + 3_600_000 }},
}

// BenchmarkInsertFire inserts and fires entries; it reports nanoseconds an entry of both halves, bytes an entry when all
// are in, and the longest call of Advance with a limit of 1024 entries.
func BenchmarkInsertFire(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000, 10_000_000} {
		for _, c := range deadlines {
			b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) {
				var insert, fire, longest time.Duration
				var bytes int64
				for range b.N {
					w := New(epoch)
					runtime.GC()
					begin := time.Now()
					for i := range uint64(n) {
						w.Insert(i, c.at(i))
					}
					insert += time.Since(begin)
					bytes = w.Bytes()
					fired := 0
					begin = time.Now()
					last := begin
					for done := false; !done; {
						done = w.Advance(math.MaxInt64, 1024, func(uint64, int64) { fired++ })
						now := time.Now()
						longest = max(longest, now.Sub(last))
						last = now
					}
					fire += time.Since(begin)
					if fired != n {
						b.Fatal(fired)
					}
				}
				each := float64(b.N) * float64(n)
				b.ReportMetric(float64(insert)/each, "insert-ns/entry")
				b.ReportMetric(float64(fire)/each, "fire-ns/entry")
				b.ReportMetric(float64(bytes)/float64(n), "B/entry")
				b.ReportMetric(float64(longest)/1000, "longest-µs")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkSteady is a cache at rest: a million entries of an hour, each inserted again when it fires; an operation is one
// millisecond, with 278 entries due.
func BenchmarkSteady(b *testing.B) {
	w := New(epoch)
	for i := range uint64(1_000_000) {
		w.Insert(i, epoch+1+int64(mix(i)%3_600_000))
	}
	now, fired := int64(epoch), 0
	fire := func(hash uint64, when int64) { fired++; w.Insert(hash, when+3_600_000) }
	for range 3_600_000 {
		now++
		w.Advance(now, math.MaxInt, fire)
	}
	fired = 0
	b.ReportAllocs()
	for b.Loop() {
		now++
		w.Advance(now, math.MaxInt, fire)
	}
	b.ReportMetric(float64(b.Elapsed())/float64(max(fired, 1)), "ns/entry")
}

func BenchmarkNextDue(b *testing.B) {
	w := New(epoch)
	for i := range uint64(40) {
		w.Insert(i, epoch+1_000_000+1<<i)
	}
	for b.Loop() {
		w.NextDue()
	}
}

func BenchmarkSample(b *testing.B) {
	for _, n := range []int{10, 1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := New(epoch)
			for i := range uint64(n) {
				w.Insert(i, epoch+1+int64(mix(i)%86_400_000))
			}
			rnd := uint64(0)
			for b.Loop() {
				rnd++
				w.Sample(rnd)
			}
		})
	}
}

// BenchmarkCollect is a full collection while ten million entries are held.
func BenchmarkCollect(b *testing.B) {
	w := New(epoch)
	for i := range uint64(10_000_000) {
		w.Insert(i, epoch+1+int64(mix(i)%86_400_000))
	}
	for b.Loop() {
		runtime.GC()
	}
	runtime.KeepAlive(w)
}
