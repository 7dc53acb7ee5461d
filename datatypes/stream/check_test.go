package stream

import (
	"testing"
	"unsafe"

	"ferrous/datatypes/listpack"
)

// check checks all that must be true of a stream at any time.
func check(t *testing.T, s *Stream) {
	t.Helper()
	want, length, tailed := 0, 0, s.tail.p == nil
	s.nodes.each(func(_ ID, n node) bool {
		want += s.room(n)
		if n.p == s.tail.p {
			tailed = true
		}
		if err := listpack.Validate(n.lp(), true); err != nil {
			t.Fatal(err)
		}
		live, err := Validate(n.lp())
		if err != nil {
			t.Fatal(err)
		}
		length += live
		return true
	})
	if !tailed {
		t.Fatal("the tail is no node of the stream")
	}
	none := func(node) int64 { return noBound }
	checkIndex(t, &s.nodes, none)
	if s.length != length {
		t.Fatalf("%d entries, want %d", s.length, length)
	}
	for _, g := range s.groups {
		want += g.size()
		checkIndex(t, &g.pending, func(n nack) int64 { return n.time })
		checkIndex(t, &g.counts, func(uint64) int64 { return noBound })
		vacant, owned, wide := 0, 0, 0
		for i, c := range g.numbered {
			if c == nil {
				vacant++
			} else if int(c.number) != i || g.Consumer(c.name) != c {
				t.Fatalf("consumer %q is not where it is looked for", c.name)
			}
		}
		if vacant != g.vacant || len(g.numbered) != vacant+len(g.consumers) {
			t.Fatalf("%d consumers by number, %d by name, %d vacant", len(g.numbered), len(g.consumers), g.vacant)
		}
		for _, c := range g.consumers {
			checkIndex(t, &c.pending, func(struct{}) int64 { return noBound })
			c.pending.each(func(id ID, _ struct{}) bool {
				if n, ok := g.pending.get(id); !ok || n.consumer != c.number+1 {
					t.Fatalf("%v is pending with %q only", id, c.name)
				}
				owned++
				return true
			})
		}
		g.pending.each(func(id ID, n nack) bool {
			if n.consumer == 0 {
				owned++
			} else if g.numbered[n.consumer-1] == nil {
				t.Fatalf("%v is pending with a consumer that is gone", id)
			}
			if n.count == wideCount {
				wide++
			}
			return true
		})
		if owned != g.pending.n || wide != g.counts.n {
			t.Fatalf("%d pending entries, %d with consumers or none; %d wide counts of %d", g.pending.n, owned, g.counts.n, wide)
		}
	}
	if s.bytes != want {
		t.Fatalf("%d bytes, want %d", s.bytes, want)
	}
}

func checkIndex[T any](t *testing.T, x *index[T], when func(T) int64) {
	t.Helper()
	n, bytes, first, last := 0, 0, true, ID{}
	var walk func(at unsafe.Pointer, height int, low, high ID, bound int64)
	walk = func(at unsafe.Pointer, height int, low, high ID, bound int64) {
		if height > 0 {
			in := (*inner)(at)
			bytes += innerSize
			if in.n < 1 {
				t.Fatal("an inner node without children")
			}
			for i := range in.n {
				l, h := low, high
				if i > 0 {
					l = in.least[i]
				}
				if i+1 < in.n {
					h = in.least[i+1]
				}
				if in.bound[i] < bound {
					t.Fatalf("bound %d below %d", in.bound[i], bound)
				}
				walk(in.child[i], height-1, l, h, in.bound[i])
			}
			return
		}
		l := (*leaf[T])(at)
		bytes += l.size()
		if len(l.items) > leafItems || len(l.items) == 0 && x.n > 0 {
			t.Fatalf("a leaf of %d", len(l.items))
		}
		for i := range l.items {
			id := l.items[i].id
			if !first && !last.less(id) || id.less(low) || !id.less(high) && high != MaxID {
				t.Fatalf("%v behind %v, between %v and %v", id, last, low, high)
			}
			if w := when(l.items[i].v); w < bound {
				t.Fatalf("%v: time %d below the bound %d", id, w, bound)
			}
			first, last = false, id
			n++
		}
	}
	if x.root != nil {
		walk(x.root, x.height, ID{}, MaxID, x.bound)
	}
	if n != x.n || x.bytes != bytes {
		t.Fatalf("%d items of %d, %d bytes of %d", n, x.n, x.bytes, bytes)
	}
}
