package commands

import (
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// The sorted-set commands but for those that select ranges (zsets_range.go), those that combine sets (zsets_ops.go), and
// those that pop or draw at random (zsets_pop.go). What other groups build on stands here: readZSet, addScores, storeZSet.
var zsetCommands = []Command{
	{Name: "zadd", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatSortedSet, Handler: zadd,
		Group: GroupSortedSet, Since: "1.2.0",
		Complexity: "O(log N) for each member, with N the number of members of the sorted set.",
		Summary:    "Gives members scores, and adds those that are new to the sorted set, which is created if it does not exist.",
		History: []Change{{"2.4.0", "Takes several members."}, {"3.0.2", "The options `XX`, `NX`, `CH` and `INCR`."},
			{"6.2.0", "The options `GT` and `LT`."}},
		Keys: oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"),
			aChoice("condition", aToken("nx", "NX", ""), aToken("xx", "XX", "")).optional().since("3.0.2"),
			aChoice("comparison", aToken("gt", "GT", ""), aToken("lt", "LT", "")).optional().since("6.2.0"),
			aToken("change", "CH", "3.0.2").optional(),
			aToken("increment", "INCR", "3.0.2").optional(),
			aBlock("data", aDouble("score"), aString("member")).multiple()}},
	{Name: "zcard", Arity: 2, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zcard,
		Group: GroupSortedSet, Since: "1.2.0", Complexity: "O(1)",
		Summary: "Returns the number of members of a sorted set.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	zcountRow,
	zdiffRow,
	zdiffstoreRow,
	{Name: "zincrby", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatSortedSet, Handler: zincrby,
		Group: GroupSortedSet, Since: "1.2.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Adds to the score of a member of a sorted set, 0 if it is not there yet.",
		Keys:       oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:       []Arg{aKey("key"), anInt("increment"), aString("member")}},
	zinterRow,
	zintercardRow,
	zinterstoreRow,
	zlexcountRow,
	zmpopRow,
	{Name: "zmscore", Arity: -3, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zmscore,
		Group: GroupSortedSet, Since: "6.2.0",
		Complexity: "O(N) with N the number of members asked for.",
		Summary:    "Returns the scores of several members of a sorted set.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), aString("member").multiple()}},
	zpopmaxRow,
	zpopminRow,
	zrandmemberRow,
	zrangeRow,
	zrangebylexRow,
	zrangebyscoreRow,
	zrangestoreRow,
	{Name: "zrank", Arity: -3, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zrank,
		Group: GroupSortedSet, Since: "2.0.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Returns how many members of a sorted set come before one.",
		History:    []Change{{"7.2.0", withScoreAdded}},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       rankArgs},
	{Name: "zrem", Arity: -3, Flags: Write | Fast, ACL: CatSortedSet, Handler: zrem,
		Group: GroupSortedSet, Since: "1.2.0",
		Complexity: "O(M*log N) with M the number of members to remove and N that of the sorted set.",
		Summary:    "Removes members from a sorted set, and the set with its last one.",
		History:    []Change{{"2.4.0", "Takes several members."}},
		Keys:       oneKey(KeyRW | KeyDelete),
		Args:       []Arg{aKey("key"), aString("member").multiple()}},
	zremrangebylexRow,
	zremrangebyrankRow,
	zremrangebyscoreRow,
	zrevrangeRow,
	zrevrangebylexRow,
	zrevrangebyscoreRow,
	{Name: "zrevrank", Arity: -3, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zrevrank,
		Group: GroupSortedSet, Since: "2.0.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Returns how many members of a sorted set come behind one.",
		History:    []Change{{"7.2.0", withScoreAdded}},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       rankArgs},
	{Name: "zscan", Arity: -3, Flags: ReadOnly, ACL: CatSortedSet, Handler: zscan,
		Group: GroupSortedSet, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of members of the sorted set.",
		Summary:    "Returns a part of a sorted set's members with their scores and the cursor to go on from.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), anInt("cursor"),
			aTokenArg("pattern", ArgPattern, "MATCH", "").optional(),
			aTokenArg("count", ArgInteger, "COUNT", "").optional()}},
	{Name: "zscore", Arity: 3, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zscore,
		Group: GroupSortedSet, Since: "1.2.0", Complexity: "O(1)",
		Summary: "Returns the score of a member of a sorted set.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key"), aString("member")}},
	zunionRow,
	zunionstoreRow,
}

var rankArgs = []Arg{aKey("key"), aString("member"), aToken("withscore", "WITHSCORE", "").optional()}

