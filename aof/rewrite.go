package aof

// A rewrite replaces all files by a new base, which has the data of one moment, and a new incremental file, which gets the
// changes from that moment on. It has four phases. Each but switch is a goroutine that ends with a Post:
//
//	prepare   make the incremental file, empty, and put it into the manifest behind the others
//	switch    on the loop: write the rest of the buffer to the old file, take the snapshot, go on in the new file. The old
//	          file is forced to disk and closed by the syncer
//	base      write the snapshot into a temporary file, force it to disk
//	finish    rename it to its name, and put a manifest in place that has it as the base, with the new incremental file
//	          behind it, and all others as history; then delete those
//
// So at each moment the manifest names a chain that makes the data: the old base and all incremental files, the new and
// empty one among them, or the new base and the new incremental file. Stopping between any two steps leaves at most files
// that no manifest names. The loop waits for none of it but the switch, which is one write and what taking a snapshot costs;
// the manifest is forced to disk before, unlike in Redis, whose clients wait for that.
//
// A rewrite that is detached (state waiting) has no chain that its incremental file could continue. The file gets a temporary
// name, the manifest stays as it is until finish, and the phase finish renames both files.
//
// With the file off, BGREWRITEAOF writes a base only: prepare makes nothing, and finish makes all else history.
//
// Stopping: between phases only the manifest shows anything of a rewrite. If the base is being written, stop is closed, which the
// goroutine's next write sees; the loop waits for the goroutine no longer than stopWait, since it may hang at the disk. If prepare
// or finish runs, the loop waits until it has ended. Done is called once in any case, when no goroutine of the rewrite is left:
// only then its snapshot is released, and another save may begin.
//
// # When it fails
//
// The old chain with the new incremental file behind it stays in use. The next automatic rewrite is due at once; after three
// failures in a row it waits a minute, then two, four and so on up to an hour. (While writes are refused for a failed fsync: a
// minute at most.) BGREWRITEAOF never waits.

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"ferrous/rdb/vfs"
)

// The errors of rewriting.
var (
	ErrRewriting = errors.New("a rewrite of the append-only file is running")
	ErrStopped   = errors.New("the rewrite of the append-only file was stopped")
	errPending   = errors.New("what is in the buffer cannot be written to the append-only file")
)

// Rewrite is what the caller does in a rewrite.
type Rewrite struct {
	// Snapshot is called on the loop, outside of any MULTI, at the moment from which on changes go to the new file. It takes
	// a snapshot and returns what writes it, which runs in a goroutine.
	Snapshot func() (write func(*BaseFile) error, err error)
	// Done is called on the loop once when all is over: nil for success. The snapshot may be released then, at the latest.
	Done func(err error)
}

// phase is where a rewrite is.
type phase int

const (
	preparing phase = iota
	writing
	finishing
)

// rewrite is a rewrite in progress. While a phase's goroutine runs it owns the fields from err on, else the loop does.
type rewrite struct {
	Rewrite
	phase    phase
	detached bool
	baseOnly bool
	preamble bool
	over     bool // stopped or failed: the next step only removes the files
	held     bool // prepared, but between MULTI and EXEC
	started  int64
	dir      folder
	temp     string        // of the base
	stop     chan struct{} // closed to stop it
	ended    chan struct{} // closed when the goroutine of the phase has ended

	err      error
	file     vfs.File // incremental file
	name     string
	base     BaseFile
	manifest *Manifest // the manifest that the phase writes
	visible  bool      // it has replaced the old one
}

// rewriteStats has the counters of past rewrites and the time of the next one.
type rewriteStats struct {
	scheduled bool
	count     int64 // started
	failures  int   // in a row
	lastErr   error
	lastTook  int64 // ms, -1 if none
	delay     int64 // minutes, of the last limit
	notBefore int64 // Unix ms, 0 for no limit
}

func (s *rewriteStats) init() { s.lastTook = -1 }

