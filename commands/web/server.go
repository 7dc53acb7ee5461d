package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// MaxConns is how many connections there may be, of both kinds.
	MaxConns = 32
	// MaxFiles is how many descriptors a Server needs at most, with its listeners.
	MaxFiles = MaxConns + 8

	headerTimeout = 5 * time.Second  // for a whole request
	writeTimeout  = 20 * time.Second // for asking and answering
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10
	tooSlow       = 5 * time.Second // an answer that takes longer makes room for others
	askTimeout    = 10 * time.Second
)

// Options configure a Server.
type Options struct {
	Source Source
	// Logf receives messages for the operator. Any goroutine calls it.
	Logf func(format string, args ...any)
}

// A Server answers HTTP. All methods may be called from any goroutine.
type Server struct {
	opt    Options
	cookie string // name; servers on one host have one each, since ports share cookies
	logins sessions

	mu        sync.Mutex
	started   bool
	closed    bool
	password  string // metrics-password
	listeners []net.Listener
	conns     map[*conn]struct{}
	incoming  chan net.Conn
	quit      chan struct{} // closed by Close
	http      *http.Server
}

// New makes a Server that does nothing yet.
func New(o Options) *Server {
	var id [4]byte
	rand.Read(id[:])
	s := &Server{opt: o, cookie: "ferrous_session_" + hex.EncodeToString(id[:]), conns: make(map[*conn]struct{}),
		incoming: make(chan net.Conn), quit: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadTimeout:       headerTimeout,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // it tells what peers do wrong
		ConnState:         func(c net.Conn, state http.ConnState) { c.(*conn).note(state) },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	return s
}

type connKey struct{}

// conn is a connection of the Server.
type conn struct {
	net.Conn
	server *Server
	head   []byte       // bytes that have been read already
	via    net.Listener // of metrics-port; nil: adopted
	once   sync.Once

	// Guarded by Server.mu.
	answering bool      // a request is being answered
	since     time.Time // when it was opened, or its request came
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.server.mu.Lock()
		delete(c.server.conns, c)
		c.server.mu.Unlock()
	})
	return c.Conn.Close()
}

func (c *conn) note(state http.ConnState) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	switch state {
	case http.StateActive: // with the first byte of a request: that it is whole is noted by answer
	case http.StateIdle, http.StateNew:
		c.answering, c.since = false, time.Now()
	}
}

// SetPassword sets metrics-password, "" for none.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// Listen listens on these TCP addresses, host:port, instead of those that it listens on now; none ends listening. The networks are
// tcp4 or tcp6 as the address demands. On an error nothing changes. Connections of addresses that are given up are closed.
func (s *Server) Listen(addrs []string) error {
	s.mu.Lock()
	old := s.listeners
	have := make(map[string]net.Listener)
	for _, l := range old {
		have[l.Addr().String()] = l
	}
	s.mu.Unlock()
	var now, fresh []net.Listener
	for _, a := range addrs {
		if l := have[a]; l != nil {
			now = append(now, l)
			delete(have, a)
			continue
		}
		network := "tcp4"
		if host, _, _ := net.SplitHostPort(a); len(host) > 0 && net.ParseIP(host).To4() == nil && net.ParseIP(host) != nil {
			network = "tcp6"
		}
		l, err := net.Listen(network, a)
		if err != nil {
			for _, l := range fresh {
				l.Close()
			}
			return err
		}
		now, fresh = append(now, l), append(fresh, l)
	}
	s.mu.Lock()
	s.listeners = now
	s.mu.Unlock()
	for _, l := range have {
		l.Close()
	}
	if len(have) > 0 {
		s.closeConns(func(c *conn) bool { return c.via != nil && have[c.via.Addr().String()] == c.via })
	}
	if len(fresh) > 0 {
		s.start()
	}
	for _, l := range fresh {
		go s.accept(l)
	}
	return nil
}

// accept admits the connections of a listener until that is closed.
func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, or the peer has gone
			time.Sleep(100 * time.Millisecond)
		default:
			s.admit(&conn{Conn: c, server: s, via: l})
		}
	}
}

// Adopt serves a connection whose first bytes have been read already. It returns at once.
func (s *Server) Adopt(c net.Conn, head []byte) {
	s.start()
	go s.admit(&conn{Conn: c, server: s, head: head})
}

// DropAdopted closes the connections that Adopt has brought.
func (s *Server) DropAdopted() { s.closeConns(func(c *conn) bool { return c.via == nil }) }

func (s *Server) closeConns(which func(c *conn) bool) {
	s.mu.Lock()
	var gone []*conn
	for c := range s.conns {
		if which(c) {
			gone = append(gone, c)
		}
	}
	s.mu.Unlock()
	for _, c := range gone {
		c.Close()
	}
}

const refusal = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// admit gives a connection to net/http, if there is room or room can be made.
func (s *Server) admit(c *conn) {
	now := time.Now()
	c.since = now
	s.mu.Lock()
	var oldest *conn
	if len(s.conns) >= MaxConns {
		for other := range s.conns {
			if other.answering && now.Sub(other.since) < tooSlow {
				continue
			}
			if oldest == nil || oldest.answering && !other.answering ||
				oldest.answering == other.answering && other.since.Before(oldest.since) {
				oldest = other
			}
		}
		if oldest == nil {
			s.mu.Unlock()
			c.SetWriteDeadline(now.Add(time.Second))
			c.Conn.Write([]byte(refusal))
			c.Conn.Close()
			return
		}
		delete(s.conns, oldest)
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	if oldest != nil {
		oldest.Conn.Close() // net/http finds out, and calls Close
	}
	select {
	case s.incoming <- c:
	case <-s.quit:
		c.Close()
	}
}

// start begins to serve what admit brings.
func (s *Server) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started && !s.closed {
		s.started = true
		go s.http.Serve(source{s})
	}
}

// source is the net.Listener of net/http: what admit brings.
type source struct{ s *Server }

func (l source) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.incoming:
		return c, nil
	case <-l.s.quit:
		return nil, net.ErrClosed
	}
}
func (l source) Close() error   { return nil }
func (l source) Addr() net.Addr { return &net.TCPAddr{} }

// Close ends everything, also what is being answered.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.quit)
	}
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	s.http.Close()
	s.closeConns(func(*conn) bool { return true })
}

// Addrs returns the addresses that it listens on.
func (s *Server) Addrs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.listeners {
		out = append(out, l.Addr().String())
	}
	return out
}
