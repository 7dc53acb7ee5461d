// Package resp speaks the Redis serialisation protocol, versions 2 and 3: Parser
// and Scratch read the requests of a connection, Writer appends replies, Reader
// decodes replies for tests and tools. The text forms of numbers that the
// protocol and the commands share are here too (ParseInt, ParseFloat,
// AppendInt, FormatDouble).
//
// # How requests are parsed
//
// A packet is what one read of the socket gave. The caller hands it over with
// Begin, calls Next until it returns nothing, and takes the packet back with End.
//
// Three places hold bytes:
//
//   - The packet. A request that lies whole in it is returned as slices into it:
//     nothing is copied, nothing is allocated, nothing is written but the
//     argument slots in Scratch and the position. This is the fast path (Next).
//   - The partial: the request that the end of the packet has cut. Its finished
//     arguments are copied together into one buffer and known by their end
//     offsets; the bytes of the cut line or bulk follow them. The next packet
//     goes on exactly there (resume), so a request costs time linear in its
//     size however it is cut, and what follows it in the packet is again parsed
//     in place. A bulk of at least bigBulk bytes that is cut gets a buffer of
//     its own: a new one, or that of an earlier bulk of about the same length.
//   - The backlog: whole packets that nobody asked Next for, because the client
//     is blocked or paused. Later packets are appended behind it and it is
//     parsed in place like a packet.
//
// The caller may also read the bytes of a large bulk from the socket straight into
// its buffer: Room returns the place for them, and Fill takes their number.
//
// A connection without any of these holds no memory but the Parser value. No
// memory is ever allocated by a length that was only announced: buffers grow in
// proportion to the bytes that came in, and a new buffer of a large bulk is never
// larger than the bulk.
//
// The grammar, the limits and the moment at which an error is noticed are those
// of Redis 7.2 (networking.c). Three of its habits matter: the byte after the
// '\r' of a length line and the two bytes after a bulk are skipped unchecked; an
// error in a line is noticed only when the whole line is there; and lines are
// searched with C string functions, so that a zero byte hides the line's end.
// One is not copied: how long an overlong line may become depends, there, on how
// the kernel cut it. Here a line's end must be among its first 65,537 bytes.
package resp

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// Limits bound what a connection may send. They are given on every call and may
// change between calls.
type Limits struct {
	MaxBulk         int64 // proto-max-bulk-len, bytes; math.MaxInt64 for the link to a master
	MaxArgs         int   // most arguments of one request; Redis allows math.MaxInt32
	Unauthenticated bool  // at most 10 arguments, each of at most 16,384 bytes, and 1 MiB of queries that wait
	MaxBuffered     int64 // client-query-buffer-limit, bytes; applied by Parser.Exceeds. 0: none
}

// DefaultLimits returns the limits of an authenticated client of a server with
// the default configuration.
func DefaultLimits() Limits {
	return Limits{MaxBulk: 512 << 20, MaxArgs: math.MaxInt32, MaxBuffered: 1 << 30}
}

const (
	maxLine     = 64 << 10 // index of the last byte at which a line may end
	bigBulk     = 32 << 10 // from this announced length on, a cut bulk gets a buffer of its own
	minRoom     = 16 << 10 // least part of such a buffer that is worth a read of its own
	authMaxArgs = 10       // most arguments before authentication
	authMaxBulk = 16384    // longest bulk before authentication
	authMaxWait = 1 << 20  // most bytes of queries that wait before authentication
)

// A ProtocolError ends a connection: the caller sends "-ERR " + Error() and
// closes once that is written.
type ProtocolError struct {
	text   string
	reason string
}

// Error returns the text of the error reply without its code, beginning with
// "Protocol error: ". It has no '\r' or '\n' in it.
func (e *ProtocolError) Error() string { return e.text }

// Reason returns the short form that the server's log shows.
func (e *ProtocolError) Reason() string { return e.reason }

