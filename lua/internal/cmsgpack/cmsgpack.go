// Package cmsgpack is the library cmsgpack of scripts: lua-cmsgpack 0.4.0 as Redis 7.2.6 ships it
// (deps/lua/src/lua_cmsgpack.c, where the facts come from). It writes and reads the old MessagePack without the types bin and
// ext. A table whose keys are 1 to n is packed as an array, any other as a map.
package cmsgpack

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// library holds the scratch of pack and unpack. A call takes it and sets the fields to nil, so that no values stay alive if
// an error ends it early.
type library struct {
	buf    []byte
	values []lua.LValue
}

// keepScratch is the size from which on a scratch buffer is not kept for the next call.
const keepScratch = 64 << 10

// Open registers the library.
func Open(h *vm.Host) {
	l := &library{}
	h.Register("cmsgpack", map[string]lua.LGFunction{
		"pack": l.pack, "unpack": l.unpack, "unpack_one": l.unpackOne, "unpack_limit": l.unpackLimit,
	})
	t := h.Library("cmsgpack")
	for name, text := range map[string]string{
		"_NAME":        "cmsgpack",
		"_VERSION":     "lua-cmsgpack 0.4.0",
		"_COPYRIGHT":   "Copyright (C) 2012, Salvatore Sanfilippo",
		"_DESCRIPTION": "MessagePack C implementation for Lua",
	} {
		vm.SetString(t, name, lua.LString(text))
	}
}

const (
	// maxNesting is the greatest depth of tables that are packed; deeper ones are packed as nil.
	maxNesting = 16
	// maxStack is the number of values that a C function may have on Lua's stack. The original keeps its state there, so this
	// limits its recursion; the limit of depth is the same here.
	maxStack = 8000
)

func checkStack(L *lua.LState, n int, text string) {
	if n > maxStack {
		vm.Errorf(L, "stack overflow (%s)", text)
	}
}

// packer appends values to buf.
type packer struct {
	L   *lua.LState
	buf []byte
}

func (l *library) pack(L *lua.LState) int {
	n := L.GetTop()
	if n == 0 {
		vm.ArgError(L, 0, "MessagePack pack needs input.")
	}
	if 2*n > maxStack {
		vm.ArgError(L, 0, "Too many arguments for MessagePack pack.")
	}
	p := packer{L: L, buf: l.buf[:0]}
	l.buf = nil
	for i := 1; i <= n; i++ {
		p.value(vm.Arg(L, i), 0, n+i)
	}
	if cap(p.buf) > keepScratch {
		L.Push(lua.LString(vm.String(p.buf)))
	} else {
		L.Push(vm.BytesValue(p.buf))
		l.buf = p.buf
	}
	return 1
}

// value packs v, which is at index used of the original's stack and inside level tables.
func (p *packer) value(v lua.LValue, level, used int) {
	vm.Tick(p.L, 2)
	switch v := v.(type) {
	case lua.LString:
		p.text(string(v))
	case lua.LBool:
		if v {
			p.buf = append(p.buf, 0xc3)
		} else {
			p.buf = append(p.buf, 0xc2)
		}
	case lua.LNumber:
		p.number(float64(v))
	case *lua.LTable:
		if level == maxNesting {
			p.buf = append(p.buf, 0xc0)
		} else {
			p.table(v, level, used)
		}
	default:
		p.buf = append(p.buf, 0xc0)
	}
	vm.CheckLength(p.L, len(p.buf))
}

func (p *packer) text(s string) {
	vm.CheckLength(p.L, len(p.buf)+len(s)+5)
	vm.Tick(p.L, len(s)>>6)
	switch n := len(s); {
	case n < 32:
		p.buf = append(p.buf, 0xa0|byte(n))
	case n <= math.MaxUint8:
		p.buf = append(p.buf, 0xd9, byte(n))
	default:
		p.length(0xda, n)
	}
	p.buf = append(p.buf, s...)
}

// length appends code and a length of 16 bits, or code+1 and a length of 32 bits.
func (p *packer) length(code byte, n int) {
	if n <= math.MaxUint16 {
		p.buf = binary.BigEndian.AppendUint16(append(p.buf, code), uint16(n))
	} else {
		p.buf = binary.BigEndian.AppendUint32(append(p.buf, code+1), uint32(n))
	}
}

// number packs f as the shortest integer that equals it, else as a float of 4 bytes if this is exact, else of 8 bytes.
func (p *packer) number(f float64) {
	n := vm.ToInteger(f)
	switch {
	case float64(n) == f:
		p.integer(n)
	case float64(float32(f)) == f:
		p.buf = binary.BigEndian.AppendUint32(append(p.buf, 0xca), math.Float32bits(float32(f)))
	default:
		p.buf = binary.BigEndian.AppendUint64(append(p.buf, 0xcb), math.Float64bits(f))
	}
}

func (p *packer) integer(n int64) {
	switch {
	case n >= -32 && n <= 127:
		p.buf = append(p.buf, byte(n))
	case n >= 0 && n <= math.MaxUint8:
		p.buf = append(p.buf, 0xcc, byte(n))
	case n >= 0 && n <= math.MaxUint16:
		p.buf = binary.BigEndian.AppendUint16(append(p.buf, 0xcd), uint16(n))
	case n >= 0 && n <= math.MaxUint32:
		p.buf = binary.BigEndian.AppendUint32(append(p.buf, 0xce), uint32(n))
	case n >= 0:
		p.buf = binary.BigEndian.AppendUint64(append(p.buf, 0xcf), uint64(n))
	case n >= math.MinInt8:
		p.buf = append(p.buf, 0xd0, byte(n))
	case n >= math.MinInt16:
		p.buf = binary.BigEndian.AppendUint16(append(p.buf, 0xd1), uint16(n))
	case n >= math.MinInt32:
		p.buf = binary.BigEndian.AppendUint32(append(p.buf, 0xd2), uint32(n))
	default:
		p.buf = binary.BigEndian.AppendUint64(append(p.buf, 0xd3), uint64(n))
	}
}

func (p *packer) table(t *lua.LTable, level, used int) {
	checkStack(p.L, used+2, "in function table_is_an_array")
	n, array := arrayLength(t)
	vm.Tick(p.L, n)
	if array {
		if n <= 15 {
			p.buf = append(p.buf, 0x90|byte(n))
		} else {
			p.length(0xdc, n)
		}
		checkStack(p.L, used+1, "in function mp_encode_lua_table_as_array")
		for i := 1; i <= n; i++ {
			p.value(vm.GetInt(t, i), level+1, used+1)
		}
		return
	}
	checkStack(p.L, used+3, "in function mp_encode_lua_table_as_map")
	if n = vm.Count(t); n <= 15 {
		p.buf = append(p.buf, 0x80|byte(n))
	} else {
		p.length(0xde, n)
	}
	vm.ForEach(t, func(k, v lua.LValue) bool {
		p.value(k, level+1, used+3)
		p.value(v, level+1, used+2)
		return true
	})
}

// arrayLength reports whether the keys of t are exactly 1 to n, and returns n.
func arrayLength(t *lua.LTable) (n int, array bool) {
	if !vm.HasStringKeys(t) && vm.Count(t) == vm.Len(t) {
		return vm.Len(t), true
	}
	count, most := 0, 0.0
	array = true
	vm.ForEach(t, func(k, _ lua.LValue) bool {
		f, ok := k.(lua.LNumber)
		if !ok || f < 1 || f > math.MaxInt32 || float64(int(f)) != float64(f) {
			array = false
			return false
		}
		most = max(most, float64(f))
		count++
		return true
	})
	return count, array && int(most) == count
}
