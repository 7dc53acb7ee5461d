// Package table is the hash table of Ferrous: extendible hashing over segments, copy-on-write, in hash order. It stores
// records (package record) and serves keyspaces, large sets and hashes, and the member index of sorted sets.
//
// # Structure
//
// The directory has 2^depth entries and is indexed by the top depth bits of a key's 64-bit hash. Each entry points to
// a segment; a segment of local depth d covers all hashes with one d-bit prefix, so 2^(depth-d) neighbouring entries
// point to it. A segment is an array of 64 buckets, chosen by the six hash bits after its prefix, and a reserve of
// overflow buckets. A bucket is one cache line: seven one-byte fingerprints and a link in one word, and seven pointers
// to records. A full bucket links to an overflow bucket of its segment; when the reserve is used up the segment splits
// in two by the next bit of the hash (and the directory doubles when the segment was as deep as it). Two halves that
// are nearly empty merge again. So nothing is ever rehashed as a whole: the longest step moves one segment's few
// hundred pointers. A table of few elements has one small segment of 1, 4 or 16 buckets instead.
//
// A lookup touches a directory entry, one bucket (rarely two), and the record whose fingerprint agrees.
//
// # Order
//
// Prefix, bucket bits and overflow chains make up the hash in order, so a position in the table is a hash prefix and
// means the same whatever splits and merges meanwhile. Scan's cursor is such a prefix, of 48 bits: elements that stay
// in the table during the whole scan are always returned; some may be returned twice.
//
// # Copy-on-write
//
// A segment bears the stamp of the generation that made it (package cow). Snapshot copies the directory; from then on
// a segment that the snapshot can reach is copied before its first change (4.8 KB), unless the snapshot's walk has
// passed it already: the walk publishes the hash up to which it has come. Directory and segments of the live table
// belong to the goroutine that owns the data; a Snapshot belongs to the goroutine that walks it.
package table

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

const (
	slots       = 7  // records a bucket
	bucketBits  = 6  // a full-size segment has 1<<bucketBits primary buckets
	cursorBits  = 48 // bits of hash in a Scan cursor
	maxDepth    = 40 // cursorBits less bucketBits and some; 2^40 segments are out of reach
	mergeBelow  = 64 // a deletion that leaves fewer elements than this looks at the buddy
	mergedLimit = 160
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

// The four sizes of segment, as types so that the collector knows where their pointers are.
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
		b [64 + 11]bucket
	}
)

