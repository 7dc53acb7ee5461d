package mem

import (
	"runtime"
	"testing"
)

var keep [][]byte

func TestSizeIsWhatTheAllocatorTakes(t *testing.T) {
	for _, n := range []int{16, 24, 40, 58, 100, 500, 1000, 3000, 4800, 20000, 40000, 100000} {
		const objects = 2000
		keep = make([][]byte, 0, objects)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range objects {
			keep = append(keep, make([]byte, n))
		}
		runtime.ReadMemStats(&after)
		got := int(after.TotalAlloc-before.TotalAlloc) / objects
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
	hold := make([]*withPointers, 0, objects)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range objects {
		hold = append(hold, new(withPointers))
	}
	runtime.ReadMemStats(&after)
	got := int(after.TotalAlloc-before.TotalAlloc) / objects
	if want := SizePtr(75*64 + 56); want != 4864 || got < want || got > want+64 {
		t.Errorf("SizePtr = %d, allocator took %d", want, got)
	}
	runtime.KeepAlive(hold)
}
