package keyspace

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"ferrous/datatypes/table"

	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

const epoch = int64(1_700_000_000_000)

// entry is what the model holds of a key.
type entry struct {
	value  string
	expiry int64
}

// model is a keyspace and what it should hold: plain maps by database, in which keys that have expired stay until the
// keyspace says that it deleted them.
type model struct {
	*testing.T
	rnd  *rand.Rand
	ks   *Keyspace
	want []map[string]entry

	snap *snapshotModel
}

// snapshotModel is a snapshot whose walk is made in steps between the other operations.
type snapshotModel struct {
	s    *Snapshot
	want []map[string]entry // what is still to come
	next func() (int, *record.Record, bool)
	stop func()
}

func newModel(t *testing.T, seed uint64, dbs int) *model {
	m := &model{T: t, rnd: rand.New(rand.NewPCG(seed, 1)), ks: New(dbs, seed)}
	m.ks.Now = epoch
	m.ks.Clock = LRUClock(epoch)
	for range dbs {
		m.want = append(m.want, map[string]entry{})
	}
	m.ks.OnExpire = func(db *DB, r *record.Record) {
		e, ok := m.want[db.ID][string(r.Key())]
		if !ok || e.expiry != r.Expiry() || e.expiry == record.NoExpiry || e.expiry >= m.ks.Now {
			m.fail("key %q expired at %d with deadline %d; the model has %v %+v", r.Key(), m.ks.Now, r.Expiry(), ok, e)
		}
		delete(m.want[db.ID], string(r.Key()))
	}
	return m
}

func (m *model) fail(format string, args ...any) {
	m.Helper()
	m.Fatalf(format, args...)
}

func (m *model) key() string { return "key:" + strconv.Itoa(m.rnd.IntN(300)) }

// value returns a value of some size class, an integer now and then.
func (m *model) value() string {
	switch m.rnd.IntN(8) {
	case 0:
		return strconv.FormatInt(int64(m.rnd.Uint64()), 10)
	case 1:
		return strconv.Itoa(m.rnd.IntN(2000))
	case 2:
		return ""
	case 3, 4:
		return strings.Repeat("v", m.rnd.IntN(60))
	case 5, 6:
		return strings.Repeat("w", m.rnd.IntN(600))
	default:
		return strings.Repeat("x", 500+m.rnd.IntN(3000))
	}
}

func (m *model) deadline() int64 {
	switch m.rnd.IntN(4) {
	case 0:
		return record.NoExpiry
	case 1:
		return m.ks.Now + m.rnd.Int64N(50)
	case 2:
		return m.ks.Now + m.rnd.Int64N(100_000)
	default:
		return m.ks.Now + m.rnd.Int64N(1<<40)
	}
}

func (m *model) db() *DB { return m.ks.dbs[m.rnd.IntN(len(m.ks.dbs))] }

// live returns what the model says of a key now.
func (m *model) live(db *DB, key string) (entry, bool) {
	e, ok := m.want[db.ID][key]
	return e, ok && (e.expiry == record.NoExpiry || m.ks.Now <= e.expiry)
}

// lookup finds a key and compares it with the model.
func (m *model) lookup(db *DB, key string) *record.Record {
	m.Helper()
	e, live := m.live(db, key)
	r := db.Lookup([]byte(key))
	if (r != nil) != live {
		m.fail("Lookup of %q in %d: found %v, want %v", key, db.ID, r != nil, live)
	}
	if r != nil {
		m.compare(db.ID, r, e)
	}
	return r
}

func (m *model) compare(db int, r *record.Record, e entry) {
	m.Helper()
	if v := r.AppendTo(nil); string(v) != e.value || r.Expiry() != e.expiry || r.StringLen() != len(e.value) {
		m.fail("key %q of %d is %.40q (%d bytes, StringLen %d) with deadline %d, want %.40q (%d bytes) with %d",
			r.Key(), db, v, len(v), r.StringLen(), r.Expiry(), e.value, len(e.value), e.expiry)
	}
}

