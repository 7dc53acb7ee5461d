package commands

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"

	"ferrous/lua"
)

// What a script changes is propagated as one transaction, and as nothing where nothing changed.
func TestScriptIsOneUnit(t *testing.T) {
	ts := newTestServer(t)
	ts.recordFeed()
	for _, c := range []struct{ script, want string }{
		{"redis.call('set','a',1) redis.call('incr','a')", "MULTI|set a 1|incr a|EXEC"},
		{"redis.call('set','a',1)", "set a 1"},
		{"return redis.call('get','a')", ""},
		{"redis.call('set','a',2) error('x')", "set a 2"},
		{"redis.set_repl(redis.REPL_NONE) redis.call('set','a',3) redis.set_repl(redis.REPL_ALL) redis.call('set','b',3)", "set b 3"},
	} {
		ts.do("EVAL", c.script, "0")
		if got := ts.propagated(); !strings.EqualFold(strings.TrimSpace(strings.ReplaceAll(got, "; ", "|")), c.want) {
			t.Errorf("%s: propagated %q, want %q", c.script, got, c.want)
		}
	}
}

// A script's commands have the rights of the user who runs it.
func TestScriptHasTheRightsOfItsUser(t *testing.T) {
	ts := newTestServer(t)
	ts.do("ACL", "SETUSER", "u", "on", "nopass", "+@all", "-set", "~a*")
	c := ts.client()
	ts.doAs(c, "AUTH", "u", "x")
	for script, want := range map[string]string{
		"return redis.call('set','a',1)":                  "ACL failure in script: User u has no permissions to run the 'set' command",
		"return redis.call('get','b')":                    "ACL failure in script: No permissions to access a key",
		"return redis.call('get','a')":                    "$-1",
		"return tostring(redis.acl_check_cmd('get','b'))": "false",
		"return tostring(redis.acl_check_cmd('get','a'))": "true",
	} {
		if got := ts.doAs(c, "EVAL", script, "0"); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", script, got, want)
		}
	}
	if got := ts.doAs(c, "EVAL", "return 1", "1", "b"); !strings.HasPrefix(got, "-NOPERM") {
		t.Errorf("EVAL with a key that the user may not access: %q", got)
	}
}

// The database that a script selects is its own, and its clock stands still.
func TestScriptEndsAsItBegan(t *testing.T) {
	ts := newTestServer(t)
	ts.do("EVAL", "redis.call('select',3) redis.call('set','k','v')", "0")
	if got := ts.do("EXISTS", "k"); got != ":0\r\n" {
		t.Errorf("the caller's database has changed: %q", got)
	}
	got := ts.do("EVAL", "local a=redis.call('time') for i=1,300000 do end local b=redis.call('time') "+
		"return a[1]==b[1] and a[2]==b[2]", "0")
	if got != ":1\r\n" {
		t.Errorf("the clock moves while a script runs: %q", got)
	}
	if got := ts.do("EVAL", "return redis.call('blpop','nolist',0)", "0"); got != "$-1\r\n" {
		t.Errorf("BLPOP in a script: %q", got)
	}
}

// Libraries survive a payload, and one that collides changes nothing.
func TestFunctionDumpAndRestore(t *testing.T) {
	ts := newTestServer(t)
	lib := func(name, f string) string {
		return "#!lua name=" + name + "\nredis.register_function('" + f + "', function(k, a) return a[1] end)"
	}
	ts.do("FUNCTION", "LOAD", lib("l1", "f1"))
	ts.do("FUNCTION", "LOAD", lib("l2", "f2"))
	payload := ts.do("FUNCTION", "DUMP")
	_, payload, _ = strings.Cut(payload, "\r\n")
	payload = strings.TrimSuffix(payload, "\r\n")
	if got := ts.do("FUNCTION", "RESTORE", payload); got != "-ERR Library l1 already exists\r\n" {
		t.Errorf("RESTORE of what is there: %q", got)
	}
	ts.do("FUNCTION", "FLUSH")
	ts.do("FUNCTION", "LOAD", lib("l3", "F2"))
	if got := ts.do("FUNCTION", "RESTORE", payload, "REPLACE"); got != "-ERR Function f2 already exists\r\n" {
		t.Errorf("RESTORE of a function that another library has: %q", got)
	}
	if got := ts.do("FUNCTION", "RESTORE", payload, "FLUSH"); got != "+OK\r\n" {
		t.Errorf("RESTORE FLUSH: %q", got)
	}
	if got := ts.do("FCALL", "F1", "0", "x"); got != "$1\r\nx\r\n" {
		t.Errorf("FCALL after RESTORE: %q", got)
	}
	if got := ts.do("FUNCTION", "RESTORE", payload[:len(payload)-1]+"x"); !strings.HasPrefix(got, "-ERR DUMP payload version") {
		t.Errorf("RESTORE of a damaged payload: %q", got)
	}
}

