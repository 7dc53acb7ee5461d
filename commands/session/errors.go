package session

import (
	"strings"
)

// The error replies that more than one handler gives, word for word as Redis gives them.
const (
	ErrSyntax        = "ERR syntax error"
	ErrWrongType     = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrNotInteger    = "ERR value is not an integer or out of range"
	ErrNotFloat      = "ERR value is not a valid float"
	ErrOverflow      = "ERR increment or decrement would overflow"
	ErrDecrOverflow  = "ERR decrement would overflow"
	ErrNaNOrInfinity = "ERR increment would produce NaN or Infinity"
	ErrNoKey         = "ERR no such key"
	ErrSameObject    = "ERR source and destination objects are the same"
	ErrOutOfRange    = "ERR index out of range"
	ErrDBIndex       = "ERR DB index is out of range"
	errInvalidDB     = "ERR invalid DB index"
	ErrTooLong       = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrOffset        = "ERR offset is out of range"
	ErrNoAuth        = "NOAUTH Authentication required."
	ErrWrongPass     = "WRONGPASS invalid username-password pair or user is disabled."
	ErrMaxClients    = "ERR max number of clients reached"
	ErrInvalidCursor = "ERR invalid cursor"
	errNotInt32      = "ERR value is out of range, value must between -2147483648 and 2147483647"
	ErrFirstDB       = "ERR invalid first DB index"
	ErrSecondDB      = "ERR invalid second DB index"
	ErrExpireNX      = "ERR NX and XX, GT or LT options at the same time are not compatible"
	ErrExpireGTLT    = "ERR GT and LT options at the same time are not compatible"
	ErrLFU           = "ERR An LFU maxmemory policy is selected, idle time not tracked." + errLFUSwitch
	ErrNotLFU        = "ERR An LFU maxmemory policy is not selected, access frequency not tracked." + errLFUSwitch
	errLFUSwitch     = " Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

	ErrLCSType      = "ERR The specified keys must contain string values"
	ErrLCSLenAndIdx = "ERR If you want both the length and indexes, please just use IDX."
	ErrLCSTooLong   = "ERR String too long for LCS"
	ErrLCSMemory    = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
)

// The errors of bitmaps and HyperLogLog.
const (
	ErrBitOffset  = "ERR bit offset is not an integer or out of range"
	ErrBit        = "ERR bit is not an integer or out of range"
	ErrBitArg     = "ERR The bit argument must be 1 or 0."
	ErrBitOpNot   = "ERR BITOP NOT must be called with a single source key."
	ErrBitType    = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	ErrBitOverTag = "ERR Invalid OVERFLOW type specified"
	ErrBitFieldRO = "ERR BITFIELD_RO only supports the GET subcommand"
	ErrNotHLL     = "WRONGTYPE Key is not a valid HyperLogLog string value."
	ErrCorruptHLL = "INVALIDOBJ Corrupted HLL object detected"
	ErrNoHLLKey   = "ERR The specified key does not exist"
	ErrDenseHLL   = "ERR HLL encoding is not sparse"
)

// ErrBitOpTwo is for operations that need more than one source.
func ErrBitOpTwo(op string) string {
	return "ERR BITOP " + op + " must be called with at least two source keys."
}

func ErrUnknownPFDebug(sub []byte) string {
	return "ERR Unknown PFDEBUG subcommand '" + CString(sub) + "'"
}

func ErrInvalidExpire(cmd string) string {
	return "ERR invalid expire time in '" + cmd + "' command"
}

func ErrUnsupportedOption(option []byte) string { return "ERR Unsupported option " + CString(option) }

func ErrArity(full string) string {
	return "ERR wrong number of arguments for '" + full + "' command"
}

// Quoted bounds and cleans what a client sent for an error text.
func Quoted(b []byte, limit int) string {
	s := CString(b)
	return s[:min(len(s), limit)]
}

// ErrUnknownCommand is Redis's text, with the first arguments as far as they fit into 128 bytes.
func ErrUnknownCommand(args [][]byte) string {
	var sb strings.Builder
	sb.WriteString("ERR unknown command '")
	sb.WriteString(Quoted(args[0], 128))
	sb.WriteString("', with args beginning with: ")
	list := 0
	for _, a := range args[1:] {
		if list >= 128 {
			break
		}
		q := Quoted(a, 128-list)
		sb.WriteString("'" + q + "' ")
		list += len(q) + 3
	}
	return sb.String()
}

func ErrUnknownSub(parent string, sub []byte) string {
	return "ERR unknown subcommand '" + Quoted(sub, 128) + "'. Try " + strings.ToUpper(parent) + " HELP."
}

const errTimeoutNotFloat = "ERR timeout is not a float or out of range"

const ErrTimeoutNotInt = "ERR timeout is not an integer or out of range"

const ErrTimeoutNegative = "ERR timeout is negative"

const ErrTimeoutRange = "ERR timeout is out of range"

const errNegative = "ERR value is out of range, must be positive"

const ErrNumKeys = "ERR numkeys should be greater than 0"

const ErrPopCount = "ERR count should be greater than 0"

const ErrLimit = "ERR LIMIT can't be negative"

// ErrUnknownSubOrArity is Redis's text where a container's own parser does not understand its arguments.
func ErrUnknownSubOrArity(args [][]byte) string {
	name := CString(args[0])
	return "ERR unknown subcommand or wrong number of arguments for '" + Quoted([]byte(CString(args[1])), 128) + "'. Try " +
		strings.ToUpper(name) + " HELP."
}
