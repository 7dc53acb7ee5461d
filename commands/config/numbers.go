package config

import (
	"math"
	"strings"
)

// Parsing of numbers as in Redis's configuration. The forms differ by
// directive: plain integers are strict (no blank, no plus sign, no leading
// zero), memory sizes have units, and the list-like directives use C's strtoll,
// which is lenient.

// parseInt reads a plain integer as string2ll of Redis does: "0", or an
// optional minus sign and digits that do not begin with 0.
func parseInt(s string) (int64, bool) {
	if s == "0" {
		return 0, true
	}
	digits, neg := strings.CutPrefix(s, "-")
	if digits == "" || digits[0] == '0' {
		return 0, false
	}
	mag, ok := parseDigits(digits, 10)
	if !ok {
		return 0, false
	}
	if neg {
		if mag > 1<<63 {
			return 0, false
		}
		return -int64(mag), true
	}
	if mag > math.MaxInt64 {
		return 0, false
	}
	return int64(mag), true
}

// parseDigits reads digits of the base (8 or 10) up to 2^64-1. An empty string
// is 0, as it is for C's strtoull.
func parseDigits(s string, base uint64) (uint64, bool) {
	var v uint64
	for i := 0; i < len(s); i++ {
		d := uint64(s[i]) - '0'
		if d >= base || v > (math.MaxUint64-d)/base {
			return 0, false
		}
		v = v*base + d
	}
	return v, true
}

// parseLoose reads an integer as strtoll does: blanks and a sign may precede
// the digits, an empty string is 0, and a number that is too large saturates.
// It fails if other characters follow the digits.
func parseLoose(s string, base uint64) (int64, bool) {
	t := strings.TrimLeft(s, " \t\n\v\f\r")
	neg := false
	if t != "" && (t[0] == '-' || t[0] == '+') {
		neg = t[0] == '-'
		t = t[1:]
	}
	if t == "" {
		return 0, s == ""
	}
	for i := 0; i < len(t); i++ {
		if d := uint64(t[i]) - '0'; d >= base {
			return 0, false
		}
	}
	mag, ok := parseDigits(t, base)
	switch {
	case !neg && (!ok || mag > math.MaxInt64):
		return math.MaxInt64, true
	case neg && (!ok || mag > 1<<63):
		return math.MinInt64, true
	case neg:
		return -int64(mag), true
	}
	return int64(mag), true
}

var memoryUnits = []struct {
	suffix string
	bytes  uint64
}{
	{"", 1}, {"b", 1}, {"k", 1000}, {"kb", 1 << 10}, {"m", 1e6}, {"mb", 1 << 20},
	{"g", 1e9}, {"gb", 1 << 30},
}

// ParseMemory reads a size such as 100, 64mb or 1G (k, m and g are powers of
// ten, kb, mb and gb powers of two, in any case). A number before the unit may
// be missing and is then 0, as in Redis. Unlike Redis, which wraps around, it
// refuses numbers of more than 64 bits.
func ParseMemory(s string) (uint64, bool) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, ok := parseDigits(s[:n], 10)
	if !ok {
		return 0, false
	}
	for _, u := range memoryUnits {
		if strings.EqualFold(s[n:], u.suffix) {
			return v * u.bytes, v <= math.MaxUint64/u.bytes
		}
	}
	return 0, false
}
