package crash

import (
	"errors"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// caught runs f and describes its panic.
func caught(t *testing.T, r *Reporter, f func()) (c cause) {
	t.Helper()
	defer func() {
		v := recover()
		if v == nil {
			t.Fatal("no panic")
		}
		c = r.causeOf(v, debug.Stack())
	}()
	f()
	return c
}

func TestCauseOf(t *testing.T) {
	var none []int
	var nowhere *Reporter
	r := &Reporter{Product: "A server"}
	for _, x := range []struct {
		name   string
		f      func()
		signal syscall.Signal
		abort  bool
		says   string
	}{
		{"panic", func() { panic(errors.New("no more")) }, syscall.SIGABRT, true, "Guru Meditation: no more #"},
		{"index", func() { none[len(none)] = 1 }, syscall.SIGABRT, true, "Guru Meditation: runtime error: index out of range"},
		{"nil", func() { nowhere.Product = "" }, syscall.SIGSEGV, false, "crashed by signal: 11"},
		{"assertion", func() { panic(Assertion{"a == b"}) }, syscall.SIGABRT, true, "'a == b' is not true"},
	} {
		c := caught(t, r, x.f)
		text := strings.Join(c.lines, "\n")
		if c.signal != x.signal || c.abort != x.abort || !strings.Contains(text, x.says) || !strings.Contains(text, "crash_test.go:") {
			t.Errorf("%s: signal %d, abort %v:\n%s\n%s", x.name, c.signal, c.abort, text, c.stack)
		}
	}
	if got := origin([]byte("not a stack")); got != "?" {
		t.Errorf("origin of nothing: %q", got)
	}
}
