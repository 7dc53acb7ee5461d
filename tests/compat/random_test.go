package compat

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// The random comparison: commands are made from the argument grammar that the oracle's COMMAND DOCS gives, over few keys,
// so that they meet each other's values, and sent to both servers. A share of them is broken on purpose. A round is a
// sequence on empty databases; when a reply differs, the round is cut down to the commands that matter.

var (
	randomSeed = flag.Uint64("seed", 0, "seed of the random commands (0: from the clock)")
	randomOnly = flag.String("families", "", "only these families of commands, separated by commas")
	randomTime = flag.Duration("gentime", 0, "how long to send random commands (10s; 5m in the long form)")
)

// families are what the generator calls, by the type of value that they concern. A round keeps to one family and the
// general commands, so that its few keys mostly hold what its commands want. Left out is what takes something at random out
// of a value (SPOP), answers with the time or a cursor of the server's own (SCAN, KEYS, RANDOMKEY, OBJECT IDLETIME), or
// changes the server for others; SORT, which shows in what order a set lies; and DBSIZE, which counts keys past their deadline for as long as nobody has found them.
var families = map[string][]string{
	"general": {"copy", "del", "exists", "expire", "expireat", "expiretime", "move", "object|encoding", "persist", "pexpire",
		"pexpireat", "pexpiretime", "pttl", "rename", "renamenx", "touch", "ttl", "type", "unlink", "swapdb", "flushdb", "flushall",
		"select"},
	"strings": {"append", "decr", "decrby", "get", "getdel", "getex", "getrange", "getset", "incr", "incrby", "incrbyfloat", "lcs",
		"mget", "mset", "msetnx", "psetex", "set", "setex", "setnx", "setrange", "strlen", "substr"},
	"bitmaps": {"bitcount", "bitfield", "bitfield_ro", "bitop", "bitpos", "getbit", "setbit", "get", "set", "append", "pfadd",
		"pfcount", "pfmerge"},
	"lists": {"lindex", "linsert", "llen", "lmove", "lmpop", "lpop", "lpos", "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim",
		"rpop", "rpoplpush", "rpush", "rpushx", "rpush"},
	"hashes": {"hdel", "hexists", "hget", "hgetall", "hincrby", "hincrbyfloat", "hkeys", "hlen", "hmget", "hmset", "hrandfield",
		"hset", "hset", "hsetnx", "hstrlen", "hvals"},
	"sets": {"sadd", "sadd", "scard", "sdiff", "sdiffstore", "sinter", "sintercard", "sinterstore", "sismember", "smembers",
		"smismember", "smove", "srandmember", "srem", "sunion", "sunionstore"},
	"zsets": {"zadd", "zadd", "zadd", "zcard", "zcount", "zdiff", "zdiffstore", "zincrby", "zinter", "zintercard", "zinterstore",
		"zmpop", "zmscore", "zpopmax", "zpopmin", "zrandmember", "zrange", "zrange", "zrangebyscore", "zrangestore", "zrank", "zrem",
		"zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebyscore", "zrevrank", "zscore", "zunion", "zunionstore", "sadd"},
	// Ranges by member are defined only where all scores are equal; here all are 0.
	"lex": {"zadd", "zadd", "zadd", "zadd", "zlexcount", "zrange", "zrangebylex", "zrevrangebylex", "zremrangebylex",
		"zrangestore", "zrem", "zcard"},
	"geo": {"geoadd", "geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro", "georadiusbymember",
		"georadiusbymember_ro", "geosearch", "geosearchstore", "zrem", "zrange"},
}

// approximateReplies are the commands that answer with a duration or with an instant that may have come from one.
var approximateReplies = map[string]int64{"ttl": 2, "expiretime": 2, "pttl": 2000, "pexpiretime": 2000}

