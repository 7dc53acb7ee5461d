package commands

import (
	"bytes"
	"unsafe"

	"ferrous/commands/config"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
)

// SPOP and SRANDMEMBER.
//
// What SPOP draws is propagated by name, as SREM, so that all copies of the data stay the same; if it takes the whole
// set, as the key's deletion.

var wordSRem = []byte("SREM")

func spop(c *Client) {
	if len(c.args) == 3 {
		c.popMembers()
		return
	}
	if len(c.args) > 3 {
		c.error(errSyntax)
		return
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Set)
	if !ok {
		return
	}
	if r == nil {
		c.w.Null()
		return
	}
	r, s := own[dset.Set](c, r)
	before := s.Size()
	v := s.Random(c.srv.ks.Random)
	c.bulkValue(v)
	if c.propagates() {
		c.rewrite(wordSRem, key, v.AppendTo(nil))
	}
	s.RemoveValue(v)
	c.shrunk(r, s, before, 1, config.NotifySet, "spop")
}

// popFew is by how much what is left must outnumber what is drawn for that to be taken out of the set; otherwise a new
// set is made of what is left. It decides as in Redis, since the new set may have a smaller form.
const popFew = 5

// popMembers is SPOP with a count.
func (c *Client) popMembers() {
	count, ok := c.notNegative(2)
	if !ok {
		return
	}
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Set)
	if !ok {
		return
	}
	if r == nil || count == 0 {
		c.w.Set(0)
		return
	}
	s := record.Value[dset.Set](r)
	size := s.Len()
	if count >= int64(size) {
		c.notify(config.NotifySet, "spop", key)
		c.wholeSet(s)
		c.db.Remove(r)
		c.notify(config.NotifyGeneric, "del", key)
		c.modified(key)
		c.srv.dirty += int64(size - 1)
		if c.srv.cfg.LazyfreeServerDel {
			c.rewrite(wordUnlink, key)
		} else {
			c.rewrite(wordDel, key)
		}
		return
	}
	n := int(count)
	left := size - n
	c.w.Set(n)
	c.notify(config.NotifySet, "spop", key)
	p := popped{c: c}
	if left*popFew > n {
		_, s = own[dset.Set](c, r)
		before := s.Size()
		s.Pop(n, c.srv.ks.Random, p.add)
		c.db.AddBytes(s.Size() - before)
	} else {
		rules, gen := c.setRules(), c.gen()
		keep := dset.NewPack(gen)
		if s.Intset() != nil {
			keep = dset.NewInts(gen)
		}
		s.Sample(left, c.srv.ks.Random, func(v dset.Value) { keep.AddValue(v, rules, gen) })
		s.Each(func(v dset.Value) bool {
			if !keep.HasValue(v) {
				p.add(v)
			}
			return true
		})
		c.db.Set(r.WithValue(r.Encoding(), unsafe.Pointer(keep)))
	}
	p.propagate()
	c.modified(key)
	c.srv.dirty += int64(n - 1)
	c.propagateNothing()
}

// popped replies with the members that SPOP draws and propagates them.
type popped struct {
	c    *Client
	argv [][]byte // of SREM
}

// popBatch is how many members one propagated command removes at most.
const popBatch = 1024

func (p *popped) add(v dset.Value) {
	p.c.bulkValue(v)
	if !p.c.propagates() {
		return
	}
	if p.argv == nil {
		p.argv = append(p.argv, wordSRem, bytes.Clone(p.c.args[1]))
	}
	if p.argv = append(p.argv, v.AppendTo(nil)); len(p.argv) == popBatch+2 {
		p.propagate()
	}
}

func (p *popped) propagate() {
	if p.argv != nil {
		p.c.propagateAlso(p.argv...)
		p.argv = nil
	}
}

func srandmember(c *Client) {
	if len(c.args) > 3 {
		c.error(errSyntax)
		return
	}
	if len(c.args) == 2 {
		s, ok := c.readSet(c.args[1])
		switch {
		case !ok:
		case s == nil:
			c.w.Null()
		default:
			c.bulkValue(s.Random(c.srv.ks.Random))
		}
		return
	}
	count, ok := c.countArg(2)
	if !ok {
		return
	}
	s, ok := c.readSet(c.args[1])
	if !ok {
		return
	}
	if s == nil {
		c.w.Array(0)
		return
	}
	if count < 0 {
		c.w.Array(int(-count))
		c.drawMany(int(-count), func(n int) {
			s.RandomAll(n, c.srv.ks.Random, func(v dset.Value) {
				if !c.overLimit() {
					c.bulkValue(v)
				}
			})
		})
		return
	}
	n := int(min(count, int64(s.Len())))
	c.w.Array(n)
	if n > 0 {
		s.Sample(n, c.srv.ks.Random, c.bulkValue)
	}
}
