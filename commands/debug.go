package commands

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/digest"
	"ferrous/datatypes/hash"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	dset "ferrous/datatypes/set"
	"ferrous/datatypes/sortedset"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// DEBUG: what test suites and people who look for a fault need of the server's inside. Unlike other containers it is
// one command; a form is chosen by its word and its number of arguments.

var debugRow = session.Command{
	Name: "debug", Arity: -2, Flags: session.Admin | session.NoScript | session.Loading | session.Stale | session.Protected, Handler: connected(debugCommand),
	Group: session.GroupServer, Since: "1.0.0", Complexity: "Depends on the subcommand.", SysCmd: true,
	Summary: "Container of commands for tests of the server.",
}

// debugForm is one subcommand of DEBUG.
type debugForm struct {
	name     string
	min, max int // number of arguments with both words
	run      func(c *Client)
	help     []string // its form and, indented, what it does
}

// debugForms lists the subcommands. It is a function because the help is one of them.
func debugForms() []debugForm {
	const any = math.MaxInt
	return []debugForm{
		{"aof-flush-sleep", 3, 3, debugFlushSleep, []string{"AOF-FLUSH-SLEEP <microseconds>",
			"    Wait before each write of the append-only file; 0 to wait no more."}},
		{"assert", 2, 2, debugAssert, []string{"ASSERT",
			"    Crash the server as a failed assertion does."}},
		{"change-repl-id", 2, 2, debugChangeReplID, []string{"CHANGE-REPL-ID",
			"    Give the stream of replication another name: replicas that come back get all data."}},
		{"config-rewrite-force-all", 2, 2, debugRewriteAll, []string{"CONFIG-REWRITE-FORCE-ALL",
			"    CONFIG REWRITE with every parameter, also those at their default."}},
		{"digest", 2, 2, debugDigest, []string{"DIGEST",
			"    Compute a signature of all data."}},
		{"digest-value", 2, any, debugDigestValue, []string{"DIGEST-VALUE <key> [<key> ...]",
			"    Compute a signature of each key's value."}},
		{"error", 3, 3, debugError, []string{"ERROR <string>",
			"    Reply with an error of that text, the code included."}},
		{"htstats", 3, any, debugHashTable, []string{"HTSTATS <dbid> [full]",
			"    Show how the hash table of a database is filled."}},
		{"loadaof", 2, 2, debugLoadAOF, []string{"LOADAOF",
			"    Write what is left to the append-only file, empty the databases and load it again."}},
		{"listpack", 3, 3, debugListpack, []string{"LISTPACK <key>",
			"    Write the elements of a listpack to the log."}},
		{"log", 3, 3, debugLog, []string{"LOG <message>",
			"    Write a line to the log."}},
		{"object", 3, 3, debugObject, []string{"OBJECT <key>",
			"    Show how a key's value is stored."}},
		{"panic", 2, 2, debugPanic, []string{"PANIC",
			"    Crash the server as a panic does."}},
		{"pause-cron", 3, 3, debugPauseCron, []string{"PAUSE-CRON <0|1>",
			"    Stop the server's periodic work, or go on with it."}},
		{"populate", 3, 5, debugPopulate, []string{"POPULATE <count> [<prefix>] [<size>]",
			"    Make <count> strings with keys <prefix>:<number> (key:<number>), as far as they",
			"    do not exist. Nothing is propagated."}},
		{"protocol", 3, 3, debugProtocol, []string{"PROTOCOL <type>",
			"    Reply with a value of a type of the protocol: string, integer, double, bignum,",
			"    null, array, set, map, attrib, push, verbatim, true or false."}},
		{"quicklist-packed-threshold", 3, 3, debugPackedThreshold, []string{"QUICKLIST-PACKED-THRESHOLD <size>",
			"    Give elements of large lists from this size on a node of their own; 0 restores",
			"    the default, 1gb."}},
		{"reload", 2, any, debugReload, []string{"RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
			"    Save all data, empty the databases and load the file again; without saving, without",
			"    emptying, and replacing keys that are there, as the options say."}},
		{"replybuffer", 4, 4, debugReplyBuffer, []string{"REPLYBUFFER <subcommand>",
			"    Change the rules by which rbs and rbp of CLIENT LIST follow what clients are answered:",
			"    * RESIZING <0|1>: whether rbs changes",
			"    * PEAK-RESET-TIME <milliseconds>|NEVER|RESET: how long rbp is remembered"}},
		{"replicate", 4, any, debugReplicate, []string{"REPLICATE (ALL|AOF|REPLICAS) <command> [<arg> ...]",
			"    Give a command to the append-only file, to replicas or both without executing it."}},
		{"segfault", 2, 2, debugSegfault, []string{"SEGFAULT",
			"    Crash the server as a wrong memory access does."}},
		{"set-active-expire", 3, 3, debugSetActiveExpire, []string{"SET-ACTIVE-EXPIRE <0|1>",
			"    Leave expired keys until somebody asks for them (0), or delete them on time (1)."}},
		{"set-skip-checksum-validation", 3, 3, debugSkipChecksum, []string{"SET-SKIP-CHECKSUM-VALIDATION <0|1>",
			"    Take dumps and payloads whose checksum is wrong (1), or refuse them (0)."}},
		{"sleep", 3, 3, debugSleep, []string{"SLEEP <seconds>",
			"    Hold the server for a time, which may have decimals."}},
	}
}

