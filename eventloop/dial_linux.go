package eventloop

import (
	"syscall"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

// dupCloseOnExec returns another descriptor of what fd is.
func dupCloseOnExec(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// StopReading leaves what the peer sends with the kernel until ResumeReading: the peer waits when that has no more room. Some
// Data may come all the same, when the connection ends meanwhile.
func (c *Conn) StopReading() { c.listen(0) }

// ResumeReading ends StopReading.
func (c *Conn) ResumeReading() { c.listen(syscall.EPOLLIN) }

func (c *Conn) listen(events uint32) {
	if c.flags&(fDead|fClosed) != 0 {
		return
	}
	if poll, err := c.loop.pollFD(c.ev); err == nil {
		ev := syscall.EpollEvent{Events: events, Fd: c.fd}
		syscall.EpollCtl(poll, syscall.EPOLL_CTL_MOD, int(c.fd), &ev)
	}
}

// replace puts the socket in the place of fd, the accepted end of an inner connection, as takePlace does.
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
