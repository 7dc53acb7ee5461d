package eventloop

// The watcher: an epoll of its own that reports, once for each time it is
// armed, that a socket takes output again. evio's own poll cannot be asked for
// that: it closes over the descriptors that it reads.
//
// Its goroutine only waits and hands descriptor numbers to the loop. Closing a
// socket takes it out of the epoll; a report that was already under way is
// harmless (Loop.writable). An eventfd ends the goroutine.

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type watcher struct {
	loop *Loop
	fd   int // epoll
	quit int // eventfd
	done chan struct{}
}

func newWatcher(l *Loop) (*watcher, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	quit, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(quit)}
	if err := syscall.EpollCtl(fd, syscall.EPOLL_CTL_ADD, quit, &ev); err != nil {
		syscall.Close(quit)
		syscall.Close(fd)
		return nil, err
	}
	w := &watcher{loop: l, fd: fd, quit: quit, done: make(chan struct{})}
	go w.run()
	return w, nil
}

// arm asks for one report. isNew says that the descriptor was not armed before.
func (w *watcher) arm(fd int, isNew bool) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLOUT | unix.EPOLLONESHOT, Fd: int32(fd)}
	op := syscall.EPOLL_CTL_MOD
	if isNew {
		op = syscall.EPOLL_CTL_ADD
	}
	return syscall.EpollCtl(w.fd, op, fd, &ev)
}

func (w *watcher) run() {
	defer close(w.done)
	var events [128]syscall.EpollEvent
	fds := make([]int32, 0, len(events))
	for {
		n, err := syscall.EpollWait(w.fd, events[:], -1)
		if err != nil && err != syscall.EINTR {
			// Nothing the kernel documents leads here; do not spin if it does.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		fds = fds[:0]
		for i := 0; i < n; i++ {
			if int(events[i].Fd) == w.quit {
				return
			}
			fds = append(fds, events[i].Fd)
		}
		if len(fds) > 0 {
			w.loop.reportReady(fds)
		}
	}
}

func (w *watcher) close() {
	syscall.Write(w.quit, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	<-w.done
	syscall.Close(w.quit)
	syscall.Close(w.fd)
}
