package aof

import (
	"strings"
	"syscall"
	"testing"

	"ferrous/rdb/memfs"
)

// TestSync: Sync has all that was fed on the disk when it returns, whatever the policy, and the file goes on.
func TestSync(t *testing.T) {
	for _, policy := range []Policy{FsyncNo, FsyncEverysec, FsyncAlways} {
		fs := memfs.New()
		r := newRig(t, fs, settings(policy))
		if err := r.Sync(); err != nil {
			t.Fatal("off:", err)
		}
		r.mustStart()
		r.add(0)
		if err := r.Sync(); err != nil || r.State() != On || r.FsyncedOffset() != 1 {
			t.Errorf("policy %d: %v, state %d, offset %d", policy, err, r.State(), r.FsyncedOffset())
		}
		again, _, err := reload(t, fs.After(memfs.Power), false)
		if err != nil || len(again.store.list) != 1 {
			t.Errorf("policy %d: %v, %v", policy, again.store.list, err)
		}
		r.add(0)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSyncFails: what Sync cannot force to disk has the same consequences as where Flush or the syncer finds out.
func TestSyncFails(t *testing.T) {
	for _, policy := range []Policy{FsyncEverysec, FsyncAlways} {
		fs := memfs.New()
		r := newRig(t, fs, settings(policy))
		r.mustStart()
		on := true
		fs.SetInject(failing(&on, memfs.OpSync, incr1, memfs.Fault{Err: syscall.EIO}))
		r.add(0)
		err := r.Sync()
		if policy == FsyncAlways {
			if err == nil {
				t.Error("always: it went on")
			}
			continue
		}
		if err != nil || r.State() != Waiting || r.FsyncedOffset() != 0 ||
			!strings.HasSuffix(r.Refusal(), "Input/output error") || !r.RewriteDue() {
			t.Errorf("everysec: %v, state %d, offset %d, refusal %q", err, r.State(), r.FsyncedOffset(), r.Refusal())
		}
	}
}
