package strings

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// Strings as arrays of bits. Bit 0 is the highest bit of the first byte, and bits behind the end are zero. BITFIELD is in
// bitfield.go.
//
// Counting, searching and combining use whole words, four or eight at a time. BITOP works in blocks that stay in the
// first-level cache: it computes a block of the result from all sources before the next block, so that memory is read once
// for each source and written once.
var bitmapCommands = []session.Command{
	{Name: "bitcount", Arity: -2, Flags: session.ReadOnly, ACL: session.CatBitmap, Handler: bitcount,
		Group: session.GroupBitmap, Since: "2.6.0",
		Complexity: "O(N) with N the number of bytes in the range.",
		Summary:    "Counts the bits that are set in a string or in a part of it.",
		History:    []session.Change{{"7.0.0", "The unit of the range, `BYTE` or `BIT`."}},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.BlockOf("range", session.IntArg("start"), session.IntArg("end"),
			bitUnit()).Opt()}},
	{Name: "bitfield", Arity: -2, Flags: session.Write | session.DenyOOM, ACL: session.CatBitmap, Handler: bitfield, GetKeys: bitfieldKeys,
		Group: session.GroupBitmap, Since: "3.2.0",
		Complexity: "O(1) for each operation.",
		Summary:    "Reads, sets and increments integers of any width, to 64 bits, at any bit of a string.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyUpdate | session.KeyAccess | session.KeyVariable, Index: 1, Step: 1,
			Notes: "This command allows both access and modification of the key"}},
		Args: []session.Arg{session.KeyArg("key"), session.OneOf("operation",
			bitfieldBlock("get-block", "GET"),
			session.BlockOf("write",
				session.Arg{Name: "overflow-block", Type: session.ArgOneOf, Token: "OVERFLOW", Optional: true, Args: []session.Arg{
					session.TokenWord("wrap", "WRAP", ""),
					session.TokenWord("sat", "SAT", ""),
					session.TokenWord("fail", "FAIL", "")}},
				session.OneOf("write-operation",
					bitfieldBlock("set-block", "SET", session.IntArg("value")),
					bitfieldBlock("incrby-block", "INCRBY", session.IntArg("increment"))))).Many().Opt()}},
	{Name: "bitfield_ro", Arity: -2, Flags: session.ReadOnly | session.Fast, ACL: session.CatBitmap, Handler: bitfieldRO,
		Group: session.GroupBitmap, Since: "6.0.0",
		Complexity: "O(1) for each operation.",
		Summary:    "Reads integers of any width, to 64 bits, at any bit of a string.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), {Name: "get-block", Type: session.ArgBlock, Token: "GET", Optional: true, Multiple: true,
			MultipleToken: true, Args: []session.Arg{session.StringArg("encoding"), session.IntArg("offset")}}}},
	{Name: "bitop", Arity: -4, Flags: session.Write | session.DenyOOM, ACL: session.CatBitmap, Handler: bitop,
		Group: session.GroupBitmap, Since: "2.6.0",
		Complexity: "O(N) with N the sum of the lengths of the strings.",
		Summary:    "Combines strings bit by bit and stores the result.",
		History:    []session.Change{{"8.2.0", "The operations `DIFF`, `DIFF1`, `ANDOR` and `ONE`."}},
		Keys: []session.KeySpec{{Flags: session.KeyOW | session.KeyUpdate, Index: 2, Step: 1},
			{Flags: session.KeyRO | session.KeyAccess, Index: 3, Last: -1, Step: 1}},
		Args: []session.Arg{session.OneOf("operation",
			session.TokenWord("and", "AND", ""), session.TokenWord("or", "OR", ""), session.TokenWord("xor", "XOR", ""), session.TokenWord("not", "NOT", ""),
			session.TokenWord("diff", "DIFF", "8.2.0"), session.TokenWord("diff1", "DIFF1", "8.2.0"),
			session.TokenWord("andor", "ANDOR", "8.2.0"), session.TokenWord("one", "ONE", "8.2.0")),
			session.KeyArg("destkey"), session.Arg{Name: "key", Type: session.ArgKey, Key: 1}.Many()}},
	{Name: "bitpos", Arity: -3, Flags: session.ReadOnly, ACL: session.CatBitmap, Handler: bitpos,
		Group: session.GroupBitmap, Since: "2.8.7",
		Complexity: "O(N) with N the number of bytes in the range.",
		Summary:    "Finds the first bit that is set, or not set, in a string or in a part of it.",
		History:    []session.Change{{"7.0.0", "The unit of the range, `BYTE` or `BIT`."}},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("bit"), session.BlockOf("range", session.IntArg("start"),
			session.BlockOf("end-unit-block", session.IntArg("end"), bitUnit()).Opt()).Opt()}},
	{Name: "getbit", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatBitmap, Handler: getbit,
		Group: session.GroupBitmap, Since: "2.2.0", Complexity: "O(1)",
		Summary: "Returns one bit of a string.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.IntArg("offset")}},
	{Name: "setbit", Arity: 4, Flags: session.Write | session.DenyOOM, ACL: session.CatBitmap, Handler: setbit,
		Group: session.GroupBitmap, Since: "2.2.0",
		Complexity: "O(1); where the string has to grow, O(N) with N its length.",
		Summary:    "Sets or clears one bit of a string, which is created or filled up with zero bytes as needed.",
		Keys:       session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("offset"), session.IntArg("value")}},
}

