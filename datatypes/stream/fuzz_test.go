package stream

import (
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
)

// FuzzCorrupt makes a stream of nodes, an Info and pending entries that are perhaps no writer's, as a loader does, and
// runs operations on it. Nothing panics or runs for ever, sizes and lengths stay right, and a snapshot what it was.
func FuzzCorrupt(f *testing.F) {
	good := pack([]string{"f", "g"}, []entry{{}, {ms: 1, deleted: true}, {ms: 5, seq: -1, pairs: []string{"x", "7"}}, {ms: 9, pairs: []string{}}})
	f.Add([]byte(good), []byte(pack(nil, nil)), []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	// IDs that go back, entries of the next node, a first node whose entries are all deleted.
	f.Add([]byte(pack([]string{"f"}, []entry{{ms: 9}, {ms: 3}, {ms: -5, seq: -1}, {ms: 1 << 62}})),
		[]byte(pack([]string{"f"}, []entry{{ms: -7}, {deleted: true}})), []byte("\x10\x33\x51\x02\x19\x75\x64\x93\xf0\x11\x22\x33"))
	f.Add([]byte(pack([]string{"f"}, []entry{{deleted: true}})), []byte(pack(nil, []entry{{ms: 4, deleted: true}})),
		[]byte("\xaa\xbb\xcc\x01\x40\x06\x06\x06\x07\x07\x07\x08\x08\x08"))
	// Flags and counts in other encodings than the shortest.
	odd := listpack.New(0)
	for _, text := range []string{"1", "0", "0", "0", "0", "0", "0", "3"} {
		at := len(odd)
		odd = append(odd[:at-1], 0x80|byte(len(text)))
		odd = append(append(odd, text...), byte(1+len(text)), 0xff)
	}
	odd.PutHeader(8)
	f.Add([]byte(odd), []byte(odd), []byte("\x21\x12\x01\x02\x03\x04\x14\x24\x34\x44"))
	f.Fuzz(func(t *testing.T, a, b, ops []byte) {
		if len(a)+len(b)+len(ops) > 1<<14 {
			return
		}
		var gen cow.Generation
		s := New(&gen)
		next := func() int {
			if len(ops) == 0 {
				return 0
			}
			n := ops[0]
			ops = ops[1:]
			return int(n)
		}
		id := func() ID {
			switch n := next(); {
			case n >= 250:
				return ID{Ms: 1<<64 - 1, Seq: uint64(n) - 256}
			default:
				return ID{Ms: uint64(n >> 3), Seq: uint64(n & 7)}
			}
		}
		for _, lp := range []listpack.Listpack{a, b} {
			lp = lp.Clone()
			if len(lp) < listpack.Overhead {
				continue
			}
			lp[len(lp)-1] = 0xff
			lp.PutHeader(1<<16 - 1)
			if listpack.Validate(lp, true) != nil {
				continue
			}
			if n, err := Validate(lp); err == nil {
				s.AddNode(id(), lp, n, &gen)
			}
		}
		s.Info = Info{id(), id(), id(), uint64(next()) - 7}
		names := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
		if g := s.AddGroup(names[next()%2], id(), int64(next()-5), &gen); g != nil {
			before := g.Size()
			for n := next() % 8; n > 0; n-- {
				g.AddPending(id(), int64(next()-100), uint64(next())<<next(), &gen)
			}
			for n := next() % 4; n > 0; n-- {
				c := g.AddConsumer(names[next()%3], int64(next()), -1, &gen)
				for k := next() % 8; c != nil && k > 0; k-- {
					g.Own(c, id(), &gen)
				}
			}
			s.Account(g, before)
		}
		check(t, s)
		var old *Stream
		var text string
		var it Iter
		limits := Limits{Bytes: 60 * next(), Entries: next()}
		for len(ops) > 0 {
			switch next() % 16 {
			case 0:
				id, ok := s.NextID(uint64(next()))
				if ok {
					s.Append(id, [][]byte{[]byte("f"), []byte("value")}, limits, &gen)
				}
			case 1:
				s.Append(id(), [][]byte{[]byte("12"), []byte("34")}, limits, &gen)
			case 2:
				s.Delete(id(), &gen)
			case 3, 4:
				n := next()
				s.Trim(Trim{MinID: id(), MaxLen: next() & 7, ByID: n&1 > 0, Approx: n&2 > 0, Limit: n >> 6, Refs: Refs(n >> 2 % 3)}, &gen)
			case 5, 6:
				start, end := id(), id()
				for it.Start(s, start, end, next()&1 > 0); it.Next(); {
					s.Exists(it.ID())
					for it.Pairs() > 0 {
						it.Pair()
					}
				}
			case 7:
				if g := s.OwnGroup(names[next()%3], &gen); g != nil {
					c := s.OwnConsumer(g, names[next()%3], &gen)
					if c == nil {
						c = s.AddConsumer(g, names[next()%3], 0, -1, &gen)
					}
					s.Advance(g, id())
					s.SetPending(g, c, id(), int64(next()), uint64(next())<<next(), &gen)
				}
			case 8:
				if g := s.OwnGroup(names[next()%3], &gen); g != nil {
					for from := id(); ; {
						id, _, ok := g.NextPending(from)
						if !ok {
							break
						}
						s.Ack(g, id, &gen)
						from = id
					}
				}
			case 9:
				if g := s.OwnGroup(names[next()%3], &gen); g != nil {
					if id, p, ok := g.Oldest(); ok {
						g.Owner(p)
						s.SetPending(g, nil, id, p.Time+int64(next()), p.Count, &gen)
					}
				}
			case 10:
				if g := s.OwnGroup(names[next()%3], &gen); g != nil {
					s.RemoveConsumer(g, names[next()%3], &gen)
				}
			case 11:
				s.DropRefs(id(), &gen)
				s.Referenced(id())
			case 12:
				s.SetID(id(), int64(next()-1), id())
			case 13:
				for _, g := range s.Groups() {
					s.Lag(g)
				}
				s.Read(id())
				s.TopID()
				s.NextSeq(uint64(next()))
			case 14:
				s.AddGroup(names[next()%3], id(), Unknown, &gen)
				s.RemoveGroup(names[next()%3])
			case 15:
				if old == nil {
					old, text = s, textOf(s)
					gen.Pin()
					s = s.Fork(&gen)
				} else {
					if textOf(old) != text {
						t.Fatal("what a snapshot holds has changed")
					}
					gen.Unpin()
					old = nil
				}
			}
		}
		check(t, s)
		check(t, s.Clone(&gen))
	})
}
