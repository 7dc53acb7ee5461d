package commands

import (
	"errors"
	"io"
	"time"

	"ferrous/aof"
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// The append-only file, as the server uses package aof.
//
// # Group commit
//
// aof.AOF is a Sink while the file is on. With appendfsync always a reply leaves only when all changes up to it are on the
// disk. Replies are held at their connections (eventloop.Conn.Hold), and the flush phase is requested. There the loop writes
// and syncs once for all clients of the round, then releases the replies. When the flush phase begins, evio has already found
// other sockets readable and handles them after it. So the flush phase waits one more turn of the loop: all clients that sent
// requests while the disk was busy then share one fsync. Clients that write all the time form two groups in this way: one is
// served while the other waits for the disk. (Measured, 50 clients without pipelining, requests a second: at once 38,600 with
// 17 clients in a group; waiting half an fsync for all of them 38,800 with 31; waiting a turn 46,000 with 26; Redis 7.0.15
// 46,700 with 26.)
//
// With everysec and no, no reply waits for the disk, but each reply waits until its change is written to the file: what the
// kernel has survives the end of the process. The replies of a round wait for its flush phase, which writes once for all of
// them. Where the last group was of one client, the file is written right before each reply instead, which saves the turn.
// (Measured at 50 clients without pipelining on a busy machine, CPU a request divided by that of Redis 7.0.15 in neighbouring
// rounds: a write before each reply 1.04, this 0.94, a write each millisecond, which lost what was answered, 0.92.)
//
// A rewrite switches to a new file. Nothing is written to it before the old one is on the disk (package aof, flush.go):
// replies wait for that fsync, at most two seconds.
//
// # Loading
//
// The files are read as a dump is, in turns (see persistence.go). Their commands are executed by a client without a
// connection: no rights are checked and nothing is propagated, and no key expires meanwhile, since each expired key is
// deleted by a command of the file.

// appendOnly is the server's part.
type appendOnly struct {
	file *aof.AOF
	group
	dir  string        // working directory that file knows
	nap  time.Duration // before each flush of the loop that has something to write (DEBUG AOF-FLUSH-SLEEP)
	snap *keyspace.Snapshot

	lastCopied int64 // bytes for the last rewrite, see cow.Generation.Copied
}

// group is what the next write is for, and with appendfsync always the next fsync.
type group struct {
	held   []*eventloop.Conn // whose replies wait for it
	before int               // how many were in the group before
	waited bool              // a turn for more
	alone  int               // groups of one client that came one after the other
	single int               // replies to come that are not worth a flush phase
}

// holdReply has a client's replies wait for the flush phase.
func (s *Server) holdReply(conn *eventloop.Conn) {
	g := &s.aof.group
	if !conn.Held() {
		conn.Hold()
		g.held = append(g.held, conn)
	}
	s.loop.RequestFlush()
}

// gathering reports whether the flush phase is to wait a turn of the loop for more clients. A client that has been alone
// need not wait for others.
func (s *Server) gathering() bool {
	g := &s.aof.group
	if len(g.held) == 0 || g.waited || len(g.held) == 1 && g.before <= 1 || !s.aof.file.HoldReplies() {
		return false
	}
	g.waited = true
	s.loop.RequestFlush()
	return true
}

// aloneMost is after how many groups of one client a flush phase is not worth while.
const aloneMost = 8

// next begins the next group.
func (g *group) next() {
	g.before = len(g.held)
	g.held = g.held[:0]
	g.waited = false
	if g.before > 1 {
		g.alone = 0
	} else if g.alone++; g.alone > aloneMost {
		g.alone, g.single = 0, learnEvery
	}
}

// newAppendOnly makes the file, which is off.
func (s *Server) newAppendOnly() {
	s.aof.file = aof.New(s.aofOptions(), s.aofSettings())
	for _, name := range []string{"appendfsync", "no-appendfsync-on-rewrite", "aof-timestamp-enabled", "aof-load-truncated",
		"aof-use-rdb-preamble", "aof-rewrite-incremental-fsync", "aof-disable-auto-gc", "auto-aof-rewrite-percentage",
		"auto-aof-rewrite-min-size"} {
		s.Config.OnApply(func(*config.Config) error {
			s.aof.file.Settings = s.aofSettings()
			s.aof.file.CollectHistory()
			return nil
		}, name)
	}
	// A file that was switched off by mistake would be whole again only after a rewrite.
	s.Config.OnApplyLast(func(*config.Config) error { return s.switchAppendOnly() }, "appendonly")
	s.aof.dir = s.Config.Dir
	s.Config.OnApply(func(*config.Config) error { s.leaveDir(); return nil }, "dir")
}

// aofOptions are what the file needs of the server.
func (s *Server) aofOptions() aof.Options {
	levels := map[aof.Level]config.LogLevel{aof.Debug: config.LogDebug, aof.Verbose: config.LogVerbose,
		aof.Notice: config.LogNotice, aof.Warning: config.LogWarning}
	return aof.Options{
		Dir: s.Config.Dir, DirName: s.Config.AppendDirname, FileName: s.Config.AppendFilename,
		PostSettled: func(fn func()) { s.postSettled(func() { fn(); s.resumeReplies() }) },
		Post:        func(fn func()) { s.loop.Post(func() { fn(); s.resumeReplies() }) },
		Go:          s.crash.Go,
		Logf:        func(l aof.Level, format string, args ...any) { s.Logf(levels[l], format, args...) },
		Now:         func() int64 { return s.Keyspace.Now },
		Offset:      func() int64 { return s.sync.node.History.Offset },
		Latency:     func(event string, d time.Duration) { s.latencySample(event, d.Milliseconds()) },
	}
}

// followDir passes the path of the working directory on to the file: somebody may have renamed it.
func (s *Server) followDir() {
	if dir := s.Config.WorkDir(); dir != s.aof.dir {
		s.aof.file.Moved(s.aof.dir, dir)
		s.aof.dir = dir
	}
}

// leaveDir is the effect of CONFIG SET dir: a file that is on stays where it is, complete, since a new one somewhere else
// is complete only after a rewrite. (Redis writes the next files elsewhere, without those before them until a rewrite.)
func (s *Server) leaveDir() {
	s.aof.dir = s.Config.Dir
	if s.aof.on() && s.aof.file.Dir() != s.Config.Dir {
		s.Logf(config.LogWarning, "WARNING: the append-only file stays in %s although dir is %s now. A server that is started there does not find it: set appendonly to no and to yes again to have it there.",
			s.aof.file.Dir(), s.Config.Dir)
	}
}

func (s *Server) aofSettings() aof.Settings {
	c := s.Config
	policies := map[config.Fsync]aof.Policy{config.FsyncNo: aof.FsyncNo, config.FsyncAlways: aof.FsyncAlways,
		config.FsyncEverysec: aof.FsyncEverysec}
	return aof.Settings{Fsync: policies[c.AppendFsync], NoFsyncOnRewrite: c.NoAppendFsyncOnRewrite,
		Saving: s.persist.saving != nil, Timestamps: c.AOFTimestampEnabled, LoadTruncated: c.AOFLoadTruncated,
		Preamble: c.AOFUseRDBPreamble, IncrementalFsync: c.AOFRewriteIncrementalSync, DisableAutoGC: c.AOFDisableAutoGC,
		RewritePercentage: c.AutoAOFRewritePercentage, RewriteMinSize: c.AutoAOFRewriteMinSize}
}

// Feed implements Sink.
func (a *appendOnly) Feed(db int, argv [][]byte) { a.file.Feed(db, argv) }

// on reports whether changes are fed to the file.
func (a *appendOnly) on() bool { return a.file.State() != aof.Off }

// switchAppendOnly applies the directive appendonly at run time.
func (s *Server) switchAppendOnly() error {
	a := &s.aof
	if !s.ready || s.Config.AppendOnly == a.on() {
		return nil
	}
	defer s.attachSinks()
	if !s.Config.AppendOnly {
		a.file.Disable()
		s.releaseReplies()
		s.endFileWaits()
		return nil
	}
	if err := a.file.Enable(s.Config.Dir); err != nil {
		return refusal("Unable to turn on AOF. Check server logs.")
	}
	if s.pendingOps.open {
		// What the transaction has changed until now would be in the snapshot, and in the file once more when EXEC ends.
		s.Logf(config.LogNotice, "The append-only file was switched on inside a transaction: an AOF background was scheduled to begin when that is done.")
		return nil
	}
	s.rewriteIfDue()
	return nil
}

// fileBefore sees to it that the file is written before the replies that are about to be sent: it writes it, or has the replies
// wait. false means that the server ends.
func (s *Server) fileBefore(conn *eventloop.Conn) bool {
	if a := &s.aof; a.file.Buffered() > 0 {
		wait := a.file.HoldReplies() || len(a.held) > 0 || a.single == 0
		if !wait || !a.file.HoldReplies() && a.file.Buffered() > flushAbove {
			a.single = max(a.single-1, 0)
			if !s.flushFile() {
				return false
			}
			wait = a.file.Postponed()
		}
		if wait {
			s.holdReply(conn)
		}
	}
	return true
}

// resumeReplies has replies go that waited for an fsync which has ended.
func (s *Server) resumeReplies() {
	if len(s.aof.held) > 0 {
		s.loop.RequestFlush()
	}
}

// fileTouched has what was fed outside of any packet, or by a packet without replies, written at the end of the round.
func (s *Server) fileTouched() {
	if s.aof.file.Buffered() > 0 {
		s.loop.RequestFlush()
	}
}

// flushFile writes what was fed to the file and lets the replies go that wait for it. false means that the server ends.
func (s *Server) flushFile() bool {
	a := &s.aof
	if a.nap > 0 && a.file.Buffered() > 0 {
		time.Sleep(a.nap)
	}
	var err error
	if a.file.Buffered() > 0 {
		from := s.nanos()
		err = a.file.Flush(false)
		s.stats.fileNanos += s.nanos() - from
	} else {
		err = a.file.Flush(false)
	}
	if err != nil {
		s.fileFailed(err)
		return false
	}
	s.updateRefusing()
	if len(a.held) > 0 && !a.file.Postponed() {
		s.releaseReplies()
	}
	return true
}

func (s *Server) releaseReplies() {
	for i, conn := range s.aof.held {
		s.aof.held[i] = nil
		conn.Unhold()
		if c := conn.Ctx.(*Client); c.counted > 0 && !conn.Closing() {
			s.account(c)
		}
	}
	s.aof.next()
}

// fileFailed ends the server at once. No reply leaves any more: the changes that it would confirm are not on the disk.
func (s *Server) fileFailed(err error) {
	s.fatal("%v", err)
}

// tickFile is the part of cron that is about the file.
func (s *Server) tickFile() {
	a := &s.aof
	if s.persist.loading != nil || s.shutdown.begun {
		return
	}
	a.file.Settings.Saving = s.persist.saving != nil
	if err := a.file.Tick(); err != nil {
		s.fileFailed(err)
		return
	}
	s.updateRefusing()
	s.resumeReplies()
	s.rewriteIfDue()
}

func (s *Server) rewriteIfDue() {
	if s.persist.saving == nil && s.aof.snap == nil && s.aof.file.RewriteDue() {
		_ = s.rewriteFile() // it has logged
	}
}

// rewriting reports whether a rewrite is running, or one that was stopped has not let go of its snapshot yet.
func (s *Server) rewriting() bool { return s.aof.file.Rewriting() || s.aof.snap != nil }

// rewriteFile begins a rewrite.
func (s *Server) rewriteFile() error {
	a := &s.aof
	s.followDir()
	err := a.file.StartRewrite(aof.Rewrite{
		Snapshot: func() (func(*aof.BaseFile) error, error) {
			snap, err := s.snapshot()
			if err != nil {
				return nil, err
			}
			a.snap = snap
			return s.baseWriter(snap), nil
		},
		Done: func(error) {
			if a.snap != nil {
				a.lastCopied = s.Keyspace.Generation().Copied()
				a.snap.Release()
				a.snap = nil
			}
			s.updateRefusing()
			s.snapshotFree()
		},
	})
	s.attachSinks()
	return err
}

// baseWriter returns what writes a snapshot as a base file, in any goroutine.
func (s *Server) baseWriter(snap *keyspace.Snapshot) func(*aof.BaseFile) error {
	o := s.saveOptions()
	meter, total := s.meter("Rewriting the append-only file"), int64(snap.Len())
	if s.Config.AOFUseRDBPreamble {
		o.AOFBase = true
		return func(f *aof.BaseFile) error {
			defer meter.End()
			o.OnProgress = func(keys, bytes int64) error { meter.At(keys, total, bytes); return nil }
			o.OnKey = delayed(s.saveDelay, f.Stop(), nil)
			o.Stop = f.Stopped
			o.Patch = func(b []byte, at int64) error { _, err := f.WriteAt(b, at); return err }
			return rdb.Save(f, snap, &o)
		}
	}
	stamp := int64(0)
	if s.Config.AOFTimestampEnabled {
		stamp = s.Keyspace.Now / 1000
	}
	return func(f *aof.BaseFile) error {
		defer meter.End()
		o.OnProgress = func(keys, bytes int64) error { meter.At(keys, total, bytes); return nil }
		o.OnKey = delayed(s.saveDelay, f.Stop(), nil)
		o.Stop = f.Stopped
		return aof.WriteSnapshot(aof.NewCommands(f, stamp), snap, &o)
	}
}

// loadFile begins to load the append-only file. then is called when all is in memory and the file is open.
func (s *Server) loadFile(then func()) {
	a := &s.aof
	loader := &fileClient{s: s, delay: s.loadDelay()}
	var status aof.LoadStatus
	var loadErr error
	stopped, read := false, int64(0)
	s.beginLoading(0)
	s.persist.loading.meter = s.meter("Loading the append-only file")
	s.inTurns(func(yield func(int64) bool) {
		turn := func() error {
			if stopped = stopped || !yield(read); stopped {
				return errCanceled
			}
			return nil
		}
		s.persist.loading.turn = turn
		status, loadErr = a.file.Load(loader.loader(func(at int64) error {
			read = at
			return turn()
		}))
	}, func() {
		took := time.Since(s.persist.loading.start)
		s.endLoading()
		if loadErr == nil && (status == aof.Loaded || status == aof.Truncated) {
			s.Logf(config.LogNotice, "DB loaded from append only file: %.3f seconds", took.Seconds())
		}
		if loadErr == nil {
			loadErr = a.file.Start(s.writeFirstBase)
		}
		if loadErr != nil {
			s.giveUp() // it has been logged
			return
		}
		s.attachSinks()
		then()
	})
}

// writeFirstBase makes the base of a file that is begun at start.
func (s *Server) writeFirstBase(f *aof.BaseFile) error {
	return s.baseWriter(s.Keyspace.Live())(f)
}

// fileClient executes the commands of an append-only file.
type fileClient struct {
	s     *Server
	c     *Client
	delay func() // before each command, nil for none
}

func (f *fileClient) loader(progress func(int64) error) *aof.Loader {
	s := f.s
	return &aof.Loader{
		LoadBase: func(r io.Reader, size int64) (int64, error) {
			var stop error
			src := &endable{r: r, err: &stop}
			res, err := s.loadDump(src, size, func(at int64) {
				if stop == nil {
					stop = progress(at)
				}
			}, rdb.Loader{})
			if err != nil {
				s.reportLoadError("the base file", err)
				return 0, err
			}
			return res.Bytes, nil
		},
		Apply: f.apply,
		Begin: func(total int64) { s.persist.loading.total = total },
		File: func(string) {
			f.c = s.newInnerClient()
			f.c.Trusted = true
		},
		Progress: progress,
	}
}

// newInnerClient makes a client without a connection, which may do everything.
func (s *Server) newInnerClient() *Client {
	c := s.newClient(new(resp.Writer), new(session.Replication))
	c.authed = true
	return c
}

// apply executes one command.
func (f *fileClient) apply(argv [][]byte) error {
	s, c := f.s, f.c
	e, unknownSub := s.Registry.Lookup(argv)
	if e == nil || unknownSub || e.Handler == nil {
		return aof.ErrUnknownCommand
	}
	if e.Arity > 0 && len(argv) != e.Arity || len(argv) < -e.Arity {
		return errors.New(session.ErrArity(e.Full))
	}
	if l := s.persist.loading; l != nil {
		l.commands = true
	}
	if f.delay != nil {
		f.delay()
	}
	c.Args, c.last = argv, e
	c.W.Reset()
	outer := s.current
	s.current = c
	if c.inMulti() && !e.Direct {
		s.enqueue(c, e, e.Flags)
	} else {
		c.Cmd = e
		e.Handler(&c.Client)
		*c.Repl = session.Replication{}
	}
	s.current = outer
	if s.busy.on && !s.busy.in {
		s.busy.on = false
		s.updateRefusing()
		s.busyEnded(s.nanos())
	}
	return nil
}

var aofCommands = []session.Command{
	{Name: "bgrewriteaof", Arity: 1, Flags: session.NoAsyncLoading | session.Admin | session.NoScript, Handler: connected(bgrewriteaof),
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Rewrites the append-only file in the background."},
}

func bgrewriteaof(c *Client) {
	s := c.srv
	switch {
	case s.aof.file.Rewriting():
		c.Error("ERR Background append only file rewriting already in progress")
	case s.busyWithSnapshot() || s.pendingOps.open:
		s.aof.file.Schedule()
		c.W.Status("Background append only file rewriting scheduled")
	case s.probeFile() != nil || s.rewriteFile() != nil:
		c.Error("ERR Can't execute an AOF background rewriting. Please check the server logs for more information.")
	default:
		c.W.Status("Background append only file rewriting started")
	}
}

// probeFile looks whether the files of a rewrite could be made where the folder is by now.
func (s *Server) probeFile() error {
	s.followDir()
	return s.aof.file.Probe()
}

// debugFlushSleep slows the writing of the append-only file down.
func debugFlushSleep(c *Client) {
	us, ok := resp.ParseInt(c.Args[2])
	if !ok || us < 0 || us > 1<<40 {
		c.Error(session.ErrNotInteger)
		return
	}
	c.srv.aof.nap = time.Duration(us) * time.Microsecond
	c.W.OK()
}

// debugLoadAOF empties the databases and loads the append-only file. Everybody waits, but has turns while a script of the file is
// slow. With the file off that is what the manifest names all the same: BGREWRITEAOF makes a base then. Nothing of it is a change,
// and it is refused while files are loaded: one of them may name it.
func debugLoadAOF(c *Client) {
	s := c.srv
	if s.persist.loading != nil {
		c.Error(errLoading)
		return
	}
	if s.pendingOps.open { // transactions of the file would end the one that runs
		c.Error("ERR DEBUG LOADAOF is not allowed inside a transaction")
		return
	}
	c.PropagateNothing() // else the next load would find the command in the file
	if err := s.aof.file.Flush(true); err != nil {
		s.fileFailed(err)
		return
	}
	s.followDir()
	if !s.aof.file.Rewriting() {
		// As at a start: the numbers of new files, too, follow from what the manifest has.
		if err := s.aof.file.ReadManifest(); err != nil {
			s.giveUp()
			return
		}
		s.aof.file.CollectHistory()
	}
	s.emptyAll(false)
	loader := &fileClient{s: s, delay: s.loadDelay()}
	sinks := s.Sinks
	s.Sinks = nil
	s.beginLoading(0)
	_, err := s.aof.file.Load(loader.loader(func(int64) error { return nil }))
	s.endLoading()
	s.Sinks = sinks
	if err != nil {
		c.Error("ERR Error trying to load the AOF files, check server logs.")
		s.giveUp()
		return
	}
	s.persist.clean = s.Dirty
	s.Logf(config.LogWarning, "Append Only File loaded by DEBUG LOADAOF")
	c.W.OK()
}

// writingInitialFile reports whether a shutdown that is not forced must wait: the data is in no file yet.
func (s *Server) writingInitialFile(forced bool) bool {
	if a := s.aof.file; !a.Rewriting() || a.State() != aof.Waiting {
		return false
	}
	if forced {
		s.Logf(config.LogWarning, "Writing initial AOF. Exit anyway.")
		return false
	}
	s.Logf(config.LogWarning, "Writing initial AOF, can't exit.")
	s.tellSupervisor("STATUS=Writing initial AOF, can't exit.")
	return true
}

// syncFile brings all that was changed to the disk, if the file is on, and lets the replies go that wait for it. false means
// that the server ends at once.
func (s *Server) syncFile() bool {
	a := &s.aof
	if !a.on() {
		return true
	}
	s.Logf(config.LogNotice, "Calling fsync() on the AOF file.")
	if err := a.file.Sync(); err != nil {
		s.fileFailed(err)
		return false
	}
	s.updateRefusing()
	s.releaseReplies()
	return true
}

// closeFile ends the file and a rewrite, which leaves nothing half done behind, as the last act of the server.
func (s *Server) closeFile() {
	_ = s.aof.file.Close() // it has logged
}
