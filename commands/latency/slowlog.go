package latency

import "fmt"

// The slow log: the last commands that took at least slowlog-log-slower-than microseconds.
//
// An entry copies its arguments, truncated as in Redis, and without secrets.

const (
	maxEntryArgs   = 32  // arguments of an entry; the last one says how many more there were
	maxEntryString = 128 // bytes of an argument
)

// A SlowLog is the log. The zero value is empty.
type SlowLog struct {
	entries []SlowEntry // oldest first
	nextID  int64
}

// A SlowEntry is a command that was slow.
type SlowEntry struct {
	ID     int64
	Unix   int64 // seconds
	Micros int64
	Args   []string
	Addr   string // of the client
	Name   string // of the client
}

// Entries returns the entries, oldest first. They are valid until the log is changed.
func (l *SlowLog) Entries() []SlowEntry { return l.entries }

// Add adds an entry with the next ID, and keeps the last limit entries.
func (l *SlowLog) Add(e SlowEntry, limit int) {
	e.ID = l.nextID
	l.nextID++
	l.entries = append(l.entries, e)
	l.Trim(limit)
}

// Trim keeps the last limit entries.
func (l *SlowLog) Trim(limit int) {
	if n := len(l.entries) - limit; n > 0 {
		clear(l.entries[:n])
		l.entries = l.entries[n:]
	}
}

// Reset deletes the entries. The IDs continue.
func (l *SlowLog) Reset() { l.entries = nil }

// EntryArgs copies the arguments of a command for an entry. secret reports which of them must not be shown; it may be nil.
func EntryArgs(args [][]byte, secret func(i int) bool) []string {
	out := make([]string, 0, min(len(args), maxEntryArgs))
	for i, a := range args {
		switch {
		case len(args) > maxEntryArgs && i == maxEntryArgs-1:
			return append(out, fmt.Sprintf("... (%d more arguments)", len(args)-i))
		case secret != nil && secret(i):
			out = append(out, "(redacted)")
		case len(a) > maxEntryString:
			out = append(out, fmt.Sprintf("%s... (%d more bytes)", a[:maxEntryString], len(a)-maxEntryString))
		default:
			out = append(out, string(a))
		}
	}
	return out
}

// Seen returns how many entries there ever were.
func (l *SlowLog) Seen() int64 { return l.nextID }
