package commands

import (
	"bytes"
	"math"
	"unsafe"

	"ferrous/commands/config"
	"ferrous/commands/glob"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// The commands on keys whatever they hold, and on whole databases. Those about deadlines are in expire.go, SCAN is in
// scan.go, OBJECT in object.go.
var keyCommands = []Command{
	{Name: "copy", Arity: -3, Flags: Write | DenyOOM, ACL: CatKeyspace, Handler: copyCommand,
		Group: GroupGeneric, Since: "6.2.0",
		Complexity: "O(1) for strings, O(N) for collections of N elements.",
		Summary:    "Stores a copy of a key's value, with its deadline, at another key or in another database.",
		Keys: []KeySpec{
			{Flags: KeyRO | KeyAccess, Index: 1, Step: 1},
			{Flags: KeyOW | KeyUpdate, Index: 2, Step: 1}},
		Args: []Arg{aKey("source"), {Name: "destination", Type: ArgKey, Key: 1},
			aTokenArg("destination-db", ArgInteger, "DB", "").optional(),
			aToken("replace", "REPLACE", "").optional()}},
	{Name: "dbsize", Arity: 1, Flags: ReadOnly | Fast, ACL: CatKeyspace, Handler: dbsize,
		Group: GroupServer, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns how many keys the selected database has.",
		Hints:   []string{"request_policy:all_shards", "response_policy:agg_sum"}},
	{Name: "del", Arity: -2, Flags: Write, ACL: CatKeyspace, Handler: del,
		Group: GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys, whatever they hold.",
		Summary:    "Deletes keys and returns how many there were.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       keyRange(KeyRM|KeyDelete, -1, 1),
		Args:       []Arg{aKey("key").multiple()}},
	{Name: "exists", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Handler: exists,
		Group: GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Returns how many of the keys exist; one that is named twice counts twice.",
		History:    []Change{{"3.0.3", "Accepts multiple `key` arguments."}},
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       keyRange(KeyRO, -1, 1),
		Args:       []Arg{aKey("key").multiple()}},
	expireRow("expire", "1.0.0", anInt("seconds"), expire,
		"Sets the time that a key has to live, in seconds."),
	expireRow("expireat", "1.2.0", Arg{Name: "unix-time-seconds", Type: ArgUnixTime}, expireat,
		"Sets the deadline of a key, in seconds of Unix time."),
	ttlRow("expiretime", "7.0.0", expiretime, "Returns the deadline of a key, in seconds of Unix time."),
	{Name: "flushall", Arity: -1, Flags: Write, ACL: CatKeyspace | CatDangerous, Handler: flushall,
		Group: GroupServer, Since: "1.0.0",
		Complexity: "O(1), however many keys there are; ASYNC and SYNC make no difference.",
		Summary:    "Deletes all keys of all databases.",
		History:    flushHistory, Hints: flushHints, Args: flushArgs},
	{Name: "flushdb", Arity: -1, Flags: Write, ACL: CatKeyspace | CatDangerous, Handler: flushdb,
		Group: GroupServer, Since: "1.0.0",
		Complexity: "O(1), however many keys there are; ASYNC and SYNC make no difference.",
		Summary:    "Deletes all keys of the selected database.",
		History:    flushHistory, Hints: flushHints, Args: flushArgs},
	{Name: "keys", Arity: 2, Flags: ReadOnly, ACL: CatKeyspace | CatDangerous, Handler: keys,
		Group: GroupGeneric, Since: "1.0.0",
		Complexity: "O(N) with N the number of keys in the database; O(1) for a pattern without special characters.",
		Summary:    "Returns all keys that match a pattern.",
		Hints:      []string{"request_policy:all_shards", "nondeterministic_output_order"},
		Args:       []Arg{{Name: "pattern", Type: ArgPattern}}},
	{Name: "move", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace, Handler: move,
		Group: GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Moves a key to another database, if there is none of its name there.",
		Keys:    oneKey(KeyRW | KeyAccess | KeyUpdate),
		Args:    []Arg{aKey("key"), anInt("db")}},
	objectRow,
	{Name: "persist", Arity: 2, Flags: Write | Fast, ACL: CatKeyspace, Handler: persist,
		Group: GroupGeneric, Since: "2.2.0", Complexity: "O(1)",
		Summary: "Removes the deadline of a key.",
		Keys:    oneKey(KeyRW | KeyUpdate),
		Args:    []Arg{aKey("key")}},
	expireRow("pexpire", "2.6.0", anInt("milliseconds"), pexpire,
		"Sets the time that a key has to live, in milliseconds."),
	expireRow("pexpireat", "2.6.0", Arg{Name: "unix-time-milliseconds", Type: ArgUnixTime}, pexpireat,
		"Sets the deadline of a key, in milliseconds of Unix time."),
	ttlRow("pexpiretime", "7.0.0", pexpiretime, "Returns the deadline of a key, in milliseconds of Unix time."),
	ttlRow("pttl", "2.6.0", pttl, "Returns the time that a key has left to live, in milliseconds."),
	{Name: "randomkey", Arity: 1, Flags: ReadOnly | TouchesArbitraryKeys, ACL: CatKeyspace, Handler: randomkey,
		Group: GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns a random key of the selected database, each with the same chance.",
		Hints:   []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"}},
	{Name: "rename", Arity: 3, Flags: Write, ACL: CatKeyspace, Handler: rename,
		Group: GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Gives a key another name; a key that had this name is overwritten.",
		Keys: []KeySpec{
			{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1, Step: 1},
			{Flags: KeyOW | KeyUpdate, Index: 2, Step: 1}},
		Args: []Arg{aKey("key"), {Name: "newkey", Type: ArgKey, Key: 1}}},
	{Name: "renamenx", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace, Handler: renamenx,
		Group: GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Gives a key another name, if no key has this name.",
		History: []Change{{"3.2.0", "No error anymore when both names are the same."}},
		Keys: []KeySpec{
			{Flags: KeyRW | KeyAccess | KeyDelete, Index: 1, Step: 1},
			{Flags: KeyOW | KeyInsert, Index: 2, Step: 1}},
		Args: []Arg{aKey("key"), {Name: "newkey", Type: ArgKey, Key: 1}}},
	scanRow,
	{Name: "select", Arity: 2, Flags: Loading | Stale | Fast, ACL: CatConnection, Handler: selectCommand,
		Group: GroupConnection, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Chooses the database that the connection's further commands work on.",
		Args:    []Arg{anInt("index")}},
	{Name: "swapdb", Arity: 3, Flags: Write | Fast, ACL: CatKeyspace | CatDangerous, Handler: swapdb,
		Group: GroupServer, Since: "4.0.0",
		Complexity: "O(N) with N the number of clients that watch keys of the two databases or wait for them.",
		Summary:    "Exchanges the contents of two databases.",
		Args:       []Arg{anInt("index1"), anInt("index2")}},
	{Name: "touch", Arity: -2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Handler: touch,
		Group: GroupGeneric, Since: "3.2.1",
		Complexity: "O(N) with N the number of keys.",
		Summary:    "Makes keys count as accessed now and returns how many of them exist.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       keyRange(KeyRO, -1, 1),
		Args:       []Arg{aKey("key").multiple()}},
	ttlRow("ttl", "1.0.0", ttl, "Returns the time that a key has left to live, in seconds."),
	{Name: "type", Arity: 2, Flags: ReadOnly | Fast, ACL: CatKeyspace, Handler: typeCommand,
		Group: GroupGeneric, Since: "1.0.0", Complexity: "O(1)",
		Summary: "Returns the type of the value stored at a key.",
		Keys:    oneKey(KeyRO),
		Args:    []Arg{aKey("key")}},
	{Name: "unlink", Arity: -2, Flags: Write | Fast, ACL: CatKeyspace, Handler: unlink,
		Group: GroupGeneric, Since: "4.0.0",
		Complexity: "O(N) with N the number of keys, whatever they hold.",
		Summary:    "Deletes keys and returns how many there were; the same as DEL.",
		Hints:      []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Keys:       keyRange(KeyRM|KeyDelete, -1, 1),
		Args:       []Arg{aKey("key").multiple()}},
}

var (
	flushHistory = []Change{
		{"4.0.0", "Added the `ASYNC` mode."},
		{"6.2.0", "Added the `SYNC` mode."}}
	flushHints = []string{"request_policy:all_shards", "response_policy:all_succeeded"}
	flushArgs  = []Arg{aChoice("flush-type",
		aToken("async", "ASYNC", "4.0.0"), aToken("sync", "SYNC", "6.2.0")).optional()}
)

// look finds a key for a command that asks about it without using its value: hits and misses count, the access clock
// stays as it is.
func (c *Client) look(key []byte) *record.Record {
	r := c.db.Peek(key)
	if r == nil {
		c.srv.stats.misses++
		c.notify(config.NotifyKeyMiss, "keymiss", key)
		return nil
	}
	c.srv.stats.hits++
	return r
}

// writeIn is write for a key of another database than the selected one.
func (c *Client) writeIn(db *keyspace.DB, key []byte) *record.Record {
	if c.noTouch {
		return db.Peek(key)
	}
	return db.Lookup(key)
}

// intArg parses argument i as a C int; on failure it replies with msg, or if that is "" with Redis's usual errors, and
// returns false.
func (c *Client) intArg(i int, msg string) (int, bool) {
	n, ok := resp.ParseInt(c.args[i])
	if ok && n >= math.MinInt32 && n <= math.MaxInt32 {
		return int(n), true
	}
	switch {
	case msg != "":
		c.error(msg)
	case !ok:
		c.error(errNotInteger)
	default:
		c.error(errNotInt32)
	}
	return 0, false
}

// dbArg parses argument i as the number of a database.
func (c *Client) dbArg(i int) (*keyspace.DB, bool) {
	n, ok := c.intArg(i, "")
	if !ok {
		return nil, false
	}
	dbs := c.srv.ks.DBs()
	if n < 0 || n >= len(dbs) {
		c.error(errDBIndex)
		return nil, false
	}
	return dbs[n], true
}

// cloneRecord returns a new record with a copy of r's value and deadline under another key. It is the one place that
// knows how to copy each representation: a new one adds its case. It returns nil for one that cannot be copied.
func cloneRecord(r *record.Record, key []byte, db *keyspace.DB) *record.Record {
	if r.Inline() {
		n := r.Rekey(key, r.Expiry())
		n.SetClock(db.NewClock())
		return n
	}
	switch r.Type() {
	case record.Set:
		s := record.Value[dset.Set](r).Clone(db.Generation())
		return record.NewObject(r.Type(), r.Encoding(), key, unsafe.Pointer(s), r.Expiry(), db.NewClock())
	case record.List:
		l := record.Value[list.List](r).Clone(db.Generation())
		return record.NewObject(r.Type(), r.Encoding(), key, unsafe.Pointer(l), r.Expiry(), db.NewClock())
	case record.Hash:
		h := record.Value[hash.Hash](r).Clone(db.Generation())
		return record.NewObject(r.Type(), r.Encoding(), key, unsafe.Pointer(h), r.Expiry(), db.NewClock())
	case record.ZSet:
		z := record.Value[sortedset.SortedSet](r).Clone(db.Generation())
		return record.NewObject(r.Type(), r.Encoding(), key, unsafe.Pointer(z), r.Expiry(), db.NewClock())
	case record.Stream:
		x := record.Value[stream.Stream](r).Clone(db.Generation())
		return record.NewObject(r.Type(), r.Encoding(), key, unsafe.Pointer(x), r.Expiry(), db.NewClock())
	}
	switch r.Encoding() {
	case record.Raw:
		value := append([]byte(nil), r.String(nil)...)
		return record.NewOwned(key, value, r.Expiry(), db.NewClock(), db.Stamp())
	}
	return nil
}

func copyCommand(c *Client) {
	src, dst := c.db, c.db
	replace := false
	for i := 3; i < len(c.args); i++ {
		switch {
		case c.is(i, "replace"):
			replace = true
		case c.is(i, "db") && i+1 < len(c.args):
			i++
			var ok bool
			if dst, ok = c.dbArg(i); !ok {
				return
			}
		default:
			c.error(errSyntax)
			return
		}
	}
	key, newKey := c.args[1], c.args[2]
	if src == dst && bytes.Equal(key, newKey) {
		c.error(errSameObject)
		return
	}
	r := c.read(key)
	if r == nil {
		c.w.Int(0)
		return
	}
	old := c.writeIn(dst, newKey)
	if old != nil && !replace {
		c.w.Int(0)
		return
	}
	n := cloneRecord(r, newKey, dst)
	if n == nil {
		c.error(errUnknownType)
		return
	}
	dst.Set(n)
	if old != nil {
		c.srv.notify(config.NotifyNew, "new", newKey, dst)
	}
	c.modifiedIn(dst, newKey)
	c.srv.notify(config.NotifyGeneric, "copy_to", newKey, dst)
	c.w.Int(1)
}

func move(c *Client) {
	dst, ok := c.dbArg(2)
	if !ok {
		return
	}
	if dst == c.db {
		c.error(errSameObject)
		return
	}
	key := c.args[1]
	r := c.write(key)
	if r == nil || c.writeIn(dst, key) != nil {
		c.w.Int(0)
		return
	}
	c.db.Move(r, dst, key)
	c.modified(key)
	c.touchedIn(dst, key)
	c.notify(config.NotifyGeneric, "move_from", key)
	c.srv.notify(config.NotifyGeneric, "move_to", key, dst)
	c.w.Int(1)
}

func rename(c *Client) {
	if c.rename(false) {
		c.w.OK()
	}
}

func renamenx(c *Client) {
	if c.rename(true) {
		c.w.Int(1)
	}
}

// rename is RENAME and RENAMENX. It returns false if it has replied.
func (c *Client) rename(nx bool) bool {
	key, newKey := c.args[1], c.args[2]
	r := c.write(key)
	if r == nil {
		c.error(errNoKey)
		return false
	}
	if bytes.Equal(key, newKey) {
		if nx {
			c.w.Int(0)
		}
		return !nx
	}
	old := c.write(newKey)
	if old != nil && nx {
		c.w.Int(0)
		return false
	}
	c.db.Move(r, c.db, newKey)
	if old != nil {
		c.notify(config.NotifyNew, "new", newKey) // to Redis what is replaced is deleted first
	}
	c.modified(key)
	c.touchedIn(c.db, newKey)
	c.notify(config.NotifyGeneric, "rename_from", key)
	c.notify(config.NotifyGeneric, "rename_to", newKey)
	return true
}

func del(c *Client) {
	n := int64(0)
	for _, key := range c.args[1:] {
		if c.deleteKey(key) {
			n++
		}
	}
	c.w.Int(n)
}

// unlink is DEL: the collector reclaims memory in the background in both cases.
func unlink(c *Client) { del(c) }

func exists(c *Client) {
	n := int64(0)
	for _, key := range c.args[1:] {
		if c.look(key) != nil {
			n++
		}
	}
	c.w.Int(n)
}

func touch(c *Client) {
	n := int64(0)
	for _, key := range c.args[1:] {
		if c.read(key) != nil {
			n++
		}
	}
	c.w.Int(n)
}

func typeCommand(c *Client) {
	r := c.look(c.args[1])
	if r == nil {
		c.w.Status("none")
		return
	}
	c.w.Status(r.Type().String())
}

// keys answers KEYS. As in Redis expired keys are left out, but not deleted.
func keys(c *Client) {
	pattern := c.args[1]
	ks := c.srv.ks
	prefix, exact := glob.Literal(pattern)
	if exact {
		// The pattern "" is literal and matches the key "", as Redis's matcher has it.
		if r := c.db.PeekStale(pattern); r != nil && !ks.Expired(r) {
			c.w.Array(1)
			c.w.Bulk(pattern)
		} else {
			c.w.Array(0)
		}
		return
	}
	all := len(pattern) == 1 && pattern[0] == '*'
	n := 0
	m := c.w.BeginArray()
	c.db.Each(func(r *record.Record) bool {
		key := r.Key()
		if (all || bytes.HasPrefix(key, prefix) && glob.Match(pattern, key, false)) && !ks.Expired(r) {
			c.w.Bulk(key)
			n++
		}
		return !c.overLimit()
	})
	c.w.EndArray(m, n)
}

func randomkey(c *Client) {
	r := c.db.RandomKey()
	if r == nil {
		c.w.Null()
		return
	}
	c.w.Bulk(r.Key())
}

func dbsize(c *Client) { c.w.Int(int64(c.db.Len())) }

func selectCommand(c *Client) {
	db, ok := c.dbArg(1)
	if !ok {
		return
	}
	c.db = db
	c.w.OK()
}

func swapdb(c *Client) {
	a, ok := c.intArg(1, errFirstDB)
	if !ok {
		return
	}
	b, ok := c.intArg(2, errSecondDB)
	if !ok {
		return
	}
	dbs := c.srv.ks.DBs()
	if a < 0 || a >= len(dbs) || b < 0 || b >= len(dbs) {
		c.error(errDBIndex)
		return
	}
	if a != b {
		c.srv.watchSwapped(dbs[a], dbs[b])
		c.srv.ks.Swap(dbs[a], dbs[b])
		c.srv.waitersSwapped(dbs[a], dbs[b])
		c.srv.databaseModified(dbs[a])
		c.srv.databaseModified(dbs[b])
	}
	c.srv.dirty++
	c.w.OK()
}

func flushdb(c *Client) {
	if c.flushMode() {
		c.flush(c.db)
	}
}

func flushall(c *Client) {
	if c.flushMode() {
		c.flush(c.srv.ks.DBs()...)
	}
}

// flushMode checks the only argument, SYNC or ASYNC, which both do the same here: the keys are gone at once, and the
// collector reclaims their memory in the background. On failure it has replied.
func (c *Client) flushMode() bool {
	if len(c.args) == 1 || len(c.args) == 2 && (c.is(1, "sync") || c.is(1, "async")) {
		return true
	}
	c.error(errSyntax)
	return false
}

// emptyDatabases deletes all keys and returns how many there were.
func (s *Server) emptyDatabases(dbs ...*keyspace.DB) int64 {
	n := int64(0)
	for _, db := range dbs {
		s.watchFlushed(db)
		n += int64(db.Flush())
		s.databaseModified(db)
	}
	s.trackedFlushed()
	return n
}

func (c *Client) flush(dbs ...*keyspace.DB) {
	n := c.srv.emptyDatabases(dbs...)
	c.srv.dirty += n
	if len(dbs) == len(c.srv.ks.DBs()) {
		c.srv.saveFlushed()
	}
	if n == 0 {
		// It is propagated even so: who follows may hold what is no longer here.
		c.propagateAlso(c.args...)
	}
	c.w.OK()
}
