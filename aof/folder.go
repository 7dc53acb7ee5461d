package aof

// The folder that holds the files, and the ways to change its content. The files that the manifest names are the data. So
// every change has three steps: force the new files to disk, replace the manifest, delete the old files.
//
// The manifest is written beside the old one, forced to disk, renamed over it, and then the folder is forced to disk. After
// the rename every process reads the new manifest, but until the folder's Sync has returned a power failure may bring back
// the old one. If that Sync fails, either of the two may be on the disk, so both must stay loadable. persist then returns
// visible with the error, and the caller keeps the files of both manifests. (Redis 7.2 removes the new base file then, which
// the manifest names already.)
//
// Temporary names begin with temp- and the name of the append-only file, as several servers may share one folder under
// different names. They mean nothing to the loader; those of a server that crashed are removed when the next one starts.

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"ferrous/rdb/vfs"
)

// Level is the weight of a message for the operator.
type Level int

// The levels, as the directive loglevel has them.
const (
	Debug Level = iota
	Verbose
	Notice
	Warning
)

type logf func(level Level, format string, args ...any)

// folder is where the files are. Its methods may be called from any goroutine, those that write the manifest by one at a
// time.
type folder struct {
	fs   vfs.FS
	root string // the server's working directory
	dir  string // appenddirname below it
	name string // appendfilename
	logf logf

	commit *sync.Mutex // held while a rewrite puts its files in place
}

func (d *folder) path(name string) string { return filepath.Join(d.dir, name) }

func (d *folder) manifestName() string { return d.name + ".manifest" }

func (d *folder) tempIncr() string { return "temp-" + d.name + ".incr" }

func (d *folder) tempBase(n int64) string {
	return "temp-" + d.name + "." + strconv.FormatInt(n, 10) + ".base"
}

// make makes the folder if it is not there.
func (d *folder) make() error {
	if err := d.fs.Mkdir(d.dir); err != nil {
		d.logf(Warning, "Can't open or create append-only dir %s: %s", filepath.Base(d.dir), vfs.Text(err))
		return err
	}
	if err := d.fs.SyncDir(d.root); err != nil {
		d.logf(Warning, "Fail to fsync AOF directory %s: %s.", d.root, vfs.Text(err))
		return err
	}
	return nil
}

// probe makes the folder, if it is not there, and a file in it, which it removes again.
func (d *folder) probe() error {
	if err := d.fs.Mkdir(d.dir); err != nil {
		return err
	}
	f, err := d.fs.Create(d.path(d.tempIncr()))
	if err != nil {
		return err
	}
	err = f.Close()
	d.remove(d.tempIncr())
	return err
}

// readManifest reads the manifest; one that is not there is empty. What is wrong with it has been logged.
func (d *folder) readManifest() (*Manifest, error) {
	name := d.path(d.manifestName())
	data, err := readAll(d.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		d.logf(Debug, "The AOF manifest file %s doesn't exist", d.manifestName())
		return new(Manifest), nil
	}
	if err != nil {
		d.logf(Warning, "Fatal error: can't open the AOF manifest file %s for reading: %s", name, vfs.Text(err))
		return nil, err
	}
	m, err := ParseManifest(data)
	if err != nil {
		for _, line := range err.(*ManifestError).Lines() {
			d.logf(Warning, "%s", line)
		}
		return nil, err
	}
	return m, nil
}

// maxManifest bounds what is read as a manifest: some 60,000 files.
const maxManifest = 4 << 20

var errManifestTooLarge = errors.New("the AOF manifest file is too large")

func readAll(fsys vfs.FS, name string) ([]byte, error) {
	size, err := fsys.Size(name)
	if err != nil {
		return nil, err
	}
	if size > maxManifest {
		return nil, errManifestTooLarge
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxManifest))
}

// persist puts the manifest on the disk. visible says that it has replaced the old one, even where there is an error.
// What went wrong has been logged.
func (d *folder) persist(m *Manifest) (visible bool, err error) {
	temp := "temp-" + d.manifestName()
	f, err := d.fs.Create(d.path(temp))
	if err != nil {
		d.logf(Warning, "Can't open the AOF manifest file %s: %s", temp, vfs.Text(err))
		return false, err
	}
	defer f.Close()
	if _, err = f.Write(m.Append(nil)); err != nil {
		d.logf(Warning, "Error trying to write the temporary AOF manifest file %s: %s", temp, vfs.Text(err))
		return false, err
	}
	if err = f.Sync(); err != nil {
		d.logf(Warning, "Fail to fsync the temp AOF file %s: %s.", temp, vfs.Text(err))
		return false, err
	}
	if err = d.fs.Rename(d.path(temp), d.path(d.manifestName())); err != nil {
		d.logf(Warning, "Error trying to rename the temporary AOF manifest file %s into %s: %s", temp, d.manifestName(), vfs.Text(err))
		return false, err
	}
	if err = d.fs.SyncDir(d.dir); err != nil {
		d.logf(Warning, "Fail to fsync AOF directory %s: %s.", d.path(d.manifestName()), vfs.Text(err))
		return true, err
	}
	return true, nil
}

// remove deletes a file that no manifest names any more. A missing file is no error. Another error is only logged, because
// the file does no harm.
func (d *folder) remove(name string) {
	if err := d.fs.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.logf(Warning, "Can't remove the AOF file %s: %s", name, vfs.Text(err))
	}
}

// dropHistory deletes the history files and removes them from m, which is on the disk. The files are deleted first: the name
// of a missing file does no harm, while a file that no manifest names would stay for ever.
func (d *folder) dropHistory(m *Manifest) {
	if len(m.History) == 0 {
		return
	}
	live := m.files()
	for _, h := range m.History {
		used := false
		for _, f := range live {
			used = used || f.Name == h.Name
		}
		if used || h.Name == d.manifestName() {
			continue // a manifest that somebody edited
		}
		d.logf(Notice, "Removing the history file %s in the background", h.Name)
		d.remove(h.Name)
	}
	less := m.clone()
	less.History = nil
	if visible, _ := d.persist(less); visible {
		m.History = nil
	}
}

// removeTemps deletes what a crash has left.
func (d *folder) removeTemps() {
	names, err := d.fs.List(d.dir)
	if err != nil {
		return // what is not there needs no cleaning; all else fails where it matters
	}
	for _, name := range names {
		if d.isTemp(name) {
			d.logf(Notice, "Removing the temporary AOF file %s that was left over", name)
			d.remove(name)
		}
	}
}

func (d *folder) isTemp(name string) bool {
	if name == d.tempIncr() || name == "temp-"+d.manifestName() {
		return true
	}
	num, ok := strings.CutPrefix(name, "temp-"+d.name+".")
	if !ok {
		return false
	}
	if num, ok = strings.CutSuffix(num, ".base"); !ok || num == "" {
		return false
	}
	return strings.Trim(num, "0123456789") == ""
}
