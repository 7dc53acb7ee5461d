package session

import (
	"ferrous/commands/config"
	"ferrous/commands/latency"
	"ferrous/commands/logging"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// Core is the part of a server that handlers may touch: data, configuration, counters, and the functions that are called for
// changes. Everything in it belongs to the loop goroutine.
type Core struct {
	Config   *config.Config
	Log      *logging.Logger
	Keyspace *keyspace.Keyspace
	Registry *Registry

	Dirty     int64 // changes since the last snapshot
	Sinks     []Sink
	Listeners []func(db *keyspace.DB, key []byte) // called for every changed key; nil for all keys of a database
	Observers []observer                          // of keyspace events

	// Ready, if not nil, is called when a key that existed before may hold something new for clients that wait for it.
	Ready func(db *keyspace.DB, key []byte)

	SlowLog latency.SlowLog
	Latency latency.Monitor

	Counters Counters
	Errors   map[string]int64 // INFO errorstats: count by code

	Lists        *quicklist.Settings
	Zsets        *sortedset.Text
	Dumper       rdb.Dumper
	SkipChecksum bool // DEBUG SET-SKIP-CHECKSUM-VALIDATION 1

	Shared   *record.Record // whose bytes the reply shares; see BulkOf
	Requests resp.Scratch   // arguments of the running request of a connection

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

// KeyModified calls the listeners (WATCH, tracking). It is called once for every key that a command changed.
func (s *Core) KeyModified(db *keyspace.DB, key []byte) {
	for _, l := range s.Listeners {
		l(db, key)
	}
}

// Notify publishes a keyspace event if notify-keyspace-events names its class.
func (s *Core) Notify(class config.NotifyFlags, event string, key []byte, db *keyspace.DB) {
	flags := s.Config.NotifyKeyspaceEvents
	if flags&class == 0 || flags&(config.NotifyKeyspace|config.NotifyKeyevent) == 0 {
		return
	}
	for _, o := range s.Observers {
		o(class, event, key, db)
	}
}

// An observer is called for each keyspace event of the classes that notify-keyspace-events names. key is valid during the call
// only.
type observer func(class config.NotifyFlags, event string, key []byte, db *keyspace.DB)

// A Sink receives every propagated command, in order: the append-only file and the replication stream are sinks. The commands
// have absolute effects. The commands of a transaction come between MULTI and EXEC, whose database number is -1. The slices
// are valid during the call only.
type Sink interface {
	Feed(db int, argv [][]byte)
}

// A MessageSink is a Sink that also receives commands that change no data: PUBLISH and SPUBLISH, which go to replicas but not to
// files.
type MessageSink interface {
	Sink
	FeedMessage(db int, argv [][]byte)
}

// Logf logs a line.
func (s *Core) Logf(level config.LogLevel, format string, args ...any) {
	s.Log.Logf(logging.Level(level), format, args...)
}
