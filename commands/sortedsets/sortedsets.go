// Package sortedsets has the commands of sorted sets, and of geographical positions, which are scores of sorted sets. A
// sorted set is a listpack while it is small, otherwise a tree that OBJECT ENCODING calls skiplist.
package sortedsets

import (
	"slices"
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
)

// Commands are the rows of the family.
var Commands = slices.Concat(zsetCommands, blockingZSetCommands, geoCommands)

// The sorted-set commands, without those that select ranges (range.go), those that combine sets (ops.go), and those that pop
// or draw at random (pop.go). The other files use readZSet, addScores and storeZSet of this one.
var zsetCommands = []session.Command{
	{Name: "zadd", Arity: -4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatSortedSet, Handler: zadd,
		Group: session.GroupSortedSet, Since: "1.2.0",
		Complexity: "O(log N) for each member, with N the number of members of the sorted set.",
		Summary:    "Gives members scores, and adds those that are new to the sorted set, which is created if it does not exist.",
		History: []session.Change{{"2.4.0", "Takes several members."}, {"3.0.2", "The options `XX`, `NX`, `CH` and `INCR`."},
			{"6.2.0", "The options `GT` and `LT`."}},
		Keys: session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"),
			session.OneOf("condition", session.TokenWord("nx", "NX", ""), session.TokenWord("xx", "XX", "")).Opt().From("3.0.2"),
			session.OneOf("comparison", session.TokenWord("gt", "GT", ""), session.TokenWord("lt", "LT", "")).Opt().From("6.2.0"),
			session.TokenWord("change", "CH", "3.0.2").Opt(),
			session.TokenWord("increment", "INCR", "3.0.2").Opt(),
			session.BlockOf("data", session.DoubleArg("score"), session.StringArg("member")).Many()}},
	{Name: "zcard", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zcard,
		Group: session.GroupSortedSet, Since: "1.2.0", Complexity: "O(1)",
		Summary: "Returns the number of members of a sorted set.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	zcountRow,
	zdiffRow,
	zdiffstoreRow,
	{Name: "zincrby", Arity: 4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatSortedSet, Handler: zincrby,
		Group: session.GroupSortedSet, Since: "1.2.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Adds to the score of a member of a sorted set, 0 if it is not there yet.",
		Keys:       session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("increment"), session.StringArg("member")}},
	zinterRow,
	zintercardRow,
	zinterstoreRow,
	zlexcountRow,
	zmpopRow,
	{Name: "zmscore", Arity: -3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zmscore,
		Group: session.GroupSortedSet, Since: "6.2.0",
		Complexity: "O(N) with N the number of members asked for.",
		Summary:    "Returns the scores of several members of a sorted set.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("member").Many()}},
	zpopmaxRow,
	zpopminRow,
	zrandmemberRow,
	zrangeRow,
	zrangebylexRow,
	zrangebyscoreRow,
	zrangestoreRow,
	{Name: "zrank", Arity: -3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zrank,
		Group: session.GroupSortedSet, Since: "2.0.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Returns how many members of a sorted set come before one.",
		History:    []session.Change{{"7.2.0", withScoreAdded}},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       rankArgs},
	{Name: "zrem", Arity: -3, Flags: session.Write | session.Fast, ACL: session.CatSortedSet, Handler: zrem,
		Group: session.GroupSortedSet, Since: "1.2.0",
		Complexity: "O(M*log N) with M the number of members to remove and N that of the sorted set.",
		Summary:    "Removes members from a sorted set, and the set with its last one.",
		History:    []session.Change{{"2.4.0", "Takes several members."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("member").Many()}},
	zremrangebylexRow,
	zremrangebyrankRow,
	zremrangebyscoreRow,
	zrevrangeRow,
	zrevrangebylexRow,
	zrevrangebyscoreRow,
	{Name: "zrevrank", Arity: -3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zrevrank,
		Group: session.GroupSortedSet, Since: "2.0.0",
		Complexity: "O(log N) with N the number of members of the sorted set.",
		Summary:    "Returns how many members of a sorted set come behind one.",
		History:    []session.Change{{"7.2.0", withScoreAdded}},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       rankArgs},
	{Name: "zscan", Arity: -3, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zscan,
		Group: session.GroupSortedSet, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of members of the sorted set.",
		Summary:    "Returns a part of a sorted set's members with their scores and the cursor to go on from.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("cursor"),
			session.TokenArg("pattern", session.ArgPattern, "MATCH", "").Opt(),
			session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}},
	{Name: "zscore", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zscore,
		Group: session.GroupSortedSet, Since: "1.2.0", Complexity: "O(1)",
		Summary: "Returns the score of a member of a sorted set.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("member")}},
	zunionRow,
	zunionstoreRow,
}

var rankArgs = []session.Arg{session.KeyArg("key"), session.StringArg("member"), session.TokenWord("withscore", "WITHSCORE", "").Opt()}

const withScoreAdded = "The option `WITHSCORE`."

const (
	errZAddNXXX = "ERR XX and NX options at the same time are not compatible"
	errZAddGTLT = "ERR GT, LT, and/or NX options at the same time are not compatible"
	errZAddIncr = "ERR INCR option supports a single increment-element pair"
	errScoreNaN = "ERR resulting score is not a number (NaN)"
)

// readZSet returns the sorted set at the key for reading, nil if there is none. If the key has another type it has replied,
// and ok is false.
func readZSet(c *session.Client, key []byte) (z *sortedset.SortedSet, ok bool) {
	return session.ReadValue[sortedset.SortedSet](c, key, record.ZSet)
}

// putZSet stores a sorted set at a key and replaces its value.
func putZSet(c *session.Client, key []byte, z *sortedset.SortedSet) {
	session.Put(c, key, record.ZSet, z)
}

// storeZSet makes a sorted set of recs, records made with record.NewScore whose members are all different, stores it at a
// key, and replies with its length. If recs is empty it deletes the key. recs must not be used afterwards.
func storeZSet(c *session.Client, key []byte, recs []*record.Record, event string) {
	if len(recs) == 0 {
		c.DeleteKey(key)
		c.W.Int(0)
		return
	}
	putZSet(c, key, sortedset.Build(recs, c.ZsetRules(), c.Gen()))
	c.Changed(key, 1, config.NotifyZset, event)
	c.W.Int(int64(len(recs)))
}

// scoreArg parses argument i as a score. On failure it has replied.
func scoreArg(c *session.Client, i int) (float64, bool) {
	f, ok := resp.ParseFloat(c.Args[i])
	if !ok {
		c.Error(session.ErrNotFloat)
	}
	return f, ok
}

func zadd(c *session.Client) {
	how, ch, i := addOptions(c, sortedset.GT|sortedset.LT|sortedset.Incr)
	pairs := c.Args[i:]
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		c.Error(session.ErrSyntax)
		return
	}
	if msg := conflict(how, len(pairs)/2); msg != "" {
		c.Error(msg)
		return
	}
	var few [8]float64
	scores := few[:0]
	for j := 0; j < len(pairs); j += 2 {
		f, ok := scoreArg(c, i+j)
		if !ok {
			return
		}
		scores = append(scores, f)
	}
	addScores(c, scores, pairs[1:], 2, how, ch)
}

