package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"ferrous/tests/harness"
)

// sessionResult is one row of the sessions section, index 0 ours, 1 the server it is compared with.
type sessionResult struct {
	What   string       `json:"what"`
	Unit   string       `json:"unit"`
	Count  int          `json:"units_a_round"`
	Micros [2]float64   `json:"cpu_us_a_unit"` // medians
	Rounds [2][]float64 `json:"rounds_cpu_us_a_unit"`
	Ratio  float64      `json:"cpu_ratio"`
}

const (
	trackedKeys  = 100_000
	transactions = 60_000 // of a round
	txClients    = 10
	txCommands   = 10
	// inFlightMessages bounds the deliveries that have been published and have not come.
	inFlightMessages = 20_000
)

// sessionWork is one row: begin connects what is needed.
type sessionWork struct {
	what, unit string
	count      int
	begin      func(s *harness.Server) (scene, error)
}

// scene is what a row does with one server: round is measured, prepare, if there is one, runs before each round.
type scene struct {
	prepare, round func() error
	end            func()
}

func (b *bench) sessionSection() error {
	if err := harness.RaiseOpenFiles(10_300); err != nil {
		return err
	}
	works := []sessionWork{
		publishing(1, 16, 1_000_000), publishing(100, 16, 1_000_000), publishing(10_000, 1, 1_000_000),
		{"write of a tracked key, pipeline 16", "write", trackedKeys, tracking},
		{fmt.Sprintf("MULTI, %d SETs, EXEC in one packet, %d clients", txCommands, txClients), "transaction", transactions, transacting},
	}
	servers, end, err := b.both("--maxclients", "10100", "--client-output-buffer-limit", "pubsub 0 0 0")
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Sessions: CPU a unit, median of %d rounds\n\n", b.rounds)
	fmt.Printf("| what | unit | CPU µs %s | CPU µs %s | ratio |\n| --- | --- | ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
	for _, w := range works {
		r := sessionResult{What: w.what, Unit: w.unit, Count: w.count}
		if err := b.sessionRounds(servers, w, &r); err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
		b.report.Sessions = append(b.report.Sessions, r)
		fmt.Printf("| %s | %s | %.3f | %.3f | **%.2f** |\n", w.what, w.unit, r.Micros[0], r.Micros[1], r.Ratio)
	}
	return nil
}

func (b *bench) sessionRounds(servers [2]*harness.Server, w sessionWork, r *sessionResult) error {
	for i := range b.rounds {
		for j := range 2 {
			if err := b.ctx.Err(); err != nil {
				return err
			}
			who := (i + j) % 2
			micros, err := w.measure(servers[who])
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", b.report.Names[who], err, servers[who].Logs())
			}
			r.Rounds[who] = append(r.Rounds[who], micros)
		}
	}
	for who := range 2 {
		r.Micros[who] = medianOf(r.Rounds[who], func(f float64) float64 { return f })
	}
	r.Ratio = r.Micros[0] / r.Micros[1]
	return nil
}

// measure connects, runs a round that warms up and one whose CPU it returns, in microseconds a unit.
func (w sessionWork) measure(s *harness.Server) (float64, error) {
	for deadline := time.Now().Add(30 * time.Second); ; { // until those of the round before are gone
		info, err := s.Info("clients")
		if err != nil {
			return 0, err
		}
		if info["connected_clients"] == "1" {
			break
		}
		if time.Now().After(deadline) {
			return 0, errors.New("clients of the round before do not go: " + info["connected_clients"])
		}
		time.Sleep(10 * time.Millisecond)
	}
	scene, err := w.begin(s)
	if err != nil {
		return 0, err
	}
	defer scene.end()
	var before time.Duration
	for range 2 {
		if scene.prepare != nil {
			if err := scene.prepare(); err != nil {
				return 0, err
			}
		}
		if before, err = s.CPU(); err != nil {
			return 0, err
		}
		if err := scene.round(); err != nil {
			return 0, err
		}
	}
	after, err := s.CPU()
	return float64((after - before).Nanoseconds()) / 1000 / float64(w.count), err
}

// audience is connections that read what comes and count it.
type audience struct {
	conns []net.Conn
	bytes atomic.Int64
	group sync.WaitGroup
}

func (a *audience) listen(nc net.Conn) {
	a.conns = append(a.conns, nc)
	a.group.Add(1)
	go func() {
		defer a.group.Done()
		buf := make([]byte, 8<<10)
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			a.bytes.Add(int64(n))
		}
	}()
}

// await waits until so many bytes have come.
func (a *audience) await(total int64) error {
	for deadline := time.Now().Add(30 * time.Second); a.bytes.Load() < total; {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d bytes have come", a.bytes.Load(), total)
		}
		time.Sleep(50 * time.Microsecond)
	}
	return nil
}

