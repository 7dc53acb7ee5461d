package aof

// From the buffer to the disk.
//
// Flush runs in the flush phase, after a round's commands and before the replies that wait for it go out. It writes the
// buffer with one write(2). Then, by appendfsync:
//
//	always    fsync on the loop. All commands of the round share it; requests that arrive meanwhile share the next one. (An
//	          fsync in a goroutine that reports through Post was measured, BenchmarkGroupCommit: 19 to 26 µs a request of
//	          50 clients instead of 12 to 19, since it splits one group into two. And other clients could read changes
//	          meanwhile that a power failure may undo.)
//	everysec  the syncer calls fsync once a second. The buffer is also written while an fsync runs: what write(2) has taken
//	          survives the end of the process, and replies are sent after it. (Redis waits up to 2 s for the fsync to end,
//	          since write(2) may block meanwhile, and a kill loses the buffer. Measured on ext4, fsyncs of 8 to 17 ms: a
//	          write during one takes 10 µs at the median, 2.5 ms at p99, 6.9 ms at most.) A write later than 2 s after
//	          the begin of an fsync that has not ended counts as delayed (aof_delayed_fsync).
//	no        no fsync.
//
// After a rewrite has switched to a new incremental file, the buffer and the replies wait until the old file is on the disk
// (Postponed). Otherwise a power failure could leave later changes without earlier ones, and the loader would not notice. After
// 2 s the buffer is written all the same, and the write counts as delayed. (Under always the old file is on the disk by then.)
//
// The syncer is one goroutine at a time that works off a queue of jobs, so that files are forced to disk in the order in
// which they were written. Results come back through Post (collect).
//
// # When write fails
//
// Mostly the disk is full. The file is truncated to its size before the write, so that it ends with a whole command. The buffer
// is kept, write commands get MISCONF errors (Refusal), and the write is retried each second until it succeeds. Under always the
// server can neither send the replies to the buffered commands nor undo them: it must stop (FatalError), as Redis does.
//
// # When fsync fails
//
// The kernel may have dropped the pages that it could not write, and reports the error only once: a later fsync without an error
// proves nothing. So the file is never written to again. Under always every acknowledged change is on the disk: the server
// stops, and a restart loads all of them. Under everysec the state becomes waiting: nothing is written, write commands get
// MISCONF errors, and a rewrite writes the data in memory to a new base and incremental file. When these are in the manifest,
// writes are accepted again. If the failed file is an older one that a running rewrite is about to replace, write commands
// only get errors until that rewrite has succeeded.

import (
	"fmt"
	"sync"
	"time"

	"ferrous/rdb/vfs"
)

// FatalError is an error after which the server must log it and stop at once, without sending replies: the changes that they
// would acknowledge are not on the disk.
type FatalError struct {
	Text  string // the line for the log, in the words of Redis
	Cause error
}

func (e *FatalError) Error() string { return e.Text }
func (e *FatalError) Unwrap() error { return e.Cause }

const (
	syncEvery    = 1000   // ms between two fsyncs of everysec
	postponeMost = 2000   // ms of an fsync after which writes do not wait for it, and count as delayed
	retryEvery   = 1000   // ms between two tries of a write that failed
	logEvery     = 30_000 // ms between two lines about it
)

// Flush writes the buffer. With force it writes even if an fsync of the file before or an earlier failure is a reason to wait.
// The error is a *FatalError; other failures are in Refusal. If there is nothing to do it costs a few comparisons.
func (a *AOF) Flush(force bool) error {
	if a.fatal != nil {
		return a.fatal
	}
	if a.rewrite != nil && a.rewrite.held && !a.inMulti {
		a.rewrite.held = false
		a.step(a.rewrite)
	}
	return a.flush(force)
}

