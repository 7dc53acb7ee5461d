package commands

import (
	"bytes"
	"slices"
	"strings"

	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
	"ferrous/eventloop/resp"
)

// Client-side caching: clients that keep values get an invalidation when these have changed. CLIENT TRACKING and its relatives,
// which switch it on, are in tracking_client.go.
//
// # The table
//
// Of a client that tracks in the usual mode, every key that a command reads is entered into the table: key, ids of clients.
// When a key is modified its entry is taken out, and each of its clients gets one invalidation. A key is one whatever its
// database, as in Redis. tracking-table-max-keys bounds the entries: beyond it, entries are drawn at random and handled as if
// their keys had been modified.
//
// # Broadcasting
//
// Of a client in mode BCAST nothing is remembered but its prefixes. Modified keys with one of them are collected. At the end
// of the round one message with all of them goes to all clients of the prefix.
//
// # Who gets invalidations
//
// The client itself, which must speak RESP3, or the one that it redirects to; that one may speak RESP2 and then gets a message
// of the channel __redis__:invalidate, if it is subscribed to something. Invalidations that a client's own command causes come
// behind its reply (Server.finish).
//
// # Costs
//
// Without tracking clients neither reads nor writes cost more: Server.observed is false and Server.listeners is empty. The
// entries of a client that has gone are not looked for, since it may have many; they go when their keys are modified, and
// cron sweeps the table as long as there are any (dead). When the last client stops tracking, the whole table is dropped.

// trackingTable is the server's part.
type trackingTable struct {
	clients  int // that track
	keys     map[string]trackers
	keyBytes int
	items    int // ids in the table
	dead     int // ids in the table, of clients that have gone
	epoch    int // counts the times that the whole table was dropped
	over     int // how many times in a row the table was still too large after limitTracked

	prefixes  []*prefix // by name
	broadcast bool      // keys wait in prefixes for the end of the round
}

// trackers are the clients that may have a key.
type trackers struct {
	id   int64
	more []int64 // others, in order
}

// prefix is what clients in mode BCAST are interested in.
type prefix struct {
	name    string
	clients []*Client
	changed map[string]int64 // keys modified in this round, each with the id of the client that did so last, 0 for none
}

// tracking is a client's part. It stays when tracking is switched off, since ids may be in the table.
type tracking struct {
	on       bool
	bcast    bool
	optin    bool
	optout   bool
	noloop   bool
	caching  bool  // CLIENT CACHING was sent for the next command
	broken   bool  // the client that messages are redirected to is gone
	redirect int64 // id, 0 = none

	prefixes []*prefix // by name
	items    int       // ids in the table, as of
	epoch    int
}

const (
	trackedBytes   = 112  // memory of an entry with one client, without the key
	sweepBatch     = 2000 // keys that a round of cron looks at for clients that are gone
	limitBatch     = 100  // keys that one command forgets at most of a table that is too large; more if others before could not make it small enough
	invalidChannel = "__redis__:invalidate"
)

var (
	wordInvalidate  = []byte("invalidate")
	wordRedirBroken = []byte("tracking-redir-broken")
	wordInvalidChan = []byte(invalidChannel)
)

// tracks returns the client's tracking if it is switched on, else nil.
func (c *Client) tracks() *tracking {
	if c.pushes == nil || c.pushes.track == nil || !c.pushes.track.on {
		return nil
	}
	return c.pushes.track
}

// Bytes returns about how much memory the table holds.
func (t *trackingTable) Bytes() int {
	return len(t.keys)*trackedBytes + t.keyBytes + 16*(t.items-len(t.keys))
}

// startTracking switches tracking on for a client, or changes its options. options is what the client asked for.
func (s *Server) startTracking(c *Client, options tracking, prefixes [][]byte) {
	q := c.ensurePushes()
	if q.track == nil {
		q.track = new(tracking)
	}
	t := q.track
	if !t.on {
		s.tracking.clients++
	}
	options.on = true
	options.caching = t.caching
	options.prefixes, options.items, options.epoch = t.prefixes, t.items, t.epoch
	*t = options
	if t.bcast {
		if len(prefixes) == 0 {
			prefixes = [][]byte{{}}
		}
		for _, p := range prefixes {
			s.trackPrefix(c, p)
		}
	}
	s.observe()
	s.listen()
}

