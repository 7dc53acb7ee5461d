package eventloop

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestShutdown(t *testing.T) {
	var closed, ran atomic.Int32
	s := start(t, &testHandler{closed: func(c *Conn, err error) { closed.Add(1) }}, nil)
	conns := []net.Conn{s.dial(), s.dial(), s.dial()}
	for _, c := range conns {
		roundTrip(t, c, "x")
	}
	for range 100 {
		s.Post(func() { ran.Add(1) })
	}
	s.do(func() {
		s.Each(func(c *Conn) bool { c.Send([]byte("bye")); return true })
		s.Shutdown() // from the loop itself
	})
	s.Shutdown()
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	s.done <- nil // for the cleanup
	if closed.Load() != 3 || ran.Load() != 100 {
		t.Errorf("%d closed, %d functions ran", closed.Load(), ran.Load())
	}
	for _, c := range conns {
		if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	s.Post(func() { t.Error("ran after Serve has returned") })
}

// A client whose connection was ended by a shutdown cannot connect any more.
func TestShutdownRefusesFirst(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("evio closes its listeners last")
	}
	again := make(chan error, 1)
	s := start(t, &testHandler{}, nil)
	for range 200 {
		roundTrip(t, s.dial(), "x")
	}
	c := s.dial()
	roundTrip(t, c, "x")
	addr := s.addrs[0]
	go func() {
		_, _ = io.ReadAll(c)
		late, err := net.Dial(addr.Network(), addr.String())
		if err == nil {
			_ = late.Close()
		}
		again <- err
	}()
	s.Shutdown()
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	s.done <- nil // for the cleanup
	if err := <-again; err == nil {
		t.Error("a connection was accepted after another was closed")
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	l, err := New(Options{Addrs: []string{"tcp4://127.0.0.1:0"}, Handler: &testHandler{}})
	if err != nil {
		t.Fatal(err)
	}
	l.Shutdown()
	if err := l.Serve(); err != nil {
		t.Fatal(err)
	}
}

func TestListenErrors(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "keep"), nil, 0o600)
	for _, tc := range []struct{ addr, want string }{
		{"tcp4://" + ln.Addr().String(), ln.Addr().String()},
		{"tcp4://127.0.0.1:99999", "99999"},
		{"unix://" + dir, "directory"},
		{"unix:///nonexistent/dir/s", "/nonexistent/dir/s"},
	} {
		l, err := New(Options{Addrs: []string{tc.addr}, Handler: &testHandler{}, UnixPerm: 0o700})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Serve(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.addr, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "keep")); err != nil {
		t.Error("a directory in the place of the socket was emptied")
	}
	for _, a := range []string{"", "x", "udp://127.0.0.1:1", "unix://a?b", "unix://", "unix:///" + strings.Repeat("a", 200)} {
		if _, err := New(Options{Addrs: []string{a}, Handler: &testHandler{}}); err == nil {
			t.Errorf("%q accepted", a)
		}
	}
	if _, err := New(Options{Addrs: []string{"tcp4://127.0.0.1:0"}}); err == nil {
		t.Error("no handler accepted")
	}
}

func TestUnixSocketFile(t *testing.T) {
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	for _, tc := range []struct{ perm, want os.FileMode }{{0o700, 0o700}, {0o777, 0o777}, {0o770, 0o770}, {0, 0o755}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		os.WriteFile(path, []byte("stale"), 0o644) // what is there is replaced
		stop := make(chan struct{})
		var seen os.FileMode
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
					seen |= fi.Mode().Perm()
				}
			}
		}()
		s := start(t, &testHandler{}, func(o *Options) {
			o.Addrs = []string{"unix://" + path}
			o.UnixPerm = tc.perm
		})
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != tc.want {
			t.Errorf("mode %o, want %o", fi.Mode().Perm(), tc.want)
		}
		roundTrip(t, s.dial(), "x")
		close(stop)
		wg.Wait()
		if seen&^tc.want != 0 {
			t.Errorf("mode was %o for a moment, want %o", seen, tc.want)
		}
		if now := syscall.Umask(0o022); now != 0o022 {
			t.Errorf("umask is left at %o", now)
		}
	}
}

