// Package commands is the server: it turns requests into changes of the keyspace and replies.
//
// # The way of a request
//
// eventloop hands a client's bytes to Server.Data. The client's parser cuts them into requests; dispatch.go looks each
// one up in the command table, checks whether it may run, and calls its handler with the session.Client as context:
// arguments, selected database, reply writer. The handler reads and writes the keyspace through it, appends its reply, and
// says what it changed. Afterwards propagate.go feeds what was changed to the sinks (append-only file, replicas). All
// replies to one packet leave in one write.
//
// # Where things are
//
// A command is a row in the table of its family beside its handler. The families are packages of their own (strings, keys,
// lists …), on top of package session; registry.go lists their tables. What needs more than a session has its rows here.
// Server holds what all clients share, Client what one connection has. Everything here runs on the loop goroutine, without
// locks.
package commands

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"time"

	"ferrous/commands/acl"
	"ferrous/commands/collector"
	"ferrous/commands/config"
	"ferrous/commands/crash"
	"ferrous/commands/logging"
	"ferrous/commands/process"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop"
	"ferrous/eventloop/clock"
	"ferrous/eventloop/resp"
	"ferrous/rdb/vfs"
)

// The versions that INFO, HELLO and the log answer: clients and tools look at Redis's to know what they may use.
const (
	RedisVersion = "7.2.4"
	Version      = "0.2.0"
)

// Server is one Ferrous server.
type Server struct {
	session.Core
	loop  *eventloop.Loop
	host  *process.Process // nil unless UseProcess gave it; see host.go
	crash crash.Reporter
	runID string
	base  time.Time   // process start
	clock clock.Clock // the monotonic time, which counts from base
	wall  int64       // Unix microseconds at base; cron follows a clock that was set
	began int64       // monotonic time at which the running command began

	w         resp.Writer                  // replies to the client being served
	longReply bool                         // one of more than keepBuffer was sent lately
	repl      session.Replication          // how the running command is to be propagated
	members   [keyspace.MaxPrefetch][]byte // members of collections that prefetch looks at
	behind    []byte                       // scratch of readOn
	limits    resp.Limits
	early     resp.Limits // limits of clients that are not logged in; see limitsOf
	current   *Client     // whose packet is being processed

	clients          map[int64]*Client
	order            []*Client // the same clients in the order in which cron visits them
	doomed           []*Client // clients that are closed and that reap takes out
	unsettled        bool      // settle has something to do
	cronAt           int       // index in order of the next client for cron
	cronSeen         int64     // when cron last looked at clients, Unix ms
	nextID           int64
	warned           int64  // when warnOfAttack last logged, Unix ms
	heldBytes        int    // memory of clients beyond clientBytes for each; see clientinfo.go
	classMemory      [3]int // all memory of clients, by class of client-output-buffer-limit
	replyBufferRules replyBufferRules
	eviction         clientEviction
	evict            eviction // of keys
	peaks            clientPeaks
	pause            pause
	persist          persistence
	aof              appendOnly
	sync             replicating
	migrations       migrations // connections of MIGRATE
	refusing         bool       // some commands may have to be refused; see refusalOf
	blocking         blocking
	channels         channels
	tracking         trackingTable
	monitors         []*Client
	observed         bool   // MONITOR or tracking needs every executed command; see Server.observe
	calling          int    // commands that run, one within the other
	expiring         bool   // the key that is being reported as modified has expired, or was evicted
	outbox           outbox // messages that wait for clients; see push.go
	ready            bool   // the data has been loaded
	socket           socketFile
	fewFiles         bool // see eventloop.Options.FewFiles
	shutdown         shutdownState
	activeOff        bool // DEBUG SET-ACTIVE-EXPIRE 0

	cronPaused bool // DEBUG PAUSE-CRON 1

	slowNanos int64 // a command that takes this long is slow; see dispatch.go

	security security // users; see rights.go

	watched    map[*keyspace.DB]map[string][]*watch
	pendingOps pendingOps
	scripts    scripts
	tls        tlsState
	web        webState
	busy       busy
	freeTx     []*transaction

	baseMemory         int  // used_memory of an empty server
	listensForTracking bool // trackedModified is among Core.Listeners
	cronTimer          *eventloop.Timer
	rest               restState
	expTimer           *eventloop.Timer
	expAt              int64 // when expiry is to run, Unix ms; 0 = not set

	lfu      keyspace.LFU
	stats    stats
	gc       collector.Pacer
	tidy     collector.Tidier
	activity collector.Activity
	//lint:ignore U1000 it is used with the tag only
	checks invariants // not last: without the tag it has no size
}

