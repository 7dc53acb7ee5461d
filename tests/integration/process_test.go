package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

func TestSignalsShutDown(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			s := harness.StartFerrous(t)
			c := s.Dial(t)
			c.Must("SET", "k", "v")
			if err := s.Signal(sig); err != nil {
				t.Fatal(err)
			}
			code, err := s.Wait(time.Minute)
			if err != nil || code != 0 {
				t.Errorf("exit code %d, %v", code, err)
			}
			if got, err := c.ReadAll(); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(got) != 0 {
				t.Errorf("the client read %q, %v", got, err)
			}
		})
	}
}

// A shutdown in the middle of work is clean, too.
func TestShutdownUnderLoad(t *testing.T) {
	s := harness.StartFerrous(t)
	var wg sync.WaitGroup
	for i := range 8 {
		c := s.Dial(t)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; ; j++ {
				if _, err := c.Do("SET", fmt.Sprintf("%d:%d", i, j), "v"); err != nil {
					return
				}
			}
		}()
	}
	time.Sleep(200 * time.Millisecond)
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
	wg.Wait()
}

func TestShutdownCommand(t *testing.T) {
	for _, args := range [][]string{{"SHUTDOWN"}, {"SHUTDOWN", "NOSAVE"}, {"SHUTDOWN", "NOW", "FORCE"}} {
		s := harness.StartFerrous(t)
		c := s.Dial(t)
		if err := c.Send(args...); err != nil {
			t.Fatal(err)
		}
		if got, err := c.ReadAll(); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(got) != 0 {
			t.Errorf("%v: the client read %q, %v", args, got, err)
		}
		if code, err := s.Wait(time.Minute); err != nil || code != 0 {
			t.Errorf("%v: exit code %d, %v", args, code, err)
		}
	}
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	for _, args := range [][]string{{"SHUTDOWN", "ABORT"}, {"SHUTDOWN", "SAVE", "NOSAVE"}, {"SHUTDOWN", "x"}, {"SHUTDOWN", "ABORT", "NOW"}} {
		if v, err := c.Do(args...); err != nil || !v.IsError() {
			t.Errorf("%v: %q, %v", args, v, err)
		}
	}
}

// Started with its standard descriptors closed, the server gives none of their numbers to a connection.
func TestDescriptorsClosedAtStart(t *testing.T) {
	for _, closed := range []string{"0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"} {
		s := harness.StartWith(t, harness.Options{
			Binary: harness.NeedFerrous(t),
			Wrap:   []string{"sh", "-c", `exec "$@" ` + closed, "sh"},
		})
		var conns []*harness.Conn
		for i := range 10 {
			c := s.Dial(t)
			conns = append(conns, c)
			c.Must("SET", strconv.Itoa(i), strings.Repeat("x", 100_000))
		}
		for i, c := range conns {
			if v := c.Must("GET", strconv.Itoa(i)); len(v.Str) != 100_000 {
				t.Errorf("%s: connection %d got %d bytes", closed, i, len(v.Str))
			}
			if v := c.Must("CLIENT", "INFO"); strings.Contains(v.Str, " fd=0 ") || strings.Contains(v.Str, " fd=1 ") || strings.Contains(v.Str, " fd=2 ") {
				t.Errorf("%s: %s", closed, v)
			}
		}
	}
}

// With few descriptors the server lowers maxclients as far as it must, and lives through their exhaustion.
func TestFewDescriptors(t *testing.T) {
	s := harness.StartWith(t, harness.Options{
		Binary: harness.NeedFerrous(t),
		Wrap:   []string{"sh", "-c", `ulimit -n 120 && exec "$@"`, "sh"},
	})
	ctl := s.Dial(t)
	ctl.Must("SET", "k", "kept")
	granted := ctl.Must("CONFIG", "GET", "maxclients")
	if n, err := strconv.Atoi(granted.Elems[1].Str); err != nil || n < 1 || n >= 120 {
		t.Errorf("maxclients is %s with 120 descriptors", granted)
	}
	var conns []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			break
		}
		conns = append(conns, c)
	}
	if v := ctl.Must("GET", "k"); v.Str != "kept" {
		t.Errorf("while full: %q", v)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, "new clients are served again", func() bool {
		c, err := s.Connect()
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		v, err := c.Do("GET", "k")
		return err == nil && v.Str == "kept"
	})
	if v := ctl.Must("GET", "k"); v.Str != "kept" {
		t.Errorf("afterwards: %q", v)
	}
}

// Clients that connect and vanish, some with a reset before they are accepted, leave the server as it was.
func TestConnectionStorm(t *testing.T) {
	s := harness.StartFerrous(t)
	ctl := s.Dial(t)
	ctl.Must("SET", "k", "kept")
	for i := range 2000 {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		switch i % 4 {
		case 0:
			_ = c.(*net.TCPConn).SetLinger(0) // closes with a reset
		case 1:
			_, _ = c.Write(harness.AppendCommand(nil, "GET", "k"))
			_ = c.(*net.TCPConn).SetLinger(0)
		case 2:
			_, _ = io.WriteString(c, "*2\r\n$3\r\nGE")
		}
		_ = c.Close()
	}
	eventually(t, "all of them gone", func() bool {
		info, err := ctl.Info("clients")
		return err == nil && info["connected_clients"] == "1"
	})
	if v := ctl.Must("GET", "k"); v.Str != "kept" {
		t.Errorf("afterwards: %q", v)
	}
	if logs := s.Logs(); strings.Contains(logs, "panic") {
		t.Error("the server has panicked")
	}
}

