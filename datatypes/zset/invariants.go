//go:build invariants

package zset

import (
	"fmt"

	"ferrous/datatypes/record"
)

// Recount visits the whole set and returns an error if its counters are wrong.
func (z *ZSet) Recount() error {
	if err := z.tree.Check(); err != nil {
		return err
	}
	bytes := 0
	z.table.Each(func(r *record.Record) bool { bytes += r.Size(); return true })
	if bytes != z.records || z.table.Len() != z.Len() {
		return fmt.Errorf("zset: %d members of %d bytes, counted %d of %d", z.Len(), z.records, z.table.Len(), bytes)
	}
	return z.table.Recount()
}
