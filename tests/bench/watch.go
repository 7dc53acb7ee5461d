package main

import (
	"fmt"

	"ferrous/tests/harness"
)

// watchResult is one test at one depth: index 0 with what can be looked at switched on, 1 with it switched off.
type watchResult struct {
	Test     string     `json:"test"`
	Pipeline int        `json:"pipeline"`
	Micros   [2]float64 `json:"cpu_us_a_request"`
	Ratio    float64    `json:"cpu_ratio"`
}

// watchSection compares two servers of ours: slowlog, latency tracking and latency monitor on, and off. Command statistics
// cannot be switched off; they are two additions to a row that the command has in hand.
func (b *bench) watchSection() error {
	ours := b.subjects[0]
	on, err := b.start(ours, "--slowlog-log-slower-than", "10000", "--latency-tracking", "yes", "--latency-monitor-threshold", "100")
	if err != nil {
		return err
	}
	defer on.Kill()
	off, err := b.start(ours, "--slowlog-log-slower-than", "-1", "--latency-tracking", "no", "--latency-monitor-threshold", "0")
	if err != nil {
		return err
	}
	defer off.Kill()
	names := b.report.Names
	b.report.Names = [2]string{"on", "off"}
	defer func() { b.report.Names = names }()
	fmt.Printf("\n## CPU a request with slowlog, latency tracking and latency monitor on and off, median of %d rounds\n\n", b.rounds)
	b.cpuHeader()
	for _, p := range b.pipelines {
		for _, name := range []string{"set", "get"} {
			r, err := b.measure([2]*harness.Server{on, off}, name, p, b.keyspace)
			if err != nil {
				return err
			}
			b.report.CPU = b.report.CPU[:len(b.report.CPU)-1]
			b.report.Watch = append(b.report.Watch, watchResult{Test: name, Pipeline: p, Micros: r.MicrosCPU, Ratio: r.Ratio})
		}
	}
	return nil
}
