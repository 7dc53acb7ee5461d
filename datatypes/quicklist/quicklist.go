// Package quicklist is the large encoding of lists: a sequence of nodes, each a listpack of some KiB or one huge element by
// itself ("plain"). Its nodes are copy-on-write.
//
// # Structure
//
// The list points to its first and last node itself, so that pushing and popping use one node and nothing else. The nodes
// between them are the leaves of a counted tree (tree.go): each branch has the numbers of nodes and of elements below each of
// its children, so that an element is found by its index in O(log n), and a node is inserted or removed anywhere in O(log n).
// Growing never copies more than one branch of 50 entries.
//
// The listpack of a node may begin anywhere in the node's buffer, with room before and behind it. Popping the first element
// moves the header forward instead of the elements back; pushing in front uses the room there.
//
// # Redis's rules
//
// When a node takes one more element, when it is split and when two are merged follows Redis 7.2 (src/quicklist.c), so that
// node boundaries, which are visible in RDB files and DEBUG OBJECT, are the same: the fill (list-max-listpack-size) bounds a
// node by bytes (-1..-5: 4, 8, 16, 32, 64 KiB) or by elements (with 8 KiB as a bound for more than one), an element not
// smaller than the packed threshold gets a plain node, and with a compress depth of d (list-compress-depth) all nodes but the
// first d and the last d are stored compressed (LZF) where that saves at least eight bytes. Unlike Redis, reading a
// compressed node decompresses a copy, since a snapshot may be reading the node too. A list keeps the fill and depth that it
// was made with.
//
// # Copy-on-write
//
// Nodes and branches carry stamps (package cow). While a snapshot is held, a node or branch with an older stamp is copied
// before it is changed: one end of the list costs one node, the middle a node and the branches above it. A View is the list
// at one moment: five words, and another goroutine may read it while the owner changes the list. The List struct is not
// copy-on-write by itself: an owner whose snapshots can reach it calls Own before a change and stores the List that Own
// returns.
//
// A List belongs to the goroutine that owns the data.
package quicklist

import (
	"math"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/lzf"
	"ferrous/datatypes/mem"
)

// Limits of Redis.
const (
	safetyLimit       = 8192 // bytes of a node bounded by elements, if it has more than one
	entryOverhead     = 8    // estimate of the bytes of an element beyond its text
	minCompressBytes  = 48   // smaller nodes are not compressed
	minCompressProfit = 8
	defaultThreshold  = 1 << 30
	maxThreshold      = 1<<32 - 1<<20
	maxFill           = math.MaxInt16
	maxDepth          = math.MaxUint16
)

// Settings has the state that all lists of a server share. Use NewSettings.
type Settings struct {
	gen       *cow.Generation
	threshold int

	encoder   lzf.Encoder
	room      []byte // buffer of the LZF encoder
	scratch   []byte // decompressed node
	spares    []*node
	branch    *branch // a removed branch, reused for the next new one
	positions []int   // elements of a node that are to be deleted
}

// maxSpares is the number of removed end nodes that are kept. A list that is pushed to and popped from at the border of a
// node uses the same node again and again.
const maxSpares = 4

// NewSettings returns settings for lists with the stamps of gen.
func NewSettings(gen *cow.Generation) *Settings {
	return &Settings{gen: gen, threshold: defaultThreshold}
}

// SetPackedThreshold sets the size in bytes from which an element gets a node of its own (DEBUG
// QUICKLIST-PACKED-THRESHOLD); 0 restores 1 GiB. It reports false for sizes that Redis refuses: more than 4 GiB minus 1 MiB.
func (s *Settings) SetPackedThreshold(n uint64) bool {
	if n > maxThreshold {
		return false
	}
	if n == 0 {
		n = defaultThreshold
	}
	s.threshold = int(n)
	return true
}

// NodeLimit returns the bounds of a node for a fill (list-max-listpack-size): bytes or elements; the other one is
// math.MaxInt.
func NodeLimit(fill int) (size, count int) {
	if fill >= 0 {
		return math.MaxInt, max(fill, 1)
	}
	return 2048 << min(-fill, 5), math.MaxInt
}

