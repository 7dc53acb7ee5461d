package eventloop

// A connection and its output.
//
// Send writes to the descriptor at once, without blocking, if the queue is empty. The rest of a write goes to the queue; the
// watcher reports when the socket is writable again, and the loop continues, with at most flushBudget bytes at a time, so
// that one fast reader of a long queue does not make the others wait. After Hold, Send only queues: for replies that must not
// be sent before the AOF is on disk.
//
// States, in flags: open (none of them); held; closing (CloseAfterSend: input
// is ignored, further output dropped, what is queued still goes out); lingering
// (the kernel has all output and the write side is shut down, but the peer is still sending: if the socket were closed now,
// the kernel would send a reset, which destroys output that has not arrived); closed (evio will close it: by the result of
// the running Data, or because the socket is shut down); dead (evio has closed the descriptor, whose number may be used again
// already).
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
	fClosed               // evio will close it
	fDead                 // evio has closed it
	fArmed                // the watcher will report the descriptor
	fWatched              // the watcher knows the descriptor
	fRefused              // refused: the Handler does not know it
	fLinger               // write side shut, waiting for the peer
	fDialled              // made by Dial
	fSourced              // has a Source, see source.go
	fBeside               // not in evio's poll, see beside.go
	fDetached             // evio will give it away, see detach.go
	fPeer4                // ip4 and port are the peer's

	fNoDirect = fHeld | fQueued | fClosing | fClosed | fDead | fDetached
	fNoOutput = fClosing | fClosed | fDead | fDetached
)

const (
	// flushBudget is the most bytes written for one report of the watcher.
	flushBudget = 1 << 20
	// lingerTime is the longest time that a connection waits until its peer stops sending.
	lingerTime = time.Second
	// maxLingerTime is the longest time for a connection beside the loop.
	maxLingerTime = time.Minute
	// maxLinger is the greatest number of refused connections that linger.
	maxLinger = 16
	// ownMin is the size from which SendOwned keeps the slice itself.
	ownMin = 16 << 10
)

// Conn is a client's connection. All methods run on the loop; after Closed they
// do nothing.
type Conn struct {
	// Ctx belongs to the Handler; it is usually its session.
	Ctx any

	loop  *Loop
	ev    evio.Conn
	q     *outQueue // nil when nothing is queued
	fd    int32
	errno uint16 // the error of a failed write
	flags uint16
	ln    uint16 // index in Loop.lns
	port  uint16 // the peer's, and its address, if fPeer4 is set; see peer.go
	ip4   [4]byte
}

// Send sends p: at once if nothing is queued or held, else it queues p. The caller may use the slice again when Send returns.
// A write error closes the connection; output after CloseAfterSend or CloseNow is dropped.
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

// SendOwned is Send for a slice that is never changed again: a large one is queued without copying. The bytes between its
// length and its capacity are not used.
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

// SendBuffer is Send for the buffer of a writer. It returns an empty buffer for what the writer writes next: the same one, or
// another if the queue has kept the bytes where they are.
func (c *Conn) SendBuffer(b []byte) []byte {
	n := 0
	if c.flags&fNoDirect == 0 {
		var errno syscall.Errno
		if n, errno = c.write(b); n == len(b) || c.written(b, n, errno) == nil {
			return b[:0]
		}
		defer c.arm()
	} else if c.flags&fNoOutput != 0 {
		return b[:0]
	}
	if rest := len(b) - n; rest < ownMin || rest < cap(b)/2 {
		c.enqueue(b[n:])
		return b[:0]
	}
	c.needQueue().addBuffer(&c.loop.pool, b, n)
	return c.loop.pool.buffer()
}

// SendShared sends head, shared and tail like Send. It reports whether bytes of shared are queued: the queue has shared
// itself then, so it must not be changed any more. The caller may use head and tail again.
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

// Read reads available bytes from the socket, into the first buffer and when that is full into the second, and returns their
// number. 0 means that there are none now; the loop handles the end of the stream and errors. A Handler may call it in Data
// to read directly into a buffer of its own.
func (c *Conn) Read(first, second []byte) int {
	if c.flags&(fBeside|fDialled|fClosing|fClosed|fDead) != 0 {
		return 0
	}
	return receive(int(c.fd), first, second)
}

// write writes to the socket as much as it accepts at once.
func (c *Conn) write(p []byte) (n int, errno syscall.Errno) {
	if c.flags&fBeside != 0 {
		return c.side().send(p)
	}
	return send(int(c.fd), p)
}

// written handles a write that did not write all of p; it returns the rest, which the caller queues, or nil after an error.
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
	c.needQueue().add(&c.loop.pool, p)
}

// needQueue returns the connection's queue, which it gives it if there is none.
func (c *Conn) needQueue() *outQueue {
	if c.q == nil {
		c.q = c.loop.pool.queue()
		c.flags |= fQueued
	}
	return c.q
}

func (c *Conn) enqueueOwned(p []byte) {
	if len(p) < ownMin {
		c.enqueue(p)
		return
	}
	c.needQueue().addOwned(p)
}

// Hold makes Send queue its output until Unhold.
func (c *Conn) Hold() { c.flags |= fHeld }

// Unhold ends Hold and writes the queue.
func (c *Conn) Unhold() {
	c.flags &^= fHeld
	if c.flags&fArmed == 0 {
		c.flush()
	}
}

// Held reports whether the output is held.
func (c *Conn) Held() bool { return c.flags&fHeld != 0 }

// flush writes the queue, as far as the socket and flushBudget allow.
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
	// Also within its own Data, whose result closes the connection: evio closes it only at the next event of the socket,
	// which a peer that neither sends nor reads would not cause.
	syscall.Shutdown(int(c.fd), syscall.SHUT_RDWR)
}

// lose closes the connection because of a write error.
func (c *Conn) lose(errno syscall.Errno) {
	c.errno = uint16(errno)
	c.CloseNow()
}

// finish closes a connection whose output is all with the kernel. If the peer or the kernel is still sending, the connection
// lingers first.
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

// closeLater closes a lingering connection after lingerTime if its peer has not closed it by then. A connection beside the
// loop with output left gets up to maxLingerTime.
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
		return false, false // its thread continues to read
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

// refuse closes a connection that was not accepted. With linger it lingers, unless many do so already.
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
	// The request of the client may not have arrived yet.
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
