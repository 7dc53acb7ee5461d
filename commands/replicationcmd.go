package commands

import (
	"fmt"
	"strconv"

	"ferrous/commands/config"
	"ferrous/commands/session"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
	"ferrous/replication"
)

// The commands of replication. The node (package replication) decides; the handlers only parse and reply.

var replicationCommands = []session.Command{
	{Name: "failover", Arity: -1, Flags: session.Admin | session.NoScript | session.Stale, Handler: connected(failover),
		Group: session.GroupServer, Since: "6.2.0", Complexity: "O(1)",
		Summary: "Hands the role of the master over to a replica, without losing a write.",
		Args: []session.Arg{
			{Name: "target", Type: session.ArgBlock, Token: "TO", Optional: true, Args: []session.Arg{session.StringArg("host"),
				session.IntArg("port"), session.TokenWord("force", "FORCE", "").Opt()}},
			session.TokenWord("abort", "ABORT", "").Opt(),
			session.TokenArg("milliseconds", session.ArgInteger, "TIMEOUT", "").Opt()}},
	{Name: "psync", Arity: -3, Flags: syncFlags, Handler: connected(psync),
		Group: session.GroupServer, Since: "2.8.0", Summary: "Asks for the stream of replication from a place on.",
		Args: []session.Arg{session.StringArg("replicationid"), session.IntArg("offset")}},
	{Name: "replconf", Arity: -1, Flags: session.Admin | session.NoScript | session.Loading | session.Stale | session.AllowBusy,
		Handler: connected(replconf), Group: session.GroupServer, Since: "3.0.0", Complexity: "O(1)", SysCmd: true,
		Summary: "Tells a master about its replica, and the other way round."},
	{Name: "replicaof", Arity: 3, Flags: replicaofFlags, Handler: connected(replicaof), Group: session.GroupServer,
		Since: "5.0.0", Complexity: "O(1)", Summary: "Makes the server a replica of another one, or a master.", Args: replicaofArgs},
	{Name: "role", Arity: 1, Flags: session.NoScript | session.Loading | session.Stale | session.Fast,
		ACL: session.CatAdmin | session.CatDangerous, Handler: connected(role), Group: session.GroupServer, Since: "2.8.12",
		Complexity: "O(1)", Summary: "Tells the role in replication."},
	{Name: "slaveof", Arity: 3, Flags: replicaofFlags, Handler: connected(replicaof), Group: session.GroupServer,
		Since: "1.0.0", Deprecated: "5.0.0", ReplacedBy: "`REPLICAOF`", Complexity: "O(1)",
		Summary: "Makes the server a replica of another one, or a master.", Args: replicaofArgs},
	{Name: "sync", Arity: 1, Flags: syncFlags, Handler: connected(syncCommand), Group: session.GroupServer, Since: "1.0.0",
		Summary: "Asks for all data and the stream of replication."},
	{Name: "wait", Arity: 3, ACL: session.CatConnection, Handler: connected(waitCommand), Group: session.GroupGeneric,
		Since: "3.0.0", Complexity: "O(1)",
		Summary: "Waits until replicas have what this client has changed.",
		Hints:   []string{"request_policy:all_shards", "response_policy:agg_min"},
		Args:    []session.Arg{session.IntArg("numreplicas"), session.IntArg("timeout")}},
	{Name: "waitaof", Arity: 4, Flags: session.NoScript, ACL: session.CatConnection, Handler: connected(waitaof),
		Group: session.GroupGeneric, Since: "7.2.0", Complexity: "O(1)",
		Summary: "Waits until what this client has changed is on the disk here and on replicas.",
		Hints:   []string{"request_policy:all_shards", "response_policy:agg_min"},
		Args:    []session.Arg{session.IntArg("numlocal"), session.IntArg("numreplicas"), session.IntArg("timeout")}},
}

const (
	syncFlags      = session.NoAsyncLoading | session.Admin | session.NoMulti | session.NoScript
	replicaofFlags = session.NoAsyncLoading | session.Admin | session.NoScript | session.Stale
)

var replicaofArgs = []session.Arg{session.OneOf("args",
	session.Arg{Name: "host-port", Type: session.ArgBlock, Args: []session.Arg{session.StringArg("host"), session.IntArg("port")}},
	session.Arg{Name: "no-one", Type: session.ArgBlock, Args: []session.Arg{session.TokenWord("no", "NO", ""), session.TokenWord("one", "ONE", "")}})}

