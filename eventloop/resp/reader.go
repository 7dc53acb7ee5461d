package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
)

// Type is the first byte of a reply in the protocol.
type Type byte

// The types of replies. Those from Null on exist in RESP3 only.
const (
	SimpleString Type = '+'
	SimpleError  Type = '-'
	Integer      Type = ':'
	BulkString   Type = '$'
	Array        Type = '*'
	Null         Type = '_'
	Bool         Type = '#'
	Double       Type = ','
	BigNumber    Type = '('
	BulkError    Type = '!'
	Verbatim     Type = '='
	Map          Type = '%'
	Set          Type = '~'
	Push         Type = '>'
)

const attribute = '|'

// Value is a decoded reply.
type Value struct {
	Type   Type
	IsNull bool    // "_", "$-1" or "*-1"; Type says which
	Str    []byte  // strings, errors, big numbers, and the text of a double; of a verbatim string without its format
	Format string  // of a verbatim string: three bytes
	Int    int64   // integers; a boolean as 0 or 1
	Double float64 // doubles
	Elems  []Value // arrays, sets, pushes; of a map keys and values alternately
	Attrs  []Value // attributes that preceded the value, keys and values alternately
}

// Err returns the error that the reply is, or nil.
func (v *Value) Err() error {
	if v.Type == SimpleError || v.Type == BulkError {
		return errors.New(string(v.Str))
	}
	return nil
}

// String renders the value on one line, for the messages of tests.
func (v Value) String() string {
	return string(v.appendText(nil))
}

func (v *Value) appendText(b []byte) []byte {
	if len(v.Attrs) > 0 {
		b = appendAll(append(b, '|'), v.Attrs)
		b = append(b, ' ')
	}
	if v.IsNull {
		return append(append(b, "null"...), byte(v.Type))
	}
	b = append(b, byte(v.Type))
	switch v.Type {
	case Integer, Bool:
		return strconv.AppendInt(b, v.Int, 10)
	case Array, Map, Set, Push:
		return appendAll(b, v.Elems)
	case Verbatim:
		b = append(append(b, v.Format...), ':')
	}
	return strconv.AppendQuote(b, string(v.Str))
}

func appendAll(b []byte, vs []Value) []byte {
	b = append(b, '[')
	for i := range vs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = vs[i].appendText(b)
	}
	return append(b, ']')
}

// Reader decodes the replies of a stream. It is strict: every line ends with
// "\r\n", numbers are as Redis writes them. It is for tests and tools, and allocates
// what it returns; it does not trust announced lengths either.
type Reader struct {
	r   *bufio.Reader
	raw []byte
}

// NewReader returns a Reader over r, which it reads ahead.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// Raw returns the bytes of the reply that Read returned last, attributes
// included. They are valid until the next Read.
func (r *Reader) Raw() []byte { return r.raw }

// Buffered returns how many bytes were read ahead.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// Discard skips n bytes of the stream that are not a reply (an RDB payload).
func (r *Reader) Discard(n int) error {
	_, err := r.r.Discard(n)
	return err
}

// A FormatError is a reply that is not in the protocol.
type FormatError string

func (e FormatError) Error() string { return "resp: " + string(e) }

// maxDepth bounds how deep aggregates nest.
const maxDepth = 128

