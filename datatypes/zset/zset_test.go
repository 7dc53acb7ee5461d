package zset

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferrous/datatypes/table"

	"ferrous/datatypes/btree"
	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

type pair struct {
	member string
	score  float64
}

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
}

func pairOf(r *record.Record) pair { return pair{string(r.Key()), r.Score()} }

func collect(it Iter) []pair {
	out := []pair{}
	for r := it.Next(); r != nil; r = it.Next() {
		out = append(out, pairOf(r))
	}
	if it.Next() != nil {
		panic("an iterator goes on beyond its end")
	}
	return out
}

func view(v *btree.View) []pair {
	out := []pair{}
	v.Each(func(r *record.Record) bool { out = append(out, pairOf(r)); return true })
	return out
}

// model is the set as a map; sorted gives it in order.
type model map[string]float64

func (m model) sorted() []pair {
	out := make([]pair, 0, len(m))
	for k, v := range m {
		out = append(out, pair{k, v})
	}
	slices.SortFunc(out, comparePairs)
	return out
}

func (m model) filter(keep func(p pair) bool) []pair {
	return slices.DeleteFunc(m.sorted(), func(p pair) bool { return !keep(p) })
}

// check compares all of z with the model and recounts what z keeps count of.
func check(t *testing.T, z *ZSet, m model) {
	t.Helper()
	if err := z.tree.Check(); err != nil {
		t.Fatal(err)
	}
	if z.Len() != len(m) || z.table.Len() != len(m) {
		t.Fatalf("Len %d, table %d, want %d", z.Len(), z.table.Len(), len(m))
	}
	size, rank, last := 0, 0, pair{}
	z.Each(func(r *record.Record) bool {
		p := pairOf(r)
		if s, ok := m[p.member]; !ok || s != p.score {
			t.Fatalf("%v, want score %v", p, s)
		}
		if rank > 0 && comparePairs(last, p) >= 0 {
			t.Fatalf("%v before %v", last, p)
		}
		if z.Find(r.Key()).Record != r {
			t.Fatalf("table and tree have different records of %q", r.Key())
		}
		size += r.Size()
		last = p
		rank++
		return true
	})
	if size != z.records {
		t.Fatalf("records of %d bytes, counted %d", z.records, size)
	}
}

func TestModel(t *testing.T) {
	seed := random.Seed(t)
	sizes := []int{5, 200, 2000}
	if random.Stress() {
		sizes = append(sizes, 30000)
	}
	for _, size := range sizes {
		for _, scores := range []int{1, 4, size, 1 << 30} {
			t.Run(fmt.Sprintf("size %d scores %d", size, scores), func(t *testing.T) {
				testModel(t, rand.New(rand.NewPCG(seed, uint64(size*scores))), size, scores)
			})
		}
	}
}

