package resp

import (
	"math"
	"math/bits"
)

// Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
// Accurately with Integers", PLDI 2010) turns a double into decimal digits that
// read back as the same double. It works with 64-bit integers only and pays for
// that: about one double in two thousand gets a digit more than needed, or
// a last digit that is not the nearest. Redis prints doubles so since 7.2
// (fpconv), and a reply, a score in a file and a DEBUG DIGEST have to agree with it to the
// last digit; this is why strconv, which is always right, is not used. The
// choices that the paper leaves open are fpconv's: the cached powers, how one
// is picked, and that the bounds are moved inwards by one unit.
//
// All quantities are significands of 64 bits with a common binary exponent. The
// double lies between its bounds lower and upper, half way to its neighbours. All three
// are multiplied with a cached power of ten that brings the exponent into
// -60…-32: upper then has an integer part of at most 32 bits and a fraction, digits
// of which are cut off until the rest is within upper-lower. At last the digit
// is lowered while that brings it closer to the double.

const (
	mantBits  = 52
	hiddenBit = 1 << mantBits

	firstPower = -348 // the cached powers are 10^firstPower, 10^(firstPower+powerStep) …
	powerStep  = 8
	minExp     = -60
	maxExp     = -32
)

// grisu writes the digits of f, which is finite and above 0, and returns their
// number n and the exponent: f is digits × 10^k. n is at most 17.
func grisu(digits *[20]byte, f float64) (n, k int) {
	b := math.Float64bits(f)
	m, e := b&(hiddenBit-1), int(b>>mantBits)
	if e != 0 {
		m |= hiddenBit
		e -= 1023 + mantBits
	} else {
		e = 1 - (1023 + mantBits)
	}
	// Below a power of two the neighbour is half as far.
	lower, shift := 2*m-1, 1
	if m == hiddenBit {
		lower, shift = 4*m-1, 2
	}
	z := bits.LeadingZeros64(m)
	upper := (2*m + 1) << (z - 1)
	lower <<= z - shift
	m <<= z
	e -= z

	power, pe, pk := cachedPower(e)
	m = mulHigh(m, power)
	upper = mulHigh(upper, power) - 1
	lower = mulHigh(lower, power) + 1
	e += pe + 64
	return cutDigits(digits, m, upper, upper-lower, uint(-e), -pk)
}

// cachedPower returns a power of ten 10^k as a significand and a binary exponent, such
// that a number of exponent e comes into the wanted range.
func cachedPower(e int) (power uint64, pe, k int) {
	const log2 = 0.30102999566398114
	i := (int(-float64(e+len(powers))*log2) - firstPower) / powerStep
	for {
		k = firstPower + i*powerStep
		pe = (k*217706)>>16 - 63 // floor(log2(10^k)) - 63
		switch sum := e + pe + 64; {
		case sum < minExp:
			i++
		case sum > maxExp:
			i--
		default:
			return powers[i], pe, k
		}
	}
}

// mulHigh returns the upper half of a product, rounded.
func mulHigh(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi + lo>>63
}

// cutDigits writes digits of upper, whose lowest point bits are its fraction, until what
// is left is at most delta, and then moves towards w.
func cutDigits(digits *[20]byte, w, upper, delta uint64, point uint, k int) (int, int) {
	whole, frac := uint32(upper>>point), upper&(1<<point-1)
	dist := upper - w
	n := 0
	kappa := 10
	for unit := uint32(1e9); kappa > 0; unit /= 10 {
		d := whole / unit
		if d != 0 || n > 0 {
			digits[n] = byte('0' + d)
			n++
		}
		whole -= d * unit
		kappa--
		if rest := uint64(whole)<<point + frac; rest <= delta {
			approach(&digits[n-1], delta, rest, uint64(unit)<<point, dist)
			return n, k + kappa
		}
	}
	for {
		frac *= 10
		delta *= 10
		dist *= 10
		kappa--
		if d := frac >> point; d != 0 || n > 0 {
			digits[n] = byte('0' + d)
			n++
		}
		frac &= 1<<point - 1
		if frac < delta {
			approach(&digits[n-1], delta, frac, 1<<point, dist)
			return n, k + kappa
		}
	}
}

