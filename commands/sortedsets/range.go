package sortedsets

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/zset"
	"ferrous/eventloop/resp"
)

// Sorted-set commands that select a range of ranks, scores or members. Every range becomes a span of ranks, which is then
// counted, returned, stored or removed.

// limitArg is the option LIMIT.
func limitArg(since string) session.Arg {
	a := session.BlockOf("limit", session.IntArg("offset"), session.IntArg("count")).Opt().From(since)
	a.Token = "LIMIT"
	return a
}

// sortByArg is the argument BYSCORE or BYLEX.
func sortByArg(since string) session.Arg {
	return session.OneOf("sortby", session.TokenWord("byscore", "BYSCORE", ""), session.TokenWord("bylex", "BYLEX", "")).Opt().From(since)
}

var withScoresArg = session.TokenWord("withscores", "WITHSCORES", "").Opt()

const rangeCost = "O(log N + M) with N the number of members of the sorted set and M the number of those returned."

var zrangeRow = session.Command{Name: "zrange", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrange,
	Group: session.GroupSortedSet, Since: "1.2.0", Complexity: rangeCost,
	Summary: "Returns the members of a sorted set in a range of ranks, scores or members.",
	History: []session.Change{{"6.2.0", "The options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."}},
	Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.StringArg("start"), session.StringArg("stop"), sortByArg("6.2.0"),
		session.TokenWord("rev", "REV", "6.2.0").Opt(), limitArg("6.2.0"), withScoresArg}}

var zrangestoreRow = session.Command{Name: "zrangestore", Arity: -5, Flags: session.Write | session.DenyOOM, ACL: session.CatSortedSet, Handler: zrangestore,
	Group: session.GroupSortedSet, Since: "6.2.0",
	Complexity: "O(log N + M) with N the number of members of the sorted set and M the number of those stored.",
	Summary:    "Stores the members of a sorted set in a range of ranks, scores or members as another sorted set.",
	Keys: []session.KeySpec{{Flags: session.KeyOW | session.KeyUpdate, Index: 1, Step: 1},
		{Flags: session.KeyRO | session.KeyAccess, Index: 2, Step: 1}},
	Args: []session.Arg{session.KeyArg("dst"), {Name: "src", Type: session.ArgKey, Key: 1}, session.StringArg("min"), session.StringArg("max"), sortByArg(""),
		session.TokenWord("rev", "REV", "").Opt(), limitArg("")}}

var zrevrangeRow = session.Command{Name: "zrevrange", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrevrange,
	Group: session.GroupSortedSet, Since: "1.2.0", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of ranks, counted from the highest score.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` argument",
	Keys: session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("stop"), withScoresArg}}

var zrangebyscoreRow = session.Command{Name: "zrangebyscore", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrangebyscore,
	Group: session.GroupSortedSet, Since: "1.0.5", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of scores.",
	History:    []session.Change{{"2.0.0", "The option `WITHSCORES`."}},
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYSCORE` argument",
	Keys: session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.DoubleArg("min"), session.DoubleArg("max"), withScoresArg.From("2.0.0"), limitArg("")}}

var zrevrangebyscoreRow = session.Command{Name: "zrevrangebyscore", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrevrangebyscore,
	Group: session.GroupSortedSet, Since: "2.2.0", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set in a range of scores, the highest first.",
	History:    []session.Change{{"2.1.6", "`min` and `max` may be exclusive."}},
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
	Keys: session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.DoubleArg("max"), session.DoubleArg("min"), withScoresArg, limitArg("")}}

var zrangebylexRow = session.Command{Name: "zrangebylex", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrangebylex,
	Group: session.GroupSortedSet, Since: "2.8.9", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set between two texts.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `BYLEX` argument",
	Keys: session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.StringArg("min"), session.StringArg("max"), limitArg("")}}

var zrevrangebylexRow = session.Command{Name: "zrevrangebylex", Arity: -4, Flags: session.ReadOnly, ACL: session.CatSortedSet, Handler: zrevrangebylex,
	Group: session.GroupSortedSet, Since: "2.8.9", Complexity: rangeCost,
	Summary:    "Returns the members of a sorted set between two texts, the highest first.",
	Deprecated: "6.2.0", ReplacedBy: "`ZRANGE` with the `REV` and `BYLEX` arguments",
	Keys: session.OneKey(session.KeyRO | session.KeyAccess),
	Args: []session.Arg{session.KeyArg("key"), session.StringArg("max"), session.StringArg("min"), limitArg("")}}

var zcountRow = session.Command{Name: "zcount", Arity: 4, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zcount,
	Group: session.GroupSortedSet, Since: "2.0.0",
	Complexity: "O(log N) with N the number of members of the sorted set.",
	Summary:    "Returns how many members of a sorted set have scores in a range.",
	Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
	Args:       []session.Arg{session.KeyArg("key"), session.DoubleArg("min"), session.DoubleArg("max")}}

