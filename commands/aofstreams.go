package commands

import (
	"math"
	"strconv"

	"ferrous/aof"
	"ferrous/commands/session"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/stream"
)

// Streams in an append-only file without preamble.

// rebuildable reports whether commands make the stream again. They cannot make an entry pending that is there no more, nor
// what only a forged file can hold.
func rebuildable(s *stream.Stream) bool {
	var it stream.Iter
	before := stream.ID{}
	for it.Start(s, stream.ID{}, stream.MaxID, false); it.Next(); {
		if it.ID().Compare(before) <= 0 || it.Pairs() == 0 {
			return false
		}
		before = it.ID()
	}
	if s.Last.Compare(before) < 0 || s.Last.Compare(s.MaxDeleted) < 0 || s.Added < uint64(s.Len()) || s.Added > math.MaxInt64 ||
		s.Last == (stream.ID{}) && s.MaxDeleted != (stream.ID{}) {
		return false
	}
	for _, g := range s.Groups() {
		ok := true
		g.EachPending(func(id stream.ID, p stream.Pending, _ *stream.Consumer) bool {
			ok = s.Exists(id) && p.Count <= math.MaxInt64 && p.Time >= 0
			return ok
		})
		if !ok {
			return false
		}
	}
	return true
}

// writeStream writes a stream: its entries, what it knows of the past, groups, consumers, and what is pending with them.
func writeStream(w *aof.Commands, key []byte, s *stream.Stream) {
	element := func(v listpack.Value) {
		var text session.IntText
		w.Word(session.BytesOf(v, &text))
	}
	var it stream.Iter
	for it.Start(s, stream.ID{}, stream.MaxID, false); it.Next(); {
		w.Begin(3+2*it.Pairs(), "XADD")
		w.Word(key)
		w.WordString(it.ID().String())
		for it.Pairs() > 0 {
			field, value := it.Pair()
			element(field)
			element(value)
		}
	}
	if s.Len() == 0 { // an entry that goes at once
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
		g.EachPending(func(id stream.ID, p stream.Pending, c *stream.Consumer) bool {
			writePending(w, key, g, id, p, c)
			return true
		})
	}
}

// words writes a command about a key whose words need no care.
func words(w *aof.Commands, key []byte, verb string, args ...string) {
	w.Begin(2+len(args), verb)
	w.Word(key)
	for _, a := range args {
		w.WordString(a)
	}
}

// writePending writes an entry that is pending with a consumer, or with nobody.
func writePending(w *aof.Commands, key []byte, g *stream.Group, id stream.ID, p stream.Pending, c *stream.Consumer) {
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
