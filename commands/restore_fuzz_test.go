package commands

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
)

// What RESTORE makes of foreign bytes, in the hands of commands. Package rdb looks after the decoder itself; here values
// that it let through, well formed but perhaps not as any command would have made them (numbers that are packed as text,
// scores in odd notations), are read, changed, converted and dumped by the commands of their type.

// usage is the commands that may be run on a key of a type. In a line, k is the key, k2 another key, e an element of
// the value or something like one, i a small number, f a float, s any bytes.
var usage = map[string][]string{
	"string": {"APPEND k s", "BITCOUNT k i i", "BITFIELD k SET u8 #i i INCRBY i5 i i", "BITOP NOT k2 k", "BITOP XOR k2 k k2", "BITPOS k 1 i",
		"DECRBY k i", "GETDEL k", "GETEX k PX 100", "GETRANGE k i i", "GETSET k s", "INCR k", "INCRBYFLOAT k f", "LCS k k2", "PFADD k s e",
		"PFCOUNT k k2", "PFMERGE k2 k", "SETBIT k 77 1", "SETRANGE k 9 s", "STRLEN k", "SET k2 s KEEPTTL"},
	"list": {"LINDEX k i", "LINSERT k BEFORE e s", "LLEN k", "LMOVE k k2 LEFT RIGHT", "LMOVE k k RIGHT LEFT", "LMPOP 2 k k2 RIGHT COUNT 3", "LPOP k 2",
		"LPOS k e RANK -1 COUNT 0", "LPUSH k s e i", "LRANGE k 0 -1", "LRANGE k i i", "LREM k 1 e", "LREM k 0 e", "LSET k i s", "LTRIM k 1 -2",
		"RPOP k", "RPOPLPUSH k k2", "RPUSH k s s", "RPUSHX k i", "SORT k ALPHA", "SORT k BY nosort GET # LIMIT 1 5 STORE k2"},
	"set": {"SADD k e s i", "SADD k i", "SCARD k", "SDIFF k k2", "SDIFFSTORE k2 k k2", "SINTER k k2", "SINTERCARD 2 k k LIMIT 3", "SINTERSTORE k2 k k",
		"SISMEMBER k e", "SMEMBERS k", "SMISMEMBER k e s", "SMOVE k k2 e", "SPOP k", "SPOP k 3", "SRANDMEMBER k i", "SRANDMEMBER k -7", "SREM k e s",
		"SSCAN k 0 COUNT 5", "SSCAN k i", "SUNION k k2", "SUNIONSTORE k2 k k2", "SORT k ALPHA DESC"},
	"hash": {"HDEL k e", "HDEL k e e", "HEXISTS k e", "HGET k e", "HGETALL k", "HINCRBY k e i", "HINCRBYFLOAT k e f", "HKEYS k", "HLEN k", "HMGET k e s",
		"HRANDFIELD k i WITHVALUES", "HRANDFIELD k -5", "HSCAN k 0", "HSCAN k i COUNT 3", "HSET k e s", "HSET k s i e e", "HSETNX k e s", "HSTRLEN k e",
		"HVALS k", "HEXPIRE k 100 FIELDS 2 e s", "HPEXPIRE k 1 FIELDS 1 e", "HPEXPIREAT k 1 FIELDS 1 e", "HPERSIST k FIELDS 1 e", "HPTTL k FIELDS 2 e e",
		"HGETDEL k FIELDS 1 e", "HGETEX k PX 50 FIELDS 1 e", "HSETEX k EX 9 FIELDS 1 e s"},
	"zset": {"GEOPOS k e", "GEOSEARCH k FROMLONLAT 1 1 BYRADIUS 9000 km", "ZADD k f e", "ZADD k GT CH f e f s", "ZADD k INCR f e", "ZCARD k",
		"ZCOUNT k (f f", "ZDIFFSTORE k2 2 k k2", "ZINCRBY k f e", "ZINTERSTORE k2 2 k k WEIGHTS f f", "ZLEXCOUNT k - +", "ZMPOP 1 k MAX COUNT 2",
		"ZMSCORE k e s", "ZPOPMIN k 2", "ZPOPMAX k", "ZRANDMEMBER k -4 WITHSCORES", "ZRANGE k 0 -1 WITHSCORES", "ZRANGE k f f BYSCORE LIMIT 0 3",
		"ZRANGE k [e + BYLEX", "ZRANGESTORE k2 k i -1", "ZRANK k e WITHSCORE", "ZREM k e s", "ZREMRANGEBYLEX k [e [e", "ZREMRANGEBYRANK k i i",
		"ZREMRANGEBYSCORE k f f", "ZREVRANGE k 0 i", "ZREVRANK k e", "ZSCAN k 0", "ZSCORE k e", "ZUNIONSTORE k2 2 k k2 AGGREGATE MAX", "SORT k BY nosort"},
	"stream": {"XADD k * f s", "XADD k MAXLEN ~ i * f s g e", "XADD k MINID e i-* f s", "XDEL k e e", "XTRIM k MAXLEN i", "XTRIM k MINID e", "XLEN k",
		"XTRIM k MAXLEN 1 ACKED", "XRANGE k - +", "XREVRANGE k + e COUNT 3", "XREAD COUNT 2 STREAMS k e", "XSETID k i ENTRIESADDED 99",
		"XGROUP CREATE k g e", "XGROUP CREATE k h $", "XGROUP DESTROY k h", "XGROUP SETID k g e", "XGROUP DELCONSUMER k g c", "XGROUP CREATECONSUMER k g c",
		"XREADGROUP GROUP g c COUNT 2 STREAMS k >", "XREADGROUP GROUP g c STREAMS k 0", "XREADGROUP GROUP g d COUNT 3 CLAIM 10 STREAMS k >",
		"XREADGROUP GROUP g d NOACK COUNT 1 STREAMS k >", "XACK k g e e", "XCLAIM k g d 0 e e FORCE", "XAUTOCLAIM k g c 5 0 COUNT 3", "XPENDING k g",
		"XPENDING k g - + 20 c", "XDELEX k DELREF IDS 1 e", "XDELEX k ACKED IDS 2 e e", "XACKDEL k g IDS 1 e", "XNACK k g SILENT IDS 1 e",
		"XINFO STREAM k FULL COUNT 0", "XINFO GROUPS k", "XINFO CONSUMERS k g"},
	"": {"COPY k k2 REPLACE", "RENAME k k2", "RENAME k2 k", "EXPIRE k i", "PEXPIREAT k2 1700000000100", "PERSIST k", "TYPE k", "OBJECT ENCODING k",
		"MEMORY USAGE k SAMPLES 0", "DEBUG DIGEST-VALUE k k2", "DUMP k", "TOUCH k k2", "DEL k2", "SCAN 0 TYPE hash", "DEBUG OBJECT k", "DEBUG DIGEST"},
}

