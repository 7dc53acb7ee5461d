// Package hash is the value of a hash key: fields with values, and with deadlines.
//
// # Structure
//
// A small hash is one listpack (package listpack), field and value alternately in the order in which the fields were added,
// the same bytes as in an RDB file. A large hash is a hash table (package table) of field records: one pointer-free object
// with the field, its value and a header; values above record.MaxInline bytes are separate. Rules has the limits of small
// hashes; a hash that has become large stays large.
//
// # Deadlines
//
// A field may have a deadline, in Unix milliseconds (ttl.go). The first command that sets one turns a small hash into a
// listpack of triples, which OBJECT ENCODING calls listpackex: field, value, deadline, 0 for none. Triples are in the order
// of their deadlines, those without a deadline last, the same bytes as in an RDB file of Redis 7.4. In a large hash the
// deadline is in the field's record, and an index (deadlines.go) has all deadlines in order. The hash also stores the
// earliest deadline of all.
//
// A field is due when its deadline is before the present. The hash itself has no clock: for its methods a due field is like
// any other until Expire removes it. A View is the hash at a moment, without the fields that are due then.
//
// # Costs
//
// Looking up, setting and deleting a field is O(1) when large, and linear in the listpack, which the rules keep short,
// when small. Len and Size are kept up to date. Overwriting a value allocates nothing if the new one fits into the memory of
// the old: the listpack's capacity, the record's size class.
//
// # Copy-on-write
//
// A hash has the stamp of the generation in which it was made, see package cow. A caller that changes a hash must own it or a
// Fork of it. Fork copies a small hash, and of a large one only the array of the table's pages. Pages and segments are copied
// before their first change, and field records are replaced, never written, while a snapshot is held. Reads change nothing.
//
// Returned slices point into the hash and are valid until its next change.
package hash

