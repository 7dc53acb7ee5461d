package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
)

// Sorted-set commands that take members from an end, or draw them at random. popScored does the popping for all of them,
// those that wait included.

var zpopminRow = Command{Name: "zpopmin", Arity: -2, Flags: Write | Fast, ACL: CatSortedSet, Handler: zpopmin,
	Group: GroupSortedSet, Since: "5.0.0", Complexity: zpopCost,
	Summary: "Removes and returns the members of a sorted set with the lowest scores, and the set with its last one.",
	Keys:    oneKey(KeyRW | KeyAccess | KeyDelete),
	Args:    []Arg{aKey("key"), anInt("count").optional()}}

var zpopmaxRow = Command{Name: "zpopmax", Arity: -2, Flags: Write | Fast, ACL: CatSortedSet, Handler: zpopmax,
	Group: GroupSortedSet, Since: "5.0.0", Complexity: zpopCost,
	Summary: "Removes and returns the members of a sorted set with the highest scores, and the set with its last one.",
	Keys:    oneKey(KeyRW | KeyAccess | KeyDelete),
	Args:    []Arg{aKey("key"), anInt("count").optional()}}

var zmpopRow = Command{Name: "zmpop", Arity: -4, Flags: Write | MovableKeys, ACL: CatSortedSet, Handler: zmpop,
	Group: GroupSortedSet, Since: "7.0.0",
	Complexity: "O(K + M*log N) with K the number of keys, M that of members returned and N that of the sorted set.",
	Summary:    "Removes and returns the members with the lowest or highest scores of the first sorted set that exists.",
	Keys:       []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1, FirstKey: 1, NumStep: 1}},
	Args: []Arg{anInt("numkeys"), aKey("key").multiple(), zsetEnd,
		aTokenArg("count", ArgInteger, "COUNT", "").optional()}}

var zrandmemberRow = Command{Name: "zrandmember", Arity: -2, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrandmember,
	Group: GroupSortedSet, Since: "6.2.0",
	Complexity: "O(N) with N the number of members returned.",
	Summary:    "Returns random members of a sorted set.",
	Hints:      []string{"nondeterministic_output"},
	Keys:       oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aBlock("options", anInt("count"),
		aToken("withscores", "WITHSCORES", "").optional()).optional()}}

// zsetEnd is the end of a sorted set that members are taken from.
var zsetEnd = aChoice("where", aToken("min", "MIN", ""), aToken("max", "MAX", ""))

const zpopCost = "O(M*log N) with M the number of members returned and N that of the sorted set."

var (
	wordZPopMin = []byte("ZPOPMIN")
	wordZPopMax = []byte("ZPOPMAX")
)

// zpopWord is the command that pops from one sorted set, as which others are propagated.
func zpopWord(max bool) []byte {
	if max {
		return wordZPopMax
	}
	return wordZPopMin
}

// popScored takes n members, not more than there are and at least one, from an end of the sorted set of record r (which
// writeTyped found), replies with them, the outermost first, and does all that follows. Each is written as a pair in an
// array of its own if nested is set, else as member and score; what precedes them in the reply is the caller's.
func (c *Client) popScored(r *record.Record, n int, max, nested bool) {
	r, z := own[sortedset.SortedSet](c, r)
	before := z.Size()
	if n == 1 {
		z.Pop(max, func(m sortedset.Value, score float64) { c.popped(m, score, nested) })
	} else {
		span := z.RankSpan(0, n-1, max)
		for it := z.Iter(span, max); ; {
			m, score, ok := it.Next()
			if !ok {
				break
			}
			c.popped(m, score, nested)
		}
		z.RemoveSpan(span)
	}
	event := "zpopmin"
	if max {
		event = "zpopmax"
	}
	c.shrunk(r, z, before, n, config.NotifyZset, event)
}

func (c *Client) popped(m sortedset.Value, score float64, nested bool) {
	if nested {
		c.w.Array(2)
	}
	c.bulkValue(m)
	c.w.Double(score)
}

func zpopmin(c *Client) { c.zpop(false) }
func zpopmax(c *Client) { c.zpop(true) }

