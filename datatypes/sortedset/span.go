package sortedset

import (
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/zset"
)

// RankSpan returns the members from start to stop, stop included, as ZRANGE numbers them: negative numbers count from the
// end; if rev, ranks begin at the highest score.
func (s *SortedSet) RankSpan(start, stop int, rev bool) Span {
	return zset.RankSpan(s.Len(), start, stop, rev)
}

// All returns all members.
func (s *SortedSet) All() Span { return Span{End: s.Len()} }

// ScoreSpan returns the members whose scores are in the range.
func (s *SortedSet) ScoreSpan(r ScoreRange) Span {
	if s.large() != nil {
		return s.large().ScoreSpan(r)
	}
	return s.packedSpan(func(_ Value, packed Value) (behindMin, beforeMax bool) {
		score := scoreOf(packed)
		return score > r.Min || score == r.Min && !r.MinEx, score < r.Max || score == r.Max && !r.MaxEx
	})
}

// LexSpan returns the members in the range. If scores differ the range is not defined: a small set returns the span that
// Redis returns, which depends on the direction (rev), a large one an arbitrary span.
func (s *SortedSet) LexSpan(r LexRange, rev bool) Span {
	if s.large() != nil {
		n := s.large().Len()
		if n == 0 || !lexBehind(Value{Str: s.large().At(n - 1).Key()}, &r) || !lexBefore(Value{Str: s.large().At(0).Key()}, &r) {
			return Span{}
		}
		return s.large().LexSpan(r)
	}
	last := s.lp().Last()
	if last < 0 || !lexBehind(s.lp().Get(s.lp().Prev(last)), &r) || !lexBefore(s.lp().Get(listpack.HeaderSize), &r) {
		return Span{}
	}
	if rev {
		return s.lexSpanBack(&r)
	}
	return s.packedSpan(func(member, _ Value) (behindMin, beforeMax bool) { return lexBehind(member, &r), lexBefore(member, &r) })
}

// lexBehind reports whether a member is not below the range.
func lexBehind(member Value, r *LexRange) bool {
	switch r.MinEnd {
	case zset.Lowest:
		return true
	case zset.Inclusive:
		return compare(member, r.Min) >= 0
	case zset.Exclusive:
		return compare(member, r.Min) > 0
	}
	return false
}

// lexBefore reports whether a member is not above the range.
func lexBefore(member Value, r *LexRange) bool {
	switch r.MaxEnd {
	case zset.Highest:
		return true
	case zset.Inclusive:
		return compare(member, r.Max) <= 0
	case zset.Exclusive:
		return compare(member, r.Max) < 0
	}
	return false
}

// packedSpan returns a span of a small set: it begins with the first member that is behind the minimum and ends before the
// first one that is not before the maximum.
func (s *SortedSet) packedSpan(in func(member, score Value) (behindMin, beforeMax bool)) Span {
	first, rank := -1, 0
	for p := listpack.HeaderSize; p != s.lp().End(); rank++ {
		var member, score Value
		member, p = s.lp().Read(p)
		score, p = s.lp().Read(p)
		behindMin, beforeMax := in(member, score)
		if first < 0 && behindMin {
			first = rank
		}
		if first >= 0 && !beforeMax {
			break
		}
	}
	if first < 0 {
		return Span{}
	}
	return Span{First: first, End: rank}
}

// lexSpanBack returns a span of a small set, searched from the end: it ends with the last member that is not above the range
// and begins behind the next one, backwards, that is below it.
func (s *SortedSet) lexSpanBack(r *LexRange) Span {
	end, rank := -1, s.Len()
	for p := s.lp().Last(); p >= 0; p = s.lp().Prev(p) {
		p = s.lp().Prev(p)
		member := s.lp().Get(p)
		if end < 0 && lexBefore(member, r) {
			end = rank
		}
		if end >= 0 && !lexBehind(member, r) {
			break
		}
		rank--
	}
	if end < 0 {
		return Span{}
	}
	return Span{First: rank, End: end}
}

// RemoveSpan removes the members of a span and returns their number.
func (s *SortedSet) RemoveSpan(span Span) int {
	if s.large() != nil {
		return s.large().RemoveSpan(span, nil)
	}
	n := span.Len()
	if n > 0 {
		s.setLP(s.lp().DeleteRange(2*span.First, 2*n))
	}
	return n
}

