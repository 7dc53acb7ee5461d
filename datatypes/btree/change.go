package btree

import (
	"bytes"
	"unsafe"

	"ferrous/datatypes/record"
)

// path is the way to a leaf: path[h] is the node and child in row h, the root in row 0.
type path [maxHeight]step

// ownLeaf makes the leaf at p writable: if a snapshot can reach the leaf, it is copied first.
func (t *Tree) ownLeaf(p *unsafe.Pointer) *leaf {
	l := (*leaf)(*p)
	if !t.gen.Owns(l.stamp) {
		c := *l
		c.stamp = t.gen.Copying(int(unsafe.Sizeof(c)))
		l = &c
		*p = unsafe.Pointer(l)
	}
	return l
}

// ownInner does the same for an inner node.
func (t *Tree) ownInner(p *unsafe.Pointer) *inner {
	n := (*inner)(*p)
	if !t.gen.Owns(n.stamp) {
		c := *n
		c.stamp = t.gen.Copying(int(unsafe.Sizeof(c)))
		n = &c
		*p = unsafe.Pointer(n)
	}
	return n
}

// descend makes the path to the leaf of (score, member) writable and adds delta to the counts along it.
func (t *Tree) descend(p *path, score float64, member []byte, delta int) *leaf {
	at := &t.root
	for h := range t.height {
		n := t.ownInner(at)
		i := n.search(score, member)
		n.count[i] += delta
		p[h] = step{n, i}
		at = &n.child[i]
	}
	return t.ownLeaf(at)
}

// setLeast gives the nodes of the path, from row h upwards, a new least item.
func (p *path) setLeast(h int, r *record.Record, score float64) {
	for ; h >= 0; h-- {
		s := &p[h]
		s.n.least[s.i], s.n.score[s.i] = r, score
		if s.i > 0 {
			return
		}
	}
}

// Insert adds r, an item that is not in the tree.
func (t *Tree) Insert(r *record.Record) {
	var p path
	score, member := r.Score(), r.Key()
	l := t.descend(&p, score, member, 1)
	t.count++
	i := l.search(score, member)
	if i == 0 {
		p.setLeast(t.height-1, r, score) // r is the lowest item of the tree: only then does descend choose a leaf with a higher least item
	}
	if l.n < leafItems {
		l.insert(i, r, score)
		return
	}
	t.overflow(&p, l, i, r, score)
}

// overflow inserts r at position i of the full leaf l at the end of the path.
func (t *Tree) overflow(p *path, l *leaf, i int, r *record.Record, score float64) {
	h := t.height - 1
	if h >= 0 && t.relieve(p[h].n, p[h].i, i, r, score) {
		return
	}
	var right *leaf
	side := t.side(p, i)
	switch {
	case side < 0: // descending order: l stays full, and a new leaf is inserted to its left
		right = &leaf{}
		*right = *l
		*l = leaf{stamp: l.stamp}
		t.leaves++
		l.insert(0, r, score)
		l.recode()
	case side > 0:
		right = t.newLeaf()
		right.insert(0, r, score)
		right.recode()
	default:
		right = t.newLeaf()
		right.base, right.shift = l.base, l.shift
		cut := leafItems / 2
		right.n = int16(copy(right.item[:], l.item[cut:]))
		copy(right.code[:], l.code[cut:])
		l.remove(cut, leafItems)
		if i <= cut {
			l.insert(i, r, score)
		} else {
			right.insert(i-cut, r, score)
		}
		if l.coarse() {
			l.recode()
		}
		if right.coarse() {
			right.recode()
		}
	}
	c := leafChild(right)
	if h < 0 {
		t.raise(leafChild(l), c)
		return
	}
	p[h].n.count[p[h].i] = int(l.n)
	t.insertChild(p, h, c, side)
}

// side says whether position i of the full leaf at the path's end is the lowest (-1) or highest (1) of the tree.
func (t *Tree) side(p *path, i int) int {
	low, high := i == 0, i == leafItems
	for _, s := range p[:t.height] {
		low = low && s.i == 0
		high = high && s.i == s.n.n-1
	}
	switch {
	case low:
		return -1
	case high:
		return 1
	}
	return 0
}

// relieve inserts r at position i of the full leaf k of n after giving items to a neighbour, and reports false when neither
// neighbour has room. The neighbour gets several items, so that not every insertion moves some.
func (t *Tree) relieve(n *inner, k, i int, r *record.Record, score float64) bool {
	const room = leafItems * 7 / 8
	l := n.leaf(k)
	switch {
	case k+1 < n.n && n.leaf(k+1).n <= room:
		s := t.ownLeaf(&n.child[k+1])
		s.take(0, l, (leafItems+int(s.n))/2, (leafItems-int(s.n)+1)/2)
		if i <= int(l.n) {
			l.insert(i, r, score)
		} else {
			s.insert(i-int(l.n), r, score)
		}
		n.set(k, leafChild(l))
		n.set(k+1, leafChild(s))
	case k > 0 && n.leaf(k-1).n <= room:
		s := t.ownLeaf(&n.child[k-1])
		had, moved := int(s.n), (leafItems-int(s.n))/2
		s.take(had, l, 0, moved)
		if i <= moved {
			s.insert(had+i, r, score)
		} else {
			l.insert(i-moved, r, score)
		}
		n.set(k-1, leafChild(s))
		n.set(k, leafChild(l))
	default:
		return false
	}
	return true
}