func testModel(t *testing.T, rnd *rand.Rand, size, scores int) {
	var gen cow.Generation
	z, m := New(&gen), model{}
	score := func() float64 { return float64(rnd.IntN(scores)-scores/2) / 4 }
	member := func() []byte {
		n := rnd.IntN(3 * size)
		return fmt.Appendf(nil, "%d%s", n, strings.Repeat("x", n%37))
	}
	var endSnapshot func()
	for i := range 8 * size {
		if i == 4*size {
			for len(m) < size { // the size that the test is for, whatever chance has made of it
				k, s := member(), score()
				z.Set(k, s)
				m[string(k)] = s
			}
			check(t, z, m)
		}
		switch x := rnd.IntN(2 * size); {
		case x == 0 && endSnapshot == nil:
			gen.Pin()
			frozen, want := z.Snapshot(), m.sorted()
			old := z
			if z.Owned() {
				t.Fatal("a set older than the snapshot is owned")
			}
			if rnd.IntN(2) == 0 {
				z = z.Fork()
				if !z.Owned() {
					t.Fatal("a forked set is not owned")
				}
			}
			endSnapshot = func() {
				if !slices.Equal(view(&frozen), want) {
					t.Fatal("the snapshot has changed")
				}
				if z != old {
					was := model{}
					for _, p := range want {
						was[p.member] = p.score
					}
					check(t, old, was)
				}
				gen.Unpin()
				endSnapshot = nil
			}
		case x == 1 && endSnapshot != nil:
			endSnapshot()
		}
		growing := i < 4*size
		switch x := rnd.IntN(100); {
		case x < 50 && growing, x < 25:
			k, s := member(), score()
			old, had := m[string(k)]
			want := Added
			if had && old == s {
				want = Unchanged
			} else if had {
				want = Updated
			}
			if got := z.Set(k, s); got != want {
				t.Fatalf("Set(%q, %v) = %d, want %d", k, s, got, want)
			}
			m[string(k)] = s
		case x < 60:
			k := member()
			_, had := m[string(k)]
			if z.Remove(k) != had {
				t.Fatalf("Remove(%q)", k)
			}
			delete(m, string(k))
		case x < 70: // a small change of an existing member, as ZINCRBY
			if r := z.At(rnd.IntN(z.Len() + 1)); r != nil {
				e := z.Find(r.Key())
				s := r.Score() + float64(rnd.IntN(5)-2)/4
				if n := z.Update(e, s); n.Score() != s || gen.Pinned() && n == r && s != m[string(r.Key())] {
					t.Fatal("Update")
				}
				m[string(r.Key())] = s
			}
		case x < 74:
			all := m.sorted()
			r, at := z.PopMin(), 0
			if x&1 == 0 {
				if r != nil {
					z.Set(r.Key(), r.Score())
				}
				r, at = z.PopMax(), len(all)-1
			}
			if len(all) == 0 {
				if r != nil {
					t.Fatal("a member of an empty set")
				}
			} else if pairOf(r) != all[at] {
				t.Fatalf("popped %v, want %v", pairOf(r), all[at])
			} else {
				delete(m, all[at].member)
			}
		case x < 76 || x < 78 && !growing:
			s := Span{rnd.IntN(z.Len()+5) - 2, 0}
			s.End = s.First + rnd.IntN(4+size/20)
			all := m.sorted()
			want := all[min(max(s.First, 0), len(all)):max(min(s.End, len(all)), 0)]
			var got []pair
			if n := z.RemoveSpan(s, func(r *record.Record) { got = append(got, pairOf(r)) }); n != len(want) || !slices.Equal(got, want) {
				t.Fatalf("RemoveSpan(%v) removed %v, want %v", s, got, want)
			}
			for _, p := range got {
				delete(m, p.member)
			}
		default:
			ask(t, z, m, member(), score)
		}
		if i%(1+size/3) == 0 {
			check(t, z, m)
			ranges(t, rnd, z, m, score, member)
		}
	}
	check(t, z, m)
	if endSnapshot != nil {
		endSnapshot()
	}
	check(t, z.Clone(), m)
	z.RemoveSpan(Span{0, z.Len()}, nil)
	check(t, z, model{})
	if empty := New(&gen); z.Size() > empty.Size()+1024 {
		t.Errorf("an emptied set of %d bytes, a new one of %d", z.Size(), empty.Size())
	}
}

// ask checks everything that can be asked about one member.
func ask(t *testing.T, z *ZSet, m model, k []byte, score func() float64) {
	t.Helper()
	want, had := m[string(k)]
	got, ok := z.Score(k)
	rank, s1, ok1 := z.Rank(k)
	rev, s2, ok2 := z.RevRank(k)
	if ok != had || ok1 != had || ok2 != had || got != want || s1 != want || s2 != want {
		t.Fatalf("Score, Rank, RevRank of %q: %v %v %v, %v %v %v, want %v %v", k, got, s1, s2, ok, ok1, ok2, want, had)
	}
	if had {
		n := len(m.filter(func(p pair) bool { return comparePairs(p, pair{string(k), want}) < 0 }))
		if rank != n || rev != len(m)-1-n || string(z.At(rank).Key()) != string(k) {
			t.Fatalf("rank of %q: %d and %d, want %d", k, rank, rev, n)
		}
	}
}

