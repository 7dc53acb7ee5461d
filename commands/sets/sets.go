// Package sets has the commands of sets. A set is an intset, a listpack or a table. Commands that remove members do not
// convert it back to a smaller form, but SPOP with a count may make a new set of such a form.
package sets

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
)

// The set commands, without those that combine sets (ops.go) and those that draw at random (random.go).
var Commands = []session.Command{
	{Name: "sadd", Arity: -3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatSet, Handler: sadd,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members to add.",
		Summary:    "Adds members to a set, which is created if it does not exist.",
		History:    []session.Change{{"2.4.0", "Takes several members."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyInsert),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("member").Many()}},
	{Name: "scard", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatSet, Handler: scard,
		Group: session.GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the number of members of a set.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "sdiff", Arity: -2, Flags: session.ReadOnly, ACL: session.CatSet, Handler: sdiff,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Returns the members of a set that are in none of the other sets.",
		Hints:      setOrder, Keys: session.KeyRange(session.KeyRO|session.KeyAccess, -1, 1),
		Args: []session.Arg{session.KeyArg("key").Many()}},
	{Name: "sdiffstore", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatSet, Handler: sdiffstore,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Stores the members of a set that are in none of the other sets.",
		Keys:       storeKeys(session.KeyOW), Args: storeArgs},
	{Name: "sinter", Arity: -2, Flags: session.ReadOnly, ACL: session.CatSet, Handler: sinter,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Returns the members that all of the sets have.",
		Hints:      setOrder, Keys: session.KeyRange(session.KeyRO|session.KeyAccess, -1, 1),
		Args: []session.Arg{session.KeyArg("key").Many()}},
	{Name: "sintercard", Arity: -3, Flags: session.ReadOnly | session.MovableKeys, ACL: session.CatSet, Handler: sintercard,
		Group: session.GroupSet, Since: "7.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Returns how many members all of the sets have.",
		Keys:       []session.KeySpec{{Flags: session.KeyRO | session.KeyAccess, Index: 1, FirstKey: 1, NumStep: 1}},
		Args: []session.Arg{session.IntArg("numkeys"), session.KeyArg("key").Many(),
			session.TokenArg("limit", session.ArgInteger, "LIMIT", "").Opt()}},
	{Name: "sinterstore", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatSet, Handler: sinterstore,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N*M) at worst, with N the number of members of the smallest set and M the number of sets.",
		Summary:    "Stores the members that all of the sets have.",
		Keys:       storeKeys(session.KeyRW), Args: storeArgs},
	{Name: "sismember", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSet, Handler: sismember,
		Group: session.GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Tells whether a set has a member.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("member")}},
	{Name: "smembers", Arity: 2, Flags: session.ReadOnly, ACL: session.CatSet, Handler: smembers,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of the set.",
		Summary:    "Returns all members of a set.",
		Hints:      setOrder, Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key")}},
	{Name: "smismember", Arity: -3, Flags: session.ReadOnly | session.Fast, ACL: session.CatSet, Handler: smismember,
		Group: session.GroupSet, Since: "6.2.0",
		Complexity: "O(N) with N the number of members asked for.",
		Summary:    "Tells of several members whether a set has them.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("member").Many()}},
	{Name: "smove", Arity: 4, Flags: session.Write | session.Fast, ACL: session.CatSet, Handler: smove,
		Group: session.GroupSet, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Moves a member from one set to another.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1, Step: 1},
			{Flags: session.KeyRW | session.KeyInsert, Index: 2, Step: 1}},
		Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1}, session.StringArg("member")}},
	{Name: "spop", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatSet, Handler: spop,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members returned.",
		Summary:    "Takes random members out of a set and returns them.",
		History:    []session.Change{{"3.2.0", "The argument `count`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt().From("3.2.0")}},
	{Name: "srandmember", Arity: -2, Flags: session.ReadOnly, ACL: session.CatSet, Handler: srandmember,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members returned.",
		Summary:    "Returns random members of a set.",
		History:    []session.Change{{"2.6.0", "The argument `count`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("count").Opt().From("2.6.0")}},
	{Name: "srem", Arity: -3, Flags: session.Write | session.Fast, ACL: session.CatSet, Handler: srem,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members to remove.",
		Summary:    "Removes members from a set, and the set with its last one.",
		History:    []session.Change{{"2.4.0", "Takes several members."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("member").Many()}},
	{Name: "sscan", Arity: -3, Flags: session.ReadOnly, ACL: session.CatSet, Handler: sscan,
		Group: session.GroupSet, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of members of the set.",
		Summary:    "Returns a part of a set's members and the cursor to go on from.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("cursor"),
			session.TokenArg("pattern", session.ArgPattern, "MATCH", "").Opt(),
			session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt()}},
	{Name: "sunion", Arity: -2, Flags: session.ReadOnly, ACL: session.CatSet, Handler: sunion,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Returns the members that any of the sets has.",
		Hints:      setOrder, Keys: session.KeyRange(session.KeyRO|session.KeyAccess, -1, 1),
		Args: []session.Arg{session.KeyArg("key").Many()}},
	{Name: "sunionstore", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatSet, Handler: sunionstore,
		Group: session.GroupSet, Since: "1.0.0",
		Complexity: "O(N) with N the number of members of all the sets.",
		Summary:    "Stores the members that any of the sets has.",
		Keys:       storeKeys(session.KeyOW), Args: storeArgs},
}

var (
	setOrder = []string{"nondeterministic_output_order"}
	// storeArgs are the destination and the source keys, with the key specs of storeKeys.
	storeArgs = []session.Arg{session.KeyArg("destination"), {Name: "key", Type: session.ArgKey, Key: 1, Multiple: true}}
)

// storeKeys are the specs of commands that combine the sets at several keys and store the result at the first.
func storeKeys(destination session.KeyFlags) []session.KeySpec {
	return []session.KeySpec{{Flags: destination | session.KeyUpdate, Index: 1, Step: 1},
		{Flags: session.KeyRO | session.KeyAccess, Index: 2, Last: -1, Step: 1}}
}

// readSet returns the set at the key for reading, nil if there is none. If the key has another type it has replied, and ok is
// false.
func readSet(c *session.Client, key []byte) (s *dset.Set, ok bool) {
	return session.ReadValue[dset.Set](c, key, record.Set)
}

// putSet stores a set at a key and replaces its value.
func putSet(c *session.Client, key []byte, s *dset.Set) {
	session.Put(c, key, record.Set, s)
}

func sadd(c *session.Client) {
	key, members := c.Args[1], c.Args[2:]
	r, ok := c.WriteTyped(key, record.Set)
	if !ok {
		return
	}
	c.W.Int(int64(addMembers(c, r, key, members)))
}

// addMembers adds members to the set at a key and returns the number of new ones; r is the result of WriteTyped. If it is nil
// the set is created.
func addMembers(c *session.Client, r *record.Record, key []byte, members [][]byte) int {
	rules, gen := c.SetRules(), c.Gen()
	var edit session.Edit[*dset.Set]
	if r == nil {
		s := dset.New(members[0], len(members), rules, gen)
		edit = session.Create(c, key, record.Set, s)
	} else {
		edit = session.BeginEdit[dset.Set](c, r)
		edit.Value.Expect(len(members), rules, gen)
	}
	added := 0
	for _, m := range members {
		if edit.Value.Add(m, rules, gen) {
			added++
		}
	}
	edit.Grown(added, config.NotifySet, "sadd")
	return added
}

func srem(c *session.Client) {
	session.RemoveElements[dset.Set](c, record.Set, beginEdit, config.NotifySet, "srem")
}

// beginEdit begins to change the set of a record that WriteTyped found.
func beginEdit(c *session.Client, r *record.Record) session.ElementEdit[*dset.Set] {
	return session.ElementEdit[*dset.Set]{Edit: session.BeginEdit[dset.Set](c, r)}
}

func smove(c *session.Client) {
	from, to, member := c.Args[1], c.Args[2], c.Args[3]
	r := c.Write(from)
	d := c.Write(to)
	if r == nil {
		c.W.Int(0)
		return
	}
	if !c.Typed(r, record.Set) || !c.Typed(d, record.Set) {
		return
	}
	if !session.ValueOf[dset.Set](c, r).Has(member) {
		c.W.Int(0)
		return
	}
	if r == d {
		c.W.Int(1)
		return
	}
	edit := session.BeginEdit[dset.Set](c, r)
	edit.Value.Remove(member)
	edit.Shrunk(1, config.NotifySet, "srem")
	addMembers(c, c.DB.Peek(to), to, c.Args[3:])
	c.W.Int(1)
}

func scard(c *session.Client) {
	s, ok := readSet(c, c.Args[1])
	if !ok {
		return
	}
	n := 0
	if s != nil {
		n = s.Len()
	}
	c.W.Int(int64(n))
}

// isMember replies whether s, which may be nil, has the member.
func isMember(c *session.Client, s *dset.Set, member []byte) {
	if s != nil && s.Has(member) {
		c.W.Int(1)
	} else {
		c.W.Int(0)
	}
}

func sismember(c *session.Client) {
	if s, ok := readSet(c, c.Args[1]); ok {
		isMember(c, s, c.Args[2])
	}
}

func smismember(c *session.Client) {
	s, ok := readSet(c, c.Args[1])
	if !ok {
		return
	}
	members := c.Args[2:]
	if s != nil && len(members) > 1 {
		c.Core.Prefetched += s.Prefetch(members)
	}
	c.W.Array(len(members))
	for _, m := range members {
		isMember(c, s, m)
	}
}

func smembers(c *session.Client) {
	if s, ok := readSet(c, c.Args[1]); ok {
		wholeSet(c, s)
	}
}

// wholeSet replies with all members of s, none if it is nil.
func wholeSet(c *session.Client, s *dset.Set) {
	if s == nil {
		c.W.Set(0)
		return
	}
	c.W.Set(s.Len())
	s.Each(func(v dset.Value) bool {
		c.BulkValue(v)
		return true
	})
}

func sscan(c *session.Client) {
	c.ScanElements(record.Set, func(r *record.Record, s session.ElementScan) (n int, next uint64) {
		next = session.ValueOf[dset.Set](c, r).Scan(s.Cursor, s.Count, func(v dset.Value) {
			if s.Matches(v) {
				c.BulkValue(v)
				n++
			}
		})
		return n, next
	})
}
