package config

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"ferrous/rdb/memfs"
	"ferrous/rdb/vfs"
)

var errDisk = syscall.ENOSPC

// memFS is a disk in memory, in whose root the server works.
type memFS struct{ *memfs.FS }

func newMemFS(files map[string]string) memFS {
	m := memFS{memfs.New()}
	for name, text := range files {
		m.WriteFile(name, text)
	}
	return m
}

// text returns what a file holds, "" if it is not there.
func (m memFS) text(name string) string {
	b, _ := m.ReadFile(name)
	return string(b)
}

func (memFS) Getwd() (string, error) { return "/", nil }

func (memFS) Chdir(string) error { return nil }

func (memFS) ResolveDir(p string) (string, error) { return path.Clean(p), nil }

func (m memFS) Glob(pattern string) ([]string, error) {
	names, err := m.List(path.Dir(pattern))
	if err != nil {
		return nil, nil
	}
	var out []string
	for _, base := range names {
		name := path.Join(path.Dir(pattern), base)
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (memFS) OpenLog(name string) (io.Closer, error) {
	if strings.Contains(name, "/nonexistent/") {
		return nil, syscall.ENOENT
	}
	return io.NopCloser(nil), nil
}

// quietFS is the real disk, of which the server changes nothing when it loads a file.
type quietFS struct{ osFS }

func (quietFS) Chdir(string) error { return nil }

func (quietFS) ResolveDir(p string) (string, error) { return path.Clean(p), nil }

func (quietFS) OpenLog(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// fails makes a step fail from now on: one of memfs, or a call that is none.
func (m memFS) fails(step string) {
	m.Inject = func(op memfs.Op, _ string, size int) *memfs.Fault {
		if string(op) == step {
			return &memfs.Fault{Err: errDisk, Written: size / 2}
		}
		return nil
	}
	m.Deny = func(op memfs.Op, _ string) error {
		if string(op) == step {
			return errDisk
		}
		return nil
	}
}

// hookFS calls a function before each step of replacing a file but the first.
type hookFS struct {
	memFS
	before func(step string)
}

func (h hookFS) CreateTemp(name string, perm fs.FileMode) (vfs.File, string, error) {
	f, temp, err := h.memFS.CreateTemp(name, perm)
	return hookFile{f, h}, temp, err
}

func (h hookFS) Chmod(name string, mode fs.FileMode) error {
	h.before("chmod")
	return h.memFS.Chmod(name, mode)
}

func (h hookFS) Rename(from, to string) error {
	h.before("rename")
	return h.memFS.Rename(from, to)
}

func (h hookFS) SyncDir(dir string) error {
	h.before("syncdir")
	return h.memFS.SyncDir(dir)
}

type hookFile struct {
	vfs.File
	fs hookFS
}

func (f hookFile) Write(p []byte) (int, error) {
	f.fs.before("write")
	return f.File.Write(p)
}

func (f hookFile) Sync() error {
	f.fs.before("sync")
	return f.File.Sync()
}

func (f hookFile) Close() error {
	f.fs.before("close")
	return f.File.Close()
}
