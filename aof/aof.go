// Package aof keeps the append-only file of Redis 7: every change is appended as the command that makes it, and a restart
// runs the commands again.
//
// # The parts
//
//	manifest.go  the list of the files that belong together
//	folder.go    the folder they are in, and how its content is replaced without ever being half replaced
//	append.go    Feed: commands into the buffer
//	flush.go     Flush: the buffer into the file; fsync; what happens when either fails
//	rewrite.go   a new base file from a snapshot, in the background
//	commands.go  the commands that make a data set, for a base file without RDB
//	load.go      the way back
//	check.go     the tool that looks at files without loading them
//	vfs, memfs   the disk, and one that fails
//
// The package knows neither commands nor the RDB format: the caller gives functions that apply a command, read a base file
// and write one.
//
// # Who may call what
//
// An AOF belongs to the loop: all its methods are called there, or before the loop runs. What takes long runs in goroutines
// that are given what they need, touch nothing of the AOF, and come back through Options.Post. There are two kinds: the
// syncer (flush.go), which forces files to disk one after the other, and the phases of a rewrite (rewrite.go), one at a
// time. The manifest is written by a phase of a rewrite, or on the loop when no rewrite is running.
//
// # States
//
//	off      nothing is written
//	on       changes go to the last incremental file
//	waiting  the data is not in any file that can be trusted: the file has just been switched on, or fsync has failed.
//	         Nothing is written until a rewrite runs, whose incremental file has a temporary name; when its base is
//	         complete, both enter the manifest together, and the state is on. If it fails, another one follows.
package aof

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ferrous/rdb/vfs"
)

// Policy is appendfsync.
type Policy int

// The policies.
const (
	FsyncNo       Policy = iota // the kernel writes when it likes
	FsyncAlways                 // before the reply
	FsyncEverysec               // once a second, in the background
)

// State is what the file is doing; see the head of the package.
type State int

// The states.
const (
	Off State = iota
	On
	Waiting
)

// Options are what an AOF is made from. All functions run on the loop, except Logf, which must be safe for any goroutine.
type Options struct {
	FS       vfs.FS // nil: the operating system's
	Dir      string // the server's working directory
	DirName  string // appenddirname
	FileName string // appendfilename
	// Post has a function run on the loop later. It is called from any goroutine.
	Post func(func())
	// PostSettled, if not nil, is Post for what takes snapshots: the function does not run in the middle of a change that is
	// fed later, as that of a script that has given others a turn.
	PostSettled func(func())
	// Go, if not nil, runs a function in a goroutine of its own, as a go statement does.
	Go   func(func())
	Logf func(level Level, format string, args ...any)
	Now  func() int64 // Unix ms; may be the clock that the loop keeps
	// Offset, if not nil, is the replication offset that what has been fed so far belongs to, for WAITAOF.
	Offset func() int64
	// Latency, if not nil, is called with how long calls of the disk on the loop took, under Redis's names of the events.
	Latency func(event string, d time.Duration)
}

// Settings are the directives that may change at any time.
type Settings struct {
	Fsync             Policy // appendfsync
	NoFsyncOnRewrite  bool   // no-appendfsync-on-rewrite
	Saving            bool   // a snapshot is being written by somebody else: counts as rewriting for NoFsyncOnRewrite
	Timestamps        bool   // aof-timestamp-enabled
	LoadTruncated     bool   // aof-load-truncated
	Preamble          bool   // aof-use-rdb-preamble
	IncrementalFsync  bool   // aof-rewrite-incremental-fsync
	DisableAutoGC     bool   // aof-disable-auto-gc
	RewritePercentage int    // auto-aof-rewrite-percentage
	RewriteMinSize    int64  // auto-aof-rewrite-min-size, bytes
}

// AOF is an append-only file. Make it with New.
type AOF struct {
	// Settings may be changed on the loop.
	Settings Settings

	opt      Options
	dir      folder
	shown    atomic.Pointer[folder] // dir, for Abandon
	manifest *Manifest
	state    State

	// What Feed writes to.
	buf     []byte
	feeding bool  // Feed is to write into buf
	db      int   // that the last command in the file is for; -1 for none
	inMulti bool  // between MULTI and EXEC
	stamped int64 // Unix second of the last annotation

	// The file that is written to; nil when off, or waiting without a rewrite.
	file   vfs.File
	name   string
	size   int64 // bytes in it
	asked  int64 // bytes of it that fsync has returned or been asked for
	synced int64 // when fsync was asked for last, Unix ms

	slow     int64 // since when writes meet an fsync that has not ended, Unix ms; 0 for not
	delayed  int64 // writes that met one for too long
	fsyncs   Fsyncs
	writeErr error // the last write failed
	tried    int64 // when, Unix ms
	logged   int64 // when that was logged, Unix ms
	fatal    *FatalError

	sync     syncer
	pending  int      // fsyncs of the current file under way
	behind   vfs.File // the file before the current one, while it is being forced to disk
	mark     int64    // Options.Offset up to which all is on the disk
	nextMark int64    // the same while waiting, reported when the state is on

	syncErr    error    // an fsync failed and what was in the file is not yet in another one
	suspect    []string // incremental files whose fsync failed
	recovering bool     // writes are refused since syncErr

	rewrite  *rewrite
	leaving  []*rewrite // stopped, and their goroutines are still writing bases
	rewrites int64      // started ever; the number is part of their temporary names
	stats    rewriteStats
	total    int64 // bytes of base and incremental files
	baseSize int64 // total when the last rewrite ended
}

