package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ferrous/tests/harness"
)

// streamResult is one row of the streams section that is not CPU a request at a pipeline depth: bytes, or CPU a delivery to
// readers that wait. Index 0 is ours, 1 the server it is compared with.
type streamResult struct {
	What   string     `json:"what"`
	Count  int        `json:"count"`
	Values [2]float64 `json:"values"`
	Used   [2]float64 `json:"used_memory_bytes,omitzero"`
	Ratio  float64    `json:"ratio"`
}

const (
	streamKey     = "stream"
	streamGroup   = "group"
	streamBase    = 1_000_000_000_000 // milliseconds of the ID of the first entry that is loaded
	streamLoaded  = 100_000           // entries of the stream that XREAD reads, and length that MAXLEN keeps
	streamEntries = 10_000_000        // of the stream whose memory is measured
	streamPending = 1_000_000         // of that whose group's memory is
	pelConsumers  = 10
)

// streamTests are the tests of the section that measure CPU a request.
var streamTests = []string{"xadd", "xadd_maxlen", "xread_10", "xreadgroup_xack"}

// streamFields are the two fields of 8 bytes, with values of 8 bytes, that an entry has.
var streamFields = []string{"field-01", "value-01", "field-02", "value-02"}

// streamTest completes the description of one of streamTests.
func streamTest(name string, t *benchTest) {
	add := []string{"XADD", streamKey}
	t.flag = ""
	switch name {
	case "xadd":
		t.prepare = func(s *harness.Server, _ int) error { return refill(s, streamKey, 0, nil) }
		t.command = slices.Concat(add, []string{"*"}, streamFields)
		t.most = 2_000_000
	case "xadd_maxlen":
		t.prepare = fillOnce(streamLoaded)
		t.command = slices.Concat(add, []string{"MAXLEN", "~", strconv.Itoa(streamLoaded), "*"}, streamFields)
	case "xread_10":
		t.prepare = fillOnce(streamLoaded)
		// redis-benchmark puts twelve digits in the place of __rand_int__, with -r 100000 below 100,000.
		t.command = []string{"XREAD", "COUNT", "10", "STREAMS", streamKey, "1__rand_int__-0"}
		t.warm = 100_000
	case "xreadgroup_xack":
		t.load = readAndAck
		t.warm, t.most = 100_000, 1_000_000
		t.prepare = func(s *harness.Server, requests int) error {
			if err := fillStream(s, requests/2); err != nil {
				return err
			}
			c, err := s.Connect()
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			_, err = c.Do("XGROUP", "CREATE", streamKey, streamGroup, "0")
			return err
		}
	}
}

// fillOnce makes a stream anew on each server before its first round.
func fillOnce(n int) func(s *harness.Server, _ int) error {
	done := map[*harness.Server]bool{}
	return func(s *harness.Server, _ int) error {
		if done[s] {
			return nil
		}
		done[s] = true
		return fillStream(s, n)
	}
}

// fillStream makes the stream anew with n entries, one a millisecond.
func fillStream(s *harness.Server, n int) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	c.Timeout = 2 * time.Minute
	if _, err := c.Do("DEL", streamKey); err != nil {
		return err
	}
	return pipelined(c, n, appendEntry)
}

func appendEntry(dst []byte, i int) []byte {
	return appendEntryAs(dst, strconv.Itoa(streamBase+i)+"-0")
}

func appendEntryAs(dst []byte, id string) []byte {
	return harness.AppendCommand(dst, slices.Concat([]string{"XADD", streamKey, id}, streamFields)...)
}

// streamPartNames are the parts of the section.
var streamPartNames = []string{"cpu", "waiters", "memory"}

func (b *bench) streamSection() error {
	return runParts(b.streamParts, streamPartNames, map[string]func() error{"cpu": b.streamCPU, "waiters": b.streamWaiters,
		"memory": b.streamMemory})
}

