package hash

import (
	"errors"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Deadlines of fields, see the package comment.

// ListpackEx returns the bytes of a small hash with deadlines (encoding ListPackEx), which must only be read; nil for any
// other.
func (h *Hash) ListpackEx() listpack.Listpack {
	if !h.timed() {
		return nil
	}
	return h.lp()
}

// errTriples is the error of NewListpackEx for a listpack that it refuses.
var errTriples = errors.New("hash: not a listpack of field, value and deadline in the order of deadlines")

// NewListpackEx returns a hash of a listpack of triples and takes it over. The listpack has passed Validate, and the caller
// has checked that no field comes twice. Triples out of order are an error: the caller can add their fields one by one.
func NewListpackEx(lp listpack.Listpack, gen *cow.Generation) (*Hash, error) {
	if lp.Len()%3 != 0 {
		return nil, errTriples
	}
	last := int64(0)
	for p, ended := listpack.HeaderSize, false; p != lp.End(); {
		var v Value
		_, p = lp.Read(p)
		_, p = lp.Read(p)
		v, p = lp.Read(p)
		when, ok := v.Integer()
		if !ok || when < 0 || when != 0 && (ended || when < last) {
			return nil, errTriples
		}
		ended, last = when == 0, when
	}
	return newSmall(lp, triples, gen), nil
}

// next returns the earliest deadline of a field, noDeadline if none has one.
func (h *Hash) next() int64 {
	switch h.head.Form() {
	case fields:
		return h.large().next
	case triples:
		return h.firstDeadline()
	}
	return noDeadline
}

// Earliest returns the earliest deadline of a field, record.NoExpiry if none has one.
func (h *Hash) Earliest() int64 {
	if next := h.next(); next != noDeadline {
		return next
	}
	return record.NoExpiry
}

// Due reports whether a deadline is before now.
func (h *Hash) Due(now int64) bool { return h.next() < now }

// deadlineAt returns the deadline of the triple whose value is at p.
func (h *Hash) deadlineAt(p int) int64 {
	if when, _ := h.lp().Get(h.lp().Next(p)).Integer(); when != 0 {
		return when
	}
	return record.NoExpiry
}

// firstDeadline is next for a listpack of triples: the first has the earliest deadline.
func (h *Hash) firstDeadline() int64 {
	if p := h.lp().First(); p >= 0 {
		if when := h.deadlineAt(h.lp().Next(p)); when != record.NoExpiry {
			return when
		}
	}
	return noDeadline
}

// earliest is firstDeadline for a large hash.
func (l *large) earliest() int64 {
	if l.due == nil {
		return noDeadline
	}
	return l.due.first()
}

// remember adds the deadline of the field with this hash to the index.
func (l *large) remember(hash uint64, when int64) {
	if l.due == nil {
		l.due = new(deadlines)
	} else {
		l.bytes -= l.due.size()
	}
	l.due.insert(deadline{when, hash})
	l.bytes += l.due.size()
}

// forget removes it.
func (l *large) forget(hash uint64, when int64) {
	l.bytes -= l.due.size()
	l.due.remove(deadline{when, hash})
	l.settle()
}

// settle adds the size of the index, which the caller subtracted before it removed deadlines, and drops the index if it is
// empty.
func (l *large) settle() {
	if l.due.n == 0 {
		l.due = nil
	}
	l.bytes += l.due.size()
}

// Deadline returns the deadline of a field, record.NoExpiry if it has none. ok reports whether there is such a field.
func (h *Hash) Deadline(field []byte) (when int64, ok bool) {
	if l := h.large(); l != nil {
		r := l.t.Get(table.Hash(field), field)
		if r == nil {
			return 0, false
		}
		return r.Expiry(), true
	}
	p := h.find(field)
	if p < 0 {
		return 0, false
	}
	if !h.timed() {
		return record.NoExpiry, true
	}
	return h.deadlineAt(p), true
}

// UseDeadlines turns a small hash into a listpack of triples, if it is not one yet. SetDeadline calls it.
func (h *Hash) UseDeadlines() {
	if h.head.Form() != pairs {
		return
	}
	none := listpack.OfInt(0)
	n := h.lp().Len() / 2
	lp := listpack.New(len(h.lp()) + n*none.Size())
	entries := make([]listpack.Entry, 0, 3*n)
	for p := listpack.HeaderSize; p != h.lp().End(); {
		var field, value Value
		field, p = h.lp().Read(p)
		value, p = h.lp().Read(p)
		entries = append(entries, listpack.OfValue(field), listpack.OfValue(value), none)
	}
	h.setLP(lp.InsertAll(lp.End(), entries))
	h.head.SetForm(triples)
}

// SetDeadline gives a field a deadline above 0, or none if when is record.NoExpiry, and reports whether there is such a
// field.
func (h *Hash) SetDeadline(field []byte, when int64, gen *cow.Generation) bool {
	h.UseDeadlines()
	l := h.large()
	if l == nil {
		if when == record.NoExpiry {
			when = 0
		}
		p := h.find(field)
		return p >= 0 && h.moveTriple(field, p, when)
	}
	hash := table.Hash(field)
	r := l.t.Get(hash, field)
	if r == nil {
		return false
	}
	old := r.Expiry()
	if old == when {
		return true
	}
	if gen.Pinned() || !r.SetExpiry(when) {
		n := r.Rekey(r.Key(), when) // a long value is shared: values of fields are never written in place
		l.t.Replace(hash, r, n)
		l.bytes += n.Size() - r.Size()
	}
	if old != record.NoExpiry {
		l.forget(hash, old)
	}
	if when != record.NoExpiry {
		l.remember(hash, when)
	}
	l.next = l.earliest()
	return true
}

// endDeadline removes the deadline of an existing field of a small hash.
func (h *Hash) endDeadline(field []byte) {
	if p := h.find(field); h.deadlineAt(p) != record.NoExpiry {
		h.moveTriple(field, p, 0)
	}
}

// moveTriple gives the field whose value is at p a deadline, 0 for none, and moves its triple to the right place.
func (h *Hash) moveTriple(field []byte, p int, when int64) bool {
	var room [128]byte
	value := h.lp().Get(p)
	if value.Str != nil {
		value.Str = append(room[:0], value.Str...) // the value is in the listpack, which changes
	}
	h.setLP(h.lp().DeleteFrom(h.lp().Prev(p), 3))
	at := h.lp().End()
	if when != 0 {
		for at = listpack.HeaderSize; at != h.lp().End(); {
			_, p = h.lp().Read(at)
			_, p = h.lp().Read(p)
			v, next := h.lp().Read(p)
			if d, _ := v.Integer(); d == 0 || d >= when {
				break
			}
			at = next
		}
	}
	triple := [3]listpack.Entry{listpack.Of(field), listpack.OfValue(value), listpack.OfInt(when)}
	h.setLP(h.lp().InsertAll(at, triple[:]))
	return true
}

// EachField is Each with the deadline of the field, record.NoExpiry if it has none. Like Each it may be called by the
// goroutine that reads a snapshot with this hash.
func (h *Hash) EachField(fn func(field, value Value, when int64) bool) {
	if l := h.large(); l != nil {
		l.t.Each(func(r *record.Record) bool {
			return fn(Value{Str: r.Key()}, Value{Str: r.String(nil)}, r.Expiry())
		})
		return
	}
	for p := listpack.HeaderSize; p != h.lp().End(); {
		var field, value Value
		when := record.NoExpiry
		field, p = h.lp().Read(p)
		value, p = h.lp().Read(p)
		if h.timed() {
			var v Value
			v, p = h.lp().Read(p)
			if d, _ := v.Integer(); d != 0 {
				when = d
			}
		}
		if !fn(field, value, when) {
			return
		}
	}
}

// expireBatch is the number of index entries that Expire removes at a time.
const expireBatch = 64

// Expire removes fields whose deadline is before now, at most limit, in the order of their deadlines, and returns their
// number. It calls fn for each field, with its deadline, before it removes it; fn must not change the hash.
func (h *Hash) Expire(now int64, limit int, fn func(field []byte, when int64)) (expired int) {
	if l := h.large(); l != nil {
		for expired < limit && l.due != nil && l.due.first() < now {
			expired += l.expire(now, min(limit-expired, expireBatch), fn)
		}
		if expired > 0 {
			l.next = l.earliest()
		}
		return expired
	}
	var fieldText [20]byte
	for p := listpack.HeaderSize; h.timed() && expired < limit && p != h.lp().End(); expired++ {
		var field, v Value
		field, p = h.lp().Read(p)
		_, p = h.lp().Read(p)
		v, p = h.lp().Read(p)
		when, _ := v.Integer()
		if when == 0 || when >= now {
			break
		}
		fn(text(field, fieldText[:0]), when)
	}
	if expired > 0 {
		h.setLP(h.lp().DeleteFrom(listpack.HeaderSize, 3*expired))
	}
	return expired
}

// expire removes the first due fields of a large hash, at most expireBatch.
func (l *large) expire(now int64, limit int, fn func(field []byte, when int64)) int {
	var buf [expireBatch]deadline
	l.bytes -= l.due.size()
	taken := l.due.takeDue(now, limit, buf[:0])
	l.settle()
	for _, e := range taken {
		var r *record.Record
		l.t.EachHash(e.hash, func(f *record.Record) {
			if f.Expiry() == e.when {
				r = f
			}
		})
		fn(r.Key(), e.when)
		l.bytes -= r.Size()
		l.t.Delete(e.hash, r)
	}
	return len(taken)
}
