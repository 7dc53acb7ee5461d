package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// request is a GET of a path with headers, in turn names and values, as the script of the page sends it.
func request(t testing.TB, addr, path string, headers ...string) (status int, body string, head http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Ferrous-Page", "1")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// wantStatus asks and compares the status.
func wantStatus(t testing.TB, want int, addr, path string, headers ...string) string {
	t.Helper()
	status, body, _ := request(t, addr, path, headers...)
	if status != want {
		t.Fatalf("GET %s %v: status %d (%.200s), want %d", path, headers, status, body, want)
	}
	return body
}

// scrape reads /metrics as Prometheus does.
func scrape(t testing.TB, addr string, headers ...string) map[string]*dto.MetricFamily {
	t.Helper()
	body := wantStatus(t, 200, addr, "/metrics", headers...)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("/metrics is no text format: %v\n%s", err, body)
	}
	return families
}

// value returns the value of a metric with a label ("" for none), -1 if there is none.
func value(families map[string]*dto.MetricFamily, name, label string) float64 {
	for _, m := range families[name].GetMetric() {
		if label != "" && (len(m.Label) == 0 || m.Label[0].GetValue() != label) {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		}
	}
	return -1
}

// startMetrics starts a server with a metrics-port, whose address it returns.
func startMetrics(t *testing.T, args ...string) (*harness.Server, string) {
	t.Helper()
	port := strconv.Itoa(freePort(t))
	s := harness.StartFerrous(t, append([]string{"--metrics-port", port}, args...)...)
	return s, "127.0.0.1:" + port
}

