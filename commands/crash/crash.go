package crash

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

	"ferrous/commands/logging"
	"ferrous/commands/process"
)

// A Reporter writes crash reports and ends the process. Its exported fields are set before it is used.
type Reporter struct {
	Log     *logging.Logger
	Product string // name and version of the program
	// State returns the part of the report that describes the server. It is called on the loop, whose data it reads.
	State func() string
	// Post makes the loop call a function.
	Post func(fn func())
	// ExitOnPanic reports whether a panic ends the process by exit(1) and not by SIGABRT.
	ExitOnPanic func() bool
	// CleanUp removes temporary files; any goroutine may call it, at the end of the report.
	CleanUp func()
	// Enabled is crash-log-enabled: if false, the report has only its first lines.
	Enabled atomic.Bool

	once     sync.Once
	watchdog chan struct{} // stops the watchdog; nil while there is none
}

// cause is the reason of the crash.
type cause struct {
	lines  []string       // the first lines of the report
	signal syscall.Signal // the signal that ends the process: as in Redis, SIGABRT for panics and failed assertions
	abort  bool           // use-exit-on-panic applies
	stack  []byte
}

// Assertion is the value of the panic of a failed assertion.
type Assertion struct{ Expr string }

// Error returns the text for the report.
func (a Assertion) Error() string { return "'" + a.Expr + "' is not true" }

const (
	// patience is the longest wait for a loop that may hang. deadline is the longest time for the whole report, which may
	// fail in any way.
	patience = 2 * time.Second
	deadline = 20 * time.Second
)

// causeOf describes a panic.
func (r *Reporter) causeOf(v any, stack []byte) cause {
	c := cause{signal: syscall.SIGABRT, abort: true, stack: stack}
	at := origin(stack)
	switch e := v.(type) {
	case Assertion:
		c.lines = []string{"=== ASSERTION FAILED ===", fmt.Sprintf("==> %s %v", at, e)}
	case runtime.Error:
		if strings.Contains(e.Error(), "memory address") || strings.Contains(e.Error(), "fault address") {
			c.signal, c.abort = syscall.SIGSEGV, false
			c.lines = []string{r.crashedBy(syscall.SIGSEGV)}
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

func (r *Reporter) crashedBy(sig syscall.Signal) string {
	return fmt.Sprintf("%s crashed by signal: %d", r.Product, int(sig))
}

// origin returns the place of the panic in a stack, file:line.
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

// Panicked reports a panic on the loop, with its stack. It does not return.
func (r *Reporter) Panicked(v any, stack []byte) { r.crash(r.causeOf(v, stack), true) }

// Go runs f in a goroutine; a panic there is a crash of the server.
func (r *Reporter) Go(f func()) {
	go func() {
		defer func() {
			if v := recover(); v != nil {
				r.crash(r.causeOf(v, debug.Stack()), false)
			}
		}()
		f()
	}()
}

// Signals are the signals that make a server crash with a report.
var Signals = []os.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL}

// BySignal writes the report if it is enabled, and ends the process by the signal. Any goroutine may call it. It does not
// return.
func (r *Reporter) BySignal(sig syscall.Signal) {
	if !r.Enabled.Load() {
		process.Die(sig)
	}
	r.crash(cause{lines: []string{r.crashedBy(sig), "The signal came from outside; these are the stacks of all goroutines."},
		signal: sig, stack: allStacks()}, false)
}

// allStacks returns the stacks of all goroutines, at most 1 MB.
func allStacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// crash writes the report and ends the process. onLoop says that the caller is the loop's goroutine, so that its data may
// be read here.
func (r *Reporter) crash(c cause, onLoop bool) {
	r.once.Do(func() {
		// The log itself may hang.
		time.AfterFunc(deadline, func() { process.Die(c.signal) })
		raw := func(text string) { r.Log.Raw(logging.Warning, text) }
		raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n")
		for _, l := range c.lines {
			r.Log.Log(logging.Warning, l)
		}
		if r.Enabled.Load() {
			raw("\n------ STACK TRACE ------\n")
			raw(string(c.stack))
			if onLoop {
				raw(r.State())
			} else {
				raw(r.askForState())
			}
		}
		raw("\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n" +
			"       Please report this to those who maintain Ferrous, with the lines of the log above it.\n\n")
		r.CleanUp()
		if c.abort && r.ExitOnPanic() {
			os.Exit(1)
		}
		process.Die(c.signal)
	})
	select {} // another goroutine is writing its report
}

// askForState makes the loop return the server's state and then stop.
func (r *Reporter) askForState() string {
	state := make(chan string, 1)
	r.Post(func() {
		state <- r.State()
		select {}
	})
	select {
	case text := <-state:
		return text
	case <-time.After(patience):
		return "\n(The loop does not answer: INFO, clients and the running request are missing.)\n" + string(allStacks())
	}
}

// minWatchdogPeriod is the shortest period, so that a busy server does not count as stuck.
const minWatchdogPeriod = 200 * time.Millisecond

// Watch starts a watchdog and stops the running one; with 0 it only stops it. The watchdog checks every period whether the
// loop still turns. If it did not for a period, it logs the stacks of all goroutines, which show the reason.
func (r *Reporter) Watch(period time.Duration) {
	if r.watchdog != nil {
		close(r.watchdog)
		r.watchdog = nil
	}
	if period == 0 {
		return
	}
	stop := make(chan struct{})
	r.watchdog = stop
	r.Go(func() { r.watchLoop(max(period, minWatchdogPeriod), stop) })
}

func (r *Reporter) watchLoop(period time.Duration, stop chan struct{}) {
	for {
		turned := make(chan struct{})
		r.Post(func() { close(turned) })
		select {
		case <-turned:
		case <-stop:
			return
		case <-time.After(period):
			r.Log.Raw(logging.Warning, "\n--- WATCHDOG TIMER EXPIRED ---\n"+string(allStacks())+"--------\n")
			select {
			case <-turned: // one report each time the loop is stuck
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
