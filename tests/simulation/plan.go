package simulation

// A run: servers start, clients write, faults come; then faults cease, one server is made the master of all others, in a
// tree, and all must become equal.

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"ferrous/replication"
)

// Plan says what happens in a run.
type Plan struct {
	Servers   int
	Length    int64 // ms of faults and writes
	Delay     int   // ms that a packet takes at most
	SaveTime  int   // ms that a dump takes at most
	SaveFails int   // one dump of so many fails; 0: none
	LoadFails int   // one load of so many fails; 0: none
	Backlog   int64
	Diskless  bool
	AOF       bool
	Every     int // ms between writes, at most

	Links     int  // ms between faults of links, at most; 0: none
	Kills     int  // ms between kills and shutdowns, at most; 0: none
	Roles     int  // ms between changes of roles, at most; 0: none
	Failovers int  // ms between FAILOVERs, at most; 0: none
	Saves     int  // ms between dumps, at most; 0: none
	Lossless  bool // nothing in it may lose a write: none is lost, and nobody syncs in full twice

	Fault replication.Fault
}

// Rough is a plan in which everything happens.
func Rough(rng *rand.Rand) Plan {
	return Plan{
		Servers: 2 + rng.IntN(4), Length: 5000 + rng.Int64N(60000), Delay: 1 + rng.IntN(60), SaveTime: 1 + rng.IntN(4000),
		SaveFails: 20, LoadFails: 15, Backlog: 256 << rng.IntN(10), Diskless: rng.IntN(2) == 0, AOF: rng.IntN(2) == 0,
		Every: 1 + rng.IntN(300), Links: 500 + rng.IntN(10000), Kills: 4000 + rng.IntN(30000),
		Roles: 3000 + rng.IntN(20000), Failovers: 4000 + rng.IntN(30000), Saves: 2000 + rng.IntN(20000),
	}
}

// Gentle is a plan in which only links fail.
func Gentle(rng *rand.Rand) Plan {
	p := Rough(rng)
	p.SaveFails, p.LoadFails, p.Backlog, p.Kills, p.Roles, p.Failovers, p.Lossless = 0, 0, 16<<20, 0, 0, 0, true
	return p
}

// Handing is a plan in which the role of the master goes round by FAILOVER, and links fail.
func Handing(rng *rand.Rand) Plan {
	p := Gentle(rng)
	p.Servers = max(p.Servers, 3)
	p.Failovers = 500 + rng.IntN(5000)
	return p
}

// Settings are those of the server on a port.
func (p *Plan) Settings(port int) replication.Settings {
	return replication.Settings{
		BacklogSize: p.Backlog, BacklogTTL: 3600, Timeout: 8, PingPeriod: 3, Diskless: p.Diskless, DisklessDelay: int64(p.Delay) % 3,
		Port: port, AOF: p.AOF,
	}
}

// Result is how a run ended.
type Result struct {
	Failure string   // "" if all was well
	Trace   uint64   // hash of all that happened
	Lines   []string // what happened, if asked for
	Writes  int
	Partial int64
	Full    int64
	Handed  int
}

// Run runs a plan. It is a function of its arguments.
func Run(seed uint64, p Plan, verbose bool) (r Result) {
	w := &World{rng: rand.New(rand.NewPCG(seed, 17)), points: map[point]seen{}, plan: p, verbose: verbose, now: 1_000_000}
	defer func() {
		if e := recover(); e != nil {
			if verbose {
				w.logf("panic: %v", e)
			}
			r.Failure = fmt.Sprintf("panic: %v", e)
			r.Trace, r.Lines = w.trace, w.lines
		}
	}()
	for i := range p.Servers {
		s := &server{w: w, name: fmt.Sprintf("n%d", i), port: 7000 + i}
		w.servers = append(w.servers, s)
		s.start()
	}
	for i, s := range w.servers[1:] {
		s.step(func() { s.node.ReplicaOf(w.now, w.servers[w.between(0, i)].name, 0) })
	}
	r.Handed = w.trouble(p)
	w.heal()
	if w.failure == "" && p.Lossless {
		w.complete(r.Handed)
	}
	for _, s := range w.servers {
		r.Partial += s.node.SyncPartialOK
		r.Full += s.node.SyncFull
	}
	r.Failure, r.Trace, r.Lines, r.Writes = w.failure, w.trace, w.lines, w.token
	return r
}

