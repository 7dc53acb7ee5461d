package stream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/listpack"
)

// entry is one of a node in the making.
type entry struct {
	ms, seq int64
	deleted bool
	pairs   []string // nil for the fields of the master entry with values v0, v1 ...
}

func pack(fields []string, entries []entry) listpack.Listpack {
	lp := listpack.New(0)
	gone := 0
	for _, e := range entries {
		if e.deleted {
			gone++
		}
	}
	lp = lp.AppendInt(int64(len(entries) - gone)).AppendInt(int64(gone)).AppendInt(int64(len(fields)))
	for _, f := range fields {
		lp = lp.Append([]byte(f))
	}
	lp = lp.AppendInt(0)
	for _, e := range entries {
		flags := int64(0)
		if e.deleted {
			flags |= flagDeleted
		}
		if e.pairs == nil {
			flags |= flagSameFields
		}
		lp = lp.AppendInt(flags).AppendInt(e.ms).AppendInt(e.seq)
		if e.pairs == nil {
			for i := range fields {
				lp = lp.Append(fmt.Appendf(nil, "v%d", i))
			}
			lp = lp.AppendInt(int64(len(fields)) + 3)
			continue
		}
		lp = lp.AppendInt(int64(len(e.pairs) / 2))
		for _, s := range e.pairs {
			lp = lp.Append([]byte(s))
		}
		lp = lp.AppendInt(int64(len(e.pairs)) + 4)
	}
	return lp
}

func TestValidate(t *testing.T) {
	good := pack([]string{"f", "g"}, []entry{{}, {ms: 1, deleted: true}, {ms: 5, seq: -1, pairs: []string{"x", "7"}}, {ms: 9, pairs: []string{}}})
	if n, err := Validate(good); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	ints := func(values ...int64) listpack.Listpack {
		lp := listpack.New(0)
		for _, v := range values {
			lp = lp.AppendInt(v)
		}
		return lp
	}
	for name, lp := range map[string]listpack.Listpack{
		"empty":                   listpack.New(0),
		"no master entry":         ints(0, 0),
		"no end of master":        ints(0, 0, 0),
		"another end of master":   ints(0, 0, 0, 1),
		"negative number":         ints(-1, 1, 0, 0, 3, 0, 0, 3),
		"negative fields":         ints(1, 0, -1, 0, 2, 0, 0, 3),
		"too many fields":         ints(1, 0, 1<<40, 0, 2, 0, 0, 3),
		"more entries":            ints(2, 0, 0, 0, 2, 0, 0, 3),
		"fewer entries":           ints(0, 0, 0, 0, 2, 0, 0, 3),
		"deleted, not counted so": ints(1, 0, 0, 0, 3, 0, 0, 3),
		"wrong elements":          ints(1, 0, 0, 0, 2, 0, 0, 4),
		"cut off":                 ints(1, 0, 0, 0, 2, 0, 0),
		"own fields, cut off":     ints(1, 0, 0, 0, 0, 0, 0, 1, 7),
		"negative own fields":     ints(1, 0, 0, 0, 0, 0, 0, -1, 2),
		"too many own fields":     ints(1, 0, 0, 0, 0, 0, 0, 1<<62, 4),
		"letters for flags":       ints(1, 0, 0, 0).Append([]byte("x")).AppendInt(0).AppendInt(0).AppendInt(3),
	} {
		if n, err := Validate(lp); err == nil {
			t.Errorf("%s: %d entries", name, n)
		}
	}
}

// list returns all that a stream holds, as text.
func list(s *Stream) (all []string) {
	s.Each(func(id ID, pairs []listpack.Value) bool {
		line := id.String()
		for _, p := range pairs {
			line += " " + string(p.AppendTo(nil))
		}
		all = append(all, line)
		return true
	})
	for _, g := range s.Groups() {
		all = append(all, fmt.Sprintf("group %s %v %d", g.Name(), g.Last, g.Read))
		g.EachPending(func(id ID, p Pending, c *Consumer) bool {
			line := fmt.Sprint(id, p.Time, p.Count)
			if c != nil {
				line += " " + string(c.Name())
			}
			all = append(all, line)
			return true
		})
		for _, c := range g.Consumers() {
			all = append(all, fmt.Sprintf("consumer %s %d %d %d", c.Name(), c.Seen, c.Active, c.NumPending()))
			c.EachPending(func(id ID) bool {
				all = append(all, id.String())
				return true
			})
		}
	}
	return all
}