// ranges compares ranges of all kinds.
func ranges(t *testing.T, rnd *rand.Rand, z *ZSet, m model, score func() float64, member func() []byte) {
	t.Helper()
	for range 10 {
		r := ScoreRange{score(), score(), rnd.IntN(2) == 0, rnd.IntN(2) == 0}
		if rnd.IntN(5) == 0 {
			r.Min = math.Inf(-1)
		}
		if rnd.IntN(5) == 0 {
			r.Max = math.Inf(1)
		}
		compareSpan(t, rnd, z, fmt.Sprint(r), z.ScoreSpan(r), m.filter(func(p pair) bool { return r.Contains(p.score) }))

		start, stop := rnd.IntN(2*len(m)+3)-len(m)-1, rnd.IntN(2*len(m)+3)-len(m)-1
		a, b := start, stop
		if a < 0 {
			a = max(a+len(m), 0)
		}
		if b < 0 {
			b += len(m)
		}
		b = min(b+1, len(m))
		up, down := m.sorted(), m.sorted()
		slices.Reverse(down)
		for rev, all := range map[bool][]pair{false: up, true: down} {
			want := []pair{}
			if a < b {
				want = all[a:b]
			}
			if got := collect(z.Iter(z.RankSpan(start, stop, rev), rev)); !slices.Equal(got, want) {
				t.Fatalf("ranks %d to %d, rev %v: %v, want %v", start, stop, rev, got, want)
			}
		}
	}
	equal := true
	for _, s := range m {
		equal = equal && s == 0
	}
	for range 10 {
		if !equal {
			break
		}
		r := LexRange{member(), member(), LexEnd(rnd.IntN(4)), LexEnd(rnd.IntN(4))}
		compareSpan(t, rnd, z, fmt.Sprint(r), z.LexSpan(r), m.filter(func(p pair) bool {
			low, high := strings.Compare(p.member, string(r.Min)), strings.Compare(p.member, string(r.Max))
			return (r.MinEnd == Lowest || r.MinEnd == Inclusive && low >= 0 || r.MinEnd == Exclusive && low > 0) &&
				(r.MaxEnd == Highest || r.MaxEnd == Inclusive && high <= 0 || r.MaxEnd == Exclusive && high < 0)
		}))
	}
}

// compareSpan compares the members of a span, with and without a limit, in both directions.
func compareSpan(t *testing.T, rnd *rand.Rand, z *ZSet, what string, s Span, want []pair) {
	t.Helper()
	if s.Len() != len(want) {
		t.Fatalf("%s: %d members, want %d", what, s.Len(), len(want))
	}
	down := slices.Clone(want)
	slices.Reverse(down)
	if !slices.Equal(collect(z.Iter(s, false)), want) || !slices.Equal(collect(z.Iter(s, true)), down) {
		t.Fatalf("%s: wrong members", what)
	}
	offset, count := rnd.IntN(len(want)+3)-1, rnd.IntN(len(want)+3)-1
	for rev, all := range map[bool][]pair{false: want, true: down} {
		limited := []pair{}
		if offset >= 0 && offset < len(all) {
			limited = all[offset:]
			if count >= 0 && count < len(limited) {
				limited = limited[:count]
			}
		}
		if got := collect(z.Iter(s.Limit(offset, count, rev), rev)); !slices.Equal(got, limited) {
			t.Fatalf("%s limit %d %d, rev %v: %v, want %v", what, offset, count, rev, got, limited)
		}
	}
}

func TestLexWithEqualScores(t *testing.T) {
	var gen cow.Generation
	rnd := rand.New(rand.NewPCG(5, 6))
	z, m := New(&gen), model{}
	for range 3000 {
		k := fmt.Appendf(nil, "%x", rnd.IntN(5000))
		z.Set(k, 0)
		m[string(k)] = 0
	}
	for range 30 {
		ranges(t, rnd, z, m, func() float64 { return 0 }, func() []byte { return fmt.Appendf(nil, "%x", rnd.IntN(5000)) })
	}
	if s := z.LexSpan(LexRange{MinEnd: Highest, MaxEnd: Lowest}); s.Len() != 0 {
		t.Error("from + to - is not empty")
	}
}

func TestZeros(t *testing.T) {
	var gen cow.Generation
	z := New(&gen)
	minus := math.Copysign(0, -1)
	z.Set([]byte("b"), minus)
	z.Set([]byte("a"), 0)
	z.Set([]byte("c"), 0)
	if got := collect(z.Iter(Span{0, 3}, false)); got[0].member != "a" || got[1].member != "b" || got[2].member != "c" {
		t.Error("the zeros are not equal", got)
	}
	if s := z.ScoreSpan(ScoreRange{Min: minus, Max: minus}); s.Len() != 3 {
		t.Error("from -0 to -0:", s)
	}
	if z.Set([]byte("b"), 0) != Unchanged {
		t.Error("0 for -0 is a change")
	}
	if s, _ := z.Score([]byte("b")); !math.Signbit(s) {
		t.Error("the sign of zero is lost")
	}
}

