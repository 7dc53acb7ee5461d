package aof

// Loading: the base, then the incremental files, in the order of the manifest. A file begins with the RDB format or with
// commands; one that begins with RDB may go on with commands (Redis 4 to 6 wrote such files).
//
// After a crash the end of a file may be missing. With aof-load-truncated the loader truncates the file before the torn command
// and the server starts; without it the server does not start. If the file ends between MULTI and EXEC, the whole transaction
// is cut off. (Redis 7.2 leaves MULTI in the file if a command after it is torn, and appends to that.) Only the end of the data
// may be cut off: in the last file, or in a file with only empty files behind it, which a power failure between two steps of
// a rewrite may leave. Bytes that are not the beginning of a command are never cut off.
//
// Messages are those of Redis, since tests and operators look for them, with the offset added. An error of Load has been
// logged.

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"ferrous/rdb/vfs"
)

// ErrUnknownCommand is what Loader.Apply returns for a command that there is not.
var ErrUnknownCommand = errors.New("unknown command")

// ErrLoad is what Load returns for files that cannot be loaded. What is wrong with them has been logged.
var ErrLoad = errors.New("the append-only file cannot be loaded")

// Loader has the functions that Load calls with what it reads.
type Loader struct {
	// LoadBase reads an RDB file from r, which has size bytes. n is where the RDB ends; it may have read more.
	LoadBase func(r io.Reader, size int64) (n int64, err error)
	// Apply runs a command. The slices are valid during the call. MULTI and EXEC come like others: what is between them must
	// have no effect before EXEC, which does not come if the file ends before it.
	Apply func(argv [][]byte) error

	// All of these may be nil.

	// Begin is called with the number of bytes to come.
	Begin func(total int64)
	// File is called for each file that is begun. Each is to be run as by a new client: in database 0, outside of MULTI.
	File func(name string)
	// Progress is called every 1024 commands and every 2 MiB of RDB, with the number of bytes read so far. An error ends
	// loading.
	Progress func(loaded int64) error
}

// LoadStatus is what Load has found.
type LoadStatus int

// The results of Load.
const (
	NoFiles   LoadStatus = iota // there is no append-only file
	Empty                       // its files have no bytes
	Loaded                      // all is loaded
	Truncated                   // a torn end was cut off
)

// Progress is called after so many commands, or so many bytes if they come first.
const (
	progressCommands = 1024
	progressBytes    = 2 << 20
)

// loading is one run of Load.
type loading struct {
	*Loader
	a        *AOF
	before   int64 // bytes of the files before
	reported int64
}

// Load loads the files that ReadManifest has found. Before that, it moves the single file of Redis before 7.0 into the
// folder.
func (a *AOF) Load(l *Loader) (LoadStatus, error) {
	if err := a.upgrade(); err != nil {
		return NoFiles, err
	}
	files := a.manifest.files()
	if len(files) == 0 {
		return NoFiles, nil
	}
	sizes := make([]int64, len(files))
	var total int64
	last := 0
	for i, f := range files {
		size, err := a.dir.fs.Size(a.dir.path(f.Name))
		if err != nil {
			a.opt.Logf(Warning, "Unable to obtain the AOF file %s length. stat: %s", f.Name, vfs.Text(err))
			return NoFiles, ErrLoad
		}
		sizes[i] = size
		total += size
		if size > 0 {
			last = i
		}
	}
	if total == 0 {
		return Empty, nil
	}
	if l.Begin != nil {
		l.Begin(total)
	}
	run := &loading{Loader: l, a: a}
	status := Loaded
	for i, f := range files {
		if l.File != nil {
			l.File(f.Name)
		}
		began := time.Now()
		cut, err := run.file(f.Name, sizes[i])
		if err != nil {
			return status, err
		}
		if cut > 0 && i < last {
			a.opt.Logf(Warning, "Fatal error: the truncated file is not the last file")
			return Truncated, ErrLoad
		}
		if cut > 0 {
			if err := a.truncate(f.Name, sizes[i]-cut); err != nil {
				return Truncated, err
			}
			status = Truncated
			total -= cut
			sizes[i] -= cut
		}
		if sizes[i] > 0 {
			a.opt.Logf(Notice, "DB loaded from %s file %s: %.3f seconds", typeName(f.Type), f.Name, time.Since(began).Seconds())
		}
		run.before += sizes[i]
	}
	a.total = total
	if a.manifest.Base != nil {
		a.baseSize = sizes[0]
	}
	return status, nil
}

