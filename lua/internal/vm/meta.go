package vm

import (
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/libm"
)

// Metamethods. The absent bits of a metatable are the events that it is known not to have.

type event uint8

const (
	evIndex event = iota
	evNewindex
	evCall
	evEq
	evLt
	evLe
	evConcat
	evLen
	evUnm
	evAdd
	evSub
	evMul
	evDiv
	evMod
	evPow
	eventCount
)

var eventNames = [eventCount]string{"__index", "__newindex", "__call", "__eq", "__lt", "__le", "__concat", "__len",
	"__unm", "__add", "__sub", "__mul", "__div", "__mod", "__pow"}

// metatable returns the metatable of v, or nil.
func (h *Host) metatable(v lua.LValue) *lua.LTable {
	var mt lua.LValue
	switch v := v.(type) {
	case *lua.LTable:
		mt = v.Metatable
	case *lua.LUserData:
		mt = v.Metatable
	case lua.LString:
		return h.StringMeta
	}
	t, _ := mt.(*lua.LTable)
	return t
}

func fromMeta(mt *lua.LTable, e event) lua.LValue {
	m := tableOf(mt)
	if m.absent&(1<<e) != 0 {
		return lua.LNil
	}
	v := m.getString(eventNames[e])
	if v == lua.LNil {
		m.absent |= 1 << e
	}
	return v
}

func (h *Host) meta(v lua.LValue, e event) lua.LValue {
	if mt := h.metatable(v); mt != nil {
		return fromMeta(mt, e)
	}
	return lua.LNil
}

// Metatable returns the metatable of v, or nil.
func Metatable(L *lua.LState, v lua.LValue) *lua.LTable { return Of(L).metatable(v) }

// maxLoop is the limit of chains of __index and __newindex.
const maxLoop = 100

// Index returns v[k] with metamethods.
func Index(L *lua.LState, v, k lua.LValue) lua.LValue { return threadOf(L).index(v, k) }

func (t *Thread) index(v, k lua.LValue) lua.LValue {
	for i := range maxLoop {
		var m lua.LValue
		if tb, ok := v.(*lua.LTable); ok {
			if r := tableOf(tb).get(k); r != lua.LNil {
				return r
			}
			mt, ok := tb.Metatable.(*lua.LTable)
			if !ok {
				return lua.LNil
			}
			if m = fromMeta(mt, evIndex); m == lua.LNil {
				return lua.LNil
			}
		} else if m = t.h.meta(v, evIndex); m == lua.LNil {
			t.indexError(v, i == 0)
		}
		if f, ok := m.(*lua.LFunction); ok {
			return t.call1(f, v, k)
		}
		v = m
	}
	t.raise("loop in gettable")
	return nil
}

func (t *Thread) setIndex(v, k, val lua.LValue) {
	for i := range maxLoop {
		var m lua.LValue
		if tb, ok := v.(*lua.LTable); ok {
			x := tableOf(tb)
			if x.readonly {
				t.raise(ReadonlyText)
			}
			mt, has := tb.Metatable.(*lua.LTable)
			if has {
				if m = fromMeta(mt, evNewindex); m == lua.LNil || x.get(k) != lua.LNil {
					has = false
				}
			}
			if !has {
				switch n := k.(type) {
				case lua.LNumber:
					if n != n {
						t.raise("table index is NaN")
					}
					x.setNumber(float64(n), k, val)
				case lua.LString:
					x.setEntry(k, val)
				default:
					if k == lua.LNil {
						t.raise("table index is nil")
					}
					x.setEntry(k, val)
				}
				return
			}
		} else if m = t.h.meta(v, evNewindex); m == lua.LNil {
			t.indexError(v, i == 0)
		}
		if f, ok := m.(*lua.LFunction); ok {
			t.callN(f, 0, v, k, val)
			return
		}
		v = m
	}
	t.raise("loop in settable")
}

// Modulo is Lua 5.1's a % b.
func Modulo(a, b float64) float64 {
	if b > 0 && a >= 0 && a < 1<<53 && b < 1<<53 {
		if x, y := int64(a), int64(b); float64(x) == a && float64(y) == b {
			return float64(x % y)
		}
	}
	return a - math.Floor(a/b)*b
}

// Power is C's pow.
func Power(a, b float64) float64 {
	f := libm.Pow(a, b)
	if f != f {
		return MachineNaN(a, b)
	}
	return f
}

// MachineNaN returns the nan that the processor returns for operands: the first nan among them, else the negative one.
func MachineNaN(operands ...float64) float64 {
	for _, f := range operands {
		if f != f {
			return f
		}
	}
	return math.Copysign(NaN, -1)
}

func arithmetic(e event, a, b float64) float64 {
	switch e {
	case evAdd:
		return a + b
	case evSub:
		return a - b
	case evMul:
		return a * b
	case evDiv:
		return a / b
	case evMod:
		return Modulo(a, b)
	}
	return Power(a, b)
}

// arith computes a op b if one of them is not a number.
func (t *Thread) arith(e event, a, b lua.LValue) lua.LValue {
	if x, ok := ToNumber(a); ok {
		if y, ok := ToNumber(b); ok {
			return t.h.boxes.number(arithmetic(e, x, y))
		}
	}
	m := t.h.meta(a, e)
	if m == lua.LNil {
		m = t.h.meta(b, e)
	}
	if m == lua.LNil {
		t.arithError(a, b)
	}
	return t.call1(m, a, b)
}

