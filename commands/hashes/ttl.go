package hashes

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// Deadlines of the fields of hashes.
//
// # The effect of a deadline
//
// A field whose deadline has passed does not exist for commands, except HLEN and HDEL. Background expiry deletes it within
// milliseconds (package keyspace), or before that a command that reads or writes it by name, or HRANDFIELD. Commands that
// iterate over all fields skip expired ones and delete nothing. While keys do not expire (KeepExpired), fields do not either.
//
// # What is propagated
//
// Deadlines are propagated as HPEXPIREAT, in milliseconds of Unix time and for the fields that got one only; expired fields
// as HDEL, one command for each field. So replicas and files do not depend on a clock.
//
// Semantics and texts are those of Redis 7.4, of HGETDEL, HGETEX and HSETEX (ex.go) those of Redis 8.0.
var hashTTLCommands = []session.Command{
	hexpireRow("hexpire", session.IntArg("seconds"), hexpire,
		"Sets the time that fields of a hash have to live, in seconds."),
	hexpireRow("hexpireat", session.Arg{Name: "unix-time-seconds", Type: session.ArgUnixTime}, hexpireat,
		"Sets the deadline of fields of a hash, in seconds of Unix time."),
	httlRow("hexpiretime", hexpiretime, "Returns the deadlines of fields of a hash, in seconds of Unix time."),
	{Name: "hpersist", Arity: -5, Flags: session.Write | session.Fast, ACL: session.CatHash, Handler: hpersist,
		Group: session.GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Removes the deadlines of fields of a hash.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args:    []session.Arg{session.KeyArg("key"), fieldsArg}},
	hexpireRow("hpexpire", session.IntArg("milliseconds"), hpexpire,
		"Sets the time that fields of a hash have to live, in milliseconds."),
	hexpireRow("hpexpireat", session.Arg{Name: "unix-time-milliseconds", Type: session.ArgUnixTime}, hpexpireat,
		"Sets the deadline of fields of a hash, in milliseconds of Unix time."),
	httlRow("hpexpiretime", hpexpiretime, "Returns the deadlines of fields of a hash, in milliseconds of Unix time."),
	httlRow("hpttl", hpttl, "Returns the time that fields of a hash have left to live, in milliseconds."),
	httlRow("httl", httl, "Returns the time that fields of a hash have left to live, in seconds."),
}

// fieldsArg is FIELDS with a number of fields.
var fieldsArg = session.Arg{Name: "fields", Type: session.ArgBlock, Token: "FIELDS",
	Args: []session.Arg{session.IntArg("numfields"), session.StringArg("field").Many()}}

// hexpireRow is the row of a command that sets deadlines.
func hexpireRow(name string, when session.Arg, handler func(*session.Client), summary string) session.Command {
	return session.Command{Name: name, Arity: -6, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: handler,
		Group: session.GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.", Summary: summary,
		Keys: session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), when, session.OneOf("condition",
			session.TokenWord("nx", "NX", ""),
			session.TokenWord("xx", "XX", ""),
			session.TokenWord("gt", "GT", ""),
			session.TokenWord("lt", "LT", "")).Opt(), fieldsArg}}
}

