// Package libm has those functions of C's mathematical library whose results differ from package math's in digits that scripts
// see. C's pow, exp and log are wrong by little more than half a unit in the last place; math.Pow is wrong by several. The
// functions here compute with pairs of float64s, some 100 bits, and round once, so that they agree with any accurate library
// but in very rare cases.
package libm

import "math"

// pair is the unevaluated sum hi+lo, where lo is at most half a unit of hi's last place.
type pair struct{ hi, lo float64 }

// sum is a+b, exactly.
func sum(a, b float64) pair {
	s := a + b
	t := s - a
	return pair{s, (a - (s - t)) + (b - t)}
}

// quick is a+b, exactly, for |a| >= |b|.
func quick(a, b float64) pair {
	s := a + b
	return pair{s, b - (s - a)}
}

// product is a*b, exactly.
func product(a, b float64) pair {
	p := a * b
	return pair{p, math.FMA(a, b, -p)}
}

func (x pair) add(y pair) pair {
	s, t := sum(x.hi, y.hi), sum(x.lo, y.lo)
	s = quick(s.hi, s.lo+t.hi)
	return quick(s.hi, s.lo+t.lo)
}

func (x pair) mul(y pair) pair {
	p := product(x.hi, y.hi)
	return quick(p.hi, p.lo+(x.hi*y.lo+x.lo*y.hi))
}

func (x pair) times(f float64) pair {
	p := product(x.hi, f)
	return quick(p.hi, p.lo+x.lo*f)
}

// ln2, in parts of 32, 32 and 53 bits: a multiple by an integer below 2^20 of the first two is exact.
const (
	ln2High = 0x1.62e42fefp-1
	ln2Mid  = 0x1.473de6aep-34
	ln2Low  = 0x1.278ece600fcbep-66
)

var (
	// inverse[n] is 1/n!.
	inverse = func() (t [10]pair) {
		t[0] = pair{1, 0}
		for n := 1; n < len(t); n++ {
			t[n] = t[n-1].over(float64(n))
		}
		return t
	}()
)

// over is x/f.
func (x pair) over(f float64) pair {
	q := x.hi / f
	p := product(q, f)
	return quick(q, ((x.hi-p.hi)-p.lo+x.lo)/f)
}

// div is x/y.
func (x pair) div(y pair) pair {
	q := x.hi / y.hi
	rest := x.add(y.times(-q))
	return quick(q, rest.hi/y.hi)
}

// exp returns e^x as a pair times 2^k, for |x| < 2^19.
func exp(x pair) (y pair, k int) {
	n := math.RoundToEven(x.hi / math.Ln2)
	r := x.add(pair{-n * ln2High, 0}).add(pair{-n * ln2Mid, 0}).add(pair{-n * ln2Low, 0})
	// e^r = (e^(r/256))^256; |r/256| < 0.0014. The series is of e^z-1, which loses nothing when it is squared:
	// (1+t)^2 = 1 + (2t + t^2).
	z := pair{r.hi / 256, r.lo / 256}
	t := inverse[len(inverse)-1]
	for i := len(inverse) - 2; i >= 1; i-- {
		t = t.mul(z).add(inverse[i])
	}
	t = t.mul(z)
	for range 8 {
		t = t.times(2).add(t.mul(t))
	}
	return t.add(pair{1, 0}), int(n)
}

// log returns the natural logarithm of x, a finite number above 0.
func log(x float64) pair {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = m*2, k-1
	}
	// y is nearly the logarithm: it lacks that of m/e^y = 1+q, which is q - q*q/2 + q*q*q/3 …, where the third term is below 2^-150.
	y := math.Log(m)
	e, n := exp(pair{-y, 0})
	q := e.times(math.Ldexp(m, n)).add(pair{-1, 0})
	l := pair{y, 0}.add(q.add(q.mul(q).times(-0.5)))
	f := float64(k)
	return pair{f * ln2High, 0}.add(pair{f * ln2Mid, 0}).add(pair{f * ln2Low, 0}).add(l)
}

// Exp returns e^x.
func Exp(x float64) float64 {
	if f := math.Exp(x); f == 0 || math.IsInf(f, 0) || f != f {
		return f
	}
	return rounded(exp(pair{x, 0}))
}

// Log returns the natural logarithm of x.
func Log(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) || x == 1 {
		return math.Log(x)
	}
	return log(x).hi
}

// Log10 returns the decimal logarithm of x. C libraries compute it of the natural one, in the way of fdlibm, and are less accurate
// here: so is this.
func Log10(x float64) float64 {
	const (
		log10e     = 0x1.bcb7b1526e50ep-2
		log10of2   = 0x1.34413509f6p-2 // its first bits,
		log10of2lo = 0x1.9fef311f12b36p-42
	)
	if !(x > 0) || math.IsInf(x, 1) || x == 1 {
		return math.Log10(x)
	}
	m, k := math.Frexp(x) // m is at least 1/2
	if k--; k >= 0 {
		m *= 2
	} else {
		k++
	}
	y := float64(k)
	z := float64(y*log10of2lo) + float64(log10e*Log(m))
	return z + float64(y*log10of2)
}

// Pow returns x^y.
func Pow(x, y float64) float64 {
	switch {
	case y == 2:
		return x * x
	case y == 0.5 && x > 0:
		return math.Sqrt(x)
	}
	f := math.Pow(x, y)
	finite := x != 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0)
	switch {
	case (f == 0 || math.IsInf(f, 0)) && finite:
		// Package math may be wrong at the ends of the range, too.
	case f == 0, f != f, math.IsInf(f, 0), math.Abs(x) == 1, y == 0, y == 1:
		return f
	}
	if n := math.Abs(y); n <= 256 && n == math.Trunc(n) && math.Abs(f) > 1e-290 && math.Abs(f) < 1e290 {
		p := power(x, int(n))
		if y < 0 {
			return pair{1, 0}.div(p).hi
		}
		return p.hi
	}
	p := log(math.Abs(x)).times(y)
	switch {
	case p.hi > 710:
		return math.Copysign(math.Inf(1), f)
	case p.hi < -746:
		return math.Copysign(0, f)
	}
	return math.Copysign(rounded(exp(p)), f)
}

// power is x^n, by squaring.
func power(x float64, n int) pair {
	result, square := pair{1, 0}, pair{x, 0}
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			result = result.mul(square)
		}
		if n > 1 {
			square = square.mul(square)
		}
	}
	return result
}

// rounded is y times 2^k.
func rounded(y pair, k int) float64 {
	switch {
	case k > 1000:
		// Two steps, since 2^1024 is no number.
		return y.hi * math.Ldexp(1, k-1) * 2
	case k > -1022, k == -1022 && y.hi >= 1: // no subnormal number
		return y.hi * math.Ldexp(1, k)
	}
	// The sum is rounded where the result's last place is: at 2^-1074.
	s := math.Ldexp(1, -1074-k+52)
	hi := y.hi + s
	rest := (y.hi - (hi - s)) + y.lo
	switch unit := math.Ldexp(1, -1074-k); {
	case rest > unit/2:
		hi += unit
	case rest < -unit/2:
		hi -= unit
	}
	return math.Ldexp(hi-s, k)
}
