package record

import (
	"bytes"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

const someday = int64(1_700_000_000_123)

// is checks everything that can be asked of a string record.
func is(t *testing.T, r *Record, e Encoding, key, value string, expiry int64, clock uint32) {
	t.Helper()
	var buf [20]byte
	if got := r.String(buf[:]); string(got) != value {
		t.Errorf("%s: String is %.60q (%d bytes), want %.60q (%d bytes)", e, got, len(got), value, len(value))
	}
	if got := r.AppendTo([]byte("before ")); string(got) != "before "+value {
		t.Errorf("%s: AppendTo gives %.60q", e, got)
	}
	if r.StringLen() != len(value) {
		t.Errorf("%s: StringLen is %d, want %d", e, r.StringLen(), len(value))
	}
	if r.Type() != String || r.Encoding() != e {
		t.Errorf("a %s of encoding %s, want a string of %s", r.Type(), r.Encoding(), e)
	}
	if string(r.Key()) != key || !r.KeyIs(r.Key()) {
		t.Errorf("%s: the key is %.60q (%d bytes), KeyIs %v; want %.60q (%d bytes)", e, r.Key(), len(r.Key()),
			r.KeyIs([]byte(key)), key, len(key))
	}
	if len(key) > 1<<20 {
		if r.KeyIs(r.Key()[1:]) {
			t.Errorf("%s: KeyIs takes another key for one of %d bytes", e, len(key))
		}
	} else if r.KeyIs([]byte(key+"x")) || key != "" && (r.KeyIs([]byte(key[1:])) || r.KeyIs([]byte(key[:len(key)-1]+"\xfe"))) {
		t.Errorf("%s: KeyIs takes another key for %.60q", e, key)
	}
	if r.Expiry() != expiry || r.Clock() != clock {
		t.Errorf("%s: deadline %d, clock %x; want %d, %x", e, r.Expiry(), r.Clock(), expiry, clock)
	}
}

var keys = []string{"", "k", "key:1234", "binary\x00\r\n\xff", strings.Repeat("k", 250), strings.Repeat("k", 70_000)}

func TestStrings(t *testing.T) {
	long := strings.Repeat("x", 513)
	for _, key := range keys {
		for _, expiry := range []int64{NoExpiry, 0, someday, math.MaxInt64} {
			for _, c := range []struct {
				value     string
				set, text Encoding // what SET and INCRBYFLOAT make of it
				inline    bool
			}{
				{"", EmbStr, EmbStr, true},
				{"0", Int, EmbStr, true},
				{"-1", Int, EmbStr, true},
				{"9223372036854775807", Int, EmbStr, true},
				{"-9223372036854775808", Int, EmbStr, true},
				{"9223372036854775808", EmbStr, EmbStr, true},
				{"-9223372036854775809", EmbStr, EmbStr, true},
				{"99999999999999999999", EmbStr, EmbStr, true},
				{"-0", EmbStr, EmbStr, true},
				{"00", EmbStr, EmbStr, true},
				{"+1", EmbStr, EmbStr, true},
				{"1 ", EmbStr, EmbStr, true},
				{"-", EmbStr, EmbStr, true},
				{"1.5", EmbStr, EmbStr, true},
				{long[:44], EmbStr, EmbStr, true},
				{long[:45], Raw, Raw, true},
				{long[:512], Raw, Raw, true},
				{long, Raw, Raw, false},
			} {
				k, v := []byte(key), []byte(c.value)
				r := NewString(k, v, expiry, 0xabcdef, 7)
				is(t, r, c.set, key, c.value, expiry, 0xabcdef)
				if r.Inline() != c.inline {
					t.Errorf("%d bytes: inline %v", len(v), r.Inline())
				}
				if !c.inline && Value[Bytes](r).Stamp != 7 {
					t.Errorf("stamp %d, want 7", Value[Bytes](r).Stamp)
				}
				text, raw := NewText(k, v, expiry, 1, 7), NewRaw(k, v, expiry, 2, 7)
				clear(k) // all of them have copies
				clear(v)
				is(t, r, c.set, key, c.value, expiry, 0xabcdef)
				is(t, text, c.text, key, c.value, expiry, 1)
				is(t, raw, Raw, key, c.value, expiry, 2)
				owned := NewOwned([]byte(key), []byte(c.value), expiry, 3, 7)
				is(t, owned, Raw, key, c.value, expiry, 3)
				if owned.Inline() {
					t.Error("NewOwned made an inline record")
				}
			}
		}
	}
}

// TestHugeKeys has keys whose length does not fit into the header.
func TestHugeKeys(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for _, n := range []int{hugeKey - 1, hugeKey} {
		key := big[:n]
		for i, value := range []string{"12", "text", strings.Repeat("v", 600), "text with deadline"} {
			expiry := NoExpiry
			if i == 3 {
				expiry = someday
			}
			r := NewString([]byte(key), []byte(value), expiry, 5, 1)
			is(t, r, r.Encoding(), key, value, expiry, 5)
			c := r.Rekey([]byte("small"), expiry)
			is(t, c, r.Encoding(), "small", value, expiry, 5)
			is(t, c.Rekey([]byte(key), someday), r.Encoding(), key, value, someday, 5)
		}
		s := NewScore([]byte(key), 1.5)
		if s.Score() != 1.5 || string(s.Key()) != key {
			t.Errorf("a member of %d bytes lost its score %v or name", n, s.Score())
		}
		runtime.GC()
	}
}

func TestExpiry(t *testing.T) {
	for _, value := range []string{"1", "text", strings.Repeat("r", 100), strings.Repeat("o", 1000)} {
		r := NewString([]byte("k"), []byte(value), NoExpiry, 0, 0)
		if r.SetExpiry(someday) || r.Expiry() != NoExpiry {
			t.Errorf("%d bytes: a record made without a deadline has room for one", len(value))
		}
		if !r.SetExpiry(NoExpiry) || r.Expiry() != NoExpiry {
			t.Error("a deadline could not be taken away")
		}
		r = NewString([]byte("k"), []byte(value), someday, 9, 0)
		for _, when := range []int64{5, NoExpiry, math.MaxInt64, 0} {
			if !r.SetExpiry(when) {
				t.Errorf("no room for the deadline %d in a record made with one", when)
			}
			is(t, r, r.Encoding(), "k", value, when, 9)
		}
	}
}

func TestClock(t *testing.T) {
	for _, value := range []string{"1", "text", strings.Repeat("o", 1000)} {
		r := NewString([]byte("key"), []byte(value), someday, 0, 0)
		for _, c := range []uint32{1, ClockMask, 0x800000, 0} {
			r.SetClock(c)
			is(t, r, r.Encoding(), "key", value, someday, c)
		}
		r.SetClock(1<<31 | 3)
		is(t, r, r.Encoding(), "key", value, someday, 3)
	}
}

func TestSetInt(t *testing.T) { random.Repeat(t, testSetInt) }

func testSetInt(t *testing.T) {
	for _, expiry := range []int64{NoExpiry, someday} {
		r := NewInt([]byte("n"), 1, expiry, 4)
		for _, n := range []int64{0, -1, 9, 10, 99, 100, -9, -10, math.MaxInt64, math.MinInt64} {
			r.SetInt(n)
			if r.Int() != n {
				t.Errorf("Int is %d, want %d", r.Int(), n)
			}
			is(t, r, Int, "n", strconv.FormatInt(n, 10), expiry, 4)
		}
	}
	rnd := random.New(t)
	for range 2000 {
		n := int64(rnd.Uint64()) >> rnd.IntN(64)
		if got := decimalLen(n); got != len(strconv.FormatInt(n, 10)) {
			t.Errorf("decimalLen(%d) is %d", n, got)
		}
		if got, ok := parseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("parseInt of %d gives %d %v", n, got, ok)
		}
	}
}

