package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/list"
	"ferrous/datatypes/quicklist"
	"ferrous/datatypes/record"
	"ferrous/datatypes/set"
)

func aux(key, value string) string { return "\xfa" + blob(key) + blob(value) }

// loadWith loads a file with a loader that set prepares, and returns the notices.
func loadWith(file string, set func(l *Loader)) (ks *keyspace.Keyspace, res *Result, notices []string, err error) {
	ks = newKeyspace()
	l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: true, OnNotice: func(line string) { notices = append(notices, line) }}
	if set != nil {
		set(l)
	}
	res, err = l.Load(strings.NewReader(file), int64(len(file)))
	return ks, res, notices, err
}

// The first version: no checksum, deadlines in seconds.
func TestFirstVersion(t *testing.T) {
	ks, res, _, err := loadWith("REDIS0001\xfe\x00\x00\x01a\x01x\xfd\x00\xf1\x53\x65\x01\x01l\x01\x01y\xfe\x02\x00\x01b\x01z\xfftail", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		`0/"a"`: `string/embstr expiry -1: "x"`,
		`0/"l"`: `list/listpack expiry 1699999999000 * : "y" `,
		`2/"b"`: `string/embstr expiry -1: "z"`,
	}
	want[`0/"l"`] = fmt.Sprintf(`list/listpack expiry %d: "y" `, 0x6553f100*int64(1000))
	compare(t, contents(ks), want)
	if rest, _ := io.ReadAll(res.Rest); string(rest) != "tail" || res.Version != 1 || res.Keys != 3 {
		t.Errorf("%+v, rest %q", res, rest)
	}
}

// Every version, and what it has: the checksum since 5.
func TestEveryVersion(t *testing.T) {
	for version := 1; version <= MaxVersion; version++ {
		file := fmt.Sprintf("REDIS%04d\xfe\x03\xfd\x00\xf1\x53\x65\x00\x01a\x01x\x09\x01z%s\x0b\x01i%s\xff", version,
			blob("\x01\x03foo\x03\x00bar\xff"), blob("\x02\x00\x00\x00\x01\x00\x00\x00\x07\x00"))
		if version >= 5 {
			if _, _, _, err := loadWith(file, nil); err == nil {
				t.Errorf("version %d is loaded without a checksum", version)
			}
			file = string(withChecksum(file))
		}
		ks, res, _, err := loadWith(file, nil)
		if err != nil || res.Version != version || res.ChecksumFound != (version >= 5) || res.Bytes != int64(len(file)) {
			t.Errorf("version %d: %+v, %v", version, res, err)
			continue
		}
		compare(t, contents(ks), map[string]string{
			`3/"a"`: fmt.Sprintf(`string/embstr expiry %d: "x"`, 0x6553f100*int64(1000)),
			`3/"z"`: `hash/listpack expiry -1: "foo"="bar"@-1 `,
			`3/"i"`: `set/intset expiry -1: "7" `,
		})
	}
	file := string(withChecksum("VALKEY080" + aux("valkey-ver", "9.0.1") + "\xfe\x00\xfb\x01\x00\xf4\x01\x01\x00" +
		"\x16\x01h\x02\x01f\x01v" + le(8, 5000) + "\x01g\x01w" + le(8, math.MaxUint64) + "\xff"))
	ks, res, notices, err := loadWith(file, nil)
	if err != nil || !res.Valkey || res.Version != 80 || res.RedisVersion != "9.0.1" || !slices.Contains(notices, "Loading RDB produced by Valkey version 9.0.1") {
		t.Errorf("%+v, %q, %v", res, notices, err)
	}
	compare(t, contents(ks), map[string]string{`0/"h"`: `hash/listpackex expiry -1: "f"="v"@5000 "g"="w"@-1 `})
}

