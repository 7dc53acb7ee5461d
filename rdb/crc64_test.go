package rdb

import (
	"math/rand/v2"
	"testing"
)

// bitwise is the checksum by its definition.
func bitwise(crc uint64, p []byte) uint64 {
	for _, b := range p {
		crc ^= uint64(b)
		for range 8 {
			odd := crc&1 != 0
			crc >>= 1
			if odd {
				crc ^= crcPoly
			}
		}
	}
	return crc
}

func TestCRC(t *testing.T) {
	if got := crc64(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("check value: %x", got)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, 10000)
	for i := range p {
		p[i] = byte(rnd.Uint32())
	}
	for range 200 {
		from := rnd.IntN(len(p))
		to := from + rnd.IntN(len(p)-from+1)
		start := rnd.Uint64()
		if got, want := crc64(start, p[from:to]), bitwise(start, p[from:to]); got != want {
			t.Fatalf("bytes %d to %d: %x, want %x", from, to, got, want)
		}
		cut := from + rnd.IntN(to-from+1)
		joined := crcShift(crc64(start, p[from:cut]), int64(to-cut)) ^ crc64(0, p[cut:to])
		if want := crc64(start, p[from:to]); joined != want {
			t.Fatalf("joined at %d of %d to %d: %x, want %x", cut, from, to, joined, want)
		}
	}
}

func BenchmarkCRC(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		crc64(0, p)
	}
}