// TestTrySetString overwrites values of all lengths with others. Where it is done in place the record must be as
// NewString would make it, and nothing around it may change.
func TestTrySetString(t *testing.T) { random.Repeat(t, testTrySetString) }

func testTrySetString(t *testing.T) {
	rnd := random.New(t)
	values := []string{"0", "-9223372036854775808", "12"}
	for n := range 520 {
		values = append(values, strings.Repeat("v", n))
	}
	for range 200 {
		values = append(values, strings.Repeat("v", 512+rnd.IntN(40_000)))
	}
	done, long := 0, 0
	for _, expiry := range []int64{NoExpiry, someday} {
		for range 10_000 {
			old, value := values[rnd.IntN(len(values))], values[rnd.IntN(len(values))]
			if rnd.IntN(2) == 0 && len(old) > 2 { // of nearly the same length
				value = strings.Repeat("w", len(old)-2+rnd.IntN(5))
			}
			r := NewString([]byte("key"), []byte(old), expiry, 6, 0)
			want := NewString([]byte("key"), []byte(value), expiry, 6, 0)
			size := r.Size()
			if !r.TrySetString([]byte(value)) {
				is(t, r, r.Encoding(), "key", old, expiry, 6)
				same := r.Inline() && want.Inline() && r.Encoding() == want.Encoding() && size == want.Size() && size > 16
				if same || len(old) == len(value) && r.Inline() && r.Encoding() == want.Encoding() {
					t.Errorf("%d bytes were not overwritten with %d", len(old), len(value))
				}
				continue
			}
			done++
			if !r.Inline() {
				long++
			}
			is(t, r, want.Encoding(), "key", value, expiry, 6)
			if r.Size() != size || size != want.Size() {
				t.Errorf("%d bytes overwritten with %d: Size %d, was %d, want %d", len(old), len(value), r.Size(), size, want.Size())
			}
		}
	}
	if done < 1000 || long < 100 {
		t.Errorf("only %d values were overwritten in place, %d of them long", done, long)
	}
	// What is raw though short, and what is text though a number, does not become what SET would not make of it.
	if NewRaw([]byte("k"), []byte("ab"), NoExpiry, 0, 0).TrySetString([]byte("cd")) {
		t.Error("a short raw string was overwritten")
	}
	if NewText([]byte("k"), []byte("10"), NoExpiry, 0, 0).TrySetString([]byte("11")) {
		t.Error("a number was written into a string")
	}
	if NewInt([]byte("k"), 10, NoExpiry, 0).TrySetString([]byte("ab")) {
		t.Error("a string was written into a number")
	}
}

