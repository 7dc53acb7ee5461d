// Package sortedset is the value of a sorted-set key: members with scores, in the order of score and, where scores are
// equal, of the members' bytes.
//
// # Structure
//
// A small sorted set is one listpack (package listpack), member and score alternately in ascending order, the same bytes as
// in an RDB file. A score that is a whole number of up to 2^62 is an integer there, any other the text that Redis prints (see
// Text); so a small set stores -0 as 0. A large one is a zset.ZSet: a hash table and a counted B+ tree of the same records.
// Rules has the limits of small sets; a set that has become large stays large.
//
// # Costs
//
// Len and Size are kept up to date. In a large set finding a member is O(1), changes and ranks are O(log N). In a small one
// everything is linear, but the place of a new last member is found in O(1). A member that keeps its place when its score
// changes is written in place. Changing a score seldom allocates: in a small set if the text of the score becomes longer, in
// a large one as package zset describes.
//
// Commands select a Span of ranks, whose length is known before its members are visited (package zset).
//
// # Copy-on-write
//
// A set has the stamp of the generation in which it was made, see package cow. A caller that changes a set must own it or a
// Fork of it. Fork copies a small set, and of a large one only the array of the table's pages. Segments, nodes and records
// are copied before their first change. Reads change nothing.
//
// Returned members point into the set and are valid until its next change; those of large sets stay valid.
package sortedset

import (
	"bytes"
	"slices"
	"strconv"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/head"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/zset"
)

// Value is a member: bytes, or an integer in their place.
type Value = listpack.Value

// The ranges of package zset.
type (
	Span       = zset.Span
	ScoreRange = zset.ScoreRange
	LexRange   = zset.LexRange
)

// Text formats the scores that small sets store as text. The notation is the one of replies, which belongs to the protocol,
// so the caller passes a function for it. A Text belongs to one goroutine.
type Text struct {
	format func(dst []byte, f float64) []byte
	buf    [32]byte
}

// NewText returns a Text that writes numbers with format, which appends one to a buffer and needs at most 32 bytes.
func NewText(format func(dst []byte, f float64) []byte) *Text { return &Text{format: format} }

// maxExact is the greatest absolute value of whole numbers that are stored as integers.
const maxExact = 1 << 62

// entry returns a score as a listpack stores it. The result is valid until the next call.
func (t *Text) entry(score float64) listpack.Entry {
	if score >= -maxExact && score <= maxExact {
		if n := int64(score); float64(n) == score {
			return listpack.OfInt(n)
		}
	}
	return listpack.Of(t.format(t.buf[:0], score))
}

// scoreOf returns the score that a listpack's element stands for.
func scoreOf(v Value) float64 {
	if v.Str == nil {
		return float64(v.Int)
	}
	f, _ := strconv.ParseFloat(string(v.Str), 64)
	return f
}

// Rules has the limits of small sorted sets.
type Rules struct {
	Entries int // members (zset-max-listpack-entries)
	Value   int // bytes of a member (zset-max-listpack-value)
	Text    *Text
}

// SortedSet is a sorted set. Use New or Build. Scores are any float64 but NaN.
type SortedSet struct{ head head.Head }

const (
	packed head.Form = iota // a listpack
	tree                    // a zset.ZSet
)

const setSize = int(unsafe.Sizeof(SortedSet{}))

// lp returns the listpack of a small set.
func (s *SortedSet) lp() listpack.Listpack { return s.head.Listpack() }

func (s *SortedSet) setLP(lp listpack.Listpack) { s.head.SetBytes(lp) }

// large returns the large set, nil for a small one.
func (s *SortedSet) large() *zset.ZSet {
	if s.head.Form() == tree {
		return (*zset.ZSet)(s.head.Data())
	}
	return nil
}

// newSmall returns a set of a listpack, which it takes over.
func newSmall(lp listpack.Listpack, gen *cow.Generation) *SortedSet {
	s := &SortedSet{head.New(gen.Current())}
	s.setLP(lp)
	return s
}

