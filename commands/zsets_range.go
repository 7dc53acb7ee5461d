package commands

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"ferrous/commands/config"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/zset"
	"ferrous/eventloop/resp"
)

// Sorted-set commands that select a range of ranks, scores or members. Whatever selects it, the range becomes a span of
// ranks, which is then counted, returned, stored or removed.

// limitArg is the option LIMIT.
func limitArg(since string) Arg {
	a := aBlock("limit", anInt("offset"), anInt("count")).optional().since(since)
	a.Token = "LIMIT"
	return a
}

// sortByArg is the choice between BYSCORE and BYLEX.
func sortByArg(since string) Arg {
	return aChoice("sortby", aToken("byscore", "BYSCORE", ""), aToken("bylex", "BYLEX", "")).optional().since(since)
}

var withScoresArg = aToken("withscores", "WITHSCORES", "").optional()

const rangeCost = "O(log N + M) with N the number of members of the sorted set and M the number of those returned."

var zrangeRow = Command{Name: "zrange", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrange,
	Group: GroupSortedSet, Since: "1.2.0", Complexity: rangeCost,
	Summary: "Returns the members of a sorted set in a range of ranks, scores or members.",
	History: []Change{{"6.2.0", "The options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."}},
	Keys:    oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aString("start"), aString("stop"), sortByArg("6.2.0"),
		aToken("rev", "REV", "6.2.0").optional(), limitArg("6.2.0"), withScoresArg}}

var zrangestoreRow = Command{Name: "zrangestore", Arity: -5, Flags: Write | DenyOOM, ACL: CatSortedSet, Handler: zrangestore,
	Group: GroupSortedSet, Since: "6.2.0",
	Complexity: "O(log N + M) with N the number of members of the sorted set and M the number of those stored.",
	Summary:    "Stores the members of a sorted set in a range of ranks, scores or members as another sorted set.",
	Keys: []KeySpec{{Flags: KeyOW | KeyUpdate, Index: 1, Step: 1},
		{Flags: KeyRO | KeyAccess, Index: 2, Step: 1}},
	Args: []Arg{aKey("dst"), {Name: "src", Type: ArgKey, Key: 1}, aString("min"), aString("max"), sortByArg(""),
		aToken("rev", "REV", "").optional(), limitArg("")}}

var zrevrangeRow = Command{Name: "zrevrange", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrevrange,
	Group: GroupSortedSet, Since: "1.2.0", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of ranks, counted from the highest score.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` argument",
	Keys: oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), anInt("start"), anInt("stop"), withScoresArg}}

var zrangebyscoreRow = Command{Name: "zrangebyscore", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrangebyscore,
	Group: GroupSortedSet, Since: "1.0.5", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of scores.",
	History:    []Change{{"2.0.0", "The option `WITHSCORES`."}},
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYSCORE` argument",
	Keys: oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aDouble("min"), aDouble("max"), withScoresArg.since("2.0.0"), limitArg("")}}

var zrevrangebyscoreRow = Command{Name: "zrevrangebyscore", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrevrangebyscore,
	Group: GroupSortedSet, Since: "2.2.0", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of scores, the highest first.",
	History:    []Change{{"2.1.6", "`min` and `max` may be exclusive."}},
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
	Keys: oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aDouble("max"), aDouble("min"), withScoresArg, limitArg("")}}

var zrangebylexRow = Command{Name: "zrangebylex", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrangebylex,
	Group: GroupSortedSet, Since: "2.8.9", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set between two texts.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYLEX` argument",
	Keys: oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aString("min"), aString("max"), limitArg("")}}

var zrevrangebylexRow = Command{Name: "zrevrangebylex", Arity: -4, Flags: ReadOnly, ACL: CatSortedSet, Handler: zrevrangebylex,
	Group: GroupSortedSet, Since: "2.8.9", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set between two texts, the highest first.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYLEX` arguments",
	Keys: oneKey(KeyRO | KeyAccess),
	Args: []Arg{aKey("key"), aString("max"), aString("min"), limitArg("")}}

var zcountRow = Command{Name: "zcount", Arity: 4, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zcount,
	Group: GroupSortedSet, Since: "2.0.0",
	Complexity: "O(log N) with N the number of members of the sorted set.",
	Summary:    "Returns how many members of a sorted set have scores in a range.",
	Keys:       oneKey(KeyRO | KeyAccess),
	Args:       []Arg{aKey("key"), aDouble("min"), aDouble("max")}}

