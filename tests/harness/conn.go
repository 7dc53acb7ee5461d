package harness

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// DefaultTimeout bounds every read and write of a Conn without a timeout of its own.
const DefaultTimeout = time.Minute

// Conn is a raw connection to a server. It is used by one goroutine at a time; one that only sends and one that only
// reads may work side by side.
type Conn struct {
	Timeout time.Duration // of each single read and write; 0 waits for ever
	nc      net.Conn
	r       *bufio.Reader
	raw     []byte // the bytes of the reply that is being read
}

// DialConn connects to a server: network "tcp" or "unix".
func DialConn(network, addr string, timeout time.Duration) (*Conn, error) {
	nc, err := net.DialTimeout(network, addr, timeout)
	if err != nil {
		return nil, err
	}
	return NewConn(nc, timeout), nil
}

// NewConn speaks on a connection that stands.
func NewConn(nc net.Conn, timeout time.Duration) *Conn {
	return &Conn{Timeout: timeout, nc: nc, r: bufio.NewReaderSize(nc, 8<<10)}
}

// Net returns the connection itself, for what Conn has no method for.
func (c *Conn) Net() net.Conn { return c.nc }

// Reader returns what replies are read from, for bytes that are none.
func (c *Conn) Reader() io.Reader { return c.r }

// Close closes the connection.
func (c *Conn) Close() error { return c.nc.Close() }

// Write sends bytes as they are.
func (c *Conn) Write(p []byte) (int, error) {
	if c.Timeout > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.Timeout)); err != nil {
			return 0, err
		}
	}
	return c.nc.Write(p)
}

// Send sends one request as a multibulk.
func (c *Conn) Send(args ...string) error {
	_, err := c.Write(AppendCommand(nil, args...))
	return err
}

// Do sends one request and reads the next reply. An error reply is a Value of kind '-', not an error.
func (c *Conn) Do(args ...string) (Value, error) {
	if err := c.Send(args...); err != nil {
		return Value{}, err
	}
	return c.Read()
}

// Must is Do for set-up code: an error, an error reply included, ends in a panic with the command.
func (c *Conn) Must(args ...string) Value {
	v, err := c.Do(args...)
	if err == nil && v.Kind == '-' {
		err = errors.New(v.Str)
	}
	if err != nil {
		panic(fmt.Sprintf("%q: %v", args, err))
	}
	return v
}

// Read reads one whole reply or push. At the end of the stream it returns io.EOF; a reply that is cut gives
// io.ErrUnexpectedEOF.
func (c *Conn) Read() (Value, error) {
	if c.Timeout > 0 {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
			return Value{}, err
		}
	}
	c.raw = c.raw[:0]
	v, err := c.readValue(0)
	if err != nil {
		if errors.Is(err, io.EOF) && len(c.raw) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return Value{}, err
	}
	v.Raw = bytes.Clone(c.raw)
	return v, nil
}

// ReadAll reads what the server still sends until it closes the connection.
func (c *Conn) ReadAll() ([]byte, error) {
	if c.Timeout > 0 {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(c.r)
}

// Skip reads n replies without decoding them into values, for pipelines of many; it returns the first error reply's text.
func (c *Conn) Skip(n int) (firstError string, err error) {
	for range n {
		if c.Timeout > 0 && c.r.Buffered() == 0 {
			if err := c.nc.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
				return firstError, err
			}
		}
		c.raw = c.raw[:0]
		v, err := c.readValue(0)
		if err != nil {
			return firstError, err
		}
		if v.Kind == '-' && firstError == "" {
			firstError = v.Str
		}
	}
	return firstError, nil
}

// Info returns the fields of an INFO section, or of the default sections when section is empty.
func (c *Conn) Info(section string) (map[string]string, error) {
	args := []string{"INFO"}
	if section != "" {
		args = append(args, section)
	}
	v, err := c.Do(args...)
	if err != nil {
		return nil, err
	}
	if v.Kind == '-' {
		return nil, errors.New(v.Str)
	}
	fields := map[string]string{}
	for line := range strings.Lines(v.Str) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok && !strings.HasPrefix(key, "#") {
			fields[key] = value
		}
	}
	return fields, nil
}