// insertChild adds c behind the path's child of row h, whose count is updated already. A full node is split, unevenly if the
// insertion was at one end of the tree (side).
func (t *Tree) insertChild(p *path, h int, c child, side int) {
	for ; ; h-- {
		n, at := p[h].n, p[h].i+1
		if n.n < innerItems {
			n.insert(at, c)
			return
		}
		cut := innerItems / 2
		if side < 0 {
			cut = 1
		} else if side > 0 {
			cut = innerItems
		}
		right := t.newInner()
		right.move(0, n, cut, n.n)
		right.n = n.n - cut
		n.truncate(cut)
		if side == 0 && at <= cut {
			n.insert(at, c)
		} else {
			right.insert(at-cut, c)
		}
		c = innerChild(right)
		if h == 0 {
			t.raise(innerChild(n), c)
			return
		}
		p[h-1].n.count[p[h-1].i] -= c.count
	}
}

// raise gives the tree a new root with two children.
func (t *Tree) raise(a, b child) {
	if t.height == maxHeight {
		panic("btree: too high")
	}
	n := t.newInner()
	n.n = 2
	n.set(0, a)
	n.set(1, b)
	t.root = unsafe.Pointer(n)
	t.height++
}

// Delete removes r, which is in the tree.
func (t *Tree) Delete(r *record.Record) {
	var p path
	l, i := t.find(&p, r, -1)
	t.remove(&p, l, i)
}

// find makes the path to r writable and adds delta to the counts along it.
func (t *Tree) find(p *path, r *record.Record, delta int) (l *leaf, i int) {
	score, member := r.Score(), r.Key()
	l = t.descend(p, score, member, delta)
	i = l.search(score, member)
	if i >= int(l.n) || l.item[i] != r {
		panic("btree: record is not in the tree")
	}
	return l, i
}

// remove removes item i from the leaf at the path's end. The counts along the path are updated already.
func (t *Tree) remove(p *path, l *leaf, i int) {
	t.count--
	l.remove(i, i+1)
	h := t.height - 1
	if h < 0 {
		return
	}
	if l.n > 0 {
		if i == 0 {
			p.setLeast(h, l.item[0], l.item[0].Score())
		}
		if int(l.n) >= leafItems/2 || !t.merge(p[h].n, p[h].i, 0) {
			return
		}
	} else {
		t.leaves--
		t.removeChild(p, h)
	}
	// A node of row h lost a child: it may be merged with a neighbour, and so may the nodes above.
	for ; h > 0; h-- {
		n := p[h].n
		if n.n == 0 {
			t.inners--
			t.removeChild(p, h-1)
			continue
		}
		if n.n >= innerItems/2 || !t.merge(p[h-1].n, p[h-1].i, 1) {
			return
		}
	}
	t.lower()
}

// removeChild removes the path's child from the node of row h. If it was the first child, the nodes above get the new least
// item.
func (t *Tree) removeChild(p *path, h int) {
	n, i := p[h].n, p[h].i
	n.remove(i)
	if i == 0 && n.n > 0 {
		p.setLeast(h-1, n.least[0], n.score[0])
	}
}

// lower removes roots that have one child only.
func (t *Tree) lower() {
	for t.height > 0 {
		n := (*inner)(t.root)
		if n.n > 1 {
			return
		}
		t.root = n.child[0]
		t.height--
		t.inners--
	}
}

// merge joins child i of n and a neighbour if both fit well into one node, and reports whether it did. height is the height
// of the children.
func (t *Tree) merge(n *inner, i, height int) bool {
	size, limit := t.fill(n, i, height), leafItems*3/4
	if height > 0 {
		limit = innerItems * 3 / 4
	}
	switch {
	case i+1 < n.n && size+t.fill(n, i+1, height) <= limit:
	case i > 0 && size+t.fill(n, i-1, height) <= limit:
		i--
	default:
		return false
	}
	if height == 0 {
		l, r := t.ownLeaf(&n.child[i]), n.leaf(i+1)
		l.append(r)
		t.leaves--
	} else {
		l, r := t.ownInner(&n.child[i]), n.inner(i+1)
		l.move(l.n, r, 0, r.n)
		l.n += r.n
		t.inners--
	}
	n.count[i] += n.count[i+1]
	n.remove(i + 1)
	return true
}

