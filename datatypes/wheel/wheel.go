// Package wheel is the hierarchical timing wheel that finds expired keys and hash fields on time.
//
// # What is stored
//
// An entry is a 64-bit hash and a deadline in Unix milliseconds; the wheel knows nothing of keys. When an entry fires, the
// wheel's owner looks the key up by the hash and checks its present deadline. So entries may be stale (the key was deleted,
// or has a later deadline by now and the owner inserts it again) and may occur twice, and deleting a key does not change the
// wheel.
//
// # Levels and slots
//
// A deadline is read as eight digits of base 256. The wheel's time, now, is read the same way. An entry lives at the level
// of the highest digit in which its deadline differs from now, in the slot named by that digit: level 0 has 256 slots
// of 1 ms, level 1 of 256 ms (65 s in all), level 2 of 65 s (4.6 h), level 3 of 4.6 h (49 days), level 4 of 49 days (34
// years) and so on up to level 7, which holds every int64. Two things follow. All entries of a lower level are due before all
// entries of a higher one, and within a level slots are due in the order of their numbers; so the first occupied slot of the
// lowest occupied level is due next. A bitmap with one bit a slot finds it in a few instructions, however long the gap. And a
// slot of level n fixes all digits from n up: its entries store only the lower n bytes of their deadline (package file
// store.go), 8+n bytes an entry.
//
// When time reaches a slot of level 0, its entries fire. When it reaches a slot of a higher level, its entries cascade:
// each is put into its slot relative to the new now, always on a lower level. An entry moves at most once a level.
//
// # Work in pieces
//
// Entries are popped off a slot one at a time, so work can stop after any of them. The structure itself shows unfinished
// work: an occupied slot whose number is now's digit at its level is a slot in progress. The deadlines of its entries are
// never before now.
//
// Deadlines that are not after now cannot be in a slot. They wait, with the whole deadline, in the list behind, which the
// next Advance takes over as its list late and fires first.
//
// After a jump of the clock forward, Advance visits occupied slots only. When the clock is set back, to a time that differs
// from now in digit n, the entries of level n and above are in their right slots already; entries below n share digit n with
// the old now and move to that slot.
//
// A new wheel has no memory; levels are allocated when first used. The only pointers are those to levels and to slabs of 4
// KiB, so with ten million entries the garbage collector follows 25,000 pointers. A Wheel belongs to one goroutine.
package wheel

import (
	"math/bits"
	"unsafe"

	"ferrous/datatypes/mem"
)

const (
	levels = 8
	slots  = 256

	// keepEmpty is the number of bytes that a wheel which has become empty may keep for its next entries.
	keepEmpty = 64 << 10
)

// level is 256 slots and a bitmap of the occupied ones.
type level struct {
	occupied [slots / 64]uint64
	slots    [slots]stack
}

const levelSize = int(unsafe.Sizeof(level{}))

// first returns the lowest occupied slot, or -1.
func (v *level) first() int {
	for i, word := range v.occupied {
		if word != 0 {
			return i<<6 | bits.TrailingZeros64(word)
		}
	}
	return -1
}

func (v *level) has(i int) bool { return v.occupied[i>>6]>>(i&63)&1 != 0 }
func (v *level) set(i int)      { v.occupied[i>>6] |= 1 << (i & 63) }
func (v *level) unset(i int)    { v.occupied[i>>6] &^= 1 << (i & 63) }

// Wheel is a set of entries ordered by deadline. The zero value is an empty wheel at time 0; see New.
type Wheel struct {
	now    int64 // the time that Advance has reached
	n      int   // entries
	levels [levels]*level
	store  store
	heads  int64 // bytes of levels

	late   stack // entries to fire first in the Advance under way
	behind stack // entries inserted since with a deadline not after now; both have width 8
}

// New returns an empty wheel whose time is nowMs, in Unix milliseconds. A wheel that starts at 0 works as well, but its first
// call of Advance cascades all entries.
func New(nowMs int64) *Wheel { return &Wheel{now: max(nowMs, 0)} }

// Len returns the number of entries, stale ones included.
func (w *Wheel) Len() int { return w.n }

// Bytes returns the heap bytes held, as the allocator rounds them, besides the Wheel itself.
func (w *Wheel) Bytes() int64 {
	return w.store.bytes + w.heads
}

