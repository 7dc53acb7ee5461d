package interop

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Random data: what random commands leave on a redis-server is carried to Ferrous as a file and key by key, changed there by
// more of them, and carried back. After each step the replies of both servers about the data are compared.

var (
	randomSeed  = flag.Uint64("seed", 0, "seed of the random data (0: from the clock)")
	randomSteps = flag.Int("rounds", 0, "rounds of random data (3; 60 in the long form)")
)

// limits are bounds between small and large values, some of them low so that both forms are met.
var limits = [][]string{
	nil,
	{"--hash-max-listpack-entries", "16", "--zset-max-listpack-entries", "16", "--set-max-intset-entries", "16", "--list-max-listpack-size", "5",
		"--list-compress-depth", "1"},
	{"--hash-max-listpack-value", "20", "--zset-max-listpack-value", "20", "--list-max-listpack-size", "-1", "--rdbcompression", "no"},
	{"--maxmemory-policy", "allkeys-lfu", "--rdbchecksum", "no"},
	{"--maxmemory-policy", "allkeys-lru", "--list-max-listpack-size", "1", "--hash-max-listpack-entries", "0"},
}

// A mess makes random commands.
type mess struct {
	*rand.Rand
	id int // of stream entries
}

func (m *mess) text() string {
	switch m.IntN(7) {
	case 0:
		return strconv.FormatInt(int64(m.Uint64())>>m.IntN(64), 10)
	case 1:
		b := make([]byte, m.IntN(40))
		for i := range b {
			b[i] = byte(m.Uint32())
		}
		return string(b)
	case 2:
		return strings.Repeat("xyz", m.IntN(100))
	case 3:
		return ""
	case 4:
		if m.IntN(20) == 0 {
			return strings.Repeat(fmt.Sprint("long", m.IntN(9)), 1+m.IntN(4000))
		}
	}
	return fmt.Sprint("e", m.IntN(200))
}

// score has few digits: Redis 7.0 writes others in digests than 7.2, which Ferrous follows.
func (m *mess) score() string {
	switch m.IntN(20) {
	case 0:
		return "inf"
	case 1:
		return "-inf"
	}
	return strconv.FormatFloat(float64(m.IntN(20000)-10000)/16, 'g', -1, 64)
}

func (m *mess) many(n int, arg func() []string) []string {
	var args []string
	for range 1 + m.IntN(n) {
		args = append(args, arg()...)
	}
	return args
}

func (m *mess) one() []string { return []string{m.text()} }
func (m *mess) two() []string { return []string{m.text(), m.text()} }

// streamID returns the ID of an entry that was added, perhaps.
func (m *mess) streamID() string { return fmt.Sprintf("%d-%d", 1000+m.IntN(m.id/3+1), m.IntN(3)) }