// newLarge returns a large set, which it takes over.
func newLarge(z *zset.ZSet, gen *cow.Generation) *SortedSet {
	s := &SortedSet{head.New(gen.Current())}
	s.head.SetLarge(unsafe.Pointer(z), tree)
	return s
}

// New returns an empty set in the form for n members, the first of which has length bytes.
func New(n, length int, rules Rules, gen *cow.Generation) *SortedSet {
	if n <= rules.Entries && length <= rules.Value {
		return newSmall(listpack.New(0), gen)
	}
	return newLarge(zset.New(gen), gen)
}

// Build returns a set of records made with record.NewScore, which are all different. It may keep recs and changes its order.
// The set is small if the rules allow it.
func Build(recs []*record.Record, rules Rules, gen *cow.Generation) *SortedSet {
	fits, sum := len(recs) <= rules.Entries, 0
	for _, r := range recs {
		n := len(r.Key())
		fits = fits && n <= rules.Value
		sum += n
	}
	if !fits || !listpack.New(0).SafeToAdd(sum) {
		z, err := zset.Build(gen, recs)
		if err != nil {
			panic("sortedset: members to build from are not different")
		}
		return newLarge(z, gen)
	}
	slices.SortFunc(recs, zset.Compare)
	lp := listpack.New(listpack.Overhead + sum + 4*len(recs))
	for _, r := range recs {
		lp = appendPair(lp, r.Key(), r.Score(), rules.Text)
	}
	return newSmall(lp.ShrinkToFit(), gen)
}

func appendPair(lp listpack.Listpack, member []byte, score float64, text *Text) listpack.Listpack {
	pair := [2]listpack.Entry{listpack.Of(member), text.entry(score)}
	return lp.InsertAll(lp.End(), pair[:])
}

// Len returns the number of members.
func (s *SortedSet) Len() int {
	if s.large() != nil {
		return s.large().Len()
	}
	return s.lp().Len() / 2
}

// Size returns the bytes that the set holds, as the allocator rounds them.
func (s *SortedSet) Size() int {
	if s.large() != nil {
		return mem.SizePtr(setSize) + s.large().Size()
	}
	return mem.SizePtr(setSize) + s.lp().Size()
}

// Encoding returns the encoding for OBJECT ENCODING.
func (s *SortedSet) Encoding() record.Encoding {
	if s.large() != nil {
		return record.SkipList
	}
	return record.ListPack
}

// Listpack returns the bytes of a small set, which must only be read; nil for a large one.
func (s *SortedSet) Listpack() listpack.Listpack {
	if s.head.Form() != packed {
		return nil
	}
	return s.lp()
}

// Large returns a large set, which must only be read; nil for a small one.
func (s *SortedSet) Large() *zset.ZSet { return s.large() }

// Stamp returns the generation in which the set was made or forked.
func (s *SortedSet) Stamp() uint64 { return s.head.Stamp() }

// Fork returns a set with the same members, to be changed instead of s, which from then on must only be read. gen is pinned.
func (s *SortedSet) Fork(gen *cow.Generation) *SortedSet {
	if s.large() != nil {
		return newLarge(s.large().Fork(), gen)
	}
	return newSmall(s.lp().Clone(), gen)
}

// Clone returns a copy for COPY. It shares no memory with s that is ever written. It costs O(N).
func (s *SortedSet) Clone(gen *cow.Generation) *SortedSet {
	if s.large() != nil {
		return newLarge(s.large().Clone(), gen)
	}
	return newSmall(s.lp().Clone(), gen)
}

// Expect prepares an existing set for n more members. As in Redis, the set becomes large if n alone is more than a small set
// may have.
func (s *SortedSet) Expect(n int, rules Rules, gen *cow.Generation) {
	if s.large() == nil && n > rules.Entries {
		s.grow(gen)
	}
}

