// Package lzf is the compression that Redis uses in RDB files and for the inner nodes of lists: the format of liblzf.
//
// # Format
//
// A stream of instructions, each beginning with a control byte:
//
//	000LLLLL data            copy the next L+1 bytes (1 to 32)
//	LLLooooo oooooooo        copy L+2 bytes (3 to 8) from o+1 bytes back in the output, L = 1..6
//	111ooooo LLLLLLLL oooooooo   copy L+9 bytes (9 to 264) from there
//
// so a match is at most 8192 bytes back and may overlap its own output. The stream does not contain the length of the output:
// the caller stores that length, too.
//
// # Compressor
//
// A hash table has the last position of each three bytes; the search for a match is one lookup there. The table is kept
// between calls and never cleared: positions continue from call to call, so that entries of an earlier input are too far back
// to match. So the work for a small input is proportional to its length. The output differs from that of liblzf, which
// depends on uninitialised memory, but any decoder reads it.
package lzf

import (
	"encoding/binary"
	"errors"
	"math"
)

const (
	hashBits   = 14
	maxLiteral = 1 << 5
	maxOffset  = 1 << 13
	minMatch   = 3
	maxMatch   = 264
)

// Encoder compresses. The zero value is ready to use; its first use allocates 64 KiB. Two goroutines must not use it at the
// same time.
type Encoder struct {
	// Stop, if not nil, is called after each stopEvery bytes of an input. If it returns true, Compress returns 0.
	Stop func() bool

	table *[1 << hashBits]uint32 // position + base of the last bytes of this hash
	base  uint32
}

// stopEvery is the number of bytes between two calls of Stop: some milliseconds.
const stopEvery = 1 << 20

// hash uses the lowest three bytes of w.
func hash(w uint32) uint32 { return (w << 8) * 2654435761 >> (32 - hashBits) }

// Compress writes src compressed to dst and returns the number of bytes written; 0 if dst is too small, or src is empty or
// about 4 GiB or longer. dst and src must not overlap.
func (e *Encoder) Compress(dst, src []byte) int {
	if len(src) == 0 || uint64(len(src)) > math.MaxUint32-2*maxOffset {
		return 0
	}
	if e.table == nil {
		e.table = new([1 << hashBits]uint32)
		e.base = maxOffset + 1
	}
	if uint64(e.base)+uint64(len(src)) > math.MaxUint32-maxOffset {
		*e.table = [1 << hashBits]uint32{}
		e.base = maxOffset + 1
	}
	table, base := e.table, e.base
	e.base += uint32(len(src)) + maxOffset + 1

	out, literals, i := 0, 0, 0 // literals: the first byte that no instruction covers yet
	check := len(src)
	if e.Stop != nil {
		check = stopEvery
	}
	for i+4 <= len(src) {
		if i >= check {
			if e.Stop() {
				return 0
			}
			check += stopEvery
		}
		w := binary.LittleEndian.Uint32(src[i:])
		slot := &table[hash(w)]
		at := base + uint32(i)
		back := at - *slot // at least 1; entries of earlier calls are further back than maxOffset
		*slot = at
		if back > maxOffset || (w^binary.LittleEndian.Uint32(src[i-int(back):]))<<8 != 0 {
			i++
			continue
		}
		n := minMatch
		limit := min(maxMatch, len(src)-i)
		for n < limit && src[i+n] == src[i+n-int(back)] {
			n++
		}
		out = putLiterals(dst, out, src[literals:i])
		if out < 0 || out+3 > len(dst) {
			return 0
		}
		o, l := back-1, n-2
		if l < 7 {
			dst[out] = byte(l<<5) | byte(o>>8)
		} else {
			dst[out] = 7<<5 | byte(o>>8)
			out++
			dst[out] = byte(l - 7)
		}
		dst[out+1] = byte(o)
		out += 2
		i += n
		literals = i
		// Only the last two positions of the matched bytes get into the table: all of them cost more than they gain.
		if i+2 <= len(src) {
			for j := i - 2; j < i; j++ {
				if j+4 <= len(src) {
					table[hash(binary.LittleEndian.Uint32(src[j:]))] = base + uint32(j)
				}
			}
		}
	}
	return max(putLiterals(dst, out, src[literals:]), 0)
}

// putLiterals writes s to dst from out on as literal runs. It returns the end of the runs, -1 if there is no room.
func putLiterals(dst []byte, out int, s []byte) int {
	if out+len(s)+(len(s)+maxLiteral-1)/maxLiteral > len(dst) {
		return -1
	}
	for len(s) > 0 {
		n := min(len(s), maxLiteral)
		dst[out] = byte(n - 1)
		copy(dst[out+1:], s[:n])
		out += 1 + n
		s = s[n:]
	}
	return out
}

var (
	errInput = errors.New("lzf: the compressed data is damaged")
	errRoom  = errors.New("lzf: the data is longer than announced")
	errShort = errors.New("lzf: the data is shorter than announced")
)

// Decompress decompresses src into dst. It returns an error if the result is not exactly as long as dst. src may be any
// bytes.
func Decompress(dst, src []byte) error {
	out, i := 0, 0
	for i < len(src) {
		c := int(src[i])
		i++
		if c < maxLiteral {
			n := c + 1
			if n > len(src)-i {
				return errInput
			}
			if n > len(dst)-out {
				return errRoom
			}
			copy(dst[out:out+n], src[i:i+n])
			out += n
			i += n
			continue
		}
		n := c >> 5
		if n == 7 {
			if i >= len(src) {
				return errInput
			}
			n += int(src[i])
			i++
		}
		n += 2
		if i >= len(src) {
			return errInput
		}
		back := (c&0x1f)<<8 + int(src[i]) + 1
		i++
		if back > out {
			return errInput
		}
		if n > len(dst)-out {
			return errRoom
		}
		if back >= n {
			copy(dst[out:out+n], dst[out-back:])
		} else {
			// The match overlaps its output: each copy doubles the bytes that can be copied next.
			from, end := out-back, out+n
			for at := out; at < end; {
				at += copy(dst[at:end], dst[from:at])
			}
		}
		out += n
	}
	if out != len(dst) {
		return errShort
	}
	return nil
}
