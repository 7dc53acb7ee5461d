package strlib

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Patterns of Lua 5.1 (section 5.4.1 of its manual). Matching allocates nothing.
//
// The matcher backtracks. match takes positions in the subject and in the pattern and returns the end of the match, or fail.
// A pattern item with a choice (a repetition, a capture that may have to be undone) calls match for the rest of the pattern;
// other items are handled in a loop. So the length of the pattern limits the depth of calls, and maxDepth does, too.
//
// A zero byte ends a pattern, as in C.

const (
	fail        = -1
	maxCaptures = 32
	// maxDepth is the limit of recursion; in the original it is the C stack.
	maxDepth = 100_000
	// tickEvery is the number of steps after which the matcher calls vm.Tick.
	tickEvery = 1000
)

// The lengths of a capture that is open, and of one that is a position.
const (
	unfinished = -1
	position   = -2
)

type capture struct{ start, len int }

type matcher struct {
	L        *lua.LState
	src, pat string
	level    int
	depth    int
	steps    int
	captures [maxCaptures]capture
}

func (m *matcher) begin(L *lua.LState, src, pat string) {
	m.L, m.src = L, src
	m.pat, _, _ = strings.Cut(pat, "\x00")
	m.level, m.depth, m.steps = 0, 0, 0
}

// literal returns the byte with which every match of the pattern from p on begins, if the first item is a plain character.
func (m *matcher) literal(p int) (b byte, ok bool) {
	if p >= len(m.pat) || strings.IndexByte("$%.[()", m.pat[p]) >= 0 {
		return 0, false
	}
	if c := m.at(p + 1); c == '*' || c == '?' || c == '-' {
		return 0, false
	}
	return m.pat[p], true
}

// skip returns the position of the first byte b from s on, or the end of the subject.
func (m *matcher) skip(s int, b byte) int {
	for s < len(m.src) {
		end := min(s+vm.Piece, len(m.src))
		at := strings.IndexByte(m.src[s:end], b)
		if at >= 0 {
			m.work(at >> 5)
			return s + at
		}
		m.work((end - s) >> 5)
		s = end
	}
	return s
}

// at returns the pattern's byte at p, 0 behind its end.
func (m *matcher) at(p int) byte {
	if p < len(m.pat) {
		return m.pat[p]
	}
	return 0
}

func (m *matcher) step() { m.work(1) }

// work counts n steps.
func (m *matcher) work(n int) {
	if m.steps += n; m.steps >= tickEvery {
		n, m.steps = m.steps, 0
		vm.Tick(m.L, n)
	}
}

// match matches the pattern from p on at s, and returns the end of the match.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxDepth {
		vm.Errorf(m.L, "pattern too complex")
	}
	end := m.run(s, p)
	m.depth--
	return end
}

func (m *matcher) run(s, p int) int {
	for p < len(m.pat) {
		m.step()
		switch m.pat[p] {
		case '(':
			if m.at(p+1) == ')' {
				return m.open(s, p+2, position)
			}
			return m.open(s, p+1, unfinished)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return fail
			}
		case '%':
			switch c := m.at(p + 1); {
			case c == 'b':
				if s = m.balance(s, p+2); s == fail {
					return fail
				}
				p += 4
				continue
			case c == 'f':
				p += 2
				if m.at(p) != '[' {
					vm.Errorf(m.L, "%s", "missing '[' after '%f' in pattern")
				}
				end := m.classEnd(p)
				before, here := byte(0), byte(0)
				if s > 0 {
					before = m.src[s-1]
				}
				if s < len(m.src) {
					here = m.src[s]
				}
				if m.inSet(before, p, end-1) || !m.inSet(here, p, end-1) {
					return fail
				}
				p = end
				continue
			case '0' <= c && c <= '9':
				if s = m.again(s, c); s == fail {
					return fail
				}
				p += 2
				continue
			}
		}
		end := m.classEnd(p)
		here := s < len(m.src) && m.single(m.src[s], p, end)
		switch m.at(end) {
		case '?':
			if here {
				if e := m.match(s+1, end+1); e != fail {
					return e
				}
			}
			p = end + 1
		case '*':
			return m.longest(s, p, end)
		case '+':
			if !here {
				return fail
			}
			return m.longest(s+1, p, end)
		case '-':
			return m.shortest(s, p, end)
		default:
			if !here {
				return fail
			}
			s++
			p = end
		}
	}
	return s
}

// open begins a capture and matches the rest.
func (m *matcher) open(s, p, length int) int {
	if m.level >= maxCaptures {
		vm.Errorf(m.L, "too many captures")
	}
	m.captures[m.level] = capture{s, length}
	m.level++
	end := m.match(s, p)
	if end == fail {
		m.level--
	}
	return end
}

// close ends the last open capture and matches the rest.
func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for i >= 0 && m.captures[i].len != unfinished {
		i--
	}
	if i < 0 {
		vm.Errorf(m.L, "invalid pattern capture")
	}
	m.captures[i].len = s - m.captures[i].start
	end := m.match(s, p)
	if end == fail {
		m.captures[i].len = unfinished
	}
	return end
}

