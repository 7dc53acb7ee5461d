package session

// Short forms for what recurs in the rows of the command tables. They build values once, when the package is
// initialised; rows are not changed afterwards.

// OneKey is the spec of commands whose only key is their first argument.
func OneKey(flags KeyFlags) []KeySpec { return KeyRange(flags, 0, 1) }

// KeyRange is one spec: the first argument and every step-th after it, up to last as KeySpec.Last has it.
func KeyRange(flags KeyFlags, last, step int) []KeySpec {
	return []KeySpec{{Flags: flags, Index: 1, Last: last, Step: step}}
}

// KeyArg is a key argument, found by the first key spec.
func KeyArg(name string) Arg { return Arg{Name: name, Type: ArgKey} }

// StringArg is a required string.
func StringArg(name string) Arg { return Arg{Name: name, Type: ArgString} }

// IntArg is a required integer.
func IntArg(name string) Arg { return Arg{Name: name, Type: ArgInteger} }

// DoubleArg is a required number.
func DoubleArg(name string) Arg { return Arg{Name: name, Type: ArgDouble} }

// TokenWord is a word that stands for itself. since may be "".
func TokenWord(name, token, since string) Arg {
	return Arg{Name: name, Type: ArgPureToken, Token: token, Since: since}
}

// TokenArg is a word followed by an argument of type t. since may be "".
func TokenArg(name string, t ArgType, token, since string) Arg {
	return Arg{Name: name, Type: t, Token: token, Since: since}
}

// OneOf is one of several arguments.
func OneOf(name string, args ...Arg) Arg { return Arg{Name: name, Type: ArgOneOf, Args: args} }

// BlockOf is a group of arguments.
func BlockOf(name string, args ...Arg) Arg { return Arg{Name: name, Type: ArgBlock, Args: args} }

// Opt returns the argument as one that may be left out.
func (a Arg) Opt() Arg { a.Optional = true; return a }

// Many returns the argument as one that may be repeated.
func (a Arg) Many() Arg { a.Multiple = true; return a }

// From returns the argument as one that came with that version.
func (a Arg) From(version string) Arg { a.Since = version; return a }

// DoubleTimeout is an entry of several histories.
const DoubleTimeout = "The argument `timeout` may have decimals."

// Hints that several rows have.
var (
	AnyOrder        = []string{"nondeterministic_output_order"}
	AllNodesSucceed = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}
)