// grow makes a small set large.
func (s *SortedSet) grow(gen *cow.Generation) {
	recs := make([]*record.Record, 0, s.Len()+1)
	var buf [20]byte
	for p := listpack.HeaderSize; p != s.lp().End(); {
		var member, score Value
		member, p = s.lp().Read(p)
		score, p = s.lp().Read(p)
		recs = append(recs, record.NewScore(text(member, buf[:0]), scoreOf(score)))
	}
	z, err := zset.Build(gen, recs)
	if err != nil {
		panic("sortedset: a listpack has a member twice")
	}
	s.head.SetLarge(unsafe.Pointer(z), tree)
}

// text returns the bytes of v, an integer's appended to buf.
func text(v Value, buf []byte) []byte {
	if v.Str != nil {
		return v.Str
	}
	return v.AppendTo(buf)
}

// compare returns the order of a member of a listpack and another one.
func compare(v Value, member []byte) int {
	var buf [20]byte
	return bytes.Compare(text(v, buf[:0]), member)
}

// How has the options of Add.
type How uint8

// The options of ZADD, to be combined.
const (
	NX   How = 1 << iota // do not change an existing member
	XX                   // do not add a missing member
	GT                   // change a score only to a greater one
	LT                   // change a score only to a lower one
	Incr                 // add to the score that the member has
)

// Outcome is what Add did.
type Outcome uint8

// The outcomes of Add.
const (
	Refused   Outcome = iota // How forbade it
	Unchanged                // the member had this score
	Added
	Updated
	NaN // the sum would be NaN; nothing was changed
)

// decide returns the new score of a member with the score old.
func decide(old, score float64, how How) (float64, Outcome) {
	if how&NX != 0 {
		return old, Refused
	}
	if how&Incr != 0 {
		if score += old; score != score {
			return old, NaN
		}
	}
	switch {
	case how&LT != 0 && score >= old, how&GT != 0 && score <= old:
		return old, Refused
	case score == old:
		return score, Unchanged
	}
	return score, Updated
}

// Add sets the score of a member, and adds the member, which is copied, if it is missing. It returns the member's new score,
// which has no meaning if the Outcome is Refused or NaN.
func (s *SortedSet) Add(member []byte, score float64, how How, rules Rules, gen *cow.Generation) (float64, Outcome) {
	if s.large() == nil {
		p := s.lp().Find(listpack.HeaderSize, member, 1)
		if p >= 0 {
			score, done := decide(scoreOf(s.lp().Get(s.lp().Next(p))), score, how)
			if done == Updated {
				s.update(p, member, score, rules.Text)
			}
			return score, done
		}
		if how&XX != 0 {
			return 0, Refused
		}
		if s.Len() < rules.Entries && len(member) <= rules.Value && s.lp().SafeToAdd(len(member)) {
			s.insert(member, score, rules.Text)
			return score, Added
		}
		s.grow(gen)
	}
	e := s.large().Find(member)
	if e.Record == nil {
		if how&XX != 0 {
			return 0, Refused
		}
		s.large().Insert(e, member, score)
		return score, Added
	}
	score, done := decide(e.Record.Score(), score, how)
	if done == Updated {
		s.large().Update(e, score)
	}
	return score, done
}

// place returns the position in the listpack for a member with a score: that of the first member behind it. It ignores the
// member at position but.
func (s *SortedSet) place(member []byte, score float64, but int) int {
	lp := s.lp()
	if last := lp.Last(); last >= 0 {
		// Members added in ascending order belong at the end.
		p := lp.Prev(last)
		if p != but && before(scoreOf(lp.Get(last)), lp.Get(p), score, member) {
			return lp.End()
		}
	}
	for p := listpack.HeaderSize; p != lp.End(); {
		m, q := lp.Read(p)
		v, next := lp.Read(q)
		if p != but && !before(scoreOf(v), m, score, member) {
			return p
		}
		p = next
	}
	return lp.End()
}

// before reports whether a member of a listpack with its score comes before another.
func before(s float64, m Value, score float64, member []byte) bool {
	return s < score || s == score && compare(m, member) < 0
}