func (b *bench) streamHeader(title string) {
	fmt.Printf("\n## Streams: %s\n\n", title)
	fmt.Printf("| what | %s | %s | ratio | used_memory %[1]s | used_memory %[2]s |\n| --- | ---: | ---: | ---: | ---: | ---: |\n",
		b.report.Names[0], b.report.Names[1])
}

// streamRow prints a row and enters it into the report.
func (b *bench) streamRow(r streamResult) {
	r.Ratio = r.Values[0] / r.Values[1]
	b.report.Streams = append(b.report.Streams, r)
	fmt.Printf("| %s | %.2f | %.2f | **%.2f** |", r.What, r.Values[0], r.Values[1], r.Ratio)
	if r.Used[1] != 0 {
		fmt.Printf(" %.1f | %.1f |", r.Used[0], r.Used[1])
	} else {
		fmt.Printf(" | |")
	}
	fmt.Println()
}

func (b *bench) streamCPU() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Streams: CPU a request, entries of two fields of 8 bytes, %d connections, median of %d rounds\n\n", b.clients, b.rounds)
	b.cpuHeader()
	for _, p := range b.pipelines {
		for _, name := range b.streamTests {
			if _, err := b.measure(servers, name, p, streamLoaded); err != nil {
				return fmt.Errorf("%s at pipeline %d: %w", name, p, err)
			}
		}
	}
	return nil
}