// command makes one.
func (m *mess) command() []string {
	n := 1 + m.IntN(4)
	if m.IntN(10) == 0 {
		n = 150
	}
	kind := m.IntN(7)
	key := fmt.Sprint([]string{"string", "list", "set", "hash", "zset", "any", "stream"}[kind], m.IntN(8))
	do := func(verb string, args ...string) []string { return append([]string{verb, key}, args...) }
	pick := func(choices ...func() []string) []string { return choices[m.IntN(len(choices))]() }
	switch kind {
	case 0:
		return pick(
			func() []string { return do("SET", m.text()) },
			func() []string { return do("APPEND", m.text()) },
			func() []string { return do("SETRANGE", fmt.Sprint(m.IntN(300)), m.text()) },
			func() []string { return do("INCRBY", fmt.Sprint(m.IntN(100000))) },
			func() []string { return do("SETBIT", fmt.Sprint(m.IntN(5000)), "1") },
			func() []string { return append([]string{"PFADD", "hll"}, m.many(n, m.one)...) },
		)
	case 1:
		return pick(
			func() []string { return do("RPUSH", m.many(n, m.one)...) },
			func() []string { return do("LPUSH", m.many(n, m.one)...) },
			func() []string { return do("RPUSH", m.many(n, m.one)...) },
			func() []string { return do("LINSERT", "BEFORE", m.text(), m.text()) },
			func() []string { return do("LSET", fmt.Sprint(m.IntN(20)), m.text()) },
			func() []string { return do("LREM", "0", m.text()) },
			func() []string { return do("LTRIM", fmt.Sprint(m.IntN(5)), "-3") },
		)
	case 2:
		if m.IntN(3) == 0 {
			key = "ints" + key
			return do("SADD", m.many(n, func() []string { return []string{fmt.Sprint(int64(m.Uint64()) >> (16 * m.IntN(4)))} })...)
		}
		return pick(
			func() []string { return do("SADD", m.many(n, m.one)...) },
			func() []string { return do("SREM", m.many(9, m.one)...) },
			func() []string { return []string{"SUNIONSTORE", key, key, fmt.Sprint("set", m.IntN(8))} },
		)
	case 3:
		return pick(
			func() []string { return do("HSET", m.many(n, m.two)...) },
			func() []string { return do("HSET", m.many(n, m.two)...) },
			func() []string { return do("HDEL", m.many(9, m.one)...) },
			func() []string { return do("HINCRBY", m.text(), "7") },
		)
	case 4:
		scored := func() []string { return []string{m.score(), m.text()} }
		return pick(
			func() []string { return do("ZADD", m.many(n, scored)...) },
			func() []string { return do("ZADD", m.many(n, scored)...) },
			func() []string { return do("ZREM", m.many(9, m.one)...) },
			func() []string { return do("ZREMRANGEBYRANK", "2", "3") },
			func() []string {
				return do("GEOADD", fmt.Sprint(m.IntN(300)-150), fmt.Sprint(m.IntN(160)-80), m.text())
			},
		)
	case 5:
		key = fmt.Sprint([]string{"string", "list", "set", "hash", "zset"}[m.IntN(5)], m.IntN(8))
		return pick(
			func() []string {
				return do("PEXPIREAT", strconv.FormatInt(time.Now().UnixMilli()+1e7+m.Int64N(1<<35), 10))
			},
			func() []string { return do("PERSIST") },
			func() []string { return do("RENAMENX", key+"'") },
			func() []string { return do("COPY", key+"''", "REPLACE") },
			func() []string { return []string{"DEL", key} },
			func() []string { return []string{"MOVE", key, []string{"0", "9"}[m.IntN(2)]} },
			func() []string { return []string{"SELECT", []string{"0", "9"}[m.IntN(2)]} },
		)
	}
	group, consumer := fmt.Sprint("g", m.IntN(3)), fmt.Sprint("c", m.IntN(3))
	add := func() []string {
		m.id++
		return do("XADD", append([]string{fmt.Sprintf("%d-%d", 1000+m.id/3, m.id%3)}, m.many(n, m.two)...)...)
	}
	return pick(add, add, add, add,
		func() []string { return do("XDEL", m.streamID(), m.streamID()) },
		func() []string { return do("XTRIM", "MAXLEN", "~", fmt.Sprint(m.IntN(200))) },
		func() []string { return do("XTRIM", "MINID", m.streamID()) },
		func() []string {
			return []string{"XGROUP", "CREATE", key, group, m.streamID(), "MKSTREAM", "ENTRIESREAD", fmt.Sprint(m.IntN(9))}
		},
		func() []string { return []string{"XGROUP", "CREATE", key, group, "$"} },
		func() []string {
			return []string{"XREADGROUP", "GROUP", group, consumer, "COUNT", fmt.Sprint(1 + m.IntN(20)), "STREAMS", key, ">"}
		},
		func() []string {
			return []string{"XREADGROUP", "GROUP", group, consumer, "COUNT", fmt.Sprint(1 + m.IntN(20)), "STREAMS", key, ">"}
		},
		func() []string { return []string{"XGROUP", "CREATECONSUMER", key, group, consumer} },
		func() []string { return []string{"XGROUP", "DELCONSUMER", key, group, consumer} },
		func() []string { return []string{"XGROUP", "SETID", key, group, m.streamID()} },
		func() []string { return do("XACK", group, m.streamID(), m.streamID(), m.streamID()) },
		func() []string { return do("XCLAIM", group, consumer, "0", m.streamID(), m.streamID()) },
		func() []string { return do("XAUTOCLAIM", group, consumer, "0", "0", "COUNT", "3") },
		func() []string { return do("XSETID", fmt.Sprintf("%d-%d", 1000+m.id/3, 2)) },
	)
}

// send sends n of them. Many are errors: of another type, without a key, without a group.
func (m *mess) send(t *testing.T, c *harness.Conn, n int) {
	t.Helper()
	for range n {
		args := m.command()
		if v, err := c.Do(args...); err != nil {
			t.Fatalf("%.200q: %v", args, err)
		} else if v.IsError() && strings.HasPrefix(v.Str, "ERR unknown") {
			t.Fatalf("%.200q: %s", args, v)
		}
	}
	c.Must("SELECT", "0")
}

