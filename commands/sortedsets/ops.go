package sortedsets

import (
	"math"
	"slices"

	"ferrous/commands/session"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/table"
	"ferrous/datatypes/zset"
	"ferrous/eventloop/resp"
)

// The commands that combine sorted sets: union, intersection, difference, and their storing forms. Sets may be inputs, too,
// with scores of 1.
//
// The inputs are only read. A result is a list of member records (record.NewScore); when it is complete, the reply or the
// stored sorted set is made of it, so that the destination may be among the inputs. The last digits of sums depend on the
// order of additions; it is that of Redis: the smallest input first, inputs of the same size in the given order.

var zunionRow = session.Command{Name: "zunion", Arity: -3, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSortedSet, Handler: zunion,
	Group: session.GroupSortedSet, Since: "6.2.0", Complexity: zunionCost,
	Summary: "Returns the members that any of the sorted sets has, with their scores added up.",
	Keys:    numKeysSpec,
	Args:    append(combineArgs(0), withScoresArg)}

var zunionstoreRow = session.Command{Name: "zunionstore", Arity: -4, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatSortedSet, Handler: zunionstore,
	Group: session.GroupSortedSet, Since: "2.0.0", Complexity: zunionCost,
	Summary: "Stores the members that any of the sorted sets has, with their scores added up.",
	Keys:    zstoreKeys,
	Args:    append([]session.Arg{session.KeyArg("destination")}, combineArgs(1)...)}

var zinterRow = session.Command{Name: "zinter", Arity: -3, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSortedSet, Handler: zinter,
	Group: session.GroupSortedSet, Since: "6.2.0", Complexity: zinterCost,
	Summary: "Returns the members that all of the sorted sets have, with their scores added up.",
	Keys:    numKeysSpec,
	Args:    append(combineArgs(0), withScoresArg)}

var zinterstoreRow = session.Command{Name: "zinterstore", Arity: -4, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatSortedSet, Handler: zinterstore,
	Group: session.GroupSortedSet, Since: "2.0.0", Complexity: zinterCost,
	Summary: "Stores the members that all of the sorted sets have, with their scores added up.",
	Keys:    zstoreKeys,
	Args:    append([]session.Arg{session.KeyArg("destination")}, combineArgs(1)...)}

var zintercardRow = session.Command{Name: "zintercard", Arity: -3, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSortedSet, Handler: zintercard,
	Group: session.GroupSortedSet, Since: "7.0.0",
	Complexity: "O(N*K) at worst, with N the number of members of the smallest sorted set and K the number of sets.",
	Summary:    "Returns how many members all of the sorted sets have.",
	Keys:       numKeysSpec,
	Args: []session.Arg{session.IntArg("numkeys"), session.KeyArg("key").Many(),
		session.TokenArg("limit", session.ArgInteger, "LIMIT", "").Opt()}}

var zdiffRow = session.Command{Name: "zdiff", Arity: -3, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSortedSet, Handler: zdiff,
	Group: session.GroupSortedSet, Since: "6.2.0", Complexity: zdiffCost,
	Summary: "Returns the members of a sorted set that are in none of the others.",
	Keys:    numKeysSpec,
	Args:    []session.Arg{session.IntArg("numkeys"), session.KeyArg("key").Many(), withScoresArg}}

var zdiffstoreRow = session.Command{Name: "zdiffstore", Arity: -4, Flags: session.Write | session.DenyOOM | session.MovableKeys, ACL: session.CatSortedSet, Handler: zdiffstore,
	Group: session.GroupSortedSet, Since: "6.2.0", Complexity: zdiffCost,
	Summary: "Stores the members of a sorted set that are in none of the others.",
	Keys:    zstoreKeys,
	Args:    []session.Arg{session.KeyArg("destination"), session.IntArg("numkeys"), {Name: "key", Type: session.ArgKey, Key: 1, Multiple: true}}}

