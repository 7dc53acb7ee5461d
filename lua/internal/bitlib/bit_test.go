package bitlib

import (
	"math"
	"math/rand/v2"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// The answers of all functions are compared in package lua, whose tests hold redis-server's.

// A number of up to 2^51 counts modulo 2^32, whatever its sign.
func TestTobit(t *testing.T) {
	h := vm.NewHost()
	Open(h)
	tobit := vm.GetString(h.Library("bit"), "tobit").(*lua.LFunction)
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 10000 {
		n := rnd.Int64N(1<<52) - 1<<51
		results, err := h.Run(tobit, nil, lua.LNumber(n))
		if err != nil || results[0] != lua.LNumber(int32(n)) {
			t.Fatalf("seed %d: %d: %v %v", seed, n, results, err)
		}
	}
	for f, want := range map[float64]lua.LNumber{0.5: 0, 1.5: 2, 2.5: 2, -0.5: 0, -1.5: -2, math.Inf(1): 0, vm.NaN: 0} {
		if results, err := h.Run(tobit, nil, lua.LNumber(f)); err != nil || results[0] != want {
			t.Errorf("%v: %v %v", f, results, err)
		}
	}
}