// sample makes a stream of nodes that come in any order, and a group.
func sample(t *testing.T, gen *cow.Generation, nodes int) *Stream {
	t.Helper()
	rnd := rand.New(rand.NewPCG(uint64(nodes), 3))
	s := New(gen)
	for _, i := range rnd.Perm(nodes) {
		lp := pack([]string{"n"}, []entry{{}, {seq: 1, deleted: true}, {ms: 1, pairs: []string{"own", fmt.Sprint(i)}}})
		n, err := Validate(lp)
		if err != nil {
			t.Fatal(err)
		}
		if !s.AddNode(ID{Ms: uint64(10 * i), Seq: 5}, lp, n, gen) {
			t.Fatal("a node is there already")
		}
	}
	if nodes > 0 && s.AddNode(ID{Seq: 5}, pack(nil, nil), 0, gen) {
		t.Error("a node twice")
	}
	g := s.AddGroup([]byte("g"), ID{Ms: 7}, Unknown, gen)
	if s.AddGroup([]byte("g"), ID{}, 0, gen) != nil || s.Group([]byte("g")) != g || s.Group([]byte("h")) != nil {
		t.Error("groups are not told apart")
	}
	s.AddGroup([]byte("b"), ID{}, 0, gen)
	before := g.Size()
	var cs []*Consumer
	for i := range 5 {
		cs = append(cs, g.AddConsumer(fmt.Appendf(nil, "c%d", 9-i), int64(i), int64(2*i), gen))
	}
	if g.AddConsumer([]byte("c9"), 0, 0, gen) != nil {
		t.Error("a consumer twice")
	}
	for _, i := range rnd.Perm(3 * nodes) {
		id := ID{Ms: uint64(i)}
		if !g.AddPending(id, int64(i), uint64(i), gen) || g.AddPending(id, 0, 0, gen) {
			t.Error("pending entries are not told apart")
		}
	}
	if g.Orphans() != 3*nodes {
		t.Error("orphans are not seen")
	}
	for i := range 3 * nodes {
		c, id := cs[rnd.IntN(len(cs))], ID{Ms: uint64(i)}
		found, fresh := g.Own(c, id, gen)
		_, again := g.Own(c, id, gen)
		if !found || !fresh || again {
			t.Error("owners are not told apart")
		}
	}
	if found, _ := g.Own(cs[0], ID{Ms: 1 << 40}, gen); found || g.Orphans() != 0 || g.NumPending() != 3*nodes {
		t.Error("wrong about what is pending")
	}
	s.Account(g, before)
	return s
}

func TestStream(t *testing.T) {
	for _, nodes := range []int{0, 1, 3, 64, 65, 700} {
		var gen cow.Generation
		s := sample(t, &gen, nodes)
		check(t, s)
		all := list(s)
		if s.Len() != 2*nodes || s.NumNodes() != nodes {
			t.Fatalf("%d entries in %d nodes", s.Len(), s.NumNodes())
		}
		for i := range nodes {
			if want := fmt.Sprintf("%d-5 n v0", 10*i); all[2*i] != want {
				t.Fatalf("entry %d is %q, want %q", 2*i, all[2*i], want)
			}
			if want := fmt.Sprintf("%d-5 own %d", 10*i+1, i); all[2*i+1] != want {
				t.Fatalf("entry %d is %q, want %q", 2*i+1, all[2*i+1], want)
			}
		}
		if nodes > 0 && s.FirstID() != (ID{0, 5}) {
			t.Errorf("first is %v", s.FirstID())
		}
		c := s.Clone(&gen)
		check(t, c)
		if !slices.Equal(list(c), all) || c.Len() != s.Len() {
			t.Error("the clone differs")
		}
		// The clone shares nothing.
		c.nodes.each(func(_ ID, n node) bool {
			clear(n.lp()[6:])
			return true
		})
		c.groups = nil
		if !slices.Equal(list(s), all) {
			t.Error("the clone shares its bytes")
		}
	}
}

// A fork that is changed leaves what it was forked from as it was.
func TestFork(t *testing.T) {
	var gen cow.Generation
	s := sample(t, &gen, 300)
	all, size := list(s), s.Size()
	gen.Pin()
	f := s.Fork(&gen)
	if f.Stamp() == s.Stamp() || !gen.Owns(f.Stamp()) || gen.Owns(s.Stamp()) {
		t.Error("stamps")
	}
	for i := range 300 {
		if !f.AddNode(ID{Ms: uint64(10*i + 5)}, pack(nil, []entry{{pairs: []string{"a", "b"}}}), 1, &gen) {
			t.Fatal("no node")
		}
	}
	f.AddGroup([]byte("new"), ID{}, 0, &gen)
	check(t, f)
	if f.Len() != 900 || len(f.Groups()) != 3 {
		t.Errorf("%d entries", f.Len())
	}
	if !slices.Equal(list(s), all) || s.Size() != size || s.Len() != 600 {
		t.Error("the fork has changed what it was forked from")
	}
	gen.Unpin()
}

