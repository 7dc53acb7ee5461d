package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// exchange sends bytes on a connection of their own, and returns what comes back until the server closes it or has nothing more to
// say: the end of what is sent is told to it.
func exchange(t *testing.T, addr, send string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, send) // the server may close before it has read all
	_ = conn.(*net.TCPConn).CloseWrite()
	text, _ := io.ReadAll(conn)
	return string(text)
}

// dialEither connects to one of two addresses in turn, as i says.
func dialEither(t *testing.T, i int, addrs ...string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addrs[i%len(addrs)])
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// What a browser sends on behalf of a hostile page never runs a command, whatever the method, path and body are, with http yes and
// without: HTTP that is not answered is known by its Host line, and a connection that has begun as HTTP's stays HTTP's.
func TestBrowserRunsNoCommand(t *testing.T) {
	s := harness.StartFerrous(t)
	c := s.Dial(t)
	const set = "*3\r\n$3\r\nSET\r\n$6\r\nhacked\r\n$1\r\n1\r\n"
	bodies := []string{set, "SET hacked 1\r\n", "\r\n\r\nSET hacked 1\r\n" + set, "0\r\n\r\nSET hacked 1\r\n"}
	heads := []string{"", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n"}
	for _, on := range []string{"no", "yes"} {
		c.Must("CONFIG", "SET", "http", on)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"} {
			for _, path := range []string{"/", "/metrics", "/SET%20hacked%201", "/" + strings.Repeat("x", 3<<10), "/" + strings.Repeat("x", 70<<10)} {
				for i, body := range bodies {
					head := heads[i%len(heads)]
					if head == "" {
						head = fmt.Sprintf("Content-Length: %d\r\n", len(body))
					}
					request := method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n" + head + "\r\n" + body
					exchange(t, s.Addr, request)
				}
			}
		}
	}
	for _, head := range heads { // behind a request that is answered
		got := exchange(t, s.Addr, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"+head+"\r\n"+set)
		if strings.Contains(got, "+OK") {
			t.Errorf("%q: %.200q", head, got)
		}
	}
	if n := c.Must("DBSIZE").Int(); n != 0 {
		t.Errorf("a command has run: %v", c.Must("KEYS", "*"))
	}
	// Behind a command a GET is a command, which has too many arguments.
	if got := exchange(t, s.Addr, "PING\r\nGET /metrics HTTP/1.1\r\n\r\n"); got != "+PONG\r\n-ERR wrong number of arguments for 'get' command\r\n" {
		t.Errorf("%q", got)
	}
}

// Headers that are too many or too long are refused, on both ports, and cost no more than their bound.
func TestHTTPHugeHeaders(t *testing.T) {
	s, metrics := startMetrics(t, "--http", "yes")
	for _, to := range []string{s.Addr, metrics} {
		for _, head := range []string{"X: " + strings.Repeat("x", 1<<20) + "\r\n", strings.Repeat("X: y\r\n", 200_000), strings.Repeat("Cookie: a=b\r\n", 100_000)} {
			if got := exchange(t, to, "GET /metrics HTTP/1.1\r\nHost: x\r\n"+head+"\r\n"); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431 ") {
				t.Errorf("%.20q: %.200q", head, got) // nothing comes where the connection was closed on bytes that were not read
			}
		}
		scrape(t, to)
	}
	answers(t, s)
}

// A session has the rights that its user has now, and ends with the password that it was opened with.
func TestSessionFollowsUser(t *testing.T) {
	s, addr := startMetrics(t)
	c := s.Dial(t)
	logIn := func(password string) string {
		t.Helper()
		status, _, head := request(t, addr, "/api/login", "Authorization", basic("watcher", password))
		cookie, _, _ := strings.Cut(head.Get("Set-Cookie"), ";")
		if status != 204 || cookie == "" {
			t.Fatalf("login: status %d", status)
		}
		return cookie
	}
	set := func(rules ...string) {
		t.Helper()
		c.Must(append([]string{"ACL", "SETUSER", "watcher"}, rules...)...)
	}
	c.Must("CONFIG", "SET", "requirepass", "root")
	set("on", ">one", ">two", "+info", "+client|list", "+scan", "~*")
	one, two := logIn("one"), logIn("two")
	wantStatus(t, 200, addr, "/api/clients", "Cookie", one)
	wantStatus(t, 200, addr, "/api/keys/scan", "Cookie", one)
	set("-client|list")
	wantStatus(t, 403, addr, "/api/clients", "Cookie", one)
	set("resetkeys", "~some:*")
	wantStatus(t, 403, addr, "/api/keys", "Cookie", one)
	wantStatus(t, 403, addr, "/api/keys/scan", "Cookie", one)
	wantStatus(t, 200, addr, "/metrics", "Cookie", one)
	set("<one")
	wantStatus(t, 401, addr, "/metrics", "Cookie", one)
	wantStatus(t, 200, addr, "/metrics", "Cookie", two)
	set("off")
	wantStatus(t, 401, addr, "/metrics", "Cookie", two)
	wantStatus(t, 403, addr, "/api/login", "Authorization", basic("watcher", "two"))
	set("on")
	set("resetpass", ">three")
	wantStatus(t, 401, addr, "/metrics", "Cookie", two)
	three := logIn("three")
	set("-info")
	wantStatus(t, 403, addr, "/metrics", "Cookie", three)
	set("+info", "nopass")
	wantStatus(t, 200, addr, "/metrics", "Cookie", three)
	set("reset")
	wantStatus(t, 401, addr, "/metrics", "Cookie", three)
}

