// Package vfs has the file operations that the server needs. The interface is small, so that a test can use a file system
// that fails where the test wants and that loses all data which was not synced. Dumps, the append-only file, and the files of
// the configuration and of users are written through it.
//
// # What a caller may assume
//
// Names are paths of the operating system. Bytes of a successful Write survive the end of the process; only bytes before a
// successful File.Sync survive a power failure. Other processes see at once that a file was created, renamed or removed, but
// this survives a power failure only if FS.SyncDir of the folder has returned since. Errors wrap the syscall.Errno if there
// is one: Text returns its text of strerror(3).
//
// A File may be written by one goroutine while another calls Sync.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// FS is a file system.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create opens a file for writing and empties it, or creates it (mode 0644).
	Create(name string) (File, error)
	// Append opens a file for writing at its end, or creates it (mode 0644).
	Append(name string) (File, error)
	// CreateTemp creates a new file for writing in the folder of name, and returns its name. The umask applies to perm.
	CreateTemp(name string, perm fs.FileMode) (f File, temp string, err error)
	// Truncate cuts the named file to size bytes.
	Truncate(name string, size int64) error
	// Mode returns the permission bits of a file, and Chmod sets them.
	Mode(name string) (fs.FileMode, error)
	Chmod(name string, mode fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	// Size returns the length of a regular file in bytes; fs.ErrNotExist if there is none.
	Size(name string) (int64, error)
	// Mkdir creates a folder (mode 0755). It is no error if the folder exists.
	Mkdir(name string) error
	// List returns the names in a folder, in no order.
	List(dir string) ([]string, error)
	// SyncDir syncs the names in a folder.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Seeker
	io.Closer
	// WriteAt overwrites existing bytes. It may fail on a file opened with Append.
	io.WriterAt
	// Sync syncs the content: with fdatasync(2) where it exists.
	Sync() error
	Truncate(size int64) error
}

// OS is the file system of the operating system.
type OS struct{}

// file is an os.File whose Sync does not sync metadata that is not needed, such as the time of the last change.
type file struct{ *os.File }

func (f file) Sync() error { return datasync(f.File) }

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Open implements FS.
func (OS) Open(name string) (File, error) { return open(name, os.O_RDONLY) }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
}

// Append implements FS.
func (OS) Append(name string) (File, error) {
	return open(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
}

// CreateTemp implements FS. The name is that of the file with the process and a number behind it.
func (OS) CreateTemp(name string, perm fs.FileMode) (File, string, error) {
	// os.CreateTemp would not let the umask decide.
	for n := 0; ; n++ {
		temp := fmt.Sprintf("%s.%d-%d", name, os.Getpid(), n)
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
		if err == nil {
			return file{f}, temp, nil
		}
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return nil, "", err
		}
	}
}

// Mode implements FS.
func (OS) Mode(name string) (fs.FileMode, error) {
	st, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	return st.Mode().Perm(), nil
}

// Chmod implements FS.
func (OS) Chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }

// Truncate implements FS.
func (OS) Truncate(name string, size int64) error { return os.Truncate(name, size) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Size implements FS.
func (OS) Size(name string) (int64, error) {
	st, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, &fs.PathError{Op: "stat", Path: name, Err: syscall.EISDIR}
	}
	return st.Size(), nil
}

// Mkdir implements FS.
func (OS) Mkdir(name string) error {
	err := os.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if st, e := os.Stat(name); e == nil && st.IsDir() {
			return nil
		}
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	return err
}

// List implements FS.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// SyncDir implements FS. As in Redis, it is no error if the file system does not support it.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.Sync()
	if errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// ReadFile returns the content of a file.
func ReadFile(disk FS, name string) ([]byte, error) {
	f, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Text returns the text of strerror(3) for the error number that err wraps, or err's own text if it wraps none.
func Text(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			no = syscall.ENOENT
		case err == nil:
			return "Success"
		default:
			return err.Error()
		}
	}
	// The texts of package syscall are those of strerror(3) with a small first letter.
	b := []byte(no.Error())
	if len(b) > 0 && 'a' <= b[0] && b[0] <= 'z' {
		b[0] -= 'a' - 'A'
	}
	return string(b)
}
