package eventloop

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	abstractSockets = true
	places          = flushPlace // evio reads a timerfd and an eventfd
	maxUnixPath     = 108
	// rawMax bounds a write that bypasses the scheduler: the copy of as much takes a few microseconds.
	rawMax = 64 << 10
)

// send writes p to the socket fd without blocking and without a signal when the peer is gone. It bypasses the scheduler, which
// would cost more than the copy. n is 0 with an error; EAGAIN means that the socket is full.
func send(fd int, p []byte) (n int, errno syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	for {
		var r uintptr
		if len(p) <= rawMax {
			r, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])),
				uintptr(len(p)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		} else {
			r, _, errno = syscall.Syscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])),
				uintptr(len(p)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		}
		switch errno {
		case 0:
			return int(r), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// sendAll is send for several pieces.
func sendAll(fd int, bufs [][]byte) (n int, errno syscall.Errno) {
	for {
		n, err := unix.SendmsgBuffers(fd, bufs, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		switch e, _ := err.(syscall.Errno); {
		case err == nil:
			return n, 0
		case e == 0:
			return 0, syscall.EIO
		case e != syscall.EINTR:
			return 0, e
		}
	}
}

// ownPeer reports whether the other end of a unix socket is in this process.
func ownPeer(fd int) bool {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	return err == nil && int(cred.Pid) == syscall.Getpid()
}

// unsent returns how many bytes the kernel has not sent yet.
func unsent(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
	if err != nil {
		return 0 // a unix socket: what is written is with the peer
	}
	return n
}

// tuneTCP sets TCP_NODELAY, and keep-alive as Redis does: the first probe after
// idle, the next ones every third of it, three of them. Errors (the peer is
// already gone) are ignored: reading will tell.
func tuneTCP(fd int, idle time.Duration) {
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if idle < time.Second {
		return
	}
	s := int(idle / time.Second)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, s)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, max(s/3, 1))
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3)
}
