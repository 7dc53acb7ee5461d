package btree

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

type pair struct {
	score  float64
	member string
}

func compare(a, b pair) int {
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.member, b.member))
}

func pairOf(r *record.Record) pair { return pair{r.Score() + 0, string(r.Key())} }

func (p pair) record() *record.Record { return record.NewScore([]byte(p.member), p.score) }

func TestNodesFillTheirClass(t *testing.T) {
	if leafSize != 1024 || unsafe.Sizeof(leaf{})+12+8 <= 1024 {
		t.Errorf("a leaf of %d bytes takes %d", unsafe.Sizeof(leaf{}), leafSize)
	}
	if innerSize != 1024 || unsafe.Sizeof(inner{})+32+8 <= 1024 {
		t.Errorf("an inner node of %d bytes takes %d", unsafe.Sizeof(inner{}), innerSize)
	}
}

func TestOrder(t *testing.T) {
	scores := []float64{math.Inf(-1), -math.MaxFloat64, -1e10, -1, -math.SmallestNonzeroFloat64, 0,
		math.SmallestNonzeroFloat64, 1e-300, 1, 1 + 1e-15, 2, 1 << 53, math.MaxFloat64, math.Inf(1)}
	for i := 1; i < len(scores); i++ {
		if order(scores[i-1]) >= order(scores[i]) {
			t.Errorf("order(%v) >= order(%v)", scores[i-1], scores[i])
		}
	}
	if order(math.Copysign(0, -1)) != order(0) {
		t.Error("the zeros differ")
	}
}

// shapes are ways to draw scores that put codes under different strain.
var shapes = []struct {
	name string
	next func(rnd *rand.Rand, i int) float64
}{
	{"uniform", func(rnd *rand.Rand, i int) float64 { return rnd.Float64() }},
	{"integers", func(rnd *rand.Rand, i int) float64 { return float64(rnd.IntN(1 << 20)) }},
	{"few", func(rnd *rand.Rand, i int) float64 { return float64(rnd.IntN(5)) }},
	{"equal", func(rnd *rand.Rand, i int) float64 { return 7 }},
	{"ascending", func(rnd *rand.Rand, i int) float64 { return 1.7e12 + float64(i*3) }},
	{"descending", func(rnd *rand.Rand, i int) float64 { return -float64(i) }},
	{"bits", func(rnd *rand.Rand, i int) float64 {
		for {
			if f := math.Float64frombits(rnd.Uint64()); f == f {
				return f
			}
		}
	}},
	{"extremes", func(rnd *rand.Rand, i int) float64 {
		return []float64{math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1e308, 5e-324, rnd.Float64()}[rnd.IntN(7)]
	}},
	{"close", func(rnd *rand.Rand, i int) float64 {
		return math.Float64frombits(math.Float64bits(1e6) + rnd.Uint64N(1<<rnd.IntN(50)))
	}},
}

// model is what the tree should hold: a sorted slice, and each record by its member.
type model struct {
	items []pair
	recs  map[string]*record.Record
}

func (m *model) add(p pair) {
	p.score += 0
	i, _ := slices.BinarySearchFunc(m.items, p, compare)
	m.items = slices.Insert(m.items, i, p)
}

func (m *model) remove(p pair) {
	p.score += 0
	i, ok := slices.BinarySearchFunc(m.items, p, compare)
	if !ok {
		panic("not in the model")
	}
	m.items = slices.Delete(m.items, i, i+1)
}

// same checks the whole content of v in both directions.
func same(t *testing.T, what string, v *View, items []pair) {
	t.Helper()
	if v.Len() != len(items) {
		t.Fatalf("%s: %d items, want %d", what, v.Len(), len(items))
	}
	i := 0
	v.Each(func(r *record.Record) bool {
		if pairOf(r) != items[i] {
			t.Fatalf("%s: item %d is %v, want %v", what, i, pairOf(r), items[i])
		}
		i++
		return true
	})
	var c Cursor
	c.Seek(v, 0)
	for i := range items {
		if r := c.Next(); r == nil || pairOf(r) != items[i] {
			t.Fatalf("%s: forward: item %d is %v, want %v", what, i, r, items[i])
		}
	}
	if c.Next() != nil || c.Prev() != nil {
		t.Fatalf("%s: an item behind the end", what)
	}
	c.Seek(v, len(items)-1)
	for i := len(items) - 1; i >= 0; i-- {
		if r := c.Prev(); r == nil || pairOf(r) != items[i] {
			t.Fatalf("%s: backward: item %d is %v, want %v", what, i, r, items[i])
		}
	}
	if c.Prev() != nil || c.Next() != nil {
		t.Fatalf("%s: an item before the beginning", what)
	}
}

