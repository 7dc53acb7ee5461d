package stream

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"ferrous/datatypes/cow"
)

var large = flag.Int("large", 500_000, "entries of the stream whose costs are measured; a tenth of them are pending")

var redisLimits = Limits{Bytes: 4096, Entries: 100}

// eventOf returns two fields of eight bytes.
func eventOf(i int) [][]byte {
	return [][]byte{[]byte("field-01"), binary.BigEndian.AppendUint64(nil, uint64(i)|1<<62), []byte("field-02"),
		binary.BigEndian.AppendUint64(nil, uint64(i)|1<<63)}
}

// largeStream has n entries, 50 a millisecond, of which a tenth are pending with ten consumers of group g.
func largeStream(t testing.TB, n int, gen *cow.Generation) *Stream {
	t.Helper()
	s := New(gen)
	pairs := eventOf(0)
	for i := range n {
		binary.BigEndian.PutUint64(pairs[1], uint64(i)|1<<62)
		binary.BigEndian.PutUint64(pairs[3], uint64(i)|1<<63)
		if err := s.Append(idOf(i), pairs, redisLimits, gen); err != nil {
			t.Fatal(err)
		}
	}
	g := s.AddGroup([]byte("g"), ID{}, 0, gen)
	var cs []*Consumer
	for i := range 10 {
		cs = append(cs, s.AddConsumer(g, fmt.Append(nil, "consumer-", i), 0, -1, gen))
	}
	for i := range n / 10 {
		id := idOf(i)
		s.Advance(g, id)
		s.SetPending(g, cs[i/10%10], id, int64(i/50), 1, gen)
	}
	return s
}

func idOf(i int) ID { return ID{Ms: 1_700_000_000_000 + uint64(i/50), Seq: uint64(i % 50)} }

// While a snapshot is held, no operation copies more than a few KiB.
func TestCopied(t *testing.T) {
	var gen cow.Generation
	n := *large
	s := largeStream(t, n, &gen)
	check(t, s)
	next := n
	for name, op := range map[string]func(s *Stream){
		"append": func(s *Stream) {
			if s.Append(idOf(next), eventOf(next), redisLimits, &gen) != nil {
				t.Fatal("not appended")
			}
		},
		"delete": func(s *Stream) {
			if !s.Delete(idOf(n/2), &gen) {
				t.Fatal("not deleted")
			}
		},
		"trim": func(s *Stream) {
			if s.Trim(Trim{MaxLen: n - 150}, &gen) != 150 {
				t.Fatal("not trimmed")
			}
		},
		"ack": func(s *Stream) {
			if !s.Ack(s.OwnGroup([]byte("g"), &gen), idOf(n/20), &gen) {
				t.Fatal("not acknowledged")
			}
		},
		"claim": func(s *Stream) {
			g := s.OwnGroup([]byte("g"), &gen)
			c := s.OwnConsumer(g, []byte("consumer-3"), &gen)
			if s.SetPending(g, c, idOf(n/20), 77, 2, &gen) {
				t.Fatal("was not pending")
			}
		},
		"deliver": func(s *Stream) {
			g := s.OwnGroup([]byte("g"), &gen)
			c := s.OwnConsumer(g, []byte("consumer-3"), &gen)
			var it Iter
			from, _ := g.Last.Next()
			it.Start(s, from, MaxID, false)
			if !it.Next() || !s.Advance(g, it.ID()) || !s.SetPending(g, c, it.ID(), 77, 1, &gen) {
				t.Fatal("not delivered")
			}
		},
		"oldest": func(s *Stream) {
			g := s.OwnGroup([]byte("g"), &gen)
			id, p, _ := g.Oldest()
			if !s.Ack(g, id, &gen) || p.Count != 1 {
				t.Fatal("none is oldest")
			}
		},
	} {
		length, size, pending := s.Len(), s.Size(), s.Group([]byte("g")).NumPending()
		gen.Pin()
		f := s.Fork(&gen)
		op(f)
		copied := gen.Copied()
		t.Logf("%s copies %d bytes", name, copied)
		if copied == 0 || copied > 16<<10 {
			t.Errorf("%s copies %d bytes", name, copied)
		}
		check(t, f)
		if s.Len() != length || s.Size() != size || s.Group([]byte("g")).NumPending() != pending {
			t.Errorf("%s changes what the snapshot holds", name)
		}
		gen.Unpin()
	}
}

