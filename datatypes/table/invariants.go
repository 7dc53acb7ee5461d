//go:build invariants

package table

import (
	"fmt"
	"unsafe"

	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

// Recount visits the whole table and returns an error if its counters are wrong.
func (t *Table) Recount() error {
	count, entries, depth := 0, 0, uint8(0)
	size := t.topSize() + mem.SizePtr(int(unsafe.Sizeof(*t)))
	for n := range t.pages {
		p := &t.pages[n]
		depth = max(depth, p.depth())
		entries += len(p.dir)
		size += p.size()
		for i := uint(0); i < uint(len(p.dir)); {
			s := p.dir[i]
			in := 0
			s.each(func(*record.Record) bool { in++; return true })
			if in != int(s.count) {
				return fmt.Errorf("table: segment of %d records, counted %d", s.count, in)
			}
			count += in
			size += s.size()
			_, run := p.run(i, s)
			i += run
		}
	}
	if count != t.count || entries != t.entries || depth != t.depth || size != t.size {
		return fmt.Errorf("table: %d records, %d entries, depth %d, %d bytes; counted %d, %d, %d, %d",
			t.count, t.entries, t.depth, t.size, count, entries, depth, size)
	}
	return nil
}
