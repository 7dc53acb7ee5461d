package commands

import "ferrous/datatypes/record"

// Sorted-set commands that wait for a member; blocking.go is how.

const blockingZPopCost = "O(log N) with N the number of members of the sorted set."

var blockingZSetCommands = []Command{
	{Name: "bzmpop", Arity: -5, Flags: Write | Blocking | MovableKeys, ACL: CatSortedSet, Handler: bzmpop,
		Group: GroupSortedSet, Since: "7.0.0",
		Complexity: "O(K + M*log N) with K the number of keys, M the number of members returned and N that of the sorted set.",
		Summary:    "Removes and returns members with the lowest or highest scores of the first sorted set that exists, waiting for one if there is none.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Index: 2,
			KeyNum: 0, FirstKey: 1, NumStep: 1}},
		Args: []Arg{{Name: "timeout", Type: ArgDouble}, anInt("numkeys"), aKey("key").multiple(),
			zsetEnd,
			aTokenArg("count", ArgInteger, "COUNT", "").optional()}},
	{Name: "bzpopmax", Arity: -3, Flags: Write | Fast | Blocking, ACL: CatSortedSet, Handler: bzpopmax,
		Group: GroupSortedSet, Since: "5.0.0", Complexity: blockingZPopCost,
		Summary: "Removes and returns the member with the highest score of the first sorted set that exists, waiting for one if there is none.",
		History: []Change{{"6.0.0", doubleTimeout}},
		Keys:    keyRange(KeyRW|KeyAccess|KeyDelete, -2, 1),
		Args:    []Arg{aKey("key").multiple(), {Name: "timeout", Type: ArgDouble}}},
	{Name: "bzpopmin", Arity: -3, Flags: Write | Fast | Blocking, ACL: CatSortedSet, Handler: bzpopmin,
		Group: GroupSortedSet, Since: "5.0.0", Complexity: blockingZPopCost,
		Summary: "Removes and returns the member with the lowest score of the first sorted set that exists, waiting for one if there is none.",
		History: []Change{{"6.0.0", doubleTimeout}},
		Keys:    keyRange(KeyRW|KeyAccess|KeyDelete, -2, 1),
		Args:    []Arg{aKey("key").multiple(), {Name: "timeout", Type: ArgDouble}}},
}

func bzpopmin(c *Client) { c.blockingZPop(false) }
func bzpopmax(c *Client) { c.blockingZPop(true) }

// blockingZPop removes one member at an end of the first sorted set that exists.
func (c *Client) blockingZPop(max bool) {
	last := len(c.args) - 1
	deadline, ok := c.timeoutArg(last)
	if !ok {
		return
	}
	keys := c.args[1:last]
	for _, key := range keys {
		r, ok := c.writeTyped(key, record.ZSet)
		if !ok {
			return
		}
		if r == nil {
			continue
		}
		c.w.Array(3)
		c.w.Bulk(key)
		c.popScored(r, 1, max, false)
		if c.propagates() {
			c.rewrite(zpopWord(max), key)
		}
		return
	}
	c.blockOrNull(record.ZSet, keys, deadline)
}

func bzmpop(c *Client) {
	keys, max, count, ok := c.zmpopArgs(2)
	if !ok {
		return
	}
	if deadline, ok := c.timeoutArg(1); ok && !c.zpopFirst(keys, max, count) {
		c.blockOrNull(record.ZSet, keys, deadline)
	}
}
