package cmsgpack

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

func (l *library) unpack(L *lua.LState) int { return l.unpackFrom(L, 0, 0) }

func (l *library) unpackOne(L *lua.LState) int {
	offset := vm.OptInteger(L, 2, 0)
	L.SetTop(min(L.GetTop(), 1))
	return l.unpackFrom(L, 1, offset)
}

func (l *library) unpackLimit(L *lua.LState) int {
	limit := vm.CheckInteger(L, 2)
	offset := vm.OptInteger(L, 3, 0)
	L.SetTop(min(L.GetTop(), 1))
	return l.unpackFrom(L, limit, offset)
}

// unpackFrom pushes the offset behind the last unpacked value (-1 at the end), then at most limit values from offset on. If
// both are 0 it pushes all values and no offset.
func (l *library) unpackFrom(L *lua.LState, limit, offset int64) int {
	s := vm.CheckString(L, 1)
	switch {
	case offset < 0 || limit < 0:
		vm.Errorf(L, "Invalid request to unpack with offset of %d and limit of %d.", int32(offset), int32(len(s)))
	case offset > int64(len(s)):
		vm.Errorf(L, "Start offset %d greater than input length %d.", int32(offset), len(s))
	}
	all := limit == 0 && offset == 0
	if all {
		limit = math.MaxInt32
	}
	u := unpacker{L: L, s: s, pos: int(offset), values: l.values[:0]}
	l.values = nil
	top := L.GetTop()
	for u.pos < len(s) && int64(len(u.values)) < limit {
		u.push(u.value(top + len(u.values)))
	}
	n := len(u.values)
	if all {
		vm.CheckStack(L, n, "in function mp_unpack_full")
	} else {
		vm.CheckStack(L, n+1, "in function mp_unpack_full")
		next := float64(u.pos)
		if u.pos == len(s) {
			next = -1
		}
		vm.PushNumber(L, next)
		n++
	}
	for _, v := range u.values {
		L.Push(v)
	}
	if cap(u.values) <= keepScratch/16 {
		clear(u.values)
		l.values = u.values
	}
	return n
}

// unpacker reads values from s at pos.
type unpacker struct {
	L   *lua.LState
	s   string
	pos int
	// values has the results, then the elements so far of the arrays and maps that are being read: a table is made when its
	// contents are known, whatever length the input claims.
	values []lua.LValue
}

func (u *unpacker) push(v lua.LValue) { u.values = append(u.values, v) }

// take returns the next n bytes.
func (u *unpacker) take(n int) string {
	if len(u.s)-u.pos < n {
		vm.Errorf(u.L, "Missing bytes in input.")
	}
	from := u.pos
	u.pos += n
	return u.s[from:u.pos]
}

func (u *unpacker) uint8() int  { return int(u.take(1)[0]) }
func (u *unpacker) uint16() int { return int(binary.BigEndian.Uint16(vm.Bytes(u.take(2)))) }
func (u *unpacker) uint32() int { return int(binary.BigEndian.Uint32(vm.Bytes(u.take(4)))) }
func (u *unpacker) uint64() uint64 {
	return binary.BigEndian.Uint64(vm.Bytes(u.take(8)))
}

func (u *unpacker) number(f float64) lua.LValue { return vm.Number(u.L, f) }

func (u *unpacker) text(n int) lua.LValue {
	return lua.LString(u.take(n))
}

// value reads one value. used is the number of values on the original's stack.
func (u *unpacker) value(used int) lua.LValue {
	vm.Tick(u.L, 2)
	code := u.take(1)[0]
	checkStack(u.L, used+1, "too many return values at once; use unpack_one or unpack_limit instead.")
	switch {
	case code < 0x80:
		return u.number(float64(code))
	case code >= 0xe0:
		return u.number(float64(int8(code)))
	case code < 0x90:
		return u.table(int(code&0xf), used)
	case code < 0xa0:
		return u.array(int(code&0xf), used)
	case code < 0xc0:
		return u.text(int(code & 0x1f))
	}
	switch code {
	case 0xc0:
		return lua.LNil
	case 0xc2:
		return lua.LFalse
	case 0xc3:
		return lua.LTrue
	case 0xca:
		return u.number(float64(math.Float32frombits(uint32(u.uint32()))))
	case 0xcb:
		return u.number(math.Float64frombits(u.uint64()))
	case 0xcc:
		return u.number(float64(u.uint8()))
	case 0xcd:
		return u.number(float64(u.uint16()))
	case 0xce:
		return u.number(float64(u.uint32()))
	case 0xcf, 0xd3: // The original reads both as integers with a sign.
		return u.number(float64(int64(u.uint64())))
	case 0xd0:
		return u.number(float64(int8(u.uint8())))
	case 0xd1:
		return u.number(float64(int16(u.uint16())))
	case 0xd2:
		return u.number(float64(int32(u.uint32())))
	case 0xd9:
		return u.text(u.uint8())
	case 0xda:
		return u.text(u.uint16())
	case 0xdb:
		return u.text(u.uint32())
	case 0xdc:
		return u.array(u.uint16(), used)
	case 0xdd:
		return u.array(u.uint32(), used)
	case 0xde:
		return u.table(u.uint16(), used)
	case 0xdf:
		return u.table(u.uint32(), used)
	}
	vm.Errorf(u.L, "Bad data format in input.")
	return nil
}

func (u *unpacker) array(n, used int) lua.LValue {
	checkStack(u.L, used+2, "in function mp_decode_to_lua_array")
	from := len(u.values)
	for range n {
		u.push(u.value(used + 2))
	}
	t := vm.NewTable(n, 0)
	for i, v := range u.values[from:] {
		if v != lua.LNil {
			vm.SetInt(t, i+1, v)
		}
	}
	u.drop(from)
	return t
}

func (u *unpacker) table(n, used int) lua.LValue {
	from := len(u.values)
	for range n {
		k := u.value(used + 1)
		u.push(k)
		u.push(u.value(used + 2))
		if k == lua.LNil {
			vm.Raise(lua.LString("table index is nil"))
		}
		if f, ok := k.(lua.LNumber); ok && f != f {
			vm.Raise(lua.LString("table index is NaN"))
		}
	}
	t := vm.NewTable(0, n)
	for i := from; i < len(u.values); i += 2 {
		vm.Set(t, u.values[i], u.values[i+1])
	}
	u.drop(from)
	return t
}

func (u *unpacker) drop(from int) {
	vm.Tick(u.L, len(u.values)-from)
	clear(u.values[from:])
	u.values = u.values[:from]
}
