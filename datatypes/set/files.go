package set

import (
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/serial"
)

// WriteRDB writes the set to a dump.
func (s *Set) WriteRDB(w serial.RDB) {
	// A version without listpacks of sets has the members one by one, and the loader chooses the encoding again. The encoding
	// is lost only if a member is too long for a listpack, so only then the version is raised. (A listpack of integers only
	// becomes an intset, which is no loss.)
	if w.Version() < serial.SetListpacks && !w.Fixed() && longMember(s.Listpack()) {
		w.Need(serial.SetListpacks, "")
	}
	switch {
	case s.Intset() != nil:
		w.Begin(serial.SetIntset)
		w.Text(s.Intset())
	case s.Listpack() != nil && w.Version() >= serial.SetListpacks:
		w.Begin(serial.SetListpack)
		w.Text(s.Listpack())
	default:
		w.Begin(serial.Set)
		w.Length(uint64(s.Len()))
		s.Each(func(v Value) bool {
			w.Element(v)
			return w.OK()
		})
	}
}

// longMember reports whether a member of a listpack (which may be nil) is longer than the default of set-max-listpack-value.
func longMember(lp listpack.Listpack) bool {
	const usual = 64
	if len(lp) <= usual {
		return false
	}
	for p := listpack.HeaderSize; p != lp.End(); {
		var v listpack.Value
		if v, p = lp.Read(p); len(v.Str) > usual {
			return true
		}
	}
	return false
}

// WriteCommands writes the commands that create the set.
func (s *Set) WriteCommands(w serial.Commands, key []byte) bool {
	w.Elements("SADD", key, s.Len(), 1)
	s.Each(func(m Value) bool {
		w.Arg(m)
		return true
	})
	return true
}
