package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// Dumps as they are made and loaded by a whole server: when, what becomes of it when that fails, and what ends it.

// endlessly is a rdb-key-save-delay with which no save of some keys ends while a test runs.
const endlessly = "10000000"

// persistent starts a server for tests of dumps, in a folder that outlives it.
func persistent(t *testing.T, dir string, args ...string) (*harness.Server, *harness.Conn) {
	t.Helper()
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir,
		Args: append([]string{"--enable-debug-command", "yes"}, args...)})
	return s, s.Dial(t)
}

// replies sends requests in one packet, between which the server does nothing else, and compares the replies. The last
// request may come without one.
func replies(t *testing.T, c *harness.Conn, requestsAndReplies ...string) {
	t.Helper()
	var packet []byte
	for i := 0; i < len(requestsAndReplies); i += 2 {
		packet = harness.AppendCommand(packet, strings.Fields(requestsAndReplies[i])...)
	}
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(requestsAndReplies); i += 2 {
		v, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := v.String(); !strings.HasPrefix(got, requestsAndReplies[i+1]) {
			t.Errorf("%s: %s, want %s", requestsAndReplies[i], got, requestsAndReplies[i+1])
		}
	}
}

// state returns a field of INFO persistence.
func state(t *testing.T, c *harness.Conn, name string) string {
	t.Helper()
	info, err := c.Info("persistence")
	if err != nil {
		t.Fatal(err)
	}
	return info[name]
}

// saved waits for the end of a save in the background.
func saved(t *testing.T, c *harness.Conn) {
	t.Helper()
	eventually(t, "the save ends", func() bool { return state(t, c, "rdb_bgsave_in_progress") == "0" })
}

// names returns what there is in a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

// ends waits for the end of a server.
func ends(t *testing.T, s *harness.Server, code int) {
	t.Helper()
	if got, err := s.Wait(time.Minute); err != nil || got != code {
		t.Fatalf("exit code %d, %v", got, err)
	}
}

// A save point saves when there are as many changes as it wants, not before.
func TestSavePoints(t *testing.T) {
	dir := t.TempDir()
	s, c := persistent(t, dir)
	c.Must("CONFIG", "SET", "save", "1 3")
	c.Must("SET", "a", "1")
	c.Must("SET", "b", "2")
	time.Sleep(2500 * time.Millisecond) // in which a server that does not count would have saved
	if n := state(t, c, "rdb_saves"); n != "0" {
		t.Errorf("%s saves after two changes", n)
	}
	c.Must("SET", "c", "3")
	eventually(t, "a save", func() bool { return state(t, c, "rdb_changes_since_last_save") == "0" })
	eventually(t, "it says why", func() bool { return strings.Contains(s.Logs(), "3 changes in 1 seconds. Saving...") })
	s.Kill()
	_, c = persistent(t, dir)
	replies(t, c, "MGET a b c", "[1 2 3]")
}

// What BGSAVE answers while something else is in progress, and that what was scheduled happens.
func TestScheduledSave(t *testing.T) {
	_, c := persistent(t, t.TempDir())
	replies(t, c, "DEBUG POPULATE 100", "OK",
		"BGREWRITEAOF", "Background append only file rewriting started",
		"BGREWRITEAOF", "ERR Background append only file rewriting already in progress",
		"BGSAVE", "ERR Another child process is active (AOF?): can't BGSAVE right now.",
		"BGSAVE SCHEDULE", "Background saving scheduled",
		"BGSAVE SCHEDULE LATER", "ERR syntax error",
		"BGSAVE NOW", "ERR syntax error")
	eventually(t, "the scheduled save", func() bool { return state(t, c, "rdb_saves") == "1" })
	saved(t, c)
	replies(t, c,
		"BGSAVE SCHEDULE", "Background saving started",
		"BGSAVE", "ERR Background save already in progress",
		"BGSAVE SCHEDULE", "ERR Background save already in progress",
		"SAVE", "ERR Background save already in progress",
		"BGREWRITEAOF", "Background append only file rewriting scheduled")
	eventually(t, "the scheduled rewrite", func() bool { return state(t, c, "aof_rewrites") == "2" })
	eventually(t, "its end", func() bool { return state(t, c, "aof_rewrite_in_progress") == "0" })

	// In a transaction there is no snapshot: what follows in it belongs to the data, too.
	for _, begin := range []string{"BGSAVE", "BGSAVE SCHEDULE"} {
		before := state(t, c, "rdb_saves")
		replies(t, c, "MULTI", "OK", begin, "QUEUED", "SET late "+before, "QUEUED", "EXEC", "[Background saving scheduled OK]")
		eventually(t, "the save after EXEC", func() bool { return state(t, c, "rdb_saves") != before })
		saved(t, c)
		replies(t, c, "DEBUG RELOAD NOSAVE", "OK", "GET late", before)
	}
	replies(t, c, "MULTI", "OK", "SAVE", "ERR Command not allowed inside a transaction", "DISCARD", "OK")
}