func (m *model) step() {
	if m.rnd.IntN(4) > 0 {
		m.ks.FreeRemoved()
	}
	db, key := m.db(), m.key()
	switch m.rnd.IntN(28) {
	case 0, 1, 2, 3, 4, 5, 6:
		value, expiry := m.value(), m.deadline()
		if m.rnd.IntN(4) == 0 {
			expiry = KeepTTL
		}
		old, live := m.live(db, key)
		db.SetString([]byte(key), []byte(value), expiry)
		if expiry == KeepTTL {
			if expiry = record.NoExpiry; live {
				expiry = old.expiry
			}
		}
		m.want[db.ID][key] = entry{value, expiry}
		m.lookup(db, key)
	case 7, 8, 9:
		r := m.lookup(db, key)
		e := entry{expiry: record.NoExpiry}
		if r != nil {
			e = m.want[db.ID][key]
		}
		offset, data := len(e.value), m.value()
		if m.rnd.IntN(2) == 0 {
			offset = m.rnd.IntN(len(e.value) + 20)
		}
		b := []byte(e.value)
		if end := offset + len(data); end > len(b) {
			b = append(b, make([]byte, end-len(b))...)
		}
		copy(b[offset:], data)
		if n := db.Write([]byte(key), r, offset, []byte(data)); n != len(b) {
			m.fail("Write returned %d, want %d", n, len(b))
		}
		e.value = string(b)
		m.want[db.ID][key] = e
		m.lookup(db, key)
	case 26, 27:
		r := m.lookup(db, key)
		e := entry{expiry: record.NoExpiry}
		if r != nil {
			e = m.want[db.ID][key]
		}
		b := []byte(e.value)
		if n := len(b) + m.rnd.IntN(60) - 30; n > len(b) {
			b = append(b, make([]byte, n-len(b))...)
		} else {
			b = b[:max(n, 0)]
		}
		got := db.Edit([]byte(key), r, len(b), len(b)+m.rnd.IntN(100))
		if !bytes.Equal(got, b) {
			m.fail("Edit of %q to %d bytes returned %q, want %q", key, len(b), got, b)
		}
		if len(b) > 0 {
			at := m.rnd.IntN(len(b))
			b[at], got[at] = '!', '!'
		}
		e.value = string(b)
		m.want[db.ID][key] = e
		if r := m.lookup(db, key); r.Encoding() != record.Raw {
			m.fail("Edit left %q %v", key, r.Encoding())
		}
	case 10, 11:
		if r := m.lookup(db, key); r != nil {
			n := int64(m.rnd.Uint64())
			r = db.SetInt(r, n)
			e := m.want[db.ID][key]
			e.value = strconv.FormatInt(n, 10)
			m.want[db.ID][key] = e
			m.compare(db.ID, r, e)
			m.lookup(db, key)
		}
	case 12, 13, 14:
		if r := m.lookup(db, key); r != nil {
			e := m.want[db.ID][key]
			e.expiry = m.deadline()
			r = db.SetExpiry(r, e.expiry)
			m.want[db.ID][key] = e
			m.compare(db.ID, r, e)
			m.lookup(db, key)
		}
	case 15, 16:
		_, live := m.live(db, key)
		if db.Delete([]byte(key)) != live {
			m.fail("Delete of %q: want %v", key, live)
		}
		delete(m.want[db.ID], key)
	case 17, 18:
		to, newKey := m.db(), m.key()
		if r := m.lookup(db, key); r != nil && (to != db || newKey != key) {
			m.lookup(to, newKey)
			e := m.want[db.ID][key]
			m.compare(to.ID, db.Move(r, to, []byte(newKey)), e)
			delete(m.want[db.ID], key)
			m.want[to.ID][newKey] = e
			m.lookup(db, key)
			m.lookup(to, newKey)
		}
	case 19:
		switch m.rnd.IntN(40) {
		case 0:
			if n := db.Flush(false); n != len(m.want[db.ID]) {
				m.fail("Flush returned %d, want %d", n, len(m.want[db.ID]))
			}
			m.want[db.ID] = map[string]entry{}
		case 1, 2:
			to := m.db()
			m.ks.Swap(db, to)
			m.want[db.ID], m.want[to.ID] = m.want[to.ID], m.want[db.ID]
		case 3:
			m.churn(db, key)
		}
	case 20, 21:
		m.ks.Now += m.rnd.Int64N(10)
		if m.rnd.IntN(100) == 0 {
			m.ks.Now += m.rnd.Int64N(1 << 36)
		}
	case 22:
		m.activeExpire(m.rnd.IntN(4))
	case 23, 24:
		m.stepSnapshot()
	case 25:
		if r := db.RandomKey(); r != nil {
			e, live := m.live(db, string(r.Key()))
			if !live {
				m.fail("RandomKey returned %q, which is not there", r.Key())
			}
			m.compare(db.ID, r, e)
		} else if len(m.want[db.ID]) > 0 {
			m.fail("RandomKey found nothing among %d keys", len(m.want[db.ID]))
		}
	}
}

