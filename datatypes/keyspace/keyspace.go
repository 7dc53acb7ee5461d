// Package keyspace has the databases: for each key its record (package record) in a copy-on-write table (package table), the
// timing wheel that finds expired keys (package wheel), the access clocks for eviction, the memory counters, and snapshots of
// all databases.
//
// # Writing
//
// A *record.Record that a lookup returned may be read until the next change of the key. Only the methods of DB change it.
// They write it in place if no snapshot needs it, replace it otherwise, and return the record that is current afterwards.
// Collections behind a record have stamps of their own (package cow).
//
// # Time
//
// This package does not read the clock: the owner sets Now before each command, so that a command sees one time. A key is
// expired when Now is after its deadline. A lookup deletes an expired key, and so does ActiveExpire, which the owner calls at
// the time of NextExpiry; both call OnExpire, so that deletions are propagated.
//
// # The invariant of the wheel
//
// For each key with a deadline the wheel of its database has an entry that is not later. A later deadline needs no new entry:
// when the old one fires, the key has not expired, and an entry is inserted again. Entries of deleted keys fire without
// effect. When such stale entries outnumber the keys with deadlines, a scan of the table in steps fills a second wheel, which
// replaces the first.
//
// Hashes whose fields have deadlines have a wheel of their own, with the same invariant for the earliest deadline of a field.
// (In one wheel a few keys with deadlines among many such hashes could not be sampled.)
//
// A Keyspace belongs to one goroutine; another one may run the Walk of a Snapshot.
package keyspace

