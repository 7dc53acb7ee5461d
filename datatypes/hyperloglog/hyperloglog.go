// Package hyperloglog estimates how many different elements were added to a value, in Redis's format: both servers read and
// write the same bytes.
//
// # The idea
//
// An element is hashed to 64 bits. The lowest 14 choose one of Registers registers; the position of the lowest 1 among
// the other 50 is the element's rank, 1 to maxRank. A register holds the highest rank that it has seen. The number of
// different elements is estimated from how many registers hold which rank (estimate.go); the standard error is 0.81%.
//
// # Format (Redis 7, src/hyperloglog.c)
//
//	"HYLL" <encoding: 1 byte> <3 bytes, unused> <cached count: 8 bytes, little endian> <registers>
//
// The highest bit of the cached count says that it is out of date. The registers are
//
//	dense    6 bits each, 12288 bytes. Register i begins at bit 6*i, counted from the lowest bit of the first byte
//	sparse   runs of equal registers, from the first register to the last:
//	         00nnnnnn            n+1 registers hold 0               (zero run)
//	         01nnnnnn nnnnnnnn   n+1 registers hold 0               (long zero run, high byte first)
//	         1rrrrrnn            n+1 registers hold r+1             (value run, 1 to 4 registers, ranks to 32)
//
// A value begins sparse, with one long zero run, and becomes dense for good when a rank is above 32 or when it would grow
// beyond a number of bytes that the caller sets. The order of additions decides which runs stand for the registers, and when
// a value becomes dense. The rules (sparse.go) are Redis's: the same additions make the same bytes.
//
// # Use
//
// A value is a byte slice that passed Valid. A function that changes a sparse one returns the slice to use from now on, as
// append does. The registers need not be valid: a function that finds runs which do not cover exactly all registers returns
// ErrCorrupt, and no function reads or writes outside of the slice.
package hyperloglog

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	indexBits = 14
	// Registers is the number of registers.
	Registers = 1 << indexBits
	// maxRank is the rank of a hash without a 1 behind the index.
	maxRank = 64 - indexBits + 1

	// HeaderSize is the length in bytes of what precedes the registers.
	HeaderSize = 16
	// DenseSize is the length in bytes of a dense value.
	DenseSize = HeaderSize + Registers*6/8
)

// Offsets in the header.
const (
	encodingAt = 4
	cacheAt    = 8
	staleAt    = 15 // the byte whose highest bit says that the cached count is out of date
)

const magic = "HYLL"

// Encoding is how the registers are stored.
type Encoding byte

// The encodings, numbered as in the format.
const (
	Dense Encoding = iota
	Sparse
)

// String returns the reply of PFDEBUG ENCODING.
func (e Encoding) String() string {
	if e == Dense {
		return "dense"
	}
	return "sparse"
}

// ErrCorrupt is returned when the runs of a sparse value do not cover exactly all registers.
var ErrCorrupt = errors.New("hyperloglog: corrupt value")

// Valid reports whether b has the header and, if dense, the length of a value. It does not check the runs of a sparse value.
func Valid(b []byte) bool {
	if len(b) < HeaderSize || string(b[:len(magic)]) != magic {
		return false
	}
	switch EncodingOf(b) {
	case Dense:
		return len(b) == DenseSize
	case Sparse:
		return true
	}
	return false
}

// EncodingOf returns how the registers of a value are stored.
func EncodingOf(b []byte) Encoding { return Encoding(b[encodingAt]) }

// AppendEmpty appends a value without elements to dst. It is sparse, and its cached count, 0, is valid.
func AppendEmpty(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, byte(Sparse), 0, 0, 0)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(dst, longZeroBit|(Registers-1)>>8, (Registers-1)&0xff)
}

// Cached returns the count that was stored with SetCached, and whether it is still valid.
func Cached(b []byte) (uint64, bool) {
	return binary.LittleEndian.Uint64(b[cacheAt:]), b[staleAt]&0x80 == 0
}

// SetCached stores a count in the value. Counts of 2^63 and above, which only corrupt registers give, are never valid.
func SetCached(b []byte, count uint64) { binary.LittleEndian.PutUint64(b[cacheAt:], count) }

// Invalidate marks the cached count as out of date.
func Invalidate(b []byte) { b[staleAt] |= 0x80 }

// Locate returns the register that an element belongs to, and its rank.
func Locate(element []byte) (index int, rank uint8) {
	h := hash(element)
	// The bit above the 50 makes the rank of all zeros maxRank.
	return int(h & (Registers - 1)), uint8(bits.TrailingZeros64(h>>indexBits|1<<(maxRank-1)) + 1)
}

// hash is MurmurHash64A (Austin Appleby, public domain) with Redis's seed.
func hash(data []byte) uint64 {
	const m, r = 0xc6a4a7935bd1e995, 47
	h := 0xadc83b19 ^ uint64(len(data))*m
	for ; len(data) >= 8; data = data[8:] {
		k := binary.LittleEndian.Uint64(data) * m
		h = (h ^ (k^k>>r)*m) * m
	}
	if len(data) > 0 {
		var k uint64
		for i, b := range data {
			k |= uint64(b) << (8 * i)
		}
		h = (h ^ k) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}

// Set raises a register to a rank, 1 to 63, and reports whether it was lower. A sparse value becomes dense if the rank is too
// high for it, or if it would become longer than maxSparse bytes. Set invalidates the cached count of a sparse value that it
// changes, but not of a dense one: callers that raise many registers do that once.
func Set(b []byte, index int, rank uint8, maxSparse int) (out []byte, changed bool, err error) {
	if EncodingOf(b) == Dense {
		if DenseRegister(b, index) >= rank {
			return b, false, nil
		}
		SetDenseRegister(b, index, rank)
		return b, true, nil
	}
	out, _, changed, err = setSparse(b, runCursor{}, index, rank, maxSparse)
	return out, changed, err
}

// ToDense returns the value with dense registers: b itself if it is dense, else a new slice. Of the header only the encoding
// changes.
func ToDense(b []byte) ([]byte, error) {
	if EncodingOf(b) == Dense {
		return b, nil
	}
	d := make([]byte, DenseSize)
	copy(d, b[:HeaderSize])
	d[encodingAt] = byte(Dense)
	first := 0
	for p := HeaderSize; p < len(b); {
		r := runAt(b, p)
		if first += r.registers; first > Registers {
			return nil, ErrCorrupt
		}
		if r.rank > 0 {
			for i := first - r.registers; i < first; i++ {
				SetDenseRegister(d, i, r.rank)
			}
		}
		p += r.size
	}
	if first != Registers {
		return nil, ErrCorrupt
	}
	return d, nil
}

// Count estimates the number of different elements from the registers, without the cached count.
func Count(b []byte) (uint64, error) {
	var h histogram
	if EncodingOf(b) == Dense {
		h.addDense(b)
	} else if !h.addSparse(b) {
		return 0, ErrCorrupt
	}
	return h.estimate(), nil
}
