package stream

import (
	"math"
	"slices"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
)

// An index is an ordered map from IDs: a B+ tree that is copy-on-write.
//
// # Structure
//
// All items are in leaves at the same depth. A leaf has up to leafItems of them in a slice that grows as it fills, so
// that the index of a consumer with three pending entries is small. An inner node has up to innerItems children. For
// each child but the first, least is a lower bound of the IDs in it that is above all IDs to the left; it need not be
// the ID of an item.
//
// # Balance
//
// A node that is full splits in halves; at the right end of the tree it is left full instead, because IDs usually
// ascend. A node that is less than half full is merged with a neighbour of the same parent when both together fill at
// most three quarters. An empty node is removed.
//
// The slice of a leaf shrinks as items are removed. Entries are acknowledged in about the order in which they were added, so
// a leaf near the front will soon be empty: it shrinks when it is half empty, and not while items are removed from its front.
// The same holds for the last leaf, to which items are added. A leaf between shrinks as soon as the allocator has a smaller
// size class for it: it is copied more often, but needs little memory if the entries that stay pending are scattered.
//
// # Bounds
//
// The index of a group's pending entries also finds the one that was delivered first. For each child, bound is a lower bound
// of the delivery times in it. Insertions lower the bounds on their path; only oldest raises them: it descends to the lowest
// bound and corrects the bounds that are too low. It does so in nodes that a snapshot can reach too: the correction is true
// for the snapshot, and a snapshot's reader never reads bounds. Other indexes pass noBound.
//
// # Copy-on-write
//
// Leaves and inner nodes have stamps, see package cow. A change copies the older nodes on its path. Copying the index struct
// is a fork.
type index[T any] struct {
	root   unsafe.Pointer // *leaf[T] at height 0, else *inner; nil before the first item
	height int
	n      int
	bytes  int   // of all nodes
	bound  int64 // of all items
}

const (
	leafItems   = 63                // with its type word a leaf of nodes fills the class of 2048 bytes
	innerItems  = 31                // with its type word an inner node fills the class of 1024 bytes
	maxHeight   = 12                // siblings have a dozen children on average, see Balance
	keptRoom    = 8                 // an index that becomes empty keeps its leaf if this has at most so many places
	mergedItems = leafItems * 3 / 4 // most items of two leaves that are merged
	wasted      = 8                 // a leaf between front and end shrinks if it saves so many places

	noBound = math.MaxInt64
)

type leaf[T any] struct {
	stamp uint64
	items []item[T]
}

// item has the value first: a value of size 0 would take eight bytes at the end of the struct.
type item[T any] struct {
	v  T
	id ID
}

type inner struct {
	stamp uint64
	n     int
	least [innerItems]ID
	bound [innerItems]int64
	child [innerItems]unsafe.Pointer
}

var (
	innerSize = mem.SizePtr(int(unsafe.Sizeof(inner{})))
	leafSize  = mem.SizePtr(int(unsafe.Sizeof(leaf[uint64]{})))
)

func (l *leaf[T]) size() int { return leafSize + l.sliceSize(cap(l.items)) }

// sliceSize returns the bytes that the allocator takes for n places.
func (*leaf[T]) sliceSize(n int) int {
	n *= int(unsafe.Sizeof(item[T]{}))
	if _, ok := any((*T)(nil)).(*node); ok {
		return mem.SizePtr(n)
	}
	return mem.Size(n)
}

// places returns the number of places in the allocator's size class for n places.
func (l *leaf[T]) places(n int) int {
	return min(l.sliceSize(n)/int(unsafe.Sizeof(item[T]{})), leafItems)
}

// search returns the number of items before id, and whether the next one has this ID.
func (l *leaf[T]) search(id ID) (int, bool) {
	i, j := 0, len(l.items)
	for i < j {
		m := int(uint(i+j) / 2)
		if l.items[m].id.less(id) {
			i = m + 1
		} else {
			j = m
		}
	}
	return i, i < len(l.items) && l.items[i].id == id
}

