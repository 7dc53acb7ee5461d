package commands

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ferrous/commands/config"
)

// checkEviction looks whether the sums by class are those of the clients, and whether each stands where it belongs.
func (s *Server) checkEviction(t *testing.T) {
	t.Helper()
	var sums [3]int
	standing := 0
	for _, c := range s.order {
		sums[c.countedAs] += c.totalMemory()
		want := int8(0)
		if s.eviction.limit > 0 && c.mayEvict() {
			want = int8(1 + bucketOf(c.totalMemory()))
			standing++
		}
		if c.evictionSlot.bucket != want {
			t.Errorf("client %d of %d bytes is in bucket %d, want %d", c.id, c.totalMemory(), c.evictionSlot.bucket, want)
		}
	}
	if sums != s.classMemory {
		t.Errorf("sums %v, the account says %v", sums, s.classMemory)
	}
	for b, list := range s.eviction.buckets {
		standing -= len(list)
		for i, c := range list {
			if c.evictionSlot != (evictionSlot{int8(b + 1), int32(i)}) || s.clients[c.id] != c {
				t.Errorf("client %d stands at %d of bucket %d and says %v", c.id, i, b, c.evictionSlot)
			}
		}
	}
	if standing != 0 {
		t.Errorf("%d clients are missing from the buckets", standing)
	}
}

// unfinished is the beginning of a request with an argument of n bytes, all of which has come but its end.
func unfinished(n int) string {
	return fmt.Sprintf("*2\r\n$%d\r\n%s", n, strings.Repeat("v", n))
}

// The largest go first, whatever the order in which they came, and no more than must.
func TestEvictLargest(t *testing.T) {
	s := startServer(t)
	control := s.dial()
	control.do("CLIENT NO-EVICT ON", ok)
	sizes := []int{200_000, 3_000_000, 100_000, 1_000_000, 6_000_000, 400_000}
	conns := make([]*liveConn, len(sizes))
	for i, n := range sizes {
		conns[i] = s.dial()
		go conns[i].Write([]byte(unfinished(n)))
	}
	for i, n := range sizes {
		s.eventually("all has come", func() bool {
			c := s.clients[int64(i+2)]
			return c != nil && c.parser.Buffered() >= n
		})
	}
	alive := func(want ...int) {
		t.Helper()
		s.on(func() {
			s.checkEviction(t)
			for i, n := range sizes {
				there := false
				for _, w := range want {
					there = there || w == n
				}
				if (s.clients[int64(i+2)] != nil) != there {
					t.Errorf("client of %d bytes: there %v, want %v", n, !there, there)
				}
			}
		})
	}
	alive(sizes...)
	control.do("CONFIG SET maxmemory-clients 8000000", ok)
	alive(200_000, 3_000_000, 100_000, 1_000_000, 400_000)
	control.do("CONFIG SET maxmemory-clients 3000000", ok)
	alive(200_000, 100_000, 1_000_000, 400_000)
	control.do("CONFIG SET maxmemory 10000000 maxmemory-clients 4%", ok)
	alive(200_000, 100_000)
	control.do("CONFIG SET maxmemory 0", ok) // a percentage of nothing is no limit
	s.on(func() {
		if s.eviction.limit != 0 || s.eviction.evicted != 4 {
			t.Errorf("limit %d, %d evicted", s.eviction.limit, s.eviction.evicted)
		}
	})
	control.do("CONFIG SET maxmemory-clients 1", ok)
	alive()
	control.do("PING", "+PONG\r\n") // spared, though all of the limit is gone
	control.do("CLIENT NO-EVICT OFF", ok)
	control.ended()
}

// Whatever a client makes the server hold counts, and evicts it while it does so.
func TestEvictFor(t *testing.T) {
	for name, request := range map[string]func(i int) string{
		"argument":      func(int) string { return unfinished(400_000) },
		"announcement":  func(int) string { return "*2\r\n$400000\r\nx" },
		"queue":         func(i int) string { return "MULTI\r\nSET k " + strings.Repeat("v", 30_000) + "\r\n" },
		"watches":       func(i int) string { return fmt.Sprintf("WATCH a%d b%d c%d\r\n", i, i, i) },
		"channels":      func(i int) string { return fmt.Sprintf("SUBSCRIBE a%d b%d c%d\r\n", i, i, i) },
		"patterns":      func(i int) string { return fmt.Sprintf("PSUBSCRIBE a%d b%d c%d\r\n", i, i, i) },
		"shardchannels": func(i int) string { return fmt.Sprintf("SSUBSCRIBE a%d b%d c%d\r\n", i, i, i) },
		"prefixes":      func(i int) string { return fmt.Sprintf("CLIENT TRACKING ON BCAST PREFIX %09d\r\n", i) },
		"replies":       func(i int) string { return strings.Repeat("GET big\r\n", 100) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, "maxmemory-clients", "300000", "client-output-buffer-limit", "normal 0 0 0")
			control := s.dial()
			control.do("CLIENT NO-EVICT ON", ok)
			control.do("SET big "+strings.Repeat("x", 50_000), ok)
			c := s.dial()
			s.eventually("it has come", func() bool { return len(s.clients) == 2 })
			for i := range 20_000 {
				if _, err := c.Write([]byte(request(i))); err != nil {
					break
				}
				gone := false
				s.on(func() { gone = len(s.clients) == 1; s.checkEviction(t) })
				if gone {
					break
				}
			}
			s.eventually("it is evicted", func() bool { return len(s.clients) == 1 && s.eviction.evicted == 1 })
		})
	}
}