// ExceedsLimit reports whether a node, or a list in one listpack, would be too large with this many bytes and elements. A
// list stays a listpack as long as ExceedsLimit is false for the listpack's length plus the texts to add, and the number of
// elements with them.
func ExceedsLimit(fill, size, count int) bool {
	if fill >= 0 {
		return size > safetyLimit || count > max(fill, 1)
	}
	return size > 2048<<min(-fill, 5)
}

// List is a quicklist. Use New or FromListpack.
type List struct {
	View
	set   *Settings
	stamp uint64
	bytes int // of nodes and branches
	fill  int16
	depth uint16
}

const listSize = int(unsafe.Sizeof(List{}))

// New returns an empty list with a fill (list-max-listpack-size) and a compress depth (list-compress-depth), limited to
// Redis's ranges: -5..32767 and 0..65535.
func New(set *Settings, fill, depth int) *List {
	return &List{
		set:   set,
		stamp: set.gen.Current(),
		fill:  int16(max(min(fill, maxFill), -5)),
		depth: uint16(max(min(depth, maxDepth), 0)),
	}
}

// FromListpack returns a list whose only node is lp, which it takes over.
func FromListpack(set *Settings, fill, depth int, lp listpack.Listpack) *List {
	l := New(set, fill, depth)
	l.AppendListpack(lp)
	return l
}

// Listpack returns the elements as one listpack if Redis would turn the list back into one: it has a single node that is not
// plain, within the bounds of fill, the fill configured now. When shrinking (after elements were removed, not for a new list)
// half of these bounds count. If ok, the list must not be used any more.
func (l *List) Listpack(fill int, shrinking bool) (listpack.Listpack, bool) {
	if l.nodes != 1 || l.head.plain {
		return nil, false
	}
	size, count := NodeLimit(fill)
	if shrinking {
		size, count = size/2, count/2
	}
	n := l.head
	if n.size > size || l.count > count {
		return nil, false
	}
	if lp := n.pack(); n.off > 0 || !l.set.gen.Owns(n.stamp) {
		return lp.Clone(), true
	}
	return n.pack().ShrinkToFit(), true
}

// Own returns the list to change: l itself, or, while a snapshot that can reach l is held, a copy that shares all nodes with
// l. The owner replaces l by the copy in its record; l stays unchanged for the snapshot.
func (l *List) Own() *List {
	if l.set.gen.Owns(l.stamp) {
		return l
	}
	c := *l
	c.stamp = l.set.gen.Current()
	return &c
}

// Snapshot returns the list as it is now. Taken after Generation.Pin, it may be read by another goroutine until Unpin.
func (l *List) Snapshot() View { return l.View }

// Clone returns an independent copy.
func (l *List) Clone() *List {
	c := *l
	stamp := l.set.gen.Current()
	c.stamp = stamp
	if l.head != nil {
		c.head = l.head.clone(stamp)
	}
	if l.tail != nil {
		c.tail = l.tail.clone(stamp)
	}
	if l.root != nil {
		c.root = l.root.deepClone(stamp)
	}
	return &c
}

// Size returns the bytes of memory that the list holds.
func (l *List) Size() int { return mem.SizePtr(listSize) + l.bytes }

// Fill returns the fill that the list was made with.
func (l *List) Fill() int { return int(l.fill) }

// Depth returns the compress depth that the list was made with.
func (l *List) Depth() int { return int(l.depth) }

// large reports whether an element of n bytes gets a plain node.
func (l *List) large(n int) bool { return n >= l.set.threshold }

// allowInsert reports whether a node may take an element whose text has this many bytes.
func (l *List) allowInsert(n *node, size int) bool {
	return n != nil && !n.plain && !l.large(size) && !ExceedsLimit(int(l.fill), n.size+size+entryOverhead, int(n.count)+1)
}

