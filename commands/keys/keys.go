// Package keys has the commands for keys of all types: DEL, EXPIRE, SCAN, OBJECT, DUMP, SORT and so on.
package keys

import (
	"bytes"
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
)

// Commands are the rows of the family.
var Commands = slices.Concat(keyCommands, dumpCommands, sortCommands)

// The commands for keys of all types, and for whole databases. Those for deadlines are in expire.go, SCAN is in scan.go,
// OBJECT in object.go.
var keyCommands = []session.Command{
	{Name: "copy", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatKeyspace, Handler: copyCommand,
		Group: session.GroupGeneric, Since: "6.2.0",
		Complexity: "O(1) for strings, O(N) for collections of N elements.",
		Summary:    "Stores a copy of a key's value, with its deadline, at another key or in another database.",
		Keys: []session.KeySpec{
			{Flags: session.KeyRO | session.KeyAccess, Index: 1, Step: 1},
			{Flags: session.KeyOW | session.KeyUpdate, Index: 2, Step: 1}},
		Args: []session.Arg{session.KeyArg("source"), {Name: "destination", Type: session.ArgKey, Key: 1},
			session.TokenArg("destination-db", session.ArgInteger, "DB", "").Opt(),
			session.TokenWord("replace", "REPLACE", "").Opt()}},
	{Name: "dbsize", Arity: 1, Flags: session.ReadOnly | session.Fast, ACL: session.CatKeyspace, Handler: dbsize,
		Group: session.GroupServer, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns how many keys the selected database has.",
		Hints:   []string{"request_policy:all_shards", "response_policy:agg_sum"}},
	{Name: "del", Arity: -2, Flags: session.Write, ACL: session.CatKeyspace, Handler: del,
		Group: session.GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys, whatever they hold.",
		Summary:    "Deletes keys and returns how many there were.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       session.KeyRange(session.KeyRM|session.KeyDelete, -1, 1),
		Args:       []session.Arg{session.KeyArg("key").Many()}},
	{Name: "exists", Arity: -2, Flags: session.ReadOnly | session.Fast, ACL: session.CatKeyspace, Handler: exists,
		Group: session.GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Returns how many of the keys exist; one that is named twice counts twice.",
		History:    []session.Change{{"3.0.3", "Accepts multiple `key` arguments."}},
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       session.KeyRange(session.KeyRO, -1, 1),
		Args:       []session.Arg{session.KeyArg("key").Many()}},
	expireRow("expire", "1.0.0", session.IntArg("seconds"), expire,
		"Sets the time that a key has to live, in seconds."),
	expireRow("expireat", "1.2.0", session.Arg{Name: "unix-time-seconds", Type: session.ArgUnixTime}, expireat,
		"Sets the deadline of a key, in seconds of Unix time."),
	ttlRow("expiretime", "7.0.0", expiretime, "Returns the deadline of a key, in seconds of Unix time."),
	{Name: "keys", Arity: 2, Flags: session.ReadOnly, ACL: session.CatKeyspace | session.CatDangerous, Handler: keys,
		Group: session.GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys in the database; O(1) for a pattern without special characters.",
		Summary:    "Returns all keys that match a pattern.",
		Hints:      []string{"request_policy:all_shards", "nondeterministic_output_order"},
		Args:       []session.Arg{{Name: "pattern", Type: session.ArgPattern}}},
	{Name: "move", Arity: 3, Flags: session.Write | session.Fast, ACL: session.CatKeyspace, Handler: move,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Moves a key to another database, if there is none of its name there.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.IntArg("db")}},
	objectRow,
	{Name: "persist", Arity: 2, Flags: session.Write | session.Fast, ACL: session.CatKeyspace, Handler: persist,
		Group: session.GroupGeneric, Since: "2.2.0", Complexity: "O(1)",
		Summary: "Removes the deadline of a key.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key")}},
	expireRow("pexpire", "2.6.0", session.IntArg("milliseconds"), pexpire,
		"Sets the time that a key has to live, in milliseconds."),
	expireRow("pexpireat", "2.6.0", session.Arg{Name: "unix-time-milliseconds", Type: session.ArgUnixTime}, pexpireat,
		"Sets the deadline of a key, in milliseconds of Unix time."),
	ttlRow("pexpiretime", "7.0.0", pexpiretime, "Returns the deadline of a key, in milliseconds of Unix time."),
	ttlRow("pttl", "2.6.0", pttl, "Returns the time that a key has left to live, in milliseconds."),
	{Name: "randomkey", Arity: 1, Flags: session.ReadOnly | session.TouchesArbitraryKeys, ACL: session.CatKeyspace, Handler: randomkey,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns a random key of the selected database, each with the same chance.",
		Hints:   []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"}},
	{Name: "rename", Arity: 3, Flags: session.Write, ACL: session.CatKeyspace, Handler: rename,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Gives a key another name; a key that had this name is overwritten.",
		Keys: []session.KeySpec{
			{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1, Step: 1},
			{Flags: session.KeyOW | session.KeyUpdate, Index: 2, Step: 1}},
		Args: []session.Arg{session.KeyArg("key"), {Name: "newkey", Type: session.ArgKey, Key: 1}}},
	{Name: "renamenx", Arity: 3, Flags: session.Write | session.Fast, ACL: session.CatKeyspace, Handler: renamenx,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Gives a key another name, if no key has this name.",
		History: []session.Change{{"3.2.0", "No error anymore when both names are the same."}},
		Keys: []session.KeySpec{
			{Flags: session.KeyRW | session.KeyAccess | session.KeyDelete, Index: 1, Step: 1},
			{Flags: session.KeyOW | session.KeyInsert, Index: 2, Step: 1}},
		Args: []session.Arg{session.KeyArg("key"), {Name: "newkey", Type: session.ArgKey, Key: 1}}},
	scanRow,
	{Name: "select", Arity: 2, Flags: session.Loading | session.Stale | session.Fast, ACL: session.CatConnection, Handler: selectCommand,
		Group: session.GroupConnection, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Chooses the database that the connection's further commands work on.",
		Args:    []session.Arg{session.IntArg("index")}},
	{Name: "touch", Arity: -2, Flags: session.ReadOnly | session.Fast, ACL: session.CatKeyspace, Handler: touch,
		Group: session.GroupGeneric, Since: "3.2.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Makes keys count as accessed now and returns how many of them exist.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       session.KeyRange(session.KeyRO, -1, 1),
		Args:       []session.Arg{session.KeyArg("key").Many()}},
	ttlRow("ttl", "1.0.0", ttl, "Returns the time that a key has left to live, in seconds."),
	{Name: "type", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatKeyspace, Handler: typeCommand,
		Group: session.GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the type of the value stored at a key.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "unlink", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatKeyspace, Handler: unlink,
		Group: session.GroupGeneric, Since: "4.0.0",
		Complexity: "O(N) with N the number of keys, whatever they hold.",
		Summary:    "Deletes keys and returns how many there were; the same as DEL.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       session.KeyRange(session.KeyRM|session.KeyDelete, -1, 1),
		Args:       []session.Arg{session.KeyArg("key").Many()}},
}

