package session

import (
	"unsafe"

	"ferrous/commands/config"
	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
)

// What the commands of collections share.

// errCountRange is the refusal of a count whose negative would overflow.
const (
	errCountRange = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	ErrRange      = "ERR value is out of range"
	ErrPositive   = "ERR value is out of range, must be positive"
)

// Gen returns the generation that new values are stamped with.
func (c *Client) Gen() *cow.Generation { return c.Core.Keyspace.Generation() }

// ReadTyped is read for a command that wants a value of type t: it returns nil if there is none. If the key holds
// something else it has replied, and ok is false.
func (c *Client) ReadTyped(key []byte, t record.Type) (r *record.Record, ok bool) {
	r = c.Read(key)
	return r, c.Typed(r, t)
}

// WriteTyped is write for a command that wants a value of type t; see ReadTyped.
func (c *Client) WriteTyped(key []byte, t record.Type) (r *record.Record, ok bool) {
	r = c.Write(key)
	return r, c.Typed(r, t)
}

// ReadValue returns the value of type t at a key, whose Go type is T, for reading; nil if there is none. If the key holds
// something else it has replied, and ok is false.
func ReadValue[T any](c *Client, key []byte, t record.Type) (v *T, ok bool) {
	r, ok := c.ReadTyped(key, t)
	if !ok {
		return nil, false
	}
	return ValueOf[T](r), true
}

// ValueOf returns the value of a record that ReadTyped or WriteTyped found, for reading; nil for nil.
func ValueOf[T any](r *record.Record) *T {
	if r == nil {
		return nil
	}
	return record.Value[T](r)
}

// Own returns the value of a record that WriteTyped found for writing, and the record that holds it now.
func Own[T any](c *Client, r *record.Record) (*record.Record, *T) {
	r = c.DB.Own(r)
	return r, record.Value[T](r)
}

// Put stores a value at a key, in place of what is there, without a deadline.
func Put[T any](c *Client, key []byte, t record.Type, e record.Encoding, v *T) *record.Record {
	r := record.NewObject(t, e, key, unsafe.Pointer(v), record.NoExpiry, c.DB.NewClock())
	c.DB.Set(r)
	return r
}

// HasAny reports whether a collection has any of the elements, so that one which is not going to be changed need not be
// owned.
func HasAny(v interface{ Has([]byte) bool }, elements [][]byte) bool {
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

// Grown does what follows after n elements were added to the collection v at a key or changed in it: it accounts for the
// memory, and tells of the change if n is not 0. before is the Size that the collection had; event is the name of the
// change among the events of class.
func (c *Client) Grown(key []byte, v collection, before, n int, class config.NotifyFlags, event string) {
	c.DB.AddBytes(v.Size() - before)
	if n > 0 {
		c.Changed(key, n, class, event)
	}
}

// Shrunk does what follows after n elements were taken out of the collection v of record r, which Own has returned: it
// accounts for the memory, deletes the key if nothing is left, and tells of the change. before is the Size that the
// collection had; event is the name of the change among the events of class.
func (c *Client) Shrunk(r *record.Record, v collection, before, n int, class config.NotifyFlags, event string) {
	c.DB.AddBytes(v.Size() - before)
	key := r.Key()
	gone := v.Len() == 0
	if gone {
		c.DB.Remove(r)
	}
	c.ElementsGone(key, n, gone, class, event)
}

// ElementsGone tells that n elements were taken out of the collection at a key, and whether the key is gone with them.
func (c *Client) ElementsGone(key []byte, n int, gone bool, class config.NotifyFlags, event string) {
	c.Changed(key, n, class, event)
	if gone {
		c.Notify(config.NotifyGeneric, "del", key)
	}
}
