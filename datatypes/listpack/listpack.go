// Package listpack is Redis's format for a short sequence of strings and integers in one piece of memory. It is the small
// encoding of lists, sets, hashes and sorted sets, and the node of quicklists and streams. RDB files and DUMP payloads have
// its bytes unchanged.
//
// # Format (Redis 7, "listpack specification", src/listpack.c)
//
//	<total bytes: uint32><elements: uint16> <element> ... <element> <0xff>
//
// All numbers are little endian. The number of elements is 65535 if there are that many or more: then a reader has to count
// them. An element is its encoding, its data, and its back length: the size of encoding and data, written so that it can be
// read from the right:
//
//	0xxxxxxx                     integer 0..127
//	10xxxxxx data                string of up to 63 bytes
//	110xxxxx xxxxxxxx            integer of 13 bits
//	1110xxxx xxxxxxxx data       string of up to 4095 bytes
//	11110000 uint32 data         string of up to 2^32-1 bytes
//	11110001 .. 11110100         integer of 16, 24, 32, 64 bits
//
// A string that is the canonical text of an int64 is stored as that integer, in the shortest form, and compares equal to it;
// that is not visible from outside.
//
// # Use
//
// A Listpack is a byte slice whose length is the total length. Like append, an operation that changes it returns the listpack
// to use from now on; the old one must not be used any more. Elements are addressed by position, their byte offset: a change
// makes the positions behind it invalid. Operations allocate only when the listpack outgrows its capacity, or shrinks.
//
// Capacity grows to the next size class of the allocator and no further, so that small collections waste little; it shrinks
// when less than half is used, unless it is small (mem.Shrinks).
//
// The operations do not check the bytes. Foreign bytes must pass Validate with deep once; then no operation can fail on them.
package listpack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"ferrous/datatypes/mem"
)

const (
	headerSize = 6
	minBytes   = headerSize + 1
	unknown    = math.MaxUint16 // in the header: too many elements to count

	// MaxBytes is the greatest length of a listpack. An operation that would exceed it returns nil.
	MaxBytes = math.MaxUint32

	// safeBytes is the limit of SafeToAdd.
	safeBytes = 1 << 30

	// HeaderSize is the number of bytes before the first element.
	HeaderSize = headerSize
	// Overhead is the length of an empty listpack.
	Overhead = minBytes
)

// Listpack is a listpack. The zero value is not one: use New, or bytes that passed Validate.
type Listpack []byte

// New returns an empty listpack with room for capacity bytes in all (0 for the least).
func New(capacity int) Listpack {
	lp := Listpack(alloc(max(capacity, minBytes)))[:minBytes]
	lp.PutHeader(0)
	lp[headerSize] = eof
	return lp
}

// alloc returns n bytes with the capacity of the size class that they come from.
func alloc(n int) []byte { return make([]byte, n, mem.Size(n)) }

// PutHeader writes the header of a listpack of n elements that fills lp. It is for code that writes a listpack's bytes
// itself.
func (lp Listpack) PutHeader(n int) {
	binary.LittleEndian.PutUint32(lp, uint32(len(lp)))
	binary.LittleEndian.PutUint16(lp[4:], uint16(min(n, unknown)))
}

// Len returns the number of elements. It counts them if there are 65535 or more, or once were.
func (lp Listpack) Len() int {
	if n := lp.header(); n != unknown {
		return n
	}
	n := 0
	for p := headerSize; lp[p] != eof; p = lp.skip(p) {
		n++
	}
	return n
}

// header returns the number of elements in the header.
func (lp Listpack) header() int { return int(binary.LittleEndian.Uint16(lp[4:])) }

// Size returns the bytes of memory that the listpack holds.
func (lp Listpack) Size() int { return mem.Size(cap(lp)) }

// SafeToAdd reports whether the listpack may grow by n bytes and stay within 1 GiB, the limit of Redis.
func (lp Listpack) SafeToAdd(n int) bool { return len(lp)+n <= safeBytes }

// Clone returns a copy without spare capacity.
func (lp Listpack) Clone() Listpack {
	c := Listpack(alloc(len(lp)))
	copy(c, lp)
	return c
}

// ShrinkToFit frees unused capacity, if it is a size class or more.
func (lp Listpack) ShrinkToFit() Listpack {
	if mem.Size(len(lp)) < cap(lp) {
		return lp.Clone()
	}
	return lp
}

// End returns the position behind the last element.
func (lp Listpack) End() int { return len(lp) - 1 }

// First returns the position of the first element, -1 if there is none.
func (lp Listpack) First() int {
	if lp[headerSize] == eof {
		return -1
	}
	return headerSize
}

// Last returns the position of the last element, -1 if there is none.
func (lp Listpack) Last() int { return lp.Prev(len(lp) - 1) }

// Next returns the position behind p, -1 at the end.
func (lp Listpack) Next(p int) int {
	p = lp.skip(p)
	if lp[p] == eof {
		return -1
	}
	return p
}

// Prev returns the position before p, which may be End; -1 at the beginning.
func (lp Listpack) Prev(p int) int {
	if p == headerSize {
		return -1
	}
	n := lp.back(p)
	return p - n - backSize(n)
}

