package strlib

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// string.format. The original calls C's sprintf for each directive; its forms (section 7.19.6.1 of C99) are implemented here.

// A directive is the part between a % and its verb.
type directive struct {
	minus, plus, space, alt, zero bool
	width, precision              int
	precise                       bool // there is a precision
}

// longFrom is the length from which on %s without a precision appends its argument unchanged, zero bytes included.
const longFrom = 100

func format(L *lua.LState) int {
	top := L.GetTop()
	form := vm.CheckString(L, 1)
	out := make([]byte, 0, len(form)+16)
	arg := 1
	for i := 0; i < len(form); i++ {
		c := form[i]
		if c != '%' {
			out = append(out, c)
			continue
		}
		i++
		if i < len(form) && form[i] == '%' {
			out = append(out, '%')
			continue
		}
		if arg++; arg > top {
			vm.ArgError(L, arg, "no value")
		}
		var d directive
		i = d.parse(L, form, i)
		verb := byte(0)
		if i < len(form) {
			verb = form[i]
		}
		switch verb {
		case 'c':
			c := byte(toInt32(vm.CheckNumber(L, arg)))
			from := len(out)
			out = d.pad(out, []byte{c}, 0, false)
			if c == 0 { // sprintf's result ends here
				out = out[:from+strings.IndexByte(string(out[from:]), 0)]
			}
		case 'd', 'i':
			out = d.integer(out, vm.CheckNumber(L, arg))
		case 'o', 'u', 'x', 'X':
			out = d.unsigned(out, vm.CheckNumber(L, arg), verb)
		case 'e', 'E', 'f', 'g', 'G':
			out = d.float(out, vm.CheckNumber(L, arg), verb)
		case 'q':
			s := vm.CheckString(L, arg)
			vm.CheckLength(L, len(out)+len(s)+strings.Count(s, "\x00")*len(`\00`)+2)
			vm.Tick(L, len(s)>>2)
			out = quote(out, s)
		case 's':
			s := vm.CheckString(L, arg)
			if d.precise || len(s) < longFrom {
				s, _, _ = strings.Cut(s, "\x00")
				if d.precise {
					s = s[:min(len(s), d.precision)]
				}
				out = d.pad(out, vm.Bytes(s), 0, false)
			} else {
				vm.CheckLength(L, len(out)+len(s))
				vm.Tick(L, len(s)>>4)
				out = vm.AppendString(L, out, s)
			}
		default:
			name := ""
			if verb != 0 {
				name = string([]byte{verb})
			}
			vm.Errorf(L, "invalid option '%%%s' to 'format'", name)
		}
		vm.CheckLength(L, len(out))
		vm.Tick(L, 8)
	}
	return pushBytes(L, out)
}

// parse reads flags, width and precision and returns the position of the verb.
func (d *directive) parse(L *lua.LState, form string, i int) int {
	at := func() byte {
		if i < len(form) {
			return form[i]
		}
		return 0
	}
	const mostFlags = 5
	for first := i; ; i++ {
		switch at() {
		case '-':
			d.minus = true
		case '+':
			d.plus = true
		case ' ':
			d.space = true
		case '#':
			d.alt = true
		case '0':
			d.zero = true
		default:
			if i-first > mostFlags {
				vm.Errorf(L, "invalid format (repeated flags)")
			}
			d.width = digits(form, &i)
			if at() == '.' {
				i++
				d.precise = true
				d.precision = digits(form, &i)
			}
			if isDigit(at()) {
				vm.Errorf(L, "invalid format (width or precision too long)")
			}
			return i
		}
	}
}

// digits reads up to two digits.
func digits(form string, i *int) (n int) {
	for k := 0; k < 2 && *i < len(form) && isDigit(form[*i]); k++ {
		n = n*10 + int(form[*i]-'0')
		*i++
	}
	return n
}

// pad appends text, filled to the width with blanks, or with zeros behind its first signs bytes.
func (d *directive) pad(out, text []byte, signs int, zeros bool) []byte {
	n := d.width - len(text)
	switch {
	case n <= 0:
		return append(out, text...)
	case d.minus:
		out = append(out, text...)
		return append(out, blanks[:n]...)
	case zeros:
		out = append(out, text[:signs]...)
		out = append(out, naughts[:n]...)
		return append(out, text[signs:]...)
	}
	out = append(out, blanks[:n]...)
	return append(out, text...)
}

var (
	blanks  = strings.Repeat(" ", 99)
	naughts = strings.Repeat("0", 99)
)

// sign appends the sign of a number.
func (d *directive) sign(b []byte, negative bool) []byte {
	switch {
	case negative:
		return append(b, '-')
	case d.plus:
		return append(b, '+')
	case d.space:
		return append(b, ' ')
	}
	return b
}

// toInt converts as C does on amd64: a number out of range becomes the least integer.
func toInt(f float64) int64 {
	if f >= -0x1p63 && f < 0x1p63 {
		return int64(f)
	}
	return math.MinInt64
}

