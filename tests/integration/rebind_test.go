package integration

import (
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

func reachable(host string, port int) bool {
	c, err := harness.DialConn("tcp", net.JoinHostPort(host, strconv.Itoa(port)), time.Minute)
	if err != nil {
		return false
	}
	defer c.Close()
	v, err := c.Do("PING")
	return err == nil && v.Str == "PONG"
}

// startMovable starts a server and connects to its unix socket, which stays where it is.
func startMovable(t *testing.T) (*harness.Server, *harness.Conn) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("refused on this system")
	}
	path := filepath.Join(t.TempDir(), "s")
	s := harness.StartFerrous(t, "--unixsocket", path)
	c, err := harness.DialConn("unix", path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

// CONFIG SET port and bind take effect at once, connections stay, and what fails changes nothing.
func TestListenElsewhere(t *testing.T) {
	s, c := startMovable(t)
	old := s.Dial(t)
	old.Must("SET", "k", "v")
	check := func(host string, port int, want bool) {
		t.Helper()
		if got := reachable(host, port); got != want {
			t.Fatalf("%s, port %d: reachable is %v, want %v", host, port, got, want)
		}
	}
	port := freePort(t)
	for range 5 { // there and back
		c.Must("CONFIG", "SET", "port", strconv.Itoa(port))
		check("127.0.0.1", port, true)
		check("127.0.0.1", s.Port, false)
		c.Must("CONFIG", "SET", "port", strconv.Itoa(s.Port))
		check("127.0.0.1", s.Port, true)
		check("127.0.0.1", port, false)
	}
	if v := old.Must("GET", "k"); v.Str != "v" {
		t.Errorf("a connection of before got %s", v)
	}
	if v := old.Must("CLIENT", "INFO"); !strings.Contains(v.Str, " addr=127.0.0.1:") {
		t.Errorf("its line is %s", v)
	}

	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := taken.Addr().(*net.TCPAddr).Port
	fails := func(want string, args ...string) {
		t.Helper()
		v, err := c.Do(append([]string{"CONFIG", "SET"}, args...)...)
		if err != nil || !strings.Contains(v.Str, want) {
			t.Fatalf("%q: %s, %v", args, v, err)
		}
		check("127.0.0.1", s.Port, true)
	}
	fails("Unable to listen on this port", "port", strconv.Itoa(used))
	if v := c.Must("CONFIG", "GET", "port"); v.Elems[1].Str != strconv.Itoa(s.Port) {
		t.Errorf("port is %s", v)
	}
	fails("Failed to bind to specified addresses.", "bind", "999.999.999.999")
	fails("Failed to bind to specified addresses.", "bind", "127.0.0.1 192.0.2.1")

	c.Must("CONFIG", "SET", "bind", "*")
	check("127.0.0.1", s.Port, true)
	check("127.0.0.2", s.Port, true)
	c.Must("CONFIG", "SET", "bind", "")
	check("127.0.0.1", s.Port, false)
	c.Must("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4")
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		check(host, s.Port, true)
	}
	c.Must("CONFIG", "SET", "bind", "127.0.0.2", "port", strconv.Itoa(port))
	check("127.0.0.2", port, true)
	check("127.0.0.1", port, false)
	check("127.0.0.1", s.Port, false)
	c.Must("CONFIG", "SET", "port", "0")
	check("127.0.0.2", port, false)
	c.Must("PING")
}

// Connections that arrive while the addresses change do not end the loop.
func TestListenElsewhereUnderLoad(t *testing.T) {
	s, c := startMovable(t)
	stop, done := make(chan struct{}), make(chan struct{})
	other := freePort(t)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa([]int{s.Port, other}[i%2]))); err == nil {
				_, _ = conn.Write([]byte("PING\r\n"))
				_ = conn.Close()
			}
		}
	}()
	for i := range 300 {
		c.Must("CONFIG", "SET", "port", strconv.Itoa([]int{other, s.Port}[i%2]))
	}
	close(stop)
	<-done
	answers(t, s)
	if strings.Contains(s.Logs(), "the event loop has ended by itself") {
		t.Error("the loop has ended")
	}
}
