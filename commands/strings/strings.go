// Package strings has the commands of strings, and of bitmaps and HyperLogLogs, which are strings, too. A small string is a
// part of its record (package record) and is replaced with it; a longer one is a slice that may be shared with a snapshot and
// is copied before its bytes change.
package strings

import (
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/longdouble"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// Commands are the rows of the family.
var Commands = slices.Concat(stringCommands, bitmapCommands, hyperloglogCommands)

// The string commands, without those that set whole values (set.go) and LCS (lcs.go).
var stringCommands = []session.Command{
	{Name: "append", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: appendCommand,
		Group: session.GroupString, Since: "2.0.0",
		Complexity: "O(1) amortised, for short values: the room behind a string that grows is doubled.",
		Summary:    "Adds bytes to the end of a string, which is created if it does not exist.",
		Keys:       session.OneKey(session.KeyRW | session.KeyInsert),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("value")}},
	{Name: "decr", Arity: 2, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: decr,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Subtracts one from the integer stored at a key, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "decrby", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: decrby,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Subtracts from the integer stored at a key, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.IntArg("decrement")}},
	{Name: "get", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatString, Handler: get,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "getdel", Arity: 2, Flags: session.Write | session.Fast, ACL: session.CatString, Handler: getdel,
		Group: session.GroupString, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key and deletes the key.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "getex", Arity: -2, Flags: session.Write | session.Fast, ACL: session.CatString, Handler: getex,
		Group: session.GroupString, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key and sets or removes the key's deadline.",
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyUpdate, Index: 1, Step: 1,
			Notes: "RW and UPDATE because it changes the TTL"}},
		Args: []session.Arg{session.KeyArg("key"), session.OneOf("expiration",
			session.TokenArg("seconds", session.ArgInteger, "EX", ""),
			session.TokenArg("milliseconds", session.ArgInteger, "PX", ""),
			session.TokenArg("unix-time-seconds", session.ArgUnixTime, "EXAT", ""),
			session.TokenArg("unix-time-milliseconds", session.ArgUnixTime, "PXAT", ""),
			session.TokenWord("persist", "PERSIST", "")).Opt()}},
	{Name: "getrange", Arity: 4, Flags: session.ReadOnly, ACL: session.CatString, Handler: getrange,
		Group: session.GroupString, Since: "2.4.0",
		Complexity: "O(N) with N the number of bytes returned.",
		Summary:    "Returns a part of the string stored at a key.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("end")}},
	{Name: "getset", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: getset,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary:    "Stores a string and returns the one that it replaces.",
		Deprecated: "6.2.0", ReplacedBy: "`SET` with the `!GET` argument",
		Keys: session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), session.StringArg("value")}},
	{Name: "incr", Arity: 2, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: incr,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Adds one to the integer stored at a key, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "incrby", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: incrby,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Adds to the integer stored at a key, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.IntArg("increment")}},
	{Name: "incrbyfloat", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: incrbyfloat,
		Group: session.GroupString, Since: "2.6.0", Complexity: "O(1)",
		Summary: "Adds to the decimal number stored at a key, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.DoubleArg("increment")}},
	{Name: "lcs", Arity: -3, Flags: session.ReadOnly, ACL: session.CatString, Handler: lcs,
		Group: session.GroupString, Since: "7.0.0",
		Complexity: "O(N*M) with N and M the lengths of the strings (64 pairs of bytes are one step).",
		Summary:    "Finds the longest common subsequence of two strings.",
		Keys:       session.KeyRange(session.KeyRO|session.KeyAccess, 1, 1),
		Args: []session.Arg{session.KeyArg("key1"), session.KeyArg("key2"),
			session.TokenWord("len", "LEN", "").Opt(),
			session.TokenWord("idx", "IDX", "").Opt(),
			session.TokenArg("min-match-len", session.ArgInteger, "MINMATCHLEN", "").Opt(),
			session.TokenWord("withmatchlen", "WITHMATCHLEN", "").Opt()}},
	{Name: "mget", Arity: -2, Flags: session.ReadOnly | session.Fast, ACL: session.CatString, Handler: mget,
		Group: session.GroupString, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Returns the strings stored at several keys.",
		Hints:      []string{"request_policy:multi_shard"},
		Keys:       session.KeyRange(session.KeyRO|session.KeyAccess, -1, 1),
		Args:       []session.Arg{session.KeyArg("key").Many()}},
	{Name: "mset", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: mset,
		Group: session.GroupString, Since: "1.0.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Stores several strings, all at once.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		Keys:       session.KeyRange(session.KeyOW|session.KeyUpdate, -1, 2),
		Args:       []session.Arg{session.BlockOf("data", session.KeyArg("key"), session.StringArg("value")).Many()}},
	{Name: "msetnx", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: msetnx,
		Group: session.GroupString, Since: "1.0.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Stores several strings, all at once, if none of their keys exists.",
		Keys:       session.KeyRange(session.KeyOW|session.KeyInsert, -1, 2),
		Args:       []session.Arg{session.BlockOf("data", session.KeyArg("key"), session.StringArg("value")).Many()}},
	{Name: "psetex", Arity: 4, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: psetex,
		Group: session.GroupString, Since: "2.6.0", Complexity: "O(1)",
		Summary:    "Stores a string with a time to live in milliseconds.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `PX` argument",
		Keys: session.OneKey(session.KeyOW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("milliseconds"), session.StringArg("value")}},
	{Name: "set", Arity: -3, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: set, GetKeys: setKeys,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Stores a string at a key, whatever was there before.",
		History: []session.Change{
			{"2.6.12", "The options `EX`, `PX`, `NX` and `XX`."},
			{"6.0.0", "The option `KEEPTTL`."},
			{"6.2.0", "The options `GET`, `EXAT` and `PXAT`."},
			{"7.0.0", "`NX` goes together with `GET`."},
			{"8.1.0", "The option `IFEQ` (Valkey's)."}},
		Keys: []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyUpdate | session.KeyVariable, Index: 1, Step: 1,
			Notes: "RW and ACCESS due to the optional `GET` argument"}},
		Args: []session.Arg{session.KeyArg("key"), session.StringArg("value"),
			session.OneOf("condition",
				session.TokenWord("nx", "NX", ""),
				session.TokenWord("xx", "XX", ""),
				session.TokenArg("comparison-value", session.ArgString, "IFEQ", "8.1.0")).Opt().From("2.6.12"),
			session.TokenWord("get", "GET", "6.2.0").Opt(),
			session.OneOf("expiration",
				session.TokenArg("seconds", session.ArgInteger, "EX", "2.6.12"),
				session.TokenArg("milliseconds", session.ArgInteger, "PX", "2.6.12"),
				session.TokenArg("unix-time-seconds", session.ArgUnixTime, "EXAT", "6.2.0"),
				session.TokenArg("unix-time-milliseconds", session.ArgUnixTime, "PXAT", "6.2.0"),
				session.TokenWord("keepttl", "KEEPTTL", "6.0.0")).Opt()}},
	{Name: "setex", Arity: 4, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: setex,
		Group: session.GroupString, Since: "2.0.0", Complexity: "O(1)",
		Summary:    "Stores a string with a time to live in seconds.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `EX` argument",
		Keys: session.OneKey(session.KeyOW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("seconds"), session.StringArg("value")}},
	{Name: "setnx", Arity: 3, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatString, Handler: setnx,
		Group: session.GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary:    "Stores a string if its key does not exist.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `NX` argument",
		Keys: session.OneKey(session.KeyOW | session.KeyInsert),
		Args: []session.Arg{session.KeyArg("key"), session.StringArg("value")}},
	{Name: "setrange", Arity: 4, Flags: session.Write | session.DenyOOM, ACL: session.CatString, Handler: setrange,
		Group: session.GroupString, Since: "2.2.0",
		Complexity: "O(M) with M the length of the value; where the string has to grow, O(N) with N its length.",
		Summary:    "Overwrites a part of a string, which is created or filled up with zero bytes as needed.",
		Keys:       session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:       []session.Arg{session.KeyArg("key"), session.IntArg("offset"), session.StringArg("value")}},
	{Name: "strlen", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatString, Handler: strlen,
		Group: session.GroupString, Since: "2.2.0", Complexity: "O(1)",
		Summary: "Returns the length of the string stored at a key.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "substr", Arity: 4, Flags: session.ReadOnly, ACL: session.CatString, Handler: getrange,
		Group: session.GroupString, Since: "1.0.0",
		Complexity: "O(N) with N the number of bytes returned.",
		Summary:    "Returns a part of the string stored at a key.",
		Deprecated: "2.0.0", ReplacedBy: "`GETRANGE`",
		Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("start"), session.IntArg("end")}},
}

