package listpack

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

// newRand returns a generator and prints its seed if the test fails.
func newRand(t testing.TB) *rand.Rand {
	return random.New(t)
}

func build(elems ...string) Listpack {
	lp := New(0)
	for _, e := range elems {
		lp = lp.Append([]byte(e))
	}
	return lp
}

func texts(lp Listpack) []string {
	out := []string{}
	for p := lp.First(); p >= 0; p = lp.Next(p) {
		out = append(out, string(lp.Get(p).AppendTo(nil)))
	}
	return out
}

// check compares a listpack with the texts it should hold, read in every way there is.
func check(t *testing.T, lp Listpack, want []string) {
	t.Helper()
	if err := Validate(lp, true); err != nil {
		t.Fatal(err)
	}
	if got := texts(lp); !slices.Equal(got, want) {
		t.Fatalf("holds %.200q, want %.200q", got, want)
	}
	if lp.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", lp.Len(), len(want))
	}
	i := len(want)
	for p := lp.Last(); p >= 0; p = lp.Prev(p) {
		i--
		if v := lp.Get(p); !v.Equal([]byte(want[i])) || v.Len() != len(want[i]) {
			t.Fatalf("from the right, element %d is %q, want %q", i, v.AppendTo(nil), want[i])
		}
	}
	if i != 0 {
		t.Fatalf("from the right %d elements are missing", i)
	}
	if c := cap(lp); c != mem.Size(c) || mem.Shrinks(len(lp), c) {
		t.Fatalf("capacity %d for %d bytes", c, len(lp))
	}
}

// The bytes are those that a redis-server 7.0.15 stores (tests of package quicklist ask a live one).
func TestEncodings(t *testing.T) {
	long := strings.Repeat("x", 64)
	for _, c := range []struct {
		elem string
		want string // hex of the element with its back length, or its beginning
		size int
	}{
		{"0", "0001", 2},
		{"127", "7f01", 2},
		{"128", "c08002", 3},
		{"-1", "dfff02", 3},
		{"4095", "cfff02", 3},
		{"-4096", "d00002", 3},
		{"4096", "f1001003", 4},
		{"-4097", "f1ffef03", 4},
		{"32767", "f1ff7f03", 4},
		{"-32768", "f1008003", 4},
		{"32768", "f200800004", 5},
		{"-32769", "f2ff7fff04", 5},
		{"8388607", "f2ffff7f04", 5},
		{"-8388608", "f200008004", 5},
		{"8388608", "f30000800005", 6},
		{"-8388609", "f3ffff7fff05", 6},
		{"2147483647", "f3ffffff7f05", 6},
		{"-2147483648", "f30000008005", 6},
		{"2147483648", "f4000000800000000009", 10},
		{"-2147483649", "f4ffffff7fffffffff09", 10},
		{"9223372036854775807", "f4ffffffffffffff7f09", 10},
		{"-9223372036854775808", "f4000000000000008009", 10},
		{"9223372036854775808", "93" + hex.EncodeToString([]byte("9223372036854775808")) + "14", 21},
		{"-9223372036854775809", "94", 22},
		{"", "8001", 2},
		{"a", "816102", 3},
		{"-", "812d02", 3},
		{"-0", "822d3003", 4},
		{"+1", "822b3103", 4},
		{"01", "82303103", 4},
		{" 1", "82203103", 4},
		{"1 ", "82312003", 4},
		{"1a", "82316103", 4},
		{"/", "812f02", 3},
		{":", "813a02", 3},
		{long[:63], "bf", 65},
		{long, "e040", 67},
		{strings.Repeat("x", 125), "e07d", 128},
		{strings.Repeat("x", 126), "e07e", 130}, // the back length needs a second byte
		{strings.Repeat("x", 4095), "efff", 4099},
		{strings.Repeat("x", 4096), "f000100000", 4103},
		{strings.Repeat("x", 16377), "f0f93f0000", 16384}, // 16382 encoded: two bytes of back length
		{strings.Repeat("x", 16378), "f0fa3f0000", 16386}, // 16383: three, though two would do
	} {
		lp := build(c.elem)
		if got := hex.EncodeToString(lp[headerSize:]); !strings.HasPrefix(got, c.want) {
			t.Errorf("%.20q is stored as %.40s, want %.40s", c.elem, got, c.want)
		}
		if n := Of([]byte(c.elem)).Size(); n != c.size || len(lp) != minBytes+n || lp.EntrySize(lp.First()) != n {
			t.Errorf("%.20q takes %d bytes (listpack %d), want %d", c.elem, n, len(lp), c.size)
		}
		check(t, lp, []string{c.elem})
		if n, err := strconv.ParseInt(c.elem, 10, 64); err == nil && strconv.FormatInt(n, 10) == c.elem {
			if v := lp.Get(lp.First()); !v.IsInt() || v.Int != n {
				t.Errorf("%s is not stored as that integer", c.elem)
			}
			if other := New(0).AppendInt(n); !bytes.Equal(other, lp) {
				t.Errorf("AppendInt(%d) = %x", n, other)
			}
		} else if lp.Get(lp.First()).IsInt() {
			t.Errorf("%q became an integer", c.elem)
		}
	}
	if got := hex.EncodeToString(New(100)); got != "070000000000ff" {
		t.Errorf("empty: %s", got)
	}
}