// A save that fails leaves the data and what was on the disk alone, has commands that change data refused where there are
// save points, and is made good by the next.
func TestFailingSave(t *testing.T) {
	for _, x := range []struct {
		name       string
		spoil, fix func(dir string) error
	}{
		{"a folder has the dump's name",
			func(dir string) error { return os.MkdirAll(filepath.Join(dir, "dump.rdb", "x"), 0o700) },
			func(dir string) error { return os.RemoveAll(filepath.Join(dir, "dump.rdb")) }},
		{"the folder is gone",
			os.RemoveAll, // a folder that is renamed would be followed
			func(dir string) error { return os.Mkdir(dir, 0o700) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s, c := persistent(t, dir)
			c.Must("SET", "k", "v")
			if err := x.spoil(dir); err != nil {
				t.Fatal(err)
			}
			fails := func() {
				c.Must("BGSAVE")
				eventually(t, "the save fails", func() bool { return state(t, c, "rdb_last_bgsave_status") == "err" })
				saved(t, c)
			}
			fails()
			replies(t, c, "SET k w", "OK", "PING", "PONG") // there are no save points
			c.Must("CONFIG", "SET", "save", "1000000 1000000")
			replies(t, c, "SET k x", "MISCONF ", "DEL k", "MISCONF ", "PING", "MISCONF ", "GET k", "w",
				"MULTI", "OK", "INCR n", "MISCONF ", "EXEC", "EXECABORT",
				"CONFIG SET stop-writes-on-bgsave-error no", "OK", "SET k y", "OK",
				"CONFIG SET stop-writes-on-bgsave-error yes", "OK", "SET k z", "MISCONF ",
				"SAVE", "ERR")
			for _, line := range []string{"Background saving error: ", "Error saving the DB to "} {
				eventually(t, "it says "+line, func() bool { return strings.Contains(s.Logs(), line) })
			}

			// Nor does it end: the data is nowhere else.
			replies(t, c, "SHUTDOWN", "ERR Errors trying to SHUTDOWN. Check logs.",
				"SHUTDOWN SAVE", "ERR Errors trying to SHUTDOWN. Check logs.")
			if err := s.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the signal is refused", func() bool { return strings.Contains(s.Logs(), "Errors trying to shut down the server.") })
			replies(t, c, "GET k", "y")

			if err := x.fix(dir); err != nil {
				t.Fatal(err)
			}
			if got := names(t, dir); got != "" {
				t.Errorf("left behind: %s", got)
			}
			c.Must("BGSAVE")
			eventually(t, "a save succeeds", func() bool { return state(t, c, "rdb_last_bgsave_status") == "ok" })
			replies(t, c, "SET k recovered", "OK", "PING", "PONG")

			// SAVE makes it good, too.
			if err := os.Remove(filepath.Join(dir, "dump.rdb")); err != nil {
				t.Fatal(err)
			}
			if err := x.spoil(dir); err != nil {
				t.Fatal(err)
			}
			fails()
			replies(t, c, "SET k x", "MISCONF ")
			if err := x.fix(dir); err != nil {
				t.Fatal(err)
			}
			replies(t, c, "SAVE", "OK", "SET k again", "OK")
			if err := s.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			ends(t, s, 0)
			_, c = persistent(t, dir)
			replies(t, c, "GET k", "again")
		})
	}
}

