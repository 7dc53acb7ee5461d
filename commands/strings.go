package commands

import (
	"ferrous/commands/config"
	"ferrous/commands/longdouble"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The string commands but for those that set whole values (strings_set.go) and LCS (lcs.go).
var stringCommands = []Command{
	{Name: "append", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: appendCommand,
		Group: GroupString, Since: "2.0.0",
		Complexity: "O(1) amortised, for short values: the room behind a string that grows is doubled.",
		Summary:    "Adds bytes to the end of a string, which is created if it does not exist.",
		Keys:       oneKey(KeyRW | KeyInsert),
		Args:       []Arg{aKey("key"), aString("value")}},
	{Name: "decr", Arity: 2, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: decr,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Subtracts one from the integer stored at a key, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key")}},
	{Name: "decrby", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: decrby,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Subtracts from the integer stored at a key, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), anInt("decrement")}},
	{Name: "get", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Handler: get,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key")}},
	{Name: "getdel", Arity: 2, Flags: Write | Fast, ACL: CatString, Handler: getdel,
		Group: GroupString, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key and deletes the key.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyDelete),
		Args:    []Arg{aKey("key")}},
	{Name: "getex", Arity: -2, Flags: Write | Fast, ACL: CatString, Handler: getex,
		Group: GroupString, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Returns the string stored at a key and sets or removes the key's deadline.",
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Index: 1, Step: 1,
			Notes: "RW and UPDATE because it changes the TTL"}},
		Args: []Arg{aKey("key"), aChoice("expiration",
			aTokenArg("seconds", ArgInteger, "EX", ""),
			aTokenArg("milliseconds", ArgInteger, "PX", ""),
			aTokenArg("unix-time-seconds", ArgUnixTime, "EXAT", ""),
			aTokenArg("unix-time-milliseconds", ArgUnixTime, "PXAT", ""),
			aToken("persist", "PERSIST", "")).optional()}},
	{Name: "getrange", Arity: 4, Flags: ReadOnly, ACL: CatString, Handler: getrange,
		Group: GroupString, Since: "2.4.0",
		Complexity: "O(N) with N the number of bytes returned.",
		Summary:    "Returns a part of the string stored at a key.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), anInt("start"), anInt("end")}},
	{Name: "getset", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: getset,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary:    "Stores a string and returns the one that it replaces.",
		Deprecated: "6.2.0", ReplacedBy: "`SET` with the `!GET` argument",
		Keys: oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args: []Arg{aKey("key"), aString("value")}},
	{Name: "incr", Arity: 2, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: incr,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Adds one to the integer stored at a key, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key")}},
	{Name: "incrby", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: incrby,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Adds to the integer stored at a key, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), anInt("increment")}},
	{Name: "incrbyfloat", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: incrbyfloat,
		Group: GroupString, Since: "2.6.0", Complexity: "O(1)",
		Summary: "Adds to the decimal number stored at a key, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), aDouble("increment")}},
	{Name: "lcs", Arity: -3, Flags: ReadOnly, ACL: CatString, Handler: lcs,
		Group: GroupString, Since: "7.0.0",
		Complexity: "O(N*M) with N and M the lengths of the strings (64 pairs of bytes are one step).",
		Summary:    "Finds the longest common subsequence of two strings.",
		Keys:       keyRange(KeyRO|KeyAccess, 1, 1),
		Args: []Arg{aKey("key1"), aKey("key2"),
			aToken("len", "LEN", "").optional(),
			aToken("idx", "IDX", "").optional(),
			aTokenArg("min-match-len", ArgInteger, "MINMATCHLEN", "").optional(),
			aToken("withmatchlen", "WITHMATCHLEN", "").optional()}},
	{Name: "mget", Arity: -2, Flags: ReadOnly | Fast, ACL: CatString, Handler: mget,
		Group: GroupString, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Returns the strings stored at several keys.",
		Hints:      []string{"request_policy:multi_shard"},
		Keys:       keyRange(KeyRO|KeyAccess, -1, 1),
		Args:       []Arg{aKey("key").multiple()}},
	{Name: "mset", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Handler: mset,
		Group: GroupString, Since: "1.0.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Stores several strings, all at once.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		Keys:       keyRange(KeyOW|KeyUpdate, -1, 2),
		Args:       []Arg{aBlock("data", aKey("key"), aString("value")).multiple()}},
	{Name: "msetnx", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Handler: msetnx,
		Group: GroupString, Since: "1.0.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Stores several strings, all at once, if none of their keys exists.",
		Keys:       keyRange(KeyOW|KeyInsert, -1, 2),
		Args:       []Arg{aBlock("data", aKey("key"), aString("value")).multiple()}},
	{Name: "psetex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Handler: psetex,
		Group: GroupString, Since: "2.6.0", Complexity: "O(1)",
		Summary:    "Stores a string with a time to live in milliseconds.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `PX` argument",
		Keys: oneKey(KeyOW | KeyUpdate),
		Args: []Arg{aKey("key"), anInt("milliseconds"), aString("value")}},
	{Name: "set", Arity: -3, Flags: Write | DenyOOM, ACL: CatString, Handler: set, GetKeys: setKeys,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Stores a string at a key, whatever was there before.",
		History: []Change{
			{"2.6.12", "The options `EX`, `PX`, `NX` and `XX`."},
			{"6.0.0", "The option `KEEPTTL`."},
			{"6.2.0", "The options `GET`, `EXAT` and `PXAT`."},
			{"7.0.0", "`NX` goes together with `GET`."},
			{"8.1.0", "The option `IFEQ` (Valkey's)."}},
		Keys: []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate | KeyVariable, Index: 1, Step: 1,
			Notes: "RW and ACCESS due to the optional `GET` argument"}},
		Args: []Arg{aKey("key"), aString("value"),
			aChoice("condition",
				aToken("nx", "NX", ""),
				aToken("xx", "XX", ""),
				aTokenArg("comparison-value", ArgString, "IFEQ", "8.1.0")).optional().since("2.6.12"),
			aToken("get", "GET", "6.2.0").optional(),
			aChoice("expiration",
				aTokenArg("seconds", ArgInteger, "EX", "2.6.12"),
				aTokenArg("milliseconds", ArgInteger, "PX", "2.6.12"),
				aTokenArg("unix-time-seconds", ArgUnixTime, "EXAT", "6.2.0"),
				aTokenArg("unix-time-milliseconds", ArgUnixTime, "PXAT", "6.2.0"),
				aToken("keepttl", "KEEPTTL", "6.0.0")).optional()}},
	{Name: "setex", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Handler: setex,
		Group: GroupString, Since: "2.0.0", Complexity: "O(1)",
		Summary:    "Stores a string with a time to live in seconds.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `EX` argument",
		Keys: oneKey(KeyOW | KeyUpdate),
		Args: []Arg{aKey("key"), anInt("seconds"), aString("value")}},
	{Name: "setnx", Arity: 3, Flags: Write | DenyOOM | Fast, ACL: CatString, Handler: setnx,
		Group: GroupString, Since: "1.0.0", Complexity: "O(1)",
		Summary:    "Stores a string if its key does not exist.",
		Deprecated: "2.6.12", ReplacedBy: "`SET` with the `NX` argument",
		Keys: oneKey(KeyOW | KeyInsert),
		Args: []Arg{aKey("key"), aString("value")}},
	{Name: "setrange", Arity: 4, Flags: Write | DenyOOM, ACL: CatString, Handler: setrange,
		Group: GroupString, Since: "2.2.0",
		Complexity: "O(M) with M the length of the value; where the string has to grow, O(N) with N its length.",
		Summary:    "Overwrites a part of a string, which is created or filled up with zero bytes as needed.",
		Keys:       oneKey(KeyRW | KeyUpdate),
		Args:       []Arg{aKey("key"), anInt("offset"), aString("value")}},
	{Name: "strlen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatString, Handler: strlen,
		Group: GroupString, Since: "2.2.0", Complexity: "O(1)",
		Summary: "Returns the length of the string stored at a key.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	{Name: "substr", Arity: 4, Flags: ReadOnly, ACL: CatString, Handler: getrange,
		Group: GroupString, Since: "1.0.0",
		Complexity: "O(N) with N the number of bytes returned.",
		Summary:    "Returns a part of the string stored at a key.",
		Deprecated: "2.0.0", ReplacedBy: "`GETRANGE`",
		Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), anInt("start"), anInt("end")}},
}

