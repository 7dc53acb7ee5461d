package commands

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/progress"
	"ferrous/commands/scripting"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/rdb"
	"ferrous/rdb/vfs"
	"ferrous/replication"
)

// Snapshots on disk: SAVE, BGSAVE, the save points, loading at start.
//
// # Saving
//
// A snapshot of the keyspace is taken in the loop (keyspace.Snapshot) and written by a goroutine: to temp-<pid>.rdb, fsync,
// rename to dbfilename, fsync of the folder, so that at any moment there is one whole dump. What the goroutine needs of the
// configuration is copied before it starts; it reports back with Loop.Post. There is one snapshot at a time. SAVE does the
// same in the loop, from the live data, which no command changes meanwhile, so that it needs no snapshot.
//
// Canceling (SHUTDOWN, FLUSHALL, DEBUG RELOAD) is a flag that the writer looks at before each piece of 128 KiB, within the
// compression of a long string, and before it renames. A canceled save can no longer replace the dump (claim), so the loop
// need not wait for the goroutine to end: it waits for cancelWait, in which the goroutine ends unless the disk hangs, and
// continues. Until the goroutine has ended the save counts as in progress, like a child of Redis that was killed and not yet
// waited for. rdb.SaveFile writes the file.
//
// # Loading
//
// A file is read in the loop, in pieces between which clients are served: those commands that may run while data is loading,
// LOADING for the rest. rdb.Loader runs as a coroutine (iter.Pull) whose turns are posted functions, so that nothing of the
// keyspace is ever touched by two goroutines.

// persistence is the server's part.
type persistence struct {
	disk      vfs.FS       // that dumps are written to
	temp      rdb.TempName // that the loop is writing to
	saving    *saving      // BGSAVE in progress
	scheduled bool         // BGSAVE as soon as nothing else is in progress
	lastSave  int64        // Unix seconds of the last dump, or of the start
	lastTry   int64        // Unix seconds of the last attempt in the background
	failed    bool         // the last attempt in the background failed
	lastTook  int64        // seconds, -1 before the first
	saves     int64        // since the start
	clean     int64        // Server.dirty as the last dump has it; see unsaved

	savingTemp rdb.TempName // that saving is being written to

	lastCopied int64        // bytes for the last attempt in the background, see cow.Generation.Copied
	delay      atomic.Int64 // rdb-key-save-delay

	loading *loading
	alone   time.Time  // until then nobody is served between the turns of a loader
	loaded  rdb.Result // of the last file

}

// saving is one background save.
type saving struct {
	snap   *keyspace.Snapshot
	start  int64 // Unix seconds
	dirty  int64 // Server.dirty at the snapshot
	total  int64 // keys
	keys   atomic.Int64
	cancel chan struct{}
	claim  atomic.Int32 // set once: by the goroutine before it renames, or by the loop to cancel
	done   chan struct{}
	err    error // once done is closed

	job         *replication.Job // replicas that get the file
	forReplicas bool             // it is made for them
	file        *sharedFile      // for those that are sending it
}

// The claims of a saving.
const (
	claimNone int32 = iota
	claimPlace
	claimCancel
)

var errCanceled = errors.New("canceled")

// canceled reports whether the save is not to take the dump's place.
func (b *saving) canceled() bool { return b.claim.Load() == claimCancel }

// stop returns errCanceled once the save is canceled.
func (b *saving) stop() error {
	if b.canceled() {
		return errCanceled
	}
	return nil
}

// commit claims the dump's place.
func (b *saving) commit() error {
	if !b.claim.CompareAndSwap(claimNone, claimPlace) {
		return errCanceled
	}
	return nil
}

// loading is a file that is being read.
type loading struct {
	start time.Time
	total int64 // bytes
	read  int64
	meter *progress.Meter // nil where what is loaded comes from a master

	turn     func() error // gives clients a turn; an error ends the loading; nil while everybody waits
	commands bool         // of an append-only file are executed; clients are served after so many of them, how few bytes they may be
}

// saveOptions says how a dump is written now.
func (s *Server) saveOptions() rdb.Options {
	o := rdb.Options{
		Version: s.Config.RDBVersion, Compress: s.Config.RDBCompression, Checksum: s.Config.RDBChecksum,
		RedisVersion: RedisVersion, History: s.history(), Created: s.Keyspace.Now / 1000, UsedMemory: int64(s.usedMemory()), Functions: s.scripts.libraries.Codes(),
	}
	switch policy := s.Config.MaxMemoryPolicy; {
	case policy&config.PolicyLFU != 0:
		lfu := s.lfu
		o.Freq = &lfu
	case policy&config.PolicyLRU != 0:
		o.Idle, o.Clock = true, s.Keyspace.Clock
	}
	o.OnKey = delayed(s.saveDelay, nil, nil)
	return o
}

