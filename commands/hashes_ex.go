package commands

import (
	"math"

	"ferrous/commands/config"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands that read or write fields of a hash and their deadlines in one: HGETDEL, HGETEX and HSETEX of Redis 8.0.
// They are propagated as what they do: HDEL, HPEXPIREAT or HPERSIST, and HSETEX with PXAT.
var hashExCommands = []Command{
	{Name: "hgetdel", Arity: -5, Flags: Write | Fast, ACL: CatHash, Handler: hgetdel,
		Group: GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Returns the values of fields of a hash and deletes them, and the hash with its last field.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyDelete),
		Args:    []Arg{aKey("key"), fieldsArg}},
	{Name: "hgetex", Arity: -5, Flags: Write | Fast, ACL: CatHash, Handler: hgetex,
		Group: GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields that are named.",
		Summary: "Returns the values of fields of a hash, and sets or removes their deadlines.",
		Keys:    []KeySpec{{Flags: KeyRW | KeyAccess | KeyUpdate, Index: 1, Step: 1, Notes: "It counts as a change because deadlines may change."}},
		Args: []Arg{aKey("key"),
			aChoice("expiration", append(fieldExpiration(), aToken("persist", "PERSIST", ""))...).optional(), fieldsArg}},
	{Name: "hsetex", Arity: -6, Flags: Write | DenyOOM | Fast, ACL: CatHash, Handler: hsetex,
		Group: GroupHash, Since: "8.0.0", Complexity: "O(N) with N the number of fields to set.",
		Summary: "Sets fields of a hash and their deadlines, if none or all of them exist where that is asked for.",
		Keys:    oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"),
			aChoice("condition", aToken("fnx", "FNX", ""), aToken("fxx", "FXX", "")).optional(),
			aChoice("expiration", append(fieldExpiration(), aToken("keepttl", "KEEPTTL", ""))...).optional(),
			{Name: "fields", Type: ArgBlock, Token: "FIELDS",
				Args: []Arg{anInt("numfields"), aBlock("data", aString("field"), aString("value")).multiple()}}}},
}

// fieldExpiration is the four ways to say a deadline.
func fieldExpiration() []Arg {
	return []Arg{
		aTokenArg("seconds", ArgInteger, "EX", ""),
		aTokenArg("milliseconds", ArgInteger, "PX", ""),
		aTokenArg("unix-time-seconds", ArgUnixTime, "EXAT", ""),
		aTokenArg("unix-time-milliseconds", ArgUnixTime, "PXAT", "")}
}

const (
	errFieldNumber   = "ERR invalid number of fields"
	errMissingExpire = "ERR missing expire time"
	errOneCondition  = "ERR Only one of FXX or FNX arguments can be specified"
	errOneExpiration = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
)

func errUnknownArgument(arg []byte) string { return "ERR unknown argument: " + cString(arg) }

// deadlineOption reports whether argument i is one of EX, PX, EXAT and PXAT, and how it counts.
func (c *Client) deadlineOption(i int) (base, unit int64, ok bool) {
	switch {
	case c.is(i, "ex"):
		return c.srv.ks.Now, 1000, true
	case c.is(i, "px"):
		return c.srv.ks.Now, 1, true
	case c.is(i, "exat"):
		return 0, 1000, true
	case c.is(i, "pxat"):
		return 0, 1, true
	}
	return 0, 0, false
}

func hgetdel(c *Client) {
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
	c.w.Array(len(fields))
	if h := peekHash(r); h == nil || !hasAny(h, fields) {
		for range fields {
			c.w.Null()
		}
		return
	}
	h := c.editHash(r)
	deleted := 0
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.w.Null()
			continue
		}
		c.bulkValue(value)
		h.Delete(field)
		deleted++
	}
	c.elementsGone(key, deleted, h.done(c), config.NotifyHash, "hdel")
	if c.propagates() {
		c.rewrite(append([][]byte{wordHDel, key}, fields...)...)
	}
}

func hgetex(c *Client) {
	key := c.args[1]
	r, ok := c.writeTyped(key, record.Hash)
	if !ok {
		return
	}
	at, when := 2, int64(0)
	base, unit, expires := c.deadlineOption(2)
	persist := c.is(2, "persist")
	if expires {
		at = 4
		if when, ok = c.fieldDeadline(3, base, unit); !ok {
			return
		}
	} else if persist {
		at = 3
	}
	fields, ok := c.fieldsFrom(at, errFieldCount)
	if !ok {
		return
	}
	if c.viewHash(r).Due() {
		r = c.expireMet(r, fields, 1)
	}
	c.w.Array(len(fields))
	if r == nil || !expires && !persist {
		v := c.viewHash(r)
		for _, field := range fields {
			c.hashField(v, field)
		}
		return
	}
	h := c.editHash(r)
	h.UseDeadlines() // as Redis, even if no field gets one
	if persist {
		c.getPersisting(&h, fields)
		return
	}
	set := c.newDeadlines(when)
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.w.Null()
			continue
		}
		c.bulkValue(value)
		set.field(&h, field)
	}
	if set.done(&h) && c.propagates() {
		c.rewrite(append([][]byte{wordHPExpireAt, key, decimal(set.when), wordFields, decimal(int64(set.n))}, set.set...)...)
	}
}