func TestRead(t *testing.T) {
	var gen cow.Generation
	s := sample(t, &gen, 2) // 0-5 1-5 10-5 11-5
	s.Info = Info{Last: ID{11, 5}, First: ID{0, 5}, Added: 10}
	for _, tc := range []struct {
		id   ID
		want int64
	}{{ID{11, 5}, 10}, {ID{12, 0}, Unknown}, {ID{0, 4}, 6}, {ID{0, 5}, 7}, {ID{1, 5}, Unknown}} {
		if got := s.Read(tc.id); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.id, got, tc.want)
		}
	}
	s.MaxDeleted = ID{5, 0}
	if got := s.Read(ID{0, 5}); got != Unknown {
		t.Errorf("behind a deletion: %d", got)
	}
	if got := New(&gen).Read(ID{5, 5}); got != 0 {
		t.Errorf("never used: %d", got)
	}
	e := New(&gen)
	e.Last, e.Added = ID{9, 9}, 3
	if got := e.Read(ID{1, 1}); got != 3 {
		t.Errorf("empty: %d", got)
	}
}

func TestID(t *testing.T) {
	ids := []ID{{}, {0, 1}, {0, 1 << 63}, {1, 0}, {1, 2}, {1 << 63, 0}}
	for i, a := range ids {
		for j, b := range ids {
			want := min(max(i-j, -1), 1)
			if a.Compare(b) != want || slices.Compare(a.Append(nil), b.Append(nil)) != want {
				t.Errorf("%v and %v", a, b)
			}
		}
		if ParseID(a.Append(nil)) != a {
			t.Errorf("%v is read as another", a)
		}
	}
	if s := (ID{12, 1 << 63}).String(); s != "12-9223372036854775808" {
		t.Error(s)
	}
}

// XSETID may go back behind entries that were trimmed, so that a master ID comes again.
func TestMasterAgain(t *testing.T) {
	var gen cow.Generation
	s := New(&gen)
	pairs := [][]byte{[]byte("field"), []byte("value")}
	for range 2 {
		for ms := range uint64(20) {
			if err := s.Append(ID{Ms: 100 + ms}, pairs, Limits{Entries: 100}, &gen); err != nil {
				t.Fatal(err)
			}
			if want := (ID{Ms: 100}); s.First != want || s.FirstID() != want {
				t.Fatalf("first is %v, %v", s.First, s.FirstID())
			}
		}
		if n := s.Trim(Trim{MaxLen: 10}, &gen); n != 10 || s.FirstID() != (ID{Ms: 110}) {
			t.Fatalf("%d trimmed, first is %v", n, s.FirstID())
		}
		s.Trim(Trim{}, &gen)
		s.SetID(ID{Ms: 5}, Unknown, ID{})
	}
	check(t, s)
}

// What a second consumer of a file has pending leaves the first.
func TestOwnTwice(t *testing.T) {
	var gen cow.Generation
	s := New(&gen)
	g := s.AddGroup([]byte("g"), ID{}, 0, &gen)
	before := g.Size()
	a, b := g.AddConsumer([]byte("a"), 0, 0, &gen), g.AddConsumer([]byte("b"), 0, 0, &gen)
	g.AddPending(ID{Ms: 1}, 5, 1<<40, &gen)
	g.Own(a, ID{Ms: 1}, &gen)
	if found, fresh := g.Own(b, ID{Ms: 1}, &gen); !found || !fresh {
		t.Error("the second consumer does not get it")
	}
	s.Account(g, before)
	check(t, s)
	if p, ok := g.Pending(ID{Ms: 1}); !ok || g.Owner(p) != b || p.Count != 1<<40 || a.NumPending() != 0 || b.NumPending() != 1 {
		t.Errorf("%+v, %d and %d", p, a.NumPending(), b.NumPending())
	}
	if !s.Ack(g, ID{Ms: 1}, &gen) || s.Ack(g, ID{Ms: 1}, &gen) {
		t.Error("acknowledged twice or never")
	}
	check(t, s)
}