const (
	zunionCost = "O(N + M*log M) with N the number of members of all the sorted sets and M that of the result."
	zinterCost = "O(N*K + M*log M) at worst, with N the number of members of the smallest sorted set, K the number of sets " +
		"and M the number of members of the result."
	zdiffCost = "O(N + M*log M) with N the number of members of all the sorted sets and M that of the result."
)

var (
	numKeysSpec = []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Index: 1, FirstKey: 1, NumStep: 1}}
	zstoreKeys  = []session.KeySpec{{Flags: session.KeyOW | session.KeyUpdate, Index: 1, Step: 1},
		{Flags: session.KeyRO | session.KeyAccess, Index: 2, FirstKey: 1, NumStep: 1}}
)

// combineArgs are the arguments from numkeys on; the keys are found by that key spec.
func combineArgs(spec int) []session.Arg {
	return []session.Arg{session.IntArg("numkeys"), {Name: "key", Type: session.ArgKey, Key: spec, Multiple: true},
		session.TokenArg("weight", session.ArgInteger, "WEIGHTS", "").Opt().Many(),
		{Name: "aggregate", Type: session.ArgOneOf, Token: "AGGREGATE", Optional: true,
			Args: []session.Arg{session.TokenWord("sum", "SUM", ""), session.TokenWord("min", "MIN", ""), session.TokenWord("max", "MAX", "")}}}
}

const errWeight = "ERR weight value is not a float"

func errNoInputKeys(cmd string) string {
	return "ERR at least 1 input key is needed for '" + cmd + "' command"
}

// An input is a sorted set or a set that takes part in a combination.
type input struct {
	z      *sortedset.SortedSet
	s      *dset.Set
	weight float64
}

func (in *input) len() int {
	switch {
	case in.z != nil:
		return in.z.Len()
	case in.s != nil:
		return in.s.Len()
	}
	return 0
}

// same reports whether both are the value of one key.
func (in *input) same(other *input) bool { return in.z == other.z && in.s == other.s }

// each calls fn for every member until fn returns false, and reports whether it called fn for all.
func (in *input) each(fn func(m sortedset.Value, score float64) bool) bool {
	whole := true
	switch {
	case in.z != nil:
		in.z.Each(func(m sortedset.Value, score float64) bool {
			whole = fn(m, score)
			return whole
		})
	case in.s != nil:
		return in.s.Each(func(m dset.Value) bool { return fn(m, 1) })
	}
	return whole
}

// score returns the score of a member.
func (in *input) score(member []byte) (float64, bool) {
	switch {
	case in.z != nil:
		return in.z.Score(member)
	case in.s != nil:
		return 1, in.s.Has(member)
	}
	return 0, false
}

// aggregate is the function that combines the scores of a member in several inputs.
type aggregate uint8

const (
	aggregateSum aggregate = iota
	aggregateMin
	aggregateMax
)

// with returns the aggregate of two scores. Infinities of both signs add up to 0.
func (a aggregate) with(f, g float64) float64 {
	switch a {
	case aggregateMin:
		if g < f {
			return g
		}
		return f
	case aggregateMax:
		if g > f {
			return g
		}
		return f
	}
	return number(f + g)
}

// number returns f, or 0 if it is NaN.
func number(f float64) float64 {
	if f != f {
		return 0
	}
	return f
}

// combineKind is the set of options that a command has.
type combineKind uint8

const (
	takesWeights combineKind = 1 << iota // WEIGHTS and AGGREGATE
	takesScores                          // WITHSCORES
	takesLimit                           // LIMIT
)

// combination has the parsed arguments of ZUNION and its relatives.
type combination struct {
	inputs     []input
	aggregate  aggregate
	withScores bool
	limit      int64 // math.MaxInt64 = none
}

