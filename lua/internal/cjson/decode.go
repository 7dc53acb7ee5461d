package cjson

import (
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// kind is the kind of a token. kindNames has the names for error texts.
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

// token is one token: its position, and its value if it is a string, number or boolean. bad is the error of an invalid token.
type token struct {
	kind kind
	at   int
	val  lua.LValue
	bad  string
}

// decoder reads text, which ends before its first zero byte, from pos on.
type decoder struct {
	L    *lua.LState
	c    *config
	text string
	pos  int
	// values has the elements so far of the arrays and objects that are being read: a table is made when its size is known.
	values []lua.LValue
	// keys has recent keys of objects by their hash: the objects of a text often have the same keys.
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
	t := d.next()
	v := d.value(&t, 0, 1)
	if t = d.next(); t.kind != theEnd {
		d.unexpected("the end", &t)
	}
	L.Push(v)
	if cap(d.values) <= keepScratch/16 {
		c.values = d.values
	}
	return 1
}

func (d *decoder) unexpected(want string, t *token) {
	found := t.bad
	if t.kind != badToken {
		found = kindNames[t.kind]
	}
	vm.Errorf(d.L, "Expected %s but found %s at character %d", want, found, t.at+1)
}

// peek returns the byte n places on, or 0 behind the end.
func (d *decoder) peek(n int) byte {
	if d.pos+n < len(d.text) {
		return d.text[d.pos+n]
	}
	return 0
}

// next reads a token.
func (d *decoder) next() token {
	vm.Tick(d.L, 2)
	for d.pos < len(d.text) {
		if c := d.text[d.pos]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			break
		}
		if d.pos++; d.pos%chunk == 0 {
			vm.Tick(d.L, chunk)
		}
	}
	t := token{at: d.pos}
	switch c := d.peek(0); c {
	case 0:
		t.kind = theEnd
		return t
	case '{':
		t.kind = objectBegin
	case '}':
		t.kind = objectEnd
	case '[':
		t.kind = arrayBegin
	case ']':
		t.kind = arrayEnd
	case ',':
		t.kind = comma
	case ':':
		t.kind = colon
	case '"':
		d.str(&t)
		return t
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if !d.c.decodeInvalid && invalidNumber(d.text[d.pos:]) {
			return d.bad("invalid number")
		}
		d.number(&t)
		return t
	default:
		d.word(&t)
		return t
	}
	d.pos++
	return t
}

// bad returns an invalid token at pos.
func (d *decoder) bad(text string) token { return token{kind: badToken, at: d.pos, bad: text} }

// word reads a token that begins with a letter or a plus sign.
func (d *decoder) word(t *token) {
	rest := d.text[d.pos:]
	switch {
	case strings.HasPrefix(rest, "true"):
		t.kind, t.val = booleanToken, lua.LTrue
		d.pos += 4
	case strings.HasPrefix(rest, "false"):
		t.kind, t.val = booleanToken, lua.LFalse
		d.pos += 5
	case strings.HasPrefix(rest, "null"):
		t.kind, t.val = nullToken, d.c.null
		d.pos += 4
	case d.c.decodeInvalid && strings.IndexByte("+iInN", rest[0]) >= 0 && invalidNumber(rest):
		d.number(t)
	default:
		*t = d.bad("invalid token")
	}
}

// run returns the number of bytes from pos to a quote, a backslash or the end.
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
func (d *decoder) str(t *token) {
	d.pos++
	from := d.pos
	d.pos += d.run()
	switch d.peek(0) {
	case '"':
		t.kind, t.val = stringToken, d.stringValue(d.text[from:d.pos])
		d.pos++
	case '\\':
		d.escaped(t, from)
	default:
		*t = d.bad("unexpected end of string")
	}
}

