package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferrous/rdb/memfs"
)

func TestParseMemory(t *testing.T) {
	for _, c := range []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"0", 0, true}, {"", 0, true}, {"7", 7, true}, {"007", 7, true}, {"1b", 1, true}, {"1k", 1000, true}, {"1K", 1000, true},
		{"1kb", 1024, true}, {"3Mb", 3 << 20, true}, {"3m", 3e6, true}, {"2g", 2e9, true}, {"2GB", 2 << 30, true},
		{"18446744073709551615", math.MaxUint64, true}, {"18446744073709551616", 0, false}, {"17179869184gb", 0, false},
		{"17179869183gb", 17179869183 << 30, true}, {"-1", 0, false}, {"+1", 0, false}, {" 1", 0, false}, {"1 ", 0, false},
		{"1tb", 0, false}, {"1kbb", 0, false}, {"1.5gb", 0, false}, {"0x1", 0, false}, {"gb", 0, true},
	} {
		got, ok := ParseMemory(c.in)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("ParseMemory(%q) = %d %v, want %d %v", c.in, got, ok, c.want, c.ok)
		}
	}
	for _, n := range []uint64{0, 1, 1023, 1024, 1025, 1 << 20, 3 << 30, 1<<30 + 1024, math.MaxUint64} {
		if got, ok := ParseMemory(formatMemory(n)); !ok || got != n {
			t.Errorf("formatMemory(%d) = %q reads as %d", n, formatMemory(n), got)
		}
	}
}

func TestParseLoose(t *testing.T) {
	for _, c := range []struct {
		in   string
		base uint64
		want int64
		ok   bool
	}{
		{"", 10, 0, true}, {"12", 10, 12, true}, {" \t+12", 10, 12, true}, {"-012", 10, -12, true}, {"12 ", 10, 12, false},
		{"-", 10, 0, false}, {"  ", 10, 0, false}, {"1x", 10, 0, false}, {"755", 8, 0o755, true}, {"8", 8, 0, false},
		{"99999999999999999999", 10, math.MaxInt64, true}, {"-99999999999999999999", 10, math.MinInt64, true},
		{"-9223372036854775808", 10, math.MinInt64, true},
	} {
		got, ok := parseLoose(c.in, c.base)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseLoose(%q, %d) = %d %v, want %d %v", c.in, c.base, got, ok, c.want, c.ok)
		}
	}
}

func TestSplitArgs(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		ok   bool
	}{
		{"", nil, true}, {" \t\v\f ", nil, true}, {"a b", []string{"a", "b"}, true}, {"  a\tb\r\nc ", []string{"a", "b", "c"}, true},
		{`"a b" 'c d'`, []string{"a b", "c d"}, true}, {`""`, []string{""}, true}, {`'' ""`, []string{"", ""}, true},
		{`"\x41\x4a\x4G\n\r\t\a\b\q\\\""`, []string{"AJx4G\n\r\t\a\bq\\\""}, true}, {`'a\'b\n'`, []string{`a'b\n`}, true},
		{`ab"cd"`, []string{"abcd"}, true}, {`"a"b`, nil, false}, {`'a'b`, nil, false}, {`"a`, nil, false}, {`'a`, nil, false},
		{`"a\`, nil, false}, {`a\ b`, []string{`a\`, "b"}, true}, {"a\vb", []string{"a\vb"}, true}, {"a\x00b c", []string{"a"}, true},
		{`"a'b" 'c"d'`, []string{"a'b", `c"d`}, true}, {`"\x"`, []string{"x"}, true}, {`"\x4"`, []string{"x4"}, true},
	} {
		got, ok := SplitArgs(c.in)
		if ok != c.ok || !slices.Equal(got, c.want) {
			t.Errorf("SplitArgs(%q) = %q %v, want %q %v", c.in, got, ok, c.want, c.ok)
		}
	}
}

