package quicklist

import (
	"unsafe"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/lzf"
	"ferrous/datatypes/mem"
)

// node is one node. Its content is a listpack, at buf[off:off+size], or one element, at buf[:size]. The length of buf is its
// capacity then. If the node is compressed, all of buf is LZF data, and size is the size of the decompressed content.
type node struct {
	stamp uint64
	buf   []byte
	size  int
	off   uint32
	count uint32 // elements
	plain bool
	lzf   bool
}

const nodeSize = int(unsafe.Sizeof(node{}))

// alloc returns n bytes with the capacity of the size class that they come from.
func alloc(n int) []byte { return make([]byte, n, mem.Size(n)) }

// memory returns the bytes that the node holds.
func (n *node) memory() int { return mem.SizePtr(nodeSize) + mem.Size(cap(n.buf)) }

// raw returns the content of a node that is not compressed.
func (n *node) raw() []byte {
	end := int(n.off) + n.size
	return n.buf[n.off:end:end]
}

// pack returns the listpack of a node that is neither compressed nor plain, with the room behind it as its capacity.
func (n *node) pack() listpack.Listpack { return listpack.Listpack(n.buf[n.off : int(n.off)+n.size]) }

// setPack stores a listpack that was made from pack, or a new one.
func (n *node) setPack(lp listpack.Listpack, count int) {
	if &lp[0] != &n.buf[n.off] {
		n.buf, n.off = lp[:cap(lp)], 0
	}
	n.size, n.count = len(lp), uint32(count)
}

// setPlain stores a copy of s.
func (n *node) setPlain(s []byte) {
	b := alloc(len(s))
	copy(b, s)
	n.buf, n.size, n.plain = b[:cap(b)], len(s), true
}

// expand decompresses a compressed node that is for writing.
func (n *node) expand() {
	b := n.decompressed(nil)
	n.buf, n.lzf = b[:cap(b)], false
}

// decompressed returns the content of a compressed node, in scratch if that has the capacity.
func (n *node) decompressed(scratch []byte) []byte {
	if cap(scratch) < n.size {
		scratch = alloc(n.size)
	}
	scratch = scratch[:n.size]
	if err := lzf.Decompress(scratch, n.buf); err != nil {
		panic("quicklist: a compressed node is damaged: " + err.Error())
	}
	return scratch
}

// content returns the content of any node. That of a compressed one is written to *scratch, which is replaced if it is too
// small.
func (n *node) content(scratch *[]byte) []byte {
	if !n.lzf {
		return n.raw()
	}
	b := n.decompressed(*scratch)
	*scratch = b
	return b
}

// clone copies a node with the room in its buffer.
func (n *node) clone(stamp uint64) *node {
	c := *n
	c.stamp = stamp
	c.buf = alloc(len(n.buf))
	if n.lzf {
		copy(c.buf, n.buf)
	} else {
		c.buf = c.buf[:cap(c.buf)]
		copy(c.buf[n.off:], n.raw())
	}
	return &c
}

// newNode returns a node with one element, plain if the element is large. atHead says from which side the node will be
// filled.
func (l *List) newNode(s []byte, atHead bool) *node {
	if l.large(len(s)) {
		n := &node{stamp: l.set.gen.Current(), count: 1}
		n.setPlain(s)
		return n
	}
	e := listpack.Of(s)
	size := listpack.Overhead + e.Size()
	// A long list will fill the node; a short one must not take much more than it needs.
	room := l.room(size, max(2*size, l.bytes/8), e.Size(), 1)
	n := l.set.spare(size, room)
	if n == nil {
		n = &node{buf: make([]byte, room)}
	}
	*n = node{stamp: l.set.gen.Current(), buf: n.buf, size: size, count: 1}
	if atHead {
		n.off = uint32(len(n.buf) - size)
	}
	e.Put(n.buf[int(n.off)+listpack.HeaderSize:])
	n.finish()
	return n
}

// keep stores a node that was removed from an end for the next one that is made, unless a snapshot may be reading it.
func (l *List) keep(n *node) {
	if s := l.set; !n.plain && s.gen.Owns(n.stamp) && len(n.buf) <= maxSpareSize {
		if len(s.spares) == maxSpares { // drop the oldest
			copy(s.spares, s.spares[1:])
			s.spares = s.spares[:maxSpares-1]
		}
		s.spares = append(s.spares, n)
	}
}

