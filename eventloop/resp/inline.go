package resp

// Inline requests: a line of words, as one types it into telnet. The rules are
// those of Redis's sdssplitargs, which its configuration files share: words are
// separated by white space; "…" knows \n \r \t \b \a \xHH and \ before any other
// byte; '…' knows only \'; a quote may begin inside a word, and behind the
// closing one there must be white space or the end.

// trimCR cuts one '\r' off the end of a line.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// isSpace is C's isspace: what is skipped between words, and may follow a quote.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// split puts the words of line, which has no zero byte, into the slots and returns
// their number. The words lie in s.text. Together they are never longer than the
// line, so s.text does not move while split appends to it.
func (s *Scratch) split(line []byte) (n int, ok bool) {
	if cap(s.text) < len(line) {
		s.text = make([]byte, 0, max(256, len(line)))
	}
	text := s.text[:0]
	i := 0
	for {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return n, true
		}
		from := len(text)
		if text, i, ok = appendWord(text, line, i); !ok {
			return 0, false
		}
		if n >= len(s.slots) {
			s.grow(n)
		}
		s.slots[n] = text[from:len(text):len(text)]
		n++
	}
}

// appendWord appends the word that begins at line[i], and returns where it ends.
func appendWord(text, line []byte, i int) ([]byte, int, bool) {
	for ; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\n', '\r', '\t': // but not \v and \f, which only separate
			return text, i, true
		case '"', '\'':
			var ok bool
			if text, i, ok = appendQuoted(text, line, i+1, c); !ok {
				return nil, 0, false
			}
			return text, i, i == len(line) || isSpace(line[i])
		default:
			text = append(text, c)
		}
	}
	return text, i, true
}

// appendQuoted appends what stands between line[i] and the closing quote, and
// returns the index behind that.
func appendQuoted(text, line []byte, i int, quote byte) ([]byte, int, bool) {
	for ; i < len(line); i++ {
		c := line[i]
		if c == quote {
			return text, i + 1, true
		}
		if c == '\\' && i+1 < len(line) {
			next := line[i+1]
			if quote == '"' {
				i++
				switch next {
				case 'n':
					c = '\n'
				case 'r':
					c = '\r'
				case 't':
					c = '\t'
				case 'b':
					c = '\b'
				case 'a':
					c = '\a'
				default:
					c = next
				}
				if next == 'x' && i+2 < len(line) {
					hi, ok1 := hexDigit(line[i+1])
					lo, ok2 := hexDigit(line[i+2])
					if ok1 && ok2 {
						c = hi<<4 | lo
						i += 2
					}
				}
			} else if next == '\'' {
				c = next
				i++
			}
		}
		text = append(text, c)
	}
	return nil, 0, false
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
