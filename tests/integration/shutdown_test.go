package integration

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// What a shutdown ends, and what it must not have ended where it fails.

// failShutdown asks for a shutdown that cannot save, in one of the two ways.
func failShutdown(t *testing.T, s *harness.Server, c *harness.Conn, how string) {
	t.Helper()
	if how == "SHUTDOWN" {
		replies(t, c, "SHUTDOWN", "ERR Errors trying to SHUTDOWN. Check logs.")
		return
	}
	const line = "Errors trying to shut down the server."
	before := strings.Count(s.Logs(), line)
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the signal is refused", func() bool { return strings.Count(s.Logs(), line) > before })
}

// A shutdown that fails has ended nothing: the append-only file is fed, a rewrite and a save go on, clients wait as long as
// they wanted, others come in, and what was answered is there after a kill.
func TestFailedShutdownEndsNothing(t *testing.T) {
	for _, policy := range []string{"always", "everysec"} {
		for _, how := range []string{"SHUTDOWN", "SIGTERM"} {
			for _, busy := range []string{"", "BGREWRITEAOF", "BGSAVE"} {
				t.Run(policy+" "+how+" "+busy, func(t *testing.T) {
					dir := t.TempDir()
					s, c := persistent(t, dir, "--appendonly", "yes", "--appendfsync", policy, "--auto-aof-rewrite-percentage", "0")
					c.Must("SET", "before", "1")
					// A tenth of a second a file.
					c.Must("DEBUG", "POPULATE", "20")
					c.Must("CONFIG", "SET", "save", "1000000 1000000", "rdb-key-save-delay", "5000", "stop-writes-on-bgsave-error", "no")
					if err := os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700); err != nil {
						t.Fatal(err)
					}
					blocked, paused := s.Dial(t), s.Dial(t)
					if err := blocked.Send("BLPOP", "list", "0"); err != nil {
						t.Fatal(err)
					}
					eventually(t, "a client waits", func() bool { return field(t, c, "clients", "blocked_clients") == "1" })
					c.Must("CLIENT", "PAUSE", "1000000", "WRITE")
					if err := paused.Send("SET", "paused", "1"); err != nil {
						t.Fatal(err)
					}
					eventually(t, "another waits", func() bool { return field(t, c, "clients", "blocked_clients") == "2" })

					if busy != "" {
						c.Must(busy)
					}
					failShutdown(t, s, c, how)
					failShutdown(t, s, c, how)
					if got := state(t, c, "aof_enabled"); got != "1" {
						t.Errorf("aof_enabled:%s", got)
					}
					logged := func(line string) bool { return strings.Contains(s.Logs(), line) }
					switch busy {
					case "BGREWRITEAOF":
						eventually(t, "the rewrite goes on", func() bool { return logged("Background AOF rewrite finished successfully") })
					case "BGSAVE":
						eventually(t, "the save begins anew, unless it had ended", func() bool {
							return strings.Count(s.Logs(), "Background saving started") > 1 || !logged("Background saving canceled")
						})
					}
					if got := field(t, c, "clients", "blocked_clients"); got != "2" {
						t.Errorf("blocked_clients:%s", got)
					}
					c.Must("CLIENT", "UNPAUSE")
					if v, err := paused.Read(); err != nil || v.Str != "OK" {
						t.Errorf("the paused client is told %v, %v", v, err)
					}
					replies(t, s.Dial(t), "SET after 1", "OK", "RPUSH list a", "1", "SET short 1 PX 1", "OK")
					if v, err := blocked.Read(); err != nil || v.String() != "[list a]" {
						t.Errorf("the blocked client is told %v, %v", v, err)
					}
					eventually(t, "a key expires", func() bool { return field(t, c, "stats", "expired_keys") == "1" })
					time.Sleep(10 * time.Millisecond) // more than a change may wait for its write
					s.Kill()

					if err := os.Remove(filepath.Join(dir, "dump.rdb")); err != nil {
						t.Fatal(err)
					}
					_, c = persistent(t, dir, "--appendonly", "yes")
					replies(t, c, "MGET before after paused", "[1 1 1]")
				})
			}
		}
	}
}

// A shutdown that must wait for the first append-only file has not ended a save that it waits for, either, and one that
// fails for one reason does not keep a later one from succeeding.
func TestShutdownWaitsForFirstFile(t *testing.T) {
	dir := t.TempDir()
	s, c := persistent(t, dir)
	c.Must("SET", "a", "1")
	c.Must("CONFIG", "SET", "rdb-key-save-delay", endlessly)
	c.Must("CONFIG", "SET", "appendonly", "yes")
	eventually(t, "the file is made", func() bool { return state(t, c, "aof_rewrite_in_progress") == "1" })
	for _, how := range []string{"SHUTDOWN", "SIGTERM"} {
		failShutdown(t, s, c, how)
		if state(t, c, "aof_enabled") != "1" || state(t, c, "aof_rewrite_in_progress") != "1" {
			t.Errorf("%s: the file is not made any more", how)
		}
	}
	c.Must("SET", "b", "2")
	c.Must("CONFIG", "SET", "rdb-key-save-delay", "0")
	eventually(t, "the file is made", func() bool { return state(t, c, "aof_rewrite_in_progress") == "0" })
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	_, c = persistent(t, dir, "--appendonly", "yes")
	replies(t, c, "MGET a b", "[1 2]")
}

// The server notifies systemd of its end (STOPPING=1) only when nothing can prevent the end any more: systemd kills a process
// that does not end in time after that.
func TestFailedShutdownAndSupervisor(t *testing.T) {
	run, err := os.MkdirTemp("", "sd") // a short path: it has to fit a socket address
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(run)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: run + "/s", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Env: []string{"NOTIFY_SOCKET=" + run + "/s"},
		Args: []string{"--supervised", "systemd"}})
	c := s.Dial(t)
	c.Must("CONFIG", "SET", "save", "1000000 1000000")
	dump := filepath.Join(dir, "dump.rdb")
	if err := os.Mkdir(dump, 0o700); err != nil {
		t.Fatal(err)
	}
	failShutdown(t, s, c, "SHUTDOWN")
	if err := os.Remove(dump); err != nil {
		t.Fatal(err)
	}
	if code, err := s.Stop(time.Minute); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	var told []string
	buf := make([]byte, 1000)
	for len(told) == 0 || told[len(told)-1] != "STOPPING=1" {
		l.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := l.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, told)
		}
		told = append(told, strings.TrimSuffix(string(buf[:n]), "\n"))
	}
	want := []string{"STATUS=Saving the final RDB snapshot", "STATUS=Error trying to save the DB, can't exit.",
		"STATUS=Saving the final RDB snapshot", "STOPPING=1"}
	if got := told[max(0, len(told)-len(want)):]; strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("told %q, want it to end with %q", told, want)
	}
}
