package stream

import (
	"errors"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
)

var (
	// ErrOrder is returned for an ID that is not greater than all before.
	ErrOrder = errors.New("stream: the ID is not greater than the last one")
	// ErrTooLarge is returned for an entry of more than 1 GiB.
	ErrTooLarge = errors.New("stream: the entry is too large")
)

// NextID returns the ID that an entry gets which is added now, in Unix milliseconds: greater than the last one even if the
// clock goes back. It is false when there is none.
func (s *Stream) NextID(now uint64) (ID, bool) {
	if s.Last.Ms < now {
		return ID{Ms: now}, true
	}
	return s.Last.Next()
}

// NextSeq returns the next ID with the given milliseconds, for IDs of the form ms-*; false when there is none that is
// greater than the last one.
func (s *Stream) NextSeq(ms uint64) (ID, bool) {
	switch {
	case ms > s.Last.Ms:
		return ID{Ms: ms}, true
	case ms < s.Last.Ms:
		return ID{}, false
	}
	id, ok := s.Last.Next()
	return id, ok && id.Ms == ms
}

// Append adds an entry at the end: fields and values alternately, which are copied. The stream is owned. It returns ErrOrder
// if id is not greater than the last ID, ErrTooLarge if the entry is too large.
func (s *Stream) Append(id ID, pairs [][]byte, limits Limits, gen *cow.Generation) error {
	if !s.Last.less(id) {
		return ErrOrder
	}
	text := 0
	for _, p := range pairs {
		text += len(p)
	}
	if text > maxBytes {
		return ErrTooLarge
	}
	var n node
	var master ID
	room := 0
	for l, i := s.nodes.seekBack(MaxID); l != nil; l, i = s.nodes.seekBack(MaxID) {
		n, master = l.items[i].v, l.items[i].id
		if master.less(id) {
			break
		}
		if live, _ := counts(n.lp()); live > 0 {
			return ErrOrder // the last ID is lower than a live entry's: a file with a wrong last ID was loaded
		}
		// XSETID went back behind a node of tombstones.
		s.removeNode(master, n, gen)
		n = node{}
	}
	if n.p != nil {
		if lp := n.lp(); limits.full(lp, text) {
			room = min(len(lp), roomBytes)
			s.seal(master, n, gen)
			n = node{}
		}
	}
	if n.p == nil {
		lp := appendEntry(newNode(pairs, room), id, id, pairs, true)
		s.tail = tail{unsafe.SliceData(lp), cap(lp)}
		s.addNode(id, lp, gen)
	} else {
		owned, before := gen.Owns(n.stamp), s.room(n)
		lp := appendEntry(s.writable(n), master, id, pairs, owned)
		if p := unsafe.SliceData(lp); p != n.p {
			s.replace(master, n, lp, owned, gen)
			s.tail = tail{p, cap(lp)}
		}
		s.bytes += cap(lp) - before
	}
	s.length++
	s.Added++
	s.Last = id
	if s.length == 1 {
		s.First = id
	}
	return nil
}

// replace gives the node n another listpack, because the old one has too little room or is not owned. The caller accounts
// for the bytes.
func (s *Stream) replace(master ID, n node, lp listpack.Listpack, owned bool, gen *cow.Generation) node {
	if n.p == s.tail.p {
		s.tail = tail{}
	}
	n.p = unsafe.SliceData(lp)
	if !owned {
		n.stamp = gen.Copying(cap(lp))
	}
	*s.nodes.own(master, noBound, gen) = n
	return n
}

// seal frees the spare room of a node to which nothing is appended any more.
func (s *Stream) seal(master ID, n node, gen *cow.Generation) {
	before := s.room(n)
	if lp := fitted(s.writable(n)); cap(lp) != before {
		s.replace(master, n, lp, gen.Owns(n.stamp), gen)
		s.bytes += cap(lp) - before
	}
	s.tail = tail{}
}

// own returns the node n for writing.
func (s *Stream) own(master ID, n node, gen *cow.Generation) node {
	if gen.Owns(n.stamp) {
		return n
	}
	before := s.room(n)
	lp := n.lp().Clone()
	s.bytes += cap(lp) - before
	return s.replace(master, n, lp, false, gen)
}

// settle ends a change of the owned node n: lp is its changed listpack, before is the room that the node had.
func (s *Stream) settle(master ID, n node, lp listpack.Listpack, before int, gen *cow.Generation) node {
	p := unsafe.SliceData(lp)
	if p == n.p && n.p == s.tail.p {
		return n
	}
	if lp = fitted(lp); p == n.p && cap(lp) == before {
		return n
	}
	s.bytes += cap(lp) - before
	return s.replace(master, n, lp, true, gen)
}

// removeNode removes the node n from the index.
func (s *Stream) removeNode(master ID, n node, gen *cow.Generation) {
	s.dropped(n)
	s.nodes.remove(master, gen)
}

// dropped subtracts a node that leaves the index from the stream's counters.
func (s *Stream) dropped(n node) {
	s.bytes -= s.room(n)
	if n.p == s.tail.p {
		s.tail = tail{}
	}
}