func TestTableIsSound(t *testing.T) {
	c := New()
	for _, d := range c.Directives() {
		if d.Name != strings.ToLower(d.Name) || d.Type == "" {
			t.Errorf("row %+v", d)
		}
	}
	if n := len(c.Directives()); n < 180 {
		t.Errorf("%d rows only", n)
	}
	noops := c.NoOps()
	for _, name := range []string{"io-threads", "jemalloc-bg-thread", "activedefrag", "bgsave_cpulist"} {
		if !slices.ContainsFunc(noops, func(n NoOp) bool { return n.Name == name && n.Reason != "" }) {
			t.Errorf("%s is no no-op", name)
		}
	}
	for _, n := range noops {
		if n.Name == "maxmemory" || len(n.Reason) < 10 {
			t.Errorf("%+v", n)
		}
	}
	for name, flag := range map[string]Flags{"RequirePass": Sensitive, "masterauth": Sensitive, "masteruser": Sensitive,
		"dir": Protected, "dbfilename": Protected, "slaveof": Immutable, "key-load-delay": Hidden, "appendonly": DenyLoading,
		"save": MultiArg, "io-threads": Debug} {
		if !c.HasFlag(name, flag) || c.HasFlag("hz", flag) {
			t.Errorf("%s lacks its flag", name)
		}
	}
}

func TestTypedValues(t *testing.T) {
	c := New()
	err := c.LoadString(`maxmemory 2gb
maxmemory-clients 25%
save 60 5
client-output-buffer-limit replica 1mb 2kb 3
notify-keyspace-events Kx
appendfsync always
maxmemory-policy allkeys-lfu
replicaof 10.0.0.1 7000
shutdown-on-sigterm force now
bind 127.0.0.1 ::1
latency-tracking-info-percentiles 1 2.5
unixsocketperm 770
rename-command GET mget
rename-command DEBUG ''
user bob on +@all
loadmodule /x/y.so a b
mod.param a b
rdb-version 11
log-format json`)
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"maxmemory", c.MaxMemory, uint64(2 << 30)},
		{"maxmemory-clients", c.MaxMemoryClients, int64(-25)},
		{"save", fmt.Sprint(c.Save), "[{60 5}]"},
		{"limit", c.OutputBufferLimits[ClassReplica], Limit{1 << 20, 2048, 3}},
		{"other limit", c.OutputBufferLimits[ClassPubsub], Limit{32 << 20, 8 << 20, 60}},
		{"events", c.NotifyKeyspaceEvents, NotifyKeyspace | NotifyExpired},
		{"fsync", c.AppendFsync, FsyncAlways},
		{"policy", c.MaxMemoryPolicy, AllKeysLFU},
		{"policy name", c.MaxMemoryPolicy.String(), "allkeys-lfu"},
		{"policy bits", c.MaxMemoryPolicy&PolicyAllKeys != 0 && c.MaxMemoryPolicy&PolicyLFU != 0, true},
		{"replicaof", c.ReplicaOf, Master{"10.0.0.1", 7000}},
		{"sigterm", c.ShutdownOnSigterm, ShutdownForce | ShutdownNow},
		{"bind", fmt.Sprint(c.Bind), "[127.0.0.1 ::1]"},
		{"percentiles", fmt.Sprint(c.LatencyPercentiles), "[1 2.5]"},
		{"perm", c.UnixSocketPerm, 0o770},
		{"renames", fmt.Sprint(c.Renames), "[{GET mget} {DEBUG }]"},
		{"users", fmt.Sprint(c.Users), "[[bob on +@all]]"},
		{"modules", fmt.Sprint(c.Modules), "[[/x/y.so a b]]"},
		{"module configs", fmt.Sprint(c.ModuleConfigs), "[[mod.param a b]]"},
		{"rdb-version", c.RDBVersion, 11},
		{"log-format", c.LogFormat, LogFormatJSON},
	} {
		if check.got != check.want {
			t.Errorf("%s: %v, want %v", check.name, check.got, check.want)
		}
	}
	if New().MaxMemory != 0 {
		t.Error("one configuration changed another")
	}
}

