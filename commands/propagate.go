package commands

import (
	"ferrous/commands/session"
	"ferrous/datatypes/keyspace"
)

// Propagation is the only way from a change to the sinks (the append-only file, replicas). propagate takes what a command
// changed, propagateDeletion what expired or was evicted. Both call feed, which gives the change to the sinks at once, or
// inside a transaction puts it into pendingOps; feedPending gives these to the sinks as one transaction. TestPropagation
// checks that no other file feeds a sink.

// propagate feeds the sinks with what a command changed: first the commands that its handler added (PropagateAlso), then the
// command itself, as it came or as the handler rewrote it (Rewrite). db is the database that it ran in.
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
		// Several commands that stand for one are a transaction to replicas and file.
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

// pendingOps are the commands that a transaction or script has propagated and the sinks have not been given yet.
type pendingOps struct {
	open     bool
	byExpiry bool // opened by a command that found an expired key
	loose    bool // its commands are no transaction
	ops      []operation
}

type operation struct {
	db     int
	argv   [][]byte
	file   bool // it is for the append-only file
	stream bool // it is for replicas
}

// wants reports whether the operation is for a sink: for the stream, which takes messages, too, or for a file.
func (op *operation) wants(stream bool) bool { return stream && op.stream || !stream && op.file }

// limit keeps the operations from number first on from the file, or from replicas, as redis.set_repl asks for.
func (u *pendingOps) limit(first int, file, stream bool) {
	for i := range u.ops[min(first, len(u.ops)):] {
		op := &u.ops[first+i]
		op.file, op.stream = op.file && file, op.stream && stream
	}
}

// noDB is the database number that sinks get with commands that concern none.
const noDB = -1

var (
	propagatedMulti = [][]byte{[]byte("MULTI")}
	propagatedExec  = [][]byte{[]byte("EXEC")}
)

// add appends a copy of a command.
func (u *pendingOps) add(db int, argv [][]byte) {
	n := 0
	for _, a := range argv {
		n += len(a)
	}
	buf := make([]byte, 0, n)
	op := operation{db: db, argv: make([][]byte, len(argv)), file: true, stream: true}
	for i, a := range argv {
		buf = append(buf, a...)
		op.argv[i] = buf[len(buf)-len(a) : len(buf) : len(buf)]
	}
	u.ops = append(u.ops, op)
}

// feedPending gives the pending commands to the sinks: one as it is, several between MULTI and EXEC.
func (s *Server) feedPending() {
	ops, loose := s.pendingOps.ops, s.pendingOps.loose
	s.pendingOps = pendingOps{}
	if len(ops) == 0 {
		return
	}
	for _, k := range s.Sinks {
		messages, stream := k.(session.MessageSink)
		n := 0
		for i := range ops {
			if ops[i].wants(stream) {
				n++
			}
		}
		if n > 1 && !loose {
			k.Feed(noDB, propagatedMulti)
		}
		for i := range ops {
			switch op := &ops[i]; {
			case !op.wants(stream):
			case op.file:
				k.Feed(op.db, op.argv)
			default:
				messages.FeedMessage(op.db, op.argv)
			}
		}
		if n > 1 && !loose {
			k.Feed(noDB, propagatedExec)
		}
	}
}

// propagateDeletion propagates the deletion of a key or field that has expired, or of a key that was evicted. No command need
// have asked for it.
//
// A command that finds an expired key propagates its deletion first, and both as one transaction: neither a replica nor the
// file may have one without the other. So the first such key opens pendingOps until the end of the command (endCall).
func (s *Server) propagateDeletion(db *keyspace.DB, argv ...[]byte) {
	if len(s.Sinks) > 0 {
		if s.calling > 0 && !s.pendingOps.open {
			s.pendingOps.open, s.pendingOps.byExpiry = true, true
		}
		s.feed(db.ID, argv)
	}
}

// feed gives one command to all sinks, or inside a transaction to pendingOps.
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

// feedMessage is feed for a command that changed no data: only MessageSinks get it.
func (s *Server) feedMessage(db int, argv [][]byte) {
	if s.pendingOps.open {
		s.pendingOps.add(db, argv)
		s.pendingOps.ops[len(s.pendingOps.ops)-1].file = false
		return
	}
	for _, k := range s.Sinks {
		if k, ok := k.(session.MessageSink); ok {
			k.FeedMessage(db, argv)
		}
	}
}

// streamSink is the stream as a sink.
type streamSink Server

// Feed implements session.Sink.
func (k *streamSink) Feed(db int, argv [][]byte) {
	k.sync.node.Feed(db, argv)
	(*Server)(k).streamFed()
}

// FeedMessage implements session.MessageSink.
func (k *streamSink) FeedMessage(db int, argv [][]byte) { k.Feed(db, argv) }
