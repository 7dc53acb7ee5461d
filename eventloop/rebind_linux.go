package eventloop

// Listening on other addresses while the loop runs. evio opens its listeners
// once and accepts from fixed descriptor numbers, so the loop puts other
// sockets behind these numbers: it takes the old one out of evio's poll, shuts
// it down (evio holds a second descriptor of it, so closing one would not end
// it), puts the new one in its place with dup3, and into the poll again. Each
// TCP address is a slot; some more are opened at the start, on abstract unix
// sockets. The number of an unused slot belongs to a socket to which no client
// connects and which is not in the poll: if evio already has an event of the
// slot, accept(2) finds no connection there; on a socket that is shut down it
// would fail and end evio.
//
// The descriptor of a slot is found among those of the process: a listening
// socket that is in evio's poll and has the slot's address.

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"
)

// findSlots finds the descriptors of evio's TCP and spare listeners.
func (l *Loop) findSlots(ec evio.Conn) error {
	poll, err := l.pollFD(ec)
	if err != nil {
		return err
	}
	l.poll = poll
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("eventloop: listeners: %w", err)
	}
	for i := range l.lns {
		l.lns[i].fd, l.lns[i].inherited = -1, inherited{}
	}
	for _, n := range names {
		fd, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err != nil || on == 0 {
			continue
		}
		ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
		if syscall.EpollCtl(poll, syscall.EPOLL_CTL_MOD, fd, &ev) != nil {
			continue // not evio's
		}
		sa, err := syscall.Getsockname(fd)
		if err != nil {
			continue
		}
		name := sockName(sa)
		for i := 1; i < len(l.lns); i++ {
			if ln := &l.lns[i]; !ln.unix && ln.fd < 0 && ln.bound == name {
				ln.fd = fd
				break
			}
		}
	}
	for i := 1; i < len(l.lns); i++ {
		ln := &l.lns[i]
		if ln.unix {
			continue
		}
		if ln.fd < 0 {
			return ErrLayout
		}
		if ln.spare {
			if err := l.leave(ln); err != nil {
				return err
			}
		}
	}
	return nil
}

// leave stops listening on a slot.
func (l *Loop) leave(ln *listener) error {
	idle, err := idleListener()
	if err != nil {
		return err
	}
	defer syscall.Close(idle)
	var ev syscall.EpollEvent
	syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_DEL, ln.fd, &ev)
	syscall.Shutdown(ln.fd, syscall.SHUT_RDWR)
	ln.spare = true
	ln.addr, ln.bound = "", ""
	return syscall.Dup3(idle, ln.fd, syscall.O_CLOEXEC)
}

// stopListening stops listening on TCP before the connections are closed, so
// that a client that a shutdown has disconnected is refused when it connects
// again. evio closes its listeners last.
func (l *Loop) stopListening() {
	if l.poll < 0 {
		return
	}
	for i := 1; i < len(l.lns); i++ {
		if ln := &l.lns[i]; !ln.unix && !ln.spare {
			_ = l.leave(ln) // the process ends anyway
		}
	}
}

// idleListener makes a listening socket with a name that the kernel chooses.
func idleListener() (int, error) {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{}); err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// relisten is Rebind for addresses that differ from those of now, old.
func (l *Loop) relisten(old, addrs []string) error {
	if l.poll < 0 {
		return errNoSlot
	}
	if err := l.rebind(addrs); err != nil {
		if back := l.rebind(old); back != nil {
			l.opt.Logf("listening on the former addresses again: %v", back)
		}
		return err
	}
	return nil
}

func (l *Loop) rebind(addrs []string) error {
	want := make(map[string]bool)
	for _, a := range addrs {
		want[a] = true
	}
	for i := 1; i < len(l.lns); i++ {
		ln := &l.lns[i]
		if ln.unix || ln.spare {
			continue
		}
		if want[ln.addr] {
			delete(want, ln.addr)
		} else if err := l.leave(ln); err != nil {
			return err
		}
	}
	for _, a := range addrs {
		if !want[a] {
			continue
		}
		delete(want, a)
		if err := l.listenOn(a); err != nil {
			return err
		}
	}
	return nil
}

var errNoSlot = errors.New("eventloop: no more addresses can be listened on")

// listenOn makes a spare slot listen.
func (l *Loop) listenOn(addr string) error {
	parsed, err := l.parseAddr(addr)
	if err != nil {
		return err
	}
	var slot *listener
	for i := 1; i < len(l.lns) && slot == nil; i++ {
		if l.lns[i].spare {
			slot = &l.lns[i]
		}
	}
	if slot == nil {
		return errNoSlot
	}
	network, rest, _ := strings.Cut(addr, "://")
	ln, err := net.Listen(network, rest)
	if err != nil {
		return err
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Dup3(int(f.Fd()), slot.fd, syscall.O_CLOEXEC); err != nil {
		return err
	}
	unix.SetNonblock(slot.fd, true)
	if l.opt.Backlog != nil {
		syscall.Listen(slot.fd, l.opt.Backlog())
	}
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(slot.fd)}
	if err := syscall.EpollCtl(l.poll, syscall.EPOLL_CTL_ADD, slot.fd, &ev); err != nil {
		return err
	}
	slot.spare, slot.inherited = false, inherited{}
	slot.addr, slot.bound = parsed.addr, ln.Addr().String()
	return nil
}
