//go:build invariants

package commands

import (
	"fmt"
	"slices"
	"strings"

	"ferrous/commands/config"
	"ferrous/commands/introspection"
	"ferrous/commands/pubsub"
	"ferrous/commands/session"
	"ferrous/eventloop"
)

// A server built with the tag invariants checks its own counters. It is for tests: tests/integration/storm_test.go builds
// one and lets many clients loose on it.
//
// After each command checkCommand looks at what the command may have changed: its client, its keys while they are small,
// and the signs of the counters. Every recountEvery packets checkPacket recounts everything. What they find is logged, and
// kept until DEBUG RECOUNT asks for it.
//
// DEBUG RECOUNT recounts everything and answers a list of contradictions, of two kinds. Lines that begin with "recorded"
// were found before: they stand for a fault. The others describe the present. Most of them stand for a fault too, but the
// memory of a client whose output has drained is brought up to date by cron only; they must be gone after a second or two.

const (
	recountEvery    = 1000 // packets
	recountElements = 64   // elements of a value that is recounted after each command on it
	recountKeys     = 16   // keys of a command that are looked at
	maxRecorded     = 100
)

// invariants is the server's part.
type invariants struct {
	packets  int
	recorded []string
	refs     []session.KeyRef // scratch
}

func invariantForms() []introspection.DebugForm {
	return []introspection.DebugForm{form("recount", 2, 2, debugRecount, "RECOUNT",
		"    Count everything that the server keeps count of, and list what contradicts.")}
}

func debugRecount(c *Client) {
	s := c.srv
	var lines []string
	for _, text := range s.checks.recorded {
		lines = append(lines, "recorded: "+text)
	}
	s.checks.recorded = nil
	r := recount{s: s}
	r.everything()
	r.settled()
	lines = append(lines, r.found...)
	c.W.Array(len(lines))
	for _, text := range lines {
		c.W.BulkString(text)
	}
}

// record logs contradictions and keeps them for DEBUG RECOUNT, each once.
func (s *Server) record(found []string, after string) {
	for _, text := range found {
		if len(s.checks.recorded) == maxRecorded {
			return
		}
		known := func(line string) bool { return strings.HasPrefix(line, text+" (after ") }
		if !slices.ContainsFunc(s.checks.recorded, known) {
			s.Logf(config.LogWarning, "Broken invariant after %s: %s", after, text)
			s.checks.recorded = append(s.checks.recorded, text+" (after "+after+")")
		}
	}
}

// checkCommand is called after each command that was executed.
func (s *Server) checkCommand(c *Client, e *session.Entry) {
	r := recount{s: s}
	r.signs()
	if c.conn != nil && c.orderIndex >= 0 {
		r.client(c)
	}
	refs := e.FindKeys(s.checks.refs[:0], c.Args)
	s.checks.refs = refs
	for _, ref := range refs[:min(len(refs), recountKeys)] {
		if err := c.DB.RecountKey(c.Args[ref.Pos], recountElements); err != nil {
			r.add("db %d, key %.64q: %v", c.DB.ID, c.Args[ref.Pos], err)
		}
	}
	if len(r.found) > 0 {
		s.record(r.found, e.Full)
	}
}

// checkRoom is called when memory has been compared with its limit before a command: it is below, or eviction goes on later, or
// nothing may go.
func (s *Server) checkRoom(full bool) {
	r := recount{s: s}
	over := s.countedMemory() - s.evict.limit
	if full {
		keys, volatile := 0, 0
		for _, db := range s.Keyspace.DBs() {
			keys += db.Len()
			volatile += db.Expires()
		}
		p := s.Config.MaxMemoryPolicy
		r.check(p == config.NoEviction || p&config.PolicyAllKeys != 0 && keys == 0 || p&config.PolicyAllKeys == 0 && volatile == 0,
			"eviction: memory is full with %d keys, %d with a deadline", keys, volatile)
		r.check(over > 0, "eviction: memory is full with %d bytes below the limit", -over)
	} else if s.mayEvictKeys() && !s.evict.running {
		r.check(over <= 0, "eviction: a command runs with %d bytes over the limit", over)
	}
	if len(r.found) > 0 {
		s.record(r.found, "a look at the limit")
	}
}

