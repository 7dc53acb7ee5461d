package replication

// Chunks is a byte sequence that grows at its end and is read by cursors.
type Chunks struct{}

// Cursor reads Chunks.
type Cursor struct{}
