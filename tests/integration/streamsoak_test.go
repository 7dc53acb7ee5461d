package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Consumers of two groups work through one stream. Some die, with entries in hand, and others take their names' places; all
// claim with XAUTOCLAIM what was left. A producer adds entries 1-0, 2-0 … meanwhile. At the end each group has handled each
// entry, and nothing is pending. What a group has acknowledged must never be delivered to it again.
//
// With kills, the server has an append-only file with appendfsync always, and is killed and started again meanwhile. What was
// answered must hold then, too: entries are there, and acknowledged ones stay so.

const (
	soakStream    = "events"
	soakGroups    = 2
	soakConsumers = 10 // of a group
	soakIdle      = 50 // ms after which entries are claimed
)

// soak is one run.
type soak struct {
	t       *testing.T
	ctx     context.Context
	cancel  context.CancelFunc
	seed    uint64
	entries int
	deaths  int // a consumer dies in one of so many batches
	batch   int // most entries of one

	mu     sync.Mutex
	server *harness.Server

	added   atomic.Int64               // entries whose XADD was answered
	handled [soakGroups][]atomic.Bool  // by entry: a consumer has it, and goes on to acknowledge it
	acked   [soakGroups][]atomic.Int64 // by entry: when the acknowledgement was answered, in nanoseconds from start
	left    [soakGroups]atomic.Int64   // entries that nobody has handled
	start   time.Time
	died    atomic.Int64
	claimed atomic.Int64
}

func TestStreamSoak(t *testing.T) {
	harness.NeedFerrous(t)
	run := func(t *testing.T, kills int) {
		k := newSoak(t, 10_000)
		if *long {
			k = newSoak(t, 1_000_000)
			k.deaths, k.batch = 300, 300
			kills *= 30
		}
		k.run(kills)
	}
	t.Run("consumers", func(t *testing.T) { run(t, 0) })
	t.Run("server", func(t *testing.T) { run(t, 3) })
}

func newSoak(t *testing.T, entries int) *soak {
	k := &soak{t: t, seed: random.Seed(t), entries: entries, deaths: 30, batch: 50, start: time.Now()}
	for g := range soakGroups {
		k.handled[g] = make([]atomic.Bool, entries+1)
		k.acked[g] = make([]atomic.Int64, entries+1)
		k.left[g].Store(int64(entries))
	}
	return k
}

// fail ends the run.
func (k *soak) fail(format string, args ...any) {
	if k.ctx.Err() == nil {
		k.t.Errorf(format, args...)
		k.cancel()
	}
}

// connect connects to the server that lives, as soon as one does; nil at the end.
func (k *soak) connect() *harness.Conn {
	for k.ctx.Err() == nil {
		k.mu.Lock()
		s := k.server
		k.mu.Unlock()
		if c, err := s.Connect(); err == nil {
			return c
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

func groupName(g int) string { return "group:" + strconv.Itoa(g) }

func (k *soak) run(kills int) {
	t := k.t
	k.ctx, k.cancel = context.WithCancel(t.Context())
	defer k.cancel()
	rnd := rand.New(rand.NewPCG(k.seed, 0))
	dir := t.TempDir()
	start := func() *harness.Server {
		var args []string
		if kills > 0 {
			args = []string{"--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "20", "--auto-aof-rewrite-min-size", "500kb",
				"--aof-use-rdb-preamble", []string{"yes", "no"}[rnd.IntN(2)]}
		}
		s, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Dir: dir, Args: args, Seed: rnd.Uint64()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	k.server = start()
	defer func() { k.server.Kill() }()
	c := k.connect()
	for g := range soakGroups {
		c.Must("XGROUP", "CREATE", soakStream, groupName(g), "0", "MKSTREAM")
	}

	var all sync.WaitGroup
	all.Go(k.produce)
	for g := range soakGroups {
		for i := range soakConsumers {
			all.Go(func() { k.consume(g, i) })
		}
	}
	for n := range kills {
		// Kills are spread over the run: the next one comes when its share of the entries has been added.
		share := int64(n+1) * int64(k.entries) / int64(kills+1)
		for k.added.Load() < share && k.ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(20 * time.Millisecond))))
		answered := k.added.Load()
		k.server.Kill()
		s := start()
		k.mu.Lock()
		k.server = s
		k.mu.Unlock()
		if got := k.connect().Must("XLEN", soakStream).Int(); got < answered {
			k.fail("kill %d: %d entries are there, %d were answered", n, got, answered)
		}
	}
	all.Wait()
	if t.Failed() {
		t.Log(k.server.Logs())
		return
	}
	k.verify()
	t.Logf("%d entries, %d deaths of consumers, %d kills of the server, %d entries claimed", k.entries, k.died.Load(), kills, k.claimed.Load())
}

// produce adds the entries in packets. After a kill it goes on behind the last entry that is there.
func (k *soak) produce() {
	rnd := rand.New(rand.NewPCG(k.seed, 1))
	var c *harness.Conn
	next := 1
	for next <= k.entries {
		if c == nil {
			if c = k.connect(); c == nil {
				return
			}
			v, err := c.Do("XREVRANGE", soakStream, "+", "-", "COUNT", "1")
			if err != nil {
				c = nil
				continue
			}
			if len(v.Elems) == 1 {
				next = soakEntry(v.Elems[0].Elems[0].Str) + 1
			}
			if int64(next) <= k.added.Load() {
				k.fail("entry %d is not there, but was answered", next)
				return
			}
			continue
		}
		var packet []byte
		n := min(1+rnd.IntN(100), k.entries-next+1)
		for i := range n {
			id := strconv.Itoa(next+i) + "-0"
			packet = harness.AppendCommand(packet, "XADD", soakStream, id, "field", id)
		}
		if _, err := c.Write(packet); err != nil {
			c = nil
			continue
		}
		for range n {
			v, err := c.Read()
			if err != nil {
				c = nil
				break
			}
			if v.Str != strconv.Itoa(next)+"-0" {
				k.fail("XADD of entry %d was answered %q", next, v)
				return
			}
			k.added.Store(int64(next))
			next++
		}
	}
}

func soakEntry(id string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(id, "-0"))
	return n
}