func TestRelativeUnixPath(t *testing.T) {
	t.Chdir(t.TempDir())
	got := make(chan string, 1)
	s := start(t, &testHandler{opened: func(c *Conn) bool { got <- c.RemoteAddr(); return true }},
		func(o *Options) { o.Addrs = []string{"unix://rel.sock"} })
	c, err := net.Dial("unix", "rel.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	roundTrip(t, c, "x")
	if a := <-got; a != "rel.sock:0" {
		t.Errorf("address %q", a)
	}
	s.Shutdown()
	s.done <- <-s.done
	if _, err := os.Lstat("rel.sock"); err == nil {
		t.Error("the socket file is left")
	}
}

// Clients have the options of the moment at which they are accepted, also those that were waiting when these changed, and
// whether the options are set on them or come from the listening socket.
func TestSocketOptions(t *testing.T) {
	idle := 40 * time.Second
	type options struct{ nodelay, keepalive, idle, cloexec bool }
	opts := make(chan options, 100)
	s := start(t, &testHandler{opened: func(c *Conn) bool {
		nodelay, _ := syscall.GetsockoptInt(c.FD(), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
		keepalive, _ := syscall.GetsockoptInt(c.FD(), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		first := int(idle / time.Second)
		if runtime.GOOS == "linux" {
			first, _ = syscall.GetsockoptInt(c.FD(), syscall.IPPROTO_TCP, 4) // TCP_KEEPIDLE
		}
		flags, _ := fcntlGetFD(c.FD())
		opts <- options{nodelay != 0, keepalive != 0, first == int(idle/time.Second), flags&syscall.FD_CLOEXEC != 0}
		return true
	}}, func(o *Options) { o.KeepAlive = func() time.Duration { return idle } })
	check := func(n int, want options) {
		t.Helper()
		for i := range n {
			o := <-opts
			if want.keepalive == false {
				o.idle = want.idle // no matter
			}
			if o != want {
				t.Errorf("client %d: %+v, want %+v", i, o, want)
			}
		}
	}
	with, without := options{true, true, true, true}, options{true, false, true, true}
	for range 3 {
		s.dial()
		check(1, with)
	}
	for _, change := range []struct {
		idle time.Duration
		want options
	}{{0, without}, {100 * time.Second, with}, {7 * time.Second, with}, {0, without}, {50 * time.Second, with}} {
		s.do(func() { // nothing is accepted meanwhile
			for range 5 {
				s.dial()
			}
			idle = change.idle
		})
		check(5, change.want)
		s.dial()
		check(1, change.want)
		s.do(func() {
			if in := s.lns[1].inherited; abstractSockets && (!in.set || in.before != 0 || in.idle != idle) {
				t.Errorf("the listening socket gives %+v", in)
			}
		})
	}
}

// The loop survives the end of evio: state, posts and timers are kept, the
// address stays, connections are closed.
func TestServeAgain(t *testing.T) {
	var closed atomic.Int32
	s := start(t, &testHandler{closed: func(*Conn, error) { closed.Add(1) }}, nil)
	addr := s.addrs[0].String()
	fired := make(chan struct{})
	s.do(func() { s.AfterFunc(300*time.Millisecond, func() { close(fired) }) })
	for round := range 3 {
		c := s.dial()
		roundTrip(t, c, "x")
		s.mu.Lock()
		syscall.Shutdown(s.wfd, syscall.SHUT_RDWR)
		s.mu.Unlock()
		if first := <-s.serve; first {
			t.Error("Serving says that it is the first")
		}
		s.do(func() {
			if got := s.addrs[0].String(); got != addr {
				t.Errorf("address %s, want %s", got, addr)
			}
		})
		if got, _ := io.ReadAll(c); len(got) != 0 || closed.Load() != int32(round+1) {
			t.Errorf("connection not closed: %q, %d", got, closed.Load())
		}
		roundTrip(t, s.dial(), "again")
		s.eventually("connections gone", func() bool { return s.Conns() == 1 })
		s.do(func() { s.Each(func(c *Conn) bool { c.CloseNow(); return true }) })
		s.eventually("connections gone", func() bool { return s.Conns() == 0 })
		closed.Store(int32(round + 1))
	}
	select {
	case <-fired:
	case <-time.After(patience):
		t.Error("a timer was lost")
	}
	if !strings.Contains(s.logs.String(), "serving again") {
		t.Errorf("log: %s", s.logs)
	}
}

// When the address is taken meanwhile, serving again waits for it.
func TestServeAgainWaitsForAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "s")
	os.Mkdir(filepath.Dir(path), 0o700)
	s := start(t, &testHandler{}, func(o *Options) { o.Addrs = []string{"unix://" + path} })
	s.mu.Lock()
	os.RemoveAll(filepath.Dir(path))
	syscall.Shutdown(s.wfd, syscall.SHUT_RDWR)
	s.mu.Unlock()
	for end := time.Now().Add(patience); !strings.Contains(s.logs.String(), "cannot listen again"); {
		if time.Now().After(end) {
			t.Fatal("no log:", s.logs)
		}
		time.Sleep(time.Millisecond)
	}
	os.Mkdir(filepath.Dir(path), 0o700)
	<-s.serve
	roundTrip(t, s.dial(), "x")
}

// Connections that are reset before they are accepted do not end the loop.
func TestResetBeforeAccept(t *testing.T) {
	s := start(t, &testHandler{}, nil)
	keep := s.dial()
	roundTrip(t, keep, "x")
	for range 5 {
		resume := make(chan struct{})
		s.Post(func() { <-resume })
		for range 100 {
			c, err := net.Dial("tcp4", s.addrs[0].String())
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "x")
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
		close(resume)
		roundTrip(t, keep, "y")
		roundTrip(t, s.dial(), "z")
	}
	if log := s.logs.String(); log != "" {
		t.Error(log)
	}
}

// While Listening runs peers can connect, and nothing of theirs is accepted; it is called once only.
func TestListening(t *testing.T) {
	var ready, calls atomic.Int32
	var early net.Conn
	h := &testHandler{opened: func(*Conn) bool {
		if ready.Load() == 0 {
			t.Error("a connection is accepted before Listening has returned")
		}
		return true
	}}
	s := start(t, h, func(o *Options) {
		o.Listening = func(addrs []net.Addr) {
			calls.Add(1)
			c, err := net.Dial("tcp", addrs[0].String())
			if err != nil {
				t.Error(err)
				return
			}
			early = c
			io.WriteString(c, "early")
			time.Sleep(20 * time.Millisecond) // the loop, did it run, would accept
			ready.Store(1)
		}
	})
	t.Cleanup(func() { early.Close() })
	var b [5]byte
	if _, err := io.ReadFull(early, b[:]); err != nil || string(b[:]) != "early" {
		t.Errorf("the early connection got %q, %v", b, err)
	}
	s.mu.Lock()
	syscall.Shutdown(s.wfd, syscall.SHUT_RDWR)
	s.mu.Unlock()
	<-s.serve
	roundTrip(t, s.dial(), "x")
	if calls.Load() != 1 {
		t.Errorf("Listening was called %d times", calls.Load())
	}
}

// A Shutdown in Listening ends Serve in order, and nobody was let in.
func TestShutdownWhileListening(t *testing.T) {
	var l *Loop
	var c net.Conn
	l, err := New(Options{
		Addrs:   []string{"tcp4://127.0.0.1:0"},
		Handler: &testHandler{opened: func(*Conn) bool { t.Error("accepted"); return true }},
		Logf:    func(f string, a ...any) { t.Errorf(f, a...) },
		Listening: func(addrs []net.Addr) {
			c, _ = net.Dial("tcp", addrs[0].String())
			l.Shutdown()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Serve(); err != nil {
		t.Error(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection got %d bytes, %v", n, err)
	}
}

// Relative socket paths belong to Options.Dir, also where the absolute path is longer than an address may be and the
// folder is the working directory.
func TestUnixPathInDir(t *testing.T) {
	dir := t.TempDir()
	start(t, &testHandler{}, func(o *Options) {
		o.Dir, o.Addrs = dir, []string{"unix://rel.sock"}
	})
	c, err := net.Dial("unix", filepath.Join(dir, "rel.sock"))
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c, "x")
	c.Close()

	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Dir: long, Addrs: []string{"unix://rel.sock"}, Handler: &testHandler{}}); err == nil {
		t.Error("a path that is too long is accepted")
	}
	t.Chdir(long)
	start(t, &testHandler{}, func(o *Options) {
		o.Dir, o.Addrs = long, []string{"unix://rel.sock"}
	})
	if c, err = net.Dial("unix", "rel.sock"); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c, "x")
	c.Close()
}

// The loop begins only when evio's Serve waits for its end: evio forgets the end of a loop for which nobody waits yet, and a
// shutdown right after the start of a busy machine hung.
func TestAwaitServe(t *testing.T) {
	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	head, gate := make(chan string), make(chan struct{})
	go func() {
		head <- goroutineHead()
		<-gate
		mu.Lock()
		cond.Wait()
		mu.Unlock()
	}()
	l := &Loop{serveHead: <-head}
	returned := make(chan struct{})
	go func() {
		l.awaitServe()
		close(returned)
	}()
	select {
	case <-returned:
		t.Fatal("not awaited")
	case <-time.After(50 * time.Millisecond):
	}
	close(gate)
	<-returned
	mu.Lock()
	cond.Signal()
	mu.Unlock()

	// So it is with evio's.
	for range 20 {
		var l *Loop
		l, err := New(Options{Addrs: []string{"tcp4://127.0.0.1:0"}, Handler: &testHandler{}, Serving: func([]net.Addr, bool) {
			buf := make([]byte, 1<<20)
			list := string(buf[:runtime.Stack(buf, true)])
			if _, stack, _ := strings.Cut(list, l.serveHead+"[sync.Cond.Wait"); !strings.Contains(stack, "evio.(*server).waitForShutdown") {
				t.Errorf("evio's Serve does not wait:\n%s", list)
			}
			l.Shutdown()
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Serve(); err != nil {
			t.Fatal(err)
		}
	}
}
