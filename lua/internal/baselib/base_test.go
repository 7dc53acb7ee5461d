package baselib

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

func newHost() *vm.Host {
	h := vm.NewHost()
	Open(h)
	return h
}

// eval runs src and returns its results as tostring shows them, or the error's text.
func eval(h *vm.Host, src string) string {
	results, err := h.Eval(src)
	if err != nil {
		return "error: " + err.Error()
	}
	var texts []string
	for _, v := range results {
		switch v := v.(type) {
		case lua.LString:
			texts = append(texts, string(v))
		case lua.LNumber:
			texts = append(texts, vm.FormatNumber(float64(v)))
		default:
			texts = append(texts, v.String())
		}
	}
	return strings.Join(texts, " ")
}

func TestPrograms(t *testing.T) {
	h := newHost()
	for _, c := range []struct{ src, want string }{
		{`return 1+1`, "2"},
		{`local a,b=1,2 a,b=b,a return a,b`, "2 1"},
		{`local t={} local i=1 i,t[i]=i+1,20 return i,t[1]`, "2 20"},
		{`local function f(n) if n<2 then return n end return f(n-1)+f(n-2) end return f(20)`, "6765"},
		{`local x=0 for i=1,100 do x=x+i end return x`, "5050"},
		{`local t={} for i=1,10 do t[#t+1]=i end local s='' for k,v in ipairs(t) do s=s..v..',' end return s`, "1,2,3,4,5,6,7,8,9,10,"},
		{`local t={a=1,b=2} local n=0 for k,v in pairs(t) do n=n+v end return n`, "3"},
		{`return pcall(function() error('x') end)`, "false user_script:1: x"},
		{`return pcall(error, {err='z'})`, "false z"},
		{`local co=coroutine.wrap(function(a) local b=coroutine.yield(a+1) return b*2 end) return co(1), co(5)`, "2 10"},
		{`local t=setmetatable({},{__index=function(t,k) return k..'!' end}) return t.x`, "x!"},
		{`local t={} for i=1,5 do t[i]=function() return i end end return t[1](),t[5]()`, "1 5"},
		{`return select('#',nil,nil), (select(2,'a','b','c'))`, "2 b"},
		{`local function f(...) return ... end return f(1,2,3)`, "1 2 3"},
		{`local function f(...) return arg.n, arg[2] end return f(1,2,3)`, "3 2"},
		{`return x.y`, "error: user_script:1: attempt to index global 'x' (a nil value)"},
		{`local x x.y=1`, "error: user_script:1: attempt to index local 'x' (a nil value)"},
		{`local x={} x.y.z=1`, "error: user_script:1: attempt to index field 'y' (a nil value)"},
		{`local x={} x:foo()`, "error: user_script:1: attempt to call method 'foo' (a nil value)"},
		{`local x x:foo()`, "error: user_script:1: attempt to index local 'x' (a nil value)"},
		{`local x={} return x+1`, "error: user_script:1: attempt to perform arithmetic on local 'x' (a table value)"},
		{`local x={} return 'a'..x.y`, "error: user_script:1: attempt to concatenate field 'y' (a nil value)"},
		{`return 1<'2'`, "error: user_script:1: attempt to compare number with string"},
		{`return #5`, "error: user_script:1: attempt to get length of a number value"},
		{`return tostring(nil)..1e15 ..0.1 ..-0`, "nil1e+150.1-0"},
		{`return '10'+5, '0x10'*2, 7%-3, 2^10, -7%3`, "15 32 -2 1024 2"},
		{`local t={5,3,9,1} table.sort(t) return table.concat(t,' ')`, "1 3 5 9"},
		{`local t={5,3,9,1} table.sort(t,function(a,b) return a>b end) return table.concat(t,' ')`, "9 5 3 1"},
		{`return unpack({1,2,3},2)`, "2 3"},
		{`return tonumber('ff',16), tonumber('zz',36), tonumber('8',8)`, "255 1295 nil"},
		{`math.randomseed(5) return math.random(1000), math.random(1000)`, "525 273"},
		{`return loadstring('return 5')()`, "5"},
		{`return loadstring('x x')`, "nil [string \"x x\"]:1: '=' expected near 'x'"},
		{`for i=3,1,-1 do if i==2 then return i end end`, "2"},
		{`repeat local x=1 until x==1 return 'ok'`, "ok"},
		{`local s=0 for i=1,3 do for j=1,3 do if j==2 then break end s=s+1 end end return s`, "3"},
		{`return (function(...) return select('#',...) end)(unpack({},1,200))`, "200"},
		{`local function f() return f() end return pcall(string)`, "false attempt to call a nil value"},
		{`return ipairs()`, "error: user_script:1: bad argument #1 to 'ipairs' (table expected, got no value)"},
		{`local a=1 local function f() a=a+1 return a end f() f() return a`, "3"},
		{`return not nil, not 0, 1 and 2, nil or 3, false and 1`, "true false 2 3 false"},
		{`local t={1,2,3,nil,5} return #t`, "5"},
		{`local t={n=1,[5]=2,'a','b'} return t[1],t[2],t[5],t.n`, "a b 2 1"},
		{`local t = {} t[1]=1 t[2]=2 t[3]=3 t[#t]=nil t[#t]=nil return #t, next(t)`, "1 1 1"},
		{"return [[\nabc]]", "abc"},
		{`return "\65\n\x"`, "A\nx"},
		{`local f = function() return f end return f()`, "nil"},
		{`local function f(x) x = tostring(x) return x end return f(5)`, "5"},
		{`local a = {} a.b = {} function a.b:c(x) return self == a.b, x end return a.b:c(3)`, "true 3"},
		{`local a = 5; a = a == 5 and 'y' or 'n' return a`, "y"},
		{`local i = 1 while true do i = i * 2 if i > 100 then break end end return i`, "128"},
	} {
		if got := eval(h, c.src); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.src, got, c.want)
		}
	}
}

// Lua 5.1 has 250 registers a function, the compiler 200: calls with many arguments work all the same.
func TestManyArguments(t *testing.T) {
	h := newHost()
	list := func(n int) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(i + 1))
		}
		return b.String()
	}
	locals := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "local v%d = %d ", i, i)
		}
		return b.String()
	}
	for _, c := range []struct{ src, want string }{
		{"return select('#', " + list(240) + ")", "240"},
		{"return (select(200, " + list(240) + "))", "200"},
		{"return select('#', " + list(230) + ", nil)", "231"},
		{"return select('#', nil, " + list(230) + ", unpack({1, 2, 3}))", "234"},
		{"return select('#', " + list(230) + ", (unpack({1, 2, 3})))", "231"},
		{"return select('#', " + list(220) + ", unpack({1, 2, 3}), unpack({1, 2, 3}))", "224"},
		{"local function f(...) return select('#', " + list(220) + ", ...) end return f(1, 2), f()", "222 220"},
		{"local function f(...) return select('#', " + list(220) + ", (...)) end return f(1, 2), f()", "221 221"},
		{"local t = {f = function(self, ...) return select('#', ...) end} return t:f(" + list(240) + ")", "240"},
		{"return select('#', " + list(150) + ", select('#', " + list(90) + "))", "151"},
		{locals(140) + "return math.max(" + list(60) + ", v139)", "139"},
		{"return pcall(math.min, " + list(210) + ")", "true 1"},
		{"return math.floor(nil, " + list(210) + ")", "error: user_script:1: bad argument #1 to 'floor' (number expected, got nil)"},
	} {
		if got := eval(h, c.src); got != c.want {
			t.Errorf("%.60s…\ngot  %s\nwant %s", c.src, got, c.want)
		}
	}
}
