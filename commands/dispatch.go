package commands

import (
	"math"

	"ferrous/commands/config"
	"ferrous/commands/latency"
	"ferrous/commands/session"
)

// execute runs one request of a connection. It is the only way from the wire to a handler. now is the monotonic time at which
// the request before ended; execute returns the time at which this one has ended.
func (s *Server) execute(c *Client, now int64) int64 {
	start := len(s.w.Buf)
	skip := c.replySkip
	if c.replySkip > 0 {
		c.replySkip--
	}
	if e := s.admit(c, &start); e != nil {
		if e.Scripted && c.mayRunScript(e) {
			var done bool
			if now, done = s.callScript(c, e, now, start); !done {
				return now
			}
		} else {
			s.w.Sharing = !e.Exec && c.conn != nil
			now = s.call(c, e, now)
			s.w.Sharing = false
		}
		if c.blocked != nil {
			c.replySkip = skip // the request runs again
		}
	} else {
		c.Cmd = nil
		if c.deferred != nil {
			c.replySkip = skip // the request runs again
		}
	}
	return s.replied(c, start, now)
}

// replied does what follows each request: it drops a reply that CLIENT REPLY suppresses, sends messages for this client, closes
// a client over its limits, and serves blocked clients. The reply stands in the writer from start on.
func (s *Server) replied(c *Client, start int, now int64) int64 {
	if c.suppressed() {
		s.w.Truncate(start)
	}
	if s.Shared != nil {
		s.sendShared(c)
	}
	if c.pushes != nil {
		s.finish(c)
		s.limitReply(c) // a subscriber has limits of its own
	}
	if s.w.Over() {
		s.closeOverLimit(c)
		s.w.Reset()
	}
	if len(s.blocking.ready) > 0 && !s.blocking.serving && !s.busy.on {
		now = s.serveBlocked(now)
		s.takeWaiting(c)
	}
	if s.unsettled && !s.blocking.serving {
		s.settle()
	}
	return now
}

// admit looks up the command of the request and decides whether it may run now: arity, rights, MULTI, loading, pause. It
// returns nil if not; it has then replied, queued the request, or held it back. Messages about keys that were evicted to make
// room stand before the reply, which then begins at a new start.
func (s *Server) admit(c *Client, start *int) *session.Entry {
	name := c.Args[0]
	e := c.last
	// Pipelines repeat themselves, so the last command is compared first. Containers are looked up each time.
	if e == nil || e.Parent != nil || e.Subs != nil || len(name) != len(e.Name) || !session.EqualFold(name, e.Name) || e.Renamed {
		if isAttack(name) {
			s.warnOfAttack(c)
			s.w.Reset()
			c.stopped = true
			c.conn.CloseNow()
			return nil
		}
		var unknownSub bool
		e, unknownSub = s.Registry.Lookup(c.Args)
		if e == nil {
			c.last = nil
			return c.reject(nil, session.ErrUnknownCommand(c.Args))
		}
		if unknownSub {
			return c.reject(nil, session.ErrUnknownSub(string(name), c.Args[1]))
		}
		c.last = e
	}
	if e.Arity > 0 && len(c.Args) != e.Arity || len(c.Args) < -e.Arity || e.Handler == nil {
		return c.reject(e, session.ErrArity(e.Full))
	}
	if e.Flags&session.Protected != 0 {
		if msg := s.protectedRefusal(c, e); msg != "" {
			return c.reject(e, msg)
		}
	}
	flags := e.Flags
	if e.Scripted && !e.Exec {
		flags = s.scripts.flagsOf(e, c.Args)
	}
	if c.tx != nil && c.tx.open {
		if flags&session.NoMulti != 0 {
			return c.reject(e, errNoMulti)
		}
		if e.Exec {
			flags |= c.tx.flags
		}
	}
	if c.bounded() {
		if msg := s.forbidden(c, e, false); msg != "" {
			return c.reject(e, msg)
		}
	}
	if s.evict.limit > 0 {
		full := s.makeRoom()
		s.checkRoom(full)
		if c.pushes != nil {
			s.sendOwn(c)
			*start = len(s.w.Buf)
		}
		if full && c.refusesMemory(e, flags) {
			return c.reject(e, errOOM)
		}
	}
	if s.refusing {
		lacks := ^flags
		if e.Exec && c.inMulti() {
			lacks |= c.tx.lacks
		}
		if msg := s.refusalOf(e, flags, lacks); msg != "" {
			return c.reject(e, msg)
		}
	}
	if c.pushes != nil {
		if msg := c.refusedHere(e, flags); msg != "" {
			return c.reject(e, msg)
		}
	}
	if c.source && flags&(session.ReadOnly|mayChange) != 0 {
		return c.reject(e, errNoKeyspace)
	}
	if s.pause.pauses(flags) && !c.monitors() {
		s.hold(c)
		return nil
	}
	if c.tx != nil && c.tx.open && !e.Direct {
		s.enqueue(c, e, flags)
		return nil
	}
	return e
}

// reject refuses a request before it runs.
func (c *Client) reject(e *session.Entry, msg string) *session.Entry {
	c.Cmd = nil
	if c.inMulti() {
		c.tx.failed = true
	}
	if e != nil && e.Exec {
		msg = errExecRefused(msg)
		c.srv.endTransaction(c)
	}
	c.Error(msg)
	if e != nil {
		e.Rejected++
	}
	return nil
}