// search returns the index of the child that id belongs to.
func (n *inner) search(id ID) int {
	i, j := 1, n.n
	for i < j {
		m := int(uint(i+j) / 2)
		if id.less(n.least[m]) {
			j = m
		} else {
			i = m + 1
		}
	}
	return i - 1
}

func (n *inner) insert(i int, least ID, bound int64, child unsafe.Pointer) {
	copy(n.least[i+1:], n.least[i:n.n])
	copy(n.bound[i+1:], n.bound[i:n.n])
	copy(n.child[i+1:], n.child[i:n.n])
	n.n++
	n.least[i], n.bound[i], n.child[i] = least, bound, child
}

func (n *inner) remove(i int) {
	copy(n.least[i:], n.least[i+1:n.n])
	copy(n.bound[i:], n.bound[i+1:n.n])
	copy(n.child[i:], n.child[i+1:n.n])
	n.n--
	n.child[n.n] = nil
}

// take moves the children of src from position i on to the end of n.
func (n *inner) take(src *inner, i int) {
	copy(n.least[n.n:], src.least[i:src.n])
	copy(n.bound[n.n:], src.bound[i:src.n])
	copy(n.child[n.n:], src.child[i:src.n])
	n.n += src.n - i
	clear(src.child[i:src.n])
	src.n = i
}

// lowest returns the lowest bound and the first child that has it.
func (n *inner) lowest() (i int, bound int64) {
	bound = n.bound[0]
	for k, b := range n.bound[1:n.n] {
		if b < bound {
			i, bound = k+1, b
		}
	}
	return i, bound
}

// path is the way to a leaf: path[0] is the root and the child taken there.
type path [maxHeight]struct {
	n *inner
	i int
}

// atFront reports whether the path leads to one of the first leaves: those below the first node of the lowest row, some 2,000
// items.
func (p *path) atFront(height int) bool {
	for _, s := range p[:max(height-1, 0)] {
		if s.i != 0 {
			return false
		}
	}
	return true
}

// last reports whether the path leads to the last leaf.
func (p *path) last(height int) bool {
	for _, s := range p[:height] {
		if s.i != s.n.n-1 {
			return false
		}
	}
	return true
}

// leafOf returns the leaf that id belongs to, nil if the index has no leaf.
func (x *index[T]) leafOf(id ID) *leaf[T] {
	at := x.root
	for range x.height {
		n := (*inner)(at)
		at = n.child[n.search(id)]
	}
	return (*leaf[T])(at)
}

// get returns the value of id.
func (x *index[T]) get(id ID) (v T, ok bool) {
	l := x.leafOf(id)
	if l == nil {
		return v, false
	}
	i, ok := l.search(id)
	if !ok {
		return v, false
	}
	return l.items[i].v, true
}

// seek returns the place of the first item at or behind id; the leaf is nil if there is none.
func (x *index[T]) seek(id ID) (*leaf[T], int) {
	if x.root == nil {
		return nil, 0
	}
	var right unsafe.Pointer // the subtree to the right of the path, at this height
	height := 0
	at := x.root
	for h := x.height - 1; h >= 0; h-- {
		n := (*inner)(at)
		i := n.search(id)
		if i+1 < n.n {
			right, height = n.child[i+1], h
		}
		at = n.child[i]
	}
	l := (*leaf[T])(at)
	if i, _ := l.search(id); i < len(l.items) {
		return l, i
	}
	if right == nil {
		return nil, 0
	}
	for range height {
		right = (*inner)(right).child[0]
	}
	return (*leaf[T])(right), 0
}

// seekBack returns the place of the last item at or before id; the leaf is nil if there is none.
func (x *index[T]) seekBack(id ID) (*leaf[T], int) {
	if x.root == nil {
		return nil, 0
	}
	var left unsafe.Pointer
	height := 0
	at := x.root
	for h := x.height - 1; h >= 0; h-- {
		n := (*inner)(at)
		i := n.search(id)
		if i > 0 {
			left, height = n.child[i-1], h
		}
		at = n.child[i]
	}
	l := (*leaf[T])(at)
	i, ok := l.search(id)
	if !ok {
		i--
	}
	if i >= 0 {
		return l, i
	}
	if left == nil {
		return nil, 0
	}
	for range height {
		n := (*inner)(left)
		left = n.child[n.n-1]
	}
	l = (*leaf[T])(left)
	return l, len(l.items) - 1
}

