package aof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"ferrous/rdb/memfs"
)

const manifest1 = "file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"

// folderWith makes a folder from name, content pairs.
func folderWith(files ...string) *memfs.FS {
	fs := memfs.New()
	for i := 0; i < len(files); i += 2 {
		fs.WriteFile(files[i], files[i+1])
	}
	return fs
}

// denied has the n-th call of a kind fail for a file.
func denied(fs *memfs.FS, op memfs.Op, name string, n int) *memfs.FS {
	fs.Deny = func(o memfs.Op, of string) error {
		if o == op && of == name {
			if n--; n == 0 {
				return syscall.EIO
			}
		}
		return nil
	}
	return fs
}

func in(name string) string { return "appendonlydir/" + name }

func add(n ...int) string {
	var b strings.Builder
	for _, n := range n {
		b.WriteString(command("ADD", strconv.Itoa(n)))
	}
	return b.String()
}

func TestLoad(t *testing.T) {
	man := in("appendonly.aof.manifest")
	base, incr := in("appendonly.aof.1.base.rdb"), in(incr1)
	two := manifest1 + "file i2 seq 2 type i\n"
	for _, c := range []struct {
		name   string
		fs     *memfs.FS
		strict bool
		status LoadStatus
		fails  bool
		list   int
		log    string
	}{
		{"nothing", folderWith(), false, NoFiles, false, 0, "doesn't exist"},
		{"only history", folderWith(man, "file h seq 1 type h\n"), false, NoFiles, false, 0, ""},
		{"empty files", folderWith(man, manifest1, base, "", incr, ""), false, Empty, false, 0, ""},
		{"both", folderWith(man, manifest1, base, string(encode([]int{0, 1})), incr, add(2, 3)), true, Loaded, false, 4, "DB loaded from incr file"},
		{"base of commands", folderWith(man, manifest1, base, "#TS:123\r\n"+add(0, 1), incr, add(2)), true, Loaded, false, 3, "DB loaded from base file"},
		{"base with a tail", folderWith(man, manifest1, base, string(encode([]int{0}))+add(1), incr, add(2)), true, Loaded, false, 3, ""},
		{"empty base", folderWith(man, manifest1, base, "", incr, add(0)), true, Loaded, false, 1, ""},
		{"line feeds", folderWith(man, manifest1, base, "", incr, "*2\n$3\nADD\r\n$1\n0\r\n"), true, Loaded, false, 1, ""},
		{"unit", folderWith(man, manifest1, base, "", incr, command("MULTI")+"#TS:1\r\n"+add(0, 1)+command("exec")), true, Loaded, false, 2, ""},
		{"bad manifest", folderWith(man, "x\n"), false, NoFiles, true, 0, "Invalid AOF manifest file format"},
		{"manifest is a folder", folderWith(man+"/x", ""), false, NoFiles, true, 0, "can't open the AOF manifest file"},
		{"missing", folderWith(man, manifest1, base, string(encode(nil))), false, NoFiles, true, 0, "appendonly.aof.1.incr.aof length. stat: No such file or directory"},
		{"torn", folderWith(man, manifest1, base, "", incr, add(0)+"*2\r\n$3\r\nAD"), false, Truncated, false, 1, "!!! Truncating the AOF appendonly.aof.1.incr.aof at offset 20 !!!"},
		{"torn, strict", folderWith(man, manifest1, base, "", incr, add(0)+"*"), true, Loaded, true, 1, "Unexpected end of file reading the append only file appendonly.aof.1.incr.aof. You can: 1)"},
		{"torn annotation", folderWith(man, manifest1, base, "", incr, add(0)+"#TS:12"), false, Truncated, false, 1, "at offset 20"},
		{"torn unit", folderWith(man, manifest1, base, "", incr, add(0)+command("MULTI")+add(1)), false, Truncated, false, 1, "Revert incomplete MULTI/EXEC transaction in AOF file"},
		{"torn in unit", folderWith(man, manifest1, base, "", incr, add(0)+"#TS:1\r\n"+command("multi")+add(1)+"*2\r\n"), false, Truncated, false, 1, "at offset 27 "},
		{"torn in the middle", folderWith(man, two, base, "", incr, add(0)+"*2", in("i2"), add(1)), false, Truncated, true, 1, "Fatal error: the truncated file is not the last file"},
		{"torn before empty ones", folderWith(man, two, base, "", incr, add(0)+"*2", in("i2"), ""), false, Truncated, false, 1, "loaded anyway"},
		{"torn base", folderWith(man, manifest1, base, add(0)+"*", incr, ""), false, Truncated, false, 1, "DB loaded from base"},
		{"bad RDB", folderWith(man, manifest1, base, "REDIS0011", incr, ""), false, Loaded, true, 0, "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted"},
		{"a few bytes", folderWith(man, manifest1, base, "*1", incr, ""), false, Truncated, false, 0, "at offset 0"},
		{"unknown", folderWith(man, manifest1, base, "", incr, command("FLY")), false, Loaded, true, 0, "Unknown command 'FLY' reading the append only file appendonly.aof.1.incr.aof"},
		{"refused", folderWith(man, manifest1, base, "", incr, command("ADD", "x")), false, Loaded, true, 0, "Error running the command before offset 20"},
		{"garbage", folderWith(man, manifest1, base, "", incr, add(0)+"x"), false, Loaded, true, 1, "Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup"},
		{"zeros", folderWith(man, manifest1, base, "", incr, add(0)+"\x00\x00\x00"), false, Loaded, true, 1, "(offset 20: expected '*', got '\\x00')"},
		{"no break", folderWith(man, manifest1, base, "", incr, "*1\r\n$1\r\nABCD"), false, Loaded, true, 0, "offset 9"},
		{"no number", folderWith(man, manifest1, base, "", incr, "*\r\n"), false, Loaded, true, 0, "invalid number"},
		{"odd number", folderWith(man, manifest1, base, "", incr, "*1x\r\n"), false, Loaded, true, 0, "invalid number"},
		{"half a break", folderWith(man, manifest1, base, "", incr, "*1\rx"), false, Loaded, true, 0, "invalid number"},
		{"long number", folderWith(man, manifest1, base, "", incr, "*"+strings.Repeat("9", 40)), false, Loaded, true, 0, "number out of range"},
		{"long zeros", folderWith(man, manifest1, base, "", incr, "*"+strings.Repeat("0", 40)), false, Loaded, true, 0, "invalid number"},
		{"negative", folderWith(man, manifest1, base, "", incr, "*-1\r\n"), false, Loaded, true, 0, "invalid number"},
		{"none", folderWith(man, manifest1, base, "", incr, "*0\r\n"), false, Loaded, true, 0, "command without arguments"},
		{"no dollar", folderWith(man, manifest1, base, "", incr, "*1\r\n+OK\r\n"), false, Loaded, true, 0, "expected '$', got '+'"},
		{"many arguments", folderWith(man, manifest1, base, "", incr, "*99999999999\r\n$1\r\n"), false, Truncated, false, 0, "at offset 0"},
		{"large argument", folderWith(man, manifest1, base, "", incr, "*1\r\n$99999999999\r\nabc"), false, Truncated, false, 0, "at offset 0"},
		{"long annotation", folderWith(man, manifest1, base, "", incr, "#"+strings.Repeat("x", 2000)+"\r\n"), false, Loaded, true, 0, "annotation without an end"},
		{"folder", folderWith(man, manifest1, base, "", incr+"/x", ""), false, NoFiles, true, 0, "Is a directory"},

		{"large manifest", folderWith(man, strings.Repeat("#\n", maxManifest/2)+manifest1, base, "", incr, add(0)), false, NoFiles, true, 0, "can't open the AOF manifest file appendonlydir/appendonly.aof.manifest for reading: the AOF manifest file is too large"},
		{"manifest not seen", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpStat, man, 1), false, NoFiles, true, 0, "for reading: Input/output error"},
		{"manifest not opened", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpOpen, man, 1), false, NoFiles, true, 0, "for reading: Input/output error"},
		{"manifest not read", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpRead, man, 2), false, NoFiles, true, 0, "for reading: Input/output error"},
		{"not seen", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpStat, base, 1), false, NoFiles, true, 0, "Unable to obtain the AOF file appendonly.aof.1.base.rdb length. stat: Input/output error"},
		{"not opened", denied(folderWith(man, manifest1, base, add(0), incr, add(1)), memfs.OpOpen, incr, 1), false, Loaded, true, 1, "can't open the append log file appendonly.aof.1.incr.aof for reading: Input/output error"},
		{"not read", denied(folderWith(man, manifest1, base, add(0), incr, add(1)), memfs.OpRead, incr, 1), false, Loaded, true, 1, "Unrecoverable error reading the append only file appendonly.aof.1.incr.aof: Input/output error"},
		{"not read on", denied(folderWith(man, manifest1, base, add(0), incr, add(1)), memfs.OpRead, incr, 2), false, Loaded, true, 1, "Unrecoverable error reading the append only file appendonly.aof.1.incr.aof: Input/output error"},
		{"not read to the end", denied(folderWith(man, manifest1, base, "", incr, add(0)+"*1"), memfs.OpRead, incr, 3), false, Loaded, true, 1, "Unrecoverable error reading the append only file appendonly.aof.1.incr.aof: Input/output error"},
		{"base not read", denied(folderWith(man, manifest1, base, string(encode([]int{0})), incr, ""), memfs.OpRead, base, 2), false, Loaded, true, 0, "Error reading the RDB base file appendonly.aof.1.base.rdb, AOF loading aborted"},

		{"old, not seen", denied(folderWith("appendonly.aof", add(0, 1)), memfs.OpStat, "appendonly.aof", 1), true, NoFiles, true, 0, "Unable to obtain the AOF file appendonly.aof length. stat: Input/output error"},
		{"old, a folder", folderWith("appendonly.aof/x", ""), true, NoFiles, false, 0, ""},
		{"old", folderWith("appendonly.aof", add(0, 1)), true, Loaded, false, 2, "Successfully migrated an old-style AOF file (appendonly.aof) into the AOF directory (appendonlydir)."},
		{"old with preamble", folderWith("appendonly.aof", string(encode([]int{0}))+add(1)), true, Loaded, false, 2, "Reading the remaining AOF tail..."},
		{"old, bad preamble", folderWith("appendonly.aof", "REDIS"), true, Loaded, true, 0, "Error reading the RDB preamble of the AOF file appendonly.aof, AOF loading aborted"},
		{"old, half moved", folderWith("appendonly.aof", add(0), man, "file appendonly.aof seq 1 type b\n"), true, Loaded, false, 1, "migrated"},
		{"old beside new", folderWith("appendonly.aof", add(7), man, manifest1, base, add(0), incr, ""), true, Loaded, false, 1, ""},
		{"moved and there again", folderWith("appendonly.aof", add(7), man, "file appendonly.aof seq 1 type b\n", in("appendonly.aof"), add(0)), true, Loaded, false, 1, ""},
	} {
		r, status, err := reload(t, c.fs, !c.strict)
		if status != c.status || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v\n%s", c.name, status, err, strings.Join(r.logs, "\n"))
		}
		if n, err := inOrder(r.store.list); err != nil || n != c.list {
			t.Errorf("%s: %v", c.name, r.store.list)
		}
		if c.log != "" && !r.logged(c.log) {
			t.Errorf("%s: not logged: %s\n%s", c.name, c.log, strings.Join(r.logs, "\n"))
		}
		if status == Truncated && err == nil {
			again, status, err := reload(t, c.fs.After(memfs.Power), false)
			if err != nil || status == Truncated || !slices.Equal(again.store.list, r.store.list) {
				t.Errorf("%s: loaded again: %v, %v, %v", c.name, status, err, again.store.list)
			}
		}
	}
}

