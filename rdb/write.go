package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/lzf"
)

// A writer is a buffered sink. It computes the checksum of the written bytes, has the version that it writes, and raises it
// when a value needs a higher one (need).

const (
	minCompress  = 20 // longer strings are compressed
	compressGain = 4  // bytes that must be saved
	maxIntText   = 11 // longest text of an integer of 32 bits
	numberRoom   = 16 // bytes of the longest encoding of a length or an integer
)

type writer struct {
	dst      io.Writer // nil: all bytes stay in the buffer, which grows
	buf      []byte
	written  int64 // to dst
	checksum bool
	crc      uint64 // of the bytes written to dst
	err      error  // of dst, or of stop

	stop   func() error // nil for none
	looked int64        // offset of the last call of stop

	key   []byte // that begin writes, if keyed
	keyed bool
	began Type // of the last value

	compress bool
	version  int
	headed   int  // the version in the header
	fixed    bool // the version was requested
	lzf      lzf.Encoder
	packed   []byte // output of the LZF encoder
	digits   [20]byte
}

// VersionError is the error if data cannot be written in the requested version, or in the version of a header that was sent
// already.
type VersionError struct {
	Have, Need int
	What       string
}

// Error describes it.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s cannot be written in RDB version %d (version %d is needed)", e.What, e.Have, e.Need)
}

// need makes the version at least v. If that is not possible it sets the error, with the text what, and returns false.
func (w *writer) need(v int, what string) bool {
	if w.version >= v {
		return true
	}
	if w.fixed {
		if w.err == nil {
			w.err = &VersionError{Have: w.version, Need: v, What: what}
		}
		return false
	}
	w.version = v
	if w.dst != nil && w.written == 0 {
		copy(w.buf, headerOf(v)) // the header is still in the buffer
		w.headed = v
	}
	return true
}

// reserve makes room for n bytes in the buffer.
func (w *writer) reserve(n int) {
	if w.dst != nil && len(w.buf)+n > cap(w.buf) {
		w.flush()
	}
}

// stopWith sets stop, which may be nil, for the writer and its LZF encoder.
func (w *writer) stopWith(stop func() error) {
	w.stop = stop
	if w.lzf.Stop = nil; stop != nil {
		w.lzf.Stop = func() bool {
			w.ask()
			return w.err != nil
		}
	}
}

// ask calls stop.
func (w *writer) ask() {
	if w.looked = w.offset(); w.stop != nil && w.err == nil {
		w.err = w.stop()
	}
}

// flush writes the buffer to dst.
func (w *writer) flush() {
	if w.dst == nil || len(w.buf) == 0 {
		return
	}
	w.ask()
	if w.err == nil {
		if w.checksum {
			w.crc = crc64(w.crc, w.buf)
		}
		n, err := w.dst.Write(w.buf)
		if err == nil && n < len(w.buf) {
			err = io.ErrShortWrite
		}
		w.err = err
	}
	w.written += int64(len(w.buf))
	w.buf = w.buf[:0]
}

// offset returns the number of bytes written.
func (w *writer) offset() int64 { return w.written + int64(len(w.buf)) }

func (w *writer) byte(b byte) {
	w.reserve(1)
	w.buf = append(w.buf, b)
}

// raw writes bytes as they are.
func (w *writer) raw(b []byte) {
	for w.dst != nil && len(b) > cap(w.buf)-len(w.buf) {
		n := cap(w.buf) - len(w.buf)
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
		w.flush()
	}
	w.buf = append(w.buf, b...)
}

func (w *writer) uint64(n uint64) {
	w.reserve(8)
	w.buf = binary.LittleEndian.AppendUint64(w.buf, n)
}

func (w *writer) double(f float64) { w.uint64(math.Float64bits(f)) }

// length writes a length.
func (w *writer) length(n uint64) {
	w.reserve(numberRoom)
	switch {
	case n < 1<<6:
		w.buf = append(w.buf, byte(n))
	case n < 1<<14:
		w.buf = append(w.buf, byte(n>>8)|0x40, byte(n))
	case n <= math.MaxUint32:
		w.buf = binary.BigEndian.AppendUint32(append(w.buf, length32), uint32(n))
	default:
		w.buf = binary.BigEndian.AppendUint64(append(w.buf, length64), n)
	}
}

// int writes the text of an integer.
func (w *writer) int(n int64) {
	w.reserve(numberRoom + len(w.digits))
	switch {
	case n == int64(int8(n)):
		w.buf = append(w.buf, lengthEncoded<<6|encodedInt8, byte(n))
	case n == int64(int16(n)):
		w.buf = binary.LittleEndian.AppendUint16(append(w.buf, lengthEncoded<<6|encodedInt16), uint16(n))
	case n == int64(int32(n)):
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, lengthEncoded<<6|encodedInt32), uint32(n))
	default:
		digits := strconv.AppendInt(w.digits[:0], n, 10)
		w.buf = append(append(w.buf, byte(len(digits))), digits...)
	}
}

// text writes a string: as an integer if it is the text of one, else compressed if this is configured and saves bytes. After
// an error it does nothing.
func (w *writer) text(b []byte) {
	if w.offset()-w.looked >= bufferSize {
		w.ask()
	}
	if w.err != nil {
		return
	}
	if len(b) <= maxIntText {
		if n, ok := listpack.ParseInt(b); ok && n == int64(int32(n)) {
			w.int(n)
			return
		}
	} else if w.compress && len(b) > minCompress && w.compressed(b) {
		return
	}
	w.length(uint64(len(b)))
	w.raw(b)
}

// compressed writes a string compressed and reports whether that saved enough.
func (w *writer) compressed(b []byte) bool {
	out := len(b) - compressGain
	if cap(w.packed) < out {
		w.packed = make([]byte, out+out/4)
	}
	n := w.lzf.Compress(w.packed[:out], b)
	if n == 0 {
		return false
	}
	w.blobLZF(w.packed[:n], len(b))
	if cap(w.packed) > 16*bufferSize {
		w.packed = nil // do not keep a very large buffer
	}
	return true
}

// blobLZF writes a string that is compressed already.
func (w *writer) blobLZF(packed []byte, size int) {
	w.byte(lengthEncoded<<6 | encodedLZF)
	w.length(uint64(len(packed)))
	w.length(uint64(size))
	w.raw(packed)
}

// value writes an element of a packed collection as a string.
func (w *writer) value(v listpack.Value) {
	if v.Str != nil {
		w.text(v.Str)
	} else {
		w.int(v.Int)
	}
}

func (w *writer) string(s string) { w.text([]byte(s)) }
