package wheel

import "testing"

func TestFiresInOrderAndNeverEarly(t *testing.T) {
	const base = 1_700_000_000_000
	w := New(base)
	for i := uint64(1); i <= 100000; i++ {
		w.Insert(i, base+int64(i*i%1_000_003))
	}
	var last int64
	n := 0
	for now := int64(base); w.Len() > 0; now += 777 {
		for !w.Advance(now, 100, func(hash uint64, when int64) {
			if when > now || when < last || when != base+int64(hash*hash%1_000_003) {
				t.Fatalf("entry %d for %d fired at %d after %d", hash, when, now, last)
			}
			last = when
			n++
		}) {
		}
	}
	if n != 100000 {
		t.Fatalf("%d fired", n)
	}
}
