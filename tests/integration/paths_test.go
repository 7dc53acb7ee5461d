package integration

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// tree lists the files below a folder, without the numbered ones of the append-only file.
func tree(t *testing.T, root string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		if err == nil && !d.IsDir() && !strings.Contains(rel, ".base.") && !strings.Contains(rel, ".incr.") {
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// All relative names belong to dir, wherever it is: a server that is started elsewhere, whose folder is renamed, and whose
// dir is set. Each list of files is that of Redis 7.2.6.
func TestPathsBelongToDir(t *testing.T) {
	x, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(x, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"data", "other"} {
		if err := os.Mkdir(filepath.Join(x, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("data/users.acl", "user bob on nopass +@all\n")
	write("data/inc.conf", "hz 20\n")
	write("c.conf", "dir data\ninclude inc.conf\n")
	port := freePort(t)
	exited, _ := startNow(t, x, "c.conf", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--unixsocket", "rel.sock",
		"--pidfile", "rel.pid", "--logfile", "rel.log", "--aclfile", "users.acl", "--dbfilename", "d.rdb",
		"--appendonly", "yes", "--enable-protected-configs", "yes", "--save", "")
	if v := firstReply(t, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), exited, "SET", "a", "1"); v.Str != "OK" {
		t.Fatal(v)
	}
	c := dialPort(t, port)
	defer func() { _ = c.Close() }()
	files := func(what string, want ...string) {
		t.Helper()
		if got := tree(t, x); !slices.Equal(got, want) {
			t.Errorf("%s: the files are\n%q, want\n%q", what, got, want)
		}
	}
	dir := func(want string) {
		t.Helper()
		if v := c.Must("CONFIG", "GET", "dir"); v.Elems[1].Str != filepath.Join(x, want) {
			t.Errorf("dir is %s, want %s", v.Elems[1].Str, want)
		}
	}
	rewrites := 0
	rewrite := func() {
		t.Helper()
		c.Must("BGREWRITEAOF")
		rewrites++
		eventually(t, "the file is rewritten", func() bool {
			info, err := c.Info("persistence")
			return err == nil && info["aof_rewrites"] == strconv.Itoa(rewrites) && info["aof_rewrite_in_progress"] == "0" &&
				info["aof_last_bgrewrite_status"] == "ok"
		})
	}
	in := func(folder string, names ...string) (out []string) {
		for _, n := range names {
			out = append(out, folder+"/"+n)
		}
		return out
	}

	c.Must("SAVE")
	c.Must("ACL", "SAVE")
	all := []string{"appendonlydir/appendonly.aof.manifest", "d.rdb", "inc.conf", "rel.log", "rel.pid", "rel.sock", "users.acl"}
	files("at the start", append([]string{"c.conf"}, in("data", all...)...)...)
	dir("data")
	u, err := harness.DialConn("unix", filepath.Join(x, "data/rel.sock"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if v := u.Must("CLIENT", "INFO"); !strings.Contains(v.Str, " addr=rel.sock:0 laddr=rel.sock:0 ") {
		t.Errorf("the socket's name is shown in %s", v)
	}
	_ = u.Close()

	// The folder is renamed.
	if err := os.Rename(filepath.Join(x, "data"), filepath.Join(x, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(x, "moved/d.rdb")); err != nil {
		t.Fatal(err)
	}
	dir("moved")
	c.Must("SAVE")
	rewrite()
	c.Must("ACL", "SAVE")
	c.Must("CONFIG", "REWRITE")
	moved := append([]string{"c.conf"}, in("moved", all...)...)
	files("renamed", moved...)
	if text, err := os.ReadFile(filepath.Join(x, "c.conf")); err != nil || !strings.Contains(string(text), "dir \""+x+"/moved\"") {
		t.Errorf("%v, rewritten as %s", err, text)
	}

	// dir is set, relative to what it was, and put back where another value of the same CONFIG SET is refused.
	if v, err := c.Do("CONFIG", "SET", "dir", "./nosuch"); err != nil ||
		v.Str != "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory" {
		t.Errorf("%s, %v", v, err)
	}
	if v, err := c.Do("CONFIG", "SET", "dir", "../other", "tls-port", "1"); err != nil || v.Kind != '-' {
		t.Errorf("%s, %v", v, err)
	}
	dir("moved")
	c.Must("CONFIG", "SET", "dir", "../other")
	dir("other")
	c.Must("SAVE")
	c.Must("ACL", "SAVE")
	c.Must("BGSAVE")
	eventually(t, "the save is done", func() bool {
		info, err := c.Info("persistence")
		return err == nil && info["rdb_bgsave_in_progress"] == "0"
	})
	files("set", append(slices.Clone(moved), in("other", "d.rdb", "rel.log", "users.acl")...)...)
	// The append-only file stays, complete, and the log says so.
	rewrite()
	if text, err := os.ReadFile(filepath.Join(x, "other/rel.log")); err != nil || !strings.Contains(string(text), "the append-only file stays in "+x+"/moved ") {
		t.Errorf("%v, the log has %s", err, text)
	}

	// A file of the socket's name that is not this server's is left alone. (So is the socket: its folder was renamed, and
	// is not dir any more.)
	write("other/rel.sock", "not ours")
	if err := c.Send("SHUTDOWN"); err != nil {
		t.Fatal(err)
	}
	if err := <-exited; err != nil {
		t.Error(err)
	}
	files("at the end", "c.conf", "moved/appendonlydir/appendonly.aof.manifest", "moved/d.rdb", "moved/inc.conf",
		"moved/rel.log", "moved/rel.pid", "moved/rel.sock", "moved/users.acl", "other/d.rdb", "other/rel.log", "other/rel.sock", "other/users.acl")
}