// zpop removes members at one end: one, or as many as the count says.
func (c *Client) zpop(max bool) {
	if len(c.args) > 3 {
		c.error(errSyntax)
		return
	}
	count, many := int64(1), len(c.args) == 3
	if many {
		var ok bool
		if count, ok = c.notNegative(2); !ok {
			return
		}
	}
	r, ok := c.writeTyped(c.args[1], record.ZSet)
	if !ok {
		return
	}
	if r == nil || count == 0 {
		c.w.Array(0)
		return
	}
	n := int(min(count, int64(valueOf[sortedset.SortedSet](r).Len())))
	nested := many && c.w.RESP3()
	if nested {
		c.w.Array(n)
	} else {
		c.w.Array(2 * n)
	}
	c.popScored(r, n, max, nested)
}

func zmpop(c *Client) {
	if keys, max, count, ok := c.zmpopArgs(1); ok && !c.zpopFirst(keys, max, count) {
		c.w.NullArray()
	}
}

// zmpopArgs parses the arguments of ZMPOP and BZMPOP from number first on. On failure it has replied.
func (c *Client) zmpopArgs(first int) (keys [][]byte, max bool, count int64, ok bool) {
	numKeys, ok := c.atLeast(first, 1, errNumKeys)
	if !ok {
		return nil, false, 0, false
	}
	refuse := func() ([][]byte, bool, int64, bool) {
		c.error(errSyntax)
		return nil, false, 0, false
	}
	if numKeys >= int64(len(c.args)-first-1) {
		return refuse()
	}
	where := first + 1 + int(numKeys)
	switch {
	case c.is(where, "max"):
		max = true
	case !c.is(where, "min"):
		return refuse()
	}
	count = 1
	if len(c.args) > where+1 {
		if len(c.args) == where+2 || !c.is(where+1, "count") {
			return refuse()
		}
		if count, ok = c.atLeast(where+2, 1, errPopCount); !ok {
			return nil, false, 0, false
		}
		if len(c.args) > where+3 {
			return refuse()
		}
	}
	return c.args[first+1 : where], max, count, true
}

// zpopFirst removes members at an end of the first of several sorted sets that exists, and replies as ZMPOP. false means
// that there is none; else it has replied.
func (c *Client) zpopFirst(keys [][]byte, max bool, count int64) bool {
	for _, key := range keys {
		r, ok := c.writeTyped(key, record.ZSet)
		if !ok {
			return true
		}
		if r == nil {
			continue
		}
		n := int(min(count, int64(valueOf[sortedset.SortedSet](r).Len())))
		c.w.Array(2)
		c.w.Bulk(key)
		c.w.Array(n)
		c.popScored(r, n, max, true)
		if c.propagates() {
			c.rewrite(zpopWord(max), key, decimal(int64(n)))
		}
		return true
	}
	return false
}

func zrandmember(c *Client) {
	if len(c.args) == 2 {
		z, ok := c.readZSet(c.args[1])
		switch {
		case !ok:
		case z == nil:
			c.w.Null()
		default:
			m, _ := z.Random(c.srv.ks.Random)
			c.bulkValue(m)
		}
		return
	}
	count, ok := c.countArg(2)
	if !ok {
		return
	}
	withScores := len(c.args) == 4 && c.is(3, "withscores")
	if len(c.args) > 3 && !withScores {
		c.error(errSyntax)
		return
	}
	if withScores && (count < -(1<<62-1) || count > 1<<62-1) {
		c.error(errRange)
		return
	}
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	if z == nil || count == 0 {
		c.w.Array(0)
		return
	}
	if count < 0 {
		c.scoredArray(int(-count), withScores)
		c.drawMany(int(-count), func(n int) {
			z.RandomAll(n, c.srv.ks.Random, func(m sortedset.Value, score float64) {
				if !c.overLimit() {
					c.scored(m, score, withScores)
				}
			})
		})
		return
	}
	n := int(min(count, int64(z.Len())))
	if n == z.Len() {
		c.members(z, z.All(), true, withScores) // in Redis too the whole set comes in this order
		return
	}
	c.scoredArray(n, withScores)
	z.Sample(n, c.srv.ks.Random, func(m sortedset.Value, score float64) { c.scored(m, score, withScores) })
}
