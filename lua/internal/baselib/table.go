package baselib

import (
	"math"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

func openTable(h *vm.Host) {
	h.Register("table", map[string]lua.LGFunction{
		"concat": tableConcat, "foreach": tableForeach, "foreachi": tableForeachi, "getn": tableGetn, "insert": tableInsert,
		"maxn": tableMaxn, "remove": tableRemove, "setn": tableSetn, "sort": tableSort,
	})
}

func tableConcat(L *lua.LState) int {
	sep := vm.OptString(L, 2, "")
	t := vm.CheckTable(L, 1)
	i := vm.OptInt(L, 3, 1)
	last := vm.OptInt(L, 4, vm.Len(t))
	size := 0
	var scratch [32]byte
	for j := i; j <= last; j++ {
		switch v := vm.GetInt(t, j).(type) {
		case lua.LString:
			size += len(v)
		case lua.LNumber:
			size += len(vm.AppendNumber(scratch[:0], float64(v)))
		default:
			vm.Errorf(L, "invalid value (%s) at index %d in table for 'concat'", vm.TypeName(v), j)
		}
		if j < last {
			size += len(sep)
		}
		vm.CheckLength(L, size)
		vm.Tick(L, 2)
	}
	buf := make([]byte, 0, size)
	for j := i; j <= last; j++ {
		switch v := vm.GetInt(t, j).(type) {
		case lua.LString:
			buf = vm.AppendString(L, buf, string(v))
		case lua.LNumber:
			buf = vm.AppendNumber(buf, float64(v))
		}
		if j < last {
			buf = vm.AppendString(L, buf, sep)
		}
	}
	vm.Tick(L, min(size, vm.Piece)>>6)
	L.Push(lua.LString(vm.String(buf)))
	return 1
}

func tableForeach(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	f := vm.CheckFunction(L, 2)
	var k, v lua.LValue = lua.LNil, nil
	for {
		var ok bool
		if k, v, ok = vm.NextKey(L, t, k); !ok {
			vm.Raise(lua.LString("invalid key to 'next'"))
		}
		if k == lua.LNil {
			return 0
		}
		vm.Tick(L, 1)
		if r := vm.Call1(L, f, k, v); r != lua.LNil {
			L.Push(r)
			return 1
		}
	}
}

func tableForeachi(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	n := vm.Len(t)
	f := vm.CheckFunction(L, 2)
	for i := 1; i <= n; i++ {
		vm.Tick(L, 1)
		if r := vm.Call1(L, f, vm.Number(L, float64(i)), vm.GetInt(t, i)); r != lua.LNil {
			L.Push(r)
			return 1
		}
	}
	return 0
}

func tableGetn(L *lua.LState) int {
	vm.PushNumber(L, float64(vm.Len(vm.CheckTable(L, 1))))
	return 1
}

func tableSetn(L *lua.LState) int {
	vm.CheckTable(L, 1)
	vm.Errorf(L, "'setn' is obsolete")
	return 0
}

func tableInsert(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	e := vm.Len(t) + 1
	pos := e
	switch L.GetTop() {
	case 2:
	case 3:
		pos = vm.CheckInt(L, 2)
		if pos > e {
			e = pos
		}
		vm.CheckWritable(L, 1)
		for i := e; i > pos; i-- {
			vm.SetInt(t, i, vm.GetInt(t, i-1))
			vm.Tick(L, 1)
		}
	default:
		vm.Errorf(L, "wrong number of arguments to 'insert'")
	}
	vm.CheckWritable(L, 1)
	vm.SetInt(t, pos, vm.Arg(L, L.GetTop()))
	return 0
}

func tableRemove(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	e := vm.Len(t)
	pos := vm.OptInt(L, 2, e)
	if pos < 1 || pos > e {
		return 0
	}
	vm.CheckWritable(L, 1)
	L.Push(vm.GetInt(t, pos))
	for ; pos < e; pos++ {
		vm.SetInt(t, pos, vm.GetInt(t, pos+1))
		vm.Tick(L, 1)
	}
	vm.SetInt(t, e, lua.LNil)
	return 1
}

func tableMaxn(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	most := 0.0
	n := 0
	vm.ForEach(t, func(k, _ lua.LValue) bool {
		if f, ok := k.(lua.LNumber); ok {
			most = math.Max(most, float64(f))
		}
		n++
		return true
	})
	vm.Tick(L, n)
	vm.PushNumber(L, most)
	return 1
}

// sorter is Lua 5.1's quicksort: scripts see which elements it compares, and in which order it leaves equal ones.
type sorter struct {
	L    *lua.LState
	t    *lua.LTable
	less lua.LValue
}

func tableSort(L *lua.LState) int {
	t := vm.CheckTable(L, 1)
	s := sorter{L: L, t: t}
	if !vm.NoneOrNil(L, 2) {
		s.less = vm.CheckFunction(L, 2)
	}
	n := vm.Len(t)
	L.SetTop(2)
	if n > 1 {
		vm.CheckWritable(L, 1)
	}
	s.sort(1, n)
	return 0
}

func (s *sorter) before(a, b lua.LValue) bool {
	vm.Tick(s.L, 1)
	if s.less != nil {
		return lua.LVAsBool(vm.Call1(s.L, s.less, a, b))
	}
	return vm.Less(s.L, a, b)
}

func (s *sorter) swap(i, j int) {
	a, b := vm.GetInt(s.t, i), vm.GetInt(s.t, j)
	vm.SetInt(s.t, i, b)
	vm.SetInt(s.t, j, a)
}

func (s *sorter) sort(lo, up int) {
	get := func(i int) lua.LValue { return vm.GetInt(s.t, i) }
	for lo < up {
		if s.before(get(up), get(lo)) {
			s.swap(lo, up)
		}
		if up-lo == 1 {
			return
		}
		i := (lo + up) / 2
		if s.before(get(i), get(lo)) {
			s.swap(i, lo)
		} else if s.before(get(up), get(i)) {
			s.swap(i, up)
		}
		if up-lo == 2 {
			return
		}
		pivot := get(i)
		s.swap(i, up-1)
		i, j := lo, up-1
		for {
			for i++; s.before(get(i), pivot); i++ {
				if i > up {
					vm.Errorf(s.L, "invalid order function for sorting")
				}
			}
			for j--; s.before(pivot, get(j)); j-- {
				if j < lo {
					vm.Errorf(s.L, "invalid order function for sorting")
				}
			}
			if j < i {
				break
			}
			s.swap(i, j)
		}
		s.swap(up-1, i)
		// Recursion sorts the smaller half, so that it stays shallow.
		if i-lo < up-i {
			s.sort(lo, i-1)
			lo = i + 1
		} else {
			s.sort(i+1, up)
			up = i - 1
		}
	}
}