// parseCombination parses the arguments from numkeys, number i, on and reads the inputs. On failure it has replied.
func parseCombination(c *session.Client, i int, kind combineKind) (cb combination, ok bool) {
	cb.limit = math.MaxInt64
	n, ok := c.Int64Arg(i)
	if !ok {
		return cb, false
	}
	if n < 1 {
		c.Error(errNoInputKeys(c.Cmd.Full))
		return cb, false
	}
	i++
	if n > int64(len(c.Args)-i) {
		c.Error(session.ErrSyntax)
		return cb, false
	}
	cb.inputs = make([]input, n)
	for j := range cb.inputs {
		in := &cb.inputs[j]
		in.weight = 1
		r := c.Read(c.Args[i+j])
		switch {
		case r == nil:
		case r.Type() == record.ZSet:
			in.z = session.ValueOf[sortedset.SortedSet](c, r)
		case r.Type() == record.Set:
			in.s = session.ValueOf[dset.Set](c, r)
		default:
			c.Error(session.ErrWrongType)
			return cb, false
		}
	}
	return cb, combineOptions(c, i+int(n), kind, &cb)
}

// combineOptions parses the options from argument i on. On failure it has replied.
func combineOptions(c *session.Client, i int, kind combineKind, cb *combination) bool {
	for i < len(c.Args) {
		left := len(c.Args) - i
		switch {
		case kind&takesWeights != 0 && left > len(cb.inputs) && c.Is(i, "weights"):
			for j := range cb.inputs {
				w, ok := resp.ParseFloat(c.Args[i+1+j])
				if !ok {
					c.Error(errWeight)
					return false
				}
				cb.inputs[j].weight = w
			}
			i += 1 + len(cb.inputs)
		case kind&takesWeights != 0 && left >= 2 && c.Is(i, "aggregate"):
			switch {
			case c.Is(i+1, "sum"):
				cb.aggregate = aggregateSum
			case c.Is(i+1, "min"):
				cb.aggregate = aggregateMin
			case c.Is(i+1, "max"):
				cb.aggregate = aggregateMax
			default:
				c.Error(session.ErrSyntax)
				return false
			}
			i += 2
		case kind&takesScores != 0 && c.Is(i, "withscores"):
			cb.withScores = true
			i++
		case kind&takesLimit != 0 && left >= 2 && c.Is(i, "limit"):
			n, ok := c.AtLeast(i+1, 0, session.ErrLimit)
			if !ok {
				return false
			}
			if cb.limit = n; n == 0 {
				cb.limit = math.MaxInt64
			}
			i += 2
		default:
			c.Error(session.ErrSyntax)
			return false
		}
	}
	return true
}

// sortInputs puts the smallest input first.
func (cb *combination) sortInputs() {
	slices.SortStableFunc(cb.inputs, func(a, b input) int { return a.len() - b.len() })
}

// union returns the members of all inputs.
func union(c *session.Client, cb *combination) []*record.Record {
	cb.sortInputs()
	t := table.New(c.Gen())
	recs := make([]*record.Record, 0, cb.inputs[len(cb.inputs)-1].len())
	for i := range cb.inputs {
		in := &cb.inputs[i]
		in.each(func(m sortedset.Value, score float64) bool {
			var buf session.IntText
			member := session.BytesOf(m, &buf)
			score = number(score * in.weight)
			hash := table.Hash(member)
			if r := t.Get(hash, member); r != nil {
				r.SetScore(cb.aggregate.with(r.Score(), score))
				return true
			}
			r := record.NewScore(member, score)
			t.Insert(hash, r)
			recs = append(recs, r)
			return true
		})
	}
	return recs
}

// intersection calls fn for each member that all inputs have, until it returns false.
func (cb *combination) intersection(fn func(member []byte, score float64) bool) {
	cb.sortInputs()
	first := &cb.inputs[0]
	first.each(func(m sortedset.Value, own float64) bool {
		var buf session.IntText
		member := session.BytesOf(m, &buf)
		score := number(own * first.weight)
		for i := range cb.inputs[1:] {
			in := &cb.inputs[i+1]
			value, ok := own, true
			if !in.same(first) {
				value, ok = in.score(member)
			}
			if !ok {
				return true
			}
			score = cb.aggregate.with(score, value*in.weight)
		}
		return fn(member, score)
	})
}

