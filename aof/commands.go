package aof

// A base file without RDB (aof-use-rdb-preamble no) is a list of the commands that make the data: for each database a
// SELECT, for each key the command of its type with at most 64 elements at a time, and PEXPIREAT where it has a deadline.
// Redis writes and reads the same.
//
// Commands writes that. Whoever walks the snapshot calls it: Key of a type with the number of elements, then Arg for each
// element; where a new command has to begin, Arg begins it.

import (
	"io"
	"math"
	"strconv"
)

// itemsPerCommand is how many elements one command makes.
const itemsPerCommand = 64

const commandsBuffer = 128 << 10

// Commands writes commands. Errors are sticky: Flush returns the first.
type Commands struct {
	w   io.Writer
	buf []byte
	err error

	// The command being continued.
	verb  string
	key   []byte
	left  int // elements still to come
	width int // arguments an element
	room  int // arguments before the next command begins
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
		_, c.err = c.w.Write(c.buf)
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

// String writes a string key.
func (c *Commands) String(key, value []byte) {
	c.Begin(3, "SET")
	c.Word(key)
	c.Word(value)
}

// List begins a list key of n elements: Arg follows for each.
func (c *Commands) List(key []byte, n int) { c.elements("RPUSH", key, n, 1) }

// Set begins a set key of n members: Arg follows for each.
func (c *Commands) Set(key []byte, n int) { c.elements("SADD", key, n, 1) }

// ZSet begins a sorted-set key of n members: ArgFloat and Arg follow for each.
func (c *Commands) ZSet(key []byte, n int) { c.elements("ZADD", key, n, 2) }

// Hash begins a hash key of n fields: Arg follows for each, twice.
func (c *Commands) Hash(key []byte, n int) { c.elements("HMSET", key, n, 2) }

// ExpireAt gives the key a deadline in Unix ms.
func (c *Commands) ExpireAt(key []byte, ms int64) {
	c.Begin(3, "PEXPIREAT")
	c.Word(key)
	c.WordInt(ms)
}

func (c *Commands) elements(verb string, key []byte, n, width int) {
	c.verb, c.key, c.left, c.width, c.room = verb, key, n, width, 0
}

// Arg writes an element, or a part of it.
func (c *Commands) Arg(s []byte) {
	c.next()
	c.Word(s)
}

// ArgInt is Arg for a number.
func (c *Commands) ArgInt(n int64) {
	c.next()
	c.WordInt(n)
	c.spill()
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
	if c.room == 0 {
		n := min(c.left, itemsPerCommand)
		c.left -= n
		c.room = n * c.width
		c.Begin(2+c.room, c.verb)
		c.Word(c.key)
	}
	c.room--
}
