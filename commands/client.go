package commands

import (
	"fmt"

	"ferrous/commands/acl"
	"ferrous/commands/session"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
	"ferrous/replication"
)

// A Client is one connection, or an inner client (of the loader of append-only files) that has none. What handlers may touch
// of it is the Session that it embeds.
type Client struct {
	session.Client
	srv    *Server
	conn   *eventloop.Conn // nil for clients that are not connections
	parser resp.Parser

	last *session.Entry // command of the request before
	id   int64

	user    *acl.User // whose rights it has; nil for those who are not connections: they may do everything
	authed  bool      // logged in, be it because the default user needs no password
	closing bool      // closes when its replies are written
	stopped bool      // no further request is executed until something clears it
	doomed  bool      // closed; leaves the registry when nobody walks it (Server.reap)

	replyOff     bool         // CLIENT REPLY OFF
	replySkip    int8         // 2: skip the reply of the next command; 1: of this one
	noEvict      bool         // CLIENT NO-EVICT
	proto        int8         // RESP version
	countedAs    int8         // class in Server.classMemory
	orderIndex   int32        // index in Server.order, -1 when it has left the books
	evictionSlot evictionSlot // among those that may be evicted
	replyBuffer  replyBuffer  // rbs and rbp of CLIENT LIST

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
	wrote               int64 // offset of the stream after its last change

	replica *replication.Replica // it has sent REPLCONF, PSYNC or SYNC; see replicas.go
	source  bool                 // its output comes from there
	master  bool                 // it is the master, whose stream it sends; see replica.go
}

// describe is the client as the log shows it.
func (c *Client) describe() string {
	if c.conn == nil {
		return fmt.Sprintf("id=%d", c.id)
	}
	return c.info()
}

// closeAfterReply ends the session once its replies are written; further requests are ignored.
func (c *Client) closeAfterReply() { c.closing, c.stopped = true, true }

// connected makes a handler of one that needs the whole Client, not only its Session.
func connected(handler func(c *Client)) func(c *session.Client) {
	return func(c *session.Client) { handler(c.Host.(*Client)) }
}

// newClient makes a client that speaks RESP2, writes its replies to w and says in repl what is to be propagated. Inner
// clients, whose commands may run within another's, have their own of both.
func (s *Server) newClient(w *resp.Writer, repl *session.Replication) *Client {
	c := &Client{srv: s, proto: 2}
	c.Client = session.Client{Core: &s.Core, Host: c, W: w, Repl: repl, DB: s.Keyspace.DBs()[0]}
	return c
}
