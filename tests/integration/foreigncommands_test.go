package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/harness"
)

// appendOnlyDir makes the folder of a server whose append-only file is one incremental file with this content.
func appendOnlyDir(t *testing.T, content []byte) (dir, incr string) {
	t.Helper()
	dir = t.TempDir()
	folder := filepath.Join(dir, "appendonlydir")
	incr = filepath.Join(folder, "appendonly.aof.1.incr.aof")
	manifest := "file appendonly.aof.1.incr.aof seq 1 type i\n"
	err := os.Mkdir(folder, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "appendonly.aof.manifest"), []byte(manifest), 0o644)
	}
	if err == nil {
		err = os.WriteFile(incr, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, incr
}

// Commands that no server writes into an append-only file, since they are about a connection, wait, or look at the server:
// a file that has them all the same is loaded, as Redis loads it, and what comes behind them counts.
func TestForeignCommandsInAOF(t *testing.T) {
	commands := []string{"SUBSCRIBE ch", "PSUBSCRIBE a*", "SSUBSCRIBE x", "UNSUBSCRIBE", "MONITOR", "CLIENT PAUSE 1000",
		"CLIENT UNPAUSE", "BLPOP none 0", "BLMOVE none other LEFT RIGHT 0", "BZPOPMIN none 0", "BLMPOP 0 1 none LEFT",
		"WAITAOF 1 0 0", "BGSAVE", "BGREWRITEAOF", "CLIENT KILL TYPE normal", "CLIENT LIST", "CLIENT INFO", "CLIENT ID",
		"CLIENT SETNAME foo", "CLIENT NO-EVICT on", "CLIENT TRACKING on", "CLIENT CACHING YES", "CLIENT TRACKINGINFO",
		"CLIENT REPLY OFF", "CLIENT REPLY SKIP", "CLIENT UNBLOCK 1", "HELLO 3", "HELLO 2 AUTH a b", "AUTH x", "ACL WHOAMI",
		"ACL LOG", "WATCH a", "DISCARD", "EXEC", "RESET", "QUIT", "DEBUG SLEEP 0", "DEBUG LOADAOF", "DEBUG CHANGE-REPL-ID",
		"MIGRATE 127.0.0.1 1 none 0 10", "PUBLISH a b", "SPUBLISH a b", "OBJECT FREQ a", "SORT none BY nosort GET #",
		"LOLWUT", "SCAN 0", "MODULE LIST", "MEMORY DOCTOR", "LATENCY DOCTOR", "COMMAND", "INFO", "CONFIG GET *", "SLOWLOG GET"}
	for _, inMulti := range []bool{false, true} {
		file := harness.AppendCommand(nil, "SELECT", "0")
		for i, line := range commands {
			if inMulti {
				file = harness.AppendCommand(file, "MULTI")
			}
			file = harness.AppendCommand(file, strings.Fields(line)...)
			if inMulti {
				file = harness.AppendCommand(file, "EXEC")
			}
			file = harness.AppendCommand(file, "SET", fmt.Sprintf("key:%d", i), strconv.Itoa(i))
		}
		dir, _ := appendOnlyDir(t, file)
		s := harness.StartFerrous(t, "--dir", dir, "--appendonly", "yes", "--enable-debug-command", "yes")
		c := s.Dial(t)
		for i, line := range commands {
			if got := c.Must("GET", fmt.Sprintf("key:%d", i)); got.Str != strconv.Itoa(i) {
				t.Errorf("in MULTI %v: what stands behind %s is lost: %v", inMulti, line, got)
			}
		}
	}
}
