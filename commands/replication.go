package commands

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"ferrous/commands/config"
	"ferrous/commands/logging"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/rdb"
	"ferrous/replication"
)

// Replication, as the server uses package replication, whose Node decides everything: it gets events and returns actions,
// which act carries out. The package comment there is the manual.
//
//	replication.go     the node, its actions, the stream as a sink, what depends on the role
//	replicas.go        connections of replicas, snapshots for them
//	replica.go         the link to the master: payload and stream
//	replicationcmd.go  REPLICAOF, PSYNC, REPLCONF, ROLE, WAIT, FAILOVER
//
// # The stream
//
// On a master streamSink gets every change, from propagate.go like the append-only file, and gives it to the node's
// backlog. What replicas have not got yet is written once a round, in the flush phase after the group commit of the
// append-only file (flushReplicas): with appendfsync always no replica has what the disk has not. Where round after round
// has one packet only, and there are few replicas, it is written at the end of that packet (feeding), which saves the loop a turn. Output is written from the
// backlog itself, which all replicas share (eventloop.Source).
//
// A replica has no streamSink: what it executes is its master's, and its own replicas get the master's bytes.

// replicating is the server's part.
type replicating struct {
	node   *replication.Node
	acting bool
	acts   []replication.Action // scratch of act

	link     *masterLink // the connection to the master, nil without one
	dial     func()      // cancels the dialling
	transfer *transfer   // the payload that comes from the master

	feed feeding

	streamed *streamedDump // the payload that is made for replicas
	lowest   int           // RDB version that a payload was found to need

	writable bool                // a replica whose clients may write
	own      map[ownKey]struct{} // their keys with deadlines, which nobody else deletes

	dropped dropped // what the dump at the start had of expired keys

	scratch    resp.Scratch // arguments of the master's commands
	down       bool         // the link to the master is down
	refused    bool         // Node.WritesRefused when act looked last
	diskWarned int64        // when mindDisk logged last, Unix ms
}

// feeding decides when replicas are written to, as outbox does for messages.
type feeding struct {
	put     bool // by the packet that is being worked off
	packets int  // that have put something into the stream since replicas were written to
	alone   int  // rounds with one such packet that came one after the other
	direct  int  // how many packets to come may write to replicas at their end
}

// learn is called at the end of a round.
func (f *feeding) learn() {
	switch f.direct = 0; {
	case f.packets > 1:
		f.alone = 0
	case f.packets == 1:
		if f.alone++; f.alone > aloneMost {
			f.alone, f.direct = 0, learnEvery
		}
	}
	f.packets = 0
}

// streamFed sees to it that replicas get what was put into the stream.
func (s *Server) streamFed() {
	if s.outbox.inPacket {
		s.sync.feed.put = true
	} else {
		s.loop.RequestFlush()
	}
}

// end is called at the end of a packet that has put something into the stream. It reports whether that packet writes to the
// replicas; if not, the flush phase does. waits is true if what it has put in must not be sent yet.
func (f *feeding) end(replicas int, waits bool) bool {
	f.put = false
	if f.packets++; f.direct == 0 || f.packets > 1 || replicas > directReplicas || waits {
		return false
	}
	f.direct--
	f.packets = 0
	return true
}

// directReplicas is the most replicas that a packet writes to at its end. It saves one turn of the loop, and costs a write to each
// replica for every further packet of the round.
const directReplicas = 2

// endFed is called at the end of a packet that has put something into the stream.
func (s *Server) endFed() {
	if s.sync.feed.end(len(s.sync.node.Replicas()), s.aof.file.Buffered() > 0) {
		s.flushReplicas()
	} else {
		s.loop.RequestFlush()
	}
}