// older turns the replies of Ferrous into those of Redis 7.0 for the same data: there, sets that are not all integers have no
// small encoding, and lists have one encoding only.
func older(m map[string]string) map[string]string {
	for k, v := range m {
		for _, typ := range []string{"set hashtable", "list quicklist"} {
			name, _, _ := strings.Cut(typ, " ")
			if rest, ok := strings.CutPrefix(v, name+" listpack"); ok {
				m[k] = typ + rest
			}
		}
	}
	return m
}

// carried saves what a server has and returns a new folder with the dump in it.
func carried(t *testing.T, s *harness.Server, c *harness.Conn) string {
	t.Helper()
	c.Must("SAVE")
	dir := t.TempDir()
	file, err := os.ReadFile(filepath.Join(s.Dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func startFerrous(t *testing.T, dir string, args ...string) (*harness.Server, *harness.Conn) {
	t.Helper()
	s := harness.StartWith(t, harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Args: append(args, "--enable-debug-command", "yes")})
	return s, s.Dial(t)
}

// TestLibraries carries function libraries through a server that does not run them: by a dump, DEBUG RELOAD, and a base
// file.
func TestLibraries(t *testing.T) {
	redis, rc := startRedis(t, "")
	for _, name := range []string{"a", "b"} {
		rc.Must("FUNCTION", "LOAD", "#!lua name="+name+"\nredis.register_function('f"+name+"', function() return 1 end)")
	}
	rc.Must("SET", "k", "v")
	libraries := func(c *harness.Conn) string {
		var all []string
		for _, l := range c.Must("FUNCTION", "LIST", "WITHCODE").Elems {
			all = append(all, fmt.Sprint(l))
		}
		slices.Sort(all) // the servers list them in any order
		return strings.Join(all, "\n")
	}
	want := libraries(rc)
	ours, c := startFerrous(t, carried(t, redis, rc))
	c.Must("DEBUG", "RELOAD")
	c.Must("DEBUG", "RELOAD", "MERGE", "NOFLUSH")
	dir := carried(t, ours, c)
	_, back := startRedis(t, dir)
	if got := libraries(back); got != want {
		t.Errorf("libraries came back as %s\nwant %s", got, want)
	}

	// A base file that Ferrous has made of the dump.
	c.Must("CONFIG", "SET", "appendonly", "yes")
	awaitRewrite(t, c)
	c.Must("DEBUG", "LOADAOF")
	_, back = startRedis(t, carried(t, ours, c))
	if got := libraries(back); got != want {
		t.Errorf("from a base file libraries came back as %s\nwant %s", got, want)
	}
}

// copyKeys carries all keys with DUMP and RESTORE.
func copyKeys(t *testing.T, from, to *harness.Conn) {
	t.Helper()
	for _, db := range []string{"0", "9"} {
		from.Must("SELECT", db)
		to.Must("SELECT", db)
		for _, key := range from.Must("KEYS", "*").Elems {
			expiry := from.Must("PEXPIRETIME", key.Str).Int()
			payload := from.Must("DUMP", key.Str).Str
			if v, err := to.Do("RESTORE", key.Str, strconv.FormatInt(max(expiry, 0), 10), payload, "ABSTTL"); err != nil || v.IsError() {
				t.Fatalf("%q (%s): %v, %v; %.200q", key.Str, from.Must("OBJECT", "ENCODING", key.Str), v, err, payload)
			}
		}
	}
	from.Must("SELECT", "0")
	to.Must("SELECT", "0")
}

func TestRandomData(t *testing.T) {
	seed, rounds := *randomSeed, *randomSteps
	if seed == 0 {
		seed = random.Seed(t)
	}
	if rounds == 0 {
		if rounds = 3; harness.Stress() {
			rounds = 60
		}
	}
	for i := range rounds {
		seed := seed + uint64(i)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Logf("go test ./tests/interop -run RandomData -rounds 1 -seed %d", seed)
			m := &mess{Rand: rand.New(rand.NewPCG(seed, 11))}
			randomRound(t, m, limits[seed%uint64(len(limits))])
		})
	}
}

