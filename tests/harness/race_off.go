//go:build !race

package harness

// RaceEnabled tells whether this process was built with the race detector.
const RaceEnabled = false
