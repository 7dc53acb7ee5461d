package wheel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"ferrous/datatypes/mem"
	"ferrous/tests/random"
)

const epoch = 1_700_000_000_000 // where most tests begin (Unix ms)

type entry struct {
	hash uint64
	when int64
}

// check recounts everything that the wheel knows of itself and returns its entries.
func check(t testing.TB, w *Wheel) []entry {
	t.Helper()
	st := &w.store
	var all []entry
	used := make([]uint64, len(st.slabs))
	walk := func(name string, s *stack, id uint16, high int64) {
		chunks := uint32(0)
		for r := s.head; r != 0; {
			n := r>>6 - 1
			b := &st.slabs[n]
			i := int(r&63) >> (3 * b.class)
			if used[n]>>i&1 != 0 {
				t.Fatalf("%s: chunk %x is in two stacks", name, r)
			}
			used[n] |= 1 << i
			at := int(r&63) * unit
			if got := binary.LittleEndian.Uint16(b.mem[at+4:]); got != id {
				t.Fatalf("%s: chunk %x belongs to %x, want %x", name, r, got, id)
			}
			size := 8 + width(id)
			fill := (classSize(b.class) - chunkHead) / size * size
			if r == s.head {
				if fill = int(s.used); fill == 0 || fill%size != 0 || fill+int(s.room) != classSize(b.class)-chunkHead {
					t.Fatalf("%s: top chunk has %d bytes used, %d left", name, s.used, s.room)
				}
			}
			if want := classAt(s.chunks - chunks - 1); b.class != want {
				t.Fatalf("%s: chunk %d from the top of %d has class %d, want %d", name, chunks, s.chunks, b.class, want)
			}
			for o := 0; o < fill; o += size {
				hash, low := entryAt(b.mem, at+chunkHead+o, width(id))
				all = append(all, entry{hash, high | int64(low)})
			}
			chunks++
			r = ref(binary.LittleEndian.Uint32(b.mem[at:]))
		}
		if chunks != s.chunks || (chunks == 0 && *s != stack{}) {
			t.Fatalf("%s: %d chunks found, stack %+v", name, chunks, *s)
		}
	}
	walk("late", &w.late, lateID, 0)
	walk("behind", &w.behind, lateID, 0)
	bytes := int64(0)
	for l, v := range w.levels {
		if v == nil {
			continue
		}
		bytes += int64(mem.Size(levelSize))
		for i := range v.slots {
			if v.has(i) != (v.slots[i].head != 0) {
				t.Fatalf("level %d slot %d: bit %v, stack %+v", l, i, v.has(i), v.slots[i])
			}
			if v.has(i) && i < digit(w.now, l) {
				t.Fatalf("level %d slot %d lies before %d", l, i, digit(w.now, l))
			}
			before := len(all)
			walk(fmt.Sprintf("level %d slot %d", l, i), &v.slots[i], slotID(l, i), w.start(l, i))
			for _, e := range all[before:] {
				if e.when < w.now || e.when>>(8*l)>>8 != w.now>>(8*l)>>8 {
					t.Fatalf("level %d slot %d holds %d at time %d", l, i, e.when, w.now)
				}
			}
		}
	}
	if len(all) != w.n {
		t.Fatalf("%d entries found, Len %d", len(all), w.n)
	}
	partial := map[uint32]bool{}
	for class, n := range st.partial {
		for prev := uint32(0); n != 0; {
			b := &st.slabs[n-1]
			if int(b.class) != class || b.prev != prev || b.free == 0 || partial[n-1] {
				t.Fatalf("partial list of class %d: slab %d is %+v", class, n-1, *b)
			}
			partial[n-1] = true
			prev, n = n, b.next
		}
	}
	for place, n := range st.order {
		b := &st.slabs[n]
		if int(b.pos) != place {
			t.Fatalf("slab %d is at %d in order and says %d", n, place, b.pos)
		}
		if (b.mem != nil) != (place < int(st.live+st.pool)) {
			t.Fatalf("slab %d at %d of %d + %d: memory %v", n, place, st.live, st.pool, b.mem != nil)
		}
		if b.mem != nil {
			bytes += slabSize
		}
		if place >= int(st.live) {
			if used[n] != 0 || partial[n] {
				t.Fatalf("slab %d is not in use and is used", n)
			}
			continue
		}
		if used[n] == 0 || used[n]^b.free != allFree(b.class) || partial[n] != (b.free != 0) {
			t.Fatalf("slab %d: chunks %x used, %x free, listed %v", n, used[n], b.free, partial[n])
		}
	}
	if st.pool > poolMin+st.live/poolPart {
		t.Fatalf("pool of %d slabs beside %d", st.pool, st.live)
	}
	if len(st.order) != len(st.slabs) {
		t.Fatalf("order of %d slabs, %d slabs", len(st.order), len(st.slabs))
	}
	bytes += int64(mem.SizePtr(cap(st.slabs)*int(unsafe.Sizeof(slab{}))) + mem.Size(cap(st.order)*4))
	if got := w.Bytes(); got != bytes {
		t.Fatalf("Bytes = %d, counted %d", got, bytes)
	}
	return all
}

