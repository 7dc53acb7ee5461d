package sortedset

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ferrous/datatypes/table"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/zset"
	"ferrous/tests/random"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

// testText stands for the notation of replies.
func testText() *Text {
	return NewText(func(dst []byte, f float64) []byte {
		if math.IsInf(f, 1) {
			return append(dst, "inf"...)
		}
		return strconv.AppendFloat(dst, f, 'g', -1, 64)
	})
}

func usual() Rules { return Rules{Entries: 128, Value: 64, Text: testText()} }

// item is a member with its score.
type item struct {
	member string
	score  float64
}

func sorted(m map[string]float64) []item {
	var l []item
	for member, score := range m {
		l = append(l, item{member, score})
	}
	slices.SortFunc(l, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
	})
	return l
}

func drain(it Iter) (l []item) {
	for {
		m, score, ok := it.Next()
		if !ok {
			return l
		}
		l = append(l, item{string(m.AppendTo(nil)), score})
	}
}

// check compares the whole set with the model, by all ways of reading it.
func check(t *testing.T, what string, s *SortedSet, model map[string]float64) {
	t.Helper()
	want := sorted(model)
	if s.Len() != len(want) {
		t.Fatalf("%s: Len is %d, want %d", what, s.Len(), len(want))
	}
	got := drain(s.Iter(s.All(), false))
	if !slices.Equal(got, want) {
		t.Fatalf("%s: members %v, want %v", what, got, want)
	}
	reversed := drain(s.Iter(s.All(), true))
	slices.Reverse(reversed)
	if !slices.Equal(reversed, want) {
		t.Fatalf("%s: members from the end %v, want %v", what, reversed, want)
	}
	got = got[:0]
	s.Each(func(m Value, score float64) bool {
		got = append(got, item{string(m.AppendTo(nil)), score})
		return true
	})
	if !slices.Equal(got, want) {
		t.Fatalf("%s: Each gives %v, want %v", what, got, want)
	}
	for i, w := range want {
		rank, score, ok := s.Rank([]byte(w.member), false)
		if !ok || rank != i || score != w.score {
			t.Fatalf("%s: Rank(%s) is %d %v %v, want %d %v", what, w.member, rank, score, ok, i, w.score)
		}
		if rank, _, ok := s.Rank([]byte(w.member), true); !ok || rank != len(want)-1-i {
			t.Fatalf("%s: Rank(%s) from the end is %d %v", what, w.member, rank, ok)
		}
	}
	if lp := s.Listpack(); lp != nil {
		if err := listpack.Validate(lp, true); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// added says what Add must do to the model.
func added(model map[string]float64, member string, score float64, how How) Outcome {
	old, had := model[member]
	switch {
	case had && how&NX != 0, !had && how&XX != 0:
		return Refused
	case !had:
		model[member] = score
		return Added
	}
	if how&Incr != 0 {
		score += old
	}
	switch {
	case math.IsNaN(score):
		return NaN
	case how&GT != 0 && score <= old, how&LT != 0 && score >= old:
		return Refused
	case score == old:
		return Unchanged
	}
	model[member] = score
	return Updated
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	hows := []How{0, 0, 0, 0, NX, XX, GT, LT, Incr, Incr | XX, XX | GT, Incr | LT}
	scores := []float64{0, 1, 1, 2.5, -3, 0.1, 1e300, math.Inf(1), math.Inf(-1), 1 << 60, 1 << 63, -1e-9}
	for _, tc := range []struct {
		name       string
		members    int
		entries    int
		reach      int // how many members there are halfway at least, by chance or made so
		begin, end record.Encoding
	}{
		{"small", 40, 1000, 40, record.ListPack, record.ListPack},
		{"grows", 400, 128, 129, record.ListPack, record.SkipList},
		{"large", 2000, 0, 1000, record.SkipList, record.SkipList},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rnd := random.New(t)
			rules := Rules{Entries: tc.entries, Value: 64, Text: testText()}
			var gen cow.Generation
			s, model := New(1, 1, rules, &gen), map[string]float64{}
			var frozen *SortedSet
			var before map[string]float64
			name := func(n int) string {
				if n%3 == 0 {
					return strconv.Itoa(n)
				}
				return "m" + strconv.Itoa(n)
			}
			add := func(step int, member string, score float64, how How) {
				want := added(model, member, score, how)
				f, got := s.Add([]byte(member), score, how, rules, &gen)
				if got != want || (got != Refused && got != NaN && f != model[member]) {
					t.Fatalf("step %d: Add(%s, %v, %d) is %v %d, want %v %d", step, member, score, how, f, got, model[member], want)
				}
			}
			add(0, name(0), 1, 0)
			if s.Encoding() != tc.begin {
				t.Fatalf("begins as %s, want %s", s.Encoding(), tc.begin)
			}
			for step := range 6000 {
				if step == 3000 {
					for n := 0; len(model) < tc.reach; n++ {
						add(step, name(n), scores[n%len(scores)], 0)
					}
				}
				member := name(rnd.IntN(tc.members))
				switch op := rnd.IntN(20); {
				case op < 11:
					score := scores[rnd.IntN(len(scores))]
					if rnd.IntN(3) == 0 {
						score = rnd.NormFloat64()
					}
					add(step, member, score, hows[rnd.IntN(len(hows))])
				case op < 15:
					_, had := model[member]
					if s.Has([]byte(member)) != had || s.Remove([]byte(member)) != had {
						t.Fatalf("step %d: Remove(%s) of a set where that is %v", step, member, had)
					}
					delete(model, member)
				case op < 17:
					if len(model) == 0 {
						continue
					}
					all, max := sorted(model), op == 16
					want := all[0]
					if max {
						want = all[len(all)-1]
					}
					s.Pop(max, func(m Value, score float64) {
						if (item{string(m.AppendTo(nil)), score}) != want {
							t.Fatalf("step %d: Pop gives %s %v, want %v", step, m.AppendTo(nil), score, want)
						}
					})
					delete(model, want.member)
				case op == 17:
					all := sorted(model)
					span := s.RankSpan(rnd.IntN(len(all)+1), rnd.IntN(len(all)+1)-1, false)
					if span.Len() > 5 {
						span.End = span.First + 5
					}
					if s.RemoveSpan(span) != span.Len() {
						t.Fatalf("step %d: RemoveSpan is not %d", step, span.Len())
					}
					for i := span.First; i < span.End; i++ {
						delete(model, all[i].member)
					}
				default:
					score, ok := s.Score([]byte(member))
					if want, had := model[member]; ok != had || score != want {
						t.Fatalf("step %d: Score(%s) is %v %v, want %v", step, member, score, ok, want)
					}
				}
				if step%300 == 299 {
					check(t, fmt.Sprintf("step %d", step), s, model)
					if frozen != nil {
						check(t, "a frozen set", frozen, before)
						gen.Unpin()
						frozen = nil
					} else {
						gen.Pin()
						frozen, before = s, maps.Clone(model)
						s = s.Fork(&gen)
						if s.Stamp() != gen.Current() {
							t.Fatal("a fork bears an old stamp")
						}
					}
				}
			}
			if s.Encoding() != tc.end {
				t.Errorf("ends as %s, want %s", s.Encoding(), tc.end)
			}
			c := s.Clone(&gen)
			for m := range model {
				s.Remove([]byte(m))
			}
			check(t, "emptied", s, nil)
			check(t, "a clone", c, model)
		})
	}
}

