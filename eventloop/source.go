package eventloop

// Output that many connections share. The replication stream is sent to all replicas, so it is not
// copied to the queue of each. A Source, which belongs to one connection, returns the next shared
// bytes, and the loop writes them from their place, behind the output that Send has queued. The
// caller must not call Send for the connection while its Source has output: it could be written in
// the middle of it.

import "syscall"

// A Source has output for one connection. All calls come from the loop.
type Source interface {
	// Next appends the next pieces of output to bufs; they need not be all. Their bytes do not
	// change until Wrote.
	Next(bufs [][]byte) [][]byte
	// Wrote is called after n bytes of the pieces of Next were written to the socket.
	Wrote(n int)
}

// maxPieces is the most pieces of a Source in one write.
const maxPieces = 32

// SetSource sets the Source of the connection; nil removes it.
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

// Pull writes the output of the Source. The part that the socket does not accept is written later,
// without another call. New output of the Source needs another call.
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
			return false // Wrote has removed it
		}
		if n < want {
			break
		}
		budget -= n
	}
	c.arm()
	return false
}
