package config

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
)

// memFS is a file system in memory that can fail at a named step. Where FS is
// set, reading goes to it.
type memFS struct {
	FS
	files map[string]string
	modes map[string]fs.FileMode
	fail  string // the step that fails: "write", "sync", …
	call  func(step string)
	steps []string // what happened
}

var errDisk = syscall.ENOSPC

func (m *memFS) step(name string) error {
	m.steps = append(m.steps, name)
	if m.call != nil {
		m.call(name)
	}
	if m.fail == name {
		return errDisk
	}
	return nil
}

func (m *memFS) Getwd() (string, error) { return "/", nil }

func (m *memFS) Chdir(string) error { return nil }

func (m *memFS) ResolveDir(p string) (string, error) { return path.Clean(p), nil }

func (m *memFS) ReadFile(name string) ([]byte, error) {
	if m.FS != nil {
		return m.FS.ReadFile(name)
	}
	if err := m.step("read"); err != nil {
		return nil, err
	}
	if s, ok := m.files[name]; ok {
		return []byte(s), nil
	}
	return nil, syscall.ENOENT
}

func (m *memFS) Glob(pattern string) ([]string, error) {
	var out []string
	for name := range m.files {
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

type nopFile struct{ io.Writer }

func (nopFile) Close() error { return nil }

func (m *memFS) Append(name string) (io.WriteCloser, error) {
	if strings.Contains(name, "/nonexistent/") {
		return nil, syscall.ENOENT
	}
	return nopFile{io.Discard}, nil
}

func (m *memFS) Mode(name string) (fs.FileMode, error) {
	if err := m.step("mode"); err != nil {
		return 0, err
	}
	if _, ok := m.files[name]; !ok {
		return 0, syscall.ENOENT
	}
	return m.modes[name], nil
}

type memFile struct {
	m    *memFS
	name string
}

func (m *memFS) CreateTemp(name string, perm fs.FileMode) (TempFile, error) {
	if err := m.step("create"); err != nil {
		return nil, err
	}
	m.files[name+".tmp"] = ""
	m.modes[name+".tmp"] = perm &^ 0o022
	return &memFile{m, name + ".tmp"}, nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.m.step("write"); err != nil {
		f.m.files[f.name] += string(p[:len(p)/2])
		return len(p) / 2, err
	}
	f.m.files[f.name] += string(p)
	return len(p), nil
}

func (f *memFile) Chmod(mode fs.FileMode) error {
	f.m.modes[f.name] = mode
	return f.m.step("chmod")
}

func (f *memFile) Sync() error  { return f.m.step("sync") }
func (f *memFile) Close() error { return f.m.step("close") }

func (m *memFS) Rename(from, to string) error {
	if err := m.step("rename"); err != nil {
		return err
	}
	if _, ok := m.files[from]; !ok {
		return errors.New("renamed a file that does not exist")
	}
	m.files[to], m.modes[to] = m.files[from], m.modes[from]
	delete(m.files, from)
	delete(m.modes, from)
	return nil
}

func (m *memFS) Remove(name string) error {
	delete(m.files, name)
	delete(m.modes, name)
	return m.step("remove")
}

func (m *memFS) SyncDir(string) error { return m.step("syncdir") }
