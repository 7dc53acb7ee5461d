package lua

import (
	"crypto/sha1"
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"ferrous/lua/internal/vm"
)

// The table redis of scripts.

// The version that scripts read in redis.REDIS_VERSION.
const (
	Version    = "7.2.4"
	VersionNum = 7<<16 | 2<<8 | 4
)

func (e *Engine) openRedis() {
	h := e.host
	h.Register("redis", map[string]glua.LGFunction{
		"call":               func(L *glua.LState) int { return e.command(L, true) },
		"pcall":              func(L *glua.LState) int { return e.command(L, false) },
		"error_reply":        errorReply,
		"status_reply":       statusReply,
		"sha1hex":            sha1Hex,
		"log":                e.log,
		"setresp":            e.setProtocol,
		"set_repl":           e.setRepl,
		"replicate_commands": func(L *glua.LState) int { L.Push(glua.LTrue); return 1 },
		"breakpoint":         func(L *glua.LState) int { L.Push(glua.LFalse); return 1 },
		"debug":              func(L *glua.LState) int { return 0 },
		"acl_check_cmd":      e.checkACL,
	})
	e.redis = h.Library("redis")
	for name, n := range map[string]int{
		"LOG_DEBUG": 0, "LOG_VERBOSE": 1, "LOG_NOTICE": 2, "LOG_WARNING": 3,
		"REPL_NONE": ReplNone, "REPL_AOF": ReplAOF, "REPL_SLAVE": ReplReplica, "REPL_REPLICA": ReplReplica, "REPL_ALL": ReplAll,
		"REDIS_VERSION_NUM": VersionNum,
	} {
		vm.SetString(e.redis, name, glua.LNumber(n))
	}
	vm.SetString(e.redis, "REDIS_VERSION", glua.LString(Version))
	vm.SetString(h.Globals, "server", e.redis)
}

// errorTable makes {err=text}. A text "-CODE message" keeps its code, any other gets ERR.
func errorTable(text string) *glua.LTable {
	if strings.HasPrefix(text, "-") {
		code, message, ok := strings.Cut(text[1:], " ")
		if !ok {
			code, message = "ERR", code
		}
		text = code + " " + strings.TrimRight(message, "\r\n")
	} else {
		text = "ERR " + strings.TrimRight(text, "\r\n")
	}
	return vm.NewField(fieldErr, glua.LString(text))
}

// raiseText raises an error of Redis's own: a table, without a position in front of its text.
func raiseText(text string) { vm.Raise(errorTable(text)) }

const errArguments = "Lua redis lib command arguments must be strings or integers"

// arguments returns the arguments of a call as the argument vector of a command, in memory that the next call reuses. If
// they are not strings and numbers, or there are none, it returns the text of the error.
func (e *Engine) arguments(L *glua.LState) (argv [][]byte, text string) {
	n := L.GetTop()
	if n == 0 {
		return nil, "Please specify at least one argument for this redis lib call"
	}
	argv = e.argv[:0]
	numbers := e.store[:0]
	for i := 1; i <= n; i++ {
		switch v := vm.Arg(L, i).(type) {
		case glua.LString:
			argv = append(argv, vm.Bytes(string(v)))
		case glua.LNumber:
			from := len(numbers)
			numbers = appendArgument(numbers, float64(v))
			argv = append(argv, numbers[from:len(numbers):len(numbers)])
		default:
			return nil, errArguments
		}
	}
	e.argv, e.store = argv, numbers
	if n > 64 {
		vm.Tick(L, n)
	}
	return argv, ""
}

// appendArgument prints a number so that it reads back, as Redis 7.2 does: integers up to 2^62 in full, others with the
// fewest digits.
func appendArgument(dst []byte, f float64) []byte {
	if f >= -0x1p62 && f <= 0x1p62 {
		if i := int64(f); float64(i) == f {
			return strconv.AppendInt(dst, i, 10)
		}
	}
	if math.Signbit(f) {
		dst = append(dst, '-')
		f = math.Abs(f)
	}
	switch {
	case math.IsInf(f, 0):
		return append(dst, "inf"...)
	case f != f:
		return append(dst, "nan"...)
	}
	var buf [32]byte
	digits := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	// d.ddde±xx: the digits without the point, and k, the power of ten of the last of them.
	at := strings.IndexByte(vm.String(digits), 'e')
	exp, _ := strconv.Atoi(string(digits[at+1:]))
	n := at
	if n > 1 {
		copy(digits[1:], digits[2:at])
		n--
	}
	digits = digits[:n]
	k := exp - (n - 1)
	size := max(exp, -exp)
	switch {
	case k >= 0 && size < n+7:
		dst = append(dst, digits...)
		for range k {
			dst = append(dst, '0')
		}
	case k < 0 && (k > -7 || size < 4):
		if point := n + k; point > 0 {
			dst = append(dst, digits[:point]...)
			dst = append(dst, '.')
			dst = append(dst, digits[point:]...)
		} else {
			dst = append(dst, "0."...)
			for range -point {
				dst = append(dst, '0')
			}
			dst = append(dst, digits...)
		}
	default:
		dst = append(dst, digits[0])
		if n > 1 {
			dst = append(dst, '.')
			dst = append(dst, digits[1:]...)
		}
		dst = append(dst, 'e')
		if exp < 0 {
			dst = append(dst, '-')
		} else {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, int64(size), 10)
	}
	return dst
}

