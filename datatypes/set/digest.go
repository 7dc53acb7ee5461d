package set

import "ferrous/datatypes/digest"

// Digest adds the members to a DEBUG DIGEST.
func (s *Set) Digest(d *digest.Digest) {
	s.Each(func(v Value) bool {
		d.AddValue(v)
		return true
	})
}
