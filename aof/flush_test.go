package aof

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/rdb/memfs"
)

const incr1 = "appendonly.aof.1.incr.aof"

// failing returns an Inject that fails the steps of a kind on files whose name ends so, while *on.
func failing(on *bool, op memfs.Op, suffix string, fault memfs.Fault) func(memfs.Op, string, int) *memfs.Fault {
	return func(o memfs.Op, name string, size int) *memfs.Fault {
		if *on && o == op && strings.HasSuffix(name, suffix) {
			f := fault
			return &f
		}
		return nil
	}
}

func count(fs *memfs.FS, step string) int {
	n := 0
	for _, s := range fs.Log() {
		if s == step {
			n++
		}
	}
	return n
}

// TestSpace: writes are refused while there is no space, what was fed is kept, and all goes on when there is space again.
func TestSpace(t *testing.T) {
	for _, policy := range []Policy{FsyncEverysec, FsyncNo} {
		fs := memfs.New()
		r := newRig(t, fs, settings(policy))
		r.mustStart()
		r.add(0)
		if err := r.Flush(false); err != nil {
			t.Fatal(err)
		}
		whole := r.file(incr1)
		fs.SetSpace(5)
		r.add(0)
		r.now += 10
		if err := r.Flush(false); err != nil {
			t.Fatal(err)
		}
		if got := r.Refusal(); got != "MISCONF Errors writing to the AOF file: No space left on device" {
			t.Errorf("refusal %q", got)
		}
		if r.file(incr1) != whole {
			t.Error("the file does not end with a whole command")
		}
		if r.Info().LastWriteOK || !r.logged("Short write while writing to the AOF file: (nwritten=5") {
			t.Error("not told")
		}
		fs.SetSpace(0)
		steps := fs.Steps()
		r.add(0)
		r.now += retryEvery - 1
		r.Flush(false)
		if fs.Steps() != steps {
			t.Error("tried again too soon")
		}
		if err := r.StartRewrite(Rewrite{}); err == nil {
			t.Error("a rewrite began while the buffer cannot be written")
		}
		r.now++
		if err := r.Tick(); err != nil || fs.Steps() == steps {
			t.Error("not tried again", err)
		}
		r.now += 30_001
		r.Tick()
		if !r.logged("Error writing to the AOF file: No space left on device") {
			t.Error("not logged again after half a minute")
		}
		fs.SetSpace(-1)
		r.now += 1000
		if err := r.Tick(); err != nil || r.Refusal() != "" || !r.logged("AOF write error looks solved") {
			t.Error("not recovered", err, r.Refusal())
		}
		r.settle()
		r.Close()
		got, _, err := reload(t, fs.After(memfs.Power), false)
		if n, e := inOrder(got.store.list); err != nil || e != nil || n != 3 {
			t.Error(err, e, n)
		}
	}
}

// TestShortWriteStays: what cannot be cut off stays, and the rest follows it.
func TestShortWriteStays(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncNo))
	r.mustStart()
	bad := true
	fs.SetInject(func(op memfs.Op, name string, size int) *memfs.Fault {
		if bad && (op == memfs.OpWrite || op == memfs.OpTruncate) {
			return &memfs.Fault{Err: syscall.EIO, Written: 7}
		}
		return nil
	})
	r.add(0)
	r.Flush(false)
	if r.Refusal() != "MISCONF Errors writing to the AOF file: Input/output error" || len(r.file(incr1)) != 7 || !r.logged("Could not remove short write") {
		t.Errorf("%q %q", r.Refusal(), r.file(incr1))
	}
	bad = false
	r.add(0)
	if err := r.Flush(true); err != nil {
		t.Fatal(err)
	}
	if want := command("SELECT", "0") + command("ADD", "0") + command("ADD", "1"); r.file(incr1) != want {
		t.Errorf("%q", r.file(incr1))
	}
	if got := r.Info().CurrentSize; got != int64(len(r.file(incr1))+len(encode(nil))) {
		t.Error(got)
	}
}