func (w *World) server(name string) *server { return w.servers[int(name[1]-'0')] }

// repeatedly does something at random intervals until t.
func (w *World) repeatedly(every int, t int64, do func()) {
	if every == 0 {
		return
	}
	var next func()
	next = func() {
		if w.now >= t {
			return
		}
		do()
		w.at(int64(w.between(1, every)), next)
	}
	w.at(int64(w.between(1, every)), next)
}

// trouble lets faults happen.
func (w *World) trouble(p Plan) (handed int) {
	end := w.now + p.Length
	w.repeatedly(p.Every, end, w.writeSomewhere)
	w.repeatedly(p.Links, end, w.harmLink)
	w.repeatedly(p.Kills, end, w.endSomebody)
	w.repeatedly(p.Roles, end, w.changeRole)
	w.repeatedly(p.Saves, end, func() {
		if s := pick(w, w.servers); s.alive && !s.saving && s.node.LinkInfo().State != replication.LinkLoading && !s.loading() {
			s.step(func() {
				w.logf("%s saves", s.name)
				s.save(nil)
			})
		}
	})
	w.repeatedly(p.Failovers, end, func() {
		s := pick(w, w.servers)
		if !s.alive || s.node.IsReplica() {
			return
		}
		s.step(func() {
			a := replication.FailoverArgs{Timeout: int64(w.between(100, 5000))}
			if all := s.node.Replicas(); len(all) > 0 && w.chance(2) {
				r := pick(w, all)
				a.Host, a.Port = r.IP(), r.ListeningPort
				a.Force = !p.Lossless && w.chance(4)
			}
			reply := s.node.Failover(w.now, a)
			w.logf("%s: FAILOVER %+v: %s", s.name, a, reply)
			if reply == "+OK" {
				handed++
			}
		})
		if !p.Lossless && w.chance(4) {
			s.later(int64(w.between(1, 1000)), func() { w.logf("%s: FAILOVER ABORT: %s", s.name, s.node.FailoverAbort(w.now)) })
		}
	})
	w.until(end)
	return handed
}

// loading says that data are incomplete.
func (s *server) loading() bool { return s.node.IsReplica() && !s.node.HistoryUsable() }

func (w *World) writeSomewhere() {
	var masters []*server
	for _, s := range w.servers {
		if s.takesWrites() {
			masters = append(masters, s)
		}
	}
	if len(masters) == 0 {
		return
	}
	s := pick(w, masters)
	s.step(func() {
		n := 1
		if w.chance(3) {
			n = w.between(2, 5)
			s.feed(-1, "MULTI")
		}
		db := w.between(0, 2)
		kept := w.rng.IntN(n + 1)
		for i := range n + 1 {
			w.token++
			token := fmt.Sprintf("<%d>", w.token)
			if i == kept {
				// Nothing deletes database 3: what was acknowledged there stays.
				s.feed(3, "APPEND", "log", token)
				w.acked = append(w.acked, token)
				continue
			}
			if w.chance(3) {
				db = w.between(0, 2)
			}
			key := fmt.Sprintf("k%d", w.between(0, 5))
			switch w.rng.IntN(8) {
			case 0:
				s.feed(db, "SET", key, token+strings.Repeat("x", w.rng.IntN(300)))
			case 1:
				s.feed(db, "INCR", "n"+key)
			case 2:
				s.feed(db, "DEL", key)
			case 3:
				if w.chance(10) {
					s.feed(db, "FLUSHDB")
					break
				}
				fallthrough
			default:
				s.feed(db, "APPEND", key, token)
			}
		}
		if n > 1 {
			s.feed(-1, "EXEC")
		}
		w.check(s)
	})
}

func (w *World) harmLink() {
	var conns []*conn
	for _, s := range w.servers {
		for _, e := range s.conns {
			if e == e.conn.ends[0] && !e.conn.cut {
				conns = append(conns, e.conn)
			}
		}
	}
	if len(conns) == 0 {
		return
	}
	c := pick(w, conns)
	if w.chance(3) {
		c.stall(int64(w.between(1, 12000)))
	} else {
		c.breakOff()
	}
}

