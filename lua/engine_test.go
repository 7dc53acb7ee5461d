package lua

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Replies are those of redis-server 7.0.15 (7.2.6 where they differ); {sha} stands for the script's SHA1.
func TestReplies(t *testing.T) {
	s := newServer()
	e := New(s)
	for _, c := range []struct{ body, want string }{
		{`return 3.99`, ":3\r\n"},
		{`return -3.99`, ":-3\r\n"},
		{`return 1e300`, ":-9223372036854775808\r\n"},
		{`return 0/0`, ":-9223372036854775808\r\n"},
		{`return {1,2,nil,3}`, "*2\r\n:1\r\n:2\r\n"},
		{`return {1,{2,{3}},true,false,"x"}`, "*5\r\n:1\r\n*2\r\n:2\r\n*1\r\n:3\r\n:1\r\n$-1\r\n$1\r\nx\r\n"},
		{`return {double=3.5}`, "$3\r\n3.5\r\n"},
		{`return {map={a=1}}`, "*2\r\n$1\r\na\r\n:1\r\n"},
		{`return {set={a=true}}`, "*1\r\n$1\r\na\r\n"},
		{`return {big_number="123\r\n4"}`, "$6\r\n123  4\r\n"},
		{`return {verbatim_string={format="txt",string="abc"}}`, "$3\r\nabc\r\n"},
		{`return {verbatim_string={format="txt"}}`, "*0\r\n"},
		{`return {ok="a\r\nb"}`, "+a  b\r\n"},
		{`return {err="a\r\nb"}`, "-a  b\r\n"},
		{`return {ok=5}`, "*0\r\n"},
		{`return {err="x\0y"}`, "-x\r\n"},
		{`return function() end`, "$-1\r\n"},
		{`return "a","b"`, "$1\r\na\r\n"},
		{`return setmetatable({},{__index={err="x"}})`, "*0\r\n"},
		{`error('boom')`, "-ERR user_script:1: boom script: {sha}, on @user_script:1.\r\n"},
		{`error('boom', 2)`, "-ERR boom script: {sha}, on @user_script:1.\r\n"},
		{`error('x',0)`, "-ERR x script: {sha}, on @user_script:1.\r\n"},
		{`error(5)`, "-ERR user_script:1: 5 script: {sha}, on @user_script:1.\r\n"},
		{`error(nil)`, "-ERR nil script: {sha}, on @user_script:1.\r\n"},
		{`error({err=''})`, "- script: {sha}, on @user_script:1.\r\n"},
		{`error({err=5})`, "-5 script: {sha}, on @user_script:1.\r\n"},
		{"error('a\\r\\nb')", "-ERR user_script:1: a  b script: {sha}, on @user_script:1.\r\n"},
		{"error({err='CODE a\\nb'})", "-CODE a b script: {sha}, on @user_script:1.\r\n"},
		{"local function f() error({err='X y'}) end\n\nf()", "-X y script: {sha}, on @user_script:1.\r\n"},
		{`return redis.error_reply('My text')`, "-My text\r\n"},
		{`return redis.error_reply('abc')`, "-ERR abc\r\n"},
		{`return redis.error_reply('-abc d')`, "-abc d\r\n"},
		{`return redis.error_reply()`, "-ERR wrong number or type of arguments\r\n"},
		{`return redis.status_reply(5)`, "-ERR wrong number or type of arguments\r\n"},
		{`return redis.sha1hex('')`, "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n"},
		{`return redis.sha1hex()`, "-ERR wrong number of arguments script: {sha}, on @user_script:1.\r\n"},
		{`return redis.call()`, "-ERR Please specify at least one argument for this redis lib call script: {sha}, on @user_script:1.\r\n"},
		{`return redis.call('foo')`, "-ERR Unknown Redis command called from script script: {sha}, on @user_script:1.\r\n"},
		{`return redis.call('get')`, "-ERR Wrong number of args calling Redis command from script script: {sha}, on @user_script:1.\r\n"},
		{`return redis.call({})`, "-ERR Lua redis lib command arguments must be strings or integers script: {sha}, on @user_script:1.\r\n"},
		{`return redis.pcall('fail')`, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{"\nreturn redis.call('fail')", "-WRONGTYPE Operation against a key holding the wrong kind of value script: {sha}, on @user_script:2.\r\n"},
		{`local a,b=pcall(redis.call,'fail') return {type(b),b}`, "*2\r\n$6\r\nstring\r\n$65\r\nWRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
		{`return {xpcall(function() redis.call('get') end, function(e) return type(e) end)}`, "*2\r\n$-1\r\n$5\r\ntable\r\n"},
		{`return redis.pcall('fail').ignore_error_stats_update`, ":1\r\n"},
		{`return redis.call('set','a','b')`, "+OK\r\n"},
		{`local i=7 for i=1,10 do end for i=10,1,-3 do end for i=1,0 do end for i=0.1,1,0.1 do end return i`, ":7\r\n"},
		{`return redis.call('set','a','b').ok`, "$2\r\nOK\r\n"},
		{`return redis.call('get','none') == false`, ":1\r\n"},
		{`redis.setresp(3) return redis.call('get','none') == nil`, ":1\r\n"},
		{`return redis.call('echo', 0.1)`, "$3\r\n0.1\r\n"},
		{`return redis.call('echo', 1e17)`, "$18\r\n100000000000000000\r\n"},
		{`return redis.call('echo', 2^62)`, "$19\r\n4611686018427387904\r\n"},
		{`return redis.call('echo', -2^62)`, "$20\r\n-4611686018427387904\r\n"},
		{`return redis.call('echo', 2^63)`, "$19\r\n9223372036854776000\r\n"},
		{`return redis.call('echo', 123456789012345678)`, "$18\r\n123456789012345680\r\n"},
		{`return redis.call('echo', 1e22)`, "$5\r\n1e+22\r\n"},
		{`return redis.call('echo', 1e300)`, "$6\r\n1e+300\r\n"},
		{`return redis.call('echo', 1e-7)`, "$4\r\n1e-7\r\n"},
		{`return redis.call('echo', -0)`, "$1\r\n0\r\n"},
		{`return redis.call('echo', 0/0)`, "$4\r\n-nan\r\n"},
		{`return redis.call('echo', math.huge)`, "$3\r\ninf\r\n"},
		{`return redis.call('echo', 123456.789)`, "$10\r\n123456.789\r\n"},
		{`return redis.call('raw', '*2\r\n:5\r\n*-1\r\n')`, "*2\r\n:5\r\n$-1\r\n"},
		{`return redis.call('raw', '%1\r\n+a\r\n:1\r\n').map ~= nil`, ":1\r\n"},
		{`return redis.call('raw', ',3.5\r\n')`, "$3\r\n3.5\r\n"},
		{`return redis.call('raw', '=7\r\ntxt:abc\r\n')`, "$3\r\nabc\r\n"},
		{`return redis.call('raw', '*3\r\n:1\r\n')`, "*1\r\n:1\r\n"},
		{`return redis.log()`, "-ERR redis.log() requires two arguments or more. script: {sha}, on @user_script:1.\r\n"},
		{`return redis.log(9,'x')`, "-ERR Invalid debug level. script: {sha}, on @user_script:1.\r\n"},
		{`return redis.log('a','b')`, "-ERR First argument must be a number (log level). script: {sha}, on @user_script:1.\r\n"},
		{`return redis.setresp(4)`, "-ERR RESP version must be 2 or 3. script: {sha}, on @user_script:1.\r\n"},
		{`return redis.set_repl()`, "-ERR redis.set_repl() requires one argument. script: {sha}, on @user_script:1.\r\n"},
		{`return redis.set_repl(9)`, "-ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE. script: {sha}, on @user_script:1.\r\n"},
		{`return redis.replicate_commands()`, ":1\r\n"},
		{`return redis.acl_check_cmd('foo')`, "-ERR Invalid command passed to redis.acl_check_cmd() script: {sha}, on @user_script:1.\r\n"},
		{`return redis.acl_check_cmd('get','x')`, ":1\r\n"},
		{`return redis.acl_check_cmd('set','x')`, "$-1\r\n"},
		{`return x`, "-ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: {sha}, on @user_script:1.\r\n"},
		{`x=5`, "-ERR user_script:1: Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`redis.x=5`, "-ERR user_script:1: Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`getmetatable('').__index=5`, "-ERR user_script:1: Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`getmetatable(_G).__index=5`, "-ERR user_script:1: Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`return rawset(redis,'a',1)`, "-ERR Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`table.insert(redis,1)`, "-ERR Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`setmetatable(_G,{})`, "-ERR Attempt to modify a readonly table script: {sha}, on @user_script:1.\r\n"},
		{`KEYS[1]='x' return KEYS[1]`, "$1\r\nx\r\n"},
		{`return {KEYS,ARGV}`, "*2\r\n*2\r\n$1\r\nk\r\n$1\r\nl\r\n*2\r\n$1\r\nk\r\n$1\r\nl\r\n"},
		{`return foo bar`, "-ERR Error compiling script (new function): user_script:1: '<eof>' expected near 'bar'\r\n"},
		{`foo bar`, "-ERR Error compiling script (new function): user_script:1: '=' expected near 'bar'\r\n"},
		{"\x1bLua", "-ERR Error compiling script (new function): user_script:1: unexpected symbol near 'char(27)'\r\n"},
		{`#!js` + "\n", "-ERR Unexpected engine in script shebang: #!js\r\n"},
		{`#!lua`, "-ERR Invalid script shebang\r\n"},
		{"#!lua flags=bad\n", "-ERR Unexpected flag in script shebang: bad\r\n"},
		{"#!lua flags=no-writes,\n", "-ERR Unexpected flag in script shebang: \r\n"},
		{"#!lua x\n", "-ERR Unknown lua shebang option: x\r\n"},
		{"#!lua flags=no-writes,allow-oom\nerror('x')", "-ERR user_script:2: x script: {sha}, on @user_script:2.\r\n"},
		{`local d=0 local function f() d=d+1 return 1 + f() end pcall(f) return d`, ":19997\r\n"},
		{`local d=0 local function f() d=d+1 return coroutine.wrap(f)() end local ok,e=pcall(f) return e ~= nil`, ":1\r\n"},
		{`return select('#',unpack({},1,7990))`, ":7990\r\n"},
		{`return unpack({},1,1e6)`, "-ERR user_script:1: too many results to unpack script: {sha}, on @user_script:1.\r\n"},
		{`local t={} t[5e7]=1 t[1e9]=2 return #t`, ":0\r\n"},
	} {
		if got := eval(e, c.body, false, "k", "l"); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.body, got, c.want)
		}
	}
}

