//go:build invariants

package set

import (
	"fmt"

	"ferrous/datatypes/record"
)

// Recount visits the whole set and returns an error if its counters are wrong.
func (s *Set) Recount() error {
	n := 0
	s.Each(func(Value) bool { n++; return true })
	if n != s.Len() {
		return fmt.Errorf("set: %d members, counted %d", s.Len(), n)
	}
	l := s.large()
	if l == nil {
		return nil
	}
	bytes := 0
	l.t.Each(func(r *record.Record) bool { bytes += r.Size(); return true })
	if bytes != l.bytes {
		return fmt.Errorf("set: %d bytes of members, counted %d", l.bytes, bytes)
	}
	return l.t.Recount()
}
