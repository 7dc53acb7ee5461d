package quicklist

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

func newRand(t testing.TB) *rand.Rand {
	return random.New(t)
}

func newList(fill, depth int) *List { return New(NewSettings(new(cow.Generation)), fill, depth) }

func contents(v *View) []string {
	out := []string{}
	it := v.From(0)
	for e, ok := it.Next(); ok; e, ok = it.Next() {
		out = append(out, string(e.AppendTo(nil)))
	}
	return out
}

// check verifies the structure and compares the elements with the model.
func check(t *testing.T, l *List, model []string) {
	t.Helper()
	checkStructure(t, l)
	if l.Len() != len(model) {
		t.Fatalf("Len() = %d, want %d", l.Len(), len(model))
	}
	if got := contents(&l.View); !slices.Equal(got, model) {
		t.Fatalf("holds %.300q, want %.300q", got, model)
	}
	it := l.FromBack(l.Len() - 1)
	for i := len(model) - 1; i >= -1; i-- {
		e, ok := it.Next()
		if ok != (i >= 0) || ok && !e.Equal([]byte(model[i])) {
			t.Fatalf("from the tail, element %d is %q, %v", i, e.AppendTo(nil), ok)
		}
	}
}

func checkStructure(t *testing.T, l *List) {
	t.Helper()
	var nodes []*node
	memory := 0
	if l.nodes > 0 {
		nodes = append(nodes, l.head)
	}
	var walk func(b *branch, level int32, top bool) (elems, n int)
	walk = func(b *branch, level int32, top bool) (elems, n int) {
		memory += branchSize
		if b.n == 0 || b.level != level || top && level > 0 && b.n == 1 {
			t.Fatalf("branch of %d children at level %d (%d)", b.n, b.level, level)
		}
		for i := range int(b.n) {
			e, k := 0, 1
			if level == 0 {
				nodes = append(nodes, b.node(i))
				e = int(b.node(i).count)
			} else {
				e, k = walk(b.sub(i), level-1, false)
			}
			if e != b.elems[i] || k != int(b.nodes[i]) {
				t.Fatalf("child %d at level %d holds %d elements in %d nodes, the branch says %d, %d", i, level, e, k, b.elems[i], b.nodes[i])
			}
			elems, n = elems+e, n+k
		}
		for i := int(b.n); i < fan; i++ {
			if b.kid[i] != nil {
				t.Fatal("a child that was removed is still held")
			}
		}
		return elems, n
	}
	if l.root != nil {
		walk(l.root, l.root.level, true)
	}
	if l.tail != nil {
		nodes = append(nodes, l.tail)
	}
	if len(nodes) != l.nodes || (l.tail != nil) != (l.nodes > 1) || (l.root != nil) != (l.nodes > 2) || (l.head != nil) != (l.nodes > 0) {
		t.Fatalf("%d nodes, the list says %d", len(nodes), l.nodes)
	}
	count := 0
	for i, n := range nodes {
		if l.nodeAt(i) != n {
			t.Fatalf("nodeAt(%d)", i)
		}
		memory += n.memory()
		count += int(n.count)
		if n.lzf && !l.inner(i) {
			t.Fatalf("node %d of %d is compressed at depth %d", i, l.nodes, l.depth)
		}
		if !n.lzf && len(n.buf) != cap(n.buf) {
			t.Fatalf("node %d: buffer of %d bytes with capacity %d", i, len(n.buf), cap(n.buf))
		}
		b := n.content(new([]byte))
		if len(b) != n.size {
			t.Fatalf("node %d has %d bytes, not %d", i, len(b), n.size)
		}
		if n.plain {
			if n.count != 1 {
				t.Fatalf("plain node of %d elements", n.count)
			}
			continue
		}
		if err := listpack.Validate(b, true); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		if k := listpack.Listpack(b).Len(); k != int(n.count) || k == 0 {
			t.Fatalf("node %d has %d elements, not %d", i, k, n.count)
		}
	}
	if count != l.count {
		t.Fatalf("%d elements, the list says %d", count, l.count)
	}
	if l.Size() != mem.SizePtr(listSize)+memory {
		t.Fatalf("%d bytes, the list says %d", memory, l.bytes)
	}
}