// checkPacket is called at the end of each packet.
func (s *Server) checkPacket() {
	if s.checks.packets++; s.checks.packets%recountEvery != 0 {
		return
	}
	r := recount{s: s}
	r.everything()
	r.check(len(s.doomed) == 0, "%d clients are closed, but not reaped at the end of a packet", len(s.doomed))
	r.check(len(s.blocking.ready) == 0 || s.busy.on, "blocking: %d ready queues at the end of a packet", len(s.blocking.ready))
	r.check(len(s.outbox.own) == 0 && len(s.outbox.stale) == 0, "outbox: %d bytes and %d keys are left for no client",
		len(s.outbox.own), len(s.outbox.stale))
	s.record(r.found, "a packet")
}

// recount collects contradictions.
type recount struct {
	s     *Server
	found []string
}

func (r *recount) add(format string, args ...any) {
	r.found = append(r.found, fmt.Sprintf(format, args...))
}

func (r *recount) check(ok bool, format string, args ...any) {
	if !ok {
		r.add(format, args...)
	}
}

// equal compares a counter with what was counted.
func (r *recount) equal(what string, counter, counted int) {
	r.check(counter == counted, "%s: %d, counted %d", what, counter, counted)
}

// alive reports whether the client is in the registry.
func (r *recount) alive(c *Client) bool { return c != nil && r.s.clients[c.id] == c }

// everything recounts what must be right after each command.
func (r *recount) everything() {
	r.signs()
	r.clients()
	r.buckets()
	r.tracking()
	r.channels()
	r.monitors()
	r.watches()
	r.queues()
	r.waiting()
	r.outbox()
	r.found = append(r.found, r.s.Keyspace.Recount()...)
	r.found = append(r.found, r.s.loop.Recount()...)
}

// signs checks that no counter is negative.
func (r *recount) signs() {
	s := r.s
	for _, x := range [...]struct {
		name string
		n    int
	}{
		{"used_memory", s.usedMemory()}, {"memory held by clients", s.heldBytes},
		{"memory of normal clients", s.classMemory[config.ClassNormal]},
		{"memory of replicas", s.classMemory[config.ClassReplica]},
		{"memory of subscribers", s.classMemory[config.ClassPubsub]},
		{"tracking_clients", s.tracking.clients}, {"tracking_total_items", s.tracking.items},
		{"bytes of tracked keys", s.tracking.keyBytes}, {"tracked ids of clients that are gone", s.tracking.dead},
		{"pubsub_clients", s.channels.clients}, {"blocked clients", s.blocking.clients},
		{"clients_in_timeout_table", s.blocking.timed}, {"total_blocking_keys", s.blocking.keys},
		{"bytes in the outbox", s.outbox.bytes},
	} {
		if x.n < 0 {
			r.add("%s: %d", x.name, x.n)
		}
	}
	for _, db := range s.Keyspace.DBs() {
		if db.Bytes() < 0 || db.Expires() < 0 || db.FieldExpires() < 0 {
			r.add("db %d: %d bytes, %d and %d deadlines", db.ID, db.Bytes(), db.Expires(), db.FieldExpires())
		}
	}
}

// clients recounts the registry of clients and their memory.
func (r *recount) clients() {
	s := r.s
	r.equal("connected_clients", len(s.clients), len(s.order))
	held, classes := 0, [3]int{}
	doomed := 0
	for i, c := range s.order {
		if c.doomed {
			doomed++
		}
		if !r.alive(c) || int(c.orderIndex) != i {
			r.add("client %d: in the order, but not in the registry or not at %d", c.id, c.orderIndex)
			continue
		}
		held += c.counted
		classes[c.countedAs] += c.totalMemory()
		r.client(c)
	}
	for _, c := range s.doomed {
		if !r.alive(c) {
			doomed++ // its connection has ended meanwhile
		}
	}
	r.equal("clients to be reaped", len(s.doomed), doomed)
	r.equal("memory held by clients", s.heldBytes, held)
	for class, n := range classes {
		r.equal(fmt.Sprintf("memory of clients of class %d", class), s.classMemory[class], n)
	}
	conns := 0
	link := s.sync.link
	if link != nil && r.alive(link.client) {
		conns++ // it is listed as a client, whose connection may have ended while its last commands wait
	}
	s.loop.Each(func(conn *eventloop.Conn) bool {
		c, _ := conn.Ctx.(*Client)
		m, _ := conn.Ctx.(*masterLink)
		switch {
		case r.alive(c):
			conns++
		case m != nil && m == link, conn.Closing():
		default:
			r.add("fd %d: a connection without a client", conn.FD())
		}
		return true
	})
	r.equal("clients with a connection", len(s.clients), conns)
}

