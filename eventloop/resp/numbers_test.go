package resp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/random"
)

func TestParseInt(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"7", 7, true}, {"-1", -1, true}, {"10", 10, true}, {"-10", -10, true},
		{"9223372036854775807", math.MaxInt64, true}, {"-9223372036854775808", math.MinInt64, true},
		{"9223372036854775808", 0, false}, {"-9223372036854775809", 0, false},
		{"18446744073709551616", 0, false}, {"9999999999999999999", 0, false}, {"-9999999999999999999", 0, false},
		{"99999999999999999999", 0, false}, {"100000000000000000000000", 0, false},
		{"", 0, false}, {"-", 0, false}, {"+1", 0, false}, {"-0", 0, false}, {"00", 0, false}, {"01", 0, false},
		{"-01", 0, false}, {" 1", 0, false}, {"1 ", 0, false}, {"1a", 0, false}, {"a", 0, false}, {"1.0", 0, false},
		{"--1", 0, false}, {"1-", 0, false}, {"1\x00", 0, false}, {"\xb1", 0, false}, {"0x1", 0, false}, {"1_0", 0, false},
	} {
		got, ok := ParseInt([]byte(c.in))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %d, %v", c.in, got, ok)
		}
	}
}

// FuzzParseInt: what parses is exactly what strconv prints.
func FuzzParseInt(f *testing.F) {
	for _, s := range []string{"0", "-0", "12", "-9223372036854775808", "9223372036854775808", "+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseInt([]byte(s))
		want, err := strconv.ParseInt(s, 10, 64)
		if wantOK := err == nil && strconv.FormatInt(want, 10) == s; ok != wantOK || ok && got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	})
}

func TestAppendInt(t *testing.T) {
	check := func(n int64) {
		if got, want := string(AppendInt([]byte("x"), n)), "x"+strconv.FormatInt(n, 10); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := string(AppendUint(nil, uint64(n))), strconv.FormatUint(uint64(n), 10); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for n := int64(-11000); n <= 11000; n++ {
		check(n)
	}
	for n := uint64(1); n < 1<<63; n += n/3 + 1 {
		check(int64(n))
		check(-int64(n))
	}
	check(math.MaxInt64)
	check(math.MinInt64)
}

func TestParseFloat(t *testing.T) {
	for _, c := range []struct {
		in   string
		want float64
		ok   bool
	}{
		{"0", 0, true}, {"1", 1, true}, {"-1", -1, true}, {"+1", 1, true}, {"3.0", 3, true}, {".5", .5, true},
		{"5.", 5, true}, {"-.5", -.5, true}, {"0001", 1, true}, {"1e5", 1e5, true}, {"1E+5", 1e5, true},
		{"1.5e-3", 1.5e-3, true}, {"0.1", 0.1, true}, {"123456789012345", 123456789012345, true},
		{"0.12345678901234567", 0.12345678901234567, true}, {"9007199254740993", 9007199254740992, true},
		{"1e308", 1e308, true}, {"1.7976931348623157e308", math.MaxFloat64, true}, {"1e309", 0, false}, {"-1e309", 0, false},
		{"5e-324", 5e-324, true}, {"1e-310", 1e-310, true}, {"1e-400", 0, false}, {"-1e-400", 0, false},
		{"0e-400", 0, true}, {"0.000e5", 0, true}, {"0e999999999", 0, true},
		{"inf", math.Inf(1), true}, {"-inf", math.Inf(-1), true}, {"+inf", math.Inf(1), true}, {"INF", math.Inf(1), true},
		{"Infinity", math.Inf(1), true}, {"-iNFINITY", math.Inf(-1), true}, {"infin", 0, false}, {"infinityx", 0, false},
		{"nan", 0, false}, {"-nan", 0, false}, {"NAN", 0, false}, {"nan(1)", 0, false},
		{"0x10", 16, true}, {"-0x1F", -31, true}, {"0x1.8", 1.5, true}, {"0x1.8p3", 12, true}, {"0X.8P-1", .25, true},
		{"+0x0", 0, true}, {"0x1.", 1, true}, {"0x", 0, false}, {"0x.", 0, false}, {"0xp1", 0, false}, {"0x.p1", 0, false},
		{"0x1p", 0, false}, {"0x1p-2000", 0, false}, {"0x0p-2000", 0, true}, {"0x1p2000", 0, false}, {"0x_1p0", 0, false}, {"0xg", 0, false},
		{"0x1p+3", 8, true}, {"--0x1", 0, false}, {"0x-1", 0, false}, {"0x1 ", 0, false},
		{"", 0, false}, {"+", 0, false}, {"-", 0, false}, {".", 0, false}, {"-.", 0, false}, {"e5", 0, false}, {"1e", 0, false}, {"1e+", 0, false},
		{" 1", 0, false}, {"\t1", 0, false}, {"1 ", 0, false}, {"1x", 0, false}, {"1_0", 0, false}, {"1.2.3", 0, false}, {"--1", 0, false},
		{"+-1", 0, false}, {"1\x00", 0, false}, {"1,5", 0, false}, {"0b1", 0, false}, {"0o7", 0, false}, {"1e5.5", 0, false},
	} {
		got, ok := ParseFloat([]byte(c.in))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %v, %v", c.in, got, ok)
		}
	}
	if f, ok := ParseFloat([]byte("-0")); !ok || !math.Signbit(f) {
		t.Error("-0", f, ok)
	}
}

