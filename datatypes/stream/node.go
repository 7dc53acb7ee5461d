package stream

import (
	"errors"

	"ferrous/datatypes/listpack"
)

// A node is a listpack of integers, fields and values (Redis 7, the opening comment of src/t_stream.c, and streamAppendItem):
//
//	master entry:  entries | deleted entries | number of fields n | field 1 ... field n | 0
//	each entry:    flags | ms | seq | number of fields | field 1 | value 1 ... | elements of the entry before this one
//	with the same fields as the master entry:
//	               flags | ms | seq | value 1 ... value n | elements of the entry before this one
//
// ms and seq are relative to the node's master ID. An entry that was deleted keeps its place and is marked; entries counts
// those that are not.
type node struct {
	lp    listpack.Listpack
	stamp uint64
}

func (n *node) size() int { return nodeSize + n.lp.Size() }

const (
	flagDeleted    = 1
	flagSameFields = 2
)

var (
	errNode    = errors.New("stream: the bytes of a node are no entries")
	errEntries = errors.New("stream: the number of entries of a node is wrong")
)

// walker reads the elements of a listpack one by one. It is bad when it was asked for more than there are, or for an
// integer where there is none.
type walker struct {
	lp  listpack.Listpack
	p   int
	bad bool
}

func (w *walker) value() (v listpack.Value) {
	if w.bad || w.p == w.lp.End() {
		w.bad = true
		return listpack.Value{}
	}
	v, w.p = w.lp.Read(w.p)
	return v
}

func (w *walker) int() int64 {
	n, ok := w.value().Integer()
	if !ok {
		w.bad = true
	}
	return n
}

// skip passes over n elements.
func (w *walker) skip(n int64) {
	if n < 0 {
		w.bad = true
	}
	for ; n > 0 && !w.bad; n-- {
		w.value()
	}
}

// Validate reports whether lp, which has passed listpack.Validate, is a node, and returns the number of its entries that
// are not marked as deleted.
func Validate(lp listpack.Listpack) (entries int, err error) {
	w := walker{lp: lp, p: listpack.HeaderSize}
	count, deleted, master := w.int(), w.int(), w.int()
	w.skip(master)
	if w.int() != 0 || w.bad || count < 0 || deleted < 0 {
		return 0, errNode
	}
	gone := 0
	for w.p != lp.End() && !w.bad {
		flags := w.int()
		w.int()
		w.int()
		fields, elements := master, master+3
		if flags&flagSameFields == 0 {
			fields = w.int()
			if fields < 0 || fields > int64(len(lp)) {
				return 0, errNode
			}
			elements = 2*fields + 4
			w.skip(2 * fields)
		} else {
			w.skip(fields)
		}
		if w.int() != elements {
			return 0, errNode
		}
		if flags&flagDeleted != 0 {
			gone++
		} else {
			entries++
		}
	}
	if w.bad {
		return 0, errNode
	}
	if int64(entries) != count || int64(gone) != deleted {
		return 0, errEntries
	}
	return entries, nil
}

// reader goes over the entries of a node.
type reader struct {
	walker
	master  ID
	fields  []listpack.Value // of the master entry
	id      ID
	deleted bool
	pairs   []listpack.Value
}

func (r *reader) start(master ID, lp listpack.Listpack) {
	r.walker = walker{lp: lp, p: listpack.HeaderSize}
	r.master = master
	r.skip(2)
	r.fields = r.fields[:0]
	for n := r.int(); n > 0; n-- {
		r.fields = append(r.fields, r.value())
	}
	r.skip(1)
}

// next reads an entry and reports whether there was one.
func (r *reader) next() bool {
	if r.p == r.lp.End() || r.bad {
		return false
	}
	flags := r.int()
	r.deleted = flags&flagDeleted != 0
	r.id = ID{r.master.Ms + uint64(r.int()), r.master.Seq + uint64(r.int())}
	r.pairs = r.pairs[:0]
	if flags&flagSameFields != 0 {
		for _, f := range r.fields {
			r.pairs = append(r.pairs, f, r.value())
		}
	} else {
		for n := r.int(); n > 0; n-- {
			r.pairs = append(r.pairs, r.value(), r.value())
		}
	}
	r.skip(1)
	return !r.bad
}
