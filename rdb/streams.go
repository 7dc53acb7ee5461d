package rdb

import (
	"fmt"
	"math"
	"unsafe"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// A stream in the format: its nodes, each the master ID and the listpack; number of entries; last ID; from version 2 of
// the type on the first ID, the greatest deleted one and the number of entries ever added; then the groups: name, last
// ID, from version 2 on how many entries it has read; all pending entries with time and number of deliveries; the
// consumers: name, seen time, from version 3 on active time, and the IDs of the pending entries that are theirs. Each
// pending entry has a consumer there: those that have none (XNACK) are written for one whose name is empty.

func (d *decoder) streamValue(t Type, expiry int64, clock uint32) *record.Record {
	s := stream.New(d.gen)
	for nodes := d.length(); nodes > 0; nodes-- {
		key := d.string()
		if len(key) != stream.IDSize {
			d.fail("Stream node key entry is not the size of a stream ID")
		}
		master := stream.ParseID(key)
		b := d.blob()
		err := listpack.Validate(b, true)
		entries := 0
		if err == nil {
			entries, err = stream.Validate(listpack.Listpack(b))
		}
		if err != nil {
			d.failf("Stream listpack integrity check failed: %v", err)
		}
		if !s.AddNode(master, b, entries, d.gen) {
			d.fail("Listpack re-added with existing key")
		}
	}
	// Early versions of Redis 5 counted wrong when entries were deleted. Like Redis we take such a file, whatever is
	// sanitized, but count what there is.
	told := d.length()
	if told != uint64(s.Len()) {
		if !d.file || s.NumNodes() == 0 {
			d.failf("Stream length inconsistent with rax entries: %d entries of %d", s.Len(), told)
		}
		d.oddity = fmt.Sprintf("the stream is said to have %d entries and has %d; these are counted", told, s.Len())
	}
	s.Last = d.streamID()
	if t != typeStream {
		s.First, s.MaxDeleted = d.streamID(), d.streamID()
		s.Added = d.length()
	} else {
		s.First = s.FirstID()
		s.Added = max(min(told, math.MaxInt64), uint64(s.Len()))
	}
	for groups := d.length(); groups > 0; groups-- {
		d.group(s, t)
	}
	return record.NewObject(record.Stream, s.Encoding(), d.key, unsafe.Pointer(s), expiry, clock)
}

func (d *decoder) streamID() stream.ID {
	ms := d.length()
	return stream.ID{Ms: ms, Seq: d.length()}
}

func (d *decoder) group(s *stream.Stream, t Type) {
	d.room = append(d.room[:0], d.string()...)
	name := d.room
	last := d.streamID()
	var read int64
	if t != typeStream {
		read = int64(d.length())
	} else {
		read = s.Read(last)
	}
	g := s.AddGroup(name, last, read, d.gen)
	if g == nil {
		d.failf("Duplicated consumer group name %q", name)
	}
	before := g.Size()
	for n := d.length(); n > 0; n-- {
		id := stream.ParseID(d.view(stream.IDSize))
		time := int64(d.uint64())
		if !g.AddPending(id, time, d.length(), d.gen) {
			d.fail("Duplicated global PEL entry loading stream consumer group")
		}
	}
	given := 0 // entries that were given back with XNACK
	for n := d.length(); n > 0; n-- {
		d.room = append(d.room[:0], d.string()...)
		seen := int64(d.uint64())
		active := seen // the best that older versions tell
		if t == typeStream3 {
			active = int64(d.uint64())
		}
		if len(d.room) == 0 && seen == 0 && active == 0 { // see writer.consumers
			given += d.givenBack(g)
			continue
		}
		c := g.AddConsumer(d.room, seen, active, d.gen)
		if c == nil {
			d.fail("Duplicate stream consumer detected")
		}
		for n := d.length(); n > 0; n-- {
			found, fresh := g.Own(c, stream.ParseID(d.view(stream.IDSize)), d.gen)
			switch {
			case !found:
				d.fail("Consumer entry not found in group global PEL")
			case !fresh:
				d.fail("Duplicated consumer PEL entry loading a stream consumer group")
			}
		}
	}
	switch orphans := g.Orphans(); {
	case orphans < given:
		d.fail("Duplicated consumer PEL entry loading a stream consumer group")
	case orphans > given:
		d.odd("Stream CG PEL entry without consumer", ownerless)
		g.DropOrphans(d.gen)
	}
	s.Account(g, before)
}

// givenBack reads the IDs of pending entries without a consumer, and returns how many they are.
func (d *decoder) givenBack(g *stream.Group) (n int) {
	for left := d.length(); left > 0; left-- {
		if _, ok := g.Pending(stream.ParseID(d.view(stream.IDSize))); !ok {
			d.fail("Consumer entry not found in group global PEL")
		}
		n++
	}
	return n
}

// stream writes a stream.
func (w *writer) stream(t Type, s *stream.Stream) {
	w.length(uint64(s.NumNodes()))
	var id [stream.IDSize]byte
	s.Nodes(func(master stream.ID, lp listpack.Listpack) bool {
		w.text(master.Append(id[:0]))
		w.text(lp)
		return w.err == nil
	})
	w.length(uint64(s.Len()))
	w.streamID(s.Last)
	if t != typeStream {
		w.streamID(s.First)
		w.streamID(s.MaxDeleted)
		w.length(s.Added)
	}
	w.length(uint64(len(s.Groups())))
	for _, g := range s.Groups() {
		w.text(g.Name())
		w.streamID(g.Last)
		if t != typeStream {
			w.length(uint64(g.Read))
		}
		w.length(uint64(g.NumPending()))
		g.EachPending(func(id stream.ID, p stream.Pending, _ *stream.Consumer) bool {
			w.room(stream.IDSize)
			w.buf = id.Append(w.buf)
			w.uint64(uint64(p.Time))
			w.length(p.Count)
			return w.err == nil
		})
		w.consumers(t, g)
	}
}

// consumers writes the consumers of a group. The format has no place for pending entries without a consumer before version
// 14, which this package does not write: they are written as those of a consumer without a name, which other servers take
// them for. One that was never seen is how this package knows them again; if there really is a consumer without a name, the
// entries are its own when they are loaded.
func (w *writer) consumers(t Type, g *stream.Group) {
	orphans := g.Orphans()
	unnamed := g.Consumer(nil)
	n := len(g.Consumers())
	if orphans > 0 && unnamed == nil {
		w.length(uint64(n + 1))
		w.consumer(t, nil, 0, 0)
		w.length(uint64(orphans))
		w.orphans(g)
	} else {
		w.length(uint64(n))
	}
	for _, c := range g.Consumers() {
		w.consumer(t, c.Name(), c.Seen, c.Active)
		pending := c.NumPending()
		if c == unnamed {
			pending += orphans
		}
		w.length(uint64(pending))
		c.EachPending(func(id stream.ID) bool {
			w.room(stream.IDSize)
			w.buf = id.Append(w.buf)
			return w.err == nil
		})
		if c == unnamed && orphans > 0 {
			w.orphans(g)
		}
	}
}

func (w *writer) consumer(t Type, name []byte, seen, active int64) {
	w.text(name)
	w.uint64(uint64(seen))
	if t == typeStream3 {
		w.uint64(uint64(active))
	}
}

// orphans writes the IDs of the pending entries without a consumer.
func (w *writer) orphans(g *stream.Group) {
	g.EachPending(func(id stream.ID, _ stream.Pending, c *stream.Consumer) bool {
		if c == nil {
			w.room(stream.IDSize)
			w.buf = id.Append(w.buf)
		}
		return w.err == nil
	})
}

func (w *writer) streamID(id stream.ID) {
	w.length(id.Ms)
	w.length(id.Seq)
}

// activeTimes reports whether a consumer's active time differs from its seen time, so that it is lost without type 3.
func activeTimes(s *stream.Stream) bool {
	for _, g := range s.Groups() {
		for _, c := range g.Consumers() {
			if c.Active != c.Seen {
				return true
			}
		}
	}
	return false
}
