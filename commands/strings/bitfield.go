package strings

import (
	"encoding/binary"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// BITFIELD: integers of 1 to 64 bits anywhere in a string. Their highest bit is the one with the lowest offset, so that a
// byte-aligned integer is big endian.
//
// All arguments are checked first. Then the string is made long enough for the last integer that is written, and the
// operations run one after another on its bytes. An integer is in at most nine bytes: it is read and written as one word and
// a rest.

// bitfieldBlock is an operation in COMMAND DOCS: its token, the integer's type and offset, and its further arguments.
func bitfieldBlock(name, token string, more ...session.Arg) session.Arg {
	return session.Arg{Name: name, Type: session.ArgBlock, Token: token,
		Args: append([]session.Arg{session.StringArg("encoding"), session.IntArg("offset")}, more...)}
}

// intType is the type of an integer: i1 to i64, u1 to u63.
type intType struct {
	bits   uint8
	signed bool
}

// parseIntType parses a type. Bytes behind a zero byte are ignored, as in Redis.
func parseIntType(arg []byte) (intType, bool) {
	if len(arg) == 0 || arg[0] != 'i' && arg[0] != 'u' {
		return intType{}, false
	}
	t := intType{signed: arg[0] == 'i'}
	most := int64(63)
	if t.signed {
		most = 64
	}
	arg = arg[1:]
	for i, b := range arg {
		if b == 0 {
			arg = arg[:i]
			break
		}
	}
	n, ok := resp.ParseInt(arg)
	t.bits = uint8(n)
	return t, ok && 1 <= n && n <= most
}

// highest and lowest are the ends of the type's range.
func (t intType) highest() int64 {
	if t.signed {
		return 1<<(t.bits-1) - 1
	}
	return 1<<t.bits - 1
}

func (t intType) lowest() int64 {
	if t.signed {
		return -1 << (t.bits - 1)
	}
	return 0
}

// wrap truncates v to the type's width.
func (t intType) wrap(v int64) int64 {
	unused := 64 - t.bits
	if t.signed {
		return v << unused >> unused
	}
	return int64(uint64(v) << unused >> unused)
}

// get returns the integer at a bit of b; bits behind the end of b are zero.
func (t intType) get(b []byte, offset int64) int64 {
	var w [9]byte
	if at := offset >> 3; at < int64(len(b)) {
		copy(w[:], b[at:])
	}
	shift := offset & 7
	v := binary.BigEndian.Uint64(w[:])<<shift | uint64(w[8])>>(8-shift)
	return t.wrap(int64(v >> (64 - t.bits)))
}

// put writes the lowest bits of v at a bit of b, which must be long enough.
func (t intType) put(b []byte, offset, v int64) {
	shift := offset & 7
	var w [9]byte
	b = b[offset>>3 : (offset+int64(t.bits)+7)>>3]
	copy(w[:], b)
	mask := uint64(1<<t.bits - 1) // all ones for 64
	bits := uint64(v) & mask
	word := binary.BigEndian.Uint64(w[:])
	if behind := 64 - int64(t.bits) - shift; behind >= 0 {
		word = word&^(mask<<behind) | bits<<behind
	} else {
		word = word&^(mask>>-behind) | bits>>-behind
		rest := 8 + behind // bits of the ninth byte that are not the integer's
		w[8] = w[8]&^byte(mask<<rest) | byte(bits<<rest)
	}
	binary.BigEndian.PutUint64(w[:], word)
	copy(b, w[:])
}

// overflow says what happens to a result that the type cannot hold.
type overflow uint8

const (
	overflowWrap overflow = iota
	overflowSat
	overflowFail
)

// add returns v+by in the type, with overflows handled as how says; ok is false if it overflows and how is overflowFail. SET
// passes a v that may itself be outside of the type's range: for an unsigned type a negative v counts as a number of 64 bits,
// which is too high.
func (t intType) add(v, by int64, how overflow) (sum int64, ok bool) {
	high, low := t.highest(), t.lowest()
	var above, below bool
	switch {
	case v > high || v < 0 && !t.signed:
		above = true
	case v < low:
		// If v is so low that its distance from the highest number overflows, Redis 7.2 treats it as too high, and saturates
		// SET to the wrong end. So does this code, since replicas must not differ.
		above = int64(uint64(high)-uint64(v)) < 0
		below = !above
	default:
		// The differences are unsigned: for i64 they need all 64 bits.
		above = by > 0 && uint64(by) > uint64(high)-uint64(v)
		below = by < 0 && -uint64(by) > uint64(v)-uint64(low)
	}
	if !above && !below {
		return v + by, true
	}
	switch {
	case how == overflowFail:
		return 0, false
	case how == overflowWrap:
		return t.wrap(v + by), true
	case above:
		return high, true
	}
	return low, true
}

// bitfieldOp is one operation.
type bitfieldOp struct {
	offset   int64
	value    int64 // to set or to add
	typ      intType
	kind     bitfieldKind
	overflow overflow
}

type bitfieldKind uint8

const (
	bitfieldGet bitfieldKind = iota
	bitfieldSet
	bitfieldIncr
)

// bitfieldWord returns the number of arguments of the operation at argument i, 0 if it is no operation or arguments are
// missing.
func bitfieldWord(args [][]byte, i int) (kind bitfieldKind, n int) {
	switch rest := len(args) - i - 1; {
	case rest >= 2 && session.EqualFold(args[i], "get"):
		return bitfieldGet, 2
	case rest >= 3 && session.EqualFold(args[i], "set"):
		return bitfieldSet, 3
	case rest >= 3 && session.EqualFold(args[i], "incrby"):
		return bitfieldIncr, 3
	}
	return 0, 0
}

// parseBitfield appends the operations of the command's arguments. end is the last bit that is written, -1 if none is. On
// failure it has replied.
func parseBitfield(c *session.Client, ops []bitfieldOp) (_ []bitfieldOp, end int64, ok bool) {
	end = -1
	how := overflowWrap
	for i := 2; i < len(c.Args); i++ {
		kind, n := bitfieldWord(c.Args, i)
		if n == 0 {
			if !c.Is(i, "overflow") || i+1 == len(c.Args) {
				c.Error(session.ErrSyntax)
				return nil, 0, false
			}
			i++
			switch {
			case c.Is(i, "wrap"):
				how = overflowWrap
			case c.Is(i, "sat"):
				how = overflowSat
			case c.Is(i, "fail"):
				how = overflowFail
			default:
				c.Error(session.ErrBitOverTag)
				return nil, 0, false
			}
			continue
		}
		op := bitfieldOp{kind: kind, overflow: how}
		if op.typ, ok = parseIntType(c.Args[i+1]); !ok {
			c.Error(session.ErrBitType)
			return nil, 0, false
		}
		if op.offset, ok = bitOffset(c, c.Args[i+2], int(op.typ.bits)); !ok {
			return nil, 0, false
		}
		if kind != bitfieldGet {
			end = max(end, op.offset+int64(op.typ.bits)-1)
			if op.value, ok = c.Int64Arg(i + 3); !ok {
				return nil, 0, false
			}
		}
		ops = append(ops, op)
		i += n
	}
	return ops, end, true
}

func bitfield(c *session.Client) {
	var some [8]bitfieldOp
	ops, end, ok := parseBitfield(c, some[:0])
	switch {
	case !ok:
	case end < 0:
		readBitfields(c, ops)
	default:
		writeBitfields(c, ops, end)
	}
}

func bitfieldRO(c *session.Client) {
	var some [8]bitfieldOp
	ops, end, ok := parseBitfield(c, some[:0])
	switch {
	case !ok:
	case end < 0:
		readBitfields(c, ops)
	default:
		c.Error(session.ErrBitFieldRO)
	}
}

func readBitfields(c *session.Client, ops []bitfieldOp) {
	r := c.Read(c.Args[1])
	if !c.Typed(r, record.String) {
		return
	}
	var buf session.IntText
	var s []byte
	if r != nil {
		s = r.String(buf[:])
	}
	c.W.Array(len(ops))
	for i := range ops {
		c.W.Int(ops[i].typ.get(s, ops[i].offset))
	}
}

func writeBitfields(c *session.Client, ops []bitfieldOp, end int64) {
	key := c.Args[1]
	r := c.Write(key)
	if !c.Typed(r, record.String) {
		return
	}
	size, n := 0, int(end>>3)+1
	if r != nil {
		size = r.StringLen()
	}
	b := c.DB.Edit(key, r, max(size, n), 0)
	grew := n > size
	changes := 0
	c.W.Array(len(ops))
	for i := range ops {
		op := &ops[i]
		old := op.typ.get(b, op.offset)
		var value int64
		fits := true
		switch op.kind {
		case bitfieldGet:
			c.W.Int(old)
			continue
		case bitfieldSet:
			value, fits = op.typ.add(op.value, 0, op.overflow)
		case bitfieldIncr:
			value, fits = op.typ.add(old, op.value, op.overflow)
		}
		if !fits {
			c.W.Null()
			continue
		}
		if op.kind == bitfieldSet {
			c.W.Int(old)
		} else {
			c.W.Int(value)
		}
		if value != old {
			op.typ.put(b, op.offset, value)
		}
		if grew || value != old {
			changes++
		}
	}
	switch {
	case changes > 0:
		c.Changed(key, changes, config.NotifyString, "setbit")
	case grew:
		// Every write overflowed and failed, but the string grew, or is new. Redis 7.2 does not propagate that, so that its
		// replicas have other data.
		c.Modified(key)
	}
}

// bitfieldKeys finds BITFIELD's key: it is only read if all operations are GET.
func bitfieldKeys(args [][]byte) ([]session.KeyRef, bool) {
	flags := session.KeyRO | session.KeyAccess
	for i := 2; i < len(args); i++ {
		kind, n := bitfieldWord(args, i)
		if n == 0 && session.EqualFold(args[i], "overflow") && i+1 < len(args) {
			n = 1
		}
		if n == 0 || kind != bitfieldGet {
			flags = session.KeyRW | session.KeyAccess | session.KeyUpdate
			break
		}
		i += n
	}
	return []session.KeyRef{{Pos: 1, Flags: flags}}, true
}
