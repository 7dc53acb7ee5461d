// Package rdb reads and writes Redis's RDB format: dump files, the payloads of DUMP and RESTORE, and the dumps of full
// resynchronisations.
//
// # The format
//
// A file is a header ("REDIS" and four digits of version, or "VALKEY" and three), a sequence of items, each begun by one
// byte that is an opcode or the type of a value, and, from version 5 on, the checksum of all before (crc64.go). Lengths
// are 6, 14, 32 or 64 bits, the upper two bits of the first byte say which; the fourth value of these bits marks a string
// stored as an integer or compressed (package lzf). A key is its deadline and its idle time or frequency, if any, then the
// type, the key and the value. The sources of the facts here are Redis 1.0 to 7.4 and Valkey 9 (src/rdb.h, src/rdb.c) and the
// documentation of the format.
//
// # Reading
//
// All versions from 1 to 12 and VALKEY080 are read, with every encoding that they had: reader.go is the buffered source,
// text.go lengths and strings, values.go and the files beside it decode values, items.go reads the items of a file, load.go
// loads them into a keyspace, check.go only checks them, payload.go reads payloads of DUMP. The bytes may be anything:
// invalid ones are an error with offset and reason, and the reader never allocates for a length before the bytes have
// arrived. Values are decoded directly into their structures: small ones within the configured limits keep their bytes
// unchanged.
//
// # Odd values, and how they are loaded
//
// One odd value must not make a whole file useless. So a value that Redis loads is loaded here, too, but corrected, and its
// key is reported (Loader.OnRepair):
//
//	what                                                   sanitize-dump-payload no, clients   yes
//	a stream is said to have more or fewer entries         the entries are counted             the same
//	than its nodes, of which there is one at least
//	a field twice in a hash of type 4 or 16                the first value is kept             refused
//	a member twice in a set of type 20 (listpack)          it is kept once                     refused
//	a member twice in a sorted set of type 17 (listpack)   the first score is kept             refused
//	an intset whose members do not ascend                  they are put in order               refused
//	pending entries of a group that no consumer has        they are dropped                    refused
//	members of a packed sorted set not by score            they are put in order               the same
//	a collection without elements                          the key is left out                 the same
//
// Values that Redis always refuses are refused (elements twice in the other types, a key twice, bytes that are no listpack,
// ziplist or zipmap, scores that are no numbers, impossible deadlines of fields). So are values that Redis accepts without a
// check and may crash on later: listpacks with inconsistent elements, nodes of streams with inconsistent entries. The payload
// of a RESTORE, which its client can make again, is refused in all of these cases but the last two of the table, whatever the
// setting. The check of a file (Check) uses the setting yes, as redis-check-rdb does.
//
// Within the reader an error is a panic with *Error, which the exported functions recover; foreign bytes cause no other
// panics, which the fuzz targets test.
//
// # Writing
//
// save.go writes the items of a snapshot, file.go the file of them, write.go lengths and strings, dump.go keys; values write
// themselves (package serial). The version written is the lowest, from 10 (Redis 7.0) on, that holds the data without loss,
// so that as many servers as possible can read it; or the requested one. See Options.
//
// Writing only reads the values. It may run in another goroutine than the owner of the data, which does not change values
// that a snapshot can reach (package cow). A Loader belongs to the goroutine that owns its keyspace.
package rdb

import (
	"fmt"

	"ferrous/datatypes/serial"
)

// Versions.
const (
	MinVersion     = 9  // the lowest that is written (Redis 5)
	DefaultVersion = 10 // the lowest that is written unless requested (Redis 7.0)
	MaxVersion     = 12 // the highest of Redis that is read and written (Redis 7.4)
	valkeyVersion  = 80 // the one of Valkey 9 that is read
)

// Type is the type of a value in the format.
type Type uint8

