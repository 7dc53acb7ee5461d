package table

import "ferrous/datatypes/record"

// reserved is how many records a segment gets on average when room is reserved, at least half of it: what segments hold
// when a table has grown to that size by itself.
const reserved = 300

// Reserve gives an empty table the segments that n records will need, so that none has to split while they are inserted:
// a split looks at every key of its segment, and the keys lie anywhere in memory. It takes 16 to 33 bytes a record; for a
// few hundred records it does nothing. Deletions give back what was not needed.
func (t *Table) Reserve(n int) {
	if t.count > 0 || n <= 2*reserved {
		return
	}
	depth := uint8(1)
	for n > reserved<<depth && depth < maxDepth/2 {
		depth++
	}
	pageBits := depth - min(depth, 8)
	for i := range t.pages {
		t.size -= t.pages[i].size()
	}
	t.size -= t.topSize() + t.pages[0].dir[0].size()
	t.pages = make([]page, 1<<pageBits)
	n = 1 << (depth - pageBits)
	for i := range t.pages {
		p := &t.pages[i]
		*p = page{dir: make([]*segment, n), shift: make([]uint8, n), low: 64 - depth, stamp: t.gen.Current()}
		for j := range p.dir {
			s := newSegment(bucketBits, depth, t.gen.Current())
			p.dir[j], p.shift[j] = s, bucketShift(depth)
			t.size += s.size()
		}
		t.size += p.size()
	}
	t.low, t.depth, t.mask = 64-pageBits, depth, 1<<bucketBits-1
	t.entries = n << pageBits
	t.size += t.topSize()
}

// Trim gives back room that was reserved and not needed: a table that is nearly empty is made anew. It is to be called when
// what was announced has come, or has not.
func (t *Table) Trim() {
	if t.count >= t.entries*reserved/8 || t.depth == 0 || t.walk != nil {
		return
	}
	n := New(t.gen)
	n.Reserve(t.count)
	t.Each(func(r *record.Record) bool {
		n.Insert(Hash(r.Key()), r)
		return true
	})
	*t = *n
}
