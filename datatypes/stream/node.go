package stream

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
)

// A node is a listpack of integers, fields and values (Redis 7, the opening comment of src/t_stream.c, and streamAppendItem):
//
//	master entry:  entries | deleted entries | number of fields n | field 1 ... field n | 0
//	each entry:    flags | ms | seq | number of fields | field 1 | value 1 ... | elements of the entry before this one
//	with the same fields as the master entry:
//	               flags | ms | seq | value 1 ... value n | elements of the entry before this one
//
// ms and seq are relative to the node's master ID. A deleted entry keeps its place and is marked; entries counts the others.
// Foreign nodes that passed Validate may hold entries whose IDs do not ascend: they are stored and counted, but not every
// search finds them.
//
// The index holds nodes by value. A listpack begins with its length, so a node is a pointer and a stamp. The capacity of its
// buffer is the allocator's size class for that length. Only the last node, to which entries are appended, may have more:
// see Stream.tail.
type node struct {
	p     *byte // the listpack
	stamp uint64
}

// A tail is the last node, whose buffer may be larger than the size class of its length.
type tail struct {
	p    *byte // nil if there is none
	room int
}

// lp returns the node's listpack for reading, or for writing that does not change its length.
func (n node) lp() listpack.Listpack {
	return unsafe.Slice(n.p, binary.LittleEndian.Uint32(unsafe.Slice(n.p, 4)))
}

// room returns the capacity of the node's buffer.
func (s *Stream) room(n node) int {
	if n.p == s.tail.p {
		return s.tail.room
	}
	return mem.Size(len(n.lp()))
}

// writable returns the listpack of an owned node with its room, for changes. The caller passes the result to settle.
func (s *Stream) writable(n node) listpack.Listpack {
	return unsafe.Slice(n.p, s.room(n))[:len(n.lp())]
}

// fitted returns lp in a buffer of the size class of its length.
func fitted(lp listpack.Listpack) listpack.Listpack {
	if cap(lp) != mem.Size(len(lp)) {
		return lp.Clone()
	}
	return lp
}

const (
	flagDeleted    = 1
	flagSameFields = 2
)

var (
	errNode    = errors.New("stream: the bytes of a node are no entries")
	errEntries = errors.New("stream: the number of entries of a node is wrong")
)

// walker reads the elements of a listpack one by one. It becomes bad when a read passes the end, or a wanted integer is
// something else.
type walker struct {
	lp  listpack.Listpack
	p   int
	bad bool
}

func (w *walker) value() (v listpack.Value) {
	if w.bad || w.p == w.lp.End() {
		w.bad = true
		return listpack.Value{}
	}
	v, w.p = w.lp.Read(w.p)
	return v
}

func (w *walker) int() int64 {
	n, ok := w.value().Integer()
	if !ok {
		w.bad = true
	}
	return n
}

// skip skips n elements.
func (w *walker) skip(n int64) {
	if n < 0 {
		w.bad = true
	}
	for ; n > 0 && !w.bad; n-- {
		w.value()
	}
}

// Validate returns an error if lp, which has passed listpack.Validate, is not a node. entries is the number of its entries
// that are not marked as deleted.
func Validate(lp listpack.Listpack) (entries int, err error) {
	w := walker{lp: lp, p: listpack.HeaderSize}
	count, deleted, master := w.int(), w.int(), w.int()
	w.skip(master)
	if w.int() != 0 || w.bad || count < 0 || deleted < 0 {
		return 0, errNode
	}
	gone := 0
	for w.p != lp.End() && !w.bad {
		flags := w.int()
		w.int()
		w.int()
		fields, elements := master, master+3
		if flags&flagSameFields == 0 {
			fields = w.int()
			if fields < 0 || fields > int64(len(lp)) {
				return 0, errNode
			}
			elements = 2*fields + 4
			w.skip(2 * fields)
		} else {
			w.skip(fields)
		}
		if w.int() != elements {
			return 0, errNode
		}
		if flags&flagDeleted != 0 {
			gone++
		} else {
			entries++
		}
	}
	if w.bad {
		return 0, errNode
	}
	if int64(entries) != count || int64(gone) != deleted {
		return 0, errEntries
	}
	return entries, nil
}

