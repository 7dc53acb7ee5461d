package main

import (
	"crypto/sha1"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"ferrous/tests/harness"
)

// The jobs section runs jobs through the scripts add, take, lock and finish, which do what those of a queue library do: they
// keep a job in a hash, its id in lists and a sorted set, a lock with a deadline, a counter that limits the rate, and
// add each step to a stream that one client reads.

//go:embed scripts
var scriptFiles embed.FS

const (
	scriptJobs   = 20_000 // of a round
	jobProducers = 10
	jobWorkers   = 20
	jobPrefix    = "bull:mail:"
)

// jobScript is one of the scripts, with the head of the request that calls it: EVALSHA, SHA1, number of keys, keys.
type jobScript struct {
	body string
	head []string
}

func newJobScript(name string, keys ...string) (jobScript, error) {
	body, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		return jobScript{}, err
	}
	sum := sha1.Sum(body)
	s := jobScript{string(body), []string{"EVALSHA", hex.EncodeToString(sum[:]), strconv.Itoa(len(keys))}}
	for _, k := range keys {
		s.head = append(s.head, jobPrefix+k)
	}
	return s, nil
}

// call appends arguments to the head.
func (s jobScript) call(args ...string) []string { return slices.Concat(s.head, args) }

func (b *bench) jobsSection() error {
	servers, end, err := b.both()
	if err != nil {
		return err
	}
	defer end()
	fmt.Printf("\n## Jobs through the scripts of a queue: CPU a job, %d producers, %d workers, median of %d rounds (to reach: 0.90)\n\n",
		jobProducers, jobWorkers, b.rounds)
	fmt.Printf("| what | CPU µs %s | CPU µs %s | ratio |\n| --- | ---: | ---: | ---: |\n", b.report.Names[0], b.report.Names[1])
	for _, batch := range []int{1, 20} {
		w := sessionWork{fmt.Sprintf("%d jobs, added %d in a packet", scriptJobs, batch), "job", scriptJobs,
			func(s *harness.Server) (scene, error) { return newQueue(s, batch) }}
		r := sessionResult{What: w.what, Unit: w.unit, Count: w.count}
		if err := b.sessionRounds(servers, w, &r); err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
		b.report.Jobs = append(b.report.Jobs, r)
		fmt.Printf("| %s | %.2f | %.2f | **%.2f** |\n", w.what, r.Micros[0], r.Micros[1], r.Ratio)
	}
	return nil
}

// queue is one run of the section: its scripts, and the connections of those who take part.
type queue struct {
	batch                   int // requests of a producer in one packet
	add, take, lock, finish jobScript
	producers, workers      []*harness.Conn
	listener                *harness.Conn
	listening               sync.WaitGroup
	ctl                     *harness.Conn
}

func newQueue(s *harness.Server, batch int) (scene, error) {
	q := &queue{batch: batch}
	for _, x := range []struct {
		script *jobScript
		name   string
		keys   []string
	}{
		{&q.add, "add", []string{"wait", "paused", "meta", "id", "prioritized", "marker", "events"}},
		{&q.take, "take", []string{"wait", "active", "prioritized", "events", "stalled", "limiter", "delayed", "paused", "meta",
			"pc", "marker"}},
		{&q.lock, "lock", nil},
		{&q.finish, "finish", nil},
	} {
		script, err := newJobScript(x.name, x.keys...)
		if err != nil {
			return scene{}, err
		}
		*x.script = script
	}
	for _, list := range []struct {
		conns *[]*harness.Conn
		n     int
	}{{&q.producers, jobProducers}, {&q.workers, jobWorkers}} {
		for range list.n {
			c, err := s.Connect()
			if err != nil {
				q.end()
				return scene{}, err
			}
			*list.conns = append(*list.conns, c)
		}
	}
	var err error
	if q.ctl, err = s.Connect(); err != nil {
		q.end()
		return scene{}, err
	}
	if q.listener, err = s.Connect(); err != nil {
		q.end()
		return scene{}, err
	}
	q.listening.Add(1)
	go q.listen()
	return scene{prepare: q.prepare, round: q.round, end: q.end}, nil
}

func (q *queue) end() {
	for _, c := range append(slices.Concat(q.producers, q.workers), q.ctl, q.listener) {
		if c != nil {
			_ = c.Close()
		}
	}
	q.listening.Wait()
}

// listen reads the stream of events until the connection is closed.
func (q *queue) listen() {
	defer q.listening.Done()
	last := "$"
	for {
		v, err := q.listener.Do("XREAD", "BLOCK", "500", "STREAMS", jobPrefix+"events", last)
		if err != nil {
			return
		}
		if v.Null || len(v.Elems) == 0 {
			continue
		}
		entries := v.Elems[0].Elems[1].Elems
		last = entries[len(entries)-1].Elems[0].Str
	}
}

func (q *queue) prepare() error {
	if _, err := q.ctl.Do("FLUSHALL"); err != nil {
		return err
	}
	for _, s := range []jobScript{q.add, q.take, q.lock, q.finish} {
		if v, err := q.ctl.Do("SCRIPT", "LOAD", s.body); err != nil || v.IsError() {
			return fmt.Errorf("SCRIPT LOAD: %s %w", v, err)
		}
	}
	return nil
}

