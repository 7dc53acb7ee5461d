package wheel

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"ferrous/datatypes/mem"
)

// The store holds the entries of all slots of one wheel in memory without pointers.
//
// A slot is a stack of chunks. A chunk has one of three sizes (its class): 64, 512 or 4096 bytes; a stack's first chunks are
// small and later ones larger, so that the unused end of the top chunk stays a small part of the whole. Chunks are cut
// from slabs of 4 KiB, each slab into chunks of one class. A chunk is named by a ref, 32 bits: the number of its slab plus
// one, and its place in the slab in units of 64 bytes; 0 is no chunk.
//
//	chunk   ref of the chunk below (4 bytes) | id of the stack (2) | entries
//	entry   the lowest width bytes of the deadline, little-endian | hash (8)
//
// The width is the number of the slot's level: the slot itself gives the higher bytes of the deadline. All chunks of a
// stack but the top one are full, and no chunk is empty.
//
// A slab that becomes empty is kept in a bounded pool or left to the garbage collector; its number is used again. order is
// a permutation of the slab numbers: those in use, those in the pool, then those without memory.
const (
	unit      = 64
	slabSize  = 64 * unit
	chunkHead = 6
	classes   = 3

	// A stack gets chunks of the next class when it has the bytes of four chunks of that class.
	smallChunks  = 4 * 8
	mediumChunks = smallChunks + 3*8 + 4

	// The pool of empty slabs holds at most poolMin plus one for poolPart slabs in use.
	poolMin  = 8
	poolPart = 8

	lateWidth = 8
	lateID    = levels << 8 // stands for late and behind
)

type ref uint32

func slotID(l, i int) uint16 { return uint16(l<<8 | i) }

// width returns the number of bytes of the deadline that the entries of a stack store.
func width(id uint16) int { return int(id >> 8) }

func classSize(class uint8) int { return unit << (3 * class) }

// allFree is the free set of an empty slab of a class.
func allFree(class uint8) uint64 { return ^uint64(0) >> (64 - 64>>(3*class)) }

// classAt returns the class of the chunk that a stack of n chunks gets next.
func classAt(n uint32) uint8 {
	switch {
	case n < smallChunks:
		return 0
	case n < mediumChunks:
		return 1
	}
	return 2
}

// stack is one slot's entries.
type stack struct {
	head   ref    // the top chunk
	chunks uint32 // number of chunks
	used   uint16 // bytes of entries in the top chunk
	room   uint16 // bytes left in it
}

type slab struct {
	mem        *[slabSize]byte
	free       uint64 // bit i: chunk i is free
	next, prev uint32 // the slabs of the class with a free chunk: number plus one
	pos        uint32 // index in order
	class      uint8
}

type store struct {
	slabs   []slab
	order   []uint32
	partial [classes]uint32 // first slab of a class that has a free chunk: number plus one
	live    uint32          // slabs in use
	pool    uint32          // empty slabs that kept their memory
	bytes   int64
}

// write adds an entry to a stack whose top chunk has room for it.
func (st *store) write(s *stack, wd int, hash, when uint64) {
	at := int(s.head&63)*unit + chunkHead + int(s.used)
	m := st.slabs[s.head>>6-1].mem[at:]
	// The hash overwrites the bytes of the deadline that are not stored.
	binary.LittleEndian.PutUint64(m, when)
	binary.LittleEndian.PutUint64(m[wd:], hash)
	s.used += uint16(8 + wd)
	s.room -= uint16(8 + wd)
}

// pop takes the last entry off a stack that is not empty. Of the deadline only the lowest wd bytes are set.
func (st *store) pop(s *stack, wd int) (hash, low uint64) {
	s.used -= uint16(8 + wd)
	s.room += uint16(8 + wd)
	m := st.slabs[s.head>>6-1].mem
	at := int(s.head&63)*unit + chunkHead + int(s.used)
	hash, low = entryAt(m, at, wd)
	if s.used == 0 {
		st.shrink(s, wd)
	}
	return hash, low
}

func entryAt(m *[slabSize]byte, at, wd int) (hash, low uint64) {
	low = binary.LittleEndian.Uint64(m[at:at+8]) & (1<<(8*wd) - 1)
	at += wd
	return binary.LittleEndian.Uint64(m[at : at+8]), low
}

// grow puts a new chunk on a stack.
func (st *store) grow(s *stack, id uint16) {
	class := classAt(s.chunks)
	r := st.alloc(class)
	c := st.slabs[r>>6-1].mem[int(r&63)*unit:]
	binary.LittleEndian.PutUint32(c, uint32(s.head))
	binary.LittleEndian.PutUint16(c[4:], id)
	s.head = r
	s.chunks++
	s.used, s.room = 0, uint16(classSize(class)-chunkHead)
}

// below returns the chunk below another.
func (st *store) below(r ref) ref {
	return ref(binary.LittleEndian.Uint32(st.slabs[r>>6-1].mem[int(r&63)*unit:]))
}

