package stream

import (
	"slices"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/mem"
)

// An index is an ordered map from IDs. Its entries are in pages of up to pageLen, its pages in a slice; both are searched
// by halves. IDs usually come in ascending order: a page that overflows at its end is left full. A page in which an entry
// has to be put among others splits in halves; pages that become empty go.
//
// Pages bear stamps: one that a snapshot can reach is copied before it is written. The slice belongs to the index alone;
// fork copies it.
type index[T any] struct {
	pages []*page[T]
	n     int
	bytes int // of pages and slice
}

const pageLen = 64

type page[T any] struct {
	items []item[T] // at least one
	stamp uint64
}

// item has the value first: one of no size would take eight bytes at the end.
type item[T any] struct {
	v  T
	id ID
}

func (p *page[T]) size() int {
	return mem.SizePtr(int(unsafe.Sizeof(*p))) + mem.SizePtr(cap(p.items)*int(unsafe.Sizeof(item[T]{})))
}

// find returns the page that has id, or that it belongs to, and the place in it. With no pages i is 0.
func (x *index[T]) find(id ID) (i, j int, ok bool) {
	i, ok = slices.BinarySearchFunc(x.pages, id, func(p *page[T], id ID) int { return p.items[0].id.Compare(id) })
	if ok {
		return i, 0, true
	}
	if i == 0 {
		return 0, 0, false
	}
	i--
	j, ok = slices.BinarySearchFunc(x.pages[i].items, id, func(e item[T], id ID) int { return e.id.Compare(id) })
	return i, j, ok
}

// write returns page i for writing.
func (x *index[T]) write(i int, gen *cow.Generation) *page[T] {
	p := x.pages[i]
	if gen.Owns(p.stamp) {
		return p
	}
	c := &page[T]{items: slices.Clone(p.items)}
	c.stamp = gen.Copying(c.size())
	x.bytes += c.size() - p.size()
	x.pages[i] = c
	return c
}

// own returns the value of id for writing, nil if there is none.
func (x *index[T]) own(id ID, gen *cow.Generation) *T {
	i, j, ok := x.find(id)
	if !ok {
		return nil
	}
	return &x.write(i, gen).items[j].v
}

// add adds an entry and reports false if there is one with this ID.
func (x *index[T]) add(id ID, v T, gen *cow.Generation) bool {
	i, j, ok := x.find(id)
	if ok {
		return false
	}
	x.n++
	e := item[T]{v, id}
	if len(x.pages) == 0 {
		x.insertPage(0, []item[T]{e}, gen)
		return true
	}
	if len(x.pages[i].items) == pageLen {
		if j == pageLen && i == len(x.pages)-1 {
			x.insertPage(i+1, []item[T]{e}, gen)
			return true
		}
		p := x.write(i, gen)
		before := p.size()
		x.insertPage(i+1, slices.Clone(p.items[pageLen/2:]), gen)
		p.items = slices.Clone(p.items[:pageLen/2])
		x.bytes += p.size() - before
		if j > pageLen/2 {
			i, j = i+1, j-pageLen/2
		}
	}
	p := x.write(i, gen)
	before := p.size()
	p.items = slices.Insert(p.items, j, e)
	x.bytes += p.size() - before
	return true
}

func (x *index[T]) insertPage(i int, items []item[T], gen *cow.Generation) {
	p := &page[T]{items: items, stamp: gen.Current()}
	x.bytes -= mem.SizePtr(pointerSize * cap(x.pages))
	x.pages = slices.Insert(x.pages, i, p)
	x.bytes += mem.SizePtr(pointerSize*cap(x.pages)) + p.size()
}

// each calls fn for each entry in order until it returns false.
func (x *index[T]) each(fn func(id ID, v T) bool) {
	for _, p := range x.pages {
		for k := range p.items {
			if !fn(p.items[k].id, p.items[k].v) {
				return
			}
		}
	}
}

// fork returns an index that is changed in the place of x.
func (x *index[T]) fork() index[T] {
	f := *x
	f.bytes -= mem.SizePtr(pointerSize * cap(f.pages))
	f.pages = slices.Clone(x.pages)
	f.bytes += mem.SizePtr(pointerSize * cap(f.pages))
	return f
}

// cloneIndex returns a copy that shares nothing with x; fn copies a value.
func cloneIndex[T any](x *index[T], stamp uint64, fn func(T) T) index[T] {
	c := index[T]{n: x.n, pages: make([]*page[T], len(x.pages))}
	c.bytes = mem.SizePtr(pointerSize * cap(c.pages))
	for i, p := range x.pages {
		n := &page[T]{items: slices.Clone(p.items), stamp: stamp}
		for k := range n.items {
			n.items[k].v = fn(n.items[k].v)
		}
		c.pages[i] = n
		c.bytes += n.size()
	}
	return c
}
