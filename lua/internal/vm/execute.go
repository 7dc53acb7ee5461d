package vm

import (
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

const (
	rkBit   = 1 << 8
	rkIndex = rkBit - 1
	sbxBias = 1<<17 - 1
)

// execute runs the Lua function on top of the frames, and those that it calls, until the number of frames is sp again. It
// returns true if a coroutine yields instead.
//
// It replaces gopher-lua's own loop for the module's instructions. The slice R is the registers of the running function. A
// call may move the stack, so after each call the code continues at the label reload.
func (t *Thread) execute(sp int) bool {
	h := t.h
	var (
		f    *frame
		code []uint32
		K    []lua.LValue
		R    []lua.LValue
	)
enter:
	f = t.frames[t.sp-1]
	code, K = f.Fn.Proto.Code, f.Fn.Proto.Constants
reload:
	R = t.reg.array[f.LocalBase:]
	for {
		i := code[f.Pc]
		f.Pc++
		A := int(i>>18) & 0xff
		switch int(i >> 26) {
		case lua.OP_MOVE:
			R[A] = R[i&0xff]

		case lua.OP_MOVEN:
			R[A] = R[i&0xff]
			for n := int(i>>9) & 0x1ff; n > 0; n-- {
				i := code[f.Pc]
				f.Pc++
				R[int(i>>18)&0xff] = R[i&0xff]
			}

		case lua.OP_LOADK:
			R[A] = K[i&0x3ffff]

		case lua.OP_LOADBOOL:
			R[A] = lua.LBool(i&0x1ff != 0)
			if i>>9&0x1ff != 0 {
				f.Pc++
			}

		case lua.OP_LOADNIL:
			for r := A; r <= int(i&0x1ff); r++ {
				R[r] = lua.LNil
			}

		case lua.OP_GETUPVAL:
			u := upvalueOf(f.Fn.Upvalues[i&0x1ff])
			if u.closed {
				R[A] = u.value
			} else {
				R[A] = u.reg.array[u.index]
			}

		case lua.OP_SETUPVAL:
			u := upvalueOf(f.Fn.Upvalues[i&0x1ff])
			if u.closed {
				u.value = R[A]
			} else {
				u.reg.array[u.index] = R[A]
			}

		case lua.OP_GETGLOBAL:
			k := K[i&0x3ffff]
			v := h.globalField(f.Fn.Env, k)
			if v == lua.LNil {
				v = t.index(f.Fn.Env, k)
				t.reg.array[f.LocalBase+A] = v
				goto reload
			}
			R[A] = v

		case lua.OP_SETGLOBAL:
			t.setIndex(f.Fn.Env, K[i&0x3ffff], R[A])
			goto reload

		case lua.OP_GETTABLE, lua.OP_GETTABLEKS:
			b := R[i&0xff]
			tb, isTable := b.(*lua.LTable)
			var k lua.LValue
			if c := int(i>>9) & 0x1ff; c&rkBit != 0 {
				k = K[c&rkIndex]
				if isTable && tableOf(tb).readonly {
					if _, ok := k.(lua.LString); ok {
						if v := h.fixedField(tableOf(tb), k); v != lua.LNil {
							R[A] = v
							continue
						}
					}
				}
			} else {
				k = R[c]
			}
			if isTable {
				v := tableOf(tb).get(k)
				if v != lua.LNil || tb.Metatable == lua.LNil {
					R[A] = v
					continue
				}
			}
			v := t.index(b, k)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_SELF:
			var k lua.LValue
			if c := int(i>>9) & 0x1ff; c&rkBit != 0 {
				k = K[c&rkIndex]
			} else {
				k = R[c]
			}
			b := R[i&0xff]
			v := t.index(b, k)
			R = t.reg.array[f.LocalBase:]
			R[A], R[A+1] = v, b

		case lua.OP_SETTABLE, lua.OP_SETTABLEKS:
			var k, v lua.LValue
			if b := int(i) & 0x1ff; b&rkBit != 0 {
				k = K[b&rkIndex]
			} else {
				k = R[b]
			}
			if c := int(i>>9) & 0x1ff; c&rkBit != 0 {
				v = K[c&rkIndex]
			} else {
				v = R[c]
			}
			if tb, ok := R[A].(*lua.LTable); ok && tb.Metatable == lua.LNil {
				x := tableOf(tb)
				if !x.readonly {
					switch n := k.(type) {
					case lua.LString:
						x.setEntry(k, v)
						continue
					case lua.LNumber:
						if n == n {
							x.setNumber(float64(n), k, v)
							continue
						}
					}
				}
			}
			t.setIndex(R[A], k, v)
			goto reload

		case lua.OP_NEWTABLE:
			R[A] = NewTable(fromFb(int(i&0x1ff)), fromFb(int(i>>9)&0x1ff))

		case lua.OP_ADD:
			x, y := operands(i, R, K)
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					R[A] = h.boxes.number(float64(a + b))
					continue
				}
			}
			v := t.arith(evAdd, x, y)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_SUB:
			x, y := operands(i, R, K)
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					R[A] = h.boxes.number(float64(a - b))
					continue
				}
			}
			v := t.arith(evSub, x, y)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_MUL:
			x, y := operands(i, R, K)
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					R[A] = h.boxes.number(float64(a * b))
					continue
				}
			}
			v := t.arith(evMul, x, y)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_DIV, lua.OP_MOD, lua.OP_POW:
			x, y := operands(i, R, K)
			e := evDiv + event(i>>26-uint32(lua.OP_DIV))
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					R[A] = h.boxes.number(arithmetic(e, float64(a), float64(b)))
					continue
				}
			}
			v := t.arith(e, x, y)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_UNM:
			v := R[i&0xff]
			if n, ok := v.(lua.LNumber); ok {
				R[A] = h.boxes.number(float64(-n))
				continue
			}
			v = t.unm(v)
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_NOT:
			v := R[i&0xff]
			R[A] = lua.LBool(v == lua.LNil || v == lua.LFalse)

		case lua.OP_LEN:
			if tb, ok := R[i&0xff].(*lua.LTable); ok {
				R[A] = h.boxes.number(float64(len(tableOf(tb).array)))
				continue
			}
			v := t.length(R[i&0xff])
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_CONCAT:
			v := t.concat(R[i&0x1ff : int(i>>9)&0x1ff+1])
			t.reg.array[f.LocalBase+A] = v
			goto reload

		case lua.OP_JMP:
			d := int(i&0x3ffff) - sbxBias
			if d < 0 {
				if h.budget--; h.budget < 0 {
					h.tick(0)
				}
			}
			f.Pc += d

		case lua.OP_EQ:
			x, y := operands(i, R, K)
			var r bool
			if a, ok := x.(lua.LNumber); ok {
				b, ok := y.(lua.LNumber)
				r = ok && a == b
			} else if a, ok := x.(lua.LString); ok {
				b, ok := y.(lua.LString)
				r = ok && a == b
			} else {
				r = t.equal(x, y)
				R = t.reg.array[f.LocalBase:]
			}
			if r != (A != 0) {
				f.Pc++
			}

		case lua.OP_LT:
			x, y := operands(i, R, K)
			var r bool
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					if (a < b) != (A != 0) {
						f.Pc++
					}
					continue
				}
			}
			r = t.less(x, y)
			R = t.reg.array[f.LocalBase:]
			if r != (A != 0) {
				f.Pc++
			}

		case lua.OP_LE:
			x, y := operands(i, R, K)
			var r bool
			if a, ok := x.(lua.LNumber); ok {
				if b, ok := y.(lua.LNumber); ok {
					if (a <= b) != (A != 0) {
						f.Pc++
					}
					continue
				}
			}
			r = t.lessEqual(x, y)
			R = t.reg.array[f.LocalBase:]
			if r != (A != 0) {
				f.Pc++
			}

		case lua.OP_TEST:
			v := R[A]
			if (v != lua.LNil && v != lua.LFalse) == (i>>9&0x1ff == 0) {
				f.Pc++
			}

		case lua.OP_TESTSET:
			v := R[i&0xff]
			if (v != lua.LNil && v != lua.LFalse) != (i>>9&0x1ff == 0) {
				R[A] = v
			} else {
				f.Pc++
			}

		case lua.OP_CALL, lua.OP_TAILCALL:
			at := f.LocalBase + A
			nargs := int(i&0x1ff) - 1
			if nargs < 0 {
				nargs = t.reg.top - at - 1
			}
			nret := int(i>>9)&0x1ff - 1
			if h.budget--; h.budget < 0 {
				h.tick(0)
			}
			fn, ok := t.reg.array[at].(*lua.LFunction)
			if !ok {
				fn = t.callable(at, nargs)
				nargs++
			}
			if fn.IsG {
				// The return instruction behind a tail call returns the results.
				if t.callGo(fn, at, nargs, nret) < 0 {
					return true
				}
				goto reload
			}
			if int(i>>26) == lua.OP_CALL {
				t.callLua(fn, at, nargs, nret)
				goto enter
			}
			t.closeUpvalues(f.Base)
			np := int(fn.Proto.NumParameters)
			t.ensure(f.Base + 1 + max(2*max(nargs, np)+int(fn.Proto.NumUsedRegisters)+8, at-f.Base+nargs+1))
			copy(t.reg.array[f.Base:], t.reg.array[at:at+nargs+1])
			f.Fn, f.NArgs, f.Pc = fn, nargs, 0
			f.TailCall++
			t.start(f)
			goto enter

		case lua.OP_RETURN:
			if layoutOf(&t.LState).uvcache != nil {
				t.closeUpvalues(f.Base)
			}
			from := f.LocalBase + A
			n := int(i&0x1ff) - 1
			if n < 0 {
				n = t.reg.top - from
			}
			to := f.ReturnBase
			a := t.reg.array
			want := f.NRet
			switch {
			case want == 1 && n > 0:
				a[to] = a[from]
			case want == MultRet:
				copy(a[to:], a[from:from+n])
				t.reg.top = to + n
			case n >= want:
				copy(a[to:], a[from:from+want])
			default:
				copy(a[to:], a[from:from+n])
				t.ensure(to + want)
				for ; n < want; n++ {
					t.reg.array[to+n] = lua.LNil
				}
			}
			t.pop()
			if t.sp <= sp {
				return false
			}
			goto enter

		case lua.OP_FORPREP:
			start, limit, step := t.forNumbers(R[A], R[A+1], R[A+2])
			// The counter has a box of its own, which FORLOOP changes in place: no script sees it.
			R[A] = newNumber(start - step)
			R[A+1] = h.boxes.number(limit)
			R[A+2] = h.boxes.number(step)
			f.Pc += int(i&0x3ffff) - sbxBias

		case lua.OP_FORLOOP:
			step := float64(R[A+2].(lua.LNumber))
			limit := float64(R[A+1].(lua.LNumber))
			counter := (*float64)(dataWord(R[A]))
			n := *counter + step
			*counter = n
			if step > 0 && n <= limit || step <= 0 && limit <= n {
				jump := int(i&0x3ffff) - sbxBias
				if jump == -1 {
					h.spin(n, limit, step)
					continue
				}
				R[A+3] = h.boxes.number(n)
				if h.budget--; h.budget < 0 {
					h.tick(0)
				}
				f.Pc += jump
			}

		case lua.OP_TFORLOOP:
			if h.budget--; h.budget < 0 {
				h.tick(0)
				R = t.reg.array[f.LocalBase:]
			}
			n := int(i>>9) & 0x1ff
			if R[A] == lua.LValue(h.next) {
				if tb, ok := R[A+1].(*lua.LTable); ok {
					if k, v, ok := tableOf(tb).next(&h.boxes, R[A+2]); ok {
						if k == lua.LNil {
							f.Pc++
							continue
						}
						R[A+2], R[A+3] = k, k
						if n > 1 {
							R[A+4] = v
							for r := A + 5; r < A+3+n; r++ {
								R[r] = lua.LNil
							}
						}
						f.Pc += int(code[f.Pc]&0x3ffff) - sbxBias + 1
						continue
					}
				}
			}
			at := f.LocalBase + A + 3
			t.ensure(at + max(n, 3))
			copy(t.reg.array[at:at+3], t.reg.array[at-3:at])
			t.invoke(at, 2, n)
			R = t.reg.array[f.LocalBase:]
			if R[A+3] != lua.LNil {
				R[A+2] = R[A+3]
				f.Pc += int(code[f.Pc]&0x3ffff) - sbxBias + 1
			} else {
				f.Pc++
			}

		case lua.OP_SETLIST:
			c := int(i>>9) & 0x1ff
			if c == 0 {
				c = int(code[f.Pc])
				f.Pc++
			}
			n := int(i & 0x1ff)
			if n == 0 {
				n = t.reg.top - (f.LocalBase + A + 1)
			}
			tb := tableOf(R[A].(*lua.LTable))
			tb.setList((c-1)*lua.FieldsPerFlush, R[A+1:A+1+n])
			if n > 64 {
				h.tick(n)
			}

		case lua.OP_CLOSE:
			t.closeUpvalues(f.LocalBase + A)

		case lua.OP_CLOSURE:
			p := f.Fn.Proto.FunctionPrototypes[i&0x3ffff]
			fn := &lua.LFunction{Env: f.Fn.Env, Proto: p}
			if n := int(p.NumUpvalues); n > 0 {
				fn.Upvalues = h.upvalueList(n)
				for j := range n {
					i := code[f.Pc]
					f.Pc++
					if int(i>>26) == lua.OP_MOVE {
						fn.Upvalues[j] = (*lua.Upvalue)(unsafe.Pointer(t.findUpvalue(f.LocalBase + int(i&0x1ff))))
					} else {
						fn.Upvalues[j] = f.Fn.Upvalues[i&0x1ff]
					}
				}
			}
			R[A] = fn

		case lua.OP_VARARG:
			np := int(f.Fn.Proto.NumParameters)
			have := max(f.NArgs-np, 0)
			want := int(i&0x1ff) - 1
			to := f.LocalBase + A
			if want < 0 {
				want = have
				t.reg.top = to + want
			}
			t.ensure(to + want + 4)
			a := t.reg.array
			n := min(have, want)
			copy(a[to:to+n], a[f.Base+1+np:])
			for j := n; j < want; j++ {
				a[to+j] = lua.LNil
			}
			goto reload

		case lua.OP_NOP:
		}
	}
}

