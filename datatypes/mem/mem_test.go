package mem

import (
	"math"
	"runtime"
	"testing"
)

var keep [][]byte

// allocated returns the bytes that fn allocates. The runtime itself allocates now and then: the least of some runs counts.
func allocated(fn func()) int {
	least := math.MaxInt
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		least = min(least, int(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}

func TestSizeIsWhatTheAllocatorTakes(t *testing.T) {
	for _, n := range []int{16, 24, 40, 58, 100, 500, 1000, 3000, 4800, 20000, 40000, 100000} {
		const objects = 2000
		keep = make([][]byte, objects)
		got := allocated(func() {
			for i := range keep {
				keep[i] = make([]byte, n)
			}
		}) / objects
		if want := Size(n); got < want || got > want+want/20+8 {
			t.Errorf("Size(%d) = %d, allocator took %d", n, want, got)
		}
	}
	if Size(0) != 0 || Size(1) != 8 || Size(17) != 24 {
		t.Error("small sizes", Size(0), Size(1), Size(17))
	}
}

type withPointers struct {
	_ [75 * 8]*byte
	_ [56]byte
}

func TestSizePtr(t *testing.T) {
	const objects = 200
	hold := make([]*withPointers, objects)
	got := allocated(func() {
		for i := range hold {
			hold[i] = new(withPointers)
		}
	}) / objects
	if want := SizePtr(75*64 + 56); want != 4864 || got < want || got > want+64 {
		t.Errorf("SizePtr = %d, allocator took %d", want, got)
	}
	runtime.KeepAlive(hold)
}
