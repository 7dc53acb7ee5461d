package keyspace

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"unsafe"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/list"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
)

// kind is a type of collection as TestSnapshotOfCollections uses it.
type kind struct {
	name string
	slow bool
	// make returns a collection with elements 0 to n.
	make func(n int, gen *cow.Generation) (record.Type, record.Encoding, unsafe.Pointer)
	// change does something to element i or in its place.
	change func(db *DB, r *record.Record, i, how int)
	// read returns all elements, in their order where there is one.
	read func(r *record.Record) []string
}

func element(i int) []byte { return fmt.Appendf(nil, "element:%d", i) }

func text(v list.Value) string {
	if v.Str != nil {
		return string(v.Str)
	}
	return strconv.FormatInt(v.Int, 10)
}

func kinds() []kind {
	hashRules, setRules := hash.Rules{Entries: 128, Value: 64}, set.Rules{Ints: 512, Entries: 128, Value: 64}
	zsetRules := sortedset.Rules{Entries: 128, Value: 64, Text: sortedset.NewText(func(dst []byte, f float64) []byte {
		return strconv.AppendFloat(dst, f, 'g', 17, 64)
	})}
	lists := func(depth int) kind {
		var rules list.Rules
		return kind{
			name: fmt.Sprintf("list, compress depth %d", depth),
			slow: depth > 0,
			make: func(n int, gen *cow.Generation) (record.Type, record.Encoding, unsafe.Pointer) {
				rules = list.Rules{Set: quicklist.NewSettings(gen), Fill: -2, Depth: depth}
				l := list.New(gen)
				for i := range n {
					l.Grow(len(element(i)), 1, rules)
					l.Push(element(i), false)
				}
				return record.List, l.Encoding(), unsafe.Pointer(l)
			},
			change: func(db *DB, r *record.Record, i, how int) {
				l, change := Begin[list.List](db, r)
				defer change.End()
				l.Grow(20, 1, rules)
				if i%16 != 0 && (how == 2 || how == 3) {
					how = 4 // these look through the whole list
				}
				switch i %= l.Len(); how {
				case 0:
					l.Push(element(-i), i%2 == 0)
				case 1:
					if l.Len() > 1 {
						l.Drop(i%2 == 0)
					}
				case 2:
					l.Insert(element(i), element(-i), true)
				case 3:
					l.Remove(element(i), 1)
					if l.Len() == 0 {
						l.Push(element(i), true)
					}
				default:
					l.Set(i, element(-i))
				}
				l.Shrink(rules)
			},
			read: func(r *record.Record) (all []string) {
				l := ValueOf(r).(*list.List)
				l.Range(0, l.Len(), false, func(v list.Value) {
					if len(all)%64 == 0 {
						runtime.Gosched()
					}
					all = append(all, text(v))
				})
				return all
			},
		}
	}
	return []kind{
		{
			name: "hash",
			make: func(n int, gen *cow.Generation) (record.Type, record.Encoding, unsafe.Pointer) {
				h := hash.New(gen)
				for i := range n {
					h.Set(element(i), element(i), hashRules, gen)
				}
				return record.Hash, h.Encoding(), unsafe.Pointer(h)
			},
			change: func(db *DB, r *record.Record, i, how int) {
				gen := db.Generation()
				h, change := Begin[hash.Hash](db, r)
				defer change.End()
				switch how {
				case 0:
					h.Set(element(-i), element(i), hashRules, gen)
				case 1:
					h.Remove(element(i))
				case 2:
					h.SetDeadline(element(i), epoch+int64(i), gen)
				default:
					h.Set(element(i), element(-i), hashRules, gen)
				}
			},
			read: func(r *record.Record) (all []string) {
				ValueOf(r).(*hash.Hash).EachField(func(field, value hash.Value, when int64) bool {
					if len(all)%64 == 0 {
						runtime.Gosched()
					}
					all = append(all, fmt.Sprintf("%s=%s %d", text(field), text(value), when))
					return true
				})
				slices.Sort(all)
				return all
			},
		},
		{
			name: "set",
			make: func(n int, gen *cow.Generation) (record.Type, record.Encoding, unsafe.Pointer) {
				s := set.New(element(0), 1, setRules, gen)
				for i := range n {
					s.Add(element(i), setRules, gen)
				}
				return record.Set, s.Encoding(), unsafe.Pointer(s)
			},
			change: func(db *DB, r *record.Record, i, how int) {
				gen := db.Generation()
				s, change := Begin[set.Set](db, r)
				defer change.End()
				if how == 0 {
					s.Add(element(-i), setRules, gen)
				} else {
					s.Remove(element(i))
				}
			},
			read: func(r *record.Record) (all []string) {
				ValueOf(r).(*set.Set).Each(func(v set.Value) bool {
					if len(all)%64 == 0 {
						runtime.Gosched()
					}
					all = append(all, text(v))
					return true
				})
				slices.Sort(all)
				return all
			},
		},
		{
			name: "sorted set",
			make: func(n int, gen *cow.Generation) (record.Type, record.Encoding, unsafe.Pointer) {
				s := sortedset.New(1, 1, zsetRules, gen)
				for i := range n {
					s.Add(element(i), float64(i), 0, zsetRules, gen)
				}
				return record.ZSet, s.Encoding(), unsafe.Pointer(s)
			},
			change: func(db *DB, r *record.Record, i, how int) {
				gen := db.Generation()
				s, change := Begin[sortedset.SortedSet](db, r)
				defer change.End()
				switch how {
				case 0:
					s.Remove(element(i))
				case 1:
					s.Add(element(-i), float64(i), 0, zsetRules, gen)
				default:
					s.Add(element(i), float64(how*1000-i), 0, zsetRules, gen)
				}
			},
			read: func(r *record.Record) (all []string) {
				ValueOf(r).(*sortedset.SortedSet).Each(func(member sortedset.Value, score float64) bool {
					if len(all)%64 == 0 {
						runtime.Gosched()
					}
					all = append(all, fmt.Sprint(text(member), score))
					return true
				})
				return all
			},
		},
		lists(0),
		lists(1),
	}
}