func get(c *session.Client) {
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Null()
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	if r.Inline() {
		bulkString(c, r)
	} else {
		c.BulkOf(r, r.String(nil))
	}
}

// bulkString replies with the bytes of a string record.
func bulkString(c *session.Client, r *record.Record) {
	if r.Encoding() == record.Int {
		c.W.BulkInt(r.Int())
		return
	}
	c.W.Bulk(r.String(nil))
}

func mget(c *session.Client) {
	c.PrefetchKeys(1)
	c.W.Array(len(c.Args) - 1)
	for _, key := range c.Args[1:] {
		if r := c.Read(key); r != nil && r.Type() == record.String {
			bulkString(c, r)
		} else {
			c.W.Null()
		}
	}
}

func strlen(c *session.Client) {
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Int(0)
		return
	}
	if c.Typed(r, record.String) {
		c.W.Int(int64(r.StringLen()))
	}
}

func getrange(c *session.Client) {
	start, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	end, ok := c.Int64Arg(3)
	if !ok {
		return
	}
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Bulk(nil)
		return
	}
	if !c.Typed(r, record.String) {
		return
	}
	var buf session.IntText
	s := r.String(buf[:])
	n := int64(len(s))
	// Two negative indexes in the wrong order are an empty range, even if both would be clamped to 0.
	if n == 0 || start < 0 && end < 0 && start > end {
		c.W.Bulk(nil)
		return
	}
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		c.W.Bulk(nil)
		return
	}
	if r.Inline() {
		c.W.Bulk(s[start : end+1])
	} else {
		c.BulkOf(r, r.String(nil)[start:end+1])
	}
}

