package record

import (
	"unsafe"

	"ferrous/datatypes/mem"
)

// Spares keeps the memory of records that are not needed any more for new ones. Each write of a cache at its limit takes the
// place of another key: without Spares both records, one after the other, are work for the garbage collector, which has to
// look through the whole heap to find them.
//
// # What is kept
//
// Inline strings of up to spareMost bytes: one allocation without pointers, which belongs to nothing else. (Packed collections,
// which are inline, too, are not kept: their values refer to their bytes.) A new record takes
// the memory of an old one of the same size class. Of each class spareBytes are kept, so that a mix of sizes that comes and
// goes at random seldom finds its class empty; there are 31 classes. What is beyond that is left to the collector. Spare
// memory is not counted by used_memory: like the collector's garbage it belongs to nobody.
//
// # When
//
//	live      the record is in a table
//	removed   Remove: it has left the table. The command that removed it may still read it: its key for an event, its value
//	          for a reply
//	free      Free: nobody reads it. The next record of its size overwrites it
//
// # Why it is safe
//
// The caller vouches for two things.
//
//   - A snapshot cannot reach the record: Remove is called only while none is held. A later one does not find it in the table.
//   - Nobody else keeps the record, or a slice of its key or value, beyond Free. So Free is called between two commands. Sinks,
//     replies, tracking, WATCH and waiting clients copy what they keep. (Replies refer to long strings only, which are objects.)
//
// With the build tag invariants and under the race detector, Free fills the memory with a pattern that is no record, and taking
// it again checks the pattern. So a test sees who reads or writes a record that is free.
//
// The zero value is ready to use. A nil *Spares keeps nothing.
type Spares struct {
	removed []*Record
	free    [spareMost/8 + 1][]*Record // by size in words
}

const (
	spareMost    = 1024     // bytes of a record
	spareBytes   = 64 << 10 // of free records of a class
	removedRoom  = 1024     // records between two calls of Free
	spareGarbage = 0xfefefefefefefefe
)

// Remove takes over r, which has left its table while no snapshot was held.
func (s *Spares) Remove(r *Record) {
	if r.header&flagInline != 0 && r.Type() == String && len(s.removed) < removedRoom {
		s.removed = append(s.removed, r)
	}
}

// Free makes the removed records available. Nobody may hold one of them, or a part of it, any more.
func (s *Spares) Free() {
	if len(s.removed) > 0 {
		s.freeRemoved()
	}
}

func (s *Spares) freeRemoved() {
	for i, r := range s.removed {
		s.removed[i] = nil
		if size := r.Size(); size <= spareMost {
			if list := &s.free[size/8]; len(*list) < spareBytes/size {
				if poisoned {
					for i := range size / 8 {
						*(*uint64)(r.at(8 * i)) = spareGarbage
					}
				}
				*list = append(*list, r)
			}
		}
	}
	s.removed = s.removed[:0]
}

// take returns memory of size bytes, a size class, for a record. It is not cleared.
func (s *Spares) take(size int) *Record {
	if s != nil && size <= spareMost {
		list := &s.free[size/8]
		if n := len(*list) - 1; n >= 0 {
			r := (*list)[n]
			(*list)[n] = nil
			*list = (*list)[:n]
			if poisoned {
				for i := range size / 8 {
					if *(*uint64)(r.at(8 * i)) != spareGarbage {
						panic("record: a free record was written")
					}
				}
			}
			return r
		}
	}
	words := make([]uint64, size/8)
	return (*Record)(unsafe.Pointer(unsafe.SliceData(words)))
}

// Each calls fn for every record that is removed or free.
func (s *Spares) Each(fn func(*Record)) {
	for _, r := range s.removed {
		fn(r)
	}
	for _, list := range s.free {
		for _, r := range list {
			fn(r)
		}
	}
}

// inlineSize returns the bytes that an inline record of n bytes takes.
func inlineSize(n int) int { return max(mem.Size(n), 16) }