func TestRESP3(t *testing.T) {
	e := New(newServer())
	for _, c := range []struct{ body, want string }{
		{`return true`, ":1\r\n"},
		{`return false`, "_\r\n"},
		{`redis.setresp(3) return true`, "#t\r\n"},
		{`redis.setresp(3) return false`, "#f\r\n"},
		{`return {double=3.5}`, ",3.5\r\n"},
		{`return {map={a=1}}`, "%1\r\n$1\r\na\r\n:1\r\n"},
		{`return {set={a=true}}`, "~1\r\n$1\r\na\r\n"},
		{`return {big_number='12'}`, "(12\r\n"},
		{`return {verbatim_string={format='txt',string='abc'}}`, "=7\r\ntxt:abc\r\n"},
		{`redis.setresp(3) return redis.call('raw','#t\r\n')`, "#t\r\n"},
		{`redis.setresp(3) return redis.call('raw','~1\r\n+a\r\n').set ~= nil`, "#t\r\n"},
		{`redis.setresp(3) return redis.call('raw','|1\r\n+a\r\n:1\r\n:7\r\n')`, ":7\r\n"},
	} {
		if got := eval(e, c.body, true); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.body, got, c.want)
		}
	}
}

// Nothing that a script does keeps it from being killed, and nothing in it catches the kill.
func TestKill(t *testing.T) {
	for _, body := range []string{
		`while true do end`,
		`while true do pcall(function() while true do end end) end`,
		`while true do xpcall(function() while true do end end, function() return 1 end) end`,
		`local co=coroutine.wrap(function() while true do end end) while true do pcall(co) end`,
		`while true do local co=coroutine.create(function() while true do coroutine.yield() end end) for i=1,10 do coroutine.resume(co) end end`,
		`local t={} for i=1,1000 do t[i]=i end while true do pcall(table.sort,t,function() while true do end end) end`,
		`local t=setmetatable({},{__index=function(t,k) while true do end end}) return t.x`,
		`local t=setmetatable({},{__index=function(t,k) return t[k] end}) while true do pcall(function() return t.x end) end`,
		`local function f() return f() end return f()`,
		`local function f() f() end while true do pcall(f) end`,
		`repeat local x = pcall(error) until false`,
		`for i=1,math.huge do end`,
		`for i in function() return 1 end do end`,
		`local t={} while true do t[#t+1]=1 table.remove(t) end`,
		`table.insert({}, -2^31, 1) while true do end`,
		`return load(function() return 'x=1 ' end)`,
		`while true do loadstring('return 1') end`,
	} {
		e := New(newServer())
		calls := 0
		e.Pace = Pace{After: time.Millisecond, Every: time.Millisecond}
		e.Pace.Slow = func() {
			if calls++; calls == 3 {
				e.Kill("Script killed by user with SCRIPT KILL...")
			}
		}
		got := eval(e, body, false)
		if !strings.HasPrefix(got, "-ERR Script killed by user with SCRIPT KILL... script: {sha}, on @user_script:1.") {
			t.Errorf("%s\n got %q", body, got)
		}
		if got := eval(e, "return 'alive'", false); got != "$5\r\nalive\r\n" {
			t.Errorf("after %s: %q", body, got)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	for _, body := range []string{
		`local t={} while true do t[#t+1]={} end`,
		`local t={} local i=0 while true do i=i+1 t['k'..i]=i end`,
		`local s='x' while true do pcall(function() while true do s=s..s end end) end`,
		`local t={} for i=1,40 do t={t,t} end return t`,
	} {
		e := New(newServer())
		e.MemoryLimit = 64 << 20
		// The third one fails without making the heap grow; something must end it.
		e.Pace = Pace{After: 5 * time.Second, Every: time.Second, Slow: func() { e.Kill("not enough memory") }}
		if got := eval(e, body, false); !strings.HasPrefix(got, "-ERR not enough memory") {
			t.Errorf("%s: %q", body, got)
		}
	}
}

// A table that holds itself ends in an error inside the reply, as on redis-server.
func TestReplyOfEndlessTable(t *testing.T) {
	e := New(newServer())
	got := eval(e, `local t={} t[1]=t return t`, false)
	if !strings.HasPrefix(got, "*1\r\n*1\r\n") || !strings.HasSuffix(got, "*1\r\n-ERR reached lua stack limit\r\n") {
		t.Errorf("%.40q … %q", got, got[max(0, len(got)-60):])
	}
	if n := strings.Count(got, "*1"); n != 7995 {
		t.Errorf("%d arrays, redis-server writes 7995", n)
	}
	if n := strings.Count(eval(e, `local t={} t.map={a=t} return t`, false), "*2"); n != 2665 {
		t.Errorf("%d maps, redis-server writes 2665", n)
	}
}

func TestCache(t *testing.T) {
	e := New(newServer())
	first, err := e.Load([]byte("return 'first'"), FromEval)
	if err != nil {
		t.Fatal(err)
	}
	if e.Find([]byte(strings.ToUpper(first.SHA))) != first || e.FindText([]byte("return 'first'")) != first {
		t.Error("a script is not found by its SHA1 or its text")
	}
	kept, _ := e.Load([]byte("return 'kept'"), FromLoad)
	named, _ := e.Load([]byte("return 'named'"), FromEval)
	e.Keep(named)
	for i := range MaxEvalScripts + 9 {
		if _, err := e.Load(fmt.Appendf(nil, "return %d", i), FromEval); err != nil {
			t.Fatal(err)
		}
	}
	if e.Find([]byte(first.SHA)) != nil {
		t.Error("the oldest script is still there")
	}
	if e.Find([]byte(kept.SHA)) == nil || e.Find([]byte(named.SHA)) == nil {
		t.Error("a script that was named is gone")
	}
	if e.Count() != MaxEvalScripts+2 || e.Evicted() != 10 {
		t.Errorf("%d scripts, %d evicted", e.Count(), e.Evicted())
	}
	if e.Memory() <= 0 {
		t.Error("scripts need no memory")
	}
	e.Flush()
	if e.Count() != 0 || e.Memory() != 0 || e.Find([]byte(kept.SHA)) != nil {
		t.Error("Flush left something")
	}
	if got := eval(e, "return 'again'", false); got != "$5\r\nagain\r\n" {
		t.Error(got)
	}
}

func TestFlags(t *testing.T) {
	e := New(newServer())
	for _, c := range []struct {
		body string
		want Flags
	}{
		{"return 1", CompatMode},
		{"#!lua\nreturn 1", 0},
		{"#!lua flags=\nreturn 1", 0},
		{"#!lua flags=no-writes,allow-stale flags=no-cluster\nreturn 1", NoWrites | AllowStale | NoCluster},
		{"#!lua flags=allow-oom,allow-cross-slot-keys\nreturn 1", AllowOOM | AllowCrossSlotKeys},
	} {
		s, err := e.Load([]byte(c.body), FromEval)
		if err != nil || s.Flags != c.want {
			t.Errorf("%q: %v, %v", c.body, s, err)
		}
	}
}

func TestLibraries(t *testing.T) {
	e := New(newServer())
	const reg = "Error registering functions: ERR "
	for _, c := range []struct{ code, want string }{
		{"return 1", "Missing library metadata"},
		{"#!lua", "Invalid library metadata"},
		{"#!lua\n", "Library name was not given"},
		{"#!lua name=a\n", "No functions registered"},
		{"#!js name=a\nx", "Engine 'js' not found"},
		{"#!lua name=a name=b\nx", "Invalid metadata value, name argument was given multiple times"},
		{"#!lua name=a foo=b\nx", "Invalid metadata value given: foo=b"},
		{"#!lua name=a-b\nx", errName},
		{"#!lua name=\nx", errName},
		{"#!lua name=\"lib4\nx", "Invalid library metadata"},
		{"#! lua name=x\nx", "Invalid metadata value given: lua"},
		{"#!lua name=a\nx x", "Error compiling function: user_function:2: '=' expected near 'x'"},
		{"#!lua name=a\nreturn pairs", reg + "user_function:2: Script attempted to access nonexistent global variable 'pairs'"},
		{"#!lua name=a\nredis.call('get','a')", reg + "user_function:2: Script attempted to access nonexistent global variable 'call'"},
		{"#!lua name=a\nx=5", reg + "user_function:2: Attempt to modify a readonly table"},
		{"#!lua name=a\nredis.x=5", reg + "user_function:2: Attempt to modify a readonly table"},
		{"#!lua name=a\nredis.register_function()", reg + "wrong number of arguments to redis.register_function"},
		{"#!lua name=a\nredis.register_function('f')", reg + "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."},
		{"#!lua name=a\nredis.register_function({})", reg + "redis.register_function must get a function name argument"},
		{"#!lua name=a\nredis.register_function('f',1)", reg + "second argument to redis.register_function must be a function"},
		{"#!lua name=a\nredis.register_function({},function() end)", reg + "first argument to redis.register_function must be a string"},
		{"#!lua name=a\nredis.register_function('f-g',function() end)", reg + errName},
		{"#!lua name=a\nredis.register_function('f',function() end) redis.register_function('f',function() end)", reg + "Function already exists in the library"},
		{"#!lua name=a\nredis.register_function{function_name='f',callback=5}", reg + "callback argument given to redis.register_function must be a function"},
		{"#!lua name=a\nredis.register_function{function_name='f',callback=function() end,flags=5}", reg + "flags argument to redis.register_function must be a table representing function flags"},
		{"#!lua name=a\nredis.register_function{function_name='f',callback=function() end,flags={'x'}}", reg + "unknown flag given"},
		{"#!lua name=a\nredis.register_function{function_name='f',callback=function() end,foo=1}", reg + "unknown argument given to redis.register_function"},
		{"#!lua name=a\nlocal t={} return t.x.y", reg + "user_function:2: attempt to index field 'x' (a nil value)"},
		{"#!lua name=a\nwhile true do end", reg + "FUNCTION LOAD timeout"},
	} {
		if _, err := e.LoadLibrary([]byte(c.code)); err == nil || err.Error() != c.want {
			t.Errorf("%q\n got %v\nwant %s", c.code, err, c.want)
		}
	}
	lib, err := e.LoadLibrary([]byte("#!LUA name=lib\n" + `local c = 0
redis.register_function('count', function() c = c + 1 return c end)
redis.register_function{function_name='args', callback=function(k,a) return {k,a,type(pairs)} end, flags={'no-writes','allow-oom'}, description='d'}
redis.register_function('keys', function() return KEYS end)
redis.register_function('boom', function() error('boom') end)
redis.register_function('again', function() redis.register_function('x', function() end) end)
redis.register_function('call', function() return redis.call('fail') end)`))
	if err != nil {
		t.Fatal(err)
	}
	if lib.Name != "lib" || len(lib.Functions) != 6 {
		t.Fatalf("%+v", lib)
	}
	if f := lib.Functions[1]; f.Name != "args" || f.Flags != NoWrites|AllowOOM || f.Description != "d" || !f.Described ||
		strings.Join(f.Flags.Names(), " ") != "no-writes allow-oom" {
		t.Errorf("%+v", f)
	}
	run := func(i int) string {
		w := &wire{}
		if err := e.RunFunction(lib.Functions[i], [][]byte{[]byte("k")}, [][]byte{[]byte("a")}, w); err != nil {
			return "-" + err.Error()
		}
		return string(w.buf)
	}
	for _, c := range []struct {
		i    int
		want string
	}{
		{0, ":1\r\n"}, {0, ":2\r\n"},
		{1, "*3\r\n*1\r\n$1\r\nk\r\n*1\r\n$1\r\na\r\n$8\r\nfunction\r\n"},
		{2, "-ERR user_function:5: Script attempted to access nonexistent global variable 'KEYS' script: keys, on @user_function:5."},
		{3, "-ERR user_function:6: boom script: boom, on @user_function:6."},
		{4, "-ERR user_function:7: attempt to call field 'register_function' (a nil value) script: again, on @user_function:7."},
		{5, "-WRONGTYPE Operation against a key holding the wrong kind of value script: call, on @user_function:8."},
	} {
		if got := run(c.i); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", lib.Functions[c.i].Name, got, c.want)
		}
	}
}

// A closure that runs while its library is loaded and again in a function sees other globals then, at the same instruction.
func TestGlobalsOfLoadedClosure(t *testing.T) {
	e := New(newServer())
	lib, err := e.LoadLibrary([]byte(`#!lua name=lib
local function kind() return redis.call end
local function global() return redis end
local loading = global()
redis.register_function('f', function() return {type(kind()), global() == loading and 1 or 0} end)`))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w := &wire{}
		if err := e.RunFunction(lib.Functions[0], nil, nil, w); err != nil {
			t.Fatal(err)
		}
		if got, want := string(w.buf), "*2\r\n$8\r\nfunction\r\n:0\r\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := e.LoadLibrary([]byte("#!lua name=bad\nredis.call('x')")); err == nil {
			t.Error("redis.call is there while a library is loaded")
		}
	}
}

