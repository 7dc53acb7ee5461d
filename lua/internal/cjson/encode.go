package cjson

import (
	"math"
	"slices"
	"strconv"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// encoder appends values to buf.
type encoder struct {
	L   *lua.LState
	c   *config
	buf []byte
	// root is the encoded value. It is measured when buf becomes longer than measureFrom.
	root     lua.LValue
	measured bool
}

// measureFrom is the length from which on the whole result is measured before more of it is built: then it is refused, or buf
// gets its final size, so that growing copies nothing more.
const measureFrom = 4 << 20

func (c *config) encode(L *lua.LState) int {
	if L.GetTop() != 1 {
		vm.ArgError(L, 1, "expected 1 argument")
	}
	e := encoder{L: L, c: c, buf: c.buf[:0], root: vm.Arg(L, 1)}
	c.buf = nil
	e.value(e.root, 0, 1)
	if cap(e.buf) > keepScratch {
		L.Push(lua.LString(vm.String(e.buf)))
	} else {
		L.Push(vm.BytesValue(e.buf))
		c.buf = e.buf
	}
	return 1
}

func (e *encoder) refuse(v lua.LValue, reason string) {
	vm.Errorf(e.L, "Cannot serialise %s: %s", vm.TypeName(v), reason)
}

// value appends v, which is inside depth tables and at index used of the original's stack.
func (e *encoder) value(v lua.LValue, depth, used int) {
	switch v := v.(type) {
	case lua.LString:
		e.text(string(v))
	case lua.LNumber:
		e.number(v)
	case lua.LBool:
		e.buf = strconv.AppendBool(e.buf, bool(v))
	case *lua.LTable:
		depth++
		if depth > e.c.encodeMaxDepth || used+3 > maxStack {
			vm.Errorf(e.L, "Cannot serialise, excessive nesting (%d)", depth)
		}
		if n := e.arrayLength(v); n > 0 {
			e.array(v, n, depth, used)
		} else {
			e.object(v, depth, used)
		}
	case *lua.LNilType:
		e.buf = append(e.buf, "null"...)
	default:
		if v != lua.LValue(e.c.null) {
			e.refuse(v, "type not supported")
		}
		e.buf = append(e.buf, "null"...)
	}
	vm.CheckLength(e.L, len(e.buf))
	if len(e.buf) > measureFrom && !e.measured {
		e.measured = true
		e.buf = slices.Grow(e.buf, e.measure(e.root, 0, 0)-len(e.buf))
	}
}

// measure returns size plus about the length of v, which is inside depth tables. Values that cannot be encoded count as 0:
// the encoder itself refuses them.
func (e *encoder) measure(v lua.LValue, depth, size int) int {
	switch v := v.(type) {
	case lua.LString:
		return e.measureText(string(v), size)
	case lua.LNumber:
		var scratch [32]byte
		vm.Tick(e.L, 2)
		return size + len(strconv.AppendFloat(scratch[:0], float64(v), 'g', e.c.precision, 64))
	case *lua.LTable:
		if depth > e.c.encodeMaxDepth {
			return size
		}
		size += 2
		vm.Tick(e.L, 1)
		vm.ForEach(v, func(k, v lua.LValue) bool {
			if s, ok := k.(lua.LString); ok {
				size = e.measureText(string(s), size) + 1
			}
			size = e.measure(v, depth+1, size) + 1
			return true
		})
		return size
	}
	return size + len("null")
}

func (e *encoder) measureText(s string, size int) int {
	size += len(s) + 2
	vm.CheckLength(e.L, size)
	for s != "" {
		part := s[:min(len(s), chunk)]
		s = s[len(part):]
		vm.Tick(e.L, 1+len(part)>>3)
		for i := range len(part) {
			switch escapes[part[i]] {
			case 0:
			case 'u':
				size += 5
			default:
				size++
			}
		}
	}
	vm.CheckLength(e.L, size)
	return size
}

// escapes has the bytes that need an escape: the letter behind the backslash, 'u' for \u and four digits.
var escapes = func() (t [256]byte) {
	for i := range 32 {
		t[i] = 'u'
	}
	t['\b'], t['\t'], t['\n'], t['\f'], t['\r'] = 'b', 't', 'n', 'f', 'r'
	t['"'], t['\\'], t['/'], t[0x7f] = '"', '\\', '/', 'u'
	return t
}()

const hexDigits = "0123456789abcdef"

func (e *encoder) text(s string) {
	vm.CheckLength(e.L, len(e.buf)+len(s)+2)
	e.buf = append(e.buf, '"')
	for len(s) > chunk {
		e.escape(s[:chunk])
		s = s[chunk:]
	}
	e.escape(s)
	e.buf = append(e.buf, '"')
}

// chunk is the number of bytes of a string between two ticks.
const chunk = 8 << 10

func (e *encoder) escape(s string) {
	vm.Tick(e.L, 1+len(s)>>3)
	from := 0
	for i := 0; i < len(s); i++ {
		esc := escapes[s[i]]
		if esc == 0 {
			continue
		}
		e.buf = append(e.buf, s[from:i]...)
		from = i + 1
		if esc == 'u' {
			e.buf = append(e.buf, '\\', 'u', '0', '0', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		} else {
			e.buf = append(e.buf, '\\', esc)
		}
	}
	e.buf = append(e.buf, s[from:]...)
	vm.CheckLength(e.L, len(e.buf))
}

func (e *encoder) number(v lua.LNumber) {
	f := float64(v)
	vm.Tick(e.L, 2)
	if i := int64(f); float64(i) == f && (i != 0 || 1/f > 0) && e.c.precision == 14 && i < 1e14 && i > -1e14 {
		e.buf = strconv.AppendInt(e.buf, i, 10)
		return
	}
	if f != f || math.IsInf(f, 0) {
		switch {
		case e.c.encodeInvalid == invalidRefused:
			e.refuse(v, "must not be NaN or Inf")
		case e.c.encodeInvalid == invalidNull:
			e.buf = append(e.buf, "null"...)
		case f != f:
			e.buf = append(e.buf, "nan"...)
		default:
			e.buf = vm.AppendNumber(e.buf, f)
		}
		return
	}
	e.buf = strconv.AppendFloat(e.buf, f, 'g', e.c.precision, 64)
}

// arrayLength returns the largest key where all keys of t are positive integers; anything below 1 makes t an object.
// Like the original it counts in 32 bits.
func (e *encoder) arrayLength(t *lua.LTable) int {
	if !vm.HasStringKeys(t) && vm.Len(t) == vm.Count(t) {
		return vm.Len(t)
	}
	most, items := int32(0), int32(0)
	array := true
	vm.ForEach(t, func(k, _ lua.LValue) bool {
		f, ok := k.(lua.LNumber)
		if !ok || f < 1 || math.Floor(float64(f)) != float64(f) {
			array = false
			return false
		}
		if float64(f) > float64(most) {
			most = toInt32(float64(f))
		}
		items++
		return true
	})
	vm.Tick(e.L, int(items))
	if !array {
		return -1
	}
	if ratio := int32(e.c.sparseRatio); ratio > 0 && most > items*ratio && int(most) > e.c.sparseSafe {
		if !e.c.sparseConvert {
			e.refuse(t, "excessively sparse array")
		}
		return -1
	}
	return int(most)
}

// toInt32 converts f as x86-64 does: a number out of range becomes the smallest integer.
func toInt32(f float64) int32 {
	if f > math.MaxInt32 {
		return math.MinInt32
	}
	return int32(f)
}

func (e *encoder) array(t *lua.LTable, n, depth, used int) {
	vm.CheckLength(e.L, len(e.buf)+2*n+1)
	e.buf = append(e.buf, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.buf = append(e.buf, ',')
		}
		vm.Tick(e.L, 1)
		e.value(vm.GetInt(t, i), depth, used+1)
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) object(t *lua.LTable, depth, used int) {
	e.buf = append(e.buf, '{')
	first := true
	vm.ForEach(t, func(k, v lua.LValue) bool {
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		switch k := k.(type) {
		case lua.LString:
			e.text(string(k))
			e.buf = append(e.buf, ':')
		case lua.LNumber:
			e.buf = append(e.buf, '"')
			e.number(k)
			e.buf = append(e.buf, '"', ':')
		default:
			e.refuse(k, "table key must be a number or string")
		}
		e.value(v, depth, used+2)
		return true
	})
	e.buf = append(e.buf, '}')
}
