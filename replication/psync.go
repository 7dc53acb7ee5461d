package replication

// PSYNC and SYNC: which replicas may continue (partial) and which need a payload (full).

import (
	"strconv"
	"strings"
)

// Errors.
const (
	errFailingOver Reply = "-NOMASTERLINK Can't SYNC while failing over"
	errNoLink      Reply = "-NOMASTERLINK Can't SYNC while not connected with my master"
	errPending     Reply = "-ERR SYNC and PSYNC are invalid with pending output"
	errNeedsEOF    Reply = "-ERR Filtered replica requires EOF capability"
	errNotReplica  Reply = "-ERR PSYNC FAILOVER can't be sent to a master."
	errOtherID     Reply = "-ERR PSYNC FAILOVER replid must match my replid."
)

// Psync is PSYNC; args are the words after it, two at least. pending is true if the client has output that was not sent
// yet; client is its description for the log.
func (n *Node) Psync(now int64, r *Replica, args [][]byte, pending bool, client string) Reply {
	if r.Attached() {
		return ""
	}
	if len(args) < 2 {
		return errSyntax
	}
	id := string(args[0])
	if len(args) > 2 && strings.EqualFold(string(args[2]), "failover") {
		n.logf(Notice, "Failover request received for replid %s.", printable(args[0]))
		if !n.IsReplica() {
			return errNotReplica
		}
		if !equalID(id, n.History.ID) || !n.cached {
			return errOtherID
		}
		n.promote(now)
		n.logf(Notice, "MASTER MODE enabled (failover request from '%s')", client)
	}
	if reply := n.refuseSync(r, pending); reply != "" {
		return reply
	}
	offset, err := strconv.ParseInt(string(args[1]), 10, 64)
	if err != nil {
		n.logf(Warning, "Replica %s asks for synchronization but with a wrong offset", r.Name())
		return errNoNumber
	}
	if !r.Filtered && !r.RDBOnly && n.partial(now, r, id, offset) {
		n.SyncPartialOK++
		return ""
	}
	if !strings.HasPrefix(id, "?") {
		n.SyncPartialErr++
	}
	n.full(now, r)
	return ""
}

// Sync is SYNC.
func (n *Node) Sync(now int64, r *Replica, pending bool) Reply {
	if r.Attached() {
		return ""
	}
	if reply := n.refuseSync(r, pending); reply != "" {
		return reply
	}
	r.old = true
	n.full(now, r)
	return ""
}

// refuseSync returns why no synchronisation is possible now, or "".
func (n *Node) refuseSync(r *Replica, pending bool) Reply {
	switch {
	case n.failover.state != noFailover:
		return errFailingOver
	case n.IsReplica() && (!n.linkUp() || n.link.forgotten > 0):
		return errNoLink
	case pending:
		return errPending
	case r.Filtered && !r.EOF:
		return errNeedsEOF
	}
	n.logf(Notice, "Replica %s asks for synchronization", r.Name())
	return ""
}

// partial lets a replica continue that has the bytes of history id before offset. It returns false if the replica needs a
// full synchronisation.
func (n *Node) partial(now int64, r *Replica, id string, offset int64) bool {
	h, b := &n.History, &n.Backlog
	if !h.Names(id, offset) {
		switch {
		case equalID(id, h.ID2):
			n.logf(Notice, "Partial resynchronization not accepted: Requested offset for second ID was %d, but I can reply up to %d",
				offset, h.SecondOffset)
		case strings.HasPrefix(id, "?"):
			n.logf(Notice, "Full resync requested by replica %s", r.Name())
		default:
			n.logf(Notice, "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '%s', my replication IDs are '%s' and '%s')",
				printable([]byte(id)), h.ID, h.ID2)
		}
		return false
	}
	if !b.covers(offset) {
		n.logf(Notice, "Unable to partial resync with replica %s for lack of backlog (Replica request was: %d).", r.Name(), offset)
		if offset > h.Offset+1 {
			n.logf(Warning, "Warning: replica %s tried to PSYNC with an offset that is greater than the master replication offset.", r.Name())
		}
		return false
	}
	n.attach(now, r)
	r.State = Online
	r.stream = b.reader(offset - 1)
	if r.Psync2 {
		r.say("+CONTINUE " + h.ID + "\r\n")
	} else {
		r.say("+CONTINUE\r\n")
	}
	n.logf(Notice, "Partial resynchronization request from %s accepted. Sending %d bytes of backlog starting from offset %d.",
		r.Name(), h.Offset+1-offset, offset)
	n.countGood(now)
	return true
}

// full queues a replica for a payload.
func (n *Node) full(now int64, r *Replica) {
	n.SyncFull++
	if !n.Backlog.active {
		// Without a backlog Feed did not count bytes: the history so far has no replid that a replica may continue.
		n.History.Restart(n.opt.NewID())
		n.Backlog.begin(n.History.Offset, n.Settings.BacklogSize)
		n.logf(Notice, "Replication backlog created, my new replication IDs are '%s' and '%s'", n.History.ID, n.History.ID2)
	}
	n.attach(now, r)
	r.State = WaitStart
	switch j := n.joinable(r); {
	case j != nil:
		j.members = append(j.members, r)
		n.setUp(now, r, j)
		n.logf(Notice, "Waiting for end of BGSAVE for SYNC")
	case n.job != nil && n.job.running && n.job.Streamed:
		n.logf(Notice, "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC")
	case n.job != nil && n.job.running || n.dump != nil:
		n.logf(Notice, "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC")
	case n.Settings.Diskless && r.EOF && n.Settings.DisklessDelay > 0:
		n.logf(Notice, "Delay next BGSAVE for diskless SYNC")
	}
	n.startJobs(now)
}
