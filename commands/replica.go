package commands

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/progress"
	"ferrous/commands/scripting"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
	"ferrous/replication"
)

// The replica's side of replication: the link to the master.
//
// # The link
//
// masterLink is one connection to a master, from its dialling to its end. Each attempt makes a new one, so that no state of an
// earlier one remains. The received bytes are passed to the node, which consumes handshake and payload and returns the stream.
// While a script is busy or a payload is loaded, they wait in masterLink.pending, and the connection is not read.
//
// # The stream
//
// Its commands are executed by a client without rights to check, replies to send and limits to keep (Client.master). For these
// commands no key is expired: the master has not deleted it yet (Keyspace.Loading). After each command Node.Executed gets the
// position of the parser, which is the applied offset.
//
// # The payload
//
//	repl-diskless-load disabled     into a temporary file, which becomes the dump; old data are served until all has come
//	on-empty-db, without any keys   from the socket into the databases
//	swapdb                          from the socket into databases aside, which are swapped in at the end; old data are
//	                                served meanwhile if they are of the same history
//
// A loader is a coroutine of the loop whose reader yields when the socket has no more.

// masterLink is one connection to the master.
type masterLink struct {
	link    *replication.Link
	conn    *eventloop.Conn
	client  *Client // of the stream, nil before it begins
	pending []byte  // what came while it could not be handled
	stream  []byte  // of the stream, what came with the payload
	lost    error   // the connection has ended while something waits
	closed  bool    // what comes from it is ignored
}

// linkOf returns the connection of a link, nil if it has none.
func linkOf(l *replication.Link) *masterLink {
	m, _ := l.Ctx.(*masterLink)
	return m
}

// dialMaster connects to a master.
func (s *Server) dialMaster(l *replication.Link) {
	r := &s.sync
	to := eventloop.Dialing{Addr: net.JoinHostPort(l.Host, strconv.Itoa(l.Port)), From: s.Config.BindSourceAddr,
		Timeout: time.Duration(s.Config.ReplTimeoutSec) * time.Second, Wrap: s.dialTLS()}
	r.dial = s.loop.Dial(to, func(conn *eventloop.Conn, err error) {
		r.dial = nil
		if err == nil {
			m := &masterLink{link: l, conn: conn}
			l.Ctx, conn.Ctx, r.link = m, m, m
		}
		r.node.Dialed(s.replNow(), l, err)
		s.act()
	})
}

// closeLink ends a link: its dialling, its connection, its payload.
func (s *Server) closeLink(l *replication.Link) {
	r := &s.sync
	m := linkOf(l)
	if m == nil {
		if r.dial != nil {
			r.dial()
			r.dial = nil
		}
		return
	}
	m.closed, m.pending, m.stream = true, nil, nil
	m.conn.CloseNow()
	if r.link == m {
		r.link = nil
	}
	if t := r.transfer; t != nil && t.link == l {
		s.dropTransfer(errLinkLost)
	}
}

var errLinkLost = errors.New("the connection with the master is lost")

// masterClosed is called when the connection has ended.
func (s *Server) masterClosed(m *masterLink, err error) {
	if m.closed {
		return
	}
	if err == nil {
		err = io.EOF
	}
	if s.masterHeld(m) {
		m.lost = err
		return
	}
	m.closed = true
	if s.sync.link == m {
		s.sync.link = nil
	}
	s.sync.node.LinkClosed(s.replNow(), m.link, err)
	if t := s.sync.transfer; t != nil && t.link == m.link {
		s.dropTransfer(errLinkLost)
	}
	s.act()
}

// masterHeld reports whether what comes from the master has to wait.
func (s *Server) masterHeld(m *masterLink) bool {
	return s.busy.on || len(m.pending) > 0 || len(m.stream) > 0 || s.sync.transfer.holds()
}