// Who insists on the end gets it, whether the data can be saved or not.
func TestForcedShutdown(t *testing.T) {
	for _, command := range []string{"SHUTDOWN SAVE FORCE", "SHUTDOWN FORCE NOW", "SHUTDOWN NOSAVE"} {
		dir := t.TempDir()
		s, c := persistent(t, dir)
		c.Must("CONFIG", "SET", "save", "1000000 1000000")
		if err := os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.Send(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
		ends(t, s, 0)
		if got := names(t, dir); got != "dump.rdb" {
			t.Errorf("%s left behind: %s", command, got)
		}
	}
}

// FLUSHALL empties the dump, too, where there are save points.
func TestFlushAllAndDump(t *testing.T) {
	for points, want := range map[string]string{"": "10", "1000000 1000000": "0"} {
		dir := t.TempDir()
		s, c := persistent(t, dir)
		c.Must("CONFIG", "SET", "save", points)
		replies(t, c, "DEBUG POPULATE 10", "OK", "SAVE", "OK", "FLUSHALL", "OK")
		s.Kill()
		_, c = persistent(t, dir)
		if v := c.Must("DBSIZE"); v.String() != want {
			t.Errorf("save %q: %s keys after FLUSHALL and a kill, want %s", points, v, want)
		}
	}
}

// While a file is loaded clients get LOADING errors, INFO shows the progress, and a shutdown in the middle leaves the file as
// it is.
func TestLoading(t *testing.T) {
	for name, files := range map[string][]string{"dump": {"--save", "1000000 1"}, "append-only file": {"--appendonly", "yes"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			const keys = 5000
			s, c := persistent(t, dir, append([]string{"--rdbcompression", "no"}, files...)...)
			replies(t, c, fmt.Sprintf("DEBUG POPULATE %d key 4000", keys), "OK", "BGREWRITEAOF", "Background append only")
			eventually(t, "the rewrite ends", func() bool { return state(t, c, "aof_rewrite_in_progress") == "0" })
			c.Must("SAVE")
			s.Kill()
			dump, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
			if err != nil {
				t.Fatal(err)
			}
			// A server with a password replies NOAUTH, which ends the harness's wait, before it replies LOADING.
			start := func(delay string) (*harness.Server, *harness.Conn) {
				s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Password: "secret",
					Args: append([]string{"--requirepass", "secret", "--key-load-delay", delay,
						"--loading-process-events-interval-bytes", "1024"}, files...)})
				return s, s.Dial(t)
			}
			// 10 s of loading, in turns of some 0.1 s: each request waits for the end of one.
			s, c = start("2000")
			const loading = "LOADING Redis is loading the dataset in memory"
			replies(t, c, "GET key:1", loading, "PING", loading, "SAVE", loading, "BGSAVE", loading, "DBSIZE", loading,
				"MULTI", "OK", "SET a b", loading, "EXEC", "EXECABORT", "SELECT 0", "OK", "CLIENT ID", "")
			info, err := c.Info("persistence")
			if err != nil {
				t.Fatal(err)
			}
			if total, err := strconv.Atoi(info["loading_total_bytes"]); info["loading"] != "1" || err != nil || total <= 0 {
				t.Errorf("INFO: loading %s, of %s bytes", info["loading"], info["loading_total_bytes"])
			}
			eventually(t, "the loading goes on", func() bool {
				n, err := strconv.Atoi(state(t, c, "loading_loaded_bytes"))
				return err == nil && n > 0
			})
			if err := c.Send("SHUTDOWN"); err != nil {
				t.Fatal(err)
			}
			ends(t, s, 0)
			if b, err := os.ReadFile(filepath.Join(dir, "dump.rdb")); err != nil || !bytes.Equal(b, dump) {
				t.Errorf("the dump was replaced, %v", err)
			}
			_, c = start("-1000")
			eventually(t, "all is loaded", func() bool { return state(t, c, "loading") == "0" })
			replies(t, c, "DBSIZE", strconv.Itoa(keys), "PING", "PONG")
		})
	}
}

