package eventloop

// Connections beside the loop: Join. evio cannot read an encrypted connection, so its socket is never in evio's poll. An
// ioThread, a goroutine with a poll of its own, reads the sockets of many such connections, decrypts, and passes the plain
// bytes to the loop; it encrypts and writes the output of the loop. The loop sees plain bytes only, and has no costs for
// ciphers and system calls of these requests.
//
// # From a thread to the loop
//
// The bytes of one round of the poll are posted as one packet: one wake-up for many requests. A thread has two packets; while
// the loop works on one, the thread fills the other, and when both are posted the thread waits, so that the sockets slow down
// peers that send faster than commands run.
//
// # From the loop to a thread
//
// The loop writes to side.out, which replaces a socket's buffer: Send fills it up to sideRoom, the rest waits in the
// connection's queue as for other connections, and when there is room again the thread asks the loop to continue
// (Conn.flush). The loop sets its requests for a side (output, its end, reading again) with askAndUnlock; at the end of a packet
// it wakes a sleeping thread once for all of them.
//
// A peer that does not read does not delay others, since the thread never waits for a socket. Output that the kernel does not
// accept stays in the Stream until the poll reports the socket as writable (side.clogged).
//
// # Ownership
//
// The Stream belongs to the thread. ioThread.mu guards the data that thread and loop share. Conn.fd is the socket itself, so
// shutting it down ends both directions: the thread then reads the end, and posts it to the loop in a packet. The number of
// the descriptor is the connection's index in Loop.byFD until Closed; the thread closes the socket after that (side.gone).
//
// Cost of an idle connection: the Conn, a side of 200 bytes, and the Stream.

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

// A Stream is a connection that encrypts or changes the bytes of its socket. One goroutine calls its methods, and none of
// them blocks.
type Stream interface {
	// Ready is called when the socket may have something to read.
	Ready()
	// Read reads available bytes; syscall.EAGAIN means that there are none until Ready.
	Read(p []byte) (int, error)
	// Write accepts all of p; bytes that the socket does not accept wait for Flush.
	Write(p []byte) error
	// Flush writes waiting bytes to the socket.
	Flush() error
	// Waiting reports whether bytes wait for Flush.
	Waiting() bool
	// CloseWrite ends this direction once the waiting bytes are sent (close_notify).
	CloseWrite() error
	// Close closes the socket.
	Close() error
	// FD is the descriptor of the socket.
	FD() int
	// RemoteAddr is the peer's address.
	RemoteAddr() net.Addr
}

const (
	// sideRoom is how many plain bytes are taken from the queue at a time.
	sideRoom = 256 << 10
	// sideKept is the capacity up to which an empty buffer of output is kept for others.
	sideKept = 16 << 10
	// maxSpare is how many are kept.
	maxSpare = 64
	// packetSize is how many bytes of input a packet holds.
	packetSize = 64 << 10
	// packetRest is what a packet must have room for to take more.
	packetRest = 4 << 10
	// packets is how many a thread has.
	packets = 2
	// sideTurn is how many reads a connection has before it is another's turn.
	sideTurn = 4
	// maxIOThreads bounds the threads of a loop.
	maxIOThreads = 4
	// MaxIOFiles is how many descriptors the threads take for themselves.
	MaxIOFiles = 2 * maxIOThreads
)

// side is what stands beside the loop for a Conn with fBeside.
type side struct {
	conn   *Conn
	s      Stream
	thread *ioThread

	// Of the thread.
	in, out bool // what the poll is to report
	polled  bool // the poll knows the socket
	ended   bool // the end was posted to the loop
	again   bool // it is in ioThread.more
	parted  bool // the peer knows that nothing follows
	closed  bool // the socket is closed, and its number may be another's

	// Guarded by ioThread.mu.
	buf     []byte // to be written
	asked   bool   // it is in ioThread.asked
	stopped bool   // the loop wants no input
	wait    bool   // the loop wants to know of room
	done    bool   // the loop adds nothing to buf any more: CloseWrite when it is empty
	lost    bool   // nothing is written any more
	clogged bool   // the Stream has output that the socket may not have taken
	gone    bool   // the loop has done with it
}

// ioThread serves sides.
type ioThread struct {
	loop *Loop
	poll *sidePoll
	free chan *packet  // those that the loop has done with
	quit chan struct{} // closed to end it
	done chan struct{}

	// Of the thread.
	sides  []*side // by descriptor
	packet *packet // that is being filled
	more   []*side // whose Stream has more, of which the poll knows nothing
	taken  []*side // asked of the last time, to be used again
	events []sideEvent

	mu     sync.Mutex
	asked  []*side // for which the loop wants something
	spare  [][]byte
	asleep bool // the thread waits for the poll
	kicked bool // and is being woken
	count  int  // sides
}

