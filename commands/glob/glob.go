// Package glob matches strings against the patterns of KEYS, SCAN, PSUBSCRIBE,
// CONFIG GET and ACL rules, exactly as Redis's stringmatchlen does.
//
// A pattern is a row of items. '*' matches any bytes; every other item matches
// one byte: '?' any, "[a-c]" one of a class, "[^a-c]" one that is not in it, '\x' the
// byte x, everything else itself. All is byte-wise.
//
// Since only '*' has a variable length, no recursion is needed: when an item
// does not match, the last '*' takes one byte more and matching continues behind it;
// earlier stars need not be tried again. The items behind the last '*' of the
// pattern can only match the end of the string, so that they are tried once.
// The cost is at worst the product of the lengths, and linear for patterns with
// one '*'.
//
// The corners of Redis's matcher that are kept on purpose:
//
//   - '*' alone, and every other pattern that is not empty, does not match the empty string.
//   - A class whose ']' is missing ends with the pattern; "[^" alone matches any byte.
//   - In a class the escape '\x' is compared exactly, even if case is ignored; "[a-]" is
//     a range up to ']'.
//   - Bytes of a range compare as signed numbers: \x80-\xff come before \x00.
//   - More than 1,000 stars (neighbours count once) match nothing, unless the
//     last of them ends the pattern.
package glob

import "bytes"

// maxStars is the depth to which Redis nests.
const maxStars = 1000

// Match reports whether pattern matches the whole of s. nocase ignores the case
// of ASCII letters.
func Match(pattern, s []byte, nocase bool) bool {
	p := pattern
	var (
		i     int  // position in s
		star  = -1 // index in p of what follows the last '*', -1 if there was none
		retry int  // where in s that was tried last
		tail  bool // there is no other '*' behind
		stars int
		j     int // position in p
	)
	if len(s) == 0 {
		return len(p) == 0
	}
	for {
		if i == len(s) {
			for j < len(p) && p[j] == '*' {
				j++
			}
			// A shorter rest of s cannot match what is left: each item needs a byte.
			return j == len(p)
		}
		if j < len(p) && p[j] == '*' {
			for j < len(p) && p[j] == '*' {
				j++
			}
			if j == len(p) {
				return true
			}
			if stars++; stars > maxStars {
				return false
			}
			var n int
			if n, tail = items(p[j:]); n > len(s)-i {
				return false
			} else if tail {
				i = len(s) - n
			}
			star, retry = j, i
		}
		if !tail && star >= 0 && j == star {
			// Few places can match a plain byte: find the next.
			if c := p[j]; !nocase && c != '?' && c != '[' && c != '\\' {
				k := bytes.IndexByte(s[i:], c)
				if k < 0 {
					return false
				}
				i += k
				retry = i
			}
		}
		if j < len(p) {
			if next, ok := item(p, j, s[i], nocase); ok {
				j = next
				i++
				continue
			}
		}
		if star < 0 || tail {
			return false
		}
		retry++
		i, j = retry, star
	}
}

// item matches the item at p[j], which is not '*', against c and returns where the next one begins.
func item(p []byte, j int, c byte, nocase bool) (next int, ok bool) {
	switch p[j] {
	case '?':
		return j + 1, true
	case '[':
		return class(p, j+1, c, nocase)
	case '\\':
		if j+1 < len(p) {
			j++
		}
	}
	if p[j] == c {
		return j + 1, true
	}
	return j + 1, nocase && lower(p[j]) == lower(c)
}

// class matches a class whose '[' is before p[j].
func class(p []byte, j int, c byte, nocase bool) (next int, ok bool) {
	not := j < len(p) && p[j] == '^'
	if not {
		j++
	}
	for ; j < len(p); j++ {
		switch {
		case p[j] == '\\' && j+1 < len(p):
			j++
			ok = ok || p[j] == c
		case p[j] == ']':
			return j + 1, ok != not
		case j+2 < len(p) && p[j+1] == '-':
			ok = ok || inRange(p[j], p[j+2], c, nocase)
			j += 2
		case nocase:
			ok = ok || lower(p[j]) == lower(c)
		default:
			ok = ok || p[j] == c
		}
	}
	return j, ok != not
}

// inRange compares as C does where char is signed. With nocase the ends are put in
// order before they are lowered, and C's tolower makes bytes from 0x80 on positive
// (but 0xff is EOF, -1).
func inRange(from, to, c byte, nocase bool) bool {
	lo, hi, x := int(int8(from)), int(int8(to)), int(int8(c))
	if lo > hi {
		lo, hi = hi, lo
	}
	if nocase {
		lo, hi, x = lowerInt(lo), lowerInt(hi), lowerInt(x)
	}
	return lo <= x && x <= hi
}

func lowerInt(c int) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c < -1:
		return c + 256
	}
	return c
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// items counts the items of p up to its first '*'; last says that there is none.
func items(p []byte) (n int, last bool) {
	for j := 0; j < len(p); n++ {
		switch p[j] {
		case '*':
			return n, false
		case '[':
			j, _ = class(p, j+1, 0, false)
		case '\\':
			j = min(j+2, len(p))
		default:
			j++
		}
	}
	return n, true
}

// Literal returns the bytes with which every string that matches begins, up to
// the first special byte. exact says that the pattern has none: it matches only itself.
func Literal(pattern []byte) (prefix []byte, exact bool) {
	if i := bytes.IndexAny(pattern, `*?[\`); i >= 0 {
		return pattern[:i], false
	}
	return pattern, true
}
