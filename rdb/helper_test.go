package rdb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"testing"
	"unsafe"

	"ferrous/datatypes/table"
	"ferrous/tests/random"

	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

// now is the time of all tests, in Unix milliseconds.
const now = int64(1_700_000_000_000)

func appendScore(dst []byte, f float64) []byte { return strconv.AppendFloat(dst, f, 'g', 17, 64) }

func newKeyspace() *keyspace.Keyspace {
	ks := keyspace.New(16, 1)
	ks.Now = now
	ks.Clock = keyspace.LRUClock(now)
	return ks
}

// testRules are Redis's defaults.
func testRules(ks *keyspace.Keyspace) *Rules {
	return &Rules{
		Hash: hash.Rules{Entries: 128, Value: 64},
		Set:  set.Rules{Ints: 512, Entries: 128, Value: 64},
		List: list.Rules{Set: quicklist.NewSettings(ks.Generation()), Fill: -2},
		ZSet: sortedset.Rules{Entries: 128, Value: 64, Text: sortedset.NewText(appendScore)},
	}
}

// describe returns type, encoding and contents of a record as a text that is equal for equal values.
func describe(r *record.Record) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%v/%v expiry %d: ", r.Type(), keyspace.Encoding(r), r.Expiry())
	value := func(v listpack.Value) string { return string(v.AppendTo(nil)) }
	var parts []string
	switch r.Type() {
	case record.String:
		fmt.Fprintf(&b, "%q", r.AppendTo(nil))
	case record.List:
		l := keyspace.ValueOf(r).(*list.List)
		l.Range(0, l.Len(), false, func(v list.Value) { fmt.Fprintf(&b, "%q ", value(v)) })
	case record.Set:
		keyspace.ValueOf(r).(*set.Set).Each(func(v set.Value) bool {
			parts = append(parts, fmt.Sprintf("%q", value(v)))
			return true
		})
	case record.Hash:
		keyspace.ValueOf(r).(*hash.Hash).EachField(func(f, v hash.Value, when int64) bool {
			parts = append(parts, fmt.Sprintf("%q=%q@%d", value(f), value(v), when))
			return true
		})
	case record.ZSet:
		keyspace.ValueOf(r).(*sortedset.SortedSet).Each(func(m sortedset.Value, score float64) bool {
			fmt.Fprintf(&b, "%q=%v ", value(m), score)
			return true
		})
	case record.Stream:
		s := keyspace.ValueOf(r).(*stream.Stream)
		fmt.Fprintf(&b, "%d entries, %+v;", s.Len(), s.Info)
		s.Each(func(id stream.ID, pairs []listpack.Value) bool {
			fmt.Fprintf(&b, " %v", id)
			for _, p := range pairs {
				fmt.Fprintf(&b, " %q", value(p))
			}
			return true
		})
		for _, g := range s.Groups() {
			fmt.Fprintf(&b, "; group %q last %v read %d:", g.Name(), g.Last, g.Read)
			g.EachPending(func(id stream.ID, p stream.Pending, c *stream.Consumer) bool {
				fmt.Fprintf(&b, " %v time %d count %d of %q", id, p.Time, p.Count, c.Name())
				return true
			})
			for _, c := range g.Consumers() {
				fmt.Fprintf(&b, ", consumer %q seen %d active %d:", c.Name(), c.Seen, c.Active)
				c.EachPending(func(id stream.ID) bool {
					fmt.Fprintf(&b, " %v", id)
					return true
				})
			}
		}
	}
	sort.Strings(parts)
	for _, p := range parts {
		b.WriteString(p + " ")
	}
	return b.String()
}

// contents describes all keys.
func contents(ks *keyspace.Keyspace) map[string]string {
	m := make(map[string]string)
	for _, db := range ks.DBs() {
		db.Each(func(r *record.Record) bool {
			m[fmt.Sprintf("%d/%q", db.ID, r.Key())] = describe(r)
			return true
		})
	}
	return m
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	wrong := 0
	for k, v := range want {
		if got[k] != v {
			if wrong++; wrong < 5 {
				t.Errorf("%s:\n got %.600s\nwant %.600s", k, got[k], v)
			}
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s is too much: %.300s", k, v)
		}
	}
}

// A maker makes random values.
type maker struct {
	*rand.Rand
	ks    *keyspace.Keyspace
	rules *Rules
}

func newMaker(seed uint64, ks *keyspace.Keyspace) *maker {
	return &maker{rand.New(rand.NewPCG(seed, 7)), ks, testRules(ks)}
}

// bytes returns a string: an integer, noise, or something that compresses.
func (m *maker) bytes(longest int) []byte {
	switch n := m.IntN(longest + 1); m.IntN(4) {
	case 0:
		shift := m.IntN(64)
		return strconv.AppendInt(nil, int64(m.Uint64())>>shift, 10)
	case 1:
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(m.Uint32())
		}
		return b
	case 2:
		return bytes.Repeat([]byte("abc"), n/3+1)
	default:
		return fmt.Appendf(nil, "element:%d", m.IntN(100000))
	}
}

