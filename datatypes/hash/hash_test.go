package hash

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

var small = Rules{Entries: 128, Value: 64}

// contents returns the hash as a map, and fails if a field comes twice.
func contents(t testing.TB, h *Hash) map[string]string {
	t.Helper()
	m := make(map[string]string)
	h.Each(func(field, value Value) bool {
		f := string(field.AppendTo(nil))
		if _, twice := m[f]; twice {
			t.Errorf("field %q comes twice", f)
		}
		m[f] = string(value.AppendTo(nil))
		return true
	})
	if len(m) != h.Len() {
		t.Errorf("Len is %d, there are %d fields", h.Len(), len(m))
	}
	return m
}

// trueSize counts what Size keeps up to date.
func trueSize(h *Hash) int {
	if h.large() == nil {
		return h.Size()
	}
	n := h.Size() - h.large().bytes
	h.large().t.Each(func(r *record.Record) bool {
		n += r.Size()
		return true
	})
	return n
}

// randomText draws from few texts, so that fields meet again: integers, short, middle and long strings.
func randomText(rnd *rand.Rand, fields int) []byte {
	n := rnd.IntN(fields)
	switch n % 7 {
	case 0:
		return strconv.AppendInt(nil, int64(n-fields/2), 10)
	case 1:
		return []byte(strings.Repeat("x", n%60) + strconv.Itoa(n))
	case 2:
		return []byte(strings.Repeat("long", 20+n%200) + strconv.Itoa(n))
	case 3:
		return []byte("\x00" + strconv.Itoa(n))
	}
	return []byte("f" + strconv.Itoa(n))
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields int
		rules  Rules
		long   bool // texts of all lengths
		reach  int  // how many fields there are halfway at least, by chance or made so
		end    record.Encoding
	}{
		{"small", 40, Rules{Entries: 1000, Value: 1 << 20}, true, 35, record.ListPack},
		{"grows", 300, small, false, small.Entries + 1, record.HashTable},
		{"grows by long texts", 300, small, true, small.Entries + 1, record.HashTable},
		{"large", 3000, Rules{}, true, 2000, record.HashTable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rnd := random.New(t)
			var gen cow.Generation
			h, model := New(&gen), map[string]string{}
			var frozen *Hash
			var before map[string]string
			randomText := func(rnd *rand.Rand, fields int) []byte {
				if !tc.long {
					return []byte("f" + strconv.Itoa(rnd.IntN(fields)))
				}
				return randomText(rnd, fields)
			}
			for step := range 20000 {
				if step == 10000 {
					for len(model) < tc.reach {
						f := randomText(rnd, tc.fields)
						h.Add(f, f, tc.rules, &gen)
						if _, had := model[string(f)]; !had {
							model[string(f)] = string(f)
						}
					}
				}
				f := randomText(rnd, tc.fields)
				switch rnd.IntN(10) {
				case 0, 1, 2, 3, 4:
					v := randomText(rnd, tc.fields)
					_, had := model[string(f)]
					if created := h.Set(f, v, tc.rules, &gen); created == had {
						t.Fatalf("step %d: Set says created = %v", step, created)
					}
					model[string(f)] = string(v)
				case 5, 6, 7:
					_, had := model[string(f)]
					if h.Remove(f) != had {
						t.Fatalf("step %d: Delete says %v", step, !had)
					}
					delete(model, string(f))
				default:
					v, ok := h.Get(f)
					want, had := model[string(f)]
					if ok != had || ok && !v.Equal([]byte(want)) || h.Has(f) != had {
						t.Fatalf("step %d: Get(%q) = %q, %v, want %q, %v", step, f, v.AppendTo(nil), ok, want, had)
					}
				}
				if step%500 == 499 {
					if frozen != nil {
						if !maps.Equal(contents(t, frozen), before) {
							t.Fatalf("step %d: the frozen hash has changed", step)
						}
						gen.Unpin()
						frozen = nil
					} else {
						gen.Pin()
						frozen, before = h, maps.Clone(model)
						h = h.Fork(&gen)
						if h.Stamp() != gen.Current() {
							t.Fatal("a fork bears an old stamp")
						}
					}
					if !maps.Equal(contents(t, h), model) {
						t.Fatalf("step %d: contents differ", step)
					}
					if h.Size() != trueSize(h) {
						t.Fatalf("step %d: Size is %d, want %d", step, h.Size(), trueSize(h))
					}
				}
			}
			if h.Encoding() != tc.end {
				t.Errorf("ends as %s, want %s", h.Encoding(), tc.end)
			}
			c := h.Clone(&gen)
			for f := range model {
				h.Remove([]byte(f))
			}
			if h.Len() != 0 || !maps.Equal(contents(t, c), model) || c.Encoding() != h.Encoding() || c.Size() != trueSize(c) {
				t.Fatal("a clone shares its fields, or is wrong")
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	var gen cow.Generation
	rules := Rules{Entries: 4, Value: 8}
	for _, tc := range []struct {
		name  string
		args  string
		large bool
	}{
		{"as many as may be", "a 1 b 2 c 3 d 4", false},
		{"one more", "a 1 b 2 c 3 d 4 e 5", true},
		{"one more, though the same", "a 1 a 1 a 1 a 1 a 1", true},
		{"long field", "123456789 1", true},
		{"long value", "1 123456789", true},
		{"not too long", "12345678 12345678", false},
	} {
		h := New(&gen)
		var args [][]byte
		for _, a := range strings.Fields(tc.args) {
			args = append(args, []byte(a))
		}
		h.Expect(args, rules, &gen)
		want := record.ListPack
		if tc.large {
			want = record.HashTable
		}
		if h.Encoding() != want {
			t.Errorf("%s: Expect leaves it %s", tc.name, h.Encoding())
		}
	}
	h := New(&gen)
	for i := range 5 {
		if h.Encoding() != record.ListPack {
			t.Errorf("large with %d fields", i)
		}
		h.Set(strconv.AppendInt(nil, int64(i), 10), []byte("v"), rules, &gen)
	}
	if h.Encoding() != record.HashTable || h.Listpack() != nil {
		t.Error("not large with five fields")
	}
}

func TestScanMeetsAll(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{10, 5000} {
		h := New(&gen)
		for i := range n {
			h.Set([]byte("stay"+strconv.Itoa(i)), nil, small, &gen)
			h.Set([]byte("go"+strconv.Itoa(i)), nil, small, &gen)
		}
		met := map[string]bool{}
		for cursor, step := uint64(0), 0; ; step++ {
			cursor = h.Scan(cursor, 10, func(f, _ Value) { met[string(f.AppendTo(nil))] = true })
			if cursor == 0 {
				break
			}
			for i := range 20 {
				h.Remove([]byte("go" + strconv.Itoa(step*20+i)))
			}
		}
		for i := range n {
			if f := "stay" + strconv.Itoa(i); !met[f] {
				t.Errorf("of %d: %s was not met", n, f)
			}
		}
	}
}

// TestRandom checks that each field is drawn about as often as others, with a margin of six standard deviations.
func TestRandom(t *testing.T) {
	const draws = 20000
	rnd := rand.New(rand.NewPCG(7, 9))
	var gen cow.Generation
	for _, n := range []int{1, 7, 20, 200} {
		h := New(&gen)
		for i := range n {
			h.Set([]byte("f"+strconv.Itoa(i)), []byte("v"+strconv.Itoa(i)), small, &gen)
		}
		for _, way := range []string{"Random", "Sample", "Sample of most", "RandomAll"} {
			count := map[string]int{}
			add := func(f, v Value) bool {
				if string(f.Str[1:]) != string(v.Str[1:]) {
					t.Fatalf("%s: field %s with value %s", way, f.Str, v.Str)
				}
				count[string(f.Str)]++
				return true
			}
			total := 0
			for total < draws {
				k := 1
				switch way {
				case "Random":
					add(h.Random(rnd.Uint64))
				case "Sample", "Sample of most":
					k = max(1, n/4)
					if way != "Sample" {
						k = n - n/4
					}
					seen := map[string]bool{}
					h.Sample(k, rnd.Uint64, func(f, v Value) {
						if seen[string(f.Str)] {
							t.Fatalf("%s: a field twice", way)
						}
						seen[string(f.Str)] = true
						add(f, v)
					})
					if len(seen) != k {
						t.Fatalf("%s: %d fields, want %d", way, len(seen), k)
					}
				case "RandomAll":
					k = 10
					h.RandomAll(k, rnd.Uint64, add)
				}
				total += k
			}
			mean := float64(total) / float64(n)
			for f, c := range count {
				if d := float64(c) - mean; d*d > 36*mean {
					t.Errorf("%s of %d: %s came %d times, expected %.0f", way, n, f, c, mean)
				}
			}
			if len(count) != n {
				t.Errorf("%s of %d: only %d fields came", way, n, len(count))
			}
		}
	}
}

// TestSnapshotRace lets a goroutine read hashes that a snapshot holds while their forks are changed.
func TestSnapshotRace(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{20, 4000} {
		h := New(&gen)
		for i := range n {
			h.Set([]byte("f"+strconv.Itoa(i)), []byte(strings.Repeat("v", 10+i%700)), Rules{Entries: 64, Value: 1 << 20}, &gen)
		}
		want := contents(t, h)
		gen.Pin()
		fork := h.Fork(&gen)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 5 {
				if !maps.Equal(contents(t, h), want) {
					t.Error("the snapshot sees changes")
				}
			}
		})
		for i := range 4 * n {
			f := []byte("f" + strconv.Itoa(i%(2*n)))
			if i%3 == 0 {
				fork.Remove(f)
			} else {
				fork.Set(f, []byte("new"+strconv.Itoa(i)), small, &gen)
			}
		}
		wg.Wait()
		gen.Unpin()
	}
}

