package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// hostile are scripts that must neither end the server nor make it grow without bound: most are refused with an error.
var hostile = []string{
	// recursion of every kind
	"local function f() return f() + 1 end return f()",
	"local function f() return pcall(f) end return f()",
	"local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return t.x",
	"local t = {} setmetatable(t, {__index = t}) return t.x",
	"local t = {} setmetatable(t, {__newindex = t}) t.x = 1",
	"local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) return tostring(t)",
	"local t = setmetatable({}, {__concat = function(a, b) return a .. b end}) return t .. 'x'",
	"local t = setmetatable({}, {__eq = function(a, b) return a == b end}) return t == setmetatable({}, getmetatable(t))",
	"local t = setmetatable({}, {__call = function(self) return self() + 1 end}) return t()",
	"local function f() return coroutine.wrap(f)() end return f()",
	"local function f() return string.gsub('a', 'a', f) end return f()",
	"local function f(a, b) table.sort({1, 2, 3}, f) return a < b end return f(1, 2)",
	"local function f() return loadstring('return ...')(f) end return f()()",
	"local s = 'return 1' for i = 1, 100 do s = 'return loadstring([==[' .. string.rep('=', i) .. ']==])' end return s",
	"return loadstring(string.rep('(', 1000000))",
	"return loadstring('return ' .. string.rep('{', 1000000))",
	"return loadstring(string.rep('x.', 1000000) .. 'x = 1')",
	"return loadstring('return ' .. string.rep('not ', 1000000) .. 'x')",
	"return loadstring('return ' .. string.rep('a..', 1000000) .. 'a')",
	"return string.match(string.rep('a', 300000), string.rep('(a', 1000))",
	"return string.gsub(string.rep('x', 100000), '%f[x]', string.rep('y', 100000))",
	// tables that contain themselves
	"local t = {} t[1] = t return t",
	"local t = {} t.map = t return t",
	"local t = {} t.map = {t = t} redis.setresp(3) return t",
	"local t = {} t[1] = t return cjson.encode(t)",
	"local t = {} t[1] = t return cmsgpack.pack(t)",
	"local t = {} t.err = t return t",
	"local t, n = {}, nil for i = 1, 100000 do n = {t} t = n end return t",
	"local t = {} for i = 1, 100000 do t = {t} end return cjson.encode(t)",
	"local t = {} for i = 1, 100000 do t = {t} end return #cmsgpack.pack(t)",
	// sizes
	"return string.rep('x', 2^40)", "return string.rep('', 2^53)", "return string.rep('x', -1)", "return #string.rep('x', 2^31)",
	"return unpack({}, 1, 2^53)", "return unpack({}, -2^53, 2^53)", "return unpack({}, 1, 10^6)",
	"return string.byte(string.rep('x', 10^6), 1, -1)", "return string.char(unpack({}, 1, 7000))",
	"return string.format('%999999999d', 1)", "return string.format('%99.99f', 1e308)", "return string.format(string.rep('%s', 10000))",
	"return table.concat({}, 'x', 1, 2^53)", "return table.concat(setmetatable({}, {__index = function() return 'x' end}), '', 1, 10)",
	"local t = {} local s = string.rep('x', 2^26) for i = 1, 9 do t[i] = s end return #table.concat(t)",
	"local t = {} t[2^53] = 1 return #t", "local t = {} t[5e7] = 1 return #t", "local t = {} t[-1] = 1 t[1e308] = 2 return #t",
	"return select(2^53, 1)", "return select(-2^53, 1)", "return table.insert({}, 2^53, 1)", "return table.remove({}, 2^53)",
	"for i = 1, 1e308, 1e307 do end for i = 1, 0/0 do end for i = 1, 3, 0/0 do end",
	"return string.gsub(string.rep('x', 10^6), '', string.rep('y', 10^4))",
	"return bit.lshift(1, 2^53) + bit.tohex(1, -2^31)", "return struct.pack('i' .. string.rep('9', 100), 1)",
	"return struct.pack('c2147483647', 'x')", "return struct.unpack('c4294967295', 'x')", "return struct.unpack('s', 'x', 2^53)",
	"return struct.size(string.rep('i', 10^6))", "return struct.unpack('!1000000000i', 'xxxx')",
	// input of a wrong form
	"return cmsgpack.unpack('\\221\\255\\255\\255\\255')", "return cmsgpack.unpack('\\223\\127\\255\\255\\255')",
	"return cmsgpack.unpack('\\219\\255\\255\\255\\255x')", "return cmsgpack.unpack(string.rep('\\145', 10^6))",
	"return cmsgpack.unpack_limit('\\1\\2', 2^31, -1)", "return cmsgpack.unpack(string.rep('\\129', 10^6))",
	"return cjson.decode(string.rep('[', 10^6))", "return cjson.decode('[' .. string.rep('1,', 10^6))",
	"return cjson.decode('\"' .. string.rep('\\\\ud800', 10^5) .. '\"')", "return cjson.decode('1e999999999')",
	"return cjson.decode('{\"a\":' .. string.rep('{\"a\":', 10^5))", "return cjson.decode('-' .. string.rep('9', 10^6))",
	"return cjson.encode({[2^53] = 1})", "return cjson.encode({[1e308] = 1, [1] = 2})",
	// the table redis
	"return redis.call()", "return redis.call(nil)", "return redis.call({})", "return redis.call('set', 'x', {})",
	"return redis.call(unpack({}, 1, 7000))", "return redis.call('eval', 'return 1', 0)", "return redis.sha1hex()",
	"return redis.setresp(2^53)", "return redis.log(2^53, 'x')", "return redis.error_reply(nil)", "return {err = 5}", "return {ok = {}}",
	"return redis.call('ping', string.rep('x', 10^7))", "error({})", "error(nil)", "error(setmetatable({}, {__tostring = error}))",
	"return coroutine.create(redis.call)", "coroutine.yield()", "return coroutine.wrap(function() return redis.call('time') end)()",
	"return coroutine.resume(coroutine.running() or coroutine.create(function() end))",
	"local co co = coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co)",
	"for i = 1, 100000 do coroutine.resume(coroutine.create(function() coroutine.yield() end)) end",
}