// A cursor reads the entries of a node in place.
type cursor struct {
	lp     listpack.Listpack
	master ID
	fields int // number of fields of the master entry
	names  int // position of the first of them
	head   int // position of the first entry
	// The entry that was read last:
	at      int // position of its flags
	id      ID
	deleted bool
	same    bool // it has the fields of the master entry
	pairs   int  // number of its pairs that were not read yet
	name    int  // position of the next field, if same
	value   int  // position of the next value, or field and value
}

// number returns the integer at p and the position behind it.
func number(lp listpack.Listpack, p int) (n int64, next int) {
	if b := lp[p]; b < 1<<7 { // most of them
		return int64(b), p + 2
	}
	return wideNumber(lp, p)
}

func wideNumber(lp listpack.Listpack, p int) (n int64, next int) {
	v, next := lp.Read(p)
	n, _ = v.Integer()
	return n, next
}

// counts returns the number of entries of a node that are not deleted, and of all entries.
func counts(lp listpack.Listpack) (live, all int) {
	n, p := number(lp, listpack.HeaderSize)
	gone, _ := number(lp, p)
	return int(n), int(n + gone)
}

func (c *cursor) open(master ID, lp listpack.Listpack) {
	c.lp, c.master = lp, master
	_, p := number(lp, listpack.HeaderSize)
	_, p = number(lp, p)
	n, p := number(lp, p)
	c.fields, c.names = int(n), p
	c.head = lp.Skip(p, c.fields+1)
}

// read reads the entry at p without its pairs.
func (c *cursor) read(p int) {
	c.at = p
	flags, p := number(c.lp, p)
	ms, p := number(c.lp, p)
	seq, p := number(c.lp, p)
	c.id = ID{c.master.Ms + uint64(ms), c.master.Seq + uint64(seq)}
	c.deleted, c.same = flags&flagDeleted != 0, flags&flagSameFields != 0
	c.pairs, c.name = c.fields, c.names
	if !c.same {
		n, next := number(c.lp, p)
		c.pairs, p = int(n), next
	}
	c.value = p
}

// pair reads the next field and value of the entry.
func (c *cursor) pair() (field, value listpack.Value) {
	if c.same {
		field, c.name = c.lp.Read(c.name)
	} else {
		field, c.value = c.lp.Read(c.value)
	}
	value, c.value = c.lp.Read(c.value)
	c.pairs--
	return field, value
}

// end returns the position behind the entry.
func (c *cursor) end() int {
	n := c.pairs
	if !c.same {
		n *= 2
	}
	p := c.lp.Skip(c.value, n)
	c.pairs, c.value = 0, p
	return c.lp.Skip(p, 1)
}

// before returns the position of the entry that ends at p.
func (c *cursor) before(p int) int {
	p = c.lp.Back(p, 1)
	n, _ := number(c.lp, p)
	return c.lp.Back(p, int(n))
}

// lastID returns the ID of the last entry of a node, deleted or not; the master's if there is none.
func lastID(master ID, lp listpack.Listpack) ID {
	var c cursor
	c.open(master, lp)
	if c.head == lp.End() {
		return master
	}
	c.read(c.before(lp.End()))
	return c.id
}

// mark marks the entry whose flags are at p as deleted. The length does not change, except in a foreign node with another
// encoding of the flags. mark does not update the counts of the node, see count.
func mark(lp listpack.Listpack, p int) listpack.Listpack {
	flags, _ := number(lp, p)
	return lp.ReplaceInt(p, flags|flagDeleted)
}

// count updates the counts of a node after gone entries were marked.
func count(lp listpack.Listpack, gone int) listpack.Listpack {
	live, p := number(lp, listpack.HeaderSize)
	marked, _ := number(lp, p)
	return lp.ReplaceInt(p, marked+int64(gone)).ReplaceInt(listpack.HeaderSize, live-int64(gone))
}