// FuzzParseFloat compares decimal numbers with strconv: the fast way must round the same.
func FuzzParseFloat(f *testing.F) {
	f.Add("0.3", int16(3))
	f.Add("123456789012345", int16(-400))
	f.Fuzz(func(t *testing.T, s string, exp int16) {
		if strings.Trim(s, "0123456789.-") != "" {
			return
		}
		for _, s := range []string{s, s + "e" + strconv.Itoa(int(exp))} {
			got, ok := ParseFloat([]byte(s))
			want, err := strconv.ParseFloat(s, 64)
			if err == nil && want == 0 && strings.ContainsAny(strings.SplitN(s, "e", 2)[0], "123456789") {
				err = strconv.ErrRange
			}
			if ok != (err == nil) || ok && math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%q: %v, %v; want %v, %v", s, got, ok, want, err)
			}
		}
	})
}

// The right column is what redis-server 7.2.6 prints for ZADD k <left> m, ZSCORE k m (-0 and nan:
// for what Lua returns).
var doubles = []struct {
	f    float64
	want string
}{
	{0, "0"}, {math.Copysign(0, -1), "-0"}, {1, "1"}, {-1, "-1"}, {3.0, "3"}, {0.1, "0.1"}, {-0.1, "-0.1"}, {1.5, "1.5"},
	{math.Inf(1), "inf"}, {math.Inf(-1), "-inf"}, {math.NaN(), "nan"},
	{3.141592653589793, "3.141592653589793"}, {1e15, "1000000000000000"}, {1e17, "100000000000000000"},
	{1e18, "1000000000000000000"}, {4611686018427387904, "4611686018427387904"}, {-4611686018427387904, "-4611686018427387904"},
	{4611686018427388928, "4611686018427389000"}, {9223372036854775808, "9223372036854776000"},
	{1e19, "1e+19"}, {1.5e19, "1.5e+19"}, {1e20, "1e+20"}, {1e21, "1e+21"}, {1.5e21, "1.5e+21"}, {1.5e300, "1.5e+300"}, {-1e300, "-1e+300"},
	{0.01, "0.01"}, {0.001, "0.001"}, {0.0001, "0.0001"}, {0.00001, "0.00001"}, {0.000001, "0.000001"},
	{0.0000001, "1e-7"}, {0.00000015, "1.5e-7"}, {0.0000015, "1.5e-6"}, {1e-100, "1e-100"}, {-2.5e-10, "-2.5e-10"},
	{12345.678, "12345.678"}, {1234567.125, "1234567.125"}, {122746.34096692113, "1.2274634096692113e+5"}, {309558322.749, "309558322.749"},
	{1.7976931348623157e308, "1.7976931348623157e+308"}, {5e-324, "5e-324"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
	{5.0e-5, "0.00005"}, {1234.5678901234567, "1234.5678901234567"}, {9999.99999999999, "9999.99999999999"}, {12345.678901234567, "1.2345678901234567e+4"},
	// Grisu2 does not find the shortest or the nearest.
	{math.Float64frombits(0x3feb1b688a11a888), "0.8470957466754649"}, {math.Float64frombits(0x3fdc35f3ae1a7ea2), "0.44079296114248667"},
	{math.Float64frombits(0x430f32f4a967cafa), "1097718834198879.3"}, {math.Float64frombits(0x457f7cc5252cc983), "6.0905456862798887e+26"},
}

func TestFormatDouble(t *testing.T) {
	for _, c := range doubles {
		if got := string(FormatDouble([]byte("x"), c.f)); got != "x"+c.want {
			t.Errorf("%b: got %s, want %s", c.f, got[1:], c.want)
		}
	}
}

// TestDoubleRoundTrip: every double reads back as itself, is hardly ever longer than
// it must be, and never longer than 25 bytes.
func TestDoubleRoundTrip(t *testing.T) { random.Repeat(t, testDoubleRoundTrip) }

func testDoubleRoundTrip(t *testing.T) {
	rnd := random.New(t)
	longer, n := 0, 50000
	digitsOnly := strings.NewReplacer(".", "", "-", "")
	for i := range n {
		f := math.Float64frombits(rnd.Uint64())
		switch i % 4 {
		case 1:
			f = float64(rnd.Int64N(1e12)) / 1000
		case 2:
			f = rnd.Float64()
		case 3:
			f = math.Ldexp(1, rnd.IntN(2098)-1074)
		}
		if f != f || math.IsInf(f, 0) {
			continue
		}
		s := FormatDouble(nil, f)
		if len(s) > 25 {
			t.Fatalf("%q is %d bytes", s, len(s))
		}
		if back, ok := ParseFloat(s); !ok || back != f {
			t.Fatalf("%b printed as %q reads %b", f, s, back)
		}
		if f == math.Trunc(f) && math.Abs(f) <= 1<<62 {
			continue
		}
		digits := strings.Trim(digitsOnly.Replace(strings.SplitN(string(s), "e", 2)[0]), "0")
		best := digitsOnly.Replace(strings.SplitN(strconv.FormatFloat(f, 'e', -1, 64), "e", 2)[0])
		if len(digits) > len(strings.Trim(best, "0")) {
			longer++
		}
	}
	if longer > n/500 {
		t.Errorf("%d of %d are longer than needed", longer, n)
	}
}

func FuzzFormatDouble(f *testing.F) {
	for _, c := range doubles {
		f.Add(math.Float64bits(c.f))
	}
	f.Fuzz(func(t *testing.T, u uint64) {
		x := math.Float64frombits(u)
		s := FormatDouble(nil, x)
		back, ok := ParseFloat(s)
		if x != x {
			if string(s) != "nan" {
				t.Errorf("%q", s)
			}
		} else if !ok || math.Float64bits(back) != u {
			t.Errorf("%x printed as %q reads %v", u, s, back)
		}
	})
}

func TestNumberAllocs(t *testing.T) {
	var a [64]byte
	texts := [][]byte{[]byte("1"), []byte("0.12345678901234567"), []byte("-1.7976931348623157e+308"), []byte("1e"), []byte("0x1.8")}
	if n := testing.AllocsPerRun(100, func() {
		FormatDouble(a[:0], 0.1)
		FormatDouble(a[:0], -1.2345e300)
		AppendInt(a[:0], math.MinInt64)
		for _, s := range texts[:3] {
			ParseFloat(s)
			ParseInt(s)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFormatDouble(b *testing.B) {
	var a [64]byte
	for i := 0; b.Loop(); i++ {
		FormatDouble(a[:0], 0.1+float64(i))
	}
}

func BenchmarkAppendInt(b *testing.B) {
	for _, n := range []int64{7, 42, 512, 12345, 1234567890123} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var a [64]byte
			for b.Loop() {
				AppendInt(a[:0], n)
			}
		})
		b.Run(fmt.Sprint("strconv/", n), func(b *testing.B) {
			var a [64]byte
			for b.Loop() {
				strconv.AppendInt(a[:0], n, 10)
			}
		})
	}
}

func BenchmarkParseInt(b *testing.B) {
	for _, s := range []string{"1", "-12345", "1234567890123456789"} {
		b.Run(s, func(b *testing.B) {
			t := []byte(s)
			for b.Loop() {
				ParseInt(t)
			}
		})
	}
}

func BenchmarkParseFloat(b *testing.B) {
	for _, s := range []string{"1", "3.25", "0.12345678901234567", "1e20"} {
		b.Run(s, func(b *testing.B) {
			t := []byte(s)
			for b.Loop() {
				ParseFloat(t)
			}
		})
	}
}
