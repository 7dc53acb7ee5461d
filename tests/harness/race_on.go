//go:build race

package harness

// RaceEnabled reports whether this process was built with the race detector.
const RaceEnabled = true
