package resp

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(w *Writer)
		resp2 string
		resp3 string // "" if the same
	}{
		{"ok", func(w *Writer) { w.OK() }, "+OK\r\n", ""},
		{"status", func(w *Writer) { w.Status("PONG") }, "+PONG\r\n", ""},
		{"error", func(w *Writer) { w.Error("ERR bad") }, "-ERR bad\r\n", ""},
		{"error with breaks", func(w *Writer) { w.Error("ERR a\r\nb\nc\r\n\n") }, "-ERR a  b c\r\n", ""},
		{"int", func(w *Writer) { w.Int(0); w.Int(9); w.Int(10); w.Int(99); w.Int(100) }, ":0\r\n:9\r\n:10\r\n:99\r\n:100\r\n", ""},
		{"negative int", func(w *Writer) { w.Int(-1); w.Int(math.MinInt64) }, ":-1\r\n:-9223372036854775808\r\n", ""},
		{"bulk", func(w *Writer) { w.Bulk(nil); w.Bulk([]byte("a\r\nb")) }, "$0\r\n\r\n$4\r\na\r\nb\r\n", ""},
		{"long bulk", func(w *Writer) { w.BulkString(strings.Repeat("x", 1000)) }, "$1000\r\n" + strings.Repeat("x", 1000) + "\r\n", ""},
		{"bulk int", func(w *Writer) { w.BulkInt(-12) }, "$3\r\n-12\r\n", ""},
		{"bulk double", func(w *Writer) { w.BulkDouble(-1.5e300) }, "$9\r\n-1.5e+300\r\n", ""},
		{"longest double", func(w *Writer) { w.BulkDouble(-209257834877903650000000) }, "$25\r\n-209257834877903650000000\r\n", ""},
		{"null", func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{"array", func(w *Writer) { w.Array(0); w.Array(31); w.Array(1000) }, "*0\r\n*31\r\n*1000\r\n", ""},
		{"map", func(w *Writer) { w.Map(3); w.Map(50) }, "*6\r\n*100\r\n", "%3\r\n%50\r\n"},
		{"set", func(w *Writer) { w.Set(3) }, "*3\r\n", "~3\r\n"},
		{"push", func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n"},
		{"double", func(w *Writer) { w.Double(3); w.Double(math.Inf(-1)) }, "$1\r\n3\r\n$4\r\n-inf\r\n", ",3\r\n,-inf\r\n"},
		{"nan", func(w *Writer) { w.Double(math.NaN()) }, "$3\r\nnan\r\n", ",nan\r\n"},
		{"double text", func(w *Writer) { w.DoubleText([]byte("1.0000")) }, "$6\r\n1.0000\r\n", ",1.0000\r\n"},
		{"bool", func(w *Writer) { w.Bool(true); w.Bool(false) }, ":1\r\n:0\r\n", "#t\r\n#f\r\n"},
		{"big number", func(w *Writer) { w.BigNumber("-123") }, "$4\r\n-123\r\n", "(-123\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "hello") }, "$5\r\nhello\r\n", "=9\r\ntxt:hello\r\n"},
		{"verbatim formats", func(w *Writer) { w.Verbatim("a", ""); w.Verbatim("abcd", "") }, "$0\r\n\r\n$0\r\n\r\n", "=4\r\na  :\r\n=4\r\nabc:\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte(":1\r\n")); w.RawString("+x\r\n") }, ":1\r\n+x\r\n", ""},
		{"attribute", func(w *Writer) {
			if w.Attribute(1) {
				w.BulkString("k")
				w.Int(1)
			}
			w.Int(2)
		}, ":2\r\n", "|1\r\n$1\r\nk\r\n:1\r\n:2\r\n"},
		{"deferred, empty", func(w *Writer) { w.EndArray(w.BeginArray(), 0) }, "*0\r\n", ""},
		{"deferred", func(w *Writer) {
			m := w.BeginMap()
			w.BulkString("k")
			s := w.BeginSet()
			for i := range 12 {
				w.Int(int64(i % 2))
			}
			w.EndSet(s, 12)
			w.EndMap(m, 1)
			w.OK()
		}, "*2\r\n$1\r\nk\r\n*12\r\n" + strings.Repeat(":0\r\n:1\r\n", 6) + "+OK\r\n",
			"%1\r\n$1\r\nk\r\n~12\r\n" + strings.Repeat(":0\r\n:1\r\n", 6) + "+OK\r\n"},
		{"deferred, cancelled", func(w *Writer) {
			w.Int(1)
			m := w.BeginArray()
			w.Int(2)
			w.Cancel(m)
			m = w.BeginArray()
			w.Int(3)
			w.EndNullArray(m)
		}, ":1\r\n*-1\r\n", ":1\r\n_\r\n"},
	} {
		if c.resp3 == "" {
			c.resp3 = c.resp2
		}
		for proto, want := range map[int]string{2: c.resp2, 3: c.resp3} {
			w := Writer{Proto: proto}
			c.write(&w)
			if string(w.Buf) != want {
				t.Errorf("%s, RESP%d: got %q, want %q", c.name, proto, w.Buf, want)
			}
			if w.RESP3() != (proto == 3) {
				t.Error("RESP3")
			}
		}
	}
}

func TestWriterAllocs(t *testing.T) {
	text, raw := strings.Repeat("x", 300), []byte("value")
	w := Writer{Buf: make([]byte, 0, 64<<10), Proto: 3}
	for w.Proto = 2; w.Proto <= 3; w.Proto++ {
		if n := testing.AllocsPerRun(100, func() {
			w.Reset()
			m := w.BeginMap()
			for i := range 20 {
				w.Bulk(raw)
				w.BulkString(text)
				w.Int(int64(i) * 1e6)
				w.BulkInt(int64(-i) * 1e15)
				w.Double(0.1 * float64(i))
				w.Null()
				w.Verbatim("txt", text)
				w.Error("ERR no\n")
				w.Bool(true)
			}
			w.EndMap(m, 90)
		}); n != 0 {
			t.Errorf("RESP%d: %v allocations", w.Proto, n)
		}
	}
}

// program writes a reply tree that random bytes describe, and returns the tree
// that a Reader of the protocol must find.
type program struct {
	code     []byte
	deferred bool // write aggregates whose length is set at their end
}

func (p *program) next() byte {
	if len(p.code) == 0 {
		return 0
	}
	c := p.code[0]
	p.code = p.code[1:]
	return c
}

func (p *program) text() []byte {
	n := min(int(p.next())*3, len(p.code))
	s := append([]byte{}, p.code[:n]...)
	p.code = p.code[n:]
	return s
}

func (p *program) number() int64 {
	n := int64(int8(p.next()))
	for range p.next() % 8 {
		n = n<<8 | int64(p.next())
	}
	return n
}

func (p *program) elems(w *Writer, n, depth int) []Value {
	vs := []Value{}
	for range n {
		vs = append(vs, p.write(w, depth+1))
	}
	return vs
}

func (p *program) write(w *Writer, depth int) (v Value) {
	three := w.Proto == 3
	as := func(in3, in2 Type) Type {
		if three {
			return in3
		}
		return in2
	}
	op := p.next() % 17
	if depth > 6 {
		op %= 11
	}
	switch op {
	case 0:
		w.OK()
		return Value{Type: SimpleString, Str: []byte("OK")}
	case 1:
		n := p.number()
		w.Int(n)
		return Value{Type: Integer, Int: n}
	case 2:
		s := p.text()
		w.Bulk(s)
		return Value{Type: BulkString, Str: s}
	case 3:
		s := p.text()
		w.Error(string(s))
		s = bytes.TrimRight(s, "\r\n")
		return Value{Type: SimpleError, Str: bytes.ReplaceAll(bytes.ReplaceAll(s, []byte("\r"), []byte(" ")), []byte("\n"), []byte(" "))}
	case 4:
		w.Null()
		return Value{Type: as(Null, BulkString), IsNull: true}
	case 5:
		w.NullArray()
		return Value{Type: as(Null, Array), IsNull: true}
	case 6:
		f := float64(p.number()) / 1024
		w.Double(f)
		v = Value{Type: as(Double, BulkString), Str: FormatDouble(nil, f)}
		if three {
			v.Double = f
		}
		return v
	case 7:
		b := p.next()%2 == 1
		w.Bool(b)
		v = Value{Type: as(Bool, Integer)}
		if b {
			v.Int = 1
		}
		return v
	case 8:
		s := p.text()
		w.Verbatim("mkd", string(s))
		v = Value{Type: as(Verbatim, BulkString), Str: s}
		if three {
			v.Format = "mkd"
		}
		return v
	case 9:
		s := string(AppendInt(nil, p.number()))
		w.BigNumber(s)
		return Value{Type: as(BigNumber, BulkString), Str: []byte(s)}
	case 10:
		n := p.number()
		w.BulkInt(n)
		return Value{Type: BulkString, Str: AppendInt(nil, n)}
	case 11, 12:
		n := int(p.next() % 130)
		v.Type = Array
		if p.deferred {
			m := w.BeginArray()
			v.Elems = p.elems(w, n, depth)
			w.EndArray(m, n)
		} else {
			w.Array(n)
			v.Elems = p.elems(w, n, depth)
		}
	case 13:
		n := int(p.next() % 60)
		v.Type = as(Map, Array)
		if p.deferred {
			m := w.BeginMap()
			v.Elems = p.elems(w, 2*n, depth)
			w.EndMap(m, n)
		} else {
			w.Map(n)
			v.Elems = p.elems(w, 2*n, depth)
		}
	case 14:
		n := int(p.next() % 20)
		v.Type = as(Set, Array)
		if p.deferred {
			m := w.BeginSet()
			v.Elems = p.elems(w, n, depth)
			w.EndSet(m, n)
		} else {
			w.Set(n)
			v.Elems = p.elems(w, n, depth)
		}
	case 15:
		n := int(p.next() % 4)
		v.Type = as(Push, Array)
		w.Push(n)
		v.Elems = p.elems(w, n, depth)
	case 16:
		n := int(p.next() % 3)
		var attrs []Value
		if w.Attribute(n) {
			attrs = p.elems(w, 2*n, depth)
		}
		v = p.write(w, depth+1)
		v.Attrs = append(attrs, v.Attrs...)
	}
	return v
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte{13, 3, 2, 1, 'a', 11, 20, 14, 12, 1, 5, 16, 1, 2, 1, 'x', 3, 2}, true)
	f.Add([]byte{11, 129, 2, 1, 2, 3, 8, 1, 5, 6, 7, 8, 9, 200, 3, 10, 5, 1, 7}, false)
	f.Add([]byte{15, 3, 6, 1, 3, 4, 4, 5, 9, 100, 7, 1, 2, 3, 4, 5, 6, 7, 8}, true)
	f.Fuzz(func(t *testing.T, code []byte, three bool) {
		if len(code) > 2000 {
			return
		}
		w, d := Writer{Proto: 2}, Writer{Proto: 2}
		if three {
			w.Proto, d.Proto = 3, 3
		}
		direct, later := program{code: code}, program{code: code, deferred: true}
		want := direct.write(&w, 0)
		later.write(&d, 0)
		if !bytes.Equal(w.Buf, d.Buf) {
			t.Fatalf("deferred headers change the reply:\n%q\n%q", w.Buf, d.Buf)
		}
		r := NewReader(bytes.NewReader(append(w.Buf, ":7\r\n"...)))
		got, err := r.Read()
		if err != nil {
			t.Fatalf("%q: %v", w.Buf, err)
		}
		if !reflect.DeepEqual(normal(got), normal(want)) {
			t.Fatalf("wrote %v\nread  %v", want, got)
		}
		if !bytes.Equal(r.Raw(), w.Buf) {
			t.Fatalf("raw %q\nwant %q", r.Raw(), w.Buf)
		}
		if v, err := r.Read(); err != nil || v.Int != 7 {
			t.Fatal("next reply", v, err)
		}
	})
}

// normal makes empty and missing slices the same.
func normal(v Value) Value {
	if len(v.Str) == 0 {
		v.Str = nil
	}
	fix := func(vs []Value) (out []Value) {
		for _, e := range vs {
			out = append(out, normal(e))
		}
		return out
	}
	v.Elems, v.Attrs = fix(v.Elems), fix(v.Attrs)
	return v
}

func BenchmarkWriterGet(b *testing.B) {
	value := make([]byte, 32)
	w := Writer{Buf: make([]byte, 0, 64<<10), Proto: 2}
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			w.Reset()
		}
		w.Bulk(value)
	}
}