// masterData takes what came from the master.
func (s *Server) masterData(m *masterLink, in []byte) {
	if s.shutdown.begun || m.closed {
		return
	}
	s.setNow(s.nanos())
	s.stats.replIn += int64(len(in))
	s.stats.netIn += int64(len(in))
	s.stats.reads++
	if s.masterHeld(m) {
		m.pending = append(m.pending, in...)
		m.conn.StopReading()
		return
	}
	s.received(m, in)
}

func (s *Server) received(m *masterLink, in []byte) {
	stream := s.sync.node.Received(s.replNow(), m.link, in)
	s.act()
	s.executeStream(m, stream)
}

// resumeMaster handles the bytes that the master has sent meanwhile.
func (s *Server) resumeMaster() {
	m := s.sync.link
	if m == nil || m.closed || s.busy.on || s.sync.transfer.holds() {
		return
	}
	stream, in := m.stream, m.pending
	m.stream, m.pending = nil, nil
	m.conn.ResumeReading()
	s.executeStream(m, stream)
	if len(in) > 0 && !m.closed {
		s.received(m, in)
	}
	if m.lost != nil && !m.closed {
		s.masterClosed(m, m.lost)
	}
}

// linkUp begins the stream.
func (s *Server) linkUp(a replication.LinkUp) {
	m := linkOf(a.Link)
	if m == nil {
		return
	}
	c := s.newInnerClient()
	s.nextID++
	c.id, c.conn, c.master, c.Trusted = s.nextID, m.conn, true, true
	c.created, c.lastActive = s.Keyspace.Now, s.Keyspace.Now
	c.DB = s.Keyspace.DBs()[min(max(a.DB, 0), len(s.Keyspace.DBs())-1)]
	m.client = c
	s.remember(c)
	s.updateRefusing()
}

// linkDown ends the stream.
func (s *Server) linkDown(l *replication.Link) {
	if m := linkOf(l); m != nil && m.client != nil {
		c := m.client
		m.client = nil
		c.stopped = true
		s.forget(c)
		c.parser.Reset()
	}
	s.updateRefusing()
}

// masterLimits are those of what a master may send.
var masterLimits = resp.Limits{MaxBulk: math.MaxInt64, MaxArgs: math.MaxInt32}

// executeStream executes what came of the stream.
func (s *Server) executeStream(m *masterLink, stream []byte) {
	c := m.client
	if c == nil || len(stream) == 0 {
		return
	}
	outer := s.current
	s.current = c
	if outer == nil {
		s.outbox.inPacket = true
	}
	node, first := s.sync.node, s.stats.commands
	now := s.nanos()
	begun := now
	c.lastActive = s.Keyspace.Now
	c.parser.Begin(stream)
	for ahead := 0; m.client == c && !c.doomed; ahead-- {
		args, err := c.parser.Next(&s.sync.scratch, &masterLimits)
		if err != nil {
			reason := err.Error()
			var protocol *resp.ProtocolError
			if errors.As(err, &protocol) {
				reason = protocol.Reason()
			}
			node.LinkBroken(s.replNow(), m.link, reason)
			s.act()
			break
		}
		if args == nil {
			break
		}
		if ahead == 0 {
			ahead = s.prefetch(c, args)
		}
		var broken string
		if now, broken = s.apply(c, args, now); broken != "" {
			node.LinkBroken(s.replNow(), m.link, broken)
			s.act()
			break
		}
		node.Executed(s.base.UnixMilli()+now/1e6, m.link, c.parser.Consumed(), c.DB.ID, c.inMulti())
		s.act()
		if len(s.blocking.ready) > 0 && !s.blocking.serving {
			now = s.serveBlocked(now)
		}
		if s.unsettled {
			s.settle()
		}
	}
	if m.client == c {
		c.parser.End()
		s.account(c)
	}
	c.Args = nil
	s.current = outer
	s.endCycle(begun, now, s.stats.commands-first)
	if len(node.Replicas()) > 0 {
		s.streamFed()
	}
	if outer == nil {
		s.endPacket()
		s.reap()
		s.evictClients()
	}
}

