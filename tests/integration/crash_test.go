package integration

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// A server with an append-only file is killed (SIGKILL) at random moments under load and started again on what it left,
// over and over, while rewrites run.
//
// Each writer has keys of its own and a sequence of steps that follows from its number alone (steps.next). A step is one
// command, one transaction or one script. It sends steps in packets, without waiting for each other's replies, and counts those that
// are answered. Whatever is found after a crash must be the outcome of exactly the first m steps for some m: at most those
// sent, and at least those answered, whatever appendfsync says: only the machine's end may take back more. Then it goes on
// from m. With "settings" the policy changes all the time, and the file is switched off and on again: what is answered
// meanwhile, until the rewrite that this begins has ended, may be lost. Some steps also increment a key that the writers of a database share, which must be the sum of what the
// recovered steps say. A producer and a consumer that waits in BLPOP check what one client's command does to another.

var kills = flag.Int("kills", 0, "how often the crash tests kill a server with each policy; 0 for 10, or 1000 in the long form")

// steps is a writer's sequence: what its keys hold after n steps.
type steps struct {
	id, n               int
	count, shared, a, b int
	list                []string
	hash                map[string]string
	set, zset           map[string]int
	str, text           string
	deadline            int64
}

func newSteps(id int) *steps {
	return &steps{id: id, hash: map[string]string{}, set: map[string]int{}, zset: map[string]int{}}
}

func (s *steps) clone() *steps {
	c := *s
	c.list = slices.Clone(s.list)
	c.hash, c.set, c.zset = maps.Clone(s.hash), maps.Clone(s.set), maps.Clone(s.zset)
	return &c
}

func (s *steps) db() int { return s.id % 3 }

func (s *steps) key(name string) string { return fmt.Sprintf("%s:%d", name, s.id) }

// next takes one step and returns its commands. No state comes twice: count, a and b only grow, and what does not change
// one of them puts n into a value.
func (s *steps) next() [][]string {
	s.n++
	rnd := rand.New(rand.NewPCG(uint64(s.id), uint64(s.n)))
	n := strconv.Itoa(s.n)
	counted := func(commands ...[]string) [][]string {
		s.count++
		return slices.Concat([][]string{{"MULTI"}}, commands, [][]string{{"INCR", s.key("count")}, {"EXEC"}})
	}
	switch rnd.IntN(14) {
	case 0:
		s.shared++
		return counted([]string{"INCR", "shared"})
	case 1:
		s.a++
		s.b += 2
		return [][]string{{"MULTI"}, {"INCR", s.key("a")}, {"INCRBY", s.key("b"), "2"}, {"EXEC"}}
	case 2, 3:
		s.list = append(s.list, n)
		return [][]string{{"RPUSH", s.key("list"), n}}
	case 4:
		s.list = s.list[min(len(s.list), 5):]
		return counted([]string{"LTRIM", s.key("list"), "5", "-1"})
	case 5:
		field := strconv.Itoa(rnd.IntN(20))
		s.hash[field] = n
		return [][]string{{"HSET", s.key("hash"), field, n}}
	case 6:
		s.set[n] = 1
		return [][]string{{"SADD", s.key("set"), n}}
	case 7:
		if len(s.set) > 10 {
			all := slices.Sorted(maps.Keys(s.set))
			rem := all[:5]
			for _, m := range rem {
				delete(s.set, m)
			}
			return counted(append([]string{"SREM", s.key("set")}, rem...))
		}
		s.count++
		return [][]string{{"INCR", s.key("count")}}
	case 8:
		m := strconv.Itoa(rnd.IntN(30))
		s.zset[m]++
		s.zset["n"] = s.n
		return [][]string{{"MULTI"}, {"ZINCRBY", s.key("zset"), "1", m}, {"ZADD", s.key("zset"), n, "n"}, {"EXEC"}}
	case 9:
		s.str, s.deadline = n, 4_000_000_000_000+int64(s.n)
		return [][]string{{"SET", s.key("str"), n, "PXAT", strconv.FormatInt(s.deadline, 10)}}
	case 10:
		s.str, s.deadline = strings.Repeat(n+" ", 1000), 0
		return [][]string{{"SET", s.key("str"), s.str}}
	case 11:
		s.a++
		s.b += 2
		return [][]string{{"EVAL", "redis.call('incr', KEYS[1]) for _ = 1, 1000 do end redis.call('incrby', KEYS[2], 2)", "2", s.key("a"), s.key("b")}}
	case 12:
		s.text = n
		return [][]string{{"SET", s.key("text"), n}}
	default:
		s.text += "," + n
		return [][]string{{"APPEND", s.key("text"), "," + n}}
	}
}

