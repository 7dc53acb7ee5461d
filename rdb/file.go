package rdb

import (
	"path/filepath"
	"sync/atomic"

	"ferrous/datatypes/keyspace"
	"ferrous/rdb/vfs"
)

// Writing the file of a dump: to a temporary file, then fsync, rename, and fsync of the folder. After any error or crash,
// dbfilename is the old dump or the complete new one.

// syncingFile is a file that is synced while it is written, so that the last sync does not wait for the whole file.
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

// A TempName has the name of the temporary file while a dump is written to it, so that another goroutine can remove the file
// when the process ends.
type TempName = atomic.Pointer[string]

// SaveFile writes a snapshot to the file temp in the folder of path, and then renames the file to path. Meanwhile at has the
// file's name. The file is synced after each every bytes, or with 0 only at the end. Before the rename it calls commit, if
// not nil, whose error cancels the save. Any goroutine may call SaveFile.
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
			_ = disk.Remove(temp) // it does not exist if only the folder's fsync has failed
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