// stats are the counters of INFO stats.
type stats struct {
	connections, rejectedConns int64
	commands                   int64
	netIn, netOut              int64
	queryBufDisconnections     int64
	outputBufDisconnections    int64
	peakMemory                 int
	evictedKeys, exceededNanos int64
	reads, writes, cronCycles  int64
	denied                     [acl.DeniedCert + 1]int64 // requests and log-ins, by acl.Denial
	expireNanos, expireCapped  int64
	cycles                     int64 // see endCycle
	cycleNanos, cycleMax       int64
	cycleCommands              int64 // most commands of one cycle
	cronNanos                  int64
	fileNanos                  int64 // at writing the append-only file
	unexpectedErrors           int64 // of commands of the master
	replIn, replOut            int64 // bytes from the master, and to replicas
	instant                    [instantMetrics]instantMetric
	snapshots, snapshotNanos   int64 // taken for background writing, and how long the last one took
}

// New makes a server from its configuration. Serve starts it.
func New(cfg *config.Config, log *logging.Logger) (*Server, error) {
	var id [20]byte
	if _, err := crand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("cannot draw random bytes: %w", err)
	}
	s := &Server{
		Core: session.Core{
			Config:   cfg,
			Log:      log,
			Keyspace: keyspace.New(cfg.Databases, binary.LittleEndian.Uint64(id[8:])),
			Registry: newRegistry(),
			Errors:   make(map[string]int64),
		},
		runID:            hex.EncodeToString(id[:]),
		base:             time.Now(),
		clients:          make(map[int64]*Client),
		replyBufferRules: replyBufferRules{resetMs: replyBufferResetMs},
	}
	s.clock = clock.New(s.base)
	s.Lists = quicklist.NewSettings(s.Keyspace.Generation())
	s.Zsets = sortedset.NewText(resp.FormatDouble)
	s.persist.disk = vfs.OS{}
	s.wall = s.base.UnixMicro()
	s.limits = resp.DefaultLimits()
	s.tick()
	s.Keyspace.OnExpire = s.keyExpired
	s.Keyspace.OnExpireField = s.fieldExpired
	s.Keyspace.OnExpireFields = s.fieldsExpired
	s.Observers = append(s.Observers, s.publishEvent)
	cfg.OnLog(func(level config.LogLevel, msg string) { s.Logf(level, "%s", msg) })
	s.security.users = newUsers(s.Registry, func() bool { return cfg.ACLPubsubDefault == config.PubsubAllChannels },
		s.warnOfFirstArg)
	if err := s.renameCommands(); err != nil {
		return nil, err
	}
	if err := s.reserveFiles(); err != nil {
		return nil, err
	}
	s.applySettings()
	s.attachCrash()
	if err := s.loadUsers(); err != nil {
		return nil, err
	}
	if err := s.checkServed(); err != nil {
		return nil, err
	}
	loop, err := eventloop.New(eventloop.Options{
		Addrs:     s.listenAddrs(),
		Dir:       cfg.Dir,
		UnixPerm:  os.FileMode(cfg.UnixSocketPerm),
		Backlog:   func() int { return cfg.TCPBacklog },
		FewFiles:  s.fewFiles,
		KeepAlive: func() time.Duration { return time.Duration(cfg.TCPKeepAliveSec) * time.Second },
		Handler:   s,
		Refusal:   []byte("-" + session.ErrMaxClients + "\r\n"),
		Listening: s.listening,
		Serving:   s.serving,
		Panicked:  s.crash.Panicked,
		Logf:      func(f string, a ...any) { s.Logf(config.LogWarning, f, a...) },
	})
	if err != nil {
		return nil, err
	}
	s.loop = loop
	s.newReplication()
	s.newAppendOnly()
	s.newScripts()
	s.newWeb()
	if err := s.listenMetrics(); err != nil {
		s.Logf(config.LogWarning, "%v", err)
		return nil, refusal(fmt.Sprintf("Failed listening on port %d (metrics), aborting.", cfg.MetricsPort))
	}
	if err := s.listenTLS(); err != nil {
		s.Logf(config.LogWarning, "%v", err)
		return nil, refusal(fmt.Sprintf("Failed listening on port %d (tls), aborting.", cfg.TLSPort))
	}
	return s, nil
}

