package aof

// Feed puts commands into the buffer that Flush writes, in the form in which a client sends them:
//
//	*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n
//
// preceded, where the database is another than that of the command before, by a SELECT, and with aof-timestamp-enabled, once
// a second, by the annotation #TS:<Unix seconds>\r\n. MULTI and EXEC come without a database, and between them no annotation
// is written, so that cutting the file at one (check.go) cuts no transaction.
//
// It is on the way of every write, so it asks once for room and then only copies. The buffer is kept while it is small.

import "strconv"

// keepBuffer is up to which size the buffer is kept after it has been written.
const keepBuffer = 1 << 20

// Feed appends a command that changed database db; -1 for MULTI and EXEC, which concern none. The slices are copied. It is
// a commands.Sink, and must be called in every state, so that it knows where a transaction is. Flush must be called before
// the reply is sent.
func (a *AOF) Feed(db int, argv [][]byte) {
	within := a.inMulti
	if db < 0 {
		a.inMulti = len(argv) > 0 && isWord(argv[0], "multi")
	}
	if !a.feeding {
		return
	}
	b := a.buf
	need := 96 + 14 // annotation, SELECT, head
	for _, arg := range argv {
		need += len(arg) + 24
	}
	if cap(b)-len(b) < need {
		grown := make([]byte, len(b), max(2*cap(b), len(b)+need, 16<<10))
		copy(grown, b)
		b = grown
	}
	if a.Settings.Timestamps && !within {
		if now := a.opt.Now() / 1000; now > a.stamped {
			a.stamped = now
			b = appendStamp(b, now)
		}
	}
	if db >= 0 && db != a.db {
		a.db = db
		b = appendSelect(b, db)
	}
	b = appendHead(b, '*', len(argv))
	for _, arg := range argv {
		b = appendHead(b, '$', len(arg))
		b = append(b, arg...)
		b = append(b, '\r', '\n')
	}
	a.buf = b
}

// Buffered returns how many bytes wait for Flush.
func (a *AOF) Buffered() int { return len(a.buf) }

func appendHead(b []byte, kind byte, n int) []byte {
	if n < 10 {
		return append(b, kind, byte('0'+n), '\r', '\n')
	}
	if n < 100 {
		return append(b, kind, byte('0'+n/10), byte('0'+n%10), '\r', '\n')
	}
	b = strconv.AppendInt(append(b, kind), int64(n), 10)
	return append(b, '\r', '\n')
}

func appendBulk(b, s []byte) []byte {
	b = append(appendHead(b, '$', len(s)), s...)
	return append(b, '\r', '\n')
}

func appendBulkString(b []byte, s string) []byte {
	b = append(appendHead(b, '$', len(s)), s...)
	return append(b, '\r', '\n')
}

func appendSelect(b []byte, db int) []byte {
	b = append(b, "*2\r\n$6\r\nSELECT\r\n"...)
	var digits [20]byte
	return appendBulk(b, strconv.AppendInt(digits[:0], int64(db), 10))
}

func appendStamp(b []byte, unix int64) []byte {
	b = strconv.AppendInt(append(b, "#TS:"...), unix, 10)
	return append(b, '\r', '\n')
}

// isWord compares with a word in small letters.
func isWord(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range s {
		if s[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}
