package commands

import (
	"fmt"

	"ferrous/commands/acl"
	"ferrous/commands/session"
	"ferrous/eventloop"
	"ferrous/eventloop/resp"
	"ferrous/replication"
)

// A Client is one connection, or an inner client without one (of the loader of append-only files, of scripts). Handlers see
// only the session.Client that it embeds.
type Client struct {
	session.Client
	srv    *Server
	conn   *eventloop.Conn // nil for clients that are not connections
	parser resp.Parser

	last *session.Entry // command of the last request; admit tries it first
	id   int64

	user    *acl.User // nil for clients that are not connections: they may do everything
	authed  bool      // authenticated, or the default user needs no password
	closing bool      // the connection closes when its replies are written
	stopped bool      // no further request is executed until something clears it
	sniffs  bool      // its first bytes may be an HTTP request; see web.go
	doomed  bool      // closed; Server.reap takes it out of the registry when nothing walks that

	replyOff     bool         // CLIENT REPLY OFF
	replySkip    int8         // 2: skip the reply of the next command; 1: of this one
	noEvict      bool         // CLIENT NO-EVICT
	proto        int8         // RESP version
	countedAs    int8         // class in Server.classMemory
	source       bool         // its output comes from replica
	master       bool         // it is the master, whose stream it sends; see replica.go
	orderIndex   int32        // index in Server.order, -1 when it has left the registry
	evictionSlot evictionSlot // among those that may be evicted
	replyBuffer  replyBuffer  // rbs and rbp of CLIENT LIST

	tx       *transaction // from MULTI or WATCH to EXEC
	ident    *identity    // name, library and the like; nil if the client has given none
	deferred [][]byte     // the request that CLIENT PAUSE holds back
	blocked  *blocked     // the request that waits; see blocking.go
	pushes   *pushes      // subscriptions, tracking, MONITOR and queued messages; nil for none; see push.go
	window   window       // qbuf and qbuf-free of CLIENT LIST
	counted  int          // bytes of its memory that Server.heldBytes includes

	announced int // bytes of arguments that the client has announced; Server.classMemory includes them

	created, lastActive int64 // Unix ms
	softSince           int64 // since when the output is above the soft limit, Unix ms
	wrote               int64 // offset of the stream after its last change

	replica *replication.Replica // it has sent REPLCONF, PSYNC or SYNC; see replicas.go
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

// connected turns a function that needs the whole Client into a handler, which gets the session.Client.
func connected(handler func(c *Client)) func(c *session.Client) {
	return func(c *session.Client) { handler(c.Host.(*Client)) }
}

// newClient makes a client that speaks RESP2. Its replies go to w, and its handlers say in repl what is to be propagated. All
// connections share w and repl. Inner clients have their own of both, since their commands may run within another client's.
func (s *Server) newClient(w *resp.Writer, repl *session.Replication) *Client {
	c := &Client{srv: s, proto: 2}
	c.Client = session.Client{Core: &s.Core, Host: c, W: w, Repl: repl, DB: s.Keyspace.DBs()[0]}
	return c
}