// model is a multiset of entries beside a wheel, driven by a source of choices.
type model struct {
	t    testing.TB
	w    *Wheel
	pick func(n int) int // 0 <= pick(n) < n
	now  int64
	hash uint64
	want map[entry]int
	late map[entry]bool // was due already when inserted, so its turn is not given by its deadline
}

func (m *model) insert(when int64) {
	m.hash++
	e := entry{m.hash * 0x9e3779b97f4a7c15, when}
	for range 1 + m.pick(20)/19 {
		m.want[e]++
		if when <= m.w.now {
			m.late[e] = true
		}
		m.w.Insert(e.hash, when)
	}
}

// deadline draws a time near or far, before or after now.
func (m *model) deadline() int64 {
	span := []int64{1, 300, 300, 70_000, 70_000, 20_000_000, 5_000_000_000, 1_500_000_000_000, math.MaxInt64 / 2}[m.pick(9)]
	d := int64(m.pick(1<<30)) * (span>>30 + 1) % span
	switch m.pick(12) {
	case 0:
		return m.now - d
	case 1:
		return math.MaxInt64 - d
	case 2:
		return (m.now + d) &^ 0xffff // ends of turns
	}
	return m.now + d
}

func (m *model) remove(e entry) {
	m.t.Helper()
	if m.want[e] == 0 {
		m.t.Fatalf("%+v was never inserted, or came twice", e)
	}
	if m.want[e]--; m.want[e] == 0 {
		delete(m.want, e)
		delete(m.late, e)
	}
}

func (m *model) advance(limit int) (done bool) {
	again := map[entry]bool{} // inserted during this call although due: fire in the next
	handled, last := 0, int64(math.MinInt64)
	before := m.w.now
	done = m.w.Advance(m.now, limit, func(hash uint64, when int64) {
		handled++
		e := entry{hash, when}
		if when > m.now {
			m.t.Fatalf("%+v fired at %d", e, m.now)
		}
		if again[e] {
			m.t.Fatalf("%+v came back in the same call", e)
		}
		if !m.late[e] {
			if when < last {
				m.t.Fatalf("%+v fired after %d", e, last)
			}
			last = when
		}
		m.remove(e)
		switch m.pick(8) {
		case 0:
			next := m.deadline()
			due := next <= m.w.now
			m.insert(next)
			if due {
				again[entry{m.hash * 0x9e3779b97f4a7c15, next}] = true
			}
		case 1:
			if m.pick(200) == 0 {
				m.w.Clear()
				clear(m.want)
				clear(m.late)
			}
		}
	})
	if handled > max(limit, 1) {
		m.t.Fatalf("%d fired with limit %d", handled, limit)
	}
	if done {
		for e := range m.want {
			if e.when <= m.now && !again[e] {
				m.t.Fatalf("%+v did not fire at %d (time was %d)", e, m.now, before)
			}
		}
		if m.w.now != m.now {
			m.t.Fatalf("time is %d after Advance(%d)", m.w.now, m.now)
		}
	}
	m.nextDue(done && len(again) == 0)
	return done
}

func (m *model) nextDue(idle bool) {
	m.t.Helper()
	due, ok := m.w.NextDue()
	if ok != (len(m.want) > 0) {
		m.t.Fatalf("NextDue %v with %d entries", ok, len(m.want))
	}
	if !ok {
		return
	}
	for e := range m.want {
		if due > e.when && e.when > 0 {
			m.t.Fatalf("NextDue %d, %+v waits", due, e)
		}
	}
	if idle && due <= m.now {
		m.t.Fatalf("NextDue %d right after Advance(%d)", due, m.now)
	}
}