func TestDirIsAValue(t *testing.T) {
	base := t.TempDir()
	base, err := filepath.EvalSymlinks(base)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, base+"/a/b/x.conf", "hz 33\n")
	if err := os.Symlink(base+"/a/b", base+"/link"); err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c := New()
	// Each name is resolved against the directory that the line before set.
	if err := c.LoadString("dir " + base + "/a\ndir b\ninclude x.conf\ndir ../../link"); err != nil {
		t.Fatal(err)
	}
	if c.Dir != base+"/a/b" || c.Hz != 33 || c.Path("f") != base+"/a/b/f" || c.Path("/f") != "/f" || c.Path("") != "" {
		t.Errorf("dir %q, hz %d, path %q", c.Dir, c.Hz, c.Path("f"))
	}
	if now, _ := os.Getwd(); now != cwd {
		t.Errorf("the process moved to %q", now)
	}
	if err := c.LoadString("dir " + base + "/a/b/x.conf"); err == nil || !strings.Contains(err.Error(), "\nNot a directory\n") {
		t.Errorf("dir of a file: %v", err)
	}
}

func TestApply(t *testing.T) {
	c := New()
	var calls []string
	c.OnApply(func(c *Config) error {
		calls = append(calls, fmt.Sprintf("lag %d %d", c.MinReplicasToWrite, c.MinReplicasMaxLagSec))
		return nil
	}, "min-replicas-to-write", "min-replicas-max-lag")
	c.OnApply(func(c *Config) error {
		calls = append(calls, fmt.Sprintf("port %d", c.Port))
		if c.Port == 666 {
			return errors.New("Unable to listen on this port")
		}
		return nil
	}, "port")
	c.OnApply(func(c *Config) error {
		calls = append(calls, "cert")
		return nil
	}, "tls-cert-file")
	set := func(want string, wantCalls string, args ...string) {
		t.Helper()
		calls = nil
		if got := setReply(c, args...); got != want {
			t.Errorf("SET %q: %s, want %s", args, got, want)
		}
		if got := strings.Join(calls, ", "); got != wantCalls {
			t.Errorf("SET %q called %s, want %s", args, got, wantCalls)
		}
	}
	var logged []string
	c.OnLog(func(level LogLevel, msg string) {
		logged = append(logged, fmt.Sprint(level, " ", msg))
	})
	set("OK", "lag 1 10, port 7000", "min-replicas-to-write", "1", "port", "7000")
	set("OK", "lag 2 3", "min-replicas-to-write", "2", "min-slaves-max-lag", "3")
	set("OK", "", "min-replicas-to-write", "2", "port", "7000")
	set("OK", "cert", "tls-cert-file", "")
	before := getMap(c, "*")
	set("ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port",
		"lag 5 3, port 666, lag 2 3, port 7000", "min-replicas-to-write", "5", "save", "", "PORT", "666", "maxmemory", "5mb")
	if got := getMap(c, "*"); !maps.Equal(got, before) {
		t.Errorf("values were not restored: %v", got)
	}
	if want := []string{"3 Failed applying new configuration. Possibly related to new port setting. Restoring previous settings."}; !slices.Equal(logged, want) {
		t.Errorf("logged %q", logged)
	}
	// A value that is refused undoes those before it, and nothing is applied.
	set("ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer", "",
		"port", "8000", "save", "1 1", "hz", "x")
	if got := getMap(c, "*"); !maps.Equal(got, before) {
		t.Errorf("values were not restored: %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("OnApply took an unknown name")
		}
	}()
	c.OnApply(func(*Config) error { return nil }, "nosuch")
}