// TestLoadSizes: what INFO says after a start.
func TestLoadSizes(t *testing.T) {
	base, incr := string(encode([]int{0, 1})), add(2)
	r := newRig(t, folderWith(in("appendonly.aof.manifest"), manifest1+"file old.aof seq 1 type h\n", in("appendonly.aof.1.base.rdb"), base,
		in(incr1), incr+"*1", in("old.aof"), "x", in("temp-appendonly.aof.7.base"), "x", in("temp-appendonly.aof.incr"), "x",
		in("temp-appendonly.aof.manifest"), "x", in("temp-appendonly.aof.x.base"), "x", in("temp-other.incr"), "x"), settings(FsyncAlways))
	r.mustStart()
	if i := r.Info(); i.CurrentSize != int64(len(base)+len(incr)) || i.BaseSize != int64(len(base)) {
		t.Errorf("%+v", i)
	}
	if !r.logged("Opening AOF incr file " + incr1) {
		t.Error(r.logs)
	}
	names, _ := r.fs.List("appendonlydir")
	if got := strings.Join(names, " "); got != "appendonly.aof.1.base.rdb appendonly.aof.1.incr.aof appendonly.aof.manifest temp-appendonly.aof.x.base temp-other.incr" {
		t.Error(got)
	}
	if r.manifestText() != manifest1 {
		t.Error(r.manifestText())
	}
	r.add(0)
	if err := r.Flush(false); err != nil || r.file(incr1) != incr+command("SELECT", "0")+add(3) {
		t.Errorf("%v %q", err, r.file(incr1))
	}
}

