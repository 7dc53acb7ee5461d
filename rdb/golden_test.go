package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"ferrous/datatypes/record"
	"ferrous/datatypes/stream"
)

// A golden is a value as some version of Redis or Valkey writes it: the bytes behind the key, and what describe says of
// the value they stand for, without the deadline.
type golden struct {
	name   string
	typ    Type
	body   string
	want   string
	valkey bool
}

// payload is the golden as DUMP would answer it.
func (g *golden) payload() []byte {
	b := append([]byte{byte(g.typ)}, g.body...)
	version := uint16(MaxVersion)
	if g.valkey {
		version = valkeyVersion
	}
	b = binary.LittleEndian.AppendUint16(b, version)
	return binary.LittleEndian.AppendUint64(b, crc64(0, b))
}

// file is the golden in a file, under the key "k".
func (g *golden) file() []byte {
	head := "REDIS0012"
	if g.valkey {
		head = "VALKEY080"
	}
	return withChecksum(head + "\xfe\x00" + string(rune(g.typ)) + "\x01k" + g.body + "\xff")
}

func withChecksum(file string) []byte {
	return binary.LittleEndian.AppendUint64([]byte(file), crc64(0, []byte(file)))
}

func le(n int, v uint64) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return string(b[:n])
}

func double(f float64) string { return le(8, math.Float64bits(f)) }

// blob is a short string behind its length.
func blob(s string) string {
	if len(s) < 64 {
		return string(rune(len(s))) + s
	}
	return string([]byte{0x40 | byte(len(s)>>8), byte(len(s))}) + s
}

// packed is a string as rdbcompression stores it, in runs of bytes that stand for themselves.
func packed(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 32 {
		run := s[i:min(i+32, len(s))]
		b.WriteByte(byte(len(run) - 1))
		b.WriteString(run)
	}
	length := func(n int) string { return string([]byte{0x40 | byte(n>>8), byte(n)}) }
	return "\xc3" + length(b.Len()) + length(len(s)) + b.String()
}

// ziplist makes one of entries, which are the bytes from the encoding on.
func ziplist(entries ...string) string {
	var body strings.Builder
	before, tail := 0, ziplistHeader
	for _, e := range entries {
		at := body.Len()
		if before < 254 {
			body.WriteByte(byte(before))
		} else {
			body.WriteString("\xfe" + le(4, uint64(before)))
		}
		body.WriteString(e)
		tail, before = ziplistHeader+at, body.Len()-at
	}
	return le(4, uint64(ziplistHeader+body.Len()+1)) + le(4, uint64(tail)) + le(2, uint64(len(entries))) + body.String() + "\xff"
}

// everyZiplistEntry has one of each encoding; everyZiplistText are their texts.
var everyZiplistEntry = ziplist("\x01a", "\xf1", "\xfd", "\xfe\x9c", "\xc0\x2c\x01", "\xf0\x70\x11\x01", "\xf0\x00\x00\x80",
	"\xd0\x00\x00\x00\x40", "\xe0\x00\x00\x00\x00\x00\x01\x00\x00", "\x40\x46"+strings.Repeat("m", 70),
	"\x80\x00\x00\x01\x00"+strings.Repeat("b", 256), "\x00", "\x0212")

var everyZiplistText = func() string {
	var b strings.Builder
	for _, s := range []string{"a", "0", "12", "-100", "300", "70000", "-8388608", "1073741824", "1099511627776",
		strings.Repeat("m", 70), strings.Repeat("b", 256), "", "12"} {
		fmt.Fprintf(&b, "%q ", s)
	}
	return b.String()
}()

