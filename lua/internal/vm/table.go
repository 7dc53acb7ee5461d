package vm

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	lua "github.com/yuin/gopher-lua"
)

// Tables. gopher-lua's own LTable keeps three maps and a list of keys for its hash part, fills gaps of its array with
// nils up to any index, and walks back over nils for a length. So every table of a script is a struct table: it begins with
// the metatable, as LTable does, and is no smaller than LTable, so that its address can be a *lua.LTable. It goes on with
//
//	array    the values of the keys 1..len(array). The last one is never nil; others may be.
//	entries  the other keys in order of insertion. An entry whose value is nil is dead: it keeps its place until
//	         the part is rebuilt, so that a loop may assign nil to what it visits.
//	index    an open-addressing table of entry numbers (+1), a power of two of slots, only beyond smallPart entries.
//
// Invariants: the key len(array)+1 is never alive in entries, so the border is len(array) and costs nothing;
// len(entries) counts dead entries, too; live counts the others.
//
// Of a *lua.LTable only the field Metatable and the methods Type and String may be used: what others of the module take for its
// fields are ours. A small table and the first array or entries that it gets are one allocation.

type entry struct {
	key  lua.LValue
	val  lua.LValue
	hash uint32
}

type table struct {
	Metatable lua.LValue
	array     []lua.LValue
	entries   []entry
	index     []uint32
	live      int
	// integers is true if entries may hold positive integer keys.
	integers bool
	// readonly: scripts may not change it.
	readonly bool
	// absent has a bit for each metamethod that this table, as a metatable, is known not to have.
	absent uint32
}

// smallPart is the number of entries that are searched one by one.
const smallPart = 8

func tableOf(t *lua.LTable) *table { return (*table)(unsafe.Pointer(t)) }

func (t *table) lua() *lua.LTable { return (*lua.LTable)(unsafe.Pointer(t)) }

// NewTable makes a table with room for narr array values and nhash other keys.
func NewTable(narr, nhash int) *lua.LTable {
	var t *table
	switch {
	case narr == 0 && nhash == 0 || narr > 8 || nhash > 4 || narr > 0 && nhash > 0:
		t = new(table)
		if narr > 0 {
			t.array = make([]lua.LValue, 0, narr)
		}
		if nhash > 0 {
			t.entries = make([]entry, 0, nhash)
		}
	case narr > 4:
		x := new(array8)
		t, x.array = &x.table, x.room[:0]
	case narr > 2:
		x := new(array4)
		t, x.array = &x.table, x.room[:0]
	case narr > 0:
		x := new(array2)
		t, x.array = &x.table, x.room[:0]
	case nhash > 2:
		x := new(entries4)
		t, x.entries = &x.table, x.room[:0]
	case nhash > 1:
		x := new(entries2)
		t, x.entries = &x.table, x.room[:0]
	default:
		x := new(entries1)
		t, x.entries = &x.table, x.room[:0]
	}
	t.Metatable = lua.LNil
	return t.lua()
}

// Tables with room for their first values. Their sizes suit Go's size classes.
type (
	array2 struct {
		table
		room [2]lua.LValue
	}
	array4 struct {
		table
		room [4]lua.LValue
	}
	array8 struct {
		table
		room [8]lua.LValue
	}
	entries1 struct {
		table
		room [1]entry
	}
	entries2 struct {
		table
		room [2]entry
	}
	entries4 struct {
		table
		room [4]entry
	}
)

var hashSeed = maphash.MakeSeed()

func hashString(s string) uint32 {
	return uint32(maphash.String(hashSeed, s))
}

