package eventloop

import (
	"syscall"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

// dupCloseOnExec duplicates a descriptor.
func dupCloseOnExec(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// listen switches reading of the connection by evio on or off.
func (c *Conn) listen(on bool) {
	var events uint32
	if on {
		events = syscall.EPOLLIN
	}
	if poll, err := c.loop.pollFD(c.ev); err == nil {
		ev := syscall.EpollEvent{Events: events, Fd: c.fd}
		syscall.EpollCtl(poll, syscall.EPOLL_CTL_MOD, int(c.fd), &ev)
	}
}

// replace replaces fd, the accepted end of an inner connection, by the socket, as replaceInner does.
func (l *Loop) replace(ec evio.Conn, fd int, a *adoption) error {
	defer syscall.Close(a.fd)
	defer syscall.Close(a.inner)
	poll, err := l.pollFD(ec)
	if err != nil {
		return err
	}
	if err := syscall.Dup3(a.fd, fd, syscall.O_CLOEXEC); err != nil {
		return err
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &ev)
}
