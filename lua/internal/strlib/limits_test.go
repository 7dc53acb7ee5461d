package strlib

import (
	"runtime"
	"testing"

	"ferrous/lua/internal/baselib"
	"ferrous/lua/internal/vm"
)

// A short script can ask for a result of any length: it is refused before it is built.
func TestExpansionIsMeasured(t *testing.T) {
	for _, src := range []string{
		`return string.gsub(string.rep('x', 1e6), '.*', string.rep('%0', 1500))`,
		`return string.gsub(string.rep('x', 1e6), '(.*)', string.rep('%1', 1500))`,
	} {
		h := vm.NewHost()
		baselib.Open(h)
		Open(h)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := h.Eval(src)
		runtime.ReadMemStats(&after)
		if err == nil || err.Error() != "not enough memory" {
			t.Errorf("%s: %v", src, err)
		}
		// While a result grows to MaxString, append leaves some six times that behind.
		if got := after.TotalAlloc - before.TotalAlloc; got > 8*vm.MaxString {
			t.Errorf("%s: %d MB allocated", src, got>>20)
		}
	}
}

// Every script here works for long between two steps of the matcher, or without any: its ticks must end it.
func TestLongWorkTicks(t *testing.T) {
	for _, src := range []string{
		`return string.find(string.rep('a', 1e5), '[' .. string.rep('b', 1e5) .. ']')`,
		`return string.gsub(string.rep('a', 1e5), '[' .. string.rep('b', 1e5) .. ']', '')`,
		`return string.gsub(string.rep('a', 4e6), '', '')`,
		`return string.gsub(string.rep('x', 1e6), '.*', string.rep('%0', 500))`,
		`return string.match(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')`,
	} {
		h := vm.NewHost()
		baselib.Open(h)
		Open(h)
		ticks := 0
		h.OnTick = func() {
			if ticks++; ticks == 50 {
				panic(&vm.Kill{Text: "killed"})
			}
		}
		if _, err := h.Eval(src); err == nil || err.Error() != "killed" {
			t.Errorf("%s: %d ticks, %v", src, ticks, err)
		}
	}
}