// addOptions parses the options of ZADD, or those of GEOADD, which does not have the ones in besides. i is the index of the
// first argument that is not an option.
func addOptions(c *session.Client, besides sortedset.How) (how sortedset.How, ch bool, i int) {
	for i = 2; i < len(c.Args); i++ {
		var option sortedset.How
		switch {
		case c.Is(i, "nx"):
			option = sortedset.NX
		case c.Is(i, "xx"):
			option = sortedset.XX
		case c.Is(i, "gt"):
			option = sortedset.GT & besides
		case c.Is(i, "lt"):
			option = sortedset.LT & besides
		case c.Is(i, "incr"):
			option = sortedset.Incr & besides
		case c.Is(i, "ch"):
			ch = true
			continue
		}
		if option == 0 {
			return how, ch, i
		}
		how |= option
	}
	return how, ch, i
}

// conflict returns the error for options of ZADD that contradict each other.
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

func zincrby(c *session.Client) {
	by, ok := scoreArg(c, 2)
	if !ok {
		return
	}
	score := [1]float64{by}
	addScores(c, score[:], c.Args[3:], 1, sortedset.Incr, false)
}

// addScores sets the scores of members in the sorted set at key argument 1, and replies as ZADD: with the number of new (or,
// with ch, changed) members, or with the new score of the only member if how has Incr. The member of score i is
// members[i*step].
func addScores(c *session.Client, scores []float64, members [][]byte, step int, how sortedset.How, ch bool) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.ZSet)
	if !ok {
		return
	}
	if r == nil && how&sortedset.XX != 0 {
		if how&sortedset.Incr != 0 {
			c.W.Null()
		} else {
			c.W.Int(0)
		}
		return
	}
	rules, gen := c.ZsetRules(), c.Gen()
	var edit session.Edit[*sortedset.SortedSet]
	if r == nil {
		edit = session.Create(c, key, record.ZSet, sortedset.New(len(scores), len(members[0]), rules, gen))
	} else {
		edit = session.BeginEdit[sortedset.SortedSet](c, r)
		edit.Value.Expect(len(scores), rules, gen)
	}
	z := edit.Value
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
	edit.Grown(added+updated, config.NotifyZset, event)
	switch {
	case done == sortedset.NaN:
		c.Error(errScoreNaN)
	case how&sortedset.Incr == 0:
		n := added
		if ch {
			n += updated
		}
		c.W.Int(int64(n))
	case done == sortedset.Refused:
		c.W.Null()
	default:
		c.W.Double(score)
	}
}

