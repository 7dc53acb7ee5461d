package commands

import (
	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
)

// The set commands but for those that combine sets (sets_ops.go) and those that draw at random (sets_random.go).
var setCommands = []Command{
	{Name: "sadd", Arity: -3, Flags: Write | DenyOOM | Fast, ACL: CatSet, Handler: sadd,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members to add.",
		Summary:    "Adds members to a set, which is created if it does not exist.",
		History:    []Change{{"2.4.0", "Takes several members."}},
		Keys:       oneKey(KeyRW | KeyInsert),
		Args:       []Arg{aKey("key"), aString("member").multiple()}},
	{Name: "scard", Arity: 2, Flags: ReadOnly | Fast, ACL: CatSet, Handler: scard,
		Group: GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the number of members of a set.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	{Name: "sdiff", Arity: -2, Flags: ReadOnly, ACL: CatSet, Handler: sdiff,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Returns the members of a set that are in none of the other sets.",
		Hints:      setOrder, Keys: keyRange(KeyRO|KeyAccess, -1, 1),
		Args: []Arg{aKey("key").multiple()}},
	{Name: "sdiffstore", Arity: -3, Flags: Write | DenyOOM, ACL: CatSet, Handler: sdiffstore,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Stores the members of a set that are in none of the other sets.",
		Keys:       storeKeys(KeyOW), Args: storeArgs},
	{Name: "sinter", Arity: -2, Flags: ReadOnly, ACL: CatSet, Handler: sinter,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Returns the members that all of the sets have.",
		Hints:      setOrder, Keys: keyRange(KeyRO|KeyAccess, -1, 1),
		Args: []Arg{aKey("key").multiple()}},
	{Name: "sintercard", Arity: -3, Flags: ReadOnly | MovableKeys, ACL: CatSet, Handler: sintercard,
		Group: GroupSet, Since: "7.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Returns how many members all of the sets have.",
		Keys:       []KeySpec{{Flags: KeyRO | KeyAccess, Index: 1, FirstKey: 1, NumStep: 1}},
		Args: []Arg{anInt("numkeys"), aKey("key").multiple(),
			aTokenArg("limit", ArgInteger, "LIMIT", "").optional()}},
	{Name: "sinterstore", Arity: -3, Flags: Write | DenyOOM, ACL: CatSet, Handler: sinterstore,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Stores the members that all of the sets have.",
		Keys:       storeKeys(KeyRW), Args: storeArgs},
	{Name: "sismember", Arity: 3, Flags: ReadOnly | Fast, ACL: CatSet, Handler: sismember,
		Group: GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Tells whether a set has a member.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key"), aString("member")}},
	{Name: "smembers", Arity: 2, Flags: ReadOnly, ACL: CatSet, Handler: smembers,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of the set.",
		Summary:    "Returns all members of a set.",
		Hints:      setOrder, Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key")}},
	{Name: "smismember", Arity: -3, Flags: ReadOnly | Fast, ACL: CatSet, Handler: smismember,
		Group: GroupSet, Since: "6.2.0",
		Complexity: "O(N) with N the number of members asked for.",
		Summary:    "Tells of several members whether a set has them.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), aString("member").multiple()}},
	{Name: "smove", Arity: 4, Flags: Write | Fast, ACL: CatSet, Handler: smove,
		Group: GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Moves a member from one set to another.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1, Step: 1},
			{Flags: KeyRW | KeyInsert, Index: 2, Step: 1}},
		Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1}, aString("member")}},
	{Name: "spop", Arity: -2, Flags: Write | Fast, ACL: CatSet, Handler: spop,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members returned.",
		Summary:    "Takes random members out of a set and returns them.",
		History:    []Change{{"3.2.0", "The argument `count`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRW | KeyAccess | KeyDelete),
		Args:       []Arg{aKey("key"), anInt("count").optional().since("3.2.0")}},
	{Name: "srandmember", Arity: -2, Flags: ReadOnly, ACL: CatSet, Handler: srandmember,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members returned.",
		Summary:    "Returns random members of a set.",
		History:    []Change{{"2.6.0", "The argument `count`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), anInt("count").optional().since("2.6.0")}},
	{Name: "srem", Arity: -3, Flags: Write | Fast, ACL: CatSet, Handler: srem,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members to remove.",
		Summary:    "Removes members from a set, and the set with its last one.",
		History:    []Change{{"2.4.0", "Takes several members."}},
		Keys:       oneKey(KeyRW | KeyDelete),
		Args:       []Arg{aKey("key"), aString("member").multiple()}},
	{Name: "sscan", Arity: -3, Flags: ReadOnly, ACL: CatSet, Handler: sscan,
		Group: GroupSet, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of members of the set.",
		Summary:    "Returns a part of a set's members and the cursor to go on from.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), anInt("cursor"),
			aTokenArg("pattern", ArgPattern, "MATCH", "").optional(),
			aTokenArg("count", ArgInteger, "COUNT", "").optional()}},
	{Name: "sunion", Arity: -2, Flags: ReadOnly, ACL: CatSet, Handler: sunion,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Returns the members that any of the sets has.",
		Hints:      setOrder, Keys: keyRange(KeyRO|KeyAccess, -1, 1),
		Args: []Arg{aKey("key").multiple()}},
	{Name: "sunionstore", Arity: -3, Flags: Write | DenyOOM, ACL: CatSet, Handler: sunionstore,
		Group: GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Stores the members that any of the sets has.",
		Keys:       storeKeys(KeyOW), Args: storeArgs},
}

var (
	setOrder = []string{"nondeterministic_output_order"}
	// storeArgs are a destination and the keys of what is combined there, found by the specs of storeKeys.
	storeArgs = []Arg{aKey("destination"), {Name: "key", Type: ArgKey, Key: 1, Multiple: true}}
)

// storeKeys are the specs of commands that combine the sets at several keys and store the result at the first.
func storeKeys(destination KeyFlags) []KeySpec {
	return []KeySpec{{Flags: destination | KeyUpdate, Index: 1, Step: 1},
		{Flags: KeyRO | KeyAccess, Index: 2, Last: -1, Step: 1}}
}

// setRules are the limits of small sets that are configured now.
func (c *Client) setRules() dset.Rules {
	cfg := c.srv.cfg
	return dset.Rules{Ints: cfg.SetMaxIntsetEntries, Entries: cfg.SetMaxListpackEntries, Value: cfg.SetMaxListpackValue}
}

// readSet returns the set at the key for reading, nil if there is none. If there is something else it has replied, and
// ok is false.
func (c *Client) readSet(key []byte) (s *dset.Set, ok bool) {
	return readValue[dset.Set](c, key, record.Set)
}

// putSet stores a set at a key, in place of what is there.
func (c *Client) putSet(key []byte, s *dset.Set) {
	put(c, key, record.Set, record.HashTable, s)
}

func sadd(c *Client) {
	key, members := c.args[1], c.args[2:]
	r, ok := c.writeTyped(key, record.Set)
	if !ok {
		return
	}
	var s *dset.Set
	rules, gen := c.setRules(), c.gen()
	before := 0
	if r == nil {
		s = dset.New(members[0], len(members), rules, gen)
		c.putSet(key, s)
		before = s.Size()
	} else {
		_, s = own[dset.Set](c, r)
		before = s.Size()
		s.Expect(len(members), rules, gen)
	}
	added := 0
	for _, m := range members {
		if s.Add(m, rules, gen) {
			added++
		}
	}
	c.grown(key, s, before, added, config.NotifySet, "sadd")
	c.w.Int(int64(added))
}

func srem(c *Client) {
	key, members := c.args[1], c.args[2:]
	r, ok := c.writeTyped(key, record.Set)
	if !ok {
		return
	}
	removed := 0
	if s := valueOf[dset.Set](r); s != nil && hasAny(s, members) {
		r, s = own[dset.Set](c, r)
		before := s.Size()
		for _, m := range members {
			if s.Remove(m) {
				removed++
			}
		}
		c.shrunk(r, s, before, removed, config.NotifySet, "srem")
	}
	c.w.Int(int64(removed))
}

func smove(c *Client) {
	from, to, member := c.args[1], c.args[2], c.args[3]
	r := c.write(from)
	d := c.write(to)
	if r == nil {
		c.w.Int(0)
		return
	}
	if !c.typed(r, record.Set) || !c.typed(d, record.Set) {
		return
	}
	if !record.Value[dset.Set](r).Has(member) {
		c.w.Int(0)
		return
	}
	if r == d {
		c.w.Int(1)
		return
	}
	r, s := own[dset.Set](c, r)
	before := s.Size()
	s.Remove(member)
	c.shrunk(r, s, before, 1, config.NotifySet, "srem")

	rules, gen := c.setRules(), c.gen()
	d = c.db.Peek(to)
	var dst *dset.Set
	if d == nil {
		dst = dset.New(member, 1, rules, gen)
		c.putSet(to, dst)
	} else {
		_, dst = own[dset.Set](c, d)
	}
	before = dst.Size()
	added := 0
	if dst.Add(member, rules, gen) {
		added = 1
	}
	c.grown(to, dst, before, added, config.NotifySet, "sadd")
	c.w.Int(1)
}

func scard(c *Client) {
	s, ok := c.readSet(c.args[1])
	if !ok {
		return
	}
	n := 0
	if s != nil {
		n = s.Len()
	}
	c.w.Int(int64(n))
}

// isMember replies whether s, which may be nil, has the member.
func (c *Client) isMember(s *dset.Set, member []byte) {
	if s != nil && s.Has(member) {
		c.w.Int(1)
	} else {
		c.w.Int(0)
	}
}

func sismember(c *Client) {
	if s, ok := c.readSet(c.args[1]); ok {
		c.isMember(s, c.args[2])
	}
}

func smismember(c *Client) {
	s, ok := c.readSet(c.args[1])
	if !ok {
		return
	}
	members := c.args[2:]
	if s != nil && len(members) > 1 {
		c.srv.sink += s.Prefetch(members)
	}
	c.w.Array(len(members))
	for _, m := range members {
		c.isMember(s, m)
	}
}

func smembers(c *Client) {
	if s, ok := c.readSet(c.args[1]); ok {
		c.wholeSet(s)
	}
}

// wholeSet replies with all members of s, none if it is nil.
func (c *Client) wholeSet(s *dset.Set) {
	if s == nil {
		c.w.Set(0)
		return
	}
	c.w.Set(s.Len())
	s.Each(func(v dset.Value) bool {
		c.bulkValue(v)
		return true
	})
}

func sscan(c *Client) {
	cursor, ok := parseCursor(c.args[2])
	if !ok {
		c.error(errInvalidCursor)
		return
	}
	s, ok := c.readSet(c.args[1])
	if !ok {
		return
	}
	if s == nil {
		c.emptyScan()
		return
	}
	o, ok := c.scanOptions(3, false)
	if !ok {
		return
	}
	c.scanReply(func() (n int, next uint64) {
		next = s.Scan(cursor, o.count, func(v dset.Value) {
			var buf intText
			if o.pattern == nil || glob.Match(o.pattern, bytesOf(v, &buf), false) {
				c.bulkValue(v)
				n++
			}
		})
		return n, next
	})
}
