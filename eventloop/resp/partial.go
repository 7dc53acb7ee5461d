package resp

import (
	"bytes"
	"strings"
	"unsafe"
)

// partial is a request that is not whole yet. Its finished arguments lie one
// behind the other in buf: argument i is buf[ends[i-1]:ends[i]]. A large bulk
// that was cut has an empty range there and is listed in owned, in order of
// index. Behind the last finished argument, buf holds the bytes of the line or
// of the small bulk that is being read; a large bulk being read is in own.
type partial struct {
	buf        []byte
	ends       []int
	owned      []ownedArg
	own        []byte
	ownedBytes int // sum over owned
	left       int // arguments of the request that are not finished
	size       int // announced length of the bulk being read
	got        int // bytes of it, and of the two behind it, that came
	state      partialState
	hidden     bool // the line being read has a zero byte, which hides its end
}

type ownedArg struct {
	index int
	data  []byte
}

type partialState uint8

const (
	inCount  partialState = iota // in the line "*n"
	inInline                     // in an inline request
	inLength                     // in the line "$n"
	inBulk                       // in a bulk or the two bytes behind it
)

// start returns where the unfinished bytes of buf begin.
func (t *partial) start() int {
	if n := len(t.ends); n > 0 {
		return t.ends[n-1]
	}
	return 0
}

// finish makes the bytes behind the last argument an argument.
func (t *partial) finish() {
	t.ends = append(t.ends, len(t.buf))
	t.left--
}

// takeLine moves bytes from in to the line being read, which ends with end and
// the extra bytes behind it. It returns the whole line, still in buf, once it is
// there, and how much of in it has used; tooLong if the line's end cannot come any more.
func (t *partial) takeLine(in []byte, end byte, extra int) (line []byte, used int, tooLong bool) {
	start := t.start()
	have := len(t.buf) - start
	if have > 0 && !t.hidden && t.buf[len(t.buf)-1] == end { // only the extra byte is missing
		if len(in) == 0 {
			return nil, 0, false
		}
		t.buf = append(t.buf, in[0])
		return t.buf[start:], 1, false
	}
	room := maxLine + 1 - have // bytes among which the end must be
	seen := in[:min(len(in), room)]
	if !t.hidden {
		at := bytes.IndexByte(seen, end)
		before := seen
		if at >= 0 {
			before = seen[:at]
		}
		switch {
		case bytes.IndexByte(before, 0) >= 0:
			t.hidden = true
		case at >= 0 && at+1+extra <= len(in):
			t.buf = append(t.buf, in[:at+1+extra]...)
			return t.buf[start:], at + 1 + extra, false
		case at >= 0:
			t.buf = append(t.buf, in...)
			return nil, len(in), false
		}
	}
	if len(in) >= room {
		return nil, 0, true
	}
	t.buf = append(t.buf, in...)
	return nil, len(in), false
}

// takeNumber is takeLine for a line with a number behind its first byte.
// done says that the line is there, valid that it holds a number.
func (t *partial) takeNumber(in []byte) (first byte, n int64, valid, done bool, used int, tooLong bool) {
	line, used, tooLong := t.takeLine(in, '\r', 1)
	if line == nil {
		return 0, 0, false, false, used, tooLong
	}
	first = line[0]
	if len(line) > 2 { // else the line is empty, and first its end
		n, valid = ParseInt(line[1 : len(line)-2])
	}
	t.buf = t.buf[:t.start()]
	t.hidden = false
	return first, n, valid, true, used, false
}

// takeBulk moves bytes from in to the bulk being read.
func (t *partial) takeBulk(in []byte, s *Scratch) (used int) {
	if data := t.size - t.got; data > 0 {
		data = min(data, len(in))
		if t.size >= bigBulk {
			if t.own == nil {
				t.own = s.takeLarge(t.size)
			}
			t.own = appendOwn(t.own, in[:data], t.size)
		} else {
			t.buf = append(t.buf, in[:data]...)
		}
		t.got += data
		used = data
	}
	if t.got >= t.size {
		n := min(t.size+2-t.got, len(in)-used)
		t.got += n
		used += n
	}
	return used
}

// appendOwn appends to the buffer of a large bulk, which grows as bytes come
// but never grows to more than the bulk.
func appendOwn(own, data []byte, size int) []byte {
	if len(own)+len(data) > cap(own) {
		own = growOwn(own, len(data), size)
	}
	return append(own, data...)
}

// growOwn makes room for n more bytes.
func growOwn(own []byte, n, size int) []byte {
	b := unzeroed(grown(len(own), n, size))
	return b[:copy(b, own)]
}

// unzeroed returns n bytes of any content, n > 0. make would fill them with zeros: 64 MB of them hold the loop for 20 ms and more,
// most of it for the faults of pages that are not needed yet. strings.Builder is how the standard library gives such memory.
func unzeroed(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), n)
}

