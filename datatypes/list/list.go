// Package list is the value of a list key.
//
// # Structure
//
// A small list is one listpack (package listpack), a large one a quicklist (package quicklist): both are the same bytes as in
// an RDB file. Rules has the limits of small lists, and as in Redis 7.2 (src/t_list.c) a list is converted in both
// directions:
//
//   - Before elements are added or replaced, Grow makes a small list large if its listpack, with the texts of the new
//     elements, would pass the bounds of a quicklist's node.
//   - After elements were removed or replaced, Shrink makes a large list small if one node is left that is within half of
//     these bounds, so that a list which is pushed to and popped from at the border is not converted each time.
//
// The owner calls both, because Redis converts at certain moments, which OBJECT ENCODING shows. A large list keeps the fill
// and the compress depth that it was made with.
//
// # Costs
//
// Pushing and popping change one listpack: O(1) in a large list; in a small one they move at most the bytes of a node. Len
// and Size are kept up to date. Only a listpack that grows to the allocator's next size class, a new node and a conversion
// allocate.
//
// # Copy-on-write
//
// A list has the stamp of the generation in which it was made, see package cow. A caller that changes a list must own it or a
// Fork of it. Fork copies the bytes of a small list, and a few words of a large one, whose nodes are copied before their
// first change. Reads change nothing.
//
// Returned slices point into the list and are valid until its next change.
package list

import (
	"math"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/head"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
)

// Value is an element: bytes, or an integer in their place.
type Value = listpack.Value

// Rules has the limits of small lists and the settings of large ones.
type Rules struct {
	Set   *quicklist.Settings
	Fill  int // list-max-listpack-size
	Depth int // list-compress-depth
}

// List is a list. Use New.
type List struct{ head head.Head }

const (
	packed head.Form = iota // a listpack
	nodes                   // a quicklist.List
)

const listSize = int(unsafe.Sizeof(List{}))

// lp returns the listpack of a small list.
func (l *List) lp() listpack.Listpack { return l.head.Listpack() }

func (l *List) setLP(lp listpack.Listpack) { l.head.SetBytes(lp) }

// large returns the large list, nil for a small one.
func (l *List) large() *quicklist.List {
	if l.head.Form() == nodes {
		return (*quicklist.List)(l.head.Data())
	}
	return nil
}

func (l *List) setLarge(q *quicklist.List) { l.head.SetLarge(unsafe.Pointer(q), nodes) }

// newSmall returns a list of the elements of a listpack, which it takes over.
func newSmall(lp listpack.Listpack, gen *cow.Generation) *List {
	l := &List{head.New(gen.Current())}
	l.setLP(lp)
	return l
}

// newLarge returns a large list, which it takes over.
func newLarge(q *quicklist.List, gen *cow.Generation) *List {
	l := &List{head.New(gen.Current())}
	l.setLarge(q)
	return l
}

// New returns an empty list.
func New(gen *cow.Generation) *List {
	return newSmall(listpack.New(0), gen)
}

// Len returns the number of elements.
func (l *List) Len() int {
	if l.large() != nil {
		return l.large().Len()
	}
	return l.lp().Len()
}

// Size returns the bytes that the list holds, as the allocator rounds them.
func (l *List) Size() int {
	if l.large() != nil {
		return mem.SizePtr(listSize) + l.large().Size()
	}
	return mem.SizePtr(listSize) + l.lp().Size()
}

// Encoding returns the encoding for OBJECT ENCODING.
func (l *List) Encoding() record.Encoding {
	if l.large() != nil {
		return record.QuickList
	}
	return record.ListPack
}

// Listpack returns the bytes of a small list, which must only be read; nil for a large one.
func (l *List) Listpack() listpack.Listpack {
	if l.head.Form() != packed {
		return nil
	}
	return l.lp()
}

// Quicklist returns a large list, which must only be read; nil for a small one.
func (l *List) Quicklist() *quicklist.List { return l.large() }

