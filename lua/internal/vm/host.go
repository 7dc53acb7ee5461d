package vm

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// Limits of Redis's Lua.
const (
	// maxNested is the number of nested calls through Go: metamethods, pcall, sort, coroutines.
	maxNested = 200
	// maxFrames is the limit of recursion of Lua functions.
	maxFrames = 19999
	// maxRegistry is the number of values on the stack of one thread.
	maxRegistry = 1 << 20
	// tickBudget is the number of steps between two calls of Host.OnTick.
	tickBudget = 20000
)

// Error is the panic of a Lua error.
type Error struct {
	Value lua.LValue
}

func (e *Error) Error() string {
	s, _ := ToString(e.Value)
	return s
}

// Kill is the panic that ends a script and that no script can catch. Text becomes its error.
type Kill struct {
	Text string
	// Source and Line are the position of the script when it was killed; Run sets them.
	Source string
	Line   int
}

// Host is one Lua state: the globals, the main thread and the data that all threads share.
type Host struct {
	// OnTick runs after each tickBudget steps of a script. It may panic with a *Kill.
	OnTick func()
	// Globals is the table of global names that scripts see.
	Globals *lua.LTable
	// Env has the globals of what is compiled: Globals, but where the running code has others.
	Env *lua.LTable
	// StringMeta is the metatable of strings.
	StringMeta *lua.LTable

	global  *lua.Global
	main    *Thread
	current *Thread
	budget  int
	nested  int
	boxes   boxes
	next    *lua.LFunction
	fixed   [fixedSlots]fixedField
	// Blocks that new upvalues, and lists of them, are cut from.
	upvalues     []upvalue
	upvalueLists []*lua.Upvalue
	hidden       map[string]*lua.LFunction
	// Memory returns the bytes that scripts use, for collectgarbage('count').
	Memory func() int64
}

// Thread is one Lua thread. The LState is its first field, so that the address of a thread is a *lua.LState.
type Thread struct {
	lua.LState
	h      *Host
	reg    *registry
	frames []*frame
	sp     int
	// high is about the highest register used since ClearStack.
	high   int
	status threadStatus
	// nestedBase is Host.nested when the thread was resumed: yielding is possible only at that depth.
	nestedBase int
	parent     *Thread
	body       *lua.LFunction
}

type threadStatus uint8

const (
	threadFresh threadStatus = iota
	threadSuspended
	threadRunning
	threadNormal
	threadDead
)

func threadOf(L *lua.LState) *Thread { return (*Thread)(unsafe.Pointer(L)) }

// Of returns the host of a thread.
func Of(L *lua.LState) *Host { return threadOf(L).h }

// NewHost makes a state with an empty table of globals. It panics if gopher-lua is another version than the one that this
// package was written for.
func NewHost() *Host {
	if text := layoutError(); text != "" {
		panic("gopher-lua is laid out otherwise than package vm expects: " + text)
	}
	seed := lua.NewState(lua.Options{CallStackSize: 1, RegistrySize: 128, SkipOpenLibs: true})
	h := &Host{global: seed.G, Globals: NewTable(0, 64), budget: tickBudget}
	h.Env = h.Globals
	h.main = h.newThread(1024)
	h.main.status = threadRunning
	h.current = h.main
	h.global.Global = h.Globals
	h.global.MainThread = &h.main.LState
	h.global.CurrentThread = &h.main.LState
	return h
}

// newThread makes a thread with room for n values.
func (h *Host) newThread(n int) *Thread {
	t := &Thread{h: h}
	t.reg = &registry{array: make([]lua.LValue, n), growBy: 64, maxSize: maxRegistry}
	s := layoutOf(&t.LState)
	s.G = h.global
	s.Env = h.Globals
	s.reg = t.reg
	s.hasErrorFunc = true
	s.Panic = raisePushed
	return t
}

// raisePushed is called by the module after it pushed an error of its own.
func raisePushed(L *lua.LState) { panic(&Error{Value: L.Get(-1)}) }

// Main returns the main thread.
func (h *Host) Main() *lua.LState { return &h.main.LState }

// Library returns the table of the library called name, and makes it if there is none.
func (h *Host) Library(name string) *lua.LTable {
	if t, ok := GetString(h.Globals, name).(*lua.LTable); ok {
		return t
	}
	t := NewTable(0, 16)
	SetString(h.Globals, name, t)
	return t
}

// Register adds functions to the library called name, or to the globals if name is "".
func (h *Host) Register(name string, functions map[string]lua.LGFunction) {
	t := h.Globals
	if name != "" {
		t = h.Library(name)
	}
	for key, f := range functions {
		SetString(t, key, h.Function(f))
	}
}

// Function makes a function value of f.
func (h *Host) Function(f lua.LGFunction) *lua.LFunction {
	return &lua.LFunction{IsG: true, Env: h.Globals, GFunction: f}
}