// nanos returns the monotonic time since the server's start.
func (s *Server) nanos() int64 { return s.clock.Quick() }

// setNow makes a monotonic reading the time that expiry and idle times see.
func (s *Server) setNow(nanos int64) { s.Keyspace.Now = (s.wall + nanos/1000) / 1000 }

// tick reads the clock. It follows the wall clock, so that setting the system's clock affects expiry as in Redis.
func (s *Server) tick() {
	now := time.Now()
	s.wall = now.UnixMicro() - int64(now.Sub(s.base))/1000
	s.Keyspace.Now = now.UnixMilli()
	s.Keyspace.Clock = keyspace.LRUClock(s.Keyspace.Now)
	s.lfu.NowMs = s.Keyspace.Now
}

// listenAddrs returns the addresses in evio's notation.
func (s *Server) listenAddrs() []string {
	addrs := s.tcpAddrs()
	if s.Config.UnixSocket != "" {
		addrs = append(addrs, "unix://"+s.Config.UnixSocket)
	}
	return addrs
}

func (s *Server) tcpAddrs() []string {
	var addrs []string
	if s.Config.Port != 0 {
		for _, b := range s.bindAddrs() {
			addrs = append(addrs, b.network+"://"+net.JoinHostPort(b.host, fmt.Sprint(s.Config.Port)))
		}
	}
	return addrs
}

// Serve listens and serves until shutdown. It returns the error of listening, or nil.
func (s *Server) Serve() error {
	s.startCron()
	s.watchLoop()
	defer s.web.server.Close()
	return s.loop.Serve()
}

// listening begins to load the data. The loop calls it when the addresses are bound; no connection is accepted before it
// returns. A small data set is loaded by then, so that a client that waits for the port finds a server that is ready.
func (s *Server) listening([]net.Addr) {
	debug.SetPanicOnFault(true) // of this goroutine, which stands in for the loop's
	s.Logf(config.LogNotice, "Server initialized")
	s.warnOfBacklog()
	s.socket.made(s.Config)
	s.baseMemory = startupMemory()
	s.warnOfMemory()
	s.persist.lastSave = s.Keyspace.Now / 1000
	s.persist.lastTook = -1
	s.persist.alone = time.Now().Add(loadAlone)
	s.load(func() {
		s.ready = true
		history := s.persist.loaded.History
		if s.Config.AppendOnly {
			history = nil // of its base file, which more has followed
		}
		s.startReplication(history)
		if s.Config.Port != 0 {
			s.Logf(config.LogNotice, "Ready to accept connections tcp")
		}
		if s.Config.UnixSocket != "" {
			s.Logf(config.LogNotice, "Ready to accept connections unix")
		}
		if s.Config.TLSPort != 0 {
			s.Logf(config.LogNotice, "Ready to accept connections tls")
		}
		s.tellSupervisor("STATUS=Ready to accept connections", "READY=1", fmt.Sprintf("MAINPID=%d", os.Getpid()))
	})
	s.persist.alone = time.Time{}
}

func (s *Server) serving([]net.Addr, bool) {
	debug.SetPanicOnFault(true) // of this goroutine, the loop's, so that a crash report shows what it did
}

