package table

import (
	"fmt"
	"testing"

	"ferrous/datatypes/cow"
)

func TestReserve(t *testing.T) {
	for _, n := range []int{0, 1, 600, 601, 1200, 5000, 100_000, 200_000} {
		var gen cow.Generation
		tb := New(&gen)
		tb.Reserve(n, nil)
		check(t, tb)
		reserved, depth := tb.Size(), tb.depth
		if reserved > 64*n+5000 {
			t.Errorf("%d reserved: %d bytes", n, reserved)
		}
		add := func(i int) {
			r := newRecord(fmt.Sprint("key", i), int64(i))
			tb.Insert(Hash(r.Key()), r)
		}
		for i := range n {
			add(i)
		}
		check(t, tb)
		if n > 600 && tb.depth > depth+1 {
			t.Errorf("%d reserved: depth %d became %d", n, depth, tb.depth)
		}
		// It grows further, and shrinks.
		for i := n; i < n+n/2+2000; i++ {
			add(i)
		}
		check(t, tb)
		for i := range n + n/2 + 2000 {
			r := newRecord(fmt.Sprint("key", i), 0)
			h := Hash(r.Key())
			got := tb.Get(h, r.Key())
			if got == nil || got.Int() != int64(i) {
				t.Fatalf("%d reserved: key %d is missing", n, i)
			}
			tb.Delete(h, got)
		}
		check(t, tb)
		if tb.Len() != 0 || tb.Size() > 20_000 {
			t.Errorf("%d reserved: %d records, %d bytes at the end", n, tb.Len(), tb.Size())
		}
		tb.Reserve(n, nil)
		check(t, tb)
	}
}

func TestTrim(t *testing.T) {
	for _, n := range []int{0, 1, 100, 3000, 50_000} {
		var gen cow.Generation
		tb := New(&gen)
		tb.Reserve(100_000, nil)
		for i := range n {
			r := newRecord(fmt.Sprint("key", i), int64(i))
			tb.Insert(Hash(r.Key()), r)
		}
		before := tb.Size()
		tb.Trim()
		check(t, tb)
		if tb.Len() != n || n < 10_000 && tb.Size() > 80*n+10_000 || n > 20_000 && tb.Size() != before {
			t.Errorf("%d of 100,000: %d records, %d bytes, %d before", n, tb.Len(), tb.Size(), before)
		}
		for i := range n {
			if key := fmt.Appendf(nil, "key%d", i); tb.Get(Hash(key), key) == nil {
				t.Fatalf("%d of 100,000: key %d is lost", n, i)
			}
		}
	}
}