// bitUnit is the argument for the unit of a range.
func bitUnit() session.Arg {
	return session.OneOf("unit", session.TokenWord("byte", "BYTE", ""), session.TokenWord("bit", "BIT", "")).Opt().From("7.0.0")
}

// bitOffset parses the offset of a bit. If width is not 0, "#n" means the n-th integer of that width. On failure it has
// replied.
func bitOffset(c *session.Client, arg []byte, width int) (int64, bool) {
	scale := int64(1)
	if width > 0 && len(arg) > 0 && arg[0] == '#' {
		arg, scale = arg[1:], int64(width)
	}
	n, ok := resp.ParseInt(arg)
	n *= scale // as in Redis, an overflow wraps, possibly to a valid offset
	if !ok || n < 0 || n>>3 >= c.Core.Config.ProtoMaxBulkLen {
		c.Error(session.ErrBitOffset)
		return 0, false
	}
	return n, true
}

func getbit(c *session.Client) {
	offset, ok := bitOffset(c, c.Args[2], 0)
	if !ok {
		return
	}
	r := c.Read(c.Args[1])
	if !c.Typed(r, record.String) {
		return
	}
	if r != nil {
		var buf session.IntText
		s := r.String(buf[:])
		if at := int(offset >> 3); at < len(s) && s[at]&(0x80>>(offset&7)) != 0 {
			c.W.Int(1)
			return
		}
	}
	c.W.Int(0)
}

func setbit(c *session.Client) {
	key := c.Args[1]
	offset, ok := bitOffset(c, c.Args[2], 0)
	if !ok {
		return
	}
	bit, ok := resp.ParseInt(c.Args[3])
	if !ok || bit&^1 != 0 {
		c.Error(session.ErrBit)
		return
	}
	r := c.Write(key)
	if !c.Typed(r, record.String) {
		return
	}
	at, shift := int(offset>>3), 7-uint(offset&7)
	size := 0
	if r != nil {
		size = r.StringLen()
		if at < size && r.Encoding() == record.Raw && int64(r.String(nil)[at]>>shift&1) == bit {
			c.W.Int(bit)
			return
		}
	}
	// Even if the bit has the value already: as in Redis, the string is raw afterwards.
	b := c.DB.Edit(key, r, max(size, at+1), 0)
	old := int64(b[at] >> shift & 1)
	if old != bit || at >= size {
		b[at] = b[at]&^(1<<shift) | byte(bit)<<shift
		c.Changed(key, 1, config.NotifyString, "setbit")
	}
	c.W.Int(old)
}

// bitRange is bits from first to last, both included; empty when last is less.
type bitRange struct{ first, last int64 }

// bitRangeOf turns a range in bytes or bits of a string of n bytes, negative indexes counting from its end, into bits.
func bitRangeOf(start, end, n int64, inBits bool) bitRange {
	if inBits {
		n <<= 3
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		return bitRange{0, -1}
	}
	if inBits {
		return bitRange{start, end}
	}
	return bitRange{start << 3, end<<3 | 7}
}

// unitArg parses argument i, BYTE or BIT. On failure it has replied.
func unitArg(c *session.Client, i int) (inBits, ok bool) {
	switch {
	case c.Is(i, "bit"):
		return true, true
	case c.Is(i, "byte"):
		return false, true
	}
	c.Error(session.ErrSyntax)
	return false, false
}