// trackPrefix adds one to the client's prefixes.
func (s *Server) trackPrefix(c *Client, name []byte) {
	all := &s.tracking.prefixes
	i, found := findPrefix(*all, name)
	if !found {
		*all = slices.Insert(*all, i, &prefix{name: string(name)})
	}
	p, t := (*all)[i], c.pushes.track
	if slices.Contains(p.clients, c) {
		return
	}
	p.clients = append(p.clients, c)
	i, _ = findPrefix(t.prefixes, name)
	t.prefixes = slices.Insert(t.prefixes, i, p)
}

func findPrefix(list []*prefix, name []byte) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(p *prefix, name []byte) int { return strings.Compare(p.name, string(name)) })
}

// stopTracking switches tracking off for a client.
func (s *Server) stopTracking(c *Client) {
	t := c.tracks()
	if t == nil {
		return
	}
	tt := &s.tracking
	for _, p := range t.prefixes {
		i := slices.Index(p.clients, c)
		if p.clients = slices.Delete(p.clients, i, i+1); len(p.clients) == 0 {
			i, _ := findPrefix(tt.prefixes, []byte(p.name))
			tt.prefixes = slices.Delete(tt.prefixes, i, i+1)
		}
	}
	*t = tracking{items: t.items, epoch: t.epoch}
	if tt.clients--; tt.clients == 0 {
		tt.drop()
	}
	s.observe()
	s.listen()
}

// forgetTracking is called when a client that no longer tracks is gone.
func (s *Server) forgetTracking(c *Client) {
	if c.pushes.track != nil {
		s.tracking.dead += *s.tracking.count(c.pushes.track)
		c.pushes.track.items = 0
	}
}

// count returns the number of entries in the table with the id of t's client, to be changed.
func (tt *trackingTable) count(t *tracking) *int {
	if t.epoch != tt.epoch {
		t.items, t.epoch = 0, tt.epoch
	}
	return &t.items
}

// drop forgets all keys.
func (tt *trackingTable) drop() {
	tt.keys, tt.keyBytes, tt.items, tt.dead, tt.over = nil, 0, 0, 0, 0
	tt.epoch++
}

// rememberKeys enters the keys that a command has read into the table, for the client whose turn it is. Of a script these are
// the keys that its commands read, and not those that it names, even if it may only read.
func (s *Server) rememberKeys(c *Client, e *session.Entry) {
	reader := s.current
	if e.Flags&(session.ReadOnly|session.PubSub|session.NoScript) != session.ReadOnly || reader == nil {
		return
	}
	t := reader.tracks()
	if t == nil || t.bcast || t.optin && !t.caching || t.optout && t.caching {
		return
	}
	tt := &s.tracking
	refs := e.FindKeys(s.outbox.keyRefs[:0], c.Args)
	s.outbox.keyRefs = refs
	for _, ref := range refs {
		key := c.Args[ref.Pos]
		v, found := tt.keys[string(key)]
		if !found {
			if tt.keys == nil {
				tt.keys = make(map[string]trackers)
			}
			tt.keys[string(key)] = trackers{id: reader.id}
			tt.keyBytes += len(key)
		} else if v.add(reader.id) {
			tt.keys[string(key)] = v
		} else {
			continue
		}
		tt.items++
		*tt.count(t)++
	}
}

// add adds an id. It reports whether it was not there yet.
func (v *trackers) add(id int64) bool {
	if v.id == id {
		return false
	}
	i, found := slices.BinarySearch(v.more, id)
	if !found {
		v.more = slices.Insert(v.more, i, id)
	}
	return !found
}

// trackedModified is called for each modified key while clients track.
func (s *Server) trackedModified(_ *keyspace.DB, key []byte) {
	if key == nil {
		return
	}
	if len(s.tracking.prefixes) > 0 {
		s.collectModified(key)
	}
	s.invalidate(key, !s.expiring)
}

