package sortedset

import "ferrous/datatypes/serial"

// WriteRDB writes the sorted set to a dump.
func (s *SortedSet) WriteRDB(w serial.RDB) {
	if lp := s.Listpack(); lp != nil && w.Version() >= serial.Listpacks {
		w.Begin(serial.ZSetListpack)
		w.Text(lp)
		return
	}
	// In descending order, as in Redis, so that the loader always inserts in front.
	w.Begin(serial.ZSet2)
	w.Length(uint64(s.Len()))
	it := s.Iter(s.All(), true)
	for w.OK() {
		member, score, ok := it.Next()
		if !ok {
			return
		}
		w.Element(member)
		w.Double(score)
	}
}

// WriteCommands writes the commands that create the sorted set.
func (s *SortedSet) WriteCommands(w serial.Commands, key []byte) bool {
	w.Elements("ZADD", key, s.Len(), 2)
	s.Each(func(m Value, score float64) bool {
		w.ArgFloat(score)
		w.Arg(m)
		return true
	})
	return true
}

// Prefetch loads into the processor's cache the memory that a lookup of these members will read, if the set is large; see
// package table.
func (s *SortedSet) Prefetch(members [][]byte) uint64 {
	if z := s.Large(); z != nil {
		return z.Prefetch(members)
	}
	return 0
}
