package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ferrous/tests/harness"
)

// replicaResult is one figure of the replication section, index 0 ours, 1 the server it is compared with. Goal is what the ratio is to
// be at most.
type replicaResult struct {
	What   string       `json:"what"`
	Unit   string       `json:"unit"`
	Rounds [2][]float64 `json:"rounds"`
	Value  [2]float64   `json:"value"` // medians, or worst
	Ratio  float64      `json:"ratio"`
	Goal   float64      `json:"goal"`
}

// replicaPartNames are the parts of the section (-replparts).
//
//	feed     CPU a SET with 0, 1 and 8 connections that read the stream as replicas do
//	sync     a full synchronisation with a replica of the same kind: time, latency of a paced client, memory of the master
//	apply    CPU a command of two replicas, one of each kind, of one redis-server
//	wait     latency of SET and WAIT 1
//	backlog  memory for replicas that do not read
var replicaPartNames = []string{"feed", "sync", "apply", "wait", "backlog"}

const (
	feedReplicas  = 8
	stalledBytes  = 30 << 20 // that stalled replicas do not read
	stalledValue  = 1000
	waitsARound   = 3000
	applyRequests = 1_500_000
)

func (b *bench) replicationSection() error {
	return runParts(b.replParts, replicaPartNames, map[string]func() error{"feed": b.feedPart, "sync": b.syncPart,
		"apply": b.applyPart, "wait": b.waitPart, "backlog": b.backlogPart})
}