// packet is the input of several connections.
type packet struct {
	thread  *ioThread
	buf     []byte
	used    int
	items   []packetItem
	deliver func() // posted
}

// packetItem is input of one connection, its end, or room for its output.
type packetItem struct {
	sd    *side
	in    []byte
	end   bool
	err   error         // of the end
	room  bool          // the connection has asked for it
	errno syscall.Errno // of writing
}

// sideEvent is what a poll reports of a descriptor.
type sideEvent struct {
	fd            int
	in, out, hung bool
}

// Join has the loop serve a connection that others have accepted: Handler.Opened is called for it, then Data and Closed. Any
// goroutine may call it.
func (l *Loop) Join(s Stream) { l.Post(func() { l.join(s, 0, nil) }) }

// join makes the connection. done is called instead of Handler.Opened if there is one.
func (l *Loop) join(s Stream, flags uint16, done func(*Conn, error)) {
	t, err := l.ioThread()
	if err != nil {
		s.Close()
		err = fmt.Errorf("eventloop: no poll for encrypted connections: %w", err)
		if done != nil {
			done(nil, err)
		} else {
			l.opt.Logf("a connection is closed: %v", err)
		}
		return
	}
	sd := &side{s: s, thread: t}
	c := &Conn{loop: l, ev: sd, fd: int32(s.FD()), flags: fBeside | flags}
	sd.conn = c
	fd := int(c.fd)
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = c
	t.mu.Lock()
	t.count++
	t.askAndUnlock(sd)
	l.current = c
	switch {
	case done != nil:
		l.conns++
		done(c, nil)
	case l.outOfFDs(fd):
		c.Send(l.opt.Refusal)
		c.refuse(false)
	case l.h.Opened(c):
		l.conns++
	default:
		c.refuse(true)
	}
	l.current = nil
}

// ioThread returns the thread that has the fewest connections. There are half as many threads as processors.
func (l *Loop) ioThread() (*ioThread, error) {
	if len(l.threads) < min(max(runtime.NumCPU()/2, 1), maxIOThreads) {
		t, err := newIOThread(l)
		if err == nil {
			l.threads = append(l.threads, t)
			return t, nil
		}
		if len(l.threads) == 0 {
			return nil, err
		}
	}
	var least *ioThread
	fewest := 0
	for _, t := range l.threads {
		t.mu.Lock()
		n := t.count
		t.mu.Unlock()
		if least == nil || n < fewest {
			least, fewest = t, n
		}
	}
	return least, nil
}

func newIOThread(l *Loop) (*ioThread, error) {
	poll, err := newSidePoll()
	if err != nil {
		return nil, err
	}
	t := &ioThread{loop: l, poll: poll, free: make(chan *packet, packets), quit: make(chan struct{}),
		done: make(chan struct{})}
	for range packets {
		p := &packet{thread: t, buf: make([]byte, packetSize)}
		p.deliver = p.run
		t.free <- p
	}
	go t.run()
	return t, nil
}

// run is the thread.
func (t *ioThread) run() {
	defer close(t.done)
	yielded := time.Now()
	for {
		if time.Since(yielded) > yieldEvery { // see Loop.yield
			yielded = time.Now()
			runtime.Gosched()
		}
		wait := t.attend()
		select {
		case <-t.quit:
			t.close()
			return
		default:
		}
		t.post()
		t.events = t.poll.wait(t.events[:0], wait)
		t.mu.Lock()
		t.asleep, t.kicked = false, false
		t.mu.Unlock()
		for _, e := range t.events {
			sd := t.sides[e.fd]
			if sd == nil {
				continue
			}
			if e.out || e.hung {
				t.write(sd)
			}
			switch {
			case !sd.in && e.hung: // the poll would report it in each round
				t.forget(sd)
			case e.in || e.hung:
				sd.s.Ready()
				t.read(sd)
			}
		}
		again := t.more
		t.more = nil
		for _, sd := range again {
			sd.again = false
			t.read(sd)
		}
		t.post()
	}
}

func (t *ioThread) close() {
	for _, sd := range t.sides {
		if sd != nil {
			sd.s.Close()
		}
	}
	t.poll.close()
}

