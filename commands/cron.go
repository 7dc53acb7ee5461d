package commands

import (
	"math"
	"time"

	"ferrous/commands/config"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
)

// cron is what the server does hz times a second: look after clocks, clients and memory.
func (s *Server) cron() {
	from := s.nanos()
	s.tick()
	s.obeySignal()
	if s.cronPaused || s.busy.on {
		s.cronTimer.Reset(s.cronPeriod())
		return
	}
	s.stats.cronCycles++
	s.clientsCron()
	s.reap()
	s.evictClients()
	s.migrations.closeIdle(s.Keyspace.Now)
	s.persistCron()
	s.tickFile()
	s.tickReplication()
	s.sweepTracked()
	s.watchTLSFiles()
	s.stats.peakMemory = max(s.stats.peakMemory, s.usedMemory())
	s.sampleInstant()
	live := s.Keyspace.Bytes()
	ended := s.activity.Note(s.Keyspace.Now, s.stats.commands, live)
	s.pace()
	if ended {
		s.trimReply()
		s.loop.Trim()
	}
	if ended && s.activity.Idle() {
		s.Requests.Trim()
		s.sync.scratch.Trim()
		if !s.loadsData() && s.tidy.Due(s.Keyspace.Now, live) {
			s.gc.Release(s.heldMemory())
		}
	}
	s.rearmExpiry()
	if s.mayRest() {
		s.cronTimer.Reset(max(restPeriod, s.cronPeriod()))
		s.loop.Rest(s.wakeFromRest)
	} else {
		s.cronTimer.Reset(s.cronPeriod())
	}
	to := s.nanos()
	s.stats.cronNanos += to - from
	s.endCycle(from, to, 0)
}

// loadsData reports whether a file or a master's payload is being loaded, perhaps beside the data.
func (s *Server) loadsData() bool { return s.persist.loading != nil || s.asyncLoading() }

// pace sets the collector's pace.
func (s *Server) pace() {
	live := s.heldMemory()
	s.gc.Bound(s.evict.limit, live, s.Keyspace.Generation().Pinned())
	s.gc.Adjust(live, s.activity.Busy(), s.loadsData())
}

// heldMemory is what the collector must leave alive, as far as it is data: also what a snapshot or a load keeps beside it.
func (s *Server) heldMemory() int { return s.Keyspace.Bytes() + s.asideMemory() }

// cronPeriod is the time from one round of cron to the next while there is something to do.
func (s *Server) cronPeriod() time.Duration { return time.Second / time.Duration(max(s.Config.Hz, 1)) }

const (
	// restPeriod is the time from one round of cron to the next while the server rests.
	restPeriod = time.Second
	// restAfter is how long nothing must have come from clients or a master before the server rests, in ms: several rounds
	// in which cron sees all that the last commands began.
	restAfter = 2000
	// restClients is the most clients with which the server rests: a round of cron sees all of them then.
	restClients = 10000
)

// restState says since when nothing has happened.
type restState struct {
	commands, netIn, nextID int64 // as they were at the last round of cron
	since                   int64 // Unix ms
}

// mayRest reports whether nothing happens, and nothing waits that cron must see sooner than in restPeriod. Then cron makes
// its rounds once in restPeriod instead of hz times a second, and nothing but events wakes the loop: ten rounds a second are
// fifty to a hundred wake-ups of threads (eventloop/rest.go), which a machine with many idle servers feels. The first event
// ends the rest.
func (s *Server) mayRest() bool {
	r := &s.rest
	if r.commands != s.stats.commands || r.netIn != s.stats.netIn || r.nextID != s.nextID || s.Keyspace.Now < r.since {
		*r = restState{s.stats.commands, s.stats.netIn, s.nextID, s.Keyspace.Now}
	}
	return s.Keyspace.Now-r.since >= restAfter && s.ready && len(s.order) <= restClients && s.sync.node.Quiet() && len(s.sync.own) == 0 &&
		!s.busyWithSnapshot() && !s.persist.scheduled && (!s.aof.on() || s.aof.file.Buffered() == 0) &&
		!s.shutdown.begun && !s.shutdown.wait.on && s.shutdown.signal == ""
}

// wakeFromRest is called when something has happened during a rest, before it is handled. Clocks that cron sets are late then.
func (s *Server) wakeFromRest() {
	s.tick()
	s.rest.since = s.Keyspace.Now
	s.cronTimer.Reset(s.cronPeriod())
}

// endCycle counts a cycle: what the loop does for one packet up to the end of its last command, one round of cron or one step
// of expiry. (Redis counts rounds of its poll, in which it may read several clients; evio does not show its rounds.) from and
// to are monotonic times.
func (s *Server) endCycle(from, to, commands int64) {
	st := &s.stats
	d := to - from
	st.cycles++
	st.cycleNanos += d
	st.cycleMax = max(st.cycleMax, d)
	st.cycleCommands = max(st.cycleCommands, commands)
}

