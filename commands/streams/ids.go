package streams

import (
	"bytes"
	"math"
	"strconv"

	"ferrous/commands/session"
	"ferrous/datatypes/stream"
	"ferrous/eventloop/resp"
)

// IDs of entries as clients write them: ms-seq, or ms alone. They are read as C strings, as Redis reads them: a zero byte
// ends them.

const (
	errID        = "ERR Invalid stream ID specified as stream command argument"
	errStart     = "ERR invalid start ID for the interval"
	errEnd       = "ERR invalid end ID for the interval"
	maxIDLength  = 127 // longer ones are invalid
	idTextLength = 2*len("18446744073709551615") + 1
)

// idText has room for every ID.
type idText [idTextLength]byte

// appendID appends the form of replies.
func appendID(dst []byte, id stream.ID) []byte {
	dst = strconv.AppendUint(dst, id.Ms, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.Seq, 10)
}

// idWord returns an ID as an argument of a rewritten command.
func idWord(id stream.ID) []byte { return appendID(make([]byte, 0, idTextLength), id) }

// writeID replies with an ID.
func writeID(c *session.Client, id stream.ID) {
	var text idText
	c.W.Bulk(appendID(text[:0], id))
}

// isWord reports whether an argument is the one character.
func isWord(b []byte, ch byte) bool { return len(b) > 0 && b[0] == ch && (len(b) == 1 || b[1] == 0) }

// parseID reads an ID. missing is the sequence number of an ID without one. - and + stand for the lowest and the greatest
// ID; if strict, they are errors.
func parseID(b []byte, missing uint64, strict bool) (id stream.ID, ok bool) {
	if len(b) > maxIDLength {
		return id, false
	}
	switch {
	case isWord(b, '-'):
		return id, !strict
	case isWord(b, '+'):
		return stream.MaxID, !strict
	}
	ms, seq, found := split(b)
	if id.Ms, ok = parseUint(ms); !ok {
		return id, false
	}
	if !found {
		id.Seq = missing
		return id, true
	}
	id.Seq, ok = parseUint(seq)
	return id, ok
}

// split cuts an ID at its first hyphen.
func split(b []byte) (ms, seq []byte, found bool) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return bytes.Cut(b, hyphen)
}

var hyphen = []byte{'-'}

// parseUint reads a number of 64 bits. What is no canonical integer is read as C's strtoull does, which Redis uses then:
// white space and a sign may precede the digits, and a negative number counts from 2^64 downwards.
func parseUint(b []byte) (uint64, bool) {
	if n, ok := resp.ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	for len(b) > 0 && (b[0] == ' ' || '\t' <= b[0] && b[0] <= '\r') {
		b = b[1:]
	}
	negative := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	n := uint64(0)
	for _, x := range b {
		d := uint64(x - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		n = -n
	}
	return n, true
}

// idArg parses argument i as an ID that is neither - nor +; on failure it has replied.
func idArg(c *session.Client, i int) (stream.ID, bool) {
	id, ok := parseID(c.Args[i], 0, true)
	if !ok {
		c.Error(errID)
	}
	return id, ok
}

// checkIDs parses the arguments from i on, before anything is done for one of them; on failure it has replied.
func checkIDs(c *session.Client, ids [][]byte) bool {
	for _, b := range ids {
		if _, ok := parseID(b, 0, true); !ok {
			c.Error(errID)
			return false
		}
	}
	return true
}

// knownID parses an argument that has passed checkIDs.
func knownID(b []byte) stream.ID {
	id, _ := parseID(b, 0, true)
	return id
}

// startArg parses argument i as the start of an interval, which an opening parenthesis excludes; on failure it has replied.
func startArg(c *session.Client, i int) (stream.ID, bool) {
	id, exclusive, ok := boundArg(c, i, 0)
	if ok && exclusive {
		if id, ok = id.Next(); !ok {
			c.Error(errStart)
		}
	}
	return id, ok
}

// endArg is startArg for the end.
func endArg(c *session.Client, i int) (stream.ID, bool) {
	id, exclusive, ok := boundArg(c, i, math.MaxUint64)
	if ok && exclusive {
		if id, ok = id.Prev(); !ok {
			c.Error(errEnd)
		}
	}
	return id, ok
}

func boundArg(c *session.Client, i int, missing uint64) (id stream.ID, exclusive, ok bool) {
	b := c.Args[i]
	if exclusive = len(b) > 1 && b[0] == '('; exclusive {
		b = b[1:]
	}
	if id, ok = parseID(b, missing, exclusive); !ok {
		c.Error(errID)
	}
	return id, exclusive, ok
}
