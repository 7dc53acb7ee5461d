// Package stream is the value of a stream key: entries in the order of their IDs, and groups of consumers that work
// through them.
//
// # Structure
//
// Entries are packed into nodes. A node is a listpack in Redis's own layout (node.go): what an RDB file holds, byte for
// byte. The nodes are in an index (index.go), a copy-on-write B+ tree, by their master ID: that of the first entry they
// ever had, to which the IDs in the node are relative.
//
// A group has its pending entries in an index by ID, with time and number of deliveries and the number of the consumer;
// each consumer has the IDs of its own in another. So a pending entry takes 51 bytes: the record is there once, and the
// consumer's index says only that the group's has it. A consumer's number stays when its struct is copied. Delivery
// counts that do not fit into 32 bits are in an index of their own. Groups, and the consumers of a group, are slices in
// the order of their names.
//
// Beside the entries a stream has the last ID given, the ID of the first entry, the greatest ID that was deleted, and the
// number of entries ever added. Info holds these.
//
// # Costs
//
// Finding a node or a pending entry, adding and removing one, and finding the pending entry that was delivered first are
// O(log n). Len and Size are kept up to date. Trimming drops whole nodes without reading their entries. Deleting a
// stream is dropping the reference to it. Removing a consumer that has much pending reads the group's index once: 5 ms for a
// million entries. Append to a node that has room, Ack, SetPending for a pending entry, and
// iterating allocate nothing; room grows ahead (appendEntry, index).
//
// # Copy-on-write
//
// A stream has the stamp of the generation in which it was made, see package cow, and so do nodes, the parts of an index,
// groups and consumers. The caller of a method that changes a stream must own the stream, or a Fork of it: a new head, which
// shares all below it. Each part is copied before its first change: the bytes of a node (some 4 KiB), the path in an index (2
// KiB for a leaf and 1 KiB for each row above), a group's head (16 bytes a consumer), a consumer's head. Reads change nothing
// and may run beside the owner of a Fork. Only the owner may call Oldest, which corrects bounds that only it reads.
//
// # Use
//
// A command that changes a stream
//
//  1. makes the key's value its own (keyspace.DB.Own), or makes a stream with New,
//  2. takes the group that it changes with OwnGroup, and consumers whose Seen and Active it writes with OwnConsumer or
//     AddConsumer. What Group and Consumer return is for reading only,
//  3. changes entries and what is pending with the methods of Stream, and the fields Last and Read of an owned group and
//     Seen and Active of an owned consumer directly,
//  4. passes the change of Size to the database (keyspace.DB.AddBytes).
//
// Pointers to groups and consumers are good until the command ends: while a snapshot is held, a change may put a copy in
// their place. A pointer from OwnGroup or OwnConsumer stays the right one until the next snapshot begins. The gen that
// is passed is that of the database (keyspace.DB.Generation).
//
// An Iter or PendingIter is good until the next change of what it reads: for an Iter the entries, so that delivering
// what it returns to a group is allowed; for a PendingIter the pending entries of the group. A loop that changes pending
// entries on its way asks NextPending for each. Fields and values point into the node and are good until the stream's
// next change: they are written to the reply, or copied, before.
//
// Entries and pending entries know nothing of each other: deleting an entry leaves it pending, as in Redis, unless
// DropRefs is called too.
//
// # Loading
//
// A loader builds a stream with AddNode, AddGroup, Group.AddConsumer, Group.AddPending and Group.Own, and ends each group
// with Account. What Validate accepts, and any Info, cannot make the methods here fail, though answers about entries
// whose IDs do not ascend are arbitrary. Len is always the number of live entries in the nodes.
package stream

