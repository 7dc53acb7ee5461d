package rdb

import (
	"path/filepath"
	"sync/atomic"

	"ferrous/datatypes/keyspace"
	"ferrous/rdb/vfs"
)

// The file of a dump: written under a temporary name, brought to disk, renamed, and the name brought to disk. Whatever
// fails and whenever the machine ends, the name dbfilename stands for the old dump or for the whole new one.

// syncingFile is a file that is brought to disk as it is written, so that no write waits for all of it.
type syncingFile struct {
	vfs.File
	every, since int // bytes; every = 0: only at the end
}

func (f *syncingFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.since += n
	if err == nil && f.every > 0 && f.since >= f.every {
		f.since = 0
		err = f.Sync()
	}
	return n, err
}

// A TempName holds the name of a file while a dump is written to it, so that another goroutine can remove the file when the
// process ends.
type TempName = atomic.Pointer[string]

// SaveFile writes a snapshot to the file temp in the folder of path, and then gives it that path in place of what is there.
// at holds the file's name meanwhile. Every so many bytes the file is forced to disk, or with 0 only at the end. commit is
// asked before the file takes the place; nil means yes. Any goroutine may call it.
func SaveFile(disk vfs.FS, path, temp string, at *TempName, snap *keyspace.Snapshot, o Options, every int, commit func() error) (err error) {
	dir := filepath.Dir(path)
	temp = filepath.Join(dir, temp)
	f, err := disk.Create(temp)
	if err != nil {
		return err
	}
	at.Store(&temp)
	defer func() {
		at.Store(nil)
		if err != nil {
			f.Close()
			_ = disk.Remove(temp) // it is gone if only the folder's fsync has failed
		}
	}()
	sf := &syncingFile{File: f, every: every}
	o.Patch = func(b []byte, at int64) error { _, err := f.WriteAt(b, at); return err }
	if err = Save(sf, snap, &o); err != nil {
		return err
	}
	if o.Stop != nil {
		if err = o.Stop(); err != nil {
			return err
		}
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if commit != nil {
		if err = commit(); err != nil {
			return err
		}
	}
	if err = disk.Rename(temp, path); err != nil {
		return err
	}
	return disk.SyncDir(dir)
}