func TestSetGuards(t *testing.T) {
	c := New()
	for _, tc := range []struct {
		guard string
		ctx   SetContext
		args  []string
		want  error
		text  string
	}{
		{"no", SetContext{Local: true}, []string{"dbfilename", "x"}, nil, "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config"},
		{"local", SetContext{}, []string{"dbfilename", "x"}, nil, "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config"},
		{"local", SetContext{Local: true}, []string{"dbfilename", "x"}, nil, ""},
		{"yes", SetContext{}, []string{"dbfilename", "y"}, nil, ""},
		{"yes", SetContext{Loading: true}, []string{"hz", "9", "appendonly", "yes"}, ErrLoading, "LOADING Redis is loading the dataset in memory"},
		{"yes", SetContext{Loading: true}, []string{"hz", "9"}, nil, ""},
		{"yes", SetContext{}, []string{"hz"}, ErrSyntax, "ERR syntax error"},
		{"yes", SetContext{}, nil, ErrSyntax, "ERR syntax error"},
		{"yes", SetContext{}, []string{"rdb-version", "8"}, nil, "ERR CONFIG SET failed (possibly related to argument 'rdb-version') - argument must be 0 (chosen by the data) or between 9 and 12 inclusive"},
		{"yes", SetContext{}, []string{"rdb-version", "13"}, nil, "ERR CONFIG SET failed (possibly related to argument 'rdb-version') - argument must be between 0 and 12 inclusive"},
	} {
		if err := c.LoadString("enable-protected-configs " + tc.guard); err != nil {
			t.Fatal(err)
		}
		err := c.Set(tc.args, tc.ctx)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tc.text || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s %+v SET %q: %q, want %q", tc.guard, tc.ctx, tc.args, got, tc.text)
		}
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		argv []string
		mode Mode
		args string
	}{
		{nil, ModeServe, "[]"}, {[]string{"s"}, ModeServe, "[]"}, {[]string{"s", "-v"}, ModeVersion, "[]"},
		{[]string{"s", "--version"}, ModeVersion, "[]"}, {[]string{"s", "-h"}, ModeHelp, "[]"}, {[]string{"s", "--help", "x"}, ModeHelp, "[x]"},
		{[]string{"s", "--test-memory", "100"}, ModeTestMemory, "[100]"}, {[]string{"s", "--check-system"}, ModeCheckSystem, "[]"},
		{[]string{"s", "--check-rdb", "f"}, ModeCheckRDB, "[f]"}, {[]string{"s", "--check-aof", "--fix", "f"}, ModeCheckAOF, "[--fix f]"},
		{[]string{"/usr/bin/redis-check-rdb", "f"}, ModeCheckRDB, "[f]"}, {[]string{"redis-check-aof", "f"}, ModeCheckAOF, "[f]"},
		{[]string{"s", "x.conf", "--sentinel"}, ModeSentinel, "[x.conf --sentinel]"}, {[]string{"redis-sentinel", "x"}, ModeSentinel, "[x]"},
		{[]string{"s", "--hz", "5"}, ModeServe, "[]"},
	} {
		inv, err := ParseArgs(c.argv, nil, Options{})
		if err != nil {
			t.Errorf("%q: %v", c.argv, err)
			continue
		}
		if inv.Mode != c.mode || fmt.Sprint(inv.ModeArgs) != c.args || inv.Config == nil || inv.NoConfig != (len(c.argv) < 2) {
			t.Errorf("%q: %+v", c.argv, inv)
		}
	}
}

func TestStdinAndOrder(t *testing.T) {
	m := newMemFS(map[string]string{"/r.conf": "hz 1\ntimeout 1\ndatabases 5"})
	inv, err := ParseArgs([]string{"s", "r.conf", "--hz", "3", "-"}, strings.NewReader("hz 2\ntimeout 2"), Options{FS: m})
	if err != nil {
		t.Fatal(err)
	}
	c := inv.Config
	if c.Hz != 3 || c.TimeoutSec != 2 || c.Databases != 5 || c.File() != "/r.conf" {
		t.Errorf("hz %d, timeout %d, databases %d, file %q", c.Hz, c.TimeoutSec, c.Databases, c.File())
	}
	var logged []string
	c.OnLog(func(_ LogLevel, msg string) { logged = append(logged, msg) })
	if !slices.Equal(logged, []string{"Reading config from stdin"}) {
		t.Errorf("logged %q", logged)
	}
	if inv, err = ParseArgs([]string{"s", "-", "--hz", "4"}, strings.NewReader("hz 2"), Options{FS: m}); err != nil || inv.Config.Hz != 4 || inv.Config.File() != "" {
		t.Errorf("stdin first: %v", err)
	}
	var fe *FileError
	if _, err = ParseArgs([]string{"s", "nosuch.conf"}, nil, Options{FS: m}); !errors.As(err, &fe) ||
		err.Error() != "Fatal error, can't open config file '/nosuch.conf': No such file or directory" {
		t.Errorf("missing file: %v", err)
	}
}

