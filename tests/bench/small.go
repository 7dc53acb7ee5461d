package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ferrous/tests/harness"
)

// smallKind is a kind of small collection. Elements are about as long as a short field, a counter or a name.
type smallKind struct {
	name    string
	command string
	element func(args []string, key, i int) []string // appends element i of a key
}

var smallKinds = []smallKind{
	{"hash", "HSET", func(args []string, key, i int) []string {
		return append(args, "f"+strconv.Itoa(i), "v"+strconv.Itoa((key*10+i)%1000))
	}},
	{"set", "SADD", func(args []string, key, i int) []string { return append(args, "m"+strconv.Itoa((key*7+i)%1000)) }},
	{"zset", "ZADD", func(args []string, key, i int) []string {
		return append(args, strconv.Itoa((key*3+i*7)%1000), "m"+strconv.Itoa((key*7+i)%1000))
	}},
	{"list", "RPUSH", func(args []string, key, i int) []string { return append(args, "e"+strconv.Itoa((key*7+i)%1000)) }},
}

// smallAtOnce is how many elements a command adds when small collections are filled. Each key gets them before any gets more.
const smallAtOnce = 5

// smallMemoryTarget is the ratio of resident bytes that is wanted.
const smallMemoryTarget = 0.85

// smallLoad returns what fills collections of so many elements, and the number of its commands.
func smallLoad(kind smallKind, keys, elements int) (commands int, add func(dst []byte, i int) []byte) {
	return keys * ((elements + smallAtOnce - 1) / smallAtOnce), func(dst []byte, i int) []byte {
		key, from := i%keys, i/keys*smallAtOnce
		args := []string{kind.command, memKey(key)}
		for e := from; e < min(from+smallAtOnce, elements); e++ {
			args = kind.element(args, key, e)
		}
		return harness.AppendCommand(dst, args...)
	}
}

// smallSection measures small collections: what a key takes, and CPU a request.
func (b *bench) smallSection() error {
	fmt.Printf("\n## Small collections: resident bytes a key (%d keys of 16 bytes)\n\n", b.smallKeys)
	fmt.Printf("| type | elements | %s | %s | ratio | target | used_memory %[1]s | used_memory %[2]s | peak %[1]s | peak %[2]s |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, kind := range smallKinds {
		if !slices.Contains(b.smallTypes, kind.name) {
			continue
		}
		for _, elements := range []int{5, 10, 50} {
			commands, add := smallLoad(kind, b.smallKeys, elements)
			r := memResult{Shape: kind.name + " of " + strconv.Itoa(elements), Keys: b.smallKeys}
			for who, sub := range b.subjects {
				if err := b.loadCommands(sub, add, commands, who, &r); err != nil {
					return fmt.Errorf("%s: %w", sub.name, err)
				}
			}
			r.Ratio = r.Resident[0] / r.Resident[1]
			b.report.Small = append(b.report.Small, r)
			fmt.Printf("| %s | %d | %.1f | %.1f | **%.2f** | %.2f | %.1f | %.1f | %.1f | %.1f |\n", kind.name, elements,
				r.Resident[0], r.Resident[1], r.Ratio, smallMemoryTarget, r.Used[0], r.Used[1], r.Peak[0], r.Peak[1])
		}
	}

	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Small collections: CPU a request, %d keys of 10 elements, median of %d rounds\n\n", b.keyspace, b.rounds)
	b.cpuHeader()
	for _, p := range b.pipelines {
		for _, name := range smallTests {
			kind, _, _ := strings.Cut(strings.TrimPrefix(name, smallPrefix), "_")
			if !slices.Contains(b.smallTypes, kind) {
				continue
			}
			if _, err := b.measure(servers, name, p, b.keyspace); err != nil {
				return err
			}
		}
	}
	return nil
}

const smallPrefix = "small_"

// smallTests are tests of small collections: small_, the type, and the command.
var smallTests = []string{"small_hash_hset", "small_hash_hget", "small_set_sadd", "small_zset_zadd", "small_list_lpush", "small_list_lpop"}

// smallTest completes the description of one of smallTests. Before each round all keys have ten elements; a round is so short
// that they stay small.
func (b *bench) smallTest(name string, t *benchTest) bool {
	if !slices.Contains(smallTests, name) {
		return false
	}
	kindName, command, _ := strings.Cut(strings.TrimPrefix(name, smallPrefix), "_")
	const key, drawn = "key:__rand_int__", "__rand_int__"
	t.flag = ""
	t.command = map[string][]string{
		"hset":  {"HSET", key, "f5", "v" + drawn},
		"hget":  {"HGET", key, "f5"},
		"sadd":  {"SADD", key, "m" + drawn},
		"zadd":  {"ZADD", key, drawn, "m"},
		"lpush": {"LPUSH", key, "e" + drawn},
		"lpop":  {"LPOP", key},
	}[command]
	t.most = b.keyspace * smallAtOnce
	t.warm = t.most / 10
	i := slices.IndexFunc(smallKinds, func(k smallKind) bool { return k.name == kindName })
	commands, add := smallLoad(smallKinds[i], b.keyspace, 10)
	t.prepare = func(s *harness.Server, _ int) error {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Do("FLUSHALL"); err != nil {
			return err
		}
		return pipelined(c, commands, add)
	}
	return true
}
