package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// Coroutines. A coroutine runs on Go's stack inside the resume that started or continued it; when it yields, execute
// returns up to that resume and its frames stay as they are. So it may yield only from code that no Go function called.

// NewCoroutine makes a thread that will run fn, a Lua function.
func NewCoroutine(L *lua.LState, fn *lua.LFunction) *lua.LState {
	t := threadOf(L).h.newThread(0)
	t.body = fn
	return &t.LState
}

// Running returns the running thread, and false if it is the main one.
func Running(L *lua.LState) (*lua.LState, bool) {
	t := threadOf(L)
	return &t.h.current.LState, t.h.current != t.h.main
}

// Status returns the result of coroutine.status.
func Status(co *lua.LState) string {
	switch threadOf(co).status {
	case threadRunning:
		return "running"
	case threadNormal:
		return "normal"
	case threadDead:
		return "dead"
	}
	return "suspended"
}

// Resume continues co with the arguments from index first on, and pushes the values that it yields or returns onto L. It
// returns their number, or the error.
func Resume(L *lua.LState, co *lua.LState, first int) (n int, err *Error) {
	from, to := threadOf(L), threadOf(co)
	h := from.h
	if to.status != threadFresh && to.status != threadSuspended {
		return 0, &Error{Value: lua.LString("cannot resume " + Status(co) + " coroutine")}
	}
	if h.nested >= maxNested {
		return 0, &Error{Value: lua.LString("C stack overflow")}
	}
	base := layoutOf(L).currentFrame.LocalBase
	args := from.reg.array[min(base+first-1, from.reg.top):from.reg.top]
	values, err := to.resume(from, args)
	if err != nil {
		return 0, err
	}
	from.ensure(from.reg.top + len(values) + MinStack)
	copy(from.reg.array[from.reg.top:], values)
	from.reg.top += len(values)
	if to.status == threadDead {
		to.release()
	}
	return len(values), nil
}

func (t *Thread) resume(from *Thread, args []lua.LValue) (values []lua.LValue, err *Error) {
	h := t.h
	nested := h.nested
	done := false
	h.nested++
	t.parent, t.nestedBase = from, h.nested
	from.status = threadNormal
	fresh := t.status == threadFresh
	t.status = threadRunning
	h.current = t
	defer func() {
		h.current, h.nested = from, nested
		from.status = threadRunning
		if done {
			return
		}
		t.status = threadDead
		r := recover()
		e, ok := r.(*Error)
		if !ok {
			panic(r)
		}
		t.closeUpvalues(0)
		t.unwind(0)
		t.release()
		err = e
	}()
	yielded := false
	if fresh {
		t.ensure(len(args) + 2)
		t.reg.array[0] = t.body
		copy(t.reg.array[1:], args)
		t.callLua(t.body, 0, len(args), MultRet)
		yielded = t.execute(0)
	} else {
		f := t.frames[t.sp-1]
		at, want := f.ReturnBase, f.NRet
		t.pop()
		if want == MultRet {
			want = len(args)
		}
		t.ensure(at + max(want, len(args)) + MinStack)
		a := t.reg.array
		copy(a[at:at+want], args)
		for i := len(args); i < want; i++ {
			a[at+i] = lua.LNil
		}
		t.reg.top = at + want
		yielded = t.execute(0)
	}
	done = true
	if yielded {
		t.status = threadSuspended
		return t.reg.array[t.frames[t.sp-1].LocalBase:t.reg.top], nil
	}
	t.status = threadDead
	return t.reg.array[:t.reg.top], nil
}

// release drops the memory of a dead coroutine.
func (t *Thread) release() {
	t.reg.array, t.reg.top, t.frames, t.body = nil, 0, nil, nil
}

// Yield ends the running function, whose arguments become the results of the resume: return Yield(L).
func Yield(L *lua.LState) int {
	t := threadOf(L)
	if t == t.h.main || t.h.nested > t.nestedBase {
		Raise(lua.LString("attempt to yield across metamethod/C-call boundary"))
	}
	return -1
}