// restored is a run of such commands.
type restored struct {
	t   *testing.T
	ts  *testServer
	rnd *rand.Rand
}

// do runs a command and returns its reply, which must be one whole value.
func (r *restored) do(words ...string) resp.Value {
	reply := r.ts.do(words...)
	v, err := resp.NewReader(strings.NewReader(reply)).Read()
	if err != nil {
		r.t.Fatalf("%q: %q: %v", words, reply, err)
	}
	return v
}

// element returns an element of a key, or something that none is likely to be.
func (r *restored) element(key, typ string) string {
	read := map[string]string{"list": "LRANGE %s 0 300", "set": "SMEMBERS %s", "hash": "HGETALL %s", "zset": "ZRANGE %s 0 300",
		"stream": "XRANGE %s - + COUNT 300"}[typ]
	if read == "" || r.rnd.IntN(5) == 0 {
		return r.bytes()
	}
	all := r.do(strings.Fields(fmt.Sprintf(read, key))...).Elems
	if len(all) == 0 {
		return r.bytes()
	}
	e := all[r.rnd.IntN(len(all))]
	if typ == "stream" {
		e = e.Elems[0]
	}
	return string(e.Str)
}

func (r *restored) bytes() string {
	switch r.rnd.IntN(4) {
	case 0:
		return fmt.Sprint(int64(r.rnd.Uint64()) >> r.rnd.IntN(64))
	case 1:
		return strings.Repeat("long", r.rnd.IntN(40))
	}
	return fmt.Sprint("x", r.rnd.IntN(20))
}

