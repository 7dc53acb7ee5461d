package btree

import (
	"bytes"
	"runtime"
	"unsafe"

	"ferrous/datatypes/record"
)

// View is a tree for reading: the live one, or a snapshot of it. The lowest item has rank 0.
type View struct {
	root   unsafe.Pointer // *leaf where height is 0, else *inner
	height int            // rows of inner nodes
	count  int
}

// Len returns the number of items.
func (v *View) Len() int { return v.count }

// bound is a place between two items. Items of lower score are before it, items of higher score behind it. For those of equal
// score ties decides: none, all, or the ones with a lower member are before it. If lex is true the members are compared
// instead of the scores, and ties is for an item with the same member.
type bound struct {
	score  float64
	member []byte
	ties   ties
	lex    bool
}

type ties uint8

const (
	tiesBehind ties = iota
	tiesBefore
	tiesByMember
)

// before reports whether the item r, of this score, is before the bound.
func (b *bound) before(r *record.Record, score float64) bool {
	if b.lex {
		c := bytes.Compare(r.Key(), b.member)
		return c < 0 || c == 0 && b.ties == tiesBefore
	}
	if score != b.score {
		return score < b.score
	}
	if b.ties == tiesByMember {
		return bytes.Compare(r.Key(), b.member) < 0
	}
	return b.ties == tiesBefore
}

func (l *leaf) before(b *bound) int {
	i, j := 0, int(l.n)
	if !b.lex {
		i, j = l.ties(l.codeOf(order(b.score)))
	}
	for i < j {
		m := int(uint(i+j) / 2)
		if r := l.item[m]; b.before(r, r.Score()) {
			i = m + 1
		} else {
			j = m
		}
	}
	return i
}

// rank returns the number of items before b.
func (v *View) rank(b *bound) int {
	rank, node := 0, v.root
	for h := v.height; h > 0; h-- {
		n := (*inner)(node)
		i, j := 0, n.n
		for i < j {
			if m := int(uint(i+j) / 2); b.before(n.least[m], n.score[m]) {
				i = m + 1
			} else {
				j = m
			}
		}
		if i == 0 {
			return rank
		}
		for _, c := range n.count[:i-1] {
			rank += c
		}
		node = n.child[i-1]
	}
	return rank + (*leaf)(node).before(b)
}

// Rank returns the number of items before this score and member, which need not be in the tree.
func (v *View) Rank(score float64, member []byte) int {
	return v.rank(&bound{score: score, member: member, ties: tiesByMember})
}

// Below returns the number of items whose score is lower than score or, if through, equal.
func (v *View) Below(score float64, through bool) int {
	b := bound{score: score}
	if through {
		b.ties = tiesBefore
	}
	return v.rank(&b)
}

// BelowMember returns the number of items whose member is lower than member or, if through, equal. All items must have the
// same score, otherwise the members are in no order and the result is an arbitrary rank.
func (v *View) BelowMember(member []byte, through bool) int {
	b := bound{member: member, lex: true}
	if through {
		b.ties = tiesBefore
	}
	return v.rank(&b)
}

// At returns the item of a rank, nil where there is none.
func (v *View) At(rank int) *record.Record {
	if rank < 0 || rank >= v.count {
		return nil
	}
	node := v.root
	for h := v.height; h > 0; h-- {
		n := (*inner)(node)
		i := 0
		for rank >= n.count[i] {
			rank -= n.count[i]
			i++
		}
		node = n.child[i]
	}
	return (*leaf)(node).item[rank]
}

// Each calls fn for every item in order until it returns false. fn must not change the tree.
func (v *View) Each(fn func(*record.Record) bool) { each(v.root, v.height, fn) }

func each(node unsafe.Pointer, height int, fn func(*record.Record) bool) bool {
	if height == 0 {
		l := (*leaf)(node)
		l.touch(0, leafItems)
		for _, r := range l.item[:l.n] {
			if !fn(r) {
				return false
			}
		}
		return true
	}
	n := (*inner)(node)
	for _, c := range n.child[:n.n] {
		if !each(c, height-1, fn) {
			return false
		}
	}
	return true
}

// step is an inner node of a path and the index of the path's next child.
type step struct {
	n *inner
	i int
}

// touchAhead is how many items a cursor that moves on loads together.
const touchAhead = 16

// touch loads the records of up to n items from the i-th on into the processor's cache. These loads run in parallel; a caller
// that reads one record after the other would wait for each.
func (l *leaf) touch(i, n int) {
	sum := uint64(0)
	for _, r := range l.item[i:min(i+n, int(l.n))] {
		sum += r.Touch()
	}
	runtime.KeepAlive(sum) // so that the loads are made
}

// Cursor is a place in a View. It allocates nothing. It is valid until the tree changes or, in a snapshot, as long as the
// snapshot is.
type Cursor struct {
	path   [maxHeight]step
	height int
	leaf   *leaf // nil beyond either end
	i      int
}

// Seek places the cursor on the item of a rank, or beyond the end if there is none.
func (c *Cursor) Seek(v *View, rank int) {
	c.leaf = nil
	if rank < 0 || rank >= v.count {
		return
	}
	c.height = v.height
	node := v.root
	for h := range v.height {
		n := (*inner)(node)
		i := 0
		for rank >= n.count[i] {
			rank -= n.count[i]
			i++
		}
		c.path[h] = step{n, i}
		node = n.child[i]
	}
	c.leaf, c.i = (*leaf)(node), rank
}

// Next returns the item that the cursor is on and steps to the one behind it; nil beyond the end.
func (c *Cursor) Next() *record.Record {
	l := c.leaf
	if l == nil {
		return nil
	}
	r := l.item[c.i]
	if c.i++; c.i == int(l.n) {
		c.turn(1)
	} else if c.i%touchAhead == 0 {
		l.touch(c.i, touchAhead)
	}
	return r
}

// Prev returns the item that the cursor is on and steps to the one before it; nil beyond the end.
func (c *Cursor) Prev() *record.Record {
	l := c.leaf
	if l == nil {
		return nil
	}
	r := l.item[c.i]
	if c.i--; c.i < 0 {
		c.turn(-1)
	} else if c.i%touchAhead == touchAhead-1 {
		l.touch(c.i+1-touchAhead, touchAhead)
	}
	return r
}

// turn moves to the next leaf in a direction, to its nearest item.
func (c *Cursor) turn(by int) {
	c.leaf = nil
	for h := c.height - 1; h >= 0; h-- {
		s := &c.path[h]
		s.i += by
		if s.i < 0 || s.i >= s.n.n {
			continue
		}
		node := s.n.child[s.i]
		for h++; h < c.height; h++ {
			n := (*inner)(node)
			i := 0
			if by < 0 {
				i = n.n - 1
			}
			c.path[h] = step{n, i}
			node = n.child[i]
		}
		c.leaf, c.i = (*leaf)(node), 0
		if by < 0 {
			c.i = int(c.leaf.n) - 1
			c.leaf.touch(c.i&^(touchAhead-1), touchAhead)
		} else {
			c.leaf.touch(0, touchAhead)
		}
		return
	}
}
