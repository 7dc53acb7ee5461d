package stream

import (
	"math"
	"strconv"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/serial"
)

// How a stream is written to files. The form in dumps is drawn in rdb/streams.go.

// WriteRDB writes the stream to a dump.
func (s *Stream) WriteRDB(w serial.RDB) {
	if w.Version() < serial.SetListpacks && !w.Fixed() && activeTimes(s) {
		w.Need(serial.SetListpacks, "")
	}
	t := serial.Stream
	switch {
	case w.Version() >= serial.SetListpacks:
		t = serial.Stream3
	case w.Version() >= serial.Listpacks:
		t = serial.Stream2
	}
	w.Begin(t)
	w.Length(uint64(s.NumNodes()))
	var raw [IDSize]byte
	s.Nodes(func(master ID, lp listpack.Listpack) bool {
		w.Text(master.Append(raw[:0]))
		w.Text(lp)
		return w.OK()
	})
	w.Length(uint64(s.Len()))
	writeID(w, s.Last)
	if t != serial.Stream {
		writeID(w, s.First)
		writeID(w, s.MaxDeleted)
		w.Length(s.Added)
	}
	w.Length(uint64(len(s.Groups())))
	for _, g := range s.Groups() {
		w.Text(g.Name())
		writeID(w, g.Last)
		if t != serial.Stream {
			w.Length(uint64(g.Read))
		}
		w.Length(uint64(g.NumPending()))
		g.EachPending(func(id ID, p Pending, _ *Consumer) bool {
			w.Raw(id.Append(raw[:0]))
			w.Uint64(uint64(p.Time))
			w.Length(p.Count)
			return w.OK()
		})
		writeConsumers(w, t, g)
	}
}

// writeConsumers writes the consumers of a group. The format has no place for pending entries without a consumer before version
// 14, which is not written: they are written as those of a consumer without a name, which other servers take them for. One that
// was never seen is how package rdb knows them again; if there really is a consumer without a name, the entries are its own
// when they are loaded.
func writeConsumers(w serial.RDB, t serial.Type, g *Group) {
	var raw [IDSize]byte
	orphans := g.Orphans()
	unnamed := g.Consumer(nil)
	n := len(g.Consumers())
	if orphans > 0 && unnamed == nil {
		w.Length(uint64(n + 1))
		writeConsumer(w, t, nil, 0, 0)
		w.Length(uint64(orphans))
		writeOrphans(w, g)
	} else {
		w.Length(uint64(n))
	}
	for _, c := range g.Consumers() {
		writeConsumer(w, t, c.Name(), c.Seen, c.Active)
		pending := c.NumPending()
		if c == unnamed {
			pending += orphans
		}
		w.Length(uint64(pending))
		c.EachPending(func(id ID) bool {
			w.Raw(id.Append(raw[:0]))
			return w.OK()
		})
		if c == unnamed && orphans > 0 {
			writeOrphans(w, g)
		}
	}
}

func writeConsumer(w serial.RDB, t serial.Type, name []byte, seen, active int64) {
	w.Text(name)
	w.Uint64(uint64(seen))
	if t == serial.Stream3 {
		w.Uint64(uint64(active))
	}
}

// writeOrphans writes the IDs of the pending entries without a consumer.
func writeOrphans(w serial.RDB, g *Group) {
	var raw [IDSize]byte
	g.EachPending(func(id ID, _ Pending, c *Consumer) bool {
		if c == nil {
			w.Raw(id.Append(raw[:0]))
		}
		return w.OK()
	})
}

func writeID(w serial.RDB, id ID) {
	w.Length(id.Ms)
	w.Length(id.Seq)
}

// activeTimes reports whether a consumer's active time differs from its seen time, so that it is lost without type 3.
func activeTimes(s *Stream) bool {
	for _, g := range s.Groups() {
		for _, c := range g.Consumers() {
			if c.Active != c.Seen {
				return true
			}
		}
	}
	return false
}