// AppendCommand appends one request in multibulk form.
func AppendCommand(dst []byte, args ...string) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(args)), 10)
	dst = append(dst, '\r', '\n')
	for _, a := range args {
		dst = append(dst, '$')
		dst = strconv.AppendInt(dst, int64(len(a)), 10)
		dst = append(dst, '\r', '\n')
		dst = append(dst, a...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// Value is one decoded reply.
type Value struct {
	Kind  byte    // the type byte of RESP: + - : $ * _ , # ! = ( % ~ > (an attribute's value takes its own kind)
	Null  bool    // $-1, *-1 or _
	Str   string  // text of a scalar, without type and length; a verbatim string's text without its "txt:"
	Elems []Value // elements of an aggregate; a map's keys and values alternate
	Attr  []Value // attribute pairs that came before the value
	Raw   []byte  // the bytes as received, attributes included; only set on what Read returns
}

// String returns the text of a scalar, "(nil)" for nulls and "[a b c]" for aggregates: for comparisons and messages.
func (v Value) String() string {
	switch {
	case v.Null:
		return "(nil)"
	case v.aggregate():
		parts := make([]string, len(v.Elems))
		for i, e := range v.Elems {
			parts[i] = e.String()
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return v.Str
	}
}

// IsError reports whether the reply is an error (simple or bulk).
func (v Value) IsError() bool { return v.Kind == '-' || v.Kind == '!' }

// Int returns the number of an integer reply, and of strings that hold one; 0 otherwise.
func (v Value) Int() int64 {
	n, _ := strconv.ParseInt(v.Str, 10, 64)
	return n
}

func (v Value) aggregate() bool { return strings.IndexByte("*%~>", v.Kind) >= 0 }

// maxDepth bounds the nesting that the reader follows.
const maxDepth = 64

func (c *Conn) readValue(depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, errors.New("reply nested too deeply")
	}
	line, err := c.readLine()
	if err != nil {
		return Value{}, err
	}
	if len(line) == 0 {
		return Value{}, errors.New("empty reply line")
	}
	v := Value{Kind: line[0]}
	text := string(line[1:])
	switch v.Kind {
	case '+', '-', ':', ',', '#', '(':
		v.Str = text
	case '_':
		v.Null = true
		if text != "" {
			return v, fmt.Errorf("null with text %q", text)
		}
	case '$', '=', '!':
		n, err := strconv.Atoi(text)
		if err != nil || n < -1 {
			return v, fmt.Errorf("bad length %q of a bulk", line)
		}
		if n == -1 {
			v.Null = true
			return v, nil
		}
		if v.Str, err = c.readBulk(n); err != nil {
			return v, err
		}
		if v.Kind == '=' {
			if len(v.Str) < 4 || v.Str[3] != ':' {
				return v, fmt.Errorf("verbatim string without format: %q", v.Str)
			}
			v.Str = v.Str[4:]
		}
	case '*', '%', '~', '>', '|':
		n, err := strconv.Atoi(text)
		if err != nil || n < -1 {
			return v, fmt.Errorf("bad length %q of an aggregate", line)
		}
		if n == -1 {
			v.Null = true
			return v, nil
		}
		if v.Kind == '%' || v.Kind == '|' {
			n *= 2
		}
		v.Elems = make([]Value, 0, min(n, 1024))
		for range n {
			e, err := c.readValue(depth + 1)
			if err != nil {
				return v, err
			}
			v.Elems = append(v.Elems, e)
		}
		if v.Kind == '|' {
			attr := v.Elems
			if v, err = c.readValue(depth); err != nil {
				return v, err
			}
			v.Attr = append(attr, v.Attr...)
		}
	default:
		return v, fmt.Errorf("unknown reply type in %q", line)
	}
	return v, nil
}

func (c *Conn) readLine() ([]byte, error) {
	start := len(c.raw)
	for {
		part, err := c.r.ReadSlice('\n')
		c.raw = append(c.raw, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	line := c.raw[start:]
	if !bytes.HasSuffix(line, []byte("\r\n")) {
		return nil, fmt.Errorf("line ends without CR LF: %q", line)
	}
	return line[:len(line)-2], nil
}

func (c *Conn) readBulk(n int) (string, error) {
	start := len(c.raw)
	for len(c.raw)-start < n+2 {
		want := min(n+2-(len(c.raw)-start), 1<<20)
		at := len(c.raw)
		c.raw = append(c.raw, make([]byte, want)...)
		got, err := io.ReadFull(c.r, c.raw[at:])
		if err != nil {
			c.raw = c.raw[:at+got]
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if c.Timeout > 0 && n > 1<<20 {
			// A large value may take longer than one timeout, but its bytes must keep coming.
			if err := c.nc.SetReadDeadline(time.Now().Add(c.Timeout)); err != nil {
				return "", err
			}
		}
	}
	if !bytes.HasSuffix(c.raw, []byte("\r\n")) {
		return "", fmt.Errorf("bulk of %d bytes is not followed by CR LF", n)
	}
	return string(c.raw[start : start+n]), nil
}
