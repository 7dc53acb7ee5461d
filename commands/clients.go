package commands

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"ferrous/commands/acl"
	"ferrous/commands/config"
	"ferrous/eventloop/resp"
)

// CLIENT and its subcommands; what they show of a client is made in clientinfo.go, pausing is in pause.go.

// clientSub is what all subcommands of CLIENT but HELP have in common.
const clientSub = NoScript | Loading | Stale

var clientCommand = Command{
	Name: "client", Arity: -2, Group: GroupConnection, Since: "2.4.0", Complexity: "Depends on the subcommand.",
	Summary: "Container of commands about connections.",
	Subs: []Command{
		clientCachingRow,
		{Name: "getname", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientGetName,
			Group: GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Tells the connection's name."},
		{Name: "getredir", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientGetRedir,
			Group: GroupConnection, Since: "6.0.0", Complexity: "O(1)",
			Summary: "Tells the id of the client that gets this one's tracking messages."},
		{Name: "help", Arity: 2, Flags: Loading | Stale, ACL: CatConnection, Handler: clientHelp,
			Group: GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Lists the subcommands."},
		{Name: "id", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientID,
			Group: GroupConnection, Since: "5.0.0", Complexity: "O(1)", Summary: "Tells the connection's number."},
		{Name: "info", Arity: 2, Flags: clientSub, ACL: CatConnection, Handler: clientInfo,
			Group: GroupConnection, Since: "6.2.0", Complexity: "O(1)", Summary: "Describes the connection.",
			Hints: []string{"nondeterministic_output"}},
		{Name: "kill", Arity: -3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientKill,
			Group: GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Closes connections.",
			History: []Change{
				{"2.8.12", "Filters instead of one address."},
				{"2.8.12", "The filter `ID`."},
				{"3.2.0", "The type `master`."},
				{"5.0.0", "The type `replica`, the new name of `slave`."},
				{"6.2.0", "The filter `LADDR`."},
				{"7.4.0", "The filter `MAXAGE`."}},
			Args: []Arg{aChoice("filter",
				Arg{Name: "old-format", Display: "ip:port", Type: ArgString, Deprecated: "2.8.12"},
				aChoice("new-format",
					aTokenArg("client-id", ArgInteger, "ID", "2.8.12").optional(),
					Arg{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "2.8.12", Optional: true, Args: []Arg{
						aToken("normal", "NORMAL", ""), aToken("master", "MASTER", "3.2.0"), aToken("slave", "SLAVE", ""),
						aToken("replica", "REPLICA", "5.0.0"), aToken("pubsub", "PUBSUB", "")}},
					aTokenArg("username", ArgString, "USER", "").optional(),
					Arg{Name: "addr", Display: "ip:port", Type: ArgString, Token: "ADDR", Optional: true},
					Arg{Name: "laddr", Display: "ip:port", Type: ArgString, Token: "LADDR", Since: "6.2.0", Optional: true},
					Arg{Name: "skipme", Type: ArgOneOf, Token: "SKIPME", Optional: true,
						Args: []Arg{aToken("yes", "YES", ""), aToken("no", "NO", "")}},
					aTokenArg("maxage", ArgInteger, "MAXAGE", "7.4.0").optional()).multiple())}},
		{Name: "list", Arity: -2, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientList,
			Group: GroupConnection, Since: "2.4.0", Complexity: "O(N) in the number of connections",
			Summary: "Describes connections.", Hints: []string{"nondeterministic_output"},
			History: []Change{
				{"2.8.12", "The field `id`."},
				{"5.0.0", "The filter `TYPE`."},
				{"6.0.0", "The field `user`."},
				{"6.2.0", "The fields `argv-mem`, `tot-mem`, `laddr` and `redir`, and the filter `ID`."},
				{"7.0.0", "The fields `resp`, `multi-mem`, `rbs` and `rbp`."},
				{"7.0.3", "The field `ssub`."}},
			Args: []Arg{
				{Name: "client-type", Type: ArgOneOf, Token: "TYPE", Since: "5.0.0", Optional: true, Args: []Arg{
					aToken("normal", "NORMAL", ""), aToken("master", "MASTER", ""), aToken("replica", "REPLICA", ""),
					aToken("pubsub", "PUBSUB", "")}},
				aTokenArg("client-id", ArgInteger, "ID", "6.2.0").optional().multiple()}},
		{Name: "no-evict", Arity: 3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientNoEvict,
			Group: GroupConnection, Since: "7.0.0", Complexity: "O(1)",
			Summary: "Spares the connection when clients are evicted.", Args: onOff},
		{Name: "no-touch", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientNoTouch,
			Group: GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Keeps the connection's commands from counting as accesses to keys.", Args: onOff},
		{Name: "pause", Arity: -3, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientPause,
			Group: GroupConnection, Since: "3.0.0", Complexity: "O(1)", Summary: "Makes clients wait for a time.",
			History: []Change{{"6.2.0", "The mode `WRITE`."}},
			Args: []Arg{anInt("timeout"), Arg{Name: "mode", Type: ArgOneOf, Since: "6.2.0", Optional: true,
				Args: []Arg{aToken("write", "WRITE", ""), aToken("all", "ALL", "")}}}},
		{Name: "reply", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientReply,
			Group: GroupConnection, Since: "3.2.0", Complexity: "O(1)",
			Summary: "Switches replies to the connection's commands on and off.",
			Args: []Arg{aChoice("action", aToken("on", "ON", ""), aToken("off", "OFF", ""),
				aToken("skip", "SKIP", ""))}},
		{Name: "setinfo", Arity: 4, Flags: clientSub, ACL: CatConnection, Handler: clientSetInfo,
			Group: GroupConnection, Since: "7.2.0", Complexity: "O(1)",
			Summary: "Tells the server which library the client uses.",
			Hints:   []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args: []Arg{aChoice("attr", aTokenArg("libname", ArgString, "LIB-NAME", ""),
				aTokenArg("libver", ArgString, "LIB-VER", ""))}},
		{Name: "setname", Arity: 3, Flags: clientSub, ACL: CatConnection, Handler: clientSetName,
			Group: GroupConnection, Since: "2.6.9", Complexity: "O(1)", Summary: "Names the connection.",
			Hints: []string{"request_policy:all_nodes", "response_policy:all_succeeded"},
			Args:  []Arg{aString("connection-name")}},
		clientTrackingRow,
		clientTrackingInfoRow,
		clientUnblockRow,
		{Name: "unpause", Arity: 2, Flags: clientSub | Admin, ACL: CatConnection, Handler: clientUnpause,
			Group: GroupConnection, Since: "6.2.0", Complexity: "O(N) in the number of clients that wait",
			Summary: "Ends a pause."},
	},
}

var onOff = []Arg{aChoice("enabled", aToken("on", "ON", ""), aToken("off", "OFF", ""))}

const (
	errClientName   = "ERR Client names cannot contain spaces, newlines or special characters."
	errClientID     = "ERR Invalid client ID"
	errKillID       = "ERR client-id should be greater than 0"
	errMaxAge       = "ERR maxage is not an integer or out of range"
	errMaxAgeSmall  = "ERR maxage should be greater than 0"
	errNoSuchClient = "ERR No such client"
)

// identity is what a client tells of itself. Most tell nothing, so it is made on demand.
type identity struct{ name, libName, libVer string }

// identity returns the client's identity to be changed.
func (c *Client) identity() *identity {
	if c.ident == nil {
		c.ident = new(identity)
	}
	return c.ident
}

// validAttribute reports whether a text may stand in a line of CLIENT LIST, where blanks separate fields.
func validAttribute(b []byte) bool {
	b, _, _ = bytes.Cut(b, []byte{0}) // Redis looks no further
	return !slices.ContainsFunc(b, func(x byte) bool { return x < '!' || x > '~' })
}

// setName names the client; an empty name takes the name away.
func (c *Client) setName(name []byte) {
	if len(name) > 0 || c.ident != nil {
		c.identity().name = string(name)
	}
}

func clientSetName(c *Client) {
	if !validAttribute(c.args[2]) {
		c.error(errClientName)
		return
	}
	c.setName(c.args[2])
	c.w.OK()
}

func clientGetName(c *Client) {
	if c.ident == nil || c.ident.name == "" {
		c.w.Null()
		return
	}
	c.w.BulkString(c.ident.name)
}

func clientSetInfo(c *Client) {
	isName := c.is(2, "lib-name")
	if !isName && !c.is(2, "lib-ver") {
		c.error("ERR Unrecognized option '" + cString(c.args[2]) + "'")
		return
	}
	if !validAttribute(c.args[3]) {
		c.error("ERR " + cString(c.args[2]) + " cannot contain spaces, newlines or special characters.")
		return
	}
	if id := c.identity(); isName {
		id.libName = c.arg(3)
	} else {
		id.libVer = c.arg(3)
	}
	c.w.OK()
}

func clientID(c *Client) { c.w.Int(c.id) }

func clientInfo(c *Client) { c.w.Verbatim("txt", c.info()+"\n") }

// byID returns the clients in the order in which they connected.
func (s *Server) byID() []*Client {
	all := slices.Clone(s.order)
	slices.SortFunc(all, func(a, b *Client) int { return int(a.id - b.id) })
	return all
}

// clientTypes are the types of clients by name: the classes of output limits, and the link to a master.
var clientTypes = map[string]int{
	"normal":  config.ClassNormal,
	"slave":   config.ClassReplica,
	"replica": config.ClassReplica,
	"pubsub":  config.ClassPubsub,
	"master":  classMaster,
}

const (
	classAny    = -1
	classMaster = 3
)

// typeArg reads argument i as a type of clients, or replies that there is no such.
func (c *Client) typeArg(i int) (class int, ok bool) {
	for name, class := range clientTypes {
		if c.is(i, name) {
			return class, true
		}
	}
	c.error("ERR Unknown client type '" + cString(c.args[i]) + "'")
	return 0, false
}

func clientList(c *Client) {
	var line []byte
	switch n := len(c.args); {
	case n == 4 && c.is(2, "type"):
		class, ok := c.typeArg(3)
		if !ok {
			return
		}
		line = c.srv.clientLines(class)
	case n > 3 && c.is(2, "id"):
		for _, a := range c.args[3:] {
			id, ok := resp.ParseInt(a)
			if !ok {
				c.error(errClientID)
				return
			}
			if o := c.srv.clients[id]; o != nil {
				line = append(o.appendInfo(line), '\n')
			}
		}
	case n == 2:
		line = c.srv.clientLines(classAny)
	default:
		c.error(errSyntax)
		return
	}
	c.w.Verbatim("txt", string(line))
}

// clientLines describes the clients of a class, one a line.
func (s *Server) clientLines(class int) []byte {
	var b []byte
	for _, c := range s.byID() {
		if class == classAny || c.outputClass() == class {
			b = append(c.appendInfo(b), '\n')
		}
	}
	return b
}

// clientFilter selects connections; its zero fields select all.
type clientFilter struct {
	addr, laddr       []byte
	class             int // classAny for all
	id, maxAge        int64
	skip              *Client
	byAddr, byLocalAd bool
	user              *acl.User // nil for all
}

func (f *clientFilter) matches(c *Client) bool {
	return c.conn != nil &&
		(f.class == classAny || c.outputClass() == f.class) &&
		(f.id == 0 || c.id == f.id) &&
		(f.maxAge == 0 || c.srv.ks.Now/1000-c.created/1000 >= f.maxAge) &&
		c != f.skip &&
		(f.user == nil || c.user == f.user) &&
		(!f.byAddr || c.conn.RemoteAddr() == string(f.addr)) &&
		(!f.byLocalAd || c.conn.LocalAddr() == string(f.laddr))
}

func clientKill(c *Client) {
	f := clientFilter{class: classAny}
	old := len(c.args) == 3
	if old {
		f.addr, f.byAddr = c.args[2], true
	} else if !c.killFilter(&f) {
		return
	}
	killed, self := int64(0), false
	for _, o := range c.srv.byID() {
		if !f.matches(o) {
			continue
		}
		killed++
		if o == c {
			self = true
		} else {
			c.srv.kill(o)
		}
	}
	switch {
	case !old:
		c.w.Int(killed)
	case killed == 0:
		c.error(errNoSuchClient)
	default:
		c.w.OK()
	}
	if self {
		c.closeAfterReply()
	}
}

// killFilter reads the options of CLIENT KILL; if something is wrong with them it has replied.
func (c *Client) killFilter(f *clientFilter) bool {
	f.skip = c
	for i := 2; i < len(c.args); i += 2 {
		if i+1 == len(c.args) {
			c.error(errSyntax)
			return false
		}
		v := c.args[i+1]
		switch {
		case c.is(i, "id"):
			id, ok := resp.ParseInt(v)
			if !ok || id < 1 {
				c.error(errKillID)
				return false
			}
			f.id = id
		case c.is(i, "type"):
			class, ok := c.typeArg(i + 1)
			if !ok {
				return false
			}
			f.class = class
		case c.is(i, "addr"):
			f.addr, f.byAddr = v, true
		case c.is(i, "laddr"):
			f.laddr, f.byLocalAd = v, true
		case c.is(i, "user"):
			if f.user = c.srv.security.users.Get(v); f.user == nil {
				c.error("ERR No such user '" + cString(v) + "'")
				return false
			}
		case c.is(i, "skipme"):
			switch {
			case c.is(i+1, "yes"):
				f.skip = c
			case c.is(i+1, "no"):
				f.skip = nil
			default:
				c.error(errSyntax)
				return false
			}
		case c.is(i, "maxage"):
			age, ok := resp.ParseInt(v)
			if !ok {
				c.error(errMaxAge)
				return false
			}
			if age < 1 {
				c.error(errMaxAgeSmall)
				return false
			}
			f.maxAge = age
		default:
			c.error(errSyntax)
			return false
		}
	}
	return true
}

// kill ends another client's session at once; from here on nobody sees it.
func (s *Server) kill(c *Client) {
	s.forget(c)
	c.stopped = true
	if c.conn != nil {
		c.conn.CloseNow()
	}
}

// drop is kill for any client: the one whose turn it is leaves the books at the end of its turn.
func (s *Server) drop(c *Client) {
	if c != s.current {
		s.kill(c)
		return
	}
	c.stopped, c.dropped = true, true
	c.conn.CloseNow()
}

// onOffArg reads the argument of CLIENT NO-EVICT and NO-TOUCH, sets the switch and replies.
func (c *Client) onOffArg(flag *bool) {
	switch {
	case c.is(2, "on"):
		*flag = true
	case c.is(2, "off"):
		*flag = false
	default:
		c.error(errSyntax)
		return
	}
	c.w.OK()
}

func clientNoEvict(c *Client) {
	c.onOffArg(&c.noEvict)
	c.srv.sortClient(c)
}

func clientNoTouch(c *Client) { c.onOffArg(&c.noTouch) }

// clientReply is CLIENT REPLY; execute drops what must not be sent, so OFF and SKIP just append nothing.
func clientReply(c *Client) {
	switch {
	case c.is(2, "on"):
		c.replyOff, c.replySkip = false, 0
		c.w.OK()
	case c.is(2, "off"):
		c.replyOff = true
	case c.is(2, "skip"):
		if !c.replyOff {
			c.replySkip = 2
		}
	default:
		c.error(errSyntax)
	}
}

const (
	errTimeoutNotInt   = "ERR timeout is not an integer or out of range"
	errTimeoutNegative = "ERR timeout is negative"
	errTimeoutRange    = "ERR timeout is out of range"
	errPauseMode       = "ERR CLIENT PAUSE mode must be WRITE or ALL"
)

func clientPause(c *Client) {
	if len(c.args) > 4 {
		c.error(errUnknownSubOrArity(c.args))
		return
	}
	all := true
	if len(c.args) == 4 {
		if all = c.is(3, "all"); !all && !c.is(3, "write") {
			c.error(errPauseMode)
			return
		}
	}
	ms, ok := resp.ParseInt(c.args[2])
	switch {
	case !ok:
		c.error(errTimeoutNotInt)
	case ms < 0:
		c.error(errTimeoutNegative)
	case ms > math.MaxInt64-c.srv.ks.Now:
		c.error(errTimeoutRange)
	default:
		c.srv.pauseClients(ms, all)
		c.w.OK()
	}
}

func clientUnpause(c *Client) {
	c.srv.unpauseClients()
	c.w.OK()
}

// errUnknownSubOrArity is Redis's text where a container's own parser does not understand its arguments.
func errUnknownSubOrArity(args [][]byte) string {
	name := cString(args[0])
	return "ERR unknown subcommand or wrong number of arguments for '" + quoted([]byte(cString(args[1])), 128) + "'. Try " +
		strings.ToUpper(name) + " HELP."
}

func clientHelp(c *Client) {
	c.help(
		"CACHING (YES|NO)",
		"    Have the keys of the next command tracked, or not.",
		"GETNAME",
		"    Tell the name of this connection.",
		"GETREDIR",
		"    Tell the id of the client that tracking messages are redirected to.",
		"ID",
		"    Tell the id of this connection.",
		"INFO",
		"    Describe this connection.",
		"KILL <ip:port>",
		"    Close the connection that comes from <ip:port>.",
		"KILL <option> <value> [<option> <value> [...]]",
		"    Close the connections that all options select:",
		"    * ADDR (<ip:port>|<unixsocket>:0)",
		"      those that come from the address",
		"    * LADDR (<ip:port>|<unixsocket>:0)",
		"      those that came in at the address",
		"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
		"      those of the type",
		"    * USER <username>",
		"      those of the user",
		"    * ID <client-id>",
		"      the one with the id",
		"    * SKIPME (YES|NO)",
		"      whether this connection is spared (yes unless told otherwise)",
		"    * MAXAGE <seconds>",
		"      those that are at least that old",
		"LIST [options ...]",
		"    Describe connections, all of them without options:",
		"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
		"      those of the type",
		"    * ID <client-id> [<client-id> [...]]",
		"      those with the ids",
		"NO-EVICT (ON|OFF)",
		"    Spare this connection when clients are evicted.",
		"NO-TOUCH (ON|OFF)",
		"    Keep this connection's commands from counting as accesses to keys.",
		"PAUSE <timeout> [WRITE|ALL]",
		"    Make clients that write, or all of them, wait for <timeout> milliseconds.",
		"REPLY (ON|OFF|SKIP)",
		"    Send replies to this connection, send none, or leave out the next one.",
		"SETINFO <option> <value>",
		"    Tell the library behind this connection. Options are:",
		"    * LIB-NAME: its name",
		"    * LIB-VER: its version",
		"SETNAME <name>",
		"    Name this connection.",
		"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
		"         [OPTIN] [OPTOUT] [NOLOOP]",
		"    Have this connection told of keys that it read when they are modified.",
		"TRACKINGINFO",
		"    Tell how this connection's keys are tracked.",
		"UNBLOCK <client-id> [TIMEOUT|ERROR]",
		"    End the waiting of a client that is blocked by a command, as its timeout would or with an error.",
		"UNPAUSE",
		"    End a pause.",
	)
}