// escaped reads a string that begins at from and has its first escape at pos.
func (d *decoder) escaped(t *token, from int) {
	buf := append(make([]byte, 0, 2*(d.pos-from)+32), d.text[from:d.pos]...)
	for {
		switch d.peek(0) {
		case 0:
			*t = d.bad("unexpected end of string")
			return
		case '"':
			d.pos++
			t.kind, t.val = stringToken, d.stringValue(vm.String(buf))
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
				*t = d.bad("invalid unicode escape code")
				return
			}
			buf = utf8.AppendRune(buf, r)
			d.pos += size - 2
		default:
			*t = d.bad("invalid escape code")
			return
		}
		d.pos += 2
		n := d.run()
		buf = append(buf, d.text[d.pos:d.pos+n]...)
		d.pos += n
	}
}

// unicode reads the escape at pos, or the two of a surrogate pair, and returns its length: 0 if it is invalid.
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

// hex4 returns the value of four hexadecimal digits at pos+n, or -1.
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

// stringValue makes a value of s. It reuses the value of a short string that came recently.
func (d *decoder) stringValue(s string) lua.LValue {
	if len(s) == 0 || len(s) > 32 {
		return lua.LString(s)
	}
	slot := &d.keys[(uint(len(s))*7+uint(s[0])*3+uint(s[len(s)-1]))%uint(len(d.keys))]
	if last, ok := (*slot).(lua.LString); ok && string(last) == s {
		return *slot
	}
	*slot = lua.LString(s)
	return *slot
}

// invalidNumber reports whether s begins with a form of strtod that is not JSON: a plus sign, hexadecimal, a leading zero,
// inf or nan.
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

// hasWord reports whether s begins with word in any case of letters.
func hasWord(s, word string) bool {
	return len(s) >= len(word) && strings.EqualFold(s[:len(word)], word)
}

func (d *decoder) number(t *token) {
	f, n := vm.Strtod(d.text[d.pos:])
	if n == 0 {
		*t = d.bad("invalid number")
		return
	}
	vm.Tick(d.L, n)
	t.kind, t.val = numberToken, vm.Number(d.L, f)
	d.pos += n
}

// value returns the value that begins with t, inside depth arrays and objects. used is the number of values on the
// original's stack.
func (d *decoder) value(t *token, depth, used int) lua.LValue {
	switch t.kind {
	case stringToken, numberToken, booleanToken, nullToken:
		return t.val
	case objectBegin:
		return d.object(depth+1, used)
	case arrayBegin:
		return d.array(depth+1, used)
	}
	d.unexpected("value", t)
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
	t := d.next()
	for t.kind != arrayEnd || len(d.values) > from {
		v := d.value(&t, depth, used+1)
		d.values = append(d.values, v)
		if t = d.next(); t.kind == arrayEnd {
			break
		}
		if t.kind != comma {
			d.unexpected("comma or array end", &t)
		}
		t = d.next()
	}
	list := d.values[from:]
	table := vm.NewTable(len(list), 0)
	for _, v := range list {
		vm.Append(table, v)
	}
	d.drop(from)
	return table
}

func (d *decoder) object(depth, used int) lua.LValue {
	d.checkDepth(depth, used, 3)
	from := len(d.values)
	t := d.next()
	for t.kind != objectEnd || len(d.values) > from {
		if t.kind != stringToken {
			d.unexpected("object key string", &t)
		}
		key := t.val
		if t = d.next(); t.kind != colon {
			d.unexpected("colon", &t)
		}
		t = d.next()
		v := d.value(&t, depth, used+2)
		d.values = append(d.values, key, v)
		if t = d.next(); t.kind == objectEnd {
			break
		}
		if t.kind != comma {
			d.unexpected("comma or object end", &t)
		}
		t = d.next()
	}
	pairs := d.values[from:]
	table := vm.NewTable(0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		vm.Set(table, pairs[i], pairs[i+1])
	}
	d.drop(from)
	return table
}

func (d *decoder) drop(from int) {
	vm.Tick(d.L, len(d.values)-from)
	clear(d.values[from:])
	d.values = d.values[:from]
}
