package bitlib

import (
	"math"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
	"ferrous/tests/random"
)

// The answers of all functions are compared in package lua, whose tests hold redis-server's.

// A number of up to 2^51 counts modulo 2^32, whatever its sign.
func TestTobit(t *testing.T) { random.Repeat(t, testTobit) }

func testTobit(t *testing.T) {
	h := vm.NewHost()
	Open(h)
	tobit := vm.GetString(h.Library("bit"), "tobit").(*lua.LFunction)
	rnd := random.New(t)
	for range 10000 {
		n := rnd.Int64N(1<<52) - 1<<51
		results, err := h.Run(tobit, nil, lua.LNumber(n))
		if err != nil || results[0] != lua.LNumber(int32(n)) {
			t.Fatalf("%d: %v %v", n, results, err)
		}
	}
	for f, want := range map[float64]lua.LNumber{0.5: 0, 1.5: 2, 2.5: 2, -0.5: 0, -1.5: -2, math.Inf(1): 0, vm.NaN: 0} {
		if results, err := h.Run(tobit, nil, lua.LNumber(f)); err != nil || results[0] != want {
			t.Errorf("%v: %v %v", f, results, err)
		}
	}
}
