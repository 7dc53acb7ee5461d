package list

import (
	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
)

// FromListpack returns a small list of the elements of a listpack, which it takes over.
func FromListpack(lp listpack.Listpack, gen *cow.Generation) *List {
	return newSmall(lp, gen)
}

// FromQuicklist returns a large list. It takes the quicklist over.
func FromQuicklist(q *quicklist.List, gen *cow.Generation) *List {
	return newLarge(q, gen)
}

// Settle makes a large list small if it is within the bounds of a small one, as Redis does after loading a list.
func (l *List) Settle(rules Rules) {
	if l.large() == nil {
		return
	}
	if lp, ok := l.large().Listpack(rules.Fill, false); ok {
		l.setLP(lp)
		l.head.SetForm(packed)
	}
}
