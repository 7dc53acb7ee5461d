package eventloop

// Connections that the server makes: Dial. evio only accepts. So a goroutine dials, and then the loop connects to itself once
// more (see wake.go): when that connection is accepted, the dialled socket takes its place in evio's poll, under the number
// of its descriptor (adopt), and is read, written and closed like an accepted one from then on.
//
// Connections to the inner listener are accepted in the order in which they were
// made, and adopted in the order of Loop.adopting. checkPeer recognises connections of other processes in between.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

// Dialing has the arguments of Dial.
type Dialing struct {
	Addr    string // host:port
	From    string // the local address, "" for any
	Timeout time.Duration
	// Wrap, if not nil, makes a Stream of the connection, which is served beside the loop (see beside.go). It must end within
	// the rest of Timeout, owns the connection, and runs in a goroutine.
	Wrap func(ctx context.Context, conn *net.TCPConn) (Stream, error)
}

// adoption is a socket that waits for its place in evio's poll.
type adoption struct {
	fd    int // the socket
	inner int // dialled end of the inner connection whose place it takes
	done  func(*Conn, error)
}

// errDialLost is the error of a Dial that was in progress when evio had to be started again.
var errDialLost = errors.New("eventloop: the loop was started again")

// Dial connects to a TCP address. done is called on the loop, once: with a
// connection whose Data and Closed go to the Handler (Opened is not called; done
// sets Ctx), or with an error. After cancel done is not called, if it was not called before. Both must be called on the loop.
func (l *Loop) Dial(d Dialing, done func(c *Conn, err error)) (cancel func()) {
	ctx, stop := context.WithTimeout(context.Background(), d.Timeout)
	canceled := false
	tell := func(c *Conn, err error) {
		if !canceled {
			done(c, err)
		} else if c != nil { // canceled while its socket waited for its place: no owner knows it
			c.flags |= fRefused
			l.conns--
			c.CloseNow()
		}
	}
	go func() {
		made, err := connect(ctx, d)
		stop()
		l.Post(func() {
			switch {
			case canceled:
				if err == nil {
					made.close()
				}
			case err != nil:
				done(nil, err)
			case made.stream != nil:
				l.join(made.stream, fDialled, done)
			default:
				l.enlist(made.fd, tell)
			}
		})
	}()
	return func() {
		canceled = true
		stop()
	}
}

// dialled is a connection that has no place in a poll yet: a Stream, or else a descriptor.
type dialled struct {
	stream Stream
	fd     int
}

func (d dialled) close() {
	if d.stream != nil {
		d.stream.Close()
		return
	}
	syscall.Close(d.fd)
}

// connect connects.
func connect(ctx context.Context, d Dialing) (dialled, error) {
	tcp, err := dialTCP(ctx, d)
	if err != nil {
		return dialled{}, err
	}
	if d.Wrap != nil {
		s, err := d.Wrap(ctx, tcp)
		return dialled{stream: s}, err
	}
	defer tcp.Close()
	fd, err := ownFD(tcp)
	return dialled{fd: fd}, err
}

func dialTCP(ctx context.Context, d Dialing) (*net.TCPConn, error) {
	var dialer net.Dialer
	if d.From != "" {
		from, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(d.From, "0"))
		if err != nil {
			return nil, err
		}
		dialer.LocalAddr = from
	}
	nc, err := dialer.DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil
}

// ownFD returns a descriptor of the socket that is independent of the connection's.
func ownFD(tcp *net.TCPConn) (fd int, err error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := raw.Control(func(own uintptr) { fd, err = dupCloseOnExec(int(own)) }); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// enlist dials the inner connection that a dialled socket will replace in evio's poll.
func (l *Loop) enlist(fd int, done func(*Conn, error)) {
	inner, err := dialUnix(l.inner.name)
	if err != nil {
		syscall.Close(fd)
		done(nil, fmt.Errorf("eventloop: inner connection: %w", err))
		return
	}
	l.adopting = append(l.adopting, adoption{fd, inner, done})
}

// adopt is evio's event for the connection to the inner listener whose place a dialled socket takes.
func (l *Loop) adopt(ec evio.Conn) evio.Action {
	ec.SetContext(&innerContext{foreign: true})
	fd, err := l.connFD(ec)
	if err != nil || len(l.adopting) == 0 {
		return evio.Close
	}
	a := l.adopting[0]
	if l.checkPeer(fd, a.inner) != nil {
		return evio.Close
	}
	l.adopting = l.adopting[1:]
	if err := l.replace(ec, fd, &a); err != nil {
		a.done(nil, fmt.Errorf("eventloop: inner connection: %w", err))
		return evio.Close
	}
	c := &Conn{loop: l, ev: ec, fd: int32(fd), flags: fDialled}
	ec.SetContext(c)
	var idle time.Duration
	if l.opt.KeepAlive != nil {
		idle = l.opt.KeepAlive()
	}
	tuneTCP(fd, idle)
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = c
	l.conns++
	l.current = c
	a.done(c, nil)
	l.current = nil
	if c.flags&fClosed != 0 {
		return evio.Close
	}
	return evio.None
}

// dropDialled fails the dials whose sockets have no place yet: evio has ended.
func (l *Loop) dropDialled() {
	for _, a := range l.adopting {
		syscall.Close(a.fd)
		syscall.Close(a.inner)
		l.Post(func() { a.done(nil, errDialLost) })
	}
	l.adopting = nil
}

// StopReading stops reading from the socket until ResumeReading: when the kernel's buffer is full the peer waits. Data may
// still be called: with bytes that were read before, and if the connection ends meanwhile.
func (c *Conn) StopReading() {
	switch {
	case c.flags&(fDead|fClosed) != 0:
	case c.flags&fBeside != 0:
		c.side().stop()
	default:
		c.listen(false)
	}
}

// ResumeReading ends StopReading.
func (c *Conn) ResumeReading() {
	switch {
	case c.flags&(fDead|fClosed) != 0:
	case c.flags&fBeside != 0:
		c.side().resume()
	default:
		c.listen(true)
	}
}

// SetNoDelay sets TCP_NODELAY: small writes are sent at once (the default), or wait for more (Nagle's algorithm).
func (c *Conn) SetNoDelay(on bool) {
	v := 0
	if on {
		v = 1
	}
	if c.flags&fDead == 0 {
		syscall.SetsockoptInt(int(c.fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, v)
	}
}

// peerName prints the address of a socket's other end as Redis does.
func peerName(sa syscall.Sockaddr, err error) string {
	if err != nil {
		return "?:0"
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4, *syscall.SockaddrInet6:
		return sockName(sa)
	}
	return "?:0"
}