// intText has room for the decimal form of every integer; record.String formats integers into one.
type intText [20]byte

func get(c *Client) {
	r := c.read(c.args[1])
	if r == nil {
		c.w.Null()
		return
	}
	if !c.typed(r, record.String) {
		return
	}
	c.bulkString(r)
}

// bulkString replies with the bytes of a string record.
func (c *Client) bulkString(r *record.Record) {
	if r.Encoding() == record.Int {
		c.w.BulkInt(r.Int())
		return
	}
	c.w.Bulk(r.String(nil))
}

func mget(c *Client) {
	c.prefetchKeys(1)
	c.w.Array(len(c.args) - 1)
	for _, key := range c.args[1:] {
		if r := c.read(key); r != nil && r.Type() == record.String {
			c.bulkString(r)
		} else {
			c.w.Null()
		}
	}
}

func strlen(c *Client) {
	r := c.read(c.args[1])
	if r == nil {
		c.w.Int(0)
		return
	}
	if c.typed(r, record.String) {
		c.w.Int(int64(r.StringLen()))
	}
}

func getrange(c *Client) {
	start, ok := c.int64Arg(2)
	if !ok {
		return
	}
	end, ok := c.int64Arg(3)
	if !ok {
		return
	}
	r := c.read(c.args[1])
	if r == nil {
		c.w.Bulk(nil)
		return
	}
	if !c.typed(r, record.String) {
		return
	}
	var buf intText
	s := r.String(buf[:])
	n := int64(len(s))
	// Two negative indexes in the wrong order are nothing, though both may be clamped to 0.
	if n == 0 || start < 0 && end < 0 && start > end {
		c.w.Bulk(nil)
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
		c.w.Bulk(nil)
		return
	}
	c.w.Bulk(s[start : end+1])
}

