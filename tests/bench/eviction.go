package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ferrous/tests/harness"
)

// The eviction section measures servers that are at maxmemory. A cache is a read-through loop: GET, and SET after a miss, of
// keys drawn from evictKeys by Zipf's law. So that both servers have room for the same number of keys, whatever a key
// takes, they are filled with that many, and what they then use becomes their maxmemory.
//
// Its parts:
//
//	hits      hit rate of allkeys-lru and allkeys-lfu; the other server looks at 10 samples. Both get the same requests
//	          at the same time
//	cpu       CPU a request of the loop, 50 connections at pipeline 16; 5 samples on both
//	paced     percentiles of a paced client while others write new keys, each of which evicts one
//	resident  resident memory over maxmemory while values of 32 B to 100 KB are written, then with BGSAVE running
//	shrink    CONFIG SET maxmemory to a tenth: worst latency of a paced client, and how long it takes

// evictionResult is one row of the section. Index 0 is ours, 1 the server it is compared with.
type evictionResult struct {
	What   string       `json:"what"`
	Values [2]float64   `json:"values"`
	Rounds [2][]float64 `json:"rounds,omitempty"`
}

const (
	evictValue   = 32 // bytes of a value
	evictBatch   = 100
	evictConns   = 4       // of a server in the part hits
	evictChunk   = 100_000 // requests between two points at which the servers wait for each other
	evictSamples = "10"    // of the other server in the part hits

	mixedLimit = 1 << 30 // maxmemory of the part resident
	mixedConns = 4
)

var evictPartNames = []string{"hits", "cpu", "paced", "resident", "shrink"}

// evictPattern is how keys are drawn.
type evictPattern struct {
	name string
	s    float64
	scan bool // every fifth request is for a key that never comes again
}

var evictPatterns = []evictPattern{{"0.8", 0.8, false}, {"1.0", 1, false}, {"1.2", 1.2, false}, {"scan", 1, true}}