// httlRow is the row of a command that shows deadlines.
func httlRow(name string, handler func(*session.Client), summary string) session.Command {
	return session.Command{Name: name, Arity: -5, Flags: session.ReadOnly | session.Fast, ACL: session.CatHash, Handler: handler,
		Group: session.GroupHash, Since: "7.4.0", Complexity: "O(N) with N the number of fields that are named.", Summary: summary,
		Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key"), fieldsArg}}
}

// The replies for a field.
const (
	fieldMissing = -2
	fieldNoTTL   = -1
	fieldRefused = 0 // the condition does not hold
	fieldChanged = 1
	fieldDeleted = 2 // the deadline has passed already
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

// fieldsFrom returns the fields behind FIELDS, which must be argument i, and their number. badNumber is the error for a
// number that is invalid or below 1. On failure it has replied.
func fieldsFrom(c *session.Client, i int, badNumber string) (fields [][]byte, ok bool) {
	if i+1 >= len(c.Args) {
		c.Error(session.ErrArity(c.Cmd.Full))
		return nil, false
	}
	if !c.Is(i, "fields") {
		c.Error(errNoFields)
		return nil, false
	}
	n, ok := resp.ParseInt(c.Args[i+1])
	if !ok || n < 1 {
		c.Error(badNumber)
		return nil, false
	}
	if fields = c.Args[i+2:]; n != int64(len(fields)) {
		c.Error(errFieldsMismatch)
		return nil, false
	}
	return fields, true
}

// fieldDeadline parses argument i, which counts units of so many milliseconds from base. On failure it has replied.
func fieldDeadline(c *session.Client, i int, base, unit int64) (when int64, ok bool) {
	when, ok = c.Int64Arg(i)
	switch {
	case !ok:
		return 0, false
	case when < 0:
		c.Error(errNegativeExpire)
		return 0, false
	case when > hash.MaxExpiry/unit || when*unit > hash.MaxExpiry-base:
		c.Error(session.ErrInvalidExpire(c.Cmd.Full))
		return 0, false
	}
	return when*unit + base, true
}

// sameForAll replies with an array of the same number for each of the fields.
func sameForAll(c *session.Client, fields [][]byte, reply int64) {
	c.W.Array(len(fields))
	for range fields {
		c.W.Int(reply)
	}
}

// expireMet deletes the expired ones of these fields (every step-th of the slice) of the hash behind r. It returns the key's
// present record, nil if no field is left. It does nothing while fields do not expire (KeepExpired).
func expireMet(c *session.Client, r *record.Record, fields [][]byte, step int) *record.Record {
	v := viewHash(c, r)
	met := 0
	for i := 0; i < len(fields); i += step {
		if v.Hides(fields[i]) {
			met++
		}
	}
	if met == 0 || c.Core.Keyspace.KeepExpired {
		return r
	}
	h, now := editHash(c, r), c.Core.Keyspace.Now
	for i := 0; i < len(fields); i += step {
		if when, ok := h.Deadline(fields[i]); ok && when != record.NoExpiry && when < now {
			h.Remove(fields[i])
			fieldGone(c, fields[i])
		}
	}
	return expiredFields(c, &h)
}

// expireAtMost is the most fields that one HRANDFIELD deletes.
const expireAtMost = 1000

// readAll is readHash for HRANDFIELD: it deletes expired fields, unless there are too many.
func readAll(c *session.Client) (v hash.View, ok bool) {
	r, ok := c.ReadTyped(c.Args[1], record.Hash)
	if !ok {
		return v, false
	}
	if v = viewHash(c, r); !v.Due() || c.Core.Keyspace.KeepExpired {
		return v, true
	}
	h := editHash(c, r)
	h.Expire(c.Core.Keyspace.Now, expireAtMost, func(field []byte, _ int64) {
		fieldGone(c, append([]byte(nil), field...)) // its memory is about to be reused
	})
	return viewHash(c, expiredFields(c, &h)), true
}

// fieldGone counts and propagates the deletion of a field that has expired, or whose new deadline has passed already. field
// must not change until the command is done.
func fieldGone(c *session.Client, field []byte) {
	c.Core.Keyspace.ExpiredFields++
	c.PropagateAlso(wordHDel, c.Args[1], field)
}

// expiredFields ends an edit in which expired fields were deleted, and returns the key's present record.
func expiredFields(c *session.Client, h *hashEdit) *record.Record {
	key := c.Args[1]
	deleted := h.done()
	c.TouchedIn(c.DB, key)
	c.Notify(config.NotifyHash, "hexpired", key)
	if deleted {
		c.Notify(config.NotifyGeneric, "del", key)
		return nil
	}
	return h.edit.Record
}

func hexpire(c *session.Client)    { hexpireAt(c, c.Core.Keyspace.Now, 1000) }
func hexpireat(c *session.Client)  { hexpireAt(c, 0, 1000) }
func hpexpire(c *session.Client)   { hexpireAt(c, c.Core.Keyspace.Now, 1) }
func hpexpireat(c *session.Client) { hexpireAt(c, 0, 1) }

// hexpireAt is HEXPIRE and its relatives: argument 2 counts units of so many milliseconds from base.
func hexpireAt(c *session.Client, base, unit int64) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Hash)
	if !ok {
		return
	}
	when, ok := fieldDeadline(c, 2, base, unit)
	if !ok {
		return
	}
	at := 4
	var condition session.ExpireCondition
	switch {
	case c.Is(3, "nx"):
		condition = session.ExpireNX
	case c.Is(3, "xx"):
		condition = session.ExpireXX
	case c.Is(3, "gt"):
		condition = session.ExpireGT
	case c.Is(3, "lt"):
		condition = session.ExpireLT
	default:
		at = 3
	}
	fields, ok := fieldsFrom(c, at, errNumFields)
	if !ok {
		return
	}
	if viewHash(c, r).Due() {
		r = expireMet(c, r, fields, 1)
	}
	if r == nil {
		sameForAll(c, fields, fieldMissing)
		return
	}
	h := editHash(c, r)
	h.UseDeadlines() // as Redis, even if no field gets one
	set := startDeadlines(c, when)
	c.W.Array(len(fields))
	for _, field := range fields {
		old, ok := h.Deadline(field)
		switch {
		case !ok:
			c.W.Int(fieldMissing)
		case condition != 0 && !condition.Allows(old, when):
			c.W.Int(fieldRefused)
		default:
			c.W.Int(set.field(&h, field))
		}
	}
	if set.done(&h) && c.Propagates() && (base != 0 || unit != 1 || set.n != len(fields)) {
		argv := append([][]byte{wordHPExpireAt, key, session.Decimal(set.when)}, c.Args[3:at+1]...)
		c.Rewrite(append(append(argv, session.Decimal(int64(set.n))), set.set...)...)
	}
}

