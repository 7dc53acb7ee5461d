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
	"sync"
	"time"

	"ferrous/tests/harness"
)

// snapshotResult is what BGSAVE and loading cost, index 0 ours, 1 the server it is compared with. The same bytes are
// written to both. Memory is the sum of the proportional sets (PSS) of the process and its children, so that pages which a
// forked child shares count once.
type snapshotResult struct {
	Shape   string         `json:"shape"`
	Count   int            `json:"count"`
	Base    [2]percentiles `json:"latency_us"`         // of a paced client that writes, nothing else going on
	Saving  [2]percentiles `json:"latency_us_bgsave"`  // of the same while BGSAVE runs
	Seconds [2]float64     `json:"bgsave_seconds"`     // beside the paced client
	Resting [2]float64     `json:"resting_mib"`        // under full write load, before BGSAVE
	Peak    [2]float64     `json:"peak_mib"`           // under full write load, during BGSAVE
	Loaded  [2]float64     `json:"bgsave_load_second"` // under full write load
	Start   [2]float64     `json:"load_seconds"`       // from the start of the process until it serves
	Dump    [2]int64       `json:"dump_bytes"`
}

const (
	snapRounds = 3
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
	for _, shape := range b.snapShapes() {
		r := snapshotResult{Shape: shape.name, Count: shape.count}
		fmt.Printf("\n## BGSAVE and loading: %s, %d elements with values of %d bytes; a paced client writes %d times a second, %d rounds\n\n",
			shape.name, shape.count, snapValue, b.snapRate, snapRounds)
		for who, s := range b.subjects {
			if err := b.snapshotOf(&r, who, s, shape); err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, shape.name, err)
			}
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

// snapshotOf measures one server.
func (b *bench) snapshotOf(r *snapshotResult, who int, subject subject, shape snapShape) error {
	dir, err := os.MkdirTemp("", "ferrous-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	start := func() (*harness.Server, *harness.Conn, error) {
		if err := b.ctx.Err(); err != nil {
			return nil, nil, err
		}
		s, err := harness.Start(harness.Options{Binary: subject.binary, Args: subject.args, Dir: dir})
		if err != nil {
			return nil, nil, err
		}
		c, err := s.Connect()
		if err != nil {
			s.Kill()
			return nil, nil, err
		}
		c.Timeout = 2 * time.Minute
		return s, c, nil
	}
	s, c, err := start()
	if err != nil {
		return err
	}
	defer func() { s.Kill() }()
	if err := pipelined(c, shape.count, shape.add); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)

	// A paced client, at rest and beside a BGSAVE.
	rnd := rand.New(rand.NewPCG(3, 4))
	changes := make([][]byte, 50_000)
	for i := range changes {
		changes[i] = shape.change(nil, rnd.IntN(shape.count))
	}
	var base, saving []time.Duration
	for range snapRounds {
		lat, _, err := paced(s.Addr, changes, len(shape.reply), b.snapRate, 2*b.snapRate)
		if err != nil {
			return err
		}
		base = append(base, lat...)
		took, lat, err := b.savePaced(s, c, changes, shape)
		if err != nil {
			return err
		}
		saving = append(saving, lat...)
		r.Seconds[who] += took.Seconds() / snapRounds
	}
	r.Base[who], r.Saving[who] = percentilesOf(base), percentilesOf(saving)

	// As many changes as it can take.
	flood, stop := context.WithCancel(b.ctx)
	defer stop()
	cmd := exec.CommandContext(flood, "redis-benchmark", append([]string{"-p", strconv.Itoa(s.Port), "-n", "2000000000", "-P", "16",
		"-c", strconv.Itoa(b.clients), "-r", strconv.Itoa(shape.count), "-q"}, shape.flood...)...)
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	var once sync.Once
	end := func() { once.Do(func() { stop(); _ = cmd.Wait() }) }
	defer end()
	time.Sleep(3 * time.Second)
	for range 20 {
		mem, err := familyMemory(s.PID())
		if err != nil {
			return err
		}
		r.Resting[who] = max(r.Resting[who], mem)
		time.Sleep(50 * time.Millisecond)
	}
	began := time.Now()
	if err := bgsave(c); err != nil {
		return err
	}
	for done := false; !done; {
		mem, err := familyMemory(s.PID())
		if err != nil {
			return err
		}
		r.Peak[who] = max(r.Peak[who], mem)
		time.Sleep(20 * time.Millisecond)
		if done, err = saved(c); err != nil {
			return err
		}
	}
	r.Loaded[who] = time.Since(began).Seconds()
	end()

	// Loading. The dump is made anew of data that is the same on both sides.
	if err := pipelined(c, shape.count, shape.add); err != nil {
		return err
	}
	if v, err := c.Do("SAVE"); err != nil || v.IsError() {
		return errors.Join(err, fmt.Errorf("SAVE: %s", v))
	}
	if fi, err := os.Stat(filepath.Join(dir, "dump.rdb")); err != nil {
		return err
	} else {
		r.Dump[who] = fi.Size()
	}
	for round := range snapRounds {
		s.Kill()
		began := time.Now()
		if s, c, err = start(); err != nil {
			return err
		}
		for {
			info, err := c.Info("persistence")
			if err != nil {
				return err
			}
			if info["loading"] == "0" {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		took := time.Since(began).Seconds()
		if round == 0 || took < r.Start[who] {
			r.Start[who] = took
		}
	}
	return nil
}

// savePaced runs a paced client for as long as a BGSAVE takes, and a tenth of a second more at most.
func (b *bench) savePaced(s *harness.Server, c *harness.Conn, changes [][]byte, shape snapShape) (took time.Duration, latency []time.Duration, err error) {
	type end struct {
		took time.Duration
		err  error
	}
	ended := make(chan end, 1)
	began := time.Now()
	if err := bgsave(c); err != nil {
		return 0, nil, err
	}
	go func() {
		for {
			done, err := saved(c)
			if done || err != nil {
				ended <- end{time.Since(began), err}
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	const slice = 100 * time.Millisecond
	per := max(int(int64(b.snapRate)*int64(slice)/int64(time.Second)), 1)
	for {
		lat, _, err := paced(s.Addr, changes, len(shape.reply), b.snapRate, per)
		if err != nil {
			return 0, nil, errors.Join(err, (<-ended).err)
		}
		latency = append(latency, lat...)
		select {
		case e := <-ended:
			return e.took, latency, e.err
		default:
		}
	}
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