// allowMerge reports whether two neighbours may become one node.
func (l *List) allowMerge(a, b *node) bool {
	return !a.plain && !b.plain && !ExceedsLimit(int(l.fill), a.size+b.size-listpack.Overhead, int(a.count)+int(b.count))
}

// PushHead puts s in front.
func (l *List) PushHead(s []byte) {
	if n := l.head; l.allowInsert(n, len(s)) {
		n = l.ownHead()
		e := listpack.Of(s)
		l.bytes += n.pushFront(e, l)
		l.count++
		return
	}
	l.pushNode(0, s)
}

// PushTail puts s at the end.
func (l *List) PushTail(s []byte) {
	if n := l.last(); l.allowInsert(n, len(s)) {
		n = l.ownTail()
		e := listpack.Of(s)
		l.bytes += n.pushBack(e, l)
		l.count++
		return
	}
	l.pushNode(l.nodes, s)
}

// pushNode puts s into a new node at one end, which becomes node i. It frees the unused room of the node that was at this
// end.
func (l *List) pushNode(i int, s []byte) {
	if l.nodes > 0 {
		old := l.head
		if i > 0 {
			old = l.last()
		}
		if l.set.gen.Owns(old.stamp) {
			l.bytes += old.trim()
		}
	}
	l.insertNode(i, l.newNode(s, i == 0))
}

// ownHead returns the first node for writing.
func (l *List) ownHead() *node {
	if !l.set.gen.Owns(l.head.stamp) {
		l.head = l.head.clone(l.set.gen.Copying(l.head.memory()))
	}
	return l.head
}

// ownTail returns the last node for writing.
func (l *List) ownTail() *node {
	if l.tail == nil {
		return l.ownHead()
	}
	if !l.set.gen.Owns(l.tail.stamp) {
		l.tail = l.tail.clone(l.set.gen.Copying(l.tail.memory()))
	}
	return l.tail
}

// Head returns the first element of a list that is not empty. It is valid until the list is changed.
func (v *View) Head() listpack.Value {
	n := v.head
	if n.plain {
		return listpack.Value{Str: n.buf[:n.size:n.size]}
	}
	return n.pack().Get(listpack.HeaderSize)
}

// Tail returns the last element of a list that is not empty. It is valid until the list is changed.
func (v *View) Tail() listpack.Value {
	n := v.last()
	if n.plain {
		return listpack.Value{Str: n.buf[:n.size:n.size]}
	}
	lp := n.pack()
	return lp.Get(lp.Last())
}

// DropHead removes the first element of a list that is not empty.
func (l *List) DropHead() {
	if n := l.head; n.count == 1 {
		l.removeNode(0)
		l.keep(n)
		return
	}
	l.ownHead().popFront()
	l.count--
}

// DropTail removes the last element of a list that is not empty.
func (l *List) DropTail() {
	if n := l.last(); n.count == 1 {
		l.removeNode(l.nodes - 1)
		l.keep(n)
		return
	}
	l.ownTail().popBack()
	l.count--
}

// PopHead removes the first element and returns it. A string is copied to scratch[:0], or to new memory if scratch is too
// small. ok is false for an empty list.
func (l *List) PopHead(scratch []byte) (v listpack.Value, ok bool) {
	if l.count == 0 {
		return v, false
	}
	v = detach(l.Head(), scratch)
	l.DropHead()
	return v, true
}

// PopTail is PopHead for the last element.
func (l *List) PopTail(scratch []byte) (v listpack.Value, ok bool) {
	if l.count == 0 {
		return v, false
	}
	v = detach(l.Tail(), scratch)
	l.DropTail()
	return v, true
}

func detach(v listpack.Value, scratch []byte) listpack.Value {
	if v.Str != nil {
		if v.Str = append(scratch[:0], v.Str...); v.Str == nil {
			v.Str = []byte{}
		}
	}
	return v
}

// AppendListpack puts a listpack at the end as a node of its own and takes it over. An empty one is dropped. It is for
// loading: nodes stay as they were saved.
func (l *List) AppendListpack(lp listpack.Listpack) {
	if n := lp.Len(); n > 0 {
		l.insertNode(l.nodes, &node{stamp: l.set.gen.Current(), buf: lp[:cap(lp)], size: len(lp), count: uint32(n)})
	}
}

