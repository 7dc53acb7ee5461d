package hyperloglog

import (
	"encoding/binary"
	"strconv"
)

// The sparse encoding: runs of equal registers; the package comment has their bytes.
//
// To raise a register, setSparse walks over the runs to the one with the register, which is the main cost. It splits this run
// into up to three: before the register, the register alone, behind it. Then it joins neighbouring value runs of the same
// rank there, up to four registers. It joins only a few runs and no zero runs, so the resulting runs depend on the order of
// additions. Therefore it must visit the same runs in the same order as Redis.

// The forms of a run, by its first byte.
const (
	longZeroBit = 0x40
	valueBit    = 0x80

	maxZeroRun    = 64
	maxValueRun   = 4
	maxSparseRank = 32

	joinSteps = 5 // number of runs that are checked for joining
)

// run is a decoded run: one or two bytes of the encoding.
type run struct {
	registers int
	size      int   // in bytes
	rank      uint8 // 0: a zero run
}

// runAt reads the run at byte p. A missing second byte counts as 0: Redis reads the zero byte behind its string.
func runAt(b []byte, p int) run {
	switch op := b[p]; {
	case op&valueBit != 0:
		return run{int(op&3) + 1, 1, op>>2&0x1f + 1}
	case op&longZeroBit == 0:
		return run{int(op) + 1, 1, 0}
	case p+1 == len(b):
		return run{int(op&0x3f)<<8 + 1, 2, 0}
	default:
		return run{(int(op&0x3f)<<8 | int(b[p+1])) + 1, 2, 0}
	}
}

// valueRun returns the byte of a value run.
func valueRun(rank uint8, registers int) byte { return valueBit | (rank-1)<<2 | byte(registers-1) }

// appendZeroRun appends the shortest zero run.
func appendZeroRun(dst []byte, registers int) []byte {
	n := registers - 1
	if registers <= maxZeroRun {
		return append(dst, byte(n))
	}
	return append(dst, longZeroBit|byte(n>>8), byte(n))
}

// shortRuns is the number of registers of each run that is one byte, by that byte; 0 for long zero runs.
var shortRuns = func() (t [256]uint8) {
	for op := range t {
		if op&valueBit != 0 || op&longZeroBit == 0 {
			t[op] = uint8(runAt([]byte{byte(op)}, 0).registers)
		}
	}
	return t
}()

// eightRuns returns the number of registers of eight runs of one byte each; 0 if there is a longer one among them.
func eightRuns(w uint64) int {
	const ones = 0x0101010101010101
	values := w >> 7 & ones
	if w>>6&ones&^values != 0 {
		return 0
	}
	w &= 0x3f*ones ^ values*0x3c // 6 bits count the registers of a zero run, 2 those of a value run
	w = w&0x00ff00ff00ff00ff + w>>8&0x00ff00ff00ff00ff
	return int(w*0x0001000100010001>>48) + 8
}

// runCursor is a position where a walk over the runs may begin: byte at is the first of a run, whose first register is first.
// The zero value is the beginning.
type runCursor struct{ at, first int }