func typeName(t FileType) string {
	if t == TypeBase {
		return "base"
	}
	return "incr"
}

// file loads one file. cut is how many bytes are torn at its end.
func (l *loading) file(name string, size int64) (cut int64, err error) {
	a := l.a
	if size == 0 {
		return 0, nil
	}
	f, err := a.dir.fs.Open(a.dir.path(name))
	if err != nil {
		a.opt.Logf(Warning, "Fatal error: can't open the append log file %s for reading: %s", name, vfs.Text(err))
		return 0, ErrLoad
	}
	defer f.Close()
	offset, err := l.preamble(f, name, size)
	if err != nil {
		return 0, err
	}
	src := &progressReader{l: l, r: f, n: offset, next: offset + progressBytes}
	r := newCommandReader(src, offset, size)
	valid := offset // where the last command ends that was run, or the last transaction
	multi := false
	for n := 1; ; n++ {
		if n%progressCommands == 0 {
			if err := l.progress(r.offset()); err != nil {
				return 0, err
			}
		}
		argv, err := r.next()
		if err == io.EOF {
			break
		}
		if src.err != nil {
			return 0, src.err
		}
		if err != nil {
			return l.broken(name, size, valid, err)
		}
		if argv == nil {
			if !multi {
				valid = r.offset()
			}
			continue
		}
		switch {
		case isWord(argv[0], "multi"):
			multi = true
		case isWord(argv[0], "exec"):
			multi = false
		}
		if err := l.Apply(argv); err != nil {
			if errors.Is(err, ErrUnknownCommand) {
				a.opt.Logf(Warning, "Unknown command '%s' reading the append only file %s", argv[0], name)
			} else {
				a.opt.Logf(Warning, "Error running the command before offset %d of the append only file %s: %v", r.offset(), name, err)
			}
			return 0, ErrLoad
		}
		if !multi {
			valid = r.offset()
		}
	}
	if multi {
		a.opt.Logf(Warning, "Revert incomplete MULTI/EXEC transaction in AOF file %s", name)
		return l.broken(name, size, valid, errTorn)
	}
	return 0, l.progress(size)
}

// preamble loads the RDB that a file may begin with. It returns where the commands begin.
func (l *loading) preamble(f vfs.File, name string, size int64) (int64, error) {
	a := l.a
	var magic [6]byte
	n, err := io.ReadFull(f, magic[:])
	if err == nil || err == io.ErrUnexpectedEOF {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		a.opt.Logf(Warning, "Unrecoverable error reading the append only file %s: %s", name, vfs.Text(err))
		return 0, ErrLoad
	}
	if !isRDB(magic[:n]) {
		return 0, nil
	}
	what := "RDB base file"
	if name == a.dir.name {
		what = "RDB preamble of the AOF file"
		a.opt.Logf(Notice, "Reading RDB preamble from AOF file...")
	} else {
		a.opt.Logf(Notice, "Reading RDB base file on AOF loading...")
	}
	src := &progressReader{l: l, r: f}
	end, err := l.LoadBase(src, size)
	if src.err != nil {
		return 0, src.err
	}
	if err == nil && (end <= 0 || end > size) {
		err = fmt.Errorf("it ends at offset %d of %d", end, size)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		a.opt.Logf(Warning, "%v", err)
		a.opt.Logf(Warning, "Error reading the %s %s, AOF loading aborted", what, name)
		return 0, ErrLoad
	}
	if end < size && name == a.dir.name {
		a.opt.Logf(Notice, "Reading the remaining AOF tail...")
	}
	return end, l.progress(end)
}

func isRDB(magic []byte) bool {
	return len(magic) >= 5 && string(magic[:5]) == "REDIS" || string(magic) == "VALKEY"
}

func (l *loading) progress(offset int64) error {
	if l.Progress == nil || l.before+offset == l.reported {
		return nil
	}
	l.reported = max(l.reported, l.before+offset) // a command that runs was read before
	return l.Progress(l.reported)
}