// The reply of a call whose result nobody takes is not made into values, but an error is raised still.
func TestDiscardedReplies(t *testing.T) {
	e := New(newServer())
	for _, c := range []struct{ body, want string }{
		{`redis.call('set','a','b') redis.pcall('fail') return 1`, ":1\r\n"},
		{`redis.call('fail') return 1`, "-WRONGTYPE Operation against a key holding the wrong kind of value script: {sha}, on @user_script:1.\r\n"},
		{`redis.pcall() return 1`, ":1\r\n"},
		{`redis.call() return 1`, "-ERR Please specify at least one argument for this redis lib call script: {sha}, on @user_script:1.\r\n"},
		{`local t = {redis.call('echo','a'), redis.pcall('echo','b')} return t`, "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
		{`return select('#', redis.call('echo','a'))`, ":1\r\n"},
	} {
		if got := eval(e, c.body, false); got != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.body, got, c.want)
		}
	}
}

func TestCounted(t *testing.T) {
	e := New(newServer())
	for body, want := range map[string]bool{`return redis.call('fail')`: true, `error('x')`: false} {
		s, _ := e.Load([]byte(body), FromEval)
		err, ok := e.Run(s, nil, nil, nothing{}).(*Error)
		if !ok || err.Counted != want {
			t.Errorf("%s: %+v", body, err)
		}
	}
}

