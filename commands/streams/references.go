package streams

import (
	"math"

	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// The commands of Redis 8 that know of references: XDELEX, XACKDEL and XNACK. A group refers to an entry that it has not
// got yet, or that is pending. The commands work as Redis's documentation says.

const (
	errNumIDs     = "ERR Number of IDs must be a positive integer"
	errNumIDsArgs = "ERR The `numids` parameter must match the number of arguments"
)

// idBlock reads the block IDS numids id ... at argument i. It returns the IDs and the place behind. On failure it has
// replied.
func idBlock(c *session.Client, i int) (ids [][]byte, next int, ok bool) {
	n, ok := resp.ParseInt(c.Args[i+1])
	if !ok || n < 1 {
		c.Error(errNumIDs)
		return nil, 0, false
	}
	if n > int64(len(c.Args)-i-2) {
		c.Error(errNumIDsArgs)
		return nil, 0, false
	}
	next = i + 2 + int(n)
	return c.Args[i+2 : next], next, true
}

// refArgs reads what follows the key and the group: a word for references, and the IDs, in any order. On failure it has
// replied.
func refArgs(c *session.Client, from int) (refs stream.Refs, ids [][]byte, ok bool) {
	given := false
	for i := from; i < len(c.Args); {
		if c.Is(i, "ids") && i+1 < len(c.Args) && ids == nil {
			if ids, i, ok = idBlock(c, i); !ok {
				return 0, nil, false
			}
			continue
		}
		word, known := refsWord(c, i)
		if !known || given {
			ids = nil
			break
		}
		refs, given = word, true
		i++
	}
	if ids == nil {
		c.Error(session.ErrSyntax)
		return 0, nil, false
	}
	return refs, ids, checkIDs(c, ids)
}

// The replies for an entry.
const (
	noSuchEntry  = int64(-1)
	entryDeleted = int64(1)
	entryStays   = int64(2) // it is still referenced
)

// noEntries replies that none of the entries exists.
func noEntries(c *session.Client, ids [][]byte) {
	c.W.Array(len(ids))
	for range ids {
		c.W.Int(noSuchEntry)
	}
}

// deleteEntry deletes an entry, and with DELREF its references. changed reports whether anything was changed.
func deleteEntry(c *session.Client, s *stream.Stream, id stream.ID, refs stream.Refs) (answer int64, changed bool) {
	if refs == stream.DelRef {
		changed = s.DropRefs(id, c.Gen()) > 0
	}
	if refs == stream.Acked && s.Exists(id) && s.Referenced(id) {
		return entryStays, false
	}
	if s.Delete(id, c.Gen()) {
		return entryDeleted, true
	}
	return noSuchEntry, changed
}

func xdelex(c *session.Client) {
	refs, ids, ok := refArgs(c, 2)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Stream)
	if !ok {
		return
	}
	if r == nil {
		noEntries(c, ids)
		return
	}
	s, gone, changes := own(c, r), 0, 0
	c.W.Array(len(ids))
	for _, b := range ids {
		answer, changed := deleteEntry(c, s.Stream, knownID(b), refs)
		if answer == entryDeleted {
			gone++
		} else if changed {
			changes++
		}
		c.W.Int(answer)
	}
	s.done(c)
	deleted(c, gone)
	c.Core.Dirty += int64(changes)
}

func xackdel(c *session.Client) {
	refs, ids, ok := refArgs(c, 3)
	if !ok {
		return
	}
	key, name := c.Args[1], c.Args[2]
	r := c.Read(key)
	g, ok := groupOf(c, r, name)
	if !ok {
		return
	}
	if g == nil {
		noEntries(c, ids)
		return
	}
	e, gone, changes := ownGroup(c, r, key, name), 0, 0
	c.W.Array(len(ids))
	for _, b := range ids {
		id := knownID(b)
		if !e.Ack(e.Group, id, c.Gen()) {
			c.W.Int(noSuchEntry)
			continue
		}
		changes++
		answer, _ := deleteEntry(c, e.Stream, id, refs)
		if answer == entryDeleted {
			gone++
			changes--
		}
		c.W.Int(answer)
	}
	e.done(c)
	deleted(c, gone)
	c.Core.Dirty += int64(changes)
}

// nack is how XNACK changes the number of deliveries.
type nack struct {
	silent, fatal bool
	retry         int64 // -1: by the mode
	force         bool
}

// count returns the new number of deliveries of a pending entry that had count.
func (o *nack) count(count uint64, fresh bool) uint64 {
	switch {
	case o.retry >= 0:
		return uint64(o.retry)
	case o.fatal:
		return math.MaxInt64
	case fresh:
		return 0
	case o.silent && count > 0:
		return count - 1
	}
	return count
}

// nackArgs reads the arguments of XNACK. On failure it has replied.
func nackArgs(c *session.Client) (o nack, ids [][]byte, ok bool) {
	o.retry = -1
	o.silent, o.fatal = c.Is(3, "silent"), c.Is(3, "fatal")
	if !o.silent && !o.fatal && !c.Is(3, "fail") || !c.Is(4, "ids") {
		c.Error(session.ErrSyntax)
		return o, nil, false
	}
	ids, i, ok := idBlock(c, 4)
	if !ok {
		return o, nil, false
	}
	for ; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "retrycount") && i+1 < len(c.Args):
			i++
			if o.retry, ok = c.NotNegative(i); !ok {
				return o, nil, false
			}
		case c.Is(i, "force"):
			o.force = true
		default:
			c.Error(session.ErrSyntax)
			return o, nil, false
		}
	}
	return o, ids, checkIDs(c, ids)
}

// xnack releases pending entries: they stay pending without a consumer, and may be claimed at once.
func xnack(c *session.Client) {
	o, ids, ok := nackArgs(c)
	if !ok {
		return
	}
	key, name := c.Args[1], c.Args[2]
	r := c.Write(key)
	if _, ok := wantGroup(c, r); !ok {
		return
	}
	g, n := ownGroup(c, r, key, name), 0
	for _, b := range ids {
		id := knownID(b)
		p, pending := g.Pending(id)
		if !pending && (!o.force || !g.Exists(id)) {
			continue
		}
		g.SetPending(g.Group, nil, id, 0, o.count(p.Count, !pending), c.Gen())
		n++
	}
	g.done(c)
	c.Core.Dirty += int64(n)
	c.W.Int(int64(n))
}
