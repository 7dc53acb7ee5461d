package compat

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferrous/tests/harness"
	"ferrous/tests/random"
)

// Random commands at the limit of memory. Ferrous has a maxmemory, the oracle has none: it is the model. Ferrous notifies
// each eviction with a keyspace event, and the test then deletes that key from the oracle. So both hold the same keys
// whatever is evicted, and every reply must be the oracle's or a refusal. Ferrous evicts before a command and never
// within one, and a client gets the events of that before the reply to the command. So the oracle deletes what the events
// before a reply tell, and then gets the command. Behind each command there is an ECHO, as a mark: the events between the two
// replies wait until the next command.
//
// The server is built with the tag invariants: after each look at the limit it checks that memory is below it or that
// nothing is left to evict, and DEBUG RECOUNT counts everything at the end of a round.

const oomError = "OOM command not allowed when used memory > 'maxmemory'."

// limitKeys are the names of keys: enough that some are always there.
var limitKeys = func() []string {
	keys := slices.Clone(randomKeys)
	for i := range 120 {
		keys = append(keys, "key:"+strconv.Itoa(i))
	}
	return keys
}()

// mostValue is more than one command of the generator adds to memory.
const mostValue = 1 << 20

var limitPolicies = []string{"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl"}

// limited is one run: the two servers, the connection to each that the commands go over, and what has happened.
type limited struct {
	*pair
	link    *link
	policy  string
	limit   int64
	denies  map[string]bool // commands flagged denyoom
	sent    int
	refused int
	evicted int
	late    []harness.Value // events that wait
	marks   int
}

// TestRandomAtLimit sends random commands to a server at its limit, one policy after the other; -seed repeats a run, -gentime
// and -long (ten minutes a policy) lengthen it.
func TestRandomAtLimit(t *testing.T) {
	bin, err := harness.CheckedFerrous()
	if err != nil {
		t.Fatal(err)
	}
	length := *randomTime
	switch {
	case length != 0:
	case *long:
		length = 10 * time.Minute
	case testing.Short():
		length = 200 * time.Millisecond
	default:
		length = time.Second
	}
	for _, policy := range limitPolicies {
		t.Run(policy, func(t *testing.T) {
			seed := *randomSeed
			if seed == 0 {
				seed = random.Seed(t)
			}
			if *long {
				t.Parallel()
			}
			t.Logf("-seed %d", seed)
			limitedRun(t, bin, policy, seed, length)
		})
	}
}

func limitedRun(t *testing.T, bin, policy string, seed uint64, length time.Duration) {
	p := newPairOf(t, bin, "--maxclients", "100")
	for _, set := range [][]string{{"maxmemory-policy", policy}, {"notify-keyspace-events", "Ee"}} {
		if v, err := p.admin[subject].Do("CONFIG", "SET", set[0], set[1]); err != nil || v.IsError() {
			t.Fatalf("CONFIG SET %v: %v %v", set, v, err)
		}
	}
	g := newGenerator(t, p, seed)
	g.keyNames, g.steady = limitKeys, true
	l := &limited{pair: p, policy: policy, denies: map[string]bool{}}
	for name := range g.grammar {
		top, _, _ := strings.Cut(name, "|")
		info := p.admin[oracle].Must("COMMAND", "INFO", top)
		for _, flag := range info.Elems[0].Elems[2].Elems {
			l.denies[top] = l.denies[top] || flag.Str == "denyoom"
		}
	}
	rounds := 0
	for until := time.Now().Add(length); time.Now().Before(until); rounds++ {
		g.family = g.names[rounds%len(g.names)]
		if err := l.round(g); err != nil {
			t.Fatalf("seed %d, round %d (%s), command %d: %v", seed, rounds, g.family, l.sent, err)
		}
	}
	t.Logf("%d commands in %d rounds: %d keys were evicted, %d commands refused", l.sent, rounds, l.evicted, l.refused)
	if l.sent > 20_000 && (policy != "noeviction" && l.evicted == 0 || policy == "noeviction" && l.refused == 0) {
		t.Error("the limit was never met")
	}
}