func (a *audience) end() {
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.group.Wait()
}

// publishing has deliveries of messages to so many subscribers, batch messages in a packet.
func publishing(subscribers, batch, deliveries int) sessionWork {
	const message = "0123456789abcdef0123456789abcdef"
	delivered := int64(len("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$32\r\n\r\n") + len(message))
	return sessionWork{fmt.Sprintf("PUBLISH to %d subscribers", subscribers), "delivery", deliveries, func(s *harness.Server) (scene, error) {
		a := &audience{}
		for range subscribers {
			nc, err := net.Dial("tcp", s.Addr)
			if err != nil {
				a.end()
				return scene{}, err
			}
			answer := "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
			if _, err = nc.Write(harness.AppendCommand(nil, "SUBSCRIBE", "news")); err == nil {
				_, err = io.ReadFull(nc, make([]byte, len(answer)))
			}
			if err != nil {
				a.end()
				return scene{}, err
			}
			a.listen(nc)
		}
		c, err := s.Connect()
		if err != nil {
			a.end()
			return scene{}, err
		}
		request := harness.AppendCommand(nil, "PUBLISH", "news", message)
		round := func() error {
			total := a.bytes.Load()
			for sent := 0; sent < deliveries/subscribers; {
				n := min(batch, deliveries/subscribers-sent)
				if err := pipelined(c, n, func(dst []byte, _ int) []byte { return append(dst, request...) }); err != nil {
					return err
				}
				sent += n
				total += int64(n*subscribers) * delivered
				if err := a.await(total - inFlightMessages*delivered); err != nil {
					return err
				}
			}
			return a.await(total)
		}
		return scene{round: round, end: func() { _ = c.Close(); a.end() }}, nil
	}}
}

// tracking has writes of keys that another client has read since they were written last.
func tracking(s *harness.Server) (scene, error) {
	key := func(i int) string { return fmt.Sprintf("tracked:%08d", i) }
	invalidation := int64(len(">2\r\n$10\r\ninvalidate\r\n*1\r\n$16\r\ntracked:00000000\r\n"))
	writer, err := s.Connect()
	if err != nil {
		return scene{}, err
	}
	nc, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return scene{}, errors.Join(err, writer.Close())
	}
	a := &audience{}
	a.listen(nc)
	end := func() { _ = writer.Close(); a.end() }
	if _, err := nc.Write(harness.AppendCommand(harness.AppendCommand(nil, "HELLO", "3"), "CLIENT", "TRACKING", "ON")); err != nil {
		end()
		return scene{}, err
	}
	time.Sleep(100 * time.Millisecond)
	var reads []byte
	for i := range trackedKeys {
		reads = harness.AppendCommand(reads, "GET", key(i))
	}
	set := func(n, from int) error {
		return pipelined(writer, n, func(dst []byte, i int) []byte {
			return harness.AppendCommand(dst, "SET", key((from+i)%trackedKeys), "v")
		})
	}
	if err := set(trackedKeys, 0); err != nil {
		end()
		return scene{}, err
	}
	total := int64(0)
	prepare := func() error {
		total = a.bytes.Load() + trackedKeys*int64(len("$1\r\nv\r\n"))
		if _, err := nc.Write(reads); err != nil {
			return err
		}
		return a.await(total)
	}
	round := func() error {
		for at := 0; at < trackedKeys; at += 16 {
			if err := set(min(16, trackedKeys-at), at); err != nil {
				return err
			}
		}
		return a.await(total + trackedKeys*invalidation)
	}
	return scene{prepare: prepare, round: round, end: end}, nil
}

// transacting has transactions of txCommands SETs, each in one packet, from several clients at once.
func transacting(s *harness.Server) (scene, error) {
	var conns []*harness.Conn
	end := func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for range txClients {
		c, err := s.Connect()
		if err != nil {
			end()
			return scene{}, err
		}
		conns = append(conns, c)
	}
	round := func() error {
		errs := make(chan error, txClients)
		for n, c := range conns {
			go func() {
				packet := harness.AppendCommand(nil, "MULTI")
				for i := range txCommands {
					packet = harness.AppendCommand(packet, "SET", fmt.Sprintf("tx:%d:%d", n, i), "0123456789")
				}
				packet = harness.AppendCommand(packet, "EXEC")
				for range transactions / txClients {
					if _, err := c.Write(packet); err != nil {
						errs <- err
						return
					}
					if text, err := c.Skip(txCommands + 2); err != nil || text != "" {
						errs <- errors.Join(err, errors.New(text))
						return
					}
				}
				errs <- nil
			}()
		}
		var err error
		for range conns {
			err = errors.Join(err, <-errs)
		}
		return err
	}
	return scene{round: round, end: end}, nil
}