const withScoreAdded = "The option `WITHSCORE`."

const (
	errZAddNXXX = "ERR XX and NX options at the same time are not compatible"
	errZAddGTLT = "ERR GT, LT, and/or NX options at the same time are not compatible"
	errZAddIncr = "ERR INCR option supports a single increment-element pair"
	errScoreNaN = "ERR resulting score is not a number (NaN)"
)

// zsetRules are the limits of small sorted sets that are configured now.
func (c *Client) zsetRules() sortedset.Rules {
	cfg := c.srv.cfg
	return sortedset.Rules{Entries: cfg.ZsetMaxListpackEntries, Value: cfg.ZsetMaxListpackValue, Text: c.srv.zsets}
}

// readZSet returns the sorted set at the key for reading, nil if there is none. If there is something else it has
// replied, and ok is false.
func (c *Client) readZSet(key []byte) (z *sortedset.SortedSet, ok bool) {
	return readValue[sortedset.SortedSet](c, key, record.ZSet)
}

// putZSet stores a sorted set at a key, in place of what is there.
func (c *Client) putZSet(key []byte, z *sortedset.SortedSet) {
	put(c, key, record.ZSet, record.SkipList, z)
}

// storeZSet makes a sorted set of what a command found, records made with record.NewScore whose members are all
// different, puts it at a key in place of what is there, and replies with its length. If there are none the key is
// deleted. recs is not to be used afterwards.
func (c *Client) storeZSet(key []byte, recs []*record.Record, event string) {
	if len(recs) == 0 {
		c.deleteKey(key)
		c.w.Int(0)
		return
	}
	c.putZSet(key, sortedset.Build(recs, c.zsetRules(), c.gen()))
	c.changed(key, 1, config.NotifyZset, event)
	c.w.Int(int64(len(recs)))
}

// scoreArg parses argument i as a score. On failure it has replied.
func (c *Client) scoreArg(i int) (float64, bool) {
	f, ok := resp.ParseFloat(c.args[i])
	if !ok {
		c.error(errNotFloat)
	}
	return f, ok
}

func zadd(c *Client) {
	var how sortedset.How
	ch := false
	i := 2
options:
	for ; i < len(c.args); i++ {
		switch {
		case c.is(i, "nx"):
			how |= sortedset.NX
		case c.is(i, "xx"):
			how |= sortedset.XX
		case c.is(i, "gt"):
			how |= sortedset.GT
		case c.is(i, "lt"):
			how |= sortedset.LT
		case c.is(i, "incr"):
			how |= sortedset.Incr
		case c.is(i, "ch"):
			ch = true
		default:
			break options
		}
	}
	pairs := c.args[i:]
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		c.error(errSyntax)
		return
	}
	if msg := conflict(how, len(pairs)/2); msg != "" {
		c.error(msg)
		return
	}
	var few [8]float64
	scores := few[:0]
	for j := 0; j < len(pairs); j += 2 {
		f, ok := c.scoreArg(i + j)
		if !ok {
			return
		}
		scores = append(scores, f)
	}
	c.addScores(scores, pairs[1:], 2, how, ch)
}

// conflict returns the refusal of options of ZADD that contradict each other.
func conflict(how sortedset.How, pairs int) string {
	has := func(h sortedset.How) bool { return how&h == h }
	switch {
	case has(sortedset.NX | sortedset.XX):
		return errZAddNXXX
	case has(sortedset.GT | sortedset.NX), has(sortedset.LT | sortedset.NX), has(sortedset.GT | sortedset.LT):
		return errZAddGTLT
	case has(sortedset.Incr) && pairs > 1:
		return errZAddIncr
	}
	return ""
}

func zincrby(c *Client) {
	by, ok := c.scoreArg(2)
	if !ok {
		return
	}
	score := [1]float64{by}
	c.addScores(score[:], c.args[3:], 1, sortedset.Incr, false)
}

