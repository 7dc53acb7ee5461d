package table

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"testing"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// The hash function of tables is a part of what a test repeats.
func init() { FixHash(random.Process()) }

func newRecord(key string, n int64) *record.Record {
	return record.NewInt([]byte(key), n, record.NoExpiry, 0)
}

// check recounts everything that the table keeps count of.
func check(t *testing.T, tb *Table) {
	t.Helper()
	count, entries := 0, 0
	size, depth := tb.topSize()+mem.SizePtr(int(unsafe.Sizeof(*tb))), uint8(0)
	if len(tb.pages) != 1<<(64-tb.low) {
		t.Fatalf("%d pages for %d bits", len(tb.pages), 64-tb.low)
	}
	for pn := range tb.pages {
		p := &tb.pages[pn]
		if len(p.dir) != 1<<(p.depth()+tb.low-64) || len(p.dir) != len(p.shift) || len(p.dir) > maxPage {
			t.Fatalf("page %d has %d entries and depth %d", pn, len(p.dir), p.depth())
		}
		if len(tb.pages) == 1 && len(p.dir) > 1 && !p.deepest() {
			t.Fatal("the page has more entries than it needs")
		}
		depth = max(depth, p.depth())
		entries += len(p.dir)
		size += p.size()
		for i := uint(0); i < uint(len(p.dir)); {
			s := p.dir[i]
			first, n := p.run(i, s)
			if first != i {
				t.Fatalf("segment at %d begins at %d", i, first)
			}
			count += checkSegment(t, tb, pn, i)
			size += s.size()
			i += n
		}
	}
	if count != tb.count || depth != tb.depth || entries != tb.entries {
		t.Fatalf("count %d, want %d; depth %d, want %d; entries %d, want %d", tb.count, count, tb.depth, depth, tb.entries, entries)
	}
	if tb.size != size {
		t.Fatalf("size %d, want %d", tb.size, size)
	}
}

// checkSegment checks the segment that begins at entry i of page pn and returns how many records it has.
func checkSegment(t *testing.T, tb *Table, pn int, i uint) int {
	t.Helper()
	p := &tb.pages[pn]
	s := p.dir[i]
	_, n := p.run(i, s)
	in, used := 0, 0
	for b := range uint(1) << s.bits {
		for c := s.bucket(b).next(); c != 0; c = s.bucket(c).next() {
			used++
			if s.bucket(c).meta&(1<<56-1) == 0 {
				t.Fatal("empty overflow bucket in a chain")
			}
			if s.free>>(c-1<<s.bits)&1 != 0 {
				t.Fatal("used overflow bucket is marked free")
			}
		}
		s.eachIn(b, func(r *record.Record) bool {
			in++
			h := Hash(r.Key())
			if q, j := tb.place(h); q != p || j&^(n-1) != i || tb.bucketOf(q, j, h) != b {
				t.Fatalf("record %q in the wrong place", r.Key())
			}
			if tb.Get(h, r.Key()) != r {
				t.Fatalf("record %q is not found", r.Key())
			}
			return true
		})
	}
	for j := i; j < i+n; j++ {
		if p.dir[j] != s {
			t.Fatal("run is not one segment")
		}
	}
	if free := bits.OnesCount64(s.free); int(s.spare)-free != used || int(s.count) != in {
		t.Fatalf("reserve: %d of %d free but %d used; count %d but %d", free, s.spare, used, s.count, in)
	}
	return in
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	rnd := random.New(t)
	for _, keys := range []int{3, 40, 500, 5000, 100000} {
		var gen cow.Generation
		tb := New(&gen)
		model := map[string]int64{}
		var snap *Snapshot
		var frozen map[string]int64
		endSnapshot := func() {
			seen := 0
			snap.Walk(func(r *record.Record) bool {
				seen++
				if v, ok := frozen[string(r.Key())]; !ok || v != r.Int() {
					t.Fatalf("snapshot has %q=%d, want %d", r.Key(), r.Int(), v)
				}
				return true
			})
			if seen != len(frozen) || snap.Len() != seen {
				t.Fatalf("snapshot has %d records, want %d", seen, len(frozen))
			}
			tb.EndSnapshot()
			gen.Unpin()
			snap = nil
		}
		grow := true
		for op := range 12 * keys {
			if op%(3*keys) == 0 {
				grow = !grow
			}
			if op == 9*keys { // at the end of growing: the size that the test is for, whatever chance has made of it
				for i := range keys {
					key := fmt.Sprint("key:", i)
					if _, ok := model[key]; !ok {
						tb.Insert(Hash([]byte(key)), newRecord(key, int64(op)))
						model[key] = int64(op)
					}
				}
				if tb.Len() != keys {
					t.Fatalf("%d keys, want %d", tb.Len(), keys)
				}
				check(t, tb)
			}
			key := fmt.Sprint("key:", rnd.IntN(keys))
			h := Hash([]byte(key))
			r := tb.Get(h, []byte(key))
			if v, ok := model[key]; ok != (r != nil) || ok && r.Int() != v {
				t.Fatalf("Get(%q) = %v, want %v %v", key, r, v, ok)
			}
			x := rnd.IntN(10)
			switch {
			case r == nil:
				tb.Insert(h, newRecord(key, int64(op)))
				model[key] = int64(op)
			case x < 3 || !grow && x < 8:
				tb.Delete(h, r)
				delete(model, key)
			default:
				if tb.Owned(h) {
					r.SetInt(int64(op))
				} else {
					tb.Replace(h, r, newRecord(key, int64(op)))
				}
				model[key] = int64(op)
			}
			if rnd.IntN(2*keys) == 0 {
				if snap == nil {
					gen.Pin()
					snap = tb.Snapshot()
					frozen = make(map[string]int64, len(model))
					for k, v := range model {
						frozen[k] = v
					}
				} else {
					endSnapshot()
				}
			}
			if op%(keys+1) == 0 {
				check(t, tb)
			}
		}
		if snap != nil {
			endSnapshot()
		}
		for k := range model {
			h := Hash([]byte(k))
			tb.Delete(h, tb.Get(h, []byte(k)))
		}
		check(t, tb)
		if tb.depth != 0 || tb.pages[0].dir[0].bits > 2 {
			t.Errorf("an emptied table keeps %d pages, depth %d", len(tb.pages), tb.depth)
		}
	}
}

