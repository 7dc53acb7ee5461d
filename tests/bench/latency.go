package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ferrous/tests/harness"
)

// latencyResult is how long a paced client waited, in microseconds, index 0 ours, 1 the server it is compared with.
// The client sends at fixed instants whether earlier requests were answered or not, and a reply's latency counts from the
// instant at which its request was due: a server that stalls is charged for everybody who would have asked meanwhile.
type latencyResult struct {
	Load    string         `json:"load"`
	Rate    int            `json:"requests_a_second"`
	Samples [2]int         `json:"samples"`
	Micros  [2]percentiles `json:"latency_us"`
	SendLag [2]percentiles `json:"client_lag_us"` // how late the client itself sent: the noise of the measurement
}

type percentiles struct {
	P50, P90, P99, P999, Max float64
}

// loads are the kinds of work that go on beside the paced client.
var loads = []struct{ name, text string }{
	{"idle", "nothing else"},
	{"paced", "50,000 SET/s beside it"},
	{"saturated", "redis-benchmark SET -P 16 beside it"},
}

const (
	latencyRounds = 2
	pacedLoad     = 50_000 // SET a second
)

func (b *bench) latencySection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	t, err := b.benchTest("set")
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := preload(s, t, b.keyspace); err != nil {
			return err
		}
	}
	fmt.Printf("\n## Latency of GET in µs, %d requests a second on one connection, from the intended start\n\n", b.rate)
	fmt.Println("| load | server | p50 | p90 | p99 | p99.9 | max | client late p99 |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, load := range loads {
		r := latencyResult{Load: load.name, Rate: b.rate}
		var latency, lag [2][]time.Duration
		for round := range latencyRounds {
			for j := range 2 {
				who := (round + j) % 2
				lat, late, err := b.pacedRound(servers[who], t, load.name, b.rate*b.seconds/latencyRounds)
				if err != nil {
					return fmt.Errorf("%s, load %s: %w", b.report.Names[who], load.name, err)
				}
				latency[who] = append(latency[who], lat...)
				lag[who] = append(lag[who], late...)
			}
		}
		for who := range 2 {
			r.Samples[who] = len(latency[who])
			r.Micros[who] = percentilesOf(latency[who])
			r.SendLag[who] = percentilesOf(lag[who])
			p := r.Micros[who]
			fmt.Printf("| %s | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", load.text, b.report.Names[who],
				p.P50, p.P90, p.P99, p.P999, p.Max, r.SendLag[who].P99)
		}
		b.report.Latency = append(b.report.Latency, r)
	}
	return nil
}

func (b *bench) pacedRound(s *harness.Server, t benchTest, load string, n int) (latency, lag []time.Duration, err error) {
	stop, err := b.startLoad(s, load)
	if err != nil {
		return nil, nil, err
	}
	request := harness.AppendCommand(nil, "GET", t.prefix+fmt.Sprintf("%012d", 0))
	if _, err := s.Info(""); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	reply := fmt.Sprintf("$%d\r\n%s\r\n", len(t.value), t.value)
	latency, lag, err = paced(s.Addr, [][]byte{request}, len(reply), b.rate, n, time.Now().Add(pacedLead))
	return latency, lag, errors.Join(err, stop())
}

// startLoad starts the work beside the paced client; the function it returns ends it and reports whether it failed.
func (b *bench) startLoad(s *harness.Server, load string) (stop func() error, err error) {
	ctx, cancel := context.WithCancel(b.ctx)
	switch load {
	case "idle":
		return func() error { cancel(); return nil }, nil
	case "paced":
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		const conns, batch = 10, 16
		for i := range conns {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := b.steadySets(ctx, s, i*batch, conns, batch); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}()
		}
		return func() error { cancel(); wg.Wait(); return failed }, nil
	case "saturated":
		cmd := exec.CommandContext(ctx, "redis-benchmark", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-t", "set",
			"-n", "1000000", "-l", "-P", "16", "-c", strconv.Itoa(b.clients), "-r", strconv.Itoa(b.keyspace),
			"-d", strconv.Itoa(b.dataSize), "-q")
		if err := cmd.Start(); err != nil {
			cancel()
			return nil, err
		}
		time.Sleep(300 * time.Millisecond)
		return func() error {
			cancel()
			err := cmd.Wait()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == -1 {
				return nil // ended by us
			}
			return fmt.Errorf("redis-benchmark ended by itself: %w", err)
		}, nil
	}
	cancel()
	return nil, fmt.Errorf("unknown load %q", load)
}

// steadySets is one of several connections that together send pacedLoad SETs a second in small pipelines.
func (b *bench) steadySets(ctx context.Context, s *harness.Server, at, conns, batch int) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	tick := time.NewTicker(time.Second * time.Duration(conns*batch) / pacedLoad)
	defer tick.Stop()
	var buf []byte
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		buf = buf[:0]
		for range batch {
			buf = harness.AppendCommand(buf, "SET", fmt.Sprintf("key:%012d", at%b.keyspace), "xxx")
			at += 7919 // a prime, so that the keys are spread
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if text, err := c.Skip(batch); err != nil || text != "" {
			return fmt.Errorf("SET: %v %s", err, text)
		}
	}
}

// pacedLead is the time that paced needs to connect.
const pacedLead = 20 * time.Millisecond

// paced sends n requests, from start on at fixed instants, on one connection and returns each one's latency from that instant, and how
// late it was sent. Both directions run on threads of their own over a blocking socket, so that Go's scheduler and
// network poller do not enter the figures.
func paced(addr string, requests [][]byte, replyLen, rate, n int, start time.Time) (latency, lag []time.Duration, err error) {
	f, err := blockingSocket(addr)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	fd := int(f.Fd())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 30}); err != nil {
		return nil, nil, err
	}
	latency = make([]time.Duration, n)
	lag = make([]time.Duration, n)
	interval := time.Second / time.Duration(rate)
	sent := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		preciseSleep()
		for i := range n {
			due := start.Add(time.Duration(i) * interval)
			sleepUntil(due)
			lag[i] = time.Since(due)
			if _, err := f.Write(requests[i%len(requests)]); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	received := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		buf := make([]byte, 64<<10)
		total, done := 0, 0
		for done < n {
			got, err := syscall.Read(fd, buf)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err == nil && got == 0 {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				received <- err
				return
			}
			if total == 0 && buf[0] == '-' {
				received <- fmt.Errorf("error reply %q", buf[:got])
				return
			}
			now := time.Now()
			total += got
			for done < total/replyLen {
				latency[done] = now.Sub(start.Add(time.Duration(done) * interval))
				done++
			}
		}
		received <- nil
	}()
	err = <-received
	if err != nil {
		_ = syscall.Shutdown(fd, syscall.SHUT_RDWR) // ends the sender
	}
	return latency, lag, errors.Join(err, <-sent)
}

// blockingSocket connects and returns a descriptor in blocking mode.
func blockingSocket(addr string) (*os.File, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func percentilesOf(list []time.Duration) percentiles {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	at := func(p float64) float64 {
		if len(sorted) == 0 {
			return 0
		}
		i := min(max(int(math.Ceil(p*float64(len(sorted))))-1, 0), len(sorted)-1)
		return float64(sorted[i].Nanoseconds()) / 1000
	}
	return percentiles{P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1)}
}
