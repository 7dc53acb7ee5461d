// Package cjson is the library cjson of scripts: Lua CJSON 2.1.0 as Redis 7.2.6 ships it (deps/lua/src/lua_cjson.c,
// where the facts come from). Its options last as long as the server: a script sees the options that an earlier script set.
package cjson

import (
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// config holds the options of one instance of the library. fill sets the defaults.
type config struct {
	sparseConvert  bool
	sparseRatio    int
	sparseSafe     int
	encodeMaxDepth int
	decodeMaxDepth int
	precision      int
	keepBuffer     bool
	encodeInvalid  int
	decodeInvalid  bool

	null *lua.LUserData
	// buf and values are scratch of encode and decode. A call takes them and sets the fields to nil, so that no values stay
	// alive if an error ends it early.
	buf    []byte
	values []lua.LValue
}

// keepScratch is the size from which on a scratch buffer is not kept for the next call.
const keepScratch = 64 << 10

// maxStack is the number of values that a C function may have on Lua's stack. The original keeps its state there, so this
// limits its recursion whatever the options say; the limit of depth is the same here.
const maxStack = 8000

// The values of encode_invalid_numbers.
const (
	invalidRefused = iota
	invalidPrinted
	invalidNull
)

// Open registers the library.
func Open(h *vm.Host) { fill(h, h.Library("cjson"), vm.NewLight()) }

// fill puts the functions of a new instance into t. All instances share null.
func fill(h *vm.Host, t *lua.LTable, null *lua.LUserData) {
	c := &config{
		sparseRatio: 2, sparseSafe: 10, encodeMaxDepth: 1000, decodeMaxDepth: 1000, precision: 14, keepBuffer: true,
		decodeInvalid: true, null: null,
	}
	for name, f := range map[string]lua.LGFunction{
		"encode":                  c.encode,
		"decode":                  c.decode,
		"encode_sparse_array":     c.setSparseArray,
		"encode_max_depth":        func(L *lua.LState) int { return integerOnly(L, &c.encodeMaxDepth, 1, math.MaxInt32) },
		"decode_max_depth":        func(L *lua.LState) int { return integerOnly(L, &c.decodeMaxDepth, 1, math.MaxInt32) },
		"encode_number_precision": func(L *lua.LState) int { return integerOnly(L, &c.precision, 1, 14) },
		"encode_keep_buffer":      func(L *lua.LState) int { return switchOnly(L, &c.keepBuffer) },
		"encode_invalid_numbers":  c.setInvalidNumbers,
		"decode_invalid_numbers":  func(L *lua.LState) int { return switchOnly(L, &c.decodeInvalid) },
		"new": func(L *lua.LState) int {
			t := vm.NewTable(0, 16)
			fill(h, t, null)
			L.Push(t)
			return 1
		},
	} {
		vm.SetString(t, name, h.Function(f))
	}
	vm.SetString(t, "null", null)
	vm.SetString(t, "_NAME", lua.LString("cjson"))
	vm.SetString(t, "_VERSION", lua.LString("2.1.0"))
}

// checkCount refuses more than n arguments.
func checkCount(L *lua.LState, n int) {
	if L.GetTop() > n {
		vm.ArgError(L, n+1, "found too many arguments")
	}
}

// integerOption sets *p to argument n, if it is given, and pushes the new *p.
func integerOption(L *lua.LState, n int, p *int, least, most int) {
	if !vm.NoneOrNil(L, n) {
		v := vm.CheckInt(L, n)
		if v < least || v > most {
			vm.ArgError(L, 1, fmt.Sprintf("expected integer between %d and %d", least, most))
		}
		*p = v
	}
	vm.PushNumber(L, float64(*p))
}

func integerOnly(L *lua.LState, p *int, least, most int) int {
	checkCount(L, 1)
	integerOption(L, 1, p, least, most)
	return 1
}

// choice reads argument n, a boolean or one of names, the first two of which are off and on. Without the argument it returns
// now.
func choice(L *lua.LState, n int, now int, names ...string) int {
	switch v := vm.Arg(L, n).(type) {
	case nil, *lua.LNilType:
		return now
	case lua.LBool:
		if v {
			return 1
		}
		return 0
	}
	text, _, _ := strings.Cut(vm.CheckString(L, n), "\x00")
	for i, name := range names {
		if text == name {
			return i
		}
	}
	vm.ArgError(L, n, "invalid option '"+text+"'")
	return 0
}

// switchOption sets *p to argument n, if it is given, and pushes the new *p.
func switchOption(L *lua.LState, n int, p *bool) {
	now := 0
	if *p {
		now = 1
	}
	*p = choice(L, n, now, "off", "on") == 1
	L.Push(lua.LBool(*p))
}

func switchOnly(L *lua.LState, p *bool) int {
	checkCount(L, 1)
	switchOption(L, 1, p)
	return 1
}

func (c *config) setSparseArray(L *lua.LState) int {
	checkCount(L, 3)
	for L.GetTop() < 3 { // A pushed result must not become an argument.
		L.Push(lua.LNil)
	}
	switchOption(L, 1, &c.sparseConvert)
	integerOption(L, 2, &c.sparseRatio, 0, math.MaxInt32)
	integerOption(L, 3, &c.sparseSafe, 0, math.MaxInt32)
	return 3
}

func (c *config) setInvalidNumbers(L *lua.LState) int {
	checkCount(L, 1)
	c.encodeInvalid = choice(L, 1, c.encodeInvalid, "off", "on", "null")
	if c.encodeInvalid == invalidNull {
		L.Push(lua.LString("null"))
	} else {
		L.Push(lua.LBool(c.encodeInvalid == invalidPrinted))
	}
	return 1
}