func (s *Server) startCron() {
	s.cronTimer = s.loop.AfterFunc(0, s.cron)
	s.expTimer = s.loop.AfterFunc(time.Hour, s.expire)
}

// expireStep is the longest time that background expiry holds the loop at once.
const expireStep = time.Millisecond

// fewClients is how many clients each round of cron sees at least.
const fewClients = 5

// clientsCron closes clients that were idle or over their soft output limit for too long.
func (s *Server) clientsCron() {
	idle := int64(s.Config.TimeoutSec) * 1000
	s.peaks.advance(s.Keyspace.Now / 1000)
	// Each client is seen about once a second: a round of cron must not take long however many there are.
	since := min(max(s.Keyspace.Now-s.cronSeen, 0), 1000)
	s.cronSeen = s.Keyspace.Now
	for range min(max(len(s.order)*int(since)/1000, fewClients), len(s.order)) {
		s.cronAt++
		if s.cronAt >= len(s.order) {
			s.cronAt = 0
		}
		c := s.order[s.cronAt]
		s.clientTick(c)
		if c.conn == nil || c.conn.Closing() {
			continue
		}
		if idle > 0 && s.Keyspace.Now-c.lastActive > idle && c.idleMayClose() {
			s.Logf(config.LogVerbose, "Closing idle client")
			c.conn.CloseNow()
			continue
		}
		if c.conn.Queued() > 0 {
			s.checkOutputLimits(c)
		} else {
			c.softSince = 0
		}
	}
}

// checkOutputLimits closes a client that does not read what it asked for; see client-output-buffer-limit.
func (s *Server) checkOutputLimits(c *Client) {
	lim := &s.Config.OutputBufferLimits[c.outputClass()]
	used := uint64(c.conn.QueuedMem())
	soft := lim.Soft > 0 && used >= lim.Soft
	if !soft {
		c.softSince = 0
	} else if c.softSince == 0 {
		c.softSince = s.Keyspace.Now
		soft = false
	} else {
		soft = s.Keyspace.Now-c.softSince > lim.SoftSeconds*1000
	}
	if soft || lim.Hard > 0 && used >= lim.Hard || c.conn.Queued() > freeReply && c.mustLogIn() && !c.closing {
		s.closeOverLimit(c)
	}
}

// forgetSoft is called before more output is added. It resets softSince if all output has been sent: cron may not have seen
// that the client was below its soft limit in between.
func (c *Client) forgetSoft() {
	if c.softSince != 0 && c.conn.Queued() == 0 {
		c.softSince = 0
	}
}

func (s *Server) closeOverLimit(c *Client) {
	s.Logf(config.LogWarning, "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.", c.describe())
	s.stats.outputBufDisconnections++
	s.doom(c)
}

// freeReply is the length from which on replies are compared with the output limits while nothing is queued: the size of
// Redis's reply buffer, which its limits do not count. A client that is not logged in may not have more than this waiting,
// whatever the limit of its class (in Redis since 7.2.8, for CVE-2025-21605).
const freeReply = 16 << 10

// limitReply bounds the replies to a client, all those that have not been sent yet, by the hard limit of its class. It is
// called whenever the limit or the client's queue may have changed. The writer discards replies beyond the bound (resp.Writer),
// and execute closes the client at the end of the command.
func (s *Server) limitReply(c *Client) {
	hard := s.Config.OutputBufferLimits[c.outputClass()].Hard
	if c.mustLogIn() && c.conn != nil {
		s.w.Limit = max(freeReply-c.conn.Queued(), 1)
		return
	}
	if hard == 0 || c.conn == nil {
		s.w.Limit = 0
		return
	}
	limit := min(hard, math.MaxInt>>1)
	if queued := uint64(c.conn.QueuedMem()); queued > 0 {
		limit -= min(queued, limit-1)
	} else {
		limit = max(limit, freeReply)
	}
	s.w.Limit = int(limit)
}

// outputClass is the class of client-output-buffer-limit.
func (c *Client) outputClass() int {
	if c.replica != nil && c.attached() {
		return config.ClassReplica
	}
	if c.subscribed() {
		return config.ClassPubsub
	}
	return config.ClassNormal
}

// idleMayClose reports whether the directive timeout applies to the client.
func (c *Client) idleMayClose() bool {
	return !c.master && !c.attached() && c.deferred == nil && c.blocked == nil && !c.subscribed() && !c.monitors()
}

const (
	instantCommands = iota
	instantInput
	instantOutput
	instantReplInput
	instantReplOutput
	instantCycles
	instantCycleTime
	instantMetrics
)

// instantMetric is a rate, averaged over the last samples as INFO's instantaneous fields are.
type instantMetric struct {
	lastTime, lastValue int64
	samples             [16]int64
	next                int
}