// The page of another site cannot use the password or cookie that a browser knows: what it can send lacks the header of the page's
// script, and it is not allowed to add it.
func TestForeignPage(t *testing.T) {
	s, addr := startMetrics(t, "--http", "yes")
	c := s.Dial(t)
	for i := range 100 {
		c.Must("SET", fmt.Sprint("k", i), "v")
	}
	for _, path := range []string{"/api/keys/scan", "/api/login", "/api/logout", "/api/figures"} {
		for _, to := range []string{addr, s.Addr} {
			got := exchange(t, to, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: "+basic("default", "x")+"\r\nSec-Fetch-Site: cross-site\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 403 ") || strings.Contains(got, "Set-Cookie") {
				t.Errorf("%s: %q", path, got)
			}
		}
		got := exchange(t, addr, "OPTIONS "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: GET\r\n"+
			"Access-Control-Request-Headers: x-ferrous-page,authorization\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 405 ") || strings.Contains(got, "Access-Control-Allow") {
			t.Errorf("%s: %q", path, got)
		}
	}
	if body := wantStatus(t, 200, addr, "/api/keys"); !strings.Contains(body, `"started":false`) {
		t.Errorf("a scan was begun: %s", body)
	}
}

// Labels that clients choose stay one line of the text each.
func TestHostileLabels(t *testing.T) {
	s, addr := startMetrics(t)
	c := s.Dial(t)
	codes := []string{`A"} 1`, `B\`, "C\"\\{}=,#", "D\xff\xfe", "D\xfe\xff", "\u202eE", "__proto__", strings.Repeat("F", 2000)}
	for _, code := range codes {
		if v, err := c.Do("EVAL", "return redis.error_reply(ARGV[1])", "0", code+" text"); err != nil || !v.IsError() {
			t.Fatal(v, err)
		}
	}
	f := scrape(t, addr)
	if n := len(f["ferrous_error_replies_total"].GetMetric()); n != len(codes) {
		t.Errorf("%d codes: %v", n, f["ferrous_error_replies_total"])
	}
	wantStatus(t, 200, addr, "/api/figures")
}

// However many errors with codes of their own there are, a scrape stays short.
func TestManyErrorCodes(t *testing.T) {
	s, addr := startMetrics(t)
	c := s.Dial(t)
	for i := range 2000 {
		if err := c.Send("EVAL", "return redis.error_reply(ARGV[1])", "0", fmt.Sprintf("CODE%d text", i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2000 {
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(scrape(t, addr)["ferrous_error_replies_total"].GetMetric()); n == 0 || n > 200 {
		t.Errorf("%d codes", n)
	}
}

// More peers than there may be connections, all of which send requests and none of which reads, keep neither Prometheus nor
// clients out.
func TestHTTPManyConnections(t *testing.T) {
	s, addr := startMetrics(t, "--http", "yes")
	c := s.Dial(t)
	for i := range 120 {
		conn := dialEither(t, i, addr, s.Addr)
		defer conn.Close()
		conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 50)); err != nil {
			continue // it had to make room
		}
	}
	var n int
	eventually(t, "Prometheus is answered", func() bool {
		n++
		r, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/metrics")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		return err == nil && r.StatusCode == 200
	})
	t.Logf("answered at attempt %d", n)
	c.Must("PING")
	if list := c.Must("CLIENT", "LIST").Str; strings.Count(list, " addr=") > 70 {
		t.Errorf("clients: %s", list)
	}
}

// A connection of the RESP port that begins a request and does not end it is a client as any other: CLIENT KILL ends it.
func TestHTTPHalfRequestIsAClient(t *testing.T) {
	s := harness.StartFerrous(t, "--http", "yes")
	c := s.Dial(t)
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /met")
	eventually(t, "it is in the list", func() bool { return strings.Count(c.Must("CLIENT", "LIST").Str, " addr=") == 2 })
	c.Must("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("it is open: %v", err)
	}
	scrape(t, s.Addr)
}