func (x *index[T]) ownInner(at *unsafe.Pointer, gen *cow.Generation) *inner {
	n := (*inner)(*at)
	if !gen.Owns(n.stamp) {
		c := *n
		c.stamp = gen.Copying(innerSize)
		n = &c
		*at = unsafe.Pointer(n)
	}
	return n
}

func (x *index[T]) ownLeaf(at *unsafe.Pointer, gen *cow.Generation) *leaf[T] {
	l := (*leaf[T])(*at)
	if !gen.Owns(l.stamp) {
		c := &leaf[T]{items: append(make([]item[T], 0, cap(l.items)), l.items...)}
		c.stamp = gen.Copying(c.size())
		*at = unsafe.Pointer(c)
		l = c
	}
	return l
}

// descend makes the inner nodes on the path to id writable, lowers their bounds to bound, and returns the place of the
// leaf's pointer.
func (x *index[T]) descend(p *path, id ID, bound int64, gen *cow.Generation) *unsafe.Pointer {
	x.bound = min(x.bound, bound)
	at := &x.root
	for h := range x.height {
		n := x.ownInner(at, gen)
		i := n.search(id)
		n.bound[i] = min(n.bound[i], bound)
		p[h].n, p[h].i = n, i
		at = &n.child[i]
	}
	return at
}

// own returns the value of id, which must exist, for writing. bound must be a lower bound of the value that the caller
// writes.
func (x *index[T]) own(id ID, bound int64, gen *cow.Generation) *T {
	var p path
	l := x.ownLeaf(x.descend(&p, id, bound, gen), gen)
	i, _ := l.search(id)
	return &l.items[i].v
}

// put returns the value of id for writing, as own does, and adds an item if there is none.
func (x *index[T]) put(id ID, bound int64, gen *cow.Generation) (v *T, fresh bool) {
	if x.root == nil {
		l := &leaf[T]{stamp: gen.Current()}
		x.root, x.bound = unsafe.Pointer(l), noBound
		x.bytes += l.size()
	}
	var p path
	l := x.ownLeaf(x.descend(&p, id, bound, gen), gen)
	i, ok := l.search(id)
	if ok {
		return &l.items[i].v, false
	}
	x.n++
	if len(l.items) == leafItems {
		l, i = x.split(&p, l, i, id, bound, gen)
	}
	if len(l.items) == cap(l.items) {
		x.bytes -= l.size()
		l.items = append(make([]item[T], 0, min(max(1, 2*cap(l.items)), leafItems)), l.items...)
		x.bytes += l.size()
	}
	l.items = slices.Insert(l.items, i, item[T]{id: id})
	return &l.items[i].v, true
}

// add adds an item and reports false if there is one with this ID.
func (x *index[T]) add(id ID, v T, gen *cow.Generation) bool {
	p, fresh := x.put(id, noBound, gen)
	if fresh {
		*p = v
	}
	return fresh
}

// split splits the full leaf at the path's end, and returns the leaf and the position for id, which belonged to position i.
func (x *index[T]) split(p *path, l *leaf[T], i int, id ID, bound int64, gen *cow.Generation) (*leaf[T], int) {
	right := &leaf[T]{stamp: gen.Current(), items: make([]item[T], 0, leafItems)}
	x.bytes += right.size()
	end := i == leafItems && p.last(x.height)
	least := id
	if !end {
		const cut = leafItems / 2
		right.items = append(right.items, l.items[cut:]...)
		clear(l.items[cut:])
		l.items = l.items[:cut]
		least, bound = right.items[0].id, x.bound
		if x.height > 0 {
			s := p[x.height-1]
			bound = s.n.bound[s.i]
		}
		if i > cut {
			l, i = right, i-cut
		}
	} else {
		l, i = right, 0
	}
	x.insertChild(p, least, bound, unsafe.Pointer(right), end, gen)
	return l, i
}

