package session

import (
	"math"
	"strings"

	"ferrous/commands/longdouble"
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// IntText has room for the decimal form of every integer; record.String formats integers into one.
type IntText [20]byte

// Int64Arg parses argument i; on failure it replies with Redis's error and returns false.
func (c *Client) Int64Arg(i int) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok {
		c.Error(ErrNotInteger)
	}
	return n, ok
}

// IntArg parses argument i as a C int; on failure it replies with msg, or if that is "" with Redis's usual errors, and
// returns false.
func (c *Client) IntArg(i int, msg string) (int, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if ok && n >= math.MinInt32 && n <= math.MaxInt32 {
		return int(n), true
	}
	switch {
	case msg != "":
		c.Error(msg)
	case !ok:
		c.Error(ErrNotInteger)
	default:
		c.Error(errNotInt32)
	}
	return 0, false
}

// CountArg parses argument i as a count of elements that may be negative. On failure it has replied.
func (c *Client) CountArg(i int) (int64, bool) {
	n, ok := c.Int64Arg(i)
	if ok && n == -1<<63 {
		c.Error(errCountRange)
		return 0, false
	}
	return n, ok
}

// NotNegative parses argument i as a number that is not negative; on failure it replies with Redis's error.
func (c *Client) NotNegative(i int) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok || n < 0 {
		c.Error(errNegative)
		return 0, false
	}
	return n, true
}

// AtLeast parses argument i as a number that is not below least; if it is, it replies with msg.
func (c *Client) AtLeast(i int, least int64, msg string) (int64, bool) {
	n, ok := resp.ParseInt(c.Args[i])
	if !ok || n < least {
		c.Error(msg)
		return 0, false
	}
	return n, true
}

// DBArg parses argument i as the number of a database.
func (c *Client) DBArg(i int) (*keyspace.DB, bool) {
	n, ok := c.IntArg(i, "")
	if !ok {
		return nil, false
	}
	dbs := c.Core.Keyspace.DBs()
	if n < 0 || n >= len(dbs) {
		c.Error(ErrDBIndex)
		return nil, false
	}
	return dbs[n], true
}

// TimeoutArg parses argument i, a timeout in seconds, and returns the deadline in Unix ms, 0 for none. On failure it has
// replied.
func (c *Client) TimeoutArg(i int) (deadline int64, ok bool) {
	ms, inRange := int64(0), true
	if n, ok := resp.ParseInt(c.Args[i]); ok && n <= math.MaxInt64/1000 && n >= math.MinInt64/1000 {
		ms = n * 1000
	} else {
		v, ok := longdouble.Parse(c.Args[i])
		if !ok {
			c.Error(errTimeoutNotFloat)
			return 0, false
		}
		ms, inRange = longdouble.Times(v, 1000).Ceil()
	}
	switch now := c.Core.Keyspace.Now; {
	case !inRange:
		c.Error(ErrTimeoutRange)
	case ms < 0:
		c.Error(ErrTimeoutNegative)
	case ms == 0:
		return 0, true
	case ms > math.MaxInt64-now:
		c.Error(ErrTimeoutRange)
	default:
		return now + ms, true
	}
	return 0, false
}

// MillisecondsArg is TimeoutArg for a timeout in milliseconds.
func (c *Client) MillisecondsArg(i int) (deadline int64, ok bool) {
	ms, ok := resp.ParseInt(c.Args[i])
	switch now := c.Core.Keyspace.Now; {
	case !ok:
		c.Error(ErrTimeoutNotInt)
	case ms < 0:
		c.Error(ErrTimeoutNegative)
	case ms == 0:
		return 0, true
	case ms > math.MaxInt64-now:
		c.Error(ErrTimeoutRange)
	default:
		return now + ms, true
	}
	return 0, false
}

// Arg returns argument i as a string for texts and comparisons off the hot path.
func (c *Client) Arg(i int) string { return string(c.Args[i]) }

// Is reports whether argument i is the word, in any case. word is in lower case.
func (c *Client) Is(i int, word string) bool { return EqualFold(c.Args[i], word) }

// EqualFold compares with a lower-case ASCII word, in any case. A zero byte ends b, since Redis compares options as C
// strings.
func EqualFold(b []byte, word string) bool {
	if len(b) != len(word) && (len(b) < len(word) || b[len(word)] != 0) {
		return false
	}
	for i, x := range b[:len(word)] {
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if x != word[i] {
			return false
		}
	}
	return true
}

// CString returns the bytes up to the first zero, as texts that C's printf makes end there.
func CString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

// BlockOrNull makes a client that may wait do so, see Host.Block. Another gets at once what a timeout answers.
func (c *Client) BlockOrNull(kind record.Type, keys [][]byte, deadline int64) {
	if c.Host.MayBlock() {
		c.Host.Block(kind, keys, deadline)
	} else {
		c.W.NullArray()
	}
}

// SwitchArg returns argument i as C's atoi reads a switch: anything but a number other than zero is off.
func (c *Client) SwitchArg(i int) bool {
	n, ok := resp.ParseInt(c.Args[i])
	return ok && n != 0
}
