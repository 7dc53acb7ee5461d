package aof

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"ferrous/rdb/memfs"
	"ferrous/rdb/vfs"
)

// TestRewrite: the files of a successful rewrite, and INFO's fields about it.
func TestRewrite(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncEverysec))
	r.mustStart()
	for range 10 {
		r.add(3)
	}
	r.Flush(false)
	gate := make(chan struct{})
	var done error
	if err := r.rewriteWith(gate, &done); err != nil {
		t.Fatal(err)
	}
	if err := r.StartRewrite(Rewrite{}); !errors.Is(err, ErrRewriting) {
		t.Error(err)
	}
	r.add(3) // before the switch: in the old file and in the base
	r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
	if want := "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n"; r.manifestText() != want {
		t.Error(r.manifestText())
	}
	r.now += 3000
	if i := r.Info(); !i.Rewriting || i.CurrentRewriteSec != 3 || i.LastRewriteSec != -1 || i.Rewrites != 1 {
		t.Errorf("%+v", i)
	}
	r.add(3)
	steps := fs.Steps()
	for r.Flush(false); r.AOF.behind != nil; r.loop.runPosted() { // until the old file is on the disk
		if r.Buffered() == 0 {
			t.Fatal("what comes later was written before", fs.Log()[steps:])
		}
	}
	if r.Buffered() != 0 || r.logged("Asynchronous AOF fsync") {
		t.Error("not written when it was")
	}
	close(gate)
	r.loop.until(t, func() bool { return done != errRunning })
	if done != nil {
		t.Fatal(done)
	}
	if want := "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n"; r.manifestText() != want {
		t.Error(r.manifestText())
	}
	if got, want := r.file("appendonly.aof.2.incr.aof"), command("SELECT", "3")+command("ADD", "11"); got != want {
		t.Errorf("%q", got)
	}
	r.settle()
	names, _ := fs.List("appendonlydir")
	if got := strings.Join(names, " "); got != "appendonly.aof.2.base.rdb appendonly.aof.2.incr.aof appendonly.aof.manifest" {
		t.Error(got)
	}
	i := r.Info()
	if size := int64(len(encode(r.store.list[:11])) + len(r.file("appendonly.aof.2.incr.aof"))); i.CurrentSize != size || i.BaseSize != size || i.Rewriting ||
		i.LastRewriteSec != 3 || i.CurrentRewriteSec != -1 || !i.LastRewriteOK {
		t.Errorf("%+v, size %d", i, size)
	}
}

func TestRewriteDue(t *testing.T) {
	r := newRig(t, memfs.New(), settings(FsyncNo))
	r.mustStart()
	r.total, r.baseSize = 64<<20, 1
	if r.RewriteDue() {
		t.Error("at the least size")
	}
	r.total++
	if !r.RewriteDue() || !r.logged("Starting automatic rewriting of AOF on 6710886400% growth") {
		t.Error("not due", r.logs[len(r.logs)-1])
	}
	r.baseSize = r.total/2 + 1
	if r.RewriteDue() {
		t.Error("before it has doubled")
	}
	r.baseSize = r.total / 2
	if !r.RewriteDue() {
		t.Error("doubled")
	}
	r.Settings.RewritePercentage = 0
	if r.RewriteDue() {
		t.Error("switched off")
	}
	r.total = 0
	r.Schedule()
	if !r.RewriteDue() || !r.Info().RewriteScheduled {
		t.Error("scheduled")
	}
}

