package sets

import (
	"math"
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/session"
	dset "ferrous/datatypes/set"
	"ferrous/eventloop/resp"
)

// The commands that combine sets: intersection, union, difference, and their storing forms.
//
// The sets are only read. The result is a new set, which replaces the destination when it is complete, so that the
// destination may be among the sources. Its form (OBJECT ENCODING) depends on the way in which it is built, which is the same
// as in Redis.

const (
	errNumKeysMany = "ERR Number of keys can't be greater than number of args"
)

// readSets returns the sets at the keys, nil for those that do not exist. If a key has another type it has replied, and ok is
// false.
func readSets(c *session.Client, keys [][]byte) (sets []*dset.Set, ok bool) {
	sets = make([]*dset.Set, len(keys))
	for i, key := range keys {
		if sets[i], ok = readSet(c, key); !ok {
			return nil, false
		}
	}
	return sets, true
}

// storeSet puts the result of a combination at the first key, or deletes that if the result is empty, and replies with
// its length.
func storeSet(c *session.Client, s *dset.Set, event string) {
	key := c.Args[1]
	if s == nil || s.Len() == 0 {
		c.DeleteKey(key)
		c.W.Int(0)
		return
	}
	putSet(c, key, s)
	c.Changed(key, 1, config.NotifySet, event)
	c.W.Int(int64(s.Len()))
}

// intersect calls fn for each member that all of the sets have, until it returns false. sets is sorted, the smallest
// first.
func intersect(sets []*dset.Set, fn func(dset.Value) bool) {
	others := slices.DeleteFunc(slices.Clone(sets[1:]), func(s *dset.Set) bool { return s == sets[0] })
	sets[0].Each(func(v dset.Value) bool {
		for _, s := range others {
			if !s.HasValue(v) {
				return true
			}
		}
		return fn(v)
	})
}

// readForIntersection returns the sets in the order for intersect; none if one of them does not exist, since the intersection
// is empty then.
func readForIntersection(c *session.Client, keys [][]byte) (sets []*dset.Set, ok bool) {
	sets, ok = readSets(c, keys)
	if !ok || slices.Contains(sets, nil) {
		return nil, ok
	}
	slices.SortStableFunc(sets, func(a, b *dset.Set) int { return a.Len() - b.Len() })
	return sets, true
}

func sinter(c *session.Client) {
	sets, ok := readForIntersection(c, c.Args[1:])
	if !ok {
		return
	}
	if len(sets) == 0 {
		c.W.Set(0)
		return
	}
	m, n := c.W.BeginSet(), 0
	intersect(sets, func(v dset.Value) bool {
		c.BulkValue(v)
		n++
		return true
	})
	c.W.EndSet(m, n)
}

func sintercard(c *session.Client) {
	numkeys, ok := resp.ParseInt(c.Args[1])
	if !ok || numkeys < 1 {
		c.Error(session.ErrNumKeys)
		return
	}
	if numkeys > int64(len(c.Args)-2) {
		c.Error(errNumKeysMany)
		return
	}
	limit := int64(math.MaxInt64)
	for i := 2 + int(numkeys); i < len(c.Args); i += 2 {
		if !c.Is(i, "limit") || i+1 == len(c.Args) {
			c.Error(session.ErrSyntax)
			return
		}
		n, ok := resp.ParseInt(c.Args[i+1])
		if !ok || n < 0 {
			c.Error(session.ErrLimit)
			return
		}
		if limit = n; n == 0 {
			limit = math.MaxInt64
		}
	}
	sets, ok := readForIntersection(c, c.Args[2:2+numkeys])
	if !ok {
		return
	}
	n := int64(0)
	if len(sets) > 0 {
		intersect(sets, func(dset.Value) bool {
			n++
			return n < limit
		})
	}
	c.W.Int(n)
}

func sinterstore(c *session.Client) {
	sets, ok := readForIntersection(c, c.Args[2:])
	if !ok {
		return
	}
	if len(sets) == 0 {
		storeSet(c, nil, "sinterstore")
		return
	}
	rules, gen := c.SetRules(), c.Gen()
	// Appending to a listpack is cheap; if all members are integers the result becomes an intset in the end.
	result := dset.NewPack(gen)
	if sets[0].Intset() != nil {
		result = dset.NewInts(gen)
	}
	integers := true
	intersect(sets, func(v dset.Value) bool {
		if integers {
			_, integers = v.Integer()
		}
		result.AddValue(v, rules, gen)
		return true
	})
	if integers {
		result.Ints(rules)
	}
	storeSet(c, result, "sinterstore")
}

// union returns the union of the sets.
func union(c *session.Client, sets []*dset.Set) *dset.Set {
	rules, gen := c.SetRules(), c.Gen()
	result := dset.NewInts(gen)
	for _, s := range sets {
		if s != nil {
			s.Each(func(v dset.Value) bool {
				result.AddValue(v, rules, gen)
				return true
			})
		}
	}
	return result
}

func sunion(c *session.Client) {
	sets, ok := readSets(c, c.Args[1:])
	if !ok {
		return
	}
	if len(sets) == 1 {
		wholeSet(c, sets[0])
		return
	}
	wholeSet(c, union(c, sets))
}

func sunionstore(c *session.Client) {
	if sets, ok := readSets(c, c.Args[2:]); ok {
		storeSet(c, union(c, sets), "sunionstore")
	}
}

// difference returns the members of the first set that are in no other.
func difference(c *session.Client, sets []*dset.Set) *dset.Set {
	rules, gen := c.SetRules(), c.Gen()
	result := dset.NewInts(gen)
	first, others := sets[0], sets[1:]
	if first == nil || slices.Contains(others, first) {
		return result
	}
	// Either look up each member of the first set in the others, or remove the members of the others from a copy of the
	// first.
	lookups, members := 0, 0
	for _, s := range sets {
		if s != nil {
			lookups += first.Len()
			members += s.Len()
		}
	}
	if lookups/2 <= members {
		others = slices.DeleteFunc(slices.Clone(others), func(s *dset.Set) bool { return s == nil })
		slices.SortStableFunc(others, func(a, b *dset.Set) int { return b.Len() - a.Len() })
		first.Each(func(v dset.Value) bool {
			for _, s := range others {
				if s.HasValue(v) {
					return true
				}
			}
			result.AddValue(v, rules, gen)
			return true
		})
		return result
	}
	first.Each(func(v dset.Value) bool {
		result.AddValue(v, rules, gen)
		return true
	})
	for _, s := range others {
		if s == nil {
			continue
		}
		if !s.Each(func(v dset.Value) bool {
			result.RemoveValue(v)
			return result.Len() > 0
		}) {
			break
		}
	}
	return result
}

func sdiff(c *session.Client) {
	if sets, ok := readSets(c, c.Args[1:]); ok {
		wholeSet(c, difference(c, sets))
	}
}

func sdiffstore(c *session.Client) {
	if sets, ok := readSets(c, c.Args[2:]); ok {
		storeSet(c, difference(c, sets), "sdiffstore")
	}
}