// The limit after failures: from limitFailures of them in a row on, rewrites begin by themselves a minute after the last one,
// then two, four …, limitMost at most.
const (
	limitFailures = 3
	limitMost     = 60 // minutes
	limitRefusing = 1  // minutes, while writes are refused
)

// heldBack reports whether automatic rewrites wait because the last ones have failed.
func (a *AOF) heldBack() bool {
	s := &a.stats
	if s.failures < limitFailures {
		s.delay, s.notBefore = 0, 0
		return false
	}
	now := a.opt.Now()
	if s.notBefore != 0 {
		if now < s.notBefore {
			return true
		}
		s.notBefore = 0
		return false
	}
	s.delay = min(max(1, 2*s.delay), limitMost)
	if a.recovering {
		s.delay = limitRefusing
	}
	s.notBefore = now + s.delay*60_000
	a.opt.Logf(Warning, "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in %d minutes", s.delay)
	return true
}

// Schedule makes RewriteDue true as soon as possible, for a BGREWRITEAOF while another save is in progress.
func (a *AOF) Schedule() {
	a.stats.scheduled = true
	a.stats.failures = 0
}

// RewriteDue reports whether a rewrite is due: one was scheduled, or the files have grown by auto-aof-rewrite-percentage. The
// cron calls it while no other save is in progress, and then calls StartRewrite.
func (a *AOF) RewriteDue() bool {
	if a.rewrite != nil || a.fatal != nil {
		return false
	}
	if a.stats.scheduled {
		return !a.heldBack()
	}
	s := &a.Settings
	if a.state != On || s.RewritePercentage <= 0 || a.total <= s.RewriteMinSize {
		return false
	}
	growth := a.total/max(a.baseSize, 1)*100 + a.total%max(a.baseSize, 1)*100/max(a.baseSize, 1) - 100
	if growth < int64(s.RewritePercentage) || a.heldBack() {
		return false
	}
	a.opt.Logf(Notice, "Starting automatic rewriting of AOF on %d%% growth", growth)
	return true
}

// Rewriting reports whether a rewrite is running.
func (a *AOF) Rewriting() bool { return a.rewrite != nil }

// StartRewrite begins a rewrite. With an error nothing has begun, and Done is not called. Snapshot is called later, when
// the files are prepared: the caller must not begin another snapshot that would forbid this one.
func (a *AOF) StartRewrite(r Rewrite) error {
	if a.rewrite != nil {
		return ErrRewriting
	}
	if a.fatal != nil {
		return a.fatal
	}
	if a.state == On && a.writeErr != nil {
		a.stats.failures++
		a.stats.lastErr = errPending
		a.opt.Logf(Warning, "Can't rewrite append only file in background: %s", errPending)
		return errPending
	}
	w := &rewrite{
		Rewrite:  r,
		detached: a.state == Waiting,
		baseOnly: a.state == Off,
		preamble: a.Settings.Preamble,
		started:  a.opt.Now(),
		stop:     make(chan struct{}),
		ended:    make(chan struct{}),
		manifest: a.manifest.clone(),
	}
	a.stats.count++
	a.stats.scheduled = false
	a.rewrites++
	w.dir = a.dir
	w.temp = w.dir.tempBase(a.rewrites)
	w.base.incremental = a.Settings.IncrementalFsync
	w.base.stop = w.stop
	a.rewrite = w
	dir := a.dir
	a.run(w, func() { w.prepare(&dir) })
	return nil
}

// run has a phase's work done in a goroutine.
func (a *AOF) run(w *rewrite, work func()) {
	post := a.opt.Post
	if w.phase == preparing && a.opt.PostSettled != nil {
		post = a.opt.PostSettled // the snapshot follows
	}
	ended := make(chan struct{})
	w.ended = ended
	do := func() {
		work()
		close(ended)
		post(func() { a.step(w) })
	}
	if a.opt.Go != nil {
		a.opt.Go(do)
	} else {
		go do()
	}
}