func TestParseIntAgainstStrconv(t *testing.T) { random.Repeat(t, testParseIntAgainstStrconv) }

func testParseIntAgainstStrconv(t *testing.T) {
	r := newRand(t)
	for range 100000 {
		s := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		if r.IntN(2) == 0 {
			s = "-" + s
		}
		if r.IntN(4) == 0 {
			b := []byte(s)
			b[r.IntN(len(b))] = "0123456789-+ x"[r.IntN(14)]
			s = string(b)
		}
		n, err := strconv.ParseInt(s, 10, 64)
		want := err == nil && strconv.FormatInt(n, 10) == s
		if got, ok := ParseInt([]byte(s)); ok != want || ok && got != n {
			t.Fatalf("ParseInt(%q) = %d, %v", s, got, ok)
		}
	}
}

// randomElem makes texts of all encodings, small ones so often that some are equal.
func randomElem(r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		return ""
	case 1, 2:
		return strconv.Itoa(r.IntN(20))
	case 3, 4, 5:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 6:
		return strings.Repeat("y", r.IntN(200))
	case 7:
		if r.IntN(20) == 0 {
			return strings.Repeat("z", 4000+r.IntN(200))
		}
		if r.IntN(200) == 0 {
			return strings.Repeat("w", 16300+r.IntN(100))
		}
	case 8:
		return []string{"-0", "+1", "007", "9223372036854775808", "-", "1.5"}[r.IntN(6)]
	}
	return fmt.Sprintf("elem-%d", r.IntN(30))
}