func TestTryResize(t *testing.T) {
	for _, expiry := range []int64{NoExpiry, someday} {
		for n := 0; n <= MaxInline; n += 1 + n/40 {
			for to := 0; to <= MaxInline+1; to += 1 + to/50 {
				value := strings.Repeat("v", n)
				r := NewText([]byte("key"), []byte(value), expiry, 6, 0)
				size := r.Size()
				b, ok := r.TryResize(to)
				if !ok {
					is(t, r, r.Encoding(), "key", value, expiry, 6)
					if to == n {
						t.Errorf("%d bytes could not be made raw in place", n)
					}
					continue
				}
				if len(b) != to || !strings.HasPrefix(value, string(b[:min(n, to)])) {
					t.Errorf("from %d to %d bytes: got %d bytes, %.20q", n, to, len(b), b)
				}
				for i := range b {
					b[i] = 'w'
				}
				is(t, r, Raw, "key", strings.Repeat("w", to), expiry, 6)
				if r.Size() != size {
					t.Errorf("from %d to %d bytes: Size was %d and is %d", n, to, size, r.Size())
				}
			}
		}
	}
	if _, ok := NewInt([]byte("k"), 7, NoExpiry, 0).TryResize(1); ok {
		t.Error("a number was resized")
	}
	if _, ok := NewOwned([]byte("k"), []byte("v"), NoExpiry, 0, 0).TryResize(1); ok {
		t.Error("an object was resized")
	}
}

func TestRekey(t *testing.T) {
	for _, value := range []string{"-7", "text", "", strings.Repeat("r", 100), strings.Repeat("o", 1000)} {
		for _, from := range []int64{NoExpiry, someday} {
			for _, to := range []int64{NoExpiry, someday, 5} {
				for _, key := range keys {
					r := NewString([]byte("old"), []byte(value), from, 8, 3)
					k := []byte(key)
					c := r.Rekey(k, to)
					clear(k)
					is(t, c, r.Encoding(), key, value, to, 8)
					is(t, r, r.Encoding(), "old", value, from, 8)
					if !r.Inline() && c.Pointer() != r.Pointer() {
						t.Error("an object's value was copied")
					}
				}
			}
		}
	}
	s := NewScore([]byte("m"), -2.5).Rekey([]byte("other"), NoExpiry)
	if s.Score() != -2.5 || s.Encoding() != Score || string(s.Key()) != "other" {
		t.Errorf("a score became %v of %q", s.Score(), s.Key())
	}
}

// TestMoved follows the mark of a value that was moved while a snapshot could read it.
func TestMoved(t *testing.T) {
	inline := NewString([]byte("k"), []byte("v"), NoExpiry, 0, 0)
	inline.SetMoved()
	if inline.Moved() {
		t.Error("an inline record says that it was moved")
	}
	r := NewString([]byte("k"), make([]byte, 1000), NoExpiry, 0, 0)
	if r.Moved() {
		t.Error("a new record says that it was moved")
	}
	r.SetMoved()
	c := r.Rekey([]byte("k2"), someday)
	is(t, c, Raw, "k2", string(make([]byte, 1000)), someday, 0)
	if !r.Moved() || !c.Moved() {
		t.Error("the mark was lost with the key")
	}
	v := &Bytes{B: []byte("new")}
	w := c.WithValue(Raw, unsafe.Pointer(v))
	is(t, w, Raw, "k2", "new", someday, 0)
	if w.Moved() || !c.Moved() {
		t.Error("another value was not moved, and the old record keeps its own")
	}
	c.SetValue(Raw, unsafe.Pointer(v))
	is(t, c, Raw, "k2", "new", someday, 0)
	if c.Moved() {
		t.Error("another value was not moved")
	}
}

