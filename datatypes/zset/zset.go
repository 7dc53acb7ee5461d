// Package zset is the large form of sorted sets, for those that are too large for a listpack. OBJECT ENCODING calls it
// skiplist.
//
// # Structure
//
// Each member is one record (package record, encoding Score: header, score and member in one pointer-free object). Two
// structures point to it: a hash table (package table) that finds a member, and a counted B+ tree (package btree) that
// keeps the members in the order of score and, where scores are equal, of bytes. The score is in the record only, so
// both always agree. A member of 16 bytes takes 32 bytes of record, 10 to 20 of table and 13 to 17 of tree.
//
// Ranks count from 0 at the lowest score. A selection of a command (by rank, by score, by member) becomes a Span of ranks.
// Its length is known without visiting members, and it can be iterated in both directions or removed. Finding a Span takes
// two descents of the tree.
//
// A member whose score changes keeps its record. If it keeps its place or moves within its leaf, nothing is allocated. If it
// moves to another leaf, only a split allocates.
//
// # Copy-on-write
//
// Table segments and tree nodes are copied before their first change while a snapshot is held (package cow), and a
// record whose score changes then is replaced by a new one in both. So a change never costs more than some KiB. There are two
// ways for another goroutine to read a set, both valid until the generation is unpinned: Snapshot returns the members of this
// moment in constant time; Fork leaves the set itself to its readers (which reach it through a snapshot of the keyspace) and
// returns another one for the owner. Owned reports whether no reader has the set, so that Fork is not needed.
//
// A ZSet belongs to one goroutine, except as said.
package zset