// newDeadlines gives fields of one hash the same deadline.
type newDeadlines struct {
	c       *session.Client
	when    int64
	past    bool     // the deadline has passed already: the fields are deleted
	n       int      // number of changed fields
	set     [][]byte // the fields that got the deadline, if this is propagated
	collect bool
}

func startDeadlines(c *session.Client, when int64) newDeadlines {
	ks := c.Core.Keyspace
	return newDeadlines{
		c:       c,
		when:    max(when, 1), // on a replica, which expires nothing, a deadline of the master may be 0 or less; 0 would mean none
		past:    when <= ks.Now && !ks.KeepExpired,
		collect: c.Propagates(),
	}
}

// field gives an existing field the deadline, or deletes it if the deadline has passed. It returns the reply for the field.
func (d *newDeadlines) field(h *hashEdit, field []byte) int64 {
	d.n++
	if d.past {
		h.Remove(field)
		fieldGone(d.c, field)
		return fieldDeleted
	}
	h.SetDeadline(field, d.when, d.c.Gen())
	if d.collect {
		d.set = append(d.set, field)
	}
	return fieldChanged
}

// done ends the edit, counts the changes and publishes the events. It returns false if the command needs no propagation: no
// field was changed, or the deletion of fields is propagated already.
func (d *newDeadlines) done(h *hashEdit) bool {
	c := d.c
	key := c.Args[1]
	deleted := h.done()
	if d.n == 0 {
		return false
	}
	if !d.past {
		c.Changed(key, d.n, config.NotifyHash, "hexpire")
		return true
	}
	c.ElementsGone(key, d.n, deleted, config.NotifyHash, "hdel")
	c.PropagateNothing()
	return false
}

func httl(c *session.Client)         { replyDeadlines(c, c.Core.Keyspace.Now, true) }
func hpttl(c *session.Client)        { replyDeadlines(c, c.Core.Keyspace.Now, false) }
func hexpiretime(c *session.Client)  { replyDeadlines(c, 0, true) }
func hpexpiretime(c *session.Client) { replyDeadlines(c, 0, false) }

// replyDeadlines replies with the fields' deadlines counted from base, rounded up to seconds if seconds is set.
func replyDeadlines(c *session.Client, base int64, seconds bool) {
	v, ok := readHash(c)
	if !ok {
		return
	}
	fields, ok := fieldsFrom(c, 2, errFieldCount)
	if !ok {
		return
	}
	c.W.Array(len(fields))
	for _, field := range fields {
		when, ok := v.Deadline(field)
		switch {
		case !ok:
			c.W.Int(fieldMissing)
		case when == record.NoExpiry:
			c.W.Int(fieldNoTTL)
		case seconds:
			c.W.Int((when - base + 999) / 1000)
		default:
			c.W.Int(when - base)
		}
	}
}

func hpersist(c *session.Client) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Hash)
	if !ok {
		return
	}
	fields, ok := fieldsFrom(c, 2, errFieldCount)
	if !ok {
		return
	}
	if viewHash(c, r).Due() {
		r = expireMet(c, r, fields, 1)
	}
	if r == nil {
		sameForAll(c, fields, fieldMissing)
		return
	}
	// A hash without deadlines needs no edit, which might copy it.
	if v := viewHash(c, r); v.Hash().Earliest() == record.NoExpiry {
		c.W.Array(len(fields))
		for _, field := range fields {
			if v.Has(field) {
				c.W.Int(fieldNoTTL)
			} else {
				c.W.Int(fieldMissing)
			}
		}
		return
	}
	h := editHash(c, r)
	changed := false
	c.W.Array(len(fields))
	for _, field := range fields {
		when, ok := h.Deadline(field)
		switch {
		case !ok:
			c.W.Int(fieldMissing)
		case when == record.NoExpiry:
			c.W.Int(fieldNoTTL)
		default:
			h.SetDeadline(field, record.NoExpiry, c.Gen())
			c.W.Int(fieldChanged)
			changed = true
		}
	}
	h.done()
	if changed {
		c.Changed(key, 1, config.NotifyHash, "hpersist")
	}
}
