package commands

import (
	"fmt"
	"strings"

	"ferrous/commands/acl"
	"ferrous/datatypes/keyspace"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
)

// Client is one session: a connection, or whoever else runs commands. It is the context that handlers get.
type Client struct {
	srv    *Server
	conn   *eventloop.Conn // nil for clients that are not connections
	parser resp.Parser

	// Of the command that runs.
	args [][]byte // with the name; valid while it runs: what is kept must be copied
	cmd  *entry
	w    *resp.Writer
	db   *keyspace.DB
	repl replication

	last *entry // command of the request before
	id   int64

	user    *acl.User // whose rights it has; nil for those who are not connections: they may do everything
	authed  bool      // logged in, be it because the default user needs no password
	closing bool      // closes when its replies are written
	stopped bool      // no further request is executed until something clears it
	doomed  bool      // closed; leaves the registry when nobody walks it (Server.reap)

	replyOff  bool      // CLIENT REPLY OFF
	replySkip int8      // 2: skip the reply of the next command; 1: of this one
	noTouch   bool      // CLIENT NO-TOUCH
	noEvict   bool      // CLIENT NO-EVICT
	proto     int8      // RESP version
	countedAs int8      // class in Server.classMemory
	at        int32     // index in Server.order, -1 when it has left the books
	place     place     // among those that may be evicted
	room      replyRoom // rbs and rbp of CLIENT LIST

	tx       *transaction // from MULTI or WATCH to EXEC
	ident    *identity    // nil if it has told nothing of itself
	deferred [][]byte     // the request that CLIENT PAUSE holds back
	blocked  *blocked     // the request that waits; see blocking.go
	pushes   *pushes      // what it is told unasked, nil if it is told nothing; see push.go
	window   window       // qbuf and qbuf-free of CLIENT LIST
	counted  int          // what of its memory is in Server.heldBytes

	announced int // bytes that are to come, in Server.classMemory with counted

	created, lastActive int64 // Unix ms
	softSince           int64 // since when the output is above the soft limit, Unix ms
	wrote               int64 // appendOnly.fed after its last change
}

// replication is what of a command's effect is propagated.
type replication struct {
	rewritten [][]byte   // in place of the arguments
	more      [][][]byte // further commands, before
	none      bool
	message   bool // the command goes to replicas even if it changed nothing
}

// any reports whether a handler has said anything of what is to be propagated.
func (r *replication) any() bool { return r.none || r.message || r.rewritten != nil || r.more != nil }

// describe is the client as the log shows it.
func (c *Client) describe() string {
	if c.conn == nil {
		return fmt.Sprintf("id=%d", c.id)
	}
	return c.info()
}

// error replies with an error and counts it. msg begins with its code.
func (c *Client) error(msg string) {
	code := msg
	if i := strings.IndexByte(msg, ' '); i >= 0 {
		code = msg[:i]
	}
	c.srv.countError(code)
	c.srv.stats.errorReplies++
	if c.cmd != nil {
		c.cmd.failed++
	}
	c.w.Error(msg)
}

// maxErrorCodes bounds INFO errorstats against scripts that make up codes.
const maxErrorCodes = 128

func (s *Server) countError(code string) {
	if n, ok := s.errors[code]; ok || len(s.errors) < maxErrorCodes {
		s.errors[strings.Clone(code)] = n + 1
	}
}

// closeAfterReply ends the session once its replies are written; further requests are ignored.
func (c *Client) closeAfterReply() { c.closing, c.stopped = true, true }

// rewrite propagates argv in place of the command as it came. The slices must stay valid until the handler returns.
func (c *Client) rewrite(argv ...[]byte) {
	if len(c.srv.sinks) > 0 {
		c.repl.rewritten = append([][]byte(nil), argv...)
	}
}

// propagateAlso propagates a command besides, before the one that runs.
func (c *Client) propagateAlso(argv ...[]byte) {
	if len(c.srv.sinks) > 0 {
		c.repl.more = append(c.repl.more, append([][]byte(nil), argv...))
	}
}

// propagateMessage has a command that changes no data propagated to those who follow the server, but not written to files.
func (c *Client) propagateMessage() {
	if len(c.srv.sinks) > 0 {
		c.repl.message = true
	}
}

// propagateNothing keeps a command that changed data from being propagated as it came.
func (c *Client) propagateNothing() { c.repl.none = true }

// arg returns argument i as a string for texts and comparisons off the hot path.
func (c *Client) arg(i int) string { return string(c.args[i]) }

// is reports whether argument i is the word, in any case. word is in lower case.
func (c *Client) is(i int, word string) bool { return equalFold(c.args[i], word) }

// equalFold compares with a lower-case ASCII word, in any case. A zero byte ends b, since Redis compares options as C
// strings.
func equalFold(b []byte, word string) bool {
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

// int64Arg parses argument i; on failure it replies with Redis's error and returns false.
func (c *Client) int64Arg(i int) (int64, bool) {
	n, ok := resp.ParseInt(c.args[i])
	if !ok {
		c.error(errNotInteger)
	}
	return n, ok
}
