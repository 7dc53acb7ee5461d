package rdb

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ferrous/datatypes/record"
)

// repairs are the values that the table at the head of the package names: what becomes of them in a file, and why they are
// refused where they are.
var repairs = func() []struct {
	name   string
	typ    Type
	body   string
	want   string
	said   string // of the repair
	reason string // of a refusal
	always bool   // corrected whatever sanitize-dump-payload is
} {
	lp := func(n int, body string) string {
		return blob(le(4, uint64(7+len(body))) + le(2, uint64(n)) + body + "\xff")
	}
	// 100 pairs, of which the last but one has the first's field.
	long, longWant := "", ""
	for i := range 100 {
		long += fmt.Sprintf("\x83%03d\x04%c\x01", i%98, i)
		if i < 98 {
			longWant += fmt.Sprintf("%q=%q@-1 ", fmt.Sprintf("%03d", i), fmt.Sprint(i))
		}
	}
	longPack := "\x42\xc3" + le(4, uint64(7+len(long))) + le(2, 200) + long + "\xff"
	wide := strings.Repeat("w", 63)
	many, manyWant := "\x40\x82", ""
	for i := range 130 {
		many += fmt.Sprintf("\x03%03d\x01%c", i%129, 'a'+i/129)
		if i < 129 {
			manyWant += fmt.Sprintf("%q=\"a\"@-1 ", fmt.Sprintf("%03d", i))
		}
	}
	// The same in a listpack of more than a listpack may have.
	manyPack := func(perName int) string {
		b := ""
		for i := range 130 {
			if b += fmt.Sprintf("\x83%03d\x04", i%129); perName == 2 {
				b += fmt.Sprintf("%c\x01", 1+i/129)
			}
		}
		n := 7 + len(b)
		return string([]byte{byte(0x40 | n>>8), byte(n)}) + le(4, uint64(n)) + le(2, uint64(130*perName)) + b + "\xff"
	}
	manyNames := func(value string) string {
		want := ""
		for i := range 129 {
			want += fmt.Sprintf(`"%03d"%s `, i, value)
		}
		return want
	}
	pendings := "\x06\x00\x01\x01\x05\x00\x04\x01\x01g\x06\x00\x02" + streamPending + "\x01\x05alice" + at100
	return []struct {
		name   string
		typ    Type
		body   string
		want   string
		said   string
		reason string
		always bool
	}{
		{"field twice", 4, "\x02\x01f\x011\x01f\x012", `hash/listpack: "f"="1"@-1 `, fieldTwice, "Duplicate hash fields", false},
		{"field twice with long values", 4, "\x03\x01f\x40\x41" + wide + "xx\x01g\x01v\x01f\x012",
			`hash/hashtable: "f"="` + wide + `xx"@-1 "g"="v"@-1 `, fieldTwice, "Duplicate hash fields", false},
		{"field twice as a number", 4, "\x02\xc0\x01\x01a\x011\x01b", `hash/listpack: "1"="a"@-1 `, fieldTwice, "Duplicate hash fields", false},
		{"field twice in a large hash", 4, many, `hash/hashtable: ` + manyWant, fieldTwice, "Duplicate hash fields", false},
		{"field twice in a listpack", 16, lp(6, "\x81f\x02\x01\x01\x81g\x02\x02\x01\x81f\x02\x03\x01"),
			`hash/listpack: "f"="1"@-1 "g"="2"@-1 `, fieldTwice, "comes twice", false},
		{"fields twice in a long listpack", 16, longPack, `hash/listpack: ` + longWant, fieldTwice, "comes twice", false},
		{"field twice in a listpack that becomes large", 16, manyPack(2), `hash/hashtable: ` + manyNames(`="1"@-1`), fieldTwice,
			reasonTwiceInPack, false},
		{"member twice in a listpack that becomes large", 20, manyPack(1), `set/hashtable: ` + manyNames(""), memberTwice,
			reasonTwiceInSet, false},
		{"member twice in a packed sorted set that becomes large", 17, manyPack(2), `zset/skiplist: ` + manyNames("=1"), scoreTwice,
			"comes twice", false},
		{"member twice in a listpack", 20, lp(4, "\x01\x01\x81a\x02\x811\x02\x81a\x02"), `set/listpack: "1" "a" `, memberTwice, "comes twice", false},
		{"member twice in a packed sorted set", 17, lp(6, "\x81a\x02\x01\x01\x81b\x02\x02\x01\x81a\x02\x03\x01"),
			`zset/listpack: "a"=1 "b"=2 `, scoreTwice, "comes twice", false},
		{"intset out of order", 11, blob("\x02\x00\x00\x00\x03\x00\x00\x00\x05\x00\x01\x00\x05\x00"), `set/intset: "1" "5" `,
			intsOrder, "do not ascend", false},
		{"pending entry without a consumer", 19, streamNode + "\x03" + pendings + "\x01" + id12,
			"stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:5-0 Added:4};" + streamEntries +
				`; group "g" last 6-0 read 2: 1-2 time 100 count 1 of "alice", consumer "alice" seen 100 active 100: 1-2`,
			ownerless, "without consumer", false},
		{"too many entries told", 15, streamNode + "\x05\x06\x00\x00",
			"stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:0-0 Added:5};" + streamEntries,
			"the stream is said to have 5 entries and has 3; these are counted", "Stream length inconsistent", true},
		{"too few entries told", 15, streamNode + "\x00\x06\x00\x00",
			"stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:0-0 Added:3};" + streamEntries,
			"the stream is said to have 0 entries and has 3; these are counted", "Stream length inconsistent", true},
		{"other entries told to a newer version", 21, streamNode + "\x04\x06\x00\x01\x01\x05\x00\x07\x00",
			"stream/stream: 3 entries, {Last:6-0 First:1-1 MaxDeleted:5-0 Added:7};" + streamEntries,
			"the stream is said to have 4 entries and has 3; these are counted", "Stream length inconsistent", true},
	}
}()

