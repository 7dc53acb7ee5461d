package commands

import (
	"ferrous/commands/acl"
	"ferrous/eventloop/resp"
)

// Commands about the connection itself. CLIENT is in clients.go.

var connectionCommands = []Command{
	{Name: "auth", Arity: -2, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACL: CatConnection, Handler: auth,
		Group: GroupConnection, Since: "1.0.0", Complexity: "O(N) in the number of passwords that the user has",
		Summary: "Logs the connection in.",
		History: []Change{{"6.0.0", "A user name may precede the password."}},
		Args:    []Arg{aString("username").optional().since("6.0.0"), aString("password")}},
	clientCommand,
	{Name: "echo", Arity: 2, Flags: Loading | Stale | Fast, ACL: CatConnection, Handler: echo,
		Group: GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Replies with its argument.",
		Args: []Arg{aString("message")}},
	{Name: "hello", Arity: -1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACL: CatConnection, Handler: hello,
		Group: GroupConnection, Since: "6.0.0", Complexity: "O(1)",
		Summary: "Opens the conversation: chooses the protocol, may log in and name the connection.",
		History: []Change{{"6.2.0", "The protocol version may be left out; the reply then tells the one in use."}},
		Args: []Arg{aBlock("arguments",
			anInt("protover"),
			Arg{Name: "auth", Type: ArgBlock, Token: "AUTH", Optional: true,
				Args: []Arg{aString("username"), aString("password")}},
			aTokenArg("clientname", ArgString, "SETNAME", "").optional()).optional()}},
	{Name: "ping", Arity: -1, Flags: Fast, ACL: CatConnection, Handler: ping,
		Group: GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Answers, to show that the server is there.",
		Hints: []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		Args:  []Arg{aString("message").optional()}},
	{Name: "quit", Arity: -1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACL: CatConnection, Handler: quit,
		Group: GroupConnection, Since: "1.0.0", Complexity: "O(1)", Summary: "Asks the server to close the connection.",
		Deprecated: "7.2.0", ReplacedBy: "just closing the connection"},
	{Name: "reset", Arity: 1, Flags: NoScript | Loading | Stale | Fast | NoAuth | AllowBusy, ACL: CatConnection, Handler: reset,
		Group: GroupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Makes the connection as if it were new."},
}

func ping(c *Client) {
	switch n := len(c.args); {
	case n <= 2 && c.proto == 2 && c.subscribed():
		// In the form of a message, since its reader waits for such.
		c.w.Array(2)
		c.w.BulkString("pong")
		if n == 1 {
			c.w.BulkString("")
		} else {
			c.w.Bulk(c.args[1])
		}
	case n == 1:
		c.w.Status("PONG")
	case n == 2:
		c.w.Bulk(c.args[1])
	default:
		c.error(errArity("ping"))
	}
}

func echo(c *Client) { c.w.Bulk(c.args[1]) }

func quit(c *Client) {
	c.w.OK()
	c.closeAfterReply()
}

// reset undoes what the client has set, but what CLIENT SETINFO told: the library behind the connection stays the same.
func reset(c *Client) {
	c.srv.endTransaction(c)
	c.srv.tellNothing(c)
	c.db = c.srv.ks.DBs()[0]
	c.setProto(2)
	c.startAs(c.srv.security.users.Default())
	if c.ident != nil {
		c.ident.name, c.ident.redirects = "", false
	}
	c.replyOff, c.noTouch, c.noEvict = false, false, false
	c.srv.sortClient(c)
	c.w.Status("RESET")
}

func (c *Client) setProto(version int) {
	c.proto = int8(version)
	c.w.Proto = version
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
	user, password := []byte(acl.DefaultName), c.args[1]
	switch len(c.args) {
	case 2:
		if c.srv.security.users.Default().NoPass() {
			c.error(errNoPassword)
			return
		}
	case 3:
		user, password = c.args[1], c.args[2]
	default:
		c.error(errSyntax)
		return
	}
	if c.authenticate(user, password) {
		c.w.OK()
	}
}

// authenticate logs the client in, or replies that it may not. (Redis 7.2 leaves this error reply out when other replies
// to the same pipeline have not been sent yet; clients cannot make sense of that.)
func (c *Client) authenticate(user, password []byte) bool {
	u := c.srv.security.users.Get(user)
	if u == nil || !u.Accepts(password) {
		c.srv.logDenialOf(c, acl.DeniedAuth, cString(c.args[0]), string(user))
		c.error(errWrongPass)
		return false
	}
	c.user, c.authed = u, true
	return true
}

func hello(c *Client) {
	version := int64(0)
	if len(c.args) > 1 {
		var ok bool
		if version, ok = resp.ParseInt(c.args[1]); !ok {
			c.error(errHelloVersion)
			return
		}
		if version < 2 || version > 3 {
			c.error(errNoProto)
			return
		}
	}
	var user, password, name []byte
	for i := 2; i < len(c.args); i++ {
		switch more := len(c.args) - i - 1; {
		case more >= 2 && c.is(i, "auth"):
			user, password = c.args[i+1], c.args[i+2]
			i += 2
		case more >= 1 && c.is(i, "setname"):
			name = c.args[i+1]
			if !validAttribute(name) {
				c.error(errClientName)
				return
			}
			i++
		default:
			c.error("ERR Syntax error in HELLO option '" + cString(c.args[i]) + "'")
			return
		}
	}
	if user != nil && !c.authenticate(user, password) {
		return
	}
	if !c.authed {
		c.error(errHelloNoAuth)
		return
	}
	if name != nil {
		c.setName(name)
	}
	if version != 0 {
		c.setProto(int(version))
	}
	mode := "standalone"
	if c.srv.cfg.ClusterEnabled {
		mode = "cluster"
	}
	c.w.Map(7)
	c.w.BulkString("server")
	c.w.BulkString("redis")
	c.w.BulkString("version")
	c.w.BulkString(RedisVersion)
	c.w.BulkString("proto")
	c.w.Int(int64(c.proto))
	c.w.BulkString("id")
	c.w.Int(c.id)
	c.w.BulkString("mode")
	c.w.BulkString(mode)
	c.w.BulkString("role")
	c.w.BulkString("master")
	c.w.BulkString("modules")
	c.w.Array(0)
}
