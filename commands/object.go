package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// OBJECT tells how a key's value is held. Its subcommands count hits and misses, but neither touch the key nor tell
// keymiss events.

var objectRow = Command{Name: "object", Arity: -2, Group: GroupGeneric, Since: "2.2.3",
	Complexity: "O(1)",
	Summary:    "Tells how values are held; a container of subcommands.",
	Subs: []Command{
		objectSub("encoding", "2.2.3", objectEncoding, "Returns the name of the representation of a key's value."),
		objectSub("freq", "4.0.0", objectFreq, "Returns how often a key is accessed, on a logarithmic scale (LFU policies only)."),
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatKeyspace, Handler: objectHelp,
			Group: GroupGeneric, Since: "6.2.0", Complexity: "O(1)",
			Summary: "Returns what the subcommands do."},
		objectSub("idletime", "2.2.3", objectIdleTime, "Returns for how many seconds a key has not been accessed (other policies only)."),
		objectSub("refcount", "2.2.3", objectRefCount, "Returns how many references Redis would hold to a key's value."),
	}}

func objectSub(name, since string, handler func(*Client), summary string) Command {
	return Command{Name: name, Arity: 3, Flags: ReadOnly, ACL: CatKeyspace, Handler: handler,
		Group: GroupGeneric, Since: since, Complexity: "O(1)", Summary: summary,
		Hints: []string{"nondeterministic_output"},
		Keys:  []KeySpec{{Flags: KeyRO, Index: 2, Step: 1}},
		Args:  []Arg{aKey("key")}}
}

// object finds the key that an OBJECT subcommand is about; if there is none it has replied.
func (c *Client) object() *record.Record {
	r := c.db.Peek(c.args[2])
	if r == nil {
		c.srv.stats.misses++
		c.w.Null()
		return nil
	}
	c.srv.stats.hits++
	return r
}

func objectEncoding(c *Client) {
	if r := c.object(); r != nil {
		c.w.BulkString(keyspace.Encoding(r).String())
	}
}

func objectFreq(c *Client) {
	r := c.object()
	switch lfu := c.srv.ks.LFU; {
	case r == nil:
	case lfu == nil:
		c.error(errNotLFU)
	default:
		c.w.Int(int64(lfu.Counter(r.Clock())))
	}
}

func objectIdleTime(c *Client) {
	r := c.object()
	switch ks := c.srv.ks; {
	case r == nil:
	case ks.LFU != nil:
		c.error(errLFU)
	default:
		c.w.Int(ks.Idle(r.Clock()) / 1000)
	}
}

// Small integers are shared values in Redis, and count as referenced this often, unless an eviction policy needs an
// access clock in each value.
const (
	sharedIntegers = 10000
	sharedRefCount = 1<<31 - 1
)

func objectRefCount(c *Client) {
	r := c.object()
	if r == nil {
		return
	}
	if r.Encoding() == record.Int && uint64(r.Int()) < sharedIntegers && c.srv.sharesIntegers() {
		c.w.Int(sharedRefCount)
		return
	}
	c.w.Int(1)
}

func (s *Server) sharesIntegers() bool {
	return s.cfg.MaxMemory == 0 || s.cfg.MaxMemoryPolicy&(config.PolicyLRU|config.PolicyLFU) == 0
}

func objectHelp(c *Client) {
	c.help(
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
