package hash

import (
	"cmp"
	"slices"
	"sort"
	"unsafe"

	"ferrous/datatypes/mem"
)

// deadlines is the order in which the fields of a large hash expire: one entry, deadline and hash of the field, for
// every field that has a deadline, no more and no fewer. The deadline itself is in the field's record, so that a goroutine
// which reads a snapshot's hash does not need this index. The index belongs to the newest fork of a hash: a fork takes it
// over instead of copying it, and readers of older forks must not use it.
//
// # Structure
//
// Entries are sorted and cut into blocks of up to blockLen; a slice holds the blocks in order. Finding a place is a
// search in the slice, by the blocks' first entries, and one in the block; adding or removing an entry moves the bytes of at
// most one block, 4 KiB. Adding or removing a block also moves the slice behind it: 24 bytes for some 200 entries, so
// microseconds even with millions of fields, about once in a hundred changes. A full block splits in halves; if the new entry
// is the last of all it begins a new block instead, since deadlines mostly come in ascending order. Two neighbours that fit
// into three quarters of a block are joined. Blocks hold no pointers.
type deadlines struct {
	blocks [][]deadline
	n      int
	bytes  int // of the blocks
}

// deadline is an entry. Entries are ordered by deadline, then by hash. Fields whose hashes are the same by accident may
// have equal entries.
type deadline struct {
	when int64 // Unix ms
	hash uint64
}

const (
	blockLen   = 256
	joinedLen  = blockLen * 3 / 4
	leastBlock = 4

	deadlineSize = int(unsafe.Sizeof(deadline{}))
)

func (a deadline) compare(b deadline) int {
	if c := cmp.Compare(a.when, b.when); c != 0 {
		return c
	}
	return cmp.Compare(a.hash, b.hash)
}

// size returns the bytes held, as the allocator rounds them.
func (d *deadlines) size() int {
	if d == nil {
		return 0
	}
	return mem.SizePtr(int(unsafe.Sizeof(*d))) + d.bytes + mem.SizePtr(cap(d.blocks)*int(unsafe.Sizeof(d.blocks[0])))
}

// first returns the earliest deadline; there is one.
func (d *deadlines) first() int64 { return d.blocks[0][0].when }

// newBlock returns an empty block with room for n entries at least.
func (d *deadlines) newBlock(n int) []deadline {
	room := leastBlock
	for room < n {
		room *= 2
	}
	d.bytes += mem.Size(room * deadlineSize)
	return make([]deadline, 0, room)
}

// drop removes block i.
func (d *deadlines) drop(i int) {
	d.bytes -= mem.Size(cap(d.blocks[i]) * deadlineSize)
	d.blocks = slices.Delete(d.blocks, i, i+1)
}

// place returns the index of the block that e belongs to.
func (d *deadlines) place(e deadline) int {
	// The last block that begins with e or less, or the first block if there is none. (An earlier block may have an entry
	// equal to e, too; it does not matter which of them is removed.)
	return max(sort.Search(len(d.blocks), func(i int) bool { return d.blocks[i][0].compare(e) > 0 })-1, 0)
}

// insert adds an entry.
func (d *deadlines) insert(e deadline) {
	d.n++
	if len(d.blocks) == 0 {
		d.blocks = append(d.blocks, append(d.newBlock(1), e))
		return
	}
	i := d.place(e)
	b := d.blocks[i]
	at, _ := slices.BinarySearchFunc(b, e, deadline.compare)
	if len(b) == blockLen {
		if i == len(d.blocks)-1 && at == len(b) {
			d.blocks = append(d.blocks, append(d.newBlock(1), e))
			return
		}
		right := append(d.newBlock(blockLen/2), b[blockLen/2:]...)
		b = b[:blockLen/2]
		d.blocks[i] = b
		d.blocks = slices.Insert(d.blocks, i+1, right)
		if at > len(b) {
			i, at, b = i+1, at-len(b), right
		}
	}
	if len(b) == cap(b) {
		grown := append(d.newBlock(2*len(b)), b...)
		d.bytes -= mem.Size(cap(b) * deadlineSize)
		b = grown
	}
	d.blocks[i] = slices.Insert(b, at, e)
}

// remove removes an entry, which must exist.
func (d *deadlines) remove(e deadline) {
	i := d.place(e)
	at, ok := slices.BinarySearchFunc(d.blocks[i], e, deadline.compare)
	if !ok {
		panic("hash: a deadline is not in order")
	}
	d.n--
	d.blocks[i] = slices.Delete(d.blocks[i], at, at+1)
	d.tidy(i)
}

// tidy drops block i if it is empty and joins it with a neighbour if both have become small.
func (d *deadlines) tidy(i int) {
	n := len(d.blocks[i])
	if n == 0 {
		d.drop(i)
		return
	}
	if n > blockLen/4 {
		return
	}
	if i == len(d.blocks)-1 {
		i--
	}
	if i < 0 || len(d.blocks[i])+len(d.blocks[i+1]) > joinedLen {
		return
	}
	left, right := d.blocks[i], d.blocks[i+1]
	if len(left)+len(right) > cap(left) {
		grown := append(d.newBlock(len(left)+len(right)), left...)
		d.bytes -= mem.Size(cap(left) * deadlineSize)
		left = grown
	}
	d.blocks[i] = append(left, right...)
	d.drop(i + 1)
}

// takeDue removes the earliest entries, up to limit of those whose deadline is before now, from the first block and returns
// them; none if none is due. The result is valid until the next change.
func (d *deadlines) takeDue(now int64, limit int, buf []deadline) []deadline {
	b := d.blocks[0]
	n := 0
	for n < len(b) && n < limit && b[n].when < now {
		n++
	}
	buf = append(buf[:0], b[:n]...)
	d.blocks[0] = slices.Delete(b, 0, n)
	d.n -= n
	if n > 0 {
		d.tidy(0)
	}
	return buf
}

// before returns how many deadlines are before now.
func (d *deadlines) before(now int64) int {
	n := 0
	for _, b := range d.blocks {
		if b[0].when >= now {
			break
		}
		if b[len(b)-1].when < now {
			n += len(b)
			continue
		}
		at, _ := slices.BinarySearchFunc(b, deadline{when: now}, deadline.compare)
		return n + at
	}
	return n
}

// clone returns a copy that shares nothing with d.
func (d *deadlines) clone() *deadlines {
	if d == nil {
		return nil
	}
	c := &deadlines{n: d.n, blocks: make([][]deadline, len(d.blocks))}
	for i, b := range d.blocks {
		c.blocks[i] = append(c.newBlock(len(b)), b...)
	}
	return c
}
