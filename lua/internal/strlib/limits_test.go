package strlib

import (
	"runtime"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

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

// One pass over a long string is interrupted many times, so that a kill need not wait for its end.
func TestOnePassTicks(t *testing.T) {
	const size = 32 << 20
	for _, c := range []struct{ prepare, work string }{
		{``, `string.rep('ab', 16 * 2^20)`},
		{``, `string.rep(string.rep('x', 300000), 111)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.upper(s)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.lower(s)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.reverse(s)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.find(s, 'b', 1, true)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.find(s, 'ab')`},
		{`s = string.rep('a', 32 * 2^20)`, `string.format('%s', s)`},
		{`s = string.rep('a', 32 * 2^20)`, `string.gsub(s, '^b', '')`},
		{`s = string.rep('a', 32 * 2^20)`, `return s .. 'b'`},
		{`s = string.rep('a', 8 * 2^20)`, `return table.concat({s, s, s, s})`},
	} {
		h := vm.NewHost()
		baselib.Open(h)
		Open(h)
		ticks, mark := 0, 0
		h.OnTick = func() { ticks++ }
		vm.SetString(h.Globals, "mark", h.Function(func(*lua.LState) int { mark = ticks; return 0 }))
		work := c.work
		if !strings.HasPrefix(work, "return") {
			work = "return " + work
		}
		src := `local s = '' ` + c.prepare + ` mark() ` + work
		if _, err := h.Eval(src); err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if got := ticks - mark; got < size/vm.Piece/4 {
			t.Errorf("%s: %d ticks", src, got)
		}
	}
}

// Long strings give what short ones give.
func TestLongStrings(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`local s = string.rep('abc', 200001) return #s .. s:sub(1, 4) .. s:sub(-4) .. s:sub(262143, 262147)`, "600003abcacabccabca"},
		{`local u = string.rep('x', 300001) .. 'y' local s = string.rep(u, 3) return #s .. s:sub(300000, 300004) .. s:sub(600003, 600006) .. s:sub(-2)`,
			"900006xxyxxxyxxxy"},
		{`local s = string.rep('aZ', 300000) return s:upper() == string.rep('AZ', 300000) and s:lower() == string.rep('az', 300000)`, "true"},
		{`local s = string.rep('ab', 300000) return s:reverse() == string.rep('ba', 300000)`, "true"},
		{`local s = string.rep('a', 262140) return (s .. 'needle'):find('needle', 1, true)`, "262141"},
		{`local s = string.rep('a', 262144) return (s .. 'needle' .. s):find('needle', 5, true)`, "262145"},
		{`local s = string.rep('a', 600000) return (s .. 'b' .. s):find('b' .. s, 1, true)`, "600001"},
		{`local s = string.rep('a', 600000) return s:find('b', 1, true)`, "nil"},
		{`return ('abc'):find('', 4, true)`, "4"},
		{`return ('abc'):find('', 10, true)`, "4"},
	} {
		h := vm.NewHost()
		baselib.Open(h)
		Open(h)
		h.StringMeta = vm.NewTable(0, 1)
		vm.SetString(h.StringMeta, "__index", h.Library("string"))
		got, err := h.Eval(c.src)
		if err != nil || len(got) == 0 {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		if text, _ := vm.ToString(vm.ToStringMeta(h.Main(), got[0])); text != c.want {
			t.Errorf("%s: %s, want %s", c.src, text, c.want)
		}
	}
}

// A pattern that begins with a plain character skips to it: what is found is what a set of that one character finds.
func TestPlainBeginning(t *testing.T) {
	h := vm.NewHost()
	baselib.Open(h)
	Open(h)
	got, err := h.Eval(`
		local bad = {}
		local subjects = {'', 'x', 'xx', 'axbxc', 'key=value; key2=', 'x\0x', string.rep('ab', 700) .. 'x', 'xyxyx'}
		for _, s in ipairs(subjects) do
			for _, rest in ipairs({'', 'y', '+', '.', '(.)', '%f[%w]', '$', '-', '?', '*', '.-x', '()', '+$', '=', '%1'}) do
				local plain, set = 'x' .. rest, '[x]' .. rest
				local function all(p)
					local out = {pcall(string.find, s, p)}
					for _, v in ipairs({pcall(string.find, s, p, 2)}) do out[#out + 1] = v end
					for _, v in ipairs({pcall(string.match, s, p, -2)}) do out[#out + 1] = v end
					for _, v in ipairs({pcall(string.gsub, s, p, '<%0>')}) do out[#out + 1] = v end
					for _, v in ipairs({pcall(string.gsub, s, p, '', 1)}) do out[#out + 1] = v end
					local ok, e = pcall(function() for a, b in string.gmatch(s, p) do out[#out + 1] = a out[#out + 1] = b end end)
					out[#out + 1] = e
					for i = 1, #out do out[i] = tostring(out[i]) end
					return table.concat(out, '|')
				end
				if all(plain) ~= all(set) then bad[#bad + 1] = string.sub(s, 1, 20) .. ' ' .. plain end
			end
		end
		return table.concat(bad, ', ')`)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := vm.ToString(got[0]); text != "" {
		t.Errorf("found otherwise: %s", text)
	}
}