// otherReplies are the commands that answer in an order of the server's own, or at random.
var otherReplies = map[string]compareMode{"smembers": unordered, "sinter": unordered, "sunion": unordered, "sdiff": unordered,
	"hgetall": unordered, "hkeys": unordered, "hvals": unordered, "srandmember": sameShape, "hrandfield": sameShape,
	"zrandmember": sameShape}

// rareCommands empty or exchange databases: sent often they would leave nothing to compare.
var rareCommands = map[string]bool{"flushdb": true, "flushall": true, "swapdb": true, "select": true, "move": true}

type generator struct {
	rnd      *rand.Rand
	grammar  map[string]harness.Value // the "arguments" of each command
	names    []string                 // of the families
	keyNames []string
	steady   bool   // nothing expires, not even by commands that are broken
	family   string // of the round
	numKeys  int    // where "numkeys" is among the arguments; 0 = not
	keys     int    // arguments that are keys
	serial   int
}

// deadlineCommands are the commands that could make a key expire soon if their arguments were exchanged.
var deadlineCommands = map[string]bool{"set": true, "setex": true, "psetex": true, "getex": true, "expire": true, "pexpire": true,
	"expireat": true, "pexpireat": true}

func newGenerator(t *testing.T, p *pair, seed uint64) *generator {
	c := p.servers[oracle].Dial(t)
	c.Must("HELLO", "3")
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 0)), grammar: map[string]harness.Value{}, keyNames: randomKeys}
	for family := range families {
		if family != "general" && (*randomOnly == "" || slices.Contains(strings.Split(*randomOnly, ","), family)) {
			g.names = append(g.names, family)
		}
	}
	if slices.Sort(g.names); len(g.names) == 0 {
		t.Fatalf("no family is named %q", *randomOnly)
	}
	for _, name := range slices.Concat(slices.Collect(maps.Values(families))...) {
		top, _, sub := strings.Cut(name, "|")
		doc := pairsOf(c.Must("COMMAND", "DOCS", top))[top]
		if sub {
			doc = pairsOf(pairsOf(doc)["subcommands"])[name]
		}
		if doc.Elems == nil {
			t.Fatalf("the oracle has no documentation of %s", name)
		}
		g.grammar[name] = pairsOf(doc)["arguments"]
	}
	return g
}