// delayed returns a function to be called after each key, which makes a save or a load slow on purpose (rdb-key-save-delay,
// key-load-delay); nil if there is no delay. us returns the delay, in microseconds a key; a negative one is one microsecond
// every so many keys. A change takes effect at once, also during a delay. Canceling ends the delays. count, unless it is nil,
// is called too.
func delayed(us func() int, cancel <-chan struct{}, count func()) func() {
	if us() == 0 {
		return nil
	}
	n := 0
	return func() {
		if count != nil {
			count()
		}
		d := us()
		if n++; d == 0 || d < 0 && n%-d != 0 {
			return
		}
		for left := time.Duration(max(d, 1)) * time.Microsecond; left > 0 && us() == d; left -= delayStep {
			select {
			case <-time.After(min(left, delayStep)):
			case <-cancel:
				return
			}
		}
	}
}

// delayStep is after how long a delay looks whether it still holds.
const delayStep = 10 * time.Millisecond

// saveDelay is rdb-key-save-delay. Any goroutine may call it.
func (s *Server) saveDelay() int { return int(s.persist.delay.Load()) }

// loadDelay returns a function that waits as key-load-delay says, or nil.
func (s *Server) loadDelay() func() {
	return delayed(func() int { return s.Config.KeyLoadDelayUs }, nil, nil)
}

// tempDump is the name of a dump that is being written.
func tempDump() string { return fmt.Sprintf("temp-%d.rdb", os.Getpid()) }

// dumpPath is where the dump is.
func (s *Server) dumpPath() string { return s.Config.Path(s.Config.DBFilename) }

// save writes a dump in the loop.
func (s *Server) save() error {
	p := &s.persist
	p.saves++
	temp := tempDump()
	if p.saving != nil { // canceled, and perhaps still writing
		temp = "saved-" + temp
	}
	err := rdb.SaveFile(p.disk, s.dumpPath(), temp, &p.temp, s.Keyspace.Live(), s.saveOptions(), s.syncEvery(), nil)
	if err != nil {
		s.Logf(config.LogWarning, "Error saving the DB to %s: %v", s.dumpPath(), err)
		return err
	}
	s.Logf(config.LogNotice, "DB saved on disk")
	p.clean = s.Dirty
	p.lastSave = s.Keyspace.Now / 1000
	p.failed = false
	s.updateRefusing()
	return nil
}

// busyWithSnapshot reports whether one is being written.
func (s *Server) busyWithSnapshot() bool {
	return s.persist.saving != nil || s.rewriting() || s.sync.streamed != nil
}

// savingRDB reports whether a dump is being made, for the disk or for replicas.
func (s *Server) savingRDB() bool { return s.persist.saving != nil || s.sync.streamed != nil }

// snapshot takes a snapshot that a goroutine is going to write.
func (s *Server) snapshot() (*keyspace.Snapshot, error) {
	begun := time.Now()
	snap, err := s.Keyspace.Snapshot()
	if err == nil {
		took := time.Since(begun)
		s.stats.snapshots++
		s.stats.snapshotNanos = took.Nanoseconds()
		s.latencySample("snapshot", took.Milliseconds())
	}
	return snap, err
}

