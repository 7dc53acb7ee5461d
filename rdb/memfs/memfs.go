// Package memfs is a file system in memory whose failures and crashes a test controls. It implements vfs.FS.
//
// # What is modelled
//
// Each file has two contents, and each folder two sets of names: what processes see, and what is on the disk. Write,
// Create, Rename and Remove change the first; Sync of a file and SyncDir of a folder copy the first onto the second. After
// a crash a new FS is made from one of them:
//
//	Kill   the process ended: everything that processes saw is there
//	Power  the machine ended: only what was on the disk is there
//	Torn   the machine ended, and the kernel had written some by itself: names as with Power, but of what was
//	       appended to a file since its last Sync the first half is there
//
// A failed Sync behaves as on Linux: its bytes count as written from then on, but are zeros on the disk for ever, and a later
// Sync of the same file returns no error.
//
// # Steps and faults
//
// Every call that changes something is a step; Steps counts them. Inject is called before each step and may make it fail, a
// Write after some of its bytes; Deny may make calls fail that only read. With CrashAt = k the k-th step and all calls after
// it fail with ErrCrashed and change nothing. So a test with k = 1, 2, 3 … stops a program between any two of its steps.
//
// An FS may be used by many goroutines.
package memfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"ferrous/rdb/vfs"
)

// ErrCrashed is the error of every call after the crash.
var ErrCrashed = errors.New("memfs: crashed")

// Op names a kind of step.
type Op string

// The steps.
const (
	OpCreate   Op = "create"
	OpAppend   Op = "append" // of an existing file it is no step
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpTruncate Op = "truncate"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
	OpMkdir    Op = "mkdir"
	OpSyncDir  Op = "syncdir"
	OpChmod    Op = "chmod"
)

// The calls that are no steps.
const (
	OpOpen  Op = "open" // for reading, or for appending to an existing file
	OpRead  Op = "read"
	OpStat  Op = "stat"
	OpList  Op = "list"
	OpClose Op = "close"
)

// Fault is how a step fails.
type Fault struct {
	Err error
	// Written is the number of bytes that a Write writes before it fails.
	Written int
}

// Loss is a kind of crash: it decides which contents remain.
type Loss int

// The kinds of crash; see the head of the package.
const (
	Kill Loss = iota
	Power
	Torn
)

// node is the content of a file.
type node struct {
	data []byte      // what processes see
	disk []byte      // what is on the disk
	lost [][2]int    // ranges of data that a failed Sync has lost
	mode fs.FileMode // not affected by Sync
}

// folder is one folder's names.
type folder struct {
	seen, disk map[string]*node
	durable    bool // its own name is on the disk
}

// FS is the file system. Make it with New.
type FS struct {
	// Inject, if not nil, is called before each step, under the lock: it must not call the FS. If it returns nil the step
	// does not fail.
	Inject func(op Op, name string, size int) *Fault
	// Deny, if not nil, is called before each call that is no step, under the lock. Its error is the error of the call.
	Deny func(op Op, name string) error
	// CrashAt is the number of the step at which everything stops; 0 for never.
	CrashAt int

	mu      sync.Mutex
	folders map[string]*folder
	steps   int
	crashed bool
	space   int // bytes that may still be written; -1 for no limit
	log     []string
}

// New makes a file system with a root folder, "." or "/".
func New() *FS {
	return &FS{
		folders: map[string]*folder{
			".": {seen: map[string]*node{}, disk: map[string]*node{}, durable: true},
			"/": {seen: map[string]*node{}, disk: map[string]*node{}, durable: true},
		},
		space: -1,
	}
}

// Steps returns how many steps have been done or have failed.
func (m *FS) Steps() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps
}

// Log returns the steps as "op name", in order.
func (m *FS) Log() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.log)
}

// Crashed reports whether the crash has happened.
func (m *FS) Crashed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.crashed
}

// SetSpace sets the number of bytes that may still be written before writes fail with ENOSPC; -1 for no limit.
func (m *FS) SetSpace(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = n
}

// SetInject changes Inject while other goroutines use the FS.
func (m *FS) SetInject(fn func(op Op, name string, size int) *Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Inject = fn
}

// After returns the file system after a crash. m does not change.
func (m *FS) After(loss Loss) *FS {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := New()
	for name, dir := range m.folders {
		if loss != Kill && !dir.durable {
			continue
		}
		from := dir.seen
		if loss != Kill {
			from = dir.disk
		}
		d := &folder{seen: map[string]*node{}, disk: map[string]*node{}, durable: true}
		for base, n := range from {
			content := n.disk
			switch loss {
			case Kill:
				content = n.data
			case Torn:
				if now := n.onDisk(); len(now) > len(content) {
					content = append(slices.Clone(content), now[len(content):len(content)+(len(now)-len(content))/2]...)
				}
			}
			c := &node{data: slices.Clone(content), disk: slices.Clone(content), mode: n.mode}
			d.seen[base], d.disk[base] = c, c
		}
		out.folders[name] = d
	}
	return out
}

