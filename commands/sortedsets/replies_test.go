package sortedsets

import (
	"fmt"
	"math"
	"testing"
)

func TestFourDecimals(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0.0000"}, {math.Copysign(0, -1), "0.0000"}, {0.00004, "0.0000"}, {0.00005, "0.0000"}, {0.00025, "0.0002"}, {0.00035, "0.0004"},
		{0.775, "0.7750"}, {1, "1.0000"}, {166274.15156960033, "166274.1516"}, {-0.01, "-0.0100"}, {99.99999, "100.0000"},
		// What the conversion to an integer gives in C.
		{1e300, "-922337203685477.5808"}, {math.Inf(1), "-922337203685477.5808"}, {math.NaN(), "-922337203685477.5808"},
	} {
		if got := string(appendFourDecimals(nil, c.f)); got != c.want {
			t.Errorf("%v: %s, want %s", c.f, got, c.want)
		}
	}
}

func TestScoreEnds(t *testing.T) {
	for text, want := range map[string]string{
		"1": "1 false true", "(1.5": "1.5 true true", "": "0 false true", "(": "0 true true", " 2": "2 false true",
		"\t\n(2": "0 false false", " ": "0 false false", "2 ": "0 false false", "inf": "+Inf false true", "(-infinity": "-Inf true true",
		"nan": "NaN false false", "1e999": "+Inf false true", "-1e999": "-Inf false true", "1e-999": "0 false true", "0x10": "16 false true",
		"0x1p4000": "+Inf false true", "1_0": "0 false false", "5\x00x": "5 false true", "((1": "0 true false", "x": "0 false false",
	} {
		f, ex, ok := scoreEnd([]byte(text))
		if got := fmt.Sprint(f, ex, ok); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestScannedNumbers(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 1e5: "100000", 1e17: "1e+17", 12345678901234567: "12345678901234568", 1e-5: "1.0000000000000001e-05"} {
		if got := string(appendScanned(nil, f)); got != want {
			t.Errorf("%v is scanned as %s, want %s", f, got, want)
		}
	}
}
