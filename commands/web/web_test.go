package web

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// fake is a Source with one user, whose name and password are u and p.
type fake struct{ open bool }

var user = new(int)

func (f fake) may(who Asker) error {
	if f.open || who.User == User(user) {
		return nil
	}
	return ErrLogin
}

func (f fake) Login(_ context.Context, name, password, _ string) (User, error) {
	if name == "u" && password == "p" {
		return user, nil
	}
	return nil, ErrLogin
}

var strange = Family{"ferrous_strange_total", Counter, "key", "Help with a \\ and\na line."}

func (f fake) Metrics(_ context.Context, who Asker) ([]Metric, error) {
	if who.Scraper {
		return nil, nil
	}
	h := Family{"ferrous_h_seconds", Histogram, "", "Help."}
	return []Metric{{Family: &strange, Samples: []Sample{{Label: "a\"\\\n\xff", Value: 1.5}}},
		{Family: &h, Bounds: []float64{.1, 1}, Samples: []Sample{{Value: 2.5, Buckets: []uint64{1, 2, 3}}}}}, f.may(who)
}
func (f fake) SlowLog(_ context.Context, who Asker) ([]SlowEntry, error) {
	return []SlowEntry{{ID: 1, Args: []Text{"<img src=x onerror=alert(1)>", "\x00\xff"}}}, f.may(who)
}
func (f fake) Clients(_ context.Context, who Asker) (ClientList, error) {
	return ClientList{}, f.may(who)
}
func (f fake) Settings(_ context.Context, who Asker) ([]Setting, error) { return nil, f.may(who) }
func (f fake) Log(_ context.Context, who Asker) ([]Text, error)         { return nil, f.may(who) }
func (f fake) Keys(_ context.Context, who Asker, _ bool) (KeyReport, error) {
	return KeyReport{}, f.may(who)
}

// serve starts a Server and returns its address.
func serve(t testing.TB, source Source) (*Server, string) {
	t.Helper()
	s := New(Options{Source: source})
	t.Cleanup(s.Close)
	if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	return s, s.Addrs()[0]
}

func get(t testing.TB, addr, path string) (status int, body string) {
	t.Helper()
	r, err := http.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(text)
}

