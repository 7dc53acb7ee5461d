//go:build darwin || freebsd

package eventloop

// The watcher with kqueue; see watch_linux.go. A pipe ends its goroutine, and a
// timer event replaces the timerfd.

import (
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

type watcher struct {
	loop *Loop
	fd   int    // kqueue
	quit [2]int // pipe
	done chan struct{}
}

func newWatcher(l *Loop) (*watcher, error) {
	fd, err := syscall.Kqueue()
	if err != nil {
		return nil, err
	}
	w := &watcher{loop: l, fd: fd, done: make(chan struct{})}
	if err := syscall.Pipe(w.quit[:]); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	for _, fd := range []int{w.fd, w.quit[0], w.quit[1]} {
		syscall.CloseOnExec(fd)
	}
	var ev [1]syscall.Kevent_t
	syscall.SetKevent(&ev[0], w.quit[0], syscall.EVFILT_READ, syscall.EV_ADD)
	if _, err := syscall.Kevent(fd, ev[:], nil, nil); err != nil {
		syscall.Close(w.quit[0])
		syscall.Close(w.quit[1])
		syscall.Close(fd)
		return nil, err
	}
	go w.run()
	return w, nil
}

// arm requests one report; for kqueue it does not matter whether it is the first.
func (w *watcher) arm(fd int, _ bool) error {
	var ev [1]syscall.Kevent_t
	syscall.SetKevent(&ev[0], fd, syscall.EVFILT_WRITE, syscall.EV_ADD|syscall.EV_ONESHOT)
	_, err := syscall.Kevent(w.fd, ev[:], nil, nil)
	return err
}

// alarm wakes the loop for its timers after d; it replaces an earlier alarm.
// kqueue counts milliseconds.
func (w *watcher) alarm(d time.Duration) {
	var ev [1]syscall.Kevent_t
	syscall.SetKevent(&ev[0], 1, syscall.EVFILT_TIMER, syscall.EV_ADD|syscall.EV_ONESHOT)
	ev[0].Data = int64((d + time.Millisecond - 1) / time.Millisecond)
	syscall.Kevent(w.fd, ev[:], nil, nil)
}

func (w *watcher) run() {
	defer close(w.done)
	var events [128]syscall.Kevent_t
	fds := make([]int32, 0, len(events))
	for {
		n, err := syscall.Kevent(w.fd, nil, events[:], nil)
		if err != nil && err != syscall.EINTR {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		fds = fds[:0]
		for i := 0; i < n; i++ {
			switch {
			case events[i].Filter == syscall.EVFILT_TIMER:
				w.loop.ring()
			case int(events[i].Ident) == w.quit[0]:
				return
			default:
				fds = append(fds, int32(events[i].Ident))
			}
		}
		if len(fds) > 0 {
			w.loop.reportReady(fds)
		}
	}
}

func (w *watcher) close() {
	syscall.Close(w.quit[1])
	<-w.done
	syscall.Close(w.quit[0])
	syscall.Close(w.fd)
}

// ring is called by the watcher's goroutine.
func (l *Loop) ring() {
	l.mu.Lock()
	l.alarm = true
	l.unlockAndKick()
}

// replaceInner is not called here: the timers of kqueue have no descriptor.
func (l *Loop) replaceInner(evio.Conn, int, innerKind) error { return nil }

// flush leaves the flush phase to the inner connection.
func (w *watcher) flush() bool { return false }