// grown is the capacity that a buffer of n bytes of a bulk is given for more: twice as many as there are, and all from 1 MB on. So
// no more than 1 MB is copied at once, however large the bulk is, and a client sends 1 MB before it gets the memory that it
// announces. (Redis gives it at once.) That memory is not resident before it is written to. Where proto-max-bulk-len allows more
// than its default of 512 MB, what is beyond comes by doubling: a client that announces more than any machine has would end the
// process.
func grown(n, more, size int) int {
	most := 2 * (n + more)
	if n >= 1<<20 {
		most = max(most, 512<<20)
	}
	return min(size, most)
}

// takeWhole takes the arguments that lie whole in the packet and need no second
// look, and returns their bytes.
func (p *Parser) takeWhole(in []byte, lim *Limits) (used int) {
	most := int64(bigBulk - 1)
	if lim.Unauthenticated {
		most = authMaxBulk
	}
	most = min(most, lim.MaxBulk)
	t := p.part
	for b := in; t.left > 0 && len(b) > 0 && b[0] == '$'; {
		size, at := header(b)
		end := at + size
		if at == 0 || int64(size) > most || end+2 > len(b) {
			break
		}
		t.buf = append(t.buf, b[at:end]...)
		t.finish()
		b = b[end+2:]
		used += end + 2
	}
	return used
}

// resume continues the cut request p.part in the rest of the packet. skip says that it was an empty request.
func (p *Parser) resume(s *Scratch, lim *Limits) (args [][]byte, skip bool, err error) {
	for {
		t := p.part
		in := p.in[p.pos:]
		switch t.state {
		case inInline:
			line, used, tooLong := t.takeLine(in, '\n', 0)
			if tooLong {
				return nil, false, p.fail(errInlineTooBig)
			}
			p.pos += used
			if line == nil {
				return nil, false, nil
			}
			n, ok := s.split(trimCR(line[:len(line)-1]))
			if !ok {
				return nil, false, p.fail(errInlineQuotes)
			}
			p.part = nil
			s.recycle(t)
			if n == 0 {
				return nil, true, nil
			}
			p.inline = true
			return s.slots[:n:n], false, nil

		case inCount:
			_, n, valid, done, used, tooLong := t.takeNumber(in)
			switch {
			case tooLong:
				return nil, false, p.fail(errCountTooBig)
			case !done:
				p.pos += used
				return nil, false, nil
			case !valid || n > int64(lim.MaxArgs):
				return nil, false, p.fail(errCountInvalid)
			case n > authMaxArgs && lim.Unauthenticated:
				return nil, false, p.fail(errCountNoAuth)
			}
			p.pos += used
			if n <= 0 {
				p.part = nil
				s.recycle(t)
				return nil, true, nil
			}
			t.left = int(n)
			t.state = inLength

		case inLength:
			if len(t.buf) == t.start() {
				if p.pos += p.takeWhole(in, lim); t.left == 0 {
					return p.whole(s), false, nil
				}
				in = p.in[p.pos:]
			}
			first, n, valid, done, used, tooLong := t.takeNumber(in)
			switch {
			case tooLong:
				return nil, false, p.fail(errLengthTooBig)
			case !done:
				p.pos += used
				return nil, false, nil
			case first != '$':
				return nil, false, p.fail(errNoDollar(first))
			case !valid || n < 0 || n > lim.MaxBulk || n > maxInt-2:
				return nil, false, p.fail(errLengthInvalid)
			case n > authMaxBulk && lim.Unauthenticated:
				return nil, false, p.fail(errLengthNoAuth)
			}
			p.pos += used
			t.size, t.got = int(n), 0
			t.state = inBulk

		case inBulk:
			p.pos += t.takeBulk(in, s)
			if t.got < t.size+2 {
				return nil, false, nil
			}
			if t.own != nil {
				t.owned = append(t.owned, ownedArg{len(t.ends), t.own})
				t.ownedBytes += len(t.own)
				t.own = nil
			}
			t.finish()
			t.state = inLength
			if t.left == 0 {
				return p.whole(s), false, nil
			}
		}
	}
}

const maxInt = int64(^uint(0) >> 1)

// whole returns the arguments of the finished partial, which lives on in s until
// the next request.
func (p *Parser) whole(s *Scratch) [][]byte {
	t := p.part
	p.part = nil
	n := len(t.ends)
	if n > len(s.slots) {
		s.slots = make([][]byte, max(n, 64))
	}
	args := s.slots[:n:n]
	at := 0
	for i, end := range t.ends {
		args[i] = t.buf[at:end:end]
		at = end
	}
	for _, o := range t.owned {
		args[o.index] = o.data[:len(o.data):len(o.data)]
	}
	s.used, s.spent = n, t
	return args
}
