package rdb

import (
	"encoding/binary"
	"math/bits"
)

// The checksum of RDB files and DUMP payloads is a CRC-64 of the polynomial that Redis calls Jones: 0xad93d23594c935a9,
// bits reflected, with the initial value 0 and not inverted at the end ("123456789" gives e9c6d914c4b8d9ca).
//
// Computed byte by byte it is a chain of dependent table lookups. Two methods make it fast. Eight tables process eight bytes
// in one step of the chain ("slicing by eight"). And since the checksum is linear, long inputs are cut into stripes of
// stripeSize bytes, and three stripes are computed at the same time. Then the checksums of the first two are advanced as if
// stripeSize zero bytes followed, which eight more tables do in one step, and the three are added.

const (
	crcPoly    = 0x95ac9329ac4bc9b5 // reflected
	stripeSize = 1024
)

// crcTables are the tables of the checksum. They are read only.
type crcTables struct {
	slice   [8][256]uint64
	advance [8][256]uint64 // for each byte of the checksum, its contribution after stripeSize zero bytes
}

var crcTable = func() *crcTables {
	t := new(crcTables)
	for i := range 256 {
		c := uint64(i)
		for range 8 {
			if c&1 != 0 {
				c = c>>1 ^ crcPoly
			} else {
				c >>= 1
			}
		}
		t.slice[0][i] = c
	}
	for k := 1; k < 8; k++ {
		for i := range 256 {
			c := t.slice[k-1][i]
			t.slice[k][i] = c>>8 ^ t.slice[0][c&0xff]
		}
	}
	var bit [64]uint64
	for i := range bit {
		bit[i] = crcShift(1<<i, stripeSize)
	}
	for k := range 8 {
		for i := range 256 {
			for b := 0; b < 8; b++ {
				if i>>b&1 != 0 {
					t.advance[k][i] ^= bit[8*k+b]
				}
			}
		}
	}
	return t
}()

// crc64 returns the checksum of some bytes followed by p; crc is the checksum of the bytes before.
func crc64(crc uint64, p []byte) uint64 {
	t := crcTable
	for len(p) >= 3*stripeSize {
		a, b, c := p[:stripeSize], p[stripeSize:2*stripeSize], p[2*stripeSize:3*stripeSize]
		ca, cb, cc := crc, uint64(0), uint64(0)
		for i := 0; i < stripeSize; i += 8 {
			ca = t.eight(ca ^ binary.LittleEndian.Uint64(a[i:]))
			cb = t.eight(cb ^ binary.LittleEndian.Uint64(b[i:]))
			cc = t.eight(cc ^ binary.LittleEndian.Uint64(c[i:]))
		}
		crc = t.stripe(t.stripe(ca)^cb) ^ cc
		p = p[3*stripeSize:]
	}
	for len(p) >= 8 {
		crc = t.eight(crc ^ binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	for _, b := range p {
		crc = crc>>8 ^ t.slice[0][byte(crc)^b]
	}
	return crc
}

// eight advances a checksum by the eight bytes that were added to it.
func (t *crcTables) eight(c uint64) uint64 {
	return t.slice[7][c&0xff] ^ t.slice[6][c>>8&0xff] ^ t.slice[5][c>>16&0xff] ^ t.slice[4][c>>24&0xff] ^
		t.slice[3][c>>32&0xff] ^ t.slice[2][c>>40&0xff] ^ t.slice[1][c>>48&0xff] ^ t.slice[0][c>>56]
}

// stripe advances a checksum by stripeSize zero bytes.
func (t *crcTables) stripe(c uint64) uint64 {
	return t.advance[0][c&0xff] ^ t.advance[1][c>>8&0xff] ^ t.advance[2][c>>16&0xff] ^ t.advance[3][c>>24&0xff] ^
		t.advance[4][c>>32&0xff] ^ t.advance[5][c>>40&0xff] ^ t.advance[6][c>>48&0xff] ^ t.advance[7][c>>56]
}

// crcShift returns the checksum crc after n zero bytes, in time logarithmic in n: crc times x^(8n) modulo the
// polynomial. The checksum of a followed by b is crcShift(crc of a, len(b)) ^ crc of b.
func crcShift(crc uint64, n int64) uint64 {
	power := uint64(1) << 55 // x^8: reflected, the highest bit is x^0
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			crc = crcMultiply(crc, power)
		}
		power = crcMultiply(power, power)
	}
	return crc
}

// crcMultiply multiplies two polynomials modulo the checksum's.
func crcMultiply(a, b uint64) uint64 {
	product := uint64(0)
	for ; b != 0; b &^= 1 << 63 {
		// For the terms of b from the lowest power on: multiply a by x until its power is that of the term.
		for zeros := bits.LeadingZeros64(b); zeros > 0; zeros-- {
			a = a>>1 ^ crcPoly&-(a&1)
			b <<= 1
		}
		product ^= a
	}
	return product
}
