package vm

import (
	"strings"
	"unsafe"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/parser"
)

// Load compiles src. name is Lua's name of a chunk: after "@" or "=" it is a name that error texts show unchanged, any other
// is program text and shown as [string "…"]. The error is a *Error with Lua's text.
func (h *Host) Load(src, name string) (*lua.LFunction, error) {
	return h.LoadPieces(src, nil, name)
}

// LoadPieces is Load of src followed by the pieces that more returns, until it returns "".
func (h *Host) LoadPieces(src string, more func() string, name string) (*lua.LFunction, error) {
	h.boxes.share()
	proto, err := parser.Compile(src, more, name, chunkID(name), h.nested, ParseNumber, h.Hidden("spread", spread))
	if err != nil {
		return nil, &Error{Value: lua.LString(err.Error())}
	}
	return &lua.LFunction{Env: h.Env, Proto: proto}, nil
}

// CodeSize returns about how many bytes a compiled function occupies, with those inside it.
func CodeSize(fn *lua.LFunction) int { return int(unsafe.Sizeof(*fn)) + protoSize(fn.Proto) }

func protoSize(p *lua.FunctionProto) int {
	const names = 32 * int(unsafe.Sizeof("")) // the room of the compiler's list of string constants
	n := int(unsafe.Sizeof(*p)) + 4*cap(p.Code) + 8*cap(p.DbgSourcePositions) + names
	for _, v := range p.Constants {
		n += int(unsafe.Sizeof(v))
		switch v := v.(type) {
		case lua.LString:
			n += int(unsafe.Sizeof(v)) + len(v)
		case lua.LNumber:
			n += 8
		}
	}
	for _, c := range p.DbgCalls {
		n += int(unsafe.Sizeof(c)) + len(c.Name)
	}
	for _, name := range p.DbgUpvalues {
		n += int(unsafe.Sizeof(name)) + len(name)
	}
	for _, sub := range p.FunctionPrototypes {
		n += 8 + protoSize(sub)
	}
	return n
}

// spread returns the first items of a table, as many as the second argument says, then its further arguments.
func spread(L *lua.LState) int {
	t, n, top := L.Get(1).(*lua.LTable), int(L.Get(2).(lua.LNumber)), L.GetTop()
	CheckStack(L, n+top, "too many arguments")
	for i := 1; i <= n; i++ {
		L.Push(GetInt(t, i))
	}
	for i := 3; i <= top; i++ {
		L.Push(L.Get(i))
	}
	return n + top - 2
}

// idSize is the greatest length of a chunk's name in texts, including the zero byte of C.
const idSize = 60

// chunkID returns the name of a chunk as error texts show it.
func chunkID(name string) string {
	switch {
	case strings.HasPrefix(name, "="):
		return name[1:min(len(name), idSize)]
	case strings.HasPrefix(name, "@"):
		name = name[1:]
		if room := idSize - len(" '...' ") - 1; len(name) > room {
			return "..." + name[len(name)-room:]
		}
		return name
	}
	line := name
	if i := strings.IndexAny(name, "\r\n"); i >= 0 {
		line = name[:i]
	}
	room := idSize - len(` [string "..."] `) - 1
	if len(line) > room {
		line = line[:room]
	}
	if len(line) < len(name) {
		return `[string "` + line + `..."]`
	}
	return `[string "` + line + `"]`
}

// Eval compiles and runs src as a script whose chunk is called @user_script, and returns its results. It is for tests of
// libraries.
func (h *Host) Eval(src string) ([]lua.LValue, error) {
	fn, err := h.Load(src, "@user_script")
	if err != nil {
		return nil, err
	}
	return h.Run(fn, nil)
}
