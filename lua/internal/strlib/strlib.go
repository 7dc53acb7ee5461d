// Package strlib is the string library of Lua 5.1 as scripts of Redis have it. The reference is the Lua 5.1 manual, section
// 5.4, and for details that it does not say (error texts, ends of ranges) the replies of redis-server 7.0.15.
package strlib

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Open registers the library.
func Open(h *vm.Host) {
	h.Register("string", map[string]lua.LGFunction{
		"byte": toBytes, "char": char, "dump": dump, "find": find, "format": format, "gmatch": gmatch, "gsub": gsub,
		"len": length, "lower": lower, "match": matchOnce, "rep": rep, "reverse": reverse, "sub": sub, "upper": upper,
	})
	// gfind is the old name of the same function value.
	t := h.Library("string")
	vm.SetString(t, "gfind", vm.GetString(t, "gmatch"))
}

// place converts a position that counts from the end if it is negative to one from the beginning; 0 is before the first.
func place(pos int64, length int) int64 {
	if pos < 0 {
		pos += int64(length) + 1
	}
	return max(pos, 0)
}

func pushBytes(L *lua.LState, b []byte) int {
	L.Push(lua.LString(vm.String(b)))
	return 1
}

func length(L *lua.LState) int {
	vm.PushNumber(L, float64(len(vm.CheckString(L, 1))))
	return 1
}

func sub(L *lua.LState) int {
	s := vm.CheckString(L, 1)
	from := max(place(vm.CheckInteger(L, 2), len(s)), 1)
	to := min(place(vm.OptInteger(L, 3, -1), len(s)), int64(len(s)))
	if from > to {
		L.Push(lua.LString(""))
	} else {
		L.Push(lua.LString(s[from-1 : to]))
	}
	return 1
}

func reverse(L *lua.LState) int {
	s := vm.CheckString(L, 1)
	b := make([]byte, len(s))
	for from := 0; from < len(s); from += vm.Piece {
		to := min(from+vm.Piece, len(s))
		for i := from; i < to; i++ {
			b[len(s)-1-i] = s[i]
		}
		vm.Tick(L, (to-from)>>3)
	}
	return pushBytes(L, b)
}

func lower(L *lua.LState) int { return mapped(L, 'A', 'Z') }
func upper(L *lua.LState) int { return mapped(L, 'a', 'z') }

// mapped changes the case of the letters between from and to.
func mapped(L *lua.LState, from, to byte) int {
	s := vm.CheckString(L, 1)
	b := make([]byte, len(s))
	for done := 0; done < len(s); done += vm.Piece {
		end := min(done+vm.Piece, len(s))
		for i := done; i < end; i++ {
			c := s[i]
			if from <= c && c <= to {
				c ^= 0x20
			}
			b[i] = c
		}
		vm.Tick(L, (end-done)>>3)
	}
	return pushBytes(L, b)
}

func rep(L *lua.LState) int {
	s := vm.CheckString(L, 1)
	n := vm.CheckInt(L, 2)
	if n <= 0 || s == "" {
		L.Push(lua.LString(""))
		return 1
	}
	if len(s) > vm.MaxString/n {
		vm.CheckLength(L, vm.MaxString+1)
	}
	size := len(s) * n
	if size <= vm.Piece {
		vm.Tick(L, size>>5)
		L.Push(lua.LString(strings.Repeat(s, n)))
		return 1
	}
	// The result so far is appended to itself, a piece at a time.
	b := vm.AppendString(L, make([]byte, 0, size), s)
	for len(b) < size {
		from := len(b) % len(s)
		more := min(len(b)-from, size-len(b), vm.Piece)
		b = append(b, b[from:from+more]...)
		vm.Tick(L, more>>5)
	}
	return pushBytes(L, b)
}

// index is strings.Index in s from from on, with ticks.
func index(L *lua.LState, s, text string, from int) int {
	window := max(vm.Piece, len(text))
	for ; ; from += window {
		end := min(from+window+len(text), len(s))
		vm.Tick(L, (end-from)>>5)
		if at := strings.Index(s[from:end], text); at >= 0 {
			return from + at
		}
		if end == len(s) {
			return -1
		}
	}
}

func toBytes(L *lua.LState) int {
	s := vm.CheckString(L, 1)
	from := place(vm.OptInteger(L, 2, 1), len(s))
	to := min(place(vm.OptInteger(L, 3, from), len(s)), int64(len(s)))
	from = max(from, 1)
	if from > to {
		return 0
	}
	n := int(to - from + 1)
	vm.CheckStack(L, n, "string slice too long")
	for _, c := range vm.Bytes(s[from-1 : to]) {
		vm.PushNumber(L, float64(c))
	}
	return n
}

