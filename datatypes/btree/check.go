package btree

import (
	"bytes"
	"fmt"
	"unsafe"

	"ferrous/datatypes/record"
)

// Check visits the whole tree and returns an error for the first invariant of the package comment that does not hold. It is
// for tests.
func (t *Tree) Check() error {
	c := checker{t: t}
	count, err := c.node(t.root, t.height)
	switch {
	case err != nil:
		return err
	case count != t.count:
		return fmt.Errorf("btree: %d items, counted %d", t.count, count)
	case c.leaves != t.leaves || c.inners != t.inners:
		return fmt.Errorf("btree: %d leaves and %d inner nodes, counted %d and %d", t.leaves, t.inners, c.leaves, c.inners)
	case t.height > 0 && (*inner)(t.root).n < 2:
		return fmt.Errorf("btree: root with %d children", (*inner)(t.root).n)
	}
	return nil
}

type checker struct {
	t              *Tree
	leaves, inners int
	last           *record.Record
}

// node checks what is below node and returns the number of items.
func (c *checker) node(node unsafe.Pointer, height int) (int, error) {
	if height == 0 {
		return c.leaf((*leaf)(node))
	}
	c.inners++
	n := (*inner)(node)
	if n.n < 1 || n.n > innerItems {
		return 0, fmt.Errorf("btree: inner node of %d", n.n)
	}
	sum := 0
	for i := range n.n {
		count, err := c.node(n.child[i], height-1)
		if err != nil {
			return 0, err
		}
		if count != n.count[i] {
			return 0, fmt.Errorf("btree: child %d of %d in row %d: %d items, counted %d", i, n.n, height, n.count[i], count)
		}
		least := n.child[i]
		for h := height - 1; h > 0; h-- {
			least = (*inner)(least).child[0]
		}
		if r := (*leaf)(least).item[0]; n.least[i] != r || n.score[i] != r.Score() {
			return 0, fmt.Errorf("btree: child %d of %d in row %d: least is %q, not %q", i, n.n, height, n.least[i].Key(), r.Key())
		}
		sum += count
	}
	for i := n.n; i < innerItems; i++ {
		if n.child[i] != nil || n.least[i] != nil {
			return 0, fmt.Errorf("btree: inner node of %d keeps entry %d", n.n, i)
		}
	}
	return sum, nil
}

func (c *checker) leaf(l *leaf) (int, error) {
	c.leaves++
	if l.n < 0 || l.n > leafItems || l.n == 0 && c.t.height > 0 {
		return 0, fmt.Errorf("btree: leaf of %d", l.n)
	}
	for i, r := range l.item {
		if i >= int(l.n) {
			if r != nil {
				return 0, fmt.Errorf("btree: leaf of %d keeps item %d", l.n, i)
			}
			continue
		}
		if o := order(r.Score()); l.code[i] != l.codeOf(o) || !l.covers(o) {
			return 0, fmt.Errorf("btree: code %d of score %v from %d by 2^%d", l.code[i], r.Score(), l.base, l.shift)
		}
		if p := c.last; p != nil && (p.Score() > r.Score() || p.Score() == r.Score() && bytes.Compare(p.Key(), r.Key()) >= 0) {
			return 0, fmt.Errorf("btree: %v %q before %v %q", p.Score(), p.Key(), r.Score(), r.Key())
		}
		c.last = r
	}
	return int(l.n), nil
}
