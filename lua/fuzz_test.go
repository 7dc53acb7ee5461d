package lua

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// FuzzParse compiles any text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"return 1", "x = = 1", "for i=1,2 do end", "local a,b=b,a", "return [==[a]==]", "#!lua\nreturn 'a\\065'"} {
		f.Add([]byte(s))
	}
	for i := range uint64(20) {
		f.Add([]byte(program(rand.New(rand.NewPCG(7, i)))))
	}
	e := New(newServer())
	f.Fuzz(func(t *testing.T, src []byte) {
		e.Load(src, FromEval)
	})
}

// FuzzRun runs any text for a bounded number of steps: whatever it does, the engine stays whole.
func FuzzRun(f *testing.F) {
	for i := range uint64(40) {
		f.Add([]byte(program(rand.New(rand.NewPCG(8, i)))))
	}
	for _, b := range benchScripts {
		f.Add([]byte(b.body))
	}
	r := newStepped()
	f.Fuzz(func(t *testing.T, src []byte) { r.run(t, src) })
}

// FuzzLibraries runs programs that call functions of all libraries in any order, with values that are hard to digest and
// with the results of calls before. The bytes of the input choose.
func FuzzLibraries(f *testing.F) {
	for i := range uint64(40) {
		r := rand.New(rand.NewPCG(9, i))
		data := make([]byte, 20+r.IntN(200))
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		f.Add(data)
	}
	r := newStepped()
	f.Fuzz(func(t *testing.T, data []byte) { r.run(t, []byte(calls(data))) })
}

// stepped is an engine whose scripts are ended after a number of steps. Each look at its clock is a millisecond, and it
// looks once every 20,000 steps.
type stepped struct {
	*Engine
	clock time.Time
}

const (
	steppedLooks = 20
	// steppedMemory bounds the heap's growth in a run; what a single step may allocate comes on top.
	steppedMemory = 256 << 20
	steppedSlack  = 1300 << 20
)

func newStepped() *stepped {
	r := &stepped{Engine: New(newServer())}
	r.Now = func() time.Time { r.clock = r.clock.Add(time.Millisecond); return r.clock }
	r.MemoryLimit = steppedMemory
	r.Pace = Pace{After: steppedLooks * time.Millisecond, Every: time.Second, Slow: func() { r.Kill("enough") }}
	return r
}

// run runs src: no panic, no memory beyond the bound, and the next script finds the engine whole.
func (r *stepped) run(t *testing.T, src []byte) {
	s, err := r.Load(src, FromEval)
	if err != nil {
		return
	}
	err = r.Run(s, [][]byte{[]byte("k"), []byte("none")}, [][]byte{[]byte("5"), []byte("x\x00\xff")}, &wire{})
	if err != nil && strings.HasPrefix(err.Error(), "ERR internal error") {
		t.Fatalf("%v\n%s", err, src)
	}
	if r.heapBytes() > steppedSlack {
		runtime.GC()
		if n := r.heapBytes(); n > steppedMemory+steppedSlack/2 {
			t.Fatalf("%d MB are in use after\n%s", n>>20, src)
		}
	}
	if got := eval(r.Engine, "return {1, string.rep('a', 3), cjson.encode({1}), redis.call('echo', 'b')}", false); got !=
		"*4\r\n:1\r\n$3\r\naaa\r\n$3\r\n[1]\r\n$1\r\nb\r\n" {
		t.Fatalf("%q after\n%s", got, src)
	}
}

var fuzzFunctions = []string{
	"string.byte", "string.char", "string.find", "string.format", "string.gmatch", "string.gsub", "string.len", "string.lower",
	"string.match", "string.rep", "string.reverse", "string.sub", "string.upper", "string.dump", "table.concat",
	"table.insert", "table.remove", "table.sort", "table.maxn", "table.getn", "table.foreach", "table.foreachi", "math.floor",
	"math.fmod", "math.random", "math.max", "math.ldexp", "math.frexp", "math.modf", "cjson.encode", "cjson.decode",
	"cjson.encode_max_depth", "cjson.decode_max_depth", "cjson.encode_sparse_array", "cjson.encode_number_precision",
	"cjson.encode_keep_buffer", "cjson.new", "cmsgpack.pack", "cmsgpack.unpack", "cmsgpack.unpack_one", "cmsgpack.unpack_limit",
	"struct.pack", "struct.unpack", "struct.size", "bit.tobit", "bit.bnot", "bit.lshift", "bit.rol", "bit.bswap", "bit.tohex",
	"pcall", "xpcall", "error", "assert", "select", "unpack", "next", "pairs", "ipairs", "rawget", "rawset", "rawequal",
	"setmetatable", "getmetatable", "tostring", "tonumber", "type", "load", "loadstring", "collectgarbage", "coroutine.create",
	"coroutine.resume", "coroutine.wrap", "coroutine.yield", "coroutine.status", "coroutine.running", "redis.call", "redis.pcall",
	"redis.sha1hex", "redis.error_reply", "redis.status_reply", "redis.setresp", "redis.log", "redis.acl_check_cmd",
	"redis.set_repl",
}

