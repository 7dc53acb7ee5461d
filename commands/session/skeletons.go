package session

import (
	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// Code that commands of several families share, each for its own collection. The caller passes what differs as a type or a
// function; nothing here allocates.

// A remover is an Edit that elements can be removed in.
type remover interface {
	Remove(element []byte) bool
	Shrunk(n int, class config.NotifyFlags, event string)
}

// An ElementEdit is an Edit of a collection whose elements have no values.
type ElementEdit[V interface {
	collection
	Remove(element []byte) bool
}] struct{ Edit[V] }

// Remove removes an element and reports whether it was there.
func (e *ElementEdit[V]) Remove(element []byte) bool { return e.Value.Remove(element) }

// RemoveElements is SREM, ZREM and HDEL: it removes the arguments from the second on from the collection at the key, whose type
// is t and whose Go type is T, and replies with how many were there. begin begins the edit.
func RemoveElements[T any, V interface {
	*T
	Has(element []byte) bool
}, E any, R interface {
	*E
	remover
}](c *Client, t record.Type, begin func(*Client, *record.Record) E, class config.NotifyFlags, event string) {
	r, ok := c.WriteTyped(c.Args[1], t)
	if !ok {
		return
	}
	elements, removed := c.Args[2:], 0
	if v := V(ValueOf[T](c, r)); v != nil && HasAny(v, elements) {
		edit := begin(c, r)
		for _, element := range elements {
			if R(&edit).Remove(element) {
				removed++
			}
		}
		R(&edit).Shrunk(removed, class, event)
	}
	c.W.Int(int64(removed))
}

// An ElementScan is a step of SSCAN, HSCAN or ZSCAN.
type ElementScan struct {
	Cursor   uint64 // where the step begins
	Count    int    // about how many elements it meets
	NoValues bool   // of HSCAN
	pattern  []byte
}

// Matches reports whether MATCH lets an element through.
func (s ElementScan) Matches(v listpack.Value) bool {
	var buf IntText
	return s.pattern == nil || glob.Match(s.pattern, BytesOf(v, &buf), false)
}

// ScanElements is SSCAN, HSCAN and ZSCAN of a collection of type t. scan makes the step: it replies with what it meets of the
// value behind r, and returns the number of its replies and the cursor to go on from.
func (c *Client) ScanElements(t record.Type, scan func(r *record.Record, s ElementScan) (n int, next uint64)) {
	cursor, ok := ParseCursor(c.Args[2])
	if !ok {
		c.Error(ErrInvalidCursor)
		return
	}
	r, ok := c.ReadTyped(c.Args[1], t)
	if !ok {
		return
	}
	if r == nil {
		c.W.Array(2)
		c.W.BulkInt(0)
		c.W.Array(0)
		return
	}
	o, ok := c.ScanOptions(3, false)
	if !ok {
		return
	}
	// The cursor comes first in the reply but is known last.
	c.W.Array(2)
	start := len(c.W.Buf)
	m := c.W.BeginArray()
	n, next := scan(r, ElementScan{Cursor: cursor, Count: o.Count, NoValues: o.NoValues, pattern: o.Pattern})
	c.W.EndArray(m, n)
	if c.OverLimit() {
		return // what was written is not whole any more
	}
	elements := append([]byte(nil), c.W.Buf[start:]...)
	c.W.Buf = c.W.Buf[:start]
	var buf IntText
	c.W.Bulk(resp.AppendUint(buf[:0], next))
	c.W.Raw(elements)
}

// A Drawer is a collection that elements are drawn from.
type Drawer interface {
	Len() int
	// One replies with one element; there is at least one.
	One()
	// Array begins an array of n elements, with the values if they are asked for, Sample replies with n different elements,
	// not more than there are, and Draw with n that are drawn independently, as long as the reply is not over its limit.
	Array(n int, values bool)
	Sample(n int, values bool)
	Draw(n int, values bool)
}

// maxPairs is how many elements with values may be asked for: twice as many are counted.
const maxPairs = 1<<62 - 1

// DrawElements is SRANDMEMBER, HRANDFIELD and ZRANDMEMBER. read finds the collection; where it returns false it has replied.
// option is the word that asks for values, "" if there is none.
func DrawElements[D Drawer](c *Client, option string, read func(c *Client) (d D, ok bool)) {
	if option == "" && len(c.Args) > 3 {
		c.Error(ErrSyntax)
		return
	}
	if len(c.Args) == 2 {
		d, ok := read(c)
		switch {
		case !ok:
		case d.Len() == 0:
			c.W.Null()
		default:
			d.One()
		}
		return
	}
	count, ok := c.CountArg(2)
	if !ok {
		return
	}
	values := len(c.Args) == 4 && c.Is(3, option)
	if len(c.Args) > 3 && !values {
		c.Error(ErrSyntax)
		return
	}
	if values && (count < -maxPairs || count > maxPairs) {
		c.Error(ErrRange)
		return
	}
	d, ok := read(c)
	if !ok {
		return
	}
	switch has := d.Len(); {
	case has == 0 || count == 0:
		c.W.Array(0)
	case count > 0:
		n := int(min(count, int64(has)))
		d.Array(n, values)
		d.Sample(n, values)
	default:
		d.Array(int(-count), values)
		c.drawMany(int(-count), func(n int) { d.Draw(n, values) })
	}
}

// drawPortion is how many elements are drawn at once.
const drawPortion = 4096

// drawMany has draw reply with n elements, in portions, until there is too much of it: n comes from the client and may be as
// large as it likes.
func (c *Client) drawMany(n int, draw func(n int)) {
	for n > 0 && !c.OverLimit() {
		k := min(n, drawPortion)
		draw(k)
		n -= k
	}
}

// FirstOf calls pop with the first of the keys that there is, whose value is of type t, and reports whether there is one. Where
// a key before holds something else it has replied and returns true.
func (c *Client) FirstOf(t record.Type, keys [][]byte, pop func(key []byte, r *record.Record)) bool {
	for _, key := range keys {
		r, ok := c.WriteTyped(key, t)
		if !ok {
			return true
		}
		if r != nil {
			pop(key, r)
			return true
		}
	}
	return false
}

// BlockingPop is BLPOP, BZPOPMIN and their like, whose last argument is the timeout: pop replies with one element of the first
// key that there is; if there is none the client waits.
func (c *Client) BlockingPop(t record.Type, pop func(key []byte, r *record.Record)) {
	last := len(c.Args) - 1
	deadline, ok := c.TimeoutArg(last)
	if !ok {
		return
	}
	if keys := c.Args[1:last]; !c.FirstOf(t, keys, pop) {
		c.BlockOrNull(t, keys, deadline)
	}
}

// A MultiPop is what LMPOP, ZMPOP and their blocking forms ask for.
type MultiPop struct {
	Keys  [][]byte
	First bool // elements are taken from the end that first names
	Count int64
}

// multiPopArgs parses the arguments of LMPOP and its like from the number of keys, which is argument i, on. first and last are
// the words for the two ends. On failure it has replied.
func (c *Client) multiPopArgs(i int, first, last string) (p MultiPop, ok bool) {
	numKeys, ok := c.AtLeast(i, 1, ErrNumKeys)
	if !ok {
		return p, false
	}
	refuse := func() (MultiPop, bool) {
		c.Error(ErrSyntax)
		return p, false
	}
	if numKeys >= int64(len(c.Args)-i-1) {
		return refuse()
	}
	where := i + 1 + int(numKeys)
	p = MultiPop{Keys: c.Args[i+1 : where], First: c.Is(where, first), Count: 1}
	if !p.First && !c.Is(where, last) {
		return refuse()
	}
	switch rest := c.Args[where+1:]; {
	case len(rest) == 0:
		return p, true
	case len(rest) == 1 || !c.Is(where+1, "count"):
		return refuse()
	}
	if p.Count, ok = c.AtLeast(where+2, 1, ErrPopCount); !ok {
		return p, false
	}
	if len(c.Args) > where+3 {
		return refuse()
	}
	return p, true
}

// MultiPop is LMPOP and ZMPOP: pop replies with up to p.Count elements of the first key that there is.
func (c *Client) MultiPop(t record.Type, first, last string, pop func(p MultiPop, key []byte, r *record.Record)) {
	p, ok := c.multiPopArgs(1, first, last)
	if ok && !c.FirstOf(t, p.Keys, func(key []byte, r *record.Record) { pop(p, key, r) }) {
		c.W.NullArray()
	}
}

// BlockingMultiPop is BLMPOP and BZMPOP, whose first argument is the timeout.
func (c *Client) BlockingMultiPop(t record.Type, first, last string, pop func(p MultiPop, key []byte, r *record.Record)) {
	p, ok := c.multiPopArgs(2, first, last)
	if !ok {
		return
	}
	deadline, ok := c.TimeoutArg(1)
	if ok && !c.FirstOf(t, p.Keys, func(key []byte, r *record.Record) { pop(p, key, r) }) {
		c.BlockOrNull(t, p.Keys, deadline)
	}
}
