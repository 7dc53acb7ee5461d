package eventloop

// Connections beside the loop: Join. The bytes of an encrypted connection cannot
// be read by evio, so its socket never comes into evio's poll. A goroutine reads
// it, deciphers, and hands the plain bytes over in a function that it posts; it
// waits until they are used, so there is one buffer, and a peer that sends faster
// than commands run is slowed down by its own socket.
//
// What the loop sends goes to side.out, which plays the part of a socket's buffer:
// Send fills it up to sideRoom, the rest waits in the connection's queue as it does
// for other connections, and side asks the loop to write on (Conn.flush) when there
// is room again. The goroutine that has handed bytes over writes the replies itself
// when it comes back: one wake-up a request. Where nobody is there to write (a push
// to a client that is silent), another goroutine is started for as long as there is
// output.
//
// A peer that does not read must not keep us from reading: it may send a long
// pipeline first. So the reading goroutine writes only while the socket takes
// everything at once (Stream.Clogged); from then on the other one does, which may
// wait.
//
// Everything else is as for other connections: Conn.fd is the socket itself, so
// shutting it down ends both directions, and its number is the connection's place in
// Loop.byFD until Closed. It is closed after that.
//
// Cost of an idle connection: the Conn, a side of 200 bytes, the stack of one
// goroutine, and what the Stream keeps. The buffer is given back after a second
// without input.

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

// A Stream is a connection whose bytes are not those of its socket. Read and Write
// may run at the same time. Close is called last.
type Stream interface {
	io.ReadWriteCloser
	// CloseWrite tells the peer that nothing follows.
	CloseWrite() error
	// SetReadDeadline ends a Read with os.ErrDeadlineExceeded and leaves the connection as it is.
	SetReadDeadline(t time.Time) error
	// Clogged tells whether bytes of earlier calls of Write wait for the socket.
	Clogged() bool
	// Unclog waits until they do not, or returns an error.
	Unclog() error
	// WaitInput waits until there is something to read, without memory for it.
	WaitInput() error
	// FD is the descriptor of the socket.
	FD() int
	// RemoteAddr is the peer's address.
	RemoteAddr() net.Addr
}

const (
	// sideRoom is how many plain bytes are taken from the queue at a time.
	sideRoom = 256 << 10
	// sideIn is the size of the buffer for input, a record of TLS.
	sideIn = 16 << 10
	// sideIdle is after how long without input the buffer is given back.
	sideIdle = time.Second
)

// side is what stands beside the loop for a Conn with fBeside. The goroutine of run and the loop share in and ctx: the loop
// has them between a Post and used.
type side struct {
	loop    *Loop
	conn    *Conn
	s       Stream
	in      []byte
	used    chan struct{} // the loop is done with in
	deliver func()        // posted for in
	reads   atomic.Uint32 // how often there was input
	seen    uint32        // reads at the last look for idleness
	idle    *time.Timer   // looks

	mu      sync.Mutex
	stopped chan struct{} // there while the peer is not read; closed by resume
	out     []byte        // to be written
	spare   []byte        // out's other half
	busy    bool          // a goroutine writes, or will when the loop has used its input
	wait    bool          // the loop wants to know of room
	done    bool          // nothing comes to out any more: tell the peer when it is empty
	lost    bool          // nothing is written any more
}

var sideBuffers = sync.Pool{New: func() any { b := make([]byte, sideIn); return &b }}

// Join has the loop serve a connection that others have accepted: Handler.Opened is called for it, then Data and Closed. Any
// goroutine may call it.
func (l *Loop) Join(s Stream) { l.Post(func() { l.join(s, 0, nil) }) }

// join makes the connection. done is called instead of Handler.Opened if there is one.
func (l *Loop) join(s Stream, flags uint16, done func(*Conn)) {
	sd := &side{loop: l, s: s, used: make(chan struct{}, 1)}
	c := &Conn{loop: l, ev: sd, fd: int32(s.FD()), flags: fBeside | flags}
	sd.conn, sd.deliver = c, sd.take
	fd := int(c.fd)
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = c
	var idle time.Duration
	if l.opt.KeepAlive != nil {
		idle = l.opt.KeepAlive()
	}
	tuneTCP(fd, idle)
	l.current = c
	switch {
	case done != nil:
		l.conns++
		done(c)
	case l.outOfFDs(fd):
		c.Send(l.opt.Refusal)
		c.refuse(false)
	case l.h.Opened(c):
		l.conns++
	default:
		c.refuse(true)
	}
	l.current = nil
	go sd.run()
}

// run reads until the end of the connection.
func (sd *side) run() {
	err := sd.read()
	closed := make(chan struct{})
	sd.loop.Post(func() {
		if sd.conn.flags&fDead == 0 {
			sd.loop.closed(sd, err)
		}
		close(closed)
	})
	<-closed
	sd.mu.Lock()
	sd.lost, sd.out = true, nil
	sd.mu.Unlock()
	sd.s.Close()
}

func (sd *side) read() error {
	buf := sideBuffers.Get().(*[]byte)
	defer func() {
		if buf != nil {
			sideBuffers.Put(buf)
		}
	}()
	sd.idle = time.AfterFunc(sideIdle, sd.look)
	defer sd.idle.Stop()
	for {
		n, err := sd.s.Read(*buf)
		if n > 0 {
			sd.reads.Add(1)
			sd.hand((*buf)[:n])
			sd.awaitResume()
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			sideBuffers.Put(buf)
			buf = nil
			if err := sd.s.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			if err := sd.s.WaitInput(); err != nil {
				return err
			}
			buf = sideBuffers.Get().(*[]byte)
			sd.idle.Reset(sideIdle)
		case err == io.EOF:
			return nil
		default:
			return err
		}
	}
}

