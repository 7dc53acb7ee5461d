package sortedsets

import (
	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// Sorted-set commands that block until there is a member. The blocking itself is in blocking.go of package commands.

const blockingZPopCost = "O(log N) with N the number of members of the sorted set."

var blockingZSetCommands = []session.Command{
	{Name: "bzmpop", Arity: -5, Flags: session.Write | session.Blocking | session.MovableKeys, ACL: session.CatSortedSet, Handler: bzmpop,
		Group: session.GroupSortedSet, Since: "7.0.0",
		Complexity: "O(K + M*log N) with K the number of keys, M the number of members returned and N that of the sorted set.",
		Summary:    "Removes and returns members with the lowest or highest scores of the first sorted set that exists, waiting for one if there is none.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 2,
			KeyNum: 0, FirstKey: 1, NumStep: 1}},
		Args: []session.Arg{{Name: "timeout", Type: session.ArgDouble}, session.IntArg("numkeys"), session.KeyArg("key").Many(),
			zsetEnd,
			session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}},
	{Name: "bzpopmax", Arity: -3, Flags: session.Write | session.Fast | session.Blocking, ACL: session.CatSortedSet, Handler: bzpopmax,
		Group: session.GroupSortedSet, Since: "5.0.0", Complexity: blockingZPopCost,
		Summary: "Removes and returns the member with the highest score of the first sorted set that exists, waiting for one if there is none.",
		History: []session.Change{{"6.0.0", session.DoubleTimeout}},
		Keys:    session.KeyRange(session.KeyRW|session.KeyAccess|session.KeyDelete, -2, 1),
		Args:    []session.Arg{session.KeyArg("key").Many(), {Name: "timeout", Type: session.ArgDouble}}},
	{Name: "bzpopmin", Arity: -3, Flags: session.Write | session.Fast | session.Blocking, ACL: session.CatSortedSet, Handler: bzpopmin,
		Group: session.GroupSortedSet, Since: "5.0.0", Complexity: blockingZPopCost,
		Summary: "Removes and returns the member with the lowest score of the first sorted set that exists, waiting for one if there is none.",
		History: []session.Change{{"6.0.0", session.DoubleTimeout}},
		Keys:    session.KeyRange(session.KeyRW|session.KeyAccess|session.KeyDelete, -2, 1),
		Args:    []session.Arg{session.KeyArg("key").Many(), {Name: "timeout", Type: session.ArgDouble}}},
}

func bzpopmin(c *session.Client) { blockingZPop(c, false) }
func bzpopmax(c *session.Client) { blockingZPop(c, true) }

// blockingZPop removes one member at an end of the first sorted set that exists.
func blockingZPop(c *session.Client, max bool) {
	c.BlockingPop(record.ZSet, func(key []byte, r *record.Record) {
		c.W.Array(3)
		c.W.Bulk(key)
		popScored(c, r, 1, max, false)
		if c.Propagates() {
			c.Rewrite(zpopWord(max), key)
		}
	})
}

func bzmpop(c *session.Client) {
	c.BlockingMultiPop(record.ZSet, "max", "min", func(p session.MultiPop, key []byte, r *record.Record) { zpopSome(c, p, key, r) })
}
