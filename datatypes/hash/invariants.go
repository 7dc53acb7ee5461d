//go:build invariants

package hash

import (
	"fmt"

	"ferrous/datatypes/record"
)

// Recount visits the whole hash and returns an error if its counters are wrong.
func (h *Hash) Recount() error {
	n, timed, earliest := 0, 0, record.NoExpiry
	h.EachField(func(_, _ Value, when int64) bool {
		n++
		if when != record.NoExpiry {
			timed++
			if earliest == record.NoExpiry || when < earliest {
				earliest = when
			}
		}
		return true
	})
	if n != h.Len() || earliest != h.Earliest() {
		return fmt.Errorf("hash: %d fields, earliest deadline %d; counted %d, %d", h.Len(), h.Earliest(), n, earliest)
	}
	l := h.large()
	if l == nil {
		return nil
	}
	bytes := l.due.size()
	l.t.Each(func(r *record.Record) bool { bytes += r.Size(); return true })
	if bytes != l.bytes {
		return fmt.Errorf("hash: %d bytes of fields, counted %d", l.bytes, bytes)
	}
	due := 0
	if l.due != nil {
		for _, b := range l.due.blocks {
			due += len(b)
		}
		if due != l.due.n {
			return fmt.Errorf("hash: %d deadlines, counted %d", l.due.n, due)
		}
	}
	if due != timed {
		return fmt.Errorf("hash: %d entries for %d deadlines of fields", due, timed)
	}
	return l.t.Recount()
}
