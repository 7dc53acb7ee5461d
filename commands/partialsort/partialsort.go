// Package partialsort sorts a part of a slice: what would stand at some places if all of it were sorted, at the cost of
// finding that part.
//
// It is quicksort (Bentley and McIlroy, "Engineering a Sort Function", 1993) that leaves alone what lies outside the
// places asked for. SORT … BY … LIMIT and geo searches with COUNT use it. Elements that compare as equal end up in an
// order that follows from the exact steps of the algorithm, and clients see it; so the choice of the pivot, the exchanges
// and the size from which insertion takes over are those of the paper, which Redis (src/pqsort.c of 7.2) follows too.
//
// As in Redis, an input that is made for the purpose costs quadratic time.
package partialsort

// Fewer elements than few are sorted by insertion; for more than many the pivot is the median of three medians, as in BSD's qsort.
const (
	few  = 7
	many = 40
)

// Sort exchanges elements of s so that those at the indexes first to last, both included, are what they would be if s
// were sorted by cmp, which returns a negative number, 0 or a positive number like bytes.Compare. The others come before or
// behind them accordingly, in any order.
func Sort[T any](s []T, cmp func(a, b T) int, first, last int) {
	(&sorter[T]{s, cmp, first, last}).sort(0, len(s))
}

type sorter[T any] struct {
	s           []T
	cmp         func(a, b T) int
	first, last int
}

func (q *sorter[T]) compare(i, j int) int { return q.cmp(q.s[i], q.s[j]) }

func (q *sorter[T]) swap(i, j int) { q.s[i], q.s[j] = q.s[j], q.s[i] }

// swapRanges exchanges n elements from i on with those from j on.
func (q *sorter[T]) swapRanges(i, j, n int) {
	for k := range n {
		q.swap(i+k, j+k)
	}
}

// median returns which of three elements is in the middle.
func (q *sorter[T]) median(a, b, c int) int {
	if q.compare(a, b) < 0 {
		switch {
		case q.compare(b, c) < 0:
			return b
		case q.compare(a, c) < 0:
			return c
		}
		return a
	}
	switch {
	case q.compare(b, c) > 0:
		return b
	case q.compare(a, c) < 0:
		return a
	}
	return c
}

// pivot chooses an element of the n from lo on, n at least few.
func (q *sorter[T]) pivot(lo, n int) int {
	mid := lo + n/2
	if n == few {
		return mid
	}
	left, right := lo, lo+n-1
	if n > many {
		d := n / 8
		left = q.median(left, left+d, left+2*d)
		mid = q.median(mid-d, mid, mid+d)
		right = q.median(right-2*d, right-d, right)
	}
	return q.median(left, mid, right)
}

// wanted reports whether any of n elements from lo on is.
func (q *sorter[T]) wanted(lo, n int) bool { return q.last >= lo && q.first < lo+n }

// sort does Sort's work for the n elements from lo on.
func (q *sorter[T]) sort(lo, n int) {
	for n >= few {
		// The pivot stands first. What equals it is gathered at both ends meanwhile: [lo, eqLeft) and (eqRight, hi] are
		// equal, [eqLeft, i) are smaller, (j, eqRight] are larger.
		q.swap(lo, q.pivot(lo, n))
		hi := lo + n - 1
		eqLeft, i, j, eqRight := lo+1, lo+1, hi, hi
		for {
			for ; i <= j; i++ {
				c := q.compare(i, lo)
				if c > 0 {
					break
				}
				if c == 0 {
					q.swap(eqLeft, i)
					eqLeft++
				}
			}
			for ; i <= j; j-- {
				c := q.compare(j, lo)
				if c < 0 {
					break
				}
				if c == 0 {
					q.swap(j, eqRight)
					eqRight--
				}
			}
			if i > j {
				break
			}
			q.swap(i, j)
			i++
			j--
		}
		// The equal ones go to the middle.
		smaller, larger := i-eqLeft, eqRight-j
		r := min(eqLeft-lo, smaller)
		q.swapRanges(lo, i-r, r)
		r = min(larger, hi-eqRight)
		q.swapRanges(i, hi+1-r, r)
		if smaller > 1 && q.wanted(lo, smaller) {
			q.sort(lo, smaller)
		}
		lo, n = hi+1-larger, larger
		if n <= 1 || !q.wanted(lo, n) {
			return
		}
	}
	for i := lo + 1; i < lo+n; i++ {
		for j := i; j > lo && q.compare(j-1, j) > 0; j-- {
			q.swap(j, j-1)
		}
	}
}