// approach lowers the last digit, each time moving rest away from upper by unit,
// while that stays above lower and comes closer to the double, dist away from upper.
func approach(digit *byte, delta, rest, unit, dist uint64) {
	for rest < dist && delta-rest >= unit && (rest+unit < dist || dist-rest > rest+unit-dist) {
		*digit--
		rest += unit
	}
}

// powers are the significands of the cached powers, rounded to the nearest; a test computes them again.
var powers = [...]uint64{
	0xfa8fd5a0081c0288, 0xbaaee17fa23ebf76, 0x8b16fb203055ac76, 0xcf42894a5dce35ea,
	0x9a6bb0aa55653b2d, 0xe61acf033d1a45df, 0xab70fe17c79ac6ca, 0xff77b1fcbebcdc4f,
	0xbe5691ef416bd60c, 0x8dd01fad907ffc3c, 0xd3515c2831559a83, 0x9d71ac8fada6c9b5,
	0xea9c227723ee8bcb, 0xaecc49914078536d, 0x823c12795db6ce57, 0xc21094364dfb5637,
	0x9096ea6f3848984f, 0xd77485cb25823ac7, 0xa086cfcd97bf97f4, 0xef340a98172aace5,
	0xb23867fb2a35b28e, 0x84c8d4dfd2c63f3b, 0xc5dd44271ad3cdba, 0x936b9fcebb25c996,
	0xdbac6c247d62a584, 0xa3ab66580d5fdaf6, 0xf3e2f893dec3f126, 0xb5b5ada8aaff80b8,
	0x87625f056c7c4a8b, 0xc9bcff6034c13053, 0x964e858c91ba2655, 0xdff9772470297ebd,
	0xa6dfbd9fb8e5b88f, 0xf8a95fcf88747d94, 0xb94470938fa89bcf, 0x8a08f0f8bf0f156b,
	0xcdb02555653131b6, 0x993fe2c6d07b7fac, 0xe45c10c42a2b3b06, 0xaa242499697392d3,
	0xfd87b5f28300ca0e, 0xbce5086492111aeb, 0x8cbccc096f5088cc, 0xd1b71758e219652c,
	0x9c40000000000000, 0xe8d4a51000000000, 0xad78ebc5ac620000, 0x813f3978f8940984,
	0xc097ce7bc90715b3, 0x8f7e32ce7bea5c70, 0xd5d238a4abe98068, 0x9f4f2726179a2245,
	0xed63a231d4c4fb27, 0xb0de65388cc8ada8, 0x83c7088e1aab65db, 0xc45d1df942711d9a,
	0x924d692ca61be758, 0xda01ee641a708dea, 0xa26da3999aef774a, 0xf209787bb47d6b85,
	0xb454e4a179dd1877, 0x865b86925b9bc5c2, 0xc83553c5c8965d3d, 0x952ab45cfa97a0b3,
	0xde469fbd99a05fe3, 0xa59bc234db398c25, 0xf6c69a72a3989f5c, 0xb7dcbf5354e9bece,
	0x88fcf317f22241e2, 0xcc20ce9bd35c78a5, 0x98165af37b2153df, 0xe2a0b5dc971f303a,
	0xa8d9d1535ce3b396, 0xfb9b7cd9a4a7443c, 0xbb764c4ca7a44410, 0x8bab8eefb6409c1a,
	0xd01fef10a657842c, 0x9b10a4e5e9913129, 0xe7109bfba19c0c9d, 0xac2820d9623bf429,
	0x80444b5e7aa7cf85, 0xbf21e44003acdd2d, 0x8e679c2f5e44ff8f, 0xd433179d9c8cb841,
	0x9e19db92b4e31ba9, 0xeb96bf6ebadf77d9, 0xaf87023b9bf0ee6b,
}
