package structlib

import (
	"math"
	"runtime/metrics"
	"slices"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// The answers of all functions are compared in package lua, whose tests hold redis-server's.

func call(h *vm.Host, name string, args ...lua.LValue) ([]lua.LValue, error) {
	results, err := h.Run(vm.GetString(h.Library("struct"), name).(*lua.LFunction), nil, args...)
	return slices.Clone(results), err // the next run would write over them
}

// Conversions are those of the processor's instructions, also where C leaves them undefined.
func TestToUnsigned(t *testing.T) {
	for f, want := range map[float64]uint64{
		0: 0, 1.9: 1, -1.9: math.MaxUint64, -1: math.MaxUint64, 0x1p63: 1 << 63, 0x1p64: 0, 1e300: 0, -1e300: 1 << 63,
		math.Inf(1): 0, math.Inf(-1): 1 << 63, 0x1p64 - 2048: math.MaxUint64 - 2047,
	} {
		if got := toUnsigned(f); got != want {
			t.Errorf("%v: %x, want %x", f, got, want)
		}
	}
	if got := toUnsigned(math.NaN()); got != 1<<63 {
		t.Errorf("NaN: %x", got)
	}
}

var allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}

func heapAllocated() uint64 {
	metrics.Read(allocated)
	return allocated[0].Value.Uint64()
}

// FuzzUnpack unpacks any bytes by any format, and packs the values by it again: the same bytes come out where the format
// has a fixed size. All ends with values or an error, and takes no more memory than the input explains.
func FuzzUnpack(f *testing.F) {
	for _, format := range []string{"bBhHlLTiI", ">!4bi<d f", "bc0s", "!16bi12bi9", "c2147483647", "i32I31", "!8bxd", "c1c0", "q", "!3"} {
		f.Add(format, "\x02abcdefghijklmnopqrstuvwxyz\x00ABCDEFGHIJKLMNOPQRSTUVWXYZ\xff\xff\xff\xff\xff\xff\xff\xff\x00", int64(1))
		f.Add(format, "3\x00", int64(-3))
	}
	h := vm.NewHost()
	Open(h)
	f.Fuzz(func(t *testing.T, format, data string, offset int64) {
		before := heapAllocated()
		call(h, "unpack", lua.LString(format), lua.LString(data), lua.LNumber(offset))
		if took := heapAllocated() - before; took > uint64(512*(len(format)+len(data)))+4<<20 {
			t.Fatalf("%d and %d bytes took %d of memory", len(format), len(data), took)
		}
		values, err := call(h, "unpack", lua.LString(format), lua.LString(data))
		if err != nil {
			return
		}
		size, err := call(h, "size", lua.LString(format))
		if err != nil {
			return
		}
		if end := values[len(values)-1].(lua.LNumber); end != size[0].(lua.LNumber)+1 {
			t.Fatalf("%q %q: ends at %v, size %v", format, data, end, size[0])
		}
		if packed, err := call(h, "pack", append([]lua.LValue{lua.LString(format)}, values[:len(values)-1]...)...); err != nil {
			t.Fatalf("%q %q: %v", format, data, err)
		} else if n := len(packed[0].(lua.LString)); n != int(size[0].(lua.LNumber)) {
			t.Fatalf("%q %q: %d bytes, size %v", format, data, n, size[0])
		}
	})
}