// forms calls fn with a set of members in both forms.
func forms(t *testing.T, model map[string]float64, fn func(t *testing.T, s *SortedSet)) {
	var gen cow.Generation
	for _, entries := range []int{1000, 0} {
		rules := Rules{Entries: entries, Value: 100, Text: testText()}
		s := New(1, 1, rules, &gen)
		for m, score := range model {
			s.Add([]byte(m), score, 0, rules, &gen)
		}
		t.Run(s.Encoding().String(), func(t *testing.T) { fn(t, s) })
	}
}

func TestSpans(t *testing.T) {
	inf := math.Inf(1)
	scored := map[string]float64{"a": 1, "b": 2, "c": 2, "d": 3.5, "e": inf, "f": -inf, "7": 2}
	forms(t, scored, func(t *testing.T, s *SortedSet) {
		ends := []float64{-inf, 0, 1, 2, 3, 3.5, inf}
		for _, low := range ends {
			for _, high := range ends {
				for ex := range 4 {
					r := ScoreRange{Min: low, Max: high, MinEx: ex&1 != 0, MaxEx: ex&2 != 0}
					var want []item
					for _, i := range sorted(scored) {
						if r.Contains(i.score) {
							want = append(want, i)
						}
					}
					if got := drain(s.Iter(s.ScoreSpan(r), false)); !slices.Equal(got, want) {
						t.Errorf("%+v: %v, want %v", r, got, want)
					}
				}
			}
		}
	})
	texts := map[string]float64{"": 0, "a": 0, "aa": 0, "b": 0, "5": 0, "50": 0, "z": 0}
	forms(t, texts, func(t *testing.T, s *SortedSet) {
		type end struct {
			kind zset.LexEnd
			text string
		}
		ends := []end{{zset.Lowest, ""}, {zset.Highest, ""}}
		for _, text := range []string{"", "5", "55", "a", "ab", "zz"} {
			ends = append(ends, end{zset.Inclusive, text}, end{zset.Exclusive, text})
		}
		for _, low := range ends {
			for _, high := range ends {
				var want []item
				for _, i := range sorted(texts) {
					c, d := strings.Compare(i.member, low.text), strings.Compare(i.member, high.text)
					if low.kind == zset.Highest || high.kind == zset.Lowest || low.kind == zset.Inclusive && c < 0 ||
						low.kind == zset.Exclusive && c <= 0 || high.kind == zset.Inclusive && d > 0 ||
						high.kind == zset.Exclusive && d >= 0 {
						continue
					}
					want = append(want, i)
				}
				r := LexRange{Min: []byte(low.text), MinEnd: low.kind, Max: []byte(high.text), MaxEnd: high.kind}
				for _, rev := range []bool{false, true} {
					got := drain(s.Iter(s.LexSpan(r, rev), false))
					if !slices.Equal(got, want) {
						t.Errorf("%v to %v: %v, want %v", low, high, got, want)
					}
				}
			}
		}
	})
}