// /metrics is what Prometheus reads, follows its rules, and has the figures that clients have made.
func TestMetrics(t *testing.T) {
	s, addr := startMetrics(t, "--appendonly", "yes", "--appendfsync", "always")
	c := s.Dial(t)
	for i := range 10 {
		c.Must("SET", fmt.Sprint("k", i), "v")
	}
	c.Must("GET", "k0")
	c.Must("GET", "nothing")
	c.Must("SELECT", "3")
	c.Must("SET", "e", "v", "PX", "1")
	if v, err := c.Do("INCR", "a", "b"); err != nil || !v.IsError() {
		t.Fatal(v, err)
	}
	c.Must("SET", "x", "y")
	eventually(t, "the key expires", func() bool { return value(scrape(t, addr), "ferrous_keys_expired_total", "") == 1 })
	f := scrape(t, addr)
	for _, w := range []struct {
		name, label string
		want        float64
	}{
		{"ferrous_db_keys", "db0", 10}, {"ferrous_db_keys", "db3", 1}, {"ferrous_command_calls_total", "set", 12},
		{"ferrous_command_duration_seconds", "set", 12}, {"ferrous_command_rejected_total", "incr", 1},
		{"ferrous_keyspace_hits_total", "", 1}, {"ferrous_keyspace_misses_total", "", 1}, {"ferrous_expiry_lag_seconds", "", 1},
		{"ferrous_clients", "normal", 1}, {"ferrous_error_replies_total", "ERR", 1}, {"ferrous_role", "master", 1},
		{"ferrous_aof_enabled", "", 1}, {"ferrous_build_info", "", 1}, {"ferrous_loading", "", 0},
	} {
		if got := value(f, w.name, w.label); got != w.want {
			t.Errorf("%s{%s} is %v, want %v", w.name, w.label, got, w.want)
		}
	}
	for _, name := range []string{"ferrous_aof_fsyncs_total", "ferrous_aof_fsync_seconds_total", "ferrous_memory_used_bytes",
		"ferrous_memory_resident_bytes", "ferrous_scrape_loop_seconds", "ferrous_gc_pause_seconds", "ferrous_uptime_seconds"} {
		if value(f, name, "") < 0 {
			t.Errorf("%s is missing", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(wantStatus(t, 200, addr, "/metrics"))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What changes data is not answered, and what is not there is not found.
func TestMetricsRefusesOthers(t *testing.T) {
	s, addr := startMetrics(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		r, _ := http.NewRequest(method, "http://"+addr+"/metrics", strings.NewReader("SET a b"))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, answer.StatusCode)
		}
	}
	wantStatus(t, 404, addr, "/nothing")
	wantStatus(t, 403, addr, "/api/slowlog", "Host", "evil.example:80") // a name that may be rebound
	wantStatus(t, 200, addr, "/api/slowlog", "Host", "localhost")
	wantStatus(t, 200, addr, "/metrics", "Host", "ferrous.internal")
	if n := s.Dial(t).Must("DBSIZE").Int(); n != 0 {
		t.Errorf("%d keys", n)
	}
}

// CONFIG SET moves the port, and sets the password, which nobody sees.
func TestMetricsSettings(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	first, second := freePort(t), freePort(t)
	addr := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	c.Must("CONFIG", "SET", "metrics-port", strconv.Itoa(first))
	scrape(t, addr(first))
	c.Must("CONFIG", "SET", "metrics-port", strconv.Itoa(second))
	scrape(t, addr(second))
	if conn, err := net.Dial("tcp", addr(first)); err == nil {
		conn.Close()
		t.Error("the old port is still open")
	}
	c.Must("CONFIG", "SET", "metrics-password", "s3cret", "slowlog-log-slower-than", "0")
	c.Must("CONFIG", "SET", "metrics-password", "s3cret")
	wantStatus(t, 401, addr(second), "/metrics")
	wantStatus(t, 401, addr(second), "/metrics", "Authorization", "Bearer wrong")
	wantStatus(t, 401, addr(second), "/metrics", "Authorization", basic("x", "wrong"))
	wantStatus(t, 200, addr(second), "/metrics", "Authorization", "Bearer s3cret")
	wantStatus(t, 200, addr(second), "/metrics", "Authorization", basic("prometheus", "s3cret"))
	wantStatus(t, 401, addr(second), "/api/slowlog")
	if log := c.Must("SLOWLOG", "GET"); strings.Contains(log.String(), "s3cret") {
		t.Errorf("the slow log has the password: %v", log)
	}
	if body := wantStatus(t, 200, addr(second), "/api/settings", "Authorization", "Bearer s3cret"); strings.Contains(body, "s3cret") ||
		!strings.Contains(body, "metrics-password") {
		t.Errorf("settings: %s", body)
	}
	c.Must("CONFIG", "SET", "metrics-password", "")
	wantStatus(t, 200, addr(second), "/metrics")
	// A port that is taken changes nothing.
	if v, err := c.Do("CONFIG", "SET", "metrics-port", strconv.Itoa(s.Port)); err != nil || !v.IsError() {
		t.Errorf("taken port: %v %v", v, err)
	}
	wantStatus(t, 200, addr(second), "/metrics")
	c.Must("CONFIG", "SET", "metrics-port", "0")
	if conn, err := net.Dial("tcp", addr(second)); err == nil {
		conn.Close()
		t.Error("port 0 has not closed the port")
	}
}

// Logins are those of the ACL: who may not run a command does not see what it tells, and failures are in ACL LOG.
func TestMetricsLogin(t *testing.T) {
	s, addr := startMetrics(t)
	c := s.Dial(t)
	c.Must("ACL", "SETUSER", "watcher", "on", ">w", "+info", "+slowlog|get")
	c.Must("ACL", "SETUSER", "limited", "on", ">l", "+get", "~*")
	c.Must("CONFIG", "SET", "requirepass", "root")
	wantStatus(t, 401, addr, "/metrics")
	wantStatus(t, 401, addr, "/api/slowlog")
	wantStatus(t, 200, addr, "/") // the page itself, which has no data and asks for a login
	wantStatus(t, 401, addr, "/metrics", "Authorization", basic("watcher", "wrong"))
	wantStatus(t, 401, addr, "/metrics", "Authorization", basic("nobody", "x"))
	scrape(t, addr, "Authorization", basic("watcher", "w"))
	wantStatus(t, 200, addr, "/api/slowlog", "Authorization", basic("watcher", "w"))
	wantStatus(t, 403, addr, "/api/clients", "Authorization", basic("watcher", "w"))
	wantStatus(t, 403, addr, "/api/settings", "Authorization", basic("watcher", "w"))
	wantStatus(t, 403, addr, "/api/log", "Authorization", basic("watcher", "w"))
	wantStatus(t, 403, addr, "/api/keys/scan", "Authorization", basic("watcher", "w"))
	wantStatus(t, 403, addr, "/metrics", "Authorization", basic("limited", "l"))
	for _, path := range []string{"/metrics", "/api/figures", "/api/clients", "/api/settings", "/api/log", "/api/keys", "/api/slowlog"} {
		wantStatus(t, 200, addr, path, "Authorization", basic("default", "root"))
	}
	a := c // it had logged in before
	log := a.Must("ACL", "LOG").String()
	for _, want := range []string{"watcher", "nobody", "AUTH", "http-127.0.0.1"} {
		if !strings.Contains(log, want) {
			t.Errorf("ACL LOG lacks %s: %s", want, log)
		}
	}
	// A session.
	wantStatus(t, 403, addr, "/api/login", "Authorization", basic("watcher", "wrong"))
	wantStatus(t, 403, addr, "/api/login")
	status, _, head := request(t, addr, "/api/login", "Authorization", basic("watcher", "w"))
	cookie := head.Get("Set-Cookie")
	if status != 204 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Fatalf("login: %d, %s", status, cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	wantStatus(t, 200, addr, "/api/slowlog", "Cookie", cookie)
	wantStatus(t, 403, addr, "/api/clients", "Cookie", cookie)
	wantStatus(t, 401, addr, "/api/slowlog", "Cookie", cookie[:len(cookie)-1]+"x")
	// It ends with its user, and with a logout.
	a.Must("ACL", "DELUSER", "watcher")
	a.Must("ACL", "SETUSER", "watcher", "on", ">w", "+@all")
	wantStatus(t, 401, addr, "/api/slowlog", "Cookie", cookie)
	_, _, head = request(t, addr, "/api/login", "Authorization", basic("watcher", "w"))
	cookie, _, _ = strings.Cut(head.Get("Set-Cookie"), ";")
	wantStatus(t, 200, addr, "/api/clients", "Cookie", cookie)
	wantStatus(t, 204, addr, "/api/logout", "Cookie", cookie)
	wantStatus(t, 401, addr, "/api/clients", "Cookie", cookie)
}

// A scrape is answered while a script is busy, and figures of the loop's turns are told.
func TestMetricsWhileBusy(t *testing.T) {
	s, addr := startMetrics(t, "--busy-reply-threshold", "10")
	c := s.Dial(t)
	if err := c.Send("EVAL", "while true do end", "0"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the script is busy", func() bool { return value(scrape(t, addr), "ferrous_script_busy", "") == 1 })
	wantStatus(t, 200, addr, "/api/keys/scan")
	wantStatus(t, 200, addr, "/api/clients")
	s.Dial(t).Must("SCRIPT", "KILL")
	if v, err := c.Read(); err != nil || !v.IsError() {
		t.Errorf("%v %v", v, err)
	}
}

// Peers that send nothing, or a byte now and then, keep nobody out.
func TestMetricsSlowLoris(t *testing.T) {
	s, addr := startMetrics(t, "--http", "yes")
	stop := make(chan struct{})
	defer close(stop)
	for i := range 200 {
		conn := dialEither(t, i, addr, s.Addr)
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n"); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(50 * time.Millisecond):
						if _, err := io.WriteString(conn, "X"); err != nil {
							return
						}
					}
				}
			}()
		}
		if i%20 == 19 {
			scrape(t, addr)
			scrape(t, s.Addr)
		}
	}
	s.Dial(t).Must("PING")
}

