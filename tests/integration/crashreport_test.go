package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// ended waits for a server that dies and returns its log.
func ended(t *testing.T, s *harness.Server) (code int, log string) {
	t.Helper()
	code, err := s.Wait(time.Minute)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Logs())
	}
	return code, s.Logs()
}

// inOrder checks that the parts stand in the text one after the other.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, p := range parts {
		_, after, found := strings.Cut(rest, p)
		if !found {
			t.Fatalf("%q is missing, or not in its place, in\n%s", p, text)
		}
		rest = after
	}
}

// A server that crashes logs a report of what it did, and ends by a signal.
func TestCrashReport(t *testing.T) {
	for _, c := range []struct {
		how, reason string
	}{
		{"PANIC", "Guru Meditation: DEBUG PANIC called at Unix time"},
		{"ASSERT", "=== ASSERTION FAILED ==="},
		{"SEGFAULT", "crashed by signal: 11"},
	} {
		t.Run(c.how, func(t *testing.T) {
			s := harness.StartFerrous(t, "--enable-debug-command", "local")
			conn := s.Dial(t)
			conn.Must("CLIENT", "SETNAME", "the-culprit")
			conn.Must("SET", "key", "value")
			if err := conn.Send("DEBUG", c.how); err != nil {
				t.Fatal(err)
			}
			code, log := ended(t, s)
			if code == 0 {
				t.Errorf("exit code %d", code)
			}
			inOrder(t, log, "=== REDIS BUG REPORT START: Cut & paste starting from here ===", c.reason, "commands/debug.go:",
				"------ STACK TRACE ------", "commands.debug"+c.how[:1]+strings.ToLower(c.how[1:]), "commands.debugCommand",
				"------ INFO OUTPUT ------", "# Server", "redis_version:", "# Keyspace", "db0:keys=1",
				"------ CLIENT LIST OUTPUT ------", "name=the-culprit",
				"------ CURRENT CLIENT INFO ------", "name=the-culprit", "argc: '2'", `argv[0]: '"DEBUG"'`, `argv[1]: '"`+c.how+`"'`,
				"------ CONFIG DEBUG OUTPUT ------", "sanitize-dump-payload",
				"=== REDIS BUG REPORT END.")
			if strings.Contains(log, "\ngoroutine 1 [") && !strings.Contains(log, "STACK TRACE") {
				t.Error("a bare trace of Go")
			}
		})
	}
}

// So does one that crashes while it loads its data.
func TestCrashReportOfLoading(t *testing.T) {
	dir, _ := appendOnlyDir(t, harness.AppendCommand(nil, "DEBUG", "SEGFAULT"))
	cmd, out := launch(t, nil, nil, "--port", "0", "--unixsocket", filepath.Join(dir, "socket"), "--dir", dir, "--appendonly", "yes")
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }) // it serves
	if err := cmd.Wait(); err == nil {
		t.Error("it has not crashed")
	}
	timer.Stop()
	inOrder(t, out.String(), "=== REDIS BUG REPORT START", "crashed by signal: 11", "commands.debugSegfault", "loading:1", "=== REDIS BUG REPORT END.")
}

// Signals from outside bring a report too, also when the loop hangs.
func TestCrashReportOfSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS} {
		t.Run(sig.String(), func(t *testing.T) {
			s := harness.StartFerrous(t, "--enable-debug-command", "local")
			hang := sig == syscall.SIGBUS
			conn := s.Dial(t)
			if hang {
				conn.Must("PING")
				if err := conn.Send("DEBUG", "SLEEP", "30"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond) // most likely it sleeps; the report is one either way
			}
			if err := s.Signal(sig); err != nil {
				t.Fatal(err)
			}
			code, log := ended(t, s)
			if code == 0 {
				t.Errorf("exit code %d", code)
			}
			inOrder(t, log, "=== REDIS BUG REPORT START", "crashed by signal: ", "------ STACK TRACE ------", "goroutine ", "=== REDIS BUG REPORT END.")
			if !hang {
				inOrder(t, log, "------ INFO OUTPUT ------", "redis_version:", "------ CLIENT LIST OUTPUT ------")
			}
		})
	}
}

