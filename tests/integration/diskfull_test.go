package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// smallDisk is a command line that runs another one in a mount namespace of its own in which dir is a disk of some MB. It
// skips the test where there is no right to do that.
func smallDisk(t *testing.T, dir string) []string {
	t.Helper()
	wrap := []string{"unshare", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=2m none "$0" && exec "$@"`, dir}
	if os.Geteuid() == 0 {
		wrap = append(wrap[:1], wrap[2:]...)
	}
	if out, err := exec.Command(wrap[0], append(wrap[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: %v, %s", err, out)
	}
	return wrap
}

// TestDiskFull fills the disk that the append-only file is on. With everysec reads go on, what changes data is refused, and
// when there is space again the server recovers by itself; what was answered with OK is there after a kill. With always the
// server ends, and what it had acknowledged is there, too.
func TestDiskFull(t *testing.T) {
	for _, policy := range []string{"everysec", "always"} {
		t.Run(policy, func(t *testing.T) {
			disk := t.TempDir()
			s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Wrap: smallDisk(t, disk),
				Args: []string{"--appendonly", "yes", "--appendfsync", policy, "--dir", disk, "--auto-aof-rewrite-percentage", "0"}})
			// The same disk as the server sees it.
			disk = filepath.Join("/proc", fmt.Sprint(s.PID()), "root", disk)
			// Its files stay reachable from here when the server, and with it the mount, is gone.
			mounted, err := os.OpenRoot(disk)
			if err != nil {
				t.Fatal(err)
			}
			defer mounted.Close()
			ballast := filepath.Join(disk, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			c := s.Dial(t)
			acked := 0
			refused := ""
			value := strings.Repeat("v", 10_000)
			for i := range 1000 {
				v, err := c.Do("SET", fmt.Sprint("key:", i), value)
				if err != nil && policy == "always" {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if refused = v.Str; v.IsError() {
					break
				}
				acked++
			}
			if acked < 50 || acked > 200 {
				t.Fatalf("%d writes of 10 kB on a disk of which 1 MB was free", acked)
			}
			if policy == "always" {
				if code, err := s.Wait(time.Minute); err != nil || code != 1 {
					t.Errorf("exit code %d, %v", code, err)
				}
				if !strings.Contains(s.Logs(), "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...") {
					t.Error("it does not say why")
				}
				// What is in the files is loaded whole: the server took back what it wrote of the request that did not fit.
				copied := t.TempDir()
				if err := os.CopyFS(copied, mounted.FS()); err != nil {
					t.Fatal(err)
				}
				next := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: copied,
					Args: []string{"--appendonly", "yes", "--aof-load-truncated", "no"}}).Dial(t)
				if n := next.Must("DBSIZE"); n.Int() != int64(acked) {
					t.Errorf("%s keys are there, %d were acknowledged", n, acked)
				}
				for i := range acked {
					if v := next.Must("GET", fmt.Sprint("key:", i)); v.Str != value {
						t.Fatalf("key %d of %d is %.100s", i, acked, v)
					}
				}
				return
			}
			if want := "MISCONF Errors writing to the AOF file: No space left on device"; refused != want {
				t.Fatalf("refused with %q", refused)
			}
			for _, cmd := range [][]string{{"DEL", "key:0"}, {"PING"}, {"INCR", "n"}} {
				if v, err := c.Do(cmd...); err != nil || !strings.HasPrefix(v.Str, "MISCONF ") {
					t.Errorf("%v on a full disk: %s, %v", cmd, v, err)
				}
			}
			if v := c.Must("GET", "key:0"); v.Str != value {
				t.Errorf("GET on a full disk: %.100s", v)
			}
			if info, err := c.Info("persistence"); err != nil || info["aof_last_write_status"] != "err" {
				t.Errorf("INFO: %s, %v", info["aof_last_write_status"], err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the server writes again", func() bool {
				v, err := c.Do("SET", "after", "recovery")
				return err == nil && v.Str == "OK"
			})
			if info, err := c.Info("persistence"); err != nil || info["aof_last_write_status"] != "ok" {
				t.Errorf("INFO after recovery: %s, %v", info["aof_last_write_status"], err)
			}
			// Its files, as another server loads them.
			eventually(t, "the last write is in the file", func() bool {
				b, err := os.ReadFile(filepath.Join(disk, "appendonlydir", "appendonly.aof.1.incr.aof"))
				return err == nil && strings.Contains(string(b), "recovery")
			})
			copied := t.TempDir()
			if err := s.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(copied, os.DirFS(disk)); err != nil {
				t.Fatal(err)
			}
			if err := s.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			next := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: copied,
				Args: []string{"--appendonly", "yes", "--aof-load-truncated", "no"}}).Dial(t)
			for i := range acked {
				if v := next.Must("GET", fmt.Sprint("key:", i)); v.Str != value {
					t.Fatalf("key %d of %d is %.100s", i, acked, v)
				}
			}
			if v := next.Must("GET", "after"); v.Str != "recovery" {
				t.Errorf("what was written after the recovery: %s", v)
			}
		})
	}
}
