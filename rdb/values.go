package rdb

import (
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/intset"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/serial"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/table"
)

// Rules has the limits for the forms of values.
type Rules struct {
	Hash hash.Rules
	Set  set.Rules
	List list.Rules
	ZSet sortedset.Rules
}

// A decoder reads values.
//
// The form of a value follows Redis 7.2 (rdbLoadObject). A packed value stays packed if it has no more elements than the
// rules allow, whatever their lengths, and a listpack or intset keeps its bytes. A value that is stored element by element is
// packed if number and lengths allow. A collection without elements is not a value: value returns nil, and the caller skips
// the key.
//
// The decoder always makes the checks of sanitize-dump-payload. Values that Redis accepts without them are either corrected
// (odd) or an error, see the package comment. An odd value is never kept as it is: it may be harmless while packed, but break
// a table later, or lead to a dump that no server loads.
type decoder struct {
	reader
	rules   *Rules
	gen     *cow.Generation
	valkey  bool   // types from 22 on are Valkey's
	scratch []byte // bytes that are needed after the next piece is read
	seen    hashSet

	file   bool   // the source is a file, not a payload of a client
	repair bool   // see Loader.Repair
	oddity string // the correction of the value that was read, "" if there was none
}

// The corrections, as they are logged.
const (
	fieldTwice  = "a field comes twice; its first value is kept"
	memberTwice = "a member comes twice; it is kept once"
	scoreTwice  = "a member comes twice; its first score is kept"
	intsOrder   = "the members of the intset are not in order; they are put in order"
	ownerless   = "entries are pending that no consumer has; they are pending no more"
)

// odd is called for a value that Redis loads unless it sanitizes. If the value must not be corrected (repair), reading ends
// with the reason as error.
func (d *decoder) odd(reason, repaired string) {
	if !d.repair {
		d.fail(reason)
	}
	d.oddity = repaired
}

// value reads a value of type t and returns its record, with the key of setKey; nil for an empty collection.
func (d *decoder) value(t Type, expiry int64, clock uint32) *record.Record {
	d.typ, d.oddity = t, ""
	switch t {
	case typeString:
		return d.stringValue(expiry, clock)
	case typeList, typeListZiplist, typeQuicklist, typeQuicklist2:
		if l := d.list(t); l != nil {
			return keyspace.NewCollection(record.List, d.key, unsafe.Pointer(l), expiry, clock)
		}
	case typeSet, typeSetIntset, typeSetListpack:
		if s := d.set(t); s != nil {
			return keyspace.NewCollection(record.Set, d.key, unsafe.Pointer(s), expiry, clock)
		}
	case typeHash, typeHashZipmap, typeHashZiplist, typeHashListpack, typeHashTTLPreGA, typeHashPackPreGA, typeHashTTL,
		typeHashListpackEx:
		if h := d.hash(t); h != nil {
			return keyspace.NewCollection(record.Hash, d.key, unsafe.Pointer(h), expiry, clock)
		}
	case typeZSet, typeZSet2, typeZSetZiplist, typeZSetListpack:
		if z := d.zset(t); z != nil {
			return keyspace.NewCollection(record.ZSet, d.key, unsafe.Pointer(z), expiry, clock)
		}
	case typeStream, typeStream2, typeStream3:
		return d.streamValue(t, expiry, clock)
	case typeModulePreGA:
		d.fail("Pre-release module format not supported")
	case typeModule2:
		d.failf("The RDB file contains module data I can't load: no matching module type '%s'", moduleName(d.length()))
	default:
		d.failf("Unknown RDB encoding type %d", t)
	}
	return nil
}

func (d *decoder) stringValue(expiry int64, clock uint32) *record.Record {
	t := d.text()
	switch {
	case t.isInt:
		return record.NewInt(d.key, t.num, expiry, clock)
	case t.owned && len(t.b) > record.MaxInline:
		return record.NewOwned(d.key, t.b, expiry, clock, d.gen.Current())
	}
	if len(t.b) > record.MaxInline {
		b := make([]byte, len(t.b))
		copy(b, t.b)
		return record.NewOwned(d.key, b, expiry, clock, d.gen.Current())
	}
	return record.NewString(d.key, t.b, expiry, clock, d.gen.Current())
}

