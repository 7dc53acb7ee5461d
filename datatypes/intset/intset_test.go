package intset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

func newRand(t testing.TB) *rand.Rand {
	return random.New(t)
}

func members(s Intset) []int64 {
	out := make([]int64, s.Len())
	for i := range out {
		out[i] = s.Get(i)
	}
	return out
}

// The bytes are those of a redis-server 7.0.15 (tests of package quicklist ask a live one).
func TestFormat(t *testing.T) {
	s := New()
	for _, step := range []struct {
		add  int64
		want string
	}{
		{5, "0200000001000000" + "0500"},
		{-3, "0200000002000000" + "fdff0500"},
		{32767, "0200000003000000" + "fdff0500ff7f"},
		{32768, "0400000004000000" + "fdffffff05000000ff7f000000800000"},
		{-2147483649, "0800000005000000" + "ffffff7fffffffff" + "fdffffffffffffff" + "0500000000000000" + "ff7f000000000000" + "0080000000000000"},
	} {
		var added bool
		if s, added = s.Add(step.add); !added || hex.EncodeToString(s) != step.want {
			t.Errorf("after adding %d: %x, want %s", step.add, []byte(s), step.want)
		}
	}
	if s.Min() != -2147483649 || s.Max() != 32768 {
		t.Error("ends", s.Min(), s.Max())
	}
	// The width does not shrink.
	s, _ = s.Remove(-2147483649)
	s, _ = s.Remove(32768)
	if got := hex.EncodeToString(s[:8]); got != "0800000003000000" {
		t.Error("after removals", got)
	}
}

func TestWidths(t *testing.T) {
	for _, c := range []struct {
		v    int64
		want int
	}{
		{math.MinInt16, 2}, {math.MaxInt16, 2}, {math.MinInt16 - 1, 4}, {math.MaxInt16 + 1, 4}, {math.MinInt32, 4},
		{math.MaxInt32, 4}, {math.MinInt32 - 1, 8}, {math.MaxInt32 + 1, 8}, {math.MinInt64, 8}, {math.MaxInt64, 8},
	} {
		s, _ := New().Add(c.v)
		if s.width() != c.want || s.Get(0) != c.v || len(s) != headerSize+c.want {
			t.Errorf("%d: width %d, member %d", c.v, s.width(), s.Get(0))
		}
	}
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	r := newRand(t)
	for range 20 {
		shift := 48 + r.IntN(14)
		s, model := New(), []int64{}
		for step := range 1000 {
			if r.IntN(300) == 0 && shift > 0 {
				shift = r.IntN(shift)
			}
			if step == 300 || step == 600 { // every width there must have been, whatever chance has made of it
				shift = min(shift, map[int]int{300: 40, 600: 8}[step])
				v := int64(math.MaxInt64) >> shift
				if i, known := slices.BinarySearch(model, v); !known {
					s, _ = s.Add(v)
					model = slices.Insert(model, i, v)
				}
				if want := map[int]int{300: 4, 600: 8}[step]; s.width() < want {
					t.Fatalf("step %d: a width of %d bytes, want %d", step, s.width(), want)
				}
			}
			if step == 0 && s.width() != 2 {
				t.Fatal("the first width is not the least")
			}
			v := int64(r.Uint64()) >> shift
			if len(model) > 0 && r.IntN(3) == 0 {
				v = model[r.IntN(len(model))]
			}
			i, known := slices.BinarySearch(model, v)
			var ok bool
			switch op := r.IntN(6); {
			case op < 3:
				if s, ok = s.Add(v); ok == known {
					t.Fatalf("Add(%d) = %v", v, ok)
				}
				if !known {
					model = slices.Insert(model, i, v)
				}
			case op == 3 || op == 4 && len(model) > 200:
				if s, ok = s.Remove(v); ok != known {
					t.Fatalf("Remove(%d) = %v", v, ok)
				}
				if known {
					model = slices.Delete(model, i, i+1)
				}
			case op == 4:
				s = s.Clone()
			default:
				if at, ok := s.Find(v); ok != known || ok && at != i {
					t.Fatalf("Find(%d) = %d, %v", v, at, ok)
				}
				if s.Has(v) != known {
					t.Fatalf("Has(%d) = %v", v, !known)
				}
			}
			if !slices.Equal(members(s), model) {
				t.Fatalf("%v, want %v", members(s), model)
			}
			if len(model) > 0 {
				if err := Validate(s, true); err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(model, s.Random(r.Uint64())) {
					t.Fatal("Random invents")
				}
			}
			if c := cap(s); s.Size() != c || mem.Shrinks(len(s), c) {
				t.Fatalf("capacity %d for %d bytes", c, len(s))
			}
		}
	}
}