// TestForms follows the form of a set through additions.
func TestForms(t *testing.T) {
	rules := Rules{Entries: 3, Value: 5, Text: testText()}
	for _, tc := range []struct {
		n, length int
		steps     string // "+n" expects n more, "-m" removes
		want      string
	}{
		{1, 1, "a b c a", "listpack listpack listpack listpack"},
		{1, 1, "a b c d -d", "listpack listpack listpack skiplist skiplist"},
		{1, 1, "abcde abcdef", "listpack skiplist"},
		{3, 5, "a", "listpack"},
		{4, 1, "a", "skiplist"},
		{1, 6, "a", "skiplist"},
		{1, 1, "a +3 +4", "listpack listpack skiplist"},
	} {
		var gen cow.Generation
		s := New(tc.n, tc.length, rules, &gen)
		var got []string
		for _, step := range strings.Fields(tc.steps) {
			switch step[0] {
			case '+':
				k, _ := strconv.Atoi(step[1:])
				s.Expect(k, rules, &gen)
			case '-':
				s.Remove([]byte(step[1:]))
			default:
				s.Add([]byte(step), 1, 0, rules, &gen)
			}
			got = append(got, s.Encoding().String())
		}
		if g := strings.Join(got, " "); g != tc.want {
			t.Errorf("of %d, %d: after %s: %s, want %s", tc.n, tc.length, tc.steps, g, tc.want)
		}
		if (s.Listpack() != nil) != (s.Encoding() == record.ListPack) || (s.Large() != nil) != (s.Encoding() == record.SkipList) {
			t.Errorf("%s: the parts of a %s", tc.steps, s.Encoding())
		}
	}
}

