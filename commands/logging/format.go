package logging

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The three shapes of a line. All append to a buffer and end with a newline.

const (
	redisTime  = "02 Jan 2006 15:04:05.000"
	recordTime = "2006-01-02T15:04:05.000Z07:00"
	levelMarks = ".-*#"
)

// appendRedis writes "PID:ROLE DD Mon YYYY HH:MM:SS.mmm LEVEL message", in local
// time.
func appendRedis(b []byte, pid int, role Role, t time.Time, level Level, msg string) []byte {
	b = strconv.AppendInt(b, int64(pid), 10)
	b = append(b, ':', byte(role), ' ')
	b = t.AppendFormat(b, redisTime)
	b = append(b, ' ', levelMarks[min(max(level, Debug), Warning)], ' ')
	b = append(b, msg...)
	return append(b, '\n')
}

// escapeControls writes control characters as escape sequences, so that a message
// is one line and cannot control a terminal. Tabs and blanks stay.
func escapeControls(msg string) string {
	isControl := func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
	first := 0
	for first < len(msg) && !isControl(msg[first]) {
		first++
	}
	if first == len(msg) {
		return msg
	}
	const hex = "0123456789abcdef"
	b := append(make([]byte, 0, len(msg)+16), msg[:first]...)
	for i := first; i < len(msg); i++ {
		switch c := msg[i]; {
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case isControl(c):
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func appendLogfmt(b []byte, pid int, role Role, t time.Time, level Level, msg string) []byte {
	b = append(b, "pid="...)
	b = strconv.AppendInt(b, int64(pid), 10)
	b = append(b, " role="...)
	b = append(b, role.name()...)
	b = append(b, " timestamp="...)
	b = t.AppendFormat(b, recordTime)
	b = append(b, " level="...)
	b = append(b, level.String()...)
	b = append(b, " message="...)
	b = appendQuoted(b, msg)
	return append(b, '\n')
}

func appendJSON(b []byte, pid int, role Role, t time.Time, level Level, msg string) []byte {
	b = append(b, `{"pid":`...)
	b = strconv.AppendInt(b, int64(pid), 10)
	b = append(b, `,"role":"`...)
	b = append(b, role.name()...)
	b = append(b, `","timestamp":"`...)
	b = t.AppendFormat(b, recordTime)
	b = append(b, `","level":"`...)
	b = append(b, level.String()...)
	b = append(b, `","message":`...)
	b = appendQuoted(b, msg)
	return append(b, '}', '\n')
}

// appendQuoted writes a JSON string, which logfmt readers accept, too. Bytes that
// are not UTF-8 become U+FFFD.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
