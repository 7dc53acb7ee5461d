package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// leftBehind returns the files in a server's folder that belong to no dump and to no manifest.
func leftBehind(t *testing.T, dir string) []string {
	t.Helper()
	var left []string
	for _, name := range strings.Fields(names(t, dir)) {
		if name != "dump.rdb" && name != "appendonlydir" {
			left = append(left, name)
		}
	}
	files := filepath.Join(dir, "appendonlydir")
	if _, err := os.Stat(files); err != nil {
		return left
	}
	manifest, _ := os.ReadFile(filepath.Join(files, "appendonly.aof.manifest"))
	for _, name := range strings.Fields(names(t, files)) {
		if name != "appendonly.aof.manifest" && !strings.Contains(string(manifest), "file "+name+" ") {
			left = append(left, name)
		}
	}
	return left
}

// A server that ends, in order, for a fatal error or because somebody insists, leaves nothing half done of what its goroutines
// were writing.
func TestEndLeavesNothingHalfDone(t *testing.T) {
	for _, file := range []string{"no", "yes"} {
		for _, busy := range []string{"BGREWRITEAOF", "BGSAVE"} {
			for _, end := range []string{"SIGTERM", "SHUTDOWN", "a fatal error", "SIGINT twice"} {
				t.Run(fmt.Sprintf("appendonly %s %s %s", file, busy, end), func(t *testing.T) {
					dir := t.TempDir()
					s, c := persistent(t, dir, "--appendonly", file, "--auto-aof-rewrite-percentage", "0")
					c.Must("DEBUG", "POPULATE", "100")
					c.Must("BGREWRITEAOF")
					eventually(t, "there is a base", func() bool { return state(t, c, "aof_rewrite_in_progress") == "0" })
					c.Must("CONFIG", "SET", "rdb-key-save-delay", endlessly)
					c.Must(busy)
					eventually(t, "something is being written", func() bool { return len(leftBehind(t, dir)) > 0 })
					code := 0
					switch end {
					case "SIGTERM":
						_ = s.Signal(syscall.SIGTERM)
					case "SHUTDOWN":
						_ = c.Send("SHUTDOWN", "NOSAVE")
					case "a fatal error":
						bases, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "appendonly.aof.*.base.rdb"))
						if err != nil || len(bases) != 1 {
							t.Fatal(bases, err)
						}
						if err := os.WriteFile(bases[0], []byte("nonsense"), 0o600); err != nil {
							t.Fatal(err)
						}
						_ = c.Send("DEBUG", "LOADAOF")
						code = 1
					default:
						// The loop is not there to end anything. Where the signal comes before it sleeps, the end is that of
						// SIGTERM.
						_ = c.Send("DEBUG", "SLEEP", "60")
						eventually(t, "the loop sleeps", func() bool {
							_ = s.Signal(syscall.SIGINT)
							return !s.Alive() || strings.Contains(s.Logs(), "You insist")
						})
						code = -1
					}
					if got, err := s.Wait(time.Minute); err != nil || code >= 0 && got != code {
						t.Fatalf("exit code %d, %v", got, err)
					}
					if left := leftBehind(t, dir); len(left) > 0 {
						t.Errorf("left behind: %q", left)
					}
				})
			}
		}
	}
}

// The same at any moment of a rewrite.
func TestEndDuringRewriteLeavesNothingHalfDone(t *testing.T) {
	for i := range 20 {
		for _, file := range []string{"no", "yes"} {
			dir := t.TempDir()
			s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Args: []string{"--appendonly", file}})
			c := s.Dial(t)
			c.Must("SET", "a", strings.Repeat("v", 1000))
			c.Must("BGREWRITEAOF")
			time.Sleep(time.Duration(i) * 200 * time.Microsecond)
			_ = s.Signal(syscall.SIGTERM)
			ends(t, s, 0)
			if left := leftBehind(t, dir); len(left) > 0 {
				t.Errorf("appendonly %s: left behind: %q", file, left)
			}
		}
	}
}
