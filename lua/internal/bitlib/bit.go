// Package bitlib is the library bit of scripts: Lua BitOp 1.0.2, whose numbers are 32 bits wide and signed. The facts
// come from its source as Redis 7.2.6 ships it (deps/lua/src/lua_bit.c).
package bitlib

import (
	"math"
	"math/bits"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Open registers the library.
func Open(h *vm.Host) {
	h.Register("bit", map[string]lua.LGFunction{
		"tobit":   func(L *lua.LState) int { return answer(L, operand(L, 1)) },
		"bnot":    func(L *lua.LState) int { return answer(L, ^operand(L, 1)) },
		"bswap":   func(L *lua.LState) int { return answer(L, bits.ReverseBytes32(operand(L, 1))) },
		"band":    fold(func(a, b uint32) uint32 { return a & b }),
		"bor":     fold(func(a, b uint32) uint32 { return a | b }),
		"bxor":    fold(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(b uint32, n uint) uint32 { return b << n }),
		"rshift":  shift(func(b uint32, n uint) uint32 { return b >> n }),
		"arshift": shift(func(b uint32, n uint) uint32 { return uint32(int32(b) >> n) }),
		"rol":     shift(func(b uint32, n uint) uint32 { return bits.RotateLeft32(b, int(n)) }),
		"ror":     shift(func(b uint32, n uint) uint32 { return bits.RotateLeft32(b, -int(n)) }),
		"tohex":   tohex,
	})
}

// magic is 2^52 + 2^51. The low bits of the mantissa of magic + f are f, rounded to even.
const magic = 6755399441055744.0

// operand returns argument n as 32 bits. Beyond 2^51 the low bits are those of the sum, as in the original.
func operand(L *lua.LState, n int) uint32 {
	v := vm.Arg(L, n)
	f, ok := vm.ToNumber(v)
	if !ok {
		vm.TypeError(L, n, "number")
	}
	return uint32(math.Float64bits(f + magic))
}

func answer(L *lua.LState, b uint32) int {
	vm.PushNumber(L, float64(int32(b)))
	return 1
}

// fold applies op to all arguments. The original converts the first argument, then the others from the last on, which decides
// the error if several are wrong.
func fold(op func(a, b uint32) uint32) lua.LGFunction {
	return func(L *lua.LState) int {
		b := operand(L, 1)
		n := L.GetTop()
		for i := n; i > 1; i-- {
			b = op(b, operand(L, i))
		}
		vm.Tick(L, n)
		return answer(L, b)
	}
}

func shift(op func(b uint32, n uint) uint32) lua.LGFunction {
	return func(L *lua.LState) int {
		b := operand(L, 1)
		return answer(L, op(b, uint(operand(L, 2)&31)))
	}
}

// tohex formats the lowest n digits, in capitals if n is negative.
func tohex(L *lua.LState) int {
	b := operand(L, 1)
	n := int64(8)
	if !vm.None(L, 2) {
		n = int64(int32(operand(L, 2)))
	}
	digits := "0123456789abcdef"
	if n < 0 {
		n = -n
		digits = "0123456789ABCDEF"
	}
	n = min(n, 8)
	var buf [8]byte
	for i := n - 1; i >= 0; i-- {
		buf[i] = digits[b&15]
		b >>= 4
	}
	L.Push(vm.BytesValue(buf[:n]))
	return 1
}
