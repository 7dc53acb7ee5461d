package rdb

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// Loader reads RDB files into a keyspace. It belongs to the goroutine that owns the keyspace; while the server is loading
// this may be a goroutine for the loading only.
type Loader struct {
	Keyspace *keyspace.Keyspace
	// DBs are the databases to load into, if not those of Keyspace.
	DBs   []*keyspace.DB
	Rules *Rules
	// Checksum says whether the file's checksum is verified (rdbchecksum).
	Checksum bool
	// DropExpired leaves out keys whose deadline has passed, as a master does that loads its own dump.
	DropExpired bool
	// AllowDuplicates lets a key replace an existing one. Otherwise this is an error.
	AllowDuplicates bool

	// Repair corrects odd values that Redis loads without sanitizing (sanitize-dump-payload other than yes); the package
	// comment has a list of them. Otherwise they are errors.
	Repair bool

	// All of the following functions may be nil.

	// OnProgress is called with the number of bytes read, about every ProgressBytes, even if the buffer is larger.
	OnProgress    func(offset int64)
	ProgressBytes int64 // 0: 2 MiB
	// OnPause is called during long work for which no bytes are read. The databases must not be changed meanwhile.
	OnPause func()
	// Claimed is for how many keys memory is reserved if the size of the source is not known but the source says that it has
	// so many; 0 stands for a safe number.
	Claimed int64
	// OnNotice is called with lines that Redis logs at level notice.
	OnNotice func(line string)
	// OnRepair is called for each key whose value was corrected, with the correction.
	OnRepair func(db int, key []byte, what string)
	// OnFunction is called with the code of each function library. If it is nil, libraries are skipped, with a notice.
	OnFunction func(code []byte) error
	// OnDropped is called for each key that DropExpired leaves out. key is valid during the call only.
	OnDropped func(db int, key []byte, history *History)
	// OnKey is called for each key that was loaded, some keys later, but before Load returns.
	OnKey func(db *keyspace.DB, r *record.Record)

	batch    []*record.Record // read and not yet in the keyspace
	reserved int64            // keys for which Reserve was called
}

// Result describes a file that was loaded.
type Result struct {
	Version int
	Valkey  bool  // Version is one of Valkey's own
	Keys    int64 // loaded
	Dropped int64 // left out for DropExpired
	Empty   int64 // collections without elements, which are left out
	Bytes   int64 // of the source, up to the end of the RDB

	Repaired int64 // keys whose value was corrected

	RedisVersion  string // of the server that wrote the file
	Created       int64  // Unix seconds, 0 if the file has none
	UsedMemory    int64  // of the server that wrote the file, 0 if the file has none
	AOFBase       bool
	History       *History // nil if the file has none
	ChecksumFound bool     // the file has one, and it was compared

	// Rest is the rest of the source behind the RDB: the commands of an append-only file with a preamble.
	Rest io.Reader
}

// Load reads a file of size bytes, -1 if that is not known. For an error of the bytes or of the source it returns an *Error;
// then the keys before the error are loaded, perhaps without the last ones.
func (l *Loader) Load(src io.Reader, size int64) (res *Result, err error) {
	d := &decoder{file: true, repair: l.Repair, rules: l.Rules, gen: l.Keyspace.Generation()}
	d.reader.start(src, size)
	if l.OnProgress != nil && l.ProgressBytes > 0 && l.ProgressBytes < bufferSize {
		d.reader.src = &pieces{src, int(l.ProgressBytes)}
	}
	d.checksum = l.Checksum
	res = new(Result)
	if l.OnProgress != nil {
		step := l.ProgressBytes
		if step <= 0 {
			step = 2 << 20
		}
		next := step
		d.onFill = func(offset int64) {
			if offset >= next {
				next = offset + step
				l.OnProgress(offset)
			}
		}
	}
	defer caught(&err)
	defer func() {
		for _, db := range l.databases() {
			db.Trim()
		}
	}()
	l.batch, l.reserved = l.batch[:0], 0
	d.items(&loadRun{l, d, res, l.databases()[0]})
	res.Bytes = d.offset()
	if l.OnProgress != nil {
		l.OnProgress(res.Bytes)
	}
	res.Rest = d.rest(src)
	return res, nil
}

// databases returns the databases to load into.
func (l *Loader) databases() []*keyspace.DB {
	if l.DBs != nil {
		return l.DBs
	}
	return l.Keyspace.DBs()
}

// pieces is a source that returns at most most bytes at once: a reader reports its progress only when it reads.
type pieces struct {
	src  io.Reader
	most int
}

func (p *pieces) Read(b []byte) (int, error) { return p.src.Read(b[:min(len(b), p.most)]) }

func (l *Loader) notice(format string, args ...any) {
	if l.OnNotice != nil {
		l.OnNotice(fmt.Sprintf(format, args...))
	}
}

// A loadRun is one run of a Loader: the visitor that loads the items of a file into the keyspace.
type loadRun struct {
	*Loader
	d   *decoder
	res *Result
	db  *keyspace.DB
}

func (l *loadRun) version(n int, valkey bool) { l.res.Version, l.res.Valkey = n, valkey }

func (l *loadRun) selectDB(n uint64) {
	dbs := l.databases()
	if n >= uint64(len(dbs)) {
		l.d.failf("FATAL: Data file was created with a Redis server configured to handle more than %d databases. Exiting", len(dbs))
	}
	l.flush()
	l.db = dbs[n]
}

