package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// snapshotResult is what BGSAVE and loading cost, index 0 ours, 1 the server it is compared with. The same bytes are
// written to both. Memory is the sum of the proportional sets (PSS) of the process and its children, so that pages which a
// forked child shares count once.
type snapshotResult struct {
	Shape   string         `json:"shape"`
	Count   int            `json:"count"`
	Base    [2]percentiles `json:"latency_us"`           // of a paced client that writes, nothing else going on
	Saving  [2]percentiles `json:"latency_us_bgsave"`    // of the same while BGSAVE runs
	Alone   [2]float64     `json:"bgsave_alone_seconds"` // nothing else going on
	Seconds [2]float64     `json:"bgsave_seconds"`       // beside the paced client
	Resting [2]float64     `json:"resting_mib"`          // under full write load, before BGSAVE
	Peak    [2]float64     `json:"peak_mib"`             // under full write load, during BGSAVE
	Loaded  [2]float64     `json:"bgsave_load_second"`   // under full write load
	Start   [2]float64     `json:"load_seconds"`         // from the start of the process until it serves
	Dump    [2]int64       `json:"dump_bytes"`
}

const (
	snapValue  = 32 // bytes of a value
	hashKeyBig = "hash"
)

// snapShape is one kind of data: add appends the command that makes element i, change one that changes it and is answered
// with reply, flood are redis-benchmark's arguments for changing elements as fast as it can.
type snapShape struct {
	name   string
	count  int
	add    func(dst []byte, i int) []byte
	change func(dst []byte, i int) []byte
	reply  string
	flood  []string
}

func (b *bench) snapShapes() []snapShape {
	value := func(i int) string { return fmt.Sprintf("%0*d", snapValue, uint64(i)*0x9e3779b97f4a7c15) }
	key := func(i int) string { return fmt.Sprintf("key:%012d", i) }
	return []snapShape{
		{
			name: "keys", count: b.snapKeys,
			add:    func(dst []byte, i int) []byte { return harness.AppendCommand(dst, "SET", key(i), value(i)) },
			change: func(dst []byte, i int) []byte { return harness.AppendCommand(dst, "SET", key(i), value(i+1)) },
			reply:  "+OK\r\n",
			flood:  []string{"SET", "key:__rand_int__", value(7)},
		},
		{
			name: "one hash", count: b.snapFields,
			add: func(dst []byte, i int) []byte {
				return harness.AppendCommand(dst, "HSET", hashKeyBig, key(i), value(i))
			},
			change: func(dst []byte, i int) []byte {
				return harness.AppendCommand(dst, "HSET", hashKeyBig, key(i), value(i+1))
			},
			reply: ":0\r\n",
			flood: []string{"HSET", hashKeyBig, "key:__rand_int__", value(7)},
		},
	}
}