func evictPatternNames() (names []string) {
	for _, p := range evictPatterns {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) evictionSection() error {
	return runParts(b.evictParts, evictPartNames, map[string]func() error{"hits": b.evictHits, "cpu": b.evictCPU,
		"paced": b.evictPaced, "resident": b.evictResident, "shrink": b.evictShrink})
}

func (b *bench) evictHeader(format string, args ...any) {
	fmt.Printf("\n## Eviction: "+format+"\n\n", args...)
	fmt.Printf("| what | %s | %s | ratio |\n| --- | ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
}

// evictRow prints a row and enters it into the report.
func (b *bench) evictRow(r evictionResult) {
	b.report.Eviction = append(b.report.Eviction, r)
	fmt.Printf("| %s | %.2f | %.2f | **%.3f** |\n", r.What, r.Values[0], r.Values[1], r.Values[0]/r.Values[1])
}

// zipf draws numbers below n, i with a chance by the power -s of i+1. It is Vose's alias method: one of n columns is
// drawn, and then one of the two numbers that share it.
type zipf struct {
	share []float32 // of the column that is its own number's
	other []uint32
}

func newZipf(n int, s float64) *zipf {
	z := &zipf{make([]float32, n), make([]uint32, n)}
	weight := make([]float64, n)
	sum := 0.0
	for i := range weight {
		weight[i] = math.Pow(float64(i+1), -s)
		sum += weight[i]
	}
	var small, large []uint32
	for i := range weight {
		weight[i] *= float64(n) / sum
		if weight[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		few, many := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		z.share[few], z.other[few] = float32(weight[few]), many
		if weight[many] -= 1 - weight[few]; weight[many] < 1 {
			large = large[:len(large)-1]
			small = append(small, many)
		}
	}
	for _, i := range append(small, large...) {
		z.share[i] = 1
	}
	return z
}

func (z *zipf) draw(rnd *rand.Rand) int {
	i := rnd.IntN(len(z.share))
	if rnd.Float32() < z.share[i] {
		return i
	}
	return int(z.other[i])
}

// reader is one connection of a read-through loop.
type reader struct {
	conn    net.Conn
	in      *bufio.Reader
	rnd     *rand.Rand
	zipf    *zipf
	scan    *atomic.Int64 // the next key of the scan, nil = there is none
	value   string
	batch   int // GETs in a packet
	out     []byte
	keys    []int
	missing []int
	hits    int
	gets    int
	sets    int
}

// run makes GETs, and the SETs that they lead to.
func (r *reader) run(requests int) error {
	for range requests / r.batch {
		r.keys, r.out, r.missing = r.keys[:0], r.out[:0], r.missing[:0]
		for i := range r.batch {
			var k int
			if r.scan != nil && i%5 == 0 {
				k = int(r.scan.Add(1))
			} else {
				k = r.zipf.draw(r.rnd)
			}
			r.keys = append(r.keys, k)
			r.out = appendRequest(r.out, "GET", k, "")
		}
		if _, err := r.conn.Write(r.out); err != nil {
			return err
		}
		for _, k := range r.keys {
			line, err := r.in.ReadSlice('\n')
			switch {
			case err != nil:
				return err
			case string(line) == "$-1\r\n":
				r.missing = append(r.missing, k)
				continue
			case line[0] != '$':
				return fmt.Errorf("GET was answered %q", line)
			}
			if _, err := r.in.Discard(len(r.value) + 2); err != nil {
				return err
			}
			r.hits++
		}
		r.gets += r.batch
		r.sets += len(r.missing)
		r.out = r.out[:0]
		for _, k := range r.missing {
			r.out = appendRequest(r.out, "SET", k, r.value)
		}
		if len(r.out) == 0 {
			continue
		}
		if _, err := r.conn.Write(r.out); err != nil {
			return err
		}
		for range r.missing {
			if line, err := r.in.ReadSlice('\n'); err != nil || string(line) != "+OK\r\n" {
				return errors.Join(err, fmt.Errorf("SET was answered %q", line))
			}
		}
	}
	return nil
}

// appendRequest appends a GET, or a SET with a value, of the k-th key, which has 16 bytes.
func appendRequest(dst []byte, verb string, k int, value string) []byte {
	if value == "" {
		dst = append(dst, "*2\r\n$3\r\n"...)
	} else {
		dst = append(dst, "*3\r\n$3\r\n"...)
	}
	dst = append(append(dst, verb...), "\r\n$16\r\nkey:"...)
	at := len(dst)
	dst = append(dst, "000000000000\r\n"...)
	for i := at + 11; k > 0; i, k = i-1, k/10 {
		dst[i] = byte('0' + k%10)
	}
	if value != "" {
		dst = strconv.AppendInt(append(dst, '$'), int64(len(value)), 10)
		dst = append(append(append(dst, "\r\n"...), value...), "\r\n"...)
	}
	return dst
}

// cache is a server under a read-through loop.
type cache struct {
	s       *harness.Server
	ctl     *harness.Conn
	readers []*reader
}

func (c *cache) end() {
	for _, r := range c.readers {
		_ = r.conn.Close()
	}
	if c.ctl != nil {
		_ = c.ctl.Close()
	}
	c.s.Kill()
}

// newCache starts a server with room for a number of keys, and connections to it.
func (b *bench) newCache(sub subject, room, conns, batch int, z *zipf, scan bool, args ...string) (c *cache, err error) {
	s, err := b.start(sub, args...)
	if err != nil {
		return nil, err
	}
	c = &cache{s: s}
	defer func() {
		if err != nil {
			c.end()
		}
	}()
	if c.ctl, err = s.Connect(); err != nil {
		return c, err
	}
	c.ctl.Timeout = 2 * time.Minute
	value := strings.Repeat("v", evictValue)
	// Keys from all over, so that the popular ones have no advantage.
	order := rand.New(rand.NewPCG(5, 6)).Perm(b.evictKeys)[:room]
	err = pipelined(c.ctl, room, func(dst []byte, i int) []byte { return appendRequest(dst, "SET", order[i], value) })
	if err != nil {
		return c, err
	}
	info, err := c.ctl.Info("memory")
	if err != nil {
		return c, err
	}
	if _, err = c.ctl.Do("CONFIG", "SET", "maxmemory", info["used_memory"]); err != nil {
		return c, err
	}
	var next *atomic.Int64
	if scan {
		next = &atomic.Int64{}
		next.Store(int64(b.evictKeys))
	}
	for i := range conns {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return c, err
		}
		c.readers = append(c.readers, &reader{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), rnd: rand.New(rand.NewPCG(7, uint64(i))),
			zipf: z, scan: next, value: value, batch: batch})
	}
	return c, nil
}

// run makes requests GETs on all connections together.
func (c *cache) run(requests int) error {
	errs := make(chan error, len(c.readers))
	for _, r := range c.readers {
		go func() { errs <- r.run(requests / len(c.readers)) }()
	}
	var err error
	for range c.readers {
		err = errors.Join(err, <-errs)
	}
	return err
}

// counts returns the sums over all connections.
func (c *cache) counts() (gets, sets, hits int) {
	for _, r := range c.readers {
		gets, sets, hits = gets+r.gets, sets+r.sets, hits+r.hits
	}
	return gets, sets, hits
}

func (b *bench) evictHits() error {
	b.evictHeader("hit rate in per cent of %d million requests after as many that warm up, keys out of %d million; %s with %s samples",
		b.evictRequests/2_000_000, b.evictKeys/1_000_000, b.report.Names[1], evictSamples)
	for _, p := range evictPatterns {
		if !slices.Contains(b.evictPatterns, p.name) {
			continue
		}
		z := newZipf(b.evictKeys, p.s)
		for _, percent := range b.evictRooms {
			for _, policy := range b.evictPolicies {
				r := evictionResult{What: fmt.Sprintf("Zipf %.1f%s, room for %d %%, %s", p.s, map[bool]string{true: " and a scan"}[p.scan], percent, policy)}
				if err := b.evictHitsOf(&r, p, z, b.evictKeys/100*percent, policy); err != nil {
					return fmt.Errorf("%s: %w", r.What, err)
				}
				b.evictRow(r)
			}
		}
	}
	return nil
}

func (b *bench) evictHitsOf(r *evictionResult, p evictPattern, z *zipf, room int, policy string) error {
	var caches [2]*cache
	for who, sub := range b.subjects {
		args := []string{"--maxmemory-policy", policy}
		if who == 1 {
			args = append(args, "--maxmemory-samples", evictSamples)
		}
		c, err := b.newCache(sub, room, evictConns, evictBatch, z, p.scan, args...)
		if err != nil {
			return err
		}
		defer c.end()
		caches[who] = c
	}
	var gets, hits [2]int
	for done := 0; done < b.evictRequests; done += evictChunk {
		if done == b.evictRequests/2/evictChunk*evictChunk {
			for who, c := range caches {
				gets[who], _, hits[who] = c.counts()
			}
		}
		errs := make(chan error, 2)
		for _, c := range caches {
			go func() { errs <- c.run(evictChunk) }()
		}
		if err := errors.Join(<-errs, <-errs, b.ctx.Err()); err != nil {
			return err
		}
	}
	for who, c := range caches {
		allGets, _, allHits := c.counts()
		r.Values[who] = 100 * float64(allHits-hits[who]) / float64(allGets-gets[who])
		size, err := c.ctl.Do("DBSIZE")
		if err != nil {
			return err
		}
		r.Rounds[who] = []float64{float64(size.Int())}
	}
	return nil
}

func (b *bench) evictCPU() error {
	const pipeline, percent = 16, 10
	b.evictHeader("CPU µs a request (GETs and SETs) of the loop, Zipf 1.0, room for %d %% of %d million keys, %d connections, pipeline %d, median of %d rounds",
		percent, b.evictKeys/1_000_000, b.clients, pipeline, b.rounds)
	z := newZipf(b.evictKeys, 1)
	for _, policy := range b.evictPolicies {
		r := evictionResult{What: "read-through loop, " + policy}
		var caches [2]*cache
		for who, sub := range b.subjects {
			c, err := b.newCache(sub, b.evictKeys/100*percent, b.clients, pipeline, z, false, "--maxmemory-policy", policy)
			if err != nil {
				return err
			}
			defer c.end()
			caches[who] = c
			if err := c.run(1_000_000); err != nil {
				return err
			}
		}
		share := 0.0
		for i := range b.rounds {
			for j := range 2 {
				c := caches[(i+j)%2]
				gets, sets, _ := c.counts()
				before, err := c.s.CPU()
				if err != nil {
					return err
				}
				if err := c.run(b.evictCPURequests); err != nil {
					return err
				}
				after, err := c.s.CPU()
				if err != nil {
					return err
				}
				allGets, allSets, _ := c.counts()
				who := (i + j) % 2
				r.Rounds[who] = append(r.Rounds[who], micros(after-before)/float64(allGets-gets+allSets-sets))
				share = float64(allSets-sets) / float64(allGets-gets)
			}
		}
		for who, c := range caches {
			r.Values[who] = medianOf(r.Rounds[who], func(f float64) float64 { return f })
			c.end()
		}
		r.What += fmt.Sprintf(" (%.0f %% misses)", 100*share)
		b.evictRow(r)
	}
	return nil
}

// evictLoads are the kinds of load beside the paced client.
var evictLoads = []struct {
	name string
	rate int // SETs a second; 0 = as many as the server takes
}{{"20,000 SET/s beside it", 20_000}, {"SETs at pipeline 16 without a pause beside it", 0}}

func (b *bench) evictPaced() error {
	b.evictHeader("latency in µs of a paced client, %d requests a second for %d s, while new keys evict old ones, %d million keys", b.rate, b.seconds,
		b.evictKeys/2_000_000)
	var caches [2]*cache
	for who, sub := range b.subjects {
		c, err := b.newCache(sub, b.evictKeys/2, 0, 0, nil, false, "--maxmemory-policy", "allkeys-lru")
		if err != nil {
			return err
		}
		defer c.end()
		caches[who] = c
	}
	// The writers share this process with the paced client: enough processors that it waits for none of them.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for _, load := range evictLoads {
		var latency, lags [2][]time.Duration
		for round := range latencyRounds {
			for j := range 2 {
				who := (round + j) % 2
				c := caches[who]
				ctx, cancel := context.WithCancel(b.ctx)
				ended := make(chan error, mixedConns)
				for range mixedConns {
					go func() { ended <- freshSets(ctx, c.s, load.rate/mixedConns) }()
				}
				time.Sleep(300 * time.Millisecond)
				lat, lag, err := paced(c.s.Addr, [][]byte{harness.AppendCommand(nil, "PING")}, len("+PONG\r\n"), b.rate, b.rate*b.seconds/latencyRounds,
					time.Now().Add(pacedLead))
				cancel()
				for range mixedConns {
					err = errors.Join(err, <-ended)
				}
				if err != nil {
					return err
				}
				latency[who] = append(latency[who], lat...)
				lags[who] = append(lags[who], lag...)
			}
		}
		p := [2]percentiles{percentilesOf(latency[0]), percentilesOf(latency[1])}
		own := [2]float64{percentilesOf(lags[0]).P999, percentilesOf(lags[1]).P999}
		for _, q := range []struct {
			name string
			of   func(percentiles) float64
		}{{"p50", func(p percentiles) float64 { return p.P50 }}, {"p99", func(p percentiles) float64 { return p.P99 }},
			{"p99.9", func(p percentiles) float64 { return p.P999 }}, {"worst", func(p percentiles) float64 { return p.Max }}} {
			b.evictRow(evictionResult{What: load.name + ", " + q.name, Values: [2]float64{q.of(p[0]), q.of(p[1])}})
		}
		b.evictRow(evictionResult{What: load.name + ", the client's own delay before it sends, p99.9", Values: own})
	}
	return nil
}

