package clock

import (
	"math/rand/v2"
	"testing"
	"time"

	"ferrous/tests/random"
)

// machine is a computer whose time goes on by a little with each reading, and whose counter can be anything.
type machine struct {
	rnd   *rand.Rand
	now   int64                  // ns
	step  int64                  // most that a reading takes
	count func(now int64) uint64 // the counter at a time
	reads int                    // of Go's clock
	c     Clock
}

func newMachine(t *testing.T, count func(now int64) uint64) *machine {
	m := &machine{rnd: random.New(t), step: 40, count: count}
	m.c = Clock{
		exact:   func() int64 { m.reads++; m.pass(); return m.now },
		counter: func() uint64 { m.pass(); return m.count(m.now) },
	}
	return m
}

func (m *machine) pass() { m.now += m.rnd.Int64N(m.step) }

// run reads the clock n times, with pauses up to pause, and returns the largest error.
func (m *machine) run(t *testing.T, n int, pause int64) (worst int64) {
	last := m.c.last
	for i := range n {
		m.now += m.rnd.Int64N(pause)
		from := m.now
		read := m.c.Quick
		if m.rnd.IntN(20) == 0 {
			read = m.c.Now
		}
		got := read()
		if got < last {
			t.Fatalf("reading %d: %d after %d", i, got, last)
		}
		last = got
		worst = max(worst, from-got, got-m.now)
	}
	return worst
}

func gigahertz(f float64) func(int64) uint64 {
	return func(now int64) uint64 { return 1<<63 + uint64(float64(now)*f) }
}

func TestQuickIsTheTime(t *testing.T) {
	for _, f := range []float64{1.1, 2.45, 5} {
		m := newMachine(t, gigahertz(f))
		if worst := m.run(t, 1_000_000, 2000); worst > 1500 {
			t.Errorf("%v GHz: wrong by %d ns", f, worst)
		}
		if m.c.most == 0 {
			t.Fatalf("%v GHz: the counter is not used", f)
		}
		m.reads = 0
		if m.run(t, 1000, 20); m.reads > 100 {
			t.Errorf("%v GHz: %d of 1000 readings asked Go's clock", f, m.reads)
		}
		// Hours of pauses: the rate is measured again and again.
		if worst := m.run(t, 10_000, int64(5*time.Second)); worst > 1500 || m.c.most == 0 {
			t.Errorf("%v GHz: wrong by %d ns after hours, most %d", f, worst, m.c.most)
		}
	}
}

// A counter that is no clock is wrong for a millisecond at a time, and is not used when that is seen.
func TestCounterNotToBeTrusted(t *testing.T) {
	slower := func(at int64) func(int64) uint64 {
		return func(now int64) uint64 { return 1<<40 + uint64(3*min(now, at)+max(now-at, 0)) }
	}
	for name, tt := range map[string]struct {
		count func(int64) uint64
		kept  bool // it is used at first and to the end: what it says is wrong within an anchor's time only
	}{
		"stands still":        {func(int64) uint64 { return 7 }, false},
		"zero":                {func(int64) uint64 { return 0 }, false},
		"two ns a tick":       {func(now int64) uint64 { return uint64(now / 2) }, false},
		"a third from 1 s on": {slower(1e9), false},
		"backwards":           {func(now int64) uint64 { return 1<<50 - uint64(3*now) }, false},
		"other processors'":   {func(now int64) uint64 { return 1<<50 + uint64(3*now) + uint64(now/50_000_000%2)*1000 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, tt.count)
			if worst := m.run(t, 3_000_000, 2000); worst > 2*quickest {
				t.Errorf("wrong by %d ns", worst)
			}
			if used := m.c.most != 0; used != tt.kept {
				t.Errorf("used: %v", used)
			}
		})
	}
}

// A goroutine that loses its processor between the two readings of an anchor leaves no wrong anchor.
func TestAnchorInterrupted(t *testing.T) {
	m := newMachine(t, gigahertz(3))
	m.run(t, 100_000, 2000)
	exact := m.c.exact
	m.c.exact = func() int64 {
		if m.rnd.IntN(2) == 0 {
			now := exact()
			m.now += 5_000_000
			return now
		}
		m.now += 5_000_000
		return exact()
	}
	worst := int64(0)
	for range 1000 {
		m.now += 2_000_000
		m.c.Quick()
		from := m.now
		got := m.c.Quick()
		worst = max(worst, from-got-5_000_000, got-m.now)
	}
	if worst > 1500 {
		t.Errorf("wrong by %d ns", worst)
	}
}

// The counter of this machine, if it is used.
func TestRealCounter(t *testing.T) {
	base := time.Now()
	c := New(base)
	if !counts() {
		t.Skip("the kernel's clock is not the counter")
	}
	for time.Since(base) < 3*time.Duration(firstRun) || c.most == 0 {
		if c.measured == never || time.Since(base) > time.Minute {
			t.Skip("the counter is not used")
		}
		c.Quick()
	}
	for i := range 200_000 {
		from := int64(time.Since(base))
		got := c.Quick()
		to := int64(time.Since(base))
		if got < from-20_000 || got > to+20_000 {
			t.Fatalf("reading %d: %d, between %d and %d", i, got, from, to)
		}
	}
}

func BenchmarkQuick(b *testing.B) {
	c := New(time.Now())
	for b.Loop() {
		c.Quick()
	}
}

func BenchmarkNow(b *testing.B) {
	c := New(time.Now())
	for b.Loop() {
		c.Now()
	}
}
