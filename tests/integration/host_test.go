package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// launch starts the binary by itself, for what the harness does not wait for.
func launch(t *testing.T, stdin io.Reader, env []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(harness.NeedFerrous(t), args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &out
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &out
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func dialPort(t *testing.T, port int) *harness.Conn {
	t.Helper()
	var conn *harness.Conn
	eventually(t, fmt.Sprintf("port %d answers", port), func() bool {
		c, err := harness.DialConn("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Minute)
		if err != nil {
			return false
		}
		if v, err := c.Do("PING"); err != nil || v.Str != "PONG" {
			_ = c.Close()
			return false
		}
		conn = c
		return true
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func statField(t *testing.T, pid, n int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))[n-3]
}

func linuxOnly(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("looks into /proc")
	}
}

// A daemon is a process of its own, in its own session; who started it ends with success. Its configuration may come from
// standard input.
func TestDaemonize(t *testing.T) {
	linuxOnly(t)
	for _, from := range []string{"arguments", "stdin"} {
		t.Run(from, func(t *testing.T) {
			dir, port := t.TempDir(), freePort(t)
			pidfile, logfile := filepath.Join(dir, "f.pid"), filepath.Join(dir, "log")
			settings := []string{"port " + strconv.Itoa(port), "bind 127.0.0.1", "dir " + dir, "daemonize yes",
				"pidfile f.pid", "logfile log", "appendonly no"}
			var stdin io.Reader
			args := []string{"-"}
			if from == "stdin" {
				// More than a pipe holds.
				settings = append(settings, strings.Repeat("# a comment\n", 20_000))
				stdin = strings.NewReader(strings.Join(settings, "\n"))
			} else {
				args = nil
				for _, s := range settings {
					args = append(args, "--"+s)
				}
			}
			cmd, out := launch(t, stdin, nil, args...)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("the first process: %v\n%s", err, out)
			}
			c := dialPort(t, port)
			info, err := c.Info("server")
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := strconv.Atoi(info["process_id"])
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
			if got, err := os.ReadFile(pidfile); err != nil || string(got) != info["process_id"]+"\n" {
				t.Errorf("pid file: %q, %v; the process is %d", got, err, pid)
			}
			if pid == cmd.Process.Pid {
				t.Error("the daemon is the process that was started")
			}
			if got := statField(t, pid, 6); got != strconv.Itoa(pid) {
				t.Errorf("session %s of process %d", got, pid)
			}
			for fd := range 3 {
				if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err != nil || to != os.DevNull {
					t.Errorf("descriptor %d is %q, %v", fd, to, err)
				}
			}
			if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && bytes.Contains(env, []byte("FERROUS_DAEMON=")) {
				t.Log("the mark is still in the memory that /proc shows; it is gone from the environment")
			}
			if v := c.Must("CONFIG", "GET", "daemonize"); v.Elems[1].Str != "yes" {
				t.Errorf("daemonize is %s", v)
			}
			if err := c.Send("SHUTDOWN", "NOSAVE"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the daemon has ended", func() bool { return syscall.Kill(pid, 0) != nil || statField(t, pid, 3) == "Z" })
			if _, err := os.Stat(pidfile); !os.IsNotExist(err) {
				t.Errorf("the pid file is left: %v", err)
			}
			if log, err := os.ReadFile(logfile); err != nil || !strings.Contains(string(log), "Removing the pid file.") {
				t.Errorf("log: %v\n%s", err, log)
			}
		})
	}
}

// With daemonize and a wrong configuration the starting process prints the error and fails.
func TestDaemonizeRefuses(t *testing.T) {
	cmd, out := launch(t, nil, nil, "--daemonize", "yes", "--port", "many")
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "FATAL CONFIG FILE ERROR") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPIDFileAndUmask(t *testing.T) {
	dir := t.TempDir()
	s := harness.StartWith(t, harness.Options{
		Binary: harness.NeedFerrous(t), Dir: dir,
		Args: []string{"--pidfile", filepath.Join(dir, "f.pid"), "--logfile", "log", "--appendonly", "yes"},
		Wrap: []string{"sh", "-c", `umask 077 && exec "$@"`, "sh"},
	})
	c := s.Dial(t)
	c.Must("SET", "k", "v")
	c.Must("SAVE")
	for _, name := range []string{"f.pid", "log", "dump.rdb", "appendonlydir/appendonly.aof.manifest"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", name, fi.Mode().Perm())
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "f.pid")); err != nil || strings.TrimSpace(string(got)) != strconv.Itoa(s.PID()) {
		t.Errorf("pid file %q, %v", got, err)
	}
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "f.pid")); !os.IsNotExist(err) {
		t.Errorf("the pid file is left: %v", err)
	}
	// A file that cannot be written is no reason not to start.
	s = harness.StartFerrous(t, "--pidfile", "/nonexistent/dir/f.pid")
	eventually(t, "a warning", func() bool { return strings.Contains(s.Logs(), "Failed to write PID file: ") })
}