// addScores gives members scores in the sorted set that argument 1 names, and replies as ZADD: with how many are new (or,
// with ch, changed), or with the score that the only member has got if how tells to increment. The member of score i is
// members[i*step].
func (c *Client) addScores(scores []float64, members [][]byte, step int, how sortedset.How, ch bool) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.ZSet)
	if !ok {
		return
	}
	if r == nil && how&sortedset.XX != 0 {
		if how&sortedset.Incr != 0 {
			c.w.Null()
		} else {
			c.w.Int(0)
		}
		return
	}
	rules, gen := c.zsetRules(), c.gen()
	var z *sortedset.SortedSet
	before := 0
	if r == nil {
		z = sortedset.New(len(scores), len(members[0]), rules, gen)
		c.putZSet(key, z)
		before = z.Size()
	} else {
		_, z = own[sortedset.SortedSet](c, r)
		before = z.Size()
		z.Expect(len(scores), rules, gen)
	}
	var score float64
	var done sortedset.Outcome
	added, updated := 0, 0
	for i, f := range scores {
		score, done = z.Add(members[i*step], f, how, rules, gen)
		switch done {
		case sortedset.Added:
			added++
		case sortedset.Updated:
			updated++
		}
	}
	event := "zadd"
	if how&sortedset.Incr != 0 {
		event = "zincr"
	}
	c.grown(key, z, before, added+updated, config.NotifyZset, event)
	switch {
	case done == sortedset.NaN:
		c.error(errScoreNaN)
	case how&sortedset.Incr == 0:
		n := added
		if ch {
			n += updated
		}
		c.w.Int(int64(n))
	case done == sortedset.Refused:
		c.w.Null()
	default:
		c.w.Double(score)
	}
}

func zrem(c *Client) {
	key, members := c.args[1], c.args[2:]
	r, ok := c.writeTyped(key, record.ZSet)
	if !ok {
		return
	}
	removed := 0
	if z := valueOf[sortedset.SortedSet](r); z != nil && hasAny(z, members) {
		r, z = own[sortedset.SortedSet](c, r)
		before := z.Size()
		for _, m := range members {
			if z.Remove(m) {
				removed++
			}
		}
		c.shrunk(r, z, before, removed, config.NotifyZset, "zrem")
	}
	c.w.Int(int64(removed))
}

func zcard(c *Client) {
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	n := 0
	if z != nil {
		n = z.Len()
	}
	c.w.Int(int64(n))
}

// score replies with the score of a member of z, null if z is nil or does not have it.
func (c *Client) score(z *sortedset.SortedSet, member []byte) {
	if z != nil {
		if f, ok := z.Score(member); ok {
			c.w.Double(f)
			return
		}
	}
	c.w.Null()
}

func zscore(c *Client) {
	if z, ok := c.readZSet(c.args[1]); ok {
		c.score(z, c.args[2])
	}
}

func zmscore(c *Client) {
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	members := c.args[2:]
	c.w.Array(len(members))
	for _, m := range members {
		c.score(z, m)
	}
}

func zrank(c *Client)    { c.rank(false) }
func zrevrank(c *Client) { c.rank(true) }

// rank replies with the rank of a member, counted from the highest score with rev.
func (c *Client) rank(rev bool) {
	if len(c.args) > 4 {
		c.error(errArity(c.cmd.full))
		return
	}
	withScore := len(c.args) == 4
	if withScore && !c.is(3, "withscore") {
		c.error(errSyntax)
		return
	}
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	if z != nil {
		if rank, score, ok := z.Rank(c.args[2], rev); ok {
			if withScore {
				c.w.Array(2)
			}
			c.w.Int(int64(rank))
			if withScore {
				c.w.Double(score)
			}
			return
		}
	}
	if withScore {
		c.w.NullArray()
	} else {
		c.w.Null()
	}
}

func zscan(c *Client) {
	cursor, ok := parseCursor(c.args[2])
	if !ok {
		c.error(errInvalidCursor)
		return
	}
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	if z == nil {
		c.emptyScan()
		return
	}
	o, ok := c.scanOptions(3, false)
	if !ok {
		return
	}
	c.scanReply(func() (n int, next uint64) {
		next = z.Scan(cursor, o.count, func(member, packed sortedset.Value, score float64) {
			var buf intText
			if o.pattern != nil && !glob.Match(o.pattern, bytesOf(member, &buf), false) {
				return
			}
			c.bulkValue(member)
			if z.Listpack() != nil {
				c.bulkValue(packed)
			} else {
				var text [32]byte
				c.w.Bulk(appendScanned(text[:0], score))
			}
			n += 2
		})
		return n, next
	})
}

// appendScanned appends a score as ZSCAN of a large sorted set gives it in Redis 7.2, in C's format %.17Lg and not in
// that of all other replies.
func appendScanned(dst []byte, score float64) []byte {
	if score-score != 0 {
		return resp.FormatDouble(dst, score) // infinite
	}
	return strconv.AppendFloat(dst, score, 'g', 17, 64)
}
