package keys

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// OBJECT shows how a key's value is stored. Its subcommands count hits and misses, but neither set access clocks nor publish
// keymiss events.

var objectRow = session.Command{Name: "object", Arity: -2, Group: session.GroupGeneric, Since: "2.2.3",
	Complexity: "O(1)",
	Summary:    "Tells how values are held; a container of subcommands.",
	Subs: []session.Command{
		objectSub("encoding", "2.2.3", objectEncoding, "Returns the name of the representation of a key's value."),
		objectSub("freq", "4.0.0", objectFreq, "Returns how often a key is accessed, on a logarithmic scale (LFU policies only)."),
		{Name: "help", Arity: 2, Flags: session.Loading | session.Stale, ACL: session.CatKeyspace, Handler: objectHelp,
			Group: session.GroupGeneric, Since: "6.2.0", Complexity: "O(1)",
			Summary: "Returns what the subcommands do."},
		objectSub("idletime", "2.2.3", objectIdleTime, "Returns for how many seconds a key has not been accessed (all policies but LFU)."),
		objectSub("refcount", "2.2.3", objectRefCount, "Returns how many references Redis would hold to a key's value."),
	}}

func objectSub(name, since string, handler func(*session.Client), summary string) session.Command {
	return session.Command{Name: name, Arity: 3, Flags: session.ReadOnly, ACL: session.CatKeyspace, Handler: handler,
		Group: session.GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		Hints: []string{"nondeterministic_output"},
		Keys:  []session.KeySpec{{Flags: session.KeyRO, Index: 2, Step: 1}},
		Args:  []session.Arg{session.KeyArg("key")}}
}

// object finds the key of an OBJECT subcommand; if there is none it has replied.
func object(c *session.Client) *record.Record {
	r := c.DB.Peek(c.Args[2])
	if r == nil {
		c.Core.Counters.Misses++
		c.W.Null()
		return nil
	}
	c.Core.Counters.Hits++
	return r
}

func objectEncoding(c *session.Client) {
	if r := object(c); r != nil {
		c.W.BulkString(keyspace.Encoding(r).String())
	}
}

func objectFreq(c *session.Client) {
	r := object(c)
	switch lfu := c.Core.Keyspace.LFU; {
	case r == nil:
	case lfu == nil:
		c.Error(session.ErrNotLFU)
	default:
		c.W.Int(int64(lfu.Counter(r.Clock())))
	}
}

func objectIdleTime(c *session.Client) {
	r := object(c)
	switch ks := c.Core.Keyspace; {
	case r == nil:
	case ks.LFU != nil:
		c.Error(session.ErrLFU)
	default:
		c.W.Int(ks.Idle(r.Clock()) / 1000)
	}
}

// In Redis small integers are shared values with this reference count, unless an eviction policy needs an access clock in
// each value.
const (
	sharedIntegers = 10000
	sharedRefCount = 1<<31 - 1
)

func objectRefCount(c *session.Client) {
	r := object(c)
	if r == nil {
		return
	}
	if r.Encoding() == record.Int && uint64(r.Int()) < sharedIntegers && sharesIntegers(c.Core.Config) {
		c.W.Int(sharedRefCount)
		return
	}
	c.W.Int(1)
}

func sharesIntegers(cfg *config.Config) bool {
	return cfg.MaxMemory == 0 || cfg.MaxMemoryPolicy&(config.PolicyLRU|config.PolicyLFU) == 0
}

func objectHelp(c *session.Client) {
	c.Help(
		"ENCODING <key>",
		"    The name of the representation in which the value at <key> is held.",
		"FREQ <key>",
		"    How often <key> is accessed: a counter that grows with the logarithm of",
		"    the accesses and decays with time. Needs an LFU eviction policy.",
		"IDLETIME <key>",
		"    The seconds since <key> was last accessed. Needs a policy other than LFU.",
		"REFCOUNT <key>",
		"    The number of references to the value at <key>.",
	)
}
