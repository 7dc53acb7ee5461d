// Package progress tells a person how far long work has come: loading, checking a file, rewriting the append-only file, a full
// synchronization.
//
// # Design
//
// A Meter belongs to one piece of work. Whoever does the work calls At as often as it likes, from one goroutine at a time; the
// meter looks at its clock and says something when it is due. On a terminal that is one line, rewritten in place a few times a
// second and wiped when the work ends; elsewhere it is a line of the log every few seconds. Work that is short says nothing.
//
// A line has what is known of: the part that is done in per cent, the bytes, the bytes a second since the beginning, and the
// time left if the rest goes as fast:
//
//	Loading the data: 42%, 1.2 GiB of 2.9 GiB, 310 MiB/s, 5s left
//
// A Screen is a terminal that other lines are written to as well: it wipes the line in place before each of them.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// How often a meter speaks, and after what time it begins to on a terminal.
const (
	onTerminal = 200 * time.Millisecond
	inLog      = 5 * time.Second
)

// Output is where a Meter speaks.
type Output struct {
	// Show rewrites the line in place, "" wipes it. It reports false where there is no terminal. nil is no terminal.
	Show func(line string) bool
	// Log writes a line of its own. nil writes none.
	Log func(line string)
	// Now is the clock, nil for time.Now.
	Now func() time.Time
}

// Meter is one piece of work. nil is a Meter that says nothing.
type Meter struct {
	what        string
	out         Output
	start       time.Time
	shown       time.Time // when the terminal was last written to
	logged      time.Time // when the log was, or the beginning
	onScreen    bool
	inBytes     bool // whole is bytes, too
	part, whole int64
	bytes       int64
}

// Start begins work that is called what, as in "Loading the data".
func Start(what string, out Output) *Meter {
	if out.Now == nil {
		out.Now = time.Now
	}
	now := out.Now()
	return &Meter{what: what, out: out, start: now, shown: now, logged: now}
}

// Bytes tells how many bytes of how many are done; total is 0 or less where it is not known.
func (m *Meter) Bytes(done, total int64) { m.tell(done, total, done, true) }

// At tells that part of whole is done, in keys or what else the work counts, and how many bytes that took. whole is 0 or less
// where it is not known.
func (m *Meter) At(part, whole, bytes int64) { m.tell(part, whole, bytes, false) }

func (m *Meter) tell(part, whole, bytes int64, inBytes bool) {
	if m == nil {
		return
	}
	m.part, m.whole, m.bytes, m.inBytes = part, whole, bytes, inBytes
	now := m.out.Now()
	if m.out.Show != nil && now.Sub(m.shown) >= onTerminal {
		m.shown = now
		m.onScreen = m.out.Show(m.line(now))
	}
	if now.Sub(m.logged) >= inLog {
		m.logged = now
		if !m.onScreen && m.out.Log != nil {
			m.out.Log(m.line(now))
		}
	}
}

// End wipes the line on the terminal. What has come of the work is for its owner to say.
func (m *Meter) End() {
	if m != nil && m.onScreen {
		m.onScreen = false
		m.out.Show("")
	}
}

func (m *Meter) line(now time.Time) string {
	var words []string
	known := m.whole > 0
	part := min(m.part, m.whole)
	if known {
		words = append(words, fmt.Sprintf("%d%%", int64(100*float64(part)/float64(m.whole))))
	}
	if known && m.inBytes {
		words = append(words, Size(m.bytes)+" of "+Size(m.whole))
	} else {
		words = append(words, Size(m.bytes))
	}
	took := now.Sub(m.start)
	if took > 0 {
		words = append(words, Size(int64(float64(m.bytes)/took.Seconds()))+"/s")
	}
	if known && part > 0 {
		left := time.Duration(float64(took) * float64(m.whole-part) / float64(part))
		words = append(words, left.Round(time.Second).String()+" left")
	}
	return m.what + ": " + strings.Join(words, ", ")
}

// Size is a number of bytes for people: 512 B, 1.5 KiB, 310 MiB.
func Size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for ; f >= 1023.5 && unit < 6; unit++ {
		f /= 1024
	}
	form := "%.1f %ciB"
	if f >= 99.95 {
		form = "%.0f %ciB"
	}
	return fmt.Sprintf(form, f, " KMGTPE"[unit])
}

// Reader returns r, whose bytes the meter counts as it is read: total in all, 0 or less if that is not known. Where m is nil
// it is r itself.
func (m *Meter) Reader(r io.Reader, total int64) io.Reader {
	if m == nil {
		return r
	}
	return &reader{m, r, 0, total}
}

type reader struct {
	m           *Meter
	r           io.Reader
	done, total int64
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.done += int64(n)
	r.m.Bytes(r.done, r.total)
	return n, err
}

// Screen is a terminal with a line that is rewritten in place below what else is written. Safe for several goroutines.
type Screen struct {
	mu    sync.Mutex
	w     io.Writer
	shown bool
}

// NewScreen returns a Screen on w, which is taken for a terminal.
func NewScreen(w io.Writer) *Screen { return &Screen{w: w} }

// wipe is what empties the line that the cursor stands in: carriage return, erase to the end of the line.
const wipe = "\r\x1b[K"

// Write implements io.Writer for all other lines.
func (s *Screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown {
		s.shown = false
		if _, err := io.WriteString(s.w, wipe); err != nil {
			return 0, err
		}
	}
	return s.w.Write(b)
}

// Show rewrites the line in place, "" wipes it. It reports true: there is a terminal.
func (s *Screen) Show(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown || line != "" {
		s.shown = line != ""
		_, _ = io.WriteString(s.w, wipe+line) // a terminal that is gone is no error of the work
	}
	return true
}

// Terminal returns a Screen on f if f is a terminal, else nil.
func Terminal(f *os.File) *Screen {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	return NewScreen(f)
}
