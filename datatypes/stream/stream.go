// Package stream is the value of a stream key: entries in the order of their IDs, and groups of consumers that work
// through them.
//
// # Structure
//
// Entries are packed into nodes. A node is a listpack in Redis's own layout (node.go): what an RDB file holds, byte for
// byte. The nodes are in an ordered index (index.go) by their master ID, that of the first entry they ever had, to which
// the IDs in the node are relative. The same index holds what is pending: in a group by ID with time and number of
// deliveries and the consumer, in a consumer by ID alone. A consumer is named by a number there, which stays when its
// struct is copied. Groups, and the consumers of a group, are slices in the order of their names.
//
// Beside the entries a stream remembers what was: the last ID given, the first ID still there, the greatest ID that was
// deleted, and how many entries were ever added. Info is all of that.
//
// # Costs
//
// Finding a node or a pending entry is two binary searches; adding at the end touches the last page of an index. Len and
// Size are kept up to date.
//
// # Copy-on-write
//
// A stream bears the stamp of the generation that made it, see package cow, and so do nodes, pages of an index, groups and
// consumers. Whoever changes a stream must own it, or change a Fork: a new head, which shares all below it. Whatever is
// then changed for the first time is copied first: a page of pointers, a node's bytes, a group's head. Reads change
// nothing and may run beside the owner of a Fork.
//
// What is here loads, keeps and saves streams, and copies them. To build on it: XADD appends to the last node or adds one
// (index.set of a node that was owned), XDEL and XTRIM mark entries in nodes or remove nodes (index.delete), XREADGROUP,
// XACK and XCLAIM change pending entries through owned groups and consumers; each ends with the change of bytes.
package stream

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
)

// ID is the ID of an entry. IDs ascend within a stream.
type ID struct {
	Ms  uint64 // Unix time in milliseconds, unless the client chose otherwise
	Seq uint64
}

// Compare returns -1, 0 or 1 as id is before, at or behind other.
func (id ID) Compare(other ID) int {
	switch {
	case id == other:
		return 0
	case id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq:
		return -1
	}
	return 1
}

// IsZero reports whether id is 0-0, which no entry has.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the form of replies, ms-seq.
func (id ID) String() string {
	return string(strconv.AppendUint(append(strconv.AppendUint(nil, id.Ms, 10), '-'), id.Seq, 10))
}

// IDSize is the length of an ID in bytes.
const IDSize = 16

// Append appends the ID in the form of files: 16 bytes, the highest first, so that bytes compare as IDs do.
func (id ID) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, id.Ms), id.Seq)
}

