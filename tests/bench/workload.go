package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// defaultTests are the tests that redis-benchmark runs without -t, but for XADD.
var defaultTests = []string{"ping_inline", "ping_mbulk", "set", "get", "incr", "lpush", "rpush", "lpop", "rpop", "sadd",
	"hset", "spop", "zadd", "zpopmin", "lrange_100", "lrange_300", "lrange_500", "lrange_600", "mset"}

// extraTests are pops of keys that do not exist, which redis-benchmark's pops come to when they have emptied the key.
var extraTests = []string{"lpop_empty", "spop_empty", "zpopmin_empty"}

// benchTest says how redis-benchmark calls a test, and what the server must hold.
type benchTest struct {
	flag    string   // for -t, or
	command []string // a command of its own
	args    []string // further arguments of redis-benchmark, before the command

	size          int    // of values in bytes; 0: dataSize of bench
	prefix, value string // keys that are there, prefix before 12 digits, with their value

	// load makes the requests instead of redis-benchmark.
	load func(s *harness.Server, requests, pipeline, clients int) error

	// prepare is run before each round of requests.
	prepare func(s *harness.Server, requests int) error
	warm    int // most requests of the run that warms up, 0: no bound
	most    int // most requests of a round, 0: no bound
}

const (
	listKey = "mylist" // the keys that redis-benchmark uses
	setKey  = "myset"
	hashKey = "myhash"
	zsetKey = "myzset"

	perCommand = 100 // elements that are pushed by one command when a collection is filled
	// mostPops bounds the elements that have to be made for a round of pops.
	mostPops   = 1_000_000
	rangeItems = 100_000 // of the list that LRANGE reads
)

func (b *bench) benchTest(name string) (benchTest, error) {
	value := strings.Repeat("x", b.dataSize)
	t := benchTest{flag: name, prepare: func(*harness.Server, int) error { return nil }}
	// Pushes and additions begin with nothing, as they do in a run of redis-benchmark over an empty server.
	from := func(key string) {
		t.prepare = func(s *harness.Server, _ int) error { return refill(s, key, 0, nil) }
	}
	// Pops find one element for each request.
	filled := func(command, key string, element func(args []string, i int) []string) {
		t.prepare = func(s *harness.Server, requests int) error {
			return refill(s, key, requests, func(dst []byte, from, to int) []byte {
				args := []string{command, key}
				for i := from; i < to; i++ {
					args = element(args, i)
				}
				return harness.AppendCommand(dst, args...)
			})
		}
		t.most, t.warm = mostPops, mostPops/10
	}
	item := func(args []string, _ int) []string { return append(args, value) }
	member := func(i int) string { return fmt.Sprintf("element:%012d", i) }
	switch name {
	case "ping_inline", "ping_mbulk":
	case "set", "get", "mset":
		t.prefix, t.value = "key:", value
	case shortLived:
		t.flag, t.args = "get", []string{"-k", "0"}
		t.prefix, t.value = "key:", value
		t.most, t.warm = 50_000, 5000
	case "incr":
		t.prefix, t.value = "counter:", "0"
	case "lpush", "rpush":
		from(listKey)
	case "lpop", "rpop":
		filled("RPUSH", listKey, item)
	case "sadd":
		from(setKey)
	case "spop":
		filled("SADD", setKey, func(args []string, i int) []string { return append(args, member(i)) })
	case "hset":
		from(hashKey)
	case "zadd":
		from(zsetKey)
	case "zpopmin":
		filled("ZADD", zsetKey, func(args []string, i int) []string {
			return append(args, strconv.Itoa(i*7919%1_000_003), member(i))
		})
	case "lpop_empty", "spop_empty", "zpopmin_empty":
		t.flag = strings.TrimSuffix(name, "_empty")
	case "xadd", "xadd_maxlen", "xread_10", "xreadgroup_xack":
		streamTest(name, &t)
	default:
		if b.scriptTest(name, &t) || b.smallTest(name, &t) || largeTest(name, &t) {
			return t, nil
		}
		last, ok := strings.CutPrefix(name, "lrange_")
		n, err := strconv.Atoi(last)
		if !ok || err != nil || n < 1 || n > rangeItems {
			return t, fmt.Errorf("unknown test %q: there are %s", name, strings.Join(slices.Concat(defaultTests, extraTests), ", "))
		}
		// With -t redis-benchmark would push to the list before, and that would be counted.
		t.flag, t.command = "", []string{"LRANGE", listKey, "0", strconv.Itoa(n - 1)}
		filled("LPUSH", listKey, item)
		fill := t.prepare
		once := map[*harness.Server]bool{}
		t.prepare = func(s *harness.Server, _ int) error {
			if once[s] {
				return nil
			}
			once[s] = true
			return fill(s, rangeItems)
		}
		t.most, t.warm = 0, 5000
	}
	return t, nil
}

// refill deletes a key and gives it n elements, perCommand with each command that add appends.
func refill(s *harness.Server, key string, n int, add func(dst []byte, from, to int) []byte) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = 2 * time.Minute
	if _, err := c.Do("DEL", key); err != nil {
		return err
	}
	return pipelined(c, (n+perCommand-1)/perCommand, func(dst []byte, i int) []byte {
		return add(dst, i*perCommand, min((i+1)*perCommand, n))
	})
}

// preload empties the server and writes every key of the test.
func preload(s *harness.Server, t benchTest, keys int) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = 2 * time.Minute
	if _, err := c.Do("FLUSHALL"); err != nil || t.prefix == "" {
		return err
	}
	err = pipelined(c, keys, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "SET", t.prefix+fmt.Sprintf("%012d", i), t.value)
	})
	if err != nil {
		return err
	}
	v, err := c.Do("DBSIZE")
	if err == nil && v.Int() != int64(keys) {
		err = fmt.Errorf("DBSIZE is %s after loading %d keys", v, keys)
	}
	return err
}
