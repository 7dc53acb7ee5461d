package vm

import (
	"math"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func TestStrtod(t *testing.T) {
	for _, c := range []struct {
		s string
		f float64
		n int
	}{
		{"", 0, 0}, {"-", 0, 0}, {"+.", 0, 0}, {".", 0, 0}, {"e5", 0, 0}, {"x", 0, 0},
		{"0", 0, 1}, {"12]", 12, 2}, {"-7,", -7, 2}, {"+7", 7, 2}, {"007", 7, 3},
		{"1.", 1, 2}, {".5", .5, 2}, {"-.5e1x", -5, 5}, {"1e", 1, 1}, {"1e+", 1, 1}, {"1e5e5", 1e5, 3}, {"1.2.3", 1.2, 3},
		{"0x", 0, 1}, {"0xg", 0, 1}, {"0x1F", 31, 4}, {"-0x1.8p1", -3, 8}, {"0x1p", 1, 3}, {"0x.8", .5, 4}, {"0x.", 0, 1},
		{"1_0", 1, 1}, {"0b1", 0, 1}, {"0o7", 0, 1}, {"1e400", math.Inf(1), 5}, {"1e-400", 0, 6},
		{"inf", math.Inf(1), 3}, {"-INFINITYx", math.Inf(-1), 9}, {"infinit", math.Inf(1), 3}, {"in", 0, 0},
		{"9007199254740993", 9007199254740992, 16}, {"123456789012345678901", 123456789012345678901, 21},
	} {
		f, n := Strtod(c.s)
		if f != c.f || n != c.n {
			t.Errorf("%q: %v %d, want %v %d", c.s, f, n, c.f, c.n)
		}
	}
	for s, n := range map[string]int{"nan": 3, "-NaN": 4, "nan(1_x)]": 8, "nan(": 3, "nan(-)": 3} {
		f, got := Strtod(s)
		if f == f || got != n || math.Signbit(f) != (s[0] == '-') {
			t.Errorf("%q: %v %d", s, f, got)
		}
	}
}

// A number in a box is the same one, bit by bit, whether its box is shared or not.
func TestBoxes(t *testing.T) {
	var before, after boxes
	after.share()
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1, 0.5, smallNumbers - 1, smallNumbers - 0.5, smallNumbers, smallNumbers + 1,
		1e300, -1e300, 1 << 62, 1 << 63, -1 << 63, 1 << 64, math.Inf(1), math.Inf(-1), math.NaN()} {
		for _, b := range []*boxes{&before, &after} {
			if got := float64(b.number(f).(lua.LNumber)); math.Float64bits(got) != math.Float64bits(f) {
				t.Errorf("%v became %v", f, got)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { after.number(smallNumbers - 1) }); n != 0 {
		t.Errorf("%v allocations for a shared box", n)
	}
	if a, b := after.number(7), after.number(7); dataWord(a) != dataWord(b) {
		t.Error("two boxes for 7")
	}
}