// Random operations on a listpack and on a slice of strings.
func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	r := newRand(t)
	for range 30 {
		lp, model := New(r.IntN(100)), []string{}
		for step := range 600 {
			n := len(model)
			grow := n < 5 || n < 150 && r.IntN(3) > 0
			e := randomElem(r)
			i := 0
			if n > 0 {
				i = r.IntN(n)
			}
			p := lp.Seek(i)
			if n == 0 && p != -1 {
				t.Fatal("Seek in an empty listpack")
			}
			switch op := r.IntN(14); {
			case n == 0 || grow && op < 2:
				lp, model = lp.Append([]byte(e)), append(model, e)
			case grow && op < 4:
				lp, model = lp.Prepend([]byte(e)), slices.Insert(model, 0, e)
			case grow && op < 6:
				lp, model = lp.InsertBefore(p, []byte(e)), slices.Insert(model, i, e)
			case grow && op < 8:
				lp, model = lp.InsertAfter(p, []byte(e)), slices.Insert(model, i+1, e)
			case grow && op == 8:
				f := randomElem(r)
				lp, model = lp.AppendPair([]byte(e), []byte(f)), append(model, e, f)
			case grow && op == 9:
				v := int64(r.Uint64()) >> r.IntN(64)
				s := strconv.FormatInt(v, 10)
				if r.IntN(2) == 0 {
					lp, model = lp.AppendInt(v), append(model, s)
				} else {
					lp, model = lp.PrependInt(v), slices.Insert(model, 0, s)
				}
			case grow && op == 10:
				var es []Entry
				var ss []string
				for range r.IntN(5) {
					f := randomElem(r)
					es, ss = append(es, Of([]byte(f))), append(ss, f)
				}
				lp, model = lp.InsertAll(p, es), slices.Insert(model, i, ss...)
			case op < 4:
				lp, model = lp.Replace(p, []byte(e)), slices.Replace(model, i, i+1, e)
			case op == 4:
				v := int64(r.Uint64()) >> r.IntN(64)
				lp, model = lp.ReplaceInt(p, v), slices.Replace(model, i, i+1, strconv.FormatInt(v, 10))
			case op < 8:
				lp, model = lp.Delete(p), slices.Delete(model, i, i+1)
			case op == 8:
				k := r.IntN(8)
				j := i
				if r.IntN(2) == 0 {
					j = i - n
				}
				lp, model = lp.DeleteRange(j, k), slices.Delete(model, i, min(i+k, n))
			case op == 9:
				k := r.IntN(8)
				lp, model = lp.DeleteFrom(p, k), slices.Delete(model, i, min(i+k, n))
			case op == 10:
				var ps []int
				var rest []string
				j := 0
				for q := lp.First(); q >= 0; q = lp.Next(q) {
					if r.IntN(4) == 0 {
						ps = append(ps, q)
					} else {
						rest = append(rest, model[j])
					}
					j++
				}
				lp, model = lp.DeleteAll(ps), rest
			case op == 11:
				left, right := lp.Split(p, i)
				check(t, left, model[:i])
				check(t, right, model[i:])
				lp = Merge(left, right)
			case op == 12:
				lp = lp.Clone()
			default:
				lp = lp.ShrinkToFit()
			}
			check(t, lp, model)
			if step%10 == 0 {
				checkFinds(t, r, lp, model)
			}
		}
	}
}

func checkFinds(t *testing.T, r *rand.Rand, lp Listpack, model []string) {
	t.Helper()
	position := func(i int) int {
		if i < 0 || i >= len(model) {
			return -1
		}
		p := lp.First()
		for ; i > 0; i-- {
			p = lp.Next(p)
		}
		return p
	}
	for i := -len(model) - 2; i < len(model)+2; i++ {
		want := position(i)
		if i < 0 {
			want = position(i + len(model))
			if i+len(model) < 0 {
				want = -1
			}
		}
		if got := lp.Seek(i); got != want {
			t.Fatalf("Seek(%d) = %d, want %d", i, got, want)
		}
	}
	for range 20 {
		e, skip, from := randomElem(r), r.IntN(4), 0
		if len(model) > 0 {
			from = r.IntN(len(model))
			if r.IntN(2) == 0 {
				e = model[r.IntN(len(model))]
			}
		}
		want := -1
		for i := from; i < len(model); i += skip + 1 {
			if model[i] == e {
				want = i
				break
			}
		}
		if got := lp.Find(position(from), []byte(e), skip); got != position(want) {
			t.Fatalf("Find(%q, skip %d) from %d = %d, want element %d at %d", e, skip, from, got, want, position(want))
		}
	}
}