// TestSnapshotOfCollections walks a snapshot of small and large collections in a goroutine while the owner changes every
// element of every collection, and compares each element that the walk sees. Run with -race it proves that nothing a
// snapshot can reach is written.
func TestSnapshotOfCollections(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			sizes := []int{1, 10, 40, 100, 1000, 5000}
			if k.slow {
				sizes = []int{1, 10, 40, 300, 1500}
			}
			ks := New(1, 3)
			ks.Now = epoch
			db := ks.dbs[0]
			gen := db.Generation()
			key := func(i int) []byte { return fmt.Appendf(nil, "key:%d", i) }
			const copies = 2
			for i := range copies * len(sizes) {
				// Small ones are packed, or as large ones are.
				typ, enc, v := k.make(sizes[i%len(sizes)], gen)
				r := record.NewObject(typ, enc, key(i), v, record.NoExpiry, 0)
				if i < len(sizes) {
					r = NewCollection(typ, key(i), v, record.NoExpiry, 0)
				}
				db.Set(r)
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			// Three snapshots, so that collections have been forked before, and changed in place.
			for round := range 3 {
				want := map[string][]string{}
				db.Each(func(r *record.Record) bool { want[string(r.Key())] = k.read(r); return true })
				s, err := ks.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				var started atomic.Bool
				finished := make(chan string, 1)
				go func() {
					problem := ""
					s.Walk(func(_ int, r *record.Record) bool {
						started.Store(true)
						if got := k.read(r); !slices.Equal(got, want[string(r.Key())]) {
							problem = fmt.Sprintf("%s: %d elements, want %d, or others", r.Key(), len(got), len(want[string(r.Key())]))
						}
						delete(want, string(r.Key()))
						return problem == ""
					})
					if problem == "" && len(want) > 0 {
						problem = fmt.Sprintf("%d keys were not walked", len(want))
					}
					finished <- problem
				}()
				for !started.Load() {
					runtime.Gosched()
				}
				// Change each collection once, again and again, so that all are forked while the walk is at its beginning.
				for i := range slices.Max(sizes) {
					for n := range copies * len(sizes) {
						if size := sizes[n%len(sizes)]; i < size {
							k.change(db, db.Lookup(key(n)), i%size, rnd.IntN(5))
						}
					}
				}
				if problem := <-finished; problem != "" {
					t.Fatalf("round %d: %s", round, problem)
				}
				s.Release()
				counted := 0
				db.Each(func(r *record.Record) bool { counted += Size(r); return true })
				if counted != db.bytes {
					t.Fatalf("round %d: %d bytes, counted %d", round, db.bytes, counted)
				}
			}
		})
	}
}

// Prefetching members is a hint: whatever is there, whatever is asked for, nothing changes.
func TestPrefetchMembers(t *testing.T) {
	ks := New(1, 3)
	ks.Now = epoch
	db := ks.dbs[0]
	db.SetString([]byte("string"), []byte("value"), record.NoExpiry)
	members := make([][]byte, MaxPrefetch+3)
	for i := range members {
		members[i] = element(i * 150)
	}
	members[3], members[4] = nil, []byte{}
	db.PrefetchMembers([]byte("missing"), members)
	db.PrefetchMembers([]byte("string"), members)
	for _, k := range kinds() {
		for _, n := range []int{10, 1000, cachedMembers + 10} {
			key := fmt.Appendf(nil, "%s of %d", k.name, n)
			typ, enc, v := k.make(n, db.Generation())
			db.Set(record.NewObject(typ, enc, key, v, record.NoExpiry, 0))
			before, loaded := k.read(db.Lookup(key)), ks.prefetched
			db.PrefetchMembers(key, members)
			if !slices.Equal(k.read(db.Lookup(key)), before) {
				t.Errorf("%s has changed", key)
			}
			if fetched := ks.prefetched != loaded; fetched != (n > cachedMembers && typ != record.List) {
				t.Errorf("%s: members were fetched: %v", key, fetched)
			}
		}
	}
}

// TestCopiedCollections checks that of every collection something is counted when it is first changed under a snapshot, and
// of a large one not all of it.
func TestCopiedCollections(t *testing.T) {
	for _, k := range kinds() {
		for _, size := range []int{40, 5000} {
			ks := New(1, 3)
			ks.Now = epoch
			db := ks.dbs[0]
			gen := db.Generation()
			typ, enc, v := k.make(size, gen)
			db.Set(record.NewObject(typ, enc, []byte("key"), v, record.NoExpiry, 0))
			s, err := ks.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			r := db.Own(db.Lookup([]byte("key")))
			head := gen.Copied()
			if first := db.Own(r); first != r || gen.Copied() != head {
				t.Errorf("%s of %d: owned twice, %d bytes copied, then %d", k.name, size, head, gen.Copied())
			}
			if total := int64(Size(r)); head == 0 || size == 5000 && head > total/2 {
				t.Errorf("%s of %d: %d bytes copied, of %d", k.name, size, head, total)
			}
			s.Release()
		}
	}
}
