// Package intset is Redis's format for a small set of integers: a sorted array in one piece of memory. RDB files and DUMP
// payloads have its bytes unchanged.
//
// # Format (Redis 7, src/intset.c)
//
//	<width: uint32><number of members: uint32> <member> <member> ...
//
// All numbers are little endian. The width, 2, 4 or 8 bytes, is the same for all members: the least for the widest member so
// far. It grows when a member needs it and never shrinks. Members are signed and ascend without duplicates.
//
// # Use
//
// An Intset is a byte slice. A method that changes it returns the intset to use from now on, as append does; the old one must
// not be used any more. A lookup costs O(log n), a change moves O(n) bytes. Operations allocate only to grow or shrink: the
// capacity grows to the next size class of the allocator, and shrinks when less than half is used, unless it is small
// (mem.Shrinks).
//
// The methods do not check the bytes; foreign bytes must pass Validate with deep first.
package intset

import (
	"encoding/binary"
	"errors"

	"ferrous/datatypes/mem"
)

const headerSize = 8

// Widths of members in bytes.
const (
	width16 = 2
	width32 = 4
	width64 = 8
)

// Intset is an intset. The zero value is not one: use New, or bytes that passed Validate.
type Intset []byte

// New returns an empty intset.
func New() Intset {
	s := Intset(alloc(headerSize))
	s[0] = width16
	return s
}

// alloc returns n bytes with the capacity of the size class that they come from.
func alloc(n int) []byte { return make([]byte, n, mem.Size(n)) }

// widthOf returns the width that a member needs.
func widthOf(v int64) int {
	switch {
	case v == int64(int16(v)):
		return width16
	case v == int64(int32(v)):
		return width32
	}
	return width64
}

func (s Intset) width() int { return int(s[0]) }

func (s Intset) setLen(n int) { binary.LittleEndian.PutUint32(s[4:], uint32(n)) }

// Len returns the number of members.
func (s Intset) Len() int { return int(binary.LittleEndian.Uint32(s[4:])) }

// Bytes returns the length of the intset that b begins with.
func Bytes(b []byte) int { return headerSize + Intset(b).Len()*Intset(b).width() }

// Size returns the bytes of memory that the intset holds.
func (s Intset) Size() int { return mem.Size(cap(s)) }

// Clone returns a copy without spare capacity.
func (s Intset) Clone() Intset {
	c := Intset(alloc(len(s)))
	copy(c, s)
	return c
}

// Get returns member i in ascending order, 0 <= i < Len().
func (s Intset) Get(i int) int64 { return s.get(i, s.width()) }

func (s Intset) get(i, width int) int64 {
	b := s[headerSize+i*width:]
	switch width {
	case width16:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case width32:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (s Intset) put(i, width int, v int64) {
	b := s[headerSize+i*width:]
	switch width {
	case width16:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case width32:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, uint64(v))
	}
}

// Min returns the least member of an intset that is not empty.
func (s Intset) Min() int64 { return s.Get(0) }

// Max returns the greatest member of an intset that is not empty.
func (s Intset) Max() int64 { return s.Get(s.Len() - 1) }

// search returns the index of v, or the index at which v would be inserted.
func (s Intset) search(v int64) (int, bool) {
	n, width := s.Len(), s.width()
	// Adding in ascending or descending order is common.
	if n == 0 || v > s.get(n-1, width) {
		return n, false
	}
	if v < s.get(0, width) {
		return 0, false
	}
	low, high := 0, n
	for low < high {
		mid := (low + high) / 2
		if s.get(mid, width) < v {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, s.get(low, width) == v
}

// Has reports whether v is a member.
func (s Intset) Has(v int64) bool {
	_, ok := s.Find(v)
	return ok
}

// Find returns the index of member v.
func (s Intset) Find(v int64) (int, bool) {
	if widthOf(v) > s.width() {
		return 0, false
	}
	i, ok := s.search(v)
	if !ok {
		return 0, false
	}
	return i, true
}

// Add adds v and reports whether it was new.
func (s Intset) Add(v int64) (Intset, bool) {
	width := s.width()
	if w := widthOf(v); w > width {
		return s.widen(w, v), true
	}
	i, ok := s.search(v)
	if ok {
		return s, false
	}
	n, at := s.Len(), headerSize+i*width
	size := len(s) + width
	if size > cap(s) {
		grown := Intset(alloc(size))
		copy(grown, s[:at])
		copy(grown[at+width:], s[at:])
		s = grown
	} else {
		s = s[:size]
		copy(s[at+width:], s[at:size-width])
	}
	s.put(i, width, v)
	s.setLen(n + 1)
	return s, true
}

// widen gives all members the width w, which v needs, and adds v. Since no member needed it, v is less or greater than
// all of them.
func (s Intset) widen(w int, v int64) Intset {
	n, old := s.Len(), s.width()
	wide := Intset(alloc(headerSize + (n+1)*w))
	wide[0] = byte(w)
	wide.setLen(n + 1)
	first, at := 0, n
	if v < 0 {
		first, at = 1, 0
	}
	for i := range n {
		wide.put(first+i, w, s.get(i, old))
	}
	wide.put(at, w, v)
	return wide
}

// Remove removes v and reports whether it was a member.
func (s Intset) Remove(v int64) (Intset, bool) {
	i, ok := s.Find(v)
	if !ok {
		return s, false
	}
	return s.RemoveAt(i), true
}

// RemoveAt removes member i, 0 <= i < Len().
func (s Intset) RemoveAt(i int) Intset {
	n, width := s.Len(), s.width()
	at := headerSize + i*width
	size := len(s) - width
	if mem.Shrinks(size, cap(s)) {
		shrunk := Intset(alloc(size))
		copy(shrunk, s[:at])
		copy(shrunk[at:], s[at+width:])
		s = shrunk
	} else {
		copy(s[at:], s[at+width:])
		s = s[:size]
	}
	s.setLen(n - 1)
	return s
}

// Random returns a member of an intset that is not empty, all with the same probability. bits are 64 random bits.
func (s Intset) Random(bits uint64) int64 { return s.Get(int(bits % uint64(s.Len()))) }

var (
	errShort  = errors.New("intset: shorter than a header")
	errWidth  = errors.New("intset: members are neither of 2, 4 nor 8 bytes")
	errLength = errors.New("intset: the number of members is not that of the bytes")
	errEmpty  = errors.New("intset: no members")
	errOrder  = errors.New("intset: members do not ascend")
)

// Validate returns an error if b is not an intset, or an empty one (Redis stores no empty ones). Without deep it checks the
// header only, with deep also the order of the members.
func Validate(b []byte, deep bool) error {
	if len(b) < headerSize {
		return errShort
	}
	width := binary.LittleEndian.Uint32(b)
	if width != width16 && width != width32 && width != width64 {
		return errWidth
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if uint64(len(b)) != headerSize+uint64(n)*uint64(width) {
		return errLength
	}
	if n == 0 {
		return errEmpty
	}
	if deep {
		s := Intset(b)
		for i, last := 1, s.Get(0); i < int(n); i++ {
			v := s.Get(i)
			if v <= last {
				return errOrder
			}
			last = v
		}
	}
	return nil
}
