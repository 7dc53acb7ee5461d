package hash

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// timed is a field of the model.
type timed struct {
	value string
	when  int64
}

// timedContents returns the hash as a map.
func timedContents(h *Hash) map[string]timed {
	m := make(map[string]timed)
	h.EachField(func(field, value Value, when int64) bool {
		m[string(field.AppendTo(nil))] = timed{string(value.AppendTo(nil)), when}
		return true
	})
	return m
}

// check tests what must always hold: Len, Size, the earliest deadline, the order of triples, and that the index has
// exactly the deadlines of the records.
func check(t testing.TB, h *Hash) {
	t.Helper()
	n, earliest, last := 0, record.NoExpiry, int64(0)
	var all []int64
	h.EachField(func(field, value Value, when int64) bool {
		n++
		if when != record.NoExpiry {
			all = append(all, when)
			if earliest == record.NoExpiry || when < earliest {
				earliest = when
			}
		}
		if h.timed() {
			if when != record.NoExpiry && (last == record.NoExpiry || when < last) {
				t.Errorf("a deadline of %d behind one of %d", when, last)
			}
			last = when
		}
		return true
	})
	if n != h.Len() {
		t.Errorf("Len is %d, there are %d fields", h.Len(), n)
	}
	if h.Earliest() != earliest {
		t.Errorf("Earliest is %d, want %d", h.Earliest(), earliest)
	}
	l := h.large()
	if l == nil {
		return
	}
	if size := trueSize(h) + l.due.size(); h.Size() != size {
		t.Errorf("Size is %d, want %d", h.Size(), size)
	}
	if (l.due != nil) != (len(all) > 0) {
		t.Fatalf("an index %v for %d deadlines", l.due, len(all))
	}
	if l.due == nil {
		return
	}
	slices.Sort(all)
	var entries []deadline
	bytes := 0
	for _, b := range l.due.blocks {
		if len(b) == 0 {
			t.Error("an empty block")
		}
		entries = append(entries, b...)
		bytes += cap(b) * deadlineSize
	}
	if !slices.IsSortedFunc(entries, deadline.compare) || l.due.n != len(entries) || l.due.bytes != bytes {
		t.Errorf("the index is out of order, or counts %d entries of %d bytes, not %d of %d",
			l.due.n, l.due.bytes, len(entries), bytes)
	}
	if !slices.EqualFunc(entries, all, func(e deadline, when int64) bool { return e.when == when }) {
		t.Error("the index has other deadlines than the fields")
	}
	for _, e := range entries {
		found := false
		l.t.EachHash(e.hash, func(r *record.Record) { found = found || r.Expiry() == e.when })
		if !found {
			t.Error("an entry without a field")
		}
	}
}

// checkView compares a View with the model.
func checkView(t testing.TB, h *Hash, model map[string]timed, now int64, rnd *rand.Rand) {
	t.Helper()
	v := h.At(now)
	want := map[string]string{}
	for f, m := range model {
		if m.when == record.NoExpiry || m.when >= now {
			want[f] = m.value
		}
		value, ok := v.Get([]byte(f))
		_, shown := want[f]
		if ok != shown || ok && string(value.AppendTo(nil)) != m.value || v.Has([]byte(f)) != shown || v.Hides([]byte(f)) == shown {
			t.Fatalf("at %d, deadline %d: Get(%q) = %q, %v", now, m.when, f, value.AppendTo(nil), ok)
		}
		if when, ok := v.Deadline([]byte(f)); ok != shown || ok && when != m.when {
			t.Fatalf("at %d: Deadline(%q) = %d, %v; want %d", now, f, when, ok, m.when)
		}
	}
	if v.Has([]byte("nobody")) || v.Len() != len(want) || v.Due() != (len(want) < len(model)) {
		t.Fatalf("at %d: Len is %d, want %d; Due is %v", now, v.Len(), len(want), v.Due())
	}
	got := map[string]string{}
	add := func(f, value Value) bool {
		got[string(f.AppendTo(nil))] = string(value.AppendTo(nil))
		return true
	}
	v.Each(add)
	if !maps.Equal(got, want) {
		t.Fatalf("at %d: Each meets %d fields, want %d", now, len(got), len(want))
	}
	clear(got)
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = v.Scan(cursor, 10, func(f, value Value) { add(f, value) })
	}
	if !maps.Equal(got, want) {
		t.Fatalf("at %d: Scan meets %d fields, want %d", now, len(got), len(want))
	}
	clear(got)
	n := len(want) / 2
	v.Sample(n, rnd.Uint64, func(f, value Value) { add(f, value) })
	drawn := len(got)
	if f, value, ok := v.Random(rnd.Uint64); ok {
		add(f, value)
	} else if len(want) > 0 {
		t.Fatal("Random finds nothing")
	}
	v.RandomAll(5, rnd.Uint64, add)
	for f, value := range got {
		if want[f] != value {
			t.Fatalf("at %d: %q = %q was drawn", now, f, value)
		}
	}
	if drawn != n {
		t.Fatalf("at %d: Sample draws %d of %d", now, drawn, n)
	}
}

