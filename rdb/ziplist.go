package rdb

import (
	"encoding/binary"

	"ferrous/datatypes/listpack"
)

// The packed forms of Redis before 7.0. They are converted when read, never kept.
//
// A ziplist is the predecessor of the listpack:
//
//	<total bytes: uint32><offset of the last element: uint32><elements: uint16> <element> ... 0xff
//
// all little endian; 65535 elements means too many to count. An element begins with the size of the one before it (one
// byte, or 254 and four bytes), then says what it is:
//
//	00llllll                    string of up to 63 bytes
//	01llllll llllllll           string of up to 16383 bytes
//	10------ uint32, big endian string
//	11000000 / 11010000 / 11100000 / 11110000 / 11111110   integer of 16, 32, 64, 24, 8 bits, little endian
//	1111xxxx                    integer xxxx-1, xxxx from 1 to 13
//
// A zipmap is the form of small hashes up to Redis 2.4:
//
//	<fields: 1 byte, 254 or more: unknown> <len>field<len><free>value<unused bytes> ... 0xff
//
// where a length is a byte up to 253, or 254 and four bytes, and free counts the unused bytes.

const (
	ziplistHeader = 10
	ziplistEnd    = 0xff
	bigLength     = 254
)

// ziplist calls fn for each element of the ziplist b. Strings point into b. owner is the first word of the error: "Ziplist",
// or the kind of value.
func (d *decoder) ziplist(owner string, b []byte, fn func(listpack.Value)) {
	bad := func(what string) { d.failf("%s integrity check failed: %s", owner, what) }
	if len(b) < ziplistHeader+1 {
		bad("shorter than a header")
	}
	if uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) {
		bad("the length in the header is not that of the bytes")
	}
	end := len(b) - 1
	if b[end] != ziplistEnd {
		bad("no terminator")
	}
	tail, want := int(binary.LittleEndian.Uint32(b[4:])), int(binary.LittleEndian.Uint16(b[8:]))
	if tail > end {
		bad("the last element is outside")
	}
	p, before, last, count := ziplistHeader, 0, -1, 0
	for p < end {
		at := p
		size := int(b[p])
		if size < bigLength {
			p++
		} else {
			if p+5 > end {
				bad("an element is cut off")
			}
			size = int(binary.LittleEndian.Uint32(b[p+1:]))
			p += 5
		}
		if size != before {
			bad("the size of an element before another is wrong")
		}
		if p >= end {
			bad("an element is cut off")
		}
		var v listpack.Value
		n := 0 // bytes of data
		c := b[p]
		switch c >> 6 {
		case 0:
			n, p = int(c&0x3f), p+1
		case 1:
			if p+2 > end {
				bad("an element is cut off")
			}
			n, p = int(c&0x3f)<<8|int(b[p+1]), p+2
		case 2:
			if p+5 > end {
				bad("an element is cut off")
			}
			n, p = int(binary.BigEndian.Uint32(b[p+1:])), p+5
		default:
			p++
			switch {
			case c == 0xc0:
				n = 2
			case c == 0xd0:
				n = 4
			case c == 0xe0:
				n = 8
			case c == 0xf0:
				n = 3
			case c == 0xfe:
				n = 1
			case c >= 0xf1 && c <= 0xfd:
				v.Int = int64(c&15) - 1
			default:
				bad("unknown encoding of an element")
			}
		}
		if n > end-p {
			bad("an element is longer than the ziplist")
		}
		data := b[p : p+n : p+n]
		switch {
		case c < 0xc0:
			v.Str = data
		case n == 1:
			v.Int = int64(int8(data[0]))
		case n == 2:
			v.Int = int64(int16(binary.LittleEndian.Uint16(data)))
		case n == 3:
			v.Int = int64(int32(uint32(data[0])<<8|uint32(data[1])<<16|uint32(data[2])<<24) >> 8)
		case n == 4:
			v.Int = int64(int32(binary.LittleEndian.Uint32(data)))
		case n == 8:
			v.Int = int64(binary.LittleEndian.Uint64(data))
		}
		p += n
		before, last = p-at, at
		count++
		fn(v)
	}
	if last >= 0 && last != tail {
		bad("the place of the last element is wrong")
	}
	if want != 0xffff && want != count {
		bad("the number of elements is wrong")
	}
}

// ziplistPairs reads a ziplist of pairs and returns them as a listpack. The first elements of the pairs are different. owner
// is the first word of the error.
func (d *decoder) ziplistPairs(owner string) listpack.Listpack {
	b := d.string()
	lp := listpack.New(len(b))
	d.seen.reset(len(b) / 4) // a pair has four bytes at least
	count := 0
	var buf [20]byte
	d.ziplist(owner, b, func(v listpack.Value) {
		if count%2 == 0 {
			if !d.seen.add(elementText(v, buf[:0])) {
				d.failf("%s integrity check failed: an element comes twice", owner)
			}
		}
		count++
		lp = lp.Insert(lp.End(), listpack.OfValue(v))
	})
	if count%2 != 0 {
		d.failf("%s integrity check failed: an odd number of elements", owner)
	}
	return lp
}

// zipmap calls fn for each field of the zipmap b with its value, both slices of b.
func (d *decoder) zipmap(b []byte, fn func(field, value []byte)) {
	bad := func(what string) { d.fail("Zipmap integrity check failed: " + what) }
	if len(b) < 2 || b[len(b)-1] != ziplistEnd {
		bad("no terminator")
	}
	p, end, count := 1, len(b)-1, 0
	length := func() int {
		if p >= end {
			bad("an element is cut off")
		}
		n := int(b[p])
		p++
		if n == bigLength {
			if p+4 > end {
				bad("an element is cut off")
			}
			n = int(binary.LittleEndian.Uint32(b[p:]))
			p += 4
		} else if n > bigLength {
			bad("a terminator before the end")
		}
		return n
	}
	for p < end {
		n := length()
		if n > end-p {
			bad("a field is longer than the zipmap")
		}
		field := b[p : p+n]
		p += n
		n = length()
		if p >= end {
			bad("an element is cut off")
		}
		free := int(b[p])
		p++
		if n > end-p || free > end-p-n {
			bad("a value is longer than the zipmap")
		}
		fn(field, b[p:p+n])
		p += n + free
		count++
	}
	if count == 0 {
		bad("empty")
	}
	if b[0] < bigLength && int(b[0]) != count {
		bad("the number of fields is wrong")
	}
}