func TestBuild(t *testing.T) {
	for _, tc := range []struct {
		n, length int
		want      record.Encoding
	}{{0, 0, record.ListPack}, {5, 3, record.ListPack}, {6, 3, record.SkipList}, {5, 10, record.ListPack}, {5, 11, record.SkipList}} {
		rules := Rules{Entries: 5, Value: 10, Text: testText()}
		var gen cow.Generation
		var recs []*record.Record
		model := map[string]float64{}
		for i := range tc.n {
			member := strings.Repeat("x", tc.length-1) + strconv.Itoa(i)
			model[member] = float64(i*7%3) / 2
			recs = append(recs, record.NewScore([]byte(member), model[member]))
		}
		s := Build(recs, rules, &gen)
		check(t, "built", s, model)
		if s.Encoding() != tc.want {
			t.Errorf("%d members of %d bytes make a %s, want %s", tc.n, tc.length, s.Encoding(), tc.want)
		}
	}
}

// TestPackedBytes holds what a small set looks like: Redis's bytes.
func TestPackedBytes(t *testing.T) {
	var gen cow.Generation
	s := New(1, 1, usual(), &gen)
	for member, score := range map[string]float64{"b": 1.5, "12": 1, "c": math.Inf(1), "a": math.Copysign(0, -1)} {
		s.Add([]byte(member), score, 0, usual(), &gen)
	}
	want := []byte{36, 0, 0, 0, 8, 0,
		0x81, 'a', 2, 0, 1, // -0 is 0
		12, 1, 1, 1,
		0x81, 'b', 2, 0x83, '1', '.', '5', 4,
		0x81, 'c', 2, 0x83, 'i', 'n', 'f', 4,
		0xff}
	want[0] = byte(len(want))
	if !bytes.Equal(s.Listpack(), want) {
		t.Errorf("% x\nwant % x", s.Listpack(), want)
	}
}

func TestRandom(t *testing.T) {
	const draws = 20000
	rnd := rand.New(rand.NewPCG(7, 9))
	for _, n := range []int{1, 7, 20, 200} {
		model := map[string]float64{}
		for i := range n {
			model["m"+strconv.Itoa(i)] = float64(i)
		}
		forms(t, model, func(t *testing.T, s *SortedSet) {
			for _, way := range []string{"Random", "RandomAll", "Sample", "Sample of most"} {
				count := map[string]int{}
				total := 0
				for total < draws {
					k := 1
					distinct := map[string]bool{}
					add := func(m Value, score float64) {
						name := string(m.AppendTo(nil))
						if model[name] != score {
							t.Fatalf("%s: %s with the score %v", way, name, score)
						}
						count[name]++
						distinct[name] = true
					}
					switch way {
					case "Random":
						add(s.Random(rnd.Uint64))
					case "RandomAll":
						k = 10
						s.RandomAll(k, rnd.Uint64, add)
					case "Sample":
						k = max(1, n/4)
						s.Sample(k, rnd.Uint64, add)
					default:
						k = n - n/4
						s.Sample(k, rnd.Uint64, add)
					}
					if way != "RandomAll" && len(distinct) != k {
						t.Fatalf("%s: %d members, want %d", way, len(distinct), k)
					}
					total += k
				}
				mean := float64(total) / float64(n)
				for m, c := range count {
					if d := float64(c) - mean; d*d > 36*mean {
						t.Errorf("%s of %d: %s came %d times, expected %.0f", way, n, m, c, mean)
					}
				}
				if len(count) != n {
					t.Errorf("%s of %d: only %d members came", way, n, len(count))
				}
			}
		})
	}
}

