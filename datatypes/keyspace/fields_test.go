package keyspace

import (
	"fmt"
	"strconv"
	"testing"
	"unsafe"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// fieldKeyspace is a keyspace of hashes whose fields expire. It records the callbacks.
type fieldKeyspace struct {
	t    *testing.T
	ks   *Keyspace
	gone map[string]int // key/field, number of callbacks
	over int            // calls of OnExpireFields
}

func newFieldKeyspace(t *testing.T) *fieldKeyspace {
	f := &fieldKeyspace{t: t, ks: New(2, 7), gone: map[string]int{}}
	f.ks.Now = 1_700_000_000_000
	f.ks.OnExpireField = func(db *DB, r *record.Record, field []byte) {
		f.gone[string(r.Key())+"/"+string(field)]++
	}
	f.ks.OnExpireFields = func(db *DB, r *record.Record) { f.over++ }
	return f
}

// set sets a field and its deadline, as a handler does.
func (f *fieldKeyspace) set(db *DB, key, field string, when int64, rules hash.Rules) {
	var h *hash.Hash
	var change Change
	if r := db.Peek([]byte(key)); r == nil {
		h, change = BeginNew(db, []byte(key), record.Hash, hash.New(db.Generation()))
	} else {
		h, change = Begin[hash.Hash](db, r)
	}
	h.Set([]byte(field), []byte("value of "+field), rules, db.Generation())
	h.SetDeadline([]byte(field), when, db.Generation())
	change.End()
}

// advance sets the clock and expires to the end. It returns how many steps that took.
func (f *fieldKeyspace) advance(ms int64) (steps int) {
	f.ks.Now += ms
	now := f.ks.Now
	for f.ks.ActiveExpire(func() int64 { return now }, func() bool { return true }) {
		if steps++; steps > 1_000_000 {
			f.t.Fatal("expiry does not end")
		}
	}
	return steps
}

// check compares the accounts with the contents.
func (f *fieldKeyspace) check(what string) {
	f.t.Helper()
	for _, db := range f.ks.DBs() {
		size, fields := 0, 0
		db.Each(func(r *record.Record) bool {
			size += Size(r)
			if e := fieldExpiry(r); e != record.NoExpiry {
				fields++
				if e < f.ks.Now {
					f.t.Errorf("%s: %s has a field that was due %d ms ago", what, r.Key(), f.ks.Now-e)
				}
			}
			return true
		})
		if db.Bytes()-db.Overhead() != size || db.FieldExpires() != fields {
			f.t.Errorf("%s: database %d accounts for %d bytes, %d hashes with deadlines; there are %d, %d", what, db.ID,
				db.Bytes()-db.Overhead(), db.FieldExpires(), size, fields)
		}
		if (db.fields.wheel == nil) != (fields == 0) {
			f.t.Errorf("%s: database %d has a wheel %v for %d hashes", what, db.ID, db.fields.wheel, fields)
		}
	}
}

// TestFieldsExpireOnTime gives fields deadlines and looks at the clock's every millisecond.
func TestFieldsExpireOnTime(t *testing.T) {
	for _, rules := range []hash.Rules{{Entries: 512, Value: 64}, {}} {
		f := newFieldKeyspace(t)
		db, start := f.ks.DBs()[0], f.ks.Now
		for i := range 300 {
			f.set(db, "h"+strconv.Itoa(i%30), "f"+strconv.Itoa(i), start+int64(i%50)+1, rules)
		}
		f.set(db, "stays", "a", record.NoExpiry, rules)
		f.set(db, "stays", "b", start+7, rules)
		for ms := int64(1); ms <= 52; ms++ {
			when, ok := f.ks.NextExpiry()
			if ok && when < start+ms && ms > 1 {
				t.Errorf("at %d: the next step is at %d", ms, when-start)
			}
			f.advance(1)
			f.check(fmt.Sprintf("at %d", ms))
			want := 0
			for i := range 300 {
				if int64(i%50)+1 < ms {
					want++
				}
			}
			if ms > 7 {
				want++
			}
			if len(f.gone) != want || f.ks.ExpiredFields != int64(want) {
				t.Fatalf("at %d: %d fields have expired, counted %d, want %d", ms, len(f.gone), f.ks.ExpiredFields, want)
			}
		}
		for name, n := range f.gone {
			if n != 1 {
				t.Errorf("%s expired %d times", name, n)
			}
		}
		if db.Len() != 1 || f.ks.ExpiryLag().Max != 1 {
			t.Errorf("%d keys left, lag %d", db.Len(), f.ks.ExpiryLag().Max)
		}
	}
}

// TestFieldsExpireInSteps lets all fields of one hash be due at once: it must take many steps.
func TestFieldsExpireInSteps(t *testing.T) {
	const n = 10_000
	f := newFieldKeyspace(t)
	db := f.ks.DBs()[0]
	for i := range n {
		f.set(db, "big", strconv.Itoa(i), f.ks.Now+10, hash.Rules{})
	}
	if steps := f.advance(11); steps < n/fieldBatch/4 {
		t.Errorf("%d fields expired in %d steps", n, steps)
	}
	f.check("afterwards")
	if f.ks.ExpiredFields != n || db.Len() != 0 || f.over < n/fieldBatch {
		t.Errorf("%d fields have expired, told %d times, %d keys are left", f.ks.ExpiredFields, f.over, db.Len())
	}
}

// TestFieldsModel moves, copies and changes hashes at random, a snapshot held now and then, and expires as time goes on.
func TestFieldsModel(t *testing.T) { random.Repeat(t, testFieldsModel) }

func testFieldsModel(t *testing.T) {
	rnd := random.New(t)
	f := newFieldKeyspace(t)
	var snap *Snapshot
	seen := make(chan int)
	fields := 0
	for step := range 30_000 {
		db := f.ks.DBs()[rnd.IntN(2)]
		key := "h" + strconv.Itoa(rnd.IntN(40))
		switch op := rnd.IntN(20); {
		case op < 14:
			rules := hash.Rules{Entries: 4 + rnd.IntN(30), Value: 64}
			when := f.ks.Now + 1 + rnd.Int64N(1000)
			if op > 11 {
				when = record.NoExpiry
			}
			f.set(db, key, "f"+strconv.Itoa(rnd.IntN(60)), when, rules)
		case op == 14:
			db.Delete([]byte(key))
		case op == 15:
			if r := db.Peek([]byte(key)); r != nil {
				db.Move(r, f.ks.DBs()[rnd.IntN(2)], []byte("h40"))
			}
		case op == 16:
			if r := db.Peek([]byte(key)); r != nil {
				c := ValueOf(r).(*hash.Hash).Clone(db.Generation())
				db.Set(NewCollection(record.Hash, []byte("h"+strconv.Itoa(rnd.IntN(40))), unsafe.Pointer(c), r.Expiry(), 0))
			}
		case op == 17:
			if r := db.Peek([]byte(key)); r != nil {
				db.SetExpiry(r, f.ks.Now+rnd.Int64N(5000))
			}
		case op == 18 && rnd.IntN(30) == 0:
			f.ks.Swap(f.ks.DBs()[0], f.ks.DBs()[1])
		case op == 19 && rnd.IntN(100) == 0:
			db.Flush(false)
		case op == 19:
			db.SetString([]byte(key), []byte("no hash"), record.NoExpiry)
			db.Delete([]byte(key))
		}
		if rnd.IntN(8) == 0 {
			f.advance(rnd.Int64N(20))
			f.check(fmt.Sprintf("step %d", step))
		}
		if step%1000 != 999 {
			continue
		}
		if snap == nil {
			var err error
			if snap, err = f.ks.Snapshot(); err != nil {
				t.Fatal(err)
			}
			fields = 0
			for _, db := range f.ks.DBs() {
				db.Each(func(r *record.Record) bool {
					fields += ValueOf(r).(*hash.Hash).Len()
					return true
				})
			}
			go func() {
				n := 0
				snap.Walk(func(_ int, r *record.Record) bool {
					ValueOf(r).(*hash.Hash).EachField(func(_, _ hash.Value, when int64) bool {
						if when == record.NoExpiry || when >= snap.Now {
							n++
						}
						return true
					})
					return true
				})
				seen <- n
			}()
			continue
		}
		if n := <-seen; n != fields {
			t.Fatalf("step %d: the snapshot has %d fields, there were %d", step, n, fields)
		}
		snap.Release()
		snap = nil
	}
	f.advance(10_000)
	f.check("at the end")
	if f.ks.ExpiredFields < 1000 {
		t.Errorf("only %d fields have expired", f.ks.ExpiredFields)
	}
}

// TestStaleFieldEntries brings the same deadline forward again and again: the wheel must not grow for ever.
func TestStaleFieldEntries(t *testing.T) {
	f := newFieldKeyspace(t)
	db := f.ks.DBs()[0]
	for i := range 10 * staleTolerated {
		f.set(db, "h"+strconv.Itoa(i%100), "f", f.ks.Now+int64(20*staleTolerated-i), hash.Rules{})
		if i%64 == 0 {
			f.advance(0)
		}
		if n := db.fields.wheel.Len(); n > 2*staleTolerated {
			t.Fatalf("%d entries for %d hashes", n, db.FieldExpires())
		}
	}
	f.check("afterwards")
	f.advance(int64(30 * staleTolerated))
	f.check("at the end")
	if f.ks.ExpiredFields != 100 {
		t.Errorf("%d fields have expired", f.ks.ExpiredFields)
	}
}

// TestKeepExpiredFields: nothing is deleted while expiry is somebody else's business.
func TestKeepExpiredFields(t *testing.T) {
	f := newFieldKeyspace(t)
	db := f.ks.DBs()[0]
	f.set(db, "h", "f", f.ks.Now+5, hash.Rules{})
	f.ks.KeepExpired = true
	f.advance(100)
	if len(f.gone) != 0 || db.Len() != 1 {
		t.Error("a field has expired")
	}
	f.ks.KeepExpired = false
	f.advance(0)
	f.check("afterwards")
	if len(f.gone) != 1 || db.Len() != 0 {
		t.Error("the field has not expired")
	}
}
