// Package geohash has the positions of Redis's geo commands: codes of 52 bits that are scores of a sorted set, cells of the
// grid that the leading bits of codes make, and the cells that a search in a circle or a box must visit (search.go).
// distance.go has distances, trig.go the trigonometry for them.
//
// # Codes
//
// Each bit of a code halves an area: its first bit is the half of the longitudes (-180 to 180 degrees), the second that of
// the latitudes (-85.05112878 to 85.05112878, what a square Mercator map shows), the third the half of that half, and so on.
// A Code of step n has n bits of each, interleaved: the latitude's in the even places, the longitude's in the odd ones.
// Positions are stored with 26 steps, cells of about 0.6 m.
//
// All positions inside the cell of a shorter code share its bits in front: as codes of 52 bits, and so as scores, they
// are one range. A double holds 52 bits exactly.
//
// # Same bits as Redis
//
// Replies show decoded positions and distances with all their digits, and the order in which an unsorted search replies
// is the order in which it visits cells. So the arithmetic of src/geohash.c and src/geohash_helper.c of Redis 7.2 is
// followed operation by operation, with every product rounded before it is added to something (Go may otherwise fuse the
// two on some machines). So are its special cases: the upper ends of the ranges have codes one past the last cell (with a
// 53rd or 54th bit), and a score that is not a code decodes to the nearest valid position.
package geohash

// The ends of the positions that can be stored, in degrees.
const (
	MinLon = -180.0
	MaxLon = 180.0
	MinLat = -85.05112878
	MaxLat = 85.05112878
)

// MaxStep is the step of the codes that are stored.
const MaxStep = 26

// Code is a cell of the grid. The zero Code is no cell.
type Code struct {
	Bits uint64
	Step uint8 // bits of each coordinate, 1 to MaxStep
}

// Area is the area of a cell, in degrees.
type Area struct{ MinLon, MaxLon, MinLat, MaxLat float64 }

// bounds is a range of coordinates that codes divide.
type bounds struct{ min, max float64 }

// Encode returns the cell of a position, which must be valid (see Valid).
func Encode(lon, lat float64, step uint8) Code {
	return encode(lon, lat, step, bounds{MinLat, MaxLat})
}

// Valid reports whether a position can be stored. NaN is not valid.
func Valid(lon, lat float64) bool {
	return lon >= MinLon && lon <= MaxLon && lat >= MinLat && lat <= MaxLat
}

func encode(lon, lat float64, step uint8, lats bounds) Code {
	y := (lat - lats.min) / (lats.max - lats.min) * float64(uint64(1)<<step)
	x := (lon - MinLon) / (MaxLon - MinLon) * float64(uint64(1)<<step)
	return Code{interleave(uint32(y), uint32(x)), step}
}

// Score returns the stored code of a valid position.
func Score(lon, lat float64) uint64 { return Encode(lon, lat, MaxStep).Bits }

// Area returns the area of the cell.
func (c Code) Area() Area {
	y, x := deinterleave(c.Bits)
	cells := float64(uint64(1) << c.Step)
	return Area{
		MinLon: edge(x, cells, bounds{MinLon, MaxLon}), MaxLon: edge(x+1, cells, bounds{MinLon, MaxLon}),
		MinLat: edge(y, cells, bounds{MinLat, MaxLat}), MaxLat: edge(y+1, cells, bounds{MinLat, MaxLat}),
	}
}

// edge returns the beginning of the i-th of cells equal parts of a range.
func edge(i uint32, cells float64, b bounds) float64 {
	return b.min + float64(float64(i)/cells*(b.max-b.min))
}

// Position returns the centre of the cell of a score, which need not be a result of Score.
func Position(score float64) (lon, lat float64) {
	y, x := deinterleave(scoreBits(score))
	return centreOf(x, bounds{MinLon, MaxLon}), centreOf(y, bounds{MinLat, MaxLat})
}

// centreOf returns the middle of the i-th of the smallest cells of a range, limited to the range.
func centreOf(i uint32, b bounds) float64 {
	const cells = 1 << MaxStep
	return min(max((edge(i, cells, b)+edge(i+1, cells, b))/2, b.min), b.max)
}

// scoreBits converts as C's cast to uint64_t does on amd64, which is defined for negative and huge numbers, too.
func scoreBits(score float64) uint64 {
	const half = 1 << 63
	switch {
	case score >= half && score < 2*half:
		return uint64(score-half) | half
	case score >= 2*half:
		return 0
	case score < -half || score != score:
		return half
	}
	return uint64(int64(score))
}

// Scores returns the first score of the cell, and the score behind its last.
func (c Code) Scores() (first, end float64) {
	shift := 2 * (MaxStep - c.Step)
	return float64(c.Bits << shift), float64((c.Bits + 1) << shift)
}

const (
	evenBits = 0x5555555555555555 // of the latitude
	oddBits  = 0xaaaaaaaaaaaaaaaa
)

// neighbour returns the cell that is dx cells to the east and dy cells to the north, each -1, 0 or 1. The grid wraps around
// at its ends, at the poles as well.
func (c Code) neighbour(dx, dy int) Code {
	x, y := c.Bits&oddBits, c.Bits&evenBits
	unused := 64 - 2*uint(c.Step)
	// Bits of the other coordinate are set before adding one and clear before subtracting, so that the carry passes them.
	lowY, lowX := uint64(evenBits)>>unused, uint64(oddBits)>>unused
	switch dx {
	case 1:
		x = (x + lowY + 1) & lowX
	case -1:
		x = ((x | lowY) - (lowY + 1)) & lowX
	}
	switch dy {
	case 1:
		y = (y + lowX + 1) & lowY
	case -1:
		y = ((y | lowX) - (lowX + 1)) & lowY
	}
	return Code{x | y, c.Step}
}

// interleave puts the bits of y into the even places and those of x into the odd ones.
func interleave(y, x uint32) uint64 { return spread(y) | spread(x)<<1 }

// deinterleave is the inverse of interleave.
func deinterleave(code uint64) (y, x uint32) { return gather(code), gather(code >> 1) }

// spread moves bit i to bit 2i: each step moves the upper half of each group as far as the lower half is wide.
func spread(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	x = (x | x<<2) & 0x3333333333333333
	return (x | x<<1) & evenBits
}

// gather is the inverse of spread, for any odd bits.
func gather(x uint64) uint32 {
	x &= evenBits
	x = (x | x>>1) & 0x3333333333333333
	x = (x | x>>2) & 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// TextLen is the length of a geohash as text.
const TextLen = 11

// alphabet is base 32 as geohash.org uses it.
const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"

// AppendText appends the geohash of a position as other programs write it: latitudes from -90 to 90 are divided, so that
// the bits are not those of the position's score. 52 bits are not enough for eleven letters of five; the last is 0.
func AppendText(dst []byte, lon, lat float64) []byte {
	bits := encode(lon, lat, MaxStep, bounds{-90, 90}).Bits
	for i := range TextLen - 1 {
		dst = append(dst, alphabet[bits>>(2*MaxStep-5*(i+1))&31])
	}
	return append(dst, alphabet[0])
}
