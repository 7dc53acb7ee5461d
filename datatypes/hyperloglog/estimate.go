package hyperloglog

import (
	"encoding/binary"
	"math"
)

// The estimator is the improved raw estimator of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches", arXiv:1702.01284 (algorithm 6), which Redis uses since version 5. The count is stored in the value, so the same
// registers must give the same number on every machine. Therefore products are rounded before they are added (the explicit
// conversions): otherwise Go fuses the two on some processors.

// histogram has the number of registers for each rank. estimate ignores ranks above maxRank, which only corrupt values have.
type histogram [rankMask + 1]int

// tallies are four partial histograms. Neighbouring registers are often equal; counted in turn in different tables, an
// increment does not wait for the one before.
type tallies [4][rankMask + 1]int32

// addEight counts eight registers, a byte each.
func (t *tallies) addEight(w uint64) {
	t[0][w&rankMask]++
	t[1][w>>8&rankMask]++
	t[2][w>>16&rankMask]++
	t[3][w>>24&rankMask]++
	t[0][w>>32&rankMask]++
	t[1][w>>40&rankMask]++
	t[2][w>>48&rankMask]++
	t[3][w>>56&rankMask]++
}

func (h *histogram) add(t *tallies) {
	for rank := range h {
		h[rank] += int(t[0][rank] + t[1][rank] + t[2][rank] + t[3][rank])
	}
}

// addDense counts the registers of a dense value.
func (h *histogram) addDense(b []byte) {
	var t tallies
	for g, r := 0, b[HeaderSize:]; g < groups; g, r = g+1, r[groupBytes:] {
		t.addEight(spread(group(r)))
	}
	h.add(&t)
}

// addUnion counts the registers of a union.
func (h *histogram) addUnion(u *Union) {
	var t tallies
	for g := range groups {
		t.addEight(binary.LittleEndian.Uint64(u[g*8 : g*8+8]))
	}
	h.add(&t)
}

// addSparse counts the registers of a sparse value and reports whether the runs cover exactly all of them.
func (h *histogram) addSparse(b []byte) bool {
	total := 0
	for p := HeaderSize; p < len(b); {
		r := runAt(b, p)
		if total += r.registers; total > Registers {
			return false
		}
		h[r.rank] += r.registers
		p += r.size
	}
	return total == Registers
}

// estimate returns the number of elements, 2^63 if the estimate is infinite.
func (h *histogram) estimate() uint64 {
	const m = float64(Registers)
	z := m * tau((m-float64(h[maxRank]))/m)
	for rank := maxRank - 1; rank >= 1; rank-- {
		z = (z + float64(h[rank])) * 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	const alpha = 0.721347520444481703680 // 0.5/ln(2), to the digits that Redis has
	e := math.Round(alpha * m * m / z)
	if e >= 1<<63 {
		return 1 << 63
	}
	return uint64(e)
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x = float64(x * x)
		last := z
		z += float64(x * y)
		y += y
		if z == last {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		last := z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == last {
			return z / 3
		}
	}
}