// fill returns how many entries child i of n has.
func (t *Tree) fill(n *inner, i, height int) int {
	if height == 0 {
		return int(n.leaf(i).n)
	}
	return n.inner(i).n
}

// Update gives the item r a new score. new takes its place and gets the score: r itself, or, while a snapshot can reach r,
// another record of the same member.
func (t *Tree) Update(r, new *record.Record, score float64) {
	var p path
	l, i := t.find(&p, r, 0)
	old, member := r.Score(), r.Key()
	if !t.within(&p, l, i, old, score, member) {
		for h := range t.height {
			p[h].n.count[p[h].i]--
		}
		t.remove(&p, l, i)
		new.SetScore(score)
		t.Insert(new)
		return
	}
	// r is still in its old place, so the search counts it if the score rises.
	j := i
	if score > old {
		j = l.search(score, member) - 1
		copy(l.item[i:j], l.item[i+1:j+1])
		copy(l.code[i:j], l.code[i+1:j+1])
	} else if score < old {
		j = l.search(score, member)
		copy(l.item[j+1:i+1], l.item[j:i])
		copy(l.code[j+1:i+1], l.code[j:i])
	}
	new.SetScore(score)
	l.set(j, new, score)
	if (i == 0 || j == 0) && t.height > 0 {
		p.setLeast(t.height-1, l.item[0], l.item[0].Score())
	}
}

// within reports whether item i of the leaf at the path's end stays in this leaf with its new score.
func (t *Tree) within(p *path, l *leaf, i int, old, score float64, member []byte) bool {
	if score < old {
		if i > 0 && less(l.item[0], score, member) {
			return true
		}
		for _, s := range p[:t.height] {
			if s.i > 0 {
				return false
			}
		}
		return true
	}
	if i+1 < int(l.n) && !less(l.item[l.n-1], score, member) {
		return true
	}
	for h := t.height - 1; h >= 0; h-- {
		if n, k := p[h].n, p[h].i+1; k < n.n {
			s := n.score[k]
			return score < s || score == s && bytes.Compare(member, n.least[k].Key()) < 0
		}
	}
	return true
}

// append copies the items of r behind those of l.
func (l *leaf) append(r *leaf) {
	at, covered := int(l.n), true
	l.n += r.n
	for k, rec := range r.item[:r.n] {
		o := order(rec.Score())
		l.item[at+k] = rec
		l.code[at+k] = l.codeOf(o)
		covered = covered && l.covers(o)
	}
	if !covered {
		l.recode()
	}
}

// DeleteRange removes the items of ranks from to to, to not included, and calls fn for each in order. fn must not use the
// tree. The cost is O(log n) plus the removed items.
func (t *Tree) DeleteRange(from, to int, fn func(*record.Record)) {
	from, to = max(from, 0), min(to, t.count)
	if from >= to {
		return
	}
	if to-from == t.count {
		t.Each(func(r *record.Record) bool { fn(r); return true })
		t.reset()
		return
	}
	t.cut(&t.root, t.height, from, to, fn)
	t.count -= to - from
	t.lower()
}

// cut makes the node at p writable and removes the items from to to, not all, below it.
func (t *Tree) cut(p *unsafe.Pointer, height, from, to int, fn func(*record.Record)) {
	if height == 0 {
		l := t.ownLeaf(p)
		for _, r := range l.item[from:to] {
			fn(r)
		}
		l.remove(from, to)
		return
	}
	n := t.ownInner(p)
	kept, first, touched := 0, 0, [2]int{-1, -1}
	for i := range n.n {
		count := n.count[i]
		a, b := max(from-first, 0), min(to-first, count)
		first += count
		if a < b {
			if b-a == count {
				t.drop(n.child[i], height-1, fn)
				continue
			}
			t.cut(&n.child[i], height-1, a, b, fn)
			c := child{node: n.child[i], count: count - (b - a)}
			if height == 1 {
				c.least = n.leaf(i).item[0]
				c.score = c.least.Score()
			} else {
				c.least, c.score = n.inner(i).least[0], n.inner(i).score[0]
			}
			n.set(i, c)
			touched[1] = touched[0]
			touched[0] = kept
		}
		if kept != i {
			n.move(kept, n, i, i+1)
		}
		kept++
	}
	n.truncate(kept)
	// At most the first and the last child of the range keep some of their items. The last is merged first, since its merge
	// does not move the first.
	for _, i := range touched {
		if i >= 0 && i < n.n {
			t.merge(n, i, height-1)
		}
	}
}

// drop calls fn for all items below a node that is removed.
func (t *Tree) drop(node unsafe.Pointer, height int, fn func(*record.Record)) {
	if height == 0 {
		for _, r := range (*leaf)(node).item[:(*leaf)(node).n] {
			fn(r)
		}
		t.leaves--
		return
	}
	n := (*inner)(node)
	for _, c := range n.child[:n.n] {
		t.drop(c, height-1, fn)
	}
	t.inners--
}
