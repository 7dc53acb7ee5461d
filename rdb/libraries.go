package rdb

import (
	"encoding/binary"
	"errors"
)

// DumpLibraries returns the payload of FUNCTION DUMP: the libraries as in a file, two bytes of version and the checksum of
// all bytes before, little endian.
func DumpLibraries(codes [][]byte) []byte {
	w := writer{version: MaxVersion}
	for _, code := range codes {
		w.byte(opFunction2)
		w.text(code)
	}
	buf := binary.LittleEndian.AppendUint16(w.buf, DefaultVersion)
	return binary.LittleEndian.AppendUint64(buf, crc64(0, buf))
}

// ReadLibraries calls load with the code of each library of a payload that VerifyPayload has accepted, until load returns an
// error. The errors are texts of replies.
func ReadLibraries(payload []byte, load func(code []byte) error) (err error) {
	d := &decoder{}
	end := len(payload) - footerSize
	if end < 0 {
		return ErrPayload
	}
	d.startBytes(payload[:end])
	d.doing = doingFunctions
	var damaged error
	func() {
		defer caught(&damaged)
		for err == nil && d.offset() < int64(end) {
			switch d.byte() {
			case opFunction2:
				err = load(d.blob())
			case opFunction:
				err = errors.New("Pre-GA function format not supported")
			default:
				err = errors.New("given type is not a function")
			}
		}
	}()
	if err == nil && damaged != nil {
		//lint:ignore ST1005 the text of Redis
		err = errors.New("Failed loading library payload")
	}
	return err
}