var zlexcountRow = Command{Name: "zlexcount", Arity: 4, Flags: ReadOnly | Fast, ACL: CatSortedSet, Handler: zlexcount,
	Group: GroupSortedSet, Since: "2.8.9",
	Complexity: "O(log N) with N the number of members of the sorted set.",
	Summary:    "Returns how many members of a sorted set are between two texts.",
	Keys:       oneKey(KeyRO | KeyAccess),
	Args:       []Arg{aKey("key"), aString("min"), aString("max")}}

const remRangeCost = "O(log N + M) with N the number of members of the sorted set and M the number of those removed."

var zremrangebyrankRow = Command{Name: "zremrangebyrank", Arity: 4, Flags: Write, ACL: CatSortedSet, Handler: zremrangebyrank,
	Group: GroupSortedSet, Since: "2.0.0", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set in a range of ranks, and the set with its last one.",
	Keys:    oneKey(KeyRW | KeyDelete),
	Args:    []Arg{aKey("key"), anInt("start"), anInt("stop")}}

var zremrangebyscoreRow = Command{Name: "zremrangebyscore", Arity: 4, Flags: Write, ACL: CatSortedSet, Handler: zremrangebyscore,
	Group: GroupSortedSet, Since: "1.2.0", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set in a range of scores, and the set with its last one.",
	Keys:    oneKey(KeyRW | KeyDelete),
	Args:    []Arg{aKey("key"), aDouble("min"), aDouble("max")}}

var zremrangebylexRow = Command{Name: "zremrangebylex", Arity: 4, Flags: Write, ACL: CatSortedSet, Handler: zremrangebylex,
	Group: GroupSortedSet, Since: "2.8.9", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set between two texts, and the set with its last one.",
	Keys:    oneKey(KeyRW | KeyDelete),
	Args:    []Arg{aKey("key"), aString("min"), aString("max")}}

const (
	errScoreRange   = "ERR min or max is not a float"
	errLexRange     = "ERR min or max not valid string range item"
	errRankLimit    = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	errLexWithScore = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
)

// rangeKind is by what a range is given.
type rangeKind uint8

const (
	anyRange rangeKind = iota // as the options say
	rankRange
	scoreRange
	lexRange
)

// rangeSpec is a parsed range: the members of the scores, texts or ranks given, in descending order with rev; of those,
// as LIMIT says.
type rangeSpec struct {
	kind          rangeKind
	rev           bool
	start, stop   int
	scores        sortedset.ScoreRange
	lex           sortedset.LexRange
	offset, limit int
}

// span returns the members of z in the range.
func (s *rangeSpec) span(z *sortedset.SortedSet) sortedset.Span {
	switch s.kind {
	case scoreRange:
		return z.ScoreSpan(s.scores).Limit(s.offset, s.limit, s.rev)
	case lexRange:
		return z.LexSpan(s.lex, s.rev).Limit(s.offset, s.limit, s.rev)
	}
	return z.RankSpan(s.start, s.stop, s.rev)
}

// rangeEnds parses arguments i and i+1 as the ends of a range of the kind that the spec has; with rev and not ranks the
// upper end comes first. On failure it has replied.
func (c *Client) rangeEnds(i int, s *rangeSpec) bool {
	first, second := i, i+1
	if s.rev && s.kind != rankRange {
		first, second = second, first
	}
	switch s.kind {
	case scoreRange:
		return c.scoreEnds(first, second, &s.scores)
	case lexRange:
		return c.lexEnds(first, second, &s.lex)
	}
	start, ok := c.int64Arg(first)
	if !ok {
		return false
	}
	stop, ok := c.int64Arg(second)
	s.start, s.stop = int(start), int(stop)
	return ok
}

// scoreEnds parses two arguments as the ends of a range of scores. On failure it has replied.
func (c *Client) scoreEnds(low, high int, r *sortedset.ScoreRange) bool {
	var ok1, ok2 bool
	r.Min, r.MinEx, ok1 = scoreEnd(c.args[low])
	r.Max, r.MaxEx, ok2 = scoreEnd(c.args[high])
	if !ok1 || !ok2 {
		c.error(errScoreRange)
		return false
	}
	return true
}

