// Package eventloop is the reactor: one goroutine that reads the sockets of all clients and runs all code that uses the data.
//
// # How evio is used
//
// github.com/tidwall/evio v1.0.8 accepts and reads the sockets, with one loop. Its properties explain the design of this
// package:
//
//   - Output that a Data event returns is written one poll round later and stops the reading of its connection. So Data returns
//     nothing: Conn writes to the descriptor itself (conn.go), the rest waits in a queue (queue.go), and the watcher
//     (watch_*.go) reports when the socket is writable again.
//   - A wake-up can be lost for 100 ms. So the loop has one connection to itself, the inner connection (wake.go): a byte in a
//     socket is not lost. Post, timers, the watcher and the flush phase all wake the loop through it.
//   - evio has no callback at the end of a round. RequestFlush writes such a byte; reading it in the next round is the flush
//     phase.
//   - Only the result of its own Data can close a connection. From elsewhere it is shut down, and evio reads the end of the
//     stream.
//   - The loop's goroutine never blocks in a call that the Go scheduler knows of. The runtime's monitor assumes that such a
//     goroutine is stuck; so the loop calls yield.
//   - Any error of accept(2) but EAGAIN ends Serve. So connections are refused while some descriptors are still left
//     (spareFDs). If Serve ends nevertheless, it is called again; everything but the connections is kept.
//
// # Which goroutine may use what
//
// One goroutine at a time runs the loop. Everything in Loop and Conn belongs
// to it and needs no lock, with these exceptions: the fields of Loop.mu (the
// queue of Post, the descriptors that the watcher reports, the write end of the
// inner connection), and the watcher's own descriptor, which the kernel
// guards. Loop.mu is held for some assignments only, never in a system call.
// Post and Shutdown may be called from any goroutine, all else from
// the loop only (callbacks of Handler, functions given to Post and AfterFunc),
// or before Serve is called. When evio ends, the goroutine of Serve calls Closed, after the goroutine of the loop has ended.
//
// No method of Conn calls the Handler: CloseNow and a failing Send come back
// as Closed in a later round.
package eventloop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tidwall/evio"
)

// Handler has the callbacks of the loop. All its methods run on the loop goroutine.
type Handler interface {
	// Opened is called for a new connection. False refuses it: the connection is closed without a call of Closed, after as
	// much of the output of c.Send as the socket accepts at once.
	Opened(c *Conn) (ok bool)
	// Data is called with bytes that have arrived. in is valid during the call only.
	Data(c *Conn, in []byte)
	// Closed is called once for every connection that Opened accepted. err is nil if the peer or this side closed it without
	// an error. The descriptor is closed already.
	Closed(c *Conn, err error)
	// Flush is the flush phase: it is called once after one or many calls of RequestFlush, normally in the next poll round,
	// or in the same round if another wake-up was pending already.
	Flush()
}

// Options configure a Loop. Handler is required, and at least one address.
type Options struct {
	// Addrs are the addresses to listen on, in evio's notation:
	// "tcp4://127.0.0.1:6379", "tcp6://[::1]:6379", "unix:///run/ferrous.sock"
	// or "unix://relative/path". Port 0 picks a free port, which a later
	// Serve of evio keeps.
	Addrs []string
	// Dir is the absolute folder for relative paths of unix sockets; "" is the working directory.
	Dir string
	// UnixPerm is the mode of the unix sockets; 0 leaves what the umask made.
	UnixPerm os.FileMode
	// Backlog returns the argument of listen(2): the number of connections that may wait at each address until they are
	// accepted. If it is nil, Go's default holds: as many as the kernel allows.
	Backlog func() int
	// FewFiles says that the limit of open files leaves hardly any descriptors
	// beside those of clients. The loop then reserves none for addresses that may be added later, and fewer for itself.
	FewFiles bool
	// KeepAlive is called for each new TCP connection and returns the idle time before the first probe, 0 for no probes. If
	// it is nil there are no probes.
	KeepAlive func() time.Duration
	// Handler receives the events.
	Handler Handler
	// Refusal is sent to a connection that the loop refuses by itself, because
	// the process is running out of descriptors.
	Refusal []byte
	// Listening is called once, when all addresses are bound and before the
	// first connection is accepted: peers wait in the kernel until it returns. It runs on another goroutine than the loop's,
	// before that one starts, and may use everything that belongs to the loop. If it calls Shutdown, no connection is
	// accepted.
	Listening func(addrs []net.Addr)
	// Serving is called on the loop goroutine when the loop runs, with the
	// addresses it listens on; first is false when evio was started again.
	Serving func(addrs []net.Addr, first bool)
	// Panicked is called for a panic in a method of Handler or a function of
	// the loop, with the stack of the panic. It does not return. If it is nil, the loop does not recover panics.
	Panicked func(v any, stack []byte)
	// Logf receives messages for the operator. Nil drops them.
	Logf func(format string, args ...any)
}