// A walk in another goroutine sees the old state to the byte while the owner rewrites everything; run with -race.
func TestSnapshotBesideWriter(t *testing.T) { random.Repeat(t, testSnapshotBesideWriter) }

func testSnapshotBesideWriter(t *testing.T) {
	const keys = 20000
	var gen cow.Generation
	tb := New(&gen)
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range keys {
		tb.Insert(Hash(key(i)), record.NewInt(key(i), int64(i), record.NoExpiry, 0))
	}
	for range 5 {
		want := map[string]int64{}
		tb.Each(func(r *record.Record) bool { want[string(r.Key())] = r.Int(); return true })
		gen.Pin()
		snap := tb.Snapshot()
		done := make(chan map[string]int64)
		go func() {
			got := map[string]int64{}
			snap.Walk(func(r *record.Record) bool { got[string(r.Key())] = r.Int(); return true })
			done <- got
		}()
		rnd := random.New(t)
		inPlace := 0
		var got map[string]int64
		for got == nil {
			for i := range keys {
				k := key(rnd.IntN(2 * keys))
				h := Hash(k)
				switch r := tb.Get(h, k); {
				case r == nil:
					tb.Insert(h, record.NewInt(k, int64(i), record.NoExpiry, 0))
				case i%3 == 0:
					tb.Delete(h, r)
				case tb.Owned(h):
					r.SetInt(r.Int() + 1)
					inPlace++
				default:
					tb.Replace(h, r, record.NewInt(k, int64(-i), record.NoExpiry, 0))
				}
			}
			select {
			case got = <-done:
			default:
			}
		}
		tb.EndSnapshot()
		gen.Unpin()
		if len(got) != len(want) {
			t.Fatalf("snapshot has %d records, want %d", len(got), len(want))
		}
		for k, v := range want {
			if got[k] != v {
				t.Fatalf("snapshot has %x=%d, want %d", k, got[k], v)
			}
		}
		check(t, tb)
	}
}

// Elements that stay during a scan are all returned, whatever splits and merges meanwhile.
func TestScanGuarantee(t *testing.T) {
	var gen cow.Generation
	tb := New(&gen)
	put := func(k string) { tb.Insert(Hash([]byte(k)), newRecord(k, 0)) }
	del := func(k string) {
		h := Hash([]byte(k))
		if r := tb.Get(h, []byte(k)); r != nil {
			tb.Delete(h, r)
		}
	}
	for i := range 1000 {
		put(fmt.Sprint("stay", i))
	}
	next := 0
	for round := range 20 {
		seen := map[string]bool{}
		cursor, steps := uint64(0), 0
		for {
			cursor = tb.Scan(cursor, 10, func(r *record.Record) { seen[string(r.Key())] = true })
			if cursor>>cursorBits != 0 {
				t.Fatal("cursor has more than 48 bits")
			}
			if cursor == 0 {
				break
			}
			steps++
			for range 6 {
				if round%2 == 0 {
					put(fmt.Sprint("move", next))
					next++
				} else if next > 0 {
					next--
					del(fmt.Sprint("move", next))
				}
			}
		}
		for i := range 1000 {
			if !seen[fmt.Sprint("stay", i)] {
				t.Fatalf("round %d: stay%d was not returned", round, i)
			}
		}
		if round%2 == 1 {
			for ; next > 0; next-- {
				del(fmt.Sprint("move", next-1))
			}
		}
	}
	check(t, tb)
}