// step runs a random command on a key.
func (r *restored) step() {
	keys := []string{"key", "other"}
	if r.rnd.IntN(3) == 0 {
		keys[0], keys[1] = keys[1], keys[0]
	}
	typ := string(r.do("TYPE", keys[0]).Str)
	lines := usage[typ]
	if len(lines) == 0 || r.rnd.IntN(8) == 0 {
		lines = usage[""]
	}
	words := strings.Fields(lines[r.rnd.IntN(len(lines))])
	for i, w := range words {
		in := ""
		if len(w) > 1 && strings.ContainsRune("([#", rune(w[0])) {
			in, w = w[:1], w[1:]
		}
		switch w {
		case "k":
			w = keys[0]
		case "k2":
			w = keys[1]
		case "e":
			w = r.element(keys[0], typ)
		case "i":
			w = fmt.Sprint(r.rnd.IntN(200) - 3)
		case "f":
			w = []string{"1", "-2.5", "inf", "-inf", "1e300", "0", "3"}[r.rnd.IntN(7)]
		case "s":
			w = r.bytes()
		}
		words[i] = in + w
	}
	r.do(words...)
}

// check checks that the keys are intact: commands that describe them succeed, and RESTORE of their DUMP gives the same value.
func (r *restored) check() {
	for _, key := range []string{"key", "other"} {
		if r.do("EXISTS", key).Int == 0 {
			continue
		}
		for _, words := range [][]string{{"OBJECT", "ENCODING", key}, {"DEBUG", "DIGEST-VALUE", key}, {"MEMORY", "USAGE", key}} {
			if v := r.do(words...); v.Err() != nil {
				r.t.Fatalf("%q: %s", words, v)
			}
		}
		payload, ttl := string(r.do("DUMP", key).Str), r.do("PTTL", key).Int+1 // whether there is one is in the digest
		if v := r.do("RESTORE", "copy", fmt.Sprint(ttl), payload); v.Err() != nil {
			r.t.Fatalf("what DUMP answers is refused: %s", v)
		}
		if a, b := r.do("DEBUG", "DIGEST-VALUE", key).String(), r.do("DEBUG", "DIGEST-VALUE", "copy").String(); a != b {
			r.t.Fatalf("the %s at %s has digest %s, its copy %s", r.do("TYPE", key), key, a, b)
		}
		r.do("DEL", "copy")
	}
	sum := 0
	db := r.ts.Keyspace.DBs()[0]
	db.Each(func(rec *record.Record) bool {
		sum += keyspace.Size(rec)
		return true
	})
	if got := db.Bytes() - db.Overhead(); got != sum {
		r.t.Fatalf("%d bytes are accounted for, the keys have %d", got, sum)
	}
}

