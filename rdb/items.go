package rdb

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"strings"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// maxIdle is the longest idle time in seconds that an access clock can hold.
const maxIdle = record.ClockMask / keyspace.ClocksPerSecond

// Reading the items of a file. There are two visitors: loadRun, which loads into a keyspace, and checker, which only checks.

// A visitor receives the items of a file in their order.
type visitor interface {
	version(n int, valkey bool)
	selectDB(n uint64)
	sizes(keys uint64) // number of keys that the file claims for the database
	aux(key, value string)
	library(code []byte) // of functions
	module(name string)  // the file has AUX data of this module, which are skipped
	// entry reads the value of the key that was set.
	entry(t Type, a *attributes)
	// end reads what follows the items, with footer.
	end(version int)
}

// attributes are the opcodes about a key that precede it in the file.
type attributes struct {
	expiry int64
	idle   int64 // seconds, -1 if unknown
	freq   int   // -1 if unknown
}

var noAttributes = attributes{expiry: record.NoExpiry, idle: -1, freq: -1}

// items reads a file.
func (d *decoder) items(v visitor) {
	version, valkey := d.header()
	v.version(version, valkey)
	a := noAttributes
	for {
		d.doing = doingType
		switch op := d.byte(); op {
		case opExpire:
			d.doing = doingExpire
			a.expiry = int64(int32(binary.LittleEndian.Uint32(d.view(4)))) * 1000
		case opExpireMs:
			d.doing = doingExpire
			a.expiry = int64(d.uint64())
		case opFreq:
			a.freq = int(d.byte())
		case opIdle:
			a.idle = int64(min(d.length(), maxIdle))
		case opSelectDB:
			d.doing = doingLength
			v.selectDB(d.length())
		case opResizeDB:
			d.doing = doingLength
			keys := d.length()
			d.length()
			v.sizes(keys)
		case opSlotInfo:
			d.doing = doingLength
			d.length()
			d.length()
			d.length()
		case opAux:
			d.doing = doingAux
			key := string(d.string())
			v.aux(key, string(d.string()))
		case opFunction2:
			d.doing = doingFunctions
			v.library(d.blob())
		case opModuleAux:
			d.doing = doingModuleAux
			name := moduleName(d.length())
			if d.length() != moduleUint {
				d.fail("bad when_opcode")
			}
			d.length()
			v.module(name)
			d.moduleValue()
		case opFunction:
			d.doing = doingFunctions
			d.fail("Pre-release function format not supported.")
		case opSlotImport:
			d.fail("The RDB file holds the state of a slot migration, which is of no use here")
		case opEOF:
			v.end(version)
			return
		default:
			d.doing = doingKey
			t := Type(op)
			if !d.known(t) {
				d.failf("Unknown RDB encoding type %d", t)
			}
			d.typ = t
			d.setKey(d.string())
			d.doing = doingValue
			v.entry(t, &a)
			d.key = nil
			a = noAttributes
		}
	}
}

// header reads magic and version.
func (d *decoder) header() (version int, valkey bool) {
	version, valkey, problem := parseHead(string(d.view(headerSize)))
	if problem != "" {
		d.fail(problem)
	}
	d.valkey = valkey
	return version, valkey
}

// Loadable returns the reason why a file that begins with these nine bytes cannot be loaded, "" if they are valid.
func Loadable(head []byte) string {
	_, _, problem := parseHead(string(head))
	return problem
}

// parseHead reads magic and version; problem is "" if they are valid.
func parseHead(magic string) (version int, valkey bool, problem string) {
	digits, valkey := strings.CutPrefix(magic, "VALKEY")
	if !valkey {
		var redis bool
		if digits, redis = strings.CutPrefix(magic, "REDIS"); !redis {
			return 0, false, "Wrong signature trying to load DB from file"
		}
	}
	version, err := strconv.Atoi(digits)
	if err != nil || valkey != (version == valkeyVersion) || !valkey && (version < 1 || version > MaxVersion) {
		return 0, false, "Can't handle RDB format version " + digits
	}
	return version, valkey, ""
}

// footer reads the checksum behind the items, which versions before 5 do not have.
func (d *decoder) footer(version int) (got, want uint64, has bool) {
	if version < 5 {
		return 0, 0, false
	}
	d.doing = doingChecksum
	want = d.sum()
	d.checksum = false
	return d.uint64(), want, true
}

// rest returns the rest of the source.
func (d *decoder) rest(src io.Reader) io.Reader {
	return io.MultiReader(bytes.NewReader(bytes.Clone(d.buf[d.pos:d.end])), src)
}