func (b *bench) replicaHeader(title string, args ...any) {
	fmt.Printf("\n## "+title+"\n\n", args...)
	fmt.Printf("| what | unit | %s | %s | ratio | to be at most |\n| --- | --- | ---: | ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
}

// replicaRow reports a figure.
func (b *bench) replicaRow(r replicaResult) {
	r.Ratio = r.Value[0] / r.Value[1]
	b.report.Replication = append(b.report.Replication, r)
	goal := "-"
	if r.Goal > 0 {
		goal = fmt.Sprintf("%.2f", r.Goal)
	}
	fmt.Printf("| %s | %s | %.3f | %.3f | **%.2f** | %s |\n", r.What, r.Unit, r.Value[0], r.Value[1], r.Ratio, goal)
}

// medians sets the values.
func (r *replicaResult) medians() {
	for who := range r.Value {
		r.Value[who] = medianOf(r.Rounds[who], func(f float64) float64 { return f })
	}
}

// streamReader is a connection that has asked for the stream as a replica does.
type streamReader struct {
	*harness.Conn
	offset atomic.Int64 // that it has read to
}

// newStreamReader asks for all data, and reads the payload.
func newStreamReader(s *harness.Server) (*streamReader, error) {
	c, err := s.Connect()
	if err != nil {
		return nil, err
	}
	r := &streamReader{Conn: c}
	v, err := c.Do("PSYNC", "?", "-1")
	if err != nil || !strings.HasPrefix(v.Str, "FULLRESYNC ") {
		return nil, errors.Join(err, fmt.Errorf("PSYNC: %s", v))
	}
	offset, err := strconv.ParseInt(v.Str[strings.LastIndexByte(v.Str, ' ')+1:], 10, 64)
	if err != nil {
		return nil, err
	}
	r.offset.Store(offset)
	// $<length>, without a line end behind the bytes. Empty lines come before it.
	head := []byte{}
	one := make([]byte, 1)
	for len(head) == 0 || head[len(head)-1] != '\n' {
		if _, err := io.ReadFull(c.Reader(), one); err != nil {
			return nil, err
		}
		if head = append(head, one...); string(head) == "\n" {
			head = head[:0]
		}
	}
	size, err := strconv.ParseInt(strings.Trim(string(head), "$\r\n"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the payload begins with %q", head)
	}
	_, err = io.CopyN(io.Discard, c.Reader(), size)
	return r, errors.Join(err, c.Net().SetDeadline(time.Time{}))
}

// read reads the stream until the connection ends, and acknowledges it once a second.
func (r *streamReader) read() {
	go func() {
		for {
			ack := harness.AppendCommand(nil, "REPLCONF", "ACK", strconv.FormatInt(r.offset.Load(), 10))
			if _, err := r.Write(ack); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Reader().Read(buf)
		r.offset.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// feedPart measures what the stream costs a master.
func (b *bench) feedPart() error {
	b.replicaHeader("CPU a SET with replicas attached, %d keys, %d connections, %d rounds", b.keyspace, b.clients, b.rounds)
	numbers := []int{0, 1, feedReplicas}
	var servers [3][2]*harness.Server
	t, err := b.benchTest("set")
	if err != nil {
		return err
	}
	for i, n := range numbers {
		pair, end, err := b.both("--repl-diskless-sync-delay", "0")
		if err != nil {
			return err
		}
		defer end()
		servers[i] = pair
		for _, s := range pair {
			for range n {
				r, err := newStreamReader(s)
				if err != nil {
					return err
				}
				defer func() { _ = r.Close() }()
				r.Timeout = 0
				go r.read()
			}
			if err := preload(s, t, b.keyspace); err != nil {
				return err
			}
		}
	}
	for _, pipeline := range b.pipelines {
		requests := int(b.cpuTarget.Seconds() * 1e6 / (1 + 14/float64(pipeline)))
		var rows, over [3]replicaResult
		for i, n := range numbers {
			rows[i] = replicaResult{What: fmt.Sprintf("%d replicas, pipeline %d", n, pipeline), Unit: "CPU µs a SET"}
			over[i] = replicaResult{What: fmt.Sprintf("%d replicas over none, pipeline %d", n, pipeline), Unit: "ratio", Goal: 1}
			if n > 0 && pipeline >= 16 {
				rows[i].Goal = 0.7
			}
		}
		for round := range b.rounds {
			for j := range 2 * len(numbers) {
				i, who := j/2, (round+j)%2
				got, err := b.round(servers[i][who], t, requests, pipeline, b.keyspace)
				if err != nil {
					return err
				}
				rows[i].Rounds[who] = append(rows[i].Rounds[who], got.MicrosCPU)
			}
			for i := 1; i < len(numbers); i++ {
				for who := range 2 {
					over[i].Rounds[who] = append(over[i].Rounds[who], rows[i].Rounds[who][round]/rows[0].Rounds[who][round])
				}
			}
		}
		for i := range numbers {
			rows[i].medians()
			b.replicaRow(rows[i])
			if i > 0 {
				over[i].medians()
				b.replicaRow(over[i])
			}
		}
	}
	return nil
}

// follow makes one server the replica of another and waits until its link is up.
func follow(replica, master *harness.Server) error {
	c, err := replica.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if v, err := c.Do("REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port)); err != nil || v.IsError() {
		return errors.Join(err, fmt.Errorf("REPLICAOF: %s", v))
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		v, err := c.Do("ROLE")
		if err != nil {
			return err
		}
		if len(v.Elems) > 3 && v.Elems[3].Str == "connected" {
			return nil
		}
	}
	return errors.New("the link does not come up")
}

// syncFigures are those of one full synchronisation.
type syncFigures struct {
	seconds       float64         // until the replica is online
	cpu           float64         // seconds of the replica until then
	latency, late []time.Duration // of the paced client, see paced
	peak          float64         // memory of the master over resting
}

// syncOnce makes a fresh replica synchronise with the master s, to which a paced client writes. Memory is sampled, or latency is
// measured: a sample walks the page tables of the master for milliseconds, on a core that the others need.
func (b *bench) syncOnce(who int, s *harness.Server, changes [][]byte, replyLen int, sampled bool) (f syncFigures, err error) {
	replica, err := b.start(b.subjects[who], "--repl-diskless-load", "on-empty-db")
	if err != nil {
		return f, err
	}
	defer replica.Kill()
	resting, err := familyMemory(s.PID())
	if err != nil {
		return f, err
	}
	synced := make(chan error, 1)
	lead := 200 * time.Millisecond
	start := time.Now().Add(pacedLead)
	go func() {
		time.Sleep(time.Until(start.Add(lead)))
		began := time.Now()
		err := follow(replica, s)
		f.seconds = time.Since(began).Seconds()
		synced <- err
	}()
	peak := resting
	watched := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(watched)
		for sampled {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				if m, err := familyMemory(s.PID()); err == nil {
					peak = max(peak, m)
				}
			}
		}
	}()
	defer func() {
		close(stop)
		<-watched
		f.peak = peak / resting
	}()
	for first := true; ; first = false {
		if !first {
			start = time.Now().Add(pacedLead)
		}
		latency, late, err := paced(s.Addr, changes, replyLen, b.snapRate, b.snapRate/2, start)
		if err != nil {
			return f, err
		}
		f.latency, f.late = append(f.latency, latency...), append(f.late, late...)
		select {
		case err := <-synced:
			if err != nil {
				return f, err
			}
			used, err := replica.CPU()
			f.cpu = used.Seconds()
			return f, err
		default:
		}
	}
}

// syncPart measures a full synchronisation.
func (b *bench) syncPart() error {
	b.replicaHeader("Full synchronisation of %d keys with values of %d bytes, a paced client writes %d times a second, %d rounds",
		b.snapKeys, snapValue, b.snapRate, b.rounds)
	shape := b.snapShapes()[0]
	took := replicaResult{What: "time until the replica is online", Unit: "s", Goal: 0.7}
	worst := replicaResult{What: "paced client, worst", Unit: "µs", Goal: 0.3}
	p999 := replicaResult{What: "paced client, p99.9", Unit: "µs"}
	sentLate := replicaResult{What: "paced client, its own worst delay before it sends", Unit: "µs"}
	memory := replicaResult{What: "memory of the master, peak over resting", Unit: "ratio"}
	cpu := replicaResult{What: "CPU of the replica until then", Unit: "s"}
	masters, end, err := b.both("--repl-diskless-sync-delay", "0", "--repl-diskless-load", "on-empty-db")
	if err != nil {
		return err
	}
	defer end()
	for _, s := range masters {
		c, err := s.Connect()
		if err != nil {
			return err
		}
		c.Timeout = 2 * time.Minute
		err = pipelined(c, shape.count, shape.add)
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	changes := make([][]byte, 50_000)
	for i := range changes {
		changes[i] = shape.change(nil, rnd.IntN(shape.count))
	}
	for round := range b.rounds {
		for j := range 2 {
			who := (round + j) % 2
			for _, sampled := range []bool{false, true} {
				f, err := b.syncOnce(who, masters[who], changes, len(shape.reply), sampled)
				if err != nil {
					return err
				}
				if sampled {
					memory.Rounds[who] = append(memory.Rounds[who], f.peak)
					continue
				}
				p, late := percentilesOf(f.latency), percentilesOf(f.late)
				took.Rounds[who] = append(took.Rounds[who], f.seconds)
				cpu.Rounds[who] = append(cpu.Rounds[who], f.cpu)
				worst.Rounds[who] = append(worst.Rounds[who], p.Max)
				p999.Rounds[who] = append(p999.Rounds[who], p.P999)
				sentLate.Rounds[who] = append(sentLate.Rounds[who], late.Max)
			}
		}
	}
	for _, r := range []*replicaResult{&took, &cpu, &worst, &p999, &sentLate, &memory} {
		r.medians()
		if r == &worst || r == &sentLate || r == &memory {
			for who := range 2 {
				r.Value[who] = slices.Max(r.Rounds[who])
			}
		}
		b.replicaRow(*r)
	}
	fmt.Printf("\n- peak over resting is to be at most 1.25: %s **%.2f**, %s %.2f\n", b.report.Names[0], memory.Value[0], b.report.Names[1], memory.Value[1])
	return nil
}

// applyPart measures what the stream costs replicas. Both follow one redis-server, so that they get the same stream.
func (b *bench) applyPart() error {
	b.replicaHeader("CPU a command that a replica applies, %d keys, master redis-server, %d rounds", b.keyspace, b.rounds)
	master, err := b.start(b.subjects[1], "--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 0 0 0",
		"--repl-backlog-size", "256mb")
	if err != nil {
		return err
	}
	defer master.Kill()
	t, err := b.benchTest("set")
	if err != nil {
		return err
	}
	if err := preload(master, t, b.keyspace); err != nil {
		return err
	}
	replicas, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	for _, s := range replicas {
		if err := follow(s, master); err != nil {
			return err
		}
	}
	for _, command := range [][]string{
		{"SET", "key:__rand_int__", "xxx"}, {"SET", "key:__rand_int__", "xxx", "EX", "1000"}, {"HSET", hashKey, "field:__rand_int__", "xxx"},
		{"LPUSH", "list:__rand_int__", "xxx"}, {"ZADD", zsetKey, "__rand_int__", "element:__rand_int__"}, {"INCR", "counter:__rand_int__"},
	} {
		r := replicaResult{What: strings.Join(command, " "), Unit: "CPU µs a command", Goal: 0.7}
		for range b.rounds {
			var before [2]time.Duration
			for who, s := range replicas {
				if before[who], err = s.CPU(); err != nil {
					return err
				}
			}
			args := append([]string{"-p", strconv.Itoa(master.Port), "-n", strconv.Itoa(applyRequests), "-P", "32", "-c", strconv.Itoa(b.clients),
				"-r", strconv.Itoa(b.keyspace), "-q"}, command...)
			if err := exec.CommandContext(b.ctx, "redis-benchmark", args...).Run(); err != nil {
				return fmt.Errorf("redis-benchmark: %w: %s", err, exitText(err))
			}
			for who, s := range replicas {
				if err := caughtUp(s, master); err != nil {
					return err
				}
				after, err := s.CPU()
				if err != nil {
					return err
				}
				r.Rounds[who] = append(r.Rounds[who], micros(after-before[who])/applyRequests)
			}
		}
		r.medians()
		b.replicaRow(r)
	}
	return nil
}

// caughtUp waits until a replica has applied all that its master has sent.
func caughtUp(replica, master *harness.Server) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		m, err := master.Info("replication")
		if err != nil {
			return err
		}
		r, err := replica.Info("replication")
		if err != nil {
			return err
		}
		if m["master_repl_offset"] == r["slave_repl_offset"] {
			return nil
		}
	}
	return errors.New("the replica does not catch up")
}

// waitPart measures SET and WAIT 1, one after the other.
func (b *bench) waitPart() error {
	b.replicaHeader("SET and WAIT 1, sent together, one at a time, %d in each of %d rounds", waitsARound, b.rounds)
	masters, end, err := b.both("--repl-diskless-sync-delay", "0")
	if err != nil {
		return err
	}
	defer end()
	replicas, endReplicas, err := b.both()
	if err != nil {
		return err
	}
	defer endReplicas()
	p50 := replicaResult{What: "p50", Unit: "µs", Goal: 1}
	p99 := replicaResult{What: "p99", Unit: "µs", Goal: 1}
	var conns [2]*harness.Conn
	for who := range 2 {
		if err := follow(replicas[who], masters[who]); err != nil {
			return err
		}
		if conns[who], err = masters[who].Connect(); err != nil {
			return err
		}
		defer func() { _ = conns[who].Close() }()
	}
	for round := range b.rounds {
		for j := range 2 {
			who := (round + j) % 2
			c := conns[who]
			var list []time.Duration
			for i := range waitsARound {
				request := harness.AppendCommand(harness.AppendCommand(nil, "SET", "key", strconv.Itoa(i)), "WAIT", "1", "0")
				began := time.Now()
				if _, err := c.Write(request); err != nil {
					return err
				}
				if _, err := c.Read(); err != nil {
					return err
				}
				if v, err := c.Read(); err != nil || v.Int() != 1 {
					return errors.Join(err, fmt.Errorf("WAIT: %s", v))
				}
				list = append(list, time.Since(began))
			}
			p := percentilesOf(list[waitsARound/10:])
			p50.Rounds[who] = append(p50.Rounds[who], p.P50)
			p99.Rounds[who] = append(p99.Rounds[who], p.P99)
		}
	}
	for _, r := range []*replicaResult{&p50, &p99} {
		r.medians()
		b.replicaRow(*r)
	}
	return nil
}

// backlogPart measures what a master keeps for replicas that do not read: one copy, however many they are.
func (b *bench) backlogPart() error {
	b.replicaHeader("Memory for %d MiB that %d stalled replicas have not read", stalledBytes>>20, feedReplicas)
	servers, end, err := b.both("--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 0 0 0")
	if err != nil {
		return err
	}
	defer end()
	used := replicaResult{What: "used_memory more, over the bytes written", Unit: "ratio"}
	resident := replicaResult{What: "resident more, over the bytes written", Unit: "ratio"}
	for who, s := range servers {
		for range feedReplicas {
			r, err := newStreamReader(s)
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			if err := r.Send("REPLCONF", "ACK", strconv.FormatInt(r.offset.Load(), 10)); err != nil {
				return err
			}
		}
		c, err := s.Connect()
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		memory := func() (used int64, resident int64, err error) {
			info, err := c.Info("memory")
			if err != nil {
				return 0, 0, err
			}
			if used, err = strconv.ParseInt(info["used_memory"], 10, 64); err == nil {
				resident, err = s.RSS()
			}
			return used, resident, err
		}
		value := strings.Repeat("v", stalledValue)
		write := func(n int) error {
			return pipelined(c, n, func(dst []byte, i int) []byte { return harness.AppendCommand(dst, "SET", "key", value) })
		}
		// What the sockets hold of eight replicas comes first.
		if err := write(64 << 20 / stalledValue); err != nil {
			return err
		}
		u0, r0, err := memory()
		if err != nil {
			return err
		}
		if err := write(stalledBytes / stalledValue); err != nil {
			return err
		}
		u1, r1, err := memory()
		if err != nil {
			return err
		}
		used.Rounds[who] = []float64{float64(u1-u0) / stalledBytes}
		resident.Rounds[who] = []float64{float64(r1-r0) / stalledBytes}
	}
	for _, r := range []*replicaResult{&used, &resident} {
		r.medians()
		b.replicaRow(*r)
	}
	return nil
}