func TestAllocations(t *testing.T) {
	var gen cow.Generation
	for _, n := range []int{10, 1000} {
		h := New(&gen)
		for i := range n {
			h.Set([]byte("field:"+strconv.Itoa(i)), []byte("value"), small, &gen)
		}
		f, v := []byte("field:7"), [][]byte{[]byte("value"), []byte("eulav")}
		i := 0
		if got := testing.AllocsPerRun(100, func() {
			i++
			h.Set(f, v[i%2], small, &gen)
			if g, ok := h.Get(f); !ok || !g.Equal(v[i%2]) {
				t.Fatal("not what was set")
			}
		}); got != 0 {
			t.Errorf("%d fields: Set and Get allocate %v times", n, got)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	var gen cow.Generation
	for _, n := range []int{10, 100, 1000000} {
		h := New(&gen)
		fields := make([][]byte, n)
		for i := range n {
			fields[i] = fmt.Appendf(nil, "field:%010d", i)
			h.Set(fields[i], []byte("0123456789abcdef"), small, &gen)
		}
		b.Logf("%d fields: %.1f bytes a field", n, float64(h.Size())/float64(n))
		b.Run(fmt.Sprintf("Get/%d", n), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				h.Get(fields[rnd.IntN(n)])
			}
		})
		b.Run(fmt.Sprintf("Set/%d", n), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				h.Set(fields[rnd.IntN(n)], []byte("fedcba9876543210"), small, &gen)
			}
		})
	}
}
