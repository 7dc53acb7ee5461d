// Package streams is the commands of streams, on package datatypes/stream, whose package comment says how a stream is
// changed.
//
// What is particular about them:
//
//   - A stream stays when its last entry is deleted: only DEL and its like delete the key.
//   - Propagated commands contain the choices of the server: the ID that XADD gave, an exact threshold for trimming, and for
//     deliveries one XCLAIM an entry with the time, the count and the group's last ID, and XGROUP SETID (delivery.go). As in
//     Redis, deliveries change the data and are propagated, but do not touch the key for WATCH and client side caching.
//   - XREAD and XREADGROUP block with Host.Wait. XADD and XGROUP DESTROY signal the key with Core.Ready, because a stream
//     that exists already gets entries without being created.
package streams

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// An edit is a stream that is being changed. Streams stay when they are empty, so it ends with done.
type edit struct {
	*stream.Stream
	size int
}

// own returns the stream of a record for writing.
func own(c *session.Client, r *record.Record) edit {
	s := record.Value[stream.Stream](c.DB.Own(r))
	return edit{s, s.Size()}
}

// done updates the memory counters.
func (e edit) done(c *session.Client) { c.DB.AddBytes(e.Size() - e.size) }

// put stores a new stream at the key.
func put(c *session.Client, key []byte, s *stream.Stream) {
	session.Put(c, key, record.Stream, s)
}

// readStream returns the stream at a key for reading, nil if there is none. If there is something else it has replied.
func readStream(c *session.Client, key []byte) (s *stream.Stream, ok bool) {
	return session.ReadValue[stream.Stream](c, key, record.Stream)
}

// signal marks the key as ready, so that clients blocked on it run their command again.
func signal(c *session.Client, key []byte) {
	if c.Core.Ready != nil {
		c.Core.Ready(c.DB, key)
	}
}

// writeEntry replies with an entry.
func writeEntry(c *session.Client, it *stream.Iter) {
	c.W.Array(2)
	writeFields(c, it)
}

// writeFields replies with the two elements of an entry: its ID, and its fields and values alternately.
func writeFields(c *session.Client, it *stream.Iter) {
	writeID(c, it.ID())
	c.W.Array(2 * it.Pairs())
	for it.Pairs() > 0 {
		field, value := it.Pair()
		c.BulkValue(field)
		c.BulkValue(value)
	}
}

func xlen(c *session.Client) {
	s, ok := readStream(c, c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.W.Int(0)
	default:
		c.W.Int(int64(s.Len()))
	}
}

func xrange(c *session.Client)    { rangeOf(c, 2, 3, false) }
func xrevrange(c *session.Client) { rangeOf(c, 3, 2, true) }

// rangeOf replies with the entries of an interval, whose ends are arguments.
func rangeOf(c *session.Client, from, to int, reverse bool) {
	start, ok := startArg(c, from)
	if !ok {
		return
	}
	end, ok := endArg(c, to)
	if !ok {
		return
	}
	count := int64(-1)
	for i := 4; i < len(c.Args); i += 2 {
		if !c.Is(i, "count") || i+1 == len(c.Args) {
			c.Error(session.ErrSyntax)
			return
		}
		if count, ok = c.Int64Arg(i + 1); !ok {
			return
		}
		count = max(count, 0)
	}
	s, ok := readStream(c, c.Args[1])
	switch {
	case !ok:
	case s == nil:
		c.W.Array(0)
	case count == 0:
		c.W.NullArray()
	default:
		writeRange(c, s, start, end, reverse, count)
	}
}

// writeRange replies with the entries from start to end, at most count if that is positive.
func writeRange(c *session.Client, s *stream.Stream, start, end stream.ID, reverse bool, count int64) {
	var it stream.Iter
	m, n := c.W.BeginArray(), 0
	for it.Start(s, start, end, reverse); it.Next(); {
		writeEntry(c, &it)
		if n++; int64(n) == count || c.OverLimit() {
			break
		}
	}
	c.W.EndArray(m, n)
}

// xdel deletes entries. Their pending entries stay.
func xdel(c *session.Client) {
	r, ok := c.WriteTyped(c.Args[1], record.Stream)
	if !ok {
		return
	}
	if r == nil {
		c.W.Int(0)
		return
	}
	ids := c.Args[2:]
	if !checkIDs(c, ids) {
		return
	}
	s, n := own(c, r), 0
	for _, b := range ids {
		if s.Delete(knownID(b), c.Gen()) {
			n++
		}
	}
	s.done(c)
	deleted(c, n)
	c.W.Int(int64(n))
}

// deleted notifies and propagates that n entries were deleted.
func deleted(c *session.Client, n int) {
	if n > 0 {
		c.Changed(c.Args[1], n, config.NotifyStream, "xdel")
	}
}

const (
	errSetIDDeleted = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
	errSetIDGiven   = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	errSetIDTop     = "ERR The ID specified in XSETID is smaller than the target stream top item"
	errSetIDAdded   = "ERR The entries_added specified in XSETID is smaller than the target stream length"
	errAdded        = "ERR entries_added must be positive"
)

// xsetid sets a stream's last ID, entries-added and max-deleted-id.
func xsetid(c *session.Client) {
	last, ok := idArg(c, 2)
	if !ok {
		return
	}
	added, maxDeleted := stream.Unknown, stream.ID{}
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case more && c.Is(i, "entriesadded"):
			if added, ok = c.Int64Arg(i + 1); !ok {
				return
			}
			if added < 0 {
				c.Error(errAdded)
				return
			}
		case more && c.Is(i, "maxdeletedid"):
			if maxDeleted, ok = idArg(c, i+1); !ok {
				return
			}
			if last.Compare(maxDeleted) < 0 {
				c.Error(errSetIDGiven)
				return
			}
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	r, ok := c.WriteTyped(c.Args[1], record.Stream)
	if !ok {
		return
	}
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	s := record.Value[stream.Stream](r)
	if last.Compare(s.MaxDeleted) < 0 {
		c.Error(errSetIDDeleted)
		return
	}
	if s.Len() > 0 {
		if last.Compare(s.TopID()) < 0 {
			c.Error(errSetIDTop)
			return
		}
		if added != stream.Unknown && int64(s.Len()) > added {
			c.Error(errSetIDAdded)
			return
		}
	}
	e := own(c, r)
	e.SetID(last, added, maxDeleted)
	e.done(c)
	c.W.OK()
	c.Core.Dirty++
	c.Notify(config.NotifyStream, "xsetid", c.Args[1])
}