// Limits are the directives stream-node-max-bytes and stream-node-max-entries; 0 is no limit.
type Limits struct {
	Bytes   int
	Entries int
}

const (
	// maxBytes is Redis's limit of the length of an entry, and of a node.
	maxBytes = 1 << 30
	// roomBytes is the length up to which a node's buffer is doubled when it grows; Redis allocates so much at once.
	roomBytes = 4096
)

// full reports whether a node has no room for an entry of text bytes.
func (l Limits) full(lp listpack.Listpack, text int) bool {
	limit := l.Bytes
	if limit <= 0 || limit > maxBytes {
		limit = maxBytes
	}
	if len(lp)+text >= limit {
		return true
	}
	if l.Entries <= 0 {
		return false
	}
	_, all := counts(lp)
	return all >= l.Entries
}

// newNode returns the listpack of a node that has a master entry with these fields and no entries.
func newNode(pairs [][]byte, room int) listpack.Listpack {
	need := listpack.Overhead + 4*listpack.OfInt(int64(len(pairs))).Size() // at least the size of the four integers
	for i := 0; i < len(pairs); i += 2 {
		need += listpack.Of(pairs[i]).Size()
	}
	lp := listpack.New(max(need, room)).AppendInt(0).AppendInt(0).AppendInt(int64(len(pairs) / 2))
	for i := 0; i < len(pairs); i += 2 {
		lp = lp.Append(pairs[i])
	}
	return lp.AppendInt(0)
}

// appendEntry returns lp with an entry appended and counted. owned says that it may be written in place.
func appendEntry(lp listpack.Listpack, master, id ID, pairs [][]byte, owned bool) listpack.Listpack {
	var c cursor
	c.open(master, lp)
	same := c.fields == len(pairs)/2
	for i, p := 0, c.names; same && i < len(pairs); i += 2 {
		var v listpack.Value
		v, p = lp.Read(p)
		same = v.Equal(pairs[i])
	}
	flags, elements := int64(0), len(pairs)+4
	if same {
		flags, elements = flagSameFields, len(pairs)/2+3
	}
	head := [4]listpack.Entry{listpack.OfInt(flags), listpack.OfInt(int64(id.Ms - master.Ms)),
		listpack.OfInt(int64(id.Seq - master.Seq)), listpack.OfInt(int64(len(pairs) / 2))}
	fixed := head[:]
	if same {
		fixed = head[:3]
	}
	tail := listpack.OfInt(int64(elements))
	step := 1
	if same {
		step = 2
	}
	size := tail.Size()
	for i := range fixed {
		size += fixed[i].Size()
	}
	for i := step - 1; i < len(pairs); i += step {
		size += listpack.Of(pairs[i]).Size()
	}
	const counter = 1 // bytes by which the count of entries may grow
	if need := len(lp) + size + counter; need > cap(lp) || !owned {
		grown := listpack.New(max(need, min(2*need, roomBytes), need+need/8))[:len(lp)]
		copy(grown, lp)
		lp = grown
	}
	p := lp.End()
	lp = lp[:len(lp)+size]
	for i := range fixed {
		fixed[i].Put(lp[p:])
		p += fixed[i].Size()
	}
	for i := step - 1; i < len(pairs); i += step {
		e := listpack.Of(pairs[i])
		e.Put(lp[p:])
		p += e.Size()
	}
	tail.Put(lp[p:])
	lp[lp.End()] = 0xff
	binary.LittleEndian.PutUint32(lp, uint32(len(lp)))
	const unknown = 1<<16 - 1 // elements, see listpack
	n := int(binary.LittleEndian.Uint16(lp[4:]))
	if n != unknown {
		binary.LittleEndian.PutUint16(lp[4:], uint16(min(n+elements+1, unknown)))
	}
	live, _ := number(lp, listpack.HeaderSize)
	return lp.ReplaceInt(listpack.HeaderSize, live+1)
}
