package commands

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/tests/random"
)

// setupEffect is a command on a server where only the setup was run before.
type setupEffect struct {
	setup, line string // setup: commands separated by "; "
	reply       string
	fed         string // "" = nothing, "=" = as it came
	dirty       int64
	events      string
}

// checkEffects runs each case on an empty server.
func checkEffects(t *testing.T, cases []setupEffect) {
	t.Helper()
	for _, tc := range cases {
		ts := newTestServer(t)
		ts.recordFeed()
		ts.recordEvents()
		if tc.setup != "" {
			ts.quiet(strings.Split(tc.setup, "; ")...)
		}
		if tc.fed == "=" {
			tc.fed = tc.line
		}
		ts.expect(t, []effect{{tc.line, tc.reply, tc.fed, tc.events, tc.dirty}})
	}
}

func TestBitEffects(t *testing.T) {
	long := "setbit k 99999 1"
	checkEffects(t, []setupEffect{
		{"", "setbit k 7 1", ":0\r\n", "=", 1, "setbit k"},
		{"", "setbit k 7 0", ":0\r\n", "=", 1, "setbit k"},
		{"setbit k 7 1", "setbit k 7 1", ":1\r\n", "", 0, ""},
		{"setbit k 7 1", "setbit k 7 0", ":1\r\n", "=", 1, "setbit k"},
		{"setbit k 7 1", "setbit k 8 0", ":0\r\n", "=", 1, "setbit k"},
		{long, "setbit k 5 0", ":0\r\n", "", 0, ""},
		{long, "setbit k 5 1", ":0\r\n", "=", 1, "setbit k"},
		{long, "setbit k 199999 0", ":0\r\n", "=", 1, "setbit k"},
		{"set k 12", "setbit k 7 1", ":1\r\n", "", 0, ""},
		{"", "setbit k 7 2", "-" + session.ErrBit + "\r\n", "", 0, ""},
		{"", "getbit k 7", ":0\r\n", "", 0, "keymiss k"},
		{"", "bitcount k", ":0\r\n", "", 0, "keymiss k"},
		{"", "bitpos k 1", ":-1\r\n", "", 0, "keymiss k"},

		{"set a abc", "bitop not d a", ":3\r\n", "=", 1, "set d"},
		{"set a abc; set d x ex 9", "bitop or d a", ":3\r\n", "=", 1, "set d"},
		{"set d x", "bitop or d a", ":0\r\n", "=", 1, "keymiss a; del d"},
		{"", "bitop or d a", ":0\r\n", "", 0, "keymiss a"},
		{"set a abc", "bitop nor d a", "-" + session.ErrSyntax + "\r\n", "", 0, ""},

		{"", "bitfield k set u8 0 5", "*1\r\n:0\r\n", "=", 1, "setbit k"},
		{"", "bitfield k set u8 0 0 set u8 8 0", "*2\r\n:0\r\n:0\r\n", "=", 2, "setbit k"},
		{"set k ab", "bitfield k set u8 0 97 incrby u8 8 0", "*2\r\n:97\r\n:98\r\n", "", 0, ""},
		{"set k ab", "bitfield k set u8 0 98 incrby u8 8 0 incrby u8 8 1", "*3\r\n:97\r\n:98\r\n:99\r\n", "=", 2, "setbit k"},
		{"", "bitfield k get u8 0", "*1\r\n:0\r\n", "", 0, "keymiss k"},
		{"", "bitfield_ro k get u8 0", "*1\r\n:0\r\n", "", 0, "keymiss k"},
		{"set k ab", "bitfield k overflow fail incrby u8 0 200", "*1\r\n$-1\r\n", "", 0, ""},
		// Redis differs: it creates the key without propagating it.
		{"", "bitfield k overflow fail set u2 100 9", "*1\r\n$-1\r\n", "=", 1, ""},
	})
}