// questions asks v everything that can be asked about one place.
func questions(t *testing.T, v *View, m *model, p pair) {
	t.Helper()
	p.score += 0
	want, _ := slices.BinarySearchFunc(m.items, p, compare)
	if got := v.Rank(p.score, []byte(p.member)); got != want {
		t.Fatalf("Rank(%v) = %d, want %d", p, got, want)
	}
	low, _ := slices.BinarySearchFunc(m.items, p.score, func(a pair, s float64) int { return cmp.Compare(a.score, s) })
	high, _ := slices.BinarySearchFunc(m.items, p.score, func(a pair, s float64) int {
		if a.score <= s {
			return -1
		}
		return 1
	})
	if a, b := v.Below(p.score, false), v.Below(p.score, true); a != low || b != high {
		t.Fatalf("Below(%v) = %d and %d, want %d and %d", p.score, a, b, low, high)
	}
	if want < len(m.items) {
		if r := v.At(want); pairOf(r) != m.items[want] {
			t.Fatalf("At(%d) = %v, want %v", want, pairOf(r), m.items[want])
		}
	} else if v.At(want) != nil || v.At(-1) != nil {
		t.Fatal("At beyond the ends")
	}
}

func TestModel(t *testing.T) {
	seed := random.Seed(t)
	sizes := []int{10, 300, 4000}
	if testing.Short() {
		sizes = []int{10, 1000}
	}
	if random.Stress() {
		sizes = append(sizes, 40000)
	}
	for _, shape := range shapes {
		for _, size := range sizes {
			for _, snapshots := range []bool{false, true} {
				t.Run(fmt.Sprint(shape.name, size, snapshots), func(t *testing.T) {
					testModel(t, rand.New(rand.NewPCG(seed, uint64(size))), size, snapshots, shape.next)
				})
			}
		}
	}
}

