package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// tlsResult is one test over TLS, index 0 ours, 1 the server it is compared with.
type tlsResult struct {
	Test       string        `json:"test"`
	Pipeline   int           `json:"pipeline"`
	Requests   int           `json:"requests_a_round"`
	Rounds     [2][]tlsRound `json:"rounds"`
	Throughput [2]float64    `json:"requests_a_second"` // medians
	Loop       [2]float64    `json:"loop_cpu_us_a_request"`
	Process    [2]float64    `json:"cpu_us_a_request"`
}

// tlsRound is one run of redis-benchmark. Loop is the CPU time of the thread that runs commands, from INFO.
type tlsRound struct {
	Throughput float64 `json:"requests_a_second"`
	Loop       float64 `json:"loop_cpu_us_a_request"`
	Process    float64 `json:"cpu_us_a_request"`
}

// tlsConns is how many idle connections the section opens.
const tlsConns = 5000

// tlsPartNames are the parts of the section.
var tlsPartNames = []string{"cpu", "conns"}

func (b *bench) tlsSection() error {
	dir, err := os.MkdirTemp("", "ferrous-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b.authority = harness.NewAuthorityIn(dir, func(v ...any) { panic(fmt.Sprint(v...)) })
	defer func() { b.authority = nil }()
	return runParts(b.tlsParts, tlsPartNames, map[string]func() error{"cpu": b.tlsCPU, "conns": b.tlsConns})
}

func (b *bench) tlsCPU() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## TLS: %d connections, median of %d rounds (to reach: requests a second 1.0, CPU of the loop 0.6, of the process 1.1)\n\n",
		b.clients, b.rounds)
	fmt.Printf("| test | -P | req/s %s | req/s %s | ratio | loop CPU µs %[1]s | loop CPU µs %[2]s | ratio | CPU µs %[1]s | CPU µs %[2]s | ratio |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, pipeline := range []int{1, 16} {
		for _, name := range []string{"set", "get"} {
			r := tlsResult{Test: name, Pipeline: pipeline}
			if err := b.tlsRounds(servers, &r); err != nil {
				return fmt.Errorf("%s at pipeline %d: %w", name, pipeline, err)
			}
			b.report.TLS = append(b.report.TLS, r)
			fmt.Printf("| %s | %d |", strings.ToUpper(name), pipeline)
			fmt.Printf(" %.0f | %.0f | **%.2f** |", r.Throughput[0], r.Throughput[1], r.Throughput[0]/r.Throughput[1])
			for _, cpu := range [][2]float64{r.Loop, r.Process} {
				fmt.Printf(" %.3f | %.3f | **%.2f** |", cpu[0], cpu[1], cpu[0]/cpu[1])
			}
			fmt.Println()
		}
	}
	return nil
}

func (b *bench) tlsRounds(servers [2]*harness.Server, r *tlsResult) error {
	t, err := b.benchTest(r.Test)
	if err != nil {
		return err
	}
	cheapest := 0.0
	for _, s := range servers {
		if err := preload(s, t, b.keyspace); err != nil {
			return err
		}
		round, err := b.tlsRound(s, t, 20_000*r.Pipeline, r.Pipeline)
		if err != nil {
			return err
		}
		if cheapest == 0 || round.Process < cheapest {
			cheapest = round.Process
		}
	}
	r.Requests = max(int(float64(b.cpuTarget.Microseconds())/cheapest), 10_000)
	for i := range b.rounds {
		for j := range 2 {
			who := (i + j) % 2
			round, err := b.tlsRound(servers[who], t, r.Requests, r.Pipeline)
			if err != nil {
				return err
			}
			r.Rounds[who] = append(r.Rounds[who], round)
		}
	}
	for who := range 2 {
		r.Throughput[who] = medianOf(r.Rounds[who], func(c tlsRound) float64 { return c.Throughput })
		r.Loop[who] = medianOf(r.Rounds[who], func(c tlsRound) float64 { return c.Loop })
		r.Process[who] = medianOf(r.Rounds[who], func(c tlsRound) float64 { return c.Process })
	}
	return nil
}

func (b *bench) tlsRound(s *harness.Server, t benchTest, requests, pipeline int) (tlsRound, error) {
	before, err := loopCPU(s)
	if err != nil {
		return tlsRound{}, err
	}
	c, err := b.round(s, t, requests, pipeline, b.keyspace)
	if err != nil {
		return tlsRound{}, err
	}
	after, err := loopCPU(s)
	return tlsRound{Throughput: c.Throughput, Loop: micros(after-before) / float64(requests), Process: c.MicrosCPU}, err
}

// loopCPU asks for the CPU time of the thread that runs commands.
func loopCPU(s *harness.Server) (time.Duration, error) {
	info, err := s.Info("cpu")
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, kind := range []string{"sys", "user"} {
		seconds, err := strconv.ParseFloat(info["used_cpu_"+kind+"_main_thread"], 64)
		if err != nil {
			return 0, err
		}
		sum += seconds
	}
	return time.Duration(sum * float64(time.Second)), nil
}

func (b *bench) tlsConns() error {
	title := "Resident bytes an idle connection with TLS"
	conns := b.conns
	b.conns = min(conns, tlsConns)
	defer func() { b.conns = conns }()
	r, err := b.measureConns(title)
	b.report.TLSConns = append(b.report.TLSConns, r)
	return err
}