// onDisk returns the content on the disk after a successful Sync.
func (n *node) onDisk() []byte {
	b := slices.Clone(n.data)
	for _, r := range n.lost {
		if r[0] < len(b) {
			clear(b[r[0]:min(r[1], len(b))])
		}
	}
	return b
}

// step counts a step and returns its fault.
func (m *FS) step(op Op, name string, size int) *Fault {
	if m.crashed {
		return &Fault{Err: ErrCrashed}
	}
	m.steps++
	if m.steps == m.CrashAt {
		m.crashed = true
		return &Fault{Err: ErrCrashed}
	}
	m.log = append(m.log, string(op)+" "+name)
	if m.Inject != nil {
		if f := m.Inject(op, name, size); f != nil {
			return &Fault{Err: &fs.PathError{Op: string(op), Path: name, Err: f.Err}, Written: f.Written}
		}
	}
	return nil
}

// denied returns the error of Deny, or ErrCrashed.
func (m *FS) denied(op Op, name string) error {
	if m.crashed {
		return ErrCrashed
	}
	if m.Deny != nil {
		if err := m.Deny(op, name); err != nil {
			return &fs.PathError{Op: string(op), Path: name, Err: err}
		}
	}
	return nil
}

func missing(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
}

// find returns the folder of a name and the name in it.
func (m *FS) find(name string) (*folder, string) {
	name = path.Clean(name)
	return m.folders[path.Dir(name)], path.Base(name)
}

func (m *FS) lookup(op, name string) (*node, error) {
	if m.crashed {
		return nil, ErrCrashed
	}
	dir, base := m.find(name)
	if m.folders[path.Clean(name)] != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: syscall.EISDIR}
	}
	if dir == nil || dir.seen[base] == nil {
		return nil, missing(op, name)
	}
	return dir.seen[base], nil
}

// Open implements vfs.FS.
func (m *FS) Open(name string) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.denied(OpOpen, name); err != nil {
		return nil, err
	}
	n, err := m.lookup("open", name)
	if err != nil {
		return nil, err
	}
	return &file{fs: m, node: n, name: name, read: true}, nil
}

// Create implements vfs.FS.
func (m *FS) Create(name string) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base := m.find(name)
	if f := m.step(OpCreate, name, 0); f != nil {
		return nil, f.Err
	}
	if dir == nil {
		return nil, missing("create", name)
	}
	n := dir.seen[base]
	if n == nil {
		n = &node{mode: defaultMode}
		dir.seen[base] = n
	}
	// A file system with delayed allocation may truncate on the disk at once.
	n.data, n.disk, n.lost = nil, nil, nil
	return &file{fs: m, node: n, name: name}, nil
}

// defaultMode is the mode of files that were created without one.
const defaultMode = 0o644

// umask is the umask of the process.
const umask = 0o022

// CreateTemp implements vfs.FS.
func (m *FS) CreateTemp(name string, perm fs.FileMode) (vfs.File, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	temp := name + ".tmp"
	if f := m.step(OpCreate, temp, 0); f != nil {
		return nil, "", f.Err
	}
	dir, base := m.find(temp)
	switch {
	case dir == nil:
		return nil, "", missing("open", temp)
	case dir.seen[base] != nil:
		return nil, "", &fs.PathError{Op: "open", Path: temp, Err: syscall.EEXIST}
	}
	n := &node{mode: perm &^ umask}
	dir.seen[base] = n
	return &file{fs: m, node: n, name: temp}, temp, nil
}

// Mode implements vfs.FS.
func (m *FS) Mode(name string) (fs.FileMode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.denied(OpStat, name); err != nil {
		return 0, err
	}
	n, err := m.lookup("stat", name)
	if err != nil {
		return 0, err
	}
	return n.mode, nil
}

// Chmod implements vfs.FS.
func (m *FS) Chmod(name string, mode fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.step(OpChmod, name, 0); f != nil {
		return f.Err
	}
	n, err := m.lookup("chmod", name)
	if err == nil {
		n.mode = mode
	}
	return err
}

// Append implements vfs.FS.
func (m *FS) Append(name string) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("open", name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if f := m.step(OpAppend, name, 0); f != nil {
			return nil, f.Err
		}
		dir, base := m.find(name)
		if dir == nil {
			return nil, missing("open", name)
		}
		n = &node{mode: defaultMode}
		dir.seen[base] = n
	} else if err := m.denied(OpOpen, name); err != nil {
		return nil, err
	}
	return &file{fs: m, node: n, name: name, end: true}, nil
}

// Truncate implements vfs.FS.
func (m *FS) Truncate(name string, size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.step(OpTruncate, name, int(size)); f != nil {
		return f.Err
	}
	n, err := m.lookup("truncate", name)
	if err == nil {
		n.truncate(size)
	}
	return err
}

func (n *node) truncate(size int64) {
	for int64(len(n.data)) < size {
		n.data = append(n.data, 0)
	}
	n.data = slices.Clip(n.data[:size])
	n.lost = slices.DeleteFunc(n.lost, func(r [2]int) bool { return r[0] >= int(size) })
}

