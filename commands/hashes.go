package commands

import (
	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/commands/longdouble"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/record"
)

// The hash commands.
var hashCommands = []Command{
	{Name: "hdel", Arity: -3, Flags: Write | Fast, ACL: CatHash, Handler: hdel,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to delete.",
		Summary:    "Deletes fields of a hash, and the hash with its last one.",
		History:    []Change{{"2.4.0", "Takes several fields."}},
		Keys:       oneKey(KeyRW | KeyDelete),
		Args:       []Arg{aKey("key"), aString("field").multiple()}},
	{Name: "hexists", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Handler: hexists,
		Group: GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Tells whether a hash has a field.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key"), aString("field")}},
	{Name: "hget", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Handler: hget,
		Group: GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Returns the value of a field of a hash.",
		Keys:    oneKey(KeyRO | KeyAccess),
		Args:    []Arg{aKey("key"), aString("field")}},
	{Name: "hgetall", Arity: 2, Flags: ReadOnly, ACL: CatHash, Handler: hgetall,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns all fields of a hash and their values.",
		Hints:      hashOrder, Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key")}},
	{Name: "hincrby", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hincrby,
		Group: GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Adds to the integer in a field of a hash, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), aString("field"), anInt("increment")}},
	{Name: "hincrbyfloat", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hincrbyfloat,
		Group: GroupHash, Since: "2.6.0", Complexity: "O(1)",
		Summary: "Adds to the decimal number in a field of a hash, 0 if there is none yet.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), aString("field"), aDouble("increment")}},
	{Name: "hkeys", Arity: 2, Flags: ReadOnly, ACL: CatHash, Handler: hkeys,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns all fields of a hash.",
		Hints:      hashOrder, Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key")}},
	{Name: "hlen", Arity: 2, Flags: ReadOnly | Fast, ACL: CatHash, Handler: hlen,
		Group: GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Returns the number of fields of a hash.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	{Name: "hmget", Arity: -3, Flags: ReadOnly | Fast, ACL: CatHash, Handler: hmget,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields asked for.",
		Summary:    "Returns the values of several fields of a hash.",
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key"), aString("field").multiple()}},
	{Name: "hmset", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hmset,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to set.",
		Summary:    "Sets several fields of a hash.",
		Deprecated: "4.0.0", ReplacedBy: "`HSET` with multiple field-value pairs",
		Keys: oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"), aBlock("data", aString("field"), aString("value")).multiple()}},
	{Name: "hrandfield", Arity: -2, Flags: ReadOnly, ACL: CatHash, Handler: hrandfield,
		Group: GroupHash, Since: "6.2.0",
		Complexity: "O(N) with N the number of fields returned.",
		Summary:    "Returns random fields of a hash.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), aBlock("options", anInt("count"),
			aToken("withvalues", "WITHVALUES", "").optional()).optional()}},
	{Name: "hscan", Arity: -3, Flags: ReadOnly, ACL: CatHash, Handler: hscan,
		Group: GroupHash, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of fields of the hash.",
		Summary:    "Returns a part of a hash's fields and the cursor to go on from.",
		History:    []Change{{"7.4.0", "The option `NOVALUES`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), anInt("cursor"),
			aTokenArg("pattern", ArgPattern, "MATCH", "").optional(),
			aTokenArg("count", ArgInteger, "COUNT", "").optional(),
			aToken("novalues", "NOVALUES", "7.4.0").optional()}},
	{Name: "hset", Arity: -4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hset,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to set.",
		Summary:    "Sets fields of a hash, which is created if it does not exist.",
		History:    []Change{{"4.0.0", "Takes several fields with their values."}},
		Keys:       oneKey(KeyRW | KeyUpdate),
		Args:       []Arg{aKey("key"), aBlock("data", aString("field"), aString("value")).multiple()}},
	{Name: "hsetnx", Arity: 4, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hsetnx,
		Group: GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Sets a field of a hash if it does not exist.",
		Keys:    oneKey(KeyRW | KeyInsert),
		Args:    []Arg{aKey("key"), aString("field"), aString("value")}},
	{Name: "hstrlen", Arity: 3, Flags: ReadOnly | Fast, ACL: CatHash, Handler: hstrlen,
		Group: GroupHash, Since: "3.2.0", Complexity: "O(1)",
		Summary: "Returns the length of the value of a field of a hash.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key"), aString("field")}},
	{Name: "hvals", Arity: 2, Flags: ReadOnly, ACL: CatHash, Handler: hvals,
		Group: GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns the values of all fields of a hash.",
		Hints:      hashOrder, Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key")}},
}

var hashOrder = []string{"nondeterministic_output_order"}

const (
	errHashNotInteger = "ERR hash value is not an integer"
	errHashNotFloat   = "ERR hash value is not a float"
	errNotFinite      = "ERR value is NaN or Infinity"
)

// hashRules are the limits of small hashes that are configured now.
func (c *Client) hashRules() hash.Rules {
	return hash.Rules{Entries: c.srv.cfg.HashMaxListpackEntries, Value: c.srv.cfg.HashMaxListpackValue}
}

// readHash returns the hash at the key as it looks now, without fields that have expired. If there is something else at
// the key it has replied, and ok is false.
func (c *Client) readHash() (v hash.View, ok bool) {
	r, ok := c.readTyped(c.args[1], record.Hash)
	return c.viewHash(r), ok
}

// viewHash returns how the hash of a record that readTyped or writeTyped found looks now; nil is a hash without fields.
func (c *Client) viewHash(r *record.Record) hash.View {
	return peekHash(r).At(c.srv.ks.Now)
}

// readFields is readHash for a command that asks for these fields: those that have expired are deleted, see expireMet.
func (c *Client) readFields(fields [][]byte) (v hash.View, ok bool) {
	r, ok := c.readTyped(c.args[1], record.Hash)
	if !ok {
		return v, false
	}
	if v = c.viewHash(r); v.Due() {
		v = c.viewHash(c.expireMet(r, fields, 1))
	}
	return v, true
}

// writeFields finds the hash at the key for a command that will write these fields, or every step-th of them: those that
// have expired are deleted first. If there is something else at the key it has replied, and ok is false.
func (c *Client) writeFields(fields [][]byte, step int) (r *record.Record, ok bool) {
	r, ok = c.writeTyped(c.args[1], record.Hash)
	if ok && c.viewHash(r).Due() {
		r = c.expireMet(r, fields, step)
	}
	return r, ok
}

// peekHash returns the hash of a record, for reading; nil for nil and for what is no hash.
func peekHash(r *record.Record) *hash.Hash {
	if r == nil || r.Type() != record.Hash {
		return nil
	}
	return record.Value[hash.Hash](r)
}

// hashEdit is a hash that is being changed: between editHash and done nothing else may be done with the database.
type hashEdit struct {
	*hash.Hash
	r    *record.Record
	size int
	next int64
}

// editHash returns the hash at the key for writing; r is what writeTyped found there. If that is nil the hash is made.
func (c *Client) editHash(r *record.Record) hashEdit {
	if r == nil {
		r = put(c, c.args[1], record.Hash, record.HashTable, hash.New(c.gen()))
	} else {
		r = c.db.Own(r)
	}
	h := record.Value[hash.Hash](r)
	return hashEdit{h, r, h.Size(), h.Earliest()}
}

// done ends an edit: it does the accounts, and deletes the key if no field is left, which it reports. The event "del" is
// left to the caller.
func (e *hashEdit) done(c *Client) (deleted bool) {
	c.db.AddBytes(e.Size() - e.size)
	c.db.FieldsRescheduled(e.r, e.next)
	if e.Len() > 0 {
		return false
	}
	c.db.Remove(e.r)
	return true
}

func hget(c *Client) {
	v, ok := c.readFields(c.args[2:])
	if !ok {
		return
	}
	c.hashField(v, c.args[2])
}

// hashField replies with the value of a field, null if there is none.
func (c *Client) hashField(v hash.View, field []byte) {
	if value, ok := v.Get(field); ok {
		c.bulkValue(value)
	} else {
		c.w.Null()
	}
}

func hmget(c *Client) {
	fields := c.args[2:]
	v, ok := c.readFields(fields)
	if !ok {
		return
	}
	if len(fields) > 1 {
		c.srv.sink += v.Prefetch(fields)
	}
	c.w.Array(len(fields))
	for _, field := range fields {
		c.hashField(v, field)
	}
}

func hexists(c *Client) {
	v, ok := c.readFields(c.args[2:])
	if !ok {
		return
	}
	if v.Has(c.args[2]) {
		c.w.Int(1)
	} else {
		c.w.Int(0)
	}
}

// hlen counts what is stored: as in Redis, and as DBSIZE does with keys, an expired field counts until it is deleted, so
// that the answer takes constant time. Background expiry deletes it within milliseconds.
func hlen(c *Client) {
	v, ok := c.readHash()
	if !ok {
		return
	}
	n := 0
	if h := v.Hash(); h != nil {
		n = h.Len()
	}
	c.w.Int(int64(n))
}

func hstrlen(c *Client) {
	v, ok := c.readFields(c.args[2:])
	if !ok {
		return
	}
	n := 0
	if value, ok := v.Get(c.args[2]); ok {
		n = value.Len()
	}
	c.w.Int(int64(n))
}

func hgetall(c *Client) {
	v, ok := c.readHash()
	if !ok {
		return
	}
	c.w.Map(v.Len())
	v.Each(func(field, value hash.Value) bool {
		c.bulkValue(field)
		c.bulkValue(value)
		return true
	})
}

func hkeys(c *Client) {
	c.hashColumn(func(field, _ hash.Value) bool {
		c.bulkValue(field)
		return true
	})
}

func hvals(c *Client) {
	c.hashColumn(func(_, value hash.Value) bool {
		c.bulkValue(value)
		return true
	})
}

// hashColumn replies with an array of what fn writes for each field.
func (c *Client) hashColumn(fn func(field, value hash.Value) bool) {
	v, ok := c.readHash()
	if !ok {
		return
	}
	c.w.Array(v.Len())
	v.Each(fn)
}

func hset(c *Client) {
	if created, ok := c.setFields(); ok {
		c.w.Int(int64(created))
	}
}

func hmset(c *Client) {
	if _, ok := c.setFields(); ok {
		c.w.OK()
	}
}

// setFields sets the fields that the arguments name and returns how many are new. On failure it has replied.
func (c *Client) setFields() (created int, ok bool) {
	pairs := c.args[2:]
	if len(pairs)%2 != 0 {
		c.error(errArity(c.cmd.full))
		return 0, false
	}
	r, ok := c.writeFields(pairs, 2)
	if !ok {
		return 0, false
	}
	h := c.editHash(r)
	rules, gen := c.hashRules(), c.gen()
	h.Expect(pairs, rules, gen)
	for i := 0; i < len(pairs); i += 2 {
		if h.Set(pairs[i], pairs[i+1], rules, gen) {
			created++
		}
	}
	h.done(c)
	c.changed(c.args[1], len(pairs)/2, config.NotifyHash, "hset")
	return created, true
}

func hsetnx(c *Client) {
	r, ok := c.writeFields(c.args[2:3], 1)
	if !ok {
		return
	}
	if h := peekHash(r); h != nil && h.Has(c.args[2]) {
		c.w.Int(0)
		return
	}
	c.setField(r, c.args[3], "hset")
	c.w.Int(1)
}

// setField sets the field that argument 2 names, which keeps its deadline; r is what writeFields found.
func (c *Client) setField(r *record.Record, value []byte, event string) {
	h := c.editHash(r)
	h.SetKeeping(c.args[2], value, c.hashRules(), c.gen())
	h.done(c)
	c.changed(c.args[1], 1, config.NotifyHash, event)
}

func hincrby(c *Client) {
	by, ok := c.int64Arg(3)
	if !ok {
		return
	}
	r, ok := c.writeFields(c.args[2:3], 1)
	if !ok {
		return
	}
	n := int64(0)
	if h := peekHash(r); h != nil {
		if v, ok := h.Get(c.args[2]); ok {
			if n, ok = v.Integer(); !ok {
				c.error(errHashNotInteger)
				return
			}
		}
	}
	if by > 0 && n > (1<<63-1)-by || by < 0 && n < (-1<<63)-by {
		c.error(errOverflow)
		return
	}
	var buf intText
	c.setField(r, bytesOf(hash.Value{Int: n + by}, &buf), "hincrby")
	c.w.Int(n + by)
}

func hincrbyfloat(c *Client) {
	key, field := c.args[1], c.args[2]
	by, ok := longdouble.Parse(c.args[3])
	if !ok {
		c.error(errNotFloat)
		return
	}
	if !by.IsFinite() {
		c.error(errNotFinite)
		return
	}
	r, ok := c.writeFields(c.args[2:3], 1)
	if !ok {
		return
	}
	var sum longdouble.Value
	deadline := record.NoExpiry
	if h := peekHash(r); h != nil {
		if v, ok := h.Get(field); ok {
			deadline, _ = h.Deadline(field)
			if v.IsInt() {
				sum = longdouble.FromInt(v.Int)
			} else if sum, ok = longdouble.Parse(v.Str); !ok {
				c.error(errHashNotFloat)
				return
			}
		}
	}
	sum = longdouble.Add(sum, by)
	if !sum.IsFinite() {
		c.error(errNaNOrInfinity)
		return
	}
	var buf [64]byte
	text := sum.Append(buf[:0])
	c.setField(r, text, "hincrbyfloat")
	c.w.Bulk(text)
	if c.propagates() {
		// The result, so that replicas and files do not depend on who adds in which precision. HSET takes the deadline;
		// that every server which knows deadlines can give it back is worth a second command.
		set := [][]byte{wordHSet, key, field, append([]byte(nil), text...)}
		if deadline == record.NoExpiry {
			c.rewrite(set...)
		} else {
			c.propagateAlso(set...)
			c.rewrite(wordHPExpireAt, key, decimal(deadline), wordFields, wordOne, field)
		}
	}
}

var wordHSet = []byte("HSET")

func hdel(c *Client) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Hash)
	if !ok {
		return
	}
	deleted := 0
	// An expired field that is still there counts, as in Redis.
	if h := peekHash(r); h != nil && hasAny(h, c.args[2:]) {
		h := c.editHash(r)
		for _, field := range c.args[2:] {
			if h.Delete(field) {
				deleted++
			}
		}
		c.elementsGone(key, deleted, h.done(c), config.NotifyHash, "hdel")
	}
	c.w.Int(int64(deleted))
}

func hscan(c *Client) {
	cursor, ok := parseCursor(c.args[2])
	if !ok {
		c.error(errInvalidCursor)
		return
	}
	v, ok := c.readHash()
	if !ok {
		return
	}
	if v.Hash() == nil {
		c.emptyScan()
		return
	}
	o, ok := c.scanOptions(3, false)
	if !ok {
		return
	}
	c.scanReply(func() (n int, next uint64) {
		next = v.Scan(cursor, o.count, func(field, value hash.Value) {
			var buf intText
			if o.pattern != nil && !glob.Match(o.pattern, bytesOf(field, &buf), false) {
				return
			}
			c.bulkValue(field)
			n++
			if !o.noValues {
				c.bulkValue(value)
				n++
			}
		})
		return n, next
	})
}

func hrandfield(c *Client) {
	if len(c.args) == 2 {
		v, ok := c.readAll()
		if !ok {
			return
		}
		if field, _, ok := v.Random(c.srv.ks.Random); ok {
			c.bulkValue(field)
		} else {
			c.w.Null()
		}
		return
	}
	count, ok := c.countArg(2)
	if !ok {
		return
	}
	withValues := len(c.args) == 4 && c.is(3, "withvalues")
	if len(c.args) > 3 && !withValues {
		c.error(errSyntax)
		return
	}
	if withValues && (count < -(1<<62-1) || count > 1<<62-1) {
		c.error(errRange)
		return
	}
	v, ok := c.readAll()
	if !ok {
		return
	}
	has := v.Len()
	if has == 0 || count == 0 {
		c.w.Array(0)
		return
	}
	reply := func(field, value hash.Value) {
		if withValues && c.w.RESP3() {
			c.w.Array(2)
		}
		c.bulkValue(field)
		if withValues {
			c.bulkValue(value)
		}
	}
	n := int(count)
	if count < 0 {
		n = int(-count)
	} else {
		n = min(n, has)
	}
	if withValues && !c.w.RESP3() {
		c.w.Array(2 * n)
	} else {
		c.w.Array(n)
	}
	if count > 0 {
		v.Sample(n, c.srv.ks.Random, reply)
		return
	}
	c.drawMany(n, func(n int) {
		v.RandomAll(n, c.srv.ks.Random, func(field, value hash.Value) bool {
			reply(field, value)
			return !c.overLimit()
		})
	})
}
