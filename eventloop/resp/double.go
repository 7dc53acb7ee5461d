package resp

import "math"

// FormatDouble appends f as Redis 7.2 prints a double: whole numbers up to 2^62
// as integers, others with the (nearly always) fewest digits that read back as f,
// in scientific form where Redis's fpconv_dtoa uses it; "inf", "-inf", "nan", "-0".
func FormatDouble(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0:
		if math.Signbit(f) {
			return append(dst, "-0"...)
		}
		return append(dst, '0')
	}
	if f >= -(1<<62) && f <= 1<<62 {
		if n := int64(f); float64(n) == f {
			return AppendInt(dst, n)
		}
	}
	return FormatShortest(dst, f)
}

// FormatShortest appends f, neither zero nor infinite nor NaN, as Redis's fpconv_dtoa does: FormatDouble without its form
// of whole numbers.
func FormatShortest(dst []byte, f float64) []byte {
	if f < 0 {
		dst = append(dst, '-')
		f = -f
	}
	var digits [20]byte
	n, k := grisu(&digits, f)
	return layout(dst, digits[:n], k)
}

// layout appends digits × 10^k as fpconv_dtoa does: as an integer if at most
// seven zeros follow the digits; as a decimal fraction if at most six digits
// stand behind the point, or if the number is in 10^-3 … 10^4; else in scientific form.
func layout(dst, digits []byte, k int) []byte {
	n := len(digits)
	exp := k + n - 1 // of the first digit
	abs := exp
	if abs < 0 {
		abs = -abs
	}
	switch {
	case k >= 0 && abs < n+7:
		dst = append(dst, digits...)
		for ; k > 0; k-- {
			dst = append(dst, '0')
		}
		return dst
	case k < 0 && (k > -7 || abs < 4):
		whole := n + k
		if whole > 0 {
			dst = append(dst, digits[:whole]...)
			dst = append(dst, '.')
			return append(dst, digits[whole:]...)
		}
		dst = append(dst, '0', '.')
		for ; whole < 0; whole++ {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	dst = append(dst, digits[0])
	if n > 1 {
		dst = append(dst, '.')
		dst = append(dst, digits[1:]...)
	}
	if exp < 0 {
		dst = append(dst, 'e', '-')
	} else {
		dst = append(dst, 'e', '+')
	}
	return AppendInt(dst, int64(abs))
}
