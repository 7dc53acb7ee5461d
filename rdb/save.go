package rdb

import (
	"io"
	"strconv"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/datatypes/serial"
)

// Options has the options for writing a file.
type Options struct {
	// Version is the one to write, from MinVersion to MaxVersion (rdb-version); 0 for the lowest that holds the data. If the
	// data needs a higher version than chosen so far, the header is changed through Patch.
	Version int
	// Patch, if not nil, overwrites bytes that were written, from offset on. Without it a header that was sent already cannot
	// be changed, and Save ends with a *VersionError. Lowest is the lowest version to choose, 0 for DefaultVersion.
	Patch  func(b []byte, offset int64) error
	Lowest int

	Compress bool // rdbcompression
	Checksum bool // rdbchecksum

	// Idle adds the idle time of each key as of Clock (keyspace.Keyspace.Clock), for LRU policies.
	Idle  bool
	Clock uint32
	// Freq, if not nil, adds the access frequency of each key, for LFU policies. It must not change meanwhile.
	Freq *keyspace.LFU

	RedisVersion string // AUX redis-ver
	Created      int64  // AUX ctime, Unix seconds
	UsedMemory   int64  // AUX used-mem
	AOFBase      bool   // AUX aof-base
	// History, if not nil, is the place in the stream of replication at which the snapshot was taken.
	History *History
	// Functions is the code of the function libraries.
	Functions [][]byte

	// OnProgress, if not nil, is called with the number of keys and bytes written, every 1024 keys and at the end. An error of it
	// ends the writing.
	OnProgress func(keys, bytes int64) error
	// Stop, if not nil, is called before each piece of about 128 KiB is written, and within long steps between. Its error
	// ends the writing.
	Stop func() error
	// OnKey, if not nil, is called after each key (rdb-key-save-delay).
	OnKey func()
}

// A History is a place in a replication stream: the AUX fields repl-stream-db, repl-id and repl-offset.
type History struct {
	DB     int    // the selected database of the stream there
	ID     string // of the stream
	Offset int64
}

// progressKeys is the number of keys between two calls of OnProgress.
const progressKeys = 1024

const headerSize = 9

// Save writes the snapshot to dst, in pieces of about 128 KiB. It may run in any goroutine. It walks the snapshot and does
// not release it. The error is that of dst, of OnProgress, of Stop, of Patch, or a *VersionError.
func Save(dst io.Writer, snap *keyspace.Snapshot, o *Options) error {
	w := &writer{dst: dst, buf: make([]byte, 0, bufferSize), checksum: o.Checksum, compress: o.Compress}
	w.stopWith(o.Stop)
	if w.version, w.fixed = o.Version, o.Version != 0; !w.fixed {
		w.version = max(DefaultVersion, o.Lowest)
	}
	w.headed = w.version
	w.raw(headerOf(w.version))
	w.auxFields(o)
	if len(o.Functions) > 0 && w.need(serial.Listpacks, "a function library") {
		for _, code := range o.Functions {
			w.byte(opFunction2)
			w.text(code)
		}
	}

	counts := snap.Counts()
	db, keys := -1, int64(0)
	var stopped error
	snap.Walk(func(id int, r *record.Record) bool {
		if id != db {
			db = id
			for counts[0].DB != id {
				counts = counts[1:]
			}
			w.byte(opSelectDB)
			w.length(uint64(id))
			w.byte(opResizeDB)
			w.length(uint64(counts[0].Keys))
			w.length(uint64(counts[0].Expires))
		}
		w.entry(r, o)
		keys++
		if o.OnKey != nil {
			o.OnKey()
		}
		if keys%progressKeys == 0 && o.OnProgress != nil {
			stopped = o.OnProgress(keys, w.offset())
		}
		return stopped == nil && w.err == nil && w.patchable(o)
	})
	if w.err == nil {
		w.err = stopped
	}
	if w.err == nil {
		w.finish(o)
	}
	if w.err == nil && o.OnProgress != nil {
		w.err = o.OnProgress(keys, w.offset())
	}
	return w.err
}

// VersionFor returns the RDB version for a payload whose header cannot be changed later. It is the lowest version that can
// hold the data, as far as this is known without a walk over all keys: values that need serial.SetListpacks are not found.
func VersionFor(ks *keyspace.Keyspace) int {
	for _, db := range ks.DBs() {
		if db.FieldExpires() > 0 {
			return serial.FieldDeadlines
		}
	}
	return DefaultVersion
}

func headerOf(version int) []byte {
	digits := strconv.Itoa(10000 + version)
	return append([]byte("REDIS"), digits[1:]...)
}

// patchable reports whether the header can have the present version, and sets the error if not.
func (w *writer) patchable(o *Options) bool {
	if w.version > w.headed && o.Patch == nil {
		w.err = &VersionError{Have: w.headed, Need: w.version, What: "what the snapshot holds"}
		return false
	}
	return true
}

// finish writes the end, and the header again if the version was raised after the header was sent.
func (w *writer) finish(o *Options) {
	w.byte(opEOF)
	w.flush() // so that the checksum is of all before it
	if w.version > w.headed && w.err == nil {
		was, is := headerOf(w.headed), headerOf(w.version)
		w.err = o.Patch(is, 0)
		// The checksum is linear: it changes by the checksum of the difference of the headers, followed by zeros.
		for i := range was {
			was[i] ^= is[i]
		}
		w.crc ^= crcShift(crc64(0, was), w.written-headerSize)
	}
	crc := w.crc
	if w.checksum = false; !o.Checksum {
		crc = 0
	}
	w.uint64(crc)
	w.flush()
}

// auxFields writes the AUX fields in Redis's order.
func (w *writer) auxFields(o *Options) {
	w.aux("redis-ver", o.RedisVersion)
	w.auxInt("redis-bits", 64)
	w.auxInt("ctime", o.Created)
	w.auxInt("used-mem", o.UsedMemory)
	if h := o.History; h != nil {
		w.auxInt("repl-stream-db", int64(h.DB))
		w.aux("repl-id", h.ID)
		w.auxInt("repl-offset", h.Offset)
	}
	base := int64(0)
	if o.AOFBase {
		base = 1
	}
	w.auxInt("aof-base", base)
}

func (w *writer) aux(key, value string) {
	w.byte(opAux)
	w.string(key)
	w.string(value)
}

func (w *writer) auxInt(key string, n int64) {
	w.byte(opAux)
	w.string(key)
	w.int(n)
}
