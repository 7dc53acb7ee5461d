package config

import "strings"

// SplitArgs splits a configuration line into its words, with the quoting of
// Redis (sdssplitargs): blanks separate, "double quotes" know \n \r \t \a \b
// and \xHH and let a backslash protect any other byte, 'single quotes' know
// only \'. A closing quote must be followed by a blank or the end. It returns
// false if quotes are unbalanced. As in C a zero byte ends the line.
func SplitArgs(line string) ([]string, bool) {
	if i := strings.IndexByte(line, 0); i >= 0 {
		line = line[:i]
	}
	var (
		args []string
		word []byte
	)
	// at returns 0 behind the end, so that looking ahead needs no check.
	at := func(i int) byte {
		if i < len(line) {
			return line[i]
		}
		return 0
	}
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i >= len(line) {
			return args, true
		}
		word = word[:0]
		var quote byte
	scan:
		for ; ; i++ {
			c := at(i)
			switch {
			case quote != 0 && c == 0:
				return nil, false
			case quote == '"' && c == '\\' && at(i+1) == 'x' && isHex(at(i+2)) && isHex(at(i+3)):
				word = append(word, unhex(at(i+2))<<4|unhex(at(i+3)))
				i += 3
			case quote == '"' && c == '\\' && at(i+1) != 0:
				i++
				word = append(word, unescape(line[i]))
			case quote == '\'' && c == '\\' && at(i+1) == '\'':
				i++
				word = append(word, '\'')
			case quote != 0 && c == quote:
				if next := at(i + 1); next != 0 && !isSpace(next) {
					return nil, false
				}
				i++
				break scan
			case quote != 0:
				word = append(word, c)
			case c == 0 || c == ' ' || c == '\n' || c == '\r' || c == '\t':
				break scan
			case c == '"' || c == '\'':
				quote = c
			default:
				word = append(word, c)
			}
		}
		args = append(args, string(word))
	}
}

// Quote returns s in double quotes so that SplitArgs returns the same bytes.
func Quote(s string) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' || c == '"':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\a':
			out = append(out, `\a`...)
		case c == '\b':
			out = append(out, `\b`...)
		case c >= ' ' && c < 0x7f:
			out = append(out, c)
		default:
			out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return string(append(out, '"'))
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}
