package session

import (
	"unsafe"

	"ferrous/commands/config"
	"ferrous/datatypes/cow"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// Code that the commands of collections share.

const (
	// errCountRange is the refusal of a count whose negative would overflow.
	errCountRange = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
	ErrRange      = "ERR value is out of range"
	ErrPositive   = "ERR value is out of range, must be positive"
)

// Gen returns the generation that new values are stamped with.
func (c *Client) Gen() *cow.Generation { return c.Core.Keyspace.Generation() }

// ReadTyped is Read for a command that wants a value of type t: it returns nil if there is none. If the key holds
// something else it has replied, and ok is false.
func (c *Client) ReadTyped(key []byte, t record.Type) (r *record.Record, ok bool) {
	r = c.Read(key)
	return r, c.Typed(r, t)
}

// WriteTyped is Write for a command that wants a value of type t; see ReadTyped.
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
	return ValueOf[T](c, r), true
}

// ValueOf returns the value of a record that ReadTyped or WriteTyped found, for reading; nil for nil. It is valid until the
// next change of the key, and at most until the handler returns.
func ValueOf[T any](c *Client, r *record.Record) *T {
	if r == nil {
		return nil
	}
	return keyspace.Collection[T](c.Core.Keyspace, r)
}

// Put stores a value, which must not be used any more, at a key, in place of what is there, without a deadline.
func Put[T any](c *Client, key []byte, t record.Type, v *T) *record.Record {
	r := keyspace.NewCollection(t, key, unsafe.Pointer(v), record.NoExpiry, c.DB.NewClock())
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

// A collection is what an Edit must know of a value.
type collection interface {
	Len() int
}

// An Edit is a collection that is being changed. It begins with BeginEdit or Create and ends with Grown, Shrunk or Done; in
// between nothing else may be done with its key. Value may be read after the end, until the next Edit begins. The Record is the
// key's; a new key has none before the end.
type Edit[V collection] struct {
	Value V
	keyspace.Change
	c   *Client
	key []byte
}

// BeginEdit begins to change the value of a record that WriteTyped found. Parts that a snapshot needs are copied first.
func BeginEdit[T any, V interface {
	*T
	collection
}](c *Client, r *record.Record) Edit[V] {
	v, change := keyspace.Begin[T](c.DB, r)
	return Edit[V]{Value: v, Change: change, c: c, key: r.Key()}
}

// Create begins to change a new value of type t, which the end stores at a missing key, without a deadline. v must not be used
// any more.
func Create[T any, V interface {
	*T
	collection
}](c *Client, key []byte, t record.Type, v V) Edit[V] {
	value, change := keyspace.BeginNew(c.DB, key, t, (*T)(v))
	return Edit[V]{Value: value, Change: change, c: c, key: key}
}

// Grown ends an edit that added or changed n elements. It stores the value, and reports the change if n is not 0. event is its
// name among the events of class.
func (e *Edit[V]) Grown(n int, class config.NotifyFlags, event string) {
	e.End()
	if n > 0 {
		e.c.Changed(e.key, n, class, event)
	}
}

// Shrunk ends an edit that took n elements out. It stores the value, deletes the key if nothing is left, and reports the
// change. event is its name among the events of class.
func (e *Edit[V]) Shrunk(n int, class config.NotifyFlags, event string) {
	e.c.ElementsGone(e.key, n, e.Done(), class, event)
}

// Done ends an edit: it stores the value, deletes the key if nothing is left, and returns whether it did. It reports no
// change.
func (e *Edit[V]) Done() (gone bool) {
	if e.Value.Len() > 0 {
		e.End()
		return false
	}
	e.Delete()
	return true
}

// ElementsGone reports that n elements were taken out of the collection at a key, and whether the key is gone with them.
func (c *Client) ElementsGone(key []byte, n int, gone bool, class config.NotifyFlags, event string) {
	c.Changed(key, n, class, event)
	if gone {
		c.Notify(config.NotifyGeneric, "del", key)
	}
}
