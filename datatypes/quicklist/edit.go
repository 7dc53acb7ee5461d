package quicklist

import (
	"math"
	"slices"

	"ferrous/datatypes/listpack"
)

// Set puts s in the place of the element at index, which counts from the end if it is negative. It reports whether there
// is such an element.
func (l *List) Set(index int, s []byte) bool {
	if index < 0 {
		index += l.count
	}
	if index < 0 || index >= l.count {
		return false
	}
	i, offset := l.locate(index)
	plain, large := l.nodeAt(i).plain, l.large(len(s))
	switch {
	case plain && large:
		n := l.edit(i)
		n.setPlain(s)
		l.done(i, n)
	case plain:
		l.insertAt(i, 0, true, s)
		l.removeNode(i)
	case large:
		l.setLarge(i, offset, s)
	default:
		n := l.edit(i)
		lp := n.pack()
		if lp = lp.ReplaceEntry(lp.Seek(offset), listpack.Of(s)); lp == nil { // the listpack would pass 4 GiB
			l.done(i, n)
			l.setLarge(i, offset, s)
			return true
		}
		n.setPack(lp, int(n.count))
		l.done(i, n)
	}
	return true
}

// setLarge replaces an element of a listpack node by one that gets a node of its own.
func (l *List) setLarge(i, offset int, s []byte) {
	count := int(l.nodeAt(i).count)
	if offset < count-1 {
		n := l.edit(i)
		rest := l.split(n, offset, true)
		l.done(i, n)
		l.insertNode(i+1, rest)
	}
	l.insertNode(i+1, l.newNode(s, false))
	if offset == 0 { // the replaced element is all that is left of the node
		l.removeNode(i)
		return
	}
	n := l.edit(i)
	lp := n.pack()
	n.setPack(lp.Delete(lp.Last()), int(n.count)-1)
	l.done(i, n)
	l.mergeAround(i + 1)
}

// Insert puts s before or behind (after) the first element that equals pivot. It reports whether there is one.
func (l *List) Insert(pivot, s []byte, after bool) bool {
	for i := range l.nodes {
		n := l.nodeAt(i)
		b := n.content(&l.set.scratch)
		if n.plain {
			if string(b) == string(pivot) {
				l.insertAt(i, 0, after, s)
				return true
			}
			continue
		}
		lp := listpack.Listpack(b)
		if p := lp.Find(lp.First(), pivot, 0); p >= 0 {
			offset := 0
			for q := lp.First(); q != p; q = lp.Next(q) {
				offset++
			}
			l.insertAt(i, offset, after, s)
			return true
		}
	}
	return false
}

// insertAt puts s before or behind the element at offset of node i. If the node is full and the place is at an end of it, s
// goes to the neighbour there, or to a new node between the two if the neighbour is full. A full node is split if the place
// is inside of it.
func (l *List) insertAt(i, offset int, after bool, s []byte) {
	n := l.nodeAt(i)
	full := !l.allowInsert(n, len(s))
	side := 0 // where a new node goes
	edge, neighbour := offset == 0, i-1
	if after {
		side = 1
		edge, neighbour = offset == int(n.count)-1, i+1
	}
	room := edge && neighbour >= 0 && neighbour < l.nodes && l.allowInsert(l.nodeAt(neighbour), len(s))

	switch {
	case l.large(len(s)):
		if n.plain || edge {
			l.insertNode(i+side, l.newNode(s, false))
			return
		}
		n = l.edit(i)
		part := l.split(n, offset, after)
		l.done(i, n)
		l.insertNode(i+side, part)
		l.insertNode(i+1, l.newNode(s, false))
	case !full:
		n = l.edit(i)
		lp := n.pack()
		p := lp.Seek(offset)
		if after {
			p += lp.EntrySize(p)
		}
		n.setPack(lp.Insert(p, listpack.Of(s)), int(n.count)+1)
		l.done(i, n)
	case room:
		n = l.edit(neighbour)
		lp := n.pack()
		if after {
			lp = lp.Prepend(s)
		} else {
			lp = lp.Append(s)
		}
		n.setPack(lp, int(n.count)+1)
		l.done(neighbour, n)
	case edge:
		l.insertNode(i+side, l.newNode(s, false))
	default:
		n = l.edit(i)
		part := l.split(n, offset, after)
		l.done(i, n)
		lp := part.pack()
		if after {
			lp = lp.Prepend(s)
		} else {
			lp = lp.Append(s)
		}
		part.setPack(lp, int(part.count)+1)
		l.insertNode(i+side, part)
		l.mergeAround(i + 1 - side)
	}
}