// rebuildable reports whether commands make the stream again. They cannot make an entry pending that is there no more, nor
// what only a forged file can hold.
func rebuildable(s *Stream) bool {
	var it Iter
	before := ID{}
	for it.Start(s, ID{}, MaxID, false); it.Next(); {
		if it.ID().Compare(before) <= 0 || it.Pairs() == 0 {
			return false
		}
		before = it.ID()
	}
	if s.Last.Compare(before) < 0 || s.Last.Compare(s.MaxDeleted) < 0 || s.Added < uint64(s.Len()) || s.Added > math.MaxInt64 ||
		s.Last == (ID{}) && s.MaxDeleted != (ID{}) {
		return false
	}
	for _, g := range s.Groups() {
		ok := true
		g.EachPending(func(id ID, p Pending, _ *Consumer) bool {
			ok = s.Exists(id) && p.Count <= math.MaxInt64 && p.Time >= 0
			return ok
		})
		if !ok {
			return false
		}
	}
	return true
}

// WriteCommands writes the commands that make the stream: its entries, what it knows of the past, groups, consumers, and what
// is pending with them. It returns false, having written nothing, if commands cannot make it.
func (s *Stream) WriteCommands(w serial.Commands, key []byte) bool {
	if !rebuildable(s) {
		return false
	}
	var it Iter
	for it.Start(s, ID{}, MaxID, false); it.Next(); {
		w.Begin(3+2*it.Pairs(), "XADD")
		w.Word(key)
		w.WordString(it.ID().String())
		for it.Pairs() > 0 {
			field, value := it.Pair()
			w.WordElement(field)
			w.WordElement(value)
		}
	}
	if s.Len() == 0 { // an entry that is deleted at once
		id := s.Last
		if id.IsZero() {
			id.Seq = 1
		}
		words(w, key, "XADD", "MAXLEN", "0", id.String(), "x", "y")
	}
	words(w, key, "XSETID", s.Last.String(), "ENTRIESADDED", strconv.FormatUint(s.Added, 10), "MAXDELETEDID", s.MaxDeleted.String())
	for _, g := range s.Groups() {
		w.Begin(7, "XGROUP")
		w.WordString("CREATE")
		w.Word(key)
		w.Word(g.Name())
		w.WordString(g.Last.String())
		w.WordString("ENTRIESREAD")
		w.WordInt(g.Read)
		for _, c := range g.Consumers() {
			w.Begin(5, "XGROUP")
			w.WordString("CREATECONSUMER")
			w.Word(key)
			w.Word(g.Name())
			w.Word(c.Name())
		}
		g.EachPending(func(id ID, p Pending, c *Consumer) bool {
			writePending(w, key, g, id, p, c)
			return true
		})
	}
	return true
}

// words writes a command about a key whose words need no care.
func words(w serial.Commands, key []byte, verb string, args ...string) {
	w.Begin(2+len(args), verb)
	w.Word(key)
	for _, a := range args {
		w.WordString(a)
	}
}

// writePending writes an entry that is pending with a consumer, or with nobody.
func writePending(w serial.Commands, key []byte, g *Group, id ID, p Pending, c *Consumer) {
	if c == nil {
		w.Begin(10, "XNACK")
		w.Word(key)
		w.Word(g.Name())
		w.WordString("FAIL")
		w.WordString("IDS")
		w.WordString("1")
		w.WordString(id.String())
		w.WordString("RETRYCOUNT")
		w.WordInt(int64(p.Count))
		w.WordString("FORCE")
		return
	}
	w.Begin(12, "XCLAIM")
	w.Word(key)
	w.Word(g.Name())
	w.Word(c.Name())
	w.WordString("0")
	w.WordString(id.String())
	w.WordString("TIME")
	w.WordInt(p.Time)
	w.WordString("RETRYCOUNT")
	w.WordInt(int64(p.Count))
	w.WordString("JUSTID")
	w.WordString("FORCE")
}