func char(L *lua.LState) int {
	n := L.GetTop()
	b := make([]byte, n)
	for i := range b {
		c := vm.CheckInt(L, i+1)
		if c < 0 || c > 255 {
			vm.ArgError(L, i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	return pushBytes(L, b)
}

// binaryHeader begins the binary code of Lua 5.1. dump returns nothing else, since load and loadstring refuse binary code.
const binaryHeader = "\x1bLuaQ\x00\x01\x04\x08\x04\x08\x00"

func dump(L *lua.LState) int {
	vm.CheckFunction(L, 1)
	L.Push(lua.LString(binaryHeader))
	return 1
}

// specials are the characters with a meaning in patterns.
const specials = "^$*+?.([%-"

func find(L *lua.LState) int      { return search(L, true) }
func matchOnce(L *lua.LState) int { return search(L, false) }

// search is find and match.
func search(L *lua.LState, find bool) int {
	s, pat := vm.CheckString(L, 1), vm.CheckString(L, 2)
	from := int(min(max(place(vm.OptInteger(L, 3, 1), len(s))-1, 0), int64(len(s))))
	if find {
		literal, _, _ := strings.Cut(pat, "\x00")
		plain := vm.Arg(L, 4)
		if plain != nil && plain != lua.LNil && plain != lua.LFalse || !strings.ContainsAny(literal, specials) {
			at := index(L, s, pat, from)
			if at < 0 {
				L.Push(lua.LNil)
				return 1
			}
			vm.PushNumber(L, float64(at+1))
			vm.PushNumber(L, float64(at+len(pat)))
			return 2
		}
	}
	var m matcher
	m.begin(L, s, pat)
	p := 0
	anchored := m.at(0) == '^'
	if anchored {
		p = 1
	}
	first, literal := m.literal(p)
	for ; from <= len(s); from++ {
		if literal && !anchored {
			from = m.skip(from, first)
		}
		m.level = 0
		if end := m.match(from, p); end != fail {
			if !find {
				return m.push(from, end, true)
			}
			vm.PushNumber(L, float64(from+1))
			vm.PushNumber(L, float64(end))
			return 2 + m.push(from, end, false)
		}
		if anchored {
			break
		}
	}
	L.Push(lua.LNil)
	return 1
}

// gmatch returns an iterator over the matches. It has no anchor: ^ is an ordinary character here.
func gmatch(L *lua.LState) int {
	s, pat := vm.CheckString(L, 1), vm.CheckString(L, 2)
	at := 0
	L.Push(vm.Of(L).Function(func(L *lua.LState) int {
		var m matcher
		m.begin(L, s, pat)
		first, literal := m.literal(0)
		for ; at <= len(s); at++ {
			if literal {
				at = m.skip(at, first)
			}
			m.level = 0
			end := m.match(at, 0)
			if end == fail {
				continue
			}
			from := at
			if at = end; end == from {
				at++
			}
			return m.push(from, end, true)
		}
		return 0
	}))
	return 1
}

func gsub(L *lua.LState) int {
	s, pat := vm.CheckString(L, 1), vm.CheckString(L, 2)
	most := vm.OptInt(L, 4, len(s)+1) // Lua checks it before argument 3
	with := vm.Arg(L, 3)
	text := ""
	switch with.(type) {
	case lua.LString, lua.LNumber:
		text = vm.CheckString(L, 3)
	case *lua.LFunction, *lua.LTable:
	default:
		vm.ArgError(L, 3, "string/function/table expected")
	}
	var m matcher
	m.begin(L, s, pat)
	p := 0
	anchored := m.at(0) == '^'
	if anchored {
		p = 1
	}
	first, literal := m.literal(p)
	out := make([]byte, 0, min(len(s)+len(s)/8, vm.Piece))
	at, n := 0, 0
	for n < most {
		m.step()
		if literal && !anchored {
			next := m.skip(at, first)
			out = m.appendString(out, s[at:next])
			at = next
		}
		m.level = 0
		end := m.match(at, p)
		if end != fail {
			n++
			if text != "" || isText(with) {
				out = m.expand(out, text, at, end)
			} else {
				out = m.replace(out, with, at, end)
			}
		}
		switch {
		case end != fail && end > at:
			at = end
		case at < len(s):
			out = append(out, s[at])
			at++
		default:
			at++ // behind the end
		}
		if at > len(s) || anchored {
			break
		}
	}
	if at < len(s) {
		vm.CheckLength(L, len(out)+len(s)-at)
		out = vm.AppendString(L, out, s[at:])
	}
	pushBytes(L, out)
	vm.PushNumber(L, float64(n))
	return 2
}

func isText(v lua.LValue) bool {
	switch v.(type) {
	case lua.LString, lua.LNumber:
		return true
	}
	return false
}

// expand appends a replacement text with the captures for %0 to %9.
func (m *matcher) expand(out []byte, text string, s, e int) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '%' {
			out = append(out, c)
			continue
		}
		i++
		switch {
		case i == len(text):
			out = append(out, 0) // the zero byte behind a C string
		case !isDigit(text[i]):
			out = append(out, text[i])
		case text[i] == '0':
			out = m.appendString(out, m.src[s:e])
		default:
			out = m.appendText(out, m.value(int(text[i]-'1'), s, e))
		}
	}
	vm.CheckLength(m.L, len(out))
	m.work(len(text))
	return out
}

// replace appends the value of a function or table for a match; for false and nil it appends the match itself.
func (m *matcher) replace(out []byte, with lua.LValue, s, e int) []byte {
	var v lua.LValue
	if f, ok := with.(*lua.LFunction); ok {
		var few [4]lua.LValue
		args := few[:0]
		for i := range max(m.level, 1) {
			args = append(args, m.value(i, s, e))
		}
		v = vm.Call1(m.L, f, args...)
	} else {
		v = vm.Index(m.L, with, m.value(0, s, e))
	}
	switch {
	case v == lua.LNil || v == lua.LFalse:
		return m.appendString(out, m.src[s:e])
	case !isText(v):
		vm.Errorf(m.L, "invalid replacement value (a %s)", vm.TypeName(v))
	}
	return m.appendText(out, v)
}

// appendText appends a string or a number.
func (m *matcher) appendText(out []byte, v lua.LValue) []byte {
	if n, ok := v.(lua.LNumber); ok {
		return vm.AppendNumber(out, float64(n))
	}
	return m.appendString(out, string(v.(lua.LString)))
}

// appendString checks the length of the result first: a short replacement text may contain a long capture many times.
func (m *matcher) appendString(out []byte, s string) []byte {
	vm.CheckLength(m.L, len(out)+len(s))
	m.work(min(len(s), vm.Piece) >> 4)
	return vm.AppendString(m.L, out, s)
}
