package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestOS(t *testing.T) {
	var d OS
	dir := filepath.Join(t.TempDir(), "d")
	name := filepath.Join(dir, "f")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(d.Mkdir(dir))
	must(d.Mkdir(dir))
	f, err := d.Create(name)
	must(err)
	_, err = f.Write([]byte("hello"))
	must(err)
	_, err = f.WriteAt([]byte("J"), 0)
	must(err)
	must(f.Sync())
	must(f.Truncate(4))
	must(f.Close())
	if err := f.Sync(); err == nil {
		t.Error("Sync of a closed file")
	}
	f, err = d.Append(name)
	must(err)
	_, err = f.Write([]byte("y"))
	must(err)
	must(f.Close())
	must(d.Truncate(name, 5))
	if n, err := d.Size(name); n != 5 || err != nil {
		t.Error(n, err)
	}
	must(d.Rename(name, name+"2"))
	f, err = d.Open(name + "2")
	must(err)
	_, err = f.Seek(1, io.SeekStart)
	must(err)
	if b, err := io.ReadAll(f); string(b) != "elly" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	f.Close()
	must(d.SyncDir(dir))
	if names, err := d.List(dir); !slices.Equal(names, []string{"f2"}) || err != nil {
		t.Error(names, err)
	}
	if _, err := d.Size(dir); !errors.Is(err, syscall.EISDIR) {
		t.Error(err)
	}
	if err := d.Mkdir(name + "2"); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
	must(d.Remove(name + "2"))
	if _, err := d.Size(name); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if d.SyncDir(name) == nil {
		t.Error("SyncDir of nothing")
	}
	if _, err := d.List(name); err == nil {
		t.Error("List of nothing")
	}
	if _, err := d.Open(name); err == nil {
		t.Error("Open of nothing")
	}
}

func TestText(t *testing.T) {
	_, err := os.Open("/nonexistent")
	for _, c := range []struct {
		err  error
		want string
	}{
		{err, "No such file or directory"},
		{fmt.Errorf("x: %w", syscall.ENOSPC), "No space left on device"},
		{syscall.EIO, "Input/output error"},
		{fs.ErrNotExist, "No such file or directory"},
		{errors.New("own words"), "own words"},
		{nil, "Success"},
	} {
		if got := Text(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
