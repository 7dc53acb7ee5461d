package keys

import (
	"math"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// The commands about deadlines.
//
// A deadline is stored and propagated in milliseconds of Unix time, so that replicas and the append-only file get the same
// one although they run the command later or with another clock: all commands that set one are propagated as PEXPIREAT. A
// deadline that has passed already deletes the key at once, which is propagated as a deletion.

// expireRow is the row of a command that sets a deadline.
func expireRow(name, since string, when session.Arg, handler func(*session.Client), summary string) session.Command {
	return session.Command{Name: name, Arity: -3, Flags: session.Write | session.Fast, ACL: session.CatKeyspace, Handler: handler,
		Group: session.GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		History: []session.Change{{"7.0.0", "Added the options `NX`, `XX`, `GT` and `LT`."}},
		Keys:    session.OneKey(session.KeyRW | session.KeyUpdate),
		Args: []session.Arg{session.KeyArg("key"), when, session.OneOf("condition",
			session.TokenWord("nx", "NX", ""),
			session.TokenWord("xx", "XX", ""),
			session.TokenWord("gt", "GT", ""),
			session.TokenWord("lt", "LT", "")).Opt().From("7.0.0")}}
}

// ttlRow is the row of a command that shows a deadline.
func ttlRow(name, since string, handler func(*session.Client), summary string) session.Command {
	row := session.Command{Name: name, Arity: 2, Flags: session.ReadOnly | session.Fast, ACL: session.CatKeyspace, Handler: handler,
		Group: session.GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		Keys: session.OneKey(session.KeyRO | session.KeyAccess),
		Args: []session.Arg{session.KeyArg("key")}}
	if since != "7.0.0" { // commands that reply with the time left, not with the deadline itself
		row.History = []session.Change{{"2.8.0", "Added the reply -2."}}
		row.Hints = []string{"nondeterministic_output"}
	}
	return row
}

func expire(c *session.Client)    { expireAt(c, c.Core.Keyspace.Now, 1000) }
func expireat(c *session.Client)  { expireAt(c, 0, 1000) }
func pexpire(c *session.Client)   { expireAt(c, c.Core.Keyspace.Now, 1) }
func pexpireat(c *session.Client) { expireAt(c, 0, 1) }

// expireConditions parses the options. On failure it has replied.
func expireConditions(c *session.Client) (given session.ExpireCondition, ok bool) {
	for i := 3; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "nx"):
			given |= session.ExpireNX
		case c.Is(i, "xx"):
			given |= session.ExpireXX
		case c.Is(i, "gt"):
			given |= session.ExpireGT
		case c.Is(i, "lt"):
			given |= session.ExpireLT
		default:
			c.Error(session.ErrUnsupportedOption(c.Args[i]))
			return 0, false
		}
	}
	if given&session.ExpireNX != 0 && given&^session.ExpireNX != 0 {
		c.Error(session.ErrExpireNX)
		return 0, false
	}
	if given&(session.ExpireGT|session.ExpireLT) == session.ExpireGT|session.ExpireLT {
		c.Error(session.ErrExpireGTLT)
		return 0, false
	}
	return given, true
}

// expireAt is EXPIRE and its relatives: argument 2 counts units of so many milliseconds from base.
func expireAt(c *session.Client, base, unit int64) {
	conditions, ok := expireConditions(c)
	if !ok {
		return
	}
	when, ok := resp.ParseInt(c.Args[2])
	if !ok {
		c.Error(session.ErrNotInteger)
		return
	}
	if when > math.MaxInt64/unit || when < math.MinInt64/unit || when*unit > math.MaxInt64-base {
		c.Error(session.ErrInvalidExpire(c.Cmd.Full))
		return
	}
	when = when*unit + base
	key := c.Args[1]
	r := c.Write(key)
	if r == nil || conditions != 0 && !conditions.Allows(r.Expiry(), when) {
		c.W.Int(0)
		return
	}
	ks := c.Core.Keyspace
	if when <= ks.Now && !ks.KeepExpired {
		c.DB.RemoveAs(r, ks.Lazy.Expiry)
		c.Changed(key, 1, config.NotifyGeneric, "del")
		c.Rewrite(c.Core.ExpiryVerb(), key)
		c.W.Int(1)
		return
	}
	when = max(when, 0) // negative deadlines come from a master; record.NoExpiry and KeepTTL are negative, too
	c.DB.SetExpiry(r, when)
	c.Changed(key, 1, config.NotifyGeneric, "expire")
	if c.Propagates() && (base != 0 || unit != 1) {
		// The options stay: their conditions also hold where the command is run again.
		argv := append([][]byte{session.WordPExpireAt, key, session.Decimal(when)}, c.Args[3:]...)
		c.Rewrite(argv...)
	}
	c.W.Int(1)
}

func persist(c *session.Client) {
	key := c.Args[1]
	r := c.Write(key)
	if r == nil || r.Expiry() == record.NoExpiry {
		c.W.Int(0)
		return
	}
	c.DB.SetExpiry(r, record.NoExpiry)
	c.Changed(key, 1, config.NotifyGeneric, "persist")
	c.W.Int(1)
}

func ttl(c *session.Client)         { replyTTL(c, c.Core.Keyspace.Now, true) }
func pttl(c *session.Client)        { replyTTL(c, c.Core.Keyspace.Now, false) }
func expiretime(c *session.Client)  { replyTTL(c, 0, true) }
func pexpiretime(c *session.Client) { replyTTL(c, 0, false) }

// replyTTL replies with the key's deadline counted from base, rounded to seconds if seconds is set; -1 if it has none, -2 if
// there is no such key.
func replyTTL(c *session.Client, base int64, seconds bool) {
	r := c.Look(c.Args[1])
	if r == nil {
		c.W.Int(-2)
		return
	}
	when := r.Expiry()
	if when == record.NoExpiry {
		c.W.Int(-1)
		return
	}
	left := max(when-base, 0)
	if seconds {
		left = int64((uint64(left) + 500) / 1000)
	}
	c.W.Int(left)
}