// look interrupts the reading goroutine if there was no input since the last look.
func (sd *side) look() {
	n := sd.reads.Load()
	if n == sd.seen {
		sd.s.SetReadDeadline(time.Unix(1, 0))
		return
	}
	sd.seen = n
	sd.idle.Reset(sideIdle)
}

// hand gives input to the loop and writes what it answers.
func (sd *side) hand(in []byte) {
	sd.mu.Lock()
	mine := !sd.busy
	sd.busy = true
	sd.mu.Unlock()
	sd.in = in
	sd.loop.Post(sd.deliver)
	<-sd.used
	if mine {
		sd.write(false)
	}
}

// stop has the goroutine read no more until resume, when the loop has used what it has.
func (sd *side) stop() {
	sd.mu.Lock()
	if sd.stopped == nil {
		sd.stopped = make(chan struct{})
	}
	sd.mu.Unlock()
}

func (sd *side) resume() {
	sd.mu.Lock()
	if sd.stopped != nil {
		close(sd.stopped)
		sd.stopped = nil
	}
	sd.mu.Unlock()
}

func (sd *side) awaitResume() {
	sd.mu.Lock()
	stopped := sd.stopped
	sd.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

// take is run by the loop for input.
func (sd *side) take() {
	c, l := sd.conn, sd.loop
	defer l.guard()
	l.rounds++
	if l.rounds&3 == 0 {
		l.yield()
	}
	if c.flags&(fClosing|fClosed) == 0 {
		l.current = c
		l.h.Data(c, sd.in)
		l.current = nil
	}
	sd.used <- struct{}{}
}

// send is send(2) for the loop.
func (sd *side) send(p []byte) (n int, errno syscall.Errno) {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	if sd.lost || sd.done {
		return 0, syscall.EPIPE
	}
	if n = min(len(p), sideRoom-len(sd.out)); n == 0 && len(p) > 0 {
		return 0, syscall.EAGAIN
	}
	sd.out = append(sd.out, p[:n]...)
	sd.begin()
	return n, 0
}

// begin sees to it that somebody writes. sd.mu is held.
func (sd *side) begin() {
	if !sd.busy {
		sd.busy = true
		go sd.write(true)
	}
}

// write writes until nothing is left. It was made busy for that. Without patience it leaves the work to another goroutine
// where it would have to wait.
func (sd *side) write(patient bool) {
	for {
		sd.mu.Lock()
		if len(sd.out) == 0 || sd.lost {
			sd.busy = false
			end := sd.done && !sd.lost
			sd.mu.Unlock()
			if end {
				sd.s.CloseWrite()
			}
			return
		}
		sd.mu.Unlock()
		if sd.s.Clogged() {
			if !patient {
				go sd.write(true)
				return
			}
			if err := sd.s.Unclog(); err != nil {
				sd.fail(err)
				continue
			}
		}
		sd.mu.Lock()
		out := sd.out
		sd.out = sd.spare[:0]
		room := sd.wait
		sd.wait = false
		sd.mu.Unlock()
		if room {
			sd.loop.Post(sd.conn.writable)
		}
		_, err := sd.s.Write(out)
		if cap(out) > sideIn {
			out = nil
		}
		sd.spare = out
		if err != nil {
			sd.fail(err)
		}
	}
}

// fail ends output after an error of writing, and the connection with it.
func (sd *side) fail(err error) {
	sd.mu.Lock()
	sd.lost, sd.out = true, nil
	sd.mu.Unlock()
	errno := syscall.EPIPE
	errors.As(err, &errno)
	sd.loop.Post(func() {
		if sd.conn.flags&fDead == 0 {
			sd.conn.lose(errno)
		}
	})
}

// arm asks for Conn.writable when there is room.
func (sd *side) arm() {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	if len(sd.out) > 0 && !sd.lost {
		sd.wait = true
		sd.begin()
		return
	}
	sd.loop.Post(sd.conn.writable)
}

// end lets the peer know that nothing follows when all is written.
func (sd *side) end() {
	sd.mu.Lock()
	sd.done = true
	sd.begin()
	sd.mu.Unlock()
}

// pending tells whether output is on its way still.
func (sd *side) pending() bool {
	sd.mu.Lock()
	defer sd.mu.Unlock()
	return !sd.lost && (len(sd.out) > 0 || sd.s.Clogged())
}

// writable goes on with the output of a connection beside the loop.
func (c *Conn) writable() {
	if c.flags&fDead == 0 {
		c.flags &^= fArmed
		c.flush()
	}
}

// side is an evio.Conn for Loop.closed, and for Conn.side to find it.

func (sd *side) Context() any         { return sd.conn }
func (sd *side) SetContext(any)       {}
func (sd *side) AddrIndex() int       { return 0 }
func (sd *side) LocalAddr() net.Addr  { return nil }
func (sd *side) RemoteAddr() net.Addr { return sd.s.RemoteAddr() }
func (sd *side) Wake()                {}

var _ evio.Conn = (*side)(nil)

// side returns what stands beside the loop for c, which has fBeside.
func (c *Conn) side() *side { return c.ev.(*side) }

// Stream returns the Stream of a connection that came through Join or Dial with one, else nil.
func (c *Conn) Stream() Stream {
	if c.flags&fBeside == 0 {
		return nil
	}
	return c.side().s
}

// hangUpBeside closes the connections beside the loop, as evio has closed the others.
func (l *Loop) hangUpBeside() {
	for _, c := range l.byFD {
		if c != nil && c.flags&fBeside != 0 {
			c.CloseNow()
			l.closed(c.side(), nil)
		}
	}
}
