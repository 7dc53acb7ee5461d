package replication

// FAILOVER hands the role of the master to a replica without losing a write:
//
//	noFailover
//	  | FAILOVER: writes are paused; two GETACKs are sent
//	waitingForSync
//	  | a replica has acknowledged everything but the last GETACK. (On timeout: abort, or with FORCE go on.)
//	inProgress
//	  | we are a replica of the target, and send it PSYNC <replid> <offset+1> FAILOVER
//	  |   +CONTINUE, +FULLRESYNC: the target is the master; done
//	  |   refused: we are a master again
//	noFailover
//
// The offset in an acknowledgement does not include the GETACK that asked for it. After one GETACK the offsets would be equal
// only a second later, with the next unasked acknowledgement. So we send two: the reply to the second proves that the replica
// has everything but the second GETACK. We ask for the stream from the acknowledged offset on, and remove the GETACKs behind
// it from our history when the target accepts.
//
// If the link ends after PSYNC FAILOVER was sent, we do not know whether the target was promoted. If we became a master again,
// there could be two masters. So the next PSYNC has no FAILOVER. A target that was promoted accepts it (or replies FULLRESYNC,
// if its role has changed again meanwhile). A target that is still a replica replies NOMASTERLINK, and we send PSYNC FAILOVER
// again.

import (
	"bytes"
	"strings"
)

type failover struct {
	state    failoverState
	host     string // of the target; "": any
	port     int
	force    bool
	deadline int64 // ms; 0: none
	ask      int64 // the offset that the target has acknowledged; only GETACKs are behind it
	unsure   bool  // PSYNC FAILOVER was sent, and the link ended before the reply
	probe    bool  // send the next PSYNC without FAILOVER
}

type failoverState int

const (
	noFailover failoverState = iota
	waitingForSync
	inProgress
)

// FailoverState returns INFO's master_failover_state.
func (n *Node) FailoverState() string {
	return [...]string{"no-failover", "waiting-for-sync", "failover-in-progress"}[n.failover.state]
}

// FailoverArgs are the arguments of FAILOVER.
type FailoverArgs struct {
	Host    string // "": any replica
	Port    int
	Force   bool
	Timeout int64 // ms; 0: none
}

// Failover begins a failover. The reply is OK or Redis's error.
func (n *Node) Failover(now int64, a FailoverArgs) Reply {
	switch {
	case n.failover.state != noFailover:
		return "-ERR FAILOVER already in progress."
	case n.IsReplica():
		return "-ERR FAILOVER is not valid when server is a replica."
	case len(n.replicas) == 0:
		return "-ERR FAILOVER requires connected replicas."
	case a.Force && (a.Timeout == 0 || a.Host == ""):
		return "-ERR FAILOVER with force option requires both a timeout and target HOST and IP."
	}
	if a.Host != "" {
		r := n.find(a.Host, a.Port)
		if r == nil {
			return "-ERR FAILOVER target HOST and PORT is not a replica."
		}
		if r.State != Online {
			return "-ERR FAILOVER target replica is not online."
		}
		n.logf(Notice, "FAILOVER requested to %s:%d.", a.Host, a.Port)
	} else {
		n.logf(Notice, "FAILOVER requested to any replica.")
	}
	n.failover = failover{state: waitingForSync, host: a.Host, port: a.Port, force: a.Force}
	if a.Timeout > 0 {
		n.failover.deadline = now + a.Timeout
	}
	n.do(PauseWrites{})
	n.Feed(-1, getack)
	n.Feed(-1, getack)
	n.checkFailover(now)
	return replyOK
}

// getackSize is the length of a GETACK in the stream.
var getackSize = int64(len(AppendCommand(nil, getack)))

// find returns the replica at host and port.
func (n *Node) find(host string, port int) *Replica {
	for _, r := range n.replicas {
		if strings.EqualFold(r.IP(), host) && r.ListeningPort == port {
			return r
		}
	}
	return nil
}

// FailoverAbort is FAILOVER ABORT.
func (n *Node) FailoverAbort(now int64) Reply {
	if n.failover.state == noFailover {
		return "-ERR No failover in progress."
	}
	n.abortFailover(now, "Failover manually aborted")
	return replyOK
}

func (n *Node) abortFailover(now int64, why string) {
	f := n.failover
	if f.host != "" {
		n.logf(Notice, "FAILOVER to %s:%d aborted: %s", f.host, f.port, why)
	} else {
		n.logf(Notice, "FAILOVER to any replica aborted: %s", why)
	}
	if f.state == inProgress {
		n.promote(now)
	}
	n.endFailover()
}

func (n *Node) endFailover() {
	n.failover = failover{}
	n.do(ResumeWrites{})
}

func (n *Node) tickFailover(now int64) {
	f := &n.failover
	if f.state != waitingForSync || f.deadline == 0 || now < f.deadline {
		return
	}
	if !f.force {
		n.abortFailover(now, "Replica never caught up before timeout")
		return
	}
	n.logf(Notice, "FAILOVER to %s:%d time out exceeded, failing over.", f.host, f.port)
	n.handOver(now)
}

// checkFailover begins the handover if the target has acknowledged everything.
func (n *Node) checkFailover(now int64) {
	f := &n.failover
	if f.state != waitingForSync {
		return
	}
	for _, r := range n.replicas {
		if r.State != Online || r.awaitAck || r.AckOffset < n.History.Offset-getackSize || r.ListeningPort == 0 ||
			f.host != "" && r != n.find(f.host, f.port) {
			continue
		}
		f.host, f.port = r.IP(), r.ListeningPort
		n.logf(Notice, "Failover target %s:%d is synced, failing over.", f.host, f.port)
		n.handOver(now)
		f.ask = min(r.AckOffset, f.ask)
		return
	}
}

// rewind removes from our history what the target may not have: GETACKs and nothing else. It returns where our history
// ended, or 0 if nothing was removed. If the target then sends the same bytes, reclaim moves the end of the old history back.
func (n *Node) rewind(offset int64) (end int64) {
	end = n.History.Offset
	if offset >= end {
		return 0
	}
	n.Backlog.cut(offset)
	n.Backlog.shown, n.History.Offset = offset, offset
	return end
}

// reclaim checks whether the new master sends the bytes that rewind removed. If it does, SecondOffset covers them again, so
// that other replicas that have them can continue, too.
func (n *Node) reclaim(l *Link) {
	end := min(n.Backlog.end, l.forgotten)
	c := n.Backlog.reader(l.base)
	bufs, _ := c.slices(nil, end, int(end-l.base))
	c.close()
	getacks := strings.Repeat(string(AppendCommand(nil, getack)), int(l.forgotten-l.base)/int(getackSize)+1)
	same := strings.HasPrefix(getacks, string(bytes.Join(bufs, nil)))
	if same && end < l.forgotten {
		return
	}
	if same {
		n.History.SecondOffset = l.forgotten + 1
	}
	l.forgotten = 0
}

// handOver makes us a replica of the target.
func (n *Node) handOver(now int64) {
	f := &n.failover
	f.state, f.deadline, f.ask = inProgress, 0, n.History.Offset
	n.setMaster(now, f.host, f.port)
}