// A dump that cannot be read ends the start, and the log says where it is broken.
func TestBrokenDump(t *testing.T) {
	dir := t.TempDir()
	s, c := persistent(t, dir)
	replies(t, c, "SET key:of:interest some-value", "OK", "RPUSH list a b c", "3", "SAVE", "OK")
	s.Kill()
	path := filepath.Join(dir, "dump.rdb")
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, text string
		spoil      func([]byte) []byte
	}{
		{"empty", "Short read or OOM loading DB", func([]byte) []byte { return nil }},
		{"no dump", "Wrong signature", func(b []byte) []byte { return append([]byte("NOTREDIS!"), b...) }},
		{"cut off", "Short read or OOM loading DB", func(b []byte) []byte { return b[:len(b)-10] }},
		{"another version", "Can't handle RDB format version 0099", func(b []byte) []byte { return append([]byte("REDIS0099"), b[9:]...) }},
		{"a changed byte", "wrong RDB checksum", func(b []byte) []byte { return bytes.Replace(b, []byte("some-value"), []byte("some-other"), 1) }},
	} {
		if err := os.WriteFile(path, x.spoil(bytes.Clone(sound)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Dir: dir})
		if err == nil {
			s.Kill()
			t.Errorf("%s: it starts", x.name)
			continue
		}
		for _, want := range []string{"exited at start (exit status 1)", x.text, "--- RDB ERROR DETECTED ---", "[info] ",
			"Terminating server after rdb file reading failure."} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", x.name, want, err)
			}
		}
	}
	// A folder is no dump, either.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Dir: dir}); err == nil {
		s.Kill()
		t.Error("it starts with a folder as dump")
	} else if !strings.Contains(err.Error(), "exited at start (exit status 1)") {
		t.Error(err)
	}
}

// INFO shows the progress of a background save, and how many bytes were copied for it.
func TestSaveProgress(t *testing.T) {
	_, c := persistent(t, t.TempDir())
	replies(t, c, "DEBUG POPULATE 10000 key 400", "OK", "CONFIG SET rdb-key-save-delay 50000", "OK",
		"BGSAVE", "Background saving started")
	if n := state(t, c, "current_cow_size"); n != "0" {
		t.Errorf("%s bytes were copied while nothing was changed", n)
	}
	eventually(t, "it goes on", func() bool { return state(t, c, "current_save_keys_processed") != "0" })
	last := int64(0)
	for i := range 3 {
		c.Must("SETRANGE", fmt.Sprint("key:", i), "0", "changed")
		n, err := strconv.ParseInt(state(t, c, "current_cow_size"), 10, 64)
		if err != nil || n < last || n == 0 || n > 100_000 {
			t.Errorf("after %d changes %d bytes were copied, before %d", i+1, n, last)
		}
		last = n
	}
	if total, perc := state(t, c, "current_save_keys_total"), state(t, c, "current_fork_perc"); total != "10000" || strings.HasPrefix(perc, "0.00") {
		t.Errorf("%s%% of %s keys", perc, total)
	}
	replies(t, c, "FLUSHALL", "OK") // which ends it, at once unless the disk is busy
	eventually(t, fmt.Sprintf("nothing is copied any more, and %d bytes were for the last save", last), func() bool {
		return state(t, c, "current_cow_size") == "0" && state(t, c, "rdb_last_cow_size") == fmt.Sprint(last)
	})
}

