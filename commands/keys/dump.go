package keys

import (
	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// DUMP and RESTORE: single values in the form of the RDB format.

var dumpCommands = []session.Command{
	{Name: "dump", Arity: 2, Flags: session.ReadOnly, ACL: session.CatKeyspace, Handler: dump,
		Group: session.GroupGeneric, Since: "2.6.0",
		Complexity: "O(1) to find the key and O(N*M) to serialize N parts of a value of M bytes on average.",
		Summary:    "Returns the serialized value of a key.",
		Hints:      []string{"nondeterministic_output"},
		Keys:       session.OneKey(session.KeyRO | session.KeyAccess),
		Args:       []session.Arg{session.KeyArg("key")}},
	{Name: "restore", Arity: -4, Flags: session.Write | session.DenyOOM, ACL: session.CatKeyspace | session.CatDangerous, Handler: restore,
		Group: session.GroupGeneric, Since: "2.6.0",
		Complexity: "O(1) to add the key and O(N*M) to make a value of N parts of M bytes on average; a sorted set takes O(N*M*log N).",
		Summary:    "Makes a key of a serialized value.",
		History:    restoreHistory,
		Keys:       session.OneKey(session.KeyOW | session.KeyUpdate),
		Args:       restoreArgs},
	{Name: "restore-asking", Arity: -4, Flags: session.Write | session.DenyOOM | session.Asking,
		ACL: session.CatKeyspace | session.CatDangerous, Handler: restore,
		Group: session.GroupServer, Since: "3.0.0",
		Complexity: "As of RESTORE.",
		Summary:    "RESTORE, as nodes of a cluster send it that move slots.",
		SysCmd:     true,
		History:    restoreHistory,
		Keys:       session.OneKey(session.KeyOW | session.KeyUpdate),
		Args:       restoreArgs},
}

var (
	restoreHistory = []session.Change{{"3.0.0", "The modifier `REPLACE`."}, {"5.0.0", "The modifier `ABSTTL`."},
		{"5.0.0", "The options `IDLETIME` and `FREQ`."}}
	restoreArgs = []session.Arg{session.KeyArg("key"), session.IntArg("ttl"), session.StringArg("serialized-value"),
		session.TokenWord("replace", "REPLACE", "3.0.0").Opt(), session.TokenWord("absttl", "ABSTTL", "5.0.0").Opt(),
		session.TokenArg("seconds", session.ArgInteger, "IDLETIME", "5.0.0").Opt(),
		session.TokenArg("frequency", session.ArgInteger, "FREQ", "5.0.0").Opt()}
)

const (
	errIdleTime   = "ERR Invalid IDLETIME value, must be >= 0"
	errFrequency  = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	errBusyKey    = "BUSYKEY Target key name already exists."
	errInvalidTTL = "ERR Invalid TTL value, must be >= 0"
	errPayload    = "ERR DUMP payload version or checksum are wrong"
	errBadFormat  = "ERR Bad data format"
)

func dump(c *session.Client) {
	r := c.Read(c.Args[1])
	if r == nil {
		c.W.Null()
		return
	}
	payload, err := c.Core.Dumper.Dump(nil, r, c.Core.Config.RDBVersion, c.Core.Config.RDBCompression)
	if err != nil {
		c.Error("ERR " + err.Error())
		return
	}
	c.W.Bulk(payload)
}

var wordAbsTTL = []byte("ABSTTL")

func restore(c *session.Client) {
	var replace, absolute bool
	idle, freq := int64(-1), int64(-1)
	for i := 4; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		var ok bool
		switch {
		case c.Is(i, "replace"):
			replace = true
		case c.Is(i, "absttl"):
			absolute = true
		case c.Is(i, "idletime") && more && freq < 0:
			i++
			if idle, ok = c.Int64Arg(i); !ok {
				return
			}
			if idle < 0 {
				c.Error(errIdleTime)
				return
			}
		case c.Is(i, "freq") && more && idle < 0:
			i++
			if freq, ok = c.Int64Arg(i); !ok {
				return
			}
			if freq < 0 || freq > 255 {
				c.Error(errFrequency)
				return
			}
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	key, s := c.Args[1], c.Core
	if !replace && c.Write(key) != nil {
		c.Error(errBusyKey)
		return
	}
	ttl, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	if ttl < 0 {
		c.Error(errInvalidTTL)
		return
	}
	if rdb.VerifyPayload(c.Args[3], !s.SkipChecksum) != nil {
		c.Error(errPayload)
		return
	}
	expiry := record.NoExpiry
	if ttl > 0 {
		if expiry = ttl; !absolute {
			expiry += s.Keyspace.Now
		}
	}
	clock := c.DB.NewClock()
	switch {
	case s.Keyspace.LFU != nil && freq >= 0:
		clock = s.Keyspace.LFU.Clock(uint8(freq))
	case s.Keyspace.LFU == nil && idle >= 0:
		clock = keyspace.LRUClock(s.Keyspace.Now-min(idle, s.Keyspace.Now/1000)*1000) & record.ClockMask
	}
	r, err := rdb.Restore(c.Args[3], key, expiry, clock, s.RDBRules(), c.Gen())
	if err != nil {
		s.Logf(config.LogVerbose, "RESTORE: %v", err)
		c.Error(errBadFormat)
		return
	}
	deleted := replace && c.DB.Delete(key)
	if expiry != record.NoExpiry && expiry <= s.Keyspace.Now && !s.Keyspace.KeepExpired {
		if deleted {
			c.Changed(key, 1, config.NotifyGeneric, "del")
			if c.Propagates() {
				c.Rewrite(s.ExpiryVerb(), key)
			}
		}
		c.W.OK()
		return
	}
	c.DB.Set(r)
	if expiry != record.NoExpiry && !absolute && c.Propagates() {
		argv := append([][]byte(nil), c.Args...)
		argv[2] = resp.AppendInt(nil, expiry)
		c.Rewrite(append(argv, wordAbsTTL)...)
	}
	c.W.OK()
	c.Changed(key, 1, config.NotifyGeneric, "restore")
}