func randomElem(r *rand.Rand) string {
	switch r.IntN(10) {
	case 0:
		return ""
	case 1, 2:
		return strconv.Itoa(r.IntN(20))
	case 3:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 4:
		return strings.Repeat("y", r.IntN(300))
	case 5:
		if r.IntN(10) == 0 {
			return strings.Repeat("z", r.IntN(10000))
		}
	}
	return fmt.Sprintf("elem-%d", r.IntN(30))
}

var shapes = []struct{ fill, depth, threshold int }{
	{-2, 0, 0}, {-1, 1, 0}, {-5, 2, 0}, {1, 0, 0}, {2, 1, 0}, {3, 2, 200}, {4, 0, 30}, {7, 3, 100}, {128, 1, 0}, {32, 0, 1},
	{0, 1, 0}, {16, 100, 0},
}

// Random operations on a list and on a slice of strings; from time to time a snapshot is taken, held for a while, and
// compared with the model as it was.
func TestModel(t *testing.T) {
	r := newRand(t)
	for _, s := range shapes {
		t.Run(fmt.Sprintf("fill %d depth %d threshold %d", s.fill, s.depth, s.threshold), func(t *testing.T) {
			rounds := 1
			if random.Stress() {
				rounds = 30
			}
			for range rounds {
				runModel(t, r, s.fill, s.depth, s.threshold)
			}
		})
	}
}

func runModel(t *testing.T, r *rand.Rand, fill, depth, threshold int) {
	gen := new(cow.Generation)
	set := NewSettings(gen)
	set.SetPackedThreshold(uint64(threshold))
	l, model := New(set, fill, depth), []string{}
	var view View
	var viewModel []string
	for step := range 2000 {
		if step == 1000 {
			// Several nodes there must have been, whatever chance has made of it so far.
			for l = l.Own(); l.NumNodes() < 4; {
				e := randomElem(r)
				l.PushTail([]byte(e))
				model = append(model, e)
			}
			check(t, l, model)
			model = slices.Clone(model[:min(len(model), 100)])
			l.Trim(0, len(model)-1)
		}
		if r.IntN(40) == 0 {
			if gen.Pinned() {
				if got := contents(&view); !slices.Equal(got, viewModel) {
					t.Fatalf("the snapshot holds %.300q, want %.300q", got, viewModel)
				}
				gen.Unpin()
			} else {
				gen.Pin()
				view, viewModel = l.Snapshot(), slices.Clone(model)
			}
		}
		n := len(model)
		e := randomElem(r)
		s := []byte(e)
		i := 0
		if n > 0 {
			i = r.IntN(n)
		}
		// Grow for a while, shrink for a while.
		op := r.IntN(20)
		if grow := step/250%2 == 0; grow && op >= 11 && op < 17 || !grow && op < 9 {
			if r.IntN(2) == 0 {
				op = (op + 10) % 20
			}
		}
		switch {
		case n == 0 || op < 3:
			l.PushTail(s)
			model = append(model, e)
		case op < 6:
			l.PushHead(s)
			model = slices.Insert(model, 0, e)
		case op < 9:
			pivot, after := model[i], r.IntN(2) == 0
			if r.IntN(10) == 0 {
				pivot = "no such element"
			}
			at := slices.Index(model, pivot)
			if got := l.Insert([]byte(pivot), s, after); got != (at >= 0) {
				t.Fatalf("Insert at %q: %v", pivot, got)
			}
			if at >= 0 {
				if after {
					at++
				}
				model = slices.Insert(model, at, e)
			}
		case op < 11:
			at := i
			if r.IntN(2) == 0 {
				at = i - n
			}
			if !l.Set(at, s) || l.Set(n, s) || l.Set(-n-1, s) {
				t.Fatal("Set")
			}
			model[i] = e
		case op == 11:
			k, at := r.IntN(4), i
			if r.IntN(20) == 0 {
				k = r.IntN(n)
			}
			want := min(k, n-i)
			if r.IntN(2) == 0 {
				at = i - n
			}
			if got := l.DeleteRange(at, k); got != want {
				t.Fatalf("DeleteRange(%d, %d) of %d = %d", at, k, n, got)
			}
			model = slices.Delete(model, i, i+want)
		case op == 12:
			count := r.IntN(7) - 3
			target := model[i]
			most := count
			if count == 0 {
				most = n
			}
			want := removeFrom(&model, target, most)
			if got := l.RemoveValue([]byte(target), count); got != want {
				t.Fatalf("RemoveValue(%q, %d) = %d, want %d", target, count, got, want)
			}
		case op < 15:
			scratch := make([]byte, 0, 10)
			v, ok := l.PopHead(scratch)
			if !ok || !v.Equal([]byte(model[0])) {
				t.Fatalf("PopHead = %q, want %q", v.AppendTo(nil), model[0])
			}
			model = slices.Delete(model, 0, 1)
		case op < 17:
			v, ok := l.PopTail(nil)
			if !ok || !v.Equal([]byte(model[n-1])) {
				t.Fatalf("PopTail = %q, want %q", v.AppendTo(nil), model[n-1])
			}
			model = model[:n-1]
		case op == 17 && r.IntN(20) == 0:
			stop := i + r.IntN(n-i)
			l.Trim(i, stop)
			model = slices.Clone(model[i : stop+1])
		case op == 18:
			old := l
			if l = l.Own(); (l != old) != (gen.Pinned() && old.stamp != gen.Current()) {
				t.Fatal("Own")
			}
		case op == 19 && step%10 == 0:
			c := l.Clone()
			l.PushHead([]byte("only in the old one"))
			l.DropTail()
			l = c
		default:
			checkReads(t, r, l, model)
		}
		if n < 50 || step%8 == 0 {
			check(t, l, model)
		}
	}
	check(t, l, model)
}

