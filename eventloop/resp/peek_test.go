package resp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPeek(t *testing.T) {
	set := "*3\r\n$3\r\nSET\r\n$3\r\nk-1\r\n$1\r\nv\r\n"
	get := "*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n"
	long := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$2\r\nkl\r\n$150\r\n%s\r\n", strings.Repeat("x", 150))
	for _, c := range []struct {
		in   string
		want []string
	}{
		{set + get + long + get, []string{"k-1", "abcdefghijkl", "kl", "abcdefghijkl"}},
		{"", nil},
		{"*1\r\n$4\r\nPING\r\n" + get, nil},
		{get + "PING\r\n" + get, []string{"abcdefghijkl"}},
		{get + "*2\r\n$-1\r\n", []string{"abcdefghijkl"}},
		{get + "*2\r\n$1000\r\nx", []string{"abcdefghijkl"}},
		{get + "*x\r\n", []string{"abcdefghijkl"}},
		{get + get[:len(get)-1], []string{"abcdefghijkl"}},
		{"*2\r\n$0\r\n\r\n$0\r\n\r\n" + get, []string{"", "abcdefghijkl"}},
	} {
		var p Parser
		p.Begin([]byte(c.in))
		keys, others := make([][]byte, 8), make([][]byte, 8)
		n := p.Peek(keys, others, 2)
		got := make([]string, n)
		for i := range got {
			got[i] = string(keys[i])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("Peek(%q) = %q, want %q", c.in, got, c.want)
		}
		if p.Consumed() != 0 {
			t.Error("Peek consumed something")
		}
	}
}

func TestPeekOthers(t *testing.T) {
	in := "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" +
		"*4\r\n$4\r\nZADD\r\n$1\r\nz\r\n$1\r\n5\r\n$1\r\nm\r\n" +
		"*3\r\n$4\r\nSADD\r\n$1\r\ns\r\n$0\r\n\r\n"
	for at, want := range map[int][]string{2: {"nil", "5", ""}, 3: {"nil", "m", "nil"}} {
		var p Parser
		p.Begin([]byte(in))
		keys, others := make([][]byte, 4), make([][]byte, 4)
		var got []string
		for _, o := range others[:p.Peek(keys, others, at)] {
			if o == nil {
				got = append(got, "nil")
			} else {
				got = append(got, string(o))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
}

// Whatever the bytes, Peek stays inside the packet, and what it finds in a whole packet is what Next then returns.
func FuzzPeek(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\nc\r\n"))
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$99\r\na\r\n"))
	f.Add([]byte("*99\r\n$999\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var p Parser
		var s Scratch
		lim := DefaultLimits()
		p.Begin(in[:len(in):len(in)])
		const at = 3
		keys, others := make([][]byte, 16), make([][]byte, 16)
		for i, k := range keys[:p.Peek(keys, others, at)] {
			args, err := p.Next(&s, &lim)
			if err != nil || len(args) < 2 || string(args[1]) != string(k) {
				t.Fatalf("Peek found %q, Next returned %q, %v", k, args, err)
			}
			if len(args) <= at && others[i] != nil || len(args) > at && string(args[at]) != string(others[i]) {
				t.Fatalf("Peek found argument %q, Next returned %q", others[i], args)
			}
		}
		p.End()
	})
}

func BenchmarkPeek(b *testing.B) {
	in := []byte(strings.Repeat("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$32\r\n12345678901234567890123456789012\r\n", 16))
	keys, others := make([][]byte, 16), make([][]byte, 16)
	var p Parser
	p.Begin(in)
	for b.Loop() {
		if p.Peek(keys, others, 2) != 16 {
			b.Fatal()
		}
	}
}
