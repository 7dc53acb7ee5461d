package longdouble

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"ferrous/tests/random"
)

// What redis-server 7.2.6 on amd64 answers to SET k A, INCRBYFLOAT k B. "" is "value is not a valid float", "!" is
// "increment would produce NaN or Infinity".
func TestAgainstRedis(t *testing.T) {
	ones := strings.Repeat("1", 30)
	e4932 := new(big.Int).Exp(big.NewInt(10), big.NewInt(4932), nil)
	e4932.Rsh(e4932, 16384-64).Add(e4932, big.NewInt(1)).Lsh(e4932, 16384-64)
	for _, tc := range [][3]string{
		{"0.1", "0.2", "0.3"},
		{"10.50", "0.1", "10.6"},
		{"5.0e3", "2.0e2", "5200"},
		{"3", "1.000000000000000005", "4.00000000000000001"},
		{"0", "0.000000000000000005", "0"},
		{"0", "0.0000000000000000051", "0.00000000000000001"},
		{"0", "0.00000000000000000499", "0"},
		{"0", "-0.00000000000000000499", "0"},
		{"-0", "-0", "0"},
		{"0x1f", "0x1.8p3", "43"},
		{"0X1F", "0", "31"},
		{"1e17", "0.1", "100000000000000000.1015625"},
		{"1e19", "0.1", "10000000000000000000"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{ones, "0", "111111111111111111110991806464"},
		{".5", "5.", "5.5"},
		{"inf", "1", "!"},
		{"-Infinity", "inf", "!"},
		{"1", "nan", ""},
		{"1", "infin", ""},
		{" 1", "1", ""},
		{"1", "1 ", ""},
		{"1", "", ""},
		{"1", "+", ""},
		{"1", ".", ""},
		{"1", "1e", ""},
		{"1", "1e+", ""},
		{"1", "--1", ""},
		{"1", "1_000", ""},
		{"1", "0b1", ""},
		{"1", "0x", ""},
		{"1", "0x.p1", ""},
		{"1", "0x1p", ""},
		{"1", "1.2.3", ""},
		{"1", "1\x00", ""},
		{"1", "1e4932", e4932.String()},
		{"1", "1e4933", ""},
		{"1", "0x1p16384", ""},
		{"1", "0xffffffffffffffff8p16316", ""},
		{"1", "1e-4950", "1"},
		{"1", "1e-4952", ""},
		{"1", "0x1p-16445", "1"},
		{"1", "0x1.8p-16446", "1"},
		{"1", "0x1p-16446", ""},
		{"1", "0e999999999999999999999", "1"},
		{"1", "1e999999999999999999999", ""},
		{"1", "1e-999999999999999999999", ""},
		{"1", strings.Repeat("0", 5119), "1"},
		{"1", strings.Repeat("0", 5120), ""},
		{"1", "0." + strings.Repeat("0", 4960) + "1", ""},
		{"1", strings.Repeat("9", 4940), ""},
	} {
		a, okA := Parse([]byte(tc[0]))
		b, okB := Parse([]byte(tc[1]))
		var got string
		if okA && okB {
			if sum := Add(a, b); sum.IsFinite() {
				got = string(sum.Append(nil))
			} else {
				got = "!"
			}
		}
		if want := tc[2]; got != want {
			t.Errorf("%.40s + %.40s = %.60s, want %.60s", tc[0], tc[1], got, want)
		}
	}
}

// model computes with math/big in its own way: exact rationals, rounded to 64 bits by Float.SetRat.
func model(r *big.Rat) *big.Float { return new(big.Float).SetPrec(64).SetRat(r) }

func modelText(f *big.Float) string {
	s := strings.TrimRight(f.Text('f', 17), "0")
	s = strings.TrimSuffix(s, ".")
	if s == "-0" {
		return "0"
	}
	return s
}

// toFloat converts exactly.
func (v Value) toFloat() *big.Float {
	f := new(big.Float).SetPrec(64)
	if v.kind == finite {
		f.SetMantExp(f.SetUint64(v.mant), int(v.exp))
	}
	if v.neg {
		f.Neg(f)
	}
	return f
}

func randomLiteral(rnd *rand.Rand) string {
	var sb strings.Builder
	if rnd.IntN(3) == 0 {
		sb.WriteByte("+-"[rnd.IntN(2)])
	}
	digits := 1 + rnd.IntN(22)
	switch rnd.IntN(6) {
	case 0:
		digits = 1 + rnd.IntN(60)
	case 1:
		digits = 1 + rnd.IntN(4)
	}
	dot := rnd.IntN(digits + 1)
	if rnd.IntN(3) == 0 {
		dot = -1
	}
	fill := byte(0) // long runs of 0 or 9 come near to ties
	if rnd.IntN(4) == 0 {
		fill = "095"[rnd.IntN(3)]
	}
	for i := range digits {
		if i == dot {
			sb.WriteByte('.')
		}
		if fill != 0 && rnd.IntN(8) != 0 {
			sb.WriteByte(fill)
		} else {
			sb.WriteByte(byte('0' + rnd.IntN(10)))
		}
	}
	switch rnd.IntN(4) {
	case 0:
		sb.WriteString("e" + strconv.Itoa(rnd.IntN(60)-30))
	case 1:
		if rnd.IntN(20) == 0 {
			sb.WriteString("E" + strconv.Itoa(rnd.IntN(9000)-4500))
		}
	}
	return sb.String()
}

func TestModel(t *testing.T) { random.Repeat(t, testModel) }

func testModel(t *testing.T) {
	n := 30_000
	if testing.Short() {
		n = 3_000
	}
	rnd := random.New(t)
	sum, sumModel := Value{}, new(big.Float).SetPrec(64)
	for range n {
		lit := randomLiteral(rnd)
		r, ok := new(big.Rat).SetString(strings.TrimPrefix(lit, "+"))
		if !ok {
			t.Fatalf("%q is not a literal", lit)
		}
		v, ok := Parse([]byte(lit))
		if !ok {
			t.Fatalf("%q refused", lit)
		}
		want := model(r)
		if v.toFloat().Cmp(want) != 0 {
			t.Fatalf("%q is %v, want %v", lit, v.toFloat(), want)
		}
		if got, want := string(v.Append(nil)), modelText(want); got != want {
			t.Fatalf("%q prints as %s, want %s", lit, got, want)
		}
		if rnd.IntN(50) == 0 { // start again somewhere else
			sum, sumModel = v, want
			continue
		}
		if rnd.IntN(20) == 0 { // cancel nearly everything
			v, want = sum, new(big.Float).Set(sumModel)
			v.neg = !v.neg
			want.Neg(want)
			if v.kind == finite && v.mant<<1 != 0 {
				v.mant ^= 1
				want = v.toFloat()
			}
		}
		sum = Add(sum, v)
		sumModel = new(big.Float).SetPrec(64).Add(sumModel, want)
		if sum.toFloat().Cmp(sumModel) != 0 {
			t.Fatalf("sum after %q is %v, want %v", lit, sum.toFloat(), sumModel)
		}
		if got, want := string(sum.Append(nil)), modelText(sumModel); got != want {
			t.Fatalf("sum %v prints as %s, want %s", sumModel, got, want)
		}
	}
}

func TestHexModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for range 5_000 {
		digits := make([]byte, 1+rnd.IntN(40))
		for i := range digits {
			digits[i] = "0123456789abcdefABCDEF"[rnd.IntN(22)]
			if rnd.IntN(2) == 0 {
				digits[i] = '0'
			}
		}
		exp := rnd.IntN(200) - 100
		n, _ := new(big.Int).SetString(string(digits), 16)
		dot := rnd.IntN(len(digits) + 1)
		lit := "0x" + string(digits[:dot]) + "." + string(digits[dot:]) + "p" + strconv.Itoa(exp)
		v, ok := Parse([]byte(lit))
		want := new(big.Float).SetPrec(64).SetInt(n)
		want.SetMantExp(want, exp-4*(len(digits)-dot))
		if !ok || v.toFloat().Cmp(want) != 0 {
			t.Fatalf("%s is %v (%v), want %v", lit, v.toFloat(), ok, want)
		}
	}
}

