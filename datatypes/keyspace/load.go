package keyspace

import (
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Load adds a record that was read from a file, and reports false, changing nothing, if its key is there already. It is
// an insertion and nothing else: nobody is told of the key, and whether its deadline has passed is not asked.
func (db *DB) Load(r *record.Record) bool {
	key := r.Key()
	h := table.Hash(key)
	if db.t.Get(h, key) != nil {
		return false
	}
	db.add(h, r)
	return true
}