// Stamp returns the generation in which the list was made or forked.
func (l *List) Stamp() uint64 { return l.head.Stamp() }

// Fork returns a list with the same elements, to be changed instead of l, which from then on must only be read. gen is
// pinned.
func (l *List) Fork(gen *cow.Generation) *List {
	if l.large() != nil {
		return newLarge(l.large().Own(), gen)
	}
	return newSmall(l.lp().Clone(), gen)
}

// Clone returns a copy for COPY. It shares no memory with l that is ever written. It costs O(N).
func (l *List) Clone(gen *cow.Generation) *List {
	if l.large() != nil {
		return newLarge(l.large().Clone(), gen)
	}
	return newSmall(l.lp().Clone(), gen)
}

// Grow prepares for elements that are about to be added or to replace others: it makes the list large if n more elements with
// bytes bytes of text would be too much for a small one.
func (l *List) Grow(bytes, n int, rules Rules) {
	if l.large() == nil && quicklist.ExceedsLimit(rules.Fill, len(l.lp())+bytes, l.lp().Len()+n) {
		lp := l.lp()
		if l.head.IsView() {
			lp = lp.Clone()
		}
		l.setLarge(quicklist.FromListpack(rules.Set, rules.Fill, rules.Depth, lp))
	}
}

// Shrink makes a large list small if it has become short enough. Call it after elements were removed or replaced, for a list
// that is not empty.
func (l *List) Shrink(rules Rules) {
	if l.large() == nil {
		return
	}
	if lp, ok := l.large().Listpack(rules.Fill, true); ok {
		l.setLP(lp)
		l.head.SetForm(packed)
	}
}

// Push adds s, which is copied, in front or at the end. Grow has been called for it.
func (l *List) Push(s []byte, front bool) {
	switch {
	case l.large() != nil && front:
		l.large().PushHead(s)
	case l.large() != nil:
		l.large().PushTail(s)
	case front:
		l.setLP(l.lp().Prepend(s))
	default:
		l.setLP(l.lp().Append(s))
	}
}

// Peek returns the first or the last element of a list that is not empty.
func (l *List) Peek(front bool) Value {
	switch {
	case l.large() != nil && front:
		return l.large().Head()
	case l.large() != nil:
		return l.large().Tail()
	case front:
		return l.lp().Get(listpack.HeaderSize)
	}
	return l.lp().Get(l.lp().Last())
}

// Drop removes the first or the last element of a list that is not empty.
func (l *List) Drop(front bool) {
	switch {
	case l.large() != nil && front:
		l.large().DropHead()
	case l.large() != nil:
		l.large().DropTail()
	case front:
		l.setLP(l.lp().Delete(listpack.HeaderSize))
	default:
		l.setLP(l.lp().Delete(l.lp().Last()))
	}
}

// fewDrops is the greatest number of elements that are removed from an end of a quicklist one by one, which moves nothing and
// does not allocate. Removing a range is cheaper for whole nodes.
const fewDrops = 64

// DropMany removes the first or the last n elements, n at most Len.
func (l *List) DropMany(n int, front bool) {
	if l.large() != nil && n <= fewDrops {
		for ; n > 0; n-- {
			l.Drop(front)
		}
		return
	}
	start := 0
	if !front {
		start = l.Len() - n
	}
	if l.large() != nil {
		l.large().DeleteRange(start, n)
		return
	}
	l.setLP(l.lp().DeleteRange(start, n))
}

// Trim removes the first head and the last tail elements, together at most Len.
func (l *List) Trim(head, tail int) {
	if head > 0 {
		l.DropMany(head, true)
	}
	if tail > 0 {
		l.DropMany(tail, false)
	}
}

// Index returns the element at an index, which counts from the end if it is negative. ok is false if there is none.
func (l *List) Index(i int) (v Value, ok bool) {
	if l.large() != nil {
		return l.large().Index(i)
	}
	p := l.lp().Seek(i)
	if p < 0 {
		return Value{}, false
	}
	return l.lp().Get(p), true
}

