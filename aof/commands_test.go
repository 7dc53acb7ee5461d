package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"ferrous/datatypes/listpack"
)

func TestCommands(t *testing.T) {
	var out bytes.Buffer
	c := NewCommands(&out, 77)
	c.Select(3)
	c.String([]byte("s"), []byte("v"))
	c.ExpireAt([]byte("s"), 1_700_000_000_123)
	for _, n := range []int{1, 64, 65, 130} {
		c.Elements("RPUSH", []byte("l"), n, 1)
		for i := range n {
			c.Arg(listpack.Value{Int: int64(i)})
		}
	}
	c.Elements("SADD", []byte("set"), 1, 1)
	c.Arg(listpack.Value{Str: []byte("m")})
	c.Elements("ZADD", []byte("z"), 66, 2)
	for i := range 66 {
		switch i {
		case 0:
			c.ArgFloat(math.Inf(1))
		case 1:
			c.ArgFloat(math.Inf(-1))
		default:
			c.ArgFloat(float64(i) / 10)
		}
		c.Arg(listpack.Value{Str: fmt.Appendf(nil, "m%d", i)})
	}
	c.Elements("HMSET", []byte("h"), 2, 2)
	for _, s := range []string{"f", "1", "g", ""} {
		c.Arg(listpack.Value{Str: []byte(s)})
	}
	c.Begin(3, "XGROUP")
	c.WordString("a")
	c.WordInt(-5)
	if err := c.Flush(); err != nil || c.Err() != nil {
		t.Fatal(err)
	}
	text := out.String()
	r := newCommandReader(strings.NewReader(text), 0, int64(len(text)))
	var got []string
	for {
		args, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %d", bytes.Join(args[:min(len(args), 6)], []byte(" ")), len(args))
		if args == nil {
			line = "#"
		}
		got = append(got, line)
	}
	want := []string{"#", "SELECT 3 2", "SET s v 3", "PEXPIREAT s 1700000000123 3", "RPUSH l 0 3", "RPUSH l 0 1 2 3 66", "RPUSH l 0 1 2 3 66", "RPUSH l 64 3",
		"RPUSH l 0 1 2 3 66", "RPUSH l 64 65 66 67 66", "RPUSH l 128 129 4", "SADD set m 3", "ZADD z inf m0 -inf m1 130", "ZADD z 6.4 m64 6.5 m65 6",
		"HMSET h f 1 g  6", "XGROUP a -5 3"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if !strings.HasPrefix(text, "#TS:77\r\n") {
		t.Error("no annotation")
	}
}

// limited takes some bytes and then no more.
type limited struct{ left int }

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestCommandsError(t *testing.T) {
	w := &limited{left: 200 << 10}
	c := NewCommands(w, 0)
	n := 0
	for ; c.Err() == nil && n < 1000; n++ {
		c.String([]byte("k"), make([]byte, 1000))
	}
	if n < 200 || n > 300 || c.Err() != errFull {
		t.Error(n, c.Err())
	}
	w.left = 1 << 30
	if err := c.Flush(); err != errFull {
		t.Error("the error is forgotten", err)
	}
}
