package process

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWritePIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, []byte("something longer that was there before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WritePIDFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := WritePIDFile(filepath.Join(path, "below a file")); err == nil {
		t.Error("no error for a path that cannot be")
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		job, socket string
		want        Supervisor
	}{{"", "", Nobody}, {"redis", "", Upstart}, {"", "/run/x", Systemd}, {"redis", "/run/x", Upstart}} {
		t.Setenv(upstartJob, c.job)
		t.Setenv(notifySocket, c.socket)
		if got := Detect(); got != c.want {
			t.Errorf("%q, %q: %v, want %v", c.job, c.socket, got, c.want)
		}
	}
}

func TestSuperviseWithoutSupervisor(t *testing.T) {
	t.Setenv(upstartJob, "")
	t.Setenv(notifySocket, "")
	var p Process
	if err := p.Supervise(Systemd); !errors.Is(err, ErrNoNotifySocket) {
		t.Errorf("systemd: %v", err)
	}
	if err := p.Supervise(Upstart); !errors.Is(err, ErrNoUpstartJob) {
		t.Errorf("upstart: %v", err)
	}
	if err := p.Notify("READY=1"); err != nil || p.Supervisor() != Nobody {
		t.Errorf("nobody listens: %v, %v", err, p.Supervisor())
	}
}

func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/s", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv(notifySocket, dir+"/s")
	var p Process
	if err := p.Supervise(Systemd); err != nil {
		t.Fatal(err)
	}
	if err := p.Notify("STATUS=at work", "READY=1"); err != nil {
		t.Fatal(err)
	}
	l.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 100)
	n, err := l.Read(buf)
	if got := string(buf[:n]); err != nil || got != "STATUS=at work\nREADY=1\n" {
		t.Errorf("got %q, %v", got, err)
	}
	l.Close()
	if p.Notify("X=1") == nil {
		t.Error("no error though nobody listens any more")
	}
}

func TestIsDaemonOnce(t *testing.T) {
	t.Setenv(daemonMark, "1")
	if !isDaemon() || isDaemon() {
		t.Error("the mark must be seen once")
	}
}

// A title never leaves its memory, whose last byte stays zero.
func TestTitleIsCut(t *testing.T) {
	memory := []byte("program --port 7000\x00")
	p := Process{title: memory}
	p.SetTitle("short")
	if got := strings.TrimRight(string(memory), "\x00"); got != "short" {
		t.Errorf("got %q", got)
	}
	p.SetTitle(strings.Repeat("x", 100))
	if memory[len(memory)-1] != 0 || memory[len(memory)-2] != 'x' {
		t.Errorf("got %q", memory)
	}
	(&Process{}).SetTitle("nowhere")
}
