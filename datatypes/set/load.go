package set

import (
	"ferrous/datatypes/cow"
	"ferrous/datatypes/intset"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/table"
)

// FromIntset returns a set of the members of an intset, which it takes over.
func FromIntset(s intset.Intset, gen *cow.Generation) *Set {
	return newSmall(s, ints, gen)
}

// FromListpack returns a set of the elements of a listpack, all different, which it takes over.
func FromListpack(lp listpack.Listpack, gen *cow.Generation) *Set {
	return newSmall(lp, packed, gen)
}

// NewLarge returns an empty set that is a table with room for about n members. It is for loading a set that will not be
// small.
func NewLarge(n int, gen *cow.Generation) *Set {
	s := newLarge(&large{t: table.New(gen)}, gen)
	s.large().t.Reserve(n, nil)
	return s
}