// Opened implements eventloop.Handler.
func (s *Server) Opened(conn *eventloop.Conn) bool {
	s.stats.connections++
	if len(s.clients) >= s.Config.MaxClients {
		conn.Send([]byte("-" + session.ErrMaxClients + "\r\n"))
		s.stats.rejectedConns++
		return false
	}
	if s.refuseByProtectedMode(conn) {
		s.stats.rejectedConns++
		return false
	}
	s.nextID++
	c := s.newClient(&s.w, &s.repl)
	c.conn, c.id = conn, s.nextID
	c.created = s.Keyspace.Now
	c.lastActive = s.Keyspace.Now
	c.replyBuffer = replyBuffer{size: replyBufferMax, peak: replyBufferMax, since: uint32(s.Keyspace.Now)}
	c.startAs(s.security.users.Default())
	c.sniffs = s.Config.HTTP
	c.logInByCertificate()
	conn.Ctx = c
	s.remember(c)
	return true
}

// Data implements eventloop.Handler.
func (s *Server) Data(conn *eventloop.Conn, in []byte) {
	if s.shutdown.begun {
		return
	}
	c, ok := conn.Ctx.(*Client)
	if !ok {
		s.masterData(conn.Ctx.(*masterLink), in)
		return
	}
	now := s.nanos()
	s.setNow(now)
	c.lastActive = s.Keyspace.Now
	s.stats.netIn += int64(len(in))
	s.stats.reads++
	if c.sniffs {
		if in = s.sniff(c, in); in == nil {
			return
		}
	}
	commands := s.stats.commands
	c.parser.Begin(in)
	end := s.process(c, now)
	if c.parser.Announced() > 0 {
		end = s.readOn(c, end)
	}
	s.endCycle(now, end, s.stats.commands-commands)
	if c.source && s.stats.commands == commands && c.attached() {
		s.replicaSpoke(c)
	}
	if s.expAt != 0 && s.Keyspace.Now >= s.expAt {
		s.expire() // on a busy machine the timer comes late
	}
}

const (
	readBudget = 1 << 20  // bytes that readOn reads for one packet, so that other clients are served
	readBehind = 64 << 10 // those behind a large argument that it reads at once
)

// readOn reads the rest of a large argument from the socket into the argument's own buffer. In packets of the loop it would come
// 64 KiB at a time and be copied.
func (s *Server) readOn(c *Client, now int64) int64 {
	for budget := readBudget; budget > 0 && !c.stopped && !c.conn.Closing(); {
		room, whole := c.parser.Room(&s.Requests)
		if room == nil {
			break
		}
		if len(room) > budget {
			room, whole = room[:budget], false
		}
		var behind []byte
		if whole {
			if s.behind == nil {
				s.behind = make([]byte, readBehind)
			}
			behind = s.behind
		}
		n := c.conn.Read(room, behind)
		if n == 0 {
			break
		}
		budget -= n
		s.stats.netIn += int64(n)
		s.stats.reads++
		own := min(n, len(room))
		c.parser.Fill(own)
		c.parser.Begin(behind[:n-own])
		now = s.process(c, now)
		if own < len(room) {
			break
		}
	}
	return now
}

