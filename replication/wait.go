package replication

// Waiter is a client that waits for replicas.
type Waiter struct {
	// Ctx is the owner's: the client.
	Ctx any
}

// Wait is WAIT of a client whose last write ends at offset; timeout in ms, 0: none. done tells that acked is the answer; else a
// WaitDone follows.
func (n *Node) Wait(now int64, ctx any, offset int64, replicas int, timeout int64) (acked int, w *Waiter, done bool) {
	return 0, nil, false
}

// WaitAOF is WAITAOF.
func (n *Node) WaitAOF(now int64, ctx any, offset int64, local, replicas int, timeout int64) (haveLocal, acked int, w *Waiter, done bool) {
	return 0, 0, nil, false
}

// CancelWait forgets a waiter whose client has gone or was unblocked.
func (n *Node) CancelWait(w *Waiter) {}

// Fsynced tells up to which offset all changes are on our own disk.
func (n *Node) Fsynced(now int64, offset int64) {}

// AskAcks asks all replicas for an acknowledgement at the end of the round.
func (n *Node) AskAcks() {}

// Lagging returns the replicas that have not acknowledged all of the history: a shutdown waits for them.
func (n *Node) Lagging() []*Replica { return nil }

// GoodReplicas returns how many replicas count for min-replicas-to-write.
func (n *Node) GoodReplicas() int { return 0 }
