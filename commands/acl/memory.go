package acl

// What an entry of a map, a user and a selector take beside what they point to.
const (
	userBytes     = 192
	selectorBytes = 160
	stringBytes   = 24
)

// Bytes returns about how much memory the users hold, but for the default one. It is counted anew after a change.
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
