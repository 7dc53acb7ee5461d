package aof

import (
	"strings"
	"syscall"
	"testing"

	"ferrous/rdb/memfs"
)

func TestCheck(t *testing.T) {
	man := in("appendonly.aof.manifest")
	base, incr := in("appendonly.aof.1.base.rdb"), in(incr1)
	rdb := string(encode([]int{0, 1}))
	stamped := "#TS:100\r\n" + add(0) + "#TS:200\r\n" + add(1)
	two := func(b, i string) *memfs.FS { return folderWith(man, manifest1, base, b, incr, i) }
	one := func(s string) *memfs.FS { return folderWith("f", s) }
	for _, c := range []struct {
		name  string
		fs    *memfs.FS
		path  string
		fix   bool
		stamp int64
		in    string
		ok    bool
		left  string // of the file that may have been cut
		words []string
	}{
		{"valid", two(add(0), add(1)), man, false, 0, "", true, add(1), []string{"Start checking Multi Part AOF", "Start to check BASE AOF (RESP format).",
			"BASE AOF appendonly.aof.1.base.rdb is valid", "Start to check INCR files.", "size=20, ok_up_to=20, ok_up_to_line=11, diff=0", "INCR AOF appendonly.aof.1.incr.aof is valid", "All AOF files and manifest are valid"}},
		{"RDB", two(rdb+add(2), ""), man, false, 0, "", true, "", []string{"Start to check BASE AOF (RDB format).", "RDB preamble is OK, proceeding with AOF tail...", "INCR AOF appendonly.aof.1.incr.aof is empty"}},
		{"bad RDB", two("REDIS0011\x00", ""), man, false, 0, "", false, "", []string{"RDB preamble of AOF file is not sane, aborting."}},
		{"no base", folderWith(man, "file i seq 1 type i\nfile j seq 2 type i\n", in("i"), add(0), in("j"), add(1)), man, false, 0, "", true, "-", []string{"Start to check INCR files.", "INCR AOF j is valid"}},
		{"bad manifest", folderWith(man, "file x\n"), man, false, 0, "", false, "-", []string{"Invalid AOF manifest file format", ">>> 'file x'"}},
		{"manifest after comments", folderWith(man, "# a\nfile x\n"), man, false, 0, "", false, "-", []string{"at line 2"}},
		{"missing", folderWith(man, manifest1, base, ""), man, false, 0, "", false, "-", []string{"Cannot open file appendonlydir/appendonly.aof.1.incr.aof: No such file or directory, aborting..."}},
		{"missing base", folderWith(man, manifest1, incr, ""), man, false, 0, "", false, "", []string{"Cannot open file appendonlydir/appendonly.aof.1.base.rdb"}},
		{"no file", folderWith(), "f", false, 0, "", false, "-", []string{"Cannot open file f: No such file or directory"}},
		{"torn", two("", command("SET", "foo", "hello")+"!!!"), man, false, 0, "", false, "-", []string{"ok_up_to_line=8, diff=3", "AOF appendonly.aof.1.incr.aof is not valid. Use the --fix option to try fixing it."}},
		{"fixed", two("", add(0)+"!!!"), man, true, 0, "y\n", true, add(0), []string{"This will shrink the AOF appendonly.aof.1.incr.aof from 23 bytes, with 3 bytes, to 20 bytes", "Continue? [y/N]: ", "Successfully truncated AOF appendonly.aof.1.incr.aof"}},
		{"not fixed", two("", add(0)+"!!!"), man, true, 0, "n", false, add(0) + "!!!", []string{"Aborting..."}},
		{"no answer", two("", add(0)+"!!!"), man, true, 0, "", false, add(0) + "!!!", []string{"Aborting..."}},
		{"nothing to fix", two("", add(0)), man, true, 0, "", true, add(0), nil},
		{"not the last", two(add(0)+"!", add(1)), man, true, 0, "y", false, add(1), []string{"Failed to truncate AOF appendonly.aof.1.base.rdb because it is not the last file"}},

		{"before an empty one", folderWith(man, manifest1+"file i2 seq 2 type i\n", base, "", incr, add(0)+"!!!", in("i2"), ""), man, true, 0, "y", true, add(0), []string{"Successfully truncated AOF appendonly.aof.1.incr.aof", "INCR AOF i2 is empty"}},
		{"stamp before an empty one", folderWith(man, manifest1+"file i2 seq 2 type i\n", base, "", incr, stamped, in("i2"), ""), man, false, 150, "", true, stamped[:29], []string{"Successfully truncated AOF appendonly.aof.1.incr.aof to timestamp 150"}},

		{"old", one(add(0)), "f", false, 0, "", true, "-", []string{"Start checking Old-Style AOF", "AOF f is valid"}},
		{"old RDB", one(rdb + add(0)), "f", false, 0, "", true, "-", []string{"RDB preamble is OK"}},
		{"old empty", one(""), "f", false, 0, "", true, "-", []string{"AOF f is empty"}},
		{"prefix", one(add(0) + "*1\r\n+3\r\n"), "f", false, 0, "", false, "-", []string{"0x              18: Expected prefix '$', got: '+'", "ok_up_to=20"}},
		{"number", one("*x\r\n"), "f", false, 0, "", false, "-", []string{"Expected a number"}},
		{"break", one("*1x\r\n"), "f", false, 0, "", false, "-", []string{"Expected \\r\\n, got: 780d"}},
		{"break of one", one("*1\n"), "f", false, 0, "", false, "-", []string{"Expected \\r\\n, got: 0a00"}},
		{"none", one("*0\r\n"), "f", false, 0, "", false, "-", []string{"Expected a command of at least one word, got 0"}},
		{"long", one("*1\r\n$10\r\nabc"), "f", false, 0, "", false, "-", []string{"Expected to read 12 bytes, got 3 bytes"}},
		{"too long", one("*1\r\n$9223372036854775807\r\nabc"), "f", false, 0, "", false, "-", []string{"bytes, got 3 bytes"}},
		{"behind", one("*1\r\n$1\r\nabcd"), "f", false, 0, "", false, "-", []string{"Expected \\r\\n, got: 6263"}},
		{"cut line", one("*1\r\n$1"), "f", false, 0, "", false, "-", []string{"Expected a line, got 2 bytes"}},
		{"endless line", one("*" + strings.Repeat("1", 200)), "f", false, 0, "", false, "-", []string{"Expected the end of a line within"}},
		{"garbage", one("hello"), "f", false, 0, "", false, "-", []string{"AOF f format error", "ok_up_to=0"}},
		{"multi", one(add(0) + command("MULTI") + add(1)), "f", false, 0, "", false, "-", []string{"Reached EOF before reading EXEC for MULTI", "ok_up_to=20"}},
		{"multi multi", one(command("MULTI") + command("multi")), "f", false, 0, "", false, "-", []string{"Unexpected MULTI in AOF f"}},
		{"half a break behind", one("*1\r\n$1\r\na\r"), "f", false, 0, "", false, "-", []string{"Expected to read 3 bytes, got 2 bytes"}},
		{"exec", one(command("EXEC")), "f", false, 0, "", false, "-", []string{"Unexpected EXEC in AOF f"}},
		{"unit", one(command("MULTI") + add(1) + command("EXEC")), "f", false, 0, "", true, "-", []string{"diff=0"}},
		{"annotation cut", one(add(0) + "#TS:1"), "f", false, 0, "", false, "-", []string{"ok_up_to=20"}},

		{"stamp", two("", stamped), man, false, 150, "", true, stamped[:29], []string{"Successfully truncated AOF appendonly.aof.1.incr.aof to timestamp 150"}},
		{"stamp equal", two("", stamped), man, false, 200, "", true, stamped, []string{"Truncate nothing in AOF appendonly.aof.1.incr.aof to timestamp 200"}},
		{"stamp early", two("", stamped), man, false, 50, "", false, stamped, []string{"has nothing before timestamp 50, aborting..."}},
		{"stamp not last", two(stamped, add(0)), man, false, 150, "", false, add(0), []string{"Failed to truncate AOF appendonlydir/appendonly.aof.1.base.rdb to timestamp 150 to offset 29 because it is not the last file."}},
		{"stamp bad", two("", "#TS:1x\r\n"), man, false, 150, "", false, "-", []string{"Invalid timestamp annotation"}},
		{"stamp bad, not asked", two("", "#TS:1x\r\n#else\n"), man, false, 0, "", true, "-", nil},
		{"stamp in unit", two("", add(0)+command("MULTI")+add(1)+"#TS:200\r\n"+add(2)+command("EXEC")), man, false, 150, "", true, add(0), []string{"to timestamp 150"}},
	} {
		var out strings.Builder
		err := Check(&out, c.path, CheckOptions{FS: c.fs, Fix: c.fix, In: strings.NewReader(c.in), Timestamp: c.stamp, CheckRDB: checkFake})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out.String())
		}
		for _, w := range c.words {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", c.name, w, out.String())
			}
		}
		if c.left != "-" {
			if b, _ := c.fs.ReadFile(incr); string(b) != c.left {
				t.Errorf("%s: left %q", c.name, b)
			}
		}
	}
}