func TestBuild(t *testing.T) {
	var gen cow.Generation
	for name, order := range map[string]func(recs []*record.Record){
		"ascending":  func(recs []*record.Record) { slices.SortFunc(recs, Compare) },
		"descending": func(recs []*record.Record) { slices.SortFunc(recs, Compare); slices.Reverse(recs) },
		"random":     func(recs []*record.Record) {},
	} {
		for _, n := range []int{0, 1, 2, 1000} {
			m, recs := model{}, []*record.Record{}
			for i := range n {
				p := pair{fmt.Sprint("m", i), float64(i * 7919 % 301)}
				m[p.member] = p.score
				recs = append(recs, record.NewScore([]byte(p.member), p.score))
			}
			order(recs)
			z, err := Build(&gen, recs)
			if err != nil {
				t.Fatal(name, err)
			}
			check(t, z, m)
		}
	}
	twice := []*record.Record{record.NewScore([]byte("a"), 1), record.NewScore([]byte("b"), 2), record.NewScore([]byte("a"), 3)}
	if _, err := Build(&gen, twice); err != ErrDuplicate {
		t.Error("a member comes twice:", err)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	var gen cow.Generation
	z, m := New(&gen), model{}
	for i := range 1000 {
		k := fmt.Sprint(i)
		z.Set([]byte(k), float64(i))
		m[k] = float64(i)
	}
	c := z.Clone()
	if d := c.Size() - z.Size(); d > 4096 || d < -z.Size()/4 {
		t.Errorf("a clone of %d bytes of a set of %d", c.Size(), z.Size())
	}
	for i := range 1000 {
		z.Set(fmt.Append(nil, i), -1)
	}
	z.RemoveSpan(Span{0, 500}, nil)
	check(t, c, m)
}

func TestScan(t *testing.T) {
	var gen cow.Generation
	z := New(&gen)
	for i := range 3000 {
		z.Set(fmt.Append(nil, i), float64(i))
	}
	seen, cursor := map[string]bool{}, uint64(0)
	for {
		cursor = z.Scan(cursor, 10, func(r *record.Record) { seen[string(r.Key())] = true })
		if cursor == 0 {
			break
		}
	}
	if len(seen) != 3000 {
		t.Errorf("%d of 3000 members", len(seen))
	}
}

func TestRandomIsUniform(t *testing.T) {
	var gen cow.Generation
	z := New(&gen)
	rnd := rand.New(rand.NewPCG(7, 8))
	if z.Random(rnd.Uint64) != nil {
		t.Error("a member of an empty set")
	}
	const members, draws = 300, 300000
	for i := range members {
		z.Set(fmt.Append(nil, i), rnd.Float64())
	}
	hits := map[string]int{}
	for range draws {
		hits[string(z.Random(rnd.Uint64).Key())]++
	}
	chi := 0.0
	for _, n := range hits {
		d := float64(n - draws/members)
		chi += d * d / (draws / members)
	}
	if len(hits) != members || chi > 299+6*math.Sqrt(2*299) {
		t.Errorf("%d members drawn, chi square %.0f", len(hits), chi)
	}
}

// Other goroutines read a forked set and a snapshot while everything is rewritten.
func TestReadersBesideChanges(t *testing.T) {
	const n = 10000
	var gen cow.Generation
	z := New(&gen)
	for i := range n {
		z.Set(fmt.Append(nil, i), float64(i))
	}
	for round := range 3 {
		gen.Pin()
		old := z
		frozen := z.Snapshot()
		want := view(&frozen)
		fork := round > 0
		if fork {
			z = z.Fork()
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		reader := func(read func()) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					read()
					select {
					case <-done:
						return
					default:
					}
				}
			}()
		}
		reader(func() {
			if !slices.Equal(view(&frozen), want) {
				t.Error("the snapshot has changed")
			}
		})
		if fork {
			reader(func() {
				if !slices.Equal(collect(old.Iter(Span{0, old.Len()}, false)), want) {
					t.Error("the forked set has changed")
				}
				for i := range want {
					if s, ok := old.Score([]byte(want[i].member)); !ok || s != want[i].score {
						t.Errorf("%q has score %v, want %v", want[i].member, s, want[i].score)
						return
					}
				}
			})
		}
		rnd := rand.New(rand.NewPCG(9, uint64(round)))
		for _, p := range want {
			switch rnd.IntN(4) {
			case 0:
				z.Remove([]byte(p.member))
				z.Set([]byte(fmt.Sprint(p.member, "'", round)), p.score)
			case 1:
				z.Set([]byte(p.member), rnd.Float64()*n)
			default:
				z.Set([]byte(p.member), p.score+1)
			}
		}
		z.RemoveSpan(Span{100, 900}, nil)
		close(done)
		wg.Wait()
		gen.Unpin()
		m := model{}
		z.Each(func(r *record.Record) bool { m[string(r.Key())] = r.Score(); return true })
		check(t, z, m)
	}
}

