package sortedset

import (
	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/zset"
)

// FromListpack returns a small set of a listpack that holds member and score alternately, in ascending order and no member
// twice. It takes the listpack over.
func FromListpack(lp listpack.Listpack, gen *cow.Generation) *SortedSet {
	return newSmall(lp, gen)
}

// FromZSet returns a large set, which it takes over.
func FromZSet(z *zset.ZSet, gen *cow.Generation) *SortedSet {
	return newLarge(z, gen)
}
