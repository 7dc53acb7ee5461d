package streams

import (
	"math"

	"ferrous/commands/session"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// XCLAIM and XAUTOCLAIM give pending entries to another consumer; XPENDING lists pending entries.

// numberOr parses argument i; on failure it replies with a text.
func numberOr(c *session.Client, i int, text string) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok {
		c.Error(text)
	}
	return n, ok
}

// claimOptions are the options of XCLAIM.
type claimOptions struct {
	minIdle       int64
	time          int64 // Unix ms, -1 is now
	retry         int64 // -1: one more than before
	force, justID bool
	last          stream.ID
}

// claimArgs reads the arguments of XCLAIM; n is the number of IDs. On failure it has replied.
func claimArgs(c *session.Client, now int64) (o claimOptions, n int, ok bool) {
	o.time, o.retry = -1, -1
	if o.minIdle, ok = numberOr(c, 4, "ERR Invalid min-idle-time argument for XCLAIM"); !ok {
		return o, 0, false
	}
	o.minIdle = max(o.minIdle, 0)
	for 5+n < len(c.Args) {
		if _, ok := parseID(c.Args[5+n], 0, true); !ok {
			break
		}
		n++
	}
	for i := 5 + n; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		ok := true
		switch {
		case c.Is(i, "force"):
			o.force = true
		case c.Is(i, "justid"):
			o.justID = true
		case more && c.Is(i, "idle"):
			i++
			o.time, ok = numberOr(c, i, "ERR Invalid IDLE option argument for XCLAIM")
			o.time = now - o.time
		case more && c.Is(i, "time"):
			i++
			o.time, ok = numberOr(c, i, "ERR Invalid TIME option argument for XCLAIM")
		case more && c.Is(i, "retrycount"):
			i++
			o.retry, ok = numberOr(c, i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")
		case more && c.Is(i, "lastid"):
			i++
			o.last, ok = idArg(c, i)
		default:
			c.Error("ERR Unrecognized XCLAIM option '" + session.CString(c.Args[i]) + "'")
			ok = false
		}
		if !ok {
			return o, 0, false
		}
	}
	if o.time < 0 || o.time > now {
		o.time = now
	}
	return o, n, true
}

func xclaim(c *session.Client) {
	key, name, now := c.Args[1], c.Args[2], c.Core.Keyspace.Now
	r := c.Read(key)
	if _, ok := wantGroup(c, r); !ok {
		return
	}
	o, n, ok := claimArgs(c, now)
	if !ok {
		return
	}
	g := ownGroup(c, r, key, name)
	defer g.done(c)
	c.PropagateNothing()
	tellLast := o.last.Compare(g.Last) > 0
	if tellLast {
		g.Last = o.last
	}
	consumer, _ := g.consumer(c, c.Args[3])
	m, claimed := c.W.BeginArray(), 0
	for _, b := range c.Args[5 : 5+n] {
		id := knownID(b)
		p, pending := g.Pending(id)
		if !g.Exists(id) {
			if pending {
				g.forget(c, consumer, id, p)
				tellLast = false
			}
			continue
		}
		if !pending && !o.force {
			continue
		}
		count := p.Count
		if !pending {
			count = 1 // as if it had been delivered
		} else if g.Owner(p) != nil && o.minIdle > 0 && now-p.Time < o.minIdle {
			continue
		}
		if o.retry >= 0 {
			count = uint64(o.retry)
		} else if !o.justID {
			count++
		}
		writeClaimed(c, g.Stream, id, o.justID)
		claimed++
		g.deliver(c, consumer, id, o.time, count)
		tellLast = false
		c.Core.Dirty++
	}
	if tellLast {
		g.propagateLast(c)
		c.Core.Dirty++
	}
	c.W.EndArray(m, claimed)
}

// writeClaimed replies with an entry that was claimed, or with its ID.
func writeClaimed(c *session.Client, s *stream.Stream, id stream.ID, justID bool) {
	if justID {
		writeID(c, id)
		return
	}
	var it stream.Iter
	it.Start(s, id, id, false)
	it.Next()
	writeEntry(c, &it)
}

const (
	// attemptsEach times COUNT is how many pending entries XAUTOCLAIM scans at most.
	attemptsEach = 10
	maxClaims    = math.MaxInt64 / 16
	// hugeClaims is a COUNT whose reply would not fit into the memory of any server.
	hugeClaims    = 1 << 42
	defaultClaims = 100

	errClaimCount = "ERR COUNT must be > 0"
	errClaimHuge  = "ERR Insufficient memory, failed allocating transient memory, COUNT too high."
)

