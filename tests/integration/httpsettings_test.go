package integration

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// The directives of HTTP while the server runs, over CONFIG REWRITE and a restart, under protected mode and while data is loaded.

// keptAlive is a connection on which one request has been answered.
type keptAlive struct {
	net.Conn
	in *bufio.Reader
}

func keepAlive(t *testing.T, addr string) *keptAlive {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	k := &keptAlive{conn, bufio.NewReader(conn)}
	if !k.answers() {
		t.Fatalf("%s does not answer", addr)
	}
	return k
}

// answers sends another request, and reports whether it is answered.
func (k *keptAlive) answers() bool {
	if _, err := io.WriteString(k, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return false
	}
	answer, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil
}

// listens reports whether a connection to an address is accepted.
func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// CONFIG SET metrics-bind and metrics-port take effect at once; what fails says so, and leaves everything as it was.
func TestMetricsListenElsewhere(t *testing.T) {
	_, c := startMovable(t) // other addresses of 127.0.0.0/8 are the host's on Linux only
	port, other := freePort(t), freePort(t)
	at := func(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	check := func(port int, open ...string) {
		t.Helper()
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
			want := strings.Contains(strings.Join(open, " "), host)
			if got := listens(at(host, port)); got != want {
				t.Fatalf("%s, port %d: open is %v, want %v", host, port, got, want)
			}
			if want {
				scrape(t, at(host, port))
			}
		}
	}
	c.Must("CONFIG", "SET", "metrics-port", strconv.Itoa(port), "metrics-bind", "127.0.0.1 127.0.0.2")
	check(port, "127.0.0.1", "127.0.0.2")
	stays, goes := keepAlive(t, at("127.0.0.1", port)), keepAlive(t, at("127.0.0.2", port))
	c.Must("CONFIG", "SET", "metrics-bind", "127.0.0.1 127.0.0.3")
	check(port, "127.0.0.1", "127.0.0.3")
	if !stays.answers() {
		t.Error("a connection to the address that stays has ended")
	}
	if _, err := goes.in.ReadByte(); err != io.EOF {
		t.Errorf("a connection to the address that was given up: %v", err)
	}

	for range 3 { // to all addresses and back, at the same port
		c.Must("CONFIG", "SET", "metrics-bind", "*")
		check(port, "127.0.0.1", "127.0.0.2", "127.0.0.3")
		c.Must("CONFIG", "SET", "metrics-bind", "127.0.0.2 127.0.0.1")
		check(port, "127.0.0.1", "127.0.0.2")
	}
	c.Must("CONFIG", "SET", "metrics-port", strconv.Itoa(other))
	check(other, "127.0.0.1", "127.0.0.2")
	check(port)
}