// Clear drops all entries and all memory, and keeps the wheel's time. It may be called from within fire.
func (w *Wheel) Clear() {
	for _, v := range w.levels {
		if v != nil {
			*v = level{} // an Advance that is under way sees its slot empty
		}
	}
	*w = Wheel{now: w.now}
}

// Insert adds an entry that fires once time reaches when (Unix ms). A deadline that has passed already fires in the
// next call of Advance, also when Insert is called from within fire.
func (w *Wheel) Insert(hash uint64, when int64) {
	w.n++
	if when <= w.now {
		if w.behind.room < 8+lateWidth {
			w.store.grow(&w.behind, lateID)
		}
		w.store.write(&w.behind, lateWidth, hash, uint64(when))
		return
	}
	w.place(hash, when)
}

// place puts an entry whose deadline is not before now into its slot.
func (w *Wheel) place(hash uint64, when int64) {
	l := levelOf(when, w.now)
	w.put(l, digit(when, l), hash, when)
}

func (w *Wheel) put(l, i int, hash uint64, when int64) {
	v := w.levels[l]
	if v == nil {
		v = new(level)
		w.levels[l] = v
		w.heads += int64(mem.Size(levelSize))
	}
	s := &v.slots[i]
	if int(s.room) < 8+l {
		v.set(i)
		w.store.grow(s, slotID(l, i))
	}
	w.store.write(s, l, hash, uint64(when))
}

// levelOf returns the highest digit in which two times differ, 0 when they are equal.
func levelOf(a, b int64) int { return (bits.Len64(uint64(a^b)|1) - 1) >> 3 }

func digit(t int64, l int) int { return int(uint64(t) >> (8 * l) & (slots - 1)) }

// start returns the first millisecond of slot i of level l in the wheel's present turn.
func (w *Wheel) start(l, i int) int64 {
	turn := uint64(w.now) >> (8 * l) >> 8 << 8
	return int64((turn | uint64(i)) << (8 * l))
}

// next returns the first occupied slot of the lowest occupied level.
func (w *Wheel) next() (l, i int, ok bool) {
	for l, v := range w.levels {
		if v == nil {
			continue
		}
		if i := v.first(); i >= 0 {
			return l, i, true
		}
	}
	return 0, 0, false
}

// NextDue returns the time (Unix ms) at which Advance must be called next, and false when the wheel is empty. It is never
// later than the first deadline, but may be earlier: the time at which a slot cascades. After a completed Advance(now) it is
// later than now, unless entries were inserted that are due already; then it is 0.
func (w *Wheel) NextDue() (when int64, ok bool) {
	if w.n == 0 {
		return 0, false
	}
	if w.late.head != 0 || w.behind.head != 0 {
		return 0, true
	}
	// A slot in progress on a higher level starts before everything below it.
	for l, v := range w.levels {
		if v == nil {
			continue
		}
		if i := v.first(); i >= 0 {
			if t := w.start(l, i); !ok || t < when {
				when, ok = t, true
			}
		}
	}
	return when, ok
}

// Advance moves time to now (Unix ms) and calls fire for every entry whose deadline is not after now, in the order of
// deadlines (late ones first). It handles at most limit entries, at least one, where moving an entry to a lower level counts
// as one, and returns whether it is done; if not, the next call continues.
//
// fire may call Insert and Clear. An entry that it inserts fires in the same call if its deadline is after the time that the
// wheel has reached and not after now. An entry that is due already fires in the next call, so that Advance always ends.
//
// A now before the wheel's time (a clock set back) fires nothing early and loses nothing.
func (w *Wheel) Advance(now int64, limit int, fire func(hash uint64, when int64)) (done bool) {
	now = max(now, 0)
	left := max(limit, 1)
	if now < w.now && !w.rewind(now, &left) {
		return false
	}
	resumed := w.late.head != 0
	if !resumed {
		w.late, w.behind = w.behind, stack{}
	}
	for w.late.head != 0 {
		if left == 0 {
			return false
		}
		left--
		hash, t := w.store.pop(&w.late, lateWidth)
		if when := int64(t); when <= now {
			w.n--
			fire(hash, when)
		} else { // inserted before the clock was set back
			w.place(hash, when)
		}
	}
	if resumed && w.behind.head != 0 { // some were there before this call
		return false
	}
	if !w.settle(0, &left) {
		return false
	}
	for {
		l, i, ok := w.next()
		if !ok {
			break
		}
		t := w.start(l, i)
		if t > now {
			break
		}
		if left == 0 {
			return false
		}
		w.now = t
		if l > 0 {
			if !w.cascade(l, i, &left) {
				return false
			}
			continue
		}
		v := w.levels[0]
		s := &v.slots[i]
		for s.head != 0 {
			if left == 0 {
				return false
			}
			left--
			hash, _ := w.store.pop(s, 0)
			w.n--
			fire(hash, t)
		}
		v.unset(i)
	}
	w.now = now
	w.trim()
	return true
}

