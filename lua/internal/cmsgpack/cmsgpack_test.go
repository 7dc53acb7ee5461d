package cmsgpack

import (
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// The answers of all functions are compared in package lua, whose tests hold redis-server's.

func call(h *vm.Host, name string, args ...lua.LValue) ([]lua.LValue, error) {
	results, err := h.Run(vm.GetString(h.Library("cmsgpack"), name).(*lua.LFunction), nil, args...)
	return slices.Clone(results), err // the next run would write over them
}

// A length that the input claims takes no memory before the input has been read.
func TestClaimedLength(t *testing.T) {
	h := vm.NewHost()
	Open(h)
	deep := strings.Repeat("\xdd\xff\xff\xff\xff", 3000)
	before := heapAllocated()
	for range 100 {
		if _, err := call(h, "unpack", lua.LString(deep)); err == nil || err.Error() != "Missing bytes in input." {
			t.Fatal(err)
		}
	}
	if took := heapAllocated() - before; took > 16<<20 {
		t.Errorf("100 short inputs took %d bytes", took)
	}
}

var allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}

func heapAllocated() uint64 {
	metrics.Read(allocated)
	return allocated[0].Value.Uint64()
}

// FuzzUnpack unpacks any bytes: it ends with values or an error, and takes no more memory than the bytes explain. The
// values are packed, and unpacked again to as many; packing those gives the same bytes, or as many where the order of
// keys may differ.
func FuzzUnpack(f *testing.F) {
	for _, s := range []string{
		"\x83\xa1a\x01\xa1b\x93\x01\x02\xc0\xa1c\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "\xdd\xff\xff\xff\xff\x01", "\xdf\x00\x00\x00\x02\x01\x02\x03\x04", "\xdb\x00\x00\x00\x03abc",
		"\xd9\x03abc\xda\x00\x01x\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
		"\xc0\xc2\xc3\xe0\xff\x7f\xca\x7f\xc0\x00\x00\xc1", "\x81\xc0\x01", "\x91\x91\x91\x91\x91", "\x81\x81\x81\x81",
	} {
		f.Add(s, int64(0), int64(0))
		f.Add(s, int64(1), int64(1))
	}
	h := vm.NewHost()
	Open(h)
	f.Fuzz(func(t *testing.T, s string, limit, offset int64) {
		before := heapAllocated()
		_, err := call(h, "unpack_limit", lua.LString(s), lua.LNumber(limit), lua.LNumber(offset))
		if took := heapAllocated() - before; took > uint64(512*len(s))+4<<20 {
			t.Fatalf("%d bytes took %d of memory", len(s), took)
		}
		if err != nil {
			return
		}
		values, err := call(h, "unpack", lua.LString(s))
		if err != nil || len(values) == 0 || len(values) > 1000 {
			return
		}
		once, err := call(h, "pack", values...)
		if err != nil {
			t.Fatal(err)
		}
		again, err := call(h, "unpack", once...)
		if err != nil {
			if strings.HasPrefix(err.Error(), "table index is") {
				return // a key that was too deep to be packed
			}
			t.Fatalf("%q %q %v", s, once[0], err)
		}
		if len(again) != len(values) {
			t.Fatalf("%q: %d values, then %d", s, len(values), len(again))
		}
	})
}