// setSparse is Set for a sparse value. The walk begins at from. The returned cursor may be passed for registers with a higher
// index as long as the value stays sparse.
func setSparse(b []byte, from runCursor, index int, rank uint8, maxSparse int) (out []byte, next runCursor, changed bool, err error) {
	if rank > maxSparseRank {
		return setPromoted(b, index, rank)
	}
	start := from
	if start.at == 0 {
		start.at = HeaderSize
	}
	// prev is the run before the one at p.
	prev, prevFirst := -1, 0
	p, first, registers, size := start.at, start.first, 0, 1
	for p < len(b) {
		// Skip eight runs of one byte at a time, as long as there are so many.
		for p+8 <= len(b) {
			n := eightRuns(binary.LittleEndian.Uint64(b[p:]))
			if n == 0 || index < first+n {
				break
			}
			p += 8
			first += n
			prev, prevFirst = p-1, first-int(shortRuns[b[p-1]])
		}
		if p == len(b) {
			break
		}
		if registers, size = int(shortRuns[b[p]]), 1; registers == 0 {
			registers, size = runAt(b, p).registers, 2
		}
		if index < first+registers {
			break
		}
		prev, prevFirst = p, first
		p += size
		first += registers
	}
	if p+size > len(b) {
		return b, next, false, ErrCorrupt // no run has this register, or the second byte of its run is missing
	}
	if prev < 0 && from.at != 0 {
		return setSparse(b, runCursor{}, index, rank, maxSparse) // the run before is needed too
	}
	next = runCursor{prev, prevFirst}
	if prev < 0 {
		next = runCursor{}
	}

	old := runAt(b, p)
	if old.rank >= rank {
		return b, next, false, nil
	}
	var buf [5]byte
	split := buf[:0]
	before, behind := index-first, first+registers-1-index
	if old.rank == 0 {
		if before > 0 {
			split = appendZeroRun(split, before)
		}
		split = append(split, valueRun(rank, 1))
		if behind > 0 {
			split = appendZeroRun(split, behind)
		}
	} else {
		if before > 0 {
			split = append(split, valueRun(old.rank, before))
		}
		split = append(split, valueRun(rank, 1))
		if behind > 0 {
			split = append(split, valueRun(old.rank, behind))
		}
	}
	n := len(b)
	if grow := len(split) - size; grow > 0 {
		if n+grow > maxSparse {
			return setPromoted(b, index, rank)
		}
		b = append(b, split[:grow]...)
		copy(b[p+len(split):], b[p+size:n])
	} else if grow < 0 { // a long zero run of few registers, which no server writes
		copy(b[p+len(split):], b[p+size:])
		b = b[:n+grow]
	}
	copy(b[p:], split)
	b = joinRuns(b, max(prev, HeaderSize))
	Invalidate(b)
	return b, next, true, nil
}

// joinRuns joins neighbouring value runs of one rank, from the run at byte p on, and returns the shortened b.
func joinRuns(b []byte, p int) []byte {
	for range joinSteps {
		if p >= len(b) {
			break
		}
		op := b[p]
		if op&valueBit == 0 {
			if p++; op&longZeroBit != 0 {
				p++
			}
			continue
		}
		if p+1 < len(b) && b[p+1]&valueBit != 0 && op>>2 == b[p+1]>>2 {
			if n := int(op&3) + int(b[p+1]&3) + 2; n <= maxValueRun {
				copy(b[p:], b[p+1:])
				b = b[:len(b)-1]
				b[p] = op&^3 | byte(n-1)
				continue // the joined run may be joined with the next, too
			}
		}
		p++
	}
	return b
}

// setPromoted makes a sparse value dense and raises a register that is known to be lower.
func setPromoted(b []byte, index int, rank uint8) ([]byte, runCursor, bool, error) {
	d, err := ToDense(b)
	if err != nil {
		return b, runCursor{}, false, err
	}
	SetDenseRegister(d, index, rank)
	return d, runCursor{}, true, nil
}

// AppendRuns appends the runs of a sparse value in words to dst, as in the reply of PFDEBUG DECODE: "z:n" and "Z:n" are zero
// runs and long zero runs of n registers, "v:r,n" is n registers of rank r.
func AppendRuns(dst, b []byte) []byte {
	for p := HeaderSize; p < len(b); {
		r := runAt(b, p)
		if p > HeaderSize {
			dst = append(dst, ' ')
		}
		switch {
		case r.rank > 0:
			dst = append(dst, "v:"...)
			dst = strconv.AppendUint(dst, uint64(r.rank), 10)
			dst = append(dst, ',')
		case r.size == 1:
			dst = append(dst, "z:"...)
		default:
			dst = append(dst, "Z:"...)
		}
		dst = strconv.AppendInt(dst, int64(r.registers), 10)
		p += r.size
	}
	return dst
}