func bitcount(c *session.Client) {
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Int(0)
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	var buf session.IntText
	s := r.String(buf[:])
	in := bitRange{0, int64(len(s))<<3 - 1}
	switch len(c.Args) {
	case 2:
	case 4, 5:
		start, ok := c.Int64Arg(2)
		if !ok {
			return
		}
		end, ok := c.Int64Arg(3)
		if !ok {
			return
		}
		if start < 0 && end < 0 && start > end {
			c.W.Int(0) // even if clamping would make them equal, and before the unit is checked
			return
		}
		inBits := false
		if len(c.Args) == 5 {
			if inBits, ok = unitArg(c, 4); !ok {
				return
			}
		}
		in = bitRangeOf(start, end, int64(len(s)), inBits)
	default:
		c.Error(session.ErrSyntax)
		return
	}
	c.W.Int(int64(countBits(s, in)))
}

func bitpos(c *session.Client) {
	bit, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	if bit&^1 != 0 {
		c.Error(session.ErrBitArg)
		return
	}
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Int(-bit) // zero bits without end
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	var buf session.IntText
	s := r.String(buf[:])
	n := int64(len(s))
	in := bitRange{0, n<<3 - 1}
	if len(c.Args) > 6 {
		c.Error(session.ErrSyntax)
		return
	}
	if len(c.Args) > 3 {
		start, ok := c.Int64Arg(3)
		if !ok {
			return
		}
		inBits, end := false, n-1
		if len(c.Args) == 6 {
			if inBits, ok = unitArg(c, 5); !ok {
				return
			}
		}
		if len(c.Args) > 4 {
			if end, ok = c.Int64Arg(4); !ok {
				return
			}
		}
		in = bitRangeOf(start, end, n, inBits)
	}
	pos := int64(findBit(s, byte(bit), in))
	if pos < 0 && bit == 0 && len(c.Args) < 5 && in.first <= in.last {
		pos = n << 3 // without an end argument, zero bits follow the string
	}
	c.W.Int(pos)
}

// countBits counts the bits set in a part of b.
func countBits(b []byte, in bitRange) int {
	if in.first > in.last {
		return 0
	}
	first, last := int(in.first>>3), int(in.last>>3)
	return popCount(b[first:last+1]) -
		bits.OnesCount8(b[first]&^(0xff>>(in.first&7))) -
		bits.OnesCount8(b[last]&(0x7f>>(in.last&7)))
}