// New makes an AOF that is off. ReadManifest comes next.
func New(o Options, s Settings) *AOF {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Offset == nil {
		o.Offset = func() int64 { return 0 }
	}
	a := &AOF{Settings: s, opt: o, manifest: new(Manifest), db: -1}
	a.setDir(o.Dir)
	a.sync.init(func() { o.Post(a.collect) })
	a.stats.init()
	return a
}

func (a *AOF) setDir(dir string) {
	root := filepath.Clean(dir)
	a.useDir(folder{fs: a.opt.FS, root: root, dir: filepath.Join(root, a.opt.DirName), name: a.opt.FileName, logf: a.opt.Logf,
		commit: new(sync.Mutex)})
}

func (a *AOF) useDir(d folder) {
	a.dir = d
	a.shown.Store(&d)
}

// Abandon removes the temporary files of a rewrite, for an exit of the process that waits for nothing else. It may be called
// from any goroutine, once. If the rewrite is putting its files in place, Abandon waits a second for it.
func (a *AOF) Abandon() {
	d := a.shown.Load()
	for range 100 {
		if d.commit.TryLock() { // for ever: no rewrite is to begin with it
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.removeTemps()
}

// ReadManifest reads what the folder has, as every start does, with the file switched on or not. An error has been logged
// and is the end of the start.
func (a *AOF) ReadManifest() error {
	m, err := a.dir.readManifest()
	if err == nil {
		a.manifest = m
	}
	return err
}

// State returns the state.
func (a *AOF) State() State { return a.state }

// Recovering reports whether writes are refused because fsync failed, until a rewrite has put the data elsewhere.
func (a *AOF) Recovering() bool { return a.recovering }

// Manifest returns the files that there are. It must not be changed.
func (a *AOF) Manifest() *Manifest { return a.manifest }

// Start opens the file for writing, after Load and before the loop runs. Where there is no file at all it makes a base of
// the data there is with writeBase. An error has been logged and is the end of the start.
func (a *AOF) Start(writeBase func(*BaseFile) error) error {
	if err := a.dir.make(); err != nil {
		return err
	}
	a.dir.removeTemps()
	m := a.manifest.clone()
	changed := false
	if m.Empty() {
		name := m.nextBase(a.dir.name, a.Settings.Preamble)
		size, err := a.baseOnStart(name, writeBase)
		if err != nil {
			return err
		}
		a.total, a.baseSize, changed = size, size, true
		a.opt.Logf(Notice, "Creating AOF base file %s on server start", name)
	}
	had := len(m.Incrs) > 0
	if !had {
		m.nextIncr(a.dir.name)
		changed = true
	}
	name := m.Incrs[len(m.Incrs)-1].Name
	f, err := a.dir.fs.Append(a.dir.path(name))
	if err != nil {
		a.opt.Logf(Warning, "Can't open the append-only file %s: %s", name, vfs.Text(err))
		return err
	}
	size, err := a.dir.fs.Size(a.dir.path(name))
	if err != nil {
		a.opt.Logf(Warning, "Unable to obtain the AOF file %s length. stat: %s", name, vfs.Text(err))
		f.Close()
		return err
	}
	// Clients see from now on what an earlier process wrote without an fsync.
	if err := f.Sync(); err != nil {
		a.opt.Logf(Warning, "Fail to fsync the AOF file: %s", vfs.Text(err))
		f.Close()
		return err
	}
	if changed {
		if _, err := a.dir.persist(m); err != nil {
			f.Close()
			return err
		}
	}
	a.manifest = m
	a.use(f, name, size)
	a.state, a.feeding = On, true
	a.synced = a.opt.Now()
	if had {
		a.opt.Logf(Notice, "Opening AOF incr file %s on server start", name)
	} else {
		a.opt.Logf(Notice, "Creating AOF incr file %s on server start", name)
	}
	if !a.Settings.DisableAutoGC {
		a.dir.dropHistory(a.manifest)
	}
	return nil
}

// baseOnStart writes the base file of an empty folder.
func (a *AOF) baseOnStart(name string, writeBase func(*BaseFile) error) (int64, error) {
	temp := a.dir.tempBase(0)
	b := &BaseFile{incremental: a.Settings.IncrementalFsync}
	if err := b.write(&a.dir, temp, writeBase); err != nil {
		a.opt.Logf(Warning, "Write error writing append only file on disk: %s", vfs.Text(err))
		return 0, err
	}
	if err := a.dir.fs.Rename(a.dir.path(temp), a.dir.path(name)); err != nil {
		a.opt.Logf(Warning, "Error moving temp append only file on the final destination: %s", vfs.Text(err))
		a.dir.remove(temp)
		return 0, err
	}
	return b.size, nil
}

// use makes f, of which size bytes are there and on the disk, the file that is written to.
func (a *AOF) use(f vfs.File, name string, size int64) {
	a.file, a.name, a.size, a.asked = f, name, size, size
	a.db, a.stamped, a.slow, a.pending = -1, 0, 0, 0
}

// Enable switches the file on at run time: from now on the state is waiting, and RewriteDue says so at once. dir is the
// server's working directory now. An error, which has been logged, leaves the file off.
func (a *AOF) Enable(dir string) error {
	if a.state != Off {
		return nil
	}
	old, manifest := a.dir, a.manifest
	if filepath.Clean(dir) != a.dir.root {
		a.setDir(dir)
		if err := a.ReadManifest(); err != nil {
			a.useDir(old)
			return err
		}
	}
	if err := a.Probe(); err != nil {
		a.useDir(old)
		a.manifest = manifest
		return err
	}
	if a.rewrite != nil {
		a.opt.Logf(Notice, "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and starting a rewrite now.")
		a.stopRewrite()
	}
	a.state = Waiting
	a.stats.scheduled = true
	a.mark, a.nextMark = 0, 0
	a.synced = a.opt.Now()
	return nil
}

// Probe checks, without forcing anything to disk, whether the files of a rewrite could be made now, so that BGREWRITEAOF does
// not reply that it has started a rewrite that fails right away. An error has been logged.
func (a *AOF) Probe() error {
	if a.rewrite != nil && a.rewrite.detached {
		return nil // it has made them
	}
	err := a.dir.probe()
	if err != nil {
		a.opt.Logf(Warning, "The append-only file can't be made in %s: %s", a.dir.dir, vfs.Text(err))
	}
	return err
}

// Moved is called when the server's working directory was renamed or moved: the files that were in from are in to now.
// Nothing happens if the files are in another directory.
func (a *AOF) Moved(from, to string) {
	if a.dir.root == filepath.Clean(from) {
		a.setDir(to)
	}
}

// Dir returns the server's working directory as far as the files know it.
func (a *AOF) Dir() string { return a.dir.root }

// Disable switches the file off at run time. What was fed is written and forced to disk before, as far as the disk lets.
func (a *AOF) Disable() {
	if a.state == Off {
		return
	}
	a.shut()
	a.state = Off
	a.stats.scheduled = false
	a.writeErr, a.syncErr, a.suspect, a.recovering, a.fatal = nil, nil, nil, false, nil
	a.mark = -1
}

// Close ends writing: what was fed is written and forced to disk, a rewrite is stopped. The error says that this could not
// be done, and has been logged. For the end of the server.
func (a *AOF) Close() error {
	err := a.shut()
	a.sync.wait()
	for _, w := range a.leaving {
		w.dir.remove(w.temp) // what is still written to it is lost with the process
	}
	a.state = Off
	return err
}

// StopRewrite ends a rewrite, if one is running, and does not restart it. It waits at most stopWait for a goroutine that is busy
// with the disk. It is for a shutdown that leaves the file as it is.
func (a *AOF) StopRewrite() { a.stopRewrite() }

func (a *AOF) shut() error {
	var err error
	if a.state == On {
		if e := a.Flush(true); e != nil {
			err = e
		}
	}
	// Only then: until the old chain is complete, a rewrite that is just finishing is what the manifest names.
	a.stopRewrite()
	if a.file != nil {
		if err == nil && len(a.buf) > 0 {
			err = a.writeErr
		}
		if e := a.file.Sync(); e != nil {
			a.opt.Logf(Warning, "Fail to fsync the AOF file: %s", vfs.Text(e))
			if err == nil {
				err = e
			}
		}
		a.sync.add(job{file: a.file, name: a.name, close: true})
	}
	a.file, a.buf, a.feeding, a.inMulti = nil, nil, false, false
	return err
}