// The texts of Redis 7.2, networking.c. The values are never changed.
var (
	errInlineTooBig  = &ProtocolError{"Protocol error: too big inline request", "too big inline request"}
	errInlineQuotes  = &ProtocolError{"Protocol error: unbalanced quotes in request", "unbalanced quotes in inline request"}
	errCountTooBig   = &ProtocolError{"Protocol error: too big mbulk count string", "too big mbulk count string"}
	errCountInvalid  = &ProtocolError{"Protocol error: invalid multibulk length", "invalid mbulk count"}
	errCountNoAuth   = &ProtocolError{"Protocol error: unauthenticated multibulk length", "unauth mbulk count"}
	errLengthTooBig  = &ProtocolError{"Protocol error: too big bulk count string", "too big bulk count string"}
	errLengthInvalid = &ProtocolError{"Protocol error: invalid bulk length", "invalid bulk length"}
	errLengthNoAuth  = &ProtocolError{"Protocol error: unauthenticated bulk length", "unauth bulk length"}
)

// errNoDollar is the error of an argument that begins with c. A line break is
// shown as a blank.
func errNoDollar(c byte) *ProtocolError {
	if c == '\r' || c == '\n' {
		c = ' '
	}
	return &ProtocolError{"Protocol error: expected '$', got '" + string([]byte{c}) + "'",
		"expected $ but got something else"}
}

// Parser is the request side of one connection. The zero value is ready. It
// belongs to one goroutine.
type Parser struct {
	in     []byte   // the packet, or the backlog
	pos    int      // first byte of in that was not consumed
	base   int64    // bytes consumed before in[0]
	part   *partial // the request that was cut, nil if none
	err    *ProtocolError
	own    bool // in is the backlog
	inline bool // the request returned last was an inline one
}

// Begin hands over a packet. The parser only reads it; the caller must leave it
// alone until End. in may be empty (to go on with what is held).
func (p *Parser) Begin(in []byte) {
	if p.err != nil {
		return
	}
	if !p.own {
		p.in, p.pos = in, 0
		return
	}
	if p.pos >= len(p.in)/2 { // as many bytes move as were consumed: linear
		n := copy(p.in, p.in[p.pos:])
		p.base += int64(p.pos)
		p.in, p.pos = p.in[:n], 0
	}
	p.in = append(p.in, in...)
}

// End gives the packet back: what Next has not consumed is copied. The arguments
// that Next returned are dead from here on.
func (p *Parser) End() {
	rest := p.in[p.pos:]
	switch {
	case len(rest) == 0:
		p.base += int64(p.pos)
		p.in, p.pos, p.own = nil, 0, false
	case !p.own || cap(p.in) > 4*len(rest)+4096: // the second: shrink
		p.base += int64(p.pos)
		p.in, p.pos, p.own = append([]byte(nil), rest...), 0, true
	}
}

// Reset forgets everything, for a connection that starts anew.
func (p *Parser) Reset() { *p = Parser{} }

// Buffered returns the bytes of requests that wait: between packets those that
// are held, from Begin to End the packet's too, used or not (what Redis calls qbuf).
func (p *Parser) Buffered() int {
	n := len(p.in)
	if p.own {
		n -= p.pos
	}
	if p.part != nil {
		n += len(p.part.buf) + p.part.ownedBytes + len(p.part.own)
	}
	return n
}

// ArgBytes returns the part of Buffered that are finished arguments of an
// unfinished request (argv-mem of CLIENT LIST).
func (p *Parser) ArgBytes() int {
	if p.part == nil {
		return 0
	}
	return p.part.start() + p.part.ownedBytes
}

// Capacity returns the bytes allocated for what Buffered counts; the difference
// is what CLIENT LIST shows as qbuf-free.
func (p *Parser) Capacity() int {
	n := cap(p.in)
	if p.part != nil {
		n += cap(p.part.buf) + p.part.ownedBytes + cap(p.part.own) + 8*cap(p.part.ends)
	}
	return n
}