// nextFresh is the number of the next key that no server has had.
var nextFresh atomic.Int64

// freshSets writes new keys at a rate (0 = without a pause), in packets of 16, until the context ends.
func freshSets(ctx context.Context, s *harness.Server, rate int) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	const batch = 16
	value := strings.Repeat("v", evictValue)
	var buf []byte
	due := time.Now()
	for ctx.Err() == nil {
		if rate > 0 {
			due = due.Add(batch * time.Second / time.Duration(rate))
			time.Sleep(time.Until(due))
		}
		buf = buf[:0]
		for range batch {
			buf = appendRequest(buf, "SET", 1_000_000_000+int(nextFresh.Add(1)), value)
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if text, err := c.Skip(batch); err != nil || text != "" {
			return fmt.Errorf("SET: %v %s", err, text)
		}
	}
	return nil
}

// mixedSize draws the size of a value: most are small, some are large, all from 32 B to 100 KB occur.
func mixedSize(rnd *rand.Rand) int {
	low, high := 32.0, 512.0
	switch n := rnd.IntN(100); {
	case n == 0:
		low, high = 8192, 100_000
	case n < 10:
		low, high = 512, 8192
	}
	return int(low * math.Pow(high/low, rnd.Float64()))
}

func (b *bench) evictResident() error {
	b.evictHeader("resident memory over maxmemory (%d MiB), %.1f million writes of 32 B to 100 KB", mixedLimit>>20, float64(b.evictWrites)/1e6)
	full := evictionResult{What: "while the second half is written, highest"}
	mean := evictionResult{What: "mean"}
	saving := evictionResult{What: "with BGSAVE running, highest"}
	took := evictionResult{What: "BGSAVE, seconds"}
	for who, sub := range b.subjects {
		err := func() error {
			s, err := b.start(sub, "--maxmemory", strconv.Itoa(mixedLimit), "--maxmemory-policy", "allkeys-lru")
			if err != nil {
				return err
			}
			defer s.Kill()
			ctl, err := s.Connect()
			if err != nil {
				return err
			}
			defer func() { _ = ctl.Close() }()
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			var written atomic.Int64
			ended := make(chan error, mixedConns)
			for i := range mixedConns {
				go func() { ended <- b.mixedSets(ctx, s, uint64(i), &written) }()
			}
			highest, sum, n := 0.0, 0.0, 0
			for written.Load() < int64(b.evictWrites) {
				select {
				case err := <-ended:
					return errors.Join(err, errors.New("a writer has ended"))
				case <-time.After(100 * time.Millisecond):
				}
				mem, err := familyMemory(s.PID())
				if err != nil {
					return err
				}
				if written.Load() > int64(b.evictWrites)/2 {
					highest, sum, n = max(highest, mem), sum+mem, n+1
				}
			}
			full.Values[who], mean.Values[who] = highest*(1<<20)/mixedLimit, sum/float64(n)*(1<<20)/mixedLimit
			began := time.Now()
			if err := bgsave(ctl); err != nil {
				return err
			}
			highest = 0
			for done := false; !done; {
				mem, err := familyMemory(s.PID())
				if err != nil {
					return err
				}
				highest = max(highest, mem)
				time.Sleep(20 * time.Millisecond)
				if done, err = saved(ctl); err != nil {
					return err
				}
			}
			took.Values[who] = time.Since(began).Seconds()
			saving.Values[who] = highest * (1 << 20) / mixedLimit
			cancel()
			for range mixedConns {
				err = errors.Join(err, <-ended)
			}
			return err
		}()
		if err != nil {
			return fmt.Errorf("%s: %w", sub.name, err)
		}
	}
	for _, r := range []evictionResult{full, mean, saving, took} {
		b.evictRow(r)
	}
	return nil
}

