package list

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// texts returns the list's elements, and fails if two ways of reading it disagree.
func texts(t *testing.T, l *List) []string {
	t.Helper()
	var forth, back []string
	l.Range(0, l.Len(), false, func(v Value) { forth = append(forth, string(v.AppendTo(nil))) })
	l.Range(l.Len()-1, l.Len(), true, func(v Value) { back = append(back, string(v.AppendTo(nil))) })
	slices.Reverse(back)
	if len(forth) != l.Len() || !slices.Equal(forth, back) {
		t.Fatalf("of %d elements %d are read forth and %d back", l.Len(), len(forth), len(back))
	}
	return forth
}

func randomText(rnd *rand.Rand) string {
	switch n := rnd.IntN(40); {
	case n < 15:
		return strconv.Itoa(n - 5)
	case n < 38:
		return strings.Repeat("x", n-15)
	case n == 38:
		return strings.Repeat("long", 100)
	}
	return strings.Repeat("huge", 2000)
}

// positions is what Positions should find.
func positions(model []string, s string, rank, count, maxlen int) (found []int) {
	order := make([]int, len(model))
	for i := range order {
		order[i] = i
	}
	if rank < 0 {
		slices.Reverse(order)
		rank = -rank
	}
	if maxlen > 0 && len(order) > maxlen {
		order = order[:maxlen]
	}
	for _, i := range order {
		if model[i] != s {
			continue
		}
		if rank--; rank <= 0 {
			found = append(found, i)
		}
		if count > 0 && len(found) == count {
			break
		}
	}
	return found
}

// remove is what Remove should leave.
func remove(model []string, s string, count int) []string {
	reverse := count < 0
	if reverse {
		count = -count
		slices.Reverse(model)
	}
	left, removed := []string{}, 0
	for _, m := range model {
		if m == s && (count == 0 || removed < count) {
			removed++
			continue
		}
		left = append(left, m)
	}
	if reverse {
		slices.Reverse(left)
	}
	return left
}