func newSegment(bits uint8, depth uint8, stamp uint64) *segment {
	var s *segment
	switch bits {
	case 0:
		s = &new(segment1).segment
		s.spare = 1
	case 2:
		s = &new(segment4).segment
		s.spare = 2
	case 4:
		s = &new(segment16).segment
		s.spare = 5
	default:
		s = &new(segment64).segment
		s.spare = 11
	}
	s.bits, s.depth, s.stamp = bits, depth, stamp
	s.free = 1<<s.spare - 1
	return s
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

// match returns the high bit of each byte of meta that may equal f: no equal byte is missed, and the caller compares
// keys anyway.
func match(meta, f uint64) uint64 {
	x := meta ^ f*lows
	return (x - lows) & ^x & highs
}

// empty returns the high bit of the lowest empty slot's byte, and perhaps of later ones.
func empty(meta uint64) uint64 { return (meta - lows) & ^meta & highs }

// Table is the hash table. Make one with New.
type Table struct {
	dir     []*segment
	shift   []uint8 // of each directory entry: how far to shift a hash to get its bucket number
	depth   uint8
	mask    uint8 // number of primary buckets less one
	deepest int   // segments whose depth is the directory's
	count   int
	size    int
	gen     *cow.Generation
	walk    *Progress // of the snapshot that is being walked, nil if none or past this table
}

// New returns an empty table whose copy-on-write is ruled by gen.
func New(gen *cow.Generation) *Table {
	t := &Table{gen: gen}
	t.reset()
	return t
}

func (t *Table) reset() {
	s := newSegment(0, 0, t.gen.Current())
	t.dir, t.shift = []*segment{s}, []uint8{64}
	t.depth, t.mask, t.deepest, t.count = 0, 0, 1, 0
	t.size = s.size() + t.dirSize() + mem.SizePtr(int(unsafe.Sizeof(*t)))
}

func (t *Table) dirSize() int { return mem.SizePtr(8*len(t.dir)) + mem.Size(len(t.shift)) }

// Len returns the number of records.
func (t *Table) Len() int { return t.count }

// Size returns the bytes that the table itself holds: directory and segments, not the records.
func (t *Table) Size() int { return t.size }

func (t *Table) index(hash uint64) uint { return uint(hash >> (64 - t.depth)) }

func (t *Table) bucketOf(i uint, hash uint64) uint { return uint(hash>>t.shift[i]) & uint(t.mask) }

// Get returns the record with this key, nil if there is none. hash is Hash(key).
func (t *Table) Get(hash uint64, key []byte) *record.Record {
	i := t.index(hash)
	s := t.dir[i]
	b := s.bucket(t.bucketOf(i, hash))
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

// Prefetch brings what Get of these hashes will touch into the processor's cache, all at once: the loads of one key wait
// for each other (bucket, then record), those of different keys do not. The result is of no use but to keep the
// compiler from leaving the loads out.
func (t *Table) Prefetch(hashes []uint64) (sum uint64) {
	var found [32]*record.Record
	if len(hashes) > len(found) {
		hashes = hashes[:len(found)]
	}
	for j, hash := range hashes {
		i := t.index(hash)
		b := t.dir[i].bucket(t.bucketOf(i, hash))
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

// EachHash calls fn for every record whose key has this hash.
func (t *Table) EachHash(hash uint64, fn func(*record.Record)) {
	i := t.index(hash)
	s := t.dir[i]
	b := s.bucket(t.bucketOf(i, hash))
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

// Owned reports whether the records at this hash may be written in place: no snapshot needs them.
func (t *Table) Owned(hash uint64) bool {
	return !t.gen.Pinned() || t.walk != nil && t.walk.passed(hash)
}

// writable returns the segment of directory entry i, copied first where a snapshot still needs it.
func (t *Table) writable(i uint) *segment {
	s := t.dir[i]
	if t.gen.Owns(s.stamp) {
		return s
	}
	first, n := t.run(i, s)
	if t.walk != nil && t.walk.passed(t.lastHash(first+n-1)) {
		return s
	}
	c := s.clone(t.gen.Current())
	for j := first; j < first+n; j++ {
		t.dir[j] = c
	}
	return c
}

// run returns the directory entries that point to s, of which i is one.
func (t *Table) run(i uint, s *segment) (first, n uint) {
	n = 1 << (t.depth - s.depth)
	return i &^ (n - 1), n
}

// lastHash returns the highest hash that belongs to directory entry i.
func (t *Table) lastHash(i uint) uint64 {
	return uint64(i+1)<<(64-t.depth) - 1 // the last entry of all wraps to the highest hash
}

// Insert adds a record whose key is not in the table.
func (t *Table) Insert(hash uint64, r *record.Record) {
	for {
		i := t.index(hash)
		s := t.writable(i)
		if s.insert(t.bucketOf(i, hash), fingerprint(hash), r) {
			t.count++
			return
		}
		t.grow(i, s)
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
	i := t.index(hash)
	s := t.writable(i)
	b, j, _ := s.find(t.bucketOf(i, hash), fingerprint(hash), old)
	b.slot[j] = new
}

// find returns where r is, and the bucket that links to its bucket, if any.
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
	i := t.index(hash)
	s := t.writable(i)
	s.remove(t.bucketOf(i, hash), fingerprint(hash), r)
	t.count--
	if s.count < mergeBelow {
		t.shrink(i, s)
	}
}

func (s *segment) remove(n uint, f uint64, r *record.Record) {
	b, i, before := s.find(n, f, r)
	// The hole is filled from the end of the chain, so that overflow buckets come free.
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

// pour inserts all records of src into the full or empty segments that pick chooses. It reports whether all fitted.
func pour(src *segment, pick func(hash uint64) (dst *segment, bucket uint)) bool {
	return src.each(func(r *record.Record) bool {
		h := Hash(r.Key())
		s, b := pick(h)
		return s.insert(b, fingerprint(h), r)
	})
}

// grow makes room in the segment of directory entry i, whose reserve is used up: a small one becomes the next larger
// size, a full-size one splits.
func (t *Table) grow(i uint, s *segment) {
	if s.bits < bucketBits {
		t.resize(s, s.bits+2)
		return
	}
	if s.depth == t.depth {
		t.double()
		i <<= 1
	}
	first, n := t.run(i, s)
	depth := s.depth + 1
	shift := 64 - depth - bucketBits
	lo := newSegment(bucketBits, depth, t.gen.Current())
	hi := newSegment(bucketBits, depth, t.gen.Current())
	pour(s, func(h uint64) (*segment, uint) {
		b := uint(h>>shift) & (1<<bucketBits - 1)
		if h>>(64-depth)&1 == 0 {
			return lo, b
		}
		return hi, b
	})
	if lo.count+hi.count != s.count {
		// The half of a bucket's chain is spread over two buckets, so it always fits.
		panic("table: a split lost records")
	}
	for j := first; j < first+n; j++ {
		if j < first+n/2 {
			t.dir[j] = lo
		} else {
			t.dir[j] = hi
		}
		t.shift[j] = shift
	}
	t.size += lo.size()
	if depth == t.depth {
		t.deepest += 2
	}
}

// double doubles the directory.
func (t *Table) double() {
	if t.depth == maxDepth {
		panic("table: too deep; the hash function is broken")
	}
	t.size -= t.dirSize()
	dir, shift := make([]*segment, 2*len(t.dir)), make([]uint8, 2*len(t.dir))
	for i, s := range t.dir {
		dir[2*i], dir[2*i+1] = s, s
		shift[2*i], shift[2*i+1] = t.shift[i], t.shift[i]
	}
	t.dir, t.shift = dir, shift
	t.depth++
	t.deepest = 0
	t.size += t.dirSize()
}

// resize gives a table with one segment another size of it.
func (t *Table) resize(s *segment, b uint8) {
	d := newSegment(b, 0, t.gen.Current())
	if !pour(s, func(h uint64) (*segment, uint) { return d, uint(h>>(64-b)) & (1<<b - 1) }) {
		if b == bucketBits || d.bits < s.bits {
			return // shrinking has to wait; a full-size segment takes whatever a smaller one held
		}
		t.resize(s, b+2)
		return
	}
	t.size += d.size() - s.size()
	t.dir[0], t.shift[0], t.mask = d, 64-b, 1<<b-1
}

// shrink merges a segment that is nearly empty with its buddy when both fit into one with room to spare, or gives a
// table with one segment a smaller one.
func (t *Table) shrink(i uint, s *segment) {
	if t.depth == 0 {
		if s.bits > 0 && s.count <= 1<<s.bits/2 {
			t.resize(s, s.bits-2)
		}
		return
	}
	first, n := t.run(i, s)
	buddy := t.dir[first^n]
	if buddy.depth != s.depth || s.count+buddy.count > mergedLimit {
		return
	}
	low := first &^ n
	depth := s.depth - 1
	shift := 64 - depth - bucketBits
	m := newSegment(bucketBits, depth, t.gen.Current())
	pick := func(h uint64) (*segment, uint) { return m, uint(h>>shift) & (1<<bucketBits - 1) }
	if !pour(s, pick) || !pour(buddy, pick) {
		return // unlucky spread; a later deletion tries again
	}
	for j := low; j < low+2*n; j++ {
		t.dir[j], t.shift[j] = m, shift
	}
	t.size -= m.size()
	if depth+1 == t.depth {
		t.deepest -= 2
		t.halve()
	}
}

// halve undoes double for as long as no segment is as deep as the directory.
func (t *Table) halve() {
	t.size -= t.dirSize()
	for t.deepest == 0 && t.depth > 0 {
		t.depth--
		n := len(t.dir) / 2
		dir, shift := make([]*segment, n), make([]uint8, n)
		for i := range n {
			dir[i], shift[i] = t.dir[2*i], t.shift[2*i]
			if dir[i].depth == t.depth {
				t.deepest++
			}
		}
		t.dir, t.shift = dir, shift
	}
	t.size += t.dirSize()
}

// Random returns a record, each with the same probability; nil if the table is empty. rnd returns random bits.
func (t *Table) Random(rnd func() uint64) *record.Record {
	if t.count == 0 {
		return nil
	}
	for {
		x := rnd()
		i := t.index(x)
		s := t.dir[i]
		// A shallow segment has several directory entries: only its first one counts, else its records would be
		// preferred.
		if i&(1<<(t.depth-s.depth)-1) != 0 {
			continue
		}
		// The low half is independent of the index as long as the directory has fewer than 2^32 entries.
		n := uint64(s.buckets() * slots)
		j := uint(uint64(uint32(x)) * n >> 32)
		if r := s.bucket(j / slots).slot[j%slots]; r != nil {
			return r
		}
	}
}

// Scan calls fn for the records of the bucket at cursor and of further ones until count records or ten times as many
// buckets are done, and returns the cursor to go on from, 0 at the end. fn must not change the table.
func (t *Table) Scan(cursor uint64, count int, fn func(*record.Record)) uint64 {
	pos := cursor << (64 - cursorBits)
	for tries := 10 * count; ; tries-- {
		i := t.index(pos)
		s := t.dir[i]
		s.eachIn(t.bucketOf(i, pos), func(r *record.Record) bool {
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

// Each calls fn for every record until it returns false. fn must not change the table.
func (t *Table) Each(fn func(*record.Record) bool) {
	for i := uint(0); i < uint(len(t.dir)); {
		s := t.dir[i]
		if !s.each(fn) {
			return
		}
		i += 1 << (t.depth - s.depth)
	}
}

// Progress is how far a walk of a snapshot has come, shared by the walker and the owner of the live table.
type Progress struct {
	next atomic.Uint64 // all lower hashes are done
	done atomic.Bool
}

func (p *Progress) passed(hash uint64) bool { return hash < p.next.Load() || p.done.Load() }

// Snapshot is a table as it was at one moment.
type Snapshot struct {
	dir   []*segment
	depth uint8
	count int
	walk  *Progress
}

// Snapshot freezes the table's present state. The caller has pinned the generation, keeps it pinned until the walk is
// over, and then calls EndSnapshot.
func (t *Table) Snapshot() *Snapshot {
	t.walk = new(Progress)
	return &Snapshot{dir: append([]*segment(nil), t.dir...), depth: t.depth, count: t.count, walk: t.walk}
}

// Fork returns a table with the same records, to be written instead of t, which from then on must only be read: the
// directory is copied, segments are shared until their first change. The generation is pinned. It is how a collection
// inside a key is taken from under a snapshot's reader.
func (t *Table) Fork() *Table {
	f := *t
	f.dir = append([]*segment(nil), t.dir...)
	f.shift = append([]uint8(nil), t.shift...)
	f.walk = nil
	return &f
}

// EndSnapshot forgets the walk's progress.
func (t *Table) EndSnapshot() { t.walk = nil }

// Len returns the number of records in the snapshot.
func (s *Snapshot) Len() int { return s.count }

// Walk calls fn once for every record in hash order and stops when fn returns false. Only one walk is possible: it
// lets go of what it has passed, which the live table then writes in place again.
func (s *Snapshot) Walk(fn func(*record.Record) bool) bool {
	for i := uint(0); i < uint(len(s.dir)); {
		seg := s.dir[i]
		if !seg.each(fn) {
			return false
		}
		n := uint(1) << (s.depth - seg.depth)
		clear(s.dir[i : i+n])
		i += n
		if i < uint(len(s.dir)) {
			s.walk.next.Store(uint64(i) << (64 - s.depth))
		}
	}
	s.walk.done.Store(true)
	return true
}