// pack reads a listpack and checks it; the number of elements must be a multiple of n.
func (d *decoder) pack(n int) listpack.Listpack {
	b := d.blob()
	if err := listpack.Validate(b, true); err != nil {
		d.failf("Listpack integrity check failed: %v", err)
	}
	lp := listpack.Listpack(b)
	if n > 1 && lp.Len()%n != 0 {
		d.failf("Listpack integrity check failed: %d elements are not groups of %d", lp.Len(), n)
	}
	return lp
}

const reasonTwice = "Listpack integrity check failed: an element comes twice"

// distinct reports whether the first elements of the groups of n are all different.
func (d *decoder) distinct(lp listpack.Listpack, n int) bool {
	d.seen.reset(lp.Len() / n)
	var buf [20]byte
	for p := listpack.HeaderSize; p != lp.End(); {
		v, next := lp.Read(p)
		if !d.seen.add(elementText(v, buf[:0])) {
			return false
		}
		p = next
		for i := 1; i < n; i++ {
			_, p = lp.Read(p)
		}
	}
	return true
}

// unique returns lp without the groups of n elements whose first element is that of an earlier group. repaired is the
// correction to log if there were any.
func (d *decoder) unique(lp listpack.Listpack, n int, repaired string) listpack.Listpack {
	if d.distinct(lp, n) {
		return lp
	}
	d.odd(reasonTwice, repaired)
	out := listpack.New(len(lp))
	d.seen.reset(lp.Len() / n)
	var buf [20]byte
	for p := listpack.HeaderSize; p != lp.End(); {
		v, _ := lp.Read(p)
		fresh := d.seen.add(elementText(v, buf[:0]))
		for range n {
			v, p = lp.Read(p)
			if fresh {
				out = out.Insert(out.End(), listpack.OfValue(v))
			}
		}
	}
	return out.ShrinkToFit()
}

// hashSet finds elements that come twice by their hashes. It ignores the chance that two different elements have the same 64
// bits: the hash has a secret seed, so no client can cause that.
type hashSet struct {
	slots []uint64 // open addressing, at most half full; 0 is free
}

// reset empties the set and makes room for n elements.
func (s *hashSet) reset(n int) {
	size := 1 << bits.Len(uint(2*n))
	if cap(s.slots) < size || cap(s.slots) > 64*size {
		s.slots = make([]uint64, size)
		return
	}
	s.slots = s.slots[:size]
	clear(s.slots)
}

// add reports whether b is new.
func (s *hashSet) add(b []byte) bool {
	h := table.Hash(b) | 1
	for i := h >> 1; ; i++ {
		switch slot := &s.slots[i&uint64(len(s.slots)-1)]; *slot {
		case 0:
			*slot = h
			return true
		case h:
			return false
		}
	}
}

// elementText returns the bytes of v, an integer's appended to buf.
func elementText(v listpack.Value, buf []byte) []byte {
	if v.Str != nil {
		return v.Str
	}
	return v.AppendTo(buf)
}

func (d *decoder) list(t Type) *list.List {
	rules := d.rules.List
	switch t {
	case typeListZiplist:
		// As in Redis, a quicklist whatever its size.
		q := quicklist.New(rules.Set, rules.Fill, rules.Depth)
		d.ziplist("List ziplist", d.string(), func(v listpack.Value) {
			var buf [20]byte
			q.PushTail(elementText(v, buf[:0]))
		})
		if q.Len() == 0 {
			return nil
		}
		return list.FromQuicklist(q, d.gen)
	case typeList:
		q := quicklist.New(rules.Set, rules.Fill, rules.Depth)
		for n := d.length(); n > 0; n-- {
			q.PushTail(d.string())
		}
		return d.settled(q)
	}
	nodes := d.length()
	if nodes == 1 && t == typeQuicklist2 {
		// The usual small list: no need for a quicklist in between.
		switch container := d.length(); container {
		case serial.NodePacked:
			lp := d.pack(1)
			n := lp.Len()
			if n == 0 {
				return nil
			}
			if size, count := quicklist.NodeLimit(rules.Fill); len(lp) <= size && n <= count {
				return list.FromListpack(lp, d.gen)
			}
			return list.FromQuicklist(quicklist.FromListpack(rules.Set, rules.Fill, rules.Depth, lp), d.gen)
		default:
			q := quicklist.New(rules.Set, rules.Fill, rules.Depth)
			d.plainNode(q, container)
			return d.settled(q)
		}
	}
	q := quicklist.New(rules.Set, rules.Fill, rules.Depth)
	for ; nodes > 0; nodes-- {
		if t == typeQuicklist {
			lp := listpack.New(0)
			d.ziplist("Ziplist", d.string(), func(v listpack.Value) { lp = lp.Insert(lp.End(), listpack.OfValue(v)) })
			q.AppendListpack(lp.ShrinkToFit())
			continue
		}
		if container := d.length(); container == serial.NodePacked {
			q.AppendListpack(d.pack(1)) // drops an empty listpack
		} else {
			d.plainNode(q, container)
		}
	}
	return d.settled(q)
}