// popCount counts the bits set in b.
func popCount(b []byte) int {
	n := 0
	for len(b) >= 64 {
		w := (*[64]byte)(b)
		n += bits.OnesCount64(binary.LittleEndian.Uint64(w[0:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[16:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[24:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[32:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[40:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[48:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(w[56:]))
		b = b[64:]
	}
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// findBit returns the offset of the first bit equal to bit in a part of b, -1 if there is none.
func findBit(b []byte, bit byte, in bitRange) int {
	if in.first > in.last {
		return -1
	}
	flip := bit - 1 // turns the wanted bit into 1
	first, last := int(in.first>>3), int(in.last>>3)
	x := (b[first] ^ flip) & (0xff >> (in.first & 7))
	at := first
	if x == 0 && first < last {
		if at = skipBytes(b[:last], first+1, flip); at < last {
			return at<<3 + bits.LeadingZeros8(b[at]^flip)
		}
		x = b[at] ^ flip
	}
	if at == last {
		x &^= 0x7f >> (in.last & 7)
	}
	if x == 0 {
		return -1
	}
	return at<<3 + bits.LeadingZeros8(x)
}

// skipBytes returns the index, from i on, of the first byte that is not skip; len(b) if there is none.
func skipBytes(b []byte, i int, skip byte) int {
	words := uint64(skip) * 0x0101010101010101
	for ; i+32 <= len(b); i += 32 {
		w := (*[32]byte)(b[i:])
		if (binary.LittleEndian.Uint64(w[0:])^words)|(binary.LittleEndian.Uint64(w[8:])^words)|
			(binary.LittleEndian.Uint64(w[16:])^words)|(binary.LittleEndian.Uint64(w[24:])^words) != 0 {
			break
		}
	}
	for ; i < len(b) && b[i] == skip; i++ {
	}
	return i
}

// bitOp is an operation of BITOP. X is the first source, Y are the others.
type bitOp uint8

const (
	bitAnd bitOp = iota
	bitOr
	bitXor
	bitNot
	bitDiff  // in X and in no Y
	bitDiff1 // in a Y and not in X
	bitAndOr // in X and in a Y
	bitOne   // in exactly one source
)

// bitOpNames has the words for the operations, in lower case, and their names in error texts.
var bitOpNames = [...]struct{ word, name string }{{"and", "AND"}, {"or", "OR"}, {"xor", "XOR"}, {"not", "NOT"},
	{"diff", "DIFF"}, {"diff1", "DIFF1"}, {"andor", "ANDOR"}, {"one", "ONE"}}

func bitop(c *session.Client) {
	op := bitOp(0)
	for ; ; op++ {
		if int(op) == len(bitOpNames) {
			c.Error(session.ErrSyntax)
			return
		}
		if c.Is(1, bitOpNames[op].word) {
			break
		}
	}
	switch op {
	case bitNot:
		if len(c.Args) != 4 {
			c.Error(session.ErrBitOpNot)
			return
		}
	case bitDiff, bitDiff1, bitAndOr:
		if len(c.Args) < 5 {
			c.Error(session.ErrBitOpTwo(bitOpNames[op].name))
			return
		}
	}
	var some [8][]byte
	sources, n := some[:0], 0
	for _, key := range c.Args[3:] {
		var s []byte
		if r := c.Read(key); r != nil {
			if !c.Typed(r, record.String) {
				return
			}
			if r.Encoding() == record.Int {
				s = r.AppendTo(nil)
			} else {
				s = r.String(nil)
			}
		}
		sources = append(sources, s)
		n = max(n, len(s))
	}
	dest := c.Args[2]
	if n == 0 {
		c.DeleteKey(dest)
		c.W.Int(0)
		return
	}
	old := c.Write(dest)
	// The buffer of a long string is reused unless it is much larger than the result.
	if old != nil && old.Type() == record.String && !old.Inline() && n > record.MaxInline && old.StringLen() < 2*n {
		combine(op, c.DB.Edit(dest, old, n, n), sources)
		if old.Expiry() != record.NoExpiry {
			c.DB.SetExpiry(c.DB.Peek(dest), record.NoExpiry)
		}
	} else {
		// The result replaces the key and its deadline; only the access frequency stays, as with SET.
		clock := c.DB.NewClock()
		if old != nil && c.Core.Keyspace.LFU != nil {
			clock = old.Clock()
		}
		var buf [record.MaxInline]byte
		if n <= len(buf) {
			combine(op, buf[:n], sources)
			c.DB.Set(record.NewRaw(dest, buf[:n], record.NoExpiry, clock, 0))
		} else {
			b := make([]byte, n)
			combine(op, b, sources)
			c.DB.Set(record.NewOwned(dest, b, record.NoExpiry, clock, c.DB.Stamp()))
		}
	}
	c.Changed(dest, 1, config.NotifyString, "set")
	c.W.Int(int64(n))
}

// combineBlock is the number of bytes that are combined over all sources before the next are begun.
const combineBlock = 4096

// combine writes the result of an operation to dst, which is as long as the longest source. dst may be the same memory as a
// source, since all sources of a block are read before the block is written.
func combine(op bitOp, dst []byte, sources [][]byte) {
	if len(dst) <= record.MaxInline {
		var block, twice [record.MaxInline]byte // not to clear more than is needed
		combineBlocks(op, dst, sources, block[:], twice[:])
		return
	}
	var block, twice [combineBlock]byte
	combineBlocks(op, dst, sources, block[:], twice[:])
}

// combineBlocks is combine with blocks of the length of block and twice, its scratch buffers.
func combineBlocks(op bitOp, dst []byte, sources [][]byte, block, twice []byte) {
	for from := 0; from < len(dst); from += len(block) {
		d := block[:min(len(block), len(dst)-from)]
		// part returns the part of a source in this block.
		part := func(i int) []byte {
			s := sources[i]
			return s[min(from, len(s)):min(from+len(d), len(s))]
		}
		first := 0
		if op == bitDiff1 || op == bitAndOr {
			first = 1 // X comes last
		}
		clear(d[copy(d, part(first)):])
		switch op {
		case bitAnd:
			for i := 1; i < len(sources); i++ {
				s := part(i)
				andBytes(d, s)
				clear(d[len(s):])
			}
		case bitOr:
			for i := 1; i < len(sources); i++ {
				orBytes(d, part(i))
			}
		case bitXor:
			for i := 1; i < len(sources); i++ {
				subtle.XORBytes(d, d, part(i))
			}
		case bitNot:
			notBytes(d)
		case bitDiff:
			for i := 1; i < len(sources); i++ {
				andNotBytes(d, part(i))
			}
		case bitDiff1:
			for i := 2; i < len(sources); i++ {
				orBytes(d, part(i))
			}
			andNotBytes(d, part(0))
		case bitAndOr:
			for i := 2; i < len(sources); i++ {
				orBytes(d, part(i))
			}
			s := part(0)
			andBytes(d, s)
			clear(d[len(s):])
		case bitOne:
			t := twice[:len(d)]
			clear(t)
			for i := 1; i < len(sources); i++ {
				oneBytes(d, t, part(i))
			}
			andNotBytes(d, t)
		}
		copy(dst[from:], d)
	}
}

func loadWord(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func storeWord(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// andBytes sets dst to dst AND src, for the length of src.
func andBytes(dst, src []byte) {
	for ; len(src) >= 32; dst, src = dst[32:], src[32:] {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		storeWord(d[0:], loadWord(d[0:])&loadWord(s[0:]))
		storeWord(d[8:], loadWord(d[8:])&loadWord(s[8:]))
		storeWord(d[16:], loadWord(d[16:])&loadWord(s[16:]))
		storeWord(d[24:], loadWord(d[24:])&loadWord(s[24:]))
	}
	for i, x := range src {
		dst[i] &= x
	}
}

// andNotBytes sets dst to dst AND NOT src, for the length of src.
func andNotBytes(dst, src []byte) {
	for ; len(src) >= 32; dst, src = dst[32:], src[32:] {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		storeWord(d[0:], loadWord(d[0:])&^loadWord(s[0:]))
		storeWord(d[8:], loadWord(d[8:])&^loadWord(s[8:]))
		storeWord(d[16:], loadWord(d[16:])&^loadWord(s[16:]))
		storeWord(d[24:], loadWord(d[24:])&^loadWord(s[24:]))
	}
	for i, x := range src {
		dst[i] &^= x
	}
}

// orBytes sets dst to dst OR src, for the length of src.
func orBytes(dst, src []byte) {
	for ; len(src) >= 32; dst, src = dst[32:], src[32:] {
		d, s := (*[32]byte)(dst), (*[32]byte)(src)
		storeWord(d[0:], loadWord(d[0:])|loadWord(s[0:]))
		storeWord(d[8:], loadWord(d[8:])|loadWord(s[8:]))
		storeWord(d[16:], loadWord(d[16:])|loadWord(s[16:]))
		storeWord(d[24:], loadWord(d[24:])|loadWord(s[24:]))
	}
	for i, x := range src {
		dst[i] |= x
	}
}

// notBytes inverts b.
func notBytes(b []byte) {
	for ; len(b) >= 32; b = b[32:] {
		d := (*[32]byte)(b)
		storeWord(d[0:], ^loadWord(d[0:]))
		storeWord(d[8:], ^loadWord(d[8:]))
		storeWord(d[16:], ^loadWord(d[16:]))
		storeWord(d[24:], ^loadWord(d[24:]))
	}
	for i := range b {
		b[i] = ^b[i]
	}
}

// oneBytes adds src to the bits that were set in at least one source (once) and in at least two (twice).
func oneBytes(once, twice, src []byte) {
	for ; len(src) >= 16; once, twice, src = once[16:], twice[16:], src[16:] {
		o, t, s := (*[16]byte)(once), (*[16]byte)(twice), (*[16]byte)(src)
		storeWord(t[0:], loadWord(t[0:])|loadWord(o[0:])&loadWord(s[0:]))
		storeWord(t[8:], loadWord(t[8:])|loadWord(o[8:])&loadWord(s[8:]))
		storeWord(o[0:], loadWord(o[0:])|loadWord(s[0:]))
		storeWord(o[8:], loadWord(o[8:])|loadWord(s[8:]))
	}
	for i, x := range src {
		twice[i] |= once[i] & x
		once[i] |= x
	}
}