// What is done for every entry allocates nothing but nodes and rooms.
func TestAllocations(t *testing.T) {
	var gen cow.Generation
	s := largeStream(t, 20_000, &gen)
	g := s.OwnGroup([]byte("g"), &gen)
	c := s.OwnConsumer(g, []byte("consumer-3"), &gen)
	pairs := eventOf(0)
	i := 20_000
	nodes := s.NumNodes()
	perEntry := testing.AllocsPerRun(10_000, func() {
		s.Append(idOf(i), pairs, redisLimits, &gen)
		i++
	})
	if perEntry != 0 {
		t.Errorf("append allocates %v", perEntry)
	}
	// A node is its struct, its listpack, and every 64 nodes a leaf.
	before := s.NumNodes()
	perNode := testing.AllocsPerRun(100, func() {
		for range redisLimits.Entries {
			s.Append(idOf(i), pairs, redisLimits, &gen)
			i++
		}
	})
	if got := s.NumNodes() - before; got < 100 || perNode > 2 {
		t.Errorf("%v allocations for each of %d nodes", perNode, got)
	}
	if s.NumNodes() <= nodes {
		t.Error("no new nodes")
	}
	var it Iter
	none := func(name string, fn func()) {
		t.Helper()
		if n := testing.AllocsPerRun(500, fn); n != 0 {
			t.Errorf("%s allocates %v", name, n)
		}
	}
	at := 0
	none("range", func() {
		k := 0
		for it.Start(s, idOf(at), MaxID, at%2 == 1); k < 10 && it.Next(); k++ {
			for it.Pairs() > 0 {
				it.Pair()
			}
		}
		at++
	})
	none("deliver", func() {
		from, _ := g.Last.Next()
		it.Start(s, from, MaxID, false)
		it.Next()
		s.Advance(g, it.ID())
		s.SetPending(g, c, it.ID(), 5, 1, &gen)
	})
	acked := 0
	none("ack", func() {
		if !s.Ack(g, idOf(acked), &gen) {
			t.Fatal("nothing to acknowledge")
		}
		acked++
	})
	none("claim", func() {
		id, p, _ := g.Oldest()
		s.SetPending(g, c, id, 1_000_000, p.Count+1, &gen)
	})
	none("delete", func() {
		s.Delete(idOf(i-1), &gen)
		i--
	})
	// A consumer that has one entry pending at a time.
	one := s.AddConsumer(g, []byte("one"), 0, -1, &gen)
	s.SetPending(g, one, idOf(i), 1, 1, &gen)
	s.Ack(g, idOf(i), &gen)
	none("one entry pending", func() {
		s.SetPending(g, one, idOf(i), 1, 1, &gen)
		s.Ack(g, idOf(i), &gen)
	})
	check(t, s)
}

// What stays pending when the rest was acknowledged at random takes little more than what was delivered and all is pending.
func TestBytesOfPending(t *testing.T) {
	const n = 100_000
	var gen cow.Generation
	s := largeStream(t, 10*n, &gen)
	g := s.OwnGroup([]byte("g"), &gen)
	pending := func(what string, most float64) {
		t.Helper()
		got := float64(g.Size()) / float64(g.NumPending())
		t.Logf("%s: %.1f bytes a pending entry", what, got)
		if got > most {
			t.Errorf("%s: %.1f bytes a pending entry, want at most %v", what, got, most)
		}
	}
	pending("all", 52)
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for i, at := range order[:n*9/10] {
		s.Ack(g, idOf(at), &gen)
		if i == n/2 {
			pending("half", 62)
		}
	}
	pending("a tenth", 75)
	check(t, s)
}

