package baselib

import (
	"math"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/libm"
	"ferrous/lua/internal/vm"
)

// generator is Redis's own generator of random numbers: the 48-bit linear congruential one of drand48, so that scripts
// see the same numbers on every platform.
type generator struct {
	state uint64
}

func (g *generator) seed(n int32) { g.state = uint64(uint32(n))<<16 | 0x330e }

func (g *generator) next() int32 {
	g.state = (g.state*0x5deece66d + 0xb) & (1<<48 - 1)
	return int32(g.state >> 17)
}

// one makes a Lua function of f. A nan result has the sign that the processor gives it.
func one(f func(float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		x := vm.CheckNumber(L, 1)
		y := f(x)
		if y != y {
			y = vm.MachineNaN(x)
		}
		vm.PushNumber(L, y)
		return 1
	}
}

// positive is one for functions whose nan is positive in C.
func positive(f func(float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		x := vm.CheckNumber(L, 1)
		y := f(x)
		if y != y && x == x {
			y = vm.NaN
		}
		vm.PushNumber(L, y)
		return 1
	}
}

func two(f func(a, b float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		// C compilers evaluate the second argument first.
		b := vm.CheckNumber(L, 2)
		a := vm.CheckNumber(L, 1)
		y := f(a, b)
		if y != y {
			y = vm.MachineNaN(a, b)
		}
		vm.PushNumber(L, y)
		return 1
	}
}

func openMath(h *vm.Host) {
	g := &generator{state: 0x1234abcd330e}
	h.Register("math", map[string]lua.LGFunction{
		"abs": mathAbs, "acos": positive(math.Acos), "asin": positive(math.Asin), "atan": one(math.Atan),
		"atan2": two(math.Atan2), "ceil": one(math.Ceil), "cos": one(math.Cos), "cosh": one(math.Cosh),
		"deg": one(func(x float64) float64 { return x / (math.Pi / 180) }), "exp": one(libm.Exp), "floor": one(math.Floor),
		"fmod": two(math.Mod), "mod": two(math.Mod), "frexp": mathFrexp, "ldexp": mathLdexp, "log": one(libm.Log),
		"log10": positive(libm.Log10), "max": mathMax, "min": mathMin, "modf": mathModf, "pow": two(vm.Power),
		"rad": one(func(x float64) float64 { return x * (math.Pi / 180) }), "random": g.random, "randomseed": g.randomSeed,
		"sin": one(math.Sin), "sinh": one(math.Sinh), "sqrt": one(math.Sqrt), "tan": one(math.Tan), "tanh": one(math.Tanh),
	})
	t := h.Library("math")
	vm.SetString(t, "pi", lua.LNumber(math.Pi))
	vm.SetString(t, "huge", lua.LNumber(math.Inf(1)))
}

func mathAbs(L *lua.LState) int {
	vm.PushNumber(L, math.Abs(vm.CheckNumber(L, 1)))
	return 1
}

func mathFrexp(L *lua.LState) int {
	m, e := math.Frexp(vm.CheckNumber(L, 1))
	vm.PushNumber(L, m)
	vm.PushNumber(L, float64(e))
	return 2
}

func mathLdexp(L *lua.LState) int {
	e := vm.CheckInt(L, 2)
	vm.PushNumber(L, math.Ldexp(vm.CheckNumber(L, 1), e))
	return 1
}

func mathModf(L *lua.LState) int {
	x := vm.CheckNumber(L, 1)
	if math.IsInf(x, 0) {
		vm.PushNumber(L, x)
		vm.PushNumber(L, math.Copysign(0, x))
		return 2
	}
	i, f := math.Modf(x)
	vm.PushNumber(L, i)
	vm.PushNumber(L, f)
	return 2
}

func mathMax(L *lua.LState) int {
	most := vm.CheckNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if x := vm.CheckNumber(L, i); x > most {
			most = x
		}
	}
	vm.PushNumber(L, most)
	return 1
}

func mathMin(L *lua.LState) int {
	least := vm.CheckNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if x := vm.CheckNumber(L, i); x < least {
			least = x
		}
	}
	vm.PushNumber(L, least)
	return 1
}

func (g *generator) random(L *lua.LState) int {
	r := float64(g.next()%math.MaxInt32) / math.MaxInt32
	switch L.GetTop() {
	case 0:
		vm.PushNumber(L, r)
	case 1:
		u := vm.CheckInt(L, 1)
		if u < 1 {
			vm.ArgError(L, 1, "interval is empty")
		}
		vm.PushNumber(L, math.Floor(r*float64(u))+1)
	case 2:
		l := vm.CheckInt(L, 1)
		u := vm.CheckInt(L, 2)
		if l > u {
			vm.ArgError(L, 2, "interval is empty")
		}
		vm.PushNumber(L, math.Floor(r*float64(int32(u-l+1)))+float64(l))
	default:
		vm.Errorf(L, "wrong number of arguments")
	}
	return 1
}

func (g *generator) randomSeed(L *lua.LState) int {
	g.seed(int32(vm.CheckInt(L, 1)))
	return 0
}
