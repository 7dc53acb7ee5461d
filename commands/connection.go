package commands

import (
	"ferrous/commands/acl"
	"ferrous/commands/session"
	"ferrous/eventloop/resp"
)

// Commands about the connection itself. CLIENT is in clients.go.

var connectionCommands = []session.Command{
	{Name: "auth", Arity: -2, Flags: session.NoScript | session.Loading | session.Stale | session.Fast | session.NoAuth | session.AllowBusy, ACL: session.CatConnection, Handler: connected(auth),
		Group: session.GroupConnection, Since: "1.0.0", Complexity: "O(N) in the number of passwords that the user has",
		Summary: "Logs the connection in.",
		History: []session.Change{{"6.0.0", "A user name may precede the password."}},
		Args:    []session.Arg{session.StringArg("username").Opt().From("6.0.0"), session.StringArg("password")}},
	clientCommand,
	{Name: "echo", Arity: 2, Flags: session.Loading | session.Stale | session.Fast, ACL: session.CatConnection, Handler: connected(echo),
		Group: session.GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Replies with its argument.",
		Args: []session.Arg{session.StringArg("message")}},
	{Name: "hello", Arity: -1, Flags: session.NoScript | session.Loading | session.Stale | session.Fast | session.NoAuth | session.AllowBusy, ACL: session.CatConnection, Handler: connected(hello),
		Group: session.GroupConnection, Since: "6.0.0", Complexity: "O(1)",
		Summary: "Opens the conversation: chooses the protocol, may log in and name the connection.",
		History: []session.Change{{"6.2.0", "The protocol version may be left out; the reply then tells the one in use."}},
		Args: []session.Arg{session.BlockOf("arguments",
			session.IntArg("protover"),
			session.Arg{Name: "auth", Type: session.ArgBlock, Token: "AUTH", Optional: true,
				Args: []session.Arg{session.StringArg("username"), session.StringArg("password")}},
			session.TokenArg("clientname", session.ArgString, "SETNAME", "").Opt()).Opt()}},
	{Name: "ping", Arity: -1, Flags: session.Fast, ACL: session.CatConnection, Handler: connected(ping),
		Group: session.GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Answers, to show that the server is there.",
		Hints: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		Args:  []session.Arg{session.StringArg("message").Opt()}},
	{Name: "quit", Arity: -1, Flags: session.NoScript | session.Loading | session.Stale | session.Fast | session.NoAuth | session.AllowBusy, ACL: session.CatConnection, Handler: connected(quit),
		Group: session.GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Asks the server to close the connection.",
		Deprecated: "7.2.0", ReplacedBy: "just closing the connection"},
	{Name: "reset", Arity: 1, Flags: session.NoScript | session.Loading | session.Stale | session.Fast | session.NoAuth | session.AllowBusy, ACL: session.CatConnection, Handler: connected(reset),
		Group: session.GroupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Makes the connection as if it were new."},
}

func ping(c *Client) {
	switch n := len(c.Args); {
	case n <= 2 && c.proto == 2 && c.subscribed():
		// In the form of a message, since its reader waits for such.
		c.W.Array(2)
		c.W.BulkString("pong")
		if n == 1 {
			c.W.BulkString("")
		} else {
			c.W.Bulk(c.Args[1])
		}
	case n == 1:
		c.W.Status("PONG")
	case n == 2:
		c.W.Bulk(c.Args[1])
	default:
		c.Error(session.ErrArity("ping"))
	}
}

func echo(c *Client) { c.W.Bulk(c.Args[1]) }

func quit(c *Client) {
	c.W.OK()
	c.closeAfterReply()
}

// reset undoes what the client has set, except for CLIENT SETINFO: the library behind the connection stays the same.
func reset(c *Client) {
	c.srv.endTransaction(c)
	c.srv.endPushes(c)
	c.DB = c.srv.Keyspace.DBs()[0]
	c.setProto(2)
	c.startAs(c.srv.security.users.Default())
	if c.ident != nil {
		c.ident.name, c.ident.redirects = "", false
	}
	c.replyOff, c.NoTouch, c.noEvict = false, false, false
	c.srv.sortClient(c)
	c.W.Status("RESET")
}

func (c *Client) setProto(version int) {
	c.proto = int8(version)
	c.W.Proto = version
}

const (
	errNoPassword = "ERR AUTH <password> called without any password configured for the default user. " +
		"Are you sure your configuration is correct?"
	errHelloVersion = "ERR Protocol version is not an integer or out of range"
	errNoProto      = "NOPROTO unsupported protocol version"
	errHelloNoAuth  = "NOAUTH HELLO must be called with the client already authenticated, otherwise the " +
		"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
		"version at the same time"
)

func auth(c *Client) {
	user, password := []byte(acl.DefaultName), c.Args[1]
	switch len(c.Args) {
	case 2:
		if c.srv.security.users.Default().NoPass() {
			c.Error(errNoPassword)
			return
		}
	case 3:
		user, password = c.Args[1], c.Args[2]
	default:
		c.Error(session.ErrSyntax)
		return
	}
	if c.authenticate(user, password) {
		c.W.OK()
	}
}

// authenticate logs the client in, or replies that it may not. (Redis 7.2 leaves this error reply out when other replies
// to the same pipeline have not been sent yet; clients cannot make sense of that.)
func (c *Client) authenticate(user, password []byte) bool {
	u := c.srv.security.users.Get(user)
	if u == nil || !u.Accepts(password) {
		c.srv.logDenialOf(c, acl.DeniedAuth, session.CString(c.Args[0]), string(user))
		c.Error(session.ErrWrongPass)
		return false
	}
	c.user, c.authed = u, true
	return true
}

func hello(c *Client) {
	version := int64(0)
	if len(c.Args) > 1 {
		var ok bool
		if version, ok = resp.ParseInt(c.Args[1]); !ok {
			c.Error(errHelloVersion)
			return
		}
		if version < 2 || version > 3 {
			c.Error(errNoProto)
			return
		}
	}
	var user, password, name []byte
	for i := 2; i < len(c.Args); i++ {
		switch more := len(c.Args) - i - 1; {
		case more >= 2 && c.Is(i, "auth"):
			user, password = c.Args[i+1], c.Args[i+2]
			i += 2
		case more >= 1 && c.Is(i, "setname"):
			name = c.Args[i+1]
			if !validAttribute(name) {
				c.Error(errClientName)
				return
			}
			i++
		default:
			c.Error("ERR Syntax error in HELLO option '" + session.CString(c.Args[i]) + "'")
			return
		}
	}
	if user != nil && !c.authenticate(user, password) {
		return
	}
	if !c.authed {
		c.Error(errHelloNoAuth)
		return
	}
	if name != nil {
		c.setName(name)
	}
	if version != 0 {
		c.setProto(int(version))
	}
	mode := "standalone"
	if c.srv.Config.ClusterEnabled {
		mode = "cluster"
	}
	c.W.Map(7)
	c.W.BulkString("server")
	c.W.BulkString("redis")
	c.W.BulkString("version")
	c.W.BulkString(RedisVersion)
	c.W.BulkString("proto")
	c.W.Int(int64(c.proto))
	c.W.BulkString("id")
	c.W.Int(c.id)
	c.W.BulkString("mode")
	c.W.BulkString(mode)
	c.W.BulkString("role")
	c.W.BulkString("master")
	c.W.BulkString("modules")
	c.W.Array(0)
}