// Room for keys is made for as many as the file can hold, however often more are promised.
func TestPromisedKeys(t *testing.T) {
	var b strings.Builder
	b.WriteString("REDIS0011")
	for range 200 {
		for db := range 16 {
			b.WriteString("\xfe" + string(rune(db)) + "\xfb\x80\x7f\xff\xff\xff\x00")
		}
	}
	file := string(withChecksum(b.String() + aux("filler", strings.Repeat("x", 16000)) + "\xff"))
	for _, size := range []int64{int64(len(file)), -1} {
		ks := newKeyspace()
		l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: true}
		before := allocated()
		if _, err := l.Load(strings.NewReader(file), size); err != nil {
			t.Fatal(err)
		}
		if got := allocated() - before; got > 4<<20 {
			t.Errorf("%d bytes allocated for a file of %d", got, len(file))
		}
	}
}

// Everything that is no value.
func TestItems(t *testing.T) {
	id := strings.Repeat("a", 40)
	file := string(withChecksum("REDIS0012" + aux("redis-ver", "7.4.1") + aux("redis-bits", "64") + aux("ctime", "\x01") + aux("used-mem", "1048576") +
		aux("repl-stream-db", "3") + aux("repl-id", id) + aux("repl-offset", "12345") + aux("aof-base", "1") + aux("%extra", "note") + aux("lua", "return 1") +
		"\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x02\x01\x05\x03abc\x05\xc0\x01\x05\xc1\x01\x02\x05\xc2\x01\x02\x03\x04\x05" + packed("module") + "\x04" + double(1) + "\x03\x00\x00\x00\x00\x01\x05\x00" +
		"\xf5" + blob("#!lua name=lib\n") + "\xfe\x01\xfb\x03\x02\xf4\x10\x02\x01" +
		"\xfc" + le(8, uint64(now+5)) + "\xf8\x40\x64\x00\x01a\x01x" +
		"\xfc" + le(8, uint64(now-5)) + "\xf9\x07\x00\x01b\x01y" +
		"\x10\x05empty" + blob("\x07\x00\x00\x00\x00\x00\xff") +
		"\x00\x01c\x01z\xff"))
	var code string
	ks, res, notices, err := loadWith(file, func(l *Loader) {
		l.OnFunction = func(b []byte) error { code = string(b); return nil }
	})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, contents(ks), map[string]string{
		`1/"a"`: fmt.Sprintf(`string/embstr expiry %d: "x"`, now+5),
		`1/"b"`: fmt.Sprintf(`string/embstr expiry %d: "y"`, now-5),
		`1/"c"`: `string/embstr expiry -1: "z"`,
	})
	got := *res
	if h := got.History; h == nil || h.DB != 3 || len(h.ID) != 40 || h.Offset != 12345 {
		t.Errorf("the place in the stream is %+v", h)
	}
	got.Rest, got.Created, got.History = nil, 0, nil
	want := Result{Version: 12, Keys: 3, Empty: 1, Bytes: int64(len(file)), RedisVersion: "7.4.1", UsedMemory: 1 << 20, AOFBase: true,
		ChecksumFound: true}
	if got != want {
		t.Errorf("result %+v, want %+v", got, want)
	}
	if code != "#!lua name=lib\n" {
		t.Errorf("function %q", code)
	}
	for _, line := range []string{"Loading RDB produced by version 7.4.1", "RDB memory usage when created 1.00 Mb", "RDB is base AOF",
		"RDB '%extra': note",
		"The RDB file contains AUX data of module 'AAAAAAAAB', which there is not here: passed over.", "rdbLoadObject skipping empty key: empty",
		"Done loading RDB, keys loaded: 3, keys expired: 0, empty keys skipped: 1."} {
		if !slices.Contains(notices, line) {
			t.Errorf("no notice %q among %q", line, notices)
		}
	}
	db := ks.DBs()[1]
	if idle := ks.Idle(db.PeekStale([]byte("a")).Clock()); idle != 100_000 {
		t.Errorf("idle for %d ms", idle)
	}

	ks, res, _, err = loadWith(file, func(l *Loader) {
		l.DropExpired = true
		l.Keyspace.LFU = &keyspace.LFU{LogFactor: 10, DecayTime: 1, NowMs: now}
	})
	if err != nil || res.Dropped != 1 || res.Keys != 2 {
		t.Errorf("%+v, %v", res, err)
	}
	if ks.DBs()[1].Len() != 2 {
		t.Errorf("%d keys", ks.DBs()[1].Len())
	}
	ks, _, _, err = loadWith(file, func(l *Loader) { l.Keyspace.LFU = &keyspace.LFU{LogFactor: 10, DecayTime: 1, NowMs: now} })
	if n := ks.LFU.Counter(ks.DBs()[1].PeekStale([]byte("b")).Clock()); err != nil || n != 7 {
		t.Errorf("frequency %d, %v", n, err)
	}
	broken := errors.New("no such engine")
	if _, _, _, err = loadWith(file, func(l *Loader) { l.OnFunction = func([]byte) error { return broken } }); err == nil ||
		!strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestDuplicateKeys(t *testing.T) {
	file := string(withChecksum("REDIS0011\x00\x01a\x01x\x00\x01b\x01x\x00\x01a\x01y\xff"))
	if _, _, _, err := loadWith(file, nil); err == nil || !strings.Contains(err.Error(), "RDB has duplicated key 'a' in DB 0") {
		t.Errorf("error %v", err)
	}
	ks, res, _, err := loadWith(file, func(l *Loader) { l.AllowDuplicates = true })
	if err != nil || res.Keys != 3 {
		t.Fatal(res, err)
	}
	compare(t, contents(ks), map[string]string{`0/"a"`: `string/embstr expiry -1: "y"`, `0/"b"`: `string/embstr expiry -1: "x"`})
}