// With http yes the RESP port answers GET of a path in the version that browsers speak, however it is cut into packets, and
// all else as before.
func TestHTTPOnRESPPort(t *testing.T) {
	s := harness.StartFerrous(t, "--http", "yes")
	c := s.Dial(t)
	c.Must("SET", "/metrics", "a key")
	if n := value(scrape(t, s.Addr), "ferrous_db_keys", "db0"); n != 1 {
		t.Errorf("db0 has %v keys", n)
	}
	wantStatus(t, 200, s.Addr, "/")
	say := func(pieces ...string) string {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for i, p := range pieces {
			if i > 0 {
				time.Sleep(5 * time.Millisecond) // so that pieces come one by one, mostly
			}
			if _, err := io.WriteString(conn, p); err != nil {
				return "closed"
			}
		}
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			return "closed"
		}
		return line
	}
	for _, w := range []struct {
		pieces []string
		want   string
	}{
		{[]string{"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"}, "HTTP/1.1 200 OK\r\n"},
		{strings.Split("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", ""), "HTTP/1.1 200 OK\r\n"},
		{[]string{"G", "ET /metr", "ics HTTP/1.0\r\n", "\r\n"}, "HTTP/1.0 200 OK\r\n"},
		{[]string{"GET /metrics\r\n"}, "$5\r\n"}, // inline
		{[]string{"GET ", "/metr", "ics\r\n"}, "$5\r\n"},
		{[]string{"GET /metrics x\r\n"}, "-ERR wrong number of arguments for 'get' command\r\n"},
		{[]string{"GET /metrics HTTP/2.0\r\n"}, "-ERR wrong number of arguments for 'get' command\r\n"},
		{[]string{"PING\r\nGET /metrics HTTP/1.1\r\nAccept: x\r\n\r\n"}, "+PONG\r\n"},
		{[]string{"POST / HTTP/1.1\r\n\r\n"}, "closed"},
		{[]string{"Host: x\r\n"}, "closed"},
		{[]string{"HEAD / HTTP/1.1\r\n\r\n"}, "-ERR unknown command 'HEAD', with args beginning with: '/' 'HTTP/1.1' \r\n"},
		{[]string{"GET /" + strings.Repeat("x", 5000)}, ""},
	} {
		if w.want == "" {
			continue
		}
		if got := say(w.pieces...); got != w.want {
			t.Errorf("%q: %q, want %q", w.pieces, got, w.want)
		}
	}
	if got := say("GET /"+strings.Repeat("x", 5000), "\r\n"); got != "$-1\r\n" {
		t.Errorf("a long key: %q", got)
	}
	// The connection has left the clients.
	eventually(t, "one client is left", func() bool { return strings.Count(c.Must("CLIENT", "LIST").String(), " addr=") == 1 })
	// http no ends what is kept alive, and what comes later is RESP's.
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 3 {
		io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		io.Copy(io.Discard, answer.Body)
	}
	c.Must("CONFIG", "SET", "http", "no")
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection stays: %v", err)
	}
	if got := say("GET / HTTP/1.1\r\nAccept: x\r\n\r\n"); !strings.HasPrefix(got, "-ERR wrong number of arguments for 'get'") {
		t.Errorf("http no: %q", got)
	}
}

