package lists

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// List commands with several keys: those that move an element from one list to another, and those that pop from the first
// list that exists.

var lmoveRow = session.Command{Name: "lmove", Arity: 5, Flags: session.Write | session.DenyOOM, ACL: session.CatList, Handler: lmove,
	Group: session.GroupList, Since: "6.2.0", Complexity: "O(1)",
	Summary: "Moves an element from one end of a list to one end of another or the same, and returns it.",
	Keys:    moveKeys,
	Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1},
		listEnd("wherefrom"), listEnd("whereto")}}

var rpoplpushRow = session.Command{Name: "rpoplpush", Arity: 3, Flags: session.Write | session.DenyOOM, ACL: session.CatList, Handler: rpoplpush,
	Group: session.GroupList, Since: "1.2.0", Complexity: "O(1)",
	Summary:    "Moves the last element of a list to the front of another or the same, and returns it.",
	Deprecated: "6.2.0", ReplacedBy: "`LMOVE` with the `RIGHT` and `LEFT` arguments",
	Keys: moveKeys,
	Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1}}}

var lmpopRow = session.Command{Name: "lmpop", Arity: -4, Flags: session.Write | session.MovableKeys, ACL: session.CatList, Handler: lmpop,
	Group: session.GroupList, Since: "7.0.0",
	Complexity: "O(N + M) with N the number of keys and M the number of elements returned.",
	Summary:    "Removes and returns elements at one end of the first list that exists, and the list with its last one.",
	Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1,
		KeyNum: 0, FirstKey: 1, NumStep: 1}},
	Args: []session.Arg{session.IntArg("numkeys"), session.KeyArg("key").Many(), listEnd("where"),
		session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}}

var moveKeys = []session.KeySpec{
	{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1, Step: 1},
	{Flags: session.KeyRW | session.KeyInsert, Index: 2, Step: 1},
}

// listEnd is the argument for an end of a list.
func listEnd(name string) session.Arg {
	return session.OneOf(name, session.TokenWord("left", "LEFT", ""), session.TokenWord("right", "RIGHT", ""))
}

// endArg parses argument i as an end of a list. On failure it has replied.
func endArg(c *session.Client, i int) (front, ok bool) {
	switch {
	case c.Is(i, "left"):
		return true, true
	case c.Is(i, "right"):
		return false, true
	}
	c.Error(session.ErrSyntax)
	return false, false
}

func lmove(c *session.Client) {
	from, ok := endArg(c, 3)
	if !ok {
		return
	}
	to, ok := endArg(c, 4)
	if !ok {
		return
	}
	moveElement(c, from, to)
}

func rpoplpush(c *session.Client) { moveElement(c, false, true) }

// moveElement moves an element from one end of the list at key argument 1 to one end of the list at argument 2, which may be
// the same. It reports whether it did; otherwise it has replied with null or an error.
func moveElement(c *session.Client, from, to bool) bool {
	source, destination := c.Args[1], c.Args[2]
	src, ok := c.WriteTyped(source, record.List)
	if !ok {
		return false
	}
	if src == nil {
		c.W.Null()
		return false
	}
	dst, ok := c.WriteTyped(destination, record.List)
	if !ok {
		return false
	}
	same := src == dst
	edit := editList(c, src, source)
	l := edit.Value
	var into listEdit
	if !same {
		into = editList(c, dst, destination)
	}

	// The reply is written first, and text points to the element in the reply buffer, since the source list changes.
	v := l.Peek(from)
	var buf session.IntText
	c.BulkValue(v)
	text := session.BytesOf(v, &buf)
	if v.Str != nil {
		end := len(c.W.Buf) - len("\r\n")
		text = c.W.Buf[end-len(v.Str) : end]
	}
	length := len(text)
	if v.Str == nil && l.Quicklist() != nil {
		length = 0 // Redis does not count an integer of a quicklist, which it handles as a number
	}

	l.Drop(from)
	if same {
		l.Grow(length, 1, c.ListRules())
		l.Push(text, to)
	} else {
		into.Value.Grow(length, 1, c.ListRules())
		into.Value.Push(text, to)
		into.Done()
	}
	c.TouchedIn(c.DB, destination)
	c.Notify(config.NotifyList, pushEvent(to), destination)
	edit.removed(c, 1, popEvent(from))
	return true
}

func lmpop(c *session.Client) {
	c.MultiPop(record.List, "left", "right", func(p session.MultiPop, key []byte, r *record.Record) { popSome(c, p, key, r) })
}
