package eventloop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/evio"
)

// testHandler calls its fields; a nil field does the obvious.
type testHandler struct {
	opened func(c *Conn) bool
	data   func(c *Conn, in []byte)
	closed func(c *Conn, err error)
	flush  func()
}

func (h *testHandler) Opened(c *Conn) bool {
	return h.opened == nil || h.opened(c)
}

func (h *testHandler) Data(c *Conn, in []byte) {
	if h.data == nil {
		c.Send(in)
		return
	}
	h.data(c, in)
}

func (h *testHandler) Closed(c *Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}

func (h *testHandler) Flush() {
	if h.flush != nil {
		h.flush()
	}
}

// server is a running loop.
type server struct {
	*Loop
	t     testing.TB
	addrs []net.Addr
	done  chan error
	serve chan bool // first of each Serving
	logs  *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *logBuffer) logf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(&b.b, format+"\n", args...)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a loop for the test, by default on a free port of the loopback.
func start(t testing.TB, h Handler, change func(o *Options)) *server {
	t.Helper()
	s := &server{t: t, done: make(chan error, 1), serve: make(chan bool, 16), logs: new(logBuffer)}
	o := Options{Addrs: []string{"tcp4://127.0.0.1:0"}, Handler: h, Logf: s.logs.logf}
	if change != nil {
		change(&o)
	}
	o.Serving = func(a []net.Addr, first bool) {
		s.addrs = a
		s.serve <- first
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Loop = l
	go func() { s.done <- l.Serve() }()
	select {
	case first := <-s.serve:
		if !first {
			t.Fatal("first Serving says that it is not the first")
		}
	case err := <-s.done:
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(func() {
		l.Shutdown()
		select {
		case err := <-s.done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not return")
		}
	})
	return s
}

func (s *server) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial(s.addrs[0].Network(), s.addrs[0].String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// patience is how long tests wait for what must come: far longer than a busy machine needs.
const patience = time.Minute

// do runs fn on the loop and waits for it.
func (s *server) do(fn func()) {
	s.t.Helper()
	done := make(chan struct{})
	s.Post(func() { fn(); close(done) })
	select {
	case <-done:
	case <-time.After(patience):
		s.t.Fatal("the loop does not run what was posted")
	}
}

// eventually waits until fn, run on the loop, is true.
func (s *server) eventually(what string, fn func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var ok bool
		s.do(func() { ok = fn() })
		if ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("not reached: %s", what)
		}
	}
}

func roundTrip(t testing.TB, c net.Conn, msg string) {
	t.Helper()
	if _, err := io.WriteString(c, msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != msg {
		t.Fatalf("got %q, want %q", got, msg)
	}
}

func TestEcho(t *testing.T) {
	var opened, closed atomic.Int32
	sock := filepath.Join(t.TempDir(), "s")
	s := start(t, &testHandler{
		opened: func(c *Conn) bool { opened.Add(1); return true },
		closed: func(c *Conn, err error) {
			if err != nil {
				t.Errorf("Closed: %v", err)
			}
			if c.FD() != -1 || !c.Closing() {
				t.Error("a closed connection looks open")
			}
			c.Send([]byte("x"))
			c.CloseNow()
			c.CloseAfterSend()
			c.Unhold()
			closed.Add(1)
		},
	}, func(o *Options) { o.Addrs = append(o.Addrs, "tcp4://127.0.0.1:0", "unix://"+sock) })
	if len(s.addrs) != 3 {
		t.Fatalf("addresses: %v", s.addrs)
	}
	for i := range s.addrs {
		c, err := net.Dial(s.addrs[i].Network(), s.addrs[i].String())
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c, "hello")
		roundTrip(t, c, strings.Repeat("0123456789", 10000))
		s.do(func() {
			if s.Conns() != 1 {
				t.Errorf("Conns = %d", s.Conns())
			}
			s.Each(func(sc *Conn) bool {
				want, local := c.LocalAddr().String(), c.RemoteAddr().String()
				if i == 2 {
					want, local = sock+":0", sock+":0"
				}
				if sc.RemoteAddr() != want || sc.LocalAddr() != local || sc.IsUnix() != (i == 2) || sc.IsTCP() == (i == 2) {
					t.Errorf("addresses %q %q, want %q %q", sc.RemoteAddr(), sc.LocalAddr(), want, local)
				}
				return true
			})
		})
		c.Close()
		s.eventually("connection closed", func() bool { return s.Conns() == 0 })
	}
	if opened.Load() != 3 || closed.Load() != 3 {
		t.Fatalf("opened %d, closed %d", opened.Load(), closed.Load())
	}
	if s.Rounds() < 6 {
		t.Errorf("Rounds = %d", s.Rounds())
	}
}

func TestIPv6Address(t *testing.T) {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6:", err)
	}
	ln.Close()
	got := make(chan string, 1)
	s := start(t, &testHandler{opened: func(c *Conn) bool { got <- c.RemoteAddr() + " " + c.LocalAddr(); return true }},
		func(o *Options) { o.Addrs = []string{"tcp6://[::1]:0"} })
	c := s.dial()
	if want := c.LocalAddr().String() + " " + c.RemoteAddr().String(); want != <-got {
		t.Errorf("want %s", want)
	}
}

