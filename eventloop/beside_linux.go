package eventloop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// sidePoll is an epoll of its own. An eventfd wakes it.
type sidePoll struct {
	fd, wake int
	events   [128]syscall.EpollEvent
}

func newSidePoll() (*sidePoll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &sidePoll{fd: fd}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	// Each write is an event of its own, so that nobody has to read.
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | 1<<31, Fd: int32(p.wake)} // EPOLLET
	if err := syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, p.wake, &ev); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

var oneEvent = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// kick ends a wait. Another thread may call it.
func (p *sidePoll) kick() { _, _ = syscall.Write(p.wake, oneEvent) }

// set says what to report of a descriptor, which the poll knows already or not.
func (p *sidePoll) set(fd int, in, out, known bool) error {
	ev := syscall.EpollEvent{Fd: int32(fd)}
	if in {
		ev.Events |= syscall.EPOLLIN
	}
	if out {
		ev.Events |= syscall.EPOLLOUT
	}
	op := syscall.EPOLL_CTL_ADD
	if known {
		op = syscall.EPOLL_CTL_MOD
	}
	return syscall.EpollCtl(p.fd, op, fd, &ev)
}

// drop has nothing reported of a descriptor.
func (p *sidePoll) drop(fd int, _, _ bool) {
	_ = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_DEL, fd, &syscall.EpollEvent{})
}

// wait appends what has happened, without waiting for it or not.
func (p *sidePoll) wait(events []sideEvent, patient bool) []sideEvent {
	timeout := 0
	if patient {
		timeout = -1
	}
	n, _ := syscall.EpollWait(p.fd, p.events[:], timeout)
	for i := range max(n, 0) {
		e := &p.events[i]
		if int(e.Fd) == p.wake {
			continue
		}
		events = append(events, sideEvent{fd: int(e.Fd), in: e.Events&syscall.EPOLLIN != 0, out: e.Events&syscall.EPOLLOUT != 0,
			hung: e.Events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0})
	}
	return events
}

func (p *sidePoll) close() {
	syscall.Close(p.wake)
	syscall.Close(p.fd)
}
