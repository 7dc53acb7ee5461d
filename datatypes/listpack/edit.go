package listpack

import (
	"encoding/binary"

	"ferrous/datatypes/mem"
)

// splice makes room: the bytes from p on become n bytes of undefined content followed by the bytes from tail on. It
// returns nil when the listpack would pass MaxBytes. The header is not written.
func (lp Listpack) splice(p, tail, n int) Listpack {
	size := len(lp) - (tail - p) + n
	switch {
	case size > cap(lp):
		if size > MaxBytes {
			return nil
		}
		grown := Listpack(alloc(size))
		copy(grown, lp[:p])
		copy(grown[p+n:], lp[tail:])
		return grown
	case size < len(lp) && mem.Shrinks(size, cap(lp)):
		shrunk := Listpack(alloc(size))
		copy(shrunk, lp[:p])
		copy(shrunk[p+n:], lp[tail:])
		return shrunk
	}
	old := len(lp)
	copy(lp[p+n:cap(lp)], lp[tail:old])
	return lp[:size]
}

// account writes the length to the header, and changes the number of elements by delta.
func (lp Listpack) account(delta int) {
	binary.LittleEndian.PutUint32(lp, uint32(len(lp)))
	if delta != 0 {
		if n := lp.header(); n != unknown {
			binary.LittleEndian.PutUint16(lp[4:], uint16(min(n+delta, unknown)))
		}
	}
}

// Insert puts an entry at position p, before the element that is there; p may be End. The new element is then at p. e
// must not hold bytes of lp itself.
func (lp Listpack) Insert(p int, e Entry) Listpack {
	lp = lp.splice(p, p, e.Size())
	if lp == nil {
		return nil
	}
	e.Put(lp[p:])
	lp.account(1)
	return lp
}

// InsertAll puts entries at position p in their order, and grows once.
func (lp Listpack) InsertAll(p int, entries []Entry) Listpack {
	size := 0
	for i := range entries {
		size += entries[i].Size()
	}
	lp = lp.splice(p, p, size)
	if lp == nil {
		return nil
	}
	for i := range entries {
		entries[i].Put(lp[p:])
		p += entries[i].Size()
	}
	lp.account(len(entries))
	return lp
}

// InsertBefore puts s before the element at p.
func (lp Listpack) InsertBefore(p int, s []byte) Listpack { return lp.Insert(p, Of(s)) }

// InsertAfter puts s behind the element at p.
func (lp Listpack) InsertAfter(p int, s []byte) Listpack { return lp.Insert(lp.skip(p), Of(s)) }

// Append puts s at the end.
func (lp Listpack) Append(s []byte) Listpack { return lp.Insert(len(lp)-1, Of(s)) }

// AppendInt puts the integer n at the end.
func (lp Listpack) AppendInt(n int64) Listpack { return lp.Insert(len(lp)-1, OfInt(n)) }

// AppendPair puts two elements at the end, growing once.
func (lp Listpack) AppendPair(a, b []byte) Listpack {
	pair := [2]Entry{Of(a), Of(b)}
	return lp.InsertAll(len(lp)-1, pair[:])
}

// Prepend puts s in front.
func (lp Listpack) Prepend(s []byte) Listpack { return lp.Insert(headerSize, Of(s)) }

// PrependInt puts the integer n in front.
func (lp Listpack) PrependInt(n int64) Listpack { return lp.Insert(headerSize, OfInt(n)) }

// ReplaceEntry puts an entry in the place of the element at p. The new element is at p.
func (lp Listpack) ReplaceEntry(p int, e Entry) Listpack {
	tail := lp.skip(p)
	if e.Size() != tail-p {
		lp = lp.splice(p, tail, e.Size())
		if lp == nil {
			return nil
		}
		lp.account(0)
	}
	e.Put(lp[p:])
	return lp
}

// Replace puts s in the place of the element at p.
func (lp Listpack) Replace(p int, s []byte) Listpack { return lp.ReplaceEntry(p, Of(s)) }

// ReplaceInt puts the integer n in the place of the element at p.
func (lp Listpack) ReplaceInt(p int, n int64) Listpack { return lp.ReplaceEntry(p, OfInt(n)) }

// Delete removes the element at p. The next element is then at p, if that is not End.
func (lp Listpack) Delete(p int) Listpack { return lp.cut(p, lp.skip(p), 1) }

// cut removes the bytes from p to tail, which hold n elements.
func (lp Listpack) cut(p, tail, n int) Listpack {
	lp = lp.splice(p, tail, 0)
	lp.account(-n)
	return lp
}

// DeleteFrom removes up to n elements from position p on.
func (lp Listpack) DeleteFrom(p, n int) Listpack {
	tail, deleted := p, 0
	for ; deleted < n && lp[tail] != eof; deleted++ {
		tail = lp.skip(tail)
	}
	return lp.cut(p, tail, deleted)
}

// DeleteRange removes up to n elements from index i on, which counts from the end if it is negative. If i is out of range it
// does nothing.
func (lp Listpack) DeleteRange(i, n int) Listpack {
	if n <= 0 {
		return lp
	}
	p := lp.Seek(i)
	if p < 0 {
		return lp
	}
	if have := lp.header(); have != unknown {
		if i < 0 {
			i += have
		}
		if have-i <= n { // to the end: no need to walk there
			return lp.cut(p, len(lp)-1, have-i)
		}
	}
	return lp.DeleteFrom(p, n)
}

// DeleteAll removes the elements at these positions, which must ascend, in one pass over the bytes.
func (lp Listpack) DeleteAll(positions []int) Listpack {
	if len(positions) == 0 {
		return lp
	}
	to := positions[0]
	for i, p := range positions {
		from, end := lp.skip(p), len(lp)
		if i+1 < len(positions) {
			end = positions[i+1]
		}
		to += copy(lp[to:], lp[from:end])
	}
	lp = lp[:to]
	lp.account(-len(positions))
	if mem.Shrinks(len(lp), cap(lp)) {
		return lp.Clone()
	}
	return lp
}

// Merge returns the elements of a followed by those of b; nil if that would pass MaxBytes. Neither may be used any more.
func Merge(a, b Listpack) Listpack {
	size := len(a) + len(b) - minBytes
	if size > MaxBytes {
		return nil
	}
	n := a.Len() + b.Len()
	end := len(a) - 1
	if size <= cap(a) {
		a = a[:size]
	} else {
		a = append(Listpack(alloc(size))[:0], a[:end]...)[:size]
	}
	copy(a[end:], b[headerSize:])
	a.PutHeader(n)
	return a
}

// Split returns the elements before position p and those from p on, as two listpacks; n is the number of elements before p.
// lp must not be used any more.
func (lp Listpack) Split(p, n int) (left, right Listpack) {
	total := lp.Len()
	right = Listpack(alloc(headerSize + len(lp) - p))
	copy(right[headerSize:], lp[p:])
	right.PutHeader(total - n)
	left = lp[:p+1]
	left[p] = eof
	left.PutHeader(n)
	if mem.Size(len(left)) <= cap(left)/2 {
		left = left.Clone()
	}
	return left, right
}