func TestObject(t *testing.T) {
	type list struct{ n int }
	v := &list{42}
	r := NewObject(List, QuickList, []byte("l"), unsafe.Pointer(v), NoExpiry, 11)
	runtime.GC()
	if r.Type() != List || r.Encoding() != QuickList || r.Inline() || Value[list](r) != v || Value[list](r).n != 42 {
		t.Errorf("a %s of %s, inline %v, value %+v", r.Type(), r.Encoding(), r.Inline(), Value[list](r))
	}
	if r.Type().String() != "list" || r.Encoding().String() != "quicklist" {
		t.Errorf("names %s, %s", r.Type(), r.Encoding())
	}
	w := &list{43}
	c := r.WithValue(ListPack, unsafe.Pointer(w))
	if c.Encoding() != ListPack || Value[list](c) != w || c.Type() != List || c.Clock() != 11 || string(c.Key()) != "l" ||
		r.Encoding() != QuickList || Value[list](r) != v {
		t.Error("WithValue has changed what it should not")
	}
	long := NewObject(List, QuickList, bytes.Repeat([]byte("k"), nearMax), unsafe.Pointer(v), NoExpiry, 11)
	c = long.WithValue(ListPack, unsafe.Pointer(w))
	if unsafe.SliceData(c.Key()) != unsafe.SliceData(long.Key()) {
		t.Error("WithValue has copied a long key")
	}
	r.SetValue(ListPack, unsafe.Pointer(w))
	if r.Encoding() != ListPack || Value[list](r) != w || r.Clock() != 11 {
		t.Error("SetValue has changed what it should not")
	}
}

// TestObjectsKeepTheirParts makes objects with keys of every length about the size classes, whose words the collector must
// see as what they are: the value is reached through the record alone.
func TestObjectsKeepTheirParts(t *testing.T) {
	type list struct{ n int }
	for n := range nearMax + 20 {
		key := strings.Repeat("k", n)
		for _, expiry := range []int64{NoExpiry, someday} {
			r := NewObject(List, QuickList, []byte(key), unsafe.Pointer(&list{n}), expiry, 5)
			c := r.WithValue(ListPack, unsafe.Pointer(&list{n + 1}))
			other := r.Rekey([]byte(key+"2"), someday-expiry)
			runtime.GC()
			if string(r.Key()) != key || r.Expiry() != expiry || Value[list](r).n != n || r.Clock() != 5 || !r.KeyIs([]byte(key)) {
				t.Fatalf("key of %d, deadline %d: %q, %d, %d", n, expiry, r.Key(), r.Expiry(), Value[list](r).n)
			}
			if string(c.Key()) != key || c.Expiry() != expiry || Value[list](c).n != n+1 || c.Size() != r.Size() {
				t.Fatalf("key of %d with another value: %q, %d, %d", n, c.Key(), c.Expiry(), Value[list](c).n)
			}
			if string(other.Key()) != key+"2" || other.Expiry() != someday-expiry || Value[list](other).n != n {
				t.Fatalf("key of %d under another key: %q, %d, %d", n, other.Key(), other.Expiry(), Value[list](other).n)
			}
			if r.SetExpiry(someday+1) && (r.Expiry() != someday+1 || string(r.Key()) != key) {
				t.Fatalf("key of %d: SetExpiry gave %d, %q", n, r.Expiry(), r.Key())
			}
		}
	}
	if got := NewObject(Hash, ListPack, make([]byte, 16), nil, NoExpiry, 0).Size(); got != 32 {
		t.Errorf("an object with a key of 16 bytes takes %d", got)
	}
}

func TestElements(t *testing.T) {
	for _, value := range []string{"", "5", "text", strings.Repeat("x", 512), strings.Repeat("x", 513)} {
		for _, expiry := range []int64{NoExpiry, someday} {
			r := NewMember([]byte("field"), []byte(value), expiry, 3)
			is(t, r, Member, "field", value, expiry, 0)
		}
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.Inf(-1), math.MaxFloat64} {
		r := NewScore([]byte("m"), f)
		if r.Score() != f || math.Signbit(r.Score()) != math.Signbit(f) || r.Encoding() != Score {
			t.Errorf("score %v became %v", f, r.Score())
		}
		r.SetScore(f + 1)
		if r.Score() != f+1 || string(r.Key()) != "m" {
			t.Errorf("score %v became %v of %q", f+1, r.Score(), r.Key())
		}
	}
}