// insert adds a missing member to a small set.
func (s *SortedSet) insert(member []byte, score float64, text *Text) {
	pair := [2]listpack.Entry{listpack.Of(member), text.entry(score)}
	s.setLP(s.lp().InsertAll(s.place(member, score, -1), pair[:]))
}

// update gives the member at position p of a small set another score.
func (s *SortedSet) update(p int, member []byte, score float64, text *Text) {
	q := s.lp().Next(p)
	behind := q + s.lp().EntrySize(q)
	to := s.place(member, score, p)
	if to == behind {
		s.setLP(s.lp().ReplaceEntry(q, text.entry(score)))
		return
	}
	if to > p {
		to -= behind - p
	}
	s.setLP(s.lp().DeleteFrom(p, 2))
	pair := [2]listpack.Entry{listpack.Of(member), text.entry(score)}
	s.setLP(s.lp().InsertAll(to, pair[:]))
}

// Remove removes a member and reports whether it existed.
func (s *SortedSet) Remove(member []byte) bool {
	if s.large() != nil {
		return s.large().Remove(member)
	}
	p := s.lp().Find(listpack.HeaderSize, member, 1)
	if p < 0 {
		return false
	}
	s.setLP(s.lp().DeleteFrom(p, 2))
	return true
}

// Has reports whether there is such a member.
func (s *SortedSet) Has(member []byte) bool {
	if s.large() != nil {
		return s.large().Find(member).Record != nil
	}
	return s.lp().Find(listpack.HeaderSize, member, 1) >= 0
}

// Score returns the score of a member.
func (s *SortedSet) Score(member []byte) (score float64, ok bool) {
	if s.large() != nil {
		return s.large().Score(member)
	}
	p := s.lp().Find(listpack.HeaderSize, member, 1)
	if p < 0 {
		return 0, false
	}
	return scoreOf(s.lp().Get(s.lp().Next(p))), true
}

// Rank returns the number of members before this one, or behind it if rev, and its score.
func (s *SortedSet) Rank(member []byte, rev bool) (rank int, score float64, ok bool) {
	switch {
	case s.large() != nil && rev:
		return s.large().RevRank(member)
	case s.large() != nil:
		return s.large().Rank(member)
	}
	for p := listpack.HeaderSize; p != s.lp().End(); rank++ {
		m, q := s.lp().Read(p)
		if m.Equal(member) {
			if rev {
				rank = s.Len() - 1 - rank
			}
			return rank, scoreOf(s.lp().Get(q)), true
		}
		p = s.lp().Next(q)
		if p < 0 {
			break
		}
	}
	return 0, 0, false
}

// Pop removes the first member of a set that is not empty, or the last if max. It calls fn with the member and its score
// before it removes it.
func (s *SortedSet) Pop(max bool, fn func(Value, float64)) {
	if s.large() != nil {
		var r *record.Record
		if max {
			r = s.large().PopMax()
		} else {
			r = s.large().PopMin()
		}
		fn(Value{Str: r.Key()}, r.Score())
		return
	}
	p := listpack.HeaderSize
	if max {
		p = s.lp().Prev(s.lp().Last())
	}
	m, q := s.lp().Read(p)
	fn(m, scoreOf(s.lp().Get(q)))
	s.setLP(s.lp().DeleteFrom(p, 2))
}

// Scan calls fn for some members, about count, with their scores (of a small set as the element packed of the listpack, of a
// large one as the number score). It returns the cursor of the next call, 0 at the end; for a small set it calls fn for all
// members. A member that stays in the set during a whole scan is returned, perhaps more than once. fn must not change the
// set.
func (s *SortedSet) Scan(cursor uint64, count int, fn func(member, packed Value, score float64)) uint64 {
	if s.large() != nil {
		return s.large().Scan(cursor, count, func(r *record.Record) { fn(Value{Str: r.Key()}, Value{}, r.Score()) })
	}
	for p := listpack.HeaderSize; p != s.lp().End(); {
		var member, score Value
		member, p = s.lp().Read(p)
		score, p = s.lp().Read(p)
		fn(member, score, 0)
	}
	return 0
}
