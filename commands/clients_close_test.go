package commands

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ferrous/tests/random"
)

// Clients that do not read are closed while others are served: never within a command or a walk over what they are in.

// wire encodes requests, given as words.
func wire(requests ...[]string) string {
	var b strings.Builder
	for _, words := range requests {
		fmt.Fprintf(&b, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
		}
	}
	return b.String()
}

// unread makes the server hold at least n bytes of replies for the client, which must have the key "filler" to read.
func (s *liveServer) unread(c *liveConn, id int64, n int) {
	s.t.Helper()
	for queued := 0; queued < n; {
		c.send(wire([]string{"GET", "filler"}))
		was := queued
		s.eventually("more is queued", func() bool { queued = s.clients[id].conn.Queued(); return queued > was || was == 0 })
	}
}

// checkCounters compares the server's counters of clients, and of what they are in, with a recount.
func (s *Server) checkCounters(t *testing.T) {
	t.Helper()
	count := map[string][2]int{}
	add := func(name string, n int) { count[name] = [2]int{count[name][0] + n, count[name][1]} }
	says := func(name string, n int) { count[name] = [2]int{count[name][0], n} }
	for i, c := range s.order {
		if s.clients[c.id] != c || int(c.orderIndex) != i || c.doomed {
			t.Errorf("client %d at %d of %d, doomed %v", c.id, c.orderIndex, i, c.doomed)
		}
		add("clients", 1)
		add("held bytes", c.counted)
		if b := c.blocked; b != nil {
			add("blocked", 1)
			if b.deadline != 0 {
				add("timed", 1)
			}
			for i := range b.waits {
				if q := b.waits[i].q; s.blocking.waiting[q.db][q.key] != q {
					t.Errorf("client %d waits in a queue for %q that is not found", c.id, q.key)
				}
				add("waits", 1)
			}
		}
		if c.subscribed() {
			add("subscribed", 1)
		}
		for kind := range channelKinds {
			add("memberships", c.subscriptions(kind))
		}
		if c.monitors() {
			add("monitors", 1)
		}
		if tr := c.tracks(); tr != nil {
			add("trackers", 1)
			add("prefixed", len(tr.prefixes))
		}
		if c.pushes != nil && c.pushes.track != nil {
			add("tracked items", *s.tracking.count(c.pushes.track))
		}
		if c.tx != nil {
			add("watches", len(c.tx.watches))
		}
	}
	says("clients", len(s.clients))
	says("held bytes", s.heldBytes)
	says("blocked", s.blocking.clients)
	says("timed", s.blocking.timed)
	queues, waits := 0, 0
	for _, keys := range s.blocking.waiting {
		for key, q := range keys {
			queues++
			n := 0
			for w := q.first; w != nil; w = w.next {
				n++
				if s.clients[w.b.c.id] != w.b.c {
					t.Errorf("a client that is gone waits for %q", key)
				}
			}
			if n != q.n || n == 0 {
				t.Errorf("%d wait for %q, the queue says %d", n, key, q.n)
			}
			waits += n
		}
	}
	says("waits", waits)
	add("queues", queues)
	says("queues", s.blocking.keys)
	says("subscribed", s.channels.clients)
	members := 0
	for i := range s.channels.registries {
		for ch := range s.channels.registries[i].Channels() {
			for c := range ch.Subscribers() {
				members++
				if s.clients[c.id] != c {
					t.Errorf("a client that is gone is subscribed to %q", ch.Name())
				}
			}
		}
		if n := s.channels.registries[i].Bytes(); n < 0 {
			t.Errorf("registry %d holds %d bytes", i, n)
		}
	}
	says("memberships", members)
	says("monitors", len(s.monitors))
	tt := &s.tracking
	says("trackers", tt.clients)
	prefixed := 0
	for _, p := range tt.prefixes {
		prefixed += len(p.clients)
		for _, c := range p.clients {
			if s.clients[c.id] != c {
				t.Errorf("a client that is gone has the prefix %q", p.name)
			}
		}
	}
	says("prefixed", prefixed)
	items, dead, bytes := 0, 0, 0
	for key, v := range tt.keys {
		bytes += len(key)
		for _, id := range append([]int64{v.id}, v.more...) {
			items++
			if s.clients[id] == nil {
				dead++
			}
		}
	}
	says("tracked items", items-dead)
	add("table items", items)
	says("table items", tt.items)
	add("dead items", dead)
	says("dead items", tt.dead)
	add("table bytes", bytes)
	says("table bytes", tt.keyBytes)
	watches := 0
	for _, keys := range s.watched {
		for _, list := range keys {
			watches += len(list)
		}
	}
	says("watches", watches)
	for name, n := range count {
		if n[0] != n[1] {
			t.Errorf("%s: counted %d, the account says %d", name, n[0], n[1])
		}
	}
	if len(s.doomed) > 0 {
		t.Errorf("%d doomed clients are still there", len(s.doomed))
	}
	s.checkEviction(t)
}

