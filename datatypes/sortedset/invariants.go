//go:build invariants

package sortedset

import "fmt"

// Recount visits the whole set and returns an error if its counters are wrong.
func (s *SortedSet) Recount() error {
	if z := s.large(); z != nil {
		return z.Recount()
	}
	n := 0
	for p := s.lp().First(); p >= 0; p = s.lp().Next(p) {
		n++
	}
	if n != 2*s.Len() {
		return fmt.Errorf("sorted set: %d members, counted %d entries", s.Len(), n)
	}
	return nil
}
