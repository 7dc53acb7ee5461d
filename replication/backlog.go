package replication

// Backlog is the newest part of the stream.
type Backlog struct{}

// Active tells whether there is a backlog.
func (b *Backlog) Active() bool { return false }

// First returns the offset of the first byte that is kept, as INFO shows it (the first byte of all has offset 1).
func (b *Backlog) First() int64 { return 0 }

// Len returns how many applied bytes are kept and counted: repl_backlog_histlen.
func (b *Backlog) Len() int64 { return 0 }

// Memory returns the bytes that the chunks take.
func (b *Backlog) Memory() int64 { return 0 }
