package aof

// A base file without RDB (aof-use-rdb-preamble no) is a list of the commands that make the data: for each database a
// SELECT, for each key the command of its type with at most 64 elements at a time, and PEXPIREAT where it has a deadline.
// Redis writes and reads the same.
//
// WriteSnapshot walks the snapshot, and each value writes itself to Commands (keyspace.Value, WriteCommands).

import (
	"errors"
	"io"
	"math"
	"strconv"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/rdb"
)

// itemsPerCommand is how many elements one command makes.
const itemsPerCommand = 64

const commandsBuffer = 128 << 10

// Commands writes commands; it is a serial.Commands. Errors are sticky: Flush returns the first.
type Commands struct {
	w   io.Writer
	buf []byte
	n   int64 // bytes written to w
	err error

	// The command being continued.
	verb     string
	key      []byte
	left     int // elements still to come
	width    int // arguments an element
	argsLeft int // arguments before the next command begins
}

// NewCommands makes a writer. stamp, if not 0, is the Unix second of the annotation that it begins with
// (aof-timestamp-enabled).
func NewCommands(w io.Writer, stamp int64) *Commands {
	c := &Commands{w: w, buf: make([]byte, 0, commandsBuffer+4096)}
	if stamp != 0 {
		c.buf = appendStamp(c.buf, stamp)
	}
	return c
}

// spill writes the buffer when it is full.
func (c *Commands) spill() {
	if len(c.buf) >= commandsBuffer {
		c.flush()
	}
}

func (c *Commands) flush() {
	if c.err == nil && len(c.buf) > 0 {
		var n int
		n, c.err = c.w.Write(c.buf)
		c.n += int64(n)
	}
	c.buf = c.buf[:0]
}

// Flush writes what is left and returns the first error of the writer.
func (c *Commands) Flush() error {
	c.flush()
	return c.err
}

// Err returns the first error of the writer so far, so that a walk can end early.
func (c *Commands) Err() error { return c.err }

// Select begins a database.
func (c *Commands) Select(db int) { c.buf = appendSelect(c.buf, db) }

// Begin begins a command of argc words, the verb among them; Word must follow argc-1 times.
func (c *Commands) Begin(argc int, verb string) {
	c.buf = appendBulkString(appendHead(c.buf, '*', argc), verb)
}

// Word continues what Begin began.
func (c *Commands) Word(s []byte) {
	if len(s) < commandsBuffer {
		c.buf = appendBulk(c.buf, s)
		c.spill()
		return
	}
	c.buf = appendHead(c.buf, '$', len(s))
	c.flush()
	if c.err == nil {
		_, c.err = c.w.Write(s)
	}
	c.buf = append(c.buf, '\r', '\n')
}

// WordString is Word for a string.
func (c *Commands) WordString(s string) { c.buf = appendBulkString(c.buf, s) }

// WordInt is Word for a number.
func (c *Commands) WordInt(n int64) {
	var digits [20]byte
	c.buf = appendBulk(c.buf, strconv.AppendInt(digits[:0], n, 10))
}

// WordElement is Word for an element of a collection.
func (c *Commands) WordElement(v listpack.Value) {
	if v.Str != nil {
		c.Word(v.Str)
		return
	}
	c.WordInt(v.Int)
	c.spill()
}

// String writes a string key.
func (c *Commands) String(key, value []byte) {
	c.Begin(3, "SET")
	c.Word(key)
	c.Word(value)
}

// ExpireAt gives the key a deadline in Unix ms.
func (c *Commands) ExpireAt(key []byte, ms int64) {
	c.Begin(3, "PEXPIREAT")
	c.Word(key)
	c.WordInt(ms)
}

// Elements begins as many commands as it takes to give a key n elements of width arguments each: Arg and ArgFloat follow for
// each.
func (c *Commands) Elements(verb string, key []byte, n, width int) {
	c.verb, c.key, c.left, c.width, c.argsLeft = verb, key, n, width, 0
}

// Arg writes an argument of what Elements began.
func (c *Commands) Arg(v listpack.Value) {
	c.next()
	c.WordElement(v)
}

// ArgFloat is Arg for a score: the fewest digits that read back the same.
func (c *Commands) ArgFloat(f float64) {
	c.next()
	var text [32]byte
	b := text[:0]
	switch {
	case math.IsInf(f, 1):
		b = append(b, "inf"...)
	case math.IsInf(f, -1):
		b = append(b, "-inf"...)
	default:
		b = strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	c.buf = appendBulk(c.buf, b)
}

// next begins a new command where one is needed.
func (c *Commands) next() {
	if c.argsLeft == 0 {
		n := min(c.left, itemsPerCommand)
		c.left -= n
		c.argsLeft = n * c.width
		c.Begin(2+c.argsLeft, c.verb)
		c.Word(c.key)
	}
	c.argsLeft--
}

// WriteSnapshot writes a snapshot as the commands that make it. Of o it heeds Functions, OnKey, and of values that no
// commands make, which go as RESTORE, Version, Compress and Stop.
func WriteSnapshot(c *Commands, snap *keyspace.Snapshot, o *rdb.Options) (err error) {
	db, keys := -1, int64(0)
	dumper := rdb.Dumper{Stop: o.Stop}
	for _, code := range o.Functions {
		c.Begin(3, "FUNCTION")
		c.WordString("LOAD")
		c.Word(code)
	}
	snap.Walk(func(id int, r *record.Record) bool {
		if id != db {
			c.Select(id)
			db = id
		}
		key := r.Key()
		if r.Type() == record.String {
			var number [20]byte
			c.String(key, r.String(number[:0]))
		} else if !keyspace.ValueOf(r).WriteCommands(c, key) {
			err = c.restore(&dumper, r, o)
		}
		if err != nil {
			return false
		}
		if when := r.Expiry(); when != record.NoExpiry {
			c.ExpireAt(key, when)
		}
		if o.OnKey != nil {
			o.OnKey()
		}
		err = c.Err()
		if keys++; keys%progressCommands == 0 && o.OnProgress != nil && err == nil {
			err = o.OnProgress(keys, c.n+int64(len(c.buf)))
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return c.Flush()
}

// restore writes a value as DUMP gives it: in the version of o, or in the lowest that holds it if that one does not.
func (c *Commands) restore(d *rdb.Dumper, r *record.Record, o *rdb.Options) error {
	payload, err := d.Dump(nil, r, o.Version, o.Compress)
	if version := (*rdb.VersionError)(nil); errors.As(err, &version) {
		payload, err = d.Dump(nil, r, 0, o.Compress)
	}
	if err != nil {
		return err
	}
	c.Begin(4, "RESTORE")
	c.Word(r.Key())
	c.WordInt(0)
	c.Word(payload)
	return nil
}
