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
	"slices"
	"strings"
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
	tooSlow       = 5 * time.Second        // an answer that takes longer makes room for others
	stuck         = 100 * time.Millisecond // so does one that its peer does not read for so long
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
	listeners []listener
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

// listener is a listener with the address that Listen was given.
type listener struct {
	net.Listener
	addr string
}

// conn is a connection of the Server.
type conn struct {
	net.Conn
	server *Server
	head   []byte // bytes that have been read already
	via    string // the address of metrics-port that it came to; "": adopted
	once   sync.Once

	// Guarded by Server.mu.
	answering bool      // a request is being answered
	since     time.Time // when it was opened, or its request came
	writing   time.Time // when the write began that goes on, zero for none
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	c.write(time.Now())
	defer c.write(time.Time{})
	return c.Conn.Write(p)
}

func (c *conn) write(begun time.Time) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.writing = begun
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
	before := s.listeners
	s.mu.Unlock()
	var now, gone []listener
	var wanted, given []string
	for _, l := range before {
		if slices.Contains(addrs, l.addr) {
			now = append(now, l)
		} else {
			gone, given = append(gone, l), append(given, l.addr)
		}
	}
	for _, a := range addrs {
		if !slices.ContainsFunc(now, func(l listener) bool { return l.addr == a }) {
			wanted = append(wanted, a)
		}
	}
	fresh, err := listenAll(wanted)
	if err != nil && slices.ContainsFunc(gone, func(l listener) bool { return isPortOf(l.addr, wanted) }) {
		// What is given up may be in the way, as 127.0.0.1 is of *.
		closeAll(gone)
		if fresh, err = listenAll(wanted); err != nil {
			again, lost := listenAll(given)
			s.listenAt(append(now, again...), again)
			return errors.Join(err, lost)
		}
	}
	if err != nil {
		return err
	}
	s.listenAt(append(now, fresh...), fresh)
	closeAll(gone)
	s.closeConns(func(c *conn) bool { return slices.Contains(given, c.via) })
	return nil
}

// listenAt makes all the listeners, and begins to accept at those that are fresh.
func (s *Server) listenAt(all, fresh []listener) {
	s.mu.Lock()
	s.listeners = all
	s.mu.Unlock()
	if len(fresh) > 0 {
		s.start()
	}
	for _, l := range fresh {
		go s.accept(l)
	}
}

// listenAll listens on all of the addresses or none.
func listenAll(addrs []string) (all []listener, err error) {
	for _, a := range addrs {
		network := "tcp4"
		if host, _, _ := net.SplitHostPort(a); strings.Contains(host, ":") {
			network = "tcp6"
		}
		l, err := net.Listen(network, a)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, listener{l, a})
	}
	return all, nil
}

func closeAll(listeners []listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// isPortOf reports whether the port of an address is that of one of the others.
func isPortOf(addr string, others []string) bool {
	port := addr[strings.LastIndexByte(addr, ':'):]
	return slices.ContainsFunc(others, func(a string) bool { return strings.HasSuffix(a, port) })
}

// accept admits the connections of a listener until that is closed.
func (s *Server) accept(l listener) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, or the peer has gone
			time.Sleep(100 * time.Millisecond)
		default:
			c := &conn{Conn: c, server: s, via: l.addr}
			s.serve(c, s.admit(c))
		}
	}
}

// Adopt serves a connection whose first bytes have been read already. It returns at once.
func (s *Server) Adopt(c net.Conn, head []byte) {
	s.start()
	adopted := &conn{Conn: c, server: s, head: head}
	room := s.admit(adopted)
	go s.serve(adopted, room)
}

// DropAdopted closes the connections that Adopt has brought.
func (s *Server) DropAdopted() { s.closeConns(func(c *conn) bool { return c.via == "" }) }

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

// How little a connection would be missed, the least first.
const (
	unused    = iota // no request is being answered
	unread           // its peer does not read the answer
	neverDone        // the answer takes too long
	needed
)

// worth is one of these. The caller holds the mutex.
func (c *conn) worth(now time.Time) int {
	switch {
	case !c.answering:
		return unused
	case !c.writing.IsZero() && now.Sub(c.writing) > stuck:
		return unread
	case now.Sub(c.since) > tooSlow:
		return neverDone
	}
	return needed
}

// admit reports whether there is room for a connection, or room could be made, and its address is listened on still.
func (s *Server) admit(c *conn) bool {
	now := time.Now()
	c.since = now
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.via != "" && !slices.ContainsFunc(s.listeners, func(l listener) bool { return l.addr == c.via }) {
		return false
	}
	if len(s.conns) >= MaxConns {
		worst, first := needed, (*conn)(nil)
		for other := range s.conns {
			w := other.worth(now)
			if w < worst || w == worst && first != nil && other.since.Before(first.since) {
				worst, first = w, other
			}
		}
		if first == nil {
			return false
		}
		delete(s.conns, first)
		first.Conn.Close() // net/http finds out, and calls Close
	}
	s.conns[c] = struct{}{}
	return true
}

// serve gives a connection that was admitted to net/http, and refuses another.
func (s *Server) serve(c *conn, admitted bool) {
	if !admitted {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.Write([]byte(refusal))
		c.Close()
		return
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
	closeAll(listeners)
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