// saveInBackground begins a BGSAVE. job, unless it is nil, is the one of replicas that wait for it.
func (s *Server) saveInBackground(job *replication.Job) error {
	p := &s.persist
	p.saves++
	p.lastTry = s.Keyspace.Now / 1000
	snap, err := s.snapshot()
	if err != nil {
		p.failed = true
		s.updateRefusing()
		s.Logf(config.LogWarning, "Can't save in background: %v", err)
		return err
	}
	b := &saving{snap: snap, start: s.Keyspace.Now / 1000, dirty: s.Dirty, total: int64(snap.Len()),
		cancel: make(chan struct{}), done: make(chan struct{})}
	p.saving = b
	p.scheduled = false
	if b.job, b.forReplicas = job, job != nil; job == nil {
		b.job = s.sync.node.NewDump()
	} else {
		s.sync.node.JobStarted(s.replNow(), job)
	}
	b.job.Ctx = b
	s.act()
	path, o, every := s.dumpPath(), s.saveOptions(), s.syncEvery()
	meter := s.meter("Saving the dump")
	o.OnProgress = func(keys, bytes int64) error {
		b.keys.Store(keys)
		meter.At(keys, b.total, bytes)
		return nil
	}
	o.Stop = b.stop
	o.OnKey = delayed(s.saveDelay, b.cancel, func() { b.keys.Add(1) })
	s.Logf(config.LogNotice, "Background saving started by pid %d", os.Getpid())
	s.crash.Go(func() {
		b.err = rdb.SaveFile(p.disk, path, tempDump(), &p.savingTemp, snap, o, every, b.commit)
		meter.End()
		close(b.done)
		s.loop.Post(func() { s.backgroundSaveEnded(b) })
	})
	return nil
}

// backgroundSaveEnded ends a background save whose goroutine has ended.
func (s *Server) backgroundSaveEnded(b *saving) {
	p := &s.persist
	if p.saving != b {
		return // its end was handled by who waited for it
	}
	p.saving = nil
	p.lastCopied = s.Keyspace.Generation().Copied()
	b.snap.Release()
	defer s.dumpDone(b)
	defer s.updateRefusing()
	now := s.Keyspace.Now / 1000
	p.lastTook = now - b.start
	switch {
	case b.err == nil:
		s.Logf(config.LogNotice, "DB saved on disk")
		s.Logf(config.LogNotice, "Background saving terminated with success")
		p.clean = max(p.clean, b.dirty)
		p.lastSave = now
		p.failed = false
	case errors.Is(b.err, errCanceled):
		s.Logf(config.LogWarning, "Background saving canceled")
	default:
		s.Logf(config.LogWarning, "Background saving error: %v", b.err)
		p.failed = true
	}
}

// cancelWait is how long the loop waits for a goroutine that was asked to end.
const cancelWait = 100 * time.Millisecond

// cancelSave ends a background save: it does not take the dump's place any more, if it has not done so.
func (s *Server) cancelSave() {
	b := s.persist.saving
	if b == nil || b.canceled() {
		return
	}
	if !b.claim.CompareAndSwap(claimNone, claimCancel) {
		<-b.done // it is renaming: what is saved next comes after it
		s.backgroundSaveEnded(b)
		return
	}
	close(b.cancel)
	select {
	case <-b.done:
		s.backgroundSaveEnded(b)
	case <-time.After(cancelWait):
		s.Logf(config.LogNotice, "The background save that was canceled is still busy with the disk. It ends by itself.")
	}
}

// unsaved returns how many changes no dump has: those since the last one began.
func (s *Server) unsaved() int64 { return s.Dirty - s.persist.clean }

// retryAfter is how many seconds after a failure the next save is tried because of a save point.
const retryAfter = 5

// persistCron begins saves that are due.
func (s *Server) persistCron() {
	p := &s.persist
	if p.loading != nil || s.shutdown.begun || s.busy.on || s.busyWithSnapshot() {
		return
	}
	now := s.Keyspace.Now / 1000
	if p.scheduled && (!p.failed || now-p.lastTry > retryAfter) {
		_ = s.saveInBackground(nil) // it has logged
		return
	}
	for _, sp := range s.Config.Save {
		if s.unsaved() >= sp.Changes && now-p.lastSave > sp.Seconds && (!p.failed || now-p.lastTry > retryAfter) {
			s.Logf(config.LogNotice, "%d changes in %d seconds. Saving...", sp.Changes, sp.Seconds)
			_ = s.saveInBackground(nil)
			return
		}
	}
}

const errMisconf = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. " +
	"Commands that may modify the data set are disabled, because this instance is configured to report errors during " +
	"writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details " +
	"about the RDB error."

const errLoading = "LOADING Redis is loading the dataset in memory"

// updateRefusing is to be called when a reason to refuse commands may have come or gone; see refusalOf.
func (s *Server) updateRefusing() {
	s.refusing = s.busy.on || s.persist.loading != nil || s.persist.failed || s.aof.on() && s.aof.file.Refusal() != "" ||
		s.asyncLoading() || s.roleRefuses()
}