// TestStartLooks: what a start finds out about files that are there.
func TestStartLooks(t *testing.T) {
	man, base, incr := in("appendonly.aof.manifest"), in("appendonly.aof.1.base.rdb"), in(incr1)
	for _, c := range []struct {
		name  string
		fs    *memfs.FS
		fails bool
		log   string
		there string // afterwards
	}{
		{"not opened for writing", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpOpen, incr, 2), true, "Can't open the append-only file appendonly.aof.1.incr.aof: Input/output error", incr1},
		{"size not told", denied(folderWith(man, manifest1, base, "", incr, add(0)), memfs.OpStat, incr, 2), true, "Unable to obtain the AOF file appendonly.aof.1.incr.aof length. stat: Input/output error", incr1},
		{"folder not listed", denied(folderWith(man, manifest1, base, "", incr, add(0), in("temp-appendonly.aof.incr"), "x"), memfs.OpList, "appendonlydir", 1), false, "Opening AOF incr file", "temp-appendonly.aof.incr"},
		// The two are in the manifest twice, which only somebody who edits it brings about.
		{"history in use", folderWith(man, manifest1+"file appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.1.incr.aof seq 1 type h\nfile old seq 1 type h\n",
			base, "", incr, add(0), in("old"), "x"), false, "Removing the history file old", "appendonly.aof.1.base.rdb appendonly.aof.1.incr.aof appendonly.aof.manifest"},
		{"manifest as history", folderWith(man, manifest1+"file appendonly.aof.manifest seq 1 type h\n", base, "", incr, add(0)), false, "", "appendonly.aof.manifest"},
		{"not a temporary name", folderWith(man, manifest1, base, "", incr, add(0), in("temp-appendonly.aof.1.incr"), "x"), false, "", "temp-appendonly.aof.1.incr"},
	} {
		r := newRig(t, c.fs, settings(FsyncAlways))
		if err := r.start(); (err != nil) != c.fails || c.log != "" && !r.logged(c.log) {
			t.Errorf("%s: %v\n%s", c.name, err, strings.Join(r.logs, "\n"))
		}
		if names, _ := c.fs.List("appendonlydir"); !strings.Contains(strings.Join(names, " "), c.there) {
			t.Errorf("%s: left %s", c.name, names)
		}
		c.fs.Deny = nil
		again := newRig(t, c.fs.After(memfs.Power), settings(FsyncAlways))
		again.mustStart()
		if n, err := inOrder(again.store.list); err != nil || n != 1 {
			t.Errorf("%s: %v", c.name, again.store.list)
		}
	}
}

