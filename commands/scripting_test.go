package commands

import (
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
