package hashes

import (
	"math"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands that read or write fields of a hash together with their deadlines: HGETDEL, HGETEX and HSETEX of Redis 8.0.
// They are propagated as HDEL, HPEXPIREAT or HPERSIST, and HSETEX with PXAT.
var hashExCommands = []session.Command{
	{Name: "hgetdel", Arity: -5, Flags: session.Write | session.Fast, ACL: session.CatHash, Handler: hgetdel,
		Group: session.GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Returns the values of fields of a hash and deletes them, and the hash with its last field.",
		Keys:    session.OneKey(session.KeyRW | session.KeyAccess | session.KeyDelete),
		Args:    []session.Arg{session.KeyArg("key"), fieldsArg}},
	{Name: "hgetex", Arity: -5, Flags: session.Write | session.Fast, ACL: session.CatHash, Handler: hgetex,
		Group: session.GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Returns the values of fields of a hash, and sets or removes their deadlines.",
		Keys:    []session.KeySpec{{Flags: session.KeyRW | session.KeyAccess | session.KeyUpdate, Index: 1, Step: 1, Notes: "It counts as a change because deadlines may change."}},
		Args: []session.Arg{session.KeyArg("key"),
			session.OneOf("expiration", append(fieldExpiration(), session.TokenWord("persist", "PERSIST", ""))...).Opt(), fieldsArg}},
	{Name: "hsetex", Arity: -6, Flags: session.Write | session.DenyOOM | session.Fast, ACL: session.CatHash, Handler: hsetex,
		Group: session.GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields to set.",
		Summary: "Sets fields of a hash and their deadlines, if none or all of them exist where that is asked for.",
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"),
			session.OneOf("condition", session.TokenWord("fnx", "FNX", ""), session.TokenWord("fxx", "FXX", "")).Opt(),
			session.OneOf("expiration", append(fieldExpiration(), session.TokenWord("keepttl", "KEEPTTL", ""))...).Opt(),
			{Name: "fields", Type: session.ArgBlock, Token: "FIELDS",
				Args: []session.Arg{session.IntArg("numfields"), session.BlockOf("data", session.StringArg("field"), session.StringArg("value")).Many()}}}},
}

// fieldExpiration is the four options that give a deadline.
func fieldExpiration() []session.Arg {
	return []session.Arg{
		session.TokenArg("seconds", session.ArgInteger, "EX", ""),
		session.TokenArg("milliseconds", session.ArgInteger, "PX", ""),
		session.TokenArg("unix-time-seconds", session.ArgUnixTime, "EXAT", ""),
		session.TokenArg("unix-time-milliseconds", session.ArgUnixTime, "PXAT", "")}
}

const (
	errFieldNumber   = "ERR invalid number of fields"
	errMissingExpire = "ERR missing expire time"
	errOneCondition  = "ERR Only one of FXX or FNX arguments can be specified"
	errOneExpiration = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
)

func errUnknownArgument(arg []byte) string { return "ERR unknown argument: " + session.CString(arg) }

// deadlineOption reports whether argument i is one of EX, PX, EXAT and PXAT, and returns its unit and base.
func deadlineOption(c *session.Client, i int) (base, unit int64, ok bool) {
	switch {
	case c.Is(i, "ex"):
		return c.Core.Keyspace.Now, 1000, true
	case c.Is(i, "px"):
		return c.Core.Keyspace.Now, 1, true
	case c.Is(i, "exat"):
		return 0, 1000, true
	case c.Is(i, "pxat"):
		return 0, 1, true
	}
	return 0, 0, false
}

func hgetdel(c *session.Client) {
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
	c.W.Array(len(fields))
	if h := peekHash(c, r); h == nil || !session.HasAny(h, fields) {
		for range fields {
			c.W.Null()
		}
		return
	}
	h := editHash(c, r)
	deleted := 0
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.W.Null()
			continue
		}
		c.BulkValue(value)
		h.Remove(field)
		deleted++
	}
	h.Shrunk(deleted, config.NotifyHash, "hdel")
	if c.Propagates() {
		c.Rewrite(append([][]byte{wordHDel, key}, fields...)...)
	}
}

func hgetex(c *session.Client) {
	key := c.Args[1]
	r, ok := c.WriteTyped(key, record.Hash)
	if !ok {
		return
	}
	at, when := 2, int64(0)
	base, unit, expires := deadlineOption(c, 2)
	persist := c.Is(2, "persist")
	if expires {
		at = 4
		if when, ok = fieldDeadline(c, 3, base, unit); !ok {
			return
		}
	} else if persist {
		at = 3
	}
	fields, ok := fieldsFrom(c, at, errFieldCount)
	if !ok {
		return
	}
	if viewHash(c, r).Due() {
		r = expireMet(c, r, fields, 1)
	}
	c.W.Array(len(fields))
	if r == nil || !expires && !persist {
		v := viewHash(c, r)
		for _, field := range fields {
			hashField(c, v, field)
		}
		return
	}
	h := editHash(c, r)
	h.UseDeadlines() // as in Redis, even if no field gets one
	if persist {
		getPersisting(c, &h, fields)
		return
	}
	set := startDeadlines(c, when)
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.W.Null()
			continue
		}
		c.BulkValue(value)
		set.field(&h, field)
	}
	if set.done(&h) && c.Propagates() {
		c.Rewrite(append([][]byte{wordHPExpireAt, key, session.Decimal(set.when), wordFields, session.Decimal(int64(set.n))}, set.set...)...)
	}
}