func xautoclaim(c *session.Client) {
	key, name, now := c.Args[1], c.Args[2], c.Core.Keyspace.Now
	r := c.Read(key)
	minIdle, ok := numberOr(c, 4, "ERR Invalid min-idle-time argument for XAUTOCLAIM")
	if !ok {
		return
	}
	minIdle = max(minIdle, 0)
	from, ok := startArg(c, 5)
	if !ok {
		return
	}
	count, justID := int64(defaultClaims), false
	for i := 6; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "count") && i+1 < len(c.Args):
			i++
			if count, ok = c.AtLeast(i, 1, errClaimCount); !ok {
				return
			}
			if count > maxClaims {
				c.Error(errClaimCount)
				return
			}
		case c.Is(i, "justid"):
			justID = true
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	if _, ok := wantGroup(c, r); !ok {
		return
	}
	if count > hugeClaims {
		c.Error(errClaimHuge)
		return
	}
	g := ownGroup(c, r, key, name)
	defer g.done(c)
	c.PropagateNothing()
	consumer, _ := g.consumer(c, c.Args[3])
	var gone []stream.ID
	var claimed []stream.ID
	more := true
	for attempts := count * attemptsEach; attempts > 0 && count > 0; attempts-- {
		var id stream.ID
		var p stream.Pending
		if id, p, more = g.NextPending(from); !more {
			break
		}
		switch {
		case !g.Exists(id):
			g.forget(c, consumer, id, p)
			gone = append(gone, id)
			count--
		case minIdle > 0 && now-p.Time < minIdle:
		default:
			times := p.Count
			if !justID {
				times++
			}
			g.deliver(c, consumer, id, now, times)
			c.Core.Dirty++
			claimed = append(claimed, id)
			count--
		}
		if from, more = id.Next(); !more {
			break
		}
	}
	var next stream.ID
	if more {
		next, _, _ = g.NextPending(from) // zero if there is none
	}
	c.W.Array(3)
	writeID(c, next)
	c.W.Array(len(claimed))
	for _, id := range claimed {
		writeClaimed(c, g.Stream, id, justID)
	}
	c.W.Array(len(gone))
	for _, id := range gone {
		writeID(c, id)
	}
}

func xpending(c *session.Client) {
	n := len(c.Args)
	if n != 3 && (n < 6 || n > 9) {
		c.Error(session.ErrSyntax)
		return
	}
	if n == 3 {
		pendingSummary(c)
		return
	}
	at, minIdle, ok := 3, int64(0), true
	if c.Is(3, "idle") {
		if minIdle, ok = c.Int64Arg(4); !ok {
			return
		}
		if n < 8 {
			c.Error(session.ErrSyntax)
			return
		}
		at = 5
	}
	count, ok := c.Int64Arg(at + 2)
	if !ok {
		return
	}
	start, ok := startArg(c, at)
	if !ok {
		return
	}
	end, ok := endArg(c, at+1)
	if !ok {
		return
	}
	g, ok := wantGroup(c, c.Read(c.Args[1]))
	if !ok {
		return
	}
	var consumer *stream.Consumer
	if at+3 < n {
		if consumer = g.Consumer(c.Args[at+3]); consumer == nil {
			c.W.Array(0)
			return
		}
	}
	now := c.Core.Keyspace.Now
	m, found := c.W.BeginArray(), 0
	write := func(id stream.ID, p stream.Pending) (more bool) {
		if id.Compare(end) > 0 {
			return false
		}
		if minIdle != 0 && now-p.Time < minIdle {
			return true
		}
		c.W.Array(4)
		writeID(c, id)
		c.W.Bulk(ownerName(g, p))
		c.W.Int(idle(g, p, now))
		c.W.Int(int64(p.Count))
		found++
		count--
		return count > 0 && !c.OverLimit()
	}
	switch {
	case count <= 0:
	case consumer == nil:
		var it stream.PendingIter
		for it.Start(g, start); it.Next() && write(it.ID(), it.Pending()); {
		}
	default:
		for more := true; more; {
			id, ok := consumer.NextPending(start)
			if !ok {
				break
			}
			p, _ := g.Pending(id)
			if more = write(id, p); more {
				start, more = id.Next()
			}
		}
	}
	c.W.EndArray(m, found)
}

// pendingSummary is the short form of XPENDING.
func pendingSummary(c *session.Client) {
	g, ok := wantGroup(c, c.Read(c.Args[1]))
	if !ok {
		return
	}
	c.W.Array(4)
	c.W.Int(int64(g.NumPending()))
	first, _, ok := g.NextPending(stream.ID{})
	if !ok {
		c.W.Null()
		c.W.Null()
		c.W.NullArray()
		return
	}
	last, _ := g.LastPending()
	writeID(c, first)
	writeID(c, last)
	m, n := c.W.BeginArray(), 0
	for _, consumer := range g.Consumers() {
		if consumer.NumPending() == 0 {
			continue
		}
		c.W.Array(2)
		c.W.Bulk(consumer.Name())
		c.W.BulkInt(int64(consumer.NumPending()))
		n++
	}
	c.W.EndArray(m, n)
}
