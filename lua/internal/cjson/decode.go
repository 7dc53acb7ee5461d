package cjson

import (
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// kind is the kind of a token. The names of those that may be out of place stand in kindNames.
type kind uint8

const (
	objectBegin kind = iota
	objectEnd
	arrayBegin
	arrayEnd
	stringToken
	numberToken
	booleanToken
	nullToken
	colon
	comma
	theEnd
	badToken
)

var kindNames = [...]string{
	objectBegin: "T_OBJ_BEGIN", objectEnd: "T_OBJ_END", arrayBegin: "T_ARR_BEGIN", arrayEnd: "T_ARR_END",
	stringToken: "T_STRING", numberToken: "T_NUMBER", booleanToken: "T_BOOLEAN", nullToken: "T_NULL", colon: "T_COLON",
	comma: "T_COMMA", theEnd: "T_END",
}

// decoder reads text, which ends before its first zero byte, from pos on.
type decoder struct {
	L    *lua.LState
	c    *config
	text string
	pos  int
	// The last token: its kind and place, its value where it is a string, number, boolean or null, and what is wrong with
	// one that cannot be read.
	kind  kind
	at    int
	val   lua.LValue
	wrong string
	// boxes are cut into strings' values: those of one text keep all of it in memory anyway.
	boxes []lua.LString
	// values holds what the arrays and objects that are being read consist of so far: a table is made when its size is
	// known.
	values []lua.LValue
	// keys are the last keys of objects by a hash of them: objects of one text have them in common.
	keys [32]lua.LValue
}

func (c *config) decode(L *lua.LState) int {
	if L.GetTop() != 1 {
		vm.ArgError(L, 1, "expected 1 argument")
	}
	text := vm.CheckString(L, 1)
	if end := strings.IndexByte(text, 0); end >= 0 {
		if len(text) >= 2 && end < 2 {
			vm.Errorf(L, "JSON parser does not support UTF-16 or UTF-32")
		}
		text = text[:end]
	}
	vm.Tick(L, len(text)>>6)
	d := decoder{L: L, c: c, text: text, values: c.values[:0]}
	c.values = nil
	d.next()
	v := d.value(0, 1)
	if d.next(); d.kind != theEnd {
		d.unexpected("the end")
	}
	L.Push(v)
	if cap(d.values) <= keepScratch/16 {
		c.values = d.values
	}
	return 1
}

func (d *decoder) unexpected(want string) {
	found := d.wrong
	if d.kind != badToken {
		found = kindNames[d.kind]
	}
	vm.Errorf(d.L, "Expected %s but found %s at character %d", want, found, d.at+1)
}

// peek returns the byte n places on, or 0 behind the end.
func (d *decoder) peek(n int) byte {
	if d.pos+n < len(d.text) {
		return d.text[d.pos+n]
	}
	return 0
}

// next reads a token.
func (d *decoder) next() {
	vm.Tick(d.L, 2)
	for d.pos < len(d.text) {
		if c := d.text[d.pos]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			break
		}
		if d.pos++; d.pos%chunk == 0 {
			vm.Tick(d.L, chunk)
		}
	}
	d.at = d.pos
	switch c := d.peek(0); c {
	case 0:
		d.kind = theEnd
		return
	case '{':
		d.kind = objectBegin
	case '}':
		d.kind = objectEnd
	case '[':
		d.kind = arrayBegin
	case ']':
		d.kind = arrayEnd
	case ',':
		d.kind = comma
	case ':':
		d.kind = colon
	case '"':
		d.str()
		return
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if !d.c.decodeInvalid && invalidNumber(d.text[d.pos:]) {
			d.bad("invalid number")
			return
		}
		d.number()
		return
	default:
		d.word()
		return
	}
	d.pos++
}

// bad makes what begins at pos a token that cannot be read.
func (d *decoder) bad(text string) { d.kind, d.at, d.wrong = badToken, d.pos, text }