// toInt32 converts to C's int in the same way.
func toInt32(f float64) int32 {
	if f > math.MinInt32-1 && f < math.MaxInt32+1 {
		return int32(f)
	}
	return math.MinInt32
}

func (d *directive) integer(out []byte, f float64) []byte {
	n := toInt(f)
	var buf [128]byte
	b := d.sign(buf[:0], n < 0)
	signs := len(b)
	u := uint64(n)
	if n < 0 {
		u = -u
	}
	b = d.number(b, strconv.FormatUint(u, 10))
	return d.pad(out, b, signs, d.zero && !d.precise)
}

func (d *directive) unsigned(out []byte, f float64, verb byte) []byte {
	u := uint64(toInt(f))
	if f >= 0x1p63 { // as amd64 converts to unsigned numbers
		u = uint64(toInt(f-0x1p63)) ^ 1<<63
	}
	var buf [128]byte
	b := buf[:0]
	switch verb {
	case 'u':
		b = d.number(b, strconv.FormatUint(u, 10))
		return d.pad(out, b, 0, d.zero && !d.precise)
	case 'o':
		text, zeros := strconv.FormatUint(u, 8), d.zero && !d.precise
		if d.alt { // the precision is raised so that the first digit is a zero
			least := 1
			if u != 0 {
				least += len(text)
			}
			d.precise, d.precision = true, max(d.precision, least)
		}
		b = d.number(b, text)
		return d.pad(out, b, 0, zeros)
	}
	text := strconv.FormatUint(u, 16)
	prefix := "0x"
	if verb == 'X' {
		text, prefix = strings.ToUpper(text), "0X"
	}
	if d.alt && u != 0 {
		b = append(b, prefix...)
	}
	signs := len(b)
	b = d.number(b, text)
	return d.pad(out, b, signs, d.zero && !d.precise)
}

// number appends digits, at least as many as the precision says. A zero with precision 0 has no digits.
func (d *directive) number(b []byte, text string) []byte {
	if d.precise && d.precision == 0 && text == "0" {
		return b
	}
	if n := d.precision - len(text); d.precise && n > 0 {
		b = append(b, naughts[:n]...)
	}
	return append(b, text...)
}

func (d *directive) float(out []byte, f float64, verb byte) []byte {
	var buf [512]byte
	negative := math.Signbit(f)
	b := d.sign(buf[:0], negative)
	signs := len(b)
	upper := verb < 'a'
	if math.IsNaN(f) || math.IsInf(f, 0) {
		text := "inf"
		if math.IsNaN(f) {
			text = "nan"
		}
		if upper {
			text = strings.ToUpper(text)
		}
		return d.pad(out, append(b, text...), signs, false)
	}
	precision := 6
	if d.precise {
		precision = d.precision
	}
	f = math.Abs(f)
	switch kind := verb | 0x20; kind {
	case 'g':
		b = d.general(b, f, max(precision, 1))
	default:
		b = strconv.AppendFloat(b, f, kind, precision, 64)
		if d.alt && precision == 0 {
			b = withPoint(b, signs)
		}
	}
	if upper {
		for i, c := range b {
			if 'a' <= c && c <= 'z' {
				b[i] = c - 0x20
			}
		}
	}
	return d.pad(out, b, signs, d.zero)
}

// general is %g: the shorter of %e and %f with so many digits, without trailing zeros unless # is given.
func (d *directive) general(b []byte, f float64, precision int) []byte {
	first := len(b)
	b = strconv.AppendFloat(b, f, 'e', precision-1, 64)
	e := len(b) - 1
	for b[e] != 'e' {
		e--
	}
	exponent, _ := strconv.Atoi(string(b[e+1:]))
	var tail [8]byte
	rest := append(tail[:0], b[e:]...)
	if exponent < -4 || exponent >= precision {
		b = b[:e]
	} else {
		rest = rest[:0]
		b = strconv.AppendFloat(b[:first], f, 'f', precision-1-exponent, 64)
	}
	switch point := strings.IndexByte(string(b[first:]), '.'); {
	case d.alt && point < 0:
		b = append(b, '.')
	case !d.alt && point >= 0:
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
		if b[len(b)-1] == '.' {
			b = b[:len(b)-1]
		}
	}
	return append(b, rest...)
}

// withPoint puts a point behind the digits of a number that has none.
func withPoint(b []byte, first int) []byte {
	e := first
	for e < len(b) && b[e] != 'e' {
		e++
	}
	b = append(b, 0)
	copy(b[e+1:], b[e:])
	b[e] = '.'
	return b
}

// quote appends a string as a literal that Lua's parser reads back.
func quote(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			out = append(out, '\\', c)
		case '\r':
			out = append(out, `\r`...)
		case 0:
			out = append(out, `\000`...)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
