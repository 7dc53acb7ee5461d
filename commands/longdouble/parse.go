package longdouble

import (
	"math/big"
	"math/bits"
)

// Parse reads what C's strtold reads, over the whole of s: decimal or hexadecimal ("0x1.8p3") numbers with '+' or '-',
// "inf" and "infinity" in any case. Refused are, as by Redis's string2ld, white space, NaN, literals of 5120 bytes and
// more, and what is too large or so small that it becomes 0.
func Parse(s []byte) (Value, bool) {
	if len(s) == 0 || len(s) > maxLen {
		return Value{}, false
	}
	neg := false
	if s[0] == '+' || s[0] == '-' {
		neg = s[0] == '-'
		s = s[1:]
	}
	var v Value
	ok := false
	switch {
	case len(s) == 0:
	case s[0]|0x20 == 'i':
		v, ok = Value{kind: inf, neg: neg}, word(s, "inf") || word(s, "infinity")
		return v, ok
	case len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x':
		v, ok = parseHex(s[2:], neg)
	default:
		v, ok = parseDecimal(s, neg)
	}
	if !ok || v.kind == inf || v.underflows() {
		return Value{}, false
	}
	return v, true
}

// underflows reports whether v is nonzero and the x87 format has only 0 for it.
func (v Value) underflows() bool {
	top := int(v.exp) + 63
	return v.kind == finite && (top < tinyExp || top == tinyExp && v.mant == 1<<63)
}

func word(s []byte, w string) bool {
	if len(s) != len(w) {
		return false
	}
	for i := range s {
		if s[i]|0x20 != w[i] {
			return false
		}
	}
	return true
}

// exponent reads an optional exponent that the letter begins and that ends s.
func exponent(s []byte, letter byte) (int, bool) {
	if len(s) == 0 {
		return 0, true
	}
	if s[0]|0x20 != letter {
		return 0, false
	}
	s = s[1:]
	neg := false
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if len(s) == 0 {
		return 0, false
	}
	n := 0
	for _, c := range s {
		if c-'0' > 9 {
			return 0, false
		}
		if n < exponentCap {
			n = n*10 + int(c-'0')
		}
	}
	if neg {
		n = -n
	}
	return n, true
}

func parseHex(s []byte, neg bool) (Value, bool) {
	var hi, lo uint64
	exp, i := 0, 0
	digits, dot, sticky := false, false, false
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.' && !dot:
			dot = true
			continue
		case c-'0' <= 9:
			c -= '0'
		case (c|0x20)-'a' <= 5:
			c = (c | 0x20) - 'a' + 10
		default:
			goto end
		}
		digits = true
		if hi>>60 == 0 {
			hi, lo = hi<<4|lo>>60, lo<<4|uint64(c)
		} else {
			sticky = sticky || c != 0
			exp += 4
		}
		if dot {
			exp -= 4
		}
	}
end:
	e, ok := exponent(s[i:], 'p')
	if !digits || !ok {
		return Value{}, false
	}
	return round(neg, hi, lo, exp+e, sticky), true
}

// pow5 are the powers of 5 that fit a word with a bit to spare.
var pow5 = func() (p [28]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 5
	}
	return p
}()

// shortDigits is how many digits always fit 128 bits.
const shortDigits = 38

func parseDecimal(s []byte, neg bool) (Value, bool) {
	var hi, lo uint64 // the significant digits, as far as they fit
	exp, i := 0, 0
	first, last := -1, -1 // where they are
	digits, dot, sig := false, false, 0
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !dot {
			dot = true
			continue
		}
		if c -= '0'; c > 9 {
			break
		}
		digits = true
		if dot {
			exp--
		}
		if c == 0 && sig == 0 {
			continue
		}
		if sig == 0 {
			first = i
		}
		last = i
		if sig++; sig < 20 {
			lo = lo*10 + uint64(c)
		} else if sig <= shortDigits {
			high, low := bits.Mul64(lo, 10)
			var carry uint64
			lo, carry = bits.Add64(low, uint64(c), 0)
			hi = hi*10 + high + carry
		}
	}
	e, ok := exponent(s[i:], 'e')
	if !digits || !ok {
		return Value{}, false
	}
	exp += e
	if sig == 0 {
		return Value{neg: neg}, true
	}
	if top := sig + exp; top > maxDecimal || top < tinyDecimal {
		return Value{}, false
	}
	switch {
	case sig > shortDigits || exp <= -len(pow5) || exp >= len(pow5) || exp > 0 && hi != 0:
		return parseLong(s[first:last+1], exp, neg), true
	case exp > 0:
		hi, lo = bits.Mul64(lo, pow5[exp])
		return round(neg, hi, lo, exp, false), true
	case exp == 0:
		return round(neg, hi, lo, 0, false), true
	}
	// Long division by words, 128 bits beyond the point.
	div := pow5[-exp]
	var q [4]uint64
	q[0], hi = hi/div, hi%div
	q[1], hi = bits.Div64(hi, lo, div)
	q[2], hi = bits.Div64(hi, 0, div)
	q[3], hi = bits.Div64(hi, 0, div)
	switch {
	case q[0] != 0:
		return round(neg, q[0], q[1], exp, q[2]|q[3]|hi != 0), true
	case q[1] != 0:
		return round(neg, q[1], q[2], exp-64, q[3]|hi != 0), true
	}
	// A divisor below 2^63 leaves at least 65 bits here.
	return round(neg, q[2], q[3], exp-128, hi != 0), true
}

// parseLong makes a value of significant digits, with a dot perhaps among them, times 10^exp.
func parseLong(s []byte, exp int, neg bool) Value {
	text := make([]byte, 0, len(s))
	for _, c := range s {
		if c != '.' {
			text = append(text, c)
		}
	}
	n, _ := new(big.Int).SetString(string(text), 10)
	p := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(max(exp, -exp))), nil)
	sticky := false
	binary := exp
	if exp >= 0 {
		n.Mul(n, p)
	} else {
		// The quotient needs 65 bits or more, for round to see the one after the last.
		if short := p.BitLen() + 66 - n.BitLen(); short > 0 {
			n.Lsh(n, uint(short))
			binary -= short
		}
		rem := new(big.Int)
		n.QuoRem(n, p, rem)
		sticky = rem.Sign() != 0
	}
	if extra := n.BitLen() - 128; extra > 0 {
		sticky = sticky || n.TrailingZeroBits() < uint(extra)
		n.Rsh(n, uint(extra))
		binary += extra
	}
	var raw [16]byte
	n.FillBytes(raw[:])
	var hi, lo uint64
	for i := range 8 {
		hi, lo = hi<<8|uint64(raw[i]), lo<<8|uint64(raw[i+8])
	}
	return round(neg, hi, lo, binary, sticky)
}