func (m *model) step() {
	m.t.Helper()
	switch m.pick(16) {
	case 0, 1, 2, 3:
		for range 1 + m.pick(8) {
			m.insert(m.deadline())
		}
	case 4: // many at once, of one slot or spread
		when, spread := m.deadline(), []int{1, 100, 100_000}[m.pick(3)]
		for range m.pick(3000) {
			m.insert(when + min(int64(m.pick(spread)), math.MaxInt64-when))
		}
	case 5: // the clock is set back
		m.now -= int64(m.pick(1 << (1 + m.pick(30))))
		m.now = max(m.now, 0)
	case 6: // exactly to the next thing to do, or just before
		if due, ok := m.w.NextDue(); ok {
			m.now = max(due-int64(m.pick(2)), 0)
		}
	case 7:
		m.now = min(m.now, math.MaxInt64-1<<42) + int64(m.pick(1<<(1+m.pick(30))))<<m.pick(12)
	case 8:
		if m.pick(20) == 0 {
			m.w.Clear()
			clear(m.want)
			clear(m.late)
		}
	case 9:
		m.w.Drain(m.pick(20), func(hash uint64, when int64) { m.remove(entry{hash, when}) })
	case 10:
		if hash, ok := m.w.Sample(uint64(m.pick(1 << 30))); ok != (len(m.want) > 0) {
			m.t.Fatal("Sample of", len(m.want), "entries:", ok)
		} else if ok && !slices.ContainsFunc(check(m.t, m.w), func(e entry) bool { return e.hash == hash }) {
			m.t.Fatalf("Sample returned %x, which is no entry", hash)
		}
	case 11:
		for range 50 { // bounded: what fires may be inserted again for ever
			if m.advance(1 + m.pick(2000)) {
				break
			}
		}
	default:
		m.now = min(m.now, math.MaxInt64-1<<20) + int64(m.pick(400))
		m.advance(m.pick(1 << m.pick(12)))
	}
	for _, e := range check(m.t, m.w) {
		if m.want[e] == 0 {
			m.t.Fatalf("%+v is in the wheel and not in the model", e)
		}
	}
	total := 0
	for _, n := range m.want {
		total += n
	}
	if total != m.w.Len() {
		m.t.Fatalf("%d entries, want %d", m.w.Len(), total)
	}
	m.nextDue(false)
}

// TestModel runs random operations against a plain multiset. WHEEL_RUNS sets the number of runs.
func TestModel(t *testing.T) {
	runs := 12
	if testing.Short() {
		runs = 5
	}
	if random.Stress() {
		runs = 600
	}
	if n, err := strconv.Atoi(os.Getenv("WHEEL_RUNS")); err == nil {
		runs = n
	}
	for i := range runs {
		if !t.Run(strconv.Itoa(i), func(t *testing.T) {
			r := random.New(t)
			m := &model{t: t, w: &Wheel{}, pick: r.IntN, want: map[entry]int{}, late: map[entry]bool{}}
			switch r.IntN(4) {
			case 0: // from the zero value and time 0
			case 1:
				m.now = epoch
			default:
				m.now = []int64{epoch, 1<<40 - 1000, 1 << 24, 1<<62 - 5}[r.IntN(4)]
				m.w = New(m.now)
			}
			for range 120 {
				m.step()
			}
			m.now = math.MaxInt64
			for m.w.Len() > 0 {
				m.advance(1000)
			}
			check(t, m.w)
		}) {
			return
		}
	}
}

func FuzzWheel(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Add([]byte("44444444444455555555555566666666666677777777777"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pick := func(n int) int { // as many bytes as n needs
			if len(data) == 0 {
				return n - 1
			}
			v := 0
			for used := 0; used < bits.Len(uint(n-1)) && len(data) > 0; used += 8 {
				v = v<<8 | int(data[0])
				data = data[1:]
			}
			return v % n
		}
		m := &model{t: t, w: New(epoch), now: epoch, pick: pick, want: map[entry]int{}, late: map[entry]bool{}}
		for steps := 0; len(data) > 0 && steps < 60 && len(m.want) < 2000; steps++ {
			m.step()
		}
	})
}

