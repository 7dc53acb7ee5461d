//go:build darwin || freebsd

package eventloop

import (
	"syscall"
	"time"
)

const (
	abstractSockets = false
	lastInner       = bytesInner
	maxUnixPath     = 104
)

// send writes p to the socket fd, which does not block. n is 0 with an error;
// EAGAIN means that the socket is full. The runtime ignores SIGPIPE for
// descriptors above 2.
func send(fd int, p []byte) (n int, errno syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	for {
		n, err := syscall.Write(fd, p)
		switch err {
		case nil:
			return n, 0
		case syscall.EINTR:
		default:
			if e, ok := err.(syscall.Errno); ok {
				return 0, e
			}
			return 0, syscall.EIO
		}
	}
}

// sendAll is send for several pieces, of which it writes the first.
func sendAll(fd int, bufs [][]byte) (n int, errno syscall.Errno) { return send(fd, bufs[0]) }

// receive reads the available bytes of the socket fd into the first of two
// buffers, without blocking. It returns 0 at the end of the stream and for
// errors.
func receive(fd int, first, _ []byte) int {
	for {
		n, err := syscall.Read(fd, first)
		if err != syscall.EINTR {
			return max(n, 0)
		}
	}
}

// ownPeer always returns true: the socket is in a private directory, and
// checkPeer tests the connection with bytes, too.
func ownPeer(int) bool { return true }

// unsent is not known portably; connections linger only while the peer is
// still sending.
func unsent(int) int { return 0 }

// tuneTCP sets TCP_NODELAY, and keep-alive where the system has the options.
func tuneTCP(fd int, idle time.Duration) {
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if idle < time.Second {
		return
	}
	s := int(idle / time.Second)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	setKeepAlive(fd, s, max(s/3, 1), 3)
}

// acceptQueue is not known portably.
func acceptQueue(int) (n int, ok bool) { return 0, false }
