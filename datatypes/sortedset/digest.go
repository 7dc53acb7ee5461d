package sortedset

import "ferrous/datatypes/digest"

// Digest adds the members and their scores to a DEBUG DIGEST.
func (s *SortedSet) Digest(d *digest.Digest) {
	var text [32]byte
	s.Each(func(m Value, score float64) bool {
		e := d.Part()
		e.MixValue(m)
		e.Mix(d.Score(text[:0], score))
		d.AddPart(&e)
		return true
	})
}
