// Package longdouble computes as Redis's INCRBYFLOAT and HINCRBYFLOAT do on amd64: in the x87 extended format of C's
// long double, read with strtold and printed with "%.17Lf". Counters that were written by Redis go on with the same
// digits here.
//
// # Representation
//
// A finite Value is mant * 2^exp with the top bit of the 64-bit mant set: exactly what the x87 format holds, less its
// limits of the exponent, which are applied where they show. A sum beyond the largest long double is infinite; a
// literal beyond it, or so small that it becomes 0, is refused by Parse. What lies between the smallest normal number
// and 0 (below 1e-4931) keeps all 64 bits here and loses some in the hardware; with 17 decimals nobody sees it.
//
// # Rounding
//
// Everything ends in round, which takes a 128-bit number, a binary exponent and a sticky bit (whether anything nonzero
// follows the 128 bits) and rounds once, to the nearest, ties to even. Parse and Add bring their exact result into
// that form: short literals and all sums with 128-bit arithmetic that allocates nothing, long literals with math/big.
// So does Append the other way: a value below 2^64 is split into its integer and its fraction times 10^17; larger ones
// have no fraction.
package longdouble

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

type kind uint8

const (
	zero kind = iota
	finite
	inf
	nan
)

// Value is a long double. The zero Value is 0.
type Value struct {
	mant uint64 // finite: top bit set
	exp  int32
	kind kind
	neg  bool
}

const (
	// maxLen is the length up to which Redis looks at a literal (MAX_LONG_DOUBLE_CHARS, with the final zero).
	maxLen = 5*1024 - 1

	maxExp  = 16384  // all values are below 2^maxExp
	tinyExp = -16446 // up to 2^tinyExp, half of the smallest denormal, literals become 0

	// Beyond these decimal exponents (of the first digit) nothing can be finite, or other than 0.
	maxDecimal  = 4940
	tinyDecimal = -4960

	// Exponents in literals stop counting here, far beyond what digits can make up for.
	exponentCap = 1 << 20
)

// FromInt returns n, exactly.
func FromInt(n int64) Value {
	neg := n < 0
	u := uint64(n)
	if neg {
		u = -u
	}
	return round(neg, 0, u, 0, false)
}

// IsFinite reports whether v is neither infinite nor not a number.
func (v Value) IsFinite() bool { return v.kind <= finite }

// round returns the value of (hi, lo) * 2^exp plus something less than one unit of lo if sticky.
func round(neg bool, hi, lo uint64, exp int, sticky bool) Value {
	if hi == 0 {
		if lo == 0 {
			return Value{neg: neg}
		}
		hi, lo, exp = lo, 0, exp-64
	}
	if n := bits.LeadingZeros64(hi); n > 0 {
		hi = hi<<n | lo>>(64-n)
		lo <<= n
		exp -= n
	}
	exp += 64 // of hi alone
	const half = 1 << 63
	if lo > half || lo == half && (sticky || hi&1 != 0) {
		if hi++; hi == 0 {
			hi = half
			exp++
		}
	}
	if exp+64 > maxExp {
		return Value{kind: inf, neg: neg}
	}
	return Value{mant: hi, exp: int32(exp), kind: finite, neg: neg}
}