func copyCommand(c *session.Client) {
	src, dst := c.DB, c.DB
	replace := false
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "replace"):
			replace = true
		case c.Is(i, "db") && i+1 < len(c.Args):
			i++
			var ok bool
			if dst, ok = c.DBArg(i); !ok {
				return
			}
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	key, newKey := c.Args[1], c.Args[2]
	if src == dst && bytes.Equal(key, newKey) {
		c.Error(session.ErrSameObject)
		return
	}
	r := c.Read(key)
	if r == nil {
		c.W.Int(0)
		return
	}
	old := c.WriteIn(dst, newKey)
	if old != nil && !replace {
		c.W.Int(0)
		return
	}
	dst.Set(dst.Clone(r, newKey))
	if old != nil {
		c.Core.Notify(config.NotifyNew, "new", newKey, dst)
	}
	c.ModifiedIn(dst, newKey)
	c.Core.Notify(config.NotifyGeneric, "copy_to", newKey, dst)
	c.W.Int(1)
}

func move(c *session.Client) {
	dst, ok := c.DBArg(2)
	if !ok {
		return
	}
	if dst == c.DB {
		c.Error(session.ErrSameObject)
		return
	}
	key := c.Args[1]
	r := c.Write(key)
	if r == nil || c.WriteIn(dst, key) != nil {
		c.W.Int(0)
		return
	}
	c.DB.Move(r, dst, key)
	c.Modified(key)
	c.TouchedIn(dst, key)
	c.Notify(config.NotifyGeneric, "move_from", key)
	c.Core.Notify(config.NotifyGeneric, "move_to", key, dst)
	c.W.Int(1)
}

