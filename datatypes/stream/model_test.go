package stream

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/tests/random"
)

var steps = flag.Int("steps", 0, "operations of the model test (20,000; a million in the long form)")

// model is a stream as plain slices and maps. Its nodes are there only for trimming by whole nodes.
type model struct {
	info    Info
	entries []modelEntry
	groups  map[string]*modelGroup
}

type modelEntry struct {
	id    ID
	pairs []string
}

type modelGroup struct {
	last      ID
	read      int64
	pending   map[ID]modelPending
	consumers map[string]bool
}

type modelPending struct {
	time     int64
	count    uint64
	consumer string
}

func (m *model) find(id ID) (int, bool) {
	return slices.BinarySearchFunc(m.entries, id, func(e modelEntry, id ID) int { return e.id.Compare(id) })
}

func (m *model) first() {
	m.info.First = ID{}
	if len(m.entries) > 0 {
		m.info.First = m.entries[0].id
	}
}

// text describes the model as textOf describes a stream.
func (m *model) text() string {
	var b strings.Builder
	fmt.Fprintln(&b, m.info, len(m.entries))
	for _, e := range m.entries {
		fmt.Fprintln(&b, e.id, e.pairs)
	}
	var names []string
	for name := range m.groups {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		g := m.groups[name]
		fmt.Fprintln(&b, name, g.last, g.read)
		var ids []ID
		for id := range g.pending {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, ID.Compare)
		for _, id := range ids {
			fmt.Fprintln(&b, id, g.pending[id])
		}
		var consumers []string
		for c := range g.consumers {
			consumers = append(consumers, c)
		}
		sort.Strings(consumers)
		for _, c := range consumers {
			fmt.Fprint(&b, c, ":")
			for _, id := range ids {
				if g.pending[id].consumer == c {
					fmt.Fprint(&b, " ", id)
				}
			}
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

func textOf(s *Stream) string {
	var b strings.Builder
	fmt.Fprintln(&b, s.Info, s.Len())
	var it Iter
	for it.Start(s, ID{}, MaxID, false); it.Next(); {
		fmt.Fprintln(&b, it.ID(), pairsOf(&it))
	}
	for _, g := range s.Groups() {
		fmt.Fprintln(&b, string(g.Name()), g.Last, g.Read)
		var it PendingIter
		for it.Start(g, ID{}); it.Next(); {
			p := it.Pending()
			owner := ""
			if c := g.Owner(p); c != nil {
				owner = string(c.Name())
			}
			fmt.Fprintln(&b, it.ID(), modelPending{p.Time, p.Count, owner})
		}
		for _, c := range g.Consumers() {
			fmt.Fprint(&b, string(c.Name()), ":")
			c.EachPending(func(id ID) bool {
				fmt.Fprint(&b, " ", id)
				return true
			})
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

func pairsOf(it *Iter) []string {
	pairs := []string{}
	for it.Pairs() > 0 {
		f, v := it.Pair()
		pairs = append(pairs, string(f.AppendTo(nil)), string(v.AppendTo(nil)))
	}
	return pairs
}

// trial is a stream, its model, and perhaps a snapshot.
type trial struct {
	t    *testing.T
	rnd  *rand.Rand
	gen  cow.Generation
	s    *Stream
	m    model
	old  *Stream // what the snapshot holds
	text string  // of old
	size int
	now  int64
}

func (r *trial) group() (*Group, *modelGroup) {
	name := string('a' + byte(r.rnd.IntN(3)))
	mg := r.m.groups[name]
	if mg == nil {
		id := ID{Ms: r.m.info.Last.Ms * uint64(r.rnd.IntN(3)) / 2}
		read := int64(Unknown)
		if r.rnd.IntN(2) == 0 {
			read = r.s.Read(id)
		}
		mg = &modelGroup{last: id, read: read, pending: map[ID]modelPending{}, consumers: map[string]bool{}}
		r.m.groups[name] = mg
		if r.s.AddGroup([]byte(name), id, read, &r.gen) == nil {
			r.t.Fatal("no group is made")
		}
	}
	g := r.s.OwnGroup([]byte(name), &r.gen)
	if g == nil || g != r.s.Group([]byte(name)) {
		r.t.Fatal("a group is not found")
	}
	return g, mg
}

func (r *trial) consumer(g *Group, mg *modelGroup) (*Consumer, string) {
	name := fmt.Sprint("consumer", r.rnd.IntN(5))
	c := r.s.OwnConsumer(g, []byte(name), &r.gen)
	if (c != nil) != mg.consumers[name] {
		r.t.Fatalf("consumer %s", name)
	}
	if c == nil {
		mg.consumers[name] = true
		c = r.s.AddConsumer(g, []byte(name), r.now, -1, &r.gen)
	}
	c.Seen = r.now
	return c, name
}

// anyID returns an ID that is perhaps one of an entry.
func (r *trial) anyID() ID {
	if n := len(r.m.entries); n > 0 && r.rnd.IntN(4) > 0 {
		return r.m.entries[r.rnd.IntN(n)].id
	}
	switch r.rnd.IntN(8) {
	case 0:
		return ID{}
	case 1:
		return MaxID
	}
	return ID{r.rnd.Uint64N(r.m.info.Last.Ms + 2), r.rnd.Uint64N(3)}
}

func (r *trial) anyPending(mg *modelGroup) ID {
	if r.rnd.IntN(8) == 0 || len(mg.pending) == 0 {
		return r.anyID()
	}
	var ids []ID
	for id := range mg.pending {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, ID.Compare)
	return ids[r.rnd.IntN(len(ids))]
}

func (r *trial) add(limits Limits) {
	id, ok := r.s.NextID(r.m.info.Last.Ms + uint64(r.rnd.IntN(3)))
	if r.rnd.IntN(10) == 0 {
		id, ok = r.s.NextSeq(id.Ms)
	}
	if !ok {
		r.t.Fatal("no ID")
	}
	var pairs [][]byte
	var texts []string
	for i := range 1 + r.rnd.IntN(2) {
		pair := []string{fmt.Sprint("field", i), fmt.Sprint(r.rnd.IntN(1000))}
		switch r.rnd.IntN(20) {
		case 0:
			pair[0] = fmt.Sprint(r.rnd.IntN(5))
		case 1:
			pair[1] = strings.Repeat("x", r.rnd.IntN(300))
		}
		texts = append(texts, pair...)
		pairs = append(pairs, []byte(pair[0]), []byte(pair[1]))
	}
	if err := r.s.Append(id, pairs, limits, &r.gen); err != nil {
		r.t.Fatal(err)
	}
	if err := r.s.Append(id, pairs, limits, &r.gen); err != ErrOrder {
		r.t.Fatalf("an ID twice: %v", err)
	}
	r.m.entries = append(r.m.entries, modelEntry{id, texts})
	r.m.info.Last = id
	r.m.info.Added++
	if len(r.m.entries) == 1 {
		r.m.info.First = id
	}
}

func (r *trial) delete(id ID) {
	i, ok := r.m.find(id)
	if got := r.s.Delete(id, &r.gen); got != ok {
		r.t.Fatalf("deleting %v: %v", id, got)
	}
	if !ok {
		return
	}
	r.m.entries = slices.Delete(r.m.entries, i, i+1)
	r.m.first()
	if r.m.info.MaxDeleted.Compare(id) < 0 {
		r.m.info.MaxDeleted = id
	}
}

func (m *model) referenced(id ID) bool {
	for _, g := range m.groups {
		if _, ok := g.pending[id]; ok || g.last.Compare(id) < 0 {
			return true
		}
	}
	return false
}

func (r *trial) trim() {
	tr := Trim{ByID: r.rnd.IntN(2) == 0, Approx: r.rnd.IntN(2) == 0, Refs: Refs(r.rnd.IntN(3)), MinID: r.anyID(),
		MaxLen: len(r.m.entries) - r.rnd.IntN(50)}
	if tr.MaxLen < 0 || r.rnd.IntN(30) == 0 {
		tr.MaxLen = 0
	}
	if tr.ByID && r.rnd.IntN(8) > 0 {
		tr.MinID = ID{}
		if n := len(r.m.entries); n > 0 {
			tr.MinID = r.m.entries[min(r.rnd.IntN(40), n-1)].id
		}
	}
	if r.rnd.IntN(4) == 0 {
		tr.Limit = 1 + r.rnd.IntN(60)
	}
	exact := !tr.Approx && tr.Limit == 0
	before := slices.Clone(r.m.entries)
	deleted := r.s.Trim(tr, &r.gen)
	// What is gone in the stream is checked to be a prefix of what may go, and all of it if the trim is exact.
	gone := map[ID]bool{}
	left := len(before)
	stop := false
	var kept []modelEntry
	for _, e := range before {
		may := tr.ByID && e.id.Compare(tr.MinID) < 0 || !tr.ByID && left > tr.MaxLen
		if tr.Refs == Acked && may && r.m.referenced(e.id) {
			may = false
		} else if !may {
			stop = true
		}
		if may && !stop && (exact || !r.s.Exists(e.id)) {
			gone[e.id] = true
			left--
			continue
		}
		if may && !exact {
			stop = true
		}
		kept = append(kept, e)
	}
	if len(gone) != deleted {
		r.t.Fatalf("%+v: %d trimmed, want %d", tr, deleted, len(gone))
	}
	if tr.Limit > 0 && deleted > tr.Limit {
		r.t.Fatalf("%+v: %d trimmed", tr, deleted)
	}
	r.m.entries = kept
	if deleted > 0 || len(kept) == 0 {
		r.m.first()
	}
	if tr.Refs == DelRef {
		for _, g := range r.m.groups {
			for id := range gone {
				delete(g.pending, id)
			}
		}
	}
}

func (r *trial) ranges() {
	a, b := r.anyID(), r.anyID()
	if b.Compare(a) < 0 && r.rnd.IntN(5) > 0 {
		a, b = b, a
	}
	reverse := r.rnd.IntN(2) == 0
	var want []modelEntry
	for _, e := range r.m.entries {
		if e.id.Compare(a) >= 0 && e.id.Compare(b) <= 0 {
			want = append(want, e)
		}
	}
	if reverse {
		slices.Reverse(want)
	}
	count := r.rnd.IntN(30)
	var it Iter
	i := 0
	for it.Start(r.s, a, b, reverse); i < count && it.Next(); i++ {
		if i >= len(want) || it.ID() != want[i].id || r.rnd.IntN(2) == 0 && !slices.Equal(pairsOf(&it), want[i].pairs) {
			r.t.Fatalf("entry %d from %v to %v, reverse %v, is %v", i, a, b, reverse, it.ID())
		}
	}
	if i != min(count, len(want)) {
		r.t.Fatalf("%d entries from %v to %v, want %d", i, a, b, len(want))
	}
	if id := r.anyID(); r.s.Referenced(id) != r.m.referenced(id) {
		r.t.Fatalf("%v referenced: %v", id, r.s.Referenced(id))
	}
}

func (r *trial) deliver() {
	g, mg := r.group()
	c, name := r.consumer(g, mg)
	from, ok := g.Last.Next()
	if !ok {
		return
	}
	var it Iter
	i := 0
	for it.Start(r.s, from, MaxID, false); i < 1+r.rnd.IntN(20) && it.Next(); i++ {
		id := it.ID()
		at, _ := r.m.find(id)
		if !r.s.Advance(g, id) {
			r.t.Fatal("the group is not advanced")
		}
		_, was := mg.pending[id]
		if r.s.SetPending(g, c, id, r.now, 1, &r.gen) == was {
			r.t.Fatal("fresh is wrong")
		}
		if want := int64(r.m.info.Added) - int64(len(r.m.entries)-at) + 1; r.m.info.MaxDeleted.IsZero() && g.Read != Unknown &&
			mg.read == r.m.readBefore(mg.last) && g.Read != want {
			r.t.Fatalf("read %d, want %d", g.Read, want)
		}
		mg.last, mg.read = id, g.Read
		mg.pending[id] = modelPending{r.now, 1, name}
	}
}

// readBefore returns how many entries were added up to id, while nothing was deleted but from the front.
func (m *model) readBefore(id ID) int64 {
	i, ok := m.find(id)
	if ok {
		i++
	}
	return int64(m.info.Added) - int64(len(m.entries)-i)
}

func (r *trial) claim() {
	g, mg := r.group()
	c, name := r.consumer(g, mg)
	id := r.anyPending(mg)
	count := uint64(r.rnd.IntN(5))
	if r.rnd.IntN(5) == 0 {
		count = math.MaxUint32 - 1 + r.rnd.Uint64N(1<<40)
	}
	if r.rnd.IntN(20) == 0 {
		c, name = nil, ""
	}
	when := r.now - r.rnd.Int64N(100)
	_, was := mg.pending[id]
	if r.s.SetPending(g, c, id, when, count, &r.gen) == was {
		r.t.Fatal("fresh is wrong")
	}
	mg.pending[id] = modelPending{when, count, name}
}

func (r *trial) claimOldest() {
	g, mg := r.group()
	c, name := r.consumer(g, mg)
	for range r.rnd.IntN(20) {
		id, p, ok := g.Oldest()
		if ok != (len(mg.pending) > 0) {
			r.t.Fatal("wrong about whether something is pending")
		}
		if !ok {
			return
		}
		for other, o := range mg.pending {
			if o.time < p.Time || o.time == p.Time && other.Compare(id) < 0 {
				r.t.Fatalf("%v at %d is said to be the oldest, %v is from %d", id, p.Time, other, o.time)
			}
		}
		if o := mg.pending[id]; o.time != p.Time || o.count != p.Count {
			r.t.Fatalf("%v is %+v, want %+v", id, p, o)
		}
		if r.rnd.IntN(5) == 0 {
			r.ack(g, mg, id)
			continue
		}
		r.s.SetPending(g, c, id, r.now, p.Count+1, &r.gen)
		mg.pending[id] = modelPending{r.now, p.Count + 1, name}
	}
}

func (r *trial) ack(g *Group, mg *modelGroup, id ID) {
	_, ok := mg.pending[id]
	if r.s.Ack(g, id, &r.gen) != ok {
		r.t.Fatalf("ack of %v", id)
	}
	delete(mg.pending, id)
}

func (r *trial) seekPending() {
	g, mg := r.group()
	from := r.anyPending(mg)
	var want ID
	any := false
	for id := range mg.pending {
		if id.Compare(from) >= 0 && (!any || id.Compare(want) < 0) {
			want, any = id, true
		}
	}
	id, _, ok := g.NextPending(from)
	if ok != any || id != want {
		r.t.Fatalf("%v is pending next from %v on, want %v", id, from, want)
	}
}

func (r *trial) step() {
	if r.rnd.IntN(3) == 0 {
		r.now++
	}
	switch n := r.rnd.IntN(100); {
	case n < 30:
		for range 1 + r.rnd.IntN(4) {
			r.add(Limits{Bytes: 400 + r.rnd.IntN(2)*4096, Entries: 10 + r.rnd.IntN(20)})
		}
	case n < 40:
		r.delete(r.anyID())
	case n < 43:
		r.trim()
	case n < 53:
		r.ranges()
	case n < 65:
		r.deliver()
	case n < 75:
		r.claim()
	case n < 78:
		r.claimOldest()
	case n < 92:
		g, mg := r.group()
		for range 1 + r.rnd.IntN(8) {
			r.ack(g, mg, r.anyPending(mg))
		}
	case n < 94:
		r.seekPending()
	case n < 95:
		id := r.anyID()
		want := 0
		for _, g := range r.m.groups {
			if _, ok := g.pending[id]; ok {
				want++
				delete(g.pending, id)
			}
		}
		if got := r.s.DropRefs(id, &r.gen); got != want {
			r.t.Fatalf("%d references dropped, want %d", got, want)
		}
	case n < 96 && r.rnd.IntN(3) == 0:
		g, mg := r.group()
		name := fmt.Sprint("consumer", r.rnd.IntN(5))
		want := 0
		for id, p := range mg.pending {
			if p.consumer == name {
				want++
				delete(mg.pending, id)
			}
		}
		if got, ok := r.s.RemoveConsumer(g, []byte(name), &r.gen); got != want || ok != mg.consumers[name] {
			r.t.Fatalf("%d were pending with %s, want %d", got, name, want)
		}
		delete(mg.consumers, name)
	case n < 97 && r.rnd.IntN(20) == 0:
		name := string('a' + byte(r.rnd.IntN(3)))
		if r.s.RemoveGroup([]byte(name)) != (r.m.groups[name] != nil) {
			r.t.Fatal("removing a group")
		}
		delete(r.m.groups, name)
	case n < 98 && r.rnd.IntN(5) == 0:
		g, mg := r.group()
		mg.last = r.anyID()
		mg.read = r.s.Read(mg.last)
		g.Last, g.Read = mg.last, mg.read
	case n < 99 && r.rnd.IntN(20) == 0:
		r.m.info.Last.Ms++
		r.m.info.Added += 3
		r.s.SetID(r.m.info.Last, int64(r.m.info.Added), ID{})
	default:
		r.snapshot()
	}
}

// snapshot begins a snapshot or ends the one there is.
func (r *trial) snapshot() {
	if r.old == nil {
		r.old, r.text, r.size = r.s, textOf(r.s), r.s.Size()
		r.gen.Pin()
		r.s = r.s.Fork(&r.gen)
		return
	}
	check(r.t, r.old)
	if textOf(r.old) != r.text || r.old.Size() != r.size {
		r.t.Fatal("what a snapshot holds has changed")
	}
	r.gen.Unpin()
	r.old = nil
}

// TestModel compares a stream with a plain model, with and without a snapshot.
func TestModel(t *testing.T) {
	r := &trial{t: t, rnd: random.New(t), now: 1000, m: model{groups: map[string]*modelGroup{}}}
	r.s = New(&r.gen)
	n := *steps
	if n == 0 {
		n = 20_000
		if random.Stress() {
			n = 1_000_000
		}
	}
	for i := range n {
		r.step()
		if i%100 == 0 || i < 100 {
			check(t, r.s)
			if got, want := textOf(r.s), r.m.text(); got != want {
				t.Fatalf("step %d: got\n%s\nwant\n%s", i, got, want)
			}
		}
		if i%1000 == 0 {
			c := r.s.Clone(&r.gen)
			check(t, c)
			if textOf(c) != r.m.text() {
				t.Fatal("the clone differs")
			}
		}
	}
}