// AppendPlain puts b at the end as a plain node and takes it over. It is for loading.
func (l *List) AppendPlain(b []byte) {
	l.insertNode(l.nodes, &node{stamp: l.set.gen.Current(), buf: b[:cap(b)], size: len(b), count: 1, plain: true})
}

// insertNode puts a node at index i, and compresses nodes that are beyond the compress depth now.
func (l *List) insertNode(i int, n *node) {
	l.bytes += n.memory()
	l.count += int(n.count)
	l.link(i, n)
	if d := int(l.depth); d > 0 {
		if i <= d {
			l.compressAt(d)
		}
		if i >= l.nodes-1-d {
			l.compressAt(l.nodes - 1 - d)
		}
		l.compressAt(i)
	}
}

// removeNode removes node i, and decompresses the nodes that are within the compress depth now.
func (l *List) removeNode(i int) {
	n := l.nodeAt(i)
	l.bytes -= n.memory()
	l.count -= int(n.count)
	l.unlink(i)
	if d := int(l.depth); d > 0 {
		l.decompressAt(d - 1)
		l.decompressAt(l.nodes - d)
	}
}

// inner reports whether node i is far enough from both ends to be compressed.
func (l *List) inner(i int) bool {
	d := int(l.depth)
	return d > 0 && i >= d && i < l.nodes-d
}

// compressAt compresses node i if it is an inner one.
func (l *List) compressAt(i int) {
	if !l.inner(i) {
		return
	}
	n := l.nodeAt(i)
	if n.lzf || n.size < minCompressBytes {
		return
	}
	if b := l.set.compress(n.raw()); b != nil {
		l.bytes -= n.memory()
		n = l.ownShell(n)
		n.buf, n.off, n.lzf = b, 0, true
		l.bytes += n.memory()
		l.setNode(i, n)
	}
}

// decompressAt decompresses node i, if there is one.
func (l *List) decompressAt(i int) {
	if i < 0 || i >= l.nodes {
		return
	}
	n := l.nodeAt(i)
	if !n.lzf {
		return
	}
	l.bytes -= n.memory()
	n = l.ownShell(n)
	n.expand()
	l.bytes += n.memory()
	l.setNode(i, n)
}

// ownShell returns the node for writing; unlike own it does not copy the buffer, which the caller replaces.
func (l *List) ownShell(n *node) *node {
	if l.set.gen.Owns(n.stamp) {
		return n
	}
	c := *n
	c.stamp = l.set.gen.Copying(mem.SizePtr(nodeSize))
	return &c
}

// compress returns b compressed, nil if this saves too little.
func (s *Settings) compress(b []byte) []byte {
	if cap(s.room) < len(b) {
		s.room = make([]byte, mem.Size(len(b)))
	}
	n := s.encoder.Compress(s.room[:len(b)], b)
	if n == 0 || n+minCompressProfit >= len(b) {
		return nil
	}
	c := alloc(n)
	copy(c, s.room)
	return c
}

// edit returns node i decompressed and for writing. The caller changes it, leaves at least one element, and passes it to
// done. In between the list's counts do not include it.
func (l *List) edit(i int) *node {
	n := l.nodeAt(i)
	l.bytes -= n.memory()
	l.count -= int(n.count)
	switch {
	case n.lzf:
		n = l.ownShell(n)
		n.expand()
	case !l.set.gen.Owns(n.stamp):
		n = n.clone(l.set.gen.Copying(n.memory()))
	}
	return n
}

// done stores the changed node i.
func (l *List) done(i int, n *node) {
	if l.inner(i) && n.size >= minCompressBytes {
		if b := l.set.compress(n.raw()); b != nil {
			n.buf, n.off, n.lzf = b, 0, true
		}
	}
	l.bytes += n.memory()
	l.count += int(n.count)
	l.setNode(i, n)
}
