package pubsub

import (
	"fmt"
	"slices"
	"testing"

	"ferrous/tests/random"
)

// model is the same with plain slices: for each name the subscribers in the order in which they came.
type model map[string][]int

func (m model) subscribe(s int, name string) bool {
	if slices.Contains(m[name], s) {
		return false
	}
	m[name] = append(m[name], s)
	return true
}

func (m model) unsubscribe(s int, name string) bool {
	i := slices.Index(m[name], s)
	if i < 0 {
		return false
	}
	if m[name] = slices.Delete(m[name], i, i+1); len(m[name]) == 0 {
		delete(m, name)
	}
	return true
}

func (m model) of(s int) int {
	n := 0
	for _, list := range m {
		if slices.Contains(list, s) {
			n++
		}
	}
	return n
}

func check(t *testing.T, r *Registry[int], m model, sets []Set[int]) {
	t.Helper()
	if r.Len() != len(m) {
		t.Fatalf("%d channels, want %d", r.Len(), len(m))
	}
	seen := 0
	for ch := range r.Channels() {
		seen++
		want := m[string(ch.Name())]
		if got := slices.Collect(ch.Subscribers()); !slices.Equal(got, want) || ch.Len() != len(want) {
			t.Fatalf("%s: %v (%d), want %v", ch.Name(), got, ch.Len(), want)
		}
		if r.Find(ch.Name()) != ch {
			t.Fatalf("%s is not found", ch.Name())
		}
	}
	if seen != len(m) {
		t.Fatalf("%d channels visited, want %d", seen, len(m))
	}
	for s := range sets {
		if got, want := sets[s].Len(), m.of(s); got != want {
			t.Fatalf("subscriber %d has %d channels, want %d", s, got, want)
		}
	}
}

func TestRegistryModel(t *testing.T) { random.Repeat(t, testRegistryModel) }

func testRegistryModel(t *testing.T) {
	for _, size := range []struct{ subscribers, names int }{{3, 3}, {40, 5}, {5, 40}, {200, 2}} {
		rnd := random.New(t)
		var r Registry[int]
		m := model{}
		sets := make([]Set[int], size.subscribers+1) // 0 is no subscriber
		for step := range 4000 {
			s := 1 + rnd.IntN(size.subscribers)
			name := fmt.Sprint("ch", rnd.IntN(size.names))
			// By turns more come than go, and more go than come.
			switch join := rnd.IntN(100); {
			case join < 2:
				r.Clear(&sets[s])
				for i := range size.names {
					m.unsubscribe(s, fmt.Sprint("ch", i))
				}
			case join < 30+40*(step/500%2):
				if got, want := r.Subscribe(&sets[s], s, []byte(name)), m.subscribe(s, name); got != want {
					t.Fatalf("subscribe %d %s: %v", s, name, got)
				}
			default:
				if got, want := r.Unsubscribe(&sets[s], []byte(name)), m.unsubscribe(s, name); got != want {
					t.Fatalf("unsubscribe %d %s: %v", s, name, got)
				}
			}
			if step%7 == 0 {
				check(t, &r, m, sets)
			}
		}
		for s := range sets {
			r.Clear(&sets[s])
		}
		check(t, &r, model{}, sets)
		if r.Bytes() != 0 {
			t.Errorf("%d bytes are left", r.Bytes())
		}
	}
}

func TestSetFirst(t *testing.T) {
	var r Registry[int]
	var set Set[int]
	if set.First() != nil {
		t.Error("an empty set has a channel")
	}
	for _, name := range []string{"a", "b", "c"} {
		r.Subscribe(&set, 1, []byte(name))
	}
	var order []string
	for ch := set.First(); ch != nil; ch = set.First() {
		order = append(order, string(ch.Name()))
		r.Unsubscribe(&set, ch.Name())
	}
	if got := fmt.Sprint(order); got != "[a c b]" {
		t.Errorf("order %s", got)
	}
}

func TestMatching(t *testing.T) {
	var r Registry[int]
	var set Set[int]
	for _, p := range []string{"a*", "b*", "*c", "[ab]c", "abc"} {
		r.Subscribe(&set, 1, []byte(p))
	}
	for _, tt := range []struct{ channel, want string }{
		{"abc", "[a* *c abc]"}, {"bc", "[b* *c [ab]c]"}, {"x", "[]"}, {"", "[]"},
	} {
		got := []string{}
		for ch := range r.Matching([]byte(tt.channel)) {
			got = append(got, string(ch.Name()))
		}
		if fmt.Sprint(got) != tt.want {
			t.Errorf("%s matches %v, want %s", tt.channel, got, tt.want)
		}
	}
}

// A name is the caller's again after the call.
func TestNamesAreCopied(t *testing.T) {
	var r Registry[int]
	var set Set[int]
	name := []byte("news")
	r.Subscribe(&set, 1, name)
	copy(name, "####")
	if ch := r.Find([]byte("news")); ch == nil || string(ch.Name()) != "news" {
		t.Error("the name was kept")
	}
}

func BenchmarkLeaveOfMany(b *testing.B) {
	const n = 10000
	for range b.N {
		var r Registry[int]
		sets := make([]Set[int], n)
		for i := range sets {
			r.Subscribe(&sets[i], i+1, []byte("c"))
		}
		for i := range sets {
			r.Clear(&sets[i])
		}
	}
}
