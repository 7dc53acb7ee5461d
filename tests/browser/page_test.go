// Package browser looks at the page of the server with a headless Chromium.
//
// FERROUS_SCREENSHOTS names a folder that pictures of the page are written to.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"ferrous/tests/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// chromium is the one browser of all tests, which each have a tab of their own with its own cookies.
func chromium(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("there is no chromium: make deps-test installs it")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1280, 1000))
	if os.Getuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// tab is a page that is open.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens the page of a server. What its script throws, and what its policy forbids, fails the test at its end.
func open(t *testing.T, addr string) *tab {
	t.Helper()
	p := &tab{t: t, ctx: chromium(t)}
	p.run(chromedp.Navigate("http://" + addr + "/"))
	p.is(`window.faults = [];
		for (const kind of ["error", "unhandledrejection"]) addEventListener(kind, e => faults.push(kind + ": " + (e.message || e.reason)));
		document.addEventListener("securitypolicyviolation", e => faults.push("policy: " + e.violatedDirective));
		true`)
	return p
}

// close ends the look at the page.
func (p *tab) close() {
	p.t.Helper()
	if faults := eval[string](p, "faults.join('; ')"); faults != "" {
		p.t.Errorf("the page: %s", faults)
	}
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// eval returns the value of an expression in the page.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// text returns the text that a part of the page shows.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf("(document.querySelector(%q) || {innerText: ''}).innerText", selector))
}

// is evaluates a condition in the page.
func (p *tab) is(script string) bool {
	p.t.Helper()
	return eval[bool](p, script)
}

// until waits for a condition.
func (p *tab) until(what string, condition func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if condition() {
			return
		}
	}
	p.t.Fatalf("not in time: %s; the page says: %.2000s", what, p.text("body"))
}

// shows waits until a part of the page contains some text.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.until(selector+" shows "+text, func() bool { return strings.Contains(p.text(selector), text) })
}

