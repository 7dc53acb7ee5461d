package rdb

import (
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
)

// How values are written. Each is written in the form that Redis 7.2 gives it, but for what the version does not have:
//
//	version  9   lists, hashes, sorted sets and sets that are not intsets go element by element; streams lose how many
//	             entries were added and read
//	version 10   sets in listpacks go element by element; streams lose active times
//	version 11   all of Redis 7.2
//	version 12   deadlines of hash fields
//
// Unasked, a version is chosen in which nothing is lost. The listpack of a set counts only if one of its members is so long
// that no listpack would be made of them when they are read one by one; others come back as they were, but for integers
// alone, of which an intset is made. When a version was asked for, streams lose what servers of that version do not know;
// but deadlines of fields are never lost: that is an error.

const (
	versionListpacks = 10 // listpacks, quicklists of them, function libraries
	versionSetPacks  = 11 // listpacks of sets, streams with active times
	versionDeadlines = 12 // of hash fields
)

// typeOf returns the type that r is written as, and raises the version if it must be.
func (w *writer) typeOf(r *record.Record) Type {
	switch r.Type() {
	case record.List:
		if w.version >= versionListpacks {
			return typeQuicklist2
		}
		return typeList
	case record.Set:
		s := record.Value[set.Set](r)
		if w.version < versionSetPacks && !w.fixed && longMember(s.Listpack()) {
			w.need(versionSetPacks, "")
		}
		switch {
		case s.Intset() != nil:
			return typeSetIntset
		case s.Listpack() != nil && w.version >= versionSetPacks:
			return typeSetListpack
		}
		return typeSet
	case record.ZSet:
		if record.Value[sortedset.SortedSet](r).Listpack() != nil && w.version >= versionListpacks {
			return typeZSetListpack
		}
		return typeZSet2
	case record.Hash:
		h := record.Value[hash.Hash](r)
		switch {
		case h.Earliest() != record.NoExpiry:
			w.need(versionDeadlines, "a deadline of a hash field")
			if h.ListpackEx() != nil {
				return typeHashListpackEx
			}
			return typeHashTTL
		case h.ListpackEx() != nil && w.version >= versionDeadlines:
			return typeHashListpackEx
		case h.Listpack() != nil && w.version >= versionListpacks:
			return typeHashListpack
		}
		return typeHash
	case record.Stream:
		if w.version < versionSetPacks && !w.fixed && activeTimes(record.Value[stream.Stream](r)) {
			w.need(versionSetPacks, "")
		}
		switch {
		case w.version >= versionSetPacks:
			return typeStream3
		case w.version >= versionListpacks:
			return typeStream2
		}
		return typeStream
	}
	return typeString
}

// longMember reports whether a member of a listpack (nil for none) is longer than sets in listpacks have them unless they
// are configured otherwise.
func longMember(lp listpack.Listpack) bool {
	const usual = 64
	if len(lp) <= usual {
		return false
	}
	for p := listpack.HeaderSize; p != lp.End(); {
		var v listpack.Value
		if v, p = lp.Read(p); len(v.Str) > usual {
			return true
		}
	}
	return false
}

// body writes the value of r as type t.
func (w *writer) body(t Type, r *record.Record) {
	switch r.Type() {
	case record.String:
		if r.Encoding() == record.Int {
			w.int(r.Int())
		} else {
			w.text(r.String(nil))
		}
	case record.List:
		w.list(t, record.Value[list.List](r))
	case record.Set:
		w.set(t, record.Value[set.Set](r))
	case record.ZSet:
		w.zset(t, record.Value[sortedset.SortedSet](r))
	case record.Hash:
		w.hash(t, record.Value[hash.Hash](r))
	case record.Stream:
		w.stream(t, record.Value[stream.Stream](r))
	default:
		panic("rdb: a value of type " + r.Type().String() + " cannot be written")
	}
}

func (w *writer) list(t Type, l *list.List) {
	if t == typeList {
		w.length(uint64(l.Len()))
		l.Range(0, l.Len(), false, w.value)
		return
	}
	if lp := l.Listpack(); lp != nil {
		w.length(1)
		w.length(nodePacked)
		w.text(lp)
		return
	}
	q := l.Quicklist()
	w.length(uint64(q.NumNodes()))
	q.Nodes(func(n quicklist.NodeData) bool {
		if n.Plain {
			w.length(nodePlain)
		} else {
			w.length(nodePacked)
		}
		if n.LZF != nil {
			w.blobLZF(n.LZF, n.Size)
		} else {
			w.text(n.Raw)
		}
		return w.err == nil
	})
}

func (w *writer) set(t Type, s *set.Set) {
	switch t {
	case typeSetIntset:
		w.text(s.Intset())
	case typeSetListpack:
		w.text(s.Listpack())
	default:
		w.length(uint64(s.Len()))
		s.Each(func(v listpack.Value) bool {
			w.value(v)
			return w.err == nil
		})
	}
}

func (w *writer) zset(t Type, z *sortedset.SortedSet) {
	if t == typeZSetListpack {
		w.text(z.Listpack())
		return
	}
	// From the highest score on, as Redis does, so that whoever loads it inserts in front.
	w.length(uint64(z.Len()))
	it := z.Iter(z.All(), true)
	for w.err == nil {
		member, score, ok := it.Next()
		if !ok {
			return
		}
		w.value(member)
		w.double(score)
	}
}

func (w *writer) hash(t Type, h *hash.Hash) {
	switch t {
	case typeHashListpack:
		w.text(h.Listpack())
		return
	case typeHashListpackEx:
		w.uint64(uint64(max(h.Earliest(), 0)))
		w.text(h.ListpackEx())
		return
	}
	earliest := h.Earliest()
	timed := t == typeHashTTL
	if timed {
		w.uint64(uint64(earliest))
	}
	w.length(uint64(h.Len()))
	h.EachField(func(field, value listpack.Value, when int64) bool {
		if timed {
			if when == record.NoExpiry {
				w.length(0)
			} else {
				w.length(uint64(when - earliest + 1))
			}
		}
		w.value(field)
		w.value(value)
		return w.err == nil
	})
}

// entry writes a key with its value and what is told of it before.
func (w *writer) entry(r *record.Record, o *Options) {
	if e := r.Expiry(); e != record.NoExpiry {
		w.byte(opExpireMs)
		w.uint64(uint64(e))
	}
	switch {
	case o.Freq != nil:
		w.byte(opFreq)
		w.byte(o.Freq.Counter(r.Clock()))
	case o.Idle:
		w.byte(opIdle)
		w.length(uint64((o.Clock - r.Clock()) & record.ClockMask))
	}
	t := w.typeOf(r)
	w.byte(byte(t))
	w.text(r.Key())
	w.body(t, r)
}
