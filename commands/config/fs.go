package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// FS is what the package needs of the disk. Tests put a file system that fails
// in its place.
type FS interface {
	// Getwd returns the absolute working directory with symbolic links resolved.
	Getwd() (string, error)
	// Chdir changes the working directory of the process.
	Chdir(dir string) error
	// ResolveDir returns path with symbolic links resolved, or the error that
	// chdir(2) would give.
	ResolveDir(path string) (string, error)
	ReadFile(name string) ([]byte, error)
	// Glob returns the files that match a pattern of glob(3), sorted.
	Glob(pattern string) ([]string, error)
	// Append opens a file for appending and creates it when it is missing.
	Append(name string) (io.WriteCloser, error)
	// Mode returns the permission bits of a file.
	Mode(name string) (fs.FileMode, error)
	// CreateTemp creates a new file beside name; the umask applies to perm.
	CreateTemp(name string, perm fs.FileMode) (TempFile, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir forces the directory that holds name to disk.
	SyncDir(name string) error
}

// TempFile is a file that is being written.
type TempFile interface {
	io.WriteCloser
	Name() string
	Chmod(mode fs.FileMode) error
	Sync() error
}

// osFS is the real file system.
type osFS struct{}

func (osFS) Getwd() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func (osFS) Chdir(dir string) error { return os.Chdir(dir) }

func (osFS) ResolveDir(path string) (string, error) {
	dir, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !st.IsDir() {
		return "", syscall.ENOTDIR
	}
	return dir, unix.Access(dir, unix.X_OK)
}

func (osFS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (osFS) Glob(pattern string) ([]string, error) {
	// glob(3) negates a set with "!", Go with "^"; and it keeps names that begin
	// with a dot from wildcards.
	found, err := filepath.Glob(strings.ReplaceAll(pattern, "[!", "[^"))
	if err != nil {
		return nil, err
	}
	want := strings.Split(filepath.Clean(pattern), "/")
	out := found[:0]
next:
	for _, name := range found {
		parts := strings.Split(filepath.Clean(name), "/")
		for i, p := range parts {
			if strings.HasPrefix(p, ".") && i < len(want) && strings.IndexAny(want[i], "*?[") == 0 {
				continue next
			}
		}
		out = append(out, name)
	}
	return out, nil
}

func (osFS) Append(name string) (io.WriteCloser, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
}

func (osFS) Mode(name string) (fs.FileMode, error) {
	st, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return st.Mode().Perm(), nil
}

func (osFS) CreateTemp(name string, perm fs.FileMode) (TempFile, error) {
	// os.CreateTemp would not let the umask decide.
	for n := 0; ; n++ {
		temp := fmt.Sprintf("%s.%d-%d", name, os.Getpid(), n)
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return nil, err
		}
	}
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(name string) error { return os.Remove(name) }

func (osFS) SyncDir(name string) error {
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// ErrorText words an error of the system as the messages of Redis do.
func ErrorText(err error) string { return errorText(err) }

// errorText returns an error of the system in the words of C's strerror, which
// begin with a capital letter where Go's do not.
func errorText(err error) string {
	var errno syscall.Errno
	text := err.Error()
	if errors.As(err, &errno) {
		text = errno.Error()
	}
	if text != "" && text[0] >= 'a' && text[0] <= 'z' {
		text = string(text[0]-'a'+'A') + text[1:]
	}
	return text
}
