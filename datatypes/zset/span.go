package zset

import (
	"ferrous/datatypes/btree"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Span is the members with ranks from First to End, End not included. It is valid until the set changes.
type Span struct{ First, End int }

// Len returns the number of members.
func (s Span) Len() int { return max(s.End-s.First, 0) }

// ScoreRange is a range of scores; MinEx and MaxEx exclude the ends themselves.
type ScoreRange struct {
	Min, Max     float64
	MinEx, MaxEx bool
}

// Contains reports whether the range has a score.
func (r *ScoreRange) Contains(score float64) bool {
	return (score > r.Min || score == r.Min && !r.MinEx) && (score < r.Max || score == r.Max && !r.MaxEx)
}

// ScoreSpan returns the members whose scores are in the range.
func (z *ZSet) ScoreSpan(r ScoreRange) Span {
	return Span{z.tree.Below(r.Min, r.MinEx), z.tree.Below(r.Max, !r.MaxEx)}
}

// LexEnd is the kind of an end of a LexRange.
type LexEnd uint8

// The kinds of ends, with their forms in ZRANGEBYLEX.
const (
	Inclusive LexEnd = iota // [member
	Exclusive               // (member
	Lowest                  // -
	Highest                 // +
)

// LexRange is a range of members, for sets in which all scores are equal. Min or Max has no meaning if its end is Lowest or
// Highest.
type LexRange struct {
	Min, Max       []byte
	MinEnd, MaxEnd LexEnd
}

// LexSpan returns the members in the range. If scores differ it returns an arbitrary span.
func (z *ZSet) LexSpan(r LexRange) Span {
	return Span{z.below(r.Min, r.MinEnd, Exclusive), z.below(r.Max, r.MaxEnd, Inclusive)}
}

// below returns the number of members below an end. A member that is equal to the end counts as below if the end is of the
// kind through.
func (z *ZSet) below(member []byte, end, through LexEnd) int {
	switch end {
	case Lowest:
		return 0
	case Highest:
		return z.Len()
	}
	return z.tree.BelowMember(member, end == through)
}

// RankSpan returns the members from start to stop, stop included, as ZRANGE numbers them: negative numbers count from the
// end; if rev, ranks begin at the highest score.
func (z *ZSet) RankSpan(start, stop int, rev bool) Span { return RankSpan(z.Len(), start, stop, rev) }

// RankSpan is ZSet.RankSpan for a set of n members.
func RankSpan(n, start, stop int, rev bool) Span {
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	stop = min(stop, n-1)
	if start > stop {
		return Span{}
	}
	if rev {
		start, stop = n-1-stop, n-1-start
	}
	return Span{start, stop + 1}
}

// Limit returns the part of the span that LIMIT offset count selects, counted from the span's end if rev. A negative count
// selects all, a negative offset none.
func (s Span) Limit(offset, count int, rev bool) Span {
	n := s.Len()
	if offset < 0 || offset >= n {
		return Span{}
	}
	n -= offset
	if count >= 0 && count < n {
		n = count
	}
	if rev {
		return Span{s.End - offset - n, s.End - offset}
	}
	return Span{s.First + offset, s.First + offset + n}
}

// Iter iterates over the members of a span. It allocates nothing. It is valid until the set changes.
type Iter struct {
	cursor btree.Cursor
	left   int
	rev    bool
}

// Iter returns an iterator over a span, in descending order if rev.
func (z *ZSet) Iter(s Span, rev bool) Iter {
	it := Iter{left: s.Len(), rev: rev}
	if it.left > 0 {
		rank := s.First
		if rev {
			rank = s.End - 1
		}
		it.cursor.Seek(&z.tree.View, rank)
	}
	return it
}

// Next returns the next member, nil when all were returned.
func (it *Iter) Next() *record.Record {
	if it.left == 0 {
		return nil
	}
	it.left--
	if it.rev {
		return it.cursor.Prev()
	}
	return it.cursor.Next()
}

// RemoveSpan removes the members of a span and returns their number. fn, if not nil, is called for each, in ascending order;
// it must not use the set.
func (z *ZSet) RemoveSpan(s Span, fn func(*record.Record)) int {
	n := z.Len()
	z.tree.DeleteRange(s.First, s.End, func(r *record.Record) {
		z.table.Delete(table.Hash(r.Key()), r)
		z.records -= r.Size()
		if fn != nil {
			fn(r)
		}
	})
	return n - z.Len()
}