func TestChecksum(t *testing.T) {
	good := string(withChecksum("REDIS0011\x00\x01a\x01x\xff"))
	bad := good[:13] + "q" + good[14:]
	_, _, _, err := loadWith(bad, nil)
	var e *Error
	if !errors.As(err, &e) || e.Doing != "check-sum" || !strings.Contains(e.Reason, "RDB CRC error") {
		t.Errorf("error %v", err)
	}
	if _, res, _, err := loadWith(bad, func(l *Loader) { l.Checksum = false }); err != nil || res.ChecksumFound {
		t.Errorf("unchecked: %+v, %v", res, err)
	}
	none := good[:len(good)-8] + strings.Repeat("\x00", 8)
	_, res, notices, err := loadWith(none, nil)
	if err != nil || res.ChecksumFound || !slices.Contains(notices, "RDB file was saved with checksum disabled: no check performed.") {
		t.Errorf("without: %+v, %v, %q", res, err, notices)
	}
}

// What is wrong, and where it is said to be.
func TestMalformed(t *testing.T) {
	head := "REDIS0012"
	value := func(typ byte, body string) string { return head + string(rune(typ)) + "\x01k" + body }
	lp := func(body string, n int) string {
		return blob(le(4, uint64(7+len(body))) + le(2, uint64(n)) + body + "\xff")
	}
	huge := "\x81\x00\x00\x00\xff\xff\xff\xff\xff"
	for _, tc := range []struct {
		name, file, reason string
		offset             int64
	}{
		{"nothing", "", "Unexpected EOF", 0},
		{"another magic", "MYSQL0001\xff", "Wrong signature", 9},
		{"version 13", "REDIS0013\xff", "Can't handle RDB format version 0013", 9},
		{"version 0", "REDIS0000\xff", "Can't handle", 9},
		{"version of letters", "REDISabcd\xff", "Can't handle", 9},
		{"Valkey 79", "VALKEY079\xff", "Can't handle", 9},
		{"Valkey 81", "VALKEY081\xff", "Can't handle", 9},
		{"only a header", head, "Unexpected EOF", 9},
		{"no end", head + "\x00\x01k\x01v", "Unexpected EOF", 14},
		{"no checksum", head + "\xff", "Unexpected EOF", 10},
		{"unknown type", head + "\x08\x01k", "Unknown RDB encoding type 8", 10},
		{"unknown opcode", head + "\x80\x01k", "Unknown RDB encoding type 128", 10},
		{"database 16", head + "\xfe\x10", "configured to handle more than 16 databases", 11},
		{"encoded length", head + "\xfe\xc0", "A length is expected", 11},
		{"unknown length", head + "\xfe\x82", "Unknown length encoding 130", 11},
		{"module value", value(7, "\x81\x00\x00\x00\x00\x00\x00\x00\x00"), "no matching module type 'AAAAAAAAA'", 21},
		{"old module value", value(6, ""), "Pre-release module format not supported", 12},
		{"module aux without when", head + "\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x01", "bad when_opcode", 20},
		{"module aux without end", head + "\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x02\x01\x05\x03abc", "Unexpected EOF", 26},
		{"module aux of an unknown kind", head + "\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x02\x01\x06", "Unknown module opcode 6", 22},
		{"module aux with an unknown string", head + "\xf7\x81\x00\x00\x00\x00\x00\x00\x04\x00\x02\x01\x05\xc4", "Unknown string encoding 4", 23},
		{"blob of an unknown encoding", value(18, "\x01\x01\xc4"), "Unknown string encoding 4", 15},
		{"packed deadline too late", value(23, lp("\x81a\x02\x01\x01"+"\xf4"+le(8, maxFieldDeadline+1)+"\x09", 3)), "invalid expire time", 35},
		{"packed deadline that is none", value(23, lp("\x81a\x02\x01\x01\x81x\x02", 3)), "invalid expire time", 28},
		{"old functions", head + "\xf6", "Pre-release function format not supported.", 10},
		{"slot import", head + "\xf3", "slot migration", 10},
		{"string that is not there", value(0, "\x05abc"), "Unexpected EOF", 16},
		{"string that cannot be there", value(0, huge), "Unexpected EOF", 21},
		{"unknown string encoding", value(0, "\xc4"), "Unknown string encoding 4", 13},
		{"lzf bomb", value(0, "\xc3\x01"+huge+"a"), "Invalid LZF compressed string", 23},
		{"lzf of nothing", value(0, "\xc3\x00\x01"), "Invalid LZF compressed string", 15},
		{"lzf that looks too far back", value(0, "\xc3\x02\x03\x20\x05"), "Invalid LZF compressed string", 17},
		{"list without end", value(1, huge+"\x01a"), "Unexpected EOF", 23},
		{"set without end", value(2, huge+"\x01a"), "Unexpected EOF", 23},
		{"sorted set without end", value(5, huge+"\x01a"), "Unexpected EOF", 23},
		{"hash without end", value(4, huge+"\x01a"), "Unexpected EOF", 23},
		{"stream without end", value(21, huge), "Unexpected EOF", 21},
		{"set with a member twice", value(2, "\x02\x01a\x01a"), "Duplicate set members", 17},
		{"set with an integer twice", value(2, "\x02\xc0\x01\x011"), "Duplicate set members", 17},
		{"hash with a field twice", value(4, "\x02\x01a\x01x\x01a\x01y"), "Duplicate hash fields", 21},
		{"sorted set with a member twice", value(5, "\x02\x01a"+double(1)+"\x01a"+double(2)), "Duplicate zset fields", 33},
		{"sorted set without a number", value(5, "\x01\x01a"+double(math.NaN())), "NAN score", 23},
		{"old sorted set without a number", value(3, "\x01\x01a\xfd"), "NAN score", 16},
		{"old score", value(3, "\x01\x01a\x02x1"), "Invalid zset score", 18},
		{"listpack of another length", value(16, "\x07\x08\x00\x00\x00\x00\x00\xff"), "Listpack integrity check failed", 20},
		{"listpack of nothing", value(16, "\x00"), "Listpack integrity check failed", 13},
		{"listpack with a wrong element", value(16, lp("\xf5\x01", 1)), "unknown encoding 0xf5", 22},
		{"hash of one", value(16, lp("\x81a\x02", 1)), "not groups of 2", 23},
		{"hash listpack with a field twice", value(16, lp("\x01\x01\x02\x01\x811\x02\x03\x01", 4)), "comes twice", 29},
		{"long hash listpack with a field twice", value(16, lp(strings.Repeat("\x01\x01", 258), 258)), "Hash listpack with dup elements", 537},
		{"set listpack with a member twice", value(20, lp("\x01\x01\x01\x01", 2)), "comes twice", 24},
		{"sorted set listpack with a member twice", value(17, lp("\x01\x01\x01\x01\x01\x01\x02\x01", 4)), "comes twice", 28},
		{"sorted set listpack with a score of letters", value(17, lp("\x01\x01\x81x\x02", 2)), "score \"x\"", 25},
		{"sorted set listpack with a score that is none", value(17, lp("\x01\x01\x83nan\x04", 2)), "score \"nan\"", 27},
		{"intset of width 3", value(11, "\x0b\x03\x00\x00\x00\x01\x00\x00\x00abc"), "Intset integrity check failed", 24},
		{"intset out of order", value(11, "\x0c\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00"), "Intset integrity check failed", 25},
		{"intset of none", value(11, "\x08\x02\x00\x00\x00\x00\x00\x00\x00"), "Intset integrity check failed", 21},
		{"node of another kind", value(18, "\x01\x03\x01a"), "a node of kind 3", 14},
		{"empty plain node", value(18, "\x01\x01\x00"), "an empty plain node", 15},
		{"ziplist of another length", value(10, blob("\x0c"+ziplist()[1:])), "List ziplist integrity check failed", 24},
		{"ziplist with a wrong tail", value(10, blob(strings.Replace(ziplist("\x01a", "\x01b"), "\x0d", "\x0a", 1))), "the last element", 30},
		{"ziplist with a wrong back length", value(10, blob(strings.Replace(ziplist("\x01a", "\x01b"), "a\x03", "a\x02", 1))), "before another", 30},
		{"ziplist with a wrong number", value(10, blob(strings.Replace(ziplist("\x01a", "\x01b"), "\x02\x00\x00\x01a", "\x03\x00\x00\x01a", 1))), "number of elements", 30},
		{"ziplist with a wrong encoding", value(10, blob(ziplist("\xff"))), "unknown encoding", 26},
		{"ziplist with a long element", value(10, blob(ziplist("\x05a"))), "longer than the ziplist", 27},
		{"hash ziplist of one", value(13, blob(ziplist("\x01a"))), "an odd number", 27},
		{"hash ziplist with a field twice", value(13, blob(ziplist("\x01a", "\x01x", "\x01a", "\x01y"))), "Hash ziplist integrity check failed: an element comes twice", 36},
		{"sorted set ziplist with a wrong tail", value(12, blob(strings.Replace(ziplist("\x01a", "\x01b"), "\x0d", "\x0a", 1))), "Zset ziplist integrity check failed: the place of the last element", 30},
		{"quicklist with a ziplist of another length", value(14, "\x01"+blob("\x0c"+ziplist()[1:])), "Ziplist integrity check failed", 25},
		{"zipmap of none", value(9, "\x02\x00\xff"), "empty", 15},
		{"zipmap with a long field", value(9, "\x04\x01\x09a\xff"), "longer than the zipmap", 17},
		{"zipmap with a long value", value(9, "\x06\x01\x01a\x01\x01\xff"), "longer than the zipmap", 19},
		{"zipmap with a wrong number", value(9, blob("\x02\x01a\x01\x00b\xff")), "number of fields", 20},
		{"zipmap with a field twice", value(9, blob("\x02\x01a\x01\x00b\x01a\x01\x00b\xff")), "dup elements", 25},
		{"deadline of a field too late", value(22, "\x01\x81\x00\x01\x00\x00\x00\x00\x00\x00\x01f\x01v"), "invalid expire time", 22},
		{"deadline of a field whose sum is too large", value(24, le(8, 1000)+"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01f\x01v"), "invalid expire time", 30},
		{"deadline of a field whose sum is nothing", value(24, le(8, 0)+"\x01\x01\x01f\x01v"), "invalid expire time", 22},
		{"earliest deadline too late", value(24, le(8, 1<<48+1)+"\x01\x00\x01f\x01v"), "invalid minExpire", 20},
		{"hash of Redis 7.4 in a file of Valkey", "VALKEY080\x18\x01k" + le(8, 4000) + "\x01\x00\x01f\x01v", "Unknown RDB encoding type 24", 10},
		{"packed hash of Redis 7.4 in a file of Valkey", "VALKEY080\x17\x01k" + blob(packedTimed), "Unknown RDB encoding type 23", 10},
		{"deadline of Valkey too late", "VALKEY080\x16\x01k\x01\x01f\x01v" + le(8, 1<<48), "invalid expire time", 25},
		{"deadline of Valkey of zero", "VALKEY080\x16\x01k\x01\x01f\x01v" + le(8, 0), "invalid expire time", 25},
		{"deadlines out of order", value(23, blob("\x15\x00\x00\x00\x06\x00\x81a\x02\x01\x01\x09\x01\x81b\x02\x01\x01\x08\x01\xff")), "Hash listpack integrity", 34},
		{"stream key too short", value(21, "\x01\x03abc"), "not the size of a stream ID", 17},
		{"stream node of nothing", value(21, "\x01\x10"+id12+lp("", 0)), "Stream listpack integrity", 38},
		{"pending entry twice", value(21, streamNode+"\x03\x06\x00\x01\x01\x00\x00\x03\x01\x01g\x06\x00\x02\x02"+id12+at100+"\x01"+id12+at100+"\x01"),
			"Duplicated global PEL entry", 180},
		{"pending entry twice with a consumer", value(21, streamNode+"\x03\x06\x00\x01\x01\x00\x00\x03\x01\x01g\x06\x00\x02"+streamPending+
			"\x01\x05alice"+at100+at200+"\x02"+id12+id12), "Duplicated consumer PEL entry", 237},
		{"pending entry of a consumer only", value(21, streamNode+"\x03\x06\x00\x01\x01\x00\x00\x03\x01\x01g\x06\x00\x02\x00"+
			"\x01\x05alice"+at100+at200+"\x01"+id12), "Consumer entry not found", 170},
		{"pending entry of no consumer", value(21, streamNode+"\x03\x06\x00\x01\x01\x00\x00\x03\x01\x01g\x06\x00\x02"+streamPending+"\x00"),
			"PEL entry without consumer", 182},
		{"stream of no nodes and some entries", value(21, "\x00\x04"), "Stream length inconsistent", 14},
	} {
		for _, source := range []string{"sized", "unsized", "one byte at a time"} {
			ks := newKeyspace()
			l := &Loader{Keyspace: ks, Rules: testRules(ks), Checksum: true}
			var src io.Reader = strings.NewReader(tc.file)
			size := int64(-1)
			switch source {
			case "sized":
				size = int64(len(tc.file))
			case "one byte at a time":
				src = iotest.OneByteReader(src)
			}
			_, err := l.Load(src, size)
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s, %s: error %v", tc.name, source, err)
				continue
			}
			if !strings.Contains(e.Reason, tc.reason) || e.Offset != tc.offset {
				t.Errorf("%s, %s: %q at %d, want %q at %d", tc.name, source, e.Reason, e.Offset, tc.reason, tc.offset)
			}
		}
	}
}