// At 65535 elements the header stops counting, and it does not begin again.
func TestUnknownLength(t *testing.T) {
	lp := New(0)
	for i := range unknown - 1 {
		lp = lp.AppendInt(int64(i & 63))
	}
	if lp.header() != unknown-1 || lp.Len() != unknown-1 {
		t.Fatal("65534 elements are told", lp.header(), lp.Len())
	}
	lp = lp.Append([]byte("a")).Append([]byte("b"))
	if lp.header() != unknown || lp.Len() != unknown+1 {
		t.Fatal("65536 elements are told", lp.header(), lp.Len())
	}
	for _, c := range []struct{ index, want int }{{0, headerSize}, {-1, lp.Last()}, {unknown, lp.Last()}, {unknown + 1, -1}, {-unknown - 1, headerSize}, {-unknown - 2, -1}} {
		if got := lp.Seek(c.index); got != c.want {
			t.Errorf("Seek(%d) = %d, want %d", c.index, got, c.want)
		}
	}
	if err := Validate(lp, true); err != nil {
		t.Error(err)
	}
	lp = lp.DeleteRange(-unknown, unknown-9)
	if lp.header() != unknown || lp.Len() != 10 || Validate(lp, true) != nil {
		t.Error("after the deletion", lp.header(), lp.Len())
	}
	lp = lp.DeleteRange(-2, 5)
	if got := texts(lp); lp.Len() != 8 || !slices.Equal(got[:2], []string{"0", "55"}) {
		t.Error("after the second deletion", got)
	}
	merged := Merge(build("x"), lp)
	if merged.header() != 9 || Validate(merged, true) != nil {
		t.Error("merge counts", merged.header())
	}
}

func TestTooLarge(t *testing.T) {
	lp := build("a")
	if !lp.SafeToAdd(safeBytes-len(lp)) || lp.SafeToAdd(safeBytes-len(lp)+1) {
		t.Error("SafeToAdd")
	}
	if lp.splice(headerSize, headerSize, MaxBytes) != nil {
		t.Error("a listpack of more than 4 GiB was made")
	}
	if e := (Entry{str: []byte("x"), enc: MaxBytes}); lp.Insert(headerSize, e) != nil || lp.ReplaceEntry(headerSize, e) != nil ||
		lp.InsertAll(headerSize, []Entry{e}) != nil {
		t.Error("an entry of more than 4 GiB was stored")
	}
}

