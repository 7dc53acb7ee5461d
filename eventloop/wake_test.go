package eventloop

import (
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferrous/tests/random"
)

// Nothing that is posted is lost, and each goroutine's functions keep their
// order.
func TestPostFromManyGoroutines(t *testing.T) {
	s := start(t, &testHandler{}, nil)
	const goroutines, each = 20, 5000
	last := make([]int, goroutines)
	count := 0
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 1; i <= each; i++ {
				s.Post(func() {
					count++
					if last[g] != i-1 {
						t.Errorf("goroutine %d: %d after %d", g, i, last[g])
					}
					last[g] = i
				})
			}
		}()
	}
	wg.Wait()
	s.do(func() {
		if count != goroutines*each {
			t.Errorf("%d of %d ran", count, goroutines*each)
		}
	})
}

// A function that is posted to a loop that sleeps, or is about to, runs: no wake-up is lost. evio ends its poll every 100 ms
// without telling the loop, so that a function whose wake-up is lost never runs. How soon it runs is measured by
// BenchmarkPostToSleepingLoop.
func TestPostWakesLoop(t *testing.T) {
	rnd := random.New(t)
	s := start(t, &testHandler{}, nil)
	for range 500 {
		time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		s.do(func() {})
	}
}

// The loop serves, and can be posted to, while a goroutine that wakes it has not returned from the system call.
func TestNoLockWhileLoopIsWoken(t *testing.T) {
	waking, goOn := make(chan struct{}), make(chan struct{})
	armed := make(chan bool, 1)
	s := start(t, &testHandler{}, nil)
	s.do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sendKick = func(fd int, p []byte) (int, syscall.Errno) {
			// Decided before the byte is sent: the loop may run, and wake itself, before send has returned.
			var first bool
			select {
			case first = <-armed:
			default:
			}
			n, errno := send(fd, p)
			if first {
				close(waking)
				<-goOn
			}
			return n, errno
		}
	})
	armed <- true
	ran := make(chan string, 2)
	go s.Post(func() {
		ran <- "posted"
		s.Post(func() { ran <- "posted by it" })
	})
	<-waking
	for range 2 {
		select {
		case <-ran:
		case <-time.After(patience):
			t.Error("the loop waits for the goroutine that wakes it")
		}
	}
	close(goOn)
}

func TestPostFromLoop(t *testing.T) {
	s := start(t, &testHandler{}, nil)
	done := make(chan string, 1)
	s.Post(func() {
		order := ""
		s.Post(func() { order += "b"; done <- order })
		order += "a"
	})
	if got := <-done; got != "ab" {
		t.Errorf("order %q", got)
	}
}

// Timers run in the order of their deadlines, none before its own, and the kernel knows the earliest deadline.
func TestTimers(t *testing.T) {
	rnd := random.New(t)
	s := start(t, &testHandler{}, nil)
	const n = 200
	ran := make(chan int64, n)
	var wanted []int64
	s.do(func() {
		for i := range n {
			d := time.Duration(rnd.IntN(300)) * time.Millisecond
			var tm *Timer
			tm = s.AfterFunc(d, func() {
				if now := s.timers.now(); now < tm.when {
					t.Errorf("a timer ran %v early", time.Duration(tm.when-now))
				}
				ran <- tm.when
			})
			switch i % 4 {
			case 1:
				if !tm.Reset(d) {
					t.Error("Reset of a waiting timer returned false")
				}
			case 2:
				if !tm.Stop() || tm.Stop() || tm.Waiting() || tm.Reset(d) || !tm.Waiting() {
					t.Error("Stop or Reset returned the wrong result")
				}
			}
			wanted = append(wanted, tm.when)
			if first := s.timers.heap[0].when; s.timers.set == 0 || s.timers.set > first {
				t.Errorf("the kernel wakes the loop at %d, the first timer is due at %d", s.timers.set, first)
			}
		}
	})
	slices.Sort(wanted)
	for i, want := range wanted {
		if got := <-ran; got != want {
			t.Fatalf("timer %d of %d has the deadline %d, want %d", i, n, got, want)
		}
	}
}

