package rdb

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
)

// slow passes on what is written a little at a time, so that the walk lasts.
type slow struct{ w io.Writer }

func (s slow) Write(b []byte) (int, error) {
	time.Sleep(200 * time.Microsecond)
	return s.w.Write(b)
}

// TestSaveBesideWriter encodes a snapshot in one goroutine while the owner changes, replaces, moves and deletes everything
// in another. What was encoded is what was there when the snapshot was taken. Run it with -race.
func TestSaveBesideWriter(t *testing.T) {
	ks := newKeyspace()
	m := newMaker(99, ks)
	gen := ks.Generation()
	for i := range 300 {
		for _, db := range ks.DBs()[:2] {
			db.Set(m.record(fmt.Appendf(nil, "key:%d", i), true))
		}
	}
	for round := range 3 {
		want := unencoded(ks)
		snap, err := ks.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var b memory
		done := make(chan error)
		go func() {
			done <- Save(slow{&b}, snap, &Options{Patch: b.patch, Checksum: true, Compress: round%2 == 0})
		}()
		for i := 0; ; i++ {
			select {
			case err = <-done:
			default:
				db := ks.DBs()[m.IntN(2)]
				change(m, db, fmt.Appendf(nil, "key:%d", m.IntN(400)))
				continue
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		snap.Release()
		got, _ := load(t, b.b)
		compare(t, unencoded(got), want)
		checkAccounts(t, ks)
		if gen.Pinned() {
			t.Fatal("still pinned")
		}
	}
}

// unencoded describes all keys but for their encodings: what has become small is made small when it is loaded.
func unencoded(ks *keyspace.Keyspace) map[string]string {
	m := contents(ks)
	for k, v := range m {
		_, v, _ = strings.Cut(v, " ")
		m[k] = v
	}
	return m
}

// change changes a key in some way.
func change(m *maker, db *keyspace.DB, key []byte) {
	r := db.Lookup(key)
	if r == nil || m.IntN(20) == 0 {
		db.Set(m.record(key, true))
		return
	}
	switch m.IntN(20) {
	case 0:
		db.Delete(key)
		return
	case 1:
		to := fmt.Appendf(nil, "key:%d", m.IntN(400))
		if !bytes.Equal(to, key) {
			db.Move(r, db, to)
		}
		return
	case 2:
		db.SetExpiry(r, now+1+m.Int64N(1<<40))
		return
	}
	gen := m.ks.Generation()
	if r.Type() == record.String {
		db.Write(key, r, m.IntN(1000), m.bytes(100))
		return
	}
	var change keyspace.Change
	switch r.Type() {
	case record.List:
		l, ch := keyspace.Begin[list.List](db, r)
		change = ch
		b := m.bytes(30)
		l.Grow(len(b), 1, m.rules.List)
		l.Push(b, m.IntN(2) == 0)
		if l.Len() > 3 {
			l.Set(m.IntN(l.Len()), m.bytes(30))
			l.Drop(m.IntN(2) == 0)
		}
	case record.Set:
		s, ch := keyspace.Begin[set.Set](db, r)
		change = ch
		s.Add(m.bytes(30), m.rules.Set, gen)
		if s.Len() > 3 {
			s.RemoveValue(s.Random(m.Uint64))
		}
	case record.Hash:
		h, ch := keyspace.Begin[hash.Hash](db, r)
		change = ch
		field, _ := h.Random(m.Uint64)
		text := append([]byte{}, elementText(field, nil)...)
		h.Set(text, m.bytes(30), m.rules.Hash, gen)
		h.SetDeadline(text, now+1+m.Int64N(1<<40), gen)
		h.Set(m.bytes(30), m.bytes(30), m.rules.Hash, gen)
		if h.Len() > 3 {
			h.Remove(text)
		}
	case record.ZSet:
		z, ch := keyspace.Begin[sortedset.SortedSet](db, r)
		change = ch
		z.Add(m.bytes(30), float64(m.IntN(50)), 0, m.rules.ZSet, gen)
		if z.Len() > 3 {
			z.Pop(m.IntN(2) == 0, func(listValue sortedset.Value, _ float64) {})
		}
	case record.Stream:
		s, ch := keyspace.Begin[stream.Stream](db, r)
		change = ch
		changeStream(m, s)
	}
	change.End()
}

// changeStream does to a stream what its commands do.
func changeStream(m *maker, s *stream.Stream) {
	gen := m.ks.Generation()
	// some returns the ID of an entry, or one near to it.
	some := func() stream.ID {
		id := stream.ID{Ms: s.First.Ms + m.Uint64N(s.Last.Ms-min(s.First.Ms, s.Last.Ms)+1), Seq: m.Uint64N(20)}
		var it stream.Iter
		if it.Start(s, id, stream.MaxID, m.IntN(2) == 0); it.Next() {
			return it.ID()
		}
		return id
	}
	if id, ok := s.NextID(s.Last.Ms + m.Uint64N(2)); ok {
		s.Append(id, [][]byte{[]byte("field0"), m.bytes(30), m.bytes(10), m.bytes(30)}, stream.Limits{Bytes: 4096, Entries: 100}, gen)
	}
	switch m.IntN(4) {
	case 0:
		s.Delete(some(), gen)
	case 1:
		trim := stream.Trim{MaxLen: max(s.Len()-m.IntN(20), 0), Approx: m.IntN(2) == 0, Refs: stream.Refs(m.IntN(3))}
		if m.IntN(3) == 0 {
			trim.ByID, trim.MinID = true, some()
		}
		s.Trim(trim, gen)
	case 2:
		name := fmt.Appendf(nil, "group%d", m.IntN(3))
		if s.AddGroup(name, some(), stream.Unknown, gen) == nil && m.IntN(5) == 0 {
			s.RemoveGroup(name)
		}
	}
	if len(s.Groups()) == 0 {
		return
	}
	g := s.OwnGroup(s.Groups()[m.IntN(len(s.Groups()))].Name(), gen)
	name := fmt.Appendf(nil, "consumer%d", m.IntN(5))
	c := s.OwnConsumer(g, name, gen)
	if c == nil {
		c = s.AddConsumer(g, name, now, -1, gen)
	}
	c.Seen = now + m.Int64N(100)
	var it stream.Iter
	k := 0
	for it.Start(s, g.Last, stream.MaxID, false); it.Next() && k < m.IntN(10); k++ {
		s.Advance(g, it.ID())
		s.SetPending(g, c, it.ID(), c.Seen, 1, gen)
	}
	for range m.IntN(5) {
		if id, p, ok := g.NextPending(some()); ok && m.IntN(2) == 0 {
			s.SetPending(g, c, id, c.Seen, p.Count+1, gen)
		} else if ok {
			s.Ack(g, id, gen)
		}
	}
	if m.IntN(20) == 0 {
		s.RemoveConsumer(g, name, gen)
	}
}