var zlexcountRow = session.Command{Name: "zlexcount", Arity: 4, Flags: session.ReadOnly | session.Fast, ACL: session.CatSortedSet, Handler: zlexcount,
	Group: session.GroupSortedSet, Since: "2.8.9",
	Complexity: "O(log N) with N the number of members of the sorted set.",
	Summary:    "Returns how many members of a sorted set are between two texts.",
	Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
	Args:       []session.Arg{session.KeyArg("key"), session.StringArg("min"), session.StringArg("max")}}

const remRangeCost = "O(log N + M) with N the number of members of the sorted set and M the number of those removed."

var zremrangebyrankRow = session.Command{Name: "zremrangebyrank", Arity: 4, Flags: session.Write, ACL: session.CatSortedSet, Handler: zremrangebyrank,
	Group: session.GroupSortedSet, Since: "2.0.0", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set in a range of ranks, and the set with its last one.",
	Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
	Args:    []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("stop")}}

var zremrangebyscoreRow = session.Command{Name: "zremrangebyscore", Arity: 4, Flags: session.Write, ACL: session.CatSortedSet, Handler: zremrangebyscore,
	Group: session.GroupSortedSet, Since: "1.2.0", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set in a range of scores, and the set with its last one.",
	Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
	Args:    []session.Arg{session.KeyArg("key"), session.DoubleArg("min"), session.DoubleArg("max")}}

var zremrangebylexRow = session.Command{Name: "zremrangebylex", Arity: 4, Flags: session.Write, ACL: session.CatSortedSet, Handler: zremrangebylex,
	Group: session.GroupSortedSet, Since: "2.8.9", Complexity: remRangeCost,
	Summary: "Removes the members of a sorted set between two texts, and the set with its last one.",
	Keys:    session.OneKey(session.KeyRW | session.KeyDelete),
	Args:    []session.Arg{session.KeyArg("key"), session.StringArg("min"), session.StringArg("max")}}

const (
	errScoreRange   = "ERR min or max is not a float"
	errLexRange     = "ERR min or max not valid string range item"
	errRankLimit    = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	errLexWithScore = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
)

// rangeKind is the kind of a range's ends.
type rangeKind uint8

const (
	anyRange rangeKind = iota // the options decide
	rankRange
	scoreRange
	lexRange
)

// rangeSpec is a parsed range of scores, members or ranks, in descending order if rev, with LIMIT.
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

// rangeEnds parses arguments i and i+1 as the ends of a range of the spec's kind; if rev, and for other kinds than ranks, the
// upper end is first. On failure it has replied.
func rangeEnds(c *session.Client, i int, s *rangeSpec) bool {
	first, second := i, i+1
	if s.rev && s.kind != rankRange {
		first, second = second, first
	}
	switch s.kind {
	case scoreRange:
		return scoreEnds(c, first, second, &s.scores)
	case lexRange:
		return lexEnds(c, first, second, &s.lex)
	}
	start, ok := c.Int64Arg(first)
	if !ok {
		return false
	}
	stop, ok := c.Int64Arg(second)
	s.start, s.stop = int(start), int(stop)
	return ok
}

// scoreEnds parses two arguments as the ends of a range of scores. On failure it has replied.
func scoreEnds(c *session.Client, low, high int, r *sortedset.ScoreRange) bool {
	var ok1, ok2 bool
	r.Min, r.MinEx, ok1 = scoreEnd(c.Args[low])
	r.Max, r.MaxEx, ok2 = scoreEnd(c.Args[high])
	if !ok1 || !ok2 {
		c.Error(errScoreRange)
		return false
	}
	return true
}

// scoreEnd parses an end of a range of scores, which is exclusive behind a parenthesis. Numbers are converted as by C's
// strtod, which accepts more than scores allow: blanks may precede them, an empty text is 0, and a number that is too large
// is infinite.
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
		text += "p0" // required by Go
	}
	f, err := strconv.ParseFloat(text, 64)
	ok = (err == nil || errors.Is(err, strconv.ErrRange)) && !math.IsNaN(f)
	return f, exclusive, ok
}

