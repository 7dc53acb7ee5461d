package replication

// Reply is what a command is answered with: "" nothing, else a line that begins with + or -, without the end of line.
type Reply string

// Replconf is REPLCONF; args are the words after it. fromMaster tells that the link's stream brought it (GETACK). r is nil then.
func (n *Node) Replconf(now int64, r *Replica, args [][]byte, fromMaster bool) Reply { return "" }
