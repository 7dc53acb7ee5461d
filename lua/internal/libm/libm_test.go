package libm

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"ferrous/tests/random"
)

// bigExp is e^x with some 200 bits.
func bigExp(x *big.Float) *big.Float {
	const halvings = 60
	z := new(big.Float).SetPrec(400).Set(x)
	z.SetMantExp(z, -halvings)
	sum, term := new(big.Float).SetPrec(400).SetInt64(1), new(big.Float).SetPrec(400).SetInt64(1)
	for i := int64(1); i < 30; i++ {
		term.Mul(term, z)
		term.Quo(term, new(big.Float).SetInt64(i))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

// bigLog is the natural logarithm, by Newton's method.
func bigLog(x *big.Float) *big.Float {
	f, _ := x.Float64()
	y := new(big.Float).SetPrec(400).SetFloat64(math.Log(f))
	for range 3 {
		e := bigExp(new(big.Float).SetPrec(400).Neg(y))
		e.Mul(e, x)
		e.Sub(e, new(big.Float).SetInt64(1))
		y.Add(y, e)
	}
	return y
}

func number(f float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(f) }

// Each function gives the float64 that is nearest to the exact result.
func TestNearest(t *testing.T) {
	r := random.New(t)
	check := func(name string, x, y, got float64, exact *big.Float) {
		t.Helper()
		if want, _ := exact.Float64(); got != want {
			t.Errorf("%s of %v, %v: %.17g, want %.17g", name, x, y, got, want)
		}
	}
	ln10 := bigLog(number(10))
	for range 500 {
		x := math.Exp(r.NormFloat64() * 20)
		e := r.NormFloat64() * 50
		check("exp", e, 0, Exp(e), bigExp(number(e)))
		l := bigLog(number(x))
		check("log", x, 0, Log(x), l)
		if want, _ := new(big.Float).SetPrec(400).Quo(l, ln10).Float64(); math.Abs(Log10(x)-want) > 4e-16*math.Abs(want) {
			t.Errorf("log10 of %v: %.17g, want %.17g", x, Log10(x), want)
		}
		y := r.NormFloat64() * 10
		check("pow", x, y, Pow(x, y), bigExp(new(big.Float).SetPrec(400).Mul(l, number(y))))
		n := float64(r.IntN(513) - 256)
		base := math.Exp(r.NormFloat64())
		check("pow", base, n, Pow(base, n), bigExp(new(big.Float).SetPrec(400).Mul(bigLog(number(base)), number(n))))
		near := 1 + r.NormFloat64()/1000
		y *= 1000
		check("pow", near, y, Pow(near, y), bigExp(new(big.Float).SetPrec(400).Mul(bigLog(number(near)), number(y))))
		check("log", near, 0, Log(near), bigLog(number(near)))
		for range 5 { // about the smallest normal number
			edge := -708.4 + (r.Float64()-0.5)*3
			check("exp", edge, 0, Exp(edge), bigExp(number(edge)))
		}
		tiny := -720 - 25*r.Float64()
		check("exp", tiny, 0, Exp(tiny), bigExp(number(tiny)))
	}
}

// What is exact stays exact, and the ends of the range are C's.
func TestSpecial(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for n := range 23 {
		want := 1.0
		for range n {
			want *= 10
		}
		if got := Pow(10, float64(n)); got != want {
			t.Errorf("10^%d: %v", n, got)
		}
		if got := Log10(want); got != float64(n) {
			t.Errorf("log10(10^%d): %v", n, got)
		}
	}
	for n := -1074; n < 1024; n++ {
		if got := Pow(2, float64(n)); got != math.Ldexp(1, n) {
			t.Errorf("2^%d: %v", n, got)
		}
	}
	for _, tt := range []struct{ x, y, want float64 }{
		{2.0046471195892016e+17, -17.777186434685476, 2.6208727885351803e-308},
		{-2, 3, -8}, {-2, -3, -0.125}, {-8, 1.0 / 3, nan}, {0, 5, 0}, {0, -1, inf}, {math.Copysign(0, -1), -3, -inf}, {1, nan, 1},
		{nan, 0, 1}, {inf, -1, 0}, {-inf, 3, -inf}, {2, inf, inf}, {0.5, inf, 0}, {-1, inf, 1}, {2, 1024, inf}, {-2, 1025, -inf},
		{2, -1075, 0}, {2, -1074.5, 5e-324}, {-3, 1e300, inf}, {3, -1e300, 0}, {math.MaxFloat64, 1, math.MaxFloat64},
		{math.MaxFloat64, 1.0000001, inf}, {5e-324, 1, 5e-324}, {5e-324, 0.5, 0x1p-537}, {4, -0.5, 0.5}, {-4, 0.5, nan},
	} {
		if got := Pow(tt.x, tt.y); math.Float64bits(got) != math.Float64bits(tt.want) && (got == got || tt.want == tt.want) {
			t.Errorf("%v^%v: %v, want %v", tt.x, tt.y, got, tt.want)
		}
	}
	for _, tt := range []struct{ got, want float64 }{
		{Exp(0), 1}, {Exp(-inf), 0}, {Exp(inf), inf}, {Exp(709.7), math.Exp(709.7)}, {Exp(710), inf}, {Exp(-746), 0}, {Log(1), 0}, {Log(0), -inf},
		{Log(inf), inf}, {Log(5e-324), -744.4400719213812}, {Log10(0), -inf}, {Log10(1e-5), -5},
	} {
		if tt.got != tt.want {
			t.Errorf("%v, want %v", tt.got, tt.want)
		}
	}
}

func BenchmarkPow(b *testing.B) {
	for _, y := range []float64{3.7, 5} {
		b.Run(fmt.Sprint(y), func(b *testing.B) {
			x := 1.5
			for b.Loop() {
				x = 1 + 1/Pow(x, y)
			}
		})
	}
}
