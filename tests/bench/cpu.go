package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// cpuResult is one test at one pipeline depth, index 0 ours, 1 the server it is compared with.
type cpuResult struct {
	Test       string        `json:"test"`
	Pipeline   int           `json:"pipeline"`
	Keys       int           `json:"keys"`
	Clients    int           `json:"clients"`
	AOF        string        `json:"appendfsync,omitempty"` // empty: no append-only file
	Requests   int           `json:"requests_a_round"`
	Rounds     [2][]cpuRound `json:"rounds"`
	MicrosCPU  [2]float64    `json:"cpu_us_a_request"` // medians
	Throughput [2]float64    `json:"requests_a_second"`
	Ratio      float64       `json:"cpu_ratio"` // ours divided by theirs
}

// cpuRound is one run of redis-benchmark. Latencies are what redis-benchmark says, in milliseconds.
type cpuRound struct {
	MicrosCPU  float64 `json:"cpu_us_a_request"`
	Throughput float64 `json:"requests_a_second"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
}

func (b *bench) cpuSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## CPU a request, keys, fields and members out of %d, %d connections, median of %d rounds\n\n", b.keyspace, b.clients, b.rounds)
	b.cpuHeader()
	var results []cpuResult
	for _, p := range b.pipelines {
		for _, name := range b.tests {
			r, err := b.measure(servers, name, p, b.keyspace)
			if err != nil {
				return err
			}
			results = append(results, r)
		}
	}
	b.geometricMeans(results)
	return nil
}

func (b *bench) bigSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## CPU a request, %d keys, pipeline 16, median of %d rounds\n\n", b.bigKeys, b.rounds)
	b.cpuHeader()
	for _, name := range []string{"set", "get"} {
		if _, err := b.measure(servers, name, 16, b.bigKeys); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) cpuHeader() {
	fmt.Printf("| test | -P | CPU µs %s | CPU µs %s | ratio | spread | req/s %[1]s | req/s %[2]s | p99 ms %[1]s | p99 ms %[2]s |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
}

// askedByEach is the least number of requests of a client in a round: with thousands of clients, what their connections cost
// would else be most of it.
const askedByEach = 30

// measure runs one test at one depth in interleaved rounds, on servers that hold all keys of the test.
func (b *bench) measure(servers [2]*harness.Server, name string, pipeline, keys int) (cpuResult, error) {
	t, err := b.benchTest(name)
	if err != nil {
		return cpuResult{}, err
	}
	r := cpuResult{Test: name, Pipeline: pipeline, Keys: keys, Clients: b.clients}
	// A short run warms up and gives the number of requests of a round. The cheaper server decides it, so that each
	// server's round has at least the wanted CPU time.
	cheapest := math.Inf(1)
	for _, s := range servers {
		if err := preload(s, t, keys); err != nil {
			return r, fmt.Errorf("preload %s: %w", s.Name, err)
		}
		requests := 30_000 * min(pipeline, 40)
		if t.warm > 0 {
			requests = min(requests, t.warm)
		}
		if err := t.prepare(s, requests); err != nil {
			return r, fmt.Errorf("prepare %s: %w", s.Name, err)
		}
		round, err := b.round(s, t, requests, pipeline, keys)
		if err != nil {
			return r, err
		}
		cheapest = min(cheapest, round.MicrosCPU)
	}
	r.Requests = max(int(float64(b.cpuTarget.Microseconds())/cheapest), 10_000, askedByEach*b.clients)
	if t.most > 0 {
		r.Requests = min(r.Requests, t.most)
	}
	for i := range b.rounds {
		for j := range 2 {
			who := (i + j) % 2
			if err := t.prepare(servers[who], r.Requests); err != nil {
				return r, fmt.Errorf("prepare %s: %w", servers[who].Name, err)
			}
			round, err := b.round(servers[who], t, r.Requests, pipeline, keys)
			if err != nil {
				return r, err
			}
			r.Rounds[who] = append(r.Rounds[who], round)
		}
	}
	var p99 [2]float64
	for who := range 2 {
		r.MicrosCPU[who] = medianOf(r.Rounds[who], func(c cpuRound) float64 { return c.MicrosCPU })
		r.Throughput[who] = medianOf(r.Rounds[who], func(c cpuRound) float64 { return c.Throughput })
		p99[who] = medianOf(r.Rounds[who], func(c cpuRound) float64 { return c.P99 })
	}
	r.Ratio = r.MicrosCPU[0] / r.MicrosCPU[1]
	b.report.CPU = append(b.report.CPU, r)
	// The spread is that of the ratios of neighbouring rounds: how far a single pair may mislead.
	low, high := math.Inf(1), 0.0
	for i := range b.rounds {
		ratio := r.Rounds[0][i].MicrosCPU / r.Rounds[1][i].MicrosCPU
		low, high = min(low, ratio), max(high, ratio)
	}
	fmt.Printf("| %s | %d | %.3f | %.3f | **%.2f** | %.2f-%.2f | %.0f | %.0f | %.2f | %.2f |\n", strings.ToUpper(name), pipeline,
		r.MicrosCPU[0], r.MicrosCPU[1], r.Ratio, low, high, r.Throughput[0], r.Throughput[1], p99[0], p99[1])
	return r, nil
}

// geometricMeans prints the means over redis-benchmark's own tests; those of ours besides are left out.
func (b *bench) geometricMeans(results []cpuResult) {
	fmt.Println()
	for _, p := range b.pipelines {
		sum, n := 0.0, 0
		for _, r := range results {
			if r.Pipeline == p && slices.Contains(defaultTests, r.Test) {
				sum += math.Log(r.Ratio)
				n++
			}
		}
		if n > 0 {
			fmt.Printf("- geometric mean of the ratios of %d tests at pipeline %d: **%.3f**\n", n, p, math.Exp(sum/float64(n)))
		}
	}
}

// round runs redis-benchmark, or the test's own load, once and reads the server's CPU time around it.
func (b *bench) round(s *harness.Server, t benchTest, requests, pipeline, keys int) (cpuRound, error) {
	before, err := s.CPU()
	if err != nil {
		return cpuRound{}, err
	}
	if t.load != nil {
		start := time.Now()
		if err := t.load(s, requests, pipeline, b.clients); err != nil {
			return cpuRound{}, err
		}
		took := time.Since(start)
		after, err := s.CPU()
		return cpuRound{MicrosCPU: micros(after-before) / float64(requests), Throughput: float64(requests) / took.Seconds()}, err
	}
	size := b.dataSize
	if t.size > 0 {
		size = t.size
	}
	args := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-n", strconv.Itoa(requests), "-P", strconv.Itoa(pipeline),
		"-c", strconv.Itoa(b.clients), "-r", strconv.Itoa(keys), "-d", strconv.Itoa(size), "--csv"}
	args = append(args, s.ToolArgs()...)
	if t.flag != "" {
		args = append(args, "-t", t.flag)
	}
	args = append(args, t.args...)
	out, err := exec.CommandContext(b.ctx, "redis-benchmark", append(args, t.command...)...).Output()
	if err != nil {
		return cpuRound{}, fmt.Errorf("redis-benchmark: %w: %s", err, exitText(err))
	}
	after, err := s.CPU()
	if err != nil {
		return cpuRound{}, err
	}
	round := cpuRound{MicrosCPU: float64((after - before).Nanoseconds()) / 1000 / float64(requests)}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) < 8 {
		return cpuRound{}, fmt.Errorf("redis-benchmark printed %q", out)
	}
	for i, p := range []*float64{1: &round.Throughput, 4: &round.P50, 6: &round.P99} {
		if p == nil {
			continue
		}
		if *p, err = strconv.ParseFloat(rows[1][i], 64); err != nil {
			return cpuRound{}, err
		}
	}
	return round, nil
}

func exitText(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}

// pipelined sends n commands in batches and reads their replies; an error reply is an error.
func pipelined(c *harness.Conn, n int, add func(dst []byte, i int) []byte) error {
	const batch = 1000
	var buf []byte
	for at := 0; at < n; {
		count := min(batch, n-at)
		buf = buf[:0]
		for i := range count {
			buf = add(buf, at+i)
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		text, err := c.Skip(count)
		if err != nil {
			return err
		}
		if text != "" {
			return errors.New(text)
		}
		at += count
	}
	return nil
}

func medianOf[T any](list []T, key func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, e := range list {
		values[i] = key(e)
	}
	slices.Sort(values)
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}
