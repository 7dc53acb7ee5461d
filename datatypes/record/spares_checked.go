//go:build invariants || race

package record

// poisoned says that free records are filled with a pattern, see Spares.
const poisoned = true