// String is the state without n, in the form that found gives.
func (s *steps) String() string {
	number := func(n int) string {
		if n == 0 {
			return "(nil)"
		}
		return strconv.Itoa(n)
	}
	text := func(t string) string {
		if t == "" {
			return "(nil)"
		}
		return t
	}
	deadline := s.deadline
	if s.str == "" {
		deadline = -2
	} else if deadline == 0 {
		deadline = -1
	}
	flat := func(m map[string]int) (out []string) {
		for k, v := range m {
			out = append(out, k+" "+strconv.Itoa(v))
		}
		sort.Strings(out)
		return out
	}
	var fields []string
	for k, v := range s.hash {
		fields = append(fields, k+" "+v)
	}
	sort.Strings(fields)
	return fmt.Sprint(number(s.count), "|", number(s.a), "|", number(s.b), "|", s.list, "|", fields, "|",
		slices.Sorted(maps.Keys(s.set)), "|", flat(s.zset), "|", text(s.str), "|", deadline, "|", text(s.text))
}

// found reads a writer's keys.
func (s *steps) found(c *harness.Conn) string {
	c.Must("SELECT", strconv.Itoa(s.db()))
	get := func(name string) string { return c.Must("GET", s.key(name)).String() }
	pairs := func(v harness.Value) (out []string) {
		for i := 0; i+1 < len(v.Elems); i += 2 {
			out = append(out, v.Elems[i].Str+" "+v.Elems[i+1].Str)
		}
		sort.Strings(out)
		return out
	}
	words := func(v harness.Value) (out []string) {
		for _, e := range v.Elems {
			out = append(out, e.Str)
		}
		return out
	}
	set := words(c.Must("SMEMBERS", s.key("set")))
	sort.Strings(set)
	return fmt.Sprint(get("count"), "|", get("a"), "|", get("b"), "|", words(c.Must("LRANGE", s.key("list"), "0", "-1")), "|",
		pairs(c.Must("HGETALL", s.key("hash"))), "|", set, "|", pairs(c.Must("ZRANGE", s.key("zset"), "0", "-1", "WITHSCORES")), "|",
		get("str"), "|", c.Must("PEXPIRETIME", s.key("str")).Int(), "|", get("text"))
}

// writer sends steps until its server dies.
type writer struct {
	begin *steps // when the server started
	sent  int    // steps
	acks  []ack
	err   string
}

// ack is how many steps had been answered at a moment.
type ack struct {
	n  int
	at time.Time
}

// answeredAt returns how many steps had been answered at a moment.
func (w *writer) answeredAt(at time.Time) int {
	n := w.begin.n
	for _, a := range w.acks {
		if a.at.After(at) {
			break
		}
		n = a.n
	}
	return n
}

func (w *writer) run(c *harness.Conn, rnd *rand.Rand) {
	cur := w.begin.clone()
	w.sent = cur.n
	if _, err := c.Do("SELECT", strconv.Itoa(cur.db())); err != nil {
		return
	}
	for {
		var packet []byte
		var ends []int // the number of replies after each step
		replies := 0
		for range 1 + rnd.IntN(30) {
			for _, argv := range cur.next() {
				packet = harness.AppendCommand(packet, argv...)
				replies++
			}
			ends = append(ends, replies)
		}
		before := w.sent
		w.sent = cur.n
		if _, err := c.Write(packet); err != nil {
			return
		}
		for i := range replies {
			v, err := c.Read()
			if err != nil {
				return
			}
			if v.IsError() {
				w.err = v.Str
				return
			}
			if k, ok := slices.BinarySearch(ends, i+1); ok {
				w.acks = append(w.acks, ack{before + k + 1, time.Now()})
			}
		}
	}
}

