package geohash

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// sinBig returns the sine (or with odd false the cosine) of x to some 200 bits.
func sinBig(x float64, odd bool) *big.Float {
	f := func(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }
	sq := new(big.Float).SetPrec(300).Mul(f(x), f(-x))
	term, n := f(1), 1.0
	if odd {
		term, n = f(x), 2
	}
	sum := new(big.Float).Copy(term)
	for range 60 {
		term.Mul(term, sq)
		term.Quo(term, f(n*(n+1)))
		sum.Add(sum, term)
		n += 2
	}
	return sum
}

// ulps is how far got is from the rounded want.
func ulps(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	return math.Abs(float64(int64(math.Float64bits(got)) - int64(math.Float64bits(w))))
}

// All but very few values are those that the exact ones round to, and no value is off by more than a unit.
func TestTrigRounding(t *testing.T) {
	r := newRand(t)
	const n = 40_000 // some 45 are not, of the 80 allowed
	wrong := map[string]int{}
	count := func(name string, x, got float64, want *big.Float) {
		d := ulps(got, want)
		if d > 1 {
			w, _ := want.Float64()
			t.Fatalf("%s(%v) = %v, want %v", name, x, got, w)
		}
		if d > 0 {
			wrong[name]++
		}
	}
	for i := range n {
		x := r.Float64() * math.Pi
		if i%2 == 0 {
			x = math.Pi * math.Exp(-20*r.Float64())
		}
		if i%3 == 0 {
			x = math.Pi - x
		}
		if i%5 == 0 {
			x = -x
		}
		count("sin", x, sin(x), sinBig(x, true))
		y := (r.Float64() - 0.5) * math.Pi
		count("cos", y, cos(y), sinBig(y, false))
	}
	for name, k := range wrong {
		if k > n/500 {
			t.Errorf("%s: %d of %d are not rounded correctly", name, k, n)
		}
	}
}

// asin(x) is right if x lies between the sines of the ends of the interval that rounds to it.
func TestAsinRounding(t *testing.T) {
	r := newRand(t)
	const n = 4000
	wrong := 0
	for i := range n {
		x := r.Float64()
		switch i % 4 {
		case 0:
			x = math.Exp(-30 * r.Float64())
		case 1:
			x = 1 - math.Exp(-30*r.Float64())
		}
		if x == 1 {
			continue
		}
		y := asin(x)
		above, below := sinOfHalfway(y, math.Nextafter(y, 2)), sinOfHalfway(y, math.Nextafter(y, -1))
		bx := new(big.Float).SetPrec(300).SetFloat64(x)
		if bx.Cmp(below) < 0 || bx.Cmp(above) > 0 {
			wrong++
		}
	}
	if wrong > n/500 {
		t.Errorf("%d of %d are not rounded correctly", wrong, n)
	}
	if y := asin(1); y != math.Pi/2 {
		t.Errorf("asin(1) = %v", y)
	}
	if y := asin(0); y != 0 {
		t.Errorf("asin(0) = %v", y)
	}
	if y := asin(math.Nextafter(1, 2)); y == y {
		t.Errorf("asin above 1 = %v", y)
	}
}

// sinOfHalfway returns the sine of (a+b)/2, which no double holds, by the addition theorem for the tiny half difference.
func sinOfHalfway(a, b float64) *big.Float {
	h := new(big.Float).SetPrec(300).SetFloat64((b - a) / 2)
	c := sinBig(a, false)
	s := sinBig(a, true)
	// sin(a+h) = sin a + h cos a - h²/2 sin a + …; the next term is below 2^-159.
	sq := new(big.Float).SetPrec(300).Mul(h, h)
	sq.Mul(sq, s).Quo(sq, big.NewFloat(2))
	h.Mul(h, c)
	return h.Add(h, s).Sub(h, sq)
}

// The factor is the quotient of two doubles in C.
func TestRadians(t *testing.T) {
	pi, half := math.Pi, 180.0
	if f := pi / half; f != math.Pi/180 {
		t.Errorf("π/180 is %v and %v", f, math.Pi/180)
	}
}

func BenchmarkDistance(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var pos [256][2]float64
	for i := range pos {
		pos[i][0], pos[i][1] = randomPosition(r)
	}
	sum := 0.0
	for i := 0; b.Loop(); i++ {
		p, q := &pos[i&255], &pos[(i+7)&255]
		sum += Distance(p[0], p[1], q[0], q[1])
	}
	if sum == 0 {
		b.Fatal("no distance")
	}
}