// XSETID may even go back behind a node that is left with nothing but tombstones.
func TestBehindTombstones(t *testing.T) {
	var gen cow.Generation
	s := New(&gen)
	pairs := [][]byte{[]byte("field"), []byte("value")}
	for ms := range uint64(20) {
		s.Append(ID{Ms: 100 + ms}, pairs, Limits{}, &gen)
	}
	s.Delete(ID{Ms: 119}, &gen)
	if n := s.Trim(Trim{ByID: true, MinID: ID{Ms: 119}}, &gen); n != 19 || s.NumNodes() != 1 {
		t.Fatalf("%d trimmed, %d nodes", n, s.NumNodes())
	}
	s.SetID(ID{Ms: 5}, Unknown, ID{Ms: 1})
	for ms := range uint64(20) {
		if err := s.Append(ID{Ms: 90 + ms}, pairs, Limits{Entries: 3}, &gen); err != nil {
			t.Fatal(err)
		}
	}
	check(t, s)
	for ms := range uint64(20) {
		if !s.Delete(ID{Ms: 90 + ms}, &gen) {
			t.Fatalf("%d is not there", 90+ms)
		}
	}
	check(t, s)
}

// What groups have read and what they lag behind is as redis-server 7.2.6 answers for the same commands.
func TestLag(t *testing.T) {
	var gen cow.Generation
	s := New(&gen)
	pairs := [][]byte{[]byte("f"), []byte("v")}
	add := func(ms uint64) { s.Append(ID{Ms: ms}, pairs, Limits{Bytes: 4096, Entries: 100}, &gen) }
	group := func(name string) *Group { return s.AddGroup([]byte(name), ID{}, Unknown, &gen) }
	read := func(g *Group) {
		var it Iter
		from, _ := g.Last.Next()
		it.Start(s, from, MaxID, false)
		it.Next()
		s.Advance(g, it.ID())
	}
	const none = "?"
	step := 0
	want := func(pairs ...string) { // entries read and lag alternately
		t.Helper()
		step++
		var got []string
		for _, g := range s.Groups() {
			entries, lag := none, none
			if g.Read != Unknown {
				entries = fmt.Sprint(g.Read)
			}
			if n, ok := s.Lag(g); ok {
				lag = fmt.Sprint(n)
			}
			got = append(got, entries, lag)
		}
		if !slices.Equal(got, pairs) {
			t.Errorf("step %d: %v, want %v", step, got, pairs)
		}
	}
	for ms := range uint64(5) {
		add(ms + 1)
	}
	s.Delete(ID{Ms: 3}, &gen)
	g1, g2 := group("g1"), group("g2")
	want(none, none, none, none)
	for range 3 {
		read(g1)
		want(none, none, none, none)
	}
	read(g1)
	want("5", "0", none, none)
	add(6)
	want("5", "1", none, none)
	read(g1)
	want("6", "0", none, none)
	s.Trim(Trim{ByID: true, MinID: ID{Ms: 3}}, &gen)
	want("6", "0", none, "3")
	s.Trim(Trim{ByID: true, MinID: ID{Ms: 5}}, &gen)
	want("6", "0", none, "2")
	s.Delete(ID{Ms: 6}, &gen)
	want("6", "0", none, none)
	s.Trim(Trim{}, &gen)
	want("6", "0", none, "0")
	s.SetID(ID{Ms: 9}, Unknown, ID{})
	want("6", "0", none, "0")
	g3 := group("g3")
	want("6", "0", none, "0", none, "0")
	add(10)
	want("6", "1", none, "1", none, "1")
	read(g1)
	want("7", "0", none, "1", none, "1")
	read(g2)
	read(g3)
	want("7", "0", "7", "0", "7", "0")
	// A group that knows what it has read does not any more when an entry before it was deleted.
	add(11)
	add(12)
	g1.Last, g1.Read = ID{Ms: 10}, 7
	want("7", "2", "7", "2", "7", "2")
	s.Delete(ID{Ms: 11}, &gen)
	want("7", none, "7", none, "7", none)
}

// A small stream that is emptied leaves a snapshot its entries.
func TestEmptied(t *testing.T) {
	var gen cow.Generation
	s := New(&gen)
	s.Append(ID{Ms: 1}, [][]byte{[]byte("f"), []byte("v")}, Limits{}, &gen)
	g := s.AddGroup([]byte("g"), ID{}, 0, &gen)
	c := s.AddConsumer(g, []byte("c"), 0, 0, &gen)
	s.SetPending(g, c, ID{Ms: 1}, 1, 1, &gen)
	all := list(s)
	gen.Pin()
	f := s.Fork(&gen)
	if f.Trim(Trim{}, &gen) != 1 || !f.Ack(f.OwnGroup([]byte("g"), &gen), ID{Ms: 1}, &gen) {
		t.Error("nothing is removed")
	}
	check(t, f)
	check(t, s)
	if !slices.Equal(list(s), all) {
		t.Error("what the snapshot holds has changed")
	}
	gen.Unpin()
}