func TestFromInt(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 10, 1<<63 - 1, -1 << 63} {
		if got, want := string(FromInt(n).Append(nil)), strconv.FormatInt(n, 10); got != want {
			t.Errorf("%d prints as %s", n, got)
		}
	}
}

func TestNonFinite(t *testing.T) {
	plus, _ := Parse([]byte("inf"))
	minus, _ := Parse([]byte("-INFINITY"))
	huge, _ := Parse([]byte("1e4932"))
	for i, tc := range []struct {
		v    Value
		want string
	}{
		{plus, "inf"}, {minus, "-inf"}, {Add(plus, minus), "nan"}, {Add(plus, plus), "inf"},
		{Add(FromInt(1), minus), "-inf"}, {Add(Add(plus, minus), FromInt(1)), "nan"},
	} {
		if got := string(tc.v.Append(nil)); got != tc.want {
			t.Errorf("%d: %s, want %s", i, got, tc.want)
		}
	}
	sum := huge
	for range 4 {
		sum = Add(sum, sum)
	}
	if sum.IsFinite() || string(sum.Append(nil)) != "inf" {
		t.Errorf("16e4932 = %.20s", sum.Append(nil))
	}
}

func TestAllocs(t *testing.T) {
	buf := make([]byte, 0, 64)
	a, b := []byte("1234567.10000000000000142"), []byte("-0.1")
	if n := testing.AllocsPerRun(100, func() {
		x, _ := Parse(a)
		y, _ := Parse(b)
		buf = Add(x, y).Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever is accepted prints as something that is accepted and prints the same, and needs bounded time.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "-1.5e10", "0x1.8p-3", "inf", "1e4932", "1e-4950", "00012.5000", "1e99999999999", "."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		v, ok := Parse(s)
		if !ok {
			return
		}
		text := v.Append(nil)
		again, ok := Parse(text)
		if !ok {
			t.Fatalf("%q prints as %q, which is refused", s, text)
		}
		if second := again.Append(nil); !bytes.Equal(text, second) {
			t.Fatalf("%q prints as %q, then as %q", s, text, second)
		}
	})
}