func removeFrom(model *[]string, target string, count int) int {
	removed := 0
	if count < 0 {
		for i := len(*model) - 1; i >= 0 && removed < -count; i-- {
			if (*model)[i] == target {
				*model = slices.Delete(*model, i, i+1)
				removed++
			}
		}
		return removed
	}
	for i := 0; i < len(*model) && removed < count; {
		if (*model)[i] == target {
			*model = slices.Delete(*model, i, i+1)
			removed++
		} else {
			i++
		}
	}
	return removed
}

func checkReads(t *testing.T, r *rand.Rand, l *List, model []string) {
	t.Helper()
	n := len(model)
	for range 5 {
		i := r.IntN(2*n+2) - n - 1
		want := ""
		in := i >= -n && i < n
		if in {
			want = model[(i+n)%n]
		}
		if v, ok := l.Index(i); ok != in || in && !v.Equal([]byte(want)) {
			t.Fatalf("Index(%d) = %q, %v", i, v.AppendTo(nil), ok)
		}
		from := r.IntN(n)
		forward, backward := l.From(from), l.FromBack(from)
		for j := 0; j < 30; j++ {
			v, ok := forward.Next()
			if ok != (from+j < n) || ok && !v.Equal([]byte(model[from+j])) {
				t.Fatalf("From(%d), element %d", from, j)
			}
			v, ok = backward.Next()
			if ok != (from-j >= 0) || ok && !v.Equal([]byte(model[from-j])) {
				t.Fatalf("FromBack(%d), element %d", from, j)
			}
		}
	}
	if v := l.Head(); !v.Equal([]byte(model[0])) {
		t.Fatal("Head")
	}
	if v := l.Tail(); !v.Equal([]byte(model[n-1])) {
		t.Fatal("Tail")
	}
	for _, it := range []Iter{l.From(n), l.From(-1), l.FromBack(-1), l.FromBack(n)} {
		if _, ok := it.Next(); ok {
			t.Fatal("an element out of range")
		}
	}
	target := model[r.IntN(n)]
	rank, count, maxlen := r.IntN(3)+1, r.IntN(4), r.IntN(2)*r.IntN(n+1)
	if r.IntN(2) == 0 {
		rank = -rank
	}
	var want, got []int
	seen, matches := 0, 0
	for j := range n {
		at := j
		if rank < 0 {
			at = n - 1 - j
		}
		if seen++; maxlen > 0 && seen > maxlen {
			break
		}
		if model[at] == target {
			if matches++; matches >= max(rank, -rank) && (count == 0 || len(want) < count) {
				want = append(want, at)
			}
		}
	}
	l.Positions([]byte(target), rank, count, maxlen, func(i int) bool {
		got = append(got, i)
		return true
	})
	if !slices.Equal(got, want) {
		t.Fatalf("Positions(%q, %d, %d, %d) = %v, want %v", target, rank, count, maxlen, got, want)
	}
}

