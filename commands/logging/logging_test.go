package logging

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/syslog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// at is the instant of all lines; its fraction of a millisecond must be cut, not
// rounded.
var at = time.Date(2024, time.March, 5, 7, 8, 9, 12_999_999, time.FixedZone("", 3600))

// writes records each write, to see that a line is one of them.
type writes struct {
	mu   sync.Mutex
	list []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, string(p))
	return len(p), nil
}

func newTest(w *writes, o Options) *Logger {
	o.Out, o.PID = w, 42
	if o.Now == nil {
		o.Now = func() time.Time { return at }
	}
	return New(o)
}

func TestRedisLines(t *testing.T) {
	var w writes
	l := newTest(&w, Options{})
	l.Log(Debug, "a")
	l.Logf(Verbose, "b %d", 7)
	l.SetRole(Replica)
	l.Log(Notice, "c\nd\r\t\x1b[2J\x00\x7f\u00e9 \\n")
	l.LogAs(Child, Warning, "e %s", "f")
	l.SetRole(Sentinel)
	l.Log(Warning, "")
	l.Raw(Notice, "  banner PID: 42\n no head")
	want := []string{
		"42:M 05 Mar 2024 07:08:09.012 . a\n",
		"42:M 05 Mar 2024 07:08:09.012 - b 7\n",
		"42:S 05 Mar 2024 07:08:09.012 * c\\nd\\r\t\\x1b[2J\\x00\\x7f\u00e9 \\n\n",
		"42:C 05 Mar 2024 07:08:09.012 # e f\n",
		"42:X 05 Mar 2024 07:08:09.012 # \n",
		"  banner PID: 42\n no head",
	}
	if fmt.Sprint(w.list) != fmt.Sprint(want) {
		t.Errorf("%q", w.list)
	}
}

func TestLevels(t *testing.T) {
	for set := Debug; set <= Nothing; set++ {
		var w writes
		l := newTest(&w, Options{Level: set})
		for level := Debug; level <= Warning; level++ {
			if l.Enabled(level) != (level >= set) {
				t.Errorf("level %v: Enabled(%v) = %v", set, level, l.Enabled(level))
			}
			l.Log(level, "x")
			l.Logf(level, "x")
			l.LogAs(Child, level, "x")
			l.LogWhole(level, "x")
			l.Raw(level, "x")
		}
		if want := 5 * int(Nothing-set); len(w.list) != want {
			t.Errorf("level %v: %d lines, want %d", set, len(w.list), want)
		}
		l.SetLevel(Debug)
		l.Log(Debug, "now")
		if !strings.HasSuffix(w.list[len(w.list)-1], "now\n") {
			t.Error("SetLevel had no effect")
		}
	}
	if Notice.String() != "notice" || Nothing.String() != "nothing" || Level(9).String() != "unknown" {
		t.Error("names of levels")
	}
}

func TestTruncation(t *testing.T) {
	long := strings.Repeat("x", 5000)
	const head = len("42:M 05 Mar 2024 07:08:09.012 # ")
	for name, tc := range map[string]struct {
		log  func(*Logger)
		want int
	}{
		"Log":      {func(l *Logger) { l.Log(Warning, long) }, head + MaxMessage + 1},
		"Logf":     {func(l *Logger) { l.Logf(Warning, "%s", long) }, head + MaxMessage + 1},
		"LogAs":    {func(l *Logger) { l.LogAs(Child, Warning, "%s", long) }, head + MaxMessage + 1},
		"just fit": {func(l *Logger) { l.Log(Warning, long[:MaxMessage]) }, head + MaxMessage + 1},
		"LogWhole": {func(l *Logger) { l.LogWhole(Warning, long) }, head + 5000 + 1},
		"Raw":      {func(l *Logger) { l.Raw(Warning, long) }, 5000},
	} {
		var w writes
		tc.log(newTest(&w, Options{}))
		if len(w.list) != 1 || len(w.list[0]) != tc.want {
			t.Errorf("%s: %d bytes, want %d", name, len(w.list[0]), tc.want)
		}
	}
}

// nasty has all that needs escaping: quotes, controls, bytes that are no UTF-8.
const nasty = "a \"b\" \\ \n\r\t\x00\x1f\x7f é ☃ \xff\xc3"