func TestNoAllocation(t *testing.T) {
	var gen cow.Generation
	rnd := rand.New(rand.NewPCG(1, 2))
	z := New(&gen)
	var members [][]byte
	for i := range 50000 {
		members = append(members, fmt.Append(nil, i))
		z.Set(members[i], rnd.Float64())
	}
	i := 0
	for _, test := range []struct {
		name string
		most float64
		fn   func(k []byte)
	}{
		{"Set of the same score", 0, func(k []byte) { z.Set(k, z.Find(k).Record.Score()) }},
		{"Set of a near score", 0, func(k []byte) { z.Set(k, math.Nextafter(z.Find(k).Record.Score(), 2)) }},
		{"Set of another score", 0.1, func(k []byte) { z.Set(k, rnd.Float64()) }}, // a leaf splits now and then
		{"Update", 0, func(k []byte) { e := z.Find(k); z.Update(e, math.Nextafter(e.Record.Score(), 2)) }},
		{"Score", 0, func(k []byte) { z.Score(k) }},
		{"Rank", 0, func(k []byte) { z.Rank(k); z.RevRank(k) }},
		{"Random", 0, func(k []byte) { z.Random(rnd.Uint64) }},
		{"ScoreSpan", 0, func(k []byte) { z.ScoreSpan(ScoreRange{Min: 0.1, Max: 0.2, MaxEx: true}) }},
		{"LexSpan", 0, func(k []byte) { z.LexSpan(LexRange{Min: k, MaxEnd: Highest}) }},
		{"Iter", 0, func(k []byte) {
			for _, rev := range []bool{false, true} {
				it := z.Iter(z.RankSpan(i, i+100, rev).Limit(10, 80, rev), rev)
				for it.Next() != nil {
				}
			}
		}},
	} {
		got := testing.AllocsPerRun(2000, func() {
			i = (i + 7919) % len(members)
			test.fn(members[i])
		})
		if got > test.most {
			t.Errorf("%s allocates %v times", test.name, got)
		}
	}
}

// heap returns how many bytes are alive. The second collection frees what had finalizers or lay in pools.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// Size is what the heap grew by.
func TestSize(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{1, 150, 100000} {
		grown := func() (got, sum int) {
			sets := make([]*ZSet, max(20000/n, 1))
			before := heap()
			for i := range sets {
				sets[i] = New(&gen)
				var k [16]byte
				for j := range n {
					copy(k[:], fmt.Sprintf("%016d", j))
					sets[i].Set(k[:], float64(j*7919%1000))
				}
				sum += sets[i].Size()
			}
			got = heap() - before
			runtime.KeepAlive(sets)
			return got, sum
		}
		for try := 1; ; try++ { // what else is alive may change meanwhile
			got, sum := grown()
			if math.Abs(float64(got-sum)) <= 0.02*float64(sum)+10000 {
				break
			}
			if try == 5 {
				t.Errorf("%d members: Size %d, the heap grew by %d", n, sum, got)
				break
			}
		}
	}
}

// One member more or less, or another score, under a snapshot copies no more than a path and a segment.
func TestChangeUnderSnapshotIsSmall(t *testing.T) {
	var gen cow.Generation
	recs := make([]*record.Record, 200000)
	for i := range recs {
		recs[i] = record.NewScore(fmt.Append(nil, i), float64(i))
	}
	z, err := Build(&gen, recs)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(i int){
		"Update": func(i int) { z.Set(fmt.Append(nil, 100000+i*1000), 5.5+float64(i)) },
		"Remove": func(i int) { z.Remove(fmt.Append(nil, 50000+i*1000)) },
		"Insert": func(i int) { z.Set(fmt.Append(nil, "new", i), 170000.5+float64(i*1000)) },
	} {
		least := uint64(math.MaxUint64)
		for i := range 5 { // the runtime itself allocates now and then
			gen.Pin()
			z = z.Fork()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			change(i)
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
			gen.Unpin()
		}
		if least > 24<<10 {
			t.Errorf("%s allocates %d bytes", name, least)
		}
	}
	if !bytes.Equal(z.At(6).Key(), []byte("100000")) {
		t.Error("wrong place")
	}
}
