package secure

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Stream is a TLS connection after its handshake, an eventloop.Stream.
type Stream struct {
	tls  *tls.Conn
	wire *wire
	fd   int
}

// newStream prepares TLS on a connection. side is tls.Server or tls.Client.
func newStream(tcp *net.TCPConn, side func(net.Conn, *tls.Config) *tls.Conn, cfg *tls.Config) (*Stream, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Stream{wire: &wire{TCPConn: tcp, raw: raw}}
	s.wire.room.L = &s.wire.mu
	s.wire.try = s.wire.send
	if err := raw.Control(func(fd uintptr) { s.fd = int(fd) }); err != nil {
		return nil, err
	}
	s.tls = side(s.wire, cfg)
	return s, nil
}

// Read reads plain bytes. The end of the connection is io.EOF also where the peer did not say goodbye: the protocol above
// marks its ends itself.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.tls.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Write encrypts p. What the socket does not take waits, see Clogged.
func (s *Stream) Write(p []byte) (int, error) { return s.tls.Write(p) }

// CloseWrite sends the notice that ends this direction, and ends it when all is sent.
func (s *Stream) CloseWrite() error {
	if err := s.tls.CloseWrite(); err != nil {
		return err
	}
	if err := s.wire.unclog(); err != nil {
		return err
	}
	return s.wire.TCPConn.CloseWrite()
}

// Close closes the socket.
func (s *Stream) Close() error { return s.wire.TCPConn.Close() }

// SetReadDeadline ends a Read that waits beyond t.
func (s *Stream) SetReadDeadline(t time.Time) error { return s.wire.TCPConn.SetReadDeadline(t) }

// Clogged tells whether encrypted bytes wait for the socket.
func (s *Stream) Clogged() bool {
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	return len(s.wire.waiting) > 0
}

// Unclog waits until they do not.
func (s *Stream) Unclog() error { return s.wire.unclog() }

// WaitInput waits until the socket has something.
func (s *Stream) WaitInput() error { return s.wire.waitInput() }

// FD returns the descriptor of the socket.
func (s *Stream) FD() int { return s.fd }

// RemoteAddr returns the peer's address.
func (s *Stream) RemoteAddr() net.Addr { return s.wire.RemoteAddr() }

// State tells what was negotiated, and who the peer is.
func (s *Stream) State() tls.ConnectionState { return s.tls.ConnectionState() }

// wire is a socket whose Write does not wait: what the kernel does not take is written by a goroutine.
type wire struct {
	*net.TCPConn
	raw syscall.RawConn

	wmu  sync.Mutex // one Write at a time; try uses what follows
	try  func(fd uintptr) bool
	out  []byte
	sent int
	errw error

	mu      sync.Mutex
	room    sync.Cond
	waiting []byte
	writing bool  // a goroutine writes
	err     error // of writing
}

// send is try: one write(2), whatever comes of it.
func (w *wire) send(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.out)
		if err == syscall.EINTR {
			continue
		}
		if err == syscall.EAGAIN {
			n, err = 0, nil
		}
		w.sent, w.errw = max(n, 0), err
		return true
	}
}

func (w *wire) Write(p []byte) (int, error) {
	w.wmu.Lock()
	defer w.wmu.Unlock()
	w.mu.Lock()
	clogged, err := len(w.waiting) > 0, w.err
	w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	rest := p
	if !clogged {
		w.out = p
		err := w.raw.Write(w.try)
		w.out = nil
		if err == nil {
			err = w.errw
		}
		if err != nil {
			w.fail(err)
			return 0, err
		}
		rest = p[w.sent:]
	}
	if len(rest) > 0 {
		w.mu.Lock()
		w.waiting = append(w.waiting, rest...)
		if !w.writing {
			w.writing = true
			go w.drain()
		}
		w.mu.Unlock()
	}
	return len(p), nil
}

// drain writes what waits.
func (w *wire) drain() {
	for {
		w.mu.Lock()
		p := w.waiting
		w.mu.Unlock()
		n, err := w.TCPConn.Write(p)
		if err != nil {
			w.fail(err)
			return
		}
		w.mu.Lock()
		if n == len(w.waiting) {
			w.waiting, w.writing = nil, false
			w.room.Broadcast()
			w.mu.Unlock()
			return
		}
		w.waiting = append([]byte(nil), w.waiting[n:]...)
		w.mu.Unlock()
	}
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	w.err, w.waiting, w.writing = err, nil, false
	w.room.Broadcast()
	w.mu.Unlock()
}

func (w *wire) unclog() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 && w.err == nil {
		w.room.Wait()
	}
	return w.err
}

func (w *wire) waitInput() error {
	var one [1]byte
	var failed error
	err := w.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return err == syscall.EINTR
		}
		failed = err // the next Read tells of other errors again
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}
