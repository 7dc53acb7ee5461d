package quicklist

import (
	"unsafe"

	"ferrous/datatypes/mem"
)

// fan is the number of children of a branch; it makes a branch fill the size class of 1024 bytes.
const fan = 50

// branch is a branch of the tree of inner nodes. At level 0 the children are nodes, above that branches of the level
// below. A full branch splits in the middle and leaves two half full ones, but at an end of the tree it stays full. So a list
// that grows at its ends has full branches. A branch that has become small is joined with a neighbour if both fit into one.
type branch struct {
	stamp uint64
	n     int32 // children
	level int32
	elems [fan]int   // elements below each child
	nodes [fan]int32 // nodes below each child
	kid   [fan]unsafe.Pointer
}

var branchSize = mem.SizePtr(int(unsafe.Sizeof(branch{})))

func (b *branch) node(i int) *node  { return (*node)(b.kid[i]) }
func (b *branch) sub(i int) *branch { return (*branch)(b.kid[i]) }

// child returns the child of b that node i below b is in, and the node's index there.
func (b *branch) child(i int) (c, rest int) {
	for i >= int(b.nodes[c]) {
		i -= int(b.nodes[c])
		c++
	}
	return c, i
}

// totals returns the numbers of elements and nodes below b.
func (b *branch) totals() (elems, nodes int) {
	for i := range int(b.n) {
		elems += b.elems[i]
		nodes += int(b.nodes[i])
	}
	return elems, nodes
}

// setKid makes k child c of b and sets the counts of this child.
func (b *branch) setKid(c int, k *branch) {
	elems, nodes := k.totals()
	b.kid[c], b.elems[c], b.nodes[c] = unsafe.Pointer(k), elems, int32(nodes)
}

// deepClone copies a branch and all below it.
func (b *branch) deepClone(stamp uint64) *branch {
	c := *b
	c.stamp = stamp
	for i := range int(c.n) {
		if c.level == 0 {
			c.kid[i] = unsafe.Pointer(c.node(i).clone(stamp))
		} else {
			c.kid[i] = unsafe.Pointer(c.sub(i).deepClone(stamp))
		}
	}
	return &c
}

// View is a list as it was at one moment: the first node, the last (nil if it is the first too), and the tree of those
// between (nil if there are none).
type View struct {
	head, tail *node
	root       *branch
	nodes      int
	count      int
}

// Len returns the number of elements.
func (v *View) Len() int { return v.count }

// last returns the last node, nil if there is none.
func (v *View) last() *node {
	if v.tail != nil {
		return v.tail
	}
	return v.head
}

// nodeAt returns node i.
func (v *View) nodeAt(i int) *node {
	if i == 0 {
		return v.head
	}
	if i == v.nodes-1 {
		return v.tail
	}
	b, i := v.leaf(i)
	return b.node(i)
}

// leaf returns the branch that holds node i, which is neither first nor last, and its index there.
func (v *View) leaf(i int) (*branch, int) {
	b := v.root
	i--
	for b.level > 0 {
		c, rest := b.child(i)
		b, i = b.sub(c), rest
	}
	return b, i
}

// locate returns the node that holds the element at index, 0 <= index < count, and the element's index in it.
func (v *View) locate(index int) (node, offset int) {
	if index < int(v.head.count) {
		return 0, index
	}
	if first := v.count - int(v.last().count); index >= first {
		return v.nodes - 1, index - first
	}
	index -= int(v.head.count)
	node = 1
	for b := v.root; ; {
		c := 0
		for index >= b.elems[c] {
			index -= b.elems[c]
			node += int(b.nodes[c])
			c++
		}
		if b.level == 0 {
			return node, index
		}
		b = b.sub(c)
	}
}

// own returns a branch for writing.
func (l *List) own(b *branch) *branch {
	if l.set.gen.Owns(b.stamp) {
		return b
	}
	c := *b
	c.stamp = l.set.gen.Copying(branchSize)
	return &c
}

func (l *List) newBranch(level int32) *branch {
	l.bytes += branchSize
	b := l.set.branch
	if b == nil {
		b = new(branch)
	}
	l.set.branch = nil
	*b = branch{stamp: l.set.gen.Current(), level: level}
	return b
}

// setNode makes n node i, with the count it has now.
func (l *List) setNode(i int, n *node) {
	switch i {
	case 0:
		l.head = n
	case l.nodes - 1:
		l.tail = n
	default:
		l.root, _ = l.setBelow(l.root, i-1, n)
	}
}

// setBelow makes n node i below b. It returns b for writing, and by how much the number of elements has grown.
func (l *List) setBelow(b *branch, i int, n *node) (*branch, int) {
	b = l.own(b)
	if b.level == 0 {
		grown := int(n.count) - b.elems[i]
		b.kid[i] = unsafe.Pointer(n)
		b.elems[i] += grown
		return b, grown
	}
	c, rest := b.child(i)
	k, grown := l.setBelow(b.sub(c), rest, n)
	b.kid[c] = unsafe.Pointer(k)
	b.elems[c] += grown
	return b, grown
}

