package rdb

import (
	"encoding/binary"
	"errors"
	"io"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
)

// The payloads of DUMP and RESTORE: type and value as in a file, two bytes of version and the checksum of all bytes before,
// little endian.

const footerSize = 2 + 8

// Dumper makes payloads. The zero value is ready to use; the first compression allocates 64 KiB. It belongs to one goroutine.
type Dumper struct {
	// Stop, if not nil, is called about every 128 KiB. Its error ends Dump.
	Stop func() error

	w writer
}

// Dump appends the payload of r to dst. version is the one to write, from MinVersion to MaxVersion, or 0 for the lowest
// that holds the value. The error is that of Stop, or a *VersionError.
func (d *Dumper) Dump(dst []byte, r *record.Record, version int, compress bool) ([]byte, error) {
	w := &d.w
	w.buf, w.err, w.compress = dst, nil, compress
	w.stopWith(d.Stop)
	w.looked = w.offset()
	if w.fixed = version != 0; !w.fixed {
		version = DefaultVersion
	}
	w.version = version
	start := len(dst)
	w.typeAndValue(r)
	buf := w.buf
	w.buf = nil
	if w.err != nil {
		return dst, w.err
	}
	buf = binary.LittleEndian.AppendUint16(buf, uint16(w.version))
	return binary.LittleEndian.AppendUint64(buf, crc64(0, buf[start:])), nil
}

// SerializedLength returns the bytes that the value of r takes in a file of the highest version, without its type and not
// compressed. As in Redis the earliest deadline of a hash's fields is not counted.
func SerializedLength(r *record.Record) int {
	w := writer{dst: io.Discard, buf: make([]byte, 0, bufferSize), version: MaxVersion, fixed: true}
	w.typeAndValue(r)
	n := int(w.offset()) - 1
	if w.began == typeHashTTL || w.began == typeHashListpackEx {
		n -= 8
	}
	return n
}

// ErrPayload is the error of VerifyPayload, with Redis's text.
var ErrPayload = errors.New("DUMP payload version or checksum are wrong")

// ErrEmpty is the error for a collection without elements, which is not a value.
var ErrEmpty = errors.New("a collection without elements")

// VerifyPayload checks version and, if checksum says so, checksum of a payload.
func VerifyPayload(payload []byte, checksum bool) error {
	if len(payload) < footerSize {
		return ErrPayload
	}
	end := len(payload) - 8
	version := int(binary.LittleEndian.Uint16(payload[end-2:]))
	if version > MaxVersion && version != valkeyVersion {
		return ErrPayload
	}
	if checksum && binary.LittleEndian.Uint64(payload[end:]) != crc64(0, payload[:end]) {
		return ErrPayload
	}
	return nil
}

// Restore returns the record of a payload that VerifyPayload has accepted, under key. The error is an *Error, or ErrEmpty.
func Restore(payload, key []byte, expiry int64, clock uint32, rules *Rules, gen *cow.Generation) (r *record.Record, err error) {
	d := &decoder{rules: rules, gen: gen}
	end := len(payload) - footerSize
	if end < 0 {
		return nil, ErrPayload
	}
	d.startBytes(payload[:end])
	d.valkey = binary.LittleEndian.Uint16(payload[end:]) == valkeyVersion
	d.setKey(key)
	d.doing = doingValue
	defer caught(&err)
	t := Type(d.byte())
	d.typ = t
	if !d.known(t) {
		d.failf("Unknown RDB encoding type %d", t)
	}
	if r = d.value(t, expiry, clock); r == nil {
		return nil, ErrEmpty
	}
	return r, nil
}
