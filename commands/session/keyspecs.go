package session

import (
	"math"

	"ferrous/eventloop/resp"
)

// Finding the keys among a command's arguments. COMMAND GETKEYS replies with the keys that are found here. Code that needs the
// keys before a command runs (ACL, cluster slots, tracking) calls the same function, so that the checked keys are the used
// keys.
//
// A row has key specs, which any client can follow too, and for what they cannot express a function of its own
// (GetKeys). The specs decide unless one of them is incomplete, does not fit the arguments, or leaves open what is done
// with the key (KeyVariable); then the function does. Such a function reads the options as the handler does, by code that
// both share (sortOptions, geoForm.option, migrateOptions): an option in the place of another's argument must not hide a
// key. TestNoOptionHidesKey tries all short lists of options.

// HasKeys reports whether the command can have keys at all.
func (cmd *Command) HasKeys() bool { return cmd.GetKeys != nil || cmd.realSpec() }

// realSpec reports whether a spec finds keys, and not only what is treated like a key (shard channels).
func (cmd *Command) realSpec() bool {
	for i := range cmd.Keys {
		if cmd.Keys[i].Flags&KeyNotKey == 0 {
			return true
		}
	}
	return false
}

// FindKeys appends to dst the places of the keys among args, whose first is the command's name, and what the command does
// with each. Nothing is appended when the arguments do not fit the command; its handler will say why.
func (cmd *Command) FindKeys(dst []KeyRef, args [][]byte) []KeyRef {
	if from := len(dst); cmd.realSpec() && !cmd.VariableSpec() {
		ok := true
		for i := range cmd.Keys {
			k := &cmd.Keys[i]
			if k.Flags&KeyNotKey != 0 {
				continue
			}
			if dst, ok = k.find(dst, args); !ok {
				break
			}
		}
		if ok {
			return dst
		}
		dst = dst[:from]
	}
	if cmd.GetKeys != nil {
		if found, ok := cmd.GetKeys(args); ok {
			dst = append(dst, found...)
		}
	}
	return dst
}

// EveryKey is FindKeys for callers that must not miss a key. Keys of one spec count even if another spec does not fit (PFMERGE
// needs no source). Keys that only the command's own function finds are added (of two STORE options the last one counts). A
// key may come twice. Where a spec is incomplete (MIGRATE, whose key is no key in its form with KEYS) the function decides
// alone.
func (cmd *Command) EveryKey(dst []KeyRef, args [][]byte) []KeyRef {
	if cmd.GetKeys != nil && cmd.incompleteSpec() {
		if found, ok := cmd.GetKeys(args); ok {
			return append(dst, found...)
		}
	}
	for i := range cmd.Keys {
		if k := &cmd.Keys[i]; k.Flags&KeyNotKey == 0 && (k.Flags&KeyVariable == 0 || cmd.GetKeys == nil) {
			dst, _ = k.find(dst, args)
		}
	}
	if cmd.GetKeys != nil {
		if found, ok := cmd.GetKeys(args); ok {
			dst = append(dst, found...)
		}
	}
	return dst
}

// incompleteSpec reports whether a spec does not find all keys.
func (cmd *Command) incompleteSpec() bool {
	for i := range cmd.Keys {
		if cmd.Keys[i].Flags&KeyIncomplete != 0 {
			return true
		}
	}
	return false
}

// VariableSpec reports whether what the command does with a key depends on its arguments.
func (cmd *Command) VariableSpec() bool {
	for i := range cmd.Keys {
		if cmd.Keys[i].Flags&KeyVariable != 0 {
			return true
		}
	}
	return false
}

