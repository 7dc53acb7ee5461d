package resp

import "encoding/binary"

// Peek looks at the requests that follow in the packet, without consuming them, and fills keys with the first argument
// behind each command's name, which for most commands is a key, and others, which is as long, with the argument at index
// at (2 is the second behind the name), nil where there is none. It returns how many requests it found. It is a hint for a
// caller that prefetches keys into the processor's cache before the requests run: Peek stops at the first request that is
// not complete, has more than 99 arguments or an argument longer than 999 bytes, and validates only as much as keeps it
// inside the packet.
func (p *Parser) Peek(keys, others [][]byte, at int) int {
	if p.part != nil || p.err != nil {
		return 0
	}
	in, pos, found := p.in, p.pos, 0
	for found < len(keys) {
		n, size := shortHeader(in, pos, '*')
		if size == 0 || n < 2 {
			break
		}
		pos += size
		var key, other []byte
		for i := range n {
			l, size := shortHeader(in, pos, '$')
			if size == 0 {
				return found
			}
			pos += size
			end := pos + l
			if end+2 > len(in) {
				return found
			}
			if i == 1 {
				key = in[pos:end]
			} else if i == at {
				other = in[pos:end]
			}
			pos = end + 2
		}
		keys[found], others[found] = key, other
		found++
	}
	return found
}

// shortHeader reads a header of one to three digits at in[at]; size is 0 if there is none.
func shortHeader(in []byte, at int, kind byte) (n, size int) {
	if at > len(in)-6 {
		return 0, 0
	}
	w := binary.LittleEndian.Uint32(in[at:])
	if byte(w) != kind {
		return 0, 0
	}
	d := w>>8&0xff - '0'
	if d > 9 {
		return 0, 0
	}
	n = int(d)
	if n == 0 && in[at+2] != '\r' {
		return 0, 0
	}
	for size = 2; size < 5; size++ {
		b := in[at+size]
		if b == '\r' {
			return n, size + 2
		}
		if b -= '0'; b > 9 || size == 4 {
			return 0, 0
		}
		n = n*10 + int(b)
	}
	return 0, 0
}
