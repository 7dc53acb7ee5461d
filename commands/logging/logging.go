// Package logging writes the server's log.
//
// # Design
//
// A Logger belongs to one server. Every message becomes one line and one write
// to its target, unbuffered, under a mutex: lines of several goroutines never mix, no line is lost when the process dies, and
// tools that follow the file see a line at once. A message below the level costs one atomic load.
//
// The target is standard output, or a file that is opened for appending. Redis
// opens and closes the file for each line, so that a rotation which renames the
// file away works without telling the server. A Logger keeps the file open. Before each line it checks whether the path is
// still the open file; if not, it opens the path again. Reopen (SIGHUP) forces that. A log that cannot be written is not an
// error of the server: the line is lost, and the next one tries again.
//
// Three formats: Redis's own line "PID:ROLE DATE LEVEL message", logfmt pairs,
// and one JSON object a line. Messages are truncated to 1023 bytes as in Redis, except those of LogWhole and Raw. If syslog
// is enabled, it gets the lines, too.
//
// Safe for use by several goroutines.
package logging

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ferrous/commands/progress"
)

// Level is the level of a message; a Logger drops messages below its own level.
type Level int32

// The levels, in the order of the directive loglevel. Nothing is only a level of a Logger: it drops all messages.
const (
	Debug Level = iota
	Verbose
	Notice
	Warning
	Nothing
)

var levelNames = [...]string{"debug", "verbose", "notice", "warning", "nothing"}

// String returns the level's name in the directive loglevel.
func (l Level) String() string {
	if l < Debug || l > Nothing {
		return "unknown"
	}
	return levelNames[l]
}

// Format is the format of lines.
type Format int32

// The formats, in the order of the directive log-format.
const (
	Redis Format = iota
	Logfmt
	JSON
)

// Role is the letter of a log line for the process's role.
type Role byte

// The roles.
const (
	Master   Role = 'M'
	Replica  Role = 'S'
	Child    Role = 'C' // work in the background: a snapshot, a rewrite
	Sentinel Role = 'X'
)

func (r Role) name() string {
	switch r {
	case Master:
		return "master"
	case Replica:
		return "replica"
	case Child:
		return "child"
	case Sentinel:
		return "sentinel"
	}
	return string(rune(r))
}

// MaxMessage is the number of bytes of a message that Log and Logf keep.
const MaxMessage = 1023

// Options describe a Logger. The zero value logs everything from Debug upwards
// to standard output in Redis's format.
type Options struct {
	Level  Level
	Format Format
	File   string           // absolute path, "" = Out
	Out    io.Writer        // the target without a file, nil = standard output; a *progress.Screen for a terminal
	Now    func() time.Time // the clock, nil = time.Now
	PID    int              // 0 = os.Getpid()
	Syslog *SyslogOptions   // nil = no syslog
}

// Logger writes log lines. Use New.
type Logger struct {
	level  atomic.Int32
	format atomic.Int32
	role   atomic.Uint32

	now func() time.Time
	pid int
	out io.Writer

	mu     sync.Mutex // guards all below and the order of lines
	path   string
	file   *os.File
	info   os.FileInfo // of file when it was opened
	syslog *syslogSink
	buf    []byte
	last   [lastLines]string // ring of the last lines
	lines  int               // how many there ever were
}

// lastLines is how many lines Last returns at most.
const lastLines = 100

// New returns a Logger whose role is Master.
func New(o Options) *Logger {
	l := &Logger{now: o.Now, pid: o.PID, out: o.Out, path: o.File}
	if l.now == nil {
		l.now = time.Now
	}
	if l.pid == 0 {
		l.pid = os.Getpid()
	}
	if l.out == nil {
		l.out = os.Stdout
		if screen := progress.Terminal(os.Stdout); screen != nil {
			l.out = screen
		}
	}
	if o.Syslog != nil {
		l.syslog = newSyslogSink(*o.Syslog)
	}
	l.level.Store(int32(o.Level))
	l.format.Store(int32(o.Format))
	l.role.Store(uint32(Master))
	return l
}

// Enabled reports whether messages of a level are logged. Call it before making an expensive message.
func (l *Logger) Enabled(level Level) bool { return int32(level) >= l.level.Load() }

// SetLevel changes the least level that is logged.
func (l *Logger) SetLevel(level Level) { l.level.Store(int32(level)) }

// SetFormat changes the format of the next lines.
func (l *Logger) SetFormat(f Format) { l.format.Store(int32(f)) }