// Rename implements vfs.FS.
func (m *FS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.step(OpRename, to, 0); f != nil {
		return f.Err
	}
	n, err := m.lookup("rename", from)
	if err != nil {
		return err
	}
	src, old := m.find(from)
	dst, base := m.find(to)
	if dst == nil {
		return missing("rename", to)
	}
	delete(src.seen, old)
	dst.seen[base] = n
	return nil
}

// Remove implements vfs.FS.
func (m *FS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.step(OpRemove, name, 0); f != nil {
		return f.Err
	}
	if _, err := m.lookup("remove", name); err != nil {
		return err
	}
	dir, base := m.find(name)
	delete(dir.seen, base)
	return nil
}

// Size implements vfs.FS.
func (m *FS) Size(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.denied(OpStat, name); err != nil {
		return 0, err
	}
	n, err := m.lookup("stat", name)
	if err != nil {
		return 0, err
	}
	return int64(len(n.data)), nil
}

// Mkdir implements vfs.FS.
func (m *FS) Mkdir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	if m.folders[name] != nil && !m.crashed {
		return nil
	}
	if f := m.step(OpMkdir, name, 0); f != nil {
		return f.Err
	}
	if dir, base := m.find(name); dir == nil || dir.seen[base] != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	m.folders[name] = &folder{seen: map[string]*node{}, disk: map[string]*node{}}
	return nil
}

// List implements vfs.FS.
func (m *FS) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.denied(OpList, dir); err != nil {
		return nil, err
	}
	dir = path.Clean(dir)
	d := m.folders[dir]
	if d == nil {
		return nil, missing("open", dir)
	}
	names := slices.Collect(maps.Keys(d.seen))
	for name := range m.folders {
		if path.Dir(name) == dir && name != dir {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// SyncDir implements vfs.FS.
func (m *FS) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = path.Clean(dir)
	if f := m.step(OpSyncDir, dir, 0); f != nil {
		return f.Err
	}
	d := m.folders[dir]
	if d == nil {
		return missing("open", dir)
	}
	d.disk = maps.Clone(d.seen)
	for name, sub := range m.folders {
		if path.Dir(name) == dir {
			sub.durable = true
		}
	}
	return nil
}

// ReadFile returns what processes see in a file.
func (m *FS) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup("open", name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(n.data), nil
}

// WriteFile creates a file, also on the disk, and its folder. It is no step.
func (m *FS) WriteFile(name string, data string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = strings.TrimSuffix(path.Clean(name), "/")
	dir := m.folders[path.Dir(name)]
	if dir == nil {
		dir = &folder{seen: map[string]*node{}, disk: map[string]*node{}, durable: true}
		m.folders[path.Dir(name)] = dir
	}
	n := &node{data: []byte(data), disk: []byte(data), mode: defaultMode}
	dir.seen[path.Base(name)], dir.disk[path.Base(name)] = n, n
}

// file is an open file.
type file struct {
	fs        *FS
	node      *node
	name      string
	off       int
	read, end bool
	closed    bool
}

func (f *file) Read(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.denied(OpRead, f.name); err != nil {
		return 0, err
	}
	if f.off >= len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.off:])
	f.off += n
	return n, nil
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += int64(f.off)
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	f.off = int(offset)
	return offset, nil
}

func (f *file) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.end {
		f.off = len(f.node.data)
	}
	n, err := f.put(p, f.off)
	f.off += n
	return n, err
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.end {
		return 0, errors.New("memfs: WriteAt on a file opened for appending")
	}
	return f.put(p, int(off))
}

func (f *file) put(p []byte, off int) (int, error) {
	if f.closed || f.read {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.EBADF}
	}
	var err error
	if fault := f.fs.step(OpWrite, f.name, len(p)); fault != nil {
		if errors.Is(fault.Err, ErrCrashed) {
			return 0, ErrCrashed
		}
		p, err = p[:min(fault.Written, len(p))], fault.Err
	}
	if f.fs.space >= 0 && len(p) > f.fs.space {
		p, err = p[:f.fs.space], &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	if f.fs.space >= 0 {
		f.fs.space -= len(p)
	}
	n := f.node
	for len(n.data) < off {
		n.data = append(n.data, 0)
	}
	k := copy(n.data[off:], p)
	n.data = append(n.data, p[k:]...)
	return len(p), err
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "sync", Path: f.name, Err: syscall.EBADF}
	}
	n := f.node
	if fault := f.fs.step(OpSync, f.name, len(n.data)-len(n.disk)); fault != nil {
		if !errors.Is(fault.Err, ErrCrashed) && len(n.data) > len(n.disk) {
			n.lost = append(n.lost, [2]int{len(n.disk), len(n.data)})
			n.disk = n.onDisk()
		}
		return fault.Err
	}
	n.disk = n.onDisk()
	return nil
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault := f.fs.step(OpTruncate, f.name, int(size)); fault != nil {
		return fault.Err
	}
	f.node.truncate(size)
	return nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	return f.fs.denied(OpClose, f.name)
}