// again matches the text of a capture.
func (m *matcher) again(s int, digit byte) int {
	i := int(digit) - '1'
	if i < 0 || i >= m.level || m.captures[i].len == unfinished {
		vm.Errorf(m.L, "invalid capture index")
	}
	c := m.captures[i]
	if c.len < 0 || len(m.src)-s < c.len || m.src[c.start:c.start+c.len] != m.src[s:s+c.len] {
		return fail
	}
	vm.Tick(m.L, c.len>>4)
	return s + c.len
}

// balance matches %bxy, whose x is at p.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		vm.Errorf(m.L, "unbalanced pattern")
	}
	if s >= len(m.src) || m.src[s] != m.pat[p] {
		return fail
	}
	open, shut, depth := m.pat[p], m.pat[p+1], 1
	for s++; s < len(m.src); s++ {
		m.step()
		switch m.src[s] {
		case shut:
			if depth--; depth == 0 {
				return s + 1
			}
		case open:
			depth++
		}
	}
	return fail
}

// longest matches the item at p as often as possible so that the rest matches, too.
func (m *matcher) longest(s, p, end int) int {
	n := 0
	for s+n < len(m.src) && m.single(m.src[s+n], p, end) {
		m.step()
		n++
	}
	for ; n >= 0; n-- {
		m.step()
		if e := m.match(s+n, end+1); e != fail {
			return e
		}
	}
	return fail
}

// shortest matches the item at p as seldom as possible so that the rest matches, too.
func (m *matcher) shortest(s, p, end int) int {
	for {
		m.step()
		if e := m.match(s, end+1); e != fail {
			return e
		}
		if s >= len(m.src) || !m.single(m.src[s], p, end) {
			return fail
		}
		s++
	}
}

// classEnd returns the end of the item for one character at p.
func (m *matcher) classEnd(p int) int {
	switch m.pat[p] {
	case '%':
		if p+1 >= len(m.pat) {
			vm.Errorf(m.L, "%s", "malformed pattern (ends with '%')")
		}
		return p + 2
	case '[':
		start := p
		p++
		if m.at(p) == '^' {
			p++
		}
		for first := true; first || m.at(p) != ']'; first = false {
			if p >= len(m.pat) {
				vm.Errorf(m.L, "malformed pattern (missing ']')")
			}
			c := m.pat[p]
			if p++; c == '%' && p < len(m.pat) {
				p++
			}
		}
		m.work((p - start) >> 2)
	}
	return p + 1
}

// single reports whether the item from p to end matches c.
func (m *matcher) single(c byte, p, end int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	}
	return m.pat[p] == c
}

// inSet reports whether the set between the brackets at p and last has c.
func (m *matcher) inSet(c byte, p, last int) bool {
	m.work(1 + (last-p)>>2)
	has := true
	if m.at(p+1) == '^' {
		has = false
		p++
	}
	for p++; p < last; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if inClass(c, m.at(p)) {
				return has
			}
		case m.at(p+1) == '-' && p+2 < last:
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return has
			}
			p += 2
		case m.pat[p] == c:
			return has
		}
	}
	return !has
}

// inClass reports whether c is in the class of a letter behind %; any other character stands for itself.
func inClass(c, class byte) bool {
	var is bool
	switch class | 0x20 {
	case 'a':
		is = isAlpha(c)
	case 'c':
		is = c < ' ' || c == 127
	case 'd':
		is = isDigit(c)
	case 'l':
		is = 'a' <= c && c <= 'z'
	case 'p':
		is = '!' <= c && c <= '~' && !isAlpha(c) && !isDigit(c)
	case 's':
		is = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		is = 'A' <= c && c <= 'Z'
	case 'w':
		is = isAlpha(c) || isDigit(c)
	case 'x':
		is = isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		is = c == 0
	default:
		return class == c
	}
	if !isAlpha(class) {
		return class == c // |0x20 made a letter of another character
	}
	return is == ('a' <= class)
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// value returns capture i of a match from s to e; without captures, the whole match.
func (m *matcher) value(i, s, e int) lua.LValue {
	if i >= m.level {
		if i != 0 {
			vm.Errorf(m.L, "invalid capture index")
		}
		return lua.LString(m.src[s:e])
	}
	switch c := m.captures[i]; c.len {
	case unfinished:
		vm.Errorf(m.L, "unfinished capture")
		return nil
	case position:
		return vm.Number(m.L, float64(c.start+1))
	default:
		return lua.LString(m.src[c.start : c.start+c.len])
	}
}

// push pushes all captures of a match, or the whole match if there are none and whole is set, and returns their number.
func (m *matcher) push(s, e int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	vm.CheckStack(m.L, n, "too many captures")
	for i := range n {
		m.L.Push(m.value(i, s, e))
	}
	return n
}
