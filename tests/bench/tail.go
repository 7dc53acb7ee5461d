package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"ferrous/tests/harness"
)

// tailResult is how long a paced client waited, in microseconds, beside clients at full speed over many keys. Index 0 is ours, 1 the
// server it is compared with.
type tailResult struct {
	Keys      int            `json:"keys"`
	Seconds   int            `json:"seconds"`
	Micros    [2]percentiles `json:"latency_us"`
	Collector string         `json:"collector"` // ours: collections, their share of the process's time, the longest pause
}

// tailSlice is how long one server is measured before the other has its turn.
const tailSlice = 20 // seconds

// tailSection measures the tail: one client that asks b.rate times a second for b.tailSeconds, while b.clients others write and read
// tailKeys keys as fast as they can.
func (b *bench) tailSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	t, err := b.benchTest("get")
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := preload(s, t, b.tailKeys); err != nil {
			return err
		}
	}
	before, err := servers[0].Info("memory")
	if err != nil {
		return err
	}
	var latency [2][]time.Duration
	for done := 0; done < b.tailSeconds; done += tailSlice {
		for j := range 2 {
			who := (done/tailSlice + j) % 2
			list, err := b.tailRound(servers[who], min(tailSlice, b.tailSeconds-done))
			if err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			latency[who] = append(latency[who], list...)
		}
	}
	after, err := servers[0].Info("memory")
	if err != nil {
		return err
	}
	r := tailResult{Keys: b.tailKeys, Seconds: b.tailSeconds}
	fmt.Printf("\n## Latency in µs of a client that asks %d times a second for %d s, %d others at full speed, %d keys\n\n", b.rate, b.tailSeconds,
		b.clients, b.tailKeys)
	fmt.Println("| server | p50 | p90 | p99 | p99.9 | max |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: |")
	for who := range 2 {
		r.Micros[who] = percentilesOf(latency[who])
		p := r.Micros[who]
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", b.report.Names[who], p.P50, p.P90, p.P99, p.P999, p.Max)
	}
	if cycles, err := strconv.Atoi(after["go_gc_cycles"]); err == nil {
		start, _ := strconv.Atoi(before["go_gc_cycles"])
		r.Collector = fmt.Sprintf("%d collections meanwhile, %s of all processors' time since the start, longest pause %s µs",
			cycles-start, after["go_gc_cpu"], after["go_gc_pause_max_usec"])
		fmt.Printf("\n- the collector of %s: %s\n", b.report.Names[0], r.Collector)
	}
	b.report.Tail = append(b.report.Tail, r)
	return nil
}

// tailRound is one slice of the paced client, half of the others set and half get.
func (b *bench) tailRound(s *harness.Server, seconds int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ended := make(chan error, 2)
	for _, test := range []string{"set", "get"} {
		cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-t", test, "-n", "1000000", "-l",
			"-c", strconv.Itoa(b.clients/2), "-r", strconv.Itoa(b.tailKeys), "-d", strconv.Itoa(b.dataSize), "-q")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		go func() {
			err := cmd.Wait()
			if ctx.Err() != nil {
				err = nil // ended by us
			} else {
				err = fmt.Errorf("redis-benchmark ended by itself: %w", err)
			}
			ended <- err
		}()
	}
	time.Sleep(300 * time.Millisecond)
	request := harness.AppendCommand(nil, "PING")
	latency, _, err := paced(s.Addr, [][]byte{request}, len("+PONG\r\n"), b.rate, b.rate*seconds, time.Now().Add(pacedLead))
	cancel()
	return latency, errors.Join(err, <-ended, <-ended)
}
