package eventloop

// The watcher: an epoll of its own that reports, once for each time it is armed, that a socket is writable again. evio's own
// poll cannot do that.
//
// Its goroutine only waits and passes descriptor numbers to the loop. Closing a socket removes it from the epoll; a report
// that was made before is harmless (Loop.writable). The eventfd of the flush phase ends the goroutine: it is always writable,
// so the epoll reports it at once when it is added.
//
// The timerfd of the loop's timers and the eventfd of the flush phase are made
// here and then read by evio itself (replaceInner). A time.Timer would be late: while the loop sleeps in evio's poll there
// may be no thread that runs the runtime's timers, and its monitor checks them every 10 ms only (measured on a busy machine:
// 1.3 ms late at the median, 31 ms at p99).

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

type watcher struct {
	loop *Loop
	fd   int // epoll
	tfd  int // timerfd
	ffd  int // eventfd of the flush phase
	done chan struct{}
}

func newWatcher(l *Loop) (*watcher, error) {
	w := &watcher{loop: l, fd: -1, tfd: -1, ffd: -1, done: make(chan struct{})}
	err := w.open()
	if err != nil {
		w.closeAll()
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *watcher) open() (err error) {
	if w.fd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if w.tfd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return err
	}
	w.ffd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return err
}

// replaceInner replaces fd, the accepted end of an inner connection, by the timerfd or the eventfd, and adds it to evio's
// poll under the same number. dup3 closes the last descriptor of the socket, which removes the socket from evio's poll.
func (l *Loop) replaceInner(ec evio.Conn, fd int, k innerKind) error {
	from := l.watch.tfd
	if k == flushInner {
		from = l.watch.ffd
	}
	poll, err := l.pollFD(ec)
	if err != nil {
		return err
	}
	if err := syscall.Dup3(from, fd, syscall.O_CLOEXEC); err != nil {
		return fmt.Errorf("eventloop: inner connection: %w", err)
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("eventloop: inner connection: %w", err)
	}
	return nil
}

// flush makes the eventfd of the flush phase readable. It bypasses the scheduler, since this call cannot block.
func (w *watcher) flush() bool {
	one := uint64(1)
	_, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(w.ffd), uintptr(unsafe.Pointer(&one)), 8)
	return errno == 0
}

// alarm wakes the loop for its timers after d; it replaces an earlier alarm.
func (w *watcher) alarm(d time.Duration) {
	// A time of 0 would disarm it.
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	unix.TimerfdSettime(w.tfd, 0, &spec, nil)
}

// arm requests one report. isNew says that the descriptor was not armed before.
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
			// No documented error of the kernel leads here; do not spin if one does.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		fds = fds[:0]
		for i := 0; i < n; i++ {
			switch fd := int(events[i].Fd); fd {
			case w.ffd:
				return
			default:
				fds = append(fds, events[i].Fd)
			}
		}
		if len(fds) > 0 {
			w.loop.reportReady(fds)
		}
	}
}

func (w *watcher) close() {
	ev := syscall.EpollEvent{Events: syscall.EPOLLOUT, Fd: int32(w.ffd)}
	syscall.EpollCtl(w.fd, syscall.EPOLL_CTL_ADD, w.ffd, &ev)
	<-w.done
	w.closeAll()
}

func (w *watcher) closeAll() {
	for _, fd := range []int{w.fd, w.tfd, w.ffd} {
		if fd >= 0 {
			syscall.Close(fd)
		}
	}
}
