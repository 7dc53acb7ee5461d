package progress

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func (c *clock) after(d time.Duration) { c.now = c.now.Add(d) }

// In a log a line comes every five seconds, however often the work tells.
func TestLog(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var lines []string
	m := Start("Loading the data", Output{Log: func(l string) { lines = append(lines, l) }, Now: c.Now})
	const total = 300 << 20
	for i := int64(1); i <= 120; i++ {
		c.after(100 * time.Millisecond)
		m.Bytes(i*(total/150), total)
	}
	m.End()
	want := []string{"Loading the data: 33%, 100 MiB of 300 MiB, 20.0 MiB/s, 10s left",
		"Loading the data: 66%, 200 MiB of 300 MiB, 20.0 MiB/s, 5s left"}
	if !slices.Equal(lines, want) {
		t.Errorf("logged %q", lines)
	}
}

// On a terminal the line is rewritten in place, other lines wipe it, and nothing is logged.
func TestTerminal(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var out bytes.Buffer
	s := NewScreen(&out)
	m := Start("Work", Output{Show: s.Show, Log: func(l string) { t.Errorf("logged %q", l) }, Now: c.Now})
	m.At(1, 10, 100)
	if out.Len() > 0 {
		t.Errorf("short work wrote %q", &out)
	}
	c.after(time.Second)
	m.At(2, 10, 2000)
	c.after(time.Millisecond)
	m.At(3, 10, 3000)
	io.WriteString(s, "a line of the log\n")
	c.after(9 * time.Second)
	m.At(10, 10, 30000)
	m.End()
	m.End()
	io.WriteString(s, "done\n")
	want := "\r\x1b[KWork: 20%, 2.0 KiB, 2.0 KiB/s, 4s left" + "\r\x1b[Ka line of the log\n" +
		"\r\x1b[KWork: 100%, 29.3 KiB, 2.9 KiB/s, 0s left" + "\r\x1b[K" + "done\n"
	if out.String() != want {
		t.Errorf("wrote %q\nwant  %q", &out, want)
	}
}

// What is not known is left out, and no Meter is no work.
func TestUnknown(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var lines []string
	m := Start("Full synchronization", Output{Show: func(string) bool { return false }, Log: func(l string) { lines = append(lines, l) }, Now: c.Now})
	c.after(6 * time.Second)
	m.Bytes(6144, -1)
	c.after(6 * time.Second)
	m.At(0, 10, 0)
	if want := []string{"Full synchronization: 6.0 KiB, 1.0 KiB/s", "Full synchronization: 0%, 0 B, 0 B/s"}; !slices.Equal(lines, want) {
		t.Errorf("logged %q", lines)
	}
	var none *Meter
	none.Bytes(1, 2)
	none.End()
	if r := strings.NewReader("x"); none.Reader(r, 1) != io.Reader(r) {
		t.Error("no Meter reads through something")
	}
}

func TestReader(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var last string
	m := Start("Checking", Output{Log: func(l string) { last = l }, Now: c.Now})
	r := m.Reader(strings.NewReader("0123456789"), 20)
	c.after(5 * time.Second)
	if b, err := io.ReadAll(r); string(b) != "0123456789" || err != nil {
		t.Fatal(b, err)
	}
	if last != "Checking: 50%, 10 B of 20 B, 2 B/s, 5s left" {
		t.Errorf("logged %q", last)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 102300: "99.9 KiB", 102399: "100 KiB",
		1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 310 << 20: "310 MiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// A file is no terminal.
func TestTerminalOfFile(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Terminal(f) != nil {
		t.Error("a file is taken for a terminal")
	}
}
