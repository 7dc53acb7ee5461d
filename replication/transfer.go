package replication

// Taking tells that the old data are about to go.
func (n *Node) Taking(now int64, l *Link) {}

// Loaded tells that the payload was loaded, or why not. streamDB is the dump's repl-stream-db. It returns what came of the stream
// meanwhile.
func (n *Node) Loaded(now int64, l *Link, streamDB int, err error) (stream []byte) { return nil }