// Without http the port answers bytes as it does to a server that does not know the directive: errors of Redis.
func TestNoHTTP(t *testing.T) {
	s := harness.StartFerrous(t)
	for send, want := range map[string]string{
		"GET /metrics HTTP/1.1\r\nAccept: x\r\n\r\n": "-ERR wrong number of arguments for 'get' command\r\n-ERR unknown command 'Accept:', with args beginning with: 'x' \r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nPING\r\n":      "",
		"GET /\r\n":                                  "$-1\r\n",
	} {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, send)
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		got, _ := io.ReadAll(conn)
		conn.Close()
		if string(got) != want {
			t.Errorf("%q: %q, want %q", send, got, want)
		}
	}
}

// The scan of keys finds the biggest, and changes nothing of them; it ends by itself when nobody asks.
func TestKeyScan(t *testing.T) {
	s, addr := startMetrics(t)
	c := s.Dial(t)
	for i := range 2000 {
		c.Must("SET", fmt.Sprintf("user:%d", i), "v")
	}
	c.Must("SET", "big\x00\xff<script>", strings.Repeat("x", 100_000))
	wantStatus(t, 200, addr, "/api/keys/scan")
	eventually(t, "the scan ends", func() bool {
		return strings.Contains(wantStatus(t, 200, addr, "/api/keys"), `"running":false`)
	})
	body := wantStatus(t, 200, addr, "/api/keys")
	for _, want := range []string{`"scanned":2001`, `big\\x00\\xff\u003cscript\u003e`, `"prefix":"user:","keys":2000`, `"total":2001`} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s: %s", want, body)
		}
	}
}

// A shutdown does not wait for those who read /metrics.
func TestMetricsShutdown(t *testing.T) {
	s, addr := startMetrics(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /metrics HTTP/1.1\r\n")
	c := s.Dial(t)
	c.Send("SHUTDOWN", "NOSAVE")
	if _, err := s.Wait(time.Minute); err != nil {
		t.Error(err)
	}
}

// tls-port serves no HTTP, and says so.
func TestHTTPOnTLSPort(t *testing.T) {
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Authority: harness.NewAuthority(t), Args: []string{"--http", "yes"}})
	conn, err := tls.Dial("tcp", s.Addr, s.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, piece := range []string{"GET /met", "rics HTTP/1.1\r\nHost: x\r\n\r\n"} {
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		t.Fatal(answer, err)
	}
	if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), "metrics-port") {
		t.Errorf("%q %v", text, err)
	}
	s.Dial(t).Must("PING")
}

// Random bytes, and HTTP that is cut and mixed with RESP, leave the server as it is.
func TestHTTPRandom(t *testing.T) {
	rnd := random.New(t)
	s, addr := startMetrics(t, "--http", "yes")
	pieces := []string{"GET /metrics HTTP/1.1\r\n", "GET / HTTP/1.0\r\n", "Host: localhost\r\n", "\r\n", "GET /", "*1\r\n$4\r\nPING\r\n", "PING\r\n", "\x00\xff", "GET /x\r\n",
		"Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", "HEAD / HTTP/1.1\r\n", strings.Repeat("y", 5000)}
	for i := range 200 {
		conn := dialEither(t, i, addr, s.Addr)
		for range 1 + rnd.IntN(6) {
			p := pieces[rnd.IntN(len(pieces))]
			if rnd.IntN(4) == 0 {
				p = p[:rnd.IntN(len(p))]
			}
			if _, err := io.WriteString(conn, p); err != nil {
				break
			}
		}
		conn.Close()
	}
	c := s.Dial(t)
	if n := c.Must("DBSIZE").Int(); n != 0 {
		t.Errorf("%d keys", n)
	}
	scrape(t, addr)
	scrape(t, s.Addr)
	eventually(t, "all other clients are gone", func() bool { return strings.Count(c.Must("CLIENT", "LIST").String(), " addr=") == 1 })
}