// TestAlwaysStops: under always any failure is the end of the server, and stays so.
func TestAlwaysStops(t *testing.T) {
	for _, c := range []struct {
		op    memfs.Op
		fault memfs.Fault
		text  string
	}{
		{memfs.OpWrite, memfs.Fault{Err: syscall.ENOSPC, Written: 3}, "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."},
		{memfs.OpSync, memfs.Fault{Err: syscall.EIO}, "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error. Exiting..."},
	} {
		fs := memfs.New()
		r := newRig(t, fs, settings(FsyncAlways))
		r.mustStart()
		r.add(0)
		if err := r.Flush(false); err != nil || r.FsyncedOffset() != 1 {
			t.Fatal(err, r.FsyncedOffset())
		}
		on := true
		once := failing(&on, c.op, incr1, c.fault)
		fs.SetInject(func(op memfs.Op, name string, size int) *memfs.Fault { // the kernel reports the error once
			f := once(op, name, size)
			on = on && f == nil
			return f
		})
		r.add(0)
		err := r.Flush(false)
		var fatal *FatalError
		if !errors.As(err, &fatal) || err.Error() != c.text || !errors.Is(err, c.fault.Err) {
			t.Errorf("%s: %v", c.op, err)
		}
		if r.Flush(true) == nil || r.Tick() == nil || r.RewriteDue() || r.StartRewrite(Rewrite{}) == nil {
			t.Errorf("%s: it went on", c.op)
		}
		if r.FsyncedOffset() != 1 {
			t.Errorf("%s: offset %d", c.op, r.FsyncedOffset())
		}
		got, _, err := reload(t, fs.After(memfs.Power), false)
		if n, e := inOrder(got.store.list); err != nil || e != nil || n != 1 {
			t.Errorf("%s: %d left, %v %v", c.op, n, err, e)
		}
		if err := r.Close(); !errors.As(err, &fatal) {
			t.Errorf("%s: closed with %v", c.op, err)
		}
	}
}

// TestEverysec: when fsync is asked for, and what it means for the offset.
func TestEverysec(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncEverysec))
	r.mustStart()
	syncs := func() int { return count(fs, "sync appendonlydir/"+incr1) - 1 } // one at the start
	r.add(0)
	r.now += 999
	r.Flush(false)
	if r.settle(); syncs() != 0 || r.FsyncedOffset() != 0 {
		t.Error("too early", syncs())
	}
	r.now++
	r.Tick() // nothing is buffered
	if r.settle(); syncs() != 1 || r.FsyncedOffset() != 1 {
		t.Error("not done", syncs(), r.FsyncedOffset())
	}
	r.now += 5000
	r.Tick()
	if r.settle(); syncs() != 1 {
		t.Error("nothing new was forced to disk")
	}
	r.Settings.NoFsyncOnRewrite, r.Settings.Saving = true, true
	r.add(0)
	r.Flush(false)
	if r.settle(); syncs() != 1 {
		t.Error("no-appendfsync-on-rewrite")
	}
	r.Settings.Saving = false
	r.Tick()
	if r.settle(); syncs() != 2 || r.FsyncedOffset() != 2 {
		t.Error("after the saving", syncs())
	}
	r.add(0)
	r.Flush(false)
	r.Settings.Fsync = FsyncAlways
	r.Tick()
	if syncs() != 3 || r.FsyncedOffset() != 3 {
		t.Error("always asks at once", syncs())
	}
	if r.Info().PendingFsyncs != 0 {
		t.Error(r.Info())
	}
}

// TestWriteDuringFsync: with everysec an fsync that goes on keeps nothing in memory, since a reply follows. What meets one
// that takes longer than two seconds is counted.
func TestWriteDuringFsync(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncEverysec))
	var events []string
	r.opt.Latency = func(event string, d time.Duration) { events = append(events, event) }
	r.mustStart()
	written := func(what string, delayed int64) {
		t.Helper()
		size := len(r.file(incr1))
		r.add(0)
		r.Flush(false)
		if len(r.file(incr1)) == size || r.Buffered() != 0 || r.Postponed() {
			t.Errorf("not written %s", what)
		}
		if got := r.Info().DelayedFsyncs; got != delayed {
			t.Errorf("%d writes are delayed %s", got, what)
		}
	}
	r.now += 1000
	written("before an fsync", 0) // its own is not seen to end from here on
	r.AOF.sync.wait()
	written("during an fsync", 0)
	r.now += postponeMost - 1
	written("during a slow fsync", 0)
	r.now++
	written("during an fsync of two seconds", 1)
	if !r.logged("Asynchronous AOF fsync is taking too long") {
		t.Error("not logged")
	}
	r.loop.runPosted() // the fsync has ended
	r.now += postponeMost
	written("behind the fsync", 1)
	r.settle()
	want := "aof-write-alone aof-write" + strings.Repeat(" aof-write-pending-fsync aof-write", 4) // the last meets the next fsync
	if got := strings.Join(events, " "); got != want {
		t.Error(got)
	}
	r.ResetStats()
	if r.Info().DelayedFsyncs != 0 {
		t.Error("not reset")
	}
}

