//go:build invariants

package keyspace

import (
	"fmt"

	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Recount visits all keys and returns what the counters of the databases contradict.
func (ks *Keyspace) Recount() (found []string) {
	spare := map[*record.Record]bool{}
	ks.spares.Each(func(r *record.Record) {
		if spare[r] {
			found = append(found, "a removed record is spare twice")
		}
		spare[r] = true
	})
	for _, db := range ks.dbs {
		found = append(found, db.recount(spare)...)
	}
	if pinned := ks.gen.Pinned(); pinned != (ks.snap != nil) {
		found = append(found, fmt.Sprintf("snapshot held %v, generation pinned %v", ks.snap != nil, pinned))
	}
	return found
}

// recount visits the keys of a database. spare are records that it must not have.
func (db *DB) recount(spare map[*record.Record]bool) (found []string) {
	bytes, expires, fields := 0, 0, 0
	db.t.Each(func(r *record.Record) bool {
		if spare[r] {
			found = append(found, fmt.Sprintf("db %d has a record that was removed", db.ID))
			return true
		}
		bytes += Size(r)
		if r.Expiry() != record.NoExpiry {
			expires++
		}
		if fieldExpiry(r) != record.NoExpiry {
			fields++
		}
		if err := recountValue(r); err != nil {
			found = append(found, fmt.Sprintf("db %d, key %.64q: %v", db.ID, r.Key(), err))
		}
		return true
	})
	if err := db.t.Recount(); err != nil {
		found = append(found, fmt.Sprintf("db %d: %v", db.ID, err))
	}
	if bytes != db.bytes || expires != db.keys.live || fields != db.fields.live {
		found = append(found, fmt.Sprintf("db %d: %d bytes, %d keys with deadlines, %d hashes with such fields; counted %d, %d, %d",
			db.ID, db.bytes, db.keys.live, db.fields.live, bytes, expires, fields))
	}
	for _, a := range [...]*agenda{&db.keys, &db.fields} {
		if a.live > 0 && (a.wheel == nil || a.wheel.Len() < a.live) {
			found = append(found, fmt.Sprintf("db %d: %d deadlines without as many entries in the wheel", db.ID, a.live))
		}
	}
	return found
}

// recountValue returns an error if the value behind r contradicts itself. A database holds no empty collection.
func recountValue(r *record.Record) error {
	v := ValueOf(r)
	if v == nil {
		return nil
	}
	if v.Len() == 0 && r.Type() != record.Stream {
		return fmt.Errorf("an empty %s", v.Encoding())
	}
	if v, ok := v.(interface{ Recount() error }); ok {
		return v.Recount()
	}
	return nil
}

// RecountKey returns an error if the value of a key with at most limit elements contradicts itself.
func (db *DB) RecountKey(key []byte, limit int) error {
	r := db.t.Get(table.Hash(key), key)
	if r == nil {
		return nil
	}
	if v := ValueOf(r); v == nil || v.Len() > limit {
		return nil
	}
	return recountValue(r)
}
