package lists

import (
	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// List commands that block until there is an element. The blocking itself is in blocking.go of package commands.

const (
	blockingPopCost = "O(N) with N the number of keys."
)

var blockingListCommands = []session.Command{
	{Name: "blmove", Arity: 6, Flags: session.Write | session.DenyOOM | session.Blocking, ACL: session.CatList, Handler: blmove,
		Group: session.GroupList, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Moves an element from one end of a list to one end of another or the same, waiting for one if there is none.",
		Keys:    moveKeys,
		Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1},
			listEnd("wherefrom"), listEnd("whereto"), {Name: "timeout", Type: session.ArgDouble}}},
	{Name: "blmpop", Arity: -5, Flags: session.Write | session.Blocking | session.MovableKeys, ACL: session.CatList, Handler: blmpop,
		Group: session.GroupList, Since: "7.0.0",
		Complexity: "O(N + M) with N the number of keys and M the number of elements returned.",
		Summary:    "Removes and returns elements at one end of the first list that exists, waiting for one if there is none.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 2,
			KeyNum: 0, FirstKey: 1, NumStep: 1}},
		Args: []session.Arg{{Name: "timeout", Type: session.ArgDouble}, session.IntArg("numkeys"), session.KeyArg("key").Many(), listEnd("where"),
			session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}},
	{Name: "blpop", Arity: -3, Flags: session.Write | session.Blocking, ACL: session.CatList, Handler: blpop,
		Group: session.GroupList, Since: "2.0.0", Complexity: blockingPopCost,
		Summary: "Removes and returns the first element of the first list that exists, waiting for one if there is none.",
		History: []session.Change{{"6.0.0", session.DoubleTimeout}},
		Keys:    session.KeyRange(session.KeyRW|session.KeyAccess|session.KeyDelete, -2, 1),
		Args:    []session.Arg{session.KeyArg("key").Many(), {Name: "timeout", Type: session.ArgDouble}}},
	{Name: "brpop", Arity: -3, Flags: session.Write | session.Blocking, ACL: session.CatList, Handler: brpop,
		Group: session.GroupList, Since: "2.0.0", Complexity: blockingPopCost,
		Summary: "Removes and returns the last element of the first list that exists, waiting for one if there is none.",
		History: []session.Change{{"6.0.0", session.DoubleTimeout}},
		Keys:    session.KeyRange(session.KeyRW|session.KeyAccess|session.KeyDelete, -2, 1),
		Args:    []session.Arg{session.KeyArg("key").Many(), {Name: "timeout", Type: session.ArgDouble}}},
	{Name: "brpoplpush", Arity: 4, Flags: session.Write | session.DenyOOM | session.Blocking, ACL: session.CatList, Handler: brpoplpush,
		Group: session.GroupList, Since: "2.2.0", Complexity: "O(1)",
		Summary:    "Moves the last element of a list to the front of another or the same, waiting for one if there is none.",
		History:    []session.Change{{"6.0.0", session.DoubleTimeout}},
		Deprecated: "6.2.0", ReplacedBy: "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
		Keys: moveKeys,
		Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1}, {Name: "timeout", Type: session.ArgDouble}}},
}

func blpop(c *session.Client) { blockingPop(c, true) }
func brpop(c *session.Client) { blockingPop(c, false) }

// blockingPop removes one element at an end of the first list that exists.
func blockingPop(c *session.Client, front bool) {
	c.BlockingPop(record.List, func(key []byte, r *record.Record) {
		c.W.Array(2)
		c.W.Bulk(key)
		popOne(c, r, key, front)
		if c.Propagates() {
			c.Rewrite(popWord(front), key)
		}
	})
}

func blmove(c *session.Client) {
	from, ok := endArg(c, 3)
	if !ok {
		return
	}
	to, ok := endArg(c, 4)
	if !ok {
		return
	}
	blockingMove(c, from, to, 5)
}

func brpoplpush(c *session.Client) { blockingMove(c, false, true, 3) }

var (
	wordLMove     = []byte("LMOVE")
	wordRPopLPush = []byte("RPOPLPUSH")
)

// blockingMove is moveElement, but blocks until the source exists. timeout is the index of that argument.
func blockingMove(c *session.Client, from, to bool, timeout int) {
	deadline, ok := c.TimeoutArg(timeout)
	if !ok {
		return
	}
	r, ok := c.WriteTyped(c.Args[1], record.List)
	switch {
	case !ok:
	case r == nil && !c.Host.MayBlock():
		c.W.Null()
	case r == nil:
		c.Host.Block(record.List, c.Args[1:2], deadline)
	case !moveElement(c, from, to) || !c.Propagates():
	case timeout == 5:
		c.Rewrite(wordLMove, c.Args[1], c.Args[2], c.Args[3], c.Args[4])
	default:
		c.Rewrite(wordRPopLPush, c.Args[1], c.Args[2])
	}
}

func blmpop(c *session.Client) {
	c.BlockingMultiPop(record.List, "left", "right", func(p session.MultiPop, key []byte, r *record.Record) { popSome(c, p, key, r) })
}

// popSome removes elements at an end of a list, and replies as LMPOP.
func popSome(c *session.Client, p session.MultiPop, key []byte, r *record.Record) {
	c.W.Array(2)
	c.W.Bulk(key)
	n := popMany(c, r, key, p.Count, p.First)
	if c.Propagates() {
		c.Rewrite(popWord(p.First), key, session.Decimal(int64(n)))
	}
}

var (
	wordLPop = []byte("LPOP")
	wordRPop = []byte("RPOP")
)

func popWord(front bool) []byte {
	if front {
		return wordLPop
	}
	return wordRPop
}