// client checks the counters of one client.
func (r *recount) client(c *Client) {
	r.check(c.counted >= 0 && c.announced >= 0, "client %d: %d bytes held, %d announced", c.id, c.counted, c.announced)
	if b := c.blocked; b != nil {
		r.check(b.c == c && c.stopped, "client %d: blocked, stopped %v, by a request of its own %v", c.id, c.stopped, b.c == c)
		for i := range b.waits {
			w := &b.waits[i]
			r.check(w.b == b && w.q != nil && r.s.blocking.waiting[w.q.db][w.q.key] == w.q,
				"client %d: waits in a queue that is not found", c.id)
		}
	}
	if tx := c.tx; tx != nil {
		n := 0
		for _, w := range tx.watches {
			n += len(w.key)
			r.check(w.c == c && slices.Contains(r.s.watched[w.db][w.key], w), "client %d: its watch of %.64q is not found", c.id, w.key)
		}
		r.equal(fmt.Sprintf("client %d: bytes of watched keys", c.id), tx.watched, n)
		args := 0
		for _, q := range tx.queue {
			args += q.n
		}
		r.equal(fmt.Sprintf("client %d: queued arguments", c.id), len(tx.ends), args)
	}
	if q := c.pushes; q != nil {
		r.check(len(q.parts) == max(q.nparts-1, 0), "client %d: %d parts in the outbox, and %d more", c.id, q.nparts, len(q.parts))
		r.check(q.nparts == 0 || q.waits, "client %d: %d parts that nobody will send", c.id, q.nparts)
	}
}

// buckets checks the buckets of clients that may be evicted.
func (r *recount) buckets() {
	in := 0
	for b, list := range r.s.eviction.buckets {
		in += len(list)
		for i, c := range list {
			r.check(r.alive(c) && int(c.evictionSlot.bucket) == b+1 && int(c.evictionSlot.at) == i,
				"eviction: bucket %d has a client that is gone or elsewhere", b)
		}
	}
	n := 0
	for _, c := range r.s.order {
		if c.evictionSlot.bucket > 0 {
			n++
		}
	}
	r.equal("eviction: clients in buckets", in, n)
}

// tracking recounts the table of tracked keys and the prefixes.
func (r *recount) tracking() {
	s := r.s
	tt := &s.tracking
	clients, prefixes := 0, 0
	for _, c := range s.order {
		if t := c.tracks(); t != nil {
			clients++
			prefixes += len(t.prefixes)
			for _, p := range t.prefixes {
				r.check(slices.Contains(tt.prefixes, p) && slices.Contains(p.clients, c), "client %d: prefix %.64q is not found", c.id, p.name)
			}
		}
	}
	r.equal("tracking_clients", tt.clients, clients)

	ids := make(map[int64]int)
	bytes, items := 0, 0
	for key, v := range tt.keys {
		bytes += len(key)
		items += 1 + len(v.more)
		ids[v.id]++
		for i, id := range v.more {
			ids[id]++
			r.check(id != v.id && (i == 0 || v.more[i-1] < id), "tracking: ids of key %.64q are out of order", key)
		}
	}
	r.equal("bytes of tracked keys", tt.keyBytes, bytes)
	r.equal("tracking_total_items", tt.items, items)
	dead := 0
	for id, n := range ids {
		if s.clients[id] == nil {
			dead += n
		}
	}
	r.equal("tracked ids of clients that are gone", tt.dead, dead)
	for _, c := range s.order {
		n := 0
		if c.pushes != nil && c.pushes.track != nil && c.pushes.track.epoch == tt.epoch {
			n = c.pushes.track.items
		}
		r.equal(fmt.Sprintf("client %d: tracked keys", c.id), n, ids[c.id])
	}

	in := 0
	for i, p := range tt.prefixes {
		in += len(p.clients)
		r.check(len(p.clients) > 0 && (i == 0 || tt.prefixes[i-1].name < p.name), "tracking: prefix %.64q is empty or out of order", p.name)
		r.check(len(p.changed) == 0 || tt.broadcast, "tracking: changed keys of prefix %.64q wait for no round", p.name)
		for _, c := range p.clients {
			r.check(r.alive(c) && c.tracks() != nil, "tracking: prefix %.64q has client %d, who is gone or does not track", p.name, c.id)
		}
	}
	r.equal("prefixes of clients", in, prefixes)
	r.check(s.observed == (len(s.monitors) > 0 || tt.clients > 0), "observed is %v with %d monitors and %d who track", s.observed,
		len(s.monitors), tt.clients)
	want := 0
	for _, on := range [...]bool{len(s.watched) > 0, tt.clients > 0} {
		if on {
			want++
		}
	}
	r.equal("listeners", len(s.Listeners), want)
}