// Announced returns the length of the bulk that is being read into a buffer of
// its own, with the two bytes behind it; 0 if there is none. It is what was
// announced: most of it may not have come, nor have been allocated.
func (p *Parser) Announced() int {
	if p.part == nil || p.part.state != inBulk || p.part.size < bigBulk {
		return 0
	}
	return p.part.size + 2
}

// Coming returns how many bytes of Announced nothing is allocated for yet.
func (p *Parser) Coming() int {
	if n := p.Announced(); n > 0 {
		return max(n-cap(p.part.own), 0)
	}
	return 0
}

// Room returns the free part of the buffer of the large bulk that is being read,
// never more than the bytes that are missing, and whether it is all of them. It is
// nil if no such bulk is being read, if the bulk is complete, or if the free part is
// smaller than a packet. The caller reads into it and passes the number of bytes to
// Fill. It is valid until the next call of any other method.
func (p *Parser) Room(s *Scratch) (room []byte, whole bool) {
	t := p.part
	if t == nil || t.state != inBulk || t.size < bigBulk || t.got >= t.size || p.pos < len(p.in) {
		return nil, false
	}
	if t.own == nil {
		t.own = s.takeLarge(t.size)
	}
	end := cap(t.own)
	if len(t.own) == end {
		end = grown(end, 1, t.size)
	}
	end = min(end, t.size)
	if whole = end == t.size; !whole && end-len(t.own) < minRoom {
		return nil, false
	}
	if end > cap(t.own) {
		t.own = growOwn(t.own, 1, t.size)
	}
	return t.own[len(t.own):end], whole
}

// Fill says that the first n bytes of what Room returned were read.
func (p *Parser) Fill(n int) {
	t := p.part
	t.own = t.own[:len(t.own)+n]
	t.got += n
	p.base += int64(n)
}

// Exceeds reports whether more is buffered than lim.MaxBuffered allows. Redis
// asks after each read, before it parses, and closes the connection without a word.
func (p *Parser) Exceeds(lim *Limits) bool {
	n := int64(p.Buffered())
	return lim.MaxBuffered > 0 && n > lim.MaxBuffered || lim.Unauthenticated && n > authMaxWait
}

// Consumed returns the bytes consumed since the start or Reset. Right after Next
// returned a request, it is the offset of the request's end.
func (p *Parser) Consumed() int64 { return p.base + int64(p.pos) }

// Inline reports whether the request that Next returned last was inline.
func (p *Parser) Inline() bool { return p.inline }

// Scratch holds the argument slots that the parsers of one goroutine share. The
// zero value is ready. Code that parses while the arguments of an earlier request are
// in use (a nested poll during a script) needs a Scratch of its own.
type Scratch struct {
	slots [][]byte
	used  int      // slots to be cleared, since they point to memory that is not the packet's
	spent *partial // the partial behind the arguments returned last
	text  []byte   // the arguments of an inline request
	free  []*partial

	large      [][]byte // buffers for large bulks
	largeBytes int
}

const (
	keepSlots = 16384   // a request with more arguments does not leave its slots behind
	keepFree  = 64      // partials kept for the next cut request
	keepBuf   = 4 << 10 // more would be pinned by clients that leave a request unfinished
	keepEnds  = 1024

	keepLarges  = 32       // buffers of large bulks that are kept,
	keepLargest = 16 << 20 // and their bytes
)

// takeLarge returns an empty buffer that is kept for bulks of about size bytes, nil
// if there is none.
func (s *Scratch) takeLarge(size int) []byte {
	for i, b := range s.large {
		if cap(b) >= size && cap(b)/2 <= size {
			s.large = slices.Delete(s.large, i, i+1)
			s.largeBytes -= cap(b)
			return b[:0]
		}
	}
	return nil
}

