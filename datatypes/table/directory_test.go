package table

import (
	"encoding/binary"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

func numbered(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func insertNumbered(tb *Table, from, to int) {
	for i := from; i < to; i++ {
		k := numbered(i)
		tb.Insert(Hash(k), record.NewInt(k, int64(i), record.NoExpiry, 0))
	}
}

func deleteNumbered(tb *Table, from, to int) {
	for i := from; i < to; i++ {
		k := numbered(i)
		h := Hash(k)
		tb.Delete(h, tb.Get(h, k))
	}
}

// A directory of several pages grows and shrinks, in a table whose snapshot another goroutine walks and in forks whose
// origin another goroutine reads; run with -race.
func TestPages(t *testing.T) {
	const keys, step = 400000, 50000
	var gen cow.Generation
	tb := New(&gen)
	most := 0
	// changed makes a change while readers read, and checks what they saw and what is there then.
	changed := func(change func(tb *Table), fork bool) {
		t.Helper()
		count, sum := 0, int64(0)
		tb.Each(func(r *record.Record) bool { count++; sum += r.Int(); return true })
		gen.Pin()
		type result struct {
			count int
			sum   int64
		}
		done := make(chan result)
		read := func(each func(func(*record.Record) bool)) {
			var res result
			each(func(r *record.Record) bool { res.count++; res.sum += r.Int(); return true })
			done <- res
		}
		if fork {
			old := tb
			tb = tb.Fork()
			go read(func(fn func(*record.Record) bool) { old.Each(fn) })
		} else {
			snap := tb.Snapshot()
			go read(func(fn func(*record.Record) bool) { snap.Walk(fn) })
		}
		change(tb)
		if got := <-done; got.count != count || got.sum != sum {
			t.Fatalf("the reader saw %d records, sum %d; want %d, %d", got.count, got.sum, count, sum)
		}
		tb.EndSnapshot()
		gen.Unpin()
		check(t, tb)
		most = max(most, len(tb.pages))
	}
	for from := 0; from < keys; from += step {
		changed(func(tb *Table) { insertNumbered(tb, from, from+step) }, from/step%2 == 0)
	}
	if most < 4 {
		t.Fatalf("the directory has had %d pages at most: the test tests nothing", most)
	}
	for from := 0; from < keys; from += step {
		changed(func(tb *Table) { deleteNumbered(tb, from, from+step) }, from/step%2 == 0)
	}
	if len(tb.pages) != 1 || tb.entries != 1 {
		t.Errorf("an emptied table keeps %d pages with %d entries", len(tb.pages), tb.entries)
	}
}

// Cutting pages of one entry divides their segment.
func TestCutShortPages(t *testing.T) {
	var gen cow.Generation
	tb := New(&gen)
	insertNumbered(tb, 0, 1000)
	for range 6 {
		tb.cutPages()
		check(t, tb)
	}
	insertNumbered(tb, 1000, 40000)
	check(t, tb)
	deleteNumbered(tb, 0, 40000)
	check(t, tb)
	if tb.depth != 0 {
		t.Errorf("an emptied table has %d pages, depth %d", len(tb.pages), tb.depth)
	}
}

// Records are drawn alike whatever the depths of their page and segment.
func TestRandomOverPages(t *testing.T) { random.Repeat(t, testRandomOverPages) }

func testRandomOverPages(t *testing.T) {
	const keys, draws = 300000, 400000
	var gen cow.Generation
	tb := New(&gen)
	insertNumbered(tb, 0, keys)
	depths := map[uint8]bool{}
	for i := range tb.pages {
		depths[tb.pages[i].depth()] = true
	}
	place := func(r *record.Record) (int, uint8) {
		h := Hash(r.Key())
		p, i := tb.place(h)
		return int(h >> (tb.low & 63)), p.dir[i].depth
	}
	type group struct{ records, hits float64 }
	byPage, byDepth := map[int]*group{}, map[uint8]*group{}
	count := func(r *record.Record, n, hit float64) {
		page, depth := place(r)
		if byPage[page] == nil {
			byPage[page] = new(group)
		}
		if byDepth[depth] == nil {
			byDepth[depth] = new(group)
		}
		for _, g := range []*group{byPage[page], byDepth[depth]} {
			g.records += n
			g.hits += hit
		}
	}
	tb.Each(func(r *record.Record) bool { count(r, 1, 0); return true })
	rnd := random.New(t)
	for range draws {
		count(tb.Random(rnd.Uint64), 0, 1)
	}
	chi := func(g *group) float64 {
		want := g.records * draws / keys
		return (g.hits - want) * (g.hits - want) / want
	}
	for page, g := range byPage {
		if chi(g) > 40 {
			t.Errorf("page %d: %.0f of %.0f records drawn", page, g.hits, g.records)
		}
	}
	for depth, g := range byDepth {
		if chi(g) > 40 {
			t.Errorf("segments of depth %d: %.0f of %.0f records drawn", depth, g.hits, g.records)
		}
	}
	if len(byPage) < 2 || len(byDepth) < 2 {
		t.Errorf("%d pages, %d depths of segments: the test tests nothing", len(byPage), len(byDepth))
	}
	t.Logf("%d pages with %d depths", len(tb.pages), len(depths))
}