// find appends the keys that a spec finds. It reports false if it may have missed some.
func (k *KeySpec) find(dst []KeyRef, args [][]byte) ([]KeyRef, bool) {
	if k.Unknown {
		return dst, false
	}
	first := k.Index
	if k.Keyword != "" {
		if first = k.behindKeyword(args); first == 0 {
			return dst, true
		}
	}
	last, step := 0, k.Step
	switch {
	case step == 0:
		at := first + k.KeyNum
		if at >= len(args) {
			return dst, false
		}
		n, ok := resp.ParseInt(args[at])
		if !ok || n < 0 || n > int64(len(args)) {
			return dst, false
		}
		first += k.FirstKey
		last, step = first+int(n)-1, k.NumStep
	case k.Last >= 0:
		last = first + k.Last
	case k.Limit == 0:
		last = len(args) + k.Last
	default:
		last = first + (len(args)-first)/k.Limit + k.Last
	}
	if first >= len(args) || last >= len(args) || last < first {
		return dst, false
	}
	for i := first; i <= last; i += step {
		dst = append(dst, KeyRef{Pos: i, Flags: k.Flags})
	}
	return dst, k.Flags&KeyIncomplete == 0
}

// behindKeyword returns the place behind the spec's keyword, 0 if it does not occur. The last argument searched is the
// last but one of the direction: a keyword without anything behind it finds nothing.
func (k *KeySpec) behindKeyword(args [][]byte) int {
	if k.StartFrom > 0 {
		for i := k.StartFrom; i < len(args)-1; i++ {
			if foldedEqual(args[i], k.Keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := len(args) + k.StartFrom; i > 1; i-- {
		if i < len(args) && foldedEqual(args[i], k.Keyword) {
			return i + 1
		}
	}
	return 0
}

// foldedEqual compares with an ASCII word, in any case. A zero byte ends b as it does for the handlers (EqualFold): the
// word that a handler takes for the keyword must be the keyword here.
func foldedEqual(b []byte, word string) bool {
	if len(b) != len(word) && (len(b) < len(word) || b[len(word)] != 0) {
		return false
	}
	for i, x := range b[:len(word)] {
		y := word[i]
		if 'a' <= x && x <= 'z' {
			x -= 'a' - 'A'
		}
		if 'a' <= y && y <= 'z' {
			y -= 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// lastPlace is the place of the last key, counted from the end if negative.
func (k *KeySpec) lastPlace() int {
	if k.Last < 0 {
		return k.Last
	}
	return k.Index + k.Last
}

// fixed reports whether the keys are at places that do not depend on other arguments.
func (k *KeySpec) fixed() bool { return !k.Unknown && k.Keyword == "" && k.Step != 0 }

// follows reports whether the keys are in a row that begins behind the place before, 0 standing for anywhere.
func (k *KeySpec) follows(before int) bool {
	return k.Step == 1 && (before == 0 || before == k.Index-1)
}

// Movable reports whether LegacyRange misses keys.
func (cmd *Command) Movable() bool {
	before := 0
	for i := range cmd.Keys {
		k := &cmd.Keys[i]
		if !k.fixed() || k.Flags&KeyIncomplete != 0 {
			return true
		}
		if len(cmd.Keys) > 1 {
			if !k.follows(before) {
				return true
			}
			before = k.lastPlace()
		}
	}
	return false
}

// LegacyRange describes the command's keys the way clients did before key specs: the first and the last key's places
// and the distance between two (zeros: none). The range joins the specs that lie at fixed places one after the other;
// last is negative where it counts from the end.
func (cmd *Command) LegacyRange() (first, last, step int) {
	if len(cmd.Keys) == 1 {
		if k := &cmd.Keys[0]; k.fixed() {
			return k.Index, k.lastPlace(), k.Step
		}
		return 0, 0, 0
	}
	first = math.MaxInt
	before := 0
	for i := range cmd.Keys {
		k := &cmd.Keys[i]
		if !k.fixed() || !k.follows(before) {
			continue
		}
		first = min(first, k.Index)
		// A place counted from the end is behind all that are counted from the start.
		if l := k.lastPlace(); uint(l) > uint(last) {
			last = l
		}
		before = last
	}
	if first == math.MaxInt {
		return 0, 0, 0
	}
	return first, last, 1
}
