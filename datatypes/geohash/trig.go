package geohash

import "math"

// Sine, cosine and arcsine with the last bit right.
//
// The distance of two members is the result of three sines and cosines and an arcsine, and GEOSEARCHSTORE with STOREDIST
// shows all of its digits. Redis uses the C library's functions, which nearly always round the true value correctly, while
// Go's are often off by a unit in the last place (measured: one distance in three differs from Redis's). The functions below
// compute about 20 bits more than they return, so that they differ from the C library only where that is wrong itself: one
// distance in a thousand, and perhaps others on a processor without FMA, for which glibc has other code.
//
// sin(x) and cos(x) come from a table of both at the multiples k/64, as pairs of doubles whose sum has 106 bits, and the
// addition theorem: with x = k/64 + r, r at most 1/128 in size, sin(x) = S cos(r) + C sin(r). S and C r are computed together
// with their rounding errors. The differences sin(r) - r and 1 - cos(r) are so small that doubles are exact enough for them.
// asin(x) takes a step of Newton's method from Go's arcsine, with the error of its sine.

// sample is the sine and the cosine of a multiple of 1/64, each as a sum of two doubles.
type sample struct{ sin, sinLo, cos, cosLo float64 }

// samples are the samples from 0 to π/2 and one more.
var samples = makeSamples()

const samplesPerUnit = 64

func makeSamples() (t [102]sample) {
	for k := range t {
		x := float64(k) / samplesPerUnit
		s, c := pair{x, 0}, pair{1, 0}
		sum, csum := s, c
		// The Taylor series: each term is the one before times -x²/(n(n+1)). x² is exact.
		for n := 1.0; n < 40; n += 2 {
			c = c.scale(-x * x).over(n * (n + 1))
			csum = csum.plus(c)
			s = s.scale(-x * x).over((n + 1) * (n + 2))
			sum = sum.plus(s)
		}
		t[k] = sample{sum.hi, sum.lo, csum.hi, csum.lo}
	}
	return t
}

// pair is the number hi + lo, where lo is less than half a unit in hi's last place.
type pair struct{ hi, lo float64 }

// twoSum returns a + b and its rounding error.
func twoSum(a, b float64) (sum, err float64) {
	sum = a + b
	bb := sum - a
	return sum, (a - (sum - bb)) + (b - bb)
}

func (p pair) plus(q pair) pair {
	s, e := twoSum(p.hi, q.hi)
	return pairOf(s, e+p.lo+q.lo)
}

func (p pair) scale(f float64) pair {
	hi := p.hi * f
	return pairOf(hi, math.FMA(p.hi, f, -hi)+float64(p.lo*f))
}

func (p pair) over(f float64) pair {
	q := p.hi / f
	return pairOf(q, (math.FMA(-q, f, p.hi)+p.lo)/f)
}

// pairOf returns a + b for b smaller than a.
func pairOf(a, b float64) pair {
	hi := a + b
	return pair{hi, b - (hi - a)}
}

// nearest splits x, 0 to π/2, into the index of a sample and the rest r, and returns sin(r) - r and 1 - cos(r), too.
func nearest(x float64) (k int, r, dsin, dcos float64) {
	k = int(x*samplesPerUnit + 0.5)
	r = x - float64(k)/samplesPerUnit
	q := r * r
	dsin = -r * q * (1./6 - q*(1./120-q*(1./5040)))
	dcos = q * (0.5 - q*(1./24-q*(1./720-q*(1./40320))))
	return k, r, dsin, dcos
}

// sinPair returns the sine of x + lo, x being 0 to π/2, as a sum; its parts may overlap.
func sinPair(x, lo float64) (float64, float64) {
	k, r, dsin, dcos := nearest(x)
	dsin += lo
	if k == 0 {
		return r, dsin
	}
	t := &samples[k]
	p := t.cos * r
	sum, e := twoSum(t.sin, p)
	return sum, e + (math.FMA(t.cos, r, -p) + (t.sinLo + t.cosLo*r + t.cos*dsin - t.sin*dcos))
}

const piLo = 1.2246467991473532e-16 // π - float64(π)

// sin returns the sine of x, which is -π to π.
func sin(x float64) float64 {
	a, lo := math.Abs(x), 0.0
	if a > math.Pi/2 {
		a, lo = math.Pi-a, piLo
	}
	hi, lo := sinPair(a, lo)
	return math.Copysign(hi+lo, x)
}

// cos returns the cosine of x, which is -π/2 to π/2.
func cos(x float64) float64 {
	k, r, dsin, dcos := nearest(math.Abs(x))
	t := &samples[k]
	p := t.sin * r
	sum, e := twoSum(t.cos, -p)
	return sum + (e - (math.FMA(t.sin, r, -p) - (t.cosLo - t.sinLo*r - t.sin*dsin - t.cos*dcos)))
}

// asinPair returns the arcsine of x + lo, x being 0 to 0.5, as a sum of a double and a small correction.
func asinPair(x, lo float64) (y, dy float64) {
	y = math.Asin(x)
	s, sLo := sinPair(y, 0)
	return y, ((x - s) - sLo + lo) / math.Sqrt((1-x)*(1+x))
}

// asin returns the arcsine of x, which is not negative; NaN above 1.
func asin(x float64) float64 {
	if !(x <= 1) {
		return math.NaN()
	}
	if x <= 0.5 {
		y, dy := asinPair(x, 0)
		return y + dy
	}
	// asin(x) = π/2 - 2 asin(√((1-x)/2)), where 1-x is exact.
	z := (1 - x) / 2
	root := math.Sqrt(z)
	rootLo := 0.0
	if root > 0 {
		rootLo = math.FMA(-root, root, z) / (2 * root)
	}
	y, dy := asinPair(root, rootLo)
	sum, e := twoSum(math.Pi/2, -2*y)
	return sum + (e + (piLo/2 - 2*dy))
}