// process runs the requests that the client's parser holds, until the parser needs more bytes or the client must wait. now is
// the monotonic time; process returns the time at which the last request ended.
func (s *Server) process(c *Client, now int64) int64 {
	outer := s.current
	s.current = c
	if outer == nil {
		s.outbox.inPacket = true
	}
	s.w.Proto = int(c.proto)
	if s.w.Buf == nil {
		s.w.Buf = s.loop.Buffer()
	}
	s.limitReply(c)
	lim := s.limitsOf(c)
	s.takeWaiting(c)
	c.window.note(c.parser.Buffered())
	s.peaks.note(max(c.parser.Buffered(), c.parser.Capacity()), 0)
	if c.deferred != nil && !c.stopped {
		// Scratch still holds the request that was parsed last, which is another one: reading from an empty parser clears it.
		var none resp.Parser
		none.Next(&s.Requests, lim)
		c.Args, c.deferred = c.deferred, nil
		now = s.execute(c, now)
		lim = s.followLogin(c, lim)
	}
	for ahead := 0; !c.stopped; ahead-- {
		args, err := c.parser.Next(&s.Requests, lim)
		if err != nil {
			s.Logf(config.LogVerbose, "Protocol error (%v) from client: %s", err, c.describe())
			s.w.Error("ERR " + err.Error())
			s.CountError("ERR")
			s.Counters.ErrorReplies++
			c.closeAfterReply()
			break
		}
		if args == nil {
			break
		}
		if ahead == 0 {
			ahead = s.prefetch(c, args)
		}
		c.Args = args
		now = s.execute(c, now)
		if !c.authed || lim != &s.limits {
			lim = s.followLogin(c, lim)
		}
		if n := len(s.w.Buf); n > flushEarly && (n > flushAbove || c.mustLogIn()) {
			s.send(c)
			s.settle()
		}
	}
	c.Args = nil
	if n := c.parser.Announced(); n > 0 {
		c.window.note(n)
	}
	if c.parser.Exceeds(lim) && !c.conn.Closing() {
		s.Logf(config.LogWarning, "Closing client that reached max query buffer length: %s", c.describe())
		s.stats.queryBufDisconnections++
		s.w.Reset()
		c.conn.CloseNow()
	}
	c.parser.End()
	if outer == nil && s.sync.feed.put && c.blocked != nil && c.blocked.waiter != nil {
		s.endFed() // WAIT: the replicas come first, the replies to earlier commands are not what the client waits for
	}
	s.send(c)
	s.account(c)
	if c.closing {
		c.conn.CloseAfterSend()
	}
	s.current = outer
	if outer == nil {
		s.endPacket()
		s.reap()
		s.evictClients()
		s.checkPacket()
	}
	return now
}

// prefetch brings into the processor's cache what the pipelined requests from args on will touch: their keys or, if all name
// the same key, the members of the collection there. Fetched together the cache misses overlap; one after the other they are
// half of what a short command costs. The key is the first argument, or stands where it does in the client's last request if
// that was the same command, as scripts are called one after the other. prefetch returns after how many requests it is to be
// called again.
func (s *Server) prefetch(c *Client, args [][]byte) int {
	at, behind := 2, false
	if e := c.last; e != nil && e.FirstKey > 1 && session.EqualFold(args[0], e.Name) {
		at, behind = e.FirstKey, true
	} else if len(args) == 4 && session.EqualFold(args[0], "zadd") {
		at = 3 // behind the score
	}
	n := c.parser.Peek(s.Peeked[:], s.members[:], at)
	switch {
	case n == 0:
		return 1
	case behind:
		c.DB.Prefetch(s.members[:n])
	case len(args) < 2 || !bytes.Equal(s.Peeked[0], args[1]) || !bytes.Equal(s.Peeked[n-1], args[1]):
		c.DB.Prefetch(s.Peeked[:n])
	case s.members[0] != nil:
		c.DB.PrefetchMembers(args[1], s.members[:n])
	}
	// They may lie in a backlog of any size.
	clear(s.Peeked[:n])
	clear(s.members[:n])
	return n
}

// Replies to a pipeline are collected and written when there are flushAbove bytes of them. A client that is not logged in may
// have no more than freeReply bytes waiting: its replies are written from flushEarly on.
const (
	flushAbove = 256 << 10
	flushEarly = freeReply / 2
)

// followLogin returns the limits of the client after a command. AUTH and RESET change them; was are those before the command.
// If they differ, the limits of the client's replies are set again.
func (s *Server) followLogin(c *Client, was *resp.Limits) *resp.Limits {
	lim := s.limitsOf(c)
	if lim != was {
		s.send(c)
		s.limitReply(c)
	}
	return lim
}