// mixedSets writes values of all sizes to keys of which there are more than have room, until the context ends.
func (b *bench) mixedSets(ctx context.Context, s *harness.Server, seed uint64, written *atomic.Int64) error {
	c, err := s.Connect()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	rnd := rand.New(rand.NewPCG(9, seed))
	bytesOf := strings.Repeat("0123456789abcdef", 100_000/16+1)
	const batch = 50
	var buf []byte
	for ctx.Err() == nil {
		buf = buf[:0]
		for range batch {
			buf = appendRequest(buf, "SET", rnd.IntN(b.evictKeys), bytesOf[:mixedSize(rnd)])
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if text, err := c.Skip(batch); err != nil || text != "" {
			return fmt.Errorf("SET: %v %s", err, text)
		}
		written.Add(batch)
	}
	return nil
}

func (b *bench) evictShrink() error {
	b.evictHeader("CONFIG SET maxmemory to a tenth, %d million keys, median of %d rounds", b.evictKeys/1_000_000, b.rounds)
	worst := evictionResult{What: "worst latency in ms of a paced client"}
	took := evictionResult{What: "seconds until memory is below the limit"}
	for i := range b.rounds {
		for j := range 2 {
			who := (i + j) % 2
			ms, seconds, err := b.shrinkRound(b.subjects[who])
			if err != nil {
				return fmt.Errorf("%s: %w", b.report.Names[who], err)
			}
			worst.Rounds[who] = append(worst.Rounds[who], ms)
			took.Rounds[who] = append(took.Rounds[who], seconds)
		}
	}
	for _, r := range []evictionResult{worst, took} {
		for who := range 2 {
			r.Values[who] = medianOf(r.Rounds[who], func(f float64) float64 { return f })
		}
		b.evictRow(r)
	}
	return nil
}

func (b *bench) shrinkRound(sub subject) (worst, seconds float64, err error) {
	c, err := b.newCache(sub, b.evictKeys, 0, 0, nil, false, "--maxmemory-policy", "allkeys-lru")
	if err != nil {
		return 0, 0, err
	}
	defer c.end()
	info, err := c.ctl.Info("memory")
	if err != nil {
		return 0, 0, err
	}
	limit, err := strconv.Atoi(info["maxmemory"])
	if err != nil {
		return 0, 0, err
	}
	limit /= 10
	type result struct {
		latency []time.Duration
		err     error
	}
	done := make(chan result, 1)
	var below atomic.Bool // memory is below the limit
	go func() {
		var all result
		for last := false; !last && all.err == nil; {
			last = below.Load()
			var lat []time.Duration
			lat, _, all.err = paced(c.s.Addr, [][]byte{harness.AppendCommand(nil, "PING")}, len("+PONG\r\n"), b.rate, 2*b.rate,
				time.Now().Add(pacedLead))
			all.latency = append(all.latency, lat...)
		}
		done <- all
	}()
	time.Sleep(500 * time.Millisecond)
	began := time.Now()
	if _, err := c.ctl.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(limit)); err != nil {
		return 0, 0, err
	}
	// What the buffers of clients take comes and goes, so a server may be a little over its limit each time that it is asked:
	// it says itself when it has done enough.
	for seconds == 0 {
		if info, err = c.ctl.Info(""); err != nil {
			return 0, 0, err
		}
		used, err := strconv.Atoi(info["used_memory"])
		if err != nil {
			return 0, 0, err
		}
		if used <= limit+limit/50 && info["current_eviction_exceeded_time"] == "0" {
			seconds = time.Since(began).Seconds()
		} else if time.Since(began) > 2*time.Minute {
			return 0, 0, fmt.Errorf("used_memory is still %d of %d", used, limit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	below.Store(true)
	r := <-done
	if r.err != nil {
		return 0, 0, r.err
	}
	for _, d := range r.latency {
		worst = max(worst, micros(d)/1000)
	}
	return worst, seconds, nil
}
