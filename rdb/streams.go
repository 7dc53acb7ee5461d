package rdb

import (
	"fmt"
	"math"
	"unsafe"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// A stream in the format: its nodes, each the master ID and the listpack; number of entries; last ID; from version 2 of the
// type on the first ID, the greatest deleted one and the number of entries ever added; then the groups: name, last ID, from
// version 2 on the number of entries read; all pending entries with time and number of deliveries; the consumers: name, seen
// time, from version 3 on active time, and the IDs of their pending entries. In the format each pending entry has a consumer:
// those without one (XNACK) are written for a consumer with an empty name.

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
	// Early versions of Redis 5 counted wrong when entries were deleted. Like Redis, the loader accepts such a file whatever
	// the setting of sanitize-dump-payload, but it counts the entries.
	claimed := d.length()
	if claimed != uint64(s.Len()) {
		if !d.file || s.NumNodes() == 0 {
			d.failf("Stream length inconsistent with rax entries: %d entries of %d", s.Len(), claimed)
		}
		d.oddity = fmt.Sprintf("the stream is said to have %d entries and has %d; these are counted", claimed, s.Len())
	}
	s.Last = d.streamID()
	if t != typeStream {
		s.First, s.MaxDeleted = d.streamID(), d.streamID()
		s.Added = d.length()
	} else {
		s.First = s.FirstID()
		s.Added = max(min(claimed, math.MaxInt64), uint64(s.Len()))
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
	d.scratch = append(d.scratch[:0], d.string()...)
	name := d.scratch
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
	given := 0 // pending entries without a consumer (XNACK)
	for n := d.length(); n > 0; n-- {
		d.scratch = append(d.scratch[:0], d.string()...)
		seen := int64(d.uint64())
		active := seen // older versions have nothing better
		if t == typeStream3 {
			active = int64(d.uint64())
		}
		if len(d.scratch) == 0 && seen == 0 && active == 0 { // see writeConsumers in datatypes/stream
			given += d.givenBack(g)
			continue
		}
		c := g.AddConsumer(d.scratch, seen, active, d.gen)
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

// givenBack reads the IDs of pending entries without a consumer, and returns their number.
func (d *decoder) givenBack(g *stream.Group) (n int) {
	for left := d.length(); left > 0; left-- {
		if _, ok := g.Pending(stream.ParseID(d.view(stream.IDSize))); !ok {
			d.fail("Consumer entry not found in group global PEL")
		}
		n++
	}
	return n
}
