package aof

import (
	"errors"
	"strings"
	"testing"

	"ferrous/rdb/memfs"
)

// acked is what a client of a run may rely on: with appendfsync always, the changes for which Flush returned.
type acked struct {
	fed, flushed int
	fatal        bool
}

// scenario is a life of a server: writes, two rewrites with writes meanwhile, switching off and on, a transaction. It ends
// when the disk does.
func scenario(r *rig, a *acked) {
	flush := func() bool {
		a.fed = len(r.store.list)
		if err := r.Flush(false); err != nil {
			a.fatal = true
			return false
		}
		if r.Refusal() != "" {
			return false
		}
		if r.Buffered() == 0 { // else it waits for an fsync
			a.flushed = len(r.store.list)
		}
		return true
	}
	if r.start() != nil {
		return
	}
	a.fed, a.flushed = len(r.store.list), len(r.store.list)
	write := func(n int) bool {
		for range n {
			r.add(len(r.store.list) / 3 % 2)
			r.now += 250 // less than 2 s while a rewrite is running
			if !flush() {
				return false
			}
			r.loop.runPosted()
		}
		return true
	}
	rewrite := func() bool {
		gate := make(chan struct{})
		var done error
		if r.rewriteWith(gate, &done) != nil {
			close(gate)
			return false
		}
		ok := write(2)
		r.loop.until(r.t, func() bool { return done != errRunning || r.AOF.rewrite != nil && r.AOF.rewrite.phase == writing })
		if done == errRunning {
			ok = ok && write(2)
		}
		close(gate)
		r.loop.until(r.t, func() bool { return done != errRunning })
		return ok && write(2) && done == nil
	}
	if !write(3) || !rewrite() {
		return
	}
	r.Feed(-1, argv("MULTI"))
	r.add(0)
	r.add(1)
	r.Feed(-1, argv("EXEC"))
	if !flush() || !rewrite() {
		return
	}
	if r.Close() == nil {
		a.flushed = len(r.store.list)
	}
}

// TestCrash stops a server between any two steps that change the disk and loads what is left: a whole prefix of what was
// written, with all that was acknowledged.
func TestCrash(t *testing.T) {
	for _, policy := range []Policy{FsyncAlways, FsyncEverysec, FsyncNo} {
		for _, origin := range []string{"fresh", "old"} {
			begin := func() *memfs.FS {
				fs := memfs.New()
				if origin == "old" {
					fs.WriteFile("appendonly.aof", string(encode([]int{0, 1}))+command("ADD", "2"))
				}
				return fs
			}
			begun, _, _ := reload(t, begin(), true) // a life that ends before it has loaded leaves what was there
			whole := begin()
			full := newRig(t, whole, settings(policy))
			scenario(full, new(acked))
			steps := whole.Steps()
			if n := len(full.store.list); n < 15 {
				t.Fatalf("policy %d: the run without a crash ended after %d commands\n%s", policy, n, strings.Join(full.logs, "\n"))
			}
			for k := 1; k <= steps; k++ {
				fs := begin()
				fs.CrashAt = k
				var a acked
				r := newRig(t, fs, settings(policy))
				scenario(r, &a)
				r.AOF.sync.wait()
				for _, loss := range []memfs.Loss{memfs.Kill, memfs.Power, memfs.Torn} {
					after := fs.After(loss)
					got, _, err := reload(t, after, true)
					if err != nil {
						t.Fatalf("policy %d, %s, step %d (%s), loss %d: %v\n%s", policy, origin, k, last(fs.Log()), loss, err, strings.Join(got.logs, "\n"))
					}
					n, err := inOrder(got.store.list)
					if err != nil {
						t.Fatalf("policy %d, %s, step %d (%s), loss %d: %v", policy, origin, k, last(fs.Log()), loss, err)
					}
					least := a.flushed
					if loss != memfs.Kill && policy != FsyncAlways {
						least = 0
					}
					if n < least || n > max(len(r.store.list), len(begun.store.list)) {
						t.Fatalf("policy %d, %s, step %d (%s), loss %d: %d commands are left, acknowledged %d, fed %d\n%s\n%s", policy, origin, k,
							last(fs.Log()), loss, n, least, len(r.store.list), strings.Join(fs.Log(), "\n"), strings.Join(got.logs, "\n"))
					}
					// The next life must be able to go on.
					if err := got.Start(func(b *BaseFile) error { _, err := b.Write(encode(got.store.list)); return err }); err != nil {
						t.Fatalf("step %d, loss %d: start: %v", k, loss, err)
					}
					got.add(0)
					if err := got.Flush(false); err != nil {
						t.Fatal(err)
					}
					if err := got.rewriteNow(); err != nil {
						t.Fatalf("step %d, loss %d: rewrite: %v", k, loss, err)
					}
					got.Close()
					names, _ := after.List("appendonlydir")
					if len(names) > 5 {
						t.Fatalf("step %d, loss %d: %v", k, loss, names)
					}
					again, _, err := reload(t, after.After(memfs.Power), false)
					if err != nil || len(again.store.list) != n+1 {
						t.Fatalf("step %d, loss %d: after another life %v, %v", k, loss, again.store.list, err)
					}
				}
			}
		}
	}
}

func last(log []string) string {
	if len(log) == 0 {
		return "none"
	}
	return log[len(log)-1]
}

// TestFaults fails each step once, with each error, and goes on: the server stops or goes on, but what it leaves is in
// order.
func TestFaults(t *testing.T) {
	for _, policy := range []Policy{FsyncAlways, FsyncEverysec} {
		whole := memfs.New()
		scenario(newRig(t, whole, settings(policy)), new(acked))
		steps := whole.Steps()
		for k := 1; k <= steps; k++ {
			for short := range 2 {
				fs := memfs.New()
				n := 0
				fs.Inject = func(op memfs.Op, name string, size int) *memfs.Fault {
					if n++; n == k {
						return &memfs.Fault{Err: errEIO, Written: short * size / 2}
					}
					return nil
				}
				var a acked
				r := newRig(t, fs, settings(policy))
				scenario(r, &a)
				r.AOF.sync.wait()
				for _, loss := range []memfs.Loss{memfs.Kill, memfs.Power} {
					if loss == memfs.Power && policy != FsyncAlways {
						continue
					}
					got, _, err := reload(t, fs.After(loss), true)
					if err != nil {
						t.Fatalf("policy %d, step %d (%s), loss %d: %v\n%s", policy, k, fs.Log()[k-1], loss, err, strings.Join(got.logs, "\n"))
					}
					n, err := inOrder(got.store.list)
					if err != nil || n < a.flushed {
						t.Fatalf("policy %d, step %d (%s), loss %d: %d commands left of %d: %v\n%s", policy, k, fs.Log()[k-1], loss, n, a.flushed, err,
							strings.Join(r.logs, "\n"))
					}
				}
			}
		}
	}
}

var errEIO = errors.New("input/output error")
