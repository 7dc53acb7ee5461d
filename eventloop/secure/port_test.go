package secure

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ferrous/eventloop"
	"ferrous/tests/harness"
)

// echo sends back what comes, and does what the first byte of a packet asks for.
type echo struct {
	conns  atomic.Int64
	closed atomic.Int64
	push   atomic.Pointer[eventloop.Conn] // the last one that was opened
	last   atomic.Pointer[eventloop.Conn] // that sent something
}

func (e *echo) Opened(c *eventloop.Conn) bool {
	e.conns.Add(1)
	e.push.Store(c)
	return true
}

func (e *echo) Data(c *eventloop.Conn, in []byte) {
	e.last.Store(c)
	c.Send(in)
	if bytes.HasPrefix(in, []byte("quit")) {
		c.Send(bytes.Repeat([]byte("bye "), 1<<20))
		c.CloseAfterSend()
	}
}

func (e *echo) Closed(*eventloop.Conn, error) { e.closed.Add(1) }
func (e *echo) Flush()                        {}

// rig is a loop with a port.
type rig struct {
	*echo
	loop     *eventloop.Loop
	port     *Port
	addr     string
	settings Settings
	ca       *harness.Authority
	failed   atomic.Int64
	peers    chan net.Conn // of connections that the loop has dialled
}

// do runs fn on the loop and waits for it.
func (r *rig) do(fn func()) {
	done := make(chan struct{})
	r.loop.Post(func() { fn(); close(done) })
	<-done
}

func newRig(t testing.TB, change func(*Settings)) *rig {
	t.Helper()
	r := &rig{echo: new(echo), ca: harness.NewAuthority(t), peers: make(chan net.Conn, 1)}
	cert, key := r.ca.Issue("server", "server")
	r.settings = Settings{CertFile: cert, KeyFile: key, CACertFile: r.ca.File, SessionCaching: true}
	if change != nil {
		change(&r.settings)
	}
	ctx, err := Load(r.settings, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if r.loop, err = eventloop.New(eventloop.Options{Handler: r}); err != nil {
		t.Fatal(err)
	}
	r.port = NewPort(ctx, Options{Join: func(s *Stream, joined func()) { r.loop.Join(s); r.loop.Post(joined) }, Most: func() int { return 10_000 },
		Failed: func(string, string, error, int64) { r.failed.Add(1) }})
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = free.Addr().String()
	free.Close()
	if err := r.port.Listen([]string{"tcp4://" + r.addr}, 511); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.loop.Serve() }()
	t.Cleanup(func() {
		_ = r.port.Listen(nil, 0)
		r.loop.Shutdown()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) dial(t testing.TB, cfg *tls.Config) *tls.Conn {
	t.Helper()
	if cfg == nil {
		cfg = r.ca.Client("", "")
	}
	c, err := tls.Dial("tcp", r.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// roundTrip sends and expects the same.
func roundTrip(t testing.TB, c io.ReadWriter, msg []byte) {
	t.Helper()
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
		t.Fatalf("%d bytes did not come back: %v", len(msg), err)
	}
}

// eventually polls for a state.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

func TestEcho(t *testing.T) {
	r := newRig(t, nil)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for i := range 8 {
		c := r.dial(t, nil)
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range 60 {
				msg := make([]byte, 1+rnd.IntN(1<<rnd.IntN(18)))
				for j := range msg {
					msg[j] = 'A' + byte(rnd.IntN(26))
				}
				roundTrip(t, c, msg)
			}
		})
	}
	wg.Wait()
}

// A client that sends a long pipeline before it reads anything is served: nobody waits for the other.
func TestPipelineBeforeReading(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t, nil)
	msg := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB, more than the sockets hold
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
		t.Fatalf("it did not come back: %v", err)
	}
}

// What the server sends by itself arrives, also to a client that has been silent for long; and that one is heard again.
func TestPushToSilent(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t, nil)
	roundTrip(t, c, []byte("x"))
	time.Sleep(2*time.Second + 500*time.Millisecond) // its buffer has been given back
	for range 3 {
		msg := bytes.Repeat([]byte("p"), 100_000)
		r.loop.Post(func() { r.push.Load().Send(msg) })
		got := make([]byte, len(msg))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
			t.Fatal(err)
		}
		roundTrip(t, c, []byte("y"))
	}
}