// churn brings a key's deadline forward so often that the wheel is mostly stale.
func (m *model) churn(db *DB, key string) {
	for i := range int64(staleTolerated + 1000) {
		e := entry{"1", m.ks.Now + 1<<30 - i}
		db.SetString([]byte(key), []byte(e.value), e.expiry)
		m.want[db.ID][key] = e
	}
	if _, ok := m.ks.NextExpiry(); !ok || db.keys.wheel.Len() <= staleTolerated {
		m.fail("%d entries after churn", db.keys.wheel.Len())
	}
}

// activeExpire runs background expiry, allowing so many batches, and checks its promises.
func (m *model) activeExpire(batches int) {
	more := m.ks.ActiveExpire(func() int64 { return m.ks.Now }, func() bool { batches--; return batches < 0 })
	if more {
		return
	}
	for id, keys := range m.want {
		for key, e := range keys {
			if e.expiry != record.NoExpiry && e.expiry < m.ks.Now {
				m.fail("key %q of %d is still there %d ms after its deadline", key, id, m.ks.Now-e.expiry)
			}
		}
	}
	for _, db := range m.ks.dbs {
		if db.keys.stale() || db.keys.rebuild != nil {
			m.fail("database %d has a stale wheel after ActiveExpire: %d entries for %d keys", db.ID, db.keys.wheel.Len(), db.keys.live)
		}
	}
}

func (m *model) stepSnapshot() {
	if m.snap == nil {
		s, err := m.ks.Snapshot()
		if err != nil {
			m.fail("%v", err)
		}
		if _, err := m.ks.Snapshot(); err != ErrSnapshot {
			m.fail("a second snapshot: %v", err)
		}
		w := &snapshotModel{s: s}
		m.checkLive()
		n := 0
		for _, keys := range m.want {
			c := make(map[string]entry, len(keys))
			for k, e := range keys {
				c[k] = e
			}
			w.want = append(w.want, c)
			n += len(c)
		}
		if s.Len() != n || s.Now != m.ks.Now {
			m.fail("a snapshot of %d keys at %d, want %d at %d", s.Len(), s.Now, n, m.ks.Now)
		}
		w.next, w.stop = iter.Pull2(func(yield func(int, *record.Record) bool) { s.Walk(yield) })
		m.snap = w
		return
	}
	w := m.snap
	for range m.rnd.IntN(200) {
		id, r, ok := w.next()
		if !ok {
			for id, left := range w.want {
				if len(left) > 0 {
					m.fail("the snapshot's walk left out %d keys of %d", len(left), id)
				}
			}
			m.endSnapshot()
			return
		}
		e, ok := w.want[id][string(r.Key())]
		if !ok {
			m.fail("the snapshot has %q in %d, which is too much or there twice", r.Key(), id)
		}
		m.compare(id, r, e)
		delete(w.want[id], string(r.Key()))
	}
	if m.rnd.IntN(20) == 0 {
		m.endSnapshot() // given up half-way
	}
}

func (m *model) endSnapshot() {
	if m.snap != nil {
		m.snap.stop()
		m.snap.s.Release()
		m.snap = nil
	}
}

