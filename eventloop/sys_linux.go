package eventloop

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	abstractSockets = true
	lastInner       = flushInner // evio reads a timerfd and an eventfd
	maxUnixPath     = 108
	// rawMax bounds a write or read that bypasses the scheduler. Such a call never blocks; copying so many bytes takes some
	// 150 microseconds. Otherwise the scheduler's monitor would take the processor away after 20 and wake threads: with
	// values of 1 MB that cost a fifth of the CPU.
	rawMax = 1 << 20
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

// sendAll is send for several pieces, at most maxPieces, of which it writes no more than rawMax bytes.
func sendAll(fd int, bufs [][]byte) (n int, errno syscall.Errno) {
	var vec [maxPieces]unix.Iovec
	pieces, left := 0, rawMax
	for _, b := range bufs {
		if b = b[:min(len(b), left)]; len(b) > 0 && pieces < maxPieces {
			vec[pieces].Base = &b[0]
			vec[pieces].SetLen(len(b))
			pieces++
			left -= len(b)
		}
	}
	msg := unix.Msghdr{Iov: &vec[0]}
	msg.SetIovlen(pieces)
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)),
			syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		switch errno {
		case 0:
			return int(r), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// receive reads the available bytes of the socket fd into one buffer and then another, without blocking. It returns 0 at the
// end of the stream and for errors.
func receive(fd int, first, second []byte) int {
	bufs := [2]syscall.Iovec{{Base: unsafe.SliceData(first)}, {Base: unsafe.SliceData(second)}}
	bufs[0].SetLen(min(len(first), rawMax))
	bufs[1].SetLen(len(second))
	if len(first) > rawMax {
		bufs[1].SetLen(0)
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&bufs)), uintptr(len(bufs)))
		switch errno {
		case 0:
			return int(n)
		case syscall.EINTR:
		default:
			return 0
		}
	}
}

// ownPeer reports whether the other end of a unix socket is in this process.
func ownPeer(fd int) bool {
	cred, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	return err == nil && int(cred.Pid) == syscall.Getpid()
}

// unsent returns the number of bytes that the kernel has not sent yet.
func unsent(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
	if err != nil {
		return 0 // a unix socket: the peer has the written bytes already
	}
	return n
}

// tuneTCP sets TCP_NODELAY, and keep-alive as Redis does: the first probe after
// idle, the next ones every third of it, three of them. Errors are ignored: if
// the peer has already closed, the next read fails.
func tuneTCP(fd int, idle time.Duration) {
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if idle < time.Second {
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 0)
		return
	}
	s := int(idle / time.Second)
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, s)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, max(s/3, 1))
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3)
}

// acceptQueue returns the number of connections that wait at a listening socket to be accepted. (TCP_INFO, tcpi_unacked: linux/tcp.h
// and tcp_get_info of the kernel.)
func acceptQueue(fd int) (n int, ok bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, false
	}
	return int(info.Unacked), true
}
