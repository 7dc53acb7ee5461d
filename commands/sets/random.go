package sets

import (
	"bytes"
	"unsafe"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
)

// SPOP and SRANDMEMBER.
//
// SPOP is propagated as SREM with the members that it removed, so that replicas remove the same ones, or as a deletion of the
// key if it removed all members.

var wordSRem = []byte("SREM")

func spop(c *session.Client) {
	if len(c.Args) == 3 {
		popMembers(c)
		return
	}
	if len(c.Args) > 3 {
		c.Error(session.ErrSyntax)
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Set)
	if !ok {
		return
	}
	if r == nil {
		c.W.Null()
		return
	}
	edit := session.BeginEdit[dset.Set](c, r)
	s := edit.Value
	v := s.Random(c.Core.Keyspace.Random)
	c.BulkValue(v)
	if c.Propagates() {
		c.Rewrite(wordSRem, key, v.AppendTo(nil))
	}
	s.RemoveValue(v)
	edit.Shrunk(1, config.NotifySet, "spop")
}

// popFew says how SPOP takes n members from a set: if n is less than popFew times the remaining ones, it removes them from
// the set, otherwise it makes a new set of the remaining ones. The limit is Redis's, since the new set may have a smaller
// form.
const popFew = 5

// popMembers is SPOP with a count.
func popMembers(c *session.Client) {
	count, ok := c.NotNegative(2)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Set)
	if !ok {
		return
	}
	if r == nil || count == 0 {
		c.W.Set(0)
		return
	}
	s := session.ValueOf[dset.Set](c, r)
	size := s.Len()
	if count >= int64(size) {
		c.Notify(config.NotifySet, "spop", key)
		wholeSet(c, s)
		c.DB.Remove(r)
		c.Notify(config.NotifyGeneric, "del", key)
		c.Modified(key)
		c.Core.Dirty += int64(size - 1)
		if c.Core.Config.LazyfreeServerDel {
			c.Rewrite(session.WordUnlink, key)
		} else {
			c.Rewrite(session.WordDel, key)
		}
		return
	}
	n := int(count)
	left := size - n
	c.W.Set(n)
	c.Notify(config.NotifySet, "spop", key)
	p := popped{c: c}
	if left*popFew > n {
		edit := session.BeginEdit[dset.Set](c, r)
		edit.Value.Pop(n, c.Core.Keyspace.Random, p.add)
		edit.Done()
	} else {
		rules, gen := c.SetRules(), c.Gen()
		keep := dset.NewPack(gen)
		if s.Intset() != nil {
			keep = dset.NewInts(gen)
		}
		s.Sample(left, c.Core.Keyspace.Random, func(v dset.Value) { keep.AddValue(v, rules, gen) })
		s.Each(func(v dset.Value) bool {
			if !keep.HasValue(v) {
				p.add(v)
			}
			return true
		})
		c.DB.Set(keyspace.NewCollection(record.Set, r.Key(), unsafe.Pointer(keep), r.Expiry(), r.Clock()))
	}
	p.propagate()
	c.Modified(key)
	c.Core.Dirty += int64(n - 1)
	c.PropagateNothing()
}

// popped replies with the members that SPOP removes, and propagates their removal.
type popped struct {
	c    *session.Client
	argv [][]byte // of SREM
}

// popBatch is the most members of one propagated SREM.
const popBatch = 1024

func (p *popped) add(v dset.Value) {
	p.c.BulkValue(v)
	if !p.c.Propagates() {
		return
	}
	if p.argv == nil {
		p.argv = append(p.argv, wordSRem, bytes.Clone(p.c.Args[1]))
	}
	if p.argv = append(p.argv, v.AppendTo(nil)); len(p.argv) == popBatch+2 {
		p.propagate()
	}
}

func (p *popped) propagate() {
	if p.argv != nil {
		p.c.PropagateAlso(p.argv...)
		p.argv = nil
	}
}

// drawer draws members from a set; nil is an empty set.
type drawer struct {
	c *session.Client
	s *dset.Set
}

func srandmember(c *session.Client) {
	session.DrawElements(c, "", func(c *session.Client) (drawer, bool) {
		s, ok := readSet(c, c.Args[1])
		return drawer{c, s}, ok
	})
}

func (d drawer) Len() int {
	if d.s == nil {
		return 0
	}
	return d.s.Len()
}

func (d drawer) One() { d.c.BulkValue(d.s.Random(d.c.Core.Keyspace.Random)) }

func (d drawer) Array(n int, _ bool) { d.c.W.Array(n) }

func (d drawer) Sample(n int, _ bool) { d.s.Sample(n, d.c.Core.Keyspace.Random, d.c.BulkValue) }

func (d drawer) Draw(n int, _ bool) {
	d.s.RandomAll(n, d.c.Core.Keyspace.Random, func(v dset.Value) {
		if !d.c.OverLimit() {
			d.c.BulkValue(v)
		}
	})
}