func TestValidate(t *testing.T) {
	head := func(width, n uint32, rest ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, width)
		return append(binary.LittleEndian.AppendUint32(b, n), rest...)
	}
	for _, c := range []struct {
		name          string
		b             []byte
		shallow, deep bool
	}{
		{"nil", nil, false, false},
		{"header cut", head(2, 1)[:7], false, false},
		{"empty", head(2, 0), false, false},
		{"width 3", head(3, 1, 1, 2, 3), false, false},
		{"width 2 in high bytes", head(2<<8, 1, 1, 0), false, false},
		{"one member", head(2, 1, 1, 0), true, true},
		{"too short", head(2, 2, 1, 0), false, false},
		{"too long", head(2, 1, 1, 0, 2, 0), false, false},
		{"twice the same", head(2, 2, 1, 0, 1, 0), true, false},
		{"descending", head(2, 2, 1, 0, 255, 255), true, false},
		{"ascending", head(2, 2, 255, 255, 1, 0), true, true},
		{"huge number", head(8, 1<<29, 1, 0), false, false},
	} {
		if err := Validate(c.b, false); (err == nil) != c.shallow {
			t.Errorf("%s: shallow: %v", c.name, err)
		}
		if err := Validate(c.b, true); (err == nil) != c.deep {
			t.Errorf("%s: deep: %v", c.name, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	s := New()
	for i := range 500 {
		s, _ = s.Add(int64(i * 3))
	}
	s, _ = s.Add(1)
	if n := testing.AllocsPerRun(100, func() {
		s, _ = s.Remove(1)
		s, _ = s.Add(1)
		s, _ = s.Add(300)
		s.Has(299)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzValidate(f *testing.F) {
	s := New()
	for _, v := range []int64{1, -1, 1 << 20, 1 << 40} {
		s, _ = s.Add(v)
		f.Add([]byte(s.Clone()), v+1)
	}
	f.Fuzz(func(t *testing.T, b []byte, v int64) {
		if Validate(b, true) != nil {
			_ = Validate(b, false)
			return
		}
		model := members(b)
		i, known := slices.BinarySearch(model, v)
		s, added := Intset(bytes.Clone(b)).Add(v)
		if added == known {
			t.Fatal("Add", added)
		}
		if added {
			model = slices.Insert(model, i, v)
		}
		if !slices.Equal(members(s), model) || Validate(s, true) != nil {
			t.Fatalf("after Add(%d): %v, want %v", v, members(s), model)
		}
		s, removed := s.Remove(v)
		if !removed || s.Has(v) || !slices.Equal(members(s), slices.Delete(model, i, i+1)) {
			t.Fatal("Remove")
		}
	})
}

func BenchmarkHas(b *testing.B) {
	s := New()
	for i := range 512 {
		s, _ = s.Add(int64(i * 7))
	}
	b.ReportAllocs()
	for i := range b.N {
		s.Has(int64(i & 4095))
	}
}

func BenchmarkAddRemove(b *testing.B) {
	s := New()
	for i := range 512 {
		s, _ = s.Add(int64(i * 7))
	}
	b.ReportAllocs()
	for range b.N {
		s, _ = s.Add(1000)
		s, _ = s.Remove(1000)
	}
}