func testModel(t *testing.T, rnd *rand.Rand, size int, snapshots bool, next func(*rand.Rand, int) float64) {
	var gen cow.Generation
	tree := New(&gen)
	m := model{recs: map[string]*record.Record{}}
	var view View
	var frozen []pair
	endSnapshot := func() {
		if gen.Pinned() {
			same(t, "snapshot", &view, frozen)
			gen.Unpin()
		}
	}
	insert := func(i int) {
		p := pair{next(rnd, i), fmt.Sprint("m", rnd.IntN(4*size))}
		if m.recs[p.member] != nil {
			return
		}
		r := p.record()
		m.recs[p.member] = r
		m.add(p)
		tree.Insert(r)
	}
	update := func(r *record.Record, score float64) {
		m.remove(pairOf(r))
		n := r
		if gen.Pinned() {
			n = record.NewScore(r.Key(), 0)
		}
		tree.Update(r, n, score)
		m.add(pairOf(n))
		m.recs[string(n.Key())] = n
	}
	removed := func(r *record.Record) {
		m.remove(pairOf(r))
		delete(m.recs, string(r.Key()))
	}
	steps := 6 * size
	for i := range steps {
		if snapshots && rnd.IntN(size) == 0 {
			endSnapshot()
			if rnd.IntN(3) > 0 {
				gen.Pin()
				view, frozen = tree.Snapshot(), slices.Clone(m.items)
			}
		}
		if i == steps/3 {
			for len(m.items) < size { // the size that the test is for, whatever chance has made of it
				insert(i)
			}
		}
		// The first third grows, the last third shrinks.
		growing := i < steps/3 || i < steps*2/3 && rnd.IntN(2) == 0
		switch x := rnd.IntN(100); {
		case x < 60 && growing || len(m.items) == 0:
			insert(i)
		case x < 60:
			r := tree.At(rnd.IntN(len(m.items)))
			tree.Delete(r)
			removed(r)
		case x < 75:
			update(tree.At(rnd.IntN(len(m.items))), next(rnd, i))
		case x < 85: // a small move
			r := tree.At(rnd.IntN(len(m.items)))
			to := m.items[min(max(tree.Rank(r.Score(), r.Key())+rnd.IntN(9)-4, 0), len(m.items)-1)].score
			update(r, math.Nextafter(to, math.Inf(rnd.IntN(2)*2-1)))
		case x < 90: // pop
			r := tree.At(0)
			if x&1 == 0 {
				r = tree.At(len(m.items) - 1)
			}
			tree.Delete(r)
			removed(r)
		case x == 90 && rnd.IntN(10) == 0 || x == 91 && !growing:
			from := rnd.IntN(len(m.items) + 1)
			to := min(from+rnd.IntN(1+len(m.items)/8), len(m.items))
			want := slices.Clone(m.items[from:to])
			tree.DeleteRange(from, to, func(r *record.Record) {
				if pairOf(r) != want[0] {
					t.Fatalf("DeleteRange: %v, want %v", pairOf(r), want[0])
				}
				want = want[1:]
				removed(r)
			})
			if len(want) > 0 {
				t.Fatalf("DeleteRange left %d", len(want))
			}
		}
		questions(t, &tree.View, &m, pair{next(rnd, i), fmt.Sprint("m", rnd.IntN(4*size))})
		if len(m.items) > 0 {
			questions(t, &tree.View, &m, m.items[rnd.IntN(len(m.items))])
		}
		if i%(1+size/10) == 0 || size == 10 {
			if err := tree.Check(); err != nil {
				t.Fatal(err)
			}
			for member, r := range m.recs {
				if at := tree.At(tree.Rank(r.Score(), []byte(member))); at != r {
					t.Fatalf("%q is found as %v", member, at)
				}
			}
		}
	}
	same(t, "tree", &tree.View, m.items)
	endSnapshot()
	for len(m.items) > 0 { // to the last
		r := tree.At(rnd.IntN(len(m.items)))
		tree.Delete(r)
		removed(r)
		if len(m.items)%(1+size/20) == 0 {
			if err := tree.Check(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if tree.height != 0 || tree.leaves != 1 || tree.inners != 0 {
		t.Errorf("an empty tree of %d rows, %d leaves, %d inner nodes", tree.height, tree.leaves, tree.inners)
	}
}

func sorted(n int) []*record.Record {
	recs := make([]*record.Record, n)
	for i := range recs {
		recs[i] = pair{float64(i / 3), fmt.Sprintf("m%09d", i)}.record()
	}
	return recs
}

func TestBuild(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{0, 1, 76, 77, 78, 82, 83, 77 * 29, 77*29 + 1, 77 * 31, 70000} {
		recs := sorted(n)
		tree := Build(&gen, recs)
		if err := tree.Check(); err != nil {
			t.Fatal(n, err)
		}
		want := make([]pair, n)
		for i, r := range recs {
			want[i] = pairOf(r)
		}
		same(t, fmt.Sprint("built of ", n), &tree.View, want)
		visited := 0
		tree.Each(func(*record.Record) bool { visited++; return visited < 100 })
		if visited != min(n, 100) {
			t.Fatalf("Each went on to %d", visited)
		}
		tree.Insert(pair{1e9, "last"}.record())
		tree.Insert(pair{-1, "first"}.record())
		if err := tree.Check(); err != nil || tree.Len() != n+2 || string(tree.At(n+1).Key()) != "last" {
			t.Fatal(n, err)
		}
	}
}

func TestDeleteRange(t *testing.T) {
	const n = 10000
	for _, cut := range [][2]int{{0, n}, {-5, n + 5}, {0, 1}, {n - 1, n}, {5, 5}, {7, 3}, {0, n - 1}, {1, n}, {1, n - 1},
		{80, 90}, {100, 300}, {2000, 9000}, {5000, n}, {0, 5000}} {
		for _, pinned := range []bool{false, true} {
			var gen cow.Generation
			recs := sorted(n)
			tree := Build(&gen, recs)
			var all []pair
			for _, r := range recs {
				all = append(all, pairOf(r))
			}
			if pinned {
				gen.Pin()
			}
			view, next := tree.Snapshot(), max(cut[0], 0)
			tree.DeleteRange(cut[0], cut[1], func(r *record.Record) {
				if r != recs[next] {
					t.Fatalf("%v: removed %q, want %q", cut, r.Key(), recs[next].Key())
				}
				next++
			})
			if want := max(min(cut[1], n), max(cut[0], 0)); next != max(want, max(cut[0], 0)) {
				t.Fatalf("%v: removed up to %d", cut, next)
			}
			if err := tree.Check(); err != nil {
				t.Fatal(cut, err)
			}
			same(t, "rest", &tree.View, append(slices.Clone(all[:max(cut[0], 0)]), all[next:]...))
			if pinned {
				same(t, "snapshot", &view, all)
			}
		}
	}
}

func TestBelowMember(t *testing.T) {
	var gen cow.Generation
	tree := New(&gen)
	var members []string
	for i := range 3000 {
		m := fmt.Sprintf("m%05d", i*7919%3000*2)
		members = append(members, m)
		tree.Insert(pair{1, m}.record())
	}
	slices.Sort(members)
	for i := range 6002 {
		m := fmt.Sprintf("m%05d", i-1)
		low, found := slices.BinarySearch(members, m)
		high := low
		if found {
			high++
		}
		if a, b := tree.BelowMember([]byte(m), false), tree.BelowMember([]byte(m), true); a != low || b != high {
			t.Fatalf("BelowMember(%q) = %d, %d, want %d, %d", m, a, b, low, high)
		}
	}
	if tree.BelowMember(nil, true) != 0 || tree.BelowMember([]byte("n"), false) != 3000 {
		t.Error("beyond the ends")
	}
}

// Another goroutine reads a snapshot again and again while everything in the tree is rewritten.
func TestSnapshotBesideChanges(t *testing.T) {
	const n = 20000
	var gen cow.Generation
	tree := Build(&gen, sorted(n))
	recs := map[string]*record.Record{}
	tree.Each(func(r *record.Record) bool { recs[string(r.Key())] = r; return true })
	for round := range 3 {
		var want []pair
		tree.Each(func(r *record.Record) bool { want = append(want, pairOf(r)); return true })
		gen.Pin()
		view, old := tree.Snapshot(), tree
		if round == 1 {
			tree = tree.Fork()
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		for reader := range 2 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				v := view
				if round == 1 && reader == 1 {
					v = old.View // a tree that was forked is not written
				}
				for again := true; again; {
					select {
					case <-done:
						again = false
					default:
					}
					same(t, "snapshot", &v, want)
				}
			}()
		}
		rnd := rand.New(rand.NewPCG(uint64(round), 1))
		for _, p := range want {
			member, r := p.member, recs[p.member]
			switch rnd.IntN(4) {
			case 0:
				tree.Delete(r)
				delete(recs, member)
			case 1:
				c := pair{rnd.Float64() * n, fmt.Sprint(member, "'", round)}.record()
				tree.Insert(c)
				recs[string(c.Key())] = c
			default:
				c := record.NewScore(r.Key(), 0)
				tree.Update(r, c, r.Score()+rnd.NormFloat64()*100)
				recs[member] = c
			}
		}
		tree.DeleteRange(1000, 1500, func(r *record.Record) { delete(recs, string(r.Key())) })
		close(done)
		wg.Wait()
		gen.Unpin()
		if err := tree.Check(); err != nil || tree.Len() != len(recs) {
			t.Fatal(err, tree.Len(), len(recs))
		}
	}
}

// While pinned, a change copies its path and nothing twice.
func TestCopiesAPath(t *testing.T) {
	var gen cow.Generation
	tree := Build(&gen, sorted(200000))
	gen.Pin()
	view := tree.Snapshot()
	r := tree.At(100000)
	for range 2 {
		c := record.NewScore(r.Key(), 0)
		tree.Update(r, c, r.Score())
		r = c
	}
	copied := 0
	var walk func(a, b unsafe.Pointer, height int)
	walk = func(a, b unsafe.Pointer, height int) {
		if a == b {
			return
		}
		copied++
		if height > 0 {
			for i := range (*inner)(a).n {
				walk((*inner)(a).child[i], (*inner)(b).child[i], height-1)
			}
		}
	}
	walk(tree.root, view.root, tree.height)
	if copied != tree.height+1 {
		t.Errorf("%d nodes of a tree of height %d are copies", copied, tree.height)
	}
}

func TestNoAllocation(t *testing.T) {
	var gen cow.Generation
	rnd := rand.New(rand.NewPCG(1, 2))
	tree := New(&gen)
	var recs []*record.Record
	for i := range 50000 {
		r := pair{rnd.Float64(), fmt.Sprint(i)}.record()
		recs = append(recs, r)
		tree.Insert(r)
	}
	i := 0
	for _, test := range []struct {
		name string
		most float64
		fn   func(r *record.Record)
	}{
		{"Update near by", 0, func(r *record.Record) { tree.Update(r, r, math.Nextafter(r.Score(), 2)) }},
		{"Update", 0.1, func(r *record.Record) { tree.Update(r, r, rnd.Float64()) }}, // a leaf splits now and then
		{"Delete and Insert", 0.1, func(r *record.Record) { tree.Delete(r); r.SetScore(rnd.Float64()); tree.Insert(r) }},
		{"Rank", 0, func(r *record.Record) { tree.Rank(r.Score(), r.Key()) }},
		{"Below", 0, func(r *record.Record) { tree.Below(r.Score(), true) }},
		{"BelowMember", 0, func(r *record.Record) { tree.BelowMember(r.Key(), true) }},
		{"At", 0, func(r *record.Record) { tree.At(i) }},
		{"Cursor", 0, func(r *record.Record) {
			var c Cursor
			c.Seek(&tree.View, i)
			for range 200 {
				c.Next()
			}
		}},
	} {
		total := testing.AllocsPerRun(2000, func() {
			i = (i + 7919) % len(recs)
			test.fn(recs[i])
		})
		if total > test.most {
			t.Errorf("%s allocates %v times", test.name, total)
		}
	}
	if err := tree.Check(); err != nil {
		t.Error(err)
	}
}

// Items in order fill their leaves, and a queue that is filled at one end and emptied at the other does not spread.
func TestFill(t *testing.T) {
	var gen cow.Generation
	for name, next := range map[string]func(i int) float64{
		"ascending":  func(i int) float64 { return float64(i) },
		"descending": func(i int) float64 { return float64(-i) },
	} {
		tree := New(&gen)
		const n = 100000
		for i := range n {
			tree.Insert(pair{next(i), "m"}.record())
		}
		if per := float64(tree.Size()) / n; per > 13.1 {
			t.Errorf("%s: %.1f bytes an item", name, per)
		}
		for i := range 5 * n {
			tree.Insert(pair{next(n + i), "m"}.record())
			if name == "ascending" {
				tree.Delete(tree.At(0))
			} else {
				tree.Delete(tree.At(tree.Len() - 1))
			}
		}
		if per := float64(tree.Size()) / n; per > 13.1 {
			t.Errorf("%s as a queue: %.1f bytes an item", name, per)
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	tree := New(&gen)
	for i := range 200000 {
		tree.Insert(pair{rnd.Float64(), fmt.Sprint(i)}.record())
	}
	if per := float64(tree.Size()) / 200000; per > 16.5 {
		t.Errorf("random: %.1f bytes an item", per)
	}
}

// What was removed is not kept alive by the tree.
func TestKeepsNothing(t *testing.T) {
	var gen cow.Generation
	tree := New(&gen)
	freed := make(chan bool, 1)
	func() {
		for i := range 1000 {
			tree.Insert(pair{float64(i), "m"}.record())
		}
		big := record.NewScore(bytes.Repeat([]byte("x"), 1<<20), -1)
		runtime.AddCleanup(big, func(c chan bool) { c <- true }, freed)
		tree.Insert(big)
		tree.Delete(big)
	}()
	for range 20 {
		runtime.GC()
		select {
		case <-freed:
			runtime.KeepAlive(tree)
			return
		default:
		}
	}
	t.Error("a deleted record is still held")
}