// The next waiter must not go while the one before it is served: the reply to A makes the clients hold too much, and B
// is the largest.
func TestEvictWhileServingWaiters(t *testing.T) {
	s := startServer(t, "client-output-buffer-limit", "normal 0 0 0")
	control := s.dial()
	control.do("CLIENT NO-EVICT ON", ok)
	control.send(wire([]string{"SET", "filler", strings.Repeat("f", 1<<20)},
		[]string{"RPUSH", "src", strings.Repeat("e", 3<<20), "second", "third"}))
	control.expect(ok + ":3\r\n")
	a := s.dial()
	s.eventually("A is there", func() bool { return len(s.clients) == 2 })
	b := s.dial()
	s.eventually("B is there", func() bool { return len(s.clients) == 3 })
	s.unread(a, 2, 4<<20)
	s.unread(b, 3, 20<<20)
	a.send(wire([]string{"BLPOP", "k", "0"}))
	s.eventually("A waits", func() bool { return s.clients[2].blocked != nil })
	b.send(wire([]string{"BLPOP", "k", "0"}))
	s.eventually("B waits", func() bool { return s.clients[3].blocked != nil })
	limit := 0
	s.on(func() { limit = s.evictable() + 1<<20 })
	control.do(fmt.Sprint("CONFIG SET maxmemory-clients ", limit), ok)
	s.on(func() {
		if len(s.clients) != 3 {
			t.Errorf("%d clients before RENAME", len(s.clients))
		}
	})
	control.do("RENAME src k", ok)
	control.do("LRANGE k 0 -1", "*1\r\n$5\r\nthird\r\n") // B was served before it was closed, as in Redis
	s.eventually("B is gone", func() bool { return s.clients[3] == nil && s.clients[2] != nil })
	s.on(func() { s.checkCounters(t) })
}

// A prefix must not go while prefixes are walked: C1 does not read, and passes its limit at the first of two.
func TestCloseWhileBroadcasting(t *testing.T) {
	s := startServer(t)
	for i, p := range []string{"a:", "b:"} {
		c := s.dial()
		c.send("HELLO 3\r\nSUBSCRIBE channel\r\nCLIENT TRACKING ON BCAST PREFIX " + p + "\r\n")
		s.eventually("it tracks", func() bool { return s.tracking.clients == i+1 })
	}
	writer := s.dial()
	for i := range 20 {
		writer.send(wire([]string{"SET", "a:" + strings.Repeat(fmt.Sprint(i%10), 2<<20) + fmt.Sprint(i), "v"}))
	}
	writer.expect(strings.Repeat(ok, 20))
	s.eventually("C1 is closed", func() bool { return s.clients[1] == nil })
	s.on(func() {
		if s.clients[2] == nil || len(s.tracking.prefixes) != 1 {
			t.Errorf("clients %v, %d prefixes", s.clients, len(s.tracking.prefixes))
		}
		s.checkCounters(t)
	})
}

