package eventloop

// Rest: nothing wakes an idle loop but events.
//
// evio's poll times out ten times a second, and a timer may fire as often. Each time the thread of the loop wakes up, and so does
// Go's monitor, which sleeps in steps of 20 microseconds until the loop is in the kernel again: together five to eight
// wake-ups of threads. So when the handler has nothing to do for a while, the loop does not return to evio's poll. It waits
// for evio's epoll descriptor to become readable, without a timeout. The loop's timers are in that epoll, too.
//
// evio keeps nothing outside of its epoll that it would see only after a timeout: Wake and Tick are not used.

import "golang.org/x/sys/unix"

// Rest makes the loop wait for the next event or timer after the running timer's function has returned and the timers that
// are due have run. If it is an event that ends the rest, or a timer that is not due yet, woken is called before it is handled.
// It does nothing where the loop does not know evio's poll (other systems than Linux).
func (l *Loop) Rest(woken func()) {
	if l.poll >= 0 {
		l.resting = woken
	}
}

// rest is called at the end of a turn of timers.
func (l *Loop) rest() {
	woken := l.resting
	if woken == nil {
		return
	}
	l.resting = nil
	l.cpu.count()
	fds := []unix.PollFd{{Fd: int32(l.poll), Events: unix.POLLIN}}
	for _, err := unix.Poll(fds, -1); err == unix.EINTR; {
		_, err = unix.Poll(fds, -1)
	}
	l.cpu.begin()
	if !l.timers.due() {
		woken()
	}
}