// read makes v the last token.
func (d *decoder) read(k kind, v lua.LValue) { d.kind, d.val = k, v }

// word reads what begins with a letter or a plus sign.
func (d *decoder) word() {
	rest := d.text[d.pos:]
	switch {
	case strings.HasPrefix(rest, "true"):
		d.read(booleanToken, lua.LTrue)
		d.pos += 4
	case strings.HasPrefix(rest, "false"):
		d.read(booleanToken, lua.LFalse)
		d.pos += 5
	case strings.HasPrefix(rest, "null"):
		d.read(nullToken, d.c.null)
		d.pos += 4
	case d.c.decodeInvalid && strings.IndexByte("+iInN", rest[0]) >= 0 && invalidNumber(rest):
		d.number()
	default:
		d.bad("invalid token")
	}
}

// run returns the length of what follows at pos up to a quote, a backslash or the end.
func (d *decoder) run() int {
	rest := d.text[d.pos:]
	for n := 0; ; n += chunk {
		part := rest[n:min(n+chunk, len(rest))]
		for i := 0; i < len(part); i++ {
			if part[i] == '"' || part[i] == '\\' {
				vm.Tick(d.L, 1+i>>3)
				return n + i
			}
		}
		if vm.Tick(d.L, 1+len(part)>>3); len(part) < chunk {
			return len(rest)
		}
	}
}

// str reads a string.
func (d *decoder) str() {
	d.pos++
	from := d.pos
	d.pos += d.run()
	switch d.peek(0) {
	case '"':
		d.read(stringToken, d.stringValue(d.text[from:d.pos]))
		d.pos++
	case '\\':
		d.escaped(from)
	default:
		d.bad("unexpected end of string")
	}
}

// escaped reads a string that begins at from and has its first escape at pos.
func (d *decoder) escaped(from int) {
	buf := append(make([]byte, 0, 2*(d.pos-from)+32), d.text[from:d.pos]...)
	for {
		switch d.peek(0) {
		case 0:
			d.bad("unexpected end of string")
			return
		case '"':
			d.pos++
			d.read(stringToken, d.stringValue(vm.String(buf)))
			return
		}
		switch c := d.peek(1); c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 't':
			buf = append(buf, '\t')
		case 'n':
			buf = append(buf, '\n')
		case 'f':
			buf = append(buf, '\f')
		case 'r':
			buf = append(buf, '\r')
		case 'u':
			r, size := d.unicode()
			if size == 0 {
				d.bad("invalid unicode escape code")
				return
			}
			buf = utf8.AppendRune(buf, r)
			d.pos += size - 2
		default:
			d.bad("invalid escape code")
			return
		}
		d.pos += 2
		n := d.run()
		buf = append(buf, d.text[d.pos:d.pos+n]...)
		d.pos += n
	}
}

// unicode reads the escape at pos, or the two of a surrogate pair, and returns its length: 0 where it is none.
func (d *decoder) unicode() (r rune, size int) {
	r = d.hex4(2)
	if r < 0 || r&0xfc00 == 0xdc00 {
		return 0, 0
	}
	if r&0xfc00 != 0xd800 {
		return r, 6
	}
	low := rune(-1)
	if d.peek(6) == '\\' && d.peek(7) == 'u' {
		low = d.hex4(8)
	}
	if low < 0 || low&0xfc00 != 0xdc00 {
		return 0, 0
	}
	return (r&0x3ff)<<10 + low&0x3ff + 0x10000, 12
}

