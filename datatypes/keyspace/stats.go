package keyspace

import "ferrous/datatypes/table"

// TableStats describes how the database's hash table is filled. It visits the whole table.
func (db *DB) TableStats() table.Stats { return db.t.Stats() }

// WheelLen returns the number of entries in the timing wheel of keys, stale ones included.
func (db *DB) WheelLen() int {
	if db.keys.wheel == nil {
		return 0
	}
	return db.keys.wheel.Len()
}

// WheelBytes returns the memory of the timing wheels, including those that are being built to replace them.
func (db *DB) WheelBytes() int { return db.Overhead() - db.t.Size() }
