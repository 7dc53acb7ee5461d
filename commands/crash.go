package commands

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/commands/process"
)

// A server that cannot go on says what it knows before it dies: in the frame that tools look for in a Redis log, with the
// stack, INFO, the clients, the request that ran and the configuration. There are three ways to it:
//
//   - a panic on the loop (eventloop hands it over with the stack that it happened on); a wrong memory access is one, too,
//     as Go makes a panic of it,
//   - a panic in a goroutine of ours, which runs under guarded,
//   - a signal that means a crash, sent from outside.
//
// The state belongs to the loop. Who is elsewhere asks the loop for it and does without if it does not answer: it may be what
// hangs. What Go itself calls fatal (a map written by two goroutines, memory that cannot be had) cannot be caught; main sends
// the trace of such an end to the log file.

// crashing is the state of a crash report.
type crashing struct {
	once    sync.Once
	enabled atomic.Bool // crash-log-enabled
}

// cause is why the server dies.
type cause struct {
	lines  []string       // what is said first
	signal syscall.Signal // by which it ends; as Redis does, SIGABRT for what it notices itself
	abort  bool           // use-exit-on-panic applies
	stack  []byte
}

// assertion is the value of a panic about something that must hold.
type assertion struct{ expr string }

func (a assertion) Error() string { return "'" + a.expr + "' is not true" }

const (
	// crashPatience bounds the wait for a loop that may hang, and crashDeadline the making of the report, during which
	// anything can happen.
	crashPatience = 2 * time.Second
	crashDeadline = 20 * time.Second
)

// causeOf describes a panic.
func causeOf(v any, stack []byte) cause {
	c := cause{signal: syscall.SIGABRT, abort: true, stack: stack}
	at := origin(stack)
	switch e := v.(type) {
	case assertion:
		c.lines = []string{"=== ASSERTION FAILED ===", fmt.Sprintf("==> %s %v", at, e)}
	case runtime.Error:
		if strings.Contains(e.Error(), "memory address") || strings.Contains(e.Error(), "fault address") {
			c.signal, c.abort = syscall.SIGSEGV, false
			c.lines = []string{crashedBy(syscall.SIGSEGV)}
			if a, ok := e.(interface{ Addr() uintptr }); ok {
				c.lines = append(c.lines, fmt.Sprintf("Accessing address: %#x", a.Addr()))
			}
		}
		c.lines = append(c.lines, fmt.Sprintf("Guru Meditation: %v #%s", e, at))
	default:
		c.lines = []string{fmt.Sprintf("Guru Meditation: %v #%s", v, at)}
	}
	return c
}

func crashedBy(sig syscall.Signal) string {
	return fmt.Sprintf("Ferrous %s (Redis %s) crashed by signal: %d", Version, RedisVersion, int(sig))
}

// origin finds in a stack where the panic happened, file:line.
func origin(stack []byte) string {
	_, after, found := strings.Cut(string(stack), "\npanic(")
	if !found {
		return "?"
	}
	// The location of panic itself, then function and location of each caller.
	lines := strings.Split(after, "\n")
	for i := 3; i < len(lines); i += 2 {
		function, at := lines[i-1], strings.TrimSpace(lines[i])
		if strings.HasPrefix(function, "runtime.") {
			continue
		}
		at, _, _ = strings.Cut(at, " +0x")
		return at
	}
	return "?"
}

// panicked is told of a panic on the loop. It does not return.
func (s *Server) panicked(v any, stack []byte) { s.crash(causeOf(v, stack), true) }

// guarded runs f in a goroutine; a panic there is a crash of the server.
func (s *Server) guarded(f func()) {
	go func() {
		defer func() {
			if v := recover(); v != nil {
				s.crash(causeOf(v, debug.Stack()), false)
			}
		}()
		f()
	}()
}

// CrashSignals are the signals by which others make a server crash with a report.
var CrashSignals = []os.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL}

// CrashBy ends the process as the signal does, having written the crash report if it is enabled. Any goroutine may
// call it. It does not return.
func (s *Server) CrashBy(sig syscall.Signal) {
	if !s.crashing.enabled.Load() {
		process.Die(sig)
	}
	s.crash(cause{lines: []string{crashedBy(sig), "The signal came from outside; these are the stacks of all goroutines."},
		signal: sig, stack: allStacks()}, false)
}

// allStacks returns the stacks of all goroutines, as far as 1 MB holds them.
func allStacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// crash writes the report and ends the process. onLoop says that the loop's goroutine is the caller's, so that its data may
// be read here.
func (s *Server) crash(c cause, onLoop bool) {
	s.crashing.once.Do(func() {
		// The log may be what is broken.
		time.AfterFunc(crashDeadline, func() { process.Die(c.signal) })
		raw := func(text string) { s.Log.Raw(logging.Warning, text) }
		raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n")
		for _, l := range c.lines {
			s.Log.Log(logging.Warning, l)
		}
		if s.crashing.enabled.Load() {
			raw("\n------ STACK TRACE ------\n")
			raw(string(c.stack))
			if onLoop {
				raw(s.crashState())
			} else {
				raw(s.askForState())
			}
		}
		raw("\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n" +
			"       Please report this to those who maintain Ferrous, with the lines of the log above it.\n\n")
		if s.host != nil && s.host.Daemon() && s.Config.PidFile != "" {
			os.Remove(s.Config.Path(s.Config.PidFile))
		}
		if c.abort && s.Config.UseExitOnPanic {
			os.Exit(1)
		}
		process.Die(c.signal)
	})
	select {} // another goroutine's report is being written
}

