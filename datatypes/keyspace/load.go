package keyspace

import (
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Aside returns as many empty databases as there are, to be loaded and then exchanged with those by Swap. Until then nobody
// sees them: not snapshots, not expiry.
func (ks *Keyspace) Aside() []*DB {
	dbs := make([]*DB, len(ks.dbs))
	for i := range dbs {
		dbs[i] = &DB{ID: i, ks: ks}
		dbs[i].reset()
	}
	return dbs
}

// Reserve prepares an empty database for about n keys, at some 20 bytes for each. Trim is to be called when they have come.
func (db *DB) Reserve(n int) { db.t.Reserve(n) }

// Trim gives back what Reserve took, if far fewer keys have come than announced.
func (db *DB) Trim() { db.t.Trim() }

// Load adds records that were read from a file, and returns how many it added: it stops before a record whose key is there
// already. It only inserts: OnAdd is not called, and passed deadlines are not looked at. Up to MaxPrefetch records at once are
// faster than as many calls, since their places are brought into the cache together.
func (db *DB) Load(recs []*record.Record) int {
	for n := 0; n < len(recs); {
		var hashes [MaxPrefetch]uint64
		batch := recs[n:min(n+MaxPrefetch, len(recs))]
		for i, r := range batch {
			hashes[i] = table.Hash(r.Key())
		}
		db.ks.prefetched += db.t.Prefetch(hashes[:len(batch)])
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
