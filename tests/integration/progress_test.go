package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// progressKeys, times the delays after each key below, make work last longer than the five seconds between two lines of the log.
const progressKeys = 6000

// fillForProgress writes the keys of the tests.
func fillForProgress(t *testing.T, s *harness.Server) {
	t.Helper()
	c := s.Dial(t)
	if _, err := c.Do("DEBUG", "POPULATE", strconv.Itoa(progressKeys), "key", "500"); err != nil {
		t.Fatal(err)
	}
}

// waitForLine waits until the log of a server has a line of progress: with a percentage, or without one for work whose size
// is not known.
func waitForLine(t *testing.T, s *harness.Server, what string) {
	t.Helper()
	line := regexp.MustCompile(regexp.QuoteMeta(what) + `: (\d+%, )?[0-9.]+ [KM]?i?B( of [0-9.]+ [KM]?i?B)?, [0-9.]+ [KM]?i?B/s`)
	for deadline := time.Now().Add(time.Minute); !line.MatchString(s.Logs()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no line %q in the log", what)
		}
	}
}

// Long work has lines in the log: a save, a rewrite, a full synchronization on both sides, and loading.
func TestProgressInLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bin := harness.NeedFerrous(t)
	args := []string{"--enable-debug-command", "yes", "--rdbcompression", "no", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0",
		"--rdb-key-save-delay", "2000"}
	s := harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Args: args})
	fillForProgress(t, s)
	c := s.Dial(t)
	do := func(words ...string) {
		t.Helper()
		if v, err := c.Do(words...); err != nil || v.Kind == '-' {
			t.Fatal(words, v, err)
		}
	}
	do("CONFIG", "SET", "appendonly", "yes") // begins a rewrite
	waitForLine(t, s, "Rewriting the append-only file")
	do("CONFIG", "SET", "rdb-key-save-delay", "0")
	harnessWait(t, func() bool { return strings.Contains(s.Logs(), "Background AOF rewrite finished successfully") })
	do("CONFIG", "SET", "appendonly", "no", "rdb-key-save-delay", "2000")
	replica := harness.StartWith(t, harness.Options{Binary: bin, Args: []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(s.Port)}})
	waitForLine(t, s, "Sending the data to replicas")
	waitForLine(t, replica, "Receiving the data from the master")
	replica.Kill()
	do("CONFIG", "SET", "rdb-key-save-delay", "0")
	harnessWait(t, func() bool { v, err := c.Do("SAVE"); return err == nil && v.Str == "OK" }) // when the snapshot is let go
	s.Kill()

	load := harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Args: []string{"--key-load-delay", "1500",
		"--loading-process-events-interval-bytes", "1024", "--enable-debug-command", "yes"}})
	waitForLine(t, load, "Loading the dump")
}

// harnessWait polls for a state.
func harnessWait(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the state has not come within a minute")
		}
	}
}

// On a terminal the line of progress is rewritten in place, and lines of the log wipe it: script(1) gives the server one.
func TestProgressOnTerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script(1), of the package bsdutils, is not there")
	}
	bin := harness.NeedFerrous(t)
	dir := t.TempDir()
	s := harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Args: []string{"--enable-debug-command", "yes"}})
	fillForProgress(t, s)
	if _, err := s.Dial(t).Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	port, err := harness.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "typescript")
	line := fmt.Sprintf("exec %s --port %d --bind 127.0.0.1 --dir %s --save '' --key-load-delay 300 --loading-process-events-interval-bytes 1024", bin, port, dir)
	cmd := exec.Command("script", "-q", "-f", "-e", "-c", line, out)
	cmd.Stdin = nil
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	shown := func() string { b, _ := os.ReadFile(out); return string(b) }
	harnessWait(t, func() bool { return strings.Contains(shown(), "DB loaded from disk") })
	in := regexp.MustCompile(`\r\x1b\[KLoading the dump: \d+%, [0-9.]+ [KM]?i?B of [0-9.]+ [KM]iB, [0-9.]+ [KM]iB/s, \d+m?\d*s left\r\x1b\[K`)
	if !in.MatchString(shown()) {
		t.Errorf("the terminal shows no line in place:\n%q", shown())
	}
	c, err := harness.DialConn("tcp", fmt.Sprintf("127.0.0.1:%d", port), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Do("SHUTDOWN", "NOSAVE")
	c.Close()
}

// --check-rdb and --check-aof show how far they have come, and the line is wiped before what they say. They are held up, so that
// there is something to show: by a pipe that brings a dump slowly, and by a stop in the middle of a large file.
func TestProgressOfChecks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip("script(1), of the package bsdutils, is not there")
	}
	bin := harness.NeedFerrous(t)
	dir := t.TempDir()
	s := harness.StartWith(t, harness.Options{Binary: bin, Dir: dir, Args: []string{"--enable-debug-command", "yes", "--rdbcompression", "no"}})
	c := s.Dial(t)
	c.Must("DEBUG", "POPULATE", "200", "key", "500")
	c.Must("SAVE")
	large, err := os.Create(filepath.Join(dir, "large.aof"))
	if err != nil {
		t.Fatal(err)
	}
	commands := bytes.Repeat([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"), 50_000)
	for range 50 {
		if _, err := large.Write(commands); err != nil {
			t.Fatal(err)
		}
	}
	large.Close()
	for _, tt := range []struct{ name, script, shown, end string }{
		{"rdb", `mkfifo pipe; (while dd bs=16k count=1 iflag=fullblock 2>error && ! grep -q '^0+0' error; do sleep 0.3; done <dump.rdb >pipe) & $BIN --check-rdb pipe`,
			`\r\x1b\[KChecking: [0-9.]+ [KM]?i?B, [0-9.]+ [KM]?i?B/s\r\x1b\[K`, "RDB looks OK!"},
		{"aof", `$BIN --check-aof large.aof & until grep -qs 'Start checking' aof.out; do :; done; kill -STOP $!; sleep 0.5; kill -CONT $!; wait $!`,
			`\r\x1b\[KChecking: \d+%, [0-9.]+ [KM]?i?B of [0-9.]+ [KM]?i?B, [0-9.]+ [KM]?i?B/s, \d+m?\d*s left\r\x1b\[K`, "AOF large.aof is valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := regexp.MustCompile(tt.shown)
			harnessWait(t, func() bool { // again, where the large file was read before the stop came
				os.Remove(filepath.Join(dir, "pipe"))
				out := filepath.Join(dir, tt.name+".out")
				os.Remove(out)
				cmd := exec.Command("script", "-q", "-f", "-e", "-c", "BIN="+bin+"; "+tt.script, out)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "SHELL=/bin/sh")
				err := cmd.Run()
				text, _ := os.ReadFile(out)
				if err != nil || !strings.Contains(string(text), tt.end) {
					t.Fatalf("%v:\n%q", err, text)
				}
				return line.Match(text)
			})
		})
	}
}