const (
	packedSet  = "\x0f\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x03\x01\xff"
	packedHash = "\x12\x00\x00\x00\x04\x00\x81f\x02\x81v\x02\x81n\x02\x0c\x01\xff"
	packedZSet = "\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x832.5\x04\xff"
	// Field, value and deadline: g=1@4000, f=v@5000, h=2 without one.
	packedTimed = "\x20\x00\x00\x00\x09\x00" + "\x81g\x02\x01\x01\xcf\xa0\x02" + "\x81f\x02\x81v\x02\xf1\x88\x13\x03" +
		"\x81h\x02\x02\x01\x00\x01" + "\xff"
	timed = `"f"="v"@5000 "g"="1"@4000 "h"="2"@-1 `

	streamNode = "\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01" +
		"@SS\x00\x00\x00\x1f\x00\x03\x01\x01\x01\x02\x01\x81a\x02\x81b\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x16\x01\x05" +
		"\x01\x02\x01\x00\x01\x01\x01\x03\x01\x84text\x05\x05\x01\x01\x01\x04\x01\xdf\xff\x02\x01\x01\x81c\x02\x81x\x02\x06\x01" +
		"\x02\x01\x05\x01\xdf\xff\x02\x04\x01\x84five\x05\x05\x01\xff"
	streamEntries = ` 1-1 "a" "1" "b" "22" 1-2 "a" "3" "b" "text" 6-0 "a" "4" "b" "five"`
	id12          = "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"
	id60          = "\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00\x00"
	at100         = "\x64\x00\x00\x00\x00\x00\x00\x00" // a time: 100
	at200         = "\xc8\x00\x00\x00\x00\x00\x00\x00"
	streamPending = "\x02" + id12 + at100 + "\x01" + id60 + at200 + "\x40\x80"
)