func (b *bench) snapshotSection() error {
	if b.snapKeys < 1 || b.snapFields < 1 || b.snapRate < 1 {
		return errors.New("-snapkeys, -snapfields and -snaprate must be positive")
	}
	for _, shape := range b.snapShapes() {
		r := snapshotResult{Shape: shape.name, Count: shape.count}
		fmt.Printf("\n## BGSAVE and loading: %s, %d elements with values of %d bytes; a paced client writes %d times a second, %d rounds\n\n",
			shape.name, shape.count, snapValue, b.snapRate, b.rounds)
		if err := b.snapshotShape(&r, shape); err != nil {
			return fmt.Errorf("%s: %w", shape.name, err)
		}
		b.report.Snapshots = append(b.report.Snapshots, r)
		fmt.Printf("| | %s | %s | ratio |\n| --- | ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
		row := func(what, format string, v [2]float64) {
			fmt.Printf("| %s | "+format+" | "+format+" | **%.2f** |\n", what, v[0], v[1], v[0]/v[1])
		}
		of := func(p [2]percentiles, f func(percentiles) float64) [2]float64 { return [2]float64{f(p[0]), f(p[1])} }
		row("latency µs at rest, p99", "%.0f", of(r.Base, func(p percentiles) float64 { return p.P99 }))
		row("p99.9", "%.0f", of(r.Base, func(p percentiles) float64 { return p.P999 }))
		row("worst", "%.0f", of(r.Base, func(p percentiles) float64 { return p.Max }))
		row("latency µs during BGSAVE, p99", "%.0f", of(r.Saving, func(p percentiles) float64 { return p.P99 }))
		row("p99.9", "%.0f", of(r.Saving, func(p percentiles) float64 { return p.P999 }))
		row("worst", "%.0f", of(r.Saving, func(p percentiles) float64 { return p.Max }))
		row("BGSAVE alone, s", "%.2f", r.Alone)
		row("BGSAVE beside it, s", "%.2f", r.Seconds)
		row("memory under full write load, MiB", "%.0f", r.Resting)
		row("peak of it during BGSAVE, MiB", "%.0f", r.Peak)
		row("BGSAVE under full write load, s", "%.2f", r.Loaded)
		row("load time, s", "%.2f", r.Start)
		row("dump, MiB", "%.1f", [2]float64{float64(r.Dump[0]) / (1 << 20), float64(r.Dump[1]) / (1 << 20)})
		fmt.Printf("\n- peak over resting: %s **%.2f**, %s %.2f\n", b.report.Names[0], r.Peak[0]/r.Resting[0], b.report.Names[1],
			r.Peak[1]/r.Resting[1])
	}
	return nil
}

// photographed is one of the servers whose snapshots are measured.
type photographed struct {
	subject
	dir  string
	s    *harness.Server
	c    *harness.Conn
	took time.Duration // by its last BGSAVE
}

func (p *photographed) start(b *bench) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	s, err := harness.Start(harness.Options{Binary: p.binary, Args: p.args, Dir: p.dir})
	if err != nil {
		return err
	}
	p.s = s
	if p.c, err = s.Connect(); err == nil {
		p.c.Timeout = 2 * time.Minute
	}
	return err
}

