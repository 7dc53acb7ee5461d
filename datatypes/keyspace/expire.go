package keyspace

import (
	"unsafe"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
	"ferrous/datatypes/wheel"
)

const (
	advanceBatch   = 64   // entries of keys fired or moved between two looks at the clock
	hashBatch      = 16   // hashes with due fields handled between two looks at the clock
	fieldBatch     = 64   // fields of one of them deleted at a time
	rebuildBatch   = 256  // keys scanned between two looks at the clock
	staleTolerated = 4096 // stale entries that are not worth a rebuild
)

// agenda is a timing wheel with the state for rebuilding it when most of its entries are stale.
type agenda struct {
	wheel   *wheel.Wheel
	rebuild *rebuild
	live    int // keys that must have an entry
	due     dueHeap
}

// rebuild is a wheel that is being built to replace another; see the package comment.
type rebuild struct {
	wheel  *wheel.Wheel
	cursor uint64
}

func (a *agenda) bytes() int {
	n := mem.Size(cap(a.due.items) * int(unsafe.Sizeof(wheel.Entry{})))
	if a.wheel != nil {
		n += int(a.wheel.Bytes())
	}
	if a.rebuild != nil {
		n += int(a.rebuild.wheel.Bytes())
	}
	return n
}

// stale reports whether so few of the wheel's entries belong to existing keys that the wheel should be rebuilt.
func (a *agenda) stale() bool {
	return a.wheel != nil && a.wheel.Len() > 2*a.live+staleTolerated
}

// schedule adds a deadline of the key with this hash to the wheel.
func (db *DB) schedule(a *agenda, hash uint64, when int64) {
	db.ks.scheduled = true
	if a.wheel == nil {
		a.wheel = wheel.New(db.ks.Now)
	}
	a.wheel.Insert(hash, when)
	if when < a.due.bound {
		a.due.push(wheel.Entry{Hash: hash, When: when})
	}
	if a.rebuild != nil {
		a.rebuild.wheel.Insert(hash, when)
	}
}

// rescheduled updates the agenda when a key's deadline changes.
func (db *DB) rescheduled(a *agenda, hash uint64, old, when int64) {
	switch {
	case when == record.NoExpiry:
		if old != record.NoExpiry {
			a.live--
		}
		return
	case old == record.NoExpiry:
		a.live++
	case when >= old:
		return
	}
	db.schedule(a, hash, when)
}

// fieldExpiry returns the earliest deadline of a field, record.NoExpiry if r is no hash or has no fields with deadlines.
func fieldExpiry(r *record.Record) int64 {
	if r.Type() != record.Hash {
		return record.NoExpiry
	}
	if r.Inline() {
		return packedDeadline(r)
	}
	return record.Value[hash.Hash](r).Earliest()
}

// fieldsRescheduled updates the wheel of hashes after a change of the hash behind r, a live record of the database. was is the
// earliest deadline of a field before the change.
func (db *DB) fieldsRescheduled(r *record.Record, was int64) {
	if now := fieldExpiry(r); now != was {
		db.rescheduled(&db.fields, table.Hash(r.Key()), was, now)
	}
}

// ActiveExpire deletes keys and fields of hashes whose deadline has passed, and rebuilds wheels that are mostly stale.
// clock returns the present time in Unix milliseconds, spent whether the time allowed for this step is over. It reports
// whether work is left, so that the caller comes back soon; otherwise NextExpiry says when.
func (ks *Keyspace) ActiveExpire(clock func() int64, spent func() bool) (more bool) {
	if ks.KeepExpired || ks.Loading {
		return false
	}
	for i := range ks.dbs {
		// If the time is over, the next step begins with the next database, so that no database waits for all of another's keys.
		turn := (ks.turn + i) % len(ks.dbs)
		db := ks.dbs[turn]
		if !db.activeExpire(&db.keys, advanceBatch, db.fire, (*record.Record).Expiry, clock, spent) ||
			!db.activeExpire(&db.fields, hashBatch, db.fireFields, fieldExpiry, clock, spent) {
			ks.turn = (turn + 1) % len(ks.dbs)
			return true
		}
	}
	return false
}

