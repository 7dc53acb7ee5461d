package record

import (
	"bytes"
	"testing"
	"unsafe"

	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

// TestSpares makes and removes records at random. Live records must stay what they were, no two of them may share memory, and
// what is kept has a bound.
func TestSpares(t *testing.T) { random.Repeat(t, testSpares) }

func testSpares(t *testing.T) {
	rnd := random.New(t)
	type live struct {
		r          *Record
		key, value []byte
		expiry     int64
	}
	var s Spares
	var all []live
	text := func(n int) []byte { return bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, n) }
	for range 20_000 {
		switch n := rnd.IntN(10); {
		case n == 0:
			s.Free()
		case n < 5 && len(all) > 0:
			i := rnd.IntN(len(all))
			l := all[i]
			s.Remove(l.r)
			if !bytes.Equal(l.r.Key(), l.key) || !bytes.Equal(l.r.AppendTo(nil), l.value) || l.r.Expiry() != l.expiry {
				t.Fatalf("a removed record is %q %q %d, want %q %q %d", l.r.Key(), l.r.AppendTo(nil), l.r.Expiry(), l.key, l.value, l.expiry)
			}
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
		default:
			l := live{key: text(rnd.IntN(40)), value: text(rnd.IntN(700)), expiry: NoExpiry}
			if rnd.IntN(3) == 0 {
				l.expiry = rnd.Int64N(1 << 40)
			}
			switch rnd.IntN(4) {
			case 0:
				l.r = s.NewRaw(l.key, l.value, l.expiry, 5, 0)
			case 1:
				l.value = []byte("-12")
				l.r = s.NewInt(l.key, -12, l.expiry, 5)
			case 2:
				l.r = NewString(text(3), l.value, NoExpiry, 5, 0).Rekey(l.key, l.expiry)
			default:
				l.r = s.NewString(l.key, l.value, l.expiry, 5, 0)
			}
			all = append(all, l)
		}
	}
	at := map[unsafe.Pointer]bool{}
	s.Each(func(r *Record) { at[unsafe.Pointer(r)] = true })
	for _, l := range all {
		if at[unsafe.Pointer(l.r)] {
			t.Fatal("the memory of a live record is spare, or belongs to two")
		}
		at[unsafe.Pointer(l.r)] = true
		is(t, l.r, l.r.Encoding(), string(l.key), string(l.value), l.expiry, 5)
		n := NewString(l.key, l.value, l.expiry, 5, 0)
		if l.r.Size() != n.Size() {
			t.Fatalf("a record of spare memory has %d bytes, want %d", l.r.Size(), n.Size())
		}
	}
}

// TestSparesBound removes far more records than are kept.
func TestSparesBound(t *testing.T) {
	var s Spares
	held := func() (n, bytes int) {
		s.Each(func(r *Record) { n++ })
		for i, list := range s.free {
			bytes += 8 * i * len(list)
		}
		return n, bytes
	}
	for range 100 {
		for range 2 * removedRoom {
			s.Remove(NewString([]byte("key"), []byte("value"), NoExpiry, 0, 0))
			s.Remove(NewString([]byte("key"), make([]byte, 200), NoExpiry, 0, 0))
			s.Remove(NewString(make([]byte, spareMost), nil, NoExpiry, 0, 0))
			s.Remove(NewOwned([]byte("key"), make([]byte, 200), NoExpiry, 0, 0))
		}
		if n, _ := held(); n > removedRoom+2*spareBytes/16 {
			t.Fatalf("%d records are held", n)
		}
		s.Free()
		if _, bytes := held(); bytes > 2*spareBytes {
			t.Fatalf("%d bytes are kept of two classes", bytes)
		}
	}
	if small, large := len(s.free[mem.Size(8+2+8)/8]), len(s.free[mem.Size(8+2+203)/8]); small != spareBytes/24 || large != spareBytes/224 {
		t.Errorf("%d and %d records are kept", small, large)
	}
}

// TestSparesAreTakenFirst holds that a record takes the memory of the one of its size that was freed last, and of none that
// was not freed.
func TestSparesAreTakenFirst(t *testing.T) {
	var s Spares
	a := s.NewString([]byte("a"), []byte("one"), NoExpiry, 0, 0)
	b := s.NewString([]byte("b"), []byte("two"), NoExpiry, 0, 0)
	s.Remove(a)
	if r := s.NewString([]byte("c"), []byte("new"), NoExpiry, 0, 0); r == a || string(a.Key()) != "a" {
		t.Fatal("a removed record was overwritten")
	}
	s.Remove(b)
	s.Free()
	s.Free()
	if s.NewString([]byte("d"), make([]byte, 50), NoExpiry, 0, 0) == b {
		t.Error("a record took memory of another size")
	}
	if s.NewString([]byte("d"), []byte("new"), NoExpiry, 0, 0) != b || s.NewInt([]byte("e"), 7, NoExpiry, 0) == b {
		t.Error("free records are not taken in turn")
	}
	if n := testing.AllocsPerRun(100, func() {
		s.Remove(s.NewString([]byte("d"), []byte("new"), NoExpiry, 0, 0))
		s.Free()
	}); n != 0 {
		t.Errorf("%v allocations for a record that takes another's memory", n)
	}
}
