package set

import "ferrous/datatypes/digest"

// Digest takes the members into a DEBUG DIGEST.
func (s *Set) Digest(d *digest.Digest) {
	s.Each(func(v Value) bool {
		d.AddValue(v)
		return true
	})
}