func TestSeveralAddresses(t *testing.T) {
	s := harness.StartFerrous(t, "--bind", "127.0.0.1", "127.0.0.2")
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		c, err := harness.DialConn("tcp", net.JoinHostPort(host, strconv.Itoa(s.Port)), time.Minute)
		if err != nil {
			if host == "127.0.0.2" && errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Skip("this system has no 127.0.0.2")
			}
			t.Fatal(err)
		}
		c.Must("PING")
		_ = c.Close()
	}
}

// Two processes cannot share a port: the second says so and ends with an error. It has not said "Server initialized", which
// scripts wait for before they connect: that is said when the sockets are there.
func TestPortInUse(t *testing.T) {
	s := harness.StartFerrous(t)
	other, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Args: []string{"--port", strconv.Itoa(s.Port)}})
	if err == nil {
		other.Kill()
		t.Fatal("a second server started on the same port")
	}
	if !strings.Contains(err.Error(), "exited at start (exit status 1)") {
		t.Errorf("got %v", err)
	}
	const line = "Server initialized"
	if !strings.Contains(err.Error(), "Failed listening on port") || strings.Contains(err.Error(), line) ||
		!strings.Contains(s.Logs(), line) {
		t.Errorf("the first server's log:\n%s\nthe second's: %v", s.Logs(), err)
	}
	answers(t, s)
}

// A configuration that is wrong or cannot be served ends the start with an error; directives without effect are logged.
func TestRefusedStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.conf")
	const fatal = "FATAL CONFIG FILE ERROR"
	for _, tt := range []struct {
		conf string
		want []string
	}{
		{"port 0", []string{"Configured to not listen anywhere, exiting."}},
		{"tls-port 7", []string{"No tls-cert-file configured!", "Failed to configure TLS"}},
		{"tls-replication yes", []string{"No tls-cert-file configured!", "Failed to configure TLS"}},
		{"tls-cluster yes", []string{"No tls-cert-file configured!", "Failed to configure TLS"}},
		{"loadmodule /m.so x", []string{"Module /m.so failed to load", "Can't load module from /m.so: server aborting"}},
		{"rename-command nosuch x", []string{fatal, "at line 2\n>>> 'rename-command nosuch x'\nNo such command in rename-command"}},
		{"rename-command get SET", []string{fatal, "Target command name already exists"}},
		{"rename-command get x\nrename-command GET y", []string{fatal, "at line 3", "No such command in rename-command"}},
	} {
		if err := os.WriteFile(file, []byte("save \"\"\n"+tt.conf+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, out := launch(t, nil, nil, file, "--dir", filepath.Dir(file))
		timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }) // it serves
		_ = cmd.Wait()
		timer.Stop()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("%q: exit code %d", tt.conf, code)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q: %q is not in the log:\n%s", tt.conf, want, out)
			}
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"/nonexistent/f.conf"}, " # Fatal error, can't open config file '/nonexistent/f.conf': No such file or directory\n"},
		{[]string{"--include", "/nonexistent/g.conf"}, " # Fatal error, can't open config file '/nonexistent/g.conf': No such file or directory\n"},
		{[]string{"f.conf", "--sentinel"}, "Ferrous is no sentinel. Use redis-sentinel, which watches over Ferrous servers, too.\n"},
		{[]string{"--test-memory", "100"}, "Ferrous tests neither the memory nor the system; a tool such as memtester does.\n"},
	} {
		cmd, out := launch(t, nil, nil, tt.args...)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasSuffix(out.String(), tt.want) {
			t.Errorf("%q: exit code %d\n%s", tt.args, code, out)
		}
	}
	s := harness.StartFerrous(t, "--cluster-enabled", "yes", "--rename-command", "GET", "FETCH", "--rename-command", "DEBUG", "",
		"--rename-command", "EVAL", "", "--rename-command", "REPLICAOF", "follow") // these are not here, and that is no reason to fail
	if !strings.Contains(s.Logs(), "WARNING: cluster-enabled is set, and it has no effect: there is no cluster yet") {
		t.Errorf("the log has no word about cluster-enabled:\n%s", s.Logs())
	}
	if v := s.Dial(t).Must("FETCH", "k"); !v.Null {
		t.Errorf("the renamed command answers %v", v)
	}
}

// Keys that expire one by one beside many with far deadlines are all found and counted, without anybody touching them.
func TestExpiredKeysAreCounted(t *testing.T) {
	far, due := 50_000, 500
	if *long {
		far, due = 1_000_000, 2000
	}
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	c.Timeout = time.Minute
	send := func(n int, command func(i int) []string) {
		const batch = 1000
		for at := 0; at < n; at += batch {
			var buf []byte
			count := min(batch, n-at)
			for i := range count {
				buf = harness.AppendCommand(buf, command(at+i)...)
			}
			if _, err := c.Write(buf); err != nil {
				t.Fatal(err)
			}
			if text, err := c.Skip(count); err != nil || text != "" {
				t.Fatal(text, err)
			}
		}
	}
	send(far, func(i int) []string {
		return []string{"SET", fmt.Sprintf("far:%d", i), "v", "EX", strconv.Itoa(100_000 + i)}
	})
	send(due, func(i int) []string {
		return []string{"SET", fmt.Sprintf("due:%d", i), "v", "PX", strconv.Itoa(200 + 2*i)}
	})
	eventually(t, "all due keys counted", func() bool {
		info, err := c.Info("stats")
		return err == nil && info["expired_keys"] == strconv.Itoa(due)
	})
	if v := c.Must("DBSIZE"); v.Int() != int64(far) {
		t.Errorf("DBSIZE is %s, want %d", v, far)
	}
	if info, err := c.Info("keyspace"); err != nil || !strings.HasPrefix(info["db0"], fmt.Sprintf("keys=%d,expires=%d,", far, far)) {
		t.Errorf("INFO keyspace: %q, %v", info["db0"], err)
	}
}