// ErrLayout is returned by Serve when the descriptor of a connection cannot be
// found in evio's connection type: a version that this package does not know.
var ErrLayout = errors.New("eventloop: evio layout changed")

// ErrFewFiles is returned by Serve when the limit of open files leaves no
// descriptor for a client.
var ErrFewFiles = errors.New("eventloop: the limit of open files leaves no descriptor for a client")

const (
	// spareFDs is the number of descriptors below the limit that clients do not get, plus two for each listener, so that
	// accept(2) does not fail: before a refused connection is closed, evio accepts at most two on each listener. It must stay
	// well under the reserve of AdjustOpenFiles. With FewFiles it is fewFDs.
	spareFDs = 8
	fewFDs   = 2
	// startFDs is the number of descriptors that evio opens after its listeners: its poll and the inner connections.
	startFDs = 4
	// tcpSlots is the least number of addresses that Rebind can listen on, minSpare the least number of those beyond the
	// addresses at the start. Each takes two descriptors.
	tcpSlots    = 8
	minSpare    = 2
	maxSpareFDs = 32
	// maxListenFD is the limit of the search for the descriptors of listeners, which are among the first that a process
	// opens.
	maxListenFD = 1 << 10
	// startTimeout bounds the wait for the first event of a loop. evio can miss the end of a loop that ends before Serve
	// waits for it; Serve would then never return.
	startTimeout = 30 * time.Second
	// maxStacks is the limit of the list of goroutines that awaitServe searches.
	maxStacks = 64 << 20
	// yieldEvery is less than the 10 ms of the runtime's monitor.
	yieldEvery = 7 * time.Millisecond
	minBackoff = 10 * time.Millisecond
	maxBackoff = time.Second
)

// listener is one of the addresses that evio serves.
type listener struct {
	addr  string // evio address
	spare bool   // nothing listens here; see rebind_linux.go
	bound string // address that evio or Rebind has bound, as net.Addr prints it
	fd    int    // evio's descriptor, for TCP and spare ones on Linux
	path  string // unix: the path as configured
	unix  bool
	inherited
}

// Loop is one reactor. Use New and Serve.
type Loop struct {
	opt Options
	h   Handler

	lns      []listener
	fdField  []int    // index of the descriptor in evio's connection type
	evioPeer evioPeer // where its connections keep the address of the peer
	byFD     []*Conn  // open connections by descriptor
	current  *Conn    // the one whose Opened or Data is running
	conns    int      // connections that Opened accepted
	linger   int      // refused connections that wait for their peer
	fdLimit  int      // descriptors from here on are refused
	lastFull time.Time
	rounds   uint64
	born     time.Time
	yielded  time.Duration // since born
	cpu      cpuTime
	discard  []byte // scratch for dropped input
	pool     chunkPool

	flushWanted bool
	waking      bool // posts and timers run, the flush phase follows

	timers  timerHeap
	ready   []int32  // descriptors whose output is being written, swapped with readyIn
	running []func() // posted functions being run, swapped with posted

	mu      sync.Mutex
	kicked  bool           // a byte is in the inner connection
	posted  []func()       // functions to run
	readyIn []int32        // descriptors that the watcher reported
	alarm   bool           // a timer is due
	stop    bool           // Shutdown was called
	wfd     int            // write end of the inner connection, -1 without one
	kicks   sync.WaitGroup // wake-ups that are being written to wfd

	sendKick func(fd int, p []byte) (n int, errno syscall.Errno) // send, but for tests; guarded by mu

	inner     innerConn
	adopting  []adoption // dialled sockets that wait for their place in evio's poll
	sources   map[*Conn]Source
	detaching map[*Conn]func(*os.File) // what Detach was given
	poll      int                      // descriptor of evio's poll when listeners can change, else -1
	resting   func()                   // what Rest was given
	fatal     error                    // ends Serve
	first     bool
	announced bool          // Listening was called
	up        chan struct{} // closed when the inner connection is established
	serveHead string        // see awaitServe
	watch     *watcher
	threads   []*ioThread // the threads of the connections beside the loop
	serving   *ioThread   // the one whose packet is being run
	shutdown  bool        // the loop has seen stop
}

