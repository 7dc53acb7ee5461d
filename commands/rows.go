package commands

// Short forms for what recurs in the rows of the command tables. They build values once, when the package is
// initialised; rows are not changed afterwards.

// oneKey is the spec of commands whose only key is their first argument.
func oneKey(flags KeyFlags) []KeySpec { return keyRange(flags, 0, 1) }

// keyRange is one spec: the first argument and every step-th after it, up to last as KeySpec.Last has it.
func keyRange(flags KeyFlags, last, step int) []KeySpec {
	return []KeySpec{{Flags: flags, Index: 1, Last: last, Step: step}}
}

// aKey is a key argument, found by the first key spec.
func aKey(name string) Arg { return Arg{Name: name, Type: ArgKey} }

// aString is a required string.
func aString(name string) Arg { return Arg{Name: name, Type: ArgString} }

// anInt is a required integer.
func anInt(name string) Arg { return Arg{Name: name, Type: ArgInteger} }

// aDouble is a required number.
func aDouble(name string) Arg { return Arg{Name: name, Type: ArgDouble} }

// aToken is a word that stands for itself. since may be "".
func aToken(name, token, since string) Arg {
	return Arg{Name: name, Type: ArgPureToken, Token: token, Since: since}
}

// aTokenArg is a word followed by an argument of type t. since may be "".
func aTokenArg(name string, t ArgType, token, since string) Arg {
	return Arg{Name: name, Type: t, Token: token, Since: since}
}

// aChoice is one of several arguments.
func aChoice(name string, args ...Arg) Arg { return Arg{Name: name, Type: ArgOneOf, Args: args} }

// aBlock is a group of arguments.
func aBlock(name string, args ...Arg) Arg { return Arg{Name: name, Type: ArgBlock, Args: args} }

// optional returns the argument as one that may be left out.
func (a Arg) optional() Arg { a.Optional = true; return a }

// multiple returns the argument as one that may be repeated.
func (a Arg) multiple() Arg { a.Multiple = true; return a }

// since returns the argument as one that came with that version.
func (a Arg) since(version string) Arg { a.Since = version; return a }