// newReplication makes the node: a master without replicas. startReplication follows when the data are there.
func (s *Server) newReplication() {
	s.sync.node = replication.New(replication.Options{NewID: newReplID, Loadable: loadable}, s.replicationSettings())
	for _, name := range []string{"repl-backlog-size", "repl-backlog-ttl", "repl-timeout", "repl-ping-replica-period",
		"repl-diskless-sync", "repl-diskless-sync-delay", "repl-diskless-sync-max-replicas", "min-replicas-to-write",
		"min-replicas-max-lag", "client-output-buffer-limit", "replica-announce-ip", "replica-announce-port", "port", "tls-port",
		"tls-replication", "masteruser", "masterauth", "appendonly", "replica-read-only", "replica-serve-stale-data"} {
		s.Config.OnApply(func(*config.Config) error {
			s.sync.node.Settings = s.replicationSettings()
			s.sync.node.SettingsChanged(s.replNow())
			s.judgeWritable()
			s.act()
			s.updateRefusing()
			return nil
		}, name)
	}
}

func newReplID() string {
	var id [20]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// loadable returns why a payload that begins with these bytes cannot be loaded, "" if it can.
func loadable(head []byte) string { return rdb.Loadable(head) }

func (s *Server) replicationSettings() replication.Settings {
	c := s.Config
	lim := c.OutputBufferLimits[config.ClassReplica]
	return replication.Settings{
		BacklogSize: c.ReplBacklogSize, BacklogTTL: c.ReplBacklogTTLSec, Timeout: int64(c.ReplTimeoutSec),
		PingPeriod: int64(c.ReplPingPeriodSec), Diskless: c.ReplDisklessSync, DisklessDelay: int64(c.ReplDisklessSyncDelaySec),
		DisklessMaxReplicas: c.ReplDisklessSyncMaxReplicas, MinReplicas: c.MinReplicasToWrite,
		MinReplicasMaxLag: int64(c.MinReplicasMaxLagSec), OutputHard: int64(lim.Hard), OutputSoft: int64(lim.Soft),
		OutputSoftSeconds: lim.SoftSeconds, AnnounceIP: c.ReplicaAnnounceIP, AnnouncePort: c.ReplicaAnnouncePort,
		Port:       s.replicationPort(),
		MasterUser: c.MasterUser, MasterAuth: c.MasterAuth, AOF: c.AppendOnly,
	}
}

// replNow is the node's clock: Unix time in milliseconds that does not run backwards.
func (s *Server) replNow() int64 { return s.base.UnixMilli() + s.nanos()/1e6 }

// isReplica reports whether the server has a master, or will have one when its data are loaded.
func (s *Server) isReplica() bool {
	if n := s.sync.node; n != nil && s.ready {
		return n.IsReplica()
	}
	return s.Config.ReplicaOf.Host != ""
}

// history is what a dump that is made now says of the stream, nil for nothing.
func (s *Server) history() *rdb.History {
	aux, ok := s.sync.node.Aux()
	if !ok {
		return nil
	}
	return &rdb.History{DB: aux.StreamDB, ID: aux.ID, Offset: aux.Offset}
}

// startReplication follows replicaof when the data have been loaded. loaded is what the dump says of the stream, nil if it
// says nothing or the data come from an append-only file.
func (s *Server) startReplication(loaded *rdb.History) {
	master := s.Config.ReplicaOf
	now := s.replNow()
	if loaded != nil && !s.sync.dropped.many {
		s.sync.node.Restore(now, replication.Aux{ID: loaded.ID, Offset: loaded.Offset, StreamDB: loaded.DB}, master.Host != "")
		s.act()
		s.propagateDropped()
	}
	s.sync.dropped = dropped{}
	if master.Host != "" {
		s.sync.node.Boot(now, master.Host, master.Port)
		s.act()
	}
	s.roleChanged()
}

// dropped are keys that had expired when a master loaded its dump at the start: replicas that continue where the dump ends
// have them still, so their deletion is propagated.
type dropped struct {
	dbs   []int
	ends  []int // of the keys in bytes
	bytes []byte
	many  bool // too many to propagate
}

// maxDropped is how many bytes of keys are remembered. Replicas get all data where there are more.
const maxDropped = 64 << 20

// noteDropped is called with each expired key of the dump, and with what the dump says of the stream.
func (r *replicating) noteDropped(db int, key []byte, history *rdb.History) {
	d := &r.dropped
	if history == nil || d.many {
		return
	}
	if len(d.bytes)+len(key) > maxDropped {
		*d = dropped{many: true}
		return
	}
	d.bytes = append(d.bytes, key...)
	d.dbs, d.ends = append(d.dbs, db), append(d.ends, len(d.bytes))
}

// propagateDropped propagates the deletion of what the dump had of expired keys.
func (s *Server) propagateDropped() {
	d := &s.sync.dropped
	s.attachSinks()
	start := 0
	for i, end := range d.ends {
		s.propagateDeletion(s.Keyspace.DBs()[d.dbs[i]], s.ExpiryVerb(), d.bytes[start:end])
		start = end
	}
}

// tickReplication is the part of cron that is about replication.
func (s *Server) tickReplication() {
	if !s.ready || s.shutdown.begun {
		return
	}
	now := s.replNow()
	s.sync.node.Fsynced(now, s.aof.file.FsyncedOffset())
	s.act()
	s.sync.node.Tick(now)
	s.act()
	s.flushReplicas()
	s.checkShutdown()
	s.expireOwn()
}

// act carries out what the node wants to have done. What an action leads to comes after it.
func (s *Server) act() {
	r := &s.sync
	if r.acting {
		return
	}
	acts := r.node.Take()
	if len(acts) == 0 {
		if r.node.WritesRefused != r.refused {
			r.refused = r.node.WritesRefused
			s.updateRefusing()
		}
		return
	}
	r.acting = true
	for ; len(acts) > 0; acts = r.node.Take() {
		acts = append(r.acts[:0], acts...)
		for i, a := range acts {
			acts[i] = nil
			s.perform(a)
		}
		r.acts = acts[:0]
	}
	r.acting = false
	s.attachSinks()
	s.updateRefusing()
}

// perform carries out one action.
func (s *Server) perform(a replication.Action) {
	switch a := a.(type) {
	case replication.Log:
		levels := [...]config.LogLevel{config.LogDebug, config.LogVerbose, config.LogNotice, config.LogWarning}
		s.Logf(levels[a.Level], "%s", a.Text)
	case replication.CloseReplica:
		s.closeReplica(a)
	case replication.StartJob:
		s.startJob(a.Job)
	case replication.CancelJob:
		s.cancelJob(a.Job)
	case replication.SendFile:
		s.sendFile(a)
	case replication.PayloadRoom:
		s.payloadRoom(a.Payload)
	case replication.PayloadDropped:
		s.payloadDropped(a.Payload)
	case replication.WaitDone:
		s.waitDone(a)
	case replication.PauseWrites:
		s.pauseWrites(pauseFailover)
	case replication.ResumeWrites:
		s.resumeWrites(pauseFailover)
	case replication.RoleChanged:
		host, port := s.sync.node.Master()
		s.Config.ReplicaOf = config.Master{Host: host, Port: port}
		s.roleChanged()
	case replication.Dial:
		s.dialMaster(a.Link)
	case replication.SendMaster:
		if l := linkOf(a.Link); l != nil {
			l.conn.Send(a.Data)
		}
	case replication.CloseLink:
		s.closeLink(a.Link)
	case replication.PayloadBegin:
		s.beginTransfer(a)
	case replication.PayloadBytes:
		s.transferred(a.Link, a.Data)
	case replication.PayloadComplete:
		s.transferComplete(a.Link)
	case replication.LinkUp:
		s.linkUp(a)
	case replication.LinkDown:
		s.linkDown(a.Link)
	default:
		panic(fmt.Sprintf("commands: %T is no action", a))
	}
}

// roleChanged has everything follow the role that the server has by now.
func (s *Server) roleChanged() {
	s.judgeExpiry()
	s.rearmExpiry()
	s.attachSinks()
	s.updateRefusing()
	s.setTitle()
	s.judgeWritable()
	s.Log.SetRole(logging.Master)
	if s.isReplica() {
		s.Log.SetRole(logging.Replica)
		s.unblockAll(errUnblockedRole)
	}
}

const errUnblockedRole = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"

// unblockAll ends the waiting of all clients, and their connections with it: what they wait for may come to another server.
func (s *Server) unblockAll(errText string) {
	for _, c := range s.byID() {
		if c.blocked != nil {
			s.endWait(c, errText)
			c.closeAfterReply()
			if c.conn != nil {
				c.conn.CloseAfterSend()
			}
		}
	}
}

// attachSinks sets the Sinks of this moment: the stream while there is a backlog, or an append-only file whose offset in the
// stream counts, and the append-only file while it is on.
func (s *Server) attachSinks() {
	stream := !s.isReplica() && (s.sync.node.Active() || s.aof.on())
	want := 0
	if stream {
		want++
	}
	if s.aof.on() {
		want++
	}
	if want == len(s.Sinks) && (want != 1 || stream == (s.Sinks[0] == session.Sink((*streamSink)(s)))) {
		return
	}
	s.Sinks = nil
	if stream {
		s.Sinks = append(s.Sinks, (*streamSink)(s))
	}
	if s.aof.on() {
		s.Sinks = append(s.Sinks, &s.aof)
	}
}

// roleRefuses reports whether the role may have commands refused; see refusedByRole.
func (s *Server) roleRefuses() bool {
	if !s.isReplica() {
		return s.sync.node.WritesRefused
	}
	s.sync.down = s.sync.node.LinkInfo().State != replication.LinkConnected
	return s.Config.ReplicaReadOnly || s.sync.down && !s.Config.ReplicaServeStaleData
}

const (
	errReadOnly   = "READONLY You can't write against a read only replica."
	errNoReplicas = "NOREPLICAS Not enough good replicas to write."
	errMasterDown = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
)

// refusedByRole returns the error of a command with these flags that the role forbids, "" if it does not. lacks are the flags that
// it, or a command queued for it, does not have.
func (s *Server) refusedByRole(flags, lacks session.Flags) string {
	replica := s.isReplica()
	switch write := flags&session.Write != 0; {
	case write && !replica && s.sync.node.WritesRefused:
		return errNoReplicas
	case write && replica && s.Config.ReplicaReadOnly:
		return errReadOnly
	case replica && s.sync.down && !s.Config.ReplicaServeStaleData && lacks&session.Stale != 0:
		return errMasterDown
	}
	return ""
}

// ownKey is a key that a client of a writable replica has given a deadline.
type ownKey struct {
	db  int
	key string
}

// judgeWritable decides whether clients may write to a replica. Keys that they write stay on the replica, which deletes them
// itself when they expire.
func (s *Server) judgeWritable() {
	s.sync.writable = s.isReplica() && !s.Config.ReplicaReadOnly
	if !s.isReplica() {
		s.sync.own = nil
	}
}

// rememberOwn is called for each write of a client to a writable replica: it remembers the keys that have deadlines.
func (s *Server) rememberOwn(c *Client, e *session.Entry) {
	if e.Flags&session.Write == 0 {
		return // EXEC or a script, which names more keys than its commands have written
	}
	refs := e.FindKeys(s.outbox.keyRefs[:0], c.Args)
	s.outbox.keyRefs = refs
	for _, ref := range refs {
		key := c.Args[ref.Pos]
		if r := c.DB.PeekStale(key); r != nil && r.Expiry() != record.NoExpiry {
			if s.sync.own == nil {
				s.sync.own = make(map[ownKey]struct{})
			}
			s.sync.own[ownKey{c.DB.ID, string(key)}] = struct{}{}
		}
	}
}

// expireOwn deletes the keys of a writable replica's clients whose time has come, some in each round of cron.
func (s *Server) expireOwn() {
	looked := 0
	for k := range s.sync.own {
		if looked++; looked > ownLooked {
			return
		}
		db := s.Keyspace.DBs()[k.db]
		r := db.PeekStale([]byte(k.key))
		switch {
		case r == nil || r.Expiry() == record.NoExpiry:
			delete(s.sync.own, k)
		case s.Keyspace.Now > r.Expiry():
			delete(s.sync.own, k)
			s.Keyspace.ExpiredKeys++
			s.keyExpired(db, r)
			db.RemoveAs(r, s.Keyspace.Lazy.Expiry)
		}
	}
}

// ownLooked is how many keys expireOwn looks at in one round.
const ownLooked = 1000
