package hash

import (
	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
)

// FromListpack returns a small hash of a listpack that holds fields and values alternately, no field twice. It takes the
// listpack over.
func FromListpack(lp listpack.Listpack, gen *cow.Generation) *Hash {
	return newSmall(lp, pairs, gen)
}

// NewLarge returns an empty large hash with room for about n fields. It is for loading a hash that will not be small.
func NewLarge(n int, gen *cow.Generation) *Hash {
	h := New(gen)
	h.grow(gen)
	h.large().t.Reserve(n, nil)
	return h
}
