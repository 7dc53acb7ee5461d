package resp

// Writer appends replies to Buf, in the protocol that Proto names. Its methods
// allocate nothing but what Buf grows by. A reply is written front to back:
// the header of an aggregate, then its elements; if their number is not known yet,
// with a Mark that is closed later.
//
// RESP3 has types that RESP2 lacks. What a method appends under RESP2 is what
// Redis 7.2 sends to a RESP2 client: maps are flat arrays, sets and pushes
// arrays, doubles, big numbers and verbatim strings bulks, booleans 1 and 0.
//
// A reply may be bounded: once Buf has Limit bytes, what is appended is dropped again by the next element of an aggregate
// or the next bulk string, so that Buf grows by no more than one element beyond. What is then in Buf is not in the
// protocol; the owner sees it by Over, and Reset or Truncate ends it.
type Writer struct {
	Buf   []byte
	Proto int // 2 or 3; another value counts as 2
	Limit int // bytes, 0 = none

	Sharing bool   // BulkShared may leave the bulk where it is
	Shared  []byte // a bulk that follows Buf, and behind it the line's end

	cut int // length of Buf when Limit was passed; 0 if it was not
}

// Reset empties Buf and keeps its memory.
func (w *Writer) Reset() { w.Truncate(0) }

// Truncate drops what was appended since Buf had n bytes.
func (w *Writer) Truncate(n int) {
	w.Buf = w.Buf[:min(n, len(w.Buf))]
	w.Shared = nil
	w.cut = 0
}

// Over reports whether the reply has passed Limit.
func (w *Writer) Over() bool { return uint(len(w.Buf)+len(w.Shared)) > uint(w.Limit-1) || w.cut > 0 }

// drop takes back what was appended since Limit was passed.
func (w *Writer) drop() {
	if w.cut == 0 {
		w.cut = len(w.Buf)
	}
	w.Buf = w.Buf[:w.cut]
}

// RESP3 reports whether the client speaks RESP3.
func (w *Writer) RESP3() bool { return w.Proto == 3 }

// Raw appends bytes that are in the protocol already.
func (w *Writer) Raw(b []byte) { w.Buf = append(w.Buf, b...) }

// RawString is Raw for a string.
func (w *Writer) RawString(s string) { w.Buf = append(w.Buf, s...) }

// header appends kind, a number and the line's end. Most numbers are small.
func (w *Writer) header(kind byte, n int64) {
	if uint(len(w.Buf)) > uint(w.Limit-1) { // without a limit no length is above this
		w.drop()
	}
	if uint64(n) < 10 {
		w.Buf = append(w.Buf, kind, byte('0'+n), '\r', '\n')
		return
	}
	if uint64(n) < 100 {
		w.Buf = append(w.Buf, kind, pairs[n*2], pairs[n*2+1], '\r', '\n')
		return
	}
	b := append(w.Buf, kind)
	b = AppendInt(b, n)
	w.Buf = append(b, '\r', '\n')
}

// OK appends +OK.
func (w *Writer) OK() { w.Buf = append(w.Buf, "+OK\r\n"...) }

// Status appends a simple string, which must have no line break in it.
func (w *Writer) Status(s string) {
	b := append(w.Buf, '+')
	b = append(b, s...)
	w.Buf = append(b, '\r', '\n')
}

// Error appends an error. msg begins with its code ("ERR …", "WRONGTYPE …").
// Line breaks at its end are cut off, those inside become blanks.
func (w *Writer) Error(msg string) {
	n := len(msg)
	for n > 0 && (msg[n-1] == '\r' || msg[n-1] == '\n') {
		n--
	}
	b := append(w.Buf, '-')
	at := len(b)
	b = append(b, msg[:n]...)
	for i, c := range b[at:] {
		if c == '\r' || c == '\n' {
			b[at+i] = ' '
		}
	}
	w.Buf = append(b, '\r', '\n')
}

// Int appends an integer.
func (w *Writer) Int(n int64) { w.header(':', n) }

