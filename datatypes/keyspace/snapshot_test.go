package keyspace

import (
	"bytes"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// TestSnapshotWhileWriting walks snapshots of 16 databases in a goroutine while the owner changes everything. Run with
// -race it proves that nothing a snapshot can reach is written.
func TestSnapshotWhileWriting(t *testing.T) { random.Repeat(t, testSnapshotWhileWriting) }

func testSnapshotWhileWriting(t *testing.T) {
	rounds, keys := 6, 1500
	if testing.Short() {
		rounds, keys = 2, 500
	}
	seed := random.Seed(t)
	m := newModel(t, seed, 16)
	for round := range rounds {
		for _, db := range m.ks.dbs {
			for i := range keys {
				key := "key:" + strconv.Itoa(i)
				e := entry{m.value(), m.deadline()}
				db.SetString([]byte(key), []byte(e.value), e.expiry)
				m.want[db.ID][key] = e
			}
		}
		want := make([]map[string]entry, len(m.want))
		total := 0
		for id := range m.want {
			want[id] = make(map[string]entry, len(m.want[id]))
			for k, e := range m.want[id] {
				want[id][k] = e
			}
			total += len(want[id])
		}
		s, err := m.ks.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var done atomic.Bool
		var walked atomic.Int64
		finished := make(chan string, 1)
		go func() {
			defer done.Store(true)
			problem := ""
			var buf []byte
			s.Walk(func(id int, r *record.Record) bool {
				n := walked.Add(1)
				if n%16 == 0 {
					runtime.Gosched()
				}
				e, ok := want[id][string(r.Key())]
				buf = r.AppendTo(buf[:0])
				if !ok || string(buf) != e.value || r.Expiry() != e.expiry {
					problem = "database " + strconv.Itoa(id) + ", key " + string(r.Key()) + ": not what it was, or seen twice"
					return false
				}
				delete(want[id], string(r.Key())) // each is seen once
				return true
			})
			finished <- problem
		}()
		for !done.Load() {
			for range 20 {
				m.disturb(keys)
			}
		}
		if problem := <-finished; problem != "" {
			t.Fatalf("round %d: %s", round, problem)
		}
		if int(walked.Load()) != total || s.Len() != total {
			t.Fatalf("%d of %d keys were walked, Len %d", walked.Load(), total, s.Len())
		}
		s.Release()
		m.check()
	}
}

// disturb changes something, as model.step does but with fewer comparisons: what the owner sees is checked elsewhere.
func (m *model) disturb(keys int) {
	if m.rnd.IntN(4) > 0 {
		m.ks.FreeRemoved()
	}
	db := m.db()
	key := "key:" + strconv.Itoa(m.rnd.IntN(keys))
	b := []byte(key)
	switch m.rnd.IntN(16) {
	case 0, 1, 2:
		e := entry{m.value(), m.deadline()}
		db.SetString(b, []byte(e.value), e.expiry)
		m.want[db.ID][key] = e
	case 3, 4, 5:
		r := db.Lookup(b)
		e := entry{expiry: record.NoExpiry}
		if r != nil {
			e = m.want[db.ID][key]
		}
		// Often within the value: that would be written in place.
		offset := m.rnd.IntN(len(e.value) + 1)
		v := []byte(e.value)
		if offset == len(v) {
			v = append(v, 'z')
		}
		v[offset] = 'z'
		db.Write(b, r, offset, []byte("z"))
		m.want[db.ID][key] = entry{string(v), e.expiry}
	case 6:
		if r := db.Lookup(b); r != nil {
			n := m.rnd.Int64()
			db.SetInt(r, n)
			m.want[db.ID][key] = entry{strconv.FormatInt(n, 10), r.Expiry()}
		}
	case 7, 8:
		if r := db.Lookup(b); r != nil {
			e := m.want[db.ID][key]
			e.expiry = m.deadline()
			db.SetExpiry(r, e.expiry)
			m.want[db.ID][key] = e
		}
	case 9, 10:
		db.Delete(b)
		delete(m.want[db.ID], key)
	case 11, 12:
		to, newKey := m.db(), "key:"+strconv.Itoa(m.rnd.IntN(keys))
		if r := db.Lookup(b); r != nil && (to != db || newKey != key) {
			to.Lookup([]byte(newKey))
			e := m.want[db.ID][key]
			db.Move(r, to, []byte(newKey))
			delete(m.want[db.ID], key)
			m.want[to.ID][newKey] = e
		}
	case 13:
		if m.rnd.IntN(500) == 0 {
			db.Flush(false)
			m.want[db.ID] = map[string]entry{}
		}
	case 14:
		if m.rnd.IntN(50) == 0 {
			to := m.db()
			m.ks.Swap(db, to)
			m.want[db.ID], m.want[to.ID] = m.want[to.ID], m.want[db.ID]
		}
	case 15:
		m.ks.Now += m.rnd.Int64N(20)
		m.ks.Clock++
		m.activeExpire(m.rnd.IntN(3))
	}
}

// TestSnapshotMovedValue is the corner that needs a record to know that it was moved: a long value goes from a place that
// the walk has not passed to one that it has, where values are otherwise written in place.
func TestSnapshotMovedValue(t *testing.T) {
	for variant := range 4 {
		cross, whole := variant&1 != 0, variant&2 != 0
		ks := New(2, 3)
		ks.Now = epoch
		db, to := ks.dbs[1], ks.dbs[1]
		if cross {
			to = ks.dbs[0] // which is walked first
		}
		value := bytes.Repeat([]byte("v"), 2000)
		other := append([]byte("vvvvvXXX"), value[8:]...)
		for i := range 2000 {
			for _, db := range ks.dbs {
				db.SetString(strconv.AppendInt(nil, int64(i), 10), value, record.NoExpiry)
			}
		}
		s, err := ks.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var first []byte
		n, bad := 0, 0
		s.Walk(func(id int, r *record.Record) bool {
			if n++; n == 1 {
				first = r.Key()
			}
			if !bytes.Equal(r.String(nil), value) {
				bad++
			}
			if id == 1 && n == 3000 {
				// All of what is still to come goes to the place of the first key, and is written there.
				var rest [][]byte
				db.Each(func(r *record.Record) bool { rest = append(rest, r.Key()); return true })
				for _, key := range rest {
					if bytes.Equal(key, first) && !cross {
						continue
					}
					c := db.Move(db.Lookup(key), to, first)
					if whole {
						to.SetString(first, other, record.NoExpiry)
					} else {
						to.Write(first, c, 5, []byte("XXX"))
					}
					if got := to.Lookup(first).String(nil); !bytes.HasPrefix(got, []byte("vvvvvXXXv")) {
						t.Fatalf("what was written is %.20q", got)
					}
				}
			}
			return true
		})
		s.Release()
		if bad > 0 || n != 4000 {
			t.Errorf("cross %v, whole %v: %d of %d values in the snapshot were changed", cross, whole, bad, n)
		}
	}
}

// TestCopiedForSnapshot checks the account of what is copied because a snapshot needs it: strings once a segment and value,
// nothing once the walk has passed or the snapshot has ended.
func TestCopiedForSnapshot(t *testing.T) {
	ks := New(1, 3)
	ks.Now = epoch
	db, gen := ks.dbs[0], &ks.gen
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range 5000 {
		db.SetString(strconv.AppendInt(nil, int64(i), 10), value, record.NoExpiry)
	}
	// write changes a key in place and returns how many bytes were copied.
	write := func(key string) int64 {
		before := gen.Copied()
		db.Write([]byte(key), db.Lookup([]byte(key)), 0, []byte("w"))
		return gen.Copied() - before
	}
	if n := write("1"); n != 0 {
		t.Errorf("%d bytes copied without a snapshot", n)
	}
	s, err := ks.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if n := write("1"); n < 1000+4096 || n > 1000+16384 {
		t.Errorf("%d bytes copied for a segment and a value of 1000", n)
	}
	if n := write("1"); n != 0 {
		t.Errorf("%d bytes copied for a value that was copied before", n)
	}
	for i := range 5000 {
		write(strconv.Itoa(i))
	}
	if n := gen.Copied(); n < 5_000_000 || n > 6_000_000 {
		t.Errorf("%d bytes copied for 5000 values of 1000", n)
	}
	s.Release()
	if s, err = ks.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if n := gen.Copied(); n != 0 {
		t.Errorf("a snapshot begins with %d bytes", n)
	}
	s.Walk(func(int, *record.Record) bool { return true })
	if n := write("1"); n != 0 {
		t.Errorf("%d bytes copied behind the walk", n)
	}
	s.Release()
}

// TestSnapshotInPlace checks that what the walk has passed is written in place again, and everything after Release.
func TestSnapshotInPlace(t *testing.T) {
	ks := New(1, 3)
	ks.Now = epoch
	db := ks.dbs[0]
	value := bytes.Repeat([]byte("v"), 1000)
	for i := range 5000 {
		db.SetString(strconv.AppendInt(nil, int64(i), 10), value, record.NoExpiry)
	}
	inPlace := func() (n int) {
		for i := range 5000 {
			key := strconv.AppendInt(nil, int64(i), 10)
			r := db.Lookup(key)
			db.Write(key, r, 0, []byte("w"))
			if db.Lookup(key) == r {
				n++
			}
		}
		return n
	}
	s, err := ks.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if n := inPlace(); n != 0 {
		t.Errorf("%d values were written in place though the walk had not begun", n)
	}
	s.Release()
	if s, err = ks.Snapshot(); err != nil {
		t.Fatal(err)
	}
	n := 0
	s.Walk(func(int, *record.Record) bool {
		if n++; n == 2500 {
			if got := inPlace(); got < 1500 || got > 2500 {
				t.Errorf("half-way %d of 5,000 values were written in place, want a little less than 2,500", got)
			}
		}
		return true
	})
	if got := inPlace(); got != 5000 {
		t.Errorf("after the walk %d values were written in place, want all", got)
	}
	s.Release()
	if got := inPlace(); got != 5000 {
		t.Errorf("after Release %d values were written in place, want all", got)
	}
}
