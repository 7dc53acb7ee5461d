package keyspace

import (
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
	"ferrous/datatypes/wheel"
)

const (
	advanceBatch   = 64   // entries fired or moved between two looks at the clock
	rebuildBatch   = 256  // keys scanned between two looks at the clock
	staleTolerated = 4096 // stale entries that are not worth a rebuild
)

// ActiveExpire deletes keys whose deadline has passed, and rebuilds wheels that are mostly stale. clock returns the
// present time in Unix milliseconds, spent whether the time allowed for this step is over. It reports whether work is
// left, so that the caller comes back soon; otherwise NextExpiry says when.
func (ks *Keyspace) ActiveExpire(clock func() int64, spent func() bool) (more bool) {
	if ks.KeepExpired {
		return false
	}
	for i := range ks.dbs {
		// When time is up the next step begins with the next database, so that none has to wait for all of another's.
		turn := (ks.turn + i) % len(ks.dbs)
		if !ks.dbs[turn].activeExpire(clock, spent) {
			ks.turn = (turn + 1) % len(ks.dbs)
			return true
		}
	}
	return false
}

// activeExpire is ActiveExpire for one database; it reports whether it came to the end.
func (db *DB) activeExpire(clock func() int64, spent func() bool) bool {
	ks := db.ks
	for db.wheel != nil {
		// A key is expired when its deadline is before now, so the wheel runs one millisecond behind.
		now := clock()
		ks.Now = now
		if db.wheel.Advance(now-1, advanceBatch, func(hash uint64, when int64) { db.fire(hash) }) {
			break
		}
		if spent() {
			return false
		}
	}
	if db.stale() && db.rebuild == nil {
		db.rebuild = &rebuild{wheel: wheel.New(ks.Now)}
	}
	if db.expires == 0 {
		db.wheel, db.rebuild = nil, nil
	}
	for db.rebuild != nil {
		db.rebuildStep()
		if db.rebuild != nil && spent() {
			return false
		}
	}
	return true
}

// stale reports whether so few of the wheel's entries belong to living keys that it is worth making it anew.
func (db *DB) stale() bool {
	return db.wheel != nil && db.wheel.Len() > 2*db.expires+staleTolerated
}

// fire handles an entry of the wheel: keys with this hash that have expired go, others are entered again.
func (db *DB) fire(hash uint64) {
	ks := db.ks
	fired := ks.fired[:0]
	db.t.EachHash(hash, func(r *record.Record) {
		if r.Expiry() != record.NoExpiry {
			fired = append(fired, r)
		}
	})
	for i, r := range fired {
		fired[i] = nil
		if when := r.Expiry(); ks.Now > when {
			ks.lag.add(ks.Now - when)
			db.expire(hash, r)
		} else {
			db.schedule(hash, when)
		}
	}
	ks.fired = fired[:0]
}

func (db *DB) rebuildStep() {
	b := db.rebuild
	b.cursor = db.t.Scan(b.cursor, rebuildBatch, func(r *record.Record) {
		if when := r.Expiry(); when != record.NoExpiry {
			b.wheel.Insert(table.Hash(r.Key()), when)
		}
	})
	if b.cursor == 0 {
		db.wheel, db.rebuild = b.wheel, nil
	}
}

// TakeScheduled reports whether a deadline was entered since the last call, so that NextExpiry may have come nearer.
func (ks *Keyspace) TakeScheduled() bool {
	s := ks.scheduled
	ks.scheduled = false
	return s
}

// NextExpiry returns the time, in Unix milliseconds, at which ActiveExpire has something to do next.
func (ks *Keyspace) NextExpiry() (when int64, ok bool) {
	if ks.KeepExpired {
		return 0, false
	}
	for _, db := range ks.dbs {
		if db.wheel == nil {
			continue
		}
		if db.rebuild != nil || db.stale() {
			return ks.Now, true
		}
		if w, has := db.wheel.NextDue(); has && (!ok || w+1 < when) {
			when, ok = w+1, true
		}
	}
	return when, ok
}

// AverageTTL returns the mean of the remaining time of up to 32 keys with a deadline, in milliseconds; 0 if there are
// none.
func (db *DB) AverageTTL() int64 {
	sum, n := int64(0), int64(0)
	for range min(db.expires, 32) {
		if r := db.RandomVolatile(); r != nil {
			sum += max(r.Expiry()-db.ks.Now, 0)
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