// TestStartFails fails each step of a start.
func TestStartFails(t *testing.T) {
	old := func() *memfs.FS { return folderWith("appendonly.aof", add(0)) }
	whole := old()
	newRig(t, whole, settings(FsyncAlways)).mustStart()
	for _, begin := range []func() *memfs.FS{memfs.New, old} {
		for k := 1; k <= whole.Steps(); k++ {
			fs := begin()
			n := 0
			fs.SetInject(func(op memfs.Op, name string, size int) *memfs.Fault {
				if n++; n == k {
					return &memfs.Fault{Err: syscall.EACCES}
				}
				return nil
			})
			r := newRig(t, fs, settings(FsyncAlways))
			err := r.start()
			if n < k {
				continue
			}
			if err == nil {
				t.Errorf("step %d (%s): it started", k, fs.Log()[k-1])
			}
			if len(r.logs) == 0 {
				t.Errorf("step %d (%s): no word of it", k, fs.Log()[k-1])
			}
			fs.SetInject(nil)
			again := newRig(t, fs, settings(FsyncAlways))
			again.mustStart()
			if len(again.store.list) > 1 {
				t.Error(again.store.list)
			}
		}
	}
}

// TestTail cuts a file at every byte of its end: the longest valid prefix is loaded, whatever stands there.
func TestTail(t *testing.T) {
	var b strings.Builder
	type mark struct{ end, list int }
	marks := []mark{{0, 0}}
	n := 0
	for i := range 60 {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&b, "#TS:%d\r\n", 1000+i)
		case 1:
			b.WriteString(command("SELECT", strconv.Itoa(i%16)))
		case 2:
			b.WriteString(command("MULTI") + add(n, n+1) + command("EXEC"))
			n += 2
		default:
			b.WriteString(command("SET", "k", strings.Repeat("v", i*3)) + add(n))
			n++
		}
		marks = append(marks, mark{b.Len(), n})
	}
	content := b.String()
	for cut := len(content); cut >= 0; cut-- {
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), "", in(incr1), content[:cut])
		r, status, err := reload(t, fs, true)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		least := 0
		for _, m := range marks {
			if m.end <= cut {
				least = m.list
			}
		}
		got, err := inOrder(r.store.list)
		// A SET with its ADD is two commands: the mark between them is not in the table.
		if err != nil || got < least || got > least+1 {
			t.Fatalf("cut at %d: %d, want %d, %v", cut, got, least, err)
		}
		kept := r.file(incr1)
		if !strings.HasPrefix(content, kept) || len(kept) > cut || status == Loaded && len(kept) != cut {
			t.Fatalf("cut at %d: kept %d, %v", cut, len(kept), status)
		}
		again, status, err := reload(t, fs, false)
		if err != nil || status == Truncated || len(again.store.list) != got {
			t.Fatalf("cut at %d: again %v, %v", cut, status, err)
		}
	}
}