// New checks the options and makes a Loop. It opens the descriptors of the
// watcher; Serve closes them.
func New(o Options) (*Loop, error) {
	if o.Handler == nil {
		return nil, errors.New("eventloop: no handler")
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	l := &Loop{opt: o, h: o.Handler, wfd: -1, sendKick: send, poll: -1, first: true, born: time.Now()}
	l.inner.fd = -1
	l.timers.loop = l
	// The first listener is the loop's own; its address is made by serveOnce.
	l.lns = append(l.lns, listener{unix: true})
	for _, a := range o.Addrs {
		ln, err := l.parseAddr(a)
		if err != nil {
			return nil, err
		}
		l.lns = append(l.lns, ln)
	}
	if abstractSockets && !o.FewFiles {
		for n := max(minSpare, tcpSlots-len(o.Addrs)); n > 0; n-- {
			l.lns = append(l.lns, listener{spare: true})
		}
	}
	if err := fillStdFDs(); err != nil {
		return nil, err
	}
	w, err := newWatcher(l)
	if err != nil {
		return nil, fmt.Errorf("eventloop: write watcher: %w", err)
	}
	l.watch = w
	return l, nil
}

// parseAddr checks an evio address. Paths are made absolute, so that a chdir
// does not make evio remove another file at the end, unless the absolute path
// is too long for a socket address.
func (l *Loop) parseAddr(a string) (listener, error) {
	network, rest, ok := strings.Cut(a, "://")
	if !ok || rest == "" {
		return listener{}, fmt.Errorf("eventloop: address %q is not network://address", a)
	}
	if strings.ContainsRune(rest, '?') || strings.Contains(rest, "://") {
		return listener{}, fmt.Errorf("eventloop: address %q: '?' and '://' cannot be part of an address", a)
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
		return listener{addr: a}, nil
	case "unix":
		path := rest
		if l.opt.Dir != "" && !filepath.IsAbs(path) {
			path = filepath.Join(l.opt.Dir, path)
		}
		abs, err := filepath.Abs(path)
		switch {
		case err == nil && len(abs) < maxUnixPath:
			path = abs
		case err == nil && abs == path:
			path = l.shorter(path)
		}
		if len(path) >= maxUnixPath {
			return listener{}, fmt.Errorf("eventloop: unix socket path %q is longer than %d bytes", rest, maxUnixPath-1)
		}
		return listener{addr: "unix://" + path, path: rest, unix: true}, nil
	}
	return listener{}, fmt.Errorf("eventloop: address %q: unknown network %q", a, network)
}

// shorter returns an absolute path that is too long for a socket address relative to the working directory, if it is in that
// directory.
func (l *Loop) shorter(path string) string {
	dir, err := os.Stat(filepath.Dir(path))
	here, err2 := os.Stat(".")
	if err == nil && err2 == nil && os.SameFile(dir, here) {
		return filepath.Base(path)
	}
	return path
}

// Serve runs the loop until Shutdown and then returns nil. It returns an error
// when it cannot listen at the start. When evio gives up later, the reason is
// logged, all connections are closed (with Closed for each), and it is started
// again after a pause of 10 ms to 1 s; posted functions and timers wait.
// A Loop cannot be used again after Serve has returned.
func (l *Loop) Serve() error {
	defer l.release()
	backoff := minBackoff
	for {
		l.mu.Lock()
		stop := l.stop
		l.mu.Unlock()
		if stop {
			return nil
		}
		began := time.Now()
		served, err := l.serveOnce()
		switch {
		case l.fatal != nil:
			return l.fatal
		case l.shutdown:
			return nil
		case err != nil && l.first:
			return err
		case err != nil:
			l.opt.Logf("cannot listen again: %v", err)
		case l.stopped():
			return nil // by Listening, before the loop ran
		case served:
			l.opt.Logf("the event loop has ended by itself (out of descriptors or memory, or a failing accept); serving again")
		}
		if time.Since(began) > 10*maxBackoff {
			backoff = minBackoff
		}
		for {
			time.Sleep(backoff)
			backoff = min(2*backoff, maxBackoff)
			if l.stopped() || haveFDs(spareFDs) {
				break
			}
		}
	}
}

func (l *Loop) stopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop
}

