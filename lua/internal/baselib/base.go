// Package baselib has Lua 5.1's basic functions and its libraries table, math and coroutine, as Redis has them. They behave
// as in Lua 5.1.5 with Redis's changes: read-only tables, an own generator of random numbers, a pcall that returns the text
// of Redis's error tables.
package baselib

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Open registers the functions in h.
func Open(h *vm.Host) {
	h.Register("", map[string]lua.LGFunction{
		"assert": assert, "collectgarbage": collectGarbage, "error": raise, "gcinfo": gcInfo, "getmetatable": getMetatable,
		"ipairs": ipairs, "load": load, "loadstring": loadString, "next": next, "pairs": pairs, "pcall": pcall,
		"rawequal": rawEqual, "rawget": rawGet, "rawset": rawSet, "select": selectArgs, "setmetatable": setMetatable,
		"tonumber": toNumber, "tostring": toString, "type": typeOf, "unpack": unpack, "xpcall": xpcall,
	})
	h.SetNext(vm.GetString(h.Globals, "next").(*lua.LFunction))
	vm.SetString(h.Globals, "_VERSION", lua.LString("Lua 5.1"))
	openTable(h)
	openMath(h)
	openCoroutine(h)
}

func assert(L *lua.LState) int {
	if !lua.LVAsBool(vm.CheckAny(L, 1)) {
		vm.Errorf(L, "%s", vm.OptString(L, 2, "assertion failed!"))
	}
	return L.GetTop()
}

func raise(L *lua.LState) int {
	level := vm.OptInt(L, 2, 1)
	v := vm.Arg(L, 1)
	if v == nil {
		v = lua.LNil
	}
	if s, ok := vm.ToString(v); ok && level > 0 {
		v = lua.LString(vm.Where(L, level) + s)
	}
	vm.Raise(v)
	return 0
}

func collectGarbage(L *lua.LState) int {
	options := []string{"stop", "restart", "collect", "count", "step", "setpause", "setstepmul"}
	option := vm.OptString(L, 1, "collect")
	vm.OptInt(L, 2, 0)
	for _, o := range options {
		if o != option {
			continue
		}
		switch o {
		case "count":
			vm.PushNumber(L, vm.Of(L).MemoryKB())
		case "step":
			L.Push(lua.LFalse)
		case "setpause", "setstepmul":
			vm.PushNumber(L, 200)
		default:
			vm.PushNumber(L, 0)
		}
		return 1
	}
	vm.ArgError(L, 1, "invalid option '"+option+"'")
	return 0
}

func gcInfo(L *lua.LState) int {
	vm.PushNumber(L, float64(int(vm.Of(L).MemoryKB())))
	return 1
}

func getMetatable(L *lua.LState) int {
	v := vm.CheckAny(L, 1)
	mt := vm.Metatable(L, v)
	if mt == nil {
		L.Push(lua.LNil)
		return 1
	}
	if p := vm.GetString(mt, "__metatable"); p != lua.LNil {
		L.Push(p)
	} else {
		L.Push(mt)
	}
	return 1
}

func setMetatable(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	mt := vm.Arg(L, 2)
	if _, ok := mt.(*lua.LTable); !ok && mt != lua.LNil {
		vm.ArgError(L, 2, "nil or table expected")
	}
	if old := vm.Metatable(L, t); old != nil && vm.GetString(old, "__metatable") != lua.LNil {
		vm.Errorf(L, "cannot change a protected metatable")
	}
	if vm.Readonly(t) {
		vm.Raise(lua.LString(vm.ReadonlyText))
	}
	t.Metatable = mt
	L.SetTop(1)
	return 1
}

func ipairsNext(L *lua.LState) int {
	i := vm.CheckInt(L, 2) + 1
	t := vm.CheckTable(L, 1)
	v := vm.GetInt(t, i)
	if v == lua.LNil {
		return 0
	}
	vm.PushNumber(L, float64(i))
	L.Push(v)
	return 2
}

func ipairs(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	L.Push(vm.Of(L).Hidden("ipairs", ipairsNext))
	L.Push(t)
	vm.PushNumber(L, 0)
	return 3
}

func next(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	k := vm.Arg(L, 2)
	if k == nil {
		k = lua.LNil
	}
	k, v, ok := vm.NextKey(L, t, k)
	if !ok {
		vm.Raise(lua.LString("invalid key to 'next'"))
	}
	if k == lua.LNil {
		L.Push(k)
		return 1
	}
	L.Push(k)
	L.Push(v)
	return 2
}

func pairs(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	L.Push(vm.Of(L).NextFunction())
	L.Push(t)
	L.Push(lua.LNil)
	return 3
}

// pcall returns the text of an error table that Redis made, not the table.
func pcall(L *lua.LState) int {
	if L.GetTop() == 0 {
		// Without arguments Redis's pcall calls the value true, which it has pushed as a result already.
		L.Push(lua.LTrue)
	}
	n, err := vm.PCall(L, L.GetTop()-1, nil)
	if err != nil {
		v := err.Value
		if t, ok := v.(*lua.LTable); ok {
			e := vm.GetString(t, "err")
			if _, ok := vm.ToString(e); ok {
				v = e
			}
		}
		L.Push(lua.LFalse)
		L.Push(v)
		return 2
	}
	L.Insert(lua.LTrue, 1)
	return n + 1
}