// collectModified remembers a modified key for the clients in mode BCAST.
func (s *Server) collectModified(key []byte) {
	by := int64(0)
	if s.current != nil && !s.expiring {
		by = s.current.id
	}
	name := ""
	for _, p := range s.tracking.prefixes {
		if len(p.name) > len(key) || p.name != string(key[:len(p.name)]) {
			continue
		}
		if was, found := p.changed[string(key)]; found && was == by {
			continue
		}
		if name == "" {
			name = string(key)
		}
		if p.changed == nil {
			p.changed = make(map[string]int64)
		}
		p.changed[name] = by
		if !s.tracking.broadcast {
			s.tracking.broadcast = true
			s.loop.RequestFlush()
		}
	}
}

// invalidate sends the clients that have a key an invalidation. Clients in mode NOLOOP get none for keys that they have
// modified themselves.
func (s *Server) invalidate(key []byte, modified bool) {
	tt := &s.tracking
	v, found := tt.keys[string(key)]
	if !found {
		return
	}
	s.relieveOutbox()
	delete(tt.keys, string(key))
	tt.keyBytes -= len(key)
	tt.items -= 1 + len(v.more)
	var inv invalidation
	s.invalidateFor(v.id, key, modified, &inv)
	for _, id := range v.more {
		s.invalidateFor(id, key, modified, &inv)
	}
}

// invalidateFor sends one client the invalidation of a key; its entry in the table has been removed.
func (s *Server) invalidateFor(id int64, key []byte, modified bool, inv *invalidation) {
	c := s.clients[id]
	if c == nil {
		s.tracking.dead--
		return
	}
	*s.tracking.count(c.pushes.track)--
	t := c.tracks()
	if t == nil || t.bcast || t.noloop && modified && c == s.current {
		return
	}
	if c == s.current {
		s.outbox.stale = append(s.outbox.stale, bytes.Clone(key))
		return
	}
	if inv.keys == nil {
		inv.keys = appendKeys(s.outbox.raw[:0], key)
		s.outbox.raw = reusable(inv.keys)
	}
	s.sendInvalidation(c, inv)
}

// appendKeys appends an array of one key, as it is encoded under both protocols.
func appendKeys(b, key []byte) []byte {
	w := resp.Writer{Buf: b}
	w.Array(1)
	w.Bulk(key)
	return w.Buf
}

// invalidation is a message to tracking clients: an array of keys, or null for all.
type invalidation struct {
	keys []byte // encoded
	all  bool
	msgs [2]message // RESP2, RESP3
}

var nulls = [2][]byte{[]byte("$-1\r\n"), []byte("_\r\n")}

// sendInvalidation sends an invalidation to a client, or to the one that it redirects to.
func (s *Server) sendInvalidation(c *Client, inv *invalidation) {
	t, target := c.pushes.track, c
	if t.redirect != 0 {
		if target = s.clients[t.redirect]; target == nil {
			t.broken = true
			if c.proto == 3 {
				var w resp.Writer
				w.Int(t.redirect)
				s.queueMessage(c, &message{words: [4][]byte{wordRedirBroken}, n: 1, raw: w.Buf})
			}
			return
		}
		if target.proto != 3 && !target.subscribed() {
			return
		}
	} else if c.proto != 3 {
		return // there are no pushes under RESP2
	}
	i := protoIndex(int(target.proto))
	m := &inv.msgs[i]
	if m.n == 0 {
		if i == 0 {
			m.words, m.n = [4][]byte{wordMessage, wordInvalidChan}, 2
		} else {
			m.words, m.n = [4][]byte{wordInvalidate}, 1
		}
		if m.raw = inv.keys; inv.all {
			m.raw = nulls[i]
		}
	}
	s.queueMessage(target, m)
}