// TestProgress: the calls of the progress function while loading, which may also end the load.
func TestProgress(t *testing.T) {
	base := append(encode(make([]int, 1_200_000)), add(1)...)
	var b strings.Builder
	for range 5000 {
		b.WriteString(command("SET", "a", "b"))
	}
	for stop := range 4 {
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), string(base), in(incr1), b.String())
		r := newRig(t, fs, settings(FsyncNo))
		if err := r.ReadManifest(); err != nil {
			t.Fatal(err)
		}
		var told []int64
		var begun int64
		var files []string
		l := r.loader()
		l.Begin = func(total int64) { begun = total }
		l.File = func(name string) { files = append(files, name) }
		stopped := errors.New("stopped")
		l.Progress = func(n int64) error {
			told = append(told, n)
			if len(told) == stop {
				return stopped
			}
			return nil
		}
		_, err := r.Load(l)
		if stop > 0 {
			if err != stopped || len(told) != stop {
				t.Errorf("stop %d: %v, %v", stop, err, told)
			}
			continue
		}
		if total := int64(len(base) + b.Len()); err != nil || begun != total || told[len(told)-1] != total || !slices.IsSorted(told) || len(told) < 8 {
			t.Errorf("%v %d of %d: %v", err, begun, total, told)
		}
		if !slices.Equal(files, []string{"appendonly.aof.1.base.rdb", incr1}) {
			t.Error(files)
		}
	}
}

