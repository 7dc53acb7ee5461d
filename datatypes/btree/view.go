package btree

import (
	"bytes"
	"unsafe"

	"ferrous/datatypes/record"
)

// View is a tree to be read: the live one, or a snapshot of it. Ranks begin with 0 for the lowest item.
type View struct {
	root   unsafe.Pointer // *leaf where height is 0, else *inner
	height int            // rows of inner nodes
	count  int
}

// Len returns the number of items.
func (v *View) Len() int { return v.count }

// bound is a place between items. Those before it are of lower score; of equal score and, as ties says, none, all, or
// those with a lower member. Where lex is true scores do not count, and ties speaks of items with the same member.
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

// Rank returns the number of items before the one with this score and member, which need not be there.
func (v *View) Rank(score float64, member []byte) int {
	return v.rank(&bound{score: score, member: member, ties: tiesByMember})
}

// Below returns the number of items whose score is lower than score, or, with through, not higher.
func (v *View) Below(score float64, through bool) int {
	b := bound{score: score}
	if through {
		b.ties = tiesBefore
	}
	return v.rank(&b)
}

// BelowMember returns the number of items whose member is lower than member, or, with through, not higher. The scores
// of all items are equal: else there is no order of members, and the answer is some place in the tree.
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

// step is an inner node of a path and the child by which the path goes on.
type step struct {
	n *inner
	i int
}

// Cursor is a place in a View. It needs no memory but its own. It is good until the tree is changed; over a snapshot,
// as long as that.
type Cursor struct {
	path   [maxHeight]step
	height int
	leaf   *leaf // nil beyond either end
	i      int
}

// Seek places the cursor on the item of a rank; beyond the end where there is none.
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
	}
	return r
}

// turn goes to the next leaf in a direction, to the item of it that is nearest.
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
		}
		return
	}
}