// Get returns the element at p.
func (lp Listpack) Get(p int) Value {
	v, _ := lp.Read(p)
	return v
}

// EntrySize returns the bytes that the element at p takes, its back length included.
func (lp Listpack) EntrySize(p int) int { return lp.skip(p) - p }

// Skip returns the position behind n elements, the first of which is at p. There are that many.
func (lp Listpack) Skip(p, n int) int {
	for ; n > 0; n-- {
		switch b := lp[p]; {
		case b < str6:
			p += 2
		case b < int13:
			p += 2 + int(b&0x3f)
		default:
			p = lp.skip(p)
		}
	}
	return p
}

// Back returns the position of the first of n elements, the last of which ends at p. There are that many.
func (lp Listpack) Back(p, n int) int {
	for ; n > 0; n-- {
		if b := lp[p-1]; b < 128 {
			p -= int(b) + 1
		} else {
			size := lp.back(p)
			p -= size + backSize(size)
		}
	}
	return p
}

// Seek returns the position of element i, counted from the end if i is negative (-1 is the last); -1 if there is no such
// element. It searches from the nearer end if the number of elements is known.
func (lp Listpack) Seek(i int) int {
	forward := i >= 0
	if n := lp.header(); n != unknown {
		if i < 0 {
			i += n
		}
		if i < 0 || i >= n {
			return -1
		}
		forward = i <= n/2
		if !forward {
			i -= n
		}
	}
	if forward {
		p := headerSize
		for ; i > 0 && lp[p] != eof; i-- {
			p = lp.skip(p)
		}
		if lp[p] == eof {
			return -1
		}
		return p
	}
	p := lp.Last()
	for ; i < -1 && p >= 0; i++ {
		p = lp.Prev(p)
	}
	return p
}

// Find returns the position of the first element whose text is s, looking from position p on; -1 if there is none. After each
// element that it compares it skips skip others: with 1 it finds the fields of a hash, not their values.
func (lp Listpack) Find(p int, s []byte, skip int) int {
	if p < 0 {
		return -1
	}
	n, ok := ParseInt(s)
	if ok {
		return lp.FindInt(p, n, skip)
	}
	for lp[p] != eof {
		at, h, n := p, 0, 0
		// Decoded as in Read, for strings only: an integer cannot be equal.
		switch b := lp[p]; {
		case b >= str6 && b < int13:
			h, n = 1, int(b&0x3f)
		case b >= str12 && b < str32:
			h, n = 2, int(b&0x0f)<<8+int(lp[p+1])
		case b == str32:
			h, n = 5, int(binary.LittleEndian.Uint32(lp[p+1:]))
		}
		if h == 0 {
			p = lp.skip(p)
		} else {
			if n == len(s) && string(lp[p+h:p+h+n]) == string(s) {
				return at
			}
			p += h + n + backSize(h+n)
		}
		for i := skip; i > 0 && lp[p] != eof; i-- {
			p = lp.skip(p)
		}
	}
	return -1
}

// FindInt is Find for the text of n. In foreign bytes this text may be stored as a string: FindInt finds it, too.
func (lp Listpack) FindInt(p int, n int64, skip int) int {
	if p < 0 {
		return -1
	}
	for lp[p] != eof {
		v, next := lp.Read(p)
		if v.Str == nil {
			if v.Int == n {
				return p
			}
		} else if len(v.Str) <= maxDigits {
			if m, ok := ParseInt(v.Str); ok && m == n {
				return p
			}
		}
		p = next
		for i := skip; i > 0 && lp[p] != eof; i-- {
			p = lp.skip(p)
		}
	}
	return -1
}

var (
	errShort      = errors.New("listpack: shorter than a header")
	errLength     = errors.New("listpack: the length in the header is not that of the bytes")
	errTerminator = errors.New("listpack: does not end with a terminator")
	errElements   = errors.New("listpack: the number of elements in the header is wrong")
)

// Validate returns an error if b is not a listpack. Without deep it checks header and terminator only. With deep it checks
// every element, so that no operation of this package can fail on b afterwards.
func Validate(b []byte, deep bool) error {
	if len(b) < minBytes {
		return errShort
	}
	if uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) {
		return errLength
	}
	if b[len(b)-1] != eof {
		return errTerminator
	}
	if !deep {
		return nil
	}
	lp := Listpack(b)
	count, end := 0, len(b)-1
	p := headerSize
	for p < end {
		// An element takes two bytes at least, and the terminator follows. The bytes of a longer header must be checked to be
		// within b.
		h := 1
		switch c := lp[p]; {
		case c >= str12 && c < str32:
			h = 2
		case c == str32:
			h = 5
		case c > int64b:
			return fmt.Errorf("listpack: unknown encoding 0x%02x at byte %d", c, p)
		}
		if p+h > end {
			return fmt.Errorf("listpack: the element at byte %d is cut off", p)
		}
		n := lp.encoded(p)
		next := p + n + backSize(n)
		if next > end {
			return fmt.Errorf("listpack: the element at byte %d is longer than the listpack", p)
		}
		if lp.back(next) != n {
			return fmt.Errorf("listpack: the back length of the element at byte %d is wrong", p)
		}
		p = next
		count++
	}
	if n := lp.header(); n != unknown && n != count {
		return errElements
	}
	return nil
}