func BenchmarkIncrByFloat(b *testing.B) {
	v, by := []byte("1234567.10000000000000142"), []byte("0.1")
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		x, _ := Parse(v)
		y, _ := Parse(by)
		buf = Add(x, y).Append(buf[:0])
	}
}

func TestMilliseconds(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"0.1", 100, true}, {"0.001", 1, true}, {"0.0001", 1, true}, {"1e-300", 1, true},
		{"1.0001", 1001, true}, {"0.3", 300, true}, {"2.675", 2675, true}, {"-0.0001", 0, true}, {"-0.001", 0, true},
		{"-0.0025", -2, true}, {"-1", -1000, true},
		{"-1.5", -1500, true}, {"9223372036854775.807", 9223372036854775807, true}, {"9223372036854775.808", 0, false},
		{"1e30", 0, false}, {"inf", 0, false}, {"-inf", -1 << 63, true}, {"-1e30", -1 << 63, true},
		{"-9223372036854775.808", -1<<63 + 1, true}, // as the x87 rounds
	} {
		v, ok := Parse([]byte(tt.in))
		if !ok {
			t.Fatalf("%s is not parsed", tt.in)
		}
		if n, ok := Times(v, 1000).Ceil(); ok != tt.ok || ok && n != tt.want {
			t.Errorf("%s s: %d ms, %v; want %d, %v", tt.in, n, ok, tt.want, tt.ok)
		}
	}
}
