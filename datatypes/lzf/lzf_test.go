package lzf

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/tests/random"
)

func newRand(t testing.TB) *rand.Rand {
	return random.New(t)
}

func TestDecompress(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want string
		err  error
	}{
		{"nothing", nil, "", nil},
		{"literals", []byte{2, 'a', 'b', 'c'}, "abc", nil},
		{"match", []byte{2, 'a', 'b', 'c', 1 << 5, 2}, "abcabc", nil},
		{"overlapping match", []byte{0, 'x', 5 << 5, 0}, "xxxxxxxx", nil},
		{"overlap of two", []byte{1, 'x', 'y', 5 << 5, 1}, "xyxyxyxyx", nil},
		{"long match", []byte{0, 'x', 7 << 5, 10, 0}, strings.Repeat("x", 20), nil},
		{"longest match", []byte{0, 'x', 7 << 5, 255, 0}, strings.Repeat("x", 265), nil},
		{"literals cut off", []byte{2, 'a', 'b'}, "abc", errInput},
		{"match cut off", []byte{0, 'x', 1 << 5}, "xxxx", errInput},
		{"long match cut off", []byte{0, 'x', 7 << 5}, "xxxx", errInput},
		{"long match cut off late", []byte{0, 'x', 7 << 5, 1}, "xxxx", errInput},
		{"before the beginning", []byte{0, 'x', 1 << 5, 1}, "xxxx", errInput},
		{"nothing to match", []byte{1 << 5, 0}, "xxx", errInput},
		{"more than announced", []byte{2, 'a', 'b', 'c'}, "ab", errRoom},
		{"match longer than announced", []byte{0, 'x', 1 << 5, 0}, "xxx", errRoom},
		{"less than announced", []byte{2, 'a', 'b', 'c'}, "abcd", errShort},
	} {
		dst := make([]byte, len(c.want))
		if err := Decompress(dst, c.in); err != c.err || err == nil && string(dst) != c.want {
			t.Errorf("%s: %q, %v", c.name, dst, err)
		}
	}
}

// compress compresses with just the room that the result may take and checks that it comes back.
func compress(t testing.TB, e *Encoder, src []byte, room int) int {
	t.Helper()
	dst := make([]byte, room+8)
	for i := range dst {
		dst[i] = 0xa5
	}
	n := e.Compress(dst[:room:room], src)
	for _, b := range dst[room:] {
		if b != 0xa5 {
			t.Fatal("wrote past its room")
		}
	}
	if n == 0 {
		return 0
	}
	back := make([]byte, len(src))
	if err := Decompress(back, dst[:n]); err != nil || !bytes.Equal(back, src) {
		t.Fatalf("%d bytes do not come back: %v", len(src), err)
	}
	return n
}

// sample makes bytes of varied redundancy.
func sample(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n)
	kind := r.IntN(5)
	for len(b) < n {
		switch kind {
		case 0:
			b = append(b, byte(r.Uint32()))
		case 1:
			b = append(b, byte(r.IntN(4)))
		case 2:
			b = fmt.Appendf(b, "user:%d:name;", r.IntN(1000))
		case 3:
			b = append(b, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(600))...)
		default:
			if len(b) > 10 && r.IntN(2) == 0 {
				at := r.IntN(len(b) - 5)
				b = append(b, b[at:min(at+r.IntN(400), len(b))]...)
			} else {
				b = append(b, byte(r.Uint32()))
			}
		}
	}
	return b[:n]
}

func TestRoundTrip(t *testing.T) { random.Repeat(t, testRoundTrip) }

func testRoundTrip(t *testing.T) {
	r := newRand(t)
	var e Encoder // one for all: what is left of earlier inputs must not show
	for range 3000 {
		n := r.IntN(200)
		if r.IntN(4) == 0 {
			n = r.IntN(30000)
		}
		src := sample(r, n)
		most := n + n/32 + 1
		least := compress(t, &e, src, most)
		if n > 0 && least == 0 {
			t.Fatalf("%d bytes are not stored in %d", n, most)
		}
		var fresh Encoder
		if again := compress(t, &fresh, src, most); again != least {
			t.Fatalf("a used encoder makes %d bytes, a fresh one %d", least, again)
		}
		// Whatever the room, the result is whole or refused.
		if room := r.IntN(most + 1); compress(t, &e, src, room) == 0 && room > least+2 {
			t.Fatalf("%d bytes refused, though they fit %d", least, room)
		}
	}
}

