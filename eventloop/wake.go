package eventloop

// The inner connection wakes the loop: the loop listens on a unix socket, too, and has one connection through it. evio reads
// the accepted end like a client's; the dialled end is a plain descriptor, Loop.wfd. At most one byte
// is in it: kicked is set before it is written and cleared before the queues are emptied. So everything queued before the byte
// is read is handled then, and later entries send another byte.
//
// Whoever wakes the loop holds no lock that the loop takes. On a busy machine the kernel gives the processor to the loop at the
// moment of the wake-up; a lock of the goroutine that called Post would then hold up the loop until that goroutine's thread
// has its turn again. (Measured: the encoder of a payload on two cores, load 20; 54 ms, in which no client was served.)
//
// On Linux the socket has a random abstract name. Any local process can find it in /proc/net/unix and connect, so a peer with
// another process id is refused. Elsewhere the socket is in a private directory.
//
// On Linux there are two more such connections, whose accepted ends are replaced as soon as they are established
// (replaceInner). One becomes the timerfd of the loop's timers: evio reads the expirations like bytes of a peer, and no other
// thread wakes up for a timer. With the watcher instead, as on other systems, a timer of 2 ms cost 7 µs of CPU for each
// request: a thread that wakes up takes processors from the loop's system calls. The other becomes the eventfd that
// RequestFlush writes to: a server with an append-only file has a flush phase in every round, and a byte through a socket
// costs several times as much.
//
// The connection also tests that Loop.connFD finds the right descriptor: bytes written to it must arrive at the dialled end.

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

type innerConn struct {
	name string    // address of the listener; a path, or @ and an abstract name
	dir  string    // private directory to remove
	fd   int       // accepted end, -1 until it is established
	next int       // dialled end of the next inner connection until that is established, else -1
	last innerKind // the last one for which a connection was dialled
}

// innerKind is a kind of inner connection.
type innerKind int

const (
	bytesInner innerKind = iota // the one that bytes are written to
	timerInner
	flushInner
)

// innerContext marks evio connections of the inner listener, by which data and closed distinguish them from clients.
type innerContext struct {
	foreign bool
	kind    innerKind
}

// prepare chooses the address for one run of evio.
func (in *innerConn) prepare() error {
	var r [16]byte
	rand.Read(r[:])
	in.fd, in.next, in.last = -1, -1, bytesInner
	if abstractSockets {
		in.name = "@ferrous-" + hex.EncodeToString(r[:])
		return nil
	}
	dir, err := os.MkdirTemp("", "ferrous")
	if err != nil {
		return fmt.Errorf("eventloop: %w", err)
	}
	in.dir, in.name = dir, dir+"/s"
	return nil
}

func (in *innerConn) cleanup() {
	if in.dir != "" {
		os.RemoveAll(in.dir)
		in.dir = ""
	}
}

// dial connects to the listener. The connection waits in its backlog until evio polls.
func (l *Loop) dial() error {
	fd, err := dialUnix(l.inner.name)
	if err != nil {
		return fmt.Errorf("eventloop: inner connection: %w", err)
	}
	l.mu.Lock()
	l.wfd = fd
	l.kicked = false
	l.mu.Unlock()
	return l.inner.dialNext()
}

// dialNext dials the next inner connection, if there is one. They are dialled one after the other, so that a restart needs
// few descriptors at a time.
func (in *innerConn) dialNext() (err error) {
	if in.last == lastInner {
		return nil
	}
	in.last++
	if in.next, err = dialUnix(in.name); err != nil {
		return fmt.Errorf("eventloop: inner connection: %w", err)
	}
	return nil
}

// hangUp closes the dialled end after evio has ended.
func (l *Loop) hangUp() {
	l.mu.Lock()
	fd := l.wfd
	l.wfd, l.kicked = -1, false
	l.mu.Unlock()
	l.kicks.Wait()
	if fd >= 0 {
		syscall.Close(fd)
	}
	l.inner.fd = -1
	l.inner.hangUpNext()
	l.dropDialled()
	l.hangUpBeside()
}