const (
	errFailingOver    = "ERR REPLICAOF not allowed while failing over."
	errReplicaAsks    = "ERR Command is not valid when client is a replica."
	errMasterPort     = "ERR Invalid master port"
	errWaitReplica    = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated."
	errWaitAOFReplica = "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and are not propagated."
	errWaitLocal      = "ERR value is out of range, value must between 0 and 1"
	errWaitDisabled   = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
)

// answered gives the client the node's reply, and carries out what the node wants to have done.
func (c *Client) answered(reply replication.Reply) {
	switch {
	case reply == "":
	case reply[0] == '+':
		c.W.Status(string(reply[1:]))
	default:
		c.Error(string(reply[1:]))
	}
	c.srv.act()
}

func replicaof(c *Client) {
	s := c.srv
	n := s.sync.node
	if n.FailoverState() != "no-failover" {
		c.Error(errFailingOver)
		return
	}
	now := s.replNow()
	if c.Is(1, "no") && c.Is(2, "one") {
		if n.IsReplica() {
			n.ReplicaOfNoOne(now)
			s.act()
			s.Logf(config.LogNotice, "MASTER MODE enabled (user request from '%s')", c.describe())
		}
		c.W.OK()
		return
	}
	if c.attached() {
		c.Error(errReplicaAsks)
		return
	}
	port, ok := resp.ParseInt(c.Args[2])
	if !ok || port < 0 || port > 65535 {
		c.Error(errMasterPort)
		return
	}
	host := string(c.Args[1])
	if !n.ReplicaOf(now, host, int(port)) {
		s.act()
		c.W.Status("OK Already connected to specified master")
		return
	}
	s.act()
	s.Logf(config.LogNotice, "REPLICAOF %s:%d enabled (user request from '%s')", host, port, c.describe())
	c.W.OK()
}

// hasOutput reports whether something that the client was sent has not left yet.
func (c *Client) hasOutput() bool { return len(c.W.Buf) > 0 || c.conn.Queued() > 0 }

func psync(c *Client) {
	if c.conn == nil || c.master {
		return
	}
	s := c.srv
	reply := s.sync.node.Psync(s.replNow(), c.asReplica(), c.Args[1:], c.hasOutput(), c.describe())
	s.attach(c)
	c.answered(reply)
}

func syncCommand(c *Client) {
	if c.conn == nil || c.master {
		return
	}
	s := c.srv
	reply := s.sync.node.Sync(s.replNow(), c.asReplica(), c.hasOutput())
	s.attach(c)
	c.answered(reply)
}

func replconf(c *Client) {
	s := c.srv
	if c.conn == nil {
		return
	}
	if c.master {
		if m := s.sync.link; m != nil {
			s.sync.node.MasterReplconf(s.replNow(), m.link, c.Args[1:])
			s.act()
		}
		return
	}
	c.answered(s.sync.node.Replconf(s.replNow(), c.asReplica(), c.Args[1:]))
	if r := c.replica; r != nil && r.Pending() {
		s.streamFed()
	}
}

// role is ROLE.
func role(c *Client) {
	s := c.srv
	n := s.sync.node
	if !s.isReplica() {
		c.W.Array(3)
		c.W.BulkString("master")
		c.W.Int(n.History.Offset)
		var online []*replication.Replica
		for _, r := range n.Replicas() {
			if r.State == replication.Online {
				online = append(online, r)
			}
		}
		c.W.Array(len(online))
		for _, r := range online {
			c.W.Array(3)
			c.W.BulkString(r.IP())
			c.W.BulkString(strconv.Itoa(r.ListeningPort))
			c.W.BulkString(strconv.FormatInt(r.AckOffset, 10))
		}
		return
	}
	host, port := s.masterAddr()
	link := n.LinkInfo()
	c.W.Array(5)
	c.W.BulkString("slave")
	c.W.BulkString(host)
	c.W.Int(int64(port))
	c.W.BulkString(link.State.String())
	if n.HistoryUsable() {
		c.W.Int(n.History.Offset)
	} else {
		c.W.Int(-1)
	}
}

// masterAddr is where the master is.
func (s *Server) masterAddr() (host string, port int) {
	if s.ready {
		return s.sync.node.Master()
	}
	return s.Config.ReplicaOf.Host, s.Config.ReplicaOf.Port
}

// waitTimeout parses the timeout of WAIT and WAITAOF, and returns the deadline, Unix ms, 0 for none.
func (c *Client) waitTimeout(i int) (deadline int64, ok bool) {
	ms, ok := resp.ParseInt(c.Args[i])
	switch now := c.srv.Keyspace.Now; {
	case !ok:
		c.Error(session.ErrTimeoutNotInt)
	case ms < 0:
		c.Error(session.ErrTimeoutNegative)
	case ms > 1<<63-1-now:
		c.Error(session.ErrTimeoutRange)
	case ms > 0:
		return ms + now, true
	default:
		return 0, true
	}
	return 0, false
}