// Every entry fires in the first Advance at or after its deadline, whatever the steps and limits.
func TestExactness(t *testing.T) {
	for _, c := range []struct {
		name         string
		n            int
		span, stride int64
		limit        int
	}{
		{"each ms", 20_000, 5_000, 1, math.MaxInt},
		{"each ms, one at a time", 5_000, 70_000, 1, 1},
		{"steps across turns", 100_000, 1_000_000, 777, 100},
		{"weeks", 100_000, 4_000_000_000, 3_333_333, 1000},
		{"decades", 20_000, 2_000_000_000_000, 5_555_555_555, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.n)))
			w := New(epoch)
			at := make([]int64, c.n)
			for i := range at {
				at[i] = epoch + 1 + r.Int64N(c.span)
				w.Insert(uint64(i), at[i])
			}
			fired, prev := 0, int64(epoch)
			for now := int64(epoch); w.Len() > 0; now += c.stride {
				for !w.Advance(now, c.limit, func(hash uint64, when int64) {
					if when != at[hash] || when > now || when <= prev {
						t.Fatalf("entry for %d fired with %d between %d and %d", at[hash], when, prev, now)
					}
					fired++
				}) {
				}
				prev = now
			}
			if fired != c.n {
				t.Fatalf("%d of %d fired", fired, c.n)
			}
			check(t, w)
		})
	}
}

// Following NextDue alone, an owner is woken at each deadline exactly, and at most once a level besides.
func TestNextDueLeadsToEachDeadline(t *testing.T) {
	for _, ahead := range []int64{1, 255, 256, 65_536, 3_600_000, 86_400_000, 90 * 86_400_000, 100 * 365 * 86_400_000, math.MaxInt64 - epoch} {
		w := New(epoch)
		w.Insert(7, epoch+ahead)
		wakes, fired := 0, false
		for !fired {
			due, ok := w.NextDue()
			if wakes++; !ok || wakes > levels {
				t.Fatalf("%d ahead: NextDue %v, wake %d", ahead, ok, wakes)
			}
			w.Advance(due, 10, func(_ uint64, when int64) { fired = when == epoch+ahead && due == when })
		}
	}
}

// A jump over centuries of empty slots handles entries and nothing else.
func TestJumps(t *testing.T) {
	w := New(epoch)
	for i := range int64(1000) {
		w.Insert(uint64(i), epoch+1+i*3_000_000_000_000)
	}
	calls, fired := 0, 0
	for done := false; !done; calls++ {
		done = w.Advance(math.MaxInt64, 1, func(uint64, int64) { fired++ })
	}
	if fired != 1000 || calls > 1000*levels+1 {
		t.Fatalf("%d fired in %d calls", fired, calls)
	}

	// Back by an hour, with entries on all levels and a limit of one a call; short deadlines of the new time are met.
	w = New(epoch)
	for i := range int64(40) {
		w.Insert(uint64(i), epoch+1<<i)
	}
	const back = epoch - 3_600_000
	w.Insert(100, back+5)
	if due, ok := w.NextDue(); !ok || due > back+5 {
		t.Fatal("NextDue hides an entry behind the clock", due)
	}
	never := func(hash uint64, when int64) { t.Fatalf("%d for %d fired early", hash, when) }
	for n := 0; !w.Advance(back, 1, never); n++ {
		check(t, w)
		if n == 10 {
			w.Insert(101, back+6) // while it is being set back
		}
	}
	var got []uint64
	for now := int64(back); now <= epoch+2; now++ {
		for !w.Advance(now, 3, func(hash uint64, when int64) {
			if when != now {
				t.Fatalf("%d for %d fired at %d", hash, when, now)
			}
			got = append(got, hash)
		}) {
		}
	}
	if !slices.Equal(got, []uint64{100, 101, 0, 1}) {
		t.Fatal("fired", got)
	}
}

// An owner that inserts what fires again and again does not hold Advance.
func TestReinsertDueEntry(t *testing.T) {
	w := New(epoch)
	w.Insert(1, epoch+5)
	for round := range 3 {
		fired := 0
		if !w.Advance(epoch+10, 100, func(hash uint64, when int64) {
			fired++
			w.Insert(hash, when)
		}) || fired != 1 {
			t.Fatalf("round %d: fired %d times", round, fired)
		}
		if due, ok := w.NextDue(); !ok || due > epoch+10 {
			t.Fatal("NextDue does not see it", due, ok)
		}
	}
}

func TestSampleIsUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, c := range []struct {
		name  string
		fill  func(w *Wheel) int
		exact bool
	}{
		{"one slot", func(w *Wheel) int {
			for i := range 2000 {
				w.Insert(uint64(i), epoch+1<<30)
			}
			return 2000
		}, true},
		{"small and large slots, all levels, late ones", func(w *Wheel) int {
			for i := range 2000 {
				w.Insert(uint64(i), []int64{epoch - 5, epoch + 3, epoch + 1000, epoch + 1<<20, epoch + 1<<30 + int64(i)<<26, epoch + 1<<50}[i%6])
			}
			return 2000
		}, true},
		{"a few", func(w *Wheel) int {
			for i := range 3 {
				w.Insert(uint64(i), epoch+10+int64(i)*100_000)
			}
			return 3
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := New(epoch)
			n := c.fill(w)
			counts := make([]int, n)
			const each = 400
			for range n * each {
				hash, ok := w.Sample(r.Uint64())
				if !ok {
					t.Fatal("no entry")
				}
				counts[hash]++
			}
			chi := 0.0
			for i, k := range counts {
				if k == 0 {
					t.Fatalf("entry %d never drawn", i)
				}
				chi += float64((k-each)*(k-each)) / each
			}
			// Chi-square has mean n-1 and variance 2(n-1).
			if limit := float64(n-1) + 6*math.Sqrt(2*float64(n-1)); c.exact && chi > limit {
				t.Fatalf("chi-square %.0f over %d entries, limit %.0f", chi, n, limit)
			}
		})
	}
	if _, ok := New(epoch).Sample(1); ok {
		t.Fatal("a sample of nothing")
	}
}

func TestEmptyWheel(t *testing.T) {
	w := New(epoch)
	if size := unsafe.Sizeof(*w); size >= 200 || w.Bytes() != 0 {
		t.Fatalf("an empty wheel takes %d + %d bytes", size, w.Bytes())
	}
	if _, ok := w.NextDue(); ok || !w.Advance(epoch+1, 1, nil) || w.Len() != 0 {
		t.Fatal("an empty wheel has work")
	}
	for i := range uint64(200_000) {
		w.Insert(i, epoch+int64(i)*100)
	}
	w.Advance(math.MaxInt64, math.MaxInt, func(uint64, int64) {})
	if w.Len() != 0 || w.Bytes() > keepEmpty {
		t.Fatalf("emptied, it keeps %d bytes", w.Bytes())
	}
}

func TestDrainRebuilds(t *testing.T) {
	old, fresh := New(epoch), New(epoch)
	for i := range 50_000 {
		old.Insert(uint64(i), epoch-100+int64(i)*37)
	}
	for !old.Drain(64, func(hash uint64, when int64) {
		if when != epoch-100+int64(hash)*37 {
			t.Fatalf("entry %d has %d", hash, when)
		}
		if hash%10 == 0 {
			fresh.Insert(hash, when)
		}
	}) {
		if old.Len()%6400 == 0 {
			check(t, old)
		}
	}
	if len(check(t, fresh)) != 5000 || old.Len() != 0 {
		t.Fatal("left", fresh.Len(), old.Len())
	}
}

// What Bytes says is what the heap grows by.
func TestBytesIsWhatTheHeapHolds(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // frees what had finalizers or lay in pools
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for try := 1; ; try++ { // what else is alive may change meanwhile
		before := heap()
		w := New(epoch)
		for i := range uint64(300_000) {
			w.Insert(i, epoch+int64(mix(i)%86_400_000))
		}
		got, want := w.Bytes(), heap()-before
		if limit := int64(w.Len()) * 13; got > limit {
			t.Fatalf("%d bytes for %d entries", got, w.Len())
		}
		if got >= want-want/50-8192 && got <= want+want/50+8192 {
			break
		}
		if try == 5 {
			t.Fatalf("Bytes %d, heap grew by %d", got, want)
		}
	}
}

func TestNothingAllocated(t *testing.T) {
	w := New(epoch)
	now := int64(epoch)
	for i := range uint64(100_000) {
		w.Insert(i, now+int64(mix(i)%3_600_000))
	}
	fire := func(hash uint64, when int64) { w.Insert(hash, when+3_600_000) }
	cycle := func() {
		for range 1000 {
			now++
			w.Advance(now, 1000, fire)
		}
	}
	for range 7200 {
		cycle()
	}
	// A slab now and then is chunk growth; one of them holds hundreds of entries.
	if n := testing.AllocsPerRun(20, cycle); n > 1 {
		t.Fatalf("%v allocations for a second of 27 entries a ms", n)
	}
}