func (m *instantMetric) add(now, value int64) {
	if m.lastTime != 0 && now > m.lastTime {
		m.samples[m.next%len(m.samples)] = (value - m.lastValue) * 1000 / (now - m.lastTime)
		m.next++
	}
	m.lastTime, m.lastValue = now, value
}

// rate returns the average per second.
func (m *instantMetric) rate() int64 {
	n := min(m.next, len(m.samples))
	if n == 0 {
		return 0
	}
	sum := int64(0)
	for _, x := range m.samples[:n] {
		sum += x
	}
	return sum / int64(n)
}

func (s *Server) sampleInstant() {
	if i := &s.stats.instant[0]; i.lastTime != 0 && s.Keyspace.Now-i.lastTime < 100 {
		return
	}
	s.stats.instant[instantCommands].add(s.Keyspace.Now, s.stats.commands)
	s.stats.instant[instantInput].add(s.Keyspace.Now, s.stats.netIn)
	s.stats.instant[instantOutput].add(s.Keyspace.Now, s.stats.netOut)
	s.stats.instant[instantReplInput].add(s.Keyspace.Now, s.stats.replIn)
	s.stats.instant[instantReplOutput].add(s.Keyspace.Now, s.stats.replOut)
	s.stats.instant[instantCycles].add(s.Keyspace.Now, s.stats.cycles)
	// Microseconds a cycle: time where others have counts, and cycles where they have time.
	s.stats.instant[instantCycleTime].add(s.stats.cycles*1000, s.stats.cycleNanos/1000)
}

// usedMemory is what INFO calls used_memory: the data with its tables, exactly, scripts, and what clients and files wait for.
func (s *Server) usedMemory() int { return s.countedMemory() + s.uncountedMemory() }

// Expiry in the background, and what follows when keys and fields expire. The order of deadlines is the keyspace's
// (datatypes/keyspace/expire.go); here is the timer that calls it in steps, and the hooks by which it reports.

var wordHDel = []byte("HDEL")

// fieldExpired is called for each field that expires in the background, before it is deleted.
func (s *Server) fieldExpired(db *keyspace.DB, r *record.Record, field []byte) {
	s.propagateDeletion(db, wordHDel, r.Key(), field)
}

// fieldsExpired is called for a hash after fields of it have expired; if none is left its key is about to be deleted.
func (s *Server) fieldsExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.Notify(config.NotifyHash, "hexpired", key, db)
	if keyspace.ValueOf(r).Len() == 0 {
		s.Notify(config.NotifyGeneric, "del", key, db)
	}
	s.KeyModified(db, key)
}

// keyExpired is called for each expired key before it is deleted.
func (s *Server) keyExpired(db *keyspace.DB, r *record.Record) {
	key := r.Key()
	s.propagateDeletion(db, s.ExpiryVerb(), key)
	s.Notify(config.NotifyExpired, "expired", key, db)
	s.expiring = true
	s.KeyModified(db, key)
	s.expiring = false
}

// expire deletes the keys whose time has come, a step at a time.
func (s *Server) expire() {
	s.expAt = 0
	if s.activeOff || s.busy.on {
		return
	}
	from := s.nanos()
	until := from + int64(expireStep)
	more := s.Keyspace.ActiveExpire(
		func() int64 { s.setNow(s.nanos()); return s.Keyspace.Now },
		func() bool { return s.nanos() > until })
	took := s.nanos() - from
	s.stats.expireNanos += took
	s.latencySample("expire-cycle", took/1e6)
	s.endCycle(from, from+took, 0)
	s.fileTouched()
	if more {
		s.stats.expireCapped++
		// Clients have their turn first: the timer fires in a later round of the loop, and what comes from clients
		// leaves most of the time to them.
		s.expAt = s.Keyspace.Now + 4*int64(expireStep/time.Millisecond)
		s.expTimer.Reset(0)
		return
	}
	s.rearmExpiry()
}

// judgeExpiry decides whether this server deletes expired keys. It does not while data is loading (the files contain the
// deletions), while clients are paused, or on a replica (its master sends the deletions).
func (s *Server) judgeExpiry() {
	s.Keyspace.KeepExpired = s.persist.loading != nil || s.pause.on || s.isReplica()
}

// rearmExpiry sets the timer of background expiry where a deadline has come before the one that it waits for.
func (s *Server) rearmExpiry() {
	if s.activeOff {
		return
	}
	when, ok := s.Keyspace.NextExpiry()
	if !ok || s.expAt != 0 && s.expAt <= when {
		return
	}
	s.expAt = when
	// The deadline counts in wall-clock milliseconds that begin with a whole one, so the timer must not fire early.
	now := s.wall + s.nanos()/1000
	s.expTimer.Reset(time.Duration(max(when*1000-now, 0)) * time.Microsecond)
}
