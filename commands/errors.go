package commands

import (
	"strings"
)

// The error replies that more than one handler gives, word for word as Redis gives them.
const (
	errSyntax        = "ERR syntax error"
	errWrongType     = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errNotInteger    = "ERR value is not an integer or out of range"
	errNotFloat      = "ERR value is not a valid float"
	errOverflow      = "ERR increment or decrement would overflow"
	errDecrOverflow  = "ERR decrement would overflow"
	errNaNOrInfinity = "ERR increment would produce NaN or Infinity"
	errNoKey         = "ERR no such key"
	errSameObject    = "ERR source and destination objects are the same"
	errOutOfRange    = "ERR index out of range"
	errDBIndex       = "ERR DB index is out of range"
	errInvalidDB     = "ERR invalid DB index"
	errTooLong       = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errOffset        = "ERR offset is out of range"
	errNoAuth        = "NOAUTH Authentication required."
	errWrongPass     = "WRONGPASS invalid username-password pair or user is disabled."
	errMaxClients    = "ERR max number of clients reached"
	errInvalidCursor = "ERR invalid cursor"
	errNotInt32      = "ERR value is out of range, value must between -2147483648 and 2147483647"
	errFirstDB       = "ERR invalid first DB index"
	errSecondDB      = "ERR invalid second DB index"
	errUnknownType   = "ERR unknown type object"
	errExpireNX      = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errExpireGTLT    = "ERR GT and LT options at the same time are not compatible"
	errLFU           = "ERR An LFU maxmemory policy is selected, idle time not tracked." + errLFUSwitch
	errNotLFU        = "ERR An LFU maxmemory policy is not selected, access frequency not tracked." + errLFUSwitch
	errLFUSwitch     = " Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

	errLCSType      = "ERR The specified keys must contain string values"
	errLCSLenAndIdx = "ERR If you want both the length and indexes, please just use IDX."
	errLCSTooLong   = "ERR String too long for LCS"
	errLCSMemory    = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
)

// The errors of bitmaps and HyperLogLog.
const (
	errBitOffset  = "ERR bit offset is not an integer or out of range"
	errBit        = "ERR bit is not an integer or out of range"
	errBitArg     = "ERR The bit argument must be 1 or 0."
	errBitOpNot   = "ERR BITOP NOT must be called with a single source key."
	errBitType    = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	errBitOverTag = "ERR Invalid OVERFLOW type specified"
	errBitFieldRO = "ERR BITFIELD_RO only supports the GET subcommand"
	errNotHLL     = "WRONGTYPE Key is not a valid HyperLogLog string value."
	errCorruptHLL = "INVALIDOBJ Corrupted HLL object detected"
	errNoHLLKey   = "ERR The specified key does not exist"
	errDenseHLL   = "ERR HLL encoding is not sparse"
)

// errBitOpTwo is for operations that need more than one source.
func errBitOpTwo(op string) string {
	return "ERR BITOP " + op + " must be called with at least two source keys."
}

func errUnknownPFDebug(sub []byte) string {
	return "ERR Unknown PFDEBUG subcommand '" + cString(sub) + "'"
}

func errInvalidExpire(cmd string) string {
	return "ERR invalid expire time in '" + cmd + "' command"
}

func errUnsupportedOption(option []byte) string { return "ERR Unsupported option " + cString(option) }

func errArity(full string) string {
	return "ERR wrong number of arguments for '" + full + "' command"
}

// quoted bounds and cleans what a client sent for an error text.
func quoted(b []byte, limit int) string {
	s := cString(b)
	return s[:min(len(s), limit)]
}

// errUnknownCommand is Redis's text, with the first arguments as far as they fit into 128 bytes.
func errUnknownCommand(args [][]byte) string {
	var sb strings.Builder
	sb.WriteString("ERR unknown command '")
	sb.WriteString(quoted(args[0], 128))
	sb.WriteString("', with args beginning with: ")
	list := 0
	for _, a := range args[1:] {
		if list >= 128 {
			break
		}
		q := quoted(a, 128-list)
		sb.WriteString("'" + q + "' ")
		list += len(q) + 3
	}
	return sb.String()
}

func errUnknownSub(parent string, sub []byte) string {
	return "ERR unknown subcommand '" + quoted(sub, 128) + "'. Try " + strings.ToUpper(parent) + " HELP."
}
