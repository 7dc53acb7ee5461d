package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

const (
	// largeBytes is how many bytes of values a round of the large section moves at most.
	largeBytes = 1 << 30
	// hugeBytes is the length from which on one client alone sends and reads the values: redis-benchmark has a copy for each of its own.
	hugeBytes = 100_000_000

	largePart  = 100_000 // bytes of a part that is written or read
	largeParts = 10      // of them in a value
	largeItem  = 10_000  // bytes of an element or of one of many values
	largeItems = 100
	largeKeys  = 20 // that largeTests use

	pacedValue = 64_000_000 // bytes of the values beside a paced client
)

// largeSizes are the lengths of the values of the large section, with how many keys have one.
var largeSizes = []struct{ bytes, keys int }{{10_000, 1000}, {100_000, 100}, {1_000_000, 20}, {16_000_000, 4}, {512_000_000, 1}}

// largeTests are tests of parts of large values, and of collections and packets of large ones.
var largeTests = []string{"large_setrange", "large_append", "large_getrange", "large_lrange", "large_hgetall", "large_mget"}

var largePartNames = []string{"cpu", "paced"}

func (b *bench) largeSection() error {
	return runParts(b.largeParts, largePartNames, map[string]func() error{"cpu": b.largeCPU, "paced": b.largePaced})
}

func (b *bench) largeCPU() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## CPU a request with large values, pipeline 1, median of %d rounds\n\n", b.rounds)
	b.cpuHeader()
	for _, name := range largeTests {
		if _, err := b.measure(servers, name, 1, largeKeys); err != nil {
			return err
		}
	}
	for _, size := range largeSizes {
		for _, test := range []string{"set", "get"} {
			if _, err := b.measure(servers, test+"_"+strconv.Itoa(size.bytes), 1, size.keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// largeTest completes the description of set_N or get_N, with values of N bytes, or of one of largeTests.
func largeTest(name string, t *benchTest) bool {
	if slices.Contains(largeTests, name) {
		partTest(name, t)
		return true
	}
	flag, last, _ := strings.Cut(name, "_")
	n, err := strconv.Atoi(last)
	if err != nil || n < 1 || flag != "set" && flag != "get" {
		return false
	}
	t.flag, t.size = flag, n
	t.prefix, t.value = "key:", strings.Repeat("x", n)
	t.most = max(largeBytes/n, 10)
	t.warm = max(t.most/10, 10)
	if n >= hugeBytes {
		t.most, t.warm = 4, 2
		args := []string{strings.ToUpper(flag), t.prefix + strings.Repeat("0", 12)}
		if flag == "set" {
			args = append(args, t.value)
		}
		t.load = func(s *harness.Server, requests, _, _ int) error { return askRepeatedly(s, requests, args...) }
	}
	return true
}

func askRepeatedly(s *harness.Server, requests int, args ...string) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = time.Minute
	for range requests {
		if err := ask(args...)(c); err != nil {
			return err
		}
	}
	return nil
}

// partTest completes the description of one of largeTests. Before each round the keys are as they were.
func partTest(name string, t *benchTest) {
	part, item := strings.Repeat("p", largePart), strings.Repeat("i", largeItem)
	const key = "key:__rand_int__"
	moved := largePart
	fill := func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "SET", memKey(i), strings.Repeat(part, largeParts))
	}
	collection := func(command string, withField bool) func(dst []byte, i int) []byte {
		moved = largeItem * largeItems
		return func(dst []byte, i int) []byte {
			args := []string{command, memKey(i)}
			for n := range largeItems {
				if withField {
					args = append(args, "f"+strconv.Itoa(n))
				}
				args = append(args, item)
			}
			return harness.AppendCommand(dst, args...)
		}
	}
	keys := largeKeys
	switch name {
	case "large_setrange":
		t.command = []string{"SETRANGE", key, strconv.Itoa(largePart), part}
	case "large_append":
		t.command = []string{"APPEND", key, part}
	case "large_getrange":
		t.command = []string{"GETRANGE", key, strconv.Itoa(largePart), strconv.Itoa(2*largePart - 1)}
	case "large_lrange":
		fill, t.command = collection("RPUSH", false), []string{"LRANGE", key, "0", "-1"}
	case "large_hgetall":
		fill, t.command = collection("HSET", true), []string{"HGETALL", key}
	case "large_mget":
		keys, moved = largeItems, largeItem*largeItems
		fill = func(dst []byte, i int) []byte { return harness.AppendCommand(dst, "SET", memKey(i), item) }
		t.command = []string{"MGET"}
		for i := range largeItems {
			t.command = append(t.command, memKey(i))
		}
	}
	t.flag = ""
	t.most = largeBytes / moved
	t.warm = t.most / 10
	t.prepare = func(s *harness.Server, _ int) error {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := ask("FLUSHALL")(c); err != nil {
			return err
		}
		return pipelined(c, keys, fill)
	}
}

// largePaced measures how long a paced client waits beside one that sets and gets values of pacedValue bytes in a loop.
func (b *bench) largePaced() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Latency of PING in µs, %d requests a second for %d s, beside SET and GET of %d bytes in a loop\n\n", b.rate, b.seconds, pacedValue)
	fmt.Println("| server | p50 | p99 | p99.9 | max | values written and read |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: |")
	set := harness.AppendCommand(nil, "SET", "large", strings.Repeat("v", pacedValue))
	get := harness.AppendCommand(nil, "GET", "large")
	replies := make([]byte, 1<<20)
	// The client of the large values shares this process with the paced one: enough processors that none waits for another's
	// system call, and no buffer of its own to collect.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	r := latencyResult{Load: "large values", Rate: b.rate}
	var latency [2][]time.Duration
	var moved [2]int
	for round := range latencyRounds {
		for j := range 2 {
			who := (round + j) % 2
			s := servers[who]
			nc, err := net.Dial("tcp", s.Addr)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(b.ctx)
			ended := make(chan error, 1)
			go func() {
				for ctx.Err() == nil {
					_ = nc.SetDeadline(time.Now().Add(time.Minute))
					if err := errors.Join(exchange(nc, set, len("+OK\r\n"), replies), exchange(nc, get, bulkLen(pacedValue), replies)); err != nil {
						ended <- err
						return
					}
					moved[who]++
				}
				ended <- nil
			}()
			lat, _, err := paced(s.Addr, [][]byte{harness.AppendCommand(nil, "PING")}, len("+PONG\r\n"), b.rate, b.rate*b.seconds/latencyRounds,
				time.Now().Add(pacedLead))
			cancel()
			if err := errors.Join(err, <-ended, nc.Close()); err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			latency[who] = append(latency[who], lat...)
		}
	}
	for who := range 2 {
		r.Samples[who] = len(latency[who])
		r.Micros[who] = percentilesOf(latency[who])
		p := r.Micros[who]
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f | %d |\n", b.report.Names[who], p.P50, p.P99, p.P999, p.Max, moved[who])
	}
	b.report.Latency = append(b.report.Latency, r)
	return nil
}

// exchange writes a request and reads a reply of n bytes, through buf.
func exchange(nc net.Conn, request []byte, n int, buf []byte) error {
	if _, err := nc.Write(request); err != nil {
		return err
	}
	for got := 0; got < n; {
		k, err := nc.Read(buf)
		if err != nil {
			return err
		}
		if got == 0 && buf[0] == '-' {
			return fmt.Errorf("error reply %q", buf[:k])
		}
		got += k
	}
	return nil
}

// bulkLen returns the bytes that a bulk string of n bytes takes in a reply.
func bulkLen(n int) int { return len("$\r\n\r\n") + len(strconv.Itoa(n)) + n }