// TestLimit: after three failures the pauses grow from a minute to an hour; BGREWRITEAOF begins anew.
func TestLimit(t *testing.T) {
	r := newRig(t, memfs.New(), settings(FsyncNo))
	r.mustStart()
	r.stats.failures = 2
	r.stats.scheduled = true
	if !r.RewriteDue() {
		t.Error("limited after two")
	}
	r.stats.failures = 3
	for _, minutes := range []int64{1, 2, 4, 8, 16, 32, 60, 60} {
		if r.RewriteDue() {
			t.Fatal("not limited", minutes)
		}
		r.now += minutes*60_000 - 1
		if r.RewriteDue() {
			t.Fatal("too early", minutes)
		}
		r.now++
		if !r.RewriteDue() {
			t.Fatal("too late", minutes)
		}
	}
	if r.RewriteDue() || r.count("triggered the limit, will retry in 60 minutes") != 3 {
		t.Error(r.logs)
	}
	r.Schedule()
	if !r.RewriteDue() {
		t.Error("a command waits for the limit")
	}
}

// TestRewriteFails fails each step of a rewrite; the old chain continues, and the next rewrite works.
func TestRewriteFails(t *testing.T) {
	fs := memfs.New()
	plan := newRig(t, fs, settings(FsyncAlways))
	plan.mustStart()
	plan.add(0)
	plan.Flush(false)
	first := fs.Steps()
	if err := plan.rewriteNow(); err != nil {
		t.Fatal(err)
	}
	plan.settle()
	steps := fs.Steps()
	failures := 0
	for k := first + 1; k <= steps; k++ {
		fs := memfs.New()
		r := newRig(t, fs, settings(FsyncAlways))
		r.mustStart()
		r.add(0)
		r.Flush(false)
		n := first
		fs.SetInject(func(op memfs.Op, name string, size int) *memfs.Fault {
			if n++; n == k {
				return &memfs.Fault{Err: syscall.EIO}
			}
			return nil
		})
		if err := r.rewriteNow(); err != nil {
			failures++
			if i := r.Info(); i.LastRewriteOK || i.RewriteFailures != 1 || i.Rewriting {
				t.Errorf("step %d: %+v", k, i)
			}
		}
		r.add(0)
		if err := r.Flush(false); err != nil {
			t.Fatal(k, err)
		}
		if err := r.rewriteNow(); err != nil {
			t.Fatalf("step %d (%s): the next one: %v", k, fs.Log()[k-1], err)
		}
		r.add(0)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got, _, err := reload(t, fs.After(memfs.Power), false)
		if n, e := inOrder(got.store.list); err != nil || e != nil || n != 3 {
			t.Fatalf("step %d (%s): %v %v %d", k, fs.Log()[k-1], err, e, n)
		}
		names, _ := fs.List("appendonlydir")
		for _, name := range names {
			if strings.HasPrefix(name, "temp-") && !strings.HasPrefix(fs.Log()[k-1], "remove") {
				t.Errorf("step %d (%s): %s is left", k, fs.Log()[k-1], name)
			}
		}
	}
	if failures < 8 {
		t.Errorf("only %d failures in %d steps", failures, steps-first)
	}
}

// TestRewriteCallbacks: errors of the caller's own.
func TestRewriteCallbacks(t *testing.T) {
	own := errors.New("no snapshot today")
	r := newRig(t, memfs.New(), settings(FsyncEverysec))
	r.mustStart()
	for _, late := range []bool{false, true} {
		var done error = errRunning
		err := r.StartRewrite(Rewrite{
			Snapshot: func() (func(*BaseFile) error, error) {
				if !late {
					return nil, own
				}
				return func(b *BaseFile) error {
					if _, err := b.WriteAt([]byte("x"), 0); err == nil {
						t.Error("WriteAt outside")
					}
					b.Write([]byte("abc"))
					if _, err := b.WriteAt([]byte("X"), 1); err != nil || b.Size() != 3 {
						t.Error(err)
					}
					return own
				}, nil
			},
			Done: func(err error) { done = err },
		})
		if err != nil {
			t.Fatal(err)
		}
		r.loop.until(t, func() bool { return done != errRunning })
		if done != own {
			t.Error(done)
		}
	}
}