// askForState has the loop tell the server's state, and holds it.
func (s *Server) askForState() string {
	told := make(chan string, 1)
	s.loop.Post(func() {
		told <- s.crashState()
		select {}
	})
	select {
	case text := <-told:
		return text
	case <-time.After(crashPatience):
		return "\n(The loop does not answer: INFO, clients and the running request are missing.)\n" + string(allStacks())
	}
}

// crashState is the part of the report that tells of the server's data. Each section stands for itself: data may be
// damaged.
func (s *Server) crashState() string {
	var b strings.Builder
	section := func(title string, write func()) {
		defer func() {
			if v := recover(); v != nil {
				fmt.Fprintf(&b, "(cannot be told: %v)\n", v)
			}
		}()
		b.WriteString("\n------ " + title + " ------\n")
		write()
	}
	section("INFO OUTPUT", func() { b.WriteString(s.infoReport([][]byte{[]byte("everything")})) })
	section("CLIENT LIST OUTPUT", func() { b.Write(s.clientLines(&clientFilter{})) })
	if c := s.current; c != nil {
		section("CURRENT CLIENT INFO", func() { c.crashInfo(&b) })
	}
	section("CONFIG DEBUG OUTPUT", func() { b.WriteString(s.Config.DebugInfo()) })
	return b.String()
}

// crashInfo tells what a client runs; of each argument its beginning, if it is not secret.
func (c *Client) crashInfo(b *strings.Builder) {
	const longest = 128
	fmt.Fprintf(b, "%s\nargc: '%d'\n", c.describe(), len(c.Args))
	var secret func(int) bool
	if c.Cmd != nil {
		secret = c.secrets()
	}
	for i, a := range c.Args {
		text := "(redacted)"
		if secret == nil || !secret(i) {
			text = string(appendRepr(nil, a[:min(len(a), longest)]))
		}
		fmt.Fprintf(b, "argv[%d]: '%s'\n", i, text)
	}
	if len(c.Args) > 1 {
		if r := c.DB.PeekStale(c.Args[1]); r != nil {
			fmt.Fprintf(b, "the second argument is a key: a %s in database %d\n", r.Type(), c.DB.ID)
		}
	}
}

// watchdog looks, every watchdog-period, whether the loop still turns, and logs the stacks of all goroutines when it did
// not for so long: what holds it stands there.
type watchdog struct {
	stop chan struct{} // nil while it does not run
}

// minWatchdogPeriod keeps a busy server from being taken for a stuck one.
const minWatchdogPeriod = 200 * time.Millisecond

func (s *Server) applyWatchdog() error {
	if s.watchdog.stop != nil {
		close(s.watchdog.stop)
		s.watchdog.stop = nil
	}
	if s.Config.WatchdogPeriodMs == 0 || s.loop == nil {
		return nil
	}
	stop := make(chan struct{})
	s.watchdog.stop = stop
	s.guarded(func() {
		s.watchLoop(max(time.Duration(s.Config.WatchdogPeriodMs)*time.Millisecond, minWatchdogPeriod), stop)
	})
	return nil
}

func (s *Server) watchLoop(period time.Duration, stop chan struct{}) {
	for {
		turned := make(chan struct{})
		s.loop.Post(func() { close(turned) })
		select {
		case <-turned:
		case <-stop:
			return
		case <-time.After(period):
			s.Log.Raw(logging.Warning, "\n--- WATCHDOG TIMER EXPIRED ---\n"+string(allStacks())+"--------\n")
			select {
			case <-turned: // one report for each time that it is stuck
			case <-stop:
				return
			}
		}
		select {
		case <-time.After(period / 2):
		case <-stop:
			return
		}
	}
}

// attachCrash makes the directives of this file take effect.
func (s *Server) attachCrash() {
	enable := func(*config.Config) error { s.crashing.enabled.Store(s.Config.CrashLogEnabled); return nil }
	s.Config.OnApply(enable, "crash-log-enabled")
	_ = enable(s.Config)
	s.Config.OnApply(func(*config.Config) error { return s.applyWatchdog() }, "watchdog-period")
}

func debugPanic(*Client) { panic(fmt.Sprintf("DEBUG PANIC called at Unix time %d", time.Now().Unix())) }

func debugAssert(*Client) { panic(assertion{"1 == 2"}) }

// debugSegfault writes to memory that may only be read.
func debugSegfault(*Client) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	page[0] = 1
}
