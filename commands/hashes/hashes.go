// Package hashes has the commands of hashes, with deadlines of fields. A field whose deadline has passed is hidden
// (hash.View), and is deleted when a command reads it or in the background.
package hashes

import (
	"slices"

	"ferrous/commands/config"
	"ferrous/commands/longdouble"
	"ferrous/commands/session"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/record"
)

// Commands are the rows of the family.
var Commands = slices.Concat(hashCommands, hashTTLCommands, hashExCommands)

// The hash commands.
var hashCommands = []session.Command{
	{Name: "hdel", Arity: -3, Flags: session.Write | session.Fast, ACL: session.CatHash, Handler: hdel,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to delete.",
		Summary:    "Deletes fields of a hash, and the hash with its last one.",
		History:    []session.Change{{"2.4.0", "Takes several fields."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyDelete),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("field").Many()}},
	{Name: "hexists", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: hexists,
		Group: session.GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Tells whether a hash has a field.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field")}},
	{Name: "hget", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: hget,
		Group: session.GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Returns the value of a field of a hash.",
		Keys:    session.OneKey(session.KeyRO | session.KeyAccess),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field")}},
	{Name: "hgetall", Arity: 2, Flags: session.ReadOnly, ACL: session.CatHash, Handler: hgetall,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns all fields of a hash and their values.",
		Hints:      hashOrder, Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key")}},
	{Name: "hincrby", Arity: 4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hincrby,
		Group: session.GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Adds to the integer in a field of a hash, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field"), session.IntArg("increment")}},
	{Name: "hincrbyfloat", Arity: 4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hincrbyfloat,
		Group: session.GroupHash, Since: "2.6.0", Complexity: "O(1)",
		Summary: "Adds to the decimal number in a field of a hash, 0 if there is none yet.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field"), session.DoubleArg("increment")}},
	{Name: "hkeys", Arity: 2, Flags: session.ReadOnly, ACL: session.CatHash, Handler: hkeys,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns all fields of a hash.",
		Hints:      hashOrder, Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key")}},
	{Name: "hlen", Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: hlen,
		Group: session.GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Returns the number of fields of a hash.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key")}},
	{Name: "hmget", Arity: -3, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: hmget,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields asked for.",
		Summary:    "Returns the values of several fields of a hash.",
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key"), session.StringArg("field").Many()}},
	{Name: "hmset", Arity: -4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hmset,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to set.",
		Summary:    "Sets several fields of a hash.",
		Deprecated: "4.0.0", ReplacedBy: "`HSET` with multiple field-value pairs",
		Keys: session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), session.BlockOf("data", session.StringArg("field"), session.StringArg("value")).Many()}},
	{Name: "hrandfield", Arity: -2, Flags: session.ReadOnly, ACL: session.CatHash, Handler: hrandfield,
		Group: session.GroupHash, Since: "6.2.0",
		Complexity: "O(N) with N the number of fields returned.",
		Summary:    "Returns random fields of a hash.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.BlockOf("options", session.IntArg("count"),
			session.TokenWord("withvalues", "WITHVALUES", "").Opt()).Opt()}},
	{Name: "hscan", Arity: -3, Flags: session.ReadOnly, ACL: session.CatHash, Handler: hscan,
		Group: session.GroupHash, Since: "2.8.0",
		Complexity: "O(COUNT) for a call, O(N) for a whole iteration, with N the number of fields of the hash.",
		Summary:    "Returns a part of a hash's fields and the cursor to go on from.",
		History:    []session.Change{{"7.4.0", "The option `NOVALUES`."}},
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), session.IntArg("cursor"),
			session.TokenArg("pattern", session.ArgPattern, "MATCH", "").Opt(),
			session.TokenArg("count", session.ArgInteger, "COUNT", "").Opt(),
			session.TokenWord("novalues", "NOVALUES", "7.4.0").Opt()}},
	{Name: "hset", Arity: -4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hset,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields to set.",
		Summary:    "Sets fields of a hash, which is created if it does not exist.",
		History:    []session.Change{{"4.0.0", "Takes several fields with their values."}},
		Keys:       session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:       []session.Arg{session.KeyArg("key"), session.BlockOf("data", session.StringArg("field"), session.StringArg("value")).Many()}},
	{Name: "hsetnx", Arity: 4, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hsetnx,
		Group: session.GroupHash, Since: "2.0.0", Complexity: "O(1)",
		Summary: "Sets a field of a hash if it does not exist.",
		Keys:    session.OneKey(session.KeyRW | session.KeyInsert),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field"), session.StringArg("value")}},
	{Name: "hstrlen", Arity: 3, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: hstrlen,
		Group: session.GroupHash, Since: "3.2.0", Complexity: "O(1)",
		Summary: "Returns the length of the value of a field of a hash.",
		Keys:    session.OneKey(session.KeyRO),
		Args:    []session.Arg{session.KeyArg("key"), session.StringArg("field")}},
	{Name: "hvals", Arity: 2, Flags: session.ReadOnly, ACL: session.CatHash, Handler: hvals,
		Group: session.GroupHash, Since: "2.0.0",
		Complexity: "O(N) with N the number of fields of the hash.",
		Summary:    "Returns the values of all fields of a hash.",
		Hints:      hashOrder, Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key")}},
}

var hashOrder = []string{"nondeterministic_output_order"}

const (
	errHashNotInteger = "ERR hash value is not an integer"
	errHashNotFloat   = "ERR hash value is not a float"
	errNotFinite      = "ERR value is NaN or Infinity"
)

// readHash returns the present View of the hash at the key, without fields that have expired. If the key has another type it
// has replied, and ok is false.
func readHash(c *session.Client) (v hash.View, ok bool) {
	r, ok := c.ReadTyped(c.Args[1], record.Hash)
	return viewHash(c, r), ok
}

// viewHash returns the present View of the hash of a record that ReadTyped or WriteTyped found; nil is a hash without fields.
func viewHash(c *session.Client, r *record.Record) hash.View {
	return peekHash(c, r).At(c.Core.Keyspace.Now)
}

// readFields is readHash for a command that reads these fields: it deletes those that have expired, see expireMet.
func readFields(c *session.Client, fields [][]byte) (v hash.View, ok bool) {
	r, ok := c.ReadTyped(c.Args[1], record.Hash)
	if !ok {
		return v, false
	}
	if v = viewHash(c, r); v.Due() {
		v = viewHash(c, expireMet(c, r, fields, 1))
	}
	return v, true
}

// writeFields finds the hash at the key for a command that will write these fields, or every step-th of them. It deletes
// those that have expired first. If the key has another type it has replied, and ok is false.
func writeFields(c *session.Client, fields [][]byte, step int) (r *record.Record, ok bool) {
	r, ok = c.WriteTyped(c.Args[1], record.Hash)
	if ok && viewHash(c, r).Due() {
		r = expireMet(c, r, fields, step)
	}
	return r, ok
}

// peekHash returns the hash of a record, for reading; nil if r is nil or another type.
func peekHash(c *session.Client, r *record.Record) *hash.Hash {
	if r == nil || r.Type() != record.Hash {
		return nil
	}
	return session.ValueOf[hash.Hash](c, r)
}

// A hashEdit is a hash that is being changed.
type hashEdit struct {
	*hash.Hash
	edit session.Edit[*hash.Hash]
}

// editHash returns the hash at the key for writing; r is the result of WriteTyped. If it is nil the hash is created.
func editHash(c *session.Client, r *record.Record) hashEdit {
	var edit session.Edit[*hash.Hash]
	if r == nil {
		edit = session.Create(c, c.Args[1], record.Hash, hash.New(c.Gen()))
	} else {
		edit = session.BeginEdit[hash.Hash](c, r)
	}
	return hashEdit{edit.Value, edit}
}

// done ends an edit as Edit.Done does.
func (e *hashEdit) done() (deleted bool) { return e.edit.Done() }

// Shrunk ends an edit that removed n fields, as Edit.Shrunk does.
func (e *hashEdit) Shrunk(n int, class config.NotifyFlags, event string) {
	e.edit.Shrunk(n, class, event)
}

func hget(c *session.Client) {
	v, ok := readFields(c, c.Args[2:])
	if !ok {
		return
	}
	hashField(c, v, c.Args[2])
}

// hashField replies with the value of a field, null if there is none.
func hashField(c *session.Client, v hash.View, field []byte) {
	if value, ok := v.Get(field); ok {
		c.BulkValue(value)
	} else {
		c.W.Null()
	}
}

func hmget(c *session.Client) {
	fields := c.Args[2:]
	v, ok := readFields(c, fields)
	if !ok {
		return
	}
	if len(fields) > 1 {
		c.Core.Prefetched += v.Prefetch(fields)
	}
	c.W.Array(len(fields))
	for _, field := range fields {
		hashField(c, v, field)
	}
}

func hexists(c *session.Client) {
	v, ok := readFields(c, c.Args[2:])
	if !ok {
		return
	}
	if v.Has(c.Args[2]) {
		c.W.Int(1)
	} else {
		c.W.Int(0)
	}
}

// hlen counts the stored fields: as in Redis, and as DBSIZE does with keys, an expired field counts until it is deleted, so
// that HLEN takes constant time. Background expiry deletes it within milliseconds.
func hlen(c *session.Client) {
	v, ok := readHash(c)
	if !ok {
		return
	}
	n := 0
	if h := v.Hash(); h != nil {
		n = h.Len()
	}
	c.W.Int(int64(n))
}

func hstrlen(c *session.Client) {
	v, ok := readFields(c, c.Args[2:])
	if !ok {
		return
	}
	n := 0
	if value, ok := v.Get(c.Args[2]); ok {
		n = value.Len()
	}
	c.W.Int(int64(n))
}

func hgetall(c *session.Client) {
	v, ok := readHash(c)
	if !ok {
		return
	}
	c.W.Map(v.Len())
	v.Each(func(field, value hash.Value) bool {
		c.BulkValue(field)
		c.BulkValue(value)
		return true
	})
}

func hkeys(c *session.Client) {
	hashColumn(c, func(field, _ hash.Value) bool {
		c.BulkValue(field)
		return true
	})
}

func hvals(c *session.Client) {
	hashColumn(c, func(_, value hash.Value) bool {
		c.BulkValue(value)
		return true
	})
}

// hashColumn replies with an array; fn writes the element for each field.
func hashColumn(c *session.Client, fn func(field, value hash.Value) bool) {
	v, ok := readHash(c)
	if !ok {
		return
	}
	c.W.Array(v.Len())
	v.Each(fn)
}

func hset(c *session.Client) {
	if created, ok := setFields(c); ok {
		c.W.Int(int64(created))
	}
}

func hmset(c *session.Client) {
	if _, ok := setFields(c); ok {
		c.W.OK()
	}
}

// setFields sets the fields of the arguments and returns the number of new ones. On failure it has replied.
func setFields(c *session.Client) (created int, ok bool) {
	pairs := c.Args[2:]
	if len(pairs)%2 != 0 {
		c.Error(session.ErrArity(c.Cmd.Full))
		return 0, false
	}
	r, ok := writeFields(c, pairs, 2)
	if !ok {
		return 0, false
	}
	h := editHash(c, r)
	rules, gen := c.HashRules(), c.Gen()
	h.Expect(pairs, rules, gen)
	for i := 0; i < len(pairs); i += 2 {
		if h.Set(pairs[i], pairs[i+1], rules, gen) {
			created++
		}
	}
	h.done()
	c.Changed(c.Args[1], len(pairs)/2, config.NotifyHash, "hset")
	return created, true
}

func hsetnx(c *session.Client) {
	r, ok := writeFields(c, c.Args[2:3], 1)
	if !ok {
		return
	}
	if h := peekHash(c, r); h != nil && h.Has(c.Args[2]) {
		c.W.Int(0)
		return
	}
	setField(c, r, c.Args[3], "hset")
	c.W.Int(1)
}

// setField sets the field of argument 2, which keeps its deadline; r is the result of writeFields.
func setField(c *session.Client, r *record.Record, value []byte, event string) {
	h := editHash(c, r)
	h.SetKeeping(c.Args[2], value, c.HashRules(), c.Gen())
	h.done()
	c.Changed(c.Args[1], 1, config.NotifyHash, event)
}

func hincrby(c *session.Client) {
	by, ok := c.Int64Arg(3)
	if !ok {
		return
	}
	r, ok := writeFields(c, c.Args[2:3], 1)
	if !ok {
		return
	}
	n := int64(0)
	if h := peekHash(c, r); h != nil {
		if v, ok := h.Get(c.Args[2]); ok {
			if n, ok = v.Integer(); !ok {
				c.Error(errHashNotInteger)
				return
			}
		}
	}
	if by > 0 && n > (1<<63-1)-by || by < 0 && n < (-1<<63)-by {
		c.Error(session.ErrOverflow)
		return
	}
	var buf session.IntText
	setField(c, r, session.BytesOf(hash.Value{Int: n + by}, &buf), "hincrby")
	c.W.Int(n + by)
}

func hincrbyfloat(c *session.Client) {
	key, field := c.Args[1], c.Args[2]
	by, ok := longdouble.Parse(c.Args[3])
	if !ok {
		c.Error(session.ErrNotFloat)
		return
	}
	if !by.IsFinite() {
		c.Error(errNotFinite)
		return
	}
	r, ok := writeFields(c, c.Args[2:3], 1)
	if !ok {
		return
	}
	var sum longdouble.Value
	deadline := record.NoExpiry
	if h := peekHash(c, r); h != nil {
		if v, ok := h.Get(field); ok {
			deadline, _ = h.Deadline(field)
			if v.IsInt() {
				sum = longdouble.FromInt(v.Int)
			} else if sum, ok = longdouble.Parse(v.Str); !ok {
				c.Error(errHashNotFloat)
				return
			}
		}
	}
	sum = longdouble.Add(sum, by)
	if !sum.IsFinite() {
		c.Error(session.ErrNaNOrInfinity)
		return
	}
	var buf [64]byte
	text := sum.Append(buf[:0])
	setField(c, r, text, "hincrbyfloat")
	c.W.Bulk(text)
	if c.Propagates() {
		// The result is propagated, since another server may compute with another precision. HSET removes the field's
		// deadline, so HPEXPIREAT sets it again.
		set := [][]byte{wordHSet, key, field, append([]byte(nil), text...)}
		if deadline == record.NoExpiry {
			c.Rewrite(set...)
		} else {
			c.PropagateAlso(set...)
			c.Rewrite(wordHPExpireAt, key, session.Decimal(deadline), wordFields, wordOne, field)
		}
	}
}

var wordHSet = []byte("HSET")

func hdel(c *session.Client) {
	// As in Redis, an expired field that is not deleted yet counts.
	session.RemoveElements[hash.Hash](c, record.Hash, editHash, config.NotifyHash, "hdel")
}

func hscan(c *session.Client) {
	c.ScanElements(record.Hash, func(r *record.Record, s session.ElementScan) (n int, next uint64) {
		next = viewHash(c, r).Scan(s.Cursor, s.Count, func(field, value hash.Value) {
			if !s.Matches(field) {
				return
			}
			c.BulkValue(field)
			n++
			if !s.NoValues {
				c.BulkValue(value)
				n++
			}
		})
		return n, next
	})
}

// drawer is a hash that fields are drawn from.
type drawer struct {
	hash.View
	c *session.Client
}

func hrandfield(c *session.Client) {
	session.DrawElements(c, "withvalues", func(c *session.Client) (drawer, bool) {
		v, ok := readAll(c)
		return drawer{v, c}, ok
	})
}

func (d drawer) One() {
	if field, _, ok := d.Random(d.c.Core.Keyspace.Random); ok {
		d.c.BulkValue(field)
	} else {
		d.c.W.Null()
	}
}

func (d drawer) Array(n int, values bool) { d.c.PairArray(n, values) }

func (d drawer) Sample(n int, values bool) {
	d.View.Sample(n, d.c.Core.Keyspace.Random, func(field, value hash.Value) { d.reply(field, value, values) })
}

func (d drawer) Draw(n int, values bool) {
	d.RandomAll(n, d.c.Core.Keyspace.Random, func(field, value hash.Value) bool {
		d.reply(field, value, values)
		return !d.c.OverLimit()
	})
}

// reply replies with a field, as an element of the array.
func (d drawer) reply(field, value hash.Value, values bool) {
	if values && d.c.W.RESP3() {
		d.c.W.Array(2)
	}
	d.c.BulkValue(field)
	if values {
		d.c.BulkValue(value)
	}
}
