package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ferrous/tests/harness"
)

// blockedResult is the CPU of blocked workers, index 0 ours, 1 the server it is compared with.
type blockedResult struct {
	Queues    string       `json:"queues"`
	Workers   int          `json:"workers"`
	Jobs      int          `json:"jobs_a_round"`
	MicrosCPU [2]float64   `json:"cpu_us_a_job"` // medians
	Rounds    [2][]float64 `json:"rounds_cpu_us_a_job"`
	Idle      [2]float64   `json:"idle_cpu_ms_a_second"` // medians, while all workers wait
	Ratio     float64      `json:"cpu_ratio"`
}

const (
	idleTime = 4 * time.Second
	// inFlight bounds the jobs that have been pushed and not been delivered: most workers are always blocked, and they
	// find no job waiting when they come back.
	inFlight = 500
	jobBatch = 10 // RPUSHes that the producer sends together
)

// blockedSection lets workers wait in BLPOP, on one queue or on one each, and hands them jobs by RPUSH. A job costs the
// server the push, the reply that delivers it, and the BLPOP by which the worker comes back.
func (b *bench) blockedSection() error {
	if err := harness.RaiseOpenFiles(uint64(b.workers) + 200); err != nil {
		return err
	}
	fmt.Printf("\n## %d workers blocked in BLPOP, median of %d rounds of %d jobs\n\n", b.workers, b.rounds, b.jobs)
	fmt.Printf("| queues | CPU µs a job %s | CPU µs a job %s | ratio | idle CPU ms/s %[1]s | idle CPU ms/s %[2]s |\n",
		b.report.Names[0], b.report.Names[1])
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, q := range []struct {
		name, text string
		queues     int
	}{{"one", "one", 1}, {"each", fmt.Sprintf("%d", b.workers), b.workers}} {
		r := blockedResult{Queues: q.name, Workers: b.workers, Jobs: b.jobs}
		var idle [2][]float64
		for i := range b.rounds {
			for j := range 2 {
				who := (i + j) % 2
				waiting, job, err := b.blockedRound(b.subjects[who], q.queues)
				if err != nil {
					return fmt.Errorf("%s, queues %s: %w", b.report.Names[who], q.name, err)
				}
				r.Rounds[who] = append(r.Rounds[who], job)
				idle[who] = append(idle[who], waiting)
			}
		}
		same := func(f float64) float64 { return f }
		for who := range 2 {
			r.MicrosCPU[who], r.Idle[who] = medianOf(r.Rounds[who], same), medianOf(idle[who], same)
		}
		r.Ratio = r.MicrosCPU[0] / r.MicrosCPU[1]
		b.report.Blocked = append(b.report.Blocked, r)
		fmt.Printf("| %s | %.2f | %.2f | **%.2f** | %.2f | %.2f |\n", q.text, r.MicrosCPU[0], r.MicrosCPU[1], r.Ratio,
			r.Idle[0], r.Idle[1])
	}
	return nil
}

// crew is the workers of a round.
type crew struct {
	conns     []net.Conn
	delivered atomic.Int64
	signal    chan struct{} // something was delivered
	group     sync.WaitGroup
	once      sync.Once
	err       error
}

func (w *crew) fail(err error) { w.once.Do(func() { w.err = err }) }

// work answers every job by asking for the next one, until the connection is closed.
func (w *crew) work(c net.Conn, request, prefix []byte, seen []atomic.Bool) {
	defer w.group.Done()
	buf := make([]byte, 256)
	have := 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		// *2, the queue's name, and the job: a number of eight digits.
		if have < len(prefix)+10 {
			continue
		}
		job, err := strconv.Atoi(string(buf[len(prefix) : len(prefix)+8]))
		if err != nil || have != len(prefix)+10 || string(buf[:len(prefix)]) != string(prefix) {
			w.fail(fmt.Errorf("a worker was sent %q", buf[:have]))
			return
		}
		have = 0
		if job >= len(seen) || seen[job].Swap(true) {
			w.fail(fmt.Errorf("job %d was delivered twice", job))
			return
		}
		w.delivered.Add(1)
		select {
		case w.signal <- struct{}{}:
		default:
		}
		if _, err := c.Write(request); err != nil {
			return
		}
	}
}