import (
	"bytes"
	"cmp"
	"errors"
	"math/bits"
	"slices"
	"unsafe"

	"ferrous/datatypes/btree"
	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// ZSet is a sorted set. Use New or Build. Scores are any float64 but NaN.
type ZSet struct {
	gen     *cow.Generation
	table   *table.Table
	tree    *btree.Tree
	stamp   uint64
	records int // bytes of all records
}

// New returns an empty sorted set with the stamps of gen.
func New(gen *cow.Generation) *ZSet {
	return &ZSet{gen: gen, table: table.New(gen), tree: btree.New(gen), stamp: gen.Current()}
}

// ErrDuplicate is returned by Build when a member comes twice.
var ErrDuplicate = errors.New("zset: duplicate member")

// Build returns a sorted set of records made with record.NewScore, which it keeps and whose order it changes. Records in
// ascending order, or in descending order as in RDB files, take linear time; others are sorted first.
func Build(gen *cow.Generation, recs []*record.Record) (*ZSet, error) {
	if len(recs) > 1 && Compare(recs[0], recs[len(recs)-1]) > 0 {
		slices.Reverse(recs)
	}
	if !slices.IsSortedFunc(recs, Compare) {
		slices.SortFunc(recs, Compare)
	}
	z := &ZSet{gen: gen, table: table.New(gen), stamp: gen.Current()}
	z.table.Reserve(len(recs), nil)
	for _, r := range recs {
		h := table.Hash(r.Key())
		if z.table.Get(h, r.Key()) != nil {
			return nil, ErrDuplicate
		}
		z.table.Insert(h, r)
		z.records += r.Size()
	}
	z.tree = btree.Build(gen, recs)
	return z, nil
}

// Compare returns the order of two records made with record.NewScore: by score, then by bytes.
func Compare(a, b *record.Record) int {
	if c := cmp.Compare(a.Score(), b.Score()); c != 0 {
		return c
	}
	return bytes.Compare(a.Key(), b.Key())
}

// Len returns the number of members.
func (z *ZSet) Len() int { return z.tree.Len() }

// Size returns the bytes that the set holds, as the allocator counts them. It takes constant time.
func (z *ZSet) Size() int {
	return mem.SizePtr(int(unsafe.Sizeof(*z))) + z.table.Size() + z.tree.Size() + z.records
}

// Owned reports whether the set may be written, because no snapshot's reader has it.
func (z *ZSet) Owned() bool { return z.gen.Owns(z.stamp) }

// Fork returns a set with the same members, to be written instead of z, which from then on must only be read. The
// generation is pinned. It copies the array of the table's pages, 64 bytes for some hundred thousand members.
func (z *ZSet) Fork() *ZSet {
	return &ZSet{gen: z.gen, table: z.table.Fork(), tree: z.tree.Fork(), stamp: z.gen.Current(), records: z.records}
}

// Snapshot returns the members as they are now. The caller has pinned the generation and keeps it pinned for as long as
// the View is read, by any goroutine.
func (z *ZSet) Snapshot() btree.View { return z.tree.Snapshot() }

// Clone returns a copy that shares nothing with z, in linear time.
func (z *ZSet) Clone() *ZSet {
	recs := make([]*record.Record, 0, z.Len())
	c := &ZSet{gen: z.gen, table: table.New(z.gen), stamp: z.gen.Current(), records: z.records}
	z.tree.Each(func(r *record.Record) bool {
		n := record.NewScore(r.Key(), r.Score())
		c.table.Insert(table.Hash(r.Key()), n)
		recs = append(recs, n)
		return true
	})
	c.tree = btree.Build(z.gen, recs)
	return c
}

// Entry is the result of Find, valid until the set changes.
type Entry struct {
	Record *record.Record // nil where there is no such member
	hash   uint64
}

// Find looks a member up. Its result saves Insert, Update and Delete another lookup.
func (z *ZSet) Find(member []byte) Entry {
	h := table.Hash(member)
	return Entry{z.table.Get(h, member), h}
}

// Insert adds a member that Find did not find; e is the result of Find. member is copied.
func (z *ZSet) Insert(e Entry, member []byte, score float64) *record.Record {
	r := record.NewScore(member, score)
	z.table.Insert(e.hash, r)
	z.tree.Insert(r)
	z.records += r.Size()
	return r
}

// Update gives the member that Find found another score and returns its record, which is a new one while a snapshot is
// held. An equal score changes nothing: a zero keeps its sign.
func (z *ZSet) Update(e Entry, score float64) *record.Record {
	r := e.Record
	if r.Score() == score {
		return r
	}
	n := r
	if z.gen.Pinned() {
		n = record.NewScore(r.Key(), score)
		z.table.Replace(e.hash, r, n)
	}
	z.tree.Update(r, n, score)
	return n
}

// Delete removes the member that Find found.
func (z *ZSet) Delete(e Entry) {
	z.table.Delete(e.hash, e.Record)
	z.tree.Delete(e.Record)
	z.records -= e.Record.Size()
}

// Outcome is what Set did.
type Outcome uint8

// The outcomes of Set.
const (
	Unchanged Outcome = iota // the member had this score
	Added
	Updated
)

// Set sets the score of a member, and adds the member if it is missing. member is copied.
func (z *ZSet) Set(member []byte, score float64) Outcome {
	e := z.Find(member)
	switch {
	case e.Record == nil:
		z.Insert(e, member, score)
		return Added
	case e.Record.Score() == score:
		return Unchanged
	}
	z.Update(e, score)
	return Updated
}

// Remove removes a member and reports whether it existed.
func (z *ZSet) Remove(member []byte) bool {
	e := z.Find(member)
	if e.Record == nil {
		return false
	}
	z.Delete(e)
	return true
}

// Score returns a member's score.
func (z *ZSet) Score(member []byte) (score float64, ok bool) {
	r := z.Find(member).Record
	if r == nil {
		return 0, false
	}
	return r.Score(), true
}

// Rank returns the number of members before this one, and its score.
func (z *ZSet) Rank(member []byte) (rank int, score float64, ok bool) {
	r := z.Find(member).Record
	if r == nil {
		return 0, 0, false
	}
	score = r.Score()
	return z.tree.Rank(score, member), score, true
}

// RevRank returns the number of members behind this one, and its score.
func (z *ZSet) RevRank(member []byte) (rank int, score float64, ok bool) {
	rank, score, ok = z.Rank(member)
	if ok {
		rank = z.Len() - 1 - rank
	}
	return rank, score, ok
}

// At returns the member of a rank, nil if there is none.
func (z *ZSet) At(rank int) *record.Record { return z.tree.At(rank) }

// PopMin removes the member of the lowest score and returns it; nil if the set is empty.
func (z *ZSet) PopMin() *record.Record { return z.pop(0) }

// PopMax removes the member of the highest score and returns it; nil if the set is empty.
func (z *ZSet) PopMax() *record.Record { return z.pop(z.Len() - 1) }

func (z *ZSet) pop(rank int) *record.Record {
	r := z.tree.At(rank)
	if r != nil {
		z.Delete(Entry{r, table.Hash(r.Key())})
	}
	return r
}

// Random returns a member, each with the same probability; nil if the set is empty. rnd returns random bits. To draw several
// different ones, draw ranks and call At.
func (z *ZSet) Random(rnd func() uint64) *record.Record {
	n := uint64(z.Len())
	if n == 0 {
		return nil
	}
	// The high word of the product is uniform if the lowest values of the low word are drawn again.
	high, low := bits.Mul64(rnd(), n)
	for low < -n%n {
		high, low = bits.Mul64(rnd(), n)
	}
	return z.tree.At(int(high))
}

// Scan calls fn for the members at the cursor's place in the hash table and returns the cursor of the next call, 0 at the
// end; see table.Table.Scan. fn must not change the set.
func (z *ZSet) Scan(cursor uint64, count int, fn func(*record.Record)) uint64 {
	return z.table.Scan(cursor, count, fn)
}

// Each calls fn for every member in ascending order until it returns false. fn must not change the set.
func (z *ZSet) Each(fn func(*record.Record) bool) { z.tree.Each(fn) }

// Prefetch loads into the processor's cache the memory that a lookup of these members, at most 32, will read. The result has
// no meaning.
func (z *ZSet) Prefetch(members [][]byte) uint64 {
	var hashes [32]uint64
	n := min(len(members), len(hashes))
	for i, m := range members[:n] {
		hashes[i] = table.Hash(m)
	}
	return z.table.Prefetch(hashes[:n])
}
