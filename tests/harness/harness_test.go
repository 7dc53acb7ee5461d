package harness

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scripted serves one connection that answers with the given bytes, cut into single writes, and then closes.
func scripted(t *testing.T, parts ...string) *Conn {
	t.Helper()
	client, server := net.Pipe()
	go func() {
		for _, p := range parts {
			if _, err := io.WriteString(server, p); err != nil {
				return
			}
		}
		_ = server.Close()
	}()
	t.Cleanup(func() { _ = client.Close() })
	return NewConn(client, 0)
}

func TestReadReplies(t *testing.T) {
	for _, c := range []struct{ wire, text string }{
		{"+OK\r\n", "OK"},
		{"-ERR no\r\n", "ERR no"},
		{":-12\r\n", "-12"},
		{"$5\r\na\r\nbc\r\n", "a\r\nbc"},
		{"$0\r\n\r\n", ""},
		{"$-1\r\n", "(nil)"},
		{"*-1\r\n", "(nil)"},
		{"_\r\n", "(nil)"},
		{"*0\r\n", "[]"},
		{"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", "[1 [x]]"},
		{"%1\r\n+k\r\n,1.5\r\n", "[k 1.5]"},
		{"~2\r\n#t\r\n#f\r\n", "[t f]"},
		{">2\r\n+invalidate\r\n_\r\n", "[invalidate (nil)]"},
		{"(3492890328409238509324850943850943825024385\r\n", "3492890328409238509324850943850943825024385"},
		{"=7\r\ntxt:abc\r\n", "abc"},
		{"!3\r\nERR\r\n", "ERR"},
		{"|1\r\n+a\r\n:1\r\n:7\r\n", "7"},
	} {
		whole := scripted(t, c.wire)
		bytewise := scripted(t, strings.Split(c.wire, "")...)
		for _, conn := range []*Conn{whole, bytewise} {
			v, err := conn.Read()
			if err != nil {
				t.Errorf("%q: %v", c.wire, err)
				continue
			}
			if v.String() != c.text || string(v.Raw) != c.wire {
				t.Errorf("%q: got %q, raw %q", c.wire, v, v.Raw)
			}
			if _, err := conn.Read(); err != io.EOF {
				t.Errorf("%q: at the end: %v", c.wire, err)
			}
		}
	}
}

func TestReadRefusesWhatIsNoReply(t *testing.T) {
	for _, wire := range []string{"OK\r\n", "\r\n", "+OK\n", "$x\r\n", "$-2\r\n", "*x\r\n", "$1\r\nabc\r\n", "=3\r\ntxt\r\n", "_x\r\n",
		strings.Repeat("*1\r\n", 200)} {
		if v, err := scripted(t, wire).Read(); err == nil {
			t.Errorf("%q was read as %q", wire, v)
		}
	}
	for _, wire := range []string{"+O", "$3\r\nab", "*2\r\n:1\r\n"} {
		if v, err := scripted(t, wire).Read(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q, cut: got %q, %v", wire, v, err)
		}
	}
}

func TestAppendCommand(t *testing.T) {
	if got := string(AppendCommand([]byte("x"), "SET", "", "\r\n")); got != "x*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestServerLife(t *testing.T) {
	s := StartRedis(t)
	c := s.Dial(t)
	if v := c.Must("SET", "k", "v"); v.Str != "OK" {
		t.Errorf("SET: %q", v)
	}
	if rss, err := s.RSS(); err != nil || rss < 1<<20 {
		t.Errorf("resident memory %d, %v", rss, err)
	}
	if v, err := c.Do("NOSUCH"); err != nil || !v.IsError() {
		t.Errorf("unknown command: %q, %v", v, err)
	}
	defer func() {
		if r := recover(); r == nil {
			t.Error("Must did not panic on an error reply")
		}
	}()
	c.Must("NOSUCH")
}

func TestStopAndLogs(t *testing.T) {
	s := StartRedis(t)
	if !s.Alive() || s.PID() <= 0 {
		t.Fatal("not alive")
	}
	dir := s.Dir
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Fatalf("SIGTERM: exit code %d, %v", code, err)
	}
	if !strings.Contains(s.Logs(), "Received SIGTERM") {
		t.Errorf("logs: %q", s.Logs())
	}
	s.Kill()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory is still there: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	bin, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Start(Options{Binary: bin, Args: []string{"--no-such-directive", "1"}}); err == nil {
		s.Kill()
		t.Error("started with an unknown directive")
	} else if !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("the error lacks the server's output: %v", err)
	}
	if _, err := Start(Options{Binary: filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("started a binary that does not exist")
	}
}

func TestPassword(t *testing.T) {
	bin, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	s := StartWith(t, Options{Binary: bin, Args: []string{"--requirepass", "secret"}, Password: "secret"})
	if info, err := s.Info("server"); err != nil || info["redis_version"] == "" {
		t.Errorf("INFO: %v, %v", info, err)
	}
}

func TestCPUCounts(t *testing.T) {
	s := StartRedis(t, "--enable-debug-command", "yes")
	c := s.Dial(t)
	before, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	c.Must("DEBUG", "POPULATE", "300000")
	after, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("CPU time went from %v to %v over 300,000 writes", before, after)
	}
	if _, _, err := CPUTime(-1); err == nil {
		t.Error("CPU time of no process")
	}
	if _, err := StatusBytes(s.PID(), "VmNothing"); err == nil {
		t.Error("bytes of a field that does not exist")
	}
}

// A server whose wrapper lowers a limit is still the process that is signalled.
func TestWrap(t *testing.T) {
	bin, err := Redis()
	if err != nil {
		t.Fatal(err)
	}
	s := StartWith(t, Options{Binary: bin, Wrap: []string{"sh", "-c", `ulimit -n 200; exec "$@"`, "sh"}})
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, err := s.Wait(time.Minute); err != nil || code != 0 {
		t.Errorf("exit code %d, %v", code, err)
	}
}
