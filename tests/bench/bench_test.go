package main

import (
	"testing"
	"time"

	"ferrous/tests/harness"
)

func TestPercentiles(t *testing.T) {
	var list []time.Duration
	for i := 1000; i >= 1; i-- {
		list = append(list, time.Duration(i)*time.Microsecond)
	}
	got := percentilesOf(list)
	want := percentiles{P50: 500, P90: 900, P99: 990, P999: 999, Max: 1000}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := percentilesOf(nil); got != (percentiles{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestMedian(t *testing.T) {
	same := func(f float64) float64 { return f }
	for _, c := range []struct {
		list []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := medianOf(c.list, same); got != c.want {
			t.Errorf("median of %v: %v, want %v", c.list, got, c.want)
		}
	}
}

// The paced client and the expiry measurement are run shortly against a redis-server: they must count every request and
// every key. What they measure is not judged.
func TestMeasurementsCount(t *testing.T) {
	s := harness.StartRedis(t)
	b := &bench{ctx: t.Context(), dataSize: 3, keyspace: 100, clients: 2, rate: 1000, dueKeys: 20}
	set, err := b.benchTest("set")
	if err != nil {
		t.Fatal(err)
	}
	if err := preload(s, set, b.keyspace); err != nil {
		t.Fatal(err)
	}
	latency, lag, err := b.pacedRound(s, set, "paced", 50)
	if err != nil {
		t.Fatal(err)
	}
	if len(latency) != 50 || len(lag) != 50 {
		t.Errorf("%d latencies, %d lags of 50 requests", len(latency), len(lag))
	}
	for i, l := range latency {
		if l <= 0 || l < lag[i] {
			t.Errorf("request %d: latency %v, sent %v late", i, l, lag[i])
		}
	}
	lags, least, err := b.expiryLags(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(lags) != b.dueKeys || len(least) != b.dueKeys {
		t.Errorf("%d of %d keys seen expiring, %d lower bounds", len(lags), b.dueKeys, len(least))
	}
	for i := range lags {
		if lags[i] < least[i] {
			t.Errorf("key %d: counted at most %v late and at least %v", i, lags[i], least[i])
		}
	}
}