// pair is the producer and the consumer of a queue of numbers.
type pair struct {
	begin    int // the last one in the queue at the start
	sent     int
	pushed   []ack
	consumed []ack
}

func (p *pair) produce(c *harness.Conn) {
	p.sent = p.begin
	for {
		p.sent++
		n := strconv.Itoa(p.sent)
		_, err := c.Write(slices.Concat(harness.AppendCommand(nil, "MULTI"), harness.AppendCommand(nil, "RPUSH", "queue", n),
			harness.AppendCommand(nil, "SET", "pushed", n), harness.AppendCommand(nil, "EXEC")))
		if err != nil {
			return
		}
		for range 4 {
			if _, err := c.Read(); err != nil {
				return
			}
		}
		p.pushed = append(p.pushed, ack{p.sent, time.Now()})
	}
}

func (p *pair) consume(c *harness.Conn) {
	for {
		v, err := c.Do("BLPOP", "queue", "0")
		if err != nil || len(v.Elems) != 2 {
			return
		}
		p.consumed = append(p.consumed, ack{int(v.Elems[1].Int()), time.Now()})
	}
}

// changer changes settings until its server dies.
type changer struct {
	off time.Time // since when the file is off, or not complete yet; zero while it is on
	on  int       // times that it was switched on
	err string
}

func (h *changer) run(c *harness.Conn, rnd *rand.Rand) {
	do := func(words ...string) (harness.Value, bool) {
		v, err := c.Do(words...)
		if err == nil && v.IsError() {
			h.err = v.Str
		}
		return v, err == nil && h.err == ""
	}
	pause := func() { time.Sleep(time.Duration(rnd.Int64N(int64(5 * time.Millisecond)))) }
	for {
		if rnd.IntN(4) > 0 {
			if _, ok := do("CONFIG", "SET", "appendfsync", []string{"always", "everysec", "no"}[rnd.IntN(3)]); !ok {
				return
			}
			pause()
			continue
		}
		h.off = time.Now()
		if _, ok := do("CONFIG", "SET", "appendonly", "no"); !ok {
			return
		}
		pause()
		if _, ok := do("CONFIG", "SET", "appendonly", "yes"); !ok {
			return
		}
		for {
			v, ok := do("INFO", "persistence")
			if !ok {
				return
			}
			if strings.Contains(v.Str, "aof_rewrite_in_progress:0") && strings.Contains(v.Str, "aof_rewrite_scheduled:0") {
				break
			}
			time.Sleep(time.Millisecond)
		}
		h.off = time.Time{}
		h.on++
		pause()
	}
}

func lastAt(acks []ack, otherwise int, at time.Time) int {
	n := otherwise
	for _, a := range acks {
		if !a.at.After(at) {
			n = a.n
		}
	}
	return n
}

// crashes is a series of lives of one server.
type crashes struct {
	t        *testing.T
	policy   string
	dir      string
	rnd      *rand.Rand
	writers  []*steps
	pushed   int
	popped   int
	lost     int           // most steps answered and lost in one crash
	lostTime time.Duration // and how long before the kill the first of them was answered
	total    int           // steps answered
	rewrites int           // that the server reported
	switches int           // times that the file was switched on again
	last     *lived        // the life before
}

// lived is what is known of a life that has ended.
type lived struct {
	number  int
	writers []*writer
	queue   *pair
	killed  time.Time
	due     time.Time // what was answered before that must be there
	logs    string
}