// stringTooLong replies with an error and returns true when a string of size and add bytes together would be longer
// than proto-max-bulk-len allows.
func (c *Client) stringTooLong(size, add int64) bool {
	if total := size + add; total < 0 || total > c.srv.cfg.ProtoMaxBulkLen {
		c.error(errTooLong)
		return true
	}
	return false
}

func appendCommand(c *Client) {
	key, value := c.args[1], c.args[2]
	r := c.write(key)
	n := len(value)
	if r == nil {
		c.db.SetString(key, value, record.NoExpiry)
	} else {
		if !c.typed(r, record.String) {
			return
		}
		size := r.StringLen()
		if c.stringTooLong(int64(size), int64(n)) {
			return
		}
		n = c.db.Write(key, r, size, value)
	}
	c.changed(key, 1, config.NotifyString, "append")
	c.w.Int(int64(n))
}

func setrange(c *Client) {
	key, value := c.args[1], c.args[3]
	offset, ok := c.int64Arg(2)
	if !ok {
		return
	}
	if offset < 0 {
		c.error(errOffset)
		return
	}
	r := c.write(key)
	if !c.typed(r, record.String) {
		return
	}
	if len(value) == 0 {
		if r == nil {
			c.w.Int(0)
		} else {
			c.w.Int(int64(r.StringLen()))
		}
		return
	}
	if c.stringTooLong(offset, int64(len(value))) {
		return
	}
	n := c.db.Write(key, r, int(offset), value)
	c.changed(key, 1, config.NotifyString, "setrange")
	c.w.Int(int64(n))
}

func incr(c *Client) { c.incrBy(1) }
func decr(c *Client) { c.incrBy(-1) }

func incrby(c *Client) {
	if by, ok := c.int64Arg(2); ok {
		c.incrBy(by)
	}
}

func decrby(c *Client) {
	by, ok := c.int64Arg(2)
	if !ok {
		return
	}
	if by == -1<<63 {
		c.error(errDecrOverflow)
		return
	}
	c.incrBy(-by)
}

func (c *Client) incrBy(by int64) {
	key := c.args[1]
	r := c.write(key)
	if !c.typed(r, record.String) {
		return
	}
	n := int64(0)
	if r != nil {
		if r.Encoding() == record.Int {
			n = r.Int()
		} else if v, ok := resp.ParseInt(r.String(nil)); ok {
			n = v
		} else {
			c.error(errNotInteger)
			return
		}
	}
	if by > 0 && n > (1<<63-1)-by || by < 0 && n < (-1<<63)-by {
		c.error(errOverflow)
		return
	}
	n += by
	if r == nil {
		c.db.Set(record.NewInt(key, n, record.NoExpiry, c.db.NewClock()))
	} else {
		c.db.SetInt(r, n)
	}
	c.changed(key, 1, config.NotifyString, "incrby")
	c.w.Int(n)
}

func incrbyfloat(c *Client) {
	key := c.args[1]
	r := c.write(key)
	if !c.typed(r, record.String) {
		return
	}
	var sum longdouble.Value
	expiry, clock := record.NoExpiry, uint32(0)
	if r == nil {
		clock = c.db.NewClock()
	} else {
		expiry, clock = r.Expiry(), r.Clock()
		if r.Encoding() == record.Int {
			sum = longdouble.FromInt(r.Int())
		} else if v, ok := longdouble.Parse(r.String(nil)); ok {
			sum = v
		} else {
			c.error(errNotFloat)
			return
		}
	}
	by, ok := longdouble.Parse(c.args[2])
	if !ok {
		c.error(errNotFloat)
		return
	}
	sum = longdouble.Add(sum, by)
	if !sum.IsFinite() {
		c.error(errNaNOrInfinity)
		return
	}
	var buf [64]byte
	text := sum.Append(buf[:0])
	c.db.Set(record.NewText(key, text, expiry, clock, c.db.Stamp()))
	c.changed(key, 1, config.NotifyString, "incrbyfloat")
	c.w.Bulk(text)
	if c.propagates() {
		// The result, so that replicas and files do not depend on who adds in which precision.
		c.rewrite(wordSet, key, append([]byte(nil), text...), wordKeepTTL)
	}
}