// Read decodes the next reply, pushes like all others. At the clean end of the stream it returns
// io.EOF, inside a reply io.ErrUnexpectedEOF.
func (r *Reader) Read() (Value, error) {
	r.raw = r.raw[:0]
	v, err := r.value(0)
	if err == io.EOF && len(r.raw) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

func (r *Reader) value(depth int) (v Value, err error) {
	if depth > maxDepth {
		return v, FormatError("nested too deep")
	}
	line, err := r.line()
	if err != nil {
		return v, err
	}
	if len(line) == 0 {
		return v, FormatError("empty line")
	}
	kind, text := line[0], line[1:]
	v.Type = Type(kind)
	switch kind {
	case '+', '-':
		v.Str = clone(text)
	case ':':
		var ok bool
		if v.Int, ok = ParseInt(text); !ok {
			err = bad(kind, text)
		}
	case '_':
		v.IsNull = true
		if len(text) > 0 {
			err = bad(kind, text)
		}
	case '#':
		switch string(text) {
		case "t":
			v.Int = 1
		case "f":
		default:
			err = bad(kind, text)
		}
	case ',':
		v.Str = clone(text)
		var ok bool
		if v.Double, ok = ParseFloat(text); !ok {
			if string(text) != "nan" {
				return v, bad(kind, text)
			}
			v.Double = math.NaN()
		}
	case '(':
		v.Str = clone(text)
		if _, ok := new(big.Int).SetString(string(text), 10); !ok {
			err = bad(kind, text)
		}
	case '$', '!', '=':
		var n int64
		if n, err = length(kind, text); err != nil {
			return v, err
		}
		if n < 0 {
			v.IsNull = true
			break
		}
		if v.Str, err = r.bulk(n); err == nil && kind == '=' {
			if n < 4 || v.Str[3] != ':' {
				return v, FormatError("verbatim string without a format")
			}
			v.Format, v.Str = string(v.Str[:3]), v.Str[4:]
		}
	case '*', '~', '>', '%', attribute:
		var n int64
		if n, err = length(kind, text); err != nil {
			return v, err
		}
		if n < 0 {
			v.IsNull = true
			break
		}
		if kind == '%' || kind == attribute {
			n *= 2
		}
		elems := []Value{}
		for ; n > 0; n-- {
			var e Value
			if e, err = r.value(depth + 1); err != nil {
				return v, err
			}
			elems = append(elems, e)
		}
		if kind == attribute {
			if v, err = r.value(depth + 1); err == nil {
				v.Attrs = append(elems, v.Attrs...)
			}
			return v, err
		}
		v.Elems = elems
	default:
		err = bad(kind, text)
	}
	return v, err
}

// length reads the length of an aggregate or bulk. Only "$" and "*" may be -1, the nulls of RESP2.
func length(kind byte, text []byte) (int64, error) {
	n, ok := ParseInt(text)
	if !ok || n < -1 || n > math.MaxInt32 || n == -1 && kind != '$' && kind != '*' {
		return 0, bad(kind, text)
	}
	return n, nil
}

func bad(kind byte, text []byte) error {
	return FormatError(fmt.Sprintf("bad reply line %q", string(kind)+string(text[:min(len(text), 64)])))
}

func clone(b []byte) []byte { return append([]byte{}, b...) }

// line reads a line and returns it without its end. It is valid until the next read.
func (r *Reader) line() ([]byte, error) {
	start := len(r.raw)
	for {
		part, err := r.r.ReadSlice('\n')
		r.raw = append(r.raw, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		line := r.raw[start:]
		if n := len(line); n >= 2 && line[n-2] == '\r' {
			return line[:n-2], nil
		}
		return nil, FormatError("line without '\\r'")
	}
}

// bulk reads n bytes and the line's end behind them.
func (r *Reader) bulk(n int64) ([]byte, error) {
	start := len(r.raw)
	for left := n + 2; left > 0; {
		if r.r.Buffered() == 0 {
			if _, err := r.r.Peek(1); err != nil {
				return nil, err
			}
		}
		part, err := r.r.Peek(int(min(left, int64(r.r.Buffered()))))
		if err != nil {
			return nil, err
		}
		r.raw = append(r.raw, part...)
		left -= int64(len(part))
		if _, err := r.r.Discard(len(part)); err != nil {
			return nil, err
		}
	}
	b := r.raw[start:]
	if string(b[n:]) != "\r\n" {
		return nil, FormatError("bulk without its end")
	}
	return clone(b[:n]), nil
}