// limitsOf returns the limits of what the client may send.
func (s *Server) limitsOf(c *Client) *resp.Limits {
	if !c.mustLogIn() {
		return &s.limits
	}
	s.early = s.limits
	s.early.Unauthenticated = true
	return &s.early
}

const (
	// keepBuffer is the largest buffer for replies or messages that is kept for the next ones.
	keepBuffer = 1 << 20
	// keepLately is the largest buffer for replies that is kept while replies of more than keepBuffer come.
	keepLately = 256 << 20
)

// trimReply lets go of a large buffer for replies that was not needed since the last call.
func (s *Server) trimReply() {
	if !s.longReply && cap(s.w.Buf) > keepBuffer && len(s.w.Buf) == 0 {
		s.w.Buf = nil
	}
	s.longReply = false
}

// send writes the collected replies.
func (s *Server) send(c *Client) {
	if n := len(s.w.Buf); n > 0 {
		if c.source {
			name := "?"
			if c.last != nil {
				name = c.last.Full
			}
			if text, isError := bytes.CutPrefix(s.w.Buf, []byte{'-'}); isError {
				s.Logf(config.LogWarning, "== CRITICAL == This master is sending an error to its replica: '%s' after processing the command '%s'",
					bytes.TrimRight(text, "\r\n"), name)
				s.stats.unexpectedErrors++
			}
			s.Logf(config.LogWarning, "Replica generated a reply to command '%s', disconnecting it: %s", name, c.describe())
			s.w.Reset()
			s.doom(c)
			return
		}
		if !c.conn.Closing() {
			c.forgetSoft()
			s.longReply = s.longReply || n > keepBuffer
			if s.fileBefore(c.conn) {
				s.w.Buf = c.conn.SendBuffer(s.w.Buf)
			}
			s.stats.netOut += int64(n)
			s.stats.writes++
			c.replyBuffer.note(n)
		}
		s.w.Reset()
		if cap(s.w.Buf) > keepLately {
			s.w.Buf = nil
		}
		s.afterSend(c)
	}
}

// afterSend looks at what the socket did not take.
func (s *Server) afterSend(c *Client) {
	if c.conn.Queued() > 0 && !c.conn.Closing() {
		s.checkOutputLimits(c)
		s.limitReply(c)
		if !c.stopped {
			s.outputGrew(c)
		}
	}
}

var lineEnd = []byte("\r\n")

// sendShared writes the collected replies and from where it lies the large string that follows them. What of it the socket does
// not take waits there: the string is lent. It does nothing if that reply was dropped or is too long.
func (s *Server) sendShared(c *Client) {
	shared, r := s.w.Shared, s.Shared
	s.Shared = nil
	if shared == nil || s.w.Over() {
		return
	}
	s.w.Shared = nil
	if c.source || c.conn.Closing() {
		s.w.Raw(shared)
		s.w.Raw(lineEnd)
		return // send drops them
	}
	n := len(s.w.Buf)
	c.forgetSoft()
	if s.fileBefore(c.conn) && c.conn.SendShared(s.w.Buf, shared, lineEnd) {
		r.Lend()
	}
	s.stats.netOut += int64(n + len(shared) + len(lineEnd))
	s.stats.writes++
	c.replyBuffer.note(n + len(shared))
	s.w.Reset()
	s.afterSend(c)
}

// Closed implements eventloop.Handler.
func (s *Server) Closed(conn *eventloop.Conn, err error) {
	c, ok := conn.Ctx.(*Client)
	if !ok {
		s.masterClosed(conn.Ctx.(*masterLink), err)
		return
	}
	if c.sniffs {
		delete(s.web.heads, c)
	}
	s.forget(c)
	c.parser.Reset()
}

// Flush implements eventloop.Handler: the end of a round in which RequestFlush was called.
func (s *Server) Flush() {
	s.settle()
	if s.gathering() || !s.flushFile() {
		return
	}
	s.outbox.flushing = true
	s.broadcastModified()
	s.flushOutbox()
	s.outbox.flushing = false
	s.sync.feed.learn()
	s.flushReplicas()
	s.reap()
	s.evictClients()
}
