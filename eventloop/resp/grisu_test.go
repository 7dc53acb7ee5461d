package resp

import (
	"math/big"
	"testing"
)

// TestPowers computes the cached powers and their exponents again.
func TestPowers(t *testing.T) {
	if len(powers) != 87 {
		t.Fatal(len(powers))
	}
	for i, got := range powers {
		k := firstPower + i*powerStep
		x := new(big.Float).SetPrec(4000).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(k, -k))), nil))
		if k < 0 {
			x.Quo(big.NewFloat(1).SetPrec(4000), x)
		}
		x.SetMode(big.ToNearestEven).SetPrec(64)
		exp := x.MantExp(x) - 64
		want, _ := x.SetMantExp(x, 64).Uint64()
		if got != want || (k*217706)>>16-63 != exp {
			t.Errorf("10^%d: %x·2^%d, want %x·2^%d", k, got, (k*217706)>>16-63, want, exp)
		}
	}
}

// TestCachedPower: every exponent of a double finds a power.
func TestCachedPower(t *testing.T) {
	for e := -1137; e <= 960; e++ {
		if _, pe, _ := cachedPower(e); e+pe+64 < minExp || e+pe+64 > maxExp {
			t.Errorf("exponent %d leads to %d", e, e+pe+64)
		}
	}
}