func (b *bench) snapshotShape(r *snapshotResult, shape snapShape) error {
	var subjects [2]photographed
	for who := range subjects {
		p := &subjects[who]
		p.subject = b.subjects[who]
		dir, err := os.MkdirTemp("", "ferrous-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		p.dir = dir
		if err := p.start(b); err != nil {
			return err
		}
		defer func() { p.s.Kill() }()
		if err := pipelined(p.c, shape.count, shape.add); err != nil {
			return err
		}
		// The first one measures how long a save takes.
		if p.took, err = p.save(0); err != nil {
			return err
		}
		r.Alone[who] = p.took.Seconds()
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	changes := make([][]byte, 50_000)
	for i := range changes {
		changes[i] = shape.change(nil, rnd.IntN(shape.count))
	}
	var base, saving [2][]time.Duration
	for round := range b.rounds {
		for j := range 2 {
			who := (round + j) % 2
			p := &subjects[who]
			lat, _, err := paced(p.s.Addr, changes, len(shape.reply), b.snapRate, 2*b.snapRate, time.Now().Add(pacedLead))
			if err != nil {
				return err
			}
			base[who] = append(base[who], lat...)
			if lat, err = b.savePaced(p, changes, shape); err != nil {
				return err
			}
			saving[who] = append(saving[who], lat...)
			r.Seconds[who] += p.took.Seconds() / float64(b.rounds)
		}
	}
	for who := range subjects {
		r.Base[who], r.Saving[who] = percentilesOf(base[who]), percentilesOf(saving[who])
		if err := b.snapshotFlooded(r, who, &subjects[who], shape); err != nil {
			return fmt.Errorf("%s: %w", b.report.Names[who], err)
		}
	}
	var starts [2][]float64
	for round := range b.rounds {
		for j := range 2 {
			who := (round + j) % 2
			took, err := subjects[who].load(b)
			if err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			starts[who] = append(starts[who], took.Seconds())
		}
	}
	for who := range starts {
		r.Start[who] = medianOf(starts[who], func(f float64) float64 { return f })
	}
	return nil
}

// snapshotFlooded saves while redis-benchmark changes as much as it can, then makes the dump that is loaded.
func (b *bench) snapshotFlooded(r *snapshotResult, who int, p *photographed, shape snapShape) error {
	flood, stop := context.WithCancel(b.ctx)
	defer stop()
	cmd := exec.CommandContext(flood, "redis-benchmark", append([]string{"-p", strconv.Itoa(p.s.Port), "-n", "2000000000", "-P", "16",
		"-c", strconv.Itoa(b.clients), "-r", strconv.Itoa(shape.count), "-q"}, shape.flood...)...)
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	time.Sleep(3 * time.Second)
	for range 40 {
		mem, err := familyMemory(p.s.PID())
		if err != nil {
			return err
		}
		r.Resting[who] = max(r.Resting[who], mem)
		time.Sleep(50 * time.Millisecond)
	}
	began := time.Now()
	if err := bgsave(p.c); err != nil {
		return err
	}
	for done := false; !done; {
		mem, err := familyMemory(p.s.PID())
		if err != nil {
			return err
		}
		r.Peak[who] = max(r.Peak[who], mem)
		time.Sleep(10 * time.Millisecond)
		if done, err = saved(p.c); err != nil {
			return err
		}
	}
	r.Loaded[who] = time.Since(began).Seconds()
	select {
	case <-ended:
		return errors.New("redis-benchmark has ended by itself")
	default:
		stop()
		<-ended
	}

	// The same data on both sides again.
	if err := pipelined(p.c, shape.count, shape.add); err != nil {
		return err
	}
	if v, err := p.c.Do("SAVE"); err != nil || v.IsError() {
		return errors.Join(err, fmt.Errorf("SAVE: %s", v))
	}
	fi, err := os.Stat(filepath.Join(p.dir, "dump.rdb"))
	if err == nil {
		r.Dump[who] = fi.Size()
	}
	return err
}

// load starts the server again and waits until it has loaded its dump.
func (p *photographed) load(b *bench) (time.Duration, error) {
	p.s.Kill()
	began := time.Now()
	if err := p.start(b); err != nil {
		return 0, err
	}
	for {
		info, err := p.c.Info("persistence")
		if err != nil {
			return 0, err
		}
		if info["loading"] == "0" {
			return time.Since(began), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// save saves in the background and returns how long it took, after a while.
func (p *photographed) save(after time.Duration) (time.Duration, error) {
	time.Sleep(after)
	began := time.Now()
	if err := bgsave(p.c); err != nil {
		return 0, err
	}
	for {
		time.Sleep(20 * time.Millisecond)
		if done, err := saved(p.c); done || err != nil {
			return time.Since(began), err
		}
	}
}

// savePaced runs a paced client that begins before a BGSAVE and ends after it, and returns the latencies of the requests
// that were due meanwhile, the moment included in which the snapshot is taken.
func (b *bench) savePaced(p *photographed, changes [][]byte, shape snapShape) (latency []time.Duration, err error) {
	const lead = 200 * time.Millisecond
	start := time.Now().Add(pacedLead)
	n := int(float64(b.snapRate) * (p.took + p.took/2 + 2*lead).Seconds())
	type result struct {
		took time.Duration
		err  error
	}
	done := make(chan result, 1)
	began := start.Add(lead)
	go func() {
		took, err := p.save(time.Until(began))
		done <- result{took, err}
	}()
	latency, _, err = paced(p.s.Addr, changes, len(shape.reply), b.snapRate, n, start)
	saved := <-done
	if err = errors.Join(err, saved.err); err != nil {
		return nil, err
	}
	p.took = saved.took
	interval := time.Second / time.Duration(b.snapRate)
	from, to := int(lead/interval), int((lead+saved.took)/interval)
	return latency[min(from, n):min(to, n)], nil
}

func bgsave(c *harness.Conn) error {
	v, err := c.Do("BGSAVE")
	if err == nil && v.IsError() {
		err = errors.New(v.String())
	}
	return err
}

// saved reports whether no BGSAVE runs.
func saved(c *harness.Conn) (bool, error) {
	info, err := c.Info("persistence")
	if err != nil {
		return false, err
	}
	if info["rdb_last_bgsave_status"] != "ok" {
		return false, errors.New("BGSAVE failed")
	}
	return info["rdb_bgsave_in_progress"] == "0", nil
}

// familyMemory returns the proportional set size of a process and its children, in MiB.
func familyMemory(pid int) (float64, error) {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	sum, err := pss(strconv.Itoa(pid))
	for _, child := range strings.Fields(string(children)) {
		if n, e := pss(child); e == nil { // it may just have ended
			sum += n
		}
	}
	return sum, err
}

func pss(pid string) (float64, error) {
	data, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")))
			return float64(kib) / 1024, err
		}
	}
	return 0, errors.New("smaps_rollup has no Pss")
}