func (in *innerConn) hangUpNext() {
	if in.next >= 0 {
		syscall.Close(in.next)
		in.next = -1
	}
}

// openedInner is evio's event for a connection to the inner listener.
func (l *Loop) openedInner(ec evio.Conn, bound []net.Addr) evio.Action {
	if l.inner.fd >= 0 && l.inner.next < 0 {
		return l.adopt(ec) // all inner connections are established: this one is for a dialled socket
	}
	ctx := &innerContext{foreign: true}
	ec.SetContext(ctx)
	fd, err := l.connFD(ec)
	if l.inner.fd >= 0 {
		ctx.kind = l.inner.last
	}
	if err == nil {
		err = l.checkInner(fd, ctx.kind)
	}
	if err == nil && ctx.kind != bytesInner {
		l.inner.hangUpNext()
		if err = l.replaceInner(ec, fd, ctx.kind); err == nil {
			err = l.inner.dialNext()
		}
	}
	if errors.Is(err, errForeign) {
		return evio.Close
	}
	if err != nil {
		l.fail(err)
		return evio.Shutdown
	}
	ctx.foreign = false
	if ctx.kind == bytesInner {
		closeOnExec(fd)
		l.inner.fd = fd
	}
	if l.inner.next >= 0 {
		return evio.None // it is dialled later
	}
	l.awaitServe()
	close(l.up)
	if l.poll = -1; abstractSockets {
		if err := l.findSlots(ec); err != nil {
			l.poll = -1
			l.opt.Logf("the addresses to listen on cannot change while the server runs: %v", err)
		}
	}
	first := l.first
	l.first = false
	l.cpu.begin()
	if l.opt.Serving != nil {
		l.opt.Serving(bound, first)
	}
	// For functions that were queued before there was a connection.
	l.mu.Lock()
	l.unlockAndKick()
	return evio.None
}

