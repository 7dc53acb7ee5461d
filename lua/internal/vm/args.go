package vm

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// TypeName returns the result of type(v).
func TypeName(v lua.LValue) string {
	if v == nil {
		return "no value"
	}
	return v.Type().String()
}

// Arg returns argument n, or a Go nil if the caller passed fewer.
func Arg(L *lua.LState, n int) lua.LValue {
	s := layoutOf(L)
	if i := s.currentFrame.LocalBase + n - 1; i < s.reg.top {
		return s.reg.array[i]
	}
	return nil
}

// Discarded reports whether the caller of the running function discards its results.
func Discarded(L *lua.LState) bool { return layoutOf(L).currentFrame.NRet == 0 }

// None reports whether the caller passed fewer than n arguments.
func None(L *lua.LState, n int) bool { return Arg(L, n) == nil }

// NoneOrNil reports whether argument n is absent or nil.
func NoneOrNil(L *lua.LState, n int) bool {
	v := Arg(L, n)
	return v == nil || v == lua.LNil
}

// ArgError raises "bad argument #n to 'name' (text)", with the name by which the caller called the function.
func ArgError(L *lua.LState, n int, text string) {
	kind, name := threadOf(L).callName(0)
	if kind == "method" {
		n--
		if n == 0 {
			Errorf(L, "calling '%s' on bad self (%s)", name, text)
		}
	}
	if name == "" {
		name = "?"
	}
	Errorf(L, "bad argument #%d to '%s' (%s)", n, name, text)
}

// TypeError raises "bad argument #n to 'name' (want expected, got …)".
func TypeError(L *lua.LState, n int, want string) {
	ArgError(L, n, want+" expected, got "+TypeName(Arg(L, n)))
}

// CheckAny returns argument n, which may be nil but must be passed.
func CheckAny(L *lua.LState, n int) lua.LValue {
	v := Arg(L, n)
	if v == nil {
		ArgError(L, n, "value expected")
	}
	return v
}

// CheckTable returns argument n, a table.
func CheckTable(L *lua.LState, n int) *lua.LTable {
	t, ok := Arg(L, n).(*lua.LTable)
	if !ok {
		TypeError(L, n, "table")
	}
	return t
}

// CheckWritable returns argument n, a table that scripts may change.
func CheckWritable(L *lua.LState, n int) *lua.LTable {
	t := CheckTable(L, n)
	if tableOf(t).readonly {
		Raise(lua.LString(ReadonlyText))
	}
	return t
}

// ReadonlyText is the error of an assignment to a read-only table.
const ReadonlyText = "Attempt to modify a readonly table"

// CheckFunction returns argument n, a function.
func CheckFunction(L *lua.LState, n int) *lua.LFunction {
	f, ok := Arg(L, n).(*lua.LFunction)
	if !ok {
		TypeError(L, n, "function")
	}
	return f
}

// CheckString returns argument n, a string or a number.
func CheckString(L *lua.LState, n int) string {
	switch v := Arg(L, n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return FormatNumber(float64(v))
	}
	TypeError(L, n, "string")
	return ""
}

// OptString is CheckString, or def where the argument is absent or nil.
func OptString(L *lua.LState, n int, def string) string {
	if NoneOrNil(L, n) {
		return def
	}
	return CheckString(L, n)
}

// CheckNumber returns argument n, a number or a string that can be converted to one.
func CheckNumber(L *lua.LState, n int) float64 {
	switch v := Arg(L, n).(type) {
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		if f, ok := ParseNumber(string(v)); ok {
			return f
		}
	}
	TypeError(L, n, "number")
	return 0
}

// CheckInteger is CheckNumber cut to 64 bits (luaL_checkinteger; see ToInteger).
func CheckInteger(L *lua.LState, n int) int64 { return ToInteger(CheckNumber(L, n)) }

// OptInteger is CheckInteger, or def where the argument is absent or nil.
func OptInteger(L *lua.LState, n int, def int64) int64 {
	if NoneOrNil(L, n) {
		return def
	}
	return CheckInteger(L, n)
}

// CheckInt is CheckInteger cut to 32 bits, as luaL_checkint is in C.
func CheckInt(L *lua.LState, n int) int { return int(int32(CheckInteger(L, n))) }

// OptInt is CheckInt, or def where the argument is absent or nil.
func OptInt(L *lua.LState, n, def int) int {
	if NoneOrNil(L, n) {
		return def
	}
	return CheckInt(L, n)
}

// CheckStack makes room for n more pushed values, or raises "stack overflow (text)". Without a call each function has room
// for MinStack.
func CheckStack(L *lua.LState, n int, text string) {
	t := threadOf(L)
	if n > maxCStack || t.reg.top-layoutOf(L).currentFrame.LocalBase+n > maxCStack {
		Errorf(L, "stack overflow (%s)", text)
	}
	t.ensure(t.reg.top + n)
}

// HasStack makes room for n more pushed values. It returns false if that exceeds the 8,000 of a C function.
func HasStack(L *lua.LState, n int) bool {
	t := threadOf(L)
	if n > maxCStack || t.reg.top-layoutOf(L).currentFrame.LocalBase+n > maxCStack {
		return false
	}
	t.ensure(t.reg.top + n)
	return true
}

const (
	// MinStack is the number of values that a function may push without CheckStack.
	MinStack = 20
	// maxCStack is Lua's limit of values on the stack of one C function.
	maxCStack = 8000
	// MaxString is the length from which on a string is refused.
	MaxString = 512 << 20
)

// CheckLength raises an error if a result of n bytes is longer than MaxString.
func CheckLength(L *lua.LState, n int) {
	if n < 0 || n > MaxString {
		panic(&Error{Value: lua.LString("not enough memory")})
	}
}

// Piece is the number of bytes of a string that are copied, compared or changed between two ticks.
const Piece = 256 << 10

// AppendString appends s to dst, with ticks if s is long.
func AppendString(L *lua.LState, dst []byte, s string) []byte {
	return threadOf(L).h.appendString(dst, s)
}

func (h *Host) appendString(dst []byte, s string) []byte {
	for len(s) > Piece {
		dst = append(dst, s[:Piece]...)
		s = s[Piece:]
		h.tick(Piece >> 5)
	}
	return append(dst, s...)
}

// Errorf raises an error with the position of the code that called the function (luaL_error).
func Errorf(L *lua.LState, format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	panic(&Error{Value: lua.LString(Where(L, 1) + text)})
}

// Raise raises v as it is.
func Raise(v lua.LValue) { panic(&Error{Value: v}) }

// Number returns f as an LValue; it is cheaper than converting lua.LNumber(f).
func Number(L *lua.LState, f float64) lua.LValue { return threadOf(L).h.boxes.number(f) }

// PushNumber pushes f.
func PushNumber(L *lua.LState, f float64) { L.Push(threadOf(L).h.boxes.number(f)) }