// Add returns a + b.
func Add(a, b Value) Value {
	switch {
	case a.kind == nan || b.kind == nan || a.kind == inf && b.kind == inf && a.neg != b.neg:
		return Value{kind: nan}
	case a.kind == inf || b.kind == zero && a.kind != zero:
		return a
	case b.kind == inf || a.kind == zero && b.kind != zero:
		return b
	case a.kind == zero:
		return Value{neg: a.neg && b.neg}
	}
	if a.exp < b.exp || a.exp == b.exp && a.mant < b.mant {
		a, b = b, a
	}
	// Both are moved up by 63 bits, which leaves one for the carry; then b down to a's exponent.
	aHi, aLo := a.mant>>1, a.mant<<63
	bHi, bLo, sticky := b.mant>>1, b.mant<<63, false
	switch d := uint(a.exp - b.exp); {
	case d >= 128:
		bHi, bLo, sticky = 0, 0, true
	case d >= 64:
		sticky = bLo != 0 || bHi<<(128-d) != 0
		bHi, bLo = 0, bHi>>(d-64)
	default:
		sticky = bLo<<(64-d) != 0
		bHi, bLo = bHi>>d, bLo>>d|bHi<<(64-d)
	}
	exp := int(a.exp) - 63
	if a.neg == b.neg {
		lo, carry := bits.Add64(aLo, bLo, 0)
		return round(a.neg, aHi+bHi+carry, lo, exp, sticky)
	}
	// What was shifted out of b is subtracted too: one unit less, and the rest of that unit is sticky.
	borrow := uint64(0)
	if sticky {
		borrow = 1
	}
	lo, borrow := bits.Sub64(aLo, bLo, borrow)
	hi := aHi - bHi - borrow
	if hi|lo == 0 && !sticky {
		return Value{}
	}
	return round(a.neg, hi, lo, exp, sticky)
}

// Times returns v * n.
func Times(v Value, n uint64) Value {
	switch {
	case v.kind == nan || v.kind == inf && n == 0:
		return Value{kind: nan}
	case v.kind == inf || v.kind == zero:
		return v
	}
	hi, lo := bits.Mul64(v.mant, n)
	return round(v.neg, hi, lo, int(v.exp), false)
}

// Ceil returns the smallest integer that is not below v. What is below all int64, or not a number, is the smallest of
// them, as C's cast makes it on amd64; ok is false for what is above all.
func (v Value) Ceil() (n int64, ok bool) {
	switch {
	case v.kind == zero:
		return 0, true
	case v.kind == nan || v.neg && (v.kind == inf || v.exp >= 0):
		return math.MinInt64, true
	case v.kind == inf || v.exp >= 0:
		return 0, false
	}
	u, part := uint64(0), true
	if v.exp > -64 {
		u = v.mant >> uint(-v.exp)
		part = v.mant<<uint(64+v.exp) != 0
	}
	switch {
	case v.neg:
		return -int64(u), true // what follows the point is dropped; -2^63 has nothing there
	case part:
		u++
	}
	return int64(u), u <= math.MaxInt64
}

// Append appends v with as many of 17 decimals as are not trailing zeros, "-0" as "0"; "inf", "-inf", "nan".
func (v Value) Append(dst []byte) []byte {
	switch v.kind {
	case zero:
		return append(dst, '0')
	case inf:
		if v.neg {
			dst = append(dst, '-')
		}
		return append(dst, "inf"...)
	case nan:
		return append(dst, "nan"...)
	}
	if v.exp > 0 {
		if v.neg {
			dst = append(dst, '-')
		}
		n := new(big.Int).SetUint64(v.mant)
		return n.Lsh(n, uint(v.exp)).Append(dst, 10)
	}
	const unit = 1e17
	var whole, frac uint64 // frac in 1/unit
	var rest, half, more uint64
	if v.exp > -64 {
		whole = v.mant >> uint(-v.exp)
		frac, rest = bits.Mul64(v.mant<<uint(64+v.exp), unit)
		half = 1 << 63
	} else if k := uint(-64 - v.exp); k < 64 {
		hi, lo := bits.Mul64(v.mant, unit)
		frac = hi >> k
		if k == 0 {
			rest, half = lo, 1<<63
		} else {
			rest, half, more = hi&(1<<k-1), 1<<(k-1), lo
		}
	} // else below half of the last decimal
	if rest > half || rest == half && half != 0 && (more != 0 || frac&1 != 0) {
		frac++
	}
	if frac == unit {
		whole, frac = whole+1, 0
	}
	if whole|frac == 0 {
		return append(dst, '0')
	}
	if v.neg {
		dst = append(dst, '-')
	}
	dst = strconv.AppendUint(dst, whole, 10)
	if frac == 0 {
		return dst
	}
	var digits [18]byte
	strconv.AppendUint(digits[:0], unit+frac, 10) // a 1 before the decimals keeps their leading zeros
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	digits[0] = '.'
	return append(dst, digits[:end]...)
}