// round is some hundred commands over databases that are empty first.
func (l *limited) round(g *generator) (err error) {
	if err := l.flush(); err != nil {
		return err
	}
	if l.link, err = l.connect(3, true); err != nil {
		return err
	}
	defer l.link.close()
	began := time.Now()
	c := l.link.conns[subject]
	if err := c.Send("PSUBSCRIBE", "__keyevent@*__:evicted"); err != nil {
		return err
	}
	if v, err := c.Read(); err != nil || v.Kind != '>' {
		return fmt.Errorf("PSUBSCRIBE: %v %v", v, err)
	}
	info, err := l.admin[subject].Info("memory")
	if err != nil {
		return err
	}
	empty, _ := strconv.ParseInt(info["used_memory"], 10, 64)
	room := []int64{20_000, 40_000, 80_000, 150_000}[g.rnd.IntN(4)]
	l.limit = empty + room
	tenacity := []string{"100", "100", "10", "0"}[g.rnd.IntN(4)]
	for _, set := range [][]string{{"maxmemory-eviction-tenacity", tenacity}, {"maxmemory-samples", strconv.Itoa(1 + g.rnd.IntN(10))},
		{"maxmemory", strconv.FormatInt(l.limit, 10)}} {
		if v, err := l.admin[subject].Do("CONFIG", "SET", set[0], set[1]); err != nil || v.IsError() {
			return fmt.Errorf("CONFIG SET %v: %v %v", set, v, err)
		}
	}
	for i := range 400 {
		if err := l.step(g); err != nil {
			return err
		}
		if i%50 == 49 {
			if err := l.look(tenacity == "100"); err != nil {
				return err
			}
		}
		if g.chance(1) { // a limit that moves
			l.limit = empty + room/2 + g.rnd.Int64N(room)
			v, err := l.admin[subject].Do("CONFIG", "SET", "maxmemory", strconv.FormatInt(l.limit, 10))
			if err != nil || v.IsError() {
				return fmt.Errorf("CONFIG SET maxmemory: %v %v", v, err)
			}
		}
	}
	if v, err := l.admin[subject].Do("CONFIG", "SET", "maxmemory", "0"); err != nil || v.IsError() {
		return fmt.Errorf("CONFIG SET maxmemory 0: %v %v", v, err)
	}
	if _, err := l.exchange(nil); err != nil { // what was evicted until then
		return err
	}
	problems, err := l.compareState(time.Since(began) + 2*time.Second)
	if err == nil && len(problems) > 0 {
		err = errors.New(strings.Join(problems, "\n"))
	}
	if err != nil {
		return err
	}
	return l.recount()
}

// step sends a command, or a transaction of some, to both servers and compares.
func (l *limited) step(g *generator) error {
	requests := [][]string{g.command()}
	if g.chance(20) { // so that there is always something to evict
		requests[0] = []string{"set", g.pick(g.keyNames), strings.Repeat("v", g.rnd.IntN(2000)), "ex", g.far(1_000_000)}
	}
	if g.chance(4) {
		for range g.rnd.IntN(3) {
			requests = append(requests, g.command())
		}
		requests = slices.Concat([][]string{{"MULTI"}}, requests, [][]string{{"EXEC"}})
	}
	l.sent += len(requests)
	replies, err := l.exchange(requests)
	if err != nil {
		return fmt.Errorf("%q: %w", requests, err)
	}
	refused := false
	for i, v := range replies {
		if v.IsError() && strings.Contains(v.Str, oomError) {
			refused = true
			name := strings.ToLower(requests[i][0])
			if len(requests) == 1 && (v.Str != oomError || !l.denies[name]) {
				return fmt.Errorf("%q was answered %q", requests[i], v.Str)
			}
		}
	}
	if refused {
		l.refused++
		if last := replies[len(replies)-1]; len(requests) > 1 && !strings.HasPrefix(last.Str, "EXECABORT ") {
			return fmt.Errorf("%q: EXEC was answered %s", requests, last)
		}
		return l.mayRefuse()
	}
	for i, args := range requests {
		v, err := l.link.conns[oracle].Do(args...)
		if err != nil {
			return fmt.Errorf("%s: %q: %w", sideNames[oracle], args, err)
		}
		if args[0] == "EXEC" && len(v.Elems) == len(requests)-2 && len(v.Elems) == len(replies[i].Elems) {
			for k, e := range v.Elems {
				if err := sameReply(requests[k+1], e, replies[i].Elems[k]); err != nil {
					return err
				}
			}
		} else if err := sameReply(args, v, replies[i]); err != nil {
			return err
		}
	}
	return nil
}

// sameReply compares the oracle's reply with ours.
func sameReply(args []string, theirs, ours harness.Value) error {
	if newReply(args, theirs.Str, ours.Str) {
		return nil
	}
	s := comparison(args[0])
	if s.compare == exact && canonicalExact(theirs) == canonicalExact(ours) {
		return nil
	}
	if d := differ(s, args, []harness.Value{theirs}, []harness.Value{ours}); d != "" || s.compare == exact {
		return fmt.Errorf("%q: %s\n\t%s\n\t%s", args, d, theirs, ours)
	}
	return nil
}