// bulkFrame is room enough for what a bulk string has around its bytes.
const bulkFrame = 32

// grow makes room for n bytes. A long reply doubles its buffer: append alone would make it larger by a quarter, and copy all of
// it each time.
func (w *Writer) grow(n int) {
	w.Buf = append(make([]byte, 0, max(2*cap(w.Buf), len(w.Buf)+n, 512)), w.Buf...)
}

// Bulk appends a bulk string.
func (w *Writer) Bulk(s []byte) {
	if cap(w.Buf)-len(w.Buf) < len(s)+bulkFrame {
		w.grow(len(s) + bulkFrame)
	}
	w.header('$', int64(len(s)))
	b := append(w.Buf, s...)
	w.Buf = append(b, '\r', '\n')
}

// BulkShared is Bulk for bytes that nobody changes until the reply is sent. If Sharing
// is set, they are not copied but become Shared. Nothing may follow them then before
// the owner has sent both.
func (w *Writer) BulkShared(s []byte) {
	if !w.Sharing {
		w.Bulk(s)
		return
	}
	w.header('$', int64(len(s)))
	w.Shared = s
}

// BulkString is Bulk for a string.
func (w *Writer) BulkString(s string) {
	w.header('$', int64(len(s)))
	b := append(w.Buf, s...)
	w.Buf = append(b, '\r', '\n')
}

// BulkInt appends a bulk string that holds n in decimal.
func (w *Writer) BulkInt(n int64) {
	var a [20]byte
	w.Bulk(AppendInt(a[:0], n))
}

// BulkDouble appends a bulk string that holds f, under both protocols.
func (w *Writer) BulkDouble(f float64) {
	var a [maxDouble]byte
	w.Bulk(FormatDouble(a[:0], f))
}

// maxDouble is room enough for what FormatDouble appends: at most 25 bytes, as in
// "-209257834877903650000000".
const maxDouble = 32

// Null appends the null of a value that is not there.
func (w *Writer) Null() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
	} else {
		w.Buf = append(w.Buf, "$-1\r\n"...)
	}
}

// NullArray appends the null of an array that is not there.
func (w *Writer) NullArray() {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
	} else {
		w.Buf = append(w.Buf, "*-1\r\n"...)
	}
}

// Array begins an array of n elements.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

// Map begins a map of n pairs; under RESP2 an array of 2n elements.
func (w *Writer) Map(n int) {
	if w.Proto == 3 {
		w.header('%', int64(n))
	} else {
		w.header('*', 2*int64(n))
	}
}

// Set begins a set of n elements; under RESP2 an array.
func (w *Writer) Set(n int) {
	if w.Proto == 3 {
		w.header('~', int64(n))
	} else {
		w.header('*', int64(n))
	}
}

// Push begins an out-of-band message of n elements; under RESP2 an array, as
// messages of channels are sent there.
func (w *Writer) Push(n int) {
	if w.Proto == 3 {
		w.header('>', int64(n))
	} else {
		w.header('*', int64(n))
	}
}

// Attribute begins n pairs of attributes, which precede the reply they describe.
// RESP2 has none: it then appends nothing and returns false, and the caller must
// leave the pairs out.
func (w *Writer) Attribute(n int) bool {
	if w.Proto != 3 {
		return false
	}
	w.header('|', int64(n))
	return true
}

// Double appends f in the form of FormatDouble.
func (w *Writer) Double(f float64) {
	if w.Proto != 3 {
		w.BulkDouble(f)
		return
	}
	b := append(w.Buf, ',')
	b = FormatDouble(b, f)
	w.Buf = append(b, '\r', '\n')
}

// DoubleText appends a double that the caller has formatted (INCRBYFLOAT and GEO
// commands print long doubles and fixed decimals).
func (w *Writer) DoubleText(s []byte) {
	if w.Proto != 3 {
		w.Bulk(s)
		return
	}
	b := append(w.Buf, ',')
	b = append(b, s...)
	w.Buf = append(b, '\r', '\n')
}

