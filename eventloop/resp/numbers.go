package resp

import (
	"math"
	"strconv"
)

// ParseInt reads a signed 64-bit integer as strictly as Redis's string2ll: digits
// with at most a '-' before them, nothing else around; no leading zeros, no "-0",
// so that a string that parses is also what the number prints as.
func ParseInt(b []byte) (int64, bool) {
	i, neg := 0, false
	if len(b) > 0 && b[0] == '-' {
		i, neg = 1, true
	}
	n := len(b) - i
	if n <= 0 || n > 19 {
		return 0, false
	}
	if b[i] == '0' {
		return 0, len(b) == 1
	}
	var v uint64 // 19 digits cannot overflow it
	for _, c := range b[i:] {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + uint64(d)
	}
	if neg {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v <= math.MaxInt64
}

// pow10 are the powers of ten that a float64 holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// ParseFloat reads a double as Redis's getDoubleFromObject does, that is with C's
// strtod over the whole string: decimal or hexadecimal ("0x1f", "0x1.8p3"), with
// '+' or '-', "inf" and "infinity" in any case. Refused are white space, NaN, and
// what is too large or so small that it becomes 0.
func ParseFloat(b []byte) (float64, bool) {
	i, neg := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		i, neg = 1, b[0] == '-'
	}
	if len(b) > i+1 && b[i] == '0' && b[i+1]|0x20 == 'x' {
		return parseHexFloat(b, i+2)
	}
	// A number of few digits is a quotient or product of two exact doubles: one
	// correctly rounded operation (Clinger 1990).
	var mant uint64
	digits, frac, dot := 0, 0, false
	j := i
	for ; j < len(b); j++ {
		c := b[j]
		if d := c - '0'; d <= 9 {
			mant = mant*10 + uint64(d)
			digits++
			if dot {
				frac++
			}
		} else if c == '.' && !dot {
			dot = true
		} else {
			break
		}
	}
	if j == len(b) && digits > 0 && digits <= 15 {
		f := float64(mant) / pow10[frac]
		if neg {
			f = -f
		}
		return f, true
	}
	for _, c := range b {
		if c == '_' {
			return 0, false // Go's syntax, not C's
		}
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != f || f == 0 && underflown(b) {
		return 0, false
	}
	return f, true
}

// underflown reports whether b, which reads as zero, has a digit that is not: C
// calls that a range error.
func underflown(b []byte) bool {
	for _, c := range b {
		if c >= '1' && c <= '9' {
			return true
		}
		if c|0x20 == 'e' {
			break
		}
	}
	return false
}

// parseHexFloat reads what follows "0x" at b[i]. Go wants an exponent where C does not.
func parseHexFloat(b []byte, i int) (float64, bool) {
	exponent, zero, digits := false, true, false
	for _, c := range b[i:] {
		if c == '_' {
			return 0, false
		}
		if c|0x20 == 'p' {
			exponent = true
		}
		if _, ok := hexDigit(c); ok && !exponent {
			digits = true
			zero = zero && c == '0'
		}
	}
	text := string(b)
	if !exponent {
		text += "p0"
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !digits || f == 0 && !zero {
		return 0, false
	}
	return f, true
}

// pairs are the numbers 00 to 99.
const pairs = "00010203040506070809" + "10111213141516171819" +
	"20212223242526272829" + "30313233343536373839" +
	"40414243444546474849" + "50515253545556575859" +
	"60616263646566676869" + "70717273747576777879" +
	"80818283848586878889" + "90919293949596979899"

// AppendInt appends n in decimal.
func AppendInt(dst []byte, n int64) []byte {
	u := uint64(n)
	if n < 0 {
		dst = append(dst, '-')
		u = -u
	}
	return AppendUint(dst, u)
}

// AppendUint appends u in decimal.
func AppendUint(dst []byte, u uint64) []byte {
	if u < 10 {
		return append(dst, byte('0'+u))
	}
	if u < 100 {
		return append(dst, pairs[u*2], pairs[u*2+1])
	}
	if u < 10000 {
		q := u / 100
		r := (u - q*100) * 2
		if u < 1000 {
			return append(dst, byte('0'+q), pairs[r], pairs[r+1])
		}
		return append(dst, pairs[q*2], pairs[q*2+1], pairs[r], pairs[r+1])
	}
	var a [20]byte
	i := len(a)
	for u >= 100 {
		q := u / 100
		r := (u - q*100) * 2
		i -= 2
		a[i], a[i+1] = pairs[r], pairs[r+1]
		u = q
	}
	if u >= 10 {
		i -= 2
		a[i], a[i+1] = pairs[u*2], pairs[u*2+1]
	} else {
		i--
		a[i] = byte('0' + u)
	}
	return append(dst, a[i:]...)
}
