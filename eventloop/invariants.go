//go:build invariants

package eventloop

import "fmt"

// Recount visits all connections and returns the contradictions to the loop's counters.
func (l *Loop) Recount() (found []string) {
	conns, out := 0, 0
	l.Each(func(c *Conn) bool {
		conns++
		out += c.lent()
		if err := c.recount(); err != nil {
			found = append(found, err.Error())
		}
		return true
	})
	if conns != l.conns {
		found = append(found, fmt.Sprintf("eventloop: %d connections, counted %d", l.conns, conns))
	}
	kept := 0
	for _, c := range l.pool.free {
		for ; c != nil; c = c.next {
			kept += cap(c.buf)
		}
	}
	for _, b := range l.pool.buffers {
		kept += cap(b)
	}
	if kept != l.pool.kept {
		found = append(found, fmt.Sprintf("eventloop: %d bytes of chunks are kept, counted %d", l.pool.kept, kept))
	}
	if out != l.pool.out {
		found = append(found, fmt.Sprintf("eventloop: %d bytes of the pool's are in queues, counted %d", out, l.pool.out))
	}
	return found
}

// lent returns the bytes in the output queue that go back to the pool.
func (c *Conn) lent() (n int) {
	if c.q == nil {
		return 0
	}
	for k := c.q.head; k != nil; k = k.next {
		if k.class != classOwned {
			n += cap(k.buf)
		}
	}
	return n
}

// recount returns an error if the counters of the output queue are wrong.
func (c *Conn) recount() error {
	if (c.q != nil) != (c.flags&fQueued != 0) {
		return fmt.Errorf("eventloop: fd %d: queue %v, flags %x", c.fd, c.q != nil, c.flags)
	}
	if c.q == nil {
		return nil
	}
	bytes, mem, n := 0, 0, 0
	for k := c.q.head; k != nil; k = k.next {
		bytes += len(k.buf) - k.off
		mem += cap(k.buf) + chunkOverhead
		n++
	}
	if bytes != c.q.bytes || mem != c.q.mem || n != c.q.n {
		return fmt.Errorf("eventloop: fd %d: queue of %d bytes, %d of memory, %d chunks; counted %d, %d, %d",
			c.fd, c.q.bytes, c.q.mem, c.q.n, bytes, mem, n)
	}
	return nil
}
