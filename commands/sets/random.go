package sets

import (
	"bytes"
	"unsafe"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
)

// SPOP and SRANDMEMBER.
//
// What SPOP draws is propagated by name, as SREM, so that all copies of the data stay the same; if it takes the whole
// set, as the key's deletion.

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

// popFew is by how much what is left must outnumber what is drawn for that to be taken out of the set; otherwise a new
// set is made of what is left. It decides as in Redis, since the new set may have a smaller form.
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
	s := record.Value[dset.Set](r)
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
		c.DB.Set(r.WithValue(r.Encoding(), unsafe.Pointer(keep)))
	}
	p.propagate()
	c.Modified(key)
	c.Core.Dirty += int64(n - 1)
	c.PropagateNothing()
}

// popped replies with the members that SPOP draws and propagates them.
type popped struct {
	c    *session.Client
	argv [][]byte // of SREM
}

// popBatch is how many members one propagated command removes at most.
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

func srandmember(c *session.Client) {
	if len(c.Args) > 3 {
		c.Error(session.ErrSyntax)
		return
	}
	if len(c.Args) == 2 {
		s, ok := readSet(c, c.Args[1])
		switch {
		case !ok:
		case s == nil:
			c.W.Null()
		default:
			c.BulkValue(s.Random(c.Core.Keyspace.Random))
		}
		return
	}
	count, ok := c.CountArg(2)
	if !ok {
		return
	}
	s, ok := readSet(c, c.Args[1])
	if !ok {
		return
	}
	if s == nil {
		c.W.Array(0)
		return
	}
	if count < 0 {
		c.W.Array(int(-count))
		c.DrawMany(int(-count), func(n int) {
			s.RandomAll(n, c.Core.Keyspace.Random, func(v dset.Value) {
				if !c.OverLimit() {
					c.BulkValue(v)
				}
			})
		})
		return
	}
	n := int(min(count, int64(s.Len())))
	c.W.Array(n)
	if n > 0 {
		s.Sample(n, c.Core.Keyspace.Random, c.BulkValue)
	}
}