// Exists reports whether there is an entry with this ID.
func (s *Stream) Exists(id ID) bool {
	var it Iter
	it.Start(s, id, id, false)
	return it.Next()
}

// Delete deletes an entry and reports whether there was one. The stream is owned.
func (s *Stream) Delete(id ID, gen *cow.Generation) bool {
	var it Iter
	it.Start(s, id, id, false)
	if !it.Next() {
		return false
	}
	master, n := it.master, it.leaf.items[it.i].v
	if live, _ := counts(n.lp()); live == 1 {
		s.removeNode(master, n, gen)
	} else {
		n = s.own(master, n, gen)
		before := s.room(n)
		s.settle(master, n, count(s.mark(s.writable(n), it.at), 1), before, gen)
	}
	s.length--
	if s.MaxDeleted.less(id) {
		s.MaxDeleted = id
	}
	s.mendFirst(id == s.First)
	return true
}

// mark is the function of the same name. A listpack that it makes longer may be the one that skip is about.
func (s *Stream) mark(lp listpack.Listpack, p int) listpack.Listpack {
	before := len(lp)
	if lp = mark(lp, p); len(lp) != before {
		s.skip = 0
	}
	return lp
}

// mendFirst updates First after entries were removed, if First was one of them or no entry is left.
func (s *Stream) mendFirst(removed bool) {
	if s.length == 0 {
		s.First = ID{}
		return
	}
	if !removed {
		return
	}
	var it Iter
	it.Start(s, ID{}, MaxID, false)
	if it.Next() {
		s.First = it.ID()
		s.skip, s.skipIn = it.at-it.head, it.master
	}
}

// SetID is XSETID. added is how many entries were ever added, maxDeleted the greatest ID that was deleted; they are left as
// they are with Unknown and zero. The caller has checked that the ID is not lower than TopID and MaxDeleted.
func (s *Stream) SetID(last ID, added int64, maxDeleted ID) {
	s.Last = last
	if added != Unknown {
		s.Added = uint64(added)
	}
	if !maxDeleted.IsZero() {
		s.MaxDeleted = maxDeleted
	}
}

// Refs says what becomes of the references that groups have to an entry which is trimmed: that it is pending, or that it
// was not delivered yet.
type Refs uint8

const (
	KeepRef Refs = iota // references stay
	DelRef              // it is pending no more
	Acked               // an entry with references is not trimmed
)

// Trim are the options of Stream.Trim, which removes entries from the first one on.
type Trim struct {
	MinID  ID  // with ByID: entries before it
	MaxLen int // else: entries until this many are left
	ByID   bool
	Approx bool // only whole nodes
	Limit  int  // 0 for no limit: trimming stops before a node with which more than so many entries would be removed
	Refs   Refs
}

// Trim removes entries and returns how many. The stream is owned. Unlike Delete it leaves MaxDeleted as it is, as Redis
// does. With KeepRef it costs O(1) for each node that is removed as a whole.
func (s *Stream) Trim(t Trim, gen *cow.Generation) (deleted int) {
	for from := (ID{}); ; {
		l, i := s.nodes.seek(from)
		if l == nil {
			break
		}
		if t.Refs == KeepRef {
			k, stop := s.dropNodes(t, l.items, &deleted)
			if k > 0 {
				whole := k == len(l.items)
				s.nodes.removeFirst(k, gen)
				if whole && !stop {
					continue
				}
				if !stop {
					l, i = s.nodes.seek(from)
				}
			}
			if stop {
				break
			}
		} else if !t.ByID && s.length <= t.MaxLen {
			break
		}
		master, n := l.items[i].id, l.items[i].v
		live, _ := counts(n.lp())
		if t.Limit > 0 && deleted+live > t.Limit {
			break
		}
		whole := t.whole(s.length, master, n.lp())
		if t.Approx && !whole {
			break
		}
		deleted += s.trimNode(t, master, n, gen)
		if !whole && (t.ByID || s.length <= t.MaxLen) {
			break
		}
		var ok bool
		if from, ok = master.Next(); !ok {
			break
		}
	}
	s.mendFirst(deleted > 0)
	return deleted
}

// whole reports whether all entries of a node are to be removed.
func (t *Trim) whole(length int, master ID, lp listpack.Listpack) bool {
	if t.ByID {
		return lastID(master, lp).less(t.MinID)
	}
	live, _ := counts(lp)
	return length-live >= t.MaxLen
}

// dropNodes counts the nodes at the front of the first leaf that are removed as a whole, and subtracts them from the stream's
// counters. stop is true if nothing else is to be removed.
func (s *Stream) dropNodes(t Trim, items []item[node], deleted *int) (k int, stop bool) {
	for i := range items {
		n := items[i].v
		live, _ := counts(n.lp())
		switch {
		case !t.ByID && s.length <= t.MaxLen, t.Limit > 0 && *deleted+live > t.Limit:
			return i, true
		case !t.whole(s.length, items[i].id, n.lp()):
			return i, t.Approx
		}
		s.length -= live
		*deleted += live
		s.dropped(n)
	}
	return len(items), false
}

