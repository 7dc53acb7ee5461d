package histogram

import (
	"math/rand/v2"
	"testing"
)

func TestIndex(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<20; v++ {
		i := index(v)
		if i != last && i != last+1 {
			t.Fatalf("%d is in %d after %d", v, i, last)
		}
		if int64(v) > highest(i) || i > 0 && int64(v) <= highest(i-1) {
			t.Fatalf("%d is in %d, which ends at %d", v, i, highest(i))
		}
		last = i
	}
	if i := index(Max); i >= buckets {
		t.Fatalf("the largest value is in %d of %d", i, buckets)
	}
}

func TestPercentile(t *testing.T) {
	var h Histogram
	if got := h.Percentile(50); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	for v := int64(1); v <= 10_000; v++ {
		h.Record(v)
	}
	// The figures are those of hdr_histogram_c with lowest 1, highest 10^9, 2 digits.
	for p, want := range map[float64]int64{0: 1, 50: 5023, 99: 9919, 99.9: 10047, 100: 10047} {
		if got := h.Percentile(p); got != want {
			t.Errorf("p%v is %d, want %d", p, got, want)
		}
	}
	h.Record(-5)
	h.Record(1 << 40)
	if got := h.Percentile(100); got < Max || h.Total() != 10_002 {
		t.Errorf("largest %d of %d", got, h.Total())
	}
}

func TestCumulative(t *testing.T) {
	var h Histogram
	h.Cumulative(func(nanos, count int64) { t.Errorf("%d at %d in an empty histogram", count, nanos) })
	for _, v := range []int64{1, 500, 1024, 1031, 1032, 5000, 5000, 1 << 20, Max} {
		h.Record(v)
	}
	want := [][2]int64{{1031, 4}, {2063, 5}, {8255, 7}, {1<<20 + 1<<13 - 1, 8}, {1<<30 - 1, 9}}
	n := 0
	h.Cumulative(func(nanos, count int64) {
		if n >= len(want) || want[n] != [2]int64{nanos, count} {
			t.Errorf("step %d: %d at %d", n, count, nanos)
		}
		n++
	})
	if n != len(want) {
		t.Errorf("%d steps", n)
	}
}

// The figures hold for any values.
func TestRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h Histogram
		n := rnd.IntN(1000) + 1
		for range n {
			h.Record(rnd.Int64N(1 << (1 + rnd.IntN(34))))
		}
		last, count := int64(-1), int64(0)
		h.Cumulative(func(nanos, c int64) {
			if nanos <= last || c <= count {
				t.Fatalf("%d at %d after %d at %d", c, nanos, count, last)
			}
			last, count = nanos, c
		})
		if count != int64(n) || h.Percentile(100) > last {
			t.Fatalf("%d of %d up to %d, the largest is %d", count, n, last, h.Percentile(100))
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(int64(i & 0xffff))
	}
}
