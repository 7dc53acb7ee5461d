package table

import (
	"bytes"
	"unsafe"

	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

// The directory: pages, how they grow and shrink, and how they are shared with a snapshot.
//
// A page has as many entries as its deepest segment needs; the numbers of neighbouring pages may differ. The depth of a
// segment is at least the number of bits of a page index, so that a segment lies within one page. Before a page would get
// more than maxPage entries, every page is cut in two: the halves are parts of the same arrays, so this costs 64 bytes a
// page. When pages have become short, neighbours are joined again.

const (
	maxPage  = 512 // entries of a page
	joinPage = 32  // average entries of a page at which pages are joined
)

// page is one cache line: a part of the directory.
type page struct {
	dir   []*segment
	shift []uint8 // for each entry, how far to shift a hash to get its bucket number
	stamp uint64
	low   uint8 // how far to shift a hash to get its entry: 64 minus depth
}

const pageSize = int(unsafe.Sizeof(page{}))

// size returns the bytes of the page's arrays.
func (p *page) size() int { return mem.SizePtr(8*len(p.dir)) + mem.Size(len(p.shift)) }

func (p *page) depth() uint8 { return 64 - p.low }

// run returns the entries that point to s, of which i is one.
func (p *page) run(i uint, s *segment) (first, n uint) {
	n = 1 << ((64 - p.low) - s.depth)
	return i &^ (n - 1), n
}

// set makes n entries from first on point to s.
func (p *page) set(first, n uint, s *segment, shift uint8) {
	for i := first; i < first+n; i++ {
		p.dir[i], p.shift[i] = s, shift
	}
}

// deepest reports whether a segment needs all entries that the page has.
func (p *page) deepest() bool { return bytes.IndexByte(p.shift, bucketShift(p.depth())) >= 0 }

// bucketShift is the shift of a full-size segment's entries.
func bucketShift(depth uint8) uint8 { return 64 - depth - bucketBits }

func (t *Table) topSize() int { return mem.SizePtr(pageSize * len(t.pages)) }

// place returns the page and the entry that a hash belongs to.
func (t *Table) place(hash uint64) (p *page, i uint) {
	// A shift by 64 becomes one by 0, of which the mask, 0 then, leaves nothing.
	p = &t.pages[uint(hash>>(t.low&63))&uint(len(t.pages)-1)]
	return p, uint(hash>>(p.low&63)) & uint(len(p.dir)-1)
}

// bucketOf returns the number of the bucket that a hash belongs to in the segment of entry i.
func (t *Table) bucketOf(p *page, i uint, hash uint64) uint {
	return uint(hash>>(p.shift[i]&63)) & uint(t.mask)
}

// passed reports whether the snapshot that is being walked has passed all hashes that differ from this one in the low lowest
// bits only.
func (t *Table) passed(hash uint64, low uint8) bool {
	return t.walk != nil && t.walk.passed(hash|(1<<low-1))
}

// writable returns the segment of entry i, to which hash belongs. If a snapshot still needs the segment, it makes a copy
// first.
func (t *Table) writable(p *page, i uint, hash uint64) *segment {
	s := p.dir[i]
	if t.gen.Owns(s.stamp) || t.passed(hash, 64-s.depth) {
		return s
	}
	c := s.clone(t.gen.Copying(s.size()))
	t.own(p, hash)
	first, n := p.run(i, s)
	for j := first; j < first+n; j++ {
		p.dir[j] = c
	}
	return c
}

// entrySize is the number of bytes of an entry of a page: a pointer to a segment and a shift.
const entrySize = 8 + 1

// own makes the entries of the page to which hash belongs writable.
func (t *Table) own(p *page, hash uint64) {
	if t.gen.Owns(p.stamp) || t.passed(hash, t.low) {
		return
	}
	p.dir = append([]*segment(nil), p.dir...)
	p.shift = append([]uint8(nil), p.shift...)
	p.stamp = t.gen.Copying(entrySize * len(p.dir))
}

// pour inserts all records of src into the full or empty segments that pick chooses. It reports whether all fitted.
func pour(src *segment, pick func(hash uint64) (dst *segment, bucket uint)) bool {
	return src.each(func(r *record.Record) bool {
		h := Hash(r.Key())
		s, b := pick(h)
		return s.insert(b, fingerprint(h), r)
	})
}

// grow makes room in the segment of entry i, to which hash belongs and whose reserve is used up: a small one becomes the
// next larger size, a full-size one splits.
func (t *Table) grow(p *page, i uint, hash uint64) {
	s := p.dir[i]
	if s.bits < bucketBits {
		t.resize(s, s.bits+2)
		return
	}
	if s.depth == p.depth() {
		if len(p.dir) == maxPage {
			t.cutPages()
			p, i = t.place(hash)
		}
		t.double(p)
		i <<= 1
	}
	t.split(p, i, hash)
}

// split divides the segment of entry i, to which hash belongs and which is not as deep as the page. If no snapshot needs the
// segment, it becomes the lower half itself: a table that grows leaves no segments to the garbage collector.
func (t *Table) split(p *page, i uint, hash uint64) {
	s := p.dir[i]
	first, n := p.run(i, s)
	depth := s.depth + 1
	shift := bucketShift(depth)
	hi := newSegment(bucketBits, depth, t.gen.Current())
	lo, from := s, s
	var copied segment64
	if t.gen.Owns(s.stamp) {
		copied = *(*segment64)(unsafe.Pointer(s))
		from = &copied.segment
		*(*segment64)(unsafe.Pointer(s)) = segment64{segment: newHead(bucketBits, depth, fullReserve, t.gen.Current())}
	} else {
		lo = newSegment(bucketBits, depth, t.gen.Current())
	}
	pour(from, func(h uint64) (*segment, uint) {
		b := uint(h>>shift) & (1<<bucketBits - 1)
		if h>>(64-depth)&1 == 0 {
			return lo, b
		}
		return hi, b
	})
	if lo.count+hi.count != from.count {
		// The half of a bucket's chain is spread over two buckets, so it always fits.
		panic("table: a split lost records")
	}
	t.own(p, hash)
	p.set(first, n/2, lo, shift)
	p.set(first+n/2, n/2, hi, shift)
	t.size += lo.size()
}

// double doubles the entries of a page.
func (t *Table) double(p *page) {
	if p.depth() == maxDepth {
		panic("table: too deep; the hash function is broken")
	}
	t.size -= p.size()
	dir, shift := make([]*segment, 2*len(p.dir)), make([]uint8, 2*len(p.dir))
	for i, s := range p.dir {
		dir[2*i], dir[2*i+1] = s, s
		shift[2*i], shift[2*i+1] = p.shift[i], p.shift[i]
	}
	p.dir, p.shift, p.stamp = dir, shift, t.gen.Current()
	p.low--
	t.entries += len(dir) / 2
	t.depth = max(t.depth, p.depth())
	t.size += p.size()
}

// cutPages cuts every page in two.
func (t *Table) cutPages() {
	for i := range t.pages {
		// A segment that has all entries of a page would belong to both halves, so it is split before. Such pages exist when
		// keys are inserted in the order of their hashes, as a walk or SCAN returns them: they fill one page after the other,
		// and the last pages stay empty.
		p := &t.pages[i]
		if _, n := p.run(0, p.dir[0]); int(n) == len(p.dir) {
			if n == 1 {
				t.double(p)
			}
			t.split(p, 0, uint64(i)<<t.low)
		}
	}
	t.size -= t.topSize()
	pages := make([]page, 2*len(t.pages))
	for i := range t.pages {
		p := &t.pages[i]
		n := len(p.dir) / 2
		lo, hi := &pages[2*i], &pages[2*i+1]
		*lo, *hi = *p, *p
		lo.dir, lo.shift = p.dir[:n:n], p.shift[:n:n]
		hi.dir, hi.shift = p.dir[n:], p.shift[n:]
		t.size += lo.size() + hi.size() - p.size()
	}
	t.pages = pages
	t.low--
	t.size += t.topSize()
}

// resize replaces the only segment of a table by one of another size.
func (t *Table) resize(s *segment, b uint8) {
	d := newSegment(b, 0, t.gen.Current())
	if !pour(s, func(h uint64) (*segment, uint) { return d, uint(h>>(64-b)) & (1<<b - 1) }) {
		if b == bucketBits || d.bits < s.bits {
			return // not shrunk this time; a full-size segment always holds the records of a smaller one
		}
		t.resize(s, b+2)
		return
	}
	t.size += d.size() - s.size()
	p := &t.pages[0]
	t.own(p, 0)
	p.set(0, 1, d, 64-b)
	t.mask = 1<<b - 1
}

// shrink merges the segment of entry i, to which hash belongs and which is nearly empty, with its buddy if both fit into one
// with room to spare. If the table has only one segment, it replaces it by a smaller one.
func (t *Table) shrink(p *page, i uint, hash uint64) {
	s := p.dir[i]
	if t.depth == 0 {
		if s.bits > 0 && s.count <= 1<<s.bits/2 {
			t.resize(s, s.bits-2)
		}
		return
	}
	first, n := p.run(i, s)
	if int(n) == len(p.dir) {
		return // the buddy is in another page
	}
	buddy := p.dir[first^n]
	if buddy.depth != s.depth || s.count+buddy.count > mergedLimit {
		return
	}
	depth := s.depth - 1
	shift := bucketShift(depth)
	m := newSegment(bucketBits, depth, t.gen.Current())
	pick := func(h uint64) (*segment, uint) { return m, uint(h>>shift) & (1<<bucketBits - 1) }
	if !pour(s, pick) || !pour(buddy, pick) {
		return // unlucky spread; a later deletion tries again
	}
	t.own(p, hash)
	p.set(first&^n, 2*n, m, shift)
	t.size -= m.size()
	if n == 1 && !p.deepest() {
		t.halve(p)
	}
}

// halve undoes double as long as no segment is as deep as the page.
func (t *Table) halve(p *page) {
	was := p.depth()
	for len(p.dir) > 1 && !p.deepest() {
		t.size -= p.size()
		n := len(p.dir) / 2
		dir, shift := make([]*segment, n), make([]uint8, n)
		for i := range n {
			dir[i], shift[i] = p.dir[2*i], p.shift[2*i]
		}
		p.dir, p.shift, p.stamp = dir, shift, t.gen.Current()
		p.low++
		t.entries -= n
		t.size += p.size()
	}
	if len(t.pages) > 1 && t.entries <= joinPage*len(t.pages) {
		t.joinPages()
	}
	if was == t.depth {
		t.depth = 0
		for i := range t.pages {
			t.depth = max(t.depth, t.pages[i].depth())
		}
	}
}

// joinPages undoes cutPages, unless two pages would have more than maxPage entries.
func (t *Table) joinPages() {
	pages := make([]page, len(t.pages)/2)
	entries, size := 0, mem.SizePtr(pageSize*len(pages))
	for i := range pages {
		lo, hi, p := &t.pages[2*i], &t.pages[2*i+1], &pages[i]
		n := max(len(lo.dir), len(hi.dir))
		if 2*n > maxPage {
			return
		}
		*p = page{dir: make([]*segment, 2*n), shift: make([]uint8, 2*n), stamp: t.gen.Current(), low: min(lo.low, hi.low)}
		lo.stretch(p.dir[:n], p.shift[:n])
		hi.stretch(p.dir[n:], p.shift[n:])
		entries += 2 * n
		size += p.size()
	}
	for i := range t.pages {
		size -= t.pages[i].size()
	}
	t.size += size - t.topSize()
	t.pages, t.entries = pages, entries
	t.low++
}

// stretch writes the entries of a page to arrays that may be longer.
func (p *page) stretch(dir []*segment, shift []uint8) {
	n := len(dir) / len(p.dir)
	for i := range dir {
		dir[i], shift[i] = p.dir[i/n], p.shift[i/n]
	}
}