// plainNode reads a node of one element.
func (d *decoder) plainNode(q *quicklist.List, container uint64) {
	if container != serial.NodePlain {
		d.failf("Quicklist integrity check failed: a node of kind %d", container)
	}
	b := d.blob()
	if len(b) == 0 {
		d.fail("Quicklist integrity check failed: an empty plain node")
	}
	q.AppendPlain(b)
}

// settled returns the list of a quicklist, nil if that is empty.
func (d *decoder) settled(q *quicklist.List) *list.List {
	if q.Len() == 0 {
		return nil
	}
	l := list.FromQuicklist(q, d.gen)
	l.Settle(d.rules.List)
	return l
}

const reasonTwiceInSet = "Duplicate set members detected"

func (d *decoder) set(t Type) *set.Set {
	rules := d.rules.Set
	switch t {
	case typeSetIntset:
		b := d.blob()
		is := intset.Intset(b)
		if err := intset.Validate(b, true); err != nil {
			reason := "Intset integrity check failed: " + err.Error()
			if intset.Validate(b, false) != nil {
				d.fail(reason)
			}
			d.odd(reason, intsOrder)
			is = intset.New()
			for i := range intset.Intset(b).Len() {
				is, _ = is.Add(intset.Intset(b).Get(i))
			}
		}
		if is.Len() <= rules.Ints {
			return set.FromIntset(is, d.gen)
		}
		s := set.NewLarge(is.Len(), d.gen)
		for i := range is.Len() {
			s.AddValue(listpack.Value{Int: is.Get(i)}, rules, d.gen)
		}
		return s
	case typeSetListpack:
		lp := d.pack(1)
		n := lp.Len()
		if n == 0 {
			return nil
		}
		if n <= rules.Entries {
			return set.FromListpack(d.unique(lp, 1, memberTwice), d.gen)
		}
		s := set.NewLarge(n, d.gen)
		for p := listpack.HeaderSize; p != lp.End(); {
			var v listpack.Value
			v, p = lp.Read(p)
			if !s.AddValue(v, rules, d.gen) {
				d.odd(reasonTwiceInSet, memberTwice)
			}
		}
		return s
	}
	n := d.length()
	if n == 0 {
		return nil
	}
	var s *set.Set
	if n > uint64(min(rules.Ints, 1<<30)) {
		s = set.NewLarge(d.plausible(n, elementBytes), d.gen)
	} else {
		s = set.NewInts(d.gen)
	}
	longest := 0
	for ; n > 0; n-- {
		m := d.string()
		longest = max(longest, len(m))
		at := rules
		if longest > rules.Value {
			at.Entries = 0 // no listpack, even if the long member was an integer
		}
		if !s.Add(m, at, d.gen) {
			d.fail(reasonTwiceInSet)
		}
	}
	return s
}

// score reads a score in the form of RDB versions below 8.
func (d *decoder) score() float64 {
	switch n := d.byte(); n {
	case 255:
		return math.Inf(-1)
	case 254:
		return math.Inf(1)
	case 253:
		return math.NaN()
	default:
		s := string(d.view(int(n)))
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			d.failf("Invalid zset score %q", s)
		}
		return f
	}
}

// moduleName returns the nine characters of a module's type ID.
func moduleName(id uint64) string {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	for i := range name {
		name[i] = chars[id>>(10+6*(8-i))&63]
	}
	return string(name[:])
}

// moduleValue skips the value of a module.
func (d *decoder) moduleValue() {
	for {
		switch op := d.length(); op {
		case moduleEOF:
			return
		case moduleSigned, moduleUint:
			d.encodedLength()
		case moduleFloat:
			d.skip(4)
		case moduleDouble:
			d.skip(8)
		case moduleString:
			d.skipText()
		default:
			d.failf("Unknown module opcode %d", op)
		}
	}
}