func BenchmarkAppend(b *testing.B) {
	var gen cow.Generation
	s := New(&gen)
	pairs := eventOf(0)
	b.ReportAllocs()
	for i := range b.N {
		s.Append(idOf(i), pairs, redisLimits, &gen)
	}
	b.ReportMetric(float64(s.Size())/float64(b.N), "B/entry")
}

func BenchmarkAppendTrim(b *testing.B) {
	for _, approx := range []bool{true, false} {
		b.Run(fmt.Sprint("approx=", approx), func(b *testing.B) {
			var gen cow.Generation
			s := largeStream(b, 10_000, &gen)
			pairs := eventOf(0)
			b.ReportAllocs()
			for i := range b.N {
				s.Append(idOf(10_000+i), pairs, redisLimits, &gen)
				s.Trim(Trim{MaxLen: 10_000, Approx: approx, Limit: 10_000}, &gen)
			}
		})
	}
}

func BenchmarkRange10(b *testing.B) {
	var gen cow.Generation
	s := largeStream(b, 500_000, &gen)
	for _, where := range []string{"anywhere", "at the end"} {
		b.Run(where, func(b *testing.B) {
			b.ReportAllocs()
			var it Iter
			for i := range b.N {
				at := i * 7919 % 500_000
				if where != "anywhere" {
					at = 500_000 - 10
				}
				k := 0
				for it.Start(s, idOf(at), MaxID, false); k < 10 && it.Next(); k++ {
					for it.Pairs() > 0 {
						it.Pair()
					}
				}
			}
		})
	}
}

func BenchmarkDeliverAck(b *testing.B) {
	var gen cow.Generation
	s := largeStream(b, 500_000, &gen)
	g := s.OwnGroup([]byte("g"), &gen)
	c := s.OwnConsumer(g, []byte("consumer-3"), &gen)
	b.ReportAllocs()
	for i := range b.N {
		id := idOf(50_000 + i)
		s.SetPending(g, c, id, int64(i), 1, &gen)
		s.Ack(g, idOf(i), &gen)
	}
}

func BenchmarkAck(b *testing.B) {
	var gen cow.Generation
	s := New(&gen)
	g := s.AddGroup([]byte("g"), ID{}, 0, &gen)
	c := s.AddConsumer(g, []byte("c"), 0, 0, &gen)
	for i := range b.N {
		s.SetPending(g, c, idOf(i), 0, 1, &gen)
	}
	b.ReportMetric(float64(s.Size())/float64(b.N), "B/pending")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s.Ack(g, idOf(i), &gen)
	}
}

// Half of what is pending with ten consumers is acknowledged at random.
func BenchmarkAckRandom(b *testing.B) {
	var gen cow.Generation
	s := largeStream(b, 10*2*b.N, &gen)
	g := s.OwnGroup([]byte("g"), &gen)
	order := rand.New(rand.NewPCG(1, 2)).Perm(2 * b.N)[:b.N]
	without := s.Size() - g.Size()
	b.ReportAllocs()
	b.ResetTimer()
	for _, i := range order {
		s.Ack(g, idOf(i), &gen)
	}
	b.ReportMetric(float64(s.Size()-without)/float64(b.N), "B/pending")
}

func BenchmarkClaimOldest(b *testing.B) {
	var gen cow.Generation
	s := largeStream(b, 1_000_000, &gen)
	g := s.OwnGroup([]byte("g"), &gen)
	c := s.OwnConsumer(g, []byte("consumer-3"), &gen)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		id, p, _ := g.Oldest()
		s.SetPending(g, c, id, 1_000_000+int64(i), p.Count+1, &gen)
	}
}
