// Package table is the hash table of Ferrous: extendible hashing over segments, copy-on-write, in hash order. It stores
// records (package record) and serves keyspaces, large sets and hashes, and the member index of sorted sets.
//
// # Structure
//
// The directory maps the top bits of a key's 64-bit hash to a segment. It has two levels: an array of pages, indexed by
// the first bits, and the pages, each with 2^n entries (512 at most) for the bits that follow. A segment of local depth d
// covers all hashes with one d-bit prefix, so several neighbouring entries of a page may point to it. A segment is an
// array of 64 buckets, chosen by the six hash bits after its prefix, and a reserve of overflow buckets. A bucket is one
// cache line: seven one-byte fingerprints and a link in one word, and seven pointers to records. A full bucket links to
// an overflow bucket of its segment; when the reserve is used up the segment splits in two by the next bit of the hash
// (and the entries of its page double when the segment was as deep as they). Two halves that are nearly empty merge
// again. So neither the table nor the directory is ever rehashed or copied as a whole: the longest step moves one segment's
// few hundred pointers, or copies the array of pages, 64 bytes for some hundred thousand keys. A table of few elements has
// one small segment of 1, 4 or 16 buckets instead.
//
// A lookup reads a directory entry, one bucket (rarely two), and the record with the same fingerprint.
//
// # Order
//
// Segments by their prefix, and the buckets of a segment by their number, are in the order of hashes. So a position in the
// table is a hash prefix, and stays valid while segments split and merge. Scan's cursor is such a prefix, of 48 bits:
// elements that stay in the table during the whole scan are always returned; some may be returned twice.
//
// # Copy-on-write
//
// A segment has the stamp of the generation in which it was made (package cow), and so has a page. Snapshot and Fork copy the
// array of pages; from then on a page or a segment that the snapshot can reach is copied before its first change (4.6 KB and
// 4.8 KB), unless the snapshot's walk has passed it already: the walk publishes the hash that it has reached. The live table
// belongs to the goroutine that owns the data, a Snapshot to the goroutine that walks it.
package table