// intersected returns the members that all inputs have.
func (cb *combination) intersected() []*record.Record {
	var recs []*record.Record
	cb.intersection(func(member []byte, score float64) bool {
		recs = append(recs, record.NewScore(member, score))
		return true
	})
	return recs
}

// difference returns the members of the first input that are in no other.
func difference(c *session.Client, cb *combination) []*record.Record {
	first, others := &cb.inputs[0], cb.inputs[1:]
	// Either look up each member of the first input in the others, or remove the members of the others from a copy of the
	// first.
	lookups, members := 0, 0
	for i := range cb.inputs {
		in := &cb.inputs[i]
		if i > 0 && in.same(first) {
			return nil
		}
		if in.len() > 0 {
			lookups += first.len()
			members += in.len()
		}
	}
	var recs []*record.Record
	if lookups/2 <= members {
		slices.SortStableFunc(others, func(a, b input) int { return b.len() - a.len() })
		first.each(func(m sortedset.Value, score float64) bool {
			var buf session.IntText
			member := session.BytesOf(m, &buf)
			for i := range others {
				if _, ok := others[i].score(member); ok {
					return true
				}
			}
			recs = append(recs, record.NewScore(member, score))
			return true
		})
		return recs
	}
	t := table.New(c.Gen())
	first.each(func(m sortedset.Value, score float64) bool {
		var buf session.IntText
		member := session.BytesOf(m, &buf)
		t.Insert(table.Hash(member), record.NewScore(member, score))
		return true
	})
	for i := range others {
		if !others[i].each(func(m sortedset.Value, _ float64) bool {
			var buf session.IntText
			member := session.BytesOf(m, &buf)
			hash := table.Hash(member)
			if r := t.Get(hash, member); r != nil {
				t.Delete(hash, r)
			}
			return t.Len() > 0
		}) {
			break
		}
	}
	t.Each(func(r *record.Record) bool {
		recs = append(recs, r)
		return true
	})
	return recs
}

// combined replies with the members of a result in their order.
func combined(c *session.Client, recs []*record.Record, withScores bool) {
	slices.SortFunc(recs, zset.Compare)
	c.PairArray(len(recs), withScores)
	for _, r := range recs {
		scored(c, sortedset.Value{Str: r.Key()}, r.Score(), withScores)
	}
}

func zunion(c *session.Client) {
	if cb, ok := parseCombination(c, 1, takesWeights|takesScores); ok {
		combined(c, union(c, &cb), cb.withScores)
	}
}

func zunionstore(c *session.Client) {
	if cb, ok := parseCombination(c, 2, takesWeights); ok {
		storeZSet(c, c.Args[1], union(c, &cb), "zunionstore")
	}
}

func zinter(c *session.Client) {
	if cb, ok := parseCombination(c, 1, takesWeights|takesScores); ok {
		combined(c, cb.intersected(), cb.withScores)
	}
}

func zinterstore(c *session.Client) {
	if cb, ok := parseCombination(c, 2, takesWeights); ok {
		storeZSet(c, c.Args[1], cb.intersected(), "zinterstore")
	}
}

func zintercard(c *session.Client) {
	cb, ok := parseCombination(c, 1, takesLimit)
	if !ok {
		return
	}
	n := int64(0)
	cb.intersection(func([]byte, float64) bool {
		n++
		return n < cb.limit
	})
	c.W.Int(n)
}

func zdiff(c *session.Client) {
	if cb, ok := parseCombination(c, 1, takesScores); ok {
		combined(c, difference(c, &cb), cb.withScores)
	}
}

func zdiffstore(c *session.Client) {
	if cb, ok := parseCombination(c, 2, 0); ok {
		storeZSet(c, c.Args[1], difference(c, &cb), "zdiffstore")
	}
}