// TestCheckDisk: what the disk does to the tool.
func TestCheckDisk(t *testing.T) {
	for _, stamp := range []int64{0, 1} {
		fs := folderWith("f", add(0)+"#TS:5\r\n!!!")
		fs.Inject = func(memfs.Op, string, int) *memfs.Fault { return &memfs.Fault{Err: syscall.EIO} }
		var out strings.Builder
		if err := Check(&out, "f", CheckOptions{FS: fs, Fix: true, In: strings.NewReader("y"), Timestamp: stamp}); err == nil || !strings.Contains(out.String(), "Failed to truncate AOF f") {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
	for _, c := range []struct {
		op      memfs.Op
		content string
		n       int
		word    string
	}{
		{memfs.OpRead, add(0), 1, "Cannot read file: f"},
		{memfs.OpOpen, add(0), 2, "Cannot open file f: Input/output error, aborting..."},
		{memfs.OpStat, add(0), 1, "Cannot stat file: f, aborting..."},
		{memfs.OpRead, add(0), 3, "Failed to read from AOF f: Input/output error"},
		{memfs.OpRead, add(0), 4, "Failed to read from AOF f: Input/output error"},
		{memfs.OpOpen, add(0) + "!!!", 3, "Failed to truncate AOF f: Input/output error"},
		{memfs.OpStat, manifest1, 1, "Fatal error: can't open the AOF manifest file f for reading: Input/output error"},
		{memfs.OpOpen, manifest1, 2, "Fatal error: can't open the AOF manifest file f for reading: Input/output error"},
		{memfs.OpRead, "file " + strings.Repeat("x", 5<<20), 1 << 30, "Fatal error: can't open the AOF manifest file f for reading: the AOF manifest file is too large"},
	} {
		var out strings.Builder
		fs := denied(folderWith("f", c.content), c.op, "f", c.n)
		if err := Check(&out, "f", CheckOptions{FS: fs, Fix: true, In: strings.NewReader("y")}); err == nil || !strings.Contains(out.String(), c.word) {
			t.Errorf("%s %d: %v\n%s", c.op, c.n, err, out.String())
		}
	}
	// Whichever read fails, nothing is cut off: the bytes may be sound.
	content, failed := add(0)+command("SET", "k", strings.Repeat("v", 200_000))+command("MULTI")+add(1)+command("EXEC"), 0
	for n := 1; ; n++ {
		fs := denied(folderWith("f", content), memfs.OpRead, "f", n)
		var out strings.Builder
		err := Check(&out, "f", CheckOptions{FS: fs, Fix: true, In: strings.NewReader("y")})
		if b, _ := fs.ReadFile("f"); string(b) != content {
			t.Fatalf("read %d fails: %d bytes are left\n%s", n, len(b), out.String())
		}
		if err == nil {
			break
		}
		if strings.Contains(out.String(), "Failed to read from AOF f: Input/output error") {
			failed++
		}
	}
	if failed < 4 {
		t.Errorf("%d reads failed", failed)
	}
	var out strings.Builder
	if err := Check(&out, "f", CheckOptions{FS: folderWith("f", "!!!"), Fix: true}); err == nil || !strings.Contains(out.String(), "Aborting...") {
		t.Errorf("nobody was there to ask: %v\n%s", err, out.String())
	}
	if err := Check(&out, t.TempDir()+"/none", CheckOptions{}); err == nil {
		t.Error("no file is valid")
	}
}
