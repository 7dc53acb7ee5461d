package replication

// Clients that wait for replicas (WAIT, WAITAOF), the replicas that count for min-replicas-to-write, and the replicas that a
// shutdown waits for. One REPLCONF GETACK at the end of a round serves all waiters.

// Waiter is a client that waits for replicas.
type Waiter struct {
	// Ctx is the owner's: the client.
	Ctx any

	offset   int64
	local    int // WAITAOF: our own file must have it, too
	replicas int
	aof      bool
	deadline int64 // ms; 0: none
}

// Wait is WAIT of a client whose last write ends at offset; timeout is in ms, 0 for none. Without a waiter, acked is the
// answer; else WaitDone follows, unless CancelWait comes first. Only masters have waiters: the owner refuses the command
// on a replica.
func (n *Node) Wait(now int64, ctx any, offset int64, replicas int, timeout int64) (acked int, w *Waiter) {
	w = &Waiter{Ctx: ctx, offset: offset, replicas: replicas}
	if _, acked = n.count(w); acked >= replicas {
		return acked, nil
	}
	n.wait(now, w, timeout)
	return acked, w
}

// WaitAOF is WAITAOF: local is 1 if our own append-only file must have it on disk.
func (n *Node) WaitAOF(now int64, ctx any, offset int64, local, replicas int, timeout int64) (haveLocal, acked int, w *Waiter) {
	w = &Waiter{Ctx: ctx, offset: offset, local: local, replicas: replicas, aof: true}
	if haveLocal, acked = n.count(w); haveLocal >= local && acked >= replicas {
		return haveLocal, acked, nil
	}
	n.wait(now, w, timeout)
	return haveLocal, acked, w
}

func (n *Node) wait(now int64, w *Waiter, timeout int64) {
	if timeout > 0 {
		w.deadline = now + timeout
	}
	n.waiters = append(n.waiters, w)
	if w.replicas > 0 {
		n.askAcks = true
	}
}

// count returns how many acknowledgements cover a waiter's offset: local of our own append-only file, acked of replicas.
func (n *Node) count(w *Waiter) (local, acked int) {
	if w.aof && n.Settings.AOF && n.fsynced >= w.offset {
		local = 1
	}
	for _, r := range n.replicas {
		if r.State != Online {
			continue
		}
		have := r.AckOffset
		if w.aof {
			have = r.FackOffset
		}
		if have >= w.offset {
			acked++
		}
	}
	return local, acked
}

// CancelWait removes a waiter whose client has closed or was unblocked. It returns the acknowledgements so far.
func (n *Node) CancelWait(w *Waiter) (local, acked int) {
	for i, other := range n.waiters {
		if other == w {
			n.waiters = append(n.waiters[:i:i], n.waiters[i+1:]...)
			break
		}
	}
	return n.count(w)
}

// checkWaiters replies to waiters that have enough acknowledgements.
func (n *Node) checkWaiters() { n.answer(func(w *Waiter) bool { return false }) }

func (n *Node) tickWaiters(now int64) {
	if len(n.waiters) > 0 {
		n.answer(func(w *Waiter) bool { return w.deadline != 0 && now >= w.deadline })
	}
}

// answer replies to waiters that have enough acknowledgements, and to those for which late returns true (their timeout).
func (n *Node) answer(late func(*Waiter) bool) {
	left := n.waiters[:0]
	for _, w := range n.waiters {
		local, acked := n.count(w)
		if local >= w.local && acked >= w.replicas || late(w) {
			n.do(WaitDone{Waiter: w, Local: local, Replicas: acked})
			continue
		}
		left = append(left, w)
	}
	clear(n.waiters[len(left):])
	n.waiters = left
}

// endWaiters replies -UNBLOCKED to all waiters, because the role has changed.
func (n *Node) endWaiters() {
	for _, w := range n.waiters {
		n.do(WaitDone{Waiter: w, Unblock: true})
	}
	n.waiters = nil
}

// Fsynced notes that our append-only file has all changes up to offset on disk. The owner calls it after an fsync.
func (n *Node) Fsynced(now int64, offset int64) {
	if offset <= n.fsynced {
		return
	}
	n.fsynced = offset
	if len(n.waiters) > 0 {
		n.checkWaiters()
	}
	n.fsyncedAck(now)
}

// AskAcks asks all replicas for an acknowledgement at the end of the round.
func (n *Node) AskAcks() { n.askAcks = true }

// Lagging returns the online replicas that have not acknowledged the whole stream. A shutdown waits for them.
func (n *Node) Lagging() []*Replica {
	var lagging []*Replica
	for _, r := range n.replicas {
		if r.State == Online && !r.RDBOnly && r.AckOffset < n.History.Offset {
			lagging = append(lagging, r)
		}
	}
	return lagging
}

// GoodReplicas returns how many replicas count for min-replicas-to-write.
func (n *Node) GoodReplicas(now int64) int {
	good := 0
	for _, r := range n.replicas {
		if r.State == Online && r.Lag(now) <= n.Settings.MinReplicasMaxLag {
			good++
		}
	}
	return good
}

// countGood updates WritesRefused.
func (n *Node) countGood(now int64) {
	s := &n.Settings
	n.WritesRefused = s.MinReplicas > 0 && s.MinReplicasMaxLag > 0 && n.host == "" && n.GoodReplicas(now) < s.MinReplicas
}