// command is redis.call and redis.pcall.
func (e *Engine) command(L *glua.LState, raise bool) int {
	argv, text := e.arguments(L)
	if text != "" {
		t := errorTable(text)
		if raise {
			vm.Raise(t)
		}
		L.Push(t)
		return 1
	}
	reply := e.bridge.Call(argv)
	vm.Tick(L, 20)
	if vm.Discarded(L) && !(raise && len(reply) > 0 && reply[0] == '-') {
		return 0
	}
	p := replyParser{L: L, buf: reply}
	v := p.value()
	if raise && len(reply) > 0 && reply[0] == '-' {
		vm.Raise(v)
	}
	L.Push(v)
	return 1
}

func errorReply(L *glua.LState) int { return fieldReply(L, "err") }

func statusReply(L *glua.LState) int { return fieldReply(L, "ok") }

func fieldReply(L *glua.LState, field string) int {
	s, ok := vm.Arg(L, 1).(glua.LString)
	if !ok || L.GetTop() != 1 {
		L.Push(errorTable("wrong number or type of arguments"))
		return 1
	}
	if field == "err" {
		text := cString(string(s))
		if !strings.HasPrefix(text, "-") {
			text = "-" + text
		}
		L.Push(errorTable(text))
		return 1
	}
	L.Push(vm.NewField(fieldOK, s))
	return 1
}

func sha1Hex(L *glua.LState) int {
	if L.GetTop() != 1 {
		raiseText("wrong number of arguments")
	}
	s, _ := vm.ToString(vm.Arg(L, 1))
	hash := sha1.New()
	for len(s) > vm.Piece {
		hash.Write(vm.Bytes(s[:vm.Piece]))
		s = s[vm.Piece:]
		vm.Tick(L, vm.Piece>>3)
	}
	hash.Write(vm.Bytes(s))
	vm.Tick(L, len(s)>>3)
	L.Push(glua.LString(hex.EncodeToString(hash.Sum(nil))))
	return 1
}

func (e *Engine) log(L *glua.LState) int {
	n := L.GetTop()
	if n < 2 {
		raiseText("redis.log() requires two arguments or more.")
	}
	f, ok := vm.ToNumber(vm.Arg(L, 1))
	if !ok {
		raiseText("First argument must be a number (log level).")
	}
	level := int(vm.ToInteger(f))
	if level < 0 || level > 3 {
		raiseText("Invalid debug level.")
	}
	var text strings.Builder
	for i := 2; i <= n; i++ {
		s, ok := vm.ToString(vm.Arg(L, i))
		if !ok {
			continue
		}
		if i > 2 {
			text.WriteByte(' ')
		}
		text.WriteString(s)
	}
	e.bridge.Log(level, text.String())
	return 0
}

func (e *Engine) setProtocol(L *glua.LState) int {
	if L.GetTop() != 1 {
		raiseText("redis.setresp() requires one argument.")
	}
	f, _ := vm.ToNumber(vm.Arg(L, 1))
	version := int(vm.ToInteger(f))
	if version != 2 && version != 3 {
		raiseText("RESP version must be 2 or 3.")
	}
	e.protocol = version
	e.bridge.SetProtocol(version)
	return 0
}

func (e *Engine) setRepl(L *glua.LState) int {
	if L.GetTop() != 1 {
		raiseText("redis.set_repl() requires one argument.")
	}
	f, _ := vm.ToNumber(vm.Arg(L, 1))
	flags := int(vm.ToInteger(f))
	if flags&^ReplAll != 0 {
		raiseText("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
	}
	e.bridge.SetRepl(flags)
	return 0
}

func (e *Engine) checkACL(L *glua.LState) int {
	argv, text := e.arguments(L)
	if text != "" {
		raiseText(text)
	}
	allowed, known := e.bridge.CheckACL(argv)
	if !known {
		raiseText("Invalid command passed to redis.acl_check_cmd()")
	}
	L.Push(glua.LBool(allowed))
	return 1
}