// prepare makes the new incremental file.
func (w *rewrite) prepare(dir *folder) {
	if w.err = dir.make(); w.err != nil || w.baseOnly {
		return
	}
	w.name = dir.tempIncr()
	if !w.detached {
		w.name = w.manifest.nextIncr(dir.name)
	}
	// An older file of that name, left by a crash, must be empty before a manifest names it, and appending to this one must
	// work when a short write was cut off.
	f, err := dir.fs.Create(dir.path(w.name))
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		f, err = dir.fs.Append(dir.path(w.name))
	}
	if err != nil {
		w.err = err
		dir.logf(Warning, "Can't open the append-only file %s: %s", w.name, vfs.Text(err))
		return
	}
	if !w.detached {
		if w.visible, w.err = dir.persist(w.manifest); w.err != nil {
			f.Close()
			if !w.visible {
				dir.remove(w.name)
			}
			return
		}
	}
	w.file = f
}

// step begins the next phase. It is called when a phase's goroutine has ended.
func (a *AOF) step(w *rewrite) {
	if w.over {
		a.clean(w)
		return
	}
	switch w.phase {
	case preparing:
		a.prepared(w)
	case writing:
		a.baseWritten(w)
	case finishing:
		a.finished(w)
	}
}

// prepared is the switch.
func (a *AOF) prepared(w *rewrite) {
	if w.err == nil && a.inMulti {
		w.held = true // Flush comes back
		return
	}
	a.adopt(w)
	if w.err == nil {
		w.err = a.switchFile(w)
	}
	var write func(*BaseFile) error
	if w.err == nil {
		write, w.err = w.Snapshot()
	}
	if w.err != nil {
		a.opt.Logf(Warning, "Can't rewrite append only file in background: %s", vfs.Text(w.err))
		a.failed(w)
		return
	}
	a.opt.Logf(Notice, "Background append only file rewriting started")
	w.phase = writing
	dir := a.dir
	a.run(w, func() { w.err = w.base.write(&dir, w.temp, write) })
}

// adopt takes the manifest that a phase has put in place.
func (a *AOF) adopt(w *rewrite) {
	if w.visible {
		a.manifest, w.visible = w.manifest, false
	}
}

// switchFile makes the new incremental file the current one.
func (a *AOF) switchFile(w *rewrite) error {
	if w.baseOnly {
		return nil
	}
	if !w.detached {
		if err := a.flush(true); err != nil {
			return err
		}
		// An empty file behind the current one does no harm. But later changes must not be written to it while the buffer,
		// which belongs to the old file, was not written.
		if len(a.buf) > 0 {
			return errPending
		}
		j := job{file: a.file, name: a.name, sync: a.asked != a.size || a.pending > 0, close: true, mark: a.opt.Offset()}
		if j.sync {
			a.behind = a.file
		}
		a.sync.add(j)
		a.synced = a.opt.Now()
	}
	a.use(w.file, w.name, 0)
	w.file = nil
	a.buf = a.buf[:0]
	a.feeding = true
	a.nextMark = a.opt.Offset() // the new base has all up to here
	a.writeErr = nil
	a.opt.Logf(Notice, "Creating AOF incr file %s on background rewrite", w.name)
	return nil
}

// baseWritten begins to finish.
func (a *AOF) baseWritten(w *rewrite) {
	if w.err != nil {
		a.opt.Logf(Warning, "Background AOF rewrite terminated with error: %s", vfs.Text(w.err))
		a.failed(w)
		return
	}
	a.opt.Logf(Notice, "Background AOF rewrite terminated with success")
	w.phase = finishing
	w.manifest = a.manifest.clone()
	base := w.manifest.nextBase(a.dir.name, w.preamble)
	incr := ""
	switch {
	case w.baseOnly:
		w.manifest.retire("")
	case w.detached:
		w.manifest.retire("")
		incr = w.manifest.nextIncr(a.dir.name)
	default:
		w.manifest.retire(a.name)
	}
	dir, file, gc := a.dir, a.file, !a.Settings.DisableAutoGC
	a.run(w, func() { w.finish(&dir, base, incr, file, gc) })
}