import (
	"math/bits"
	"runtime"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

const (
	slots       = 7   // records a bucket
	bucketBits  = 6   // a full-size segment has 1<<bucketBits primary buckets
	cursorBits  = 48  // bits of hash in a Scan cursor
	maxDepth    = 40  // less than cursorBits-bucketBits; no memory holds 2^40 segments
	mergeBelow  = 64  // a deletion that leaves fewer elements than this tries to merge the segment with its buddy
	mergedLimit = 160 // most elements of two buddies that become one: 36% of its 448 slots, so that it does not split again soon
)

// bucket is one cache line. Byte i of meta is the fingerprint of slot i, 0 for an empty slot; the highest byte is the
// index in the segment of the next bucket of the chain, 0 for none (bucket 0 is primary, so never an overflow).
type bucket struct {
	meta uint64
	slot [slots]*record.Record
}

// segment is the head of a segment; its buckets follow in memory: 1<<bits primary ones, then the overflow reserve. The
// size makes a full-size segment fill its allocation class and puts each bucket on a cache line.
type segment struct {
	stamp uint64
	free  uint64 // bit i: overflow bucket i of the reserve is free
	count int32  // records
	depth uint8  // local depth
	bits  uint8  // log2 of the number of primary buckets
	spare uint16 // number of overflow buckets
	_     [4]uint64
}

const (
	headSize   = unsafe.Sizeof(segment{})
	bucketSize = unsafe.Sizeof(bucket{})
)

// The four sizes of segment. They are types so that the garbage collector knows where their pointers are.
type (
	segment1 struct {
		segment
		b [1 + 1]bucket
	}
	segment4 struct {
		segment
		b [4 + 2]bucket
	}
	segment16 struct {
		segment
		b [16 + 5]bucket
	}
	segment64 struct {
		segment
		b [64 + fullReserve]bucket
	}
)

// fullReserve is the number of overflow buckets of a full-size segment.
const fullReserve = 11

func newSegment(bits uint8, depth uint8, stamp uint64) *segment {
	var s *segment
	reserve := uint16(fullReserve)
	switch bits {
	case 0:
		s, reserve = &new(segment1).segment, 1
	case 2:
		s, reserve = &new(segment4).segment, 2
	case 4:
		s, reserve = &new(segment16).segment, 5
	default:
		s = &new(segment64).segment
	}
	*s = newHead(bits, depth, reserve, stamp)
	return s
}

// newHead returns the head of an empty segment with this reserve of overflow buckets.
func newHead(bits, depth uint8, reserve uint16, stamp uint64) segment {
	return segment{stamp: stamp, free: 1<<reserve - 1, depth: depth, bits: bits, spare: reserve}
}

func (s *segment) size() int {
	return mem.SizePtr(int(headSize) + s.buckets()*int(bucketSize))
}

func (s *segment) buckets() int { return 1<<s.bits + int(s.spare) }

// clone copies a segment for writing.
func (s *segment) clone(stamp uint64) *segment {
	var c *segment
	p := unsafe.Pointer(s)
	switch s.bits {
	case 0:
		n := *(*segment1)(p)
		c = &n.segment
	case 2:
		n := *(*segment4)(p)
		c = &n.segment
	case 4:
		n := *(*segment16)(p)
		c = &n.segment
	default:
		n := *(*segment64)(p)
		c = &n.segment
	}
	c.stamp = stamp
	return c
}

// bucket returns bucket i: primary ones first, then the reserve.
func (s *segment) bucket(i uint) *bucket {
	return (*bucket)(unsafe.Add(unsafe.Pointer(s), headSize+uintptr(i)*bucketSize))
}

func (b *bucket) next() uint { return uint(b.meta >> 56) }

func (b *bucket) setNext(i uint) { b.meta = b.meta&(1<<56-1) | uint64(i)<<56 }

const (
	lows  = 0x0001010101010101
	highs = 0x0080808080808080
)

func fingerprint(hash uint64) uint64 {
	// The low byte is independent of the prefix that chose the bucket. Zero stands for empty.
	f := hash & 0xff
	if f == 0 {
		f = 1
	}
	return f
}

// match returns the high bit of each byte of meta that equals f, and sometimes that of a byte which does not: the caller
// compares keys anyway.
func match(meta, f uint64) uint64 {
	x := meta ^ f*lows
	return (x - lows) & ^x & highs
}

// empty returns the high bit of the lowest empty slot's byte, and perhaps of later ones.
func empty(meta uint64) uint64 { return (meta - lows) & ^meta & highs }

// Table is the hash table. Make one with New.
type Table struct {
	pages   []page
	low     uint8 // how far to shift a hash to get its page: 64 minus the bits of a page index
	depth   uint8 // of the deepest page
	mask    uint8 // number of primary buckets less one
	entries int   // of all pages
	count   int
	size    int
	gen     *cow.Generation
	walk    *Progress // of the snapshot that is being walked, nil if none or past this table
}

// New returns an empty table with the stamps of gen.
func New(gen *cow.Generation) *Table {
	t := &Table{gen: gen}
	s := newSegment(0, 0, gen.Current())
	t.pages = []page{{dir: []*segment{s}, shift: []uint8{64}, low: 64, stamp: gen.Current()}}
	t.low, t.entries = 64, 1
	t.size = mem.SizePtr(int(unsafe.Sizeof(*t))) + t.topSize() + t.pages[0].size() + s.size()
	return t
}

// Len returns the number of records.
func (t *Table) Len() int { return t.count }

// Size returns the bytes that the table itself holds: directory and segments, not the records.
func (t *Table) Size() int { return t.size }

// Get returns the record with this key, nil if there is none. hash is Hash(key).
func (t *Table) Get(hash uint64, key []byte) *record.Record {
	p, i := t.place(hash)
	s := p.dir[i]
	b := s.bucket(t.bucketOf(p, i, hash))
	f := fingerprint(hash)
	for {
		for m := match(b.meta, f); m != 0; m &= m - 1 {
			if r := b.slot[bits.TrailingZeros64(m)>>3]; r != nil && r.KeyIs(key) {
				return r
			}
		}
		n := b.next()
		if n == 0 {
			return nil
		}
		b = s.bucket(n)
	}
}

// Prefetch loads into the processor's cache the memory that Get of these hashes will read. The loads of one key depend on
// each other (bucket, then record), those of different keys run in parallel. The result has no meaning: it only keeps the
// compiler from removing the loads.
func (t *Table) Prefetch(hashes []uint64) (sum uint64) {
	var found [32]*record.Record
	if len(hashes) > len(found) {
		hashes = hashes[:len(found)]
	}
	for j, hash := range hashes {
		p, i := t.place(hash)
		b := p.dir[i].bucket(t.bucketOf(p, i, hash))
		if m := match(b.meta, fingerprint(hash)); m != 0 {
			found[j] = b.slot[bits.TrailingZeros64(m)>>3]
		}
	}
	for _, r := range found[:len(hashes)] {
		if r != nil {
			sum += r.Touch()
		}
	}
	return sum
}

// PrefetchInsert loads into the processor's cache the memory that Insert of these hashes will read: the bucket, and the head of
// its segment.
func (t *Table) PrefetchInsert(hashes []uint64) (sum uint64) {
	for _, hash := range hashes {
		p, i := t.place(hash)
		s := p.dir[i]
		sum += s.bucket(t.bucketOf(p, i, hash)).meta + s.stamp
	}
	return sum
}

// EachHash calls fn for every record whose key has this hash.
func (t *Table) EachHash(hash uint64, fn func(*record.Record)) {
	p, i := t.place(hash)
	s := p.dir[i]
	b := s.bucket(t.bucketOf(p, i, hash))
	f := fingerprint(hash)
	for {
		for m := match(b.meta, f); m != 0; m &= m - 1 {
			if r := b.slot[bits.TrailingZeros64(m)>>3]; r != nil && Hash(r.Key()) == hash {
				fn(r)
			}
		}
		n := b.next()
		if n == 0 {
			return
		}
		b = s.bucket(n)
	}
}

// Owned reports whether the records of this hash may be written in place, because no snapshot needs them.
func (t *Table) Owned(hash uint64) bool {
	return !t.gen.Pinned() || t.walk != nil && t.walk.passed(hash)
}

// Insert adds a record whose key is not in the table.
func (t *Table) Insert(hash uint64, r *record.Record) {
	for {
		p, i := t.place(hash)
		s := t.writable(p, i, hash)
		if s.insert(t.bucketOf(p, i, hash), fingerprint(hash), r) {
			t.count++
			return
		}
		t.grow(p, i, hash)
	}
}

func (s *segment) insert(n uint, f uint64, r *record.Record) bool {
	b := s.bucket(n)
	for {
		if e := empty(b.meta); e != 0 {
			i := bits.TrailingZeros64(e) >> 3
			b.slot[i] = r
			b.meta |= f << (i * 8)
			s.count++
			return true
		}
		n = b.next()
		if n == 0 {
			break
		}
		b = s.bucket(n)
	}
	if s.free == 0 {
		return false
	}
	o := uint(bits.TrailingZeros64(s.free))
	s.free &= s.free - 1
	n = o + 1<<s.bits
	b.setNext(n)
	b = s.bucket(n)
	b.slot[0] = r
	b.meta = f
	s.count++
	return true
}

// Replace puts new in old's place. Both have the same key; old is in the table.
func (t *Table) Replace(hash uint64, old, new *record.Record) {
	p, i := t.place(hash)
	s := t.writable(p, i, hash)
	b, j, _ := s.find(t.bucketOf(p, i, hash), fingerprint(hash), old)
	b.slot[j] = new
}

// find returns the bucket and slot of r, and the bucket that links to this bucket, if any.
func (s *segment) find(n uint, f uint64, r *record.Record) (b *bucket, slot int, before *bucket) {
	b = s.bucket(n)
	for {
		for m := match(b.meta, f); m != 0; m &= m - 1 {
			if i := bits.TrailingZeros64(m) >> 3; b.slot[i] == r {
				return b, i, before
			}
		}
		n = b.next()
		if n == 0 {
			panic("table: record is not in the table")
		}
		before, b = b, s.bucket(n)
	}
}

// Delete removes r, which is in the table.
func (t *Table) Delete(hash uint64, r *record.Record) {
	p, i := t.place(hash)
	s := t.writable(p, i, hash)
	s.remove(t.bucketOf(p, i, hash), fingerprint(hash), r)
	t.count--
	if s.count < mergeBelow {
		t.shrink(p, i, hash)
	}
}

func (s *segment) remove(n uint, f uint64, r *record.Record) {
	b, i, before := s.find(n, f, r)
	// The last record of the chain fills the slot, so that overflow buckets become free.
	last, lastBefore := b, before
	for last.next() != 0 {
		lastBefore, last = last, s.bucket(last.next())
	}
	j := 0
	if last != b || before != nil {
		j = 6 - (bits.LeadingZeros64(last.meta&(1<<56-1))-8)>>3 // the highest slot in use
		b.slot[i] = last.slot[j]
		b.meta = b.meta&^(0xff<<(i*8)) | last.meta>>(j*8)&0xff<<(i*8)
	} else {
		j = i
	}
	last.slot[j] = nil
	last.meta &^= 0xff << (j * 8)
	if lastBefore != nil && last.meta == 0 {
		s.free |= 1 << (lastBefore.next() - 1<<s.bits)
		lastBefore.setNext(0)
	}
	s.count--
}

// each calls fn for every record of the segment in hash order of the buckets, and stops when fn returns false.
func (s *segment) each(fn func(*record.Record) bool) bool {
	for n := range uint(1) << s.bits {
		if !s.eachIn(n, fn) {
			return false
		}
	}
	return true
}

// touch loads the headers of the records of bucket n. These loads run in parallel; a caller that processes each record in
// turn would wait for each load.
func (s *segment) touch(n uint) (sum uint64) {
	for _, r := range s.bucket(n).slot {
		if r != nil {
			sum += r.Touch()
		}
	}
	return sum
}

// touchAll loads the headers of all records. They are some three hundred, with little else in a cache line: they stay in the
// processor's cache until the caller has processed them.
func (s *segment) touchAll() (sum uint64) {
	for n := range s.buckets() {
		sum += s.touch(uint(n))
	}
	return sum
}

func (s *segment) eachIn(n uint, fn func(*record.Record) bool) bool {
	b := s.bucket(n)
	for {
		for _, r := range b.slot {
			if r != nil && !fn(r) {
				return false
			}
		}
		n = b.next()
		if n == 0 {
			return true
		}
		b = s.bucket(n)
	}
}

// Random returns a record, each with the same probability; nil if the table is empty. rnd returns random bits.
func (t *Table) Random(rnd func() uint64) *record.Record {
	if t.count == 0 {
		return nil
	}
	for {
		x := rnd()
		p, i := t.place(x)
		s := p.dir[i]
		// A shallow segment covers several prefixes as long as the deepest one's: only the first of them counts, else its
		// records would be preferred.
		if x>>(64-t.depth)&(1<<(t.depth-s.depth)-1) != 0 {
			continue
		}
		// The low half is independent of the index as long as prefixes are shorter than 32 bits.
		n := uint64(s.buckets() * slots)
		j := uint(uint64(uint32(x)) * n >> 32)
		if r := s.bucket(j / slots).slot[j%slots]; r != nil {
			return r
		}
	}
}

// Scan calls fn for the records of the bucket at cursor and of further ones until count records or ten times as many buckets
// are done, and returns the cursor of the next call, 0 at the end. fn must not change the table.
func (t *Table) Scan(cursor uint64, count int, fn func(*record.Record)) uint64 {
	pos := cursor << (64 - cursorBits)
	for tries := 10 * count; ; tries-- {
		p, i := t.place(pos)
		s := p.dir[i]
		b := t.bucketOf(p, i, pos)
		runtime.KeepAlive(s.touch(b))
		s.eachIn(b, func(r *record.Record) bool {
			count--
			fn(r)
			return true
		})
		step := uint64(1) << (64 - s.depth - s.bits) // 0 for the only bucket of all
		pos = (pos&^(step-1) + step)
		if step == 0 || pos == 0 {
			return 0
		}
		if count <= 0 || tries <= 1 {
			return pos >> (64 - cursorBits)
		}
	}
}

// Sweep appends the records of the bucket at hash *pos and of the buckets behind it to out, until it has n records or has
// visited the whole table once. It sets *pos to the next bucket. It does not read the records. In a nearly empty table it
// stops after 10*n buckets.
func (t *Table) Sweep(pos *uint64, n int, out []*record.Record) []*record.Record {
	start, hash := *pos, *pos
	for tries := 10 * n; tries > 0 && len(out) < n; tries-- {
		p, i := t.place(hash)
		s := p.dir[i]
		for b := s.bucket(t.bucketOf(p, i, hash)); ; {
			for _, r := range b.slot {
				if r != nil {
					out = append(out, r)
				}
			}
			next := b.next()
			if next == 0 {
				break
			}
			b = s.bucket(next)
		}
		step := uint64(1) << (64 - s.depth - s.bits) // 0 for the only bucket of all
		before := hash
		hash = hash&^(step-1) + step
		if step == 0 || before < start && hash >= start || hash < before && start == 0 {
			break // once round
		}
	}
	*pos = hash
	return out
}

// Each calls fn for every record until it returns false, and returns false then. fn must not change the table. The records of a
// segment are loaded together before fn gets them: one after the other they would cost a cache miss each.
func (t *Table) Each(fn func(*record.Record) bool) bool {
	for n := range t.pages {
		p := &t.pages[n]
		for i := uint(0); i < uint(len(p.dir)); {
			s := p.dir[i]
			runtime.KeepAlive(s.touchAll())
			if !s.each(fn) {
				return false
			}
			_, n := p.run(i, s)
			i += n
		}
	}
	return true
}
