package commands

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferrous/aof"
	"ferrous/rdb"
	"ferrous/rdb/memfs"
)

// loadCommands executes the commands of an append-only file in ts.
func loadCommands(t *testing.T, ts *testServer, content string) error {
	t.Helper()
	disk := memfs.New()
	disk.WriteFile("appendonly.aof", content)
	file := aof.New(aof.Options{FS: disk, Dir: ".", DirName: "dir", FileName: "appendonly.aof",
		Logf: func(aof.Level, string, ...any) {}}, aof.Settings{})
	client := &fileClient{s: ts.Server}
	loader := client.loader(nil)
	loader.Begin, loader.Progress = nil, nil
	_, err := file.Load(loader)
	return err
}

// A command that cannot be executed ends the loading, also where it would only be queued.
func TestFileWithBadCommands(t *testing.T) {
	const good = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n"
	for _, bad := range []string{"*1\r\n$3\r\nSET\r\n", "*2\r\n$4\r\nEXEC\r\n$1\r\na\r\n", "*1\r\n$5\r\nMULTI\r\n*1\r\n$3\r\nGET\r\n*1\r\n$4\r\nEXEC\r\n",
		"*1\r\n$6\r\nCONFIG\r\n", "*2\r\n$6\r\nCONFIG\r\n$3\r\nFLY\r\n", "*1\r\n$3\r\nFLY\r\n"} {
		ts := newTestServer(t)
		if err := loadCommands(t, ts, good+bad+good); err == nil {
			t.Errorf("%q is loaded", bad)
		}
		if got := ts.do("GET", "a"); got != "$1\r\nb\r\n" {
			t.Errorf("%q: what stood before it is %q", bad, got)
		}
	}
}

// A base of commands keeps deadlines that no command could give: files of others have such.
func TestBaseOfCommands(t *testing.T) {
	ts := newTestServer(t)
	ts.do("HSET", "soon", "f", "v", "g", "w")
	ts.do("HPEXPIREAT", "soon", "70368744177663", "FIELDS", "1", "f")
	// late has the field f with the value v and the deadline 1<<47, in the form of Redis 7.4.
	packed := "\x18\x00\x00\x00\x03\x00\x81f\x02\x81v\x02\xf4\x00\x00\x00\x00\x00\x80\x00\x00\x09\xff"
	packed = string([]byte{byte(len(packed))}) + packed[1:]
	payload := "\x19" + "\x00\x00\x00\x00\x00\x80\x00\x00" + string([]byte{byte(len(packed))}) + packed + "\x0c\x00" + strings.Repeat("\x00", 8)
	ts.SkipChecksum = true
	if got := ts.do("RESTORE", "late", "0", payload); got != "+OK\r\n" {
		t.Fatal(got)
	}
	var b bytes.Buffer
	if err := aof.WriteSnapshot(aof.NewCommands(&b, 0), ts.Keyspace.Live(), &rdb.Options{Version: 9}); err != nil {
		t.Fatal(err)
	}
	other := newTestServer(t)
	if err := loadCommands(t, other, b.String()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*testServer{ts, other} {
		for key, want := range map[string]string{"soon": ":70368744177663\r\n", "late": ":140737488355328\r\n"} {
			if got := s.do("HPEXPIRETIME", key, "FIELDS", "1", "f"); got != "*1\r\n"+want {
				t.Errorf("%s: %q", key, got)
			}
		}
	}
}

// Scripts in an append-only file write whatever the server refuses its clients: their effects were there before.
func TestFileOfScriptsIsObeyed(t *testing.T) {
	content := wire([]string{"EVAL", "redis.call('SET', KEYS[1], '100')", "1", "k"},
		[]string{"EVAL", "redis.call('INCR', KEYS[1])", "1", "k"},
		[]string{"EVAL", "#!lua\nredis.call('INCR', KEYS[1])", "1", "k"},
		[]string{"MULTI"}, []string{"EVAL", "redis.call('INCR', KEYS[1])", "1", "k"}, []string{"EXEC"},
		[]string{"FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function(k) redis.call('INCR', k[1]) end)"},
		[]string{"FCALL", "f", "1", "k"})
	for name, refuse := range map[string]func(ts *testServer){
		"nothing is refused": nil,
		"a replica":          func(ts *testServer) {},
		"a stale replica":    func(ts *testServer) { ts.sync.down = true; ts.Config.ReplicaServeStaleData = false },
		"memory is short":    func(ts *testServer) { ts.Config.ReplicaOf.Host = ""; ts.evict.full = true },
	} {
		ts := newTestServer(t)
		if refuse != nil {
			ts.Config.ReplicaOf.Host = "127.0.0.1"
			refuse(ts)
		}
		ts.updateRefusing()
		refused := ts.do("EVAL", "return redis.call('SET', 'other', 'v')", "0")
		if (refused[0] == '-') != (refuse != nil) {
			t.Errorf("%s: a client's script: %s", name, refused)
		}
		if err := loadCommands(t, ts, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r := ts.Keyspace.DBs()[0].Peek([]byte("k")); r == nil || string(r.String(make([]byte, 20))) != "104" {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// A rewrite takes no snapshot in the middle of a script: half of what the script does would be in the base file.
func TestRewriteWaitsForScript(t *testing.T) {
	s := startServer(t, "appendonly", "yes")
	s.on(func() {
		s.busy.on = true
		if err := s.rewriteFile(); err != nil {
			t.Error(err)
		}
	})
	s.eventually("the rewrite waits", func() bool { return len(s.busy.after) == 1 })
	s.on(func() {
		if s.aof.snap != nil {
			t.Error("a snapshot was taken")
		}
		s.busy.on = false
		for _, f := range s.busy.after {
			s.postSettled(f)
		}
		s.busy.after = nil
	})
	s.eventually("it has ended", func() bool { return !s.rewriting() })
	base := filepath.Join(filepath.Dir(s.path), "appendonlydir", "appendonly.aof.2.base.rdb")
	if _, err := os.Stat(base); err != nil {
		t.Error(err)
	}
}
