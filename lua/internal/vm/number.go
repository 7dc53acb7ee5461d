package vm

import (
	"errors"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// AppendNumber appends f as Lua prints it: C's %.14g, with inf, -inf, nan and -nan.
func AppendNumber(dst []byte, f float64) []byte {
	if i := int64(f); float64(i) == f && i > -1e14 && i < 1e14 && (i != 0 || 1/f > 0) {
		return strconv.AppendInt(dst, i, 10)
	}
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f != f:
		if math.Signbit(f) {
			return append(dst, "-nan"...)
		}
		return append(dst, "nan"...)
	}
	return strconv.AppendFloat(dst, f, 'g', 14, 64)
}

// FormatNumber returns f as Lua prints it.
func FormatNumber(f float64) string {
	if f >= 0 && f < 100 {
		if i := int(f); float64(i) == f && 1/f > 0 {
			return strconv.Itoa(i) // strconv has these strings in a table: no allocation
		}
	}
	var buf [32]byte
	return string(AppendNumber(buf[:0], f))
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// ParseNumber converts s as Lua 5.1 over C's strtod does: white space around it, a sign, decimal and hexadecimal
// numbers, inf and nan; the text ends at a zero byte.
func ParseNumber(s string) (float64, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == 0 {
			s = s[:i]
			break
		}
	}
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	if s == "" {
		return 0, false
	}
	if len(s) < 16 {
		// Short plain integers, the most common case.
		n := 0
		for i := 0; ; i++ {
			if i == len(s) {
				return float64(n), true
			}
			if !isDigit(s[i]) {
				break
			}
			n = n*10 + int(s[i]-'0')
		}
	}
	f, end := Strtod(s)
	return f, end == len(s)
}

func digits(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// Strtod reads the longest number at the beginning of s as C does, and returns its length: 0 if there is none.
func Strtod(s string) (f float64, n int) {
	i := 0
	if s != "" && (s[0] == '-' || s[0] == '+') {
		i = 1
	}
	neg := i == 1 && s[0] == '-'
	from := i
	i = digits(s, i)
	if i-from > 0 && i-from < 16 && (i == len(s) || s[i] != '.' && s[i]|0x20 != 'e' && s[i]|0x20 != 'x') {
		// A plain integer, the most common case.
		for _, c := range []byte(s[from:i]) {
			f = f*10 + float64(c-'0')
		}
		if neg {
			f = -f
		}
		return f, i
	}
	whole := i - from
	switch {
	case whole == 1 && s[from] == '0' && i < len(s) && s[i]|0x20 == 'x':
		if f, n := strtodHex(s[i+1:]); n > 0 {
			if neg {
				f = -f
			}
			return f, i + 1 + n
		}
		if neg {
			return math.Copysign(0, -1), i
		}
		return 0, i
	case whole == 0 && (i == len(s) || s[i] != '.'):
		return strtodWord(s, i, neg)
	}
	if i < len(s) && s[i] == '.' {
		end := digits(s, i+1)
		if whole == 0 && end == i+1 {
			return 0, 0
		}
		i = end
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if end := digits(s, j); end > j {
			i = end
		}
	}
	f, _ = strconv.ParseFloat(s[:i], 64) // Out of range it returns the same as C.
	return f, i
}

// strtodHex reads hexadecimal digits with an optional point and binary exponent.
func strtodHex(s string) (f float64, n int) {
	i, count := 0, 0
	for ; i < len(s) && hexDigit(s[i]) >= 0; i++ {
		count++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && hexDigit(s[i]) >= 0; i++ {
			count++
		}
	}
	if count == 0 {
		return 0, 0
	}
	exponent := "p0"
	end := i
	if i < len(s) && s[i]|0x20 == 'p' {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if k := digits(s, j); k > j {
			end = k
			exponent = s[i:k]
		}
	}
	f, _ = strconv.ParseFloat("0x"+s[:i]+exponent, 64)
	return f, end
}

// strtodWord reads inf, infinity, nan and nan(…) at i.
func strtodWord(s string, i int, neg bool) (f float64, n int) {
	switch rest := s[i:]; {
	case hasWord(rest, "infinity"):
		f, n = math.Inf(1), 8
	case hasWord(rest, "inf"):
		f, n = math.Inf(1), 3
	case hasWord(rest, "nan"):
		f, n = NaN, 3
		if len(rest) > 3 && rest[3] == '(' {
			j := 4
			for j < len(rest) && (rest[j] == '_' || rest[j] >= '0' && rest[j] <= '9' || rest[j]|0x20 >= 'a' && rest[j]|0x20 <= 'z') {
				j++
			}
			if j < len(rest) && rest[j] == ')' {
				n = j + 1
				f = withPayload(rest[4:j])
			}
		}
	default:
		return 0, 0
	}
	if neg {
		f = math.Copysign(f, -1)
	}
	return f, i + n
}

// NaN is the positive nan of C. The one of package math has further bits set, which struct and cmsgpack would show.
var NaN = math.Float64frombits(0x7ff8 << 48)

// withPayload returns the nan that C reads from nan(s): its low bits are the number s, in C's notation.
func withPayload(s string) float64 {
	base := 10
	switch {
	case len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x':
		base, s = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return NaN
	}
	return math.Float64frombits(math.Float64bits(NaN) | n&(1<<51-1))
}

// hasWord reports whether s begins with word in any case of letters.
func hasWord(s, word string) bool {
	return len(s) >= len(word) && strings.EqualFold(s[:len(word)], word)
}

// ToNumber converts a number, or a string that is the text of one.
func ToNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return ParseNumber(string(v))
	}
	return 0, false
}

// ToString converts a string or a number; ok is false for other values.
func ToString(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return FormatNumber(float64(v)), true
	}
	return "", false
}

// ToInteger cuts f as a C cast to a 64-bit integer does on x86: toward zero; numbers out of range, inf and nan become the
// smallest one.
func ToInteger(f float64) int64 {
	if f >= -0x1p63 && f < 0x1p63 {
		return int64(f)
	}
	return math.MinInt64
}
