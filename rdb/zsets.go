package rdb

import (
	"bytes"
	"math"
	"strconv"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/zset"
)

const (
	reasonTwiceInZSet = "Duplicate zset fields detected"
	reasonNaN         = "Zset with NAN score detected"
)

func (d *decoder) zset(t Type) *sortedset.SortedSet {
	rules := d.rules.ZSet
	switch t {
	case typeZSetListpack:
		return d.packedZSet(d.pack(2), true)
	case typeZSetZiplist:
		return d.packedZSet(d.ziplistPairs("Zset ziplist").ShrinkToFit(), false)
	}
	n := d.length()
	if n == 0 {
		return nil
	}
	recs := make([]*record.Record, 0, min(n, 1024))
	for ; n > 0; n-- {
		d.scratch = append(d.scratch[:0], d.string()...)
		var score float64
		if t == typeZSet2 {
			score = math.Float64frombits(d.uint64())
		} else {
			score = d.score()
		}
		if score != score {
			d.fail(reasonNaN)
		}
		recs = append(recs, record.NewScore(d.scratch, score))
	}
	return d.builtZSet(recs, rules)
}

// builtZSet returns the sorted set of these members.
func (d *decoder) builtZSet(recs []*record.Record, rules sortedset.Rules) *sortedset.SortedSet {
	if len(recs) <= rules.Entries {
		d.seen.reset(len(recs))
		for _, r := range recs {
			if !d.seen.add(r.Key()) {
				d.fail(reasonTwiceInZSet)
			}
		}
		return sortedset.Build(recs, rules, d.gen)
	}
	z, err := zset.Build(d.gen, recs)
	if err != nil {
		d.fail(reasonTwiceInZSet)
	}
	return sortedset.FromZSet(z, d.gen)
}

// packedZSet returns the set of a listpack of members and scores. If check, it checks that members are different; it always
// checks that scores are numbers. A sorted set that becomes large relies on both. Members that are not in order are sorted.
func (d *decoder) packedZSet(lp listpack.Listpack, check bool) *sortedset.SortedSet {
	rules := d.rules.ZSet
	if check {
		lp = d.unique(lp, 2, scoreTwice)
	}
	n := lp.Len() / 2
	if n == 0 {
		return nil
	}
	ordered := n <= rules.Entries
	var buf, lastBuf [20]byte
	var last []byte
	lastScore := math.Inf(-1)
	for p := listpack.HeaderSize; p != lp.End(); {
		var member, v listpack.Value
		member, p = lp.Read(p)
		v, p = lp.Read(p)
		score := d.packedScore(v)
		b := elementText(member, buf[:0])
		if score < lastScore || score == lastScore && last != nil && bytes.Compare(last, b) >= 0 {
			ordered = false
		}
		lastScore = score
		if last = b; member.Str == nil {
			last = append(lastBuf[:0], b...)
		}
	}
	if ordered {
		return sortedset.FromListpack(lp, d.gen)
	}
	recs := make([]*record.Record, 0, n)
	for p := listpack.HeaderSize; p != lp.End(); {
		var member, v listpack.Value
		member, p = lp.Read(p)
		v, p = lp.Read(p)
		recs = append(recs, record.NewScore(elementText(member, buf[:0]), d.packedScore(v)))
	}
	return d.builtZSet(recs, rules)
}

// packedScore returns the score of an element of a listpack.
func (d *decoder) packedScore(v listpack.Value) float64 {
	if v.Str == nil {
		return float64(v.Int)
	}
	f, err := strconv.ParseFloat(string(v.Str), 64)
	if f != f || err != nil && !math.IsInf(f, 0) {
		d.failf("Zset listpack integrity check failed: score %q", v.Str)
	}
	return f
}