func xpcall(L *lua.LState) int {
	handler := vm.CheckAny(L, 2)
	L.SetTop(1)
	n, err := vm.PCall(L, 0, func(v lua.LValue) lua.LValue {
		if _, ok := handler.(*lua.LFunction); !ok {
			vm.Raise(v)
		}
		return vm.Call1(L, handler, v)
	})
	if err != nil {
		L.Push(lua.LFalse)
		L.Push(err.Value)
		return 2
	}
	L.Insert(lua.LTrue, 1)
	return n + 1
}

func rawEqual(L *lua.LState) int {
	a, b := vm.CheckAny(L, 1), vm.CheckAny(L, 2)
	L.Push(lua.LBool(a == b))
	return 1
}

func rawGet(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	L.Push(vm.Get(t, vm.CheckAny(L, 2)))
	return 1
}

func rawSet(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	k, v := vm.CheckAny(L, 2), vm.CheckAny(L, 3)
	if vm.Readonly(t) {
		vm.Raise(lua.LString(vm.ReadonlyText))
	}
	if k == lua.LNil {
		vm.Raise(lua.LString("table index is nil"))
	}
	if n, ok := k.(lua.LNumber); ok && n != n {
		vm.Raise(lua.LString("table index is NaN"))
	}
	vm.Set(t, k, v)
	L.SetTop(1)
	return 1
}

func selectArgs(L *lua.LState) int {
	n := L.GetTop()
	if s, ok := vm.Arg(L, 1).(lua.LString); ok && strings.HasPrefix(string(s), "#") {
		vm.PushNumber(L, float64(n-1))
		return 1
	}
	i := vm.CheckInt(L, 1)
	if i < 0 {
		i = n + i
	} else if i > n {
		i = n
	}
	if i < 1 {
		vm.ArgError(L, 1, "index out of range")
	}
	return n - i
}

func toNumber(L *lua.LState) int {
	base := vm.OptInt(L, 2, 10)
	if base == 10 {
		if f, ok := vm.ToNumber(vm.CheckAny(L, 1)); ok {
			vm.PushNumber(L, f)
		} else {
			L.Push(lua.LNil)
		}
		return 1
	}
	s := vm.CheckString(L, 1)
	if base < 2 || base > 36 {
		vm.ArgError(L, 2, "base out of range")
	}
	if f, ok := parseBase(s, base); ok {
		vm.PushNumber(L, f)
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

// parseBase reads an integer like C's strtoul: a minus sign makes it wrap, and one that is too large becomes the largest.
func parseBase(s string, base int) (float64, bool) {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.Trim(s, " \t\n\v\f\r")
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if base == 16 && len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		s = s[2:]
	}
	if s == "" {
		return 0, false
	}
	var n uint64
	overflow := false
	for i := 0; i < len(s); i++ {
		c, d := s[i], 99
		switch {
		case c >= '0' && c <= '9':
			d = int(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			d = int(c|0x20-'a') + 10
		}
		if d >= base {
			return 0, false
		}
		if n > (1<<64-1-uint64(d))/uint64(base) {
			overflow = true
		}
		n = n*uint64(base) + uint64(d)
	}
	if overflow {
		n = 1<<64 - 1
	} else if neg {
		n = -n
	}
	return float64(n), true
}

func toString(L *lua.LState) int {
	L.Push(vm.ToStringMeta(L, vm.CheckAny(L, 1)))
	return 1
}

func typeOf(L *lua.LState) int {
	L.Push(lua.LString(vm.TypeName(vm.CheckAny(L, 1))))
	return 1
}

func unpack(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	i := vm.OptInt(L, 2, 1)
	e := vm.OptInt(L, 3, vm.Len(t))
	if i > e {
		return 0
	}
	n := e - i + 1
	if n <= 0 || n >= 1<<31 || !vm.HasStack(L, n) {
		vm.Errorf(L, "too many results to unpack")
	}
	for ; i <= e; i++ {
		L.Push(vm.GetInt(t, i))
	}
	return n
}

func loadString(L *lua.LState) int {
	src := vm.CheckString(L, 1)
	vm.Tick(L, len(src))
	return load2(L, src, nil, vm.OptString(L, 2, src))
}

func load(L *lua.LState) int {
	name := vm.OptString(L, 2, "=(load)")
	f := vm.CheckFunction(L, 1)
	return load2(L, "", func() string {
		v := vm.Call1(L, f)
		if v == lua.LNil {
			return ""
		}
		s, ok := vm.ToString(v)
		if !ok {
			vm.Errorf(L, "reader function must return a string")
		}
		vm.Tick(L, len(s))
		return s
	}, name)
}

// load2 compiles src and the pieces that more returns, and pushes a function, or nil and the text of the error.
func load2(L *lua.LState, src string, more func() string, name string) int {
	var fn *lua.LFunction
	var err error
	_, raised := vm.Protect(L, func() { fn, err = vm.Of(L).LoadPieces(src, more, name) })
	switch {
	case raised != nil:
		L.Push(lua.LNil)
		L.Push(raised.Value)
		return 2
	case err != nil:
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}