// readAndAck is the load of the test xreadgroup_xack: connections, each a consumer of the group, take requests/2 entries one
// by one and acknowledge them. Each sends as many XREADGROUPs together as the pipeline is deep, then as many XACKs.
func readAndAck(s *harness.Server, requests, pipeline, clients int) error {
	turns := max(1, requests/2/pipeline/clients)
	var group sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		group.Go(func() {
			defer func() { _ = c.Close() }()
			errs[i] = consume(c.Net(), "consumer:"+strconv.Itoa(i), turns, pipeline)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func consume(nc net.Conn, consumer string, turns, pipeline int) error {
	var reads []byte
	for range pipeline {
		reads = harness.AppendCommand(reads, "XREADGROUP", "GROUP", streamGroup, consumer, "COUNT", "1", "STREAMS", streamKey, ">")
	}
	in := bufio.NewReaderSize(nc, 64<<10)
	var acks []byte
	for range turns {
		if _, err := nc.Write(reads); err != nil {
			return err
		}
		acks = acks[:0]
		for range pipeline {
			id, err := readDelivery(in)
			if err != nil {
				return err
			}
			acks = harness.AppendCommand(acks, "XACK", streamKey, streamGroup, id)
		}
		if _, err := nc.Write(acks); err != nil {
			return err
		}
		for range pipeline {
			line, err := in.ReadSlice('\n')
			if err != nil || string(line) != ":1\r\n" {
				return errors.Join(err, fmt.Errorf("XACK was answered %q", line))
			}
		}
	}
	return nil
}

// deliveryHead is how the answer to an XREADGROUP of one entry begins, deliveryTail what follows on its ID.
var deliveryHead, deliveryTail = func() (head, tail []byte) {
	head = fmt.Appendf(nil, "*1\r\n*2\r\n$%d\r\n%s\r\n*1\r\n*2\r\n$", len(streamKey), streamKey)
	return head, harness.AppendCommand(nil, streamFields...)
}()

// readDelivery reads the answer to an XREADGROUP of one entry, and returns its ID.
func readDelivery(in *bufio.Reader) (id string, err error) {
	head := make([]byte, len(deliveryHead))
	if _, err := io.ReadFull(in, head); err != nil {
		return "", err
	}
	if !bytes.Equal(head, deliveryHead) {
		return "", fmt.Errorf("XREADGROUP was answered %q", head)
	}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil {
		return "", err
	}
	rest := make([]byte, n+2+len(deliveryTail))
	if _, err := io.ReadFull(in, rest); err != nil {
		return "", err
	}
	if !bytes.Equal(rest[n+2:], deliveryTail) {
		return "", fmt.Errorf("XREADGROUP delivered %q", rest)
	}
	return string(rest[:n]), nil
}

// streamWaiters has consumers wait in XREADGROUP, all on one stream, and adds entries one by one, so that each entry finds
// nearly all of them waiting. An entry costs the server the XADD, the reply that delivers it, and the XREADGROUP by which
// its consumer comes back.
func (b *bench) streamWaiters() error {
	b.streamHeader(fmt.Sprintf("consumers that wait, median of %d rounds", b.rounds))
	r := streamResult{What: fmt.Sprintf("CPU µs an entry delivered to one of %d consumers that wait", b.readers), Count: b.deliveries}
	var rounds [2][]float64
	for i := range b.rounds {
		for j := range 2 {
			who := (i + j) % 2
			micros, err := b.waitersRound(b.subjects[who])
			if err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			rounds[who] = append(rounds[who], micros)
		}
	}
	for who := range 2 {
		r.Values[who] = medianOf(rounds[who], func(f float64) float64 { return f })
	}
	b.streamRow(r)
	return nil
}

func (b *bench) waitersRound(sub subject) (micros float64, err error) {
	s, err := b.start(sub)
	if err != nil {
		return 0, err
	}
	defer s.Kill()
	ctl, err := s.Connect()
	if err != nil {
		return 0, err
	}
	defer func() { _ = ctl.Close() }()
	if _, err := ctl.Do("XGROUP", "CREATE", streamKey, streamGroup, "$", "MKSTREAM"); err != nil {
		return 0, err
	}
	var delivered atomic.Int64
	var group sync.WaitGroup
	signal := make(chan struct{}, 1)
	failed := make(chan error, b.readers)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
		group.Wait()
	}()
	for i := range b.readers {
		c, err := s.Connect()
		if err != nil {
			return 0, err
		}
		nc := c.Net()
		conns = append(conns, nc)
		request := harness.AppendCommand(nil, "XREADGROUP", "GROUP", streamGroup, "consumer:"+strconv.Itoa(i), "COUNT", "1", "BLOCK", "0",
			"NOACK", "STREAMS", streamKey, ">")
		group.Go(func() {
			in := bufio.NewReaderSize(nc, 512)
			for {
				if _, err := nc.Write(request); err != nil {
					return
				}
				if _, err := readDelivery(in); err != nil {
					if !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
						failed <- err
					}
					return
				}
				delivered.Add(1)
				select {
				case signal <- struct{}{}:
				default:
				}
			}
		})
	}
	if err := allBlocked(ctl, b.readers); err != nil {
		return 0, err
	}
	before, err := s.CPU()
	if err != nil {
		return 0, err
	}
	const ahead = 20 // entries that were added and not delivered
	var buf []byte
	for i := range b.deliveries {
		for int(delivered.Load()) < i-ahead {
			select {
			case <-signal:
			case err := <-failed:
				return 0, err
			case <-time.After(10 * time.Second):
				return 0, fmt.Errorf("no entry was delivered for ten seconds; %d had been", delivered.Load())
			}
		}
		buf = appendEntry(buf[:0], i)
		if _, err := ctl.Write(buf); err != nil {
			return 0, err
		}
		if text, err := ctl.Skip(1); err != nil || text != "" {
			return 0, errors.Join(err, errors.New(text))
		}
	}
	if err := allBlocked(ctl, b.readers); err != nil {
		return 0, err
	}
	after, err := s.CPU()
	if err != nil {
		return 0, err
	}
	if n := int(delivered.Load()); n != b.deliveries {
		return 0, fmt.Errorf("%d of %d entries were delivered", n, b.deliveries)
	}
	return float64((after - before).Nanoseconds()) / 1000 / float64(b.deliveries), nil
}

// streamMemory measures the resident bytes of a large stream an entry, and of what a group has pending an entry: when all is
// pending, and when half of that was acknowledged at random. Redis's trees take less for IDs that differ in their last
// bytes only, so there are groups of one entry a millisecond and of fifty.
func (b *bench) streamMemory() error {
	b.streamHeader(fmt.Sprintf("memory, of %d entries, or as many as are pending", streamEntries))
	rows := []streamResult{{What: "resident bytes an entry", Count: streamEntries}}
	if err := b.streamRows(rows, func(s *harness.Server, c *harness.Conn, who int) error { return b.entryBytes(s, c, who, rows) }); err != nil {
		return err
	}
	for _, perMs := range []int{1, 50} {
		of := fmt.Sprintf(" (%d), %d a millisecond", streamPending, perMs)
		rows := []streamResult{
			{What: "resident bytes a pending entry" + of, Count: streamPending},
			{What: "used_memory a pending entry, half acknowledged at random" + of, Count: streamPending / 2},
		}
		err := b.streamRows(rows, func(s *harness.Server, c *harness.Conn, who int) error { return b.pendingBytes(s, c, who, perMs, rows) })
		if err != nil {
			return err
		}
	}
	return nil
}

// streamRows measures with a fresh server of each kind, and prints the rows.
func (b *bench) streamRows(rows []streamResult, measure func(s *harness.Server, c *harness.Conn, who int) error) error {
	for who, sub := range b.subjects {
		err := func() error {
			s, err := b.start(sub)
			if err != nil {
				return err
			}
			defer s.Kill()
			c, err := s.Connect()
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			c.Timeout = 2 * time.Minute
			return measure(s, c, who)
		}()
		if err != nil {
			return fmt.Errorf("%s: %w", sub.name, err)
		}
	}
	for _, r := range rows {
		b.streamRow(r)
	}
	return nil
}

func (b *bench) entryBytes(s *harness.Server, c *harness.Conn, who int, rows []streamResult) error {
	rss, used, err := b.settled(s, c)
	if err != nil {
		return err
	}
	if err := pipelined(c, streamEntries, appendEntry); err != nil {
		return err
	}
	fullRSS, fullUsed, err := b.settled(s, c)
	rows[0].Values[who] = float64(fullRSS-rss) / streamEntries
	rows[0].Used[who] = float64(fullUsed-used) / streamEntries
	return err
}

func (b *bench) pendingBytes(s *harness.Server, c *harness.Conn, who, perMs int, rows []streamResult) error {
	id := func(i int) string { return strconv.Itoa(streamBase+i/perMs) + "-" + strconv.Itoa(i%perMs) }
	err := pipelined(c, streamPending, func(dst []byte, i int) []byte { return appendEntryAs(dst, id(i)) })
	if err != nil {
		return err
	}
	rss, used, err := b.settled(s, c)
	if err != nil {
		return err
	}
	if _, err := c.Do("XGROUP", "CREATE", streamKey, streamGroup, "0"); err != nil {
		return err
	}
	const count = 100
	err = pipelined(c, streamPending/count, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "XREADGROUP", "GROUP", streamGroup, "consumer:"+strconv.Itoa(i%pelConsumers), "COUNT", strconv.Itoa(count),
			"STREAMS", streamKey, ">")
	})
	if err != nil {
		return err
	}
	allRSS, allUsed, err := b.settled(s, c)
	if err != nil {
		return err
	}
	rows[0].Values[who] = float64(allRSS-rss) / streamPending
	rows[0].Used[who] = float64(allUsed-used) / streamPending
	order := rand.New(rand.NewPCG(1, 2)).Perm(streamPending)[:streamPending/2]
	err = pipelined(c, len(order), func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "XACK", streamKey, streamGroup, id(order[i]))
	})
	if err != nil {
		return err
	}
	_, halfUsed, err := b.settled(s, c)
	rows[1].Values[who] = float64(halfUsed-used) / (streamPending / 2)
	return err
}