// TestProgressWithinCommands: one large command is no longer time without a look than many small ones are.
func TestProgressWithinCommands(t *testing.T) {
	big := strings.Repeat("x", 12<<20)
	content := command("SET", "a", big) + command("RPUSH", "l", big, big) + command("SET", "b", "c")
	const atMost = progressBytes + readMost
	load := func(progress func(n int64) error) error {
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), string(encode(nil)), in(incr1), content)
		r := newRig(t, fs, settings(FsyncNo))
		if err := r.ReadManifest(); err != nil {
			t.Fatal(err)
		}
		l := r.loader()
		l.Progress = progress
		l.Apply = func([][]byte) error { return nil }
		_, err := r.Load(l)
		return err
	}
	var told []int64
	if err := load(func(n int64) error { told = append(told, n); return nil }); err != nil {
		t.Fatal(err)
	}
	var last int64
	for _, n := range told {
		if n-last > atMost {
			t.Errorf("%d bytes between two looks, want %d at most: %v", n-last, atMost, told)
		}
		last = n
	}
	stopped := errors.New("stopped")
	last = 0
	err := load(func(n int64) error {
		if last = n; n > 15<<20 { // in the second command
			return stopped
		}
		return nil
	})
	if err != stopped || last > 15<<20+atMost {
		t.Errorf("stopped at %d: %v", last, err)
	}
}

