package stream

import (
	"bytes"
	"math"
	"slices"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
)

// Group is a group of consumers.
type Group struct {
	name []byte
	// Last is the ID of the last entry that was delivered.
	Last ID
	// Read is how many of the entries ever added were delivered (entries-read); Unknown if that is not known.
	Read      int64
	pending   index[nack]
	counts    index[uint64] // of deliveries, where they do not fit into 32 bits
	consumers []*Consumer   // by name
	numbered  []*Consumer   // by number, nil where one was removed
	vacant    int           // how many are nil
	stamp     uint64
}

// nack is a pending entry as the group's index holds it.
type nack struct {
	time     int64
	count    uint32 // wideCount: the index counts has it
	consumer uint32 // number plus one, 0 for none
}

const wideCount = math.MaxUint32

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	Time     int64 // of the last delivery, in Unix milliseconds
	Count    uint64
	consumer uint32
}

// Consumer is a consumer of a group.
type Consumer struct {
	name []byte
	// Seen is when the consumer last asked for entries, Active when it last got some, in Unix milliseconds.
	Seen, Active int64
	pending      index[struct{}]
	number       uint32
	stamp        uint64
}

func (g *Group) size() int {
	n := groupSize + mem.Size(len(g.name)) + g.pending.bytes + g.counts.bytes + g.slices()
	for _, c := range g.consumers {
		n += c.size()
	}
	return n
}

func (g *Group) slices() int {
	return mem.SizePtr(pointerSize*cap(g.consumers)) + mem.SizePtr(pointerSize*cap(g.numbered))
}

func (c *Consumer) size() int { return consumerSize + mem.Size(len(c.name)) + c.pending.bytes }

func (g *Group) clone(stamp uint64) *Group {
	c := *g
	c.stamp = stamp
	c.pending = cloneIndex(&g.pending, stamp, func(n nack) nack { return n })
	c.counts = cloneIndex(&g.counts, stamp, func(n uint64) uint64 { return n })
	c.consumers = make([]*Consumer, len(g.consumers))
	c.numbered = make([]*Consumer, len(g.numbered))
	for i, from := range g.consumers {
		n := *from
		n.stamp = stamp
		n.pending = cloneIndex(&from.pending, stamp, func(struct{}) struct{} { return struct{}{} })
		c.consumers[i] = &n
		c.numbered[n.number] = &n
	}
	return &c
}

// Groups returns the groups in the order of their names. The slice must not be written.
func (s *Stream) Groups() []*Group { return s.groups }

// Group returns the group of a name, nil if there is none.
func (s *Stream) Group(name []byte) *Group {
	i, ok := s.search(name)
	if !ok {
		return nil
	}
	return s.groups[i]
}

func (s *Stream) search(name []byte) (int, bool) {
	return slices.BinarySearchFunc(s.groups, name, func(g *Group, name []byte) int { return bytes.Compare(g.name, name) })
}

// OwnGroup returns the group of a name for writing, nil if there is none. The stream is owned.
func (s *Stream) OwnGroup(name []byte, gen *cow.Generation) *Group {
	i, ok := s.search(name)
	if !ok {
		return nil
	}
	return s.ownGroup(i, gen)
}

func (s *Stream) ownGroup(i int, gen *cow.Generation) *Group {
	g := s.groups[i]
	if gen.Owns(g.stamp) {
		return g
	}
	c := *g
	c.consumers = slices.Clip(slices.Clone(g.consumers))
	c.numbered = slices.Clip(slices.Clone(g.numbered))
	c.stamp = gen.Copying(groupSize + c.slices())
	s.bytes += c.slices() - g.slices()
	s.groups[i] = &c
	return &c
}

// RemoveGroup removes the group of a name and reports whether there was one.
func (s *Stream) RemoveGroup(name []byte) bool {
	i, ok := s.search(name)
	if ok {
		s.bytes -= s.groups[i].size()
		s.groups = slices.Delete(s.groups, i, i+1)
	}
	return ok
}

// AddGroup adds a group, whose name is copied, to a stream that is owned. It returns nil if there is one of that name.
// A loader that then adds pending entries or consumers to the group calls Account at the end.
func (s *Stream) AddGroup(name []byte, last ID, read int64, gen *cow.Generation) *Group {
	i, ok := s.search(name)
	if ok {
		return nil
	}
	g := &Group{name: bytes.Clone(name), Last: last, Read: read, stamp: gen.Current()}
	s.groups = slices.Insert(s.groups, i, g)
	s.bytes += g.size()
	return g
}

// Account updates the stream's size by the change of a group's size; before is that size at the last Account.
func (s *Stream) Account(g *Group, before int) { s.bytes += g.size() - before }

// Size returns the bytes that the group holds.
func (g *Group) Size() int { return g.size() }