func TestScriptAllocations(t *testing.T) {
	ts := newTestServer(t)
	ts.do("SET", "k", "v")
	sha := strings.Split(ts.do("SCRIPT", "LOAD", "return redis.call('get', KEYS[1])"), "\r\n")[1]
	args := [][]byte{[]byte("EVALSHA"), []byte(sha), []byte("1"), []byte("k")}
	if got := string(ts.run(ts.c, args)); got != "$1\r\nv\r\n" {
		t.Fatalf("EVALSHA: %q", got)
	}
	if n := allocations(1000, func() { ts.run(ts.c, args) }); n > 2 {
		t.Errorf("EVALSHA of one GET allocates %v times", n)
	}
}

// Pipelined scripts have their keys fetched together, which stand behind the SHA1 and the number of keys.
func TestFirstKey(t *testing.T) {
	g := newRegistry()
	for name, want := range map[string]int{"evalsha": 3, "eval": 3, "fcall": 3, "get": 1, "mset": 1, "bitop": 2, "sintercard": 2,
		"zunionstore": 1, "xread": 0, "ping": 0, "object|encoding": 2} {
		if got := g.Named([]byte(name)).FirstKey; got != want {
			t.Errorf("the first key of %s is argument %d, want %d", name, got, want)
		}
	}
}

// A script that is evicted, flushed or written in capitals is found, or not found, as if none had been remembered.
func TestRememberedScript(t *testing.T) {
	ts := newTestServer(t)
	const body = "return redis.call('GET', KEYS[1])"
	sum := sha1.Sum([]byte(body))
	sha := hex.EncodeToString(sum[:])
	ts.do("SET", "k", "v")
	for i, c := range []struct{ cmd, script, want string }{
		{"EVALSHA", sha, "-" + lua.ErrNoScript + "\r\n"},
		{"EVAL", body, "$1\r\nv\r\n"},
		{"EVAL", "return redis.call('TYPE', KEYS[1])", "+string\r\n"},
		{"EVAL", body, "$1\r\nv\r\n"},
		{"EVALSHA", strings.ToUpper(sha), "$1\r\nv\r\n"},
		{"EVALSHA", sha, "$1\r\nv\r\n"},
		{"EVALSHA", sha[:39] + "g", "-" + lua.ErrNoScript + "\r\n"},
	} {
		if got := ts.do(c.cmd, c.script, "1", "k"); got != c.want {
			t.Errorf("step %d: %q, want %q", i, got, c.want)
		}
	}
	ts.do("SCRIPT", "FLUSH")
	if got := ts.do("EVALSHA", sha, "1", "k"); got != "-"+lua.ErrNoScript+"\r\n" {
		t.Errorf("after FLUSH: %q", got)
	}
	ts.do("EVAL", body, "1", "k")
	for i := range lua.MaxEvalScripts {
		ts.do("SCRIPT", "EXISTS", sha)
		if i == lua.MaxEvalScripts-1 {
			ts.do("EVAL", body, "1", "k") // named last, and the oldest
		}
		ts.do("EVAL", "return "+strconv.Itoa(i), "0")
	}
	if got := ts.do("EVALSHA", sha, "1", "k"); got != "-"+lua.ErrNoScript+"\r\n" {
		t.Errorf("after eviction: %q", got)
	}
}

// What a script computes between its commands is no time of theirs.
func TestScriptTimeIsNotItsCommands(t *testing.T) {
	ts := newTestServer(t)
	eval, strlen := ts.Registry.Named([]byte("eval")), ts.Registry.Named([]byte("strlen"))
	for range 20 { // the system may take the processor away in the middle of STRLEN, but not each time
		eval.Nanos, strlen.Nanos = 0, 0
		ts.do("EVAL", "redis.call('get', 'k') for i = 1, 1000000 do end redis.call('strlen', 'k')", "0")
		if strlen.Nanos < eval.Nanos/2 {
			return
		}
	}
	t.Errorf("STRLEN took %d of the %d ns of a script that counts to a million", strlen.Nanos, eval.Nanos)
}

