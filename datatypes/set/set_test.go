package set

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ferrous/datatypes/table"

	"ferrous/datatypes/cow"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// The hash function of tables is a part of what a test repeats.
func init() { table.FixHash(random.Process()) }

var usual = Rules{Ints: 512, Entries: 128, Value: 64}

// contents returns the members, and fails if one comes twice.
func contents(t testing.TB, s *Set) map[string]bool {
	t.Helper()
	m := make(map[string]bool)
	s.Each(func(v Value) bool {
		f := string(v.AppendTo(nil))
		if m[f] {
			t.Errorf("member %q comes twice", f)
		}
		m[f] = true
		return true
	})
	if len(m) != s.Len() {
		t.Errorf("Len is %d, there are %d members", s.Len(), len(m))
	}
	return m
}

// trueSize counts what Size keeps up to date.
func trueSize(s *Set) int {
	if s.large() == nil {
		return s.Size()
	}
	n := s.Size() - s.large().bytes
	s.large().t.Each(func(r *record.Record) bool {
		n += r.Size()
		return true
	})
	return n
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	text := func(n int) []byte {
		switch n % 5 {
		case 0:
			return strconv.AppendInt(nil, int64(n)*1000003, 10)
		case 1:
			return []byte(strings.Repeat("x", n%300) + strconv.Itoa(n))
		case 2:
			return []byte("0" + strconv.Itoa(n))
		}
		return []byte("m" + strconv.Itoa(n))
	}
	short := func(n int) []byte { return []byte("m" + strconv.Itoa(n)) }
	number := func(n int) []byte { return strconv.AppendInt(nil, int64(n-20)*int64(n)*int64(n)*999, 10) }
	for _, tc := range []struct {
		name    string
		members int
		member  func(int) []byte
		rules   Rules
		reach   int // how many members there are halfway at least, by chance or made so
		end     record.Encoding
	}{
		{"integers", 300, number, Rules{Ints: 1000}, 250, record.IntSet},
		{"integers grow", 3000, number, usual, 513, record.HashTable},
		{"listpack", 60, text, Rules{Ints: 1000, Entries: 1000, Value: 1000}, 50, record.ListPack},
		{"grows", 400, short, usual, 129, record.HashTable},
		{"grows by long members", 400, text, usual, 129, record.HashTable},
		{"large", 3000, text, Rules{}, 2000, record.HashTable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rnd := random.New(t)
			var gen cow.Generation
			s, model := NewInts(&gen), map[string]bool{}
			var frozen *Set
			var before map[string]bool
			add := func(step int, m []byte) {
				had := model[string(m)]
				if s.Add(m, tc.rules, &gen) == had {
					t.Fatalf("step %d: Add(%q) of a set where that is %v", step, m, had)
				}
				model[string(m)] = true
			}
			for step := range 20000 {
				if step == 10000 {
					for n := 0; len(model) < tc.reach; n++ {
						add(step, tc.member(n))
					}
				}
				m := tc.member(rnd.IntN(tc.members))
				had := model[string(m)]
				switch rnd.IntN(10) {
				case 0, 1, 2, 3, 4:
					add(step, m)
				case 5, 6, 7:
					if s.Remove(m) != had {
						t.Fatalf("step %d: Remove(%q) of a set where that is %v", step, m, had)
					}
					delete(model, string(m))
				case 8:
					if n := min(rnd.IntN(4), s.Len()-1); n > 0 {
						s.Pop(n, rnd.Uint64, func(v Value) {
							f := string(v.AppendTo(nil))
							if !model[f] {
								t.Fatalf("step %d: Pop gives %q", step, f)
							}
							delete(model, f)
						})
					}
				default:
					v := Value{Str: m}
					if n, ok := v.Integer(); ok {
						v = Value{Int: n}
					}
					if s.Has(m) != had || s.HasValue(v) != had {
						t.Fatalf("step %d: Has(%q) is not %v", step, m, had)
					}
				}
				if step%500 == 499 {
					if frozen != nil {
						if !maps.Equal(contents(t, frozen), before) {
							t.Fatalf("step %d: the frozen set has changed", step)
						}
						gen.Unpin()
						frozen = nil
					} else {
						gen.Pin()
						frozen, before = s, maps.Clone(model)
						s = s.Fork(&gen)
						if s.Stamp() != gen.Current() {
							t.Fatal("a fork bears an old stamp")
						}
					}
					if !maps.Equal(contents(t, s), model) {
						t.Fatalf("step %d: contents differ", step)
					}
					if s.Size() != trueSize(s) {
						t.Fatalf("step %d: Size is %d, want %d", step, s.Size(), trueSize(s))
					}
				}
			}
			if s.Encoding() != tc.end {
				t.Errorf("ends as %s, want %s", s.Encoding(), tc.end)
			}
			c := s.Clone(&gen)
			for m := range model {
				s.RemoveValue(Value{Str: []byte(m)})
			}
			if s.Len() != 0 || !maps.Equal(contents(t, c), model) || c.Encoding() != s.Encoding() || c.Size() != trueSize(c) {
				t.Fatal("a clone shares its members, or is wrong")
			}
		})
	}
}

