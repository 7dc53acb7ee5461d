package hyperloglog

import "encoding/binary"

// The dense encoding: 6 bits a register. Eight registers fill six bytes, a group; code that reads all registers reads a group
// as one word.

const (
	groups     = Registers / 8
	groupBytes = 6
	rankMask   = 63
)

// DenseRegister returns a register of a dense value.
func DenseRegister(b []byte, index int) uint8 {
	at, shift := HeaderSize+index*6/8, index*6%8
	v := b[at] >> shift
	if shift > 2 {
		v |= b[at+1] << (8 - shift)
	}
	return v & rankMask
}

// SetDenseRegister sets a register of a dense value, also to a lower rank than it holds. It does not change the cached count.
func SetDenseRegister(b []byte, index int, rank uint8) {
	at, shift := HeaderSize+index*6/8, index*6%8
	b[at] = b[at]&^(rankMask<<shift) | rank<<shift
	if shift > 2 {
		b[at+1] = b[at+1]&^(rankMask>>(8-shift)) | rank>>(8-shift)
	}
}

// group returns eight registers, the first in the lowest 6 bits. r is the registers from that group on.
func group(r []byte) uint64 {
	if len(r) >= 8 {
		return binary.LittleEndian.Uint64(r)
	}
	return uint64(binary.LittleEndian.Uint32(r)) | uint64(binary.LittleEndian.Uint16(r[4:]))<<32
}

// spread turns a group into eight bytes of a register each, the first in the lowest byte.
func spread(w uint64) uint64 {
	w = w&0xffffff | w&0xffffff000000<<8
	w = w&0x00000fff00000fff | w&0x00fff00000fff000<<4
	return w&0x003f003f003f003f | w&0x0fc00fc00fc00fc0<<2
}

// gather is the inverse of spread.
func gather(w uint64) uint64 {
	w = w&0x003f003f003f003f | w&0x3f003f003f003f00>>2
	w = w&0x00000fff00000fff | w&0x0fff00000fff0000>>4
	return w&0xffffff | w&0xffffff00000000>>8
}

// higher returns the greater of each two bytes, which must be below 128.
func higher(a, b uint64) uint64 {
	const tops = 0x8080808080808080
	aWins := ((a | tops) - b) & tops // no byte borrows from its neighbour
	aWins |= aWins - aWins>>7
	return a&aWins | b&^aWins
}

// Union is the registers of the union of several values: for each register the highest rank of the values.
type Union [Registers]uint8

// Add adds a value to u. On ErrCorrupt some registers may have been raised.
func (u *Union) Add(b []byte) error {
	if EncodingOf(b) == Dense {
		for g, r := 0, b[HeaderSize:]; g < groups; g, r = g+1, r[groupBytes:] {
			eight := u[g*8 : g*8+8]
			binary.LittleEndian.PutUint64(eight, higher(binary.LittleEndian.Uint64(eight), spread(group(r))))
		}
		return nil
	}
	first := 0
	for p := HeaderSize; p < len(b); {
		r := runAt(b, p)
		if first += r.registers; first > Registers {
			return ErrCorrupt
		}
		if r.rank > 0 {
			for i := first - r.registers; i < first; i++ {
				u[i] = max(u[i], r.rank)
			}
		}
		p += r.size
	}
	if first != Registers {
		return ErrCorrupt
	}
	return nil
}

// Count estimates the number of different elements.
func (u *Union) Count() uint64 {
	var h histogram
	h.addUnion(u)
	return h.estimate()
}

// MergeInto raises the registers of a value, which must be part of the union, to those of the union, and invalidates its
// cached count. It returns the value to use from now on; a sparse one becomes dense as in Set.
func (u *Union) MergeInto(b []byte, maxSparse int) ([]byte, error) {
	var at runCursor
	for i := 0; i < Registers && EncodingOf(b) == Sparse; i++ {
		if u[i] == 0 {
			continue
		}
		var err error
		if b, at, _, err = setSparse(b, at, i, u[i], maxSparse); err != nil {
			return b, err
		}
	}
	if EncodingOf(b) == Dense {
		for g, r := 0, b[HeaderSize:]; g < groups; g, r = g+1, r[groupBytes:] {
			w := gather(binary.LittleEndian.Uint64(u[g*8 : g*8+8]))
			binary.LittleEndian.PutUint32(r, uint32(w))
			binary.LittleEndian.PutUint16(r[4:], uint16(w>>32))
		}
	}
	Invalidate(b)
	return b, nil
}
