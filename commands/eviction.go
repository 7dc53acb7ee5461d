package commands

import (
	"math"
	"runtime/debug"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/process"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// Eviction: keys are deleted while the server holds more memory than maxmemory. Which ones is the business of the keyspace
// (datatypes/keyspace/evict.go); here is when, and what the deletion of each brings about.
//
// Before each command of a client (admit) the account of memory is compared with the limit. Above it keys go until
// as much has been freed as there was too much, or until maxmemory-eviction-tenacity's time is over: then a
// timer goes on in steps, between which clients are served, and commands run meanwhile. If nothing is left that may go,
// commands that can take more memory are refused (OOM). Nothing is evicted within a command, a transaction or a script.
//
// While the timer is at work the commands leave most of it to the timer: each evicts only what has been added since the last
// eviction, and more if that is longer ago than evictionPause. If each took the tenacity's time, which is 500 microseconds, a
// client that sends a thousand PINGs a second would take half of the loop's time besides the timer's steps, and where the
// loop has to share its processor the requests would queue up. (Measured, maxmemory set to a tenth of 5 million keys, such a
// client on a busy machine: 121 ms at worst so, 13 to 15 now, 26 to 31 Redis; done in 5.9, in 5.3 to 7.8, and in 10.6 to 15.4 s.)
//
// Memory that is freed is measured by the keyspace alone: what an eviction causes elsewhere (messages for clients with
// tracking, the append-only file's buffer) must not cause further ones. The buffers of the append-only file and of replicas
// do not count at all.

// eviction is the state of maxmemory.
type eviction struct {
	limit   int   // bytes; 0 = none. maxmemory, or less where GOMEMLIMIT asks for less
	full    bool  // the last look found nothing to evict: commands flagged denyoom are refused
	since   int64 // monotonic time from which on memory has been over the limit, 0 = it is not
	running bool  // evictStep is about to run
	low     int   // bytes of the keyspace when keys were last evicted for the sake of what is too much
	ended   int64 // monotonic time then
}

const (
	errOOM       = "OOM command not allowed when used memory > 'maxmemory'."
	errScriptOOM = "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"

	// evictionStep is how long the timer's steps hold the loop.
	evictionStep = time.Millisecond
	// evictionPause is how long commands leave eviction to the timer at most.
	evictionPause = 2 * time.Millisecond
	// evictedAtOnce is the number of keys between two looks at the clock, as in Redis.
	evictedAtOnce = 16
	// headroom is the part of GOMEMLIMIT that the account of memory may take. The rest is for garbage.
	headroom = 0.8
)

// countedMemory is the memory that is compared with the limit.
func (s *Server) countedMemory() int {
	return s.baseMemory + s.Keyspace.Bytes() + s.clientsMemory() - s.classMemory[config.ClassReplica] + s.otherMemory()
}

// otherMemory is what is neither data nor of a client: subscriptions and tracked keys, scripts, users, the backlog.
func (s *Server) otherMemory() int {
	stream, _ := s.countedStream()
	return stream + s.pushMemory() + int(s.scripts.engine.Memory()) + s.scripts.libraries.Bytes() + s.security.users.Bytes()
}

// uncountedMemory is the memory that may be beyond the limit.
func (s *Server) uncountedMemory() int {
	_, beyond := s.countedStream()
	return s.classMemory[config.ClassReplica] + beyond + s.aofBuffer() + s.asideMemory()
}

// aofBuffer is what waits to be written to the append-only file, in bytes.
func (s *Server) aofBuffer() int { return int(s.aof.file.Info().BufferLength) }

// makeRoom evicts keys if memory is over the limit, before a command. It reports whether memory is full: over the limit,
// and nothing can go.
func (s *Server) makeRoom() bool {
	e := &s.evict
	if s.countedMemory() <= e.limit {
		if e.since != 0 {
			s.endExcess()
		}
		e.full = false
		return false
	}
	if !s.mayEvictKeys() {
		return false
	}
	limit := tenacity(s.Config.MaxMemoryTenacity)
	if e.running && limit < math.MaxInt64 && s.nanos()-e.ended < int64(evictionPause) {
		if s.Keyspace.Bytes() <= e.low {
			return false
		}
		e.full = !s.evictKeys(limit, e.low)
		return e.full
	}
	e.full = !s.evictKeys(limit, 0)
	return e.full
}

// refusesMemory reports whether a command cannot run while memory is full: one flagged denyoom, and inside MULTI all that
// would be queued.
func (c *Client) refusesMemory(e *session.Entry, flags session.Flags) bool {
	return !c.master && (flags&session.DenyOOM != 0 || c.inMulti() && !e.Direct)
}

// mayEvictKeys reports whether keys may be evicted now.
func (s *Server) mayEvictKeys() bool {
	return !s.busy.on && s.persist.loading == nil && !s.pause.on && !(s.Config.ReplicaIgnoreMaxMemory && s.isReplica())
}

// evictKeys evicts keys until memory is below the limit or the keyspace has no more than enough bytes, or the time is over. It
// reports false if there is nothing to evict.
func (s *Server) evictKeys(limit int64, enough int) bool {
	e := &s.evict
	over := s.countedMemory() - e.limit
	if over <= 0 {
		return true
	}
	start := s.nanos()
	if e.since == 0 {
		e.since = max(start, 1)
	}
	if s.Config.MaxMemoryPolicy == config.NoEviction {
		return false
	}
	found, done := true, false
	target := max(s.Keyspace.Bytes()-over, enough)
	for n := 1; ; n++ {
		if done = s.Keyspace.Bytes() <= target; done {
			break
		}
		db, r := s.Keyspace.Victim()
		if found = r != nil; !found {
			break
		}
		s.evictKey(db, r)
		if n%evictedAtOnce == 0 && s.nanos()-start >= limit {
			s.evictLater()
			break
		}
	}
	end := s.nanos()
	s.latencySample("eviction-cycle", (end-start)/1e6)
	if enough == 0 {
		e.low, e.ended = s.Keyspace.Bytes(), end
	}
	if done && !e.running {
		s.endExcess()
	}
	s.fileTouched()
	return found || done
}

// endExcess ends the time that memory was over the limit.
func (s *Server) endExcess() {
	s.stats.exceededNanos += s.nanos() - s.evict.since
	s.evict.since = 0
}

// exceeded returns how long memory has been over the limit, in all and since it was below it last, in nanoseconds.
func (s *Server) exceeded() (total, current int64) {
	if s.evict.since != 0 {
		current = s.nanos() - s.evict.since
	}
	return s.stats.exceededNanos + current, current
}

// evictKey deletes a key to free memory. It reports the deletion to listeners, as an event, and to the sinks.
func (s *Server) evictKey(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	if s.Config.LatencyMonitorMs > 0 {
		start := s.nanos()
		db.RemoveAs(r, s.Keyspace.Lazy.Eviction)
		s.latencySample("eviction-del", (s.nanos()-start)/1e6)
	} else {
		db.RemoveAs(r, s.Keyspace.Lazy.Eviction)
	}
	s.stats.evictedKeys++
	if s.Listeners != nil {
		s.expiring = true
		s.KeyModified(db, key)
		s.expiring = false
	}
	s.Notify(config.NotifyEvicted, "evicted", key, db)
	if len(s.Sinks) > 0 {
		verb := session.WordDel
		if s.Config.LazyfreeEviction {
			verb = session.WordUnlink
		}
		s.propagateDeletion(db, verb, key)
	}
}

// evictLater sets the timer that continues eviction.
func (s *Server) evictLater() {
	e := &s.evict
	if e.running || s.loop == nil {
		return
	}
	e.running = true
	s.loop.AfterFunc(0, s.evictStep)
}

// evictStep is a step of eviction in the background.
func (s *Server) evictStep() {
	e := &s.evict
	e.running = false
	if e.limit == 0 || !s.mayEvictKeys() {
		return
	}
	from := s.nanos()
	s.setNow(from)
	if found := s.evictKeys(int64(evictionStep), 0); found && !e.running && e.since != 0 {
		s.endExcess()
	}
	s.endCycle(from, s.nanos(), 0)
}

// tenacity returns the time that eviction before a command may take, in nanoseconds, for maxmemory-eviction-tenacity; the
// scale is Redis's.
func tenacity(percent int) int64 {
	switch {
	case percent <= 10:
		return int64(percent) * 50_000
	case percent < 100:
		return int64(500_000 * math.Pow(1.15, float64(percent-10)))
	}
	return math.MaxInt64
}

// applyMemoryLimit takes over maxmemory. Where it is smaller than what is in use, eviction begins at once.
func (s *Server) applyMemoryLimit() error {
	cfg, e := s.Config, &s.evict
	if cfg.MaxMemoryPercent > 0 {
		cfg.MaxMemory = uint64(process.AvailableMemory()) / 100 * uint64(cfg.MaxMemoryPercent)
	}
	e.limit = int(min(cfg.MaxMemory, math.MaxInt))
	if soft := debug.SetMemoryLimit(-1); soft < math.MaxInt64 {
		if bound := int(float64(soft) * headroom); e.limit == 0 || bound < e.limit {
			e.limit = bound
		}
	}
	e.full = false
	if e.limit == 0 && e.since != 0 {
		s.endExcess()
	}
	if s.ready && e.limit > 0 {
		if used := s.countedMemory(); used > e.limit {
			s.Logf(config.LogWarning, "WARNING: the new maxmemory value set via CONFIG SET (%d) is smaller than the current memory "+
				"usage (%d). This will result in key eviction and/or the inability to accept new write commands depending on the "+
				"maxmemory-policy.", e.limit, used)
			s.evictLater()
		}
	}
	return s.applyClientLimit()
}

// applyPolicy makes access clocks count what the eviction policy wants, and eviction choose by them.
func (s *Server) applyPolicy() error {
	p := s.Config.MaxMemoryPolicy
	s.lfu.LogFactor, s.lfu.DecayTime = s.Config.LFULogFactor, s.Config.LFUDecayTime
	s.Keyspace.LFU = nil
	if p&config.PolicyLFU != 0 {
		s.Keyspace.LFU = &s.lfu
	}
	s.Keyspace.WritesOnly = p&config.PolicyWrites != 0
	ranking := keyspace.RankLRU
	switch {
	case p&config.PolicyTTL != 0:
		ranking = keyspace.RankTTL
	case p&config.PolicyRandom != 0:
		ranking = keyspace.RankRandom
	}
	s.Keyspace.SetEviction(ranking, p&config.PolicyAllKeys == 0, s.Config.MaxMemorySamples)
	s.evict.full, s.evict.ended = false, 0
	return nil
}

// applyLaziness applies the directives lazyfree-lazy-* to the keyspace.
func (s *Server) applyLaziness() error {
	s.Keyspace.Lazy = keyspace.Laziness{
		Expiry:   s.Config.LazyfreeExpire,
		Eviction: s.Config.LazyfreeEviction,
		Deletion: s.Config.LazyfreeServerDel,
	}
	return nil
}

// warnOfMemory warns at the start of limits that cannot hold.
func (s *Server) warnOfMemory() {
	cfg := s.Config
	have := uint64(process.AvailableMemory())
	switch {
	case cfg.MaxMemory == 0 && s.evict.limit > 0:
		s.Logf(config.LogNotice, "GOMEMLIMIT is set: memory is limited to %s of data, as if by maxmemory.", humanBytes(int64(s.evict.limit)))
	case s.evict.limit > 0 && uint64(s.evict.limit) < cfg.MaxMemory:
		s.Logf(config.LogWarning, "WARNING: maxmemory is %s, but GOMEMLIMIT leaves room for %s only, which is the limit now.",
			humanBytes(int64(cfg.MaxMemory)), humanBytes(int64(s.evict.limit)))
	case have > 0 && cfg.MaxMemory > have:
		s.Logf(config.LogWarning, "WARNING: maxmemory is %s, but the machine or cgroup has %s only. The system will end this process "+
			"before the limit is reached.", humanBytes(int64(min(cfg.MaxMemory, math.MaxInt64))), humanBytes(int64(have)))
	case have > 0 && float64(cfg.MaxMemory)*1.25 > float64(have):
		s.Logf(config.LogWarning, "WARNING: maxmemory is %s of %s that the machine or cgroup has. The process takes up to a quarter "+
			"more than its data. Consider 'maxmemory 75%%'.", humanBytes(int64(cfg.MaxMemory)), humanBytes(int64(have)))
	}
	if cfg.MaxMemory > 0 && cfg.MaxMemory < 1<<20 {
		s.Logf(config.LogWarning, "WARNING: You specified a maxmemory value that is less than 1MB (current value is %d bytes). Are you "+
			"sure this is what you really want?", cfg.MaxMemory)
	}
}
