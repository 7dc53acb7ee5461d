package integration

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// firstReply connects to a server that is being started, over and over, and sends it one request as soon as somebody
// listens.
func firstReply(t *testing.T, network, addr string, exited <-chan error, args ...string) harness.Value {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		c, err := harness.DialConn(network, addr, harness.DefaultTimeout)
		if err != nil {
			select {
			case err := <-exited:
				t.Fatalf("the server ended: %v", err)
			default:
			}
			continue
		}
		v, err := c.Do(args...)
		_ = c.Close()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	t.Fatal("nobody listens")
	return harness.Value{}
}

// startNow starts the server without waiting for it, and ends it with the test.
func startNow(t *testing.T, dir string, args ...string) (exited <-chan error, stop func()) {
	t.Helper()
	cmd := exec.Command(harness.NeedFerrous(t), args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done, ch := make(chan struct{}), make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out.String())
		}
		ch <- err
		close(done)
	}()
	stop = func() {
		_ = cmd.Process.Kill()
		<-done
	}
	t.Cleanup(stop)
	return ch, stop
}

// Who waits until the port takes connections finds a server that is ready, be it empty or with little to load.
func TestReadyWhenReachable(t *testing.T) {
	small := t.TempDir()
	s := harness.StartFerrous(t, "--dir", small, "--save", "", "--appendonly", "yes")
	c := s.Dial(t)
	for i := range 100 {
		c.Must("RPUSH", "list"+strconv.Itoa(i), strings.Repeat("x", 1000))
	}
	c.Must("SAVE")
	s.Kill()
	rounds := 20
	if harness.Stress() {
		rounds = 200
	}
	for _, tt := range []struct {
		name, dir string
		args      []string
	}{
		{"empty", t.TempDir(), []string{"--save", ""}},
		{"dump", small, []string{"--save", ""}},
		{"append-only file", small, []string{"--save", "", "--appendonly", "yes"}},
		// A load that is small but slow: Redis, too, serves nobody before so many bytes are read.
		{"slow", small, []string{"--save", "", "--key-load-delay", "2000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range rounds {
				port := freePort(t)
				addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
				exited, stop := startNow(t, tt.dir, append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port)}, tt.args...)...)
				if v := firstReply(t, "tcp", addr, exited, "SET", "a", "1"); v.Str != "OK" {
					t.Errorf("the first reply is %q", v)
				}
				stop()
				if t.Failed() {
					return
				}
			}
		})
	}
	t.Run("unix socket", func(t *testing.T) {
		for range rounds {
			dir := t.TempDir()
			path := filepath.Join(dir, "s")
			exited, stop := startNow(t, dir, "--port", "0", "--unixsocket", path, "--save", "")
			if v := firstReply(t, "unix", path, exited, "SET", "a", "1"); v.Str != "OK" {
				t.Fatalf("the first reply is %q", v)
			}
			stop()
		}
	})
}

// While a large file is loaded, clients get LOADING errors and can shut the server down.
func TestLoadingIsTold(t *testing.T) {
	dir := t.TempDir()
	s := harness.StartFerrous(t, "--dir", dir, "--rdbcompression", "no")
	c := s.Dial(t)
	for i := range 1000 {
		c.Must("RPUSH", "list"+strconv.Itoa(i), strings.Repeat("x", 1000))
	}
	c.Must("SAVE")
	s.Kill()
	for _, interval := range []int{1024, 20_000} { // also less than the buffer that files are read through
		t.Run(fmt.Sprintf("dump, interval %d", interval), func(t *testing.T) {
			loadingIsTold(t, 1000, dir, "--key-load-delay", "20000", "--loading-process-events-interval-bytes", strconv.Itoa(interval))
		})
	}
	// Commands are counted, whatever their bytes.
	dir = t.TempDir()
	const commands = 20_000
	var file strings.Builder
	for i := range commands {
		fmt.Fprintf(&file, "*3\r\n$3\r\nSET\r\n$5\r\n%05d\r\n$1\r\nv\r\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "appendonly.aof"), []byte(file.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("commands", func(t *testing.T) {
		loadingIsTold(t, commands, dir, "--appendonly", "yes", "--key-load-delay", "500")
	})
}