// serveOnce runs evio until it ends. served reports whether it listened.
func (l *Loop) serveOnce() (served bool, err error) {
	if err := l.inner.prepare(); err != nil {
		return false, err
	}
	defer l.inner.cleanup()
	l.lns[0].addr = "unix://" + l.inner.name

	addrs := make([]string, len(l.lns))
	for i, ln := range l.lns {
		addrs[i] = ln.addr
		if ln.spare {
			addrs[i] = l.lns[0].addr + "-" + strconv.Itoa(i)
			continue
		}
		if ln.unix && i > 0 {
			if err := removeSocket(strings.TrimPrefix(ln.addr, "unix://")); err != nil {
				return false, err
			}
		}
	}
	if err := l.probe(addrs[1:]); err != nil {
		return false, err
	}
	umask := l.restrictUmask()
	l.up = make(chan struct{})
	listening := make(chan struct{})
	var ev evio.Events
	ev.NumLoops = 1
	var bound []net.Addr
	ev.Serving = func(s evio.Server) evio.Action {
		umask()
		served = true
		bound = l.listening(s.Addrs)
		l.listenAgain(s.Addrs)
		if err = l.permit(); err == nil {
			err = l.dial()
		}
		if err == nil && !l.haveStartFDs() {
			err = ErrFewFiles
		}
		if err != nil {
			return evio.Shutdown
		}
		l.callListening(bound)
		if l.stopped() {
			return evio.Shutdown
		}
		close(listening)
		return evio.None
	}
	ev.Opened = func(ec evio.Conn) ([]byte, evio.Options, evio.Action) {
		defer l.guard()
		if ec.AddrIndex() == 0 {
			return nil, evio.Options{ReuseInputBuffer: true}, l.openedInner(ec, bound)
		}
		return nil, evio.Options{ReuseInputBuffer: true}, l.opened(ec)
	}
	ev.Data = l.data
	ev.Closed = l.closed
	ev.Detached = l.detached

	done := make(chan error, 1)
	go func() {
		l.serveHead = goroutineHead()
		done <- evio.Serve(ev, addrs...)
	}()
	var serr error
	select {
	case serr = <-done:
	case <-listening:
		start := time.NewTimer(startTimeout)
		defer start.Stop()
		select {
		case serr = <-done:
		case <-l.up:
			serr = <-done
		case <-start.C:
			select {
			case <-l.up:
				serr = <-done
			default:
				l.fatal = errors.New("eventloop: the loop did not start")
				return true, l.fatal
			}
		}
	}
	umask()
	l.hangUp()
	if serr != nil {
		err = fmt.Errorf("eventloop: %w", serr)
	}
	return served, err
}