func TestSupervisedBySystemd(t *testing.T) {
	for _, how := range []string{"systemd", "auto"} {
		dir, err := os.MkdirTemp("", "sd") // a short path: it has to fit a socket address
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/s", Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Env: []string{"NOTIFY_SOCKET=" + dir + "/s"},
			Args: []string{"--supervised", how, "--daemonize", "yes"}}) // which supervision overrides
		info, err := s.Info("server")
		if err != nil || info["process_supervised"] != "systemd" {
			t.Errorf("process_supervised is %q, %v", info["process_supervised"], err)
		}
		if code, err := s.Stop(time.Minute); err != nil || code != 0 {
			t.Fatal(code, err)
		}
		var told strings.Builder
		buf := make([]byte, 1000)
		for !strings.Contains(told.String(), "STOPPING=1\n") {
			l.SetReadDeadline(time.Now().Add(time.Minute))
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q", err, told.String())
			}
			told.Write(buf[:n])
		}
		want := "STATUS=Ferrous is loading...\nSTATUS=Ready to accept connections\nREADY=1\nMAINPID=" + strconv.Itoa(s.PID()) + "\nSTOPPING=1\n"
		if told.String() != want {
			t.Errorf("told %q, want %q", told.String(), want)
		}
	}
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Env: []string{"NOTIFY_SOCKET="},
		Args: []string{"--supervised", "systemd"}})
	if !strings.Contains(s.Logs(), "systemd supervision requested, but NOTIFY_SOCKET not found!") {
		t.Error("no warning that there is no systemd")
	}
	if info, err := s.Info("server"); err != nil || info["process_supervised"] != "no" {
		t.Errorf("process_supervised is %q, %v", info["process_supervised"], err)
	}
}

// Under upstart the server stops itself once with SIGSTOP and continues with SIGCONT.
func TestSupervisedByUpstart(t *testing.T) {
	linuxOnly(t)
	port := freePort(t)
	cmd, out := launch(t, nil, []string{"UPSTART_JOB=x"}, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "",
		"--supervised", "auto", "--dir", t.TempDir())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the server has stopped itself", func() bool { return statField(t, cmd.Process.Pid, 3) == "T" })
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	info, err := dialPort(t, port).Info("server")
	if err != nil || info["process_supervised"] != "upstart" {
		t.Errorf("process_supervised is %q, %v\n%s", info["process_supervised"], err, out)
	}
}

func TestProcessTitle(t *testing.T) {
	linuxOnly(t)
	title := func(s *harness.Server) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID()))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimRight(string(b), "\x00")
	}
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	want := fmt.Sprintf("%s 127.0.0.1:%d", harness.NeedFerrous(t), s.Port)
	if got := title(s); got != want {
		t.Errorf("at start %q, want %q", got, want)
	}
	// What the arguments said is still known.
	if v := c.Must("CONFIG", "GET", "dir"); v.Elems[1].Str == "" {
		t.Errorf("dir is %s", v)
	}
	c.Must("CONFIG", "SET", "proc-title-template", "TEST {{ {port} {tls-port} {config-file}")
	if got, want := title(s), fmt.Sprintf("TEST { %d 0 -", s.Port); got != want {
		t.Errorf("set to %q, want %q", got, want)
	}
	for _, bad := range []string{"{invalid-var}", "{title", " ", ""} {
		if v, err := c.Do("CONFIG", "SET", "proc-title-template", bad); err != nil || !v.IsError() ||
			!strings.Contains(v.Str, "template format is invalid or contains unknown variables") {
			t.Errorf("%q: %s, %v", bad, v, err)
		}
	}
	s = harness.StartFerrous(t, "--set-proc-title", "no")
	if got := title(s); !strings.Contains(got, "\x00--port\x00") {
		t.Errorf("without a title: %q", got)
	}
}

func TestOOMScoreAdj(t *testing.T) {
	linuxOnly(t)
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	file := fmt.Sprintf("/proc/%d/oom_score_adj", s.PID())
	score := func() int {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	base := score()
	check := func(want int, set ...string) {
		t.Helper()
		c.Must(append([]string{"CONFIG", "SET"}, set...)...)
		if got := score(); got != min(want, 1000) {
			t.Errorf("%q: score %d, want %d", set, got, want)
		}
	}
	check(base, "oom-score-adj-values", "10 20 30")
	check(base+10, "oom-score-adj", "yes")
	check(base+15, "oom-score-adj-values", "15 20 30")
	check(base+16, "oom-score-adj-values", "16 20 30", "oom-score-adj", "relative")
	check(base+1000, "oom-score-adj-values", "2000 2000 2000")
	check(base, "oom-score-adj", "no")
	check(base+900, "oom-score-adj", "absolute", "oom-score-adj-values", strconv.Itoa(base+900)+" 900 900")
	// A change that is refused leaves the score.
	if v, err := c.Do("CONFIG", "SET", "oom-score-adj-values", "1 2 3", "maxclients", "2000000000"); err == nil && v.IsError() {
		if got := score(); got != base+900 {
			t.Errorf("after a refused change the score is %d", got)
		}
	}
	if syscall.Geteuid() != 0 {
		if v, err := c.Do("CONFIG", "SET", "oom-score-adj-values", "-1000 -1000 -1000"); err != nil || !v.IsError() ||
			!strings.Contains(v.Str, "Failed to set current oom_score_adj. Check server logs.") {
			t.Errorf("%s, %v", v, err)
		}
	}
	check(base, "oom-score-adj", "no")

	s = harness.StartFerrous(t, "--oom-score-adj", "absolute", "--oom-score-adj-values", strconv.Itoa(base+7), "8", "9")
	file = fmt.Sprintf("/proc/%d/oom_score_adj", s.PID())
	eventually(t, "the score of the start", func() bool { return score() == base+7 })
}
