package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// Deadlines of the fields of hashes.
//
// # What a field's deadline does
//
// A field whose deadline has passed is gone for every command but HLEN and HDEL. It is deleted by background expiry
// within milliseconds (package keyspace), or before, by a command that meets it: one that asks for it or writes it by name,
// and HRANDFIELD. Commands that pass over all fields leave expired ones out and delete nothing. While keys do not
// expire (KeepExpired), fields do not either.
//
// # What is propagated
//
// Deadlines as HPEXPIREAT, in milliseconds of Unix time, and of the fields that got one only; those that expire as HDEL,
// one for each field. Nothing that follows this server has to look at a clock.
//
// Semantics and texts are those of Redis 7.4, of HGETDEL, HGETEX and HSETEX (hashes_ex.go) those of Redis 8.0.
var hashTTLCommands = []Command{
	hexpireRow("hexpire", anInt("seconds"), hexpire,
		"Sets the time that fields of a hash have to live, in seconds."),
	hexpireRow("hexpireat", Arg{Name: "unix-time-seconds", Type: ArgUnixTime}, hexpireat,
		"Sets the deadline of fields of a hash, in seconds of Unix time."),
	httlRow("hexpiretime", hexpiretime, "Returns the deadlines of fields of a hash, in seconds of Unix time."),
	{Name: "hpersist", Arity: -5, Flags: Write | Fast, ACL: CatHash, Handler: hpersist,
		Group: GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Removes the deadlines of fields of a hash.",
		Keys:    oneKey(KeyRW | KeyUpdate),
		Args:    []Arg{aKey("key"), fieldsArg}},
	hexpireRow("hpexpire", anInt("milliseconds"), hpexpire,
		"Sets the time that fields of a hash have to live, in milliseconds."),
	hexpireRow("hpexpireat", Arg{Name: "unix-time-milliseconds", Type: ArgUnixTime}, hpexpireat,
		"Sets the deadline of fields of a hash, in milliseconds of Unix time."),
	httlRow("hpexpiretime", hpexpiretime, "Returns the deadlines of fields of a hash, in milliseconds of Unix time."),
	httlRow("hpttl", hpttl, "Returns the time that fields of a hash have left to live, in milliseconds."),
	httlRow("httl", httl, "Returns the time that fields of a hash have left to live, in seconds."),
}

// fieldsArg is FIELDS with a number of fields.
var fieldsArg = Arg{Name: "fields", Type: ArgBlock, Token: "FIELDS",
	Args: []Arg{anInt("numfields"), aString("field").multiple()}}

// hexpireRow is the row of a command that sets deadlines.
func hexpireRow(name string, when Arg, handler func(*Client), summary string) Command {
	return Command{Name: name, Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: handler,
		Group: GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.", Summary: summary,
		Keys: oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"), when, aChoice("condition",
			aToken("nx", "NX", ""),
			aToken("xx", "XX", ""),
			aToken("gt", "GT", ""),
			aToken("lt", "LT", "")).optional(), fieldsArg}}
}