// split divides the node n, which edit returned, at offset. If after, n keeps the elements up to offset, and a new node with
// the others is returned; else n keeps those from offset on, and a new node with the ones before is returned.
func (l *List) split(n *node, offset int, after bool) *node {
	if after {
		offset++
	}
	count := int(n.count)
	lp := n.pack()
	left, right := lp.Split(lp.Seek(offset), offset)
	if after {
		n.setPack(left, offset)
		return l.packNode(right, count-offset)
	}
	n.setPack(right, count-offset)
	return l.packNode(left.Clone(), offset)
}

// mergeAround merges node i and its neighbours on both sides where the results are within the bounds.
func (l *List) mergeAround(i int) {
	if i >= 2 && l.merge(i-2) {
		i--
	}
	if i+2 < l.nodes {
		l.merge(i + 1)
	}
	if i >= 1 && l.merge(i-1) {
		i--
	}
	if i+1 < l.nodes {
		l.merge(i)
	}
}

// merge joins nodes i and i+1 into one, if that is allowed.
func (l *List) merge(i int) bool {
	if !l.allowMerge(l.nodeAt(i), l.nodeAt(i+1)) {
		return false
	}
	a, b := l.edit(i), l.nodeAt(i+1)
	lp := listpack.Merge(a.pack(), b.content(&l.set.scratch))
	a.setPack(lp, int(a.count)+int(b.count))
	l.done(i, a)
	l.removeNode(i + 1)
	return true
}

// DeleteRange removes up to n elements from index on, which counts from the end if it is negative. It returns how many
// it removed.
func (l *List) DeleteRange(index, n int) int {
	if index < 0 {
		index += l.count
	}
	if index < 0 || index >= l.count || n <= 0 {
		return 0
	}
	n = min(n, l.count-index)
	i, offset := l.locate(index)
	for left := n; left > 0; {
		count := int(l.nodeAt(i).count)
		del := min(left, count-offset)
		left -= del
		if del == count {
			l.removeNode(i)
		} else {
			nd := l.edit(i)
			lp := nd.pack()
			nd.setPack(lp.DeleteRange(offset, del), count-del)
			l.done(i, nd)
			i++
		}
		offset = 0
	}
	return n
}

// Trim keeps the elements from start to stop, both included and in range (0 <= start <= stop < Len), and removes the
// others.
func (l *List) Trim(start, stop int) {
	l.DeleteRange(stop+1, l.count)
	l.DeleteRange(0, start)
}

// RemoveValue removes elements that equal s: the first count of them, the last -count if it is negative, all if it is 0.
// It returns how many it removed.
func (l *List) RemoveValue(s []byte, count int) int {
	removed := 0
	most := count
	switch {
	case count == 0 || count == math.MinInt:
		most = l.count
	case count < 0:
		most = -count
	}
	target := newMatch(s)
	for left := l.nodes; left > 0 && removed < most; left-- {
		// left counts the nodes not yet visited. It gives the index from the far end, since a removed node moves the ones
		// behind it.
		i := left - 1
		if count >= 0 {
			i = l.nodes - left
		}
		removed += l.removeIn(i, &target, most-removed, count < 0)
	}
	return removed
}

// removeIn removes up to most elements that match from node i.
func (l *List) removeIn(i int, m *match, most int, fromTail bool) int {
	n := l.nodeAt(i)
	b := n.content(&l.set.scratch)
	if n.plain {
		if !m.is(listpack.Value{Str: b}) {
			return 0
		}
		l.removeNode(i)
		return 1
	}
	lp, found := listpack.Listpack(b), l.set.positions[:0]
	if fromTail {
		for p := lp.Last(); p >= 0 && len(found) < most; p = lp.Prev(p) {
			if m.is(lp.Get(p)) {
				found = append(found, p)
			}
		}
		slices.Reverse(found)
	} else {
		for p := lp.Find(lp.First(), m.text, 0); p >= 0; p = lp.Find(lp.Next(p), m.text, 0) {
			if found = append(found, p); len(found) == most {
				break
			}
		}
	}
	l.set.positions = found
	switch len(found) {
	case 0:
	case int(n.count):
		l.removeNode(i)
	default:
		// The found positions are valid in the copy, too.
		n = l.edit(i)
		n.setPack(n.pack().DeleteAll(found), int(n.count)-len(found))
		l.done(i, n)
	}
	return len(found)
}

// match is a text that elements are compared with, parsed once.
type match struct {
	text  []byte
	num   int64
	isNum bool
}

func newMatch(s []byte) match {
	n, ok := listpack.ParseInt(s)
	return match{s, n, ok}
}

func (m *match) is(v listpack.Value) bool {
	if v.Str == nil {
		return m.isNum && v.Int == m.num
	}
	return string(v.Str) == string(m.text)
}
