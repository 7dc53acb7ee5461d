package vm

import (
	"sort"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Positions and names in error texts. The parser gives each expression a number, which the compiler copies into the line of
// each instruction. parser.describe restores the lines and stores the names of the expressions in DbgCalls, which nothing
// else uses.

// position returns "source:line:" of a frame with a space behind, or "" for a function in Go.
func (f *frame) position() string {
	if f.Fn.IsG {
		return ""
	}
	return chunkID(f.Fn.Proto.SourceName) + ":" + strconv.Itoa(f.line()) + ": "
}

// line returns the present line of the frame of a Lua function.
func (f *frame) line() int {
	p := f.Fn.Proto
	if pc := f.Pc - 1; pc >= 0 && pc < len(p.DbgSourcePositions) {
		return p.DbgSourcePositions[pc]
	}
	return 0
}

// level returns the frame of a level as debug.getinfo counts them: 0 is the running function. A tail call is a level without
// a frame, for which inside is false.
func (t *Thread) level(level int) (f *frame, inside bool) {
	for i := t.sp - 1; i >= 0 && level >= 0; i-- {
		f := t.frames[i]
		if level == 0 {
			return f, true
		}
		level--
		if !f.Fn.IsG && f.TailCall > 0 {
			if level < f.TailCall {
				return nil, false
			}
			level -= f.TailCall
		}
	}
	return nil, false
}

// Where returns the position of a level ("source:line: "), or "".
func Where(L *lua.LState, level int) string {
	if f, ok := threadOf(L).level(level); ok {
		return f.position()
	}
	return ""
}

// Position returns the source, as its chunk was named, and the line of the function at level 0, or of its caller if the
// function is written in Go. If both are, the source is "=[C]", with line -1.
func (h *Host) Position() (source string, line int, ok bool) {
	for level := range 2 {
		f, inside := h.current.level(level)
		switch {
		case !inside:
			if h.current.sp == 0 || level == 0 {
				return "", 0, false
			}
			return "=(tail call)", -1, h.current.sp > 1
		case !f.Fn.IsG:
			return f.Fn.Proto.SourceName, f.line(), true
		}
	}
	return "=[C]", -1, true
}

// innermost returns the source and line of the innermost Lua function of the main thread.
func (h *Host) innermost() (source string, line int) {
	for i := h.main.sp - 1; i >= 0; i-- {
		if f := h.main.frames[i]; !f.Fn.IsG {
			return f.Fn.Proto.SourceName, f.line()
		}
	}
	return "", 0
}

// raise raises text with the position of the running Lua function, as the interpreter does.
func (t *Thread) raise(text string) {
	where := ""
	if t.sp > 0 {
		where = t.frames[t.sp-1].position()
	}
	panic(&Error{Value: lua.LString(where + text)})
}

// describe returns the names of the first and second operand of f's present instruction.
func (f *frame) describe() (first, second [2]string) {
	if f.Fn.IsG {
		return
	}
	calls := f.Fn.Proto.DbgCalls
	pc := f.Pc - 1
	i := sort.Search(len(calls), func(i int) bool { return calls[i].Pc >= pc })
	if i == len(calls) || calls[i].Pc != pc {
		return
	}
	a, b, _ := strings.Cut(calls[i].Name, "\x01")
	first[0], first[1], _ = strings.Cut(a, "\x00")
	second[0], second[1], _ = strings.Cut(b, "\x00")
	return
}

// callName returns the name by which its caller calls the function of a level.
func (t *Thread) callName(level int) (kind, name string) {
	i := t.sp - 1 - level
	if i < 1 {
		return "", ""
	}
	f, caller := t.frames[i], t.frames[i-1]
	if caller.Fn.IsG || f.TailCall > 0 {
		return "", ""
	}
	first, _ := caller.describe()
	return first[0], first[1]
}

// typeError raises "attempt to op local 'x' (a nil value)".
func (t *Thread) typeError(op string, v lua.LValue, name [2]string) {
	if name[0] != "" {
		t.raise("attempt to " + op + " " + name[0] + " '" + name[1] + "' (a " + TypeName(v) + " value)")
	}
	t.raise("attempt to " + op + " a " + TypeName(v) + " value")
}

func (t *Thread) names() (first, second [2]string) {
	if t.sp == 0 {
		return
	}
	return t.frames[t.sp-1].describe()
}

// indexError raises that v has no fields. named is true if v is the operand itself, and not reached by metamethods.
func (t *Thread) indexError(v lua.LValue, named bool) {
	first, second := t.names()
	if !named {
		t.typeError("index", v, [2]string{})
	}
	if t.sp > 0 {
		// The instruction that fetches a method has the same names as the call: the method, then its object.
		if f := t.frames[t.sp-1]; !f.Fn.IsG && int(f.Fn.Proto.Code[f.Pc-1]>>26) == lua.OP_SELF {
			first = second
		}
	}
	t.typeError("index", v, first)
}

func (t *Thread) arithError(a, b lua.LValue) {
	first, second := t.names()
	if _, ok := ToNumber(a); ok {
		t.typeError("perform arithmetic on", b, second)
	}
	t.typeError("perform arithmetic on", a, first)
}

func (t *Thread) compareError(a, b lua.LValue) {
	if x, y := TypeName(a), TypeName(b); x == y {
		t.raise("attempt to compare two " + x + " values")
	} else {
		t.raise("attempt to compare " + x + " with " + y)
	}
}

// operand returns the name of operand i of f's present instruction.
func (f *frame) operand(i int) [2]string {
	if f.Fn.IsG {
		return [2]string{}
	}
	calls := f.Fn.Proto.DbgCalls
	pc := f.Pc - 1
	at := sort.Search(len(calls), func(i int) bool { return calls[i].Pc >= pc })
	if at == len(calls) || calls[at].Pc != pc {
		return [2]string{}
	}
	names := strings.Split(calls[at].Name, "\x01")
	if i >= len(names) {
		return [2]string{}
	}
	kind, name, _ := strings.Cut(names[i], "\x00")
	return [2]string{kind, name}
}