// ParseID reads what Append wrote; b has IDSize bytes.
func ParseID(b []byte) ID {
	return ID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// Unknown is the number of entries a group has read when that cannot be told.
const Unknown = int64(-1)

// Info is what a stream knows beside its entries.
type Info struct {
	Last       ID // the greatest ever given
	First      ID // of the entries that are there, zero if none is
	MaxDeleted ID // the greatest of those that were deleted
	Added      uint64
}

// Stream is a stream. Make one with New.
type Stream struct {
	Info
	nodes  index[*node]
	groups []*Group
	length int
	bytes  int // of nodes, groups and all below, but for the pages of nodes
	stamp  uint64
}

var (
	streamSize   = mem.SizePtr(int(unsafe.Sizeof(Stream{})))
	groupSize    = mem.SizePtr(int(unsafe.Sizeof(Group{})))
	consumerSize = mem.SizePtr(int(unsafe.Sizeof(Consumer{})))
	nodeSize     = mem.SizePtr(int(unsafe.Sizeof(node{})))
)

const pointerSize = 8

// New returns an empty stream.
func New(gen *cow.Generation) *Stream { return &Stream{stamp: gen.Current()} }

// Len returns the number of entries.
func (s *Stream) Len() int { return s.length }

// Size returns the bytes that the stream holds, as the allocator rounds them.
func (s *Stream) Size() int {
	return streamSize + s.nodes.bytes + s.bytes + mem.SizePtr(pointerSize*cap(s.groups))
}

// Encoding returns what OBJECT ENCODING answers.
func (s *Stream) Encoding() record.Encoding { return record.StreamTree }

// Stamp returns the generation in which the stream was made or forked.
func (s *Stream) Stamp() uint64 { return s.stamp }

// Fork returns a stream with the same contents that is changed in the place of s, which from then on is only read. gen is
// pinned. It copies one pointer for every 64 nodes, and one a group.
func (s *Stream) Fork(gen *cow.Generation) *Stream {
	f := *s
	f.stamp = gen.Current()
	f.nodes = s.nodes.fork()
	f.groups = slices.Clone(s.groups)
	return &f
}

// Clone returns a copy that shares nothing which is ever written with s: that of COPY. It costs O(N).
func (s *Stream) Clone(gen *cow.Generation) *Stream {
	stamp := gen.Current()
	c := &Stream{Info: s.Info, length: s.length, stamp: stamp}
	c.nodes = cloneIndex(&s.nodes, stamp, func(n *node) *node {
		n = &node{lp: n.lp.Clone(), stamp: stamp}
		c.bytes += n.size()
		return n
	})
	c.groups = make([]*Group, len(s.groups))
	for i, g := range s.groups {
		c.groups[i] = g.clone(stamp)
		c.bytes += c.groups[i].size()
	}
	return c
}

// AddNode adds a node, whose listpack it takes over and which Validate has accepted, with entries not marked as deleted. It
// reports false if there is a node with this master ID.
func (s *Stream) AddNode(master ID, lp listpack.Listpack, entries int, gen *cow.Generation) bool {
	n := &node{lp: lp, stamp: gen.Current()}
	if !s.nodes.add(master, n, gen) {
		return false
	}
	s.length += entries
	s.bytes += n.size()
	return true
}

// NumNodes returns the number of nodes.
func (s *Stream) NumNodes() int { return s.nodes.n }

// Nodes calls fn for each node in the order of their IDs until it returns false. The listpack must only be read.
func (s *Stream) Nodes(fn func(master ID, lp listpack.Listpack) bool) {
	s.nodes.each(func(id ID, n *node) bool { return fn(id, n.lp) })
}

// Each calls fn for each entry in the order of their IDs until it returns false. Fields and values are by turns in pairs,
// which is good until fn returns.
func (s *Stream) Each(fn func(id ID, pairs []listpack.Value) bool) {
	var r reader
	s.nodes.each(func(master ID, n *node) bool {
		r.start(master, n.lp)
		for r.next() {
			if !r.deleted && !fn(r.id, r.pairs) {
				return false
			}
		}
		return true
	})
}

// FirstID returns the ID of the first entry, zero if there is none.
func (s *Stream) FirstID() (first ID) {
	s.Each(func(id ID, _ []listpack.Value) bool {
		first = id
		return false
	})
	return first
}

// Read estimates how many of all entries ever added a group has read whose last ID is id; Unknown if that cannot be told.
// It is what Redis takes for groups that do not know it themselves (streamEstimateDistanceFromFirstEverEntry).
func (s *Stream) Read(id ID) int64 {
	switch last := id.Compare(s.Last); {
	case s.Added == 0:
		return 0
	case s.length == 0 && last <= 0, last == 0:
		return int64(s.Added)
	case last > 0:
		return Unknown
	}
	if s.MaxDeleted.IsZero() || s.MaxDeleted.Compare(s.First) < 0 {
		// Nothing is missing between the first entry and the last.
		switch id.Compare(s.First) {
		case -1:
			return int64(s.Added) - int64(s.length)
		case 0:
			return int64(s.Added) - int64(s.length) + 1
		}
	}
	return Unknown
}

// Group is a group of consumers.
type Group struct {
	name []byte
	// Last is the ID of the last entry that was delivered.
	Last ID
	// Read is how many of the entries ever added were, Unknown if that cannot be told.
	Read      int64
	pending   index[Pending]
	consumers []*Consumer // by name
	numbered  []*Consumer // by number
	stamp     uint64
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	Time     int64 // of the last delivery, in Unix milliseconds
	Count    uint64
	consumer uint32 // number plus one, 0 for none
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
	n := groupSize + mem.Size(len(g.name)) + g.pending.bytes + mem.SizePtr(pointerSize*cap(g.consumers)) +
		mem.SizePtr(pointerSize*cap(g.numbered))
	for _, c := range g.consumers {
		n += c.size()
	}
	return n
}

func (c *Consumer) size() int { return consumerSize + mem.Size(len(c.name)) + c.pending.bytes }

func (g *Group) clone(stamp uint64) *Group {
	c := *g
	c.stamp = stamp
	c.pending = cloneIndex(&g.pending, stamp, func(p Pending) Pending { return p })
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
	i, ok := slices.BinarySearchFunc(s.groups, name, func(g *Group, name []byte) int { return bytes.Compare(g.name, name) })
	if !ok {
		return nil
	}
	return s.groups[i]
}

// AddGroup adds a group, whose name is copied, to a stream that is owned. It returns nil if there is one of that name.
// What is then put into the group must be told with Account.
func (s *Stream) AddGroup(name []byte, last ID, read int64, gen *cow.Generation) *Group {
	i, ok := slices.BinarySearchFunc(s.groups, name, func(g *Group, name []byte) int { return bytes.Compare(g.name, name) })
	if ok {
		return nil
	}
	g := &Group{name: bytes.Clone(name), Last: last, Read: read, stamp: gen.Current()}
	s.groups = slices.Insert(s.groups, i, g)
	s.bytes += g.size()
	return g
}

// Account takes a group's size anew that was before when the group was last accounted for.
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
	g.pending.each(func(id ID, p Pending) bool { return fn(id, p, g.consumer(p)) })
}