// maxSpareSize is the largest buffer that is kept: that of a full node at a fill of -3.
const maxSpareSize = 16 << 10

// spare returns a node that was kept, with a buffer of size to room bytes; nil if there is none.
func (s *Settings) spare(size, room int) *node {
	for i := len(s.spares) - 1; i >= 0; i-- {
		if n := s.spares[i]; len(n.buf) >= size && len(n.buf) <= room {
			last := len(s.spares) - 1
			s.spares[i], s.spares[last] = s.spares[last], nil
			s.spares = s.spares[:last]
			return n
		}
	}
	return nil
}

// packNode returns a node of a new listpack.
func (l *List) packNode(lp listpack.Listpack, count int) *node {
	return &node{stamp: l.set.gen.Current(), buf: lp[:cap(lp)], size: len(lp), count: uint32(count)}
}

// finish writes header and terminator.
func (n *node) finish() {
	lp := n.pack()
	lp.PutHeader(int(n.count))
	lp[len(lp)-1] = 0xff
}

// limit returns the bytes that a node is filled to.
func (l *List) limit() int {
	if l.fill < 0 {
		return 2048 << -l.fill
	}
	return safetyLimit
}

// room returns the buffer size for a node at an end of the list that needs need bytes: want bytes, but not more than the node
// can ever use if its further elements are of entry bytes, like the last one.
func (l *List) room(need, want, entry, count int) int {
	if l.fill >= 0 {
		want = min(want, need+max(int(l.fill)-count, 0)*entry)
	}
	return mem.Size(min(want, max(l.limit(), need)))
}

// makeRoom makes entry bytes of room before the listpack (front) or behind it, by moving it within its buffer or to a larger
// one. Three quarters of the remaining free bytes go to the same side and a quarter to the other, so that pushing to both
// sides alternately does not move it each time. It returns by how much the buffer's memory has grown.
func (n *node) makeRoom(entry int, front bool, l *List) int {
	need := n.size + entry
	old, buf := n.raw(), n.buf
	if free := len(buf) - need; free < need/8 {
		if room := l.room(need, 2*need, entry, int(n.count)+1); room > len(buf) {
			buf = make([]byte, room)
		}
	}
	free := len(buf) - need
	off := free / 4
	if front {
		off = free - free/4 + entry
	}
	copy(buf[off:], old)
	grown := mem.Size(cap(buf)) - mem.Size(cap(n.buf))
	n.buf, n.off = buf, uint32(off)
	return grown
}

// pushFront puts an entry in front and returns by how much the node's memory has grown.
func (n *node) pushFront(e listpack.Entry, l *List) (grown int) {
	size := e.Size()
	if int(n.off) < size {
		grown = n.makeRoom(size, true, l)
	}
	n.off -= uint32(size)
	n.size += size
	n.count++
	e.Put(n.buf[int(n.off)+listpack.HeaderSize:])
	n.pack().PutHeader(int(n.count))
	return grown
}

// pushBack puts an entry at the end and returns by how much the node's memory has grown.
func (n *node) pushBack(e listpack.Entry, l *List) (grown int) {
	size := e.Size()
	if int(n.off)+n.size+size > len(n.buf) {
		grown = n.makeRoom(size, false, l)
	}
	e.Put(n.buf[int(n.off)+n.size-1:])
	n.size += size
	n.count++
	n.finish()
	return grown
}

// popFront removes the first of several elements by moving the start of the listpack.
func (n *node) popFront() {
	size := n.pack().EntrySize(listpack.HeaderSize)
	n.off += uint32(size)
	n.size -= size
	n.count--
	n.pack().PutHeader(int(n.count))
}

// popBack removes the last of several elements.
func (n *node) popBack() {
	n.size = n.pack().Last() + 1
	n.count--
	n.finish()
}

// trim frees the room in the buffer if it is more than an eighth, and returns by how much the node's memory has grown: 0 or
// less.
func (n *node) trim() int {
	if n.plain || n.lzf || len(n.buf)-n.size <= n.size/8 || mem.Size(n.size) >= cap(n.buf) {
		return 0
	}
	buf := alloc(n.size)
	copy(buf, n.raw())
	grown := mem.Size(cap(buf)) - mem.Size(cap(n.buf))
	n.buf, n.off = buf[:cap(buf)], 0
	return grown
}