// SetRole changes the role in the lines of Log and Logf.
func (l *Logger) SetRole(r Role) { l.role.Store(uint32(r)) }

// SetFile sets the file of the log, "" for Options.Out. The next line opens it.
func (l *Logger) SetFile(path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.path = path
	l.closeFile()
}

// Reopen makes the next line open the file again, for rotation by a signal.
func (l *Logger) Reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFile()
}

// Close closes the file and the connection to syslog. A later line opens them again.
func (l *Logger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFile()
	if l.syslog != nil {
		l.syslog.close()
	}
}

// Show rewrites the line in place that stands below the log on a terminal, "" wipes it. It reports false where the log goes
// elsewhere.
func (l *Logger) Show(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	screen, ok := l.out.(*progress.Screen)
	return ok && l.path == "" && screen.Show(line)
}

// Log logs a message, truncated to MaxMessage bytes, as one line: control characters, which may come from a client and could
// begin another line, are written as escape sequences.
func (l *Logger) Log(level Level, msg string) {
	if l.Enabled(level) {
		l.write(Role(l.role.Load()), level, cut(msg), true)
	}
}

// Logf is Log with the arguments of fmt.Sprintf.
func (l *Logger) Logf(level Level, format string, args ...any) {
	if l.Enabled(level) {
		l.write(Role(l.role.Load()), level, cut(fmt.Sprintf(format, args...)), true)
	}
}

// LogAs is Logf with another role, such as Child.
func (l *Logger) LogAs(role Role, level Level, format string, args ...any) {
	if l.Enabled(level) {
		l.write(role, level, cut(fmt.Sprintf(format, args...)), true)
	}
}

// LogWhole logs a message of any length and of several lines: a crash report.
func (l *Logger) LogWhole(level Level, msg string) {
	if l.Enabled(level) {
		l.write(Role(l.role.Load()), level, msg, false)
	}
}

// Raw writes text unchanged, without the beginning of a line or a newline: for the banner. In the structured formats, whose
// readers expect records, it is a message like any other.
func (l *Logger) Raw(level Level, text string) {
	if !l.Enabled(level) {
		return
	}
	if Format(l.format.Load()) != Redis {
		l.LogWhole(level, text)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf[:0], text...)
	l.flush(l.now(), level, text)
}

func cut(msg string) string {
	if len(msg) > MaxMessage {
		return msg[:MaxMessage]
	}
	return msg
}

func (l *Logger) write(role Role, level Level, msg string, oneLine bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	line := msg
	if oneLine {
		line = escapeControls(msg)
	}
	switch Format(l.format.Load()) {
	case Logfmt:
		l.buf = appendLogfmt(l.buf[:0], l.pid, role, now, level, msg)
	case JSON:
		l.buf = appendJSON(l.buf[:0], l.pid, role, now, level, msg)
	default:
		l.buf = appendRedis(l.buf[:0], l.pid, role, now, level, line)
	}
	l.flush(now, level, line)
}

// flush writes the finished line in buf to the target, in one write, and the message alone to syslog. Errors are ignored,
// since they cannot be logged.
func (l *Logger) flush(now time.Time, level Level, msg string) {
	if l.path == "" {
		l.out.Write(l.buf)
	} else if f := l.target(); f != nil {
		f.Write(l.buf)
	}
	if l.syslog != nil {
		l.syslog.write(level, msg, now)
	}
	l.last[l.lines%lastLines] = string(bytes.TrimRight(l.buf[:min(len(l.buf), 2*MaxMessage)], "\n"))
	l.lines++
	// Do not keep the memory of a crash report.
	if cap(l.buf) > 64<<10 {
		l.buf = nil
	}
}

// Last returns the last lines that were logged, the oldest first.
func (l *Logger) Last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := max(l.lines-lastLines, 0)
	out := make([]string, 0, l.lines-first)
	for i := first; i < l.lines; i++ {
		out = append(out, l.last[i%lastLines])
	}
	return out
}

// target returns the file at path, opened again if necessary, or nil.
func (l *Logger) target() *os.File {
	if l.file != nil {
		if st, err := os.Stat(l.path); err == nil && os.SameFile(st, l.info) {
			return l.file
		}
		l.closeFile()
	}
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil
	}
	if l.info, err = f.Stat(); err != nil {
		f.Close()
		return nil
	}
	l.file = f
	return f
}

func (l *Logger) closeFile() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