// TestIncrementalFsync: a base is forced to disk as it grows.
func TestIncrementalFsync(t *testing.T) {
	for _, on := range []bool{false, true} {
		fs := memfs.New()
		s := settings(FsyncNo)
		s.IncrementalFsync = on
		r := newRig(t, fs, s)
		if err := r.ReadManifest(); err != nil {
			t.Fatal(err)
		}
		r.Start(func(b *BaseFile) error {
			for range 10 {
				b.Write(make([]byte, 1<<20))
			}
			return nil
		})
		want := 1
		if on {
			want = 3
		}
		if got := count(fs, "sync appendonlydir/temp-appendonly.aof.0.base"); got != want {
			t.Errorf("%v: %d syncs", on, got)
		}
	}
}

// TestRewriteInUnit: the switch waits for the end of a transaction.
func TestRewriteInUnit(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncAlways))
	r.mustStart()
	for _, end := range []string{"exec", "stop"} {
		r.Feed(-1, argv("MULTI"))
		r.add(0)
		var done error
		if err := r.rewriteWith(nil, &done); err != nil {
			t.Fatal(err)
		}
		<-r.AOF.rewrite.ended
		r.loop.until(t, func() bool { return r.AOF.rewrite.held })
		r.Flush(false)
		if r.AOF.rewrite.phase != preparing {
			t.Fatal("switched within a transaction")
		}
		r.add(0)
		r.Feed(-1, argv("EXEC"))
		if end == "stop" {
			r.stopRewrite()
		} else {
			r.Flush(false)
		}
		r.loop.until(t, func() bool { return done != errRunning })
		if (done == nil) != (end == "exec") {
			t.Error(end, done)
		}
	}
	r.Close()
	got, _, err := reload(t, fs.After(memfs.Power), false)
	if n, e := inOrder(got.store.list); err != nil || e != nil || n != 4 {
		t.Error(err, e, n)
	}
}

// stopsAtWrite is a file during whose first Write the rewrite is stopped.
type stopsAtWrite struct {
	vfs.File
	stop   chan struct{}
	writes []int
}

func (f *stopsAtWrite) Write(p []byte) (int, error) {
	if f.writes = append(f.writes, len(p)); len(f.writes) == 1 {
		close(f.stop)
	}
	return len(p), nil
}

// TestStopWithinPiece: a stop does not wait until a large piece is written whole.
func TestStopWithinPiece(t *testing.T) {
	f := &stopsAtWrite{stop: make(chan struct{})}
	b := &BaseFile{f: f, stop: f.stop}
	n, err := b.Write(make([]byte, 10*writeMost))
	if err != ErrStopped || n != writeMost || len(f.writes) != 1 || b.Size() != writeMost {
		t.Errorf("%d bytes written in pieces of %d, %v", n, f.writes, err)
	}
}

// TestStop stops a rewrite in each phase.
func TestStop(t *testing.T) {
	for at := preparing; at <= finishing; at++ {
		for _, detached := range []bool{false, true} {
			fs := memfs.New()
			r := newRig(t, fs, settings(FsyncEverysec))
			r.mustStart()
			r.add(0)
			if detached {
				r.Disable()
				if err := r.Enable("."); err != nil {
					t.Fatal(err)
				}
			}
			gate := make(chan struct{})
			var done error
			if err := r.rewriteWith(gate, &done); err != nil {
				t.Fatal(err)
			}
			if at != preparing {
				r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
				r.add(0)
			}
			if at == finishing {
				close(gate)
				r.loop.until(t, func() bool { return r.AOF.rewrite.phase == finishing })
			}
			r.stopRewrite()
			r.stopRewrite() // nothing to stop
			if r.Rewriting() || done == errRunning {
				t.Error("still running")
			}
			r.loop.runPosted()
			if want := at == finishing; (done == nil) != want {
				t.Errorf("phase %d, detached %v: %v", at, detached, done)
			}
			if r.Flush(false) != nil {
				t.Fatal("flush")
			}
			r.AOF.sync.wait()
			names, _ := fs.List("appendonlydir")
			if s := strings.Join(names, " "); strings.Contains(s, "temp-") {
				t.Errorf("phase %d, detached %v: %s", at, detached, s)
			}
			if err := r.rewriteNow(); err != nil {
				t.Fatal(err)
			}
			r.Close()
			got, _, err := reload(t, fs.After(memfs.Power), false)
			if n, e := inOrder(got.store.list); err != nil || e != nil || n != len(r.store.list) {
				t.Errorf("phase %d, detached %v: %v %v %d of %d", at, detached, err, e, n, len(r.store.list))
			}
		}
	}
}

