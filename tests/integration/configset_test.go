package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// A CONFIG SET that is answered OK has happened; one that cannot happen is an error, and the old value stays.

const (
	errTurnOn  = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check server logs."
	errRewrite = "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
)

// The append-only file is not switched on where none can be written, in whatever state the server is, and a rewrite is not
// said to have begun there.
func TestAppendOnlyNeedsItsFolder(t *testing.T) {
	for _, x := range []struct {
		name       string
		spoil, fix func(dir string) error
	}{
		{"the folder is gone", os.RemoveAll, func(dir string) error { return os.Mkdir(dir, 0o700) }},
		{"a file has the name of the folder",
			func(dir string) error { return os.WriteFile(filepath.Join(dir, "appendonlydir"), nil, 0o600) },
			func(dir string) error { return os.Remove(filepath.Join(dir, "appendonlydir")) }},
		{"no file can be made",
			func(dir string) error {
				return os.MkdirAll(filepath.Join(dir, "appendonlydir", "temp-appendonly.aof.incr", "x"), 0o700)
			},
			func(dir string) error { return os.RemoveAll(filepath.Join(dir, "appendonlydir")) }},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s, c := persistent(t, dir)
			c.Must("SET", "a", "1")
			if err := x.spoil(dir); err != nil {
				t.Fatal(err)
			}
			off := func() {
				t.Helper()
				replies(t, c, "CONFIG GET appendonly", "[appendonly no]", "SET b 1", "OK")
				if got := state(t, c, "aof_enabled"); got != "0" {
					t.Errorf("aof_enabled:%s", got)
				}
			}
			replies(t, c, "CONFIG SET appendonly yes", errTurnOn, "CONFIG SET hz 50 appendonly yes", errTurnOn,
				"CONFIG GET hz", "[hz 10]", "BGREWRITEAOF", errRewrite)
			off()
			replies(t, c, "MULTI", "OK", "CONFIG SET appendonly yes", "QUEUED", "EXEC", "["+errTurnOn)
			off()
			// While a save runs, the first rewrite would only be scheduled.
			c.Must("CONFIG", "SET", "rdb-key-save-delay", "1000000000")
			replies(t, c, "BGSAVE", "Background saving started", "CONFIG SET appendonly yes", errTurnOn,
				"CONFIG SET rdb-key-save-delay 0", "OK")
			saved(t, c)
			off()

			if err := x.fix(dir); err != nil {
				t.Fatal(err)
			}
			c.Must("CONFIG", "SET", "appendonly", "yes")
			eventually(t, "the file is made", func() bool {
				return state(t, c, "aof_rewrite_in_progress") == "0" && state(t, c, "aof_rewrite_scheduled") == "0"
			})
			c.Must("CONFIG", "SET", "appendfsync", "always")
			c.Must("SET", "c", "1")
			s.Kill()
			_, c = persistent(t, dir, "--appendonly", "yes")
			replies(t, c, "MGET a b c", "[1 1 1]")
		})
	}
}

// Values that only the host can refuse are refused, and the old ones stay.
func TestConfigSetAsksTheHost(t *testing.T) {
	_, c := persistent(t, t.TempDir(), "--enable-protected-configs", "yes")
	for _, x := range []struct{ name, value, problem string }{
		{"locale-collate", "nosuch", "Invalid locale name"},
		{"locale-collate", "xx_XX.UTF-8", "Invalid locale name"},
		{"locale-collate", "LC_ALL=C", "Invalid locale name"},
		{"tls-port", "27904", "Unable to update TLS configuration. Check server logs."},
		{"tls-replication", "yes", "Unable to update TLS configuration. Check server logs."},
		{"tls-cluster", "yes", "Unable to update TLS configuration. Check server logs."},
		{"dir", "/nonexistent/dir", "No such file or directory"},
		{"bind", "nosuchhost.invalid", "Failed to bind to specified addresses."},
		{"maxclients", "4000000000", "The operating system is not able to handle the specified number of clients, try with "},
		{"oom-score-adj-values", "-3000 0 0", "Invalid oom-score-adj-values, elements must be between -2000 and 2000."},
		{"aclfile", "/nonexistent/file", "can't set immutable config"},
		{"logfile", "/nonexistent/file", "can't set immutable config"},
		{"unixsocket", "/nonexistent/file", "can't set immutable config"},
	} {
		before := c.Must("CONFIG", "GET", x.name).String()
		v, err := c.Do("CONFIG", "SET", "hz", "20", x.name, x.value)
		want := "ERR CONFIG SET failed (possibly related to argument '" + x.name + "') - " + x.problem
		if err != nil || !strings.HasPrefix(v.Str, want) {
			t.Errorf("%s %s: %v, %v, want %s", x.name, x.value, v, err, want)
		}
		if got := c.Must("CONFIG", "GET", x.name).String(); got != before {
			t.Errorf("%s %s: now it is %s, it was %s", x.name, x.value, got, before)
		}
	}
	replies(t, c, "CONFIG GET hz", "[hz 10]", "CONFIG SET locale-collate C", "OK", "CONFIG SET locale-collate POSIX", "OK",
		"CONFIG SET locale-collate C.UTF-8", "OK", "CONFIG GET locale-collate", "[locale-collate C.UTF-8]",
		"CONFIG SET tls-port 0 tls-replication no", "OK")
	c.Must("CONFIG", "SET", "locale-collate", "")
}

// The same on a disk that is mounted read-only.
func TestAppendOnlyNeedsWritableDisk(t *testing.T) {
	disk := t.TempDir()
	wrap := smallDisk(t, disk)
	for i, word := range wrap {
		wrap[i] = strings.Replace(word, "mount -t tmpfs -o size=2m", "mount -t tmpfs -o size=2m,ro", 1)
	}
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Wrap: wrap, Args: []string{"--dir", disk}})
	replies(t, s.Dial(t), "CONFIG SET appendonly yes", errTurnOn, "CONFIG GET appendonly", "[appendonly no]", "SET a 1", "OK",
		"BGREWRITEAOF", errRewrite)
}

// A CONFIG SET that fails as a whole has not switched the append-only file off and on again, which would take a rewrite.
func TestFailedConfigSetKeepsAppendOnly(t *testing.T) {
	dir := t.TempDir()
	s, c := persistent(t, dir, "--appendonly", "yes", "--appendfsync", "always")
	c.Must("DEBUG", "POPULATE", "10")
	c.Must("CONFIG", "SET", "rdb-key-save-delay", endlessly)
	replies(t, c, "CONFIG SET appendonly no bind nosuchhost.invalid", "ERR CONFIG SET failed (possibly related to argument 'bind')",
		"CONFIG GET appendonly", "[appendonly yes]", "SET a 1", "OK")
	if state(t, c, "aof_enabled") != "1" || state(t, c, "aof_rewrite_in_progress") != "0" {
		t.Error("the file has been switched off")
	}
	s.Kill()
	_, c = persistent(t, dir, "--appendonly", "yes")
	replies(t, c, "GET a", "1")
}