func TestInclude(t *testing.T) {
	m := newMemFS(map[string]string{
		"/a.conf": "include b.conf\nhz 5\n", "/b.conf": "# x\nhz 4\n\nport x\n", "/self.conf": "include self.conf",
		"/d/1.conf": "hz 7\n", "/d/2.conf": "timeout 8",
	})
	c := NewWith(Options{FS: m})
	err := c.LoadFile("a.conf")
	var pe *ParseError
	if !errors.As(err, &pe) || pe.Line != 4 || pe.Text != "port x" || pe.Reason != "argument couldn't be parsed into an integer" {
		t.Errorf("error of an included file: %v", err)
	}
	if err := c.LoadFile("self.conf"); !errors.As(err, &pe) || !strings.Contains(pe.Reason, "nested") {
		t.Errorf("a file that includes itself: %v", err)
	}
	if err := c.LoadString("include /d/*.conf\ninclude /d/none*.conf"); err != nil || c.Hz != 7 || c.TimeoutSec != 8 {
		t.Errorf("pattern: %v, hz %d, timeout %d", err, c.Hz, c.TimeoutSec)
	}
	var fe *FileError
	if err := c.LoadString("include /d/none.conf"); !errors.As(err, &fe) {
		t.Errorf("missing include: %v", err)
	}
}

func TestClusterHasOneDatabase(t *testing.T) {
	c := New()
	if err := c.LoadString("cluster-enabled yes"); err != nil || c.Databases != 1 {
		t.Errorf("%v, %d databases", err, c.Databases)
	}
	n := 0
	c.OnLog(func(level LogLevel, _ string) { n++ })
	if n != 1 {
		t.Errorf("%d warnings", n)
	}
}

func TestRewriteFailures(t *testing.T) {
	const old = "# mine\nhz 10\n"
	for _, step := range []string{"open", "read", "stat", "create", "write", "sync", "chmod", "close", "rename", "syncdir"} {
		m := newMemFS(map[string]string{"/r.conf": old})
		_ = m.Chmod("/r.conf", 0o600)
		inv, err := ParseArgs([]string{"s", "/r.conf", "--hz", "50"}, nil, Options{FS: m})
		if err != nil {
			t.Fatal(err)
		}
		c := inv.Config
		var logged []string
		c.OnLog(func(_ LogLevel, msg string) { logged = append(logged, msg) })
		m.fails(step)
		err = c.Rewrite(false)
		if err == nil || err.Error() != "ERR Rewriting config file: No space left on device" {
			t.Errorf("%s fails: %v", step, err)
		}
		if len(logged) == 0 || logged[len(logged)-1] != "CONFIG REWRITE failed: No space left on device" {
			t.Errorf("%s fails: logged %q", step, logged)
		}
		if m.text("/r.conf") != old && step != "syncdir" {
			t.Errorf("%s fails: the file became %q", step, m.text("/r.conf"))
		}
		m.fails("")
		if names, err := m.List("/"); err != nil || len(names) != 1 {
			t.Errorf("%s fails: files left: %v %v", step, names, err)
		}
		before := len(m.Log())
		if err := c.Rewrite(false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.Log()[before:], ", "); got != "create /r.conf.tmp, write /r.conf.tmp, sync /r.conf.tmp, "+
			"chmod /r.conf.tmp, rename /r.conf, syncdir /" {
			t.Errorf("steps: %s", got)
		}
		if mode, err := m.Mode("/r.conf"); err != nil || mode != 0o600 {
			t.Errorf("mode became %o, %v", mode, err)
		}
		if got := m.text("/r.conf"); !strings.HasPrefix(got, "# mine\nhz 50\n"+signature+"\n") {
			t.Errorf("rewritten: %q", got)
		}
	}
	if err := New().Rewrite(false); !errors.Is(err, ErrNoFile) {
		t.Errorf("no file: %v", err)
	}
}