// finish puts the new base in place, and for a detached rewrite the incremental file under the name incr. file is the
// current one.
func (w *rewrite) finish(dir *folder, base, incr string, file vfs.File, gc bool) {
	dir.commit.Lock()
	defer dir.commit.Unlock()
	move := func(from, to, what string) bool {
		if w.err = dir.fs.Rename(dir.path(from), dir.path(to)); w.err != nil {
			dir.logf(Warning, "Error trying to rename the temporary AOF %s file %s into %s: %s", what, from, to, vfs.Text(w.err))
			return false
		}
		dir.logf(Notice, "Successfully renamed the temporary AOF %s file %s into %s", what, from, to)
		return true
	}
	if !move(w.temp, base, "base") {
		return
	}
	if incr != "" {
		if w.err = file.Sync(); w.err != nil {
			dir.logf(Warning, "Fail to fsync the AOF file: %s", vfs.Text(w.err))
		}
		if w.err != nil || !move(w.name, incr, "incr") {
			dir.remove(base)
			return
		}
		w.name = incr
	}
	if w.visible, w.err = dir.persist(w.manifest); !w.visible {
		dir.remove(base)
		if incr != "" {
			dir.remove(incr)
		}
		return
	}
	// If the folder could not be forced to disk the old list may come back, so its files stay until the next rewrite.
	if w.err == nil && gc {
		dir.dropHistory(w.manifest)
	}
	w.err = nil
}

// finished ends a rewrite.
func (a *AOF) finished(w *rewrite) {
	if !w.visible {
		a.failed(w)
		return
	}
	a.adopt(w)
	a.total = w.base.size + a.size
	if w.baseOnly {
		a.total = w.base.size
	}
	a.baseSize = a.total
	if w.detached {
		a.name = w.name
		a.state = On
		a.mark = a.nextMark
	}
	left := a.suspect[:0]
	for _, name := range a.suspect {
		if a.manifest.listed(name) {
			left = append(left, name)
		}
	}
	a.suspect = left
	if a.recovering && len(left) == 0 {
		a.recovering, a.syncErr = false, nil
		a.mark = max(a.mark, a.nextMark)
		a.opt.Logf(Warning, "The data is in a new append-only file, the server can write again.")
	}
	a.stats.failures, a.stats.lastErr = 0, nil
	a.opt.Logf(Notice, "Background AOF rewrite finished successfully")
	a.end(w, nil)
}

// failed ends a rewrite after an error.
func (a *AOF) failed(w *rewrite) {
	a.stats.failures++
	a.stats.lastErr = w.err
	err := w.err
	a.clean(w)
	a.dropDetached(w)
	a.end(w, err)
	if a.state == Waiting || a.recovering {
		a.stats.scheduled = true
	}
}

// clean removes the files of a rewrite that was stopped or has failed, and that has no goroutine any more.
func (a *AOF) clean(w *rewrite) {
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	if w.phase != preparing {
		w.dir.remove(w.temp)
	}
	a.leaving = slices.DeleteFunc(a.leaving, func(l *rewrite) bool { return l == w })
	if w.over && w.Done != nil {
		done := w.Done
		w.Done = nil
		done(ErrStopped)
	}
}

// dropDetached removes the temporary incremental file and stops feeding.
func (a *AOF) dropDetached(w *rewrite) {
	if !w.detached || a.state != Waiting {
		return
	}
	if a.file != nil {
		a.sync.add(job{file: a.file, name: a.name, close: true})
		a.file, a.feeding = nil, false
		a.buf = a.buf[:0]
		a.writeErr = nil
	}
	a.opt.Logf(Notice, "Removing the temp incr aof file %s in the background", a.dir.tempIncr())
	a.dir.remove(a.dir.tempIncr())
}