// readMost is the most that is read at once, so that Progress is also called while one large command is read.
const readMost = 1 << 20

// progressReader reports what is read of a file: at least once in progressBytes, whatever the keys and commands in it are.
type progressReader struct {
	l    *loading
	r    io.Reader
	n    int64
	next int64
	err  error
}

func (p *progressReader) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.r.Read(b[:min(len(b), readMost)])
	if p.n += int64(n); p.n >= p.next {
		p.next = p.n + progressBytes
		if p.err = p.l.progress(p.n); p.err != nil {
			return 0, p.err
		}
	}
	return n, err
}

// broken handles a file that cannot be read beyond valid: it truncates the file or returns an error.
func (l *loading) broken(name string, size, valid int64, err error) (cut int64, _ error) {
	a := l.a
	var bad *formatError
	switch {
	case errors.As(err, &bad):
		a.opt.Logf(Warning, "Bad file format reading the append only file %s: make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest> (offset %d: %s)",
			name, bad.offset, bad.reason)
		return 0, ErrLoad
	case !errors.Is(err, errTorn):
		a.opt.Logf(Warning, "Unrecoverable error reading the append only file %s: %s", name, vfs.Text(err))
		return 0, ErrLoad
	case a.Settings.LoadTruncated:
		a.opt.Logf(Warning, "!!! Warning: short read while loading the AOF file %s!!!", name)
		return size - valid, nil
	}
	a.opt.Logf(Warning, "Unexpected end of file reading the append only file %s. You can: "+
		"1) Make a backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. "+
		"2) Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server. (the last complete command ends at offset %d)",
		name, valid)
	return 0, ErrLoad
}

// truncate cuts a torn end off.
func (a *AOF) truncate(name string, size int64) error {
	a.opt.Logf(Warning, "!!! Truncating the AOF %s at offset %d !!!", name, size)
	path := a.dir.path(name)
	err := a.dir.fs.Truncate(path, size)
	if err == nil {
		var f vfs.File
		if f, err = a.dir.fs.Append(path); err == nil {
			err = f.Sync()
			f.Close()
		}
	}
	if err != nil {
		a.opt.Logf(Warning, "Error truncating the AOF file %s: %s", name, vfs.Text(err))
		return ErrLoad
	}
	a.opt.Logf(Warning, "AOF %s loaded anyway because aof-load-truncated is enabled", name)
	return nil
}

// upgrade moves the file of a Redis before 7.0 into the folder, as its base. It writes the manifest first. A start that finds
// the manifest and the file still at its old place completes the upgrade.
func (a *AOF) upgrade() error {
	d := &a.dir
	old := filepath.Join(d.root, d.name)
	if _, err := d.fs.Size(old); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
			return nil
		}
		a.opt.Logf(Warning, "Unable to obtain the AOF file %s length. stat: %s", d.name, vfs.Text(err))
		return err
	}
	m := a.manifest
	begun := m.Base != nil && len(m.Incrs) == 0 && m.Base.Name == d.name
	if begun {
		_, err := d.fs.Size(d.path(d.name))
		begun = errors.Is(err, fs.ErrNotExist)
	}
	if !m.Empty() && !begun {
		return nil
	}
	if err := d.make(); err != nil {
		return err
	}
	m = m.clone()
	m.Base = &FileInfo{Name: d.name, Seq: 1, Type: TypeBase}
	m.baseSeq = 1
	if _, err := d.persist(m); err != nil {
		return err
	}
	err := d.fs.Rename(old, d.path(d.name))
	if err == nil {
		err = d.fs.SyncDir(d.dir)
	}
	if err == nil {
		err = d.fs.SyncDir(d.root)
	}
	if err != nil {
		a.opt.Logf(Warning, "Error trying to move the old AOF file %s into dir %s: %s", d.name, filepath.Base(d.dir), vfs.Text(err))
		return err
	}
	a.manifest = m
	a.opt.Logf(Notice, "Successfully migrated an old-style AOF file (%s) into the AOF directory (%s).", d.name, filepath.Base(d.dir))
	return nil
}
