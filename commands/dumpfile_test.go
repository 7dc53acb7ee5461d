package commands

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"ferrous/rdb"
	"ferrous/rdb/memfs"
)

// dumpTest is a server with a dump of one key on a disk in memory, and a second key that only memory has.
type dumpTest struct {
	*testServer
	disk *memfs.FS
}

const (
	dumpTestFile = "/dump.rdb"
	dumpTestSync = 100 << 10 // bytes between two fsyncs
	bigValue     = 300 << 10
)

func newDumpTest(t *testing.T) *dumpTest {
	d := &dumpTest{newTestServer(t), memfs.New()}
	d.persist.disk = d.disk
	d.do("SET", "a", strings.Repeat("v", bigValue))
	if err := d.write(); err != nil {
		t.Fatal(err)
	}
	d.do("SET", "b", "w")
	return d
}

func (d *dumpTest) write() error {
	return rdb.SaveFile(d.disk, dumpTestFile, tempDump(), &d.persist.temp, d.Keyspace.Live(), rdb.Options{Checksum: true}, dumpTestSync, nil)
}

// keys returns how many keys the dump on a disk has: 1 is the old one, 2 the new one.
func (d *dumpTest) keys(t *testing.T, disk *memfs.FS) int {
	t.Helper()
	other := newTestServer(t)
	data, err := disk.ReadFile(dumpTestFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = other.loadDump(bytes.NewReader(data), int64(len(data)), nil, rdb.Loader{}); err != nil {
		t.Fatalf("the dump does not load: %v", err)
	}
	return other.Keyspace.DBs()[0].Len()
}

// dumpSteps returns how many steps a dump takes, and how many are before it.
func dumpSteps(t *testing.T) (first, n int) {
	probe := newDumpTest(t)
	first = probe.disk.Steps()
	if err := probe.write(); err != nil {
		t.Fatal(err)
	}
	return first, probe.disk.Steps() - first
}

// TestDumpFaults lets each step of writing a dump fail: the failure is reported, the old or the new dump is there and no other
// file, and the next dump succeeds.
func TestDumpFaults(t *testing.T) {
	_, n := dumpSteps(t)
	if n < 7 {
		t.Fatalf("a dump takes %d steps", n)
	}
	for step := range n {
		for _, fault := range []memfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC, Written: 100}} {
			t.Run(fmt.Sprintf("%d/%v", step, fault.Err), func(t *testing.T) {
				d := newDumpTest(t)
				failed, seen := "", 0
				d.disk.SetInject(func(op memfs.Op, _ string, _ int) *memfs.Fault {
					if seen++; seen != step+1 {
						return nil
					}
					failed = string(op)
					return &fault
				})
				if err := d.write(); !errors.Is(err, fault.Err) {
					t.Fatalf("%s fails: the error is %v", failed, err)
				}
				d.disk.SetInject(nil)
				want := 1
				if failed == string(memfs.OpSyncDir) {
					want = 2 // it has its name, though a power failure may take it away again
				}
				if got := d.keys(t, d.disk); got != want {
					t.Errorf("%s fails: %d keys, want %d", failed, got, want)
				}
				if names, err := d.disk.List("/"); err != nil || len(names) != 1 {
					t.Errorf("%s fails: left behind: %q %v", failed, names, err)
				}
				if err := d.write(); err != nil {
					t.Fatal(err)
				}
				if got := d.keys(t, d.disk); got != 2 {
					t.Errorf("the next dump has %d keys", got)
				}
			})
		}
	}
}

// TestDumpCrashes ends process or machine at each step of writing a dump: one of the two dumps is there, whole.
func TestDumpCrashes(t *testing.T) {
	first, n := dumpSteps(t)
	for step := 1; step <= n; step++ {
		d := newDumpTest(t)
		d.disk.CrashAt = first + step
		if err := d.write(); !errors.Is(err, memfs.ErrCrashed) {
			t.Fatalf("step %d: %v", step, err)
		}
		for _, loss := range []memfs.Loss{memfs.Kill, memfs.Power, memfs.Torn} {
			want := 1
			if step == n && loss == memfs.Kill { // the fsync of the folder is all that is missing
				want = 2
			}
			if got := d.keys(t, d.disk.After(loss)); got != want {
				t.Errorf("step %d, loss %d: %d keys, want %d", step, loss, got, want)
			}
		}
	}
}