// activeExpire is ActiveExpire for one agenda; it reports whether all due entries were handled. fire handles an entry, batch is
// the number of entries between two reads of the clock, deadline returns the deadline of a record.
func (db *DB) activeExpire(a *agenda, batch int, fire func(hash uint64), deadline func(*record.Record) int64,
	clock func() int64, spent func() bool) bool {
	ks := db.ks
	for a.wheel != nil {
		// A key is expired when its deadline is before now, so the wheel runs one millisecond behind.
		now := clock()
		ks.Now = now
		if a.wheel.Advance(now-1, batch, func(hash uint64, when int64) { fire(hash) }) {
			if when, ok := a.wheel.NextDue(); !ok || when >= now {
				break
			}
			// A hash with more due fields than one call may delete was entered again.
		}
		if spent() {
			return false
		}
	}
	if a.stale() && a.rebuild == nil {
		a.rebuild = &rebuild{wheel: wheel.New(ks.Now)}
	}
	if a.live == 0 {
		a.wheel, a.rebuild, a.due = nil, nil, dueHeap{}
	}
	for a.rebuild != nil {
		db.rebuildStep(a, deadline)
		if a.rebuild != nil && spent() {
			return false
		}
	}
	return true
}

// fire handles an entry of the wheel of keys: expired keys with this hash are deleted, others are added to the wheel again.
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
			db.schedule(&db.keys, hash, when)
		}
	}
	ks.fired = fired[:0]
}

// fireFields handles an entry of the wheel of hashes: due fields are deleted, and the hash is added again for its next ones.
func (db *DB) fireFields(hash uint64) {
	ks := db.ks
	fired := ks.fired[:0]
	db.t.EachHash(hash, func(r *record.Record) {
		if fieldExpiry(r) != record.NoExpiry {
			fired = append(fired, r)
		}
	})
	for i, r := range fired {
		fired[i] = nil
		if fieldExpiry(r) < ks.Now {
			r = db.expireFields(r)
		}
		if r != nil {
			if when := fieldExpiry(r); when != record.NoExpiry {
				db.schedule(&db.fields, hash, when)
			}
		}
	}
	ks.fired = fired[:0]
}

// expireFields deletes due fields of the hash behind r, as many as one step may, and with the last field the key. It
// returns the key's record from now on, nil if the key was deleted.
func (db *DB) expireFields(r *record.Record) *record.Record {
	ks := db.ks
	h, change := Begin[hash.Hash](db, r)
	r = change.Record
	ks.ExpiredFields += int64(h.Expire(ks.Now, fieldBatch, func(field []byte, when int64) {
		ks.lag.add(ks.Now - when)
		if ks.OnExpireField != nil {
			ks.OnExpireField(db, r, field)
		}
	}))
	change.End()
	r = change.Record
	if ks.OnExpireFields != nil {
		ks.OnExpireFields(db, r)
	}
	if h.Len() > 0 {
		return r
	}
	db.Remove(r)
	return nil
}

func (db *DB) rebuildStep(a *agenda, deadline func(*record.Record) int64) {
	b := a.rebuild
	b.cursor = db.t.Scan(b.cursor, rebuildBatch, func(r *record.Record) {
		if when := deadline(r); when != record.NoExpiry {
			b.wheel.Insert(table.Hash(r.Key()), when)
		}
	})
	if b.cursor == 0 {
		a.wheel, a.rebuild = b.wheel, nil
	}
}

// TakeScheduled reports whether a deadline was added since the last call, so that NextExpiry may be earlier now.
func (ks *Keyspace) TakeScheduled() bool {
	s := ks.scheduled
	ks.scheduled = false
	return s
}

// NextExpiry returns the time, in Unix milliseconds, at which ActiveExpire must be called next.
func (ks *Keyspace) NextExpiry() (when int64, ok bool) {
	if ks.KeepExpired || ks.Loading {
		return 0, false
	}
	for _, db := range ks.dbs {
		for _, a := range [...]*agenda{&db.keys, &db.fields} {
			if a.wheel == nil {
				continue
			}
			if a.rebuild != nil || a.stale() {
				return ks.Now, true
			}
			if w, has := a.wheel.NextDue(); has && (!ok || w+1 < when) {
				when, ok = w+1, true
			}
		}
	}
	return when, ok
}

// AverageTTL returns the mean of the remaining time of up to 32 keys with a deadline, in milliseconds; 0 if there are
// none.
func (db *DB) AverageTTL() int64 {
	sum, n := int64(0), int64(0)
	for range min(db.keys.live, 32) {
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