func waitCommand(c *Client) {
	s := c.srv
	if s.isReplica() {
		c.Error(errWaitReplica)
		return
	}
	replicas, ok := c.Int64Arg(1)
	if !ok {
		return
	}
	deadline, ok := c.waitTimeout(2)
	if !ok {
		return
	}
	acked, waiter := s.sync.node.Wait(s.replNow(), c, c.wrote, int(min(replicas, 1<<30)), 0)
	if waiter == nil || !c.MayBlock() {
		if waiter != nil {
			s.sync.node.CancelWait(waiter)
		}
		c.W.Int(int64(acked))
		s.act()
		return
	}
	c.waitFor(waiter, deadline, func(c *Client) {
		_, acked := s.sync.node.CancelWait(waiter)
		c.W.Int(int64(acked))
	})
}

// waitFor has the client wait for replicas.
func (c *Client) waitFor(w *replication.Waiter, deadline int64, answer func(*Client)) {
	c.Block(record.String, nil, deadline)
	c.blocked.waiter, c.blocked.answer = w, answer
	c.srv.act()
	c.srv.streamFed()
}

func waitaof(c *Client) {
	s := c.srv
	local, ok := c.Int64Arg(1)
	if !ok {
		return
	}
	if local < 0 || local > 1 {
		c.Error(errWaitLocal)
		return
	}
	replicas, ok := c.AtLeast(2, 0, session.ErrPositive)
	if !ok {
		return
	}
	deadline, ok := c.waitTimeout(3)
	if !ok {
		return
	}
	switch {
	case s.isReplica():
		c.Error(errWaitAOFReplica)
		return
	case local > 0 && !s.aof.on():
		c.Error(errWaitDisabled)
		return
	}
	s.fsynced()
	has, acked, waiter := s.sync.node.WaitAOF(s.replNow(), c, c.wrote, int(local), int(min(replicas, 1<<30)), 0)
	if waiter == nil || !c.MayBlock() {
		if waiter != nil {
			s.sync.node.CancelWait(waiter)
		}
		c.waitAOFReply(has, acked)
		s.act()
		return
	}
	c.waitFor(waiter, deadline, func(c *Client) { c.waitAOFReply(s.sync.node.CancelWait(waiter)) })
	c.blocked.file = local > 0
}

// endFileWaits ends the waiting for an append-only file that is switched off.
func (s *Server) endFileWaits() {
	for _, c := range s.byID() {
		if c.blocked != nil && c.blocked.file {
			s.endWait(c, errWaitDisabled)
		}
	}
}

// fsynced informs the node of what is on the disk.
func (s *Server) fsynced() {
	if s.aof.on() {
		s.sync.node.Fsynced(s.replNow(), s.aof.file.FsyncedOffset())
		s.act()
	}
}

// waitAOFReply replies whether what the client has changed is on the disk here, and on how many replicas.
func (c *Client) waitAOFReply(local, acked int) {
	c.W.Array(2)
	c.W.Int(int64(local))
	c.W.Int(int64(acked))
}

// waitDone is called when enough replicas have what a client has changed, or when the role has changed.
func (s *Server) waitDone(a replication.WaitDone) {
	c := a.Waiter.Ctx.(*Client)
	if c.blocked == nil || c.blocked.waiter != a.Waiter {
		return
	}
	c.blocked.waiter = nil
	if a.Unblock {
		s.endWait(c, errUnblockedRole)
		c.closeAfterReply()
		c.conn.CloseAfterSend()
		return
	}
	s.endWait(c, "")
}

func failover(c *Client) {
	s := c.srv
	var a replication.FailoverArgs
	abort, to, timed := false, false, false
	for i := 1; i < len(c.Args); i++ {
		switch {
		case c.Is(i, "timeout") && i+1 < len(c.Args) && !timed:
			ms, ok := c.Int64Arg(i + 1)
			if !ok {
				return
			}
			if ms <= 0 {
				c.Error("ERR FAILOVER timeout must be greater than 0")
				return
			}
			a.Timeout, timed = ms, true
			i++
		case c.Is(i, "abort") && !abort:
			abort = true
		case c.Is(i, "to") && i+2 < len(c.Args) && !to:
			port, ok := c.Int64Arg(i + 2)
			if !ok {
				return
			}
			a.Host, a.Port, to = string(c.Args[i+1]), int(port), true
			i += 2
		case c.Is(i, "force") && !a.Force:
			a.Force = true
		default:
			c.Error(session.ErrSyntax)
			return
		}
	}
	now := s.replNow()
	if abort {
		if to || a.Force || timed {
			c.Error("ERR FAILOVER abort cannot be combined with other options")
			return
		}
		c.answered(s.sync.node.FailoverAbort(now))
		return
	}
	c.answered(s.sync.node.Failover(now, a))
	s.streamFed()
}

