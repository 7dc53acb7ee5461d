package table

import "hash/maphash"

// seed is drawn once a process: hashes never leave it (SCAN cursors are positions, and a restart ends a scan anyway),
// and a client cannot choose keys that collide.
var seed = maphash.MakeSeed()

// Hash returns the hash of a key, the same for all tables of a process.
func Hash(key []byte) uint64 { return maphash.Bytes(seed, key) }
