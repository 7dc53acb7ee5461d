package eventloop

// Output that many connections share. The stream of replication goes to all
// replicas, so it is not copied into the queue of each: a Source, which belongs to
// one connection, knows where the common bytes are that come next, and the loop
// writes them from there. Behind what Send has queued, that is; what is sent once
// there is a Source goes out when the Source has nothing for the moment only if
// the caller sees to that.

import "syscall"

// A Source has output for one connection. All calls come from the loop.
type Source interface {
	// Next appends what is to be written next, in some pieces, to bufs. It need not be all there is.
	// The bytes stay as they are until Wrote.
	Next(bufs [][]byte) [][]byte
	// Wrote says that n bytes of what Next returned are with the kernel.
	Wrote(n int)
}

// maxPieces is how many pieces of a Source are written at once.
const maxPieces = 32

// SetSource has Pull write from s; nil ends that.
func (c *Conn) SetSource(s Source) {
	switch {
	case c.flags&fDead != 0:
	case s == nil:
		delete(c.loop.sources, c)
		c.flags &^= fSourced
	default:
		if c.loop.sources == nil {
			c.loop.sources = make(map[*Conn]Source)
		}
		c.loop.sources[c] = s
		c.flags |= fSourced
	}
}

// Pull writes what the Source has. What the socket does not take is written when
// it takes more, without another call. What comes to the Source later needs one.
func (c *Conn) Pull() {
	if c.flags&(fNoDirect|fArmed) == 0 {
		c.pull(flushBudget)
	}
}

// writeAll is write for several pieces.
func (c *Conn) writeAll(bufs [][]byte) (n int, errno syscall.Errno) {
	switch {
	case c.flags&fBeside != 0:
		for _, b := range bufs {
			m, errno := c.side().send(b)
			if n += m; errno != 0 || m < len(b) {
				return n, errno
			}
		}
		return n, 0
	case len(bufs) == 1:
		return send(int(c.fd), bufs[0])
	}
	return sendAll(int(c.fd), bufs)
}

// pull is Pull for at most about budget bytes. It reports whether the Source has no more.
func (c *Conn) pull(budget int) (dry bool) {
	s := c.loop.sources[c]
	var room [maxPieces][]byte
	for budget > 0 {
		bufs := s.Next(room[:0])
		want := 0
		for _, b := range bufs {
			want += len(b)
		}
		if want == 0 {
			return true
		}
		n, errno := c.writeAll(bufs)
		if errno != 0 && errno != syscall.EAGAIN {
			c.lose(errno)
			return false
		}
		if n > 0 {
			s.Wrote(n)
		}
		if c.flags&fSourced == 0 || c.flags&(fClosed|fDead) != 0 {
			return false // Wrote has ended it
		}
		if n < want {
			break
		}
		budget -= n
	}
	c.arm()
	return false
}