// apply executes one command of the stream. broken, if it is not "", says why the stream cannot go on.
func (s *Server) apply(c *Client, args [][]byte, now int64) (end int64, broken string) {
	c.W.Reset()
	c.Args, c.Cmd = args, nil
	e, unknownSub := s.Registry.Lookup(args)
	switch {
	case e == nil:
		s.streamError(c, session.ErrUnknownCommand(args))
		return now, ""
	case unknownSub:
		s.streamError(c, session.ErrUnknownSub(string(args[0]), args[1]))
		return now, ""
	case e.Arity > 0 && len(args) != e.Arity || len(args) < -e.Arity || e.Handler == nil:
		s.streamError(c, session.ErrArity(e.Full))
		return now, ""
	}
	c.last = e
	if c.inMulti() && !e.Direct {
		s.enqueue(c, e, e.Flags)
		return now, ""
	}
	if e.Flags&session.Write != 0 && s.refusing {
		s.mindDisk()
	}
	s.Keyspace.Loading = true
	end = s.call(c, e, now)
	s.Keyspace.Loading = s.persist.loading != nil
	if reply := c.W.Buf; len(reply) > 0 && reply[0] == '-' {
		text := string(reply[1:])
		if e.Name == "select" {
			return end, "the stream selects a database that there is not here: " + session.CString(args[len(args)-1])
		}
		s.streamError(c, text)
	}
	return end, ""
}

// streamError is called when a command of the stream has failed: the data may differ from the master's from now on. It is
// logged, or the server ends, as propagation-error-behavior says.
func (s *Server) streamError(c *Client, text string) {
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	name := session.CString(c.Args[0])
	s.Logf(config.LogWarning, "== CRITICAL == This replica is sending an error to its master: '%s' after processing the command '%s'",
		text, name)
	s.stats.unexpectedErrors++
	// A writable replica may differ from its master anyway.
	if s.Config.PropagationErrorBehavior != config.PropagationIgnore && s.Config.ReplicaReadOnly {
		s.fatal("This replica panicked sending an error to its master after processing the command '%s'", name)
	}
}

// mindDisk is called before a write of the master's while this server may be unable to write to disk.
func (s *Server) mindDisk() {
	if s.diskRefusal() == "" {
		return
	}
	if !s.Config.ReplicaIgnoreDiskWriteError {
		s.fatal("Replica was unable to write command to disk.")
		return
	}
	if now := s.Keyspace.Now; now-s.sync.diskWarned >= 10_000 {
		s.sync.diskWarned = now
		s.Logf(config.LogWarning, "Replica is applying a command it is unable to write to disk.")
	}
}

// transfer is a payload that comes from the master.
type transfer struct {
	link *replication.Link
	size int64 // -1: not known

	received int64 // bytes of it
	meter    *progress.Meter

	file *os.File // repl-diskless-load disabled
	temp string

	loader *socketLoader  // else
	aside  []*keyspace.DB // swapdb

	serving  bool // old data are served meanwhile
	complete bool // all has come
	loading  bool // the file is being loaded
}

// holds reports whether what comes from the master has to wait.
func (t *transfer) holds() bool {
	return t != nil && (t.loading || t.complete || t.loader != nil && t.loader.behind)
}

// asyncLoading reports whether a payload is loaded beside data that are served.
func (s *Server) asyncLoading() bool {
	t := s.sync.transfer
	return t != nil && t.aside != nil && t.serving
}

// asideMemory is what the databases hold that are loaded aside.
func (s *Server) asideMemory() int {
	n := 0
	if t := s.sync.transfer; t != nil {
		for _, db := range t.aside {
			n += db.Bytes()
		}
	}
	return n
}

