package commands

import (
	"time"

	"ferrous/commands/config"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// Expiry in the background, and what follows when keys and fields expire. The order of deadlines is the keyspace's
// (datatypes/keyspace/expire.go); here is the timer that calls it in steps, and the hooks by which it reports.

var wordHDel = []byte("HDEL")

// fieldExpired is called for each field that expires in the background, before it is deleted.
func (s *Server) fieldExpired(db *keyspace.DB, r *record.Record, field []byte) {
	s.propagateDeletion(db, wordHDel, r.Key(), field)
}

// fieldsExpired is called for a hash after fields of it have expired; if none is left its key is about to be deleted.
func (s *Server) fieldsExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.Notify(config.NotifyHash, "hexpired", key, db)
	if record.Value[hash.Hash](r).Len() == 0 {
		s.Notify(config.NotifyGeneric, "del", key, db)
	}
	s.KeyModified(db, key)
}

// keyExpired is called for each expired key before it is deleted.
func (s *Server) keyExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.propagateDeletion(db, s.ExpiryVerb(), key)
	s.Notify(config.NotifyExpired, "expired", key, db)
	s.expiring = true
	s.KeyModified(db, key)
	s.expiring = false
}

// expire deletes the keys whose time has come, a step at a time.
func (s *Server) expire() {
	s.expAt = 0
	if s.activeOff || s.busy.on {
		return
	}
	from := s.nanos()
	until := from + int64(expireStep)
	more := s.Keyspace.ActiveExpire(
		func() int64 { s.setNow(s.nanos()); return s.Keyspace.Now },
		func() bool { return s.nanos() > until })
	took := s.nanos() - from
	s.stats.expireNanos += took
	s.latencySample("expire-cycle", took/1e6)
	s.endCycle(from, from+took, 0)
	s.fileTouched()
	if more {
		s.stats.expireCapped++
		// Clients have their turn first: the timer fires in a later round of the loop, and what comes from clients
		// leaves most of the time to them.
		s.expAt = s.Keyspace.Now + 4*int64(expireStep/time.Millisecond)
		s.expTimer.Reset(0)
		return
	}
	s.rearmExpiry()
}

// judgeExpiry decides whether this server deletes expired keys. It does not while data is loading (the files contain the
// deletions), while clients are paused, or on a replica (its master sends the deletions).
func (s *Server) judgeExpiry() {
	s.Keyspace.KeepExpired = s.persist.loading != nil || s.pause.on || s.isReplica()
}

// rearmExpiry sets the timer of background expiry where a deadline has come before the one that it waits for.
func (s *Server) rearmExpiry() {
	if s.activeOff {
		return
	}
	when, ok := s.Keyspace.NextExpiry()
	if !ok || s.expAt != 0 && s.expAt <= when {
		return
	}
	s.expAt = when
	// The deadline counts in wall-clock milliseconds that begin with a whole one, so the timer must not fire early.
	now := s.wall + s.nanos()/1000
	s.expTimer.Reset(time.Duration(max(when*1000-now, 0)) * time.Microsecond)
}
