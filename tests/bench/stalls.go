package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/stream"
	"ferrous/datatypes/zset"
)

// stallResult is the slowest single writes to a collection while a snapshot of it is held, in microseconds. Processor
// time is that of the thread which writes: on a busy machine the clock shows mostly the wait for a processor. The kernel
// counts interrupts for the thread that runs at that moment, and a virtual machine may take long for the first touch of a
// page. So the same writes are made several times, each time to a collection built anew, and the least time of each counts:
// what the write itself costs it costs every time. The type "arithmetic" is a control that touches no memory: what is slow
// there is the machine.
type stallResult struct {
	Type    string  `json:"type"`
	Members int     `json:"members"`
	GC      bool    `json:"gc"`
	First   float64 `json:"first_cpu_us"` // the first write after the snapshot began, which forks the collection
	Slowest float64 `json:"slowest_cpu_us"`
	Always  float64 `json:"slowest_cpu_us_every_time"` // the slowest when each write counts with its least time
	Wall    float64 `json:"slowest_wall_us"`
	Over    int     `json:"writes_over_1ms_cpu"`
	Mean    float64 `json:"mean_cpu_us"`
}

const (
	stallRounds = 5
	stallTimes  = 3
	stallWrites = 50_000
	stallGC     = 25 // the server collects when garbage is a quarter of the data
)

var stallKey = []byte("collection")

// stalled is a collection under test: snapshot freezes it until the function that it returns is called, write makes the
// i-th change.
type stalled struct {
	snapshot func() (release func())
	write    func(i int, rnd *rand.Rand)
}

// stallMember writes a member of 16 bytes, in no order.
func stallMember(buf *[16]byte, i int) []byte {
	binary.BigEndian.PutUint64(buf[:], uint64(i)*0x9e3779b97f4a7c15)
	return buf[:]
}

// inKeyspace returns a database with one collection, whose record is passed to write.
func inKeyspace(t record.Type, e record.Encoding, make func(gen *cow.Generation) unsafe.Pointer,
	write func(r *record.Record, gen *cow.Generation, i int, rnd *rand.Rand)) stalled {
	ks := keyspace.New(1, 1)
	db := ks.DBs()[0]
	db.Set(record.NewObject(t, e, stallKey, make(db.Generation()), record.NoExpiry, 0))
	return stalled{
		snapshot: func() func() {
			s, err := ks.Snapshot()
			if err != nil {
				panic(err)
			}
			return s.Release
		},
		write: func(i int, rnd *rand.Rand) { write(db.Own(db.Lookup(stallKey)), db.Generation(), i, rnd) },
	}
}

func stalledTypes(members int) []struct {
	name string
	make func() stalled
} {
	var buf, value [16]byte
	return []struct {
		name string
		make func() stalled
	}{
		{"hash", func() stalled {
			rules := hash.Rules{}
			return inKeyspace(record.Hash, record.HashTable, func(gen *cow.Generation) unsafe.Pointer {
				h := hash.New(gen)
				for i := range members {
					h.Set(stallMember(&buf, i), value[:], rules, gen)
				}
				return unsafe.Pointer(h)
			}, func(r *record.Record, gen *cow.Generation, i int, rnd *rand.Rand) {
				h := record.Value[hash.Hash](r)
				if field := stallMember(&buf, rnd.IntN(2*members)); i%8 == 0 {
					h.Remove(field)
				} else {
					h.Set(field, value[:], rules, gen)
				}
			})
		}},
		{"set", func() stalled {
			rules := set.Rules{}
			return inKeyspace(record.Set, record.HashTable, func(gen *cow.Generation) unsafe.Pointer {
				s := set.New(stallMember(&buf, 0), members, rules, gen)
				for i := range members {
					s.Add(stallMember(&buf, i), rules, gen)
				}
				return unsafe.Pointer(s)
			}, func(r *record.Record, gen *cow.Generation, i int, rnd *rand.Rand) {
				s := record.Value[set.Set](r)
				if member := stallMember(&buf, rnd.IntN(2*members)); i%4 == 0 {
					s.Remove(member)
				} else {
					s.Add(member, rules, gen)
				}
			})
		}},
		{"zset", func() stalled {
			gen := new(cow.Generation)
			z := zset.New(gen)
			for i := range members {
				z.Set(stallMember(&buf, i), float64(i))
			}
			return stalled{
				snapshot: func() func() { gen.Pin(); return gen.Unpin },
				write: func(i int, rnd *rand.Rand) {
					if !z.Owned() {
						z = z.Fork()
					}
					if member := stallMember(&buf, rnd.IntN(2*members)); i%8 == 0 {
						z.Remove(member)
					} else {
						z.Set(member, float64(rnd.IntN(members)))
					}
				},
			}
		}},
		{"list", func() stalled {
			return inKeyspace(record.List, record.QuickList, func(gen *cow.Generation) unsafe.Pointer {
				l := list.New(gen)
				rules := list.Rules{Set: quicklist.NewSettings(gen), Fill: -2}
				l.Grow(1<<20, 1, rules)
				for i := range members {
					l.Push(stallMember(&buf, i), false)
				}
				return unsafe.Pointer(l)
			}, func(r *record.Record, _ *cow.Generation, i int, rnd *rand.Rand) {
				l := record.Value[list.List](r)
				switch i % 4 {
				case 0:
					l.Push(stallMember(&buf, i), i%8 == 0)
				case 1:
					l.Drop(i%8 == 1)
				default:
					l.Set(rnd.IntN(l.Len()), stallMember(&buf, i))
				}
			})
		}},
		{"stream", func() stalled { return stalledStream(members) }},
		{"arithmetic", func() stalled {
			return stalled{
				snapshot: func() func() { return func() {} },
				write: func(i int, rnd *rand.Rand) {
					x := rnd.Uint64()
					for range 5000 {
						x = x*0x9e3779b97f4a7c15 + uint64(i)
					}
					binary.BigEndian.PutUint64(value[:], x)
				},
			}
		}},
	}
}