// Many nodes make a tree of several levels; inserting at one place in the middle does not degrade it.
func TestDeepTree(t *testing.T) {
	l := newList(1, 0)
	model := make([]string, 0, 9000)
	for i := range 3000 {
		s := strconv.Itoa(i)
		l.PushTail([]byte(s))
		model = append(model, s)
	}
	slices.Reverse(model)
	for i := range 3000 {
		s := "h" + strconv.Itoa(i)
		l.PushHead([]byte(s))
		model = append(model, s)
	}
	slices.Reverse(model)
	check(t, l, model)
	if branches := (l.Size() - mem.SizePtr(listSize) - l.NumNodes()*(mem.SizePtr(nodeSize)+16)) / branchSize; branches > 6000/fan+8 {
		t.Errorf("%d branches for 6000 nodes pushed at the ends", branches)
	}
	before := l.Size()
	for i := range 1000 {
		s := "m" + strconv.Itoa(i)
		l.Insert([]byte("h1000"), []byte(s), i%2 == 0)
	}
	at := slices.Index(model, "h1000")
	var left, right []string
	for i := range 1000 {
		if s := "m" + strconv.Itoa(i); i%2 == 0 {
			right = append([]string{s}, right...)
		} else {
			left = append(left, s)
		}
	}
	model = slices.Insert(slices.Insert(model, at+1, right...), at, left...)
	check(t, l, model)
	if grown := (l.Size() - before) / 1000; grown > 200 {
		t.Errorf("a node inserted in the middle takes %d bytes", grown)
	}
	for len(model) > 10 {
		k := len(model) / 3
		l.DeleteRange(k, k)
		model = slices.Delete(model, k, 2*k)
		check(t, l, model)
	}
	for len(model) > 0 {
		l.DropHead()
		model = model[1:]
		check(t, l, model)
	}
	if l.Size() != mem.SizePtr(listSize) {
		t.Error("an empty list holds", l.Size())
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		fill, size, count int
		want              bool
	}{
		{-1, 4096, 1 << 20, false}, {-1, 4097, 1, true}, {-2, 8192, 9, false}, {-2, 8193, 9, true}, {-3, 16385, 1, true},
		{-4, 32768, 1, false}, {-5, 65536, 1, false}, {-5, 65537, 1, true}, {-6, 65536, 1, false}, {-6, 65537, 1, true},
		{0, 100, 1, false}, {0, 100, 2, true}, {1, 100, 1, false}, {1, 100, 2, true}, {128, 8192, 128, false},
		{128, 8193, 1, true}, {128, 100, 129, true},
	} {
		if got := ExceedsLimit(c.fill, c.size, c.count); got != c.want {
			t.Errorf("ExceedsLimit(%d, %d, %d) = %v", c.fill, c.size, c.count, got)
		}
		size, count := NodeLimit(c.fill)
		if c.fill < 0 && (count != math.MaxInt || (c.size > size) != c.want) || c.fill >= 0 && (size != math.MaxInt || count != max(c.fill, 1)) {
			t.Errorf("NodeLimit(%d) = %d, %d", c.fill, size, count)
		}
	}
	for _, c := range []struct{ fill, depth, wantFill, wantDepth int }{
		{-6, -1, -5, 0}, {1 << 20, 1 << 20, 32767, 65535}, {100, 3, 100, 3},
	} {
		if l := newList(c.fill, c.depth); l.Fill() != c.wantFill || l.Depth() != c.wantDepth {
			t.Errorf("fill %d, depth %d become %d, %d", c.fill, c.depth, l.Fill(), l.Depth())
		}
	}
	set := NewSettings(new(cow.Generation))
	if set.SetPackedThreshold(1<<32) || !set.SetPackedThreshold(1<<32-1<<20) || !set.SetPackedThreshold(0) || set.threshold != 1<<30 {
		t.Error("SetPackedThreshold")
	}
}