// httlRow is the row of a command that tells deadlines.
func httlRow(name string, handler func(*Client), summary string) Command {
	return Command{Name: name, Arity: -5, Flags: ReadOnly | Fast, ACL: CatHash, Handler: handler,
		Group: GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.", Summary: summary,
		Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key"), fieldsArg}}
}

// What the commands reply about a field.
const (
	fieldMissing   = -2
	fieldNoTTL     = -1
	fieldRefused   = 0 // the condition does not hold
	fieldChanged   = 1
	fieldDeleted   = 2 // the deadline has passed already
	maxFieldExpiry = 1<<46 - 1
)

const (
	errNoFields       = "ERR Mandatory argument FIELDS is missing or not at the right position"
	errNumFields      = "ERR Parameter `numFields` should be greater than 0"
	errFieldCount     = "ERR Number of fields must be a positive integer"
	errFieldsMismatch = "ERR The `numfields` parameter must match the number of arguments"
	errNegativeExpire = "ERR invalid expire time, must be >= 0"
)

var (
	wordHDel       = []byte("HDEL")
	wordHPExpireAt = []byte("HPEXPIREAT")
	wordHPersist   = []byte("HPERSIST")
	wordFields     = []byte("FIELDS")
	wordOne        = []byte("1")
)

// fieldsFrom returns the fields behind FIELDS, which must be argument i, and their number. badNumber is what it replies to
// a number that is none or below 1. On failure it has replied.
func (c *Client) fieldsFrom(i int, badNumber string) (fields [][]byte, ok bool) {
	if i+1 >= len(c.args) {
		c.error(errArity(c.cmd.full))
		return nil, false
	}
	if !c.is(i, "fields") {
		c.error(errNoFields)
		return nil, false
	}
	n, ok := resp.ParseInt(c.args[i+1])
	if !ok || n < 1 {
		c.error(badNumber)
		return nil, false
	}
	if fields = c.args[i+2:]; n != int64(len(fields)) {
		c.error(errFieldsMismatch)
		return nil, false
	}
	return fields, true
}

// fieldDeadline parses argument i, which counts units of so many milliseconds from base. On failure it has replied.
func (c *Client) fieldDeadline(i int, base, unit int64) (when int64, ok bool) {
	when, ok = c.int64Arg(i)
	switch {
	case !ok:
		return 0, false
	case when < 0:
		c.error(errNegativeExpire)
		return 0, false
	case when > maxFieldExpiry/unit || when*unit > maxFieldExpiry-base:
		c.error(errInvalidExpire(c.cmd.full))
		return 0, false
	}
	return when*unit + base, true
}

// sameForAll replies with an array of the same number for each of the fields.
func (c *Client) sameForAll(fields [][]byte, reply int64) {
	c.w.Array(len(fields))
	for range fields {
		c.w.Int(reply)
	}
}

// expireMet deletes those of the fields (every step-th is one) of the hash behind r that have expired, and returns what is
// at the key then, nil if that was all. Nothing happens where fields do not expire.
func (c *Client) expireMet(r *record.Record, fields [][]byte, step int) *record.Record {
	v := c.viewHash(r)
	met := 0
	for i := 0; i < len(fields); i += step {
		if v.Hides(fields[i]) {
			met++
		}
	}
	if met == 0 || c.srv.ks.KeepExpired {
		return r
	}
	h, now := c.editHash(r), c.srv.ks.Now
	for i := 0; i < len(fields); i += step {
		if when, ok := h.Deadline(fields[i]); ok && when != record.NoExpiry && when < now {
			h.Delete(fields[i])
			c.fieldGone(fields[i])
		}
	}
	return c.expiredFields(&h)
}

// expireAtMost is how many fields one HRANDFIELD may delete.
const expireAtMost = 1000

// readAll is readHash for HRANDFIELD: fields that have expired are deleted, unless there are too many.
func (c *Client) readAll() (v hash.View, ok bool) {
	r, ok := c.readTyped(c.args[1], record.Hash)
	if !ok {
		return v, false
	}
	if v = c.viewHash(r); !v.Due() || c.srv.ks.KeepExpired {
		return v, true
	}
	h := c.editHash(r)
	h.Expire(c.srv.ks.Now, expireAtMost, func(field []byte, _ int64) {
		c.fieldGone(append([]byte(nil), field...)) // its memory is about to be used again
	})
	return c.viewHash(c.expiredFields(&h)), true
}

// fieldGone counts and propagates a field that has expired, or was given a deadline that had passed. field must stay as it
// is until the command is done.
func (c *Client) fieldGone(field []byte) {
	c.srv.ks.ExpiredFields++
	c.propagateAlso(wordHDel, c.args[1], field)
}

// expiredFields ends an edit in which expired fields were deleted, and returns what is at the key then.
func (c *Client) expiredFields(h *hashEdit) *record.Record {
	key := c.args[1]
	deleted := h.done(c)
	c.touchedIn(c.db, key)
	c.notify(config.NotifyHash, "hexpired", key)
	if deleted {
		c.notify(config.NotifyGeneric, "del", key)
		return nil
	}
	return h.r
}

// fieldExpired is told of each field that expires in the background, before it is deleted.
func (s *Server) fieldExpired(db *keyspace.DB, r *record.Record, field []byte) {
	if len(s.sinks) > 0 {
		s.feed(db.ID, [][]byte{wordHDel, r.Key(), field})
	}
}

// fieldsExpired is told of a hash of which fields have just expired; if none is left its key is about to be deleted.
func (s *Server) fieldsExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.notify(config.NotifyHash, "hexpired", key, db)
	if peekHash(r).Len() == 0 {
		s.notify(config.NotifyGeneric, "del", key, db)
	}
	s.keyModified(db, key)
}

func hexpire(c *Client)    { c.hexpireAt(c.srv.ks.Now, 1000) }
func hexpireat(c *Client)  { c.hexpireAt(0, 1000) }
func hpexpire(c *Client)   { c.hexpireAt(c.srv.ks.Now, 1) }
func hpexpireat(c *Client) { c.hexpireAt(0, 1) }

