package eventloop

import (
	"io"
	"os"

	"github.com/tidwall/evio"
)

// A connection that is given away. evio takes the socket out of its poll one event later (the socket can be written to, so that
// is in the next round), forgets it and leaves the descriptor open: from then on the socket belongs to the function that
// Detach was given, and for the Handler the connection is closed.

// Detach gives the connection's socket away: give gets it, on the loop, in one of the next rounds, after Closed was called. It may
// be called in Data only. It returns false, and nothing happens, where the socket cannot be given away: output waits or has
// waited in the queue, or the connection is not one of evio's (it was dialled, or speaks TLS). When the loop ends before, or
// the connection is closed, give is not called.
func (c *Conn) Detach(give func(f *os.File)) bool {
	const kept = fHeld | fQueued | fClosing | fClosed | fDead | fArmed | fWatched | fDialled | fSourced | fBeside | fDetached
	if c.flags&kept != 0 || c.loop.current != c {
		return false
	}
	if c.loop.detaching == nil {
		c.loop.detaching = make(map[*Conn]func(*os.File))
	}
	c.loop.detaching[c] = give
	c.flags |= fDetached
	return true
}

// detached is evio's event for a socket that it has let go.
func (l *Loop) detached(ec evio.Conn, _ io.ReadWriteCloser) evio.Action {
	defer l.guard()
	c := ec.Context().(*Conn)
	give := l.detaching[c]
	delete(l.detaching, c)
	fd := c.fd
	l.byFD[fd] = nil
	c.flags = fClosing | fClosed | fDead
	c.fd = -1
	l.conns--
	l.h.Closed(c, nil)
	give(os.NewFile(uintptr(fd), "socket"))
	return evio.None
}