// TestReader: large commands, small reads, and a buffer that stays small.
func TestReader(t *testing.T) {
	big := strings.Repeat("x", 9<<20)
	many := make([]string, 100_000)
	for i := range many {
		many[i] = strconv.Itoa(i)
	}
	content := command("A", big) + command("B") + command(many...) + strings.Repeat(command("C", strings.Repeat("y", 1000)), 2000)
	for _, slow := range []bool{false, true} {
		var src io.Reader = strings.NewReader(content)
		if slow {
			src = iotest.HalfReader(src)
		}
		r := newCommandReader(src, 0, int64(len(content)))
		var sizes []int
		for {
			args, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(args))
			if len(sizes) == 3 && (string(args[0]) != "0" || string(args[99_999]) != "99999") {
				t.Error("arguments")
			}
		}
		if len(sizes) != 2003 || sizes[0] != 2 || sizes[2] != 100_000 || r.offset() != int64(len(content)) {
			t.Error(len(sizes), sizes[:4], r.offset())
		}
		if cap(r.buf) > keepRead {
			t.Errorf("the buffer still has %d bytes", cap(r.buf))
		}
	}
	for _, content := range []string{"*1\r\n$1\r\nA\r\n*1\r\n$3\r\nABC\r", "*1\r\n$1\r\nA\r\n#", "*1\r\n$1\r\nA\r\n*2\r\n$1\r"} {
		r := newCommandReader(iotest.OneByteReader(strings.NewReader(content)), 0, int64(len(content)))
		if args, err := r.next(); err != nil || string(args[0]) != "A" {
			t.Error(args, err)
		}
		if _, err := r.next(); err != errTorn || r.offset() != 11 {
			t.Error(err, r.offset())
		}
	}
	own := errors.New("disk")
	r := newCommandReader(iotest.ErrReader(own), 0, 100)
	if _, err := r.next(); err != own {
		t.Error(err)
	}
	r = newCommandReader(nothing{}, 0, 100)
	if _, err := r.next(); err != io.ErrNoProgress {
		t.Error(err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

// allocated returns the bytes ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzLoad loads a base and an incremental file. What is cut off is a torn end, what is left is loaded again, the check tool
// agrees, and memory stays within a multiple of the files.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(command("SELECT", "1")+add(0)), []byte(add(1)+command("MULTI")+add(2)+command("EXEC")))
	f.Add(encode([]int{0, 1}), []byte("#TS:1\r\n"+add(2)+"*2\r\n$3\r\nAD"))
	f.Add([]byte("*1\r\n$99999999999\r\n"), []byte("*999999999\r\n"))
	f.Add(append(encode([]int{0}), add(1)...), []byte("*1\n$4\nEXEC\r\n"))
	f.Fuzz(func(t *testing.T, base, incr []byte) {
		fs := folderWith(in("appendonly.aof.manifest"), manifest1, in("appendonly.aof.1.base.rdb"), string(base), in(incr1), string(incr))
		var first, second bytes.Buffer
		load := func(got *bytes.Buffer, truncated bool) (LoadStatus, error) {
			s := settings(FsyncNo)
			s.LoadTruncated = truncated
			r := newRig(t, fs, s)
			if err := r.ReadManifest(); err != nil {
				t.Fatal(err)
			}
			l := r.loader()
			l.Apply = func(argv [][]byte) error {
				if len(argv) == 0 {
					t.Fatal("no arguments")
				}
				fmt.Fprintf(got, "%q", argv)
				return nil
			}
			before := allocated()
			status, err := r.Load(l)
			if used := allocated() - before; used > 4<<20+100*uint64(len(base)+len(incr)) {
				t.Fatalf("%d bytes allocated for files of %d", used, len(base)+len(incr))
			}
			return status, err
		}
		var report strings.Builder
		invalid := Check(&report, in("appendonly.aof.manifest"), CheckOptions{FS: fs, CheckRDB: checkFake})
		if invalid != nil {
			// What the tool can put in order is loaded then, without anything being cut off.
			was := fs
			fs = fs.After(memfs.Kill)
			if Check(io.Discard, in("appendonly.aof.manifest"), CheckOptions{FS: fs, CheckRDB: checkFake, Fix: true, In: strings.NewReader("y")}) == nil {
				if status, err := load(new(bytes.Buffer), false); err != nil || status == Truncated {
					t.Fatalf("what the tool has fixed is not loaded: %v, %v", status, err)
				}
			}
			fs = was
		}
		status, err := load(&first, true)
		if invalid == nil && (err != nil || status == Truncated) {
			t.Fatalf("what the tool takes for valid is not loaded: %v, %v\n%s", status, err, report.String())
		}
		if err != nil || status != Truncated {
			return
		}
		// What is left is loaded without a complaint, as the same commands but for a transaction that was cut off.
		if status, err := load(&second, false); err != nil || status == Truncated {
			t.Fatalf("loaded again: %v, %v", status, err)
		}
		if !bytes.HasPrefix(first.Bytes(), second.Bytes()) {
			t.Fatalf("%s\nand then\n%s", first.Bytes(), second.Bytes())
		}
	})
}

// checkFake is the check of what encode makes.
func checkFake(w io.Writer, r io.Reader, size int64) (int64, bool) {
	n, err := new(store).decode(r, size)
	return n, err == nil
}