var goldens = []golden{
	{name: "string", typ: 0, body: "\x05hello", want: `string/embstr: "hello"`},
	{name: "string that is an integer", typ: 0, body: "\x03123", want: `string/int: "123"`},
	{name: "empty string", typ: 0, body: "\x00", want: `string/embstr: ""`},
	{name: "int8", typ: 0, body: "\xc0\xff", want: `string/int: "-1"`},
	{name: "int16", typ: 0, body: "\xc1\x00\x80", want: `string/int: "-32768"`},
	{name: "int32", typ: 0, body: "\xc2\x00\x00\x00\x40", want: `string/int: "1073741824"`},
	{name: "lzf", typ: 0, body: "\xc3\x05\x14\x00a\xe0\x0a\x00", want: `string/embstr: "` + strings.Repeat("a", 20) + `"`},
	{name: "length of 14 bits", typ: 0, body: "\x40\x05hello", want: `string/embstr: "hello"`},
	{name: "length of 32 bits", typ: 0, body: "\x80\x00\x00\x00\x05hello", want: `string/embstr: "hello"`},
	{name: "length of 64 bits", typ: 0, body: "\x81\x00\x00\x00\x00\x00\x00\x00\x05hello", want: `string/embstr: "hello"`},
	{name: "list", typ: 1, body: "\x03\x01a\xc0\x05\x02bc", want: `list/listpack: "a" "5" "bc" `},
	{name: "set", typ: 2, body: "\x02\x01a\xc0\x05", want: `set/listpack: "5" "a" `},
	{name: "set of integers", typ: 2, body: "\x02\xc0\x07\xc0\x05", want: `set/intset: "5" "7" `},
	{name: "sorted set v1", typ: 3, body: "\x03\x01a\x031.5\x01b\xfe\x01c\xff", want: `zset/listpack: "c"=-Inf "a"=1.5 "b"=+Inf `},
	{name: "hash", typ: 4, body: "\x02\x01f\x01v\xc0\x01\xc0\x02", want: `hash/listpack: "1"="2"@-1 "f"="v"@-1 `},
	{name: "sorted set v2", typ: 5, body: "\x02\x01a" + double(2.5) + "\x01b" + double(-1), want: `zset/listpack: "b"=-1 "a"=2.5 `},
	{name: "zipmap", typ: 9, body: blob("\x02\x03foo\x03\x00bar\x05hello\x05\x02world??\xff"), want: `hash/listpack: "foo"="bar"@-1 "hello"="world"@-1 `},
	{name: "zipmap with long lengths", typ: 9, body: blob("\xfe\xfe\x03\x00\x00\x00foo\xfe\x03\x00\x00\x00\x00bar\xff"), want: `hash/listpack: "foo"="bar"@-1 `},
	{name: "list ziplist", typ: 10, body: blob(everyZiplistEntry), want: "list/quicklist: " + everyZiplistText},
	{name: "intset of 16 bits", typ: 11, body: "\x0c\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x05\x00", want: `set/intset: "-1" "5" `},
	{name: "intset of 32 bits", typ: 11, body: "\x10\x04\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\x70\x11\x01\x00", want: `set/intset: "-1" "70000" `},
	{name: "intset of 64 bits", typ: 11, body: "\x10\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00", want: `set/intset: "1099511627776" `},
	{name: "sorted set ziplist", typ: 12, body: blob(ziplist("\x01a", "\x041e10", "\x01b", "\x03inf")), want: `zset/listpack: "a"=1e+10 "b"=+Inf `},
	{name: "hash ziplist", typ: 13, body: blob(ziplist("\x01f", "\x01v", "\xf3", "\xfe\x85")), want: `hash/listpack: "2"="-123"@-1 "f"="v"@-1 `},
	{name: "quicklist", typ: 14, body: "\x02" + blob(ziplist("\x01a", "\xf2")) + blob(everyZiplistEntry), want: `list/quicklist: "a" "1" ` + everyZiplistText},
	{name: "quicklist of one", typ: 14, body: "\x01" + blob(ziplist("\x01a", "\xf2")), want: `list/listpack: "a" "1" `},
	{name: "hash listpack", typ: 16, body: blob(packedHash), want: `hash/listpack: "f"="v"@-1 "n"="12"@-1 `},
	{name: "sorted set listpack", typ: 17, body: blob(packedZSet), want: `zset/listpack: "a"=1 "b"=2.5 `},
	{name: "sorted set listpack out of order", typ: 17, body: blob("\x11\x00\x00\x00\x04\x00\x81a\x02\x02\x01\x81b\x02\x01\x01\xff"), want: `zset/listpack: "b"=1 "a"=2 `},
	{name: "quicklist v2", typ: 18, body: "\x02\x01\x05plain\x02" + blob(packedSet), want: `list/quicklist: "plain" "a" "b" "3" `},
	{name: "quicklist v2 of one", typ: 18, body: "\x01\x02" + blob(packedSet), want: `list/listpack: "a" "b" "3" `},
	{name: "quicklist v2 of a plain one", typ: 18, body: "\x01\x01\x05plain", want: `list/quicklist: "plain" `},
	{name: "quicklist v2 of plain integers", typ: 18, body: "\x03\x01\xc0\xff\x01\xc1\x2c\x01\x01\xc2\x00\x00\x00\x40", want: `list/quicklist: "-1" "300" "1073741824" `},
	{name: "set listpack", typ: 20, body: blob(packedSet), want: `set/listpack: "3" "a" "b" `},
	{name: "hash with deadlines of the candidate", typ: 22, body: "\x03\x53\x88\x01f\x01v\x4f\xa0\x01g\xc0\x01\x00\x01h\x012", want: `hash/listpackex: ` + timed},
	{name: "packed hash with deadlines of the candidate", typ: 23, body: blob(packedTimed), want: `hash/listpackex: ` + timed},
	{name: "hash with deadlines", typ: 24, body: le(8, 4000) + "\x03\x43\xe9\x01f\x01v\x01\x01g\xc0\x01\x00\x01h\x012", want: `hash/listpackex: ` + timed},
	{name: "packed hash with deadlines", typ: 25, body: le(8, 4000) + blob(packedTimed), want: `hash/listpackex: ` + timed},
	{name: "hash with deadlines of Valkey", typ: 22, valkey: true,
		body: "\x03\x01f\x01v" + le(8, 5000) + "\x01g\xc0\x01" + le(8, 4000) + "\x01h\x012" + le(8, math.MaxUint64), want: `hash/listpackex: ` + timed},
	{name: "compressed elements", typ: 1, body: "\x03" + packed("first") + packed("second") + "\xc1\x2c\x01", want: `list/listpack: "first" "second" "300" `},
	{name: "compressed fields and values", typ: 4, body: "\x02" + packed("f") + packed("v") + packed("field") + packed("value"),
		want: `hash/listpack: "f"="v"@-1 "field"="value"@-1 `},
	{name: "compressed members with scores", typ: 5, body: "\x02" + packed("a") + double(2) + packed("b") + double(1), want: `zset/listpack: "b"=1 "a"=2 `},
	{name: "compressed hash listpack", typ: 16, body: packed(packedHash), want: `hash/listpack: "f"="v"@-1 "n"="12"@-1 `},
	{name: "compressed set listpack", typ: 20, body: packed(packedSet), want: `set/listpack: "3" "a" "b" `},
	{name: "compressed intset", typ: 11, body: packed("\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x05\x00"), want: `set/intset: "-1" "5" `},
	{name: "compressed zipmap", typ: 9, body: packed("\x01\x03foo\x03\x00bar\xff"), want: `hash/listpack: "foo"="bar"@-1 `},
	{name: "compressed ziplists", typ: 14, body: "\x02" + packed(ziplist("\x01a", "\xf2")) + packed(everyZiplistEntry), want: `list/quicklist: "a" "1" ` + everyZiplistText},
	{name: "compressed nodes", typ: 18, body: "\x02\x01" + packed("plain") + "\x02" + packed(packedSet), want: `list/quicklist: "plain" "a" "b" "3" `},
	{name: "compressed packed hash with deadlines", typ: 25, body: le(8, 4000) + packed(packedTimed), want: `hash/listpackex: ` + timed},
	{name: "compressed hash with deadlines of Valkey", typ: 22, valkey: true,
		body: "\x03" + packed("f") + packed("v") + le(8, 5000) + packed("g") + "\xc0\x01" + le(8, 4000) + "\x01h" + packed("2") + le(8, math.MaxUint64),
		want: `hash/listpackex: ` + timed},
	{name: "compressed stream node", typ: 15, body: "\x01" + packed(id12) + packed(streamNode[20:]) + "\x03\x06\x00\x00",
		want: "stream/stream: 3 entries, {Last:6-0 First:1-2 MaxDeleted:0-0 Added:3}; 1-2 \"a\" \"1\" \"b\" \"22\" 1-3 \"a\" \"3\" \"b\" \"text\"" +
			" 6-1 \"a\" \"4\" \"b\" \"five\""},
	{name: "stream v1", typ: 15, body: streamNode + "\x03\x06\x00" + "\x01\x01g\x01\x02" + streamPending +
		"\x02\x03bob" + at200 + "\x01" + id60 + "\x05alice" + at100 + "\x01" + id12,
		want: "stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:0-0 Added:3};" + streamEntries +
			`; group "g" last 1-2 read -1: 1-2 time 100 count 1 of "alice" 6-0 time 200 count 128 of "bob"` +
			`, consumer "alice" seen 100 active 100: 1-2, consumer "bob" seen 200 active 200: 6-0`},
	{name: "stream v2", typ: 19, body: streamNode + "\x03\x06\x00\x01\x01\x05\x00\x04" + "\x01\x01g\x06\x00\x02" + streamPending +
		"\x01\x05alice" + at100 + "\x02" + id12 + id60,
		want: "stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:5-0 Added:4};" + streamEntries +
			`; group "g" last 6-0 read 2: 1-2 time 100 count 1 of "alice" 6-0 time 200 count 128 of "alice"` +
			`, consumer "alice" seen 100 active 100: 1-2 6-0`},
	{name: "stream whose consumers share a pending entry", typ: 21, body: streamNode + "\x03\x06\x00\x01\x01\x00\x00\x03" + "\x01\x01g\x06\x00\x02" +
		streamPending + "\x02\x05alice" + at100 + at200 + "\x02" + id12 + id60 + "\x03bob" + at100 + at200 + "\x01" + id12,
		want: "stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:0-0 Added:3};" + streamEntries +
			`; group "g" last 6-0 read 2: 1-2 time 100 count 1 of "bob" 6-0 time 200 count 128 of "alice"` +
			`, consumer "alice" seen 100 active 200: 6-0, consumer "bob" seen 100 active 200: 1-2`},
	{name: "stream v3", typ: 21, body: streamNode + "\x03\x06\x00\x01\x01\x05\x00\x04" + "\x02\x01g\x06\x00\x02" + streamPending +
		"\x01\x05alice" + at100 + at200 + "\x02" + id12 + id60 + "\x01h\x00\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00",
		want: "stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:5-0 Added:4};" + streamEntries +
			`; group "g" last 6-0 read 2: 1-2 time 100 count 1 of "alice" 6-0 time 200 count 128 of "alice"` +
			`, consumer "alice" seen 100 active 200: 1-2 6-0; group "h" last 0-0 read -1:`},
}

