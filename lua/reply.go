package lua

import (
	"strconv"

	glua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Reply is the writer of a script's result. It knows the client's protocol: in RESP2 a map is an array of twice the
// length, a double a bulk string and so on. Texts of statuses and errors come without CR and LF.
type Reply interface {
	Status(text string)
	// Error writes "-" and text. counted is true if the server has counted the error already.
	Error(text string, counted bool)
	Integer(n int64)
	Bulk(s string)
	Null()
	Bool(b bool)
	Double(f float64)
	BigNumber(s string)
	Verbatim(format, s string)
	Array(n int)
	Set(n int)
	Map(n int)
}

// maxReplyDepth is the nesting from which on a script's result is refused, counted in places on Redis's stack: an array
// takes one, a map or set mapDepth.
const (
	maxReplyDepth = 7994
	mapDepth      = 3
)

// maxReplyItems bounds the values of a result: tables that share others can stand for any number of them.
const maxReplyItems = 1 << 26

// measure walks a result before the first byte of it is written. A result that is killed, or too large, is an error.
func (e *Engine) measure(results []glua.LValue) (err error) {
	t, ok := results0(results).(*glua.LTable)
	if !ok {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			k, ok := r.(*vm.Kill)
			if !ok {
				panic(r)
			}
			err = k
		}
	}()
	items, bytes := 0, 0
	e.count(t, 0, &items, &bytes)
	return nil
}

func results0(results []glua.LValue) glua.LValue {
	if len(results) == 0 {
		return glua.LNil
	}
	return results[0]
}

func (e *Engine) count(t *glua.LTable, depth int, items, bytes *int) {
	if depth > maxReplyDepth {
		return
	}
	n := 0
	vm.ForEach(t, func(k, v glua.LValue) bool {
		n++
		for _, x := range [2]glua.LValue{k, v} {
			switch x := x.(type) {
			case glua.LString:
				*bytes += len(x)
			case *glua.LTable:
				e.count(x, depth+1, items, bytes)
			}
		}
		return true
	})
	if *items += n; *items > maxReplyItems || *bytes > 4*vm.MaxString {
		panic(&vm.Kill{Text: "not enough memory"})
	}
	vm.Tick(e.host.Main(), n+4)
}

// reply writes the first result of a script.
func (e *Engine) reply(results []glua.LValue, out Reply) {
	if len(results) == 0 {
		out.Null()
		return
	}
	e.write(results[0], out, 0)
}

func (e *Engine) write(v glua.LValue, out Reply, depth int) {
	if depth > maxReplyDepth {
		out.Error("ERR reached lua stack limit", false)
		return
	}
	switch v := v.(type) {
	case glua.LString:
		out.Bulk(string(v))
	case glua.LNumber:
		out.Integer(vm.ToInteger(float64(v)))
	case glua.LBool:
		switch {
		case e.protocol == 3:
			out.Bool(bool(v))
		case bool(v):
			out.Integer(1)
		default:
			out.Null()
		}
	case *glua.LTable:
		e.writeTable(v, out, depth)
	default:
		out.Null()
	}
}

func (e *Engine) writeTable(t *glua.LTable, out Reply, depth int) {
	if vm.HasStringKeys(t) {
		if s, ok := vm.GetString(t, "err").(glua.LString); ok {
			out.Error(oneLine(cString(string(s))), vm.GetString(t, ignoreStats) == glua.LTrue)
			return
		}
		if s, ok := vm.GetString(t, "ok").(glua.LString); ok {
			out.Status(mapLines(cString(string(s))))
			return
		}
		if f, ok := vm.GetString(t, "double").(glua.LNumber); ok {
			out.Double(float64(f))
			return
		}
		if m, ok := vm.GetString(t, "map").(*glua.LTable); ok {
			out.Map(vm.Count(m))
			vm.ForEach(m, func(k, v glua.LValue) bool {
				e.write(k, out, depth+mapDepth)
				e.write(v, out, depth+mapDepth)
				return true
			})
			return
		}
		if m, ok := vm.GetString(t, "set").(*glua.LTable); ok {
			out.Set(vm.Count(m))
			vm.ForEach(m, func(k, _ glua.LValue) bool {
				e.write(k, out, depth+mapDepth)
				return true
			})
			return
		}
		if s, ok := vm.GetString(t, "big_number").(glua.LString); ok {
			out.BigNumber(mapLines(string(s)))
			return
		}
		if m, ok := vm.GetString(t, "verbatim_string").(*glua.LTable); ok {
			format, ok1 := vm.GetString(m, "format").(glua.LString)
			s, ok2 := vm.GetString(m, "string").(glua.LString)
			if ok1 && ok2 {
				out.Verbatim(cString(string(format)), string(s))
				return
			}
		}
	}
	n := 0
	for vm.GetInt(t, n+1) != glua.LNil {
		n++
	}
	out.Array(n)
	for i := 1; i <= n; i++ {
		e.write(vm.GetInt(t, i), out, depth+1)
	}
}