// keepLarge keeps the buffer of a large bulk for another one, if it is not too
// large, in place of those that have been kept longest.
func (s *Scratch) keepLarge(b []byte) {
	if cap(b) > keepLargest {
		return
	}
	s.largeBytes += cap(b)
	s.large = append(s.large, b)
	for len(s.large) > keepLarges || s.largeBytes > keepLargest {
		s.largeBytes -= cap(s.large[0])
		s.large = slices.Delete(s.large, 0, 1)
	}
}

// Take reports whether arg is an argument of the request returned last that lies in a
// buffer of its own, without much room behind it. If so the buffer is the caller's
// from then on.
func (s *Scratch) Take(arg []byte) bool {
	if len(arg) < bigBulk || s.spent == nil {
		return false
	}
	for i, o := range s.spent.owned {
		if len(o.data) > 0 && &o.data[0] == &arg[0] {
			if spare := cap(o.data) - len(o.data); spare > len(o.data)/16 {
				return false
			}
			s.spent.owned = slices.Delete(s.spent.owned, i, i+1)
			return true
		}
	}
	return false
}

// Keep gives a buffer that nobody uses any more for bulks to come.
func (s *Scratch) Keep(b []byte) {
	if cap(b) >= bigBulk {
		s.keepLarge(b)
	}
}

// Trim gives back memory that is kept for requests to come.
func (s *Scratch) Trim() { s.large, s.largeBytes = nil, 0 }

// release drops what the last request kept alive.
func (s *Scratch) release() {
	clear(s.slots[:s.used])
	s.used = 0
	if len(s.slots) > keepSlots {
		s.slots = nil
	}
	if t := s.spent; t != nil {
		s.spent = nil
		s.recycle(t)
	}
}

func (s *Scratch) recycle(t *partial) {
	for _, o := range t.owned {
		s.keepLarge(o.data)
	}
	if cap(t.buf) <= keepBuf && cap(t.ends) <= keepEnds && len(s.free) < keepFree {
		clear(t.owned)
		*t = partial{buf: t.buf[:0], ends: t.ends[:0], owned: t.owned[:0]}
		s.free = append(s.free, t)
	}
}

func (s *Scratch) partial() *partial {
	if n := len(s.free); n > 0 {
		t := s.free[n-1]
		s.free = s.free[:n-1]
		return t
	}
	return new(partial)
}

// grow makes room for more slots than there are, keeping the first n.
func (s *Scratch) grow(n int) [][]byte {
	slots := make([][]byte, max(64, 2*len(s.slots)))
	copy(slots, s.slots[:n])
	s.slots = slots
	return slots
}

// Headers of one and two digits, seen as the little-endian first four bytes.
const (
	mask1 = 0x00ff00ff
	mask2 = 0xff0000ff
	bulk1 = '$' | '\r'<<16
	bulk2 = '$' | '\r'<<24
	many1 = '*' | '\r'<<16
	many2 = '*' | '\r'<<24
)