func debugCommand(c *Client) {
	forms := append(debugForms(), invariantForms()...)
	if len(c.Args) == 2 && c.Is(1, "help") {
		var lines []string
		for _, f := range forms {
			lines = append(lines, f.help...)
		}
		c.Help(lines...)
		return
	}
	for _, f := range forms {
		if n := len(c.Args); c.Is(1, f.name) && f.min <= n && n <= f.max {
			f.run(c)
			return
		}
	}
	c.Error(errUnknownSubOrArity(c.Args))
}

// flag returns argument i as C's atoi reads a switch: anything but a number other than zero is off.
func (c *Client) flag(i int) bool {
	n, ok := resp.ParseInt(c.Args[i])
	return ok && n != 0
}

func debugRewriteAll(c *Client) {
	if err := c.srv.Config.Rewrite(true); err != nil {
		c.Error(err.Error())
		return
	}
	c.W.OK()
}

// debugSleep holds the loop on purpose.
func debugSleep(c *Client) {
	seconds, _ := resp.ParseFloat(c.Args[2])
	time.Sleep(time.Duration(seconds*1e6) * time.Microsecond)
	c.W.OK()
}

func debugSetActiveExpire(c *Client) {
	s := c.srv
	s.activeOff = !c.flag(2)
	if !s.activeOff {
		s.expAt = 0
		s.rearmExpiry()
	}
	c.W.OK()
}

func debugSkipChecksum(c *Client) {
	c.srv.SkipChecksum = c.flag(2)
	c.W.OK()
}

// debugListpack logs the elements of a value that is one listpack.
func debugListpack(c *Client) {
	r := c.DB.Peek(c.Args[2])
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	var lp listpack.Listpack
	switch r.Type() {
	case record.Hash:
		h := record.Value[hash.Hash](r)
		if lp = h.Listpack(); lp == nil {
			lp = h.ListpackEx()
		}
	case record.List:
		lp = record.Value[list.List](r).Listpack()
	case record.Set:
		lp = record.Value[dset.Set](r).Listpack()
	case record.ZSet:
		lp = record.Value[sortedset.SortedSet](r).Listpack()
	}
	if lp == nil {
		c.Error("ERR Not a listpack encoded object.")
		return
	}
	c.srv.Logf(config.LogNotice, "DEBUG LISTPACK: %d elements in %d bytes", lp.Len(), len(lp))
	for p := lp.First(); p >= 0; p = lp.Next(p) {
		v := lp.Get(p)
		c.srv.Logf(config.LogNotice, "DEBUG LISTPACK: at %d, %d bytes: %q", p, lp.EntrySize(p), v.AppendTo(nil))
	}
	c.W.Status("Listpack structure printed on stdout")
}