import (
	"encoding/binary"
	"math"
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

func (id ID) less(other ID) bool { return id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq }

// MaxID is the greatest ID.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Next returns the ID behind id, false if id is MaxID.
func (id ID) Next() (ID, bool) {
	if id.Seq != math.MaxUint64 {
		return ID{id.Ms, id.Seq + 1}, true
	}
	return ID{Ms: id.Ms + 1}, id.Ms != math.MaxUint64
}

// Prev returns the ID before id, false if id is 0-0.
func (id ID) Prev() (ID, bool) {
	if id.Seq != 0 {
		return ID{id.Ms, id.Seq - 1}, true
	}
	return ID{id.Ms - 1, math.MaxUint64}, id.Ms != 0
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

// Unknown stands for the number of entries a group has read when it is not known.
const Unknown = int64(-1)

// Info is the state of a stream beside its entries and groups.
type Info struct {
	Last       ID // the greatest ever given
	First      ID // of the entries that are there, zero if none is
	MaxDeleted ID // the greatest of those that were deleted
	Added      uint64
}

// Stream is a stream. Make one with New.
type Stream struct {
	Info
	nodes  index[node]
	tail   tail
	groups []*Group
	// The first skip bytes of entries in the node skipIn are deleted ones.
	skip   int
	skipIn ID
	length int
	bytes  int // of nodes, groups and all below, but for the index of nodes
	stamp  uint64
}

var (
	streamSize   = mem.SizePtr(int(unsafe.Sizeof(Stream{})))
	groupSize    = mem.SizePtr(int(unsafe.Sizeof(Group{})))
	consumerSize = mem.SizePtr(int(unsafe.Sizeof(Consumer{})))
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
// pinned. It copies one pointer a group.
func (s *Stream) Fork(gen *cow.Generation) *Stream {
	f := *s
	f.stamp = gen.Current()
	f.groups = slices.Clone(s.groups)
	return &f
}

// Clone returns a copy that shares nothing which is ever written with s: that of COPY. It costs O(N).
func (s *Stream) Clone(gen *cow.Generation) *Stream {
	stamp := gen.Current()
	c := &Stream{Info: s.Info, skip: s.skip, skipIn: s.skipIn, length: s.length, stamp: stamp}
	c.nodes = cloneIndex(&s.nodes, stamp, func(n node) node {
		lp := n.lp().Clone()
		c.bytes += cap(lp)
		return node{unsafe.SliceData(lp), stamp}
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
	if !s.addNode(master, fitted(lp), gen) {
		return false
	}
	s.length += entries
	return true
}

func (s *Stream) addNode(master ID, lp listpack.Listpack, gen *cow.Generation) bool {
	if !s.nodes.add(master, node{unsafe.SliceData(lp), gen.Current()}, gen) {
		return false
	}
	s.bytes += cap(lp)
	if master == s.skipIn {
		s.skip = 0 // there was another node of this master ID, before XSETID
	}
	return true
}

// NumNodes returns the number of nodes.
func (s *Stream) NumNodes() int { return s.nodes.n }

// Nodes calls fn for each node in the order of their IDs until it returns false. The listpack must only be read.
func (s *Stream) Nodes(fn func(master ID, lp listpack.Listpack) bool) {
	s.nodes.each(func(id ID, n node) bool { return fn(id, n.lp()) })
}

// Each calls fn for each entry in the order of their IDs until it returns false. pairs holds fields and values alternately, and
// is valid until fn returns.
func (s *Stream) Each(fn func(id ID, pairs []listpack.Value) bool) {
	var pairs []listpack.Value
	var it Iter
	for it.Start(s, ID{}, MaxID, false); it.Next(); {
		pairs = pairs[:0]
		for it.Pairs() > 0 {
			field, value := it.Pair()
			pairs = append(pairs, field, value)
		}
		if !fn(it.ID(), pairs) {
			return
		}
	}
}

// FirstID returns the ID of the first entry, zero if there is none. Info has it too; this is for those who write Info.
func (s *Stream) FirstID() ID { return s.edge(false) }

// TopID returns the ID of the last entry that is there, zero if there is none.
func (s *Stream) TopID() ID { return s.edge(true) }

func (s *Stream) edge(reverse bool) ID {
	var it Iter
	it.Start(s, ID{}, MaxID, reverse)
	if !it.Next() {
		return ID{}
	}
	return it.ID()
}

// Read estimates how many of all entries ever added a group has read whose last ID is id; Unknown if no estimate is exact.
// Redis uses the same estimate for groups without a count (streamEstimateDistanceFromFirstEverEntry).
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
