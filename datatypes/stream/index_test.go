package stream

import (
	"slices"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/tests/random"
)

// TestIndex grows and shrinks an index of several rows, with and without a snapshot, and compares it with a map.
func TestIndex(t *testing.T) { random.Repeat(t, testIndex) }

func testIndex(t *testing.T) {
	rnd := random.New(t)
	when := func(v int64) int64 { return v }
	contents := func(x *index[int64]) (all []item[int64]) {
		x.each(func(id ID, v int64) bool {
			all = append(all, item[int64]{v, id})
			return true
		})
		return all
	}
	var gen cow.Generation
	var x index[int64]
	var old *index[int64]
	var held []item[int64]
	want := map[ID]int64{}
	now, last := int64(0), ID{}
	highest := 0
	for round := range 40 {
		add, inOrder := rnd.IntN(10), rnd.IntN(3) > 0
		if round == 0 || round == 20 {
			add, inOrder = 9, round == 20
		}
		for range 20000 {
			now++
			id := ID{Ms: rnd.Uint64N(1 << 20), Seq: rnd.Uint64N(2)}
			if rnd.IntN(10) < add {
				if inOrder {
					id = ID{Ms: last.Ms + rnd.Uint64N(2), Seq: uint64(now)}
				}
				time := now - rnd.Int64N(1000)
				v, fresh := x.put(id, time, &gen)
				if _, ok := want[id]; ok == fresh {
					t.Fatalf("%v fresh: %v", id, fresh)
				}
				*v, want[id] = time, time
				if last.less(id) {
					last = id
				}
				continue
			}
			if l, i := x.seek(id); l != nil && rnd.IntN(20) > 0 {
				if l.items[i].id.less(id) {
					t.Fatalf("%v is found for %v", l.items[i].id, id)
				}
				id = l.items[i].id
			}
			_, ok := want[id]
			if x.remove(id, &gen) != ok {
				t.Fatalf("%v removed: %v", id, !ok)
			}
			delete(want, id)
		}
		highest = max(highest, x.height)
		check := func() {
			t.Helper()
			checkIndex(t, &x, when)
			all := contents(&x)
			if len(all) != len(want) {
				t.Fatalf("%d items, want %d", len(all), len(want))
			}
			for _, e := range all {
				if v, ok := want[e.id]; !ok || v != e.v {
					t.Fatalf("%v is %d, want %d", e.id, e.v, v)
				}
			}
			l, i := x.seekBack(MaxID)
			for k := len(all) - 1; k >= 0; k-- {
				if l.items[i].id != all[k].id {
					t.Fatalf("backward: %v, want %v", l.items[i].id, all[k].id)
				}
				if i--; i < 0 {
					l, i = x.before(l)
				}
			}
			if id, ok := x.oldest(when); ok {
				best := all[0]
				for _, e := range all {
					if e.v < best.v {
						best = e
					}
				}
				if id != best.id {
					t.Fatalf("oldest %v, want %v", id, best.id)
				}
			} else if len(all) > 0 {
				t.Fatal("none is oldest")
			}
		}
		check()
		// A run of items goes, so that whole nodes do, and others come in their place.
		from := ID{Ms: rnd.Uint64N(last.Ms + 1)}
		for range rnd.IntN(5000) {
			l, i := x.seek(from)
			if l == nil {
				break
			}
			id := l.items[i].id
			x.remove(id, &gen)
			delete(want, id)
		}
		for range rnd.IntN(200) {
			id := ID{Ms: from.Ms - rnd.Uint64N(from.Ms/8+1), Seq: rnd.Uint64N(1 << 20)}
			v, _ := x.put(id, now, &gen)
			*v, want[id] = now, now
		}
		check()
		if rnd.IntN(3) == 0 {
			for l, _ := x.seek(ID{}); l != nil && rnd.IntN(50) > 0; l, _ = x.seek(ID{}) {
				k := len(l.items)
				if rnd.IntN(3) == 0 {
					k = rnd.IntN(k + 1)
				}
				for _, e := range slices.Clone(l.items[:k]) {
					delete(want, e.id)
				}
				if k > 0 {
					x.removeFirst(k, &gen)
				}
			}
			check()
		}
		if rnd.IntN(3) == 0 {
			// All of a kind go, few or many of them, scattered or in runs.
			of, run := rnd.Uint64N(100)+1, rnd.Uint64N(3000)+1
			keep := func(v int64) bool { return (uint64(v)/run)%100 >= of }
			x.filter(keep, &gen)
			for id, v := range want {
				if !keep(v) {
					delete(want, id)
				}
			}
			check()
		}
		switch {
		case old == nil:
			gen.Pin()
			fork := x
			old, held = &fork, contents(&x)
		case rnd.IntN(2) == 0:
			checkIndex(t, old, when)
			if !slices.Equal(contents(old), held) {
				t.Fatal("what a snapshot holds has changed")
			}
			gen.Unpin()
			old = nil
		}
	}
	if highest < 2 {
		t.Errorf("%d rows", highest)
	}
	// Removing all, from the front, from the back and at random, leaves nothing.
	ids := contents(&x)
	rnd.Shuffle(len(ids), func(i, j int) {
		if len(ids)-i < len(ids)/2 {
			ids[i], ids[j] = ids[j], ids[i]
		}
	})
	for _, e := range ids {
		if !x.remove(e.id, &gen) {
			t.Fatalf("%v is not there", e.id)
		}
	}
	checkIndex(t, &x, when)
	if x.n != 0 || x.bytes > leafSize+keptRoom*24 {
		t.Errorf("%d items, %d bytes are left", x.n, x.bytes)
	}
}