// replication is the section of INFO.
func (t *infoText) replication() {
	s := t.s
	n := s.sync.node
	h := &n.History
	now := s.replNow()
	replica := s.isReplica()
	if !replica {
		t.str("role", "master")
	} else {
		t.str("role", "slave")
		t.link(n.LinkInfo(), now)
	}
	replicas := n.Replicas()
	t.int("connected_slaves", int64(len(replicas)))
	if s.Config.MinReplicasToWrite > 0 && s.Config.MinReplicasMaxLagSec > 0 {
		t.int("min_slaves_good_slaves", int64(n.GoodReplicas(now)))
	}
	for i, r := range replicas {
		t.str(fmt.Sprintf("slave%d", i), fmt.Sprintf("ip=%s,port=%d,state=%s,offset=%d,lag=%d", r.IP(), r.ListeningPort,
			r.State, r.AckOffset, r.Lag(now)))
	}
	t.str("master_failover_state", n.FailoverState())
	t.str("master_replid", h.ID)
	t.str("master_replid2", h.ID2)
	t.int("master_repl_offset", h.Offset)
	t.int("second_repl_offset", h.SecondOffset)
	t.flag("repl_backlog_active", n.Backlog.Active())
	t.int("repl_backlog_size", s.Config.ReplBacklogSize)
	first, size := int64(0), int64(0)
	if n.Backlog.Active() {
		first, size = n.Backlog.First(), n.Backlog.Len()
	}
	t.int("repl_backlog_first_byte_offset", first)
	t.int("repl_backlog_histlen", size)
}

// link writes INFO's fields of the link to the master.
func (t *infoText) link(l replication.LinkInfo, now int64) {
	s := t.s
	host, port := s.masterAddr()
	t.str("master_host", host)
	t.int("master_port", int64(port))
	up := l.State == replication.LinkConnected
	if up {
		t.str("master_link_status", "up")
		t.int("master_last_io_seconds_ago", (now-l.LastIO)/1000)
	} else {
		t.str("master_link_status", "down")
		t.int("master_last_io_seconds_ago", -1)
	}
	syncing := l.State == replication.LinkTransfer || l.State == replication.LinkLoading
	t.flag("master_sync_in_progress", syncing)
	t.int("slave_read_repl_offset", max(l.ReadOffset, 0))
	t.int("slave_repl_offset", s.sync.node.History.Offset)
	if syncing {
		perc := 0.0
		left := int64(-1)
		if l.Size > 0 {
			perc = float64(l.Read) / float64(l.Size) * 100
			left = l.Size - l.Read
		}
		t.int("master_sync_total_bytes", max(l.Size, 0))
		t.int("master_sync_read_bytes", l.Read)
		t.int("master_sync_left_bytes", left)
		t.ratio("master_sync_perc", perc)
		t.int("master_sync_last_io_seconds_ago", (now-l.TransferIO)/1000)
	}
	if !up {
		down := int64(-1)
		if l.DownSince > 0 {
			down = (now - l.DownSince) / 1000
		}
		t.int("master_link_down_since_seconds", down)
	}
	t.int("slave_priority", int64(s.Config.ReplicaPriority))
	t.flag("slave_read_only", s.Config.ReplicaReadOnly)
	t.flag("replica_announced", s.Config.ReplicaAnnounced)
}

// debugChangeReplID is DEBUG CHANGE-REPL-ID.
func debugChangeReplID(c *Client) {
	c.srv.sync.node.ChangeID()
	c.srv.act()
	c.W.OK()
}

// debugReplicate is DEBUG REPLICATE: replicas get a command that is not executed here.
func debugReplicate(c *Client) {
	s := c.srv
	outermost := !s.pendingOps.open
	s.pendingOps.open = true
	if first := len(s.pendingOps.ops); len(s.Sinks) > 0 {
		s.pendingOps.add(noDB, c.Args[2:])
		s.pendingOps.limit(first, false, true)
	}
	if outermost {
		s.feedPending()
	}
	c.W.OK()
}
