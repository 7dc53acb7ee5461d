package quicklist

import (
	"fmt"
	"testing"
	"time"

	"ferrous/datatypes/cow"
)

var benchValue = []byte("value:0123456789")

func filled(n, fill, depth int) *List {
	l := newList(fill, depth)
	for range n {
		l.PushTail(benchValue)
	}
	return l
}

func BenchmarkPushTail(b *testing.B) {
	b.ReportAllocs()
	l := newList(-2, 0)
	for i := range b.N {
		if i%1000000 == 0 {
			l = newList(-2, 0)
		}
		l.PushTail(benchValue)
	}
}

func BenchmarkPushHead(b *testing.B) {
	b.ReportAllocs()
	l := newList(-2, 0)
	for i := range b.N {
		if i%1000000 == 0 {
			l = newList(-2, 0)
		}
		l.PushHead(benchValue)
	}
}

// A queue of 100,000 elements: pushed at one end, popped at the other.
func BenchmarkQueue(b *testing.B) {
	l := filled(100000, -2, 0)
	scratch := make([]byte, 0, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		l.PushHead(benchValue)
		l.PopTail(scratch)
	}
}

func BenchmarkPopHead(b *testing.B) {
	l := filled(b.N, -2, 0)
	scratch := make([]byte, 0, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		l.PopHead(scratch)
	}
}

// A stack that works at the border of two nodes.
func BenchmarkStack(b *testing.B) {
	l := filled(10000, -2, 0)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for range 3 {
			l.PushHead(benchValue)
		}
		for range 3 {
			l.DropHead()
		}
	}
}

func BenchmarkIndex(b *testing.B) {
	l := filled(1000000, -2, 0)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		l.Index(i * 7919 % 1000000)
	}
}

func BenchmarkRange(b *testing.B) {
	for _, n := range []int{100, 600} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := filled(100000, -2, 0)
			b.ReportAllocs()
			b.ResetTimer()
			sum := 0
			for range b.N {
				it := l.From(0)
				for range n {
					v, _ := it.Next()
					sum += len(v.Str)
				}
			}
		})
	}
}

// Compressed inner nodes: each one that fills up is compressed, each one that is reached is expanded.
func BenchmarkCompressedQueue(b *testing.B) {
	l := filled(100000, -2, 1)
	scratch := make([]byte, 0, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		l.PushHead(benchValue)
		l.PopTail(scratch)
	}
}

// The dearest single write to a list of five million elements while a snapshot is held, and the bytes an element takes.
func BenchmarkPinned(b *testing.B) {
	gen := new(cow.Generation)
	l := New(NewSettings(gen), -2, 0)
	const n = 5000000
	for range n {
		l.PushTail(benchValue)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var worst time.Duration
	for i := range b.N {
		b.StopTimer()
		gen.Pin()
		b.StartTimer()
		for j := range 4 {
			began := time.Now()
			switch j {
			case 0:
				l.PushHead(benchValue)
			case 1:
				l.DropTail()
			case 2:
				l.Set(i*7919%n, benchValue)
			case 3:
				l.DeleteRange(i*104729%n, 1)
				l.PushTail(benchValue)
			}
			worst = max(worst, time.Since(began))
		}
		gen.Unpin()
	}
	b.ReportMetric(float64(worst.Microseconds()), "worst-us")
	b.ReportMetric(float64(l.Size())/n, "bytes/element")
}