func debugPauseCron(c *Client) {
	c.srv.cronPaused = c.flag(2)
	c.W.OK()
}

func debugLog(c *Client) {
	c.srv.Logf(config.LogWarning, "DEBUG LOG: %s", c.Args[2])
	c.W.OK()
}

// debugError replies with a text of the client's as it is; it is no error of the server's and not counted as one.
func debugError(c *Client) {
	text := bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, c.Args[2])
	c.W.RawString("-")
	c.W.Raw(text)
	c.W.RawString("\r\n")
}

func debugProtocol(c *Client) {
	w := c.W
	switch strings.ToLower(c.Arg(2)) {
	case "string":
		w.BulkString("Hello World")
	case "integer":
		w.Int(12345)
	case "double":
		w.Double(3.141)
	case "bignum":
		w.BigNumber("1234567999999999999999999999999999999")
	case "null":
		w.Null()
	case "array", "set":
		if c.Is(2, "set") {
			w.Set(3)
		} else {
			w.Array(3)
		}
		for i := range int64(3) {
			w.Int(i)
		}
	case "map":
		w.Map(3)
		for i := range int64(3) {
			w.Int(i)
			w.Bool(i == 1)
		}
	case "attrib":
		if w.Attribute(1) {
			w.BulkString("key-popularity")
			w.Array(2)
			w.BulkString("key:123")
			w.Int(90)
		}
		w.BulkString("Some real reply following the attribute")
	case "push":
		if !w.RESP3() {
			c.Error("ERR RESP2 is not supported by this command")
			return
		}
		w.Push(2)
		w.BulkString("server-cpu-usage")
		w.Int(42)
		w.BulkString("Some real reply following the push reply")
	case "verbatim":
		w.Verbatim("txt", "This is a verbatim\nstring")
	case "true", "false":
		w.Bool(c.Is(2, "true"))
	default:
		c.Error("ERR Wrong protocol type name. Please use one of the following: " +
			"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
}

// debugPopulate makes keys without telling those to whom changes are propagated: it is for tests of one server.
func debugPopulate(c *Client) {
	count, ok := c.NotNegative(2)
	if !ok {
		return
	}
	prefix := []byte("key")
	if len(c.Args) > 3 {
		prefix = c.Args[3]
	}
	size := int64(0)
	if len(c.Args) > 4 {
		if size, ok = c.NotNegative(4); !ok {
			return
		}
		if size > c.srv.Config.ProtoMaxBulkLen {
			c.Error(session.ErrTooLong)
			return
		}
	}
	key := append(bytes.Clone(prefix), ':')
	value := make([]byte, size)
	for i := range count {
		key = strconv.AppendInt(key[:len(prefix)+1], i, 10)
		if c.DB.Peek(key) != nil {
			continue
		}
		var buf [32]byte
		text := strconv.AppendInt(append(buf[:0], "value:"...), i, 10)
		if size > 0 {
			clear(value[:min(len(value), len(buf))])
			copy(value, text)
			text = value
		}
		c.DB.SetString(key, text, record.NoExpiry)
		c.srv.KeyModified(c.DB, key)
	}
	c.srv.rearmExpiry()
	c.W.OK()
}

// debugObject shows a record as it is, expired or not. serializedlength is what the value takes in an RDB file when it
// is not compressed.
func debugObject(c *Client) {
	r := c.DB.PeekStale(c.Args[2])
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	clock := keyspace.LRUClock(c.srv.Keyspace.Now)
	c.W.Status(fmt.Sprintf("Value at:%p refcount:1 encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d%s",
		r, keyspace.Encoding(r), serializedLen(r), r.Clock(), (clock-r.Clock())&record.ClockMask, quicklistFigures(r)))
}

// quicklistFigures is what DEBUG OBJECT tells of a quicklist besides.
func quicklistFigures(r *record.Record) string {
	if r.Type() != record.List {
		return ""
	}
	q := record.Value[list.List](r).Quicklist()
	if q == nil {
		return ""
	}
	size, compressed := 0, 0
	q.Nodes(func(n quicklist.NodeData) bool {
		size += n.Size
		return true
	})
	if q.Depth() > 0 {
		compressed = 1
	}
	return fmt.Sprintf(" ql_nodes:%d ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:%d ql_uncompressed_size:%d",
		q.NumNodes(), float64(q.Len())/float64(q.NumNodes()), q.Fill(), compressed, size)
}

func debugPackedThreshold(c *Client) {
	n, ok := config.ParseMemory(c.Arg(2))
	if !ok || !c.srv.Lists.SetPackedThreshold(n) {
		c.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	c.W.OK()
}

// serializedLen returns the length of a value in an RDB file, without its key and type and not compressed: a small
// integer in 2, 3 or 5 bytes, else a string behind a length of 1, 2, 5 or 9 bytes.
func serializedLen(r *record.Record) int {
	switch r.Type() {
	case record.String:
		return serializedString(r.String(make([]byte, 20)))
	case record.Set:
		s := record.Value[dset.Set](r)
		if s.Encoding() != record.HashTable {
			return serializedBytes(len(s.Listpack()) + len(s.Intset()))
		}
		n := serializedBytes(s.Len()) - s.Len()
		s.Each(func(v dset.Value) bool {
			n += serializedString(v.Str)
			return true
		})
		return n
	case record.List:
		// The number of nodes, and each node behind its kind.
		l := record.Value[list.List](r)
		if lp := l.Listpack(); lp != nil {
			return 2 + serializedBytes(len(lp))
		}
		q := l.Quicklist()
		n := serializedBytes(q.NumNodes()) - q.NumNodes()
		q.Nodes(func(node quicklist.NodeData) bool {
			n += 1 + serializedNode(node)
			return true
		})
		return n
	case record.Hash:
		h := record.Value[hash.Hash](r)
		if lp := h.Listpack(); lp != nil {
			return serializedBytes(len(lp))
		}
		// With deadlines comes the earliest one, which Redis does not count, and before each field how much later its
		// own is.
		if lp := h.ListpackEx(); lp != nil {
			return serializedBytes(len(lp))
		}
		earliest, n := h.Earliest(), serializedBytes(h.Len())-h.Len()
		h.EachField(func(field, value hash.Value, when int64) bool {
			n += serializedString(field.Str) + serializedString(value.Str)
			if earliest != record.NoExpiry {
				later := int(max(when-earliest+1, 0))
				n += serializedBytes(later) - later
			}
			return true
		})
		return n
	case record.ZSet:
		z := record.Value[sortedset.SortedSet](r)
		if lp := z.Listpack(); lp != nil {
			return serializedBytes(len(lp))
		}
		n := serializedBytes(z.Len()) - z.Len()
		z.Each(func(m sortedset.Value, _ float64) bool {
			n += serializedString(m.Str) + 8
			return true
		})
		return n
	}
	// Streams are written to know it.
	var d rdb.Dumper
	payload, err := d.Dump(nil, r, rdb.MaxVersion, false)
	if err != nil {
		panic(err) // the highest version holds everything
	}
	const typeAndFooter = 1 + 2 + 8
	return len(payload) - typeAndFooter
}

// serializedNode returns what a node of a quicklist takes: a string, or, compressed, the lengths before and behind.
func serializedNode(n quicklist.NodeData) int {
	if n.Raw != nil {
		return serializedBytes(n.Size)
	}
	return 1 + serializedBytes(len(n.LZF)) + serializedBytes(n.Size) - n.Size
}

func serializedString(s []byte) int {
	if len(s) <= 11 {
		if i, ok := resp.ParseInt(s); ok {
			switch {
			case i == int64(int8(i)):
				return 2
			case i == int64(int16(i)):
				return 3
			case i == int64(int32(i)):
				return 5
			}
		}
	}
	return serializedBytes(len(s))
}

// serializedBytes returns what n bytes take behind their length.
func serializedBytes(n int) int {
	switch {
	case n < 1<<6:
		return 1 + n
	case n < 1<<14:
		return 2 + n
	case n <= math.MaxUint32:
		return 5 + n
	}
	return 9 + n
}

// debugHashTable describes the table of a database in the form of Redis, whose names are used where they say something
// of ours: a slot is a place for a record, a chain the records of one bucket with its overflow.
func debugHashTable(c *Client) {
	id, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	dbs := c.srv.Keyspace.DBs()
	if id < 0 || id >= int64(len(dbs)) {
		c.Error("ERR Out of range database")
		return
	}
	db := dbs[id]
	var b strings.Builder
	b.WriteString("[Dictionary HT]\n")
	b.WriteString("Hash table 0 stats (main hash table):\n")
	if db.Len() == 0 {
		b.WriteString("No stats available for empty dictionaries\n")
	} else {
		t := db.TableStats()
		fmt.Fprintf(&b, " table size: %d\n number of elements: %d\n", t.Slots, db.Len())
		if len(c.Args) > 3 && c.Is(3, "full") {
			fmt.Fprintf(&b, " directory entries: %d\n segments: %d\n buckets: %d\n overflow buckets: %d of %d\n",
				t.Directory, t.Segments, t.Buckets, t.Overflow, t.Reserve)
			fmt.Fprintf(&b, " different slots: %d\n max chain length: %d\n avg chain length (counted): %.02f\n",
				t.Used, t.Longest, float64(db.Len())/float64(max(t.Used, 1)))
			b.WriteString(" Chain length distribution:\n")
			for n, count := range t.Chains {
				if count > 0 {
					fmt.Fprintf(&b, "   %d: %d (%.02f%%)\n", n, count, float64(count)*100/float64(t.Buckets))
				}
			}
		}
	}
	b.WriteString("[Expires HT]\nTiming wheel stats:\n")
	if db.Expires() == 0 {
		b.WriteString("No stats available for empty dictionaries\n")
	} else {
		fmt.Fprintf(&b, " number of elements: %d\n entries, stale ones included: %d\n",
			db.Expires(), db.WheelLen())
	}
	c.W.Verbatim("txt", b.String())
}

// DEBUG DIGEST: a signature of data that two servers with the same data share; see package digest.

// takeValue takes in what a key holds and whether it has a deadline, but not when that is.
func takeValue(d *digest.Digest, r *record.Record) {
	d.MixNumber(uint32(r.Type()))
	keyspace.Digest(r, d)
	if r.Expiry() != record.NoExpiry {
		d.Add([]byte("!!expire!!"))
	}
}

// appendDigested appends a score as it goes into digests.
func appendDigested(dst []byte, score float64) []byte {
	if score == 0 || score-score != 0 {
		return resp.FormatDouble(dst, score) // zero or infinite
	}
	return resp.FormatShortest(dst, score)
}

// datasetDigest is the digest of all keys of all databases, expired ones that are still there included.
func datasetDigest(ks *keyspace.Keyspace) digest.Digest {
	all := digest.Digest{Score: appendDigested}
	for _, db := range ks.DBs() {
		if db.Len() == 0 {
			continue
		}
		all.MixNumber(uint32(db.ID))
		db.Each(func(r *record.Record) bool {
			d := all.Part()
			d.Mix(r.Key())
			takeValue(&d, r)
			all.AddPart(&d)
			return true
		})
	}
	return all
}

func debugDigest(c *Client) {
	d := datasetDigest(c.srv.Keyspace)
	c.W.Status(d.String())
}

func debugDigestValue(c *Client) {
	keys := c.Args[2:]
	c.W.Array(len(keys))
	for _, key := range keys {
		d := digest.Digest{Score: appendDigested}
		if r := c.DB.PeekStale(key); r != nil {
			takeValue(&d, r)
		}
		c.W.Status(d.String())
	}
}
