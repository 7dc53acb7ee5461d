package integration

import (
	"os"
	"path/filepath"
	"testing"

	"ferrous/tests/harness"
)

// A rewrite that is stopped has ended when the reply comes, however slow it was: what needs a snapshot next gets one. And a
// save that was made slow is let go.
func TestStoppedRewrite(t *testing.T) {
	s := harness.StartFerrous(t, "--appendonly", "yes", "--enable-debug-command", "yes")
	c := s.Dial(t)
	expect := func(want string, args ...string) {
		t.Helper()
		if got := c.Must(args...); got.Str != want {
			t.Fatalf("%q: got %q, want %q", args, got.Str, want)
		}
	}
	is := func(name, want string) {
		t.Helper()
		eventually(t, name+" is "+want, func() bool { return field(t, c, "persistence", name) == want })
	}
	expect("OK", "DEBUG", "POPULATE", "100")
	for _, preamble := range []string{"yes", "no"} {
		expect("OK", "CONFIG", "SET", "rdb-key-save-delay", "1000000000", "aof-use-rdb-preamble", preamble)
		expect("Background append only file rewriting started", "BGREWRITEAOF")
		is("aof_rewrite_in_progress", "1")
		expect("OK", "CONFIG", "SET", "appendonly", "no")
		if got := field(t, c, "persistence", "aof_rewrite_in_progress"); got != "0" {
			t.Errorf("aof_rewrite_in_progress:%s", got)
		}
		expect("Background saving started", "BGSAVE")
		is("rdb_bgsave_in_progress", "1")
		expect("OK", "CONFIG", "SET", "appendonly", "yes")
		is("aof_rewrite_scheduled", "1")
		expect("OK", "CONFIG", "SET", "rdb-key-save-delay", "0")
		is("rdb_bgsave_in_progress", "0")
		is("rdb_last_bgsave_status", "ok")
		is("aof_rewrite_scheduled", "0")
		is("aof_rewrite_in_progress", "0")
		is("aof_last_bgrewrite_status", "ok")
		expect("OK", "SET", "a", preamble)
	}
	expect("OK", "DEBUG", "LOADAOF")
	expect("no", "GET", "a")
	expect("101", "DBSIZE")
}

// DEBUG LOADAOF goes by what the folder's manifest says, so that numbers begin anew where a restart would have them do so.
func TestNumbersAfterLoadAOF(t *testing.T) {
	s := harness.StartFerrous(t, "--appendonly", "yes", "--enable-debug-command", "yes")
	c := s.Dial(t)
	manifest := filepath.Join(s.Dir, "appendonlydir", "appendonly.aof.manifest")
	expect := func(want string) {
		t.Helper()
		// A rewrite is over only when nothing of it is scheduled or running any more.
		eventually(t, "the rewrite is over", func() bool {
			return field(t, c, "persistence", "aof_rewrite_in_progress") == "0" &&
				field(t, c, "persistence", "aof_rewrite_scheduled") == "0"
		})
		text, err := os.ReadFile(manifest)
		if err != nil || string(text) != want {
			t.Fatalf("got %q, %v, want %q", text, err, want)
		}
	}
	expect("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n")
	c.Must("SET", "a", "b")
	c.Must("BGREWRITEAOF")
	expect("file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n")
	c.Must("CONFIG", "SET", "appendonly", "no")
	c.Must("BGREWRITEAOF")
	expect("file appendonly.aof.3.base.rdb seq 3 type b\n")
	c.Must("DEBUG", "LOADAOF")
	c.Must("CONFIG", "SET", "appendonly", "yes")
	expect("file appendonly.aof.4.base.rdb seq 4 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n")
	c.Must("SET", "c", "d")
	c.Must("DEBUG", "LOADAOF")
	if got := c.Must("MGET", "a", "c"); got.Elems[0].Str != "b" || got.Elems[1].Str != "d" {
		t.Errorf("got %v", got)
	}
}

// DEBUG LOADAOF is no change of the data: it is not written to the file that it loads. One that is there does nothing.
func TestLoadAOFIsNotPropagated(t *testing.T) {
	file := harness.AppendCommand(nil, "SET", "a", "b")
	file = harness.AppendCommand(file, "DEBUG", "LOADAOF")
	dir, incr := appendOnlyDir(t, harness.AppendCommand(file, "INCR", "n"))
	s := harness.StartFerrous(t, "--dir", dir, "--appendonly", "yes", "--enable-debug-command", "yes")
	c := s.Dial(t)
	before, err := os.ReadFile(incr)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.Must("DEBUG", "LOADAOF")
		if got := c.Must("MGET", "a", "n"); got.Elems[0].Str != "b" || got.Elems[1].Str != "1" {
			t.Fatalf("got %v", got)
		}
	}
	changes := func() {
		t.Helper()
		if got := field(t, c, "persistence", "rdb_changes_since_last_save"); got != "0" {
			t.Errorf("rdb_changes_since_last_save:%s", got)
		}
	}
	changes()
	after, err := os.ReadFile(incr)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file is now %q, %v", after, err)
	}
	// A snapshot that was begun before does not count what was forgotten meanwhile.
	c.Must("SET", "b", "c")
	c.Must("CONFIG", "SET", "rdb-key-save-delay", "1000000000")
	c.Must("BGSAVE")
	c.Must("DEBUG", "LOADAOF")
	c.Must("CONFIG", "SET", "rdb-key-save-delay", "0")
	eventually(t, "the snapshot has ended", func() bool { return field(t, c, "persistence", "rdb_bgsave_in_progress") == "0" })
	changes()
}
