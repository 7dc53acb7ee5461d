// Package histogram counts durations with a relative error below 1%, in the buckets of HdrHistogram with two significant
// digits, so that LATENCY HISTOGRAM and INFO latencystats have the same numbers as in Redis.
//
// # Buckets
//
// Values from 0 to 255 have a counter each. Above, every power of two is divided into 128 equal parts: the value is shifted
// right until eight bits are left, of which the first is always 1. The last counter is that of the largest value, one second.
package histogram

import "math/bits"

const (
	// Max is the largest duration, in nanoseconds; longer ones count as Max.
	Max = 1_000_000_000

	half    = 128 // counters of a power of two
	buckets = (30-8)*half + 2*half
)

// Histogram counts durations in nanoseconds. The zero Histogram is empty. It takes 12 KiB.
type Histogram struct {
	counts [buckets]uint32
	total  int64
}

// Record counts one duration.
func (h *Histogram) Record(nanos int64) {
	c := &h.counts[index(uint64(min(max(nanos, 1), Max)))]
	if *c < 1<<32-1 {
		*c++
		h.total++
	}
}

// Total returns the number of counted durations.
func (h *Histogram) Total() int64 { return h.total }

func index(v uint64) int {
	shift := max(bits.Len64(v)-8, 0)
	return shift*half + int(v>>shift)
}

// highest returns the largest value of counter i.
func highest(i int) int64 {
	if i < 2*half {
		return int64(i)
	}
	shift := i/half - 1
	return (int64(i%half+half)+1)<<shift - 1
}

// Percentile returns the largest value of the counter with the percentile p, from 0 to 100.
func (h *Histogram) Percentile(p float64) int64 {
	want := max(int64(min(p, 100)/100*float64(h.total)+0.5), 1)
	n := int64(0)
	for i, c := range h.counts {
		if n += int64(c); n >= want {
			if p == 0 && i >= 2*half {
				return highest(i-1) + 1
			}
			return highest(i)
		}
	}
	return 0
}

// Powers counts the durations below 1024 ns, those below 2048 ns but not below 1024, and so on by powers of two; the last number
// of counts has all that is above.
func (h *Histogram) Powers(counts []uint64) {
	const first = 4 * half // the counter of 1024 ns
	clear(counts)
	for i, n := range h.counts {
		at := 0
		if i >= first {
			at = min((i-first)/half+1, len(counts)-1)
		}
		counts[at] += uint64(n)
	}
}

// Cumulative calls fn for each power of two from 1024 ns on that has more durations at or below it than the one before: with
// the largest value counted there, in nanoseconds, and the number of these durations.
func (h *Histogram) Cumulative(fn func(nanos, count int64)) {
	i, n, before := 0, int64(0), int64(0)
	for level := uint64(1024); n < h.total; level *= 2 {
		last := min(index(level), buckets-1)
		for ; i <= last; i++ {
			n += int64(h.counts[i])
		}
		if n > before {
			fn(highest(last), n)
		}
		before = n
	}
}