// flush returns nil as an interface where there is no error, which Flush relies on.
func (a *AOF) flush(force bool) error {
	if a.file == nil || len(a.buf) == 0 && a.asked == a.size {
		return nil
	}
	now := a.opt.Now()
	if len(a.buf) > 0 {
		if a.writeErr != nil && !force && now >= a.tried && now-a.tried < retryEvery {
			return nil
		}
		switch {
		case a.Settings.Fsync != FsyncAlways && a.behind != nil:
			if late := a.late(now); !late && !force {
				return nil
			}
			a.behind = nil
		case a.Settings.Fsync == FsyncEverysec && a.pending > 0:
			a.late(now)
		default:
			a.slow = 0
		}
		if ok := a.write(now); !ok {
			return a.fatalOrNil()
		}
	}
	a.fsync(now)
	return a.fatalOrNil()
}

// late reports whether an fsync has been running for too long to wait for it, and logs that.
func (a *AOF) late(now int64) bool {
	if a.slow == 0 || now < a.slow {
		a.slow = now
	}
	if now-a.slow < postponeMost {
		return false
	}
	a.slow = 0
	a.delayed++
	a.opt.Logf(Notice, "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down the server.")
	return true
}

// Postponed reports whether Flush has kept the buffer until the file before the current one is on the disk. Replies wait until
// the buffer is written, which a function posted through Options.Post may do.
func (a *AOF) Postponed() bool {
	return len(a.buf) > 0 && a.behind != nil && a.state == On && a.Settings.Fsync != FsyncAlways && a.writeErr == nil
}

func (a *AOF) fatalOrNil() error {
	if a.fatal != nil {
		return a.fatal
	}
	return nil
}

// write writes the buffer.
func (a *AOF) write(now int64) bool {
	var began time.Time
	if a.opt.Latency != nil {
		began = time.Now()
	}
	n, err := a.file.Write(a.buf)
	if a.opt.Latency != nil {
		took := time.Since(began)
		event := "aof-write-alone"
		if a.pending > 0 {
			event = "aof-write-pending-fsync"
		} else if a.Settings.Saving || a.rewrite != nil {
			event = "aof-write-active-child"
		}
		a.opt.Latency(event, took)
		a.opt.Latency("aof-write", took)
	}
	if err != nil {
		a.writeFailed(n, err, now)
		return false
	}
	if a.writeErr != nil {
		a.opt.Logf(Warning, "AOF write error looks solved, the server can write again.")
		a.writeErr = nil
	}
	a.wrote(n)
	if cap(a.buf) > keepBuffer {
		a.buf = nil
	} else {
		a.buf = a.buf[:0]
	}
	return true
}

func (a *AOF) wrote(n int) {
	a.size += int64(n)
	a.total += int64(n)
}

// writeFailed undoes a write of which n bytes arrived.
func (a *AOF) writeFailed(n int, err error, now int64) {
	log := a.writeErr == nil || now-a.logged > logEvery || now < a.logged
	if log {
		a.logged = now
		if n == 0 {
			a.opt.Logf(Warning, "Error writing to the AOF file: %s", vfs.Text(err))
		} else {
			a.opt.Logf(Warning, "Short write while writing to the AOF file: (nwritten=%d, expected=%d)", n, len(a.buf))
		}
	}
	if n > 0 {
		if e := a.file.Truncate(a.size); e != nil {
			if log {
				a.opt.Logf(Warning, "Could not remove short write from the append-only file.  The server may refuse to load the AOF the next time it starts.  ftruncate: %s", vfs.Text(e))
			}
			// The bytes that were written stay in the file; the next write continues behind them.
			a.wrote(n)
			a.buf = a.buf[:copy(a.buf, a.buf[n:])]
		}
	}
	a.writeErr, a.tried = err, now
	if a.Settings.Fsync == FsyncAlways && a.state == On {
		a.die(err, "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...")
	}
}

func (a *AOF) die(cause error, format string, args ...any) {
	if a.fatal == nil {
		a.fatal = &FatalError{Text: fmt.Sprintf(format, args...), Cause: cause}
	}
}