func TestDeadlineModel(t *testing.T) { random.Repeat(t, testDeadlineModel) }

func testDeadlineModel(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields int
		rules  Rules
		reach  int // how many fields there are halfway at least, by chance or made so
		end    record.Encoding
	}{
		{"small", 40, Rules{Entries: 1000, Value: 1 << 20}, 35, record.ListPackEx},
		{"grows", 300, small, small.Entries + 1, record.HashTable},
		{"large", 3000, Rules{}, 2000, record.HashTable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rnd := random.New(t)
			var gen cow.Generation
			h, model := New(&gen), map[string]timed{}
			var frozen *Hash
			var before map[string]timed
			seen := make(chan map[string]timed)
			now := int64(1000)
			for step := range 20000 {
				if step == 10000 {
					for len(model) < tc.reach {
						f := randomText(rnd, tc.fields)
						h.Add(f, f, tc.rules, &gen)
						if _, had := model[string(f)]; !had {
							model[string(f)] = timed{string(f), record.NoExpiry}
						}
					}
				}
				f := randomText(rnd, tc.fields)
				old, had := model[string(f)]
				switch rnd.IntN(14) {
				case 0, 1, 2, 3:
					v := randomText(rnd, tc.fields)
					if h.Set(f, v, tc.rules, &gen) == had {
						t.Fatalf("step %d: Set says %v", step, had)
					}
					model[string(f)] = timed{string(v), record.NoExpiry}
				case 4:
					v := randomText(rnd, tc.fields)
					if h.SetKeeping(f, v, tc.rules, &gen) == had {
						t.Fatalf("step %d: SetKeeping says %v", step, had)
					}
					if !had {
						old.when = record.NoExpiry
					}
					model[string(f)] = timed{string(v), old.when}
				case 5, 6:
					if h.Remove(f) != had {
						t.Fatalf("step %d: Delete says %v", step, !had)
					}
					delete(model, string(f))
				case 7, 8, 9, 10:
					when := now + rnd.Int64N(200) - 20
					if h.SetDeadline(f, when, &gen) != had {
						t.Fatalf("step %d: SetDeadline says %v", step, !had)
					}
					if had {
						model[string(f)] = timed{old.value, when}
					}
				case 11:
					if h.SetDeadline(f, record.NoExpiry, &gen) != had {
						t.Fatalf("step %d: SetDeadline says %v", step, !had)
					}
					if had {
						model[string(f)] = timed{old.value, record.NoExpiry}
					}
				default:
					when, ok := h.Deadline(f)
					if ok != had || ok && when != old.when {
						t.Fatalf("step %d: Deadline is %d, %v, want %d, %v", step, when, ok, old.when, had)
					}
				}
				now += rnd.Int64N(2) * rnd.Int64N(2)
				if step%200 == 0 {
					checkView(t, h, model, now, rnd)
				}
				if step%97 == 96 {
					limit, last := rnd.IntN(300), int64(0)
					n := h.Expire(now, limit, func(field []byte, when int64) {
						m, ok := model[string(field)]
						if !ok || m.when != when || when >= now || when < last {
							t.Fatalf("step %d: at %d %q expires with %d, has %d, behind %d", step, now, field, when, m.when, last)
						}
						last = when
						delete(model, string(field))
					})
					if n > limit || n < limit && h.Due(now) {
						t.Fatalf("step %d: %d expire, %d may", step, n, limit)
					}
				}
				if step%500 != 499 {
					continue
				}
				if frozen != nil {
					if got := <-seen; !maps.Equal(got, before) || !maps.Equal(timedContents(frozen), before) {
						t.Fatalf("step %d: the frozen hash has changed", step)
					}
					gen.Unpin()
					frozen = nil
				} else {
					gen.Pin()
					frozen, before = h, maps.Clone(model)
					h = h.Fork(&gen)
					go func(h *Hash) { seen <- timedContents(h) }(frozen)
				}
				check(t, h)
				if !maps.Equal(timedContents(h), model) {
					t.Fatalf("step %d: contents differ", step)
				}
			}
			if h.Encoding() != tc.end {
				t.Errorf("ends as %s, want %s", h.Encoding(), tc.end)
			}
			c := h.Clone(&gen)
			check(t, c)
			h.Expire(1<<40, 1<<30, func([]byte, int64) {})
			check(t, h)
			if h.Earliest() != record.NoExpiry {
				t.Error("a deadline is left")
			}
			for f := range model {
				h.Remove([]byte(f))
			}
			if h.Len() != 0 || !maps.Equal(timedContents(c), model) || c.Encoding() != h.Encoding() {
				t.Fatal("a clone shares its fields, or is wrong")
			}
		})
	}
}