// check counts everything again.
func (m *model) check() {
	total, first := 0, int64(-1)
	for _, db := range m.ks.dbs {
		want := m.want[db.ID]
		size, expires, n := 0, 0, 0
		db.Each(func(r *record.Record) bool {
			e, ok := want[string(r.Key())]
			if !ok {
				m.fail("database %d has %q, which the model has not", db.ID, r.Key())
			}
			m.compare(db.ID, r, e)
			size += Size(r)
			n++
			if e.expiry != record.NoExpiry {
				expires++
				if first < 0 || e.expiry < first {
					first = e.expiry
				}
			}
			return true
		})
		if n != len(want) || db.Len() != n || db.Expires() != expires || db.Bytes()-db.Overhead() != size {
			m.fail("database %d: Each %d, Len %d, Expires %d, record bytes %d; want %d, %d, %d, %d", db.ID, n, db.Len(),
				db.Expires(), db.Bytes()-db.Overhead(), len(want), len(want), expires, size)
		}
		total += db.Bytes()
	}
	if total != m.ks.Bytes() {
		m.fail("Bytes %d, want %d", m.ks.Bytes(), total)
	}
	if when, ok := m.ks.NextExpiry(); first >= 0 && (!ok || when > max(first+1, m.ks.Now)) {
		m.fail("NextExpiry %d %v, but a key has the deadline %d", when, ok, first)
	}
}

// runOut lets time pass from one NextExpiry to the next until no key has a deadline.
func (m *model) runOut() {
	for rounds := 0; ; rounds++ {
		when, ok := m.ks.NextExpiry()
		if !ok {
			break
		}
		if rounds > 1_000_000 {
			m.fail("expiry does not come to an end; next at %d, now %d", when, m.ks.Now)
		}
		m.ks.Now = max(m.ks.Now, when)
		m.activeExpire(m.rnd.IntN(50))
	}
	for _, db := range m.ks.dbs {
		if db.Expires() != 0 || db.keys.wheel != nil {
			m.fail("database %d: %d keys with deadlines and a wheel %v after everything has expired", db.ID, db.Expires(), db.keys.wheel != nil)
		}
	}
	m.check()
}

// TestModel runs random operations against plain maps. KEYSPACE_RUNS sets the number of runs.
func TestModel(t *testing.T) {
	runs, steps := 12, 12_000
	if testing.Short() {
		runs = 4
	}
	if random.Stress() {
		runs = 600
	}
	if s := os.Getenv("KEYSPACE_RUNS"); s != "" {
		runs, _ = strconv.Atoi(s)
	}
	for i := range runs {
		m := newModel(t, random.Seed(t), 1+i%4)
		if i%3 == 1 {
			m.ks.LFU = &LFU{LogFactor: 10, DecayTime: 1, NowMs: epoch}
		}
		for j := range steps {
			m.step()
			if j%500 == 0 {
				m.check()
			}
		}
		m.endSnapshot()
		m.check()
		m.runOut()
	}
}

// TestWheelRebuild deletes most of many keys with far deadlines: without any deadline coming near, the wheel is made
// anew in steps; meanwhile deadlines are set, moved both ways and removed.
func TestWheelRebuild(t *testing.T) { random.Repeat(t, testWheelRebuild) }

func testWheelRebuild(t *testing.T) {
	m := newModel(t, random.Seed(t), 2)
	db := m.ks.dbs[1]
	far := epoch + 1<<35
	const n = 40_000
	name := func(i int) string { return "k" + strconv.Itoa(i) }
	set := func(i int, when int64) {
		db.SetString([]byte(name(i)), []byte("v"), when)
		m.want[1][name(i)] = entry{"v", when}
	}
	for i := range n {
		set(i, far+int64(i))
	}
	full := db.WheelLen()
	for i := range n {
		if i%8 != 0 {
			db.Delete([]byte(name(i)))
			delete(m.want[1], name(i))
		}
	}
	if when, ok := m.ks.NextExpiry(); !ok || when > m.ks.Now {
		t.Fatalf("with %d entries for %d keys NextExpiry is %d ms away", db.WheelLen(), db.Expires(), when-m.ks.Now)
	}
	steps := 0
	for ; ; steps++ {
		if !m.ks.ActiveExpire(func() int64 { return m.ks.Now }, func() bool { return true }) {
			break
		}
		if db.keys.rebuild == nil {
			t.Fatal("ActiveExpire has more to do, but does not rebuild the wheel")
		}
		for range 20 {
			i := m.rnd.IntN(n)
			switch m.rnd.IntN(5) {
			case 0:
				set(i, far-m.rnd.Int64N(1<<20))
			case 1:
				set(i, far+m.rnd.Int64N(1<<36))
			case 2:
				set(i, m.ks.Now+m.rnd.Int64N(5))
			case 3:
				set(i, record.NoExpiry)
			case 4:
				if r := m.lookup(db, name(i)); r != nil {
					to := name(n + i)
					m.lookup(db, to)
					m.want[1][to] = m.want[1][name(i)]
					delete(m.want[1], name(i))
					db.Move(r, db, []byte(to))
				}
			}
		}
		m.ks.Now++
		m.check()
	}
	if steps < 5 {
		t.Errorf("the wheel was rebuilt in %d steps: too few for a test", steps)
	}
	if db.WheelLen() > full/4 || db.WheelLen() < db.Expires() {
		t.Errorf("the wheel has %d entries for %d keys, and had %d", db.WheelLen(), db.Expires(), full)
	}
	m.runOut()
}