func (t *Thread) unm(a lua.LValue) lua.LValue {
	if x, ok := ToNumber(a); ok {
		return t.h.boxes.number(-x)
	}
	m := t.h.meta(a, evUnm)
	if m == lua.LNil {
		t.arithError(a, a)
	}
	return t.call1(m, a, a)
}

func (t *Thread) length(a lua.LValue) lua.LValue {
	switch v := a.(type) {
	case *lua.LTable:
		return t.h.boxes.number(float64(len(tableOf(v).array)))
	case lua.LString:
		return t.h.boxes.number(float64(len(v)))
	}
	m := t.h.meta(a, evLen)
	if m == lua.LNil {
		first, _ := t.names()
		t.typeError("get length of", a, first)
	}
	return t.call1(m, a)
}

func (t *Thread) equal(a, b lua.LValue) bool {
	if a == b {
		return true
	}
	x, ok := a.(*lua.LTable)
	if !ok {
		return false
	}
	y, ok := b.(*lua.LTable)
	if !ok {
		return false
	}
	mx, ok := x.Metatable.(*lua.LTable)
	if !ok {
		return false
	}
	f := fromMeta(mx, evEq)
	if f == lua.LNil {
		return false
	}
	my, ok := y.Metatable.(*lua.LTable)
	if !ok || mx != my && fromMeta(my, evEq) != f {
		return false
	}
	return lua.LVAsBool(t.call1(f, a, b))
}

// order calls the metamethod that both operands share.
func (t *Thread) order(e event, a, b lua.LValue) (result, ok bool) {
	f := t.h.meta(a, e)
	if f == lua.LNil || f != t.h.meta(b, e) {
		return false, false
	}
	return lua.LVAsBool(t.call1(f, a, b)), true
}

// Less returns a < b with metamethods.
func Less(L *lua.LState, a, b lua.LValue) bool { return threadOf(L).less(a, b) }

func (t *Thread) less(a, b lua.LValue) bool {
	switch x := a.(type) {
	case lua.LNumber:
		if y, ok := b.(lua.LNumber); ok {
			return x < y
		}
	case lua.LString:
		if y, ok := b.(lua.LString); ok {
			return x < y
		}
	default:
		if a.Type() == b.Type() {
			if r, ok := t.order(evLt, a, b); ok {
				return r
			}
		}
	}
	t.compareError(a, b)
	return false
}

func (t *Thread) lessEqual(a, b lua.LValue) bool {
	switch x := a.(type) {
	case lua.LNumber:
		if y, ok := b.(lua.LNumber); ok {
			return x <= y
		}
	case lua.LString:
		if y, ok := b.(lua.LString); ok {
			return x <= y
		}
	default:
		if a.Type() == b.Type() {
			if r, ok := t.order(evLe, a, b); ok {
				return r
			}
			if r, ok := t.order(evLt, b, a); ok {
				return !r
			}
		}
	}
	t.compareError(a, b)
	return false
}

// concat returns v[0] .. v[1] ..  … of at least two values, which it may overwrite.
func (t *Thread) concat(v []lua.LValue) lua.LValue {
	for n := len(v); n > 1; n = len(v) {
		size, from := 0, n
		var scratch [32]byte
		for i := n - 1; i >= 0; i-- {
			switch x := v[i].(type) {
			case lua.LString:
				size += len(x)
			case lua.LNumber:
				size += len(AppendNumber(scratch[:0], float64(x)))
			default:
				i = -1
				continue
			}
			from = i
		}
		if n-from >= 2 {
			if size > MaxString {
				t.raise("string length overflow")
			}
			t.h.tick(min(size, Piece) >> 6)
			buf := make([]byte, 0, size)
			for _, x := range v[from:] {
				switch x := x.(type) {
				case lua.LString:
					buf = t.h.appendString(buf, string(x))
				case lua.LNumber:
					buf = AppendNumber(buf, float64(x))
				}
			}
			v = v[:from+1]
			v[from] = lua.LString(String(buf))
			continue
		}
		a, b := v[n-2], v[n-1]
		m := t.h.meta(a, evConcat)
		if m == lua.LNil {
			m = t.h.meta(b, evConcat)
		}
		if m == lua.LNil {
			t.concatError(a, b, n-2)
		}
		r := t.call1(m, a, b)
		v = v[:n-1]
		v[n-2] = r
	}
	return v[0]
}

// concatError raises the error of a .. b, the operands i and i+1 of the chain.
func (t *Thread) concatError(a, b lua.LValue, i int) {
	culprit := a
	switch a.(type) {
	case lua.LString, lua.LNumber:
		culprit = b
		i++
	}
	t.typeError("concatenate", culprit, t.frames[t.sp-1].operand(i))
}

// ToStringMeta returns the result of tostring(v).
func ToStringMeta(L *lua.LState, v lua.LValue) lua.LValue {
	t := threadOf(L)
	if mt := t.h.metatable(v); mt != nil {
		if m := GetString(mt, "__tostring"); m != lua.LNil {
			return t.call1(m, v)
		}
	}
	switch v := v.(type) {
	case lua.LString:
		return v
	case lua.LNumber:
		return lua.LString(FormatNumber(float64(v)))
	case lua.LBool:
		if v {
			return lua.LString("true")
		}
		return lua.LString("false")
	}
	if v == lua.LNil {
		return lua.LString("nil")
	}
	if _, ok := v.(*lua.LUserData); ok {
		return lua.LString("userdata: (nil)") // cjson.null is C's null pointer
	}
	return lua.LString(fmt.Sprintf("%s: 0x%012x", TypeName(v), uintptr(dataWord(v))))
}