// mapLines replaces each CR and LF by a space.
func mapLines(s string) string { return lineBreaks.Replace(s) }

// replyParser makes Lua values of a reply in RESP.
type replyParser struct {
	L   *glua.LState
	buf []byte
	pos int
}

// line returns the rest of the line behind a type byte.
func (p *replyParser) line() []byte {
	from := p.pos
	for p.pos < len(p.buf) && p.buf[p.pos] != '\r' {
		p.pos++
	}
	s := p.buf[from:p.pos]
	p.pos = min(p.pos+2, len(p.buf))
	return s
}

func (p *replyParser) number() int {
	s := p.line()
	n, neg := 0, false
	for i, c := range s {
		if i == 0 && c == '-' {
			neg = true
			continue
		}
		n = 10*n + int(c-'0')
	}
	if neg {
		return -n
	}
	return n
}

// bytes returns the body of a bulk string.
func (p *replyParser) bytes(n int) []byte {
	from := min(p.pos, len(p.buf))
	to := min(from+max(n, 0), len(p.buf))
	p.pos = min(to+2, len(p.buf))
	return p.buf[from:to]
}

// The names of fields that stand for types of RESP.
var (
	fieldOK       glua.LValue = glua.LString("ok")
	fieldErr      glua.LValue = glua.LString("err")
	fieldDouble   glua.LValue = glua.LString("double")
	fieldBig      glua.LValue = glua.LString("big_number")
	fieldVerbatim glua.LValue = glua.LString("verbatim_string")
	fieldMap      glua.LValue = glua.LString("map")
	fieldSet      glua.LValue = glua.LString("set")

	textOK glua.LValue = glua.LString("OK")
)

func (p *replyParser) value() glua.LValue {
	if p.pos >= len(p.buf) {
		return glua.LNil
	}
	kind := p.buf[p.pos]
	p.pos++
	switch kind {
	case '$':
		n := p.number()
		if n < 0 {
			return glua.LFalse
		}
		if n > 1<<16 {
			vm.Tick(p.L, n>>8)
		}
		return vm.BytesValue(p.bytes(n))
	case ':':
		return vm.Number(p.L, float64(p.number()))
	case '+':
		s := p.line()
		if string(s) == "OK" {
			return vm.NewField(fieldOK, textOK)
		}
		return vm.NewField(fieldOK, vm.BytesValue(s))
	case '-':
		t := vm.NewTable(0, 2)
		vm.SetString(t, "err", vm.BytesValue(p.line()))
		vm.SetString(t, ignoreStats, glua.LTrue)
		return t
	case '*', '>':
		n := p.number()
		if n < 0 {
			return glua.LFalse
		}
		t := vm.NewTable(n, 0)
		for i := 1; i <= n; i++ {
			vm.SetInt(t, i, p.value())
		}
		vm.Tick(p.L, n)
		return t
	case '_':
		p.line()
		return glua.LNil
	case '#':
		s := p.line()
		return glua.LBool(len(s) > 0 && s[0] == 't')
	case ',':
		f, err := strconv.ParseFloat(string(p.line()), 64)
		if f != f || err != nil && f == 0 {
			f = vm.NaN
		}
		return vm.NewField(fieldDouble, vm.Number(p.L, f))
	case '(':
		return vm.NewField(fieldBig, vm.BytesValue(p.line()))
	case '=':
		b := p.bytes(p.number())
		t := vm.NewTable(0, 2)
		if len(b) >= 4 {
			vm.SetString(t, "format", vm.BytesValue(b[:3]))
			b = b[4:]
		}
		vm.SetString(t, "string", vm.BytesValue(b))
		return vm.NewField(fieldVerbatim, t)
	case '%':
		n := p.number()
		m := vm.NewTable(0, n)
		for range n {
			k := p.value()
			v := p.value()
			if k != glua.LNil {
				vm.Set(m, k, v)
			}
		}
		vm.Tick(p.L, n)
		return vm.NewField(fieldMap, m)
	case '~':
		n := p.number()
		m := vm.NewTable(0, n)
		for range n {
			if k := p.value(); k != glua.LNil {
				vm.Set(m, k, glua.LTrue)
			}
		}
		vm.Tick(p.L, n)
		return vm.NewField(fieldSet, m)
	case '|':
		// Attributes are skipped.
		for range 2 * p.number() {
			p.value()
		}
		return p.value()
	}
	p.line()
	return glua.LNil
}
