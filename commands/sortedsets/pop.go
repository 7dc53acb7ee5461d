package sortedsets

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
)

// Sorted-set commands that take members from an end, or draw them at random. popScored does the popping for all of them,
// those that wait included.

var zpopminRow = session.Command{Name: "zpopmin", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatSortedSet, Handler: zpopmin,
	Group: session.GroupSortedSet, Since: "5.0.0", Complexity: zpopCost,
	Summary: "Removes and returns the members of a sorted set with the lowest scores, and the set with its last one.",
	Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
	Args:    []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt()}}

var zpopmaxRow = session.Command{Name: "zpopmax", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatSortedSet, Handler: zpopmax,
	Group: session.GroupSortedSet, Since: "5.0.0", Complexity: zpopCost,
	Summary: "Removes and returns the members of a sorted set with the highest scores, and the set with its last one.",
	Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
	Args:    []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt()}}

var zmpopRow = session.Command{Name: "zmpop", Arity: -4, Flags: session.Write | session.MovableKeys, ACL: session.CatSortedSet, Handler: zmpop,
	Group: session.GroupSortedSet, Since: "7.0.0",
	Complexity: "O(K + M*log N) with K the number of keys, M that of members returned and N that of the sorted set.",
	Summary:    "Removes and returns the members with the lowest or highest scores of the first sorted set that exists.",
	Keys:       []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1, FirstKey: 1, NumStep: 1}},
	Args: []session.Arg{session.IntArg("numkeys"), session.KeyArg("key").Many(), zsetEnd,
		session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}}

var zrandmemberRow = session.Command{Name: "zrandmember", Arity: -2, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrandmember,
	Group: session.GroupSortedSet, Since: "6.2.0",
	Complexity: "O(N) with N the number of members returned.",
	Summary:    "Returns random members of a sorted set.",
	Hints:      []string{"nondeterministic_output"},
	Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.BlockOf("options", session.IntArg("count"),
		session.TokenWord("withscores", "WITHSCORES", "").Opt()).Opt()}}

// zsetEnd is the end of a sorted set that members are taken from.
var zsetEnd = session.OneOf("where", session.TokenWord("min", "MIN", ""), session.TokenWord("max", "MAX", ""))

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
// WriteTyped found), replies with them, the outermost first, and does all that follows. Each is written as a pair in an
// array of its own if nested is set, else as member and score; what precedes them in the reply is the caller's.
func popScored(c *session.Client, r *record.Record, n int, max, nested bool) {
	edit := session.BeginEdit[sortedset.SortedSet](c, r)
	z := edit.Value
	if n == 1 {
		z.Pop(max, func(m sortedset.Value, score float64) { popped(c, m, score, nested) })
	} else {
		span := z.RankSpan(0, n-1, max)
		for it := z.Iter(span, max); ; {
			m, score, ok := it.Next()
			if !ok {
				break
			}
			popped(c, m, score, nested)
		}
		z.RemoveSpan(span)
	}
	event := "zpopmin"
	if max {
		event = "zpopmax"
	}
	edit.Shrunk(n, config.NotifyZset, event)
}

func popped(c *session.Client, m sortedset.Value, score float64, nested bool) {
	if nested {
		c.W.Array(2)
	}
	c.BulkValue(m)
	c.W.Double(score)
}

func zpopmin(c *session.Client) { zpop(c, false) }
func zpopmax(c *session.Client) { zpop(c, true) }

// zpop removes members at one end: one, or as many as the count says.
func zpop(c *session.Client, max bool) {
	if len(c.Args) > 3 {
		c.Error(session.ErrSyntax)
		return
	}
	count, many := int64(1), len(c.Args) == 3
	if many {
		var ok bool
		if count, ok = c.NotNegative(2); !ok {
			return
		}
	}
	r, ok := c.WriteTyped(c.Args[1], record.ZSet)
	if !ok {
		return
	}
	if r == nil || count == 0 {
		c.W.Array(0)
		return
	}
	n := int(min(count, int64(session.ValueOf[sortedset.SortedSet](r).Len())))
	nested := many && c.W.RESP3()
	if nested {
		c.W.Array(n)
	} else {
		c.W.Array(2 * n)
	}
	popScored(c, r, n, max, nested)
}