// attend does what the loop has asked for. wait is true if nothing is left to do: then asleep is set, and the loop wakes the
// thread for its next request.
func (t *ioThread) attend() (wait bool) {
	for {
		t.mu.Lock()
		asked := t.asked
		t.asked = t.taken[:0]
		for _, sd := range asked {
			sd.asked = false
		}
		if len(asked) == 0 {
			wait = len(t.more) == 0
			t.asleep = wait
		}
		t.mu.Unlock()
		for _, sd := range asked {
			t.serve(sd)
		}
		clear(asked)
		if t.taken = asked[:0]; len(asked) == 0 {
			return wait
		}
	}
}

// serve does what the loop wants for a side.
func (t *ioThread) serve(sd *side) {
	t.mu.Lock()
	reading, gone := !sd.stopped && !sd.ended, sd.gone
	t.mu.Unlock()
	if sd.closed {
		return
	}
	fd := sd.s.FD()
	for fd >= len(t.sides) {
		t.sides = append(t.sides, nil)
	}
	t.sides[fd] = sd
	if t.write(sd); gone {
		t.forget(sd)
		t.sides[fd] = nil
		t.mu.Lock()
		t.count--
		t.mu.Unlock()
		sd.closed = true
		sd.s.Close()
		return
	}
	if reading != sd.in {
		t.want(sd, reading, sd.out)
		if reading { // there may be something that the Stream has read already
			t.read(sd)
		}
	}
}

// want sets what the poll is to report.
func (t *ioThread) want(sd *side, in, out bool) {
	if sd.polled && in == sd.in && out == sd.out {
		return
	}
	if err := t.poll.set(sd.s.FD(), in, out, sd.polled); err != nil {
		t.add(packetItem{sd: sd, end: !sd.ended, err: err})
		sd.ended = true
		return
	}
	sd.polled, sd.in, sd.out = true, in, out
}

// forget has the poll report nothing of it.
func (t *ioThread) forget(sd *side) {
	if sd.polled {
		t.poll.drop(sd.s.FD(), sd.in, sd.out)
	}
	sd.polled, sd.in, sd.out = false, false, false
}

// read reads what there is.
func (t *ioThread) read(sd *side) {
	for turn := 0; sd.in && !sd.ended; turn++ {
		if turn == sideTurn {
			if !sd.again {
				sd.again = true
				t.more = append(t.more, sd)
			}
			return
		}
		p := t.room()
		if p == nil {
			return
		}
		n, err := sd.s.Read(p.buf[p.used:])
		if n > 0 {
			t.add(packetItem{sd: sd, in: p.buf[p.used : p.used+n : p.used+n]})
			p.used += n
		}
		if sd.s.Waiting() { // an answer of the Stream itself
			t.write(sd)
		}
		switch {
		case err == syscall.EAGAIN:
			return
		case err != nil:
			if err == io.EOF {
				err = nil
			}
			sd.ended = true
			t.forget(sd)
			t.add(packetItem{sd: sd, end: true, err: err})
		}
	}
}

// room returns the packet that is being filled, with room for more; nil when the loop has ended.
func (t *ioThread) room() *packet {
	if p := t.packet; p != nil && len(p.buf)-p.used < packetRest {
		t.post()
	}
	if t.packet == nil {
		select {
		case t.packet = <-t.free:
		case <-t.quit:
		}
	}
	return t.packet
}

func (t *ioThread) add(it packetItem) {
	if p := t.room(); p != nil {
		p.items = append(p.items, it)
	}
}

// post gives the loop what has come.
func (t *ioThread) post() {
	if p := t.packet; p != nil && len(p.items) > 0 {
		t.packet = nil
		t.loop.Post(p.deliver)
	}
}

// write writes as much of a side's output as the socket takes.
func (t *ioThread) write(sd *side) {
	for {
		var err error
		if sd.s.Waiting() {
			err = sd.s.Flush()
		}
		waiting := err == nil && sd.s.Waiting()
		t.mu.Lock()
		var buf []byte
		room, part := false, false
		if err == nil && !waiting && !sd.lost {
			buf, sd.buf = sd.buf, nil
			if room = sd.wait; room {
				sd.wait = false
			}
			part = len(buf) == 0 && sd.done && !sd.parted
		}
		sd.clogged = waiting || len(buf) > 0
		gone := sd.gone
		t.mu.Unlock()
		if room {
			t.add(packetItem{sd: sd, room: true})
		}
		switch {
		case err != nil:
			t.fail(sd, err)
			return
		case len(buf) > 0:
			if err := sd.s.Write(buf); err != nil {
				t.fail(sd, err)
				return
			}
			t.recycle(buf)
		case part:
			sd.parted = true
			if err := sd.s.CloseWrite(); err != nil {
				t.fail(sd, err)
				return
			}
		default:
			if !gone && (sd.polled || waiting) && sd.out != waiting {
				t.want(sd, sd.in, waiting)
			}
			return
		}
	}
}

