package keyspace

import (
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// # Lazy freeing
//
// The garbage collector frees every deleted value, so no code here frees memory in the background. INFO's lazyfreed_objects
// still counts what Redis would pass to its lazyfree thread: the values of keys that are deleted lazily, if freeing one takes
// more than LazyThreshold steps.

// Laziness says for each reason of a deletion whether it is lazy: the directives lazyfree-lazy-*.
type Laziness struct {
	Expiry   bool // the key has expired
	Eviction bool // the key is evicted
	Deletion bool // a command deletes or replaces the key
}

// LazyThreshold is the number of steps up to which Redis frees a value at once (LAZYFREE_THRESHOLD in src/lazyfree.c).
const LazyThreshold = 64

// freeEffort returns how many steps Redis takes to free the value behind r (lazyfreeGetFreeEffort in src/lazyfree.c).
func freeEffort(r *record.Record) int {
	if r.Inline() || r.Type() == record.String {
		return 1
	}
	switch v := ValueOf(r).(type) {
	case *list.List:
		if q := v.Quicklist(); q != nil {
			return q.NumNodes()
		}
	case *stream.Stream:
		effort := v.NumNodes() + 1
		if groups := v.Groups(); len(groups) > 0 {
			effort += len(groups) * (1 + groups[0].NumPending()) // as in Redis, the first group stands for all
		}
		return effort
	default:
		switch v.Encoding() {
		case record.ListPack, record.ListPackEx, record.IntSet:
		default:
			return v.Len()
		}
	}
	return 1
}

// drop counts the value behind r, which is about to be deleted.
func (ks *Keyspace) drop(r *record.Record, lazily bool) {
	if lazily && freeEffort(r) > LazyThreshold {
		ks.LazilyFreed++
	}
}
