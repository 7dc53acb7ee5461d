package commands

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/tests/random"
)

// textbookLCS fills the whole table of lengths, and walks back from its end as Redis does: up where that is longer,
// else left. It returns the length, the subsequence and the runs (i, j, n), last run first.
func textbookLCS(a, b string) (length int, s string, runs [][3]int) {
	table := make([][]int, len(a)+1)
	for i := range table {
		table[i] = make([]int, len(b)+1)
		for j := 1; i > 0 && j <= len(b); j++ {
			if a[i-1] == b[j-1] {
				table[i][j] = table[i-1][j-1] + 1
			} else {
				table[i][j] = max(table[i-1][j], table[i][j-1])
			}
		}
	}
	i, j := len(a), len(b)
	for i > 0 && j > 0 {
		if a[i-1] == b[j-1] {
			i, j = i-1, j-1
			s = a[i:i+1] + s
			if n := len(runs); n > 0 && runs[n-1][0] == i+1 && runs[n-1][1] == j+1 {
				runs[n-1] = [3]int{i, j, runs[n-1][2] + 1}
			} else {
				runs = append(runs, [3]int{i, j, 1})
			}
		} else if table[i-1][j] > table[i][j-1] {
			i--
		} else {
			j--
		}
	}
	return table[len(a)][len(b)], s, runs
}

func TestLCSModel(t *testing.T) { random.Repeat(t, testLCSModel) }

func testLCSModel(t *testing.T) {
	rnd := random.New(t)
	word := func() string {
		b := make([]byte, rnd.IntN(200))
		if rnd.IntN(3) == 0 {
			b = b[:rnd.IntN(min(4, len(b)+1))]
		}
		letters := 1 + rnd.IntN(6)
		for i := range b {
			b[i] = byte(250 + rnd.IntN(letters))
		}
		return string(b)
	}
	ts := newTestServer(t)
	for range 1500 {
		a, b := word(), word()
		ts.do("mset", "a", a, "b", b)
		length, s, runs := textbookLCS(a, b)
		if got, want := ts.doLine("lcs a b"), fmt.Sprintf("$%d\r\n%s\r\n", len(s), s); got != want {
			t.Fatalf("%q, %q: %q, want %q", a, b, got, want)
		}
		if got, want := ts.doLine("lcs a b len"), fmt.Sprintf(":%d\r\n", length); got != want {
			t.Fatalf("%q, %q: %q, want %q", a, b, got, want)
		}
		least := rnd.IntN(4)
		var sb strings.Builder
		n := 0
		for _, r := range runs {
			if r[2] < least {
				continue
			}
			n++
			fmt.Fprintf(&sb, "*3\r\n*2\r\n:%d\r\n:%d\r\n*2\r\n:%d\r\n:%d\r\n:%d\r\n", r[0], r[0]+r[2]-1, r[1], r[1]+r[2]-1, r[2])
		}
		want := fmt.Sprintf("*4\r\n$7\r\nmatches\r\n*%d\r\n%s$3\r\nlen\r\n:%d\r\n", n, sb.String(), length)
		if got := ts.doLine(fmt.Sprintf("lcs a b idx withmatchlen minmatchlen %d", least)); got != want {
			t.Fatalf("%q, %q: %q, want %q", a, b, got, want)
		}
	}
}

func TestLCSLimit(t *testing.T) {
	// 4 bytes a cell of (1023+1) * (255+1) cells are just allowed.
	ts := newTestServer(t, "proto-max-bulk-len", "1mb")
	ts.do("set", "a", strings.Repeat("x", 1023))
	ts.do("set", "b", strings.Repeat("x", 255))
	if got := ts.doLine("lcs a b len"); got != ":255\r\n" {
		t.Errorf("at the limit: %q", got)
	}
	ts.do("append", "b", "x")
	if got := ts.doLine("lcs a b len"); got != "-"+session.ErrLCSMemory+"\r\n" {
		t.Errorf("beyond the limit: %q", got)
	}
	if got := ts.doLine("lcs b nokey"); got != "$0\r\n\r\n" {
		t.Errorf("missing key: %q", got)
	}
	ts.c.proto = 3
	if got := ts.doLine("lcs b nokey idx"); got != "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n" {
		t.Errorf("RESP3: %q", got)
	}
}

func BenchmarkLCS(b *testing.B) {
	ts := newTestServer(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, k := range []string{"a", "b"} {
		v := make([]byte, 5000)
		for i := range v {
			v[i] = "ACGT"[rnd.IntN(4)]
		}
		ts.do("set", k, string(v))
	}
	args := [][]byte{[]byte("lcs"), []byte("a"), []byte("b")}
	b.ReportAllocs()
	for b.Loop() {
		ts.run(ts.c, args)
	}
}
