package keyspace

import (
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/digest"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/datatypes/serial"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
	"ferrous/datatypes/table"
)

// # Types of values
//
// A value that is not a string is a struct, a Value, that a record of its Type points to, or that is made when it is looked at
// (packed.go). valueKinds maps each Type to its
// struct: a new type is a package of its own, a line there, and a constant with its name in package record. The RDB format of a
// type is separate: its numbers are in package serial, its reader is in rdb/values.go.
//
// # Copy-on-write of collections
//
// A value has the stamp of the generation in which it was made. While a snapshot is held, a value that it can reach must not
// be changed, its struct included, since another goroutine reads it. Own therefore gives the key a fork: a new struct that
// shares the large parts (segments, nodes). These have stamps of their own and are copied before their first change. Every
// change of a value begins with Own, and ends with AddBytes for the change of its Size.

// A Value is a value that is not a string, as the server sees it.
type Value interface {
	// Size returns the bytes that the value holds, as the allocator rounds them, in constant time.
	Size() int
	// Len returns the number of elements.
	Len() int
	// Encoding returns what OBJECT ENCODING answers.
	Encoding() record.Encoding
	// Stamp returns the generation in which the value was made or forked.
	Stamp() uint64
	// Digest adds the value to a DEBUG DIGEST.
	Digest(d *digest.Digest)
	// WriteRDB writes the value to a dump.
	WriteRDB(w serial.RDB)
	// WriteCommands writes the commands that create the value at a key, and returns true. If no commands can create it, it
	// writes nothing and returns false.
	WriteCommands(w serial.Commands, key []byte) bool
}

// A prefetcher is a Value that can load into the processor's cache the memory that a lookup of some members will read.
type prefetcher interface {
	Prefetch(members [][]byte) uint64
}

// valueKind is a type of values.
type valueKind struct {
	value func(p unsafe.Pointer) Value
	fork  func(r *record.Record, gen *cow.Generation) unsafe.Pointer // from now on changed instead of r's value
	clone func(r *record.Record, gen *cow.Generation) unsafe.Pointer // shares nothing with it

	prefetches bool // it is a prefetcher
}

// kindOf is the kind of values of the Go type T.
func kindOf[T any, V interface {
	*T
	Value
	Fork(gen *cow.Generation) *T
	Clone(gen *cow.Generation) *T
}]() valueKind {
	_, prefetches := any(V(nil)).(prefetcher)
	return valueKind{
		prefetches: prefetches,
		value:      func(p unsafe.Pointer) Value { return V((*T)(p)) },
		fork: func(r *record.Record, gen *cow.Generation) unsafe.Pointer {
			return unsafe.Pointer(V(record.Value[T](r)).Fork(gen))
		},
		clone: func(r *record.Record, gen *cow.Generation) unsafe.Pointer {
			return unsafe.Pointer(V(record.Value[T](r)).Clone(gen))
		},
	}
}

// valueKinds are the types of values but strings, which are in their record.
var valueKinds = [...]valueKind{
	record.Hash:   kindOf[hash.Hash](),
	record.List:   kindOf[list.List](),
	record.Set:    kindOf[set.Set](),
	record.ZSet:   kindOf[sortedset.SortedSet](),
	record.Stream: kindOf[stream.Stream](),
}

// ValueOf returns the value behind r, for reading; nil for a string. For a packed collection it makes a struct, which any
// goroutine may use that may read the record.
func ValueOf(r *record.Record) Value {
	if r.Type() == record.String {
		return nil
	}
	p := unsafe.Pointer(nil)
	if r.Inline() {
		v := viewOf(r, 0)
		p = unsafe.Pointer(&v)
	} else {
		p = r.Pointer()
	}
	return valueKinds[r.Type()].value(p)
}

// Digest adds the value of a record to a DEBUG DIGEST.
func Digest(r *record.Record, d *digest.Digest) {
	if r.Type() == record.String {
		d.Mix(r.String(make([]byte, 20)))
		return
	}
	ValueOf(r).Digest(d)
}

// Clone returns a new record with a copy of r's value and deadline under another key, for the database.
func (db *DB) Clone(r *record.Record, key []byte) *record.Record {
	if r.Inline() {
		n := db.rekey(r, key, r.Expiry())
		n.SetClock(db.NewClock())
		return n
	}
	if r.Type() == record.String {
		text := append([]byte(nil), r.String(nil)...)
		return record.NewOwned(key, text, r.Expiry(), db.NewClock(), db.Stamp())
	}
	v := valueKinds[r.Type()].clone(r, db.Generation())
	return NewCollection(r.Type(), key, v, r.Expiry(), db.NewClock())
}

// Size returns the bytes held by a record and the value behind it.
func Size(r *record.Record) int {
	if r.Inline() || r.Type() == record.String {
		return r.Size()
	}
	return r.Size() + ValueOf(r).Size()
}

// Encoding returns the encoding that OBJECT ENCODING answers.
func Encoding(r *record.Record) record.Encoding {
	if r.Inline() || r.Type() == record.String {
		return r.Encoding()
	}
	return ValueOf(r).Encoding()
}

// Generation returns the stamps that collections of the database use.
func (db *DB) Generation() *cow.Generation { return &db.ks.gen }

// Own makes the collection behind r, an object of the database, writable. It returns the key's record from now on, which
// may be another one than r.
func (db *DB) Own(r *record.Record) *record.Record {
	gen := &db.ks.gen
	if !gen.Pinned() || gen.Owns(ValueOf(r).Stamp()) {
		return r
	}
	h := table.Hash(r.Key())
	if db.ownsValue(h, r) {
		return r // the snapshot's walk has passed this key
	}
	n := r.WithValue(r.Encoding(), valueKinds[r.Type()].fork(r, gen))
	switch v := ValueOf(n); v.Encoding() {
	case record.ListPack, record.ListPackEx, record.IntSet:
		gen.Copying(v.Size()) // of others the fork is but a head
	}
	db.bytes += ValueOf(n).Size() - ValueOf(r).Size() // a copy has no room to spare
	db.t.Replace(h, r, n)
	return n
}

// cachedMembers is the number of members up to which a collection is assumed to be in the processor's cache.
const cachedMembers = 4096

// PrefetchMembers loads into the processor's cache the memory that a lookup of these members, or fields, of the collection at
// key will read, if the collection is large. It prefetches at most MaxPrefetch members. It changes nothing.
func (db *DB) PrefetchMembers(key []byte, members [][]byte) {
	r := db.t.Get(table.Hash(key), key)
	if r == nil {
		return
	}
	if r.Inline() || r.Type() == record.String || !valueKinds[r.Type()].prefetches {
		return
	}
	if large := ValueOf(r); large.Len() >= cachedMembers {
		db.ks.prefetched += large.(prefetcher).Prefetch(members)
	}
}
