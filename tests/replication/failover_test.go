package replication

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferrous/tests/harness"
)

// pair are two servers that hand the role of the master over to each other.
type pair struct {
	servers [2]*harness.Server
	master  atomic.Int32 // the one that writers are to ask, as far as is known
}

// acked is a write that was answered with OK.
type acked struct {
	key string
	at  time.Time
	by  int // the server
}

// write sets key after key on the master until stop is closed, and returns the writes that were acknowledged.
func (p *pair) write(name string, stop <-chan struct{}) (done []acked, err error) {
	var conns [2]*harness.Conn
	for i, s := range p.servers {
		if conns[i], err = s.Connect(); err != nil {
			return nil, err
		}
		defer conns[i].Close()
	}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return done, nil
		default:
		}
		key := fmt.Sprintf("%s:%d", name, n)
		who := int(p.master.Load())
		v, err := conns[who].Do("SET", key, key)
		switch {
		case err != nil:
			return done, err
		case v.Str == "OK":
			done = append(done, acked{key, time.Now(), who})
		case strings.HasPrefix(v.Str, "READONLY"):
			// The other server has the role, or is about to take it.
			p.master.CompareAndSwap(int32(who), int32(1-who))
		default:
			return done, fmt.Errorf("SET: %s", v.Str)
		}
	}
}

// TestFailover: the role of the master goes to and fro by FAILOVER while clients write. No acknowledged write is lost. How long writes
// stood still is logged: for each change of roles the longest time in which no write was acknowledged.
func TestFailover(t *testing.T) {
	switches := 10
	if harness.Stress() {
		switches = 100
	}
	p := &pair{servers: [2]*harness.Server{start(t, "ferrous"), start(t, "ferrous")}}
	follow(t, p.servers[1], p.servers[0].Port)
	linkUp(t, p.servers[1])
	stop := make(chan struct{})
	var running sync.WaitGroup
	written := make([][]acked, 8)
	for i := range written {
		running.Go(func() {
			var err error
			if written[i], err = p.write(fmt.Sprintf("writer%d", i), stop); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	var began, ended []time.Time
	for i := range switches {
		from, to := p.servers[i%2], p.servers[1-i%2]
		until(t, "the replica is online", func() bool {
			return strings.Contains(field(t, from, "replication", "slave0"), "state=online")
		})
		n := intField(t, from, "replication", "master_repl_offset")
		until(t, "writes go on", func() bool { return intField(t, from, "replication", "master_repl_offset") > n+2000 })
		c := from.Dial(t)
		began = append(began, time.Now())
		if v, err := c.Do("FAILOVER"); err != nil || v.Str != "OK" {
			t.Fatalf("FAILOVER %d: %s, %v", i, v.Str, err)
		}
		until(t, "the roles have changed", func() bool {
			return field(t, to, "replication", "role") == "master" && field(t, from, "replication", "master_failover_state") == "no-failover" &&
				field(t, from, "replication", "role") == "slave"
		})
		ended = append(ended, time.Now())
	}
	close(stop)
	running.Wait()
	master, replica := p.servers[switches%2], p.servers[1-switches%2]
	converge(t, master, replica)

	all := slices.Concat(written...)
	slices.SortFunc(all, func(a, b acked) int { return a.at.Compare(b.at) })
	c := master.Dial(t)
	for part := range slices.Chunk(all, 1000) {
		var buf []byte
		for _, w := range part {
			buf = harness.AppendCommand(buf, "GET", w.key)
		}
		if _, err := c.Write(buf); err != nil {
			t.Fatal(err)
		}
		for _, w := range part {
			if v, err := c.Read(); err != nil || v.Str != w.key {
				t.Fatalf("%s was acknowledged by server %d and is lost (%v %v)", w.key, w.by, v, err)
			}
		}
	}
	if full := intField(t, p.servers[0], "stats", "sync_full") + intField(t, p.servers[1], "stats", "sync_full"); full != 1 {
		t.Errorf("%d full synchronisations", full)
	}

	gaps := make([]time.Duration, switches)
	for i := 1; i < len(all); i++ {
		from, to := all[i-1].at, all[i].at
		for j := range gaps {
			if to.After(began[j]) && from.Before(ended[j]) {
				gaps[j] = max(gaps[j], to.Sub(from))
			}
		}
	}
	slices.Sort(gaps)
	at := func(percent int) time.Duration {
		return gaps[(len(gaps)*percent+99)/100-1].Round(10 * time.Microsecond)
	}
	t.Logf("%d changes of roles, %d acknowledged writes; writes stood still for p50 %v, p90 %v, p99 %v, at most %v",
		switches, len(all), at(50), at(90), at(99), at(100))
}
