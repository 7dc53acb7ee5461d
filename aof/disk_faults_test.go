package aof

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"ferrous/rdb/memfs"
	"ferrous/tests/harness"
)

// TestEnableFaults fails each step of switching the file on, once, with each error. Where no file can be made Enable says so,
// and the file stays off. The rewrite that makes its first base and incremental file fails as a whole, leaves no files that
// count, and the next one succeeds.
func TestEnableFaults(t *testing.T) {
	refused := 0
	life := func(fs *memfs.FS) (*rig, error) {
		r := newRig(t, fs, settings(FsyncEverysec))
		if err := r.ReadManifest(); err != nil {
			t.Fatal(err)
		}
		r.add(0)
		if err := r.Enable("."); err != nil {
			refused++
			if r.State() != Off || r.RewriteDue() {
				t.Errorf("%v: the state is %d, and a rewrite is due: %v", err, r.State(), r.RewriteDue())
			}
			if err := r.Enable("."); err != nil {
				t.Fatal(err)
			}
		}
		err := r.rewriteNow()
		r.settle()
		return r, err
	}
	whole := memfs.New()
	if _, err := life(whole); err != nil {
		t.Fatal(err)
	}
	steps := whole.Steps()
	if steps < 12 {
		t.Fatal(whole.Log())
	}
	failed := 0
	for k := 1; k <= steps; k++ {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			fs := memfs.New()
			n := 0
			fs.Inject = func(memfs.Op, string, int) *memfs.Fault {
				if n++; n == k {
					return &memfs.Fault{Err: cause}
				}
				return nil
			}
			r, err := life(fs)
			what := fs.Log()[k-1]
			if err != nil {
				failed++
				if r.State() != Waiting {
					t.Errorf("%s fails: state %d", what, r.State())
				}
				if m := r.Manifest(); len(m.Incrs) > 0 {
					t.Errorf("%s fails: %+v", what, m)
				}
				r.add(0)
				if err := r.rewriteNow(); err != nil {
					t.Errorf("%s fails: the next rewrite: %v", what, err)
				}
			}
			if r.State() != On || r.Refusal() != "" {
				t.Errorf("%s fails: state %d, %s", what, r.State(), r.Refusal())
			}
			r.add(0)
			if err := r.Close(); err != nil {
				t.Errorf("%s fails: %v", what, err)
			}
			again, _, err := reload(t, fs.After(memfs.Kill), false)
			if err != nil {
				t.Fatalf("%s fails: %v\n%s", what, err, strings.Join(again.logs, "\n"))
			}
			if n, err := inOrder(again.store.list); err != nil || n != len(r.store.list) {
				t.Errorf("%s fails: %d commands of %d, %v", what, n, len(r.store.list), err)
			}
		}
	}
	if refused == 0 || refused+failed < steps {
		t.Errorf("%d faults were noticed at once and %d later, of %d", refused, failed, 2*steps)
	}
}

// TestTruncateFails: a torn end that cannot be cut off ends the start, and what was there is there still.
func TestTruncateFails(t *testing.T) {
	for _, op := range []memfs.Op{memfs.OpTruncate, memfs.OpSync} {
		content := add(0) + "*2\r\n"
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), "", in(incr1), content)
		fs.Inject = func(o memfs.Op, _ string, _ int) *memfs.Fault {
			if o == op {
				return &memfs.Fault{Err: syscall.EIO}
			}
			return nil
		}
		r, _, err := reload(t, fs, true)
		if !errors.Is(err, ErrLoad) || !r.logged("Error truncating the AOF file appendonly.aof.1.incr.aof: Input/output error") {
			t.Errorf("%s: %v\n%s", op, err, strings.Join(r.logs, "\n"))
		}
	}
}

// TestTail64K cuts a file of large and small commands within its last 64 KiB: what is loaded is what lies before the cut,
// a transaction as a whole or not at all. The long form cuts at every byte.
func TestTail64K(t *testing.T) {
	rnd := rand.New(rand.NewPCG(64, 1))
	var b strings.Builder
	ends := []int{0} // where the n-th element is complete
	for b.Len() < 100<<10 {
		n := len(ends) - 1
		switch rnd.IntN(5) {
		case 0:
			fmt.Fprintf(&b, "#TS:%d\r\n", 1000+n)
		case 1:
			b.WriteString(command("SET", "k", strings.Repeat("\r\n*1", rnd.IntN(1000))))
		case 2:
			b.WriteString(command("MULTI") + add(n, n+1) + command("EXEC"))
			ends = append(ends, b.Len(), b.Len())
		default:
			b.WriteString(command("ADD", strconv.Itoa(n)))
			ends = append(ends, b.Len())
		}
	}
	content := b.String()
	for cut := len(content); cut >= len(content)-64<<10; cut-- {
		if !harness.Stress() && rnd.IntN(100) > 0 {
			continue
		}
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), "", in(incr1), content[:cut])
		r, status, err := reload(t, fs, true)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := 0
		for want+1 < len(ends) && ends[want+1] <= cut {
			want++
		}
		if got, err := inOrder(r.store.list); err != nil || got != want {
			t.Fatalf("cut at %d: %d, want %d, %v", cut, got, want, err)
		}
		if kept := r.file(incr1); len(kept) > cut || !strings.HasPrefix(content, kept) || status == Loaded && len(kept) != cut {
			t.Fatalf("cut at %d: kept %d, %v", cut, len(kept), status)
		}
	}
}
