package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/record"
)

// List commands that concern several keys: what moves an element from one list to another, and what pops from the first
// list that there is.

var lmoveRow = Command{Name: "lmove", Arity: 5, Flags: Write | DenyOOM, ACL: CatList, Handler: lmove,
	Group: GroupList, Since: "6.2.0", Complexity: "O(1)",
	Summary: "Moves an element from one end of a list to one end of another or the same, and returns it.",
	Keys:    moveKeys,
	Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1},
		listEnd("wherefrom"), listEnd("whereto")}}

var rpoplpushRow = Command{Name: "rpoplpush", Arity: 3, Flags: Write | DenyOOM, ACL: CatList, Handler: rpoplpush,
	Group: GroupList, Since: "1.2.0", Complexity: "O(1)",
	Summary:    "Moves the last element of a list to the front of another or the same, and returns it.",
	Deprecated: "6.2.0", ReplacedBy: "`LMOVE` with the `RIGHT` and `LEFT` arguments",
	Keys: moveKeys,
	Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1}}}

var lmpopRow = Command{Name: "lmpop", Arity: -4, Flags: Write | MovableKeys, ACL: CatList, Handler: lmpop,
	Group: GroupList, Since: "7.0.0",
	Complexity: "O(N + M) with N the number of keys and M the number of elements returned.",
	Summary:    "Removes and returns elements at one end of the first list that exists, and the list with its last one.",
	Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1,
		KeyNum: 0, FirstKey: 1, NumStep: 1}},
	Args: []Arg{anInt("numkeys"), aKey("key").multiple(), listEnd("where"),
		aTokenArg("count", ArgInteger, "COUNT", "").optional()}}

var moveKeys = []KeySpec{
	{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1, Step: 1},
	{Flags: KeyRW | KeyInsert, Index: 2, Step: 1},
}

// listEnd is the choice of an end.
func listEnd(name string) Arg {
	return aChoice(name, aToken("left", "LEFT", ""), aToken("right", "RIGHT", ""))
}

// endArg parses argument i as an end of a list. On failure it has replied.
func (c *Client) endArg(i int) (front, ok bool) {
	switch {
	case c.is(i, "left"):
		return true, true
	case c.is(i, "right"):
		return false, true
	}
	c.error(errSyntax)
	return false, false
}

func lmove(c *Client) {
	from, ok := c.endArg(3)
	if !ok {
		return
	}
	to, ok := c.endArg(4)
	if !ok {
		return
	}
	c.move(from, to)
}

func rpoplpush(c *Client) { c.move(false, true) }

// move takes an element from one end of the list that argument 1 names and puts it at one end of that of argument 2,
// which may be the same. It reports whether it did; else it has replied that there is none, or with an error.
func (c *Client) move(from, to bool) bool {
	source, destination := c.args[1], c.args[2]
	src, ok := c.writeTyped(source, record.List)
	if !ok {
		return false
	}
	if src == nil {
		c.w.Null()
		return false
	}
	dst, ok := c.writeTyped(destination, record.List)
	if !ok {
		return false
	}
	same := src == dst
	src, l := c.ownList(src, source)
	into := l
	if !same {
		_, into = c.ownList(dst, destination)
	}

	// The reply keeps the element while the list that it comes from changes.
	v := l.Peek(from)
	var buf intText
	c.bulkValue(v)
	text := bytesOf(v, &buf)
	if v.Str != nil {
		end := len(c.w.Buf) - len("\r\n")
		text = c.w.Buf[end-len(v.Str) : end]
	}
	length := len(text)
	if v.Str == nil && l.Quicklist() != nil {
		length = 0 // Redis does not count an integer from a quicklist, which it has as a number
	}

	before := l.Size()
	l.Drop(from)
	if same {
		l.Grow(length, 1, c.listRules())
		l.Push(text, to)
	} else {
		size := into.Size()
		into.Grow(length, 1, c.listRules())
		into.Push(text, to)
		c.db.AddBytes(into.Size() - size)
	}
	c.touchedIn(c.db, destination)
	c.notify(config.NotifyList, pushEvent(to), destination)
	c.elementsRemoved(src, l, before, 1, popEvent(from))
	return true
}

const (
	errNumKeys  = "ERR numkeys should be greater than 0"
	errPopCount = "ERR count should be greater than 0"
)

func lmpop(c *Client) {
	if keys, front, count, ok := c.popArgs(1); ok && !c.popFirst(keys, front, count) {
		c.w.NullArray()
	}
}

// popArgs parses the arguments of LMPOP and BLMPOP from number first on. On failure it has replied.
func (c *Client) popArgs(first int) (keys [][]byte, front bool, count int64, ok bool) {
	numKeys, ok := c.atLeast(first, 1, errNumKeys)
	if !ok {
		return
	}
	if numKeys >= int64(len(c.args)-first-1) {
		c.error(errSyntax)
		return nil, false, 0, false
	}
	where := first + 1 + int(numKeys)
	if front, ok = c.endArg(where); !ok {
		return
	}
	count = 1
	switch rest := c.args[where+1:]; {
	case len(rest) == 0:
	case len(rest) >= 2 && c.is(where+1, "count"):
		if count, ok = c.atLeast(where+2, 1, errPopCount); !ok {
			return
		}
		if len(rest) > 2 {
			c.error(errSyntax)
			return nil, false, 0, false
		}
	default:
		c.error(errSyntax)
		return nil, false, 0, false
	}
	return c.args[first+1 : where], front, count, true
}