// hexpireAt is HEXPIRE and its relatives: argument 2 counts units of so many milliseconds from base.
func (c *Client) hexpireAt(base, unit int64) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Hash)
	if !ok {
		return
	}
	when, ok := c.fieldDeadline(2, base, unit)
	if !ok {
		return
	}
	at := 4
	var condition expireCondition
	switch {
	case c.is(3, "nx"):
		condition = expireNX
	case c.is(3, "xx"):
		condition = expireXX
	case c.is(3, "gt"):
		condition = expireGT
	case c.is(3, "lt"):
		condition = expireLT
	default:
		at = 3
	}
	fields, ok := c.fieldsFrom(at, errNumFields)
	if !ok {
		return
	}
	if c.viewHash(r).Due() {
		r = c.expireMet(r, fields, 1)
	}
	if r == nil {
		c.sameForAll(fields, fieldMissing)
		return
	}
	h := c.editHash(r)
	h.UseDeadlines() // as Redis, even if no field gets one
	set := c.newDeadlines(when)
	c.w.Array(len(fields))
	for _, field := range fields {
		old, ok := h.Deadline(field)
		switch {
		case !ok:
			c.w.Int(fieldMissing)
		case condition != 0 && !condition.allows(old, when):
			c.w.Int(fieldRefused)
		default:
			c.w.Int(set.field(&h, field))
		}
	}
	if set.done(&h) && c.propagates() && (base != 0 || unit != 1 || set.n != len(fields)) {
		argv := append([][]byte{wordHPExpireAt, key, decimal(set.when)}, c.args[3:at+1]...)
		c.rewrite(append(append(argv, decimal(int64(set.n))), set.set...)...)
	}
}

// newDeadlines gives fields of one hash the same deadline.
type newDeadlines struct {
	c       *Client
	when    int64
	past    bool     // it has passed already: the fields are deleted
	n       int      // fields that were changed
	set     [][]byte // those that got it, if that is propagated
	collect bool
}

func (c *Client) newDeadlines(when int64) newDeadlines {
	ks := c.srv.ks
	return newDeadlines{
		c:       c,
		when:    max(when, 1), // below, what another server sends while nothing expires here: 0 means none
		past:    when <= ks.Now && !ks.KeepExpired,
		collect: c.propagates(),
	}
}

// field gives a field that is there the deadline and returns the reply that tells.
func (d *newDeadlines) field(h *hashEdit, field []byte) int64 {
	d.n++
	if d.past {
		h.Delete(field)
		d.c.fieldGone(field)
		return fieldDeleted
	}
	h.SetDeadline(field, d.when, d.c.gen())
	if d.collect {
		d.set = append(d.set, field)
	}
	return fieldChanged
}

// done ends the edit, counts the changes and tells the events. It reports whether fields have got the deadline; if not,
// what happened is propagated already.
func (d *newDeadlines) done(h *hashEdit) bool {
	c := d.c
	key := c.args[1]
	deleted := h.done(c)
	if d.n == 0 {
		return false
	}
	if !d.past {
		c.changed(key, d.n, config.NotifyHash, "hexpire")
		return true
	}
	c.elementsGone(key, d.n, deleted, config.NotifyHash, "hdel")
	c.propagateNothing()
	return false
}

func httl(c *Client)         { c.httl(c.srv.ks.Now, true) }
func hpttl(c *Client)        { c.httl(c.srv.ks.Now, false) }
func hexpiretime(c *Client)  { c.httl(0, true) }
func hpexpiretime(c *Client) { c.httl(0, false) }

// httl replies with the fields' deadlines counted from base, rounded up to seconds if so wanted.
func (c *Client) httl(base int64, seconds bool) {
	v, ok := c.readHash()
	if !ok {
		return
	}
	fields, ok := c.fieldsFrom(2, errFieldCount)
	if !ok {
		return
	}
	c.w.Array(len(fields))
	for _, field := range fields {
		when, ok := v.Deadline(field)
		switch {
		case !ok:
			c.w.Int(fieldMissing)
		case when == record.NoExpiry:
			c.w.Int(fieldNoTTL)
		case seconds:
			c.w.Int((when - base + 999) / 1000)
		default:
			c.w.Int(when - base)
		}
	}
}

func hpersist(c *Client) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Hash)
	if !ok {
		return
	}
	fields, ok := c.fieldsFrom(2, errFieldCount)
	if !ok {
		return
	}
	if c.viewHash(r).Due() {
		r = c.expireMet(r, fields, 1)
	}
	if r == nil {
		c.sameForAll(fields, fieldMissing)
		return
	}
	// Most often there is something to do; a hash without deadlines need not be owned to find that there is nothing.
	if v := c.viewHash(r); v.Hash().Earliest() == record.NoExpiry {
		c.w.Array(len(fields))
		for _, field := range fields {
			if v.Has(field) {
				c.w.Int(fieldNoTTL)
			} else {
				c.w.Int(fieldMissing)
			}
		}
		return
	}
	h := c.editHash(r)
	changed := false
	c.w.Array(len(fields))
	for _, field := range fields {
		when, ok := h.Deadline(field)
		switch {
		case !ok:
			c.w.Int(fieldMissing)
		case when == record.NoExpiry:
			c.w.Int(fieldNoTTL)
		default:
			h.SetDeadline(field, record.NoExpiry, c.gen())
			c.w.Int(fieldChanged)
			changed = true
		}
	}
	h.done(c)
	if changed {
		c.changed(key, 1, config.NotifyHash, "hpersist")
	}
}