// All output arrives before the end, which is a close_notify.
func TestCloseAfterSend(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t, nil)
	if _, err := io.WriteString(c, "quit"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // a slow reader
	got, err := io.ReadAll(c)
	if err != nil || len(got) != 4+4<<20 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	c.Close()
	eventually(t, "it is closed", func() bool { return r.closed.Load() == 1 })
}

// Peers that are no clients are refused, harm nobody and are forgotten.
func TestNoHandshake(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.AuthClients = AuthYes })
	good := r.dial(t, func() *tls.Config { cert, key := r.ca.Issue("c", "c"); return r.ca.Client(cert, key) }())
	roundTrip(t, good, []byte("x"))
	stranger := harness.NewAuthority(t)
	scert, skey := stranger.Issue("c", "c")
	for name, peer := range map[string]func(c net.Conn) error{
		"RESP":    func(c net.Conn) error { _, err := io.WriteString(c, "*1\r\n$4\r\nPING\r\n"); return err },
		"garbage": func(c net.Conn) error { _, err := io.WriteString(c, strings.Repeat("\xff\x00", 5000)); return err },
		"a torn record": func(c net.Conn) error {
			_, err := io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
			c.(*net.TCPConn).CloseWrite()
			return err
		},
		"no certificate":    func(c net.Conn) error { tls.Client(c, r.ca.Client("", "")).Handshake(); return nil },
		"one of a stranger": func(c net.Conn) error { tls.Client(c, r.ca.Client(scert, skey)).Handshake(); return nil },
	} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		if err := peer(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
	if n := r.port.Failures(); n != 5 {
		t.Errorf("%d failures are counted", n)
	}
	// Half-open ones.
	before := r.conns.Load()
	var open []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	roundTrip(t, good, []byte("x"))
	if r.conns.Load() != before {
		t.Error("a connection without a handshake is a client")
	}
	for _, c := range open {
		c.Close()
	}
	eventually(t, "they are forgotten", func() bool { return r.port.open.Load() == 0 })
	roundTrip(t, good, []byte("x"))
}

