package commands

import (
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
)

// List commands that wait for an element; blocking.go is how.

const (
	doubleTimeout   = "The argument `timeout` may have decimals."
	blockingPopCost = "O(N) with N the number of keys."
)

var blockingListCommands = []Command{
	{Name: "blmove", Arity: 6, Flags: Write | DenyOOM | Blocking, ACL: CatList, Handler: blmove,
		Group: GroupList, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Moves an element from one end of a list to one end of another or the same, waiting for one if there is none.",
		Keys:    moveKeys,
		Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1},
			listEnd("wherefrom"), listEnd("whereto"), {Name: "timeout", Type: ArgDouble}}},
	{Name: "blmpop", Arity: -5, Flags: Write | Blocking | MovableKeys, ACL: CatList, Handler: blmpop,
		Group: GroupList, Since: "7.0.0",
		Complexity: "O(N + M) with N the number of keys and M the number of elements returned.",
		Summary:    "Removes and returns elements at one end of the first list that exists, waiting for one if there is none.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Index: 2,
			KeyNum: 0, FirstKey: 1, NumStep: 1}},
		Args: []Arg{{Name: "timeout", Type: ArgDouble}, anInt("numkeys"), aKey("key").multiple(), listEnd("where"),
			aTokenArg("count", ArgInteger, "COUNT", "").optional()}},
	{Name: "blpop", Arity: -3, Flags: Write | Blocking, ACL: CatList, Handler: blpop,
		Group: GroupList, Since: "2.0.0", Complexity: blockingPopCost,
		Summary: "Removes and returns the first element of the first list that exists, waiting for one if there is none.",
		History: []Change{{"6.0.0", doubleTimeout}},
		Keys:    keyRange(KeyRW|KeyAccess|KeyDelete, -2, 1),
		Args:    []Arg{aKey("key").multiple(), {Name: "timeout", Type: ArgDouble}}},
	{Name: "brpop", Arity: -3, Flags: Write | Blocking, ACL: CatList, Handler: brpop,
		Group: GroupList, Since: "2.0.0", Complexity: blockingPopCost,
		Summary: "Removes and returns the last element of the first list that exists, waiting for one if there is none.",
		History: []Change{{"6.0.0", doubleTimeout}},
		Keys:    keyRange(KeyRW|KeyAccess|KeyDelete, -2, 1),
		Args:    []Arg{aKey("key").multiple(), {Name: "timeout", Type: ArgDouble}}},
	{Name: "brpoplpush", Arity: 4, Flags: Write | DenyOOM | Blocking, ACL: CatList, Handler: brpoplpush,
		Group: GroupList, Since: "2.2.0", Complexity: "O(1)",
		Summary:    "Moves the last element of a list to the front of another or the same, waiting for one if there is none.",
		History:    []Change{{"6.0.0", doubleTimeout}},
		Deprecated: "6.2.0", ReplacedBy: "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
		Keys: moveKeys,
		Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1}, {Name: "timeout", Type: ArgDouble}}},
}

func blpop(c *Client) { c.blockingPop(true) }
func brpop(c *Client) { c.blockingPop(false) }

// blockingPop removes one element at an end of the first list that exists.
func (c *Client) blockingPop(front bool) {
	last := len(c.args) - 1
	deadline, ok := c.timeoutArg(last)
	if !ok {
		return
	}
	keys := c.args[1:last]
	for _, key := range keys {
		r, ok := c.writeTyped(key, record.List)
		if !ok {
			return
		}
		if r == nil {
			continue
		}
		r, l := c.ownList(r, key)
		before := l.Size()
		c.w.Array(2)
		c.w.Bulk(key)
		c.bulkValue(l.Peek(front))
		l.Drop(front)
		c.elementsRemoved(r, l, before, 1, popEvent(front))
		if c.propagates() {
			c.rewrite(popWord(front), key)
		}
		return
	}
	c.blockOrNull(record.List, keys, deadline)
}

func blmove(c *Client) {
	from, ok := c.endArg(3)
	if !ok {
		return
	}
	to, ok := c.endArg(4)
	if !ok {
		return
	}
	c.blockingMove(from, to, 5)
}

func brpoplpush(c *Client) { c.blockingMove(false, true, 3) }

var (
	wordLMove     = []byte("LMOVE")
	wordRPopLPush = []byte("RPOPLPUSH")
)

// blockingMove is move that waits until the source exists. timeout is the place of that argument.
func (c *Client) blockingMove(from, to bool, timeout int) {
	deadline, ok := c.timeoutArg(timeout)
	if !ok {
		return
	}
	r, ok := c.writeTyped(c.args[1], record.List)
	switch {
	case !ok:
	case r == nil && !c.mayBlock():
		c.w.Null()
	case r == nil:
		c.block(record.List, c.args[1:2], deadline)
	case !c.move(from, to) || !c.propagates():
	case timeout == 5:
		c.rewrite(wordLMove, c.args[1], c.args[2], c.args[3], c.args[4])
	default:
		c.rewrite(wordRPopLPush, c.args[1], c.args[2])
	}
}

func blmpop(c *Client) {
	keys, front, count, ok := c.popArgs(2)
	if !ok {
		return
	}
	if deadline, ok := c.timeoutArg(1); ok && !c.popFirst(keys, front, count) {
		c.blockOrNull(record.List, keys, deadline)
	}
}

// popFirst removes elements of the first of several lists that exists. false means that there is none; else it has
// replied.
func (c *Client) popFirst(keys [][]byte, front bool, count int64) bool {
	for _, key := range keys {
		r, ok := c.writeTyped(key, record.List)
		if !ok {
			return true
		}
		if r == nil {
			continue
		}
		var l *list.List
		r, l = c.ownList(r, key)
		c.w.Array(2)
		c.w.Bulk(key)
		n := c.popMany(r, l, key, count, front)
		if c.propagates() {
			c.rewrite(popWord(front), key, decimal(int64(n)))
		}
		return true
	}
	return false
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
