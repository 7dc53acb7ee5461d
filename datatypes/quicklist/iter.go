package quicklist

import "ferrous/datatypes/listpack"

// Index returns the element at index, which counts from the end if it is negative; ok is false if there is none. It is valid
// until the list is changed. An element of a compressed node is returned as a copy.
func (v *View) Index(index int) (value listpack.Value, ok bool) {
	if index < 0 {
		index += v.count
	}
	if index < 0 || index >= v.count {
		return listpack.Value{}, false
	}
	i, offset := v.locate(index)
	n := v.nodeAt(i)
	var scratch []byte
	b := n.content(&scratch)
	if n.plain {
		return listpack.Value{Str: b}, true
	}
	lp := listpack.Listpack(b)
	return lp.Get(lp.Seek(offset)), true
}

// Iter walks over a list in one direction. It must not be used after the list has been changed.
type Iter struct {
	view    *View
	back    bool
	plain   bool // the element ahead is all of lp
	lp      listpack.Listpack
	p, end  int // forward: position of the element ahead and end; backward: p is the position behind the element ahead
	next    int // node after the current one
	leaf    *branch
	at      int    // of the current node in leaf, if leaf is not nil
	scratch []byte // holds the content of a compressed node
}

// From returns an iterator from the element at index, 0 <= index <= Len, to the tail.
func (v *View) From(index int) Iter {
	it := Iter{view: v, next: v.nodes}
	if index >= 0 && index < v.count {
		i, offset := v.locate(index)
		it.next = i
		it.load()
		if !it.plain {
			it.p = it.lp.Seek(offset)
		}
	}
	return it
}

// FromBack returns an iterator from the element at index, -1 <= index < Len, to the head.
func (v *View) FromBack(index int) Iter {
	it := Iter{view: v, back: true, next: -1}
	if index >= 0 && index < v.count {
		i, offset := v.locate(index)
		it.next = i
		it.load()
		if !it.plain {
			p := it.lp.Seek(offset)
			it.p = p + it.lp.EntrySize(p)
		}
	}
	return it
}

// load makes the next node the current one and reports whether there is one.
func (it *Iter) load() bool {
	v, i := it.view, it.next
	if i < 0 || i >= v.nodes {
		return false
	}
	var n *node
	switch {
	case i == 0:
		n, it.leaf = v.head, nil
	case i == v.nodes-1:
		n, it.leaf = v.tail, nil
	default:
		// The next node is in the same leaf of the tree, or is looked up from the root.
		if !it.back && it.leaf != nil && it.at+1 < int(it.leaf.n) {
			it.at++
		} else if it.back && it.leaf != nil && it.at > 0 {
			it.at--
		} else {
			it.leaf, it.at = v.leaf(i)
		}
		n = it.leaf.node(it.at)
	}
	it.lp, it.plain = n.content(&it.scratch), n.plain
	if it.back {
		it.next--
		it.p = len(it.lp) - 1
	} else {
		it.next++
		it.p, it.end = listpack.HeaderSize, len(it.lp)-1
	}
	if it.plain {
		it.p, it.end = 0, 0
	}
	return true
}

// Next returns the element ahead; ok is false at the end. The element is valid until the next call, and as long as the
// list is not changed.
func (it *Iter) Next() (v listpack.Value, ok bool) {
	for {
		switch {
		case it.plain:
			it.plain = false
			v.Str = it.lp
			it.lp = nil
			it.p, it.end = 0, 0
			return v, true
		case !it.back:
			if it.p < it.end {
				v, it.p = it.lp.Read(it.p)
				return v, true
			}
		case it.p > listpack.HeaderSize:
			it.p = it.lp.Prev(it.p)
			return it.lp.Get(it.p), true
		}
		if !it.load() {
			return v, false
		}
	}
}

// Positions calls found with the index of each element that equals s, as LPOS searches: from the match number rank on,
// counted from the tail if rank is negative. It stops after count matches (0: no limit), after maxlen comparisons (0: no
// limit), and when found returns false. rank is not 0.
func (v *View) Positions(s []byte, rank, count, maxlen int, found func(index int) bool) {
	var it Iter
	index, step := 0, 1
	if rank < 0 {
		index, step = v.count-1, -1
		rank = -rank
		it = v.FromBack(index)
	} else {
		it = v.From(0)
	}
	target := newMatch(s)
	matches := 0
	for seen := 0; maxlen == 0 || seen < maxlen; seen++ {
		e, ok := it.Next()
		if !ok {
			return
		}
		if target.is(e) {
			if matches++; matches >= rank {
				if !found(index) || count > 0 && matches-rank+1 >= count {
					return
				}
			}
		}
		index += step
	}
}

// NodeData is a node as it is stored and saved.
type NodeData struct {
	Plain bool   // Raw is one element, not a listpack
	Raw   []byte // the content, nil if it is compressed
	LZF   []byte // the compressed content, nil if it is not
	Size  int    // of the content in bytes
	Len   int    // elements
}

// Nodes calls fn for each node from head to tail until it returns false. The bytes are the list's own.
func (v *View) Nodes(fn func(NodeData) bool) {
	for i := range v.nodes {
		n := v.nodeAt(i)
		d := NodeData{Plain: n.plain, Size: n.size, Len: int(n.count)}
		if n.lzf {
			d.LZF = n.buf
		} else {
			d.Raw = n.raw()
		}
		if !fn(d) {
			return
		}
	}
}

// NumNodes returns the number of nodes.
func (v *View) NumNodes() int { return v.nodes }
