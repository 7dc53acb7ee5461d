package commands

import (
	"path/filepath"
	"sync/atomic"

	"ferrous/datatypes/keyspace"
	"ferrous/rdb"
	"ferrous/rdb/vfs"
)

// The file of a dump: written under a temporary name, brought to disk, renamed, and the name brought to disk. Whatever
// fails and whenever the machine ends, the name dbfilename stands for the old dump or for the whole new one.

// fileSync is how many bytes are written between two fsyncs with rdb-save-incremental-fsync.
const fileSync = 4 << 20

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

// syncEvery is after how many bytes a dump is brought to disk, 0 for only at its end.
func (s *Server) syncEvery() int {
	if s.Config.RDBSaveIncrementalFsync {
		return fileSync
	}
	return 0
}

// A tempFile is where the name of a file stands while a dump is written to it.
type tempFile = atomic.Pointer[string]

// writeDump writes a snapshot to the file temp in the folder of path, whose place it takes at the end. at is told of it
// meanwhile. every is syncEvery's, o saveOptions'. commit is asked before the file takes the place; nil means yes. Any
// goroutine may call it.
func (s *Server) writeDump(path, temp string, at *tempFile, snap *keyspace.Snapshot, o rdb.Options, every int, commit func() error) (err error) {
	disk, dir := s.persist.disk, filepath.Dir(path)
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
	if err = rdb.Save(sf, snap, &o); err != nil {
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

// Abandon removes what an end in the middle of a save, a rewrite or the writing of a configuration would leave behind. Any
// goroutine may call it, before the process ends.
func (s *Server) Abandon() {
	for _, at := range []*tempFile{&s.persist.temp, &s.persist.savingTemp} {
		if temp := at.Load(); temp != nil {
			_ = s.persist.disk.Remove(*temp)
		}
	}
	s.aof.file.Abandon()
	s.Config.Abandon()
}