func TestJSON(t *testing.T) {
	var w writes
	l := newTest(&w, Options{Format: JSON})
	l.Log(Warning, nasty)
	l.SetRole(Replica)
	l.Raw(Notice, "two\nlines")
	for i, want := range []struct{ role, level, message string }{
		{"master", "warning", "a \"b\" \\ \n\r\t\x00\x1f\x7f é ☃ \ufffd\ufffd"},
		{"replica", "notice", "two\nlines"},
	} {
		var got struct {
			PID                             int
			Role, Timestamp, Level, Message string
		}
		line := w.list[i]
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("not one line: %q", line)
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got.PID != 42 || got.Role != want.role || got.Level != want.level || got.Message != want.message ||
			got.Timestamp != "2024-03-05T07:08:09.012+01:00" {
			t.Errorf("%+v", got)
		}
	}
}

func TestLogfmt(t *testing.T) {
	var w writes
	l := newTest(&w, Options{})
	l.SetFormat(Logfmt)
	l.Log(Verbose, "a \"b\"\nc")
	l.LogAs(Child, Debug, "")
	l.SetFormat(Redis)
	l.Log(Debug, "z")
	want := []string{
		`pid=42 role=master timestamp=2024-03-05T07:08:09.012+01:00 level=verbose message="a \"b\"\nc"` + "\n",
		`pid=42 role=child timestamp=2024-03-05T07:08:09.012+01:00 level=debug message=""` + "\n",
		"42:M 05 Mar 2024 07:08:09.012 . z\n",
	}
	if fmt.Sprint(w.list) != fmt.Sprint(want) {
		t.Errorf("%q", w.list)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// messages strips the heads of Redis lines.
func messages(text string) string {
	return regexp.MustCompile(`(?m)^\d+:\w .{24} . `).ReplaceAllString(text, "")
}

func TestFileAndRotation(t *testing.T) {
	dir := t.TempDir()
	name, old := filepath.Join(dir, "x.log"), filepath.Join(dir, "x.log.1")
	if err := os.WriteFile(name, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var w writes
	l := newTest(&w, Options{File: name})
	defer l.Close()
	l.Log(Notice, "one")
	if got := messages(read(t, name)); got != "before\none\n" {
		t.Errorf("appended: %q", got)
	}
	// Renamed away: the next line makes a new file.
	if err := os.Rename(name, old); err != nil {
		t.Fatal(err)
	}
	l.Log(Notice, "two")
	l.Log(Notice, "three")
	if got := messages(read(t, name)); got != "two\nthree\n" {
		t.Errorf("after renaming: %q", got)
	}
	if got := messages(read(t, old)); got != "before\none\n" {
		t.Errorf("the old file: %q", got)
	}
	// Replaced by another file, deleted, truncated.
	if err := os.Rename(old, name); err != nil {
		t.Fatal(err)
	}
	l.Log(Notice, "four")
	if got := messages(read(t, name)); got != "before\none\nfour\n" {
		t.Errorf("after replacing: %q", got)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	l.Log(Notice, "five")
	if got := messages(read(t, name)); got != "five\n" {
		t.Errorf("after removing: %q", got)
	}
	if err := os.Truncate(name, 0); err != nil {
		t.Fatal(err)
	}
	l.Log(Notice, "six")
	l.Reopen()
	l.Log(Notice, "seven")
	if got := messages(read(t, name)); got != "six\nseven\n" {
		t.Errorf("after truncating: %q", got)
	}
	// A path that cannot be written loses lines, and no more than that.
	l.SetFile(filepath.Join(dir, "missing", "x.log"))
	l.Log(Notice, "lost")
	if err := os.Mkdir(filepath.Join(dir, "missing"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.Log(Notice, "found")
	if got := messages(read(t, filepath.Join(dir, "missing", "x.log"))); got != "found\n" {
		t.Errorf("after the directory came: %q", got)
	}
	l.SetFile("")
	l.Log(Notice, "out")
	if len(w.list) != 1 || messages(w.list[0]) != "out\n" {
		t.Errorf("standard output: %q", w.list)
	}
}

// TestManyGoroutines is for the race detector, and sees that lines stay whole
// while the file is rotated and everything is changed.
func TestManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.log")
	l := New(Options{File: name, PID: 7})
	const goroutines, lines = 8, 200
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range lines {
				l.Logf(Notice, "line %d %d", g, i)
				if i%50 == 0 {
					l.SetRole([]Role{Master, Replica}[i/50%2])
					l.SetLevel(Debug)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			os.Rename(name, fmt.Sprintf("%s.%d", name, i))
			l.Reopen()
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
	l.Close()
	files, err := filepath.Glob(name + "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, f := range files {
		for _, m := range strings.Split(strings.TrimSuffix(messages(read(t, f)), "\n"), "\n") {
			seen[m]++
		}
	}
	delete(seen, "") // a file that was renamed before its first line
	if len(seen) != goroutines*lines {
		t.Errorf("%d different lines, want %d", len(seen), goroutines*lines)
	}
	for m, n := range seen {
		if n != 1 || !strings.HasPrefix(m, "line ") {
			t.Errorf("%d times %q", n, m)
		}
	}
}

// fakeSyslog is a daemon that can go away.
type fakeSyslog struct {
	lines  []string
	dialed []string
	down   bool
}

func (f *fakeSyslog) dial(p syslog.Priority, tag string) (SyslogWriter, error) {
	f.dialed = append(f.dialed, fmt.Sprintf("%d %s", p&^7>>3, tag))
	if f.down {
		return nil, errors.New("no daemon")
	}
	return f, nil
}

func (f *fakeSyslog) add(level, msg string) error {
	if f.down {
		return errors.New("gone")
	}
	f.lines = append(f.lines, level+" "+msg)
	return nil
}

func (f *fakeSyslog) Debug(m string) error   { return f.add("debug", m) }
func (f *fakeSyslog) Info(m string) error    { return f.add("info", m) }
func (f *fakeSyslog) Notice(m string) error  { return f.add("notice", m) }
func (f *fakeSyslog) Warning(m string) error { return f.add("warning", m) }
func (f *fakeSyslog) Close() error           { return nil }

func TestSyslog(t *testing.T) {
	var (
		w   writes
		f   fakeSyslog
		now = at
	)
	l := newTest(&w, Options{
		Level:  Verbose,
		Syslog: &SyslogOptions{Ident: "me", Facility: "local3", Dial: f.dial},
		Now:    func() time.Time { return now },
	})
	l.Log(Debug, "no")
	l.Log(Verbose, "a")
	l.Log(Notice, "b")
	l.Log(Warning, "c")
	l.Raw(Notice, "d")
	if got := fmt.Sprint(f.lines); got != "[info a notice b warning c notice d]" {
		t.Error(got)
	}
	if got := fmt.Sprint(f.dialed); got != "[19 me]" {
		t.Errorf("dialed %s", got)
	}
	// While the daemon is away one attempt a second is made, and the log goes on.
	f.down, f.lines = true, nil
	for range 5 {
		l.Log(Notice, "lost")
	}
	now = now.Add(syslogRetry)
	l.Log(Notice, "lost")
	l.Log(Notice, "lost")
	f.down = false
	l.Log(Notice, "lost")
	now = now.Add(syslogRetry)
	l.Log(Notice, "back")
	if got := fmt.Sprint(f.lines, len(f.dialed)); got != "[notice back] 3" {
		t.Error(got)
	}
	if len(w.list) != 13 {
		t.Errorf("%d lines in the log", len(w.list))
	}
	l.Close()
	l.Log(Debug, "off")
	l.SetLevel(Debug)
	l.Log(Debug, "again")
	if got := fmt.Sprint(f.lines, len(f.dialed)); got != "[notice back debug again] 4" {
		t.Error(got)
	}
	for name, want := range map[string]syslog.Priority{"user": syslog.LOG_USER, "local0": syslog.LOG_LOCAL0,
		"local7": syslog.LOG_LOCAL7, "local8": syslog.LOG_USER, "": syslog.LOG_USER} {
		if got := facility(name); got != want {
			t.Errorf("facility %s = %d, want %d", name, got, want)
		}
	}
}

// TestShapeOfRedis compares a line with one that a real server writes.
func TestShapeOfRedis(t *testing.T) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server")
	}
	// The server logs that the file is missing, and ends.
	out, _ := exec.Command(path, "/nonexistent/redis.conf").Output()
	var b bytes.Buffer
	l := New(Options{Out: &b})
	l.Log(Warning, "Fatal error, can't open config file '/nonexistent/redis.conf': No such file or directory")
	shape := func(s string) string {
		for _, r := range [][2]string{{`^\d+:\w `, "P:R "}, {`\d\d \w\w\w \d{4} \d\d:\d\d:\d\d\.\d\d\d`, "DATE"}} {
			s = regexp.MustCompile(r[0]).ReplaceAllString(s, r[1])
		}
		return s
	}
	if got, want := shape(b.String()), shape(string(out)); got != want || !strings.HasPrefix(want, "P:R DATE # Fatal") {
		t.Errorf("%q, Redis writes %q", got, want)
	}
}

func TestQuietLevelsAllocateNothing(t *testing.T) {
	l := New(Options{Level: Notice, Out: &writes{}})
	if n := testing.AllocsPerRun(100, func() { l.Log(Debug, "x"); l.Raw(Verbose, "y") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLogFile(b *testing.B) {
	l := New(Options{File: filepath.Join(b.TempDir(), "x.log")})
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		l.Log(Notice, "DB saved on disk")
	}
}
