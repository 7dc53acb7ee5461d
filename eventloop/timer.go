package eventloop

// Timers of the loop: a heap of four children a node, ordered by deadline. The loop sleeps in evio's poll, so the kernel gets
// the earliest deadline (watcher.alarm) and wakes the loop. The kernel's deadline is set only if a new one is earlier; a
// stopped timer costs a needless wake-up at most.

import "time"

// Timer runs a function on the loop at a given time. Use Loop.AfterFunc.
type Timer struct {
	heap *timerHeap
	fn   func()
	when int64 // nanoseconds since timerHeap.base
	pos  int   // position in the heap, -1 when not waiting
}

type timerHeap struct {
	loop *Loop
	base time.Time
	heap []*Timer
	set  int64 // the deadline that the watcher has, 0 for none
}

// AfterFunc runs fn on the loop after d, once, with a precision of a millisecond. It is
// called on the loop or before Serve.
func (l *Loop) AfterFunc(d time.Duration, fn func()) *Timer {
	t := &Timer{heap: &l.timers, fn: fn, pos: -1}
	t.Reset(d)
	return t
}

// Stop prevents the function from running. It returns false when the timer was
// not waiting: it has run, or was stopped.
func (t *Timer) Stop() bool {
	if t.pos < 0 {
		return false
	}
	t.heap.remove(t)
	return true
}

// Reset makes the timer run after d from now, whether it was waiting or not. It
// returns what Stop would have returned, and allocates nothing.
func (t *Timer) Reset(d time.Duration) bool {
	h := t.heap
	when := h.now() + int64(max(d, 0))
	if when < 0 {
		when = 1<<63 - 1 // the sum overflows
	}
	was := t.pos >= 0
	if was {
		up := when < t.when
		t.when = when
		if up {
			h.up(t.pos)
		} else {
			h.down(t.pos)
		}
	} else {
		t.when = when
		t.pos = len(h.heap)
		h.heap = append(h.heap, t)
		h.up(t.pos)
	}
	h.arm()
	return was
}

// Waiting reports whether the timer will run.
func (t *Timer) Waiting() bool { return t.pos >= 0 }

func (h *timerHeap) now() int64 {
	if h.base.IsZero() {
		// One second before now, so that no time is 0.
		h.base = time.Now().Add(-time.Second)
	}
	return int64(time.Since(h.base))
}

// arm passes the earliest deadline to the watcher, unless it has an earlier one.
func (h *timerHeap) arm() {
	if len(h.heap) == 0 {
		return
	}
	when := h.heap[0].when
	if h.set != 0 && h.set <= when {
		return
	}
	h.set = when
	h.loop.watch.alarm(time.Duration(when - h.now()))
}

// due reports whether a timer is to run now.
func (h *timerHeap) due() bool { return len(h.heap) > 0 && h.heap[0].when <= h.now() }

// run runs due timers. A timer that their functions set to run at once waits for the next call.
func (h *timerHeap) run() {
	h.set = 0
	if len(h.heap) == 0 {
		return
	}
	now := h.now()
	for len(h.heap) > 0 && h.heap[0].when <= now {
		t := h.heap[0]
		h.remove(t)
		t.fn()
	}
	h.arm()
}

func (h *timerHeap) remove(t *Timer) {
	i, last := t.pos, len(h.heap)-1
	t.pos = -1
	m := h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	if i == last {
		return
	}
	h.heap[i] = m
	m.pos = i
	h.up(i)
	h.down(m.pos)
}

func (h *timerHeap) up(i int) {
	t := h.heap[i]
	for i > 0 {
		p := (i - 1) / 4
		if h.heap[p].when <= t.when {
			break
		}
		h.heap[i] = h.heap[p]
		h.heap[i].pos = i
		i = p
	}
	h.heap[i] = t
	t.pos = i
}

func (h *timerHeap) down(i int) {
	t := h.heap[i]
	for {
		c := 4*i + 1
		if c >= len(h.heap) {
			break
		}
		for k, end := c+1, min(c+4, len(h.heap)); k < end; k++ {
			if h.heap[k].when < h.heap[c].when {
				c = k
			}
		}
		if h.heap[c].when >= t.when {
			break
		}
		h.heap[i] = h.heap[c]
		h.heap[i].pos = i
		i = c
	}
	h.heap[i] = t
	t.pos = i
}