func TestConversion(t *testing.T) {
	gen := new(cow.Generation)
	set := NewSettings(gen)
	build := func(n int, size int) *List {
		l := New(set, 1000, 0)
		for range n {
			l.PushTail(bytes.Repeat([]byte("x"), size))
		}
		return l
	}
	for _, c := range []struct {
		n, size, fill int
		shrinking     bool
		want          bool
	}{
		{10, 5, 10, false, true}, {11, 5, 10, false, false}, {5, 5, 10, true, true}, {6, 5, 10, true, false},
		{10, 400, -1, false, true}, {11, 400, -1, false, false}, {5, 400, -1, true, true}, {6, 400, -1, true, false},
		{1, 5, 1, false, true}, {1, 5, 1, true, false}, {2000, 1, -5, false, false}, // two nodes
	} {
		l := build(c.n, c.size)
		want := contents(&l.View)
		lp, ok := l.Listpack(c.fill, c.shrinking)
		if ok != c.want {
			t.Errorf("%+v: %v", c, ok)
		}
		if ok {
			back := FromListpack(set, c.fill, 0, lp)
			check(t, back, want)
			if cap(lp) != mem.Size(len(lp)) {
				t.Errorf("%d bytes of capacity for %d", cap(lp), len(lp))
			}
		}
	}
	set.SetPackedThreshold(10)
	if _, ok := build(1, 20).Listpack(-2, false); ok {
		t.Error("a plain node became a listpack")
	}
	set.SetPackedThreshold(0)
	// A frozen list keeps its node: the listpack is another one.
	l := build(3, 5)
	gen.Pin()
	view := l.Snapshot()
	lp, _ := l.Own().Listpack(-2, false)
	lp[listpack.HeaderSize+1] = 'y'
	gen.Unpin()
	if contents(&view)[0] != "xxxxx" {
		t.Error("the snapshot's node was given away")
	}
	if _, ok := newList(-2, 0).Listpack(-2, false); ok {
		t.Error("a list of no nodes became a listpack")
	}
}

func TestAppendNodes(t *testing.T) {
	l := newList(-2, 1)
	var model []string
	for i := range 10 {
		lp := listpack.New(0)
		for j := range 20 {
			s := fmt.Sprintf("element %d of %d", j, i)
			lp, model = lp.Append([]byte(s)), append(model, s)
		}
		l.AppendListpack(lp)
		l.AppendListpack(listpack.New(0))
		if i%3 == 0 {
			s := strings.Repeat("plain", 30)
			l.AppendPlain([]byte(s))
			model = append(model, s)
		}
	}
	check(t, l, model)
	compressed, plain, size := 0, 0, 0
	var nodes []NodeData
	l.Nodes(func(d NodeData) bool {
		nodes = append(nodes, d)
		if d.LZF != nil {
			compressed++
		} else if len(d.Raw) != d.Size {
			t.Error("size", d.Size, len(d.Raw))
		}
		if d.Plain {
			plain++
		}
		size += d.Size
		return len(nodes) < 100
	})
	if len(nodes) != 14 || compressed != 12 || plain != 4 {
		t.Errorf("%d nodes, %d compressed, %d plain", len(nodes), compressed, plain)
	}
	n := 0
	l.Nodes(func(NodeData) bool { n++; return false })
	if n != 1 {
		t.Error("Nodes goes on")
	}
	check(t, l.Clone(), model)
}

// A copy shares nothing that is written.
func TestClone(t *testing.T) { random.Repeat(t, testClone) }