func operands(i uint32, R, K []lua.LValue) (x, y lua.LValue) {
	if b := int(i) & 0x1ff; b&rkBit != 0 {
		x = K[b&rkIndex]
	} else {
		x = R[b]
	}
	if c := int(i>>9) & 0x1ff; c&rkBit != 0 {
		y = K[c&rkIndex]
	} else {
		y = R[c]
	}
	return
}

// fromFb decodes the size of a table constructor, a floating-point byte.
func fromFb(x int) int {
	e := x >> 3
	if e == 0 {
		return x
	}
	return (x&7 + 8) << (e - 1)
}

// globalField returns the global whose name is a string constant, or nil.
func (h *Host) globalField(env *lua.LTable, k lua.LValue) lua.LValue {
	t := tableOf(env)
	if t.readonly {
		return h.fixedField(t, k)
	}
	return t.getString(string(k.(lua.LString)))
}

// newNumber boxes f in memory of its own.
func newNumber(f float64) (v lua.LValue) {
	p := new(float64)
	*p = f
	w := (*iface)(unsafe.Pointer(&v))
	w.tab, w.data = numberTab, unsafe.Pointer(p)
	return v
}

// forNumbers converts the three values of a numeric for.
func (t *Thread) forNumbers(a, b, c lua.LValue) (start, limit, step float64) {
	var ok bool
	if start, ok = ToNumber(a); !ok {
		t.raise("'for' initial value must be a number")
	}
	if limit, ok = ToNumber(b); !ok {
		t.raise("'for' limit must be a number")
	}
	if step, ok = ToNumber(c); !ok {
		t.raise("'for' step must be a number")
	}
	return
}

// setList stores values from index from+1 on, as a constructor does: nils in the middle keep their places.
func (t *table) setList(from int, values []lua.LValue) {
	if from != len(t.array) || t.integers {
		for i, v := range values {
			t.setNumber(float64(from+i+1), nil, v)
		}
		return
	}
	t.array = append(t.array, values...)
	t.trim()
}

// spin is the rest of a numeric loop without a body, from n on. Scripts that wait are such loops; no code reads their variable.
func (h *Host) spin(n, limit, step float64) {
	for ; step > 0 && n <= limit || step <= 0 && limit <= n; n += step {
		if h.budget--; h.budget < 0 {
			h.tick(0)
		}
	}
}
