package rdb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
)

// Check reads the file at path to its end, like redis-check-rdb, and writes the lines of that tool to w. It decodes every
// value, with the checks of sanitize-dump-payload, and drops it. It skips values of modules. It reports whether the file is
// valid. watch, if not nil, returns the reader that the file, of size bytes (-1 if unknown), is read through.
func Check(w io.Writer, path string, watch func(r io.Reader, size int64) io.Reader) bool {
	c := &checker{w: w}
	c.info(0, "Checking RDB file %s", path)
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintf(w, "Cannot open the RDB file: %v\n", err)
		return false
	}
	defer f.Close()
	size := int64(-1)
	if s, err := f.Stat(); err == nil && s.Mode().IsRegular() {
		size = s.Size()
	}
	var src io.Reader = f
	if watch != nil {
		src = watch(f, size)
	}
	_, ok := c.check(src, size)
	return ok
}

// CheckReader is Check for an RDB of size bytes (-1 if not known) in a source that may have more bytes behind it, such as an
// append-only file with a preamble. rest reads these bytes.
func CheckReader(w io.Writer, src io.Reader, size int64) (rest io.Reader, ok bool) {
	c := &checker{w: w}
	return c.check(src, size)
}

// checker is the visitor of Check. It counts keys and deadlines.
type checker struct {
	w   io.Writer
	d   *decoder
	now int64 // Unix ms

	keys, expires, expired, subexpires int
}

func (c *checker) info(offset int64, format string, args ...any) {
	fmt.Fprintf(c.w, "[offset %d] %s\n", offset, fmt.Sprintf(format, args...))
}

func (c *checker) totals() {
	fmt.Fprintf(c.w, "[info] %d keys read\n", c.keys)
	fmt.Fprintf(c.w, "[info] %d expires\n", c.expires)
	fmt.Fprintf(c.w, "[info] %d already expired\n", c.expired)
	fmt.Fprintf(c.w, "[info] %d subexpires\n", c.subexpires)
}

func (c *checker) check(src io.Reader, size int64) (rest io.Reader, ok bool) {
	// The limits do not matter, since values are dropped. Without limits for sorted sets none becomes a listpack, so no Text
	// for scores is needed.
	gen := new(cow.Generation)
	d := &decoder{file: true, gen: gen, rules: &Rules{
		Hash: hash.Rules{Entries: 128, Value: 64},
		Set:  set.Rules{Ints: 512, Entries: 128, Value: 64},
		List: list.Rules{Set: quicklist.NewSettings(gen), Fill: -2},
	}}
	d.start(src, size)
	d.checksum = true
	c.d, c.now = d, time.Now().UnixMilli()
	if err := c.items(); err != nil {
		fmt.Fprintln(c.w, "--- RDB ERROR DETECTED ---")
		c.info(err.Offset, "%s", err.Reason)
		fmt.Fprintf(c.w, "[additional info] While doing: %s\n", err.Doing)
		if err.Key != nil {
			fmt.Fprintf(c.w, "[additional info] Reading key '%s'\n", err.Key)
			fmt.Fprintf(c.w, "[additional info] Reading type %d (%s)\n", err.Type, err.Type)
		}
		c.totals()
		return nil, false
	}
	c.info(d.offset(), `\o/ RDB looks OK! \o/`)
	c.totals()
	return d.rest(src), true
}

// items reads the file and returns its error, if any.
func (c *checker) items() (failure *Error) {
	var err error
	defer func() {
		if err != nil {
			errors.As(err, &failure)
		}
	}()
	defer caught(&err)
	c.d.items(c)
	return nil
}

func (c *checker) version(int, bool) {}

func (c *checker) selectDB(n uint64) { c.info(c.d.offset(), "Selecting DB ID %d", n) }

func (c *checker) sizes(uint64) {}

func (c *checker) aux(key, value string) { c.info(c.d.offset(), "AUX FIELD %s = '%s'", key, value) }

func (c *checker) library([]byte) {}

func (c *checker) module(name string) { c.info(c.d.offset(), "MODULE AUX for: %s", name) }

func (c *checker) entry(t Type, a *attributes) {
	c.keys++
	if t == typeModule2 {
		c.d.length()
		c.d.moduleValue()
	} else if r := c.d.value(t, record.NoExpiry, 0); r != nil && r.Type() == record.Hash {
		keyspace.ValueOf(r).(*hash.Hash).EachField(func(_, _ hash.Value, when int64) bool {
			if when != record.NoExpiry {
				c.subexpires++
			}
			return true
		})
	}
	if c.d.oddity != "" {
		c.info(c.d.offset(), "Key '%s' is odd: %s", c.d.key, c.d.oddity)
	}
	if a.expiry != record.NoExpiry {
		c.expires++
		if a.expiry < c.now {
			c.expired++
		}
	}
}

func (c *checker) end(version int) {
	switch got, want, has := c.d.footer(version); {
	case !has:
	case got == 0:
		c.info(c.d.offset(), "RDB file was saved with checksum disabled: no check performed.")
	case got == want:
		c.info(c.d.offset(), "Checksum OK")
	default:
		c.d.fail("RDB CRC error")
	}
}
