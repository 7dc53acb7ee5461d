// Package structlib is the library struct of scripts: Roberto Ierusalimschy's struct 0.2 with the checks of sizes that
// Redis 7.0.15 and 7.2.6 have (deps/lua/src/lua_struct.c, where the facts come from). Numbers that do not fit their field are
// truncated as by C on x86-64.
//
// A format is a sequence of options, up to its first zero byte:
//
//	b B h H l L T i[n] I[n]   integers of 1, 1, 2, 2, 8, 8, 8, n and n bytes (n at most 32, by default 4), capitals
//	                          without a sign
//	f d                       IEEE numbers of 4 and 8 bytes
//	s                         text that ends with a zero byte
//	c[n]                      n bytes of text (by default 1); c0 packs the whole string, and unpacks as many bytes as
//	                          the value before it says, and replaces that value
//	x                         a byte of padding
//	< > ![n] ' '              little endian (the default), big endian, alignment to n (by default 8), nothing
package structlib

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// Open registers the library.
func Open(h *vm.Host) {
	h.Register("struct", map[string]lua.LGFunction{"pack": pack, "unpack": unpack, "size": size})
}

const (
	maxIntSize   = 32
	defaultAlign = 8
)

// reader reads a format.
type reader struct {
	L     *lua.LState
	left  string
	big   bool
	align uint64
}

func newReader(L *lua.LState) reader {
	format, _, _ := strings.Cut(vm.CheckString(L, 1), "\x00")
	return reader{L: L, left: format, align: 1}
}

// next returns the next option and the size of its field, 0 if the option has none.
func (r *reader) next() (opt byte, size uint64) {
	vm.Tick(r.L, 2)
	opt = r.left[0]
	r.left = r.left[1:]
	switch opt {
	case 'b', 'B', 'x':
		size = 1
	case 'h', 'H':
		size = 2
	case 'f':
		size = 4
	case 'l', 'L', 'T', 'd':
		size = 8
	case 'c':
		size = r.number(1)
	case 'i', 'I':
		if size = r.number(4); size > maxIntSize {
			vm.Errorf(r.L, "integral size %d is larger than limit of %d", size, maxIntSize)
		}
	}
	return opt, size
}

// number reads the digits that follow an option.
func (r *reader) number(def uint64) uint64 {
	n, i := uint64(0), 0
	for ; i < len(r.left) && r.left[i] >= '0' && r.left[i] <= '9'; i++ {
		if n = n*10 + uint64(r.left[i]-'0'); n > math.MaxInt32 {
			vm.Errorf(r.L, "integral size overflow")
		}
	}
	if i == 0 {
		return def
	}
	r.left = r.left[i:]
	return n
}

// padding returns the number of bytes of padding before a field of size bytes at pos. Sizes that are no power of two give the
// results of the original's masks.
func (r *reader) padding(pos uint64, opt byte, size uint64) uint64 {
	if size == 0 || opt == 'c' {
		return 0
	}
	size = min(size, r.align)
	return (size - pos&(size-1)) & (size - 1)
}

// control applies an option that is not a field.
func (r *reader) control(opt byte) {
	switch opt {
	case ' ':
	case '>':
		r.big = true
	case '<':
		r.big = false
	case '!':
		n := r.number(defaultAlign)
		if n == 0 || n&(n-1) != 0 {
			vm.Errorf(r.L, "alignment %d is not a power of 2", n)
		}
		r.align = n
	default:
		vm.ArgError(r.L, 1, "invalid format option '"+string([]byte{opt})+"'")
	}
}

// checkValue refuses a missing argument of pack as a nil, since the original finds a nil behind the last argument.
func checkValue(L *lua.LState, n int, want string) {
	if vm.None(L, n) {
		vm.ArgError(L, n, want+" expected, got nil")
	}
}

func checkNumber(L *lua.LState, n int) float64 {
	checkValue(L, n, "number")
	return vm.CheckNumber(L, n)
}

func pack(L *lua.LState) int {
	r := newReader(L)
	var buf []byte
	arg := 1
	for r.left != "" {
		opt, size := r.next()
		for range r.padding(uint64(len(buf)), opt, size) {
			buf = append(buf, 0)
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			arg++
			buf = appendInteger(buf, toUnsigned(checkNumber(L, arg)), int(size), r.big)
		case 'x':
			buf = append(buf, 0)
		case 'f':
			arg++
			buf = appendInteger(buf, uint64(math.Float32bits(float32(checkNumber(L, arg)))), 4, r.big)
		case 'd':
			arg++
			buf = appendInteger(buf, math.Float64bits(checkNumber(L, arg)), 8, r.big)
		case 'c', 's':
			arg++
			checkValue(L, arg, "string")
			s := vm.CheckString(L, arg)
			if size == 0 {
				size = uint64(len(s))
			}
			if uint64(len(s)) < size {
				vm.ArgError(L, arg+1, "string too short")
			}
			vm.CheckLength(L, len(buf)+int(size)+1)
			vm.Tick(L, int(min(size, vm.Piece)>>6))
			buf = vm.AppendString(L, buf, s[:size])
			if opt == 's' {
				buf = append(buf, 0)
			}
		default:
			r.control(opt)
		}
		vm.CheckLength(L, len(buf))
	}
	L.Push(vm.BytesValue(buf))
	return 1
}