// TestExpireMany makes very many keys expire at once and counts how many are handled before the owner is asked whether
// its time is over.
func TestExpireMany(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 100_000
	}
	ks := New(1, 1)
	ks.Now = epoch
	db := ks.dbs[0]
	key := make([]byte, 0, 16)
	for i := range n {
		key = strconv.AppendInt(key[:0], int64(i), 10)
		db.SetString(key, []byte("v"), epoch+1000)
	}
	run, longest, steps := 0, 0, 0
	ks.OnExpire = func(*DB, *record.Record) { run++; longest = max(longest, run) }
	expire := func() bool {
		batches := 0
		return ks.ActiveExpire(func() int64 { return ks.Now }, func() bool { run = 0; batches++; return batches == 10 })
	}
	ks.Now = epoch + 1000
	for expire() {
	}
	if ks.ExpiredKeys != 0 {
		t.Fatalf("%d keys expired in the last millisecond that they had", ks.ExpiredKeys)
	}
	ks.Now++
	for more := true; more; steps++ {
		more = expire()
	}
	if int(ks.ExpiredKeys) != n || db.Len() != 0 || db.Expires() != 0 {
		t.Fatalf("%d of %d keys expired; %d are left", ks.ExpiredKeys, n, db.Len())
	}
	// Two keys with one hash share an entry's turn, hence the slack.
	if longest > advanceBatch+2 {
		t.Errorf("%d keys were deleted in one go, want at most %d", longest, advanceBatch)
	}
	if atLeast := n / advanceBatch / 10; steps < atLeast {
		t.Errorf("%d steps of 10 batches, want at least %d", steps, atLeast)
	}
	if lag := ks.ExpiryLag(); int(lag.Count) != n || lag.Max != 1 || lag.Percentile(50) != 1 {
		t.Errorf("lag: %d keys, at most %d ms, median %d ms; want %d, 1, 1", lag.Count, lag.Max, lag.Percentile(50), n)
	}
	if empty := New(1, 1).dbs[0].Bytes(); db.Bytes() != empty {
		t.Errorf("the empty database holds %d bytes, a new one %d", db.Bytes(), empty)
	}
}

// TestExpireTurns checks that a database with much to expire does not keep the others waiting.
func TestExpireTurns(t *testing.T) {
	ks := New(3, 1)
	ks.Now = epoch
	for i := range 10_000 {
		ks.dbs[0].SetString(strconv.AppendInt(nil, int64(i), 10), []byte("v"), epoch+1)
	}
	ks.dbs[2].SetString([]byte("k"), []byte("v"), epoch+1)
	ks.Now = epoch + 300 // a level of the wheel further, so that entries are sorted first
	for range 2 {
		ks.ActiveExpire(func() int64 { return ks.Now }, func() bool { return true })
	}
	if ks.dbs[2].Len() != 0 || ks.dbs[0].Len() == 0 {
		t.Errorf("after two batches: %d keys in the database with one, %d in the one with 10,000", ks.dbs[2].Len(), ks.dbs[0].Len())
	}
}