import (
	"math"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/head"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Value is a field or a value: bytes, or an integer in their place.
type Value = listpack.Value

// Rules has the limits of small hashes.
type Rules struct {
	Entries int // fields (hash-max-listpack-entries)
	Value   int // bytes of a field or a value (hash-max-listpack-value)
}

// Hash is a hash. Use New.
type Hash struct{ head head.Head }

const (
	pairs   head.Form = iota // a listpack of field and value alternately
	triples                  // a listpack of field, value and deadline alternately
	fields                   // a large
)

// noDeadline is the earliest deadline of a hash that has none.
const noDeadline = int64(math.MaxInt64)

// large is the data of a large hash.
type large struct {
	t     *table.Table
	bytes int        // of the field records and of due
	due   *deadlines // nil if no field has one
	next  int64      // the earliest deadline; due has it too, but only the newest fork may use due
}

const (
	hashSize  = int(unsafe.Sizeof(Hash{}))
	largeSize = int(unsafe.Sizeof(large{}))
)

// New returns an empty hash.
func New(gen *cow.Generation) *Hash {
	return newSmall(listpack.New(0), pairs, gen)
}

// newSmall returns a hash of a listpack, which it takes over.
func newSmall(lp listpack.Listpack, form head.Form, gen *cow.Generation) *Hash {
	h := &Hash{head.New(gen.Current())}
	h.setLP(lp)
	h.head.SetForm(form)
	return h
}

// newLarge returns a large hash, which it takes over.
func newLarge(l *large, gen *cow.Generation) *Hash {
	h := &Hash{head.New(gen.Current())}
	h.head.SetLarge(unsafe.Pointer(l), fields)
	return h
}

// lp returns the listpack of a small hash.
func (h *Hash) lp() listpack.Listpack { return h.head.Listpack() }

func (h *Hash) setLP(lp listpack.Listpack) { h.head.SetBytes(lp) }

// large returns the data of a large hash, nil for a small one.
func (h *Hash) large() *large {
	if h.head.Form() == fields {
		return (*large)(h.head.Data())
	}
	return nil
}

// timed reports whether a small hash consists of triples.
func (h *Hash) timed() bool { return h.head.Form() == triples }

// Len returns the number of fields.
func (h *Hash) Len() int {
	if h.large() != nil {
		return h.large().t.Len()
	}
	return h.lp().Len() / h.width()
}

// width returns the number of elements of the listpack that make a field.
func (h *Hash) width() int {
	if h.timed() {
		return 3
	}
	return 2
}

// Size returns the bytes that the hash holds, as the allocator rounds them.
func (h *Hash) Size() int {
	n := mem.SizePtr(hashSize)
	if l := h.large(); l != nil {
		return n + mem.SizePtr(largeSize) + l.t.Size() + l.bytes
	}
	return n + h.lp().Size()
}

// Encoding returns the encoding for OBJECT ENCODING.
func (h *Hash) Encoding() record.Encoding {
	if h.large() != nil {
		return record.HashTable
	}
	if h.timed() {
		return record.ListPackEx
	}
	return record.ListPack
}

// Listpack returns the bytes of a small hash without deadlines (encoding ListPack), which must only be read; nil for any
// other.
func (h *Hash) Listpack() listpack.Listpack {
	if h.head.Form() != pairs {
		return nil
	}
	return h.lp()
}

// Stamp returns the generation in which the hash was made or forked.
func (h *Hash) Stamp() uint64 { return h.head.Stamp() }

// Fork returns a hash with the same fields, to be changed instead of h, which from then on must only be read. gen is pinned.
func (h *Hash) Fork(gen *cow.Generation) *Hash {
	if l := h.large(); l != nil {
		f := *l
		f.t = l.t.Fork()
		return newLarge(&f, gen)
	}
	return newSmall(h.lp().Clone(), h.head.Form(), gen)
}

// Clone returns a copy for COPY. It shares no memory with h that is ever written. It costs O(N).
func (h *Hash) Clone(gen *cow.Generation) *Hash {
	l := h.large()
	if l == nil {
		return newSmall(h.lp().Clone(), h.head.Form(), gen)
	}
	c := &large{t: table.New(gen), due: l.due.clone(), next: l.next}
	c.bytes = c.due.size()
	l.t.Each(func(r *record.Record) bool {
		n := record.NewMember(r.Key(), r.String(nil), r.Expiry(), gen.Current())
		c.t.Insert(table.Hash(r.Key()), n)
		c.bytes += n.Size()
		return true
	})
	return newLarge(c, gen)
}

// find returns the position of a field's value in a small hash, -1 if there is no such field.
func (h *Hash) find(field []byte) int {
	p := h.lp().Find(listpack.HeaderSize, field, h.width()-1)
	if p < 0 {
		return -1
	}
	return h.lp().Next(p)
}

// Get returns the value of a field.
func (h *Hash) Get(field []byte) (v Value, ok bool) {
	if l := h.large(); l != nil {
		r := l.t.Get(table.Hash(field), field)
		if r == nil {
			return Value{}, false
		}
		return Value{Str: r.String(nil)}, true
	}
	p := h.find(field)
	if p < 0 {
		return Value{}, false
	}
	return h.lp().Get(p), true
}

// Has reports whether there is such a field.
func (h *Hash) Has(field []byte) bool {
	if l := h.large(); l != nil {
		return l.t.Get(table.Hash(field), field) != nil
	}
	return h.find(field) >= 0
}

// Expect prepares for arguments, fields and values alternately, that are about to be set: it makes the hash large if one of
// them is too long or, as in Redis, if they alone are more fields than a small hash may have.
func (h *Hash) Expect(args [][]byte, rules Rules, gen *cow.Generation) {
	if h.large() != nil {
		return
	}
	sum := 0
	for _, a := range args {
		if len(a) > rules.Value {
			h.grow(gen)
			return
		}
		sum += len(a)
	}
	if (len(args)+1)/2 > rules.Entries || !h.lp().SafeToAdd(sum) {
		h.grow(gen)
	}
}

// Set sets a field to a value, removes its deadline, and reports whether the field is new. It copies both.
func (h *Hash) Set(field, value []byte, rules Rules, gen *cow.Generation) (created bool) {
	return h.set(field, value, replaceAll, rules, gen)
}

// SetKeeping is Set, but an existing field keeps its deadline.
func (h *Hash) SetKeeping(field, value []byte, rules Rules, gen *cow.Generation) (created bool) {
	return h.set(field, value, keepDeadline, rules, gen)
}

// Add is Set for a missing field. If the field exists it changes nothing and reports false.
func (h *Hash) Add(field, value []byte, rules Rules, gen *cow.Generation) (created bool) {
	return h.set(field, value, keepAll, rules, gen)
}

// existing says what set does with an existing field.
type existing uint8

const (
	replaceAll existing = iota
	keepDeadline
	keepAll
)

func (h *Hash) set(field, value []byte, was existing, rules Rules, gen *cow.Generation) (created bool) {
	if h.large() == nil && (len(field) > rules.Value || len(value) > rules.Value) {
		h.grow(gen)
	}
	if l := h.large(); l != nil {
		created = l.set(field, value, was, gen)
		l.next = l.earliest()
		return created
	}
	if p := h.find(field); p >= 0 {
		if was == keepAll {
			return false
		}
		h.setLP(h.lp().Replace(p, value))
		if was == replaceAll && h.timed() {
			h.endDeadline(field)
		}
	} else if h.timed() {
		triple := [3]listpack.Entry{listpack.Of(field), listpack.Of(value), listpack.OfInt(0)}
		h.setLP(h.lp().InsertAll(h.lp().End(), triple[:]))
		created = true
	} else {
		h.setLP(h.lp().AppendPair(field, value))
		created = true
	}
	if h.lp().Len()/h.width() > rules.Entries {
		h.grow(gen)
	}
	return created
}

func (l *large) set(field, value []byte, was existing, gen *cow.Generation) (created bool) {
	hash := table.Hash(field)
	old := l.t.Get(hash, field)
	if old == nil {
		r := record.NewMember(field, value, record.NoExpiry, gen.Current())
		l.t.Insert(hash, r)
		l.bytes += r.Size()
		return true
	}
	if was == keepAll {
		return false
	}
	when := record.NoExpiry
	if l.due != nil {
		if when = old.Expiry(); when != record.NoExpiry && was == replaceAll {
			l.forget(hash, when)
			when = record.NoExpiry
		}
	}
	if !gen.Pinned() && old.TrySetMember(value) {
		old.SetExpiry(when) // it has room for a deadline if it had one
		return false
	}
	r := record.NewMember(field, value, when, gen.Current())
	l.t.Replace(hash, old, r)
	l.bytes += r.Size() - old.Size()
	return false
}

// grow makes a small hash large.
func (h *Hash) grow(gen *cow.Generation) {
	l := &large{t: table.New(gen)}
	var fieldText, valueText [20]byte
	h.EachField(func(f, v Value, when int64) bool {
		field, value := text(f, fieldText[:0]), text(v, valueText[:0])
		hash := table.Hash(field)
		r := record.NewMember(field, value, when, gen.Current())
		l.t.Insert(hash, r)
		l.bytes += r.Size()
		if when != record.NoExpiry {
			l.remember(hash, when)
		}
		return true
	})
	l.next = l.earliest()
	h.head.SetLarge(unsafe.Pointer(l), fields)
}

// text returns the bytes of v, an integer's appended to buf.
func text(v Value, buf []byte) []byte {
	if v.Str != nil {
		return v.Str
	}
	return v.AppendTo(buf)
}

// Remove removes a field and reports whether it was there.
func (h *Hash) Remove(field []byte) bool {
	l := h.large()
	if l == nil {
		p := h.lp().Find(listpack.HeaderSize, field, h.width()-1)
		if p < 0 {
			return false
		}
		h.setLP(h.lp().DeleteFrom(p, h.width()))
		return true
	}
	hash := table.Hash(field)
	r := l.t.Get(hash, field)
	if r == nil {
		return false
	}
	if l.due != nil {
		if when := r.Expiry(); when != record.NoExpiry {
			l.forget(hash, when)
			l.next = l.earliest()
		}
	}
	l.bytes -= r.Size()
	l.t.Delete(hash, r)
	return true
}

// Each calls fn for every field until it returns false. fn must not change the hash.
func (h *Hash) Each(fn func(field, value Value) bool) {
	if l := h.large(); l != nil {
		l.t.Each(func(r *record.Record) bool { return fn(Value{Str: r.Key()}, Value{Str: r.String(nil)}) })
		return
	}
	timed := h.timed()
	for p := listpack.HeaderSize; p != h.lp().End(); {
		var field, value Value
		field, p = h.lp().Read(p)
		value, p = h.lp().Read(p)
		if timed {
			_, p = h.lp().Read(p)
		}
		if !fn(field, value) {
			return
		}
	}
}

// Scan calls fn for some fields, about count, and returns the cursor of the next call, 0 at the end; for a small hash it
// calls fn for all fields. A field that stays in the hash during a whole scan is returned, perhaps more than once. fn must
// not change the hash.
func (h *Hash) Scan(cursor uint64, count int, fn func(field, value Value)) uint64 {
	if l := h.large(); l != nil {
		return l.t.Scan(cursor, count, func(r *record.Record) { fn(Value{Str: r.Key()}, Value{Str: r.String(nil)}) })
	}
	h.Each(func(field, value Value) bool {
		fn(field, value)
		return true
	})
	return 0
}

// Random returns a field of a hash that is not empty, all with the same probability. rnd returns random bits.
func (h *Hash) Random(rnd func() uint64) (field, value Value) {
	if l := h.large(); l != nil {
		r := l.t.Random(rnd)
		return Value{Str: r.Key()}, Value{Str: r.String(nil)}
	}
	p := h.lp().Seek(h.width() * int(rnd()%uint64(h.Len())))
	field, p = h.lp().Read(p)
	return field, h.lp().Get(p)
}

// sparse is the least ratio of existing to wanted fields at which drawing fields one by one is cheaper than iterating over
// all.
const sparse = 3

// Sample calls fn for n different random fields, n at most Len; every set of n fields has the same probability. Their order
// is not random.
func (h *Hash) Sample(n int, rnd func() uint64, fn func(field, value Value)) {
	if l := h.large(); l != nil && n*sparse <= l.t.Len() {
		seen := make(map[*record.Record]struct{}, n)
		for len(seen) < n {
			r := l.t.Random(rnd)
			if _, twice := seen[r]; !twice {
				seen[r] = struct{}{}
				fn(Value{Str: r.Key()}, Value{Str: r.String(nil)})
			}
		}
		return
	}
	left := h.Len()
	h.Each(func(field, value Value) bool {
		// Of the fields that are left, n are wanted.
		if rnd()%uint64(left) < uint64(n) {
			fn(field, value)
			n--
		}
		left--
		return n > 0
	})
}

// RandomAll calls fn for n random fields, drawn independently of each other, until it returns false. It iterates over a small
// hash once, not n times.
func (h *Hash) RandomAll(n int, rnd func() uint64, fn func(field, value Value) bool) {
	if h.large() != nil || n < sparse {
		for ; n > 0; n-- {
			if !fn(h.Random(rnd)) {
				return
			}
		}
		return
	}
	at := make([]int, 0, h.Len())
	for p := listpack.HeaderSize; p != h.lp().End(); {
		at = append(at, p)
		for range h.width() {
			_, p = h.lp().Read(p)
		}
	}
	for ; n > 0; n-- {
		field, p := h.lp().Read(at[rnd()%uint64(len(at))])
		if !fn(field, h.lp().Get(p)) {
			return
		}
	}
}

// Prefetch loads into the processor's cache the memory that a lookup of these fields will read. The result has no meaning.
func (h *Hash) Prefetch(fields [][]byte) uint64 {
	l := h.large()
	if l == nil {
		return 0
	}
	var hashes [32]uint64
	n := min(len(fields), len(hashes))
	for i, f := range fields[:n] {
		hashes[i] = table.Hash(f)
	}
	return l.t.Prefetch(hashes[:n])
}