// Next returns the next whole request, nil if more bytes are needed, or an error,
// always the same one from then on. Requests without arguments (empty lines,
// "*0", "*-1") are skipped. The slices are valid until the next call of Next with
// the same Scratch, or of Begin or End; their capacity is their length.
func (p *Parser) Next(s *Scratch, lim *Limits) ([][]byte, error) {
	if s.used != 0 {
		s.release()
	}
	p.inline = false
	n, at := 0, 0
	in := p.in
	for n == 0 {
		if p.part != nil {
			if args, skip, err := p.resume(s, lim); !skip {
				return args, err
			}
		}
		at = p.pos
		if at > len(in)-4 {
			if at >= len(in) {
				if p.err != nil {
					return nil, p.err
				}
				return nil, nil
			}
			p.odd(s)
			continue
		}
		switch w := binary.LittleEndian.Uint32(in[at:]); {
		case w&mask1 == many1 && digit(w>>8)-1 < 9:
			n = int(digit(w >> 8))
			at += 4
		case w&mask2 == many2 && digit(w>>8)-1 < 9 && digit(w>>16) < 10 && at < len(in)-4:
			n = int(digit(w>>8)*10 + digit(w>>16))
			at += 5
		case in[at] == '*':
			var size int
			if n, size = header(in[at:]); size == 0 {
				p.odd(s)
				continue
			}
			at += size
			p.pos = at // of the next request if n is 0
		default:
			args, ok := p.line(s)
			if !ok {
				p.odd(s)
			} else if args != nil {
				return args, nil
			}
		}
	}
	if n > lim.MaxArgs {
		return nil, p.fail(errCountInvalid)
	}
	if n > authMaxArgs && lim.Unauthenticated {
		return nil, p.fail(errCountNoAuth)
	}

	slots := s.slots
	i := 0
	for at <= len(in)-4 {
		var size int
		data := at
		if w := binary.LittleEndian.Uint32(in[at:]); w&mask1 == bulk1 && digit(w>>8) < 10 {
			size = int(digit(w >> 8))
			data += 4
		} else if w&mask2 == bulk2 && digit(w>>8)-1 < 9 && digit(w>>16) < 10 {
			size = int(digit(w>>8)*10 + digit(w>>16))
			data += 5
		} else {
			if in[at] != '$' {
				break
			}
			var head int
			if size, head = header(in[at:]); head == 0 || size > authMaxBulk && lim.Unauthenticated {
				break
			}
			data += head
		}
		end := data + size
		if end+2 > len(in) || int64(size) > lim.MaxBulk {
			break
		}
		if i >= len(slots) {
			slots = s.grow(i)
		}
		slots[i] = in[data:end:end]
		at = end + 2
		if i++; i == n {
			p.pos = at
			if p.own || n > keepSlots {
				s.used = n
			}
			return slots[:n:n], nil
		}
	}
	p.pos = at
	return p.cut(s, lim, i, n)
}

// digit returns the value of the digit in the lowest byte of w, above 9 if it is none.
func digit(w uint32) uint32 { return w&0xff - '0' }

// header reads a length line of plain digits: the number, and the bytes of the
// line with its end. size is 0 for every line that is cut, wrong or unusual, so
// for more than nine digits.
func header(b []byte) (n, size int) {
	for i := 1; i < len(b)-1 && i <= 10; i++ {
		d := b[i] - '0'
		if d > 9 || i == 10 {
			if b[i] != '\r' || i == 1 || b[1] == '0' && i > 2 {
				return 0, 0
			}
			return n, i + 2
		}
		n = n*10 + int(d)
	}
	return 0, 0
}

// odd makes the request at p.pos, of which nothing was parsed, go through resume.
func (p *Parser) odd(s *Scratch) {
	p.part = s.partial()
	if p.in[p.pos] != '*' {
		p.part.state = inInline
	}
}

// cut moves a request of n arguments whose first i are in the slots to the slow
// path; the next begins at p.pos.
func (p *Parser) cut(s *Scratch, lim *Limits, i, n int) ([][]byte, error) {
	t := s.partial()
	t.state = inLength
	t.left = n
	for _, a := range s.slots[:i] {
		t.buf = append(t.buf, a...)
		t.finish()
	}
	p.part = t
	args, _, err := p.resume(s, lim)
	return args, err
}

// line parses the inline request at p.pos if it is whole. args is nil if it is
// empty; ok is false if it is not whole or not right.
func (p *Parser) line(s *Scratch) (args [][]byte, ok bool) {
	b := p.in[p.pos:]
	end := bytes.IndexByte(b[:min(len(b), maxLine+1)], '\n')
	if end < 0 || bytes.IndexByte(b[:end], 0) >= 0 {
		return nil, false
	}
	n, ok := s.split(trimCR(b[:end]))
	if !ok {
		return nil, false
	}
	p.pos += end + 1
	if n == 0 {
		return nil, true
	}
	p.inline = true
	return s.slots[:n:n], true
}

// fail records the error and drops what is held.
func (p *Parser) fail(e *ProtocolError) error {
	p.err = e
	p.in, p.pos, p.own, p.part = nil, 0, false, nil
	return e
}