// No script ends the server or makes it grow without bound.
func TestHostileScripts(t *testing.T) {
	s := harness.StartFerrous(t)
	c := dialFor(t, s)
	for _, protocol := range []string{"2", "3"} {
		c.Must("HELLO", protocol)
		for _, script := range hostile {
			if err := c.Send("EVAL", script, "0"); err != nil {
				t.Fatal(err)
			}
			if err := skipReply(c); err != nil {
				t.Fatalf("%s: %v", script, err)
			}
			if got := doOn(t, c, "PING"); got != "PONG" {
				t.Fatalf("%s: then PING answers %s", script, got)
			}
		}
	}
	if harness.RaceEnabled {
		return // the race detector's own memory is not given back
	}
	eventually(t, "the memory of the scripts is given back", func() bool {
		c.Must("MEMORY", "PURGE")
		rss, err := s.RSS()
		if err != nil {
			t.Fatal(err)
		}
		return rss < 300<<20
	})
}

// skipReply reads a reply without following how deep it nests.
func skipReply(c *harness.Conn) error {
	if err := c.Send("ECHO", "the end of it"); err != nil {
		return err
	}
	var seen []byte
	buf := make([]byte, 1<<16)
	for {
		if err := c.Net().SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		n, err := c.Net().Read(buf)
		if err != nil {
			return err
		}
		seen = append(seen, buf[:n]...)
		if strings.HasSuffix(string(seen[max(0, len(seen)-30):]), "$13\r\nthe end of it\r\n") {
			return nil
		}
	}
}

// What a script adds wakes those who wait for it after its end, in the order of their waiting, whatever they wait with.
func TestScriptWakesWaiters(t *testing.T) {
	s := harness.StartFerrous(t)
	ctl := s.Dial(t)
	for _, w := range []struct {
		wait []string
		add  string // adds item ARGV[1]
		want string // the reply, with %d for the item
	}{
		{[]string{"BRPOPLPUSH", "src", "dst", "0"}, "redis.call('lpush', 'src', ARGV[1])", "%d"},
		{[]string{"BLMOVE", "src", "dst", "LEFT", "RIGHT", "0"}, "redis.call('rpush', 'src', ARGV[1])", "%d"},
		{[]string{"BLPOP", "other", "src", "0"}, "redis.call('rpush', 'src', ARGV[1])", "[src %d]"},
		{[]string{"BLMPOP", "0", "1", "src", "LEFT"}, "redis.call('rpush', 'src', ARGV[1])", "[src [%d]]"},
		{[]string{"BZPOPMIN", "src", "0"}, "redis.call('zadd', 'src', ARGV[1], ARGV[1])", "[src %[1]d %[1]d]"},
		{[]string{"BZMPOP", "0", "1", "src", "MIN"}, "redis.call('zadd', 'src', ARGV[1], ARGV[1])", "[src [[%[1]d %[1]d]]]"},
		{[]string{"XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "COUNT", "1", "STREAMS", "src", ">"},
			"redis.call('xadd', 'src', '1-' .. ARGV[1], 'f', 'v')", "[[src [[1-%d [f v]]]]]"},
		{[]string{"BLPOP", "src", "0"}, "redis.call('rpush', 'tmp', ARGV[1]) redis.call('rename', 'tmp', 'src')", "[src %d]"},
		{[]string{"BLPOP", "src", "0"}, "redis.call('rpush', 'src', 'gone') redis.call('del', 'src') redis.call('rpush', 'src', ARGV[1])", "[src %d]"},
	} {
		ctl.Must("FLUSHALL")
		if w.wait[0] == "XREADGROUP" {
			ctl.Must("XGROUP", "CREATE", "src", "g", "$", "MKSTREAM")
		}
		var waiting []*harness.Conn
		for i := range 3 {
			c := dialFor(t, s)
			if err := c.Send(w.wait...); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, c)
			eventually(t, "it waits", func() bool {
				info, err := ctl.Info("clients")
				return err == nil && info["blocked_clients"] == fmt.Sprint(i+1)
			})
		}
		// One script serves one, the next one two.
		if v := ctl.Must("EVAL", w.add+" return redis.call('exists', 'src')", "0", "1"); v.String() != "1" {
			t.Errorf("%q: what was added is gone before the script's end: %s", w.wait, v)
		}
		if strings.Contains(w.add, "rename") || strings.Contains(w.add, "del") {
			ctl.Must("EVAL", w.add, "0", "2")
			ctl.Must("EVAL", w.add, "0", "3")
		} else {
			ctl.Must("EVAL", w.add+" "+strings.ReplaceAll(w.add, "ARGV[1]", "ARGV[2]"), "0", "2", "3")
		}
		for i, c := range waiting {
			v, err := c.Read()
			want := fmt.Sprintf(w.want, i+1)
			if err != nil || v.String() != want {
				t.Errorf("%q, waiter %d: %v, %v; want %s", w.wait, i+1, v, err, want)
			}
		}
	}
}

