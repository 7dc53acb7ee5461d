package table

import (
	"sync/atomic"

	"ferrous/datatypes/record"
)

// Progress is how far a walk of a snapshot has come, shared by the walker and the owner of the live table.
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
	sink  uint64 // of no use but to keep the compiler from leaving loads out
}

// Snapshot freezes the table's present state. The caller has pinned the generation, keeps it pinned until the walk is
// over, and then calls EndSnapshot.
func (t *Table) Snapshot() *Snapshot {
	t.walk = new(Progress)
	return &Snapshot{pages: append([]page(nil), t.pages...), low: t.low, count: t.count, walk: t.walk}
}

// Fork returns a table with the same records, to be written instead of t, which from then on must only be read: the
// array of pages is copied, pages and segments are shared until their first change. The generation is pinned. It is how
// a collection inside a key is taken from under a snapshot's reader.
func (t *Table) Fork() *Table {
	f := *t
	f.pages = append([]page(nil), t.pages...)
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
	var room [maxPage]*segment
	for n := range s.pages {
		// The walk keeps segments by itself, so that it lets go of them one by one; a page it lets go of at once, since the
		// live table has the same or a copy.
		dir, low := room[:copy(room[:], s.pages[n].dir)], s.pages[n].low
		s.pages[n] = page{}
		for i := 0; i < len(dir); {
			seg := dir[i]
			for b := range uint(1) << seg.bits {
				s.sink += seg.touch(b)
				if !seg.eachIn(b, fn) {
					return false
				}
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
