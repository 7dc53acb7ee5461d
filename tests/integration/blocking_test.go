package integration

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Jobs go to workers of which some are lost at any moment, by closing their connection or by CLIENT KILL: no job is
// delivered twice, and none is missing but for at most the one that each lost worker had been given.
func TestJobsToDyingWorkers(t *testing.T) {
	jobs, workers := 60_000, 200
	if harness.Stress() {
		jobs, workers = 1_000_000, 1000
	}
	if err := harness.RaiseOpenFiles(uint64(4*workers + 1000)); err != nil {
		t.Skip(err)
	}
	seed := random.Seed(t)
	s := harness.StartFerrous(t)
	delivered := make([]atomic.Int32, jobs)
	var lost, done atomic.Int64
	var stop atomic.Bool
	var group sync.WaitGroup
	for w := range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			var c *harness.Conn
			for !stop.Load() {
				if c == nil {
					var err error
					if c, err = harness.DialConn("tcp", s.Addr, time.Minute); err != nil {
						t.Error(err)
						return
					}
				}
				if err := c.Send("BLPOP", "high", "jobs", "0.5"); err != nil {
					t.Error(err)
					return
				}
				if rnd.IntN(100) == 0 {
					time.Sleep(time.Duration(rnd.IntN(300)) * time.Microsecond)
					if rnd.IntN(2) == 0 {
						killSelf(s, c)
					}
					_ = c.Close()
					c = nil
					lost.Add(1)
					continue
				}
				v, err := c.Read()
				if err != nil {
					t.Error(err)
					return
				}
				if v.Null {
					continue
				}
				id, err := strconv.Atoi(v.Elems[1].Str)
				if err != nil || id < 0 || id >= jobs {
					t.Errorf("a job that nobody sent: %q", v.Elems[1].Str)
					return
				}
				delivered[id].Add(1)
				done.Add(1)
			}
			if c != nil {
				_ = c.Close()
			}
		}()
	}
	var producers sync.WaitGroup
	for from := range 2 {
		c := s.Dial(t)
		producers.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(workers+from)))
			for id := from; id < jobs; {
				args := []string{"RPUSH", "jobs"}
				if rnd.IntN(4) == 0 {
					args[1] = "high"
				}
				for n := 1 + rnd.IntN(4); n > 0 && id < jobs; n, id = n-1, id+2 {
					args = append(args, strconv.Itoa(id))
				}
				if v, err := c.Do(args...); err != nil || v.IsError() {
					t.Error(v, err)
					return
				}
			}
		})
	}
	// When all jobs are sent and the queues are empty, each job is on its way to a worker, who reads it before it stops.
	producers.Wait()
	admin := s.Dial(t)
	eventually(t, "empty queues", func() bool { return admin.Must("EXISTS", "high", "jobs").Int() == 0 })
	stop.Store(true)
	group.Wait()
	missing := int64(0)
	for id := range delivered {
		switch n := delivered[id].Load(); {
		case n > 1:
			t.Errorf("job %d was delivered %d times", id, n)
		case n == 0:
			missing++
		}
	}
	if missing > lost.Load() {
		t.Errorf("%d jobs are missing, %d workers were lost", missing, lost.Load())
	}
	t.Logf("%d jobs delivered, %d workers lost, %d jobs lost with them", done.Load(), lost.Load(), missing)
	eventually(t, "nobody to wait", func() bool { return field(t, admin, "clients", "blocked_clients") == "0" })
	if n := field(t, admin, "clients", "total_blocking_keys"); n != "0" {
		t.Errorf("%s queues are left without clients", n)
	}
}

// killSelf ends a connection from the server's side.
func killSelf(s *harness.Server, c *harness.Conn) {
	if k, err := harness.DialConn("tcp", s.Addr, time.Minute); err == nil {
		_, _ = k.Do("CLIENT", "KILL", "ADDR", c.Net().LocalAddr().String())
		_ = k.Close()
	}
}

func field(t *testing.T, c *harness.Conn, section, name string) string {
	t.Helper()
	info, err := c.Info(section)
	if err != nil {
		t.Fatal(err)
	}
	return info[name]
}

// A timeout comes not before its time, whatever timeouts were set before and after it, and each of many on its own.
func TestTimeouts(t *testing.T) {
	s := harness.StartFerrous(t)
	var group sync.WaitGroup
	for i := range 50 {
		group.Add(1)
		go func() {
			defer group.Done()
			c, err := harness.DialConn("tcp", s.Addr, time.Minute)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			ms := 1 + (i*37)%200
			begun := time.Now()
			v, err := c.Do("BLPOP", "none", strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64))
			if took := time.Since(begun); err != nil || !v.Null || took < time.Duration(ms-1)*time.Millisecond {
				t.Errorf("%d ms: %v %v after %v", ms, v, err, took)
			}
		}()
	}
	group.Wait()
	admin := s.Dial(t)
	for _, name := range []string{"blocked_clients", "clients_in_timeout_table", "total_blocking_keys"} {
		if v := field(t, admin, "clients", name); v != "0" {
			t.Errorf("%s is %s", name, v)
		}
	}
}

// Each of many waiting clients gets its own job, on queues of their own and on one that they share.
func TestManyWaitingClients(t *testing.T) {
	const n = 2000
	if err := harness.RaiseOpenFiles(2*n + 1000); err != nil {
		t.Skip(err)
	}
	s := harness.StartFerrous(t)
	conns := make([]*harness.Conn, n)
	for i := range conns {
		conns[i] = s.Dial(t)
		queue := "shared"
		if i%2 == 0 {
			queue = "own:" + strconv.Itoa(i)
		}
		if err := conns[i].Send("BLPOP", queue, "0"); err != nil {
			t.Fatal(err)
		}
	}
	admin := s.Dial(t)
	eventually(t, "all to wait", func() bool { return field(t, admin, "clients", "blocked_clients") == strconv.Itoa(n) })
	if got := field(t, admin, "clients", "total_blocking_keys"); got != strconv.Itoa(n/2+1) {
		t.Errorf("%s queues", got)
	}
	for i := 0; i < n; i += 2 {
		if v := admin.Must("RPUSH", "own:"+strconv.Itoa(i), "job"+strconv.Itoa(i)); v.Str != "1" {
			t.Fatal(v)
		}
	}
	for i := 0; i < n; i += 2 {
		if v, err := conns[i].Read(); err != nil || len(v.Elems) != 2 || v.Elems[1].Str != "job"+strconv.Itoa(i) {
			t.Fatalf("worker %d: %v %v", i, v, err)
		}
	}
	jobs := []string{"RPUSH", "shared"}
	for i := range n / 2 {
		jobs = append(jobs, strconv.Itoa(i))
	}
	admin.Must(jobs...)
	seen := map[string]bool{}
	for i := 1; i < n; i += 2 {
		v, err := conns[i].Read()
		if err != nil || len(v.Elems) != 2 || seen[v.Elems[1].Str] {
			t.Fatalf("worker %d: %v %v", i, v, err)
		}
		seen[v.Elems[1].Str] = true
	}
	if v := admin.Must("EXISTS", "shared"); v.Str != "0" {
		t.Error("jobs are left")
	}
}
