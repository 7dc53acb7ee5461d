package commands

import (
	"math"

	"ferrous/commands/config"
	"ferrous/commands/latency"
	"ferrous/commands/session"
)

// execute runs one request of a connection: the only way from the wire to a handler. now is the monotonic time, read
// at the end of the request before; execute returns it as of this request's end.
func (s *Server) execute(c *Client, now int64) int64 {
	start := len(s.w.Buf)
	skip := c.replySkip
	if c.replySkip > 0 {
		c.replySkip--
	}
	if e := s.admit(c); e != nil {
		if e.Scripted && c.mayRunScript(e) {
			var done bool
			if now, done = s.callScript(c, e, now, start); !done {
				return now
			}
		} else {
			now = s.call(c, e, now)
		}
		if c.blocked != nil {
			c.replySkip = skip // it comes again
		}
	} else {
		c.Cmd = nil
		if c.deferred != nil {
			c.replySkip = skip // it comes again
		}
	}
	return s.replied(c, start, now)
}

// replied does what follows a request whose reply is in the writer from start on.
func (s *Server) replied(c *Client, start int, now int64) int64 {
	if c.suppressed() {
		s.w.Truncate(start)
	}
	if c.pushes != nil {
		s.finish(c)
		s.limitReply(c) // it may have become a subscriber
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

// admit finds the request's command and decides whether it may run; if not it has replied.
func (s *Server) admit(c *Client) *session.Entry {
	name := c.Args[0]
	e := c.last
	// Pipelines repeat themselves: the same word is the same command. Containers are looked up each time.
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
	if s.evict.limit > 0 && s.makeRoom() && c.refusesMemory(e, flags) {
		return c.reject(e, errOOM)
	}
	if s.refusing {
		if msg := s.refusalOf(e); msg != "" {
			return c.reject(e, msg)
		}
	}
	if c.pushes != nil {
		if msg := c.refusedHere(e, flags); msg != "" {
			return c.reject(e, msg)
		}
	}
	if s.pause.pauses(flags) && !c.monitors() {
		s.hold(c)
		return nil
	}
	if c.tx != nil && c.tx.open && !e.Direct {
		s.enqueue(c, e)
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
	e.Handler(&c.Client)
	end := s.nanos()
	if s.observed {
		s.executed(c, e, again)
	}
	took := end - now
	s.setNow(end)
	if c.blocked != nil { // it is counted when it is done
		c.blocked.spent += took
		if took >= s.slowNanos {
			s.latencyOfCall(e, took)
		}
		if changed := s.Dirty != dirty; changed || c.Repl.Any() { // XREADGROUP makes its consumer before it waits
			s.propagate(c, db, changed)
		}
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
		s.propagate(c, db, changed)
		c.wrote = s.aof.fed
	}
	s.checkCommand(c, e)
	return end
}

// countCall counts a command that is done, in one go or after waiting, and worked for so many nanoseconds in all.
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

// warnOfAttack logs, at most once a minute, that somebody speaks HTTP.
func (s *Server) warnOfAttack(c *Client) {
	if s.Keyspace.Now-s.warned < 60_000 {
		return
	}
	s.warned = s.Keyspace.Now
	s.Logf(config.LogWarning, "Possible SECURITY ATTACK detected: a client sent POST or Host: as a command, as a browser does that is "+
		"misled by cross protocol scripting. Its connection from %s is closed.", c.conn.RemoteAddr())
}

// isAttack recognises the first words of HTTP requests, by which a browser can be made to talk to a server.
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