// call runs a command and propagates what it changed.
func (s *Server) call(c *Client, e *session.Entry, now int64) int64 {
	c.Cmd = e
	dirty := s.Dirty
	db := c.DB
	again := s.blocking.retrying != nil
	if s.calling == 0 {
		s.Keyspace.FreeRemoved()
	}
	s.calling++
	s.Keyspace.BeginCommand()
	s.began = now
	e.Handler(&c.Client)
	end := s.nanos()
	if s.observed {
		s.executed(c, e, again)
	}
	took := end - now
	s.setNow(end)
	if c.blocked != nil { // a request that waits is counted when its wait ends
		c.blocked.spent += took
		if took >= s.slowNanos {
			s.latencyOfCall(e, took)
		}
		if changed := s.Dirty != dirty; changed || c.Repl.Any() { // XREADGROUP makes its consumer before it waits
			s.propagate(c, db, changed)
		}
		s.endCall(e)
		s.checkCommand(c, e)
		return end
	}
	total := took
	if again {
		total += s.blocking.retrying.spent
	}
	s.countCall(c, e, total)
	if took >= s.slowNanos {
		s.latencyOfCall(e, took)
	}
	if changed := s.Dirty != dirty; changed || c.Repl.Any() {
		if s.sync.writable && changed && !c.master {
			s.rememberOwn(c, e)
		}
		s.propagate(c, db, changed)
		s.endCall(e)
		c.wrote = s.sync.node.History.Offset
	} else {
		s.endCall(e)
	}
	s.checkCommand(c, e)
	return end
}

// endCall hands over what a command has propagated together with the keys that it found expired.
func (s *Server) endCall(e *session.Entry) {
	s.calling--
	if s.pendingOps.byExpiry && s.calling == 0 {
		s.pendingOps.loose = e.Flags&session.TouchesArbitraryKeys != 0
		s.feedPending()
	}
}

// countCall counts a command that has ended, at once or after waiting. nanos is the time that it ran, without the wait.
func (s *Server) countCall(c *Client, e *session.Entry, nanos int64) {
	e.Calls++
	e.Nanos += nanos
	s.stats.commands++
	if s.Config.LatencyTracking {
		e.RecordTime(nanos)
	}
	if nanos >= s.slowNanos {
		s.logSlow(c, e, nanos)
	}
}

// warnOfAttack logs, at most once a minute, that a client speaks HTTP.
func (s *Server) warnOfAttack(c *Client) {
	if s.Keyspace.Now-s.warned < 60_000 {
		return
	}
	s.warned = s.Keyspace.Now
	s.Logf(config.LogWarning, "Possible SECURITY ATTACK detected: a client sent POST or Host: as a command, as a browser does that is "+
		"misled by cross protocol scripting. Its connection from %s is closed.", c.conn.RemoteAddr())
}

// isAttack recognises the first words of an HTTP request: a web page can make a browser send one to a server.
func isAttack(name []byte) bool {
	return len(name) == 4 && session.EqualFold(name, "post") || len(name) == 5 && session.EqualFold(name, "host:")
}

// Slow commands. call and countCall compare a command's time with slowNanos, the lower of the thresholds of the slow log and of
// latency monitoring; only what is slower comes here, so that the logs cost one comparison when nothing is. The time of a
// command counts from the end of the request before it in the same packet. A command that waits is logged when its wait
// has ended, however it does, with the time that it worked.

// applyThresholds keeps slowNanos in step with the directives behind it.
func (s *Server) applyThresholds() error {
	s.slowNanos = math.MaxInt64
	if us := s.Config.SlowlogLogSlowerThanUs; us >= 0 && us < math.MaxInt64/1000 {
		s.slowNanos = us * 1000
	}
	if ms := s.Config.LatencyMonitorMs; ms > 0 && ms < math.MaxInt64/1000000 {
		s.slowNanos = min(s.slowNanos, ms*1000000)
	}
	s.SlowLog.Trim(s.Config.SlowlogMaxLen)
	return nil
}

// logSlow adds the client's command, which took at least slowNanos, to the slow log if that wants it.
func (s *Server) logSlow(c *Client, e *session.Entry, nanos int64) {
	us := s.Config.SlowlogLogSlowerThanUs
	if us < 0 || nanos/1000 < us || e.Flags&session.SkipSlowlog != 0 {
		return
	}
	addr := "?:0"
	if c.conn != nil {
		addr = c.conn.RemoteAddr()
	}
	s.SlowLog.Add(latency.SlowEntry{Unix: s.Keyspace.Now / 1000, Micros: nanos / 1000,
		Args: latency.EntryArgs(c.Args, c.secrets()), Addr: addr, Name: c.shownName()}, s.Config.SlowlogMaxLen)
}

// latencyOfCall gives latency monitoring a command that held the loop for at least slowNanos.
func (s *Server) latencyOfCall(e *session.Entry, nanos int64) {
	event := "command"
	if e.Flags&session.Fast != 0 {
		event = "fast-command"
	}
	s.latencySample(event, nanos/1e6)
}

// latencySample gives latency monitoring a sample, if it is above the threshold.
func (s *Server) latencySample(event string, ms int64) {
	if limit := s.Config.LatencyMonitorMs; limit > 0 && ms >= limit {
		s.Latency.Add(event, s.Keyspace.Now/1000, ms)
	}
}
