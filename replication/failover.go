package replication

// FailoverArgs are the arguments of FAILOVER.
type FailoverArgs struct {
	Host    string // "": any replica
	Port    int
	Force   bool
	Timeout int64 // ms; 0: none
}

// Failover begins a failover. The reply is OK or Redis's error.
func (n *Node) Failover(now int64, a FailoverArgs) Reply { return "" }

// FailoverAbort is FAILOVER ABORT.
func (n *Node) FailoverAbort(now int64) Reply { return "" }

// FailoverState returns INFO's master_failover_state.
func (n *Node) FailoverState() string { return "" }