func TestValidate(t *testing.T) {
	good := build("abc", "5", "-70000", strings.Repeat("q", 300), strings.Repeat("r", 5000))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	length := func(b []byte, n int) []byte {
		b[0], b[1], b[2], b[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
		return b
	}
	for _, c := range []struct {
		name    string
		b       []byte
		shallow bool // passes the shallow check
		deep    bool
	}{
		{"good", good, true, true},
		{"empty listpack", New(0), true, true},
		{"nil", nil, false, false},
		{"six bytes", good[:6], false, false},
		{"length", change(func(b []byte) []byte { b[0]++; return b }), false, false},
		{"terminator", change(func(b []byte) []byte { b[len(b)-1] = 0; return b }), false, false},
		{"too many told", change(func(b []byte) []byte { b[4]++; return b }), true, false},
		{"unknown number", change(func(b []byte) []byte { b[4], b[5] = 255, 255; return b }), true, true},
		{"terminator inside", change(func(b []byte) []byte { b[headerSize] = eof; return b }), true, false},
		{"unknown encoding", change(func(b []byte) []byte { b[headerSize] = 0xf5; return b }), true, false},
		{"back length", change(func(b []byte) []byte { b[headerSize+4] = 9; return b }), true, false},
		{"string past the end", append(length([]byte{0, 0, 0, 0, 1, 0}, 9), 0xbf, 1, eof), true, false},
		{"12 bit header cut", append(length([]byte{0, 0, 0, 0, 1, 0}, 8), 0xe0, eof), true, false},
		{"32 bit header cut", append(length([]byte{0, 0, 0, 0, 1, 0}, 10), 0xf0, 0, 0, eof), true, false},
		{"32 bit length", append(length([]byte{0, 0, 0, 0, 1, 0}, 12), 0xf0, 255, 255, 255, 255, eof), true, false},
		{"integer cut", append(length([]byte{0, 0, 0, 0, 1, 0}, 10), 0xf4, 0, 0, eof), true, false},
		{"endless back length", append(length([]byte{0, 0, 0, 0, 1, 0}, 14), 0x86, 128, 128, 128, 128, 128, 128, eof), true, false},
		{"integer text as a string", append(length([]byte{0, 0, 0, 0, 1, 0}, 10), 0x81, '7', 2, eof), true, true},
	} {
		if err := Validate(c.b, false); (err == nil) != c.shallow {
			t.Errorf("%s: shallow: %v", c.name, err)
		}
		if err := Validate(c.b, true); (err == nil) != c.deep {
			t.Errorf("%s: deep: %v", c.name, err)
		}
	}
	// Bytes from elsewhere may hold an integer's text as a string; it is equal to the integer all the same.
	foreign := Listpack(append(length([]byte{0, 0, 0, 0, 1, 0}, 10), 0x81, '7', 2, eof))
	if foreign.Find(headerSize, []byte("7"), 0) != headerSize || foreign.FindInt(headerSize, 7, 0) != headerSize {
		t.Error("the string 7 was not found")
	}
	if n, ok := foreign.Get(headerSize).Integer(); !ok || n != 7 {
		t.Error("the string 7 is no integer")
	}
}

func TestValueLen(t *testing.T) {
	for _, n := range []int64{0, 9, 10, -1, -9, -10, 99, 100, math.MaxInt64, math.MinInt64} {
		if got, want := (Value{Int: n}).Len(), len(strconv.FormatInt(n, 10)); got != want {
			t.Errorf("Len of %d = %d", n, got)
		}
	}
	if v := (Value{Str: []byte{}}); v.IsInt() || v.Len() != 0 || !v.Equal(nil) || v.Equal([]byte("0")) {
		t.Error("the empty string")
	}
}

func TestEdges(t *testing.T) {
	lp := build("a", "5", strings.Repeat("b", 3<<20)) // the last with a back length of four bytes
	check(t, lp, []string{"a", "5", strings.Repeat("b", 3<<20)})
	if lp.Size() < len(lp) || lp.Size() != mem.Size(cap(lp)) || lp.End() != len(lp)-1 || lp[lp.End()] != eof {
		t.Error("Size or End")
	}
	before := bytes.Clone(lp)
	lp = lp.DeleteRange(3, 1).DeleteRange(-4, 1).DeleteRange(0, 0).DeleteRange(1, -1).DeleteAll(nil)
	if !bytes.Equal(lp, before) {
		t.Error("a deletion out of range changed something")
	}
	// Elements of one listpack stored in another.
	copied := New(0)
	for p := lp.First(); p >= 0; p = lp.Next(p) {
		copied = copied.Insert(copied.End(), OfValue(lp.Get(p)))
	}
	if !bytes.Equal(copied, lp) {
		t.Error("a copy by elements differs")
	}
	check(t, New(0).Append(nil), []string{""})
	if lp.Find(-1, []byte("a"), 0) != -1 || lp.FindInt(-1, 5, 0) != -1 || New(0).Last() != -1 || New(0).Seek(0) != -1 {
		t.Error("something was found in nothing")
	}
	if n, ok := lp.Get(lp.Seek(1)).Integer(); !ok || n != 5 {
		t.Error("Integer")
	}
	defer func() {
		if recover() == nil {
			t.Error("the terminator was read as an element")
		}
	}()
	lp.Get(lp.End())
}

func TestNoAllocations(t *testing.T) {
	lp := New(4096)
	for i := range 100 {
		lp = lp.AppendPair([]byte("field-"+strconv.Itoa(i)), []byte(strconv.Itoa(i)))
	}
	field, value := []byte("field-50"), []byte("another")
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		p := lp.Find(lp.First(), field, 1)
		lp = lp.Replace(lp.Next(p), value)
		for q := lp.First(); q >= 0; q = lp.Next(q) {
			v := lp.Get(q)
			sum += v.Len()
		}
		lp = lp.Append(value)
		lp = lp.Delete(lp.Last())
		lp = lp.AppendPair(field, value)
		lp = lp.DeleteRange(-2, 2)
		lp = lp.Prepend(value)
		lp = lp.Delete(lp.First())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Foreign bytes that pass Validate must not make any operation fail.
func FuzzValidate(f *testing.F) {
	f.Add([]byte(build()), []byte("a"), 0)
	f.Add([]byte(build("abc", "5", "-70000", "70000", "3000000000", strings.Repeat("q", 300))), []byte("5"), 2)
	f.Add([]byte(build(strings.Repeat("r", 5000), "300")), []byte("xyz"), 1)
	f.Fuzz(func(t *testing.T, b, elem []byte, i int) {
		if Validate(b, true) != nil {
			_ = Validate(b, false)
			return
		}
		fresh := func() Listpack { return Listpack(b).Clone() }
		lp := fresh()
		want := texts(lp)
		i %= len(want) + 1
		n := 0
		for p := lp.Last(); p >= 0; p = lp.Prev(p) {
			n++
			if got := lp.Get(p).AppendTo(nil); string(got) != want[len(want)-n] {
				t.Fatalf("from the right: %q, want %q", got, want[len(want)-n])
			}
		}
		if n != len(want) || lp.Len() != n {
			t.Fatal("numbers of elements differ")
		}
		at := slices.Index(want, string(elem))
		if got := lp.Find(lp.First(), elem, 0); (got < 0) != (at < 0) || got >= 0 && got != lp.Seek(at) {
			t.Fatalf("Find = %d, want element %d", got, at)
		}
		lp.Find(lp.First(), elem, 1)
		same := func(what string, lp Listpack, want []string) {
			t.Helper()
			if err := Validate(lp, true); err != nil {
				t.Fatal(what, err)
			}
			if got := texts(lp); !slices.Equal(got, want) {
				t.Fatalf("%s: %q, want %q", what, got, want)
			}
		}
		same("append", fresh().Append(elem), append(slices.Clone(want), string(elem)))
		same("prepend", fresh().Prepend(elem), append([]string{string(elem)}, want...))
		same("merge", Merge(fresh(), fresh()), append(slices.Clone(want), want...))
		j := i
		if j < 0 {
			j += len(want)
		}
		if p := lp.Seek(i); p >= 0 {
			same("delete", fresh().Delete(p), slices.Delete(slices.Clone(want), j, j+1))
			same("replace", fresh().Replace(p, elem), slices.Replace(slices.Clone(want), j, j+1, string(elem)))
			same("insert", fresh().InsertAfter(p, elem), slices.Insert(slices.Clone(want), j+1, string(elem)))
			same("delete two", fresh().DeleteRange(i, 2), slices.Delete(slices.Clone(want), j, min(j+2, len(want))))
			left, right := fresh().Split(p, j)
			same("left", left, want[:j])
			same("right", right, want[j:])
		} else if j >= 0 && j < len(want) {
			t.Fatal("Seek failed")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	value := []byte("value:0123456789")
	lp := New(8192)
	b.ReportAllocs()
	for range b.N {
		if len(lp) > 8000 {
			lp = lp[:minBytes]
			lp[headerSize] = eof
			lp.PutHeader(0)
		}
		lp = lp.Append(value)
	}
}

func BenchmarkFind(b *testing.B) {
	lp := New(0)
	for i := range 64 {
		lp = lp.AppendPair([]byte("field:"+strconv.Itoa(i)), []byte("value:"+strconv.Itoa(i)))
	}
	for _, c := range []struct{ name, elem string }{{"string", "field:63"}, {"integer", "12345"}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			s := []byte(c.elem)
			for range b.N {
				lp.Find(lp.First(), s, 1)
			}
		})
	}
}

func BenchmarkReplaceSameSize(b *testing.B) {
	lp := New(0)
	for i := range 64 {
		lp = lp.AppendPair([]byte("field:"+strconv.Itoa(i)), []byte("value:"+strconv.Itoa(i)))
	}
	value := []byte("value:00")
	p := lp.Seek(65)
	b.ReportAllocs()
	for range b.N {
		lp = lp.Replace(p, value)
	}
}

func BenchmarkIterate(b *testing.B) {
	lp := New(0)
	for i := range 128 {
		lp = lp.Append([]byte("element:" + strconv.Itoa(i)))
	}
	b.ReportAllocs()
	n := 0
	for range b.N {
		for p := headerSize; p < lp.End(); {
			var v Value
			v, p = lp.Read(p)
			n += len(v.Str)
		}
	}
}