func BenchmarkWriterInt(b *testing.B) {
	w := Writer{Buf: make([]byte, 0, 64<<10), Proto: 2}
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			w.Reset()
		}
		w.Int(int64(i))
	}
}

// A bounded writer keeps what it had when its limit was passed, grows by no more than an element beyond, and says so until
// it is reset.
func TestWriterLimit(t *testing.T) {
	w := Writer{Limit: 100}
	w.Array(1000)
	outer := w.BeginArray()
	inner := w.BeginMap()
	for range 1000 {
		w.Bulk([]byte("0123456789"))
		if len(w.Buf) > 100+2*17 {
			t.Fatalf("%d bytes", len(w.Buf))
		}
	}
	late := w.BeginArray()
	w.Int(1)
	w.EndArray(late, 1)
	w.Cancel(late)
	w.EndMap(inner, 500)
	w.EndArray(outer, 1)
	if !w.Over() {
		t.Error("it is not over its limit")
	}
	w.Truncate(7)
	if w.Over() || string(w.Buf) != "*1000\r\n" {
		t.Errorf("after Truncate: %q, over its limit: %v", w.Buf, w.Over())
	}
	w.Reset()
	w.Bulk(make([]byte, 200))
	if !w.Over() {
		t.Error("one bulk above the limit is not seen")
	}
	w.Limit = 0
	w.Reset()
	w.Bulk(make([]byte, 200))
	if w.Over() || len(w.Buf) != 208 {
		t.Errorf("without a limit: %d bytes, over: %v", len(w.Buf), w.Over())
	}
}