// A client that sends far more than the sockets hold before it reads anything
// gets every reply: input is read on while output waits.
func TestPipelineBeforeReading(t *testing.T) {
	reply := bytes.Repeat([]byte("v"), 1024)
	s := start(t, &testHandler{data: func(c *Conn, in []byte) {
		for range bytes.Count(in, []byte{'\n'}) {
			c.Send(reply)
		}
	}}, nil)
	c := s.dial()
	n := 300_000
	if raceEnabled || testing.Short() {
		n = 100_000
	}
	req := bytes.Repeat([]byte("GET key:000000000001\r\n"), 1000)
	for range n / 1000 {
		if _, err := c.Write(req); err != nil {
			t.Fatal(err)
		}
	}
	var queued, mem, chunks int
	s.eventually("all requests handled", func() bool {
		s.Each(func(c *Conn) bool { queued, mem, chunks = c.Queued(), c.QueuedMem(), c.QueuedChunks(); return true })
		return queued > n*len(reply)-(32<<20)
	})
	if mem < queued || mem > queued+queued/8+2<<20 || chunks > queued/(512<<10)+32 {
		t.Errorf("queue of %d bytes: %d bytes of memory, %d chunks", queued, mem, chunks)
	}
	got, err := io.CopyN(io.Discard, c, int64(n*len(reply)))
	if err != nil {
		t.Fatalf("after %d bytes: %v", got, err)
	}
	s.eventually("queue released", func() bool {
		ok := true
		s.Each(func(c *Conn) bool { ok = c.Queued() == 0 && c.QueuedMem() == 0 && c.QueuedChunks() == 0; return true })
		return ok
	})
}