// DEBUG RELOAD NOFLUSH meets a library that is there already: an error unless MERGE is given, and the server goes on.
func TestReloadKeepsLibraries(t *testing.T) {
	ts := newTestServer(t, "enable-debug-command", "yes")
	ts.do("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', function() return 1 end)")
	if got := ts.do("DEBUG", "RELOAD", "NOFLUSH"); !strings.Contains(got, "Error trying to load the RDB") {
		t.Errorf("a library twice: %q", got)
	}
	if got := ts.do("DEBUG", "RELOAD", "NOFLUSH", "MERGE"); got != "+OK\r\n" {
		t.Errorf("MERGE: %q", got)
	}
	ts.do("FUNCTION", "LOAD", "#!lua name=m\nredis.register_function('g', function() return 2 end)")
	if got := ts.do("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE"); got != "+OK\r\n" {
		t.Errorf("NOSAVE: %q", got)
	}
	if got := ts.do("FCALL", "f", "0") + ts.do("FCALL", "g", "0"); got != ":1\r\n:2\r\n" {
		t.Errorf("the functions answer %q", got)
	}
}

// DEBUG SET-DISABLE-DENY-SCRIPTS lets scripts call what test suites need, and nothing that runs scripts.
func TestDenyScripts(t *testing.T) {
	ts := newTestServer(t, "enable-debug-command", "yes")
	for _, c := range []struct{ on, call, want string }{
		{"0", "'client','list'", lua.ErrNotAllowed},
		{"1", "'client','list'", "id="},
		{"1", "'debug','protocol','integer'", ":12345"},
		{"1", "'eval','return 1',0", lua.ErrNotAllowed},
		{"1", "'debug','reload'", lua.ErrNotAllowed},
		{"1", "'multi'", lua.ErrNotAllowed},
	} {
		ts.do("DEBUG", "SET-DISABLE-DENY-SCRIPTS", c.on)
		ts.client()
		if got := ts.do("EVAL", "return redis.call("+c.call+")", "0"); !strings.Contains(got, c.want) {
			t.Errorf("%s, %s: %q, want %q in it", c.call, c.on, got, c.want)
		}
	}
}

// Scripts with flags that a transaction queued before they were known are refused when it runs, with texts of their own.
func TestScriptRefusedInTransaction(t *testing.T) {
	const script = "#!lua\nreturn redis.call('set', 'k', 'v')"
	for _, c := range []struct {
		when string
		set  func(s *Server)
		want string
	}{
		{"a snapshot failed", func(s *Server) { s.persist.failed = true }, "-MISCONF Redis is configured to save RDB snapshots, but it's " +
			"currently unable to persist to disk. Writable scripts are blocked. Use 'no-writes' flag for read only scripts."},
		{"memory is full", func(s *Server) { s.evict.full = true }, "-OOM allow-oom flag is not set on the script, can not run it when " +
			"used memory > 'maxmemory'"},
		{"all is well", func(s *Server) {}, "+OK"},
	} {
		ts := newTestServer(t, "save", "60 1")
		sum := sha1.Sum([]byte(script))
		ts.do("MULTI")
		ts.do("EVALSHA", hex.EncodeToString(sum[:]), "0")
		ts.doAs(ts.client(), "SCRIPT", "LOAD", script)
		c.set(ts.Server)
		ts.updateRefusing()
		if got, want := ts.do("EXEC"), "*1\r\n"+c.want+"\r\n"; got != want {
			t.Errorf("%s: %q\nwant %q", c.when, got, want)
		}
	}
}

// A script that a master has sent cannot be killed, whether it has written or not: the replica would differ from its master.
func TestMasterScriptIsNotKilled(t *testing.T) {
	ts := newTestServer(t)
	ts.scripts.caller = ts.newInnerClient()
	ts.scripts.caller.Trusted = true
	for _, wrote := range []bool{false, true} {
		ts.scripts.wrote = wrote
		for _, kill := range []string{"SCRIPT", "FUNCTION"} {
			const want = "-UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be killed.\r\n"
			if got := ts.do(kill, "KILL"); got != want {
				t.Errorf("%s KILL: %q", kill, got)
			}
		}
	}
}

