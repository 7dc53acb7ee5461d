package parser

import (
	"fmt"
	"strings"
)

// Tokens are single characters, or one of these.
const (
	tkAnd = iota + 257
	tkBreak
	tkDo
	tkElse
	tkElseif
	tkEnd
	tkFalse
	tkFor
	tkFunction
	tkIf
	tkIn
	tkLocal
	tkNil
	tkNot
	tkOr
	tkRepeat
	tkReturn
	tkThen
	tkTrue
	tkUntil
	tkWhile
	tkConcat
	tkDots
	tkEq
	tkGe
	tkLe
	tkNe
	tkNumber
	tkName
	tkString
	tkEOF
)

var tokenTexts = [...]string{"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in",
	"local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while", "..", "...", "==", ">=", "<=",
	"~=", "<number>", "<name>", "<string>", "<eof>"}

var reserved = func() map[string]int {
	m := make(map[string]int)
	for t := tkAnd; t <= tkWhile; t++ {
		m[tokenTexts[t-tkAnd]] = t
	}
	return m
}()

// eof is the lexer's current byte behind the end.
const eof = -1

type token struct {
	kind int
	// text is the name, or the value of a string.
	text   string
	number float64
}

type lexer struct {
	src string
	// more returns the next piece of the source, "" at its end.
	more    func() string
	pos     int
	current int
	line    int
	// lastLine is the line of the last token that the parser consumed.
	lastLine int
	// buffer has the text of the present token, for strings, numbers and error texts.
	buffer []byte
	chunk  string
	number func(string) (float64, bool)
}

// Error is a syntax error: its text with the position in front.
type Error struct {
	Text string
}

func (e *Error) Error() string { return e.Text }

func (l *lexer) next() {
	if l.pos == len(l.src) && l.more != nil {
		if l.src, l.pos = l.more(), 0; l.src == "" {
			l.more = nil
		}
	}
	if l.pos < len(l.src) {
		l.current = int(l.src[l.pos])
		l.pos++
	} else {
		l.current = eof
	}
}

func (l *lexer) save() {
	l.buffer = append(l.buffer, byte(l.current))
	l.next()
}

func tokenText(kind int) string {
	if kind < tkAnd {
		if kind < ' ' || kind == 127 {
			return fmt.Sprintf("char(%d)", kind)
		}
		return string([]byte{byte(kind)})
	}
	return tokenTexts[kind-tkAnd]
}

// noToken asks for an error without "near".
const noToken = 0

func (l *lexer) fail(text string, kind int) {
	text = fmt.Sprintf("%s:%d: %s", l.chunk, l.line, text)
	if kind != noToken {
		near := tokenText(kind)
		switch kind {
		case tkName, tkString, tkNumber:
			near, _, _ = strings.Cut(string(l.buffer), "\x00")
		}
		text += " near '" + near + "'"
	}
	panic(&Error{text})
}

func isNewline(c int) bool { return c == '\n' || c == '\r' }

func isAlpha(c int) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isDigit(c int) bool { return c >= '0' && c <= '9' }

// newline skips \n, \r, \r\n or \n\r.
func (l *lexer) newline() {
	old := l.current
	l.next()
	if isNewline(l.current) && l.current != old {
		l.next()
	}
	l.line++
}

// separator skips [==[ or ]==] up to its last bracket. It returns the number of =, or a negative number if it is no
// separator.
func (l *lexer) separator() int {
	n, bracket := 0, l.current
	l.save()
	for l.current == '=' {
		l.save()
		n++
	}
	if l.current == bracket {
		return n
	}
	return -n - 1
}

func (l *lexer) longString(comment bool, level int) string {
	l.save()
	if isNewline(l.current) {
		l.newline()
	}
	for {
		switch {
		case l.current == eof:
			if comment {
				l.fail("unfinished long comment", tkEOF)
			}
			l.fail("unfinished long string", tkEOF)
		case l.current == '[':
			if l.separator() == level {
				l.save()
				if level == 0 {
					l.fail("nesting of [[...]] is deprecated", '[')
				}
			}
		case l.current == ']':
			if l.separator() == level {
				l.save()
				if comment {
					return ""
				}
				return string(l.buffer[2+level : max(2+level, len(l.buffer)-2-level)])
			}
		case isNewline(l.current):
			l.buffer = append(l.buffer, '\n')
			l.newline()
			if comment {
				l.buffer = l.buffer[:0]
			}
		default:
			if comment {
				l.next()
			} else {
				l.save()
			}
		}
	}
}

