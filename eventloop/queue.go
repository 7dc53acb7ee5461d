package eventloop

// The output queue: a list of chunks, the first one partly written, the last
// one partly filled. Bytes are copied once, into the last chunk; the rest goes
// to a new one, at least as large as the whole queue up to maxChunk, so that a
// short queue is small and a long one has few chunks. A slice passed to
// SendOwned is a chunk by itself (class -1).
//
// Chunks come in six sizes from 1 KiB to 1 MiB and go back to the loop's pool,
// which keeps at most poolKeep bytes; the garbage collector frees the others.
// A queue exists only while it has output.

const (
	minChunk = 1 << 10
	maxChunk = 1 << 20
	classes  = 6 // minChunk << 2*class
	poolKeep = 4 << 20
	// chunkOverhead is the bytes of a chunk beside its buffer.
	chunkOverhead = 64
	poolQueues    = 64
)

type chunk struct {
	next  *chunk
	buf   []byte // filled part
	off   int    // written part
	class int    // size class, -1 for a slice passed to SendOwned
}

type outQueue struct {
	head, tail *chunk
	bytes      int // filled and not written
	mem        int // memory of all chunks
	n          int // chunks
	next       *outQueue
}

// chunkPool keeps empty chunks and queues of one loop.
type chunkPool struct {
	free   [classes]*chunk
	kept   int // bytes in free
	queues *outQueue
	nq     int
}

func (p *chunkPool) queue() *outQueue {
	if q := p.queues; q != nil {
		p.queues, q.next = q.next, nil
		p.nq--
		return q
	}
	return new(outQueue)
}

// release empties q and puts it into the pool.
func (p *chunkPool) release(q *outQueue) {
	for c := q.head; c != nil; {
		next := c.next
		p.put(c)
		c = next
	}
	*q = outQueue{}
	if p.nq < poolQueues {
		q.next, p.queues = p.queues, q
		p.nq++
	}
}

// get returns an empty chunk for at least min(want, maxChunk) bytes.
func (p *chunkPool) get(want int) *chunk {
	class, size := 0, minChunk
	for size < want && class < classes-1 {
		class, size = class+1, size<<2
	}
	if c := p.free[class]; c != nil {
		p.free[class], c.next = c.next, nil
		p.kept -= size
		return c
	}
	return &chunk{buf: make([]byte, 0, size), class: class}
}

func (p *chunkPool) put(c *chunk) {
	if c.class < 0 || p.kept+cap(c.buf) > poolKeep {
		return
	}
	c.buf, c.off = c.buf[:0], 0
	c.next, p.free[c.class] = p.free[c.class], c
	p.kept += cap(c.buf)
}

func (q *outQueue) push(c *chunk) {
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
	q.n++
	q.mem += cap(c.buf) + chunkOverhead
}

// add copies b to the end of the queue.
func (q *outQueue) add(p *chunkPool, b []byte) {
	q.bytes += len(b)
	for {
		if t := q.tail; t != nil && t.class >= 0 {
			n := min(len(b), cap(t.buf)-len(t.buf))
			t.buf = append(t.buf, b[:n]...)
			b = b[n:]
		}
		if len(b) == 0 {
			return
		}
		q.push(p.get(max(len(b), min(q.bytes, maxChunk))))
	}
}

// addOwned adds b itself to the end of the queue, without copying.
func (q *outQueue) addOwned(b []byte) {
	q.bytes += len(b)
	q.push(&chunk{buf: b[:len(b):len(b)], class: -1})
}

// front returns the bytes to write next, none at the end.
func (q *outQueue) front() []byte {
	if q.head == nil {
		return nil
	}
	return q.head.buf[q.head.off:]
}

// advance drops n written bytes of the first chunk.
func (q *outQueue) advance(p *chunkPool, n int) {
	c := q.head
	c.off += n
	q.bytes -= n
	if c.off < len(c.buf) {
		return
	}
	q.head = c.next
	if q.head == nil {
		q.tail = nil
	}
	q.n--
	q.mem -= cap(c.buf) + chunkOverhead
	c.next = nil
	p.put(c)
}