// What labels and help may hold does not break the text.
func TestText(t *testing.T) {
	_, addr := serve(t, fake{open: true})
	_, body := get(t, addr, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	m := families["ferrous_strange_total"].Metric[0]
	if label, v := m.Label[0].GetValue(), m.Counter.GetValue(); label != "a\"\\\n\uFFFD" || v != 1.5 {
		t.Errorf("label %q, value %v", label, v)
	}
	h := families["ferrous_h_seconds"].Metric[0].Histogram
	if h.GetSampleCount() != 6 || h.GetSampleSum() != 2.5 || h.Bucket[1].GetCumulativeCount() != 3 {
		t.Errorf("histogram: %v", h)
	}
	for _, f := range RuntimeFamilies {
		if families[f.Name] == nil {
			t.Errorf("%s is missing", f.Name)
		}
	}
}

// Labels that are the same in UTF-8 make no sample twice.
func TestTextLabelsDiffer(t *testing.T) {
	m := []Metric{{Family: &Family{Name: "ferrous_x", Label: "code", Help: "x"}}}
	for _, label := range []string{"\xff", "\xfe", "a", "a", "a (2)", "\xfd", "b"} {
		m[0].Samples = append(m[0].Samples, Sample{Label: label})
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(appendText(nil, m))) {
		if seen[line] {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
	}
	if len(seen) != len(m[0].Samples)+2 {
		t.Errorf("%d lines: %v", len(seen), seen)
	}
}

func TestTextVisible(t *testing.T) {
	for in, want := range map[Text]string{
		"plain":                        "plain",
		"Zoë 猫":                        "Zoë 猫",
		"a\\b":                         `a\\b`,
		"\x00\r\n\x7f\xff":             `\x00\x0d\x0a\x7f\xff`,
		"\u202egnp":                    `\u{202e}gnp`,
		"\u200b\ufeff":                 `\u{200b}\u{feff}`,
		Text(strings.Repeat("x", 600)): strings.Repeat("x", 512) + "… (88 more bytes)",
	} {
		if got := in.Visible(); got != want {
			t.Errorf("%q: %q, want %q", string(in), got, want)
		}
	}
}

// The policy names the script and the style of the page by their hashes, and nothing in the page asks for more: no handler in
// an attribute, no style in one, no address of another server, and no markup from text.
func TestPage(t *testing.T) {
	if n := bytes.Count(page, []byte("<script")); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if n := bytes.Count(page, []byte("<style")); n != 1 {
		t.Errorf("%d styles", n)
	}
	for _, bad := range []string{`\son[a-z]+\s*=\s*"`, `\sstyle\s*=`, `https?://(www\.w3\.org/2000/svg)?[a-z]`, `innerHTML\s*=`, `outerHTML`,
		`insertAdjacentHTML`, `document\.write`, `\beval\(`, `new Function`} {
		for _, m := range regexp.MustCompile(bad).FindAllString(string(page), -1) {
			if !strings.HasPrefix(m, "http://www.w3.org/2000/svg") && !strings.HasPrefix(m, "http://w") {
				t.Errorf("the page has %q", m)
			}
		}
	}
	_, addr := serve(t, fake{})
	r, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	policy := r.Header.Get("Content-Security-Policy")
	if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || strings.Count(policy, "'sha256-") != 2 {
		t.Errorf("policy %q", policy)
	}
}

// Sessions end when they were not used, when they are old, and when there are too many.
func TestSessions(t *testing.T) {
	var s sessions
	now := time.Now()
	first := s.open(user, now)
	if s.user(first, now) != User(user) || s.user("x", now) != nil || s.user("", now) != nil {
		t.Error("a session is not found")
	}
	if s.user(first, now.Add(sessionIdle+time.Second)) != nil || s.user(first, now) != nil {
		t.Error("an idle session has not ended")
	}
	old := s.open(user, now)
	for at := time.Duration(0); at < sessionMost; at += sessionIdle / 2 {
		s.user(old, now.Add(at))
	}
	if s.user(old, now.Add(sessionMost+time.Second)) != nil {
		t.Error("an old session has not ended")
	}
	tokens := map[string]bool{}
	for i := range 10 * maxSessions {
		tokens[s.open(user, now.Add(time.Duration(i)*time.Millisecond))] = true
	}
	if len(s.m) != maxSessions || len(tokens) != 10*maxSessions {
		t.Errorf("%d sessions of %d", len(s.m), len(tokens))
	}
}

// There are never more connections than MaxConns, and a new one is answered however many there are that send nothing.
func TestMostConnections(t *testing.T) {
	s, addr := serve(t, fake{open: true})
	for i := range 5 * MaxConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			io.WriteString(c, "GET /metr")
		}
		if i%10 == 9 {
			if status, _ := get(t, addr, "/metrics"); status != 200 {
				t.Fatalf("status %d with %d connections", status, i)
			}
		}
		s.mu.Lock()
		n := len(s.conns)
		s.mu.Unlock()
		if n > MaxConns {
			t.Fatalf("%d connections", n)
		}
	}
}