// TestKeepExpired is a replica: expired keys are missing, and yet there until the master says so.
func TestKeepExpired(t *testing.T) {
	ks := New(1, 1)
	ks.Now = epoch
	db := ks.dbs[0]
	ks.OnExpire = func(_ *DB, r *record.Record) { t.Errorf("%q was deleted", r.Key()) }
	names := []string{"set", "write", "delete", "stay"}
	for _, k := range names {
		db.SetString([]byte(k), []byte("old"), epoch+1)
	}
	ks.KeepExpired = true
	ks.Now = epoch + 10
	for _, k := range names {
		if db.Lookup([]byte(k)) != nil || db.Peek([]byte(k)) != nil {
			t.Errorf("%q is found", k)
		}
		if db.PeekStale([]byte(k)) == nil {
			t.Errorf("%q is gone", k)
		}
	}
	if _, ok := ks.NextExpiry(); ok || ks.ActiveExpire(func() int64 { return ks.Now }, func() bool { return false }) {
		t.Error("there is something to expire")
	}
	if db.RandomKey() == nil {
		t.Error("RandomKey found nothing")
	}
	db.SetString([]byte("set"), []byte("new"), record.NoExpiry)
	db.Write([]byte("write"), nil, 1, []byte("new"))
	if !db.Delete([]byte("delete")) {
		t.Error("Delete did not find the key")
	}
	if db.Len() != 3 || db.Expires() != 1 {
		t.Errorf("Len %d, Expires %d; want 3, 1", db.Len(), db.Expires())
	}
	if r := db.Lookup([]byte("set")); r == nil || string(r.String(nil)) != "new" {
		t.Error("SET did not replace the expired key")
	}
	if r := db.Lookup([]byte("write")); r == nil || string(r.String(nil)) != "\x00new" {
		t.Error("APPEND did not replace the expired key")
	}
	ks.KeepExpired = false
	ks.OnExpire = nil
	ks.ActiveExpire(func() int64 { return ks.Now }, func() bool { return false })
	if db.Len() != 2 || db.Expires() != 0 || ks.ExpiredKeys != 1 {
		t.Errorf("as a master: Len %d, Expires %d, expired %d; want 2, 0, 1", db.Len(), db.Expires(), ks.ExpiredKeys)
	}
}

// TestSampling draws random keys: all have their chance, expired ones are not returned.
func TestSampling(t *testing.T) {
	ks := New(1, 7)
	ks.Now = epoch
	db := ks.dbs[0]
	if db.RandomKey() != nil || db.RandomVolatile() != nil || db.AverageTTL() != 0 {
		t.Error("an empty database has random keys")
	}
	for i := range 100 {
		expiry := record.NoExpiry
		switch {
		case i%4 == 0:
			expiry = epoch + 1000
		case i%4 == 1:
			expiry = epoch + 1
		}
		db.SetString(fmt.Appendf(nil, "%d:%d", i%4, i), []byte("v"), expiry)
	}
	for range 1000 {
		if r := db.RandomVolatile(); r == nil || r.Expiry() == record.NoExpiry {
			t.Fatal("RandomVolatile returned a key without a deadline")
		}
	}
	if ttl := db.AverageTTL(); ttl < 100 || ttl > 900 {
		t.Errorf("AverageTTL is %d, the mean is 500", ttl)
	}
	ks.Now = epoch + 2
	seen := map[string]int{}
	for range 20_000 {
		seen[string(db.RandomKey().Key())]++
	}
	if len(seen) != 75 || db.Len() != 75 {
		t.Errorf("%d different keys, and %d are left; want 75", len(seen), db.Len())
	}
	for k, n := range seen {
		if n < 130 || n > 450 { // 267 expected, standard deviation 16
			t.Errorf("%q was drawn %d times of 20,000, want about 267", k, n)
		}
	}
	ks.Now = epoch + 2000
	db.Flush(false)
	db.SetString([]byte("k"), []byte("v"), epoch)
	if db.RandomKey() != nil || db.Len() != 0 {
		t.Error("the only key has expired, but is drawn")
	}
}

