package wheel

// Entry is an entry of a wheel, with the arguments of Insert.
type Entry struct {
	Hash uint64
	When int64
}

// TakeFirst takes the entries with the earliest deadlines out of the wheel, appends them to out in no order, and returns
// the time before which no entry is left in a slot. Of the n entries of the first slot it takes n/part, but at least least
// and at most most, and all n if n is less than least. The number is approximate: of entries with the same deadline it takes
// all or none. It reads all n. It takes no entries that are due already and wait for the next Advance.
func (w *Wheel) TakeFirst(least, most, part int, out []Entry) (taken []Entry, bound int64) {
	l, i, ok := w.next()
	if !ok {
		return out, 0
	}
	s, start := &w.levels[l].slots[i], w.start(l, i)
	n := w.store.count(s, l)
	k := min(max(n/part, least), most, n)
	before := uint64(start) + 1<<(8*l) // the end of the slot
	if k < n {
		last, tied := w.store.lowest(s, l, k)
		if before = uint64(start) | last; tied {
			before++ // nothing is before them
		}
	}
	old := *s
	*s = stack{}
	for old.head != 0 {
		hash, low := w.store.pop(&old, l)
		if when := uint64(start) | low; when < before {
			out = append(out, Entry{hash, int64(when)})
			w.n--
			continue
		}
		if int(s.room) < 8+l {
			w.store.grow(s, slotID(l, i))
		}
		w.store.write(s, l, hash, low)
	}
	if s.head == 0 {
		w.levels[l].unset(i)
	}
	return out, int64(min(before, 1<<63-1))
}

// lowest returns the stored bytes of the k-th lowest deadline of a stack's entries, and whether all k are the same. It keeps
// a heap of the k lowest, the highest of them on top.
func (st *store) lowest(s *stack, wd, k int) (last uint64, tied bool) {
	h := make([]uint64, 0, k)
	st.each(s, wd, func(_, low uint64) {
		if len(h) < k {
			h = append(h, low)
			if len(h) == k {
				for j := k/2 - 1; j >= 0; j-- {
					sift(h, j)
				}
			}
		} else if low < h[0] {
			h[0] = low
			sift(h, 0)
		}
	})
	tied = true
	for _, low := range h {
		tied = tied && low == h[0]
	}
	return h[0], tied
}

// sift restores the order of a heap, the highest on top, below h[i].
func sift(h []uint64, i int) {
	x := h[i]
	for c := 2*i + 1; c < len(h); c = 2*i + 1 {
		if c+1 < len(h) && h[c+1] > h[c] {
			c++
		}
		if h[c] <= x {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = x
}

// each calls fn for every entry of a stack, the last one first.
func (st *store) each(s *stack, wd int, fn func(hash, low uint64)) {
	used := int(s.used)
	for r := s.head; r != 0; {
		b := &st.slabs[r>>6-1]
		at := int(r&63) * unit
		for off := used - (8 + wd); off >= 0; off -= 8 + wd {
			fn(entryAt(b.mem, at+chunkHead+off, wd))
		}
		if r = st.below(r); r != 0 {
			size := classSize(st.slabs[r>>6-1].class) - chunkHead
			used = size - size%(8+wd)
		}
	}
}

// count returns the number of entries of a stack.
func (st *store) count(s *stack, wd int) int {
	n := int(s.used) / (8 + wd)
	if s.head == 0 {
		return n
	}
	for r := st.below(s.head); r != 0; r = st.below(r) {
		n += (classSize(st.slabs[r>>6-1].class) - chunkHead) / (8 + wd)
	}
	return n
}
