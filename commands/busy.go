package commands

import (
	"iter"
	"math"
	"runtime/debug"
	"time"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// Scripts that run long. A request that may run a script (EVAL, FCALL, an EXEC that holds one) runs on a coroutine of the
// server (busy.next), which the loop resumes. Up to busy-reply-threshold the script never yields, and the loop sees a call
// like any other. Past it, the script yields every few milliseconds. The first time its client is stopped, as a blocked
// client is. Then the loop serves other clients, until there is nothing to do or they have had as long as the script
// (Server.otherTurns), resumes the coroutine (Server.busyTurn), and so on until the request is done. Then the reply is sent,
// blocked clients are served, and the client's further requests run.
//
// A script in an append-only file is no request. It runs on the coroutine of the loader (Server.inTurns) and yields there. DEBUG
// LOADAOF is a request whose scripts are the file's: it runs on the server's coroutine.
//
// While Server.busy.on is set nothing may change the data or look at it: admission lets only commands with the flag AllowBusy
// through (limited), background expiry and cron pause, the timeouts of blocked clients wait (busy.late), and no blocked client
// is served. The changes of the script are in Server.pendingOps, which the sinks get at the end.

const (
	// scriptTurn is how long a busy script runs before other clients have their turn.
	scriptTurn = 2 * time.Millisecond
	// othersTurn is how long that is at most, so that the script gets on while many clients ask.
	othersTurn = 10 * time.Millisecond
	// idleRounds is the number of rounds of the loop without anything to do after which the turn ends, and its least length:
	// evio accepts a connection in one round, reports it in the next and reads it in the third.
	idleRounds = 4
)

const (
	errBusyScript   = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	errBusyFunction = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	errKilled       = "Script killed by user with SCRIPT KILL..." // of functions too
)

// busy is the server's coroutine of scripts, and the state of the request that runs on it.
type busy struct {
	next  func() (done, ok bool)
	yield func(done bool) bool // of the coroutine
	slow  func()               // giveTurn
	on    bool                 // a script has yielded, and its request or its command of a file is not done
	in    bool                 // the coroutine runs a request

	c     *Client
	e     *session.Entry
	now   int64       // monotonic time at the request's start, then at its end
	start int         // where its reply begins
	w     resp.Writer // replies of its client, while others are served
	args  [][]byte    // copy of its arguments, those of the command that EXEC has come to
	late  []*blocked  // waits whose time is over
	after []func()    // of postSettled

	resume  func() // ends the turn of the other clients
	yielded int64  // when it began
	served  uint64 // what the loop had done by its last round
	rounds  int    // of the turn
	idle    int    // those since it did something
}

// postSettled has a function run on the loop, as Loop.Post does, but not while a script is busy: the function takes a snapshot
// or replaces the data, and would do so in the middle of what the script does. Any goroutine may call it.
func (s *Server) postSettled(f func()) {
	s.loop.Post(func() {
		if s.busy.on {
			s.busy.after = append(s.busy.after, f)
			return
		}
		f()
	})
}

// setPace has the script that begins run as the configuration says.
func (s *Server) setPace() {
	p := &s.scripts.engine.Pace
	p.After, p.Slow = 0, nil
	if ms := s.Config.BusyReplyThresholdMs; ms > 0 && (s.busy.in || s.persist.loading != nil && s.persist.loading.turn != nil) {
		p.After = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		p.Slow = s.busy.slow
	}
}

// giveTurn is called by a script that runs long, each scriptTurn.
func (s *Server) giveTurn() {
	x, b, current := &s.scripts, &s.busy, s.current
	if !x.slow {
		x.slow = true
		s.Logf(config.LogWarning, "Slow script detected: still in execution after %d milliseconds. You can try killing the script using the %s "+
			"command. Script name is: %s.", (s.nanos()-x.started)/1e6, s.killCommand(), x.name)
	}
	if b.in {
		b.yield(false)
	} else {
		if !b.on {
			b.on = true
			s.updateRefusing()
		}
		s.current = nil
		if s.persist.loading.turn() != nil {
			x.engine.Kill(errKilled) // the server ends
		}
	}
	s.current, s.Keyspace.Now = current, x.now
}

// mayRunScript reports whether a request may run a script.
func (c *Client) mayRunScript(e *session.Entry) bool {
	switch {
	case e.Exec:
		return c.inMulti() && c.tx.scripts
	case e.Name == "debug":
		return c.Is(1, "loadaof")
	}
	return true
}

// callScript is Server.call for a request that may run a script. It returns false if the script is still running.
func (s *Server) callScript(c *Client, e *session.Entry, now int64, start int) (end int64, done bool) {
	b := &s.busy
	if b.next == nil {
		s.startCoroutine()
	}
	b.c, b.e, b.now, b.start = c, e, now, start
	if e.Exec {
		c.Args = copyArgs(c.Args) // runQueue puts them back after the scripts
	}
	b.in = true
	if done, _ := b.next(); done {
		b.in, b.c = false, nil
		return b.now, true
	}
	b.args = c.Args
	if !e.Exec { // the queue of EXEC has a copy
		b.args = copyArgs(c.Args)
	}
	b.on, c.stopped = true, true
	s.updateRefusing()
	b.w, s.w = s.w, b.w
	s.w.Reset()
	s.w.Proto, s.w.Limit = b.w.Proto, b.w.Limit
	s.beginOtherTurns(s.busyTurn)
	return s.nanos(), false
}

// beginOtherTurns is called when the busy script has yielded. resume goes on with it.
func (s *Server) beginOtherTurns(resume func()) {
	b := &s.busy
	b.yielded, b.rounds, b.idle, b.resume = s.nanos(), 0, 0, resume
	s.loop.Post(s.otherTurns)
}

// otherTurns lets the loop go round for other clients, so that a connection is accepted, read and answered within one turn.
func (s *Server) otherTurns() {
	b := &s.busy
	b.rounds++
	b.idle++
	if served := s.loop.Rounds() + uint64(s.stats.connections); served != b.served {
		b.served, b.idle = served, 0
	}
	if b.idle < idleRounds && (b.rounds <= idleRounds || s.nanos()-b.yielded < int64(othersTurn)) {
		s.loop.Post(s.otherTurns)
		return
	}
	b.resume()
}

func (s *Server) killCommand() string {
	if s.scripts.eval {
		return "SCRIPT KILL"
	}
	return "FUNCTION KILL"
}

// copyArgs copies the arguments of a request.
func copyArgs(args [][]byte) [][]byte {
	var b blocked
	b.keep(args)
	return b.args
}

// startCoroutine makes the coroutine. It lives as long as the server.
func (s *Server) startCoroutine() {
	b := &s.busy
	b.next, _ = iter.Pull(func(yield func(bool) bool) {
		debug.SetPanicOnFault(true) // as the loop's goroutine, for which this one stands in
		defer func() {
			if v := recover(); v != nil {
				s.crash.Panicked(v, debug.Stack()) // iter.Pull would raise it on the loop, where it has no stack to show
				panic(v)
			}
		}()
		b.yield = yield
		for {
			b.now = s.call(b.c, b.e, b.now)
			yield(true)
		}
	})
}

// busyTurn lets the busy script run for a while.
func (s *Server) busyTurn() {
	if s.shutdown.begun {
		return
	}
	b := &s.busy
	c := b.c
	outer := turn{s.current, s.w}
	s.w, s.current = b.w, c
	c.Args = b.args
	if done, _ := b.next(); !done {
		b.args = c.Args
		b.w, s.w, s.current = s.w, outer.w, outer.current
		s.beginOtherTurns(s.busyTurn)
		return
	}
	b.on, b.in, b.c, b.w = false, false, nil, resp.Writer{}
	s.updateRefusing()
	gone := s.clients[c.id] != c
	c.stopped = c.closing || c.doomed || gone
	if gone {
		s.w.Reset()
	}
	now := s.replied(c, b.start, b.now)
	if gone {
		c.Args = nil
		s.w, s.current = outer.w, outer.current
	} else {
		s.endTurn(c, outer)
	}
	s.busyEnded(now)
}

// busyEnded goes on with what has waited for the end of a busy script.
func (s *Server) busyEnded(now int64) {
	b := &s.busy
	late, after := b.late, b.after
	b.late, b.after = nil, nil
	s.setNow(now)
	for _, w := range late {
		if w.c != nil && w.c.blocked == w {
			s.timedOut(w)
		}
	}
	s.rearmExpiry()
	s.reap()
	for _, f := range after {
		s.postSettled(f)
	}
	s.resumeMaster()
}

// busyText is the error of what is not possible while a script is busy.
func (s *Server) busyText() string {
	if s.scripts.eval {
		return errBusyScript
	}
	return errBusyFunction
}

// killScript is SCRIPT KILL, for scripts, and FUNCTION KILL, for functions.
func (s *Server) killScript(c *Client, eval bool) {
	x := &s.scripts
	switch {
	case x.caller == nil:
		c.Error(errNotBusy)
	case x.caller.Trusted:
		c.Error(errUnkillableByMaster)
	case x.wrote:
		c.Error(errUnkillable)
	case x.eval != eval:
		c.Error(s.busyText())
	default:
		x.engine.Kill(errKilled)
		c.W.OK()
	}
}