// A CONFIG SET of metrics-bind and metrics-port that cannot be done is an error that names the directive, the log says why, and the
// old addresses answer.
func TestMetricsCannotListen(t *testing.T) {
	s, c := startMovable(t)
	port := strconv.Itoa(freePort(t))
	taken, err := net.Listen("tcp4", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	c.Must("CONFIG", "SET", "metrics-port", port, "metrics-bind", "127.0.0.1 127.0.0.2")
	for _, args := range [][]string{
		{"metrics-port", used, "metrics-bind", "127.0.0.3"},
		{"metrics-bind", "127.0.0.1 127.0.0.3", "metrics-port", used},
		{"metrics-port", strconv.Itoa(s.Port)},
		{"metrics-bind", "127.0.0.1 198.51.100.1"}, // of a network for examples
		{"metrics-bind", "no.such.host.invalid"},
		{"metrics-bind", "*", "metrics-port", used},
	} {
		v, err := c.Do(append([]string{"CONFIG", "SET", "hz", "20"}, args...)...)
		if err != nil || !strings.HasPrefix(v.Str, "ERR CONFIG SET failed (possibly related to argument 'metrics-") ||
			!strings.HasSuffix(v.Str, " - Unable to listen on metrics-port. Check server logs.") {
			t.Errorf("%v: %v %v", args, v, err)
		}
		scrape(t, "127.0.0.1:"+port)
		scrape(t, "127.0.0.2:"+port)
		replies(t, c, "CONFIG GET metrics-port", "[metrics-port "+port+"]", "CONFIG GET metrics-bind", "[metrics-bind 127.0.0.1 127.0.0.2]",
			"CONFIG GET hz", "[hz 10]")
	}
	if log := s.Logs(); !strings.Contains(log, "Could not listen on metrics-port: listen tcp4 127.0.0.3:"+used+": bind: address already in use") {
		t.Errorf("the log does not say why: %s", log)
	}
	// All addresses of the port that it has, one of which is another server's: the old ones are given up and taken again.
	blocker, err := net.Listen("tcp4", "127.0.0.3:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	kept := keepAlive(t, "127.0.0.1:"+port)
	if v, err := c.Do("CONFIG", "SET", "metrics-bind", "*"); err != nil || !v.IsError() {
		t.Errorf("%v %v", v, err)
	}
	scrape(t, "127.0.0.1:"+port)
	scrape(t, "127.0.0.2:"+port)
	if !kept.answers() {
		t.Error("a connection has ended")
	}
	c.Must("CONFIG", "SET", "metrics-bind", "127.0.0.2")
	if kept.answers() {
		t.Error("a connection to an address that was given up goes on")
	}
}

// CONFIG SET http is for connections that come later.
func TestSetHTTP(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	before := s.Dial(t)
	c.Must("CONFIG", "SET", "http", "yes")
	scrape(t, s.Addr)
	if v, err := before.Do("GET", "/metrics"); err != nil || !v.Null {
		t.Errorf("%v %v", v, err)
	}
	if _, err := before.Write([]byte("GET / HTTP/1.1\r\nAccept: x\r\n")); err != nil {
		t.Fatal(err)
	}
	if v, err := before.Read(); err != nil || !strings.Contains(v.Str, "wrong number of arguments for 'get'") {
		t.Errorf("a connection of before: %v %v", v, err)
	}
	answers(t, s)
}

// CONFIG REWRITE keeps what was set, and a server that is started with the file serves the same.
func TestHTTPRewrite(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "ferrous.conf")
	port, moved := strconv.Itoa(freePort(t)), strconv.Itoa(freePort(t))
	text := "# of the operator\nmetrics-port " + port + "\nmetrics-password first\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() (*harness.Server, *harness.Conn) {
		s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Config: conf})
		return s, s.Dial(t)
	}
	rewritten := func(c *harness.Conn) string {
		t.Helper()
		c.Must("CONFIG", "REWRITE")
		text, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const password = "two words, a \" and a \\"
	s, c := start()
	wantStatus(t, 200, "127.0.0.1:"+port, "/metrics", "Authorization", "Bearer first")
	c.Must("CONFIG", "SET", "metrics-port", moved, "metrics-bind", "127.0.0.1", "metrics-password", password, "http", "yes")
	file := rewritten(c)
	for _, line := range []string{"# of the operator", "metrics-port " + moved, "metrics-bind 127.0.0.1", "http yes",
		`metrics-password "two words, a \" and a \\"`} {
		if !strings.Contains("\n"+file, "\n"+line+"\n") {
			t.Errorf("the file lacks %s:\n%s", line, file)
		}
	}
	if strings.Count(file, "\nmetrics-port ") != 1 {
		t.Errorf("the file has two ports:\n%s", file)
	}
	s.Kill()

	s, c = start()
	wantStatus(t, 401, "127.0.0.1:"+moved, "/metrics")
	scrape(t, "127.0.0.1:"+moved, "Authorization", basic("prometheus", password))
	scrape(t, s.Addr)
	if listens("127.0.0.1:" + port) {
		t.Error("the old port is open")
	}
	c.Must("CONFIG", "SET", "metrics-port", "0", "metrics-password", "", "http", "no")
	rewritten(c)
	s.Kill()

	s, c = start()
	if listens("127.0.0.1:" + moved) {
		t.Error("the port that was closed is open")
	}
	replies(t, c, "CONFIG GET http", "[http no]", "CONFIG GET metrics-password", "[metrics-password ]", "CONFIG GET metrics-bind", "[metrics-bind 127.0.0.1]")
	answers(t, s)
}

// outside returns an address of this host that is no loopback address: who connects to it comes from it.
func outside(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("SKIPPED: this host has no address but loopback ones")
	return ""
}

// Protected mode: peers of other hosts get nothing on either port while no password guards it.
func TestHTTPProtectedMode(t *testing.T) {
	host := outside(t)
	s, addr := startMetrics(t, "--http", "yes", "--bind", "*", "--metrics-bind", "*")
	c := s.Dial(t)
	c.Must("ACL", "SETUSER", "watcher", "on", ">w", "+info")
	c.Must("ACL", "SETUSER", "anybody", "on", "nopass", "+info")
	_, port, _ := net.SplitHostPort(addr)
	metrics, resp := net.JoinHostPort(host, port), net.JoinHostPort(host, strconv.Itoa(s.Port))
	refused := func(why string) {
		t.Helper()
		conn, err := net.Dial("tcp", resp)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if text, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(text, "-DENIED ") {
			t.Errorf("the RESP port, %s: %q %v", why, text, err)
		}
	}
	everywhere := []string{"/metrics", "/api/figures", "/api/slowlog", "/api/clients", "/api/settings", "/api/log", "/api/keys", "/api/keys/scan"}
	// Nothing has a password.
	refused("no password")
	for _, path := range everywhere {
		if body := wantStatus(t, 403, metrics, path); !strings.Contains(body, "protected mode") {
			t.Errorf("%s: %s", path, body)
		}
		wantStatus(t, 403, metrics, path, "Authorization", basic("default", "x"))
		wantStatus(t, 403, metrics, path, "Authorization", basic("watcher", "w"))
	}
	scrape(t, addr) // from this host
	scrape(t, s.Addr)
	// metrics-password opens metrics-port to those who know it, and the RESP port to nobody.
	c.Must("CONFIG", "SET", "metrics-password", "s3cret")
	refused("metrics-password")
	for _, path := range everywhere {
		wantStatus(t, 401, metrics, path)
		wantStatus(t, 401, metrics, path, "Authorization", basic("default", "x"))
		wantStatus(t, 401, metrics, path, "Authorization", basic("anybody", ""))
		wantStatus(t, 200, metrics, path, "Authorization", "Bearer s3cret")
	}
	scrape(t, metrics, "Authorization", basic("watcher", "w"))
	scrape(t, s.Addr)
	// A password of the default user opens both.
	c.Must("CONFIG", "SET", "metrics-password", "", "requirepass", "root")
	for _, to := range []string{metrics, resp} {
		wantStatus(t, 401, to, "/metrics")
		scrape(t, to, "Authorization", basic("default", "root"))
	}
	// So does its end.
	c.Must("CONFIG", "SET", "protected-mode", "no", "requirepass", "")
	scrape(t, metrics)
	scrape(t, resp)
}

