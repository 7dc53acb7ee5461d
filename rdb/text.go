package rdb

import (
	"encoding/binary"
	"strconv"

	"ferrous/datatypes/lzf"
	"ferrous/datatypes/mem"
)

// maxRatio is the greatest ratio of LZF: three bytes decompress to 264 at most.
const maxRatio = 88

// keepPlain is the length up to which strings are decompressed to a buffer that is reused.
const keepPlain = 64 << 10

// text is a string as it was stored. It is valid until the next piece is read, unless owned says that the bytes are in memory
// of their own.
type text struct {
	b     []byte // for an integer its decimal text, if the caller needs bytes
	num   int64
	isInt bool
	owned bool
}

// encodedLength reads a length, or, when encoded is true, the number of an encoding.
func (r *reader) encodedLength() (n uint64, encoded bool) {
	b := r.byte()
	switch b >> 6 {
	case 0:
		return uint64(b & 0x3f), false
	case 1:
		return uint64(b&0x3f)<<8 | uint64(r.byte()), false
	case lengthEncoded:
		return uint64(b & 0x3f), true
	}
	switch b {
	case length32:
		return uint64(binary.BigEndian.Uint32(r.view(4))), false
	case length64:
		return binary.BigEndian.Uint64(r.view(8)), false
	}
	r.failf("Unknown length encoding %d", b)
	return 0, false
}

// length reads a length.
func (r *reader) length() uint64 {
	n, encoded := r.encodedLength()
	if encoded {
		r.failf("A length is expected, not a string encoding (%d)", n)
	}
	return n
}

// text reads a string. Integers are returned as numbers.
func (r *reader) text() text {
	n, encoded := r.encodedLength()
	if !encoded {
		if r.viewable(n) {
			return text{b: r.view(int(n))}
		}
		return text{b: r.own(n), owned: true}
	}
	switch n {
	case encodedInt8:
		return text{num: int64(int8(r.byte())), isInt: true}
	case encodedInt16:
		return text{num: int64(int16(binary.LittleEndian.Uint16(r.view(2)))), isInt: true}
	case encodedInt32:
		return text{num: int64(int32(binary.LittleEndian.Uint32(r.view(4)))), isInt: true}
	case encodedLZF:
		return r.compressed(false)
	}
	r.failf("Unknown string encoding %d", n)
	return text{}
}

// compressed reads a compressed string. If own, its bytes get memory of their own.
func (r *reader) compressed(own bool) text {
	packed, n := r.length(), r.length()
	if n/maxRatio > packed || n > maxLength {
		r.failf("Invalid LZF compressed string: %d bytes cannot come of %d", n, packed)
	}
	var src []byte
	if r.viewable(packed) {
		src = r.view(int(packed))
	} else {
		src = r.own(packed)
	}
	var dst []byte
	if own = own || n > keepPlain; own {
		dst = make([]byte, n, mem.Size(int(n)))
	} else {
		if uint64(cap(r.plain)) < n {
			r.plain = make([]byte, max(2*n, 512))
		}
		dst = r.plain[:n]
	}
	if err := lzf.Decompress(dst, src); err != nil {
		r.failf("Invalid LZF compressed string: %v", err)
	}
	return text{b: dst, owned: own}
}

// string reads a string and returns its bytes, valid until the next piece is read.
func (r *reader) string() []byte {
	t := r.text()
	return r.bytesOf(&t)
}

// bytesOf returns the bytes of t; those of an integer are valid until the next call.
func (r *reader) bytesOf(t *text) []byte {
	if t.isInt {
		return strconv.AppendInt(r.digits[:0], t.num, 10)
	}
	return t.b
}

// blob reads a string and returns its bytes in memory of their own, with the capacity of the size class.
func (r *reader) blob() []byte {
	n, encoded := r.encodedLength()
	switch {
	case !encoded:
		return r.own(n)
	case n == encodedLZF:
		return r.compressed(true).b
	}
	var t text
	switch n {
	case encodedInt8:
		t = text{num: int64(int8(r.byte())), isInt: true}
	case encodedInt16:
		t = text{num: int64(int16(binary.LittleEndian.Uint16(r.view(2)))), isInt: true}
	case encodedInt32:
		t = text{num: int64(int32(binary.LittleEndian.Uint32(r.view(4)))), isInt: true}
	default:
		r.failf("Unknown string encoding %d", n)
	}
	digits := r.bytesOf(&t)
	b := make([]byte, len(digits), mem.Size(len(digits)))
	copy(b, digits)
	return b
}

// skipText skips a string.
func (r *reader) skipText() {
	n, encoded := r.encodedLength()
	switch {
	case !encoded:
		r.skip(n)
	case n == encodedInt8:
		r.skip(1)
	case n == encodedInt16:
		r.skip(2)
	case n == encodedInt32:
		r.skip(4)
	case n == encodedLZF:
		packed := r.length()
		r.length()
		r.skip(packed)
	default:
		r.failf("Unknown string encoding %d", n)
	}
}

// Limits for the memory that is reserved for a claimed number of elements: as many as the rest of the source can hold if a
// key with its value has keyBytes and an element elementBytes, or for unsized elements if the size of the source is not known.
const (
	keyBytes     = 12
	elementBytes = 8
	unsized      = 1 << 16
)

// plausible returns the number of elements to reserve memory for, if the source claims n of at least size bytes each.
func (r *reader) plausible(n uint64, size int64) int {
	if r.size < 0 {
		return int(min(n, unsized))
	}
	return int(min(n, uint64(max(r.size-r.offset(), 0)/size)))
}