func (g *generator) pick(list []string) string { return list[g.rnd.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.rnd.IntN(100) < percent }

// command makes one command.
func (g *generator) command() []string {
	name := g.pick(families[g.family])
	switch {
	case g.chance(20):
		name = g.pick(families["general"])
	case g.chance(3):
		if other := g.pick(g.names); other != "lex" && g.family != "lex" {
			name = g.pick(families[other])
		}
	}
	if rareCommands[name] && g.chance(85) {
		name = g.pick(families[g.family])
	}
	args := strings.Split(name, "|")
	heads := len(args)
	g.numKeys, g.keys = 0, 0
	for _, a := range g.grammar[name].Elems {
		args = g.argument(args, name, a)
	}
	for i, a := range args {
		if g.family != "lex" && strings.EqualFold(a, "bylex") {
			args[i] = "byscore"
		}
	}
	if g.numKeys > 0 && g.chance(90) {
		if strings.HasSuffix(name, "store") {
			g.keys-- // the destination comes first
		}
		args[g.numKeys] = strconv.Itoa(g.keys)
	}
	// ZRANK takes one more argument since 7.2.
	// A score that is mutated in the lex family would make its ranges undefined.
	scored := g.family == "lex" && name == "zadd"
	if g.chance(8) && len(args) > heads && name != "zrank" && name != "zrevrank" && !scored &&
		!(g.steady && deadlineCommands[name]) {
		switch at := heads + g.rnd.IntN(len(args)-heads); g.rnd.IntN(4) {
		case 0:
			args = slices.Delete(args, at, at+1)
		case 1:
			args = slices.Insert(args, at, args[at])
		case 2:
			other := heads + g.rnd.IntN(len(args)-heads)
			// An offset that ends up in the place of another number may ask for half a gigabyte.
			if name != "setrange" && name != "setbit" && name != "bitfield" {
				args[at], args[other] = args[other], args[at]
			}
		default:
			args = append(args, g.pick(brokenWords))
		}
	}
	return args
}

func (g *generator) argument(args []string, command string, a harness.Value) []string {
	doc := pairsOf(a)
	flags := map[string]bool{}
	for _, f := range doc["flags"].Elems {
		flags[f.Str] = true
	}
	if flags["optional"] && g.chance(60) {
		return args
	}
	times := 1
	if flags["multiple"] {
		times += g.rnd.IntN(4)
		if g.chance(3) && doc["type"].Str != "key" && command != "bitfield" {
			if command == "zadd" || command == "geoadd" {
				times += g.rnd.IntN(60) // 7.2 chooses the encoding by the number of arguments, 7.0 by the result
			} else {
				times += g.rnd.IntN(700) // beyond what a listpack or an intset may hold
			}
		}
	}
	for i := range times {
		if token := doc["token"].Str; token != "" && (i == 0 || flags["multiple_token"]) {
			if g.chance(20) {
				token = strings.ToLower(token)
			}
			args = append(args, token)
		}
		inner := doc["arguments"].Elems
		switch doc["type"].Str {
		case "pure-token":
		case "oneof":
			if len(inner) > 0 {
				args = g.argument(args, command, inner[g.rnd.IntN(len(inner))])
			}
		case "block":
			for _, e := range inner {
				args = g.argument(args, command, e)
			}
		default:
			args = append(args, g.value(command, doc["type"].Str, doc["name"].Str, doc["token"].Str))
		}
	}
	return args
}

var (
	randomKeys  = []string{"a", "b", "c", "d", "e", "num", "", "bin\x00\r\n"}
	brokenWords = []string{"", "x", "NX", "XX", "GET", "KEEPTTL", "EX", "100", "-1", "REPLACE", "\x00", "PERSIST"}
	integers    = []string{"0", "1", "-1", "2", "5", "10", "-10", "100", "9999", "10000", "9223372036854775807", "-9223372036854775808",
		"9223372036854775806", "4611686018427387904", "9223372036854775808", "-9223372036854775809", "abc", "", "1.5", " 1", "+1", "01", "-0"}
	doubles = []string{"0", "1", "-1", "0.1", "-0.1", "1.5", "3.0", "1e5", "-2.5e3", "1e17", "0.000001", "12345.6789", "1e-10", "abc", "",
		"nan", "inf", "-inf", "1e400", " 1", "9223372036854775807", "100000000000000000"}
	randomValues = []string{"", "0", "1", "-1", "10", "42", "9223372036854775807", "-9223372036854775808", "12345678901234567890", "abc",
		"hello world", "3.14", "1e5", "bin\x00\xff\r\n", " 7", "01", "ohmytext", "mynewtext", strings.Repeat("x", 44), strings.Repeat("y", 45),
		strings.Repeat("abc", 40), strings.Repeat("z", 1500)}
)

// far returns a number between n and 2n.
func (g *generator) far(n int) string { return strconv.Itoa(n + g.rnd.IntN(n)) }

func (g *generator) value(command, kind, name, token string) string {
	now := time.Now()
	switch kind {
	case "key":
		g.keys++
		return g.pick(g.keyNames)
	case "double":
		switch {
		case g.family == "lex" && name == "score":
			return "0"
		case name == "longitude" && g.chance(90):
			return g.pick([]string{"13.361389", "15.087269", "12.758489", "17.24151", "-179.9", "179.9", "0", "-0.0001", "13.5"})
		case name == "latitude" && g.chance(90):
			return g.pick([]string{"38.115556", "37.502669", "38.788135", "38.788135", "-85", "85", "0", "0.0001", "37.9"})
		case g.family == "geo" && g.chance(90):
			return g.pick([]string{"100", "200", "500000", "1", "0", "0.5", "20000"})
		}
		return g.pick(doubles)
	case "unix-time":
		if g.steady && token != "" { // EXPIREAT deletes a key at once, SET leaves it to be found expired
			return strconv.FormatInt((now.Unix()+1_000_000)*1000, 10)
		}
		if name == "unix-time-milliseconds" || strings.HasPrefix(command, "pexpireat") || token == "PXAT" {
			return g.pick([]string{strconv.FormatInt(now.UnixMilli()+1_000_000+g.rnd.Int64N(1_000_000_000), 10), "99999999999999", "0", "1", "-1", "abc", "9223372036854775808"})
		}
		return g.pick([]string{strconv.FormatInt(now.Unix()+1000+g.rnd.Int64N(1_000_000), 10), "99999999999", "0", "1", "-1", "abc", "9223372036854775807"})
	case "integer":
		switch {
		case name == "seconds" || name == "milliseconds":
			// Nothing may expire by itself in the middle of a round, and no two deadlines may be so close that GT and LT
			// would depend on the millisecond in which a server read its clock.
			return g.pick([]string{g.far(1_000_000), g.far(100_000_000), g.far(10_000_000), "0", "-1", "abc", "9223372036854775808", "9223372036854775807", "-9223372036854775808"})
		case name == "numkeys":
			return strconv.Itoa(g.rnd.IntN(4))
		case name == "rank": // 7.0 takes the smallest integer, 7.2 refuses it
			return g.pick([]string{"0", "1", "2", "-1", "-2", "3", "-9223372036854775807", "9223372036854775807", "abc"})
		case command == "setbit" || command == "bitfield" && g.chance(90):
			return g.pick([]string{"0", "1", "2", "7", "8", "9", "63", "64", "1000", "5000", "-1", "4294967296", "#1", "#3", "abc"})
		case g.family != "strings" && g.chance(70):
			return g.pick([]string{"0", "1", "2", "3", "5", "-1", "-2", "-3"})
		case command == "setrange":
			return g.pick([]string{"0", "1", "2", "5", "10", "44", "100", "1000", "-1", "536870912", "9223372036854775807", "abc"})
		case strings.Contains(name, "db") || strings.HasPrefix(name, "index"):
			return g.pick([]string{"0", "0", "0", "1", "1", "2", "15", "16", "-1", "abc"})
		}
		return g.pick(integers)
	}
	switch {
	case name == "encoding":
		return g.pick([]string{"u1", "u8", "i8", "u16", "i16", "u63", "i64", "i5", "u64", "i65", "x8", ""})
	case (name == "min" || name == "max" || name == "start" || name == "stop") && strings.HasPrefix(command, "z"):
		return g.pick([]string{"-inf", "+inf", "inf", "0", "1", "(1", "-1", "5", "(5", "10", "(nan", "-", "+", "[", "(", "[m", "(m2", "[m5",
			"[zz", "abc", "(-inf"})
	case name == "pattern":
		return g.pick([]string{"*", "a*", "nosort", "*->f", "#", "num", "d_*"})
	case g.chance(30):
		g.serial++
		return "m" + strconv.Itoa(g.serial%1000)
	case g.family != "strings" && g.family != "bitmaps" && g.chance(70):
		return g.pick([]string{"m1", "m2", "m3", "m4", "m5", "1", "2", "3", "300", "-70000"})
	}
	return g.pick(randomValues)
}

// TestRandomCommands sends random commands for a while; -seed repeats a run, -gentime and -long lengthen it.
func TestRandomCommands(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = random.Seed(t)
	}
	length := *randomTime
	if length == 0 {
		if length = 10 * time.Second; *long {
			length = 5 * time.Minute
		}
		if testing.Short() {
			length = time.Second
		}
	}
	t.Logf("-seed %d", seed)
	p := newPair(t)
	g := newGenerator(t, p, seed)
	total, rounds, differences := 0, 0, 0
	for until := time.Now().Add(length); time.Now().Before(until); rounds++ {
		proto := 2 + rounds%2
		const inRound = 150
		g.family = g.names[rounds/2%len(g.names)]
		commands := make([][]string, inRound)
		for i := range commands {
			commands[i] = g.command()
		}
		at, problem, err := p.playRound(proto, commands)
		if err != nil {
			t.Fatalf("seed %d, round %d: %v", seed, rounds, err)
		}
		total += inRound
		if problem != "" && !p.again(proto, commands[:at]) {
			// A key that expired between the two servers' turns: time alone made the difference.
			t.Logf("round %d, RESP%d, not seen again: %s", rounds, proto, problem)
		} else if problem != "" {
			least, problem := p.shrink(proto, commands[:at], problem)
			var lines []string
			for _, c := range least {
				lines = append(lines, fmt.Sprintf("\t%q", c))
			}
			t.Errorf("seed %d, round %d, RESP%d:\n%s\n%s", seed, rounds, proto, strings.Join(lines, "\n"), problem)
			if differences++; differences == 10 {
				t.Fatal("enough differences")
			}
		}
	}
	t.Logf("%d random commands in %d rounds", total, rounds)
	if total == 0 {
		t.Error("no command was sent")
	}
}

