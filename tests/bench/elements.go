package main

import (
	"fmt"
	"strconv"

	"ferrous/tests/harness"
)

// elementShape is collections of one kind. Elements are added one by one, as clients do.
type elementShape struct {
	name, text string
	target     float64 // of the ratio of resident bytes
	elements   int     // of all collections together
	a          int     // elements of one collection
	add        func(dst []byte, key string, i int) []byte
}

const (
	largeElements = 1_000_000
	smallKeys     = 200_000
	smallElements = 10
)

// elementShapes lists large collections of 16-byte elements and many small ones, which stay in listpacks (or, for the
// integers, in an intset).
func elementShapes() []elementShape {
	large := func(name, text string, add func(dst []byte, key string, i int) []byte) elementShape {
		return elementShape{name, text, 0.7, largeElements, largeElements, add}
	}
	small := func(name, text string, add func(dst []byte, key string, i int) []byte) elementShape {
		return elementShape{name, text, 1.05, smallKeys * smallElements, smallElements, add}
	}
	m16 := func(i int) string { return fmt.Sprintf("element:%08d", i) }
	return []elementShape{
		large("hash", "one hash, 16-byte fields and values", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "HSET", key, m16(i), fmt.Sprintf("value:%010d", i))
		}),
		large("set", "one set", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "SADD", key, m16(i))
		}),
		large("zset", "one sorted set", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "ZADD", key, strconv.Itoa(i*7919%1_000_003), m16(i))
		}),
		large("list", "one list", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "RPUSH", key, m16(i))
		}),
		small("hashes", "hashes of 10 short fields and values", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "HSET", key, "f"+strconv.Itoa(i%smallElements), "v"+strconv.Itoa(i%1000))
		}),
		small("sets", "sets of 10 short members", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "SADD", key, "m"+strconv.Itoa(i%1000))
		}),
		small("intsets", "sets of 10 integers", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "SADD", key, strconv.Itoa(i%1000))
		}),
		small("zsets", "sorted sets of 10 short members", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "ZADD", key, strconv.Itoa(i*7%1000), "m"+strconv.Itoa(i%1000))
		}),
		small("lists", "lists of 10 short elements", func(dst []byte, key string, i int) []byte {
			return harness.AppendCommand(dst, "RPUSH", key, "e"+strconv.Itoa(i%1000))
		}),
	}
}

func elementShapeNames() []string {
	var names []string
	for _, s := range elementShapes() {
		names = append(names, s.name)
	}
	return names
}

func (b *bench) elemSection() error {
	fmt.Printf("\n## Resident bytes an element\n\n")
	fmt.Println("Large ones have 1 million elements of 16 bytes; small ones are 200,000 collections, their keys of 16 bytes counted with them.")
	fmt.Println()
	fmt.Printf("| shape | elements | %s | %s | ratio | target | used_memory %[1]s | used_memory %[2]s | peak %[1]s | peak %[2]s |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, name := range b.elemShapes {
		var chosen *elementShape
		for _, s := range elementShapes() {
			if s.name == name {
				chosen = &s
			}
		}
		if chosen == nil {
			return fmt.Errorf("unknown shape %q: there are %s", name, elementShapeNames())
		}
		load := shape{name, chosen.text, func(dst []byte, i int) []byte { return chosen.add(dst, memKey(i/chosen.a), i) }}
		r := memResult{Shape: name, Keys: chosen.elements}
		for who, sub := range b.subjects {
			if err := b.loadShape(sub, load, chosen.elements, who, &r); err != nil {
				return fmt.Errorf("%s: %w", sub.name, err)
			}
		}
		r.Ratio = r.Resident[0] / r.Resident[1]
		b.report.Elems = append(b.report.Elems, r)
		fmt.Printf("| %s | %d | %.1f | %.1f | **%.2f** | %.2f | %.1f | %.1f | %.1f | %.1f |\n", chosen.text, r.Keys,
			r.Resident[0], r.Resident[1], r.Ratio, chosen.target, r.Used[0], r.Used[1], r.Peak[0], r.Peak[1])
	}
	return nil
}
