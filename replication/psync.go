package replication

// Psync is PSYNC; args are the words after it. pending tells that the client has output that was not sent yet.
func (n *Node) Psync(now int64, r *Replica, args [][]byte, pending bool) Reply { return "" }

// Sync is SYNC.
func (n *Node) Sync(now int64, r *Replica, pending bool) Reply { return "" }