// Name returns the group's name, which must not be written.
func (g *Group) Name() []byte { return g.name }

// NumPending returns the number of pending entries.
func (g *Group) NumPending() int { return g.pending.n }

// EachPending calls fn for each pending entry in the order of IDs until it returns false. c is nil for one without a
// consumer.
func (g *Group) EachPending(fn func(id ID, p Pending, c *Consumer) bool) {
	g.pending.each(func(id ID, n nack) bool {
		p := g.unpack(id, n)
		return fn(id, p, g.Owner(p))
	})
}

func (g *Group) unpack(id ID, n nack) Pending {
	p := Pending{Time: n.time, Count: uint64(n.count), consumer: n.consumer}
	if n.count == wideCount {
		p.Count, _ = g.counts.get(id)
	}
	return p
}

// setCount sets the number of deliveries of a pending entry, n.
func (g *Group) setCount(n *nack, id ID, count uint64, gen *cow.Generation) {
	if n.count == wideCount {
		g.counts.remove(id, gen)
	}
	if count < wideCount {
		n.count = uint32(count)
		return
	}
	n.count = wideCount
	g.counts.add(id, count, gen)
}

// Owner returns the consumer of a pending entry of the group, nil if it has none.
func (g *Group) Owner(p Pending) *Consumer {
	if p.consumer == 0 {
		return nil
	}
	return g.numbered[p.consumer-1]
}

// AddPending adds a pending entry without a consumer. It reports false if the ID was pending already. It is for loaders.
func (g *Group) AddPending(id ID, time int64, count uint64, gen *cow.Generation) bool {
	n, fresh := g.pending.put(id, time, gen)
	if fresh {
		n.time = time
		g.setCount(n, id, count, gen)
	}
	return fresh
}

// Consumers returns the consumers in the order of their names. The slice must not be written.
func (g *Group) Consumers() []*Consumer { return g.consumers }

// AddConsumer adds a consumer, whose name is copied. It returns nil if there is one of that name. It is for loaders.
func (g *Group) AddConsumer(name []byte, seen, active int64, gen *cow.Generation) *Consumer {
	i, ok := g.search(name)
	if ok {
		return nil
	}
	c := &Consumer{name: bytes.Clone(name), Seen: seen, Active: active, stamp: gen.Current()}
	if g.vacant > 0 {
		g.vacant--
		c.number = uint32(slices.Index(g.numbered, nil))
		g.numbered[c.number] = c
	} else {
		c.number = uint32(len(g.numbered))
		g.numbered = append(g.numbered, c)
	}
	g.consumers = slices.Insert(g.consumers, i, c)
	return c
}

func (g *Group) search(name []byte) (int, bool) {
	return slices.BinarySearchFunc(g.consumers, name, func(c *Consumer, name []byte) int { return bytes.Compare(c.name, name) })
}

// Own gives a pending entry of the group to the consumer, and takes it from its consumer so far. found is false if the ID is
// not pending, fresh is false if the entry was the consumer's already. It is for loaders.
func (g *Group) Own(c *Consumer, id ID, gen *cow.Generation) (found, fresh bool) {
	if _, ok := g.pending.get(id); !ok {
		return false, false
	}
	n := g.pending.own(id, noBound, gen)
	if n.consumer == c.number+1 {
		return true, false
	}
	if n.consumer != 0 {
		g.numbered[n.consumer-1].pending.remove(id, gen)
	}
	n.consumer = c.number + 1
	return true, c.pending.add(id, struct{}{}, gen)
}

// Orphans returns the number of pending entries that no consumer has. It costs O(1) for each consumer.
func (g *Group) Orphans() int {
	n := g.pending.n
	for _, c := range g.consumers {
		n -= c.pending.n
	}
	return n
}

// DropOrphans removes the pending entries without a consumer. The caller then calls Account.
func (g *Group) DropOrphans(gen *cow.Generation) {
	var orphans []ID
	g.pending.each(func(id ID, n nack) bool {
		if n.consumer == 0 {
			orphans = append(orphans, id)
		}
		return true
	})
	for _, id := range orphans {
		g.forget(id, gen)
	}
}

// Name returns the consumer's name, which must not be written.
func (c *Consumer) Name() []byte { return c.name }

// NumPending returns the number of entries that are pending with the consumer.
func (c *Consumer) NumPending() int { return c.pending.n }

// EachPending calls fn for each of them in the order of IDs until it returns false.
func (c *Consumer) EachPending(fn func(id ID) bool) {
	c.pending.each(func(id ID, _ struct{}) bool { return fn(id) })
}

// Consumer returns the consumer of a name, nil if there is none.
func (g *Group) Consumer(name []byte) *Consumer {
	i, ok := g.search(name)
	if !ok {
		return nil
	}
	return g.consumers[i]
}

