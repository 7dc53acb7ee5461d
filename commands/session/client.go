package session

import (
	"ferrous/datatypes/keyspace"
	"ferrous/datatypes/record"
	"ferrous/eventloop/resp"
)

// A Client is the context of one request: what a handler gets. A connection embeds one; so do inner clients, which have no
// connection. Args and what handlers slice from it are valid while the command runs: what is kept must be copied.
type Client struct {
	Core *Core
	Host Host

	Args [][]byte // with the command's name
	Cmd  *Entry
	W    *resp.Writer
	DB   *keyspace.DB
	Repl *Replication // what the running command says of its propagation; all connections share W and Repl

	NoTouch bool // CLIENT NO-TOUCH: reading leaves access clocks as they are
	Trusted bool // what it sends was propagated, by a master or to an append-only file: no rule refuses it any more
}

// A Host is the connection or inner client that a Client belongs to, as far as handlers need it.
type Host interface {
	// MayBlock reports whether the client may wait: not inside a transaction, and not if it has no connection.
	MayBlock() bool
	// InScript reports whether a script calls the command.
	InScript() bool
	// Block makes the client wait until one of the keys, which are arguments of the request that runs, holds a value of
	// that type. The request then runs again from the start. The handler must not have replied or changed anything.
	// deadline is in Unix ms, 0 for none.
	Block(kind record.Type, keys [][]byte, deadline int64)
	// Wait is Block with all that may be said about waiting. The handler may have changed something.
	Wait(w Wait)
	// ReadsAll reports whether the user may read every key, and not only those that the request names.
	ReadsAll() bool
}

// A Wait says for what a client waits.
type Wait struct {
	Kind     record.Type
	Keys     [][]byte // arguments of the request
	Deadline int64    // Unix ms, 0 for none
	Args     [][]byte // what runs again in place of the request, if not nil
	Gone     bool     // the request runs again, too, when a key is deleted or becomes one of another type
	Again    int64    // it runs again at this time, Unix ms, if not 0
	Group    []byte   // if not nil, it finds something in a stream only when this group of consumers has entries to get
}