func testClone(t *testing.T) {
	r := newRand(t)
	for _, depth := range []int{0, 1} {
		a, model := newList(5, depth), []string{}
		for range 1000 {
			e := randomElem(r)
			a.PushTail([]byte(e))
			model = append(model, e)
		}
		b := a.Clone()
		for i := range model {
			a.Set(i, []byte("changed"))
		}
		check(t, b, model)
		b.DeleteRange(0, b.Len())
		for _, e := range contents(&a.View) {
			if e != "changed" {
				t.Fatal(e)
			}
		}
		checkStructure(t, a)
		checkStructure(t, b)
	}
}

// While a snapshot is held, another goroutine reads it and the owner rewrites everything. Run under -race.
func TestSnapshotRace(t *testing.T) {
	for _, s := range []struct{ fill, depth int }{{-1, 0}, {3, 1}, {1, 0}} {
		gen := new(cow.Generation)
		l := New(NewSettings(gen), s.fill, s.depth)
		for i := range 5000 {
			l.PushTail([]byte("element " + strconv.Itoa(i)))
		}
		for range 3 {
			want := contents(&l.View)
			gen.Pin()
			frozen := l // as a record holds it
			done := make(chan []string)
			go func() {
				var nodes int
				frozen.Nodes(func(d NodeData) bool { nodes += len(d.Raw) + len(d.LZF); return true })
				done <- contents(&frozen.View)
			}()
			l = l.Own()
			for i := range 2000 {
				l.Set(i*2, []byte("set"))
				l.PushHead([]byte("head"))
				l.PushTail([]byte("tail"))
				if i%10 == 0 {
					l.DeleteRange(i, 7)
					l.Insert([]byte("element "+strconv.Itoa(i)), []byte("inserted"), i%20 == 0)
				}
				l.DropHead()
				if l = l.Own(); l == frozen {
					t.Fatal("Own gave the snapshot's list")
				}
			}
			l.RemoveValue([]byte("set"), -500)
			if got := <-done; !slices.Equal(got, want) {
				t.Fatal("the snapshot has changed")
			}
			gen.Unpin()
			checkStructure(t, l)
		}
	}
}

// One end of a long list costs a few KiB while a snapshot is held.
func TestCopyOnWriteIsLocal(t *testing.T) {
	gen := new(cow.Generation)
	l := New(NewSettings(gen), -2, 0)
	for range 1000000 {
		l.PushTail([]byte("value:0123456789"))
	}
	allocated := func(f func()) float64 {
		const rounds = 50
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			gen.Pin()
			f()
			gen.Unpin()
		}
		runtime.ReadMemStats(&after)
		return float64(after.TotalAlloc-before.TotalAlloc) / rounds
	}
	for _, c := range []struct {
		name string
		f    func()
		most float64
	}{
		{"head", func() { l.PushHead([]byte("x")); l.DropHead() }, 24 << 10},
		{"tail", func() { l.PushTail([]byte("x")); l.DropTail() }, 24 << 10},
		{"middle", func() { l.Set(500000, []byte("value:9876543210")) }, 24 << 10},
	} {
		if got := allocated(c.f); got > c.most {
			t.Errorf("%s: %.0f bytes", c.name, got)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, n := range []int{10, 100000} {
		l := newList(-2, 0)
		value := []byte("value:0123456789")
		for range n {
			l.PushTail(value)
		}
		scratch := make([]byte, 0, 100)
		sum := 0
		if a := testing.AllocsPerRun(1000, func() {
			for range 4 {
				l.PushHead(value)
				l.PushTail(value)
			}
			for range 4 {
				l.PopHead(scratch)
				l.PopTail(scratch)
			}
			l.Set(5, value)
			if v, ok := l.Index(-7); ok {
				sum += v.Len()
			}
			it := l.From(2)
			for range 100 {
				v, _ := it.Next()
				sum += v.Len()
			}
		}); a != 0 {
			t.Errorf("%d elements: %v allocations", n, a)
		}
	}
	l := newList(-2, 0)
	value := []byte("value:0123456789")
	if a := testing.AllocsPerRun(100000, func() { l.PushTail(value) }); a > 0 {
		t.Errorf("%v allocations a push", a)
	}
}