// fsync forces what was written to disk, if the policy says that it is time.
func (a *AOF) fsync(now int64) {
	if a.asked == a.size || a.Settings.NoFsyncOnRewrite && (a.Settings.Saving || a.rewrite != nil) {
		return
	}
	switch a.Settings.Fsync {
	case FsyncAlways:
		if a.state != On {
			return // no manifest names the file yet: it is forced to disk before one does
		}
		began := time.Now()
		if err := a.file.Sync(); err != nil {
			a.die(err, "Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. Exiting...", vfs.Text(err))
			// No reply has acknowledged the bytes behind asked. After a power failure the disk may have any bytes in their place,
			// with which the next start would fail. So they are truncated if possible.
			if a.file.Truncate(a.asked) == nil {
				a.file.Sync()
			}
			return
		}
		took := time.Since(began)
		a.fsyncs.add(took)
		if a.opt.Latency != nil {
			a.opt.Latency("aof-fsync-always", took)
		}
		a.asked, a.synced = a.size, now
		a.mark = a.opt.Offset()
	case FsyncEverysec:
		if a.pending > 0 || now-a.synced < syncEvery && now >= a.synced {
			return
		}
		a.pending++
		a.asked, a.synced = a.size, now
		a.sync.add(job{file: a.file, name: a.name, sync: true, mark: a.opt.Offset()})
	}
}

// Sync writes what was fed and forces it to disk while the caller waits, whatever the policy. The error is Flush's: another
// failure has the consequences that the head of this file describes.
func (a *AOF) Sync() error {
	if err := a.Flush(true); err != nil || a.state != On || a.file == nil {
		return err
	}
	j := job{file: a.file, name: a.name, mark: a.opt.Offset()}
	a.asked, a.synced = a.size, a.opt.Now()
	j.err = a.file.Sync()
	switch {
	case j.err != nil:
		a.fsyncFailed(j)
	case len(a.buf) == 0 && a.pending == 0 && a.behind == nil: // the kernel reports a failure only once: perhaps the syncer
		a.fsynced(j.mark)
	}
	return a.fatalOrNil()
}

// HoldReplies reports whether replies to commands that were fed must wait until Flush has returned without an error: the
// policy is always, and there is a file to wait for.
func (a *AOF) HoldReplies() bool {
	return a.state == On && a.Settings.Fsync == FsyncAlways
}

// Tick is called some ten times a second. It does what is due without a new command: a flush that was postponed or has
// failed, and the fsync of the last write. The error is Flush's.
func (a *AOF) Tick() error { return a.Flush(false) }

// misconf is the error of write commands, before its reason.
const misconf = "MISCONF Errors writing to the AOF file: "

// Failure returns why the buffer cannot be written, "" if it can.
func (a *AOF) Failure() string {
	switch {
	case a.state == Off:
		return ""
	case a.writeErr != nil:
		return vfs.Text(a.writeErr)
	case a.recovering:
		return vfs.Text(a.syncErr)
	}
	return ""
}

// Refusal returns the error reply for write commands, "" if they are accepted.
func (a *AOF) Refusal() string {
	if why := a.Failure(); why != "" {
		return misconf + why
	}
	return ""
}

// FsyncedOffset is the Options.Offset up to which all that was fed is on the disk; 0 while that is not known, -1 when the
// file is off.
func (a *AOF) FsyncedOffset() int64 {
	if a.state == Off {
		return -1
	}
	return a.mark
}

// fsynced is called by the syncer when a file is on the disk.
func (a *AOF) fsynced(mark int64) {
	if a.state == Waiting || a.recovering {
		a.nextMark = max(a.nextMark, mark) // the chain has a hole until the rewrite has ended
	} else if a.state == On {
		a.mark = max(a.mark, mark)
	}
}