func TestTimerStoppedDoesNotRun(t *testing.T) {
	s := start(t, &testHandler{}, nil)
	ran := make(chan struct{}, 10)
	later := make(chan struct{})
	var zero *Timer
	zeroRuns := 0
	s.do(func() {
		for range 100 {
			s.AfterFunc(20*time.Millisecond, func() { t.Error("a stopped timer ran") }).Stop()
		}
		s.AfterFunc(-5, func() { ran <- struct{}{} })
		s.AfterFunc(1<<63-1, func() { t.Error("the timer of 292 years ran") })
		// One that is stopped by another one that is due with it.
		var b *Timer
		s.AfterFunc(10*time.Millisecond, func() { b.Stop() })
		b = s.AfterFunc(11*time.Millisecond, func() { t.Error("stopped by its neighbour, ran") })
		time.Sleep(15 * time.Millisecond)
		// One that is due at once again and again leaves room for others.
		zero = s.AfterFunc(0, func() {
			zeroRuns++
			if zeroRuns < 1000 {
				zero.Reset(0)
			}
		})
		s.AfterFunc(30*time.Millisecond, func() { close(later) }) // timers run in order: those before it would have run
	})
	<-ran
	<-later
	s.eventually("1000 runs of a timer of 0", func() bool { return zeroRuns == 1000 })
	s.do(func() {
		if zero.Stop() {
			t.Error("Stop of a timer that has run returned true")
		}
	})
}

// idleLoop makes a loop that does not run.
func idleLoop(t testing.TB) *Loop {
	l, err := New(Options{Addrs: []string{"tcp4://127.0.0.1:0"}, Handler: &testHandler{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.release)
	return l
}

// The heap against a plain list.
func TestTimerHeapModel(t *testing.T) { random.Repeat(t, testTimerHeapModel) }

func testTimerHeapModel(t *testing.T) {
	r := rand.New(rand.NewSource(int64(random.Seed(t))))
	l := idleLoop(t)
	h := &l.timers
	var timers []*Timer
	for step := range 20000 {
		switch k := r.Intn(10); {
		case k < 5 || len(timers) == 0:
			timers = append(timers, l.AfterFunc(time.Hour+time.Duration(r.Intn(1000)), func() {}))
		case k < 7:
			i := r.Intn(len(timers))
			if was := timers[i].Waiting(); timers[i].Stop() != was {
				t.Fatalf("step %d: Stop", step)
			}
		default:
			i := r.Intn(len(timers))
			if was := timers[i].Waiting(); timers[i].Reset(time.Hour+time.Duration(r.Intn(1000000))) != was {
				t.Fatalf("step %d: Reset", step)
			}
		}
		if step%1000 == 0 {
			waiting := 0
			for _, tm := range timers {
				if tm.Waiting() {
					waiting++
					if h.heap[tm.pos] != tm {
						t.Fatalf("step %d: wrong position", step)
					}
				}
			}
			if waiting != len(h.heap) {
				t.Fatalf("step %d: %d waiting, %d in the heap", step, waiting, len(h.heap))
			}
			for i, tm := range h.heap {
				if i > 0 && h.heap[(i-1)/4].when > tm.when {
					t.Fatalf("step %d: order", step)
				}
			}
		}
	}
	for prev := int64(0); len(h.heap) > 0; {
		tm := h.heap[0]
		if tm.when < prev {
			t.Fatalf("order of removal")
		}
		prev = tm.when
		h.remove(tm)
	}
	tm := l.AfterFunc(time.Hour, func() {})
	if n := testing.AllocsPerRun(1000, func() { tm.Reset(time.Hour); tm.Stop() }); n != 0 && !raceEnabled {
		t.Errorf("Reset allocates %v times", n)
	}
}

func BenchmarkPost(b *testing.B) {
	s := start(b, &testHandler{}, nil)
	fn := func() {}
	for b.Loop() {
		s.Post(fn)
	}
	s.do(func() {})
}

// BenchmarkPostToSleepingLoop measures how soon a posted function runs while the loop sleeps.
func BenchmarkPostToSleepingLoop(b *testing.B) {
	s := start(b, &testHandler{}, nil)
	var late []time.Duration
	for b.Loop() {
		time.Sleep(time.Millisecond)
		done := make(chan time.Time, 1)
		posted := time.Now()
		s.Post(func() { done <- time.Now() })
		late = append(late, (<-done).Sub(posted))
	}
	slices.Sort(late)
	b.ReportMetric(float64(late[len(late)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(late[len(late)*99/100])/1e3, "p99-µs")
}

func BenchmarkTimerReset(b *testing.B) {
	for _, n := range []int{1, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := idleLoop(b)
			var ts []*Timer
			for i := range n {
				ts = append(ts, l.AfterFunc(time.Hour+time.Duration(i)*time.Second, func() {}))
			}
			i := 0
			for b.Loop() {
				ts[i%n].Reset(time.Hour)
				i++
			}
		})
	}
}