// awaitServe waits until evio's Serve waits for the end of its loop. evio signals that end on a condition variable without a
// state: if a loop ended before, because of a shutdown right after the start on a busy machine, Serve would wait for ever.
// Only the list of goroutines shows whether Serve waits; serveHead is the beginning of its entry there.
func (l *Loop) awaitServe() {
	waiting := []byte(l.serveHead + "[sync.Cond.Wait")
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(startTimeout); time.Now().Before(end); {
		n := runtime.Stack(buf, true)
		if n == len(buf) && n < maxStacks {
			buf = make([]byte, 2*n)
			continue
		}
		if bytes.Contains(buf[:n], waiting) {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// goroutineHead returns the beginning of the running goroutine's entry in a list of goroutines: "goroutine 7 ".
func goroutineHead() string {
	buf := make([]byte, 64)
	head, _, _ := bytes.Cut(buf[:runtime.Stack(buf, false)], []byte("["))
	return string(head)
}

var errForeign = errors.New("eventloop: peer of another process")

// checkInner tests that fd is the accepted end of the inner connection, or of the next inner connection. It writes to the
// descriptor only after it has checked that it is a socket of this listener.
func (l *Loop) checkInner(fd int, k innerKind) error {
	if k != bytesInner {
		return l.checkPeer(fd, l.inner.next)
	}
	return l.checkPeer(fd, l.wfd)
}

// checkPeer tests that fd is the accepted end of the inner connection with this dialled end.
func (l *Loop) checkPeer(fd, dialled int) error {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return ErrLayout
	}
	if un, ok := sa.(*syscall.SockaddrUnix); !ok || un.Name != l.inner.name {
		return ErrLayout
	}
	if dialled < 0 || !ownPeer(fd) {
		return errForeign
	}
	var sent, got [16]byte
	rand.Read(sent[:])
	if n, err := syscall.Write(fd, sent[:]); err != nil || n != len(sent) {
		return ErrLayout
	}
	if n, err := syscall.Read(dialled, got[:]); err != nil || !bytes.Equal(got[:n], sent[:]) {
		return ErrLayout
	}
	return nil
}

// closedInner is evio's event for a connection to the inner listener that has
// ended. Without an inner connection the loop could not be woken, so evio must end, too.
func (l *Loop) closedInner(ec evio.Conn) evio.Action {
	if ctx, ok := ec.Context().(*innerContext); ok && !ctx.foreign {
		l.inner.fd = -1
		return evio.Shutdown
	}
	return evio.None
}

// unlockAndKick unlocks Loop.mu, which is held, and then sends a byte through the inner connection unless there is one in it.
// Without a connection, queued functions wait for openedInner.
func (l *Loop) unlockAndKick() {
	if l.kicked || l.wfd < 0 {
		l.mu.Unlock()
		return
	}
	l.kicked = true
	fd, write := l.wfd, l.sendKick
	l.kicks.Add(1) // hangUp closes fd later
	l.mu.Unlock()
	// If the socket buffer is full, bytes are waiting to be read and the loop wakes anyway, so the result does not matter.
	write(fd, kickByte)
	l.kicks.Done()
}

var kickByte = []byte{'k'}

// Post runs fn on the loop, soon and in the order of the calls. Any goroutine
// may call it, the loop included (fn then runs in a later round, not at once).
// Functions posted before Serve run when the loop has started.
func (l *Loop) Post(fn func()) {
	l.mu.Lock()
	l.posted = append(l.posted, fn)
	l.unlockAndKick()
}

// RequestFlush requests the flush phase. Further calls before that phase cost nothing.
func (l *Loop) RequestFlush() {
	if l.flushWanted {
		return
	}
	l.flushWanted = true
	if l.waking {
		return // the flush phase follows in this call of woken
	}
	if l.watch.flush() {
		return
	}
	l.mu.Lock()
	l.unlockAndKick()
}

// woken is the loop's own turn: writable sockets, posted functions, timers and
// the flush phase, in this order; or of timers only, if they have woken it.
func (l *Loop) woken(ec evio.Conn) evio.Action {
	ctx, ok := ec.Context().(*innerContext)
	if !ok || ctx.foreign {
		return evio.Close
	}
	switch ctx.kind {
	case timerInner:
		l.waking = true
		l.timers.run()
		l.rested()
		l.rest()
		return evio.None
	case flushInner:
		l.rested()
		return evio.None
	}
	l.mu.Lock()
	l.kicked = false
	l.running, l.posted = l.posted, l.running[:0]
	l.ready, l.readyIn = l.readyIn, l.ready[:0]
	alarm, stop := l.alarm, l.stop
	l.alarm = false
	l.mu.Unlock()

	l.waking = true
	for _, fd := range l.ready {
		l.writable(fd)
	}
	for i, fn := range l.running {
		l.running[i] = nil
		fn()
	}
	if cap(l.running) > 1<<12 {
		l.running = nil // do not keep the memory of a burst
	}
	if alarm || stop {
		l.timers.run()
	}
	l.rested()
	if !stop {
		return evio.None
	}
	l.shutdown = true
	l.stopListening()
	for _, c := range l.byFD {
		if c != nil && c.q != nil {
			c.flush()
		}
	}
	return evio.Shutdown
}

// rested ends the turn of woken with the flush phase.
func (l *Loop) rested() {
	l.waking = false
	if l.flushWanted {
		l.flushWanted = false
		l.h.Flush()
	}
}

// writable continues to write the output of a connection whose socket is writable again. A stale report, for a closed
// connection whose descriptor another one has now, is harmless: that one tries to write and waits again.
func (l *Loop) writable(fd int32) {
	if int(fd) >= len(l.byFD) {
		return
	}
	if c := l.byFD[fd]; c != nil {
		c.flags &^= fArmed
		c.flush()
	}
}

// reportReady is called by the watcher's goroutine.
func (l *Loop) reportReady(fds []int32) {
	l.mu.Lock()
	l.readyIn = append(l.readyIn, fds...)
	l.unlockAndKick()
}