// Adopt serves what has been read before, and more requests after it.
func TestAdopt(t *testing.T) {
	s := New(Options{Source: fake{open: true}})
	defer s.Close()
	ours, theirs := net.Pipe()
	defer ours.Close()
	s.Adopt(theirs, []byte("GET /metrics HTTP/1.1\r\nHo"))
	ours.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(ours, "st: localhost\r\n\r\n")
	r := bufio.NewReader(ours)
	for range 2 {
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		io.Copy(io.Discard, answer.Body)
		go io.WriteString(ours, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
}

// FuzzRequest sends any bytes as a connection does. Whatever they are, who has not logged in reads nothing but the page and
// refusals, and the Server goes on.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /api/login HTTP/1.1\r\nHost: x\r\nX-Ferrous-Page: 1\r\nAuthorization: Basic dTpw\r\n\r\n",
		"GET /api/slowlog HTTP/1.1\r\nHost: localhost\r\nX-Ferrous-Page: 1\r\nAuthorization: Bearer x\r\nCookie: a=b\r\n\r\nGET / HTTP/1.0\r\n\r\n",
		"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET //metrics?a=b;c HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"GET /../api/clients HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET http://x/api/keys HTTP/1.1\r\nHost: x\r\n\r\n"} {
		f.Add([]byte(seed))
	}
	s := New(Options{Source: fake{}})
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		s.Adopt(theirs, bytes.Clone(in[:len(in)/2]))
		go func() {
			ours.SetWriteDeadline(time.Now().Add(10 * time.Second))
			ours.Write(in[len(in)/2:])
			time.Sleep(time.Millisecond)
			ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}()
		out, _ := io.ReadAll(ours)
		ours.Close()
		if bytes.Contains(in, []byte("dTpw")) || bytes.Contains(in, []byte("asic")) {
			return // it may have logged in
		}
		for _, secret := range []string{"ferrous_strange", "onerror", `"total"`, "Set-Cookie: ferrous_session_" + "0"} {
			if bytes.Contains(out, []byte(secret)) && !bytes.Contains(out, []byte("<!doctype")) {
				t.Fatalf("%q is answered with %q", in, out)
			}
		}
	})
}

// Hosts that a foreign page can have are not answered without a login.
func TestNumericHost(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST:80": true, "127.0.0.1": true, "127.0.0.1:6379": true, "[::1]:80": true,
		"::1": true, "evil.example": false, "evil.example:80": false, "127.0.0.1.nip.io": false, "": false, "localhost.evil": false} {
		if numericHost(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}

// Errors of the Source have statuses, and only /metrics makes a browser ask for a password by itself.
func TestFailures(t *testing.T) {
	s := New(Options{Source: fake{}})
	for _, c := range []struct {
		err    error
		page   bool
		status int
		asks   bool
	}{
		{ErrLogin, false, 401, true}, {ErrLogin, true, 401, false}, {ErrEnded, true, 401, false},
		{fmt.Errorf("%w: +info", ErrForbidden), false, 403, false}, {ErrProtected, false, 403, false}, {io.EOF, false, 503, false},
	} {
		w := httptest.NewRecorder()
		s.fail(w, route{page: c.page}, c.err)
		if asks := w.Header().Get("WWW-Authenticate") != ""; w.Code != c.status || asks != c.asks {
			t.Errorf("%v: status %d, asks %v", c.err, w.Code, asks)
		}
	}
}

// Listen that fails listens where it did before, also when it had to close a listener that was in the way; connections stay.
func TestListenFails(t *testing.T) {
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	port := addr[strings.LastIndexByte(addr, ':'):]
	free.Close()
	s := New(Options{Source: fake{open: true}})
	defer s.Close()
	if err := s.Listen([]string{addr}); err != nil {
		t.Fatal(err)
	}
	blocker, err := net.Listen("tcp4", "127.0.0.3"+port)
	if err != nil {
		t.Skip(err) // only Linux has these addresses
	}
	defer blocker.Close()
	for _, addrs := range [][]string{{"0.0.0.0" + port}, {"127.0.0.3" + port}, {"127.0.0.2" + port, "127.0.0.3" + port}} {
		if err := s.Listen(addrs); err == nil {
			t.Fatal("Listen has not failed")
		}
		if status, _ := get(t, addr, "/metrics"); status != 200 {
			t.Errorf("status %d", status)
		}
		if conn, err := net.Dial("tcp", "127.0.0.2"+port); err == nil {
			conn.Close()
			t.Error("an address that was not wanted alone is open")
		}
	}
}

// Peers that send many requests for the page, which everybody may see, and read nothing keep nobody out.
func TestUnreadAnswers(t *testing.T) {
	s, addr := serve(t, fake{open: true})
	for range MaxConns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			for {
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
					return
				}
			}
		}()
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		full := 0
		for c := range s.conns {
			if c.worth(time.Now()) == unread {
				full++
			}
		}
		s.mu.Unlock()
		if full == MaxConns {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are stuck", full)
		}
	}
	for range 3 {
		if status, _ := get(t, addr, "/metrics"); status != 200 {
			t.Errorf("status %d", status)
		}
	}
}
