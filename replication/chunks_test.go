package replication

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestChunksModel compares chunks and cursors with a plain slice.
func TestChunksModel(t *testing.T) {
	for seed := uint64(0); seed < 300; seed++ {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s Chunks
		base := rng.Int64N(1000)
		s.init(base, 1+rng.IntN(40))
		var all []byte // from base on
		type reader struct {
			c   Cursor
			pos int64
		}
		var readers []*reader
		for step := 0; step < 400; step++ {
			switch rng.IntN(8) {
			case 0, 1:
				p := make([]byte, rng.IntN(100))
				for i := range p {
					p[i] = byte(rng.IntN(256))
				}
				all = append(all, p...)
				switch rng.IntN(3) {
				case 0:
					s.own(bytes.Clone(p))
				case 1:
					s.writeString(string(p))
				default:
					s.write(p)
				}
			case 2:
				if len(readers) < 5 {
					pos := s.start() + rng.Int64N(s.end-s.start()+1)
					readers = append(readers, &reader{s.at(pos), pos})
				}
			case 3, 4:
				if len(readers) == 0 {
					break
				}
				r := readers[rng.IntN(len(readers))]
				limit := r.pos + rng.Int64N(s.end-r.pos+1)
				bufs, n := r.c.slices(nil, limit, rng.IntN(150))
				got := bytes.Join(bufs, nil)
				if len(got) != n || !bytes.Equal(got, all[r.pos-base:r.pos-base+int64(n)]) {
					t.Fatalf("seed %d: read %x at %d, want %x", seed, got, r.pos, all[r.pos-base:][:n])
				}
				k := rng.IntN(n + 1)
				r.c.advance(k)
				r.pos += int64(k)
			case 5:
				if len(readers) > 0 {
					i := rng.IntN(len(readers))
					readers[i].c.close()
					readers = append(readers[:i], readers[i+1:]...)
				}
			case 6:
				s.trim(s.start()+rng.Int64N(s.end-s.start()+1), rng.IntN(5))
			case 7:
				if rng.IntN(4) > 0 {
					break
				}
				low := s.start()
				for _, r := range readers {
					low = max(low, r.pos)
				}
				at := low + rng.Int64N(s.end-low+1)
				s.cut(at)
				all = all[:at-base]
			}
			var mem, refs int64
			for i, c := range s.list {
				mem += int64(cap(c.buf)) + chunkOverhead
				refs += int64(c.refs)
				if i+1 < len(s.list) && (c.end() != s.list[i+1].start || c.next != s.list[i+1]) {
					t.Fatalf("seed %d: chunk %d is not followed by the next", seed, i)
				}
			}
			if mem != s.mem || int(refs) != len(readers) || s.end != base+int64(len(all)) {
				t.Fatalf("seed %d: memory %d of %d, %d cursors of %d, end %d of %d", seed, s.mem, mem, refs, len(readers),
					s.end, base+int64(len(all)))
			}
		}
	}
}

// TestBacklogIsBounded holds that a backlog stays near its size, without losing what it promises to keep, whatever the
// size of commands.
func TestBacklogIsBounded(t *testing.T) {
	s := defaults()
	s.BacklogSize = 100_000
	b := newBench(t, s)
	b.sync(1)
	b.ReplicaClosed(b.now, b.Replicas()[0])
	for i, size := range []int{10, 1000, 90_000, 3_000_000, 10, 500} {
		for range 3000 / (i + 1) / (size/1000 + 1) {
			b.Feed(0, [][]byte{[]byte("SET"), []byte("k"), make([]byte, size)})
		}
		for range 500 {
			b.feed(0, "INCR x")
		}
		if n := b.Backlog.Len(); n < s.BacklogSize || n > 2*s.BacklogSize {
			t.Errorf("values of %d bytes: %d bytes are kept", size, n)
		}
		if b.Backlog.First()+b.Backlog.Len()-1 != b.History.Offset {
			t.Errorf("first %d, length %d, offset %d", b.Backlog.First(), b.Backlog.Len(), b.History.Offset)
		}
		if m := b.Backlog.Memory(); m > 3*s.BacklogSize {
			t.Errorf("values of %d bytes: %d bytes of memory", size, m)
		}
	}
}

