package sortedsets

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
)

// Sorted-set commands that pop members from an end, or draw them at random. popScored pops for all of them, also for those
// that block.

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

// zsetEnd is the argument for an end of a sorted set.
var zsetEnd = session.OneOf("where", session.TokenWord("min", "MIN", ""), session.TokenWord("max", "MAX", ""))

const zpopCost = "O(M*log N) with M the number of members returned and N that of the sorted set."

var (
	wordZPopMin = []byte("ZPOPMIN")
	wordZPopMax = []byte("ZPOPMAX")
)

// zpopWord returns the command that pops from one sorted set; the others are propagated as this one.
func zpopWord(max bool) []byte {
	if max {
		return wordZPopMax
	}
	return wordZPopMin
}

// popScored pops n members, at least one and not more than exist, from an end of the sorted set of record r (the result of
// WriteTyped), replies with them, the outermost first, and reports the change. If nested is set it writes each as an array of
// member and score, else as two elements; the caller writes the beginning of the reply.
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
	n := int(min(count, int64(session.ValueOf[sortedset.SortedSet](c, r).Len())))
	nested := many && c.W.RESP3()
	if nested {
		c.W.Array(n)
	} else {
		c.W.Array(2 * n)
	}
	popScored(c, r, n, max, nested)
}

func zmpop(c *session.Client) {
	c.MultiPop(record.ZSet, "max", "min", func(p session.MultiPop, key []byte, r *record.Record) { zpopSome(c, p, key, r) })
}

// zpopSome removes members at an end of a sorted set, and replies as ZMPOP.
func zpopSome(c *session.Client, p session.MultiPop, key []byte, r *record.Record) {
	n := int(min(p.Count, int64(session.ValueOf[sortedset.SortedSet](c, r).Len())))
	c.W.Array(2)
	c.W.Bulk(key)
	c.W.Array(n)
	popScored(c, r, n, p.First, true)
	if c.Propagates() {
		c.Rewrite(zpopWord(p.First), key, session.Decimal(int64(n)))
	}
}

// drawer draws members from a sorted set; nil is an empty one.
type drawer struct {
	c *session.Client
	z *sortedset.SortedSet
}

func zrandmember(c *session.Client) {
	session.DrawElements(c, "withscores", func(c *session.Client) (drawer, bool) {
		z, ok := readZSet(c, c.Args[1])
		return drawer{c, z}, ok
	})
}

func (d drawer) Len() int {
	if d.z == nil {
		return 0
	}
	return d.z.Len()
}

func (d drawer) One() {
	m, _ := d.z.Random(d.c.Core.Keyspace.Random)
	d.c.BulkValue(m)
}

func (d drawer) Array(n int, scores bool) { d.c.PairArray(n, scores) }

func (d drawer) Sample(n int, scores bool) {
	if n == d.z.Len() {
		eachMember(d.c, d.z, d.z.All(), true, scores) // as in Redis, the whole set is in this order
		return
	}
	d.z.Sample(n, d.c.Core.Keyspace.Random, func(m sortedset.Value, score float64) { scored(d.c, m, score, scores) })
}

func (d drawer) Draw(n int, scores bool) {
	d.z.RandomAll(n, d.c.Core.Keyspace.Random, func(m sortedset.Value, score float64) {
		if !d.c.OverLimit() {
			scored(d.c, m, score, scores)
		}
	})
}
