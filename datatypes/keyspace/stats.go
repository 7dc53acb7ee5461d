package keyspace

import "ferrous/datatypes/table"

// TableStats describes how the database's hash table is filled. It visits the whole table.
func (db *DB) TableStats() table.Stats { return db.t.Stats() }

// WheelLen returns the number of entries in the timing wheel, stale ones included.
func (db *DB) WheelLen() int {
	if db.wheel == nil {
		return 0
	}
	return db.wheel.Len()
}

// WheelBytes returns the memory held by the timing wheel, and by the one that is about to replace it.
func (db *DB) WheelBytes() int { return db.Overhead() - db.t.Size() }