// What redis.acl_check_cmd says is what redis.call then does, for scripts and functions.
func TestCheckOfRightsAgrees(t *testing.T) {
	ts := newTestServer(t)
	ts.do("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('compare', function(keys, args) "+
		"local allowed = redis.acl_check_cmd(unpack(args)) local reply = redis.pcall(unpack(args)) "+
		"local denied = type(reply) == 'table' and reply.err ~= nil and string.find(reply.err, 'ACL failure in script') ~= nil "+
		"return {tostring(allowed), tostring(not denied)} end)")
	script := "local allowed = redis.acl_check_cmd(unpack(ARGV)) local reply = redis.pcall(unpack(ARGV)) " +
		"local denied = type(reply) == 'table' and reply.err ~= nil and string.find(reply.err, 'ACL failure in script') ~= nil " +
		"return {tostring(allowed), tostring(not denied)}"
	for i, rules := range []string{
		"+@all ~*", "+@all", "+@all ~a*", "+@all %R~a* %W~b*", "+@read +eval +fcall ~*", "+@all -set ~*", "+@all ~a* -xread resetchannels &c*",
		"-@all +eval +fcall +get ~a* (+set ~b*)", "+@all -config|get +object|encoding -object ~* ", "+@all ~a* (%R~b* +get)",
	} {
		name := "u" + strconv.Itoa(i)
		ts.do(append([]string{"ACL", "SETUSER", name, "on", "nopass"}, strings.Fields(rules)...)...)
		c := ts.client()
		ts.doAs(c, "AUTH", name, "x")
		for _, line := range []string{
			"get a", "get b", "set a 1", "set b 1", "set a 1 GET", "mget a b", "mset a 1 b 2", "rename a b", "copy a b", "copy b a", "del a b",
			"sort a by w_* get v_* store b", "sort_ro a get v_*", "publish c m", "publish d m", "object encoding a", "object help", "exists a c",
			"zunionstore a 2 b c", "xread streams a b 0 0", "lmpop 2 a b left", "bitop and a b c", "sintercard 2 a b", "ping", "time", "dbsize",
			"keys *", "scan 0", "flushall", "georadius b 1 1 1 km store a", "xadd a * f v", "xgroup create a g $ mkstream", "memory usage b",
			"randomkey", "select 1", "getex a ex 10", "lpush b x", "spublish d m", "touch a b", "unlink b",
		} {
			for _, how := range [][]string{{"EVAL", script, "0"}, {"FCALL", "compare", "0"}} {
				got := ts.doAs(c, append(how, strings.Fields(line)...)...)
				if got != array("true", "true") && got != array("false", "false") && !strings.Contains(got, "NOPERM") {
					t.Errorf("%s, user %q, %s: %q", how[0], rules, line, got)
				}
			}
		}
	}
}

// Two servers in one process share nothing of Lua.
func TestTwoServersShareNoLua(t *testing.T) {
	a, b := newTestServer(t), newTestServer(t)
	sha := strings.Split(a.do("SCRIPT", "LOAD", "return 'of a'"), "\r\n")[1]
	if got := b.do("EVALSHA", sha, "0"); !strings.HasPrefix(got, "-NOSCRIPT") {
		t.Errorf("a script of the other one: %q", got)
	}
	a.do("FUNCTION", "LOAD", "#!lua name=l\nlocal n = 0 redis.register_function('f', function() n = n + 1 return n end)")
	b.do("FUNCTION", "LOAD", "#!lua name=l\nlocal n = 10 redis.register_function('f', function() n = n + 1 return n end)")
	if got := a.do("FCALL", "f", "0") + b.do("FCALL", "f", "0") + a.do("FCALL", "f", "0"); got != ":1\r\n:11\r\n:2\r\n" {
		t.Errorf("upvalues of functions: %q", got)
	}
	const draw = "return math.random(1000000)"
	a.do("EVAL", "math.randomseed(5)", "0")
	b.do("EVAL", "math.randomseed(5)", "0")
	first := a.do("EVAL", draw, "0")
	for range 10 {
		a.do("EVAL", draw, "0")
	}
	if got := b.do("EVAL", draw, "0"); got != first {
		t.Errorf("random numbers: %q, %q", first, got)
	}
	a.do("EVAL", "cjson.encode_max_depth(3) cjson.decode_invalid_numbers(false)", "0")
	if got := b.do("EVAL", "return cjson.encode({{{{1}}}})", "0"); got != "$9\r\n[[[[1]]]]\r\n" {
		t.Errorf("settings of cjson: %q", got)
	}
}
