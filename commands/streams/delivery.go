package streams

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// Delivery of entries to consumers, shared by XREADGROUP, XCLAIM and XAUTOCLAIM.

// A groupEdit is a group that is being changed, by a consumer or for one; see edit.
type groupEdit struct {
	edit
	*stream.Group
	key  []byte
	name []byte
	now  int64
}

// ownGroup returns the group of that name for writing. The caller has checked that it exists.
func ownGroup(c *session.Client, r *record.Record, key, name []byte) groupEdit {
	e := own(c, r)
	return groupEdit{e, e.OwnGroup(name, c.Gen()), key, name, c.Core.Keyspace.Now}
}

// consumer returns the consumer of that name for writing, and whether it was created. It updates the consumer's seen-time.
func (g *groupEdit) consumer(c *session.Client, name []byte) (consumer *stream.Consumer, fresh bool) {
	consumer = g.OwnConsumer(g.Group, name, c.Gen())
	if consumer == nil {
		consumer, fresh = g.addConsumer(c, name), true
	}
	consumer.Seen = g.now
	return consumer, fresh
}

// addConsumer creates a consumer. It returns nil if there is one of that name.
func (g *groupEdit) addConsumer(c *session.Client, name []byte) *stream.Consumer {
	consumer := g.Stream.AddConsumer(g.Group, name, g.now, -1, c.Gen())
	if consumer != nil {
		c.Core.Dirty++
		c.Notify(config.NotifyStream, "xgroup-createconsumer", g.key)
	}
	return consumer
}

// deliver adds an entry to a consumer's pending entries, with delivery time and delivery count, and propagates that.
func (g *groupEdit) deliver(c *session.Client, consumer *stream.Consumer, id stream.ID, time int64, count uint64) {
	g.SetPending(g.Group, consumer, id, time, count, c.Gen())
	consumer.Active = g.now
	g.propagate(c, consumer, id, time, count)
}

// forget removes a deleted entry from the pending entries. consumer is named in the propagated command if the pending entry
// has no owner.
func (g *groupEdit) forget(c *session.Client, consumer *stream.Consumer, id stream.ID, p stream.Pending) {
	if owner := g.Owner(p); owner != nil {
		consumer = owner
	}
	g.propagate(c, consumer, id, p.Time, p.Count)
	g.Ack(g.Group, id, c.Gen())
	c.Core.Dirty++
}

// propagate propagates that an entry is pending, as an XCLAIM that may be executed twice. The XCLAIM removes the pending entry
// if the entry was deleted.
func (g *groupEdit) propagate(c *session.Client, consumer *stream.Consumer, id stream.ID, time int64, count uint64) {
	if c.Propagates() {
		c.PropagateAlso(wordXClaim, g.key, g.name, consumer.Name(), wordZero, idWord(id), wordTime, session.Decimal(time),
			wordRetryCount, session.Decimal(int64(count)), wordForce, wordJustID, wordLastID, idWord(g.Last))
	}
}

// propagateLast propagates how far the group has read, as XGROUP SETID with ENTRIESREAD. XCLAIM does not contain the number
// of entries read, so in Redis 7.2 XINFO GROUPS may show another lag after a restart. As in later versions XREADGROUP
// propagates this behind the XCLAIMs.
func (g *groupEdit) propagateLast(c *session.Client) {
	if c.Propagates() {
		c.PropagateAlso(wordXGroup, wordSetID, g.key, g.name, idWord(g.Last), wordEntriesRead, session.Decimal(g.Read))
	}
}

var (
	wordXClaim         = []byte("XCLAIM")
	wordXGroup         = []byte("XGROUP")
	wordSetID          = []byte("SETID")
	wordCreateConsumer = []byte("CREATECONSUMER")
	wordEntriesRead    = []byte("ENTRIESREAD")
	wordTime           = []byte("TIME")
	wordRetryCount     = []byte("RETRYCOUNT")
	wordForce          = []byte("FORCE")
	wordJustID         = []byte("JUSTID")
	wordLastID         = []byte("LASTID")
	wordZero           = []byte("0")
)

// idle returns how long ago a pending entry was delivered; unowned for an entry without a consumer.
func (g *groupEdit) idle(p stream.Pending) int64 { return idle(g.Group, p, g.now) }

// unowned is the idle time of an entry that a consumer released with XNACK.
const unowned = int64(-1)

func idle(g *stream.Group, p stream.Pending, now int64) int64 {
	if g.Owner(p) == nil {
		return unowned
	}
	return max(now-p.Time, 0)
}

func errNoGroup(key, group []byte) string {
	return "NOGROUP No such key '" + session.CString(key) + "' or consumer group '" + session.CString(group) + "'"
}

// groupOf finds the group of a name in the stream of a record, nil if there is none. If the record is of another type it
// has replied.
func groupOf(c *session.Client, r *record.Record, name []byte) (g *stream.Group, ok bool) {
	if !c.Typed(r, record.Stream) {
		return nil, false
	}
	if r == nil {
		return nil, true
	}
	return record.Value[stream.Stream](r).Group(name), true
}

// wantGroup is groupOf for commands that refuse a missing group.
func wantGroup(c *session.Client, r *record.Record) (g *stream.Group, ok bool) {
	g, ok = groupOf(c, r, c.Args[2])
	if ok && g == nil {
		c.Error(errNoGroup(c.Args[1], c.Args[2]))
		return nil, false
	}
	return g, ok
}