func TestScanMeetsAll(t *testing.T) {
	for _, n := range []int{10, 3000} {
		model := map[string]float64{}
		for i := range n {
			model["m"+strconv.Itoa(i)] = float64(i) / 4
		}
		forms(t, model, func(t *testing.T, s *SortedSet) {
			met := map[string]float64{}
			for cursor := uint64(0); ; {
				cursor = s.Scan(cursor, 10, func(m, packed Value, score float64) {
					if s.Listpack() != nil {
						score = scoreOf(packed)
					}
					met[string(m.AppendTo(nil))] = score
				})
				if cursor == 0 {
					break
				}
			}
			if !maps.Equal(met, model) {
				t.Errorf("%d members met of %d", len(met), n)
			}
		})
	}
}

// TestSnapshotRace lets a goroutine read sets that a snapshot holds while their forks are changed.
func TestSnapshotRace(t *testing.T) {
	var gen cow.Generation
	rules := usual()
	for _, n := range []int{20, 4000} {
		s, model := New(1, 1, rules, &gen), map[string]float64{}
		for i := range n {
			m := "m" + strconv.Itoa(i)
			model[m] = float64(i % 7)
			s.Add([]byte(m), model[m], 0, rules, &gen)
		}
		gen.Pin()
		fork := s.Fork(&gen)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 3 {
				seen := map[string]float64{}
				s.Each(func(m Value, score float64) bool {
					seen[string(m.AppendTo(nil))] = score
					return true
				})
				if !maps.Equal(seen, model) {
					t.Error("the snapshot sees changes")
				}
			}
		})
		for i := range 4 * n {
			m := []byte("m" + strconv.Itoa(i%(2*n)))
			switch i % 4 {
			case 0:
				fork.Remove(m)
			case 1:
				fork.Pop(i%8 == 1, func(Value, float64) {})
			default:
				fork.Add(m, float64(i)/3, 0, rules, &gen)
			}
		}
		wg.Wait()
		gen.Unpin()
	}
}

func TestAllocations(t *testing.T) {
	for _, n := range []int{100, 1000} {
		var gen cow.Generation
		rules := usual()
		s := New(1, 1, rules, &gen)
		for i := range n {
			s.Add([]byte("m"+strconv.Itoa(i)), float64(i), 0, rules, &gen)
		}
		m, other := []byte("m7"), []byte("m50")
		for name, f := range map[string]func(){
			"same score":  func() { s.Add(other, 50, 0, rules, &gen) },
			"same place":  func() { s.Add(m, 7, 0, rules, &gen); s.Add(m, 8-7.0/8, 0, rules, &gen) },
			"other place": func() { s.Add(m, 7.25, 0, rules, &gen); s.Add(m, 71.25, 0, rules, &gen) },
			"Score":       func() { s.Score(m) },
			"Rank":        func() { s.Rank(m, true) },
			"ScoreSpan": func() {
				for it := s.Iter(s.ScoreSpan(ScoreRange{Min: 3, Max: 60}), true); ; {
					if _, _, ok := it.Next(); !ok {
						break
					}
				}
			},
		} {
			f()
			if got := testing.AllocsPerRun(100, f); got != 0 {
				t.Errorf("%d members: %s allocates %v times", n, name, got)
			}
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{10, 128, 100000} {
		var gen cow.Generation
		rules := usual()
		s := New(1, 1, rules, &gen)
		members := make([][]byte, n)
		rnd := rand.New(rand.NewPCG(1, 2))
		for i := range members {
			members[i] = fmt.Appendf(nil, "member:%06d", i)
			s.Add(members[i], rnd.Float64(), 0, rules, &gen)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Add(members[rnd.IntN(n)], rnd.Float64(), 0, rules, &gen)
			}
		})
	}
}