// The only tracking client must not leave while an invalidation is sent to it: the tracking table would be removed while the
// sender still reads it.
func TestCloseWhileInvalidating(t *testing.T) {
	s := startServer(t, "client-output-buffer-limit", "pubsub 256kb 0 0")
	slow := s.dial()
	slow.send("HELLO 3\r\nSUBSCRIBE channel\r\nCLIENT TRACKING ON\r\nGET k\r\n")
	s.eventually("it tracks k", func() bool { return s.tracking.items == 1 })
	c := s.dial()
	text := strings.Repeat("t", 600<<10)
	c.send(wire([]string{"MULTI"}, []string{"PUBLISH", "channel", text}, []string{"PUBLISH", "channel", text},
		[]string{"SET", "k", "v"}, []string{"EXEC"}))
	c.expect(ok + strings.Repeat("+QUEUED\r\n", 3) + "*3\r\n:1\r\n:1\r\n" + ok)
	s.eventually("it is closed", func() bool { return len(s.clients) == 1 })
	s.on(func() {
		if n := s.pushMemory(); n != 0 || s.tracking.items != 0 {
			t.Errorf("%d bytes and %d items of clients that are gone", n, s.tracking.items)
		}
		s.checkCounters(t)
	})
}

// A client whose transaction runs is not evicted in the middle of it, whatever it makes the server send to others: it
// would subscribe after it has left the registry.
func TestEvictWhileExecuting(t *testing.T) {
	s := startServer(t, "client-output-buffer-limit", "normal 0 0 0")
	control := s.dial()
	control.do("CLIENT NO-EVICT ON", ok)
	control.send(wire([]string{"SET", "filler", strings.Repeat("f", 1<<20)}))
	control.expect(ok)
	big := s.dial()
	s.eventually("it is there", func() bool { return len(s.clients) == 2 })
	s.unread(big, 2, 4<<20)
	waiter := s.dial()
	s.eventually("it is there", func() bool { return len(s.clients) == 3 })
	s.unread(waiter, 3, 1<<20)
	waiter.send("BLPOP k 0\r\n")
	s.eventually("it waits", func() bool { return s.blocking.clients == 1 })
	limit := 0
	defer s.on(func() { s.cronPaused = false })
	s.on(func() {
		limit = s.evictable() - 1<<20
		s.cronPaused = true
		s.setAccount(s.clients[3], 0, 0) // so that the reply to it is more than is known of
	})
	big.send(fmt.Sprintf("MULTI\r\nCONFIG SET maxmemory-clients %d\r\nCLIENT UNBLOCK 3 ERROR\r\nSUBSCRIBE channel\r\n"+
		"CLIENT TRACKING ON\r\nEXEC\r\n", limit))
	s.eventually("it is evicted", func() bool { return s.clients[2] == nil })
	s.on(func() { s.checkCounters(t) })
}

// CLIENT KILL takes effect at once to those who look next, also within a transaction.
func TestKillSeenInTransaction(t *testing.T) {
	s := startServer(t)
	victim := s.dial()
	victim.send("SUBSCRIBE channel\r\n")
	s.eventually("it is subscribed", func() bool { return s.channels.clients == 1 })
	waiter := s.dial()
	waiter.send("BLPOP k 0\r\n")
	s.eventually("it waits", func() bool { return s.blocking.clients == 1 })
	c := s.dial()
	c.do("MULTI", ok)
	for _, line := range []string{"CLIENT KILL ID 1", "PUBLISH channel x", "PUBSUB NUMSUB channel", "CLIENT KILL ID 2",
		"RPUSH k x", "CLIENT KILL ID 2", "CLIENT UNBLOCK 2"} {
		c.do(line, "+QUEUED\r\n")
	}
	c.do("EXEC", "*7\r\n:1\r\n:0\r\n*2\r\n$7\r\nchannel\r\n:0\r\n:1\r\n:1\r\n:0\r\n:0\r\n")
	c.do("LLEN k", ":1\r\n")
	s.on(func() {
		if len(s.clients) != 1 {
			t.Errorf("%d clients", len(s.clients))
		}
		s.checkCounters(t)
	})
}

// Clients of all kinds that do not read, small limits, and every way to be closed: nothing breaks, and after each round
// all counters are what a recount finds.
func TestCloseAnywhere(t *testing.T) { random.Repeat(t, testCloseAnywhere) }