// TestRewriteAbandoned ends the process, as it were, at each step: Abandon leaves the file alone, the old one or the new one.
func TestRewriteAbandoned(t *testing.T) {
	const old = "# mine\nhz 10\n"
	for _, step := range []string{"write", "sync", "chmod", "close", "rename", "syncdir"} {
		m := newMemFS(map[string]string{"/r.conf": old})
		_ = m.Chmod("/r.conf", 0o600)
		seen := false
		hook := hookFS{memFS: m}
		inv, err := ParseArgs([]string{"s", "/r.conf", "--hz", "50"}, nil, Options{FS: &hook})
		if err != nil {
			t.Fatal(err)
		}
		hook.before = func(at string) {
			if at != step || seen {
				return
			}
			seen = true
			inv.Config.Abandon()
			if names, err := m.List("/"); err != nil || len(names) != 1 || m.text("/r.conf") != old && step != "syncdir" {
				t.Errorf("%s: files left: %v %v", step, names, err)
			}
		}
		_ = inv.Config.Rewrite(false)
		if !seen {
			t.Errorf("there is no step %s", step)
		}
	}
	New().Abandon() // nothing is being written
}

// TestReplaceFileCrashes ends process or machine at each step of replacing a file, as CONFIG REWRITE and ACL SAVE do: it is the
// old one or the new one, whole, and the new one once ReplaceFile has returned.
func TestReplaceFileCrashes(t *testing.T) {
	const path, old, text = "/users.acl", "user default on", "user default off"
	replace := func(crashAt int) (memFS, error) {
		m := newMemFS(map[string]string{path: old})
		m.CrashAt = crashAt
		return m, NewWith(Options{FS: m}).ReplaceFile("ACL", path, text)
	}
	m, err := replace(0)
	if err != nil {
		t.Fatal(err)
	}
	steps := m.Steps()
	if steps < 6 {
		t.Fatalf("replacing a file takes %d steps", steps)
	}
	for crashAt := 0; crashAt <= steps; crashAt++ {
		m, err := replace(crashAt)
		if crashAt > 0 && !errors.Is(err, memfs.ErrCrashed) {
			t.Fatalf("step %d: %v", crashAt, err)
		}
		for _, loss := range []memfs.Loss{memfs.Kill, memfs.Power, memfs.Torn} {
			got := memFS{m.After(loss)}.text(path)
			if got != text && (got != old || crashAt == 0) {
				t.Errorf("step %d, loss %d: %q", crashAt, loss, got)
			}
		}
	}
}

func TestRewriteMissingFile(t *testing.T) {
	m := newMemFS(map[string]string{"/r.conf": ""})
	inv, err := ParseArgs([]string{"s", "/r.conf"}, nil, Options{FS: m})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Remove("/r.conf"); err != nil {
		t.Fatal(err)
	}
	if err := inv.Config.Rewrite(false); err != nil {
		t.Fatal(err)
	}
	if mode, err := m.Mode("/r.conf"); err != nil || mode != 0o644 || !strings.HasPrefix(m.text("/r.conf"), signature+"\ndir \"/\"\n") {
		t.Errorf("%v %o %q", err, mode, m.text("/r.conf"))
	}
}

func TestRewriteUsers(t *testing.T) {
	const old = "user a on\nuser b on\nuser c on\nrename-command x y\n"
	for _, tc := range []struct {
		setup func(*Config)
		want  string
	}{
		{func(*Config) {}, old},
		{func(c *Config) { c.RewriteUsers = func() []string { return []string{"user z off"} } }, "user z off\n\nrename-command x y\n"},
		{func(c *Config) { c.ACLFile = "u.acl" }, "\nrename-command x y\n"},
	} {
		c := New()
		tc.setup(c)
		if got := c.rewritten(old, false); !strings.HasPrefix(got, tc.want+signature) {
			t.Errorf("%q, want %q first", got, tc.want)
		}
	}
}

