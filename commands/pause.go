package commands

import (
	"slices"
	"time"

	"ferrous/commands/session"
	"ferrous/eventloop"
)

// CLIENT PAUSE: until its end, requests that change data, or all requests, wait.
//
// A request is held back at the last step of admission (admit): its arguments are copied to Client.deferred and the
// client is stopped, so that what it sends meanwhile stays in its parser, and what it sent before is answered. When the
// pause ends, the clients are woken in the order in which they began to wait; each one's request passes admission again,
// and may be held back again, then the rest of its input is served.
//
// Keys do not expire while a pause lasts (a failover is under way, perhaps): an expired key is treated as missing, but
// nothing is deleted.
//
// A failover and a shutdown that waits for replicas pause what may change data in the same way (pauseWrites), until they end.

// pause is the state of CLIENT PAUSE.
type pause struct {
	on      bool   // some requests wait
	until   int64  // Unix ms, 0 = no CLIENT PAUSE
	all     bool   // it makes all requests wait, not just those that may change data
	others  causes // that pause changes besides CLIENT PAUSE
	timer   *eventloop.Timer
	waiting []*Client
}

// causes are the reasons, besides CLIENT PAUSE, to hold back requests that may change data.
type causes uint8

const (
	pauseFailover causes = 1 << iota
	pauseShutdown
)

// mayChange are the commands that wait when only writing is paused.
const mayChange = session.Write | session.MayReplicate

// pauses reports whether a command with these flags has to wait.
func (p *pause) pauses(f session.Flags) bool { return p.on && (p.all || f&mayChange != 0) }

// pauseWrites holds back requests that may change data, and keeps keys from expiring.
func (s *Server) pauseWrites(why causes) {
	s.pause.on = true
	s.pause.others |= why
	s.judgeExpiry()
}

// resumeWrites ends pauseWrites.
func (s *Server) resumeWrites(why causes) {
	if s.pause.others&why != 0 {
		s.pause.others &^= why
		s.endPause()
	}
}

// pauseClients begins a pause of ms milliseconds or extends the one that lasts: the later end and the wider kind win.
func (s *Server) pauseClients(ms int64, all bool) {
	p := &s.pause
	if ms > 0 {
		p.until = max(p.until, s.Keyspace.Now+ms)
	}
	if p.until == 0 {
		return
	}
	p.on = true
	p.all = p.all || all
	s.judgeExpiry()
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = s.loop.AfterFunc(time.Duration(min(p.until-s.Keyspace.Now, maxPause))*time.Millisecond, s.pauseTimeout)
}

// maxPause is the longest time that a timer is set for, in milliseconds.
const maxPause = int64(24 * time.Hour / time.Millisecond)

func (s *Server) pauseTimeout() {
	s.tick()
	if s.pause.until > s.Keyspace.Now {
		s.pauseClients(0, false)
		return
	}
	s.unpauseClients()
}

// unpauseClients ends the pause.
func (s *Server) unpauseClients() {
	p := &s.pause
	if p.until == 0 {
		return
	}
	p.timer.Stop()
	p.timer, p.until, p.all = nil, 0, false
	s.endPause()
}

// endPause wakes the clients that wait. A request that must wait for another reason is held back again.
func (s *Server) endPause() {
	p := &s.pause
	waiting := p.waiting
	p.on, p.waiting = p.until != 0 || p.others != 0, nil
	s.judgeExpiry()
	s.rearmExpiry()
	if len(waiting) > 0 {
		// Not within the command that ended the pause: each client has a turn of its own.
		s.loop.Post(func() {
			for _, c := range waiting {
				s.resume(c)
			}
		})
	}
}

// hold keeps the request that the client is about to run until the pause ends.
func (s *Server) hold(c *Client) {
	n := 0
	for _, a := range c.Args {
		n += len(a)
	}
	buf := make([]byte, 0, n)
	c.deferred = make([][]byte, len(c.Args))
	for i, a := range c.Args {
		buf = append(buf, a...)
		c.deferred[i] = buf[len(buf)-len(a) : len(buf) : len(buf)]
	}
	c.stopped = true
	s.pause.waiting = append(s.pause.waiting, c)
}

// resume lets a client go on with the request that was held back.
func (s *Server) resume(c *Client) {
	if c.deferred == nil || s.clients[c.id] != c {
		return
	}
	c.stopped = false
	now := s.nanos()
	s.setNow(now)
	c.parser.Begin(nil)
	s.process(c, now)
}

// stopWaiting takes a client that is gone out of the queues that it waits in.
func (s *Server) stopWaiting(c *Client) {
	if c.blocked != nil {
		s.release(s.unblock(c))
	}
	if c.deferred != nil {
		c.deferred = nil
		if i := slices.Index(s.pause.waiting, c); i >= 0 {
			s.pause.waiting = slices.Delete(s.pause.waiting, i, i+1)
		}
	}
}
