package commands

import (
	"unsafe"

	"ferrous/commands/config"
	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// What the commands of collections share.

// errCountRange is the refusal of a count whose negative would overflow.
const (
	errCountRange = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	errRange      = "ERR value is out of range"
	errPositive   = "ERR value is out of range, must be positive"
)

// gen returns the generation that new values are stamped with.
func (c *Client) gen() *cow.Generation { return c.srv.ks.Generation() }

// readTyped is read for a command that wants a value of type t: it returns nil if there is none. If the key holds
// something else it has replied, and ok is false.
func (c *Client) readTyped(key []byte, t record.Type) (r *record.Record, ok bool) {
	r = c.read(key)
	return r, c.typed(r, t)
}

// writeTyped is write for a command that wants a value of type t; see readTyped.
func (c *Client) writeTyped(key []byte, t record.Type) (r *record.Record, ok bool) {
	r = c.write(key)
	return r, c.typed(r, t)
}

// readValue returns the value of type t at a key, whose Go type is T, for reading; nil if there is none. If the key holds
// something else it has replied, and ok is false.
func readValue[T any](c *Client, key []byte, t record.Type) (v *T, ok bool) {
	r, ok := c.readTyped(key, t)
	if !ok {
		return nil, false
	}
	return valueOf[T](r), true
}

// valueOf returns the value of a record that readTyped or writeTyped found, for reading; nil for nil.
func valueOf[T any](r *record.Record) *T {
	if r == nil {
		return nil
	}
	return record.Value[T](r)
}

// own returns the value of a record that writeTyped found for writing, and the record that holds it now.
func own[T any](c *Client, r *record.Record) (*record.Record, *T) {
	r = c.db.Own(r)
	return r, record.Value[T](r)
}

// put stores a value at a key, in place of what is there, without a deadline.
func put[T any](c *Client, key []byte, t record.Type, e record.Encoding, v *T) *record.Record {
	r := record.NewObject(t, e, key, unsafe.Pointer(v), record.NoExpiry, c.db.NewClock())
	c.db.Set(r)
	return r
}

// hasAny reports whether a collection has any of the elements, so that one which is not going to be changed need not be
// owned.
func hasAny(v interface{ Has([]byte) bool }, elements [][]byte) bool {
	for _, e := range elements {
		if v.Has(e) {
			return true
		}
	}
	return false
}

// A collection is what shrunk must know of a value.
type collection interface {
	Len() int
	Size() int // in bytes
}

// grown does what follows after n elements were added to the collection v at a key or changed in it: it accounts for the
// memory, and tells of the change if n is not 0. before is the Size that the collection had; event is the name of the
// change among the events of class.
func (c *Client) grown(key []byte, v collection, before, n int, class config.NotifyFlags, event string) {
	c.db.AddBytes(v.Size() - before)
	if n > 0 {
		c.changed(key, n, class, event)
	}
}

// shrunk does what follows after n elements were taken out of the collection v of record r, which Own has returned: it
// accounts for the memory, deletes the key if nothing is left, and tells of the change. before is the Size that the
// collection had; event is the name of the change among the events of class.
func (c *Client) shrunk(r *record.Record, v collection, before, n int, class config.NotifyFlags, event string) {
	c.db.AddBytes(v.Size() - before)
	key := r.Key()
	gone := v.Len() == 0
	if gone {
		c.db.Remove(r)
	}
	c.elementsGone(key, n, gone, class, event)
}

// elementsGone tells that n elements were taken out of the collection at a key, and whether the key is gone with them.
func (c *Client) elementsGone(key []byte, n int, gone bool, class config.NotifyFlags, event string) {
	c.changed(key, n, class, event)
	if gone {
		c.notify(config.NotifyGeneric, "del", key)
	}
}

// bulkValue replies with an element of a collection.
func (c *Client) bulkValue(v listpack.Value) {
	if v.Str != nil {
		c.w.Bulk(v.Str)
	} else {
		c.w.BulkInt(v.Int)
	}
}

// bytesOf returns the bytes of an element, an integer's in buf.
func bytesOf(v listpack.Value, buf *intText) []byte {
	if v.Str != nil {
		return v.Str
	}
	return resp.AppendInt(buf[:0], v.Int)
}

// countArg parses argument i as a count of elements that may be negative. On failure it has replied.
func (c *Client) countArg(i int) (int64, bool) {
	n, ok := c.int64Arg(i)
	if ok && n == -1<<63 {
		c.error(errCountRange)
		return 0, false
	}
	return n, ok
}

// emptyScan is the reply of SSCAN, HSCAN and ZSCAN about nothing.
func (c *Client) emptyScan() {
	c.w.Array(2)
	c.w.BulkInt(0)
	c.w.Array(0)
}

// scanReply replies with what a step of SSCAN, HSCAN or ZSCAN met. walk makes the step: it writes the elements and
// returns how many it wrote and the cursor to go on from. The cursor comes first in the reply but is known last.
func (c *Client) scanReply(walk func() (n int, next uint64)) {
	c.w.Array(2)
	start := len(c.w.Buf)
	m := c.w.BeginArray()
	n, next := walk()
	c.w.EndArray(m, n)
	if c.overLimit() {
		return // what was written is not whole any more
	}
	elements := append([]byte(nil), c.w.Buf[start:]...)
	c.w.Buf = c.w.Buf[:start]
	var buf intText
	c.w.Bulk(resp.AppendUint(buf[:0], next))
	c.w.Raw(elements)
}
