// Package clock reads the monotonic time for who reads it with every command.
//
// Go asks the kernel's page of data for the time, on another stack: 34 ns here. A PING of a long pipeline takes 140 ns with
// all, and needs one reading to know how long it took. The processor's own counter (TSC) is read in 10 ns, but says ticks, and
// nothing of when they began.
//
// So a Clock has an anchor: a reading of both, at the same moment. Now makes one, Quick adds the ticks since then, for one
// millisecond; after that it is Now. An error of the counter's rate therefore never adds up: a rate that is wrong by a
// thousandth is wrong by a microsecond, once. The rate is measured against Go's clock, between two anchors that are far apart,
// and measured again for as long as the clock runs. A rate that changes by more than the error of measuring says that the counter
// is not to be trusted; from then on Quick is Now.
//
// The counter is used where Linux has found it good enough for its own clock: where its clocksource is tsc. Elsewhere, and on
// other processors, Quick is Now.
package clock

import (
	"math"
	"math/bits"
	"time"
)

// A Clock belongs to one goroutine. New makes one.
type Clock struct {
	exact   func() int64  // Go's clock, ns since the base
	counter func() uint64 // the processor's; tests have others

	last  int64  // what was returned last; no reading is less
	nanos int64  // the anchor: Go's clock,
	ticks uint64 // and the counter then
	rate  uint64 // ns a tick, times 2^32; 0: not known
	most  uint64 // ticks in quickest; 0: Quick is Now

	// The measurement that runs began at this anchor.
	fromNanos int64
	fromTicks uint64
	measured  int64 // ns that the measurement took that gave rate; 0: none yet
}

const (
	quickest = int64(time.Millisecond)      // how long an anchor holds
	apart    = 2000                         // ticks between the readings on both sides of an anchor's; more, and somebody else ran
	firstRun = int64(20 * time.Millisecond) // how long the first measurement of the rate takes,
	longRun  = int64(100 * time.Second)     // and the longest one
	trusted  = 1 << 9                       // a rate may differ by 1/512 from that of a shorter measurement
	fastest  = uint64(1) << 32              // a tick of a nanosecond and more is no processor's cycle
	never    = int64(math.MaxInt64)         // measured, of a counter that is not trusted
)

// New returns a clock that counts from base, which has a monotonic reading.
func New(base time.Time) Clock {
	c := Clock{exact: func() int64 { return int64(time.Since(base)) }, counter: counter, measured: never}
	if counts() {
		c.measured = 0
	}
	return c
}

// Now returns the monotonic time since the base in ns, and anchors the clock. It is never less than a reading before.
func (c *Clock) Now() int64 {
	if c.measured == never {
		c.last = max(c.last, c.exact())
		return c.last
	}
	before := c.counter()
	now := c.exact()
	if after := c.counter(); after-before > apart {
		c.most = 0 // the next reading anchors
	} else {
		c.nanos, c.ticks = now, after
		c.measure()
	}
	c.last = max(c.last, now)
	return c.last
}

// Quick is Now at a third of the cost, if the anchor is recent.
func (c *Clock) Quick() int64 {
	if c.most == 0 {
		return c.Now()
	}
	ticks := c.counter() - c.ticks
	if ticks >= c.most {
		return c.Now()
	}
	c.last = max(c.last, c.nanos+int64(ticks*c.rate>>32))
	return c.last
}

// measure takes the new anchor into the measurement of the rate.
func (c *Clock) measure() {
	if c.fromTicks == 0 {
		c.fromNanos, c.fromTicks = c.nanos, c.ticks
		return
	}
	took := c.nanos - c.fromNanos
	if took >= firstRun && took >= 2*c.measured {
		c.finish(took)
	}
	if c.rate != 0 {
		c.most = uint64(quickest) << 32 / c.rate
	}
}

// finish ends a measurement of took ns, and begins the next one if it was a long one.
func (c *Clock) finish(took int64) {
	ticks := c.ticks - c.fromTicks
	high, low := bits.Mul64(uint64(took), 1<<32)
	if high >= ticks {
		c.distrust()
		return
	}
	rate, _ := bits.Div64(high, low, ticks)
	if rate >= fastest || c.rate != 0 && max(rate, c.rate)-min(rate, c.rate) > c.rate/trusted {
		c.distrust()
		return
	}
	c.rate, c.measured = rate, took
	if took >= longRun {
		c.fromNanos, c.fromTicks, c.measured = c.nanos, c.ticks, longRun/2
	}
}

func (c *Clock) distrust() { c.rate, c.most, c.measured = 0, 0, never }