func (g *Group) consumer(p Pending) *Consumer {
	if p.consumer == 0 {
		return nil
	}
	return g.numbered[p.consumer-1]
}

// AddPending adds an entry that is pending, of no consumer yet. It reports false if it was pending.
func (g *Group) AddPending(id ID, time int64, count uint64, gen *cow.Generation) bool {
	return g.pending.add(id, Pending{Time: time, Count: count}, gen)
}

// Consumers returns the consumers in the order of their names. The slice must not be written.
func (g *Group) Consumers() []*Consumer { return g.consumers }

// AddConsumer adds a consumer, whose name is copied. It returns nil if there is one of that name.
func (g *Group) AddConsumer(name []byte, seen, active int64, gen *cow.Generation) *Consumer {
	i, ok := slices.BinarySearchFunc(g.consumers, name, func(c *Consumer, name []byte) int { return bytes.Compare(c.name, name) })
	if ok {
		return nil
	}
	c := &Consumer{name: bytes.Clone(name), Seen: seen, Active: active, stamp: gen.Current()}
	c.number = uint32(len(g.numbered))
	g.numbered = append(g.numbered, c)
	g.consumers = slices.Insert(g.consumers, i, c)
	return c
}

// Own makes an entry that is pending in the group the consumer's. found is false if it is not pending, fresh if it is the
// consumer's already.
func (g *Group) Own(c *Consumer, id ID, gen *cow.Generation) (found, fresh bool) {
	p := g.pending.own(id, gen)
	if p == nil {
		return false, false
	}
	fresh = c.pending.add(id, struct{}{}, gen)
	p.consumer = c.number + 1
	return true, fresh
}

// Orphan reports whether an entry is pending that no consumer has.
func (g *Group) Orphan() bool {
	orphan := false
	g.pending.each(func(_ ID, p Pending) bool {
		orphan = p.consumer == 0
		return !orphan
	})
	return orphan
}

// DropOrphans removes the pending entries that no consumer has. The change of the group's size must be told with Account.
func (g *Group) DropOrphans(gen *cow.Generation) {
	var kept index[Pending]
	g.pending.each(func(id ID, p Pending) bool {
		if p.consumer != 0 {
			kept.add(id, p, gen)
		}
		return true
	})
	g.pending = kept
}

// Name returns the consumer's name, which must not be written.
func (c *Consumer) Name() []byte { return c.name }

// NumPending returns the number of entries that are pending with the consumer.
func (c *Consumer) NumPending() int { return c.pending.n }

// EachPending calls fn for each of them in the order of IDs until it returns false.
func (c *Consumer) EachPending(fn func(id ID) bool) {
	c.pending.each(func(id ID, _ struct{}) bool { return fn(id) })
}