// settle finishes the slots in progress on levels above the given one.
func (w *Wheel) settle(above int, left *int) bool {
	for l := levels - 1; l > above; l-- {
		if v := w.levels[l]; v != nil {
			if i := digit(w.now, l); v.has(i) && !w.cascade(l, i, left) {
				return false
			}
		}
	}
	return true
}

// cascade moves the entries of a slot in progress to lower levels and returns whether it has moved all.
func (w *Wheel) cascade(l, i int, left *int) bool {
	v := w.levels[l]
	s, start := &v.slots[i], w.start(l, i)
	for s.head != 0 {
		if *left == 0 {
			return false
		}
		*left--
		hash, low := w.store.pop(s, l)
		w.place(hash, start|int64(low))
	}
	v.unset(i)
	return true
}

// rewind sets the wheel's time back to now and returns whether it is done. If not, the entries moved so far are in a slot in
// progress, so that any call of Advance can follow.
func (w *Wheel) rewind(now int64, left *int) bool {
	to := levelOf(now, w.now)
	if !w.settle(to, left) {
		return false
	}
	slot := digit(w.now, to)
	for l := range to {
		v := w.levels[l]
		if v == nil {
			continue
		}
		for i := v.first(); i >= 0; i = v.first() {
			s, start := &v.slots[i], w.start(l, i)
			for s.head != 0 {
				if *left == 0 {
					return false
				}
				*left--
				hash, low := w.store.pop(s, l)
				w.put(to, slot, hash, start|int64(low))
			}
			v.unset(i)
		}
	}
	w.now = now
	return true
}

// trim frees the memory of an empty wheel if it has more than keepEmpty.
func (w *Wheel) trim() {
	if w.n == 0 && w.Bytes() > keepEmpty {
		w.Clear()
	}
}

// Drain removes up to limit entries from the wheel, in no order and whatever their deadlines, and returns whether the wheel
// is empty now. With it the owner rebuilds a wheel that has many stale entries: it drains a few at a time, checks each,
// inserts it into a new wheel unless it is stale, and advances both wheels meanwhile. each must not use the wheel.
func (w *Wheel) Drain(limit int, each func(hash uint64, when int64)) (done bool) {
	for ; limit > 0 && w.n > 0; limit-- {
		var (
			hash uint64
			when int64
		)
		if l, i, ok := w.next(); ok {
			v := w.levels[l]
			s := &v.slots[i]
			var low uint64
			start := w.start(l, i)
			hash, low = w.store.pop(s, l)
			when = start | int64(low)
			if s.head == 0 {
				v.unset(i)
			}
		} else {
			s := &w.late
			if s.head == 0 {
				s = &w.behind
			}
			var t uint64
			hash, t = w.store.pop(s, lateWidth)
			when = int64(t)
		}
		w.n--
		each(hash, when)
	}
	w.trim()
	return w.n == 0
}

// Sample returns the hash of a random entry, all with about the same probability (see store.sample), and false when the wheel
// is empty. It uses no randomness but rnd.
func (w *Wheel) Sample(rnd uint64) (hash uint64, ok bool) {
	if w.n == 0 {
		return 0, false
	}
	return w.store.sample(rnd, func(id uint16, r ref) *stack {
		if id == lateID {
			if w.late.head == r {
				return &w.late
			}
			return &w.behind
		}
		return &w.levels[id>>8].slots[id&(slots-1)]
	}), true
}