// consume is the life of one consumer after the other at a place of a group, until the group has handled all entries and
// nothing is pending.
func (k *soak) consume(g, place int) {
	rnd := rand.New(rand.NewPCG(k.seed, uint64(2+g*soakConsumers+place)))
	group := groupName(g)
	for life := 0; k.ctx.Err() == nil; life++ {
		name := fmt.Sprintf("consumer:%d:%d", place, life)
		var c *harness.Conn
		cursor := "0-0"
		for alive := true; alive; {
			if c == nil {
				if c = k.connect(); c == nil {
					return
				}
			}
			asked := time.Since(k.start)
			var batch harness.Value
			var err error
			claims := rnd.IntN(4) == 0
			count := strconv.Itoa(1 + rnd.IntN(k.batch))
			if claims {
				batch, err = c.Do("XAUTOCLAIM", soakStream, group, name, strconv.Itoa(soakIdle), cursor, "COUNT", count)
			} else {
				batch, err = c.Do("XREADGROUP", "GROUP", group, name, "COUNT", count, "BLOCK", "20", "STREAMS", soakStream, ">")
			}
			switch {
			case err != nil:
				c = nil
				continue
			case batch.Kind == '-':
				k.fail("%s of %s: %s", name, group, batch)
				return
			case claims:
				cursor = batch.Elems[0].Str
				if n := len(batch.Elems[2].Elems); n > 0 {
					k.fail("XAUTOCLAIM says that %d entries are gone", n)
					return
				}
				batch = batch.Elems[1]
				k.claimed.Add(int64(len(batch.Elems)))
			case !batch.Null:
				batch = batch.Elems[0].Elems[1]
			}
			if len(batch.Elems) == 0 {
				if k.left[g].Load() == 0 {
					v, err := c.Do("XPENDING", soakStream, group)
					if err == nil && v.Elems[0].Int() == 0 {
						return
					}
				}
				continue
			}
			if alive = rnd.IntN(k.deaths) > 0; !alive {
				batch.Elems = batch.Elems[:rnd.IntN(len(batch.Elems)+1)] // it dies before it has handled the others
				k.died.Add(1)
			}
			if !k.handle(c, g, batch.Elems, asked) {
				c = nil
			}
		}
		if c != nil {
			_ = c.Close()
		}
	}
}

// handle handles entries and acknowledges them with one command. It reports false if the connection has failed.
func (k *soak) handle(c *harness.Conn, g int, entries []harness.Value, asked time.Duration) bool {
	if len(entries) == 0 {
		return true
	}
	ack := []string{"XACK", soakStream, groupName(g)}
	for _, e := range entries {
		id := e.Elems[0].Str
		n := soakEntry(id)
		if n < 1 || n > k.entries || len(e.Elems[1].Elems) != 2 || e.Elems[1].Elems[1].Str != id {
			k.fail("an entry that nobody added: %q", e)
			return true
		}
		if at := k.acked[g][n].Load(); at != 0 && time.Duration(at) < asked {
			k.fail("entry %d was delivered to %s again, %v after its acknowledgement was answered", n, groupName(g), asked-time.Duration(at))
			return true
		}
		if !k.handled[g][n].Swap(true) {
			k.left[g].Add(-1)
		}
		ack = append(ack, id)
	}
	v, err := c.Do(ack...)
	if err != nil {
		return false
	}
	if v.Kind != ':' || v.Int() > int64(len(entries)) {
		k.fail("XACK was answered %q", v)
		return true
	}
	now := int64(time.Since(k.start))
	for _, e := range entries {
		k.acked[g][soakEntry(e.Elems[0].Str)].CompareAndSwap(0, now)
	}
	return true
}

// verify looks at what is there at the end.
func (k *soak) verify() {
	t := k.t
	c := k.connect()
	if n := c.Must("XLEN", soakStream).Int(); n != int64(k.entries) {
		t.Errorf("%d entries, want %d", n, k.entries)
	}
	for g := range soakGroups {
		for n := 1; n <= k.entries; n++ {
			if !k.handled[g][n].Load() {
				t.Fatalf("%s has not handled entry %d", groupName(g), n)
			}
		}
		if v := c.Must("XPENDING", soakStream, groupName(g)); v.Elems[0].Int() != 0 {
			t.Errorf("%s has %s pending", groupName(g), v)
		}
		for _, consumer := range c.Must("XINFO", "CONSUMERS", soakStream, groupName(g)).Elems {
			if consumer.Elems[3].Int() != 0 {
				t.Errorf("%s: %s", groupName(g), consumer)
			}
		}
	}
	for _, v := range c.Must("XINFO", "GROUPS", soakStream).Elems {
		last, read, lag := v.Elems[7].Str, v.Elems[9].Int(), v.Elems[11].Int()
		if last != strconv.Itoa(k.entries)+"-0" || read != int64(k.entries) || lag != 0 {
			t.Errorf("at the end: %s", v)
		}
	}
}
