package vm

import (
	"fmt"
	"math"
	"testing"

	"ferrous/tests/random"

	lua "github.com/yuin/gopher-lua"
)

// check compares a table with a map, and looks at its invariants.
func check(t *testing.T, tb *lua.LTable, model map[lua.LValue]lua.LValue) {
	t.Helper()
	x := tableOf(tb)
	if n := len(x.array); n > 0 && x.array[n-1] == lua.LNil {
		t.Fatal("the array ends in a nil")
	}
	if GetInt(tb, Len(tb)+1) != lua.LNil {
		t.Fatal("the key behind the border is alive")
	}
	if got := Count(tb); got != len(model) {
		t.Fatalf("%d keys, want %d", got, len(model))
	}
	for k, v := range model {
		if got := Get(tb, k); got != v {
			t.Fatalf("t[%v] = %v, want %v", k, got, v)
		}
	}
	seen := map[lua.LValue]bool{}
	for k, v := Next(tb, lua.LNil); k != lua.LNil; k, v = Next(tb, k) {
		if seen[k] || model[k] != v {
			t.Fatalf("next answers %v = %v, want %v (seen before: %v)", k, v, model[k], seen[k])
		}
		seen[k] = true
	}
	if len(seen) != len(model) {
		t.Fatalf("next shows %d keys of %d", len(seen), len(model))
	}
}

func TestTableAgainstMap(t *testing.T) { random.Repeat(t, testTableAgainstMap) }

func testTableAgainstMap(t *testing.T) {
	r := random.New(t)
	for range 300 {
		tb := NewTable(r.IntN(4), r.IntN(4))
		model := map[lua.LValue]lua.LValue{}
		span := 1 + r.IntN(60)
		key := func() lua.LValue {
			switch r.IntN(8) {
			case 0:
				return lua.LString(fmt.Sprint("k", r.IntN(span)))
			case 1:
				return lua.LBool(r.IntN(2) == 0)
			case 2:
				return lua.LNumber(float64(r.IntN(span)) + 0.5)
			case 3:
				return lua.LNumber(-r.IntN(span))
			case 4:
				return lua.LNumber(Len(tb) + 1)
			case 5:
				return lua.LNumber(max(Len(tb), 1))
			}
			return lua.LNumber(1 + r.IntN(span))
		}
		for i := range 200 {
			k := key()
			if r.IntN(3) == 0 {
				Set(tb, k, lua.LNil)
				delete(model, k)
			} else {
				v := lua.LNumber(i)
				Set(tb, k, v)
				model[k] = v
			}
			if i%20 == 0 {
				check(t, tb, model)
			}
		}
		check(t, tb, model)
		// A loop may take away what it visits.
		for k, _ := Next(tb, lua.LNil); k != lua.LNil; k, _ = Next(tb, k) {
			if r.IntN(2) == 0 {
				Set(tb, k, lua.LNil)
				delete(model, k)
			}
		}
		check(t, tb, model)
	}
}

func TestZeroIsOneKey(t *testing.T) {
	tb := NewTable(0, 0)
	Set(tb, lua.LNumber(math.Copysign(0, -1)), lua.LNumber(1))
	Set(tb, lua.LNumber(0), lua.LNumber(2))
	if Count(tb) != 1 || GetInt(tb, 0) != lua.LNumber(2) {
		t.Error(Count(tb), GetInt(tb, 0))
	}
	if k, _ := Next(tb, lua.LNil); FormatNumber(float64(k.(lua.LNumber))) != "-0" {
		t.Error(k)
	}
}

func TestLayout(t *testing.T) {
	if text := layoutError(); text != "" {
		t.Fatal(text)
	}
}

func TestNumbers(t *testing.T) {
	for s, want := range map[string]float64{
		"10": 10, " 10 ": 10, "0x10": 16, "1e2": 100, "-5": -5, ".5": 0.5, "5.": 5, "0x1p4": 16, "0x.8": 0.5, "inf": math.Inf(1),
		"-Infinity": math.Inf(-1), "1e400": math.Inf(1), "010": 10, "10\x00x": 10, "+3": 3,
	} {
		if got, ok := ParseNumber(s); !ok || got != want {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", " ", "x", "1x", "1_000", "0b1", "0x", "1e", "--1", "1 2", "0x1p", "e5", "."} {
		if got, ok := ParseNumber(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
	negative := math.Copysign(math.NaN(), -1)
	for want, f := range map[string]float64{
		"0": 0, "-0": math.Copysign(0, -1), "1e+15": 1e15, "1e+14": 1e14, "100000": 100000, "0.1": 0.1, "0.3": 0.1 + 0.2,
		"inf": math.Inf(1), "-inf": math.Inf(-1), "nan": math.NaN(), "-nan": negative, "3.1415926535898": math.Pi,
		"1.2345678901235e+19": 12345678901234567890, "-5": -5, "1.2345678901234e+14": 123456789012345,
	} {
		if got := FormatNumber(f); got != want {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
}

// A queue is written at one end and cleared at the other: its table stays as small as what it holds, also when it is filled at a
// random end or begins anew.
func TestQueueStaysSmall(t *testing.T) { random.Repeat(t, testQueueStaysSmall) }

func testQueueStaysSmall(t *testing.T) {
	r := random.New(t)
	tb := NewTable(0, 0)
	model := map[lua.LValue]lua.LValue{}
	head, tail, largest := 1, 0, 0
	for i := range 20_000 {
		if tail-head < 100 && r.IntN(3) > 0 || tail < head {
			tail++
			Set(tb, lua.LNumber(tail), lua.LNumber(i))
			model[lua.LNumber(tail)] = lua.LNumber(i)
		} else {
			Set(tb, lua.LNumber(head), lua.LNil)
			delete(model, lua.LNumber(head))
			head++
		}
		if r.IntN(4000) == 0 { // begin anew
			for k := range model {
				Set(tb, k, lua.LNil)
			}
			clear(model)
			head, tail = 1, 0
		}
		if i%500 == 0 {
			check(t, tb, model)
		}
		largest = max(largest, cap(tableOf(tb).array)+cap(tableOf(tb).entries))
	}
	check(t, tb, model)
	if largest > 1000 {
		t.Errorf("there was room for %d values, of at most 101", largest)
	}
}