// scoreEnd parses an end of a range of scores, which is exclusive behind a parenthesis. Numbers are read as by C's strtod
// alone, and so with less care than scores: blanks may precede them, nothing is 0, what is too large is infinite.
func scoreEnd(b []byte) (f float64, exclusive, ok bool) {
	if len(b) > 0 && b[0] == '(' {
		b, exclusive = b[1:], true
	}
	if f, ok = resp.ParseFloat(b); ok {
		return f, exclusive, true
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	if len(b) == 0 {
		return 0, exclusive, true
	}
	b = bytes.TrimLeft(b, " \t\n\v\f\r")
	if f, ok = resp.ParseFloat(b); ok {
		return f, exclusive, true
	}
	if bytes.IndexByte(b, '_') >= 0 {
		return 0, exclusive, false // Go's syntax, not C's
	}
	text := string(b)
	if bytes.ContainsAny(b, "xX") && !bytes.ContainsAny(b, "pP") {
		text += "p0" // which Go wants
	}
	f, err := strconv.ParseFloat(text, 64)
	ok = (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(f)
	return f, exclusive, ok
}

// lexEnds parses two arguments as the ends of a range of members. On failure it has replied.
func (c *Client) lexEnds(low, high int, r *sortedset.LexRange) bool {
	var ok1, ok2 bool
	r.Min, r.MinEnd, ok1 = lexEnd(c.args[low])
	r.Max, r.MaxEnd, ok2 = lexEnd(c.args[high])
	if !ok1 || !ok2 {
		c.error(errLexRange)
		return false
	}
	return true
}

// lexEnd parses an end of a range of members.
func lexEnd(b []byte) (member []byte, end zset.LexEnd, ok bool) {
	if len(b) == 0 {
		return nil, 0, false
	}
	switch b[0] {
	case '[':
		return b[1:], zset.Inclusive, true
	case '(':
		return b[1:], zset.Exclusive, true
	case '-':
		return nil, zset.Lowest, len(b) == 1 || b[1] == 0
	case '+':
		return nil, zset.Highest, len(b) == 1 || b[1] == 0
	}
	return nil, 0, false
}

func zrange(c *Client)           { c.zrange(anyRange, false) }
func zrevrange(c *Client)        { c.zrange(rankRange, true) }
func zrangebyscore(c *Client)    { c.zrange(scoreRange, false) }
func zrevrangebyscore(c *Client) { c.zrange(scoreRange, true) }
func zrangebylex(c *Client)      { c.zrange(lexRange, false) }
func zrevrangebylex(c *Client)   { c.zrange(lexRange, true) }

// rangeArgs parses a range and its options from argument i on. kind says by what it is, or that options may say so; only
// then may they also turn the order around. stored ranges have no WITHSCORES. On failure it has replied.
func (c *Client) rangeArgs(i int, kind rangeKind, rev, stored bool) (s rangeSpec, withScores, ok bool) {
	free := kind == anyRange
	s = rangeSpec{kind: kind, rev: rev, limit: -1}
	for j := i + 2; j < len(c.args); j++ {
		switch {
		case !stored && c.is(j, "withscores"):
			withScores = true
		case c.is(j, "limit") && j+2 < len(c.args):
			offset, ok := c.int64Arg(j + 1)
			if !ok {
				return s, false, false
			}
			limit, ok := c.int64Arg(j + 2)
			if !ok {
				return s, false, false
			}
			s.offset, s.limit = int(offset), int(limit)
			j += 2
		case free && !s.rev && c.is(j, "rev"):
			s.rev = true
		case s.kind == anyRange && c.is(j, "bylex"):
			s.kind = lexRange
		case s.kind == anyRange && c.is(j, "byscore"):
			s.kind = scoreRange
		default:
			c.error(errSyntax)
			return s, false, false
		}
	}
	if s.kind == anyRange {
		s.kind = rankRange
	}
	switch {
	case s.limit != -1 && s.kind == rankRange:
		c.error(errRankLimit)
		return s, false, false
	case withScores && s.kind == lexRange:
		c.error(errLexWithScore)
		return s, false, false
	}
	return s, withScores, c.rangeEnds(i, &s)
}

// zrange replies with a range of the sorted set that argument 1 names.
func (c *Client) zrange(kind rangeKind, rev bool) {
	s, withScores, ok := c.rangeArgs(2, kind, rev, false)
	if !ok {
		return
	}
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	if z == nil {
		c.w.Array(0)
		return
	}
	c.members(z, s.span(z), s.rev, withScores)
}

// members replies with the members of a span.
func (c *Client) members(z *sortedset.SortedSet, span sortedset.Span, rev, withScores bool) {
	c.scoredArray(span.Len(), withScores)
	it := z.Iter(span, rev)
	for {
		m, score, ok := it.Next()
		if !ok {
			return
		}
		c.scored(m, score, withScores)
	}
}

// scoredArray begins an array of n members. With scores, RESP3 has them in pairs, RESP2 one after the other.
func (c *Client) scoredArray(n int, withScores bool) {
	if withScores && !c.w.RESP3() {
		n *= 2
	}
	c.w.Array(n)
}

// scored replies with a member, an element of what scoredArray began.
func (c *Client) scored(m sortedset.Value, score float64, withScores bool) {
	if !withScores {
		c.bulkValue(m)
		return
	}
	if c.w.RESP3() {
		c.w.Array(2)
	}
	c.bulkValue(m)
	c.w.Double(score)
}

func zrangestore(c *Client) {
	s, _, ok := c.rangeArgs(3, anyRange, false, true)
	if !ok {
		return
	}
	z, ok := c.readZSet(c.args[2])
	if !ok {
		return
	}
	var recs []*record.Record
	if z != nil {
		span := s.span(z)
		recs = make([]*record.Record, 0, span.Len())
		for it := z.Iter(span, s.rev); ; {
			m, score, ok := it.Next()
			if !ok {
				break
			}
			var buf intText
			recs = append(recs, record.NewScore(bytesOf(m, &buf), score))
		}
	}
	if s.kind != rankRange || len(recs) <= c.srv.cfg.ZsetMaxListpackEntries {
		c.forgetSigns(recs)
	}
	c.storeZSet(c.args[1], recs, "zrangestore")
}

// forgetSigns makes -0 of the first records to 0. Redis builds the result of ZRANGESTORE in a listpack, which knows no
// -0, until it becomes too long for one (if it does not know beforehand that it will be).
func (c *Client) forgetSigns(recs []*record.Record) {
	rules := c.zsetRules()
	for i, r := range recs {
		if i >= rules.Entries || len(r.Key()) > rules.Value {
			return
		}
		if r.Score() == 0 {
			r.SetScore(0)
		}
	}
}

func zcount(c *Client)    { c.countRange(scoreRange) }
func zlexcount(c *Client) { c.countRange(lexRange) }

// countRange replies with the number of members in a range.
func (c *Client) countRange(kind rangeKind) {
	s := rangeSpec{kind: kind, limit: -1}
	if !c.rangeEnds(2, &s) {
		return
	}
	z, ok := c.readZSet(c.args[1])
	if !ok {
		return
	}
	n := 0
	if z != nil {
		n = s.span(z).Len()
	}
	c.w.Int(int64(n))
}

func zremrangebyrank(c *Client)  { c.removeRange(rankRange, "zremrangebyrank") }
func zremrangebyscore(c *Client) { c.removeRange(scoreRange, "zremrangebyscore") }
func zremrangebylex(c *Client)   { c.removeRange(lexRange, "zremrangebylex") }

// removeRange removes the members in a range.
func (c *Client) removeRange(kind rangeKind, event string) {
	s := rangeSpec{kind: kind, limit: -1}
	if !c.rangeEnds(2, &s) {
		return
	}
	r, ok := c.writeTyped(c.args[1], record.ZSet)
	if !ok {
		return
	}
	n := 0
	if z := valueOf[sortedset.SortedSet](r); z != nil {
		span := s.span(z)
		if n = span.Len(); n > 0 {
			r, z = own[sortedset.SortedSet](c, r)
			before := z.Size()
			z.RemoveSpan(span)
			c.shrunk(r, z, before, n, config.NotifyZset, event)
		}
	}
	c.w.Int(int64(n))
}
