//go:build seeded

package keyspace

import (
	"os"
	"strconv"

	"ferrous/datatypes/table"
)

// With the build tag seeded, a server takes from FERROUS_SEED what others draw at random: the seed of the hash function and
// that of what commands draw. A test that has failed can then be run again with the same servers.
func init() {
	if n, err := strconv.ParseUint(os.Getenv("FERROUS_SEED"), 10, 64); err == nil {
		table.FixHash(n)
		fixedSeed = &n
	}
}
