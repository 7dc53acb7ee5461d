package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ferrous/tests/harness"
)

// metricsResult is what a scrape of /metrics costs, in microseconds.
type metricsResult struct {
	Keys    int         `json:"keys"`
	Bytes   int         `json:"bytes"`
	LoopUs  percentiles `json:"loop_us"`  // for which the loop was held, as the server measures it
	WholeUs percentiles `json:"whole_us"` // until the scraper has the text
}

// scrapes is how many scrapes are measured. The load beside them is redis-benchmark's.
const scrapes = 200

// metricsSection measures scrapes of ours with few keys and with many.
func (b *bench) metricsSection() error {
	fmt.Printf("\n## Metrics: %d scrapes of /metrics, one each 20 ms, beside redis-benchmark SET -P 16; µs\n\n", scrapes)
	fmt.Println("| keys | bytes | loop held, p50 | p99 | max | whole scrape, p50 | p99 |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, keys := range []int{1000, 2_000_000} {
		r, err := b.scrapeCost(keys)
		if err != nil {
			return err
		}
		b.report.Metrics = append(b.report.Metrics, r)
		fmt.Printf("| %d | %d | %.0f | %.0f | %.0f | %.0f | %.0f |\n", r.Keys, r.Bytes, r.LoopUs.P50, r.LoopUs.P99, r.LoopUs.Max,
			r.WholeUs.P50, r.WholeUs.P99)
	}
	return nil
}

func (b *bench) scrapeCost(keys int) (r metricsResult, err error) {
	port, err := harness.FreePort()
	if err != nil {
		return r, err
	}
	s, err := b.start(b.subjects[0], "--metrics-port", strconv.Itoa(port))
	if err != nil {
		return r, err
	}
	defer s.Kill()
	c, err := s.Connect()
	if err != nil {
		return r, err
	}
	defer func() { _ = c.Close() }()
	err = pipelined(c, keys, func(dst []byte, i int) []byte {
		return harness.AppendCommand(dst, "SET", fmt.Sprintf("key:%012d", i), "v")
	})
	if err != nil {
		return r, err
	}
	// Many commands have histograms: all that a client can call without harm.
	for _, words := range [][]string{{"GET", "a"}, {"INCR", "b"}, {"LPUSH", "l", "1"}, {"RPUSH", "l", "1"}, {"LPOP", "l"}, {"RPOP", "l"}, {"SADD", "s", "1"},
		{"SPOP", "s"}, {"HSET", "h", "a", "1"}, {"HGET", "h", "a"}, {"HGETALL", "h"}, {"ZADD", "z", "1", "a"}, {"ZPOPMIN", "z"}, {"LRANGE", "l", "0", "9"},
		{"MSET", "m", "1"}, {"MGET", "m"}, {"EXPIRE", "m", "100"}, {"TTL", "m"}, {"DEL", "m"}, {"EXISTS", "m"}, {"TYPE", "m"}, {"SCAN", "0"}, {"PING"}, {"INFO"},
		{"CLIENT", "LIST"}, {"CONFIG", "GET", "save"}, {"XADD", "x", "*", "a", "1"}, {"XRANGE", "x", "-", "+"}, {"EVAL", "return 1", "0"}, {"DBSIZE"}} {
		c.Must(words...)
	}
	stop, err := b.startLoad(s, "saturated")
	if err != nil {
		return r, err
	}
	var loop, whole []time.Duration
	for range scrapes + 1 {
		began := time.Now()
		text, err := fetch(port)
		if err != nil {
			return r, errors.Join(err, stop())
		}
		took := time.Since(began)
		_, rest, _ := strings.Cut(text, "\nferrous_scrape_loop_seconds ")
		line, _, _ := strings.Cut(rest, "\n")
		held, err := strconv.ParseFloat(line, 64) // of the scrape before
		if err != nil {
			return r, errors.Join(err, stop())
		}
		if held > 0 {
			loop, whole = append(loop, time.Duration(held*1e9)), append(whole, took)
		}
		r.Bytes = len(text)
		time.Sleep(20 * time.Millisecond)
	}
	r.Keys, r.LoopUs, r.WholeUs = keys, percentilesOf(loop), percentilesOf(whole)
	return r, stop()
}

func fetch(port int) (string, error) {
	answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