// TestForms follows the form of a set through additions. A step "+n" expects n more members.
func TestForms(t *testing.T) {
	rules := Rules{Ints: 4, Entries: 3, Value: 5}
	for _, tc := range []struct {
		first string
		n     int
		steps string
		want  string
	}{
		{"1", 1, "1 2 3 4", "intset intset intset intset"},
		{"1", 4, "1 2 3 4 5", "intset intset intset intset hashtable"},
		{"1", 5, "1", "hashtable"},
		{"a", 4, "a", "hashtable"},
		{"a", 3, "a b c c d", "listpack listpack listpack listpack hashtable"},
		{"a", 1, "a abcde abcdef", "listpack listpack hashtable"},
		{"1", 1, "1 2 a 3", "intset intset listpack hashtable"},
		{"1", 1, "1 2 3 a", "intset intset intset hashtable"},
		{"1", 1, "1 abcdef", "intset hashtable"},
		{"1", 1, "123456 a", "intset hashtable"},
		{"1", 1, "12345 a", "intset listpack"},
		{"1", 1, "1 +4 +5", "intset intset hashtable"},
		{"a", 1, "a +3 +4", "listpack listpack hashtable"},
	} {
		var gen cow.Generation
		s := New([]byte(tc.first), tc.n, rules, &gen)
		var got []string
		for _, step := range strings.Fields(tc.steps) {
			if n, found := strings.CutPrefix(step, "+"); found {
				k, _ := strconv.Atoi(n)
				s.Expect(k, rules, &gen)
			} else {
				s.Add([]byte(step), rules, &gen)
			}
			got = append(got, s.Encoding().String())
		}
		if g := strings.Join(got, " "); g != tc.want {
			t.Errorf("of %s, %d: after %s: %s, want %s", tc.first, tc.n, tc.steps, g, tc.want)
		}
		if (s.Intset() != nil) != (s.Encoding() == record.IntSet) || (s.Listpack() != nil) != (s.Encoding() == record.ListPack) {
			t.Errorf("%s: the bytes of a %s", tc.steps, s.Encoding())
		}
	}
}

func TestInts(t *testing.T) {
	var gen cow.Generation
	for _, rules := range []Rules{{Ints: 100, Entries: 100, Value: 10}, {Ints: 100}} {
		s := NewPack(&gen)
		for i := range 100 {
			s.Add(strconv.AppendInt(nil, int64(i*i), 10), rules, &gen)
		}
		s.Ints(Rules{Ints: 99})
		if s.Encoding() == record.IntSet {
			t.Error("an intset of more members than the rules allow")
		}
		want := contents(t, s)
		s.Ints(rules)
		if s.Encoding() != record.IntSet || !maps.Equal(contents(t, s), want) {
			t.Errorf("Ints makes a %s of %d members", s.Encoding(), s.Len())
		}
	}
}

func TestScanMeetsAll(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{10, 5000} {
		s := NewPack(&gen)
		for i := range n {
			s.Add([]byte("stay"+strconv.Itoa(i)), usual, &gen)
			s.Add([]byte("go"+strconv.Itoa(i)), usual, &gen)
		}
		met := map[string]bool{}
		for cursor, step := uint64(0), 0; ; step++ {
			cursor = s.Scan(cursor, 10, func(v Value) { met[string(v.AppendTo(nil))] = true })
			if cursor == 0 {
				break
			}
			for i := range 20 {
				s.Remove([]byte("go" + strconv.Itoa(step*20+i)))
			}
		}
		for i := range n {
			if m := "stay" + strconv.Itoa(i); !met[m] {
				t.Errorf("of %d: %s was not met", n, m)
			}
		}
	}
}

