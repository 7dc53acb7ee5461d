package table

import "hash/maphash"

// seed is random for each process, so that a client cannot choose keys that collide. Only the cursors of SCAN show bits of
// hashes to a client, and a restart ends a scan anyway.
var seed = maphash.MakeSeed()

// fixed is 0, or the seed of the hash function that tests use.
var fixed uint64

// Hash returns the hash of a key, the same for all tables of a process.
func Hash(key []byte) uint64 {
	if fixed != 0 {
		return fixedHash(key)
	}
	return maphash.Bytes(seed, key)
}

// FixHash makes Hash depend on a seed only, so that a failed test can be repeated exactly. It is for tests, which call it
// before they make the first table.
func FixHash(n uint64) { fixed = n | 1 }

// fixedHash is FNV-1a with the bits of its result mixed (the last steps of MurmurHash3), since tables use the upper bits.
func fixedHash(key []byte) uint64 {
	h := fixed
	for _, b := range key {
		h = (h ^ uint64(b)) * 0x100000001b3
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