// canonicalExact shows a reply with its types; those inside of another have no raw form.
func canonicalExact(v harness.Value) string {
	if v.Elems == nil {
		return fmt.Sprintf("%c%v%q", v.Kind, v.Null, v.Str)
	}
	text := string(v.Kind)
	for _, e := range v.Elems {
		text += " " + canonicalExact(e)
	}
	return text + "."
}

// exchange sends requests to Ferrous, with an ECHO behind them, returns the replies, and has the oracle delete what was evicted
// before them.
func (l *limited) exchange(requests [][]string) (replies []harness.Value, err error) {
	c := l.link.conns[subject]
	for _, event := range l.late {
		if err := l.mirror(event); err != nil {
			return nil, err
		}
	}
	l.late = l.late[:0]
	l.marks++
	mark := "mark " + strconv.Itoa(l.marks)
	var packet []byte
	for _, args := range requests {
		packet = harness.AppendCommand(packet, args...)
	}
	packet = harness.AppendCommand(packet, "ECHO", mark)
	if _, err := c.Write(packet); err != nil {
		return nil, err
	}
	for len(replies) <= len(requests) {
		v, err := c.Read()
		if err != nil {
			return nil, err
		}
		if v.Kind != '>' {
			replies = append(replies, v)
			continue
		}
		if len(replies) == len(requests) && len(requests) > 0 {
			l.late = append(l.late, v)
		} else if err := l.mirror(v); err != nil {
			return nil, err
		}
	}
	if last := replies[len(requests)]; last.Str != mark {
		return nil, fmt.Errorf("ECHO was answered %s", last)
	}
	return replies[:len(requests)], nil
}

// mirror deletes on the oracle what an event says was evicted.
func (l *limited) mirror(event harness.Value) error {
	if len(event.Elems) != 4 || event.Elems[0].Str != "pmessage" {
		return fmt.Errorf("unexpected push %s", event)
	}
	var db int
	if _, err := fmt.Sscanf(event.Elems[2].Str, "__keyevent@%d__:evicted", &db); err != nil {
		return err
	}
	key, c := event.Elems[3].Str, l.admin[oracle]
	if _, err := c.Do("SELECT", strconv.Itoa(db)); err != nil {
		return err
	}
	ttl, err := c.Do("PTTL", key)
	if err != nil {
		return err
	}
	l.evicted++
	if l.policy == "noeviction" || strings.HasPrefix(l.policy, "volatile") && ttl.Int() < 0 {
		return fmt.Errorf("db %d: %q was evicted, whose PTTL is %s", db, key, ttl)
	}
	if v, err := c.Do("DEL", key); err != nil || v.Str != "1" {
		return fmt.Errorf("db %d: %q was evicted, which was not there: %s %v", db, key, v, err)
	}
	_, err = c.Do("SELECT", "0")
	return err
}

// mayRefuse holds that a command is refused only if nothing can be evicted. That memory is full then, the server checks by itself.
func (l *limited) mayRefuse() error {
	if l.policy == "noeviction" {
		return nil
	}
	info, err := l.admin[oracle].Info("keyspace")
	if err != nil {
		return err
	}
	for db, text := range info {
		if strings.HasPrefix(l.policy, "allkeys") || !strings.Contains(text, ",expires=0,") {
			return fmt.Errorf("a command was refused with %s: %s", db, text)
		}
	}
	return nil
}

// look compares used_memory with the limit.
func (l *limited) look(strict bool) error {
	c := l.admin[subject]
	info, err := c.Info("memory")
	if err != nil {
		return err
	}
	used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
	if over := used - l.limit; over > mostValue {
		return fmt.Errorf("used_memory is %d, the limit %d", used, l.limit)
	} else if over > 0 && strict && l.policy != "noeviction" {
		return l.settledAbove(over)
	}
	return nil
}

// settledAbove holds that nothing can go if memory is above the limit.
func (l *limited) settledAbove(over int64) error {
	if _, err := l.exchange(nil); err != nil { // so that the oracle has what is left
		return err
	}
	if err := l.mayRefuse(); err != nil {
		return fmt.Errorf("%d bytes over the limit: %w", over, err)
	}
	return nil
}

// recount has the server count everything. The memory of clients settles with cron.
func (l *limited) recount() error {
	var v harness.Value
	for deadline := time.Now().Add(harness.DefaultTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if v, err = l.admin[subject].Do("DEBUG", "RECOUNT"); err != nil || v.IsError() {
			return fmt.Errorf("DEBUG RECOUNT: %s %w", v, err)
		}
		if len(v.Elems) == 0 {
			return nil
		}
		if strings.HasPrefix(v.Elems[0].Str, "recorded") {
			break
		}
	}
	return fmt.Errorf("DEBUG RECOUNT: %s", v)
}