// link inserts n as node i.
func (l *List) link(i int, n *node) {
	switch {
	case l.nodes == 0:
		l.head = n
	case i == 0:
		if l.nodes == 1 {
			l.tail = l.head
		} else {
			l.grow(0, l.head)
		}
		l.head = n
	case i == l.nodes:
		if l.nodes > 1 {
			l.grow(i-2, l.tail)
		}
		l.tail = n
	default:
		l.grow(i-1, n)
	}
	l.nodes++
}

// unlink removes node i.
func (l *List) unlink(i int) {
	switch {
	case l.nodes == 1:
		l.head = nil
	case l.nodes == 2:
		if i == 0 {
			l.head = l.tail
		}
		l.tail = nil
	case i == 0:
		l.head = l.nodeAt(1)
		l.shrink(0)
	case i == l.nodes-1:
		l.tail = l.nodeAt(i - 1)
		l.shrink(i - 2)
	default:
		l.shrink(i - 1)
	}
	l.nodes--
}

// grow puts n into the tree as node i.
func (l *List) grow(i int, n *node) {
	if l.root == nil {
		l.root = l.newBranch(0)
	}
	left, right := l.insertBelow(l.root, i, n, i == 0 || i == l.nodes-2)
	if right != nil {
		root := l.newBranch(left.level + 1)
		root.n = 2
		root.setKid(0, left)
		root.setKid(1, right)
		left = root
	}
	l.root = left
}

// insertBelow inserts n below b as node i; end says that i is at an end of the whole tree. It returns b for writing and, if b
// was full, the branch that was split off it.
func (l *List) insertBelow(b *branch, i int, n *node, end bool) (left, right *branch) {
	b = l.own(b)
	if b.level == 0 {
		return b, l.addKid(b, i, unsafe.Pointer(n), int(n.count), 1, end)
	}
	c := 0
	for i > int(b.nodes[c]) {
		i -= int(b.nodes[c])
		c++
	}
	k, split := l.insertBelow(b.sub(c), i, n, end)
	if split == nil {
		b.kid[c] = unsafe.Pointer(k)
		b.elems[c] += int(n.count)
		b.nodes[c]++
		return b, nil
	}
	b.setKid(c, k)
	elems, nodes := split.totals()
	return b, l.addKid(b, c+1, unsafe.Pointer(split), elems, int32(nodes), end)
}

// addKid puts a child at index c of b, which is for writing. A full branch is split in the middle, or at an end of the tree
// so that one branch stays full. addKid returns the new right branch.
func (l *List) addKid(b *branch, c int, kid unsafe.Pointer, elems int, nodes int32, end bool) (right *branch) {
	n := int(b.n)
	if n == fan {
		at := fan / 2
		if end && (c == 0 || c == fan) {
			at = c
		}
		right = l.newBranch(b.level)
		right.move(0, b, at, fan-at)
		right.n = int32(fan - at)
		b.clear(at, fan)
		b.n = int32(at)
		if c > at || at == fan {
			b, c = right, c-at
		}
		n = int(b.n)
	}
	b.move(c+1, b, c, n-c)
	b.kid[c], b.elems[c], b.nodes[c] = kid, elems, nodes
	b.n++
	return right
}

// move copies n children of src from index from on to index to of b.
func (b *branch) move(to int, src *branch, from, n int) {
	copy(b.kid[to:], src.kid[from:from+n])
	copy(b.elems[to:], src.elems[from:from+n])
	copy(b.nodes[to:], src.nodes[from:from+n])
}

// clear clears the pointers to the children of a range, so that the children can be garbage collected.
func (b *branch) clear(from, to int) { clear(b.kid[from:to]) }

// shrink removes node i from the tree.
func (l *List) shrink(i int) {
	l.root = l.removeBelow(l.root, i)
	for l.root != nil && l.root.level > 0 && l.root.n == 1 {
		l.root = l.root.sub(0)
		l.bytes -= branchSize
	}
}

// removeBelow removes node i below b. It returns b for writing, nil if b has no children left.
func (l *List) removeBelow(b *branch, i int) *branch {
	b = l.own(b)
	if b.level == 0 {
		l.dropKid(b, i)
	} else {
		c, rest := b.child(i)
		if k := l.removeBelow(b.sub(c), rest); k == nil {
			l.dropKid(b, c)
		} else {
			b.setKid(c, k)
			l.join(b, c)
		}
	}
	if b.n == 0 {
		l.bytes -= branchSize
		l.set.branch = b // owned, so no snapshot reads it
		return nil
	}
	return b
}

func (l *List) dropKid(b *branch, c int) {
	n := int(b.n)
	b.move(c, b, c+1, n-c-1)
	b.clear(n-1, n)
	b.n--
}

// join merges child c of b, if it has become small, with a neighbour that has enough room.
func (l *List) join(b *branch, c int) {
	if b.sub(c).n > fan/4 {
		return
	}
	for _, left := range [2]int{c - 1, c} {
		if left < 0 || left+1 >= int(b.n) {
			continue
		}
		x, y := b.sub(left), b.sub(left+1)
		if x.n+y.n > fan*3/4 {
			continue
		}
		x = l.own(x)
		x.move(int(x.n), y, 0, int(y.n))
		x.n += y.n
		b.setKid(left, x)
		l.dropKid(b, left+1)
		l.bytes -= branchSize
		return
	}
}