// NewLight makes a value that equals only itself, of type userdata; it is printed as C's null pointer.
func NewLight() *lua.LUserData { return &lua.LUserData{Metatable: lua.LNil} }

// Tick counts n steps of work. See the package comment.
func Tick(L *lua.LState, n int) { threadOf(L).h.tick(n) }

func (h *Host) tick(n int) {
	if h.budget -= n; h.budget < 0 {
		h.budget = tickBudget
		if h.OnTick != nil {
			h.OnTick()
		}
	}
}

// ensure makes room for n values on the stack.
func (t *Thread) ensure(n int) {
	if n > len(t.reg.array) {
		t.grow(n)
	}
}

func (t *Thread) grow(n int) {
	if n > maxRegistry {
		t.raise("stack overflow")
	}
	size := min(max(2*len(t.reg.array), n+64), maxRegistry+64)
	bigger := make([]lua.LValue, size)
	copy(bigger, t.reg.array)
	t.reg.array = bigger
}

// push makes a frame for fn and makes it current.
func (t *Thread) push() *frame {
	if t.sp == len(t.frames) {
		if t.sp >= maxFrames {
			t.raise("stack overflow")
		}
		t.frames = append(t.frames, &frame{Idx: t.sp})
	}
	f := t.frames[t.sp]
	t.sp++
	layoutOf(&t.LState).currentFrame = f
	return f
}

// pop drops the current frame.
func (t *Thread) pop() {
	t.sp--
	var f *frame
	if t.sp > 0 {
		f = t.frames[t.sp-1]
	}
	layoutOf(&t.LState).currentFrame = f
}

// unwind drops all frames above sp.
func (t *Thread) unwind(sp int) {
	t.sp = sp
	var f *frame
	if sp > 0 {
		f = t.frames[sp-1]
	}
	layoutOf(&t.LState).currentFrame = f
}

// free returns the first register that the current frame does not use.
func (t *Thread) free() int {
	if t.sp == 0 {
		return t.reg.top
	}
	f := t.frames[t.sp-1]
	if f.Fn.IsG {
		return t.reg.top
	}
	return f.LocalBase + int(f.Fn.Proto.NumUsedRegisters)
}

// SetNext sets the function next, for which the interpreter has a faster path in loops.
func (h *Host) SetNext(f *lua.LFunction) { h.next = f }

// NextFunction returns the function next.
func (h *Host) NextFunction() *lua.LFunction { return h.next }

// NextKey returns the key that follows k in t, and its value. ok is false if k is not a key of t.
func NextKey(L *lua.LState, t *lua.LTable, k lua.LValue) (key, val lua.LValue, ok bool) {
	return tableOf(t).next(&threadOf(L).h.boxes, k)
}

// Hidden returns the function value of f, which is not a global; it is made once for each host.
func (h *Host) Hidden(name string, f lua.LGFunction) *lua.LFunction {
	fn, ok := h.hidden[name]
	if !ok {
		if h.hidden == nil {
			h.hidden = make(map[string]*lua.LFunction)
		}
		fn = h.Function(f)
		h.hidden[name] = fn
	}
	return fn
}

// Size returns about how many bytes the state occupies: the stack, and the tables and functions that are reachable from the
// globals.
func (h *Host) Size() int64 {
	const value = int(unsafe.Sizeof(lua.LValue(nil)))
	t := h.main
	n := len(t.reg.array)*value + cap(t.frames)*int(unsafe.Sizeof(frame{})+unsafe.Sizeof(&frame{}))
	seen := make(map[lua.LValue]bool)
	var add func(v lua.LValue)
	add = func(v lua.LValue) {
		if seen[v] {
			return
		}
		switch v := v.(type) {
		case *lua.LFunction:
			seen[v] = true
			n += int(unsafe.Sizeof(*v))
		case *lua.LTable:
			seen[v] = true
			x := tableOf(v)
			n += int(unsafe.Sizeof(*x)) + cap(x.array)*value + cap(x.entries)*int(unsafe.Sizeof(entry{})) + 4*cap(x.index)
			add(v.Metatable)
			ForEach(v, func(_, v lua.LValue) bool { add(v); return true })
		}
	}
	add(h.Globals)
	return int64(n)
}

// MemoryKB returns the result of collectgarbage('count').
func (h *Host) MemoryKB() float64 {
	if h.Memory == nil {
		return 0
	}
	return float64(h.Memory()) / 1024
}

// ResetTicks begins a new count of steps.
func (h *Host) ResetTicks() { h.budget = tickBudget }

// top returns the current frame, or nil.
func (t *Thread) top() *frame {
	if t.sp == 0 {
		return nil
	}
	return t.frames[t.sp-1]
}
