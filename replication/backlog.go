package replication

// Backlog is the newest part of the stream. Position p of its Chunks is the byte with offset p+1: a replica that has the
// bytes up to offset o stands at position o.
//
// On a master every byte of the backlog may be sent to replicas. On a replica the bytes of the master are appended as they
// arrive. Only those up to shown were executed and may be sent to sub-replicas. When the link ends, bytes behind shown are
// removed again.
//
// Each command frees a few of the chunks that are older than repl-backlog-size, unless a replica has not read them yet.

import "strconv"

// Backlog is not active in its zero value.
type Backlog struct {
	Chunks
	active bool
	shown  int64 // History.Offset
}

const (
	minChunk = 1 << 10
	maxChunk = 64 << 10
	// trimmed is how many chunks a command frees at most.
	trimmed = 64
	// trimmedMany is how many are freed at once when a replica has left, and in each Tick: it may have held much.
	trimmedMany = 4096
)

// begin makes an empty backlog behind offset.
func (b *Backlog) begin(offset, size int64) {
	b.init(offset, int(min(max(size/16, minChunk), maxChunk)))
	b.active, b.shown = true, offset
}

// drop ends it.
func (b *Backlog) drop() { *b = Backlog{} }

// Active reports whether there is a backlog.
func (b *Backlog) Active() bool { return b.active }

// First returns the offset of the first byte that is kept, as INFO shows it: the first byte of a history has offset 1.
func (b *Backlog) First() int64 {
	if !b.active {
		return 0
	}
	return b.start() + 1
}

// Len returns how many bytes are kept that may be sent: repl_backlog_histlen.
func (b *Backlog) Len() int64 {
	if !b.active {
		return 0
	}
	return b.shown - b.start()
}

// Memory returns the bytes that it takes.
func (b *Backlog) Memory() int64 { return b.mem }

// covers reports whether the backlog holds all that a replica needs which has the bytes before offset.
func (b *Backlog) covers(offset int64) bool {
	return b.active && offset >= b.First() && offset <= b.First()+b.Len()
}

// reader makes a cursor for a replica that has the bytes up to offset.
func (b *Backlog) reader(offset int64) Cursor { return b.at(offset) }

// command appends argv as a RESP array of bulks.
func (b *Backlog) command(argv [][]byte) {
	need := 16
	for _, arg := range argv {
		need += len(arg) + 16
	}
	if need <= b.size {
		tail := b.room(need)
		before := len(tail.buf)
		tail.buf = AppendCommand(tail.buf, argv)
		b.end += int64(len(tail.buf) - before)
		return
	}
	var head [24]byte
	b.write(appendHead(head[:0], '*', len(argv)))
	for _, arg := range argv {
		b.write(appendHead(head[:0], '$', len(arg)))
		b.write(arg)
		b.writeString("\r\n")
	}
}

// AppendCommand appends argv to dst as a client sends it: a RESP array of bulks.
func AppendCommand(dst []byte, argv [][]byte) []byte {
	dst = appendHead(dst, '*', len(argv))
	for _, arg := range argv {
		dst = appendHead(dst, '$', len(arg))
		dst = append(dst, arg...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

func appendHead(b []byte, kind byte, n int) []byte {
	if n < 10 {
		return append(b, kind, byte('0'+n), '\r', '\n')
	}
	b = strconv.AppendInt(append(b, kind), int64(n), 10)
	return append(b, '\r', '\n')
}

// words makes a command of strings.
func words(argv ...string) [][]byte {
	w := make([][]byte, len(argv))
	for i, s := range argv {
		w[i] = []byte(s)
	}
	return w
}