// getPersisting is HGETEX with PERSIST.
func getPersisting(c *session.Client, h *hashEdit, fields [][]byte) {
	key := c.Args[1]
	var changed [][]byte
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.W.Null()
			continue
		}
		c.BulkValue(value)
		if when, _ := h.Deadline(field); when != record.NoExpiry {
			h.SetDeadline(field, record.NoExpiry, c.Gen())
			changed = append(changed, field)
		}
	}
	h.done()
	if len(changed) == 0 {
		return
	}
	c.Changed(key, len(changed), config.NotifyHash, "hpersist")
	if c.Propagates() {
		c.Rewrite(append([][]byte{wordHPersist, key, wordFields, session.Decimal(int64(len(changed)))}, changed...)...)
	}
}

// hsetexOptions are the options of HSETEX.
type hsetexOptions struct {
	fnx, fxx, keep bool
	whenAt         int   // where the deadline's number is, 0 if there is none
	when           int64 // the deadline, in Unix ms
	pairs          [][]byte
}

// parseHsetexOptions parses the options. On failure it has replied.
func parseHsetexOptions(c *session.Client) (o hsetexOptions, ok bool) {
	for i := 2; i < len(c.Args); i++ {
		base, unit, expires := deadlineOption(c, i)
		switch {
		case c.Is(i, "fields"):
			if i >= len(c.Args)-3 {
				c.Error(session.ErrArity(c.Cmd.Full))
				return o, false
			}
			n, ok := resp.ParseInt(c.Args[i+1])
			if !ok || n < 1 || n > math.MaxInt32 {
				c.Error(errFieldNumber)
				return o, false
			}
			if o.pairs = c.Args[i+2:]; int64(len(o.pairs)) != 2*n {
				c.Error(session.ErrArity(c.Cmd.Full))
				return o, false
			}
			return o, true
		case expires || c.Is(i, "keepttl"):
			if o.keep || o.whenAt > 0 {
				c.Error(errOneExpiration)
				return o, false
			}
			if !expires {
				o.keep = true
				continue
			}
			if i++; i >= len(c.Args) {
				c.Error(errMissingExpire)
				return o, false
			}
			if o.when, ok = fieldDeadline(c, i, base, unit); !ok {
				return o, false
			}
			o.whenAt = i
		case c.Is(i, "fxx") || c.Is(i, "fnx"):
			if o.fnx || o.fxx {
				c.Error(errOneCondition)
				return o, false
			}
			o.fxx = c.Is(i, "fxx")
			o.fnx = !o.fxx
		default:
			c.Error(errUnknownArgument(c.Args[i]))
			return o, false
		}
	}
	// The arity check allows requests without FIELDS.
	c.Error(session.ErrArity(c.Cmd.Full))
	return o, false
}

func hsetex(c *session.Client) {
	o, ok := parseHsetexOptions(c)
	if !ok {
		return
	}
	key := c.Args[1]
	r, ok := writeFields(c, o.pairs, 2)
	if !ok {
		return
	}
	v := viewHash(c, r)
	for i := 0; i < len(o.pairs) && (o.fnx || o.fxx); i += 2 {
		if v.Has(o.pairs[i]) != o.fxx {
			c.W.Int(0)
			return
		}
	}
	h := editHash(c, r)
	rules, gen := c.HashRules(), c.Gen()
	h.Expect(o.pairs, rules, gen)
	var set newDeadlines
	if o.whenAt > 0 {
		h.UseDeadlines()
		set = startDeadlines(c, o.when)
		set.collect = false
	}
	for i := 0; i < len(o.pairs); i += 2 {
		if o.keep || o.whenAt > 0 {
			h.SetKeeping(o.pairs[i], o.pairs[i+1], rules, gen)
		} else {
			h.Set(o.pairs[i], o.pairs[i+1], rules, gen)
		}
		if o.whenAt > 0 {
			set.field(&h, o.pairs[i])
		}
	}
	deleted := h.done()
	c.Changed(key, len(o.pairs)/2, config.NotifyHash, "hset")
	switch {
	case o.whenAt == 0:
	case set.past:
		c.Notify(config.NotifyHash, "hdel", key)
		c.PropagateNothing() // the deletions are propagated already
	default:
		c.Notify(config.NotifyHash, "hexpire", key)
		if c.Propagates() && !c.Is(o.whenAt-1, "pxat") {
			argv := append([][]byte(nil), c.Args...)
			argv[o.whenAt-1], argv[o.whenAt] = session.WordPXAt, session.Decimal(o.when)
			c.Rewrite(argv...)
		}
	}
	if deleted {
		c.Notify(config.NotifyGeneric, "del", key)
	}
	c.W.Int(1)
}
