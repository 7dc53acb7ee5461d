package head

import (
	"bytes"
	"testing"
	"unsafe"

	"ferrous/datatypes/mem"
)

func TestHeadKeepsAllOfItsFields(t *testing.T) {
	if size := unsafe.Sizeof(Head{}); size != 16 {
		t.Errorf("a head has %d bytes", size)
	}
	for _, stamp := range []uint64{0, 1, 1<<40 - 1} {
		for _, form := range []Form{0, 1, 2, 3} {
			for _, n := range []int{1, 7, 8, 9, 100, 1000, 32 << 10, 32<<10 + 1, 100_000, 5 << 20} {
				h := New(stamp)
				h.SetForm(form)
				b := make([]byte, n, mem.Size(n))
				b[0], b[n-1] = 1, 2
				h.SetBytes(b)
				if h.Stamp() != stamp || h.Form() != form || h.Cap() != mem.Size(n) {
					t.Fatalf("stamp %d, form %d, %d bytes: is %d, %d, capacity %d", stamp, form, n, h.Stamp(), h.Form(), h.Cap())
				}
				if got := h.Bytes(n); &got[0] != &b[0] || len(got) != n || cap(got) != mem.Size(n) {
					t.Fatalf("%d bytes: other bytes came back, length %d, capacity %d", n, len(got), cap(got))
				}
				x := new(int)
				h.SetLarge(unsafe.Pointer(x), 3-form)
				if h.Stamp() != stamp || h.Form() != 3-form || h.Data() != unsafe.Pointer(x) || h.Cap() != 0 {
					t.Fatalf("large: stamp %d, form %d, capacity %d", h.Stamp(), h.Form(), h.Cap())
				}
			}
		}
	}
}

func TestGreatestCapacity(t *testing.T) {
	// A listpack may have 4 GiB, an intset 8 GiB and its header.
	if pages := (8<<30+8+page-1)/page + maxUnits; pages > capacityMask {
		t.Errorf("%d does not fit into %d bits", pages, capacityBits)
	}
}

func TestForeignBytesAreCopied(t *testing.T) {
	outer := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	for _, b := range [][]byte{outer[3:10], outer[3:10:10], outer[0:13:13]} {
		h := New(1)
		h.SetBytes(b)
		got := h.Bytes(len(b))
		if !bytes.Equal(got, b) || h.Cap() != mem.Size(h.Cap()) || h.Cap() < len(b) {
			t.Fatalf("%q became %q, capacity %d", b, got, h.Cap())
		}
		got[0] = '#'
		if b[0] == '#' {
			t.Fatal("foreign bytes are shared")
		}
	}
}

func TestSettingAllocatesNothing(t *testing.T) {
	h := New(1)
	b := make([]byte, 100, mem.Size(100))
	if n := testing.AllocsPerRun(100, func() { h.SetBytes(b); b = h.Bytes(100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestViewsKeepTheirCapacity(t *testing.T) {
	outer := make([]byte, 3000)
	for _, form := range []Form{0, 1, 3} {
		for _, c := range []int{1, 7, 100, 102, 2048, 2999} {
			h := View(outer[1:1+c/2:1+c], form, 1<<40-1)
			if !h.IsView() || h.Cap() != c || h.Form() != form || h.Stamp() != 1<<40-1 || &h.Bytes(c)[0] != &outer[1] {
				t.Fatalf("%d bytes: a view %v of %d, form %d, stamp %d", c, h.IsView(), h.Cap(), h.Form(), h.Stamp())
			}
			// What is changed in place stays in place; what has grown out of it is the head's own.
			if h.SetBytes(h.Bytes(c)); !h.IsView() || &h.Bytes(c)[0] != &outer[1] {
				t.Fatalf("%d bytes have moved", c)
			}
			if h.SetBytes(make([]byte, c+1, mem.Size(c+1))); h.IsView() || h.Cap() != mem.Size(c+1) || h.Form() != form {
				t.Fatalf("%d bytes: a view %v of %d", c+1, h.IsView(), h.Cap())
			}
		}
	}
}
