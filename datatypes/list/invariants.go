//go:build invariants

package list

import "fmt"

// Recount visits the whole list and returns an error if its counters are wrong.
func (l *List) Recount() error {
	if q := l.large(); q != nil {
		return q.Recount()
	}
	n := 0
	for p := l.lp().First(); p >= 0; p = l.lp().Next(p) {
		n++
	}
	if n != l.Len() {
		return fmt.Errorf("list: %d elements, counted %d", l.Len(), n)
	}
	return nil
}
