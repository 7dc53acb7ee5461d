package resp

import "testing"

func BenchmarkParseSet(b *testing.B) {
	one := "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$32\r\n01234567890123456789012345678901\r\n"
	var buf []byte
	for range 100 {
		buf = append(buf, one...)
	}
	var p Parser
	var s Scratch
	lim := DefaultLimits()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 100 {
		p.Begin(buf)
		for range 100 {
			if args, err := p.Next(&s, &lim); len(args) != 3 || err != nil {
				b.Fatal(args, err)
			}
		}
		p.End()
	}
}