// Iter iterates over the members of a span. It allocates nothing. It is valid until the set changes.
type Iter struct {
	lp    listpack.Listpack
	p     int // of the next member; behind the last one or -1 when there is none
	left  int // members of a small set
	rev   bool
	large zset.Iter
}

// Iter returns an iterator over a span, in descending order if rev.
func (s *SortedSet) Iter(span Span, rev bool) Iter {
	if s.large() != nil {
		return Iter{large: s.large().Iter(span, rev)}
	}
	it := Iter{lp: s.lp(), left: span.Len(), rev: rev}
	if it.left > 0 {
		rank := span.First
		if rev {
			rank = span.End - 1
		}
		it.p = s.lp().Seek(2 * rank)
	}
	return it
}

// Next returns the next member and its score; ok is false when all were returned.
func (it *Iter) Next() (member Value, score float64, ok bool) {
	if it.lp == nil {
		r := it.large.Next()
		if r == nil {
			return Value{}, 0, false
		}
		return Value{Str: r.Key()}, r.Score(), true
	}
	if it.left == 0 {
		return Value{}, 0, false
	}
	it.left--
	member, q := it.lp.Read(it.p)
	packed, next := it.lp.Read(q)
	if !it.rev {
		it.p = next
	} else if it.left > 0 {
		it.p = it.lp.Prev(it.lp.Prev(it.p))
	}
	return member, scoreOf(packed), true
}

// Each calls fn for every member in ascending order until it returns false. fn must not change the set.
func (s *SortedSet) Each(fn func(member Value, score float64) bool) {
	if s.large() != nil {
		s.large().Each(func(r *record.Record) bool { return fn(Value{Str: r.Key()}, r.Score()) })
		return
	}
	for p := listpack.HeaderSize; p != s.lp().End(); {
		var member, score Value
		member, p = s.lp().Read(p)
		score, p = s.lp().Read(p)
		if !fn(member, scoreOf(score)) {
			return
		}
	}
}

// Random returns a member of a set that is not empty, all with the same probability, and its score. rnd returns random bits.
func (s *SortedSet) Random(rnd func() uint64) (Value, float64) {
	if s.large() != nil {
		r := s.large().Random(rnd)
		return Value{Str: r.Key()}, r.Score()
	}
	m, q := s.lp().Read(s.lp().Seek(2 * int(rnd()%uint64(s.Len()))))
	return m, scoreOf(s.lp().Get(q))
}

// sparse is the least ratio of existing to wanted members at which drawing members one by one is cheaper than iterating over
// all.
const sparse = 3

// Sample calls fn for n different random members, n at most Len; every set of n members has the same probability. Their order
// is not random.
func (s *SortedSet) Sample(n int, rnd func() uint64, fn func(Value, float64)) {
	if n == 0 {
		return
	}
	if s.large() != nil && n <= s.large().Len()/sparse {
		seen := make(map[*record.Record]struct{}, n)
		for len(seen) < n {
			r := s.large().Random(rnd)
			if _, twice := seen[r]; !twice {
				seen[r] = struct{}{}
				fn(Value{Str: r.Key()}, r.Score())
			}
		}
		return
	}
	left := s.Len()
	s.Each(func(member Value, score float64) bool {
		// Of the members that are left, n are wanted.
		if rnd()%uint64(left) < uint64(n) {
			fn(member, score)
			n--
		}
		left--
		return n > 0
	})
}

// RandomAll calls fn for n random members, drawn independently of each other. It iterates over a small set once, not n times.
func (s *SortedSet) RandomAll(n int, rnd func() uint64, fn func(Value, float64)) {
	if s.large() != nil || n < sparse {
		for ; n > 0; n-- {
			fn(s.Random(rnd))
		}
		return
	}
	at := make([]int, 0, s.Len())
	for p := listpack.HeaderSize; p != s.lp().End(); {
		at = append(at, p)
		_, p = s.lp().Read(p)
		_, p = s.lp().Read(p)
	}
	for ; n > 0; n-- {
		m, q := s.lp().Read(at[rnd()%uint64(len(at))])
		fn(m, scoreOf(s.lp().Get(q)))
	}
}