// beginTransfer begins a payload.
func (s *Server) beginTransfer(a replication.PayloadBegin) {
	t := &transfer{link: a.Link, size: a.Size, meter: s.meter("Receiving the data from the master")}
	s.sync.transfer = t
	mode := s.Config.ReplDisklessLoad
	to := "to parser"
	if mode == config.DisklessLoadDisabled || mode == config.DisklessLoadOnEmptyDB && s.keys() > 0 {
		to = "to disk"
	}
	if a.Size < 0 {
		s.Logf(config.LogNotice, "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF %s", to)
	} else {
		s.Logf(config.LogNotice, "MASTER <-> REPLICA sync: receiving %d bytes from master %s", a.Size, to)
	}
	switch {
	case mode == config.DisklessLoadSwapDB:
		t.serving = a.SameHistory
		t.aside = s.Keyspace.Aside()
	case mode == config.DisklessLoadOnEmptyDB && s.keys() == 0:
	default:
		t.temp = filepath.Join(s.Config.WorkDir(), fmt.Sprintf("temp-%d.%d.rdb", s.Keyspace.Now/1000, os.Getpid()))
		f, err := os.OpenFile(t.temp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
		if err != nil {
			s.endTransfer(nil, fmt.Errorf("opening the temporary file needed for the synchronization: %w", err))
			return
		}
		t.file = f
		return
	}
	if t.aside == nil {
		s.takeData(t)
		s.emptyAll(s.Config.ReplicaLazyFlush)
		s.scripts.libraries = scripting.NewLibraries(s.scripts.engine)
	}
	if !t.serving {
		s.beginLoading(max(a.Size, 0))
	}
	s.Logf(config.LogNotice, "MASTER <-> REPLICA sync: Loading DB in memory")
	t.loader = s.newSocketLoader(t)
}

// takeData is called right before the old data go.
func (s *Server) takeData(t *transfer) {
	s.sync.node.Taking(s.replNow(), t.link)
	if s.aof.on() {
		s.aof.file.Disable()
		s.releaseReplies()
	}
	s.attachSinks()
}

// transferred takes some bytes of the payload.
func (s *Server) transferred(l *replication.Link, data []byte) {
	t := s.sync.transfer
	if t == nil || t.link != l {
		return
	}
	t.received += int64(len(data))
	t.meter.Bytes(t.received, t.size)
	if t.file != nil {
		if _, err := t.file.Write(data); err != nil {
			s.endTransfer(nil, fmt.Errorf("writing to the temporary file needed for the synchronization: %w", err))
		}
		return
	}
	if t.loader != nil {
		if p := s.persist.loading; p != nil {
			p.read += int64(len(data))
		}
		t.loader.take(data)
	}
}

// transferComplete is called when all of the payload has come.
func (s *Server) transferComplete(l *replication.Link) {
	t := s.sync.transfer
	if t == nil || t.link != l {
		return
	}
	t.complete = true
	t.meter.End()
	if t.loader != nil {
		t.loader.finish()
		return
	}
	f := t.file
	t.file = nil
	s.crash.Go(func() {
		err := f.Sync()
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		s.postSettled(func() { s.loadTransferred(t, err) })
	})
}

// loadTransferred has the file that came from the master take the dump's place, and loads it.
func (s *Server) loadTransferred(t *transfer, err error) {
	if s.sync.transfer != t || s.shutdown.begun {
		os.Remove(t.temp)
		return
	}
	path := s.dumpPath()
	if err == nil {
		s.cancelSave() // else it would replace the dump with the old data
		err = os.Rename(t.temp, path)
	}
	var f *os.File
	var size int64
	if err == nil {
		f, err = os.Open(path)
	}
	if err == nil {
		var info os.FileInfo
		if info, err = f.Stat(); err == nil {
			size = info.Size()
		}
	}
	if err != nil {
		os.Remove(t.temp)
		s.endTransfer(nil, fmt.Errorf("the payload cannot be taken: %w", err))
		return
	}
	t.loading = true
	s.takeData(t)
	s.act()
	s.Logf(config.LogNotice, "MASTER <-> REPLICA sync: Flushing old data")
	s.emptyAll(s.Config.ReplicaLazyFlush)
	s.scripts.libraries = scripting.NewLibraries(s.scripts.engine)
	s.Logf(config.LogNotice, "MASTER <-> REPLICA sync: Loading DB in memory")
	s.beginLoading(size)
	var res *rdb.Result
	var loadErr error
	s.inTurns(func(yield func(int64) bool) {
		var stopped error
		res, loadErr = s.loadDump(&endable{f, &stopped}, size, func(offset int64) {
			if stopped == nil && (!yield(offset) || s.sync.transfer != t) {
				stopped = errCanceled
			}
		}, rdb.Loader{})
	}, func() {
		f.Close()
		if s.Config.RDBDelSyncFiles && len(s.Config.Save) == 0 && !s.Config.AppendOnly {
			s.Logf(config.LogNotice, "Removing the RDB file obtained from the master. This replica has persistence disabled")
			os.Remove(path)
		}
		if s.sync.transfer != t {
			s.emptyAll(s.Config.ReplicaLazyFlush)
			s.endLoading()
			return
		}
		if loadErr == nil {
			s.persist.clean = s.Dirty
		}
		s.endTransfer(res, loadErr)
	})
}

// loadedAside swaps the databases that were loaded aside in.
func (s *Server) loadedAside(t *transfer) {
	s.takeData(t)
	for i, db := range s.Keyspace.DBs() {
		s.watchSwapped(db, t.aside[i])
		s.Keyspace.Swap(db, t.aside[i])
		t.aside[i].Flush(true) // as Redis, which frees the old data in the background whatever replica-lazy-flush says
		s.waitersSwapped(db)
		s.databaseModified(db)
	}
	s.trackedFlushed(true)
	s.scripts.libraries = t.loader.libraries
	t.aside = nil
}

// endTransfer ends a payload: it was loaded, or why it could not be.
func (s *Server) endTransfer(res *rdb.Result, err error) {
	t := s.sync.transfer
	s.sync.transfer = nil
	t.meter.End()
	if t.file != nil {
		t.file.Close()
		os.Remove(t.temp)
	}
	took := t.aside == nil && (t.loader != nil || t.loading) // the old data are gone
	if err == nil && t.aside != nil {
		s.loadedAside(t)
		took = true
	}
	if err != nil {
		if took {
			s.emptyAll(s.Config.ReplicaLazyFlush)
		}
	}
	if s.persist.loading != nil {
		s.endLoading()
	}
	if took && s.Config.AppendOnly && !s.aof.on() {
		// From the data as they are now, before the stream changes them.
		if aerr := s.switchAppendOnly(); aerr != nil {
			s.Logf(config.LogWarning, "Failed enabling the AOF after the synchronization with the master: %v", aerr)
		}
	}
	db := 0
	if err == nil {
		if res.History != nil {
			db = res.History.DB
		}
	}
	s.rearmExpiry()
	m := linkOf(t.link)
	stream := s.sync.node.Loaded(s.replNow(), t.link, db, err)
	if m != nil && !m.closed {
		m.stream = append(m.stream, stream...) // it is executed when LinkUp has been carried out
		s.loop.Post(s.resumeMaster)
	}
	s.act()
}

// dropTransfer ends a payload whose link has ended.
func (s *Server) dropTransfer(err error) {
	t := s.sync.transfer
	s.sync.transfer = nil
	if t.loader != nil {
		t.loader.drop()
		s.Logf(config.LogWarning, "Internal error in RDB reading offset %d: %v", t.loader.taken, err)
	}
	if t.file != nil {
		t.file.Close()
		os.Remove(t.temp)
	}
	if t.loading {
		return // its loader sees that it is no longer wanted
	}
	if t.loader != nil && t.aside == nil {
		s.emptyAll(s.Config.ReplicaLazyFlush)
	}
	if s.persist.loading != nil {
		s.endLoading()
	}
	s.Logf(config.LogNotice, "The synchronization with the master ends: %v", err)
}

// socketLoader loads a payload as it comes. Its coroutine yields when it has no more bytes, or after a turn.
type socketLoader struct {
	s         *Server
	t         *transfer
	in        []byte // what came and was not read
	behind    bool   // in is a copy: the loader is in between two turns
	end       bool   // no more will come
	err       error  // ends it
	yield     func(struct{}) bool
	next      func() (struct{}, bool)
	stop      func()
	turned    int64 // offset at which the turn began
	taken     int64 // bytes that have come
	done      bool
	res       *rdb.Result
	libraries *scripting.Libraries
	loadErr   error
}

// claimedKeys is for how many keys memory is reserved because a master's payload says that it has them, some 25 bytes for each.
const claimedKeys = 1 << 24

func (s *Server) newSocketLoader(t *transfer) *socketLoader {
	l := &socketLoader{s: s, t: t}
	l.next, l.stop = iter.Pull(func(yield func(struct{}) bool) {
		debug.SetPanicOnFault(true) // as the loop's goroutine, for which this one stands in
		defer func() {
			if v := recover(); v != nil {
				s.crash.Panicked(v, debug.Stack()) // iter.Pull would raise it on the loop, where it has no stack to show
				panic(v)
			}
		}()
		l.yield = yield
		l.res, l.libraries, l.loadErr = s.readDump(l, t.size, l.progress, rdb.Loader{DBs: t.aside, OnPause: l.pause, Claimed: claimedKeys})
	})
	return l
}

// Read implements io.Reader, in the coroutine.
func (l *socketLoader) Read(b []byte) (int, error) {
	for len(l.in) == 0 {
		switch {
		case l.err != nil:
			return 0, l.err
		case l.end:
			return 0, io.EOF
		case !l.yield(struct{}{}):
			l.err = errCanceled
		}
	}
	n := copy(b, l.in)
	l.in = l.in[n:]
	return n, nil
}

// progress is called in the coroutine with how far the loader has come. It ends the turn now and then.
func (l *socketLoader) progress(offset int64) {
	if len(l.in) == 0 || offset-l.turned < int64(l.s.Config.LoadingProcessInterval) {
		return
	}
	l.turned = offset
	l.pause()
}

// pause, called in the coroutine, ends the turn.
func (l *socketLoader) pause() {
	l.behind = true
	if !l.yield(struct{}{}) {
		l.err = errCanceled
	}
}

// take gives it bytes that came.
func (l *socketLoader) take(data []byte) {
	l.taken += int64(len(data))
	if l.behind {
		l.in = append(l.in, data...)
		return
	}
	l.in = data
	l.run()
}

// run lets it load until it has no more, or its turn is over.
func (l *socketLoader) run() {
	if l.done {
		l.in = nil
		return
	}
	l.behind = false
	if _, more := l.next(); !more {
		l.done = true
		l.ended()
		return
	}
	if l.behind {
		l.in = append([]byte(nil), l.in...)
		l.s.postSettled(func() {
			if l.err == nil && l.behind {
				l.run()
				if !l.behind {
					l.s.resumeMaster()
				}
			}
		})
	}
}

// finish is called when all bytes have come.
func (l *socketLoader) finish() {
	l.end = true
	switch {
	case l.done:
		l.ended()
	case !l.behind:
		l.run()
	}
}

// ended is called when it has loaded all or failed, and when all has come.
func (l *socketLoader) ended() {
	if l.s.sync.transfer != l.t || l.loadErr == nil && !l.t.complete {
		return
	}
	l.s.endTransfer(l.res, l.loadErr)
}

// drop ends it.
func (l *socketLoader) drop() {
	l.err = errLinkLost
	if !l.done {
		l.done = true
		l.stop()
	}
}