// getPersisting is HGETEX with PERSIST.
func (c *Client) getPersisting(h *hashEdit, fields [][]byte) {
	key := c.args[1]
	var changed [][]byte
	for _, field := range fields {
		value, ok := h.Get(field)
		if !ok {
			c.w.Null()
			continue
		}
		c.bulkValue(value)
		if when, _ := h.Deadline(field); when != record.NoExpiry {
			h.SetDeadline(field, record.NoExpiry, c.gen())
			changed = append(changed, field)
		}
	}
	h.done(c)
	if len(changed) == 0 {
		return
	}
	c.changed(key, len(changed), config.NotifyHash, "hpersist")
	if c.propagates() {
		c.rewrite(append([][]byte{wordHPersist, key, wordFields, decimal(int64(len(changed)))}, changed...)...)
	}
}

// hsetexOptions are the options of HSETEX.
type hsetexOptions struct {
	fnx, fxx, keep bool
	whenAt         int   // where the deadline's number is, 0 if there is none
	when           int64 // the deadline, in Unix ms
	pairs          [][]byte
}

// hsetexOptions parses the options. On failure it has replied.
func (c *Client) hsetexOptions() (o hsetexOptions, ok bool) {
	for i := 2; i < len(c.args); i++ {
		base, unit, expires := c.deadlineOption(i)
		switch {
		case c.is(i, "fields"):
			if i >= len(c.args)-3 {
				c.error(errArity(c.cmd.full))
				return o, false
			}
			n, ok := resp.ParseInt(c.args[i+1])
			if !ok || n < 1 || n > math.MaxInt32 {
				c.error(errFieldNumber)
				return o, false
			}
			if o.pairs = c.args[i+2:]; int64(len(o.pairs)) != 2*n {
				c.error(errArity(c.cmd.full))
				return o, false
			}
			return o, true
		case expires || c.is(i, "keepttl"):
			if o.keep || o.whenAt > 0 {
				c.error(errOneExpiration)
				return o, false
			}
			if !expires {
				o.keep = true
				continue
			}
			if i++; i >= len(c.args) {
				c.error(errMissingExpire)
				return o, false
			}
			if o.when, ok = c.fieldDeadline(i, base, unit); !ok {
				return o, false
			}
			o.whenAt = i
		case c.is(i, "fxx") || c.is(i, "fnx"):
			if o.fnx || o.fxx {
				c.error(errOneCondition)
				return o, false
			}
			o.fxx = c.is(i, "fxx")
			o.fnx = !o.fxx
		default:
			c.error(errUnknownArgument(c.args[i]))
			return o, false
		}
	}
	// The arity leaves room for more than the options before FIELDS can be.
	c.error(errArity(c.cmd.full))
	return o, false
}

func hsetex(c *Client) {
	o, ok := c.hsetexOptions()
	if !ok {
		return
	}
	key := c.args[1]
	r, ok := c.writeFields(o.pairs, 2)
	if !ok {
		return
	}
	v := c.viewHash(r)
	for i := 0; i < len(o.pairs) && (o.fnx || o.fxx); i += 2 {
		if v.Has(o.pairs[i]) != o.fxx {
			c.w.Int(0)
			return
		}
	}
	h := c.editHash(r)
	rules, gen := c.hashRules(), c.gen()
	h.Expect(o.pairs, rules, gen)
	var set newDeadlines
	if o.whenAt > 0 {
		h.UseDeadlines()
		set = c.newDeadlines(o.when)
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
	deleted := h.done(c)
	c.changed(key, len(o.pairs)/2, config.NotifyHash, "hset")
	switch {
	case o.whenAt == 0:
	case set.past:
		c.notify(config.NotifyHash, "hdel", key)
		c.propagateNothing() // what was deleted is propagated already
	default:
		c.notify(config.NotifyHash, "hexpire", key)
		if c.propagates() && !c.is(o.whenAt-1, "pxat") {
			argv := append([][]byte(nil), c.args...)
			argv[o.whenAt-1], argv[o.whenAt] = wordPXAt, decimal(o.when)
			c.rewrite(argv...)
		}
	}
	if deleted {
		c.notify(config.NotifyGeneric, "del", key)
	}
	c.w.Int(1)
}