func TestRepairs(t *testing.T) {
	for _, tt := range repairs {
		g := golden{name: tt.name, typ: tt.typ, body: tt.body}
		var told []string
		file := withChecksum("REDIS0012\xfe\x02\x00\x01a\x01x" + string(rune(tt.typ)) + "\x01k" + tt.body + "\x00\x01z\x01y\xff")
		load := func(repair bool) (map[string]string, *Result, error) {
			ks, res, _, err := loadWith(string(file), func(l *Loader) {
				told = nil
				l.Repair = repair
				l.OnRepair = func(db int, key []byte, what string) { told = append(told, fmt.Sprintf("%d/%s: %s", db, key, what)) }
			})
			checkAccounts(t, ks)
			return contents(ks), res, err
		}
		want := map[string]string{
			`2/"a"`: `string/embstr expiry -1: "x"`,
			`2/"k"`: strings.Replace(tt.want, ": ", " expiry -1: ", 1),
			`2/"z"`: `string/embstr expiry -1: "y"`,
		}
		for _, repair := range []bool{true, false} {
			got, res, err := load(repair)
			if !repair && !tt.always {
				if err == nil || !strings.Contains(err.Error(), tt.reason) || len(told) > 0 {
					t.Errorf("%s: not to be repaired: %v, %q", tt.name, err, told)
				}
				continue
			}
			if err != nil || res.Repaired != 1 || len(told) != 1 || told[0] != "2/k: "+tt.said {
				t.Errorf("%s: %v, %+v, told %q", tt.name, err, res, told)
				continue
			}
			compare(t, got, want)
		}
		var report strings.Builder
		if _, sound := CheckReader(&report, strings.NewReader(string(file)), -1); sound != tt.always ||
			tt.always && !strings.Contains(report.String(), "Key 'k' is odd: "+tt.said) {
			t.Errorf("%s: the check says %v:\n%s", tt.name, sound, report.String())
		}
		ks := newKeyspace()
		if r, err := Restore(g.payload(), []byte("k"), record.NoExpiry, 0, testRules(ks), ks.Generation()); err == nil ||
			!strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: RESTORE: %v, %v", tt.name, r, err)
		}
	}
}

// Files of old writers.
func TestFieldFiles(t *testing.T) {
	for name, want := range map[string]string{
		"hash-field-twice":     `hash/listpack expiry -1: "f"="1"@-1 `,
		"stream-length-3-of-1": `stream/stream expiry -1: 1 entries, {Last:1-1 First:1-1 MaxDeleted:0-0 Added:3}; 1-1 "a" "b"`,
	} {
		file, err := os.ReadFile("testdata/" + name + ".rdb")
		if err != nil {
			t.Fatal(err)
		}
		key := map[bool]string{true: `0/"h"`, false: `0/"s"`}[strings.HasPrefix(name, "hash")]
		ks, res, notices, err := loadWith(string(file), func(l *Loader) { l.Repair = true })
		if err != nil || res.Repaired != 1 || !strings.HasSuffix(notices[len(notices)-1], ", odd keys repaired: 1.") {
			t.Fatalf("%s: %v, %+v, %q", name, err, res, notices)
		}
		compare(t, contents(ks), map[string]string{
			`0/"before"`: `string/embstr expiry -1: "x"`,
			key:          want,
			`0/"after"`:  `string/embstr expiry -1: "y"`,
		})
	}
}
