package keys

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"ferrous/tests/random"
)

// sortAll against sorting by comparing: whole numbers, fractions, few different ones, equal ones, both signs, both directions.
func TestSortAll(t *testing.T) { random.Repeat(t, testSortAll) }

func testSortAll(t *testing.T) {
	rnd := random.New(t)
	draws := map[string]func() uint64{
		"bits":     rnd.Uint64,
		"ints":     func() uint64 { return numberKey(float64(rnd.IntN(2000) - 1000)) },
		"floats":   func() uint64 { return numberKey(rnd.NormFloat64()) },
		"few":      func() uint64 { return numberKey(float64(rnd.IntN(3))) },
		"one":      func() uint64 { return numberKey(7) },
		"infinite": func() uint64 { return numberKey(math.Inf(rnd.IntN(2)*2 - 1)) },
		"texts":    func() uint64 { return textKey([]byte{byte(rnd.IntN(4)), byte(rnd.IntN(256)), 'x'}) },
	}
	for name, draw := range draws {
		for _, n := range []int{1, 2, fewRanks - 1, fewRanks, fewRanks + 1, 1000 + rnd.IntN(5000)} {
			for _, desc := range []bool{false, true} {
				ranks := make([]sortRank, n)
				ties := make([]int, n) // what the rest of the sort key says
				for i := range ranks {
					ranks[i] = sortRank{draw(), i}
					ties[i] = rnd.IntN(3)
				}
				sign := 1
				if desc {
					sign = -1
				}
				compare := func(a, b sortRank) int {
					return cmp.Or(sign*cmp.Compare(a.key, b.key), sign*cmp.Compare(ties[a.at], ties[b.at]), a.at-b.at)
				}
				want := slices.Clone(ranks)
				slices.SortStableFunc(want, compare)
				if sortAll(ranks, desc, compare); !slices.Equal(ranks, want) {
					t.Fatalf("%s, %d ranks, descending %v: wrong order", name, n, desc)
				}
			}
		}
	}
}

func BenchmarkSortAll(b *testing.B) {
	const n = 1_000_000
	rnd := random.New(b)
	fresh := make([]sortRank, n)
	for i := range fresh {
		fresh[i] = sortRank{numberKey(float64(rnd.IntN(n))), i}
	}
	compare := func(a, b sortRank) int { return cmp.Or(cmp.Compare(a.key, b.key), a.at-b.at) }
	for name, sort := range map[string]func(r []sortRank){
		"radix":     func(r []sortRank) { sortAll(r, false, compare) },
		"comparing": func(r []sortRank) { slices.SortFunc(r, compare) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				sort(slices.Clone(fresh))
			}
		})
	}
}
