//go:build seeded

package keyspace

import (
	"os"
	"strconv"

	"ferrous/datatypes/table"
)

// With the build tag seeded, a server takes the seeds of its hash function and of the random choices of commands from
// FERROUS_SEED. A failed test can then be repeated with the same servers.
func init() {
	if n, err := strconv.ParseUint(os.Getenv("FERROUS_SEED"), 10, 64); err == nil {
		table.FixHash(n)
		fixedSeed = &n
	}
}
