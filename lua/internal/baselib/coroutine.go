package baselib

import (
	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

func openCoroutine(h *vm.Host) {
	h.Register("coroutine", map[string]lua.LGFunction{
		"create": coCreate, "resume": coResume, "running": coRunning, "status": coStatus, "wrap": coWrap, "yield": vm.Yield,
	})
}

func newCoroutine(L *lua.LState) *lua.LState {
	f, ok := vm.Arg(L, 1).(*lua.LFunction)
	if !ok || f.IsG {
		vm.ArgError(L, 1, "Lua function expected")
	}
	return vm.NewCoroutine(L, f)
}

func coCreate(L *lua.LState) int {
	L.Push(newCoroutine(L))
	return 1
}

func checkCoroutine(L *lua.LState) *lua.LState {
	co, ok := vm.Arg(L, 1).(*lua.LState)
	if !ok {
		vm.ArgError(L, 1, "coroutine expected")
	}
	return co
}

func coResume(L *lua.LState) int {
	co := checkCoroutine(L)
	n, err := vm.Resume(L, co, 2)
	if err != nil {
		L.Push(lua.LFalse)
		L.Push(err.Value)
		return 2
	}
	L.Insert(lua.LTrue, L.GetTop()-n+1)
	return n + 1
}

func coRunning(L *lua.LState) int {
	if co, ok := vm.Running(L); ok {
		L.Push(co)
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

func coStatus(L *lua.LState) int {
	L.Push(lua.LString(vm.Status(checkCoroutine(L))))
	return 1
}

// coWrap makes a function that resumes a coroutine. The position of the resume is put in front of an error that is a text.
func coWrap(L *lua.LState) int {
	co := newCoroutine(L)
	L.Push(vm.Of(L).Function(func(L *lua.LState) int {
		n, err := vm.Resume(L, co, 1)
		if err != nil {
			v := err.Value
			if s, ok := vm.ToString(v); ok {
				v = lua.LString(vm.Where(L, 1) + s)
			}
			vm.Raise(v)
		}
		return n
	}))
	return 1
}
