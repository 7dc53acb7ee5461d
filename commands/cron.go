package commands

import (
	"math"
	"runtime/debug"
	"time"

	"ferrous/commands/config"
)

// cron is what the server does hz times a second: look after clocks, clients and memory.
func (s *Server) cron() {
	from := s.nanos()
	s.tick()
	if s.cronPaused || s.busy.on {
		if s.busy.on && s.persist.loading != nil {
			s.obeySignal() // what is loaded is not saved, so it may end anywhere
		}
		s.cronTimer.Reset(time.Second / time.Duration(max(s.Config.Hz, 1)))
		return
	}
	s.obeySignal()
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
	s.gc.Bound(s.evict.limit, live, s.Keyspace.Generation().Pinned())
	s.gc.Adjust(live, s.activity.Busy())
	if ended && s.activity.Idle() {
		s.Requests.Trim()
		s.sync.scratch.Trim()
		if s.tidy.Due(s.Keyspace.Now, live) {
			go debug.FreeOSMemory()
		}
	}
	s.rearmExpiry()
	s.cronTimer.Reset(time.Second / time.Duration(max(s.Config.Hz, 1)))
	to := s.nanos()
	s.stats.cronNanos += to - from
	s.endCycle(from, to, 0)
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
	for range min(max(len(s.order)/max(s.Config.Hz, 1), fewClients), len(s.order)) {
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