// OwnConsumer returns the consumer of a name in an owned group for writing, nil if there is none.
func (s *Stream) OwnConsumer(g *Group, name []byte, gen *cow.Generation) *Consumer {
	i, ok := g.search(name)
	if !ok {
		return nil
	}
	return g.own(g.consumers[i].number, gen)
}

// own returns the consumer of a number for writing.
func (g *Group) own(number uint32, gen *cow.Generation) *Consumer {
	c := g.numbered[number]
	if gen.Owns(c.stamp) {
		return c
	}
	n := *c
	n.stamp = gen.Copying(consumerSize)
	i, _ := g.search(c.name)
	g.consumers[i], g.numbered[number] = &n, &n
	return &n
}

// AddConsumer adds a consumer, whose name is copied, to an owned group. It returns nil if there is one of that name.
// Active is -1 until the consumer gets an entry.
func (s *Stream) AddConsumer(g *Group, name []byte, seen, active int64, gen *cow.Generation) *Consumer {
	before := g.slices()
	c := g.AddConsumer(name, seen, active, gen)
	if c != nil {
		s.bytes += c.size() + g.slices() - before
	}
	return c
}

// filterShare: if a consumer has more than 1/filterShare of the group's pending entries, RemoveConsumer filters the group's
// index as a whole instead of removing entries one by one.
const filterShare = 64

// RemoveConsumer removes a consumer and its pending entries from an owned group. It returns the number of these entries,
// and false if there is no such consumer.
func (s *Stream) RemoveConsumer(g *Group, name []byte, gen *cow.Generation) (pending int, ok bool) {
	i, ok := g.search(name)
	if !ok {
		return 0, false
	}
	c := g.consumers[i]
	s.bytes -= c.size()
	before := g.pending.bytes + g.counts.bytes
	if many := c.pending.n > g.pending.n/filterShare; many {
		g.pending.filter(func(n nack) bool { return n.consumer != c.number+1 }, gen)
		if g.counts.n > 0 {
			c.pending.each(func(id ID, _ struct{}) bool {
				g.counts.remove(id, gen)
				return true
			})
		}
	} else {
		c.pending.each(func(id ID, _ struct{}) bool {
			g.forget(id, gen)
			return true
		})
	}
	s.bytes += g.pending.bytes + g.counts.bytes - before
	g.consumers = slices.Delete(g.consumers, i, i+1)
	g.numbered[c.number] = nil
	g.vacant++
	return c.pending.n, true
}

// forget removes a pending entry from the group's index only.
func (g *Group) forget(id ID, gen *cow.Generation) {
	if g.counts.n > 0 {
		g.counts.remove(id, gen)
	}
	g.pending.remove(id, gen)
}

// Pending returns the pending entry of an ID, false if there is none.
func (g *Group) Pending(id ID) (Pending, bool) {
	n, ok := g.pending.get(id)
	if !ok {
		return Pending{}, false
	}
	return g.unpack(id, n), true
}

// NextPending returns the first pending entry at or behind an ID, false if there is none.
func (g *Group) NextPending(from ID) (ID, Pending, bool) {
	l, i := g.pending.seek(from)
	if l == nil {
		return ID{}, Pending{}, false
	}
	it := &l.items[i]
	return it.id, g.unpack(it.id, it.v), true
}

// LastPending returns the ID of the last pending entry, false if there is none.
func (g *Group) LastPending() (ID, bool) {
	l, i := g.pending.seekBack(MaxID)
	if l == nil {
		return ID{}, false
	}
	return l.items[i].id, true
}

// Oldest returns the pending entry with the earliest delivery time, of several the one with the lowest ID; false if there
// is none. A loop over idle entries sets a new delivery time for each entry, or removes it, and calls Oldest again:
// O(log n) each. The group is owned.
func (g *Group) Oldest() (ID, Pending, bool) {
	id, ok := g.pending.oldest(func(n nack) int64 { return n.time })
	if !ok {
		return ID{}, Pending{}, false
	}
	p, _ := g.Pending(id)
	return id, p, true
}

// SetPending makes an entry pending in an owned group, with a consumer (nil for none), a delivery time and a number of
// deliveries. If the entry was pending already, with any consumer, its values are replaced. It reports whether the entry was
// not pending before. The caller updates Last and Read of the group, and Active of the consumer. RDB files cannot hold a
// pending entry without a consumer: package rdb writes it with a consumer whose name is empty.
func (s *Stream) SetPending(g *Group, c *Consumer, id ID, time int64, count uint64, gen *cow.Generation) (fresh bool) {
	before := g.pending.bytes + g.counts.bytes
	n, fresh := g.pending.put(id, time, gen)
	n.time = time
	if count < wideCount && n.count < wideCount {
		n.count = uint32(count)
	} else {
		g.setCount(n, id, count, gen)
	}
	s.bytes += g.pending.bytes + g.counts.bytes - before
	owner := uint32(0)
	if c != nil {
		owner = c.number + 1
	}
	if n.consumer == owner {
		return fresh
	}
	if n.consumer != 0 {
		s.leave(g, n.consumer-1, id, gen)
	}
	n.consumer = owner
	if c != nil {
		c = g.own(c.number, gen)
		before := c.pending.bytes
		c.pending.put(id, noBound, gen)
		s.bytes += c.pending.bytes - before
	}
	return fresh
}