// The operations of Redis 8.2, which no redis-server to compare with knows.
func TestBitOpEight(t *testing.T) {
	const two = " must be called with at least two source keys.\r\n"
	for _, tc := range []struct{ cmd, reply, dest string }{
		{"bitop diff d x y z", ":3\r\n", "\x0a\x00\xf0"},
		{"bitop DIFF1 d x y z", ":3\r\n", "\x35\xf0\x00"},
		{"bitop AndOr d x y z", ":3\r\n", "\xc0\x0f\x00"},
		{"bitop one d x y z", ":3\r\n", "\x3f\xf0\xf0"},
		{"bitop one d x", ":3\r\n", "\xca\x0f\xf0"},
		{"bitop one d x x", ":3\r\n", "\x00\x00\x00"},
		{"bitop one d x x x", ":3\r\n", "\x00\x00\x00"},
		{"bitop diff d x none", ":3\r\n", "\xca\x0f\xf0"},
		{"bitop diff d none x", ":3\r\n", "\x00\x00\x00"},
		{"bitop diff1 d none x", ":3\r\n", "\xca\x0f\xf0"},
		{"bitop andor d z x", ":3\r\n", "\xc0\x00\x00"},
		{"bitop andor d none x", ":3\r\n", "\x00\x00\x00"},
		{"bitop diff none x", "-ERR BITOP DIFF" + two, ""},
		{"bitop diff1 none x", "-ERR BITOP DIFF1" + two, ""},
		{"bitop andor none x", "-ERR BITOP ANDOR" + two, ""},
		{"bitop one d none none2", ":0\r\n", ""},
	} {
		ts := newTestServer(t)
		ts.do("mset", "x", "\xca\x0f\xf0", "y", "\xf5\xff", "z", "\xc0")
		if got := ts.doLine(tc.cmd); got != tc.reply {
			t.Errorf("%s: %q, want %q", tc.cmd, got, tc.reply)
		}
		want := "$-1\r\n"
		if tc.dest != "" {
			want = fmt.Sprintf("$%d\r\n%s\r\n", len(tc.dest), tc.dest)
		}
		if got := ts.doLine("get d"); got != want {
			t.Errorf("%s: then %q, want %q", tc.cmd, got, want)
		}
	}
}

// A destination that is long enough is written again in place; its deadline goes all the same.
func TestBitOpDestination(t *testing.T) {
	for _, setup := range []string{"set d x ex 100", "setbit d 99999 1; expire d 100", "set d 5"} {
		ts := newTestServer(t)
		ts.quiet("setbit s 90000 1")
		ts.quiet(strings.Split(setup, "; ")...)
		if got := ts.doLine("bitop not d s"); got != ":11251\r\n" {
			t.Errorf("%s: %q", setup, got)
		}
		if got := ts.deadlineOf("d"); got != record.NoExpiry {
			t.Errorf("%s: deadline %d", setup, got)
		}
		if got := ts.doLine("bitcount d"); got != ":90007\r\n" {
			t.Errorf("%s: then %q", setup, got)
		}
		if got := ts.Keyspace.DBs()[0].Peek([]byte("d")).Encoding(); got != record.Raw {
			t.Errorf("%s: encoding %v", setup, got)
		}
	}
}

func TestBitAllocs(t *testing.T) {
	ts := newTestServer(t)
	ts.do("set", "s", "some bytes in the record")
	ts.do("set", "n", "123456")
	ts.do("setbit", "long", "99999", "1")
	ts.do("setbit", "short", "100", "1")
	ts.do("setbit", "dest", "88888", "1")
	on := false
	for _, tc := range []struct {
		cmd string
		max float64
	}{
		{"setbit long 5000 FLIP", 0}, {"setbit short 50 FLIP", 0}, {"setbit long 5000 1", 0}, {"setbit s 3 FLIP", 0},
		{"getbit long 5000", 0}, {"getbit n 5", 0}, {"getbit nokey 5", 0},
		{"bitcount long", 0}, {"bitcount long 5 -5 bit", 0}, {"bitcount n", 0},
		{"bitpos long 1", 0}, {"bitpos long 0 5 -5 bit", 0}, {"bitpos n 0", 0},
		{"bitfield long set u17 777 FLIP incrby i5 #3 1 get u8 0", 0}, {"bitfield short overflow fail incrby u9 33 1", 0},
		{"bitfield_ro n get i16 5", 0},
		{"bitop xor d s short", 1}, {"bitop one dest long long s", 0}, {"bitop not long long", 0},
	} {
		words := strings.Fields(tc.cmd)
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		run := func() {
			on = !on
			for i, w := range words {
				if w == "FLIP" {
					if args[i][0] = '0'; on {
						args[i][0] = '1'
					}
					args[i] = args[i][:1]
				}
			}
			ts.run(ts.c, args)
		}
		if got := allocations(1000, run); got > tc.max {
			t.Errorf("%s: %v allocations, want at most %v (reply %.40q)", tc.cmd, got, tc.max, ts.w.Buf)
		}
		if ts.w.Buf[0] == '-' {
			t.Errorf("%s: %q", tc.cmd, ts.w.Buf)
		}
	}
}