// What is sent through queue, owned slices, holds and a slow reader arrives in
// order and unchanged.
func TestSlowReaderKeepsOrder(t *testing.T) {
	const total = 24 << 20
	s := start(t, &testHandler{data: func(c *Conn, in []byte) {
		var b []byte
		x := uint32(1)
		size, sent := 1, 0
		for i := 0; sent < total; i++ {
			size = size*5%1_000_003 + 1
			if i%3 == 0 {
				size %= 2000
			}
			b = append(b[:0], make([]byte, min(size, total-sent))...)
			for j := range b {
				x = x*1664525 + 1013904223
				b[j] = byte(x >> 24)
			}
			sent += len(b)
			switch i % 7 {
			case 1:
				c.SendOwned(bytes.Clone(b))
			case 2:
				c.Hold()
				c.Send(b)
			case 4:
				c.Send(b)
				c.Unhold()
			case 5, 6:
				cut := min(len(b), 1+i%50)
				end := max(len(b)-i%3, cut)
				c.SendShared(bytes.Clone(b[:cut]), bytes.Clone(b[cut:end]), b[end:])
			default:
				c.Send(b)
			}
		}
		c.Unhold()
		c.CloseAfterSend()
		c.Send([]byte("dropped"))
	}}, nil)
	c := s.dial()
	c.(*net.TCPConn).SetReadBuffer(32 << 10)
	io.WriteString(c, "go")
	x, n := uint32(1), 0
	buf := make([]byte, 300_000)
	for i := 0; ; i++ {
		if i < 20 {
			time.Sleep(2 * time.Millisecond)
		}
		k, err := c.Read(buf)
		for j := range k {
			x = x*1664525 + 1013904223
			if buf[j] != byte(x>>24) {
				t.Fatalf("byte %d differs", n+j)
			}
		}
		n += k
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != total {
		t.Fatalf("%d bytes of %d", n, total)
	}
}

// A client that never reads costs others nothing.
func TestNeverReaderHurtsNobody(t *testing.T) {
	big := make([]byte, 64<<20)
	var never *Conn
	s := start(t, &testHandler{data: func(c *Conn, in []byte) {
		if in[0] == 'B' {
			never = c
			c.SendOwned(big)
			return
		}
		c.Send(in)
	}}, nil)
	stuck := s.dial()
	io.WriteString(stuck, "B")
	s.eventually("the reply waits", func() bool { return never != nil })
	c := s.dial()
	roundTrip(t, c, "x")
	for range 200 {
		roundTrip(t, c, "x") // it would never end if the loop waited for the other
	}
	s.do(func() {
		if s.Rounds() < 200 {
			t.Errorf("Rounds = %d", s.Rounds())
		}
		if n := never.Queued(); n == 0 || n > len(big) {
			t.Errorf("%d bytes wait for the client that does not read", n)
		}
	})
}

// Held replies leave in the flush phase, in the order in which they were sent.
func TestHoldAndFlush(t *testing.T) {
	var held []*Conn
	var flushes, asked int
	var s *server
	h := &testHandler{}
	h.data = func(c *Conn, in []byte) {
		if c.Held() {
			c.Send(in)
			return
		}
		c.Hold()
		c.Send(in)
		held = append(held, c)
		s.RequestFlush()
		s.RequestFlush()
		asked++
		if c.Queued() != len(in) {
			t.Errorf("%d bytes queued, want %d", c.Queued(), len(in))
		}
	}
	h.flush = func() {
		flushes++
		for _, c := range held {
			c.Unhold()
		}
		held = held[:0]
	}
	s = start(t, h, nil)
	var wg sync.WaitGroup
	for range 20 {
		c := s.dial()
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 200 {
				msg := fmt.Sprintf("%d:%s\n", i, strings.Repeat("y", i))
				if _, err := io.WriteString(c, msg); err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, len(msg))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != msg {
					t.Errorf("got %q %v, want %q", got, err, msg)
					return
				}
			}
		}()
	}
	wg.Wait()
	s.do(func() {
		if flushes == 0 || flushes > asked {
			t.Errorf("%d flushes for %d requests", flushes, asked)
		}
	})
}

// A flush that is asked for in a posted function, or in the flush phase, comes.
func TestFlushFromEverywhere(t *testing.T) {
	n := make(chan int, 8)
	var s *server
	var flushes int
	ready := make(chan struct{})
	s = start(t, &testHandler{flush: func() {
		<-ready
		flushes++
		if flushes == 1 {
			s.RequestFlush()
		}
		n <- flushes
	}}, nil)
	close(ready)
	s.Post(func() { s.RequestFlush() })
	for want := 1; want <= 2; want++ {
		select {
		case got := <-n:
			if got != want {
				t.Fatalf("flush %d, want %d", got, want)
			}
		case <-time.After(patience):
			t.Fatal("no flush phase")
		}
	}
}

func TestCloseAfterSendDeliversAll(t *testing.T) {
	for _, sending := range []bool{false, true} {
		t.Run(fmt.Sprintf("peer still sending %v", sending), func(t *testing.T) {
			out := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
			var calls atomic.Int32
			closed := make(chan error, 1)
			s := start(t, &testHandler{
				data: func(c *Conn, in []byte) {
					calls.Add(1)
					c.Send(out)
					c.CloseAfterSend()
					if !c.Closing() {
						t.Error("not closing")
					}
				},
				closed: func(c *Conn, err error) { closed <- err },
			}, nil)
			c := s.dial()
			io.WriteString(c, "x")
			if sending {
				junk := make([]byte, 100_000)
				for range 10 {
					c.Write(junk)
				}
			}
			time.Sleep(20 * time.Millisecond)
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, out) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(out), err)
			}
			c.Close()
			select {
			case err := <-closed:
				if err != nil && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("Closed: %v", err)
				}
			case <-time.After(patience):
				t.Fatal("not closed")
			}
			if calls.Load() != 1 {
				t.Errorf("%d calls of Data", calls.Load())
			}
		})
	}
}

