package resp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"+OK\r\n", `+"OK"`},
		{"-ERR x\r\n", `-"ERR x"`},
		{":-12\r\n", `:-12`},
		{"$3\r\na\nb\r\n", `$"a\nb"`},
		{"$-1\r\n", "null$"},
		{"*-1\r\n", "null*"},
		{"_\r\n", "null_"},
		{"#t\r\n", "#1"},
		{"#f\r\n", "#0"},
		{",1.5\r\n", `,"1.5"`},
		{",-inf\r\n", `,"-inf"`},
		{"(-123456789012345678901234567890\r\n", `("-123456789012345678901234567890"`},
		{"!5\r\nERR x\r\n", `!"ERR x"`},
		{"=6\r\ntxt:hi\r\n", `=txt:"hi"`},
		{"*2\r\n*0\r\n%1\r\n+a\r\n~1\r\n:1\r\n", `*[*[] %[+"a" ~[:1]]]`},
		{">2\r\n+a\r\n$-1\r\n", `>[+"a" null$]`},
		{"|1\r\n+k\r\n:1\r\n*1\r\n|1\r\n+l\r\n:2\r\n:3\r\n", `|[+"k" :1] *[|[+"l" :2] :3]`},
		{"|1\r\n+k\r\n:1\r\n|1\r\n+l\r\n:2\r\n:3\r\n", `|[+"k" :1 +"l" :2] :3`},
		{"$70000\r\n" + strings.Repeat("x", 70000) + "\r\n", `$"` + strings.Repeat("x", 70000) + `"`},
		{"+" + strings.Repeat("x", 70000) + "\r\n", `+"` + strings.Repeat("x", 70000) + `"`},
	} {
		for _, in := range []io.Reader{strings.NewReader(c.in + "+next\r\n"), iotest.OneByteReader(strings.NewReader(c.in + "+next\r\n"))} {
			r := NewReader(in)
			v, err := r.Read()
			if err != nil || v.String() != c.want {
				t.Errorf("%.50q: got %.80v, %v; want %.80s", c.in, v, err, c.want)
				continue
			}
			if string(r.Raw()) != c.in {
				t.Errorf("%.50q: raw %.50q", c.in, r.Raw())
			}
			if v, err := r.Read(); err != nil || string(v.Str) != "next" {
				t.Errorf("%.50q: then %v, %v", c.in, v, err)
			}
			if _, err := r.Read(); err != io.EOF {
				t.Errorf("%.50q: at the end: %v", c.in, err)
			}
		}
		for at := 1; at < min(len(c.in), 100); at++ {
			if _, err := NewReader(strings.NewReader(c.in[:at])).Read(); err != io.ErrUnexpectedEOF {
				t.Errorf("%.50q cut at %d: %v", c.in, at, err)
			}
		}
	}
}

func TestReaderErrors(t *testing.T) {
	for _, in := range []string{"\r\n", "x\r\n", "+a\n", ":\r\n", ":1a\r\n", ":+1\r\n", "$-2\r\n", "$a\r\n", "$2\r\nabc\r\n",
		"$1\r\na\rx", "*-2\r\n", "%-1\r\n", "~-1\r\n", "=3\r\nabc\r\n", "=4\r\nabcd\r\n", "#x\r\n", "_x\r\n", ",x\r\n", "(1.5\r\n",
		"(\r\n", "*1\r\nx\r\n", "|1\r\n:1\r\nx\r\n", "!-1\r\n", "$9999999999\r\n", strings.Repeat("*1\r\n", 1000)} {
		var want FormatError
		if v, err := NewReader(strings.NewReader(in)).Read(); !errors.As(err, &want) {
			t.Errorf("%.40q: %v, %v", in, v, err)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(iotest.ErrReader(broken)).Read(); err != broken {
		t.Error(err)
	}
}

func TestReaderValues(t *testing.T) {
	r := NewReader(strings.NewReader(",nan\r\n-ERR x\r\n!3\r\nBAD\r\n+OK\r\n$5\r\nREDIS" + "0011" + ":1\r\n"))
	if v, err := r.Read(); err != nil || !math.IsNaN(v.Double) {
		t.Error(v, err)
	}
	for _, want := range []string{"ERR x", "BAD"} {
		if v, err := r.Read(); err != nil || v.Err() == nil || v.Err().Error() != want {
			t.Error(v, err)
		}
	}
	if v, err := r.Read(); err != nil || v.Err() != nil {
		t.Error(v, err)
	}
	if err := r.Discard(len("$5\r\nREDIS0011")); err != nil || r.Buffered() != 4 {
		t.Error(err, r.Buffered())
	}
	if v, err := r.Read(); err != nil || v.Int != 1 {
		t.Error(v, err)
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"*2\r\n:1\r\n$1\r\na\r\n", "|1\r\n+k\r\n:1\r\n%1\r\n+a\r\n=5\r\ntxt:x\r\n", ",1.5\r\n#t\r\n_\r\n", "*2147483647\r\n:1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		var raw []byte
		for {
			v, err := r.Read()
			if err != nil {
				return
			}
			raw = append(raw, r.Raw()...)
			if !bytes.HasPrefix(in, raw) {
				t.Fatalf("raw bytes %q are not those of %q", raw, in)
			}
			_ = v.String()
		}
	})
}