// TestRandom checks that each member is drawn about as often as others, with a margin of six standard deviations.
func TestRandom(t *testing.T) {
	const draws = 20000
	rnd := rand.New(rand.NewPCG(7, 9))
	var gen cow.Generation
	for _, form := range []string{"", "m"} {
		for _, n := range []int{1, 7, 20, 200} {
			s := New([]byte(form+"1"), 1, usual, &gen)
			for i := range n {
				s.Add([]byte(form+strconv.Itoa(i)), usual, &gen)
			}
			for _, way := range []string{"Random", "Sample", "Sample of most", "RandomAll", "Pop"} {
				count := map[string]int{}
				add := func(v Value) { count[string(v.AppendTo(nil))]++ }
				total := 0
				for total < draws {
					k := 1
					switch way {
					case "Random":
						add(s.Random(rnd.Uint64))
					case "RandomAll":
						k = 10
						s.RandomAll(k, rnd.Uint64, add)
					default:
						k = max(1, n/4)
						if way == "Sample of most" {
							k = n - n/4
						}
						seen := map[string]bool{}
						fn := func(v Value) {
							seen[string(v.AppendTo(nil))] = true
							add(v)
						}
						if way == "Pop" && n > 1 {
							c := s.Clone(&gen)
							c.Pop(k, rnd.Uint64, fn)
							if c.Len() != n-k {
								t.Fatalf("Pop of %d of %d leaves %d", k, n, c.Len())
							}
						} else {
							s.Sample(k, rnd.Uint64, fn)
						}
						if len(seen) != k {
							t.Fatalf("%s: %d members, want %d", way, len(seen), k)
						}
					}
					total += k
				}
				mean := float64(total) / float64(n)
				for m, c := range count {
					if d := float64(c) - mean; d*d > 36*mean {
						t.Errorf("%s of %d: %s came %d times, expected %.0f", way, n, m, c, mean)
					}
				}
				if len(count) != n {
					t.Errorf("%s of %d: only %d members came", way, n, len(count))
				}
			}
		}
	}
}

// TestSnapshotRace lets a goroutine read sets that a snapshot holds while their forks are changed.
func TestSnapshotRace(t *testing.T) {
	var gen cow.Generation
	for _, form := range []string{"", "m"} {
		for _, n := range []int{20, 4000} {
			s := New([]byte(form+"1"), 1, usual, &gen)
			for i := range n {
				s.Add([]byte(form+strconv.Itoa(i)), usual, &gen)
			}
			want := contents(t, s)
			gen.Pin()
			fork := s.Fork(&gen)
			var wg sync.WaitGroup
			wg.Go(func() {
				for range 5 {
					if !maps.Equal(contents(t, s), want) {
						t.Error("the snapshot sees changes")
					}
				}
			})
			for i := range 4 * n {
				m := []byte(form + strconv.Itoa(i%(2*n)))
				if i%3 == 0 {
					fork.Remove(m)
				} else {
					fork.Add(m, usual, &gen)
				}
			}
			wg.Wait()
			gen.Unpin()
		}
	}
}

func TestAllocations(t *testing.T) {
	var gen cow.Generation
	for _, form := range []string{"", "member:"} {
		for _, n := range []int{10, 1000} {
			s := New([]byte(form+"1"), 1, usual, &gen)
			for i := range n {
				s.Add([]byte(form+strconv.Itoa(i)), usual, &gen)
			}
			m := []byte(form + "7")
			if got := testing.AllocsPerRun(100, func() {
				if s.Add(m, usual, &gen) || !s.Has(m) {
					t.Fatal("it was there")
				}
			}); got != 0 {
				t.Errorf("%s of %d: Add and Has allocate %v times", form, n, got)
			}
		}
	}
}

func BenchmarkSet(b *testing.B) {
	var gen cow.Generation
	for _, n := range []int{100, 1000000} {
		s := NewPack(&gen)
		members := make([][]byte, n)
		for i := range n {
			members[i] = fmt.Appendf(nil, "member:%09d", i)
			s.Add(members[i], usual, &gen)
		}
		b.Run(fmt.Sprintf("Has/%d", n), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				s.Has(members[rnd.IntN(n)])
			}
			b.ReportMetric(float64(s.Size())/float64(n), "B/member")
		})
	}
}