// toUnsigned converts f as C does on x86-64, also numbers out of range.
func toUnsigned(f float64) uint64 {
	switch {
	case f < 0x1p63 || f != f:
		return uint64(vm.ToInteger(f))
	case f < 0x1p64:
		return uint64(int64(f-0x1p63)) ^ 1<<63
	}
	return 0
}

func appendInteger(buf []byte, v uint64, size int, big bool) []byte {
	for i := range size {
		at := i
		if big {
			at = size - 1 - i
		}
		b := byte(0)
		if at < 8 {
			b = byte(v >> (8 * at))
		}
		buf = append(buf, b)
	}
	return buf
}

func readInteger(b []byte, big bool) uint64 {
	v := uint64(0)
	for i := range b {
		if big {
			v = v<<8 | uint64(b[i])
		} else {
			v = v<<8 | uint64(b[len(b)-1-i])
		}
	}
	return v
}

// extend gives v the sign of a field of size bytes. For more than 8 bytes the shift is modulo 64, as by the processor.
func extend(v uint64, size uint64) float64 {
	mask := ^uint64(0) << ((size*8 - 1) & 63)
	if v&mask != 0 {
		v |= mask
	}
	return float64(int64(v))
}

func unpack(L *lua.LState) int {
	r := newReader(L)
	data := vm.Bytes(vm.CheckString(L, 2))
	end := uint64(len(data))
	pos := uint64(vm.OptInteger(L, 3, 1))
	if pos == 0 {
		vm.ArgError(L, 3, "offset must be 1 or greater")
	}
	pos--
	check := func(size uint64) {
		if size > end || pos > end-size {
			vm.ArgError(L, 2, "data string too short")
		}
	}
	n := 0
	for r.left != "" {
		opt, size := r.next()
		pos += r.padding(pos, opt, size)
		check(size)
		vm.CheckStack(L, 2, "too many results")
		switch opt {
		case 'B', 'H', 'L', 'T', 'I':
			vm.PushNumber(L, float64(readInteger(data[pos:pos+size], r.big)))
			n++
		case 'b', 'h', 'l', 'i':
			vm.PushNumber(L, extend(readInteger(data[pos:pos+size], r.big), size))
			n++
		case 'x':
		case 'f':
			vm.PushNumber(L, float64(math.Float32frombits(uint32(readInteger(data[pos:pos+4], r.big)))))
			n++
		case 'd':
			bits := binary.LittleEndian.Uint64(data[pos:])
			if r.big {
				bits = binary.BigEndian.Uint64(data[pos:])
			}
			vm.PushNumber(L, math.Float64frombits(bits))
			n++
		case 'c':
			if size == 0 {
				f, ok := 0.0, false
				if n > 0 {
					f, ok = vm.ToNumber(L.Get(-1))
				}
				if !ok {
					vm.Errorf(L, "format 'c0' needs a previous size")
				}
				size = toUnsigned(f)
				L.Pop(1)
				n--
				check(size)
			}
			vm.Tick(L, int(size>>6))
			L.Push(vm.BytesValue(data[pos : pos+size]))
			n++
		case 's':
			length := bytes.IndexByte(data[pos:], 0)
			if length < 0 {
				vm.Errorf(L, "unfinished string in data")
			}
			vm.Tick(L, length>>6)
			L.Push(vm.BytesValue(data[pos : pos+uint64(length)]))
			size = uint64(length) + 1
			n++
		default:
			r.control(opt)
		}
		pos += size
	}
	vm.PushNumber(L, float64(int64(pos+1)))
	return n + 1
}

func isAlnum(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// size skips letters and digits that are not options, as the original does.
func size(L *lua.LState) int {
	r := newReader(L)
	pos := uint64(0)
	for r.left != "" {
		opt, size := r.next()
		pos += r.padding(pos, opt, size)
		switch {
		case opt == 's':
			vm.ArgError(L, 1, "option 's' has no fixed size")
		case opt == 'c' && size == 0:
			vm.ArgError(L, 1, "option 'c0' has no fixed size")
		case !isAlnum(opt):
			r.control(opt)
		}
		pos += size
	}
	vm.PushNumber(L, float64(pos))
	return 1
}
