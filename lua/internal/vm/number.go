package vm

import (
	"math"
	"strconv"

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
			return strconv.Itoa(i) // of a table of strings: no allocation
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
	neg := false
	body := s
	if body[0] == '-' || body[0] == '+' {
		neg = body[0] == '-'
		body = body[1:]
	}
	var f float64
	switch {
	case len(body) > 2 && body[0] == '0' && body[1]|0x20 == 'x':
		var ok bool
		if f, ok = parseHex(body[2:]); !ok {
			return 0, false
		}
	case body != "" && (isDigit(body[0]) || body[0] == '.'):
		for i := 0; i < len(body); i++ {
			c := body[i]
			if !isDigit(c) && c != '.' && c|0x20 != 'e' && c != '+' && c != '-' {
				return 0, false
			}
		}
		var err error
		if f, err = strconv.ParseFloat(body, 64); err != nil {
			if ne, ok := err.(*strconv.NumError); !ok || ne.Err != strconv.ErrRange {
				return 0, false
			}
		}
	default:
		switch lower(body) {
		case "inf", "infinity":
			f = math.Inf(1)
		case "nan":
			f = math.NaN()
		default:
			return 0, false
		}
	}
	if neg {
		f = -f
	}
	return f, true
}

func lower(s string) string {
	if len(s) > 8 {
		return ""
	}
	var b [8]byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b[i] = c
	}
	return string(b[:len(s)])
}

// parseHex reads hexadecimal digits with an optional point and binary exponent.
func parseHex(s string) (float64, bool) {
	f, digits, exp := 0.0, 0, 0
	i := 0
	for ; i < len(s) && hexDigit(s[i]) >= 0; i++ {
		f = f*16 + float64(hexDigit(s[i]))
		digits++
	}
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && hexDigit(s[i]) >= 0; i++ {
			f = f*16 + float64(hexDigit(s[i]))
			exp -= 4
			digits++
		}
	}
	if digits == 0 {
		return 0, false
	}
	if i < len(s) && s[i]|0x20 == 'p' {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return 0, false
		}
		exp += max(min(e, 1<<20), -1<<20)
		i = len(s)
	}
	return math.Ldexp(f, exp), i == len(s)
}

// ToNumber converts a number, or a string that looks like one.
func ToNumber(v lua.LValue) (float64, bool) {
	switch v := v.(type) {
	case lua.LNumber:
		return float64(v), true
	case lua.LString:
		return ParseNumber(string(v))
	}
	return 0, false
}

// ToString converts a string or a number; others are none.
func ToString(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return FormatNumber(float64(v)), true
	}
	return "", false
}

// ToInteger cuts f as a C cast to a 64-bit integer does on x86: toward zero, and what does not fit, inf and nan to the
// smallest one.
func ToInteger(f float64) int64 {
	if f >= -0x1p63 && f < 0x1p63 {
		return int64(f)
	}
	return math.MinInt64
}
