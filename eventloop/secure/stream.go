package secure

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is a TLS connection after its handshake, an eventloop.Stream.
//
// The handshake blocks a goroutine of its own, on a net.Conn. Then detach takes the socket from Go's poller: from then on reading
// and writing are plain system calls that never wait. Where there is nothing to read, crypto/tls gets syscall.EAGAIN, which it
// treats as a temporary error and not as the end. The records that crypto/tls writes are gathered, so that a reply of many
// records is one system call, and what the socket does not take waits for Flush.
type Stream struct {
	tls  *tls.Conn
	wire *wire
	peer net.Addr
}

// newStream prepares TLS on a connection. side is tls.Server or tls.Client.
func newStream(tcp *net.TCPConn, side func(net.Conn, *tls.Config) *tls.Conn, cfg *tls.Config) *Stream {
	s := &Stream{wire: &wire{TCPConn: tcp, fd: -1}, peer: tcp.RemoteAddr()}
	s.tls = side(s.wire, cfg)
	return s
}

// detach ends the time of the handshake. On an error the connection is closed.
func (s *Stream) detach() error {
	w := s.wire
	defer func() {
		w.TCPConn.Close()
		w.TCPConn = nil
	}()
	raw, err := w.TCPConn.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	if cerr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); cerr != nil {
		return cerr
	}
	if err == nil {
		w.fd = fd
	}
	return err
}

// Ready is called when the socket may have something to read.
func (s *Stream) Ready() { s.wire.ready = true }

// Read reads plain bytes; syscall.EAGAIN means that there are none until Ready. The end of the connection is io.EOF also where
// the peer did not say goodbye: the protocol above marks its ends itself.
func (s *Stream) Read(p []byte) (int, error) {
	n, err := s.tls.Read(p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Write encrypts p. What the socket does not take waits for Flush.
func (s *Stream) Write(p []byte) error {
	if _, err := s.tls.Write(p); err != nil {
		return err
	}
	return s.wire.flush()
}

// Flush gives the socket what waits for it.
func (s *Stream) Flush() error { return s.wire.flush() }

// Waiting reports whether encrypted bytes wait for the socket.
func (s *Stream) Waiting() bool { return len(s.wire.out) > 0 }

// CloseWrite sends the notice that ends this direction, and ends it when all is sent.
func (s *Stream) CloseWrite() error {
	if err := s.tls.CloseWrite(); err != nil {
		return err
	}
	s.wire.shut = true
	return s.wire.flush()
}

// Close closes the socket.
func (s *Stream) Close() error { return s.wire.Close() }

// FD returns the descriptor of the socket.
func (s *Stream) FD() int { return s.wire.fd }

// RemoteAddr returns the peer's address.
func (s *Stream) RemoteAddr() net.Addr { return s.peer }

// State returns what the handshake negotiated, and the peer's certificates.
func (s *Stream) State() tls.ConnectionState { return s.tls.ConnectionState() }

// wire is the socket as crypto/tls sees it: Go's connection at first, then a descriptor.
type wire struct {
	*net.TCPConn
	fd    int  // -1 until detach
	ready bool // the socket may have something
	shut  bool // nothing follows out
	out   []byte
	held  *[]byte // whose array out is
}

// outputs are buffers for encrypted bytes. One is in use while something waits for a socket.
var outputs = sync.Pool{New: func() any { return new([]byte) }}

// maxWaiting bounds what waits for a socket. The loop gives less than half of it at a time, and nothing more until it is sent; what
// crypto/tls answers by itself comes on top. Who asks for new keys again and again and reads nothing would gather answers
// without an end.
const maxWaiting = 1 << 20

// maxKept is the capacity up to which a buffer is returned to the pool.
const maxKept = 64 << 10

func (w *wire) Read(p []byte) (int, error) {
	if w.fd < 0 {
		return w.TCPConn.Read(p)
	}
	for w.ready {
		n, err := syscall.Read(w.fd, p)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			w.ready = false
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			w.ready = n == len(p) // a short read: the socket is empty until the poll reports it again
			return n, nil
		}
	}
	return 0, syscall.EAGAIN
}

func (w *wire) Write(p []byte) (int, error) {
	if w.fd < 0 {
		return w.TCPConn.Write(p)
	}
	if w.held == nil {
		w.held = outputs.Get().(*[]byte)
		w.out = (*w.held)[:0]
	}
	if len(w.out)+len(p) > maxWaiting {
		return 0, syscall.ENOBUFS
	}
	w.out = append(w.out, p...)
	return len(p), nil
}

// flush writes what the socket takes.
func (w *wire) flush() error {
	left := w.out
	for len(left) > 0 {
		n, err := syscall.Write(w.fd, left)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			w.out = w.out[:copy(w.out, left)]
			return nil
		case err != nil:
			w.drop()
			return err
		default:
			left = left[n:]
		}
	}
	w.drop()
	if w.shut {
		w.shut = false
		return syscall.Shutdown(w.fd, syscall.SHUT_WR)
	}
	return nil
}

// drop gives the buffer back.
func (w *wire) drop() {
	if w.held == nil {
		return
	}
	if cap(w.out) <= maxKept {
		*w.held = w.out[:0]
	}
	outputs.Put(w.held)
	w.held, w.out = nil, nil
}

func (w *wire) Close() error {
	if w.fd < 0 {
		return w.TCPConn.Close()
	}
	return syscall.Close(w.fd)
}

// SetDeadline means nothing for a socket that nobody waits for.
func (w *wire) SetDeadline(t time.Time) error {
	if w.fd < 0 {
		return w.TCPConn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline is as SetDeadline.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.fd < 0 {
		return w.TCPConn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline is as SetDeadline.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.fd < 0 {
		return w.TCPConn.SetWriteDeadline(t)
	}
	return nil
}

// awaitInput waits until a connection that is in Go's hands has something, without memory for it.
func awaitInput(tcp *net.TCPConn) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var one [1]byte
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return err == syscall.EINTR
		}
		failed = err // the next Read returns other errors again
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}
