package resp

import (
	"fmt"
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
		keys := make([][]byte, 8)
		n := p.Peek(keys)
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
		keys := make([][]byte, 16)
		for _, k := range keys[:p.Peek(keys)] {
			args, err := p.Next(&s, &lim)
			if err != nil || len(args) < 2 || string(args[1]) != string(k) {
				t.Fatalf("Peek found %q, Next returned %q, %v", k, args, err)
			}
		}
		p.End()
	})
}

func BenchmarkPeek(b *testing.B) {
	in := []byte(strings.Repeat("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$32\r\n12345678901234567890123456789012\r\n", 16))
	keys := make([][]byte, 16)
	var p Parser
	p.Begin(in)
	for b.Loop() {
		if p.Peek(keys) != 16 {
			b.Fatal()
		}
	}
}