// A user without a password does not stand for metrics-password, by HTTP Basic or in a session.
func TestMetricsPasswordIsNeeded(t *testing.T) {
	s, addr := startMetrics(t, "--http", "yes", "--metrics-password", "s3cret")
	for _, head := range [][]string{nil, {"Authorization", basic("default", "")}, {"Authorization", basic("default", "x")}, {"Authorization", "Bearer "},
		{"Authorization", basic("", "")}} {
		wantStatus(t, 401, addr, "/metrics", head...)
		wantStatus(t, 401, addr, "/api/slowlog", head...)
	}
	_, _, head := request(t, s.Addr, "/api/login", "Authorization", basic("default", "x"))
	cookie, _, _ := strings.Cut(head.Get("Set-Cookie"), ";")
	wantStatus(t, 200, s.Addr, "/api/slowlog", "Cookie", cookie)
	wantStatus(t, 401, addr, "/api/slowlog", "Cookie", cookie)
	wantStatus(t, 200, addr, "/api/slowlog", "Authorization", "Bearer s3cret")
}

// While data is loaded Prometheus is answered at once, and reads that it is; the scan of keys rests.
func TestMetricsWhileLoading(t *testing.T) {
	dir := t.TempDir()
	bin := harness.NeedFerrous(t)
	s := harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Args: []string{"--enable-debug-command", "yes", "--rdbcompression", "no"}})
	c := s.Dial(t)
	c.Must("DEBUG", "POPULATE", "600", "key", "60000")
	c.Must("SAVE")
	s.Kill()
	port := strconv.Itoa(freePort(t))
	addr := "127.0.0.1:" + port
	// A server with a password replies NOAUTH, which ends the harness's wait, before it replies LOADING.
	s = harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Password: "secret", Args: []string{"--metrics-port", port, "--http", "yes",
		"--requirepass", "secret", "--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"}})
	login := []string{"Authorization", basic("default", "secret")}
	for range 3 {
		for _, to := range []string{addr, s.Addr} {
			f := scrape(t, to, login...)
			if value(f, "ferrous_loading", "") != 1 {
				t.Fatalf("%s: ferrous_loading is %v", to, value(f, "ferrous_loading", ""))
			}
			if n := value(f, "ferrous_db_keys", "db0"); n >= 600 {
				t.Errorf("%s: there are %v keys", to, n)
			}
			if value(f, "ferrous_uptime_seconds", "") < 0 || value(f, "ferrous_memory_used_bytes", "") <= 0 {
				t.Errorf("%s: figures are missing", to)
			}
		}
	}
	if body := wantStatus(t, 200, addr, "/api/keys/scan", login...); !strings.Contains(body, `"running":true`) {
		t.Errorf("scan: %s", body)
	}
	for _, path := range []string{"/", "/api/figures", "/api/slowlog", "/api/clients", "/api/settings", "/api/log"} {
		wantStatus(t, 200, addr, path, login...)
	}
	if body := wantStatus(t, 200, addr, "/api/keys", login...); !strings.Contains(body, `"scanned":0,`) {
		t.Errorf("the scan does not rest: %s", body)
	}
	c = s.Dial(t)
	if v, err := c.Do("GET", "key:1"); err != nil || !strings.HasPrefix(v.Str, "LOADING ") {
		t.Fatalf("the data has been loaded too soon: %v %v", v, err)
	}
	c.Must("CONFIG", "SET", "key-load-delay", "0")
	eventually(t, "the data is loaded", func() bool { return value(scrape(t, addr, login...), "ferrous_loading", "") == 0 })
	if n := value(scrape(t, addr, login...), "ferrous_db_keys", "db0"); n != 600 {
		t.Errorf("there are %v keys", n)
	}
	eventually(t, "the scan has ended", func() bool {
		return strings.Contains(wantStatus(t, 200, addr, "/api/keys", login...), `"scanned":600,`)
	})
}
