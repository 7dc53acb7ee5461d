package eventloop

// A connection and its output.
//
// Send writes to the descriptor at once, without blocking, when nothing waits
// in front of it. What the socket does not take goes to the queue; the watcher
// reports when the socket takes more, and the loop writes on, at most
// flushBudget bytes a time, so that one fast reader of a long queue does not
// keep the others waiting. Hold makes Send queue only: replies that must not
// leave before the AOF is on disk.
//
// States, in flags: open (none of them); held; closing (CloseAfterSend: input
// is ignored, further output dropped, what is queued still goes out); lingering
// (all output is with the kernel and the write side is shut, but the peer is
// still sending: closing now would make the kernel answer with a reset, which
// destroys output on its way); closed (to be closed by evio: by the result of
// the running Data, or because the socket is shut down); dead (evio has closed
// the descriptor, whose number may already be someone else's).
//
// Cost of an idle connection: a Conn (64 bytes) and its slot in Loop.byFD.

import (
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

const (
	fHeld     = 1 << iota // Send queues only
	fQueued               // q is in use
	fClosing              // CloseAfterSend
	fClosed               // evio is to close it
	fDead                 // evio has closed it
	fArmed                // the watcher will report it
	fWatched              // the watcher knows the descriptor
	fRefused              // not the Handler's
	fLinger               // write side shut, waiting for the peer
	fDialled              // made by Dial
	fSourced              // has a Source, see source.go
	fBeside               // not evio's, see beside.go
	fDetached             // evio is to give it away, see detach.go

	fNoDirect = fHeld | fQueued | fClosing | fClosed | fDead | fDetached
	fNoOutput = fClosing | fClosed | fDead | fDetached
)

const (
	// flushBudget bounds what is written for one report of the watcher.
	flushBudget = 1 << 20
	// lingerTime bounds how long a connection waits for its peer to stop.
	lingerTime = time.Second
	// maxLingerTime bounds it where output is beside the loop.
	maxLingerTime = time.Minute
	// maxLinger bounds the refused connections that wait.
	maxLinger = 16
	// ownMin is the size from which SendOwned keeps the slice itself.
	ownMin = 16 << 10
)

// Conn is a client's connection. All methods run on the loop; after Closed they
// do nothing.
type Conn struct {
	// Ctx is the owner's, usually its session.
	Ctx any

	loop  *Loop
	ev    evio.Conn
	q     *outQueue // nil when nothing is queued
	fd    int32
	errno uint16 // why a write failed
	flags uint16
	ln    uint16 // index in Loop.lns
}

// Send sends p: at once if nothing is queued or held, else in its turn. The
// slice is the caller's again when Send returns. A write error closes the
// connection; output after CloseAfterSend or CloseNow is dropped.
func (c *Conn) Send(p []byte) {
	if c.flags&fNoDirect == 0 {
		n, errno := c.write(p)
		if n == len(p) {
			return
		}
		if p = c.written(p, n, errno); p == nil {
			return
		}
		c.enqueue(p)
		c.arm()
		return
	}
	if c.flags&fNoOutput == 0 {
		c.enqueue(p)
	}
}

// SendOwned is Send for a slice that nobody changes any more: a large one is
// queued without copying. The bytes between its length and its capacity are
// left alone.
func (c *Conn) SendOwned(p []byte) {
	if c.flags&fNoDirect == 0 {
		n, errno := c.write(p)
		if n == len(p) {
			return
		}
		if p = c.written(p, n, errno); p == nil {
			return
		}
		c.enqueueOwned(p)
		c.arm()
		return
	}
	if c.flags&fNoOutput == 0 {
		c.enqueueOwned(p)
	}
}

// SendShared sends head, shared and tail as Send does, and reports whether bytes of
// shared wait in the queue: shared itself waits there, so nobody may change it any
// more. head and tail are the caller's again.
func (c *Conn) SendShared(head, shared, tail []byte) (queued bool) {
	if c.flags&fNoDirect != 0 {
		if c.flags&fNoOutput != 0 {
			return false
		}
		c.enqueue(head)
		c.enqueueOwned(shared)
		c.enqueue(tail)
		return true
	}
	n, errno := c.writeAll([][]byte{head, shared, tail})
	if errno != 0 && errno != syscall.EAGAIN {
		c.lose(errno)
		return false
	}
	if n == len(head)+len(shared)+len(tail) {
		return false
	}
	if n < len(head) {
		c.enqueue(head[n:])
	}
	if at := max(n-len(head), 0); at < len(shared) {
		c.enqueueOwned(shared[at:])
		queued = true
	}
	c.enqueue(tail[max(n-len(head)-len(shared), 0):])
	c.arm()
	return queued
}

// Read reads from the socket what is there, into the first buffer and when that is
// full into the second, and returns how many bytes that were. 0 means that there
// is nothing now: the end of the stream and errors are left for the loop to find.
// A Handler may call it in Data if it has a better place for the bytes than the
// packets of the loop.
func (c *Conn) Read(first, second []byte) int {
	if c.flags&(fBeside|fDialled|fClosing|fClosed|fDead) != 0 {
		return 0
	}
	return receive(int(c.fd), first, second)
}

// write writes to the socket what it takes at once.
func (c *Conn) write(p []byte) (n int, errno syscall.Errno) {
	if c.flags&fBeside != 0 {
		return c.side().send(p)
	}
	return send(int(c.fd), p)
}

// written handles a write that did not take all of p; it returns what is left
// to queue, or nil when the connection is lost.
func (c *Conn) written(p []byte, n int, errno syscall.Errno) []byte {
	if errno != 0 && errno != syscall.EAGAIN {
		c.lose(errno)
		return nil
	}
	return p[n:]
}

func (c *Conn) enqueue(p []byte) {
	if len(p) == 0 {
		return
	}
	if c.q == nil {
		c.q = c.loop.pool.queue()
		c.flags |= fQueued
	}
	c.q.add(&c.loop.pool, p)
}

func (c *Conn) enqueueOwned(p []byte) {
	if len(p) < ownMin {
		c.enqueue(p)
		return
	}
	if c.q == nil {
		c.q = c.loop.pool.queue()
		c.flags |= fQueued
	}
	c.q.addOwned(p)
}

// Hold makes Send queue until Unhold.
func (c *Conn) Hold() { c.flags |= fHeld }

// Unhold ends Hold and writes what is queued.
func (c *Conn) Unhold() {
	c.flags &^= fHeld
	if c.flags&fArmed == 0 {
		c.flush()
	}
}

// Held reports whether Hold is in force.
func (c *Conn) Held() bool { return c.flags&fHeld != 0 }

// flush writes what is queued, as far as the socket and flushBudget allow.
func (c *Conn) flush() {
	if c.flags&(fHeld|fClosed|fDead) != 0 {
		return
	}
	if q := c.q; q != nil {
		for budget := flushBudget; ; {
			p := q.front()
			if len(p) == 0 {
				break
			}
			if budget <= 0 {
				c.arm()
				return
			}
			if len(p) > budget {
				p = p[:budget]
			}
			n, errno := c.write(p)
			q.advance(&c.loop.pool, n)
			budget -= n
			if errno != 0 && errno != syscall.EAGAIN {
				c.lose(errno)
				return
			}
			if n < len(p) {
				c.arm()
				return
			}
		}
		c.dropQueue()
	}
	if c.flags&(fSourced|fClosing) == fSourced && !c.pull(flushBudget) {
		return
	}
	if c.flags&(fClosing|fLinger) == fClosing {
		c.finish()
	}
}

// arm asks the watcher for a report.
func (c *Conn) arm() {
	if c.flags&fArmed != 0 {
		return
	}
	c.flags |= fArmed
	if c.flags&fBeside != 0 {
		c.side().arm()
		return
	}
	if err := c.loop.watch.arm(int(c.fd), c.flags&fWatched == 0); err != nil {
		// The kernel has no room for another watch: try again soon.
		c.loop.AfterFunc(10*time.Millisecond, func() {
			c.flags &^= fArmed
			c.flush()
		})
		return
	}
	c.flags |= fWatched
}

func (c *Conn) dropQueue() {
	if c.q != nil {
		c.loop.pool.release(c.q)
		c.q = nil
		c.flags &^= fQueued
	}
}

// CloseAfterSend closes the connection when all queued output is written.
// Input is ignored and further output dropped from now on.
func (c *Conn) CloseAfterSend() {
	if c.flags&fNoOutput != 0 {
		return
	}
	c.flags |= fClosing
	if c.q == nil {
		c.finish()
	}
}

// CloseNow closes the connection and drops queued output. There is no more
// Data; Closed follows in a later round.
func (c *Conn) CloseNow() {
	if c.flags&(fClosed|fDead) != 0 {
		return
	}
	c.flags |= fClosed
	c.dropQueue()
	if c.flags&fBeside != 0 {
		c.side().resume()
	}
	// Also in its own Data, whose result says to close: evio does so at the next event of the socket, and a peer that
	// neither sends nor reads would cause none.
	syscall.Shutdown(int(c.fd), syscall.SHUT_RDWR)
}

// lose closes the connection because of a write error.
func (c *Conn) lose(errno syscall.Errno) {
	c.errno = uint16(errno)
	c.CloseNow()
}

// finish closes a connection whose output is with the kernel. If the peer is
// still sending, or the kernel is still sending ours, it lingers first.
func (c *Conn) finish() {
	if c.flags&fBeside != 0 {
		c.flags |= fLinger
		c.side().end()
		c.closeLater()
		return
	}
	unread, eof := c.drain()
	if eof || !unread && unsent(int(c.fd)) == 0 {
		c.CloseNow()
		return
	}
	c.flags |= fLinger
	syscall.Shutdown(int(c.fd), syscall.SHUT_WR)
	c.closeLater()
}

// closeLater closes a connection that lingers after lingerTime, if its peer has not by then. Output beside the loop, which the
// kernel would go on sending, is given more time.
func (c *Conn) closeLater() { c.closeAfter(maxLingerTime) }

func (c *Conn) closeAfter(left time.Duration) {
	c.loop.AfterFunc(lingerTime, func() {
		switch {
		case c.flags&fDead != 0:
		case left > 0 && c.flags&fBeside != 0 && c.side().pending():
			c.closeAfter(left - lingerTime)
		default:
			c.drain()
			c.CloseNow()
		}
	})
}

// drain reads and drops what the peer has sent, up to 16 buffers.
func (c *Conn) drain() (some, eof bool) {
	if c.flags&fBeside != 0 {
		return false, false // its goroutine reads on
	}
	if c.loop.discard == nil {
		c.loop.discard = make([]byte, 64<<10)
	}
	for range 16 {
		n, err := syscall.Read(int(c.fd), c.loop.discard)
		if n == 0 && err == nil {
			return some, true
		}
		if n <= 0 {
			return some, err != syscall.EAGAIN && err != syscall.EINTR
		}
		some = true
	}
	return some, false
}

// refuse closes a connection that is not let in. linger lets it wait for the
// peer as long as there are not many that do.
func (c *Conn) refuse(linger bool) {
	c.flags |= fRefused
	if c.flags&fClosed != 0 {
		return
	}
	c.flags &^= fHeld
	c.flush()
	c.dropQueue()
	c.drain()
	if !linger || c.loop.linger >= maxLinger || c.flags&fClosed != 0 {
		if c.flags&fBeside == 0 {
			syscall.Shutdown(int(c.fd), syscall.SHUT_WR)
		}
		c.CloseNow()
		return
	}
	// The request of the client may be on its way still.
	c.loop.linger++
	c.flags |= fClosing | fLinger
	if c.flags&fBeside != 0 {
		c.side().end()
	} else {
		syscall.Shutdown(int(c.fd), syscall.SHUT_WR)
	}
	c.closeLater()
}

// Closing reports whether the connection is closed or about to be.
func (c *Conn) Closing() bool { return c.flags&fNoOutput != 0 }

// Queued returns the bytes of output that the kernel has not taken yet.
func (c *Conn) Queued() int {
	if c.q == nil {
		return 0
	}
	return c.q.bytes
}

// QueuedChunks returns the number of buffers in the output queue.
func (c *Conn) QueuedChunks() int {
	if c.q == nil {
		return 0
	}
	return c.q.n
}

// QueuedMem returns the memory that the output queue holds, in bytes.
func (c *Conn) QueuedMem() int {
	if c.q == nil {
		return 0
	}
	return c.q.mem
}

// FD returns the descriptor, or -1 after Closed.
func (c *Conn) FD() int { return int(c.fd) }

// Dialled reports whether Dial made the connection.
func (c *Conn) Dialled() bool { return c.flags&fDialled != 0 }

// IsUnix reports whether the client came through a unix socket.
func (c *Conn) IsUnix() bool { return c.flags&(fDialled|fBeside) == 0 && c.loop.lns[c.ln].unix }

// IsTCP reports whether the client came through TCP.
func (c *Conn) IsTCP() bool { return !c.IsUnix() }

// RemoteAddr returns the peer's address as Redis writes it: "127.0.0.1:1234",
// "[::1]:1234", or the path of the unix socket and ":0".
func (c *Conn) RemoteAddr() string {
	if c.flags&(fDialled|fBeside) == fDialled {
		return peerName(syscall.Getpeername(int(c.fd)))
	}
	if ln := &c.loop.lns[c.ln]; ln.unix && c.flags&fBeside == 0 {
		return ln.path + ":0"
	}
	if a, ok := c.ev.RemoteAddr().(*net.TCPAddr); ok {
		return net.JoinHostPort(a.IP.String(), strconv.Itoa(a.Port))
	}
	return "?:0"
}

// LocalAddr returns this end's address in the form of RemoteAddr, "?:0" after
// Closed.
func (c *Conn) LocalAddr() string {
	if ln := &c.loop.lns[c.ln]; ln.unix && c.flags&(fDialled|fBeside) == 0 {
		return ln.path + ":0"
	}
	if c.flags&fDead != 0 {
		return "?:0"
	}
	sa, err := syscall.Getsockname(int(c.fd))
	if err != nil {
		return "?:0"
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return net.JoinHostPort(net.IP(sa.Addr[:]).String(), strconv.Itoa(sa.Port))
	case *syscall.SockaddrInet6:
		return net.JoinHostPort(net.IP(sa.Addr[:]).String(), strconv.Itoa(sa.Port))
	}
	return "?:0"
}