// sizes reserves memory for the claimed number of keys: for all databases together at most for as many as the file can hold, or
// Claimed if its size is not known.
func (l *loadRun) sizes(keys uint64) {
	most := max(l.Claimed, unsized)
	if l.d.size >= 0 {
		most = l.d.size / keyBytes
		keys = uint64(l.d.plausible(keys, keyBytes))
	}
	room := int(min(keys, uint64(most-l.reserved)))
	l.reserved += int64(room)
	l.db.Reserve(room, l.OnPause)
}

func (l *loadRun) library(code []byte) {
	if l.OnFunction == nil {
		l.notice("A function library in the RDB file is passed over.")
	} else if err := l.OnFunction(code); err != nil {
		l.d.failf("Failed loading library, %v", err)
	}
}

func (l *loadRun) module(name string) {
	l.notice("The RDB file contains AUX data of module '%s', which there is not here: passed over.", name)
}

// entry reads the value of a key.
func (l *loadRun) entry(t Type, a *attributes) {
	r := l.d.value(t, a.expiry, l.clock(l.db, a))
	if l.d.oddity != "" {
		l.res.Repaired++
		if l.OnRepair != nil {
			l.OnRepair(l.db.ID, l.d.key, l.d.oddity)
		}
	}
	switch {
	case r == nil:
		if l.res.Empty++; l.res.Empty <= 10 {
			l.notice("rdbLoadObject skipping empty key: %s", l.d.key)
		}
	case l.DropExpired && a.expiry != record.NoExpiry && a.expiry < l.Keyspace.Now:
		l.res.Dropped++
		if l.OnDropped != nil {
			l.OnDropped(l.db.ID, l.d.key, l.res.History)
		}
	default:
		if l.batch = append(l.batch, r); len(l.batch) == keyspace.MaxPrefetch {
			l.flush()
		}
	}
}

func (l *loadRun) end(version int) {
	l.flush()
	got, want, has := l.d.footer(version)
	switch {
	case !has || !l.Checksum:
	case got == 0:
		l.notice("RDB file was saved with checksum disabled: no check performed.")
	case got != want:
		l.d.failf("RDB CRC error: wrong RDB checksum expected: (%x) but got (%x)", want, got)
	default:
		l.res.ChecksumFound = true
	}
	l.done(l.res)
}

// flush puts the keys that were read into the keyspace.
func (l *loadRun) flush() {
	db := l.db
	for recs := l.batch; ; {
		n := db.Load(recs)
		if n < len(recs) {
			if !l.AllowDuplicates {
				l.d.key = nil
				l.d.failf("RDB has duplicated key '%s' in DB %d", recs[n].Key(), db.ID)
			}
			db.Set(recs[n])
			n++
		}
		l.res.Keys += int64(n)
		if l.OnKey != nil {
			for _, r := range recs[:n] {
				l.OnKey(db, r)
			}
		}
		if recs = recs[n:]; len(recs) == 0 {
			break
		}
	}
	clear(l.batch)
	l.batch = l.batch[:0]
}

// clock returns the access clock of a key.
func (l *Loader) clock(db *keyspace.DB, a *attributes) uint32 {
	ks := l.Keyspace
	switch {
	case ks.LFU != nil && a.freq >= 0:
		return ks.LFU.Clock(uint8(a.freq))
	case ks.LFU == nil && a.idle >= 0:
		return (ks.Clock - uint32(a.idle)*keyspace.ClocksPerSecond) & record.ClockMask
	}
	return db.NewClock()
}

func (l *loadRun) aux(key, value string) {
	res := l.res
	number, _ := strconv.ParseInt(value, 10, 64)
	switch strings.ToLower(key) {
	case "redis-ver":
		res.RedisVersion = value
		l.notice("Loading RDB produced by version %s", value)
	case "valkey-ver":
		res.RedisVersion = value
		l.notice("Loading RDB produced by Valkey version %s", value)
	case "ctime":
		res.Created = number
		l.notice("RDB age %d seconds", max(l.Keyspace.Now/1000-number, 0))
	case "used-mem":
		res.UsedMemory = number
		l.notice("RDB memory usage when created %.2f Mb", float64(number)/(1<<20))
	case "repl-stream-db":
		res.history().DB = int(number)
	case "repl-id":
		res.history().ID = value
	case "repl-offset":
		res.history().Offset = number
	case "aof-base":
		if res.AOFBase = number != 0; res.AOFBase {
			l.notice("RDB is base AOF")
		}
	case "aof-preamble":
		if number != 0 {
			l.notice("RDB has an AOF tail")
		}
	default:
		if strings.HasPrefix(key, "%") {
			l.notice("RDB '%s': %s", key, value)
		}
	}
}

// history returns res.History, and makes it if it is nil.
func (res *Result) history() *History {
	if res.History == nil {
		res.History = new(History)
	}
	return res.History
}

func (l *Loader) done(res *Result) {
	line := fmt.Sprintf("Done loading RDB, keys loaded: %d, keys expired: %d", res.Keys, res.Dropped)
	if res.Empty > 0 {
		line += fmt.Sprintf(", empty keys skipped: %d", res.Empty)
	}
	if res.Repaired > 0 {
		line += fmt.Sprintf(", odd keys repaired: %d", res.Repaired)
	}
	l.notice("%s.", line)
}