// TestPostponed: what follows a switch of files waits for the fsync of the old one, but not for more than two seconds.
func TestPostponed(t *testing.T) {
	for _, policy := range []Policy{FsyncEverysec, FsyncNo} {
		fs := memfs.New()
		r := newRig(t, fs, settings(policy))
		r.mustStart()
		r.add(0)
		r.Flush(false)
		gate := make(chan struct{})
		var done error
		if err := r.rewriteWith(gate, &done); err != nil {
			t.Fatal(err)
		}
		r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
		r.AOF.sync.wait()
		r.AOF.behind = r.AOF.file // as if the fsync of the old file had not ended
		incr2 := "appendonly.aof.2.incr.aof"
		r.add(0)
		r.Flush(false)
		r.now += postponeMost - 1
		r.Tick()
		if r.file(incr2) != "" || !r.Postponed() || r.Info().BufferLength == 0 {
			t.Errorf("policy %d: written before the old file is on the disk", policy)
		}
		r.now++
		r.Tick()
		if r.file(incr2) == "" || r.Postponed() || r.Info().DelayedFsyncs != 1 {
			t.Errorf("policy %d: not written after two seconds", policy)
		}
		r.add(0)
		if r.Flush(false); r.Buffered() != 0 {
			t.Errorf("policy %d: what comes later waits again", policy)
		}
		close(gate)
		r.loop.until(t, func() bool { return done != errRunning })
		r.settle()
	}
}

// TestLatency: which latency events are reported, depending on what runs in the background.
func TestLatency(t *testing.T) {
	r := newRig(t, memfs.New(), settings(FsyncAlways))
	events := map[string]bool{}
	r.opt.Latency = func(event string, d time.Duration) { events[event] = true }
	r.mustStart()
	for _, saving := range []bool{false, true} {
		r.Settings.Saving = saving
		clear(events)
		r.add(0)
		if err := r.Flush(false); err != nil {
			t.Fatal(err)
		}
		if len(events) != 3 || !events["aof-write"] || !events["aof-fsync-always"] || events["aof-write-alone"] == saving || events["aof-write-active-child"] != saving {
			t.Errorf("saving %v: %v", saving, events)
		}
	}
	r.Feed(0, argv("SET", "a", strings.Repeat("v", 2*keepBuffer)))
	if err := r.Flush(false); err != nil || cap(r.buf) > keepBuffer {
		t.Errorf("%v, a buffer of %d bytes is kept", err, cap(r.buf))
	}
}

// TestFsyncFails: under everysec the file is given up, writes are refused, and a rewrite from memory ends that.
func TestFsyncFails(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncEverysec))
	r.mustStart()
	r.add(0)
	r.now += 1000
	r.Flush(false)
	r.settle()
	on := true
	fs.SetInject(failing(&on, memfs.OpSync, incr1, memfs.Fault{Err: syscall.EIO}))
	r.add(0)
	r.now += 1000
	r.Flush(false)
	r.settle()
	if r.State() != Waiting || !r.Recovering() || r.Refusal() != "MISCONF Errors writing to the AOF file: Input/output error" {
		t.Fatal(r.State(), r.Refusal())
	}
	if r.FsyncedOffset() != 1 {
		t.Error("offset", r.FsyncedOffset())
	}
	on = false
	steps := fs.Steps()
	r.add(0) // an expired key, say
	r.Flush(true)
	r.Tick()
	if r.Buffered() != 0 || fs.Steps() != steps {
		t.Error("something was written")
	}
	// The first tries fail.
	fs.SetInject(failing(&on, memfs.OpRename, ".base.rdb", memfs.Fault{Err: syscall.EIO}))
	on = true
	for i := range limitFailures {
		if !r.RewriteDue() {
			t.Fatal("no rewrite is due")
		}
		if err := r.rewriteNow(); err == nil {
			t.Fatal("a rewrite without a rename")
		}
		if r.Refusal() == "" || r.Info().RewriteFailures != i+1 {
			t.Error("writes are taken", r.Info())
		}
	}
	on = false
	if r.RewriteDue() {
		t.Error("no limit")
	}
	r.now += 60_000
	if !r.RewriteDue() {
		t.Error("a limit above a minute while writes are refused")
	}
	if err := r.rewriteNow(); err != nil {
		t.Fatal(err)
	}
	if r.State() != On || r.Refusal() != "" || r.FsyncedOffset() != 3 || !r.Info().LastWriteOK {
		t.Error(r.State(), r.Refusal(), r.FsyncedOffset())
	}
	if want := "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"; r.manifestText() != want {
		t.Error(r.manifestText())
	}
	r.add(0)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, _, err := reload(t, fs.After(memfs.Power), false)
	if n, e := inOrder(got.store.list); err != nil || e != nil || n != 4 {
		t.Error(err, e, n)
	}
}

