package keyspace

import (
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
	"ferrous/datatypes/table"
)

// A collection is what a keyspace must know of a value that is not a string. Each type of value is a struct that a
// record of its Type points to; value is the one place that knows which.
//
// # Copy-on-write of collections
//
// A collection bears the stamp of the generation that made it. While a snapshot is held, a collection that it can reach
// must not be changed, its struct included, since another goroutine reads it. Own therefore gives the key a fork: a new
// struct whose large parts (segments, nodes) are still shared and copied by their own stamps when they are first changed.
// Every change of a collection begins with Own, and ends with AddBytes telling by how much its Size has changed.
type collection interface {
	// Size returns the bytes that the value holds, as the allocator rounds them, in constant time.
	Size() int
	// Len returns the number of elements.
	Len() int
	// Encoding returns what OBJECT ENCODING answers.
	Encoding() record.Encoding
	// Stamp returns the generation in which the value was made or forked.
	Stamp() uint64
}

// value returns the collection behind r, nil for a string.
func value(r *record.Record) collection {
	switch r.Type() {
	case record.Hash:
		return record.Value[hash.Hash](r)
	case record.List:
		return record.Value[list.List](r)
	case record.Set:
		return record.Value[set.Set](r)
	case record.ZSet:
		return record.Value[sortedset.SortedSet](r)
	case record.Stream:
		return record.Value[stream.Stream](r)
	}
	return nil
}

// fork returns a copy of the collection behind r that is written in its place from now on; see collection.
func fork(r *record.Record, gen *cow.Generation) unsafe.Pointer {
	switch r.Type() {
	case record.Hash:
		return unsafe.Pointer(record.Value[hash.Hash](r).Fork(gen))
	case record.List:
		return unsafe.Pointer(record.Value[list.List](r).Fork(gen))
	case record.Set:
		return unsafe.Pointer(record.Value[set.Set](r).Fork(gen))
	case record.ZSet:
		return unsafe.Pointer(record.Value[sortedset.SortedSet](r).Fork(gen))
	case record.Stream:
		return unsafe.Pointer(record.Value[stream.Stream](r).Fork(gen))
	}
	panic("keyspace: a value without a type is forked")
}

// Size returns the bytes held by a record and the value behind it.
func Size(r *record.Record) int {
	if r.Type() == record.String {
		return r.Size()
	}
	return r.Size() + value(r).Size()
}

// Encoding returns the encoding that OBJECT ENCODING answers.
func Encoding(r *record.Record) record.Encoding {
	if r.Type() == record.String {
		return r.Encoding()
	}
	return value(r).Encoding()
}

// Generation returns the stamps that collections of the database use.
func (db *DB) Generation() *cow.Generation { return &db.ks.gen }

// Own makes the collection behind r, a live record of the database, writable and returns the record that stands for the
// key from now on.
func (db *DB) Own(r *record.Record) *record.Record {
	gen := &db.ks.gen
	if !gen.Pinned() || gen.Owns(value(r).Stamp()) {
		return r
	}
	h := table.Hash(r.Key())
	if db.ownsValue(h, r) {
		return r // the snapshot's walk has passed this key
	}
	n := r.WithValue(r.Encoding(), fork(r, gen))
	switch v := value(n); v.Encoding() {
	case record.ListPack, record.ListPackEx, record.IntSet:
		gen.Copying(v.Size()) // of others the fork is but a head
	}
	db.bytes += value(n).Size() - value(r).Size() // a copy has no room to spare
	db.t.Replace(h, r, n)
	return n
}

// cachedMembers is up to how many members a collection is taken to be in the processor's cache anyway.
const cachedMembers = 4096

// PrefetchMembers brings what looking up these members, or fields, of the collection at key will touch into the cache, if
// it is a large one. At most MaxPrefetch are looked at. It changes nothing.
func (db *DB) PrefetchMembers(key []byte, members [][]byte) {
	r := db.t.Get(table.Hash(key), key)
	if r == nil {
		return
	}
	var large interface {
		Len() int
		Prefetch(members [][]byte) uint64
	}
	switch r.Type() {
	case record.Hash:
		large = record.Value[hash.Hash](r)
	case record.Set:
		large = record.Value[set.Set](r)
	case record.ZSet:
		z := record.Value[sortedset.SortedSet](r).Large()
		if z == nil {
			return
		}
		large = z
	default:
		return
	}
	if large.Len() >= cachedMembers {
		db.ks.sink += large.Prefetch(members)
	}
}