var fuzzValues = []string{
	"nil", "true", "false", "0", "-1", "1", "2", "3", "0.5", "1e15", "-1e300", "1/0", "0/0", "2^31", "2^53", "-2^63", "''",
	"'a'", "'%a+'", "'(%w*)(.-)%1'", "'%5.2f %s %q %d'", "'>I4s<b!8d'", "'\\0\\255x'", "string.rep('ab', 5000)", "string.rep('(', 300)",
	"'[1,{\"a\":null},1e999]'", "'\\220\\255\\255\\255\\255'", "'\\223\\127\\255\\255\\255'", "'set'", "'get'", "'nested'", "'fail'",
	"{}", "{1,2,3}", "{1,nil,3}", "{a=1,b={c={}}}", "{[1e9]=1}", "loop", "meta", "deep", "f", "g",
	"v1", "v2", "v3", "KEYS", "ARGV", "_G", "cjson.null", "cjson.empty_array", "co", "string", "function(...) return ... end",
	"print", "select('#')", "math.huge",
}

// calls makes the program that data chooses.
func calls(data []byte) string {
	var b strings.Builder
	b.WriteString(`local v1, v2, v3 = 1, 'two', {3}
local loop = {} loop.loop = loop loop[1] = loop
local deep = {} for i = 1, 2000 do deep = {deep} end
local f = function(a, ...) return a, ... end
local g = function(a) error({err = tostring(a)}) end
local meta = setmetatable({}, {__index = f, __newindex = f, __call = f, __tostring = f, __concat = f, __eq = f, __lt = f, __add = f, __unm = f, __len = f})
local co = coroutine.create(function(...) while true do coroutine.yield(...) end end)
local ok
`)
	at := 0
	choose := func(list []string) string {
		if at >= len(data) {
			return list[0]
		}
		at++
		return list[int(data[at-1])%len(list)]
	}
	for n := 0; at < len(data) && n < 60; n++ {
		call := choose(fuzzFunctions)
		args := make([]string, 0, 4)
		if at < len(data) {
			at++
			for range data[at-1] % 5 {
				args = append(args, choose(fuzzValues))
			}
		}
		list := strings.Join(args, ", ")
		v := choose([]string{"v1", "v2", "v3"})
		switch choose([]string{"pcall", "call", "loop", "ops", "for", "callback", "protected"}) {
		case "call":
			fmt.Fprintf(&b, "ok, %s = pcall(function(...) return %s(%s) end)\n", v, call, list)
		case "loop":
			fmt.Fprintf(&b, "for i = 1, 5 do ok, %s = pcall(%s%s) end\n", v, call, after(list))
		case "ops":
			fmt.Fprintf(&b, "ok, %s = pcall(function() return %s %s %s end)\n", v, choose(fuzzValues),
				choose([]string{"+", "..", "<", "==", "%", "^", "and", "or", "<="}), choose(fuzzValues))
		case "for":
			fmt.Fprintf(&b, "pcall(function() for k, x in %s(%s) do %s = k end end)\n", call, list, v)
		case "callback":
			fmt.Fprintf(&b, "pcall(string.gsub, %s, %s, %s)\npcall(table.sort, %s, %s)\n", choose(fuzzValues), choose(fuzzValues),
				call, choose(fuzzValues), call)
		default:
			fmt.Fprintf(&b, "ok, %s = pcall(%s%s)\n", v, call, after(list))
		}
	}
	b.WriteString("return {v1, v2, v3}\n")
	return b.String()
}

func after(list string) string {
	if list == "" {
		return ""
	}
	return ", " + list
}

// Random programs run, and the engine stays whole. TestOracleRandom compares their results.
func TestRandomPrograms(t *testing.T) {
	e := New(newServer())
	for i := range uint64(500) {
		src := program(rand.New(rand.NewPCG(3, i)))
		if got := eval(e, src, false); got[0] != '$' {
			t.Fatalf("program %d: %q\n%s", i, got, src)
		}
	}
}
