package commands

import (
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Propagation: the one way by which changes leave for the sinks (the append-only file, replicas). What a command changed comes
// through propagate, what expired through propagateDeletion. Both feed: at once or, inside a transaction, into pendingOps
// that feedPending hands over as a whole. TestPropagation holds that no other file feeds a sink.

// propagate is the one point through which changes reach the sinks: further commands first, then the command itself,
// as it came or as its handler rewrote it.
func (s *Server) propagate(c *Client, db *keyspace.DB, changed bool) {
	if len(s.Sinks) > 0 {
		own := c.Args
		switch {
		case !changed || c.Repl.None:
			own = nil
			if c.Repl.Message {
				s.feedMessage(db.ID, c.Args)
			}
		case c.Repl.Rewritten != nil:
			own = c.Repl.Rewritten
		}
		// Several commands that stand for one are a transaction to those who follow.
		several := !s.pendingOps.open && (len(c.Repl.More) > 1 || len(c.Repl.More) == 1 && own != nil)
		if several {
			s.feed(noDB, propagatedMulti)
		}
		for _, argv := range c.Repl.More {
			s.feed(db.ID, argv)
		}
		if own != nil {
			s.feed(db.ID, own)
		}
		if several {
			s.feed(noDB, propagatedExec)
		}
	}
	*c.Repl = session.Replication{}
	if s.Keyspace.TakeScheduled() {
		s.rearmExpiry()
	}
}

// pendingOps collects what a transaction propagates.
type pendingOps struct {
	open bool
	ops  []operation
}

type operation struct {
	db      int
	argv    [][]byte
	message bool // for those sinks only that want messages
}

// noDB is the number of the database given to sinks for commands that concern none.
const noDB = -1

var (
	propagatedMulti = [][]byte{[]byte("MULTI")}
	propagatedExec  = [][]byte{[]byte("EXEC")}
)

// add copies a command into pendingOps.
func (u *pendingOps) add(db int, argv [][]byte) {
	n := 0
	for _, a := range argv {
		n += len(a)
	}
	buf := make([]byte, 0, n)
	op := operation{db: db, argv: make([][]byte, len(argv))}
	for i, a := range argv {
		buf = append(buf, a...)
		op.argv[i] = buf[len(buf)-len(a) : len(buf) : len(buf)]
	}
	u.ops = append(u.ops, op)
}

// feedPending hands over what was collected.
func (s *Server) feedPending() {
	ops := s.pendingOps.ops
	s.pendingOps = pendingOps{}
	if len(ops) == 0 {
		return
	}
	for _, k := range s.Sinks {
		messages, _ := k.(session.MessageSink)
		n := 0
		for _, op := range ops {
			if !op.message || messages != nil {
				n++
			}
		}
		if n > 1 {
			k.Feed(noDB, propagatedMulti)
		}
		for _, op := range ops {
			if !op.message {
				k.Feed(op.db, op.argv)
			} else if messages != nil {
				messages.FeedMessage(op.db, op.argv)
			}
		}
		if n > 1 {
			k.Feed(noDB, propagatedExec)
		}
	}
}

// propagateDeletion propagates the deletion of what has expired or was evicted, which no command asked for.
func (s *Server) propagateDeletion(db *keyspace.DB, argv ...[]byte) {
	if len(s.Sinks) > 0 {
		s.feed(db.ID, argv)
	}
}

// feed gives one command to all sinks.
func (s *Server) feed(db int, argv [][]byte) {
	if s.pendingOps.open {
		if len(s.Sinks) > 0 {
			s.pendingOps.add(db, argv)
		}
		return
	}
	for _, k := range s.Sinks {
		k.Feed(db, argv)
	}
}

// feedMessage gives one command that changed nothing to those sinks that want messages.
func (s *Server) feedMessage(db int, argv [][]byte) {
	if s.pendingOps.open {
		s.pendingOps.add(db, argv)
		s.pendingOps.ops[len(s.pendingOps.ops)-1].message = true
		return
	}
	for _, k := range s.Sinks {
		if k, ok := k.(session.MessageSink); ok {
			k.FeedMessage(db, argv)
		}
	}
}