// dumped is what a snapshot has under a key.
func dumped(t *testing.T, snap *keyspace.Snapshot) (payload string) {
	var d rdb.Dumper
	snap.Walk(func(_ int, rec *record.Record) bool {
		b, err := d.Dump(nil, rec, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		payload = string(b)
		return true
	})
	return payload
}

// FuzzRestoreCommands restores type and value, in the version of Redis or of Valkey, and runs commands on the key; with an
// odd seed beside a snapshot, which must stay as it was.
func FuzzRestoreCommands(f *testing.F) {
	ts := newTestServer(f, "enable-debug-command", "yes")
	ts.SkipChecksum = true
	seeds := [][]string{
		{"SET k hello"}, {"SET k 12345"}, {"APPEND k " + strings.Repeat("abc", 100)}, {"SETBIT k 9000 1"}, {"PFADD k a b c"},
		{"RPUSH k a 1 -5 70000 hello"}, {"CONFIG SET list-max-listpack-size 2", "RPUSH k a b c 4 5 6 7", "CONFIG SET list-max-listpack-size -2"},
		{"RPUSH k " + strings.Repeat("long ", 90)}, {"SADD k 1 2 70000"}, {"SADD k a b 3"}, {"SADD k a " + strings.Repeat("long", 50)},
		{"HSET k f v n 12"}, {"HSET k f " + strings.Repeat("long", 50) + " g h"}, {"HSET k f v g h", "HPEXPIRE k 100 FIELDS 1 f"},
		{"HSET k f " + strings.Repeat("long", 50) + " g h", "HPEXPIRE k 100 FIELDS 2 f g"}, {"ZADD k 1 a 2.5 b inf c"},
		{"XADD k 1-1 f v", "XADD k 1-2 f v g w", "XADD k 2-1 f 12", "XDEL k 1-2", "XGROUP CREATE k g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS k >",
			"XREADGROUP GROUP g d STREAMS k >", "XGROUP CREATE k h $"},
		{"ZADD k 1 a 2.5 " + strings.Repeat("long", 50)}, {"GEOADD k 13.36 38.11 Palermo 15.08 37.5 Catania"},
	}
	for i, lines := range seeds {
		for _, line := range lines {
			if reply := ts.doLine(line); reply[0] == '-' {
				f.Fatal(line, reply)
			}
		}
		payload, err := resp.NewReader(strings.NewReader(ts.doLine("DUMP k"))).Read()
		if err != nil || len(payload.Str) < 10 {
			f.Fatal(lines, err)
		}
		f.Add(payload.Str[:len(payload.Str)-10], uint64(i))
		ts.doLine("DEL k")
	}
	// What no command makes: ziplists, a zipmap, a member twice, a stream.
	for i, body := range []string{
		"\x0a\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01a\x03\xf3\xff",
		"\x0d\x12\x12\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01f\x03\x01v\xff",
		"\x0c\x12\x12\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01m\x03\x011\xff",
		"\x09\x0c\x01\x03foo\x03\x00bar\xff",
		"\x14\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x81a\x02\xff",
		"\x10\x13\x13\x00\x00\x00\x04\x00\x81f\x02\x01\x01\x81f\x02\x02\x01\xff",
		"\x03\x02\x01a\x031.5\x01b\xfe",
		"\x16\x02\x01f\x01v\x53\x88\x01g\x01w\x00",
	} {
		f.Add([]byte(body), uint64(i))
	}
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		if len(body) > 1<<16 {
			return
		}
		r := &restored{t: t, ts: ts, rnd: rand.New(rand.NewPCG(seed, 1))}
		ts.now = testEpoch
		ts.c.proto = int8(2 + seed>>1&1)
		r.do("FLUSHALL")
		version := uint16(rdb.MaxVersion)
		if seed>>2&7 == 7 {
			version = 80
		}
		payload := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint16(body, version), 0)
		if v := r.do("RESTORE", "key", "0", string(payload)); v.Err() != nil {
			return
		}
		r.check()
		var snap *keyspace.Snapshot
		before := ""
		if seed&1 == 1 {
			var err error
			if snap, err = ts.Keyspace.Snapshot(); err != nil {
				t.Fatal(err)
			}
			defer func() { snap.Release() }()
			before = string(r.do("DUMP", "key").Str)
		}
		for i := range 60 {
			r.step()
			if i%10 == 9 {
				ts.now += 20
				r.check()
			}
		}
		if snap != nil {
			if got := dumped(t, snap); got != before {
				t.Errorf("the snapshot has %q, the key was %q", got, before)
			}
		}
	})
}
