package config

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"ferrous/rdb/vfs"

	"golang.org/x/sys/unix"
)

// FS has the file operations that the package needs. Tests use one that fails.
type FS interface {
	vfs.FS
	// Getwd returns the absolute working directory with symbolic links resolved.
	Getwd() (string, error)
	// Chdir changes the working directory of the process.
	Chdir(dir string) error
	// ResolveDir returns path with symbolic links resolved, or the error that
	// chdir(2) would give.
	ResolveDir(path string) (string, error)
	// Glob returns the files that match a pattern of glob(3), sorted.
	Glob(pattern string) ([]string, error)
	// OpenLog opens a log file for appending and creates it when it is missing.
	OpenLog(name string) (io.Closer, error)
}

// osFS is the real file system.
type osFS struct{ vfs.OS }

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

func (osFS) Glob(pattern string) ([]string, error) {
	// glob(3) negates a set with "!", Go with "^"; and wildcards of glob(3) do
	// not match a leading dot.
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

func (osFS) OpenLog(name string) (io.Closer, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
}

// ErrorText returns the text of a system error as in Redis's messages.
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
