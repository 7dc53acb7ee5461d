package listpack

import (
	"encoding/binary"
	"strconv"
)

// First bytes of an encoded element. The number of low bits that carry payload is in the name.
const (
	str6   = 0x80 // 10xxxxxx: string of up to 63 bytes
	int13  = 0xc0 // 110xxxxx: 13 bit integer, high bits first
	str12  = 0xe0 // 1110xxxx: string of up to 4095 bytes
	str32  = 0xf0
	int16b = 0xf1
	int24b = 0xf2
	int32b = 0xf3
	int64b = 0xf4
	eof    = 0xff
)

// maxDigits is the longest text that can be an int64: "-9223372036854775808".
const maxDigits = 20

// ParseInt returns the integer whose canonical decimal text s is: an optional minus, no leading zeros, no blanks, within
// int64. Such strings are stored as integers.
func ParseInt(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > maxDigits {
		return 0, false
	}
	if len(s) == 1 {
		return int64(s[0] - '0'), s[0]-'0' <= 9
	}
	negative := s[0] == '-'
	if negative {
		s = s[1:]
	}
	if s[0]-'1' > 8 {
		return 0, false
	}
	// 19 digits cannot overflow a uint64. 20 digits without a sign are out of range.
	if len(s) > 19 {
		return 0, false
	}
	var u uint64
	for _, c := range s {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		u = u*10 + uint64(d)
	}
	if negative {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}

// Value is one element. A string has Str not nil (though perhaps empty), an integer has Str nil.
//
// Str points into the listpack and is valid until its next change.
type Value struct {
	Str []byte
	Int int64
}

// IsInt reports whether the element is stored as an integer.
func (v Value) IsInt() bool { return v.Str == nil }

// Equal reports whether s is the text of the element.
func (v Value) Equal(s []byte) bool {
	if v.Str != nil {
		return string(v.Str) == string(s)
	}
	n, ok := ParseInt(s)
	return ok && n == v.Int
}

// AppendTo appends the text of the element to dst.
func (v Value) AppendTo(dst []byte) []byte {
	if v.Str != nil {
		return append(dst, v.Str...)
	}
	return strconv.AppendInt(dst, v.Int, 10)
}

// Len returns the length of the element's text in bytes.
func (v Value) Len() int {
	if v.Str != nil {
		return len(v.Str)
	}
	n, u := 1, uint64(v.Int)
	if v.Int < 0 {
		n, u = 2, -u
	}
	for ; u >= 10; u /= 10 {
		n++
	}
	return n
}

// Integer returns the element's integer if its text is one for ParseInt.
func (v Value) Integer() (int64, bool) {
	if v.Str != nil {
		return ParseInt(v.Str)
	}
	return v.Int, true
}

// Entry is an element that is about to be stored: a text or an integer with the encoding chosen for it. A caller gets its
// size before making room. Use Of, OfInt or OfValue.
type Entry struct {
	str []byte // nil for an integer
	num int64
	enc int // bytes of the encoded element
}

// Of returns the entry for a text, as an integer if it is one.
func Of(s []byte) Entry {
	if n, ok := ParseInt(s); ok {
		return OfInt(n)
	}
	if s == nil {
		s = []byte{}
	}
	return Entry{str: s, enc: strHeader(len(s)) + len(s)}
}

// OfInt returns the entry for an integer.
func OfInt(n int64) Entry {
	enc := 9
	switch {
	case n >= 0 && n <= 127:
		enc = 1
	case n >= -1<<12 && n < 1<<12:
		enc = 2
	case n >= -1<<15 && n < 1<<15:
		enc = 3
	case n >= -1<<23 && n < 1<<23:
		enc = 4
	case n >= -1<<31 && n < 1<<31:
		enc = 5
	}
	return Entry{num: n, enc: enc}
}

// OfValue returns the entry for an element of another listpack.
func OfValue(v Value) Entry {
	if v.Str != nil {
		return Of(v.Str)
	}
	return OfInt(v.Int)
}

// Size returns the bytes that the entry takes in a listpack, its back length included.
func (e Entry) Size() int { return e.enc + backSize(e.enc) }

// Put writes the entry at the beginning of dst, which must have room for Size bytes.
func (e Entry) Put(dst []byte) {
	if s := e.str; s != nil {
		switch h := strHeader(len(s)); h {
		case 1:
			dst[0] = str6 | byte(len(s))
			copy(dst[1:], s)
		case 2:
			dst[0] = str12 | byte(len(s)>>8)
			dst[1] = byte(len(s))
			copy(dst[2:], s)
		default:
			dst[0] = str32
			binary.LittleEndian.PutUint32(dst[1:], uint32(len(s)))
			copy(dst[5:], s)
		}
	} else {
		n := uint64(e.num)
		switch e.enc {
		case 1:
			dst[0] = byte(n)
		case 2:
			dst[0] = int13 | byte(n>>8)&0x1f
			dst[1] = byte(n)
		case 3:
			dst[0] = int16b
			binary.LittleEndian.PutUint16(dst[1:], uint16(n))
		case 4:
			dst[0], dst[1], dst[2], dst[3] = int24b, byte(n), byte(n>>8), byte(n>>16)
		case 5:
			dst[0] = int32b
			binary.LittleEndian.PutUint32(dst[1:], uint32(n))
		default:
			dst[0] = int64b
			binary.LittleEndian.PutUint64(dst[1:], n)
		}
	}
	putBack(dst[e.enc:], e.enc)
}

// strHeader returns the bytes in front of a string of n bytes.
func strHeader(n int) int {
	switch {
	case n < 64:
		return 1
	case n < 4096:
		return 2
	}
	return 5
}

// backSize returns the bytes of the back length of an element that is encoded in n bytes. From the second limit on Redis
// compares with "less than", so these limits are one lower than they could be.
func backSize(n int) int {
	switch {
	case n <= 127:
		return 1
	case n < 1<<14-1:
		return 2
	case n < 1<<21-1:
		return 3
	case n < 1<<28-1:
		return 4
	}
	return 5
}

// putBack writes the back length n: groups of seven bits, the highest first. All but the first are marked with 0x80, so that
// a reader from the right knows that another group follows.
func putBack(dst []byte, n int) {
	if n <= 127 {
		dst[0] = byte(n)
		return
	}
	i := backSize(n) - 1
	for ; i > 0; i-- {
		dst[i] = byte(n)&127 | 128
		n >>= 7
	}
	dst[0] = byte(n)
}

// back reads the back length that ends just before position p; -1 if it has more than five groups.
func (lp Listpack) back(p int) int {
	p--
	n := int(lp[p] & 127)
	for shift := 7; lp[p] >= 128; shift += 7 {
		if shift > 28 {
			return -1
		}
		p--
		n |= int(lp[p]&127) << shift
	}
	return n
}

// encoded returns the bytes of the encoded element at p, without its back length.
func (lp Listpack) encoded(p int) int {
	b := lp[p]
	switch {
	case b < str6:
		return 1
	case b < int13:
		return 1 + int(b&0x3f)
	case b < str12:
		return 2
	case b < str32:
		return 2 + int(b&0x0f)<<8 + int(lp[p+1])
	}
	switch b {
	case str32:
		return 5 + int(binary.LittleEndian.Uint32(lp[p+1:]))
	case int16b:
		return 3
	case int24b:
		return 4
	case int32b:
		return 5
	case int64b:
		return 9
	}
	return 1
}

// skip returns the position behind the element at p.
func (lp Listpack) skip(p int) int {
	n := lp.encoded(p)
	return p + n + backSize(n)
}

// Read returns the element at p and the position of the one behind it, which is End after the last element.
func (lp Listpack) Read(p int) (v Value, next int) {
	b := lp[p]
	var h, n int
	switch {
	case b < str6:
		return Value{Int: int64(b)}, p + 2
	case b < int13:
		h, n = 1, int(b&0x3f)
	case b < str12:
		return Value{Int: int64(uint64(b)<<59|uint64(lp[p+1])<<51) >> 51}, p + 3
	case b < str32:
		h, n = 2, int(b&0x0f)<<8+int(lp[p+1])
	default:
		switch b {
		case str32:
			h, n = 5, int(binary.LittleEndian.Uint32(lp[p+1:]))
		case int16b:
			return Value{Int: int64(int16(binary.LittleEndian.Uint16(lp[p+1:])))}, p + 4
		case int24b:
			return Value{Int: int64(int32(uint32(lp[p+1])<<8|uint32(lp[p+2])<<16|uint32(lp[p+3])<<24) >> 8)}, p + 5
		case int32b:
			return Value{Int: int64(int32(binary.LittleEndian.Uint32(lp[p+1:])))}, p + 6
		case int64b:
			return Value{Int: int64(binary.LittleEndian.Uint64(lp[p+1:]))}, p + 10
		default:
			panic("listpack: no element at this position")
		}
	}
	p += h
	return Value{Str: lp[p : p+n : p+n]}, p + n + backSize(h+n)
}