// sendStaleKeys sends the client whose turn it is the invalidations that its own command, or the eviction before it, has caused.
func (s *Server) sendStaleKeys(c *Client) {
	o := &s.outbox
	for i, key := range o.stale {
		o.stale[i] = nil
		if c.tracks() == nil {
			continue
		}
		inv := invalidation{all: key == nil}
		if key != nil {
			inv.keys = appendKeys(o.raw[:0], key)
			o.raw = reusable(inv.keys)
		}
		s.sendInvalidation(c, &inv)
	}
	o.stale = o.stale[:0]
}

// trackedFlushed sends all clients that track, in whatever mode, the invalidation of all keys: databases were emptied, lazily
// or not.
func (s *Server) trackedFlushed(lazily bool) {
	if s.tracking.clients == 0 {
		return
	}
	inv := invalidation{all: true}
	for _, c := range s.order {
		if c.tracks() == nil {
			continue
		}
		if c == s.current {
			s.outbox.stale = append(s.outbox.stale, nil)
		} else {
			s.sendInvalidation(c, &inv)
		}
	}
	if n := len(s.tracking.keys); lazily && n+1 > keyspace.LazyThreshold { // one node each and a root, at least
		s.Keyspace.LazilyFreed += int64(n)
	}
	s.tracking.drop()
}

// broadcastModified sends the clients in mode BCAST the keys that were modified in this round.
func (s *Server) broadcastModified() {
	tt := &s.tracking
	if !tt.broadcast {
		return
	}
	tt.broadcast = false
	for _, p := range tt.prefixes {
		if len(p.changed) == 0 {
			continue
		}
		keys := make([]string, 0, len(p.changed))
		modifiers := make(map[int64]int)
		for key, by := range p.changed {
			keys = append(keys, key)
			modifiers[by]++
		}
		slices.Sort(keys)
		all := invalidation{keys: p.encode(keys, 0, 0)}
		for _, c := range p.clients {
			inv := &all
			if own := modifiers[c.id]; own > 0 && c.pushes.track.noloop {
				if own == len(keys) {
					continue
				}
				inv = &invalidation{keys: p.encode(keys, c.id, own)}
			}
			s.sendInvalidation(c, inv)
		}
		p.changed = nil
		s.relieveOutbox()
	}
}

// encode encodes the modified keys without those that the client with the id but has modified; own is the number of those.
func (p *prefix) encode(keys []string, but int64, own int) []byte {
	var w resp.Writer
	w.Array(len(keys) - own)
	for _, key := range keys {
		if own == 0 || p.changed[key] != but {
			w.BulkString(key)
		}
	}
	return w.Buf
}

// limitTracked keeps the table within tracking-table-max-keys. The work of one call is bounded; as long as it does not
// suffice, the next may do more.
func (s *Server) limitTracked() {
	tt := &s.tracking
	limit := int(s.Config.TrackingTableMaxKeys)
	if limit == 0 || len(tt.keys) <= limit {
		tt.over = 0
		return
	}
	tries := limitBatch * (tt.over + 1)
	for key := range tt.keys { // begins at a random place
		s.invalidate([]byte(key), false)
		if tries--; tries == 0 || len(tt.keys) <= limit {
			break
		}
	}
	if tt.over++; len(tt.keys) <= limit {
		tt.over = 0
	}
}

// sweepTracked is cron's work on the table: it removes ids of clients that have gone.
func (s *Server) sweepTracked() {
	tt := &s.tracking
	if tt.clients == 0 {
		return
	}
	s.limitTracked()
	n := 0
	for key, v := range tt.keys { // begins at a random place
		if n++; tt.dead == 0 || n > sweepBatch {
			break
		}
		was := 1 + len(v.more)
		v.more = slices.DeleteFunc(v.more, func(id int64) bool { return s.clients[id] == nil })
		if s.clients[v.id] == nil {
			if len(v.more) == 0 {
				delete(tt.keys, key)
				tt.keyBytes -= len(key)
				tt.items -= was
				tt.dead -= was
				continue
			}
			v.id = v.more[0]
			v.more = slices.Delete(v.more, 0, 1)
		}
		if gone := was - 1 - len(v.more); gone > 0 {
			tt.keys[key] = v
			tt.items -= gone
			tt.dead -= gone
		}
	}
}