// insertChild adds a leaf behind the last child of the path. At the end of the tree full nodes stay full.
func (x *index[T]) insertChild(p *path, least ID, bound int64, child unsafe.Pointer, end bool, gen *cow.Generation) {
	for h := x.height - 1; h >= 0; h-- {
		n, at := p[h].n, p[h].i+1
		if n.n < innerItems {
			n.insert(at, least, bound, child)
			return
		}
		right := &inner{stamp: gen.Current()}
		x.bytes += innerSize
		cut := innerItems / 2
		if end {
			cut = innerItems
		}
		right.take(n, cut)
		if !end && at <= cut {
			n.insert(at, least, bound, child)
		} else {
			right.insert(at-cut, least, bound, child)
		}
		least, child = right.least[0], unsafe.Pointer(right)
		_, bound = right.lowest()
	}
	if x.height == maxHeight {
		panic("stream: the index is too high")
	}
	root := &inner{stamp: gen.Current()}
	x.bytes += innerSize
	root.insert(0, ID{}, x.bound, x.root)
	root.insert(1, least, bound, child)
	x.root = unsafe.Pointer(root)
	x.height++
}

// remove removes the item of id and reports whether there was one.
func (x *index[T]) remove(id ID, gen *cow.Generation) bool {
	if _, ok := x.get(id); !ok {
		return false
	}
	var p path
	l := x.ownLeaf(x.descend(&p, id, noBound, gen), gen)
	i, _ := l.search(id)
	l.items = slices.Delete(l.items, i, i+1)
	x.n--
	switch n := len(l.items); {
	case !p.atFront(x.height) && !p.last(x.height):
		if places := l.places(n); cap(l.items)-places >= wasted {
			x.fit(l, places)
		}
	case i > 0 && cap(l.items) > max(2*n, keptRoom):
		x.fit(l, n+keptRoom)
	}
	switch {
	case len(l.items) == 0:
		x.dropLeaf(&p, l, gen)
	case len(l.items) < leafItems/2 && x.height > 0:
		x.mergeLeaf(&p, gen)
	}
	return true
}

// fit copies the items of a leaf to a slice with so many places.
func (x *index[T]) fit(l *leaf[T], places int) {
	x.bytes -= l.size()
	l.items = append(make([]item[T], 0, places), l.items...)
	x.bytes += l.size()
}

// removeFirst removes the first k items, all of which are in the first leaf.
func (x *index[T]) removeFirst(k int, gen *cow.Generation) {
	var p path
	at := x.descend(&p, ID{}, noBound, gen)
	l := (*leaf[T])(*at)
	x.n -= k
	if k == len(l.items) {
		x.dropLeaf(&p, l, gen)
		return
	}
	l = x.ownLeaf(at, gen)
	l.items = slices.Delete(l.items, 0, k)
}

// A branch is a subtree with the fields that an inner node has for a child.
type branch struct {
	least ID
	bound int64
	at    unsafe.Pointer
}

// filter removes the items for whose values keep is false. It reads all leaves once, changes those with such items, merges
// neighbours that have become small, and builds new inner nodes: some nanoseconds an item, which for many items is much less
// than removing them one by one.
func (x *index[T]) filter(keep func(v T) bool, gen *cow.Generation) {
	var row []branch
	var last *leaf[T] // of row, if it may be written
	x.eachLeaf(x.root, x.height, x.bound, func(l *leaf[T], bound int64) {
		n := 0
		for i := range l.items {
			if keep(l.items[i].v) {
				n++
			}
		}
		owned := gen.Owns(l.stamp)
		switch {
		case n == 0:
			return
		case last != nil && len(last.items)+n <= mergedItems:
			if cap(last.items) < len(last.items)+n {
				last.items = append(make([]item[T], 0, leafItems), last.items...)
			}
			last.takeKept(l, keep)
			row[len(row)-1].bound = min(row[len(row)-1].bound, bound)
			return
		case n < len(l.items) && owned && cap(l.items)-l.places(n) < wasted:
			items := l.items
			l.items = items[:0]
			l.takeKept(&leaf[T]{items: items}, keep)
			clear(items[n:])
		case n < len(l.items):
			c := &leaf[T]{stamp: gen.Current(), items: make([]item[T], 0, l.places(n))}
			if !owned {
				gen.Copying(c.size())
			}
			c.takeKept(l, keep)
			l, owned = c, true
		}
		if last = nil; owned {
			last = l
		}
		row = append(row, branch{l.items[0].id, bound, unsafe.Pointer(l)})
	})
	*x = index[T]{bound: noBound}
	for _, b := range row {
		l := (*leaf[T])(b.at)
		x.n += len(l.items)
		x.bytes += l.size()
		x.bound = min(x.bound, b.bound)
	}
	for ; len(row) > 1; x.height++ {
		row = x.rowAbove(row, gen)
	}
	if len(row) == 1 {
		x.root = row[0].at
	}
}