import (
	"errors"
	"math/bits"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Keyspace is the databases of one server.
type Keyspace struct {
	// Now is the present time for expiry, in Unix milliseconds.
	Now int64
	// Clock is the access clock that a touched record gets under LRU, see LRUClock; under LFU it is ignored.
	Clock uint32
	// LFU, if not nil, makes access clocks count frequencies.
	LFU *LFU
	// WritesOnly means that reads do not set access clocks. The caller checks it: Lookup always sets them.
	WritesOnly bool
	// OnExpire, if not nil, is called for each key that expired, before it is deleted.
	OnExpire func(db *DB, r *record.Record)
	// OnAdd, if not nil, is called for each key that was added, by whatever command, and each whose value was replaced by one of
	// another type, or a stream by another. A collection may still be empty then.
	OnAdd func(db *DB, r *record.Record, replaced bool)
	// OnRemove, if not nil, is called for each key that is about to be removed, except by a flush of the database.
	OnRemove func(db *DB, r *record.Record)
	// KeepExpired makes lookups treat expired keys as missing without deleting them, and ActiveExpire do nothing: on a replica
	// the master deletes keys.
	KeepExpired bool
	// Loading keeps all keys from expiring: the file that is being loaded contains the deletions.
	Loading bool

	// OnExpireField, if not nil, is called for each field of the hash r that expires in the background, before it is deleted;
	// OnExpireFields is called once for the hash after each group of such fields, without fields if it is about to be deleted.
	OnExpireField  func(db *DB, r *record.Record, field []byte)
	OnExpireFields func(db *DB, r *record.Record)

	// ExpiredKeys counts the keys that expired, ExpiredFields the fields of hashes.
	ExpiredKeys, ExpiredFields int64

	// Lazy has the directives lazyfree-lazy-*. LazilyFreed counts the values that were deleted lazily, see lazyfree.go.
	Lazy        Laziness
	LazilyFreed int64

	gen        cow.Generation
	spares     record.Spares
	dbs        []*DB
	active     []*DB // databases that have held keys
	idleBytes  int   // of all others
	evict      evictor
	snap       *Snapshot
	rnd        uint64
	turn       int // the database that ActiveExpire begins with
	lag        Lag
	fired      []*record.Record // scratch of ActiveExpire
	scheduled  bool             // a deadline was added since TakeScheduled
	prefetched uint64           // what Prefetch loaded
	rooms      rooms
}

// DB is one database.
type DB struct {
	// ID is the number for SELECT.
	ID int

	ks     *Keyspace
	active bool // it is in Keyspace.active
	contents
}

// contents is the part of a DB that SWAPDB exchanges.
type contents struct {
	t      *table.Table
	keys   agenda // deadlines of keys
	fields agenda // earliest deadlines of the fields of hashes
	bytes  int    // of records and the values behind them
	hand   uint64 // the hash that eviction's hand has reached
}

// fixedSeed, if not nil, replaces the seed of New. It is for servers of tests (seeded.go).
var fixedSeed *uint64

// New returns n empty databases. seed starts the random numbers.
func New(n int, seed uint64) *Keyspace {
	if fixedSeed != nil {
		seed = *fixedSeed
	}
	ks := &Keyspace{rnd: seed}
	for i := range n {
		db := &DB{ID: i, ks: ks}
		db.reset()
		ks.dbs = append(ks.dbs, db)
		ks.idleBytes += db.Bytes()
	}
	return ks
}

func (db *DB) reset() { db.contents = contents{t: table.New(&db.ks.gen)} }

// Generation returns the stamps that collections use.
func (ks *Keyspace) Generation() *cow.Generation { return &ks.gen }

// DBs returns the databases by number.
func (ks *Keyspace) DBs() []*DB { return ks.dbs }

// Random returns 64 random bits (splitmix64).
func (ks *Keyspace) Random() uint64 {
	ks.rnd += 0x9e3779b97f4a7c15
	x := ks.rnd
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Bytes returns the memory held by all databases, as the allocator counts it.
func (ks *Keyspace) Bytes() int {
	n := ks.idleBytes
	for _, db := range ks.active {
		n += db.Bytes()
	}
	return n
}

// activate adds a database that is about to get its first key to ks.active. It stays there; so Bytes visits few databases.
func (ks *Keyspace) activate(db *DB) {
	ks.idleBytes -= db.Bytes()
	db.active = true
	ks.active = append(ks.active, db)
}

// Bytes returns the memory held by the database.
func (db *DB) Bytes() int { return db.bytes + db.Overhead() }

// Overhead returns the part of Bytes that is not records: table and wheel.
func (db *DB) Overhead() int {
	return db.t.Size() + db.keys.bytes() + db.fields.bytes()
}

// AddBytes accounts for a value behind a record that has grown by n bytes.
func (db *DB) AddBytes(n int) { db.bytes += n }

// Len returns the number of keys, including expired ones that are not deleted yet.
func (db *DB) Len() int { return db.t.Len() }

// Expires returns the number of keys with a deadline.
func (db *DB) Expires() int { return db.keys.live }

// FieldExpires returns the number of hashes that have fields with deadlines.
func (db *DB) FieldExpires() int { return db.fields.live }

// Expired reports whether r's deadline has passed.
func (ks *Keyspace) Expired(r *record.Record) bool {
	e := r.Expiry()
	return e != record.NoExpiry && ks.Now > e && !ks.Loading
}

// Peek returns the key's record, nil if there is none or it has expired (then it is deleted). It does not set the access
// clock.
func (db *DB) Peek(key []byte) *record.Record {
	h := table.Hash(key)
	r := db.t.Get(h, key)
	if r != nil && r.Expiry() != record.NoExpiry && db.ks.Expired(r) {
		db.expire(h, r)
		return nil
	}
	return r
}

// MaxPrefetch is the most keys of one Prefetch.
const MaxPrefetch = 32

// Prefetch loads into the processor's cache the memory that lookups of these keys, at most MaxPrefetch, will read. It changes
// nothing.
func (db *DB) Prefetch(keys [][]byte) {
	var hashes [MaxPrefetch]uint64
	n := min(len(keys), len(hashes))
	for i, k := range keys[:n] {
		hashes[i] = table.Hash(k)
	}
	db.ks.prefetched += db.t.Prefetch(hashes[:n])
}

// PeekStale is Peek for callers that must see expired keys, too; it deletes nothing.
func (db *DB) PeekStale(key []byte) *record.Record { return db.t.Get(table.Hash(key), key) }

// Lookup is Peek for an access that counts: it sets the record's access clock, unless a snapshot needs the record.
func (db *DB) Lookup(key []byte) *record.Record {
	h := table.Hash(key)
	r := db.t.Get(h, key)
	if r == nil {
		return nil
	}
	if r.Expiry() != record.NoExpiry && db.ks.Expired(r) {
		db.expire(h, r)
		return nil
	}
	ks := db.ks
	if db.t.Owned(h) {
		if ks.LFU != nil {
			r.SetClock(ks.LFU.access(r.Clock(), ks.Random()))
		} else if c := ks.Clock; r.Clock() != c {
			r.SetClock(c)
		}
	}
	return r
}

// expire deletes an expired record, unless KeepExpired is set.
func (db *DB) expire(h uint64, r *record.Record) {
	if db.ks.KeepExpired {
		return
	}
	db.ks.ExpiredKeys++
	if db.ks.OnExpire != nil {
		db.ks.OnExpire(db, r)
	}
	db.ks.drop(r, db.ks.Lazy.Expiry)
	db.remove(h, r)
}

func (db *DB) remove(h uint64, r *record.Record) {
	if db.ks.OnRemove != nil {
		db.ks.OnRemove(db, r)
	}
	db.bytes -= Size(r)
	if r.Expiry() != record.NoExpiry {
		db.keys.live--
	}
	if fieldExpiry(r) != record.NoExpiry {
		db.fields.live--
	}
	db.t.Delete(h, r)
	db.ks.removed(r)
}

// removed keeps the memory of a record that has left its table, if no snapshot needs it.
func (ks *Keyspace) removed(r *record.Record) {
	if !ks.gen.Pinned() {
		ks.spares.Remove(r)
	}
}

// FreeRemoved has new records take the memory of those that were removed since the last call (record.Spares). The owner calls
// it between two commands, when nobody holds a removed record any more, nor a slice of its key or its value.
func (ks *Keyspace) FreeRemoved() { ks.spares.Free() }

// newClock returns the access clock for a new record.
func (ks *Keyspace) newClock() uint32 {
	if ks.LFU != nil {
		return ks.LFU.initial()
	}
	return ks.Clock
}

// insert adds a record for a missing key.
func (db *DB) insert(h uint64, r *record.Record) {
	db.add(h, r)
	if db.ks.OnAdd != nil {
		db.ks.OnAdd(db, r, false)
	}
}

// add is insert without the call of OnAdd.
func (db *DB) add(h uint64, r *record.Record) {
	if !db.active {
		db.ks.activate(db)
	}
	db.t.Insert(h, r)
	db.bytes += Size(r)
	if e := r.Expiry(); e != record.NoExpiry {
		db.keys.live++
		db.schedule(&db.keys, h, e)
	}
	if e := fieldExpiry(r); e != record.NoExpiry {
		db.fields.live++
		db.schedule(&db.fields, h, e)
	}
}

// replace replaces old by r and updates the memory counters and the wheel.
func (db *DB) replace(h uint64, old, r *record.Record) {
	if db.ks.Lazy.Deletion && !old.Inline() && old.Type() != record.String && (r.Inline() || r.Type() != old.Type() || r.Pointer() != old.Pointer()) {
		db.ks.drop(old, true)
	}
	db.bytes += Size(r) - Size(old)
	db.rescheduled(&db.keys, h, old.Expiry(), r.Expiry())
	if was, now := fieldExpiry(old), fieldExpiry(r); was != now {
		db.rescheduled(&db.fields, h, was, now)
	}
	db.t.Replace(h, old, r)
	if db.ks.OnAdd != nil && (r.Type() != old.Type() || r.Type() == record.Stream) {
		db.ks.OnAdd(db, r, true)
	}
	if old != r {
		db.ks.removed(old)
	}
}

// KeepTTL as an expiry keeps the key's deadline.
const KeepTTL = int64(-2)

// SetString sets key to a string, in the encoding of SET. expiry is a deadline, record.NoExpiry or KeepTTL. key and value are
// copied.
func (db *DB) SetString(key, value []byte, expiry int64) { db.setString(key, value, expiry, false) }

// SetOwned is SetString for a value of more than record.MaxInline bytes whose buffer becomes the string's. It returns the
// buffer that the string had before if it is not used any more, else nil.
func (db *DB) SetOwned(key, value []byte, expiry int64) (spare []byte) {
	return db.setString(key, value, expiry, true)
}

func (db *DB) setString(key, value []byte, expiry int64, owned bool) (spare []byte) {
	h := table.Hash(key)
	old := db.t.Get(h, key)
	if old != nil && old.Expiry() != record.NoExpiry && db.ks.Expired(old) {
		db.expire(h, old)
		old = db.t.Get(h, key)
	}
	ks := db.ks
	if old == nil {
		if expiry == KeepTTL {
			expiry = record.NoExpiry
		}
		db.insert(h, ks.newString(key, value, expiry, ks.newClock(), owned))
		return nil
	}
	had := old.Expiry()
	if expiry == KeepTTL {
		expiry = had
	}
	clock := ks.Clock
	if ks.LFU != nil {
		clock = old.Clock() // as Redis: an overwritten key keeps its frequency
	}
	if old.Type() == record.String && db.ownsString(h, old) && (expiry == had || old.SetExpiry(expiry)) {
		var done bool
		if !owned {
			done = old.TrySetString(value)
		} else if !old.Inline() {
			before := Size(old)
			spare = old.SwapLong(value)
			db.bytes += Size(old) - before
			done = true
		}
		if done {
			old.SetClock(clock)
			db.rescheduled(&db.keys, h, had, expiry)
			return spare
		}
		if expiry != had {
			old.SetExpiry(had) // replace counts the difference between old and new
		}
	}
	db.replace(h, old, ks.newString(key, value, expiry, clock, owned))
	return nil
}

// newString makes the record of a string. If owned, value becomes its buffer.
func (ks *Keyspace) newString(key, value []byte, expiry int64, clock uint32, owned bool) *record.Record {
	if owned {
		return record.NewOwned(key, value, expiry, clock, ks.gen.Current())
	}
	return ks.spares.NewString(key, value, expiry, clock, ks.gen.Current())
}

// MayLend reports whether a reply may refer to the bytes of the long string r instead of copying them: the caller may call
// Lend.
func (db *DB) MayLend(r *record.Record) bool {
	return !r.Inline() && (!db.ks.gen.Pinned() || db.ownsValue(table.Hash(r.Key()), r))
}

// Set adds or replaces a whole record, which has its key and deadline already. It is for new collections and moved keys.
func (db *DB) Set(r *record.Record) {
	key := r.Key()
	h := table.Hash(key)
	if old := db.t.Get(h, key); old != nil {
		db.replace(h, old, r)
	} else {
		db.insert(h, r)
	}
}

// NewClock returns the access clock for a record that the caller makes.
func (db *DB) NewClock() uint32 { return db.ks.newClock() }

// Stamp returns the stamp for values that the caller makes.
func (db *DB) Stamp() uint64 { return db.ks.gen.Current() }

// SetInt sets the string r, a live record of the database, to an integer and keeps its deadline.
func (db *DB) SetInt(r *record.Record, n int64) *record.Record {
	if r.Encoding() == record.Int && !db.ks.gen.Pinned() {
		r.SetInt(n) // no need for the hash
		return r
	}
	h := table.Hash(r.Key())
	if r.Encoding() == record.Int && db.t.Owned(h) {
		r.SetInt(n)
		return r
	}
	c := db.ks.spares.NewInt(r.Key(), n, r.Expiry(), r.Clock())
	db.replace(h, r, c)
	return c
}

// SetExpiry gives r, a live record of the database, a deadline or record.NoExpiry.
func (db *DB) SetExpiry(r *record.Record, when int64) *record.Record {
	h := table.Hash(r.Key())
	old := r.Expiry()
	if old == when {
		return r
	}
	if db.t.Owned(h) && r.SetExpiry(when) {
		db.rescheduled(&db.keys, h, old, when)
		return r
	}
	c := db.rekey(r, r.Key(), when)
	db.replace(h, r, c)
	return c
}

// Write writes data into the string at offset, as SETRANGE and APPEND do: bytes between the old end and offset become
// zero. r is the key's live record or nil, when the string is made (without a deadline). It returns the new length.
func (db *DB) Write(key []byte, r *record.Record, offset int, data []byte) int {
	n := offset + len(data)
	if r != nil {
		n = max(n, r.StringLen())
	}
	copy(db.edit(key, r, n, 0, offset)[offset:], data)
	return n
}

// Edit makes the string n bytes long and raw, and returns its bytes to be written. Those beyond the old length are zero.
// r is the key's live record or nil, when the string is made (without a deadline). room is the capacity of a new buffer for a
// long string; 0 is for strings that grow: n for a new string, then twice as much. The bytes may be written until the next
// call for the database.
func (db *DB) Edit(key []byte, r *record.Record, n, room int) []byte {
	return db.edit(key, r, n, room, n)
}

// edit is Edit for a caller that writes all bytes from offset from to n, which need not become zero before.
func (db *DB) edit(key []byte, r *record.Record, n, room, from int) []byte {
	ks := db.ks
	if room < n {
		room = n
		if r != nil {
			room = grown(n)
		}
	}
	if r == nil {
		if n <= record.MaxInline {
			var zero [record.MaxInline]byte
			r = ks.spares.NewRaw(key, zero[:n], record.NoExpiry, ks.newClock(), 0)
			db.Set(r)
			return r.String(nil)
		}
		value := make([]byte, n, room)
		db.Set(record.NewOwned(key, value, record.NoExpiry, ks.newClock(), ks.gen.Current()))
		return value
	}
	oldLen := r.StringLen()
	if r.Inline() {
		if !ks.gen.Pinned() || db.t.Owned(table.Hash(key)) {
			if b, ok := r.TryResize(n); ok {
				if from > oldLen {
					clear(b[oldLen:from])
				}
				return b
			}
		}
		var buf [record.MaxInline]byte
		old := r.String(buf[:])
		var c *record.Record
		if n <= record.MaxInline {
			b := buf[:n]
			copy(b, old)
			if n > oldLen {
				clear(b[oldLen:])
			}
			c = ks.spares.NewRaw(key, b, r.Expiry(), r.Clock(), 0)
		} else {
			b := make([]byte, n, room)
			copy(b, old)
			c = record.NewOwned(key, b, r.Expiry(), r.Clock(), ks.gen.Current())
		}
		db.replace(table.Hash(key), r, c)
		return c.String(nil)
	}
	v := record.Value[record.Bytes](r)
	if r.Lent() || !ks.gen.Owns(v.Stamp) && !db.ownsValue(table.Hash(key), r) {
		b := make([]byte, n, room)
		copy(b, v.B)
		db.replace(table.Hash(key), r, record.NewOwned(key, b, r.Expiry(), r.Clock(), ks.gen.Copying(cap(v.B))))
		return b
	}
	if n > cap(v.B) {
		before := Size(r)
		b := make([]byte, n, room)
		copy(b, v.B)
		v.B = b
		db.bytes += Size(r) - before
	} else {
		v.B = v.B[:n]
		if from > oldLen {
			clear(v.B[oldLen:from])
		}
	}
	return v.B
}

// ownsString reports whether the string r, and its deadline, may be written in place.
func (db *DB) ownsString(h uint64, r *record.Record) bool {
	return db.t.Owned(h) && (r.Inline() || !r.Lent() && (!r.Moved() || db.ks.gen.Owns(record.Value[record.Bytes](r).Stamp)))
}

// ownsValue reports whether the value behind the object r may be written in place whatever its stamp, because the snapshot's
// walk has passed it. For a value that was moved to another key the position of the walk does not count.
func (db *DB) ownsValue(h uint64, r *record.Record) bool { return !r.Moved() && db.t.Owned(h) }

// grown returns the capacity for a string that grows: twice its length, but at most 1 MiB or an eighth more. Redis adds 1 MiB
// to strings of any length, which its allocator often enlarges where they lie; here each growth is a copy.
func grown(n int) int { return n + max(min(n, 1<<20), n/8) }

// Delete deletes a key and reports whether it existed. An expired key does not count, except with KeepExpired: a replica
// deletes what its master deletes.
func (db *DB) Delete(key []byte) bool { return db.DeleteAs(key, db.ks.Lazy.Deletion) }

// DeleteAs is Delete for a command that itself says whether the key is deleted lazily.
func (db *DB) DeleteAs(key []byte, lazily bool) bool {
	h := table.Hash(key)
	r := db.t.Get(h, key)
	if r == nil {
		return false
	}
	if r.Expiry() != record.NoExpiry && db.ks.Expired(r) && !db.ks.KeepExpired {
		db.expire(h, r)
		return false
	}
	db.ks.drop(r, lazily)
	db.remove(h, r)
	return true
}

// Move moves r, a live record of the database, to another key of database to. The value, which is not copied, and the
// deadline stay; the access clock is that of a new key. An existing key is replaced; it must not be r itself. key is copied.
func (db *DB) Move(r *record.Record, to *DB, key []byte) *record.Record {
	h := table.Hash(r.Key())
	c := db.rekey(r, key, r.Expiry())
	c.SetClock(db.ks.newClock())
	if !db.t.Owned(h) {
		c.SetMoved()
	}
	db.remove(h, r)
	to.Set(c)
	return c
}

// Remove deletes r, a live record of the database.
func (db *DB) Remove(r *record.Record) { db.RemoveAs(r, db.ks.Lazy.Deletion) }

// RemoveAs is Remove for a caller that itself says whether the key is deleted lazily.
func (db *DB) RemoveAs(r *record.Record, lazily bool) {
	db.ks.drop(r, lazily)
	db.remove(table.Hash(r.Key()), r)
}

// Flush deletes all keys and returns their number; see lazyfree.go for lazily. The garbage collector frees the memory later.
func (db *DB) Flush(lazily bool) int {
	n := db.t.Len()
	if lazily {
		db.ks.LazilyFreed += int64(n)
	}
	db.reset()
	db.ks.spares = record.Spares{}
	return n
}

// Swap exchanges the contents of two databases.
func (ks *Keyspace) Swap(a, b *DB) {
	for _, db := range [...]*DB{a, b} {
		if !db.active {
			ks.activate(db)
		}
	}
	a.contents, b.contents = b.contents, a.contents
}

// RandomKey returns a random record that has not expired, nil if there is none. It is uniform over all keys.
func (db *DB) RandomKey() *record.Record {
	for tries := 0; db.t.Len() > 0; tries++ {
		r := db.t.Random(db.ks.Random)
		if !db.ks.Expired(r) || db.ks.KeepExpired && tries >= 100 {
			return r
		}
		db.expire(table.Hash(r.Key()), r)
	}
	return nil
}

// RandomVolatile returns a random key with a deadline, nil if there is none or the samples of the wheel were all stale.
func (db *DB) RandomVolatile() *record.Record {
	if db.keys.live == 0 || db.keys.wheel == nil {
		return nil
	}
	for range 64 {
		h, ok := db.keys.wheel.Sample(db.ks.Random())
		if !ok {
			return nil
		}
		var found *record.Record
		db.t.EachHash(h, func(r *record.Record) {
			if r.Expiry() != record.NoExpiry {
				found = r
			}
		})
		if found != nil {
			return found
		}
	}
	return nil
}

// Scan steps through the keys, expired ones included; see table.Table.Scan. fn must not change the database.
func (db *DB) Scan(cursor uint64, count int, fn func(*record.Record)) uint64 {
	return db.t.Scan(cursor, count, fn)
}

// Each calls fn for every key until it returns false, expired ones included. fn must not change the database.
func (db *DB) Each(fn func(*record.Record) bool) { db.t.Each(fn) }

// ErrSnapshot is returned when a second snapshot is asked for while one is held.
var ErrSnapshot = errors.New("a snapshot is already being taken")

// Snapshot is all databases as they were at one moment.
type Snapshot struct {
	ks     *Keyspace
	ids    []int
	tables []*table.Table
	frozen []*table.Snapshot // nil: Live
	counts []Count
	count  int
	// Now is the moment, in Unix milliseconds.
	Now int64
}

// Snapshot freezes the present state in microseconds: the tables' arrays of pages are copied, 64 bytes for some hundred
// thousand keys. Release must follow.
func (ks *Keyspace) Snapshot() (*Snapshot, error) {
	if ks.snap != nil {
		return nil, ErrSnapshot
	}
	s := ks.Live()
	ks.gen.Pin()
	for _, t := range s.tables {
		s.frozen = append(s.frozen, t.Snapshot())
	}
	ks.snap = s
	return s, nil
}

// Live returns all databases for a walk during which nothing changes: it freezes nothing, Walk may run any number of times,
// and a Snapshot may be held at the same time. It is invalid after the first change. Release does nothing.
func (ks *Keyspace) Live() *Snapshot {
	s := &Snapshot{ks: ks, Now: ks.Now}
	for _, db := range ks.dbs {
		if db.t.Len() > 0 {
			s.ids = append(s.ids, db.ID)
			s.tables = append(s.tables, db.t)
			s.counts = append(s.counts, Count{DB: db.ID, Keys: db.t.Len(), Expires: db.keys.live})
			s.count += db.t.Len()
		}
	}
	return s
}

// Len returns the number of keys in the snapshot. Any goroutine may call it at any time.
func (s *Snapshot) Len() int { return s.count }

// Count is the number of keys of a database of a snapshot, and the number of those with a deadline.
type Count struct{ DB, Keys, Expires int }

// Counts returns the databases of the snapshot that are not empty, in the order of Walk. Any goroutine may call it at any
// time.
func (s *Snapshot) Counts() []Count { return s.counts }

// Walk calls fn for every record, database by database, until it returns false. It may run once, in any goroutine: as the
// walk proceeds, it releases memory that only the snapshot holds.
func (s *Snapshot) Walk(fn func(db int, r *record.Record) bool) {
	if s.frozen == nil {
		for i, t := range s.tables {
			if !t.Each(func(r *record.Record) bool { return fn(s.ids[i], r) }) {
				return
			}
		}
		return
	}
	for i, f := range s.frozen {
		if !f.Walk(func(r *record.Record) bool { return fn(s.ids[i], r) }) {
			return
		}
		s.frozen[i] = nil
	}
}

// Release ends the snapshot. The goroutine that owns the data calls it after Walk has returned, or without a Walk.
func (s *Snapshot) Release() {
	if s.ks.snap != s {
		return
	}
	for _, t := range s.tables {
		t.EndSnapshot()
	}
	s.ks.gen.Unpin()
	s.ks.snap = nil
}

// ClocksPerSecond is the resolution of LRU clocks. Redis counts whole seconds, in 24 bits; eighths of them distinguish the
// keys of a cache that is renewed within seconds.
const ClocksPerSecond = 8

// LRUClock returns the access clock for a time: eighths of a second, in 31 bits.
func LRUClock(nowMs int64) uint32 { return uint32(nowMs/(1000/ClocksPerSecond)) & record.ClockMask }

// Idle returns the milliseconds since the last access of a record with this clock.
func (ks *Keyspace) Idle(clock uint32) int64 {
	return int64((ks.Clock-clock)&record.ClockMask) * (1000 / ClocksPerSecond)
}

// Lag has the delays between deadlines and deletions by background expiry.
type Lag struct {
	Count uint64
	Max   int64      // milliseconds
	Sum   int64      // milliseconds
	hist  [40]uint64 // counts by the number of bits of the milliseconds
}

func (l *Lag) add(ms int64) {
	ms = max(ms, 0)
	l.Count++
	l.Max = max(l.Max, ms)
	l.Sum += ms
	l.hist[min(bits.Len64(uint64(ms)), len(l.hist)-1)]++
}

// Percentile returns an upper bound, at most twice the true value, of the lag of a percentile (0 to 100) in milliseconds.
func (l *Lag) Percentile(p float64) int64 {
	want := uint64(float64(l.Count) * p / 100)
	n := uint64(0)
	for i, c := range l.hist {
		if n += c; n > want {
			return min(int64(1)<<i-1, l.Max)
		}
	}
	return l.Max
}

// Powers counts the lags below 1 ms, those below 2 ms but not below 1, and so on by powers of two; the last number of counts has
// all that is above.
func (l *Lag) Powers(counts []uint64) {
	clear(counts)
	for i, n := range l.hist {
		counts[min(i, len(counts)-1)] += n
	}
}

// ExpiryLag returns the delays of background expiry.
func (ks *Keyspace) ExpiryLag() *Lag { return &ks.lag }