// KEYS and ARGV are what each call gives, whatever the last one did to them.
func TestKeysAreFresh(t *testing.T) {
	e := New(newServer())
	eval(e, `KEYS.x=1 KEYS[5]=2 KEYS[1]=nil setmetatable(KEYS,{__index=function() return 'ghost' end}) return 1`, false, "a", "b", "c")
	if got := eval(e, `return {#KEYS, KEYS[1], KEYS[2] or 'none', KEYS.x or 'none', KEYS[5] or 'none'}`, false, "d"); got !=
		"*5\r\n:1\r\n$1\r\nd\r\n$4\r\nnone\r\n$4\r\nnone\r\n$4\r\nnone\r\n" {
		t.Error(got)
	}
	if got := eval(e, `redis.call('echo', 1234) return KEYS[1] .. ARGV[1]`, false, "abcd"); got != "$8\r\nabcdabcd\r\n" {
		t.Error(got)
	}
	if got := eval(e, `return #_G['KEYS']`, false); got != ":0\r\n" {
		t.Error(got)
	}
}

// EVALSHA of one GET: the key's text, its string, and the value.
func TestAllocations(t *testing.T) {
	e := New(&fixed{})
	s, err := e.Load([]byte("return redis.call('get', KEYS[1])"), FromLoad)
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{[]byte("key")}
	sha := []byte(s.SHA)
	if n := testing.AllocsPerRun(1000, func() { e.Run(e.Find(sha), keys, nil, nothing{}) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
