package aof

// commandReader cuts an append-only file into commands and annotations. Both end with a line break, so that it is known of
// each whether it is complete:
//
//	complete   its bytes and offset are returned
//	torn       the file ends within it. A number that promises more bytes than the file has counts as that, too
//	malformed  its bytes cannot be the beginning of a command
//
// Arguments are slices of the reader's buffer, valid until the next call. The buffer grows by doubling while the bytes of
// one command arrive, never past what the file has, and is given back when a large one is done: memory is at most twice
// the largest command.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	readBuffer    = 256 << 10
	keepRead      = 4 << 20 // a larger buffer is given back
	maxHeadLine   = 32      // *<number>\r\n
	maxAnnotation = 1024    // as in Redis
	minArg        = 5       // bytes an argument takes at least: $0\n\r\n
)

// errTorn says that the file ends in the middle of something.
var errTorn = errors.New("unexpected end of file")

// formatError says that the bytes at an offset are not those of a command.
type formatError struct {
	offset int64
	reason string
}

func (e *formatError) Error() string { return fmt.Sprintf("offset %d: %s", e.offset, e.reason) }

type commandReader struct {
	f     io.Reader
	size  int64 // of the file
	start int64 // offset of buf[0]
	buf   []byte
	pos   int // of the next command in buf
	args  [][]byte
}

func newCommandReader(f io.Reader, offset, size int64) *commandReader {
	return &commandReader{f: f, size: size, start: offset, buf: make([]byte, 0, max(64, min(readBuffer, size-offset+1)))}
}

// offset returns where the next command begins.
func (r *commandReader) offset() int64 { return r.start + int64(r.pos) }

// next returns the next command, or nil arguments for an annotation. At the end of the file the error is io.EOF; else
// errTorn, a *formatError, or the error of reading.
func (r *commandReader) next() ([][]byte, error) {
	for {
		n, need, err := r.parse(r.buf[r.pos:])
		if err != nil {
			return nil, err
		}
		if n > 0 {
			r.pos += n
			return r.args, nil
		}
		if err := r.fill(need); err != nil {
			return nil, err
		}
	}
}

// parse looks at one command or annotation at the beginning of b. n is its length; if that is 0, need is how many bytes it
// has at least.
func (r *commandReader) parse(b []byte) (n, need int, err error) {
	r.args = r.args[:0]
	if len(b) == 0 {
		return 0, 1, nil
	}
	if b[0] == '#' {
		end := bytes.IndexByte(b[:min(len(b), maxAnnotation)], '\n')
		switch {
		case end >= 0:
			r.args = nil
			return end + 1, 0, nil
		case len(b) >= maxAnnotation:
			return 0, 0, r.malformed(0, "annotation without an end")
		}
		return 0, len(b) + 1, nil
	}
	argc, at, err := r.head(b, 0, '*')
	if err != nil || at == 0 {
		return 0, len(b) + 1, err
	}
	if argc < 1 {
		return 0, 0, r.malformed(0, "command without arguments")
	}
	if left := r.size - r.offset(); argc > left/minArg {
		return 0, 0, errTorn
	}
	for ; argc > 0; argc-- {
		length, from, err := r.head(b, at, '$')
		if err != nil || from == 0 {
			return 0, max(len(b), at) + 1, err
		}
		if length > r.size-r.offset()-int64(from) {
			return 0, 0, errTorn
		}
		end := from + int(length)
		if end+2 > len(b) {
			return 0, end + 2, nil
		}
		if b[end] != '\r' || b[end+1] != '\n' {
			return 0, 0, r.malformed(end, "argument without a line break at its end")
		}
		r.args = append(r.args, b[from:end:end])
		at = end + 2
	}
	return at, 0, nil
}

// head reads a line of a kind and a number at b[at:]. next is where the next line begins, 0 if b ends before.
func (r *commandReader) head(b []byte, at int, kind byte) (value int64, next int, err error) {
	if at >= len(b) {
		return 0, 0, nil
	}
	if b[at] != kind {
		return 0, 0, r.malformed(at, fmt.Sprintf("expected '%c', got %q", kind, b[at]))
	}
	i := at + 1
	for ; i < len(b) && i-at < maxHeadLine; i++ {
		c := b[i]
		if c < '0' || c > '9' {
			break
		}
		if value > (1<<62)/10 {
			return 0, 0, r.malformed(at, "number out of range")
		}
		value = value*10 + int64(c-'0')
	}
	if i == len(b) {
		return 0, 0, nil
	}
	digits := i - at - 1
	if b[i] == '\r' {
		if i++; i == len(b) {
			return 0, 0, nil
		}
	}
	if b[i] != '\n' || digits == 0 {
		return 0, 0, r.malformed(at, "invalid number")
	}
	return value, i + 1, nil
}

func (r *commandReader) malformed(at int, reason string) error {
	return &formatError{r.offset() + int64(at), reason}
}

// fill reads until need bytes of the command are there.
func (r *commandReader) fill(need int) error {
	if r.pos > 0 {
		left := r.buf[r.pos:]
		r.start += int64(r.pos)
		if cap(r.buf) > keepRead && len(left) < readBuffer && need < readBuffer {
			r.buf = append(make([]byte, 0, readBuffer), left...)
		} else {
			r.buf = r.buf[:copy(r.buf, left)]
		}
		r.pos = 0
	}
	for empty := 0; len(r.buf) < need; {
		if len(r.buf) == cap(r.buf) {
			r.buf = append(make([]byte, 0, 2*cap(r.buf)), r.buf...)
		}
		n, err := r.f.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			empty = 0
			continue
		}
		if empty++; err == nil && empty > 100 {
			return io.ErrNoProgress
		}
		if err == io.EOF && len(r.buf) > 0 {
			return errTorn
		}
		if err != nil {
			return err
		}
	}
	return nil
}
