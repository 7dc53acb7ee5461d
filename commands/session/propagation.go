package session

import "ferrous/eventloop/resp"

// Decimal returns n as an argument of a rewritten command.
func Decimal(n int64) []byte { return resp.AppendInt(make([]byte, 0, 20), n) }

// Replication is what a command says of its propagation. The zero value propagates the request as it came if it changed
// something.
type Replication struct {
	Rewritten [][]byte   // the command that is propagated in place of the request
	More      [][][]byte // further commands, before it
	None      bool       // the request is not propagated
	Message   bool       // the request is sent to replicas even if it changed nothing
}

// Any reports whether a handler has said anything of what is to be propagated.
func (r *Replication) Any() bool { return r.None || r.Message || r.Rewritten != nil || r.More != nil }

// Propagates reports whether anybody receives what is changed: if not, rewriting needs not be prepared.
func (c *Client) Propagates() bool { return len(c.Core.Sinks) > 0 }

// Rewrite propagates argv in place of the command as it came. The slices must stay valid until the handler returns.
func (c *Client) Rewrite(argv ...[]byte) {
	if len(c.Core.Sinks) > 0 {
		c.Repl.Rewritten = append([][]byte(nil), argv...)
	}
}

// PropagateAlso propagates a command besides, before the one that runs.
func (c *Client) PropagateAlso(argv ...[]byte) {
	if len(c.Core.Sinks) > 0 {
		c.Repl.More = append(c.Repl.More, append([][]byte(nil), argv...))
	}
}

// PropagateMessage propagates a command that changes no data to replicas, but not to files.
func (c *Client) PropagateMessage() {
	if len(c.Core.Sinks) > 0 {
		c.Repl.Message = true
	}
}

// PropagateNothing keeps a command that changed data from being propagated as it came.
func (c *Client) PropagateNothing() { c.Repl.None = true }

// Words of propagated commands that several families use.
var (
	WordDel       = []byte("DEL")
	WordUnlink    = []byte("UNLINK")
	WordPXAt      = []byte("PXAT")
	WordPExpireAt = []byte("PEXPIREAT")
)

// ExpiryVerb is the command that deletes an expired key in what is propagated.
func (s *Core) ExpiryVerb() []byte {
	if s.Config.LazyfreeExpire {
		return WordUnlink
	}
	return WordDel
}