// refusalOf returns the error of a command that cannot run while data is loading, cannot be made durable, or is not for a server of
// this role; "" if it can. flags are the command's, for EXEC with those of the queued commands; lacks are the flags that one
// of them does not have.
func (s *Server) refusalOf(e *session.Entry, flags, lacks session.Flags) string {
	if flags&session.Write != 0 || e.Name == "ping" {
		if msg := s.diskRefusal(); msg != "" {
			return msg
		}
	}
	if msg := s.refusedByRole(flags, lacks); msg != "" {
		return msg
	}
	switch {
	case s.persist.loading != nil && lacks&session.Loading != 0, flags&session.NoAsyncLoading != 0 && s.asyncLoading():
		return errLoading
	case s.busy.on && e.Flags&session.AllowBusy == 0: // also an EXEC whose commands are all allowed
		return s.busyText()
	}
	return ""
}

// diskRefusal returns the error of commands that change data while they cannot be made durable, "" if they can.
func (s *Server) diskRefusal() string {
	if s.persist.failed && s.Config.StopWritesOnBgsaveError && len(s.Config.Save) > 0 {
		return errMisconf
	}
	if s.aof.on() {
		return s.aof.file.Refusal()
	}
	return ""
}

var persistenceCommands = []session.Command{
	{Name: "bgsave", Arity: -1, Flags: session.NoAsyncLoading | session.Admin | session.NoScript, Handler: connected(bgsave),
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Saves all data to disk in the background.",
		History: []session.Change{{"3.2.2", "The option `SCHEDULE`."}},
		Args:    []session.Arg{session.TokenWord("schedule", "SCHEDULE", "3.2.2").Opt()}},
	{Name: "lastsave", Arity: 1, Flags: session.Loading | session.Stale | session.Fast, ACL: session.CatAdmin | session.CatDangerous, Handler: connected(lastsave),
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Tells when data was last saved to disk, as Unix time.",
		Hints:   []string{"nondeterministic_output"}},
	{Name: "save", Arity: 1, Flags: session.NoAsyncLoading | session.Admin | session.NoScript | session.NoMulti, Handler: connected(save),
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(N) in the number of keys",
		Summary: "Saves all data to disk while everybody waits."},
}

// saveFlushed is called when all databases have been emptied: where there are save points the dump is emptied too, and a
// save of what was there before makes no sense any more, nor does a payload of it for replicas.
func (s *Server) saveFlushed() {
	s.cancelSave()
	s.cancelStreamed()
	if len(s.Config.Save) > 0 {
		_ = s.save() // it has logged
	}
}

const (
	errSaving    = "ERR Background save already in progress"
	errRewriting = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to " +
		"schedule a BGSAVE whenever possible."
)

func save(c *Client) {
	switch {
	case c.srv.savingRDB():
		c.Error(errSaving)
	case c.srv.save() != nil:
		c.Error("ERR")
	default:
		c.W.OK()
	}
}

func bgsave(c *Client) {
	s := c.srv
	if len(c.Args) > 2 || len(c.Args) == 2 && !c.Is(1, "schedule") {
		c.Error(session.ErrSyntax)
		return
	}
	switch {
	case s.savingRDB():
		c.Error(errSaving)
	case s.pendingOps.open, s.rewriting() && len(c.Args) == 2:
		s.persist.scheduled = true
		c.W.Status("Background saving scheduled")
	case s.rewriting():
		c.Error(errRewriting)
	case s.saveInBackground(nil) != nil:
		c.Error("ERR")
	default:
		c.W.Status("Background saving started")
	}
}

func lastsave(c *Client) { c.W.Int(c.srv.persist.lastSave) }

// debugReload saves, empties and loads all databases.
func debugReload(c *Client) {
	s := c.srv
	merge, flush, write := false, true, true
	for i := 2; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "merge"):
			merge = true
		case c.Is(i, "noflush"):
			flush = false
		case c.Is(i, "nosave"):
			write = false
		default:
			c.Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
			return
		}
	}
	if write {
		s.cancelSave()
		if s.save() != nil {
			c.Error("ERR")
			return
		}
	}
	if flush {
		s.cancelSave()
		s.emptyAll(false)
	}
	l := rdb.Loader{DropExpired: true, AllowDuplicates: merge}
	known := false
	if !flush {
		l.OnFunction = func(code []byte) error {
			_, err := s.scripts.libraries.Load(code, merge)
			known = err != nil
			return err
		}
	}
	if err := s.reload(l); err != nil {
		c.Error("ERR Error trying to load the RDB dump, check server logs.")
		if !known { // libraries stand before all keys in a dump: no key was loaded
			s.fatal("Terminating server after rdb file reading failure.")
		}
		return
	}
	s.Logf(config.LogWarning, "DB reloaded by DEBUG RELOAD")
	c.W.OK()
}