func TestGoldenValues(t *testing.T) {
	for _, g := range goldens {
		want := strings.Replace(g.want, ": ", " expiry -1: ", 1)
		ks := newKeyspace()
		r, err := Restore(g.payload(), []byte("k"), record.NoExpiry, 0, testRules(ks), ks.Generation())
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if got := describe(r); got != want {
			t.Errorf("%s:\n got %s\nwant %s", g.name, got, want)
		}
		ks, _ = load(t, g.file())
		if got := contents(ks)[`0/"k"`]; got != want {
			t.Errorf("%s in a file:\n got %s\nwant %s", g.name, got, want)
		}
		// Cut anywhere, it is refused.
		body := g.payload()
		body = body[:len(body)-footerSize]
		for n := range body {
			cut := append(bytes.Clone(body[:n]), "\x0c\x00........"...)
			if g.valkey {
				cut[n] = valkeyVersion
			}
			if _, err := Restore(cut, []byte("k"), record.NoExpiry, 0, testRules(ks), ks.Generation()); err == nil {
				t.Errorf("%s: %d of %d bytes are taken", g.name, n, len(body))
			}
		}
	}
}

// Where the bounds are lower than the bytes, nothing stays packed, and nothing is lost, there and back.
func TestGoldenValuesLarge(t *testing.T) {
	larger := 0
	for _, g := range goldens {
		encoding, want, _ := strings.Cut(g.want, ": ")
		ks := newKeyspace()
		rules := testRules(ks)
		rules.Hash.Entries, rules.Set.Entries, rules.Set.Ints, rules.ZSet.Entries, rules.List.Fill = 0, 0, 0, 0, 1
		value := func(payload []byte, rules *Rules) (encoding, text string, r *record.Record) {
			r, err := Restore(payload, []byte("k"), record.NoExpiry, 0, rules, ks.Generation())
			if err != nil {
				t.Fatalf("%s: %v", g.name, err)
			}
			encoding, text, _ = strings.Cut(describe(r), " expiry -1: ")
			return encoding, text, r
		}
		got, text, r := value(g.payload(), rules)
		if text != want {
			t.Errorf("%s:\n got %s\nwant %s", g.name, text, want)
		}
		if got != encoding {
			larger++
		} else if strings.Contains(got, "listpack") || strings.Contains(got, "intset") {
			t.Errorf("%s: still %s", g.name, got)
		}
		var d Dumper
		payload, err := d.Dump(nil, r, 0, true)
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		if _, text, _ = value(payload, testRules(ks)); text != want {
			t.Errorf("%s, there and back:\n got %s\nwant %s", g.name, text, want)
		}
	}
	if larger < 20 {
		t.Errorf("only %d of %d have another encoding", larger, len(goldens))
	}
}

