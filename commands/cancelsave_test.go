package commands

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"ferrous/rdb"
	"ferrous/rdb/memfs"
	"ferrous/rdb/vfs"
)

// busyDisk is a disk whose first call of one kind takes as long as a test wants.
type busyDisk struct {
	vfs.FS
	op      string
	on      string // for calls of files: the end of their name
	seen    atomic.Bool
	reached chan struct{} // closed when the call has begun
	gate    chan struct{} // to be closed so that it goes on
	writes  atomic.Int64  // calls of Write that have begun
}

func (d *busyDisk) at(op string) {
	if op == d.op && !d.seen.Swap(true) {
		close(d.reached)
		<-d.gate
	}
}

func (d *busyDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return &busyFile{f, d, name}, err
}

func (d *busyDisk) Append(name string) (vfs.File, error) {
	f, err := d.FS.Append(name)
	return &busyFile{f, d, name}, err
}

func (d *busyDisk) Rename(from, to string) error {
	d.at("rename")
	return d.FS.Rename(from, to)
}

type busyFile struct {
	vfs.File
	d    *busyDisk
	name string
}

func (f *busyFile) at(op string) {
	if strings.HasSuffix(f.name, f.d.on) {
		f.d.at(op)
	}
}

func (f *busyFile) Write(b []byte) (int, error) {
	f.d.writes.Add(1)
	f.at("write")
	return f.File.Write(b)
}

func (f *busyFile) Sync() error {
	f.at("sync")
	return f.File.Sync()
}

// TestCancelAtBusyDisk: FLUSHALL does not wait for a save that hangs at the disk, and the dump that it writes is not
// replaced by what was saved before, however far that had come.
func TestCancelAtBusyDisk(t *testing.T) {
	for _, op := range []string{"write", "sync", "rename"} {
		t.Run(op, func(t *testing.T) {
			ts := newTestServer(t)
			if err := ts.Config.LoadString("save 3600 1\n"); err != nil {
				t.Fatal(err)
			}
			disk := &busyDisk{FS: memfs.New(), op: op, reached: make(chan struct{}), gate: make(chan struct{})}
			ts.persist.disk = disk
			for i, r := range ts.Config.Dir[1:] + "/" {
				if r == '/' {
					if err := disk.Mkdir(ts.Config.Dir[:i+1]); err != nil {
						t.Fatal(err)
					}
				}
			}
			long := make([]byte, 1<<20) // which takes several writes
			_, _ = rand.NewChaCha8([32]byte{}).Read(long)
			ts.do("SET", "k", string(long))
			if got := ts.do("BGSAVE"); got != "+Background saving started\r\n" {
				t.Fatal(got)
			}
			b := ts.persist.saving
			select {
			case <-disk.reached:
			case <-b.done:
				t.Fatal(b.err)
			}
			if op == "rename" {
				close(disk.gate) // it has the right to go on, and FLUSHALL comes after it
			}
			if got := ts.do("FLUSHALL"); got != "+OK\r\n" {
				t.Fatal(got)
			}
			if op != "rename" {
				for _, command := range []string{"BGSAVE", "SAVE"} {
					if got := ts.do(command); got != "-"+errSaving+"\r\n" {
						t.Errorf("%s: %q", command, got)
					}
				}
				if ts.do("BGREWRITEAOF") != "+Background append only file rewriting scheduled\r\n" {
					t.Error("a rewrite begins beside a save that has not ended")
				}
				ts.do("FLUSHALL") // cancels it no second time
				writes := disk.writes.Load()
				close(disk.gate)
				<-b.done
				if n := disk.writes.Load() - writes; n > 0 {
					t.Errorf("the canceled save writes %d pieces more", n)
				}
				ts.backgroundSaveEnded(b)
			}
			if ts.persist.saving != nil || ts.persist.failed {
				t.Errorf("in progress %v, failed %v", ts.persist.saving != nil, ts.persist.failed)
			}
			names, err := disk.List(ts.Config.Path("."))
			if err != nil || len(names) != 1 || names[0] != "dump.rdb" {
				t.Errorf("there are %q, %v", names, err)
			}
			data, err := disk.FS.(*memfs.FS).ReadFile(ts.dumpPath())
			if err != nil {
				t.Fatal(err)
			}
			other := newTestServer(t)
			res, err := other.loadDump(bytes.NewReader(data), int64(len(data)), nil, rdb.Loader{})
			if err != nil || res.Keys != 0 {
				t.Errorf("the dump has %+v, %v", res, err)
			}
			ts.do("SET", "k", "v")
			if got := ts.do("BGSAVE"); got != "+Background saving started\r\n" {
				t.Error(got)
			}
			b = ts.persist.saving
			<-b.done
			if ts.backgroundSaveEnded(b); ts.unsaved() != 0 || ts.persist.failed {
				t.Errorf("the next save: %d changes are unsaved, failed %v", ts.unsaved(), ts.persist.failed)
			}
		})
	}
}
