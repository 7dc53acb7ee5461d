package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
	"ferrous/rdb"
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

// TestSnapshotStops: a value that goes as RESTORE is not packed to its end when nobody wants the file any more.
func TestSnapshotStops(t *testing.T) {
	ks := keyspace.New(1, 1)
	gen := ks.Generation()
	s := stream.New(gen)
	random := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 100<<10)
	for i := range 40 {
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		if err := s.Append(stream.ID{Ms: uint64(i + 1)}, [][]byte{[]byte("f"), value}, stream.Limits{Bytes: 4096}, gen); err != nil {
			t.Fatal(err)
		}
	}
	s.AddGroup([]byte("g"), stream.ID{}, 0, gen).AddPending(stream.ID{Ms: 99}, 0, 1, gen) // an entry that is not there
	ks.DBs()[0].Set(record.NewObject(record.Stream, s.Encoding(), []byte("k"), unsafe.Pointer(s), record.NoExpiry, 0))
	stopped := errors.New("stop")
	write := func(stopAt int) (out bytes.Buffer, asked int, err error) {
		snap, err := ks.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Release()
		err = WriteSnapshot(NewCommands(&out, 0), snap, &rdb.Options{Stop: func() error {
			if asked++; asked == stopAt {
				return stopped
			}
			return nil
		}})
		return out, asked, err
	}
	out, asked, err := write(0)
	if err != nil || asked < 4 || !strings.Contains(out.String(), "RESTORE") {
		t.Fatalf("asked %d times, %v", asked, err)
	}
	for at := 1; at <= asked; at++ {
		if out, n, err := write(at); err != stopped || n != at || out.Len() > 100 {
			t.Errorf("stopped at question %d: asked %d times, %d bytes, %v", at, n, out.Len(), err)
		}
	}
}
