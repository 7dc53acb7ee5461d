package aof

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/rdb/memfs"
	"ferrous/rdb/vfs"
)

// TestDisk is one life and another on the operating system's files.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	lives := func(s Settings) *rig {
		r := newRig(t, memfs.New(), s)
		r.opt.FS, r.opt.Dir = vfs.OS{}, dir
		o := r.opt
		r.AOF = New(o, s)
		return r
	}
	for _, policy := range []Policy{FsyncAlways, FsyncEverysec, FsyncNo} {
		r := lives(settings(policy))
		r.mustStart()
		begun := len(r.store.list)
		for range 3 {
			for range 100 {
				r.add(0)
				r.now += 20
				if err := r.Flush(false); err != nil {
					t.Fatal(err)
				}
				r.loop.runPosted()
			}
			if err := r.rewriteNow(); err != nil {
				t.Fatal(err)
			}
		}
		r.add(0)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		names, _ := vfs.OS{}.List(filepath.Join(dir, "appendonlydir"))
		if len(names) != 3 {
			t.Error(names)
		}
		f, err := os.OpenFile(filepath.Join(dir, "appendonlydir", r.name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("*2\r\n$3\r\nAD")
		f.Close()
		next := lives(settings(policy))
		status, err := next.load()
		if n, e := inOrder(next.store.list); status != Truncated || err != nil || e != nil || n != begun+301 {
			t.Fatal(status, err, e, n, strings.Join(next.logs, "\n"))
		}
		var report strings.Builder
		if err := Check(&report, filepath.Join(dir, "appendonlydir", "appendonly.aof.manifest"), CheckOptions{CheckRDB: checkFake}); err != nil {
			t.Error(report.String())
		}
	}
}