// A save in the background ends at once when it is in the way of something, and leaves nothing behind.
func TestCanceledSave(t *testing.T) {
	begin := func(t *testing.T) (string, *harness.Server, *harness.Conn) {
		dir := t.TempDir()
		s, c := persistent(t, dir)
		replies(t, c, "DEBUG POPULATE 1000", "OK", "SET k v", "OK", "CONFIG SET rdb-key-save-delay "+endlessly, "OK",
			"BGSAVE", "Background saving started")
		eventually(t, "the file is there", func() bool { return names(t, dir) == fmt.Sprintf("temp-%d.rdb", s.PID()) })
		return dir, s, c
	}
	// Commands that save by themselves need a quick save. The slow save could end now, too, but the loop does not get its end
	// before it is canceled.
	const quick = "CONFIG SET rdb-key-save-delay 0"
	nothing := func(t *testing.T, dir string) {
		t.Helper()
		if got := names(t, dir); got != "" {
			t.Errorf("left behind: %s", got)
		}
	}
	t.Run("SHUTDOWN NOSAVE", func(t *testing.T) {
		dir, s, c := begin(t)
		if err := c.Send("SHUTDOWN", "NOSAVE"); err != nil {
			t.Fatal(err)
		}
		ends(t, s, 0)
		nothing(t, dir)
	})
	t.Run("SIGTERM", func(t *testing.T) {
		dir, s, _ := begin(t)
		if code, err := s.Stop(time.Minute); err != nil || code != 0 {
			t.Errorf("exit code %d, %v", code, err)
		}
		nothing(t, dir)
	})
	t.Run("SHUTDOWN SAVE", func(t *testing.T) {
		dir, s, c := begin(t)
		replies(t, c, quick, "OK", "SHUTDOWN SAVE")
		ends(t, s, 0)
		_, c = persistent(t, dir)
		replies(t, c, "DBSIZE", "1001", "GET k", "v")
	})
	t.Run("DEBUG RELOAD", func(t *testing.T) {
		dir, _, c := begin(t)
		replies(t, c, "SET k w", "OK", quick, "OK")
		eventually(t, "it is saved and loaded", func() bool { // refused while the one before hangs at the disk
			v, err := c.Do("DEBUG", "RELOAD")
			return err == nil && v.Str == "OK"
		})
		replies(t, c, "GET k", "w", "DBSIZE", "1001")
		if n, status := state(t, c, "rdb_bgsave_in_progress"), state(t, c, "rdb_last_bgsave_status"); n != "0" || status != "ok" {
			t.Errorf("in progress %s, last status %s", n, status)
		}
		if got := names(t, dir); got != "dump.rdb" {
			t.Errorf("there are %s", got)
		}
	})
	for _, flush := range []string{"FLUSHALL", "FLUSHALL ASYNC"} {
		t.Run(flush, func(t *testing.T) {
			dir, _, c := begin(t)
			replies(t, c, flush, "OK", "DBSIZE", "0")
			eventually(t, "none is in progress", func() bool { return state(t, c, "rdb_bgsave_in_progress") == "0" })
			nothing(t, dir)
			replies(t, c, "SET k w", "OK", quick, "OK", "BGSAVE", "Background saving started")
			saved(t, c)
			replies(t, c, "DEBUG RELOAD NOSAVE", "OK", "DBSIZE", "1", "GET k", "w")
		})
	}
}

// What saves in the foreground goes on while the append-only file is being rewritten, and no end waits for the rewrite.
func TestSaveDuringRewrite(t *testing.T) {
	for _, preamble := range []string{"yes", "no"} {
		t.Run("preamble "+preamble, func(t *testing.T) {
			dir := t.TempDir()
			only := []string{"--appendonly", "yes", "--aof-use-rdb-preamble", preamble}
			s, c := persistent(t, dir, only...)
			replies(t, c, "DEBUG POPULATE 1000", "OK", "BGREWRITEAOF", "Background append only file rewriting started")
			eventually(t, "the data is in the file", func() bool { return state(t, c, "aof_rewrite_in_progress") == "0" })
			replies(t, c, "SET k v", "OK", "BGREWRITEAOF", "Background append only file rewriting started",
				"SAVE", "OK", "LPUSH l a", "1", "DEBUG RELOAD", "OK", "LPUSH l b", "2", "DBSIZE", "1002",
				"BGREWRITEAOF", "ERR Background append only file rewriting already in progress", "SHUTDOWN SAVE")
			ends(t, s, 0)
			s, c = persistent(t, dir, only...)
			replies(t, c, "CONFIG SET rdb-key-save-delay "+endlessly, "OK",
				"BGREWRITEAOF", "Background append only file rewriting started", "SHUTDOWN NOSAVE")
			ends(t, s, 0)
			for _, args := range [][]string{only, nil} {
				s, c := persistent(t, dir, args...)
				replies(t, c, "DBSIZE", "1002", "GET k", "v", "LRANGE l 0 -1", "[b a]")
				s.Kill()
			}
		})
	}
}