// comparison returns how replies to a random command are compared.
func comparison(command string) *step {
	s := &step{replies: 1}
	if tolerance := approximateReplies[command]; tolerance != 0 {
		s.compare, s.approx = approximate, tolerance
	} else if mode, known := otherReplies[command]; known {
		s.compare = mode
	} else if command[0] == 'z' {
		s.compare = approximate // by 0: 7.2 writes the same scores in fewer digits
	}
	return s
}

// again reports whether a round that showed a difference shows one in any of some more runs.
func (p *pair) again(proto int, commands [][]string) bool {
	for range 5 {
		if _, d, err := p.playRound(proto, commands); err != nil || d != "" {
			return true
		}
	}
	return false
}

// playRound sends commands to both servers on empty databases and returns how many it took to a difference, with its
// description. The databases are compared at the end.
func (p *pair) playRound(proto int, commands [][]string) (sent int, problem string, err error) {
	if err := p.flush(); err != nil {
		return 0, "", err
	}
	l, err := p.connect(proto, true)
	if err != nil {
		return 0, "", err
	}
	defer l.close()
	began := time.Now()
	for i, args := range commands {
		s := comparison(args[0])
		var replies [2][]harness.Value
		for side, c := range l.conns {
			if replies[side], err = exchange(c, harness.AppendCommand(nil, args...), 1); err != nil {
				return i + 1, "", fmt.Errorf("%s: %q: %w", strings.TrimSpace(sideNames[side]), args, err)
			}
		}
		if newReply(args, replies[oracle][0].Str, replies[subject][0].Str) {
			continue
		}
		if d := differ(s, args, replies[oracle], replies[subject]); d != "" {
			return i + 1, d, nil
		}
	}
	found, err := p.compareState(time.Since(began) + 2*time.Second)
	return len(commands), strings.Join(found, "\n"), err
}

// shrink leaves out commands as long as the round still shows a difference.
func (p *pair) shrink(proto int, commands [][]string, problem string) ([][]string, string) {
	for size := max(len(commands)/2, 1); ; size = max(size/2, 1) {
		dropped := false
		for at := 0; at+size <= len(commands); {
			fewer := slices.Delete(slices.Clone(commands), at, at+size)
			sent, d, err := p.playRound(proto, fewer)
			if err == nil && d != "" {
				commands, problem, dropped = fewer[:sent], d, true
				continue
			}
			at += size
		}
		if size == 1 && !dropped {
			return commands, problem
		}
	}
}
