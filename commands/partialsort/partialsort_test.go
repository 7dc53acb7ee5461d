package partialsort

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"ferrous/tests/random"
)

func ints(a, b int) int { return cmp.Compare(a, b) }

// Random slices of all shapes against a full sort: the part asked for is the same, and nothing is lost elsewhere.
func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	r := random.New(t)
	for range 3000 {
		n := r.IntN(200)
		if r.IntN(50) == 0 {
			n = 3000
		}
		s := make([]int, n)
		distinct := 1 + r.IntN(2*n+1)
		for i := range s {
			s[i] = r.IntN(distinct)
		}
		switch r.IntN(4) {
		case 0:
			slices.Sort(s)
		case 1:
			slices.Sort(s)
			slices.Reverse(s)
		}
		want := slices.Sorted(slices.Values(s))
		first, last := 0, n-1
		if n > 0 && r.IntN(3) > 0 {
			first = r.IntN(n)
			last = first + r.IntN(n-first)
		}
		Sort(s, ints, first, last)
		if n > 0 && !slices.Equal(s[first:last+1], want[first:last+1]) {
			t.Fatalf("%d to %d of %v, want %v", first, last, s, want)
		}
		for i := range s {
			if n > 0 && (i < first && s[i] > s[first] || i > last && s[i] < s[last]) {
				t.Fatalf("%d at %d is on the wrong side of %d to %d", s[i], i, first, last)
			}
		}
		slices.Sort(s)
		if !slices.Equal(s, want) {
			t.Fatalf("elements were lost: %v, want %v", s, want)
		}
	}
}

// A small part of many elements costs a few comparisons an element.
func TestComparisons(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := make([]int, 100_000)
	for i := range s {
		s[i] = r.IntN(1 << 40)
	}
	n := 0
	Sort(s, func(a, b int) int { n++; return ints(a, b) }, 0, 9)
	if n > 5*len(s) {
		t.Errorf("%d comparisons for ten of %d", n, len(s))
	}
}

func BenchmarkTen(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	from := make([]int, 100_000)
	for i := range from {
		from[i] = r.IntN(1 << 40)
	}
	s := make([]int, len(from))
	for b.Loop() {
		copy(s, from)
		Sort(s, ints, 0, 9)
	}
}