func TestRatio(t *testing.T) {
	var e Encoder
	for _, c := range []struct {
		name string
		src  string
		most int
	}{
		{"zeros", strings.Repeat("\x00", 10000), 130},
		{"period of 100", strings.Repeat(strings.Repeat("0123456789", 9)+"abcdefghij", 80), 220},
		{"24 equal bytes", strings.Repeat("a", 24), 8},
	} {
		if n := compress(t, &e, []byte(c.src), len(c.src)); n == 0 || n > c.most {
			t.Errorf("%s: %d bytes of %d", c.name, n, len(c.src))
		}
	}
	far := append(sample(rand.New(rand.NewPCG(1, 1)), 0), bytes.Repeat([]byte("x"), 3)...)
	far = append(far, make([]byte, maxOffset-3)...)
	far = append(far, "xxxy"...)
	compress(t, &e, far, len(far)+10)
	if e.Compress(nil, []byte("abcdefgh")) != 0 || e.Compress(make([]byte, 10), nil) != 0 {
		t.Error("no room or no input")
	}
}

// Positions are counted in 32 bits; where they end the table begins anew.
func TestBaseWrapsAround(t *testing.T) { random.Repeat(t, testBaseWrapsAround) }

func testBaseWrapsAround(t *testing.T) {
	r := newRand(t)
	var e Encoder
	src := sample(r, 5000)
	compress(t, &e, src, 6000)
	e.base = math.MaxUint32 - 20000
	for range 10 {
		compress(t, &e, src, 6000)
	}
	if e.base > 1<<20 {
		t.Error("base", e.base)
	}
}

func TestNoAllocations(t *testing.T) {
	src := bytes.Repeat([]byte("abcdefgh-1234"), 500)
	dst := make([]byte, len(src))
	var e Encoder
	n := e.Compress(dst, src)
	back := make([]byte, len(src))
	if a := testing.AllocsPerRun(20, func() {
		e.Compress(dst, src)
		_ = Decompress(back, dst[:n])
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte{2, 'a', 'b', 'c', 7 << 5, 255, 2}, 265)
	f.Add([]byte{0, 'x', 7 << 5, 10, 0}, 20)
	f.Fuzz(func(t *testing.T, src []byte, n int) {
		if n < 0 || n > 1<<16 {
			return
		}
		dst := make([]byte, n+16)
		for i := n; i < len(dst); i++ {
			dst[i] = 0xa5
		}
		_ = Decompress(dst[:n], src)
		for _, b := range dst[n:] {
			if b != 0xa5 {
				t.Fatal("wrote past the announced length")
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabc"), 20)
	f.Add(bytes.Repeat([]byte("0123456789"), 100), 500)
	var e Encoder
	f.Fuzz(func(t *testing.T, src []byte, room int) {
		if room < 0 || room > 1<<20 {
			return
		}
		compress(t, &e, src, room)
		if len(src) > 0 && compress(t, &e, src, len(src)+len(src)/32+1) == 0 {
			t.Fatal("refused with room for literals only")
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var text []byte
	for len(text) < 8192 {
		text = fmt.Appendf(text, "user:%d:session;", r.IntN(100000))
	}
	noise := make([]byte, 8192)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, c := range []struct {
		name string
		src  []byte
	}{{"text", text[:8192]}, {"noise", noise}, {"small", text[:100]}} {
		b.Run(c.name, func(b *testing.B) {
			var e Encoder
			dst := make([]byte, len(c.src)+len(c.src)/32+1)
			b.SetBytes(int64(len(c.src)))
			b.ReportAllocs()
			n := 0
			for range b.N {
				n = e.Compress(dst, c.src)
			}
			b.ReportMetric(float64(n)/float64(len(c.src)), "ratio")
		})
	}
}

func BenchmarkDecompress(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var src []byte
	for len(src) < 8192 {
		src = fmt.Appendf(src, "user:%d:session;", r.IntN(100000))
	}
	var e Encoder
	dst := make([]byte, len(src)+300)
	dst = dst[:e.Compress(dst, src)]
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for range b.N {
		if Decompress(src, dst) != nil {
			b.Fatal("damaged")
		}
	}
}