// TestRewriteIsStable rewrites twice: the second time nothing may change.
func TestRewriteIsStable(t *testing.T) {
	c := New()
	if err := c.LoadString(goodFileNoIncludes()); err != nil {
		t.Fatal(err)
	}
	once := c.rewritten(goodFileNoIncludes(), false)
	if twice := c.rewritten(once, false); twice != once {
		t.Errorf("first:\n%s\nsecond:\n%s", once, twice)
	}
	back := New()
	if err := back.LoadString(once); err != nil {
		t.Fatal(err)
	}
	if got, want := getMap(back, "*"), getMap(c, "*"); !maps.Equal(got, want) {
		t.Errorf("read back: %v\nwas %v", got, want)
	}
}

func goodFileNoIncludes() string {
	var lines []string
	for _, l := range strings.Split(goodFile, "\n") {
		if !strings.HasPrefix(l, "include") {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "\n")
}

func TestDebugInfo(t *testing.T) {
	got := New().DebugInfo()
	for _, want := range []string{"io-threads 1\n", "list-compress-depth 0\n", "client-query-buffer-limit 1gb\n", "sanitize-dump-payload no\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
	if strings.Contains(got, "requirepass") || strings.Contains(got, "#") {
		t.Errorf("%q", got)
	}
}

func TestProcTitle(t *testing.T) {
	c := New()
	if got := c.ProcTitle("ferrous"); got != "ferrous *:6379" {
		t.Errorf("%q", got)
	}
	if err := c.LoadString("port 0\nunixsocket /tmp/s\ncluster-enabled yes\nproc-title-template \"{{x} {title}:{listen-addr} {server-mode} {config-file}{port}{tls-port}{unixsocket} \""); err != nil {
		t.Fatal(err)
	}
	if got := c.ProcTitle("f"); got != "{x} f:unixsocket:/tmp/s [cluster] -00/tmp/s" {
		t.Errorf("%q", got)
	}
}

func FuzzSplitArgs(f *testing.F) {
	for _, s := range []string{`a "b c" 'd\'e' "\x41\n"`, `"`, `'x`, "a\x00b", `""''`, "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, ok := SplitArgs(s)
		if !ok && words != nil {
			t.Errorf("words %q of an unbalanced line", words)
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = Quote(w)
		}
		if back, ok := SplitArgs(strings.Join(quoted, " ")); !ok || !slices.Equal(back, words) {
			t.Errorf("%q comes back as %q", words, back)
		}
		if back, ok := SplitArgs(Quote(s)); !ok || len(back) != 1 || back[0] != s {
			t.Errorf("Quote(%q) comes back as %q", s, back)
		}
	})
}

// FuzzLoad reads any text. What is accepted must survive a rewrite: the new file
// is accepted too, and gives the same values.
func FuzzLoad(f *testing.F) {
	f.Add(goodFileNoIncludes())
	f.Add("include *\nport 1\nuser \xff\nsave \"\"")
	for _, r := range New().rows {
		for _, l := range r.value.lines(r.name) {
			f.Add(l.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := newMemFS(map[string]string{"/x": "hz 3\n", "/y": "include /x"})
		c := NewWith(Options{FS: m})
		if err := c.LoadString(text); err != nil {
			var pe *ParseError
			var fe *FileError
			if !errors.As(err, &pe) && !errors.As(err, &fe) {
				t.Errorf("error of type %T", err)
			}
			return
		}
		for _, force := range []bool{false, true} {
			out := c.rewritten(text, force)
			back := NewWith(Options{FS: m})
			if err := back.LoadString(out); err != nil {
				t.Fatalf("%q was rewritten as %q: %v", text, out, err)
			}
			for _, r := range c.rows {
				if got, _ := back.Value(r.name); got != r.value.get() {
					t.Errorf("%s was %q and is %q after %q became %q", r.name, r.value.get(), got, text, out)
				}
			}
		}
	})
}
