package table

import (
	"sync/atomic"

	"ferrous/datatypes/record"
)

// Progress is the position of a snapshot's walk, shared by the walker and the owner of the live table.
type Progress struct {
	next atomic.Uint64 // all lower hashes are done
	done atomic.Bool
}

func (p *Progress) passed(hash uint64) bool { return hash < p.next.Load() || p.done.Load() }

// Snapshot is a table as it was at one moment.
type Snapshot struct {
	pages []page
	low   uint8
	count int
	walk  *Progress
	sink  uint64 // has no meaning: it keeps the compiler from removing loads
}

// Snapshot freezes the table's present state. The caller has pinned the generation, keeps it pinned until the walk is
// over, and then calls EndSnapshot.
func (t *Table) Snapshot() *Snapshot {
	t.walk = new(Progress)
	return &Snapshot{pages: append([]page(nil), t.pages...), low: t.low, count: t.count, walk: t.walk}
}

// Fork returns a table with the same records, to be written instead of t, which from then on must only be read: the
// array of pages is copied, pages and segments are shared until their first change. The generation is pinned. A collection
// that a snapshot's reader uses is replaced by a Fork before a change.
func (t *Table) Fork() *Table {
	f := *t
	f.pages = append([]page(nil), t.pages...)
	f.walk = nil
	return &f
}

// EndSnapshot ends the snapshot's walk for the table.
func (t *Table) EndSnapshot() { t.walk = nil }

// Len returns the number of records in the snapshot.
func (s *Snapshot) Len() int { return s.count }

// Walk calls fn once for every record in hash order and stops when fn returns false. Only one walk is possible: it drops its
// pointers to segments that it has passed, and the live table writes these in place again.
func (s *Snapshot) Walk(fn func(*record.Record) bool) bool {
	var room [maxPage]*segment
	for n := range s.pages {
		// The walk copies the pointers to a page's segments, so that it can drop them one by one. It drops the page at once.
		dir, low := room[:copy(room[:], s.pages[n].dir)], s.pages[n].low
		s.pages[n] = page{}
		for i := 0; i < len(dir); {
			seg := dir[i]
			s.sink += seg.touchAll()
			if !seg.each(fn) {
				return false
			}
			last := i + 1<<(64-low-seg.depth)
			clear(dir[i:last])
			i = last
			if next := uint64(n)<<s.low + uint64(i)<<low; next != 0 {
				s.walk.next.Store(next)
			}
		}
	}
	s.walk.done.Store(true)
	return true
}