// loadingIsTold checks that clients of a server that loads keys slowly get LOADING errors.
func loadingIsTold(t *testing.T, keys int, dir string, args ...string) {
	port := freePort(t)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	args = append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", ""}, args...)
	exited, stop := startNow(t, dir, args...)
	if v := firstReply(t, "tcp", addr, exited, "SET", "a", "1"); !strings.HasPrefix(v.Str, "LOADING ") {
		t.Fatalf("the first reply is %q", v)
	}
	c, err := harness.DialConn("tcp", addr, harness.DefaultTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if v := c.Must("INFO", "persistence"); !strings.Contains(v.Str, "\nloading:1\r\n") {
		t.Error("INFO does not say that data is loaded")
	}
	c.Must("CONFIG", "SET", "key-load-delay", "0")
	eventually(t, "all is loaded", func() bool { v, err := c.Do("DBSIZE"); return err == nil && v.Int() == int64(keys) })
	_ = c.Close()
	stop()
}

// The limit of open files lowers maxclients as in Redis; all of these clients are served while files are written, and a
// limit too low ends the start with Redis's line.
func TestLowLimits(t *testing.T) {
	linuxOnly(t)
	under := func(n int) []string { return []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, n), "sh"} }
	for _, n := range []int{20, 30, 32} {
		_, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Wrap: under(n)})
		want := fmt.Sprintf("Your current 'ulimit -n' of %d is not enough for the server to start. Please increase your open file limit to at least 10032. Exiting.", n)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "exited at start (exit status 1)") {
			t.Errorf("%d: %v", n, err)
		}
	}
	dir := t.TempDir()
	log, sock := []string{"--logfile", filepath.Join(dir, "log")}, []string{"--unixsocket", filepath.Join(dir, "s")}
	both := []string{"--bind", "127.0.0.1", "127.0.0.2"}
	for _, tt := range []struct {
		n, reserve int // the limit of open files, and how many of them are not for clients
		args       []string
	}{
		{40, 32, nil}, {45, 32, nil}, {64, 32, nil}, {100, 32, nil},
		{34, 32, log}, {40, 32, log}, {64, 32, log},
		{34, 32, slices.Concat(log, sock)}, {64, 32, slices.Concat(log, both)},
		{36, 34, slices.Concat(both, sock)}, {64, 36, slices.Concat(both, sock, log)}, // more than two addresses
	} {
		t.Run(fmt.Sprint(tt.n, tt.args), func(t *testing.T) {
			s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Wrap: under(tt.n),
				Args: append([]string{"--appendonly", "yes"}, tt.args...)})
			serveAtLimit(t, s, tt.n-tt.reserve)
		})
	}
	// A descriptor that the server inherits is one less.
	var held strings.Builder
	for fd := range 20 {
		fmt.Fprintf(&held, " %d</dev/null", 10+fd)
	}
	_, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t),
		Wrap: []string{"bash", "-c", `ulimit -n 40 && exec "$@"` + held.String(), "bash"}})
	if err == nil || !strings.Contains(err.Error(), "exited at start (exit status 1)") {
		t.Errorf("with 20 inherited descriptors of 40: %v", err)
	}
}

// serveAtLimit looks whether as many clients are served as maxclients says, further ones refused, and files written meanwhile.
func serveAtLimit(t *testing.T, s *harness.Server, want int) {
	t.Helper()
	var served []*harness.Conn
	var refused int
	for range want + 5 {
		c := s.Dial(t)
		v, err := c.Do("INCR", "n")
		switch {
		case err == nil && v.Kind == ':':
			served = append(served, c)
		case err == nil && v.Str == "ERR max number of clients reached":
			refused++
		case err != nil: // the reply was lost to the reset that follows it
			refused++
		default:
			t.Error(v)
		}
	}
	if len(served) != want || refused != 5 {
		t.Fatalf("%d clients are served and %d refused, want %d and 5", len(served), refused, want)
	}
	c := served[0]
	if v := c.Must("CONFIG", "GET", "maxclients"); v.Elems[1].Str != strconv.Itoa(want) {
		t.Errorf("maxclients %s, want %d", v.Elems[1].Str, want)
	}
	c.Must("SAVE")
	c.Must("BGREWRITEAOF")
	eventually(t, "the file is rewritten", func() bool {
		info, err := c.Info("persistence")
		return err == nil && info["aof_rewrite_in_progress"] == "0" && info["aof_rewrite_scheduled"] == "0" &&
			info["aof_rewrites"] == "1" && info["aof_last_bgrewrite_status"] == "ok"
	})
	for i, c := range served { // the loop has not ended in between
		if v, err := c.Do("PING"); err != nil || v.Str != "PONG" {
			t.Fatalf("client %d of %d: %v %v", i, len(served), v, err)
		}
	}
}