// hex4 reads four hexadecimal digits n places on, or answers -1.
func (d *decoder) hex4(n int) rune {
	r := rune(0)
	for i := range 4 {
		digit := hexDigit(d.peek(n + i))
		if digit < 0 {
			return -1
		}
		r = r<<4 | rune(digit)
	}
	return r
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// stringValue makes a value of s. Short strings are looked for among the last ones.
func (d *decoder) stringValue(s string) lua.LValue {
	if len(s) == 0 || len(s) > 32 {
		return d.boxed(s)
	}
	slot := &d.keys[(uint(len(s))*7+uint(s[0])*3+uint(s[len(s)-1]))%uint(len(d.keys))]
	if last, ok := (*slot).(lua.LString); ok && string(last) == s {
		return *slot
	}
	*slot = d.boxed(s)
	return *slot
}

func (d *decoder) boxed(s string) lua.LValue {
	if len(d.boxes) == 0 {
		d.boxes = make([]lua.LString, min(16, 1+(len(d.text)-d.at)>>4))
	}
	p := &d.boxes[0]
	d.boxes = d.boxes[1:]
	*p = lua.LString(s)
	return vm.StringAt(p)
}

// invalidNumber tells whether s begins with what strtod reads but JSON does not know: a plus sign, hexadecimal, a leading
// zero, inf and nan.
func invalidNumber(s string) bool {
	if s[0] == '+' {
		return true
	}
	s = strings.TrimPrefix(s, "-")
	switch {
	case s == "":
		return false
	case s[0] == '0':
		return len(s) > 1 && (s[1]|0x20 == 'x' || s[1] >= '0' && s[1] <= '9')
	}
	return hasWord(s, "inf") || hasWord(s, "nan")
}

// hasWord tells whether s begins with word in any case of letters.
func hasWord(s, word string) bool {
	return len(s) >= len(word) && strings.EqualFold(s[:len(word)], word)
}

func (d *decoder) number() {
	f, n := vm.Strtod(d.text[d.pos:])
	if n == 0 {
		d.bad("invalid number")
		return
	}
	vm.Tick(d.L, n)
	d.read(numberToken, vm.Number(d.L, f))
	d.pos += n
}

// value returns the value that begins with the last token, inside depth arrays and objects. used is the number of values on the
// original's stack.
func (d *decoder) value(depth, used int) lua.LValue {
	switch d.kind {
	case stringToken, numberToken, booleanToken, nullToken:
		return d.val
	case objectBegin:
		return d.object(depth+1, used)
	case arrayBegin:
		return d.array(depth+1, used)
	}
	d.unexpected("value")
	return nil
}

func (d *decoder) checkDepth(depth, used, slots int) {
	if depth > d.c.decodeMaxDepth || used+slots > maxStack {
		vm.Errorf(d.L, "Found too many nested data structures (%d) at character %d", depth, d.pos)
	}
}

func (d *decoder) array(depth, used int) lua.LValue {
	d.checkDepth(depth, used, 2)
	from := len(d.values)
	d.next()
	for d.kind != arrayEnd || len(d.values) > from {
		v := d.value(depth, used+1)
		d.values = append(d.values, v)
		if d.next(); d.kind == arrayEnd {
			break
		}
		if d.kind != comma {
			d.unexpected("comma or array end")
		}
		d.next()
	}
	table := vm.NewList(d.values[from:])
	d.drop(from)
	return table
}

func (d *decoder) object(depth, used int) lua.LValue {
	d.checkDepth(depth, used, 3)
	from := len(d.values)
	d.next()
	for d.kind != objectEnd || len(d.values) > from {
		if d.kind != stringToken {
			d.unexpected("object key string")
		}
		key := d.val
		if d.next(); d.kind != colon {
			d.unexpected("colon")
		}
		d.next()
		v := d.value(depth, used+2)
		d.values = append(d.values, key, v)
		if d.next(); d.kind == objectEnd {
			break
		}
		if d.kind != comma {
			d.unexpected("comma or object end")
		}
		d.next()
	}
	table := vm.NewMap(d.values[from:])
	d.drop(from)
	return table
}

func (d *decoder) drop(from int) {
	vm.Tick(d.L, len(d.values)-from)
	clear(d.values[from:])
	d.values = d.values[:from]
}
