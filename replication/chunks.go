package replication

// Chunks is a byte sequence that grows at its end and is read by many cursors: the stream (Backlog) or a payload.
//
// The bytes stand in a list of chunks, each of which knows its first position and how many cursors stand in it. A byte is
// copied once, when it is appended, whatever the number of readers. A chunk is freed, from the front, when no cursor
// stands in it or before it and its owner does not want it any more. A chunk that was filled by copying gives its
// buffer to the next one, so that a steady stream allocates nothing.
//
//	start           a cursor             end
//	|               |                    |
//	[ chunk, refs 0 ][ chunk, refs 1     ][ tail, refs 0 ....... ]
//
// Invariants: chunks are not empty, but for the tail; chunk i ends where chunk i+1 begins; a cursor's position lies within
// its chunk or at its end.

import (
	"slices"
	"sort"
)

// Chunks is made by newChunks.
type Chunks struct {
	list  []*chunk // in order; the first is the oldest
	end   int64    // position behind the last byte
	size  int      // capacity of chunks that are filled by copying
	mem   int64    // capacity of all chunks
	spare []byte   // a buffer to use again
	keep  bool     // buffers of the caller's go to spent when their chunks are freed
	spent [][]byte
}

type chunk struct {
	start int64
	buf   []byte
	refs  int
	next  *chunk
	owned bool // the buffer is the caller's of own: nothing may be appended to it
}

func (c *chunk) end() int64 { return c.start + int64(len(c.buf)) }

// chunkOverhead is what a chunk costs beside its buffer.
const chunkOverhead = 64

// init makes an empty sequence that begins at position.
func (s *Chunks) init(position int64, size int) {
	*s = Chunks{end: position, size: size, spare: s.spare}
	if cap(s.spare) != size {
		s.spare = nil
	}
}

// start returns the position of the first byte that is kept.
func (s *Chunks) start() int64 {
	if len(s.list) == 0 {
		return s.end
	}
	return s.list[0].start
}

// room returns the tail with room for at least one byte, and for n if n fits into a chunk.
func (s *Chunks) room(n int) *chunk {
	if k := len(s.list); k > 0 {
		tail := s.list[k-1]
		if free := cap(tail.buf) - len(tail.buf); !tail.owned && free > 0 && (free >= n || n > s.size) {
			return tail
		}
	}
	buf := s.spare
	s.spare = nil
	if buf == nil {
		buf = make([]byte, 0, s.size)
	}
	return s.push(&chunk{start: s.end, buf: buf[:0]})
}

func (s *Chunks) push(c *chunk) *chunk {
	if k := len(s.list); k > 0 {
		tail := s.list[k-1]
		if len(tail.buf) == 0 && tail.refs == 0 {
			s.list[k-1] = nil
			s.list = s.list[:k-1]
			s.release(tail)
			if k > 1 {
				s.list[k-2].next = c
			}
		} else {
			tail.next = c
		}
	}
	s.list = append(s.list, c)
	s.mem += int64(cap(c.buf)) + chunkOverhead
	return c
}

// release subtracts a chunk that left the list from mem, and keeps its buffer: for the next chunk, or for the caller.
func (s *Chunks) release(c *chunk) {
	s.mem -= int64(cap(c.buf)) + chunkOverhead
	switch {
	case c.owned && s.keep:
		s.spent = append(s.spent, c.buf[:0])
	case !c.owned && cap(c.buf) == s.size:
		s.spare = c.buf[:0]
	}
}

// write appends a copy of p.
func (s *Chunks) write(p []byte) {
	for len(p) > 0 {
		tail := s.room(len(p))
		n := min(len(p), cap(tail.buf)-len(tail.buf))
		tail.buf = append(tail.buf, p[:n]...)
		s.end += int64(n)
		p = p[n:]
	}
}

// writeString is write for a string.
func (s *Chunks) writeString(p string) {
	for len(p) > 0 {
		tail := s.room(len(p))
		n := min(len(p), cap(tail.buf)-len(tail.buf))
		tail.buf = append(tail.buf, p[:n]...)
		s.end += int64(n)
		p = p[n:]
	}
}

// own appends p itself as a chunk. It must not be changed any more.
func (s *Chunks) own(p []byte) {
	if len(p) == 0 {
		return
	}
	s.push(&chunk{start: s.end, buf: p, owned: true})
	s.end += int64(len(p))
}

// trim frees at most n chunks from the front that end at or before position keep and have no cursor.
func (s *Chunks) trim(keep int64, n int) {
	for ; n > 0 && len(s.list) > 1; n-- {
		c := s.list[0]
		if c.refs > 0 || c.end() > keep {
			return
		}
		s.list[0] = nil
		s.list = s.list[1:]
		s.release(c)
	}
}

// cut removes what lies at and behind position; no cursor stands behind it.
func (s *Chunks) cut(position int64) {
	for k := len(s.list); k > 0; k-- {
		tail := s.list[k-1]
		if tail.start < position || tail.refs > 0 || k == 1 {
			if n := position - tail.start; n < int64(len(tail.buf)) {
				tail.buf = tail.buf[:n]
			}
			tail.next = nil
			break
		}
		s.list[k-1] = nil
		s.list = s.list[:k-1]
		s.release(tail)
	}
	s.end = min(s.end, position)
}

// at makes a cursor at a position that is kept, or at the end.
func (s *Chunks) at(position int64) Cursor {
	if len(s.list) == 0 {
		// The cursor must hold a chunk, so that trim keeps the bytes that are appended from now on.
		s.push(&chunk{start: s.end})
	}
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].start > position }) - 1
	if i < 0 {
		panic("replication: cursor before the first byte")
	}
	s.list[i].refs++
	return Cursor{s: s, chunk: s.list[i], pos: position}
}

// Cursor is a reader of Chunks. The zero value reads nothing.
type Cursor struct {
	s     *Chunks
	chunk *chunk
	pos   int64
}

// open reports whether the cursor reads anything.
func (c *Cursor) open() bool { return c.s != nil }

// close releases the cursor's chunk, which trim may then free.
func (c *Cursor) close() {
	if c.chunk != nil {
		c.chunk.refs--
	}
	*c = Cursor{}
}

// settle moves the cursor from a chunk that was read to its end to the next chunk, if there is one.
func (c *Cursor) settle() {
	for c.pos == c.chunk.end() && c.chunk.next != nil {
		c.chunk.refs--
		c.chunk = c.chunk.next
		c.chunk.refs++
	}
}

// slices appends the next bytes, at most most and none at or behind limit, to bufs.
func (c *Cursor) slices(bufs [][]byte, limit int64, most int) ([][]byte, int) {
	if !c.open() {
		return bufs, 0
	}
	c.settle()
	bufs = slices.Grow(bufs, 1)
	n := int(min(limit-c.pos, int64(most)))
	taken := 0
	pos := c.pos
	for k := c.chunk; k != nil && taken < n; k = k.next {
		b := k.buf[pos-k.start:]
		if len(b) > n-taken {
			b = b[:n-taken]
		}
		if len(b) > 0 {
			bufs = append(bufs, b)
		}
		taken += len(b)
		pos += int64(len(b))
	}
	return bufs, taken
}

// advance moves on by n bytes.
func (c *Cursor) advance(n int) {
	c.settle()
	for n > 0 {
		k := int(min(int64(n), c.chunk.end()-c.pos))
		if k == 0 && c.chunk.next == nil {
			panic("replication: cursor moved behind the end")
		}
		c.pos += int64(k)
		n -= k
		c.settle()
	}
}
