package keyspace

import (
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Aside returns an empty database for each database, to be loaded and then exchanged with it by Swap. Until then snapshots and
// expiry do not see them, and Keyspace.Bytes does not count them.
func (ks *Keyspace) Aside() []*DB {
	dbs := make([]*DB, len(ks.dbs))
	for i := range dbs {
		dbs[i] = &DB{ID: i, ks: ks, active: true} // so that it does not become one of the keyspace's
		dbs[i].reset()
	}
	return dbs
}

// Reserve prepares an empty database for about n keys, at some 20 bytes for each. Call Trim when they are loaded. pause, unless
// it is nil, is called now and then meanwhile; the database has to stay empty.
func (db *DB) Reserve(n int, pause func()) {
	if !db.active {
		db.ks.activate(db)
	}
	db.t.Reserve(n, pause)
}

// Trim frees the memory of Reserve if far fewer keys were loaded than announced.
func (db *DB) Trim() { db.t.Trim() }

// Load adds records that were read from a file, and returns how many it added: it stops before a record whose key exists
// already. It only inserts: it does not call OnAdd and does not check deadlines. One call with up to MaxPrefetch records is
// faster than a call for each, since Load prefetches their buckets together.
func (db *DB) Load(recs []*record.Record) int {
	for n := 0; n < len(recs); {
		var hashes [MaxPrefetch]uint64
		batch := recs[n:min(n+MaxPrefetch, len(recs))]
		for i, r := range batch {
			hashes[i] = table.Hash(r.Key())
		}
		db.ks.prefetched += db.t.PrefetchInsert(hashes[:len(batch)])
		for i, r := range batch {
			if db.t.Get(hashes[i], r.Key()) != nil {
				return n
			}
			db.add(hashes[i], r)
			n++
		}
	}
	return len(recs)
}