// end forgets the rewrite and calls the caller's function.
func (a *AOF) end(w *rewrite, err error) {
	a.rewrite = nil
	a.stats.lastTook = a.opt.Now() - w.started
	if done := w.Done; done != nil {
		w.Done = nil
		done(err)
	}
}

// stopWait is how long the loop waits for the goroutine that writes a base after it has stopped the rewrite.
const stopWait = 100 * time.Millisecond

// stopRewrite ends a rewrite that is running. Its Done is called with ErrStopped when its goroutine has ended, unless the
// rewrite was finishing, which it is given the time to do.
func (a *AOF) stopRewrite() {
	w := a.rewrite
	if w == nil {
		return
	}
	close(w.stop)
	ended := true
	if w.phase == writing {
		select {
		case <-w.ended:
		case <-time.After(stopWait):
			ended = false
		}
	} else {
		<-w.ended
	}
	w.over = true // the step that was posted, if it was, finds nothing to do
	if w.phase == finishing {
		a.finished(w)
		return
	}
	a.adopt(w)
	a.opt.Logf(Notice, "Killing running AOF rewrite child: goroutine %d", a.rewrites)
	a.dropDetached(w)
	a.rewrite = nil
	a.stats.lastTook = a.opt.Now() - w.started
	if ended {
		a.clean(w)
		return
	}
	a.opt.Logf(Notice, "The rewrite that was stopped is still busy with the disk. It ends by itself.")
	a.leaving = append(a.leaving, w) // step cleans
}

// BaseFile is a base file being written. It belongs to the goroutine that writes it.
type BaseFile struct {
	f           vfs.File
	stop        <-chan struct{}
	size        int64
	synced      int64
	incremental bool
}

// syncBytes is the number of bytes after which a growing base file is forced to disk (aof-rewrite-incremental-fsync), so that
// the disk has no long queue at the end which would delay the fsync of the incremental file.
const syncBytes = 4 << 20

// Stop returns a channel that is closed when the rewrite was stopped; nil if it cannot be stopped.
func (b *BaseFile) Stop() <-chan struct{} { return b.stop }

func (b *BaseFile) stopped() bool {
	select {
	case <-b.stop:
		return true
	default:
		return false
	}
}

// Stopped returns ErrStopped once the rewrite was stopped.
func (b *BaseFile) Stopped() error {
	if b.stopped() {
		return ErrStopped
	}
	return nil
}

// writeMost is the most that one write(2) gets, because a system call that has begun cannot be stopped.
const writeMost = 1 << 20

// Write appends. Pieces should be large: each is a write(2), or several.
func (b *BaseFile) Write(p []byte) (n int, err error) {
	for first := true; first || n < len(p) && err == nil; first = false {
		if err = b.Stopped(); err != nil {
			return n, err
		}
		m := 0
		m, err = b.f.Write(p[n:min(len(p), n+writeMost)])
		n += m
		b.size += int64(m)
		if err == nil && b.incremental && b.size-b.synced >= syncBytes {
			b.synced = b.size
			err = b.f.Sync()
		}
	}
	return n, err
}

// WriteAt overwrites what was written (rdb.Options.Patch).
func (b *BaseFile) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > b.size {
		return 0, fmt.Errorf("aof: WriteAt(%d, %d bytes) outside of the %d bytes written", off, len(p), b.size)
	}
	return b.f.WriteAt(p, off)
}

// Size returns how many bytes were written.
func (b *BaseFile) Size() int64 { return b.size }

// write makes the file under a temporary name, complete and on the disk, or not at all.
func (b *BaseFile) write(dir *folder, temp string, fill func(*BaseFile) error) error {
	f, err := dir.fs.Create(dir.path(temp))
	if err != nil {
		return err
	}
	b.f = f
	err = fill(b)
	if err == nil && b.stopped() {
		err = ErrStopped
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		dir.remove(temp)
		return err
	}
	dir.logf(Notice, "Successfully created the temporary AOF base file %s", temp)
	return nil
}