// TestModel compares random operations with a plain slice, some of them while a snapshot holds an older state.
// own returns a list that may be changed.
func own(l *List, gen *cow.Generation) *List {
	if gen.Owns(l.Stamp()) {
		return l
	}
	return l.Fork(gen)
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	for _, fill := range []int{-1, -2, 4, 100} {
		for _, depth := range []int{0, 1} {
			seed := random.Seed(t)
			t.Logf("fill %d, depth %d", fill, depth)
			rnd := rand.New(rand.NewPCG(seed, 1))
			var gen cow.Generation
			rules := Rules{Set: quicklist.NewSettings(&gen), Fill: fill, Depth: depth}
			l, model := New(&gen), []string{}
			var held *List
			var heldTexts []string
			seen := map[record.Encoding]bool{}
			for step := range 3000 {
				if step == 1500 {
					// Large it must have been, whatever chance has made of it so far. A few elements remain.
					for l = own(l, &gen); l.Encoding() != record.QuickList && len(model) < 10_000; model = append(model, "more") {
						l.Grow(len("more"), 1, rules)
						l.Push([]byte("more"), false)
					}
					seen[l.Encoding()] = true
					keep := min(len(model), 30)
					l.Trim(len(model)-keep, 0)
					model = slices.Clone(model[len(model)-keep:])
					l.Shrink(rules)
				}
				if rnd.IntN(50) == 0 {
					if held == nil {
						held, heldTexts = l, slices.Clone(model)
						gen.Pin()
					} else {
						if got := texts(t, held); !slices.Equal(got, heldTexts) {
							t.Fatalf("step %d: what a snapshot holds has changed", step)
						}
						held = nil
						gen.Unpin()
					}
				}
				l = own(l, &gen)
				s := randomText(rnd)
				front := rnd.IntN(2) == 0
				i := 0
				if len(model) > 0 {
					i = rnd.IntN(len(model))
				}
				switch op := rnd.IntN(12); {
				case op < 5 || len(model) == 0:
					l.Grow(len(s), 1, rules)
					l.Push([]byte(s), front)
					if front {
						model = slices.Insert(model, 0, s)
					} else {
						model = append(model, s)
					}
				case op < 7:
					at := len(model) - 1
					if front {
						at = 0
					}
					if got := string(l.Peek(front).AppendTo(nil)); got != model[at] {
						t.Fatalf("step %d: Peek is %q, want %q", step, got, model[at])
					}
					l.Drop(front)
					model = slices.Delete(model, at, at+1)
					l.Shrink(rules)
				case op == 7:
					l.Grow(len(s), 1, rules)
					if !l.Set(i, []byte(s)) || l.Set(len(model), []byte(s)) || l.Set(-len(model)-1, []byte(s)) {
						t.Fatalf("step %d: Set misjudges what is in range", step)
					}
					model[i] = s
					l.Shrink(rules)
				case op == 8:
					l.Grow(len(s), 1, rules)
					pivot := model[i]
					if !l.Insert([]byte(pivot), []byte(s), front) || l.Insert([]byte("none"), []byte(s), front) {
						t.Fatalf("step %d: Insert misjudges what there is", step)
					}
					at := slices.Index(model, pivot)
					if front {
						at++
					}
					model = slices.Insert(model, at, s)
				case op == 9:
					count := rnd.IntN(7) - 3
					was := len(model)
					model = remove(model, s, count)
					if n := l.Remove([]byte(s), count); n != was-len(model) {
						t.Fatalf("step %d: Remove(%q, %d) removed %d, want %d", step, s, count, n, was-len(model))
					}
					l.Shrink(rules)
				case op == 10 && rnd.IntN(8) == 0:
					n := rnd.IntN(len(model) - i + 1)
					l.Trim(i, n)
					model = slices.Clone(model[i : len(model)-n])
					l.Shrink(rules)
				default:
					rank, count, maxlen := 1+rnd.IntN(3), rnd.IntN(3), rnd.IntN(3)*20
					if front {
						rank = -rank
					}
					var got []int
					l.Positions([]byte(s), rank, count, maxlen, func(i int) { got = append(got, i) })
					if want := positions(model, s, rank, count, maxlen); !slices.Equal(got, want) {
						t.Fatalf("step %d: Positions(%q, %d, %d, %d) found %v, want %v", step, s, rank, count, maxlen, got, want)
					}
					if has := slices.Contains(model, s); l.Has([]byte(s)) != has {
						t.Fatalf("step %d: Has(%q) is %v", step, s, !has)
					}
					if v, ok := l.Index(i - len(model)); !ok || string(v.AppendTo(nil)) != model[i] {
						t.Fatalf("step %d: Index(%d) is %q, %v", step, i-len(model), v.AppendTo(nil), ok)
					}
					if c := l.Clone(&gen); !slices.Equal(texts(t, c), model) || c.Encoding() != l.Encoding() {
						t.Fatalf("step %d: a clone differs", step)
					}
				}
				seen[l.Encoding()] = true
				if got := texts(t, l); !slices.Equal(got, model) {
					t.Fatalf("step %d: the list is %.300q, want %.300q", step, got, model)
				}
			}
			if !seen[record.ListPack] || !seen[record.QuickList] {
				t.Errorf("fill %d: only the encodings %v were met", fill, seen)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	var gen cow.Generation
	for _, tc := range []struct {
		fill, element  int
		grows, shrinks int // the length that makes the list large, and that which makes it small again
	}{
		{fill: 4, element: 3, grows: 5, shrinks: 2},
		{fill: 1, element: 3, grows: 2, shrinks: 0},
		{fill: 0, element: 3, grows: 2, shrinks: 0},
		// 4096 bytes: a listpack of n elements has 7+103n, and the next is counted with the 100 of its text.
		{fill: -1, element: 100, grows: 40, shrinks: 19},
	} {
		rules := Rules{Set: quicklist.NewSettings(&gen), Fill: tc.fill}
		l := New(&gen)
		s := []byte(strings.Repeat("e", tc.element))
		for l.Encoding() == record.ListPack && l.Len() < 1000 {
			l.Grow(len(s), 1, rules)
			l.Push(s, false)
		}
		if l.Len() != tc.grows {
			t.Errorf("fill %d: large with %d elements, want %d", tc.fill, l.Len(), tc.grows)
		}
		for l.Encoding() == record.QuickList && l.Len() > 0 {
			l.Drop(false) // so that the first node remains, which was the whole list
			if l.Len() > 0 {
				l.Shrink(rules)
			}
		}
		if l.Len() != tc.shrinks {
			t.Errorf("fill %d: small with %d elements, want %d", tc.fill, l.Len(), tc.shrinks)
		}
	}
}
