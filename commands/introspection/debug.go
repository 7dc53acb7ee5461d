package introspection

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/digest"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/listpack"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// The subcommands of DEBUG that show data, for test suites and for debugging.

// A DebugForm is one subcommand of DEBUG.
type DebugForm struct {
	Name     string
	Min, Max int // number of arguments, both words included
	Run      func(c *session.Client)
	Help     []string // its syntax and, indented, its description
}

// DebugForms are the subcommands that need only their session.
var DebugForms = []DebugForm{
	{"digest", 2, 2, debugDigest, []string{"DIGEST",
		"    Compute a signature of all data."}},
	{"digest-value", 2, math.MaxInt, debugDigestValue, []string{"DIGEST-VALUE <key> [<key> ...]",
		"    Compute a signature of each key's value."}},
	{"error", 3, 3, debugError, []string{"ERROR <string>",
		"    Reply with an error of that text, the code included."}},
	{"htstats", 3, math.MaxInt, debugHashTable, []string{"HTSTATS <dbid> [full]",
		"    Show how the hash table of a database is filled."}},
	{"listpack", 3, 3, debugListpack, []string{"LISTPACK <key>",
		"    Write the elements of a listpack to the log."}},
	{"log", 3, 3, debugLog, []string{"LOG <message>",
		"    Write a line to the log."}},
	{"object", 3, 3, debugObject, []string{"OBJECT <key>",
		"    Show how a key's value is stored."}},
	{"protocol", 3, 3, debugProtocol, []string{"PROTOCOL <type>",
		"    Reply with a value of a type of the protocol: string, integer, double, bignum,",
		"    null, array, set, map, attrib, push, verbatim, true or false."}},
	{"quicklist-packed-threshold", 3, 3, debugPackedThreshold, []string{"QUICKLIST-PACKED-THRESHOLD <size>",
		"    Give elements of large lists from this size on a node of their own; 0 restores",
		"    the default, 1gb."}},
	{"set-skip-checksum-validation", 3, 3, debugSkipChecksum, []string{"SET-SKIP-CHECKSUM-VALIDATION <0|1>",
		"    Take dumps and payloads whose checksum is wrong (1), or refuse them (0)."}},
	{"sleep", 3, 3, debugSleep, []string{"SLEEP <seconds>",
		"    Hold the server for a time, which may have decimals."}},
}

// debugSleep blocks the loop on purpose.
func debugSleep(c *session.Client) {
	seconds, _ := resp.ParseFloat(c.Args[2])
	time.Sleep(time.Duration(seconds*1e6) * time.Microsecond)
	c.W.OK()
}

func debugSkipChecksum(c *session.Client) {
	c.Core.SkipChecksum = c.SwitchArg(2)
	c.W.OK()
}

// debugListpack logs the elements of a value that is one listpack.
func debugListpack(c *session.Client) {
	r := c.DB.Peek(c.Args[2])
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	var lp listpack.Listpack
	if v, ok := keyspace.ValueOf(r).(interface{ Listpack() listpack.Listpack }); ok {
		lp = v.Listpack()
	}
	if v, ok := keyspace.ValueOf(r).(interface{ ListpackEx() listpack.Listpack }); ok && lp == nil {
		lp = v.ListpackEx()
	}
	if lp == nil {
		c.Error("ERR Not a listpack encoded object.")
		return
	}
	c.Core.Logf(config.LogNotice, "DEBUG LISTPACK: %d elements in %d bytes", lp.Len(), len(lp))
	for p := lp.First(); p >= 0; p = lp.Next(p) {
		v := lp.Get(p)
		c.Core.Logf(config.LogNotice, "DEBUG LISTPACK: at %d, %d bytes: %q", p, lp.EntrySize(p), v.AppendTo(nil))
	}
	c.W.Status("Listpack structure printed on stdout")
}

func debugLog(c *session.Client) {
	c.Core.Logf(config.LogWarning, "DEBUG LOG: %s", c.Args[2])
	c.W.OK()
}

// debugError replies with the client's text as an error, which does not count as an error of the server.
func debugError(c *session.Client) {
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

func debugProtocol(c *session.Client) {
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

// debugObject shows a record, even if it has expired. serializedlength is the uncompressed length of the value in an RDB
// file.
func debugObject(c *session.Client) {
	r := c.DB.PeekStale(c.Args[2])
	if r == nil {
		c.Error(session.ErrNoKey)
		return
	}
	clock := keyspace.LRUClock(c.Core.Keyspace.Now)
	c.W.Status(fmt.Sprintf("Value at:%p refcount:1 encoding:%s serializedlength:%d lru:%d lru_seconds_idle:%d%s",
		r, keyspace.Encoding(r), rdb.SerializedLength(r), r.Clock()/keyspace.ClocksPerSecond&redisClock,
		(clock-r.Clock())&record.ClockMask/keyspace.ClocksPerSecond, quicklistFigures(r)))
}

// redisClock has the bits of the access clock that Redis has.
const redisClock = 1<<24 - 1

// quicklistFigures are the further fields that DEBUG OBJECT shows of a quicklist.
func quicklistFigures(r *record.Record) string {
	if r.Type() != record.List {
		return ""
	}
	q := keyspace.ValueOf(r).(*list.List).Quicklist()
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

func debugPackedThreshold(c *session.Client) {
	n, ok := config.ParseMemory(c.Arg(2))
	if !ok || !c.Core.Lists.SetPackedThreshold(n) {
		c.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
		return
	}
	c.W.OK()
}

// debugHashTable describes the table of a database in the form of Redis. Here a slot is a slot for a record, and a chain is
// the records of one bucket with its overflow.
func debugHashTable(c *session.Client) {
	id, ok := c.Int64Arg(2)
	if !ok {
		return
	}
	dbs := c.Core.Keyspace.DBs()
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

// addValue adds the value of a key and whether the key has a deadline, but not the deadline itself.
func addValue(d *digest.Digest, r *record.Record) {
	d.MixNumber(uint32(r.Type()))
	keyspace.Digest(r, d)
	if r.Expiry() != record.NoExpiry {
		d.Add([]byte("!!expire!!"))
	}
}

// DigestValue returns the signature of a key's value, of no value if r is nil.
func DigestValue(r *record.Record) digest.Digest {
	d := digest.Digest{Score: appendScore}
	if r != nil {
		addValue(&d, r)
	}
	return d
}

// appendScore appends the text of a score for digests.
func appendScore(dst []byte, score float64) []byte {
	if score == 0 || score-score != 0 {
		return resp.FormatDouble(dst, score) // zero or infinite
	}
	return resp.FormatShortest(dst, score)
}

// datasetDigest is the digest of all keys of all databases, including expired ones that are not deleted yet.
func datasetDigest(ks *keyspace.Keyspace) digest.Digest {
	all := digest.Digest{Score: appendScore}
	for _, db := range ks.DBs() {
		if db.Len() == 0 {
			continue
		}
		all.MixNumber(uint32(db.ID))
		db.Each(func(r *record.Record) bool {
			d := all.Part()
			d.Mix(r.Key())
			addValue(&d, r)
			all.AddPart(&d)
			return true
		})
	}
	return all
}

func debugDigest(c *session.Client) {
	d := datasetDigest(c.Core.Keyspace)
	c.W.Status(d.String())
}

func debugDigestValue(c *session.Client) {
	keys := c.Args[2:]
	c.W.Array(len(keys))
	for _, key := range keys {
		d := DigestValue(c.DB.PeekStale(key))
		c.W.Status(d.String())
	}
}