// Payloads of real servers.
func TestRedisPayloads(t *testing.T) {
	for _, tc := range []struct{ payload, want string }{
		{"\x12\x01\x02((\x00\x00\x00\a\x00\x81a\x02\x05\x01\xdf\xff\x02\xc1,\x02\xf2p\x11\x01\x04\xf4\x00\x00\x00\x00\x00\x01\x00\x00\t\x85hello\x06\xff\n\x00M\xc7=#\xa1\a\x15\x98",
			`list/listpack expiry -1: "a" "5" "-1" "300" "70000" "1099511627776" "hello" `}, // 7.0.15
		{"\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00p\x11\x01\x00\n\x00\x85\xd5\xc1\x06[\x1d\xd0U",
			`set/intset expiry -1: "1" "2" "70000" `},
		{"\x10\x12\x12\x00\x00\x00\x04\x00\x81f\x02\x81v\x02\x81n\x02\x0c\x01\xff\n\x00\x016\x94\x81\xd3[\x89t",
			`hash/listpack expiry -1: "f"="v"@-1 "n"="12"@-1 `},
		{"\x11\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x832.5\x04\xff\n\x00\xd4Ln\xa4\xf6D\xd9\xd7",
			`zset/listpack expiry -1: "a"=1 "b"=2.5 `},
		{"\x02\x03\x01a\xc0\x03\x01b\n\x00\xea\xa4\x1f\xfd\xe2\x98\x1e\xe0",
			`set/listpack expiry -1: "3" "a" "b" `},
		{"\x14\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x03\x01\xff\x0b\x00\x12\x01\x92v\xc0L\x04\x0e",
			`set/listpack expiry -1: "3" "a" "b" `}, // 7.2.6
	} {
		if err := VerifyPayload([]byte(tc.payload), true); err != nil {
			t.Errorf("%q: %v", tc.payload, err)
		}
		ks := newKeyspace()
		r, err := Restore([]byte(tc.payload), []byte("k"), record.NoExpiry, 0, testRules(ks), ks.Generation())
		if err != nil {
			t.Errorf("%q: %v", tc.payload, err)
			continue
		}
		if got := describe(r); got != tc.want {
			t.Errorf("got %s\nwant %s", got, tc.want)
		}
		// Written in the same version, it is the same.
		var d Dumper
		version := int(tc.payload[len(tc.payload)-10])
		out, err := d.Dump([]byte("in front"), r, version, false)
		if err != nil || string(out) != "in front"+tc.payload && r.Type() != record.Set {
			t.Errorf("%q became %q, %v", tc.payload, out, err)
		}
		if flipped := []byte(tc.payload); VerifyPayload(append(flipped[:3], flipped[2:]...), true) == nil {
			t.Errorf("%q is accepted", flipped)
		}
	}
	for _, short := range []string{"", "123456789"} {
		if VerifyPayload([]byte(short), false) == nil {
			t.Errorf("%q is accepted", short)
		}
	}
	if VerifyPayload([]byte("\x00\x01a\x0d\x00........"), false) == nil || VerifyPayload([]byte("\x00\x01a\x50\x00........"), false) != nil {
		t.Error("wrong about versions 13 and 80")
	}
}