var kept []*Record

// TestSize compares Size with what the allocator says it gave.
func TestSize(t *testing.T) {
	const n = 100
	kept = make([]*Record, n)
	for _, keyLen := range []int{0, 1, 7, 16, 17, 100, 1000, 40_000} {
		key := bytes.Repeat([]byte("k"), keyLen)
		for _, expiry := range []int64{NoExpiry, someday} {
			for _, valueLen := range []int{-1, 0, 1, 8, 13, 44, 45, 200, 512, 513, 5000, 100_000} {
				value := bytes.Repeat([]byte("v"), max(valueLen, 0))
				if valueLen < 0 {
					value = []byte("123456")
				}
				got := math.MaxInt
				for range 3 { // the runtime itself allocates now and then: the least of three counts
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					for i := range kept {
						kept[i] = NewString(key, value, expiry, 0, 0)
					}
					runtime.ReadMemStats(&after)
					got = min(got, int(after.TotalAlloc-before.TotalAlloc)/n)
				}
				if want := kept[0].Size(); got < want || got > want+want/100 {
					t.Errorf("key of %d, value of %d, deadline %d: Size %d, allocated %d", keyLen, valueLen, expiry, want, got)
				}
			}
		}
	}
	kept = nil
	// A huge key has its length in front; the slack of 8 counts where the end of a page is near.
	for _, n := range []int{hugeKey, 1<<24 + 8192 - 12, 1<<24 + 8192 - 8} {
		r := NewOwned(make([]byte, n), nil, NoExpiry, 0, 0)
		want := mem.Size((n+15)/8*8) + mem.SizePtr(int(unsafe.Sizeof(far{}))) + mem.SizePtr(int(unsafe.Sizeof(Bytes{})))
		if r.Size() != want {
			t.Errorf("key of %d: Size %d, want %d", n, r.Size(), want)
		}
	}
}

func TestPacked(t *testing.T) {
	for _, key := range []string{"", "k", strings.Repeat("k", 200)} {
		for _, expiry := range []int64{NoExpiry, 1 << 40} {
			for _, n := range []int{1, 7, 33, 34, 35, 500, MaxPacked} {
				value := bytes.Repeat([]byte("v"), n)
				if !Packs([]byte(key), n) {
					t.Fatalf("%d bytes cannot be packed", n)
				}
				r := NewPacked(Hash, ListPack, []byte(key), value, expiry, 5)
				if !r.IsPacked() || !r.Inline() || r.Type() != Hash || r.Encoding() != ListPack || string(r.Key()) != key || r.Expiry() != expiry || r.Clock() != 5 {
					t.Fatalf("%s of %s, key %q, expiry %d, clock %d", r.Encoding(), r.Type(), r.Key(), r.Expiry(), r.Clock())
				}
				room := r.Packed()
				if !bytes.Equal(room[:n], value) || cap(room) != len(room) {
					t.Fatalf("%d bytes: is %q", n, room)
				}
				size := 8 + 2 + len(key) + n
				if expiry != NoExpiry {
					size += 8
				}
				if r.Size() != max(mem.Size(size), 16) || r.Size() < size-n+len(room) {
					t.Fatalf("%d bytes take %d, room for %d", size, r.Size(), len(room))
				}
				// As much as there is room for is written in place, and so is half of it.
				for _, m := range []int{len(room), len(room) + 1, n, 1} {
					other := bytes.Repeat([]byte("w"), m)
					fits := m <= len(room) && (r.Size() <= smallest || 2*mem.Size(size-n+m) > r.Size())
					if done := r.TrySetPacked(ListPackEx, other); done != fits {
						t.Fatalf("%d bytes in a record of %d: %v", m, r.Size(), done)
					} else if done && (!bytes.Equal(r.Packed()[:m], other) || r.Encoding() != ListPackEx || string(r.Key()) != key || r.Expiry() != expiry) {
						t.Fatalf("%d bytes: is %q, encoding %s, key %q", m, r.Packed(), r.Encoding(), r.Key())
					}
				}
			}
		}
	}
	if Packs(nil, MaxPacked+1) || Packs(make([]byte, maxPackedKey+1), 1) || NewInt(nil, 1, NoExpiry, 0).IsPacked() {
		t.Error("what must not be packed is")
	}
}