// leave removes a pending entry from the index of a consumer.
func (s *Stream) leave(g *Group, number uint32, id ID, gen *cow.Generation) {
	c := g.own(number, gen)
	before := c.pending.bytes
	c.pending.remove(id, gen)
	s.bytes += c.pending.bytes - before
}

// Ack removes a pending entry from an owned group and its consumer, and reports whether there was one.
func (s *Stream) Ack(g *Group, id ID, gen *cow.Generation) bool {
	n, ok := g.pending.get(id)
	if !ok {
		return false
	}
	before := g.pending.bytes + g.counts.bytes
	g.forget(id, gen)
	s.bytes += g.pending.bytes + g.counts.bytes - before
	if n.consumer != 0 {
		s.leave(g, n.consumer-1, id, gen)
	}
	return true
}

// Referenced reports whether a group still needs an entry: it was not delivered to the group yet, or is pending.
func (s *Stream) Referenced(id ID) bool {
	for _, g := range s.groups {
		if g.Last.less(id) {
			return true
		}
		if _, ok := g.pending.get(id); ok {
			return true
		}
	}
	return false
}

// DropRefs removes the pending entries of an ID from all groups, and returns how many there were.
func (s *Stream) DropRefs(id ID, gen *cow.Generation) (groups int) {
	for i, g := range s.groups {
		if _, ok := g.pending.get(id); ok {
			s.Ack(s.ownGroup(i, gen), id, gen)
			groups++
		}
	}
	return groups
}

// Advance updates Last and Read of an owned group after the delivery of an entry. An ID that is not greater than Last changes
// nothing. Read is incremented or, if it cannot be counted, estimated. It reports whether Last has changed.
func (s *Stream) Advance(g *Group, id ID) bool {
	if !g.Last.less(id) {
		return false
	}
	if g.Read != Unknown && !s.tombstones(id) {
		g.Read++
	} else if s.Added > 0 {
		g.Read = s.Read(id)
	}
	g.Last = id
	return true
}

// Lag returns the number of entries that were not delivered to the group yet; false if that is not known.
func (s *Stream) Lag(g *Group) (int64, bool) {
	if s.Added == 0 {
		return 0, true
	}
	read := g.Read
	if read == Unknown || s.tombstones(g.Last) {
		read = s.Read(g.Last)
	}
	return int64(s.Added) - read, read != Unknown
}

// HasNews reports whether there may be entries that were not delivered to the group yet. It is true if there is no such group.
func (s *Stream) HasNews(name []byte) bool {
	g := s.Group(name)
	return g == nil || s.length > 0 && g.Last.less(s.Last)
}

// tombstones reports whether entries may have been deleted from id on.
func (s *Stream) tombstones(id ID) bool {
	return s.length > 0 && !s.MaxDeleted.IsZero() && s.First.Compare(s.MaxDeleted) <= 0 && id.Compare(s.MaxDeleted) <= 0
}

// A PendingIter iterates over pending entries in the order of IDs:
//
//	var it stream.PendingIter
//	for it.Start(g, from); it.Next(); {
type PendingIter struct {
	g    *Group
	leaf *leaf[nack]
	i    int
}

// Start begins at the first pending entry at or behind from.
func (it *PendingIter) Start(g *Group, from ID) {
	it.g = g
	it.leaf, it.i = g.pending.seek(from)
	it.i--
}

// Next moves to the next pending entry and reports whether there is one.
func (it *PendingIter) Next() bool {
	if it.leaf == nil {
		return false
	}
	if it.i++; it.i == len(it.leaf.items) {
		it.leaf, it.i = it.g.pending.after(it.leaf)
	}
	return it.leaf != nil
}

// ID returns the ID of the pending entry.
func (it *PendingIter) ID() ID { return it.leaf.items[it.i].id }

// Pending returns the pending entry.
func (it *PendingIter) Pending() Pending {
	e := &it.leaf.items[it.i]
	return it.g.unpack(e.id, e.v)
}

// NextPending returns the first ID at or behind from that is pending with the consumer, false if there is none.
func (c *Consumer) NextPending(from ID) (ID, bool) {
	l, i := c.pending.seek(from)
	if l == nil {
		return ID{}, false
	}
	return l.items[i].id, true
}