// stringTooLong replies with an error and returns true when a string of size and add bytes together would be longer
// than proto-max-bulk-len allows.
func stringTooLong(c *session.Client, size, add int64) bool {
	if total := size + add; total < 0 || total > c.Core.Config.ProtoMaxBulkLen {
		c.Error(session.ErrTooLong)
		return true
	}
	return false
}

func appendCommand(c *session.Client) {
	key, value := c.Args[1], c.Args[2]
	r := c.Write(key)
	n := len(value)
	if r == nil {
		c.SetString(key, value, record.NoExpiry)
	} else {
		if !c.Typed(r, record.String) {
			return
		}
		size := r.StringLen()
		if stringTooLong(c, int64(size), int64(n)) {
			return
		}
		n = c.DB.Write(key, r, size, value)
	}
	c.Changed(key, 1, config.NotifyString, "append")
	c.W.Int(int64(n))
}

func setrange(c *session.Client) {
	key, value := c.Args[1], c.Args[3]
	offset, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	if offset < 0 {
		c.Error(session.ErrOffset)
		return
	}
	r := c.Write(key)
	if !c.Typed(r, record.String) {
		return
	}
	if len(value) == 0 {
		if r == nil {
			c.W.Int(0)
		} else {
			c.W.Int(int64(r.StringLen()))
		}
		return
	}
	if stringTooLong(c, offset, int64(len(value))) {
		return
	}
	n := c.DB.Write(key, r, int(offset), value)
	c.Changed(key, 1, config.NotifyString, "setrange")
	c.W.Int(int64(n))
}

func incr(c *session.Client) { incrBy(c, 1) }
func decr(c *session.Client) { incrBy(c, -1) }

func incrby(c *session.Client) {
	if by, ok := c.Int64Arg(2); ok {
		incrBy(c, by)
	}
}

func decrby(c *session.Client) {
	by, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	if by == -1<<63 {
		c.Error(session.ErrDecrOverflow)
		return
	}
	incrBy(c, -by)
}

func incrBy(c *session.Client, by int64) {
	key := c.Args[1]
	r := c.Write(key)
	if !c.Typed(r, record.String) {
		return
	}
	n := int64(0)
	if r != nil {
		if r.Encoding() == record.Int {
			n = r.Int()
		} else if v, ok := resp.ParseInt(r.String(nil)); ok {
			n = v
		} else {
			c.Error(session.ErrNotInteger)
			return
		}
	}
	if by > 0 && n > (1<<63-1)-by || by < 0 && n < (-1<<63)-by {
		c.Error(session.ErrOverflow)
		return
	}
	n += by
	if r == nil {
		c.DB.Set(record.NewInt(key, n, record.NoExpiry, c.DB.NewClock()))
	} else {
		c.DB.SetInt(r, n)
	}
	c.Changed(key, 1, config.NotifyString, "incrby")
	c.W.Int(n)
}

func incrbyfloat(c *session.Client) {
	key := c.Args[1]
	r := c.Write(key)
	if !c.Typed(r, record.String) {
		return
	}
	var sum longdouble.Value
	expiry, clock := record.NoExpiry, uint32(0)
	if r == nil {
		clock = c.DB.NewClock()
	} else {
		expiry, clock = r.Expiry(), r.Clock()
		if r.Encoding() == record.Int {
			sum = longdouble.FromInt(r.Int())
		} else if v, ok := longdouble.Parse(r.String(nil)); ok {
			sum = v
		} else {
			c.Error(session.ErrNotFloat)
			return
		}
	}
	by, ok := longdouble.Parse(c.Args[2])
	if !ok {
		c.Error(session.ErrNotFloat)
		return
	}
	sum = longdouble.Add(sum, by)
	if !sum.IsFinite() {
		c.Error(session.ErrNaNOrInfinity)
		return
	}
	var buf [64]byte
	text := sum.Append(buf[:0])
	c.DB.Set(record.NewText(key, text, expiry, clock, c.DB.Stamp()))
	c.Changed(key, 1, config.NotifyString, "incrbyfloat")
	c.W.Bulk(text)
	if c.Propagates() {
		// The result is propagated, since another server may compute with another precision.
		c.Rewrite(wordSet, key, append([]byte(nil), text...), wordKeepTTL)
	}
}
