package session

import (
	"strings"

	"ferrous/datatypes/listpack"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// OverLimit reports whether the reply of the running command is above the hard limit: more of it would be dropped. Handlers of
// long replies ask it as they go.
func (c *Client) OverLimit() bool { return c.W.Over() }

// Help replies to the HELP subcommand of a container: a first line that names the command, then for each subcommand a line
// with its syntax and an indented line with its description. lines alternate between the two.
func (c *Client) Help(lines ...string) {
	c.W.Array(len(lines) + 3)
	c.W.Status(strings.ToUpper(CString(c.Args[0])) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, l := range lines {
		c.W.Status(l)
	}
	c.W.Status("HELP")
	c.W.Status("    Print this help.")
}

// Error replies with an error and counts it. msg begins with its code.
func (c *Client) Error(msg string) {
	code := msg
	if i := strings.IndexByte(msg, ' '); i >= 0 {
		code = msg[:i]
	}
	c.Core.CountError(code)
	c.Core.Counters.ErrorReplies++
	if c.Cmd != nil {
		c.Cmd.Failed++
	}
	c.W.Error(msg)
}

// maxErrorCodes bounds INFO errorstats against scripts that make up codes.
const maxErrorCodes = 128

func (s *Core) CountError(code string) {
	if n, ok := s.Errors[code]; ok || len(s.Errors) < maxErrorCodes {
		s.Errors[strings.Clone(code)] = n + 1
	}
}

// BulkValue replies with an element of a collection.
func (c *Client) BulkValue(v listpack.Value) {
	if v.Str != nil {
		c.W.Bulk(v.Str)
	} else {
		c.W.BulkInt(v.Int)
	}
}

// shareMin is the length from which a string is sent from where it lies: one more system call costs about as much as a copy
// of so many bytes.
const shareMin = 16 << 10

// BulkOf replies with b, bytes of the string r. Many are sent without a copy.
func (c *Client) BulkOf(r *record.Record, b []byte) {
	if len(b) < shareMin || !c.W.Sharing || !c.DB.MayLend(r) {
		c.W.Bulk(b)
		return
	}
	c.W.BulkShared(b)
	c.Core.Shared = r
}

// BytesOf returns the bytes of an element, an integer's in buf.
func BytesOf(v listpack.Value, buf *IntText) []byte {
	if v.Str != nil {
		return v.Str
	}
	return resp.AppendInt(buf[:0], v.Int)
}

// PairArray begins an array of n elements. With values, RESP3 has them in pairs, RESP2 one after the other.
func (c *Client) PairArray(n int, values bool) {
	if values && !c.W.RESP3() {
		n *= 2
	}
	c.W.Array(n)
}
