package eventloop

// The output queue: a list of chunks, the first one partly written, the last
// one partly filled. Bytes are copied once, into the last chunk; the rest goes
// to a new one, at least as large as the whole queue up to maxChunk, so that a
// short queue is small and a long one has few chunks. A slice passed to
// SendOwned is a chunk by itself (class -1), and so is the buffer of a writer
// that was passed to SendBuffer (class -2).
//
// Chunks come in six sizes from 1 KiB to 1 MiB. They and buffers of writers go back to the loop's
// pool. It keeps poolKeep bytes, and as many as queues held at once lately, up to poolMost: a server that sends replies
// of a megabyte to many clients would otherwise make as much garbage as it sends. The garbage collector frees the others.
// A queue exists only while it has output.

const (
	minChunk = 1 << 10
	maxChunk = 1 << 20
	classes  = 6 // minChunk << 2*class
	poolKeep = 4 << 20
	poolMost = 256 << 20

	classOwned  = -1 // the garbage collector frees it
	classBuffer = -2 // it becomes the buffer of a writer again
	// chunkOverhead is the bytes of a chunk beside its buffer.
	chunkOverhead = 64
	poolQueues    = 64
)

type chunk struct {
	next  *chunk
	buf   []byte // filled part
	off   int    // written part
	class int    // size class, or classOwned or classBuffer
}

type outQueue struct {
	head, tail *chunk
	bytes      int // filled and not written
	mem        int // memory of all chunks
	n          int // chunks
	next       *outQueue
}

// chunkPool keeps empty chunks, buffers and queues of one loop.
type chunkPool struct {
	free    [classes]*chunk
	buffers [][]byte
	kept    int // bytes in free and buffers
	out     int // bytes of chunks and buffers that are in queues
	peak    int // most of out since the last trim
	before  int // most of out in the time between the last two
	queues  *outQueue
	nq      int
}

// lent notes that a queue has n bytes more that will come back.
func (p *chunkPool) lent(n int) {
	p.out += n
	p.peak = max(p.peak, p.out)
}

// limit is how many bytes the pool and the queues may have together.
func (p *chunkPool) limit() int { return max(poolKeep, min(max(p.peak, p.before), poolMost)) }

// returned notes that n bytes have come back, and reports whether the pool keeps them.
func (p *chunkPool) returned(n int) bool {
	p.out -= n
	if p.kept+p.out+n > p.limit() {
		return false
	}
	p.kept += n
	return true
}

// trim lets go of what the queues had no need of since the trim before the last.
func (p *chunkPool) trim() {
	p.before, p.peak = p.peak, p.out
	limit := p.limit()
	for n := len(p.buffers); n > 0 && p.kept > limit; n-- {
		p.kept -= cap(p.buffers[n-1])
		p.buffers[n-1] = nil
		p.buffers = p.buffers[:n-1]
	}
	for class := classes - 1; class >= 0; class-- {
		for p.free[class] != nil && p.kept > limit {
			c := p.free[class]
			p.free[class], c.next = c.next, nil
			p.kept -= cap(c.buf)
		}
	}
}

// buffer returns an empty buffer for a writer.
func (p *chunkPool) buffer() []byte {
	n := len(p.buffers)
	if n == 0 {
		return nil
	}
	b := p.buffers[n-1]
	p.buffers[n-1] = nil
	p.buffers = p.buffers[:n-1]
	p.kept -= cap(b)
	return b
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
		p.lent(size)
		return c
	}
	p.lent(size)
	return &chunk{buf: make([]byte, 0, size), class: class}
}

func (p *chunkPool) put(c *chunk) {
	if c.class == classOwned || !p.returned(cap(c.buf)) {
		return
	}
	c.buf, c.off = c.buf[:0], 0
	if c.class == classBuffer {
		p.buffers = append(p.buffers, c.buf)
		return
	}
	c.next, p.free[c.class] = p.free[c.class], c
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
	q.push(&chunk{buf: b[:len(b):len(b)], class: classOwned})
}

// addBuffer adds the buffer of a writer to the end of the queue, without the first off bytes, which are written.
func (q *outQueue) addBuffer(p *chunkPool, b []byte, off int) {
	q.bytes += len(b) - off
	p.lent(cap(b))
	q.push(&chunk{buf: b, off: off, class: classBuffer})
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
