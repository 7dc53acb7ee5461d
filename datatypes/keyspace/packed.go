package keyspace

import (
	"unsafe"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/head"
	"ferrous/datatypes/mem"
	"ferrous/datatypes/record"
	"ferrous/datatypes/table"
)

// # Small collections
//
// A small hash, set, sorted set or list of up to record.MaxPacked bytes is packed: its listpack or intset lies in the record,
// behind the key, as a short string does. That is one allocation without pointers where there were three with two pointers.
// An object, a record with a pointer to the collection's struct, is made when the collection becomes larger.
//
// The packages of collections know nothing of this. Their struct is a head (package head); of a packed collection it is made
// when somebody looks at it:
//
//   - To read, Collection makes a view: a head that points into the record. It is valid until the next change of the key, and
//     at most until the command ends, since views are taken from a slab that each command uses from its beginning.
//   - To change, a Change copies the bytes to a room, a buffer large enough for most changes, and makes a head of it. Its end
//     stores the outcome: in the record if the bytes fit and no snapshot needs them, else in a new record of their size class,
//     or as an object. Until then the record does not change. So a change allocates once at most, however many elements it
//     adds.
//
// A packed record follows the rules of inline strings under a snapshot; it has no stamp. A key that becomes longer by RENAME may
// turn a packed collection into an object; a collection that becomes much shorter is packed again (pack).

// encodings are the encodings of each type in the order of the forms of its head.
var encodings = [record.NumTypes][3]record.Encoding{
	record.Hash: {record.ListPack, record.ListPackEx, record.HashTable},
	record.Set:  {record.IntSet, record.ListPack, record.HashTable},
	record.ZSet: {record.ListPack, record.SkipList},
	record.List: {record.ListPack, record.QuickList},
}

// compact reports whether an encoding is a listpack or an intset.
func compact(e record.Encoding) bool {
	return e == record.ListPack || e == record.ListPackEx || e == record.IntSet
}

// compactBytes returns the bytes of a head of a compact encoding.
func compactBytes(h *head.Head, e record.Encoding) []byte {
	if e == record.IntSet {
		return h.Intset()
	}
	return h.Listpack()
}

// viewOf returns a head that points into the packed record r.
func viewOf(r *record.Record, stamp uint64) head.Head {
	f, e := head.Form(0), r.Encoding()
	if e == record.ListPackEx || e == record.ListPack && r.Type() == record.Set {
		f = 1
	}
	return head.View(r.Packed(), f, stamp)
}

// rooms has the heads and the buffers that commands use.
type rooms struct {
	slab     []head.Head
	used     int           // heads of the slab
	rooms    [2][]byte     // two collections may change at once
	borrower [2]*head.Head // the heads that have them, nil if they are free
}

const (
	slabSize = 64
	roomSize = mem.Kept // a listpack in it does not shrink
)

// BeginCommand makes all views and heads invalid that were made before.
func (ks *Keyspace) BeginCommand() {
	ks.rooms.used = 0
	ks.rooms.borrower = [2]*head.Head{}
}

// place returns memory for a head.
func (p *rooms) place() *head.Head {
	if p.used == len(p.slab) {
		p.slab = make([]head.Head, slabSize) // what views of the old one there are keep it
		p.used = 0
	}
	p.used++
	return &p.slab[p.used-1]
}

// Collection returns the collection of record r, for reading. T is the struct of its type.
func Collection[T any](ks *Keyspace, r *record.Record) *T {
	if !r.Inline() {
		return record.Value[T](r)
	}
	h := ks.rooms.place()
	*h = viewOf(r, ks.gen.Current())
	return (*T)(unsafe.Pointer(h))
}

// borrow returns a head of a copy of b that has the room to grow.
func (ks *Keyspace) borrow(b []byte, f head.Form) *head.Head {
	p := &ks.rooms
	h := p.place()
	var room []byte
	for i := range p.rooms {
		if p.borrower[i] == nil {
			p.borrower[i] = h
			if p.rooms[i] == nil {
				p.rooms[i] = make([]byte, roomSize)
			}
			room = p.rooms[i]
			break
		}
	}
	if room == nil {
		room = make([]byte, roomSize)
	}
	*h = head.View(room[:copy(room, b):roomSize], f, ks.gen.Current())
	return h
}

// A Change is a change of a collection. It begins with Begin or BeginNew and ends with End or Delete. In between nothing else
// may be done with the key.
type Change struct {
	// Record is the key's record; nil for a new key before the end.
	Record *record.Record

	db     *DB
	key    []byte
	t      record.Type
	head   *head.Head // nil: the collection is an object
	before int        // the size that the object had
	next   int64      // the earliest deadline of a field before the change
}

// Begin begins to change the collection of r, a live record of the database. T is the struct of its type. Parts that a snapshot
// needs are copied first. The value may be read after the end, too, until the next Change begins.
func Begin[T any](db *DB, r *record.Record) (*T, Change) {
	ch := Change{db: db, key: r.Key(), t: r.Type(), next: fieldExpiry(r)}
	if r.Inline() {
		ch.Record = r
		v := viewOf(r, 0)
		ch.head = db.ks.borrow(compactBytes(&v, r.Encoding()), v.Form())
		return (*T)(unsafe.Pointer(ch.head)), ch
	}
	ch.Record = db.Own(r)
	ch.before = ValueOf(ch.Record).Size()
	return record.Value[T](ch.Record), ch
}