func randomRound(t *testing.T, m *mess, args []string) {
	redis, rc := startRedis(t, "", args...)
	m.send(t, rc, 300+m.IntN(3000))
	rc.Must("DEBUG", "RELOAD") // so that what is made anew on loading is so already
	want := state(rc)
	if len(want) < 20 {
		t.Fatalf("only %d keys", len(want)-1)
	}

	// Redis to Ferrous: by file, and key by key.
	ours, c := startFerrous(t, carried(t, redis, rc), args...)
	same(t, older(state(c)), want)
	_, byKey := startFerrous(t, "", args...)
	copyKeys(t, rc, byKey)
	same(t, older(state(byKey)), want)

	// And back with nothing changed.
	_, back := startRedis(t, carried(t, ours, c), args...)
	same(t, state(back), want)
	_, back = startRedis(t, "", args...)
	copyKeys(t, c, back)
	same(t, state(back), want)
	if t.Failed() {
		return
	}

	// Changed by Ferrous, through its own files in each version, to Redis.
	m.send(t, c, 300+m.IntN(2000))
	digest := c.Must("DEBUG", "DIGEST").Str
	for _, version := range []string{"9", "11", "12", "0", "10"} {
		c.Must("CONFIG", "SET", "rdb-version", version)
		c.Must("DEBUG", "RELOAD")
		got := state(c)
		if got["digest"] != digest {
			t.Errorf("RDB version %s: digest %s, was %s", version, got["digest"], digest)
		}
		_, again := startFerrous(t, carried(t, ours, c), args...)
		same(t, state(again), got)
	}
	_, back = startRedis(t, carried(t, ours, c), args...)
	same(t, state(back), older(state(c)))
	_, back = startRedis(t, "", args...)
	copyKeys(t, c, back)
	same(t, state(back), older(state(c)))
}

// fieldDeadlines returns the deadlines of the fields of all hashes.
func fieldDeadlines(c *harness.Conn) map[string]string {
	m := make(map[string]string)
	for _, key := range c.Must("KEYS", "hash*").Elems {
		for _, field := range c.Must("HKEYS", key.Str).Elems {
			m[key.Str+"/"+field.Str] = fmt.Sprint(c.Must("HGET", key.Str, field.Str), c.Must("HPEXPIRETIME", key.Str, "FIELDS", "1", field.Str))
		}
	}
	return m
}

// Hashes with deadlines of fields, which no Redis before 7.4 has, through the files of Ferrous itself and key by key.
func TestFieldDeadlines(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = random.Seed(t)
	}
	t.Logf("go test ./tests/interop -run FieldDeadlines -seed %d", seed)
	m := &mess{Rand: rand.New(rand.NewPCG(seed, 12))}
	ours, c := startFerrous(t, "", limits[seed%2]...)
	for i := range 60 {
		key := fmt.Sprint("hash", i)
		c.Must(append([]string{"HSET", key}, m.many(1+i*4, m.two)...)...)
		for _, field := range c.Must("HKEYS", key).Elems {
			if m.IntN(i%3+1) > 0 {
				c.Must("HPEXPIREAT", key, strconv.FormatInt(time.Now().UnixMilli()+1e7+m.Int64N(1<<m.IntN(40)), 10), "FIELDS", "1", field.Str)
			}
		}
	}
	c.Must("HPEXPIREAT", "hash50", strconv.FormatInt(time.Now().UnixMilli()+1e9, 10), "FIELDS", "1", c.Must("HKEYS", "hash50").Elems[0].Str)
	want := fieldDeadlines(c)
	digest := c.Must("DEBUG", "DIGEST").Str
	check := func(c *harness.Conn) {
		t.Helper()
		same(t, fieldDeadlines(c), want)
		if got := c.Must("DEBUG", "DIGEST").Str; got != digest {
			t.Errorf("digest %s, want %s", got, digest)
		}
	}
	for _, version := range []string{"0", "12"} {
		c.Must("CONFIG", "SET", "rdb-version", version)
		_, again := startFerrous(t, carried(t, ours, c), limits[seed%2]...)
		check(again)
		c.Must("DEBUG", "RELOAD") // so that encodings are what they become on loading
		check(c)
		same(t, state(again), state(c))
		_, byKey := startFerrous(t, "")
		copyKeys(t, c, byKey)
		check(byKey)
	}
	// A version that does not have them is refused rather than written without them.
	c.Must("CONFIG", "SET", "rdb-version", "11")
	if v, err := c.Do("SAVE"); err != nil || !v.IsError() {
		t.Errorf("SAVE in version 11: %v, %v", v, err)
	}
	if v, err := c.Do("DUMP", "hash50"); err != nil || !v.IsError() || !strings.Contains(v.Str, "version 12 is needed") {
		t.Errorf("DUMP in version 11: %v, %v", v, err)
	}
}
