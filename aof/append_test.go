package aof

import (
	"fmt"
	"strings"
	"testing"

	"ferrous/rdb/memfs"
	"ferrous/rdb/vfs"
)

func TestFeed(t *testing.T) {
	r := newRig(t, memfs.New(), settings(FsyncNo))
	r.Feed(0, argv("SET", "a", "b"))
	if r.Buffered() != 0 {
		t.Error("fed while off")
	}
	r.mustStart()
	big := strings.Repeat("v", 1234)
	mid := strings.Repeat("m", 42)
	r.Feed(0, argv("SET", "k", ""))
	r.Feed(0, argv("SET", mid, big))
	r.Feed(11, argv("DEL", "k"))
	r.Feed(-1, argv("MULTI"))
	r.Feed(11, argv("DEL", "k"))
	r.Feed(-1, argv("EXEC"))
	want := command("SELECT", "0") + command("SET", "k", "") + command("SET", mid, big) + command("SELECT", "11") + command("DEL", "k") +
		command("MULTI") + command("DEL", "k") + command("EXEC")
	if got := string(r.buf); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if err := r.Flush(false); err != nil || r.Buffered() != 0 {
		t.Error(err, r.Buffered())
	}
	if got := r.file("appendonly.aof.1.incr.aof"); got != want {
		t.Errorf("file %q", got)
	}
	if i := r.Info(); i.CurrentSize != int64(len(want)+len(encode(nil))) || i.BaseSize != int64(len(encode(nil))) || !i.Enabled || !i.LastWriteOK {
		t.Errorf("%+v", i)
	}
}

func TestTimestamps(t *testing.T) {
	s := settings(FsyncNo)
	s.Timestamps = true
	r := newRig(t, memfs.New(), s)
	r.mustStart()
	feed := func(ms int64, db int, words ...string) {
		r.now += ms
		r.Feed(db, argv(words...))
	}
	feed(0, 0, "A")
	feed(999, 0, "B")
	feed(1, -1, "multi")
	feed(5000, 0, "C")
	feed(5000, -1, "exec")
	feed(0, 0, "D")
	want := "#TS:1700000000\r\n" + command("SELECT", "0") + command("A") + command("B") +
		"#TS:1700000001\r\n" + command("multi") + command("C") + command("exec") + "#TS:1700000011\r\n" + command("D")
	if got := string(r.buf); got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// discard is a disk for measuring.
type discard struct{ vfs.File }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func feedRig(tb testing.TB) *rig {
	r := newRig(tb, memfs.New(), settings(FsyncNo))
	r.mustStart()
	r.AOF.file = discard{r.AOF.file}
	return r
}

func TestFeedAllocatesNothing(t *testing.T) {
	r := feedRig(t)
	cmd := argv("SET", "key:000000012345", strings.Repeat("x", 32))
	n := testing.AllocsPerRun(1000, func() {
		for range 100 {
			r.Feed(0, cmd)
		}
		if err := r.Flush(false); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for 100 commands and a flush", n)
	}
}

func BenchmarkFeed(b *testing.B) {
	for _, size := range []int{3, 32, 512} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := feedRig(b)
			cmd := argv("SET", "key:000000012345", strings.Repeat("x", size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Feed(0, cmd)
				if i&1023 == 0 {
					r.Flush(false)
				}
			}
		})
	}
}