func mix(x uint64) uint32 {
	hi, lo := bits.Mul64(x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return uint32(hi ^ lo)
}

func hashValue(k lua.LValue) uint32 {
	switch v := k.(type) {
	case lua.LString:
		return hashString(string(v))
	case lua.LNumber:
		return hashNumber(float64(v))
	case lua.LBool:
		if v {
			return 1
		}
		return 2
	}
	return mix(uint64(uintptr(dataWord(k))))
}

func hashNumber(f float64) uint32 {
	if f == 0 {
		f = 0 // -0 is the same key
	}
	return mix(math.Float64bits(f))
}

// findString returns the entry of a string key, or -1.
func (t *table) findString(k string) int {
	if t.index == nil {
		for i := range t.entries {
			if s, ok := t.entries[i].key.(lua.LString); ok && string(s) == k {
				return i
			}
		}
		return -1
	}
	h := hashString(k)
	mask := uint32(len(t.index) - 1)
	for p := h & mask; ; p = (p + 1) & mask {
		n := t.index[p]
		if n == 0 {
			return -1
		}
		e := &t.entries[n-1]
		if e.hash == h {
			if s, ok := e.key.(lua.LString); ok && string(s) == k {
				return int(n - 1)
			}
		}
	}
}

// find returns the entry of key k with hash h, or -1. It uses h only if there is an index.
func (t *table) find(k lua.LValue, h uint32) int {
	if t.index == nil {
		for i := range t.entries {
			if t.entries[i].key == k {
				return i
			}
		}
		return -1
	}
	mask := uint32(len(t.index) - 1)
	for p := h & mask; ; p = (p + 1) & mask {
		n := t.index[p]
		if n == 0 {
			return -1
		}
		if e := &t.entries[n-1]; e.hash == h && e.key == k {
			return int(n - 1)
		}
	}
}

func (t *table) findAny(k lua.LValue) int {
	if len(t.entries) == 0 {
		return -1
	}
	if s, ok := k.(lua.LString); ok {
		return t.findString(string(s))
	}
	var h uint32
	if t.index != nil {
		h = hashValue(k)
	}
	return t.find(k, h)
}

func (t *table) getString(k string) lua.LValue {
	if len(t.entries) != 0 {
		if i := t.findString(k); i >= 0 {
			return t.entries[i].val
		}
	}
	return lua.LNil
}

// fixedField is a cached field of a read-only table, by the address of the instruction's constant. The entry keeps the
// constant alive, so that the address stays unique.
type fixedField struct {
	table *table
	key   unsafe.Pointer
	val   lua.LValue
}

// fixedSlots is the number of fields of read-only tables that a host caches, a power of two. A field may be in two
// neighbouring slots, so that two fields with the same slot do not replace each other all the time.
const fixedSlots = 128

// fixedField returns the field k, a string constant of a function, of a read-only table: redis, redis.call, string.sub and so
// on are found without hashing their names.
func (h *Host) fixedField(t *table, k lua.LValue) lua.LValue {
	p := dataWord(k)
	i := (uintptr(p)>>4 ^ uintptr(unsafe.Pointer(t))>>8) % fixedSlots
	f := &h.fixed[i]
	if f.key == p && f.table == t {
		return f.val
	}
	g := &h.fixed[i^1]
	if g.key == p && g.table == t {
		return g.val
	}
	v := t.getString(string(k.(lua.LString)))
	*g = *f
	*f = fixedField{t, p, v}
	return v
}

func (t *table) getNumber(f float64) lua.LValue {
	if i := int(f); float64(i) == f && uint(i-1) < uint(len(t.array)) {
		return t.array[i-1]
	}
	if len(t.entries) == 0 {
		return lua.LNil
	}
	if i := t.findNumber(f); i >= 0 {
		return t.entries[i].val
	}
	return lua.LNil
}

func (t *table) findNumber(f float64) int {
	if t.index == nil {
		for i := range t.entries {
			if n, ok := t.entries[i].key.(lua.LNumber); ok && float64(n) == f {
				return i
			}
		}
		return -1
	}
	h := hashNumber(f)
	mask := uint32(len(t.index) - 1)
	for p := h & mask; ; p = (p + 1) & mask {
		n := t.index[p]
		if n == 0 {
			return -1
		}
		e := &t.entries[n-1]
		if e.hash == h {
			if k, ok := e.key.(lua.LNumber); ok && float64(k) == f {
				return int(n - 1)
			}
		}
	}
}

func (t *table) get(k lua.LValue) lua.LValue {
	switch v := k.(type) {
	case lua.LString:
		return t.getString(string(v))
	case lua.LNumber:
		return t.getNumber(float64(v))
	}
	if len(t.entries) != 0 {
		if i := t.findAny(k); i >= 0 {
			return t.entries[i].val
		}
	}
	return lua.LNil
}

// set stores v under k, which is neither nil nor NaN.
func (t *table) set(k, v lua.LValue) {
	if n, ok := k.(lua.LNumber); ok {
		t.setNumber(float64(n), k, v)
		return
	}
	t.setEntry(k, v)
}

// setNumber stores v under the number f; k is f as an LValue, or nil if the caller has none.
func (t *table) setNumber(f float64, k, v lua.LValue) {
	i := int(f)
	if float64(i) == f && i > 0 {
		n := len(t.array)
		switch {
		case i <= n:
			t.array[i-1] = v
			if i == n && v == lua.LNil {
				t.trim()
			}
			return
		case i == n+1:
			if v == lua.LNil {
				if t.integers {
					break
				}
				return
			}
			if n == cap(t.array) && n >= sparseArray && t.spill() {
				break
			}
			if t.integers {
				if e := t.findNumber(f); e >= 0 {
					t.bury(e)
				}
			}
			t.push(v)
			if t.integers {
				t.migrate()
			}
			return
		}
		if v != lua.LNil {
			t.integers = true
		}
	}
	if k == nil {
		k = lua.LNumber(f)
	}
	t.setEntry(k, v)
}

// sparseArray is the length from which an array that must grow is looked at: whether most of it is nil.
const sparseArray = 64

// spill moves the values of an array that are not nil, but for those at its beginning, to entries if they are less than half of it.
// So a queue, which is written at one end and cleared at the other, stays as small as what it holds. It reports whether it has.
func (t *table) spill() bool {
	live, first := 0, len(t.array)
	for i, v := range t.array {
		if v != lua.LNil {
			live++
		} else {
			first = min(first, i)
		}
	}
	if 2*live >= len(t.array) {
		return false
	}
	rest := t.array[first:]
	t.array = slices.Clone(t.array[:first])
	t.integers = true
	for i, v := range rest {
		if v != lua.LNil {
			t.setEntry(lua.LNumber(first+i+1), v)
		}
	}
	return true
}

// push appends v to the array. The capacity doubles, as Lua's does: append's smaller steps would leave some five times the
// size of a large array behind as garbage.
func (t *table) push(v lua.LValue) {
	if len(t.array) == cap(t.array) {
		t.array = slices.Grow(t.array, max(4, len(t.array)))
	}
	t.array = append(t.array, v)
}

// trim drops the nils at the end of the array. It moves no keys from entries to the array.
func (t *table) trim() {
	n := len(t.array)
	for n > 0 && t.array[n-1] == lua.LNil {
		n--
	}
	clear(t.array[n:])
	t.array = t.array[:n]
}

// migrate moves the keys that follow the array out of entries.
func (t *table) migrate() {
	for t.live > 0 {
		e := t.findNumber(float64(len(t.array) + 1))
		if e < 0 || t.entries[e].val == lua.LNil {
			return
		}
		t.push(t.entries[e].val)
		t.bury(e)
	}
	t.integers = false
}

// bury removes the key of entry e from entries: it is in the array now, and next must not find it twice.
func (t *table) bury(e int) {
	if t.entries[e].val != lua.LNil {
		t.live--
	}
	t.entries[e].val = lua.LNil
	t.entries[e].key = lua.LNil
}

func (t *table) setEntry(k, v lua.LValue) {
	t.absent = 0
	if len(t.entries) != 0 {
		if i := t.findAny(k); i >= 0 {
			e := &t.entries[i]
			if e.val == lua.LNil {
				if v != lua.LNil {
					t.live++
				}
			} else if v == lua.LNil {
				t.live--
			}
			e.val = v
			return
		}
	}
	if v == lua.LNil {
		return
	}
	if len(t.entries) == cap(t.entries) {
		t.rebuild()
	}
	var h uint32
	if t.index != nil || len(t.entries) >= smallPart {
		h = hashValue(k)
	}
	t.entries = append(t.entries, entry{key: k, val: v, hash: h})
	t.live++
	switch {
	case t.index != nil:
		t.link(len(t.entries) - 1)
	case len(t.entries) > smallPart:
		for i := range t.entries {
			t.entries[i].hash = hashValue(t.entries[i].key)
		}
		t.reindex()
	}
}

func (t *table) link(i int) {
	if 2*len(t.entries) > len(t.index) {
		t.reindex()
		return
	}
	mask := uint32(len(t.index) - 1)
	p := t.entries[i].hash & mask
	for t.index[p] != 0 {
		p = (p + 1) & mask
	}
	t.index[p] = uint32(i + 1)
}

// reindex rebuilds the index, with room for as many entries as the capacity of entries.
func (t *table) reindex() {
	size := 4 * smallPart
	for size < 2*max(cap(t.entries), len(t.entries)) {
		size *= 2
	}
	if size == len(t.index) {
		clear(t.index)
	} else {
		t.index = make([]uint32, size)
	}
	mask := uint32(size - 1)
	for i := range t.entries {
		p := t.entries[i].hash & mask
		for t.index[p] != 0 {
			p = (p + 1) & mask
		}
		t.index[p] = uint32(i + 1)
	}
}

// rebuild makes room for one more entry: it drops dead entries, and doubles entries if most are live.
func (t *table) rebuild() {
	size := 4
	for size < t.live+1 {
		size *= 2
	}
	if size < 2*t.live && size <= cap(t.entries) && 4*t.live > 3*size {
		size *= 2
	}
	old := t.entries
	if size == cap(old) {
		t.entries = old[:0]
	} else {
		t.entries = make([]entry, 0, size)
	}
	for i := range old {
		if old[i].val != lua.LNil {
			t.entries = append(t.entries, old[i])
		}
	}
	if size == cap(old) {
		clear(old[len(t.entries):])
	}
	if t.index != nil {
		t.reindex()
	}
}

// next returns the key that follows k, and its value. For a nil k it returns the first key; ok is false if k is not a key.
func (t *table) next(b *boxes, k lua.LValue) (key, val lua.LValue, ok bool) {
	i := 0
	if k != lua.LNil {
		at := -1
		if n, is := k.(lua.LNumber); is {
			f := float64(n)
			if j := int(f); float64(j) == f && j > 0 && j <= max(len(t.array), cap(t.array)) {
				at = j
			}
		}
		if at >= 0 && at <= len(t.array) {
			i = at
		} else {
			e := t.findAny(k)
			switch {
			case e >= 0:
				return t.nextEntry(e + 1)
			case at >= 0:
				return t.nextEntry(0)
			default:
				return lua.LNil, lua.LNil, false
			}
		}
	}
	for ; i < len(t.array); i++ {
		if v := t.array[i]; v != lua.LNil {
			return b.number(float64(i + 1)), v, true
		}
	}
	return t.nextEntry(0)
}

func (t *table) nextEntry(i int) (key, val lua.LValue, ok bool) {
	for ; i < len(t.entries); i++ {
		if e := &t.entries[i]; e.val != lua.LNil {
			return e.key, e.val, true
		}
	}
	return lua.LNil, lua.LNil, true
}

// Get returns t[k], without metamethods; LNil if there is none.
func Get(t *lua.LTable, k lua.LValue) lua.LValue { return tableOf(t).get(k) }

// GetString returns t[k], without metamethods.
func GetString(t *lua.LTable, k string) lua.LValue { return tableOf(t).getString(k) }

// GetInt returns t[i], without metamethods.
func GetInt(t *lua.LTable, i int) lua.LValue {
	if x := tableOf(t); uint(i-1) < uint(len(x.array)) {
		return x.array[i-1]
	}
	return tableOf(t).getNumber(float64(i))
}

// Set stores t[k] = v, without metamethods. The key must be neither nil nor NaN.
func Set(t *lua.LTable, k, v lua.LValue) { tableOf(t).set(k, v) }

// SetString stores t[k] = v, without metamethods.
func SetString(t *lua.LTable, k string, v lua.LValue) { tableOf(t).setEntry(lua.LString(k), v) }

// SetInt stores t[i] = v, without metamethods.
func SetInt(t *lua.LTable, i int, v lua.LValue) { tableOf(t).setNumber(float64(i), nil, v) }

// Append stores v, which is not nil, behind the border of t.
func Append(t *lua.LTable, v lua.LValue) {
	tableOf(t).setNumber(float64(len(tableOf(t).array)+1), nil, v)
}

// Len returns the border n of t, the result of #t: t[n] is not nil (or n is 0), and t[n+1] is nil.
func Len(t *lua.LTable) int { return len(tableOf(t).array) }

// Next returns the key that follows k in t, and its value: a loop begins with LNil and ends when the key is LNil. Keys may be
// set to nil meanwhile. An unknown k ends the loop, too.
func Next(t *lua.LTable, k lua.LValue) (key, val lua.LValue) {
	var b boxes
	key, val, _ = tableOf(t).next(&b, k)
	return key, val
}

// ForEach calls f for each key and value of t until f returns false. f must not add keys to t.
func ForEach(t *lua.LTable, f func(k, v lua.LValue) bool) {
	x := tableOf(t)
	for i, v := range x.array {
		if v != lua.LNil && !f(lua.LNumber(i+1), v) {
			return
		}
	}
	for i := range x.entries {
		if e := &x.entries[i]; e.val != lua.LNil && !f(e.key, e.val) {
			return
		}
	}
}

// Count returns the number of keys of t.
func Count(t *lua.LTable) int {
	x := tableOf(t)
	n := x.live
	for _, v := range x.array {
		if v != lua.LNil {
			n++
		}
	}
	return n
}

// Readonly reports whether scripts may not change t.
func Readonly(t *lua.LTable) bool { return tableOf(t).readonly }

// SetReadonly makes t, and all tables that are reachable through its values, read-only for scripts.
func SetReadonly(t *lua.LTable) {
	x := tableOf(t)
	if x.readonly {
		return
	}
	x.readonly = true
	ForEach(t, func(_, v lua.LValue) bool {
		if sub, ok := v.(*lua.LTable); ok {
			SetReadonly(sub)
		}
		return true
	})
}

// SwapContents exchanges the contents of two tables, but not their metatables. They may be read-only.
func (h *Host) SwapContents(a, b *lua.LTable) {
	h.fixed = [fixedSlots]fixedField{}
	x, y := tableOf(a), tableOf(b)
	*x, *y = *y, *x
	x.Metatable, y.Metatable = y.Metatable, x.Metatable
}

// FillStrings resets a and b, whatever a script did to them, and fills them with copies of as and bs; a or b may be nil. More
// than two strings share one allocation for their bytes and one for their headers.
func FillStrings(a *lua.LTable, as [][]byte, b *lua.LTable, bs [][]byte) {
	size, n := 0, 0
	for _, list := range [2]struct {
		t      *lua.LTable
		values [][]byte
	}{{a, as}, {b, bs}} {
		if list.t == nil {
			continue
		}
		x := tableOf(list.t)
		array := x.array[:0]
		clear(x.array)
		if cap(array) > 1024 {
			array = nil
		}
		*x = table{array: array}
		x.Metatable = lua.LNil
		n += len(list.values)
		for _, v := range list.values {
			size += len(v)
		}
	}
	if n <= 2 {
		each := func(t *lua.LTable, values [][]byte) {
			if t == nil {
				return
			}
			x := tableOf(t)
			for _, v := range values {
				x.array = append(x.array, BytesValue(v))
			}
		}
		each(a, as)
		each(b, bs)
		return
	}
	text := make([]byte, 0, size)
	strs := make([]lua.LString, n)
	fill := func(t *lua.LTable, values [][]byte) {
		if t == nil {
			return
		}
		x := tableOf(t)
		for i, v := range values {
			from := len(text)
			text = append(text, v...)
			strs[i] = lua.LString(String(text[from:len(text):len(text)]))
			x.array = append(x.array, StringAt(&strs[i]))
		}
		strs = strs[len(values):]
	}
	fill(a, as)
	fill(b, bs)
}

// NewField makes a table of one field with one allocation. key is a string.
func NewField(key, val lua.LValue) *lua.LTable {
	t := new(entries1)
	t.Metatable = lua.LNil
	t.entries = append(t.room[:0], entry{key: key, val: val})
	t.live = 1
	return t.lua()
}

// HasStringKeys reports whether t may hold keys other than those of its array.
func HasStringKeys(t *lua.LTable) bool { return tableOf(t).live > 0 }