// New certificates are for new connections; the old ones go on.
func TestRotation(t *testing.T) {
	r := newRig(t, nil)
	old := r.dial(t, nil)
	subject := func(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].Subject.CommonName }
	ctx := r.port.Context()
	if ctx.Changed() {
		t.Error("nothing has changed")
	}
	r.ca.Issue("server", "another")
	if !ctx.Changed() {
		t.Fatal("the change is not seen")
	}
	fresh, err := Load(ctx.Settings(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.port.Use(fresh)
	c := r.dial(t, nil)
	roundTrip(t, old, []byte("x"))
	roundTrip(t, c, []byte("x"))
	if subject(old) != "server" || subject(c) != "another" {
		t.Errorf("%s, %s", subject(old), subject(c))
	}
}

// The end of the loop ends them all.
func TestEndOfLoop(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial(t, nil)
	roundTrip(t, c, []byte("x"))
	r.loop.Shutdown()
	if got, err := io.ReadAll(c); len(got) != 0 || err == nil {
		t.Logf("%q, %v", got, err) // an end without notice, as a crash would be
	}
	eventually(t, "it is closed", func() bool { return r.closed.Load() == 1 })
}

// A loop dials with TLS: it gets the input, can stop and resume reading, and gets the end also while reading is stopped.
func TestDial(t *testing.T) {
	r := newRig(t, nil)
	cert, err := tls.LoadX509KeyPair(r.settings.CertFile, r.settings.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dial := func(ctx *Context) error {
		got := make(chan error, 1)
		wrap := func(c context.Context, tcp *net.TCPConn) (eventloop.Stream, error) {
			s, err := ctx.Dial(c, tcp)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
		r.loop.Post(func() {
			r.loop.Dial(eventloop.Dialing{Addr: ln.Addr().String(), Timeout: time.Minute, Wrap: wrap}, func(_ *eventloop.Conn, err error) { got <- err })
		})
		go func() {
			if c, err := ln.Accept(); err == nil {
				if c.(*tls.Conn).Handshake() != nil {
					c.Close()
					return
				}
				r.peers <- c
			}
		}()
		return <-got
	}
	if err := dial(r.port.Context()); err != nil {
		t.Fatal(err)
	}
	peer := <-r.peers
	defer peer.Close()
	peer.SetDeadline(time.Now().Add(time.Minute))
	roundTrip(t, peer, []byte("hello"))
	conn := r.last.Load()
	if !conn.Dialled() || conn.RemoteAddr() != ln.Addr().String() || conn.LocalAddr() != peer.RemoteAddr().String() {
		t.Errorf("from %s to %s", conn.LocalAddr(), conn.RemoteAddr())
	}
	r.do(conn.StopReading)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	sent := make(chan error, 1)
	go func() { _, err := peer.Write(large); sent <- err }()
	select {
	case <-sent:
		t.Error("16 MiB were read although nothing was to be")
	case <-time.After(300 * time.Millisecond):
	}
	r.do(conn.ResumeReading)
	got := make([]byte, len(large))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, large) || <-sent != nil {
		t.Fatalf("it did not come back: %v", err)
	}
	// Held back, and closed from here.
	closed := r.closed.Load()
	r.do(conn.StopReading)
	r.do(conn.CloseNow)
	eventually(t, "it is closed", func() bool { return r.closed.Load() == closed+1 })
	// Reading is stopped, and the peer closes or resets the connection: the loop gets the end when it reads again.
	for _, linger := range []int{-1, 0} {
		if err := dial(r.port.Context()); err != nil {
			t.Fatal(err)
		}
		peer := <-r.peers
		roundTrip(t, peer, []byte("hello"))
		conn := r.last.Load()
		r.do(conn.StopReading)
		closed := r.closed.Load()
		peer.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(linger)
		peer.(*tls.Conn).NetConn().Close()
		time.Sleep(20 * time.Millisecond)
		r.do(conn.ResumeReading)
		eventually(t, "it is closed", func() bool { return r.closed.Load() == closed+1 })
	}
	// A stranger is not believed.
	settings := r.settings
	settings.CACertFile = harness.NewAuthority(t).File
	ctx, err := Load(settings, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := dial(ctx); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("a master of another authority: %v", err)
	}
}

func FuzzAccept(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x05hello"))
	f.Add([]byte("PING\r\n"))
	ca := harness.NewAuthority(f)
	cert, key := ca.Issue("server", "server")
	ctx, err := Load(Settings{CertFile: cert, KeyFile: key}, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	p := NewPort(ctx, Options{Join: func(s *Stream, joined func()) { s.Close(); joined() }, Most: func() int { return 100 }, Failed: func(string, string, error, int64) {}})
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	go p.accept(ln)
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		c.Write(in)
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
	})
}

// FuzzRecords sends bytes in the place of records, after the handshake. The client has them for itself: another one is served.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x17\x03\x03\x00\x05hello"), false)
	f.Add([]byte("\x15\x03\x03\x00\x02\x01\x00"), true)
	f.Add([]byte("\x16\x03\x03\x00\x04\x00\x00\x00\x00"), true)
	r := newRig(f, nil)
	good := r.dial(f, nil)
	good.SetDeadline(time.Time{})
	f.Fuzz(func(t *testing.T, in []byte, old bool) {
		cfg := r.ca.Client("", "")
		if old {
			cfg.MaxVersion = tls.VersionTLS12
		}
		c := r.dial(t, cfg)
		roundTrip(t, c, []byte("x"))
		wire := c.NetConn()
		wire.Write(in)
		wire.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, wire); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		c.Close()
		roundTrip(t, good, []byte("y"))
	})
}

// What gathers for a peer that does not read is bounded, also where crypto/tls answers by itself, as it does to a request for new
// keys.
func TestWaitingIsBounded(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1])
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	w := &wire{fd: fds[0]}
	defer w.Close()
	answer := make([]byte, 1<<10)
	most := 0
	for range 4 * maxWaiting / len(answer) {
		if _, err = w.Write(answer); err != nil {
			break
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		most = max(most, len(w.out))
	}
	if err != syscall.ENOBUFS || most > maxWaiting {
		t.Errorf("%v, and %d bytes waited", err, most)
	}
	w.drop()
}
