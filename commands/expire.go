package commands

import (
	"math"

	"ferrous/commands/config"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands about deadlines.
//
// A deadline is kept and propagated in milliseconds of Unix time, so that an append-only file or a replica that runs a
// command later, or by another clock, comes to the same one: all commands that set one are propagated as PEXPIREAT. A
// deadline that has come already deletes the key at once, which is propagated as the deletion that it is.

// expireRow is the row of a command that sets a deadline.
func expireRow(name, since string, when Arg, handler func(*Client), summary string) Command {
	return Command{Name: name, Arity: -3, Flags: Write | Fast, ACL: CatKeyspace, Handler: handler,
		Group: GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		History: []Change{{"7.0.0", "Added the options `NX`, `XX`, `GT` and `LT`."}},
		Keys:    oneKey(KeyRW | KeyUpdate),
		Args: []Arg{aKey("key"), when, aChoice("condition",
			aToken("nx", "NX", ""),
			aToken("xx", "XX", ""),
			aToken("gt", "GT", ""),
			aToken("lt", "LT", "")).optional().since("7.0.0")}}
}

// ttlRow is the row of a command that tells a deadline.
func ttlRow(name, since string, handler func(*Client), summary string) Command {
	row := Command{Name: name, Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Handler: handler,
		Group: GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		Keys: oneKey(KeyRO | KeyAccess),
		Args: []Arg{aKey("key")}}
	if since != "7.0.0" { // the time left, not the deadline itself
		row.History = []Change{{"2.8.0", "Added the reply -2."}}
		row.Hints = []string{"nondeterministic_output"}
	}
	return row
}

func expire(c *Client)    { c.expireAt(c.srv.ks.Now, 1000) }
func expireat(c *Client)  { c.expireAt(0, 1000) }
func pexpire(c *Client)   { c.expireAt(c.srv.ks.Now, 1) }
func pexpireat(c *Client) { c.expireAt(0, 1) }

// expireCondition is a set of the options of EXPIRE and its relatives.
type expireCondition uint8

const (
	expireNX expireCondition = 1 << iota
	expireXX
	expireGT
	expireLT
)

// expireConditions parses the options. On failure it has replied.
func (c *Client) expireConditions() (given expireCondition, ok bool) {
	for i := 3; i < len(c.args); i++ {
		switch {
		case c.is(i, "nx"):
			given |= expireNX
		case c.is(i, "xx"):
			given |= expireXX
		case c.is(i, "gt"):
			given |= expireGT
		case c.is(i, "lt"):
			given |= expireLT
		default:
			c.error(errUnsupportedOption(c.args[i]))
			return 0, false
		}
	}
	if given&expireNX != 0 && given&^expireNX != 0 {
		c.error(errExpireNX)
		return 0, false
	}
	if given&(expireGT|expireLT) == expireGT|expireLT {
		c.error(errExpireGTLT)
		return 0, false
	}
	return given, true
}

// allows reports whether the options let a key with this deadline have the other one. A key without a deadline lives
// for ever: nothing is greater.
func (o expireCondition) allows(old, when int64) bool {
	never := old == record.NoExpiry
	return !(o&expireNX != 0 && !never ||
		o&expireXX != 0 && never ||
		o&expireGT != 0 && (never || when <= old) ||
		o&expireLT != 0 && !never && when >= old)
}

// expireAt is EXPIRE and its relatives: argument 2 counts units of so many milliseconds from base.
func (c *Client) expireAt(base, unit int64) {
	conditions, ok := c.expireConditions()
	if !ok {
		return
	}
	when, ok := resp.ParseInt(c.args[2])
	if !ok {
		c.error(errNotInteger)
		return
	}
	if when > math.MaxInt64/unit || when < math.MinInt64/unit || when*unit > math.MaxInt64-base {
		c.error(errInvalidExpire(c.cmd.full))
		return
	}
	when = when*unit + base
	key := c.args[1]
	r := c.write(key)
	if r == nil || conditions != 0 && !conditions.allows(r.Expiry(), when) {
		c.w.Int(0)
		return
	}
	ks := c.srv.ks
	if when <= ks.Now && !ks.KeepExpired {
		c.db.Remove(r)
		c.changed(key, 1, config.NotifyGeneric, "del")
		c.rewrite(c.srv.expiryVerb(), key)
		c.w.Int(1)
		return
	}
	when = max(when, 0) // a replica's; below are the values that mean something else
	c.db.SetExpiry(r, when)
	c.changed(key, 1, config.NotifyGeneric, "expire")
	if c.propagates() && (base != 0 || unit != 1) {
		// The options stay: they hold again when the command is run again.
		argv := append([][]byte{wordPExpireAt, key, decimal(when)}, c.args[3:]...)
		c.rewrite(argv...)
	}
	c.w.Int(1)
}

// expiryVerb is the command that deletes an expired key in what is propagated.
func (s *Server) expiryVerb() []byte {
	if s.cfg.LazyfreeExpire {
		return wordUnlink
	}
	return wordDel
}

func persist(c *Client) {
	key := c.args[1]
	r := c.write(key)
	if r == nil || r.Expiry() == record.NoExpiry {
		c.w.Int(0)
		return
	}
	c.db.SetExpiry(r, record.NoExpiry)
	c.changed(key, 1, config.NotifyGeneric, "persist")
	c.w.Int(1)
}

func ttl(c *Client)         { c.ttl(c.srv.ks.Now, true) }
func pttl(c *Client)        { c.ttl(c.srv.ks.Now, false) }
func expiretime(c *Client)  { c.ttl(0, true) }
func pexpiretime(c *Client) { c.ttl(0, false) }

// ttl replies with the key's deadline counted from base, rounded to seconds if so wanted; -1 if it has none, -2 if
// there is no such key.
func (c *Client) ttl(base int64, seconds bool) {
	r := c.look(c.args[1])
	if r == nil {
		c.w.Int(-2)
		return
	}
	when := r.Expiry()
	if when == record.NoExpiry {
		c.w.Int(-1)
		return
	}
	left := max(when-base, 0)
	if seconds {
		left = int64((uint64(left) + 500) / 1000)
	}
	c.w.Int(left)
}