// reload reads the dump while everybody waits.
func (s *Server) reload(l rdb.Loader) error {
	path := s.dumpPath()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			_, err = s.loadDump(f, info.Size(), nil, l)
		}
		f.Close()
	}
	if err != nil {
		s.reportLoadError(path, err)
		s.diagnose(path)
	}
	s.rearmExpiry()
	return err
}

// endable is a reader that ends with an error once there is one.
type endable struct {
	r   io.Reader
	err *error
}

func (e *endable) Read(b []byte) (int, error) {
	if *e.err != nil {
		return 0, *e.err
	}
	return e.r.Read(b)
}

// startLoading begins to read the dump, if there is one. then is called when all is in memory.
func (s *Server) startLoading(then func()) {
	path := s.dumpPath()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		s.endLoading()
		then()
		return
	}
	var size int64
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			size = info.Size()
		}
	}
	if err != nil {
		s.fatal("Fatal error loading the DB, check server logs. Exiting: %v", err)
		return
	}
	s.beginLoading(size)
	s.persist.loading.meter = s.meter("Loading the dump")
	var loadErr error
	s.inTurns(func(yield func(int64) bool) {
		var stopped error
		_, loadErr = s.loadDump(&endable{f, &stopped}, size, func(offset int64) {
			if stopped == nil && !yield(offset) {
				stopped = errCanceled
			}
		}, rdb.Loader{DropExpired: !s.isReplica(), OnDropped: s.sync.noteDropped})
	}, func() {
		f.Close()
		took := time.Since(s.persist.loading.start)
		s.endLoading()
		if loadErr != nil {
			s.reportLoadError(path, loadErr)
			s.diagnose(path)
			s.fatal("Terminating server after rdb file reading failure.")
			return
		}
		s.Logf(config.LogNotice, "DB loaded from disk: %.3f seconds", took.Seconds())
		then()
	})
}

// load begins to load what there is on disk. then is called when all is in memory.
func (s *Server) load(then func()) {
	if err := s.aof.file.ReadManifest(); err != nil {
		s.giveUp()
		return
	}
	if s.Config.AppendOnly {
		s.loadFile(then)
	} else {
		s.startLoading(then)
	}
}

// meter begins to show how far some work has come: on the terminal, or in the log every few seconds.
func (s *Server) meter(what string) *progress.Meter {
	return progress.Start(what, progress.Output{Show: s.Log.Show, Log: func(line string) { s.Logf(config.LogNotice, "%s", line) }})
}

// beginLoading is the begin of loading size bytes.
func (s *Server) beginLoading(size int64) {
	s.persist.loading = &loading{start: time.Now(), total: size}
	s.Keyspace.Loading = true
	s.judgeExpiry()
	s.updateRefusing()
	s.pace()
}

// endLoading is its end.
func (s *Server) endLoading() {
	if l := s.persist.loading; l != nil {
		l.meter.End()
	}
	s.persist.loading = nil
	s.Keyspace.Loading = false
	s.judgeExpiry()
	s.updateRefusing()
	s.rearmExpiry()
}

// loadAlone is how long clients wait at the start until the data is in memory. After that they are accepted, and get LOADING.
// With a dump or base file of less than loading-process-events-interval-bytes they wait to the end, as in Redis.
const loadAlone = 100 * time.Millisecond

// inTurns runs a loader as a coroutine that yields how many bytes it has read. Each turn is a posted function. done is called
// after the last turn.
func (s *Server) inTurns(load iter.Seq[int64], done func()) {
	next, stop := iter.Pull(func(yield func(int64) bool) {
		debug.SetPanicOnFault(true) // as the loop's goroutine, for which this one stands in
		defer func() {
			if v := recover(); v != nil {
				s.crash.Panicked(v, debug.Stack()) // iter.Pull would raise it on the loop, where it has no stack to show
				panic(v)
			}
		}()
		load(yield)
	})
	var turn func()
	turn = func() {
		for {
			if s.shutdown.begun {
				stop()
				return
			}
			offset, more := next()
			if !more {
				done()
				return
			}
			s.persist.loading.read = offset
			s.persist.loading.meter.Bytes(offset, s.persist.loading.total)
			due := s.persist.loading.commands || offset >= int64(s.Config.LoadingProcessInterval)
			if due && !time.Now().Before(s.persist.alone) {
				if s.busy.on {
					s.beginOtherTurns(turn)
				} else {
					s.loop.Post(turn)
				}
				return
			}
		}
	}
	turn()
}