// BeginNew begins to change a new collection of type t, which the end stores at a missing key, without a deadline. first is its
// struct, which must not be used any more. key is copied.
func BeginNew[T any](db *DB, key []byte, t record.Type, first *T) (*T, Change) {
	h := (*head.Head)(unsafe.Pointer(first))
	ch := Change{db: db, key: key, t: t, head: h}
	if e := encodings[t][h.Form()]; compact(e) {
		if b := compactBytes(h, e); len(b) <= roomSize {
			ch.head = db.ks.borrow(b, h.Form())
		}
	}
	return (*T)(unsafe.Pointer(ch.head)), ch
}

// End stores the collection and updates the memory counters.
func (ch *Change) End() {
	db := ch.db
	if ch.head != nil {
		ch.Record = db.settle(ch)
		return
	}
	ch.count()
	ch.Record = db.pack(ch.Record)
}

// Delete ends a change that has left nothing: the key is deleted.
func (ch *Change) Delete() {
	ch.giveRoom()
	if ch.Record == nil {
		return
	}
	if ch.head == nil {
		ch.count()
	}
	ch.db.Remove(ch.Record)
}

// count updates the counters and the wheel after an object has changed.
func (ch *Change) count() {
	ch.db.AddBytes(ValueOf(ch.Record).Size() - ch.before)
	ch.db.fieldsRescheduled(ch.Record, ch.next)
}

func (ch *Change) giveRoom() {
	p := &ch.db.ks.rooms
	for i, h := range p.borrower {
		if h == ch.head {
			p.borrower[i] = nil
		}
	}
}

// settle stores a collection that is not an object yet, and returns its record.
func (db *DB) settle(ch *Change) *record.Record {
	ch.giveRoom()
	r, h := ch.Record, ch.head
	e := encodings[ch.t][h.Form()]
	if r == nil {
		n := newCollection(ch.t, e, ch.key, h, record.NoExpiry, db.ks.newClock())
		db.Set(n)
		return n
	}
	gen := &db.ks.gen
	if compact(e) {
		if !gen.Pinned() || db.t.Owned(table.Hash(ch.key)) {
			if r.TrySetPacked(e, compactBytes(h, e)) {
				db.fieldsRescheduled(r, ch.next)
				return r
			}
		} else {
			gen.Copying(r.Size())
		}
	}
	n := newCollection(ch.t, e, ch.key, h, r.Expiry(), r.Clock())
	db.replace(table.Hash(ch.key), r, n)
	return n
}

// NewCollection makes a record of a collection or a stream. value points to the struct of type t, and must not be used any more.
// key is copied.
func NewCollection(t record.Type, key []byte, value unsafe.Pointer, expiry int64, clock uint32) *record.Record {
	if t == record.Stream {
		return record.NewObject(t, record.StreamTree, key, value, expiry, clock)
	}
	h := (*head.Head)(value)
	e := encodings[t][h.Form()]
	if compact(e) {
		if b := compactBytes(h, e); record.Packs(key, len(b)) {
			return record.NewPacked(t, e, key, b, expiry, clock)
		}
	}
	return record.NewObject(t, e, key, value, expiry, clock)
}

// newCollection is NewCollection of a copy of h, which may be a view.
func newCollection(t record.Type, e record.Encoding, key []byte, h *head.Head, expiry int64, clock uint32) *record.Record {
	if compact(e) {
		b := compactBytes(h, e)
		if record.Packs(key, len(b)) {
			return record.NewPacked(t, e, key, b, expiry, clock)
		}
		if h.IsView() {
			own := make([]byte, len(b), mem.Size(len(b)))
			copy(own, b)
			h.SetBytes(own)
		}
	}
	c := *h
	return record.NewObject(t, e, key, unsafe.Pointer(&c), expiry, clock)
}

// rekey returns a new record with r's value and clock under another key and deadline, see record.Rekey.
func (db *DB) rekey(r *record.Record, key []byte, expiry int64) *record.Record {
	if !r.IsPacked() {
		return r.Rekey(key, expiry)
	}
	v := viewOf(r, db.ks.gen.Current())
	return newCollection(r.Type(), r.Encoding(), key, &v, expiry, r.Clock())
}

// pack packs the collection of r, an object of the database, if it has become short enough. It returns the key's record from
// now on.
func (db *DB) pack(r *record.Record) *record.Record {
	if r.Type() == record.Stream {
		return r
	}
	h := (*head.Head)(r.Pointer())
	e := encodings[r.Type()][h.Form()]
	if !compact(e) {
		return r
	}
	b := compactBytes(h, e)
	if 2*len(b) > max(record.MaxPacked, h.Cap()) || !record.Packs(r.Key(), len(b)) {
		return r
	}
	n := record.NewPacked(r.Type(), e, r.Key(), b, r.Expiry(), r.Clock())
	db.replace(table.Hash(r.Key()), r, n)
	return n
}

// packedDeadline returns the earliest deadline of a field of a packed hash.
func packedDeadline(r *record.Record) int64 {
	if r.Encoding() != record.ListPackEx {
		return record.NoExpiry
	}
	v := viewOf(r, 0)
	return (*hash.Hash)(unsafe.Pointer(&v)).Earliest()
}
