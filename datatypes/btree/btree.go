// Package btree is the ordered half of a large sorted set: a counted B+ tree of records (package record, encoding
// Score) in the order of their scores and, where scores are equal, of their members' bytes. It is copy-on-write, so that
// a snapshot takes constant time and another goroutine can read it while the owner changes the tree.
//
// # Structure
//
// All items are in leaves at the same depth. A leaf is 1 KiB: up to 82 pointers to records, and beside each pointer a code of
// four bytes that stands for the record's score, so that a search does not have to read the records (they are spread over the
// memory, and each read is a cache miss). A leaf's codes count steps of 2^shift from base in the order of scores (see order);
// a score out of their range gets the lowest or highest code. So a lower score never has the higher code, and a search reads
// the records only where codes are equal. The range leaves room on both sides of the leaf's scores. It is chosen again when
// an item falls outside of it, or when the leaf splits and its scores fill only a small part of the range.
//
// An inner node is 1 KiB too: up to 31 children, and for each of them the number of items below it and its least item
// with its score. The least item is exact, never one that was removed, so the tree keeps no removed record alive. The counts
// give ranks: two descents turn a range of scores or members into a range of ranks.
//
// # Balance
//
// A leaf that is full gives items to a neighbour that is at most seven eighths full; otherwise it splits. (One million items
// inserted in random order take 15.9 bytes each, after random changes of their scores 17.3; a bare pointer is 8.) At either
// end of the tree a split leaves the full leaf full, so that items inserted in ascending or descending order fill their
// leaves completely. A node that has lost items is merged with a neighbour of the same parent when both together fill at most
// three quarters; a node without items is removed. There is no lower limit otherwise.
//
// # Copy-on-write
//
// Each node has the stamp of the generation in which it was made (package cow). While a snapshot is held, a change copies the
// older nodes on its path (a few KiB), since the snapshot can reach them. A View is the root of the tree at one moment.
// Records belong to the caller: one that a View can reach is replaced by Update, not written.
//
// A Tree belongs to one goroutine. A View taken with Snapshot may be read by any until the generation is unpinned.
package btree