// blockedRound measures a fresh server: CPU milliseconds a second while all workers wait, and microseconds a job.
func (b *bench) blockedRound(sub subject, queues int) (idle, job float64, err error) {
	s, err := b.start(sub, "--maxclients", strconv.Itoa(b.workers+100))
	if err != nil {
		return 0, 0, err
	}
	defer s.Kill()
	ctl, err := s.Connect()
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = ctl.Close() }()
	w := &crew{signal: make(chan struct{}, 1)}
	defer func() {
		for _, c := range w.conns {
			_ = c.Close()
		}
		w.group.Wait()
		if w.err != nil {
			err = w.err
		}
	}()
	queue := func(i int) string { return fmt.Sprintf("queue:%08d", i%queues) }
	seen := make([]atomic.Bool, b.jobs)
	for i := range b.workers {
		c, err := s.Connect()
		if err != nil {
			return 0, 0, fmt.Errorf("worker %d: %w", i, err)
		}
		w.conns = append(w.conns, c.Net())
		request := harness.AppendCommand(nil, "BLPOP", queue(i), "0")
		prefix := fmt.Appendf(nil, "*2\r\n$%d\r\n%s\r\n$8\r\n", len(queue(i)), queue(i))
		if _, err := c.Net().Write(request); err != nil {
			return 0, 0, err
		}
		w.group.Add(1)
		go w.work(c.Net(), request, prefix, seen)
	}
	if err := allBlocked(ctl, b.workers); err != nil {
		return 0, 0, err
	}
	before, err := s.CPU()
	if err != nil {
		return 0, 0, err
	}
	select {
	case <-b.ctx.Done():
		return 0, 0, b.ctx.Err()
	case <-time.After(idleTime):
	}
	after, err := s.CPU()
	if err != nil {
		return 0, 0, err
	}
	idle = (after - before).Seconds() * 1000 / idleTime.Seconds()

	before = after
	var buf []byte
	for sent := 0; sent < b.jobs; {
		for int(w.delivered.Load()) < sent+jobBatch-inFlight {
			if err := w.wait(); err != nil {
				return 0, 0, err
			}
		}
		n := min(jobBatch, b.jobs-sent)
		buf = buf[:0]
		for i := range n {
			// Queues take turns; a worker has long come back when its queue's turn comes again.
			buf = harness.AppendCommand(buf, "RPUSH", queue(sent+i), fmt.Sprintf("%08d", sent+i))
		}
		if _, err := ctl.Write(buf); err != nil {
			return 0, 0, err
		}
		if text, err := ctl.Skip(n); err != nil || text != "" {
			return 0, 0, errors.Join(err, errors.New(text))
		}
		sent += n
	}
	for int(w.delivered.Load()) < b.jobs {
		if err := w.wait(); err != nil {
			return 0, 0, err
		}
	}
	if err := allBlocked(ctl, b.workers); err != nil {
		return 0, 0, err
	}
	if after, err = s.CPU(); err != nil {
		return 0, 0, err
	}
	return idle, float64((after - before).Nanoseconds()) / 1000 / float64(b.jobs), nil
}

// wait waits until something is delivered.
func (w *crew) wait() error {
	select {
	case <-w.signal:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("no job was delivered for ten seconds; %d had been", w.delivered.Load())
	}
}

// allBlocked waits until the server says that n clients are blocked.
func allBlocked(c *harness.Conn, n int) error {
	for range 200 {
		info, err := c.Info("clients")
		if err != nil {
			return err
		}
		if info["blocked_clients"] == strconv.Itoa(n) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the clients are not all blocked after ten seconds")
}