// probe finds an address that cannot be listened on. evio's own error does not name the address in all cases, and evio leaves
// some listeners open after an error.
func (l *Loop) probe(addrs []string) error {
	for _, a := range addrs {
		network, rest, _ := strings.Cut(a, "://")
		if network == "unix" {
			continue
		}
		if _, err := net.ResolveTCPAddr(network, rest); err != nil {
			return fmt.Errorf("eventloop: address %s: %w", rest, err)
		}
	}
	return nil
}

// listening runs when all listeners are open, before the loop starts. It returns the addresses that are in use.
func (l *Loop) listening(all []net.Addr) (bound []net.Addr) {
	for i, a := range all[1:] {
		ln := &l.lns[i+1]
		ln.bound = a.String()
		if ln.spare {
			continue
		}
		bound = append(bound, a)
		if !ln.unix {
			// The kernel has chosen a port for port 0: the next run of evio keeps it.
			network, _, _ := strings.Cut(ln.addr, "://")
			ln.addr = network + "://" + a.String()
		}
	}
	return bound
}

// haveStartFDs reports whether there are enough descriptors for evio, which would panic without them, and in the first run
// also for one client.
func (l *Loop) haveStartFDs() bool {
	n := startFDs
	if l.first {
		n += l.keptFDs() + 1
	}
	return haveFDs(n)
}

// callListening calls Options.Listening, in the first run of evio only.
func (l *Loop) callListening(bound []net.Addr) {
	if l.opt.Listening == nil || l.announced {
		return
	}
	l.announced = true
	defer l.guard()
	l.opt.Listening(bound)
}

// listenAgain applies Backlog to the listeners: listen(2) also changes the backlog of a socket that listens already. evio
// does not return their descriptors, so they are found by their addresses.
func (l *Loop) listenAgain(all []net.Addr) {
	if l.opt.Backlog == nil {
		return
	}
	names := make(map[string]bool)
	for i, a := range all[1:] {
		if !l.lns[i+1].spare {
			names[a.String()] = true
		}
	}
	n := l.opt.Backlog()
	for fd := range maxListenFD {
		if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err != nil || on == 0 {
			continue
		}
		if sa, err := syscall.Getsockname(fd); err == nil && names[sockName(sa)] {
			syscall.Listen(fd, n)
		}
	}
}

// sockName prints an address as net.Addr does.
func sockName(sa syscall.Sockaddr) string {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return net.JoinHostPort(net.IP(sa.Addr[:]).String(), strconv.Itoa(sa.Port))
	case *syscall.SockaddrInet6:
		a := net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
		if sa.ZoneId != 0 {
			if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a.Zone = ifi.Name
			}
		}
		return a.String()
	case *syscall.SockaddrUnix:
		return sa.Name
	}
	return ""
}

// permit gives unix sockets their mode.
func (l *Loop) permit() error {
	for i := 1; i < len(l.lns); i++ {
		if ln := &l.lns[i]; ln.unix && l.opt.UnixPerm != 0 {
			if err := os.Chmod(strings.TrimPrefix(ln.addr, "unix://"), l.opt.UnixPerm.Perm()); err != nil {
				return err
			}
		}
	}
	l.refreshFDLimit()
	return nil
}

// restrictUmask adds to the umask the bits that UnixPerm does not grant, so that a unix socket is never more open than in the
// end. It returns the function that undoes this. It keeps the bits that other files created at this moment need.
func (l *Loop) restrictUmask() (restore func()) {
	if l.opt.UnixPerm == 0 {
		return func() {}
	}
	old := syscall.Umask(0o777)
	syscall.Umask(old | 0o777&^int(l.opt.UnixPerm.Perm()))
	var once sync.Once
	return func() { once.Do(func() { syscall.Umask(old) }) }
}

// removeSocket unlinks an existing file at the path of a unix socket, as Redis does. It does not remove a directory, and
// returns an error: evio would remove it with its contents.
func removeSocket(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil // there is none, or bind(2) has the better error
	}
	if fi.IsDir() {
		return fmt.Errorf("eventloop: unix socket %s: is a directory", path)
	}
	return os.Remove(path)
}