// stalledStream is a stream of so many entries, a fifth of which is pending with ten consumers. Entries are added, delivered,
// acknowledged and deleted alternately.
func stalledStream(members int) stalled {
	var value [8]byte
	binary.BigEndian.PutUint64(value[:], 1<<62)
	pairs := [][]byte{[]byte("field-01"), value[:], []byte("field-02"), value[:]}
	limits := stream.Limits{Bytes: 4096, Entries: 100}
	idOf := func(i int) stream.ID { return stream.ID{Ms: streamBase + uint64(i/50), Seq: uint64(i % 50)} }
	group := []byte(streamGroup)
	consumer := func(i int) []byte { return []byte("consumer:" + string(rune('0'+i%pelConsumers))) }
	added := 0
	add := func(s *stream.Stream, gen *cow.Generation) {
		if err := s.Append(idOf(added), pairs, limits, gen); err != nil {
			panic(err)
		}
		added++
	}
	var it stream.Iter
	deliver := func(s *stream.Stream, gen *cow.Generation, i int) {
		g := s.OwnGroup(group, gen)
		c := s.OwnConsumer(g, consumer(i), gen)
		from, _ := g.Last.Next()
		if it.Start(s, from, stream.MaxID, false); it.Next() {
			s.Advance(g, it.ID())
			s.SetPending(g, c, it.ID(), int64(i), 1, gen)
		}
	}
	return inKeyspace(record.Stream, record.StreamTree, func(gen *cow.Generation) unsafe.Pointer {
		s := stream.New(gen)
		for range members {
			add(s, gen)
		}
		g := s.AddGroup(group, stream.ID{}, 0, gen)
		for i := range pelConsumers {
			s.AddConsumer(g, consumer(i), 0, -1, gen)
		}
		for i := range members / 5 {
			deliver(s, gen, i)
		}
		return unsafe.Pointer(s)
	}, func(r *record.Record, gen *cow.Generation, i int, rnd *rand.Rand) {
		s := record.Value[stream.Stream](r)
		switch i % 4 {
		case 0:
			add(s, gen)
		case 1:
			deliver(s, gen, rnd.IntN(pelConsumers))
		case 2:
			s.Ack(s.OwnGroup(group, gen), idOf(rnd.IntN(members/5)), gen)
		default:
			s.Delete(idOf(rnd.IntN(members)), gen)
		}
	})
}

func (b *bench) stallSection() error {
	fmt.Printf("\n## Slowest single write to a collection of %d elements while a snapshot is held (%d snapshots, %d writes each, all of it %d times)\n\n",
		b.members, stallRounds, stallWrites, stallTimes)
	fmt.Println("Microseconds in this process, without network: processor time of the writing thread, and the clock for comparison.")
	fmt.Println()
	fmt.Println("| type | collector | first write | slowest | slowest every time | over 1 ms | slowest by the clock | mean |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, t := range stalledTypes(b.members) {
		if !slices.Contains(b.stallTypes, t.name) {
			continue
		}
		for _, gc := range []bool{false, true} {
			r := stallResult{Type: t.name, Members: b.members, GC: gc}
			least := make([]time.Duration, stallRounds*stallWrites)
			for range stallTimes {
				if err := b.ctx.Err(); err != nil {
					return err
				}
				t.make().measure(&r, least)
			}
			r.Always = micros(slices.Max(least))
			r.Mean /= stallTimes
			b.report.Stalls = append(b.report.Stalls, r)
			fmt.Printf("| %s | %s | %.0f | **%.0f** | %.0f | %d | %.0f | %.2f |\n", t.name, map[bool]string{false: "off", true: "on"}[gc],
				r.First, r.Slowest, r.Always, r.Over, r.Wall, r.Mean)
		}
	}
	return nil
}

// measure makes all writes once and enters what they took into r, and into least where it is less than what is there; 0
// is nothing yet.
func (s stalled) measure(r *stallResult, least []time.Duration) {
	percent := -1
	if r.GC {
		percent = stallGC
	}
	defer debug.SetGCPercent(debug.SetGCPercent(percent))
	rnd := rand.New(rand.NewPCG(1, 2))
	var total, first, slowest, wall time.Duration
	for round := range stallRounds {
		runtime.GC()
		release := s.snapshot()
		for i := range stallWrites {
			clock, start := time.Now(), threadTime()
			s.write(i, rnd)
			used := threadTime() - start
			wall = max(wall, time.Since(clock))
			slowest = max(slowest, used)
			if at := round*stallWrites + i; least[at] == 0 || used < least[at] {
				least[at] = used
			}
			if used > time.Millisecond {
				r.Over++
			}
			total += used
			if i == 0 {
				first = max(first, used)
			}
		}
		release()
	}
	r.First, r.Slowest, r.Wall = max(r.First, micros(first)), max(r.Slowest, micros(slowest)), max(r.Wall, micros(wall))
	r.Mean += micros(total) / stallRounds / stallWrites
}

func micros(d time.Duration) float64 { return float64(d) / 1000 }