// shrink takes the top chunk, which is empty, off a stack.
func (st *store) shrink(s *stack, wd int) {
	below := st.below(s.head)
	st.release(s.head)
	s.head = below
	s.chunks--
	s.used, s.room = 0, 0
	if below != 0 {
		size := classSize(st.slabs[below>>6-1].class) - chunkHead
		s.used = uint16(size - size%(8+wd))
		s.room = uint16(size) - s.used
	}
}

// alloc returns a chunk of a class.
func (st *store) alloc(class uint8) ref {
	if st.partial[class] == 0 {
		st.addSlab(class)
	}
	n := st.partial[class]
	b := &st.slabs[n-1]
	i := bits.TrailingZeros64(b.free)
	b.free &^= 1 << i
	if b.free == 0 {
		st.unlink(b)
	}
	return ref(n<<6 | uint32(i)<<(3*class))
}

// release frees a chunk.
func (st *store) release(r ref) {
	n := uint32(r >> 6)
	b := &st.slabs[n-1]
	if b.free == 0 {
		st.link(n)
	}
	b.free |= 1 << (r & 63 >> (3 * b.class))
	if b.free == allFree(b.class) {
		st.unlink(b)
		st.dropSlab(b)
	}
}

// link puts slab n-1 first in its class's list of slabs with a free chunk.
func (st *store) link(n uint32) {
	b := &st.slabs[n-1]
	first := &st.partial[b.class]
	b.prev, b.next = 0, *first
	if b.next != 0 {
		st.slabs[b.next-1].prev = n
	}
	*first = n
}

func (st *store) unlink(b *slab) {
	if b.prev != 0 {
		st.slabs[b.prev-1].next = b.next
	} else {
		st.partial[b.class] = b.next
	}
	if b.next != 0 {
		st.slabs[b.next-1].prev = b.prev
	}
}

// addSlab adds a slab to a class: one of the pool, else one with new memory.
func (st *store) addSlab(class uint8) {
	if int(st.live) == len(st.slabs) {
		st.bytes -= st.indexBytes()
		st.order = append(st.order, st.live)
		st.slabs = append(st.slabs, slab{pos: st.live})
		st.bytes += st.indexBytes()
	}
	n := st.order[st.live]
	b := &st.slabs[n]
	st.live++
	if st.pool > 0 {
		st.pool--
	} else {
		b.mem = new([slabSize]byte)
		st.bytes += slabSize
	}
	b.class, b.free = class, allFree(class)
	st.link(n + 1)
}

// dropSlab removes a slab that is empty and in no list from the slabs in use.
func (st *store) dropSlab(b *slab) {
	st.live--
	last := st.order[st.live]
	n := st.order[b.pos]
	st.order[b.pos], st.order[st.live] = last, n
	st.slabs[last].pos = b.pos
	b.pos = st.live
	st.pool++
	for st.pool > poolMin+st.live/poolPart {
		st.pool--
		st.slabs[st.order[st.live+st.pool]].mem = nil
		st.bytes -= slabSize
	}
}

// indexBytes returns the bytes that slabs and order take.
func (st *store) indexBytes() int64 {
	return int64(mem.SizePtr(cap(st.slabs)*int(unsafe.Sizeof(slab{}))) + mem.Size(cap(st.order)*4))
}

// sample returns the hash of a random entry of a store that is not empty. stackOf finds the stack that a chunk belongs to.
//
// A slab has places for 512 entries of the shortest kind, in chunks of 8, 64 or 512. sample draws a random place of a slab in
// use and accepts it if it has an entry: in a well filled store four of five have one. If many draws fail because slabs are
// nearly empty, it draws a slab, then one of the slab's chunks, then an entry: not quite uniform, but quick.
func (st *store) sample(rnd uint64, stackOf func(id uint16, r ref) *stack) uint64 {
	const draws = 32
	for try := 0; ; try++ {
		rnd = mix(rnd)
		hi, _ := bits.Mul64(rnd, uint64(st.live))
		n := st.order[hi]
		b := &st.slabs[n]
		place := int(mix(rnd) & 511)
		i := place >> (3 + 3*b.class)
		place &= 8<<(3*b.class) - 1
		if try >= draws {
			i = (i + bits.TrailingZeros64(bits.RotateLeft64(^b.free&allFree(b.class), -i))) & 63
		} else if b.free>>i&1 != 0 {
			continue
		}
		unitAt := i << (3 * b.class)
		r := ref((n+1)<<6 | uint32(unitAt))
		id := binary.LittleEndian.Uint16(b.mem[unitAt*unit+4:])
		wd := width(id)
		entries := (classSize(b.class) - chunkHead) / (8 + wd)
		if s := stackOf(id, r); s.head == r {
			entries = int(s.used) / (8 + wd)
		}
		if place >= entries {
			if try < draws {
				continue
			}
			place %= entries
		}
		hash, _ := entryAt(b.mem, unitAt*unit+chunkHead+place*(8+wd), wd)
		return hash
	}
}

// mix is the finalizer of splitmix64 with its increment (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