// connFD reads the descriptor out of evio's connection.
func (l *Loop) connFD(ec evio.Conn) (int, error) {
	v := reflect.ValueOf(ec)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return -1, ErrLayout
	}
	v = v.Elem()
	if l.fdField == nil {
		f, ok := v.Type().FieldByName("fd")
		if !ok || f.Type.Kind() != reflect.Int {
			return -1, ErrLayout
		}
		l.fdField = f.Index
	}
	return int(v.FieldByIndex(l.fdField).Int()), nil
}

// pollFD reads the descriptor of evio's poll out of one of its connections.
func (l *Loop) pollFD(ec evio.Conn) (int, error) {
	v := reflect.ValueOf(ec)
	for _, name := range []string{"loop", "poll", "fd"} {
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return -1, ErrLayout
		}
		v = v.Elem().FieldByName(name)
	}
	if v.Kind() != reflect.Int {
		return -1, ErrLayout
	}
	return int(v.Int()), nil
}

// opened is evio's event for a client.
func (l *Loop) opened(ec evio.Conn) evio.Action {
	fd, err := l.connFD(ec)
	if err != nil || l.fatal != nil {
		l.fail(err)
		return evio.Shutdown
	}
	c := &Conn{loop: l, ev: ec, fd: int32(fd), ln: uint16(ec.AddrIndex())}
	ec.SetContext(c)
	closeOnExec(fd)
	l.takePeer(c)
	if c.IsTCP() {
		l.tune(c)
	}
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	l.byFD[fd] = c
	l.current = c
	if l.outOfFDs(fd) {
		c.Send(l.opt.Refusal)
		c.refuse(false)
	} else if l.h.Opened(c) {
		l.conns++
	} else {
		c.refuse(true)
	}
	l.current = nil
	if c.flags&fClosed != 0 {
		return evio.Close
	}
	return evio.None
}

// outOfFDs reports whether the descriptor of a new connection is among the reserved ones, and logs that at most once in ten
// seconds.
func (l *Loop) outOfFDs(fd int) bool {
	if fd < l.fdLimit {
		return false
	}
	l.refreshFDLimit()
	if fd < l.fdLimit {
		return false
	}
	if now := time.Now(); now.Sub(l.lastFull) > 10*time.Second {
		l.lastFull = now
		l.opt.Logf("connections are refused: the limit of open files leaves no more descriptors")
	}
	return true
}

// refreshFDLimit reads the limit of open files, which an operator may change
// while the process runs.
func (l *Loop) refreshFDLimit() {
	l.fdLimit = int(^uint(0) >> 1)
	if cur, _, err := noFile(); err == nil && cur < 1<<30 {
		l.fdLimit = int(cur) - l.keptFDs()
	}
}

// Buffer returns an empty buffer for a writer, nil if there is none whose bytes have all been sent; see Conn.SendBuffer.
func (l *Loop) Buffer() []byte { return l.pool.buffer() }

// Trim lets go of memory for output that was not needed since the call before the last. It is to be called once a second or so.
func (l *Loop) Trim() { l.pool.trim() }

// keptFDs returns the number of descriptors below the limit that clients do not get. With FewFiles it has none for the inner
// listener, to which only this process should connect.
func (l *Loop) keptFDs() int {
	if l.opt.FewFiles {
		return min(fewFDs+2*(l.inUse()-1), maxSpareFDs)
	}
	return min(spareFDs+2*l.inUse(), maxSpareFDs)
}

// Rebind makes the loop listen on these TCP addresses (in evio's notation)
// instead of those that it listens on now; listeners of addresses in both lists stay, and so do connections. If it fails, the
// loop continues with the old addresses. Only Linux can listen on other addresses than at the start.
func (l *Loop) Rebind(addrs []string) error {
	var old []string
	for i := 1; i < len(l.lns); i++ {
		if ln := &l.lns[i]; !ln.unix && !ln.spare {
			old = append(old, ln.addr)
		}
	}
	if slices.Equal(old, addrs) {
		return nil
	}
	return l.relisten(old, addrs)
}

// inUse returns the number of listeners that accept.
func (l *Loop) inUse() int {
	n := 0
	for i := range l.lns {
		if !l.lns[i].spare {
			n++
		}
	}
	return n
}

