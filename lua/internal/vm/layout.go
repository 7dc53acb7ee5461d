package vm

import (
	"math"
	"reflect"
	"sync"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// This file is the only one that uses unexported fields of gopher-lua v1.1.2. Each struct below mirrors one of the module's,
// field by field; layoutError compares them by reflection, and NewHost panics if they differ. The interpreter loop needs
// direct access to the registry and the frames: the module's own loop cannot be stopped and does not name the variable of an
// error.

// frame mirrors callFrame. Base is the register of the called function, LocalBase the first local.
type frame struct {
	Idx        int
	Fn         *lua.LFunction
	Parent     *frame
	Pc         int
	Base       int
	LocalBase  int
	ReturnBase int
	NArgs      int
	NRet       int
	TailCall   int
}

// registry mirrors registry: the stack of values of one thread.
type registry struct {
	array   []lua.LValue
	top     int
	growBy  int
	maxSize int
	//lint:ignore U1000 it keeps the place
	alloc unsafe.Pointer
	//lint:ignore U1000 it keeps the place
	handler any
}

// upvalue mirrors Upvalue. An open one points into a registry, a closed one holds its value.
type upvalue struct {
	next   *upvalue
	reg    *registry
	index  int
	value  lua.LValue
	closed bool
}

// stateLayout mirrors LState.
type stateLayout struct {
	G            *lua.Global
	Parent       *lua.LState
	Env          *lua.LTable
	Panic        func(*lua.LState)
	Dead         bool
	Options      lua.Options
	stop         int32
	reg          *registry
	stack        any
	alloc        unsafe.Pointer
	currentFrame *frame
	wrapped      bool
	uvcache      *upvalue
	hasErrorFunc bool
	mainLoop     func(*lua.LState, *frame)
	ctx          any
	ctxCancelFn  func()
}

func layoutOf(L *lua.LState) *stateLayout { return (*stateLayout)(unsafe.Pointer(L)) }

func upvalueOf(u *lua.Upvalue) *upvalue { return (*upvalue)(unsafe.Pointer(u)) }

// layoutError returns the difference between the mirrors above and the linked module, or "".
func layoutError() string {
	state := reflect.TypeFor[lua.LState]()
	pointee := func(field string) reflect.Type {
		f, ok := state.FieldByName(field)
		if !ok || f.Type.Kind() != reflect.Pointer {
			return reflect.TypeFor[struct{}]()
		}
		return f.Type.Elem()
	}
	for _, c := range []struct{ theirs, ours reflect.Type }{
		{state, reflect.TypeFor[stateLayout]()},
		{pointee("reg"), reflect.TypeFor[registry]()},
		{pointee("currentFrame"), reflect.TypeFor[frame]()},
		{reflect.TypeFor[lua.Upvalue](), reflect.TypeFor[upvalue]()},
	} {
		if c.theirs.Size() != c.ours.Size() || c.theirs.NumField() != c.ours.NumField() {
			return c.ours.Name() + " has another size"
		}
		for i := range c.ours.NumField() {
			a, b := c.theirs.Field(i), c.ours.Field(i)
			if a.Name != b.Name || a.Offset != b.Offset || a.Type.Size() != b.Type.Size() {
				return c.ours.Name() + "." + b.Name + " lies elsewhere"
			}
			ka, kb := a.Type.Kind(), b.Type.Kind()
			if ka == reflect.Pointer && kb == reflect.UnsafePointer {
				continue
			}
			if ka != kb {
				return c.ours.Name() + "." + b.Name + " is of another kind"
			}
		}
	}
	theirs, ours := reflect.TypeFor[lua.LTable](), reflect.TypeFor[table]()
	if a, b := theirs.Field(0), ours.Field(0); a.Name != b.Name || a.Type != b.Type || theirs.Size() > ours.Size() {
		return "a table is another"
	}
	var v lua.LValue = lua.LNumber(0)
	if reflect.TypeOf(v).Kind() != reflect.Float64 {
		return "a number is no float64"
	}
	return ""
}

// iface is a Go interface value: its type word and its data word.
type iface struct {
	tab  unsafe.Pointer
	data unsafe.Pointer
}

// numberTab is the type word of a number in an LValue.
var numberTab = func() unsafe.Pointer {
	var v lua.LValue = lua.LNumber(0)
	return (*iface)(unsafe.Pointer(&v)).tab
}()

// dataWord returns the data word of an LValue.
func dataWord(v lua.LValue) unsafe.Pointer { return (*iface)(unsafe.Pointer(&v)).data }

// smallNumbers bounds the integers that have a box for good, shared by all hosts: they are what scripts count and index with.
const smallNumbers = 1 << 17

var (
	smallBoxes [smallNumbers]float64
	fillSmall  = sync.OnceFunc(func() {
		for i := range smallBoxes {
			smallBoxes[i] = float64(i)
		}
	})
)

// boxes allocates float64s for numbers in blocks: one allocation for numberBlock numbers. A block lives as long as one of its
// numbers.
type boxes struct {
	block []float64
	// shared is smallNumbers once smallBoxes is filled, before that 0.
	shared uint64
}

const numberBlock = 64

// share lets b use the shared boxes. The first compilation calls it, so that a server without scripts does not touch their
// megabyte.
func (b *boxes) share() {
	fillSmall()
	b.shared = smallNumbers
}

// number boxes f.
func (b *boxes) number(f float64) (v lua.LValue) {
	var p *float64
	// The bits tell -0 from 0; a number beyond the range of int64 becomes any integer, which has other bits.
	if i := int64(f); uint64(i) < b.shared && math.Float64bits(float64(i)) == math.Float64bits(f) {
		p = &smallBoxes[i]
	} else {
		if len(b.block) == 0 {
			b.block = make([]float64, numberBlock)
		}
		p = &b.block[0]
		b.block = b.block[1:]
		*p = f
	}
	*(*iface)(unsafe.Pointer(&v)) = iface{numberTab, unsafe.Pointer(p)}
	return v
}

// stringTab is the type word of a string in an LValue.
var stringTab = func() unsafe.Pointer {
	var v lua.LValue = lua.LString("")
	return (*iface)(unsafe.Pointer(&v)).tab
}()

// StringAt makes a value of the string that s points to, which must not change any more.
func StringAt(s *lua.LString) (v lua.LValue) {
	w := (*iface)(unsafe.Pointer(&v))
	w.tab, w.data = stringTab, unsafe.Pointer(s)
	return v
}

// BytesValue makes a string value of a copy of b: with one allocation if b is short.
func BytesValue(b []byte) lua.LValue {
	switch {
	case len(b) <= 16:
		p := new(struct {
			s lua.LString
			b [16]byte
		})
		p.s = lua.LString(String(p.b[:copy(p.b[:], b)]))
		return StringAt(&p.s)
	case len(b) <= 48:
		p := new(struct {
			s lua.LString
			b [48]byte
		})
		p.s = lua.LString(String(p.b[:copy(p.b[:], b)]))
		return StringAt(&p.s)
	}
	return lua.LString(b)
}

// Bytes returns the bytes of s without copying them. They must not be written to.
func Bytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
