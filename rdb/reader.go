package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"ferrous/datatypes/mem"
)

// A reader is a buffered source with its offset and the checksum of the bytes that were read.
//
// Small pieces are returned as views: slices of the buffer that are valid until the next piece is read. Large ones get memory
// of their own, which doubles from firstGrowth on as their bytes arrive, so that a wrong length costs no more memory than the
// bytes that exist. If the size of the source is known, the memory is allocated at once if the source can have so many bytes.
//
// The checksum is computed of the whole buffer before it is filled again, not of each piece.

const (
	bufferSize  = 128 << 10
	firstGrowth = 64 << 10 // first allocation for a string whose bytes have not arrived yet
	maxLength   = 1 << 40  // of a string; a greater length is an error
)

// The steps of reading, in the words of redis-check-rdb.
const (
	doingStart     = "start"
	doingType      = "read-type"
	doingExpire    = "read-expire"
	doingKey       = "read-key"
	doingValue     = "read-object-value"
	doingChecksum  = "check-sum"
	doingLength    = "read-len"
	doingAux       = "read-aux"
	doingModuleAux = "read-module-aux"
	doingFunctions = "read-functions"
)

type reader struct {
	src      io.Reader // nil if all bytes are in the buffer
	buf      []byte
	pos, end int   // buf[pos:end] is read ahead
	base     int64 // offset of buf[0]
	size     int64 // of the source, -1 if it is not known
	checksum bool  // whether to compute crc
	crc      uint64
	summed   int // buf[:summed] is in crc

	// onFill, if not nil, is called with the offset from time to time, at most once for each filling of the buffer.
	onFill func(offset int64)

	doing  string
	key    []byte // in the reader's own memory; nil while no value is read
	typ    Type
	keyBuf []byte
	digits [20]byte // of a string stored as an integer
	plain  []byte   // a decompressed string
}

// start begins to read a source of size bytes, -1 if that is not known.
func (r *reader) start(src io.Reader, size int64) {
	if r.buf == nil {
		r.buf = make([]byte, bufferSize)
	}
	r.src, r.size = src, size
	r.pos, r.end, r.base, r.crc, r.summed = 0, 0, 0, 0, 0
	r.doing, r.key = doingStart, nil
}

// startBytes begins to read from b, without a source.
func (r *reader) startBytes(b []byte) {
	r.src, r.buf, r.size = nil, b, int64(len(b))
	r.pos, r.end, r.base, r.crc, r.summed = 0, len(b), 0, 0, 0
	r.doing, r.key = doingStart, nil
}

// offset returns the number of bytes read.
func (r *reader) offset() int64 { return r.base + int64(r.pos) }

// sum returns the checksum of all bytes that were read.
func (r *reader) sum() uint64 {
	if r.checksum {
		r.crc = crc64(r.crc, r.buf[r.summed:r.pos])
	}
	r.summed = r.pos
	return r.crc
}

// fail ends the reading.
func (r *reader) fail(reason string) {
	e := &Error{Offset: r.offset(), Doing: r.doing, Reason: reason}
	if r.key != nil {
		e.Key, e.Type = append([]byte{}, r.key...), r.typ
	}
	panic(e)
}

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }

// caught is for defer: it turns the panic of fail into an error.
func caught(err *error) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		*err = e
	default:
		panic(e)
	}
}

const reasonShort = "Unexpected EOF reading RDB file"

// short ends the reading at the end of the source.
func (r *reader) short(cause error) {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	e := &Error{Offset: r.base + int64(r.end), Doing: r.doing, Reason: reasonShort, Cause: cause}
	if cause != nil && !errors.Is(cause, io.ErrUnexpectedEOF) {
		e.Reason = "Error reading the RDB: " + cause.Error()
	}
	if r.key != nil {
		e.Key, e.Type = append([]byte{}, r.key...), r.typ
	}
	panic(e)
}

// fill reads until n bytes are in the buffer, n at most its length.
func (r *reader) fill(n int) {
	if r.src == nil {
		r.short(io.ErrUnexpectedEOF)
	}
	r.sum()
	copy(r.buf, r.buf[r.pos:r.end])
	r.base += int64(r.pos)
	r.end -= r.pos
	r.pos, r.summed = 0, 0
	for idle := 0; r.end < n; {
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		switch {
		case r.end >= n:
		case err != nil:
			r.short(err)
		case m > 0:
			idle = 0
		default:
			if idle++; idle == 100 {
				r.short(io.ErrNoProgress)
			}
		}
	}
	if r.onFill != nil {
		r.onFill(r.base)
	}
}

// view returns the next n bytes, n at most the buffer's length. They are valid until the next piece is read.
func (r *reader) view(n int) []byte {
	if r.end-r.pos < n {
		r.fill(n)
	}
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) byte() byte {
	if r.pos == r.end {
		r.fill(1)
	}
	b := r.buf[r.pos]
	r.pos++
	return b
}

func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.view(8)) }

// viewable reports whether n bytes fit into a view.
func (r *reader) viewable(n uint64) bool {
	return n <= uint64(r.end-r.pos) || r.src != nil && n <= uint64(len(r.buf))
}

// own returns the next n bytes in memory of their own, with the capacity of its size class.
func (r *reader) own(n uint64) []byte {
	if r.viewable(n) {
		v := r.view(int(n))
		b := make([]byte, len(v), mem.Size(len(v)))
		copy(b, v)
		return b
	}
	if n > maxLength || r.src == nil || r.size >= 0 && n > uint64(max(r.size-r.offset(), 0)) {
		// The source is too short. Its own error would only be known after reading it to its end.
		r.short(io.ErrUnexpectedEOF)
	}
	room := uint64(firstGrowth)
	if r.size >= 0 || n < room {
		room = n
	}
	b := make([]byte, 0, mem.Size(int(room)))
	for uint64(len(b)) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), mem.Size(int(min(uint64(2*cap(b)), n))))
			copy(grown, b)
			b = grown
		}
		if r.pos == r.end {
			r.fill(1)
		}
		m := min(int(min(n, uint64(cap(b))))-len(b), r.end-r.pos)
		b = append(b, r.buf[r.pos:r.pos+m]...)
		r.pos += m
	}
	return b
}

// skip skips n bytes.
func (r *reader) skip(n uint64) {
	for n > 0 {
		if r.pos == r.end {
			r.fill(1)
		}
		m := min(n, uint64(r.end-r.pos))
		r.pos += int(m)
		n -= m
	}
}

// setKey sets the key of the value that is read next to a copy of b.
func (r *reader) setKey(b []byte) {
	if len(b) > cap(r.keyBuf) || r.keyBuf == nil {
		r.keyBuf = make([]byte, 0, max(2*len(b), 64))
	}
	r.keyBuf = append(r.keyBuf[:0], b...)
	r.key = r.keyBuf
}