// data is evio's event for bytes that arrived.
func (l *Loop) data(ec evio.Conn, in []byte) ([]byte, evio.Action) {
	defer l.guard()
	c, ok := ec.Context().(*Conn)
	if !ok {
		return nil, l.woken(ec)
	}
	l.rounds++
	if l.rounds&3 == 0 {
		l.yield()
	}
	if c.flags&(fClosing|fClosed) == 0 {
		l.current = c
		l.h.Data(c, in)
		l.current = nil
	}
	switch {
	case c.flags&fClosed != 0:
		return nil, evio.Close
	case c.flags&fDetached != 0:
		return nil, evio.Detach
	}
	return nil, evio.None
}

// yield calls the scheduler every yieldEvery. A goroutine that runs for 10 ms without the scheduler counts as stuck: the
// runtime's monitor then checks it every 20 microseconds, and takes its processor away whenever it is in a system call,
// although each of the loop's calls is short. Measured without pipelining: 13.6 microseconds of CPU a request without this,
// 9.1 with it, 9.6 Redis 7.0.15. (Locking the loop to its thread saves half as much.)
func (l *Loop) yield() {
	now := time.Since(l.born)
	if now-l.cpu.counted > countEvery {
		l.cpu.counted = now
		l.cpu.count()
	}
	if now-l.yielded > yieldEvery {
		l.yielded = now
		l.cpu.count()
		runtime.Gosched()
		l.cpu.begin()
	}
}

// closed is evio's event for a descriptor that it has closed.
func (l *Loop) closed(ec evio.Conn, err error) evio.Action {
	defer l.guard()
	c, ok := ec.Context().(*Conn)
	if !ok {
		return l.closedInner(ec)
	}
	l.byFD[c.fd] = nil
	delete(l.detaching, c)
	if c.errno != 0 {
		err = syscall.Errno(c.errno)
	} else if c.flags&fClosed != 0 {
		err = nil
	}
	refused, lingering := c.flags&fRefused != 0, c.flags&fLinger != 0
	if c.flags&fSourced != 0 {
		delete(l.sources, c)
	}
	if c.flags&fBeside != 0 {
		c.side().release()
	}
	c.flags = fClosing | fClosed | fDead | c.flags&(fDialled|fBeside)
	c.fd = -1
	c.dropQueue()
	if refused {
		if lingering {
			l.linger--
		}
		return evio.None
	}
	l.conns--
	l.h.Closed(c, err)
	return evio.None
}

// guard is deferred by the functions that evio calls: it passes a panic to Options.Panicked.
func (l *Loop) guard() {
	if l.opt.Panicked == nil {
		return
	}
	if v := recover(); v != nil {
		l.opt.Panicked(v, debug.Stack())
		panic(v)
	}
}

// fail sets the error that ends Serve, unless there is one already.
func (l *Loop) fail(err error) {
	if l.fatal == nil {
		l.fatal = err
	}
}

// Shutdown makes Serve return; any goroutine may call it, also before Serve
// and more than once. Functions that were posted before the call still run, then due timers, then the flush phase if it was
// requested; functions posted later may be dropped. Queued output that is not held gets one last non-blocking write, and all
// connections are closed.
func (l *Loop) Shutdown() {
	l.mu.Lock()
	l.stop = true
	l.unlockAndKick()
}

// release closes the descriptors of New and ends the threads.
func (l *Loop) release() {
	for _, t := range l.threads {
		t.end()
	}
	l.watch.close()
}

// Conns returns the number of open connections that Opened accepted.
func (l *Loop) Conns() int { return l.conns }

// Rounds returns how many times data of a client was handled. evio's polls cannot be counted.
func (l *Loop) Rounds() uint64 { return l.rounds }

// Each calls fn for every connection that Opened accepted, until fn returns false. fn may close connections.
func (l *Loop) Each(fn func(c *Conn) bool) {
	for _, c := range l.byFD {
		if c != nil && c.flags&fRefused == 0 && !fn(c) {
			return
		}
	}
}