// Set puts s in the place of the element at an index, which counts from the end if it is negative. It reports whether there is
// such an element. The caller has called Grow for s, and calls Shrink afterwards.
func (l *List) Set(i int, s []byte) bool {
	if l.large() != nil {
		return l.large().Set(i, s)
	}
	p := l.lp().Seek(i)
	if p < 0 {
		return false
	}
	l.setLP(l.lp().Replace(p, s))
	return true
}

// Insert puts s before or behind (after) the first element that equals pivot. It reports whether there is one. Grow has been
// called for s.
func (l *List) Insert(pivot, s []byte, after bool) bool {
	if l.large() != nil {
		return l.large().Insert(pivot, s, after)
	}
	p := l.find(pivot)
	switch {
	case p < 0:
		return false
	case after:
		l.setLP(l.lp().InsertAfter(p, s))
	default:
		l.setLP(l.lp().InsertBefore(p, s))
	}
	return true
}

// Has reports whether an element equals s.
func (l *List) Has(s []byte) bool {
	if l.large() == nil {
		return l.find(s) >= 0
	}
	found := false
	l.large().Positions(s, 1, 1, 0, func(int) bool {
		found = true
		return false
	})
	return found
}

// find returns the position of the first element of a small list that equals s, -1 if there is none.
func (l *List) find(s []byte) int { return l.lp().Find(listpack.HeaderSize, s, 0) }

// Remove removes elements that equal s: the first count of them, the last -count if it is negative, all if it is 0. It
// returns how many it removed.
func (l *List) Remove(s []byte, count int) int {
	if l.large() != nil {
		return l.large().RemoveValue(s, count)
	}
	var room [64]int
	found := room[:0]
	for p := l.find(s); p >= 0; p = l.lp().Find(p, s, 0) {
		found = append(found, p)
		if len(found) == count {
			break
		}
		_, p = l.lp().Read(p)
	}
	if count < 0 && count > math.MinInt && len(found) > -count {
		found = found[len(found)+count:]
	}
	if len(found) > 0 {
		l.setLP(l.lp().DeleteAll(found))
	}
	return len(found)
}

// Positions calls found with the index of each element that equals s, as LPOS searches: from the match number rank on,
// counted from the tail if rank is negative. It stops after count matches (0: no limit) and after maxlen comparisons (0: no
// limit). rank is not 0.
func (l *List) Positions(s []byte, rank, count, maxlen int, found func(index int)) {
	if l.large() != nil {
		l.large().Positions(s, rank, count, maxlen, func(index int) bool {
			found(index)
			return true
		})
		return
	}
	p, index := l.lp().First(), 0
	back := rank < 0
	if back {
		p, index, rank = l.lp().Last(), l.lp().Len()-1, -rank
	}
	matches := 0
	for seen := 0; p >= 0 && (maxlen == 0 || seen < maxlen); seen++ {
		if l.lp().Get(p).Equal(s) {
			if matches++; matches >= rank {
				found(index)
				if count > 0 && matches-rank+1 >= count {
					return
				}
			}
		}
		if back {
			p, index = l.lp().Prev(p), index-1
		} else {
			p, index = l.lp().Next(p), index+1
		}
	}
}

// Range calls fn for n elements from the index start on, towards the tail or, if back, towards the head. All of them must
// exist. fn must not change the list.
func (l *List) Range(start, n int, back bool, fn func(v Value)) {
	if n <= 0 {
		return
	}
	if l.large() != nil {
		var it quicklist.Iter
		if back {
			it = l.large().FromBack(start)
		} else {
			it = l.large().From(start)
		}
		for ; n > 0; n-- {
			v, _ := it.Next()
			fn(v)
		}
		return
	}
	p := l.lp().Seek(start)
	for ; n > 0; n-- {
		v, next := l.lp().Read(p)
		fn(v)
		if back {
			next = l.lp().Prev(p)
		}
		p = next
	}
}