// An error of the source is another error than wrong bytes.
func TestSourceError(t *testing.T) {
	broken := errors.New("broken pipe")
	ks := newKeyspace()
	l := &Loader{Keyspace: ks, Rules: testRules(ks)}
	_, err := l.Load(io.MultiReader(strings.NewReader("REDIS0010\x00\x01a"), iotest.ErrReader(broken)), -1)
	var e *Error
	if !errors.Is(err, broken) || !errors.As(err, &e) || e.Doing != doingValue || string(e.Key) != "a" || e.Offset != 12 {
		t.Errorf("error %v", err)
	}
	_, err = l.Load(strings.NewReader("REDIS0010\x00\x01a"), -1)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	_, err = l.Load(idle{}, -1)
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestProgress(t *testing.T) {
	ks := newKeyspace()
	m := newMaker(3, ks)
	for i := range 3000 {
		ks.DBs()[0].Set(record.NewString(fmt.Appendf(nil, "%d", i), bytes.Repeat([]byte{byte(i)}, 1000+m.IntN(9)), record.NoExpiry, 0, 0))
	}
	snap, _ := ks.Snapshot()
	var b memory
	var keys, size []int64
	err := Save(&b, snap, &Options{OnProgress: func(k, n int64) error {
		keys, size = append(keys, k), append(size, n)
		return nil
	}})
	snap.Release()
	if err != nil || !slices.Equal(keys, []int64{1024, 2048, 3000}) || !slices.IsSorted(size) || size[2] != int64(len(b.b)) {
		t.Errorf("%v, keys %v, bytes %v of %d", err, keys, size, len(b.b))
	}
	var at []int64
	l := &Loader{Keyspace: newKeyspace(), ProgressBytes: 1 << 20, OnProgress: func(n int64) { at = append(at, n) }}
	l.Rules = testRules(l.Keyspace)
	loaded := 0
	l.OnKey = func(*keyspace.DB, *record.Record) { loaded++ }
	if _, err := l.Load(bytes.NewReader(b.b), int64(len(b.b))); err != nil {
		t.Fatal(err)
	}
	if len(at) != 3 || at[2] != int64(len(b.b)) || at[0] < 1<<20 || at[0] > 1<<20+2*bufferSize || loaded != 3000 {
		t.Errorf("told at %v of %d, %d keys", at, len(b.b), loaded)
	}
	if m := contents(l.Keyspace); !maps.Equal(m, contents(ks)) {
		t.Error("contents differ")
	}
	// Less than what is read ahead.
	const step = 1 << 10
	at = nil
	small := &Loader{Keyspace: newKeyspace(), Rules: testRules(ks), ProgressBytes: step, OnProgress: func(n int64) { at = append(at, n) }}
	res, err := small.Load(bytes.NewReader(append(b.b[:len(b.b):len(b.b)], "the rest"...)), -1)
	if err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(res.Rest); string(rest) != "the rest" {
		t.Errorf("%d bytes are left", len(rest))
	}
	if !slices.IsSorted(at) || len(at) < len(b.b)/(4*step) || at[0] > 2*step {
		t.Errorf("told %d times of %d bytes in steps of %d, first at %d", len(at), len(b.b), step, at[0])
	}

	stop := errors.New("stop")
	snap, _ = ks.Snapshot()
	if err := Save(io.Discard, snap, &Options{OnProgress: func(k, n int64) error { return stop }}); err != stop {
		t.Errorf("error %v", err)
	}
	snap.Release()
	snap, _ = ks.Snapshot()
	if err := Save(failing{2}, snap, &Options{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	snap.Release()
}

// TestStop: between two questions whether to go on there are no more bytes than a few pieces, written or only read, whatever
// the values are, and after the answer no piece is written.
func TestStop(t *testing.T) {
	const most = 4 * bufferSize
	ks := newKeyspace()
	m := newMaker(5, ks)
	random := make([]byte, 3<<20)
	for i := range random {
		random[i] = byte(m.Uint32())
	}
	values := map[string]func() *record.Record{
		"a string that is compressed": func() *record.Record {
			return record.NewOwned([]byte("k"), bytes.Repeat([]byte("0123456789"), 1<<19), record.NoExpiry, 0, 0)
		},
		"a string that is not": func() *record.Record { return record.NewOwned([]byte("k"), random, record.NoExpiry, 0, 0) },
		"a set": func() *record.Record {
			s := set.NewLarge(20_000, ks.Generation())
			for i := range 20_000 {
				s.Add(fmt.Appendf(nil, "%d:%s", i, random[i:i+60]), set.Rules{}, ks.Generation())
			}
			return record.NewObject(record.Set, s.Encoding(), []byte("k"), unsafe.Pointer(s), record.NoExpiry, 0)
		},
		"a list": func() *record.Record {
			rules := testRules(ks).List
			q := quicklist.New(rules.Set, rules.Fill, rules.Depth)
			for i := range 20_000 {
				q.PushTail(random[i : i+60])
			}
			l := list.FromQuicklist(q, ks.Generation())
			return record.NewObject(record.List, l.Encoding(), []byte("k"), unsafe.Pointer(l), record.NoExpiry, 0)
		},
	}
	for name, make := range values {
		for _, version := range []int{0, MinVersion} {
			ks := newKeyspace()
			ks.DBs()[0].Set(make())
			run := func(stopAt int) (asked, after int, err error) {
				snap, _ := ks.Snapshot()
				defer snap.Release()
				since := 0
				stopped := errors.New("stop")
				err = Save(writerFunc(func(b []byte) {
					if since += len(b); since > most {
						t.Errorf("%s: %d bytes are written without a question", name, since)
					}
					if asked == stopAt {
						after++
					}
				}), snap, &Options{Version: version, Compress: true, Stop: func() error {
					since = 0
					if asked++; asked == stopAt {
						return stopped
					}
					return nil
				}})
				if stopAt > 0 && err != stopped {
					t.Errorf("%s: stopped at question %d: %v", name, stopAt, err)
				}
				return asked, after, err
			}
			asked, _, err := run(0)
			if err != nil || asked < 3 {
				t.Errorf("%s: asked %d times, %v", name, asked, err)
			}
			for _, at := range []int{1, 2, asked / 2, asked} {
				if n, after, _ := run(at); n != at || after != 0 {
					t.Errorf("%s: asked %d times more, %d pieces are written after the answer", name, n-at, after)
				}
			}
		}
	}
	// A payload is not used before it is complete.
	for _, name := range []string{"a string that is compressed", "a set"} {
		asked := 0
		stopped := errors.New("stop")
		d := Dumper{Stop: func() error {
			if asked++; asked == 3 {
				return stopped
			}
			return nil
		}}
		if _, err := d.Dump(nil, values[name](), 0, true); err != stopped || asked != 3 {
			t.Errorf("DUMP of %s: %v, asked %d times", name, err, asked)
		}
	}
}

// writerFunc takes all that is written.
type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// failing takes some writes and no more.
type failing [1]int

func (f failing) Write(b []byte) (int, error) { return 0, os.ErrClosed }

func TestCheck(t *testing.T) {
	id := "\x81\x00\x00\x00\x00\x00\x00\x04\x00"
	file := withChecksum("REDIS0012" + aux("redis-ver", "7.4.1") + "\xf7" + id + "\x02\x01\x05\x03abc\x01\x05\x00" + "\xf5\x03lib\xfe\x00\xfb\x03\x02" +
		"\x00\x01a\x01x\xfc" + le(8, 1) + "\x16\x01h" + "\x03\x53\x88\x01f\x01v\x4f\xa0\x01g\xc0\x01\x00\x01h\x012" +
		"\x07\x01m" + id + "\x02\x05\x04" + double(1) + "\x03\x00\x00\x00\x00\x00\xff")
	path := filepath.Join(t.TempDir(), "dump.rdb")
	check := func(file []byte) (bool, string) {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		ok := Check(&b, path, nil)
		return ok, b.String()
	}
	ok, out := check(file)
	want := fmt.Sprintf(`[offset 0] Checking RDB file %s
[offset 26] AUX FIELD redis-ver = '7.4.1'
[offset 38] MODULE AUX for: AAAAAAAAB
[offset 53] Selecting DB ID 0
[offset %d] Checksum OK
[offset %d] \o/ RDB looks OK! \o/
[info] 3 keys read
[info] 1 expires
[info] 1 already expired
[info] 2 subexpires
`, path, len(file), len(file))
	if !ok || out != want {
		t.Errorf("%v, got:\n%swant:\n%s", ok, out, want)
	}
	file[len(file)-30]++
	if ok, out = check(file); ok {
		t.Errorf("accepted:\n%s", out)
	}
	ok, out = check([]byte("REDIS0011\x00\x01a\x01x\x02\x04twin\x02\x01a\x01a\xff"))
	want = fmt.Sprintf(`[offset 0] Checking RDB file %s
--- RDB ERROR DETECTED ---
[offset 25] Duplicate set members detected
[additional info] While doing: read-object-value
[additional info] Reading key 'twin'
[additional info] Reading type 2 (set-hashtable)
[info] 2 keys read
[info] 0 expires
[info] 0 already expired
[info] 0 subexpires
`, path)
	if ok || out != want {
		t.Errorf("%v, got:\n%swant:\n%s", ok, out, want)
	}
	if Check(io.Discard, path+".none", nil) {
		t.Error("a file that is not there is sound")
	}
	rest, ok := CheckReader(io.Discard, strings.NewReader("REDIS0004\xfftail"), -1)
	if b, _ := io.ReadAll(rest); !ok || string(b) != "tail" {
		t.Errorf("%v, rest %q", ok, b)
	}
}
