// Package vfs is what the server needs of a disk: an interface small enough that a test can put a file system in its place
// that fails where a test wants it to and forgets what was never forced to disk. Dumps, the append-only file, and the files of
// the configuration and of users are written through it.
//
// # What a caller may assume
//
// Names are paths as the operating system has them. What Write returned without an error survives the end of the process;
// only what File.Sync has returned for survives the end of the machine. The same holds for names: a file that was created,
// renamed or removed is so for other processes at once, but after a power failure only if FS.SyncDir has returned for the
// folder since. Errors wrap the syscall.Errno where there is one: Text gives its words as strerror(3) does.
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
	// Create opens a file for writing, empties it, and makes it if it is not there (mode 0644).
	Create(name string) (File, error)
	// Append opens a file so that each Write goes to its end, and makes it if it is not there (mode 0644).
	Append(name string) (File, error)
	// CreateTemp makes a new file beside the one of that name, for writing, and returns its name. The umask applies to perm.
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
	// Mkdir makes a folder (mode 0755). One that is there already is no error.
	Mkdir(name string) error
	// List returns the names in a folder, in no order.
	List(dir string) ([]string, error)
	// SyncDir forces the names in a folder to disk.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Seeker
	io.Closer
	// WriteAt overwrites bytes that are there. It may fail on a file opened with Append.
	io.WriterAt
	// Sync forces the content to disk: fdatasync(2) where there is one.
	Sync() error
	Truncate(size int64) error
}

// OS is the file system of the operating system.
type OS struct{}

// file adds to os.File a Sync that leaves out what nobody reads, such as the time of the last change.
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

// SyncDir implements FS. A file system that knows no such thing is taken to need none, as Redis does.
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

// Text returns the words of strerror(3) for the error number that err wraps, and err's own words where it wraps none.
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
	// The table of package syscall is that of strerror(3) with a small first letter.
	b := []byte(no.Error())
	if len(b) > 0 && 'a' <= b[0] && b[0] <= 'z' {
		b[0] -= 'a' - 'A'
	}
	return string(b)
}
