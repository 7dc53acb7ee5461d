package keyspace

import (
	"math"
	"testing"

	"ferrous/datatypes/record"
)

func TestLFUCounter(t *testing.T) {
	const minute = 60_000
	for _, c := range []struct {
		name    string
		decay   int
		minutes int64 // since the key's last access
		counter uint8
		want    uint8
	}{
		{"fresh", 1, 0, 100, 100},
		{"one period", 1, 1, 100, 99},
		{"not a whole period", 10, 9, 100, 100},
		{"some periods", 10, 25, 100, 98},
		{"down to nothing", 1, 1000, 100, 0},
		{"no decay", 0, 1000, 100, 100},
		{"the minutes wrap after 16 bits", 1, 1 << 16, 100, 100},
		{"and are right across the wrap", 1, 50, 100, 50},
	} {
		// The last case crosses the end of the 16 bits.
		at := int64(1<<16-20) * minute
		l := &LFU{LogFactor: 10, DecayTime: c.decay, NowMs: at}
		clock := l.Clock(c.counter)
		l.NowMs += c.minutes * minute
		if got := l.Counter(clock); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLFUAccess(t *testing.T) {
	l := &LFU{LogFactor: 10, DecayTime: 1, NowMs: epoch}
	if got := l.Counter(l.initial()); got != 5 {
		t.Errorf("a new key has the counter %d, want 5", got)
	}
	for counter := range uint8(255) {
		if got := l.Counter(l.access(l.Clock(counter), 0)); got != counter+1 {
			t.Errorf("with the best luck %d becomes %d", counter, got)
		}
		want := counter
		if counter <= lfuInitial {
			want++ // always counts
		}
		if got := l.Counter(l.access(l.Clock(counter), math.MaxUint64)); got != want {
			t.Errorf("with the worst luck %d becomes %d, want %d", counter, got, want)
		}
	}
	if got := l.Counter(l.access(l.Clock(255), 0)); got != 255 {
		t.Errorf("255 becomes %d", got)
	}
	// One chance in base*factor+1: (15-5)*10+1 = 101.
	ks := New(1, 42)
	hits, clock := 0, l.Clock(15)
	for range 101_000 {
		if l.access(clock, ks.Random()) != clock {
			hits++
		}
	}
	if hits < 850 || hits > 1150 {
		t.Errorf("the counter 15 grew in %d of 101,000 accesses, want about 1,000", hits)
	}
	// An access decays first, and remembers when.
	old := l.Clock(100)
	l.NowMs += 30 * 60_000
	if got := l.access(old, math.MaxUint64); got != l.Clock(70) {
		t.Errorf("after half an hour an access makes %d of 100, want 70", l.Counter(got))
	}
}

// TestLFURank: of two keys the one that should go first has the larger rank.
func TestLFURank(t *testing.T) {
	const second = 1000
	for _, c := range []struct {
		name      string
		first     uint8 // counter of the key that goes
		firstAge  int64 // since its last access, in ms
		second    uint8 // and of the one that stays
		secondAge int64
		decay     int
	}{
		{"the lower counter", 6, 0, 7, 50 * second, 1},
		{"the lower counter after decay", 8, 180 * second, 6, 0, 1},
		{"of the same counter after decay the one that has not decayed", 5, 0, 7, 120 * second, 1},
		{"of the same counter the one idle for longer", 5, 2 * second, 5, 1 * second, 1},
		{"by half a second", 5, 500, 5, 0, 1},
		{"without decay, by days", 5, 2 * 86400 * second, 5, 86400 * second, 0},
	} {
		const now = epoch / 60000 * 60000
		l := &LFU{LogFactor: 10, DecayTime: c.decay}
		at := func(counter uint8, age int64) uint32 {
			l.NowMs = now - age
			return l.Clock(counter)
		}
		goes, stays := at(c.first, c.firstAge), at(c.second, c.secondAge)
		l.NowMs = now
		if l.rank(goes) <= l.rank(stays) {
			t.Errorf("%s: rank %x, and %x of the one that stays", c.name, l.rank(goes), l.rank(stays))
		}
	}
}

// TestLFUKeys follows the counter of a key through the keyspace's operations.
func TestLFUKeys(t *testing.T) {
	ks := New(1, 1)
	ks.Now = epoch
	ks.LFU = &LFU{LogFactor: 0, DecayTime: 0, NowMs: epoch} // each access counts
	db := ks.dbs[0]
	key := []byte("k")
	counter := func() uint8 { return ks.LFU.Counter(db.PeekStale(key).Clock()) }
	db.SetString(key, []byte("v"), record.NoExpiry)
	if counter() != 5 {
		t.Errorf("a new key has %d", counter())
	}
	db.Lookup(key)
	db.Lookup(key)
	db.Peek(key)
	if counter() != 7 {
		t.Errorf("after two accesses it has %d, want 7", counter())
	}
	db.SetString(key, []byte("w"), record.NoExpiry)        // in place
	db.SetString(key, make([]byte, 1000), record.NoExpiry) // another record
	if counter() != 7 {
		t.Errorf("after being overwritten it has %d, want 7", counter())
	}
	s, err := ks.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	db.Lookup(key)
	if counter() != 7 {
		t.Errorf("it was touched while a snapshot reads it: %d", counter())
	}
	s.Walk(func(int, *record.Record) bool { return true })
	db.Lookup(key)
	if counter() != 8 {
		t.Errorf("the walk is over, but accesses do not count: %d", counter())
	}
	s.Release()
	if c := db.Move(db.Peek(key), db, []byte("k2")); ks.LFU.Counter(c.Clock()) != 5 {
		t.Errorf("a renamed key has %d, want 5", ks.LFU.Counter(c.Clock()))
	}
}

func TestLRU(t *testing.T) {
	ks := New(1, 1)
	ks.Now = epoch
	ks.Clock = LRUClock(epoch)
	db := ks.dbs[0]
	key := []byte("k")
	idle := func() int64 { return ks.Idle(db.PeekStale(key).Clock()) }
	db.SetString(key, []byte("v"), record.NoExpiry)
	ks.Clock += 10 * ClocksPerSecond
	db.Peek(key)
	if idle() != 10_000 {
		t.Errorf("idle for %d ms, want 10,000", idle())
	}
	db.Lookup(key)
	if idle() != 0 {
		t.Errorf("idle for %d ms after an access", idle())
	}
	ks.Clock += 10 * ClocksPerSecond
	db.SetString(key, []byte("w"), record.NoExpiry)
	if idle() != 0 {
		t.Errorf("idle for %d ms after being overwritten", idle())
	}
	// The clock has 31 bits.
	ks.Clock = record.ClockMask
	db.Lookup(key)
	ks.Clock = 5*ClocksPerSecond - 1
	if idle() != 5000 {
		t.Errorf("idle for %d ms across the end of the clock, want 5,000", idle())
	}
	if LRUClock((1<<28+7)*1000+999) != 7*ClocksPerSecond+7 {
		t.Error("LRUClock does not count eighths of seconds in 31 bits")
	}
}

func TestLag(t *testing.T) {
	var l Lag
	if l.Percentile(99) != 0 {
		t.Error("there is a lag before anything expired")
	}
	for range 990 {
		l.add(0)
	}
	for range 9 {
		l.add(3)
	}
	l.add(100)
	l.add(-5) // a clock set back
	for _, c := range []struct {
		p    float64
		want int64
	}{{50, 0}, {98, 0}, {99.5, 3}, {99.95, 100}, {100, 100}} {
		if got := l.Percentile(c.p); got != c.want {
			t.Errorf("p%v is %d, want %d", c.p, got, c.want)
		}
	}
	if l.Count != 1001 || l.Max != 100 {
		t.Errorf("count %d, max %d", l.Count, l.Max)
	}
}