func TestCloseNow(t *testing.T) {
	var first *Conn
	var afterClose atomic.Int32
	closed := make(chan *Conn, 4)
	s := start(t, &testHandler{
		data: func(c *Conn, in []byte) {
			switch {
			case c.Closing():
				afterClose.Add(1)
			case first == nil:
				first = c
				c.Send([]byte("ok"))
			case in[0] == 'k':
				first.CloseNow()
				first.CloseNow()
				first.Send([]byte("dropped"))
				c.Send([]byte("ok"))
			case in[0] == 's':
				c.Hold()
				c.Send([]byte("dropped"))
				c.CloseNow()
				c.Unhold()
			}
		},
		closed: func(c *Conn, err error) {
			if err != nil {
				t.Errorf("Closed: %v", err)
			}
			closed <- c
		},
	}, nil)
	a, b := s.dial(), s.dial()
	read := func(c net.Conn) string {
		var buf [16]byte
		n, _ := c.Read(buf[:])
		return string(buf[:n])
	}
	io.WriteString(a, "x")
	if got := read(a); got != "ok" {
		t.Fatal(got)
	}
	io.WriteString(b, "k")
	if got := read(b); got != "ok" {
		t.Fatal(got)
	}
	if got, _ := io.ReadAll(a); len(got) != 0 {
		t.Fatalf("got %q from a closed connection", got)
	}
	if c := <-closed; c != first {
		t.Error("another connection was closed")
	}
	io.WriteString(b, "s")
	if got, _ := io.ReadAll(b); len(got) != 0 {
		t.Fatalf("got %q from a closed connection", got)
	}
	<-closed
	if afterClose.Load() != 0 {
		t.Error("Data after CloseNow")
	}
}

// A peer that is gone while output is queued closes the connection.
func TestPeerGoneWhileQueued(t *testing.T) {
	big := make([]byte, 32<<20)
	closed := make(chan error, 1)
	s := start(t, &testHandler{
		data:   func(c *Conn, in []byte) { c.SendOwned(big) },
		closed: func(c *Conn, err error) { closed <- err },
	}, nil)
	c := s.dial()
	io.WriteString(c, "x")
	s.eventually("output queued", func() bool {
		n := 0
		s.Each(func(c *Conn) bool { n = c.Queued(); return true })
		return n > 0
	})
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	select {
	case err := <-closed:
		if err == nil {
			t.Error("no error for a connection that was reset")
		}
	case <-time.After(patience):
		t.Fatal("not closed")
	}
}

// A refused client reads why, even if it has sent something already.
func TestRefuse(t *testing.T) {
	const text = "-ERR max number of clients reached\r\n"
	for _, n := range []int{1, 60} {
		s := start(t, &testHandler{
			opened: func(c *Conn) bool { c.Send([]byte(text)); return false },
			data:   func(c *Conn, in []byte) { t.Error("Data of a refused connection") },
			closed: func(c *Conn, err error) { t.Error("Closed of a refused connection") },
		}, nil)
		resume := make(chan struct{})
		s.Post(func() { <-resume })
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = s.dial()
			io.WriteString(conns[i], "PING\r\n")
		}
		close(resume)
		for _, c := range conns {
			got, err := io.ReadAll(c)
			if string(got) != text || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		s.do(func() {
			if s.Conns() != 0 {
				t.Errorf("Conns = %d", s.Conns())
			}
		})
	}
}

func TestSendAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := start(t, &testHandler{}, nil)
	c := s.dial()
	roundTrip(t, c, "x")
	buf := make([]byte, 64)
	var direct, held float64
	s.do(func() {
		s.Each(func(sc *Conn) bool {
			direct = testing.AllocsPerRun(1000, func() { sc.Send(buf) })
			held = testing.AllocsPerRun(1000, func() { sc.Hold(); sc.Send(buf); sc.Unhold() })
			return true
		})
	})
	if direct != 0 || held != 0 {
		t.Errorf("allocations: direct %v, held %v", direct, held)
	}
}

// fakeConn is what evio hands to an event.
type fakeConn struct {
	evio.Conn
	ctx any
}

func (c *fakeConn) Context() any { return c.ctx }

type nopHandler struct{ testHandler }

func (*nopHandler) Data(*Conn, []byte) {}

// What this package adds to an event of evio.
func BenchmarkData(b *testing.B) {
	l := idleLoop(b)
	l.h = &nopHandler{}
	ec := &fakeConn{ctx: &Conn{loop: l}}
	in := []byte("x")
	b.ReportAllocs()
	for b.Loop() {
		l.data(ec, in)
	}
}

func TestIdleConnectionIsSmall(t *testing.T) {
	if n := reflect.TypeFor[Conn]().Size(); n > 64 {
		t.Errorf("a Conn has %d bytes", n)
	}
}
