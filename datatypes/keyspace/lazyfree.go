package keyspace

import (
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// # Lazy freeing
//
// The memory of every deleted value goes back when the collector comes by, so nothing here has to be freed in the
// background. INFO's lazyfreed_objects counts all the same what Redis hands to its thread: the values of keys that are
// deleted lazily, if freeing one takes more than a few steps.

// Laziness tells which keys are deleted lazily, by the reason why they go: the directives lazyfree-lazy-*.
type Laziness struct {
	Expiry   bool // their time has come
	Eviction bool // memory is short
	Deletion bool // all others: deleted by a command or replaced
}

// LazyThreshold is how many steps Redis does not put off (LAZYFREE_THRESHOLD in src/lazyfree.c).
const LazyThreshold = 64

// freeEffort returns how many steps Redis takes to free the value behind r (lazyfreeGetFreeEffort in src/lazyfree.c).
func freeEffort(r *record.Record) int {
	if r.Type() == record.String {
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
			effort += len(groups) * (1 + groups[0].NumPending()) // that of the first stands for all
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

// drop counts the value behind r, which is about to go.
func (ks *Keyspace) drop(r *record.Record, lazily bool) {
	if lazily && freeEffort(r) > LazyThreshold {
		ks.LazilyFreed++
	}
}
