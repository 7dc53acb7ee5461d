package vm

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// MultRet, as a number of results, means all results of a call.
const MultRet = -1

// String makes a string of b without copying it. b must not change any more.
func String(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// enter counts a call through Go.
func (t *Thread) enter() {
	t.h.nested++
	if t.h.nested >= maxNested {
		if t.h.nested == maxNested {
			t.raise("C stack overflow")
		}
		if t.h.nested >= maxNested+maxNested/8 {
			panic(&Error{Value: lua.LString("error in error handling")})
		}
	}
}

// invoke calls the function in register at with the nargs values that follow, stores nret results from at on (all of them
// with MultRet, up to the stack's top) and returns their number. Only Go functions may call it.
func (t *Thread) invoke(at, nargs, nret int) int {
	t.enter()
	t.h.tick(1)
	sp := t.sp
	fn, ok := t.reg.array[at].(*lua.LFunction)
	if !ok {
		fn = t.callable(at, nargs)
		nargs++
	}
	n := nret
	if fn.IsG {
		n = t.callGo(fn, at, nargs, nret)
		if n < 0 {
			t.unwind(sp)
			t.raise("attempt to yield across metamethod/C-call boundary")
		}
	} else {
		t.callLua(fn, at, nargs, nret)
		if t.execute(sp) {
			t.unwind(sp)
			t.raise("attempt to yield across metamethod/C-call boundary")
		}
		if nret == MultRet {
			n = t.reg.top - at
		}
	}
	t.h.nested--
	return n
}

// callable finds the __call metamethod of the value in register at and puts it there, with the value as first argument.
func (t *Thread) callable(at, nargs int) *lua.LFunction {
	v := t.reg.array[at]
	fn, ok := t.h.meta(v, evCall).(*lua.LFunction)
	if !ok {
		var name [2]string
		if f := t.top(); f != nil && !f.Fn.IsG && int(f.Fn.Proto.Code[f.Pc-1]>>26) != lua.OP_TFORLOOP {
			name, _ = f.describe()
		}
		t.typeError("call", v, name)
	}
	t.ensure(at + nargs + 3)
	copy(t.reg.array[at+1:at+nargs+2], t.reg.array[at:at+nargs+1])
	t.reg.array[at] = fn
	return fn
}

// callGo runs a Go function whose arguments are above register at, and stores its results from at on. It returns their
// number, or -1 if the function yields; then its frame stays.
func (t *Thread) callGo(fn *lua.LFunction, at, nargs, nret int) int {
	t.ensure(at + nargs + MinStack + 4)
	t.high = max(t.high, at+nargs)
	f := t.push()
	f.Fn, f.Base, f.LocalBase, f.ReturnBase = fn, at, at+1, at
	f.NArgs, f.NRet, f.Pc, f.TailCall = nargs, nret, 0, 0
	t.reg.top = at + 1 + nargs
	n := fn.GFunction(&t.LState)
	if n < 0 {
		return -1
	}
	t.pop()
	a := t.reg.array
	from := t.reg.top - n
	if nret == MultRet {
		copy(a[at:], a[from:from+n])
		t.reg.top = at + n
		return n
	}
	switch {
	case nret == 1 && n > 0:
		a[at] = a[from]
	case n >= nret:
		copy(a[at:], a[from:from+nret])
	default:
		copy(a[at:], a[from:from+n])
		t.ensure(at + nret)
		for i := n; i < nret; i++ {
			t.reg.array[at+i] = lua.LNil
		}
	}
	t.reg.top = at + nret
	return nret
}

// callLua makes the frame of a Lua function whose arguments are above register at.
func (t *Thread) callLua(fn *lua.LFunction, at, nargs, nret int) {
	p := fn.Proto
	np := int(p.NumParameters)
	end := at + 1 + 2*max(nargs, np) + int(p.NumUsedRegisters) + 8
	t.ensure(end)
	t.high = max(t.high, end)
	f := t.push()
	f.Fn, f.Base, f.LocalBase, f.ReturnBase = fn, at, at+1, at
	f.NArgs, f.NRet, f.Pc, f.TailCall = nargs, nret, 0, 0
	t.start(f)
}

// start sets up the registers of a Lua function; f's arguments are above f.Base.
func (t *Thread) start(f *frame) {
	p := f.Fn.Proto
	np, nargs := int(p.NumParameters), f.NArgs
	a := t.reg.array
	base := f.Base + 1
	for i := nargs; i < np; i++ {
		a[base+i] = lua.LNil
	}
	filled := min(nargs, np)
	if p.IsVarArg&lua.VarArgIsVarArg != 0 {
		// The arguments stay below the locals, the named ones are copied.
		local := base + max(nargs, np)
		copy(a[local:local+np], a[base:base+np])
		filled = np
		if p.IsVarArg&lua.VarArgHasArg != 0 {
			var arg lua.LValue = lua.LNil
			if p.IsVarArg&lua.VarArgNeedsArg != 0 {
				n := max(nargs-np, 0)
				tb := NewTable(n, 1)
				for i := range n {
					SetInt(tb, i+1, a[base+np+i])
				}
				SetString(tb, "n", lua.LNumber(n))
				arg = tb
			}
			a[local+np] = arg
			filled++
		}
		base = local
	}
	f.LocalBase = base
	regs := a[base+filled : base+max(filled, int(p.NumUsedRegisters))]
	for i := range regs {
		regs[i] = lua.LNil
	}
}

// call1 calls f with args and returns its first result.
func (t *Thread) call1(f lua.LValue, args ...lua.LValue) lua.LValue {
	t.callN(f, 1, args...)
	return t.reg.array[t.free()]
}

// callN calls f with args; its results are in the registers from t.free() on.
func (t *Thread) callN(f lua.LValue, nret int, args ...lua.LValue) int {
	at := t.free()
	top := t.reg.top
	t.ensure(at + len(args) + 2)
	a := t.reg.array
	a[at] = f
	copy(a[at+1:], args)
	n := t.invoke(at, len(args), nret)
	t.reg.top = top
	return n
}

// Call1 calls f with args and returns its first result.
func Call1(L *lua.LState, f lua.LValue, args ...lua.LValue) lua.LValue {
	return threadOf(L).call1(f, args...)
}

// PCall calls the function below the nargs values on top of the stack and replaces all of them by the results. On an error it
// pushes nothing and returns the error; handler, if not nil, converts the error's value before the frames are dropped.
func PCall(L *lua.LState, nargs int, handler func(lua.LValue) lua.LValue) (n int, err *Error) {
	t := threadOf(L)
	at := t.reg.top - nargs - 1
	n, err = t.protect(at, nargs, handler)
	if err != nil {
		t.reg.top = at
		return 0, err
	}
	t.reg.top = at + n
	return n, nil
}

func (t *Thread) protect(at, nargs int, handler func(lua.LValue) lua.LValue) (n int, err *Error) {
	sp, nested := t.sp, t.h.nested
	defer func() {
		if err == nil && n == failed {
			r := recover()
			err = t.caught(r, handler, sp, nested, at)
		}
	}()
	n = failed
	n = t.invoke(at, nargs, MultRet)
	return n, nil
}

const failed = -2

// caught turns a panic into a Lua error, or passes it on.
func (t *Thread) caught(r any, handler func(lua.LValue) lua.LValue, sp, nested, at int) *Error {
	e, ok := r.(*Error)
	if !ok {
		panic(r)
	}
	if handler != nil {
		e = t.handle(e, handler)
	}
	t.h.nested = nested
	t.unwind(sp)
	t.closeUpvalues(at)
	return e
}

// handle runs an error handler. An error in it becomes the error.
func (t *Thread) handle(e *Error, handler func(lua.LValue) lua.LValue) (result *Error) {
	t.h.nested = min(t.h.nested, maxNested)
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(*Error); !ok {
				panic(r)
			}
			result = &Error{Value: lua.LString("error in error handling")}
		}
	}()
	return &Error{Value: handler(e.Value)}
}