func zrem(c *session.Client) {
	begin := func(c *session.Client, r *record.Record) session.ElementEdit[*sortedset.SortedSet] {
		return session.ElementEdit[*sortedset.SortedSet]{Edit: session.BeginEdit[sortedset.SortedSet](c, r)}
	}
	session.RemoveElements[sortedset.SortedSet](c, record.ZSet, begin, config.NotifyZset, "zrem")
}

func zcard(c *session.Client) {
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if z != nil {
		n = z.Len()
	}
	c.W.Int(int64(n))
}

// score replies with the score of a member of z, null if z is nil or does not have it.
func score(c *session.Client, z *sortedset.SortedSet, member []byte) {
	if z != nil {
		if f, ok := z.Score(member); ok {
			c.W.Double(f)
			return
		}
	}
	c.W.Null()
}

func zscore(c *session.Client) {
	if z, ok := readZSet(c, c.Args[1]); ok {
		score(c, z, c.Args[2])
	}
}

func zmscore(c *session.Client) {
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	members := c.Args[2:]
	c.W.Array(len(members))
	for _, m := range members {
		score(c, z, m)
	}
}

func zrank(c *session.Client)    { rank(c, false) }
func zrevrank(c *session.Client) { rank(c, true) }

// rank replies with the rank of a member, counted from the highest score with rev.
func rank(c *session.Client, rev bool) {
	if len(c.Args) > 4 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return
	}
	withScore := len(c.Args) == 4
	if withScore && !c.Is(3, "withscore") {
		c.Error(session.ErrSyntax)
		return
	}
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	if z != nil {
		if rank, score, ok := z.Rank(c.Args[2], rev); ok {
			if withScore {
				c.W.Array(2)
			}
			c.W.Int(int64(rank))
			if withScore {
				c.W.Double(score)
			}
			return
		}
	}
	if withScore {
		c.W.NullArray()
	} else {
		c.W.Null()
	}
}

func zscan(c *session.Client) {
	c.ScanElements(record.ZSet, func(r *record.Record, s session.ElementScan) (n int, next uint64) {
		z := session.ValueOf[sortedset.SortedSet](c, r)
		next = z.Scan(s.Cursor, s.Count, func(member, packed sortedset.Value, score float64) {
			if !s.Matches(member) {
				return
			}
			c.BulkValue(member)
			if z.Listpack() != nil {
				c.BulkValue(packed)
			} else {
				var text [32]byte
				c.W.Bulk(appendScanned(text[:0], score))
			}
			n += 2
		})
		return n, next
	})
}

// appendScanned appends a score as ZSCAN of a large sorted set replies with it in Redis 7.2: in C's format %.17Lg, unlike all
// other replies.
func appendScanned(dst []byte, score float64) []byte {
	if score-score != 0 {
		return resp.FormatDouble(dst, score) // infinite
	}
	return strconv.AppendFloat(dst, score, 'g', 17, 64)
}
