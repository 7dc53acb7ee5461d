//go:build darwin || freebsd

package eventloop

import "syscall"

// sidePoll is a kqueue of its own. A pipe wakes it.
type sidePoll struct {
	fd     int
	wake   [2]int
	events [128]syscall.Kevent_t
}

func newSidePoll() (*sidePoll, error) {
	fd, err := syscall.Kqueue()
	if err != nil {
		return nil, err
	}
	p := &sidePoll{fd: fd}
	if err := syscall.Pipe(p.wake[:]); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	for _, fd := range []int{fd, p.wake[0], p.wake[1]} {
		syscall.CloseOnExec(fd)
		_ = syscall.SetNonblock(fd, true)
	}
	if err := p.change(p.wake[0], syscall.EVFILT_READ, syscall.EV_ADD); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *sidePoll) change(fd, filter, flags int) error {
	var ev [1]syscall.Kevent_t
	syscall.SetKevent(&ev[0], fd, filter, flags)
	_, err := syscall.Kevent(p.fd, ev[:], nil, nil)
	return err
}

// kick ends a wait. Another thread may call it.
func (p *sidePoll) kick() { _, _ = syscall.Write(p.wake[1], []byte{1}) }

// set says what to report of a descriptor. What is not there cannot be deleted, which does not matter.
func (p *sidePoll) set(fd int, in, out, _ bool) error {
	for filter, on := range map[int]bool{syscall.EVFILT_READ: in, syscall.EVFILT_WRITE: out} {
		if !on {
			_ = p.change(fd, filter, syscall.EV_DELETE)
		} else if err := p.change(fd, filter, syscall.EV_ADD); err != nil {
			return err
		}
	}
	return nil
}

// drop has nothing reported of a descriptor.
func (p *sidePoll) drop(fd int, _, _ bool) { _ = p.set(fd, false, false, true) }

// wait appends what has happened, without waiting for it or not.
func (p *sidePoll) wait(events []sideEvent, patient bool) []sideEvent {
	timeout := &syscall.Timespec{}
	if patient {
		timeout = nil
	}
	n, _ := syscall.Kevent(p.fd, nil, p.events[:], timeout)
	for i := range max(n, 0) {
		fd, filter := int(p.events[i].Ident), int(p.events[i].Filter)
		if fd == p.wake[0] {
			var some [64]byte
			_, _ = syscall.Read(fd, some[:])
			continue
		}
		events = append(events, sideEvent{fd: fd, in: filter == syscall.EVFILT_READ, out: filter == syscall.EVFILT_WRITE})
	}
	return events
}

func (p *sidePoll) close() {
	syscall.Close(p.wake[0])
	syscall.Close(p.wake[1])
	syscall.Close(p.fd)
}