// lexEnds parses two arguments as the ends of a range of members. On failure it has replied.
func lexEnds(c *session.Client, low, high int, r *sortedset.LexRange) bool {
	var ok1, ok2 bool
	r.Min, r.MinEnd, ok1 = lexEnd(c.Args[low])
	r.Max, r.MaxEnd, ok2 = lexEnd(c.Args[high])
	if !ok1 || !ok2 {
		c.Error(errLexRange)
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

func zrange(c *session.Client)           { replyRange(c, anyRange, false) }
func zrevrange(c *session.Client)        { replyRange(c, rankRange, true) }
func zrangebyscore(c *session.Client)    { replyRange(c, scoreRange, false) }
func zrevrangebyscore(c *session.Client) { replyRange(c, scoreRange, true) }
func zrangebylex(c *session.Client)      { replyRange(c, lexRange, false) }
func zrevrangebylex(c *session.Client)   { replyRange(c, lexRange, true) }

// rangeArgs parses a range and its options from argument i on. kind is the kind of the range; for anyRange the options
// decide, which then may also reverse the order. stored ranges have no WITHSCORES. On failure it has replied.
func rangeArgs(c *session.Client, i int, kind rangeKind, rev, stored bool) (s rangeSpec, withScores, ok bool) {
	free := kind == anyRange
	s = rangeSpec{kind: kind, rev: rev, limit: -1}
	for j := i + 2; j < len(c.Args); j++ {
		switch {
		case !stored && c.Is(j, "withscores"):
			withScores = true
		case c.Is(j, "limit") && j+2 < len(c.Args):
			offset, ok := c.Int64Arg(j + 1)
			if !ok {
				return s, false, false
			}
			limit, ok := c.Int64Arg(j + 2)
			if !ok {
				return s, false, false
			}
			s.offset, s.limit = int(offset), int(limit)
			j += 2
		case free && !s.rev && c.Is(j, "rev"):
			s.rev = true
		case s.kind == anyRange && c.Is(j, "bylex"):
			s.kind = lexRange
		case s.kind == anyRange && c.Is(j, "byscore"):
			s.kind = scoreRange
		default:
			c.Error(session.ErrSyntax)
			return s, false, false
		}
	}
	if s.kind == anyRange {
		s.kind = rankRange
	}
	switch {
	case s.limit != -1 && s.kind == rankRange:
		c.Error(errRankLimit)
		return s, false, false
	case withScores && s.kind == lexRange:
		c.Error(errLexWithScore)
		return s, false, false
	}
	return s, withScores, rangeEnds(c, i, &s)
}

// replyRange replies with a range of the sorted set at key argument 1.
func replyRange(c *session.Client, kind rangeKind, rev bool) {
	s, withScores, ok := rangeArgs(c, 2, kind, rev, false)
	if !ok {
		return
	}
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	if z == nil {
		c.W.Array(0)
		return
	}
	members(c, z, s.span(z), s.rev, withScores)
}

// members replies with the members of a span.
func members(c *session.Client, z *sortedset.SortedSet, span sortedset.Span, rev, withScores bool) {
	c.PairArray(span.Len(), withScores)
	eachMember(c, z, span, rev, withScores)
}

// eachMember replies with each member of a span, as elements of the array that PairArray began.
func eachMember(c *session.Client, z *sortedset.SortedSet, span sortedset.Span, rev, withScores bool) {
	it := z.Iter(span, rev)
	for {
		m, score, ok := it.Next()
		if !ok {
			return
		}
		scored(c, m, score, withScores)
	}
}

// scored replies with a member, as an element of the array that PairArray began.
func scored(c *session.Client, m sortedset.Value, score float64, withScores bool) {
	if !withScores {
		c.BulkValue(m)
		return
	}
	if c.W.RESP3() {
		c.W.Array(2)
	}
	c.BulkValue(m)
	c.W.Double(score)
}

func zrangestore(c *session.Client) {
	s, _, ok := rangeArgs(c, 3, anyRange, false, true)
	if !ok {
		return
	}
	z, ok := readZSet(c, c.Args[2])
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
			var buf session.IntText
			recs = append(recs, record.NewScore(session.BytesOf(m, &buf), score))
		}
	}
	if s.kind != rankRange || len(recs) <= c.Core.Config.ZsetMaxListpackEntries {
		forgetSigns(c, recs)
	}
	storeZSet(c, c.Args[1], recs, "zrangestore")
}

// forgetSigns changes -0 to 0 in the first records. Redis builds the result of ZRANGESTORE in a listpack, which has no -0,
// until the result becomes too long (unless it knows before that it will be too long).
func forgetSigns(c *session.Client, recs []*record.Record) {
	rules := c.ZsetRules()
	for i, r := range recs {
		if i >= rules.Entries || len(r.Key()) > rules.Value {
			return
		}
		if r.Score() == 0 {
			r.SetScore(0)
		}
	}
}

func zcount(c *session.Client)    { countRange(c, scoreRange) }
func zlexcount(c *session.Client) { countRange(c, lexRange) }

// countRange replies with the number of members in a range.
func countRange(c *session.Client, kind rangeKind) {
	s := rangeSpec{kind: kind, limit: -1}
	if !rangeEnds(c, 2, &s) {
		return
	}
	z, ok := readZSet(c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if z != nil {
		n = s.span(z).Len()
	}
	c.W.Int(int64(n))
}

func zremrangebyrank(c *session.Client)  { removeRange(c, rankRange, "zremrangebyrank") }
func zremrangebyscore(c *session.Client) { removeRange(c, scoreRange, "zremrangebyscore") }
func zremrangebylex(c *session.Client)   { removeRange(c, lexRange, "zremrangebylex") }

// removeRange removes the members in a range.
func removeRange(c *session.Client, kind rangeKind, event string) {
	s := rangeSpec{kind: kind, limit: -1}
	if !rangeEnds(c, 2, &s) {
		return
	}
	r, ok := c.WriteTyped(c.Args[1], record.ZSet)
	if !ok {
		return
	}
	n := 0
	if z := session.ValueOf[sortedset.SortedSet](c, r); z != nil {
		span := s.span(z)
		if n = span.Len(); n > 0 {
			edit := session.BeginEdit[sortedset.SortedSet](c, r)
			edit.Value.RemoveSpan(span)
			edit.Shrunk(n, config.NotifyZset, event)
		}
	}
	c.W.Int(int64(n))
}