// reportLoadError logs why a dump could not be read.
func (s *Server) reportLoadError(path string, err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		s.Logf(config.LogWarning, "Short read or OOM loading DB from %s: %v", path, err)
		return
	}
	s.Logf(config.LogWarning, "Error loading the RDB file %s: %v", path, err)
}

// diagnose logs what rdb.Check finds in a dump that could not be loaded: where in the file it is, and what there is besides.
func (s *Server) diagnose(path string) {
	var report strings.Builder
	rdb.Check(&report, path, nil)
	for line := range strings.Lines(report.String()) {
		s.Logf(config.LogWarning, "%s", strings.TrimSuffix(line, "\n"))
	}
}

// loadDump reads a dump into the keyspace, as l and the configuration say, and its function libraries into the server.
// progress is called between pieces of it, nil for none.
func (s *Server) loadDump(src io.Reader, size int64, progress func(offset int64), l rdb.Loader) (*rdb.Result, error) {
	own := l.OnFunction == nil
	res, libraries, err := s.readDump(src, size, progress, l)
	if err != nil {
		return nil, err
	}
	switch {
	case !own: // the caller has put the libraries where they belong
	case !l.AllowDuplicates:
		s.scripts.libraries = libraries
	default:
		if err := s.scripts.libraries.Join(libraries, true); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// readDump is loadDump without installing the libraries: it returns them. They are nil if l.OnFunction takes them.
func (s *Server) readDump(src io.Reader, size int64, progress func(offset int64), l rdb.Loader) (*rdb.Result, *scripting.Libraries, error) {
	l.Keyspace, l.Rules, l.Checksum = s.Keyspace, s.RDBRules(), s.Config.RDBChecksum && !s.SkipChecksum
	l.OnProgress, l.ProgressBytes = progress, 512<<10
	l.Repair = s.Config.SanitizeDumpPayload != config.SanitizeYes
	l.OnRepair = func(db int, key []byte, what string) {
		s.Logf(config.LogWarning, "The key %q in DB %d was put right while it was loaded: %s", key, db, what)
	}
	l.OnNotice = func(line string) { s.Logf(config.LogNotice, "%s", line) }
	if n := int64(s.Config.LoadingProcessInterval); n < l.ProgressBytes {
		l.ProgressBytes = n
	}
	if delay := s.loadDelay(); delay != nil {
		l.OnKey = func(*keyspace.DB, *record.Record) { delay() }
	}
	libraries := scripting.NewLibraries(s.scripts.engine)
	if l.OnFunction == nil {
		l.OnFunction = func(code []byte) error {
			_, err := libraries.Load(code, false)
			return err
		}
	}
	res, err := l.Load(src, size)
	if err != nil {
		return nil, nil, err
	}
	s.persist.loaded = *res
	s.persist.loaded.Rest = nil
	return res, libraries, nil
}

// fatal ends the server because it cannot go on.
func (s *Server) fatal(format string, args ...any) {
	s.Logf(config.LogWarning, format, args...)
	s.giveUp()
}

// giveUp ends the server for a reason that is logged already. Files that goroutines are writing are removed.
func (s *Server) giveUp() {
	s.shutdown.begun = true
	s.shutdown.code = 1
	s.cancelSave()
	s.aof.file.StopRewrite()
	s.loop.Shutdown()
}

// fileSync is how many bytes are written between two fsyncs with rdb-save-incremental-fsync.
const fileSync = 4 << 20

// syncEvery is after how many bytes a dump is brought to disk, 0 for only at its end.
func (s *Server) syncEvery() int {
	if s.Config.RDBSaveIncrementalFsync {
		return fileSync
	}
	return 0
}

// Abandon removes what an end in the middle of a save, a rewrite or the writing of a configuration would leave behind. Any
// goroutine may call it, before the process ends.
func (s *Server) Abandon() {
	for _, at := range []*rdb.TempName{&s.persist.temp, &s.persist.savingTemp} {
		if temp := at.Load(); temp != nil {
			_ = s.persist.disk.Remove(*temp)
		}
	}
	s.aof.file.Abandon()
	s.Config.Abandon()
}