// recycle keeps an empty buffer.
func (t *ioThread) recycle(buf []byte) {
	if cap(buf) > sideKept {
		return
	}
	t.mu.Lock()
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, buf[:0])
	}
	t.mu.Unlock()
}

// fail ends output after an error of writing, and the connection with it.
func (t *ioThread) fail(sd *side, err error) {
	t.mu.Lock()
	first := !sd.lost
	sd.lost, sd.buf, sd.clogged = true, nil, false
	t.mu.Unlock()
	if !first {
		return
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EPIPE
	}
	t.add(packetItem{sd: sd, errno: errno})
}

// end ends the thread, after a last attempt to write what the loop has sent.
func (t *ioThread) end() {
	close(t.quit)
	t.mu.Lock()
	if t.asleep && !t.kicked {
		t.poll.kick() // with the lock held: a thread that wakes up by itself closes the poll
	}
	t.mu.Unlock()
	<-t.done
}

// run is the packet's turn on the loop.
func (p *packet) run() {
	t := p.thread
	l := t.loop
	defer l.guard()
	l.serving = t
	for i := range p.items {
		it := &p.items[i]
		c := it.sd.conn
		switch {
		case c.flags&fDead != 0:
		case it.end:
			l.closed(it.sd, it.err)
		case it.room:
			c.flags &^= fArmed
			c.flush()
		case it.errno != 0:
			c.lose(it.errno)
		default:
			l.rounds++
			if l.rounds&3 == 0 {
				l.yield()
			}
			if c.flags&(fClosing|fClosed) == 0 {
				l.current = c
				l.h.Data(c, it.in)
				l.current = nil
			}
		}
	}
	l.serving = nil
	p.reset()
	t.free <- p
	t.mu.Lock()
	t.unlockAndKick(len(t.asked) > 0)
}

func (p *packet) reset() {
	clear(p.items)
	p.items, p.used = p.items[:0], 0
}

// askAndUnlock makes the thread look at a side, and unlocks ioThread.mu, which is held.
func (t *ioThread) askAndUnlock(sd *side) {
	if !sd.asked {
		sd.asked = true
		t.asked = append(t.asked, sd)
	}
	t.unlockAndKick(t.loop.serving != t)
}

// unlockAndKick unlocks ioThread.mu, which is held, and wakes the thread if it is wanted and sleeps. It needs the lock as soon
// as it is awake.
func (t *ioThread) unlockAndKick(wanted bool) {
	kick := wanted && t.asleep && !t.kicked
	t.kicked = t.kicked || kick
	t.mu.Unlock()
	if kick {
		t.poll.kick()
	}
}

// send is send(2) for the loop.
func (sd *side) send(p []byte) (n int, errno syscall.Errno) {
	t := sd.thread
	t.mu.Lock()
	if sd.lost || sd.done {
		t.mu.Unlock()
		return 0, syscall.EPIPE
	}
	if n = min(len(p), sideRoom-len(sd.buf)); n == 0 && len(p) > 0 {
		t.mu.Unlock()
		return 0, syscall.EAGAIN
	}
	if last := len(t.spare) - 1; sd.buf == nil && last >= 0 {
		sd.buf, t.spare = t.spare[last], t.spare[:last]
	}
	sd.buf = append(sd.buf, p[:n]...)
	t.askAndUnlock(sd)
	return n, 0
}

// arm asks for room.
func (sd *side) arm() { sd.tell(func() { sd.wait = true }) }

// end lets the peer know that nothing follows when all is written.
func (sd *side) end() { sd.tell(func() { sd.done = true }) }

// stop has the peer not read any more until resume.
func (sd *side) stop() { sd.tell(func() { sd.stopped = true }) }

func (sd *side) resume() { sd.tell(func() { sd.stopped = false }) }

// release lets the thread close the socket: the loop does not use the connection any more.
func (sd *side) release() { sd.tell(func() { sd.gone = true }) }

// tell changes a field that the loop and the thread share, and makes the thread look at it.
func (sd *side) tell(change func()) {
	sd.thread.mu.Lock()
	change()
	sd.thread.askAndUnlock(sd)
}

// pending reports whether output was not yet passed to the kernel.
func (sd *side) pending() bool {
	sd.thread.mu.Lock()
	defer sd.thread.mu.Unlock()
	return !sd.lost && (len(sd.buf) > 0 || sd.clogged)
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
			c.flags |= fClosed
			l.closed(c.side(), nil)
		}
	}
}