import (
	"bytes"
	"math"
	"math/bits"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

const (
	leafItems  = 82 // with its type word a leaf fills the class of 1024 bytes
	innerItems = 31 // so does an inner node
	maxHeight  = 12 // nodes of one parent have at least a dozen children on average, see Balance
)

// leaf holds items in order. Items beyond n are nil, codes beyond n are undefined.
type leaf struct {
	stamp uint64
	base  uint64 // order of the score that is the first step
	n     int16
	shift uint8
	code  [leafItems]uint32
	item  [leafItems]*record.Record
}

// inner holds the children in order: *leaf in the lowest row, else *inner.
type inner struct {
	stamp uint64
	n     int
	child [innerItems]unsafe.Pointer
	least [innerItems]*record.Record
	score [innerItems]float64 // of least
	count [innerItems]int
}

var (
	leafSize  = mem.SizePtr(int(unsafe.Sizeof(leaf{})))
	innerSize = mem.SizePtr(int(unsafe.Sizeof(inner{})))
)

// order maps scores to integers of the same order; the two zeros are equal.
func order(score float64) uint64 {
	b := math.Float64bits(score + 0) // -0 + 0 is 0
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// less reports whether r comes before (score, member).
func less(r *record.Record, score float64, member []byte) bool {
	s := r.Score()
	return s < score || s == score && bytes.Compare(r.Key(), member) < 0
}

// codeOf returns the code of a score of this order.
func (l *leaf) codeOf(o uint64) uint32 {
	if o <= l.base {
		return 0
	}
	return uint32(min((o-l.base)>>(l.shift&63), math.MaxUint32))
}

// covers reports whether a score of this order is within the codes' range.
func (l *leaf) covers(o uint64) bool {
	return o >= l.base && (o-l.base)>>(l.shift&63) <= math.MaxUint32
}

// recode chooses a new range of codes that leaves at least the span of the leaf's scores free on both sides, so that the span
// about doubles before the next recode.
func (l *leaf) recode() {
	low, high := order(l.item[0].Score()), order(l.item[l.n-1].Score())
	span := high - low
	l.base = low - min(span, low)
	l.shift = 0
	if n := bits.Len64(high - l.base); n > 31 {
		l.shift = uint8(n - 31) // the upper half of the codes stays free
	}
	for i, r := range l.item[:l.n] {
		l.code[i] = l.codeOf(order(r.Score()))
	}
}

// coarse reports whether the items fill so small a part of the codes' range that a new range would be worth its cost.
func (l *leaf) coarse() bool { return l.shift > 0 && l.code[l.n-1]-l.code[0] < 1<<20 }

// ties returns the range of items that have this code; the codes before it are lower, those behind it higher.
func (l *leaf) ties(c uint32) (from, to int) {
	code := l.code[:l.n]
	n := len(code)
	for n > 1 {
		half := n / 2
		if code[from+half-1] < c {
			from += half
		}
		n -= half
	}
	if n == 1 && code[from] < c {
		from++
	}
	to = from
	if to < len(code) && code[to] == c {
		to++
		if to < len(code) && code[to] == c {
			for high := len(code); to < high; {
				if m := int(uint(to+high) / 2); code[m] == c {
					to = m + 1
				} else {
					high = m
				}
			}
		}
	}
	return from, to
}

// search returns the number of items before (score, member), which is where that item is or belongs.
func (l *leaf) search(score float64, member []byte) int {
	i, j := l.ties(l.codeOf(order(score)))
	for i < j {
		if m := int(uint(i+j) / 2); less(l.item[m], score, member) {
			i = m + 1
		} else {
			j = m
		}
	}
	return i
}

// insert puts r at position i of a leaf that is not full.
func (l *leaf) insert(i int, r *record.Record, score float64) {
	n := int(l.n)
	copy(l.item[i+1:n+1], l.item[i:n])
	copy(l.code[i+1:n+1], l.code[i:n])
	l.n++
	l.set(i, r, score)
}

// set puts r at position i and overwrites what was there.
func (l *leaf) set(i int, r *record.Record, score float64) {
	l.item[i] = r
	o := order(score)
	l.code[i] = l.codeOf(o)
	if !l.covers(o) {
		l.recode()
	}
}

// remove removes the items from i to j, j not included.
func (l *leaf) remove(i, j int) {
	n := int(l.n)
	copy(l.item[i:], l.item[j:n])
	copy(l.code[i:], l.code[j:n])
	clear(l.item[n-(j-i) : n])
	l.n -= int16(j - i)
}

// take moves count items of src, from position i, to position at of l. The items of src behind them close up.
func (l *leaf) take(at int, src *leaf, i, count int) {
	n := int(l.n)
	copy(l.item[at+count:], l.item[at:n])
	copy(l.code[at+count:], l.code[at:n])
	l.n += int16(count)
	covered := true
	for k, r := range src.item[i : i+count] {
		o := order(r.Score())
		l.item[at+k] = r
		l.code[at+k] = l.codeOf(o)
		covered = covered && l.covers(o)
	}
	src.remove(i, i+count)
	if !covered {
		l.recode()
	}
}

// search returns the child that (score, member) belongs to.
func (n *inner) search(score float64, member []byte) int {
	i, j := 1, n.n
	for i < j {
		m := int(uint(i+j) / 2)
		if s := n.score[m]; s < score || s == score && bytes.Compare(n.least[m].Key(), member) <= 0 {
			i = m + 1
		} else {
			j = m
		}
	}
	return i - 1
}

// child is an entry of an inner node.
type child struct {
	node  unsafe.Pointer
	least *record.Record
	score float64
	count int
}

func leafChild(l *leaf) child {
	return child{unsafe.Pointer(l), l.item[0], l.item[0].Score(), int(l.n)}
}

func innerChild(n *inner) child {
	return child{unsafe.Pointer(n), n.least[0], n.score[0], n.sum()}
}

func (n *inner) leaf(i int) *leaf { return (*leaf)(n.child[i]) }

func (n *inner) inner(i int) *inner { return (*inner)(n.child[i]) }

func (n *inner) set(i int, c child) {
	n.child[i], n.least[i], n.score[i], n.count[i] = c.node, c.least, c.score, c.count
}

func (n *inner) sum() int {
	s := 0
	for _, c := range n.count[:n.n] {
		s += c
	}
	return s
}

// move copies the entries i to j of src, j not included, to position at of n; src and n may be the same node.
func (n *inner) move(at int, src *inner, i, j int) {
	copy(n.child[at:], src.child[i:j])
	copy(n.least[at:], src.least[i:j])
	copy(n.score[at:], src.score[i:j])
	copy(n.count[at:], src.count[i:j])
}

// truncate removes the entries from i on.
func (n *inner) truncate(i int) {
	clear(n.child[i:n.n])
	clear(n.least[i:n.n])
	n.n = i
}

func (n *inner) insert(i int, c child) {
	n.move(i+1, n, i, n.n)
	n.n++
	n.set(i, c)
}

func (n *inner) remove(i int) {
	n.move(i, n, i+1, n.n)
	n.truncate(n.n - 1)
}

// Tree is the tree. Use New or Build.
type Tree struct {
	View
	gen    *cow.Generation
	leaves int
	inners int
}

// New returns an empty tree with the stamps of gen.
func New(gen *cow.Generation) *Tree {
	t := &Tree{gen: gen}
	t.reset()
	return t
}

func (t *Tree) reset() {
	t.leaves, t.inners = 0, 0
	t.View = View{root: unsafe.Pointer(t.newLeaf())}
}

func (t *Tree) newLeaf() *leaf {
	t.leaves++
	return &leaf{stamp: t.gen.Current()}
}

func (t *Tree) newInner() *inner {
	t.inners++
	return &inner{stamp: t.gen.Current()}
}

// Size returns the bytes that the tree itself holds: its nodes, not the records.
func (t *Tree) Size() int {
	return mem.SizePtr(int(unsafe.Sizeof(*t))) + t.leaves*leafSize + t.inners*innerSize
}

// Snapshot returns the tree's present state. The caller has pinned the generation and keeps it pinned for as long as
// the View is read.
func (t *Tree) Snapshot() View { return t.View }

// Fork returns a tree with the same items, to be written instead of t, which from then on must only be read: nodes are shared
// until their first change. The generation is pinned, and stays pinned as long as t is read.
func (t *Tree) Fork() *Tree {
	f := *t
	return &f
}

// Build returns a tree of the items, which are in order and all different. Leaves are nearly full.
func Build(gen *cow.Generation, items []*record.Record) *Tree {
	t := &Tree{gen: gen}
	if len(items) == 0 {
		t.reset()
		return t
	}
	const fill, fillInner = leafItems - leafItems/16, innerItems - 2
	count := len(items)
	row := make([]child, 0, (count+fill-1)/fill)
	for pieces := cap(row); pieces > 0; pieces-- {
		n := len(items) / pieces // evenly, so that the last one is not nearly empty
		l := t.newLeaf()
		l.n = int16(copy(l.item[:], items[:n]))
		l.recode()
		row = append(row, leafChild(l))
		items = items[n:]
	}
	height := 0
	for ; len(row) > 1; height++ {
		rest, up := row, row[:0] // entries are overwritten only after they were read
		for pieces := (len(row) + fillInner - 1) / fillInner; pieces > 0; pieces-- {
			n := t.newInner()
			k := len(rest) / pieces
			for _, c := range rest[:k] {
				n.set(n.n, c)
				n.n++
			}
			rest = rest[k:]
			up = append(up, innerChild(n))
		}
		row = up
	}
	t.View = View{root: row[0].node, height: height, count: count}
	return t
}