func (m *maker) count() int {
	if m.IntN(4) == 0 {
		return 1 + m.IntN(600)
	}
	return 1 + m.IntN(20)
}

func (m *maker) longest() int {
	switch m.IntN(5) {
	case 0:
		return 200
	case 1:
		return 3000
	}
	return 30
}

// record makes a record; a deadline of a hash field only if timed says so.
func (m *maker) record(key []byte, timed bool) *record.Record {
	gen := m.ks.Generation()
	expiry := record.NoExpiry
	if m.IntN(3) == 0 {
		expiry = now + 1 + m.Int64N(1<<40)
	}
	object := func(t record.Type, p unsafe.Pointer) *record.Record {
		return record.NewObject(t, 0, key, p, expiry, m.ks.Clock)
	}
	n, longest := m.count(), m.longest()
	switch m.IntN(6) {
	case 0:
		l := list.New(gen)
		for range n {
			b := m.bytes(longest)
			l.Grow(len(b), 1, m.rules.List)
			l.Push(b, m.IntN(2) == 0)
		}
		return object(record.List, unsafe.Pointer(l))
	case 1:
		first := m.bytes(longest)
		s := set.New(first, 1, m.rules.Set, gen)
		s.Add(first, m.rules.Set, gen)
		ints := m.IntN(2) == 0
		for range n {
			if b := m.bytes(longest); ints {
				s.Add(strconv.AppendInt(nil, int64(m.Uint64())>>m.IntN(64), 10), m.rules.Set, gen)
			} else {
				s.Add(b, m.rules.Set, gen)
			}
		}
		return object(record.Set, unsafe.Pointer(s))
	case 2:
		h := hash.New(gen)
		for range n {
			field := m.bytes(longest)
			h.Set(field, m.bytes(longest), m.rules.Hash, gen)
			if timed && m.IntN(3) == 0 {
				h.SetDeadline(field, now+1+m.Int64N(1<<40), gen)
			}
		}
		return object(record.Hash, unsafe.Pointer(h))
	case 3:
		z := sortedset.New(1, 1, m.rules.ZSet, gen)
		for range n {
			score := float64(m.IntN(100))
			if m.IntN(2) == 0 {
				score = m.NormFloat64() * 1e10
			}
			z.Add(m.bytes(longest), score, 0, m.rules.ZSet, gen)
		}
		return object(record.ZSet, unsafe.Pointer(z))
	case 4:
		return object(record.Stream, unsafe.Pointer(m.stream(n)))
	}
	if m.IntN(10) == 0 {
		longest = 300000
	}
	return record.NewString(key, m.bytes(longest), expiry, m.ks.Clock, gen.Current())
}

// stream makes a stream of n entries and some groups.
func (m *maker) stream(n int) *stream.Stream {
	gen := m.ks.Generation()
	s := stream.New(gen)
	var ids []stream.ID
	id := stream.ID{Ms: uint64(now)}
	for left := n; left > 0; {
		count := min(left, 1+m.IntN(100))
		left -= count
		lp, fields := listpack.New(0), 1+m.IntN(3)
		add := func(v int) { lp = lp.AppendInt(int64(v)) }
		deleted := m.IntN(count + 1)
		add(count - deleted)
		add(deleted)
		add(fields)
		for i := range fields {
			lp = lp.Append(fmt.Appendf(nil, "field%d", i))
		}
		add(0)
		id.Ms++
		master := id
		for i := range count {
			flags := 0
			if i < deleted {
				flags = 1
			}
			same := m.IntN(3) > 0
			if same {
				flags |= 2
			}
			add(flags)
			lp = lp.AppendInt(int64(id.Ms - master.Ms)).AppendInt(int64(id.Seq - master.Seq))
			if same {
				for range fields {
					lp = lp.Append(m.bytes(30))
				}
				add(fields + 3)
			} else {
				k := m.IntN(4)
				add(k)
				for range 2 * k {
					lp = lp.Append(m.bytes(30))
				}
				add(2*k + 4)
			}
			if i >= deleted {
				ids = append(ids, id)
			}
			id.Ms += uint64(m.IntN(3))
			id.Seq += uint64(1 + m.IntN(3))
		}
		s.AddNode(master, lp, count-deleted, gen)
	}
	s.Info = stream.Info{Last: id, First: s.FirstID(), Added: uint64(2 * n)}
	for g := range m.IntN(3) {
		group := s.AddGroup(fmt.Appendf(nil, "group%d", g), id, int64(m.IntN(9)-1), gen)
		before := group.Size()
		for c := range 1 + m.IntN(3) {
			group.AddConsumer(fmt.Appendf(nil, "consumer%d", c), now, now-int64(m.IntN(2)), gen)
		}
		for _, id := range ids {
			if m.IntN(2) == 0 {
				group.AddPending(id, now-m.Int64N(1000), m.Uint64N(100), gen)
				cs := group.Consumers()
				group.Own(cs[m.IntN(len(cs))], id, gen)
			}
		}
		s.Account(group, before)
	}
	return s
}