// TestManyDeadlines gives a large hash deadlines in several orders, so that blocks split and join in all ways.
func TestManyDeadlines(t *testing.T) {
	const n = 20000
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, tc := range []struct {
		name string
		when func(i int) int64
		most float64 // bytes of index a deadline
	}{
		{"ascending", func(i int) int64 { return int64(1000 + i) }, 17},
		{"descending", func(i int) int64 { return int64(1000 + n - i) }, 34},
		{"random", func(int) int64 { return 1000 + rnd.Int64N(n) }, 30},
		{"equal", func(int) int64 { return 1000 }, 30},
	} {
		var gen cow.Generation
		h := New(&gen)
		for i := range n {
			f := strconv.AppendInt(nil, int64(i), 10)
			h.Set(f, []byte("v"), Rules{}, &gen)
			h.SetDeadline(f, tc.when(i), &gen)
		}
		check(t, h)
		if per := float64(h.large().due.size()) / n; per > tc.most {
			t.Errorf("%s: %.1f bytes of index a deadline", tc.name, per)
		}
		for i := 0; i < n; i += 2 { // half of them go, then all
			h.SetDeadline(strconv.AppendInt(nil, int64(i), 10), record.NoExpiry, &gen)
		}
		check(t, h)
		if per := float64(h.large().due.size()) / (n / 2); per > 70 {
			t.Errorf("%s: %.1f bytes of index a deadline when half are gone", tc.name, per)
		}
		for i := range n {
			h.Remove(strconv.AppendInt(nil, int64(i), 10))
			if i%1000 == 0 {
				check(t, h)
			}
		}
		if h.large().due != nil || h.large().bytes != 0 {
			t.Errorf("%s: an index is left, %d bytes", tc.name, h.large().bytes)
		}
	}
}

