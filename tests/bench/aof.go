package main

import (
	"fmt"
	"math"

	"ferrous/tests/harness"
)

// aofSection measures SET with the append-only file on: CPU a request with everysec, requests a second with always. The
// CPU of a server includes the threads that force the file to disk; files are not rewritten meanwhile.
func (b *bench) aofSection() error {
	for _, policy := range []struct {
		name      string
		pipelines []int
	}{{"everysec", b.pipelines}, {"always", []int{1, 16}}} {
		servers, end, err := b.both("--appendonly", "yes", "--appendfsync", policy.name, "--auto-aof-rewrite-percentage", "0")
		if err != nil {
			return err
		}
		err = b.aofRounds(servers, policy.name, policy.pipelines)
		end()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) aofRounds(servers [2]*harness.Server, policy string, pipelines []int) error {
	fmt.Printf("\n## SET with appendonly yes, appendfsync %s, %d connections, median of %d rounds\n\n", policy, b.clients, b.rounds)
	b.cpuHeader()
	notes := ""
	for _, p := range pipelines {
		r, err := b.measure(servers, "set", p, b.keyspace)
		if err != nil {
			return err
		}
		b.report.CPU[len(b.report.CPU)-1].AOF = policy
		if policy != "always" {
			continue
		}
		low, high := math.Inf(1), 0.0
		for i := range b.rounds {
			ratio := r.Rounds[0][i].Throughput / r.Rounds[1][i].Throughput
			low, high = min(low, ratio), max(high, ratio)
		}
		notes += fmt.Sprintf("\n- requests a second at pipeline %d, ratio of the medians: **%.2f** (rounds %.2f-%.2f)", p,
			r.Throughput[0]/r.Throughput[1], low, high)
	}
	if notes != "" {
		fmt.Println(notes)
	}
	return nil
}