// picture writes a picture of the whole page to FERROUS_SCREENSHOTS.
func (p *tab) picture(name string) {
	p.t.Helper()
	dir := os.Getenv("FERROUS_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// start starts a server whose page is at the address returned.
func start(t *testing.T, args ...string) (*harness.Server, string) {
	t.Helper()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := harness.StartFerrous(t, append([]string{"--metrics-port", strconv.Itoa(port), "--slowlog-log-slower-than", "0"}, args...)...)
	return s, "127.0.0.1:" + strconv.Itoa(port)
}

// hostile are names and values that would be markup, script, or unseen, were they not text.
var hostile = []string{`<img src=x onerror="window.hacked=1">`, `<script>window.hacked=1</script>`, `"><svg onload=window.hacked=1>`,
	"\x00\x01\xff\xfe", "\u202egnp.exe", "{{constructor.constructor('window.hacked=1')()}}"}

// The page shows what a client writes, and goes on doing so; what is hostile stays text; with the server gone it says so, and
// recovers.
func TestPage(t *testing.T) {
	s, addr := start(t)
	c := s.Dial(t)
	for i := range 500 {
		c.Must("SET", fmt.Sprintf("user:%d", i), "v")
	}
	for _, h := range hostile {
		c.Must("SET", h+":key", strings.Repeat(h, 2000))
	}
	c.Must("CLIENT", "SETNAME", "<b>name</b>")
	p := open(t, addr)
	p.shows("#figures", "506")
	p.shows("#slowlog table", "SET user:499")
	p.shows("#slowlog table", `<script>window.hacked=1</script>`)
	p.shows("#clients table", "<b>name</b>")
	p.shows("#settings table", "slowlog-log-slower-than")
	p.shows("#log pre", "Ready to accept connections")
	p.run(chromedp.Click(chromedp.CSS("#scan")))
	p.until("the scan has ended", func() bool { return strings.Contains(p.text("#scan"), "again") })
	for _, text := range []string{`<img src=x onerror="window.hacked=1">:key`, `\x00\x01\xff\xfe:key`, `\u{202e}gnp.exe:key`, "506 of 506 keys"} {
		p.shows("#keys", text)
	}
	p.shows("#keys", "user:")
	// Live: more keys come, and the charts have lines.
	for i := range 1000 {
		c.Must("SET", fmt.Sprintf("more:%d", i), "v")
	}
	p.until("the number of keys follows", func() bool { return strings.Contains(p.text("#figures"), "1506") })
	p.until("the charts have lines", func() bool { return p.is("document.querySelectorAll('#charts polyline').length > 10") })
	p.until("SET is in the chart", func() bool { return strings.Contains(p.text("#charts .legend"), "set") })
	if !p.is("window.hacked === undefined && document.querySelectorAll('#all img, #all script, #all b.x, #keys svg').length === 0") {
		t.Error("what a client wrote has become markup")
	}
	// All that can be used can be reached and named, and tables have heads.
	if !p.is("[...document.querySelectorAll('button')].every(b => b.textContent.trim() !== '') && [...document.querySelectorAll('table')].every(t => t.querySelector('th[scope=col]')) && document.querySelectorAll('[tabindex=\"0\"]:not([aria-label])').length === 0") {
		t.Error("a button has no name, or a table no head")
	}
	if !p.is("document.documentElement.scrollWidth <= innerWidth") {
		t.Error("the page is wider than the window")
	}
	p.picture("light")
	p.run(chromedp.Click(chromedp.CSS("#theme")))
	p.picture("dark")
	for _, width := range []int64{375, 320} {
		p.run(chromedp.EmulateViewport(width, 800))
		p.until(fmt.Sprintf("the page fits %d pixels", width), func() bool { return p.is("document.documentElement.scrollWidth <= innerWidth") })
		p.picture(fmt.Sprint("phone", width))
	}
	p.run(chromedp.ResetViewport())
	// The server goes, and another comes.
	port, _ := strconv.Atoi(addr[strings.LastIndexByte(addr, ':')+1:])
	s.Kill()
	p.shows("#alert", "does not answer")
	p.picture("down")
	again := harness.StartFerrous(t, "--metrics-port", strconv.Itoa(port))
	again.Dial(t).Must("SET", "after", "the restart")
	p.until("the alert goes", func() bool { return p.is("document.getElementById('alert').hidden") })
	p.until("the keys are those of the new server", func() bool {
		return strings.Contains(p.text("#figures"), "KEYS\n1") || strings.Contains(p.text("#figures"), "Keys\n1")
	})
}

// With a password the page asks for a login, says when it is wrong, shows what the user may see, and ends with a logout. It does so
// on the RESP port, too.
func TestPageLogin(t *testing.T) {
	s, addr := start(t, "--http", "yes")
	c := s.Dial(t)
	c.Must("ACL", "SETUSER", "zoë", "on", ">pässwörd", "+info", "+slowlog|get")
	c.Must("CONFIG", "SET", "requirepass", "root")
	for _, to := range []string{addr, s.Addr} {
		p := open(t, to)
		p.run(chromedp.WaitVisible(chromedp.CSS("#login")))
		logIn := func(name, password string) {
			p.run(chromedp.SetValue(chromedp.CSS("#name"), name), chromedp.SetValue(chromedp.CSS("#password"), password), chromedp.Click(chromedp.CSS("#login button")))
		}
		logIn("zoë", "wrong")
		p.shows("#wrong", "wrong name or password")
		p.picture("login")
		logIn("zoë", "pässwörd")
		p.shows("#slowlog table", "CONFIG")
		if strings.Contains(p.text("#slowlog"), "root") {
			t.Error("the slow log shows a password")
		}
		p.shows("#clients", "+client|list")
		p.shows("#settings", "+config|get")
		if p.is("document.cookie !== ''") {
			t.Error("scripts see the cookie")
		}
		p.run(chromedp.Click(chromedp.CSS("#logout")), chromedp.WaitVisible(chromedp.CSS("#login")))
		// A user that is deleted is out.
		logIn("default", "root")
		p.shows("#settings table", "requirepass")
		p.shows("#settings table", "(redacted)")
		p.close()
	}
}