func TestBucketOf(t *testing.T) {
	for size, want := range map[int]int{0: 0, 1: 0, 32<<10 - 1: 0, 32 << 10: 1, 64<<10 - 1: 1, 64 << 10: 2, 8<<30 - 1: 18,
		8 << 30: 18, 1 << 50: 18} {
		if got := bucketOf(size); got != want {
			t.Errorf("%d bytes: bucket %d, want %d", size, got, want)
		}
	}
}

// The account holds in any order of events. Clients without a connection are never evicted, so one is lent to them.
func TestEvictionAccount(t *testing.T) {
	s := startServer(t)
	for range 20 {
		s.dial()
	}
	s.eventually("all have come", func() bool { return len(s.clients) == 20 })
	s.on(func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			c := s.order[rnd.IntN(len(s.order))]
			switch rnd.IntN(12) {
			case 0:
				s.Config.MaxMemoryClients = []int64{0, 1 << 40}[rnd.IntN(2)]
				if err := s.applyClientLimit(); err != nil {
					t.Error(err)
				}
			case 1:
				c.noEvict = !c.noEvict
				s.sortClient(c)
			case 2:
				if !c.subscribed() {
					s.channels.registries[kindChannel].Subscribe(&c.ensurePushes().subs[kindChannel], c, []byte("channel"))
				} else {
					s.unsubscribeAll(c)
				}
				s.account(c)
			case 3:
				if len(s.order) > 5 {
					s.forget(c)
					s.account(c) // too late
					s.remember(c)
				}
			default:
				s.setAccount(c, rnd.IntN(1<<rnd.IntN(30)), rnd.IntN(1<<20))
			}
			s.checkEviction(t)
			if t.Failed() {
				return
			}
		}
	})
	if config.ClassPubsub >= len(s.classMemory) {
		t.Error("a class has no sum")
	}
}

func TestReplyRoom(t *testing.T) {
	rules := replyBufferRules{resetMs: 5000}
	r := replyBuffer{size: replyBufferMax, peak: replyBufferMax, since: 1000}
	r.note(5)
	for _, step := range []struct {
		now        int64
		sent       int
		size, peak int16
	}{
		{6000, 0, 16384, 16384},   // nothing is known of the client yet
		{6001, 0, 16384, 0},       // it has been answered nothing much
		{6101, 0, 1024, 0},        // so it has too much room
		{6201, 600, 1024, 600},    // what fits changes nothing
		{6301, 70000, 2048, 1024}, // more than fits
		{6401, 70000, 4096, 2048},
		{6501, 70000, 8192, 4096},
		{6601, 70000, 16384, 8192},
		{6701, 70000, 16384, 16384},
		{11001, 3000, 16384, 16384},
		{11002, 3000, 16384, 0},
		{11102, 3000, 3001, 3000},
	} {
		r.note(step.sent)
		r.adapt(rules, step.now)
		if r.size != step.size || r.peak != step.peak {
			t.Errorf("at %d: %d, %d, want %d, %d", step.now, r.size, r.peak, step.size, step.peak)
		}
	}
	for _, rules := range []replyBufferRules{{fixed: true, resetMs: 0}, {resetMs: -1}} {
		r := replyBuffer{size: replyBufferMax, peak: replyBufferMax}
		r.adapt(rules, 1e12)
		if r.size != replyBufferMax || r.peak != replyBufferMax {
			t.Errorf("%+v: %+v", rules, r)
		}
	}
}

func TestDebugReplyBuffer(t *testing.T) {
	ts := newTestServer(t, "enable-debug-command", "yes")
	for _, c := range []struct {
		line, reply string
		want        replyBufferRules
	}{
		{"DEBUG REPLYBUFFER RESIZING 0", ok, replyBufferRules{true, 5000}},
		{"DEBUG REPLYBUFFER RESIZING 1", ok, replyBufferRules{false, 5000}},
		{"DEBUG REPLYBUFFER PEAK-RESET-TIME 100", ok, replyBufferRules{false, 100}},
		{"DEBUG REPLYBUFFER PEAK-RESET-TIME never", ok, replyBufferRules{false, -1}},
		{"DEBUG REPLYBUFFER PEAK-RESET-TIME reset", ok, replyBufferRules{false, 5000}},
		{"DEBUG REPLYBUFFER PEAK-RESET-TIME x", "-ERR value is not an integer or out of range\r\n", replyBufferRules{false, 5000}},
		{"DEBUG REPLYBUFFER OTHER 1", "-ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.\r\n",
			replyBufferRules{false, 5000}},
	} {
		if got := ts.doLine(c.line); got != c.reply || ts.replyBufferRules != c.want {
			t.Errorf("%s: %q, %+v", c.line, got, ts.replyBufferRules)
		}
	}
}

// RESET takes NO-EVICT back.
func TestResetMayEvict(t *testing.T) {
	s := startServer(t, "maxmemory-clients", "1gb")
	c := s.dial()
	c.do("CLIENT NO-EVICT ON", ok)
	c.do("CLIENT CAPA redirect", ok)
	c.do("RESET", "+RESET\r\n")
	s.on(func() {
		s.checkEviction(t)
		if o := s.clients[1]; o.evictionSlot.bucket == 0 || o.declared().redirects {
			t.Errorf("after RESET: %v, %v", o.evictionSlot, o.declared())
		}
	})
}
