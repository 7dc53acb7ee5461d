package resp

import (
	"strings"
	"testing"
)

// benchmarkParse parses a packet of equal requests, over and over; the time is
// that of one request.
func benchmarkParse(b *testing.B, request string, packet int) {
	n := max(1, packet/len(request))
	in := []byte(strings.Repeat(request, n))
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += n {
		p.Begin(in)
		for {
			args, err := p.Next(&s, &lim)
			if err != nil {
				b.Fatal(err)
			}
			if args == nil {
				break
			}
		}
		p.End()
	}
}

func BenchmarkParse(b *testing.B) {
	key, value := strings.Repeat("k", 16), strings.Repeat("v", 32)
	many := strings.Fields("MSET " + strings.Repeat(key+" "+value+" ", 50))
	for _, c := range []struct {
		name, request string
		packet        int
	}{
		{"PING", bulks("PING"), 8 << 10},
		{"GET", bulks("GET", key), 8 << 10},
		{"GET, single", bulks("GET", key), 1},
		{"SET", bulks("SET", key, value), 8 << 10},
		{"SET, single", bulks("SET", key, value), 1},
		{"SET of 1000", bulks("SET", key, strings.Repeat("v", 1000)), 16 << 10},
		{"MSET of 50", bulks(many...), 8 << 10},
		{"inline", "SET " + key + " " + value + "\r\n", 8 << 10},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkParse(b, c.request, c.packet) })
	}
}

// BenchmarkParseCut parses 16 KiB packets the last request of which is cut.
func BenchmarkParseCut(b *testing.B) {
	request := bulks("SET", strings.Repeat("k", 16), strings.Repeat("v", 32))
	in := []byte(strings.Repeat(request, 20000))
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	b.ReportAllocs()
	n := 0
	for at := 0; b.Loop(); at += 16 << 10 {
		if at >= len(in) {
			p, at = Parser{}, 0
		}
		p.Begin(in[at:min(at+16<<10, len(in))])
		for {
			args, err := p.Next(&s, &lim)
			if err != nil {
				b.Fatal(err)
			}
			if args == nil {
				break
			}
			n++
		}
		p.End()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/request")
}