// TestScan finds every key that stays while others are added and deleted.
func TestScan(t *testing.T) {
	ks := New(1, 7)
	ks.Now = epoch
	db := ks.dbs[0]
	for i := range 2000 {
		db.SetString(fmt.Appendf(nil, "stay%d", i), []byte("v"), record.NoExpiry)
	}
	seen := map[string]bool{}
	for cursor, round := uint64(0), 0; ; round++ {
		cursor = db.Scan(cursor, 10, func(r *record.Record) { seen[string(r.Key())] = true })
		if cursor == 0 {
			break
		}
		for i := range 100 {
			if k := fmt.Appendf(nil, "go%d", i); round%20 < 10 {
				db.SetString(fmt.Appendf(k, ":%d", round), k, record.NoExpiry)
			} else {
				db.Delete(fmt.Appendf(k, ":%d", round-10))
			}
		}
	}
	for i := range 2000 {
		if !seen[fmt.Sprintf("stay%d", i)] {
			t.Fatalf("key %d was not returned", i)
		}
	}
}

// TestHotPaths holds the promise that the commonest operations allocate nothing.
func TestHotPaths(t *testing.T) {
	ks := New(1, 1)
	ks.Now = epoch
	db := ks.dbs[0]
	key, value, long := []byte("key"), []byte("value"), bytes.Repeat([]byte("x"), 2000)
	db.SetString(key, value, epoch+1_000_000)
	db.SetString([]byte("int"), []byte("1"), record.NoExpiry)
	db.SetString([]byte("long"), long, record.NoExpiry)
	db.Write([]byte("long"), db.Lookup([]byte("long")), 2000, []byte("x")) // from here on it has room
	intKey, longKey, overKey := []byte("int"), []byte("long"), []byte("over")
	db.SetString(overKey, long, record.NoExpiry)
	when := epoch + 1_000_000
	other, size := []byte("other"), 0
	for _, c := range []struct {
		name string
		fn   func()
	}{
		{"Lookup", func() { db.Lookup(key) }},
		{"miss", func() { db.Lookup(longKey[:2]) }},
		{"SetString", func() { db.SetString(key, value, KeepTTL) }},
		{"SetString of a long value", func() { db.SetString(overKey, long, record.NoExpiry) }},
		{"SetInt", func() { db.SetInt(db.Lookup(intKey), 7) }},
		{"SetExpiry later", func() { when++; db.SetExpiry(db.Lookup(key), when) }},
		{"Write in place", func() { db.Write(longKey, db.Lookup(longKey), 10, value) }},
		{"Delete of nothing", func() { db.Delete(longKey[:2]) }},
		{"NextExpiry", func() { ks.NextExpiry() }},
		{"a new key for another", func() {
			db.Delete(key)
			ks.FreeRemoved()
			db.SetString(other, value, record.NoExpiry)
			key, other = other, key
		}},
		{"SetString of another size", func() { size = (size + 100) % 500; db.SetString(key, long[:size], KeepTTL); ks.FreeRemoved() }},
	} {
		if n := testing.AllocsPerRun(1000, c.fn); n != 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

// checkLive compares a walk of the live data, made twice while a snapshot is held, with what is wanted.
func (m *model) checkLive() {
	live := m.ks.Live()
	for range 2 {
		n := 0
		live.Walk(func(db int, r *record.Record) bool {
			n++
			if _, ok := m.want[db][string(r.Key())]; !ok {
				m.fail("the live data of database %d have key %q", db, r.Key())
			}
			return true
		})
		want := 0
		for _, keys := range m.want {
			want += len(keys)
		}
		if n != want || live.Len() != want {
			m.fail("a walk of %d live keys of %d, want %d", n, live.Len(), want)
		}
	}
	live.Release()
	if _, err := m.ks.Snapshot(); err != ErrSnapshot {
		m.fail("releasing the live data has released the snapshot")
	}
}

// A string that is appended to is copied rarely, however long it is.
func TestAppendCopiesRarely(t *testing.T) {
	db := New(1, 1).dbs[0]
	key, part := []byte("log"), make([]byte, 1<<20)
	copies, n := 0, 0
	for before := (*byte)(nil); n < 64<<20; {
		r := db.Lookup(key)
		n = db.Write(key, r, n, part)
		if at := &db.Lookup(key).String(nil)[0]; at != before {
			copies, before = copies+1, at
		}
	}
	if copies > 26 {
		t.Errorf("%d copies for 64 parts of 1 MiB", copies)
	}
}