// channels recounts the subscriptions.
func (r *recount) channels() {
	s := r.s
	clients := 0
	for _, c := range s.order {
		if c.subscribed() {
			clients++
		}
	}
	r.equal("pubsub_clients", s.channels.clients, clients)
	for kind := range s.channels.registries {
		n, found := s.channels.registries[kind].Recount(func(c *Client) *pubsub.Set[*Client] {
			if !r.alive(c) || c.pushes == nil {
				return nil
			}
			return &c.pushes.subs[kind]
		})
		r.found = append(r.found, found...)
		sum := 0
		for _, c := range s.order {
			sum += c.subscriptions(channelKind(kind))
		}
		r.equal(fmt.Sprintf("subscriptions of kind %d", kind), sum, n)
	}
}

// monitors recounts the clients that have sent MONITOR.
func (r *recount) monitors() {
	n := 0
	for _, c := range r.s.order {
		if c.monitors() {
			n++
		}
	}
	r.equal("monitors", len(r.s.monitors), n)
	for _, c := range r.s.monitors {
		r.check(r.alive(c) && c.monitors(), "monitor %d is gone or does not monitor", c.id)
	}
}

// watches recounts the watched keys.
func (r *recount) watches() {
	in, own := 0, 0
	for db, keys := range r.s.watched {
		r.check(len(keys) > 0, "watched: db %d without keys", db.ID)
		for key, list := range keys {
			r.check(len(list) > 0, "watched: key %.64q without clients", key)
			in += len(list)
			for _, w := range list {
				r.check(r.alive(w.c) && w.c.tx != nil && w.db == db && w.key == key && slices.Contains(w.c.tx.watches, w),
					"watched: key %.64q is watched by client %d, who is gone or does not know", key, w.c.id)
			}
		}
	}
	for _, c := range r.s.order {
		if c.tx != nil {
			own += len(c.tx.watches)
		}
	}
	r.equal("watches", in, own)
	for _, tx := range r.s.freeTx {
		r.check(!tx.open && !tx.running && len(tx.watches) == 0 && len(tx.queue) == 0, "a free transaction is in use")
	}
}

// queues recounts the queues of clients that wait for keys.
func (r *recount) queues() {
	bl := &r.s.blocking
	clients, timed, gone, waits := 0, 0, 0, 0
	for _, c := range r.s.order {
		if c.blocked != nil {
			clients++
			waits += len(c.blocked.waits)
			if c.blocked.deadline != 0 {
				timed++
			}
			if c.blocked.gone {
				gone++
			}
		}
	}
	r.equal("blocked clients", bl.clients, clients)
	r.equal("clients_in_timeout_table", bl.timed, timed)
	queues, in, goneKeys := 0, 0, 0
	for db, keys := range bl.waiting {
		for key, q := range keys {
			queues++
			n, going := 0, 0
			groups := map[*groupQueue]int{}
			var last *wait
			for w := q.first; w != nil && n <= waits; w = w.next {
				n++
				r.check(w.prev == last && w.q == q && w.b != nil && r.alive(w.b.c) && w.b.c.blocked == w.b,
					"blocking: the queue of key %.64q has a client who is gone or does not wait", key)
				if last = w; w.b != nil && w.b.gone {
					going++
				}
				if w.group != nil {
					groups[w.group]++
					r.check(w.b.grouped && string(w.b.group) == w.group.name, "blocking: a reader in the queue of key %.64q waits for another group", key)
				}
			}
			r.check(len(groups) == len(q.groups), "blocking: the queue of key %.64q has %d groups, counted %d", key, len(q.groups), len(groups))
			for _, g := range q.groups {
				r.equal("waiters for a group", g.n, groups[g])
			}
			if r.equal("waiters for a key to go", q.gone, going); going > 0 {
				goneKeys++
			}
			r.check(n > 0 && n == q.n && q.last == last && q.db == db && q.key == key, "blocking: the queue of key %.64q says %d, counted %d",
				key, q.n, n)
			r.check(!q.ready || slices.Contains(bl.ready, q), "blocking: the queue of key %.64q is ready, but not among those", key)
			in += n
		}
	}
	r.equal("total_blocking_keys", bl.keys, queues)
	r.equal("total_blocking_keys_on_nokey", bl.goneKeys, goneKeys)
	r.equal("clients that wait for keys to go", bl.gone, gone)
	r.equal("places in queues", in, waits)
	for i, b := range bl.free {
		r.check(b.c == nil && len(b.waits) == 0 && !slices.Contains(bl.free[:i], b), "blocking: a free request is in use")
	}
	for _, q := range bl.ready {
		r.check(q == nil || q.ready, "blocking: a queue among the ready ones that is not ready")
	}
	r.check((r.s.Ready != nil) == (bl.clients > 0), "blocking: streams are told %v with %d clients that wait", r.s.Ready != nil, bl.clients)
	r.check((r.s.Keyspace.OnRemove != nil) == (bl.gone > 0), "blocking: deleted keys are told %v with %d clients that wait for such",
		r.s.Keyspace.OnRemove != nil, bl.gone)
	r.check((r.s.Keyspace.OnAdd != nil) == (bl.clients > 0 || r.s.Config.NotifyKeyspaceEvents&config.NotifyNew != 0),
		"blocking: new keys are told %v with %d clients that wait", r.s.Keyspace.OnAdd != nil, bl.clients)
}