// TestListpackEx compares the bytes with those that a Redis 7.4 server holds (DEBUG LISTPACK, DUMP) after the same
// commands: triples in the order of deadlines.
func TestListpackEx(t *testing.T) {
	var gen cow.Generation
	h := New(&gen)
	for _, f := range strings.Fields("a b c d e") {
		h.Set([]byte(f), []byte("1"), small, &gen)
	}
	if h.Encoding() != record.ListPack || h.ListpackEx() != nil || h.Listpack() == nil {
		t.Fatal("a hash without deadlines is not a plain listpack")
	}
	elements := func() string {
		var out []string
		lp := h.ListpackEx()
		for p := lp.First(); p >= 0; p = lp.Next(p) {
			out = append(out, string(lp.Get(p).AppendTo(nil)))
		}
		return strings.Join(out, " ")
	}
	step := func(want string) {
		t.Helper()
		if got := elements(); got != want {
			t.Errorf("the listpack is %s, want %s", got, want)
		}
		if err := listpack.Validate(h.ListpackEx(), true); err != nil {
			t.Error(err)
		}
		check(t, h)
	}
	h.UseDeadlines()
	step("a 1 0 b 1 0 c 1 0 d 1 0 e 1 0")
	if h.Encoding() != record.ListPackEx || h.Listpack() != nil || h.Earliest() != record.NoExpiry {
		t.Error("not a listpackex without deadlines")
	}
	h.SetDeadline([]byte("c"), 300, &gen)
	step("c 1 300 a 1 0 b 1 0 d 1 0 e 1 0")
	h.SetDeadline([]byte("e"), 500, &gen)
	h.SetDeadline([]byte("a"), 500, &gen) // before those with the same deadline
	step("c 1 300 a 1 500 e 1 500 b 1 0 d 1 0")
	h.Set([]byte("f"), []byte("new"), small, &gen)
	h.Set([]byte("c"), []byte("2"), small, &gen)
	step("a 1 500 e 1 500 b 1 0 d 1 0 f new 0 c 2 0")
	h.SetKeeping([]byte("e"), []byte("3"), small, &gen)
	h.SetDeadline([]byte("a"), record.NoExpiry, &gen)
	step("e 3 500 b 1 0 d 1 0 f new 0 c 2 0 a 1 0")
	h.Remove([]byte("e"))
	step("b 1 0 d 1 0 f new 0 c 2 0 a 1 0")

	h.SetDeadline([]byte("d"), 7, &gen)
	c, err := NewListpackEx(h.ListpackEx().Clone(), &gen)
	if err != nil || c.Earliest() != 7 || !maps.Equal(timedContents(c), timedContents(h)) {
		t.Errorf("made again: %v, %v", timedContents(c), err)
	}
	for _, bad := range []string{"a 1", "a 1 x", "a 1 -1", "a 1 5 b 1 4", "a 1 0 b 1 4"} {
		lp := listpack.New(0)
		for _, s := range strings.Fields(bad) {
			lp = lp.Append([]byte(s))
		}
		if _, err := NewListpackEx(lp, &gen); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if h, err := NewListpackEx(listpack.New(0), &gen); err != nil || h.Len() != 0 || h.Encoding() != record.ListPackEx {
		t.Error("an empty one is not taken")
	}
}

// TestDeadlineSurvives follows one deadline through what must not lose it.
func TestDeadlineSurvives(t *testing.T) {
	long := []byte(strings.Repeat("v", 2*record.MaxInline))
	for _, value := range [][]byte{[]byte("short"), long} {
		var gen cow.Generation
		h := New(&gen)
		f := []byte("f")
		h.Set(f, value, small, &gen)
		h.SetDeadline(f, 1000, &gen)
		expect := func(what string, h *Hash, when int64) {
			t.Helper()
			got, ok := h.Deadline(f)
			v, _ := h.Get(f)
			if !ok || got != when || !v.Equal(value) {
				t.Errorf("%s, value of %d bytes: deadline %d, %v; want %d", what, len(value), got, ok, when)
			}
			check(t, h)
		}
		expect("set", h, 1000)
		h.Expect(nil, Rules{Entries: -1}, &gen)
		expect("large", h, 1000)
		gen.Pin()
		old := h
		h = h.Fork(&gen)
		h.SetDeadline(f, 2000, &gen)
		expect("changed while pinned", h, 2000)
		if when, _ := old.Deadline(f); when != 1000 {
			t.Errorf("the snapshot sees deadline %d", when)
		}
		gen.Unpin()
		h.SetDeadline(f, 500, &gen)
		expect("changed", h, 500)
		h.SetKeeping(f, value, small, &gen)
		expect("value replaced", h, 500)
		h.Set(f, value, small, &gen)
		expect("set again", h, record.NoExpiry)
	}
}

func TestDeadlineAllocations(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{10, 1000} {
		h := New(&gen)
		for i := range n {
			f := []byte("field:" + strconv.Itoa(i))
			h.Set(f, []byte("value"), small, &gen)
			h.SetDeadline(f, int64(1000+i), &gen)
		}
		f, i := []byte("field:7"), int64(0)
		if got := testing.AllocsPerRun(100, func() {
			i++
			h.SetDeadline(f, 1000+i%int64(n), &gen)
			h.SetKeeping(f, []byte("eulav"), small, &gen)
			if _, ok := h.At(500).Get(f); !ok {
				t.Fatal("not there")
			}
			if _, ok := h.At(1 << 40).Get(f); ok {
				t.Fatal("there")
			}
		}); got != 0 {
			t.Errorf("%d fields: a new deadline allocates %v times", n, got)
		}
	}
}

func TestOrderOfEqualHashes(t *testing.T) {
	d := &deadlines{}
	want := []deadline{}
	rnd := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		e := deadline{rnd.Int64N(3), rnd.Uint64N(3)}
		d.insert(e)
		want = append(want, e)
	}
	slices.SortFunc(want, deadline.compare)
	for len(want) > 0 {
		if got := slices.Concat(d.blocks...); !slices.Equal(got, want) {
			t.Fatalf("%d entries left, want %d", len(got), len(want))
		}
		i := rnd.IntN(len(want))
		d.remove(want[i])
		want = slices.Delete(want, i, i+1)
		for rnd.IntN(3) > 0 && len(want) > 0 {
			i := rnd.IntN(len(want))
			d.remove(want[i])
			want = slices.Delete(want, i, i+1)
		}
	}
	if d.n != 0 || len(d.blocks) != 0 || d.bytes != 0 {
		t.Errorf("left: %+v", d)
	}
	if d.before(5) != 0 {
		t.Error("something is due in nothing")
	}
}

func BenchmarkDeadlines(b *testing.B) {
	var gen cow.Generation
	for _, n := range []int{10, 100, 1000000} {
		h := New(&gen)
		fields := make([][]byte, n)
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range n {
			fields[i] = fmt.Appendf(nil, "field:%010d", i)
			h.Set(fields[i], []byte("0123456789abcdef"), small, &gen)
		}
		plain := h.Size()
		for _, f := range fields {
			h.SetDeadline(f, 1+rnd.Int64N(1<<40), &gen)
		}
		b.Logf("%d fields: %.1f bytes a deadline", n, float64(h.Size()-plain)/float64(n))
		b.Run(fmt.Sprintf("SetDeadline/%d", n), func(b *testing.B) {
			for b.Loop() {
				h.SetDeadline(fields[rnd.IntN(n)], 1+rnd.Int64N(1<<40), &gen)
			}
		})
	}
}