func testCloseAnywhere(t *testing.T) {
	rnd := random.New(t)
	s := startServer(t, "client-output-buffer-limit", "normal 3mb 1mb 1 pubsub 1mb 256kb 1", "notify-keyspace-events", "KEA",
		"tracking-table-max-keys", "50", "hz", "100")
	key := func() string { return fmt.Sprint("k", rnd.IntN(8)) }
	value := func() string { return strings.Repeat("v", 1<<rnd.IntN(18)) }
	list := func() string { return fmt.Sprint("l", rnd.IntN(3)) }
	id := func(conns int) string { return fmt.Sprint(1 + rnd.IntN(conns+1)) }
	conns := 0
	one := func() []string {
		switch rnd.IntN(30) {
		case 0:
			return []string{"HELLO", fmt.Sprint(2 + rnd.IntN(2))}
		case 1:
			return []string{"SUBSCRIBE", key(), "__keyspace@0__:" + key()}
		case 2:
			return []string{"PSUBSCRIBE", "k*", "__key*"}
		case 3:
			return []string{"CLIENT", "TRACKING", "ON", "NOLOOP"}
		case 4:
			return []string{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", key()}
		case 5:
			return []string{"CLIENT", "TRACKING", "ON", "REDIRECT", id(conns)}
		case 6:
			return []string{"CLIENT", "TRACKING", "OFF"}
		case 7:
			return []string{"MONITOR"}
		case 8:
			return []string{"BLPOP", list(), list(), "0"}
		case 9:
			return []string{"BLMOVE", list(), list(), "LEFT", "RIGHT", "0.02"}
		case 10:
			return []string{"BLMPOP", "0", "2", list(), list(), "LEFT", "COUNT", "2"}
		case 11:
			return []string{"CLIENT", "KILL", "ID", id(conns)}
		case 12:
			return []string{"CLIENT", "UNBLOCK", id(conns), "ERROR"}
		case 13:
			return []string{"FLUSHALL"}
		case 14:
			return []string{"WATCH", key()}
		case 15:
			return []string{"RENAME", key(), list()}
		case 16:
			return []string{"CONFIG", "SET", "maxmemory-clients", []string{"0", "4mb", "1mb", "100kb"}[rnd.IntN(4)]}
		case 17:
			return []string{"RESET"}
		case 18:
			return []string{"SWAPDB", "0", "1"}
		case 19:
			return []string{"PUBLISH", key(), value()}
		case 20, 21:
			return []string{"RPUSH", list(), value(), "x"}
		case 22, 23:
			return []string{"LRANGE", list(), "0", "-1"}
		case 24, 25:
			return []string{"SET", key() + value(), value()}
		case 26:
			return []string{"DEL", list(), key()}
		case 27:
			return []string{"SET", key(), value(), "PX", "1"}
		default:
			return []string{"GET", key()}
		}
	}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	var open []*liveConn
	for range rounds {
		if len(open) < 12 {
			open = append(open, s.dial())
			conns++
			s.eventually("it is there", func() bool { return s.nextID == int64(conns) })
		}
		for range 20 {
			i := rnd.IntN(len(open))
			var request string
			if rnd.IntN(3) == 0 {
				requests := [][]string{{"MULTI"}}
				for range rnd.IntN(6) {
					requests = append(requests, one())
				}
				request = wire(append(requests, []string{"EXEC"})...)
			} else {
				for range 1 + rnd.IntN(4) {
					request += wire(one())
				}
			}
			open[i].SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := open[i].Write([]byte(request)); err != nil {
				open[i].Close()
				open[i] = open[len(open)-1]
				open = open[:len(open)-1]
				break
			}
		}
		s.on(func() { s.checkCounters(t) })
		if t.Failed() {
			return
		}
	}
	for _, c := range open {
		c.Close()
	}
	s.eventually("all are gone", func() bool { return len(s.clients) == 0 })
	s.on(func() {
		s.checkCounters(t)
		want := s.baseMemory + s.Keyspace.Bytes()
		if got := s.usedMemory(); got != want {
			t.Errorf("without clients %d bytes are used, the data and the empty server take %d", got, want)
		}
		if s.tracking.Bytes() != 0 || len(s.Listeners) != 0 || s.observed {
			t.Errorf("%d bytes of tracking, %d listeners, observed %v", s.tracking.Bytes(), len(s.Listeners), s.observed)
		}
	})
}