// TestOneCopy holds that stalled replicas share what they have not read.
func TestOneCopy(t *testing.T) {
	b := newBench(t, defaults())
	for i := range 8 {
		b.sync(i + 1)
	}
	value := make([]byte, 1000)
	for range 30_000 {
		b.Feed(0, [][]byte{[]byte("SET"), []byte("key"), value})
	}
	if m := b.Backlog.Memory(); m < 30e6 || m > 33e6 {
		t.Errorf("30 MB for eight stalled replicas take %d bytes", m)
	}
	var want []byte
	for i, r := range b.Replicas() {
		got := []byte(b.output(r))
		if i == 0 {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("replica %d got other bytes", i)
		}
	}
	for range 2000 {
		b.Feed(0, [][]byte{[]byte("SET"), []byte("key"), value})
	}
	for _, r := range b.Replicas() {
		b.output(r)
	}
	b.Feed(0, args("INCR x"))
	for range 1000 {
		b.Feed(0, args("INCR x"))
	}
	if m := b.Backlog.Memory(); m > 2<<20 {
		t.Errorf("%d bytes are kept when all have read", m)
	}
}

// TestFeedAllocates nothing for a steady stream.
func TestFeedAllocates(t *testing.T) {
	b := newBench(t, defaults())
	r := b.sync(1)
	argv := args("SET key value")
	bufs := make([][]byte, 0, 8)
	step := func() {
		b.Feed(0, argv)
		for r.Pending() {
			n := 0
			bufs = r.Output(bufs[:0], 1<<16)
			for _, p := range bufs {
				n += len(p)
			}
			r.Wrote(b.now, n)
		}
	}
	for range 200_000 {
		step()
	}
	if n := testing.AllocsPerRun(10_000, step); n > 0.01 {
		t.Errorf("%v allocations a command", n)
	}
}

func BenchmarkFeed(b *testing.B) {
	n := New(Options{NewID: func() string { return NoID }}, defaults())
	n.needBacklog()
	argv := args("SET key:000000000001 xxxxxxxxxxxxxxxx")
	b.ReportAllocs()
	for b.Loop() {
		n.Feed(0, argv)
	}
}

// TestPayloadPieces holds that the pieces of a payload are used again once all replicas have read them, and only then: what is sent
// is whole, and the payload, four times its room, makes no more pieces than the room takes.
func TestPayloadPieces(t *testing.T) {
	s := defaults()
	s.Diskless, s.DisklessDelay = true, 1 // both get one payload
	b := newBench(t, s)
	readers := []*Replica{b.replica(1), b.replica(2)}
	for _, r := range readers {
		if reply := b.Psync(b.now, r, args("? -1"), false, ""); reply != "" {
			t.Fatal(reply)
		}
	}
	b.pass(2)
	j := found[StartJob](b).Job
	b.JobStarted(b.now, j)
	if len(j.Members()) != len(readers) {
		t.Fatalf("%d replicas share the payload", len(j.Members()))
	}
	rng := rand.New(rand.NewPCG(5, 5))
	const piece = 64 << 10
	var sent []byte
	got := make([][]byte, len(readers))
	made := 0
	read := func(i, most int) {
		r, n := readers[i], 0
		for _, p := range r.Output(nil, most) {
			got[i] = append(got[i], p...)
			n += len(p)
		}
		r.Wrote(b.now, n)
		b.take()
	}
	for len(sent) < 4*payloadRoom {
		for j.Payload.Room() > 0 {
			p := j.Payload.Spent()
			if cap(p) < piece {
				p = make([]byte, piece)
				made++
			}
			p = p[:piece]
			for i := 0; i < piece; i += 64 {
				p[i] = byte(rng.Uint32())
			}
			sent = append(sent, p...)
			b.PayloadData(j.Payload, p)
		}
		for i := range readers {
			for range 1 + rng.IntN(20) {
				read(i, 1+rng.IntN(2*piece))
			}
		}
	}
	b.JobDone(b.now, j, int64(len(sent)), nil)
	for i, r := range readers {
		for r.Pending() {
			read(i, 1<<20)
		}
		if !bytes.Contains(got[i], sent) {
			t.Errorf("replica %d did not get the payload", i)
		}
	}
	if most := payloadRoom/piece + 2; made > most {
		t.Errorf("%d pieces were made, %d fit into the room", made, most)
	}
}
