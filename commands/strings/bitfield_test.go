package strings

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestParseIntType(t *testing.T) {
	for _, tc := range []struct {
		text string
		want intType
		ok   bool
	}{
		{"i1", intType{1, true}, true}, {"u1", intType{1, false}, true},
		{"i64", intType{64, true}, true}, {"u63", intType{63, false}, true},
		{"i8\x00x", intType{8, true}, true},
		{"u64", intType{}, false}, {"i65", intType{}, false}, {"i0", intType{}, false}, {"u0", intType{}, false},
		{"", intType{}, false}, {"i", intType{}, false}, {"u", intType{}, false}, {"8", intType{}, false},
		{"I8", intType{}, false}, {"i-8", intType{}, false}, {"i08", intType{}, false}, {"i8 ", intType{}, false},
		{"i264", intType{}, false}, {"i18446744073709551624", intType{}, false},
	} {
		got, ok := parseIntType([]byte(tc.text))
		if ok != tc.ok || ok && got != tc.want {
			t.Errorf("%q: %+v %t", tc.text, got, ok)
		}
	}
}

// allTypes calls fn for i1 to i64 and u1 to u63.
func allTypes(fn func(intType)) {
	for width := uint8(1); width <= 64; width++ {
		fn(intType{width, true})
		if width < 64 {
			fn(intType{width, false})
		}
	}
}

// Every type at every bit of a byte, over random bytes: what was put is got, and no other bit changes.
func TestIntTypePutGet(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 2))
	allTypes(func(typ intType) {
		for offset := int64(0); offset < 24; offset++ {
			n := (offset+int64(typ.bits)+7)>>3 + rnd.Int64N(3)
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			before := string(b)
			v := rnd.Int64()
			typ.put(b, offset, v)
			if got := typ.get(b, offset); got != typ.wrap(v) {
				t.Fatalf("%+v at %d: put %x, got %x", typ, offset, v, got)
			}
			for at := range n << 3 {
				want := bitAt(before, at)
				if i := at - offset; 0 <= i && i < int64(typ.bits) {
					want = byte(v >> (int64(typ.bits) - 1 - i) & 1)
				}
				if bitAt(string(b), at) != want {
					t.Fatalf("%+v at %d: bit %d is wrong", typ, offset, at)
				}
			}
			// Bits behind the end are zero.
			cut := b[:rnd.Int64N(n)]
			padded := append(append([]byte(nil), cut...), make([]byte, 12)...)
			if got, want := typ.get(cut, offset), typ.get(padded, offset); got != want {
				t.Fatalf("%+v at %d of %d bytes: %x, want %x", typ, offset, len(cut), got, want)
			}
		}
	})
}

// Sums at and around the ends of every type, against integers of any size.
func TestIntTypeAdd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 2))
	allTypes(func(typ intType) {
		high, low := big.NewInt(typ.highest()), big.NewInt(typ.lowest())
		width := new(big.Int).Lsh(big.NewInt(1), uint(typ.bits))
		values := []int64{typ.lowest(), typ.highest(), 0, typ.wrap(1), typ.wrap(-1), typ.wrap(rnd.Int64())}
		for _, v := range values {
			for _, by := range []int64{0, 1, -1, 2, -2, typ.highest(), typ.lowest(), -typ.highest(), math.MaxInt64,
				math.MinInt64, math.MinInt64 + 1, rnd.Int64(), -rnd.Int64(), rnd.Int64() >> 33} {
				sum := new(big.Int).Add(big.NewInt(v), big.NewInt(by))
				fits := sum.Cmp(high) <= 0 && sum.Cmp(low) >= 0
				limit := typ.highest()
				if sum.Cmp(low) < 0 {
					limit = typ.lowest()
				}
				wrapped := new(big.Int).Sub(sum, low)
				wrapped.Add(wrapped.Mod(wrapped, width), low) // Mod of big is never negative
				for how, want := range map[overflow]int64{overflowWrap: wrapped.Int64(), overflowSat: limit, overflowFail: 0} {
					if fits {
						want = sum.Int64()
					}
					got, ok := typ.add(v, by, how)
					if got != want || ok != (fits || how != overflowFail) {
						t.Fatalf("%+v: %d + %d, overflow %d: %d %t, want %d", typ, v, by, how, got, ok, want)
					}
				}
			}
		}
	})
	// SET of what the type cannot hold: a negative number is a high one to an unsigned type.
	for _, tc := range []struct {
		typ            intType
		v, wrap, limit int64
	}{
		{intType{8, false}, 256, 0, 255}, {intType{8, false}, -1, 255, 255}, {intType{63, false}, -1, math.MaxInt64, math.MaxInt64},
		{intType{8, true}, 128, -128, 127}, {intType{8, true}, -129, 127, -128}, {intType{1, true}, 1, -1, 0},
		{intType{8, true}, math.MinInt64 + 128, -128, -128},
		// As Redis: this far below, it is the other end.
		{intType{8, true}, math.MinInt64 + 127, 127, 127}, {intType{63, true}, math.MinInt64, 0, math.MaxInt64 >> 1},
	} {
		wrap, _ := tc.typ.add(tc.v, 0, overflowWrap)
		limit, _ := tc.typ.add(tc.v, 0, overflowSat)
		if _, ok := tc.typ.add(tc.v, 0, overflowFail); ok || wrap != tc.wrap || limit != tc.limit {
			t.Errorf("%+v: set to %d: wraps to %d, is limited to %d, fails %t", tc.typ, tc.v, wrap, limit, !ok)
		}
	}
}

// bitAt returns one bit of s, 0 behind its end.
func bitAt(s string, at int64) byte {
	if at>>3 >= int64(len(s)) {
		return 0
	}
	return s[at>>3] >> (7 - at&7) & 1
}