// bit returns one bit of s, 0 behind its end.
func bit(s string, at int64) byte {
	if at>>3 >= int64(len(s)) {
		return 0
	}
	return s[at>>3] >> (7 - at&7) & 1
}

// withBit returns s with one bit set to v.
func withBit(s string, at int64, v byte) string {
	b := append([]byte(s), make([]byte, max(0, int(at>>3)+1-len(s)))...)
	b[at>>3] = b[at>>3]&^(1<<(7-at&7)) | v<<(7-at&7)
	return string(b)
}

// Random commands, bit by bit, against a map of Go strings, with snapshots taken now and then; see TestStringModel.
func TestBitModel(t *testing.T) {
	steps := 20_000
	if testing.Short() {
		steps = 4000
	}
	if random.Stress() {
		steps = 1_000_000
	}
	rnd := random.New(t)
	ts := newTestServer(t)
	model := map[string]string{}
	key := func() string { return string('a' + rune(rnd.IntN(5))) }
	// Lengths on both sides of what is held in records, and of the words and blocks of the loops.
	value := func() string {
		b := make([]byte, rnd.IntN([]int{3, 40, 600, 9000}[rnd.IntN(4)]))
		switch rnd.IntN(4) {
		case 0:
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
		case 1:
			for i := range b {
				b[i] = 0xff
			}
			fallthrough
		default:
			for range rnd.IntN(3) {
				if len(b) > 0 {
					b[rnd.IntN(len(b))] = byte(rnd.Uint32())
				}
			}
		}
		return string(b)
	}
	var snap *keyspace.Snapshot
	var frozen map[string]string
	for step := range steps {
		if rnd.IntN(100) == 0 {
			if snap == nil {
				var err error
				if snap, err = ts.Keyspace.Snapshot(); err != nil {
					t.Fatal(err)
				}
				frozen = map[string]string{}
				for k, v := range model {
					frozen[k] = v
				}
			} else {
				snap.Walk(func(_ int, r *record.Record) bool {
					if got, want := string(r.AppendTo(nil)), frozen[string(r.Key())]; got != want {
						t.Fatalf("snapshot: %s is %.50q, want %.50q", r.Key(), got, want)
					}
					return true
				})
				snap.Release()
				snap = nil
			}
		}
		k := key()
		old := model[k]
		size := int64(len(old)) * 8
		at := rnd.Int64N(size + 40)
		var words []string
		var want string
		switch rnd.IntN(8) {
		case 0:
			v := value()
			words, want = []string{"set", k, v}, "+OK\r\n"
			model[k] = v
		case 1:
			v := byte(rnd.IntN(2))
			words = []string{"setbit", k, fmt.Sprint(at), fmt.Sprint(v)}
			want = fmt.Sprintf(":%d\r\n", bit(old, at))
			model[k] = withBit(old, at, v)
		case 2:
			words, want = []string{"getbit", k, fmt.Sprint(at)}, fmt.Sprintf(":%d\r\n", bit(old, at))
		case 3:
			end := rnd.Int64N(size + 40)
			n := 0
			for i := at; i <= end; i++ {
				n += int(bit(old, i))
			}
			words, want = []string{"bitcount", k, fmt.Sprint(at), fmt.Sprint(end), "bit"}, fmt.Sprintf(":%d\r\n", n)
		case 4:
			end, v := rnd.Int64N(size+40), byte(rnd.IntN(2))
			pos := int64(-1)
			if old == "" && v == 0 { // of a missing key; an empty string is not made here without SET
				words, want = []string{"bitpos", "nokey", "0"}, ":0\r\n"
				break
			}
			for i := at; i <= end && i < size; i++ {
				if bit(old, i) == v {
					pos = i
					break
				}
			}
			words, want = []string{"bitpos", k, fmt.Sprint(v), fmt.Sprint(at), fmt.Sprint(end), "bit"}, fmt.Sprintf(":%d\r\n", pos)
		case 5:
			width := 1 + rnd.Int64N(64)
			v := rnd.Int64()
			got := int64(0)
			for i := range width {
				got = got<<1 | int64(bit(old, at+i))
			}
			got = got << (64 - width) >> (64 - width)
			words = []string{"bitfield", k, "get", fmt.Sprintf("i%d", width), fmt.Sprint(at), "set", fmt.Sprintf("i%d", width), fmt.Sprint(at), fmt.Sprint(v)}
			want = fmt.Sprintf("*2\r\n:%d\r\n:%d\r\n", got, got)
			for i := range width {
				model[k] = withBit(model[k], at+i, byte(v>>(width-1-i)&1))
			}
		default:
			op := rnd.IntN(len(bitOpWords))
			words = []string{"bitop", bitOpWords[op], key()}
			var sources []string
			longest := 0
			for range 2 + rnd.IntN(4) {
				s := key()
				words = append(words, s)
				sources = append(sources, model[s])
				longest = max(longest, len(model[s]))
			}
			if bitOpWords[op] == "not" {
				words, sources = words[:4], sources[:1]
				longest = len(sources[0])
			}
			result := make([]byte, longest)
			for i := range result {
				at := func(s string) byte {
					if i < len(s) {
						return s[i]
					}
					return 0
				}
				x, all, any, odd := at(sources[0]), at(sources[0]), byte(0), at(sources[0])
				once, more := x, byte(0)
				for _, s := range sources[1:] {
					y := at(s)
					all &= y
					any |= y
					odd ^= y
					more |= once & y
					once |= y
				}
				result[i] = [...]byte{all, x | any, odd, ^x, x &^ any, any &^ x, x & any, once &^ more}[op]
			}
			want = fmt.Sprintf(":%d\r\n", longest)
			if model[words[2]] = string(result); longest == 0 {
				delete(model, words[2])
			}
		}
		if got := ts.do(words...); got != want {
			t.Fatalf("step %d: %.100q: %q, want %q", step, words, got, want)
		}
		if v, ok := model[k]; ok {
			if got := ts.do("get", k); got != fmt.Sprintf("$%d\r\n%s\r\n", len(v), v) {
				t.Fatalf("step %d: after %.100q: %.50q, want %.50q", step, words, got, v)
			}
		}
		if step%200 == 0 {
			db := ts.Keyspace.DBs()[0]
			sum := db.Overhead()
			db.Each(func(r *record.Record) bool {
				sum += keyspace.Size(r)
				return true
			})
			if got := db.Bytes(); got != sum {
				t.Fatalf("step %d: %d bytes accounted, %d there", step, got, sum)
			}
		}
	}
}

func BenchmarkBitmaps(b *testing.B) {
	ts := newTestServer(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, k := range []string{"a", "b", "c"} {
		v := make([]byte, 1<<20)
		for i := range v {
			v[i] = byte(rnd.Uint32())
		}
		ts.do("set", k, string(v))
	}
	ts.do("setbit", "zero", "8388607", "1")
	for _, cmd := range []string{"setbit a 4000 1", "getbit a 4000", "bitcount a", "bitpos zero 1", "bitop and d a b c",
		"bitop or d a b c", "bitop xor d a b c", "bitop not d a", "bitop diff1 d a b c", "bitop one d a b c",
		"bitfield a incrby u13 77 1 get i5 999"} {
		b.Run(strings.ReplaceAll(cmd, " ", "_"), func(b *testing.B) {
			var args [][]byte
			for _, w := range strings.Fields(cmd) {
				args = append(args, []byte(w))
			}
			b.ReportAllocs()
			for b.Loop() {
				ts.run(ts.c, args)
			}
		})
	}
}

// bitOpWords are the operations of BITOP in the order of TestBitModel's results.
var bitOpWords = [...]string{"and", "or", "xor", "not", "diff", "diff1", "andor", "one"}