// findUpvalue returns the open upvalue of register i. The list is sorted, the highest register first.
func (t *Thread) findUpvalue(i int) *upvalue {
	link := &layoutOf(&t.LState).uvcache
	for *link != nil && (*link).index >= i {
		if (*link).index == i {
			return *link
		}
		link = &(*link).next
	}
	u := t.h.newUpvalue()
	u.next, u.reg, u.index = *link, t.reg, i
	*link = u
	return u
}

// upvalueBlock is the number of upvalues that are allocated at a time. A block lives as long as one of them.
const upvalueBlock = 16

func (h *Host) newUpvalue() *upvalue {
	if len(h.upvalues) == 0 {
		h.upvalues = make([]upvalue, upvalueBlock)
	}
	u := &h.upvalues[0]
	h.upvalues = h.upvalues[1:]
	return u
}

// upvalueList returns room for the n upvalues of a function.
func (h *Host) upvalueList(n int) []*lua.Upvalue {
	if n > upvalueBlock {
		return make([]*lua.Upvalue, n)
	}
	if len(h.upvalueLists) < n {
		h.upvalueLists = make([]*lua.Upvalue, 2*upvalueBlock)
	}
	list := h.upvalueLists[:n:n]
	h.upvalueLists = h.upvalueLists[n:]
	return list
}