// The types.
const (
	typeString         Type = 0
	typeList           Type = Type(serial.List)  // elements
	typeSet            Type = Type(serial.Set)   // elements
	typeZSet           Type = 3                  // elements, scores as text
	typeHash           Type = Type(serial.Hash)  // elements
	typeZSet2          Type = Type(serial.ZSet2) // elements, scores as eight bytes
	typeModulePreGA    Type = 6
	typeModule2        Type = 7
	typeHashZipmap     Type = 9
	typeListZiplist    Type = 10
	typeSetIntset      Type = Type(serial.SetIntset)
	typeZSetZiplist    Type = 12
	typeHashZiplist    Type = 13
	typeQuicklist      Type = 14 // ziplists
	typeStream         Type = Type(serial.Stream)
	typeHashListpack   Type = Type(serial.HashListpack)
	typeZSetListpack   Type = Type(serial.ZSetListpack)
	typeQuicklist2     Type = Type(serial.Quicklist2) // listpacks and plain elements
	typeStream2        Type = Type(serial.Stream2)    // with what XINFO STREAM of 7.0 shows
	typeSetListpack    Type = Type(serial.SetListpack)
	typeStream3        Type = Type(serial.Stream3)        // with the active time of consumers
	typeHashTTLPreGA   Type = 22                          // elements with deadlines; of Valkey a type of its own, see hashes.go
	typeHashPackPreGA  Type = 23                          // listpack of fields, values and deadlines
	typeHashTTL        Type = Type(serial.HashTTL)        // typeHashTTLPreGA with the earliest deadline in front
	typeHashListpackEx Type = Type(serial.HashListpackEx) // typeHashPackPreGA with the earliest deadline in front
)

var typeNames = [...]string{
	typeString:         "string",
	typeList:           "list-linked",
	typeSet:            "set-hashtable",
	typeZSet:           "zset-v1",
	typeHash:           "hash-hashtable",
	typeZSet2:          "zset-v2",
	typeModulePreGA:    "module-pre-release",
	typeModule2:        "module-value",
	8:                  "unknown",
	typeHashZipmap:     "hash-zipmap",
	typeListZiplist:    "list-ziplist",
	typeSetIntset:      "set-intset",
	typeZSetZiplist:    "zset-ziplist",
	typeHashZiplist:    "hash-ziplist",
	typeQuicklist:      "quicklist",
	typeStream:         "stream",
	typeHashListpack:   "hash-listpack",
	typeZSetListpack:   "zset-listpack",
	typeQuicklist2:     "quicklist-v2",
	typeStream2:        "stream-v2",
	typeSetListpack:    "set-listpack",
	typeStream3:        "stream-v3",
	typeHashTTLPreGA:   "hash-hashtable-md-pre-release",
	typeHashPackPreGA:  "hash-listpack-md-pre-release",
	typeHashTTL:        "hash-hashtable-md",
	typeHashListpackEx: "hash-listpack-md",
}

// String returns the name that redis-check-rdb gives the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// known reports whether t is a type of values rather than an opcode or nothing. Of the types that Redis added after 7.2,
// Valkey has only the first.
func (d *decoder) known(t Type) bool {
	return int(t) < len(typeNames) && t != 8 && !(d.valkey && t > typeHashTTLPreGA)
}

// The opcodes of items that are not values.
const (
	opSlotImport  = 243 // Valkey: a slot migration that was under way
	opSlotInfo    = 244
	opFunction2   = 245
	opFunction    = 246 // of release candidates
	opModuleAux   = 247
	opIdle        = 248
	opFreq        = 249
	opAux         = 250
	opResizeDB    = 251
	opExpireMs    = 252
	opExpire      = 253
	opSelectDB    = 254
	opEOF         = 255
	moduleEOF     = 0
	moduleSigned  = 1
	moduleUint    = 2
	moduleFloat   = 3
	moduleDouble  = 4
	moduleString  = 5
	lengthEncoded = 3 // upper two bits of a length
	length32      = 0x80
	length64      = 0x81
	encodedInt8   = 0
	encodedInt16  = 1
	encodedInt32  = 2
	encodedLZF    = 3
)

// maxFieldDeadline is the greatest deadline of a hash field, in milliseconds, as in Redis.
const maxFieldDeadline = 1<<48 - 2

// noFieldDeadline is Redis's value for "no deadline" of a field.
const noFieldDeadline = 1 << 48

// Error is an error of the bytes that were read, or of their source.
type Error struct {
	Offset int64  // of the first byte that was not read yet
	Doing  string // what was being read, in redis-check-rdb's words
	Key    []byte // the key whose value was being read, nil if none was
	Type   Type   // of that value
	Reason string
	Cause  error // of the source, nil if it is the bytes that are wrong
}

// Error returns the text of the error.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s at offset %d while doing %s", e.Reason, e.Offset, e.Doing)
	if e.Key != nil {
		s += fmt.Sprintf(", key %q of type %d (%s)", e.Key, e.Type, e.Type)
	}
	return s
}

// Unwrap returns the source's error.
func (e *Error) Unwrap() error { return e.Cause }