func (l *lexer) readString(delimiter int) token {
	value := []byte{}
	l.save()
	for l.current != delimiter {
		switch l.current {
		case eof:
			l.fail("unfinished string", tkEOF)
		case '\n', '\r':
			l.buffer = append(l.buffer[:1:1], value...)
			l.fail("unfinished string", tkString)
		case '\\':
			l.next()
			c := l.current
			switch c {
			case 'a':
				c = '\a'
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'v':
				c = '\v'
			case '\n', '\r':
				value = append(value, '\n')
				l.newline()
				continue
			case eof:
				continue
			default:
				if !isDigit(c) {
					break
				}
				n := 0
				for i := 0; i < 3 && isDigit(l.current); i++ {
					n = 10*n + l.current - '0'
					l.next()
				}
				if n > 255 {
					l.buffer = append(l.buffer[:1:1], value...)
					l.fail("escape sequence too large", tkString)
				}
				value = append(value, byte(n))
				continue
			}
			value = append(value, byte(c))
			l.next()
		default:
			value = append(value, byte(l.current))
			l.next()
		}
	}
	l.buffer = append(append(l.buffer[:1:1], value...), byte(delimiter))
	l.next()
	return token{kind: tkString, text: string(value)}
}

func (l *lexer) readNumber() token {
	for {
		l.save()
		if !isDigit(l.current) && l.current != '.' {
			break
		}
	}
	if l.current == 'e' || l.current == 'E' {
		l.save()
		if l.current == '+' || l.current == '-' {
			l.save()
		}
	}
	for isAlpha(l.current) || isDigit(l.current) {
		l.save()
	}
	f, ok := l.number(string(l.buffer))
	if !ok {
		l.fail("malformed number", tkNumber)
	}
	return token{kind: tkNumber, number: f}
}

// two returns the token with if the next byte is second, else the single byte.
func (l *lexer) two(second, with int) token {
	c := l.current
	l.next()
	if l.current == second {
		l.next()
		return token{kind: with}
	}
	return token{kind: c}
}

func (l *lexer) lex() token {
	l.buffer = l.buffer[:0]
	for {
		switch c := l.current; c {
		case '\n', '\r':
			l.newline()
		case '-':
			l.next()
			if l.current != '-' {
				return token{kind: '-'}
			}
			l.next()
			if l.current == '[' {
				level := l.separator()
				l.buffer = l.buffer[:0]
				if level >= 0 {
					l.longString(true, level)
					l.buffer = l.buffer[:0]
					continue
				}
			}
			for !isNewline(l.current) && l.current != eof {
				l.next()
			}
		case '[':
			level := l.separator()
			if level >= 0 {
				return token{kind: tkString, text: l.longString(false, level)}
			}
			if level == -1 {
				return token{kind: '['}
			}
			l.fail("invalid long string delimiter", tkString)
		case '=':
			return l.two('=', tkEq)
		case '<':
			return l.two('=', tkLe)
		case '>':
			return l.two('=', tkGe)
		case '~':
			return l.two('=', tkNe)
		case '"', '\'':
			return l.readString(c)
		case '.':
			l.save()
			if l.current == '.' {
				l.save()
				if l.current == '.' {
					l.save()
					return token{kind: tkDots}
				}
				return token{kind: tkConcat}
			}
			if !isDigit(l.current) {
				return token{kind: '.'}
			}
			return l.readNumber()
		case eof:
			return token{kind: tkEOF}
		case ' ', '\t', '\v', '\f':
			l.next()
		default:
			switch {
			case isDigit(c):
				return l.readNumber()
			case isAlpha(c):
				for isAlpha(l.current) || isDigit(l.current) {
					l.save()
				}
				if kind, ok := reserved[string(l.buffer)]; ok {
					return token{kind: kind}
				}
				return token{kind: tkName, text: string(l.buffer)}
			}
			l.next()
			return token{kind: c}
		}
	}
}