// fsyncFailed handles the failed fsync of a file. The syncer reports it.
func (a *AOF) fsyncFailed(j job) {
	current := a.file != nil && j.file == a.file
	if a.state == Off || !current && !a.manifest.listed(j.name) {
		a.opt.Logf(Warning, "Fail to fsync the AOF file: %s", vfs.Text(j.err))
		return
	}
	a.syncErr = j.err
	switch {
	case a.Settings.Fsync == FsyncAlways && a.state == On:
		a.die(j.err, "Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. Exiting...", vfs.Text(j.err))
	case !current:
		a.opt.Logf(Warning, "Fail to fsync the AOF file %s: %s. Writes are refused until a rewrite has replaced it.", j.name, vfs.Text(j.err))
		a.suspect = append(a.suspect, j.name)
		a.recovering = true
		a.stats.scheduled = a.stats.scheduled || a.rewrite == nil
	default:
		a.opt.Logf(Warning, "Fail to fsync the AOF file %s: %s. It is not written to any more, and writes are refused until the data is in a new one.", j.name, vfs.Text(j.err))
		a.recovering = true
		a.distrust()
	}
}

// distrust ends the use of the current file: its contents on the disk are not known.
func (a *AOF) distrust() {
	a.stopRewrite() // its incremental file is the current one, or it is about to leave the manifest as it is
	if a.file != nil {
		a.sync.add(job{file: a.file, name: a.name, close: true})
	}
	a.file, a.buf, a.feeding = nil, nil, false
	a.writeErr = nil
	a.nextMark = 0
	a.state = Waiting
	a.stats.scheduled = true
}

// job is what the syncer is to do with a file.
type job struct {
	file  vfs.File
	name  string
	sync  bool
	close bool // afterwards
	mark  int64
	err   error
	took  time.Duration // of fsync
}

// syncer runs jobs one after the other in a goroutine that ends when there are none.
type syncer struct {
	post func() // has collect called on the loop

	mu    sync.Mutex
	idle  sync.Cond
	queue []job
	done  []job
	busy  bool
}

func (s *syncer) init(post func()) {
	s.post = post
	s.idle.L = &s.mu
}

func (s *syncer) add(j job) {
	s.mu.Lock()
	s.queue = append(s.queue, j)
	start := !s.busy
	s.busy = true
	s.mu.Unlock()
	if start {
		go s.run()
	}
}

func (s *syncer) run() {
	s.mu.Lock()
	for len(s.queue) > 0 {
		j := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		if j.sync {
			began := time.Now()
			j.err = j.file.Sync()
			j.took = time.Since(began)
		}
		if j.close {
			if err := j.file.Close(); j.sync && j.err == nil {
				j.err = err
			}
		}
		s.mu.Lock()
		if j.sync {
			s.done = append(s.done, j)
			s.mu.Unlock()
			s.post()
			s.mu.Lock()
		}
	}
	s.busy = false
	s.idle.Broadcast()
	s.mu.Unlock()
}

// wait returns when nothing is left to do.
func (s *syncer) wait() {
	s.mu.Lock()
	for s.busy {
		s.idle.Wait()
	}
	s.mu.Unlock()
}

func (s *syncer) take() []job {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.done
	s.done = nil
	return done
}

// collect is posted by the syncer.
func (a *AOF) collect() {
	for _, j := range a.sync.take() {
		if j.file == a.file {
			a.pending--
		}
		if j.close && j.file == a.behind {
			a.behind = nil
		}
		if j.err != nil {
			a.fsyncFailed(j)
		} else {
			a.fsyncs.add(j.took)
			a.fsynced(j.mark)
		}
	}
	if a.pending == 0 && a.behind == nil && a.fatal == nil {
		a.slow = 0
		a.flush(false) // Tick reports an error
	}
}

// pending returns how many jobs there are.
func (s *syncer) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.queue)
	if s.busy {
		n++
	}
	return n
}
