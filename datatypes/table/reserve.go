package table

import "ferrous/datatypes/record"

// reserved is the greatest average number of records that Reserve plans for a segment; the least is half of it. A segment of
// a table that grew by insertions holds as many.
const reserved = 300

// pausePages is how many pages Reserve makes between two pauses, each with 256 segments.
const pausePages = 4

// Reserve gives an empty table the segments that n records will need, so that none has to split while they are inserted:
// a split reads every key of its segment, and the keys are spread over the memory. It takes 16 to 33 bytes a record; for a
// few hundred records it does nothing. Deletions free what is not needed. pause, unless it is nil, is called now and then before
// the table is changed: half a million records take a millisecond or more.
func (t *Table) Reserve(n int, pause func()) {
	if t.count > 0 || n <= 2*reserved {
		return
	}
	depth := uint8(1)
	for n > reserved<<depth && depth < maxDepth/2 {
		depth++
	}
	pageBits := depth - min(depth, 8)
	n = 1 << (depth - pageBits)
	pages := make([]page, 1<<pageBits)
	for i := range pages {
		p := &pages[i]
		*p = page{dir: make([]*segment, n), shift: make([]uint8, n), low: 64 - depth, stamp: t.gen.Current()}
		for j := range p.dir {
			s := newSegment(bucketBits, depth, t.gen.Current())
			p.dir[j], p.shift[j] = s, bucketShift(depth)
			t.size += s.size()
		}
		t.size += p.size()
		if pause != nil && i%pausePages == pausePages-1 {
			pause()
		}
	}
	for i := range t.pages {
		t.size -= t.pages[i].size()
	}
	t.size -= t.topSize() + t.pages[0].dir[0].size()
	t.pages = pages
	t.low, t.depth, t.mask = 64-pageBits, depth, 1<<bucketBits-1
	t.entries = n << pageBits
	t.size += t.topSize()
}

// Trim frees reserved memory that is not needed: it rebuilds a table that is nearly empty. The caller of Reserve calls it
// after the last insertion.
func (t *Table) Trim() {
	if t.count >= t.entries*reserved/8 || t.depth == 0 || t.walk != nil {
		return
	}
	n := New(t.gen)
	n.Reserve(t.count, nil)
	t.Each(func(r *record.Record) bool {
		n.Insert(Hash(r.Key()), r)
		return true
	})
	*t = *n
}