func zmpop(c *session.Client) {
	if keys, max, count, ok := zmpopArgs(c, 1); ok && !zpopFirst(c, keys, max, count) {
		c.W.NullArray()
	}
}

// zmpopArgs parses the arguments of ZMPOP and BZMPOP from number first on. On failure it has replied.
func zmpopArgs(c *session.Client, first int) (keys [][]byte, max bool, count int64, ok bool) {
	numKeys, ok := c.AtLeast(first, 1, session.ErrNumKeys)
	if !ok {
		return nil, false, 0, false
	}
	refuse := func() ([][]byte, bool, int64, bool) {
		c.Error(session.ErrSyntax)
		return nil, false, 0, false
	}
	if numKeys >= int64(len(c.Args)-first-1) {
		return refuse()
	}
	where := first + 1 + int(numKeys)
	switch {
	case c.Is(where, "max"):
		max = true
	case !c.Is(where, "min"):
		return refuse()
	}
	count = 1
	if len(c.Args) > where+1 {
		if len(c.Args) == where+2 || !c.Is(where+1, "count") {
			return refuse()
		}
		if count, ok = c.AtLeast(where+2, 1, session.ErrPopCount); !ok {
			return nil, false, 0, false
		}
		if len(c.Args) > where+3 {
			return refuse()
		}
	}
	return c.Args[first+1 : where], max, count, true
}

// zpopFirst removes members at an end of the first of several sorted sets that exists, and replies as ZMPOP. false means
// that there is none; else it has replied.
func zpopFirst(c *session.Client, keys [][]byte, max bool, count int64) bool {
	for _, key := range keys {
		r, ok := c.WriteTyped(key, record.ZSet)
		if !ok {
			return true
		}
		if r == nil {
			continue
		}
		n := int(min(count, int64(session.ValueOf[sortedset.SortedSet](r).Len())))
		c.W.Array(2)
		c.W.Bulk(key)
		c.W.Array(n)
		popScored(c, r, n, max, true)
		if c.Propagates() {
			c.Rewrite(zpopWord(max), key, session.Decimal(int64(n)))
		}
		return true
	}
	return false
}

func zrandmember(c *session.Client) {
	if len(c.Args) == 2 {
		z, ok := readZSet(c, c.Args[1])
		switch {
		case !ok:
		case z == nil:
			c.W.Null()
		default:
			m, _ := z.Random(c.Core.Keyspace.Random)
			c.BulkValue(m)
		}
		return
	}
	count, ok := c.CountArg(2)
	if !ok {
		return
	}
	withScores := len(c.Args) == 4 && c.Is(3, "withscores")
	if len(c.Args) > 3 && !withScores {
		c.Error(session.ErrSyntax)
		return
	}
	if withScores && (count < -(1<<62-1) || count > 1<<62-1) {
		c.Error(session.ErrRange)
		return
	}
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	if z == nil || count == 0 {
		c.W.Array(0)
		return
	}
	if count < 0 {
		scoredArray(c, int(-count), withScores)
		c.DrawMany(int(-count), func(n int) {
			z.RandomAll(n, c.Core.Keyspace.Random, func(m sortedset.Value, score float64) {
				if !c.OverLimit() {
					scored(c, m, score, withScores)
				}
			})
		})
		return
	}
	n := int(min(count, int64(z.Len())))
	if n == z.Len() {
		members(c, z, z.All(), true, withScores) // in Redis too the whole set comes in this order
		return
	}
	scoredArray(c, n, withScores)
	z.Sample(n, c.Core.Keyspace.Random, func(m sortedset.Value, score float64) { scored(c, m, score, withScores) })
}