// Libraries of functions survive FLUSHALL, a restart with a dump, one with an append-only file of each kind, rewrites of it,
// and what is between them; FUNCTION FLUSH does away with them for good.
func TestFunctionsSurvive(t *testing.T) {
	library := func(name string) string {
		return "#!lua name=" + name + "\nredis.register_function('" + name + "', function(keys, args) return '" + name + "' .. #keys end)"
	}
	for _, args := range [][]string{
		{"--save", "3600 1"},
		{"--appendonly", "yes", "--aof-use-rdb-preamble", "yes"},
		{"--appendonly", "yes", "--aof-use-rdb-preamble", "no"},
	} {
		dir := t.TempDir()
		s, c := persistent(t, dir, args...)
		has := func(when string, want ...string) {
			t.Helper()
			var got []string
			for _, l := range c.Must("FUNCTION", "LIST").Elems {
				got = append(got, l.Elems[1].Str)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%q, %s: libraries %q, want %q", args, when, got, want)
			}
			for _, name := range want {
				if v := c.Must("FCALL", name, "1", "k"); v.String() != name+"1" {
					t.Errorf("%q, %s: %s answers %s", args, when, name, v)
				}
			}
		}
		again := func() {
			t.Helper()
			if args[0] == "--save" {
				c.Must("SAVE")
				s.Kill()
			} else {
				_ = c.Send("SHUTDOWN")
				ends(t, s, 0)
			}
			s, c = persistent(t, dir, args...)
		}
		for _, name := range []string{"a", "b", "c"} {
			c.Must("FUNCTION", "LOAD", library(name))
		}
		c.Must("SET", "k", "v")
		c.Must("FLUSHALL")
		has("after FLUSHALL", "a", "b", "c")
		c.Must("FUNCTION", "DELETE", "b")
		again()
		has("after a restart", "a", "c")
		if args[0] != "--save" {
			c.Must("BGREWRITEAOF")
			eventually(t, "the rewrite ends", func() bool {
				return state(t, c, "aof_rewrite_in_progress") == "0" && state(t, c, "aof_rewrite_scheduled") == "0"
			})
			c.Must("FUNCTION", "LOAD", "REPLACE", library("c"))
			c.Must("FUNCTION", "LOAD", library("d"))
			again()
			has("after a rewrite and a restart", "a", "c", "d")
		}
		payload := c.Must("FUNCTION", "DUMP").Str
		c.Must("FUNCTION", "FLUSH")
		again()
		has("after FLUSH and a restart")
		c.Must("FUNCTION", "RESTORE", payload)
		again()
		if args[0] == "--save" {
			has("after RESTORE and a restart", "a", "c")
		} else {
			has("after RESTORE and a restart", "a", "c", "d")
		}
		// Between two scripts a cache may be emptied: nothing of the old one is left.
		c.Must("EVAL", "return 1", "0")
		c.Must("SCRIPT", "FLUSH")
		if v, _ := c.Do("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"); !strings.HasPrefix(v.Str, "NOSCRIPT") {
			t.Errorf("EVALSHA after SCRIPT FLUSH: %s", v)
		}
	}
}