// TestKill kills a server again and again.
func TestKill(t *testing.T) {
	n := *kills
	if n == 0 {
		n = 10
		if *long {
			n = 1000
		}
	}
	for _, policy := range []string{"always", "everysec", "no", "settings"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			seed := random.Seed(t)
			k := &crashes{t: t, policy: policy, dir: t.TempDir(), rnd: rand.New(rand.NewPCG(seed, 1))}
			for id := range 6 {
				k.writers = append(k.writers, newSteps(id))
			}
			for i := range n {
				life := time.Duration(k.rnd.ExpFloat64() * float64(60*time.Millisecond))
				if policy != "always" && i%10 == 5 {
					life += time.Duration(k.rnd.Int64N(int64(2 * time.Second))) // some end during an fsync of everysec
				}
				k.life(i, life)
			}
			k.life(n, -1)
			t.Logf("%d kills, %d steps answered, %d rewrites completed, %d times switched on; a crash took back at most %d answered steps of a writer, answered up to %v before",
				n, k.total, k.rewrites, k.switches, k.lost, k.lostTime)
			if policy != "settings" && k.lost != 0 || k.total == 0 {
				t.Errorf("%d answered steps lost of %d", k.lost, k.total)
			}
		})
	}
}

// life starts a server on what the last one left, compares, puts load on it for some time (not if that is negative), and
// kills it.
func (k *crashes) life(number int, length time.Duration) {
	t := k.t
	pick := func(options ...string) string { return options[k.rnd.IntN(len(options))] }
	policy := k.policy
	if policy == "settings" {
		policy = pick("always", "everysec", "no")
	}
	args := []string{"--appendonly", "yes", "--appendfsync", policy,
		"--aof-use-rdb-preamble", pick("yes", "no"), "--aof-timestamp-enabled", pick("yes", "no"),
		"--auto-aof-rewrite-percentage", pick("0", "1", "30"), "--auto-aof-rewrite-min-size", "20kb",
		"--aof-rewrite-incremental-fsync", pick("yes", "no")}
	s, err := harness.Start(harness.Options{Binary: harness.NeedFerrous(t), Dir: k.dir, Args: args, Seed: k.rnd.Uint64()})
	if err != nil {
		names, _ := os.ReadDir(k.dir + "/appendonlydir")
		t.Fatalf("life %d: %v\nfiles: %v\nthe life before:\n%s", number, err, names, k.last.logs)
	}
	defer func() {
		failure := recover() // of Must
		if failure != nil {
			t.Errorf("life %d: %v", number, failure)
		}
		s.Kill()
		if t.Failed() {
			t.Logf("life %d:\n%s", number, s.Logs())
			if k.last != nil {
				t.Logf("the life before:\n%s", k.last.logs)
			}
		}
		if failure != nil {
			t.FailNow()
		}
	}()
	ctl, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	if k.last != nil {
		k.compare(ctl)
	}
	if length < 0 {
		return
	}
	if number == 0 {
		// Something to write for those who rewrite.
		ballast := []string{"MSET"}
		for i := range 3000 {
			ballast = append(ballast, fmt.Sprint("ballast:", i), strings.Repeat("ballast ", 20))
		}
		ctl.Must(ballast...)
	}
	shared := map[int]int{}
	for _, w := range k.writers {
		shared[w.db()] += w.shared
	}
	for db, want := range shared {
		ctl.Must("SELECT", strconv.Itoa(db))
		if got := ctl.Must("GET", "shared").Int(); got != int64(want) {
			t.Fatalf("life %d: the shared key of database %d is %d, its writers have %d", number, db, got, want)
		}
	}
	ctl.Must("SELECT", "0")
	if n := ctl.Must("DBSIZE").Int(); n < 3000 {
		t.Fatalf("life %d: %d keys", number, n)
	}

	var all sync.WaitGroup
	start := func(run func(c *harness.Conn)) {
		c, err := s.Connect()
		if err != nil {
			t.Fatal(err)
		}
		all.Add(1)
		go func() {
			defer all.Done()
			defer c.Close()
			run(c)
		}()
	}
	writers := make([]*writer, len(k.writers))
	for i := range writers {
		w := &writer{begin: k.writers[i]}
		writers[i] = w
		rnd := rand.New(rand.NewPCG(k.rnd.Uint64(), 2))
		start(func(c *harness.Conn) { w.run(c, rnd) })
	}
	queue := &pair{begin: k.pushed}
	start(queue.produce)
	start(queue.consume)
	if k.rnd.IntN(3) > 0 {
		pause := time.Duration(k.rnd.Int64N(int64(20 * time.Millisecond)))
		start(func(c *harness.Conn) {
			for {
				if _, err := c.Do("BGREWRITEAOF"); err != nil {
					return
				}
				time.Sleep(pause)
			}
		})
	}
	settings := &changer{}
	if k.policy == "settings" {
		rnd := rand.New(rand.NewPCG(k.rnd.Uint64(), 3))
		start(func(c *harness.Conn) { settings.run(c, rnd) })
	}
	time.Sleep(length)
	killed := time.Now()
	s.Kill()
	all.Wait()
	_ = ctl.Close()
	for i, w := range writers {
		if w.err != "" {
			t.Fatalf("life %d: writer %d was answered %s", number, i, w.err)
		}
	}
	if settings.err != "" {
		t.Fatalf("life %d: a change of settings was answered %s", number, settings.err)
	}
	due := settings.off
	if due.IsZero() {
		due = time.Now()
	}
	k.switches += settings.on
	k.last = &lived{number, writers, queue, killed, due, s.Logs()}
	k.rewrites += strings.Count(k.last.logs, "Background AOF rewrite finished successfully")
}

