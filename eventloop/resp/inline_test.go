package resp

import (
	"slices"
	"strings"
	"testing"
)

// referenceSplit splits a line into words by states, one byte at a time.
func referenceSplit(line string) (words []string, ok bool) {
	const (
		blank = iota
		plain
		double
		single
		closed
	)
	state := blank
	var word strings.Builder
	push := func() {
		words = append(words, word.String())
		word.Reset()
		state = blank
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		rest := line[i:]
		switch state {
		case closed:
			if !strings.ContainsRune(" \t\n\v\f\r", rune(c)) {
				return nil, false
			}
			push()
		case blank, plain:
			switch {
			case state == blank && strings.ContainsRune(" \t\n\v\f\r", rune(c)):
			case c == '"':
				state = double
			case c == '\'':
				state = single
			case strings.ContainsRune(" \t\n\r", rune(c)):
				push()
			default:
				state = plain
				word.WriteByte(c)
			}
		case single:
			if strings.HasPrefix(rest, `\'`) {
				word.WriteByte('\'')
				i++
			} else if c == '\'' {
				state = closed
			} else {
				word.WriteByte(c)
			}
		case double:
			const hex = "0123456789abcdef"
			if len(rest) >= 4 && rest[:2] == `\x` {
				hi, lo := strings.IndexByte(hex, rest[2]|0x20), strings.IndexByte(hex, rest[3]|0x20)
				isHex := func(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
				if isHex(rest[2]) && isHex(rest[3]) {
					word.WriteByte(byte(hi*16 + lo))
					i += 3
					continue
				}
			}
			if c == '\\' && len(rest) > 1 {
				i++
				if at := strings.IndexByte("nrtba", rest[1]); at >= 0 {
					word.WriteByte("\n\r\t\b\a"[at])
				} else {
					word.WriteByte(rest[1])
				}
			} else if c == '"' {
				state = closed
			} else {
				word.WriteByte(c)
			}
		}
	}
	switch state {
	case double, single:
		return nil, false
	case plain, closed:
		push()
	}
	return words, true
}

func FuzzInline(f *testing.F) {
	for _, c := range corpus {
		if len(c.in) < 200 {
			f.Add(strings.TrimRight(c.in, "\r\n"))
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\x00") {
			return // the parser lets no such line through
		}
		var s Scratch
		n, ok := s.split([]byte(line))
		want, wantOK := referenceSplit(line)
		if ok != wantOK {
			t.Fatalf("%q: ok %v, want %v", line, ok, wantOK)
		}
		if !ok {
			return
		}
		got := []string{}
		for _, w := range s.slots[:n] {
			got = append(got, string(w))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", line, got, want)
		}
	})
}