// Pending entries without a consumer are written for one without a name, and known again unless there is one.
func TestPendingWithoutConsumer(t *testing.T) {
	for _, names := range [][]string{{}, {"alice"}, {"", "alice"}} {
		ks := newKeyspace()
		gen := ks.Generation()
		s := stream.New(gen)
		g := s.AddGroup([]byte("g"), stream.ID{Ms: 9}, 0, gen)
		for _, name := range names {
			c := s.AddConsumer(g, []byte(name), 5, 5, gen)
			s.SetPending(g, c, stream.ID{Ms: uint64(len(name))}, 7, 2, gen)
		}
		s.SetPending(g, nil, stream.ID{Ms: 3}, 0, 1, gen)
		s.SetPending(g, nil, stream.ID{Ms: 8}, 0, 1, gen)
		var d Dumper
		payload, err := d.Dump(nil, record.NewObject(record.Stream, s.Encoding(), []byte("k"), unsafe.Pointer(s), record.NoExpiry, 0), 0, false)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Restore(payload, []byte("k"), record.NoExpiry, 0, testRules(ks), gen)
		if err != nil {
			t.Fatalf("%q: %v", names, err)
		}
		got := record.Value[stream.Stream](r).Group([]byte("g"))
		for _, id := range []stream.ID{{Ms: 3}, {Ms: 8}} {
			p, ok := got.Pending(id)
			owner, unnamed := got.Owner(p), got.Consumer(nil)
			if !ok || p.Time != 0 || p.Count != 1 || owner != unnamed || (unnamed != nil) != slices.Contains(names, "") {
				t.Errorf("%q: %v is %+v, of %v", names, id, p, owner)
			}
		}
		if got.NumPending() != g.NumPending() {
			t.Errorf("%q: %d pending entries of %d", names, got.NumPending(), g.NumPending())
		}
	}
}