// compare finds out how far each writer got in the life before.
func (k *crashes) compare(c *harness.Conn) {
	t, number, queue, killed, due := k.t, k.last.number, k.last.queue, k.last.killed, k.last.due
	for i, w := range k.last.writers {
		found := w.begin.found(c)
		at := w.begin.clone()
		for at.n < w.sent && at.String() != found {
			at.next()
		}
		if got := at.String(); got != found {
			t.Fatalf("after life %d: writer %d's keys are in no state of theirs between %d and %d steps, %d answered:\n%.2000s\nat the start\n%.2000s\nat the end\n%.2000s",
				number, i, w.begin.n, w.sent, w.answeredAt(time.Now()), found, w.begin, got)
		}
		answered := w.answeredAt(time.Now())
		k.total += answered - w.begin.n
		if at.n < answered {
			k.lost = max(k.lost, answered-at.n)
			for _, a := range w.acks {
				if a.n > at.n {
					k.lostTime = max(k.lostTime, killed.Sub(a.at))
					break
				}
			}
		}
		if least := w.answeredAt(due); at.n < least {
			t.Fatalf("after life %d: writer %d is back at step %d, %d were answered in time (%d in all, %d sent)", number, i, at.n, least,
				answered, w.sent)
		}
		k.writers[i] = at
	}
	// The queue holds what was pushed and not popped: the numbers up to pushed, from behind the last that was popped.
	c.Must("SELECT", "0")
	pushed := int(c.Must("GET", "pushed").Int())
	if least := lastAt(queue.pushed, queue.begin, due); pushed < least || pushed > queue.sent {
		t.Fatalf("after life %d: pushed is %d, answered in time %d, sent %d", number, pushed, least, queue.sent)
	}
	rest := c.Must("LRANGE", "queue", "0", "-1").Elems
	popped := pushed - len(rest)
	for i, e := range rest {
		if e.Int() != int64(popped+1+i) {
			t.Fatalf("after life %d: the queue is %v, pushed %d", number, rest, pushed)
		}
	}
	if least := lastAt(queue.consumed, k.popped, due); popped < least {
		t.Fatalf("after life %d: %d numbers are popped, the consumer had %d", number, popped, least)
	}
	if most := lastAt(queue.consumed, k.popped, time.Now()) + 1; popped > most {
		t.Fatalf("after life %d: %d numbers are popped, the consumer had %d and asked for one", number, popped, most-1)
	}
	k.pushed, k.popped = pushed, popped
}
