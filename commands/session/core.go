package session

import (
	"ferrous/commands/config"
	"ferrous/commands/latency"
	"ferrous/commands/logging"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/rdb"
)

// Core is what handlers may touch of a server: the data, the configuration, and the counters and listeners that changes
// concern. Everything in it belongs to the loop goroutine.
type Core struct {
	Config   *config.Config
	Log      *logging.Logger
	Keyspace *keyspace.Keyspace
	Registry *Registry

	Dirty     int64 // changes since the last snapshot
	Sinks     []Sink
	Listeners []func(db *keyspace.DB, key []byte) // hear of every changed key; nil for all keys of a database
	Observers []observer                          // of keyspace events

	// Ready, if not nil, is told that those who wait for a key, which was there before, may find something new in it.
	Ready func(db *keyspace.DB, key []byte)

	SlowLog latency.SlowLog
	Latency latency.Monitor

	Counters Counters
	Errors   map[string]int64 // INFO errorstats: count by code

	Lists        *quicklist.Settings
	Zsets        *sortedset.Text
	Dumper       rdb.Dumper
	SkipChecksum bool // DEBUG SET-SKIP-CHECKSUM-VALIDATION 1

	// Scratch of handlers.
	Peeked     [keyspace.MaxPrefetch][]byte
	Scanned    []*record.Record // of SCAN
	SortKey    []byte           // of SORT: the name that a pattern makes
	Prefetched uint64           // what prefetching loaded
}

// Counters are those fields of INFO stats that handlers count.
type Counters struct {
	Hits, Misses int64 // keyspace_hits, keyspace_misses
	ErrorReplies int64 // total_error_replies
}

// KeyModified is called once for every key that a command changed, so that who watches or tracks it learns of it.
func (s *Core) KeyModified(db *keyspace.DB, key []byte) {
	for _, l := range s.Listeners {
		l(db, key)
	}
}

// Notify publishes a keyspace event of a class to those who asked for it.
func (s *Core) Notify(class config.NotifyFlags, event string, key []byte, db *keyspace.DB) {
	flags := s.Config.NotifyKeyspaceEvents
	if flags&class == 0 || flags&(config.NotifyKeyspace|config.NotifyKeyevent) == 0 {
		return
	}
	for _, o := range s.Observers {
		o(class, event, key, db)
	}
}

// An observer is told keyspace events of the classes that notify-keyspace-events names. key is valid during the call
// only.
type observer func(class config.NotifyFlags, event string, key []byte, db *keyspace.DB)

// A Sink receives what was changed, in order, as commands with absolute effects: the append-only file and the
// replication stream. The slices are valid during the call only. MULTI and EXEC, between which the commands of one
// transaction come, concern no database: their number is -1.
type Sink interface {
	Feed(db int, argv [][]byte)
}

// A MessageSink is a Sink that wants what concerns no data, too: PUBLISH and SPUBLISH, which reach the clients of replicas
// but do not belong in a file.
type MessageSink interface {
	Sink
	FeedMessage(db int, argv [][]byte)
}

// Logf logs a line.
func (s *Core) Logf(level config.LogLevel, format string, args ...any) {
	s.Log.Logf(logging.Level(level), format, args...)
}
