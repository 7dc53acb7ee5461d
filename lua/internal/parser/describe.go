package parser

import (
	"slices"

	lua "github.com/yuin/gopher-lua"
)

// describe restores the line numbers of proto's instructions, stores the names of operands in DbgCalls, and counts the
// registers again: the compiler does not count those that a loop over an iterator sets.
func (p *parser) describe(proto *lua.FunctionProto) {
	proto.DbgCalls = proto.DbgCalls[:0]
	proto.DbgLocals = nil
	proto.LineDefined &= lineMask
	proto.LastLineDefined &= lineMask
	top := int(proto.NumParameters) + 2
	use := func(r int) {
		if r >= top {
			top = r + 1
		}
	}
	operand := func(r int) {
		if r < 256 {
			use(r)
		}
	}
	var constants map[lua.LValue]int
	var blocks [256]int
	for pc := 0; pc < len(proto.Code); pc++ {
		i := proto.Code[pc]
		line := proto.DbgSourcePositions[pc]
		if line&constantMark != 0 {
			n := line &^ constantMark >> infoShift
			if int(i>>26) == lua.OP_LOADBOOL && n < len(p.values) {
				if constants == nil {
					constants = make(map[lua.LValue]int)
				}
				v := p.values[n]
				at, ok := constants[v]
				if !ok {
					at = len(proto.Constants)
					constants[v] = at
					proto.Constants = append(proto.Constants, v)
				}
				i = uint32(lua.OP_LOADK)<<26 | i&(0xff<<18) | uint32(at)
				proto.Code[pc] = i
			}
			line &= lineMask
		}
		if n := line >> infoShift; n > 0 && n < len(p.info) {
			proto.DbgCalls = append(proto.DbgCalls, lua.DbgCall{Pc: pc, Name: p.info[n]})
		}
		proto.DbgSourcePositions[pc] = line & lineMask
		a, b, c := int(i>>18)&0xff, int(i&0x1ff), int(i>>9)&0x1ff
		switch int(i >> 26) {
		case lua.OP_JMP, lua.OP_NOP, lua.OP_CLOSE:
		case lua.OP_NEWTABLE:
			use(a)
			blocks[a] = 0
		case lua.OP_LOADK, lua.OP_GETGLOBAL, lua.OP_SETGLOBAL, lua.OP_CLOSURE, lua.OP_LOADBOOL, lua.OP_TEST,
			lua.OP_GETUPVAL, lua.OP_SETUPVAL:
			use(a)
		case lua.OP_CALL, lua.OP_TAILCALL:
			use(a + max(b-1, 0))
			use(a + max(c-2, 0))
		case lua.OP_RETURN, lua.OP_VARARG:
			use(a + max(b-1, 0))
		case lua.OP_SETLIST:
			use(a + b)
			// The compiler counts wrong behind the 511th block of a list, and for a block that has only an open list.
			blocks[a]++
			switch {
			case c == 0:
				pc++
				proto.Code[pc] = uint32(blocks[a])
				proto.DbgSourcePositions[pc] &= lineMask
			case blocks[a] <= 511:
				proto.Code[pc] = i&^(0x1ff<<9) | uint32(blocks[a])<<9
			default:
				p.fail("constructor too long", noToken)
			}
		case lua.OP_SELF:
			use(a + 1)
			operand(b)
			operand(c)
		case lua.OP_FORPREP, lua.OP_FORLOOP:
			use(a + 3)
		case lua.OP_TFORLOOP:
			use(a + 3 + max(c, 3))
		case lua.OP_EQ, lua.OP_LT, lua.OP_LE:
			operand(b)
			operand(c)
		case lua.OP_MOVEN:
			use(a)
			operand(b)
		default:
			use(a)
			operand(b)
			operand(c)
		}
	}
	if top > 250 {
		p.fail("function or expression too complex", noToken)
	}
	proto.NumUsedRegisters = uint8(top)
	// The compiler allocates room for 1,024 instructions, and for 128 elements of other lists: 16 KB for a function of one
	// line.
	proto.Code = slices.Clone(proto.Code)
	proto.Constants = slices.Clone(proto.Constants)
	proto.FunctionPrototypes = slices.Clone(proto.FunctionPrototypes)
	proto.DbgSourcePositions = slices.Clone(proto.DbgSourcePositions)
	proto.DbgCalls = slices.Clone(proto.DbgCalls)
	proto.DbgUpvalues = slices.Clone(proto.DbgUpvalues)
	for _, sub := range proto.FunctionPrototypes {
		p.describe(sub)
	}
}