// Bool appends a boolean.
func (w *Writer) Bool(v bool) {
	switch {
	case w.Proto == 3 && v:
		w.Buf = append(w.Buf, "#t\r\n"...)
	case w.Proto == 3:
		w.Buf = append(w.Buf, "#f\r\n"...)
	case v:
		w.Buf = append(w.Buf, ":1\r\n"...)
	default:
		w.Buf = append(w.Buf, ":0\r\n"...)
	}
}

// BigNumber appends an integer of any size, given in decimal.
func (w *Writer) BigNumber(s string) {
	if w.Proto != 3 {
		w.BulkString(s)
		return
	}
	b := append(w.Buf, '(')
	b = append(b, s...)
	w.Buf = append(b, '\r', '\n')
}

// Verbatim appends text of a format ("txt", "mkd"), whose name is padded or cut to
// three bytes.
func (w *Writer) Verbatim(format string, s string) {
	if w.Proto != 3 {
		w.BulkString(s)
		return
	}
	w.header('=', int64(len(s))+4)
	b := w.Buf
	for i := range 3 {
		if i < len(format) {
			b = append(b, format[i])
		} else {
			b = append(b, ' ')
		}
	}
	b = append(b, ':')
	b = append(b, s...)
	w.Buf = append(b, '\r', '\n')
}

// A Mark is the place in Buf of a header that is not known yet.
type Mark int

// placeholder is what a header of one digit takes: most need no shifting.
const placeholder = "*0\r\n"

func (w *Writer) begin() Mark {
	m := Mark(len(w.Buf))
	w.Buf = append(w.Buf, placeholder...)
	return m
}

// BeginArray begins an array whose length is given to EndArray. Aggregates nest: the inner one must be ended first. Buf must
// not be cut or sent between the two.
func (w *Writer) BeginArray() Mark { return w.begin() }

// BeginMap begins a map whose number of pairs is given to EndMap; see BeginArray.
func (w *Writer) BeginMap() Mark { return w.begin() }

// BeginSet begins a set whose length is given to EndSet; see BeginArray.
func (w *Writer) BeginSet() Mark { return w.begin() }

// EndArray closes an array of n elements.
func (w *Writer) EndArray(m Mark, n int) { w.end(m, '*', n) }

// EndMap closes a map of n pairs.
func (w *Writer) EndMap(m Mark, n int) {
	if w.Proto == 3 {
		w.end(m, '%', n)
	} else {
		w.end(m, '*', 2*n)
	}
}

// EndSet closes a set of n elements.
func (w *Writer) EndSet(m Mark, n int) {
	if w.Proto == 3 {
		w.end(m, '~', n)
	} else {
		w.end(m, '*', n)
	}
}

// EndNullArray turns what was begun, and all that was appended since, into a null array.
func (w *Writer) EndNullArray(m Mark) {
	w.Cancel(m)
	w.NullArray()
}

// Cancel takes back what was begun and all that was appended since.
func (w *Writer) Cancel(m Mark) {
	if w.cut == 0 {
		w.Buf = w.Buf[:m]
	}
}

// end writes the header over the placeholder, shifting what follows if it is longer.
func (w *Writer) end(m Mark, kind byte, n int) {
	if w.cut > 0 {
		return // the reply was cut off, perhaps before this header; nobody gets it
	}
	at := int(m)
	if uint(n) < 10 {
		w.Buf[at], w.Buf[at+1] = kind, byte('0'+n)
		return
	}
	var a [24]byte
	h := append(a[:0], kind)
	h = AppendInt(h, int64(n))
	h = append(h, '\r', '\n')
	body := at + len(placeholder)
	size := len(w.Buf) - body
	w.Buf = append(w.Buf, h[len(placeholder):]...)
	copy(w.Buf[at+len(h):], w.Buf[body:body+size])
	copy(w.Buf[at:], h)
}