func TestCrashLogDisabled(t *testing.T) {
	s := harness.StartFerrous(t, "--enable-debug-command", "local", "--crash-log-enabled", "no", "--use-exit-on-panic", "yes")
	if err := s.Dial(t).Send("DEBUG", "PANIC"); err != nil {
		t.Fatal(err)
	}
	code, log := ended(t, s)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	inOrder(t, log, "=== REDIS BUG REPORT START", "Guru Meditation", "=== REDIS BUG REPORT END.")
	if strings.Contains(log, "STACK TRACE") {
		t.Error("a report though crash-log-enabled is off")
	}
	s = harness.StartFerrous(t, "--enable-debug-command", "local")
	s.Dial(t).Must("CONFIG", "SET", "crash-log-enabled", "no")
	if err := s.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	if code, log := ended(t, s); code == 0 || strings.Contains(log, "BUG REPORT") {
		t.Errorf("exit code %d\n%s", code, log)
	}
}

// Secrets do not get into a report.
func TestCrashReportHidesSecrets(t *testing.T) {
	s := harness.StartFerrous(t, "--enable-debug-command", "local", "--requirepass", "the-secret")
	c, err := harness.DialConn("tcp", s.Addr, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Must("AUTH", "the-secret")
	if err := c.Send("DEBUG", "PANIC"); err != nil {
		t.Fatal(err)
	}
	if _, log := ended(t, s); strings.Contains(log, "the-secret") {
		t.Error("the password is in the report")
	}
}

// The watchdog shows what holds the loop.
func TestWatchdog(t *testing.T) {
	s := harness.StartFerrous(t, "--enable-debug-command", "local")
	c := s.Dial(t)
	c.Must("CONFIG", "SET", "watchdog-period", "200")
	c.Must("DEBUG", "SLEEP", "1")
	eventually(t, "a stack in the log", func() bool {
		_, after, found := strings.Cut(s.Logs(), "--- WATCHDOG TIMER EXPIRED ---")
		return found && strings.Contains(after, "introspection.debugSleep")
	})
	c.Must("CONFIG", "SET", "watchdog-period", "0")
	c.Must("PING")
}

// Ctrl-C while the data is being saved ends the server at once and leaves no half file; one after a shutdown that failed is
// a first one again.
func TestInsistingInterrupt(t *testing.T) {
	dir := t.TempDir()
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir,
		Args: []string{"--shutdown-on-sigint", "save"}})
	c := s.Dial(t)
	for _, k := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		c.Must("SET", k, "v")
	}
	dump := filepath.Join(dir, "dump.rdb")
	if err := os.MkdirAll(filepath.Join(dump, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := s.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the shutdown fails", func() bool {
			return strings.Count(s.Logs(), "Errors trying to shut down the server.") == i+1
		})
	}
	c.Must("PING")
	if err := os.RemoveAll(dump); err != nil {
		t.Fatal(err)
	}
	c.Must("CONFIG", "SET", "rdb-key-save-delay", "5000000")
	if err := s.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	temps := func() int {
		names, err := filepath.Glob(filepath.Join(dir, "temp-*.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	eventually(t, "the save has begun", func() bool { return temps() == 1 })
	if err := s.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	code, log := ended(t, s)
	if code != 1 || !strings.Contains(log, "You insist... exiting now.") {
		t.Errorf("exit code %d\n%s", code, log)
	}
	if temps() != 0 {
		t.Error("the temporary file is left")
	}
	if _, err := os.Stat(dump); !os.IsNotExist(err) {
		t.Errorf("there is a dump: %v", err)
	}
}

// What a signal asked for can be taken back until the server begins with it.
func TestShutdownAbort(t *testing.T) {
	s := harness.StartFerrous(t, "--enable-debug-command", "local")
	c := s.Dial(t)
	c.Must("DEBUG", "PAUSE-CRON", "1")
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the signal has come", func() bool { return strings.Contains(s.Logs(), "Received SIGTERM scheduling shutdown") })
	c.Must("SHUTDOWN", "ABORT")
	c.Must("DEBUG", "PAUSE-CRON", "0")
	c.Must("PING")
	if v, err := c.Do("SHUTDOWN", "ABORT"); err != nil || !v.IsError() {
		t.Errorf("nothing to abort: %s, %v", v, err)
	}
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Error(code, err)
	}
}
