package hash

import (
	"ferrous/datatypes/record"
)

// View is a hash at a moment: without the fields that are due then. It is valid until the next change of the hash. The zero
// value is the View of a missing hash, which has no fields. A View belongs to the goroutine that owns the hash.
//
// Background expiry removes due fields within a few milliseconds, unless it is switched off. So a hash seldom has due fields,
// and without any a View costs no more than the hash itself.
type View struct {
	h   *Hash
	now int64 // 0 if no field is due: the hash may be used directly
}

const absent = int64(-1) // a View's now, if there is no hash

// At returns the View of h, which may be nil, at a moment in Unix milliseconds.
func (h *Hash) At(now int64) View {
	if h == nil {
		return View{now: absent}
	}
	if h.Due(now) {
		return View{h, now}
	}
	return View{h, 0}
}

// Hash returns the hash itself, nil if there is none.
func (v View) Hash() *Hash { return v.h }

// Due reports whether the hash has fields that the View hides.
func (v View) Due() bool { return v.now > 0 }

// hides reports whether a field with this deadline is hidden.
func (v View) hides(when int64) bool { return when != record.NoExpiry && when < v.now }

// Hides reports whether the hash has this field and the View hides it.
func (v View) Hides(field []byte) bool {
	if !v.Due() {
		return false
	}
	when, ok := v.h.Deadline(field)
	return ok && v.hides(when)
}

// Len returns the number of fields that are not hidden. If some are hidden it counts them first.
func (v View) Len() int {
	switch {
	case v.h == nil:
		return 0
	case v.now == 0:
		return v.h.Len()
	case v.h.large() != nil:
		return v.h.Len() - v.h.large().due.before(v.now)
	}
	n := 0
	v.Each(func(_, _ Value) bool {
		n++
		return true
	})
	return n
}

// Get returns the value of a field.
func (v View) Get(field []byte) (value Value, ok bool) {
	if v.now == 0 && v.h != nil {
		return v.h.Get(field)
	}
	if v.h == nil || v.Hides(field) {
		return Value{}, false
	}
	return v.h.Get(field)
}

// Has reports whether there is such a field.
func (v View) Has(field []byte) bool {
	return v.h != nil && !v.Hides(field) && v.h.Has(field)
}

// Deadline returns the deadline of a field, record.NoExpiry if it has none. ok reports whether there is such a field.
func (v View) Deadline(field []byte) (when int64, ok bool) {
	if v.h == nil {
		return 0, false
	}
	when, ok = v.h.Deadline(field)
	return when, ok && !v.hides(when)
}

// Each calls fn for every field until it returns false. fn must not change the hash.
func (v View) Each(fn func(field, value Value) bool) {
	switch {
	case v.h == nil:
	case v.now == 0:
		v.h.Each(fn)
	default:
		v.h.EachField(func(field, value Value, when int64) bool { return v.hides(when) || fn(field, value) })
	}
}

// Scan is Hash.Scan without the hidden fields; count includes them.
func (v View) Scan(cursor uint64, count int, fn func(field, value Value)) uint64 {
	switch {
	case v.h == nil:
		return 0
	case v.now == 0:
		return v.h.Scan(cursor, count, fn)
	case v.h.large() == nil:
		v.Each(func(field, value Value) bool {
			fn(field, value)
			return true
		})
		return 0
	}
	return v.h.large().t.Scan(cursor, count, func(r *record.Record) {
		if !v.hides(r.Expiry()) {
			fn(Value{Str: r.Key()}, Value{Str: r.String(nil)})
		}
	})
}

// shown returns the fields with their values, alternately.
func (v View) shown() []Value {
	all := make([]Value, 0, 2*v.Len())
	v.Each(func(field, value Value) bool {
		all = append(all, field, value)
		return true
	})
	return all
}

// Random returns a field, all with the same probability; ok is false if there is none. rnd returns random bits.
func (v View) Random(rnd func() uint64) (field, value Value, ok bool) {
	if v.now == 0 && v.h != nil && v.h.Len() > 0 {
		field, value = v.h.Random(rnd)
		return field, value, true
	}
	all := v.shown()
	if len(all) == 0 {
		return field, value, false
	}
	i := 2 * int(rnd()%uint64(len(all)/2))
	return all[i], all[i+1], true
}

// Sample is Hash.Sample.
func (v View) Sample(n int, rnd func() uint64, fn func(field, value Value)) {
	if v.now == 0 && v.h != nil {
		v.h.Sample(n, rnd, fn)
		return
	}
	all := v.shown()
	for i := 0; i < len(all) && n > 0; i += 2 {
		// Of the fields that are left, n are wanted.
		if rnd()%uint64((len(all)-i)/2) < uint64(n) {
			fn(all[i], all[i+1])
			n--
		}
	}
}

// RandomAll is Hash.RandomAll. Without fields it does not call fn.
func (v View) RandomAll(n int, rnd func() uint64, fn func(field, value Value) bool) {
	if v.now == 0 && v.h != nil && v.h.Len() > 0 {
		v.h.RandomAll(n, rnd, fn)
		return
	}
	all := v.shown()
	for ; n > 0 && len(all) > 0; n-- {
		i := 2 * int(rnd()%uint64(len(all)/2))
		if !fn(all[i], all[i+1]) {
			return
		}
	}
}

// Prefetch is Hash.Prefetch.
func (v View) Prefetch(fields [][]byte) uint64 {
	if v.h == nil {
		return 0
	}
	return v.h.Prefetch(fields)
}