// takeKept appends the items of another leaf that are kept.
func (l *leaf[T]) takeKept(from *leaf[T], keep func(v T) bool) {
	for i := range from.items {
		if keep(from.items[i].v) {
			l.items = append(l.items, from.items[i])
		}
	}
}

// eachLeaf calls fn for each leaf of a subtree, with a lower bound.
func (x *index[T]) eachLeaf(at unsafe.Pointer, height int, bound int64, fn func(l *leaf[T], bound int64)) {
	if at == nil {
		return
	}
	if height == 0 {
		fn((*leaf[T])(at), bound)
		return
	}
	n := (*inner)(at)
	for i := range n.n {
		x.eachLeaf(n.child[i], height-1, n.bound[i], fn)
	}
}

// rowAbove returns new inner nodes whose children are the subtrees of row, about the same number each.
func (x *index[T]) rowAbove(row []branch, gen *cow.Generation) (above []branch) {
	nodes := (len(row) + innerItems - 1) / innerItems
	for i := range nodes {
		n := &inner{stamp: gen.Current()}
		x.bytes += innerSize
		part := row[i*len(row)/nodes : (i+1)*len(row)/nodes]
		up := branch{part[0].least, noBound, unsafe.Pointer(n)}
		for k, b := range part {
			n.insert(k, b.least, b.bound, b.at)
			up.bound = min(up.bound, b.bound)
		}
		above = append(above, up)
	}
	return above
}

// dropLeaf removes the leaf at the path's end from the tree.
func (x *index[T]) dropLeaf(p *path, l *leaf[T], gen *cow.Generation) {
	if x.height == 0 {
		x.bound = noBound
		if cap(l.items) > keptRoom || !gen.Owns(l.stamp) {
			x.root = nil
			x.bytes -= l.size()
			return
		}
		clear(l.items)
		l.items = l.items[:0]
		return
	}
	x.bytes -= l.size()
	x.dropChild(p, x.height-1, gen)
}

// dropChild removes the path's child from the node of row h, and merges or removes nodes of the rows above.
func (x *index[T]) dropChild(p *path, h int, gen *cow.Generation) {
	for ; h >= 0; h-- {
		n := p[h].n
		n.remove(p[h].i)
		switch {
		case n.n == 0:
			x.bytes -= innerSize
			if h == 0 {
				x.root, x.height, x.bound = nil, 0, noBound
				return
			}
			continue // to remove it in turn
		case h > 0 && n.n < innerItems/2 && x.mergeInner(p, h, gen):
			continue
		}
		break
	}
	for x.height > 0 {
		n := (*inner)(x.root)
		if n.n > 1 {
			return
		}
		x.root = n.child[0]
		x.height--
		x.bytes -= innerSize
	}
}

// mergeLeaf merges the leaf at the path's end and a neighbour, if both fit into one.
func (x *index[T]) mergeLeaf(p *path, gen *cow.Generation) {
	h := x.height - 1
	n, i := p[h].n, p[h].i
	count := func(i int) int { return len((*leaf[T])(n.child[i]).items) }
	const limit = mergedItems
	switch {
	case i+1 < n.n && count(i)+count(i+1) <= limit:
	case i > 0 && count(i-1)+count(i) <= limit:
		i--
	default:
		return
	}
	l, r := x.ownLeaf(&n.child[i], gen), (*leaf[T])(n.child[i+1])
	x.bytes -= l.size() + r.size()
	if need := len(l.items) + len(r.items); need > cap(l.items) {
		l.items = append(make([]item[T], 0, leafItems), l.items...)
	}
	l.items = append(l.items, r.items...)
	x.bytes += l.size()
	n.bound[i] = min(n.bound[i], n.bound[i+1])
	p[h].i = i + 1
	x.dropChild(p, h, gen)
}