func TestRandomIsUniform(t *testing.T) { random.Repeat(t, testRandomIsUniform) }

func testRandomIsUniform(t *testing.T) {
	var gen cow.Generation
	tb := New(&gen)
	const keys = 700
	for i := range keys {
		k := fmt.Sprint(i)
		tb.Insert(Hash([]byte(k)), newRecord(k, int64(i)))
	}
	var hits [keys]int
	rnd := random.New(t)
	const rounds = 400
	for range keys * rounds {
		hits[tb.Random(rnd.Uint64).Int()]++
	}
	chi := 0.0
	for _, n := range hits {
		d := float64(n - rounds)
		chi += d * d / rounds
	}
	if chi > keys+6*38 { // six standard deviations of chi-squared with 699 degrees of freedom
		t.Errorf("chi-squared %.0f for %d keys", chi, keys)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	var gen cow.Generation
	tb := New(&gen)
	k := []byte("key")
	tb.Insert(Hash(k), newRecord("key", 1))
	if n := testing.AllocsPerRun(100, func() { tb.Get(Hash(k), k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGet(b *testing.B) {
	for _, keys := range []int{1000, 1000000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			var gen cow.Generation
			tb := New(&gen)
			all := make([][]byte, keys)
			for i := range all {
				all[i] = fmt.Appendf(nil, "key:%012d", i)
				tb.Insert(Hash(all[i]), record.NewString(all[i], []byte("12345678901234567890123456789012"), record.NoExpiry, 0, 0))
			}
			random.New(b).Shuffle(keys, func(i, j int) { all[i], all[j] = all[j], all[i] })
			b.ReportMetric(float64(tb.Size())/float64(keys), "B/key")
			b.ResetTimer()
			i := 0
			for b.Loop() {
				k := all[i]
				if tb.Get(Hash(k), k) == nil {
					b.Fatal("missing")
				}
				if i++; i == keys {
					i = 0
				}
			}
		})
	}
}

func BenchmarkInsert(b *testing.B) {
	var gen cow.Generation
	tb := New(&gen)
	k := make([]byte, 16)
	i := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		i++
		binary.LittleEndian.PutUint64(k, i)
		tb.Insert(Hash(k), record.NewInt(k, 1, record.NoExpiry, 0))
	}
}

// A forked table is written while another goroutine reads the one it came from.
func TestForkBesideReader(t *testing.T) {
	const keys = 5000
	var gen cow.Generation
	tb := New(&gen)
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range keys {
		tb.Insert(Hash(key(i)), record.NewInt(key(i), int64(i), record.NoExpiry, 0))
	}
	gen.Pin()
	old := tb
	tb = tb.Fork()
	sum := make(chan int64)
	go func() {
		n := int64(0)
		for range 20 {
			old.Each(func(r *record.Record) bool { n += r.Int(); return true })
		}
		sum <- n
	}()
	for i := range keys {
		k := key(i)
		h := Hash(k)
		r := tb.Get(h, k)
		if i%2 == 0 {
			tb.Delete(h, r)
		} else {
			tb.Replace(h, r, record.NewInt(k, -1, record.NoExpiry, 0))
		}
		k = key(keys + i)
		tb.Insert(Hash(k), record.NewInt(k, -1, record.NoExpiry, 0))
	}
	if n := <-sum; n != 20*keys*(keys-1)/2 {
		t.Errorf("the reader of the old table saw a sum of %d", n)
	}
	gen.Unpin()
	check(t, tb)
}

// TestInHashOrder inserts records in the order of their hashes, as loading what a walk has written does, forwards and
// backwards, and removes them in that order.
func TestInHashOrder(t *testing.T) {
	const n = 400_000
	type key struct {
		hash uint64
		r    *record.Record
	}
	keys := make([]key, n)
	for i := range keys {
		r := newRecord(fmt.Sprint("key", i), int64(i))
		keys[i] = key{Hash(r.Key()), r}
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Compare(a.hash, b.hash) })
	for _, back := range []bool{false, true} {
		var gen cow.Generation
		tb := New(&gen)
		for i := range keys {
			tb.Insert(keys[i].hash, keys[i].r)
			if i%20_000 == 0 {
				check(t, tb)
			}
		}
		check(t, tb)
		for i := range keys {
			if tb.Get(keys[i].hash, keys[i].r.Key()) != keys[i].r {
				t.Fatalf("key %d of %d is missing", i, n)
			}
		}
		for i := range keys {
			tb.Delete(keys[i].hash, keys[i].r)
			if i%20_000 == 0 {
				check(t, tb)
			}
		}
		check(t, tb)
		if tb.Len() != 0 || tb.Size() > 20_000 {
			t.Errorf("back %v: %d records, %d bytes at the end", back, tb.Len(), tb.Size())
		}
		slices.Reverse(keys)
	}
}
