package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// handshakeTime bounds how long a peer that has connected may take until it is a client.
const handshakeTime = 10 * time.Second

// Port accepts on addresses and shakes hands. Its methods may be called by any goroutine.
type Port struct {
	opt  Options
	ctx  atomic.Pointer[Context]
	open atomic.Int64 // connections that are no clients yet

	mu  sync.Mutex
	lns map[string]net.Listener

	failures atomic.Int64
	refused  atomic.Int64
	logged   atomic.Int64 // when a failure was logged, Unix seconds
	unlogged atomic.Int64
}

// Options are what a Port needs.
type Options struct {
	// Join takes a connection that has shaken hands. It calls joined when the connection counts as a client.
	Join func(s *Stream, joined func())
	// Most is asked how many connections may be there that are no clients yet; further ones are closed, so that
	// half-open ones do not take the descriptors of others.
	Most func() int
	// Failed is called for failed handshakes, at most once a second; more is how many others failed since the last call.
	Failed func(peer, local string, err error, more int64)
}

// NewPort makes a Port that listens nowhere yet.
func NewPort(c *Context, o Options) *Port {
	p := &Port{opt: o, lns: make(map[string]net.Listener)}
	p.ctx.Store(c)
	return p
}

// Use has new connections made with c.
func (p *Port) Use(c *Context) { p.ctx.Store(c) }

// Context returns what new connections are made with.
func (p *Port) Context() *Context { return p.ctx.Load() }

// Failures returns how many handshakes have failed since ResetCounts.
func (p *Port) Failures() int64 { return p.failures.Load() }

// Refused returns how many connections there was no room for since ResetCounts.
func (p *Port) Refused() int64 { return p.refused.Load() }

// ResetCounts sets both back.
func (p *Port) ResetCounts() {
	p.failures.Store(0)
	p.refused.Store(0)
}

// Listen listens on these addresses ("tcp4://127.0.0.1:6379") and no others; backlog is as listen(2) takes it. If one fails
// all stays as it was.
func (p *Port) Listen(addrs []string, backlog int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := make(map[string]net.Listener)
	for _, a := range addrs {
		if p.lns[a] != nil || fresh[a] != nil {
			continue
		}
		network, host := cutAddr(a)
		lc := net.ListenConfig{KeepAlive: -1}
		lc.SetMultipathTCP(false)
		ln, err := lc.Listen(context.Background(), network, host)
		if err != nil {
			for _, ln := range fresh {
				ln.Close()
			}
			return err
		}
		if raw, err := ln.(*net.TCPListener).SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), backlog) }) // else as many wait as the kernel allows
		}
		fresh[a] = ln
	}
	for a, ln := range p.lns {
		keep := false
		for _, b := range addrs {
			keep = keep || a == b
		}
		if !keep {
			ln.Close()
			delete(p.lns, a)
		}
	}
	for a, ln := range fresh {
		p.lns[a] = ln
		go p.accept(ln)
	}
	return nil
}

func cutAddr(a string) (network, host string) {
	for i := range a {
		if a[i] == ':' {
			return a[:i], a[i+len("://"):]
		}
	}
	return "tcp", a
}

func (p *Port) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors, most likely
			p.fail("?", ln.Addr().String(), err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if p.open.Add(1) > int64(p.opt.Most()) {
			p.open.Add(-1)
			p.refused.Add(1)
			nc.Close()
			continue
		}
		go p.shake(nc.(*net.TCPConn))
	}
}

// shake makes a stream of a connection.
func (p *Port) shake(tcp *net.TCPConn) {
	done := func() { p.open.Add(-1) }
	tcp.SetDeadline(time.Now().Add(handshakeTime))
	var s *Stream
	err := awaitInput(tcp)
	if err == nil {
		s = newStream(tcp, tls.Server, p.ctx.Load().server)
		err = s.tls.Handshake()
	}
	if err != nil {
		p.fail(tcp.RemoteAddr().String(), tcp.LocalAddr().String(), err)
		tcp.Close()
		done()
		return
	}
	if err := s.detach(); err != nil { // no descriptors
		p.fail(s.peer.String(), "?", err)
		done()
		return
	}
	p.opt.Join(s, done)
}

// fail counts a handshake that failed. Peers that only look whether the port is open are none.
func (p *Port) fail(peer, local string, err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	p.failures.Add(1)
	now := time.Now().Unix()
	if last := p.logged.Load(); now == last || !p.logged.CompareAndSwap(last, now) {
		p.unlogged.Add(1)
		return
	}
	p.opt.Failed(peer, local, err, p.unlogged.Swap(0))
}

// Dial makes a stream of a connection to another server. On an error the connection is closed.
func (c *Context) Dial(ctx context.Context, tcp *net.TCPConn) (*Stream, error) {
	s := newStream(tcp, tls.Client, c.client)
	if err := s.tls.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, err
	}
	if err := s.detach(); err != nil {
		return nil, err
	}
	return s, nil
}

// Client shakes hands on a connection to another server, within the time, for those who read and write it themselves. On an
// error the connection is closed.
func (c *Context) Client(conn net.Conn, within time.Duration) (net.Conn, error) {
	out := tls.Client(conn, c.client)
	err := conn.SetDeadline(time.Now().Add(within))
	if err == nil {
		err = out.Handshake()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return out, nil
}