// TestSwitch: off, on, and a rewrite while off, with the files that Redis makes.
func TestSwitch(t *testing.T) {
	fs := memfs.New()
	s := settings(FsyncAlways)
	s.DisableAutoGC = true
	r := newRig(t, fs, s)
	r.mustStart()
	r.add(0)
	if !r.HoldReplies() {
		t.Error("replies need not wait under always")
	}
	r.Disable()
	if r.HoldReplies() || r.State() != Off || r.FsyncedOffset() != -1 || r.Refusal() != "" || r.Info().Enabled {
		t.Error(r.State(), r.FsyncedOffset())
	}
	r.Disable()
	r.add(0)
	r.Flush(true)
	if err := r.rewriteNow(); err != nil { // a base only
		t.Fatal(err)
	}
	if want := "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\nfile appendonly.aof.1.base.rdb seq 1 type h\n"; r.manifestText() != want {
		t.Error(r.manifestText())
	}
	if err := r.Enable("."); err != nil || !r.RewriteDue() || r.State() != Waiting || r.FsyncedOffset() != 0 {
		t.Fatal(err, r.State())
	}
	if r.Enable(".") != nil {
		t.Error("on twice")
	}
	gate := make(chan struct{})
	var done error
	r.rewriteWith(gate, &done)
	r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
	r.add(0)
	if err := r.Flush(false); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Size("appendonlydir/temp-appendonly.aof.incr"); err != nil || r.State() != Waiting {
		t.Error(err)
	}
	close(gate)
	r.loop.until(t, func() bool { return done != errRunning })
	want := "file appendonly.aof.3.base.rdb seq 3 type b\nfile appendonly.aof.2.base.rdb seq 2 type h\nfile appendonly.aof.1.incr.aof seq 1 type h\n" +
		"file appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
	if r.manifestText() != want || r.State() != On {
		t.Error(r.manifestText())
	}
	if err := r.Flush(false); err != nil || r.FsyncedOffset() != 3 {
		t.Error(err, r.FsyncedOffset())
	}
	r.CollectHistory()
	if strings.Contains(r.manifestText(), "type h") == false {
		t.Error("history was collected though that is switched off")
	}
	r.Settings.DisableAutoGC = false
	r.CollectHistory()
	if strings.Contains(r.manifestText(), "type h") {
		t.Error(r.manifestText())
	}
	// A base that is being written while the file is off is of no use when it is switched on.
	r.Disable()
	gate = make(chan struct{})
	r.rewriteWith(gate, &done)
	r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
	r.Enable(".")
	if r.Rewriting() || !r.logged("AOF was enabled but there is already an AOF rewriting in background") {
		t.Error("still running")
	}
	close(gate)
	r.loop.until(t, func() bool { return done != errRunning })
	if err := r.rewriteNow(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	got, _, err := reload(t, fs.After(memfs.Power), false)
	if n, e := inOrder(got.store.list); err != nil || e != nil || n != 3 {
		t.Error(err, e, n)
	}
}

// TestEnableElsewhere: the working directory has changed meanwhile.
func TestEnableElsewhere(t *testing.T) {
	fs := memfs.New()
	fs.Mkdir("other")
	fs.WriteFile("bad/appendonlydir/appendonly.aof.manifest", "nonsense\n")
	r := newRig(t, fs, settings(FsyncNo))
	r.mustStart()
	r.add(0)
	r.Disable()
	if err := r.Enable("bad"); err == nil || r.State() != Off {
		t.Error("a bad manifest was taken")
	}
	if err := r.Enable("other"); err != nil {
		t.Fatal(err)
	}
	if err := r.rewriteNow(); err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile("other/appendonlydir/appendonly.aof.manifest"); err != nil || !strings.Contains(string(b), "appendonly.aof.1.base.rdb") {
		t.Errorf("%s, %v", b, err)
	}
}

// TestWaitingWrites: what happens to the temporary file does not stop a server that promises nothing of it.
func TestWaitingWrites(t *testing.T) {
	fs := memfs.New()
	r := newRig(t, fs, settings(FsyncAlways))
	r.mustStart()
	r.Disable()
	r.Enable(".")
	gate := make(chan struct{})
	var done error
	r.rewriteWith(gate, &done)
	r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
	fs.SetSpace(10)
	r.add(0)
	if err := r.Flush(false); err != nil || r.Refusal() == "" {
		t.Error(err, r.Refusal())
	}
	close(gate)
	r.loop.until(t, func() bool { return done != errRunning })
	if done == nil || r.State() != Waiting || r.Refusal() != "" || r.Buffered() != 0 || !r.RewriteDue() || r.count("Removing the temp incr aof file") != 1 {
		t.Error(done, r.State(), r.Refusal(), r.Buffered())
	}
	fs.SetSpace(-1)
	if err := r.rewriteNow(); err != nil || r.State() != On {
		t.Error(err)
	}
}

// TestStopAtBusyDisk stops a rewrite whose goroutine hangs in the disk. Nobody waits for it: the file goes on, another rewrite
// works, and what the first one leaves is cleaned when its goroutine comes back.
func TestStopAtBusyDisk(t *testing.T) {
	for _, after := range []string{"stop", "disable", "close"} {
		fs := memfs.New()
		r := newRig(t, fs, settings(FsyncEverysec))
		r.mustStart()
		r.add(0)
		disk := make(chan struct{})
		done := errRunning
		err := r.StartRewrite(Rewrite{
			Snapshot: func() (func(*BaseFile) error, error) {
				data := encode(r.store.list)
				return func(b *BaseFile) error {
					<-disk // whatever is asked of it
					_, err := b.Write(data)
					return err
				}, nil
			},
			Done: func(err error) { done = err },
		})
		if err != nil {
			t.Fatal(err)
		}
		r.loop.until(t, func() bool { return r.AOF.rewrite.phase == writing })
		hung := r.AOF.rewrite
		r.add(0)
		switch after {
		case "stop":
			r.StopRewrite()
		case "disable":
			r.Disable()
			if err := r.Enable("."); err != nil {
				t.Fatal(err)
			}
		case "close":
			r.Close()
		}
		select {
		case <-hung.ended:
			t.Fatalf("%s waited for the disk", after)
		default:
		}
		if r.Rewriting() || done != errRunning {
			t.Errorf("%s: rewriting %v, %v", after, r.Rewriting(), done)
		}
		if after == "close" {
			close(disk)
			<-hung.ended
			continue
		}
		r.add(0)
		if err := r.rewriteNow(); err != nil {
			t.Fatalf("%s: another rewrite: %v", after, err)
		}
		close(disk)
		<-hung.ended
		r.loop.until(t, func() bool { return done != errRunning })
		if !errors.Is(done, ErrStopped) {
			t.Errorf("%s: %v", after, done)
		}
		r.add(0)
		r.Close()
		r.AOF.sync.wait()
		names, _ := fs.List("appendonlydir")
		if s := strings.Join(names, " "); strings.Contains(s, "temp-") {
			t.Errorf("%s: %s", after, s)
		}
		got, _, err := reload(t, fs.After(memfs.Power), false)
		if n, e := inOrder(got.store.list); err != nil || e != nil || n != len(r.store.list) {
			t.Errorf("%s: %v %v %d of %d", after, err, e, n, len(r.store.list))
		}
	}
}
