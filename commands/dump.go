package commands

import (
	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// DUMP and RESTORE: single values in the form of the RDB format.

var dumpCommands = []Command{
	{Name: "dump", Arity: 2, Flags: ReadOnly, ACL: CatKeyspace, Handler: dump,
		Group: GroupGeneric, Since: "2.6.0",
		Complexity: "O(1) to find the key and O(N*M) to serialize N parts of a value of M bytes on average.",
		Summary:    "Returns the serialized value of a key.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       oneKey(KeyRO | KeyAccess),
		Args:       []Arg{aKey("key")}},
	{Name: "restore", Arity: -4, Flags: Write | DenyOOM, ACL: CatKeyspace | CatDangerous, Handler: restore,
		Group: GroupGeneric, Since: "2.6.0",
		Complexity: "O(1) to add the key and O(N*M) to make a value of N parts of M bytes on average; a sorted set takes O(N*M*log N).",
		Summary:    "Makes a key of a serialized value.",
		History: []Change{{"3.0.0", "The modifier `REPLACE`."}, {"5.0.0", "The modifier `ABSTTL`."},
			{"5.0.0", "The options `IDLETIME` and `FREQ`."}},
		Keys: oneKey(KeyOW | KeyUpdate),
		Args: []Arg{aKey("key"), anInt("ttl"), aString("serialized-value"),
			aToken("replace", "REPLACE", "3.0.0").optional(), aToken("absttl", "ABSTTL", "5.0.0").optional(),
			aTokenArg("seconds", ArgInteger, "IDLETIME", "5.0.0").optional(),
			aTokenArg("frequency", ArgInteger, "FREQ", "5.0.0").optional()}},
}

const (
	errIdleTime   = "ERR Invalid IDLETIME value, must be >= 0"
	errFrequency  = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	errBusyKey    = "BUSYKEY Target key name already exists."
	errInvalidTTL = "ERR Invalid TTL value, must be >= 0"
	errPayload    = "ERR DUMP payload version or checksum are wrong"
	errBadFormat  = "ERR Bad data format"
)

func dump(c *Client) {
	r := c.read(c.args[1])
	if r == nil {
		c.w.Null()
		return
	}
	payload, err := c.srv.dumper.Dump(nil, r, c.srv.cfg.RDBVersion, c.srv.cfg.RDBCompression)
	if err != nil {
		c.error("ERR " + err.Error())
		return
	}
	c.w.Bulk(payload)
}

var wordAbsTTL = []byte("ABSTTL")

func restore(c *Client) {
	var replace, absolute bool
	idle, freq := int64(-1), int64(-1)
	for i := 4; i < len(c.args); i++ {
		more := i+1 < len(c.args)
		var ok bool
		switch {
		case c.is(i, "replace"):
			replace = true
		case c.is(i, "absttl"):
			absolute = true
		case c.is(i, "idletime") && more && freq < 0:
			i++
			if idle, ok = c.int64Arg(i); !ok {
				return
			}
			if idle < 0 {
				c.error(errIdleTime)
				return
			}
		case c.is(i, "freq") && more && idle < 0:
			i++
			if freq, ok = c.int64Arg(i); !ok {
				return
			}
			if freq < 0 || freq > 255 {
				c.error(errFrequency)
				return
			}
		default:
			c.error(errSyntax)
			return
		}
	}
	key, s := c.args[1], c.srv
	if !replace && c.write(key) != nil {
		c.error(errBusyKey)
		return
	}
	ttl, ok := c.int64Arg(2)
	if !ok {
		return
	}
	if ttl < 0 {
		c.error(errInvalidTTL)
		return
	}
	if rdb.VerifyPayload(c.args[3], !s.skipChecksum) != nil {
		c.error(errPayload)
		return
	}
	expiry := record.NoExpiry
	if ttl > 0 {
		if expiry = ttl; !absolute {
			expiry += s.ks.Now
		}
	}
	clock := c.db.NewClock()
	switch {
	case s.ks.LFU != nil && freq >= 0:
		clock = s.ks.LFU.Clock(uint8(freq))
	case s.ks.LFU == nil && idle >= 0:
		clock = keyspace.LRUClock(s.ks.Now-min(idle, s.ks.Now/1000)*1000) & record.ClockMask
	}
	r, err := rdb.Restore(c.args[3], key, expiry, clock, s.rdbRules(), c.gen())
	if err != nil {
		s.logf(config.LogVerbose, "RESTORE: %v", err)
		c.error(errBadFormat)
		return
	}
	deleted := replace && c.db.Delete(key)
	if expiry != record.NoExpiry && expiry <= s.ks.Now && !s.ks.KeepExpired {
		if deleted {
			c.changed(key, 1, config.NotifyGeneric, "del")
			if c.propagates() {
				c.rewrite(s.expiryVerb(), key)
			}
		}
		c.w.OK()
		return
	}
	c.db.Set(r)
	if expiry != record.NoExpiry && !absolute && c.propagates() {
		argv := append([][]byte(nil), c.args...)
		argv[2] = resp.AppendInt(nil, expiry)
		c.rewrite(append(argv, wordAbsTTL)...)
	}
	c.w.OK()
	c.changed(key, 1, config.NotifyGeneric, "restore")
}