// round adds all jobs and works on them meanwhile.
func (q *queue) round() error {
	errs := make(chan error, len(q.producers)+len(q.workers))
	for _, c := range q.producers {
		go func() { errs <- q.produce(c, scriptJobs/jobProducers) }()
	}
	var left sync.WaitGroup
	left.Add(scriptJobs)
	done := make(chan struct{})
	go func() { left.Wait(); close(done) }()
	for i, c := range q.workers {
		go func() { errs <- q.work(c, fmt.Sprintf("worker:%d", i), &left, done) }()
	}
	var err error
	for range cap(errs) {
		err = errors.Join(err, <-errs)
		if err != nil {
			return err
		}
	}
	v, err := q.ctl.Do("ZCARD", jobPrefix+"completed")
	if err == nil && v.Int() != keptJobs {
		err = fmt.Errorf("%s jobs are kept, not %d", v, keptJobs)
	}
	return err
}

// jobClock is the time that the scripts get as an argument, in ms.
const jobClock = 1700000000000

// keptJobs is the number of completed jobs that the scripts keep.
const keptJobs = 1000

func (q *queue) produce(c *harness.Conn, n int) error {
	settings := string(packed(nil, []any{jobPrefix, "send-email", jobClock, ""}))
	data := `{"to":"somebody@example.com","subject":"Your order 4711","template":"orders/shipped","locale":"en",` +
		`"items":[{"sku":"A-1","n":2,"price":19.99},{"sku":"B-2","n":1,"price":5}],"tags":["mail","order","shipped"]}`
	opts := string(packed(nil, map[string]any{"attempts": 3, "delay": 0, "removeOnComplete": true,
		"backoff": map[string]any{"type": "exponential", "delay": 1000}}))
	one := harness.AppendCommand(nil, q.add.call(settings, data, opts)...)
	packet := slices.Repeat(one, q.batch)
	for range n / q.batch {
		if _, err := c.Write(packet); err != nil {
			return err
		}
		if text, err := c.Skip(q.batch); err != nil || text != "" {
			return fmt.Errorf("add: %s %w", text, err)
		}
	}
	return nil
}

func (q *queue) work(c *harness.Conn, token string, left *sync.WaitGroup, done chan struct{}) error {
	taking := string(packed(nil, map[string]any{"token": token, "lockDuration": 30_000, "name": token,
		"limiter": map[string]any{"max": 1_000_000_000, "duration": 1000}}))
	take := q.take.call(jobPrefix, strconv.Itoa(jobClock), taking)
	finishing := string(packed(nil, map[string]any{"token": token, "keepJobs": map[string]any{"count": keptJobs}, "attempts": 3,
		"maxMetricsSize": 60}))
	do := func(what string, args []string) (harness.Value, error) {
		v, err := c.Do(args...)
		if err == nil && v.IsError() {
			err = errors.New(v.Str)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", what, err)
		}
		return v, err
	}
	for {
		select {
		case <-done:
			return nil
		default:
		}
		v, err := do("take", take)
		if err != nil {
			return err
		}
		if len(v.Elems) < 2 || v.Elems[1].Str == "0" {
			time.Sleep(time.Millisecond)
			continue
		}
		id := v.Elems[1].Str
		job := jobPrefix + id
		lock := []string{q.lock.head[0], q.lock.head[1], "2", job + ":lock", jobPrefix + "stalled", token, "30000", id}
		if v, err = do("lock", lock); err != nil || v.Int() != 1 {
			return fmt.Errorf("lock of job %s: %s %w", id, v, err)
		}
		finish := []string{q.finish.head[0], q.finish.head[1], "9"}
		for _, k := range []string{"active", "completed", "failed", "events", "stalled", "meta", "metrics:completed", id, "marker"} {
			finish = append(finish, jobPrefix+k)
		}
		finish = append(finish, id, strconv.Itoa(jobClock), "returnvalue", `{"sent":true,"ms":12}`, "completed", jobPrefix, finishing)
		if v, err = do("finish", finish); err != nil || v.Int() != 0 {
			return fmt.Errorf("finish of job %s: %s %w", id, v, err)
		}
		left.Done()
	}
}

// packed appends a value in MessagePack: a string, an int, a bool, a list or a map.
func packed(dst []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(append(dst, 0xd9, byte(len(v))), v...)
	case int:
		return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(float64(v)))
	case bool:
		if v {
			return append(dst, 0xc3)
		}
		return append(dst, 0xc2)
	case []any:
		dst = append(dst, 0x90|byte(len(v)))
		for _, e := range v {
			dst = packed(dst, e)
		}
		return dst
	case map[string]any:
		dst = append(dst, 0x80|byte(len(v)))
		for k, e := range v {
			dst = packed(packed(dst, k), e)
		}
		return dst
	}
	panic(fmt.Sprintf("%T cannot be packed", v))
}