// waiting checks the lists of clients that are to be reaped, and that CLIENT PAUSE holds.
func (r *recount) waiting() {
	for i, c := range r.s.doomed {
		r.check(c.doomed && c.stopped && !slices.Contains(r.s.doomed[:i], c), "client %d is to be reaped twice or runs on", c.id)
	}
	for i, c := range r.s.pause.waiting {
		r.check(r.alive(c) && c.deferred != nil && c.stopped, "pause: client %d is gone or does not wait", c.id)
		r.check(!slices.Contains(r.s.pause.waiting[:i], c), "pause: client %d waits twice", c.id)
	}
}

// outbox checks what waits for clients.
func (r *recount) outbox() {
	o := &r.s.outbox
	r.check(len(o.clients) == 0 || o.bytes > 0, "outbox: %d clients wait for nothing", len(o.clients))
	for _, c := range o.clients {
		if c == nil || c.pushes == nil {
			r.add("outbox: a client that is told nothing")
			continue
		}
		r.check(c.pushes.waits, "outbox: client %d does not know that it waits", c.id)
		r.check(r.alive(c) || c.pushes.nparts == 0, "outbox: client %d is gone", c.id)
		if c.pushes.nparts > 0 {
			r.part(c, c.pushes.part)
		}
		for _, p := range c.pushes.parts {
			r.part(c, p)
		}
	}
	for _, c := range r.s.order {
		r.check(c.pushes == nil || !c.pushes.waits || slices.Contains(o.clients, c), "outbox: client %d waits, but is not in it", c.id)
	}
}

func (r *recount) part(c *Client, p part) {
	r.check(p.ch != nil && 0 <= p.from && p.from <= p.to && int(p.to) <= len(p.ch.buf) && (p.ch.big || slices.Contains(r.s.outbox.used, p.ch)),
		"outbox: a part for client %d is not in a chunk", c.id)
}

// settled checks what cron may have to bring up to date first.
func (r *recount) settled() {
	s := r.s
	sum := s.baseMemory + r.s.Keyspace.Bytes() + s.pushMemory()
	for _, c := range s.order {
		sum += clientBytes + c.counted
		if c == s.current {
			continue // its account is brought up to date at the end of its packet
		}
		if n := c.held(); n != c.counted || c.parser.Coming() != c.announced {
			r.add("client %d: %d bytes held, %d announced; counted %d, %d", c.id, c.counted, c.announced, n, c.parser.Coming())
		}
		if want := c.outputClass(); int(c.countedAs) != want {
			r.add("client %d: counted as class %d, is %d", c.id, c.countedAs, want)
		}
		bucket := 0
		if s.eviction.limit > 0 && c.mayEvict() {
			bucket = 1 + bucketOf(c.totalMemory())
		}
		r.equal(fmt.Sprintf("client %d: bucket", c.id), int(c.evictionSlot.bucket), bucket)
	}
	sum += int(s.sync.node.Backlog.Memory()) + int(s.scripts.engine.Memory()) + s.scripts.libraries.Bytes() + s.security.users.Bytes() +
		s.aofBuffer() + s.asideMemory()
	r.equal("used_memory", s.usedMemory(), sum)
	r.check(s.busyWithSnapshot() || !s.Keyspace.Generation().Pinned(), "a snapshot is held that nobody reads")
}
