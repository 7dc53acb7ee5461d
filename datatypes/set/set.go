// Package set is the value of a set key: members without an order.
//
// # Structure
//
// A set has one of three forms, as in Redis. A small set of integers is an intset (package intset); a small set of any
// members is a listpack (package listpack), in the order in which they were added; both are the same bytes as in an RDB file.
// All others are a hash table (package table) of member records: one pointer-free object with a header and the member. Rules
// has the limits of small sets. Additions turn an intset into a listpack or a table, and a listpack into a table; only Ints
// turns a set back into an intset.
//
// # Costs
//
// Adding, removing and finding a member is O(1) in a table, O(log N) in an intset (where changes move bytes), linear in
// a listpack, which the rules keep short. Len and Size are kept up to date. Adding an existing member allocates nothing.
//
// # Copy-on-write
//
// A set has the stamp of the generation in which it was made, see package cow. A caller that changes a set must own it or a
// Fork of it. Fork copies a small set, and of a large one only the array of the table's pages. Pages and segments are copied
// before their first change. Member records are never written. Reads change nothing.
//
// Returned members point into the set and are valid until its next change; those of large sets stay valid.
package set

import (
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/head"
	"ferrous/datatypes/intset"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// Value is a member: bytes, or an integer in their place.
type Value = listpack.Value

// Rules has the limits of small sets.
type Rules struct {
	Ints    int // members of an intset (set-max-intset-entries)
	Entries int // members of a listpack (set-max-listpack-entries)
	Value   int // bytes of a member of a listpack (set-max-listpack-value)
}

// maxInts is the most members of an intset whatever the rules say, as in Redis.
const maxInts = 1 << 30

func (r *Rules) ints() int { return min(r.Ints, maxInts) }

// Set is a set. Use New, NewInts or NewPack.
type Set struct{ head head.Head }

const (
	ints    head.Form = iota // an intset
	packed                   // a listpack
	members                  // a large
)

// large is the data of a large set.
type large struct {
	t     *table.Table
	bytes int // of the member records
}

const (
	setSize   = int(unsafe.Sizeof(Set{}))
	largeSize = int(unsafe.Sizeof(large{}))
)

// New returns an empty set in the form for n members, one of which is first.
func New(first []byte, n int, rules Rules, gen *cow.Generation) *Set {
	if _, ok := listpack.ParseInt(first); ok && n <= rules.Ints {
		return NewInts(gen)
	}
	if n <= rules.Entries {
		return NewPack(gen)
	}
	return newLarge(&large{t: table.New(gen)}, gen)
}

// NewInts returns an empty set that is an intset.
func NewInts(gen *cow.Generation) *Set { return newSmall(intset.New(), ints, gen) }

// NewPack returns an empty set that is a listpack.
func NewPack(gen *cow.Generation) *Set { return newSmall(listpack.New(0), packed, gen) }

// newSmall returns a set of an intset or a listpack, which it takes over.
func newSmall(b []byte, form head.Form, gen *cow.Generation) *Set {
	s := &Set{head.New(gen.Current())}
	s.head.SetBytes(b)
	s.head.SetForm(form)
	return s
}

// newLarge returns a large set, which it takes over.
func newLarge(l *large, gen *cow.Generation) *Set {
	s := &Set{head.New(gen.Current())}
	s.head.SetLarge(unsafe.Pointer(l), members)
	return s
}

// pack reports whether the set is a listpack.
func (s *Set) pack() bool { return s.head.Form() == packed }

// is returns the bytes of an intset.
func (s *Set) is() intset.Intset { return s.head.Intset() }

// lp returns the bytes of a listpack.
func (s *Set) lp() listpack.Listpack { return s.head.Listpack() }

func (s *Set) setBytes(b []byte) { s.head.SetBytes(b) }

// large returns the data of a large set, nil for a small one.
func (s *Set) large() *large {
	if s.head.Form() == members {
		return (*large)(s.head.Data())
	}
	return nil
}

// Intset returns the bytes of a set that is an intset, which must only be read; nil for others.
func (s *Set) Intset() intset.Intset {
	if s.head.Form() != ints {
		return nil
	}
	return s.is()
}

// Listpack returns the bytes of a set that is a listpack, which must only be read; nil for others.
func (s *Set) Listpack() listpack.Listpack {
	if !s.pack() {
		return nil
	}
	return s.lp()
}

// Len returns the number of members.
func (s *Set) Len() int {
	switch {
	case s.large() != nil:
		return s.large().t.Len()
	case s.pack():
		return s.lp().Len()
	}
	return s.is().Len()
}

// Size returns the bytes that the set holds, as the allocator rounds them.
func (s *Set) Size() int {
	n := mem.SizePtr(setSize)
	if l := s.large(); l != nil {
		return n + mem.SizePtr(largeSize) + l.t.Size() + l.bytes
	}
	return n + mem.Size(s.head.Cap())
}

// Encoding returns the encoding for OBJECT ENCODING.
func (s *Set) Encoding() record.Encoding {
	switch {
	case s.large() != nil:
		return record.HashTable
	case s.pack():
		return record.ListPack
	}
	return record.IntSet
}

// Stamp returns the generation in which the set was made or forked.
func (s *Set) Stamp() uint64 { return s.head.Stamp() }

// Fork returns a set with the same members, to be changed instead of s, which from then on must only be read. gen is pinned.
func (s *Set) Fork(gen *cow.Generation) *Set {
	if l := s.large(); l != nil {
		return newLarge(&large{t: l.t.Fork(), bytes: l.bytes}, gen)
	}
	return s.cloneSmall(gen)
}

func (s *Set) cloneSmall(gen *cow.Generation) *Set {
	if s.pack() {
		return newSmall(s.lp().Clone(), packed, gen)
	}
	return newSmall(s.is().Clone(), ints, gen)
}

// Clone returns a copy for COPY. It shares no memory with s that is ever written. It costs O(N).
func (s *Set) Clone(gen *cow.Generation) *Set {
	l := s.large()
	if l == nil {
		return s.cloneSmall(gen)
	}
	c := &large{t: table.New(gen), bytes: l.bytes}
	l.t.Each(func(r *record.Record) bool {
		c.t.Insert(table.Hash(r.Key()), record.NewElement(r.Key()))
		return true
	})
	return newLarge(c, gen)
}

// Expect prepares an existing set for n more members. As in Redis, the set becomes large if n alone is more than a small set
// may have.
func (s *Set) Expect(n int, rules Rules, gen *cow.Generation) {
	if s.large() == nil && (s.pack() && n > rules.Entries || !s.pack() && n > rules.Ints) {
		s.grow(gen)
	}
}

// grow makes a small set large.
func (s *Set) grow(gen *cow.Generation) {
	l := &large{t: table.New(gen)}
	var buf [20]byte
	s.Each(func(v Value) bool {
		member := text(v, buf[:0])
		l.insert(table.Hash(member), member)
		return true
	})
	s.head.SetLarge(unsafe.Pointer(l), members)
}

// text returns the bytes of v, an integer's appended to buf.
func text(v Value, buf []byte) []byte {
	if v.Str != nil {
		return v.Str
	}
	return v.AppendTo(buf)
}

// insert adds a missing member.
func (l *large) insert(hash uint64, member []byte) {
	r := record.NewElement(member)
	l.t.Insert(hash, r)
	l.bytes += r.Size()
}

// Add puts a member, which is copied, into the set and reports whether it is new.
func (s *Set) Add(member []byte, rules Rules, gen *cow.Generation) bool {
	if l := s.large(); l != nil {
		hash := table.Hash(member)
		if l.t.Get(hash, member) != nil {
			return false
		}
		l.insert(hash, member)
		return true
	}
	if s.pack() {
		return s.addPacked(member, rules, gen)
	}
	if n, ok := listpack.ParseInt(member); ok {
		return s.addInt(n, rules, gen)
	}
	if s.fitsPacked(len(member), rules) {
		s.packInts()
		s.setBytes(s.lp().Append(member).ShrinkToFit())
	} else {
		s.grow(gen)
		s.large().insert(table.Hash(member), member)
	}
	return true
}

// AddValue is Add for a member of another set.
func (s *Set) AddValue(v Value, rules Rules, gen *cow.Generation) bool {
	if v.Str == nil && s.large() == nil && !s.pack() {
		return s.addInt(v.Int, rules, gen)
	}
	var buf [20]byte
	return s.Add(text(v, buf[:0]), rules, gen)
}

func (s *Set) addInt(n int64, rules Rules, gen *cow.Generation) bool {
	is, added := s.is().Add(n)
	s.setBytes(is)
	if added && is.Len() > rules.ints() {
		s.grow(gen)
	}
	return added
}

func (s *Set) addPacked(member []byte, rules Rules, gen *cow.Generation) bool {
	lp := s.lp()
	if lp.Find(listpack.HeaderSize, member, 0) >= 0 {
		return false
	}
	if lp.Len() < rules.Entries && len(member) <= rules.Value && lp.SafeToAdd(len(member)) {
		s.setBytes(lp.Append(member))
	} else {
		s.grow(gen)
		s.large().insert(table.Hash(member), member)
	}
	return true
}

// fitsPacked reports whether the intset may become a listpack with one more member of n bytes. As in Redis it takes the
// longer of the greatest and the least member as the length of all members.
func (s *Set) fitsPacked(n int, rules Rules) bool {
	is := s.is()
	longest, total := 0, 0
	if is.Len() > 0 {
		for _, v := range [...]int64{is.Max(), is.Min()} {
			longest = max(longest, Value{Int: v}.Len())
			total = max(total, is.Len()*listpack.OfInt(v).Size())
		}
	}
	return is.Len() < rules.Entries && n <= rules.Value && longest <= rules.Value && total+n <= 1<<30
}

// packInts turns the intset into a listpack.
func (s *Set) packInts() {
	is := s.is()
	size := listpack.Overhead
	for i := range is.Len() {
		size += listpack.OfInt(is.Get(i)).Size()
	}
	lp := listpack.New(size)
	for i := range is.Len() {
		lp = lp.AppendInt(is.Get(i))
	}
	s.setBytes(lp)
	s.head.SetForm(packed)
}

// Ints turns a set whose members are all integers into an intset, if an intset may have so many.
func (s *Set) Ints(rules Rules) {
	if s.large() == nil && !s.pack() || s.Len() > rules.ints() {
		return
	}
	is := intset.New()
	s.Each(func(v Value) bool {
		n, ok := v.Integer()
		if !ok {
			panic("set: Ints of a set with a member that is no integer")
		}
		is, _ = is.Add(n)
		return true
	})
	s.setBytes(is)
	s.head.SetForm(ints)
}

// Has reports whether the set has a member.
func (s *Set) Has(member []byte) bool {
	switch {
	case s.large() != nil:
		return s.large().t.Get(table.Hash(member), member) != nil
	case s.pack():
		return s.lp().Find(listpack.HeaderSize, member, 0) >= 0
	}
	n, ok := listpack.ParseInt(member)
	return ok && s.is().Has(n)
}

// HasValue is Has for a member of another set.
func (s *Set) HasValue(v Value) bool {
	if v.Str != nil {
		return s.Has(v.Str)
	}
	switch {
	case s.large() != nil:
		var buf [20]byte
		return s.Has(v.AppendTo(buf[:0]))
	case s.pack():
		return s.lp().FindInt(listpack.HeaderSize, v.Int, 0) >= 0
	}
	return s.is().Has(v.Int)
}

// Remove removes a member and reports whether it existed.
func (s *Set) Remove(member []byte) bool {
	if l := s.large(); l != nil {
		hash := table.Hash(member)
		r := l.t.Get(hash, member)
		if r == nil {
			return false
		}
		l.bytes -= r.Size()
		l.t.Delete(hash, r)
		return true
	}
	if s.pack() {
		lp := s.lp()
		p := lp.Find(listpack.HeaderSize, member, 0)
		if p < 0 {
			return false
		}
		s.setBytes(lp.Delete(p))
		return true
	}
	n, ok := listpack.ParseInt(member)
	if !ok {
		return false
	}
	is, ok := s.is().Remove(n)
	s.setBytes(is)
	return ok
}

// RemoveValue is Remove for a member of this or another set.
func (s *Set) RemoveValue(v Value) bool {
	var buf [20]byte
	return s.Remove(text(v, buf[:0]))
}

// Each calls fn for every member until fn returns false, and reports whether it called fn for all. fn must not change the
// set.
func (s *Set) Each(fn func(Value) bool) bool {
	switch {
	case s.large() != nil:
		whole := true
		s.large().t.Each(func(r *record.Record) bool {
			whole = fn(Value{Str: r.Key()})
			return whole
		})
		return whole
	case s.pack():
		lp := s.lp()
		for p := listpack.HeaderSize; p != lp.End(); {
			var v Value
			v, p = lp.Read(p)
			if !fn(v) {
				return false
			}
		}
	default:
		is := s.is()
		for i := range is.Len() {
			if !fn(Value{Int: is.Get(i)}) {
				return false
			}
		}
	}
	return true
}

// Scan calls fn for some members, about count, and returns the cursor of the next call, 0 at the end; for a small set it
// calls fn for all members. A member that stays in the set during a whole scan is returned, perhaps more than once. fn must
// not change the set.
func (s *Set) Scan(cursor uint64, count int, fn func(Value)) uint64 {
	if l := s.large(); l != nil {
		return l.t.Scan(cursor, count, func(r *record.Record) { fn(Value{Str: r.Key()}) })
	}
	s.Each(func(v Value) bool {
		fn(v)
		return true
	})
	return 0
}

// Random returns a member of a set that is not empty, all with the same probability. rnd returns random bits.
func (s *Set) Random(rnd func() uint64) Value {
	switch {
	case s.large() != nil:
		return Value{Str: s.large().t.Random(rnd).Key()}
	case s.pack():
		lp := s.lp()
		return lp.Get(lp.Seek(int(rnd() % uint64(lp.Len()))))
	}
	return Value{Int: s.is().Random(rnd())}
}

// sparse is the least ratio of existing to wanted members at which drawing members one by one is cheaper than iterating over
// all.
const sparse = 3

// Sample calls fn for n different random members, n at most Len; every set of n members has the same probability. Their order
// is not random.
func (s *Set) Sample(n int, rnd func() uint64, fn func(Value)) {
	if l := s.large(); l != nil && n <= l.t.Len()/sparse {
		seen := make(map[*record.Record]struct{}, n)
		for len(seen) < n {
			r := l.t.Random(rnd)
			if _, twice := seen[r]; !twice {
				seen[r] = struct{}{}
				fn(Value{Str: r.Key()})
			}
		}
		return
	}
	left := s.Len()
	s.Each(func(v Value) bool {
		// Of the members that are left, n are wanted.
		if n > 0 && rnd()%uint64(left) < uint64(n) {
			fn(v)
			n--
		}
		left--
		return n > 0
	})
}

// RandomAll calls fn for n random members, drawn independently of each other. It iterates over a listpack once, not n times.
func (s *Set) RandomAll(n int, rnd func() uint64, fn func(Value)) {
	if !s.pack() || n < sparse {
		for ; n > 0; n-- {
			fn(s.Random(rnd))
		}
		return
	}
	lp := s.lp()
	at := make([]int, 0, lp.Len())
	for p := listpack.HeaderSize; p != lp.End(); {
		at = append(at, p)
		_, p = lp.Read(p)
	}
	for ; n > 0; n-- {
		fn(lp.Get(at[rnd()%uint64(len(at))]))
	}
}

// Pop removes n different random members, n less than Len, and calls fn for each before it removes it.
func (s *Set) Pop(n int, rnd func() uint64, fn func(Value)) {
	if !s.pack() {
		for ; n > 0; n-- {
			v := s.Random(rnd)
			fn(v)
			s.RemoveValue(v)
		}
		return
	}
	lp := s.lp()
	drawn := make([]int, 0, n)
	left := lp.Len()
	for p := listpack.HeaderSize; n > 0; left-- {
		v, next := lp.Read(p)
		if rnd()%uint64(left) < uint64(n) {
			fn(v)
			drawn = append(drawn, p)
			n--
		}
		p = next
	}
	s.setBytes(lp.DeleteAll(drawn))
}

// Prefetch loads into the processor's cache the memory that a lookup of these members, at most 32, will read. The result has
// no meaning.
func (s *Set) Prefetch(members [][]byte) uint64 {
	l := s.large()
	if l == nil {
		return 0
	}
	var hashes [32]uint64
	n := min(len(members), len(hashes))
	for i, m := range members[:n] {
		hashes[i] = table.Hash(m)
	}
	return l.t.Prefetch(hashes[:n])
}