func (w *World) endSomebody() {
	s := pick(w, w.servers)
	if !s.alive {
		return
	}
	if w.chance(2) || s.loading() {
		s.kill()
	} else {
		s.shutdown()
	}
	w.at(int64(w.between(1, 8000)), func() {
		if !s.alive {
			s.start()
		}
	})
}

func (w *World) changeRole() {
	s := pick(w, w.servers)
	if !s.alive || s.node.FailoverState() != "no-failover" {
		return
	}
	s.step(func() {
		if s.node.IsReplica() && w.chance(2) {
			w.logf("%s: REPLICAOF NO ONE", s.name)
			s.node.ReplicaOfNoOne(w.now)
			return
		}
		if to := pick(w, w.servers); to != s && !w.below(to, s) {
			w.logf("%s: REPLICAOF %s", s.name, to.name)
			s.node.ReplicaOf(w.now, to.name, 0)
		}
	})
}

// below reports whether a server is a replica of another, directly or not.
func (w *World) below(s, top *server) bool {
	for range w.servers {
		if s == top {
			return true
		}
		if s.config == "" {
			return false
		}
		s = w.server(s.config)
	}
	return true
}

// patience is how long servers may take to become equal when nothing fails, ms.
const patience = 120_000

// heal makes one server the master of all and waits until all are equal.
func (w *World) heal() {
	w.logf("faults cease")
	for _, s := range w.servers {
		if !s.alive {
			s.start()
		}
		if s.node.FailoverState() == "waiting-for-sync" {
			s.step(func() { s.node.FailoverAbort(w.now) })
		}
	}
	w.until(w.now + 20_000)
	for _, s := range w.servers {
		if s.node.FailoverState() != "no-failover" {
			s.step(func() { s.node.FailoverAbort(w.now) })
		}
	}
	top := pick(w, w.servers)
	if w.plan.Lossless {
		for _, s := range w.servers {
			if !s.node.IsReplica() {
				top = s
			}
		}
	}
	if top.node.IsReplica() {
		top.step(func() { top.node.ReplicaOfNoOne(w.now) })
	}
	placed := []*server{top}
	for _, i := range w.rng.Perm(len(w.servers)) {
		s := w.servers[i]
		if s == top {
			continue
		}
		to := pick(w, placed)
		if s.config != to.name {
			s.step(func() { s.node.ReplicaOf(w.now, to.name, 0) })
		}
		placed = append(placed, s)
	}
	end := w.now + patience
	for w.failure == "" {
		if why := w.unequal(top); why == "" {
			return
		} else if w.now >= end {
			w.fail("not equal after %d s without faults: %s", patience/1000, why)
		}
		w.until(w.now + 50)
	}
}

// unequal returns a description of the first difference, or "".
func (w *World) unequal(top *server) string {
	for _, s := range w.servers {
		if s == top {
			continue
		}
		if state := s.node.LinkInfo().State; state != replication.LinkConnected {
			return fmt.Sprintf("link of %s to %s: %s", s.name, s.config, state)
		}
		a, b := &top.node.History, &s.node.History
		if a.ID != b.ID || a.Offset != b.Offset {
			return fmt.Sprintf("%s at %s %d, %s at %s %d", top.name, a.ID[:8], a.Offset, s.name, b.ID[:8], b.Offset)
		}
		if top.data.digest != s.data.digest {
			return fmt.Sprintf("%s and %s have other data at the same offset", top.name, s.name)
		}
	}
	return ""
}

// complete checks a run that loses nothing.
//
// A server remembers one replid before its own. A replica that was away during two failovers needs a full synchronisation.
func (w *World) complete(handed int) {
	for _, s := range w.servers {
		if have := s.data.get(3, "log"); have != strings.Join(w.acked, "") {
			w.fail("%s lost what was acknowledged: %d bytes of %d", s.name, len(have), len(strings.Join(w.acked, "")))
		}
		if s.fulls > 1 && handed <= 1 {
			w.fail("%s synchronised in full %d times", s.name, s.fulls)
		}
	}
}