// trimNode removes the entries of one node that are to be removed, one by one, and returns how many. With KeepRef a node
// keeps its place though all its entries were removed, as in Redis.
func (s *Stream) trimNode(t Trim, master ID, n node, gen *cow.Generation) (gone int) {
	var c cursor
	c.open(master, n.lp())
	before := 0
	for p := c.head + s.skipped(master); p != c.lp.End(); {
		c.read(p)
		if t.ByID && !c.id.less(t.MinID) || !t.ByID && s.length <= t.MaxLen {
			break
		}
		p = c.end()
		if c.deleted || t.Refs == Acked && s.Referenced(c.id) {
			continue
		}
		if t.Refs == DelRef {
			s.DropRefs(c.id, gen)
		}
		if gone == 0 {
			n = s.own(master, n, gen)
			before = s.room(n)
			c.lp = s.writable(n)
		}
		p -= len(c.lp)
		c.lp = s.mark(c.lp, c.at)
		p += len(c.lp)
		gone++
		s.length--
	}
	if gone == 0 {
		return 0
	}
	n = s.settle(master, n, count(c.lp, gone), before, gen)
	if live, _ := counts(n.lp()); live == 0 && t.Refs != KeepRef {
		s.removeNode(master, n, gen)
	}
	return gone
}

// skipped returns how many bytes of deleted entries a node begins with, as far as is known. That saves a stream that is
// trimmed exactly with each entry added, or used as a queue, from reading them again and again.
func (s *Stream) skipped(master ID) int {
	if master == s.skipIn {
		return s.skip
	}
	return 0
}

// An Iter iterates over the entries of a range of IDs, both ends included:
//
//	var it stream.Iter
//	for it.Start(s, start, end, false); it.Next(); {
//		... it.ID(), it.Pairs() ...
//		for it.Pairs() > 0 {
//			field, value := it.Pair()
//
// Pairs need not be read. An Iter can be used again.
type Iter struct {
	cursor
	s          *Stream
	start, end ID
	reverse    bool
	leaf       *leaf[node] // nil when there is nothing more
	i          int
	p          int  // where the next entry begins or, in reverse, ends
	inside     bool // forward: p is that of the entry read last
}

// Start begins an iteration from start to end or, in reverse, from end to start.
func (it *Iter) Start(s *Stream, start, end ID, reverse bool) {
	it.s, it.start, it.end, it.reverse = s, start, end, reverse
	if reverse {
		it.leaf, it.i = s.nodes.seekBack(end)
		it.enter()
		return
	}
	if it.leaf, it.i = s.nodes.seekBack(start); it.leaf == nil {
		it.leaf, it.i = s.nodes.seek(start)
	}
	it.enter()
	if it.leaf != nil {
		it.seek()
	}
}

// enter opens the node at the iterator's place.
func (it *Iter) enter() {
	if it.leaf == nil {
		return
	}
	e := &it.leaf.items[it.i]
	it.open(e.id, e.v.lp())
	it.inside = false
	it.p = it.head + it.s.skipped(e.id)
	if it.reverse {
		it.p = it.lp.End()
	}
}

// seek moves to the first entry from start on from the node's end, if start is nearer to that than to the beginning.
func (it *Iter) seek() {
	p := it.lp.End()
	if it.p == p || it.start.less(it.master) {
		return
	}
	before := it.before(p)
	it.read(before)
	at, last := it.start.Ms-it.master.Ms, it.id.Ms-it.master.Ms
	if last == 0 {
		at, last = it.start.Seq-it.master.Seq, it.id.Seq-it.master.Seq
	}
	if at < last/2 {
		return
	}
	for !it.id.less(it.start) {
		p = before
		if p == it.p {
			return
		}
		before = it.before(p)
		it.read(before)
	}
	it.p = p
}

// Next moves to the next entry and reports whether there is one.
func (it *Iter) Next() bool {
	for it.leaf != nil {
		if it.reverse {
			if it.p == it.head+it.s.skipped(it.master) {
				if it.i--; it.i < 0 {
					it.leaf, it.i = it.s.nodes.before(it.leaf)
				}
				it.enter()
				continue
			}
			it.p = it.before(it.p)
			it.read(it.p)
			if it.deleted || it.end.less(it.id) {
				continue
			}
			if it.id.less(it.start) {
				break
			}
			return true
		}
		if it.inside {
			it.p = it.cursor.end()
		}
		if it.inside = it.p != it.lp.End(); !it.inside {
			if it.i++; it.i == len(it.leaf.items) {
				it.leaf, it.i = it.s.nodes.after(it.leaf)
			}
			it.enter()
			continue
		}
		it.read(it.p)
		if it.deleted || it.id.less(it.start) {
			continue
		}
		if it.end.less(it.id) {
			break
		}
		return true
	}
	it.leaf = nil
	return false
}

// ID returns the ID of the entry.
func (it *Iter) ID() ID { return it.id }

// Pairs returns the number of pairs of the entry that Pair has not returned yet.
func (it *Iter) Pairs() int { return it.pairs }

// Pair returns the next field and value of the entry.
func (it *Iter) Pair() (field, value listpack.Value) { return it.pair() }