// TestFsyncFailsInRewrite: the file that fails is the one that a running rewrite has left.
func TestFsyncFailsInRewrite(t *testing.T) {
	for _, second := range []bool{false, true} {
		fs := memfs.New()
		r := newRig(t, fs, settings(FsyncEverysec))
		r.mustStart()
		on := true
		fs.SetInject(failing(&on, memfs.OpSync, incr1, memfs.Fault{Err: syscall.EIO}))
		r.add(0)
		r.Flush(false)
		gate := make(chan struct{})
		var done error
		if err := r.rewriteWith(gate, &done); err != nil {
			t.Fatal(err)
		}
		r.loop.until(t, r.Recovering)
		if r.State() != On || r.Refusal() == "" {
			t.Error(r.State(), r.Refusal())
		}
		r.now += 2000
		r.Tick()
		r.add(0)
		r.Flush(false)
		r.settle()
		if r.FsyncedOffset() != 0 {
			t.Error("offset over a hole")
		}
		if second {
			// Now the new one fails, too: the rewrite that runs is of no use.
			fs.SetInject(failing(&on, memfs.OpSync, "2.incr.aof", memfs.Fault{Err: syscall.EIO}))
			r.add(0)
			r.now += 2000
			r.Flush(false)
			r.settle()
			if r.State() != Waiting || r.Rewriting() || !r.RewriteDue() {
				t.Error(r.State(), r.Rewriting())
			}
			close(gate)
			r.loop.until(t, func() bool { return done != errRunning })
			if !errors.Is(done, ErrStopped) {
				t.Error(done)
			}
			on = false
			if err := r.rewriteNow(); err != nil {
				t.Fatal(err)
			}
		} else {
			close(gate)
			r.loop.until(t, func() bool { return done != errRunning })
		}
		if r.Refusal() != "" || r.FsyncedOffset() < 1 || r.State() != On {
			t.Error("not over", r.Refusal(), r.FsyncedOffset())
		}
		on = false
		r.Close()
		got, _, err := reload(t, fs.After(memfs.Power), false)
		if n, e := inOrder(got.store.list); err != nil || e != nil || n != len(r.store.list) {
			t.Error(err, e, n)
		}
	}
}

// TestFsyncFailsUnderAlways: of the file that a rewrite has left, or after a change of the policy.
func TestFsyncFailsUnderAlways(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncEverysec))
	r.mustStart()
	on := true
	fs.SetInject(failing(&on, memfs.OpSync, incr1, memfs.Fault{Err: syscall.EIO}))
	r.add(0)
	r.now += 1000
	r.Flush(false)
	r.Settings.Fsync = FsyncAlways
	r.settle()
	if err := r.Tick(); err == nil {
		t.Error("it went on")
	}
	// The failed fsync of a file that the manifest does not name any more is only logged.
	r2 := newRig(t, memfs.New(), settings(FsyncEverysec))
	r2.mustStart()
	r2.fsyncFailed(job{name: "gone", err: syscall.EIO})
	if r2.Refusal() != "" || !r2.logged("Fail to fsync the AOF file: Input/output error") {
		t.Error(r2.Refusal())
	}
}