func rename(c *session.Client) {
	if renameKey(c, false) {
		c.W.OK()
	}
}

func renamenx(c *session.Client) {
	if renameKey(c, true) {
		c.W.Int(1)
	}
}

// renameKey is RENAME and RENAMENX. It returns false if it has replied.
func renameKey(c *session.Client, nx bool) bool {
	key, newKey := c.Args[1], c.Args[2]
	r := c.Write(key)
	if r == nil {
		c.Error(session.ErrNoKey)
		return false
	}
	if bytes.Equal(key, newKey) {
		if nx {
			c.W.Int(0)
		}
		return !nx
	}
	old := c.Write(newKey)
	if old != nil && nx {
		c.W.Int(0)
		return false
	}
	c.DB.Move(r, c.DB, newKey)
	if old != nil {
		c.Notify(config.NotifyNew, "new", newKey) // for Redis, a replaced key is deleted first
	}
	c.Modified(key)
	c.TouchedIn(c.DB, newKey)
	c.Notify(config.NotifyGeneric, "rename_from", key)
	c.Notify(config.NotifyGeneric, "rename_to", newKey)
	return true
}

func del(c *session.Client) { deleteKeys(c, c.Core.Config.LazyfreeUserDel) }

func unlink(c *session.Client) { deleteKeys(c, true) }

// deleteKeys is DEL and UNLINK. In both cases the garbage collector frees the memory in the background; lazily only decides
// whether values are counted as lazily freed.
func deleteKeys(c *session.Client, lazily bool) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.DeleteKeyAs(key, lazily) {
			n++
		}
	}
	c.W.Int(n)
}

func exists(c *session.Client) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.Look(key) != nil {
			n++
		}
	}
	c.W.Int(n)
}

func touch(c *session.Client) {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.Read(key) != nil {
			n++
		}
	}
	c.W.Int(n)
}

func typeCommand(c *session.Client) {
	r := c.Look(c.Args[1])
	if r == nil {
		c.W.Status("none")
		return
	}
	c.W.Status(r.Type().String())
}

// keys is KEYS. As in Redis it leaves out expired keys, but does not delete them.
func keys(c *session.Client) {
	pattern := c.Args[1]
	ks := c.Core.Keyspace
	prefix, exact := glob.Literal(pattern)
	if exact {
		// The pattern "" is literal and matches the key "", as in Redis.
		if r := c.DB.PeekStale(pattern); r != nil && !ks.Expired(r) {
			c.W.Array(1)
			c.W.Bulk(pattern)
		} else {
			c.W.Array(0)
		}
		return
	}
	all := len(pattern) == 1 && pattern[0] == '*'
	n := 0
	m := c.W.BeginArray()
	c.DB.Each(func(r *record.Record) bool {
		key := r.Key()
		if (all || bytes.HasPrefix(key, prefix) && glob.Match(pattern, key, false)) && !ks.Expired(r) {
			c.W.Bulk(key)
			n++
		}
		return !c.OverLimit()
	})
	c.W.EndArray(m, n)
}

func randomkey(c *session.Client) {
	r := c.DB.RandomKey()
	if r == nil {
		c.W.Null()
		return
	}
	c.W.Bulk(r.Key())
}

func dbsize(c *session.Client) { c.W.Int(int64(c.DB.Len())) }

func selectCommand(c *session.Client) {
	db, ok := c.DBArg(1)
	if !ok {
		return
	}
	c.DB = db
	c.W.OK()
}
