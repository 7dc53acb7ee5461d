package web

import (
	"math"
	"runtime/metrics"
	"syscall"
	"time"

	"ferrous/commands/process"
)

// Figures of the process and of Go's runtime, which anybody may read: they cost the loop nothing.

// pauseBounds are the bounds of the histogram of the collector's pauses, in seconds.
var pauseBounds = []float64{1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 1e-1}

var (
	familyPauses = Family{"ferrous_gc_pause_seconds", Histogram, "", "Pauses of all goroutines for garbage collection. The sum is an estimate from the buckets."}
	familyCycles = Family{"ferrous_gc_cycles_total", Counter, "", "Collections of garbage that have ended."}
	familyHeap   = Family{"ferrous_go_heap_bytes", Gauge, "", "Memory of objects on the heap, garbage that was not collected yet included."}
	familyGo     = Family{"ferrous_go_memory_bytes", Gauge, "", "Memory that the Go runtime has from the system and has not given back."}
	familyAlloc  = Family{"ferrous_go_allocated_bytes_total", Counter, "", "Bytes that were ever allocated on the heap."}
	familyGos    = Family{"ferrous_goroutines", Gauge, "", "Goroutines."}
	familyRSS    = Family{"ferrous_memory_resident_bytes", Gauge, "", "Resident memory of the process."}
	familyCPU    = Family{"ferrous_cpu_seconds_total", Counter, "mode", "Processor time of the process, by mode (system, user)."}
)

// RuntimeFamilies are the families that this package adds to those of the Source.
var RuntimeFamilies = []*Family{&familyPauses, &familyCycles, &familyHeap, &familyGo, &familyAlloc, &familyGos, &familyRSS, &familyCPU}

// runtimeMetrics reads them.
func runtimeMetrics() []Metric {
	names := [...]string{"/sched/pauses/total/gc:seconds", "/gc/cycles/total:gc-cycles", "/memory/classes/heap/objects:bytes",
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes", "/gc/heap/allocs:bytes", "/sched/goroutines:goroutines"}
	samples := make([]metrics.Sample, len(names))
	for i, n := range names {
		samples[i].Name = n
	}
	metrics.Read(samples)
	number := func(i int) float64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return float64(samples[i].Value.Uint64())
	}
	one := func(f *Family, v float64) Metric { return Metric{Family: f, Samples: []Sample{{Value: v}}} }
	pauses := Metric{Family: &familyPauses, Bounds: pauseBounds, Samples: []Sample{{Buckets: make([]uint64, len(pauseBounds)+1)}}}
	if samples[0].Value.Kind() == metrics.KindFloat64Histogram {
		pauses.Samples[0] = coarse(samples[0].Value.Float64Histogram(), pauseBounds)
	}
	out := []Metric{pauses, one(&familyCycles, number(1)), one(&familyHeap, number(2)), one(&familyGo, number(3)-number(4)),
		one(&familyAlloc, number(5)), one(&familyGos, number(6)), one(&familyRSS, float64(process.ResidentMemory()))}
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) == nil {
		out = append(out, Metric{Family: &familyCPU, Samples: []Sample{
			{Label: "system", Value: time.Duration(ru.Stime.Nano()).Seconds()},
			{Label: "user", Value: time.Duration(ru.Utime.Nano()).Seconds()}}})
	}
	return out
}

// coarse sums up a histogram of the runtime's in the buckets below bounds. A bucket that a bound cuts counts above it.
func coarse(h *metrics.Float64Histogram, bounds []float64) Sample {
	s := Sample{Buckets: make([]uint64, len(bounds)+1)}
	at := 0
	for i, n := range h.Counts {
		low, high := h.Buckets[i], h.Buckets[i+1]
		for at < len(bounds) && high > bounds[at] {
			at++
		}
		s.Buckets[at] += n
		switch {
		case math.IsInf(low, -1):
			low = 0
		case math.IsInf(high, 1):
			high = low
		}
		if n > 0 {
			s.Value += float64(n) * (low + high) / 2
		}
	}
	return s
}
