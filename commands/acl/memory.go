package acl

// The bytes of a user with its entry in the map, of a selector, and of a string or slice, without the memory that they point
// to.
const (
	userBytes     = 192
	selectorBytes = 160
	stringBytes   = 24
)

// Bytes returns about how many bytes of memory the users need, without the default one. It counts again after a change.
func (us *Users) Bytes() int {
	if us.counted {
		return us.bytes
	}
	us.bytes, us.counted = 0, true
	for name, u := range us.byName {
		if u != us.def {
			us.bytes += userBytes + len(name) + u.held()
		}
	}
	return us.bytes
}

func (u *User) held() int {
	n := 0
	for _, p := range u.passwords {
		n += stringBytes + len(p)
	}
	for _, s := range u.selectors {
		n += selectorBytes + 8*len(s.commands)
		for _, r := range s.rules {
			n += stringBytes + len(r)
		}
		for _, k := range s.keys {
			n += stringBytes + len(k.pattern)
		}
		for _, c := range s.channels {
			n += stringBytes + len(c)
		}
		for _, words := range s.firstArgs {
			for _, w := range words {
				n += stringBytes + len(w)
			}
		}
	}
	return n
}