// closeUpvalues closes the upvalues of register i and those above.
func (t *Thread) closeUpvalues(i int) {
	s := layoutOf(&t.LState)
	for u := s.uvcache; u != nil && u.index >= i; u = s.uvcache {
		u.value = t.reg.array[u.index]
		u.closed = true
		s.uvcache = u.next
		u.reg, u.next = nil, nil
	}
}

// Run calls fn with no arguments on the main thread and returns its results. The error is one that no pcall of the script
// caught; handler converts its value before the frames are dropped. For a killed script it is a *Kill.
func (h *Host) Run(fn *lua.LFunction, handler func(lua.LValue) lua.LValue, args ...lua.LValue) (results []lua.LValue, err error) {
	t := h.main
	defer func() {
		if r := recover(); r != nil {
			k, ok := r.(*Kill)
			if !ok {
				panic(r)
			}
			k.Source, k.Line = h.innermost()
			results, err = nil, k
		}
		h.rest()
	}()
	t.reg.array[0] = fn
	t.ensure(len(args) + 2)
	copy(t.reg.array[1:], args)
	n, e := t.protect(0, len(args), handler)
	if e != nil {
		return nil, e
	}
	return t.reg.array[:n], nil
}

func (k *Kill) Error() string { return k.Text }

// rest resets the main thread after the end of a script. The values that the script left in the registers stay until
// ClearStack: Run's results are among them.
func (h *Host) rest() {
	h.nested = 0
	h.current = h.main
	h.main.status = threadRunning
	h.main.closeUpvalues(0)
	h.main.unwind(0)
	h.main.reg.top = 0
}

// ClearStack clears the values that a script left on the stack, so that they can be garbage collected.
func (h *Host) ClearStack() {
	t := h.main
	if len(t.reg.array) > 4096 {
		t.reg.array = make([]lua.LValue, 1024)
	} else {
		clear(t.reg.array[:min(t.high+MinStack+8, len(t.reg.array))])
	}
	t.high = 0
	if len(t.frames) > 256 {
		t.frames = t.frames[:64:64]
	}
}

// Protect runs f and returns the Lua error that it raises.
func Protect(L *lua.LState, f func()) (ok bool, err *Error) {
	t := threadOf(L)
	sp, nested, top := t.sp, t.h.nested, t.reg.top
	defer func() {
		if ok {
			return
		}
		r := recover()
		err = t.caught(r, nil, sp, nested, top)
		t.reg.top = top
	}()
	f()
	return true, nil
}