// tcp-backlog reaches the kernel, for addresses of the start and for later ones.
func TestBacklog(t *testing.T) {
	linuxOnly(t)
	if _, err := exec.LookPath("ss"); err != nil {
		t.Skip("ss is not installed")
	}
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	s := harness.StartFerrous(t, "--tcp-backlog", "50", "--unixsocket", sock)
	backlog := func(filter string) string {
		out, err := exec.Command("ss", "-lntxH").Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 4 && strings.HasSuffix(f[4], filter) {
				return f[3]
			}
		}
		return "none"
	}
	if got := backlog(":" + strconv.Itoa(s.Port)); got != "50" {
		t.Errorf("the backlog of TCP is %s", got)
	}
	if got := backlog(sock); got != "50" {
		t.Errorf("the backlog of the unix socket is %s", got)
	}
	c := s.Dial(t)
	port := freePort(t)
	c.Must("CONFIG", "SET", "port", strconv.Itoa(port))
	if got := backlog(":" + strconv.Itoa(port)); got != "50" {
		t.Errorf("the backlog of the new port is %s", got)
	}
	somaxconn, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if n, _ := strconv.Atoi(strings.TrimSpace(string(somaxconn))); err != nil || n < 511 {
		return
	}
	if got := backlog(":" + strconv.Itoa(harness.StartFerrous(t).Port)); got != "511" {
		t.Errorf("the default backlog is %s", got)
	}
}

// Tools read the version of a server from this line, each in a way of its own.
func TestVersionForMachines(t *testing.T) {
	for _, option := range []string{"--version", "-v"} {
		out, err := exec.Command(harness.NeedFerrous(t), option).Output()
		if err != nil {
			t.Fatal(err)
		}
		line := string(out)
		if !regexp.MustCompile(`^Redis server v=7\.2\.4 sha=[0-9a-f]{8}:[01] malloc=[^ ]+ bits=64 build=[0-9a-f]{16} ferrous=\d+\.\d+\.\d+ .*\n$`).MatchString(line) {
			t.Errorf("%s: %q", option, line)
		}
		for _, way := range []string{`(\d+(?:\.\d+)+)`, `v=([0-9.]+)`, `v=(\d+\.\d+\.\d+)`, `Redis server v(?:ersion)?=(\S+)`, `^(?:\S+ ){2}v=(\S+)`} {
			if m := regexp.MustCompile(way).FindStringSubmatch(line); m == nil || m[1] != "7.2.4" {
				t.Errorf("%s finds %q in %q", way, m, line)
			}
		}
	}
}

// TLS without certificates is refused at run time.
func TestNoTLSAtRunTime(t *testing.T) {
	c := harness.StartFerrous(t).Dial(t)
	for _, args := range [][]string{{"tls-port", "7999"}, {"tls-replication", "yes"}, {"tls-cluster", "yes"}} {
		v, err := c.Do("CONFIG", "SET", args[0], args[1])
		want := "ERR CONFIG SET failed (possibly related to argument '" + args[0] + "') - Unable to update TLS configuration. Check server logs."
		if err != nil || v.Str != want {
			t.Errorf("%s: %q, %v", args[0], v, err)
		}
	}
	if v := c.Must("CONFIG", "GET", "tls-*n"); strings.Contains(v.String(), "yes") {
		t.Errorf("left behind: %s", v)
	}
}