// mergeInner merges the node of row h and a neighbour, if both fit into one, and sets the path to the child of the row above
// that the caller removes.
func (x *index[T]) mergeInner(p *path, h int, gen *cow.Generation) bool {
	n, i := p[h-1].n, p[h-1].i
	count := func(i int) int { return (*inner)(n.child[i]).n }
	const limit = innerItems * 3 / 4
	switch {
	case i+1 < n.n && count(i)+count(i+1) <= limit:
	case i > 0 && count(i-1)+count(i) <= limit:
		i--
	default:
		return false
	}
	l, r := x.ownInner(&n.child[i], gen), *(*inner)(n.child[i+1])
	// The least of a first child is not a valid bound among others, so take the node's own.
	r.least[0] = n.least[i+1]
	l.take(&r, 0)
	x.bytes -= innerSize
	n.bound[i] = min(n.bound[i], n.bound[i+1])
	p[h-1].i = i + 1
	return true
}

// oldest returns the first ID of the items with the least fn. fn of an item must not be lower than the bound that was passed
// for it.
func (x *index[T]) oldest(fn func(T) int64) (id ID, ok bool) {
	if x.n == 0 {
		return ID{}, false
	}
descent:
	for {
		at, above := x.root, &x.bound
		for range x.height {
			n := (*inner)(at)
			i, bound := n.lowest()
			if bound > *above {
				*above = bound
				continue descent
			}
			at, above = n.child[i], &n.bound[i]
		}
		items := (*leaf[T])(at).items
		least, when := 0, fn(items[0].v)
		for i := range items[1:] {
			if t := fn(items[i+1].v); t < when {
				least, when = i+1, t
			}
		}
		if when > *above {
			*above = when
			continue
		}
		return items[least].id, true
	}
}

// each calls fn for each item in order until it returns false.
func (x *index[T]) each(fn func(id ID, v T) bool) {
	for l, i := x.seek(ID{}); l != nil; l, i = x.after(l) {
		for ; i < len(l.items); i++ {
			if !fn(l.items[i].id, l.items[i].v) {
				return
			}
		}
	}
}

// after returns the place of the first item behind a leaf that has items.
func (x *index[T]) after(l *leaf[T]) (*leaf[T], int) {
	id, ok := l.items[len(l.items)-1].id.Next()
	if !ok {
		return nil, 0
	}
	return x.seek(id)
}

// before returns the place of the last item before a leaf that has items.
func (x *index[T]) before(l *leaf[T]) (*leaf[T], int) {
	id, ok := l.items[0].id.Prev()
	if !ok {
		return nil, 0
	}
	return x.seekBack(id)
}

// cloneIndex returns a copy that shares nothing with x; fn copies a value.
func cloneIndex[T any](x *index[T], stamp uint64, fn func(T) T) index[T] {
	var clone func(at unsafe.Pointer, height int) unsafe.Pointer
	clone = func(at unsafe.Pointer, height int) unsafe.Pointer {
		if height == 0 {
			l := (*leaf[T])(at)
			c := &leaf[T]{stamp: stamp, items: append(make([]item[T], 0, cap(l.items)), l.items...)}
			for i := range c.items {
				c.items[i].v = fn(c.items[i].v)
			}
			return unsafe.Pointer(c)
		}
		c := *(*inner)(at)
		c.stamp = stamp
		for i := range c.n {
			c.child[i] = clone(c.child[i], height-1)
		}
		return unsafe.Pointer(&c)
	}
	c := *x
	if x.root != nil {
		c.root = clone(x.root, x.height)
	}
	return c
}
